//! One share against a baseline: is `x` of `n` more than `p0` explains?
//!
//! In: failures, samples, baseline rate. Out: exact, mid-p and chi-square p-values. The interval for the rate itself
//! (Clopper–Pearson, Wilson) stands beside them for the alert's text.
//! Not here: two groups (`two_proportions`, `fisher`), many subjects (`funnel`, `beta_binomial`).

use std::ops::Range;

use crate::detect::{
    Compat, Error, Judgement, Population, Profile, Series, SeriesDetector, Undefined, Verdict,
    math::{beta, binomial, gamma, normal},
    parameter,
};

/// Two-sided confidence of the intervals unless told otherwise.
pub const LEVEL: f64 = 0.95;

/// Proportion: is a failure rate above its baseline?
///
/// # What it finds
/// A subject, product or period whose failure rate in sampling is above the group's.
///
/// # Parameters
/// - `test` — `mid_p`, `exact` or `score`; default `mid_p`.
/// - `alpha` — one-sided probability of a false alarm, between 0 and 0.5; default 0.01.
/// - `min_n` — fewest samples that are judged, 1 or more; default 3.
/// - `history` — of a series: periods right before whose failures and samples together are the baseline, 1 to 1,000;
///   default 12. Half a failure is added to them, so that a baseline without any is not certain.
///
/// # When it misleads
/// The baseline is taken as known: where it rests on few samples itself, compare two proportions instead. Targeted
/// sampling (following complaints) has a higher rate than routine sampling; use baselines of the same kind. The score
/// test needs n·p0 ≥ 5. Exact is cautious: its true level is below `alpha`, mid-p's is near it.
///
/// # Source
/// Clopper and Pearson 1934, Biometrika 26, 404–413; Wilson 1927, J. Am. Stat. Assoc. 22, 209–212; Lancaster 1961
/// (mid-p), J. Am. Stat. Assoc. 56, 223–234. Golden family
/// `proportions`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Proportion {
    /// Which p-value counts.
    pub test: Test,
    /// One-sided probability of a false alarm.
    pub alpha: f64,
    /// Fewest samples that are judged.
    pub min_n: u64,
    /// Periods of a series that are the baseline.
    pub history: usize,
}

/// Which p-value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Half of the probability of exactly this outcome counts.
    #[default]
    MidP,
    /// All of it counts.
    Exact,
    /// The normal approximation of the score.
    Score,
}

impl Default for Proportion {
    fn default() -> Self {
        Self { test: Test::MidP, alpha: 0.01, min_n: 3, history: 12 }
    }
}

