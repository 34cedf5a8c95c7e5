//! Mann–Kendall test for a trend, and the slope of Theil and Sen.
//!
//! In: a short series, oldest first. Out: the test's statistic and p-values, the median slope per period with its
//! interval. Only the order of the values matters, so one wild value does little.

use std::ops::Range;

use crate::detect::{
    Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict,
    math::{normal, order},
    parameter,
};

/// Longest series: all pairs are looked at and their slopes kept.
pub const LENGTH_MAX: usize = 3_000;

/// Mann–Kendall: does a short series rise steadily?
///
/// # What it finds
/// A steady rise of a subject's complaints, failures or prices over 8 to 26 periods, too slow for any single period to
/// stand out.
///
/// # Parameters
/// - `window` — periods looked at, the judged one included, 4 to 3,000; default 13.
/// - `alpha` — one-sided probability of a false alarm, between 0 and 0.5; default 0.01.
/// - `level` — confidence of the slope's interval, between 0 and 1; default 0.95.
///
/// # When it misleads
/// A season is a trend to it: compare whole years, or take the season out first. Periods that depend on each other
/// (stocks, cumulative counts) make it reject too often. A step looks like a trend.
///
/// # Source
/// Mann 1945, Econometrica 13, 245–259; Kendall 1975, Rank Correlation Methods; Sen 1968, J. Am. Stat. Assoc. 63,
/// 1379–1389 (slope). Golden family `mann_kendall`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MannKendall {
    /// Periods looked at.
    pub window: usize,
    /// One-sided probability of a false alarm.
    pub alpha: f64,
    /// Confidence of the slope's interval.
    pub level: f64,
}

impl Default for MannKendall {
    fn default() -> Self {
        Self { window: 13, alpha: 0.01, level: 0.95 }
    }
}

/// `expected` is the trend line at the judged period, `score` is z, `p_value` is one-sided against a rise; there is no
/// upper bound. Periods without a value are left out of the window.
impl SeriesDetector for MannKendall {
    fn check(&self) -> Result<(), Error> {
        let fits = (4..=LENGTH_MAX).contains(&self.window);
        parameter("window", self.window as f64, fits, "4 to 3,000")?;
        parameter("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 0.5, "between 0 and 0.5")?;
        parameter("level", self.level, self.level > 0.0 && self.level < 1.0, "between 0 and 1")
    }

    fn profile(&self) -> Profile {
        Profile::TESTS.by_order()
    }

    fn history(&self, _periods_per_year: usize) -> usize {
        self.window - 1
    }

    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        self.check()?;
        series.check(&range)?;
        Ok(range.map(|t| self.judge_at(series.values, t)).collect())
    }
}

impl MannKendall {
    fn judge_at(&self, values: &[f64], t: usize) -> Verdict {
        let Some(from) = (t + 1).checked_sub(self.window) else { return Verdict::TooEarly };
        if values[t].is_nan() {
            return Verdict::NotDefined(Undefined::NoValue);
        }
        let window: Vec<f64> = values[from..=t].iter().copied().filter(|v| !v.is_nan()).collect();
        match judge(&window, self.level) {
            Err(_) => Verdict::NotDefined(Undefined::NoFit),
            Ok(trend) => Judgement::new(trend.p_increasing < self.alpha)
                .expected(trend.intercept + trend.slope * window.len() as f64)
                .score(trend.z)
                .p_value(trend.p_increasing)
                .into(),
        }
    }
}

/// The trend of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Pairs that rise minus pairs that fall.
    pub s: i64,
    /// Its variance without a trend, ties accounted for.
    pub variance: f64,
    /// `s` in standard deviations, with continuity correction.
    pub z: f64,
    /// Two-sided p-value.
    pub p_two_sided: f64,
    /// p-value against a rise.
    pub p_increasing: f64,
    /// Kendall's tau-b of value and time.
    pub tau_b: f64,
    /// Median slope, units per period.
    pub slope: f64,
    /// Median value minus slope times median time, time 1 being the first period.
    pub intercept: f64,
    /// Interval of the slope.
    pub slope_interval: (f64, f64),
}

