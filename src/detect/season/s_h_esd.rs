//! S-H-ESD: several outliers of a seasonal series at once, each tested against what is left without the others.
//!
//! In: a series of at least two periods, without gaps. Out: the anomalous places in the order they were taken out, and
//! for every value what season and trend make of it.

use std::ops::Range;

use super::{finite, period_of};
use crate::detect::{
    Compat, Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict,
    math::{
        beta, order,
        stl::{Settings, decompose},
    },
    parameter,
};

/// Which values count as anomalous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// High ones.
    #[default]
    High,
    /// Low ones.
    Low,
    /// Either.
    Both,
}

/// S-H-ESD: which values of a seasonal series are outliers, several at once?
///
/// # What it finds
/// Days of unusual volume in a feed or a count; a re-scan of history, to explain it or to leave such days out of
/// baselines.
///
/// # Parameters
/// - `period` — values per season, 2 to 1,000; default the series' periods in a year.
/// - `share_max` — most of the values that may be outliers, above 0, up to 0.49; default 0.1.
/// - `direction` — `high`, `low` or `both`; default `high`.
/// - `alpha` — level of the whole test, between 0 and 0.5; default 0.05.
/// - `compat` — `corrected` or `r`, see `stl`; default `corrected`.
///
/// # When it misleads
/// The level is the median of the whole series: a trend makes its end an outlier. Counts near zero have no spread (the test
/// stops there). More outliers than `share_max` hide each other.
///
/// # Source
/// Rosner 1983, Technometrics 25, 165–172 (the test); Hochenbaum, Vallis and Kejariwal 2017, arXiv 1704.07706 (season and
/// median). R: AnomalyDetection. Golden family `s_h_esd`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SHEsd {
    /// Values per season.
    pub period: Option<usize>,
    /// Most of the values that may be outliers.
    pub share_max: f64,
    /// High, low or both.
    pub direction: Direction,
    /// Level of the test.
    pub alpha: f64,
    /// Whose median the decomposition takes.
    pub compat: Compat,
}

impl Default for SHEsd {
    fn default() -> Self {
        Self {
            period: None,
            share_max: 0.1,
            direction: Direction::High,
            alpha: 0.05,
            compat: Compat::Corrected,
        }
    }
}

/// `expected` is season + trend; a period is an alarm if it is an outlier of the series up to it.
impl SeriesDetector for SHEsd {
    fn check(&self) -> Result<(), Error> {
        let fits = self.period.is_none_or(|p| (2..=1_000).contains(&p));
        parameter("period", self.period.unwrap_or(0) as f64, fits, "2 to 1,000")?;
        let share = self.share_max;
        parameter("share_max", share, share > 0.0 && share <= 0.49, "above 0, up to 0.49")?;
        parameter("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 0.5, "between 0 and 0.5")
    }

    fn profile(&self) -> Profile {
        Profile { p_value: false, ..Profile::FITS_ALL }
    }

    fn reach(&self, periods_per_year: usize) -> usize {
        self.history(periods_per_year).max(3 * periods_per_year)
    }

    fn history(&self, periods_per_year: usize) -> usize {
        2 * self.period.unwrap_or(periods_per_year)
    }

    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        self.check()?;
        series.check(&range)?;
        let period = period_of(self.period, series.periods_per_year)?;
        Ok(range.map(|t| self.judge_at(series.values, t, period)).collect())
    }
}

impl SHEsd {
    fn judge_at(&self, values: &[f64], t: usize, period: usize) -> Verdict {
        if t < 2 * period {
            return Verdict::TooEarly;
        }
        if values[..=t].iter().any(|v| v.is_nan()) {
            let own = values[t].is_nan();
            return Verdict::NotDefined(if own { Undefined::NoValue } else { Undefined::Gap });
        }
        match find(&values[..=t], period, self) {
            Ok(found) => {
                Judgement::new(found.places.contains(&t)).expected(found.expected[t]).into()
            }
            Err(_) => Verdict::NotDefined(Undefined::NoFit),
        }
    }
}

/// The outliers of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Outliers {
    /// Their places, the farthest out first.
    pub places: Vec<usize>,
    /// The seasonal part, per value.
    pub season: Vec<f64>,
    /// Value − season − median of all values.
    pub residual: Vec<f64>,
    /// Season + trend, per value.
    pub expected: Vec<f64>,
}

/// Finds the outliers of `values`, oldest first, with a season of `period` of them.
///
/// # Errors
/// A value that is not finite, no more than two periods of values, parameters out of range.
pub fn find(values: &[f64], period: usize, with: &SHEsd) -> Result<Outliers, Error> {
    with.check()?;
    finite(values)?;
    let period = period_of(Some(period), 0)?;
    let needed = 2 * period + 1;
    if values.len() < needed {
        return Err(Error::TooFew { what: "values", got: values.len(), needed });
    }
    let none = Error::NoAnswer { why: "the decomposition leaves the range of numbers" };
    let settings = Settings::new(period, None, true, with.compat);
    let parts = decompose(values, &settings).ok_or(none)?;
    let middle = order::median(values).unwrap_or(0.0);
    let residual: Vec<f64> =
        values.iter().zip(&parts.season).map(|(v, s)| v - s - middle).collect();
    let expected = parts.season.iter().zip(&parts.trend).map(|(s, t)| s + t).collect();
    let places = generalised_esd(&residual, with);
    Ok(Outliers { places, season: parts.season, residual, expected })
}

