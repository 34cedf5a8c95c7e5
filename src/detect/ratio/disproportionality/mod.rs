//! Disproportionality: which pairs of subject and topic are reported together more often than their margins explain.
//!
//! In: for a pair the reports with both, with the subject, with the topic, and all of them. Out: per measure an estimate
//! with its lower limit. [`ReportingRatios`] are ratios with large-sample limits, [`bcpnn`] and [`shrinkage`] the information
//! component, [`ebgm`] the empirical-Bayes mean with a prior fitted to all pairs ([`prior`]).

pub mod ebgm;
pub mod information;
pub mod prior;
mod reporting;

pub use information::{Information, bcpnn, shrinkage};
pub use reporting::{ReportingRatios, reporting_ratios};

use self::prior::Prior;
use crate::detect::{Error, Judgement, Verdict, parameter};

/// Disproportionality: which pairs of subject and topic are reported out of proportion?
///
/// # What it finds
/// Enterprise and complaint topic, product and defect, region and offence that come together more often than the two alone
/// explain. `ic_shrink` serves all counts with one formula; the other measures are there for comparison with other systems.
///
/// # Parameters
/// - `measure` — `ic_shrink`, `ic_bcpnn`, `prr`, `ror` or `ebgm`; default `ic_shrink`.
/// - `min_count` — fewest reports of a pair that alarms, 1 or more; default 3.
/// - `lower_limit_above` — what the lower limit of the measure must exceed; default 0 for `ic_shrink` and `ic_bcpnn`, 1 for
///   `prr` and `ror`, 2 for `ebgm`.
///
/// # When it misleads
/// A subject with one notorious topic hides its others (masking). Duplicates of one report count as many. It is a ratio of
/// reports, not a risk. `prr` and `ror` have no limit where a cell is empty; `ebgm` needs a few hundred pairs for its prior.
///
/// # Source
/// Norén, Hopstadius and Bate 2013, Stat. Methods Med. Res. 22, 57–69; Bate et al. 1998, Eur. J. Clin. Pharmacol. 54, 315–321;
/// Evans, Waller and Davis 2001, Pharmacoepidemiol. Drug Saf. 10, 483–486; DuMouchel 1999, Am. Stat. 53, 177–190. R: PhViD,
/// openEBGM. Golden family `disproportionality`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disproportionality {
    /// Which figure.
    pub measure: Measure,
    /// Fewest reports of a pair that alarms.
    pub min_count: u64,
    /// What the lower limit must exceed; `None`: the measure's own.
    pub lower_limit_above: Option<f64>,
}

/// Which figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// [`shrinkage`], limit at 2.5 %.
    #[default]
    IcShrink,
    /// [`bcpnn`], limit at 2.5 %.
    IcBcpnn,
    /// Proportional reporting ratio, limit at 2.5 %.
    Prr,
    /// Reporting odds ratio, limit at 2.5 %.
    Ror,
    /// [`ebgm()`](ebgm::ebgm), limit at 5 %.
    Ebgm,
}

impl Default for Disproportionality {
    fn default() -> Self {
        Self { measure: Measure::IcShrink, min_count: 3, lower_limit_above: None }
    }
}

impl Disproportionality {
    /// Are the parameters in their ranges?
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first that is not.
    pub fn check(&self) -> Result<(), Error> {
        parameter("min_count", self.min_count as f64, self.min_count > 0, "1 or more")?;
        let limit = self.limit();
        parameter("lower_limit_above", limit, limit.is_finite(), "a finite number")
    }

    fn limit(&self) -> f64 {
        self.lower_limit_above.unwrap_or(match self.measure {
            Measure::IcShrink | Measure::IcBcpnn => 0.0,
            Measure::Prr | Measure::Ror => 1.0,
            Measure::Ebgm => 2.0,
        })
    }

    /// Judges a pair; `prior` is read by `ebgm` alone. `expected` is in reports, `score` is the lower limit of the measure.
    ///
    /// # Errors
    /// A parameter or a prior out of range.
    pub fn judge(&self, pair: &Pair, prior: &Prior) -> Result<Verdict, Error> {
        self.check()?;
        let low = match self.measure {
            Measure::IcShrink => Some(shrinkage(pair).low),
            Measure::IcBcpnn => Some(bcpnn(pair).estimate.low),
            Measure::Prr => reporting_ratios(pair).prr.map(|e| e.low),
            Measure::Ror => reporting_ratios(pair).ror.map(|e| e.low),
            Measure::Ebgm => {
                Some(ebgm::ebgm(pair.observed(), pair.expected(), prior)?.quantile(0.05))
            }
        };
        let above = low.is_some_and(|low| low > self.limit());
        let judgement =
            Judgement::new(above && pair.observed() >= self.min_count).expected(pair.expected());
        Ok(low.map_or(judgement, |low| judgement.score(low)).into())
    }
}

/// An estimate with its two-sided 95 % limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its lower limit.
    pub low: f64,
    /// Its upper limit.
    pub high: f64,
}

/// Counts of reports around one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    both: u64,
    subject: u64,
    topic: u64,
    all: u64,
}

impl Pair {
    /// Reports with `both`, with the `subject`, with the `topic`, and `all` reports.
    ///
    /// # Errors
    /// A margin smaller than a part of it, no reports, more than 1e12 of them.
    pub fn try_new(both: u64, subject: u64, topic: u64, all: u64) -> Result<Self, Error> {
        let bad =
            |what, value: u64, range| Err(Error::Value { what, at: 0, value: value as f64, range });
        if all > super::COUNT_MAX {
            return bad("number of reports", all, "≤ 1e12");
        }
        if subject > all || topic > all {
            return bad("margin", subject.max(topic), "no more than all reports");
        }
        if both > subject.min(topic) || subject + topic - both > all {
            return bad("reports of the pair", both, "what its margins allow");
        }
        if subject == 0 || topic == 0 {
            return Err(Error::NoAnswer { why: "no reports of the subject or of the topic" });
        }
        Ok(Self { both, subject, topic, all })
    }

