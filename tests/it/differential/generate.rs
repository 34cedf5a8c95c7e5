//! Made-up logs and rules, made to meet every turn of the engine: few keys and skewed, missing values, values below zero,
//! times exactly on window ends, months that end and clocks that are set, rows out of order and late, copies, corrections
//! that move a record to another key or window, withdrawals.
//!
//! Everything is made of small numbers, so that a failing case shrinks to a few rows and one rule.

use std::collections::HashSet;

use jiff::{
    Timestamp,
    civil::{DateTime, date},
    tz::TimeZone,
};
use proptest::{collection::vec, option::weighted, prelude::*};
use serde_json::json;

use super::rules::{self, Rule};

pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;
/// Days that a log spans unless it is long.
const DAYS: u32 = 24;

/// A log, the feeds it is of, and rules over them.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) zone: &'static str,
    pub(super) settings: Settings,
    /// In order of arrival.
    pub(super) rows: Vec<Row>,
    pub(super) rules: Vec<Rule>,
}

/// What the feed files say of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) out_of_order_ms: i64,
    pub(super) lateness_ms: i64,
    /// Days from the log's beginning.
    pub(super) history_from: Option<u32>,
    pub(super) start: DateTime,
}

/// One row of one feed.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Of `reports`, else of `checks`.
    pub(super) report: bool,
    pub(super) at_ms: i64,
    pub(super) delay_ms: i64,
    pub(super) id: String,
    pub(super) version: i64,
    pub(super) op: &'static str,
    pub(super) values: Values,
}

/// What a row says.
#[derive(Debug, Clone)]
pub(super) struct Values {
    pub(super) firm: Option<&'static str>,
    pub(super) region: Option<&'static str>,
    pub(super) kind: Option<&'static str>,
    pub(super) who: Option<&'static str>,
    pub(super) score: Option<i64>,
    /// In quarters, so that sums of floats are exact in any order.
    pub(super) amount: Option<f64>,
    pub(super) cost: Option<i64>,
}

/// What a row does to those before it.
#[derive(Debug, Clone, Copy)]
enum Edit {
    New,
    Copy(usize),
    Correct(usize),
    /// A correction that also moves the time, by hours.
    Move(usize, i64),
    Withdraw(usize),
    /// The version of an earlier row with other values: its content decides.
    Conflict(usize),
}

#[derive(Debug, Clone)]
struct RowSeed {
    report: bool,
    minute: u32,
    /// Moves the time to a beginning of an hour or a day, sometimes one millisecond before.
    snap: u8,
    /// Part of the slack, in thousandths.
    delay: u32,
    edit: Edit,
    values: Values,
}

impl std::fmt::Debug for Case {
    /// The files that show the case.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}\n{}", self.zone, self.settings.feed_files()[0].1)?;
        self.rows.iter().try_for_each(|r| {
            writeln!(f, "{} {}", if r.report { "reports" } else { "checks" }, r.line())
        })?;
        self.rules.iter().try_for_each(|r| writeln!(f, "{}", r.file()))
    }
}

impl Row {
    fn place(&self) -> i64 {
        self.at_ms + self.delay_ms
    }

    /// The line in the file of its feed.
    pub(super) fn line(&self) -> String {
        let at = Timestamp::from_millisecond(self.at_ms).unwrap().to_string();
        let v = &self.values;
        if self.report {
            json!({"id": self.id, "v": self.version, "op": self.op, "at": at, "firm": v.firm, "region": v.region,
                "kind": v.kind, "who": v.who, "score": v.score, "amount": v.amount, "cost": v.cost})
            .to_string()
        } else {
            let result = v.kind.map(|k| if k == "a" { "fail" } else { "pass" });
            json!({"id": self.id, "at": at, "firm": v.firm, "region": v.region, "result": result})
                .to_string()
        }
    }
}

impl Settings {
    /// Longest delay of a row that is not refused.
    pub(super) fn slack_ms(&self) -> i64 {
        self.out_of_order_ms + self.lateness_ms
    }

