//! Order statistics: median, quantile, median absolute deviation.

/// The middle of sorted values, the mean of the two middle ones; `None` without values.
pub fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let n = sorted.len();
    let upper = *sorted.get(n / 2)?;
    Some(if n % 2 == 1 { upper } else { midpoint(sorted[n / 2 - 1], upper) })
}

/// The middle of values in any order, none of them NaN.
pub fn median(values: &[f64]) -> Option<f64> {
    median_of_sorted(&sorted(values))
}

/// A sorted copy; no NaN among them.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut out = values.to_vec();
    out.sort_unstable_by(f64::total_cmp);
    out
}

/// The quantile at `q` of sorted values, linear between order statistics (Hyndman and Fan's type 7).
pub fn quantile_of_sorted(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = q.clamp(0.0, 1.0) * last as f64;
    // A hair of slack, so that an index that is whole but for rounding is taken as whole.
    let low = ((at + 4.0 * f64::EPSILON).floor() as usize).min(last);
    let part = at - low as f64;
    let part = if part.abs() < 4.0 * f64::EPSILON { 0.0 } else { part };
    let high = (low + 1).min(last);
    Some(sorted[low] + part * (sorted[high] - sorted[low]))
}

/// Median absolute deviation times 1.4826, which makes it the standard deviation of normal values.
pub fn mad(values: &[f64]) -> Option<f64> {
    let middle = median(values)?;
    let deviations: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    median(&deviations).map(|m| 1.4826 * m)
}

fn midpoint(a: f64, b: f64) -> f64 {
    // (a + b) / 2 first, as everyone computes it; halves only where that overflows.
    let sum = a + b;
    if sum.is_finite() { sum / 2.0 } else { a / 2.0 + b / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middle_and_quantiles() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[f64::MAX, f64::MAX]), Some(f64::MAX));
        assert_eq!(quantile_of_sorted(&[1.0, 2.0, 3.0, 4.0], 0.1), Some(1.3));
        assert_eq!(mad(&[1.0, 2.0, 3.0, 4.0, 100.0]), Some(1.4826));
    }
}
