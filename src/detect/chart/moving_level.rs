//! Moving level: a count against a level that follows the counts.

use std::ops::Range;

use crate::detect::{
    Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict, parameter,
};

/// Share of the first value that the level may still hold when it is trusted.
const FORGOTTEN: f64 = 0.01;

/// A count against its exponentially weighted mean: one that jumps above it, or many that stay above it.
///
/// # What it finds
/// Daily counts of thousands of keys without a stable level: complaints by district and product. `jump` finds one day that
/// stands out, `drift` several that are each no news (a one-sided CUSUM). No training, and a few operations a value.
///
/// # Parameters
/// - `test` — `jump`: the count is above the level by `limit` standard deviations; `drift`: what the counts exceed level and
///   `slack` by adds up to more than `limit` standard deviations, and starts over after an alarm; default `jump`.
/// - `lambda` — weight of the newest count in the level, above 0 and below 1; default 0.1.
/// - `limit` — in standard deviations, above 0; default 3 for `jump`, 5 for `drift`.
/// - `slack` — excess of each count that `drift` tolerates, in standard deviations, 0 or more; default 0.5.
/// - `least_mean` — the standard deviation is the root of the level, or of this where that is more, above 0; default 0.5.
///
/// # When it misleads
/// The level follows an outbreak, too: what lasts for 1/`lambda` periods is usual afterwards. Weekdays, seasons and holidays look
/// like jumps. The standard deviation is that of a Poisson count: where counts vary more, alarms of chance are many, so ask for
/// a least value. It says nothing before the first count of a key, which sets the level.
///
/// # Source
/// Roberts 1959, Technometrics 1, 239–250 (the mean); Page 1954, Biometrika 41, 100–115 (the sum). No golden family; the same in
/// numpy is asked by job J5 of the yardstick, row for row.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MovingLevel {
    /// What is asked.
    pub test: Test,
    /// Weight of the newest count.
    pub lambda: f64,
    /// Limit in standard deviations; `None` for that of the test.
    pub limit: Option<f64>,
    /// Tolerated excess in standard deviations.
    pub slack: f64,
    /// Least mean that the standard deviation is computed from.
    pub least_mean: f64,
}

/// What is asked of a count and its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Is this one far above?
    #[default]
    Jump,
    /// Are the last ones above, together?
    Drift,
}

impl Default for MovingLevel {
    fn default() -> Self {
        Self { test: Test::Jump, lambda: 0.1, limit: None, slack: 0.5, least_mean: 0.5 }
    }
}

/// The chart while it runs: constant size, no allocation.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MovingLevelState {
    /// The level, once there was a count.
    level: Option<f64>,
    /// What the counts exceed it by, added up, in counts.
    sum: f64,
}

impl SeriesDetector for MovingLevel {
    fn check(&self) -> Result<(), Error> {
        let (lambda, limit, least) = (self.lambda, self.limit(), self.least_mean);
        parameter("lambda", lambda, lambda > 0.0 && lambda < 1.0, "above 0 and below 1")?;
        parameter("limit", limit, limit > 0.0 && limit.is_finite(), "above 0")?;
        parameter("slack", self.slack, self.slack >= 0.0 && self.slack.is_finite(), "0 or more")?;
        parameter("least_mean", least, least > 0.0 && least.is_finite(), "above 0")
    }

    fn profile(&self) -> Profile {
        Profile::CHART.by_order()
    }

    fn history(&self, _periods_per_year: usize) -> usize {
        1
    }

    fn reach(&self, _periods_per_year: usize) -> usize {
        (FORGOTTEN.ln() / (-self.lambda).ln_1p()).ceil().clamp(1.0, 10_000.0) as usize
    }

    /// `score` is in standard deviations: the count above the level, or the sum.
    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        self.check()?;
        let mut state = self.set(series, &range)?;
        Ok(series.values[range].iter().map(|value| self.judge(&mut state, *value)).collect())
    }

    /// Without a verdict on each of a long chart.
    fn last(&self, series: &Series<'_>, range: Range<usize>) -> Result<Verdict, Error> {
        self.check()?;
        let mut state = self.set(series, &range)?;
        let Some((last, before)) = series.values[range].split_last() else {
            return Ok(Verdict::TooEarly);
        };
        for value in before {
            match self.test {
                Test::Jump => self.follow(&mut state, *value),
                Test::Drift => _ = self.judge(&mut state, *value),
            }
        }
        Ok(self.judge(&mut state, *last))
    }
}

impl MovingLevel {
    fn limit(&self) -> f64 {
        self.limit.unwrap_or(match self.test {
            Test::Jump => 3.0,
            Test::Drift => 5.0,
        })
    }

