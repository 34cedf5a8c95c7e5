//! The simulated province: the same bytes for a seed, records as the shipped feeds expect them, and every planted incident
//! found by the shipped rules.

use std::{collections::BTreeMap, fs, path::Path};

use forewarn::{
    engine::{
        disorder::Disorder,
        pipeline::{Options, Pipeline},
        replay::{self, Input, ReplayOptions},
        score::{Raised, Score},
    },
    feed::spec,
    model::{alert::Alert, reference::ucc, secret::Secret, time::Zone},
    rule::{self, file::Status},
    source::demo::{
        Feed, Simulation,
        incident::Incident,
        write::{feed_file, truth_file, write},
    },
};

use crate::samples::Found;

/// 2024-01-01.
const FIRST: i32 = 19_723;
/// Long enough for the rule that needs most history to have two incidents.
const DAYS: i32 = 560;
const SCALE: f64 = 0.002;

fn province() -> Simulation {
    Simulation::new(11, SCALE, FIRST)
}

fn files(
    province: &Simulation,
    days: i32,
    threads: usize,
) -> (tempfile::TempDir, BTreeMap<String, Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| write(province, FIRST..FIRST + days, dir.path(), || ())).unwrap();
    let read =
        |e: fs::DirEntry| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap());
    let files = fs::read_dir(dir.path()).unwrap().map(|e| read(e.unwrap())).collect();
    (dir, files)
}

#[test]
fn a_seed_repeats_byte_for_byte_whatever_the_threads() {
    let (_, one) = files(&province(), 90, 1);
    let (_, three) = files(&province(), 90, 3);
    assert_eq!(one.len(), Feed::ALL.len() + 1);
    assert!(one == three, "the bytes depend on the threads");
    let (_, other) = files(&Simulation::new(12, SCALE, FIRST), 90, 1);
    assert!(one["complaints.ndjson"] != other["complaints.ndjson"]);
}

#[test]
fn a_day_needs_no_day_before_it() {
    let (_, files) = files(&province(), 90, 2);
    // As `demo` does it: a fresh province goes on live where the files end.
    let mut tail: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut last_ms = 0;
    for day in province().days(FIRST + 80..FIRST + 90) {
        for record in day.records() {
            assert!(record.arrived_ms >= last_ms, "arrivals go back on day {}", day.day);
            last_ms = record.arrived_ms;
            let name = format!("{}.ndjson", record.feed.name());
            tail.entry(name).or_default().extend_from_slice(record.line);
        }
    }
    assert!(tail.len() >= 6, "{:?}", tail.keys());
    for (name, bytes) in &tail {
        assert!(files[name].ends_with(bytes), "{name}");
    }
}

#[test]
fn codes_are_valid_but_for_the_mistyped() {
    let (_, files) = files(&province(), 300, 2);
    let (mut codes, mut wrong) = (0, 0);
    for (name, bytes) in &files {
        for line in bytes.split(|b| *b == b'\n') {
            let Ok(row) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
            for column in ["ucc", "sampled_ucc", "CF_XDR_SHXYM"] {
                let Some(code) = row[column].as_str() else { continue };
                codes += 1;
                if ucc::check(code).is_err() {
                    wrong += 1;
                    assert_eq!(name, "complaints.ndjson", "{code}");
                }
            }
        }
    }
    assert!(codes > 5_000 && (1..codes / 200).contains(&wrong), "{wrong} of {codes}");
}

/// How many days of the span spoil an order in this turn of the classes.
fn turns(turn: i32) -> u32 {
    (31..DAYS).filter(|since| since % 9 == 5 && since / 9 % 8 == turn).count() as u32
}

#[test]
fn every_planted_incident_is_found_and_bad_rows_are_dead_letters() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let zone = Zone::parse("Asia/Shanghai").unwrap();
    let (dir, _) = files(&province(), DAYS, 2);
    let (specs, findings) = spec::load_dir(&root.join("rules/feeds"), &zone);
    assert!(findings.is_empty(), "{findings:?}");
    let (rules, findings) = rule::load_dir(&root.join("rules"));
    assert!(findings.is_empty(), "{findings:?}");
    let inputs: Vec<Input> = Feed::ALL
        .into_iter()
        .map(|feed| Input {
            feed: specs.iter().position(|s| s.name() == feed.name()).unwrap(),
            path: feed_file(dir.path(), feed),
        })
        .collect();
    let options = Options { zone: zone.clone(), shards: 2, eager: false };
    let mut pipeline = Pipeline::try_new(specs, &rules, options).unwrap();
    let how = ReplayOptions {
        from_ms: None,
        to_ms: None,
        now_ms: zone.parse_instant("2026-11-01").unwrap(),
        close_open: false,
        batch_rows: 16_384,
        disorder: Disorder::default(),
        secret: Secret::new([7; 32]),
    };
    let mut found = Found::default();
    let done = replay::replay(&mut pipeline, &inputs, &how, &mut found).unwrap();

    let incidents =
        Incident::read_all(&fs::read_to_string(truth_file(dir.path())).unwrap(), &zone).unwrap();
    let mut alerts: Vec<&Alert> = found.alerts.values().collect();
    alerts.sort_by_key(|a| a.known);
    let ids: Vec<&str> = pipeline.plan().rules.iter().map(|r| r.id.as_str()).collect();
    let raised: Vec<Raised<'_>> = alerts.iter().map(|a| Raised::new(ids[a.rule], a)).collect();
    let score = Score::of(&incidents, &raised, done.until_ms.unwrap());
    let missed: Vec<&Incident> = score.missed.iter().map(|i| &incidents[*i]).collect();
    assert!(missed.is_empty(), "{missed:#?}\n{score}");
    // Rules in shadow raise no alerts.
    let live = pipeline.plan().rules.iter().filter(|r| r.status == Status::Live);
    for id in live.map(|r| r.id.as_str()) {
        let n = score.found.iter().filter(|f| incidents[f.incident].rule == id).count();
        assert!(n >= 2, "{id}: {n} found\n{score}");
    }
    assert!(score.false_alarms.len() <= 10, "{score}");
    assert!(score.lead_days().unwrap() > 5.0, "{score}");

    // Orders take turns; other rows are spoilt at random, in three of the classes.
    let classes =
        ["syntax", "type", "missing", "bad_value", "bad_time", "future", "late", "encoding"];
    for (turn, class) in classes.iter().enumerate() {
        let (is, planted) = (found.dead.get(class).copied().unwrap_or(0), turns(turn as i32));
        let random = ["syntax", "missing", "bad_time"].contains(class);
        assert!(
            is == planted || random && (planted..planted + 12).contains(&is),
            "{class} {is} {planted}"
        );
    }
    assert_eq!(found.dead.get("too_long"), Some(&3));
    assert_eq!(found.dead.len(), 9, "{:?}", found.dead);
    let complaints = done.counts[inputs[0].feed];
    assert!(complaints.duplicates > 0 && complaints.corrections > 0, "{complaints:?}");
    assert_eq!(complaints.conflicts, 0);
}
