//! Pages of rules: what lists and sheets say, how they are narrowed, and where they lead.

use std::fs;

use serde_json::json;

use super::{
    BY_FIRM, HOSTILE, code, house,
    pages::{get, text_between},
    push, surge,
};
use crate::http::{House, Running, wait};

/// A rule that compares, so that it is not fit in its first weeks, and one that judges records.
const COMPARES: &str = "\
rule: text_growth
version: 3
status: shadow
title: {zh: 环比增长, en: Growth}
about: More than the week before.
kind: window
feed: orders
where: text is not null
key: [\"left(region, 4) as city\"]
window: {tumbling: 7d, start: monday}
measures: {n: count(*), firms: count(distinct ucc)}
compare:
  before: {shift: 7d}
  usual: {windows: 4, step: 7d, skip: 1, of: median}
params: {times: 2}
when: n >= 2 and n >= $times * before.n and n > usual.n
severity: low
tests:
  - name: nothing comes of nothing
    given: {orders: []}
    until: 2026-03-16
    expect: []
";

const SINGLE: &str = "\
rule: bad_visit
title: {zh: 检查不合格, en: Bad visit}
kind: instant
feed: visits
where: result = '不合格'
key: [no]
severity: high
alert:
  action: {zh: 复查, en: Look again}
  message: {zh: \"{no} 不合格\", en: \"{no} failed\"}
tests:
  - name: one fails
    given: {visits: [{at: 2026-03-02, no: V9, result: 不合格}]}
    until: 2026-03-03
    expect: [{rule: bad_visit, key: {no: V9}, state: firing}]
  - name: one passes
    given: {visits: [{at: 2026-03-02, no: V9, result: 合格}]}
    until: 2026-03-03
    expect: []
";

fn three_rules() -> (House, Running) {
    let house = house();
    for (path, text) in
        [("rules/market/text_growth.yaml", COMPARES), ("rules/visits/bad_visit.yaml", SINGLE)]
    {
        fs::create_dir_all(house.path(path).parent().unwrap()).unwrap();
        fs::write(house.path(path), text).unwrap();
    }
    let engine = house.start(&[]);
    (house, engine)
}

#[test]
fn the_list_tells_what_each_found_and_is_narrowed_by_the_address() {
    let (_house, engine) = three_rules();
    push(&engine, "orders", &surge(1..4, 5, 5));
    let rules = |query: &str| {
        let (status, _, text) = get(&engine, &format!("/rules{query}"), &[]);
        assert_eq!(status, 200, "{query}: {text}");
        let rows = text.split("<tr data-row").skip(1);
        rows.map(|row| text_between(row, "href=\"/rules/", "\"")).collect::<Vec<_>>()
    };
    assert_eq!(rules(""), ["bad_visit", "many_complaints", "order_surge", "text_growth"]);
    for (query, expect) in [
        ("?status=shadow", vec!["text_growth"]),
        ("?status=shadow,live&domain=visits", vec!["bad_visit"]),
        ("?feed=orders", vec!["order_surge", "text_growth"]),
        ("?is=firing", vec!["order_surge"]),
        ("?is=silent", vec!["bad_visit", "many_complaints"]),
        ("?q=surge", vec!["order_surge"]),
        ("?q=%E7%8E%AF%E6%AF%94", vec!["text_growth"]),
        ("?q=nothing", vec![]),
    ] {
        assert_eq!(rules(query), expect, "{query}");
    }
    let (_, _, text) = get(&engine, "/rules?lang=en&q=nothing", &[]);
    assert!(text.contains("No rule passes these filters") && text.contains("0 rules"), "{text}");
    // Three alerts are open, and the number leads to them.
    let (_, _, text) = get(&engine, "/rules?is=firing", &[]);
    assert!(text.contains("href=\"/alerts?rule=order_surge\">3</a>"), "{text}");
    for (query, says) in
        [("?status=asleep", "live, shadow"), ("?is=odd", "firing"), ("?stat=live", "known are")]
    {
        let (status, _, text) = get(&engine, &format!("/rules{query}"), &[]);
        assert_eq!(status, 400, "{query}");
        assert!(text.contains(says), "{query}: {text}");
    }
}

#[test]
fn a_rule_is_told_in_plain_words_with_its_alerts_and_signals() {
    let (_house, engine) = three_rules();
    push(&engine, "orders", &surge(1..3, 5, 5));
    // Much later, so that the windows are final.
    push(&engine, "orders", &surge(9..10, 1, 28));
    let mut late = surge(8..9, 1, 1);
    late[0]["at"] = json!("2026-05-20T10:00:00+08:00");
    push(&engine, "orders", &late);
    let (status, _, text) = get(&engine, "/rules/order_surge", &[]);
    assert_eq!(status, 200);
    for says in [
        "最近 7 天，每 1 天 看一次",
        "记录数",
        "<code>who</code> 的不同值个数",
        "n &gt;= 3",
        "people &gt;= 2",
        "约谈",
        "样例1号有限公司 7日 5 件",
        "href=\"/feeds/orders\"",
        "href=\"/alerts?rule=order_surge&amp;state=all\"",
        "class=\"weeks\"",
        "<span class=\"name\">rule</span>: order_surge",
        "forewarn test rules/market/order_surge.yaml",
    ] {
        assert!(text.contains(says), "{says:?} is not in {text}");
    }
    // Signals of a business lead to its page.
    assert!(text.contains(&format!("href=\"/subjects/{}\"", code(1))), "{text}");
    let (_, _, text) = get(&engine, "/rules/text_growth?lang=en", &[]);
    for says in [
        "Shadow (no alerts)",
        "A shadow rule raises no alerts",
        "One window after the other, 7 d each",
        "the same window 7 d earlier",
        "median of 4 earlier windows, 7 d apart, without the nearest 1",
        "n &gt;= 2 * before.n",
        "left(region, 4)",
        "nothing comes of nothing",
        "More than the week before.",
    ] {
        assert!(text.contains(says), "{says:?} is not in {text}");
    }
    let (_, _, text) = get(&engine, "/rules/bad_visit?lang=en", &[]);
    assert!(text.contains("Each record by itself") && text.contains("every record it reads"));
    assert!(text.contains("This rule has not raised an alert."), "{text}");
    let (status, _, text) = get(&engine, "/rules/none", &[]);
    assert_eq!(status, 404);
    assert!(text.contains("找不到") && text.contains("id=\"strip\""), "{text}");
}

#[test]
fn a_rule_without_enough_history_says_so() {
    let house = house();
    let live = COMPARES.replace("status: shadow\n", "").replace("n > usual.n", "n > usual.n + 99");
    fs::write(house.path("rules/market/text_growth.yaml"), live).unwrap();
    let engine = house.start(&[]);
    push(&engine, "orders", &surge(1..3, 2, 5));
    push(&engine, "orders", &surge(4..5, 1, 20));
    // Counts follow the answer to the push.
    wait("the rule is told to be unfit", || {
        let (_, _, text) = get(&engine, "/rules?lang=en&is=unfit", &[]);
        text.contains("History short") && text.contains("text_growth")
    });
    let (_, _, text) = get(&engine, "/rules/text_growth?lang=en", &[]);
    assert!(text.contains("lacked the history that this rule compares with"), "{text}");
}

#[test]
fn hostile_rules_are_text() {
    let house = house();
    let title = serde_json::to_string(HOSTILE).unwrap();
    let rule = BY_FIRM
        .replace(
            "title: {zh: 工单激增, en: Order surge}",
            &format!("title: {title}\nabout: {title}"),
        )
        .replace("feed: orders", "feed: orders\nowner: \"<script>alert(1)</script>\"");
    fs::write(house.path("rules/market/order_surge.yaml"), rule).unwrap();
    let engine = house.start(&[]);
    for path in ["/rules", "/rules/order_surge", "/feeds/orders", "/rules/%3Cscript%3E"] {
        let (_, _, text) = get(&engine, path, &[]);
        for bad in ["<script>window", "<script>alert", "<img"] {
            assert!(!text.contains(bad), "{path} has {bad}");
        }
    }
    assert!(get(&engine, "/rules/order_surge", &[]).2.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn an_alert_about_one_record_says_which_conditions_that_record_meets() {
    let (_house, engine) = three_rules();
    push(
        &engine,
        "visits",
        &[json!({"at": "2026-03-02T09:00:00Z", "no": "V7", "result": "不合格"})],
    );
    let (_, _, list) = get(&engine, "/api/v1/alerts?rule=bad_visit", &[]);
    let id = text_between(&list, "\"id\":\"", "\"");
    let (_, _, detail) = get(&engine, &format!("/api/v1/alerts/{id}"), &[]);
    let detail: serde_json::Value = serde_json::from_str(&detail).unwrap();
    let term = &detail["terms"][0];
    assert_eq!(detail["terms"].as_array().unwrap().len(), 1, "{detail}");
    assert_eq!((&term["left"], &term["operator"]), (&json!("result"), &json!("=")), "{term}");
    assert_eq!((&term["value"], &term["holds"]), (&json!("不合格"), &json!(true)), "{term}");
    let (_, _, page) = get(&engine, &format!("/alerts/{id}?lang=en"), &[]);
    assert!(
        text_between(&page, "<table class=\"terms\">", "</table>").contains("不合格"),
        "{page}"
    );
}
