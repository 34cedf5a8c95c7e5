//! R: `p.adjust`.

use forewarn::detect::ratio::multiplicity::{Method, adjust};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let p = case.table.numbers("p")?;
    for (column, method) in [
        ("bh", Method::BenjaminiHochberg),
        ("by", Method::BenjaminiYekutieli),
        ("holm", Method::Holm),
        ("bonferroni", Method::Bonferroni),
    ] {
        let got = adjust(&p, method).map_err(|e| e.to_string())?;
        for (row, want) in case.table.numbers(column)?.into_iter().enumerate() {
            check.near(column, row, got[row], want);
        }
    }
    Ok(())
}
