//! Pages of feeds: how they are doing, how late their records come, who reads them.

use serde_json::json;

use super::{HOSTILE, house, pages::get, push, surge};

#[test]
fn feeds_that_never_had_data_are_told_from_those_that_have() {
    let house = house();
    let engine = house.start(&[]);
    let (_, _, text) = get(&engine, "/feeds", &[]);
    assert_eq!(text.matches("<tr data-row").count(), 3);
    assert_eq!(text.matches("从未有数据").count(), 3, "{text}");
    push(&engine, "orders", &surge(1..3, 2, 5));
    let (status, _, text) = get(&engine, "/feeds?lang=en", &[]);
    assert_eq!(status, 200);
    assert_eq!(text.matches("No data ever").count(), 2, "{text}");
    for says in ["Running", "2026-03-05 10:01", "class=\"delay\"", "href=\"/feeds/orders\""] {
        assert!(text.contains(says), "{says:?} is not in {text}");
    }
    let (_, _, text) = get(&engine, "/feeds/visits?lang=en", &[]);
    assert!(
        text.contains("curl --data-binary @records.ndjson http://x/api/v1/feeds/visits/events")
    );
    assert!(text.contains("No rule reads it."), "{text}");
}

#[test]
fn a_feed_shows_what_became_of_its_records() {
    let house = house();
    let engine = house.start(&[]);
    let mut records = surge(1..3, 3, 5);
    records.push(records[0].clone());
    let mut corrected = records[1].clone();
    (corrected["version"], corrected["op"]) = (json!(2), json!("correct"));
    records.extend([corrected, json!({"no": "X", "at": "no time"}), json!({"no": "Y"})]);
    let mut partition = surge(4..5, 1, 6);
    partition[0]["text"] = json!(HOSTILE);
    push(&engine, "orders", &records);
    let body = format!("{}\n", partition[0]);
    let path = "/api/v1/feeds/orders/events?partition=%3Cscript%3Ewindow.x%3C%2Fscript%3E";
    assert_eq!(engine.request("POST", path, &[], body.as_bytes()).status, 200);
    let (status, _, text) = get(&engine, "/feeds/orders?lang=en", &[]);
    assert_eq!(status, 200);
    for says in [
        // Seven records once, one of them corrected, one twice, two refused.
        "New records</dt><dd>7",
        "Corrections</dt><dd>1",
        "Duplicates</dt><dd>1",
        "Not decoded</dt><dd>2",
        "href=\"/dead-letters?feed=orders&amp;class=missing\"",
        "<code>at</code> → <code>arrival</code>",
        "&lt;script&gt;window.x",
        "href=\"/rules/order_surge\"",
        "Allowed lateness</dt><dd>30 d",
        "Latest records",
        "href=\"/subjects/",
    ] {
        assert!(text.contains(says), "{says:?} is not in {text}");
    }
    assert!(!text.contains("<script>window"), "{text}");
    // Personal values stay pseudonyms.
    assert!(!text.contains("person 0"), "{text}");
    let (status, _, text) = get(&engine, "/feeds/order", &[]);
    assert_eq!(status, 404);
    assert!(text.contains("orders"), "what was meant is not in {text}");
    assert_eq!(get(&engine, "/feeds/orders?x=1", &[]).0, 400);
}
