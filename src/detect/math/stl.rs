//! STL: a series as season + trend + remainder, by repeated local regression.
//!
//! In: values, oldest first, without gaps, at least two periods of them. Out: the three parts, and the weight that each
//! value had in the last pass. The inner loop smooths each place of the season on its own (all Januaries, all
//! Februaries), takes out what of that is trend, then smooths the rest into the trend; the outer loop gives values far off the
//! fit less weight.
//!
//! Source: Cleveland, Cleveland, McRae and Terpenning 1990, J. Off. Stat. 6, 3–73. Values between the points that local
//! regression is computed at (`jump`) are linear, as in the authors' own program.

use super::order;
use crate::detect::Compat;

/// A local regression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loess {
    /// Values it looks at, odd, ≥ 3; may be more than there are.
    pub window: usize,
    /// 0 constant, 1 line.
    pub degree: u8,
    /// It is computed at every `jump`th value, ≥ 1.
    pub jump: usize,
}

/// Settings of the decomposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Values per period, ≥ 2.
    pub period: usize,
    /// Smoothing of each place of the season over the periods; `None`: the season is the same in all of them.
    pub season: Option<Loess>,
    /// Smoothing of the trend.
    pub trend: Loess,
    /// Smoothing that keeps the trend out of the season.
    pub low_pass: Loess,
    /// Passes of the inner loop, ≥ 1.
    pub inner: usize,
    /// Passes of the outer loop; 0 gives every value full weight.
    pub outer: usize,
    /// Whose median the outer loop takes.
    pub compat: Compat,
}

impl Settings {
    /// The authors' recommendations for `n` values; `season_window` `None` for an unchanging season.
    pub fn new(period: usize, season_window: Option<usize>, robust: bool, compat: Compat) -> Self {
        let odd = |w: usize| (w | 1).max(3);
        let loess = |window: usize| Loess { window, degree: 1, jump: window.div_ceil(10) };
        let season = season_window.map(|w| Loess { degree: 0, ..loess(odd(w)) });
        // An unchanging season is one of infinite window, hence the factor 1.
        let factor = season.map_or(1.0, |s| 1.0 - 1.5 / s.window as f64);
        let trend = loess(odd((1.5 * period as f64 / factor).ceil() as usize));
        let low_pass = loess(odd(period));
        let (inner, outer) = if robust { (1, 15) } else { (2, 0) };
        Self { period, season, trend, low_pass, inner, outer, compat }
    }
}

/// The parts of a series, each as long as it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// What repeats with the period; its mean over a period is near 0.
    pub season: Vec<f64>,
    /// The slow part.
    pub trend: Vec<f64>,
    /// The rest.
    pub remainder: Vec<f64>,
    /// Weight of each value in the last pass, in [0, 1].
    pub weight: Vec<f64>,
}

/// Decomposes `values`; `None` if there are less than two full periods, a period below 2, or a value is not finite.
pub fn decompose(values: &[f64], with: &Settings) -> Option<Parts> {
    let (n, period) = (values.len(), with.period);
    if period < 2 || n <= 2 * period || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    // An unchanging season is smoothed with a window far longer than the series and averaged at the end.
    let wide = 10 * n + 1;
    let season = with.season.unwrap_or(Loess { window: wide, degree: 0, jump: wide.div_ceil(10) });
    let mut parts = Parts {
        season: vec![0.0; n],
        trend: vec![0.0; n],
        remainder: Vec::new(),
        weight: vec![1.0; n],
    };
    for pass in 0..=with.outer {
        let weights = (pass > 0).then(|| parts.weight.clone());
        for _ in 0..with.inner.max(1) {
            inner(values, with, season, weights.as_deref(), &mut parts);
        }
        if pass < with.outer {
            parts.weight = bisquare(values, &parts, with.compat);
        }
    }
    if with.season.is_none() {
        average_by_place(&mut parts.season, period);
    }
    parts.remainder = (0..n).map(|i| values[i] - parts.season[i] - parts.trend[i]).collect();
    parts.remainder.iter().all(|r| r.is_finite()).then_some(parts)
}

