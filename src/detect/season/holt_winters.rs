//! Holt–Winters smoothing: level, trend and season that follow the series, and the next values they foretell.
//!
//! In: a series, oldest first, without gaps. Out: for every period after the start-up what was foretold for it, then
//! forecasts with intervals. Smoothing weights are given or found by least squares of the one-step errors.

use std::ops::Range;

use super::{finite, period_of};
use crate::detect::{
    Compat, Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict,
    math::{normal, qr, simplex},
    parameter,
};

/// A smoothing weight.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// The component does not exist.
    Off,
    /// The one with the least squared one-step errors.
    Fit,
    /// As given, in [0, 1].
    #[serde(untagged)]
    Fixed(f64),
}

/// How a season enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seasonal {
    /// Added to the level.
    #[default]
    Additive,
    /// Multiplies the level; needs levels above 0.
    Multiplicative,
}

/// Holt–Winters: is a value above the forecast of a series with trend and season?
///
/// # What it finds
/// Values outside the forecast interval: daily volumes, prices, processing times.
///
/// # Parameters
/// - `period` — values per season, 2 to 1,000; default the series' periods in a year. Not read with `gamma: off`.
/// - `weight` — how fast the level follows: a number from 0 to 1, or `fit`; default `fit`.
/// - `beta` — how fast the trend follows: `off`, a number from 0 to 1, or `fit`; default `fit`.
/// - `gamma` — how fast the season follows: `off`, a number from 0 to 1, or `fit`; default `fit`.
/// - `seasonal` — `additive` or `multiplicative`; default `additive`.
/// - `alpha` — one-sided probability of a false alarm, between 0 and 0.5; default 0.01.
/// - `compat` — `r` starts the level in the middle of the first season although it is used at its end, and has wrong
///   multiplicative intervals (they leave out the newest shock and take one season from the trend); default `corrected`.
///
/// # When it misleads
/// The start-up takes two seasons and its errors linger. A burst becomes the new level within `1 / weight` periods, and
/// returns as season a year later. Small counts are neither symmetric nor continuous: use a count detector.
///
/// # Source
/// Holt 1957; Winters 1960, Manag. Sci. 6, 324–342; Chatfield and Yar 1991, Int. J. Forecast. 7, 31–37 (intervals). R:
/// stats::HoltWinters. Golden family `holt_winters`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HoltWinters {
    /// Values per season.
    pub period: Option<usize>,
    /// How fast the level follows; not `Off`. The papers' alpha.
    pub weight: Weight,
    /// How fast the trend follows.
    pub beta: Weight,
    /// How fast the season follows.
    pub gamma: Weight,
    /// How the season enters.
    pub seasonal: Seasonal,
    /// One-sided probability of a false alarm.
    pub alpha: f64,
    /// Whose start and intervals.
    pub compat: Compat,
}

impl Default for HoltWinters {
    fn default() -> Self {
        Self {
            period: None,
            weight: Weight::Fit,
            beta: Weight::Fit,
            gamma: Weight::Fit,
            seasonal: Seasonal::Additive,
            alpha: 0.01,
            compat: Compat::Corrected,
        }
    }
}

