//! Pages of rules, businesses, feeds and dead letters in a browser: legible everywhere, one click from each other, by keys.

use serde_json::{Value, json};

use super::{
    browser::Browser,
    code, house,
    live::{FAULTS, open},
    push, surge,
};
use crate::http::{House, Running};

/// An engine with alerts, records of two feeds, and refused ones.
fn loaded() -> (House, Running) {
    let house = house();
    let engine = house.start(&[]);
    push(&engine, "orders", &surge(1..12, 3, 5));
    push(&engine, "orders", &surge(20..22, 6, 6));
    let visit = |firm: u32| json!({"no": format!("V{firm}"), "at": "2026-02-01T09:00:00+08:00", "ucc": code(firm), "result": "不合格"});
    push(&engine, "visits", &[visit(20), visit(21), json!({"no": "V2", "at": "soon"})]);
    (house, engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn sheets_are_legible_light_and_dark_wide_and_narrow() {
    let Some(browser) = Browser::open("zh-CN", true).await else { return };
    let (_house, engine) = loaded();
    let letters = engine.get("/api/v1/dead-letters").body;
    let letter = format!("/dead-letters/{}", letters["dead_letters"][0]["id"].as_str().unwrap());
    let subject = format!("/subjects/{}", code(20));
    let mut faults: Vec<Value> = Vec::new();
    for (width, language) in [(1440, "zh"), (1100, "en"), (390, "zh")] {
        browser.page.set_window_size(width, 900).await.unwrap();
        for theme in ["light", "dark"] {
            for path in [
                "/rules",
                "/rules?q=nothing",
                "/rules/order_surge",
                "/feeds",
                "/feeds/orders",
                "/feeds/complaints",
                "/dead-letters",
                &letter,
                "/subjects",
                &subject,
            ] {
                let mark = if path.contains('?') { '&' } else { '?' };
                let at = format!("{path}{mark}theme={theme}&lang={language}");
                open(&browser, &engine, &at).await;
                let found = browser.eval(FAULTS.trim()).await;
                let found = found.as_array().unwrap().clone();
                faults.extend(found.iter().map(|f| json!(format!("{width} {theme} {path}: {f}"))));
            }
        }
    }
    assert_eq!(faults, Vec::<Value>::new());
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_one_click_away_without_a_script() {
    let Some(browser) = Browser::open("zh-CN", false).await else { return };
    let (_house, engine) = loaded();
    open(&browser, &engine, "/rules?is=firing").await;
    assert_eq!(browser.count("tbody tr").await, 1);
    browser.follow("td.title a").await;
    assert_eq!(browser.text("h1").await, "工单激增");
    browser.follow(".facts a[href='/feeds/orders']").await;
    assert_eq!(browser.text("h1").await, "工单");
    browser.follow("a[href='/rules/order_surge']").await;
    browser.follow("td.title a").await;
    browser.follow(".facts a[href^='/subjects/']").await;
    assert!(browser.text("h1").await.starts_with("样例2"));
    browser.follow(".records a[href='/feeds/visits']").await;
    browser.follow(".classes a").await;
    assert_eq!(browser.count("tbody tr").await, 1);
    browser.follow("td.title a").await;
    assert!(browser.text("pre.yaml").await.contains("soon"));
    browser.follow("nav a[href='/subjects']").await;
    browser.click("#q").await;
    browser.press(&code(21).to_lowercase()).await;
    browser.follow(".search button").await;
    assert_eq!(browser.text("h1").await, "样例21号有限公司");
    browser.follow("a.language").await;
    assert!(browser.text(".card").await.contains("check passes"));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_walked_by_keys() {
    let Some(browser) = Browser::open("zh-CN", true).await else { return };
    let (_house, engine) = loaded();
    open(&browser, &engine, "/rules").await;
    browser.press("j").await;
    browser.press("j").await;
    browser.press("k").await;
    assert_eq!(
        browser.eval("document.activeElement.getAttribute('href')").await,
        "/rules/many_complaints"
    );
    browser.press("o").await;
    browser.wait("the rule is open", "location.pathname === '/rules/many_complaints'").await;
    browser.press("u").await;
    browser.wait("the list is back", "location.pathname === '/rules'").await;
    browser.press("/").await;
    browser.press("surge\u{e007}").await;
    browser.wait("the list is narrowed", "location.search === '?q=surge'").await;
    browser.close().await;
}
