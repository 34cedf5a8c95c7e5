//! Beta-binomial empirical Bayes: rates of subjects with few samples, shrunk towards their group.
//!
//! In: failures and samples of every subject of a group. Out: the prior fitted to the group (marginal maximum
//! likelihood), and for each subject the posterior of its own rate.
//! Not here: counts against an exposure (`gamma_poisson`), limits for a plot (`funnel`).

use crate::detect::{
    Error,
    math::{beta, density::ln_binomial, simplex},
    parameter,
};

/// Beta-binomial empirical Bayes: is a subject's own rate high, however few its samples?
///
/// # What it finds
/// Producers or shops whose failure rate is truly high, although each has only a handful of samples: 1 of 1 failed is
/// no finding, 6 of 9 is.
///
/// # Parameters
/// - `multiple` — how many times the pooled rate counts as high, 1 or more; default 2.
/// - `probability` — alarm where `P(rate > multiple × pooled)` is above this, between 0.5 and 1; default 0.95.
/// - `level` — confidence of the interval, between 0 and 1; default 0.95.
/// - `min_subjects` — fewest subjects for a fit, 2 or more; default 20.
///
/// # When it misleads
/// Subjects of different kinds in one group share one prior: group by product class first. With few subjects the prior
/// is a guess. A group where some subjects cheat and the rest do not has two humps; the beta prior has one.
///
/// # Source
/// Casella 1985, Am. Stat. 39, 83–87; Skellam 1948, J. R. Stat. Soc. B 10, 257–261 (the distribution). Golden
/// family `beta_binomial`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BetaBinomial {
    /// How many times the pooled rate counts as high.
    pub multiple: f64,
    /// Alarm where the posterior probability of a high rate is above this.
    pub probability: f64,
    /// Confidence of the interval.
    pub level: f64,
    /// Fewest subjects for a fit.
    pub min_subjects: usize,
}

impl Default for BetaBinomial {
    fn default() -> Self {
        Self { multiple: 2.0, probability: 0.95, level: 0.95, min_subjects: 20 }
    }
}

impl BetaBinomial {
    /// Are the parameters in their ranges?
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first that is not.
    pub fn check(&self) -> Result<(), Error> {
        let (multiple, p) = (self.multiple, self.probability);
        parameter("multiple", multiple, multiple >= 1.0 && multiple.is_finite(), "1 or more")?;
        parameter("probability", p, p > 0.5 && p < 1.0, "between 0.5 and 1")?;
        parameter("level", self.level, self.level > 0.0 && self.level < 1.0, "between 0 and 1")?;
        parameter("min_subjects", self.min_subjects as f64, self.min_subjects >= 2, "2 or more")
    }
}

/// How rates vary between the subjects of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prior {
    /// Rates are Beta(`a`, `b`).
    Beta {
        /// Failures that the group is worth.
        a: f64,
        /// Passes that the group is worth.
        b: f64,
    },
    /// The samples show no difference between subjects beyond chance: all have this rate.
    Point(f64),
}

/// A group of subjects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// The fitted prior.
    pub prior: Prior,
    /// Log-likelihood of the samples under it.
    pub log_likelihood: f64,
    /// All failures / all samples.
    pub pooled: f64,
}

/// What is known of one subject's rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Subject {
    /// Posterior mean of the rate.
    pub mean: f64,
    /// Equal-tailed interval of the rate.
    pub interval: (f64, f64),
    /// `P(rate > multiple × pooled rate)`.
    pub p_above: f64,
    /// Whether that is above `probability`.
    pub alarm: bool,
}

/// Fits the prior to `failures` in `samples`, one of each per subject.
///
/// # Errors
/// Different lengths, too few subjects, a subject without samples, more failures than samples, all or none failed.
pub fn fit(failures: &[u64], samples: &[u64], with: &BetaBinomial) -> Result<Group, Error> {
    with.check()?;
    let pooled = super::common_rate(failures, samples, None)?;
    let needed = with.min_subjects;
    if failures.len() < needed {
        return Err(Error::TooFew { what: "subjects", got: failures.len(), needed });
    }
    let pairs: Vec<(f64, f64)> =
        failures.iter().zip(samples).map(|(&x, &n)| (x as f64, n as f64)).collect();
    let alone: f64 = pairs.iter().map(|&(x, n)| ln_binomial(x, n, pooled, 1.0 - pooled)).sum();
    // In logit of the mean and log of the strength a+b the likelihood is close to a round hill.
    let shape = |at: &[f64]| {
        let (mean, strength) = (1.0 / (1.0 + (-at[0]).exp()), at[1].clamp(-7.0, 23.0).exp());
        (mean * strength, strength / (1.0 + at[0].exp()))
    };
    let start = [(pooled / (1.0 - pooled)).ln(), 3.0];
    let best = simplex::minimise(&start, 0.5, 1e-15, |at| {
        let (a, b) = shape(at);
        if at[0].abs() > 40.0 || !(-7.0..=23.0).contains(&at[1]) {
            return f64::INFINITY;
        }
        -pairs.iter().map(|&(x, n)| ln_beta_binomial(x, n, a, b)).sum::<f64>()
    });
    // No better than one rate for all: the strength runs to infinity.
    if -best.value <= alone + 1e-6 {
        return Ok(Group { prior: Prior::Point(pooled), log_likelihood: alone, pooled });
    }
    let (a, b) = shape(&best.at);
    Ok(Group { prior: Prior::Beta { a, b }, log_likelihood: -best.value, pooled })
}

