//! Sequences against an evaluator that looks at all records at once, start by start.
//!
//! Made-up logs of three feeds — one without record ids — with ties in time, disorder, copies, corrections and withdrawals,
//! and made-up rules. `as_the_plain_evaluator_says`: every signal with its window, severity and values.
//! `nothing_of_the_run_shows_in_sequences`: batches and shards give the same alerts, revision by revision, and another order
//! of arrival the same signals.

use std::{cell::Cell, collections::BTreeMap, fmt::Write as _, sync::Arc};

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMillisecondArray};
use forewarn::model::hash::{combine, hash_column};
use jiff::Timestamp;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{TestError, TestRunner},
};
use serde_json::{Map, Value, json};

use super::{Disorder, How, World, Written, config, first_difference};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// 2026-03-01.
const START_MS: i64 = 1_772_323_200_000;
const OUT_OF_ORDER_MS: i64 = 6 * HOUR_MS;
const FEEDS: [&str; 3] = ["a", "b", "c"];

/// One version of a record.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    feed: usize,
    id: String,
    version: i64,
    op: &'static str,
    at_ms: i64,
    key: Option<&'static str>,
    tag: &'static str,
    who: Option<&'static str>,
    link: Option<&'static str>,
    n: Option<i64>,
}

/// What a step asks.
#[derive(Debug, Clone)]
struct Step {
    feed: usize,
    tag: Option<&'static str>,
    at_least: usize,
    distinct: bool,
    /// `link` equals that of an earlier step, and how often `n` is at least its `n`.
    equal: Option<usize>,
    at_most: Option<usize>,
    /// Hours that it must stay away, and for which it is waited longer.
    absent: Option<(i64, i64)>,
}

#[derive(Debug, Clone)]
struct Rule {
    within_h: i64,
    each: bool,
    steps: Vec<Step>,
}

impl Row {
    fn line(&self) -> String {
        let at = Timestamp::from_millisecond(self.at_ms).unwrap().to_string();
        let mut line = json!({"at": at, "k": self.key, "tag": self.tag, "who": self.who,
            "link": self.link, "n": self.n});
        if self.feed != 1 {
            line["id"] = self.id.as_str().into();
            line["v"] = self.version.into();
            line["op"] = self.op.into();
        }
        format!("{line}\n")
    }

    /// What orders records of one time, step and feed: the hash of the id, or of all columns.
    fn tie(&self) -> u128 {
        let text = |t: Option<&str>| -> ArrayRef { Arc::new(StringArray::from(vec![t])) };
        if self.feed != 1 {
            return hash_column(&text(Some(&self.id)))[0];
        }
        let at = TimestampMillisecondArray::from(vec![self.at_ms]).with_timezone("UTC");
        let columns: [ArrayRef; 6] = [
            Arc::new(at),
            text(self.key),
            text(Some(self.tag)),
            text(self.who),
            text(self.link),
            Arc::new(Int64Array::from(vec![self.n])),
        ];
        let mut hash = vec![0_u128];
        columns.iter().for_each(|c| combine(&mut hash, &hash_column(c)));
        hash[0]
    }
}

fn feed_files() -> Vec<(&'static str, String)> {
    let times = "event_time: at\nout_of_order: 6h\nallowed_lateness: 90d\ndedup_for: 120d\n";
    let columns = "  at: {type: timestamp, required: true}\n  k: text\n  tag: text\n  who: text\n  link: text\n  n: int\n";
    let file = |name: &&'static str| {
        let ids = "record_id: id\nversion: v\nop: op\n";
        let (ids, own) =
            if *name == "b" { ("", "") } else { (ids, "  id: text\n  v: int\n  op: text\n") };
        let head = format!("feed: {name}\ntitle: {{zh: 源, en: Feed}}\n");
        (*name, format!("{head}{ids}{times}columns:\n{columns}{own}"))
    };
    FEEDS.iter().map(file).collect()
}