fn inner(
    values: &[f64],
    with: &Settings,
    season: Loess,
    weights: Option<&[f64]>,
    parts: &mut Parts,
) {
    let (n, period) = (values.len(), with.period);
    let detrended: Vec<f64> = (0..n).map(|i| values[i] - parts.trend[i]).collect();
    let cycles = smooth_cycles(&detrended, period, season, weights);
    let averaged = moving_mean(&moving_mean(&moving_mean(&cycles, period), period), 3);
    let low = smooth(&averaged, with.low_pass, None);
    for i in 0..n {
        parts.season[i] = cycles[period + i] - low[i];
    }
    let deseasoned: Vec<f64> = (0..n).map(|i| values[i] - parts.season[i]).collect();
    parts.trend = smooth(&deseasoned, with.trend, weights);
}

/// Smooths every place of the season over the periods, one period beyond either end: length `n + 2 period`.
fn smooth_cycles(values: &[f64], period: usize, with: Loess, weights: Option<&[f64]>) -> Vec<f64> {
    let mut out = vec![0.0; values.len() + 2 * period];
    for place in 0..period {
        let pick = |of: &[f64]| of.iter().skip(place).step_by(period).copied().collect::<Vec<_>>();
        let (cycle, weights) = (pick(values), weights.map(pick));
        let weights = weights.as_deref();
        let k = cycle.len();
        let inside = smooth(&cycle, with, weights);
        let window = with.window.min(k);
        let before = fit_at(&cycle, with, 0.0, (1, window), weights).unwrap_or(inside[0]);
        let behind = fit_at(&cycle, with, (k + 1) as f64, (k + 1 - window, k), weights)
            .unwrap_or(inside[k - 1]);
        let whole = std::iter::once(before).chain(inside).chain(std::iter::once(behind));
        for (m, value) in whole.enumerate() {
            out[m * period + place] = value;
        }
    }
    out
}

/// Local regression of evenly spaced values.
fn smooth(values: &[f64], with: Loess, weights: Option<&[f64]>) -> Vec<f64> {
    let n = values.len();
    if n < 2 {
        return values.to_vec();
    }
    let jump = with.jump.clamp(1, n - 1);
    let mut out = vec![0.0; n];
    let fit =
        |i: usize, span| fit_at(values, with, i as f64, span, weights).unwrap_or(values[i - 1]);
    let mut span = (1, n);
    // Positions count from 1, as in the paper.
    for i in (1..=n).step_by(jump) {
        span = span_at(i, n, with.window);
        out[i - 1] = fit(i, span);
    }
    if jump == 1 {
        return out;
    }
    let last = (n - 1) / jump * jump + 1;
    for i in (1..last).step_by(jump) {
        line_between(&mut out, i, i + jump);
    }
    if last != n {
        // The span is that of the last computed position, as in the authors' program.
        out[n - 1] = fit(n, span);
        line_between(&mut out, last, n);
    }
    out
}

/// The first and last position of the window around position `i` of `n`.
fn span_at(i: usize, n: usize, window: usize) -> (usize, usize) {
    if window >= n {
        return (1, n);
    }
    let half = window.div_ceil(2);
    if i < half {
        (1, window)
    } else if i > n - half {
        (n - window + 1, n)
    } else {
        (i - half + 1, window + i - half)
    }
}

fn line_between(out: &mut [f64], from: usize, to: usize) {
    let (start, step) = (out[from - 1], (out[to - 1] - out[from - 1]) / (to - from) as f64);
    for j in from + 1..to {
        out[j - 1] = start + step * (j - from) as f64;
    }
}