/// Rosner's test with median and MAD. Takes out one value after the other; those up to the last significant one count.
fn generalised_esd(values: &[f64], with: &SHEsd) -> Vec<usize> {
    let n = values.len();
    let mut left = Sorted::new(values);
    let mut taken = Vec::new();
    let mut significant = 0;
    for i in 1..=(n as f64 * with.share_max).floor() as usize {
        let (middle, spread) = (left.median(), left.mad());
        if spread <= 0.0 || left.values.len() < 3 {
            break;
        }
        let (at, distance) = left.farthest(middle, with.direction);
        taken.push(at);
        if distance / spread > critical(n, i, with) {
            significant = i;
        }
    }
    taken.truncate(significant);
    taken
}

/// The critical value of the `i`th step of `n` values.
fn critical(n: usize, i: usize, with: &SHEsd) -> f64 {
    let (n, i) = (n as f64, i as f64);
    let sides = if with.direction == Direction::Both { 2.0 } else { 1.0 };
    let t = beta::student_upper_quantile(with.alpha / (sides * (n - i + 1.0)), n - i - 1.0);
    t * (n - i) / ((n - i - 1.0 + t * t) * (n - i + 1.0)).sqrt()
}

/// Values in order with their places; a place is taken out in linear time.
struct Sorted {
    values: Vec<f64>,
    places: Vec<usize>,
}

impl Sorted {
    fn new(values: &[f64]) -> Self {
        let mut places: Vec<usize> = (0..values.len()).collect();
        places.sort_by(|&i, &j| values[i].total_cmp(&values[j]).then(i.cmp(&j)));
        Self { values: places.iter().map(|&i| values[i]).collect(), places }
    }

    fn median(&self) -> f64 {
        order::median_of_sorted(&self.values).unwrap_or(0.0)
    }

    fn mad(&self) -> f64 {
        order::mad_of_sorted(&self.values).unwrap_or(0.0)
    }

    /// Takes out the value farthest from the middle; of equally far ones that of the earliest place.
    fn farthest(&mut self, middle: f64, direction: Direction) -> (usize, f64) {
        let last = self.values.len() - 1;
        let (low, high) = (middle - self.values[0], self.values[last] - middle);
        let (distance, ends): (f64, &[usize]) = match direction {
            Direction::High => (high, &[1]),
            Direction::Low => (low, &[0]),
            Direction::Both if low > high => (low, &[0]),
            Direction::Both if high > low => (high, &[1]),
            Direction::Both => (low, &[0, 1]),
        };
        let first_of = |end: &usize| {
            if *end == 0 { 0 } else { self.values.partition_point(|v| *v < self.values[last]) }
        };
        let at = ends.iter().map(first_of).min_by_key(|&i| self.places[i]).unwrap_or(last);
        self.values.remove(at);
        (self.places.remove(at), distance)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn weeks(n: usize) -> Vec<f64> {
        let week = [20.0, 22.0, 21.0, 23.0, 30.0, 12.0, 9.0];
        (0..n).map(|i| week[i % 7] + (i * 7919 % 5) as f64).collect()
    }

    #[test]
    fn two_bursts_and_a_hole() {
        let mut days = weeks(140);
        days[50] += 40.0;
        days[90] += 60.0;
        days[100] -= 30.0;
        let high = find(&days, 7, &SHEsd::default()).unwrap();
        assert_eq!(high.places, [90, 50]);
        let low = SHEsd { direction: Direction::Low, ..SHEsd::default() };
        assert_eq!(find(&days, 7, &low).unwrap().places, [100]);
        let both = SHEsd { direction: Direction::Both, ..SHEsd::default() };
        assert_eq!(find(&days, 7, &both).unwrap().places, [90, 50, 100]);
        let detector = SHEsd { period: Some(7), ..SHEsd::default() };
        let verdicts = detector.evaluate(&Series::new(&days), 89..92).unwrap();
        let alarms: Vec<bool> = verdicts.iter().map(Verdict::alarm).collect();
        assert_eq!(alarms, [false, true, false]);
    }

    #[test]
    fn bad_input_is_an_error_and_equal_values_have_no_outlier() {
        let with = SHEsd::default();
        for bad in [&[][..], &[1.0], &[1.0; 14], &[f64::NAN; 30], &[1e300; 30]] {
            assert!(find(bad, 7, &with).is_err(), "{} values", bad.len());
        }
        for bad in [
            SHEsd { alpha: f64::NAN, ..with.clone() },
            SHEsd { share_max: 0.5, ..with.clone() },
            SHEsd { period: Some(1), ..with.clone() },
        ] {
            assert!(find(&[1.0; 100], 7, &bad).is_err());
        }
        assert!(find(&[3.0; 10_000], 7, &with).unwrap().places.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn never_nan(values in prop::collection::vec(-1e6..1e6_f64, 0..80), period in 2..9_usize) {
            let with = SHEsd { direction: Direction::Both, share_max: 0.49, ..SHEsd::default() };
            if let Ok(found) = find(&values, period, &with) {
                prop_assert!(found.places.len() <= values.len() / 2);
                prop_assert!(found.residual.iter().chain(&found.expected).all(|v| v.is_finite()));
            }
        }
    }
}