    /// The chart before the first of the periods `range`.
    fn set(&self, series: &Series<'_>, range: &Range<usize>) -> Result<MovingLevelState, Error> {
        series.check_counts(range)?;
        let mut state = MovingLevelState::default();
        series.values[..range.start].iter().for_each(|value| self.follow(&mut state, *value));
        Ok(state)
    }

    /// Moves the level by a count, and nothing else.
    pub fn follow(&self, state: &mut MovingLevelState, value: f64) {
        state.level = match state.level {
            _ if value.is_nan() => state.level,
            Some(level) => Some(level * (1.0 - self.lambda) + value * self.lambda),
            None => (value > 0.0).then_some(value),
        };
    }

    /// The verdict on the next count; a missing one leaves the chart as it is.
    pub fn judge(&self, state: &mut MovingLevelState, value: f64) -> Verdict {
        if value.is_nan() {
            return Verdict::NotDefined(Undefined::NoValue);
        }
        let Some(level) = state.level else {
            self.follow(state, value);
            return Verdict::TooEarly;
        };
        let sd = level.max(self.least_mean).sqrt();
        let limit = self.limit() * sd;
        let (alarm, bound, score) = match self.test {
            Test::Jump => (value > level + limit, level + limit, (value - level) / sd),
            Test::Drift => {
                let bound = level + self.slack * sd + limit - state.sum;
                let sum = (state.sum + value - level - self.slack * sd).max(0.0);
                let alarm = sum > limit;
                state.sum = if alarm { 0.0 } else { sum };
                (alarm, bound, sum / sd)
            }
        };
        self.follow(state, value);
        Judgement::new(alarm).expected(level).upper_bound(bound).score(score).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarms(test: Test, values: &[f64], range: Range<usize>) -> Vec<usize> {
        let detector = MovingLevel { test, ..MovingLevel::default() };
        let verdicts = detector.evaluate(&Series::new(values), range.clone()).expect("counts");
        range.zip(verdicts).filter(|(_, v)| v.alarm()).map(|(at, _)| at).collect()
    }

    #[test]
    fn a_jump_stands_out_and_a_drift_adds_up() {
        let mut values = vec![0.0, 0.0, 9.0];
        values.extend([8.0, 10.0, 9.0, 9.0].repeat(5));
        values.extend([25.0, 9.0, 9.0, 9.0]);
        // The first count sets the level; 25 is more than 9 and three times its root.
        assert_eq!(alarms(Test::Jump, &values, 0..values.len()), [23]);
        let mut rising = vec![16.0; 20];
        rising.extend([23.0; 8]);
        assert_eq!(alarms(Test::Jump, &rising, 0..rising.len()), [0; 0]);
        // Levels 16, 16.9, 17.71, 18.44; sums 7, 13.04, 18.23, 22.64 against 20, 20.55, 21.04, 21.47; then it starts over.
        rising.truncate(20);
        rising.extend([25.0; 8]);
        assert_eq!(alarms(Test::Drift, &rising, 0..rising.len()), [23]);
    }

    #[test]
    fn it_says_nothing_before_the_first_count() {
        let detector = MovingLevel::default();
        let verdicts = detector.evaluate(&Series::new(&[0.0, 40.0, 1.0]), 0..3).expect("counts");
        assert_eq!(verdicts[..2], [Verdict::TooEarly; 2]);
        assert_eq!(verdicts[2].judged().and_then(|j| j.expected), Some(40.0));
    }

    #[test]
    fn the_last_verdict_is_the_last_of_all() {
        let values: Vec<f64> = (0..60).map(|t| f64::from(t * 7 % 11 + t / 6)).collect();
        for test in [Test::Jump, Test::Drift] {
            let detector = MovingLevel { test, limit: Some(1.0), ..MovingLevel::default() };
            for range in [0..60, 7..48, 20..21] {
                let series = Series::new(&values);
                let all = detector.evaluate(&series, range.clone()).expect("counts");
                assert_eq!(detector.last(&series, range).ok(), all.last().copied());
            }
        }
    }

    #[test]
    fn a_gap_leaves_it_as_it_is() {
        let with = [9.0, 9.0, f64::NAN, 30.0];
        let without = [9.0, 9.0, 30.0];
        assert_eq!(alarms(Test::Jump, &with, 0..4), [3]);
        assert_eq!(alarms(Test::Jump, &without, 0..3), [2]);
    }

    #[test]
    fn the_reach_forgets_the_first_value() {
        let reach = MovingLevel::default().reach(365);
        assert!(0.9_f64.powi(reach as i32) <= 0.01 && 0.9_f64.powi(reach as i32 - 1) > 0.01);
    }
}
