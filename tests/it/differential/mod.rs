//! The engine against batch SQL, and against itself, on made-up logs and rules.
//!
//! `a_replay_is_one_batch_query_per_rule`: every signal, value for value. `nothing_about_the_run_shows`: batches, shards,
//! copies and live evaluation give the same bytes; another order within lateness the same signals. `PROPTEST_CASES` sets
//! how many cases are looked at. What these found once stands as a case of its own in `found`.

mod calendar;
mod detection;
mod fed;
mod first_seen;
mod found;
mod generate;
mod joins;
mod joint;
mod many;
mod nowcast;
mod partitions;
mod rules;
mod sequence;
mod sql;

use std::{collections::BTreeMap, fs, io, path::Path};

use forewarn::{
    engine::{
        disorder::Disorder,
        pipeline::{Options, Pipeline, Step},
        replay::{self, Input, ReplayOptions, Sink},
    },
    feed::{FeedSpec, spec},
    model::{batch::DeadLetter, secret::Secret, time::Zone},
    rule::file::RuleFile,
    sink::found::{FoundFiles, RuleName},
};
use jiff::Timestamp;
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};
use serde_json::{Map, Value};

use generate::{Case, cases, wild_cases};
use sql::Tables;

/// The present of all replays here: 2027-01-01.
const NOW_MS: i64 = 1_798_761_600_000;

/// How a log is replayed.
#[derive(Debug, Clone, Copy)]
struct How {
    shards: usize,
    batch_rows: usize,
    disorder: Disorder,
    eager: bool,
}

impl Default for How {
    fn default() -> Self {
        Self { shards: 1, batch_rows: 1 << 20, disorder: Disorder::default(), eager: false }
    }
}

/// What a replay wrote.
#[derive(Debug, PartialEq)]
struct Written {
    signals: String,
    alerts: String,
    /// Every revision of every alert, a line each.
    told: String,
    /// Refused rows: partition and line.
    dead: Vec<(String, u64)>,
}

/// One signal.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    rule: String,
    key: String,
    window: (i64, i64),
    /// Where it is told by a record: its id.
    record: String,
    severity: String,
    open: bool,
    values: Map<String, Value>,
}

struct Out {
    found: FoundFiles,
    zone: Zone,
    /// By id and number, with what moved between.
    told: BTreeMap<(String, u32), String>,
    dead: Vec<(String, u64)>,
}

impl Sink for Out {
    fn take(&mut self, step: Step) -> io::Result<()> {
        self.dead.extend(step.dead.iter().map(|(_, p, letter)| (p.to_string(), letter.line)));
        for alert in &step.alerts {
            let line = Value::Object(alert.to_json("", &self.zone)).to_string();
            self.told.insert((alert.id.clone(), alert.revision), line);
        }
        self.found.take(step.signals, step.alerts);
        Ok(())
    }

    fn dead(&mut self, _feed: usize, _partition: &str, letter: DeadLetter) -> io::Result<()> {
        panic!("line {}: {}", letter.line, letter.message)
    }

    fn progress(&mut self, _bytes: u64) {}
}

/// A case as files on disk and compiled rules.
struct World {
    dir: tempfile::TempDir,
    zone: Zone,
    specs: Vec<FeedSpec>,
    rules: Vec<RuleFile>,
    /// Feed and path; each file is a partition.
    files: Vec<Input>,
}

impl World {
    fn new(case: &Case) -> Self {
        let rules: Vec<String> = case.rules.iter().map(rules::Rule::file).collect();
        let rows = |report: bool| {
            let rows = case.rows.iter().filter(|r| r.report == report);
            rows.map(|r| r.line() + "\n").collect::<String>()
        };
        Self::of(case.zone, &case.settings.feed_files(), &rules, &[rows(true), rows(false)])
    }

    /// Feed files by name, rule files, and the lines of each feed.
    fn of(zone: &str, feeds: &[(&str, String)], rules: &[String], lines: &[String]) -> Self {
        let zone = Zone::parse(zone).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let read = |(name, text): &(&str, String)| {
            let path = format!("{name}.yaml");
            spec::parse(Path::new(&path), text, &zone).unwrap_or_else(|f| panic!("{f:?}\n{text}"))
        };
        let specs = feeds.iter().map(read).collect();
        let read = |text: &String| {
            let (rule, findings) = RuleFile::parse(Path::new("rule.yaml"), text);
            rule.unwrap_or_else(|| panic!("{findings:?}\n{text}"))
        };
        let rules = rules.iter().map(read).collect();
        let mut world = Self { dir, zone, specs, rules, files: Vec::new() };
        for (feed, ((name, _), lines)) in feeds.iter().zip(lines).enumerate() {
            world.file(feed, name, lines);
        }
        world
    }

