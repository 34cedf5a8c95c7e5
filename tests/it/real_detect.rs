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

#[test]
fn explore() {
    let Some(file) = data("nhtsa_vehicle_defects/complaints.parquet") else { return };
    let all = vehicle_weeks(&file);
    println!("{} series, textbook {:.3}", all.len(), rate(&all, |v| textbook(v).len()));
    for (name, v) in &all {
        let line: Vec<String> = v.iter().map(|x| x.to_string()).collect();
        fs::write("/tmp/expl/none", "").ok();
        println!("SERIES|{name}|{}", line.join(","));
    }
}
