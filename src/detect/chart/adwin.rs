//! ADWIN: a window that grows while nothing changes, and drops its old part when something did.

use std::ops::Range;

use crate::detect::{
    Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict, parameter,
};

/// Values between two searches for a cut.
const CLOCK: u64 = 32;
/// Buckets of one size before two are merged.
const BUCKETS_MAX: usize = 5;
/// Values that each side of a cut must have.
const SIDE_MIN: f64 = 5.0;
/// Values below which no cut is searched.
const GRACE: f64 = 10.0;

/// ADWIN: mean of as many of the last values as are alike.
///
/// # What it finds
/// A change of a rate or mean, up or down, without a window size to choose: share of failed samples, of late cases. Its window
/// is a baseline that adapts.
///
/// # Parameters
/// - `delta` — probability of a false cut, above 0 and below 1; default 0.002.
///
/// # When it misleads
/// It looks every 32 values, so it is that late at least. A season is a change to it. The bound is wide: small changes take
/// hundreds of values.
///
/// # Source
/// Bifet and Gavaldà 2007, SIAM Data Mining, 443–448. river: drift.ADWIN 0.26.1, whose details (bucket rows, every 32 values,
/// sides of 5, a new
/// window after an alarm) are kept. Golden family `adwin`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adwin {
    /// Probability of a false cut.
    pub delta: f64,
}

impl Default for Adwin {
    fn default() -> Self {
        Self { delta: 0.002 }
    }
}

/// Values summed up: how many the row tells.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Bucket {
    total: f64,
    /// Sum of squared deviations from the bucket's mean.
    squares: f64,
}

/// Buckets of one size, oldest first; what lies behind the last is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Row {
    buckets: [Bucket; BUCKETS_MAX + 1],
    used: usize,
}

impl Row {
    fn buckets(&self) -> &[Bucket] {
        &self.buckets[..self.used]
    }

    fn push(&mut self, bucket: Bucket) {
        self.buckets[self.used] = bucket;
        self.used += 1;
    }

    /// Takes the oldest out.
    fn take_oldest(&mut self) -> Bucket {
        let oldest = self.buckets[0];
        self.buckets.copy_within(1.., 0);
        self.used -= 1;
        self.buckets[self.used..].fill(Bucket::default());
        oldest
    }
}

/// The window while it grows: some 5·log₂(width) buckets. It allocates only where it has never been as wide.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AdwinState {
    /// Row r holds buckets of 2ʳ values; higher rows are older.
    rows: Vec<Row>,
    width: f64,
    total: f64,
    squares: f64,
    ticks: u64,
    /// Whether the last value brought an alarm, after which the window starts anew.
    changed: bool,
}

impl SeriesDetector for Adwin {
    fn check(&self) -> Result<(), Error> {
        let delta = self.delta;
        parameter("delta", delta, delta > 0.0 && delta < 1.0, "above 0 and below 1")
    }

    fn profile(&self) -> Profile {
        Profile::CHART.by_order()
    }

    fn history(&self, _periods_per_year: usize) -> usize {
        0
    }

    /// `expected` is the window's mean before the value; `score` the window's width after it.
    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        self.check()?;
        series.check(&range)?;
        let mut state = AdwinState::default();
        Ok(series.values[range].iter().map(|value| self.judge(&mut state, *value)).collect())
    }
}

impl Adwin {
    /// The verdict on the next value; a missing one leaves the window as it is.
    pub fn judge(&self, state: &mut AdwinState, value: f64) -> Verdict {
        if value.is_nan() {
            return Verdict::NotDefined(Undefined::NoValue);
        }
        if state.changed {
            state.restart();
        }
        let expected = state.mean();
        state.add(value);
        let alarm = state.ticks.is_multiple_of(CLOCK) && state.width > GRACE && self.cut(state);
        state.changed = alarm;
        Judgement::new(alarm).expected(expected).score(state.width).into()
    }

    /// Drops the oldest bucket for as long as some cut parts the window into two that differ.
    fn cut(&self, state: &mut AdwinState) -> bool {
        let mut changed = false;
        while self.parts(state) {
            changed = true;
            state.drop_oldest();
        }
        changed
    }

