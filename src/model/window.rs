//! Windows: half-open spans of civil time `[start, end)` that a rule asks about, made of panes.
//!
//! All numbers here are local milliseconds (see [`super::time`]). A pane is named by its index: pane `i` of a grid with
//! length `len` and origin `o` is `[o + i·len, o + (i+1)·len)`.

use std::ops::Range;

use super::{
    reference::calendar::{holidays, holidays_over, nth_holiday},
    time::{DAY_MS, EVENT_MS_MAX, EVENT_MS_MIN, HOUR_MS, add_months, days_in_months, month_of},
};

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
    /// `period: month`: from a day of one month to the same day of the next, or the last where that has no such day.
    Month {
        /// Where they end; with [`Step::Month`] they are the months of the calendar.
        step: Step,
    },
    /// `period: holiday`: each holiday of the calendar, with some days before and behind. Behind the last notice they are the
    /// days that the law names, so that what they mean for a rule does not go unsaid.
    Holiday {
        /// How much before its first day off and behind its last.
        around_ms: i64,
    },
    /// `{session: 3d, max: 30d}`: from a key's first row until it was silent for `gap`, at most `max` long.
    Session {
        /// Silence that ends the session.
        gap_ms: i64,
        /// Longest session; a longer one is cut there.
        max_ms: i64,
    },
}

/// Where windows end that follow each other for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// At `origin + k·every`.
    Span {
        /// Distance from one end to the next.
        every_ms: i64,
        /// A local time at which a window ends.
        origin_ms: i64,
    },
    /// Where a month of the calendar ends.
    Month,
    /// So far behind the last day off of each holiday.
    Holiday {
        /// How far.
        around_ms: i64,
    },
}

impl WindowSpec {
    /// The length that all windows are at most.
    #[must_use]
    pub fn width_max(self) -> i64 {
        match self {
            Self::Sliding { width_ms, .. } => width_ms,
            Self::Month { .. } => Step::Month.longest_ms(),
            Self::Holiday { around_ms } => {
                let days = holidays().iter().map(|h| h.days.len() as i64).max();
                days.unwrap_or(0) * DAY_MS + 2 * around_ms
            }
            Self::Session { max_ms, .. } => max_ms,
        }
    }

    /// Where its windows end; `None` for sessions, whose ends come from the rows.
    #[must_use]
    pub fn step(self) -> Option<Step> {
        match self {
            Self::Sliding { every_ms, origin_ms, .. } => Some(Step::Span { every_ms, origin_ms }),
            Self::Month { step } => Some(step),
            Self::Holiday { around_ms } => Some(Step::Holiday { around_ms }),
            Self::Session { .. } => None,
        }
    }

    /// The window that ends at the local time `end`; of sessions the longest there can be.
    #[must_use]
    pub fn ending(self, end: i64) -> Range<i64> {
        match self {
            Self::Sliding { width_ms, .. } | Self::Session { max_ms: width_ms, .. } => {
                end - width_ms..end
            }
            Self::Month { .. } => add_months(end, -1)..end,
            Self::Holiday { around_ms } => {
                let days = usize::try_from(ended(end, around_ms) - 1).ok().and_then(nth_holiday);
                let days = days.filter(|days| end_of(days, around_ms) == end);
                let start = days.map(|days| i64::from(days.start) * DAY_MS - around_ms);
                start.unwrap_or(end)..end
            }
        }
    }
}

impl Step {
    /// The first end behind a local time.
    #[must_use]
    pub fn next_end(self, local: i64) -> i64 {
        self.shift(self.last_end(local), 1)
    }

    /// The last end at or before a local time.
    #[must_use]
    pub fn last_end(self, local: i64) -> i64 {
        match self {
            Self::Span { every_ms, origin_ms } => local - (local - origin_ms).rem_euclid(every_ms),
            Self::Month => month_of(local),
            Self::Holiday { around_ms } => holiday_end(ended(local, around_ms), around_ms),
        }
    }

    /// The end that lies `n` ends behind the one at `end`; before it where `n` is below 0.
    #[must_use]
    pub fn shift(self, end: i64, n: i64) -> i64 {
        match self {
            Self::Span { every_ms, .. } => end + n * every_ms,
            Self::Month => add_months(end, n),
            Self::Holiday { around_ms } => holiday_end(ended(end, around_ms) + n, around_ms),
        }
    }

    /// Ends behind a local time, for ever.
    pub fn ends_behind(self, local: i64) -> impl Iterator<Item = i64> {
        let last = self.last_end(local);
        (1..).map(move |n| self.shift(last, n))
    }

    /// The longest there can be between two neighbours.
    #[must_use]
    pub fn longest_ms(self) -> i64 {
        match self {
            Self::Span { every_ms, .. } => every_ms,
            Self::Month => days_in_months(1) * DAY_MS,
            Self::Holiday { .. } => {
                let apart = holidays().windows(2).map(|w| i64::from(w[1].days.end - w[0].days.end));
                apart.max().unwrap_or(0).max(STATUTORY_APART) * DAY_MS
            }
        }
    }
}

/// Days from Labour Day to National Day, the longest between two holidays of the law.
const STATUTORY_APART: i64 = 153;

