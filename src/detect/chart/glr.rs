//! GLR charts: has a count's mean shifted, by how much, and since when?

use std::{f64::consts::TAU, ops::Range};

use crate::detect::{
    Compat, Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict,
    math::{
        glm::{Design, Fit, Response, Stop},
        nb_regression,
    },
    parameter,
};

/// Where Newton's iteration is done, on the log scale.
const STEP: f64 = 1e-6;
/// Steps of an iteration at most; it seldom needs ten.
const STEPS: usize = 100;
/// Steps that R allows.
const STEPS_OF_R: usize = 1_000;
/// ln of a factor that is as good as 0.
const NOTHING: f64 = -18.0;

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

/// A chart on its way.
#[derive(Debug)]
struct Run<'a> {
    glr: &'a Glr,
    counts: &'a [f64],
    means: Vec<f64>,
    alpha: f64,
    /// The count before the first.
    before: f64,
    /// First period since the last start.
    from: usize,
    /// The sum of the chart with a known factor.
    sum: f64,
}

/// A log likelihood ratio, where its change begins, and how large it is.
#[derive(Debug, Clone, Copy)]
struct Best {
    value: f64,
    at: Option<usize>,
    size: f64,
}

impl Run<'_> {
    fn step(&mut self, n: usize) -> GlrStep {
        let (glr, mean) = (self.glr, self.means[n]);
        let (best, bound) = match glr.factor {
            Some(factor) => {
                let kappa = factor.ln();
                let bound = self.bound_known(n, kappa);
                self.sum = (self.sum + self.known(n, kappa)).max(0.0);
                (Best { value: self.sum, at: None, size: factor }, Some(bound))
            }
            None => (self.best(n, self.counts[n]), self.bound_unknown(n)),
        };
        // As R: the charts of an unknown level alarm at the threshold, the others above it.
        let at_threshold =
            glr.factor.is_none() && (glr.change == Change::Level || self.alpha > 0.0);
        let alarm = best.value > glr.threshold || (at_threshold && best.value == glr.threshold);
        if alarm {
            self.from = n + 1;
            self.sum = 0.0;
        }
        let statistic = best.value.max(0.0);
        GlrStep { mean, statistic, change_at: best.at, size: best.size, bound, alarm }
    }

    /// One period's log likelihood ratio for a known factor e^`kappa`.
    fn known(&self, n: usize, kappa: f64) -> f64 {
        let (x, mean) = (self.counts[n], self.means[n]);
        if self.alpha == 0.0 {
            return kappa * x + (1.0 - kappa.exp()) * mean;
        }
        kappa * x + (x + 1.0 / self.alpha) * self.ln_ratio(mean, mean * kappa.exp())
    }

    /// ln((1 + αμ₀)/(1 + αμ₁)).
    fn ln_ratio(&self, mean: f64, changed: f64) -> f64 {
        ((1.0 + self.alpha * mean) / (1.0 + self.alpha * changed)).ln()
    }

    /// The count at which the sum reaches the threshold.
    fn bound_known(&self, n: usize, kappa: f64) -> f64 {
        let (mean, left) = (self.means[n], self.glr.threshold - self.sum);
        if self.alpha == 0.0 {
            return (left + mean * (kappa.exp() - 1.0)) / kappa;
        }
        let ln = self.ln_ratio(mean, mean * kappa.exp());
        (left - ln / self.alpha) / (kappa + ln)
    }

    /// The largest count without alarm, for an unknown level that rises, without extra variation.
    fn bound_unknown(&self, n: usize) -> Option<f64> {
        let glr = self.glr;
        if self.alpha > 0.0 || glr.change != Change::Level || glr.direction == Shift::Down {
            return None;
        }
        let alarms = |x: f64| self.best(n, x).value >= glr.threshold;
        let mut high = 1.0;
        while !alarms(high) {
            high *= 2.0;
            if high > 1e15 {
                return None;
            }
        }
        let mut low = if high > 1.0 { high / 2.0 } else { -1.0 };
        while high - low > 1.0 {
            let middle = f64::floor((high + low) / 2.0);
            if alarms(middle) { high = middle } else { low = middle }
        }
        Some(high - 1.0)
    }

    /// The largest log likelihood ratio over the periods in which a change may have begun, with `now` as the last count.
    fn best(&self, n: usize, now: f64) -> Best {
        let (glr, r) = (self.glr, self.glr.compat == Compat::R);
        let poisson_level = self.alpha == 0.0 && glr.change == Change::Level;
        let low = glr.window.map_or(self.from, |m| self.from.max(n.saturating_sub(m)));
        // R's windowed Poisson chart wants one period more, its unwindowed one looks at shorter changes than `least` too.
        let least = match (r && poisson_level, glr.window) {
            (true, Some(_)) => glr.least + 1,
            _ => glr.least,
        };
        let nothing = Best { value: 0.0, at: None, size: 1.0 };
        if n + 1 < self.from + least {
            return nothing;
        }
        let shortest = if r && poisson_level && glr.window.is_none() { 1 } else { least };
        let high = n + 1 - shortest;
        if low > high {
            return nothing;
        }
        if poisson_level {
            return self.best_poisson(n, now, low..=high);
        }
        let mut best = Best { value: f64::NEG_INFINITY, ..nothing };
        let (mut warm, mut share_of_r) = (0.5, 0.5);
        for k in low..=high {
            let (value, size) = match glr.change {
                Change::Level => {
                    let kappa = self.newton(k, n, warm);
                    warm = match glr.direction {
                        Shift::Up => kappa.max(0.0),
                        Shift::Down => kappa.min(0.0),
                    };
                    ((k..=n).map(|i| self.known(i, warm)).sum(), warm.exp())
                }
                Change::Epidemic if r && self.alpha > 0.0 => {
                    warm = self.newton(k, n, warm);
                    (self.epidemic(k, n, warm.exp()), warm.exp())
                }
                Change::Epidemic if r => {
                    share_of_r = self.share_of_r(k, n, share_of_r);
                    (self.epidemic(k, n, share_of_r), share_of_r)
                }
                Change::Epidemic => {
                    let share = self.share(k, n);
                    (self.epidemic(k, n, share), share)
                }
            };
            if value > best.value {
                best = Best { value, at: Some(k), size };
            }
        }
        if best.value.is_finite() { best } else { nothing }
    }

    /// Poisson level: sums from the end backwards, the factor in closed form.
    fn best_poisson(&self, n: usize, now: f64, starts: std::ops::RangeInclusive<usize>) -> Best {
        let mut best = Best { value: f64::NEG_INFINITY, at: None, size: 1.0 };
        let (mut cases, mut expected) = (0.0, 0.0);
        for k in (*starts.start()..=n).rev() {
            cases += if k == n { now } else { self.counts[k] };
            expected += self.means[k];
            if k > *starts.end() {
                continue;
            }
            let kappa = match self.glr.direction {
                Shift::Up => f64::ln(cases / expected).max(0.0),
                Shift::Down => f64::ln(cases / expected).min(0.0),
            };
            let value = if cases == 0.0 && self.glr.direction == Shift::Down {
                if self.glr.compat == Compat::R {
                    continue;
                }
                expected
            } else {
                kappa * cases + (1.0 - kappa.exp()) * expected
            };
            if value > best.value {
                best = Best { value, at: Some(k), size: kappa.exp() };
            }
        }
        if best.value == f64::NEG_INFINITY { Best { value: 0.0, ..best } } else { best }
    }

    /// ln of the most likely factor of the level between `k` and `n`, from `start`.
    fn newton(&self, k: usize, n: usize, start: f64) -> f64 {
        let mut kappa = start;
        for _ in 0..STEPS {
            let factor = kappa.exp();
            let (mut score, mut information) = (0.0, 0.0);
            for i in k..=n {
                let (x, m) = (self.counts[i], self.means[i]);
                let scale = 1.0 + self.alpha * factor * m;
                score += (x - factor * m) / scale;
                information += m * (self.alpha * x + 1.0) / (scale * scale);
            }
            let step = score / (factor * information);
            if step.is_nan() {
                return 0.0;
            }
            // The likelihood is concave in ln factor; a long step only overshoots.
            let step = if self.glr.compat == Compat::R { step } else { step.clamp(-3.0, 3.0) };
            kappa += step;
            if step.abs() <= STEP || kappa <= NOTHING {
                break;
            }
        }
        kappa
    }

    /// The count before `i`.
    fn previous(&self, i: usize) -> f64 {
        if i == 0 { self.before } else { self.counts[i - 1] }
    }

    /// Log likelihood ratio of an epidemic between `k` and `n` in which a `share` of the count before is added.
    fn epidemic(&self, k: usize, n: usize, share: f64) -> f64 {
        (k..=n)
            .map(|i| {
                let (x, mean) = (self.counts[i], self.means[i]);
                let added = share * self.previous(i);
                let changed = mean + added;
                if self.alpha == 0.0 {
                    return x * (added / mean).ln_1p() - added;
                }
                let ln = self.ln_ratio(mean, changed);
                x * ((changed / mean).ln() + ln) + ln / self.alpha
            })
            .sum()
    }

    /// R's share: Newton's iteration on its logarithm from the share of the change a period earlier. Once it has come near 0
    /// it stays there, however well a later change would fit.
    fn share_of_r(&self, k: usize, n: usize, start: f64) -> f64 {
        let (mut ln, mut before) = (start.ln(), 2.0_f64);
        let mut steps = 0;
        while ln > NOTHING && (ln.exp() - before.exp()).abs() > STEP && steps < STEPS_OF_R {
            steps += 1;
            before = ln;
            let share = ln.exp();
            let (mut slope, mut bend) = (0.0, 0.0);
            for i in k..=n {
                let (x, previous) = (self.counts[i], self.previous(i));
                let changed = share * previous + self.means[i];
                slope += x * previous / changed - previous;
                bend += x * (previous / changed) * (previous / changed);
            }
            let score = share * slope;
            ln += score / (share * share * bend - score);
        }
        ln.exp()
    }

    /// The most likely share of an epidemic between `k` and `n`, 0 or more: where the slope of the likelihood is 0.
    fn share(&self, k: usize, n: usize) -> f64 {
        let slope = |share: f64| -> f64 {
            (k..=n)
                .map(|i| {
                    let previous = self.previous(i);
                    let changed = self.means[i] + share * previous;
                    previous * (self.counts[i] - changed) / (changed * (1.0 + self.alpha * changed))
                })
                .sum()
        };
        if slope(0.0) <= 0.0 {
            return 0.0;
        }
        let (mut low, mut high) = (0.0, 1.0);
        while slope(high) > 0.0 && high < 1e12 {
            (low, high) = (high, 2.0 * high);
        }
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if slope(middle) > 0.0 { low = middle } else { high = middle }
        }
        0.5 * (low + high)
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
