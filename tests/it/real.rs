//! Published records, replayed: the rules of `tests/real/` find what became known later, and by when.
//!
//! The records are not part of the repository. They are looked for where `FOREWARN_SHARED_DIR` says, else in `../shared`;
//! where they are absent these tests say so and pass. The expected signals were computed apart from this engine, in
//! Python over daily counts. K1 … K8 are the numbers of the published checks.

use std::{
    env,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use forewarn::{
    engine::{
        disorder::Disorder,
        pipeline::{Options, Pipeline, Step},
        replay::{self, Input, ReplayOptions, Sink},
    },
    feed::{FeedSpec, spec},
    model::{
        alert::{Alert, State},
        batch::DeadLetter,
        secret::Secret,
        signal::{Signal, Signals},
        time::{DAY_MS, Zone, format_day},
    },
    rule::{self, file::RuleFile},
};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};

/// The present of all replays here: 2026-11-01.
const NOW_MS: i64 = 1_793_491_200_000;

/// The file below the data sets; says why where it is absent.
pub(crate) fn data(path: &str) -> Option<PathBuf> {
    let shared =
        env::var_os("FOREWARN_SHARED_DIR").map_or_else(|| repository("../shared"), PathBuf::from);
    let path = shared.join("data").join(path);
    if !path.is_file() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn zone() -> Zone {
    Zone::parse("Asia/Shanghai").unwrap()
}

/// What a replay found, in the order of keys and windows.
#[derive(Default)]
struct Found {
    found: Vec<Signals>,
    alerts: Vec<Alert>,
    late: usize,
}

impl Sink for Found {
    fn take(&mut self, step: Step) -> io::Result<()> {
        self.found.extend(step.signals);
        self.alerts.extend(step.alerts);
        self.late += step.dead.len();
        Ok(())
    }

    fn dead(&mut self, feed: usize, partition: &str, letter: DeadLetter) -> io::Result<()> {
        panic!("feed {feed}, {partition}, line {}: {}", letter.line, letter.message)
    }

    fn progress(&mut self, _bytes: u64) {}
}

impl Found {
    /// Signals, each with its rule.
    fn signals(&self) -> impl Iterator<Item = (usize, Signal<'_>)> {
        self.found.iter().flat_map(|s| (0..s.len()).map(|i| (s.rule, s.get(i))))
    }

    /// Window ends and counts of the signals of one key.
    fn signals_of(&self, key: &str) -> Vec<(String, i64)> {
        let of_key = self.signals().filter(|(_, s)| s.key.canonical.as_ref() == key);
        let mut out: Vec<_> =
            of_key.map(|(_, s)| (day(s.window.end_ms), first_value(s.values))).collect();
        out.sort();
        out
    }

    /// The days on which the alerts of one key fired, episode by episode.
    fn fired(&self, key: &str) -> Vec<String> {
        let first =
            self.alerts.iter().filter(|a| a.key.canonical.as_ref() == key && a.revision == 1);
        let mut out: Vec<_> = first.map(|a| day(a.fired_ms)).collect();
        out.sort();
        out
    }

    /// Everything that signals say, sorted.
    fn all_signals(&self) -> Vec<String> {
        let line = |(rule, s): (usize, Signal<'_>)| {
            format!("{rule} {} {:?} {:?}", s.key.canonical, s.window, s.values)
        };
        let mut out: Vec<_> = self.signals().map(line).collect();
        out.sort();
        out
    }
}

fn day(ms: i64) -> String {
    format_day(zone().to_local(ms).div_euclid(DAY_MS) as i32)
}

/// Replays one file with the rules named.
fn replay(feed: &str, file: &Path, rules: &[&str], change: impl Fn(FeedSpec) -> FeedSpec) -> Found {
    let (specs, findings) = spec::load_dir(&repository("tests/real/feeds"), &zone());
    assert!(findings.is_empty(), "{findings:?}");
    let (all, findings) = rule::load_dir(&repository("tests/real/rules"));
    assert!(findings.is_empty(), "{findings:?}");
    let rules: Vec<RuleFile> =
        all.into_iter().filter(|r| rules.contains(&r.id.value.as_str())).collect();
    let specs: Vec<FeedSpec> = specs.into_iter().map(change).collect();
    let feed = specs.iter().position(|s| s.name() == feed).unwrap();
    let options = Options { zone: zone(), shards: 2, eager: false };
    let mut pipeline = Pipeline::try_new(specs, &rules, options).unwrap();
    let how = ReplayOptions {
        close_open: false,
        from_ms: None,
        to_ms: None,
        now_ms: NOW_MS,
        batch_rows: 4_096,
        disorder: Disorder::default(),
        secret: Secret::new([0; 32]),
    };
    let mut found = Found::default();
    replay::replay(&mut pipeline, &[Input { feed, path: file.to_owned() }], &how, &mut found)
        .unwrap();
    found
}

fn pairs(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(d, n)| ((*d).to_owned(), *n)).collect()
}

