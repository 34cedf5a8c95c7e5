//! Poisson: tails that keep their digits far out, and quantiles.
//!
//! Relative error of a tail below 1e-11 up to counts of 1e7, below 1e-7 beyond; its logarithm goes on where the tail itself is 0.
//! `statrs` gives an upper tail as one minus the lower one: nothing is left of it below 1e-16.

use std::f64::consts::TAU;

use super::{
    count::{Tail, deviance_part, least_count, stirling_error},
    normal,
};

/// From this count on an expansion stands for a sum of thousands of terms.
const LARGE: f64 = 1e7;

/// ln P(X = n) for whole `n` ≥ 0 and `mean` > 0.
#[must_use]
pub fn ln_density(n: f64, mean: f64) -> f64 {
    if n == 0.0 {
        return -mean;
    }
    -stirling_error(n) - deviance_part(n, mean) - 0.5 * (TAU * n).ln()
}

/// P(X ≥ n) for X ~ Poisson(`mean`), `mean` ≥ 0 and finite, `n` any number but NaN.
#[must_use]
pub fn upper(n: f64, mean: f64) -> Tail {
    let n = n.ceil();
    if n <= 0.0 {
        return Tail::ONE;
    }
    if mean == 0.0 || n.is_infinite() {
        return Tail::ZERO;
    }
    if n > LARGE {
        return upper_of_large(n, mean);
    }
    if n > mean {
        // p(n) · (1 + m/(n+1) + m²/((n+1)(n+2)) + …).
        let sum = sum_of_ratios(|i| mean / (n + i));
        return Tail::of_ln(ln_density(n, mean) + sum.ln());
    }
    // The other side: p(n−1) · (1 + (n−1)/m + (n−1)(n−2)/m² + …).
    let k = n - 1.0;
    Tail::of_rest(ln_density(k, mean).exp() * sum_of_ratios(|i| (k + 1.0 - i) / mean))
}

/// P(X ≥ n); `None` for a negative or not finite `mean`, or `n` that is no number.
///
/// # Source
/// C. Loader 2000, "Fast and accurate computation of binomial probabilities". Checked against the golden family
/// `count_tails`.
#[must_use]
pub fn upper_p(n: f64, mean: f64) -> Option<f64> {
    (mean.is_finite() && mean >= 0.0 && !n.is_nan()).then(|| upper(n, mean).p)
}

/// The least x with P(X > x) ≤ `alpha`, for 0 < `alpha` < 1 and finite `mean` ≥ 0; `None` beyond 2⁵³.
#[must_use]
pub fn upper_quantile(alpha: f64, mean: f64) -> Option<f64> {
    if mean == 0.0 {
        return Some(0.0);
    }
    let (z, sd) = (normal::upper_quantile(alpha), mean.sqrt());
    // Cornish–Fisher.
    let start = mean + z * sd + (z * z - 1.0) / 6.0;
    least_count(start, 0.01 * sd, alpha, |x| upper(x + 1.0, mean).p)
}

/// P(X ≥ n) is P(n, m), the incomplete gamma function; its uniform expansion for large n, first two terms.
///
/// # Source
/// N. M. Temme 1979, SIAM J. Math. Anal. 10, 757–766.
fn upper_of_large(n: f64, mean: f64) -> Tail {
    let half_square = deviance_part(n, mean); // n·η²/2
    let eta = (2.0 * half_square / n).sqrt().copysign(mean - n);
    let first = if eta.abs() < 1e-4 { -1.0 / 3.0 + eta / 12.0 } else { n / (mean - n) - 1.0 / eta };
    let z = (2.0 * half_square).sqrt().copysign(n - mean);
    let correction = (-half_square).exp() / (TAU * n).sqrt() * first;
    if z < 0.0 {
        return Tail::of_rest(normal::upper(-z) + correction);
    }
    let p = (normal::upper(z) - correction).clamp(0.0, 1.0);
    Tail {
        p,
        ln: if p > 0.0 {
            p.ln()
        } else {
            -half_square - 0.5 * (TAU * z.max(1.0) * z.max(1.0)).ln()
        },
    }
}

/// 1 + r(1) + r(1)·r(2) + … until nothing changes any more.
fn sum_of_ratios(ratio: impl Fn(f64) -> f64) -> f64 {
    let (mut sum, mut term, mut i) = (1.0, 1.0, 1.0);
    loop {
        term *= ratio(i);
        if term <= sum * f64::EPSILON / 8.0 {
            return sum;
        }
        sum += term;
        i += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, want: f64, tolerance: f64) -> bool {
        (got - want).abs() <= tolerance * want.abs() + 1e-300
    }

    #[test]
    fn tails() {
        for (n, mean, p, tolerance) in [
            (0.0, 5.0, 1.0, 0.0),
            (1.0, 0.0, 0.0, 0.0),
            (3.0, 1.0, 0.080_301_397_071_394_19, 1e-13),
            (1.0, 1e-9, 9.999_999_995_000_001e-10, 1e-13),
            (1.0, 0.01, 0.009_950_166_250_831_95, 1e-13),
            (120.0, 2.5, 7.091_472_536_593_52e-153, 1e-11),
        ] {
            let got = upper_p(n, mean).expect("meaningful");
            assert!(near(got, p, tolerance), "P(X >= {n} | {mean}) = {got:e}, not {p:e}");
        }
        assert_eq!((upper_p(3.0, -1.0), upper_p(f64::NAN, 1.0)), (None, None));
    }

    #[test]
    fn two_sides_of_the_mean_agree() {
        // P(X >= n) − P(X >= n+1) is the density.
        for (mean, digits) in
            [(0.3, 1e-12), (7.5, 1e-12), (64.0, 1e-12), (1234.5, 1e-11), (1e6, 1e-9)]
        {
            let n = f64::floor(mean);
            let step = upper(n, mean).p - upper(n + 1.0, mean).p;
            assert!(near(step, ln_density(n, mean).exp(), digits), "{mean}");
        }
    }

    #[test]
    fn expansion_for_large_counts_agrees_with_the_sum() {
        for z in [-3.0, -0.5, 0.0, 0.01, 2.0, 6.0] {
            let mean = 9e6;
            let n = f64::floor(mean + z * f64::sqrt(mean));
            let (expansion, sum) = (upper_of_large(n, mean), upper(n, mean));
            assert!(near(expansion.p, sum.p, 1e-7), "{z}: {expansion:?} {sum:?}");
        }
        assert!(near(upper(1e12, 1e12).p, 0.5, 1e-5));
        let far = upper(9e15, 1.0);
        assert!(far.p == 0.0 && far.ln < -1e15 && far.ln.is_finite());
    }

    #[test]
    fn quantiles() {
        // R: qpois(c(.95, .99, .999999), 7)
        for (alpha, want) in [(0.05, 12.0), (0.01, 14.0), (1e-6, 23.0)] {
            assert_eq!(upper_quantile(alpha, 7.0), Some(want), "{alpha}");
        }
        assert_eq!(upper_quantile(0.05, 0.0), Some(0.0));
        assert_eq!(upper_quantile(0.05, 1e-9), Some(0.0));
        assert_eq!(upper_quantile(1e-300, 1e15).map(|x| x > 1e15), Some(true));
    }
}
