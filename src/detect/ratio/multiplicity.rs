//! Multiple testing: p-values of many keys, made comparable to one level.
//!
//! In: the p-values of all keys that one run of a rule tested. Out: adjusted p-values in the same order; a key is
//! reported where its adjusted value is ≤ `q`. Keys without a verdict are not handed in: they were not tested.

use crate::detect::{Error, parameter};

/// Multiplicity: which of many tested keys may be reported?
///
/// # What it finds
/// Which of thousands of keys stand out beyond what chance does to some of them. `bh` and `by` keep the share of false
/// alarms among all alarms of a run below `q`; `bonferroni` and `holm` keep the chance of any false alarm in a run
/// below `q`.
///
/// # Parameters
/// - `method` — `bh`, `by`, `holm` or `bonferroni`; default `bh`.
/// - `q` — level, between 0 and 1; default 0.05.
///
/// # When it misleads
/// `bh` assumes tests that are independent or positively dependent; regions and their sub-regions in one run are,
/// shares that compete for one total are not (use `by`). Counts near zero have coarse p-values, which makes every
/// method cautious. Splitting one run into many small ones defeats the purpose.
///
/// # Source
/// Benjamini and Hochberg 1995, J. R. Stat. Soc. B 57, 289–300; Benjamini and Yekutieli 2001, Ann. Stat. 29,
/// 1165–1188; Holm 1979, Scand. J. Stat. 6, 65–70. Golden family `multiplicity`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Multiplicity {
    /// How p-values are adjusted.
    pub method: Method,
    /// Level.
    pub q: f64,
}

impl Default for Multiplicity {
    fn default() -> Self {
        Self { method: Method::BenjaminiHochberg, q: 0.05 }
    }
}

impl Multiplicity {
    /// Whether each of the keys with the p-values `p` may be reported.
    ///
    /// # Errors
    /// As [`adjust`]; `q` out of range.
    pub fn reported(&self, p: &[f64]) -> Result<Vec<bool>, Error> {
        parameter("q", self.q, self.q > 0.0 && self.q < 1.0, "between 0 and 1")?;
        Ok(adjust(p, self.method)?.into_iter().map(|adjusted| adjusted <= self.q).collect())
    }
}

/// How p-values are adjusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
pub enum Method {
    /// Step-up false discovery rate.
    #[default]
    #[serde(rename = "bh")]
    BenjaminiHochberg,
    /// The same under any dependence.
    #[serde(rename = "by")]
    BenjaminiYekutieli,
    /// Step-down family-wise error.
    #[serde(rename = "holm")]
    Holm,
    /// Family-wise error, each p-value times the number of tests.
    #[serde(rename = "bonferroni")]
    Bonferroni,
}

/// Adjusted p-values, in the order of `p`; each in `[0, 1]`.
///
/// # Errors
/// [`Error::Value`] with the first value that is no probability.
pub fn adjust(p: &[f64], method: Method) -> Result<Vec<f64>, Error> {
    if let Some(at) = p.iter().position(|p| !(0.0..=1.0).contains(p)) {
        return Err(Error::Value { what: "p-value", at, value: p[at], range: "in [0, 1]" });
    }
    let n = p.len() as f64;
    let harmonic: f64 = (1..=p.len()).map(|i| 1.0 / i as f64).sum();
    Ok(match method {
        Method::BenjaminiHochberg => step_up(p, |rank| n / rank),
        Method::BenjaminiYekutieli => step_up(p, |rank| harmonic * n / rank),
        Method::Holm => step_down(p, |rank| n - rank + 1.0),
        Method::Bonferroni => p.iter().map(|p| (n * p).min(1.0)).collect(),
    })
}

/// From the largest p-value down: each is no larger than the one above it.
fn step_up(p: &[f64], factor: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut out = vec![0.0; p.len()];
    let mut least = 1.0_f64;
    for (i, at) in ascending(p).into_iter().enumerate().rev() {
        least = least.min(factor((i + 1) as f64) * p[at]);
        out[at] = least;
    }
    out
}

/// From the smallest p-value up: each is no smaller than the one below it.
fn step_down(p: &[f64], factor: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut out = vec![0.0; p.len()];
    let mut most = 0.0_f64;
    for (i, at) in ascending(p).into_iter().enumerate() {
        most = most.max(factor((i + 1) as f64) * p[at]).min(1.0);
        out[at] = most;
    }
    out
}

/// The places of `p`, smallest value first.
fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&i, &j| p[i].total_cmp(&p[j]));
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const METHODS: [Method; 4] =
        [Method::BenjaminiHochberg, Method::BenjaminiYekutieli, Method::Holm, Method::Bonferroni];

    #[track_caller]
    fn check(method: Method, p: &[f64], want: &[f64]) {
        let got = adjust(p, method).unwrap();
        assert_eq!(got.len(), want.len());
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() < 1e-12, "{method:?}: {got:?} is not {want:?}");
        }
    }

    #[test]
    fn four_tests_by_hand() {
        let p = [0.04, 0.01, 0.03, 0.5];
        check(Method::BenjaminiHochberg, &p, &[0.16 / 3.0, 0.04, 0.16 / 3.0, 0.5]);
        check(Method::Holm, &p, &[0.09, 0.04, 0.09, 0.5]);
        check(Method::Bonferroni, &p, &[0.16, 0.04, 0.12, 1.0]);
        check(Method::BenjaminiYekutieli, &[0.01, 0.5], &[0.03, 0.75]);
        check(Method::BenjaminiHochberg, &[], &[]);
        let reported = Multiplicity { q: 0.054, ..Default::default() }.reported(&p).unwrap();
        assert_eq!(reported, [true, true, true, false]);
    }

    #[test]
    fn no_probability_is_an_error() {
        for bad in [f64::NAN, -0.1, 1.5, f64::INFINITY] {
            let got = adjust(&[0.5, bad], Method::Holm);
            assert!(matches!(got, Err(Error::Value { at: 1, .. })), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn adjusted_values_keep_the_order_and_never_fall(p in prop::collection::vec(0.0..=1.0, 0..200)) {
            for method in METHODS {
                let got = adjust(&p, method).unwrap();
                for i in 0..p.len() {
                    prop_assert!(got[i] >= p[i] * (1.0 - 1e-15) && got[i] <= 1.0);
                    for j in 0..i {
                        prop_assert!((p[i] <= p[j]) <= (got[i] <= got[j]) || p[i] == p[j]);
                    }
                }
            }
        }
    }
}
