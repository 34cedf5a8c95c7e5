//! Student's t.

use statrs::function::beta::checked_beta_reg;

/// P(|T| ≥ |t|) with `freedom` > 0 degrees of freedom; 1 for NaN.
#[must_use]
pub fn two_sided_p(t: f64, freedom: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    checked_beta_reg(freedom / 2.0, 0.5, freedom / (freedom + t * t)).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::two_sided_p;

    #[test]
    fn known_values() {
        // R: 2 * pt(-abs(t), df)
        for (t, freedom, want) in [
            (2.0, 10.0, 0.073_388_034_770_740_4),
            (-12.706_204_736_432_1, 1.0, 0.05),
            (0.0, 3.0, 1.0),
        ] {
            assert!((two_sided_p(t, freedom) - want).abs() < 1e-10, "{t} {freedom}");
        }
        assert_eq!((two_sided_p(f64::NAN, 3.0), two_sided_p(f64::INFINITY, 3.0)), (1.0, 0.0));
    }
}
