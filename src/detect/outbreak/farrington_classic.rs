//! Farrington 1996: the method as first published, with the settings of its first software.

use std::ops::Range;

use super::{
    farrington::{MinCases, Power},
    reference::years_before,
};
use crate::detect::{
    Compat, Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict,
    math::{glm::Design, normal, quasi_poisson, student},
    parameter,
};

/// Residual beyond which a past period weighs less.
const REWEIGHT_ABOVE: f64 = 1.0;
/// Largest p-value with which a trend is kept.
const TREND_P: f64 = 0.05;
/// Years of history below which a trend cannot be told from chance.
const YEARS_FOR_TREND: usize = 3;

/// Farrington's method of 1996: quasi-Poisson regression on the same weeks of earlier years.
///
/// # What it finds
/// A week with more cases than the same weeks of the years before explain. Here for comparison with systems that run it; use
/// `farrington_flexible` otherwise.
///
/// # Parameters
/// - `years` — years of history, 1 to 20; default 5.
/// - `half_window` — periods on each side of the same period in earlier years, 0 to 12; default 3.
/// - `reweight` — let past outbreaks weigh less; default true.
/// - `trend` — keep a trend that is significant at 5 %; default true.
/// - `alpha` — two-sided, between 0 and 1: half of it is the probability of a false alarm; default 0.05.
/// - `power` — transformation: `two_thirds`, `half` or `none`; default `two_thirds`.
/// - `min_cases` — `cases` in the last `periods`, below which there is no alarm; default 5 in 4.
/// - `compat` — `r` stops the fit where R does; default `corrected`.
///
/// # When it misleads
/// No season inside the window and few periods behind each verdict: about 4 times the false alarms of `farrington_flexible` at
/// the same `alpha`. A threshold of 1 for reweighting takes away weight from ordinary weeks and so narrows the bound.
///
/// # Source
/// Farrington et al. 1996, J. R. Statist. Soc. A 159, 547–563. R: surveillance::algo.farrington. Golden family
/// `farrington_classic`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FarringtonClassic {
    /// Years of history.
    pub years: usize,
    /// Periods on each side of a reference period.
    pub half_window: usize,
    /// Whether past outbreaks weigh less.
    pub reweight: bool,
    /// Whether a significant trend is kept.
    pub trend: bool,
    /// Two-sided level.
    pub alpha: f64,
    /// Power transformation.
    pub power: Power,
    /// Fewest cases for an alarm.
    pub min_cases: MinCases,
    /// Right, or as R.
    pub compat: Compat,
}

impl Default for FarringtonClassic {
    fn default() -> Self {
        Self {
            years: 5,
            half_window: 3,
            reweight: true,
            trend: true,
            alpha: 0.05,
            power: Power::TwoThirds,
            min_cases: MinCases { cases: 5.0, periods: 4 },
            compat: Compat::Corrected,
        }
    }
}

/// All that is known about one period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassicDetails {
    /// Expected count.
    pub mean: f64,
    /// Upper bound.
    pub bound: f64,
    /// P(Y ≤ y) of the transformed normal.
    pub quantile: f64,
    /// Whether a trend was kept.
    pub trend: bool,
    /// Whether there were enough cases for an alarm.
    pub enough: bool,
}

impl SeriesDetector for FarringtonClassic {
    fn check(&self) -> Result<(), Error> {
        let years = self.years;
        parameter("years", years as f64, (1..=20).contains(&years), "1 to 20")?;
        parameter("half_window", self.half_window as f64, self.half_window <= 12, "0 to 12")?;
        parameter("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 1.0, "between 0 and 1")?;
        let cases = self.min_cases.cases;
        parameter("min_cases.cases", cases, cases >= 0.0 && cases.is_finite(), "0 or more")
    }

    fn profile(&self) -> Profile {
        Profile::TESTS
    }

    fn reach(&self, periods_per_year: usize) -> usize {
        self.years * periods_per_year + self.years.div_ceil(4) + 1 + self.half_window
    }

    fn history(&self, periods_per_year: usize) -> usize {
        self.years * periods_per_year
    }

    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        let details = self.details(series, range.clone())?;
        Ok(range
            .zip(details)
            .map(|(at, found)| match found {
                Err(verdict) => verdict,
                Ok(d) => {
                    let count = series.values[at];
                    let judgement = Judgement::new(d.enough && count > d.bound)
                        .expected(d.mean)
                        .p_value(1.0 - d.quantile);
                    if d.enough {
                        let score = (count - d.mean) / (d.bound - d.mean);
                        judgement.upper_bound(d.bound).score(score).into()
                    } else {
                        judgement.into()
                    }
                }
            })
            .collect())
    }
}

