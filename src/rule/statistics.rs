//! Wilson intervals. Poisson tails and the normal quantile are those of `detect`.

use crate::detect::math::normal;
pub use crate::detect::math::poisson::upper_p as poisson_upper_p;

/// Confidence of a Wilson bound where none is given.
const CONFIDENCE: f64 = 0.95;

/// Wilson score interval of the share `hits` / `tries`, two-sided; `None` unless 0 ≤ hits ≤ tries, tries > 0 and the
/// confidence (default 0.95) lies between 0 and 1.
///
/// # Source
/// E. B. Wilson 1927, J. Amer. Statist. Assoc. 22, 209–212. Checked against the golden family `proportions`.
#[must_use]
pub fn wilson(hits: f64, tries: f64, confidence: Option<f64>) -> Option<(f64, f64)> {
    let confidence = confidence.unwrap_or(CONFIDENCE);
    let meaningful =
        tries > 0.0 && (0.0..=tries).contains(&hits) && confidence > 0.0 && confidence < 1.0;
    if !meaningful || !tries.is_finite() {
        return None;
    }
    let z = normal::quantile(0.5 + confidence / 2.0);
    let (share, z2) = (hits / tries, z * z);
    let middle = share + z2 / (2.0 * tries);
    let half = z * (share * (1.0 - share) / tries + z2 / (4.0 * tries * tries)).sqrt();
    let scale = 1.0 + z2 / tries;
    let lower = if hits == 0.0 { 0.0 } else { ((middle - half) / scale).max(0.0) };
    let upper = if hits == tries { 1.0 } else { ((middle + half) / scale).min(1.0) };
    Some((lower, upper))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn near(got: f64, want: f64, tolerance: f64) -> bool {
        (got - want).abs() <= tolerance * want.abs() + 1e-300
    }

    #[test]
    fn wilson_bounds() {
        let (lower, upper) = wilson(2.0, 30.0, None).expect("ok");
        assert!(
            near(lower, 0.018_477_023_791_270_4, 1e-12)
                && near(upper, 0.213_234_583_626_169, 1e-12)
        );
        assert_eq!(wilson(0.0, 10.0, None).map(|b| b.0), Some(0.0));
        for (k, n, c) in
            [(1.0, 0.0, None), (3.0, 2.0, None), (-1.0, 2.0, None), (1.0, 2.0, Some(1.0))]
        {
            assert_eq!(wilson(k, n, c), None);
        }
    }

    /// One file of reference output, if the folder with them is named.
    fn golden(case: &str) -> Vec<Vec<f64>> {
        let Some(dir) = std::env::var_os("FOREWARN_GOLDEN_DIR") else { return Vec::new() };
        let text = std::fs::read_to_string(PathBuf::from(dir).join(case)).expect("golden file");
        let rows: Vec<_> = text
            .lines()
            .skip(1)
            .map(|l| l.split(',').map(|v| v.parse().unwrap_or(f64::NAN)).collect())
            .collect();
        assert!(rows.len() > 3, "{case} is empty");
        rows
    }

    #[test]
    fn wilson_equals_the_reference() {
        for row in golden("proportions/one_sample.csv") {
            let (lower, upper) = wilson(row[0], row[1], Some(0.95)).expect("meaningful");
            assert!(
                near(lower, row[7], 1e-8) || (lower - row[7]).abs() < 1e-12,
                "{row:?}: {lower}"
            );
            assert!(near(upper, row[8], 1e-8), "{row:?}: {upper}");
        }
    }
}
