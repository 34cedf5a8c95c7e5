//! Pages over HTTP: what they say in which language, what guards them, problems as pages, hostile text.

use serde_json::json;

use super::{HOSTILE, code, house, push, surge};
use crate::http::Running;

const HTML: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8";

/// Status, head and text of a page.
pub(super) fn get(engine: &Running, path: &str, headers: &[&str]) -> (u16, String, String) {
    let mut all = vec![HTML];
    all.extend(headers);
    let (status, head, text) = engine.text(path, &all);
    (status, head, text)
}

#[test]
fn pages_speak_the_language_that_is_asked_for() {
    let house = house();
    let engine = house.start(&[]);
    for (path, headers, expect) in [
        ("/", &[][..], "没有数据不等于没有风险"),
        (
            "/",
            &["Accept-Language: en-US,en;q=0.9,zh;q=0.8"][..],
            "No data is not the same as no risk",
        ),
        (
            "/",
            &["Accept-Language: en", "Cookie: theme=dark; lang=zh"][..],
            "没有数据不等于没有风险",
        ),
        ("/?lang=en", &["Cookie: lang=zh"][..], "No data is not the same as no risk"),
        ("/alerts?lang=xx", &[][..], "没有数据不等于没有风险"),
    ] {
        let (status, _, text) = get(&engine, path, headers);
        assert_eq!(status, 200, "{path} {text}");
        assert!(text.contains(expect), "{path} {headers:?}: {text}");
    }
    let (_, head, text) = get(&engine, "/?lang=en&theme=dark", &[]);
    assert!(text.contains("<html lang=\"en\" data-theme=\"dark\">"), "{text}");
    assert!(head.contains("set-cookie: lang=en;") && head.contains("set-cookie: theme=dark;"));
    assert!(head.contains("samesite=strict"), "{head}");
}

#[test]
fn pages_are_guarded_and_assets_are_kept() {
    let house = house();
    let engine = house.start(&[]);
    let (_, head, text) = get(&engine, "/", &[]);
    assert!(head.contains("content-security-policy: default-src 'self'"), "{head}");
    assert!(
        !text.contains("style=") && !text.contains("<style") && !text.contains(" on"),
        "{text}"
    );
    let assets: Vec<&str> =
        text.split(['"', '\'']).filter(|part| part.starts_with("/assets/")).collect();
    assert_eq!(assets.len(), 3, "{text}");
    for asset in assets {
        let (status, head, _) = get(&engine, asset, &[]);
        assert_eq!(status, 200, "{asset}");
        assert!(head.contains("immutable") && head.contains("max-age=31536000"), "{head}");
        let other = asset.replacen(|c: char| c.is_ascii_hexdigit(), "0", 40);
        assert_eq!(get(&engine, &other, &[]).0, 404, "{other}");
    }
    // Nothing is named that is not here.
    for part in text.split("http").skip(1) {
        assert!(part.starts_with("://127.0.0.1") || part.starts_with("://x/"), "{part}");
    }
}

#[test]
fn problems_are_pages_for_people_and_documents_for_programs() {
    let house = house();
    let engine = house.start(&[]);
    for (path, status, says) in [
        ("/nothing", 404, "找不到"),
        ("/alerts?state=burning", 400, "pending, firing"),
        ("/alerts?stat=firing", 400, "did you mean"),
        ("/alerts?cursor=1~2~3", 400, "cursor"),
        ("/alerts?q=%3Cscript%3E&limit=%3Cscript%3Ealert(1)%3C/script%3E", 400, "&lt;script&gt;"),
        ("/%3Cscript%3Ealert(1)%3C/script%3E", 404, "找不到"),
    ] {
        let (got, head, text) = get(&engine, path, &[]);
        assert_eq!(got, status, "{path}");
        assert!(head.contains("text/html") && head.contains("content-security-policy"), "{head}");
        assert!(text.contains(says) && text.contains("id=\"strip\""), "{path}: {text}");
        assert!(!text.contains("<script>"), "{path}: {text}");
        let (got, head, _) = engine.text(path, &["Accept: */*"]);
        assert_eq!(got, status);
        assert!(head.contains("application/problem+json"), "{path}: {head}");
    }
    // Programs' paths stay programs', whoever asks.
    let (_, head, _) = get(&engine, "/api/v1/alerts?limit=x", &[]);
    assert!(head.contains("application/problem+json"), "{head}");
}

