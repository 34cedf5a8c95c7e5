//! Reference periods: the same season in the years before.

use jiff::civil::Date;

use crate::detect::Series;

/// Periods in a year of weeks, in which the day of the week is kept.
const WEEKS: usize = 52;

/// The period `back` years before period `at`; `None` where it is not in the series.
///
/// Without dates it is `back · periods_per_year` periods before. With dates it is the same calendar day, for weeks moved to the
/// nearest day that is the same day of the week.
pub(super) fn years_before(series: &Series<'_>, at: usize, back: usize) -> Option<usize> {
    let Some(dates) = series.dates else { return at.checked_sub(back * series.periods_per_year) };
    let mut day = year_before(dates[at], back)?;
    if series.periods_per_year == WEEKS {
        let forward = i64::from(dates[at].weekday().since(day.weekday()));
        let days = if forward <= 3 { forward } else { forward - 7 };
        day = day.checked_add(jiff::Span::new().days(days)).ok()?;
    }
    dates[..at].binary_search(&day).ok()
}

/// Years since some new year at period `at`: by its date, or by its position where there are no dates.
pub(super) fn part_of_year(series: &Series<'_>, at: usize) -> f64 {
    /// Mean days of a year.
    const YEAR: f64 = 365.2425;
    match series.dates {
        Some(dates) => f64::from((dates[at] - Date::constant(2000, 1, 1)).get_days()) / YEAR,
        None => at as f64 / series.periods_per_year as f64,
    }
}

/// The same day `back` years before; 29 February becomes 1 March.
fn year_before(date: Date, back: usize) -> Option<Date> {
    let year = date.year().checked_sub(i16::try_from(back).ok()?)?;
    match Date::new(year, date.month(), date.day()) {
        Ok(same) => Some(same),
        Err(_) => Date::new(year, 3, 1).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_keep_their_monday() {
        let monday = Date::constant(2004, 1, 5);
        let dates: Vec<Date> = (0..400)
            .map(|week| monday.checked_add(jiff::Span::new().days(7 * week)).expect("in range"))
            .collect();
        let values = vec![0.0; 400];
        let series = Series { dates: Some(&dates), ..Series::new(&values) };
        // 2009-10-05; a year before is Sunday 2008-10-05, whose nearest Monday is the day after.
        let found = years_before(&series, 300, 1).map(|at| dates[at]);
        assert_eq!(
            (dates[300], found),
            (Date::constant(2009, 10, 5), Some(Date::constant(2008, 10, 6)))
        );
        assert_eq!(years_before(&series, 30, 1), None);
        assert_eq!(years_before(&Series::new(&values), 300, 2), Some(196));
        assert_eq!(year_before(Date::constant(2008, 2, 29), 1), Some(Date::constant(2007, 3, 1)));
    }
}
