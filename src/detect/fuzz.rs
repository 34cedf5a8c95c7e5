//! Any input: a typed error or a verdict without NaN, and never a panic.
//!
//! All detectors of a series, and the nowcast; detectors of tables and maps have the same tests beside them.

use std::ops::Range;

use jiff::civil::Date;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    Compat, Series, SeriesDetector, Verdict, catalogue,
    outbreak::{Nowcast, NowcastMethod, Triangle},
};

/// Each kind with its defaults, and with settings that lead elsewhere.
fn detectors() -> Vec<(String, Box<dyn SeriesDetector>)> {
    let mut out = Vec::new();
    let mut add = |parameters: Value| {
        let Value::Object(map) = parameters.clone() else { panic!("an object") };
        let detector = catalogue::build(map).unwrap_or_else(|e| panic!("{parameters}: {e}"));
        out.push((parameters.to_string(), detector));
    };
    for kind in catalogue::series_kinds().filter(|k| !FIT_ALL.contains(&k.name)) {
        add(json!({ "kind": kind.name }));
    }
    for method in ["c1", "c2", "c3"] {
        for c3 in ["cdc", "r"] {
            add(
                json!({"kind": "ears", "method": method, "c3": c3, "min_sigma": 0, "min_count": 0}),
            );
        }
    }
    for waves in [0, 2] {
        add(
            json!({"kind": "farrington_flexible", "years": 3, "half_window": 0, "periods": 3, "waves": waves,
            "exclude_recent": 1, "threshold": {"method": "onset"}, "min_cases": {"cases": 0, "periods": 1}}),
        );
    }
    for method in ["delta", "nb_plugin", "muan"] {
        for (periods, compat) in [(1, "r"), (4, "corrected")] {
            let threshold = json!({"method": method, "alpha": 0.01});
            add(json!({"kind": "farrington_flexible", "years": 1, "half_window": 1,
                "periods": periods, "exclude_recent": 1, "threshold": threshold, "compat": compat}));
        }
    }
    add(json!({"kind": "farrington_classic", "years": 1, "half_window": 1, "alpha": 0.5}));
    add(json!({"kind": "bayes_predictive", "years": 1, "half_window": 1, "history": 0}));
    add(json!({"kind": "rki", "years": 1, "half_window": 1}));
    add(json!({"kind": "cdc", "years": 1}));
    add(json!({"kind": "count_exceedance", "history": 2}));
    for transform in [
        "standard",
        "rossi",
        "anscombe",
        "anscombe_2nd",
        "pearson_neg_bin",
        "anscombe_neg_bin",
        "none",
    ] {
        for compat in ["r", "corrected"] {
            add(json!({"kind": "cusum", "transform": transform, "compat": compat}));
        }
        add(json!({"kind": "cusum", "transform": transform, "mean": "season"}));
        add(json!({"kind": "cusum", "transform": transform, "mean": 3}));
    }
    for kind in ["ewma", "shewhart"] {
        add(json!({"kind": kind, "training": {"periods": 2}}));
        add(json!({"kind": kind, "training": {"mean": 1, "sd": 1}}));
    }
    for (change, alpha, compat) in [
        ("level", json!(0), "r"),
        ("level", json!(0.3), "corrected"),
        ("level", json!(null), "r"),
        ("epidemic", json!(0), "corrected"),
        ("epidemic", json!(0.3), "r"),
    ] {
        add(json!({"kind": "glr", "change": change, "alpha": alpha, "compat": compat,
            "window": 8, "mean": {"harmonics": 0, "trend": true, "refit": true}}));
    }
    add(json!({"kind": "moving_level", "test": "drift", "slack": 0, "limit": 0.5, "lambda": 0.99}));
    add(json!({"kind": "glr", "factor": 2, "alpha": 0.2, "mean": {"harmonics": 1}}));
    add(json!({"kind": "glr", "direction": "down", "window": null, "least": 2}));
    out
}

/// A value of a stream that nobody looked at.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (0..30u32).prop_map(f64::from),
        2 => Just(0.0),
        1 => Just(f64::NAN),
        1 => prop_oneof![Just(-1.0), Just(1e15), Just(9e15), Just(f64::INFINITY), Just(1e300), Just(0.5)],
    ]
}

