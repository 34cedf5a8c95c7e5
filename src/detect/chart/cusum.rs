//! CUSUM: small excesses that add up.

use std::{f64::consts::TAU, ops::Range};

use crate::detect::{
    Compat, Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict,
    math::{
        glm::{Design, Fit, Response, Stop},
        hypergeometric,
    },
    parameter,
};

/// CUSUM of standardised counts: each period's excess over what is expected, less a reference value, added up.
///
/// # What it finds
/// A slow drift, or a small excess that repeats: failed inspections of one office, returns of one product. Finds a shift of
/// about 2·`k` standard deviations fastest.
///
/// # Parameters
/// - `k` — reference value in standard deviations, 0 or more; default 1.04.
/// - `h` — sum at which there is an alarm, above 0; default 2.26.
/// - `transform` — how a count is standardised: `standard` (x−m)/√m, `rossi` and `anscombe` (nearer to normal for small
///   counts), `anscombe_2nd`, `pearson_neg_bin` and `anscombe_neg_bin` (variance m + `alpha`·m²), `none`; default `rossi`.
/// - `alpha` — extra variation of the two negative binomial transforms, 0 or more; default 0.1.
/// - `mean` — `history` (mean of all periods before the chart), `season` (Poisson regression on them with one wave a year), or
///   a number above 0; default `history`.
/// - `reset` — begin again at 0 after an alarm; default true.
/// - `compat` — `r`: R's upper bounds and its table of the hypergeometric function; R never resets. Default `corrected`.
///
/// # When it misleads
/// The mean is fixed when the chart begins: a trend, or a season without `mean: season`, adds up to an alarm by itself. With
/// the defaults 4 weeks of 10 alarm on series that vary more than Poisson; raise `h`. Without `reset` one outbreak alarms for
/// as long as it takes to wear off.
///
/// # Source
/// Rossi et al. 1999, Statist. Med. 18, 2111–2122; Pierce and Schafer 1986. R: surveillance::algo.cusum. Golden family
/// `cusum`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cusum {
    /// Reference value.
    pub k: f64,
    /// Sum at which there is an alarm.
    pub h: f64,
    /// How a count is standardised.
    pub transform: Transform,
    /// Extra variation of the negative binomial transforms.
    pub alpha: f64,
    /// What is expected.
    pub mean: CusumMean,
    /// Whether the sum begins again after an alarm.
    pub reset: bool,
    /// Right, or as R.
    pub compat: Compat,
}

/// How a count is standardised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// (x − m)/√m.
    Standard,
    /// (x − 3m + 2√(xm)) / (2√m).
    #[default]
    Rossi,
    /// 3/2·(x^⅔ − m^⅔)/m^⅙.
    Anscombe,
    /// With the second-order mean of x^⅔.
    #[serde(rename = "anscombe_2nd")]
    Anscombe2nd,
    /// (x − m)/√(m + αm²).
    PearsonNegBin,
    /// Anscombe residual of the negative binomial distribution.
    AnscombeNegBin,
    /// The count itself.
    None,
}

/// What is expected of each period.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CusumMean {
    /// The mean of all periods before the chart.
    #[default]
    History,
    /// A Poisson regression on them with one wave a year.
    Season,
    /// A number.
    #[serde(untagged)]
    Given(f64),
}

impl Default for Cusum {
    fn default() -> Self {
        Self {
            k: 1.04,
            h: 2.26,
            transform: Transform::Rossi,
            alpha: 0.1,
            mean: CusumMean::History,
            reset: true,
            compat: Compat::Corrected,
        }
    }
}

impl SeriesDetector for Cusum {
    fn check(&self) -> Result<(), Error> {
        let (k, h, alpha) = (self.k, self.h, self.alpha);
        parameter("k", k, k >= 0.0 && k.is_finite(), "0 or more")?;
        parameter("h", h, h > 0.0 && h.is_finite(), "above 0")?;
        parameter("alpha", alpha, alpha >= 0.0 && alpha.is_finite(), "0 or more")?;
        match self.mean {
            CusumMean::Given(m) => parameter("mean", m, m > 0.0 && m.is_finite(), "above 0"),
            CusumMean::History | CusumMean::Season => Ok(()),
        }
    }

    fn profile(&self) -> Profile {
        match self.mean {
            CusumMean::Season => Profile::CHART,
            CusumMean::History | CusumMean::Given(_) => Profile::CHART.by_order(),
        }
    }

    fn reach(&self, periods_per_year: usize) -> usize {
        self.history(periods_per_year).max(periods_per_year)
    }

    fn history(&self, periods_per_year: usize) -> usize {
        match self.mean {
            CusumMean::Given(_) => 0,
            CusumMean::History => 1,
            CusumMean::Season => periods_per_year,
        }
    }

