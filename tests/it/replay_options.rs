//! What the options of `forewarn replay` do, seen through the built binary.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::{fs, path::Path, process::Command};

use serde_json::Value;

const FEED: &str = "\
feed: visits
title: {zh: 检查, en: Visits}
record_id: [no]
event_time: at
out_of_order: 0
allowed_lateness: 2d
dedup_for: 90d
columns:
  no: {type: text}
  at: {type: timestamp}
  firm: {type: text}
";

const RULE: &str = "\
rule: often
status: shadow
title: {zh: 频繁, en: Often}
kind: window
feed: visits
key: [firm]
window: {tumbling: 7d}
measures: {n: count(*)}
when: n >= 2
severity: low
";

fn house(dir: &Path) {
    fs::create_dir_all(dir.join("rules/feeds")).unwrap();
    fs::write(dir.join("rules/feeds/visits.yaml"), FEED).unwrap();
    fs::write(dir.join("rules/often.yaml"), RULE).unwrap();
}

/// The lines of `signals.ndjson` and the counts of the feed.
fn replay(dir: &Path, args: &[&str]) -> (Vec<Value>, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .current_dir(dir)
        .args(["replay", "--quiet", "--out", "out"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let signals = fs::read_to_string(dir.join("out/signals.ndjson")).unwrap();
    let summary: Value =
        serde_json::from_slice(&fs::read(dir.join("out/summary.json")).unwrap()).unwrap();
    (signals.lines().map(|l| serde_json::from_str(l).unwrap()).collect(), summary["feeds"].clone())
}

fn visit(no: u32, at: &str) -> String {
    format!("{{\"no\":\"{no}\",\"at\":\"{at}\",\"firm\":\"甲\"}}\n")
}

#[test]
fn open_windows_close_on_request_and_the_configuration_names_the_zone() {
    let dir = tempfile::tempdir().unwrap();
    house(dir.path());
    // In Shanghai the second visit is on Monday, in UTC still on Sunday.
    let rows = visit(1, "2026-03-05T10:00:00Z") + &visit(2, "2026-03-08T17:00:00Z");
    fs::write(dir.path().join("visits.ndjson"), rows).unwrap();
    let input = ["--input", "visits=visits.ndjson"];
    let (signals, _) = replay(dir.path(), &input);
    assert!(signals.is_empty(), "two weeks in Shanghai: {signals:?}");
    fs::write(dir.path().join("forewarn.yaml"), "zone: UTC\n").unwrap();
    let (signals, _) = replay(dir.path(), &input);
    assert_eq!((signals.len(), &signals[0]["open"]), (1, &Value::Bool(true)), "one week in UTC");
    let (signals, _) = replay(dir.path(), &[&input[..], &["--close-open"]].concat());
    assert_eq!((signals.len(), &signals[0]["open"]), (1, &Value::Null));
    let (signals, _) = replay(dir.path(), &[&input[..], &["--zone", "Asia/Shanghai"]].concat());
    assert!(signals.is_empty(), "an option says more than the file");
}

#[test]
fn a_file_sent_again_is_no_news_however_late() {
    let dir = tempfile::tempdir().unwrap();
    house(dir.path());
    let old = visit(1, "2026-01-05T10:00:00Z") + &visit(2, "2026-01-06T10:00:00Z");
    let new = visit(3, "2026-02-05T10:00:00Z");
    // The same rows behind newer ones of their own partition; and one that was never seen.
    let again = visit(1, "2026-01-05T10:00:00Z")
        + &visit(2, "2026-01-06T10:00:00Z")
        + &visit(4, "2026-01-06T10:00:00Z");
    fs::write(dir.path().join("visits.ndjson"), old + &new + &again).unwrap();
    let (_, feeds) = replay(dir.path(), &["--input", "visits=visits.ndjson"]);
    let feed = feeds.as_array().map_or(&feeds["visits"], |all| &all[0]);
    assert_eq!(
        (feed["accepted"].as_u64(), feed["duplicates"].as_u64(), feed["late"].as_u64()),
        (Some(3), Some(2), Some(1)),
        "{feeds}"
    );
}
