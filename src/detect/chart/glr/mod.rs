//! GLR charts: has a count's mean shifted, by how much, and since when?

mod ratio;

use std::{f64::consts::TAU, ops::Range};

use self::ratio::Run;
use crate::detect::{
    Compat, Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict,
    math::{
        glm::{Design, Fit, Response, Stop},
        nb_regression,
    },
    parameter,
};

/// Generalised likelihood ratio chart for counts with a season: each possible day of a change is tried.
///
/// # What it finds
/// A level that shifts and stays: a new pattern of fraud, a slow drift of one business. Tells since when (`change_at`) and by
/// what factor. After an alarm the chart starts over.
///
/// # Parameters
/// - `threshold` — log likelihood ratio of an alarm, above 0; default 5.
/// - `change` — `level` (mean times a factor) or `epidemic` (cases of the period before are passed on); default `level`.
/// - `factor` — the factor to find, if it is known: above 0, not 1, only for `level`; default null: unknown.
/// - `alpha` — variance μ + `alpha`·μ², 0 or more; 0 is Poisson; null is estimated from the history; default 0.
/// - `window` — periods back in which a change is looked for, 1 or more, or null for all since the last start; default 104.
/// - `least` — periods that a change must last to be seen, 1 or more; default 1.
/// - `direction` — `up` or `down`, only for an unknown `level`; default `up`.
/// - `mean` — `harmonics` (waves a year, 0 to 6; default 1), `trend` (default false) and `refit` (fit anew after each alarm;
///   default false) of the regression that gives the expected counts from all periods before the chart.
/// - `compat` — `r`: R's errors, see source. Default `corrected`.
///
/// The verdict has an upper bound where `factor` is known, or `alpha` is 0, `change` is `level` and `direction` is `up`.
///
/// # When it misleads
/// The mean is fitted once, when the chart starts: it ages. `threshold` has no level of false alarms by itself; simulate. With
/// `alpha` 0 counts that vary more than Poisson alarm far too often. Time per period grows with the square of `window` where
/// `alpha` is not 0.
///
/// # Source
/// Höhle and Paul 2008, Comput. Statist. Data Anal. 52, 4357–4368. R: surveillance::algo.glrnb. `compat: r` differs in this: the
/// epidemic chart with `alpha` above 0 maximises the score of the `level` chart and so misses its maximum; `window` with
/// `alpha` 0 demands one period more than `least`; downwards, changes without a single case are passed over; the
/// period before the chart counts as 0; once the epidemic chart with `alpha` 0 has found no epidemic from one period on, it finds
/// none from a later one either. Golden family `glr`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Glr {
    /// Log likelihood ratio of an alarm.
    pub threshold: f64,
    /// What kind of change.
    pub change: Change,
    /// Factor of the mean, where it is known.
    pub factor: Option<f64>,
    /// Extra variation; `None` to estimate it.
    pub alpha: Option<f64>,
    /// Periods back in which a change is looked for.
    pub window: Option<usize>,
    /// Periods that a change must last.
    pub least: usize,
    /// Which way.
    pub direction: Shift,
    /// Regression of the expected counts.
    pub mean: GlrMean,
    /// Right, or as R.
    pub compat: Compat,
}

/// What kind of change a chart looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The mean times a factor.
    #[default]
    Level,
    /// The mean plus a share of the count before.
    Epidemic,
}

/// Which way a level shifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shift {
    /// Upwards.
    #[default]
    Up,
    /// Downwards.
    Down,
}

/// Regression of the expected counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GlrMean {
    /// Waves a year.
    pub harmonics: usize,
    /// Whether there is a trend.
    pub trend: bool,
    /// Whether to fit anew after each alarm.
    pub refit: bool,
}

impl Default for GlrMean {
    fn default() -> Self {
        Self { harmonics: 1, trend: false, refit: false }
    }
}

