//! Benford's law: do first digits of amounts fall as they do where amounts span orders of magnitude?
//!
//! In: amounts of one kind from one source. Out: counts per digit, chi-square with 8 degrees of freedom, and the mean
//! absolute deviation of the shares. A screen, never evidence by itself.

use crate::detect::{Compat, Error, math::gamma, parameter};

/// Benford: are these amounts of a kind that nature makes?
///
/// # What it finds
/// Declared amounts (sales, tax bases, fines, grants) that were made up, split under a threshold or copied.
///
/// # Parameters
/// - `min_n` — fewest amounts other than zero, 1 or more; default 300.
/// - `alpha` — probability of a false alarm, between 0 and 0.5; default 0.001.
/// - `min_deviation` — mean absolute deviation of the shares below which there is no alarm, 0 or more; default 0.015
///   (Nigrini's "nonconformity").
/// - `compat` — `r` takes the digit by a division, by which 0.6 begins with 5; default `corrected`.
///
/// # When it misleads
/// Prices, amounts with a floor or a ceiling, and numbers that span less than two orders of magnitude do not follow the
/// law at all. With many thousands of amounts chi-square rejects on trifles: look at the deviation.
///
/// # Source
/// Nigrini 2012, Benford's Law, Wiley. Golden family `benford`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Benford {
    /// Fewest amounts other than zero.
    pub min_n: usize,
    /// Probability of a false alarm.
    pub alpha: f64,
    /// Mean absolute deviation of the shares below which there is no alarm.
    pub min_deviation: f64,
    /// How the first digit is taken.
    pub compat: Compat,
}

impl Default for Benford {
    fn default() -> Self {
        Self { min_n: 300, alpha: 0.001, min_deviation: 0.015, compat: Compat::Corrected }
    }
}

impl Benford {
    /// Are the parameters in their ranges?
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first that is not.
    pub fn check(&self) -> Result<(), Error> {
        parameter("min_n", self.min_n as f64, self.min_n > 0, "1 or more")?;
        parameter("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 0.5, "between 0 and 0.5")?;
        let fits = self.min_deviation >= 0.0 && self.min_deviation.is_finite();
        parameter("min_deviation", self.min_deviation, fits, "0 or more")
    }
}

/// First digits against the law.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Digits {
    /// Amounts with a first digit.
    pub n: u64,
    /// How many begin with 1 .. 9.
    pub observed: [u64; 9],
    /// How many should.
    pub expected: [f64; 9],
    /// Pearson's statistic, 8 degrees of freedom.
    pub chi_square: f64,
    /// Its p-value.
    pub p: f64,
    /// Mean absolute deviation between observed and expected shares.
    pub deviation: f64,
    /// Whether both say that the amounts are not of that kind.
    pub alarm: bool,
}

/// Counts the first digits of `amounts`; zeros have none and are left out, signs do not matter.
///
/// # Errors
/// A parameter out of range, an amount that is not finite, fewer than `min_n` amounts with a first digit.
pub fn judge(amounts: &[f64], with: &Benford) -> Result<Digits, Error> {
    with.check()?;
    let mut observed = [0_u64; 9];
    for (at, &value) in amounts.iter().enumerate() {
        if !value.is_finite() {
            return Err(Error::Value { what: "amount", at, value, range: "a finite number" });
        }
        if let Some(digit) = first_digit(value, with.compat) {
            observed[usize::from(digit) - 1] += 1;
        }
    }
    let n: u64 = observed.iter().sum();
    let needed = with.min_n;
    if n < needed as u64 {
        return Err(Error::TooFew { what: "amounts other than zero", got: n as usize, needed });
    }
    let share = |i: usize| (1.0 + 1.0 / (i + 1) as f64).log10();
    let expected: [f64; 9] = std::array::from_fn(|i| n as f64 * share(i));
    let digits = || observed.iter().zip(expected).map(|(&o, e)| (o as f64, e));
    let chi_square = digits().map(|(o, e)| (o - e).powi(2) / e).sum();
    let deviation = digits().map(|(o, e)| (o - e).abs()).sum::<f64>() / (9.0 * n as f64);
    let p = gamma::chi_square_upper(chi_square, 8.0);
    let alarm = p < with.alpha && deviation > with.min_deviation;
    Ok(Digits { n, observed, expected, chi_square, p, deviation, alarm })
}

/// The first significant digit; `None` for zero.
fn first_digit(value: f64, compat: Compat) -> Option<u8> {
    match compat {
        // Of the shortest decimal that stands for the value, so of what was written.
        Compat::Corrected => {
            let digit = format!("{:e}", value.abs()).bytes().next()?.checked_sub(b'0')?;
            (1..=9).contains(&digit).then_some(digit)
        }
        Compat::R => {
            let magnitude = value.abs().log10().floor();
            let digit = (value.abs() / 10.0_f64.powf(magnitude)).floor();
            (1.0..10.0).contains(&digit).then_some(digit as u8)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any() -> Benford {
        Benford { min_n: 1, ..Benford::default() }
    }

    #[test]
    fn first_digits() {
        for (value, digit) in [
            (0.0, None),
            (-0.0031, Some(3)),
            (9.999, Some(9)),
            (1e300, Some(1)),
            (5e-324, Some(5)),
            (0.3, Some(3)),
            (700.0, Some(7)),
        ] {
            assert_eq!(first_digit(value, Compat::Corrected), digit, "{value}");
        }
        assert_eq!(first_digit(0.6, Compat::Corrected), Some(6));
        assert_eq!(first_digit(0.6, Compat::R), Some(5), "0.6 / 0.1 is below 6");
    }

    #[test]
    fn powers_of_two_follow_the_law_and_prices_do_not() {
        let powers: Vec<f64> = (0..900).map(|i| 2.0_f64.powi(i)).collect();
        assert!(judge(&powers, &any()).unwrap().p > 0.99);
        let prices = judge(&[9.9; 400], &any()).unwrap();
        assert_eq!(prices.p, 0.0);
        assert_eq!(prices.observed[8], 400);
        assert!(prices.alarm && !judge(&powers, &any()).unwrap().alarm);
    }

    #[test]
    fn too_few_and_no_numbers_are_errors() {
        assert!(judge(&[1.0; 299], &Benford::default()).is_err());
        assert!(judge(&[0.0; 10_000], &any()).is_err());
        assert!(judge(&[], &Benford { min_n: 0, ..any() }).is_err());
        assert!(matches!(judge(&[1.0, f64::NAN], &any()), Err(Error::Value { at: 1, .. })));
    }

    proptest! {
        #[test]
        fn never_nan(amounts in prop::collection::vec(prop::num::f64::ANY, 0..50)) {
            if let Ok(b) = judge(&amounts, &any()) {
                prop_assert!((0.0..=1.0).contains(&b.p) && b.chi_square.is_finite() && b.deviation.is_finite());
            }
        }
    }
}
