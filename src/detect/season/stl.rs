//! STL detector: how far a value lies from its season and trend, in robust standard deviations.
//!
//! In: a series of at least two periods, without gaps. Out: its parts, and for each value the remainder's robust z. The
//! decomposition itself is in [`crate::detect::math::stl`].

use std::ops::Range;

use super::{finite, period_of};
use crate::detect::{
    Compat, Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict,
    math::{
        order,
        stl::{Loess, Parts, Settings, decompose},
    },
    parameter,
};

/// STL: is a value far from its season and trend?
///
/// # What it finds
/// Single values that fit neither season nor trend: a holiday that is none, a day without feed, a burst. A re-scan of
/// history; for the newest week alone prefer `farrington_flexible`.
///
/// # Parameters
/// - `period` — values per season, 2 to 1,000 (7 for the days of a week); default the series' periods in a year.
/// - `season_window` — seasons that a season is smoothed over, odd, 3 to 999; default none: it never changes.
/// - `trend_window` — values that the trend is smoothed over, odd, 3 to 9,999; default the next odd number above
///   1.5 · period / (1 − 1.5 / season_window).
/// - `robust` — whether outliers lose weight; default true.
/// - `z` — robust standard deviations above which a value is an alarm, above 0; default 3.5.
/// - `compat` — `r` takes the median of an even number of values as the authors' program does, whose partial sort leaves one
///   of the two middle values in the wrong place now and then; default `corrected`.
///
/// # When it misleads
/// The newest values pull the trend towards themselves, so a burst at the end is partly explained away. Counts below about 5
/// are too skew for z. Two seasons (week and year) need two passes.
///
/// # Source
/// Cleveland et al. 1990, J. Off. Stat. 6, 3–73. R: stats::stl. Golden family `stl`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stl {
    /// Values per season.
    pub period: Option<usize>,
    /// Seasons that a season is smoothed over; `None` for one that never changes.
    pub season_window: Option<usize>,
    /// Values that the trend is smoothed over; `None` for the recommended number.
    pub trend_window: Option<usize>,
    /// Whether outliers lose weight.
    pub robust: bool,
    /// Robust standard deviations above which a value is an alarm.
    pub z: f64,
    /// Whose median the outer passes take.
    pub compat: Compat,
}

impl Default for Stl {
    fn default() -> Self {
        Self {
            period: None,
            season_window: None,
            trend_window: None,
            robust: true,
            z: 3.5,
            compat: Compat::Corrected,
        }
    }
}

