//! OutbreakP: has a series begun to rise from a low phase?

use std::ops::Range;

use crate::detect::{
    Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict, parameter,
};

/// Frisén's semi-parametric test of an onset: never falling against constant; for comparison only.
///
/// # What it finds
/// The onset of a season or wave after a phase that was low: the likelihood of counts that never fall, over that of counts
/// with one mean. The series must begin in the low phase.
///
/// # Parameters
/// - `limit` — likelihood ratio beyond which there is an alarm, 1 or more; default 100.
///
/// # When it misleads
/// A series that begins high, or in which the level fell before, hides every later onset; start it anew for each season. The
/// whole history counts each time.
///
/// # Source
/// Frisén, Andersson, Schiöler 2009, Biostatistics 10, 98–110. R: surveillance::algo.outbreakP, whose product overflows where
/// the logarithm used here does not. Golden family `outbreakp`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutbreakP {
    /// Likelihood ratio beyond which there is an alarm.
    pub limit: f64,
}

impl Default for OutbreakP {
    fn default() -> Self {
        Self { limit: 100.0 }
    }
}

impl SeriesDetector for OutbreakP {
    fn check(&self) -> Result<(), Error> {
        parameter("limit", self.limit, self.limit >= 1.0 && self.limit.is_finite(), "1 or more")
    }

    fn profile(&self) -> Profile {
        Profile::CHART
    }

    fn reach(&self, periods_per_year: usize) -> usize {
        periods_per_year
    }

    fn history(&self, _periods_per_year: usize) -> usize {
        0
    }

    /// `score` is the natural logarithm of the likelihood ratio; `expected` the mean so far, `upper_bound` the largest count
    /// without alarm.
    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        self.check()?;
        series.check_counts(&range)?;
        let mut blocks = Blocks::default();
        let mut verdicts = Vec::with_capacity(range.len());
        for (at, count) in series.values[..range.end].iter().enumerate() {
            if count.is_nan() {
                verdicts.push(Verdict::NotDefined(Undefined::NoValue));
                continue;
            }
            let bound = if at >= range.start { self.bound(&blocks) } else { None };
            blocks.add(*count);
            let ln = blocks.ln_ratio();
            let mut judgement =
                Judgement::new(ln > self.limit.ln()).expected(blocks.mean()).score(ln);
            judgement.upper_bound = bound;
            verdicts.push(judgement.into());
        }
        Ok(verdicts.split_off(range.start))
    }
}

impl OutbreakP {
    /// The largest next count without alarm; `None` before the first period, and where all counts are without or none is.
    fn bound(&self, before: &Blocks) -> Option<f64> {
        if before.all == 0.0 {
            return None;
        }
        let alarms = |count: f64| {
            let mut with = before.clone();
            with.add(count);
            with.ln_ratio() > self.limit.ln()
        };
        let mut high = 1.0;
        while !alarms(high) {
            high *= 2.0;
            if high > 1e15 {
                return None;
            }
        }
        let mut low = if high > 1.0 { high / 2.0 } else { -1.0 };
        while high - low > 1.0 {
            let middle = ((high + low) / 2.0_f64).floor();
            if alarms(middle) { high = middle } else { low = middle }
        }
        (high > 0.0).then_some(high - 1.0)
    }
}

/// The counts in blocks whose means rise: isotonic regression by pooling neighbours.
#[derive(Debug, Clone, Default)]
struct Blocks {
    /// Sum and length of each block, oldest first.
    blocks: Vec<(f64, f64)>,
    sum: f64,
    all: f64,
}

impl Blocks {
    fn add(&mut self, count: f64) {
        self.sum += count;
        self.all += 1.0;
        let mut block = (count, 1.0);
        while let Some(before) =
            self.blocks.pop_if(|before| block.0 * before.1 <= before.0 * block.1)
        {
            block = (block.0 + before.0, block.1 + before.1);
        }
        self.blocks.push(block);
    }

    fn mean(&self) -> f64 {
        self.sum / self.all
    }

    /// Σ count·ln(fitted / mean); a block without cases adds nothing.
    fn ln_ratio(&self) -> f64 {
        let mean = self.mean();
        let cases = self.blocks.iter().filter(|block| block.0 > 0.0);
        cases.map(|(sum, length)| sum * (sum / length / mean).ln()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_from_a_low_phase_alarms_at_its_bound() {
        let values = [1.0, 2.0, 1.0, 0.0, 1.0, 2.0, 1.0, 3.0, 6.0, 9.0, 14.0];
        let verdicts = OutbreakP::default().evaluate(&Series::new(&values), 0..11).expect("counts");
        assert!(!verdicts[6].alarm() && verdicts[10].alarm());
        let mut bounds = 0;
        for (verdict, count) in verdicts.iter().zip(values).skip(1) {
            let judged = verdict.judged().expect("judged");
            if let Some(bound) = judged.upper_bound {
                assert_eq!(judged.alarm, count > bound, "{count}");
                bounds += 1;
            }
        }
        assert!(bounds >= 8, "{bounds}");
        let none = OutbreakP::default().evaluate(&Series::new(&[0.0; 5]), 0..5).expect("counts");
        assert!(none.iter().all(|v| !v.alarm() && v.judged().is_some()));
    }
}
