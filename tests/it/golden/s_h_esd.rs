//! R: AnomalyDetection. The set of anomalies and the order in which they were taken out must be equal.

use forewarn::detect::{
    Compat,
    season::s_h_esd::{Direction, SHEsd, find},
};

use super::{
    case::Case,
    check::{Check, Tolerance},
};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    case.table.ignore(&["t"]);
    let observed = case.table.numbers("observed")?;
    let direction = match case.setting::<String>("direction")?.as_str() {
        "pos" => Direction::High,
        "neg" => Direction::Low,
        "both" => Direction::Both,
        other => return Err(format!("direction is {other:?}")),
    };
    let with = SHEsd {
        share_max: case.setting("max_anoms")?,
        alpha: case.setting("alpha")?,
        direction,
        compat: Compat::R,
        ..Default::default()
    };
    let got = find(&observed, case.setting("period")?, &with).map_err(|e| e.to_string())?;
    let order = case.side("order")?.ok_or("no order")?;
    order.ignore(&["order"]);
    let want: Vec<usize> = order.counts("t")?.into_iter().map(|t| t as usize - 1).collect();
    check.equal("order", 0, &got.places, &want);
    let [season, residual, expected, anomaly] =
        case.table.columns(["seasonal", "residual", "expected", "anomaly"])?;
    // 15 digits of the table leave that much of a difference of two numbers.
    let near_zero = Tolerance { absolute: 1e-12, ..check.tolerance };
    for row in 0..observed.len() {
        check.within(near_zero, "seasonal", row, got.season[row], season[row]);
        check.within(near_zero, "residual", row, got.residual[row], residual[row]);
        check.near("expected", row, got.expected[row].trunc(), expected[row]);
        check.flag("anomaly", row, Some(got.places.contains(&row)), anomaly[row]);
    }
    Ok(())
}
