//! R: surveillance::algo.farrington.

use forewarn::detect::{
    Compat,
    outbreak::{FarringtonClassic, MinCases},
};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let (cases, periods) = case.setting("limit54")?;
    let detector = FarringtonClassic {
        years: case.setting("b")?,
        half_window: case.setting("w")?,
        reweight: case.setting("reweight")?,
        trend: case.setting("trend")?,
        alpha: case.setting("alpha")?,
        power: super::farrington_flexible::power(case)?,
        min_cases: MinCases { cases, periods },
        compat: Compat::R,
    };
    if case.setting::<f64>("weightsThreshold")? != 1.0 {
        return Err("the classic method has a threshold of 1".to_owned());
    }
    if case.setting::<String>("fitFun")? != "algo.farrington.fitGLM.fast" {
        return Err("another fitFun".to_owned());
    }
    let (input, range) = (case.series()?, case.range()?);
    let details = detector.details(&input.series(), range.clone()).map_err(|e| e.to_string())?;
    let columns = ["upperbound", "trend", "quantile_of_obs", "median_pred", "alarm"];
    let [bound, trend, quantile, median, alarm] = case.table.columns(columns)?;
    for (row, found) in range.zip(details) {
        let known = found.map_err(|verdict| format!("row {row}: {verdict:?}"))?;
        // R gives 0 where there are too few cases.
        check.near("upperbound", row, if known.enough { known.bound } else { 0.0 }, bound[row]);
        check.flag("trend", row, Some(known.trend), trend[row]);
        check.near("quantile_of_obs", row, known.quantile, quantile[row]);
        check.near("median_pred", row, known.mean, median[row]);
        let is_alarm = known.enough && input.values[row] > known.bound;
        check.flag("alarm", row, Some(is_alarm), alarm[row]);
    }
    Ok(())
}
