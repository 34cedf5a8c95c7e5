//! One page of 100 out of 10,000 alerts, as the console's list and the API read it.
//!
//! Input: a database of 10,000 alerts of 12 rules with 50 records of evidence each; every filter the list has, in every
//! order, the first ten pages of each. Unit: time of one page; median and 99th percentile. `cargo bench --bench pages`; state
//! machine and toolchain beside a figure.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

use std::time::Instant;

use forewarn::{
    model::{alert::State, signal::Severity},
    store::alerts::{AlertReader, AlertStore, Filter, Sort, Subject, Told},
};
use serde_json::json;

/// Alerts in the database.
const ALERTS: i64 = 10_000;

fn main() {
    // `cargo test --benches` only asks whether it starts.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("forewarn.db");
    let mut store = AlertStore::open(&path).unwrap();
    let alerts: Vec<Told> = (0..ALERTS).map(told).collect();
    store.commit(&alerts, 1, false).unwrap();
    let reader = AlertReader::open(&path).unwrap();
    let filters = [
        Filter::default(),
        Filter { states: vec![State::Firing], ..Filter::default() },
        Filter { text: Some(("公司9999".into(), Vec::new())), ..Filter::default() },
        Filter {
            region: Some("4301".into()),
            severities: vec![Severity::Critical],
            ..Filter::default()
        },
        Filter { rules: Some(vec!["rule_3".into()]), ..Filter::default() },
        Filter { ucc: Some(code(77)), ..Filter::default() },
    ];
    let mut times = Vec::new();
    for filter in &filters {
        for sort in Sort::ALL {
            let mut cursor = None;
            for _ in 0..10 {
                let start = Instant::now();
                let page = reader.page(filter, sort, cursor.as_deref(), 100).unwrap();
                times.push(start.elapsed());
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
    }
    times.sort();
    let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{} pages of {ALERTS} alerts: median {median:?}, p99 {p99:?}", times.len());
}

fn told(n: i64) -> Told {
    let evidence: Vec<String> = (0..50).map(|n| format!("TS2026030500{n:04}")).collect();
    let body = json!({"id": format!("{n:016x}-1"), "revision": 1, "evidence": evidence,
        "message": {"zh": format!("公司{n} 7日内 12 人投诉 15 件"), "en": format!("Firm {n}: 12 people")}});
    Told {
        id: format!("{n:016x}-1"),
        revision: 1,
        rule: format!("rule_{}", n % 12),
        key: json!({"ucc": code(n)}).to_string(),
        state: State::ALL[n as usize % 5],
        severity: Severity::ALL[n as usize % 4],
        fired_ms: 1_770_000_000_000 + n * 60_000,
        known_ms: 1_770_000_000_000 + n * 61_000,
        began_ms: 1_769_000_000_000 + n * 60_000,
        subject: Subject {
            ucc: Some(code(n)),
            name: Some(format!("公司{n}")),
            region: Some("430102".into()),
        },
        body: body.as_object().unwrap().clone(),
    }
}

fn code(n: i64) -> String {
    format!("91430102MA{n:08}")
}
