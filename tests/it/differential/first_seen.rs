//! First-seen rules against an evaluator that looks at all records at once, spell by spell.
//!
//! Made-up logs of four months — of a feed with record ids and one without — with ties in time, disorder, copies, corrections
//! that move records, and withdrawals; made-up rules, whose memory is shorter than the log. Most of it becomes final on the
//! way. `as_the_plain_evaluator_says`: every signal with its window, severity and values. `nothing_of_the_run_shows`: batches
//! and shards give the same alerts, revision by revision, and another order of arrival the same signals.

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
/// Records arrive at most so much later than they happened.
const DELAY_MS: i64 = 14 * DAY_MS;

/// One version of a record.
#[derive(Debug, Clone)]
struct Row {
    id: String,
    version: i64,
    op: &'static str,
    at_ms: i64,
    /// When it happened, before it was told.
    seen_ms: i64,
    key: Option<&'static str>,
    tag: &'static str,
    who: Option<&'static str>,
    n: Option<i64>,
}

#[derive(Debug, Clone)]
struct Rule {
    /// Over the feed without ids.
    bare: bool,
    tag: Option<&'static str>,
    by_seen: bool,
    history_h: i64,
    learn_d: Option<i64>,
    at_least: usize,
    distinct: bool,
    within_h: Option<i64>,
    /// Day on which the feed says its history begins.
    history_from: Option<i64>,
}

fn text(t: Option<&str>) -> ArrayRef {
    Arc::new(StringArray::from(vec![t]))
}

impl Row {
    fn line(&self, bare: bool) -> String {
        let at = |ms: i64| Timestamp::from_millisecond(ms).unwrap().to_string();
        let mut line = json!({"at": at(self.at_ms), "seen": at(self.seen_ms), "k": self.key,
            "tag": self.tag, "who": self.who, "n": self.n});
        if !bare {
            line["id"] = self.id.as_str().into();
            line["v"] = self.version.into();
            line["op"] = self.op.into();
        }
        format!("{line}\n")
    }

    /// What orders records of one time: the hash of the id, or of all columns.
    fn tie(&self, bare: bool) -> u128 {
        if !bare {
            return hash_column(&text(Some(&self.id)))[0];
        }
        let instant = |ms: i64| -> ArrayRef {
            Arc::new(TimestampMillisecondArray::from(vec![ms]).with_timezone("UTC"))
        };
        let columns: [ArrayRef; 6] = [
            instant(self.at_ms),
            instant(self.seen_ms),
            text(self.key),
            text(Some(self.tag)),
            text(self.who),
            Arc::new(Int64Array::from(vec![self.n])),
        ];
        let mut hash = vec![0_u128];
        columns.iter().for_each(|c| combine(&mut hash, &hash_column(c)));
        hash[0]
    }
}

impl Rule {
    fn feed(&self) -> &'static str {
        if self.bare { "b" } else { "a" }
    }

    fn feed_file(&self) -> (&'static str, String) {
        let mut file = format!("feed: {}\ntitle: {{zh: 源, en: Feed}}\n", self.feed());
        file += "event_time: at\nout_of_order: 6h\nallowed_lateness: 20d\ndedup_for: 40d\n";
        file += "delays: {seen: 5d}\n";
        if let Some(day) = self.history_from {
            let from = Timestamp::from_millisecond(START_MS + day * DAY_MS).unwrap();
            let _ = writeln!(file, "history_from: {}", &from.to_string()[..10]);
        }
        let own = if self.bare { "" } else { "  id: text\n  v: int\n  op: text\n" };
        if !self.bare {
            file += "record_id: id\nversion: v\nop: op\n";
        }
        file += "columns:\n  at: {type: timestamp, required: true}\n  seen: timestamp\n";
        (self.feed(), file + "  k: text\n  tag: text\n  who: text\n  n: int\n" + own)
    }

    fn file(&self) -> String {
        let mut file = format!(
            "rule: r\ntitle: {{zh: 新, en: New}}\nkind: first_seen\nfeed: {}\nkey: [k]\n",
            self.feed()
        );
        let _ = writeln!(file, "history: {}h", self.history_h);
        if let Some(tag) = self.tag {
            let _ = writeln!(file, "where: tag = '{tag}'");
        }
        if self.by_seen {
            file += "time: seen\n";
        }
        if let Some(days) = self.learn_d {
            let _ = writeln!(file, "learn_for: {days}d");
        }
        if self.at_least > 1 {
            let _ = writeln!(file, "at_least: {}", self.at_least);
            if self.distinct {
                file += "distinct: who\n";
            }
            if let Some(hours) = self.within_h {
                let _ = writeln!(file, "within: {hours}h");
            }
        }
        file + "severity: {high: n > 2, else: low}\n"
    }

    fn time(&self, row: &Row) -> i64 {
        if self.by_seen { row.seen_ms } else { row.at_ms }
    }
}

