//! Cold keys: keys with too few rows for any rule to fire, which are only counted.
//!
//! Most businesses have one complaint a year, and most rules ask for ten a week. Slices all of whose rules need a minimum
//! of rows wait until a key could have it: until then its rows cost one count, not one state per slice. When the count
//! gets there the key turns hot, and its rows, which are kept anyway, are added to the slices as if they had been from
//! the start. The count errs upwards, so a key is never hot too late; it turns cold again when nothing of it is left.

use crate::model::hash::HashedMap;

/// The keys of one feed and keying.
#[derive(Debug)]
pub struct ColdKeys {
    /// Slices that wait, by position in the plan.
    pub slices: Vec<usize>,
    /// Fewest rows with which any of them is asked.
    threshold: u32,
    /// Longest time a row can matter to them.
    horizon_ms: i64,
    counts: HashedMap<u32, Count>,
    /// The epoch in which forgotten keys were last looked for.
    swept: i32,
}

/// Rows of a key in this epoch and the one before; an epoch is as long as the horizon.
#[derive(Debug, Clone, Copy)]
struct Count {
    epoch: i32,
    now: u32,
    before: u32,
    heat: Heat,
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heat {
    Cold,
    /// Turned hot within the piece at hand: its rows are added at the piece's end.
    Turning,
    Hot,
}

impl Count {
    fn roll(&mut self, epoch: i32) {
        if self.epoch != epoch {
            self.before = if self.epoch + 1 == epoch { self.now } else { 0 };
            (self.now, self.epoch) = (0, epoch);
        }
    }
}

impl ColdKeys {
    /// No keys yet.
    #[must_use]
    pub fn new(slices: Vec<usize>, threshold: u32, horizon_ms: i64) -> Self {
        Self {
            slices,
            threshold,
            horizon_ms: horizon_ms.max(1),
            counts: HashedMap::default(),
            swept: i32::MIN,
        }
    }

    /// Counts one row of a key; `latest_ms` is the latest event time seen. Returns whether the key is known for the first
    /// time, and whether the row goes to the slices now. Keys that turn hot are pushed to `turning`.
    #[inline]
    pub fn count(&mut self, key: u32, latest_ms: i64, turning: &mut Vec<u32>) -> (bool, bool) {
        let epoch = self.epoch(latest_ms);
        let mut new = false;
        let count = self.counts.entry(key).or_insert_with(|| {
            new = true;
            Count { epoch, now: 0, before: 0, heat: Heat::Cold }
        });
        count.roll(epoch);
        count.now += 1;
        if count.heat == Heat::Cold && count.now + count.before >= self.threshold {
            count.heat = Heat::Turning;
            turning.push(key);
        }
        (new, count.heat == Heat::Hot)
    }

    /// The rows of a key that turned hot are in the slices.
    pub fn turned(&mut self, key: u32) {
        if let Some(count) = self.counts.get_mut(&key) {
            count.heat = Heat::Hot;
        }
    }

    /// Keys of which nothing is left, once an epoch; `in_use` tells whether a slice still has panes of a hot key.
    pub fn sweep(&mut self, latest_ms: i64, in_use: impl Fn(u32) -> bool) -> Vec<u32> {
        let epoch = self.epoch(latest_ms);
        if epoch == self.swept {
            return Vec::new();
        }
        self.swept = epoch;
        let mut gone = Vec::new();
        self.counts.retain(|key, count| {
            count.roll(epoch);
            if count.heat == Heat::Hot && !in_use(*key) {
                count.heat = Heat::Cold;
            }
            let keep = count.heat != Heat::Cold || count.now + count.before > 0;
            if !keep {
                gone.push(*key);
            }
            keep
        });
        gone.sort_unstable();
        gone
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.counts.capacity() * (size_of::<(u32, Count)>() + 1)
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
        let mut keys = ColdKeys::new(vec![0], 3, 100);
        let mut turning = Vec::new();
        assert_eq!(keys.count(7, 10, &mut turning), (true, false));
        assert_eq!(keys.count(7, 90, &mut turning), (false, false));
        assert_eq!(
            keys.count(7, 110, &mut turning),
            (false, false),
            "two of the epoch before count"
        );
        assert_eq!(turning, [7]);
        keys.turned(7);
        assert_eq!(keys.count(7, 110, &mut turning), (false, true));
        assert!(keys.sweep(500, |_| true).is_empty(), "its panes are still there");
        assert_eq!(keys.sweep(600, |_| false), [7]);
    }
}
