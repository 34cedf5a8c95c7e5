//! The judgement of one period: fit, trend, bound.
//!
//! In: a series and a period of it. Out: [`Details`], or why there are none. Not here: which periods it is compared with
//! (`baseline`), how a quasi-Poisson model is fitted (`math`).

use std::ops::Range;

use super::{Farrington, Method, YEARS_FOR_TREND, baseline::Baseline};
use crate::detect::{
    Compat, Error, Series, SeriesDetector, Undefined, Verdict,
    math::{
        negative_binomial, normal,
        quasi_poisson::{self, Reweighted},
        student,
    },
    outbreak::onset::{self, Period},
};

/// All that is known about one period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Details {
    /// Expected count, μ̂₀ of the prediction.
    pub mean: f64,
    /// Upper bound; `compat: r` with `nb_plugin` or `muan` may have none.
    pub bound: f64,
    /// (y − expected) / (bound − expected); in `compat: r` with R's expected.
    pub score: f64,
    /// P(Y ≥ y).
    pub p_value: f64,
    /// Dispersion φ.
    pub phi: f64,
    /// Trend per period on the log scale, where one was kept.
    pub trend: Option<f64>,
    /// R's `mu0Vector`: for `nb_plugin` the mean, otherwise exp of an upper quantile of the prediction.
    pub mean_r: f64,
    /// Whether there were enough cases for an alarm.
    pub enough: bool,
    /// Whether the period is an alarm.
    pub alarm: bool,
}

impl Farrington {
    /// What is known about the periods `range`, or why nothing is.
    ///
    /// # Errors
    /// As [`SeriesDetector::evaluate`].
    pub fn details(
        &self,
        series: &Series<'_>,
        range: Range<usize>,
    ) -> Result<Vec<Result<Details, Verdict>>, Error> {
        self.check()?;
        series.check_counts(&range)?;
        Ok(range.map(|at| self.judge(series, at)).collect())
    }

    fn judge(&self, series: &Series<'_>, at: usize) -> Result<Details, Verdict> {
        let baseline = Baseline::new(self, series, at).ok_or(Verdict::TooEarly)?;
        let count = series.values[at];
        if count.is_nan() {
            return Err(Verdict::NotDefined(Undefined::NoValue));
        }
        let offset_now = match series.population {
            Some(population) if population[at] > 0.0 => population[at].ln(),
            Some(_) => return Err(Verdict::NotDefined(Undefined::NoPopulation)),
            None => 0.0,
        };
        let no_fit = Verdict::NotDefined(Undefined::NoFit);
        if self.compat == Compat::Corrected && baseline.is_unlike(at) {
            return Err(no_fit);
        }
        let (model, trend) = self.model(&baseline, at, offset_now).ok_or(no_fit)?;
        let details = self.bound(&model, trend, &baseline, series, at, offset_now);
        let overflow = Verdict::NotDefined(Undefined::Overflow);
        let mut details = details.ok_or(overflow)?;
        details.enough = self.min_cases.enough(series.values, at);
        details.alarm = details.enough && count > details.bound && count > 0.0;
        Ok(details)
    }

    /// The fit, and its trend if one is kept.
    fn model(
        &self,
        baseline: &Baseline<'_>,
        at: usize,
        offset_now: f64,
    ) -> Option<(Reweighted, Option<f64>)> {
        let fit = |trend: bool| {
            let offset = baseline.offset.as_deref();
            let design = baseline.design(trend);
            let above = self.reweight_above;
            quasi_poisson::fit(&design, &baseline.counts, offset, above, self.compat)
        };
        if self.trend.p > 0.0
            && self.years >= YEARS_FOR_TREND
            && let Some(model) = fit(true)
        {
            let column = baseline.columns;
            let slope = model.fit.coefficients[column];
            let se =
                (self.dispersion(&model, baseline) * model.fit.variance(&[(column, 1.0)])).sqrt();
            let freedom = (baseline.counts.len() - model.fit.rank) as f64;
            let p = student::two_sided_p(slope / se, freedom);
            let mean = (model.fit.predictor(&baseline.row(at, true)) + offset_now).exp();
            let most = baseline.counts.iter().copied().fold(0.0, f64::max);
            let significant = p < self.trend.p;
            if match self.compat {
                Compat::R => significant && mean <= most,
                // A trend beyond what was seen is not dropped, which would miss it, but followed so far.
                Compat::Corrected => significant || self.trend.p >= 1.0,
            } {
                return Some((model, Some(slope)));
            }
        }
        fit(false).map(|model| (model, None))
    }

