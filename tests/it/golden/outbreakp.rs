//! R: surveillance::algo.outbreakP, whose statistic is compared as a logarithm where it did not overflow.

use forewarn::detect::{SeriesDetector, outbreak::OutbreakP};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let detector = OutbreakP { limit: case.setting("k")? };
    let (input, range) = (case.series()?, case.range()?);
    case.fact::<String>("note")?;
    let verdicts = detector.evaluate(&input.series(), range.clone()).map_err(|e| e.to_string())?;
    let [statistic, cases, alarm] = case.table.columns(["statistic", "cases_needed", "alarm"])?;
    for (row, verdict) in range.zip(&verdicts) {
        let judged = verdict.judged().ok_or("a period was not judged")?;
        let ln = judged.score.unwrap_or(f64::NAN);
        if statistic[row].is_finite() {
            check.near("ln statistic", row, ln, statistic[row].ln());
        } else {
            check.equal("statistic beyond f64", row, ln > f64::MAX.ln(), true);
        }
        // R needs so many cases for an alarm; one fewer is our largest ordinary count.
        check.near_or_none("cases_needed", row, judged.upper_bound.map(|b| b + 1.0), cases[row]);
        check.flag("alarm", row, Some(judged.alarm), alarm[row]);
    }
    Ok(())
}
