//! Calendar: working days, days off, and the days on which people complain more.
//!
//! In: a civil day (days since 1970-01-01) of Asia/Shanghai. Out: what kind of day it is. Years that the list of days off does
//! not know have weekends only.

use std::{collections::HashMap, sync::LazyLock};

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

/// 0 Monday to 6 Sunday.
#[inline]
pub(super) fn weekday(day: i32) -> i32 {
    // 1970-01-01 was a Thursday.
    (day + 3).rem_euclid(7)
}

/// Whether offices work.
pub(super) fn is_workday(day: i32) -> bool {
    match LISTED.get(&day) {
        Some((_, off)) => !off,
        None => weekday(day) < 5,
    }
}

/// The holiday whose day off it is.
pub(super) fn holiday(day: i32) -> Option<&'static str> {
    LISTED.get(&day).filter(|(_, off)| *off).map(|(name, _)| *name)
}

/// The last working day on or before `day`.
pub(super) fn workday_on_or_before(mut day: i32) -> i32 {
    while !is_workday(day) {
        day -= 1;
    }
    day
}

/// Month (1 to 12) and day of the month.
pub(super) fn month_and_day(day: i32) -> (u32, u32) {
    let (_, m, d) = civil_from_days(day);
    (m, d)
}

/// How much more than usual the public writes on this day, 1 being a mean day of the year.
///
/// Monday is the peak of the week. 15 March, 18 June, 11 November and the weeks before the Spring Festival stand out; on
/// holidays people complain less, about other things.
pub(super) fn public_factor(day: i32) -> f64 {
    const WEEK: [f64; 7] = [1.24, 1.12, 1.06, 1.03, 1.0, 0.80, 0.75];
    let week = if holiday(day).is_some() { 0.75 } else { WEEK[weekday(day) as usize] };
    let season = match month_and_day(day) {
        (3, 15) => 1.8,
        (3, 12..=18) => 1.25,
        (6, 16..=22) => 1.15,
        (11, 11..=20) => 1.25,
        (12, 12..=16) => 1.08,
        _ if (1..=10).any(|ahead| holiday(day + ahead) == Some("春节")) => 1.1,
        _ => 1.0,
    };
    week * season
}

/// How much the offices enter on this day: nothing on days off, the more on working days.
pub(super) fn office_factor(day: i32) -> f64 {
    if is_workday(day) { 365.25 / 249.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(y: i32, m: u32, d: u32) -> i32 {
        days_from_civil(y, m, d).unwrap()
    }

    #[test]
    fn days_of_the_list_and_beyond() {
        assert_eq!(weekday(day(2026, 11, 23)), 0);
        assert!(!is_workday(day(2026, 2, 17)) && is_workday(day(2026, 2, 14)));
        assert_eq!(holiday(day(2026, 2, 17)), Some("春节"));
        assert_eq!(workday_on_or_before(day(2026, 2, 23)), day(2026, 2, 14));
        // Not listed: a Friday and the Saturday behind it.
        assert!(is_workday(day(2031, 10, 3)) && !is_workday(day(2031, 10, 4)));
    }

    #[test]
    fn a_year_of_factors_is_about_a_year() {
        let year = day(2025, 1, 1)..day(2026, 1, 1);
        for factor in [public_factor, office_factor] {
            let sum: f64 = year.clone().map(factor).sum();
            assert!((350.0..380.0).contains(&sum), "{sum}");
        }
    }
}
