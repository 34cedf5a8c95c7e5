//! Windows: half-open spans of civil time `[start, end)` that a rule asks about, made of panes.
//!
//! All numbers here are local milliseconds (see [`super::time`]). A pane is named by its index: pane `i` of a grid with
//! length `len` and origin `o` is `[o + i·len, o + (i+1)·len)`.

use super::time::{DAY_MS, HOUR_MS};

/// The span a rule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowSpec {
    /// `{sliding: 7d, every: 1d}`, and `{tumbling: 7d, start: monday}` with `every == width`. Ends lie at
    /// `origin + k·every`.
    Sliding {
        /// Length of a window.
        width_ms: i64,
        /// Distance from one window's end to the next; divides nothing in particular.
        every_ms: i64,
        /// A local time at which a window ends.
        origin_ms: i64,
    },
    /// `{session: 3d, max: 30d}`: from a key's first row until it was silent for `gap`, at most `max` long.
    Session {
        /// Silence that ends the session.
        gap_ms: i64,
        /// Longest session; a longer one is cut there.
        max_ms: i64,
    },
}

impl WindowSpec {
    /// The length that all windows are at most.
    #[must_use]
    pub fn width_max(self) -> i64 {
        match self {
            Self::Sliding { width_ms, .. } => width_ms,
            Self::Session { max_ms, .. } => max_ms,
        }
    }
}

/// The local time of a Monday midnight: 1970-01-05.
pub const MONDAY_ORIGIN_MS: i64 = 4 * DAY_MS;

/// A grid of panes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaneGrid {
    /// Length of a pane.
    pub len_ms: i64,
    /// A local time at which a pane starts, in `0..len_ms`.
    pub origin_ms: i64,
}

impl PaneGrid {
    /// The coarsest grid whose panes tile every window of all `windows` and every shift of `shifts`.
    #[must_use]
    pub fn of(windows: &[WindowSpec], shifts: &[i64]) -> Self {
        let mut len = 0;
        let mut origin = None;
        for w in windows {
            match *w {
                WindowSpec::Sliding { width_ms, every_ms, origin_ms } => {
                    len = gcd(gcd(len, width_ms), every_ms);
                    len = gcd(len, (origin_ms - *origin.get_or_insert(origin_ms)).abs());
                }
                // A session's panes only bound how many rows are looked at; its edges come from the rows themselves.
                WindowSpec::Session { gap_ms, .. } => len = gcd(len, gap_ms.min(HOUR_MS)),
            }
        }
        let len = shifts.iter().fold(len, |l, s| gcd(l, s.abs())).max(1);
        Self { len_ms: len, origin_ms: origin.unwrap_or(0).rem_euclid(len) }
    }

    /// The pane that holds a local time.
    #[must_use]
    #[inline]
    pub fn pane(self, local_ms: i64) -> i32 {
        (local_ms - self.origin_ms).div_euclid(self.len_ms) as i32
    }

    /// The local time at which a pane starts.
    #[must_use]
    #[inline]
    pub fn start(self, pane: i32) -> i64 {
        self.origin_ms + i64::from(pane) * self.len_ms
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sliding(width_d: i64, every_d: i64, origin_ms: i64) -> WindowSpec {
        WindowSpec::Sliding { width_ms: width_d * DAY_MS, every_ms: every_d * DAY_MS, origin_ms }
    }

    #[test]
    fn the_grid_tiles_all_windows() {
        let grid = PaneGrid::of(&[sliding(7, 7, MONDAY_ORIGIN_MS)], &[]);
        assert_eq!((grid.len_ms, grid.origin_ms), (7 * DAY_MS, MONDAY_ORIGIN_MS));
        let grid =
            PaneGrid::of(&[sliding(7, 7, MONDAY_ORIGIN_MS), sliding(30, 1, 0)], &[364 * DAY_MS]);
        assert_eq!((grid.len_ms, grid.origin_ms), (DAY_MS, 0));
        assert_eq!(grid.pane(-1), -1);
        assert_eq!(grid.start(grid.pane(5 * DAY_MS + 7)), 5 * DAY_MS);
    }
}