impl Proportion {
    /// Are the parameters in their ranges?
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first that is not.
    pub fn check(&self) -> Result<(), Error> {
        parameter("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 0.5, "between 0 and 0.5")?;
        parameter("min_n", self.min_n as f64, self.min_n > 0, "1 or more")?;
        let history = (1..=1_000).contains(&self.history);
        parameter("history", self.history as f64, history, "1 to 1,000")
    }

    /// Judges `x` failures of `n` samples against the baseline rate `p0`, in (0, 1). `expected` is in failures, `score` in
    /// standard deviations; `TooEarly` with fewer than `min_n` samples.
    ///
    /// # Errors
    /// As [`test()`]; a parameter out of range.
    pub fn judge(&self, x: u64, n: u64, p0: f64) -> Result<Verdict, Error> {
        self.check()?;
        if n == 0 {
            return Ok(Verdict::NotDefined(Undefined::NoPopulation));
        }
        let found = test(x, n, p0)?;
        if n < self.min_n {
            return Ok(Verdict::TooEarly);
        }
        let expected = n as f64 * p0;
        let (z, p) = self.figures(&found, x, expected);
        Ok(Judgement::new(p < self.alpha).expected(expected).score(z).p_value(p).into())
    }

    /// Standard deviations, and the p-value that counts.
    fn figures(&self, found: &OneSample, x: u64, expected: f64) -> (f64, f64) {
        let z = found.chi_square.sqrt().copysign(x as f64 - expected);
        let p = match self.test {
            Test::MidP => found.mid_p_greater,
            Test::Exact => found.p_greater,
            Test::Score => normal::upper(z),
        };
        (z, p)
    }

    /// The most failures of `n` that are no alarm.
    fn bound(&self, n: u64, p0: f64) -> Result<u64, Error> {
        let (mut low, mut high) = (0, n + 1);
        while low < high {
            let x = low + (high - low) / 2;
            let alarms = x <= n && self.figures(&test(x, n, p0)?, x, n as f64 * p0).1 < self.alpha;
            if alarms || x > n { high = x } else { low = x + 1 }
        }
        Ok(low.saturating_sub(1))
    }

    /// The verdict on one period of a series of failures, `samples` of which lie behind each.
    fn judge_at(&self, series: &Series<'_>, samples: &[f64], at: usize) -> Result<Verdict, Error> {
        let Some(first) = at.checked_sub(self.history) else { return Ok(Verdict::TooEarly) };
        let failed = series.values[at];
        if failed.is_nan() {
            return Ok(Verdict::NotDefined(Undefined::NoValue));
        }
        let n = samples[at].round() as u64;
        let known = || (first..at).filter(|p| !series.values[*p].is_nan());
        let all: f64 = known().map(|p| samples[p]).sum();
        let bad: f64 = known().map(|p| series.values[p].min(samples[p])).sum();
        if n == 0 || all < 1.0 {
            return Ok(Verdict::NotDefined(Undefined::NoPopulation));
        }
        let (x, p0) = (failed.round() as u64, (bad + 0.5) / (all + 1.0));
        let verdict = self.judge(x, n, p0)?;
        let Verdict::Judged(judgement) = verdict else { return Ok(verdict) };
        Ok(judgement.upper_bound(self.bound(n, p0)? as f64).into())
    }
}

/// Values are failures, the population is samples.
impl SeriesDetector for Proportion {
    fn check(&self) -> Result<(), Error> {
        Self::check(self)
    }

    fn profile(&self) -> Profile {
        Profile { population: Population::Needed, ..Profile::TESTS.by_order() }
    }

    fn history(&self, _periods_per_year: usize) -> usize {
        self.history
    }

    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        Self::check(self)?;
        series.check_counts(&range)?;
        let samples = series.population.ok_or(Error::Missing { what: "population" })?;
        range.map(|at| self.judge_at(series, samples, at)).collect()
    }
}

/// What the sample says about the baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneSample {
    /// `P(X ≥ x)` at the baseline.
    pub p_greater: f64,
    /// Exact two-sided: the probability of all outcomes no likelier than this one.
    pub p_two_sided: f64,
    /// `P(X > x) + P(X = x) / 2`.
    pub mid_p_greater: f64,
    /// Score statistic `(x - n p0)² / (n p0 (1 - p0))`, 1 degree of freedom.
    pub chi_square: f64,
    /// Its two-sided p-value.
    pub p_chi_square: f64,
}

/// Tests `x` of `n` against the baseline `p0`.
///
/// # Errors
/// No samples, more failures than samples, a baseline outside (0, 1).
pub fn test(x: u64, n: u64, p0: f64) -> Result<OneSample, Error> {
    counts(x, n)?;
    parameter("baseline", p0, p0 > 0.0 && p0 < 1.0, "in (0, 1)")?;
    let exactly = binomial::probability(x, n, p0);
    let mean = n as f64 * p0;
    let chi_square = (x as f64 - mean).powi(2) / (mean * (1.0 - p0));
    Ok(OneSample {
        p_greater: binomial::at_least(x, n, p0),
        p_two_sided: two_sided(x, n, p0),
        mid_p_greater: binomial::tails(x, n, p0).upper + 0.5 * exactly,
        chi_square,
        p_chi_square: gamma::chi_square_upper(chi_square, 1.0),
    })
}

