//! R: surveillance::algo.glrnb and algo.glrpois.

use forewarn::detect::{
    Compat,
    chart::{Change, Glr, GlrMean, GlrStep, Shift},
};
use serde_json::{Map, Value};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let window: i64 = case.setting("M")?;
    let theta: Option<f64> = case.optional("theta")?;
    let model: Option<Value> = case.optional("mu0_model")?;
    let glr = Glr {
        threshold: case.setting("c.ARL")?,
        change: match case.setting::<String>("change")?.as_str() {
            "intercept" => Change::Level,
            "epi" => Change::Epidemic,
            other => return Err(format!("change {other}")),
        },
        factor: theta.map(f64::exp),
        alpha: case.optional("alpha")?,
        window: usize::try_from(window).ok(),
        least: case.setting("Mtilde")?,
        direction: match case.setting::<String>("dir")?.as_str() {
            "inc" => Shift::Up,
            "dec" => Shift::Down,
            other => return Err(format!("dir {other}")),
        },
        mean: match &model {
            Some(Value::Object(fields)) => mean(fields)?,
            _ => GlrMean::default(),
        },
        compat: Compat::R,
    };
    let cases = match case.setting::<String>("ret")?.as_str() {
        "value" => false,
        "cases" => true,
        other => return Err(format!("ret {other}")),
    };
    case.ignore(&["column_statistic"]);
    let (input, range) = (case.series()?, case.range()?);
    let series = input.series();
    let [mu0, statistic, alarm] = case.table.columns(["mu0", "statistic", "alarm"])?;
    let alpha_used: f64 = case.setting("alpha_used")?;
    let steps: Vec<GlrStep> = match &model {
        Some(Value::String(words)) if words == "given as column mu0" => {
            glr.run(&input.values[range.clone()], &mu0[range.clone()], alpha_used)
        }
        Some(Value::String(words)) => return Err(format!("mu0_model {words}")),
        _ => {
            let (_, alpha) = glr.means(&series, range.clone()).ok_or("no means")?;
            check.near("alpha_used", 0, alpha, alpha_used);
            let steps = glr.steps(&series, range.clone()).map_err(|e| e.to_string())?;
            steps.into_iter().collect::<Result<_, _>>().map_err(|v| format!("{v:?}"))?
        }
    };
    for (step, row) in steps.iter().zip(range) {
        check.near("mu0", row, step.mean, mu0[row]);
        let got = match (cases, theta) {
            (false, _) => step.statistic,
            // So many cases give an alarm; for an unknown factor the least whole number of them.
            (true, Some(_)) => step.bound.unwrap_or(f64::NAN).max(0.0),
            (true, None) => step.bound.map_or(f64::NAN, |b| b + 1.0),
        };
        check.near("statistic", row, got, statistic[row]);
        check.flag("alarm", row, Some(step.alarm), alarm[row]);
    }
    Ok(())
}

fn mean(fields: &Map<String, Value>) -> Result<GlrMean, String> {
    let mut mean = GlrMean::default();
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("S", Value::Number(n)) => mean.harmonics = n.as_u64().unwrap_or(0) as usize,
            ("trend", Value::Bool(b)) => mean.trend = *b,
            ("refit", Value::Bool(b)) => mean.refit = *b,
            _ => return Err(format!("mu0_model {name}: {value}")),
        }
    }
    Ok(mean)
}
