//! Period: what one value of a series is of, and which periods lie before it.
//!
//! In: `period`, `every` and `around` as their author wrote them. Out: the windows that are the periods, and for each the
//! periods before it that make its series. All times are local milliseconds.
//! Not here: how many of them a detector is given (`detection`).

use std::ops::Range;

use jiff::civil::Date;

use crate::model::{
    reference::calendar::{self, holidays},
    time::{DAY_MS, add_months, days_in_months, parse_span},
    window::{MONDAY_ORIGIN_MS, PaneGrid, Step, WindowSpec},
};

/// A February.
const SHORTEST_MONTH_MS: i64 = 28 * DAY_MS;

/// A year of the holidays is no longer than this.
const HOLIDAY_YEAR_MS: i64 = 400 * DAY_MS;

/// The periods of a series: whole days, a month, one behind the other; or each holiday, behind the same of the year before.
/// Where they are judged more often than they are long, each series is made of those that lie whole lengths apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    windows: WindowSpec,
}

/// Which field of a series is wrong, and how.
pub(super) type Wrong = (&'static str, &'static str);

impl Period {
    /// A week from Monday.
    pub const WEEK_MS: i64 = 7 * DAY_MS;

    /// `day`, `week`, `month`, `holiday` or a span of whole days, judged `every` so long; of holidays with so much `around`.
    ///
    /// # Errors
    /// The field that is wrong, and what it must be.
    pub(super) fn parse(
        word: &str,
        every_ms: Option<i64>,
        around_ms: Option<i64>,
    ) -> Result<Self, Wrong> {
        let is_days = |ms: i64| ms > 0 && ms % DAY_MS == 0;
        if word == "holiday" {
            return Self::holiday(every_ms, around_ms);
        }
        if around_ms.is_some() {
            return Err(("around", "only period: holiday has days around it"));
        }
        let width_ms = match word {
            "day" => DAY_MS,
            "week" => Self::WEEK_MS,
            "month" => SHORTEST_MONTH_MS,
            span => parse_span(span)
                .ok_or(("period", "it must be day, week, month, holiday or a span like 28d"))?,
        };
        if !is_days(width_ms) {
            return Err(("period", "it must be whole days"));
        }
        if every_ms.is_some_and(|every_ms| !is_days(every_ms) || every_ms > width_ms) {
            return Err(("every", "it must be whole days, and no longer than the period"));
        }
        let origin = |every_ms| if every_ms % Self::WEEK_MS == 0 { MONDAY_ORIGIN_MS } else { 0 };
        let span = |every_ms| Step::Span { every_ms, origin_ms: origin(every_ms) };
        let windows = match (word, every_ms) {
            ("month", every_ms) => WindowSpec::Month { step: every_ms.map_or(Step::Month, span) },
            (_, every_ms) => {
                let every_ms = every_ms.unwrap_or(width_ms);
                WindowSpec::Sliding { width_ms, every_ms, origin_ms: origin(every_ms) }
            }
        };
        Ok(Self { windows })
    }

    fn holiday(every_ms: Option<i64>, around_ms: Option<i64>) -> Result<Self, Wrong> {
        let around_ms = around_ms.unwrap_or(0);
        if every_ms.is_some() {
            return Err((
                "every",
                "a holiday is judged once, when it and what is around it are over",
            ));
        }
        if around_ms % DAY_MS != 0 || around_ms > 14 * DAY_MS {
            return Err(("around", "it must be whole days, at most 14d"));
        }
        Ok(Self { windows: WindowSpec::Holiday { around_ms } })
    }

    /// How many a year has, for detectors.
    #[must_use]
    pub fn per_year(self) -> usize {
        let days = match self.windows {
            WindowSpec::Month { .. } => return 12,
            WindowSpec::Holiday { .. } => return 1,
            windows => windows.width_max() / DAY_MS,
        };
        usize::try_from((365 + days / 2) / days).unwrap_or(1).max(1)
    }

    /// The windows that are these periods.
    #[must_use]
    pub fn window(self) -> WindowSpec {
        self.windows
    }

