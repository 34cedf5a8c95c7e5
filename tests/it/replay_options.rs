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

#[test]
fn labels_may_be_a_table_or_lines_and_the_score_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    house(dir.path());
    fs::write(dir.path().join("rules/often.yaml"), RULE.replace("status: shadow\n", "")).unwrap();
    let visit = |no: u32, at: &str, firm: &str| {
        format!("{{\"no\":\"{no}\",\"at\":\"{at}T10:00:00+08:00\",\"firm\":\"{firm}\"}}\n")
    };
    let rows = [
        // Two alerts, known on 3 and 4 March; the one of 乙 is about no incident.
        visit(1, "2026-03-02", "甲"),
        visit(2, "2026-03-03", "甲"),
        visit(3, "2026-03-03", "乙"),
        visit(4, "2026-03-04", "乙"),
        visit(5, "2026-04-20", "丙"),
    ];
    fs::write(dir.path().join("visits.ndjson"), rows.concat()).unwrap();
    let score = |file: &str, labels: &str| {
        fs::write(dir.path().join(file), labels).unwrap();
        replay(dir.path(), &["--input", "visits=visits.ndjson", "--labels", file]);
        let summary = fs::read(dir.path().join("out/summary.json")).unwrap();
        serde_json::from_slice::<Value>(&summary).unwrap()["labels"].clone()
    };
    let of_table = score(
        "labels.csv",
        "rule,firm,from,until,harm\noften,甲,2026-03-01,,2026-03-13 10:00\noften,丁,2026-03-01,2026-03-30,\n",
    );
    let of_lines = score(
        "labels.ndjson",
        "{\"rule\":\"often\",\"key\":{\"firm\":\"甲\"},\"from\":\"2026-03-01\",\"harm\":\"2026-03-13 10:00\"}\n\
         {\"rule\":\"often\",\"key\":{\"firm\":\"丁\"},\"from\":\"2026-03-01\",\"until\":\"2026-03-30\"}\n",
    );
    assert_eq!(of_table, of_lines);
    let (half, ten) = (Value::from(0.5), Value::from(10.0));
    let told = ["recall", "precision", "lead_days"].map(|name| &of_table[name]);
    assert_eq!(told, [&half, &half, &ten], "{of_table}");
    assert_eq!((&of_table["found"], &of_table["missed"]), (&1.into(), &1.into()), "{of_table}");
}

#[test]
fn wrong_labels_are_all_named_before_anything_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    house(dir.path());
    fs::write(dir.path().join("visits.ndjson"), visit(1, "2026-03-05T10:00:00Z")).unwrap();
    let refused = |file: &str, labels: &str| {
        fs::write(dir.path().join(file), labels).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_forewarn"))
            .current_dir(dir.path())
            .args(["replay", "--out", "out", "--input", "visits=visits.ndjson", "--labels", file])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(!dir.path().join("out").exists());
        error
    };
    let table = "rule,firm,from,until\noftn,甲,2026-03-01,\noften,,2026-03-01,\noften,甲,,\n\
                 often,甲,2026-03-02,2026-03-01\n";
    let error = refused("labels.csv", table);
    for part in [
        "line 2: there is no rule \"oftn\", did you mean \"often\"?",
        "line 3: has no \"firm\", a key column of rule \"often\"",
        "line 4: column \"from\": has no value and is required",
        "line 5: until is not after from",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    let lines = "{\"rule\":\"often\",\"key\":{\"firma\":\"甲\",\"firm\":\"甲\"},\"from\":\"2026-03-01\"}\n{}\n";
    let error = refused("labels.ndjson", lines);
    assert!(
        error.contains("line 1: rule \"often\" has no key column \"firma\", it has firm"),
        "{error}"
    );
    assert!(error.contains("line 2: key is missing"), "{error}");
    assert!(refused("labels.csv", "rule,firm,from\n").contains("there is no incident in the file"));
}

