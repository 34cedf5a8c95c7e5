//! ₂F₁(⅓, ⅔; 5⁄3; −z): what the Anscombe residual of a negative binomial count needs.

use libm::tgamma;

/// Beyond it the series in 1/z converges faster.
const SPLIT: f64 = 3.0;

/// ₂F₁(⅓, ⅔; 5⁄3; −z), for finite z ≥ 0; relative error below 1e-13.
#[must_use]
pub fn third_two_thirds(z: f64) -> f64 {
    let third = 1.0 / 3.0;
    if z <= SPLIT {
        // Pfaff: (1+z)^(−⅓)·₂F₁(⅓, 1; 5⁄3; z/(1+z)).
        let w = z / (1.0 + z);
        return series(|n| (third + n) / (5.0 * third + n) * w) * (1.0 + z).powf(-third);
    }
    // Connection to −1/z; its second part ends at its first term.
    let first = tgamma(5.0 * third) * tgamma(third) / (tgamma(2.0 * third) * tgamma(4.0 * third));
    let second = tgamma(5.0 * third) * tgamma(-third) / tgamma(third);
    let inner =
        series(|n| (third + n) * (n - third) / ((2.0 * third + n) * (1.0 + n)) * (-1.0 / z));
    first * z.powf(-third) * inner + second * z.powf(-2.0 * third)
}

/// 1 + r(0) + r(0)·r(1) + … until nothing changes any more.
fn series(ratio: impl Fn(f64) -> f64) -> f64 {
    let (mut sum, mut term, mut n) = (1.0, 1.0, 0.0);
    loop {
        term *= ratio(n);
        let next = sum + term;
        if next == sum {
            return sum;
        }
        sum = next;
        n += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::third_two_thirds;

    #[test]
    fn is_the_integral_it_stands_for() {
        // ∫₀ᶻ (u(1+u))^(−⅓) du = 3/2·z^⅔·F(z); with u = s³ the integrand is smooth.
        for z in [1e-6, 0.3, 1.0, 2.9, 3.1, 50.0, 1e4] {
            let (steps, end) = (20_000, f64::cbrt(z));
            let width = end / f64::from(steps);
            let at = |s: f64| 3.0 * s * (1.0 + s * s * s).powf(-1.0 / 3.0);
            // Simpson.
            let sum: f64 = (0..steps)
                .map(|i| {
                    let s = f64::from(i) * width;
                    at(s) + 4.0 * at(s + width / 2.0) + at(s + width)
                })
                .sum();
            let want = sum * width / 6.0 / (1.5 * z.powf(2.0 / 3.0));
            let got = third_two_thirds(z);
            assert!((got / want - 1.0).abs() < 1e-11, "{z}: {got} {want}");
        }
        assert_eq!(third_two_thirds(0.0), 1.0);
    }
}