    /// Reports expected if subject and topic had nothing to do with each other; more than 0.
    #[must_use]
    pub fn expected(&self) -> f64 {
        self.subject as f64 * self.topic as f64 / self.all as f64
    }

    /// Reports of the pair.
    #[must_use]
    pub fn observed(&self) -> u64 {
        self.both
    }

    /// The four cells: both, subject only, topic only, neither.
    #[must_use]
    pub fn cells(&self) -> [f64; 4] {
        let neither = self.all + self.both - self.subject - self.topic;
        [self.both, self.subject - self.both, self.topic - self.both, neither].map(|c| c as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MEASURES: [Measure; 5] =
        [Measure::IcShrink, Measure::IcBcpnn, Measure::Prr, Measure::Ror, Measure::Ebgm];

    #[test]
    fn all_measures_see_a_strong_pair_and_none_a_weak_one() {
        let (strong, weak) =
            (Pair::try_new(40, 120, 300, 20_000), Pair::try_new(2, 120, 300, 20_000));
        for measure in MEASURES {
            let judge = |pair: &Result<Pair, Error>| {
                let with = Disproportionality { measure, ..Default::default() };
                with.judge(pair.as_ref().unwrap(), &Prior::START).unwrap().alarm()
            };
            assert!(judge(&strong) && !judge(&weak), "{measure:?}");
        }
    }

    #[test]
    fn one_report_where_almost_none_was_expected_is_calm() {
        let pair = Pair::try_new(1, 10, 10, 10_000).unwrap();
        assert!((shrinkage(&pair).value - 1.557).abs() < 0.001, "{:?}", shrinkage(&pair));
        assert!(shrinkage(&pair).low < 0.0);
    }

    #[test]
    fn a_topic_of_one_subject_alone_has_no_ratio_but_is_evans() {
        let pair = Pair::try_new(5, 50, 5, 1_000).unwrap();
        let ratios = reporting_ratios(&pair);
        assert_eq!((ratios.prr, ratios.ror, ratios.evans), (None, None, true));
    }

    #[test]
    fn bad_input_is_an_error() {
        for (both, subject, topic, all) in [
            (0, 0, 3, 9),
            (0, 3, 0, 9),
            (4, 3, 5, 9),
            (1, 10, 5, 9),
            (0, 5, 5, 9),
            (0, 0, 0, 0),
            (1, 2, 3, u64::MAX),
        ] {
            assert!(
                Pair::try_new(both, subject, topic, all).is_err(),
                "{both} {subject} {topic} {all}"
            );
        }
        let pairs = |expected| vec![prior::Weighted { n: 1, expected, weight: 1.0 }; 60];
        assert!(prior::fit(&pairs(1.0)[..49]).is_err());
        for bad in [f64::NAN, 0.0, -1.0, f64::INFINITY] {
            assert!(prior::fit(&pairs(bad)).is_err());
            assert!(ebgm::ebgm(1, bad, &Prior::START).is_err());
        }
        let share = Prior { share: 1.0, ..Prior::START };
        assert!(ebgm::ebgm(1, 1.0, &share).is_err());
    }

    #[test]
    fn squashing_keeps_the_weight_and_nearly_the_fit() {
        let pairs: Vec<prior::Weighted> = (0..600)
            .map(|i| {
                let n = 1 + u64::from(i % 7 == 0) * 3 + u64::from(i % 50 == 0) * 20;
                prior::Weighted { n, expected: 0.5 + f64::from(i % 90) / 30.0, weight: 1.0 }
            })
            .collect();
        let squashed = prior::squash(&pairs, 10, 20);
        assert!(squashed.len() < 200);
        assert_eq!(squashed.iter().map(|p| p.weight).sum::<f64>(), 600.0);
        let cost = |pairs: &[prior::Weighted]| prior::cost(pairs, &Prior::START).unwrap();
        assert!((cost(&pairs) / cost(&squashed) - 1.0).abs() < 1e-3);
        let fit = prior::fit(&squashed).unwrap();
        assert!(fit.cost <= cost(&squashed) && fit.prior.check().is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn never_nan(both in 0..1_000_000_000_u64, b in 0..1_000_000_u64, c in 0..1_000_000_000_u64, d in 0..100_000_000_000_u64) {
            if let Ok(pair) = Pair::try_new(both, both + b, both + c, both + b + c + d) {
                for measure in MEASURES {
                    let with = Disproportionality { measure, ..Default::default() };
                    let verdict = with.judge(&pair, &Prior::START).unwrap();
                    prop_assert!(verdict.judged().unwrap().expected.is_some());
                }
                let (calm, network) = (shrinkage(&pair), bcpnn(&pair).estimate);
                for e in [calm, network] {
                    prop_assert!(e.low <= e.value && e.value <= e.high && e.low.is_finite(), "{:?}", e);
                }
                let eb = ebgm::ebgm(pair.observed(), pair.expected(), &Prior::START).unwrap();
                prop_assert!(eb.value > 0.0 && eb.quantile(0.05) <= eb.quantile(0.95));
                prop_assert!((0.0..=1.0).contains(&eb.p_at_most(1.0)));
            }
        }
    }
}