    /// The dispersion behind standard errors: φ; in R after reweighting Σω·r²/df.
    fn dispersion(&self, model: &Reweighted, baseline: &Baseline<'_>) -> f64 {
        match (&model.omega, self.compat) {
            (Some(omega), Compat::R) => {
                model.fit.dispersion(&baseline.counts, omega).unwrap_or(model.phi)
            }
            (None, Compat::R) => model.raw_phi,
            (_, Compat::Corrected) => model.phi,
        }
    }

    /// The period before `at` under the same model, where it has a value.
    fn period_before(
        &self,
        model: &Reweighted,
        trend: Option<f64>,
        baseline: &Baseline<'_>,
        series: &Series<'_>,
        at: usize,
    ) -> Option<Period> {
        let before = at.checked_sub(1)?;
        let population = series.population.map_or(1.0, |p| p[before]);
        let row = baseline.row_before(before, trend.is_some());
        let mean = population * model.fit.predictor(&row).exp();
        let mean = baseline.at_most(mean, trend.is_some());
        let variance = self.dispersion(model, baseline) * model.fit.variance(&row);
        let period = Period {
            mean: mean * (1.0 + 0.5 * variance),
            phi: model.phi + 2.0 * variance * mean,
            count: series.values[before],
        };
        (mean > 0.0 && mean.is_finite()).then_some(period)
    }

    /// Mean, bound, score and p-value of the count at `at`; `None` where they overflow.
    fn bound(
        &self,
        model: &Reweighted,
        trend: Option<f64>,
        baseline: &Baseline<'_>,
        series: &Series<'_>,
        at: usize,
        offset_now: f64,
    ) -> Option<Details> {
        let count = series.values[at];
        let row = baseline.row(at, trend.is_some());
        let eta = model.fit.predictor(&row) + offset_now;
        let mean = baseline.at_most(eta.exp(), trend.is_some() && self.compat != Compat::R);
        let se = (self.dispersion(model, baseline) * model.fit.variance(&row)).sqrt();
        let (alpha, phi) = (self.alpha(), model.phi);
        let z = normal::upper_quantile(alpha);
        let (bound, p_value, of_r, mean_r) = match self.threshold.method {
            Method::Delta => {
                let se = mean * se;
                let (exponent, sd) = self.power.of(mean, phi + se * se / mean);
                let middle = mean.powf(exponent);
                let bound = (middle + z * sd).powf(1.0 / exponent);
                let p = normal::upper((count.powf(exponent) - middle) / sd);
                (bound, p, mean, (mean + z * se).exp())
            }
            Method::NbPlugin | Method::Muan => {
                let plain = self.threshold.method == Method::NbPlugin;
                let (of_r, upper) = (eta, (eta + z * se).exp());
                let center = if plain { mean } else { upper };
                if !center.is_finite() {
                    return None;
                }
                let bound = negative_binomial::upper_quantile(alpha, center, phi)?;
                let p = negative_binomial::upper(count, center, phi).p;
                (bound, p, of_r, if plain { mean } else { upper })
            }
            Method::Onset => {
                let now = Period {
                    mean: mean * (1.0 + 0.5 * se * se),
                    phi: phi + 2.0 * se * se * mean,
                    count,
                };
                let before = self.period_before(model, trend, baseline, series, at);
                let found = onset::judge(before, now, alpha)?;
                (found.bound, found.p_value, mean, mean)
            }
        };
        let expected = if self.compat == Compat::R { of_r } else { mean };
        let score = (count - expected) / (bound - expected);
        let finite = mean.is_finite() && bound.is_finite() && phi.is_finite();
        finite.then_some(Details {
            mean,
            bound,
            score,
            p_value,
            phi,
            trend,
            mean_r,
            enough: false,
            alarm: false,
        })
    }
}
