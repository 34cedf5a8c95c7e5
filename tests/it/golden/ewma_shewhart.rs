//! R: the recursions as written; level and spread from the first rows.

use forewarn::detect::{
    SeriesDetector,
    chart::{Ewma, EwmaState, Shewhart, Training},
};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let (input, range) = (case.series()?, case.range()?);
    let [first, last]: [usize; 2] = case.setting("train")?;
    if first != 1 || last != range.start {
        return Err(format!(
            "training on {first} to {last}, the chart begins behind {}",
            range.start
        ));
    }
    let training = Training { periods: last, ..Training::default() };
    let level = training.level(&input.values[..range.start]).map_err(|e| format!("{e:?}"))?;
    check.near("mu", 0, level.0, case.setting("mu")?);
    check.near("sigma", 0, level.1, case.setting("sigma")?);

    let (lambda, limit) = (case.setting("lambda")?, case.setting("L")?);
    let ewma = Ewma { lambda, limit, training };
    let shewhart = Shewhart { limit: 3.0, training };
    let series = input.series();
    let failed = |e: forewarn::detect::Error| e.to_string();
    let by_ewma = ewma.evaluate(&series, range.clone()).map_err(failed)?;
    let by_shewhart = shewhart.evaluate(&series, range.clone()).map_err(failed)?;
    let mut state = EwmaState::new(level.0);
    let columns = ["ewma", "se", "ucl", "lcl", "alarm", "shewhart_ucl3", "shewhart_alarm"];
    let [value, se, upper, lower, alarm, bound, jump] = case.table.columns(columns)?;
    for (i, row) in range.enumerate() {
        let step = state.add(&ewma, level, input.values[row]);
        check.near("ewma", row, step.value, value[row]);
        check.near("se", row, step.se, se[row]);
        check.near("ucl", row, step.upper, upper[row]);
        check.near("lcl", row, step.lower, lower[row]);
        check.flag("alarm", row, Some(by_ewma[i].alarm()), alarm[row]);
        let judged = by_shewhart[i].judged();
        check.near_or_none("shewhart_ucl3", row, judged.and_then(|j| j.upper_bound), bound[row]);
        check.flag("shewhart_alarm", row, Some(by_shewhart[i].alarm()), jump[row]);
    }
    Ok(())
}