/// Weights and error variance come from the periods before the range; `score` is in standard deviations of the one-step
/// errors. A series with a period without value up to the judged one has no answer.
impl SeriesDetector for HoltWinters {
    fn check(&self) -> Result<(), Error> {
        let fits = self.period.is_none_or(|p| (2..=1_000).contains(&p));
        parameter("period", self.period.unwrap_or(0) as f64, fits, "2 to 1,000")?;
        for (name, weight) in [("weight", self.weight), ("beta", self.beta), ("gamma", self.gamma)]
        {
            if let Weight::Fixed(value) = weight {
                parameter(name, value, (0.0..=1.0).contains(&value), "0 to 1")?;
            }
        }
        parameter("weight", 0.0, self.weight != Weight::Off, "a number or `fit`")?;
        parameter("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 0.5, "between 0 and 0.5")
    }

    fn profile(&self) -> Profile {
        Profile::FITS_ALL
    }

    fn reach(&self, periods_per_year: usize) -> usize {
        self.history(periods_per_year).max(3 * periods_per_year)
    }

    fn history(&self, periods_per_year: usize) -> usize {
        match self.gamma {
            Weight::Off => 4,
            _ => 2 * self.period.unwrap_or(periods_per_year) + 1,
        }
    }

    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        self.check()?;
        series.check(&range)?;
        if self.gamma != Weight::Off {
            period_of(self.period, series.periods_per_year)?;
        }
        let history = self.history(series.periods_per_year);
        let first = range.start.max(history);
        let early = vec![Verdict::TooEarly; first.min(range.end) - range.start];
        let judged = (first < range.end).then(|| self.judge(series, first..range.end));
        Ok(early.into_iter().chain(judged.into_iter().flatten()).collect())
    }
}

impl HoltWinters {
    fn judge(&self, series: &Series<'_>, range: Range<usize>) -> Vec<Verdict> {
        let undefined = |why| vec![Verdict::NotDefined(why); range.len()];
        let values = &series.values[..range.end];
        if let Some(gap) = values.iter().position(|v| v.is_nan()) {
            if gap < range.start {
                return undefined(Undefined::Gap);
            }
            let mut out = self.judge(series, range.start..gap);
            out.push(Verdict::NotDefined(Undefined::NoValue));
            out.resize(range.len(), Verdict::NotDefined(Undefined::Gap));
            return out;
        }
        if range.is_empty() {
            return Vec::new();
        }
        let period = self.period.unwrap_or(series.periods_per_year);
        let Ok(past) = smooth(&values[..range.start], period, self) else {
            return undefined(Undefined::NoFit);
        };
        let [weight, beta, gamma] = past.weights;
        let fixed =
            |was: Weight, value| if was == Weight::Off { was } else { Weight::Fixed(value) };
        let with = Self {
            weight: Weight::Fixed(weight),
            beta: fixed(self.beta, beta),
            gamma: fixed(self.gamma, gamma),
            ..self.clone()
        };
        let Ok(all) = smooth(values, period, &with) else { return undefined(Undefined::NoFit) };
        let deviation = past.variance.sqrt();
        if deviation.is_nan() || deviation <= 0.0 {
            return undefined(Undefined::NoFit);
        }
        let limit = normal::upper_quantile(self.alpha);
        all.foretold
            .iter()
            .filter(|f| f.at >= range.start)
            .map(|f| {
                let z = (values[f.at] - f.value) / deviation;
                Judgement::new(z > limit)
                    .expected(f.value)
                    .upper_bound(f.value + limit * deviation)
                    .score(z)
                    .p_value(normal::upper(z))
                    .into()
            })
            .collect()
    }
}

/// What was foretold for a period, and the components it was foretold from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Foretold {
    /// Place in the series.
    pub at: usize,
    /// One-step forecast.
    pub value: f64,
    /// Level the period before.
    pub level: f64,
    /// Trend the period before; 0 without.
    pub trend: f64,
    /// Season of this place; 0 (or 1 where it multiplies) without.
    pub season: f64,
}

/// A smoothed series.
#[derive(Debug, Clone, PartialEq)]
pub struct Smoothed {
    /// Weights that were used: alpha, beta, gamma; 0 for a component that is off.
    pub weights: [f64; 3],
    /// One per period after the start-up.
    pub foretold: Vec<Foretold>,
    /// Sum of squared one-step errors.
    pub squares: f64,
    /// Sample variance of the one-step errors.
    pub variance: f64,
    /// Level after the last value.
    pub level: f64,
    /// Trend after the last value.
    pub trend: f64,
    /// Season of the next `period` values.
    pub season: Vec<f64>,
    seasonal: Seasonal,
    has_trend: bool,
    compat: Compat,
}

