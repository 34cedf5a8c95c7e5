//! EWMA: an exponentially weighted mean that leaves its limits.

use std::ops::Range;

use super::Training;
use crate::detect::{
    Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict, math::normal, parameter,
};

/// EWMA chart: the exponentially weighted mean of a measure, with exact limits.
///
/// # What it finds
/// A small shift of the level that lasts: processing times, a price index, complaints a day that rise by a fifth. Slower than
/// Shewhart on a jump, faster on a drift.
///
/// # Parameters
/// - `lambda` — weight of the newest value, above 0 and at most 1; default 0.2. Smaller remembers longer.
/// - `limit` — width of the limits in standard errors, above 0; default 3.
/// - `training` — `periods` before the chart that give mean and deviation (default 28), or `mean` and `sd` themselves.
///
/// # When it misleads
/// Season and trend look like a shift: take them out first. Values that depend on their predecessor make the limits too
/// narrow. The chart never starts over by itself: after an alarm it stays out until the level is back.
///
/// # Source
/// Roberts 1959, Technometrics 1, 239–250; limits μ ± L·σ·√(λ/(2−λ)·(1−(1−λ)²ⁱ)). Golden family `ewma_shewhart`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ewma {
    /// Weight of the newest value.
    pub lambda: f64,
    /// Width of the limits in standard errors.
    pub limit: f64,
    /// Where level and spread come from.
    pub training: Training,
}

impl Default for Ewma {
    fn default() -> Self {
        Self { lambda: 0.2, limit: 3.0, training: Training::default() }
    }
}

/// The chart while it runs: constant size, no allocation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EwmaState {
    /// The weighted mean, in the series' unit.
    pub value: f64,
    /// (1−λ)²ⁱ after i values.
    pub forgotten: f64,
}

/// The chart after one value, all in the series' unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EwmaStep {
    /// The weighted mean.
    pub value: f64,
    /// Its standard error.
    pub se: f64,
    /// Upper limit.
    pub upper: f64,
    /// Lower limit.
    pub lower: f64,
}

impl EwmaState {
    /// A chart that begins at `mean`.
    #[must_use]
    pub fn new(mean: f64) -> Self {
        Self { value: mean, forgotten: 1.0 }
    }

    /// Takes in `value`.
    pub fn add(&mut self, chart: &Ewma, (mean, sd): (f64, f64), value: f64) -> EwmaStep {
        let keep = 1.0 - chart.lambda;
        self.value = chart.lambda * value + keep * self.value;
        self.forgotten *= keep * keep;
        let se = sd * (chart.lambda / (2.0 - chart.lambda) * (1.0 - self.forgotten)).sqrt();
        let half = chart.limit * se;
        EwmaStep { value: self.value, se, upper: mean + half, lower: mean - half }
    }
}

impl SeriesDetector for Ewma {
    fn check(&self) -> Result<(), Error> {
        let (lambda, limit) = (self.lambda, self.limit);
        parameter("lambda", lambda, lambda > 0.0 && lambda <= 1.0, "above 0 and at most 1")?;
        parameter("limit", limit, limit > 0.0 && limit.is_finite(), "above 0")?;
        self.training.check()
    }

    fn profile(&self) -> Profile {
        Profile { p_value: true, ..Profile::CHART.by_order() }
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
        let mut state = EwmaState::new(level.0);
        Ok(series.values[range].iter().map(|value| self.judge(&mut state, level, *value)).collect())
    }
}

impl Ewma {
    /// The verdict on the next value; `score` in standard errors. A missing value leaves the chart as it is.
    pub fn judge(&self, state: &mut EwmaState, level: (f64, f64), value: f64) -> Verdict {
        if value.is_nan() {
            return Verdict::NotDefined(Undefined::NoValue);
        }
        let before = state.value;
        let step = state.add(self, level, value);
        let score = (step.value - level.0) / step.se;
        Judgement::new(step.value > step.upper)
            .expected(level.0)
            .upper_bound((step.upper - (1.0 - self.lambda) * before) / self.lambda)
            .score(score)
            .p_value(normal::upper(score))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_small_shift_alarms_and_its_bound_is_of_the_values() {
        let mut values: Vec<f64> = (0..28).map(|i| 10.0 + f64::from(i % 5)).collect();
        values.extend([14.0; 12]);
        let verdicts = Ewma::default().evaluate(&Series::new(&values), 28..40).expect("values");
        let first = verdicts.iter().position(Verdict::alarm);
        assert_eq!(first, Some(4), "one value of 14 is ordinary, five in a row are not");
        for (verdict, value) in verdicts.iter().zip(&values[28..]) {
            let judged = verdict.judged().expect("judged");
            assert_eq!(judged.alarm, *value > judged.upper_bound.expect("a bound"));
        }
    }

    #[test]
    fn without_variation_there_is_no_chart() {
        let values = [5.0; 40];
        let verdicts = Ewma::default().evaluate(&Series::new(&values), 27..30).expect("values");
        assert_eq!(verdicts, [Verdict::TooEarly; 3]);
        let verdicts = Ewma::default().evaluate(&Series::new(&values), 28..30).expect("values");
        assert_eq!(verdicts, [Verdict::NotDefined(Undefined::NoFit); 2]);
    }
}