#[test]
fn k1_k3_vehicle_components() {
    let Some(file) = data("nhtsa_vehicle_defects/complaints.parquet") else { return };
    let found = replay("vehicle_components", &file, &["vehicle_component_week"], |spec| spec);
    assert_eq!(found.late, 0);

    // K1: alert by 2021-11-21, none from 2020-10 to 2021-10. The investigation was opened on 2022-02-16.
    let model_3 = r#"{"make":"TESLA","model":"Model 3","component":"FORWARD COLLISION AVOIDANCE"}"#;
    let expected = [
        ("2021-11-15", 6),
        ("2021-11-22", 18),
        ("2021-12-06", 7),
        ("2021-12-20", 8),
        ("2022-02-07", 115),
        ("2022-02-14", 33),
        ("2022-02-21", 140),
        ("2022-02-28", 48),
        ("2022-03-07", 19),
        ("2022-03-14", 20),
        ("2022-03-21", 29),
        ("2022-06-06", 65),
    ];
    assert_eq!(found.signals_of(model_3), pairs(&expected));
    assert_eq!(found.fired(model_3)[0], "2021-11-12");

    // K3: alert by 2019-10-06. Never recalled.
    let rav4 = r#"{"make":"TOYOTA","model":"RAV4","component":"FUEL/PROPULSION SYSTEM"}"#;
    let expected = [
        ("2019-08-05", 4),
        ("2019-10-07", 6),
        ("2019-10-28", 7),
        ("2019-12-30", 13),
        ("2020-01-06", 11),
        ("2020-01-13", 8),
        ("2020-01-20", 9),
        ("2020-02-10", 19),
        ("2020-02-17", 13),
        ("2020-02-24", 12),
    ];
    assert_eq!(found.signals_of(rav4), pairs(&expected));
    assert_eq!(found.fired(rav4)[..2], ["2019-08-01", "2019-10-05"]);
    println!(
        "K1 fired {:?}\nK3 fired {:?}\n{} signals",
        found.fired(model_3),
        found.fired(rav4),
        found.signals().count()
    );
}

#[test]
fn k5_new_hazard() {
    let Some(file) = data("rasff/notifications.parquet") else { return };
    let found = replay("food_notifications", &file, &["food_new_hazard"], |spec| spec);
    // By 2020-10-09; the regulation came on 2020-10-22.
    let sesame = r#"{"commodity":"sesam","hazard":"ethylene oxide"}"#;
    assert_eq!(found.signals_of(sesame), pairs(&[("2020-10-10", 3)]));
    assert_eq!(found.fired(sesame), ["2020-10-09"]);
    assert_eq!(found.signals().count(), 1_593);
    println!("K5 fired {:?}", found.fired(sesame));
}

#[test]
fn k5_first_seen() {
    let Some(file) = data("rasff/notifications.parquet") else { return };
    let found = replay("food_notifications", &file, &["food_first_hazard"], |spec| spec);
    // The third case thirty days after the first, on the day by which the published check wants it.
    let sesame = r#"{"commodity":"sesam","hazard":"ethylene oxide"}"#;
    assert_eq!(found.fired(sesame), ["2020-10-09"]);
    assert_eq!(found.signals().count(), 97);
    let keys: std::collections::BTreeSet<_> =
        found.alerts.iter().map(|a| a.key.canonical.clone()).collect();
    assert_eq!(keys.len(), 90);
    println!("K5 first seen: {} hazards new to a product", keys.len());
}

