//! Page–Hinkley: has the mean of a stream moved?

use std::ops::Range;

use crate::detect::{
    Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict, parameter,
};

/// Page–Hinkley test: deviations from the running mean, added up, against their lowest (highest) point so far.
///
/// # What it finds
/// A lasting move of a continuous measure, up or down: processing times, a price index. Constant memory and a few operations
/// a value.
///
/// # Parameters
/// - `delta` — deviation that is tolerated, in the measure's unit, 0 or more; default 0.005.
/// - `threshold` — sum of deviations beyond which the mean has moved, in the measure's unit, above 0; default 50.
/// - `alpha` — share of the sum that each step keeps, above 0 and at most 1; default 0.9999.
/// - `min_instances` — values before the first judgement after a start, 1 or more; default 30.
/// - `direction` — `up`, `down` or `both`; default `both`.
///
/// # When it misleads
/// `delta` and `threshold` are in the measure's unit: choose them from its standard deviation (some 0.1 and 10 to 50 of it).
/// A season moves the mean too. After an alarm the test starts over and knows nothing for `min_instances` values.
///
/// # Source
/// Page 1954, Biometrika 41, 100–115; Hinkley 1971. river: drift.PageHinkley 0.26.1. Golden family `page_hinkley`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PageHinkley {
    /// Deviation that is tolerated.
    pub delta: f64,
    /// Sum of deviations beyond which the mean has moved.
    pub threshold: f64,
    /// Share of the sum that each step keeps.
    pub alpha: f64,
    /// Values before the first judgement.
    pub min_instances: usize,
    /// Which moves count.
    pub direction: Direction,
}

/// Which moves of the mean count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Upwards.
    Up,
    /// Downwards.
    Down,
    /// Either.
    #[default]
    Both,
}

impl Default for PageHinkley {
    fn default() -> Self {
        Self {
            delta: 0.005,
            threshold: 50.0,
            alpha: 0.9999,
            min_instances: 30,
            direction: Direction::Both,
        }
    }
}

/// The test while it runs: constant size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PageHinkleyState {
    values: f64,
    mean: f64,
    up: f64,
    up_min: f64,
    down: f64,
    down_max: f64,
}

impl Default for PageHinkleyState {
    fn default() -> Self {
        let (up_min, down_max) = (f64::INFINITY, f64::NEG_INFINITY);
        Self { values: 0.0, mean: 0.0, up: 0.0, up_min, down: 0.0, down_max }
    }
}

impl SeriesDetector for PageHinkley {
    fn check(&self) -> Result<(), Error> {
        let (delta, threshold, alpha) = (self.delta, self.threshold, self.alpha);
        parameter("delta", delta, delta >= 0.0 && delta.is_finite(), "0 or more")?;
        parameter("threshold", threshold, threshold > 0.0 && threshold.is_finite(), "above 0")?;
        parameter("alpha", alpha, alpha > 0.0 && alpha <= 1.0, "above 0 and at most 1")?;
        let least = self.min_instances;
        parameter("min_instances", least as f64, least >= 1, "1 or more")
    }

    fn profile(&self) -> Profile {
        Profile::CHART.by_order()
    }

    fn history(&self, _periods_per_year: usize) -> usize {
        0
    }

    /// `score` is the larger of the sums that count, in the measure's unit.
    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        self.check()?;
        series.check(&range)?;
        let mut state = PageHinkleyState::default();
        Ok(series.values[range].iter().map(|value| self.judge(&mut state, *value)).collect())
    }
}

impl PageHinkley {
    /// The verdict on the next value; a missing one leaves the test as it is.
    pub fn judge(&self, state: &mut PageHinkleyState, value: f64) -> Verdict {
        if value.is_nan() {
            return Verdict::NotDefined(Undefined::NoValue);
        }
        let expected = state.mean;
        state.values += 1.0;
        state.mean += (value - state.mean) / state.values;
        let deviation = value - state.mean;
        state.up = self.alpha * state.up + deviation - self.delta;
        state.down = self.alpha * state.down + deviation + self.delta;
        state.up_min = state.up_min.min(state.up);
        state.down_max = state.down_max.max(state.down);
        if state.values < self.min_instances as f64 {
            return Verdict::TooEarly;
        }
        let (up, down) = (state.up - state.up_min, state.down_max - state.down);
        let moved = match self.direction {
            Direction::Up => up,
            Direction::Down => down,
            Direction::Both => up.max(down),
        };
        let alarm = moved > self.threshold;
        if alarm {
            *state = PageHinkleyState::default();
        }
        Judgement::new(alarm).expected(expected).score(moved).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_alarms_once_in_its_direction() {
        let mut values: Vec<f64> = (0..100).map(|i| f64::from(i % 3)).collect();
        values.extend((0..100).map(|i| 8.0 + f64::from(i % 3)));
        let count = |direction| {
            let test = PageHinkley { direction, ..PageHinkley::default() };
            let verdicts = test.evaluate(&Series::new(&values), 0..200).expect("values");
            verdicts.iter().filter(|v| v.alarm()).count()
        };
        assert_eq!(
            (count(Direction::Up), count(Direction::Down), count(Direction::Both)),
            (1, 0, 1)
        );
    }
}
