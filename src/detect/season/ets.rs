//! ETS: exponential smoothing as a state-space model with additive errors, fitted by likelihood.
//!
//! In: a series, oldest first, without gaps. Out: one-step forecasts, likelihood, forecasts with exact intervals. Unlike
//! `holt_winters` the start values are part of the fit: given the weights the errors are linear in them, so they are found by
//! least squares, and only the weights are searched for.

use std::ops::Range;

use super::finite;
use crate::detect::{
    Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict,
    math::{normal, qr, simplex},
    parameter,
};

/// ETS: is a value above the forecast of a fitted state-space model?
///
/// # What it finds
/// As `holt_winters`: values outside the forecast interval of a series with trend and season.
///
/// # Parameters
/// - `trend` — whether there is an additive trend; default false.
/// - `period` — values per additive season, 2 to 1,000; default none: no season.
/// - `alpha` — one-sided probability of a false alarm, between 0 and 0.5; default 0.01.
///
/// # When it misleads
/// Counts near zero: errors are taken as normal with one variance. Long seasons on short series (52 start values from 110
/// weeks) fit noise; `aicc` of [`Fit`] says so.
///
/// # Source
/// Hyndman, Koehler, Ord and Snyder 2008, Forecasting with Exponential Smoothing, chapters 2, 5, 6. R: forecast::ets. Golden
/// family `ets`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ets {
    /// Whether there is an additive trend.
    pub trend: bool,
    /// Values per season.
    pub period: Option<usize>,
    /// One-sided probability of a false alarm.
    pub alpha: f64,
}

impl Default for Ets {
    fn default() -> Self {
        Self { trend: false, period: None, alpha: 0.01 }
    }
}

/// Fitted to the periods before the range; `score` is in standard deviations of the one-step errors. A series with a
/// period without value up to the judged one has no answer.
impl SeriesDetector for Ets {
    fn check(&self) -> Result<(), Error> {
        let fits = self.period.is_none_or(|p| (2..=1_000).contains(&p));
        parameter("period", self.period.unwrap_or(0) as f64, fits, "2 to 1,000")?;
        parameter("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 0.5, "between 0 and 0.5")
    }

    fn profile(&self) -> Profile {
        Profile::FITS_ALL
    }

    fn reach(&self, periods_per_year: usize) -> usize {
        self.history(periods_per_year).max(3 * periods_per_year)
    }

    fn history(&self, _periods_per_year: usize) -> usize {
        (coefficient_count(self.shape()) + 2).max(2 * self.period.unwrap_or(0) + 1)
    }

    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        self.check()?;
        series.check(&range)?;
        let first = range.start.max(self.history(series.periods_per_year));
        let mut out = vec![Verdict::TooEarly; first.min(range.end) - range.start];
        if first >= range.end {
            return Ok(out);
        }
        let values = &series.values[..range.end];
        let end = values.iter().position(|v| v.is_nan()).unwrap_or(range.end);
        out.extend(self.judge(&values[..end], first));
        if end < range.end {
            if end >= first {
                out.push(Verdict::NotDefined(Undefined::NoValue));
            }
            out.resize(range.len(), Verdict::NotDefined(Undefined::Gap));
        }
        Ok(out)
    }
}

impl Ets {
    fn shape(&self) -> Shape {
        Shape { trend: self.trend, period: self.period }
    }

    fn judge(&self, values: &[f64], first: usize) -> Vec<Verdict> {
        if first >= values.len() {
            return Vec::new();
        }
        let Ok(past) = fit(&values[..first], self.shape()) else {
            return vec![Verdict::NotDefined(Undefined::NoFit); values.len() - first];
        };
        let (deviation, limit) = (past.variance.sqrt(), normal::upper_quantile(self.alpha));
        let foretold = walk(values, &past.coefficients).0;
        (first..values.len())
            .map(|t| {
                let z = (values[t] - foretold[t]) / deviation;
                Judgement::new(z > limit)
                    .expected(foretold[t])
                    .upper_bound(foretold[t] + limit * deviation)
                    .score(z)
                    .p_value(normal::upper(z))
                    .into()
            })
            .collect()
    }
}

