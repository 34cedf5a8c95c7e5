//! Quasi-Poisson regression in which past outbreaks weigh less: Anscombe residuals, weights, a second fit.
//!
//! # Source
//! Farrington et al. 1996, J. R. Statist. Soc. A 159, 547–563; Noufaily et al. 2013, Statist. Med. 32, 1206–1222.

use super::{
    glm::{Design, Fit, Response, Stop},
    negative_binomial, normal,
    tail_loss::{Kept, kept},
};
use crate::detect::Compat;

/// A regression with its dispersion.
#[derive(Debug, Clone)]
pub struct Reweighted {
    /// The last fit.
    pub fit: Fit,
    /// Dispersion φ, at least 1.
    pub phi: f64,
    /// The same, below 1 where the counts vary less than Poisson.
    pub raw_phi: f64,
    /// Weights given to the periods, where there was a second fit.
    pub omega: Option<Vec<f64>>,
}

/// Fits, and again with weight ∝ s⁻² for periods whose standardised residual s is above `above`, where it is given.
/// `None` where a fit does not converge or leaves no degree of freedom.
///
/// The residual of R is Anscombe's, which takes counts for normal; where they are skew (a small mean, a large dispersion) it
/// calls too many ordinary periods outbreaks and so narrows the bound. [`Compat::Corrected`] takes the normal score of the
/// count's own tail instead, and gives back what the weights take off mean and dispersion where chance alone made counts high.
#[must_use]
pub fn fit(
    design: &Design,
    counts: &[f64],
    offset: Option<&[f64]>,
    above: Option<f64>,
    compat: Compat,
) -> Option<Reweighted> {
    let stop = if compat == Compat::R { Stop::R } else { Stop::Converged };
    let response = Response { counts, offset, weights: None, alpha: 0.0 };
    let first = Fit::new(design, &response, stop).filter(|f| f.converged)?;
    let raw_phi = first.dispersion(counts, &first.weights)?;
    let phi = raw_phi.max(1.0);
    let Some(above) = above else {
        return Some(Reweighted { fit: first, phi, raw_phi, omega: None });
    };
    let residuals = match compat {
        Compat::R => residuals(&first, design, counts, phi),
        Compat::Corrected => scores(&first, design, counts, phi, above),
    };
    let omega = weights(&residuals, above);
    let response = Response { weights: Some(&omega), ..response };
    let (fit, raw_phi) = match compat {
        Compat::R => {
            let second = Fit::new(design, &response, stop).filter(|f| f.converged)?;
            let raw_phi = second.dispersion(counts, &second.weights)?;
            (second, raw_phi)
        }
        Compat::Corrected => consistent(design, &response, &first, phi, above)?,
    };
    Some(Reweighted { phi: raw_phi.max(1.0), raw_phi, fit, omega: Some(omega) })
}

/// The second fit, and its dispersion, with what the weights take from ordinary counts given back: the weighted counts have
/// a lower mean, which is an offset of each row, and a lower dispersion.
fn consistent(
    design: &Design,
    response: &Response<'_>,
    first: &Fit,
    phi: f64,
    above: f64,
) -> Option<(Fit, f64)> {
    // About fitted means counts vary less than about true ones, by the degrees of freedom used.
    let free = 1.0 - first.rank as f64 / design.len() as f64;
    let kept = kept(&first.means, (phi * free).max(1.0), above);
    let lowered = |(i, k): (usize, &Kept)| k.mean.ln() + response.offset.map_or(0.0, |o| o[i]);
    let offset: Vec<f64> = kept.iter().enumerate().map(lowered).collect();
    let response = Response { offset: Some(&offset), ..*response };
    let second = Fit::from_start(design, &response, &first.coefficients).filter(|f| f.converged)?;
    let weighted: f64 = second.weights.iter().sum();
    let variance = second.weights.iter().zip(&kept).map(|(w, k)| w * k.variance).sum::<f64>();
    let raw_phi = second.dispersion(response.counts, &second.weights)?;
    Some((second, raw_phi * weighted / variance))
}

/// Standardised Anscombe residuals of a fit.
fn residuals(fit: &Fit, design: &Design, counts: &[f64], phi: f64) -> Vec<f64> {
    let leverages = fit.leverages(design);
    let rows = counts.iter().zip(&fit.means).zip(leverages);
    rows.map(|((y, m), h)| {
        let raw = 1.5 * (y.powf(2.0 / 3.0) * m.powf(-1.0 / 6.0) - m.sqrt());
        raw / (phi * (1.0 - h)).sqrt()
    })
    .collect()
}

/// Normal scores of counts above their mean, from the middle of P(Y ≥ y) and P(Y > y) under the fit; 0 where they cannot be
/// above `above`.
fn scores(fit: &Fit, design: &Design, counts: &[f64], phi: f64, above: f64) -> Vec<f64> {
    let leverages = fit.leverages(design);
    let rows = counts.iter().zip(&fit.means).zip(leverages);
    rows.map(|((&y, &m), h)| {
        // What one period pulls its own mean towards itself is taken back.
        let spread = (phi * (1.0 - h)).max(0.1 * phi);
        // The tail of a count is longer than the normal one.
        if y - m <= above * (spread * m).sqrt() {
            return 0.0;
        }
        let tail = |y: f64| negative_binomial::upper(y, m, spread).p;
        let middle = 0.5 * (tail(y) + tail(y + 1.0));
        // Beyond e⁻⁷⁰⁰ a period has no weight worth telling.
        if middle >= 0.5 { 0.0 } else { normal::upper_quantile(middle.max(1e-300)) }
    })
    .collect()
}

/// 1, or s⁻² above the threshold, scaled to sum to the number of periods.
fn weights(residuals: &[f64], above: f64) -> Vec<f64> {
    let raw = |s: &f64| if *s > above { s.powi(-2) } else { 1.0 };
    let sum: f64 = residuals.iter().map(raw).sum();
    let scale = residuals.len() as f64 / sum;
    residuals.iter().map(|s| scale * raw(s)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_past_outbreak_hardly_raises_the_level() {
        let mut counts = [5.0, 6.0, 4.0, 5.0, 7.0, 3.0, 5.0, 6.0, 4.0, 5.0].repeat(5);
        counts.push(60.0);
        let mut design = Design::new(1, 1);
        counts.iter().for_each(|_| design.push(&[(0, 1.0)]));
        let level = |above| {
            let found = fit(&design, &counts, None, above, Compat::Corrected).expect("fits");
            found.fit.coefficients[0].exp()
        };
        assert!((level(None) - 310.0 / 51.0).abs() < 1e-9, "the plain mean");
        assert!(level(Some(2.58)) < 5.3, "{}", level(Some(2.58)));
        let weights = weights(&[0.0, 4.0, 1.0], 2.0);
        assert!((weights.iter().sum::<f64>() - 3.0).abs() < 1e-12);
    }
}
