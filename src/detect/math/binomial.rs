//! Tails and quantile of the binomial distribution.

use super::{
    beta::{self, Tails},
    density::ln_binomial,
};

/// Probability of exactly `x` in `n`.
pub fn probability(x: u64, n: u64, p: f64) -> f64 {
    ln_binomial(x as f64, n as f64, p, 1.0 - p).exp()
}

/// `P(X ≤ x)` and `P(X > x)` for `x` in `n` with success `p`.
pub fn tails(x: u64, n: u64, p: f64) -> Tails {
    if x >= n || p <= 0.0 {
        return Tails::BELOW;
    }
    if p >= 1.0 {
        return Tails::ABOVE;
    }
    // P(X > x) = I_p(x+1, n-x).
    let t = beta::tails((x + 1) as f64, (n - x) as f64, p);
    Tails { lower: t.upper, upper: t.lower }
}

/// `P(X ≥ x)`.
pub fn at_least(x: u64, n: u64, p: f64) -> f64 {
    if x == 0 { 1.0 } else { tails(x - 1, n, p).upper }
}

/// The least `x` with `P(X ≤ x) ≥ q`.
pub fn quantile(q: f64, n: u64, p: f64) -> u64 {
    // A hair of slack, so that q = F(x) up to rounding gives x and not x+1.
    let q = q * (1.0 - 64.0 * f64::EPSILON);
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low + (high - low) / 2;
        if tails(middle, n, p).lower >= q {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_and_quantile_agree_with_the_sum() {
        let (n, p) = (30, 0.17);
        let mut sum = 0.0;
        for x in 0..n {
            sum += probability(x, n, p);
            assert!((tails(x, n, p).lower - sum).abs() < 1e-13);
            if probability(x, n, p) > 1e-7 {
                assert_eq!(quantile(sum - 1e-9, n, p), x);
            }
        }
    }
}