impl FarringtonClassic {
    /// What is known about the periods `range`, or why nothing is.
    ///
    /// # Errors
    /// As [`SeriesDetector::evaluate`].
    pub fn details(
        &self,
        series: &Series<'_>,
        range: Range<usize>,
    ) -> Result<Vec<Result<ClassicDetails, Verdict>>, Error> {
        self.check()?;
        series.check_counts(&range)?;
        Ok(range.map(|at| self.judge(series, at)).collect())
    }

    fn judge(&self, series: &Series<'_>, at: usize) -> Result<ClassicDetails, Verdict> {
        let times = self.reference(series, at).ok_or(Verdict::TooEarly)?;
        let count = series.values[at];
        if count.is_nan() {
            return Err(Verdict::NotDefined(Undefined::NoValue));
        }
        let counts: Vec<f64> = times.iter().map(|t| series.values[*t]).collect();
        let middle = times.iter().sum::<usize>() as f64 / times.len().max(1) as f64;
        let row = |t: usize| [(0, 1.0), (1, t as f64 - middle)];
        let fit = |trend: bool| {
            let width = 1 + usize::from(trend);
            let mut design = Design::new(width, width);
            times.iter().for_each(|t| design.push(&row(*t)[..width]));
            let above = self.reweight.then_some(REWEIGHT_ABOVE);
            quasi_poisson::fit(&design, &counts, None, above, self.compat)
        };
        let with_trend = (self.trend && self.years >= YEARS_FOR_TREND).then(|| fit(true)).flatten();
        let kept = with_trend.filter(|model| {
            let t = model.fit.coefficients[1]
                / (model.raw_phi * model.fit.variance(&[(1, 1.0)])).sqrt();
            let p = student::two_sided_p(t, (counts.len() - model.fit.rank) as f64);
            let most = counts.iter().copied().fold(0.0, f64::max);
            p < TREND_P && model.fit.predictor(&row(at)).exp() <= most
        });
        let trend = kept.is_some();
        let no_fit = Verdict::NotDefined(Undefined::NoFit);
        let model = kept.or_else(|| fit(false)).ok_or(no_fit)?;
        let row = &row(at)[..1 + usize::from(trend)];
        let mean = model.fit.predictor(row).exp();
        let tau = model.phi + mean * model.phi * model.fit.variance(row);
        let (exponent, sd) = self.power.of(mean, tau);
        let center = mean.powf(exponent);
        let z = normal::upper_quantile(self.alpha / 2.0);
        let bound = (center + z * sd).powf(1.0 / exponent);
        let quantile = normal::cdf((count.powf(exponent) - center) / sd);
        if !(mean.is_finite() && bound.is_finite() && quantile.is_finite()) {
            return Err(Verdict::NotDefined(Undefined::Overflow));
        }
        let enough = self.min_cases.enough(series.values, at);
        Ok(ClassicDetails { mean, bound, quantile, trend, enough })
    }

    /// The reference periods with a value, oldest first; those before the series are left out, `None` where a whole year is.
    fn reference(&self, series: &Series<'_>, at: usize) -> Option<Vec<usize>> {
        let mut times = Vec::new();
        for back in (1..=self.years).rev() {
            let reference = years_before(series, at, back)?;
            let window = reference.saturating_sub(self.half_window)..=reference + self.half_window;
            times.extend(window.filter(|t| *t < at && !series.values[*t].is_nan()));
        }
        Some(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbreak_alarms_unless_it_has_few_cases() {
        let mut values: Vec<f64> = (0..300).map(|t| f64::from(3 + t * 7 % 5)).collect();
        values[299] = 40.0;
        let verdicts =
            FarringtonClassic::default().evaluate(&Series::new(&values), 295..300).expect("counts");
        assert_eq!(
            verdicts.iter().map(Verdict::alarm).collect::<Vec<_>>(),
            [false, false, false, false, true]
        );
        let min_cases = MinCases { cases: 1e6, periods: 4 };
        let detector = FarringtonClassic { min_cases, ..FarringtonClassic::default() };
        assert!(!detector.evaluate(&Series::new(&values), 299..300).expect("counts")[0].alarm());
    }
}
