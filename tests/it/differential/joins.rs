//! Joined tables against records that bring the columns themselves.
//!
//! Made-up logs of two feeds, with disorder, copies, corrections and withdrawals, and a made-up table with days. In one world
//! rules join the table; in the other each record has the table's columns written into it, by a loop over the table's rows,
//! and the same rules read them there. Both must tell the same, whatever the order, the batches and the shards.

use std::{cell::Cell, fs, path::PathBuf};

use forewarn::rule::load;
use jiff::Timestamp;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{TestError, TestRunner},
};
use serde_json::{Value, json};

use super::{Disorder, How, World, Written, config, first_difference};

pub(super) const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;
/// 2026-03-01.
pub(super) const START_MS: i64 = 1_772_323_200_000;
const DAYS: i64 = 40;
pub(super) const FIRMS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A version of a record.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) second: bool,
    id: u32,
    version: i64,
    withdrawn: bool,
    at_ms: i64,
    /// How long before it happened.
    before_h: i64,
    firm: Option<usize>,
    n: i64,
}

/// A row of the table: the firm, the days, what is said.
#[derive(Debug, Clone)]
struct Entry {
    firm: usize,
    from: i64,
    to: i64,
    grade: i64,
    chain: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Case {
    rows: Vec<Row>,
    table: Vec<Entry>,
}

fn day(day: i64) -> String {
    let at = Timestamp::from_millisecond(START_MS + day * DAY_MS).unwrap();
    at.to_string()[..10].to_owned()
}

impl Row {
    /// The record with what a table says of its firm at an instant: as of when it was known and as of when it happened.
    pub(super) fn line(&self, says: &dyn Fn(Option<usize>, i64) -> (Value, Value)) -> String {
        let time = |ms: i64| Timestamp::from_millisecond(ms).unwrap().to_string();
        let happened_ms = self.at_ms - self.before_h * HOUR_MS;
        let (grade, chain) = says(self.firm, self.at_ms);
        let (grade_then, chain_then) = says(self.firm, happened_ms);
        let line = json!({"id": self.id.to_string(), "v": self.version,
            "op": if self.withdrawn { "withdraw" } else { "correct" },
            "at": time(self.at_ms), "happened": time(happened_ms),
            "firm": self.firm.map(|f| FIRMS[f]), "n": self.n,
            "biz_grade": grade, "biz_chain": chain,
            "then_grade": grade_then, "then_chain": chain_then});
        format!("{line}\n")
    }
}

impl Case {
    /// What the table says of a firm at an instant, UTC.
    fn says(&self, firm: Option<usize>, at_ms: i64) -> (Value, Value) {
        let on = (at_ms - START_MS).div_euclid(DAY_MS);
        for entry in &self.table {
            if Some(entry.firm) == firm && (entry.from..entry.to).contains(&on) {
                return (json!(entry.grade), json!(entry.chain));
            }
        }
        (Value::Null, Value::Null)
    }

    fn lines(&self, second: bool) -> String {
        let of_feed = self.rows.iter().filter(|r| r.second == second);
        of_feed.map(|r| r.line(&|firm, at| self.says(firm, at))).collect()
    }

