//! Fisher's exact test of two shares, with the conditional estimate of the odds ratio.
//!
//! In: failures and samples of two groups. Out: exact p-values given both margins, and the odds ratio that makes the
//! observed count the expected one.

use crate::detect::{
    Compat, Error, Judgement, Verdict,
    math::{density::ln_binomial, root},
    parameter,
};

/// Most outcomes that are summed over.
const OUTCOMES_MAX: u64 = 2_000_000;

/// Fisher's exact test: is the rate of one group above that of another, however few the samples?
///
/// # What it finds
/// As `two_proportions`, exactly, however few the samples: one product of ten failed against five of ninety.
///
/// # Parameters
/// - `alpha` — one-sided probability of a false alarm, between 0 and 0.5; default 0.01.
/// - `compat` — `r` stops the search for the odds ratio at a step of 1.2e-4, as R does; default `corrected`.
///
/// # When it misleads
/// It is cautious: with few samples its true level is far below `alpha`. The odds ratio is conditional, not `ad / bc`.
///
/// # Source
/// Fisher 1935, J. R. Stat. Soc. 98, 39–82. Golden family `proportions`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fisher {
    /// One-sided probability of a false alarm.
    pub alpha: f64,
    /// Whose odds ratio.
    pub compat: Compat,
}

impl Default for Fisher {
    fn default() -> Self {
        Self { alpha: 0.01, compat: Compat::Corrected }
    }
}

impl Fisher {
    /// Judges `x1` failures of `n1` samples against `x2` of `n2`. `expected` is in failures of the first group at the common
    /// rate; `score` is the odds ratio, where it is finite.
    ///
    /// # Errors
    /// As [`test()`]; `alpha` out of range.
    pub fn judge(&self, x1: u64, n1: u64, x2: u64, n2: u64) -> Result<Verdict, Error> {
        parameter("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 0.5, "between 0 and 0.5")?;
        let found = test(x1, n1, x2, n2, self.compat)?;
        Ok(Judgement::new(found.p_greater < self.alpha)
            .expected(n1 as f64 * ((x1 + x2) as f64 / (n1 + n2) as f64))
            .score(found.odds_ratio)
            .p_value(found.p_greater)
            .into())
    }
}

/// What the table says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Table {
    /// Two-sided: the probability of all tables no likelier than this one.
    pub p_two_sided: f64,
    /// Probability of as many failures in the first group or more.
    pub p_greater: f64,
    /// Conditional maximum-likelihood odds ratio; 0 or infinite where a margin's end is reached.
    pub odds_ratio: f64,
}

/// Compares `x1` of `n1` with `x2` of `n2`.
///
/// # Errors
/// No samples in a group, more failures than samples, more than 2,000,000 possible tables.
pub fn test(x1: u64, n1: u64, x2: u64, n2: u64, compat: Compat) -> Result<Table, Error> {
    super::four_cells(x1, n1, x2, n2)?;
    let table = Tables::new(n1, n2, x1 + x2)?;
    let at = (x1 - table.first) as usize;
    let here = table.ln_weight[at];
    let weights: Vec<f64> = table.ln_weight.iter().map(|w| (w - table.highest).exp()).collect();
    let total: f64 = weights.iter().sum();
    let limit = (here - table.highest).exp() * (1.0 + 1e-7);
    let rare: f64 = weights.iter().filter(|w| **w <= limit).sum();
    Ok(Table {
        p_two_sided: (rare / total).min(1.0),
        p_greater: (weights[at..].iter().sum::<f64>() / total).min(1.0),
        odds_ratio: table.odds_ratio(x1, compat)?,
    })
}

/// All tables with the same margins, by the first group's failures.
struct Tables {
    first: u64,
    ln_weight: Vec<f64>,
    highest: f64,
}

