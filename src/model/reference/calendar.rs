//! Working days after the notices of the State Council: days off, make-up working days, and terms counted in them.
//!
//! In: civil days (days since 1970-01-01) of the office's zone. Out: what kind of day one is, and the day on which a term
//! ends. Years without a notice yet have their weekends off and nothing else, so terms that reach into them may grow later;
//! who must not take that for granted asks which days are known.
//! Not here: what a term begins with, and who must keep it.

use std::{collections::HashMap, ops::Range, sync::LazyLock};

use crate::model::time::{civil_from_days, days_from_civil};

const LIST: &str = include_str!("../../../rules/lists/holidays_cn.csv");

/// Day → name of the holiday and whether it is off.
static LISTED: LazyLock<HashMap<i32, (&'static str, bool)>> = LazyLock::new(|| {
    let rows = LIST.lines().skip(1).filter_map(|line| {
        let mut fields = line.split(',');
        let (date, name, kind) = (fields.next()?, fields.next()?, fields.next()?);
        let mut numbers = date.split('-').map(|n| n.parse::<u32>().ok());
        let (y, m, d) = (numbers.next()??, numbers.next()??, numbers.next()??);
        Some((days_from_civil(i32::try_from(y).ok()?, m, d)?, (name, kind == "off")))
    });
    rows.collect()
});

/// Days off on end for one holiday, as the notice of a year has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holiday {
    /// Its name, in Chinese; of two that fall together the National Day's.
    pub name: &'static str,
    /// From its first day off to the day behind its last.
    pub days: Range<i32>,
}

/// Of two holidays that fall together, the one under whose name they are one.
const NATIONAL_DAY: &str = "国庆节";

static HOLIDAYS: LazyLock<Vec<Holiday>> = LazyLock::new(|| {
    let off = LISTED.iter().filter(|(_, (_, off))| *off);
    let mut days: Vec<(i32, &'static str)> = off.map(|(day, (name, _))| (*day, *name)).collect();
    days.sort_unstable();
    let on_end = |a: &(i32, &str), b: &(i32, &str)| a.0 + 1 == b.0 && a.1 == b.1;
    let holiday = |days: &[(i32, &'static str)]| {
        let name = if days[0].1.contains(NATIONAL_DAY) { NATIONAL_DAY } else { days[0].1 };
        Holiday { name, days: days[0].0..days[days.len() - 1].0 + 1 }
    };
    days.chunk_by(on_end).map(holiday).collect()
});

/// All holidays of the notices, in order of their days.
#[must_use]
pub fn holidays() -> &'static [Holiday] {
    &HOLIDAYS
}

/// The years whose notices are known, as days: the first of January of the first to that behind the last.
static KNOWN: LazyLock<Range<i32>> = LazyLock::new(|| {
    let years = || LISTED.keys().map(|day| year_of(*day));
    let first = |year| days_from_civil(year, 1, 1);
    let known = years().min().and_then(first).zip(years().max().and_then(|y| first(y + 1)));
    known.map_or(0..0, |(from, to)| from..to)
});

/// Days are 32 bits, so years are.
fn year_of(day: i32) -> i32 {
    civil_from_days(day).0 as i32
}

/// The days whose years have their notice: of days before and behind them only the weekday is known.
#[must_use]
pub fn known() -> Range<i32> {
    KNOWN.clone()
}

/// First days of months that are holidays by law, whatever a notice adds to them: New Year, Labour Day, National Day.
const STATUTORY: [u32; 3] = [1, 5, 10];

/// The days off of the `n`-th holiday, from 0. Behind the last notice the days that the law itself names stand for the
/// holidays to come; `None` beyond the calendar.
#[must_use]
pub fn nth_holiday(n: usize) -> Option<Range<i32>> {
    if let Some(holiday) = HOLIDAYS.get(n) {
        return Some(holiday.days.clone());
    }
    let (behind, each) = (n - HOLIDAYS.len(), STATUTORY.len());
    let year = year_of(KNOWN.end).checked_add(i32::try_from(behind / each).ok()?)?;
    let day = days_from_civil(year, STATUTORY[behind % each], 1)?;
    Some(day..day + 1)
}

/// How many of the holidays that [`nth_holiday`] counts are over when `day` begins.
#[must_use]
pub fn holidays_over(day: i32) -> usize {
    let noticed = HOLIDAYS.partition_point(|h| h.days.end <= day);
    let Some(last) = day.checked_sub(1).filter(|last| *last >= KNOWN.end) else { return noticed };
    let (_, month, _) = civil_from_days(last);
    let years = usize::try_from(year_of(last) - year_of(KNOWN.end)).unwrap_or(0);
    noticed + years * STATUTORY.len() + STATUTORY.partition_point(|m| *m <= month)
}

/// Days among these on which offices do not work.
#[must_use]
pub fn days_off(days: Range<i32>) -> usize {
    days.filter(|day| !is_workday(*day)).count()
}

/// 0 Monday to 6 Sunday.
#[inline]
#[must_use]
pub fn weekday(day: i32) -> i32 {
    // 1970-01-01 was a Thursday.
    (day + 3).rem_euclid(7)
}

/// Whether offices work.
#[must_use]
pub fn is_workday(day: i32) -> bool {
    match LISTED.get(&day) {
        Some((_, off)) => !off,
        None => weekday(day) < 5,
    }
}

/// The holiday whose day off it is, in Chinese.
#[must_use]
pub fn holiday(day: i32) -> Option<&'static str> {
    LISTED.get(&day).filter(|(_, off)| *off).map(|(name, _)| *name)
}