    /// The files of both feeds. Identities are remembered longer than the log lasts.
    pub(super) fn feed_files(&self) -> [(&'static str, String); 2] {
        let times = format!(
            "event_time: at\nout_of_order: {}\nallowed_lateness: {}\ndedup_for: 90d\n{}",
            span(self.out_of_order_ms),
            span(self.lateness_ms),
            self.history_day().map_or_else(String::new, |d| format!("history_from: {d}\n"))
        );
        let reports = format!(
            "feed: reports\ntitle: {{zh: 报告, en: Reports}}\nrecord_id: id\nversion: v\nop: op\n{times}columns:\n  \
             id: text\n  v: int\n  op: text\n  at: {{type: timestamp, required: true}}\n  firm: text\n  region: text\n  \
             kind: text\n  who: text\n  score: int\n  amount: float\n  cost: {{type: int, min: 0}}\n"
        );
        let checks = format!(
            "feed: checks\ntitle: {{zh: 检查, en: Checks}}\nrecord_id: id\n{times}columns:\n  id: text\n  \
             at: {{type: timestamp, required: true}}\n  firm: text\n  region: text\n  result: text\n"
        );
        [("reports", reports), ("checks", checks)]
    }

    /// The declared beginning of the history.
    pub(super) fn history_day(&self) -> Option<jiff::civil::Date> {
        let days = jiff::Span::new().days(i64::from(self.history_from?));
        Some(self.start.date().checked_add(days).unwrap())
    }
}

/// A duration as feed and rule files write it.
pub(super) fn span(ms: i64) -> String {
    match ms {
        ms if ms % DAY_MS == 0 => format!("{}d", ms / DAY_MS),
        ms if ms % HOUR_MS == 0 => format!("{}h", ms / HOUR_MS),
        ms => format!("{}m", ms / MINUTE_MS),
    }
}

/// Logs with rules whose answers a batch query can give.
pub(super) fn cases(
    rows: std::ops::Range<usize>,
    rules: std::ops::Range<usize>,
) -> impl Strategy<Value = Case> {
    with((DAYS, 0), rows, vec(rules::rules(), rules), false)
}

/// Logs that span so many days and begin some years earlier, without rules.
pub(super) fn long_cases(
    (days, years): (u32, i16),
    rows: std::ops::Range<usize>,
) -> impl Strategy<Value = Case> {
    with((days, years), rows, vec(rules::rules(), 0..1), false)
}

/// Logs with rules of all kinds, sessions and single records included, and with versions that contradict each other.
pub(super) fn wild_cases(
    rows: std::ops::Range<usize>,
    rules: std::ops::Range<usize>,
) -> impl Strategy<Value = Case> {
    with((DAYS, 0), rows, vec(rules::all_rules(), rules), true)
}

fn with(
    (days, years): (u32, i16),
    rows: std::ops::Range<usize>,
    rules: impl Strategy<Value = Vec<Rule>>,
    conflicts: bool,
) -> impl Strategy<Value = Case> {
    let zones = prop::sample::select(vec!["Asia/Shanghai", "Europe/Berlin", "America/St_Johns"]);
    (zones, settings(), vec(row_seeds(conflicts, days), rows), rules).prop_map(
        move |(zone, mut settings, seeds, mut rules)| {
            settings.start -= jiff::Span::new().years(years);
            for (i, rule) in rules.iter_mut().enumerate() {
                rule.id = format!("r{i:02}");
            }
            Case { zone, settings, rows: rows_of(zone, &settings, seeds), rules }
        },
    )
}

fn settings() -> impl Strategy<Value = Settings> {
    // The ends of February and December; the nights in which clocks are set.
    let starts = prop::sample::select(vec![
        date(2026, 2, 16).at(0, 0, 0, 0),
        date(2025, 12, 20).at(0, 0, 0, 0),
        date(2026, 3, 20).at(0, 0, 0, 0),
        date(2026, 10, 17).at(0, 0, 0, 0),
    ]);
    let out_of_order = prop::sample::select(vec![0, 90 * MINUTE_MS, DAY_MS]);
    let lateness = prop::sample::select(vec![0, 6 * HOUR_MS, 5 * DAY_MS, 40 * DAY_MS]);
    (out_of_order, lateness, weighted(0.5, 0..8u32), starts).prop_map(
        |(out_of_order_ms, lateness_ms, history_from, start)| Settings {
            out_of_order_ms,
            lateness_ms,
            history_from,
            start,
        },
    )
}

fn row_seeds(conflicts: bool, days: u32) -> impl Strategy<Value = RowSeed> {
    let target = any::<u16>().prop_map(usize::from);
    let edit = prop_oneof![
        12 => Just(Edit::New),
        1 => target.clone().prop_map(Edit::Copy),
        2 => target.clone().prop_map(Edit::Correct),
        1 => (target.clone(), -60..60i64).prop_map(|(t, h)| Edit::Move(t, h)),
        1 => target.clone().prop_map(Edit::Withdraw),
        u32::from(conflicts) => target.prop_map(Edit::Conflict),
    ];
    (prop::bool::weighted(0.8), 0..days * 24 * 60, 0..8u8, 0..1000u32, edit, values()).prop_map(
        |(report, minute, snap, delay, edit, values)| RowSeed {
            report,
            minute,
            snap,
            delay,
            edit,
            values,
        },
    )
}

fn values() -> impl Strategy<Value = Values> {
    let pick = |p: f64, list: &'static [&'static str]| weighted(p, prop::sample::select(list));
    (
        // One key has half of the rows.
        pick(0.95, &["f1", "f1", "f1", "f2", "f3", "企业"]),
        pick(0.9, &["4301", "4302", "1101"]),
        pick(0.9, &["a", "b", "c"]),
        pick(0.9, &["p1", "p2", "p3", "p4"]),
        weighted(0.85, -4..8i64),
        weighted(0.85, (-8..24i32).prop_map(|q| f64::from(q) / 4.0)),
        weighted(0.85, 0..5i64),
    )
        .prop_map(|(firm, region, kind, who, score, amount, cost)| Values {
            firm,
            region,
            kind,
            who,
            score,
            amount,
            cost,
        })
}

