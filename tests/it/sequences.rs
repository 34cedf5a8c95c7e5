//! Sequences in a running engine: records in by HTTP, killed half-way, alerts with their steps out; what `explain` and the
//! pages say of them; and silence of a feed that is waited for, which is not absence.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::http::{House, Running};

const VISITS: &str = "\
feed: visits
title: {zh: 检查, en: Visits}
record_id: no
event_time: day
op: op
allowed_lateness: 60d
columns:
  no: text
  op: text
  day: {type: date, required: true}
  firm: text
  case_no: text
";

const FINES: &str = "\
feed: fines
title: {zh: 处罚, en: Fines}
record_id: no
event_time: day
op: op
allowed_lateness: 60d
columns:
  no: text
  op: text
  day: {type: date, required: true}
  firm: text
  yuan: int
";

const FINED_THEN_COMPLAINTS: &str = "\
rule: fined_then_complaints
title: {zh: 罚后又被投诉, en: Complaints after a fine}
kind: sequence
key: [firm]
within: 30d
steps:
  - {as: fined, feed: fines}
  - {as: complained, feed: complaints, at_least: 2, distinct: who}
severity: {high: fined.yuan >= 1000, else: medium}
alert:
  message: {zh: \"{firm} 罚 {fined.yuan} 元后 {complained.count} 人投诉\", en: \"{firm}: {complained.count} complaints after a fine\"}
";

const NOT_VISITED: &str = "\
rule: not_visited
title: {zh: 罚后未复查, en: Not visited after a fine}
kind: sequence
key: [firm]
runs: each
steps:
  - {as: fined, feed: fines}
  - {as: visited, feed: visits, absent_for: 5wd, match: visited.case_no = fined.no}
severity: low
";

fn house() -> House {
    let house = House::new();
    fs::remove_file(house.path("rules/many_complaints.yaml")).unwrap();
    for (path, text) in [
        ("rules/feeds/visits.yaml", VISITS),
        ("rules/feeds/fines.yaml", FINES),
        ("rules/fined_then_complaints.yaml", FINED_THEN_COMPLAINTS),
        ("rules/not_visited.yaml", NOT_VISITED),
    ] {
        fs::write(house.path(path), text).unwrap();
    }
    house
}

fn fine(no: &str, on: &str, firm: &str, yuan: u32) -> (&'static str, Value) {
    ("fines", json!({"no": no, "day": on, "firm": firm, "yuan": yuan}))
}

fn visit(no: &str, on: &str, case_no: &str) -> (&'static str, Value) {
    ("visits", json!({"no": no, "day": on, "firm": "甲", "case_no": case_no}))
}

fn complaint(no: &str, at: &str, who: &str) -> (&'static str, Value) {
    ("complaints", json!({"no": no, "at": format!("{at}:00+08:00"), "firm": "甲", "who": who}))
}

/// What is pushed, request by request.
fn requests() -> Vec<(&'static str, Value)> {
    vec![
        fine("C1", "2026-03-02", "甲", 2000),
        complaint("T1", "2026-03-05T10:00", "张"),
        complaint("T2", "2026-03-06T10:00", "张"),
        fine("C2", "2026-03-03", "甲", 50),
        visit("V1", "2026-03-06", "C2"),
        complaint("T3", "2026-03-09T08:30", "李"),
        // Fines and complaints go on; of the visits nothing has come since.
        fine("C3", "2026-03-30", "乙", 10),
        complaint("T4", "2026-03-30T10:00", "王"),
        // Now the visits are known up to the deadline of C1, later that of C3.
        visit("V2", "2026-03-20", "X"),
        visit("V3", "2026-04-20", "X"),
        // Published late: C1 was visited in time.
        visit("V4", "2026-03-04", "C1"),
    ]
}

fn push(engine: &Running, (feed, row): &(&str, Value)) {
    let path = format!("/api/v1/feeds/{feed}/events");
    let reply = engine.request("POST", &path, &[], format!("{row}\n").as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.body["accepted"], 1, "{row}: {}", reply.body);
}

/// Rule, firm, state, severity and records of each step, `!` with the deadline where it stayed away.
fn told(engine: &Running) -> Vec<String> {
    let step = |s: &Value| match s["absent_until"].as_str() {
        Some(until) => format!("!{}", &until[..10]),
        None => {
            let records = s["records"].as_array().unwrap();
            records.iter().map(|r| r.as_str().unwrap()).collect::<Vec<_>>().join("+")
        }
    };
    let line = |alert: Value| {
        let text = |name: &str| alert[name].as_str().unwrap().to_owned();
        let steps: Vec<String> = alert["steps"].as_array().unwrap().iter().map(step).collect();
        let firm = alert["key"]["firm"].as_str().unwrap();
        let (rule, state, severity) = (text("rule"), text("state"), text("severity"));
        format!("{rule} {firm} {state} {severity} {}", steps.join(" "))
    };
    let mut lines: Vec<String> = engine.alerts().into_iter().map(line).collect();
    lines.sort();
    lines
}

const COMPLAINED: &str = "fined_then_complaints 甲 firing high C1 T1+T3";

/// The state of the rule's held runs in `/metrics`.
fn held(engine: &Running) -> String {
    let (_, _, text) = engine.text("/metrics", &[]);
    let line = text.lines().find(|l| l.starts_with("forewarn_rule_held_runs{"));
    line.unwrap().to_owned()
}

#[test]
fn steps_are_told_and_survive_a_kill_between_any_two_records() {
    let requests = requests();
    let (whole, broken) = (house(), house());
    let mut unbroken = whole.start(&[]);
    let mut engine = broken.start(&[]);
    for (i, request) in requests.iter().enumerate() {
        push(&unbroken, request);
        if i % 2 == 1 {
            engine.kill();
            engine = broken.start(&[]);
        }
        push(&engine, request);
        let expect: &[&str] = match i {
            0..5 => &[],
            // While no visits come the fines wait: nothing is told of them.
            5..8 => &[COMPLAINED],
            8 => &[COMPLAINED, "not_visited 甲 firing low C1 !2026-03-10"],
            9 => &[
                COMPLAINED,
                "not_visited 乙 firing low C3 !2026-04-08",
                "not_visited 甲 firing low C1 !2026-03-10",
            ],
            _ => &[
                COMPLAINED,
                "not_visited 乙 firing low C3 !2026-04-08",
                "not_visited 甲 retracted low C1 !2026-03-10",
            ],
        };
        assert_eq!(told(&unbroken), expect, "after {request:?}");
        assert_eq!(told(&engine), expect, "killed between, after {request:?}");
        let waits = if (6..8).contains(&i) { "1" } else { "0" };
        assert!(held(&unbroken).ends_with(waits), "after {request:?}: {}", held(&unbroken));
    }
    // The same log, walked once more.
    unbroken.kill();
    unbroken = whole.start(&[]);
    assert_eq!(told(&unbroken), told(&engine));
}

#[test]
fn explain_and_pages_say_which_record_met_which_step() {
    let house = house();
    let engine = house.start(&[]);
    requests().iter().for_each(|request| push(&engine, request));
    let of = |rule: &str| {
        let alerts = engine.alerts();
        let alert = alerts.iter().find(|a| a["rule"] == rule).unwrap();
        alert["id"].as_str().unwrap().to_owned()
    };
    let (complained, visited) = (of("fined_then_complaints"), of("not_visited"));
    for (path, language, parts) in [
        (
            format!("/alerts/{complained}"),
            "zh",
            vec!["各步骤", "fined", "处罚", "2026-03-02", "C1", "complained", "T1", "T3"],
        ),
        (format!("/alerts/{complained}"), "en", vec!["one after the other", "Fines", "C1", "T3"]),
        (format!("/alerts/{visited}"), "en", vec!["Visits", "did not come until"]),
        (
            "/rules/not_visited".to_owned(),
            "zh",
            vec!["依次发生", "5 个工作日 内没有", "visited.case_no = fined.no"],
        ),
        (
            "/rules/fined_then_complaints".to_owned(),
            "en",
            vec!["within 30 d from the first record", "at least 2 records"],
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
    let detail = engine.get(&format!("/api/v1/alerts/{visited}")).body;
    assert_eq!(detail["steps"][1]["step"], "visited", "{detail}");
    assert!(detail["steps"][1]["absent_until"].is_string(), "{detail}");
    engine.kill();
    for (id, parts) in [
        (complained, ["C1", "T1, T3", "agrees in every value"]),
        (visited, ["fines  C", "nothing of visits until 2026-0", "agrees in every value"]),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
        command.arg("explain").arg(&id).arg("--data").arg(house.path("data"));
        let done = command.arg("--rules").arg(house.path("rules")).output().unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success(), "{text}{}", String::from_utf8_lossy(&done.stderr));
        parts.iter().for_each(|part| assert!(text.contains(part), "no {part:?} in\n{text}"));
    }
}
