//! RKI: mean and two standard deviations, or a table for small means.

use std::ops::Range;

use super::bayes::Reference;
use crate::detect::{
    Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict, math::moments::mean_sd,
    parameter,
};

/// Upper limits of a 95 % interval of a Poisson mean, by the whole part of the baseline's mean.
pub const SMALL_MEANS: [f64; 21] = [
    3.285, 5.323, 6.686, 8.102, 9.598, 11.177, 12.817, 13.765, 14.921, 16.768, 17.633, 19.05,
    20.335, 21.364, 22.945, 23.762, 25.4, 26.306, 27.735, 28.966, 30.017,
];
/// Up to this mean the table holds.
const TABLE_MAX: f64 = 20.0;

/// The rule once used at the Robert Koch Institute; for comparison only.
///
/// # What it finds
/// A count above mean + 2 standard deviations of the last periods and the same season of earlier years. Use
/// `bayes_predictive` instead, which has the same baseline and a level.
///
/// # Parameters
/// - `history` — periods right before that are compared with, 0 to 366; default 6.
/// - `years` — years back whose same season is compared with as well, 0 to 20; default 0.
/// - `half_window` — periods on each side of the same period in those years, 0 to 26; default 6.
///
/// # When it misleads
/// Its level is not known: 8 % false alarms where 1 % would be wanted. The table for means up to 20 is an interval of the
/// mean, not of the next count. A baseline of equal counts above 20 has no deviation.
///
/// # Source
/// R: surveillance::algo.rki. Golden family `rki`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rki {
    /// Periods right before.
    pub history: usize,
    /// Years back.
    pub years: usize,
    /// Periods on each side of the same period in those years.
    pub half_window: usize,
}

impl Default for Rki {
    fn default() -> Self {
        Self { history: 6, years: 0, half_window: 6 }
    }
}

impl SeriesDetector for Rki {
    fn check(&self) -> Result<(), Error> {
        let any = self.history + self.years;
        parameter("history", self.history as f64, self.history <= 366, "0 to 366")?;
        parameter("history", any as f64, any > 0, "1 or more where years is 0")?;
        parameter("years", self.years as f64, self.years <= 20, "0 to 20")?;
        parameter("half_window", self.half_window as f64, self.half_window <= 26, "0 to 26")
    }

    fn profile(&self) -> Profile {
        Profile { weeks_only: true, p_value: false, ..Profile::TESTS }
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

impl Rki {
    fn reference(&self) -> Reference {
        Reference { history: self.history, years: self.years, half: self.half_window }
    }

    /// The verdict on one period; `score` in standard deviations of the baseline.
    fn judge(&self, series: &Series<'_>, at: usize) -> Verdict {
        let Some(periods) = self.reference().periods(series, at) else { return Verdict::TooEarly };
        let count = series.values[at];
        if count.is_nan() {
            return Verdict::NotDefined(Undefined::NoValue);
        }
        let counts: Vec<f64> = periods.map(|p| series.values[p]).filter(|v| !v.is_nan()).collect();
        let Some((mean, sd)) = mean_sd(&counts) else {
            return Verdict::NotDefined(Undefined::Gap);
        };
        let bound =
            if mean > TABLE_MAX { mean + 2.0 * sd } else { SMALL_MEANS[mean.floor() as usize] };
        Judgement::new(count > bound)
            .expected(mean)
            .upper_bound(bound)
            .score((count - mean) / sd)
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_below_twenty_and_deviations_above() {
        let bound = |values: &[f64]| {
            let all = Rki::default().evaluate(&Series::new(values), 6..7).expect("counts");
            all[0].judged().and_then(|j| j.upper_bound)
        };
        assert_eq!(bound(&[3.0, 4.0, 3.0, 4.0, 3.0, 4.0, 0.0]), Some(8.102));
        assert_eq!(bound(&[20.0; 7]), Some(30.017));
        assert_eq!(bound(&[40.0, 42.0, 40.0, 42.0, 40.0, 42.0, 0.0]).map(f64::round), Some(43.0));
    }
}
