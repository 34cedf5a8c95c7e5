//! Information component: log2 of observed over expected reports, with limits that stay calm for small counts.

use std::f64::consts::LN_2;

use super::{Estimate, Pair};
use crate::detect::math::{
    gamma::{self, digamma, trigamma},
    normal,
};

/// The information component of a pair as a neural network of beta distributions sees it.
///
/// # What it finds
/// As [`shrinkage`]; kept because a lower limit above 0 of this form is what many systems use.
///
/// # Parameters
/// - `min_count`, `lower_limit_above` — when the pair alarms, see [`Disproportionality`](super::Disproportionality) with
///   `measure` `ic_bcpnn`.
///
/// # When it misleads
/// Its limits are normal ones around a skew distribution: too wide below for counts under 5.
///
/// # Source
/// Bate et al. 1998, Eur. J. Clin. Pharmacol. 54, 315–321; Norén et al. 2006, Stat. Med. 25, 3740–3757. Golden
/// family `disproportionality`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Information {
    /// Posterior mean and its limits.
    pub estimate: Estimate,
    /// Posterior standard deviation.
    pub deviation: f64,
}

/// See [`Information`].
#[must_use]
pub fn bcpnn(pair: &Pair) -> Information {
    let [both, subject, topic, all] =
        [pair.both, pair.subject, pair.topic, pair.all].map(|c| c as f64);
    // Beta posteriors: (p1, p2) of the subject's share, (q1, q2) of the topic's, (r1, r2) of the pair's.
    let (p1, p2) = (1.0 + subject, 1.0 + all - subject);
    let (q1, q2) = (1.0 + topic, 1.0 + all - topic);
    let r1 = 1.0 + both;
    let r2 = all - both - 1.0 + (2.0 + all).powi(2) / (q1 * p1);
    let mean = digamma(r1)
        - digamma(r1 + r2)
        - (digamma(p1) - digamma(p1 + p2) + digamma(q1) - digamma(q1 + q2));
    let variance = trigamma(r1) - trigamma(r1 + r2) + trigamma(p1) - trigamma(p1 + p2)
        + trigamma(q1)
        - trigamma(q1 + q2);
    let (value, deviation) = (mean / LN_2, variance.max(0.0).sqrt() / LN_2);
    let half = normal::quantile(0.975) * deviation;
    Information { estimate: Estimate { value, low: value - half, high: value + half }, deviation }
}

/// `log2((observed + 1/2) / (expected + 1/2))` with limits from the gamma posterior.
///
/// # What it finds
/// Pairs of subject and topic reported out of proportion; the default, because one formula serves all counts: a pair with
/// one report where 0.01 were expected scores 1.6, not 6.6.
///
/// # Parameters
/// - `min_count`, `lower_limit_above` — when the pair alarms, see [`Disproportionality`](super::Disproportionality) with
///   `measure` `ic_shrink`.
///
/// # When it misleads
/// As every disproportionality: masking by notorious pairs, duplicates of one report, and topics that only exist for one
/// kind of subject.
///
/// # Source
/// Norén, Hopstadius and Bate 2013, Stat. Methods Med. Res. 22, 57–69. Golden family
/// `disproportionality`.
#[must_use]
pub fn shrinkage(pair: &Pair) -> Estimate {
    let (shape, rate) = (pair.both as f64 + 0.5, pair.expected() + 0.5);
    Estimate {
        value: (shape / rate).log2(),
        low: (gamma::quantile(shape, 0.025) / rate).log2(),
        high: (gamma::quantile(shape, 0.975) / rate).log2(),
    }
}
