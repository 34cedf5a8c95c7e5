//! Holt–Winters smoothing: level, trend and season that follow the series, and the next values they foretell.
//!
//! In: a series, oldest first, without gaps. Out: for every period after the start-up what was foretold for it, then
//! forecasts with intervals. Smoothing weights are given or found by least squares of the one-step errors.

use super::finite;
use crate::detect::{
    Compat, Error,
    math::{normal, qr, simplex},
};

/// A smoothing weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weight {
    /// The component does not exist.
    Off,
    /// As given, in [0, 1].
    Fixed(f64),
    /// The one with the least squared one-step errors.
    Fitted,
}

/// How a season enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Seasonal {
    /// Added to the level.
    #[default]
    Additive,
    /// Multiplies the level; needs levels above 0.
    Multiplicative,
}

/// How a series is smoothed.
///
/// # What it finds
/// Values outside the forecast interval of a series with trend and season: daily volumes, prices, processing times.
///
/// # Parameters
/// - `period`: values per season, default 52; 1 with `gamma: off`.
/// - `alpha`, `beta`, `gamma`: weights of level, trend, season, each `off`, a number in [0, 1], or `fit` (default).
/// - `seasonal`: `additive` (default) or `multiplicative`.
/// - `p`: one-sided level of the bound, default 0.01, in (0, 0.5].
/// - `compat`: `corrected` (default); `r` starts the level in the middle of the first season although it is used at its end,
///   and has wrong multiplicative intervals (its variance leaves out the newest shock and shifts the seasons by one).
///
/// # When it misleads
/// The start-up takes two seasons and its errors linger. A burst becomes the new level within `1 / alpha` periods, and
/// returns as season a year later. Small counts are neither symmetric nor continuous: use a count detector.
///
/// # Source
/// Holt 1957; Winters 1960, Manag. Sci. 6, 324–342; Chatfield and Yar 1991, Int. J. Forecast. 7, 31–37 (intervals).
/// Checked against the golden family `holt_winters`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// Values per season.
    pub period: usize,
    /// Weight of the level; not `Off`.
    pub alpha: Weight,
    /// Weight of the trend.
    pub beta: Weight,
    /// Weight of the season.
    pub gamma: Weight,
    /// How the season enters.
    pub seasonal: Seasonal,
    /// Whose start and intervals.
    pub compat: Compat,
}

