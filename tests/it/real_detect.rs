//! Published records through the detectors: K1 … K5 and K9 of the published checks, and how many alerts that costs.
//!
//! The records are not part of the repository. They are looked for where `FOREWARN_SHARED_DIR` says, else in `../shared`;
//! where they are absent these tests say so and pass. Named series go through `forewarn detect` as a user runs it; the rate of
//! alerts is counted over all series with the same detector. The textbook beside them is the checks' own: at least 3 complaints
//! a week and P(X ≥ n) < 1e-4 for a Poisson mean of the weeks −54 … −3, at least 0.1.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    path::Path,
    process::Command,
};

use arrow::{
    array::{Array as _, AsArray as _, RecordBatch},
    compute::cast,
    datatypes::DataType,
};
use forewarn::detect::{
    Series, SeriesDetector, catalogue,
    math::poisson,
    ratio::{Funnel, funnel},
};
use jiff::{Span, civil::Date};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::real::data;

/// Components whose names have a comma in them.
const WITH_COMMA: [&str; 8] = [
    "FUEL SYSTEM, GASOLINE",
    "FUEL SYSTEM, DIESEL",
    "FUEL SYSTEM, OTHER",
    "ENGINE AND ENGINE COOLING, OTHER",
    "SERVICE BRAKES, HYDRAULIC",
    "SERVICE BRAKES, AIR",
    "SERVICE BRAKES, ELECTRIC",
    "STRUCTURE, FRAME AND BODY",
];
/// The first Monday of the complaints, and the first after them.
const FIRST_WEEK: Date = Date::constant(2015, 1, 5);
const LAST_WEEK: Date = Date::constant(2022, 12, 26);

/// The rows of a Parquet file as text, in the order of the columns named; nothing is an empty text.
fn rows<const N: usize>(file: &Path, columns: [&str; N]) -> Vec<[String; N]> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    let mut out = Vec::new();
    for batch in reader.build().unwrap() {
        let batch: RecordBatch = batch.unwrap();
        let texts =
            columns.map(|name| cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap());
        for row in 0..batch.num_rows() {
            out.push(texts.each_ref().map(|t| {
                let text = t.as_string::<i32>();
                if text.is_valid(row) { text.value(row).to_owned() } else { String::new() }
            }));
        }
    }
    out
}

fn monday(date: Date) -> Date {
    date.saturating_sub(Span::new().days(i64::from(date.weekday().to_monday_zero_offset())))
}

/// Weekly complaints by make, model and component: one count a week from [`FIRST_WEEK`] to before [`LAST_WEEK`].
fn vehicle_weeks(file: &Path) -> BTreeMap<String, Vec<f64>> {
    let weeks = usize::try_from((LAST_WEEK - FIRST_WEEK).get_days() / 7).unwrap();
    let mut out: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let columns = ["received_date_est", "make", "model", "components"];
    for [received, make, model, components] in rows(file, columns) {
        let received: Date = received.parse().unwrap();
        let week = (monday(received) - FIRST_WEEK).get_days() / 7;
        for component in split(&components) {
            let series = out.entry(format!("{make} {model} {component}"));
            let series = series.or_insert_with(|| vec![0.0; weeks]);
            if let Some(count) = usize::try_from(week).ok().and_then(|w| series.get_mut(w)) {
                *count += 1.0;
            }
        }
    }
    out
}

fn split(components: &str) -> Vec<String> {
    let mut rest = components.to_owned();
    let mut out = Vec::new();
    for name in WITH_COMMA.iter().filter(|name| components.contains(**name)) {
        rest = rest.replace(name, "");
        out.push((*name).to_owned());
    }
    out.extend(rest.split(',').map(str::trim).filter(|c| !c.is_empty()).map(str::to_owned));
    out
}

/// The last day of the week at a position.
fn sunday(week: usize) -> Date {
    FIRST_WEEK.saturating_add(Span::new().days(7 * week as i64 + 6))
}

fn detector(parameters: &Value) -> Box<dyn SeriesDetector> {
    let Value::Object(map) = parameters.clone() else { panic!("an object") };
    catalogue::build(map).unwrap()
}

