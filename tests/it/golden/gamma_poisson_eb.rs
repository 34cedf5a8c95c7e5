//! Marginal maximum likelihood, then the posterior of every region.

use forewarn::detect::ratio::gamma_poisson::{GammaPoisson, Prior, fit, judge};

use super::{
    case::Case,
    check::{Check, Tolerance},
};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let (x, expected) = (case.table.counts("x")?, case.table.numbers("expected")?);
    case.table.ignore(&["region"]);
    let with = GammaPoisson { min_subjects: 2, ..Default::default() };
    let group = fit(&x, &expected, &with).map_err(|e| e.to_string())?;
    let Prior::Gamma { a, b } = group.prior else { return Err("no spread was found".to_owned()) };
    check.near("a", 0, a, case.setting("a")?);
    check.near("b", 0, b, case.setting("b")?);
    let tight = Tolerance { relative: 0.0, absolute: 1e-7 };
    check.within(tight, "loglik", 0, group.log_likelihood, case.setting("loglik")?);
    for row in 0..x.len() {
        let subject = judge(&group, x[row], expected[row], &with).map_err(|e| e.to_string())?;
        check.near_or_none("smr", row, subject.raw, case.table.numbers("smr")?[row]);
        for (column, got) in [
            ("eb_mean", subject.mean),
            ("eb05", subject.interval.0),
            ("eb95", subject.interval.1),
            ("p_above_1", subject.p_above),
        ] {
            check.near(column, row, got, case.table.numbers(column)?[row]);
        }
    }
    Ok(())
}