    /// `score` is the sum; `expected` the mean; `upper_bound` is empty where even no case would alarm.
    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        self.check()?;
        series.check_counts(&range)?;
        if range.start < self.history(series.periods_per_year) {
            return Ok(vec![Verdict::TooEarly; range.len()]);
        }
        let Some(means) = self.means(series, &range) else {
            return Ok(vec![Verdict::NotDefined(Undefined::NoFit); range.len()]);
        };
        let mut sum = 0.0;
        Ok(range
            .zip(means)
            .map(|(at, mean)| self.judge(&mut sum, mean, series.values[at]))
            .collect())
    }
}

impl Cusum {
    /// Expected counts of the periods `range`; `None` where the history does not tell.
    #[must_use]
    pub fn means(&self, series: &Series<'_>, range: &Range<usize>) -> Option<Vec<f64>> {
        let history = &series.values[..range.start];
        let times: Vec<usize> = (0..history.len()).filter(|t| !history[*t].is_nan()).collect();
        let counts: Vec<f64> = times.iter().map(|t| history[*t]).collect();
        let means: Vec<f64> = match self.mean {
            CusumMean::Given(mean) => vec![mean; range.len()],
            CusumMean::History => {
                vec![counts.iter().sum::<f64>() / counts.len() as f64; range.len()]
            }
            CusumMean::Season => {
                let row = |t: usize| {
                    let angle = TAU * t as f64 / series.periods_per_year as f64;
                    [(0, 1.0), (1, angle.cos()), (2, angle.sin())]
                };
                let mut design = Design::new(3, 3);
                times.iter().for_each(|t| design.push(&row(*t)));
                let response =
                    Response { counts: &counts, offset: None, weights: None, alpha: 0.0 };
                let stop = if self.compat == Compat::R { Stop::R } else { Stop::Converged };
                let fit = Fit::new(&design, &response, stop).filter(|fit| fit.converged)?;
                range.clone().map(|t| fit.predictor(&row(t)).exp()).collect()
            }
        };
        means.iter().all(|m| m.is_finite() && *m > 0.0).then_some(means)
    }

    /// The verdict on the next count; a missing one leaves the sum as it is.
    pub fn judge(&self, sum: &mut f64, mean: f64, count: f64) -> Verdict {
        if count.is_nan() {
            return Verdict::NotDefined(Undefined::NoValue);
        }
        let before = *sum;
        let next = (before + self.standardise(count, mean) - self.k).max(0.0);
        if !next.is_finite() {
            return Verdict::NotDefined(Undefined::Overflow);
        }
        let alarm = next >= self.h;
        *sum = if alarm && self.reset && self.compat != Compat::R { 0.0 } else { next };
        let bound = match self.compat {
            Compat::Corrected => self.count_for(self.h + self.k - before, mean),
            Compat::R => self.bound_of_r(before, next, mean),
        };
        let judgement = Judgement::new(alarm).expected(mean).score(next);
        bound.map_or(judgement, |bound| judgement.upper_bound(bound)).into()
    }

    /// The count in standard deviations from the mean.
    fn standardise(&self, x: f64, m: f64) -> f64 {
        let power = |v: f64| v.powf(2.0 / 3.0);
        match self.transform {
            Transform::Standard => (x - m) / m.sqrt(),
            Transform::Rossi => (x - 3.0 * m + 2.0 * (x * m).sqrt()) / (2.0 * m.sqrt()),
            Transform::Anscombe => 1.5 * (power(x) - power(m)) / m.powf(1.0 / 6.0),
            Transform::Anscombe2nd => {
                let mean = power(m) - 1.0 / (9.0 * m.cbrt());
                (power(x) - mean) / (2.0 / 3.0 * m.powf(1.0 / 6.0))
            }
            Transform::PearsonNegBin => (x - m) / (m + self.alpha * m * m).sqrt(),
            Transform::AnscombeNegBin => {
                (self.area(x) - self.area(m)) / (m + self.alpha * m * m).powf(1.0 / 6.0)
            }
            Transform::None => x,
        }
    }

    /// ∫₀ˣ (u + αu²)^(−⅓) du.
    fn area(&self, x: f64) -> f64 {
        let z = self.alpha * x;
        let f = match self.compat {
            Compat::Corrected => hypergeometric::third_two_thirds(z),
            Compat::R => of_table(z),
        };
        1.5 * x.powf(2.0 / 3.0) * f
    }

