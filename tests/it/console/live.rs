//! The console in a browser: the list that lives, keys, languages, the page of an alert, what is read without a script.

use std::{net::TcpListener, time::SystemTime};

use serde_json::{Value, json};

use super::{HOSTILE, browser::Browser, code, house, push, surge};
use crate::http::Running;

/// Alerts that come one by one while it is measured how long they take to be seen.
const TIMED: u32 = 20;

fn url(engine: &Running, path: &str) -> String {
    format!("http://{}{path}", engine.address)
}

pub(super) async fn open(browser: &Browser, engine: &Running, path: &str) {
    browser.page.goto(&url(engine, path)).await.unwrap();
}

/// The present, milliseconds since 1970, as the browser on this machine has it.
#[expect(clippy::disallowed_methods, reason = "two processes' clocks are compared")]
pub(super) fn now_ms() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64() * 1_000.0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_lives_and_nothing_moves_under_the_cursor() {
    let Some(browser) = Browser::open("zh-CN", true).await else { return };
    let house = house();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = ["--listen".to_owned(), format!("127.0.0.1:{port}")];
    let listen: Vec<&str> = listen.iter().map(String::as_str).collect();
    let engine = house.start(&listen);

    // Nothing yet: that is said, and the first alert needs no key.
    open(&browser, &engine, "/").await;
    assert!(browser.text(".empty h2").await.contains("还没有任何数据"));
    push(&engine, "orders", &surge(1..31, 3, 5));
    browser
        .wait("rows come by themselves", "document.querySelectorAll('tbody tr').length === 30")
        .await;

    // Keys walk the rows; a letter in the search field is a letter.
    browser.press("jjk").await;
    let second = "document.querySelectorAll('tbody tr')[0].contains(document.activeElement)";
    assert_eq!(browser.eval(second).await, json!(true));
    browser.press("/").await;
    browser.press("jo").await;
    assert_eq!(browser.eval("document.getElementById('q').value").await, "jo");
    browser.eval("document.getElementById('q').value = ''").await;
    browser.escape().await;
    browser.press("?").await;
    assert_eq!(browser.eval("document.getElementById('keys').open").await, json!(true));
    browser.escape().await;

    // What changes, changes in its place; what is new is told and waits.
    browser.press("j").await;
    let row = browser.eval("document.activeElement.closest('tr').id").await;
    let row = row.as_str().unwrap().to_owned();
    let place = format!("document.getElementById('{row}').getBoundingClientRect().top");
    let before = browser.eval(&place).await;
    let firm = browser.eval(&format!("document.querySelector('#{row} td.subject').title")).await;
    let firm = (1..31).find(|n| code(*n) == firm.as_str().unwrap()).unwrap();
    push(&engine, "orders", &surge(firm..firm + 1, 6, 5));
    let high = format!("document.getElementById('{row}').classList.contains('high')");
    browser.wait("the row has its new severity", &high).await;
    push(&engine, "orders", &surge(31..34, 3, 6));
    browser
        .wait("three are told", "document.getElementById('news').textContent.startsWith('3 ')")
        .await;
    assert_eq!(browser.text("#news button").await, "3 条新预警，按 n 显示");
    assert_eq!(browser.eval(&place).await, before, "the row moved");
    let focus = format!("document.getElementById('{row}').contains(document.activeElement)");
    assert_eq!(browser.eval(&focus).await, json!(true), "the keyboard is lost");
    browser.press("n").await;
    browser.wait("they are shown", "document.querySelectorAll('tr.fresh').length === 3").await;
    assert_eq!(browser.count("#news button").await, 0);
    assert_eq!(browser.count("tbody tr").await, 33);

    timed(&browser, &engine).await;

    // The server goes away: that is said after fifteen seconds. It comes back: what was missed is told.
    assert_eq!(browser.complaints(), Vec::<String>::new());
    engine.kill();
    browser.wait("the list is called old", "!document.getElementById('stale').hidden").await;
    let engine = house.start(&listen);
    push(&engine, "orders", &surge(101..102, 3, 7));
    browser.wait("the line is there again", "document.getElementById('stale').hidden").await;
    browser.wait("what came is told", "document.querySelector('#news button') !== null").await;
    browser.press("n").await;
    browser.wait("it is shown", "document.querySelectorAll('tbody tr').length === 54").await;
    // A server that is not there is what the browser complains of, and of nothing else.
    let other = |c: &String| !c.contains("ERR_CONNECTION_REFUSED") && !c.contains("ERR_INCOMPLETE");
    assert_eq!(
        browser.complaints().into_iter().filter(other).collect::<Vec<_>>(),
        Vec::<String>::new()
    );

    // o opens, u goes back.
    browser.press("j").await;
    browser.press("o").await;
    browser.wait("the alert is open", "document.querySelector('[data-page]') !== null").await;
    browser.press("u").await;
    browser.wait("the list is there again", "document.getElementById('list') !== null").await;
    browser.close().await;
}

