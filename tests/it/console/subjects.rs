//! Pages of businesses: the search, the card, alerts and records of all feeds about one.

use serde_json::json;

use super::{
    HOSTILE, code, house,
    pages::{get, text_between},
    push, surge,
};

#[test]
fn a_business_is_found_by_code_and_by_name() {
    let house = house();
    let engine = house.start(&[]);
    let (_, _, text) = get(&engine, "/subjects", &[]);
    assert!(text.contains("没有数据不等于没有风险"), "{text}");
    // One without an alert.
    push(&engine, "orders", &surge(7..8, 1, 5));
    let (_, _, text) = get(&engine, "/subjects", &[]);
    assert!(text.contains("还没有主体触发过预警"), "{text}");
    push(&engine, "orders", &surge(1..3, 5, 5));
    let rows = |query: &str| {
        let (status, _, text) = get(&engine, &format!("/subjects{query}"), &[]);
        assert_eq!(status, 200, "{query}: {text}");
        let rows = text.split("<tr data-row").skip(1);
        rows.map(|row| text_between(row, "href=\"/subjects/", "\"")).collect::<Vec<_>>()
    };
    assert_eq!(rows("").len(), 2);
    assert_eq!(rows("?q=%E6%A0%B7%E4%BE%8B7%E5%8F%B7"), [code(7)]);
    assert_eq!(rows("?q=%E6%A0%B7%E4%BE%8B").len(), 3);
    assert_eq!(rows("?q=%E6%97%A0%E6%AD%A4").len(), 0);
    // A code goes to its page, however it is written.
    let written = code(1).to_lowercase();
    let (status, head, _) = get(&engine, &format!("/subjects?q=%20{written}"), &[]);
    assert_eq!(status, 303);
    assert!(head.contains(&format!("location: /subjects/{}", code(1)).to_lowercase()), "{head}");
    let api = engine.get("/api/v1/subjects?limit=1").body;
    assert_eq!(api["subjects"].as_array().unwrap().len(), 1, "{api}");
    assert_eq!(
        (&api["subjects"][0]["open"], &api["subjects"][0]["severity"]),
        (&json!(1), &json!("high"))
    );
}

#[test]
fn a_business_shows_its_card_alerts_and_records_of_all_feeds() {
    let house = house();
    let engine = house.start(&[]);
    let mut records = surge(1..2, 5, 5);
    records[0]["firm"] = json!("样例旧名有限公司");
    push(&engine, "orders", &records);
    let visit = json!({"no": "V1", "at": "2026-02-01T09:00:00+08:00", "ucc": code(1), "firm": HOSTILE, "result": HOSTILE});
    push(&engine, "visits", &[visit]);
    let path = format!("/subjects/{}", code(1));
    let (status, _, text) = get(&engine, &format!("{path}?lang=en"), &[]);
    assert_eq!(status, 200);
    for says in [
        "check passes",
        "样例旧名有限公司",
        "样例1号有限公司",
        "class=\"timeline life\"",
        "Open alerts",
        "href=\"/feeds/visits\"",
        "href=\"/alerts/",
        "V1",
        "&lt;script&gt;window.hacked",
        "长沙",
    ] {
        assert!(text.contains(says), "{says:?} is not in {text}");
    }
    assert!(!text.contains("<script>window") && !text.contains("<img"), "{text}");
    let (_, _, one) = get(&engine, &format!("{path}?feed=visits"), &[]);
    let table = one.split("<table class=\"records\"").nth(1).unwrap();
    assert!(table.contains("V1") && !table.contains("T1-5-1"), "{table}");
    // The alert leads back here, and to the rule and the feed.
    let alert = text_between(&text, "href=\"/alerts/", "\"");
    let (status, _, alert) = get(&engine, &format!("/alerts/{alert}"), &[]);
    assert_eq!(status, 200);
    for link in [path.as_str(), "/rules/order_surge", "/feeds/orders"] {
        assert!(alert.contains(&format!("href=\"{link}\"")), "{link}");
    }
}

#[test]
fn codes_that_are_none_are_told_what_is_wrong() {
    let house = house();
    let engine = house.start(&[]);
    let wrong = format!("{}{}", &code(1)[..17], if code(1).ends_with('0') { '1' } else { '0' });
    for (path, says) in [
        (format!("/subjects/{}", code(1)), "no record and no alert names it"),
        (format!("/subjects/{wrong}"), "where its other characters demand"),
        ("/subjects/%3Cscript%3Ealert(1)".to_owned(), "instead of 18"),
    ] {
        let (status, _, text) = get(&engine, &path, &[]);
        assert_eq!(status, 404, "{path}");
        assert!(text.contains(says), "{path}: {text}");
        assert!(!text.contains("<script>alert"), "{text}");
    }
}
