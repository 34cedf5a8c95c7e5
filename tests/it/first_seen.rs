//! First-seen rules in a running engine: records in by HTTP, killed half-way, what is known stays known; a record that comes
//! late moves the first time; and what `explain` and the pages say of it.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::http::{House, Running};

const TESTS: &str = "\
feed: tests
title: {zh: 检测, en: Tests}
record_id: no
version: v
op: op
event_time: day
allowed_lateness: 30d
columns:
  no: text
  v: int
  op: text
  day: {type: date, required: true}
  class: text
  item: text
";

const NEW_ITEM: &str = "\
rule: new_item
title: {zh: 首次检出, en: Item never seen before}
kind: first_seen
feed: tests
key: [class, item]
history: 100d
learn_for: 10d
at_least: 2
distinct: no
within: 20d
severity: {high: item = '铅', else: medium}
alert:
  message: {zh: \"{class} 自 {first_at} 检出 {item}\", en: \"{class}: {item} since {first_at}\"}
";

fn house() -> House {
    let house = House::new();
    fs::remove_file(house.path("rules/many_complaints.yaml")).unwrap();
    fs::write(house.path("rules/feeds/tests.yaml"), TESTS).unwrap();
    fs::write(house.path("rules/new_item.yaml"), NEW_ITEM).unwrap();
    house
}

fn test(no: &str, day: &str, item: &str) -> Value {
    json!({"no": no, "v": 1, "op": "insert", "day": day, "class": "糕点", "item": item})
}

fn push(engine: &Running, row: &Value) {
    let reply =
        engine.request("POST", "/api/v1/feeds/tests/events", &[], format!("{row}\n").as_bytes());
    assert_eq!((reply.status, &reply.body["accepted"]), (200, &json!(1)), "{row}: {}", reply.body);
}

/// Item, state, severity and the records that made it known.
fn told(engine: &Running) -> Vec<String> {
    let line = |alert: Value| {
        let records: Vec<&str> =
            alert["evidence"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let (item, state) = (text(&alert["key"]["item"]), text(&alert["state"]));
        format!("{item} {state} {} {}", text(&alert["severity"]), records.join("+"))
    };
    let mut lines: Vec<String> = engine.alerts().into_iter().map(line).collect();
    lines.sort();
    lines
}

/// What is pushed, row by row, and what is told after it.
fn rows() -> Vec<(Value, Vec<&'static str>)> {
    let withdrawn = json!({"no": "D", "v": 2, "op": "withdraw", "day": "2026-03-18", "class": "糕点", "item": "铅"});
    vec![
        // Learnt.
        (test("A", "2026-03-02", "糖精"), vec![]),
        (test("B", "2026-03-13", "糖精"), vec![]),
        (test("C", "2026-03-14", "铅"), vec![]),
        (test("D", "2026-03-18", "铅"), vec!["铅 firing high C+D"]),
        (test("E", "2026-03-20", "铅"), vec!["铅 firing high C+D"]),
        // Without it the third makes up for the second.
        (withdrawn, vec!["铅 firing high C+E"]),
        // Published late: the first time was earlier.
        (test("F", "2026-03-12", "铅"), vec!["铅 firing high F+C", "铅 retracted high C+E"]),
        // A hundred days and more of silence, while others go on: new again.
        (test("G", "2026-05-30", "糖精"), vec!["铅 firing high F+C", "铅 retracted high C+E"]),
        (test("H", "2026-06-29", "铅"), vec!["铅 firing high F+C", "铅 retracted high C+E"]),
        (
            test("I", "2026-07-01", "铅"),
            vec!["铅 firing high F+C", "铅 firing high H+I", "铅 retracted high C+E"],
        ),
        // Its silence was shorter.
        (
            test("J", "2026-07-02", "糖精"),
            vec!["铅 firing high F+C", "铅 firing high H+I", "铅 retracted high C+E"],
        ),
    ]
}

#[test]
fn what_is_known_survives_a_kill_between_any_two_records() {
    let (whole, broken) = (house(), house());
    let unbroken = whole.start(&[]);
    let mut engine = broken.start(&[]);
    for (i, (row, expect)) in rows().iter().enumerate() {
        push(&unbroken, row);
        if i % 2 == 1 {
            engine.kill();
            engine = broken.start(&[]);
        }
        push(&engine, row);
        assert_eq!(told(&unbroken), *expect, "after {row}");
        assert_eq!(told(&engine), *expect, "killed between, after {row}");
    }
}

#[test]
fn explain_and_pages_say_when_it_was_first_seen() {
    let house = house();
    let engine = house.start(&[]);
    rows().iter().for_each(|(row, _)| push(&engine, row));
    let alerts = engine.alerts();
    let latest = alerts.iter().find(|a| a["evidence"][0] == "H").unwrap();
    let id = latest["id"].as_str().unwrap().to_owned();
    assert!(latest["message"]["zh"].as_str().unwrap().contains("糕点 自 2026-06-29"), "{latest}");
    for (path, language, parts) in [
        (format!("/alerts/{id}"), "zh", vec!["此前长时间没有出现过", "检测", "H", "I"]),
        (format!("/alerts/{id}"), "en", vec!["had not been seen for long", "Tests", "H", "I"]),
        (
            "/rules/new_item".to_owned(),
            "zh",
            vec!["此前 100 天", "至少 2 条", "20 天 内", "最初 10 天", "只学习"],
        ),
        (
            "/rules/new_item".to_owned(),
            "en",
            vec!["no record for 100 d", "at least 2 records", "within 20 d", "for 10 d from"],
        ),
    ] {
        let accept = format!("Accept-Language: {language}");
        let (status, _, page) = engine.text(&path, &[&accept, "Accept: text/html"]);
        assert_eq!(status, 200, "{path}");
        let mut from = 0;
        for part in parts {
            let at = page[from..].find(part);
            from += at.unwrap_or_else(|| panic!("{path} in {language} says no {part:?} there"));
        }
    }
    let (_, _, metrics) = engine.text("/metrics", &[]);
    let bytes = metrics.lines().find(|l| l.starts_with("forewarn_rule_state_bytes{")).unwrap();
    let bytes: u64 = bytes.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((200..20_000).contains(&bytes), "{bytes} bytes");
    engine.kill();
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    command.arg("explain").arg(&id).arg("--data").arg(house.path("data"));
    let done = command.arg("--rules").arg(house.path("rules")).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{text}{}", String::from_utf8_lossy(&done.stderr));
    for part in ["first seen from 2026-06-29", "H, I", "first_at", "agrees in every value"] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}
