//! Nowcast: how many cases of the last days will there be once all reports are in?

use jiff::civil::Date;

use crate::detect::{
    Compat, Error,
    math::{count::stirling_error, normal},
    parameter,
};

/// Points at which a posterior of the reported share is evaluated.
const POINTS: usize = 600;

/// Corrects the last days of a series for reports that are still on their way.
///
/// # What it finds
/// The number of cases of each recent day that will be known in the end, with limits: complaints and sampling results come in
/// late, and every detector takes the last days for quiet. Run it before the detector.
///
/// # Parameters
/// - `method` — `bnb` (beta-negative-binomial, closed form), `lawless` (reporting hazards, normal limits) or `bayes` (as `bnb`
///   with a prior of the count; `truncated`: with hazards of the truncated delays); default `bnb`.
/// - `max_delay` — longest delay in periods, later reports count as this late; 1 to 366; default 14.
/// - `window` — last periods from which delays are learnt, or null for all; default 60.
/// - `alpha` — two-sided level of the limits, between 0 and 1; default 0.05.
/// - `kappa` — weight of the prior per delay, above 0; default 0.1.
/// - `prior` — `mean` and `variance` of a day's count for `bayes`; default 20 and 400.
/// - `support` — largest count considered; default 10,000.
/// - `compat` — `r`: see source. Default `corrected`.
///
/// # When it misleads
/// A change of reporting (holidays, a new office system) looks like cases. The newest day rests on a few reports: its limits are
/// wide, and it is no ground for an alarm. `bnb` and `bayes` without `truncated` learn from days that are not yet complete and so
/// take delays for shorter than they are.
///
/// # Source
/// Lawless 1994, Canad. J. Statist. 22, 15–31; Höhle and an der Heiden 2014, Biometrics 70, 993–1002. R:
/// surveillance::nowcast. `compat: r`: Lawless' variance without its first term and its normal truncated without
/// continuity, as R computes them. R samples the delays for `bayes`; here they are integrated. Golden family `nowcast`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nowcast {
    /// How unseen cases are predicted.
    pub method: NowcastMethod,
    /// Longest delay.
    pub max_delay: usize,
    /// Last periods from which delays are learnt.
    pub window: Option<usize>,
    /// Two-sided level of the limits.
    pub alpha: f64,
    /// Weight of the prior per delay.
    pub kappa: f64,
    /// Prior of a day's count.
    pub prior: CountPrior,
    /// Largest count considered.
    pub support: usize,
    /// Right, or as R.
    pub compat: Compat,
}

/// How unseen cases are predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NowcastMethod {
    /// Dirichlet posterior of the delays, no prior of the count.
    #[default]
    Bnb,
    /// Reporting hazards, normal prediction.
    Lawless,
    /// Posterior of the delays and prior of the count.
    Bayes {
        /// Whether the delays are learnt by hazards, which knows that recent days are not complete.
        truncated: bool,
    },
}

/// Prior of a day's count: negative binomial.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountPrior {
    /// Mean.
    pub mean: f64,
    /// Variance, above the mean.
    pub variance: f64,
}

impl Default for Nowcast {
    fn default() -> Self {
        Self {
            method: NowcastMethod::Bnb,
            max_delay: 14,
            window: Some(60),
            alpha: 0.05,
            kappa: 0.1,
            prior: CountPrior { mean: 20.0, variance: 400.0 },
            support: 10_000,
            compat: Compat::Corrected,
        }
    }
}

/// Reports by event period and delay, as seen at the end of the last period.
#[derive(Debug, Clone, PartialEq)]
pub struct Triangle {
    /// Shape `[periods][max_delay + 1]`, oldest first; what cannot be known yet is 0.
    pub counts: Vec<Vec<f64>>,
}

impl Triangle {
    /// From pairs of event and report day: the days `first` to `now`, reports up to `now`; later delays count as `max_delay`.
    #[must_use]
    pub fn of_days(events: &[(Date, Date)], first: Date, now: Date, max_delay: usize) -> Self {
        let days = |from: Date, to: Date| i64::from((to - from).get_days());
        let rows = usize::try_from(days(first, now) + 1).unwrap_or(0);
        let mut counts = vec![vec![0.0; max_delay + 1]; rows];
        for (event, report) in events
            .iter()
            .filter(|(event, report)| *report <= now && *event >= first && *event <= *report)
        {
            let at = usize::try_from(days(first, *event)).unwrap_or(usize::MAX);
            let delay = usize::try_from(days(*event, *report)).unwrap_or(usize::MAX);
            if let Some(row) = counts.get_mut(at) {
                row[delay.min(max_delay)] += 1.0;
            }
        }
        Self { counts }
    }