    /// Whether some cut parts the window into two that differ.
    fn parts(&self, state: &AdwinState) -> bool {
        let (mut old, mut old_total) = (0.0, 0.0);
        for (row, buckets) in state.rows.iter().enumerate().rev() {
            for bucket in buckets.buckets() {
                old += size(row);
                old_total += bucket.total;
                let (new, new_total) = (state.width - old, state.total - old_total);
                if old < SIDE_MIN || new < SIDE_MIN {
                    continue;
                }
                let difference = old_total / old - new_total / new;
                if difference.abs() > self.limit(state, old, new) {
                    return true;
                }
            }
        }
        false
    }

    /// ε of the paper for sides of `old` and `new` values.
    fn limit(&self, state: &AdwinState, old: f64, new: f64) -> f64 {
        let delta = (2.0 * state.width.ln() / self.delta).ln();
        let reciprocal = 1.0 / (old - SIDE_MIN + 1.0) + 1.0 / (new - SIDE_MIN + 1.0);
        let variance = state.squares / state.width;
        (2.0 * reciprocal * variance * delta).sqrt() + 2.0 / 3.0 * delta * reciprocal
    }
}

impl AdwinState {
    /// Number of values in the window.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Mean of the window; 0 for an empty one.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.width > 0.0 { self.total / self.width } else { 0.0 }
    }

    /// Sum of squared deviations from the window's mean.
    #[must_use]
    pub fn squares(&self) -> f64 {
        self.squares
    }

    fn add(&mut self, value: f64) {
        self.ticks += 1;
        if self.width > 0.0 {
            let off = value - self.mean();
            self.squares += self.width * off * off / (self.width + 1.0);
        }
        self.width += 1.0;
        self.total += value;
        self.push(0, Bucket { total: value, squares: 0.0 });
        self.compress();
    }

    /// Forgets all values, but keeps its memory.
    fn restart(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        *self = Self { rows, ..Self::default() };
    }

    fn push(&mut self, row: usize, bucket: Bucket) {
        if row == self.rows.len() {
            self.rows.push(Row::default());
        }
        self.rows[row].push(bucket);
    }

    /// Merges the two oldest buckets of each row that has too many.
    fn compress(&mut self) {
        let mut row = 0;
        while row < self.rows.len() && self.rows[row].used > BUCKETS_MAX {
            let (a, b) = (self.rows[row].take_oldest(), self.rows[row].take_oldest());
            let n = size(row);
            let off = a.total / n - b.total / n;
            let squares = a.squares + b.squares + n * off * off / 2.0;
            self.push(row + 1, Bucket { total: a.total + b.total, squares });
            row += 1;
        }
    }

    fn drop_oldest(&mut self) {
        let Some(row) = self.rows.len().checked_sub(1) else { return };
        let (bucket, n) = (self.rows[row].take_oldest(), size(row));
        self.width -= n;
        self.total -= bucket.total;
        let off = bucket.total / n - self.mean();
        let apart = n * self.width * off * off / (n + self.width);
        self.squares -= bucket.squares + apart;
        if self.rows[row].used == 0 {
            self.rows.pop();
        }
    }
}

/// Values in a bucket of a row.
fn size(row: usize) -> f64 {
    2f64.powi(i32::try_from(row).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shortens_the_window() {
        let mut state = AdwinState::default();
        let adwin = Adwin::default();
        let mut alarms = 0;
        for i in 0..640_u32 {
            let value = if i < 320 { f64::from(i % 2) } else { 5.0 + f64::from(i % 2) };
            alarms += u32::from(adwin.judge(&mut state, value).alarm());
        }
        assert!(alarms >= 1 && state.width() < 400.0 && state.mean() > 4.5);
    }

    #[test]
    fn equal_values_are_one_window() {
        let mut state = AdwinState::default();
        (0..10_000).for_each(|_| assert!(!Adwin::default().judge(&mut state, 3.0).alarm()));
        assert_eq!((state.width(), state.mean(), state.squares()), (10_000.0, 3.0, 0.0));
    }
}
