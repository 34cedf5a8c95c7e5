//! CDC: the sum of four weeks against the sums around the same weeks of earlier years.

use std::ops::Range;

use super::reference::years_before;
use crate::detect::{
    Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict,
    math::{moments::mean_sd, normal},
    parameter,
};

/// Weeks of a block.
const BLOCK: usize = 4;

/// Stroup's method of the CDC; for comparison only.
///
/// # What it finds
/// Four weeks with more cases together than the blocks of four weeks around the same time in earlier years.
///
/// # Parameters
/// - `years` — years back, 1 to 20; default 5.
/// - `blocks` — blocks of four periods on each side of the same one, 0 to 6; default 1.
/// - `alpha` — two-sided, between 0 and 1; default 0.025.
///
/// # When it misleads
/// Fifteen blocks that overlap a season are few and differ; past outbreaks widen the bound. It counts 52 weeks to a year, so the
/// season wanders by a day a year. Its bound is for the sum of four periods, not for the newest one.
///
/// # Source
/// Stroup et al. 1989, Statist. Med. 8, 323–329. R: surveillance::algo.cdc. Golden family `cdc`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cdc {
    /// Years back.
    pub years: usize,
    /// Blocks on each side.
    pub blocks: usize,
    /// Two-sided level.
    pub alpha: f64,
}

impl Default for Cdc {
    fn default() -> Self {
        Self { years: 5, blocks: 1, alpha: 0.025 }
    }
}

impl SeriesDetector for Cdc {
    fn check(&self) -> Result<(), Error> {
        parameter("years", self.years as f64, (1..=20).contains(&self.years), "1 to 20")?;
        parameter("blocks", self.blocks as f64, self.blocks <= 6, "0 to 6")?;
        parameter("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 1.0, "between 0 and 1")
    }

    fn profile(&self) -> Profile {
        Profile { weeks_only: true, ..Profile::TESTS }
    }

    fn history(&self, periods_per_year: usize) -> usize {
        self.years * periods_per_year + self.blocks * BLOCK + BLOCK - 1
    }

    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        self.check()?;
        series.check_counts(&range)?;
        // Years are counted in periods here, whatever the dates.
        let series = Series { dates: None, ..*series };
        Ok(range.map(|at| self.judge(&series, at)).collect())
    }
}

impl Cdc {
    /// The verdict on the block that ends with `at`; `expected` and `upper_bound` are of the block's sum.
    fn judge(&self, series: &Series<'_>, at: usize) -> Verdict {
        let Some(sums) = self.sums(series, at) else { return Verdict::TooEarly };
        let now = block(series, at);
        if now.is_nan() {
            return Verdict::NotDefined(Undefined::NoValue);
        }
        let known: Vec<f64> = sums.into_iter().filter(|s| !s.is_nan()).collect();
        let Some((mean, sd)) = mean_sd(&known) else { return Verdict::NotDefined(Undefined::Gap) };
        let spread = sd * (1.0 + 1.0 / known.len() as f64).sqrt();
        let bound = mean + normal::upper_quantile(self.alpha / 2.0) * spread;
        let score = (now - mean) / spread;
        Judgement::new(now > bound)
            .expected(mean)
            .upper_bound(bound)
            .score(score)
            .p_value(normal::upper(score))
            .into()
    }

    /// Sums of the reference blocks; `None` where some lie before the series.
    fn sums(&self, series: &Series<'_>, at: usize) -> Option<Vec<f64>> {
        let mut sums = Vec::with_capacity(self.years * (2 * self.blocks + 1));
        for back in 1..=self.years {
            let last = years_before(series, at, back)? + self.blocks * BLOCK;
            for side in 0..=2 * self.blocks {
                let end = last.checked_sub(side * BLOCK).filter(|end| *end + 1 >= BLOCK)?;
                sums.push(block(series, end.min(at)));
            }
        }
        Some(sums)
    }
}

/// Sum of the block that ends with `at`.
fn block(series: &Series<'_>, at: usize) -> f64 {
    series.values[(at + 1).saturating_sub(BLOCK)..=at].iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_high_weeks_alarm_together() {
        let mut values: Vec<f64> = (0..280).map(|t| f64::from(5 + t * 3 % 4)).collect();
        values[276..].fill(12.0);
        let detector = Cdc::default();
        let verdicts = detector.evaluate(&Series::new(&values), 266..280).expect("counts");
        assert_eq!(verdicts[0], Verdict::TooEarly);
        assert!(!verdicts[1].alarm() && verdicts[13].alarm());
    }
}
