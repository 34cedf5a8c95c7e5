//! Every detector of a series that the catalogue has, one period after the other.

use std::hint::black_box;

use forewarn::detect::{Series, catalogue};
use serde_json::{Value, json};

use crate::{counts, least_seconds};

const PERIODS: usize = 770;
/// Detectors that start once and remember.
const CHARTS: [&str; 10] = [
    "cusum",
    "cusum, season",
    "ewma",
    "shewhart",
    "moving_level",
    "page_hinkley",
    "adwin",
    "glr Poisson",
    "glr NB, window 52",
    "glr NB, no window",
];

pub(crate) fn report() {
    println!("| detector | µs a period | R, µs | of R |\n|---|---|---|---|");
    let values = counts(PERIODS, 52.0, 20.0, 1);
    for (name, parameters, judged, of_r_us) in rows() {
        let Value::Object(map) = parameters else { unreachable!("an object") };
        let detector = catalogue::build(map).unwrap_or_else(|e| panic!("{name}: {e}"));
        // Each period is judged in a call of its own, as a live run does; a chart starts once and goes on.
        let seconds = least_seconds(|| {
            if CHARTS.contains(&name) {
                let all = detector.evaluate(&Series::new(&values), PERIODS - judged..PERIODS);
                black_box(all.expect("counts"));
                return;
            }
            for at in PERIODS - judged..PERIODS {
                let series = Series::new(&values[..=at]);
                black_box(detector.evaluate(black_box(&series), at..at + 1).expect("counts"));
            }
        });
        let us = 1e6 * seconds / judged as f64;
        let (r, ratio) = of_r_us.map_or((String::new(), String::new()), |r: f64| {
            (format!("{r:.0}"), format!("{:.0}", r / us))
        });
        println!("| {name} | {us:.2} | {r} | {ratio} |");
    }
}

/// Name, parameters, periods judged, R's microseconds a period.
fn rows() -> Vec<(&'static str, Value, usize, Option<f64>)> {
    let flexible = |more: Value| {
        let mut all = json!({"kind": "farrington_flexible"});
        for (name, value) in more.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        all
    };
    let threshold = |method: &str| json!({"method": method, "alpha": 0.01});
    vec![
        ("farrington_flexible", flexible(json!({})), 250, Some(10_700.0)),
        ("farrington_flexible, compat r", flexible(json!({"compat": "r"})), 250, Some(10_700.0)),
        (
            "farrington_flexible, 1 period, delta",
            flexible(json!({"periods": 1, "threshold": threshold("delta"), "exclude_recent": 3})),
            250,
            Some(6_800.0),
        ),
        (
            "farrington_flexible, onset",
            flexible(json!({"threshold": threshold("onset")})),
            250,
            None,
        ),
        (
            "farrington_flexible, onset, 10 years",
            flexible(json!({"threshold": threshold("onset"), "years": 10})),
            200,
            None,
        ),
        ("farrington_classic", json!({"kind": "farrington_classic"}), 250, Some(3_200.0)),
        ("bayes_predictive", json!({"kind": "bayes_predictive"}), 250, Some(16.0)),
        ("count_exceedance", json!({"kind": "count_exceedance"}), 250, None),
        ("ears c1", json!({"kind": "ears", "method": "c1"}), 250, Some(15.0)),
        ("ears c2", json!({"kind": "ears", "method": "c2"}), 250, Some(15.0)),
        ("ears c3", json!({"kind": "ears", "method": "c3"}), 250, Some(21.0)),
        ("rki", json!({"kind": "rki"}), 250, Some(24.0)),
        ("cdc", json!({"kind": "cdc"}), 250, Some(20.0)),
        ("outbreak_p", json!({"kind": "outbreak_p"}), 250, Some(2_700.0)),
        ("cusum", json!({"kind": "cusum"}), 250, None),
        ("cusum, season", json!({"kind": "cusum", "mean": "season"}), 250, Some(24.0)),
        ("glr Poisson", json!({"kind": "glr"}), 250, Some(24.0)),
        ("glr NB, window 52", json!({"kind": "glr", "alpha": 0.1, "window": 52}), 250, Some(160.0)),
        (
            "glr NB, no window",
            json!({"kind": "glr", "alpha": 0.1, "window": null}),
            250,
            Some(550.0),
        ),
        ("ewma", json!({"kind": "ewma"}), 250, None),
        ("shewhart", json!({"kind": "shewhart"}), 250, None),
        ("moving_level", json!({"kind": "moving_level", "test": "drift"}), 250, None),
        ("page_hinkley", json!({"kind": "page_hinkley"}), 250, None),
        ("adwin", json!({"kind": "adwin"}), 250, None),
        ("holt_winters", json!({"kind": "holt_winters"}), 20, Some(13_000.0)),
        ("ets", json!({"kind": "ets"}), 20, None),
        ("stl", json!({"kind": "stl"}), 20, Some(4_000.0)),
        ("s_h_esd", json!({"kind": "s_h_esd"}), 20, None),
        ("mann_kendall", json!({"kind": "mann_kendall"}), 250, None),
    ]
}
