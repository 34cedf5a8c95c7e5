//! What densities of counts are made of, without cancellation where a count is near its mean.
//!
//! # Source
//! C. Loader 2000, "Fast and accurate computation of binomial probabilities".

/// ln Γ(n + 1) − ln(√(2πn)·(n/e)ⁿ), for n > 0.
#[must_use]
pub fn stirling_error(n: f64) -> f64 {
    // Upwards by the difference equation of ln Γ, to where the series is exact.
    let (mut n, mut steps) = (n, 0.0);
    while n < 16.0 {
        steps += (n + 0.5) * (1.0 / n).ln_1p() - 1.0;
        n += 1.0;
    }
    let n2 = n * n;
    let inner = 1.0 / 1_260.0 - (1.0 / 1_680.0 - (1.0 / 1_188.0) / n2) / n2;
    steps + (1.0 / 12.0 - (1.0 / 360.0 - inner / n2) / n2) / n
}

/// n·ln(n/m) + m − n without cancellation where n is near m; n ≥ 0, m > 0.
#[must_use]
pub fn deviance_part(n: f64, mean: f64) -> f64 {
    if n == 0.0 {
        return mean;
    }
    let difference = n - mean;
    if difference.abs() >= 0.1 * (n + mean) {
        return n * (n / mean).ln() + mean - n;
    }
    let v = difference / (n + mean);
    let mut sum = difference * v;
    let mut term = 2.0 * n * v;
    let mut odd = 3.0;
    loop {
        term *= v * v;
        let next = sum + term / odd;
        // A mean that is no number has no sum either.
        if next == sum || next.is_nan() {
            return next;
        }
        sum = next;
        odd += 2.0;
    }
}

/// A probability and its logarithm; the probability may be 0 where the logarithm still tells how small it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    /// The probability.
    pub p: f64,
    /// Its natural logarithm.
    pub ln: f64,
}

impl Tail {
    /// Certainty.
    pub const ONE: Self = Self { p: 1.0, ln: 0.0 };
    /// Impossibility.
    pub const ZERO: Self = Self { p: 0.0, ln: f64::NEG_INFINITY };

    /// From a logarithm.
    #[must_use]
    pub fn of_ln(ln: f64) -> Self {
        let ln = ln.min(0.0);
        Self { p: ln.exp(), ln }
    }

    /// One minus `lower`.
    #[must_use]
    pub fn of_rest(lower: f64) -> Self {
        let lower = lower.clamp(0.0, 1.0);
        Self { p: 1.0 - lower, ln: (-lower).ln_1p() }
    }
}

/// The least count x ≥ 0 with `above(x)` ≤ `alpha`, where `above(x)` = P(X > x) falls with x; searched from `start` outwards.
/// `None` beyond 2⁵³.
pub(super) fn least_count(
    start: f64,
    step: f64,
    alpha: f64,
    above: impl Fn(f64) -> f64,
) -> Option<f64> {
    /// Beyond it f64 no longer counts one by one.
    const MAX: f64 = 9_007_199_254_740_992.0;
    let holds = |x: f64| above(x) <= alpha;
    let (mut low, mut high) = (-1.0, start.clamp(0.0, MAX).floor()); // `holds` is false at `low`, to be true at `high`.
    let mut step = step.max(1.0).floor();
    while !holds(high) {
        if high >= MAX {
            return None;
        }
        low = high;
        high = (high + step).min(MAX);
        step *= 2.0;
    }
    step = step.min((high - low) / 2.0).max(1.0).floor();
    while high - step > low && holds(high - step) {
        high -= step;
        step *= 2.0;
    }
    low = low.max(high - step);
    while high - low > 1.0 {
        let middle = ((low + high) / 2.0).floor();
        if holds(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    #[test]
    fn least_count_from_any_start() {
        for want in [0.0, 1.0, 7.0, 1_000.0, 123_456_789.0] {
            for start in [-3.0, 0.0, 5.0, 990.0, 1e6, 1e12] {
                for step in [0.0, 1.0, 30.0] {
                    let above = |x: f64| if x >= want { 0.0 } else { 1.0 };
                    assert_eq!(least_count(start, step, 0.5, above), Some(want), "{start} {step}");
                }
            }
        }
        assert_eq!(least_count(3.0, 1.0, 0.5, |_| 1.0), None);
    }

    #[test]
    fn stirling_errors() {
        assert!((stirling_error(1.0) - (1.0 - 0.5 * TAU.ln())).abs() < 1e-15);
        for n in [1e-12, 0.3, 0.5, 1.0, 2.5, 10.0, 15.0, 15.9, 16.0, 40.0] {
            let want = libm::lgamma(n + 1.0) - 0.5 * (TAU * n).ln() - n * n.ln() + n;
            assert!((stirling_error(n) - want).abs() < 5e-14, "{n}: {}", stirling_error(n) - want);
        }
    }
}
