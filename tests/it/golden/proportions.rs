//! R: `binom.test`, `prop.test`, `fisher.test`; one share against a baseline where the table has one, else two shares.

use forewarn::detect::{
    Compat,
    ratio::{fisher, proportion, two_proportions},
};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let one = case.table.names().iter().any(|n| n == "p0");
    if one { one_sample(case, check) } else { two_samples(case, check) }
}

fn one_sample(case: &Case, check: &mut Check) -> Result<(), String> {
    let [x, n] = [case.table.counts("x")?, case.table.counts("n")?];
    let p0 = case.table.numbers("p0")?;
    for row in 0..x.len() {
        let (x, n, p0) = (x[row], n[row], p0[row]);
        let failed = |e: forewarn::detect::Error| e.to_string();
        let test = proportion::test(x, n, p0).map_err(failed)?;
        let exact = proportion::clopper_pearson(x, n, 0.95).map_err(failed)?;
        let wilson = proportion::wilson(x, n, 0.95).map_err(failed)?;
        let corrected = proportion::wilson_corrected(x, n, p0, 0.95, Compat::R).map_err(failed)?;
        for (column, got) in [
            ("p_exact_greater", test.p_greater),
            ("p_exact_two", test.p_two_sided),
            ("cp_lo95", exact.0),
            ("cp_hi95", exact.1),
            ("wilson_lo95", wilson.0),
            ("wilson_hi95", wilson.1),
            ("wilson_cc_lo95", corrected.0),
            ("wilson_cc_hi95", corrected.1),
            ("chi2", test.chi_square),
            ("p_chi2", test.p_chi_square),
            ("midp_greater", test.mid_p_greater),
        ] {
            check.near(column, row, got, case.table.numbers(column)?[row]);
        }
    }
    Ok(())
}

fn two_samples(case: &Case, check: &mut Check) -> Result<(), String> {
    let [x1, n1] = [case.table.counts("x1")?, case.table.counts("n1")?];
    let [x2, n2] = [case.table.counts("x2")?, case.table.counts("n2")?];
    for row in 0..x1.len() {
        let (x1, n1, x2, n2) = (x1[row], n1[row], x2[row], n2[row]);
        let failed = |e: forewarn::detect::Error| e.to_string();
        let test = two_proportions::test(x1, n1, x2, n2, 0.95).map_err(failed)?;
        let exact = fisher::test(x1, n1, x2, n2, Compat::R).map_err(failed)?;
        for (column, got) in [
            ("chi2", test.chi_square),
            ("p_two", test.p_two_sided),
            ("p_greater", test.p_greater),
            ("diff_lo95", test.interval.0),
            ("diff_hi95", test.interval.1),
            ("chi2_yates", test.chi_square_yates),
            ("p_yates", test.p_yates),
            ("fisher_two", exact.p_two_sided),
            ("fisher_greater", exact.p_greater),
            ("fisher_or_mle", exact.odds_ratio),
        ] {
            check.near(column, row, got, case.table.numbers(column)?[row]);
        }
    }
    Ok(())
}