/// The signals of a rule, from the records as they are in the end.
fn expected(rule: &Rule, log: &[Row]) -> Vec<String> {
    let mut latest: BTreeMap<&str, &Row> = BTreeMap::new();
    for row in log {
        let kept = latest.entry(&row.id).or_insert(row);
        if row.version > kept.version {
            *kept = row;
        }
    }
    let rows: Vec<&Row> = match rule.bare {
        true => log.iter().collect(),
        false => latest.into_values().filter(|r| r.op != "withdraw").collect(),
    };
    let begins_ms = match rule.history_from {
        Some(day) => START_MS + day * DAY_MS,
        None => log.iter().map(|r| r.at_ms).min().unwrap_or(0).div_euclid(DAY_MS) * DAY_MS,
    };
    let learn_ms = rule.learn_d.map_or(rule.history_h * HOUR_MS, |d| d * DAY_MS);
    let mut by_key: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows.into_iter().filter(|r| rule.tag.is_none_or(|t| t == r.tag)) {
        if let Some(key) = row.key {
            by_key.entry(key).or_default().push(row);
        }
    }
    let mut out = Vec::new();
    for (key, mut rows) in by_key {
        rows.sort_by_key(|r| (rule.time(r), r.tie(rule.bare)));
        let time = |i: usize| rule.time(rows[i]);
        let is_new = |i: usize| i == 0 || time(i) - time(i - 1) >= rule.history_h * HOUR_MS;
        for start in (0..rows.len()).filter(|i| is_new(*i)) {
            let end = (start + 1..rows.len()).find(|i| is_new(*i)).unwrap_or(rows.len());
            let within_h = rule.within_h.filter(|_| rule.at_least > 1).unwrap_or(rule.history_h);
            let mut count: Vec<usize> = Vec::new();
            for i in (start..end).filter(|i| time(*i) - time(start) < within_h * HOUR_MS) {
                let known = || count.iter().any(|c| rows[*c].who == rows[i].who);
                let distinct = rule.distinct && rule.at_least > 1;
                if !distinct || (rows[i].who.is_some() && !known()) {
                    count.push(i);
                }
            }
            if count.len() >= rule.at_least && time(start) >= begins_ms + learn_ms {
                out.push(line(rule, key, &rows, &count[..rule.at_least]));
            }
        }
    }
    out.sort();
    out
}

fn line(rule: &Rule, key: &str, rows: &[&Row], count: &[usize]) -> String {
    let at = |ms: i64| Timestamp::from_millisecond(ms).unwrap().to_string();
    let (first, last) = (rows[count[0]], rows[count[count.len() - 1]]);
    let first_at = at(rule.time(first));
    let severity = if last.n.is_some_and(|n| n > 2) { "high" } else { "low" };
    let like = |r: &&&Row| r.at_ms == first.at_ms && r.tie(true) == first.tie(true);
    let record = match (rule.bare, rows[..count[0]].iter().filter(like).count()) {
        (false, _) => first.id.clone(),
        (true, 0) => format!("#{:016x}", (first.tie(true) >> 64) as u64),
        (true, n) => format!("#{:016x}/{}", (first.tie(true) >> 64) as u64, n + 1),
    };
    let last_at = at(rule.time(last));
    let values = match rule.at_least {
        1 => json!({"first_at": first_at, "n": last.n}),
        _ => json!({"first_at": first_at, "last_at": last_at, "n": last.n}),
    };
    format!("{key} {record} {first_at} {} {severity} {values}", at(rule.time(last)))
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
    let tag = prop_oneof![Just(None), Just(Some("x"))];
    let times = (
        prop_oneof![12..120_i64, 100..700_i64],
        prop_oneof![Just(None), (1..30_i64).prop_map(Some)],
        prop_oneof![Just(None), (6..200_i64).prop_map(Some)],
        prop_oneof![3 => Just(None), 1 => (-10..40_i64).prop_map(Some)],
    );
    (any::<bool>(), any::<bool>(), tag, times, 1..4_usize, any::<bool>()).prop_map(
        |(bare, by_seen, tag, (history_h, learn_d, within_h, history_from), at_least, distinct)| {
            Rule {
                bare,
                tag,
                by_seen,
                history_h,
                learn_d,
                at_least,
                distinct,
                within_h,
                history_from,
            }
        },
    )
}

