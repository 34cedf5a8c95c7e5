//! Two shares: is the rate of one group above that of another?
//!
//! In: failures and samples of both. Out: chi-square with and without Yates' correction, the one-sided p-value, the
//! interval of the difference. For small counts see `fisher`.

use crate::detect::{
    Error, Judgement, Verdict,
    math::{gamma, normal},
    parameter,
};

/// Two proportions: is the rate of one group above that of another?
///
/// # What it finds
/// A change of a rate: this month against the last twelve, one district against the rest.
///
/// # Parameters
/// - `alpha` — one-sided probability of a false alarm, between 0 and 0.5; default 0.01.
///
/// # When it misleads
/// Expected counts below 5 in any of the four cells: use Fisher's test. Repeats of the same subject are not
/// independent samples. The second group must not contain the first.
///
/// # Source
/// Newcombe 1998, Stat. Med. 17, 873–890 (method 1 for the interval); Yates 1934, J. R. Stat. Soc. Suppl. 1, 217–235.
/// Golden family `proportions`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TwoProportions {
    /// One-sided probability of a false alarm.
    pub alpha: f64,
}

impl Default for TwoProportions {
    fn default() -> Self {
        Self { alpha: 0.01 }
    }
}

impl TwoProportions {
    /// Judges `x1` failures of `n1` samples against `x2` of `n2`. `expected` is in failures of the first group at the second's
    /// rate, `score` in standard deviations.
    ///
    /// # Errors
    /// As [`test()`]; `alpha` out of range.
    pub fn judge(&self, x1: u64, n1: u64, x2: u64, n2: u64) -> Result<Verdict, Error> {
        parameter("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 0.5, "between 0 and 0.5")?;
        let found = test(x1, n1, x2, n2, 0.95)?;
        Ok(Judgement::new(found.p_greater < self.alpha)
            .expected(n1 as f64 * (x2 as f64 / n2 as f64))
            .score(found.chi_square.sqrt().copysign(found.difference))
            .p_value(found.p_greater)
            .into())
    }
}

/// What two samples say about their difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoSample {
    /// Pearson's statistic, 1 degree of freedom.
    pub chi_square: f64,
    /// Its two-sided p-value.
    pub p_two_sided: f64,
    /// `P(Z > z)`, `z` the signed root of the statistic: small where the first rate is higher.
    pub p_greater: f64,
    /// First rate minus second.
    pub difference: f64,
    /// Wald interval of the difference, within [-1, 1].
    pub interval: (f64, f64),
    /// Statistic with continuity correction.
    pub chi_square_yates: f64,
    /// Its two-sided p-value.
    pub p_yates: f64,
}

/// Compares `x1` of `n1` with `x2` of `n2`.
///
/// # Errors
/// No samples in a group, more failures than samples, all or none failed in both groups.
pub fn test(x1: u64, n1: u64, x2: u64, n2: u64, level: f64) -> Result<TwoSample, Error> {
    super::four_cells(x1, n1, x2, n2)?;
    parameter("level", level, level > 0.0 && level < 1.0, "in (0, 1)")?;
    let failures = (x1 + x2) as f64;
    if failures == 0.0 || x1 + x2 == n1 + n2 {
        return Err(Error::NoAnswer { why: "all samples of both groups are alike" });
    }
    let (n1, n2) = (n1 as f64, n2 as f64);
    let (rate1, rate2) = (x1 as f64 / n1, x2 as f64 / n2);
    let difference = rate1 - rate2;
    let pooled = failures / (n1 + n2);
    let per_sample = 1.0 / n1 + 1.0 / n2;
    let statistic = |distance: f64| distance.powi(2) / (pooled * (1.0 - pooled) * per_sample);
    let correction = f64::min(0.5 * per_sample, difference.abs());
    let (plain, yates) = (statistic(difference), statistic(difference.abs() - correction));
    let z = normal::quantile(0.5 + level / 2.0);
    let spread = z * (rate1 * (1.0 - rate1) / n1 + rate2 * (1.0 - rate2) / n2).sqrt();
    Ok(TwoSample {
        chi_square: plain,
        p_two_sided: gamma::chi_square_upper(plain, 1.0),
        p_greater: normal::upper(plain.sqrt().copysign(difference)),
        difference,
        interval: ((difference - spread).max(-1.0), (difference + spread).min(1.0)),
        chi_square_yates: yates,
        p_yates: gamma::chi_square_upper(yates, 1.0),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn eight_of_a_hundred_against_thirty_of_a_thousand() {
        let t = test(8, 100, 30, 1000, 0.95).unwrap();
        for (got, want) in [
            (t.chi_square, 6.8143522648429),
            (t.p_greater, 0.00452140489471696),
            (t.chi_square_yates, 5.39764842898206),
            (t.interval.0, -0.00421346828706935),
            (t.interval.1, 0.104213468287069),
        ] {
            assert!((got - want).abs() < 1e-11, "{got} is not {want}");
        }
    }

    #[test]
    fn verdicts() {
        let judge = |x1, n1| TwoProportions::default().judge(x1, n1, 30, 1000).unwrap();
        assert!(judge(8, 100).alarm() && !judge(6, 100).alarm());
    }

    #[test]
    fn alike_groups_have_no_answer() {
        assert!(matches!(test(0, 5, 0, 9, 0.95), Err(Error::NoAnswer { .. })));
        assert!(matches!(test(5, 5, 9, 9, 0.95), Err(Error::NoAnswer { .. })));
        assert!(test(1, 0, 0, 9, 0.95).is_err());
        assert!(test(1, 5, 1, 9, f64::NAN).is_err());
        assert!(test(u64::MAX, u64::MAX, 1, 9, 0.95).is_err());
    }

    proptest! {
        #[test]
        fn never_nan(x1 in 0..100_u64, n1 in 0..100_u64, x2 in 0..2_000_000_000_000_u64, n2 in 0..2_000_000_000_000_u64) {
            if let Ok(t) = test(x1, n1, x2, n2, 0.95) {
                prop_assert!(t.chi_square.is_finite() && t.chi_square_yates.is_finite());
                for p in [t.p_two_sided, t.p_greater, t.p_yates] {
                    prop_assert!((0.0..=1.0).contains(&p));
                }
                prop_assert!(t.interval.0 <= t.difference && t.difference <= t.interval.1);
            }
        }
    }
}
