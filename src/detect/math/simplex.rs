//! The least value of a function of a few variables, by the simplex of Nelder and Mead.
//!
//! No derivatives, no randomness: the same start gives the same answer. The simplex is set up anew at the point it
//! found until that no longer helps, which mends its habit of collapsing early.
//!
//! Source: Nelder and Mead 1965, Comput. J. 7, 308–313; factors by dimension after Gao and Han 2012.

/// Restarts at most.
const ROUNDS_MAX: u32 = 20;

/// A point and the value there.
#[derive(Debug, Clone, PartialEq)]
pub struct Least {
    /// Where.
    pub at: Vec<f64>,
    /// How low.
    pub value: f64,
}

/// Goes down from `start` with first steps of `step` in every direction until values agree to `tolerance` (relative).
///
/// `f` may return infinity or NaN where it has no value; both count as high.
pub fn minimise(start: &[f64], step: f64, tolerance: f64, f: impl Fn(&[f64]) -> f64) -> Least {
    let f = |x: &[f64]| {
        let value = f(x);
        if value.is_nan() { f64::INFINITY } else { value }
    };
    let mut best = Least { at: start.to_vec(), value: f(start) };
    let mut step = step;
    for _ in 0..ROUNDS_MAX {
        let found = descend(&best, step, tolerance, &f);
        let gain = best.value - found.value;
        let settled = gain.abs() <= tolerance * (found.value.abs() + tolerance);
        if found.value <= best.value {
            best = found;
        }
        if settled {
            break;
        }
        step *= 0.5;
    }
    best
}

fn descend(from: &Least, step: f64, tolerance: f64, f: &impl Fn(&[f64]) -> f64) -> Least {
    let n = from.at.len();
    let dimension = n.max(2) as f64;
    let (expand, contract, shrink) =
        (1.0 + 2.0 / dimension, 0.75 - 0.5 / dimension, 1.0 - 1.0 / dimension);
    let mut points = vec![from.clone()];
    for i in 0..n {
        let mut at = from.at.clone();
        at[i] += step;
        points.push(Least { value: f(&at), at });
    }
    for _ in 0..400 * (n + 1) {
        points.sort_by(|a, b| a.value.total_cmp(&b.value));
        let (low, high) = (points[0].value, points[n].value);
        let size = (0..n).map(|i| (points[n].at[i] - points[0].at[i]).abs()).fold(0.0, f64::max);
        if high - low <= tolerance * (low.abs() + tolerance) && size < 1e-3 || size < 1e-12 {
            break;
        }
        let centre: Vec<f64> =
            (0..n).map(|i| points[..n].iter().map(|p| p.at[i]).sum::<f64>() / n as f64).collect();
        let along = |factor: f64| {
            let at: Vec<f64> =
                (0..n).map(|i| centre[i] + factor * (points[n].at[i] - centre[i])).collect();
            Least { value: f(&at), at }
        };
        let mirrored = along(-1.0);
        let next = if mirrored.value < low {
            let further = along(-expand);
            if further.value < mirrored.value { further } else { mirrored }
        } else if mirrored.value < points[n - 1].value {
            mirrored
        } else {
            let inside = if mirrored.value < high { along(-contract) } else { along(contract) };
            if inside.value < high.min(mirrored.value) {
                inside
            } else {
                let lowest = points[0].at.clone();
                for p in &mut points[1..] {
                    for (x, l) in p.at.iter_mut().zip(&lowest) {
                        *x = l + shrink * (*x - l);
                    }
                    p.value = f(&p.at);
                }
                continue;
            }
        };
        points[n] = next;
    }
    points.into_iter().min_by(|a, b| a.value.total_cmp(&b.value)).unwrap_or_else(|| from.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bent_valley_and_flat_bowl() {
        let valley = |x: &[f64]| 100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2);
        let found = minimise(&[-1.2, 1.0], 0.5, 1e-14, valley);
        assert!((found.at[0] - 1.0).abs() < 1e-5 && (found.at[1] - 1.0).abs() < 1e-5, "{found:?}");
        let bowl = |x: &[f64]| x.iter().map(|v| (v - 3.0).powi(4)).sum::<f64>() + 7.0;
        let found = minimise(&[0.0; 5], 1.0, 1e-15, bowl);
        assert!((found.value - 7.0).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn no_value_counts_as_high() {
        let f = |x: &[f64]| if x[0] < 0.0 { f64::NAN } else { (x[0] - 0.25).abs() };
        assert!((minimise(&[2.0], 1.0, 1e-12, f).at[0] - 0.25).abs() < 1e-9);
    }
}