    fn csv(&self) -> String {
        let row = |e: &Entry| {
            let to = if e.to >= DAYS { String::new() } else { day(e.to) };
            let chain = e.chain.unwrap_or_default();
            format!("{},{},{to},{},{chain}\n", FIRMS[e.firm], day(e.from), e.grade)
        };
        let rows: String = self.table.iter().map(row).collect();
        format!("firm,valid_from,valid_to,grade:int,chain\n{rows}")
    }
}

/// Versions of records of both feeds, in order of time.
pub(super) fn rows(how_many: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Row>> {
    let row = (
        any::<bool>(),
        0..40_u32,
        proptest::bool::weighted(0.15),
        0..DAYS * 24,
        0..72_i64,
        proptest::option::weighted(0.9, 0..FIRMS.len()),
        0..6_i64,
    );
    let row = row.prop_map(|(second, id, withdrawn, at, before_h, firm, n)| Row {
        second,
        id,
        version: 0,
        withdrawn,
        at_ms: START_MS + at * HOUR_MS,
        before_h,
        firm,
        n,
    });
    vec(row, how_many).prop_map(|mut rows| {
        rows.sort_by_key(|r| r.at_ms);
        // Versions of a record differ; they come within a week of each other.
        let mut first: std::collections::BTreeMap<(bool, u32), (i64, i64)> = Default::default();
        for row in &mut rows {
            let entry = first.entry((row.second, row.id)).or_insert((row.at_ms, 0));
            if row.at_ms > entry.0 + 5 * DAY_MS {
                row.id += 1_000 * (1 + (row.at_ms / DAY_MS) as u32 % 50);
                let again = (row.second, row.id);
                let next = first.entry(again).or_insert((row.at_ms, 0));
                next.1 += 1;
                row.version = next.1;
                continue;
            }
            entry.1 += 1;
            row.version = entry.1;
        }
        rows
    })
}

fn case() -> impl Strategy<Value = Case> {
    let cuts = vec(vec((1..DAYS, 0..4_i64, 0..4_usize), 0..4), FIRMS.len());
    (rows(1..120), cuts).prop_map(|(rows, cuts)| {
        let chains = [None, Some("x"), Some("y"), Some("z")];
        let mut table = Vec::new();
        for (firm, mut stays) in cuts.into_iter().enumerate() {
            stays.sort_unstable();
            stays.dedup_by_key(|s| s.0);
            for (i, (from, grade, chain)) in stays.iter().enumerate() {
                let to = stays.get(i + 1).map_or(DAYS, |next| next.0);
                // Some leave a gap before the next.
                let to = if *grade == 3 && to > from + 2 && to < DAYS { to - 1 } else { to };
                table.push(Entry { firm, from: *from, to, grade: *grade, chain: chains[*chain] });
            }
        }
        Case { rows, table }
    })
}

/// `$biz` and `$then` are the table as of when it was known and as of when it happened.
pub(super) const RULES: [&str; 5] = [
    "rule: one\ntitle: 甲\nkind: instant\nfeed: c\nkey: [firm]\njoin: {biz: firms}\nwhere: n >= 2\nwhen: biz.grade >= 1 or biz.chain = 'x'\nseverity: {high: biz.grade = 3, else: low}\nalert: {show: [biz.grade, biz.chain, n], message: {zh: \"{firm} {biz.chain}\", en: \"{firm} {biz.chain}\"}}\n",
    "rule: chain\ntitle: 甲\nkind: window\nfeed: c\njoin: {biz: firms}\nkey: [\"coalesce(biz.chain, firm) as chain\"]\nwindow: {sliding: 7d, every: 1d}\nmeasures: {n: count(*), firms: count(distinct firm), worst: max(biz.grade), good: count(*) filter (where biz.grade < 2)}\nwhen: n >= 3\nseverity: {high: worst >= 2, else: low}\nalert: {group: [biz.chain]}\n",
    "rule: then\ntitle: 甲\nkind: window\nfeed: c\ntime: happened\njoin: {then: firms}\nwhere: then.grade > 0\nkey: [firm]\nwindow: {tumbling: 3d}\nmeasures: {n: count(*), all: sum(then.grade * n)}\ncompare: {before: {shift: 3d}}\nwhen: n >= 1 and coalesce(before.n, 0) < n\nseverity: low\n",
    "rule: both\ntitle: 甲\nkind: window\nfeed: c\njoin: {biz: {table: firms, by: firm}}\nkey: [\"coalesce(biz.chain, '-') as chain\"]\nwindow: {sliding: 5d, every: 1d}\nmeasures: {n: count(*), d: {feed: d, where: biz.grade >= 1, value: count(*)}}\nwhen: n >= 1 and d >= 1\nseverity: low\n",
    "rule: steps\ntitle: 甲\nkind: sequence\njoin: {biz: firms}\nkey: [firm]\nwithin: 10d\nsteps:\n  - {as: first, feed: c, where: biz.grade >= 1}\n  - {as: next, feed: d, match: next.biz.chain = first.biz.chain}\nseverity: {high: next.biz.grade > first.biz.grade, else: low}\nalert: {show: [first.biz.chain, next.biz.grade]}\n",
];

pub(super) fn feed(name: &str) -> (&str, String) {
    let text = format!(
        "feed: {name}\ntitle: 甲\nrecord_id: [id]\nevent_time: at\nversion: v\nop: op\nout_of_order: 6h\nallowed_lateness: 8d\ndedup_for: 60d\ndelays: {{happened: 3d}}\ncolumns:\n  id: {{type: text}}\n  v: {{type: int}}\n  op: {{type: text}}\n  at: {{type: timestamp}}\n  happened: {{type: timestamp}}\n  firm: {{type: text, required: false}}\n  n: {{type: int}}\n  biz_grade: {{type: int, required: false}}\n  biz_chain: {{type: text, required: false}}\n  then_grade: {{type: int, required: false}}\n  then_chain: {{type: text, required: false}}\n"
    );
    (name, text)
}

/// The world in which rules join, or in which records bring the columns.
fn world(case: &Case, join: bool) -> World {
    let feeds = [feed("c"), feed("d")];
    let mut world = World::of("UTC", &feeds, &[], &[case.lines(false), case.lines(true)]);
    load_rules(&mut world, &RULES, join, Some(&case.csv()));
    world
}

/// The rules of a world, which join a table or read the columns that records bring.
pub(super) fn load_rules(world: &mut World, rules: &[&str], join: bool, table: Option<&str>) {
    let dir = world.dir.path().join("rules");
    fs::create_dir_all(dir.join("lists")).unwrap();
    if let Some(table) = table {
        fs::write(dir.join("lists/firms.csv"), table).unwrap();
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    for rule in rules {
        let text = match join {
            true => (*rule).to_owned(),
            false => {
                let own = rule.lines().filter(|l| !l.starts_with("join:"));
                let own: Vec<&str> = own.collect();
                (own.join("\n") + "\n").replace("biz.", "biz_").replace("then.", "then_")
            }
        };
        let id = &rule["rule: ".len()..rule.find('\n').unwrap()];
        paths.push(dir.join(format!("{id}.yaml")));
        fs::write(&paths[paths.len() - 1], text).unwrap();
    }
    let (loaded, findings) = load(&paths);
    assert!(findings.is_empty(), "{findings:?}");
    world.rules = loaded;
}

/// What was told, with joined columns called as if they were the record's own.
pub(super) fn plain(told: &str) -> String {
    told.replace("biz.", "biz_").replace("then.", "then_")
}

fn check(cases: u32, test: impl Fn(&Case) -> Result<(), TestCaseError>) {
    let mut runner = TestRunner::new(config(cases));
    if let Err(e) = runner.run(&case(), |case| test(&case)) {
        let TestError::Fail(why, case) = e else { panic!("{e}") };
        panic!("{why}\nin the smallest such case:\n{}\n{case:?}", case.csv());
    }
}

#[test]
fn a_joined_column_is_as_good_as_a_record_s_own() {
    let told = Cell::new(std::collections::BTreeMap::new());
    check(40, |case| {
        let (joined, own) = (world(case, true), world(case, false));
        for (how, alerts) in [
            (How::default(), true),
            (How { shards: 3, batch_rows: 7, ..How::default() }, true),
            (How { shards: 2, batch_rows: 1, eager: true, ..How::default() }, true),
            (
                How {
                    shards: 4,
                    batch_rows: 16,
                    disorder: Disorder { shuffle: Some(1), duplicates: Some(2) },
                    eager: false,
                },
                true,
            ),
        ] {
            let (a, b): (Written, Written) = (joined.replay(how), own.replay(how));
            let mut all = vec![("signals", &a.signals, &b.signals)];
            if alerts {
                all.push(("alerts", &a.alerts, &b.alerts));
                all.push(("revisions", &a.told, &b.told));
            }
            for (what, a, b) in all {
                if let Some(difference) = first_difference(&plain(a), b) {
                    return Err(TestCaseError::fail(format!("{what} with {how:?}:{difference}")));
                }
            }
            let mut count = told.take();
            for line in a.signals.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                *count.entry(line["rule"].as_str().unwrap().to_owned()).or_insert(0) += 1;
            }
            told.set(count);
        }
        let plain = joined.replay(How::default());
        for seed in 1..4 {
            let disorder = Disorder { shuffle: Some(seed), duplicates: None };
            let how = How { shards: 3, batch_rows: 16, disorder, eager: seed == 2 };
            if let Some(d) = first_difference(&plain.signals, &joined.replay(how).signals) {
                return Err(TestCaseError::fail(format!("signals with {how:?}:{d}")));
            }
        }
        Ok(())
    });
    let told = told.take();
    println!("{told:?}");
    assert_eq!(told.len(), RULES.len(), "every rule fires somewhere");
}