#[test]
fn k5_a_pair_out_of_proportion() {
    let Some(file) = data("rasff/notifications.parquet") else { return };
    let found = replay("food_notifications", &file, &["food_pair_signal"], |spec| spec);
    // By 2020-10-14: the lower limit goes above 1 with the seventh notification, on 2020-10-13.
    let sesame = r#"{"commodity":"sesam","hazard":"ethylene oxide"}"#;
    let first = [("2020-10-14", 7), ("2020-10-15", 8), ("2020-10-16", 8), ("2020-10-17", 11)];
    assert_eq!(found.signals_of(sesame)[..4], pairs(&first));
    assert_eq!(found.fired(sesame)[0], "2020-10-14");
    let keys: std::collections::BTreeSet<_> =
        found.alerts.iter().map(|a| a.key.canonical.clone()).collect();
    assert_eq!(keys.len(), 150);
    println!("K5 pairs: {} alerted, fired {:?}", keys.len(), found.fired(sesame));
}

#[test]
fn k6_the_order_of_notifications_does_not_matter() {
    let Some(file) = data("rasff/notifications.parquet") else { return };
    let rules = ["food_chlorpyrifos_origin"];
    // A reference number is given when a case begins; its date may be 486 days later than that of the next number.
    let patient = |spec: FeedSpec| FeedSpec {
        allowed_lateness_ms: 500 * DAY_MS,
        dedup_for_ms: 500 * DAY_MS,
        history_from_ms: zone().parse_instant("2020-01-02"),
        ..spec
    };
    let by_date = replay("food_notifications", &file, &rules, patient);
    let dir = tempfile::tempdir().unwrap();
    let reordered = dir.path().join("by_reference.parquet");
    sort_parquet(&file, &reordered, &["ref_year", "ref_no"]);
    let by_reference = replay("food_notifications", &reordered, &rules, patient);

    let turkey = r#"{"country":"Turkey"}"#;
    for found in [&by_date, &by_reference] {
        assert_eq!(found.late, 0);
        // Alert by 2020-11-18.
        assert_eq!(found.fired(turkey)[0], "2020-11-18");
        let signals = found.signals_of(turkey);
        assert_eq!(signals[..3], pairs(&[("2020-11-19", 4), ("2020-11-20", 4), ("2020-11-28", 9)]));
        assert_eq!(signals.len(), 43);
        let first = found
            .alerts
            .iter()
            .rfind(|a| a.key.canonical.as_ref() == turkey && a.episode == 1)
            .unwrap();
        assert_eq!(first.state, State::Resolved);
    }
    assert_eq!(by_date.all_signals(), by_reference.all_signals());
    println!("K6 fired {:?}", by_reference.fired(turkey));
}

#[test]
fn k8_one_business_under_two_spellings() {
    let Some(file) = data("nyc_consumer_complaints/complaints_2023.parquet") else { return };
    let found = replay("consumer_complaints", &file, &["business_burst"], |spec| spec);
    // By 2023-09-18: 1 complaint on 09-08, then 22 from 09-16 to 09-19.
    let jalen = r#"{"business":"JALEN"}"#;
    let expected = [
        ("2023-09-18", 12),
        ("2023-09-19", 19),
        ("2023-09-20", 22),
        ("2023-09-21", 22),
        ("2023-09-22", 25),
        ("2023-09-23", 25),
        ("2023-09-24", 19),
        ("2023-09-25", 19),
        ("2023-09-26", 14),
    ];
    assert_eq!(found.signals_of(jalen), pairs(&expected));
    assert_eq!(found.fired(jalen), ["2023-09-17"]);
    println!("K8 fired {:?}", found.fired(jalen));
}

/// The rows of a Parquet file in the order of these columns.
fn sort_parquet(from: &Path, to: &Path, by: &[&str]) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(from).unwrap()).unwrap();
    let schema = reader.schema().clone();
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    let rows = concat_batches(&schema, &batches).unwrap();
    let columns: Vec<_> = by
        .iter()
        .map(|name| SortColumn {
            values: rows.column_by_name(name).unwrap().clone(),
            options: None,
        })
        .collect();
    let order = lexsort_to_indices(&columns, None).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(to).unwrap(), schema, None).unwrap();
    writer.write(&take_record_batch(&rows, &order).unwrap()).unwrap();
    writer.close().unwrap();
}

/// The first value of a signal.
fn first_value(values: &str) -> i64 {
    let values: serde_json::Map<String, serde_json::Value> = serde_json::from_str(values).unwrap();
    values.values().next().and_then(serde_json::Value::as_i64).unwrap()
}
