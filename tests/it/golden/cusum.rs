//! R: surveillance::algo.cusum.

use forewarn::detect::{
    Compat, SeriesDetector,
    chart::{Cusum, CusumMean, Transform},
};
use serde_json::Value;

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let chart = Cusum {
        k: case.setting("k")?,
        h: case.setting("h")?,
        transform: match case.setting::<String>("trans")?.as_str() {
            "standard" => Transform::Standard,
            "rossi" => Transform::Rossi,
            "anscombe" => Transform::Anscombe,
            "anscombe2nd" => Transform::Anscombe2nd,
            "pearsonNegBin" => Transform::PearsonNegBin,
            "anscombeNegBin" => Transform::AnscombeNegBin,
            "none" => Transform::None,
            other => return Err(format!("trans {other}")),
        },
        alpha: case.setting("alpha")?,
        mean: match case.optional::<Value>("m")? {
            None => CusumMean::History,
            Some(Value::String(s)) if s == "glm" => CusumMean::Season,
            Some(Value::Number(n)) => CusumMean::Given(n.as_f64().unwrap_or_default()),
            Some(other) => return Err(format!("m {other}")),
        },
        reset: false,
        compat: Compat::R,
    };
    let (input, range) = (case.series()?, case.range()?);
    let series = input.series();
    let means = chart.means(&series, &range).ok_or("no means")?;
    let verdicts = chart.evaluate(&series, range.clone()).map_err(|e| e.to_string())?;
    let [mean, sum] = case.table.columns(["m", "cusum"])?;
    for (i, row) in range.clone().enumerate() {
        check.near("m", row, means[i], mean[row]);
        check.near_or_none("cusum", row, verdicts[i].judged().and_then(|j| j.score), sum[row]);
    }
    case.check_bounds(check, range, &verdicts)
}