/// The last working day on or before `day`.
#[must_use]
pub fn workday_on_or_before(mut day: i32) -> i32 {
    while !is_workday(day) {
        day -= 1;
    }
    day
}

/// The day on which a term of `n` working days ends; the day it begins with does not count.
#[must_use]
pub fn after_workdays(start: i32, n: u32) -> i32 {
    (0..n).fold(start, |day, _| (day + 1..).find(|d| is_workday(*d)).unwrap_or(i32::MAX))
}

/// Working days after `from` up to and with `to`, so that a term of `n` ends on the first day with `n`; below 0 where `to`
/// lies before `from`.
#[must_use]
pub fn workdays_between(from: i32, to: i32) -> i64 {
    if to < from {
        return -workdays_between(to, from);
    }
    // Weeks without a listed day need not be walked through.
    let weeks = i64::from(to) - i64::from(from);
    let (weeks, rest) = (weeks / 7, (weeks % 7) as i32);
    let plain = weeks * 5 + (to - rest + 1..=to).filter(|day| weekday(*day) < 5).count() as i64;
    let listed = LISTED.iter().filter(|(day, _)| (from + 1..=to).contains(*day));
    plain
        + listed.map(|(day, (_, off))| i64::from(!off) - i64::from(weekday(*day) < 5)).sum::<i64>()
}