/// The posterior of the rate of a subject with `x` failures in `n` samples; none at all (`n` = 0) gives the prior.
///
/// # Errors
/// More failures than samples, parameters out of range.
pub fn judge(group: &Group, x: u64, n: u64, with: &BetaBinomial) -> Result<Subject, Error> {
    with.check()?;
    if x > n || n > super::COUNT_MAX {
        let range = "no more than the samples, they no more than 1e12";
        return Err(Error::Value { what: "failures", at: 0, value: x as f64, range });
    }
    let high = with.multiple * group.pooled;
    let (a, b) = match group.prior {
        Prior::Point(rate) => {
            let p_above = if rate > high { 1.0 } else { 0.0 };
            let alarm = p_above > with.probability;
            return Ok(Subject { mean: rate, interval: (rate, rate), p_above, alarm });
        }
        Prior::Beta { a, b } => (a + x as f64, b + (n - x) as f64),
    };
    let tail = (1.0 - with.level) / 2.0;
    let p_above = beta::tails(a, b, high).upper;
    Ok(Subject {
        mean: a / (a + b),
        interval: (beta::quantile(a, b, tail), beta::quantile(a, b, 1.0 - tail)),
        p_above,
        alarm: p_above > with.probability,
    })
}

/// Log of the beta-binomial probability, written as three binomials whose powers of the prior mean cancel: no large
/// log-gammas are subtracted, and for strong priors it becomes the binomial.
fn ln_beta_binomial(x: f64, n: f64, a: f64, b: f64) -> f64 {
    let (p, q) = (a / (a + b), b / (a + b));
    let factor = (a * b / (a + b)).ln() - ((a + x) * (b + n - x) / (a + b + n)).ln();
    ln_binomial(x, n, p, q) + ln_binomial(a, a + b, p, q) - ln_binomial(a + x, a + b + n, p, q)
        + factor
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FEW: BetaBinomial =
        BetaBinomial { multiple: 2.0, probability: 0.95, level: 0.95, min_subjects: 2 };

    #[test]
    fn probabilities_sum_to_one() {
        for (a, b) in [(0.3, 4.0), (6.5, 647.0), (1e7, 3e8)] {
            let sum: f64 = (0..=50).map(|x| ln_beta_binomial(f64::from(x), 50.0, a, b).exp()).sum();
            assert!((sum - 1.0).abs() < 1e-11, "{a} {b}: {sum}");
        }
    }

    #[test]
    fn one_of_one_is_no_finding_and_six_of_nine_is() {
        let (mut x, mut n) = (vec![0_u64; 30], vec![8_u64; 30]);
        x.extend([1, 2, 0, 1, 1, 2, 0, 3, 1, 6]);
        n.extend([9, 9, 7, 9, 8, 9, 6, 9, 1, 9]);
        let group = fit(&x, &n, &FEW).unwrap();
        let one = judge(&group, 1, 1, &FEW).unwrap();
        let six = judge(&group, 6, 9, &FEW).unwrap();
        assert!(!one.alarm && six.alarm, "{one:?} {six:?}");
    }

    #[test]
    fn alike_subjects_get_the_pooled_rate() {
        let group = fit(&[5; 40], &[100; 40], &FEW).unwrap();
        assert_eq!(group.prior, Prior::Point(0.05));
        assert_eq!(judge(&group, 100, 100, &FEW).unwrap().p_above, 0.0);
    }

    #[test]
    fn all_or_nothing_subjects_still_have_a_prior() {
        let group = fit(&[0, 5, 0, 5, 0, 5], &[5; 6], &FEW).unwrap();
        assert!(judge(&group, 5, 5, &FEW).unwrap().mean > 0.9);
    }

    #[test]
    fn bad_input_is_an_error() {
        assert!(fit(&[0; 10_000], &[3; 10_000], &FEW).is_err());
        assert!(fit(&[1], &[3], &FEW).is_err());
        assert!(fit(&[1, 2], &[3], &FEW).is_err());
        assert!(fit(&[1, 2], &[3, 0], &FEW).is_err());
        assert!(fit(&[1, u64::MAX], &[3, u64::MAX], &FEW).is_err());
        let group = fit(&[0, 5, 1], &[5, 9, 12], &FEW).unwrap();
        assert!(judge(&group, 2, 1, &FEW).is_err());
        assert!(judge(&group, 1, 1, &BetaBinomial { level: f64::NAN, ..FEW }).is_err());
        assert!(judge(&group, 1, 1, &BetaBinomial { multiple: f64::NAN, ..FEW }).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn never_nan(pairs in prop::collection::vec((0..30_u64, 1..200_000_u64), 2..12), x in 0..50_u64) {
            let (x_all, n_all): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            if let Ok(group) = fit(&x_all, &n_all, &FEW) {
                prop_assert!(group.log_likelihood.is_finite());
                let s = judge(&group, x, 50, &FEW).unwrap();
                prop_assert!((0.0..=1.0).contains(&s.mean) && (0.0..=1.0).contains(&s.p_above));
                prop_assert!(0.0 <= s.interval.0 && s.interval.0 <= s.interval.1 && s.interval.1 <= 1.0);
            }
        }
    }
}
