//! Rhythm: how long a feed is usually silent, and when its silence says that something is broken.
//!
//! In: the times at which its records arrived. Out: how long it may be silent: two days at least, else twice
//! the longest silence but one that it has had. The longest but one, so that a single outage does not make the next one
//! usual; two days, so that an office that sends on working days has its weekend.

use crate::model::time::DAY_MS;

/// Silence so short is never a fault.
const LEAST_MS: i64 = 2 * DAY_MS;

/// When records of a feed arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rhythm {
    last_ms: Option<i64>,
    /// The longest times between two arrivals, the longest first.
    longest_ms: [i64; 2],
}

impl Rhythm {
    /// Records arrived.
    pub fn take(&mut self, arrived_ms: i64) {
        let gap = arrived_ms.saturating_sub(self.last_ms.unwrap_or(arrived_ms)).max(0);
        let [first, second] = self.longest_ms;
        self.longest_ms = [first.max(gap), second.max(gap.min(first))];
        self.last_ms = self.last_ms.max(Some(arrived_ms));
    }

    /// When records arrived last.
    #[must_use]
    pub fn last_ms(&self) -> Option<i64> {
        self.last_ms
    }

    /// For how long the feed may be silent.
    #[must_use]
    pub fn silence_max_ms(&self) -> i64 {
        LEAST_MS.max(self.longest_ms[1].saturating_mul(2))
    }

    /// Whether it has brought something, and now nothing for longer than it may be silent.
    #[must_use]
    pub fn has_stalled(&self, now_ms: i64) -> bool {
        self.last_ms.is_some_and(|last| now_ms.saturating_sub(last) > self.silence_max_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arrivals in days, and for how many days the feed may be silent then.
    fn check(days: &[i64], silence_max: f64) {
        let mut rhythm = Rhythm::default();
        days.iter().for_each(|day| rhythm.take(day * DAY_MS));
        assert_eq!(rhythm.silence_max_ms() as f64 / DAY_MS as f64, silence_max, "{days:?}");
        let last = days.iter().max().map(|day| day * DAY_MS);
        assert_eq!(rhythm.last_ms(), last);
        let Some(last) = last else { return };
        assert!(!rhythm.has_stalled(last + rhythm.silence_max_ms()));
        assert!(rhythm.has_stalled(last + rhythm.silence_max_ms() + 1));
    }

    #[test]
    fn a_feed_may_be_silent_as_it_usually_is() {
        check(&[], 2.0);
        check(&[0], 2.0);
        check(&[0, 1, 2, 3], 2.0);
        check(&[0, 7, 14, 21], 14.0);
        // One outage of thirty days is nothing usual, a second one is.
        check(&[0, 1, 31, 32, 33], 2.0);
        check(&[0, 1, 31, 32, 62], 60.0);
        // What comes out of order is no silence.
        check(&[0, 7, 3, 14, 10], 14.0);
    }

    #[test]
    fn what_never_came_has_not_stalled() {
        assert!(!Rhythm::default().has_stalled(i64::MAX));
    }
}
