//! Calendar: the days on which people complain more, and on which offices write.
//!
//! In: a civil day (days since 1970-01-01) of Asia/Shanghai. Out: how much more than usual comes on it.
//! Not here: which days are off (`model::reference::calendar`).

use crate::model::{
    reference::calendar::{holiday, is_workday, weekday},
    time::civil_from_days,
};

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
    use crate::model::time::days_from_civil;

    fn day(y: i32, m: u32, d: u32) -> i32 {
        days_from_civil(y, m, d).unwrap()
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