impl Rule {
    fn file(&self) -> String {
        let mut text =
            String::from("rule: r\ntitle: {zh: 序, en: Sequence}\nkind: sequence\nkey: [k]\n");
        let happen = self.steps.iter().filter(|s| s.absent.is_none()).count();
        if happen > 1 || self.steps[0].at_least > 1 {
            let _ = writeln!(text, "within: {}h", self.within_h);
        }
        let _ = writeln!(text, "runs: {}\nsteps:", if self.each { "each" } else { "first" });
        for (i, step) in self.steps.iter().enumerate() {
            let _ = write!(text, "  - {{as: s{i}, feed: {}", FEEDS[step.feed]);
            if let Some(tag) = step.tag {
                let _ = write!(text, ", where: tag = '{tag}'");
            }
            if step.at_least > 1 {
                let _ = write!(text, ", at_least: {}", step.at_least);
                if step.distinct {
                    text.push_str(", distinct: who");
                }
            }
            let equal = step.equal.map(|j| format!("s{i}.link = s{j}.link"));
            let at_most = step.at_most.map(|j| format!("s{i}.n >= s{j}.n"));
            let links: Vec<String> = equal.into_iter().chain(at_most).collect();
            if !links.is_empty() {
                let _ = write!(text, ", match: {}", links.join(" and "));
            }
            if let Some((term_h, wait_h)) = step.absent {
                let _ = write!(text, ", absent_for: {term_h}h");
                if wait_h > 0 {
                    let _ = write!(text, ", wait: {wait_h}h");
                }
            }
            text.push_str("}\n");
        }
        text + "severity: {high: s0.n > 2, else: low}\n"
    }

    /// A row's steps.
    fn passes(&self, row: &Row) -> Vec<usize> {
        let passes = |s: &Step| s.feed == row.feed && s.tag.is_none_or(|t| t == row.tag);
        (0..self.steps.len()).filter(|i| passes(&self.steps[*i])).collect()
    }
}

/// What came about: place of its end, start, window, rows by step.
struct Found<'a> {
    /// Time of the end and position of the last row, behind all rows of that time for a deadline.
    end: (i64, usize),
    start: usize,
    met: Vec<Vec<&'a Row>>,
    deadline_ms: Option<i64>,
}

/// The signals of a rule, from the records as they are in the end.
fn expected(rule: &Rule, log: &[Row]) -> Vec<String> {
    let mut latest: BTreeMap<(usize, &str), &Row> = BTreeMap::new();
    let mut rows: Vec<&Row> = Vec::new();
    for row in log {
        if row.feed == 1 {
            rows.push(row);
            continue;
        }
        let kept = latest.entry((row.feed, &row.id)).or_insert(row);
        if row.version > kept.version {
            *kept = row;
        }
    }
    rows.extend(latest.into_values().filter(|r| r.op != "withdraw"));
    let awaited = rule.steps.last().filter(|s| s.absent.is_some()).map(|s| s.feed);
    let of_awaited = log.iter().filter(|r| Some(r.feed) == awaited).map(|r| r.at_ms);
    let awaited_ms = of_awaited.max().map_or(i64::MIN, |ms| ms - OUT_OF_ORDER_MS);
    let mut by_key: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        if let Some(key) = row.key.filter(|_| !rule.passes(row).is_empty()) {
            by_key.entry(key).or_default().push(row);
        }
    }
    let mut out = Vec::new();
    for (key, mut rows) in by_key {
        rows.sort_by_key(|r| (r.at_ms, rule.passes(r)[0], r.feed, r.tie()));
        let mut found: Vec<Found<'_>> =
            (0..rows.len()).filter_map(|start| follow(rule, &rows, start, awaited_ms)).collect();
        if !rule.each {
            found.sort_by_key(|f| (f.end, f.start));
            // The first that ends takes along what began before it did.
            let mut taken: Option<(i64, usize)> = None;
            found.retain(|f| {
                let began = (rows[f.start].at_ms, f.start);
                let free = taken.is_none_or(|end| match f.deadline_ms {
                    Some(_) => began.0 >= end.0,
                    None => began > end,
                });
                if free {
                    taken = Some(f.end);
                }
                free
            });
        }
        out.extend(found.iter().map(|f| line(rule, key, &rows, f)));
    }
    out.sort();
    out
}

