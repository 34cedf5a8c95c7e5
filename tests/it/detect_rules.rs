//! A rule with a detector end to end: pushed over HTTP, told, shown with its series, explained from the log.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::http::House;

const RULE: &str = "\
rule: daily_excess
title: {zh: 日投诉异常, en: Excess of a day}
kind: detect
feed: complaints
key: [firm]
series: {value: count(*), period: day}
measures: {people: count(distinct who)}
detector: {ears: {method: c2, baseline: 7, min_sigma: 1}}
when: alarm and people >= 2
severity: {high: value >= 10, else: medium}
alert:
  message: {zh: \"{firm} {value} 件,预期 {expected:.1}\", en: \"{firm}: {value}, {expected:.1} expected\"}
";

/// Two and three records a day in turn through February, and `more` on its last day.
fn records(more: u32) -> String {
    let mut lines = String::new();
    let mut add = |day: u32, n: u32| {
        let at = format!("2026-02-{day:02}T{:02}:{:02}:00+08:00", n / 4, n % 4 * 10);
        let record =
            json!({"no": format!("{day}-{n}"), "at": at, "firm": "甲", "who": format!("p{n}")});
        lines += &format!("{record}\n");
    };
    (1..=28).for_each(|day| (0..2 + day % 2).for_each(|n| add(day, n)));
    (2..2 + more).for_each(|n| add(28, n));
    lines
}

#[test]
fn what_a_detector_finds_is_told_shown_and_explained() {
    let house = House::new();
    fs::remove_file(house.path("rules/many_complaints.yaml")).unwrap();
    fs::write(house.path("rules/daily_excess.yaml"), RULE).unwrap();
    let engine = house.start(&[]);
    let push = |body: &str| {
        let path = "/api/v1/feeds/complaints/events";
        let reply =
            engine.request("POST", path, &["Content-Type: application/x-ndjson"], body.as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.body);
    };
    let next = |no: &str, at: &str, firm: &str| {
        push(&format!("{}\n", json!({"no": no, "at": at, "firm": firm, "who": no})));
    };
    push(&records(3));
    next("x", "2026-03-01T12:00:00+08:00", "乙");
    assert_eq!(engine.alerts(), Vec::<Value>::new(), "five where two or three were usual are few");

    // Five more that come after the day has closed make ten.
    for n in 0..5 {
        next(&format!("late{n}"), "2026-02-28T20:00:00+08:00", "甲");
    }
    let alerts = engine.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let (alert, values) = (&alerts[0], &alerts[0]["values"]);
    assert_eq!((&alert["state"], &alert["severity"]), (&json!("firing"), &json!("high")));
    // The baseline of C2 ends two days before: 2026-02-19 to 25.
    let expected = (3 + 2 + 3 + 2 + 3 + 2 + 3) as f64 / 7.0;
    assert!((values["expected"].as_f64().unwrap() - expected).abs() < 1e-12, "{values}");
    assert_eq!((&values["value"], &values["people"]), (&json!(10), &json!(10)));
    assert_eq!(alert["message"]["en"], "甲: 10, 2.6 expected");

    let id = alert["id"].as_str().unwrap().to_owned();
    let series = engine.get(&format!("/api/v1/alerts/{id}")).body["series"].clone();
    assert_eq!((&series["value"], &series["limit"]), (&json!("value"), &json!("upper_bound")));
    let points = series["points"].as_array().unwrap();
    let fires: Vec<&Value> = points.iter().filter(|p| p["fires"] == true).collect();
    assert_eq!(fires.len(), 1, "{series}");
    assert_eq!((&fires[0]["value"], &fires[0]["expected"]), (&json!(10.0), &values["expected"]));
    assert_eq!(fires[0]["limit"], values["upper_bound"]);

    // The first nine days had too little history, and so had the other firm's day none of its own: that is 0, not unknown.
    let rule = engine.get("/api/v1/rules/daily_excess").body;
    assert_eq!((&rule["kind"], &rule["work"]["not_ready"]), (&json!("detect"), &json!(9)));
    assert_eq!(rule["definition"]["detector"]["name"], "ears");
    let (_, _, metrics) = engine.text("/metrics", &[]);
    assert!(
        metrics.contains("forewarn_rule_not_ready_total{rule=\"daily_excess\"} 9"),
        "{metrics}"
    );
    engine.kill();

    let explained = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .arg("explain")
        .arg(&id)
        .arg("--data")
        .arg(house.path("data"))
        .arg("--rules")
        .arg(house.path("rules"))
        .output()
        .unwrap();
    let text = String::from_utf8(explained.stdout).unwrap();
    assert!(explained.status.success() && text.contains("agrees in every value"), "{text}");
    let periods: Vec<&str> =
        text.lines().filter(|l| l.starts_with("2026-02-") && l[10..].starts_with(' ')).collect();
    let last = format!("2026-02-28       10       {expected:.2}");
    assert!(periods.len() == 10 && periods[9].starts_with(&last), "{text}");
    assert!(periods.iter().all(|p| p.split_whitespace().nth(2) != Some("-")), "{text}");
}