fn rows_of(zone: &str, settings: &Settings, seeds: Vec<RowSeed>) -> Vec<Row> {
    let tz = TimeZone::get(zone).unwrap();
    let mut rows: Vec<Row> = Vec::new();
    let mut versions: Vec<(String, i64)> = Vec::new();
    let mut taken: HashSet<i64> = HashSet::new();
    for (n, seed) in seeds.into_iter().enumerate() {
        let delay_ms = settings.slack_ms() * i64::from(seed.delay) / 1000;
        let of = |t: usize| (!rows.is_empty()).then(|| rows[t % rows.len()].clone());
        let mut next = |id: &str| {
            let at = versions.iter().position(|(i, _)| i == id).unwrap();
            versions[at].1 += 1;
            versions[at].1
        };
        let row = match seed.edit {
            Edit::Copy(t) => of(t).map(|old| Row { delay_ms, ..old }),
            Edit::Correct(t) => of(t).filter(|o| o.report).map(|old| Row {
                version: next(&old.id),
                op: "correct",
                values: seed.values.clone(),
                delay_ms,
                ..old
            }),
            Edit::Move(t, hours) => of(t).filter(|o| o.report).map(|old| Row {
                version: next(&old.id),
                op: "correct",
                at_ms: unique(&mut taken, old.at_ms + hours * HOUR_MS),
                values: seed.values.clone(),
                delay_ms,
                ..old
            }),
            Edit::Withdraw(t) => of(t).filter(|o| o.report).map(|old| Row {
                version: next(&old.id),
                op: "withdraw",
                delay_ms,
                ..old
            }),
            Edit::Conflict(t) => {
                of(t).map(|old| Row { values: seed.values.clone(), delay_ms, ..old })
            }
            Edit::New => None,
        };
        rows.push(row.unwrap_or_else(|| {
            let id = format!("n{n}");
            versions.push((id.clone(), 1));
            let at_ms = unique(&mut taken, instant(&tz, settings.start, seed.minute, seed.snap));
            let (report, values) = (seed.report, seed.values);
            Row { report, at_ms, delay_ms, id, version: 1, op: "insert", values }
        }));
    }
    rows.sort_by_key(Row::place);
    rows
}

/// No two records have one time, so that `first` and `last` are what SQL says they are.
fn unique(taken: &mut HashSet<i64>, mut at_ms: i64) -> i64 {
    while !taken.insert(at_ms) {
        at_ms += 1;
    }
    at_ms
}

fn instant(tz: &TimeZone, start: DateTime, minute: u32, snap: u8) -> i64 {
    let local = match snap {
        0 | 1 => minute - minute % (24 * 60),
        2 => minute - minute % 60,
        _ => minute,
    };
    let at = start.checked_add(jiff::Span::new().minutes(i64::from(local))).unwrap();
    let ms = tz.to_ambiguous_timestamp(at).later().unwrap().as_millisecond();
    if snap == 1 { ms - 1 } else { ms }
}
