//! R: surveillance::algo.bayes.

use forewarn::detect::{SeriesDetector, outbreak::BayesPredictive};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let w = case.setting("w")?;
    let detector = BayesPredictive {
        history: if case.setting("actY")? { w } else { 0 },
        years: case.setting("b")?,
        half_window: w,
        alpha: case.setting("alpha")?,
    };
    let (input, range) = (case.series()?, case.range()?);
    // R counts years in periods here even where there are dates.
    let series = forewarn::detect::Series { dates: None, ..input.series() };
    let verdicts = detector.evaluate(&series, range.clone()).map_err(|e| e.to_string())?;
    case.check_bounds(check, range, &verdicts)
}
