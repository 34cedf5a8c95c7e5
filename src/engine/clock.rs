//! Clock: where the live engine takes the present from.
//!
//! Out: the present, milliseconds since 1970: the arrival time of records that come without one, and what ages and silence
//! are held against. A simulated clock is moved by who simulates, and by the log that is walked again; it never goes back.
//! Not here: how long to wait before something is tried again, which is a matter of the machine's clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// The present.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// That of the machine.
    #[default]
    Machine,
    /// A made-up one, milliseconds since 1970.
    Simulated(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `start_ms` until it is moved.
    #[must_use]
    pub fn simulated(start_ms: i64) -> Self {
        Self::Simulated(Arc::new(AtomicI64::new(start_ms)))
    }

    /// The present, milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::Machine => machine_ms(),
            Self::Simulated(now) => now.load(Ordering::Relaxed),
        }
    }

    /// Moves a simulated clock to `ms`, never back; that of the machine goes by itself.
    pub fn reach(&self, ms: i64) {
        if let Self::Simulated(now) = self {
            now.fetch_max(ms, Ordering::Relaxed);
        }
    }
}

/// The present of the machine, milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the live engine is where arrival gets its time")]
pub(super) fn machine_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_clock_is_moved_and_never_goes_back() {
        let clock = Clock::simulated(1_000);
        let same = clock.clone();
        clock.reach(5_000);
        clock.reach(2_000);
        assert_eq!((clock.now_ms(), same.now_ms()), (5_000, 5_000));
        let machine = Clock::Machine;
        machine.reach(i64::MAX);
        assert!(machine.now_ms() < i64::MAX);
    }
}
