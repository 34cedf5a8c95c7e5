//! Cold keys: keys of which too little is known for any rule to fire, which are only counted.
//!
//! Most businesses have one complaint a year, and most rules ask for ten a week. Slices all of whose rules need a minimum
//! of rows, or of a sum, wait until a key could have it: until then its rows cost one number, not one state per slice.
//! When the number gets there the key turns hot, and its rows, which are kept anyway, are added to the slices as if they
//! had been from the start. The number errs upwards: it counts rows that the slices' filters refuse, of two epochs, each as
//! long as the longest window. So a key is never hot too late; it is forgotten when nothing of it is left.
//!
//! A hot key has a number among the hot keys, under which the slices that waited know it: these numbers are low whatever
//! the number of keys is, so that a slice can be a table of them.

use super::{
    plan::Weight,
    prepare::{ArgValues, Prepared},
    slice::NO_KEY,
};

/// What a key must have to turn hot. Below 1, so that the rounding of many small parts cannot make it late.
const ENOUGH: f64 = 1.0 - 1e-6;

/// The keys of one feed and keying that some slices wait for.
#[derive(Debug)]
pub struct ColdKeys {
    /// The keying.
    pub keying: usize,
    /// Slices that wait, by position in the plan.
    pub slices: Vec<usize>,
    /// By argument, the largest part that any of them gives it.
    weights: Vec<Weight>,
    /// Longest time a row can matter to them.
    horizon_ms: i64,
    /// By key.
    counts: Vec<Count>,
    /// By number of a hot key: the key.
    hot: Vec<u32>,
    /// Numbers that no key has.
    free: Vec<u32>,
    /// The epoch in which forgotten keys were last looked for.
    swept: i32,
}

/// Weight of a key's rows in this epoch and the one before; an epoch is as long as the horizon.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    epoch: i32,
    /// The epoch of the last row: one that weighs nothing is a row all the same.
    seen: i32,
    heat: Heat,
    now: f64,
    before: f64,
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Heat {
    /// Nothing is known of it.
    #[default]
    Unknown,
    Cold,
    /// Turned hot within the piece at hand: its rows are added at the piece's end.
    Turning,
    /// Under this number.
    Hot(u32),
}

impl Count {
    fn roll(&mut self, epoch: i32) {
        if self.epoch != epoch {
            self.before = if self.epoch + 1 == epoch { self.now } else { 0.0 };
            (self.now, self.epoch) = (0.0, epoch);
        }
    }
}

impl ColdKeys {
    /// No keys yet.
    #[must_use]
    pub fn new(keying: usize) -> Self {
        Self {
            keying,
            slices: Vec::new(),
            weights: Vec::new(),
            horizon_ms: 1,
            counts: Vec::new(),
            hot: Vec::new(),
            free: Vec::new(),
            swept: i32::MIN,
        }
    }

    /// Whether slices that wait for `weights` wait together with those here: for the same arguments.
    #[must_use]
    pub fn suits(&self, keying: usize, weights: &[Weight]) -> bool {
        let args = self.weights.iter().map(|w| w.arg);
        self.keying == keying && args.eq(weights.iter().map(|w| w.arg))
    }

    /// One more slice waits, whose rows matter for `keep_ms`.
    pub fn wait(&mut self, slice: usize, weights: &[Weight], keep_ms: i64) {
        self.slices.push(slice);
        self.horizon_ms = self.horizon_ms.max(keep_ms);
        if self.weights.is_empty() {
            self.weights = weights.to_vec();
        }
        for (mine, weight) in self.weights.iter_mut().zip(weights) {
            mine.per = mine.per.max(weight.per);
        }
    }

    /// How much row `row` of `prepared` brings its key nearer.
    #[must_use]
    pub fn weight(&self, prepared: &Prepared, row: usize) -> f64 {
        let of = |w: &Weight| match w.arg.map(|arg| &prepared.args[arg]) {
            None => w.per,
            Some(ArgValues::Fixed(values, nulls))
                if nulls.as_ref().is_none_or(|n| n.is_valid(row)) =>
            {
                values[row].max(0) as f64 * w.per
            }
            Some(_) => 0.0,
        };
        self.weights.iter().map(of).fold(0.0, f64::max)
    }