    /// Cases of a period reported so far.
    #[must_use]
    pub fn seen(&self, at: usize) -> f64 {
        self.counts[at].iter().sum()
    }

    /// By delay: reports with it, and reports with it or a shorter one, over the last `window` periods in which it can be known.
    fn by_delay(&self, max_delay: usize, window: usize) -> (Vec<f64>, Vec<f64>) {
        let last = self.counts.len() - 1;
        let mut with = vec![0.0; max_delay + 1];
        let mut upto = vec![0.0; max_delay + 1];
        for delay in 0..=max_delay.min(last) {
            for row in &self.counts[last.saturating_sub(window)..=last - delay] {
                with[delay] += row[delay];
                upto[delay] += row[..=delay].iter().sum::<f64>();
            }
        }
        (with, upto)
    }
}

/// What is known of one period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Cases reported so far.
    pub seen: f64,
    /// Median of what there will be; `None` where it lies beyond the support.
    pub median: Option<f64>,
    /// Lower limit.
    pub lower: Option<f64>,
    /// Upper limit.
    pub upper: Option<f64>,
}

impl Nowcast {
    /// Are the parameters in their ranges?
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first that is not.
    pub fn check(&self) -> Result<(), Error> {
        let delay = self.max_delay;
        parameter("max_delay", delay as f64, (1..=366).contains(&delay), "1 to 366")?;
        let window = self.window.unwrap_or(1);
        parameter("window", window as f64, window >= 1, "1 or more")?;
        parameter("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 1.0, "between 0 and 1")?;
        let kappa = self.kappa;
        parameter("kappa", kappa, kappa > 0.0 && kappa.is_finite(), "above 0")?;
        let CountPrior { mean, variance } = self.prior;
        parameter("prior.mean", mean, mean > 0.0 && mean.is_finite(), "above 0")?;
        let wide = variance > mean && variance.is_finite();
        parameter("prior.variance", variance, wide, "above the mean")?;
        parameter("support", self.support as f64, self.support <= 1_000_000, "1,000,000 or less")
    }

    /// Share of a period's cases reported within d periods, d = 0 … `max_delay`.
    ///
    /// # Errors
    /// As [`Self::estimates`].
    pub fn reported(&self, triangle: &Triangle) -> Result<Vec<f64>, Error> {
        self.check_triangle(triangle)?;
        let shares = self.shares(triangle);
        Ok(shares.iter().map(|share| share.mean).collect())
    }

    /// Estimates of the last `max_delay` + 1 periods, oldest first.
    ///
    /// # Errors
    /// [`Error::Parameter`]; [`Error::Length`] where a row of the triangle has another length than `max_delay` + 1;
    /// [`Error::OutOfSeries`] for fewer than `max_delay` + 1 periods; [`Error::Negative`] and [`Error::TooLarge`] with the
    /// period of a cell that is no count or is above 1e9.
    pub fn estimates(&self, triangle: &Triangle) -> Result<Vec<Estimate>, Error> {
        self.check_triangle(triangle)?;
        let shares = self.shares(triangle);
        let last = triangle.counts.len() - 1;
        Ok((last - self.max_delay..=last)
            .map(|at| self.estimate(triangle.seen(at), &shares[last - at]))
            .collect())
    }

    fn check_triangle(&self, triangle: &Triangle) -> Result<(), Error> {
        /// More cases a period are no reporting delay's matter.
        const MAX: f64 = 1e9;
        self.check()?;
        let periods = triangle.counts.len();
        if periods < self.max_delay + 1 {
            return Err(Error::OutOfSeries { start: 0, end: self.max_delay + 1, periods });
        }
        for (at, row) in triangle.counts.iter().enumerate() {
            if row.len() != self.max_delay + 1 {
                let (got, periods) = (row.len(), self.max_delay + 1);
                return Err(Error::Length { what: "row of the triangle", got, periods });
            }
            if let Some(value) = row.iter().copied().find(|v| v.is_nan() || *v < 0.0) {
                return Err(Error::Negative { at, value });
            }
            if let Some(value) = row.iter().copied().find(|v| *v > MAX) {
                return Err(Error::TooLarge { at, value, max: MAX });
            }
        }
        Ok(())
    }

    /// The reported share after d periods, d = 0 … `max_delay`.
    fn shares(&self, triangle: &Triangle) -> Vec<Share> {
        let last = triangle.counts.len() - 1;
        let (with, upto) = triangle.by_delay(self.max_delay, self.window.unwrap_or(last));
        match self.method {
            NowcastMethod::Bnb | NowcastMethod::Bayes { truncated: false } => {
                let all: f64 = with.iter().map(|n| n + self.kappa).sum();
                let mut a = 0.0;
                with.iter()
                    .map(|n| {
                        a += n + self.kappa;
                        Share { mean: a / all, variance: 0.0, a, b: (all - a).max(0.0) }
                    })
                    .collect()
            }
            NowcastMethod::Bayes { truncated: true } => self.by_hazards(&with, &upto),
            NowcastMethod::Lawless => self.lawless(&with, &upto),
        }
    }

    /// Π (1 − g) over longer delays, each hazard g with a beta posterior; a beta distribution with the same first two moments.
    fn by_hazards(&self, with: &[f64], upto: &[f64]) -> Vec<Share> {
        let (mut first, mut second) = (1.0, 1.0);
        let mut shares = vec![Share { mean: 1.0, variance: 0.0, a: 1.0, b: 0.0 }; with.len()];
        for delay in (1..with.len()).rev() {
            let a = self.kappa + with[delay];
            let b = self.kappa * delay as f64 + upto[delay] - with[delay];
            first *= b / (a + b);
            second *= b * (b + 1.0) / ((a + b) * (a + b + 1.0));
            let variance: f64 = (second - first * first).max(1e-300);
            let size = first * (1.0 - first) / variance - 1.0;
            shares[delay - 1] =
                Share { mean: first, variance, a: first * size, b: (1.0 - first) * size };
        }
        shares
    }

    /// Π (1 − ĝ) over longer delays, and its variance by Greenwood's formula.
    fn lawless(&self, with: &[f64], upto: &[f64]) -> Vec<Share> {
        let (mut mean, mut sum) = (1.0, 0.0);
        let mut shares = vec![Share { mean: 1.0, variance: 0.0, a: 0.0, b: 0.0 }; with.len()];
        for delay in (1..with.len()).rev() {
            let hazard = if upto[delay] > 0.0 { with[delay] / upto[delay] } else { 0.0 };
            mean *= 1.0 - hazard;
            let term = hazard / (upto[delay] * (1.0 - hazard));
            sum += if term.is_finite() { term } else { 0.0 };
            shares[delay - 1] = Share { mean, variance: mean * mean * sum, a: 0.0, b: 0.0 };
        }
        shares
    }

    fn estimate(&self, seen: f64, share: &Share) -> Estimate {
        let complete = share.mean >= 1.0;
        let levels = [0.5, self.alpha / 2.0, 1.0 - self.alpha / 2.0];
        let [median, lower, upper] = match self.method {
            _ if complete => [Some(seen); 3],
            NowcastMethod::Lawless => levels.map(|level| self.normal_quantile(seen, share, level)),
            NowcastMethod::Bnb | NowcastMethod::Bayes { .. } => {
                let mut unseen = match self.method {
                    NowcastMethod::Bnb => Unseen::Bnb { n: seen + 1.0, a: share.a, b: share.b },
                    _ => Unseen::mixture(seen, share, self.prior),
                };
                let support = self.support as f64 - seen;
                quantiles(&mut unseen, support, levels).map(|q| q.map(|unseen| seen + unseen))
            }
        };
        Estimate { seen, median, lower, upper }
    }

    /// Quantile of the normal prediction, truncated below `seen`.
    fn normal_quantile(&self, seen: f64, share: &Share, level: f64) -> Option<f64> {
        let w = share.mean;
        let mean = seen / w;
        let within = seen * (1.0 - w) / (w * w);
        let variance = match self.compat {
            Compat::R => within,
            Compat::Corrected => seen * (seen + 1.0) / w.powi(4) * share.variance + within,
        };
        if variance.is_nan() || variance <= 0.0 || w <= 0.0 {
            return (w > 0.0).then_some(mean);
        }
        let sd = variance.sqrt();
        let distribution = |x: f64| match self.compat {
            Compat::R => normal::cdf((x - mean) / sd) / normal::upper((seen - mean) / sd),
            Compat::Corrected => {
                let above = |x: f64| normal::upper((x - mean) / sd);
                1.0 - above(x + 0.5) / above(seen - 0.5)
            }
        };
        let (mut low, mut high) = (seen - 1.0, self.support as f64);
        if distribution(high) < level {
            return None;
        }
        while high - low > 1.0 {
            let middle = f64::floor((low + high) / 2.0);
            if distribution(middle) >= level { high = middle } else { low = middle }
        }
        Some(high)
    }
}

/// The share of a period's cases that is reported by now.
#[derive(Debug, Clone, Copy)]
struct Share {
    mean: f64,
    variance: f64,
    /// Parameters of its beta posterior.
    a: f64,
    b: f64,
}

/// Distribution of the cases not yet reported, one probability after the other.
#[derive(Debug)]
enum Unseen {
    /// Beta-negative-binomial.
    Bnb { n: f64, a: f64, b: f64 },
    /// A mixture of negative binomials of one size: weight times probability, and 1 − prob, of each.
    Mixture { size: f64, parts: Vec<(f64, f64)> },
}

impl Unseen {
    /// Cases not yet reported given those `seen`, the posterior of the share, and the prior of the count.
    fn mixture(seen: f64, share: &Share, prior: CountPrior) -> Self {
        let size = prior.mean * prior.mean / (prior.variance - prior.mean);
        let rate = size / prior.mean;
        let of = |f: f64| (size + seen, (rate + f) / (rate + 1.0));
        let mut parts: Vec<(f64, f64)> = share
            .points()
            .into_iter()
            .map(|(weight, f)| {
                let (size, prob) = of(f);
                (weight * (size * prob.ln()).exp(), 1.0 - prob)
            })
            .collect();
        if parts.is_empty() {
            let (size, prob) = of(share.mean);
            parts.push(((size * prob.ln()).exp(), 1.0 - prob));
        }
        Self::Mixture { size: size + seen, parts }
    }