/// `forewarn detect` on a series that begins on `first`: the first days of the periods that alarm.
fn alarms(values: &[f64], first: Date, step: i64, parameters: &Value) -> Vec<Date> {
    let dir = tempfile::tempdir().unwrap();
    let mut csv = "date,value\n".to_owned();
    for (at, value) in values.iter().enumerate() {
        let date = first.saturating_add(Span::new().days(step * at as i64));
        writeln!(csv, "{date},{value}").unwrap();
    }
    let (series, settings) = (dir.path().join("series.csv"), dir.path().join("detector.json"));
    fs::write(&series, csv).unwrap();
    fs::write(&settings, parameters.to_string()).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .arg("detect")
        .arg(&series)
        .arg("--detector")
        .arg(&settings)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let alarms = text.lines().filter(|l| l.ends_with(",true,judged"));
    alarms.map(|l| l.split(',').next().unwrap().parse().unwrap()).collect()
}

/// The Sundays of the weeks that alarm.
fn weeks_of(values: &[f64], parameters: &Value) -> Vec<Date> {
    let alarms = alarms(values, FIRST_WEEK, 7, parameters).into_iter();
    alarms.map(|d| d.saturating_add(Span::new().days(6))).collect()
}

/// The textbook's alarms, as Sundays.
fn textbook(values: &[f64]) -> Vec<Date> {
    let alarm = |at: &usize| {
        let mean = values[at - 54..at - 2].iter().sum::<f64>() / 52.0;
        values[*at] >= 3.0 && poisson::upper_p(values[*at], mean.max(0.1)).unwrap() < 1e-4
    };
    (54..values.len()).filter(alarm).map(sunday).collect()
}

/// Alerts in 1,000 series-weeks, over all weeks of all series.
fn rate(all: &BTreeMap<String, Vec<f64>>, alarms: impl Fn(&[f64]) -> usize) -> f64 {
    let weeks: usize = all.values().map(Vec::len).sum();
    1_000.0 * all.values().map(|v| alarms(v)).sum::<usize>() as f64 / weeks as f64
}

/// The textbook's year of history, but a rate that is not taken for known.
fn bayes() -> Value {
    json!({"kind": "bayes_predictive", "history": 52, "alpha": 1e-4})
}

/// A week of history that ends two weeks before, so that a surge of three weeks does not hide itself.
fn ears() -> Value {
    json!({"kind": "ears", "method": "c2", "alpha": 1e-6, "min_sigma": 1})
}

#[test]
fn k1_to_k4_vehicle_components() {
    let Some(file) = data("nhtsa_vehicle_defects/complaints.parquet") else { return };
    let all = vehicle_weeks(&file);
    let of_textbook = rate(&all, |v| textbook(v).len());
    println!("{} series, alerts per 1,000 series-weeks: textbook {of_textbook:.2}", all.len());
    for parameters in [bayes(), ears()] {
        let judge = detector(&parameters);
        let rate = rate(&all, |v| {
            let found = judge.evaluate(&Series::new(v), 52..v.len()).unwrap();
            found.iter().filter(|v| v.alarm()).count()
        });
        println!("  {parameters} {rate:.2}");
        assert!(rate > 0.0 && rate < of_textbook);
    }
    let found = |key: &str, parameters: &Value| {
        let (ours, theirs) = (weeks_of(&all[key], parameters), textbook(&all[key]));
        println!("{key}: {} {ours:?}, textbook {theirs:?}", parameters["kind"]);
        ours
    };
    let day = |text: &str| text.parse::<Date>().unwrap();
    let between = |dates: &[Date], from: &str, to: &str| {
        dates.iter().copied().find(|d| (day(from)..=day(to)).contains(d))
    };

    // K1: by 2021-11-21, none from 2020-10 to 2021-10; the investigation was opened on 2022-02-16.
    for parameters in [bayes(), ears()] {
        let k1 = found("TESLA Model 3 FORWARD COLLISION AVOIDANCE", &parameters);
        assert_eq!(k1[0], day("2021-11-14"), "none before, either");
    }
    // K2: before 2016-07-01 and before 2017-07-27.
    for parameters in [bayes(), ears()] {
        let engine = found("FORD Explorer ENGINE", &parameters);
        assert_eq!(between(&engine, "2016-01-01", "2016-06-30"), Some(day("2016-06-05")));
        let unknown = found("FORD Explorer UNKNOWN OR OTHER", &parameters);
        assert_eq!(unknown[..2], [day("2016-07-10"), day("2017-02-19")]);
    }
    // K3: by 2019-10-06. EARS, with seven weeks of history, does not find this slow rise before 2020-11.
    let k3 = found("TOYOTA RAV4 FUEL/PROPULSION SYSTEM", &bayes());
    assert_eq!(k3[..2], [day("2019-08-04"), day("2019-10-06")]);
    assert!(found("TOYOTA RAV4 FUEL/PROPULSION SYSTEM", &ears())[0] > day("2020-10-31"));
    // K4: the surge is found, and the recall of the 90 days before is known by then. The predictive bound has the first weeks
    // of the Corolla's surge in its history and misses it.
    let recalls = data("nhtsa_vehicle_defects/recalls.parquet").expect("beside the complaints");
    let recalls = rows(&recalls, ["campaign", "recall_date", "make", "model"]);
    let recall_before = |campaign: &str, make: &str, model: &str, alert: Date| {
        recalls.iter().any(|[id, date, a, b]| {
            let days = (alert - date.parse::<Date>().unwrap()).get_days();
            id == campaign && a == make && b == model && (0..=90).contains(&days)
        })
    };
    for parameters in [bayes(), ears()] {
        let k4 = found("FORD Escape POWER TRAIN", &parameters);
        let surge = between(&k4, "2022-06-10", "2022-09-08").unwrap();
        assert_eq!(surge, day("2022-06-19"));
        assert!(recall_before("22V413", "FORD", "Escape", surge));
    }
    let k4 = found("TOYOTA Corolla AIR BAGS", &ears());
    assert_eq!(k4.last(), Some(&day("2020-02-02")));
    assert!(recall_before("20V024", "TOYOTA", "Corolla", k4[1]));
    assert!(found("TOYOTA Corolla AIR BAGS", &bayes()).iter().all(|d| *d < day("2020-01-01")));
}

