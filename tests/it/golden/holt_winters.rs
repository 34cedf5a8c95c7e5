//! R: `HoltWinters` with the weights of the JSON; the weights that R found are found anew.

use forewarn::detect::{
    Compat,
    season::holt_winters::{HoltWinters, Seasonal, Smoothed, Weight, smooth},
};
use serde_json::{Map, Value};

use super::{
    case::Case,
    check::{Check, Tolerance},
};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    case.table.ignore(&["t"]);
    let observed = case.table.numbers("observed")?;
    let period = case.setting("frequency")?;
    let seasonal = match case.setting::<String>("seasonal")?.as_str() {
        "additive" => Seasonal::Additive,
        "multiplicative" => Seasonal::Multiplicative,
        other => return Err(format!("seasonal is {other:?}")),
    };
    let weight = |name| match case.setting::<Value>(name)? {
        Value::Bool(false) => Ok(Weight::Off),
        value => value.as_f64().map(Weight::Fixed).ok_or_else(|| format!("{name} is {value}")),
    };
    let with = HoltWinters {
        weight: weight("alpha")?,
        beta: weight("beta")?,
        gamma: weight("gamma")?,
        seasonal,
        compat: Compat::R,
        ..Default::default()
    };
    let got = smooth(&observed, period, &with).map_err(|e| e.to_string())?;
    let squares: f64 = case.setting("sse")?;
    check.near("sse", 0, got.squares, squares);
    components(case, check, &got, &with)?;
    forecasts(case, check, &got)?;

    let given = case.setting::<Value>("args")?;
    let free = |name: &str, was: Weight| {
        if was == Weight::Off || given.get(name).is_some() { was } else { Weight::Fit }
    };
    let (alpha, beta, gamma) =
        (free("alpha", with.weight), free("beta", with.beta), free("gamma", with.gamma));
    let anew = HoltWinters { weight: alpha, beta, gamma, ..with };
    let anew = smooth(&observed, period, &anew).map_err(|e| e.to_string())?;
    let other_optimiser = Tolerance { relative: 0.0, absolute: 1e-2 };
    for (i, name) in ["alpha", "beta", "gamma"].into_iter().enumerate() {
        check.within(other_optimiser, name, 0, anew.weights[i], got.weights[i]);
    }
    check.equal("squares within 0.1 %", 0, anew.squares <= 1.001 * squares, true);
    Ok(())
}

fn components(
    case: &Case,
    check: &mut Check,
    got: &Smoothed,
    with: &HoltWinters,
) -> Result<(), String> {
    let [value, level, trend, season] = case.table.columns(["xhat", "level", "trend", "season"])?;
    let has = |weight: Weight, value: f64| (weight != Weight::Off).then_some(value);
    let first = got.foretold.first().map_or(0, |f| f.at);
    for row in 0..value.len() {
        let foretold = row.checked_sub(first).map(|i| got.foretold[i]);
        check.near_or_none("xhat", row, foretold.map(|f| f.value), value[row]);
        check.near_or_none("level", row, foretold.map(|f| f.level), level[row]);
        let of_trend = foretold.and_then(|f| has(with.beta, f.trend));
        check.near_or_none("trend", row, of_trend, trend[row]);
        let of_season = foretold.and_then(|f| has(with.gamma, f.season));
        check.near_or_none("season", row, of_season, season[row]);
    }
    for (name, want) in case.setting::<Map<String, Value>>("coefficients")? {
        let want = want.as_f64().ok_or("a coefficient is no number")?;
        let coefficient = match name.as_str() {
            "a" => got.level,
            "b" => got.trend,
            place => {
                let place = place.trim_start_matches('s').parse::<usize>();
                got.season[place.map_err(|_| format!("coefficient {name}"))? - 1]
            }
        };
        check.near(&name, 0, coefficient, want);
    }
    Ok(())
}

fn forecasts(case: &Case, check: &mut Check, got: &Smoothed) -> Result<(), String> {
    let table = case.side("forecast")?.ok_or("no forecast")?;
    let ahead = table.counts("h")?;
    let [fit, upper, lower] = table.columns(["fit", "upr", "lwr"])?;
    for (row, ahead) in ahead.into_iter().enumerate() {
        let forecast = got.forecast(ahead as usize, 0.95).map_err(|e| e.to_string())?;
        check.near("fit", row, forecast.value, fit[row]);
        check.near("upr", row, forecast.high, upper[row]);
        check.near("lwr", row, forecast.low, lower[row]);
    }
    Ok(())
}
