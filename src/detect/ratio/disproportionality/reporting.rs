//! PRR and ROR: proportional reporting ratio, reporting odds ratio, chi-square.

use super::{Estimate, Pair};
use crate::detect::math::normal;

/// The classical ratios of a pair.
///
/// # What it finds
/// Pairs of subject and topic (enterprise and complaint, product and defect) reported out of proportion.
///
/// # Parameters
/// - `min_count`, `lower_limit_above` — when the pair alarms, see [`Disproportionality`](super::Disproportionality) with
///   `measure` `prr` or `ror`.
///
/// # When it misleads
/// Both have no limit where a cell is empty, and huge values with one or two reports: prefer the shrinkage information
/// component. A subject with one notorious topic hides its others (masking). It is a ratio of reports, not a risk.
///
/// # Source
/// Evans, Waller and Davis 2001, Pharmacoepidemiol. Drug Saf. 10, 483–486; van Puijenbroek et al. 2002, ibid. 11, 3–10.
/// Golden family `disproportionality`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReportingRatios {
    /// Observed / expected.
    pub relative: f64,
    /// Proportional reporting ratio; `None` where a needed cell is empty.
    pub prr: Option<Estimate>,
    /// Reporting odds ratio; `None` where a cell is empty.
    pub ror: Option<Estimate>,
    /// Pearson's statistic, 1 degree of freedom; `None` where a margin is all or nothing.
    pub chi_square: Option<f64>,
    /// The same with continuity correction.
    pub chi_square_yates: Option<f64>,
    /// Evans' rule; a pair whose topic is reported with no other subject has an infinite ratio, which is above 2.
    pub evans: bool,
}

/// The ratios of a pair.
#[must_use]
pub fn reporting_ratios(pair: &Pair) -> ReportingRatios {
    let [a, b, c, d] = pair.cells();
    let prr = (a > 0.0 && c > 0.0).then(|| {
        let spread = 1.0 / a - 1.0 / (a + b) + 1.0 / c - 1.0 / (c + d);
        around((a / (a + b)) / (c / (c + d)), spread)
    });
    let ror = (a > 0.0 && b > 0.0 && c > 0.0 && d > 0.0)
        .then(|| around(a * d / (b * c), 1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d));
    let all = a + b + c + d;
    let margins = (a + b) * (c + d) * (a + c) * (b + d);
    let statistic = |distance: f64| (margins > 0.0).then(|| all * distance.powi(2) / margins);
    let cross = (a * d - b * c).abs();
    let chi_square_yates = statistic((cross - all / 2.0).max(0.0));
    let doubled = a > 0.0 && a * (c + d) >= 2.0 * c * (a + b);
    ReportingRatios {
        relative: a / pair.expected(),
        prr: prr.flatten(),
        ror: ror.flatten(),
        chi_square: statistic(cross),
        chi_square_yates,
        evans: a >= 3.0 && doubled && chi_square_yates.is_some_and(|c| c >= 4.0),
    }
}

/// An estimate with limits from the variance of its logarithm.
fn around(value: f64, variance: f64) -> Option<Estimate> {
    let factor = (normal::quantile(0.975) * variance.max(0.0).sqrt()).exp();
    let all_finite = value.is_finite() && factor.is_finite();
    all_finite.then(|| Estimate { value, low: value / factor, high: value * factor })
}
