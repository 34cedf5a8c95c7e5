//! First digits by R's division, chi-square with 8 degrees of freedom.

use forewarn::detect::{Compat, ratio::benford};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let input = case.side("input")?.ok_or("no input")?;
    let summary = case.side("summary")?.ok_or("no summary")?;
    let (names, values) = (input.text("series")?, input.numbers("value")?);
    let digits = case.table.numbers("digit")?;
    let [observed, expected] = case.table.columns(["observed", "expected"])?;
    for (row, name) in summary.text("series")?.into_iter().enumerate() {
        let of_name = names.iter().zip(&values).filter(|(n, _)| **n == name);
        let amounts: Vec<f64> = of_name.map(|(_, v)| *v).collect();
        let with = benford::Benford { min_n: 1, compat: Compat::R, ..Default::default() };
        let got = benford::judge(&amounts, &with).map_err(|e| e.to_string())?;
        for (column, got) in [
            ("n", got.n as f64),
            ("chi2", got.chi_square),
            ("df", 8.0),
            ("p", got.p),
            ("mad", got.deviation),
        ] {
            check.near(column, row, got, summary.numbers(column)?[row]);
        }
        for (at, _) in case.table.text("series")?.iter().enumerate().filter(|(_, n)| **n == name) {
            let digit = digits[at] as usize - 1;
            check.near("observed", at, got.observed[digit] as f64, observed[at]);
            check.near("expected", at, got.expected[digit], expected[at]);
        }
    }
    Ok(())
}
