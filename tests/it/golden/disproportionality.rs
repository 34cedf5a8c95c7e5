//! PhViD and openEBGM: closed forms by pair, EBGM with the prior of the JSON, and the prior fitted anew.

use forewarn::detect::ratio::disproportionality::{
    Estimate, Pair, bcpnn, ebgm,
    prior::{self, Gamma, Prior, Weighted},
    reporting_ratios, shrinkage,
};
use serde_json::Value;

use super::{
    case::Case,
    check::{Check, Tolerance},
};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    case.table.ignore(&["subject", "event"]);
    let fitted: Option<Value> = case.optional("theta")?;
    let given: Option<Value> = case.optional("gps_prior")?;
    closed_forms(case, check)?;
    match (fitted, given) {
        (Some(theta), None) => {
            // How the package prepared its data and how long it took.
            case.ignore(&["theta_order", "n_pairs_total", "squash"]);
            case.ignore(&["seconds_processRaw", "seconds_autoHyper", "seconds_scores"]);
            let theta = parsed(&theta, "P")?;
            posterior(case, check, &theta)?;
            prior_of_pairs(case, check, &theta)
        }
        (None, Some(start)) => gps(case, check, &parsed(&start, "w")?),
        _ => Err("neither theta nor gps_prior".to_owned()),
    }
}

fn pairs(case: &Case) -> Result<Vec<Pair>, String> {
    let all: u64 = case.setting("N")?;
    let (both, subject) = (case.table.counts("n11")?, case.table.counts("n1_")?);
    let topic = case.table.counts("n_1")?;
    let pair = |i: usize| Pair::try_new(both[i], subject[i], topic[i], all);
    (0..both.len()).map(|i| pair(i).map_err(|e| e.to_string())).collect()
}

fn closed_forms(case: &Case, check: &mut Check) -> Result<(), String> {
    let columns = [
        "expected",
        "RR",
        "PRR",
        "PRR_lo95",
        "PRR_hi95",
        "ROR",
        "ROR_lo95",
        "ROR_hi95",
        "chi2",
        "chi2_yates",
        "IC_bcpnn",
        "IC_sd",
        "IC025_bcpnn",
        "IC_shrink",
        "IC025_shrink",
    ];
    let want = case.table.columns(columns)?;
    let [by_evans, by_ror, by_ic] =
        case.table.columns(["signal_evans", "signal_ror", "signal_ic"])?;
    for (row, pair) in pairs(case)?.iter().enumerate() {
        let ratios = reporting_ratios(pair);
        let (network, calm) = (bcpnn(pair), shrinkage(pair));
        let part = |e: Option<Estimate>, of: fn(&Estimate) -> f64| e.as_ref().map(of);
        let got = [
            Some(pair.expected()),
            Some(ratios.relative),
            part(ratios.prr, |e| e.value),
            part(ratios.prr, |e| e.low),
            part(ratios.prr, |e| e.high),
            part(ratios.ror, |e| e.value),
            part(ratios.ror, |e| e.low),
            part(ratios.ror, |e| e.high),
            ratios.chi_square,
            ratios.chi_square_yates,
            Some(network.estimate.value),
            Some(network.deviation),
            Some(network.estimate.low),
            Some(calm.value),
            Some(calm.low),
        ];
        for ((column, got), want) in columns.iter().zip(got).zip(&want) {
            match got {
                Some(got) => check.near(column, row, got, want[row]),
                // R divides by the empty cell: Inf, NaN or 0 with a NaN beside it.
                None => check.equal(column, row, want[row].is_finite() && want[row] != 0.0, false),
            }
        }
        let reports = pair.observed();
        check.flag("signal_evans", row, Some(ratios.evans), by_evans[row]);
        // FALSE & NA is FALSE.
        let ror = match reports {
            0..3 => Some(false),
            _ => ratios.ror.map(|ror| ror.low > 1.0),
        };
        check.flag("signal_ror", row, ror, by_ror[row]);
        check.flag("signal_ic", row, Some(network.estimate.low > 0.0), by_ic[row]);
    }
    Ok(())
}

fn posterior(case: &Case, check: &mut Check, theta: &Prior) -> Result<(), String> {
    let [share, mean, low, high] = case.table.columns(["qn", "EBGM", "EB05", "EB95"])?;
    // R stops its search at a bracket of 0.01 and rounds to two places.
    let rounded = Tolerance { relative: 0.0, absolute: 0.01 };
    for (row, pair) in pairs(case)?.iter().enumerate() {
        let got = ebgm::ebgm(pair.observed(), pair.expected(), theta).map_err(|e| e.to_string())?;
        check.near("qn", row, got.first_share, share[row]);
        check.near("EBGM", row, got.value, mean[row]);
        check.within(rounded, "EB05", row, got.quantile(0.05), low[row]);
        check.within(rounded, "EB95", row, got.quantile(0.95), high[row]);
    }
    Ok(())
}

fn gps(case: &Case, check: &mut Check, start: &Prior) -> Result<(), String> {
    let columns = ["gps_q05", "gps_postH0", "gps_log2_ebgm"];
    let [low, nothing, log2] = case.table.columns(columns)?;
    let bisected = Tolerance { relative: 1e-2, absolute: 0.0 };
    for (row, pair) in pairs(case)?.iter().enumerate() {
        let got = ebgm::ebgm(pair.observed(), pair.expected(), start).map_err(|e| e.to_string())?;
        check.within(bisected, "gps_q05", row, got.quantile(0.05), low[row]);
        check.near("gps_postH0", row, got.p_at_most(1.0), nothing[row]);
        check.near("gps_log2_ebgm", row, got.log2, log2[row]);
    }
    Ok(())
}

fn prior_of_pairs(case: &Case, check: &mut Check, theta: &Prior) -> Result<(), String> {
    let squashed = case.side("squashed")?.ok_or("no squashed pairs")?;
    let counts = squashed.counts("N")?;
    let [expected, weight] = squashed.columns(["E", "weight"])?;
    let pairs: Vec<Weighted> = (0..counts.len())
        .map(|i| Weighted { n: counts[i], expected: expected[i], weight: weight[i] })
        .collect();
    let cost = prior::cost(&pairs, theta).map_err(|e| e.to_string())?;
    check.near("negLLsquash_at_theta", 0, cost, case.setting("negLLsquash_at_theta")?);
    let fit = prior::fit(&pairs).map_err(|e| e.to_string())?;
    check.equal("a fit no worse than the package's", 0, fit.cost <= cost + 1e-6, true);
    let other_optimiser = Tolerance { relative: 0.01, absolute: 0.0 };
    for (name, got, want) in [
        ("alpha1", fit.prior.first.shape, theta.first.shape),
        ("beta1", fit.prior.first.rate, theta.first.rate),
        ("alpha2", fit.prior.second.shape, theta.second.shape),
        ("beta2", fit.prior.second.rate, theta.second.rate),
        ("P", fit.prior.share, theta.share),
    ] {
        check.within(other_optimiser, name, 0, got, want);
    }
    Ok(())
}

fn parsed(theta: &Value, share: &str) -> Result<Prior, String> {
    let part = |name: &str| {
        theta.get(name).and_then(Value::as_f64).ok_or_else(|| format!("theta has no {name}"))
    };
    let gamma = |shape, rate| Ok::<_, String>(Gamma { shape: part(shape)?, rate: part(rate)? });
    let (first, second) = (gamma("alpha1", "beta1")?, gamma("alpha2", "beta2")?);
    Ok(Prior { first, second, share: part(share)? })
}
