//! R: surveillance::algo.cdc.

use forewarn::detect::{SeriesDetector, outbreak::Cdc};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let detector = Cdc {
        years: case.setting("b")?,
        blocks: case.setting("m")?,
        alpha: case.setting("alpha")?,
    };
    let (input, range) = (case.series()?, case.range()?);
    let verdicts = detector.evaluate(&input.series(), range.clone()).map_err(|e| e.to_string())?;
    let sums = case.table.numbers("aggr")?;
    for row in range.clone() {
        check.near("aggr", row, input.values[row - 3..=row].iter().sum(), sums[row]);
    }
    case.check_bounds(check, range, &verdicts)
}
