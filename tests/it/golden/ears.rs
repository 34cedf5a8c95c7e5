//! R: surveillance::earsC.

use forewarn::detect::{
    SeriesDetector,
    outbreak::{C3, Ears, EarsMethod},
};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let ears = Ears {
        method: match case.setting::<String>("method")?.as_str() {
            "C1" => EarsMethod::C1,
            "C2" => EarsMethod::C2,
            "C3" => EarsMethod::C3,
            other => return Err(format!("method {other}")),
        },
        baseline: case.setting("baseline")?,
        alpha: case.setting("alpha")?,
        min_sigma: case.setting("minSigma")?,
        min_count: 0.0,
        c3: C3::R,
    };
    let (input, range) = (case.series()?, case.range()?);
    let verdicts = ears.evaluate(&input.series(), range.clone()).map_err(|e| e.to_string())?;
    case.check_bounds(check, range, &verdicts)
}
