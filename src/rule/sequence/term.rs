//! Terms: how long something may take, as a span or in working days.
//!
//! In: `30d`, `12h` or `20wd`, and the instant at which the term begins. Out: the first instant behind it. A span is counted
//! from that very instant; working days are counted after its day, so that a term of `n` ends with the `n`-th working day.

use crate::model::{
    reference::calendar::after_workdays,
    time::{DAY_MS, Zone, format_span, parse_span},
};

/// Working days a term may have: beyond twenty years nobody waits.
const WORKDAYS_MAX: u32 = 5_000;
/// Calendar days that a working day takes at most on average, over the longest holidays.
const DAYS_PER_WORKDAY: i64 = 2;
/// Calendar days that the longest holidays with the weekends around them last.
const HOLIDAYS: i64 = 14;

/// How long something may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// Milliseconds.
    Span(i64),
    /// Working days of the calendar.
    Workdays(u32),
}

impl Term {
    /// Reads `30d`, `12h` or `20wd`; above zero.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().strip_suffix("wd") {
            Some(days) => {
                let days = days.parse().ok().filter(|n| (1..=WORKDAYS_MAX).contains(n))?;
                Some(Self::Workdays(days))
            }
            None => parse_span(text).map(Self::Span),
        }
    }

    /// The first instant behind the term that begins at `from_ms`.
    #[must_use]
    pub fn end(self, from_ms: i64, zone: &Zone) -> i64 {
        match self {
            Self::Span(ms) => from_ms.saturating_add(ms),
            Self::Workdays(n) => {
                let day = zone.to_local(from_ms).div_euclid(DAY_MS);
                let Ok(day) = i32::try_from(day) else { return i64::MAX };
                zone.day_start(after_workdays(day, n).saturating_add(1))
            }
        }
    }

    /// No term of this length lasts longer.
    #[must_use]
    pub fn longest_ms(self) -> i64 {
        match self {
            Self::Span(ms) => ms,
            Self::Workdays(n) => (i64::from(n) * DAYS_PER_WORKDAY + HOLIDAYS) * DAY_MS,
        }
    }

    /// As authors write it.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Span(ms) => format_span(ms),
            Self::Workdays(n) => format!("{n}wd"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read_and_end() {
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let at = |text: &str| zone.parse_instant(text).unwrap();
        for (text, from, end) in [
            ("30d", "2026-03-02", "2026-04-01"),
            ("12h", "2026-03-02T10:30:00+08:00", "2026-03-02T22:30:00+08:00"),
            // The day of the beginning does not count, whatever its hour; the term lasts until the last day is over.
            ("7wd", "2026-02-13T23:59:00+08:00", "2026-03-03"),
            ("1wd", "2026-11-27", "2026-12-01"),
        ] {
            let term = Term::parse(text).unwrap();
            let from = at(from);
            assert_eq!(zone.format(term.end(from, &zone)), zone.format(at(end)), "{text}");
            assert!(term.end(from, &zone) - from <= term.longest_ms());
            assert_eq!(term.text(), text);
        }
        for wrong in ["", "wd", "0wd", "0d", "-3wd", "5001wd", "3 wd", "30", "2y"] {
            assert_eq!(Term::parse(wrong), None, "{wrong:?}");
        }
    }
}