/// The local time at which a holiday's window ends.
fn end_of(days: &Range<i32>, around_ms: i64) -> i64 {
    i64::from(days.end) * DAY_MS + around_ms
}

/// How many holidays' windows have ended at a local time.
fn ended(local: i64, around_ms: i64) -> i64 {
    let day = local.saturating_sub(around_ms).div_euclid(DAY_MS);
    let day = day.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
    holidays_over(day) as i64
}

/// The end of the `n`-th holiday's window, counted from 1; those before the first and beyond the calendar are never.
fn holiday_end(n: i64, around_ms: i64) -> i64 {
    match usize::try_from(n - 1) {
        Ok(i) => {
            nth_holiday(i).map_or(EVENT_MS_MAX, |days| end_of(&days, around_ms)).min(EVENT_MS_MAX)
        }
        Err(_) => EVENT_MS_MIN,
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
                WindowSpec::Month { .. } | WindowSpec::Holiday { .. } => {
                    len = gcd(len, DAY_MS);
                    len = gcd(len, *origin.get_or_insert(0));
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
    use crate::model::time::days_from_civil;

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
        let month = WindowSpec::Month { step: Step::Month };
        let grid = PaneGrid::of(&[sliding(7, 7, MONDAY_ORIGIN_MS), month], &[]);
        assert_eq!((grid.len_ms, grid.origin_ms), (DAY_MS, 0));
    }

    #[test]
    fn months_end_where_the_calendar_says() {
        let day = |y, m, d| i64::from(days_from_civil(y, m, d).expect("a date")) * DAY_MS;
        let ends: Vec<i64> = Step::Month.ends_behind(day(2027, 12, 1)).take(4).collect();
        let firsts = [day(2028, 1, 1), day(2028, 2, 1), day(2028, 3, 1), day(2028, 4, 1)];
        assert_eq!(ends, firsts);
        assert_eq!(Step::Month.next_end(day(2028, 1, 1) - 1), day(2028, 1, 1));
        assert_eq!(Step::Month.last_end(day(2028, 2, 29) + 7), day(2028, 2, 1));
        let month = WindowSpec::Month { step: Step::Span { every_ms: DAY_MS, origin_ms: 0 } };
        assert_eq!(month.ending(day(2028, 3, 31)), day(2028, 2, 29)..day(2028, 3, 31));
        assert_eq!(month.ending(day(2028, 3, 1)), day(2028, 2, 1)..day(2028, 3, 1));
    }

    #[test]
    fn holidays_end_where_the_notices_say() {
        let day = |y, m, d| i64::from(days_from_civil(y, m, d).expect("a date")) * DAY_MS;
        let windows = WindowSpec::Holiday { around_ms: 3 * DAY_MS };
        let step = windows.step().expect("repeats");
        // 2026-02-15 to 23, and 2026-04-04 to 06.
        assert_eq!(step.next_end(day(2026, 2, 10)), day(2026, 2, 27));
        assert_eq!(step.next_end(day(2026, 2, 27)), day(2026, 4, 10));
        assert_eq!(step.last_end(day(2026, 4, 9)), day(2026, 2, 27));
        assert_eq!(step.shift(day(2026, 2, 27), 1), day(2026, 4, 10));
        assert_eq!(windows.ending(day(2026, 2, 27)), day(2026, 2, 12)..day(2026, 2, 27));
        assert_eq!(step.last_end(day(1990, 1, 1)), EVENT_MS_MIN);
    }

    #[test]
    fn behind_the_last_notice_the_days_of_the_law_are_holidays() {
        let day = |y, m, d| i64::from(days_from_civil(y, m, d).expect("a date")) * DAY_MS;
        let windows = WindowSpec::Holiday { around_ms: 2 * DAY_MS };
        let step = windows.step().expect("repeats");
        let ends: Vec<i64> = step.ends_behind(day(2149, 12, 31)).take(4).collect();
        let of = [day(2150, 1, 4), day(2150, 5, 4), day(2150, 10, 4), day(2151, 1, 4)];
        assert_eq!(ends, of);
        assert_eq!(step.last_end(day(2150, 5, 4) - 1), day(2150, 1, 4));
        assert_eq!(step.shift(day(2150, 5, 4), -1), day(2150, 1, 4));
        assert_eq!(windows.ending(day(2150, 5, 4)), day(2150, 4, 29)..day(2150, 5, 4));
        assert!(windows.ending(day(2150, 5, 5)).is_empty());
        // Without a gap behind the last notice, and never further apart than said.
        let mut end = day(2018, 1, 10);
        while end < day(2160, 1, 1) {
            let next = step.next_end(end);
            assert!(next - end <= step.longest_ms() && step.last_end(next) == next);
            assert_eq!(step.shift(end, 1), next);
            end = next;
        }
    }

    #[test]
    fn spans_end_where_the_origin_says() {
        let step = sliding(7, 7, MONDAY_ORIGIN_MS).step().expect("repeats");
        assert_eq!(step.next_end(MONDAY_ORIGIN_MS), MONDAY_ORIGIN_MS + 7 * DAY_MS);
        assert_eq!(step.next_end(MONDAY_ORIGIN_MS - 1), MONDAY_ORIGIN_MS);
        assert_eq!(step.last_end(MONDAY_ORIGIN_MS), MONDAY_ORIGIN_MS);
    }
}
