//! Gamma-Poisson empirical Bayes: counts against an expectation, shrunk towards the group.
//!
//! In: the count and the expected count of every subject (district, shop, product). Out: the prior of the ratio of the
//! two, and for each subject the posterior of its own ratio.

use crate::detect::{
    Error,
    math::{
        density::{ln_negative_binomial, ln_poisson},
        gamma, simplex,
    },
    parameter,
};

/// Gamma-Poisson empirical Bayes: is a subject's count high for what was expected of it?
///
/// # What it finds
/// Districts or shops with more complaints than their turnover or population explains, small ones included: a district
/// with 3 complaints where 0.4 were expected is drawn to the group's mean until it shows more.
///
/// # Parameters
/// - `above` — ratio of count to expectation to exceed, above 0; default 1.
/// - `probability` — alarm where `P(ratio > above)` is above this, between 0.5 and 1; default 0.95.
/// - `level` — confidence of the interval, between 0 and 1; default 0.9: its lower end is the usual EB05.
/// - `min_subjects` — fewest subjects for a fit, 2 or more; default 20.
///
/// # When it misleads
/// The expectation is taken as known: where it is made from the same counts, a subject that dominates hides itself.
/// Neighbours are not used; a cluster across borders is for `cluster`.
///
/// # Source
/// Clayton and Kaldor 1987, Biometrics 43, 671–681. Golden family `gamma_poisson_eb`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GammaPoisson {
    /// Ratio to exceed.
    pub above: f64,
    /// Alarm where the posterior probability of exceeding it is above this.
    pub probability: f64,
    /// Confidence of the interval.
    pub level: f64,
    /// Fewest subjects for a fit.
    pub min_subjects: usize,
}

impl Default for GammaPoisson {
    fn default() -> Self {
        Self { above: 1.0, probability: 0.95, level: 0.9, min_subjects: 20 }
    }
}

impl GammaPoisson {
    /// Are the parameters in their ranges?
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first that is not.
    pub fn check(&self) -> Result<(), Error> {
        let (above, p) = (self.above, self.probability);
        parameter("above", above, above > 0.0 && above.is_finite(), "above 0")?;
        parameter("probability", p, p > 0.5 && p < 1.0, "between 0.5 and 1")?;
        parameter("level", self.level, self.level > 0.0 && self.level < 1.0, "between 0 and 1")?;
        parameter("min_subjects", self.min_subjects as f64, self.min_subjects >= 2, "2 or more")
    }
}

/// How ratios vary between the subjects of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prior {
    /// Ratios are Gamma(shape `a`, rate `b`).
    Gamma {
        /// Counts that the group is worth.
        a: f64,
        /// Expected counts that the group is worth.
        b: f64,
    },
    /// The counts show no difference between subjects beyond chance: all have this ratio.
    Point(f64),
}

/// A group of subjects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// The fitted prior.
    pub prior: Prior,
    /// Log-likelihood of the counts under it.
    pub log_likelihood: f64,
}

/// What is known of one subject's ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Subject {
    /// Count / expected count; `None` where none were expected.
    pub raw: Option<f64>,
    /// Posterior mean of the ratio.
    pub mean: f64,
    /// Equal-tailed interval of the ratio.
    pub interval: (f64, f64),
    /// `P(ratio > above)`.
    pub p_above: f64,
    /// Whether that is above `probability`.
    pub alarm: bool,
}

/// Fits the prior to `counts` against `expected`, one of each per subject.
///
/// # Errors
/// Different lengths, too few subjects, an expectation that is negative or no number, a count where none were expected,
/// no count at all.
pub fn fit(counts: &[u64], expected: &[f64], with: &GammaPoisson) -> Result<Group, Error> {
    with.check()?;
    if counts.len() != expected.len() {
        let (found, wanted) = (counts.len(), expected.len());
        return Err(Error::Rows { what: "counts", got: found, wanted });
    }
    let needed = with.min_subjects;
    if counts.len() < needed {
        return Err(Error::TooFew { what: "subjects", got: counts.len(), needed });
    }
    for (at, (&x, &e)) in counts.iter().zip(expected).enumerate() {
        check(x, e, at)?;
    }
    // Nothing expected and nothing counted says nothing.
    let pairs: Vec<(f64, f64)> =
        counts.iter().zip(expected).map(|(&x, &e)| (x as f64, e)).filter(|p| p.1 > 0.0).collect();
    let (counted, hoped) = pairs.iter().fold((0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1));
    if counted == 0.0 {
        return Err(Error::NoAnswer { why: "no counts at all" });
    }
    let ratio = counted / hoped;
    let alone: f64 = pairs.iter().map(|&(x, e)| ln_poisson(x, ratio * e)).sum();
    let best = simplex::minimise(&[1.0, 0.0], 0.5, 1e-15, |at| {
        if !(-9.0..=23.0).contains(&at[0]) || at[1].abs() > 30.0 {
            return f64::INFINITY;
        }
        let (a, b) = shape(at, ratio);
        -pairs
            .iter()
            .map(|&(x, e)| ln_negative_binomial(x, a, b / (b + e), e / (b + e)))
            .sum::<f64>()
    });
    if -best.value <= alone + 1e-6 {
        return Ok(Group { prior: Prior::Point(ratio), log_likelihood: alone });
    }
    let (a, b) = shape(&best.at, ratio);
    Ok(Group { prior: Prior::Gamma { a, b }, log_likelihood: -best.value })
}