impl Parameters {
    /// All three components, additive, fitted.
    #[must_use]
    pub fn new(period: usize) -> Self {
        Self {
            period,
            alpha: Weight::Fitted,
            beta: Weight::Fitted,
            gamma: Weight::Fitted,
            seasonal: Seasonal::Additive,
            compat: Compat::Corrected,
        }
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

/// Smooths `values`, oldest first.
///
/// # Errors
/// A value that is not finite, fewer than two seasons and one value (without season: than 4), a weight out of range, a
/// multiplicative season whose level is not above 0.
pub fn smooth(values: &[f64], with: &Parameters) -> Result<Smoothed, Error> {
    finite(values)?;
    let model = Model::try_new(values, with)?;
    let weights = model.weights(with);
    let mut foretold = Vec::with_capacity(values.len() - model.start);
    let end = model.run(&weights, |f, _| foretold.push(f));
    let lost = Error::NotDefined { why: "the smoothed level is not above 0 or not finite" };
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
            let must = "in [1, 10,000]";
            return Err(Error::Parameter { name: "ahead", value: ahead as f64, must });
        }
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::Parameter { name: "level", value: level, must: "in (0, 1)" });
        }
        let base = self.level + ahead as f64 * self.trend;
        let value = match (self.season.len(), self.seasonal) {
            (0, _) => base,
            (f, Seasonal::Additive) => base + self.season[(ahead - 1) % f],
            (f, Seasonal::Multiplicative) => base * self.season[(ahead - 1) % f],
        };
        let half = normal::quantile(0.5 + level / 2.0) * (self.variance * self.growth(ahead)).sqrt();
        if !(value.is_finite() && half.is_finite()) {
            return Err(Error::NotDefined { why: "the interval is not finite" });
        }
        Ok(Forecast { value, low: value - half, high: value + half })
    }

    /// By what the variance of one step is multiplied `ahead` steps on.
    fn growth(&self, ahead: usize) -> f64 {
        let [alpha, beta, gamma] = self.weights;
        let period = self.season.len().max(1);
        // Share of a shock that is still in the forecast j steps later.
        let share = |j: usize| {
            let seasonal = if j % period == 0 { gamma * (1.0 - alpha) } else { 0.0 };
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
    fn try_new(values: &'a [f64], with: &Parameters) -> Result<Self, Error> {
        for (name, weight) in [("alpha", with.alpha), ("beta", with.beta), ("gamma", with.gamma)] {
            if let Weight::Fixed(value) = weight
                && !(0.0..=1.0).contains(&value)
            {
                return Err(Error::Parameter { name, value, must: "in [0, 1]" });
            }
        }
        if with.alpha == Weight::Off {
            return Err(Error::Parameter { name: "alpha", value: 0.0, must: "a weight" });
        }
        let has_trend = with.beta != Weight::Off;
        if with.gamma == Weight::Off {
            if values.len() < 4 {
                return Err(Error::TooFew { what: "values", found: values.len(), needed: 4 });
            }
            let (start, level, trend) = if has_trend {
                (2, values[1], values[1] - values[0])
            } else {
                (1, values[0], 0.0)
            };
            let (season, seasonal) = (Vec::new(), Seasonal::Additive);
            return Ok(Self { values, start, level, trend, season, seasonal, has_trend });
        }
        let f = with.period;
        if f < 2 {
            return Err(Error::Parameter { name: "period", value: f as f64, must: "≥ 2" });
        }
        let needed = f.saturating_mul(2).saturating_add(1);
        if values.len() < needed {
            return Err(Error::TooFew { what: "values", found: values.len(), needed });
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
    fn weights(&self, with: &Parameters) -> [f64; 3] {
        let given = [with.alpha, with.beta, with.gamma];
        let free: Vec<usize> = (0..3).filter(|&i| given[i] == Weight::Fitted).collect();
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
fn start_of(
    values: &[f64],
    f: usize,
    seasonal: Seasonal,
) -> Result<(f64, f64, Vec<f64>), Error> {
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
    let none = Error::NotDefined { why: "the first two seasons give no level above 0" };
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
    let line = line.ok_or(Error::NotDefined { why: "the first two seasons give no line" })?;
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
            let s = smooth(&years(60), &Parameters { seasonal, ..Parameters::new(4) }).unwrap();
            let next = s.forecast(1, 0.95).unwrap();
            assert!(next.low < 60.5 && 60.5 < next.high, "{next:?}");
            assert!(next.high - next.low < 8.0, "{next:?}");
        }
    }

    #[test]
    fn simple_smoothing_by_hand() {
        let with = Parameters {
            alpha: Weight::Fixed(0.5),
            beta: Weight::Off,
            gamma: Weight::Off,
            ..Parameters::new(1)
        };
        let s = smooth(&[4.0, 8.0, 8.0, 0.0], &with).unwrap();
        let foretold: Vec<f64> = s.foretold.iter().map(|f| f.value).collect();
        assert_eq!(foretold, [4.0, 6.0, 7.0]);
        assert_eq!((s.level, s.squares), (3.5, 16.0 + 4.0 + 49.0));
    }

    #[test]
    fn corrected_multiplicative_interval_is_wider_than_one_shock() {
        let with = Parameters {
            alpha: Weight::Fixed(0.2),
            gamma: Weight::Fixed(0.1),
            seasonal: Seasonal::Multiplicative,
            ..Parameters::new(4)
        };
        let width = |compat| {
            let f = smooth(&years(60), &Parameters { compat, ..with }).unwrap().forecast(1, 0.95);
            f.map(|f| f.high - f.low).unwrap()
        };
        assert!(width(Compat::R) < 0.5 * width(Compat::Corrected));
    }

    #[test]
    fn bad_input_is_an_error() {
        let with = Parameters::new(4);
        for bad in [&[][..], &[1.0], &[1.0; 8], &[f64::NAN; 30], &[1e300; 30]] {
            assert!(smooth(bad, &with).is_err(), "{} values", bad.len());
        }
        let multiplied = Parameters { seasonal: Seasonal::Multiplicative, ..with };
        assert!(smooth(&[0.0; 40], &multiplied).is_err());
        assert!(smooth(&[1.0; 40], &Parameters { alpha: Weight::Off, ..with }).is_err());
        assert!(smooth(&[1.0; 40], &Parameters { beta: Weight::Fixed(f64::NAN), ..with }).is_err());
        assert!(smooth(&[1.0; 40], &Parameters::new(0)).is_err());
        assert!(smooth(&[1.0; 40], &Parameters::new(usize::MAX)).is_err());
        assert_eq!(smooth(&[5.0; 10_000], &with).unwrap().forecast(3, 0.9).unwrap().value, 5.0);
        assert!(smooth(&[1.0; 40], &with).unwrap().forecast(0, 0.9).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn never_nan(values in prop::collection::vec(-1e3..1e6_f64, 0..40), period in 2..6_usize, multiply in any::<bool>()) {
            let seasonal = if multiply { Seasonal::Multiplicative } else { Seasonal::Additive };
            if let Ok(s) = smooth(&values, &Parameters { seasonal, ..Parameters::new(period) }) {
                prop_assert!(s.foretold.iter().all(|f| f.value.is_finite()) && s.variance >= 0.0);
                if let Ok(f) = s.forecast(7, 0.95) {
                    prop_assert!(f.low <= f.value && f.value <= f.high);
                }
            }
        }
    }
}