/// Judges the trend of `values`, shape `[periods]`, oldest first.
///
/// # Errors
/// Fewer than 3 or more than 3,000 values, a value that is not finite, all values equal.
pub fn judge(values: &[f64], level: f64) -> Result<Trend, Error> {
    let n = values.len();
    if n < 3 {
        return Err(Error::TooFew { what: "periods", got: n, needed: 3 });
    }
    if n > LENGTH_MAX {
        return Err(Error::TooMany { what: "periods", got: n, max: LENGTH_MAX });
    }
    if let Some(at) = values.iter().position(|v| !v.is_finite() || v.abs() > f64::MAX / 4.0) {
        return Err(Error::Value {
            what: "value",
            at,
            value: values[at],
            range: "a finite number",
        });
    }
    parameter("level", level, level > 0.0 && level < 1.0, "between 0 and 1")?;
    let (s, mut slopes) = pairs(values);
    let length = n as f64;
    let ties = tie_sizes(values);
    let tied = |f: fn(f64) -> f64| ties.iter().map(|&t| f(t)).sum::<f64>();
    let variance = (length * (length - 1.0) * (2.0 * length + 5.0)
        - tied(|t| t * (t - 1.0) * (2.0 * t + 5.0)))
        / 18.0;
    if variance <= 0.0 {
        return Err(Error::NoAnswer { why: "all values are equal" });
    }
    let z = (s - s.signum()) as f64 / variance.sqrt();
    let all_pairs = length * (length - 1.0) / 2.0;
    let untied = all_pairs - tied(|t| t * (t - 1.0) / 2.0);
    slopes.sort_unstable_by(f64::total_cmp);
    let slope = order::median_of_sorted(&slopes).unwrap_or(0.0);
    let middle = order::median(values).unwrap_or(0.0);
    let half = normal::quantile(0.5 + level / 2.0) * variance.sqrt();
    let count = slopes.len() as f64;
    Ok(Trend {
        s,
        variance,
        z,
        p_two_sided: (2.0 * normal::upper(z.abs())).min(1.0),
        p_increasing: normal::upper(z),
        tau_b: s as f64 / (all_pairs.sqrt() * untied.sqrt()),
        slope,
        intercept: middle - slope * (length + 1.0) / 2.0,
        slope_interval: (
            at_rank(&slopes, (count - half) / 2.0),
            at_rank(&slopes, (count + half) / 2.0 + 1.0),
        ),
    })
}

/// Rising minus falling pairs, and the slope of every pair.
fn pairs(values: &[f64]) -> (i64, Vec<f64>) {
    let n = values.len();
    let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
    let mut s = 0;
    for i in 0..n {
        for j in i + 1..n {
            let rise = values[j] - values[i];
            s += i64::from(rise > 0.0) - i64::from(rise < 0.0);
            slopes.push(rise / (j - i) as f64);
        }
    }
    (s, slopes)
}

/// Sizes of the groups of equal values.
fn tie_sizes(values: &[f64]) -> Vec<f64> {
    order::sorted(values).chunk_by(|a, b| a == b).map(|group| group.len() as f64).collect()
}

/// The value at a rank counted from 1, linear between ranks, the ends outside.
fn at_rank(sorted: &[f64], rank: f64) -> f64 {
    let last = sorted.len() as f64;
    let rank = rank.clamp(1.0, last);
    let low = rank.floor();
    let part = rank - low;
    let (a, b) = (sorted[low as usize - 1], sorted[(low as usize).min(sorted.len() - 1)]);
    if part == 0.0 { a } else { a + part * (b - a) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn five_rising_values() {
        let t = judge(&[1.0, 2.0, 4.0, 3.0, 5.0], 0.95).unwrap();
        assert_eq!(t.s, 8);
        assert!((t.variance - 50.0 / 3.0).abs() < 1e-12);
        assert!((t.tau_b - 0.8).abs() < 1e-12);
        assert!((t.p_increasing - 0.04320536648685).abs() < 1e-12);
        assert_eq!(t.slope, 1.0);
    }

    #[test]
    fn a_slow_rise_is_an_alarm_although_no_period_stands_out() {
        let values: Vec<f64> = (0..30).map(|i| f64::from(10 + i / 2 + i * 7 % 3)).collect();
        let verdicts = MannKendall::default().evaluate(&Series::new(&values), 10..30).unwrap();
        assert_eq!(verdicts[0], Verdict::TooEarly);
        assert!(verdicts[19].alarm());
        let flat = MannKendall::default().evaluate(&Series::new(&[4.0; 30]), 29..30).unwrap();
        assert_eq!(flat, [Verdict::NotDefined(Undefined::NoFit)]);
    }

    #[test]
    fn bad_input_is_an_error() {
        for bad in [
            &[][..],
            &[1.0],
            &[1.0, 2.0],
            &[3.0; 9],
            &[0.0; 2_900],
            &[1.0; 10_000],
            &[1.0, f64::NAN, 2.0],
            &[1.0, f64::INFINITY, 2.0],
            &[-f64::MAX, f64::MAX, 2.0],
        ] {
            assert!(judge(bad, 0.95).is_err(), "{} values", bad.len());
        }
    }

    proptest! {
        #[test]
        fn turning_the_series_round_turns_the_sign(values in prop::collection::vec(-50..50_i32, 3..40)) {
            let there: Vec<f64> = values.iter().map(|&v| f64::from(v)).collect();
            let back: Vec<f64> = there.iter().rev().copied().collect();
            match (judge(&there, 0.95), judge(&back, 0.95)) {
                (Ok(a), Ok(b)) => {
                    prop_assert_eq!(a.s, -b.s);
                    prop_assert!((a.slope + b.slope).abs() < 1e-12);
                    prop_assert!(a.slope_interval.0 <= a.slope && a.slope <= a.slope_interval.1);
                    prop_assert!((0.0..=1.0).contains(&a.p_two_sided) && a.tau_b.abs() <= 1.0 + 1e-12);
                }
                (a, b) => prop_assert_eq!(a.is_err(), b.is_err()),
            }
        }
    }
}