/// The exact interval of Clopper and Pearson for the rate behind `x` of `n`.
///
/// # Errors
/// No samples, more failures than samples, a level outside (0, 1).
pub fn clopper_pearson(x: u64, n: u64, level: f64) -> Result<(f64, f64), Error> {
    counts(x, n)?;
    let tail = tail_of(level)?;
    let (failed, passed) = (x as f64, (n - x) as f64);
    let low = if x == 0 { 0.0 } else { beta::quantile(failed, passed + 1.0, tail) };
    let high = if x == n { 1.0 } else { beta::quantile(failed + 1.0, passed, 1.0 - tail) };
    Ok((low, high))
}

/// Wilson's score interval for the rate behind `x` of `n`.
///
/// # Errors
/// As [`clopper_pearson`].
pub fn wilson(x: u64, n: u64, level: f64) -> Result<(f64, f64), Error> {
    counts(x, n)?;
    Ok(score_interval(x, n, 0.0, tail_of(level)?))
}

/// Wilson's interval with continuity correction.
///
/// The correction is 1/2. R's `prop.test` shrinks it to `|x - n p0|` where that is less, so that the interval depends
/// on the baseline it has nothing to do with; `Compat::R` does the same.
///
/// # Errors
/// As [`clopper_pearson`].
pub fn wilson_corrected(
    x: u64,
    n: u64,
    p0: f64,
    level: f64,
    compat: Compat,
) -> Result<(f64, f64), Error> {
    counts(x, n)?;
    let correction = match compat {
        Compat::Corrected => 0.5,
        Compat::R => f64::min(0.5, (x as f64 - n as f64 * p0).abs()),
    };
    Ok(score_interval(x, n, correction, tail_of(level)?))
}

fn score_interval(x: u64, n: u64, correction: f64, tail: f64) -> (f64, f64) {
    let (x, n, z) = (x as f64, n as f64, normal::quantile(1.0 - tail));
    let half = z * z / (2.0 * n);
    let end = |p: f64, side: f64| {
        let spread = z * (p * (1.0 - p) / n + half / (2.0 * n)).max(0.0).sqrt();
        (p + half + side * spread) / (1.0 + 2.0 * half)
    };
    let (low, high) = ((x - correction) / n, (x + correction) / n);
    let low = if low <= 0.0 { 0.0 } else { end(low, -1.0).max(0.0) };
    let high = if high >= 1.0 { 1.0 } else { end(high, 1.0).min(1.0) };
    (low, high)
}

/// All outcomes whose probability is no more than this one's, up to a relative 1e-7 of rounding.
fn two_sided(x: u64, n: u64, p0: f64) -> f64 {
    let mean = n as f64 * p0;
    if x as f64 == mean {
        return 1.0;
    }
    let limit = binomial::probability(x, n, p0) * (1.0 + 1e-7);
    let rare = |y: u64| binomial::probability(y, n, p0) <= limit;
    let both = if (x as f64) < mean {
        // Right of the mean probabilities fall: the rare ones are a tail.
        let first = first_that(mean.ceil() as u64, n + 1, rare);
        binomial::tails(x, n, p0).lower
            + if first > n { 0.0 } else { binomial::at_least(first, n, p0) }
    } else {
        // Left of the mean they rise: the rare ones end before the first that is not rare.
        let end = first_that(0, mean.floor() as u64 + 1, |y| !rare(y));
        binomial::at_least(x, n, p0)
            + if end == 0 { 0.0 } else { binomial::tails(end - 1, n, p0).lower }
    };
    both.min(1.0)
}