/// The sequence that begins with a row, if one does and comes about.
fn follow<'a>(rule: &Rule, rows: &[&'a Row], start: usize, awaited_ms: i64) -> Option<Found<'a>> {
    let first = rows[start];
    let mut met: Vec<Vec<&Row>> = vec![Vec::new()];
    if !rule.passes(first).contains(&0) || (first.who.is_none() && counts_distinct(&rule.steps[0]))
    {
        return None;
    }
    met[0].push(first);
    let mut place = start;
    loop {
        let at = met.len() - 1;
        if met[at].len() == rule.steps[at].at_least {
            if at + 1 == rule.steps.len() {
                return Some(Found {
                    end: (rows[place].at_ms, place),
                    start,
                    met,
                    deadline_ms: None,
                });
            }
            met.push(Vec::new());
            let next = &rule.steps[at + 1];
            if let Some((term_h, wait_h)) = next.absent {
                let deadline = rows[place].at_ms + term_h * HOUR_MS;
                let fits = |row: &&&Row| {
                    row.at_ms < deadline
                        && rule.passes(row).contains(&(at + 1))
                        && links(next, row, &met)
                };
                let came = rows[place + 1..].iter().find(fits);
                let known = deadline + wait_h * HOUR_MS <= awaited_ms;
                return (came.is_none() && known).then_some(Found {
                    end: (deadline, 0),
                    start,
                    met,
                    deadline_ms: Some(deadline),
                });
            }
            continue;
        }
        let step = &rule.steps[at];
        place = (place + 1..rows.len()).find(|i| {
            let row = rows[*i];
            rule.passes(row).contains(&at)
                && row.at_ms - first.at_ms < rule.within_h * HOUR_MS
                && links(step, row, &met)
                && (!counts_distinct(step)
                    || (row.who.is_some() && met[at].iter().all(|m| m.who != row.who)))
        })?;
        met[at].push(rows[place]);
    }
}

fn counts_distinct(step: &Step) -> bool {
    step.distinct && step.at_least > 1
}

fn links(step: &Step, row: &Row, met: &[Vec<&Row>]) -> bool {
    let of = |j: usize| met[j][met[j].len() - 1];
    step.equal.is_none_or(|j| row.link.is_some() && row.link == of(j).link)
        && step.at_most.is_none_or(|j| matches!((row.n, of(j).n), (Some(a), Some(b)) if a >= b))
}

fn line(rule: &Rule, key: &str, rows: &[&Row], found: &Found<'_>) -> String {
    let first = rows[found.start];
    let at = |ms: i64| Timestamp::from_millisecond(ms).unwrap().to_string();
    let mut values = Map::new();
    for (i, step) in rule.steps.iter().enumerate() {
        if let Some(deadline_ms) = found.deadline_ms.filter(|_| step.absent.is_some()) {
            values.insert(format!("s{i}.due"), at(deadline_ms).into());
            continue;
        }
        values.insert(format!("s{i}.at"), at(found.met[i][found.met[i].len() - 1].at_ms).into());
        if step.at_least > 1 {
            values.insert(format!("s{i}.count"), step.at_least.into());
        }
        if i == 0 {
            values.insert("s0.n".into(), found.met[0][found.met[0].len() - 1].n.into());
        }
    }
    let severity = if values["s0.n"].as_i64().is_some_and(|n| n > 2) { "high" } else { "low" };
    let end = at(found.end.0);
    let record = match first.feed {
        1 => {
            let like = |r: &&&Row| r.feed == 1 && r.at_ms == first.at_ms && r.tie() == first.tie();
            let again = match rows[..found.start].iter().filter(like).count() {
                0 => String::new(),
                n => format!("/{}", n + 1),
            };
            format!("#{:016x}{again}", (first.tie() >> 64) as u64)
        }
        _ => first.id.clone(),
    };
    format!("{key} {record} {} {end} {severity} {}", at(first.at_ms), Value::Object(values))
}

