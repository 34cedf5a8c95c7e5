//! Mean and standard deviation of a few numbers.

/// Mean and sample standard deviation (divisor n − 1) of `values`; `None` for none at all. One value has deviation 0.
///
/// Two passes, so that a large mean does not eat the deviation; equal values have exactly their value and 0.
#[must_use]
pub fn mean_sd(values: &[f64]) -> Option<(f64, f64)> {
    let (first, rest) = values.split_first()?;
    if rest.iter().all(|v| v == first) {
        return Some((*first, 0.0));
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    Some((mean, (squares / (n - 1.0)).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::mean_sd;

    #[test]
    fn small_deviation_on_a_large_mean() {
        assert_eq!(mean_sd(&[]), None);
        assert_eq!(mean_sd(&[3.0]), Some((3.0, 0.0)));
        assert_eq!(mean_sd(&[1e15, 1e15 + 2.0]), Some((1e15 + 1.0, 2f64.sqrt())));
        assert_eq!(mean_sd(&[0.1; 10_000]), Some((0.1, 0.0)));
    }
}