    /// The grid that they are, where they are as long as each other and judged once.
    #[must_use]
    pub fn grid(self) -> Option<PaneGrid> {
        match self.windows {
            WindowSpec::Sliding { width_ms, every_ms, origin_ms } if width_ms == every_ms => {
                Some(PaneGrid { len_ms: width_ms, origin_ms: origin_ms.rem_euclid(width_ms) })
            }
            _ => None,
        }
    }

    /// Whether it is a week from some day.
    #[must_use]
    pub fn is_week(self) -> bool {
        matches!(self.windows, WindowSpec::Sliding { width_ms: Self::WEEK_MS, .. })
    }

    /// Whether it is one day.
    #[must_use]
    pub fn is_day(self) -> bool {
        matches!(self.windows, WindowSpec::Sliding { width_ms: DAY_MS, .. })
    }

    /// Whether it is a holiday.
    #[must_use]
    pub fn is_holiday(self) -> bool {
        matches!(self.windows, WindowSpec::Holiday { .. })
    }

    /// The period `back` periods before the one that ends at the local time `end`; `None` where no notice knows it.
    #[must_use]
    pub fn before(self, end: i64, back: usize) -> Option<Range<i64>> {
        let of_time = i64::try_from(back).unwrap_or(i64::MAX);
        match self.windows {
            WindowSpec::Month { .. } => {
                Some(add_months(end, -of_time - 1)..add_months(end, -of_time))
            }
            WindowSpec::Holiday { around_ms } => {
                let end_of = |days: &Range<i32>| i64::from(days.end) * DAY_MS + around_ms;
                let now = holidays().iter().position(|h| end_of(&h.days) == end)?;
                let same =
                    holidays()[..=now].iter().rev().filter(|h| h.name == holidays()[now].name);
                same.map(|h| self.windows.ending(end_of(&h.days))).nth(back)
            }
            windows => {
                let width = windows.width_max();
                Some(end - (of_time + 1) * width..end - of_time * width)
            }
        }
    }

    /// The most time that so many periods take, milliseconds.
    #[must_use]
    pub fn longest_ms(self, periods: usize) -> i64 {
        let of_time = i64::try_from(periods).unwrap_or(i64::MAX);
        match self.windows {
            WindowSpec::Month { .. } => days_in_months(periods) * DAY_MS,
            WindowSpec::Holiday { .. } => of_time.saturating_mul(HOLIDAY_YEAR_MS),
            windows => of_time.saturating_mul(windows.width_max()),
        }
    }

    /// The day on which detectors see a period: its first; of months that begin at a day that some months lack, the 28th.
    #[must_use]
    pub fn day_of(self, period: &Range<i64>) -> Date {
        let days = period.start.div_euclid(DAY_MS);
        let first = Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().days(days));
        match self.windows {
            WindowSpec::Month { .. } if first.day() > 28 => {
                first.saturating_sub(jiff::Span::new().days(i64::from(first.day()) - 28))
            }
            _ => first,
        }
    }
}

/// What a day or a week is like, for methods that compare like with like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Like {
    /// A day on which offices work, or a week in which no day is off but of its weekend.
    Ordinary,
    /// A day off that is no holiday.
    Weekend,
    /// A day off of a holiday, or a week with one.
    Holiday,
}

impl Like {
    /// What a period is like.
    pub(super) fn of(period: &Range<i64>) -> Self {
        let mut days = days_of(period);
        if days.clone().any(|day| calendar::holiday(day).is_some()) {
            return Self::Holiday;
        }
        match (days.next(), days.next()) {
            (Some(day), None) if !calendar::is_workday(day) => Self::Weekend,
            _ => Self::Ordinary,
        }
    }

    /// Days or weeks among which there are `count` of each kind.
    pub(super) fn among(count: usize, period: Period) -> usize {
        // A year has at least 20 days off for holidays, in 6 weeks or more, wherever it begins.
        if period.is_day() { 366 * (count.div_ceil(20) + 1) } else { 53 * (count.div_ceil(6) + 1) }
    }
}

/// Whether the notices of all its years are known.
pub(super) fn is_known(period: &Range<i64>) -> bool {
    let (days, known) = (days_of(period), calendar::known());
    known.start <= days.start && days.end <= known.end
}

/// Days of a period on which offices do not work.
pub(super) fn days_off(period: &Range<i64>) -> f64 {
    calendar::days_off(days_of(period)) as f64
}

