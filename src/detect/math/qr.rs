//! Least squares by Householder's reflections.

/// Columns whose rest is shorter than this part of their length are taken as dependent.
const DEPENDENT: f64 = 1e-10;

/// The coefficients that bring `columns · x` closest to `target`; all columns have its length.
///
/// `None` where there are fewer rows than columns, a column depends on those before it, or a value is not a number.
pub fn least_squares(mut columns: Vec<Vec<f64>>, mut target: Vec<f64>) -> Option<Vec<f64>> {
    let (rows, n) = (target.len(), columns.len());
    if rows < n {
        return None;
    }
    let lengths: Vec<f64> = columns.iter().map(|c| norm(c)).collect();
    for k in 0..n {
        let (done, rest) = columns.split_at_mut(k + 1);
        let pivot = &mut done[k];
        let length = norm(&pivot[k..]);
        if length.is_nan() || length <= DEPENDENT * lengths[k] {
            return None;
        }
        // The reflector replaces the column below the diagonal; the diagonal itself is kept as -sign · length.
        let diagonal = if pivot[k] > 0.0 { -length } else { length };
        pivot[k] -= diagonal;
        let scale: f64 = pivot[k..].iter().map(|v| v * v).sum::<f64>() / 2.0;
        for column in rest.iter_mut().chain(std::iter::once(&mut target)) {
            let dot: f64 = pivot[k..].iter().zip(&column[k..]).map(|(v, c)| v * c).sum();
            for (c, v) in column[k..].iter_mut().zip(&pivot[k..]) {
                *c -= dot / scale * v;
            }
        }
        pivot[k] = diagonal;
    }
    let mut x = vec![0.0; n];
    for k in (0..n).rev() {
        let known: f64 = (k + 1..n).map(|j| columns[j][k] * x[j]).sum();
        x[k] = (target[k] - known) / columns[k][k];
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_through_points() {
        let t: Vec<f64> = (0..50).map(f64::from).collect();
        let y = t.iter().map(|t| 3.0 - 0.25 * t).collect();
        let x = least_squares(vec![vec![1.0; 50], t], y).unwrap();
        assert!((x[0] - 3.0).abs() < 1e-12 && (x[1] + 0.25).abs() < 1e-13, "{x:?}");
    }

    #[test]
    fn dependent_or_missing_rows_have_no_answer() {
        assert_eq!(least_squares(vec![vec![1.0, 2.0], vec![2.0, 4.0]], vec![1.0, 1.0]), None);
        assert_eq!(least_squares(vec![vec![1.0], vec![2.0]], vec![1.0]), None);
        assert_eq!(least_squares(vec![vec![f64::NAN]], vec![1.0]), None);
        assert_eq!(least_squares(vec![vec![0.0, 0.0]], vec![1.0, 1.0]), None);
    }
}