impl Tables {
    fn new(n1: u64, n2: u64, failures: u64) -> Result<Self, Error> {
        let (first, last) = (failures.saturating_sub(n2), failures.min(n1));
        if last - first >= OUTCOMES_MAX {
            return Err(Error::TooMany {
                what: "possible tables",
                got: usize::try_from(last - first).unwrap_or(usize::MAX),
                max: OUTCOMES_MAX as usize,
            });
        }
        let share = failures as f64 / (n1 + n2) as f64;
        // Which share does not matter for the ratios; this one keeps the likely tables near weight 1.
        let share = share.clamp(1e-12, 1.0 - 1e-12);
        let ln_weight: Vec<f64> = (first..=last)
            .map(|x| {
                ln_binomial(x as f64, n1 as f64, share, 1.0 - share)
                    + ln_binomial((failures - x) as f64, n2 as f64, share, 1.0 - share)
            })
            .collect();
        let highest = ln_weight.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Ok(Self { first, ln_weight, highest })
    }

    /// The mean of the first group's failures at an odds ratio.
    fn mean(&self, odds: f64) -> f64 {
        if odds == 0.0 {
            return self.first as f64;
        }
        let ln_odds = odds.ln();
        let ln = |i: usize| self.ln_weight[i] + ln_odds * (self.first as f64 + i as f64);
        let highest = (0..self.ln_weight.len()).map(ln).fold(f64::NEG_INFINITY, f64::max);
        let (mut total, mut sum) = (0.0, 0.0);
        for i in 0..self.ln_weight.len() {
            let weight = (ln(i) - highest).exp();
            total += weight;
            sum += weight * (self.first as f64 + i as f64);
        }
        sum / total
    }

    fn odds_ratio(&self, x: u64, compat: Compat) -> Result<f64, Error> {
        let last = self.first + self.ln_weight.len() as u64 - 1;
        // A single possible table says nothing about the odds; R calls that 0.
        if x == self.first {
            return Ok(0.0);
        }
        if x == last {
            return Ok(f64::INFINITY);
        }
        let tolerance = match compat {
            Compat::R => f64::EPSILON.powf(0.25),
            Compat::Corrected => 1e-15,
        };
        let (x, even) = (x as f64, self.mean(1.0));
        let none = Error::NoAnswer { why: "no odds ratio has this table as its mean" };
        if even > x {
            root::brent(0.0, 1.0, tolerance, |t| self.mean(t) - x).ok_or(none)
        } else if even < x {
            root::brent(f64::EPSILON, 1.0, tolerance, |t| self.mean(1.0 / t) - x)
                .map(|t| 1.0 / t)
                .ok_or(none)
        } else {
            Ok(1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn eight_of_a_hundred_against_thirty_of_a_thousand() {
        let t = test(8, 100, 30, 1000, Compat::R).unwrap();
        for (got, want) in [
            (t.p_two_sided, 0.0172178362776186),
            (t.p_greater, 0.0172178362776186),
            (t.odds_ratio, 2.80769688335718),
        ] {
            assert!((got - want).abs() < 1e-9, "{got} is not {want}");
        }
    }

    #[test]
    fn verdicts() {
        let judge = |x1, n1| Fisher::default().judge(x1, n1, 5, 90).unwrap();
        assert!(judge(4, 10).alarm() && !judge(3, 10).alarm());
    }

    #[test]
    fn corrected_odds_ratio_solves_its_equation() {
        let ours = test(15, 60, 6, 55, Compat::Corrected).unwrap().odds_ratio;
        let r = test(15, 60, 6, 55, Compat::R).unwrap().odds_ratio;
        let miss = |odds| (Tables::new(60, 55, 21).unwrap().mean(odds) - 15.0).abs();
        assert!(miss(ours) < 1e-12, "{ours}");
        assert!(miss(r) > 1e-9, "R stops early: {r}");
    }

    proptest! {
        #[test]
        fn never_nan(x1 in 0..60_u64, n1 in 0..60_u64, x2 in 0..3000_u64, n2 in 0..3000_u64) {
            if let Ok(t) = test(x1, n1, x2, n2, Compat::Corrected) {
                prop_assert!((0.0..=1.0).contains(&t.p_two_sided));
                prop_assert!((0.0..=1.0).contains(&t.p_greater));
                prop_assert!(t.odds_ratio >= 0.0);
            }
        }
    }
}
