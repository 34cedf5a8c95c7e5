//! The prior of EBGM: two gammas, fitted to all pairs of a run.
//!
//! In: count and expectation of every pair that has at least one report, perhaps with weights (squashed data). Out: the
//! mixture that makes the counts most likely, pairs without reports being unseen (zero-truncated).

use std::collections::BTreeMap;

use crate::detect::{
    Error,
    math::{density::ln_negative_binomial, simplex},
    parameter,
};

/// Gamma distribution of ratios.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gamma {
    /// Shape, > 0.
    pub shape: f64,
    /// Rate, > 0.
    pub rate: f64,
}

impl Gamma {
    /// `ln` of the probability of `n` reports where `expected` × ratio are the mean.
    pub(super) fn ln_probability(&self, n: f64, expected: f64) -> f64 {
        let all = self.rate + expected;
        ln_negative_binomial(n, self.shape, self.rate / all, expected / all)
    }

    /// `ln` of the probability of at least one report.
    fn ln_seen(&self, expected: f64) -> f64 {
        let ln_zero = -self.shape * (expected / self.rate).ln_1p();
        (-ln_zero.exp_m1()).ln()
    }
}

/// A mixture of two gammas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// Mostly the pairs with something to them.
    pub first: Gamma,
    /// Mostly the pairs without.
    pub second: Gamma,
    /// Share of the first, in (0, 1).
    pub share: f64,
}

impl Prior {
    /// DuMouchel's starting point, usable where too few pairs are there to fit one.
    pub const START: Self = Self {
        first: Gamma { shape: 0.2, rate: 0.06 },
        second: Gamma { shape: 1.4, rate: 1.8 },
        share: 0.1,
    };

    /// # Errors
    /// A shape or rate that is not positive and finite, a share outside (0, 1).
    pub fn check(&self) -> Result<(), Error> {
        let all = [self.first.shape, self.first.rate, self.second.shape, self.second.rate];
        for value in all {
            parameter("prior", value, value > 1e-10 && value < 1e10, "in (1e-10, 1e10)")?;
        }
        if self.share > 0.0 && self.share < 1.0 {
            Ok(())
        } else {
            Err(Error::Parameter {
                name: "prior share",
                value: self.share.to_string(),
                range: "in (0, 1)",
            })
        }
    }
}

/// One pair, or several alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighted {
    /// Reports, ≥ 1.
    pub n: u64,
    /// Reports expected, > 0.
    pub expected: f64,
    /// How many pairs it stands for, > 0.
    pub weight: f64,
}

/// A fitted prior.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// The mixture.
    pub prior: Prior,
    /// Minus log-likelihood of the pairs under it.
    pub cost: f64,
}

/// Fewest pairs that a prior can be fitted to.
pub const PAIRS_MIN: usize = 50;

/// Fits the prior.
///
/// Starts from five points and keeps the best end: the likelihood has several hills. The first gamma of the answer is the one
/// with the larger mean.
///
/// # Errors
/// Fewer than 50 pairs; a count of 0, an expectation or weight that is not positive and finite.
pub fn fit(pairs: &[Weighted]) -> Result<Fit, Error> {
    let likelihood = Likelihood::try_new(pairs)?;
    let starts = [
        Prior::START,
        mixture(2.0, 0.4, 2.0, 2.0, 0.1),
        mixture(0.5, 0.1, 5.0, 5.0, 0.2),
        mixture(5.0, 1.0, 20.0, 20.0, 0.02),
        mixture(1.0, 1.0, 1.0, 0.2, 0.5),
    ];
    let ends = starts.iter().map(|start| {
        simplex::minimise(&to_line(start), 0.5, 1e-11, |at| {
            let rates = [at[0] - at[1], at[2] - at[3]];
            let outside = |v: &f64| v.abs() > 12.0;
            if at[..4].iter().chain(&rates).any(outside) || at[4].abs() > 15.0 {
                return f64::INFINITY;
            }
            likelihood.cost(&from_line(at))
        })
    });
    let best = ends.min_by(|a, b| a.value.total_cmp(&b.value));
    let best = best.filter(|b| b.value.is_finite());
    let best = best.ok_or(Error::NoAnswer { why: "no prior makes these counts possible" })?;
    let prior = from_line(&best.at);
    let mean = |g: Gamma| g.shape / g.rate;
    let prior = if mean(prior.first) >= mean(prior.second) {
        prior
    } else {
        Prior { first: prior.second, second: prior.first, share: 1.0 - prior.share }
    };
    Ok(Fit { prior, cost: best.value })
}