/// Rows in order of arrival.
fn logs() -> impl Strategy<Value = Vec<Row>> {
    let key = prop_oneof![Just(Some("k1")), Just(Some("k2")), Just(Some("k3")), Just(None)];
    let tag = prop_oneof![3 => Just("x"), 1 => Just("y")];
    let who = prop_oneof![Just(Some("p")), Just(Some("q")), Just(None)];
    let n = prop_oneof![(0..5_i64).prop_map(Some), Just(None)];
    // Whole times of half a day: many records of one time.
    let one = (0..240_i64, 0..10_i64, key, tag, who, n);
    let changed = (any::<prop::sample::Index>(), one.clone(), -6..7_i64, 0..4_u8);
    (vec(one, 1..60), vec(changed, 0..20), any::<u64>()).prop_map(|(rows, changes, seed)| {
        let row = |(i, (at, before, key, tag, who, n))| {
            let at_ms = START_MS + at * 12 * HOUR_MS;
            Row {
                id: format!("r{i}"),
                version: 1,
                op: "insert",
                at_ms,
                seen_ms: at_ms - before * 12 * HOUR_MS,
                key,
                tag,
                who,
                n,
            }
        };
        let mut log: Vec<Row> = rows.into_iter().enumerate().map(row).collect();
        for (of, (_, before, key, tag, who, n), moved, how) in changes {
            let old = log[of.index(log.len())].clone();
            let first = log.iter().find(|r| r.id == old.id).map_or(old.at_ms, |r| r.at_ms);
            let newest = log.iter().filter(|r| r.id == old.id).map(|r| r.version).max();
            if how == 0 {
                // A copy; of a feed without ids one more record.
                log.push(old);
                continue;
            }
            // Moved by three days at most, so that what it corrects is never final.
            let at_ms = first + moved * 12 * HOUR_MS;
            let op = if how == 1 { "withdraw" } else { "correct" };
            log.push(Row {
                version: newest.unwrap_or(1) + 1,
                op,
                at_ms,
                seen_ms: at_ms - before * 12 * HOUR_MS,
                key,
                tag,
                who,
                n,
                ..old
            });
        }
        // Nearly in order of time, with versions in any order among each other.
        let mut random = seed | 1;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % DELAY_MS as u64) as i64
        };
        let mut placed: Vec<(i64, Row)> = log.into_iter().map(|r| (r.at_ms + next(), r)).collect();
        placed.sort_by_key(|(at, _)| *at);
        placed.into_iter().map(|(_, row)| row).collect()
    })
}

fn world(rule: &Rule, log: &[Row]) -> World {
    let lines = log.iter().map(|r| r.line(rule.bare)).collect();
    World::of("UTC", &[rule.feed_file()], &[rule.file()], &[lines])
}

fn check(cases: u32, test: impl Fn(&Rule, &[Row]) -> Result<(), TestCaseError>) {
    let mut runner = TestRunner::new(config(cases));
    if let Err(e) = runner.run(&(rules(), logs()), |(rule, log)| test(&rule, &log)) {
        let TestError::Fail(why, (rule, log)) = e else { panic!("{e}") };
        let lines = log.iter().map(|r| r.line(rule.bare)).collect::<String>();
        panic!("{why}\nin the smallest such case:\n{}{}{lines}", rule.feed_file().1, rule.file());
    }
}

fn fail(message: String) -> Result<(), TestCaseError> {
    Err(TestCaseError::fail(message))
}

#[test]
fn as_the_plain_evaluator_says() {
    let signals = Cell::new(0);
    check(250, |rule, log| {
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
fn nothing_of_the_run_shows() {
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
