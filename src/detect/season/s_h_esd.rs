//! S-H-ESD: several outliers of a seasonal series at once, each tested against what is left without the others.
//!
//! In: a series of at least two periods, without gaps. Out: the anomalous places in the order they were taken out, and
//! for every value what season and trend make of it.

use super::finite;
use crate::detect::{
    Compat, Error,
    math::{
        normal, order,
        stl::{Settings, decompose},
    },
};

/// Which values count as anomalous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// High ones.
    #[default]
    High,
    /// Low ones.
    Low,
    /// Either.
    Both,
}

/// How outliers are tested.
///
/// # What it finds
/// Days of unusual volume in a feed or a count, several in one go; a batch re-scan of history, to explain it or to leave
/// such days out of baselines.
///
/// # Parameters
/// - `period`: values per period, ≥ 2.
/// - `share_max`: most of the values that may be anomalous, default 0.1, in (0, 0.49].
/// - `direction`: `high` (default), `low`, `both`.
/// - `alpha`: level of the whole test, default 0.05, in (0, 0.5].
/// - `compat`: `corrected` (default) or `r`, see `stl`.
///
/// # When it misleads
/// The level moves with the median of the whole series only: a trend makes its end anomalous. Counts near zero have no
/// spread (the test stops there). More anomalies than `share_max` hide each other.
///
/// # Source
/// Rosner 1983, Technometrics 25, 165–172 (the test); Hochenbaum, Vallis and Kejariwal 2017, arXiv 1704.07706 (season and
/// median). Checked against the golden family `s_h_esd`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// Values per period.
    pub period: usize,
    /// Most of the values that may be anomalous.
    pub share_max: f64,
    /// High, low or both.
    pub direction: Direction,
    /// Level of the test.
    pub alpha: f64,
    /// Whose median the decomposition takes.
    pub compat: Compat,
}

impl Parameters {
    /// High values, at most a tenth, level 0.05.
    #[must_use]
    pub fn new(period: usize) -> Self {
        Self { period, share_max: 0.1, direction: Direction::High, alpha: 0.05, compat: Compat::Corrected }
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

/// Finds the outliers of `values`, oldest first.
///
/// # Errors
/// A value that is not finite, no more than two periods of values, parameters out of range.
pub fn find(values: &[f64], with: &Parameters) -> Result<Outliers, Error> {
    finite(values)?;
    check(values.len(), with)?;
    let none = Error::NotDefined { why: "the decomposition leaves the range of numbers" };
    let settings = Settings::new(with.period, None, true, with.compat);
    let parts = decompose(values, &settings).ok_or(none)?;
    let middle = order::median(values).unwrap_or(0.0);
    let residual: Vec<f64> =
        values.iter().zip(&parts.season).map(|(v, s)| v - s - middle).collect();
    let expected = parts.season.iter().zip(&parts.trend).map(|(s, t)| s + t).collect();
    let places = generalised_esd(&residual, with);
    Ok(Outliers { places, season: parts.season, residual, expected })
}

/// Rosner's test with median and MAD. Takes out one value after the other; those up to the last significant one count.
fn generalised_esd(values: &[f64], with: &Parameters) -> Vec<usize> {
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
fn critical(n: usize, i: usize, with: &Parameters) -> f64 {
    let (n, i) = (n as f64, i as f64);
    let sides = if with.direction == Direction::Both { 2.0 } else { 1.0 };
    let t = normal::student_quantile_upper(with.alpha / (sides * (n - i + 1.0)), n - i - 1.0);
    t * (n - i) / ((n - i - 1.0 + t * t) * (n - i + 1.0)).sqrt()
}

fn check(n: usize, with: &Parameters) -> Result<(), Error> {
    let bad = |name, value, must| Err(Error::Parameter { name, value, must });
    if with.period < 2 {
        return bad("period", with.period as f64, "≥ 2");
    }
    if !(with.share_max > 0.0 && with.share_max <= 0.49) {
        return bad("share_max", with.share_max, "in (0, 0.49]");
    }
    if !(with.alpha > 0.0 && with.alpha <= 0.5) {
        return bad("alpha", with.alpha, "in (0, 0.5]");
    }
    let needed = with.period.saturating_mul(2).saturating_add(1);
    if n < needed {
        return Err(Error::TooFew { what: "values", found: n, needed });
    }
    Ok(())
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
        let high = find(&days, &Parameters::new(7)).unwrap();
        assert_eq!(high.places, [90, 50]);
        let low = Parameters { direction: Direction::Low, ..Parameters::new(7) };
        assert_eq!(find(&days, &low).unwrap().places, [100]);
        let both = Parameters { direction: Direction::Both, ..Parameters::new(7) };
        assert_eq!(find(&days, &both).unwrap().places, [90, 50, 100]);
    }

    #[test]
    fn bad_input_is_an_error_and_equal_values_have_no_outlier() {
        let with = Parameters::new(7);
        for bad in [&[][..], &[1.0], &[1.0; 14], &[f64::NAN; 30], &[1e300; 30]] {
            assert!(find(bad, &with).is_err(), "{} values", bad.len());
        }
        for bad in [
            Parameters { alpha: f64::NAN, ..with },
            Parameters { share_max: 0.5, ..with },
            Parameters { period: 1, ..with },
        ] {
            assert!(find(&[1.0; 100], &bad).is_err());
        }
        assert!(find(&[3.0; 10_000], &with).unwrap().places.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn never_nan(values in prop::collection::vec(-1e6..1e6_f64, 0..80), period in 2..9_usize) {
            let with = Parameters { direction: Direction::Both, share_max: 0.49, ..Parameters::new(period) };
            if let Ok(found) = find(&values, &with) {
                prop_assert!(found.places.len() <= values.len() / 2);
                prop_assert!(found.residual.iter().chain(&found.expected).all(|v| v.is_finite()));
            }
        }
    }
}