/// Smooths `values`, oldest first, with a season of `period` of them.
///
/// # Errors
/// A value that is not finite, fewer than two seasons and one value (without season: than 4), a weight out of range, a
/// multiplicative season whose level is not above 0.
pub fn smooth(values: &[f64], period: usize, with: &HoltWinters) -> Result<Smoothed, Error> {
    with.check()?;
    finite(values)?;
    let model = Model::try_new(values, period, with)?;
    let weights = model.weights(with);
    let mut foretold = Vec::with_capacity(values.len() - model.start);
    let end = model.run(&weights, |f, _| foretold.push(f));
    let lost = Error::NoAnswer { why: "the smoothed level is not above 0 or not finite" };
    let end = end.ok_or(lost)?;
    let errors: Vec<f64> = foretold.iter().map(|f| values[f.at] - f.value).collect();
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let spread: f64 = errors.iter().map(|e| (e - mean).powi(2)).sum();
    Ok(Smoothed {
        weights,
        squares: end.squares,
        variance: spread / (errors.len() as f64 - 1.0),
        foretold,
        level: end.level,
        trend: end.trend,
        season: end.season,
        seasonal: with.seasonal,
        has_trend: model.has_trend,
        compat: with.compat,
    })
}

/// A forecast with its limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Forecast.
    pub value: f64,
    /// Lower limit.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
}

impl Smoothed {
    /// The value `ahead` ≥ 1 periods after the last, with a two-sided interval of confidence `level`.
    ///
    /// # Errors
    /// `ahead` 0 or above 10,000, a level outside (0, 1), an interval that is not finite.
    pub fn forecast(&self, ahead: usize, level: f64) -> Result<Forecast, Error> {
        if !(1..=10_000).contains(&ahead) {
            let range = "in [1, 10,000]";
            return Err(Error::Parameter { name: "ahead", value: ahead.to_string(), range });
        }
        parameter("level", level, level > 0.0 && level < 1.0, "in (0, 1)")?;
        let base = self.level + ahead as f64 * self.trend;
        let value = match (self.season.len(), self.seasonal) {
            (0, _) => base,
            (f, Seasonal::Additive) => base + self.season[(ahead - 1) % f],
            (f, Seasonal::Multiplicative) => base * self.season[(ahead - 1) % f],
        };
        let half =
            normal::quantile(0.5 + level / 2.0) * (self.variance * self.growth(ahead)).sqrt();
        if !(value.is_finite() && half.is_finite()) {
            return Err(Error::NoAnswer { why: "the interval is not finite" });
        }
        Ok(Forecast { value, low: value - half, high: value + half })
    }

    /// By what the variance of one step is multiplied `ahead` steps on.
    fn growth(&self, ahead: usize) -> f64 {
        let [alpha, beta, gamma] = self.weights;
        let period = self.season.len().max(1);
        // Share of a shock that is still in the forecast j steps later.
        let share = |j: usize| {
            let seasonal = if j.is_multiple_of(period) { gamma * (1.0 - alpha) } else { 0.0 };
            alpha * (1.0 + j as f64 * beta) + seasonal
        };
        if self.seasonal == Seasonal::Additive || self.season.is_empty() {
            return 1.0 + (1..ahead).map(|j| share(j).powi(2)).sum::<f64>();
        }
        let now = (ahead - 1) % period;
        (0..ahead)
            .map(|j| match self.compat {
                Compat::Corrected => {
                    let then = (now + period - j % period) % period;
                    let share = if j == 0 { 1.0 } else { share(j) };
                    (share * self.season[now] / self.season[then]).powi(2)
                }
                Compat::R => (share(j) * self.season[now] / self.r_season(now, j)).powi(2),
            })
            .sum()
    }

    /// The coefficient that R takes for the season `j` steps before place `now`: where the index should wrap to the
    /// last season it stands on the coefficient before the first one.
    fn r_season(&self, now: usize, j: usize) -> f64 {
        let f = self.season.len();
        match (now + 1 + f - j % f) % f {
            0 if self.has_trend => self.trend,
            0 => self.level,
            i => self.season[i - 1],
        }
    }
}

