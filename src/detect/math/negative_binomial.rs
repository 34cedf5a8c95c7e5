//! Negative binomial: tails that keep their digits far out, and quantiles.
//!
//! Two forms: `size` and `prob`, for which mean = size·(1−prob)/prob; and mean and dispersion φ, for which variance = φ·mean,
//! size = mean/(φ−1) and prob = 1/φ, with Poisson at φ ≤ 1. Relative error of a tail below 1e-11 while count and size stay
//! below 1e7
//! (1e-14 of the whole where the size is below 1), 1e-6 beyond. `statrs` loses upper tails below 1e-16.

use std::f64::consts::TAU;

use statrs::function::gamma::checked_gamma_ur;

use super::{
    count::{Tail, deviance_part, least_count, stirling_error},
    normal, poisson,
};

/// From here on a saddle-point formula stands for the continued fraction, which would need thousands of steps.
const LARGE: f64 = 1e7;
/// Up to this size a large count is as good as continuous.
const SMALL: f64 = 1e3;
/// Steps of the continued fraction at most; it needs some √size.
const STEPS: u32 = 100_000;

/// A negative binomial distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NegativeBinomial {
    size: f64,
    prob: f64,
    /// 1 − prob, given apart so that it keeps its digits.
    rest: f64,
}

impl NegativeBinomial {
    /// With `size` > 0 and the odds `rest`/`prob` of the two probabilities, both above 0.
    #[must_use]
    pub fn new(size: f64, prob: f64, rest: f64) -> Self {
        let sum = prob + rest;
        Self { size, prob: prob / sum, rest: rest / sum }
    }

    /// Mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.size * self.rest / self.prob
    }

    /// ln P(X = n), for whole n ≥ 0.
    #[must_use]
    pub fn ln_density(&self, n: f64) -> f64 {
        let s = self.size;
        if n == 0.0 {
            return s * self.prob.ln();
        }
        let all = n + s;
        stirling_error(all)
            - stirling_error(s)
            - stirling_error(n)
            - deviance_part(s, all * self.prob)
            - deviance_part(n, all * self.rest)
            + 0.5 * (s / (TAU * n * all)).ln()
    }

    /// P(X ≥ n).
    #[must_use]
    pub fn upper(&self, n: f64) -> Tail {
        let n = n.ceil();
        if n <= 0.0 {
            return Tail::ONE;
        }
        if self.rest <= 0.0 || n.is_infinite() {
            return Tail::ZERO;
        }
        if n > LARGE {
            return if self.size > SMALL { self.upper_of_large(n) } else { self.upper_of_wide(n) };
        }
        // I_rest(n, size), by the continued fraction on the side where it converges.
        let ln_density = self.ln_density(n);
        if self.rest < (n + 1.0) / (n + self.size + 2.0) {
            Tail::of_ln(ln_density + fraction(n, self.size, self.rest).ln())
        } else {
            let side = fraction(self.size, n, self.prob);
            Tail::of_rest((ln_density + (n / self.size).ln()).exp() * side)
        }
    }

    /// The least x with P(X > x) ≤ `alpha`, for 0 < `alpha` < 1; `None` beyond 2⁵³.
    #[must_use]
    pub fn upper_quantile(&self, alpha: f64) -> Option<f64> {
        let (mean, z) = (self.mean(), normal::upper_quantile(alpha));
        let sd = (mean / self.prob).sqrt();
        let skewness = (1.0 + self.rest) / (self.size * self.rest).sqrt();
        // Cornish–Fisher.
        let start = mean + sd * (z + skewness * (z * z - 1.0) / 6.0);
        least_count(start, 0.01 * sd, alpha, |x| self.upper(x + 1.0).p)
    }

    /// The gamma distribution that a wide negative binomial nears: relative error of order (size/n)².
    ///
    /// # Source
    /// Wise 1950, Biometrika 37, 208–218.
    fn upper_of_wide(&self, n: f64) -> Tail {
        let y = -(n + 0.5 * (self.size - 1.0)) * (-self.prob).ln_1p();
        if y.is_nan() || y <= 0.0 {
            return Tail::ONE;
        }
        let p = checked_gamma_ur(self.size, y).unwrap_or(0.0);
        let far = (self.size - 1.0) * y.ln() - y - libm::lgamma(self.size);
        Tail { p, ln: if p > 0.0 { p.ln() } else { far.min(0.0) } }
    }

    /// Lugannani and Rice's formula for a lattice: relative error of order n^(−3/2).
    ///
    /// # Source
    /// Lugannani and Rice 1980, Adv. Appl. Probab. 12, 475–490; Daniels 1987, Int. Statist. Rev. 55, 37–48.
    fn upper_of_large(&self, n: f64) -> Tail {
        let all = n + self.size;
        let half = deviance_part(self.size, all * self.prob) + deviance_part(n, all * self.rest);
        let r = (2.0 * half).sqrt().copysign(n / all - self.rest);
        let variance = self.size * self.rest / (self.prob * self.prob);
        let apart = if r.abs() < 1e-2 {
            (0.5 - (1.0 + self.rest) / (6.0 * self.prob)) / variance.sqrt()
        } else {
            let saddle = (n / all / self.rest).ln();
            let v = -(-saddle).exp_m1() * (n * all / self.size).sqrt();
            1.0 / v - 1.0 / r
        };
        let density = (-half).exp() / TAU.sqrt();
        if r < 0.0 {
            return Tail::of_rest(normal::upper(-r) - density * apart);
        }
        let p = (normal::upper(r) + density * apart).clamp(0.0, 1.0);
        let far = -half - (TAU.sqrt() * r.max(1.0)).ln();
        Tail { p, ln: if p > 0.0 { p.ln() } else { far } }
    }
}