/// The signals that were written, in the same words.
fn got(written: &Written) -> Vec<String> {
    let at = |ms: i64| Timestamp::from_millisecond(ms).unwrap().to_string();
    let line = |l: super::Line| {
        let key: Value = serde_json::from_str(&l.key).unwrap();
        let key = key["k"].as_str().unwrap().to_owned();
        let instant = |(name, value): (String, Value)| {
            let ms = value.as_str().and_then(|t| t.parse::<Timestamp>().ok());
            (name, ms.map_or(value, |ms| ms.to_string().into()))
        };
        let values: Map<String, Value> = l.values.into_iter().map(instant).collect();
        assert!(!l.open);
        let (start, end) = (at(l.window.0), at(l.window.1));
        format!("{key} {} {start} {end} {} {}", l.record, l.severity, Value::Object(values))
    };
    let mut lines: Vec<String> = written.lines("r").into_iter().map(line).collect();
    lines.sort();
    lines
}

fn rules() -> impl Strategy<Value = Rule> {
    let tag = prop_oneof![Just(None), Just(Some("x")), Just(Some("x")), Just(Some("y"))];
    let step = (0..3_usize, tag, 1..4_usize, any::<bool>(), 0..4_usize, 0..6_usize);
    let absent = proptest::option::of((1..3_usize, 1..120_i64, prop_oneof![Just(0), 0..60_i64]));
    (12..240_i64, any::<bool>(), vec(step, 1..4), absent).prop_map(
        |(within_h, each, steps, absent)| {
            let mut steps: Vec<Step> = steps
                .into_iter()
                .enumerate()
                .map(|(i, (feed, tag, at_least, distinct, equal, at_most))| Step {
                    feed,
                    tag,
                    // Mostly one.
                    at_least: if at_least == 2 { 2 } else { 1 + at_least / 3 * 2 },
                    distinct,
                    equal: (equal < i).then_some(equal),
                    at_most: (at_most < i).then_some(at_most),
                    absent: None,
                })
                .collect();
            match absent {
                Some((feed, term_h, wait_h)) => {
                    let equal = (term_h % 3 == 0).then_some(0);
                    let at_most = (term_h % 5 == 0).then_some(0);
                    steps.push(Step {
                        feed,
                        tag: Some("y").filter(|_| term_h % 2 == 0),
                        at_least: 1,
                        distinct: false,
                        equal,
                        at_most,
                        absent: Some((term_h, wait_h)),
                    });
                }
                None if steps.len() == 1 => {
                    let again = Step { feed: (steps[0].feed + 1) % 3, ..steps[0].clone() };
                    steps.push(again);
                }
                None => {}
            }
            Rule { within_h, each, steps }
        },
    )
}

