//! Farrington flexible: is a week's count high against the same weeks of the years before?

mod baseline;
mod judge;

use std::ops::Range;

pub use self::judge::Details;
use crate::detect::{
    Calendar, Compat, Error, Judgement, Profile, Series, SeriesDetector, Verdict, parameter,
};

/// Years of history below which a trend cannot be told from chance.
const YEARS_FOR_TREND: usize = 3;

/// Farrington's method as improved by Noufaily et al.: quasi-Poisson regression on some years of history, with a season in
/// steps, a trend, and past outbreaks weighing less.
///
/// # What it finds
/// A week (or month) with more cases than season, trend and the usual variation explain: complaints by category and district,
/// cases by statute, failed samples by food. The workhorse for weekly series with three or more years of history.
///
/// # Parameters
/// - `years` — years of history, 1 to 20; default 5.
/// - `half_window` — periods on each side of the same period in earlier years that count as the same season, 0 to 12; default 3.
/// - `periods` — levels of the season, 1 to 26; 1 uses only the windows around the same period; default 10.
/// - `waves` — waves a year that make the season, instead of levels, 0 to 4; default 0: levels.
/// - `exclude_recent` — periods right before that are left out, so that an outbreak that builds up does not hide itself; 0 to
///   260; default 26.
/// - `trend` — `p`: keep the trend if its test is below this; 0 for no trend, 1 always (with three years of history); it
///   predicts no more than the largest count of the history; default 1.
/// - `reweight_above` — residual beyond which a past period weighs less, above 0, or null for no reweighting; default 2.58.
/// - `threshold` — `method`: `nb_plugin` (quantile of the negative binomial), `muan` (with the upper end of the mean's
///   interval), `delta` (normal after a power transformation) or `onset` (this period and the one before together: the
///   likelihood ratio of an outbreak that began in either; finds more and smaller outbreaks, some half a period later);
///   `alpha`: one-sided, between 0 and 0.5; default `nb_plugin`, 0.005.
/// - `alpha` — the same probability, for short; default null: that of `threshold`.
/// - `power` — transformation of `delta`: `two_thirds`, `half` or `none`; default `two_thirds`.
/// - `min_cases` — `cases` in the last `periods` including this one, below which there is no alarm; default 5 in 4.
/// - `compat` — `corrected` or `r`; see there.
///
/// Where a rule's series has a `calendar`, the logarithm of the expected count has a term for the number of days off in the
/// period, so that moving holidays and make-up working days are expected; not with `compat: r`.
///
/// # When it misleads
/// Needs `years` full years. A lasting rise is an alarm only until it is history. A change in how cases are recorded looks like
/// an outbreak. With a few cases a year the bound is 1 or 2 and `alpha` is not attained. `corrected` differs from R in six
/// things: after reweighting R takes the mean's standard error and the trend's test from a dispersion computed with wrong
/// weights (here: φ); for `nb_plugin` and `muan` R's score subtracts the logarithm of the mean (here: the mean); R stops the
/// fit early, which moves bounds by up to 2e-5 (here: converged); R's residuals take skew counts for normal and so weigh down
/// ordinary periods (here: normal scores of the count's own tail); what reweighting takes off mean and dispersion where no
/// outbreak was is lost in R, which lowers bounds (here: given back); R drops a trend that predicts more than was ever seen
/// (here: it is followed so far).
///
/// # Source
/// Noufaily et al. 2013, Statist. Med. 32, 1206–1222; Farrington et al. 1996. R: surveillance::farringtonFlexible (`compat:
/// r`). Golden family `farrington_flexible`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Farrington {
    /// Years of history.
    pub years: usize,
    /// Periods on each side of a reference period.
    pub half_window: usize,
    /// Levels of the season.
    pub periods: usize,
    /// Waves a year instead of levels.
    pub waves: usize,
    /// Periods right before that are left out.
    pub exclude_recent: usize,
    /// When to keep a trend.
    pub trend: Trend,
    /// Residual beyond which a past period weighs less.
    pub reweight_above: Option<f64>,
    /// One-sided probability of a false alarm; instead of the one in `threshold`.
    pub alpha: Option<f64>,
    /// How the bound is found.
    pub threshold: Threshold,
    /// Power transformation of the method `delta`.
    pub power: Power,
    /// Fewest cases for an alarm.
    pub min_cases: MinCases,
    /// Right, or as R.
    pub compat: Compat,
}

