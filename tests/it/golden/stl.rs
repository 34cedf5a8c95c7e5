//! R: `stl`. The settings are made from the call and must be those that R made from it.

use forewarn::detect::{
    Compat,
    math::stl::Loess,
    season::stl::{Stl, take_apart},
};
use serde_json::Value;

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    case.table.ignore(&["t"]);
    let observed = case.table.numbers("observed")?;
    let period: usize = case.setting("frequency")?;
    let args: Value = case.setting("args")?;
    let window = |name: &str| args.get(name).and_then(Value::as_u64).map(|w| w as usize);
    let periodic = args.get("s.window").and_then(Value::as_str) == Some("periodic");
    if window("s.window").is_none() && !periodic {
        return Err("s.window is neither a number nor periodic".to_owned());
    }
    let with = Stl {
        season_window: window("s.window"),
        trend_window: window("t.window"),
        robust: args.get("robust").and_then(Value::as_bool).unwrap_or(false),
        compat: Compat::R,
        ..Stl::default()
    };
    let settings = with.settings(period);
    check.equal("inner", 0, settings.inner, case.setting("inner")?);
    check.equal("outer", 0, settings.outer, case.setting("outer")?);
    let [windows, degrees, jumps] = [
        case.setting::<Value>("win")?,
        case.setting::<Value>("deg")?,
        case.setting::<Value>("jump")?,
    ];
    let loess = |part: &str| -> Option<Loess> {
        let of = |v: &Value| v.get(part)?.as_u64();
        let (window, degree, jump) = (of(&windows)?, of(&degrees)?, of(&jumps)?);
        Some(Loess { window: window as usize, degree: degree as u8, jump: jump as usize })
    };
    check.equal("trend", 0, Some(settings.trend), loess("t"));
    check.equal("low pass", 0, Some(settings.low_pass), loess("l"));
    if !periodic {
        check.equal("season", 0, settings.season, loess("s"));
    }
    let got = take_apart(&observed, &settings).map_err(|e| e.to_string())?;
    let z = got.z().ok_or("a remainder without spread")?;
    let parts = &got.parts;
    for (column, got) in [
        ("seasonal", &parts.season),
        ("trend", &parts.trend),
        ("remainder", &parts.remainder),
        ("weight", &parts.weight),
        ("robust_z", &z),
    ] {
        for (row, want) in case.table.numbers(column)?.into_iter().enumerate() {
            check.near(column, row, got[row], want);
        }
    }
    Ok(())
}
