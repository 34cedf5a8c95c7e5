//! Tail loss: what weighing down high counts takes from mean and dispersion when nothing but chance made them high.
//!
//! In: mean and dispersion of a count, and the normal score above which it weighs less. Out: mean and dispersion of the weighted
//! count, as shares of the true ones. A fit with such weights finds these shares; dividing by them makes it consistent where
//! there was no outbreak, and leaves it as deaf to outbreaks as before. The loss is small for a normal count (3 % of the
//! variance at a score of 2.58) and large for a skew one: with mean 1.6 and φ = 5 it is 5 % of the mean and 14 % of φ.
//!
//! # Source
//! Fisher consistency as in Cantoni and Ronchetti 2001, J. Am. Statist. Assoc. 96, 1022–1030, with weights of one side.

use super::{negative_binomial::NegativeBinomial, normal, poisson};

/// Steps in a standard deviation, or in φ where that is longer: the tail of a skew count falls by e in φ.
const STEPS: f64 = 8.0;
/// Probability of a step beyond which a tail has nothing to give.
const FAR: f64 = 1e-9;
/// Groups of means in one e-fold; what is kept changes little within one.
const GROUPS: f64 = 2.0;

/// What is left of an ordinary count, as shares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Kept {
    /// Weighted mean over mean.
    pub(super) mean: f64,
    /// Weighted variance about the weighted mean, over φ times the weighted mean.
    pub(super) variance: f64,
}

/// What is left of counts of each of these means, shape `[rows]`, with dispersion `phi`; like means are taken together.
pub(super) fn kept(means: &[f64], phi: f64, above: f64) -> Vec<Kept> {
    let group = |mean: f64| (mean.ln() * GROUPS).round() as i64;
    let mut groups: Vec<i64> = means.iter().map(|m| group(*m)).collect();
    groups.sort_unstable();
    groups.dedup();
    let of = |g: &i64| Kept::of((*g as f64 / GROUPS).exp(), phi, above);
    let shares: Vec<Kept> = groups.iter().map(of).collect();
    let share = |m: &f64| shares[groups.binary_search(&group(*m)).unwrap_or(0)];
    means.iter().map(share).collect()
}

impl Kept {
    /// With weight s⁻² where the normal score s of the middle of P(Y ≥ y) and P(Y > y) is above `above`.
    fn of(mean: f64, phi: f64, above: f64) -> Self {
        let sd = (phi * mean).sqrt();
        let step = (sd.max(phi) / STEPS).ceil();
        let first_count = (mean + above * sd).floor() + 1.0;
        let middle = |step_no: usize| first_count + step_no as f64 * step + 0.5 * (step - 1.0);
        let mut steps: Vec<f64> = Vec::with_capacity(64);
        let distribution = NegativeBinomial::new(mean / (phi - 1.0), 1.0, phi - 1.0);
        loop {
            let count = middle(steps.len());
            let ln = if phi > 1.0 {
                distribution.ln_density(count)
            } else {
                poisson::ln_density(count, mean)
            };
            let probability = step * ln.exp();
            if probability.is_nan() || probability < FAR {
                break;
            }
            steps.push(probability);
        }
        // Taken away: weight, weighted count less the mean, its square.
        let (mut weight, mut first, mut second, mut beyond) = (0.0, 0.0, 0.0, 0.0);
        for (step_no, probability) in steps.into_iter().enumerate().rev() {
            let score = normal::upper_quantile((beyond + 0.5 * probability).min(0.5));
            beyond += probability;
            if score > above {
                let taken = probability * (1.0 - score.powi(-2));
                let off = middle(step_no) - mean;
                weight += taken;
                first += taken * off;
                second += taken * off * off;
            }
        }
        let left = 1.0 - weight;
        let shift = -first / left;
        let kept_mean = mean + shift;
        let variance = (sd * sd - second) / left - shift * shift;
        Self { mean: kept_mean / mean, variance: variance / (phi * kept_mean) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::math::negative_binomial;

    #[test]
    fn of_a_large_count_is_that_of_the_normal_distribution() {
        // E[1 − w] and E[(1 − w)·z²] beyond c: the second is c·φ(c), less E[1] over the tail.
        let c: f64 = 2.58;
        let density = (-0.5 * c * c).exp() / std::f64::consts::TAU.sqrt();
        let found = Kept::of(1e6, 1.0, c);
        let second = c * density;
        assert!((found.mean - 1.0).abs() < 1e-4, "{found:?}");
        assert!((found.variance - (1.0 - second) / (1.0 - 0.87 * normal::upper(c))).abs() < 2e-3);
    }

    #[test]
    fn of_a_skew_count_is_the_sum_over_all_counts() {
        let (mean, phi, above) = (1.6, 5.0, 2.58);
        let (mut weight, mut first, mut second) = (0.0, 0.0, 0.0);
        for y in (0..400).map(f64::from) {
            let [at_least, more] = [y, y + 1.0].map(|y| negative_binomial::upper(y, mean, phi).p);
            let score = normal::upper_quantile((0.5 * (at_least + more)).max(1e-300));
            let w =
                (at_least - more) * if y > mean && score > above { score.powi(-2) } else { 1.0 };
            weight += w;
            first += w * y;
            second += w * y * y;
        }
        let weighted = first / weight;
        let variance = second / weight - weighted * weighted;
        let found = Kept::of(mean, phi, above);
        assert!((found.mean - weighted / mean).abs() < 1e-6, "{found:?} {weighted}");
        assert!((found.variance - variance / (phi * weighted)).abs() < 1e-5, "{found:?}");
        assert!(found.mean < 0.97 && found.variance < 0.88, "{found:?}");
    }

    #[test]
    fn nothing_is_taken_where_no_count_is_high_enough() {
        let found = Kept::of(5.0, 1.5, 20.0);
        assert!((found.mean - 1.0).abs() < 1e-9 && (found.variance - 1.0).abs() < 1e-9);
    }
}