fn days_of(period: &Range<i64>) -> Range<i32> {
    period.start.div_euclid(DAY_MS) as i32..period.end.div_euclid(DAY_MS) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::{days_from_civil, format_day};

    fn day(y: i32, m: u32, d: u32) -> i64 {
        i64::from(days_from_civil(y, m, d).expect("a date")) * DAY_MS
    }

    fn shown(period: Option<Range<i64>>) -> String {
        let day = |ms: i64| format_day(ms.div_euclid(DAY_MS) as i32);
        period.map_or_else(String::new, |p| format!("{} {}", day(p.start), day(p.end)))
    }

    #[test]
    fn periods_lie_behind_each_other() {
        let of = |word: &str, every: Option<i64>| Period::parse(word, every, None).expect("fits");
        let weeks = of("week", None);
        assert_eq!(shown(weeks.before(day(2031, 3, 10), 2)), "2031-02-17 2031-02-24");
        let months = of("month", None);
        assert_eq!(shown(months.before(day(2028, 3, 1), 12)), "2027-02-01 2027-03-01");
        let moved = of("month", Some(DAY_MS));
        let series: Vec<Range<i64>> =
            (0..14).filter_map(|n| moved.before(day(2031, 3, 31), n)).collect();
        assert!(series.windows(2).all(|w| w[1].end == w[0].start), "{series:?}");
        let dates: Vec<String> = series.iter().map(|p| moved.day_of(p).to_string()).collect();
        assert_eq!((dates[0].as_str(), dates[12].as_str()), ("2031-02-28", "2030-02-28"));
        assert!(series[0].start - series[13].start <= moved.longest_ms(13));
    }

    #[test]
    fn a_holiday_lies_behind_the_same_one() {
        let around = Some(3 * DAY_MS);
        let holidays = Period::parse("holiday", None, around).expect("fits");
        let of_2026 = day(2026, 2, 27);
        for (back, found) in [
            (0, "2026-02-12 2026-02-27"),
            (1, "2025-01-25 2025-02-08"),
            (2, "2024-02-07 2024-02-21"),
            (20, ""),
        ] {
            assert_eq!(shown(holidays.before(of_2026, back)), found);
        }
        // With the Mid-Autumn Festival it is the National Day; alone that is another holiday.
        let national = day(2025, 10, 9) + 3 * DAY_MS;
        assert_eq!(shown(holidays.before(national, 1)), "2024-09-28 2024-10-11");
        assert_eq!(Period::parse("holiday", Some(DAY_MS), None).map_err(|w| w.0), Err("every"));
        assert_eq!(Period::parse("day", None, around).map_err(|w| w.0), Err("around"));
    }

    #[test]
    fn days_and_weeks_are_like_others() {
        let of = |from: i64, days: i64| Like::of(&(from..from + days * DAY_MS));
        assert_eq!(of(day(2026, 2, 13), 1), Like::Ordinary);
        assert_eq!(of(day(2026, 2, 14), 1), Like::Ordinary, "a Saturday that is worked");
        assert_eq!(of(day(2026, 2, 17), 1), Like::Holiday);
        assert_eq!(of(day(2026, 3, 7), 1), Like::Weekend);
        assert_eq!(of(day(2026, 3, 2), 7), Like::Ordinary);
        assert_eq!(of(day(2026, 2, 16), 7), Like::Holiday);
        assert_eq!(days_off(&(day(2026, 2, 1)..day(2026, 3, 1))), 12.0);
    }

    #[test]
    fn enough_periods_of_each_kind_lie_in_reach() {
        let last = day(2026, 12, 31);
        let first = day(2019, 1, 1);
        for (word, wanted) in [("day", 7), ("day", 45), ("week", 6), ("week", 13)] {
            let period = Period::parse(word, None, None).expect("fits");
            let reach = Like::among(wanted, period);
            for end in period.window().step().expect("repeats").ends_behind(first) {
                if end > last {
                    break;
                }
                let series: Vec<_> = (1..=reach).filter_map(|n| period.before(end, n)).collect();
                if series.last().is_some_and(|p| p.start < first) {
                    continue;
                }
                let alike = |kind| series.iter().filter(|p| Like::of(p) == kind).count();
                assert!(alike(Like::Holiday) >= wanted, "{}", shown(period.before(end, 0)));
            }
        }
    }
}