fn check(name: &str, detector: &dyn SeriesDetector, series: &Series<'_>, range: Range<usize>) {
    let Ok(verdicts) = detector.evaluate(series, range.clone()) else { return };
    assert_eq!(verdicts.len(), range.len(), "{name}");
    for (at, verdict) in range.zip(verdicts) {
        let Verdict::Judged(j) = verdict else { continue };
        for figure in [j.expected, j.upper_bound, j.score, j.p_value].into_iter().flatten() {
            assert!(figure.is_finite(), "{name} at {at}: {j:?}");
        }
        assert!(j.p_value.is_none_or(|p| (0.0..=1.0).contains(&p)), "{name} at {at}: {j:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_series(
        values in prop::collection::vec(value(), 0..48),
        people in prop::collection::vec(prop_oneof![Just(0.0), Just(1000.0), Just(1e-300)], 70),
        with_population: bool,
        with_dates: bool,
        start in 0..48usize,
        periods_per_year in prop_oneof![Just(7usize), Just(12), Just(52)],
    ) {
        let first = Date::constant(2030, 1, 7);
        let dates: Vec<Date> = (0..values.len())
            .map(|week| first.saturating_add(jiff::Span::new().days(7 * week as i64)))
            .collect();
        let series = Series {
            values: &values,
            population: with_population.then_some(&people[..values.len()]),
            dates: with_dates.then_some(&dates),
            days_off: with_dates.then_some(&people[..values.len()]),
            periods_per_year,
        };
        for (name, detector) in detectors() {
            check(&name, &*detector, &series, start.min(values.len())..values.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_triangle(
        cells in prop::collection::vec(value(), 0..60),
        delay in 1..6usize,
        window in prop_oneof![Just(None), (1..20usize).prop_map(Some)],
        method in prop_oneof![
            Just(NowcastMethod::Bnb),
            Just(NowcastMethod::Lawless),
            Just(NowcastMethod::Bayes { truncated: false }),
            Just(NowcastMethod::Bayes { truncated: true }),
        ],
        compat in prop_oneof![Just(Compat::R), Just(Compat::Corrected)],
    ) {
        let counts = cells.chunks(delay + 1).map(<[f64]>::to_vec).collect();
        let nowcast = Nowcast { method, max_delay: delay, window, compat, ..Nowcast::default() };
        let Ok(estimates) = nowcast.estimates(&Triangle { counts }) else { return Ok(()) };
        for estimate in estimates {
            let figures = [Some(estimate.seen), estimate.median, estimate.lower, estimate.upper];
            prop_assert!(figures.into_iter().flatten().all(f64::is_finite), "{:?}", estimate);
        }
    }
}

#[test]
fn known_traps() {
    let mut with_gaps: Vec<f64> = (0..400).map(|t| f64::from(t % 7)).collect();
    with_gaps.iter_mut().step_by(5).for_each(|v| *v = f64::NAN);
    let traps: [(&str, Vec<f64>); 7] = [
        ("one period", vec![3.0]),
        ("nothing", vec![]),
        ("all zero", vec![0.0; 400]),
        ("no value", vec![f64::NAN; 400]),
        ("gaps", with_gaps),
        ("huge", (0..400).map(|t| 9e15 - f64::from(t)).collect()),
        ("one among zeros", (0..400).map(|t| f64::from(u8::from(t == 300))).collect()),
    ];
    for (trap, values) in &traps {
        for (name, detector) in detectors() {
            check(&format!("{trap}: {name}"), &*detector, &Series::new(values), 0..values.len());
            let from = values.len() * 3 / 4;
            check(&format!("{trap}: {name}"), &*detector, &Series::new(values), from..values.len());
        }
    }
}

/// Kinds that fit the whole history again for each period; `season` has the same tests for them.
const FIT_ALL: [&str; 5] = ["holt_winters", "ets", "stl", "s_h_esd", "mann_kendall"];

#[test]
fn ten_thousand_equal_values_never_alarm() {
    for level in [0.0, 5.0, 100.0] {
        let (values, people) = (vec![level; 10_000], vec![1_000.0; 10_000]);
        let series = Series { population: Some(&people), ..Series::new(&values) };
        for kind in catalogue::series_kinds().filter(|k| !FIT_ALL.contains(&k.name)) {
            let parameters: Map<_, _> =
                [("kind".to_owned(), json!(kind.name))].into_iter().collect();
            let detector = catalogue::build(parameters).unwrap();
            let verdicts = detector.evaluate(&series, 9_700..10_000).unwrap();
            assert!(verdicts.iter().all(|v| !v.alarm()), "{} at {level}", kind.name);
        }
    }
}
