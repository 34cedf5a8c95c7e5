//! Rules read anew while a server runs.

use std::{fs, sync::atomic::AtomicBool, sync::atomic::Ordering, thread};

use serde_json::{Value, json};

use crate::http::{House, Running, wait};

const EVENTS: &str = "/api/v1/feeds/complaints/events";
const RELOAD: &str = "/api/v1/rules/reload";

/// Two complaints about a firm of the list.
const LISTED: &str = "\
rule: listed
title: {zh: 名单, en: Listed}
kind: instant
feed: complaints
join: {biz: firms}
key: [firm]
when: biz.grade >= 2
severity: medium
alert: {message: {zh: \"{firm} {biz.note}\", en: \"{firm} {biz.note}\"}}
";

fn record(no: u32, firm: &str) -> String {
    let at = format!("2026-03-{:02}T{:02}:00:00+08:00", 2 + no / 24, no % 24);
    json!({"no": format!("T{no}"), "at": at, "firm": firm, "who": format!("p{no}")}).to_string()
        + "\n"
}

fn push(engine: &Running, body: &str) -> u16 {
    engine.request("POST", EVENTS, &[], body.as_bytes()).status
}

/// Alerts as `rule firm state revision`, sorted.
fn alerts(engine: &Running) -> Vec<String> {
    let line = |a: &Value| {
        let word = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        let parts = [&a["rule"], &a["key"]["firm"], &a["state"], &a["revision"]];
        parts.map(word).join(" ")
    };
    let mut out: Vec<String> = engine.alerts().iter().map(line).collect();
    out.sort();
    out
}

fn ready(engine: &Running) {
    wait("the engine is ready", || engine.get("/readyz").status == 200);
}

fn rules(engine: &Running) -> usize {
    engine.get("/api/v1/rules").body["rules"].as_array().map_or(0, Vec::len)
}

#[test]
fn a_broken_set_is_refused_and_another_takes_over() {
    let house = House::new();
    let write = |path: &str, text: &str| {
        fs::create_dir_all(house.path(path).parent().unwrap()).unwrap();
        fs::write(house.path(path), text).unwrap();
    };
    let engine = house.start(&[]);
    let told = || fs::read_to_string(house.path("out/alerts.ndjson")).unwrap();
    assert_eq!(push(&engine, &[1, 2, 3].map(|n| record(n, "甲")).concat()), 200);
    assert_eq!(push(&engine, &record(4, "乙")), 200);
    let before = ["many_complaints 甲 firing 1"];
    assert_eq!(alerts(&engine), before);

    let same = engine.request("POST", RELOAD, &[], &[]);
    assert_eq!((same.status, &same.body["changed"]), (200, &json!(false)), "{}", same.body);

    // The list has a cell that is no number: told at its line, and nothing changes.
    write("rules/listed.yaml", LISTED);
    write("rules/lists/firms.csv", "firm,grade:int,note\n甲,1,好\n乙,多,差\n");
    let refused = engine.request("POST", RELOAD, &[], &[]);
    assert_eq!(refused.status, 422, "{}", refused.body);
    let found: Vec<(String, u64)> = refused.body["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["code"].as_str().unwrap().to_owned(), f["line"].as_u64().unwrap()))
        .collect();
    assert!(found.contains(&("list::bad_value".to_owned(), 3)), "{found:?}");
    assert!(refused.body["findings"][0]["file"].as_str().unwrap().contains("rules"));
    assert_eq!((rules(&engine), alerts(&engine).as_slice()), (1, &before.map(str::to_owned)[..]));

    // Mended: the rule judges what is in the log, the other one says what it said.
    write("rules/lists/firms.csv", "firm,grade:int,note\n甲,1,好\n乙,2,差\n");
    let taken = engine.request("POST", RELOAD, &[], &[]);
    assert_eq!((taken.status, &taken.body["changed"]), (200, &json!(true)), "{}", taken.body);
    wait("the new rule runs", || rules(&engine) == 2);
    ready(&engine);
    assert_eq!(alerts(&engine), ["listed 乙 firing 1", "many_complaints 甲 firing 1"]);
    assert_eq!(told().lines().count(), 2, "{}", told());
    assert!(told().contains("乙 差"));

    // The list alone is a change, and SIGHUP does as well.
    write("rules/lists/firms.csv", "firm,grade:int,note\n丙,2,差\n");
    let hash = |engine: &Running| {
        let (_, _, text) = engine.text("/metrics", &[]);
        text.lines().find(|l| l.starts_with("forewarn_rules_info")).map(str::to_owned)
    };
    let old = hash(&engine);
    engine.hang_up();
    wait("the other list is in use", || hash(&engine) != old);
    ready(&engine);
    assert_eq!(push(&engine, &record(5, "丙")), 200);
    assert!(alerts(&engine).contains(&"listed 丙 firing 1".to_owned()));

    // What a start makes of the log is what runs.
    let (now, lines) = (alerts(&engine), told().lines().count());
    assert_eq!(engine.stop(), Some(0));
    let engine = house.start(&[]);
    assert_eq!((alerts(&engine), told().lines().count()), (now, lines));
}

#[test]
fn no_request_is_lost_while_sets_take_over() {
    let house = House::new();
    let engine = house.start(&[]);
    let done = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            let mut sent = 0;
            while !done.load(Ordering::Relaxed) || sent < 50 {
                assert_eq!(push(&engine, &record(sent, "甲")), 200, "record {sent}");
                sent += 1;
                if sent == 600 {
                    break;
                }
            }
            sent
        });
        for i in 0..5 {
            let rule = format!(
                "rule: again\ntitle: {{zh: 甲, en: A}}\nkind: instant\nfeed: complaints\nkey: [no]\nwhen: firm = '{i}'\nseverity: low\n"
            );
            fs::write(house.path("rules/again.yaml"), rule).unwrap();
            let answer = engine.request("POST", RELOAD, &[], &[]);
            assert_eq!((answer.status, &answer.body["changed"]), (200, &json!(true)));
            ready(&engine);
        }
        done.store(true, Ordering::Relaxed);
        pushing.join().unwrap()
    });
    let feed = engine.get("/api/v1/feeds").body["feeds"][0].clone();
    let text = feed.to_string();
    assert!(
        text.contains(&format!(":{sent},")) || text.contains(&format!(":{sent}}}")),
        "{sent} in {text}"
    );
}
