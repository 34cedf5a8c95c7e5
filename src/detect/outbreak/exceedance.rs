//! Count exceedance: how improbable is a count under Poisson, or under more variation than that?

use std::ops::Range;

use crate::detect::{
    Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict, math::negative_binomial,
    parameter,
};

/// A count against the rate of a fixed stretch of history, with the dispersion of that stretch.
///
/// # What it finds
/// A count too high for the mean of the last periods, given how much they vary. Its score tells apart also what is beyond any
/// doubt: it is right down to p = 1e-300 and further.
///
/// # Parameters
/// - `history` — periods right before that are compared with, 2 to 1,000; default 52.
/// - `dispersion` — variance over mean, 1 or more; default null: estimated from the history, at least 1.
/// - `alpha` — one-sided probability of a false alarm, between 0 and 0.5; default 0.005.
///
/// With a population the rates are compared. Periods without a value or without population are left out of the history.
///
/// # When it misleads
/// No season, no trend. The mean counts as known: with fewer than some 20 periods false alarms exceed `alpha`; use
/// `bayes_predictive` then. Without a case in the history any case alarms.
///
/// # Source
/// Poisson and negative binomial with variance φ·mean. Golden family `count_tails`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exceedance {
    /// Periods right before.
    pub history: usize,
    /// Variance over mean, where it is known.
    pub dispersion: Option<f64>,
    /// One-sided probability of a false alarm.
    pub alpha: f64,
}

impl Default for Exceedance {
    fn default() -> Self {
        Self { history: 52, dispersion: None, alpha: 0.005 }
    }
}

impl SeriesDetector for Exceedance {
    fn check(&self) -> Result<(), Error> {
        let (history, alpha) = (self.history, self.alpha);
        parameter("history", history as f64, (2..=1_000).contains(&history), "2 to 1,000")?;
        let phi = self.dispersion.unwrap_or(1.0);
        parameter("dispersion", phi, phi >= 1.0 && phi.is_finite(), "1 or more")?;
        parameter("alpha", alpha, alpha > 0.0 && alpha < 0.5, "between 0 and 0.5")
    }

    fn profile(&self) -> Profile {
        Profile::TESTS.with_population().by_order()
    }

    fn history(&self, _periods_per_year: usize) -> usize {
        self.history
    }

    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        self.check()?;
        series.check_counts(&range)?;
        Ok(range.map(|at| self.judge(series, at)).collect())
    }
}

impl Exceedance {
    /// The verdict on one period; `score` is log₁₀ of one over the p-value.
    fn judge(&self, series: &Series<'_>, at: usize) -> Verdict {
        let Some(first) = at.checked_sub(self.history) else { return Verdict::TooEarly };
        let (count, exposure) =
            (series.values[at], |at: usize| series.population.map_or(1.0, |p| p[at]));
        if count.is_nan() {
            return Verdict::NotDefined(Undefined::NoValue);
        }
        let used = || (first..at).filter(|p| !series.values[*p].is_nan() && exposure(*p) > 0.0);
        let behind: f64 = used().map(exposure).sum();
        if behind <= 0.0 || exposure(at) <= 0.0 {
            return Verdict::NotDefined(Undefined::NoPopulation);
        }
        let rate = used().map(|p| series.values[p]).sum::<f64>() / behind;
        let mean = rate * exposure(at);
        let phi = self.dispersion.unwrap_or_else(|| {
            let squares = used().map(|p| {
                let expected = rate * exposure(p);
                (series.values[p] - expected).powi(2) / expected
            });
            let (sum, n) = squares.fold((0.0, 0.0), |(sum, n), s| (sum + s, n + 1.0));
            if rate > 0.0 && n > 1.0 { (sum / (n - 1.0)).max(1.0) } else { 1.0 }
        });
        let Some(bound) = negative_binomial::upper_quantile(self.alpha, mean, phi) else {
            return Verdict::NotDefined(Undefined::Overflow);
        };
        let tail = negative_binomial::upper(count, mean, phi);
        Judgement::new(count > bound)
            .expected(mean)
            .upper_bound(bound)
            .score(-tail.ln / std::f64::consts::LN_10)
            .p_value(tail.p)
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variation_of_the_history_widens_the_bound() {
        let bound = |history: &[f64], dispersion| {
            let mut values = history.to_vec();
            values.push(20.0);
            let detector =
                Exceedance { history: history.len(), dispersion, ..Exceedance::default() };
            let at = history.len();
            let all = detector.evaluate(&Series::new(&values), at..at + 1).expect("counts");
            all[0].judged().and_then(|j| j.upper_bound).expect("a bound")
        };
        let (calm, wild) = ([10.0; 20], [0.0, 20.0].repeat(10));
        assert_eq!(bound(&calm, None), bound(&wild, Some(1.0)));
        assert!(bound(&wild, None) > 2.0 * bound(&calm, None));
    }
}
