//! Shewhart: a single value far above the mean.

use std::ops::Range;

use super::Training;
use crate::detect::{
    Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict, math::normal, parameter,
};

/// Shewhart chart: one value more than `limit` standard deviations above the mean.
///
/// # What it finds
/// A sudden large jump of a measure in one period.
///
/// # Parameters
/// - `limit` — standard deviations above the mean, above 0; default 3.
/// - `training` — `periods` before the chart that give mean and deviation (default 28), or `mean` and `sd` themselves.
///
/// # When it misleads
/// Blind to small shifts, however long they last. An outbreak in the training periods widens the limits. Counts below about
/// 10 are skew: far more false alarms than the 0.13 % of the normal distribution. No season, no trend.
///
/// # Source
/// Shewhart 1931, Economic Control of Quality of Manufactured Product. Golden family `ewma_shewhart`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shewhart {
    /// Standard deviations above the mean.
    pub limit: f64,
    /// Where level and spread come from.
    pub training: Training,
}

impl Default for Shewhart {
    fn default() -> Self {
        Self { limit: 3.0, training: Training::default() }
    }
}

impl SeriesDetector for Shewhart {
    fn check(&self) -> Result<(), Error> {
        parameter("limit", self.limit, self.limit > 0.0 && self.limit.is_finite(), "above 0")?;
        self.training.check()
    }

    fn profile(&self) -> Profile {
        Profile::TESTS.by_order()
    }

    fn history(&self, _periods_per_year: usize) -> usize {
        self.training.history()
    }

    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        self.check()?;
        series.check(&range)?;
        if range.start < self.training.history() {
            return Ok(vec![Verdict::TooEarly; range.len()]);
        }
        let level = match self.training.level(&series.values[..range.start]) {
            Ok(level) => level,
            Err(why) => return Ok(vec![Verdict::NotDefined(why); range.len()]),
        };
        Ok(series.values[range].iter().map(|value| self.judge(level, *value)).collect())
    }
}

impl Shewhart {
    /// The verdict on one value; `score` in standard deviations.
    #[must_use]
    pub fn judge(&self, (mean, sd): (f64, f64), value: f64) -> Verdict {
        if value.is_nan() {
            return Verdict::NotDefined(Undefined::NoValue);
        }
        let (score, bound) = ((value - mean) / sd, mean + self.limit * sd);
        Judgement::new(value > bound)
            .expected(mean)
            .upper_bound(bound)
            .score(score)
            .p_value(normal::upper(score))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_far_value_alarms() {
        let training = Training { mean: Some(10.0), sd: Some(2.0), ..Training::default() };
        let chart = Shewhart { training, ..Shewhart::default() };
        let verdicts =
            chart.evaluate(&Series::new(&[15.0, 16.0, 16.5, f64::NAN]), 0..4).expect("values");
        let alarms: Vec<bool> = verdicts.iter().map(Verdict::alarm).collect();
        assert_eq!(alarms, [false, false, true, false]);
        assert_eq!(verdicts[3], Verdict::NotDefined(Undefined::NoValue));
    }
}