/// The series with its start values.
struct Model<'a> {
    values: &'a [f64],
    /// First place that is foretold.
    start: usize,
    level: f64,
    trend: f64,
    season: Vec<f64>,
    seasonal: Seasonal,
    has_trend: bool,
}

struct End {
    level: f64,
    trend: f64,
    season: Vec<f64>,
    squares: f64,
}

impl<'a> Model<'a> {
    fn try_new(values: &'a [f64], period: usize, with: &HoltWinters) -> Result<Self, Error> {
        let has_trend = with.beta != Weight::Off;
        if with.gamma == Weight::Off {
            if values.len() < 4 {
                return Err(Error::TooFew { what: "values", got: values.len(), needed: 4 });
            }
            let (start, level, trend) =
                if has_trend { (2, values[1], values[1] - values[0]) } else { (1, values[0], 0.0) };
            let (season, seasonal) = (Vec::new(), Seasonal::Additive);
            return Ok(Self { values, start, level, trend, season, seasonal, has_trend });
        }
        let f = period_of(Some(period), 0)?;
        let needed = f.saturating_mul(2).saturating_add(1);
        if values.len() < needed {
            return Err(Error::TooFew { what: "values", got: values.len(), needed });
        }
        let (level, slope, season) = start_of(&values[..2 * f], f, with.seasonal)?;
        let level = match with.compat {
            Compat::R => level,
            // The line's zero is half a season after the start; the level is used at the end of the season.
            Compat::Corrected => level + slope * (f - f / 2) as f64,
        };
        let trend = if has_trend { slope } else { 0.0 };
        Ok(Self { values, start: f, level, trend, season, seasonal: with.seasonal, has_trend })
    }

    /// The weights given, the others such that the one-step errors are least.
    fn weights(&self, with: &HoltWinters) -> [f64; 3] {
        let given = [with.weight, with.beta, with.gamma];
        let free: Vec<usize> = (0..3).filter(|&i| given[i] == Weight::Fit).collect();
        let all = |free_values: &[f64]| {
            let mut out = given.map(|w| if let Weight::Fixed(v) = w { v } else { 0.0 });
            for (&i, v) in free.iter().zip(free_values) {
                out[i] = *v;
            }
            out
        };
        if free.is_empty() {
            return all(&[]);
        }
        let squares = |at: &[f64]| {
            // Outside [0, 1]: as at the edge, and rising from there.
            let outside: f64 = at.iter().map(|v| (v - v.clamp(0.0, 1.0)).abs()).sum();
            let inside: Vec<f64> = at.iter().map(|v| v.clamp(0.0, 1.0)).collect();
            let end = self.run(&all(&inside), |_, _| {});
            end.map_or(f64::INFINITY, |end| end.squares * (1.0 + outside) + outside)
        };
        let starts = [[0.3, 0.1, 0.1], [0.1, 0.01, 0.3], [0.7, 0.05, 0.05]];
        let best = starts
            .iter()
            .map(|start| {
                let start: Vec<f64> = free.iter().map(|&i| start[i]).collect();
                simplex::minimise(&start, 0.1, 1e-12, squares)
            })
            .min_by(|a, b| a.value.total_cmp(&b.value));
        let at = best.map(|b| b.at).unwrap_or_default();
        all(&at.iter().map(|v| v.clamp(0.0, 1.0)).collect::<Vec<_>>())
    }

