//! river: drift.PageHinkley.

use forewarn::detect::chart::{Direction, PageHinkley, PageHinkleyState};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let test = PageHinkley {
        delta: case.setting("delta")?,
        threshold: case.setting("threshold")?,
        alpha: case.setting("alpha")?,
        min_instances: case.setting("min_instances")?,
        direction: match case.setting::<String>("mode")?.as_str() {
            "up" => Direction::Up,
            "down" => Direction::Down,
            "both" => Direction::Both,
            other => return Err(format!("mode {other}")),
        },
    };
    case.table.ignore(&["t"]);
    let [values, drift] = case.table.columns(["x", "drift"])?;
    let mut state = PageHinkleyState::default();
    for (row, value) in values.into_iter().enumerate() {
        check.flag("drift", row, Some(test.judge(&mut state, value).alarm()), drift[row]);
    }
    Ok(())
}