    /// Counts one row of a key, of this [`ColdKeys::weight`]; `latest_ms` is the latest event time seen. Returns whether the
    /// key is known for the first time, and its number if the row goes to the slices now, else [`NO_KEY`]. Keys that turn hot
    /// are pushed to `turning`.
    #[inline]
    pub fn count(
        &mut self,
        key: u32,
        weight: impl FnOnce(&Self) -> f64,
        latest_ms: i64,
        turning: &mut Vec<u32>,
    ) -> (bool, u32) {
        let epoch = self.epoch(latest_ms);
        if self.counts.len() <= key as usize {
            self.counts.resize(key as usize + 1, Count::default());
        }
        let count = &mut self.counts[key as usize];
        count.seen = epoch;
        if let Heat::Hot(number) = count.heat {
            return (false, number);
        }
        let new = count.heat == Heat::Unknown;
        if new {
            *count = Count { epoch, seen: epoch, heat: Heat::Cold, ..Count::default() };
        }
        let weight = weight(self);
        let count = &mut self.counts[key as usize];
        count.roll(epoch);
        count.now += weight;
        if count.heat == Heat::Cold && count.now + count.before >= ENOUGH {
            count.heat = Heat::Turning;
            turning.push(key);
        }
        (new, NO_KEY)
    }

    /// The rows of a key that turned hot go to the slices now, under the number that is returned.
    pub fn turned(&mut self, key: u32) -> u32 {
        let number = self.free.pop().unwrap_or(self.hot.len() as u32);
        if number as usize == self.hot.len() {
            self.hot.push(key);
        }
        self.hot[number as usize] = key;
        self.counts[key as usize].heat = Heat::Hot(number);
        number
    }

    /// The number of a key; [`NO_KEY`] unless it is hot.
    #[inline]
    #[must_use]
    pub fn number(&self, key: u32) -> u32 {
        match self.counts.get(key as usize).map(|count| count.heat) {
            Some(Heat::Hot(number)) => number,
            _ => NO_KEY,
        }
    }

    /// The key that has a number.
    #[inline]
    #[must_use]
    pub fn key(&self, number: u32) -> u32 {
        self.hot[number as usize]
    }

    /// Above every number that was ever given.
    #[must_use]
    pub fn numbers(&self) -> usize {
        self.hot.len()
    }

    /// Keys of which nothing is left, once an epoch; `in_use` tells whether a slice still has panes of a hot key, by number.
    pub fn sweep(&mut self, latest_ms: i64, in_use: impl Fn(u32) -> bool) -> Vec<u32> {
        let epoch = self.epoch(latest_ms);
        if epoch == self.swept {
            return Vec::new();
        }
        self.swept = epoch;
        let mut gone = Vec::new();
        for (key, count) in (0..).zip(&mut self.counts).filter(|(_, c)| c.heat != Heat::Unknown) {
            count.roll(epoch);
            if let Heat::Hot(number) = count.heat
                && count.seen + 1 < epoch
                && !in_use(number)
            {
                count.heat = Heat::Cold;
                self.free.push(number);
            }
            if count.heat == Heat::Cold && count.seen + 1 < epoch {
                count.heat = Heat::Unknown;
                gone.push(key);
            }
        }
        gone
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<Count>() + self.hot.capacity() * 4
    }

    fn epoch(&self, latest_ms: i64) -> i32 {
        latest_ms.div_euclid(self.horizon_ms) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_turns_hot_in_time_and_cold_when_nothing_is_left() {
        let mut keys = ColdKeys::new(0);
        keys.wait(0, &[Weight { arg: None, per: 1.0 / 3.0 }], 100);
        let mut turning = Vec::new();
        assert_eq!(keys.count(7, |_| 1.0 / 3.0, 10, &mut turning), (true, NO_KEY));
        assert_eq!(keys.count(7, |_| 1.0 / 3.0, 90, &mut turning), (false, NO_KEY));
        assert_eq!(
            keys.count(7, |_| 1.0 / 3.0, 110, &mut turning),
            (false, NO_KEY),
            "two of the epoch before count"
        );
        assert_eq!(turning, [7]);
        assert_eq!((keys.turned(7), keys.number(7), keys.key(0)), (0, 0, 7));
        assert_eq!(keys.count(7, |_| 1.0 / 3.0, 110, &mut turning), (false, 0));
        assert!(keys.sweep(500, |_| true).is_empty(), "its panes are still there");
        assert_eq!(keys.sweep(600, |_| false), [7]);
        assert_eq!(keys.count(8, |_| 1.0, 600, &mut turning), (true, NO_KEY));
        assert_eq!((keys.number(7), keys.turned(8)), (NO_KEY, 0), "its number is used again");
    }
}
