//! EBGM: the empirical-Bayes geometric mean of observed over expected, with EB05 and EB95 (gamma-Poisson shrinker).
//!
//! In: a pair's count and expectation, and the prior of the ratio: a mixture of two gammas, see [`super::prior`]. Out: the
//! posterior's geometric mean and quantiles.

use std::f64::consts::LN_2;

use super::prior::{Gamma, Prior};
use crate::detect::{
    Error,
    math::{
        gamma::{self, digamma},
        root,
    },
};

/// What is known of a pair's ratio.
///
/// # What it finds
/// Pairs of subject and topic reported out of proportion, where the prior is learnt from all pairs: most have ratios near 1,
/// some far above.
///
/// # Parameters
/// - `min_count`, `lower_limit_above` — when the pair alarms, see [`Disproportionality`](super::Disproportionality) with
///   `measure` `ebgm`. The prior is an argument: [`fit`](super::prior::fit) learns it, or it is given.
///
/// # When it misleads
/// The prior needs a few hundred pairs. Where many pairs are truly linked the prior widens and shrinks less. It is refitted
/// each run, so a pair's value may move although its own counts do not.
///
/// # Source
/// DuMouchel 1999, Am. Stat. 53, 177–190. Golden family `disproportionality`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ebgm {
    /// Posterior weight of the prior's first gamma.
    pub first_share: f64,
    /// Posterior mean of log2 of the ratio.
    pub log2: f64,
    /// Geometric mean of the ratio.
    pub value: f64,
    /// Posterior of the ratio.
    posterior: Prior,
}

/// The posterior of a pair with `observed` reports where `expected` were expected.
///
/// # Errors
/// An expectation that is not in (0, 1e12], a prior out of its range.
pub fn ebgm(observed: u64, expected: f64, prior: &Prior) -> Result<Ebgm, Error> {
    prior.check()?;
    if !(expected > 1e-100 && expected <= 1e12) || observed > super::super::COUNT_MAX {
        let range = "in (1e-100, 1e12], counts ≤ 1e12";
        return Err(Error::Value { what: "expected count", at: 0, value: expected, range });
    }
    let n = observed as f64;
    let [first, second] = [prior.first, prior.second].map(|g| g.ln_probability(n, expected));
    // Both may underflow: only their difference matters.
    let odds = prior.share.ln() - (-prior.share).ln_1p() + first - second;
    let first_share =
        if odds >= 0.0 { 1.0 / (1.0 + (-odds).exp()) } else { odds.exp() / (1.0 + odds.exp()) };
    let [one, two] =
        [prior.first, prior.second].map(|g| Gamma { shape: g.shape + n, rate: g.rate + expected });
    let ln_mean = |g: Gamma| digamma(g.shape) - g.rate.ln();
    let log2 = (first_share * ln_mean(one) + (1.0 - first_share) * ln_mean(two)) / LN_2;
    let posterior = Prior { first: one, second: two, share: first_share };
    Ok(Ebgm { first_share, log2, value: log2.exp2(), posterior })
}

impl Ebgm {
    /// The ratio below which the posterior has probability `p`, in (0, 1): 0.05 gives EB05.
    #[must_use]
    pub fn quantile(&self, p: f64) -> f64 {
        let p = p.clamp(1e-12, 1.0 - 1e-12);
        root::solve(
            (0.0, f64::INFINITY),
            self.value,
            |x| {
                let lower = self.mix(|g| gamma::tails(g.shape, g.rate * x).lower);
                lower - p
            },
            |x| self.mix(|g| g.rate * gamma::density(g.shape, g.rate * x)),
        )
    }

    /// `P(ratio ≤ x)`; at 1 the probability that there is nothing to it.
    #[must_use]
    pub fn p_at_most(&self, x: f64) -> f64 {
        self.mix(|g| gamma::tails(g.shape, g.rate * x).lower)
    }

    fn mix(&self, f: impl Fn(Gamma) -> f64) -> f64 {
        let Prior { first, second, share } = self.posterior;
        share * f(first) + (1.0 - share) * f(second)
    }
}
