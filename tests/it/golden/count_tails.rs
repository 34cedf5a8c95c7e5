//! R: ppois, pnbinom, qpois, qnbinom.

use forewarn::detect::math::negative_binomial::{upper, upper_quantile};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let columns = ["observed", "mu", "phi", "p_ge", "log_p_ge"];
    let [observed, mean, phi, p, ln] = case.table.columns(columns)?;
    for row in 0..case.table.len() {
        let tail = upper(observed[row], mean[row], phi[row]);
        check.near("p_ge", row, tail.p, p[row]);
        check.near("log_p_ge", row, tail.ln, ln[row]);
    }
    for name in case.table.names().iter().filter(|name| name.starts_with("q_")) {
        let below: f64 = name["q_".len()..].parse().map_err(|_| format!("column {name}"))?;
        for (row, want) in case.table.numbers(name)?.into_iter().enumerate() {
            let got = upper_quantile(1.0 - below, mean[row], phi[row]);
            check.equal(name, row, got, (!want.is_nan()).then_some(want));
        }
    }
    Ok(())
}
