//! Roots of monotone functions: Newton's step where it stays in the bracket, halving elsewhere.

/// Halvings and steps together; a bracket of all doubles is halved on the exponent first, so this is never reached.
const STEPS_MAX: u32 = 400;

/// `x` with `P(X ≤ x) = p`, from both tails and the density. `start` lies within `range`.
pub(super) fn quantile(
    p: f64,
    range: (f64, f64),
    start: f64,
    tails: impl Fn(f64) -> (f64, f64),
    density: impl Fn(f64) -> f64,
) -> f64 {
    if p <= 0.0 {
        return range.0;
    }
    if p >= 1.0 {
        return range.1;
    }
    if p <= 0.5 {
        solve(range, start, |x| tails(x).0 - p, density)
    } else {
        let upper = 1.0 - p;
        solve(range, start, |x| upper - tails(x).1, density)
    }
}

/// `x` with `P(X > x) = p`.
pub(super) fn quantile_of_upper(
    p: f64,
    range: (f64, f64),
    start: f64,
    tails: impl Fn(f64) -> (f64, f64),
    density: impl Fn(f64) -> f64,
) -> f64 {
    if p <= 0.0 {
        return range.1;
    }
    solve(range, start, |x| p - tails(x).1, density)
}

/// The zero of the increasing `f` on the non-negative `range`; `slope` is its derivative.
pub fn solve(
    range: (f64, f64),
    start: f64,
    f: impl Fn(f64) -> f64,
    slope: impl Fn(f64) -> f64,
) -> f64 {
    let (mut low, mut high) = range;
    let mut x = start;
    for _ in 0..STEPS_MAX {
        let y = f(x);
        if y == 0.0 {
            return x;
        }
        if y < 0.0 {
            low = x
        } else {
            high = x
        }
        let newton = x - y / slope(x);
        if (newton - x).abs() <= 2.0 * f64::EPSILON * x.abs() {
            return x;
        }
        x = if newton > low && newton < high { newton } else { between(low, high) };
        if x == low || x == high {
            return x;
        }
    }
    x
}

/// A point inside the bracket: halfway, on the exponent where the ends are far apart.
fn between(low: f64, high: f64) -> f64 {
    if high == f64::INFINITY {
        return (low * 4.0).max(1.0);
    }
    if low <= 0.0 {
        return if high > 1e-300 { high * 1e-3 } else { 0.0 };
    }
    if high / low > 8.0 { (low * high).sqrt() } else { 0.5 * (low + high) }
}

/// Where `f` crosses zero on `[low, high]`, by Brent's method, to within `tolerance` (absolute).
///
/// The steps are those of Brent 1973, chapter 4, as netlib's `zeroin` takes them, so that a stop at a loose tolerance
/// stands at the same point. `None` where `f` has the same sign at both ends or is not a number.
pub fn brent(low: f64, high: f64, tolerance: f64, f: impl Fn(f64) -> f64) -> Option<f64> {
    let (mut a, mut b) = (low, high);
    let (mut fa, mut fb) = (f(a), f(b));
    if fa == 0.0 {
        return Some(a);
    }
    if fb == 0.0 {
        return Some(b);
    }
    if !fa.is_finite() && fa.is_nan() || fb.is_nan() || (fa > 0.0) == (fb > 0.0) {
        return None;
    }
    let (mut c, mut fc) = (a, fa);
    for _ in 0..1000 {
        let previous = b - a;
        if fc.abs() < fb.abs() {
            (a, b, c) = (b, c, b);
            (fa, fb, fc) = (fb, fc, fb);
        }
        let close_enough = 2.0 * f64::EPSILON * b.abs() + tolerance / 2.0;
        let half = (c - b) / 2.0;
        if half.abs() <= close_enough || fb == 0.0 {
            return Some(b);
        }
        let mut step = half;
        if previous.abs() >= close_enough && fa.abs() > fb.abs() {
            let (mut p, mut q) = interpolation(a, b, c, fa, fb, fc);
            if p > 0.0 {
                q = -q
            } else {
                p = -p
            }
            if p < 0.75 * (c - b) * q - (close_enough * q).abs() / 2.0
                && p < (previous * q / 2.0).abs()
            {
                step = p / q;
            }
        }
        if step.abs() < close_enough {
            step = if step > 0.0 { close_enough } else { -close_enough };
        }
        (a, fa) = (b, fb);
        b += step;
        fb = f(b);
        if fb.is_nan() {
            return None;
        }
        if (fb > 0.0) == (fc > 0.0) {
            (c, fc) = (a, fa);
        }
    }
    Some(b)
}

/// Numerator and denominator of the secant or inverse quadratic step.
fn interpolation(a: f64, b: f64, c: f64, fa: f64, fb: f64, fc: f64) -> (f64, f64) {
    let span = c - b;
    let s = fb / fa;
    if a == c {
        return (span * s, 1.0 - s);
    }
    let (q, r) = (fa / fc, fb / fc);
    (s * (span * q * (q - r) - (b - a) * (r - 1.0)), (q - 1.0) * (r - 1.0) * (s - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brent_finds_what_is_there_and_nothing_else() {
        let x = brent(0.0, 2.0, 1e-14, |x| x * x - 2.0).unwrap();
        assert!((x - std::f64::consts::SQRT_2).abs() < 1e-13);
        assert_eq!(brent(0.0, 1.0, 1e-9, |x| x + 1.0), None);
        assert_eq!(brent(0.0, 1.0, 1e-9, |_| f64::NAN), None);
    }

    #[test]
    fn solve_reaches_tiny_and_huge_roots() {
        for root in [1e-200, 3e-7, 1.0, 5e12] {
            let x = solve((0.0, f64::INFINITY), 1.0, |x| x - root, |_| 1.0);
            assert!((x - root).abs() <= 1e-14 * root, "{x} {root}");
        }
    }
}