/// When a trend is kept.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trend {
    /// Largest p-value of its test; 0 for no trend.
    pub p: f64,
}

/// How the upper bound is found.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Threshold {
    /// Method.
    pub method: Method,
    /// One-sided probability of a false alarm.
    pub alpha: f64,
}

/// Distribution of the count to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Normal after a power transformation, with the variance of the mean added.
    Delta,
    /// Negative binomial around the mean.
    NbPlugin,
    /// Negative binomial around the upper end of the mean's interval.
    Muan,
    /// Likelihood ratio of an outbreak that began in this period or the one before; the mean's error is part of the variance.
    Onset,
}

/// Power transformation of the method `delta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// 2/3: takes skewness out.
    TwoThirds,
    /// 1/2: makes the variance constant.
    Half,
    /// None.
    None,
}

impl Power {
    /// Exponent, and standard deviation of the transformed count whose variance is `tau`·`mean`.
    pub(super) fn of(self, mean: f64, tau: f64) -> (f64, f64) {
        match self {
            Self::TwoThirds => (2.0 / 3.0, (4.0 / 9.0 * mean.cbrt() * tau).sqrt()),
            Self::Half => (0.5, (0.25 * tau).sqrt()),
            Self::None => (1.0, (mean * tau).sqrt()),
        }
    }
}

/// Fewest cases for an alarm.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinCases {
    /// Cases.
    pub cases: f64,
    /// In the last so many periods, this one included.
    pub periods: usize,
}

impl MinCases {
    /// Whether the periods up to `at` have enough cases.
    pub(super) fn enough(&self, values: &[f64], at: usize) -> bool {
        let last = &values[(at + 1).saturating_sub(self.periods)..=at];
        last.iter().filter(|v| !v.is_nan()).sum::<f64>() >= self.cases
    }
}

impl Default for Threshold {
    fn default() -> Self {
        Self { method: Method::NbPlugin, alpha: 0.005 }
    }
}

impl Default for Farrington {
    fn default() -> Self {
        Self {
            years: 5,
            half_window: 3,
            periods: 10,
            waves: 0,
            exclude_recent: 26,
            trend: Trend { p: 1.0 },
            reweight_above: Some(2.58),
            alpha: None,
            threshold: Threshold::default(),
            power: Power::TwoThirds,
            min_cases: MinCases { cases: 5.0, periods: 4 },
            compat: Compat::Corrected,
        }
    }
}

impl SeriesDetector for Farrington {
    fn check(&self) -> Result<(), Error> {
        let within = |n: usize, max: usize, min: usize| (min..=max).contains(&n);
        parameter("years", self.years as f64, within(self.years, 20, 1), "1 to 20")?;
        let half = self.half_window;
        parameter("half_window", half as f64, within(half, 12, 0), "0 to 12")?;
        parameter("periods", self.periods as f64, within(self.periods, 26, 1), "1 to 26")?;
        if self.compat == Compat::R && self.threshold.method == Method::Onset {
            let (value, range) = ("onset".to_owned(), "nb_plugin, muan or delta where compat is r");
            return Err(Error::Parameter { name: "threshold.method", value, range });
        }
        let waves = if self.compat == Compat::R { 0 } else { 4 };
        let range = "0 to 4, and 0 where compat is r";
        parameter("waves", self.waves as f64, self.waves <= waves, range)?;
        let recent = self.exclude_recent;
        parameter("exclude_recent", recent as f64, within(recent, 260, 0), "0 to 260")?;
        parameter("trend.p", self.trend.p, (0.0..=1.0).contains(&self.trend.p), "0 to 1")?;
        let above = self.reweight_above.unwrap_or(1.0);
        parameter("reweight_above", above, above > 0.0 && above.is_finite(), "above 0")?;
        let name = if self.alpha.is_some() { "alpha" } else { "threshold.alpha" };
        let alpha = self.alpha();
        parameter(name, alpha, alpha > 0.0 && alpha < 0.5, "between 0 and 0.5")?;
        let cases = self.min_cases.cases;
        parameter("min_cases.cases", cases, cases >= 0.0 && cases.is_finite(), "0 or more")
    }