/// Which components a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Whether there is an additive trend.
    pub trend: bool,
    /// Values per season; `None` without a season.
    pub period: Option<usize>,
}

/// Weights and start values of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Coefficients {
    /// Share of an error that goes into the level.
    pub alpha: f64,
    /// Share that goes into the trend.
    pub beta: f64,
    /// Share that goes into the season.
    pub gamma: f64,
    /// Level before the first value.
    pub level: f64,
    /// Trend before the first value; 0 without.
    pub trend: f64,
    /// Seasons before the first value, the newest first; the first value meets the last of them. Empty without.
    pub season: Vec<f64>,
}

/// A fitted series.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Weights and start values.
    pub coefficients: Coefficients,
    /// One-step forecast of every value.
    pub foretold: Vec<f64>,
    /// Log-likelihood up to a constant.
    pub log_likelihood: f64,
    /// Akaike's criterion for short series; `None` where there are too few values for it.
    pub aicc: Option<f64>,
    /// Variance of the one-step errors.
    pub variance: f64,
    end: State,
}

/// Fits weights and start values of `shape` to `values`, oldest first.
///
/// # Errors
/// A value that is not finite, too few values for the number of coefficients, a season below 2, a perfect or impossible fit.
pub fn fit(values: &[f64], shape: Shape) -> Result<Fit, Error> {
    check(values, shape)?;
    let free = 1 + usize::from(shape.trend) + usize::from(shape.period.is_some());
    let best = simplex::minimise(&vec![-1.0; free], 1.0, 1e-10, |at| {
        if at.iter().any(|v| v.abs() > 12.0) {
            return f64::INFINITY;
        }
        start_values(values, shape, weights(at, shape)).map_or(f64::INFINITY, |c| {
            walk(values, &c).0.iter().zip(values).map(|(f, v)| (v - f).powi(2)).sum()
        })
    });
    let none = Error::NoAnswer { why: "the start values are not determined by the series" };
    let coefficients = start_values(values, shape, weights(&best.at, shape)).ok_or(none)?;
    with(values, shape, coefficients)
}

/// The model with given coefficients.
///
/// # Errors
/// As [`fit`]; coefficients out of range or not of the model's shape.
pub fn with(values: &[f64], shape: Shape, coefficients: Coefficients) -> Result<Fit, Error> {
    check(values, shape)?;
    let c = &coefficients;
    for (name, value) in [("alpha", c.alpha), ("beta", c.beta), ("gamma", c.gamma)] {
        if !(0.0..=1.0).contains(&value) {
            return Err(Error::Parameter { name, value: value.to_string(), range: "in [0, 1]" });
        }
    }
    let season = shape.period.unwrap_or(0);
    if c.season.len() != season {
        let found = c.season.len();
        return Err(Error::Rows { what: "start values of the season", got: found, wanted: season });
    }
    finite(&[c.level, c.trend])?;
    finite(&c.season)?;
    let (foretold, end) = walk(values, c);
    let squares: f64 = foretold.iter().zip(values).map(|(f, v)| (v - f).powi(2)).sum();
    if !(squares > 0.0 && squares.is_finite()) {
        return Err(Error::NoAnswer { why: "the errors are all 0 or not finite" });
    }
    let n = values.len() as f64;
    let log_likelihood = -0.5 * n * squares.ln();
    let p = coefficient_count(shape) as f64;
    // The variance counts as one more.
    let (k, room) = (p + 1.0, n - p - 2.0);
    let aicc = (room > 0.0)
        .then(|| -2.0 * log_likelihood + 2.0 * k + 2.0 * k * (k + 1.0) / room)
        .filter(|a| a.is_finite());
    let variance = squares / (n - p);
    Ok(Fit { coefficients, foretold, log_likelihood, aicc, variance, end })
}