impl Default for Glr {
    fn default() -> Self {
        Self {
            threshold: 5.0,
            change: Change::Level,
            factor: None,
            alpha: Some(0.0),
            window: Some(104),
            least: 1,
            direction: Shift::Up,
            mean: GlrMean::default(),
            compat: Compat::Corrected,
        }
    }
}

/// The chart after one period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GlrStep {
    /// Expected count.
    pub mean: f64,
    /// Log likelihood ratio.
    pub statistic: f64,
    /// Position of the most likely first period of the change.
    pub change_at: Option<usize>,
    /// `level`: the most likely factor; `epidemic`: the share passed on.
    pub size: f64,
    /// Above this count there is an alarm; where it is cheap to know.
    pub bound: Option<f64>,
    /// Whether the statistic reaches the threshold.
    pub alarm: bool,
}

impl SeriesDetector for Glr {
    fn check(&self) -> Result<(), Error> {
        let (threshold, factor) = (self.threshold, self.factor.unwrap_or(2.0));
        parameter("threshold", threshold, threshold > 0.0 && threshold.is_finite(), "above 0")?;
        let known = factor > 0.0 && factor != 1.0 && factor.is_finite();
        parameter("factor", factor, known, "above 0 and not 1")?;
        let fits = self.factor.is_none() || self.change == Change::Level;
        parameter("factor", factor, fits, "null where change is epidemic")?;
        let alpha = self.alpha.unwrap_or(0.0);
        parameter("alpha", alpha, alpha >= 0.0 && alpha.is_finite(), "0 or more, or null")?;
        let window = self.window.unwrap_or(1);
        parameter("window", window as f64, window >= 1, "1 or more, or null")?;
        parameter("least", self.least as f64, self.least >= 1, "1 or more")?;
        let unknown = self.factor.is_none() && self.change == Change::Level;
        if self.direction == Shift::Down && !unknown {
            let range = "up, except for a level whose factor is not known";
            return Err(Error::Parameter { name: "direction", value: "down".to_owned(), range });
        }
        let waves = self.mean.harmonics;
        parameter("mean.harmonics", waves as f64, waves <= 6, "0 to 6")
    }

    fn profile(&self) -> Profile {
        Profile::CHART
    }

    fn history(&self, periods_per_year: usize) -> usize {
        periods_per_year
    }

    /// `score` is the log likelihood ratio. `upper_bound` is that of the newest count: for a known factor, and for an unknown
    /// one with `alpha` 0. With `alpha` above 0 and for an epidemic each count tried would cost as much as the verdict, some ten
    /// times over; downwards it would be a lower bound. There it is empty.
    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        Ok(self
            .steps(series, range)?
            .into_iter()
            .map(|step| match step {
                Err(verdict) => verdict,
                Ok(step) => {
                    let judgement =
                        Judgement::new(step.alarm).expected(step.mean).score(step.statistic);
                    step.bound.map_or(judgement, |bound| judgement.upper_bound(bound)).into()
                }
            })
            .collect())
    }
}

