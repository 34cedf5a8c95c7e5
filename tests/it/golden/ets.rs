//! R: `forecast::ets` with the coefficients of the JSON; our own fit must be no less likely.

use forewarn::detect::season::ets::{Coefficients, Shape, fit, with};
use serde_json::{Map, Value};

use super::{
    case::Case,
    check::{Check, Tolerance},
};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    case.table.ignore(&["t"]);
    let observed = case.table.numbers("observed")?;
    let shape = shape(case)?;
    let par: Map<String, Value> = case.setting("par")?;
    let part = |name: &str| par.get(name).and_then(Value::as_f64).unwrap_or(0.0);
    let mut season: Vec<f64> =
        (1..shape.period.unwrap_or(1)).map(|i| part(&format!("s{}", i - 1))).collect();
    if shape.period.is_some() {
        season.push(-season.iter().sum::<f64>());
    }
    let coefficients = Coefficients {
        alpha: part("alpha"),
        beta: part("beta"),
        gamma: part("gamma"),
        level: part("l"),
        trend: part("b"),
        season,
    };
    let got = with(&observed, shape, coefficients).map_err(|e| e.to_string())?;
    for (row, want) in case.table.numbers("fitted")?.into_iter().enumerate() {
        check.near("fitted", row, got.foretold[row], want);
    }
    check.near("loglik", 0, got.log_likelihood, case.setting("loglik")?);
    check.near_or_none("aicc", 0, got.aicc, case.setting("aicc")?);
    check.near("sigma2", 0, got.variance, case.setting("sigma2")?);

    let table = case.side("forecast")?.ok_or("no forecast")?;
    let columns = ["mean", "lo80", "hi80", "lo95", "hi95"];
    let want = table.columns(columns)?;
    for (row, ahead) in table.counts("h")?.into_iter().enumerate() {
        let interval = |level| got.interval(ahead as usize, level).map_err(|e| e.to_string());
        let mean = got.forecast(ahead as usize).map_err(|e| e.to_string())?.0;
        let (narrow, wide) = (interval(0.8)?, interval(0.95)?);
        let values = [mean, narrow.0, narrow.1, wide.0, wide.1];
        for ((column, value), want) in columns.iter().zip(values).zip(&want) {
            check.near(column, row, value, want[row]);
        }
    }

    let anew = fit(&observed, shape).map_err(|e| e.to_string())?;
    let gain = anew.log_likelihood - got.log_likelihood;
    check.equal("a fit no less likely than the package's", 0, gain > -1e-6, true);
    let loose = Tolerance { relative: 0.0, absolute: 0.05 };
    check.within(loose, "alpha", 0, anew.coefficients.alpha, part("alpha"));
    Ok(())
}

/// `ETS(A,A,A)`: error, trend, season.
fn shape(case: &Case) -> Result<Shape, String> {
    let period: usize = case.setting("frequency")?;
    let name: String = case.setting("model")?;
    let (trend, season) = match name.as_str() {
        "ETS(A,N,N)" => (false, false),
        "ETS(A,A,N)" => (true, false),
        "ETS(A,N,A)" => (false, true),
        "ETS(A,A,A)" => (true, true),
        _ => return Err(format!("model {name:?} is not one of ours")),
    };
    Ok(Shape { trend, period: season.then_some(period) })
}
