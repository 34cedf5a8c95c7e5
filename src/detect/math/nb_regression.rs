//! Regression with a negative binomial count whose extra variation is estimated too.

use statrs::function::gamma::digamma;

use super::glm::{Design, Fit, Response, Stop};

/// Rounds of mean and variation at most.
const ROUNDS: usize = 20;
/// Up to this count ψ(θ+y) − ψ(θ) is summed term by term.
const TERMS: f64 = 64.0;

/// The fit by maximum likelihood, and α of the variance μ + α·μ²; α is 0 where the counts vary no more than Poisson. `None` where
/// a fit does not converge.
#[must_use]
pub fn fit(design: &Design, counts: &[f64], stop: Stop) -> Option<(Fit, f64)> {
    let at = |alpha: f64| {
        let response = Response { counts, offset: None, weights: None, alpha };
        Fit::new(design, &response, stop).filter(|fit| fit.converged)
    };
    let (mut fit, mut alpha) = (at(0.0)?, 0.0);
    for _ in 0..ROUNDS {
        let next = variation(counts, &fit.means);
        let settled = f64::abs(next - alpha) <= 1e-10 * (1e-3 + next);
        alpha = next;
        fit = at(alpha)?;
        if settled {
            break;
        }
    }
    Some((fit, alpha))
}

/// α for given means: the root of the score in θ = 1/α, by bisection on ln θ.
fn variation(counts: &[f64], means: &[f64]) -> f64 {
    let excess: f64 = counts.iter().zip(means).map(|(y, m)| (y - m) * (y - m) - y).sum();
    if excess <= 0.0 {
        return 0.0;
    }
    let (mut low, mut high) = (-14.0_f64, 20.0_f64);
    if score(counts, means, high.exp()) >= 0.0 {
        return 0.0;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if score(counts, means, middle.exp()) > 0.0 { low = middle } else { high = middle }
    }
    (-0.5 * (low + high)).exp()
}

/// Derivative of the log likelihood in θ.
fn score(counts: &[f64], means: &[f64], theta: f64) -> f64 {
    let terms = counts.iter().zip(means).map(|(&y, &m)| {
        let psi = if y <= TERMS {
            (0..y as u32).map(|j| 1.0 / (theta + f64::from(j))).sum()
        } else {
            digamma(theta + y) - digamma(theta)
        };
        // ln(θ/(θ+μ)) + 1 − (y+θ)/(μ+θ), without cancellation for large θ.
        psi - (m / theta).ln_1p() + (m - y) / (m + theta)
    });
    terms.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(counts: &[f64]) -> (f64, f64) {
        let mut design = Design::new(1, 1);
        counts.iter().for_each(|_| design.push(&[(0, 1.0)]));
        let (fit, alpha) = fit(&design, counts, Stop::Converged).expect("fits");
        (fit.coefficients[0].exp(), alpha)
    }

    #[test]
    fn variation_beyond_poisson_is_found_and_none_is_none() {
        let (mean, alpha) = level(&[0.0, 2.0, 9.0, 1.0, 0.0, 4.0, 15.0, 3.0, 0.0, 6.0]);
        assert!((mean - 4.0).abs() < 1e-9);
        assert!((0.5..2.5).contains(&alpha), "{alpha}");
        assert_eq!(level(&[4.0, 5.0, 4.0, 3.0, 4.0]).1, 0.0);
        assert!(level(&[100.0, 900.0, 20.0, 400.0]).1 > 0.3);
    }
}