impl Fit {
    /// The value `ahead` ≥ 1 periods after the last: forecast and standard deviation.
    ///
    /// # Errors
    /// `ahead` 0 or above 10,000, a forecast that is not finite.
    pub fn forecast(&self, ahead: usize) -> Result<(f64, f64), Error> {
        if !(1..=10_000).contains(&ahead) {
            let range = "in [1, 10,000]";
            return Err(Error::Parameter { name: "ahead", value: ahead.to_string(), range });
        }
        let c = &self.coefficients;
        let season = match self.end.season.len() {
            0 => 0.0,
            m => self.end.season[(self.end.next + ahead - 1) % m],
        };
        let value = self.end.level + ahead as f64 * self.end.trend + season;
        let m = self.end.season.len();
        let growth: f64 = (1..ahead)
            .map(|j| {
                let seasonal = if m > 0 && j.is_multiple_of(m) { c.gamma } else { 0.0 };
                (c.alpha + c.beta * j as f64 + seasonal).powi(2)
            })
            .sum();
        let deviation = (self.variance * (1.0 + growth)).sqrt();
        if value.is_finite() && deviation.is_finite() {
            Ok((value, deviation))
        } else {
            Err(Error::NoAnswer { why: "the forecast is not finite" })
        }
    }

    /// Two-sided interval of confidence `level` around a forecast.
    ///
    /// # Errors
    /// As [`Self::forecast`]; a level outside (0, 1).
    pub fn interval(&self, ahead: usize, level: f64) -> Result<(f64, f64), Error> {
        parameter("level", level, level > 0.0 && level < 1.0, "in (0, 1)")?;
        let (value, deviation) = self.forecast(ahead)?;
        let half = normal::quantile(0.5 + level / 2.0) * deviation;
        Ok((value - half, value + half))
    }
}

/// Where the components stand.
#[derive(Debug, Clone, PartialEq)]
struct State {
    level: f64,
    trend: f64,
    /// Seasons by place.
    season: Vec<f64>,
    /// Place of the next value.
    next: usize,
}

/// One-step forecasts and the state behind the last value.
fn walk(values: &[f64], c: &Coefficients) -> (Vec<f64>, State) {
    let season: Vec<f64> = c.season.iter().rev().copied().collect();
    let mut state = State { level: c.level, trend: c.trend, season, next: 0 };
    let foretold = values
        .iter()
        .map(|x| {
            let s = state.season.get(state.next).copied().unwrap_or(0.0);
            let value = state.level + state.trend + s;
            let error = x - value;
            state.level += state.trend + c.alpha * error;
            state.trend += c.beta * error;
            if let Some(s) = state.season.get_mut(state.next) {
                *s += c.gamma * error;
                state.next = (state.next + 1) % state.season.len();
            }
            value
        })
        .collect();
    (foretold, state)
}

/// The start values with the least squared errors for given weights; seasons sum to 0.
fn start_values(values: &[f64], shape: Shape, weights: [f64; 3]) -> Option<Coefficients> {
    let [alpha, beta, gamma] = weights;
    let m = shape.period.unwrap_or(0);
    let build = |at: &[f64]| {
        let trend = if shape.trend { at[1] } else { 0.0 };
        let mut season = at[1 + usize::from(shape.trend)..].to_vec();
        if m > 0 {
            season.push(-season.iter().sum::<f64>());
        }
        Coefficients { alpha, beta, gamma, level: at[0], trend, season }
    };
    let n = 1 + usize::from(shape.trend) + m.saturating_sub(1);
    let still = build(&vec![0.0; n]);
    let zeros = vec![0.0; values.len()];
    // Errors from a zero start, less what one unit of each start value adds to the forecasts.
    let columns = (0..n)
        .map(|i| {
            let mut unit = vec![0.0; n];
            unit[i] = 1.0;
            walk(&zeros, &build(&unit)).0
        })
        .collect();
    let target = walk(values, &still).0.iter().zip(values).map(|(f, v)| v - f).collect();
    qr::least_squares(columns, target).map(|at| build(&at))
}

/// Weights from the whole line: alpha in (0, 1), beta in (0, alpha), gamma in (0, 1 − alpha).
fn weights(at: &[f64], shape: Shape) -> [f64; 3] {
    let share = |v: f64| 1.0 / (1.0 + (-v).exp());
    let alpha = share(at[0]);
    let beta = if shape.trend { alpha * share(at[1]) } else { 0.0 };
    let gamma = match shape.period {
        Some(_) => (1.0 - alpha) * share(at[at.len() - 1]),
        None => 0.0,
    };
    [alpha, beta, gamma]
}