/// From a push to what its reader sees, one alert after another.
async fn timed(browser: &Browser, engine: &Running) {
    browser
        .eval(
            "(window.seen = [], new MutationObserver(() => window.seen.push([document.getElementById('news').textContent, Date.now()]))\
             .observe(document.getElementById('news'), {childList: true, subtree: true}))",
        )
        .await;
    let mut took = Vec::new();
    for n in 1..=TIMED {
        let start = now_ms();
        push(engine, "orders", &surge(40 + n..41 + n, 3, 6));
        let told = format!("window.seen.some(([text]) => text.startsWith('{n} '))");
        browser.wait("it is told", &told).await;
        let at = browser
            .eval(&format!("window.seen.find(([text]) => text.startsWith('{n} '))[1]"))
            .await;
        took.push(at.as_f64().unwrap() - start);
    }
    took.sort_by(f64::total_cmp);
    println!(
        "push sent → told in the page, {TIMED} alerts: p50 {:.0} ms, p99 {:.0} ms",
        took[took.len() / 2],
        took[took.len() - 1]
    );
    browser.press("n").await;
    browser.wait("all are shown", "document.querySelectorAll('tr.fresh').length === 20").await;
    assert!(took[took.len() / 2] < 2_000.0, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_explains_itself_in_both_languages() {
    let Some(browser) = Browser::open("en", true).await else { return };
    let house = house();
    let engine = house.start(&[]);
    let mut records = surge(1..2, 6, 5);
    records[0]["text"] = json!(HOSTILE);
    records[0]["no"] = json!(HOSTILE);
    records[1]["text"] = json!("长".repeat(4_000));
    records.iter_mut().for_each(|r| r["firm"] = json!(HOSTILE));
    push(&engine, "orders", &records);
    let visit = json!({"no": "V1", "at": "2026-03-04T09:00:00+08:00", "ucc": code(1), "firm": "x", "result": "整改"});
    push(&engine, "visits", &[visit]);
    open(&browser, &engine, "/alerts").await;
    browser.follow("td.title a").await;
    assert_eq!(browser.text("h1").await, "Order surge");
    let terms = browser.text("table.terms").await;
    assert!(terms.contains("n >= 3") && terms.contains("people >= 2"), "{terms}");
    assert_eq!(browser.count("table.terms tbody tr").await, 2);
    assert!(
        browser.count(".chart svg .fires").await > 0
            && browser.count(".chart svg .limit").await > 0
    );
    // The fifth order made it severe; the sixth came after that was told.
    assert_eq!(browser.count(".timeline circle.evidence").await, 5);
    assert_eq!(browser.count(".timeline circle:not(.evidence)").await, 2, "the visit, an order");
    assert_eq!(browser.count("table.records tbody tr").await, 5);
    assert!(browser.text(".yaml").await.contains("rule: order_surge"));
    assert_eq!(
        browser.eval("document.querySelector('.facts a').getAttribute('href')").await,
        format!("/subjects/{}", code(1))
    );

    browser.follow("a.language").await;
    assert_eq!(browser.text("h1").await, "工单激增");
    assert_eq!(browser.eval("location.search").await, "", "the choice is remembered, not carried");
    open(&browser, &engine, "/alerts").await;
    assert_eq!(browser.eval("document.documentElement.lang").await, "zh-CN");
    assert_eq!(
        browser.eval("window.hacked === undefined && document.images.length === 0").await,
        json!(true)
    );

    // A later revision is told on the page of the alert.
    browser.follow("td.title a").await;
    // More of the same is told when the window has ended, which an order of the next day says.
    push(&engine, "orders", &surge(1..2, 9, 5)[6..]);
    push(&engine, "orders", &surge(2..3, 1, 6));
    browser.wait("the revision is told", "!document.getElementById('revised').hidden").await;
    for path in ["/nothing", "/alerts?state=burning"] {
        open(&browser, &engine, path).await;
        assert_eq!(browser.count("#strip").await, 1, "{path}");
    }
    let other = |c: &String| !c.contains("404 (Not Found)") && !c.contains("400 (Bad Request)");
    assert_eq!(
        browser.complaints().into_iter().filter(other).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    browser.close().await;
}

/// What one can see of a page by looking at its parts: contrast of texts, one heading of the first order, names of fields
/// and pictures, ids that stand once, nothing wider than the screen.
pub(super) const FAULTS: &str = r"
(() => {
  const faults = [];
  const parse = (c) => { const n = c.match(/[\d.]+/g).map(Number); return n.length < 4 ? n.concat(1) : n; };
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      if (c[3] === 1) return c;
    }
    return [255, 255, 255, 1];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    const box = e.getBoundingClientRect();
    const svg = e.closest('svg');
    if (!walker.currentNode.textContent.trim() || box.width < 2 || box.height < 2 || (svg && !e.matches('text'))) continue;
    const style = getComputedStyle(e);
    if (style.visibility === 'hidden') continue;
    let opacity = 1;
    for (let at = e; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    const under = ground(e);
    const over = parse(svg ? style.fill : style.color).map((v, i) => v * opacity + under[i] * (1 - opacity));
    const [a, b] = [light(over), light(under)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faults.push(`contrast ${ratio.toFixed(2)}: ${walker.currentNode.textContent.trim().slice(0, 40)}`);
  }
  if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
  for (const e of document.querySelectorAll('input:not([type=hidden])')) if (!e.labels.length) faults.push(`no label: ${e.id}`);
  for (const e of document.querySelectorAll('[role=img]')) if (!e.getAttribute('aria-labelledby') && !e.getAttribute('aria-label')) faults.push('a picture without name');
  for (const e of document.querySelectorAll('[aria-labelledby]'))
    for (const id of e.getAttribute('aria-labelledby').split(' ')) if (!document.getElementById(id)) faults.push(`no element ${id}`);
  const ids = Array.from(document.querySelectorAll('[id]'), (e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((i) => i === id).length > 1) faults.push(`id twice: ${id}`);
  if (document.documentElement.scrollWidth > window.innerWidth) faults.push(`wider than the screen: ${document.documentElement.scrollWidth}`);
  return faults;
})()";

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_legible_light_and_dark_wide_and_narrow() {
    let Some(browser) = Browser::open("zh-CN", true).await else { return };
    let house = house();
    let engine = house.start(&[]);
    push(&engine, "orders", &surge(1..12, 3, 5));
    push(&engine, "orders", &surge(20..22, 6, 6));
    let listed = engine.get("/api/v1/alerts?severity=high").body;
    let id = listed["alerts"][0]["id"].as_str().unwrap();
    let mut faults: Vec<Value> = Vec::new();
    for width in [1440, 390] {
        browser.page.set_window_size(width, 900).await.unwrap();
        for theme in ["light", "dark"] {
            for path in ["/alerts", "/alerts?severity=low", "/nothing", &format!("/alerts/{id}")] {
                let mark = if path.contains('?') { '&' } else { '?' };
                open(&browser, &engine, &format!("{path}{mark}theme={theme}")).await;
                let found = browser.eval(FAULTS).await;
                let found = found.as_array().unwrap().clone();
                faults.extend(found.iter().map(|f| json!(format!("{width} {theme} {path}: {f}"))));
            }
        }
    }
    assert_eq!(faults, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_read_without_a_script() {
    let Some(browser) = Browser::open("zh-CN", false).await else { return };
    let house = house();
    let engine = house.start(&[]);
    push(&engine, "orders", &surge(1..12, 3, 5));
    push(&engine, "orders", &surge(20..22, 6, 6));
    open(&browser, &engine, "/").await;
    assert_eq!(browser.count("tbody tr").await, 13);
    browser.follow("a[href='/alerts?severity=high']").await;
    assert_eq!(browser.count("tbody tr").await, 2);
    browser.click("#q").await;
    browser.press("样例20号").await;
    browser.follow(".search button").await;
    assert_eq!(browser.count("tbody tr").await, 1, "the other filter is kept");
    browser.follow("td.title a").await;
    assert!(browser.text(".terms").await.contains("n >= 3"));
    browser.follow("a.language").await;
    assert_eq!(browser.text("h1").await, "Order surge");
    browser.close().await;
}