    /// Walks the series; `None` where a multiplicative level is not above 0 or numbers overflow.
    fn run(&self, weights: &[f64; 3], mut each: impl FnMut(Foretold, f64)) -> Option<End> {
        let [alpha, beta, gamma] = *weights;
        let (mut level, mut trend, mut squares) = (self.level, self.trend, 0.0);
        let mut season = self.season.clone();
        let f = season.len();
        for at in self.start..self.values.len() {
            let x = self.values[at];
            let base = level + trend;
            let place = if f > 0 { at % f } else { 0 };
            let before = level;
            let (value, now) = match self.seasonal {
                Seasonal::Additive => {
                    let now = season.get(place).copied().unwrap_or(0.0);
                    level = alpha * (x - now) + (1.0 - alpha) * base;
                    if let Some(s) = season.get_mut(place) {
                        *s = gamma * (x - level) + (1.0 - gamma) * now;
                    }
                    (base + now, now)
                }
                Seasonal::Multiplicative => {
                    let now = season[place];
                    level = alpha * (x / now) + (1.0 - alpha) * base;
                    season[place] = gamma * (x / level) + (1.0 - gamma) * now;
                    if !(season[place] > 0.0 && level > 0.0) {
                        return None;
                    }
                    (base * now, now)
                }
            };
            each(Foretold { at, value, level: before, trend, season: now }, x);
            if self.has_trend {
                trend = beta * (level - before) + (1.0 - beta) * trend;
            }
            squares += (x - value).powi(2);
        }
        if f > 0 {
            season.rotate_left(self.values.len() % f);
        }
        (squares.is_finite() && level.is_finite()).then_some(End { level, trend, season, squares })
    }
}