/// Minus log-likelihood of the pairs under a given prior.
///
/// # Errors
/// As [`fit`], but for any number of pairs.
pub fn cost(pairs: &[Weighted], prior: &Prior) -> Result<f64, Error> {
    prior.check()?;
    Ok(Likelihood::of(pairs)?.cost(prior))
}

/// Joins pairs with the same count and neighbouring expectations, so that a fit to millions of pairs costs no more than one
/// to thousands: of each count the `keep` largest expectations stay alone, the others go by `bin` to their mean.
#[must_use]
pub fn squash(pairs: &[Weighted], bin: usize, keep: usize) -> Vec<Weighted> {
    let mut by_count: BTreeMap<u64, Vec<Weighted>> = BTreeMap::new();
    for pair in pairs {
        by_count.entry(pair.n).or_default().push(*pair);
    }
    let mut out = Vec::new();
    for mut group in by_count.into_values() {
        group.sort_by(|a, b| a.expected.total_cmp(&b.expected));
        let joined = group.len().saturating_sub(keep);
        let (low, high) = group.split_at(joined);
        for chunk in low.chunks(bin.max(1)) {
            let weight: f64 = chunk.iter().map(|p| p.weight).sum();
            let sum: f64 = chunk.iter().map(|p| p.weight * p.expected).sum();
            out.push(Weighted { n: chunk[0].n, expected: sum / weight, weight });
        }
        out.extend_from_slice(high);
    }
    out
}

/// Pairs by count: what depends on the count alone is computed once for all of them.
struct Likelihood(BTreeMap<u64, Vec<(f64, f64)>>);

impl Likelihood {
    fn try_new(pairs: &[Weighted]) -> Result<Self, Error> {
        if pairs.len() < PAIRS_MIN {
            return Err(Error::TooFew { what: "pairs", got: pairs.len(), needed: PAIRS_MIN });
        }
        Self::of(pairs)
    }

    fn of(pairs: &[Weighted]) -> Result<Self, Error> {
        let mut out: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
        for (at, pair) in pairs.iter().enumerate() {
            let bad = |what, value, range| Err(Error::Value { what, at, value, range });
            if pair.n == 0 || pair.n > super::super::COUNT_MAX {
                return bad("reports of a pair", pair.n as f64, "in [1, 1e12]");
            }
            if !(pair.expected > 1e-100 && pair.expected <= 1e12) {
                return bad("expected count", pair.expected, "in (1e-100, 1e12]");
            }
            if !(pair.weight > 0.0 && pair.weight <= 1e12) {
                return bad("weight", pair.weight, "in (0, 1e12]");
            }
            out.entry(pair.n).or_default().push((pair.expected, pair.weight));
        }
        Ok(Self(out))
    }

    fn cost(&self, prior: &Prior) -> f64 {
        let mut cost = 0.0;
        for (&n, pairs) in &self.0 {
            let n = n as f64;
            // ln of (shape)_n / n!: the same for all expectations, taken from one of them.
            let constant = [prior.first, prior.second].map(|g| {
                let all = g.rate + 1.0;
                g.ln_probability(n, 1.0) - g.shape * (g.rate / all).ln() + n * all.ln()
            });
            for &(expected, weight) in pairs {
                let [first, second] = [(prior.first, constant[0]), (prior.second, constant[1])]
                    .map(|(g, constant)| {
                        let all = g.rate + expected;
                        constant - g.shape * (expected / g.rate).ln_1p() + n * (expected / all).ln()
                            - g.ln_seen(expected)
                    });
                let high = first.max(second);
                let mixed = prior.share * (first - high).exp()
                    + (1.0 - prior.share) * (second - high).exp();
                cost -= weight * (high + mixed.ln());
            }
        }
        cost
    }
}

fn mixture(shape1: f64, rate1: f64, shape2: f64, rate2: f64, share: f64) -> Prior {
    let gamma = |shape, rate| Gamma { shape, rate };
    Prior { first: gamma(shape1, rate1), second: gamma(shape2, rate2), share }
}

/// Log shapes, log means, logit share: directions in which the likelihood turns at similar speed.
fn to_line(p: &Prior) -> [f64; 5] {
    let mean = |g: Gamma| (g.shape / g.rate).ln();
    let share = (p.share / (1.0 - p.share)).ln();
    [p.first.shape.ln(), mean(p.first), p.second.shape.ln(), mean(p.second), share]
}

fn from_line(at: &[f64]) -> Prior {
    let gamma = |shape: f64, mean: f64| Gamma { shape: shape.exp(), rate: (shape - mean).exp() };
    Prior {
        first: gamma(at[0], at[1]),
        second: gamma(at[2], at[3]),
        share: 1.0 / (1.0 + (-at[4]).exp()),
    }
}
