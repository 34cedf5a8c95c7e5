//! Marginal maximum likelihood, then the posterior of every subject.

use forewarn::detect::ratio::beta_binomial::{BetaBinomial, Prior, fit, judge};

use super::{
    case::Case,
    check::{Check, Tolerance},
};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let (x, n) = (case.table.counts("x")?, case.table.counts("n")?);
    let with = BetaBinomial { min_subjects: 2, ..Default::default() };
    let group = fit(&x, &n, &with).map_err(|e| e.to_string())?;
    let Prior::Beta { a, b } = group.prior else { return Err("no spread was found".to_owned()) };
    // As the tolerance's note says.
    let loose = Tolerance { relative: 1e-4, absolute: 0.0 };
    check.within(loose, "a", 0, a, case.setting("a")?);
    check.within(loose, "b", 0, b, case.setting("b")?);
    let tight = Tolerance { relative: 0.0, absolute: 1e-7 };
    check.within(tight, "loglik", 0, group.log_likelihood, case.setting("loglik")?);
    check.near("pooled_p0", 0, group.pooled, case.setting("pooled_p0")?);
    for row in 0..x.len() {
        let subject = judge(&group, x[row], n[row], &with).map_err(|e| e.to_string())?;
        for (column, got) in [
            ("raw", x[row] as f64 / n[row] as f64),
            ("eb_mean", subject.mean),
            ("eb_lo95", subject.interval.0),
            ("eb_hi95", subject.interval.1),
            ("p_above_2x", subject.p_above),
        ] {
            check.near(column, row, got, case.table.numbers(column)?[row]);
        }
    }
    Ok(())
}