/// The first of `[low, high)` for which `holds`, `high` if none; once true it stays true.
fn first_that(mut low: u64, mut high: u64, holds: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

fn counts(x: u64, n: u64) -> Result<(), Error> {
    if n == 0 {
        return Err(Error::NoAnswer { why: "no samples" });
    }
    if n > super::COUNT_MAX {
        return Err(Error::Value {
            what: "sample size", at: 0, value: n as f64, range: "≤ 1e12"
        });
    }
    if x > n {
        return Err(Error::Value {
            what: "failures",
            at: 0,
            value: x as f64,
            range: "no more than the samples",
        });
    }
    Ok(())
}

fn tail_of(level: f64) -> Result<f64, Error> {
    if level > 0.0 && level < 1.0 {
        Ok((1.0 - level) / 2.0)
    } else {
        Err(Error::Parameter { name: "level", value: level.to_string(), range: "in (0, 1)" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn close(got: f64, want: f64) {
        assert!((got - want).abs() <= 1e-11 * want.abs() + 1e-15, "{got} is not {want}");
    }

    #[test]
    fn eight_failures_of_two_hundred() {
        let t = test(8, 200, 0.02).unwrap();
        close(t.p_greater, 0.0493350549448247);
        close(t.p_two_sided, 0.0669230015505463);
        close(t.mid_p_greater, 0.0347549654645377);
        close(t.chi_square, 4.08163265306122);
        let (low, high) = wilson(8, 200, LEVEL).unwrap();
        close(low, 0.0204056320661523);
        close(high, 0.0769320682009329);
        let (low, high) = clopper_pearson(8, 200, LEVEL).unwrap();
        close(low, 0.0174248089944806);
        close(high, 0.077291968226016);
    }

    #[test]
    fn verdicts() {
        let judge = |x, n| Proportion::default().judge(x, n, 0.02).unwrap();
        assert!(judge(10, 200).alarm() && !judge(8, 200).alarm());
        assert_eq!(judge(2, 2), Verdict::TooEarly);
        assert_eq!(judge(0, 0), Verdict::NotDefined(Undefined::NoPopulation));
    }

    #[test]
    fn a_period_is_held_against_those_before() {
        let samples = [50.0; 14];
        let mut failed = [1.0; 14];
        failed[13] = 6.0;
        let series = Series { population: Some(&samples), ..Series::new(&failed) };
        let found = Proportion::default().evaluate(&series, 11..14).unwrap();
        assert_eq!((found[0], found[1].alarm()), (Verdict::TooEarly, false));
        let judged = found[2].judged().unwrap();
        close(judged.expected.unwrap(), 50.0 * 12.5 / 601.0);
        // Five of fifty are an alarm already, four are none.
        assert_eq!((judged.alarm, judged.upper_bound), (true, Some(4.0)));
        assert!(Proportion::default().evaluate(&Series::new(&failed), 12..13).is_err());
    }

    #[test]
    fn correction_depends_on_the_baseline_in_r_only() {
        let at = |p0, compat| wilson_corrected(0, 10, p0, LEVEL, compat).unwrap().1;
        assert_eq!(at(0.03, Compat::Corrected), at(0.4, Compat::Corrected));
        assert!(at(0.03, Compat::R) < at(0.4, Compat::R));
        close(at(0.03, Compat::R), 0.318841509951513);
    }

    #[test]
    fn bad_input_is_an_error() {
        assert!(test(0, 0, 0.1).is_err());
        assert!(test(2, 1, 0.1).is_err());
        assert!(test(1, u64::MAX, 0.1).is_err());
        for p0 in [0.0, 1.0, -1.0, f64::NAN] {
            assert!(test(1, 2, p0).is_err());
        }
        assert!(wilson(1, 2, 1.0).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn all_numbers_are_probabilities(n in 1..super::super::COUNT_MAX, share in 0.0..=1.0, p0 in 1e-9..0.999_999) {
            let x = ((n as f64 * share) as u64).min(n);
            let t = test(x, n, p0).unwrap();
            for p in [t.p_greater, t.p_two_sided, t.mid_p_greater, t.p_chi_square] {
                prop_assert!((0.0..=1.0).contains(&p), "{t:?}");
            }
            prop_assert!(t.chi_square >= 0.0 && t.chi_square.is_finite());
            let (low, high) = wilson(x, n, LEVEL).unwrap();
            prop_assert!(0.0 <= low && low <= high && high <= 1.0);
        }

        #[test]
        fn exact_interval_holds_the_rate(n in 1_u64..5_000, share in 0.0..=1.0) {
            let x = ((n as f64 * share) as u64).min(n);
            let (low, high) = clopper_pearson(x, n, LEVEL).unwrap();
            let rate = x as f64 / n as f64;
            prop_assert!(0.0 <= low && low <= rate && rate <= high && high <= 1.0);
        }
    }
}