    fn profile(&self) -> Profile {
        let calendar = match self.compat {
            Compat::Corrected => Calendar::Term,
            Compat::R => Calendar::Blind,
        };
        Profile { calendar, ..Profile::TESTS.with_population() }
    }

    fn reach(&self, periods_per_year: usize) -> usize {
        // A year of the calendar is longer than 52 weeks.
        self.history(periods_per_year) + self.years.div_ceil(4) + 1
    }

    fn history(&self, periods_per_year: usize) -> usize {
        self.years * periods_per_year + self.half_window
    }

    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        let details = self.details(series, range)?;
        Ok(details
            .into_iter()
            .map(|found| match found {
                Err(verdict) => verdict,
                Ok(d) if d.enough => Judgement::new(d.alarm)
                    .expected(d.mean)
                    .upper_bound(d.bound)
                    .score(d.score)
                    .p_value(d.p_value)
                    .into(),
                Ok(d) => Judgement::new(false).expected(d.mean).p_value(d.p_value).into(),
            })
            .collect())
    }
}

impl Farrington {
    fn alpha(&self) -> f64 {
        self.alpha.unwrap_or(self.threshold.alpha)
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::detect::math::{negative_binomial, normal};

    /// Six years of weeks with a season and a little variation.
    fn weeks() -> Vec<f64> {
        let season = |t: f64| (2.0 + 0.5 * (t * std::f64::consts::TAU / 52.0).sin()).exp();
        (0..320).map(|t| (season(f64::from(t)) + f64::from(t * 7 % 5) - 2.0).round()).collect()
    }

    #[test]
    fn an_outbreak_alarms_and_an_ordinary_week_does_not() {
        let mut values = weeks();
        values[319] = 60.0;
        let verdicts =
            Farrington::default().evaluate(&Series::new(&values), 300..320).expect("counts");
        let alarms: Vec<bool> = verdicts.iter().map(Verdict::alarm).collect();
        assert_eq!(alarms.iter().filter(|a| **a).count(), 1);
        assert!(alarms[19]);
        let judged = verdicts[19].judged().expect("judged");
        assert!(judged.upper_bound < Some(40.0) && judged.p_value < Some(1e-6));
    }

    #[test]
    fn history_must_be_there() {
        let values = weeks();
        let detector = Farrington::default();
        let need = detector.history(52);
        let verdicts =
            detector.evaluate(&Series::new(&values), need - 1..need + 1).expect("counts");
        assert_eq!(verdicts[0], Verdict::TooEarly);
        assert!(verdicts[1].judged().is_some());
    }

    /// Six years of counts near 6 with two past outbreaks, and a last week of 17.
    fn level_with_outbreaks() -> Vec<f64> {
        let mut values: Vec<f64> = (0..320).map(|t| f64::from(3 + t * 7 % 8)).collect();
        (values[163], values[215], values[319]) = (40.0, 31.0, 17.0);
        values
    }

    /// Windows, their weights, and the weighted mean and dispersion of a model without trend: all in closed form.
    fn by_hand(values: &[f64]) -> (f64, f64, f64) {
        let windows = (1..=5).flat_map(|back| 319 - 52 * back - 3..=319 - 52 * back + 3);
        let counts: Vec<f64> = windows.map(|t| values[t]).collect();
        let n = counts.len() as f64;
        let weighted = |omega: &[f64]| {
            let total: f64 = omega.iter().sum();
            let mean = counts.iter().zip(omega).map(|(y, w)| w * y).sum::<f64>() / total;
            let squares = counts.iter().zip(omega).map(|(y, w)| w * (y - mean) * (y - mean) / mean);
            (mean, squares.sum::<f64>() / (n - 1.0), total * mean)
        };
        let (mean, phi, _) = weighted(&vec![1.0; counts.len()]);
        let spread = phi * (1.0 - 1.0 / n);
        let score = |y: f64| {
            let tail = |y: f64| negative_binomial::upper(y, mean, spread).p;
            normal::upper_quantile(0.5 * (tail(y) + tail(y + 1.0)))
        };
        let raw: Vec<f64> = counts
            .iter()
            .map(|y| if *y > mean && score(*y) > 2.58 { score(*y).powi(-2) } else { 1.0 })
            .collect();
        assert!(raw.iter().any(|w| *w < 1.0), "an outbreak weighs less");
        let scale = n / raw.iter().sum::<f64>();
        let (lowered, narrowed, information) =
            weighted(&raw.iter().map(|w| scale * w).collect::<Vec<_>>());
        // The same weights on all counts of a distribution like theirs; means are told apart by half an e-fold.
        let like = ((mean.ln() * 2.0).round() / 2.0).exp();
        let (mut weight, mut first, mut second) = (0.0, 0.0, 0.0);
        for y in (0..400).map(f64::from) {
            let tail = |y: f64| negative_binomial::upper(y, like, spread).p;
            let middle = (0.5 * (tail(y) + tail(y + 1.0))).max(1e-300);
            let s = if y > like { normal::upper_quantile(middle) } else { 0.0 };
            let w = (tail(y) - tail(y + 1.0)) * if s > 2.58 { s.powi(-2) } else { 1.0 };
            (weight, first, second) = (weight + w, first + w * y, second + w * y * y);
        }
        let kept = first / weight;
        let variance = (second / weight - kept * kept) / (spread * kept);
        (lowered * like / kept, narrowed / variance, information)
    }

    #[test]
    fn corrected_dispersion_and_score_in_closed_form() {
        let values = level_with_outbreaks();
        let (mean, phi, information) = by_hand(&values);
        let phi = phi.max(1.0);
        let with = |method, compat| {
            let detector = Farrington {
                periods: 1,
                exclude_recent: 3,
                trend: Trend { p: 0.0 },
                threshold: Threshold { method, alpha: 0.01 },
                compat,
                ..Farrington::default()
            };
            let found = detector.details(&Series::new(&values), 319..320).expect("counts");
            found[0].expect("judged")
        };
        // delta: the standard error of the mean comes from φ.
        let found = with(Method::Delta, Compat::Corrected);
        let tau = phi + phi / information * mean;
        let sd = (4.0 / 9.0 * mean.cbrt() * tau).sqrt();
        let bound = (mean.powf(2.0 / 3.0) + normal::upper_quantile(0.01) * sd).powf(1.5);
        assert!((found.mean - mean).abs() < 1e-5 && (found.phi - phi).abs() < 1e-5, "{found:?}");
        assert!((found.bound - bound).abs() < 1e-4, "{} {bound}", found.bound);
        assert!((with(Method::Delta, Compat::R).bound - bound).abs() > 1e-3);
        // nb_plugin: the score is in counts.
        let found = with(Method::NbPlugin, Compat::Corrected);
        let bound = negative_binomial::upper_quantile(0.01, mean, phi).expect("small");
        assert_eq!(found.bound, bound);
        assert!((found.score - (17.0 - mean) / (bound - mean)).abs() < 1e-5);
        assert!((with(Method::NbPlugin, Compat::R).score - found.score).abs() > 1e-2);
    }

    #[test]
    fn a_steep_trend_is_followed_as_far_as_counts_were_seen() {
        let values: Vec<f64> = (0..300).map(|t| f64::exp(0.02 * f64::from(t)).round()).collect();
        let mean = |compat| {
            let detector = Farrington { compat, reweight_above: None, ..Farrington::default() };
            detector.details(&Series::new(&values), 299..300).expect("counts")[0]
                .expect("judged")
                .mean
        };
        // The newest week of the baseline is 27 before: e^(0.02·272) = 230.
        assert!((mean(Compat::Corrected) - 230.0).abs() < 1.0, "{}", mean(Compat::Corrected));
        assert!(mean(Compat::R) < 150.0, "R drops the trend: {}", mean(Compat::R));
    }

    #[test]
    fn waves_follow_a_season_without_steps() {
        let season = |t: f64| (3.0 + 0.8 * (t * TAU / 52.0).sin()).exp();
        let values: Vec<f64> = (0..320).map(|t| season(f64::from(t)).round()).collect();
        let off = |waves| {
            let detector = Farrington { waves, ..Farrington::default() };
            let found = detector.details(&Series::new(&values), 268..320).expect("counts");
            let means = found.iter().map(|d| d.as_ref().expect("judged").mean);
            means
                .zip(268..)
                .map(|(m, t)| (m / season(f64::from(t)) - 1.0).abs())
                .fold(0.0, f64::max)
        };
        assert!(off(1) < 0.02 && off(1) < 0.5 * off(0), "{} {}", off(1), off(0));
    }
}