    /// P(0).
    fn first(&self) -> f64 {
        match self {
            Self::Bnb { n, a, b } => ln_beta_ratio(*a, *b, *n).exp(),
            Self::Mixture { parts, .. } => parts.iter().map(|p| p.0).sum(),
        }
    }

    /// P(k + 1) from P(k).
    fn next(&mut self, k: f64, p: f64) -> f64 {
        match self {
            Self::Bnb { n, a, b } => p * (*n + k) / (k + 1.0) * (*b + k) / (*a + *b + *n + k),
            Self::Mixture { size, parts } => {
                let scale = (*size + k) / (k + 1.0);
                parts.iter_mut().for_each(|part| part.0 *= scale * part.1);
                parts.iter().map(|part| part.0).sum()
            }
        }
    }
}

/// ln(B(a + n, b) / B(a, b)).
fn ln_beta_ratio(a: f64, b: f64, n: f64) -> f64 {
    // Γ(x)·x = Γ(x+1), and Stirling's formula with its error.
    let ln_gamma =
        |x: f64| stirling_error(x) + 0.5 * (std::f64::consts::TAU / x).ln() + x * x.ln() - x;
    ln_gamma(a + n) - ln_gamma(a + b + n) - (ln_gamma(a) - ln_gamma(a + b))
}

impl Share {
    /// Points of the beta posterior and their weights, on the scale ln(f / (1 − f)).
    fn points(&self) -> Vec<(f64, f64)> {
        let (a, b) = (self.a, self.b);
        if !(a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite()) {
            return Vec::new();
        }
        let middle = (a / b).ln();
        let sd = (1.0 / a + 1.0 / b).sqrt();
        let (low, high) =
            (middle - 8.0 * sd - 30.0 / (1.0 + a), middle + 8.0 * sd + 30.0 / (1.0 + b));
        let ln_weight = |x: f64| a * -((-x).exp().ln_1p()) - b * x.exp().ln_1p();
        let top = ln_weight(middle);
        let step = (high - low) / (POINTS - 1) as f64;
        let raw: Vec<(f64, f64)> = (0..POINTS)
            .map(|i| {
                let x = low + step * i as f64;
                ((ln_weight(x) - top).exp(), 1.0 / (1.0 + (-x).exp()))
            })
            .collect();
        let sum: f64 = raw.iter().map(|p| p.0).sum();
        raw.into_iter().map(|(weight, f)| (weight / sum, f)).collect()
    }
}

/// The least counts at which the distribution reaches the levels; `None` beyond the support.
fn quantiles(unseen: &mut Unseen, support: f64, levels: [f64; 3]) -> [Option<f64>; 3] {
    let mut found = [None; 3];
    let (mut k, mut p) = (0.0, unseen.first());
    let mut sum = p;
    while k <= support {
        for (slot, level) in found.iter_mut().zip(levels) {
            if slot.is_none() && sum >= level {
                *slot = Some(k);
            }
        }
        if found.iter().all(Option::is_some) {
            break;
        }
        p = unseen.next(k, p);
        sum += p;
        k += 1.0;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thirty days of 20 cases, of which half are reported at once, a quarter a day later, an eighth each two and three days later.
    fn triangle() -> Triangle {
        let shares = [8.0, 4.0, 2.0, 2.0];
        let row = |back: usize| {
            shares.iter().enumerate().map(|(d, s)| if d <= back { *s } else { 0.0 }).collect()
        };
        Triangle { counts: (0..30).rev().map(row).collect() }
    }

    #[test]
    fn what_is_on_its_way_is_added() {
        for method in [
            NowcastMethod::Bnb,
            NowcastMethod::Lawless,
            NowcastMethod::Bayes { truncated: false },
            NowcastMethod::Bayes { truncated: true },
        ] {
            let nowcast = Nowcast { method, max_delay: 3, ..Nowcast::default() };
            let estimates = nowcast.estimates(&triangle()).expect("counts");
            let seen: Vec<f64> = estimates.iter().map(|e| e.seen).collect();
            assert_eq!(seen, [16.0, 14.0, 12.0, 8.0]);
            for (at, estimate) in estimates.iter().enumerate() {
                let median = estimate.median.expect("a median");
                assert!((13.0..19.0).contains(&median), "{method:?} {at}: {estimate:?}");
                assert!(estimate.lower <= estimate.median && estimate.median <= estimate.upper);
            }
            assert_eq!(estimates[0].upper, Some(16.0), "{method:?}: all reports are in");
        }
    }

    /// Lawless with one delay: ten periods of which 8 reports came at once and 4 a period later, and 8 reports of today.
    #[test]
    fn lawless_has_the_variance_of_the_hazard_where_r_throws_it_away() {
        let mut counts = vec![vec![8.0, 4.0]; 10];
        counts.push(vec![8.0, 0.0]);
        let triangle = Triangle { counts };
        let upper = |compat| {
            let method = NowcastMethod::Lawless;
            let nowcast = Nowcast { method, max_delay: 1, compat, ..Nowcast::default() };
            nowcast.estimates(&triangle).expect("counts")[1].upper.expect("an upper limit")
        };
        // The hazard is 40/120, so two thirds of today's reports are in.
        let (hazard, seen): (f64, f64) = (40.0 / 120.0, 8.0);
        let share = 1.0 - hazard;
        let of_share = share * share * hazard / (120.0 * (1.0 - hazard));
        let (mean, within) = (seen / share, seen * (1.0 - share) / (share * share));
        let whole = within + seen * (seen + 1.0) / share.powi(4) * of_share;
        let above = |x: f64, variance: f64| normal::upper((x - mean) / variance.sqrt());
        let corrected = |x: f64| 1.0 - above(x + 0.5, whole) / above(seen - 0.5, whole);
        let r = |x: f64| (1.0 - above(x, within)) / above(seen, within);
        let first = |distribution: &dyn Fn(f64) -> f64| {
            (8..100).map(f64::from).find(|x| distribution(*x) >= 0.975).expect("a quantile")
        };
        assert_eq!(upper(Compat::Corrected), first(&corrected));
        assert_eq!(upper(Compat::R), first(&r));
        assert!(of_share > 0.0 && corrected(first(&corrected)) < r(first(&corrected)));
    }

    #[test]
    fn nothing_reported_yet_has_an_answer_or_none_but_no_nan() {
        let empty = Triangle { counts: vec![vec![0.0; 4]; 10] };
        for method in [NowcastMethod::Bnb, NowcastMethod::Lawless] {
            let nowcast = Nowcast { method, max_delay: 3, ..Nowcast::default() };
            for estimate in nowcast.estimates(&empty).expect("counts") {
                assert!(estimate.median.is_none_or(f64::is_finite));
            }
            assert!(nowcast.estimates(&Triangle { counts: vec![] }).is_err());
            let bad = Triangle { counts: vec![vec![f64::NAN; 4]; 10] };
            assert!(matches!(nowcast.estimates(&bad), Err(Error::Negative { at: 0, .. })));
        }
    }
}
