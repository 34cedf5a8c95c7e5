//! R: surveillance::algo.rki, and its table for small means.

use forewarn::detect::{
    Series, SeriesDetector,
    outbreak::{Rki, SMALL_MEANS},
};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    if !case.has_settings() {
        case.table.ignore(&["lower"]);
        let [mean, upper] = case.table.columns(["mean", "upper"])?;
        check.equal("means", 0, mean.len(), SMALL_MEANS.len());
        for (row, (mean, upper)) in mean.into_iter().zip(upper).enumerate() {
            check.equal("upper", row, SMALL_MEANS[mean as usize], upper);
        }
        return Ok(());
    }
    let w = case.setting("w")?;
    let detector = Rki {
        history: if case.setting("actY")? { w } else { 0 },
        years: case.setting("b")?,
        half_window: w,
    };
    let (input, range) = (case.series()?, case.range()?);
    let series = Series { dates: None, ..input.series() };
    let verdicts = detector.evaluate(&series, range.clone()).map_err(|e| e.to_string())?;
    case.check_bounds(check, range, &verdicts)
}