#[test]
fn k5_ethylene_oxide_in_sesame() {
    let Some(file) = data("rasff/notifications.parquet") else { return };
    let first = Date::constant(2020, 1, 1);
    let mut days = vec![0.0; 366];
    for [date, product, hazards] in rows(&file, ["case_date", "product", "hazards"]) {
        let day = (date.parse::<Date>().unwrap() - first).get_days();
        let has = |text: &str, word: &str| text.to_lowercase().contains(word);
        if has(&product, "sesam")
            && has(&hazards, "ethylene oxide")
            && let Some(count) = usize::try_from(day).ok().and_then(|d| days.get_mut(d))
        {
            *count += 1.0;
        }
    }
    // By 2020-10-14; the regulation came on 2020-10-22.
    for parameters in [
        json!({"kind": "bayes_predictive", "history": 56, "alpha": 1e-4}),
        json!({"kind": "ears", "method": "c1", "min_count": 2}),
        json!({"kind": "ears", "method": "c3", "min_count": 1}),
    ] {
        let found = alarms(&days, first, 1, &parameters);
        println!("K5 {parameters}: {:?}", &found[..4]);
        assert_eq!(found[0], Date::constant(2020, 10, 13), "none before, either");
    }
}

#[test]
fn k9_failure_rates_of_bureaus() {
    let Some(file) = data("cn_food_sampling_2021_2022/samples.parquet") else { return };
    let rows = rows(&file, ["publisher", "verdict", "product_category"]);
    // Of the three categories little but failures is published, which is no rate; with them the bureaus differ more.
    for left_out in [&["食品机械设备", "洗涤剂", "冷冻饮品"][..], &[]] {
        let mut bureaus: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for [publisher, verdict, category] in &rows {
            if left_out.iter().any(|c| category.contains(c)) {
                continue;
            }
            let name = publisher.split(['(', ')']).nth(1).unwrap_or(publisher);
            let name = name.trim_end_matches("市场监管局").to_owned();
            let (failures, samples) = bureaus.entry(name).or_default();
            *failures += u64::from(verdict == "不合格");
            *samples += 1;
        }
        let (failures, samples): (Vec<u64>, Vec<u64>) = bureaus.values().copied().unzip();
        let plot = funnel::draw(&failures, &samples, &Funnel::default()).unwrap();
        let of = |name: &str| {
            let at = bureaus.keys().position(|n| n == name).unwrap();
            (failures[at], samples[at], plot.points[at])
        };
        println!("K9 baseline {:.4}, over-dispersion {:.2}", plot.baseline, plot.over_dispersion);
        for name in ["江西", "山东", "江苏", "广东", "浙江"] {
            let (x, n, point) = of(name);
            println!(
                "  {name} {x} of {n}: z {:.1}, {:.1} with over-dispersion",
                point.z, point.z_dispersed
            );
            assert_eq!(point.alarm, name == "江西", "{name}");
        }
    }
}