/// The day on which a term of `n` months ends: the day of the same number, or the month's last. `None` beyond the calendar.
#[must_use]
pub fn after_months(start: i32, n: u32) -> Option<i32> {
    let (year, month, day) = civil_from_days(start);
    let months = year.checked_mul(12)?.checked_add(i64::from(month - 1) + i64::from(n))?;
    let year = i32::try_from(months.div_euclid(12)).ok()?;
    let month = u32::try_from(months.rem_euclid(12)).ok()? + 1;
    (28..=day).rev().chain([day]).find_map(|day| days_from_civil(year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::format_day;

    fn day(date: &str) -> i32 {
        let mut numbers = date.split('-').map(|n| n.parse::<u32>().unwrap());
        let mut next = || numbers.next().unwrap();
        days_from_civil(next() as i32, next(), next()).unwrap()
    }

    #[test]
    fn days_of_the_list_and_beyond() {
        assert_eq!(weekday(day("2026-11-23")), 0);
        assert!(!is_workday(day("2026-02-17")) && is_workday(day("2026-02-14")));
        assert_eq!(holiday(day("2026-02-17")), Some("春节"));
        assert_eq!(workday_on_or_before(day("2026-02-23")), day("2026-02-14"));
        // Not listed: a Friday and the Saturday behind it.
        assert!(is_workday(day("2031-10-03")) && !is_workday(day("2031-10-04")));
    }

    #[test]
    fn holidays_are_days_off_on_end() {
        let of_year = |year: &str| {
            let days = |h: &Holiday| format!("{} {}", format_day(h.days.start), h.days.len());
            let of_year = holidays().iter().filter(|h| format_day(h.days.start).starts_with(year));
            of_year.map(|h| format!("{} {}", h.name, days(h))).collect::<Vec<_>>()
        };
        let of_2023 = [
            "春节 2023-01-21 7",
            "清明节 2023-04-05 1",
            "劳动节 2023-04-29 5",
            "端午节 2023-06-22 3",
            "国庆节 2023-09-29 8",
        ];
        assert_eq!(of_year("2023")[of_year("2023").len() - 5..], of_2023);
        let ends: Vec<i32> = holidays().iter().map(|h| h.days.end).collect();
        assert!(ends.windows(2).all(|w| w[0] + 7 < w[1]), "{ends:?}");
        // 2026-02-09 to 15: the weekend's Saturday is worked, its Sunday begins the festival.
        let week = |first: &str| days_off(day(first)..day(first) + 7);
        assert_eq!([week("2026-02-09"), week("2026-02-16"), week("2026-03-09")], [1, 7, 2]);
    }

    #[test]
    fn terms_end_where_the_law_says() {
        for (start, n, unit, due) in [
            // Over the Spring Festival with its make-up Saturdays, and over years whose holidays are not known yet.
            ("2026-02-13", 7, "day", "2026-03-02"),
            ("2026-04-30", 7, "day", "2026-05-13"),
            ("2026-01-01", 7, "day", "2026-01-12"),
            ("2026-11-24", 45, "day", "2027-01-26"),
            ("2026-11-24", 0, "day", "2026-11-24"),
            // A month that has no such day ends it on its last.
            ("2026-11-30", 3, "month", "2027-02-28"),
            ("2024-02-29", 12, "month", "2025-02-28"),
            ("2024-02-29", 48, "month", "2028-02-29"),
            ("2026-05-20", 6, "month", "2026-11-20"),
            ("2026-01-05", 1, "month", "2026-02-05"),
        ] {
            let found = match unit {
                "day" => after_workdays(day(start), n),
                _ => after_months(day(start), n).unwrap(),
            };
            assert_eq!(format_day(found), due, "{start} and {n} {unit}s");
        }
        assert_eq!(after_months(i32::MAX, u32::MAX), None);
    }

    #[test]
    fn days_between_are_those_that_a_walk_counts() {
        let from = day("2025-12-20");
        for to in from..day("2026-03-20") {
            let walked = (from + 1..=to).filter(|d| is_workday(*d)).count() as i64;
            assert_eq!(workdays_between(from, to), walked, "{}", format_day(to));
            assert_eq!(workdays_between(to, from), -walked);
        }
        assert_eq!(workdays_between(day("2026-02-13"), after_workdays(day("2026-02-13"), 15)), 15);
    }

    #[test]
    fn all_terms_of_the_field() {
        let shared = std::env::var("FOREWARN_SHARED_DIR");
        let shared = shared.unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").into());
        let path = format!("{shared}/domain/deadline_vectors.csv");
        let Ok(vectors) = std::fs::read_to_string(&path) else {
            println!("skipped: {path} is not there");
            return;
        };
        for line in vectors.lines().skip(1) {
            let fields: Vec<&str> = line.splitn(5, ',').collect();
            let (start, n) = (day(fields[0]), fields[1].parse().unwrap());
            let found = match fields[2] {
                "working_day" => after_workdays(start, n),
                _ => after_months(start, n).unwrap(),
            };
            assert_eq!(format_day(found), fields[3], "{line}");
        }
    }
}
