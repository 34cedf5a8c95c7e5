//! STL detector: how far a value lies from its season and trend, in robust standard deviations.
//!
//! In: a series of at least two periods, without gaps. Out: its parts, and for each value the remainder's robust z. The
//! decomposition itself is in [`crate::detect::math::stl`].

use super::finite;
use crate::detect::{
    Compat, Error,
    math::{
        order,
        stl::{Loess, Parts, Settings, decompose},
    },
};

/// How the series is taken apart.
///
/// # What it finds
/// Single values that fit neither season nor trend: a holiday that is none, a day without feed, a burst. Batch re-scan of
/// history; for the newest value alone prefer `farrington_flexible`.
///
/// # Parameters
/// - `period`: values per period, ≥ 2 (7 for days in a week, 52 for weeks in a year).
/// - `season_window`: odd, ≥ 7, or `periodic` (default): how many periods the season is smoothed over.
/// - `trend_window`: odd, ≥ 3; default the next odd above 1.5 · period / (1 − 1.5 / season_window).
/// - `robust`: default true; 15 outer passes that take weight from outliers.
/// - `compat`: `corrected` (default); `r` takes the median of an even number of values as the authors' program does, whose
///   partial sort leaves one of the two middle values in the wrong place now and then.
/// - `z`: robust z above which a value is out of the ordinary, default 3.5, > 0.
///
/// # When it misleads
/// The newest values pull the trend towards themselves, so a burst at the end is partly explained away. Counts below about 5
/// are too skew for z. Two seasons (week and year) need two passes.
///
/// # Source
/// Cleveland et al. 1990, J. Off. Stat. 6, 3–73. Checked against the golden family `stl`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// Values per period.
    pub period: usize,
    /// Periods the season is smoothed over; `None` for a season that never changes.
    pub season_window: Option<usize>,
    /// Values the trend is smoothed over; `None` for the recommended number.
    pub trend_window: Option<usize>,
    /// Whether outliers lose weight.
    pub robust: bool,
    /// Whose median the outer passes take.
    pub compat: Compat,
}

impl Parameters {
    /// Unchanging season, recommended trend, robust.
    #[must_use]
    pub fn new(period: usize) -> Self {
        Self { period, season_window: None, trend_window: None, robust: true, compat: Compat::Corrected }
    }
}

/// A series taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Apart {
    /// Season, trend, remainder, weights.
    pub parts: Parts,
    /// (remainder − its median) / (1.4826 × median absolute deviation), per value; `None` for a remainder without spread.
    pub z: Option<Vec<f64>>,
}

/// Takes `values` apart, shape `[periods × period]`, oldest first.
///
/// # Errors
/// A value that is not finite, no more than two periods of values, parameters out of range.
pub fn take_apart(values: &[f64], with: &Parameters) -> Result<Apart, Error> {
    finite(values)?;
    if with.period < 2 {
        let value = with.period as f64;
        return Err(Error::Parameter { name: "period", value, must: "≥ 2" });
    }
    let needed = with.period.saturating_mul(2).saturating_add(1);
    if values.len() < needed {
        return Err(Error::TooFew { what: "values", found: values.len(), needed });
    }
    let mut settings = Settings::new(with.period, with.season_window, with.robust, with.compat);
    if let Some(window) = with.trend_window {
        let window = (window | 1).max(3);
        settings.trend = Loess { window, degree: 1, jump: window.div_ceil(10) };
    }
    let none = Error::NotDefined { why: "the decomposition leaves the range of numbers" };
    let parts = decompose(values, &settings).ok_or(none)?;
    let z = robust_z(&parts.remainder);
    Ok(Apart { parts, z })
}

fn robust_z(remainder: &[f64]) -> Option<Vec<f64>> {
    let (middle, spread) = (order::median(remainder)?, order::mad(remainder)?);
    (spread > 0.0).then(|| remainder.iter().map(|r| (r - middle) / spread).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_odd_day_stands_out() {
        let week = [20.0, 22.0, 21.0, 23.0, 30.0, 12.0, 9.0];
        let mut days: Vec<f64> = (0..84).map(|i| week[i % 7] + (i * 7919 % 5) as f64).collect();
        days[40] += 25.0;
        let z = take_apart(&days, &Parameters::new(7)).unwrap().z.unwrap();
        assert!(z[40] > 8.0, "{}", z[40]);
        assert!(z.iter().enumerate().all(|(i, z)| i == 40 || z.abs() < 5.0));
    }

    #[test]
    fn bad_input_is_an_error_and_equal_values_have_no_z() {
        let with = Parameters::new(7);
        for bad in [&[][..], &[1.0], &[1.0; 14], &[f64::NAN; 30], &[1e300; 30]] {
            assert!(take_apart(bad, &with).is_err(), "{} values", bad.len());
        }
        assert!(take_apart(&[1.0; 30], &Parameters::new(0)).is_err());
        assert!(take_apart(&[1.0; 30], &Parameters::new(usize::MAX)).is_err());
        assert_eq!(take_apart(&[0.0; 10_000], &with).unwrap().z, None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn never_nan_and_parts_add_up(values in prop::collection::vec(-1e6..1e6_f64, 0..60), period in 2..9_usize, robust in any::<bool>(), window in prop::option::of(1..15_usize)) {
            let with = Parameters { period, season_window: window, trend_window: None, robust, compat: Compat::R };
            if let Ok(apart) = take_apart(&values, &with) {
                for i in 0..values.len() {
                    let sum = apart.parts.season[i] + apart.parts.trend[i] + apart.parts.remainder[i];
                    prop_assert!((sum - values[i]).abs() < 1e-6);
                    prop_assert!((0.0..=1.0).contains(&apart.parts.weight[i]));
                }
                prop_assert!(apart.z.is_none_or(|z| z.iter().all(|z| z.is_finite())));
            }
        }
    }
}
