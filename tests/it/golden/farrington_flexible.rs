//! R: surveillance::farringtonFlexible.

use forewarn::detect::{
    Compat, Series,
    outbreak::{Farrington, FarringtonMethod, MinCases, Power, Threshold, Trend},
};

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let trend: bool = case.setting("trend")?;
    let trend_p: f64 = case.setting("pThresholdTrend")?;
    let reweight: bool = case.setting("reweight")?;
    let above: f64 = case.setting("weightsThreshold")?;
    let (cases, periods) = case.setting("limit54")?;
    let detector = Farrington {
        waves: 0,
        years: case.setting("b")?,
        half_window: case.setting("w")?,
        periods: case.setting("noPeriods")?,
        exclude_recent: case.setting("pastWeeksNotIncluded")?,
        alpha: None,
        trend: Trend { p: if trend { trend_p } else { 0.0 } },
        reweight_above: reweight.then_some(above),
        threshold: Threshold {
            method: match case.setting::<String>("thresholdMethod")?.as_str() {
                "delta" => FarringtonMethod::Delta,
                "nbPlugin" => FarringtonMethod::NbPlugin,
                "muan" => FarringtonMethod::Muan,
                other => return Err(format!("thresholdMethod {other}")),
            },
            alpha: case.setting("alpha")?,
        },
        power: power(case)?,
        min_cases: MinCases { cases, periods },
        compat: Compat::R,
    };
    let (input, range) = (case.series()?, case.range()?);
    let with_population: bool = case.setting("populationOffset")?;
    let population = with_population.then_some(&*input.population);
    let series = Series { population, ..input.series() };
    let details = detector.details(&series, range.clone()).map_err(|e| e.to_string())?;
    let columns =
        ["upperbound", "expected", "score", "pvalue", "mu0", "phi", "trend", "trend_coef", "alarm"];
    let [bound, expected, score, p, mu0, phi, trend, slope, alarm] = case.table.columns(columns)?;
    for (row, found) in range.zip(details) {
        let known = found.ok();
        let get = |of: fn(&forewarn::detect::outbreak::FarringtonDetails) -> f64| {
            known.as_ref().map_or(f64::NAN, of)
        };
        let counts = |v: f64| if known.is_some_and(|d| d.enough) { v } else { f64::NAN };
        check.near("upperbound", row, counts(get(|d| d.bound)), bound[row]);
        check.near("expected", row, counts(get(|d| d.mean)), expected[row]);
        check.near("score", row, get(|d| d.score), score[row]);
        check.near("pvalue", row, get(|d| d.p_value), p[row]);
        check.near("mu0", row, get(|d| d.mean_r), mu0[row]);
        check.near("phi", row, get(|d| d.phi), phi[row]);
        check.flag("trend", row, known.map(|d| d.trend.is_some()), trend[row]);
        check.near("trend_coef", row, get(|d| d.trend.unwrap_or(f64::NAN)), slope[row]);
        check.flag("alarm", row, known.map(|d| d.alarm), alarm[row]);
    }
    Ok(())
}

/// `powertrans` of the case.
pub(super) fn power(case: &Case) -> Result<Power, String> {
    match case.setting::<String>("powertrans")?.as_str() {
        "2/3" => Ok(Power::TwoThirds),
        "1/2" => Ok(Power::Half),
        "none" => Ok(Power::None),
        other => Err(format!("powertrans {other}")),
    }
}
