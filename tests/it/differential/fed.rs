//! Tables that feeds make, against records that bring the columns themselves.
//!
//! As `joins`, but the table is a third feed, out of order, with copies, corrections and withdrawals of its own: its rows come
//! before and after the records that look them up. In the other world each record has written into it what the rows that
//! count in the end say as of its time.

use std::{cell::Cell, collections::BTreeMap};

use jiff::Timestamp;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{TestError, TestRunner},
};
use serde_json::{Value, json};

use super::{
    Disorder, How, World, config, first_difference,
    joins::{DAY_MS, FIRMS, HOUR_MS, RULES, Row, START_MS, feed, load_rules, plain, rows},
};

/// A version of a record of the table.
#[derive(Debug, Clone)]
struct Entry {
    id: u32,
    version: i64,
    withdrawn: bool,
    at_ms: i64,
    firm: Option<usize>,
    grade: Option<i64>,
    chain: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Case {
    rows: Vec<Row>,
    table: Vec<Entry>,
}

impl Case {
    /// What the rows that count say of a firm at an instant.
    fn says(&self, firm: Option<usize>, at_ms: i64) -> (Value, Value) {
        let mut last: BTreeMap<u32, &Entry> = BTreeMap::new();
        for entry in &self.table {
            let known = last.entry(entry.id).or_insert(entry);
            if entry.version > known.version {
                *known = entry;
            }
        }
        let mut said: Vec<&Entry> = last.into_values().collect();
        said.retain(|e| !e.withdrawn && e.firm.is_some() && e.firm == firm && e.at_ms <= at_ms);
        said.sort_by_key(|e| e.at_ms);
        let grade = said.iter().rev().find_map(|e| e.grade);
        let chain = said.iter().rev().find_map(|e| e.chain);
        (json!(grade), json!(chain))
    }

    fn table(&self) -> String {
        let line = |e: &Entry| {
            let line = json!({"firm": e.firm.map(|f| FIRMS[f]), "id": e.id.to_string(),
                "v": e.version, "op": if e.withdrawn { "withdraw" } else { "correct" },
                "at": Timestamp::from_millisecond(e.at_ms).unwrap().to_string(),
                "grade": e.grade, "chain": e.chain});
            format!("{line}\n")
        };
        self.table.iter().map(line).collect()
    }

    fn world(&self, join: bool) -> World {
        let lines = |second: bool| -> String {
            let of_feed = self.rows.iter().filter(|r| r.second == second);
            of_feed.map(|r| r.line(&|firm, at| self.says(firm, at))).collect()
        };
        // Where the input ends is the same in both.
        let feeds = [feed("c"), feed("d"), ("firms", TABLE.to_owned())];
        let files = [lines(false), lines(true), self.table()];
        let mut world = World::of("UTC", &feeds, &[], &files);
        load_rules(&mut world, &RULES, join, None);
        world
    }
}

const TABLE: &str = "feed: firms\ntitle: 甲\nrecord_id: [firm, id]\nevent_time: at\nversion: v\nop: op\nout_of_order: 6h\nallowed_lateness: 10d\ndedup_for: 60d\ncolumns:\n  firm: {type: text, required: false}\n  id: {type: text}\n  v: {type: int}\n  op: {type: text}\n  at: {type: timestamp}\n  grade: {type: int, required: false}\n  chain: {type: text, required: false}\n";

fn case() -> impl Strategy<Value = Case> {
    let entry = (
        0..12_u32,
        proptest::bool::weighted(0.1),
        0..40 * 24_i64,
        0..FIRMS.len(),
        proptest::option::weighted(0.8, 0..4_i64),
        0..4_usize,
    );
    let chains = [None, Some("x"), Some("y"), Some("z")];
    (rows(1..100), vec(entry, 0..30)).prop_map(move |(rows, mut table)| {
        table.sort_by_key(|e| e.2);
        let mut known: BTreeMap<(usize, u32), (i64, i64)> = BTreeMap::new();
        let mut out = Vec::new();
        for (i, (id, withdrawn, at_h, firm, grade, chain)) in table.into_iter().enumerate() {
            // No two rows of one time.
            let at_ms = START_MS + at_h * HOUR_MS + i as i64 * 1_000;
            // A version comes within a week of the one before, else it is of another record.
            let mut id = id;
            while known.get(&(firm, id)).is_some_and(|(first, _)| at_ms > first + 5 * DAY_MS) {
                id += 100;
            }
            let entry = known.entry((firm, id)).or_insert((at_ms, 0));
            entry.1 += 1;
            out.push(Entry {
                id: id * 10 + firm as u32,
                version: entry.1,
                withdrawn,
                at_ms,
                firm: Some(firm),
                grade,
                chain: chains[chain],
            });
        }
        Case { rows, table: out }
    })
}

#[test]
#[ignore = "one run in two finds a difference that is not understood yet"]
fn what_a_feed_says_is_seen_as_of_the_records_time_whichever_comes_first() {
    let told = Cell::new(BTreeMap::new());
    let test = |case: &Case| -> Result<(), TestCaseError> {
        let own = case.world(false).replay(How::default());
        let joined = case.world(true);
        let quiet = Disorder::default();
        for (shards, batch_rows, disorder, eager) in [
            (1, 1 << 20, quiet, false),
            (3, 7, quiet, false),
            (2, 1, quiet, true),
            (1, 16, Disorder { shuffle: Some(1), duplicates: None }, false),
            (4, 1 << 20, Disorder { shuffle: Some(2), duplicates: Some(3) }, false),
            (2, 3, Disorder { shuffle: Some(4), duplicates: Some(5) }, true),
        ] {
            let how = How { shards, batch_rows, disorder, eager };
            let written = joined.replay(how);
            if let Some(d) = first_difference(&plain(&written.signals), &own.signals) {
                return Err(TestCaseError::fail(format!("signals with {how:?}:{d}")));
            }
            let mut count = told.take();
            for line in written.signals.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                *count.entry(line["rule"].as_str().unwrap().to_owned()).or_insert(0) += 1;
            }
            told.set(count);
        }
        // The same order of arrival tells the same on the way, however it is cut.
        let disorder = Disorder { shuffle: Some(9), duplicates: None };
        let [one, other] = [(1, 1), (3, 1 << 20)].map(|(shards, batch_rows)| {
            joined.replay(How { shards, batch_rows, disorder, eager: true })
        });
        match first_difference(&one.alerts, &other.alerts) {
            Some(d) => Err(TestCaseError::fail(format!("alerts:{d}"))),
            None => Ok(()),
        }
    };
    let mut runner = TestRunner::new(config(40));
    if let Err(e) = runner.run(&case(), |case| test(&case)) {
        let TestError::Fail(why, case) = e else { panic!("{e}") };
        panic!("{why}\nin the smallest such case:\n{}\n{case:?}", case.table());
    }
    let told = told.take();
    println!("{told:?}");
    assert_eq!(told.len(), RULES.len(), "every rule fires somewhere");
}