#[test]
fn a_retracted_alert_ended_when_the_record_arrived_that_took_it_back() {
    let dir = tempfile::tempdir().unwrap();
    house(dir.path());
    let feed = FEED.replace("out_of_order: 0", "op: op\narrived_at: came\nout_of_order: 0");
    let feed = feed + "  op: {type: text}\n  came: {type: timestamp}\n";
    fs::write(dir.path().join("rules/feeds/visits.yaml"), feed).unwrap();
    let live = RULE.replace("status: shadow\n", "");
    fs::write(dir.path().join("rules/often.yaml"), &live).unwrap();
    let instant = "rule: second\ntitle: {zh: 二, en: Second}\nkind: instant\nfeed: visits\nkey: [firm]\nwhen: no = '2'\nseverity: low\n";
    fs::write(dir.path().join("rules/second.yaml"), instant).unwrap();
    let row = |no: u32, day: u32, op: &str, came: &str| {
        format!(
            "{{\"no\":\"{no}\",\"at\":\"2026-03-{day:02}T10:00:00+08:00\",\"firm\":\"甲\",\"op\":\"{op}\",\"came\":\"{came}\"}}\n"
        )
    };
    let rows = [
        row(1, 2, "insert", "2026-03-02 11:00"),
        row(2, 3, "insert", "2026-03-03 11:00"),
        row(2, 3, "withdraw", "2026-03-05 12:30"),
    ];
    fs::write(dir.path().join("visits.ndjson"), rows.concat()).unwrap();
    replay(dir.path(), &["--input", "visits=visits.ndjson"]);
    let alerts = fs::read_to_string(dir.path().join("out/alerts.ndjson")).unwrap();
    let alerts: Vec<Value> = alerts.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let told: Vec<_> =
        alerts.iter().map(|a| (&a["rule"], &a["state"], &a["resolved_at"])).collect();
    let (state, at) = (Value::from("retracted"), Value::from("2026-03-05T12:30:00+08:00"));
    let rules = ["often", "second"].map(Value::from);
    assert_eq!(told, [(&rules[0], &state, &at), (&rules[1], &state, &at)]);

    // The rule's own test says the same time.
    let test = "tests:\n  - name: withdrawn\n    given:\n      visits:\n\
                \x20       - {at: 2026-03-02, no: 1, firm: 甲}\n\
                \x20       - {at: 2026-03-03, no: 2, firm: 甲}\n\
                \x20       - {at: 2026-03-03, arrives: 2026-03-05 12:30, no: 2, firm: 甲, op: withdraw}\n\
                \x20   until: 2026-03-07\n    expect:\n\
                \x20     - {rule: often, key: {firm: 甲}, state: retracted, retracted: 2026-03-05 12:30}\n";
    fs::write(dir.path().join("rules/often.yaml"), live + test).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .current_dir(dir.path())
        .args(["test", "rules/often.yaml"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_rule_that_divides_by_zero_is_refused_and_a_guarded_one_disturbs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    house(dir.path());
    let rows: String = (1..=5)
        .map(|no| {
            let firm = if no < 3 { "甲" } else { "乙" };
            format!(
                "{{\"no\":\"{no}\",\"at\":\"2026-03-0{no}T10:00:00+08:00\",\"firm\":\"{firm}\"}}\n"
            )
        })
        .collect();
    // On Sunday the first is in a week of its own.
    fs::write(dir.path().join("visits.ndjson"), rows.replace("03-01", "03-02")).unwrap();
    let rule = |when: &str| {
        fs::write(dir.path().join("rules/often.yaml"), RULE.replace("n >= 2", when)).unwrap();
    };
    let args = ["--input", "visits=visits.ndjson", "--close-open"];
    rule("n >= 2 and 10.0 / (n - 2) >= 5");
    for command in
        [&["check"][..], &["run"], &["replay", "--out", "out", "--input", "visits=visits.ndjson"]]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_forewarn"))
            .current_dir(dir.path())
            .args(command)
            .output()
            .unwrap();
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let code = if command == ["check"] { 1 } else { 2 };
        assert_eq!(output.status.code(), Some(code), "{told}");
        for part in [
            "rule::unguarded_division",
            "/ by n - 2, which can be 0: the record would be lost to this rule",
            "rules/often.yaml:9:26",
            "write nullif(n - 2, 0)",
        ] {
            assert!(told.contains(part), "{command:?} {part}\n{told}");
        }
    }
    // Where the divisor is 0 there is no value and no signal; the other firm has its own.
    rule("n >= 2 and 10.0 / nullif(n - 2, 0) >= 5");
    let (signals, _) = replay(dir.path(), &args);
    let found: Vec<_> = signals.iter().map(|s| (&s["key"]["firm"], &s["values"]["n"])).collect();
    assert_eq!(found, [(&Value::from("乙"), &Value::from(3))]);
}