impl Glr {
    /// The chart over the periods `range`, or why there is none.
    ///
    /// # Errors
    /// As [`SeriesDetector::evaluate`].
    pub fn steps(
        &self,
        series: &Series<'_>,
        range: Range<usize>,
    ) -> Result<Vec<Result<GlrStep, Verdict>>, Error> {
        self.check()?;
        series.check_counts(&range)?;
        if range.start < self.history(series.periods_per_year) {
            return Ok(vec![Err(Verdict::TooEarly); range.len()]);
        }
        let Some((mut means, alpha)) = self.means(series, range.clone()) else {
            return Ok(vec![Err(Verdict::NotDefined(Undefined::NoFit)); range.len()]);
        };
        // The chart walks the periods that have a value.
        let at: Vec<usize> = range.clone().filter(|t| !series.values[*t].is_nan()).collect();
        let counts: Vec<f64> = at.iter().map(|t| series.values[*t]).collect();
        let before = series.values[..range.start].last().copied().filter(|v| !v.is_nan());
        let mut run = Run {
            glr: self,
            counts: &counts,
            means: at.iter().map(|t| means[t - range.start]).collect(),
            alpha,
            before: if self.compat == Compat::R { 0.0 } else { before.unwrap_or(0.0) },
            from: 0,
            sum: 0.0,
        };
        let mut steps = vec![Err(Verdict::NotDefined(Undefined::NoValue)); range.len()];
        for (n, &t) in at.iter().enumerate() {
            let mut step = run.step(n);
            step.change_at = step.change_at.map(|k| at[k]);
            if step.alarm
                && self.mean.refit
                && t + 1 < range.end
                && let Some((again, _)) = self.means(series, t + 1..range.end)
            {
                means.truncate(t + 1 - range.start);
                means.extend(again);
                run.means = at.iter().map(|t| means[t - range.start]).collect();
            }
            let finite = step.statistic.is_finite();
            steps[t - range.start] =
                if finite { Ok(step) } else { Err(Verdict::NotDefined(Undefined::Overflow)) };
        }
        Ok(steps)
    }

    /// The chart over counts whose expected values are known.
    #[must_use]
    pub fn run(&self, counts: &[f64], means: &[f64], alpha: f64) -> Vec<GlrStep> {
        let means = means.to_vec();
        let mut run = Run { glr: self, counts, means, alpha, before: 0.0, from: 0, sum: 0.0 };
        (0..counts.len()).map(|n| run.step(n)).collect()
    }

