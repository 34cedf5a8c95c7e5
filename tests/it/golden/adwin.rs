//! river: drift.ADWIN.

use forewarn::detect::chart::{Adwin, AdwinState};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let adwin = Adwin { delta: case.setting("delta")? };
    case.table.ignore(&["t"]);
    let columns = ["x", "drift", "width", "mean", "variance"];
    let [values, drift, width, mean, variance] = case.table.columns(columns)?;
    let mut state = AdwinState::default();
    for (row, value) in values.into_iter().enumerate() {
        check.flag("drift", row, Some(adwin.judge(&mut state, value).alarm()), drift[row]);
        check.equal("width", row, state.width(), width[row]);
        check.near("mean", row, state.mean(), mean[row]);
        check.near("variance", row, state.squares(), variance[row]);
    }
    Ok(())
}
