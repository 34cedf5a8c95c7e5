//! Pages of dead letters: lists that are turned page by page, one letter with or without its bytes, how to send them again.

use std::fs;

use serde_json::json;

use super::{
    house,
    pages::{get, text_between},
    push,
};

#[test]
fn letters_are_listed_turned_and_narrowed() {
    let house = house();
    let engine = house.start(&[]);
    let (_, _, text) = get(&engine, "/dead-letters?lang=en", &[]);
    assert!(text.contains("There is no data yet"), "{text}");
    push(&engine, "visits", &[json!({"no": "0", "at": "2026-03-05"})]);
    let (_, _, text) = get(&engine, "/dead-letters?lang=en", &[]);
    assert!(text.contains("No record was refused"), "{text}");
    let bad: String = (0..120).map(|i| format!("no record {i}\n")).collect();
    let post = |feed: &str, query: &str, body: &str| {
        let path = format!("/api/v1/feeds/{feed}/events{query}");
        assert_eq!(engine.request("POST", &path, &[], body.as_bytes()).status, 200);
    };
    post("orders", "", &bad);
    post(
        "visits",
        "?partition=a%20b%27s.csv",
        "{\"no\":\"1\",\"at\":\"<script>alert(1)</script>\"}\n",
    );
    let rows = |text: &str| text.matches("<tr data-row").count();
    let (_, _, text) = get(&engine, "/dead-letters", &[]);
    assert_eq!(rows(&text), 100);
    assert!(text.contains("本页 100 条"), "{text}");
    // Only what was listed for the sender is kept, and the pages show all of that.
    let next = text_between(&text, "rel=\"next\" href=\"", "\"").replace("&amp;", "&");
    let (_, _, second) = get(&engine, &next, &[]);
    let total = engine.get("/api/v1/dead-letters?limit=1000").body;
    let total = total["dead_letters"].as_array().unwrap().len();
    assert_eq!(rows(&second), total - 100);
    assert!(!second.contains("rel=\"next\""), "{second}");
    for (query, expect) in [
        ("?feed=visits", 1),
        ("?class=bad_time", 1),
        ("?class=bad_time&feed=orders", 0),
        ("?partition=a%20b%27s.csv&class=bad_time,syntax", 1),
        ("?since=2100-01-01", 0),
    ] {
        let (status, _, text) = get(&engine, &format!("/dead-letters{query}"), &[]);
        assert_eq!((status, rows(&text)), (200, expect), "{query}");
        assert!(!text.contains("<script>alert"), "{query}");
    }
    // The command has the same filters, safe for a shell.
    let (_, _, text) = get(&engine, "/dead-letters?partition=a%20b%27s.csv&feed=visits", &[]);
    let command = "--feed visits --partition 'a b'\\''s.csv'";
    assert!(text.replace("&#39;", "'").contains(command), "{text}");
    for (query, status) in
        [("?feed=visit", 404), ("?class=odd", 400), ("?cursor=7", 400), ("?since=soon", 400)]
    {
        assert_eq!(get(&engine, &format!("/dead-letters{query}"), &[]).0, status, "{query}");
    }
}

#[test]
fn one_letter_shows_its_bytes_only_where_nothing_is_sealed() {
    let house = house();
    let engine = house.start(&[]);
    for feed in ["orders", "visits"] {
        let path = format!("/api/v1/feeds/{feed}/events");
        let body = b"<script>window.hacked=1</script> 13800138000\n";
        assert_eq!(engine.request("POST", &path, &[], body).status, 200);
    }
    for (feed, sealed) in [("orders", true), ("visits", false)] {
        let (_, _, list) = get(&engine, &format!("/dead-letters?feed={feed}"), &[]);
        assert_eq!(list.contains("已封存"), sealed, "{list}");
        let path = text_between(&list, "td class=\"title said\"><a href=\"", "\"");
        let (status, _, text) = get(&engine, &path, &[]);
        assert_eq!(status, 200);
        assert_eq!(text.contains("13800138000"), !sealed, "{text}");
        assert_eq!(text.contains("已加密封存"), sealed, "{text}");
        assert!(!text.contains("<script>window"), "{text}");
        assert!(text.contains("dead-letters replay --data data --id "), "{text}");
        assert!(text.contains(&format!("href=\"/feeds/{feed}\"")), "{text}");
    }
    let (status, _, text) = get(&engine, "/dead-letters/none", &[]);
    assert_eq!(status, 404);
    assert!(text.contains("找不到"), "{text}");
    // A letter that was sent again is closed.
    let dead = house.path("data/dead_letters/visits.ndjson");
    let line = fs::read_to_string(&dead).unwrap();
    let id = text_between(&line, "\"id\":\"", "\"");
    fs::write(&dead, format!("{line}{{\"id\":\"{id}\",\"replayed_ms\":9999999999999}}\n")).unwrap();
    let (_, _, text) = get(&engine, "/dead-letters?feed=visits", &[]);
    assert!(!text.contains(&id), "{text}");
    let (_, _, text) = get(&engine, "/dead-letters?feed=visits&replayed=true", &[]);
    assert!(text.contains(&id) && text.contains("已重新发送"), "{text}");
}