    /// Expected counts of the periods `range` and α, from the periods before; `None` where these do not tell.
    #[must_use]
    pub fn means(&self, series: &Series<'_>, range: Range<usize>) -> Option<(Vec<f64>, f64)> {
        let (waves, trend) = (self.mean.harmonics, usize::from(self.mean.trend));
        let width = 1 + trend + 2 * waves;
        let middle = range.start as f64 / 2.0;
        let row = |t: usize| {
            let mut row = vec![(0, 1.0)];
            if self.mean.trend {
                row.push((1, t as f64 - middle));
            }
            for wave in 1..=waves {
                let angle = TAU * (wave * t) as f64 / series.periods_per_year as f64;
                row.extend([(row.len(), angle.cos()), (row.len() + 1, angle.sin())]);
            }
            row
        };
        let mut design = Design::new(width, width);
        let mut counts = Vec::with_capacity(range.start);
        for t in (0..range.start).filter(|t| !series.values[*t].is_nan()) {
            design.push(&row(t));
            counts.push(series.values[t]);
        }
        if counts.len() <= width {
            return None;
        }
        let fixed = |alpha: f64| {
            let response = Response { counts: &counts, offset: None, weights: None, alpha };
            let stop = if self.compat == Compat::R { Stop::R } else { Stop::Converged };
            Fit::new(&design, &response, stop).filter(|fit| fit.converged)
        };
        let (fit, alpha) = match self.alpha {
            Some(alpha) => (fixed(alpha)?, alpha),
            None => nb_regression::fit(&design, &counts, Stop::Converged)?,
        };
        let means: Vec<f64> = range.map(|t| fit.predictor(&row(t)).exp()).collect();
        means.iter().all(|m| m.is_finite() && *m > 0.0).then_some((means, alpha))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts around 10, and around 20 from position 130 on.
    fn shifted() -> Vec<f64> {
        (0..160).map(|t| f64::from(if t < 130 { 8 + t * 3 % 5 } else { 18 + t * 3 % 5 })).collect()
    }

    #[test]
    fn the_shift_is_dated_and_measured() {
        for (alpha, change) in
            [(0.0, Change::Level), (0.05, Change::Level), (0.0, Change::Epidemic)]
        {
            let glr = Glr { alpha: Some(alpha), change, ..Glr::default() };
            let steps = glr.steps(&Series::new(&shifted()), 104..160).expect("counts");
            let first = steps.iter().flatten().find(|s| s.alarm).expect("an alarm");
            assert_eq!(first.change_at, Some(130), "{alpha} {change:?}");
            if change == Change::Level {
                assert!((1.8..2.3).contains(&first.size), "{}", first.size);
            }
        }
    }

    #[test]
    fn the_bound_tells_where_the_alarm_is() {
        for factor in [None, Some(1.5)] {
            let glr = Glr { factor, ..Glr::default() };
            let values = shifted();
            let steps = glr.steps(&Series::new(&values), 104..160).expect("counts");
            for (step, x) in steps.iter().flatten().zip(&values[104..]) {
                assert_eq!(step.alarm, *x > step.bound.expect("a bound"), "{factor:?}");
            }
        }
    }

    /// ln P(x | mean) of Poisson or negative binomial, without what does not depend on the mean.
    fn ln_likelihood(x: f64, mean: f64, alpha: f64) -> f64 {
        match alpha {
            0.0 => x * mean.ln() - mean,
            _ => x * mean.ln() - (x + 1.0 / alpha) * (1.0 + alpha * mean).ln(),
        }
    }

    #[test]
    fn the_statistic_is_the_maximum_over_beginning_and_size() {
        // Tried on a grid of sizes. R's epidemic chart misses its maximum, and its windowed chart the newest period.
        let (counts, means) = ([4.0, 6.0, 3.0, 5.0, 9.0, 14.0, 19.0], [5.0; 7]);
        for alpha in [0.0, 0.2] {
            for change in [Change::Level, Change::Epidemic] {
                let glr = Glr { change, threshold: 1e9, window: Some(5), ..Glr::default() };
                let found = glr.run(&counts, &means, alpha);
                for (n, step) in found.iter().enumerate() {
                    let mut best: f64 = 0.0;
                    for k in n.saturating_sub(5)..=n {
                        for size in (0..4_000).map(|i| f64::from(i) / 1_000.0) {
                            let changed = |i: usize| match change {
                                Change::Level => means[i] * (1.0 + size),
                                Change::Epidemic if i == 0 => means[i],
                                Change::Epidemic => means[i] + size * counts[i - 1],
                            };
                            let ratio = |i: usize| {
                                ln_likelihood(counts[i], changed(i), alpha)
                                    - ln_likelihood(counts[i], means[i], alpha)
                            };
                            best = best.max((k..=n).map(ratio).sum());
                        }
                    }
                    let off = step.statistic - best;
                    assert!((-1e-9..1e-5).contains(&off), "{alpha} {change:?} {n}: {off:e}");
                }
            }
        }
    }

    #[test]
    fn a_level_that_falls_to_nothing_scores_what_was_expected() {
        // R passes over it: the logarithm of no cases.
        let glr = Glr { direction: Shift::Down, threshold: 1e9, ..Glr::default() };
        let found = glr.run(&[0.0, 0.0, 0.0], &[2.0, 3.0, 4.0], 0.0);
        let scores: Vec<f64> = found.iter().map(|s| s.statistic).collect();
        assert_eq!(scores, [2.0, 5.0, 9.0]);
        let r = Glr { compat: Compat::R, ..glr };
        assert!(r.run(&[0.0, 0.0, 0.0], &[2.0, 3.0, 4.0], 0.0)[2].statistic < 9.0);
    }

    #[test]
    fn downwards_and_nothing_to_fit() {
        let mut values = shifted();
        values[130..].fill(0.0);
        let glr = Glr { direction: Shift::Down, ..Glr::default() };
        let verdicts = glr.evaluate(&Series::new(&values), 104..160).expect("counts");
        assert!(verdicts.iter().any(Verdict::alarm));
        let zeros = [0.0; 60];
        let verdicts = Glr::default().evaluate(&Series::new(&zeros), 52..60).expect("counts");
        assert!(verdicts.iter().all(|v| !v.alarm()));
    }
}