    /// Adds a file of a feed.
    fn file(&mut self, feed: usize, name: &str, lines: &str) {
        let path = self.dir.path().join(format!("{name}.ndjson"));
        fs::write(&path, lines).unwrap();
        self.files.push(Input { feed, path });
    }

    /// Replays what no row of is refused.
    fn replay(&self, how: How) -> Written {
        let written = self.replay_any(how);
        assert_eq!(written.dead, []);
        written
    }

    fn replay_any(&self, how: How) -> Written {
        self.replay_counting(how).0
    }

    /// The same, and for each rule the evaluations without an answer.
    fn replay_counting(&self, how: How) -> (Written, Vec<u64>) {
        let options = Options { zone: self.zone.clone(), shards: how.shards, eager: how.eager };
        let mut pipeline = Pipeline::try_new(self.specs.clone(), &self.rules, options)
            .unwrap_or_else(|f| panic!("{f:?}"));
        let options = ReplayOptions {
            from_ms: None,
            to_ms: None,
            now_ms: NOW_MS,
            close_open: false,
            batch_rows: how.batch_rows,
            disorder: how.disorder,
            secret: Secret::new([0; 32]),
        };
        let names = pipeline.plan().rules.iter().map(|r| RuleName {
            id: r.id.clone(),
            version: r.version,
            values: r.value_names().map(str::to_owned).collect(),
        });
        let out = self.dir.path().join("out");
        let found = FoundFiles::create(&out, self.zone.clone(), names.collect()).unwrap();
        let mut to =
            Out { found, zone: self.zone.clone(), told: BTreeMap::new(), dead: Vec::new() };
        replay::replay(&mut pipeline, &self.files, &options, &mut to).unwrap();
        to.found.finish().unwrap();
        let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
        let told = to.told.into_values().collect::<Vec<_>>().join("\n");
        let written = Written {
            signals: read("signals.ndjson"),
            alerts: read("alerts.ndjson"),
            told,
            dead: to.dead,
        };
        (written, pipeline.troubles().into_iter().map(|(_, not_ready)| not_ready).collect())
    }
}

impl Written {
    /// The signals of one rule.
    fn lines(&self, rule: &str) -> Vec<Line> {
        let lines = self.signals.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
        lines.filter(|l| l["rule"] == rule).map(Line::of).collect()
    }
}

impl Line {
    fn of(json: Value) -> Self {
        let at = |name: &str| {
            let text = json["window"][name].as_str().unwrap();
            text.parse::<Timestamp>().unwrap().as_millisecond()
        };
        Self {
            rule: json["rule"].as_str().unwrap().into(),
            key: json["key"].to_string(),
            window: (at("start"), at("end")),
            record: json["record"].as_str().unwrap_or_default().into(),
            severity: json["severity"].as_str().unwrap().into(),
            open: json.get("open") == Some(&Value::Bool(true)),
            values: json["values"].as_object().unwrap().clone(),
        }
    }

    /// Equal, floats up to the rounding of their last digits.
    fn agrees(&self, other: &Self) -> bool {
        let near = |a: &Value, b: &Value| match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0),
            _ => a == b,
        };
        let values = self.values.len() == other.values.len()
            && self.values.iter().all(|(n, v)| other.values.get(n).is_some_and(|o| near(v, o)));
        let head = |l: &Self| (l.rule.clone(), l.key.clone(), l.window, l.severity.clone(), l.open);
        head(self) == head(other) && values
    }
}

/// The first line in which two sorted lists of signals differ.
fn difference(got: &[Line], expected: &[Line]) -> Option<String> {
    let first =
        (0..got.len().max(expected.len())).find(|i| match (got.get(*i), expected.get(*i)) {
            (Some(a), Some(b)) => !a.agrees(b),
            _ => true,
        })?;
    let show = |lines: &[Line]| lines.get(first).map_or("nothing".into(), |l| format!("{l:?}"));
    Some(format!(
        "{} and {} signals, at {first}:\n  got      {}\n  expected {}",
        got.len(),
        expected.len(),
        show(got),
        show(expected)
    ))
}

