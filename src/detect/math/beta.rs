//! The beta distribution: both tails, density, quantile.
//!
//! `statrs::function::beta::beta_reg` stops its fraction after 140 steps (wrong for counts near 1e6), gives the upper
//! tail as `1 - lower` (no digits below 1e-16) and panics on bad input. Here the smaller tail is computed directly
//! and steps go on until the fraction stands.

use super::{density::ln_binomial, normal, root};

/// Steps of the fraction; about `sqrt(max(a, b))` are needed near the mean.
const STEPS_MAX: u32 = 5_000_000;

/// The two tails of a distribution; each has full relative accuracy where it is the smaller one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tails {
    /// `P(X ≤ x)`.
    pub lower: f64,
    /// `P(X > x)`.
    pub upper: f64,
}

impl Tails {
    /// All of the probability above.
    pub const ABOVE: Self = Self { lower: 0.0, upper: 1.0 };
    /// All of the probability below.
    pub const BELOW: Self = Self { lower: 1.0, upper: 0.0 };

    pub(super) fn from_lower(p: f64) -> Self {
        let p = p.clamp(0.0, 1.0);
        Self { lower: p, upper: 1.0 - p }
    }

    pub(super) fn from_upper(p: f64) -> Self {
        let p = p.clamp(0.0, 1.0);
        Self { lower: 1.0 - p, upper: p }
    }
}

/// Tails of Beta(`a`, `b`) at `x`; `a`, `b` > 0.
pub fn tails(a: f64, b: f64, x: f64) -> Tails {
    tails_xy(a, b, x, 1.0 - x)
}

/// As [`tails`], with `y` = 1 - x given because `x` may be too close to 1 to hold its digits.
pub fn tails_xy(a: f64, b: f64, x: f64, y: f64) -> Tails {
    if x <= 0.0 {
        return Tails::ABOVE;
    }
    if y <= 0.0 {
        return Tails::BELOW;
    }
    if x <= (a + 1.0) / (a + b + 2.0) {
        Tails::from_lower((ln_front(a, b, x, y) - a.ln()).exp() * fraction(a, b, x))
    } else {
        Tails::from_upper((ln_front(b, a, y, x) - b.ln()).exp() * fraction(b, a, y))
    }
}

/// Density of Beta(`a`, `b`) at `x`.
pub fn density(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    (ln_front(a, b, x, 1.0 - x) - x.ln() - (-x).ln_1p()).exp()
}

/// `x` with `P(X ≤ x) = p`.
pub fn quantile(a: f64, b: f64, p: f64) -> f64 {
    root::quantile(
        p,
        (0.0, 1.0),
        a / (a + b),
        |x| {
            let t = tails(a, b, x);
            (t.lower, t.upper)
        },
        |x| density(a, b, x),
    )
}

/// `t` ≥ 0 with `P(T > t) = tail` for Student's t with `df` > 0 degrees of freedom, `0 < tail ≤ 1/2`.
#[must_use]
pub fn student_upper_quantile(tail: f64, df: f64) -> f64 {
    let both = |t: f64| {
        let rest = df + t * t;
        let two_sided = tails_xy(df / 2.0, 0.5, df / rest, t * t / rest).lower;
        (1.0 - 0.5 * two_sided, 0.5 * two_sided)
    };
    // ln of the density at 0, from the beta function's norm.
    let ln_norm = density(df / 2.0, 0.5, 0.5).ln() + (df / 2.0 - 1.5) * 2.0_f64.ln();
    let at_t = |t: f64| (ln_norm - 0.5 * df.ln() - 0.5 * (df + 1.0) * (t * t / df).ln_1p()).exp();
    let start = normal::upper_quantile(tail).max(0.1);
    root::quantile_of_upper(tail, (0.0, f64::INFINITY), start, both, at_t)
}

/// `ln(x^a y^b / B(a, b))`.
fn ln_front(a: f64, b: f64, x: f64, y: f64) -> f64 {
    (a * b / (a + b)).ln() + ln_binomial(a, a + b, x, y)
}

/// The continued fraction of the incomplete beta integral, by Lentz's method.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let not_zero = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / not_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..STEPS_MAX {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / not_zero(1.0 + even * d);
        c = not_zero(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / not_zero(1.0 + odd * d);
        c = not_zero(1.0 + odd / c);
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
        assert!((got - want).abs() <= 1e-12 * want.abs(), "{got} is not {want}");
    }

    #[test]
    fn tails_have_closed_forms_at_integers() {
        // P(X > x) for Beta(1, b) is (1-x)^b; for Beta(a, 1) the lower tail is x^a.
        close(tails(1.0, 30.0, 0.9).upper, 1e-30);
        close(tails(40.0, 1.0, 1e-5).lower, 1e-200);
        close(tails(2.0, 2.0, 0.25).lower, 0.15625);
        close(tails(0.5, 0.5, 0.5).lower, 0.5);
    }

    #[test]
    fn counts_near_a_million_keep_their_digits() {
        // Symmetric about a half, so the tail there is a half; statrs stops too early.
        close(tails(1e6, 1e6, 0.5).lower, 0.5);
        let reference = statrs::function::beta::beta_reg(2e6, 2e6, 0.4999);
        let ours = tails(2e6, 2e6, 0.4999).lower;
        // Normal approximation with continuity is good to 1e-6 here.
        let z = (0.4999 - 0.5) / (0.25 / (4e6 + 1.0_f64)).sqrt();
        assert!((ours - normal::cdf(z)).abs() < 1e-6, "{ours}");
        assert!((reference - ours).abs() < 1.0);
    }

    #[test]
    fn student_has_its_table_values() {
        close(student_upper_quantile(0.025, 1.0), 12.706_204_736_174_7);
        close(student_upper_quantile(0.025, 10.0), 2.228_138_851_986_274);
        close(student_upper_quantile(0.05, 3.0), 2.353_363_434_801_826_5);
        let of_many = student_upper_quantile(0.0005, 1e9);
        assert!((of_many - normal::upper_quantile(0.0005)).abs() < 1e-7);
    }

    #[test]
    fn quantile_is_the_inverse() {
        for (a, b) in [(0.01, 3.0), (1.5, 18.0), (25.0, 4175.0), (900.0, 1.0), (0.5, 0.5)] {
            for p in [1e-9, 0.025, 0.3, 0.5, 0.975, 1.0 - 1e-9] {
                let x = quantile(a, b, p);
                let back = tails(a, b, x).lower;
                assert!(
                    (back - p).abs() < 1e-11 || x < 1e-290 || 1.0 - x < 1e-15,
                    "{a} {b} {p}: {x} {back}"
                );
            }
        }
    }
}
