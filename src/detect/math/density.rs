//! Density: logs of binomial, Poisson and negative binomial probabilities, for real arguments.
//!
//! In: a count `x` (any real ≥ 0) and the distribution's parameters. Out: the log of the probability, with a relative
//! error of the probability near 1e-15 whatever the size of the counts.
//! Why not `exp(ln_gamma(..) - ..)`: at n = 1e6 the log-gammas are near 1e7, their difference keeps 9 digits; here
//! no large terms are subtracted.
//!
//! Source: C. Loader 2000, Fast and Accurate Computation of Binomial Probabilities.

use std::f64::consts::TAU;

use super::count::{deviance_part, stirling_error};

/// `ln` of the binomial probability of `x` in `n` with success `p` and failure `q` = 1 - p, for real `0 ≤ x ≤ n`.
///
/// Both `p` and `q` are arguments because one of them may be too close to 1 to have the other's digits.
pub fn ln_binomial(x: f64, n: f64, p: f64, q: f64) -> f64 {
    if p == 0.0 || q == 0.0 {
        let certain = if p == 0.0 { x == 0.0 } else { x == n };
        return if certain { 0.0 } else { f64::NEG_INFINITY };
    }
    if x < 0.0 || x > n {
        return f64::NEG_INFINITY;
    }
    if x == 0.0 {
        return n * ln_of_complement(p, q);
    }
    if x == n {
        return n * ln_of_complement(q, p);
    }
    let core = stirling_error(n)
        - stirling_error(x)
        - stirling_error(n - x)
        - deviance_part(x, n * p)
        - deviance_part(n - x, n * q);
    core + 0.5 * (n / (TAU * x * (n - x))).ln()
}

/// `ln(q)` where `p` = 1 - q: from whichever of the two is small.
fn ln_of_complement(p: f64, q: f64) -> f64 {
    if p < 0.5 { (-p).ln_1p() } else { q.ln() }
}

/// `ln` of the Poisson probability of `x` with mean `m` > 0, for real `x` ≥ 0.
pub fn ln_poisson(x: f64, m: f64) -> f64 {
    if x < 0.0 {
        return f64::NEG_INFINITY;
    }
    if x == 0.0 {
        return -m;
    }
    if m == 0.0 {
        return f64::NEG_INFINITY;
    }
    -stirling_error(x) - deviance_part(x, m) - 0.5 * (TAU * x).ln()
}

/// `ln` of the negative binomial probability of `x` with shape `size` and success `p`, failure `q` = 1 - p.
pub fn ln_negative_binomial(x: f64, size: f64, p: f64, q: f64) -> f64 {
    if x == 0.0 {
        return size * ln_of_complement(q, p);
    }
    if size < 1e-10 * x {
        return f64::NEG_INFINITY
            .max(size.ln() - x.ln() + size * ln_of_complement(q, p) + x * ln_of_complement(p, q));
    }
    (size / (size + x)).ln() + ln_binomial(size, x + size, p, q)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_at_any_size() {
        let sum: f64 = (0..=40).map(|x| ln_binomial(f64::from(x), 40.0, 0.3, 0.7).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-13);
        let sum: f64 = (0..5000).map(|x| ln_poisson(f64::from(x) + 97_500.0, 1e5).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        let sum: f64 =
            (0..2000).map(|x| ln_negative_binomial(f64::from(x), 0.7, 0.05, 0.95).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    }

    #[test]
    fn edges_have_their_exact_value() {
        assert_eq!(ln_binomial(0.0, 5.0, 0.0, 1.0), 0.0);
        assert_eq!(ln_binomial(1.0, 5.0, 0.0, 1.0), f64::NEG_INFINITY);
        assert_eq!(ln_poisson(0.0, 3.0), -3.0);
    }
}