/// Level and slope of a line through the moving mean of the first two seasons, and the mean deviation of each place.
fn start_of(values: &[f64], f: usize, seasonal: Seasonal) -> Result<(f64, f64, Vec<f64>), Error> {
    let half = f / 2;
    let centred: Vec<f64> = (half..values.len() - half)
        .map(|i| {
            let around = &values[i - half..=i + half];
            if f % 2 == 1 {
                around.iter().sum::<f64>() / f as f64
            } else {
                let ends = 0.5 * (around[0] + around[f]);
                (ends + around[1..f].iter().sum::<f64>()) / f as f64
            }
        })
        .collect();
    let none = Error::NoAnswer { why: "the first two seasons give no level above 0" };
    if seasonal == Seasonal::Multiplicative && centred.iter().any(|v| *v <= 0.0) {
        return Err(none);
    }
    let mut sums = vec![(0.0_f64, 0.0_f64); f];
    for (i, mean) in centred.iter().enumerate() {
        let x = values[half + i];
        let off = if seasonal == Seasonal::Additive { x - mean } else { x / mean };
        let sum = &mut sums[(half + i) % f];
        *sum = (sum.0 + off, sum.1 + 1.0);
    }
    let mut season: Vec<f64> = sums.iter().map(|&(sum, n): &(f64, f64)| sum / n.max(1.0)).collect();
    let mean = season.iter().sum::<f64>() / f as f64;
    for s in &mut season {
        *s = if seasonal == Seasonal::Additive { *s - mean } else { *s / mean };
    }
    if seasonal == Seasonal::Multiplicative && season.iter().any(|s| !(*s > 0.0 && s.is_finite())) {
        return Err(none);
    }
    let time: Vec<f64> = (1..=centred.len()).map(|t| t as f64).collect();
    let line = qr::least_squares(vec![vec![1.0; centred.len()], time], centred);
    let line = line.ok_or(Error::NoAnswer { why: "the first two seasons give no line" })?;
    Ok((line[0], line[1], season))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn years(n: usize) -> Vec<f64> {
        let season = [30.0, 24.0, 18.0, 26.0];
        (0..n).map(|i| season[i % 4] + 0.5 * i as f64 + (i * 31 % 7) as f64 / 7.0).collect()
    }

    #[test]
    fn a_regular_series_is_foretold() {
        for seasonal in [Seasonal::Additive, Seasonal::Multiplicative] {
            let s = smooth(&years(60), 4, &HoltWinters { seasonal, ..Default::default() }).unwrap();
            let next = s.forecast(1, 0.95).unwrap();
            assert!(next.low < 60.5 && 60.5 < next.high, "{next:?}");
            assert!(next.high - next.low < 8.0, "{next:?}");
        }
    }

    #[test]
    fn simple_smoothing_by_hand() {
        let with = HoltWinters {
            weight: Weight::Fixed(0.5),
            beta: Weight::Off,
            gamma: Weight::Off,
            ..Default::default()
        };
        let s = smooth(&[4.0, 8.0, 8.0, 0.0], 1, &with).unwrap();
        let foretold: Vec<f64> = s.foretold.iter().map(|f| f.value).collect();
        assert_eq!(foretold, [4.0, 6.0, 7.0]);
        assert_eq!((s.level, s.squares), (3.5, 16.0 + 4.0 + 49.0));
    }

    #[test]
    fn corrected_multiplicative_interval_is_wider_than_one_shock() {
        let with = HoltWinters {
            weight: Weight::Fixed(0.2),
            gamma: Weight::Fixed(0.1),
            seasonal: Seasonal::Multiplicative,
            ..Default::default()
        };
        let width = |compat| {
            let f = smooth(&years(60), 4, &HoltWinters { compat, ..with.clone() })
                .unwrap()
                .forecast(1, 0.95);
            f.map(|f| f.high - f.low).unwrap()
        };
        assert!(width(Compat::R) < 0.5 * width(Compat::Corrected));
    }

    #[test]
    fn bad_input_is_an_error() {
        let with = HoltWinters::default();
        for bad in [&[][..], &[1.0], &[1.0; 8], &[f64::NAN; 30], &[1e300; 30]] {
            assert!(smooth(bad, 4, &with).is_err(), "{} values", bad.len());
        }
        let multiplied = HoltWinters { seasonal: Seasonal::Multiplicative, ..with.clone() };
        assert!(smooth(&[0.0; 40], 4, &multiplied).is_err());
        for wrong in [Weight::Fixed(f64::NAN), Weight::Fixed(1.5)] {
            assert!(smooth(&[1.0; 40], 4, &HoltWinters { beta: wrong, ..with.clone() }).is_err());
        }
        assert!(
            smooth(&[1.0; 40], 4, &HoltWinters { weight: Weight::Off, ..with.clone() }).is_err()
        );
        assert!(smooth(&[1.0; 40], 0, &with).is_err());
        assert!(smooth(&[1.0; 40], usize::MAX, &with).is_err());
        let flat = smooth(&[5.0; 10_000], 4, &with).unwrap();
        assert!((flat.forecast(3, 0.9).unwrap().value - 5.0).abs() < 1e-9);
        assert!(flat.forecast(0, 0.9).is_err());
    }

    #[test]
    fn a_jump_is_an_alarm_and_a_gap_is_told() {
        let mut values = years(60);
        values[50] += 40.0;
        values[55] = f64::NAN;
        let detector = HoltWinters { period: Some(4), ..Default::default() };
        let verdicts = detector.evaluate(&Series::new(&values), 0..60).unwrap();
        assert_eq!(verdicts.len(), 60);
        assert_eq!(verdicts[8], Verdict::TooEarly);
        let verdicts = detector.evaluate(&Series::new(&values), 45..60).unwrap();
        assert!(verdicts[5].alarm() && !verdicts[4].alarm());
        assert_eq!(verdicts[10], Verdict::NotDefined(Undefined::NoValue));
        assert_eq!(verdicts[11], Verdict::NotDefined(Undefined::Gap));
        let flat = detector.evaluate(&Series::new(&[2.0; 60]), 45..46).unwrap();
        assert!(!flat[0].alarm());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn never_nan(values in prop::collection::vec(-1e3..1e6_f64, 0..40), period in 2..6_usize, multiply in any::<bool>()) {
            let seasonal = if multiply { Seasonal::Multiplicative } else { Seasonal::Additive };
            if let Ok(s) = smooth(&values, period, &HoltWinters { seasonal, ..Default::default() }) {
                prop_assert!(s.foretold.iter().all(|f| f.value.is_finite()) && s.variance >= 0.0);
                if let Ok(f) = s.forecast(7, 0.95) {
                    prop_assert!(f.low <= f.value && f.value <= f.high);
                }
            }
        }
    }
}
