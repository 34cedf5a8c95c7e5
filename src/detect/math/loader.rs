//! Loader's saddle-point form of binomial and Poisson probabilities, for real arguments.
//!
//! In: a count `x` (any real ≥ 0) and the distribution's parameters. Out: the log of the probability, with a relative
//! error of the probability near 1e-15 whatever the size of the counts.
//! Why not `exp(ln_gamma(..) - ..)`: at n = 1e6 the log-gammas are near 1e7, their difference keeps 9 digits; here
//! no large terms are subtracted.
//!
//! Source: C. Loader 2000, Fast and Accurate Computation of Binomial Probabilities.

use std::f64::consts::TAU;

use statrs::function::gamma::ln_gamma;

/// `ln(n!) - ln(sqrt(2 pi n) (n/e)^n)`, the error of Stirling's formula, for real `n` ≥ 0.
pub fn stirling_error(n: f64) -> f64 {
    if n <= 0.0 {
        return f64::INFINITY;
    }
    if n < 16.0 {
        // Shift up by ln(n!) = ln((n+16)!) - sum ln(n+k): every term is small, so no digits are lost.
        let shift = 16.0;
        let mut product_ln = 0.0;
        let mut k = 1.0;
        while k <= shift {
            product_ln += (n + k).ln();
            k += 1.0;
        }
        let big = n + shift;
        let ln_factorial_big = 0.5 * (TAU * big).ln() + big * big.ln() - big + series(big);
        return ln_factorial_big - product_ln - (0.5 * (TAU * n).ln() + n * n.ln() - n);
    }
    series(n)
}

/// Stirling's series, good to 1e-17 for `n` ≥ 16.
fn series(n: f64) -> f64 {
    let r = 1.0 / (n * n);
    let tail = 1.0 / 1188.0 - r * (691.0 / 360_360.0 - r / 156.0);
    (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r * (1.0 / 1680.0 - r * tail)))) / n
}

/// The deviance part `x ln(x/m) + m - x` ≥ 0, without cancellation where `x` is near `m`.
pub fn deviance(x: f64, m: f64) -> f64 {
    if x == 0.0 {
        return m;
    }
    if (x - m).abs() < 0.1 * (x + m) {
        let v = (x - m) / (x + m);
        let mut sum = (x - m) * v;
        let mut term = 2.0 * x * v;
        for j in 1..1000 {
            term *= v * v;
            let next = sum + term / f64::from(2 * j + 1);
            if next == sum {
                break;
            }
            sum = next;
        }
        return sum;
    }
    x * (x / m).ln() + m - x
}

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
        - deviance(x, n * p)
        - deviance(n - x, n * q);
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
    if x < 1e-3 {
        // Stirling's error grows like ln(1/x) here; the direct form has no large terms.
        return x * m.ln() - m - ln_gamma(x + 1.0);
    }
    -stirling_error(x) - deviance(x, m) - 0.5 * (TAU * x).ln()
}

/// `ln` of the negative binomial probability of `x` with shape `size` and success `p`, failure `q` = 1 - p.
pub fn ln_negative_binomial(x: f64, size: f64, p: f64, q: f64) -> f64 {
    if x == 0.0 {
        return size * ln_of_complement(q, p);
    }
    if size < 1e-10 * x {
        return f64::NEG_INFINITY.max(size.ln() - x.ln() + size * ln_of_complement(q, p) + x * ln_of_complement(p, q));
    }
    (size / (size + x)).ln() + ln_binomial(size, x + size, p, q)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stirling_error_is_what_is_left_of_the_factorial() {
        let mut ln_factorial = 0.0_f64;
        for n in 1..200 {
            let n = f64::from(n);
            ln_factorial += n.ln();
            let left = ln_factorial - (0.5 * (TAU * n).ln() + n * n.ln() - n);
            assert!((stirling_error(n) - left).abs() < 1e-12, "{n}: {} {left}", stirling_error(n));
        }
    }

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
