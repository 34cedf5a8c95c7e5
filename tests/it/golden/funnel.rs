//! Spiegelhalter's funnel with limits that may leave [0, 1].

use forewarn::detect::{Compat, ratio::funnel};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let (x, n) = (case.table.counts("x")?, case.table.counts("n")?);
    let with = funnel::Funnel { compat: Compat::R, ..Default::default() };
    let drawn = funnel::draw(&x, &n, &with).map_err(|e| e.to_string())?;
    check.near("p0", 0, drawn.baseline, case.setting("p0")?);
    check.near("phi", 0, drawn.over_dispersion, case.setting("phi")?);
    for (row, point) in drawn.points.iter().enumerate() {
        for (column, got) in [
            ("p", point.rate),
            ("z", point.z),
            ("z_winsorised", point.z_winsorised),
            ("lo95", point.limits_95.0),
            ("hi95", point.limits_95.1),
            ("lo998", point.limits_998.0),
            ("hi998", point.limits_998.1),
            ("z_od", point.z_dispersed),
            ("p_exact_ge", point.p_greater),
        ] {
            check.near(column, row, got, case.table.numbers(column)?[row]);
        }
    }
    Ok(())
}