/// Rows in order of arrival.
fn logs() -> impl Strategy<Value = Vec<Row>> {
    let key = prop_oneof![Just(Some("k1")), Just(Some("k1")), Just(Some("k2")), Just(None)];
    let tag = prop_oneof![Just("x"), Just("y"), Just("z")];
    let who = prop_oneof![Just(Some("p")), Just(Some("q")), Just(Some("r")), Just(None)];
    let link = prop_oneof![Just(Some("l1")), Just(Some("l1")), Just(Some("l2")), Just(None)];
    let n = prop_oneof![(0..5_i64).prop_map(Some), Just(None)];
    // Whole times of six hours: many records of one time.
    let one = (0..3_usize, 0..120_i64, key, tag, who, link, n);
    let changed = (any::<prop::sample::Index>(), one.clone(), 0..4_u8);
    (vec(one, 1..70), vec(changed, 0..20), any::<prop::sample::Index>(), any::<u64>()).prop_map(
        |(rows, changes, _, seed)| {
            let row = |(i, (feed, at, key, tag, who, link, n))| Row {
                feed,
                id: format!("r{i}"),
                version: 1,
                op: "insert",
                at_ms: START_MS + at * 6 * HOUR_MS,
                key,
                tag,
                who,
                link,
                n,
            };
            let mut log: Vec<Row> = rows.into_iter().enumerate().map(row).collect();
            for (of, (_, at, key, tag, who, link, n), how) in changes {
                let old = log[of.index(log.len())].clone();
                let newest = log.iter().filter(|r| r.feed == old.feed && r.id == old.id);
                let version = newest.map(|r| r.version).max().unwrap_or(1) + 1;
                if old.feed == 1 || how == 0 {
                    // A copy; of a feed without ids one more record.
                    log.push(old);
                    continue;
                }
                // Only feed a has records that move in time: the others say how far they are by all their versions.
                let at_ms = if old.feed == 0 { START_MS + at * 6 * HOUR_MS } else { old.at_ms };
                let op = if how == 1 { "withdraw" } else { "correct" };
                log.push(Row { version, op, at_ms, key, tag, who, link, n, ..old });
            }
            // Nearly in order of time, with versions in any order among each other.
            let mut random = seed | 1;
            let mut next = || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                (random % (20 * DAY_MS as u64)) as i64
            };
            let mut placed: Vec<(i64, Row)> =
                log.into_iter().map(|r| (r.at_ms + next(), r)).collect();
            placed.sort_by_key(|(at, _)| *at);
            placed.into_iter().map(|(_, row)| row).collect()
        },
    )
}

fn world(rule: &Rule, log: &[Row]) -> World {
    let lines = |feed: usize| log.iter().filter(|r| r.feed == feed).map(Row::line).collect();
    World::of("UTC", &feed_files(), &[rule.file()], &[lines(0), lines(1), lines(2)])
}

fn check(cases: u32, test: impl Fn(&Rule, &[Row]) -> Result<(), TestCaseError>) {
    let mut runner = TestRunner::new(config(cases));
    if let Err(e) = runner.run(&(rules(), logs()), |(rule, log)| test(&rule, &log)) {
        let TestError::Fail(why, (rule, log)) = e else { panic!("{e}") };
        let lines = log.iter().map(|r| format!("{} {}", FEEDS[r.feed], r.line()));
        panic!("{why}\nin the smallest such case:\n{}{}", rule.file(), lines.collect::<String>());
    }
}

fn fail(message: String) -> Result<(), TestCaseError> {
    Err(TestCaseError::fail(message))
}

#[test]
fn as_the_plain_evaluator_says() {
    let signals = Cell::new(0);
    check(200, |rule, log| {
        let expected = expected(rule, log);
        signals.set(signals.get() + expected.len());
        let written = world(rule, log).replay(How { shards: 2, batch_rows: 16, ..How::default() });
        match first_difference(&got(&written).join("\n"), &expected.join("\n")) {
            Some(difference) => fail(format!("got and expected differ:{difference}")),
            None => Ok(()),
        }
    });
    println!("{} signals", signals.get());
    assert!(signals.get() > 0);
}

#[test]
fn nothing_of_the_run_shows_in_sequences() {
    check(48, |rule, log| {
        let world = world(rule, log);
        let plain = world.replay(How::default());
        for (shards, batch_rows, eager) in
            [(1, 1, false), (2, 7, false), (3, 64, true), (5, 3, true), (1, 2, true)]
        {
            let how = How { shards, batch_rows, eager, ..How::default() };
            let other = world.replay(how);
            for (what, a, b) in [
                ("signals", &plain.signals, &other.signals),
                ("alerts", &plain.alerts, &other.alerts),
                ("revisions", &plain.told, &other.told),
            ] {
                if let Some(difference) = first_difference(a, b) {
                    return fail(format!("{what} with {how:?}:{difference}"));
                }
            }
        }
        for seed in 1..4 {
            let disorder = Disorder { shuffle: Some(seed), duplicates: None };
            let how = How { shards: seed as usize, batch_rows: 16, disorder, eager: seed == 2 };
            if let Some(difference) = first_difference(&plain.signals, &world.replay(how).signals) {
                return fail(format!("signals with {how:?}:{difference}"));
            }
        }
        Ok(())
    });
}