#[test]
fn the_list_is_filtered_counted_and_turned_page_by_page() {
    let house = house();
    let engine = house.start(&[]);
    push(&engine, "orders", &surge(1..131, 3, 5));
    push(&engine, "orders", &surge(131..141, 5, 6));
    let rows = |text: &str| text.matches("<tr id=\"alert-").count();
    for (query, expect, total) in [
        ("", 100, "共 140 条"),
        ("?severity=high", 10, "共 10 条"),
        ("?severity=high,medium&state=firing", 100, "共 140 条"),
        ("?severity=high&severity=medium", 100, "共 140 条"),
        ("?state=resolved", 0, "没有符合筛选条件的预警"),
        ("?state=all&region=4301", 70, "共 70 条"),
        ("?q=&rule=&region=", 100, "共 140 条"),
        ("?q=135%E5%8F%B7", 1, "共 1 条"),
    ] {
        let (status, _, text) = get(&engine, &format!("/alerts{query}"), &[]);
        assert_eq!((status, rows(&text)), (200, expect), "{query}");
        assert!(text.contains(total), "{query}: {text}");
    }
    // Facets count under the other filters: of the ten high ones, five are in each city.
    let (_, _, text) = get(&engine, "/alerts?severity=high", &[]);
    let city = text.split("region=4301\"").nth(1).unwrap();
    assert!(city.split("</a>").next().unwrap().contains(">5<"), "{city}");
    let next = text_between(&get(&engine, "/alerts", &[]).2, "rel=\"next\" href=\"", "\"");
    let (_, _, second) = get(&engine, &next.replace("&amp;", "&"), &[]);
    assert_eq!(rows(&second), 40);

    // Rows as fragments: one that passes the filter, one that does not, one that is none.
    let id = text_between(&text, "data-alert=\"", "\"");
    for (query, inside) in [("severity=high", true), ("severity=low", false)] {
        let (status, _, row) =
            get(&engine, &format!("/fragments/alerts/rows?{query}&id={id},none"), &[]);
        assert_eq!((status, rows(&row)), (200, 1), "{row}");
        assert_eq!(row.contains("data-in"), inside, "{row}");
        assert!(row.starts_with("<tr"), "{row}");
    }
    assert_eq!(get(&engine, "/fragments/alerts/rows", &[]).2, "");
}

#[test]
fn hostile_text_is_text() {
    let house = house();
    let engine = house.start(&[]);
    let mut records = surge(1..2, 5, 5);
    for (i, record) in records.iter_mut().enumerate() {
        let long = "长".repeat(5_000);
        record["firm"] = json!(HOSTILE);
        record["text"] = json!(if i == 0 { long } else { HOSTILE.to_owned() });
        record["no"] = json!(format!("{HOSTILE}{i}"));
    }
    push(&engine, "orders", &records);
    for path in ["/".to_owned(), format!("/alerts?q={}", code(1)), "/?q=%3Cscript%3E".to_owned()] {
        let (status, _, text) = get(&engine, &path, &[]);
        assert_eq!(status, 200);
        for bad in ["<script>window", "<img", "onerror=window.hacked=1>"] {
            assert!(!text.contains(bad), "{path} has {bad}");
        }
    }
    let (_, _, text) = get(&engine, "/", &[]);
    assert!(text.contains("&lt;script&gt;window.hacked=1"), "{text}");
}

pub(super) fn text_between(text: &str, before: &str, after: &str) -> String {
    let rest = text.split(before).nth(1).unwrap_or_else(|| panic!("{before:?} is not in {text}"));
    rest.split(after).next().unwrap().to_owned()
}