/// `expected` is season + trend, `score` is the robust z; a period's own value is part of its decomposition.
impl SeriesDetector for Stl {
    fn check(&self) -> Result<(), Error> {
        let within = |v: Option<usize>, max| v.is_none_or(|v| (2..=max).contains(&v));
        let of = |v: Option<usize>| v.unwrap_or(0) as f64;
        parameter("period", of(self.period), within(self.period, 1_000), "2 to 1,000")?;
        parameter(
            "season_window",
            of(self.season_window),
            within(self.season_window, 999),
            "3 to 999",
        )?;
        parameter(
            "trend_window",
            of(self.trend_window),
            within(self.trend_window, 9_999),
            "3 to 9,999",
        )?;
        parameter("z", self.z, self.z > 0.0 && self.z.is_finite(), "above 0")
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

impl Stl {
    /// The settings of the decomposition for a season of `period` values.
    #[must_use]
    pub fn settings(&self, period: usize) -> Settings {
        let mut out = Settings::new(period, self.season_window, self.robust, self.compat);
        if let Some(window) = self.trend_window {
            let window = (window | 1).max(3);
            out.trend = Loess { window, degree: 1, jump: window.div_ceil(10) };
        }
        out
    }

    fn judge_at(&self, values: &[f64], t: usize, period: usize) -> Verdict {
        if t < 2 * period {
            return Verdict::TooEarly;
        }
        if values[..=t].iter().any(|v| v.is_nan()) {
            let own = values[t].is_nan();
            return Verdict::NotDefined(if own { Undefined::NoValue } else { Undefined::Gap });
        }
        let Ok(apart) = take_apart(&values[..=t], &self.settings(period)) else {
            return Verdict::NotDefined(Undefined::NoFit);
        };
        let Some((middle, spread)) = apart.spread.filter(|s| s.1 > 0.0) else {
            return Verdict::NotDefined(Undefined::NoFit);
        };
        let expected = apart.parts.season[t] + apart.parts.trend[t];
        let z = (apart.parts.remainder[t] - middle) / spread;
        Judgement::new(z > self.z)
            .expected(expected)
            .upper_bound(expected + middle + self.z * spread)
            .score(z)
            .into()
    }
}

/// A series taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Apart {
    /// Season, trend, remainder, weights.
    pub parts: Parts,
    /// Median of the remainder, and 1.4826 times its median absolute deviation.
    pub spread: Option<(f64, f64)>,
}

impl Apart {
    /// (remainder − its median) / spread, per value; `None` for a remainder without spread.
    #[must_use]
    pub fn z(&self) -> Option<Vec<f64>> {
        let (middle, spread) = self.spread.filter(|s| s.1 > 0.0)?;
        Some(self.parts.remainder.iter().map(|r| (r - middle) / spread).collect())
    }
}

/// Takes `values` apart, shape `[periods × period]`, oldest first.
///
/// # Errors
/// A value that is not finite, no more than two periods of values, parameters out of range.
pub fn take_apart(values: &[f64], with: &Settings) -> Result<Apart, Error> {
    finite(values)?;
    let needed = with.period.saturating_mul(2).saturating_add(1);
    if values.len() < needed {
        return Err(Error::TooFew { what: "values", got: values.len(), needed });
    }
    let none = Error::NoAnswer { why: "the decomposition leaves the range of numbers" };
    let parts = decompose(values, with).ok_or(none)?;
    let spread = order::median(&parts.remainder).zip(order::mad(&parts.remainder));
    Ok(Apart { parts, spread })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn weekly(days: &[f64]) -> Result<Apart, Error> {
        take_apart(days, &Stl::default().settings(7))
    }

    #[test]
    fn one_odd_day_stands_out() {
        let week = [20.0, 22.0, 21.0, 23.0, 30.0, 12.0, 9.0];
        let mut days: Vec<f64> = (0..84).map(|i| week[i % 7] + (i * 7919 % 5) as f64).collect();
        days[40] += 25.0;
        let z = weekly(&days).unwrap().z().unwrap();
        assert!(z[40] > 8.0, "{}", z[40]);
        assert!(z.iter().enumerate().all(|(i, z)| i == 40 || z.abs() < 5.0));
        let detector = Stl { period: Some(7), ..Stl::default() };
        let verdicts = detector.evaluate(&Series::new(&days), 13..42).unwrap();
        assert_eq!(verdicts[0], Verdict::TooEarly);
        assert!(verdicts[27].alarm() && !verdicts[28].alarm());
    }

    #[test]
    fn bad_input_is_an_error_and_equal_values_have_no_z() {
        for bad in [&[][..], &[1.0], &[1.0; 14], &[f64::NAN; 30], &[1e300; 30]] {
            assert!(weekly(bad).is_err(), "{} values", bad.len());
        }
        for period in [0, 1, usize::MAX] {
            let detector = Stl { period: Some(period), ..Stl::default() };
            assert!(detector.evaluate(&Series::new(&[1.0; 30]), 0..30).is_err());
        }
        assert_eq!(weekly(&[0.0; 10_000]).unwrap().z(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn never_nan_and_parts_add_up(
            values in prop::collection::vec(-1e6..1e6_f64, 0..60),
            period in 2..9_usize,
            robust in any::<bool>(),
            season_window in prop::option::of(2..15_usize),
        ) {
            let with = Stl { robust, season_window, compat: Compat::R, ..Stl::default() };
            if let Ok(apart) = take_apart(&values, &with.settings(period)) {
                for (i, value) in values.iter().enumerate() {
                    let parts = &apart.parts;
                    let sum = parts.season[i] + parts.trend[i] + parts.remainder[i];
                    prop_assert!((sum - value).abs() < 1e-6);
                    prop_assert!((0.0..=1.0).contains(&parts.weight[i]));
                }
                prop_assert!(apart.z().is_none_or(|z| z.iter().all(|z| z.is_finite())));
            }
        }
    }
}