/// Weights and start values that are free.
fn coefficient_count(shape: Shape) -> usize {
    let trend = if shape.trend { 4 } else { 2 };
    trend + shape.period.unwrap_or(0)
}

fn check(values: &[f64], shape: Shape) -> Result<(), Error> {
    finite(values)?;
    if let Some(period) = shape.period.filter(|p| !(2..=1_000).contains(p)) {
        let range = "in [2, 1,000]";
        return Err(Error::Parameter { name: "period", value: period.to_string(), range });
    }
    let needed = coefficient_count(shape) + 2;
    if values.len() < needed {
        return Err(Error::TooFew { what: "values", got: values.len(), needed });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Shape = Shape { trend: false, period: None };

    #[test]
    fn a_season_with_trend_is_foretold() {
        let season = [30.0, 24.0, 18.0, 26.0];
        let values: Vec<f64> =
            (0..60).map(|i| season[i % 4] + 0.5 * i as f64 + (i * 31 % 7) as f64 / 7.0).collect();
        let model = fit(&values, Shape { trend: true, period: Some(4) }).unwrap();
        let (low, high) = model.interval(1, 0.95).unwrap();
        assert!(low < 60.5 && 60.5 < high && high - low < 3.0, "{low} {high}");
        let plain = fit(&values, PLAIN).unwrap();
        assert!(model.aicc.unwrap() < plain.aicc.unwrap());
    }

    #[test]
    fn a_jump_is_an_alarm_and_a_gap_is_told() {
        let mut values: Vec<f64> = (0..60).map(|i| 20.0 + (i * 31 % 7) as f64).collect();
        values[50] += 30.0;
        values[55] = f64::NAN;
        let verdicts = Ets::default().evaluate(&Series::new(&values), 45..60).unwrap();
        assert!(verdicts[5].alarm() && !verdicts[4].alarm());
        assert_eq!(verdicts[10], Verdict::NotDefined(Undefined::NoValue));
        assert_eq!(verdicts[14], Verdict::NotDefined(Undefined::Gap));
        let flat = Ets::default().evaluate(&Series::new(&[2.0; 60]), 2..60).unwrap();
        assert_eq!((flat.len(), flat[0]), (58, Verdict::TooEarly));
        assert_eq!(flat[57], Verdict::NotDefined(Undefined::NoFit));
    }

    #[test]
    fn start_values_are_the_best_ones() {
        let values = [3.0, 5.0, 4.0, 8.0, 6.0, 9.0, 7.0, 12.0];
        let best = start_values(&values, PLAIN, [0.4, 0.0, 0.0]).unwrap();
        let squares = |level| {
            let c = Coefficients { level, ..best.clone() };
            walk(&values, &c).0.iter().zip(&values).map(|(f, v)| (v - f) * (v - f)).sum::<f64>()
        };
        assert!(squares(best.level) < squares(best.level + 0.01));
        assert!(squares(best.level) < squares(best.level - 0.01));
    }

    #[test]
    fn bad_input_is_an_error() {
        for bad in [&[][..], &[1.0], &[f64::NAN; 30], &[1e300; 30], &[0.0; 30], &[4.0; 10_000]] {
            assert!(fit(bad, PLAIN).is_err(), "{} values", bad.len());
        }
        assert!(fit(&[1.0; 40], Shape { trend: true, period: Some(1) }).is_err());
        assert!(fit(&[1.0; 40], Shape { trend: true, period: Some(usize::MAX) }).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn never_nan(values in prop::collection::vec(-1e6..1e6_f64, 0..30), trend in any::<bool>(), period in prop::option::of(2..5_usize)) {
            if let Ok(model) = fit(&values, Shape { trend, period }) {
                prop_assert!(model.foretold.iter().all(|f| f.is_finite()));
                prop_assert!(model.variance > 0.0 && model.log_likelihood.is_finite());
                let (value, deviation) = model.forecast(9).unwrap();
                prop_assert!(value.is_finite() && deviation > 0.0);
            }
        }
    }
}