/// P(X ≥ n) for a count with `mean` ≥ 0 and variance `phi`·`mean`; Poisson for `phi` ≤ 1.
#[must_use]
pub fn upper(n: f64, mean: f64, phi: f64) -> Tail {
    match dispersed(mean, phi) {
        Some(distribution) => distribution.upper(n),
        None => poisson::upper(n, mean),
    }
}

/// The least x with P(X > x) ≤ `alpha`, for a count with `mean` ≥ 0 and variance `phi`·`mean`; `None` beyond 2⁵³.
#[must_use]
pub fn upper_quantile(alpha: f64, mean: f64, phi: f64) -> Option<f64> {
    match dispersed(mean, phi) {
        Some(distribution) => distribution.upper_quantile(alpha),
        None => poisson::upper_quantile(alpha, mean),
    }
}

fn dispersed(mean: f64, phi: f64) -> Option<NegativeBinomial> {
    (phi > 1.0 && mean > 0.0).then(|| NegativeBinomial::new(mean / (phi - 1.0), 1.0, phi - 1.0))
}

/// The continued fraction of the incomplete beta function, by Lentz.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..STEPS {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        h *= d * c;
        if (d * c - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    h
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_sums_of_densities() {
        for (size, prob) in [(0.5, 0.2), (3.0, 0.5), (40.0, 0.9), (1e-3, 0.01)] {
            let d = NegativeBinomial::new(size, prob, 1.0 - prob);
            let mut sum = 0.0;
            for n in (0..20_000).rev() {
                sum += d.ln_density(f64::from(n)).exp();
                if n > 5_000 {
                    continue; // What lies beyond the sum still counts here.
                }
                let got = d.upper(f64::from(n));
                assert!(
                    (got.p - sum).abs() <= 1e-11 * sum + 1e-300 + 1e-14 * f64::from(size < 1.0),
                    "{size} {prob} {n}"
                );
                assert!((got.ln.exp() - got.p).abs() <= 1e-12 * got.p);
            }
            assert!((sum - 1.0).abs() < 1e-11);
        }
    }

    #[test]
    fn small_dispersion_is_poisson_and_huge_counts_have_an_answer() {
        let (nb, poisson) = (upper(20.0, 10.0, 1.0 + 1e-9).p, poisson::upper(20.0, 10.0).p);
        assert!((nb / poisson - 1.0).abs() < 1e-6);
        assert!((upper(1e14, 1e14, 2.0).p - 0.5).abs() < 1e-3);
        assert!(upper(9e15, 1e12, 3.0).ln < -1e10);
        assert_eq!(upper(3.0, 0.0, 2.0).p, 0.0);
    }

    #[test]
    fn formula_for_large_counts_agrees_with_the_fraction() {
        let d = NegativeBinomial::new(3e6, 1.0, 2.0);
        let sd = (d.mean() * 3.0).sqrt();
        for z in [-4.0, -1.0, 0.0, 0.001, 0.5, 3.0, 8.0] {
            let n = f64::floor(d.mean() + z * sd);
            let (formula, fraction) = (d.upper_of_large(n), d.upper(n));
            assert!((formula.p / fraction.p - 1.0).abs() < 1e-5, "{z}: {formula:?} {fraction:?}");
        }
    }

    #[test]
    fn gamma_for_wide_counts_agrees_with_the_fraction() {
        for size in [0.3, 5.0, 200.0] {
            let d = NegativeBinomial::new(size, 1.0, 1e6 / size);
            for share in [0.5, 1.0, 3.0] {
                let (wide, fraction) = (d.upper_of_wide(share * 1e6), d.upper(share * 1e6));
                let near = (wide.p / fraction.p - 1.0).abs() < 1e-5;
                assert!(near, "{size} {share}: {wide:?} {fraction:?}");
            }
        }
    }

    #[test]
    fn quantile_is_the_least_count_within_alpha() {
        for (mean, phi) in [(0.01, 1.5), (2.5, 3.0), (7.0, 1.0), (1_000.0, 20.0)] {
            for alpha in [0.4, 0.05, 1e-6, 1e-200] {
                let x = upper_quantile(alpha, mean, phi).expect("a quantile");
                assert!(upper(x + 1.0, mean, phi).p <= alpha, "{mean} {phi} {alpha}");
                assert!(x == 0.0 || upper(x, mean, phi).p > alpha, "{mean} {phi} {alpha}");
            }
        }
    }
}
