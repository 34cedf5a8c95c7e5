//! The gamma distribution with both tails and quantile, chi-square, and the derivatives of log-gamma.
//!
//! Own code for the same reasons as in [`super::beta`]: `statrs::function::gamma::gamma_ur` loses the digits of large
//! counts and of far tails, panics on bad input, and there is no trigamma.

use super::{beta::Tails, density::ln_poisson, root};

pub use statrs::function::gamma::digamma;

const STEPS_MAX: u32 = 5_000_000;

/// Tails of Gamma(`shape`, rate 1) at `x`; `shape` > 0.
pub fn tails(shape: f64, x: f64) -> Tails {
    if x <= 0.0 {
        return Tails::ABOVE;
    }
    if x == f64::INFINITY {
        return Tails::BELOW;
    }
    let front = ln_poisson(shape, x);
    if x < shape + 1.0 {
        Tails::from_lower(front.exp() * series(shape, x))
    } else {
        Tails::from_upper((front + shape.ln()).exp() * fraction(shape, x))
    }
}

/// Density of Gamma(`shape`, rate 1) at `x`.
pub fn density(shape: f64, x: f64) -> f64 {
    if x <= 0.0 { 0.0 } else { (ln_poisson(shape, x) + shape.ln() - x.ln()).exp() }
}

/// `x` with `P(X ≤ x) = p` for Gamma(`shape`, rate 1).
pub fn quantile(shape: f64, p: f64) -> f64 {
    root::quantile(
        p,
        (0.0, f64::INFINITY),
        shape,
        |x| {
            let t = tails(shape, x);
            (t.lower, t.upper)
        },
        |x| density(shape, x),
    )
}

/// `P(X > x)` of the chi-square distribution with `df` degrees of freedom.
pub fn chi_square_upper(x: f64, df: f64) -> f64 {
    tails(df / 2.0, x / 2.0).upper
}

/// The second derivative of log-gamma, `x` > 0.
pub fn trigamma(x: f64) -> f64 {
    let (mut x, mut sum) = (x, 0.0);
    while x < 15.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let tail =
        r * (1.0 / 6.0 - r * (1.0 / 30.0 - r * (1.0 / 42.0 - r * (1.0 / 30.0 - r * 5.0 / 66.0))));
    sum + (1.0 + 0.5 / x + tail) / x
}

/// `1 + x/(a+1) + x²/((a+1)(a+2)) + ..`
fn series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..STEPS_MAX {
        term *= x / (a + f64::from(k));
        sum += term;
        if term < 1e-16 * sum {
            break;
        }
    }
    sum
}

/// The continued fraction of the upper incomplete gamma integral, by Lentz's method.
fn fraction(a: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut h = d;
    for i in 1..STEPS_MAX {
        let i = f64::from(i);
        let an = -i * (i - a);
        b += 2.0;
        d = an * d + b;
        d = 1.0 / if d.abs() < TINY { TINY } else { d };
        c = b + an / c;
        c = if c.abs() < TINY { TINY } else { c };
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    h
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(got: f64, want: f64) {
        assert!((got - want).abs() <= 2e-13 * want.abs(), "{got} is not {want}");
    }

    #[test]
    fn tails_have_closed_forms_at_integers() {
        close(tails(1.0, 600.0).upper, (-600.0_f64).exp());
        close(tails(2.0, 3.0).upper, 4.0 * (-3.0_f64).exp());
        close(tails(0.5, 0.5).lower, 0.682_689_492_137_085_9);
        close(chi_square_upper(3.841_458_820_694_124, 1.0), 0.05);
    }

    #[test]
    fn trigamma_knows_pi() {
        close(trigamma(1.0), std::f64::consts::PI.powi(2) / 6.0);
        close(trigamma(0.5), std::f64::consts::PI.powi(2) / 2.0);
    }

    #[test]
    fn quantile_is_the_inverse() {
        for shape in [0.01, 0.5, 1.5, 30.0, 1e6] {
            for p in [1e-9, 0.025, 0.5, 0.975, 1.0 - 1e-9] {
                let x = quantile(shape, p);
                let back = tails(shape, x).lower;
                assert!((back - p).abs() < 1e-11 || x < 1e-290, "{shape} {p}: {x} {back}");
            }
        }
    }
}
