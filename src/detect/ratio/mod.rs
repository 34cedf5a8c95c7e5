//! Ratio: shares, rates and tables of counts, compared with their group.

pub mod benford;
pub mod beta_binomial;
pub mod disproportionality;
pub mod fisher;
pub mod funnel;
pub mod gamma_poisson;
pub mod multiplicity;
pub mod proportion;
pub mod two_proportions;

pub use benford::Benford;
pub use beta_binomial::BetaBinomial;
pub use disproportionality::Disproportionality;
pub use fisher::Fisher;
pub use funnel::Funnel;
pub use gamma_poisson::GammaPoisson;
pub use multiplicity::Multiplicity;
pub use proportion::Proportion;
pub use two_proportions::TwoProportions;

use super::Error;

/// Largest count that is taken; beyond it a count is a unit or a parsing error, and tails cost seconds.
pub const COUNT_MAX: u64 = 1_000_000_000_000;

/// Checks two groups of failures in samples.
fn four_cells(x1: u64, n1: u64, x2: u64, n2: u64) -> Result<(), Error> {
    for (at, (x, n)) in [(x1, n1), (x2, n2)].into_iter().enumerate() {
        if n == 0 {
            return Err(Error::NoAnswer { why: "a group has no samples" });
        }
        if n > COUNT_MAX {
            return Err(Error::Value {
                what: "sample size", at, value: n as f64, range: "≤ 1e12"
            });
        }
        if x > n {
            let range = "no more than the samples";
            return Err(Error::Value { what: "failures", at, value: x as f64, range });
        }
    }
    Ok(())
}

/// The rate given, or all failures / all samples; strictly between 0 and 1.
fn common_rate(failures: &[u64], samples: &[u64], given: Option<f64>) -> Result<f64, Error> {
    if failures.len() != samples.len() {
        let (found, expected) = (failures.len(), samples.len());
        return Err(Error::Rows { what: "failures", got: found, wanted: expected });
    }
    if failures.is_empty() {
        return Err(Error::TooFew { what: "subjects", got: 0, needed: 1 });
    }
    for (at, (&x, &n)) in failures.iter().zip(samples).enumerate() {
        let bad = |what, value: u64, range| Error::Value { what, at, value: value as f64, range };
        if n == 0 || n > COUNT_MAX {
            return Err(bad("sample size", n, "in [1, 1e12]"));
        }
        if x > n {
            return Err(bad("failures", x, "no more than the samples"));
        }
    }
    match given {
        Some(rate) if rate > 0.0 && rate < 1.0 => Ok(rate),
        Some(value) => {
            Err(Error::Parameter { name: "baseline", value: value.to_string(), range: "in (0, 1)" })
        }
        None => {
            let sum = |counts: &[u64]| counts.iter().map(|&c| c as f64).sum::<f64>();
            let (failed, all) = (sum(failures), sum(samples));
            if failed == 0.0 || failed == all {
                return Err(Error::NoAnswer { why: "all samples of all subjects are alike" });
            }
            Ok(failed / all)
        }
    }
}