/// The local regression at `x` over the positions `span`; `None` where all weights are 0.
fn fit_at(
    values: &[f64],
    with: Loess,
    x: f64,
    span: (usize, usize),
    weights: Option<&[f64]>,
) -> Option<f64> {
    let n = values.len();
    let (left, right) = (span.0 as f64, span.1 as f64);
    let mut reach = (x - left).max(right - x);
    if with.window > n {
        reach += ((with.window - n) / 2) as f64;
    }
    let (far, near) = (0.999 * reach, 0.001 * reach);
    let tricube = |j: usize| {
        let r = (j as f64 - x).abs();
        let w = if r > far {
            0.0
        } else if r <= near {
            1.0
        } else {
            (1.0 - (r / reach).powi(3)).powi(3)
        };
        weights.map_or(w, |weights| w * weights[j - 1])
    };
    let mut w: Vec<f64> = (span.0..=span.1).map(tricube).collect();
    let total: f64 = w.iter().sum();
    if total <= 0.0 {
        return None;
    }
    for v in &mut w {
        *v /= total;
    }
    let position = |i: usize| (span.0 + i) as f64;
    if reach > 0.0 && with.degree > 0 {
        let centre: f64 = w.iter().enumerate().map(|(i, w)| w * position(i)).sum();
        let spread: f64 =
            w.iter().enumerate().map(|(i, w)| w * (position(i) - centre).powi(2)).sum();
        // Positions too close together determine no line.
        if spread.sqrt() > 0.001 * (n as f64 - 1.0) {
            let slope = (x - centre) / spread;
            for (i, w) in w.iter_mut().enumerate() {
                *w *= slope * (position(i) - centre) + 1.0;
            }
        }
    }
    Some(w.iter().zip(&values[span.0 - 1..]).map(|(w, v)| w * v).sum())
}

/// Means of `length` values in a row; `length - 1` fewer than there are values.
fn moving_mean(values: &[f64], length: usize) -> Vec<f64> {
    let mut sum: f64 = values[..length].iter().sum();
    let mut out = vec![sum / length as f64];
    for i in length..values.len() {
        sum += values[i] - values[i - length];
        out.push(sum / length as f64);
    }
    out
}

/// Weights that fall to 0 at six times the median distance from the fit.
fn bisquare(values: &[f64], parts: &Parts, compat: Compat) -> Vec<f64> {
    let distance: Vec<f64> =
        (0..values.len()).map(|i| (values[i] - parts.season[i] - parts.trend[i]).abs()).collect();
    let limit = 6.0
        * match compat {
            Compat::Corrected => order::median(&distance).unwrap_or(0.0),
            Compat::R => order::median_of_netlib(&distance),
        };
    let weight = |r: f64| {
        if r <= 0.001 * limit {
            1.0
        } else if r <= 0.999 * limit {
            (1.0 - (r / limit).powi(2)).powi(2)
        } else {
            0.0
        }
    };
    distance.into_iter().map(weight).collect()
}

fn average_by_place(season: &mut [f64], period: usize) {
    for place in 0..period {
        let all = season.iter().skip(place).step_by(period);
        let mean = all.clone().sum::<f64>() / all.count() as f64;
        for value in season.iter_mut().skip(place).step_by(period) {
            *value = mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_with_a_season_comes_apart() {
        let season = [3.0, -1.0, -2.0, 0.0];
        let values: Vec<f64> =
            (0..40).map(|i| 10.0 + 0.5 * f64::from(i) + season[i as usize % 4]).collect();
        let parts = decompose(&values, &Settings::new(4, None, true, Compat::Corrected)).unwrap();
        for i in 4..36 {
            assert!((parts.season[i] - season[i % 4]).abs() < 0.05, "{i}: {}", parts.season[i]);
            assert!(parts.remainder[i].abs() < 0.1);
        }
    }

    #[test]
    fn recommended_settings() {
        let s = Settings::new(12, Some(7), true, Compat::Corrected);
        assert_eq!((s.trend.window, s.trend.jump, s.low_pass.window), (23, 3, 13));
        assert_eq!(Settings::new(52, None, false, Compat::Corrected).trend.window, 79);
    }

    #[test]
    fn too_short_or_broken_series_have_no_parts() {
        let with = Settings::new(4, None, false, Compat::Corrected);
        assert_eq!(decompose(&[1.0; 8], &with), None);
        assert_eq!(decompose(&[], &with), None);
        assert_eq!(decompose(&[f64::NAN; 40], &with), None);
        assert!(
            decompose(&[5.0; 10_000], &Settings::new(7, None, true, Compat::Corrected)).is_some()
        );
    }
}
