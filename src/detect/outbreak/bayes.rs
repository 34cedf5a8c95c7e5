//! Bayes predictive: is a count above what a short history makes credible?

use std::ops::Range;

use super::reference::years_before;
use crate::detect::{
    Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict,
    math::negative_binomial::NegativeBinomial, parameter,
};

/// Shape that Jeffreys' prior adds to the cases of the baseline.
const PRIOR_SHAPE: f64 = 0.5;

/// Posterior predictive bound of a Poisson rate with Jeffreys' prior, aware of exposure.
///
/// # What it finds
/// A count above what the last periods, and the same season of earlier years, make credible. The best cheap detector while
/// history is short: it works from the third period on, and knows how little it knows.
///
/// # Parameters
/// - `history` — periods right before that are compared with, 0 to 366; default 6.
/// - `years` — years back whose same season is compared with as well, 0 to 20; default 0.
/// - `half_window` — periods on each side of the same period in those years, 0 to 26; default 6.
/// - `alpha` — one-sided probability of a false alarm, between 0 and 0.5; default 0.005.
///
/// With a population the rates are compared: the baseline's cases over its population. Periods without a value or without
/// population are left out of the baseline.
///
/// # When it misleads
/// Takes the counts for Poisson: where they vary more (most series above some 20 a period), false alarms are several times
/// `alpha`. An outbreak in the last periods hides its own continuation. With `years` 0 a season looks like an outbreak.
///
/// # Source
/// Riebler 2004; Höhle 2007, Comput. Statist. 22, 571–582. R: surveillance::algo.bayes. Golden family `bayes`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BayesPredictive {
    /// Periods right before.
    pub history: usize,
    /// Years back.
    pub years: usize,
    /// Periods on each side of the same period in those years.
    pub half_window: usize,
    /// One-sided probability of a false alarm.
    pub alpha: f64,
}

impl Default for BayesPredictive {
    fn default() -> Self {
        Self { history: 6, years: 0, half_window: 6, alpha: 0.005 }
    }
}

impl SeriesDetector for BayesPredictive {
    fn check(&self) -> Result<(), Error> {
        let alpha = self.alpha;
        let any = self.history + self.years;
        parameter("history", self.history as f64, self.history <= 366, "0 to 366")?;
        parameter("history", any as f64, any > 0, "1 or more where years is 0")?;
        parameter("years", self.years as f64, self.years <= 20, "0 to 20")?;
        parameter("half_window", self.half_window as f64, self.half_window <= 26, "0 to 26")?;
        parameter("alpha", alpha, alpha > 0.0 && alpha < 0.5, "between 0 and 0.5")
    }

    fn profile(&self) -> Profile {
        let profile = Profile::TESTS.with_population();
        if self.years == 0 { profile.by_order() } else { profile }
    }

    fn reach(&self, periods_per_year: usize) -> usize {
        self.history(periods_per_year) + self.years.div_ceil(4) + usize::from(self.years > 0)
    }

    fn history(&self, periods_per_year: usize) -> usize {
        self.reference().reach(periods_per_year)
    }

    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        self.check()?;
        series.check_counts(&range)?;
        Ok(range.map(|at| self.judge(series, at)).collect())
    }
}

impl BayesPredictive {
    fn reference(&self) -> Reference {
        Reference { history: self.history, years: self.years, half: self.half_window }
    }

    /// The verdict on one period; `score` is log₁₀ of one over the p-value.
    fn judge(&self, series: &Series<'_>, at: usize) -> Verdict {
        let Some(periods) = self.reference().periods(series, at) else { return Verdict::TooEarly };
        let count = series.values[at];
        if count.is_nan() {
            return Verdict::NotDefined(Undefined::NoValue);
        }
        let exposure = |at: usize| series.population.map_or(1.0, |p| p[at]);
        let (mut cases, mut behind, now) = (0.0, 0.0, exposure(at));
        for period in periods.filter(|p| !series.values[*p].is_nan()) {
            if exposure(period) > 0.0 {
                cases += series.values[period];
                behind += exposure(period);
            }
        }
        if behind <= 0.0 || now <= 0.0 {
            return Verdict::NotDefined(Undefined::NoPopulation);
        }
        let predictive = NegativeBinomial::new(cases + PRIOR_SHAPE, behind, now);
        let Some(bound) = predictive.upper_quantile(self.alpha) else {
            return Verdict::NotDefined(Undefined::Overflow);
        };
        let tail = predictive.upper(count);
        Judgement::new(count > bound)
            .expected(predictive.mean())
            .upper_bound(bound)
            .score(-tail.ln / std::f64::consts::LN_10)
            .p_value(tail.p)
            .into()
    }
}

/// The periods right before, and windows around the same period in earlier years.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reference {
    pub(super) history: usize,
    pub(super) years: usize,
    pub(super) half: usize,
}

impl Reference {
    /// How many periods before it the first that can be judged needs.
    pub(super) fn reach(self, periods_per_year: usize) -> usize {
        let years = if self.years > 0 { self.years * periods_per_year + self.half } else { 0 };
        years.max(self.history)
    }

    /// Positions of the reference periods; `None` where some lie before the series.
    pub(super) fn periods(
        self,
        series: &Series<'_>,
        at: usize,
    ) -> Option<impl Iterator<Item = usize>> {
        let recent = at.checked_sub(self.history)?..at;
        let mut windows = Vec::with_capacity(self.years);
        for back in 1..=self.years {
            let middle = years_before(series, at, back)?;
            windows.push(middle.checked_sub(self.half)?..(middle + self.half + 1).min(at));
        }
        Some(recent.chain(windows.into_iter().flatten()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_compared_not_counts() {
        let values = [10.0, 12.0, 8.0, 11.0, 9.0, 10.0, 30.0];
        let detector = BayesPredictive::default();
        let plain = detector.evaluate(&Series::new(&values), 5..7).expect("counts");
        assert_eq!(plain[0], Verdict::TooEarly);
        assert!(plain[1].alarm());
        let population = [100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 300.0];
        let series = Series { population: Some(&population), ..Series::new(&values) };
        let rated = detector.evaluate(&series, 6..7).expect("counts");
        assert!(!rated[0].alarm(), "three times the people, three times the cases");
    }

    #[test]
    fn nobody_there_is_not_defined() {
        let (values, population) = ([0.0; 8], [0.0; 8]);
        let series = Series { population: Some(&population), ..Series::new(&values) };
        let verdicts = BayesPredictive::default().evaluate(&series, 6..8).expect("counts");
        assert_eq!(verdicts, [Verdict::NotDefined(Undefined::NoPopulation); 2]);
    }
}