fn first_difference(a: &str, b: &str) -> Option<String> {
    if a == b {
        return None;
    }
    let (mut x, mut y) = (a.lines(), b.lines());
    loop {
        match (x.next(), y.next()) {
            (Some(a), Some(b)) if a == b => {}
            (a, b) => {
                return Some(format!(
                    "\n  {}\n  {}",
                    a.unwrap_or("nothing"),
                    b.unwrap_or("nothing")
                ));
            }
        }
    }
}

fn config(cases: u32) -> Config {
    let wanted = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    Config {
        cases: wanted.unwrap_or(cases),
        failure_persistence: None,
        max_shrink_iters: 60,
        ..Config::default()
    }
}

fn check(
    strategy: impl Strategy<Value = Case>,
    cases: u32,
    test: impl Fn(&Case) -> Result<(), TestCaseError>,
) {
    let mut runner = TestRunner::new(config(cases));
    if let Err(e) = runner.run(&strategy, |case| test(&case)) {
        // Not `{:#?}` of a whole case.
        let TestError::Fail(why, case) = e else { panic!("{e}") };
        panic!("{why}\nin the smallest such case:\n{case:?}");
    }
}

fn fail(message: String) -> Result<(), TestCaseError> {
    Err(TestCaseError::fail(message))
}

#[test]
fn a_replay_is_one_batch_query_per_rule() {
    is_one_query_per_rule(cases(1..220, 1..8), 24);
}

fn is_one_query_per_rule(strategy: impl Strategy<Value = Case>, n: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let signals = std::cell::Cell::new(0);
    check(strategy, n, |case| {
        let written = World::new(case).replay(How { shards: 2, batch_rows: 16, ..How::default() });
        runtime.block_on(async {
            let tables = Tables::new(case).await;
            for rule in &case.rules {
                let mut got = written.lines(&rule.id);
                let mut expected = tables.expected(rule).await;
                signals.set(signals.get() + expected.len());
                let place = |l: &Line| (l.window, l.key.clone());
                got.sort_by_key(place);
                expected.sort_by_key(place);
                if let Some(difference) = difference(&got, &expected) {
                    return fail(format!("{difference}\n{}", tables.query(rule)));
                }
            }
            Ok(())
        })
    });
    println!("{} signals", signals.get());
    assert!(signals.get() > 0);
}

#[test]
fn nothing_about_the_run_shows() {
    check(wild_cases(1..220, 1..8), 24, |case| {
        let world = World::new(case);
        let plain = world.replay(How::default());
        let mut live: Option<Written> = None;
        for (shards, batch_rows, duplicates, eager) in [
            (1, 1, None, false),
            (2, 7, None, false),
            (3, 64, Some(1), false),
            (5, 1 << 20, Some(2), false),
            (1, 1, None, true),
            (1, 5, None, true),
            (2, 1, None, true),
            (3, 64, Some(3), true),
            (5, 1 << 20, None, true),
        ] {
            let how =
                How { shards, batch_rows, eager, disorder: Disorder { shuffle: None, duplicates } };
            let other = world.replay(how);
            for (what, a, b) in [
                ("signals", &plain.signals, &other.signals),
                ("alerts", &plain.alerts, &other.alerts),
            ] {
                if let Some(difference) = first_difference(a, b) {
                    return fail(format!("{what} with {how:?}:{difference}"));
                }
            }
            if !eager || duplicates.is_some() {
                continue;
            }
            // A live run also tells the same on the way: so it does when it walks its log again after a crash, in whatever
            // batches.
            match &live {
                None => live = Some(other),
                Some(live) => {
                    if let Some(difference) = first_difference(&live.told, &other.told) {
                        return fail(format!("revisions with {how:?}:{difference}"));
                    }
                }
            }
        }
        for seed in 1..4 {
            let how = How {
                shards: seed as usize,
                batch_rows: 16,
                disorder: Disorder { shuffle: Some(seed), duplicates: (seed == 3).then_some(7) },
                eager: seed == 2,
            };
            if let Some(difference) = first_difference(&plain.signals, &world.replay(how).signals) {
                return fail(format!("signals with {how:?}:{difference}"));
            }
        }
        Ok(())
    });
}
