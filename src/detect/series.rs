//! Series: one value per period, oldest first, with what is known beside the values.

use std::ops::Range;

use jiff::civil::Date;

use super::Error;

/// Up to here f64 counts one by one.
const VALUE_MAX: f64 = 9_007_199_254_740_992.0;

/// One measure of one key. All slices have one entry per period, oldest first. A NaN among the values is a period without a
/// value (excluded, or not known); each detector tells what it makes of it.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// Values, shape `[periods]`.
    pub values: &'a [f64],
    /// Population or exposure behind each value, shape `[periods]`; all in one unit.
    pub population: Option<&'a [f64]>,
    /// The day each period begins, shape `[periods]`, rising.
    pub dates: Option<&'a [Date]>,
    /// Days of each period on which offices do not work, shape `[periods]`, 0 or more: for methods with a term for them.
    pub days_off: Option<&'a [f64]>,
    /// Periods in a year: 52 for weeks, 12 for months, 365 for days.
    pub periods_per_year: usize,
}

impl<'a> Series<'a> {
    /// A series of weeks without population or dates.
    #[must_use]
    pub fn new(values: &'a [f64]) -> Self {
        Self { values, population: None, dates: None, days_off: None, periods_per_year: 52 }
    }

    /// Number of periods.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no period.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Do all parts fit together, is `range` inside, and is every value a count or missing?
    ///
    /// # Errors
    /// [`Error::Negative`], and all of [`Self::check`].
    pub fn check_counts(&self, range: &Range<usize>) -> Result<(), Error> {
        self.check(range)?;
        match self.first_value(|v| v < 0.0) {
            Some(at) => Err(Error::Negative { at, value: self.values[at] }),
            None => Ok(()),
        }
    }

    /// The first value for which `holds`. Mostly there is none, and to know that needs no branch for each.
    fn first_value(&self, holds: impl Fn(f64) -> bool) -> Option<usize> {
        let any = self.values.iter().fold(false, |any, v| any | holds(*v));
        if any { self.values.iter().position(|v| holds(*v)) } else { None }
    }

    /// Do all parts fit together, and is `range` inside?
    ///
    /// # Errors
    /// [`Error::OutOfSeries`], [`Error::Length`], [`Error::TooLarge`] for a value beyond ±2⁵³, [`Error::Population`],
    /// [`Error::Dates`], [`Error::Parameter`] for a year without periods.
    pub fn check(&self, range: &Range<usize>) -> Result<(), Error> {
        let periods = self.len();
        if range.end > periods || range.start > range.end {
            return Err(Error::OutOfSeries { start: range.start, end: range.end, periods });
        }
        if self.periods_per_year == 0 {
            let value = "0".to_owned();
            return Err(Error::Parameter { name: "periods_per_year", value, range: "1 or more" });
        }
        if let Some(at) = self.first_value(|v| v.abs() > VALUE_MAX) {
            return Err(Error::TooLarge { at, value: self.values[at], max: VALUE_MAX });
        }
        self.check_population()?;
        if let Some(days) = self.days_off.filter(|days| days.len() != self.len()) {
            return Err(Error::Length { what: "days_off", got: days.len(), periods });
        }
        self.check_dates()
    }

    fn check_population(&self) -> Result<(), Error> {
        let Some(population) = self.population else { return Ok(()) };
        if population.len() != self.len() {
            let (got, periods) = (population.len(), self.len());
            return Err(Error::Length { what: "population", got, periods });
        }
        match population.iter().position(|p| !(0.0..=VALUE_MAX).contains(p)) {
            Some(at) => Err(Error::Population { at, value: population[at] }),
            None => Ok(()),
        }
    }

    fn check_dates(&self) -> Result<(), Error> {
        let Some(dates) = self.dates else { return Ok(()) };
        if dates.len() != self.len() {
            return Err(Error::Length { what: "dates", got: dates.len(), periods: self.len() });
        }
        match dates.windows(2).position(|w| w[0] >= w[1]) {
            Some(before) => Err(Error::Dates { at: before + 1 }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |series: Series<'_>, range: Range<usize>| series.check_counts(&range);
        assert_eq!(check(Series::new(&[1.0, f64::NAN, 0.0]), 0..3), Ok(()));
        assert_eq!(check(Series::new(&[]), 0..0), Ok(()));
        assert_eq!(
            check(Series::new(&[1.0, -2.0]), 0..2),
            Err(Error::Negative { at: 1, value: -2.0 })
        );
        for value in [f64::INFINITY, 1e300] {
            let found = check(Series::new(&[value]), 0..1);
            assert_eq!(found, Err(Error::TooLarge { at: 0, value, max: VALUE_MAX }));
        }
        let wide = Err(Error::OutOfSeries { start: 0, end: 2, periods: 1 });
        assert_eq!(check(Series::new(&[1.0]), 0..2), wide);
        let population =
            |p: &[f64]| check(Series { population: Some(p), ..Series::new(&[1.0]) }, 0..1);
        assert_eq!(population(&[0.0]), Ok(()));
        assert!(matches!(population(&[-1.0]), Err(Error::Population { at: 0, .. })));
        assert!(matches!(population(&[f64::NAN]), Err(Error::Population { at: 0, .. })));
        assert!(matches!(population(&[]), Err(Error::Length { got: 0, periods: 1, .. })));
        let day = Date::constant(2031, 5, 5);
        let dates = [day, day];
        let series = Series { dates: Some(&dates), ..Series::new(&[1.0, 1.0]) };
        assert_eq!(check(series, 0..2), Err(Error::Dates { at: 1 }));
    }
}