    /// The count whose standardised value is `z`: at this count and above there is an alarm. Largest ordinary count below.
    fn count_for(&self, z: f64, m: f64) -> Option<f64> {
        let base = match self.transform {
            Transform::Anscombe => z * m.powf(1.0 / 6.0) / 1.5 + m.powf(2.0 / 3.0),
            Transform::Anscombe2nd => {
                2.0 / 3.0 * m.powf(1.0 / 6.0) * z + m.powf(2.0 / 3.0) - 1.0 / (9.0 * m.cbrt())
            }
            _ => 0.0,
        };
        let value = match self.transform {
            Transform::Standard => m + m.sqrt() * z,
            Transform::Rossi => self.bound_rossi(z, m),
            Transform::Anscombe | Transform::Anscombe2nd => base.max(0.0).powf(1.5),
            Transform::PearsonNegBin => m + (m + self.alpha * m * m).sqrt() * z,
            Transform::AnscombeNegBin => self.least_with(z, m)?,
            Transform::None => z,
        };
        // The alarm is at `value` itself; whole counts below it are ordinary.
        Some((value.max(0.0).ceil() - 1.0).max(0.0)).filter(|_| value > 0.0)
    }

    /// The least whole count whose standardised value is `z` or more; it has no closed form. `None` beyond 2⁵³.
    fn least_with(&self, z: f64, m: f64) -> Option<f64> {
        const MAX: f64 = 9_007_199_254_740_992.0;
        let (mut low, mut high) = (-1.0, 1.0);
        while self.standardise(high, m) < z {
            (low, high) = (high, 2.0 * high);
            if high > MAX {
                return None;
            }
        }
        while high - low > 1.0 {
            let middle = f64::floor((low + high) / 2.0);
            if self.standardise(middle, m) < z { low = middle } else { high = middle }
        }
        Some(high)
    }

    fn bound_rossi(&self, z: f64, m: f64) -> f64 {
        let inner = 4.0 * m * m + 2.0 * m.powf(1.5) * z;
        5.0 * m + 2.0 * z * m.sqrt() - 2.0 * inner.sqrt()
    }

    /// What R prints: for `standard` rounded up, for `anscombe_2nd` with another correction than the transform has, for `none`
    /// and `anscombe_neg_bin` what is left of `h`; 0 where it would be negative or is no number.
    fn bound_of_r(&self, before: f64, after: f64, m: f64) -> Option<f64> {
        let z = self.h + self.k - before;
        let power = |base: f64| if base < 0.0 { 0.0 } else { base.powf(1.5) };
        let scale = 2.0 / 3.0 * m.powf(1.0 / 6.0) * z + m.powf(2.0 / 3.0);
        let bound = match self.transform {
            Transform::Standard => (m.sqrt() * z + m).ceil(),
            Transform::Rossi => self.bound_rossi(z, m),
            Transform::Anscombe => power(scale),
            Transform::Anscombe2nd => power(scale - m.cbrt() / 9.0),
            Transform::PearsonNegBin => (m + self.alpha * m * m).sqrt() * z + m,
            Transform::AnscombeNegBin | Transform::None => self.h - after,
        };
        Some(if bound.is_nan() { 0.0 } else { bound.max(0.0) })
    }
}

/// R's table of ₂F₁(⅓, ⅔; 5⁄3; −z): the nearest hundredth up to 10, linear between whole numbers beyond.
fn of_table(z: f64) -> f64 {
    let exact = hypergeometric::third_two_thirds;
    if z <= 10.0 {
        return exact((z * 100.0).round() / 100.0);
    }
    let low = z.floor();
    exact(low) + (exact(low + 1.0) - exact(low)) * (z - low)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSFORMS: [Transform; 7] = [
        Transform::Standard,
        Transform::Rossi,
        Transform::Anscombe,
        Transform::Anscombe2nd,
        Transform::PearsonNegBin,
        Transform::AnscombeNegBin,
        Transform::None,
    ];

    #[test]
    fn a_small_lasting_excess_adds_up_and_the_bound_tells_when() {
        for transform in TRANSFORMS {
            let chart = Cusum { transform, k: 0.5, h: 4.0, ..Cusum::default() };
            let chart =
                if transform == Transform::None { Cusum { k: 11.0, ..chart } } else { chart };
            let (mut sum, mut alarms) = (0.0, 0);
            for _ in 0..20 {
                let verdict = chart.judge(&mut sum, 10.0, 14.0);
                let judged = *verdict.judged().expect("judged");
                alarms += usize::from(judged.alarm);
                let bound = judged.upper_bound.expect("a bound");
                assert_eq!(judged.alarm, 14.0 > bound, "{transform:?}");
            }
            assert!((1..20).contains(&alarms), "{transform:?}: {alarms}");
        }
    }

    #[test]
    fn an_expected_count_is_zero_deviations_off() {
        for transform in TRANSFORMS.into_iter().filter(|t| *t != Transform::None) {
            let z = Cusum { transform, ..Cusum::default() }.standardise(50.0, 50.0);
            assert!(z.abs() < 0.03, "{transform:?}: {z}");
        }
    }

    #[test]
    fn without_cases_before_there_is_no_chart() {
        let verdicts = Cusum::default().evaluate(&Series::new(&[0.0; 9]), 8..9).expect("counts");
        assert_eq!(verdicts, [Verdict::NotDefined(Undefined::NoFit)]);
    }
}