/// Log of the shape, and log of the prior mean in units of the overall ratio.
fn shape(at: &[f64], ratio: f64) -> (f64, f64) {
    let a = at[0].exp();
    (a, a / (ratio * at[1].exp()))
}

/// The posterior of the ratio of a subject with `x` counted and `expected` expected.
///
/// # Errors
/// As [`fit`]; parameters out of range.
pub fn judge(group: &Group, x: u64, expected: f64, with: &GammaPoisson) -> Result<Subject, Error> {
    with.check()?;
    check(x, expected, 0)?;
    let raw = (expected > 0.0).then(|| x as f64 / expected).filter(|r| r.is_finite());
    let (a, b) = match group.prior {
        Prior::Point(ratio) => {
            let p_above = if ratio > with.above { 1.0 } else { 0.0 };
            let alarm = p_above > with.probability;
            return Ok(Subject { raw, mean: ratio, interval: (ratio, ratio), p_above, alarm });
        }
        Prior::Gamma { a, b } => (a + x as f64, b + expected),
    };
    let tail = (1.0 - with.level) / 2.0;
    let p_above = gamma::tails(a, with.above * b).upper;
    Ok(Subject {
        raw,
        mean: a / b,
        interval: (gamma::quantile(a, tail) / b, gamma::quantile(a, 1.0 - tail) / b),
        p_above,
        alarm: p_above > with.probability,
    })
}

fn check(x: u64, expected: f64, at: usize) -> Result<(), Error> {
    if !(0.0..=1e12).contains(&expected) || expected > 0.0 && expected < 1e-100 {
        let range = "0 or in [1e-100, 1e12]";
        return Err(Error::Value { what: "expected count", at, value: expected, range });
    }
    if x > super::COUNT_MAX || x > 0 && expected == 0.0 {
        let range = "at most 1e12, and 0 where none are expected";
        return Err(Error::Value { what: "count", at, value: x as f64, range });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FEW: GammaPoisson =
        GammaPoisson { above: 1.0, probability: 0.95, level: 0.9, min_subjects: 2 };

    #[test]
    fn small_subjects_are_drawn_to_the_group() {
        let counts = [3, 40, 12, 9, 60, 22, 8, 15, 1, 33];
        let expected = [0.4, 25.0, 14.0, 12.0, 30.0, 24.0, 9.0, 13.0, 2.0, 40.0];
        let group = fit(&counts, &expected, &FEW).unwrap();
        let small = judge(&group, 3, 0.4, &FEW).unwrap();
        let large = judge(&group, 60, 30.0, &FEW).unwrap();
        assert!(small.raw > large.raw && small.mean < large.mean, "{small:?} {large:?}");
        assert_eq!(judge(&group, 0, 0.0, &FEW).unwrap().raw, None);
    }

    #[test]
    fn alike_subjects_get_the_common_ratio() {
        let group = fit(&[10; 30], &[5.0; 30], &FEW).unwrap();
        assert_eq!(group.prior, Prior::Point(2.0));
    }

    #[test]
    fn bad_input_is_an_error() {
        assert!(fit(&[0; 10_000], &[1.0; 10_000], &FEW).is_err());
        assert!(fit(&[1, 2], &[1.0], &FEW).is_err());
        assert!(fit(&[1], &[1.0], &FEW).is_err());
        for bad in [f64::NAN, -1.0, f64::INFINITY, 0.0, 1e-300, 1e300] {
            assert!(fit(&[1, 2], &[1.0, bad], &FEW).is_err(), "{bad}");
        }
        assert!(fit(&[1, u64::MAX], &[1.0, 1.0], &FEW).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn never_nan(pairs in prop::collection::vec((0..3000_u64, 1e-9..1e6_f64), 2..12), x in 0..50_u64) {
            let (counts, expected): (Vec<u64>, Vec<f64>) = pairs.into_iter().unzip();
            if let Ok(group) = fit(&counts, &expected, &FEW) {
                prop_assert!(group.log_likelihood.is_finite());
                let s = judge(&group, x, 7.5, &FEW).unwrap();
                prop_assert!(s.mean.is_finite() && (0.0..=1.0).contains(&s.p_above));
                prop_assert!(0.0 <= s.interval.0 && s.interval.0 <= s.interval.1 && s.interval.1.is_finite());
            }
        }
    }
}
