//! How long it takes from a push to what its reader sees, while records pour in: measured, not judged.
//!
//! `cargo test --release --locked --test it console::latency -- --ignored --nocapture` prints it. Changed: a row that stands in
//! the list is redrawn with its new severity. Told: a new alert is counted above the list, where `n` shows it, so that nothing
//! moves under the cursor. Both from before the push is sent to after the browser has painted. `benches/sse.rs` measures the
//! way to the stream alone.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{browser::Browser, code, house, live, push, surge};
use crate::http::Running;

/// Records a second beside what is measured.
const RATES: [u64; 2] = [1_000, 10_000];
/// Pushes a second that bring them.
const PUSHES: u64 = 20;
/// Alerts measured, of each kind.
const MEASURED: u32 = 100;
/// Time between two of them.
const PAUSE: Duration = Duration::from_millis(150);

/// Notes when something that was not there before is painted: rows of high severity, and how many alerts are told.
const WATCH: &str = r"
(window.painted = {}, new MutationObserver(() => requestAnimationFrame(() => setTimeout(() => {
  const now = Date.now();
  const there = Array.from(document.querySelectorAll('tr.high td.subject'), (cell) => cell.title);
  there.push('told ' + parseInt(document.getElementById('news').textContent, 10));
  for (const what of there) if (!(what in window.painted)) window.painted[what] = now;
}))).observe(document.body, {childList: true, subtree: true}), true)";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures for minutes; see the head of the file for how to run it"]
#[expect(clippy::disallowed_methods, reason = "what takes how long is measured")]
async fn from_a_push_to_what_is_seen() {
    for rate in RATES {
        let Some(browser) = Browser::open("zh-CN", true).await else { return };
        let house = house();
        let engine = Arc::new(house.start(&[]));
        // A page of the list holds so many; they are there before anything is measured.
        push(&engine, "orders", &surge(1..MEASURED + 1, 3, 5));
        live::open(&browser, &engine, "/").await;
        assert_eq!(browser.count("tbody tr").await, MEASURED as usize);
        browser.eval(WATCH).await;
        let (stop, pushed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let load = pour(rate, &engine, &stop, &pushed);
        thread::sleep(Duration::from_secs(2));
        let (start, before) = (Instant::now(), pushed.load(Ordering::Relaxed));

        let (mut changed, mut told) = (Vec::new(), Vec::new());
        for n in 1..=MEASURED {
            for (firms, orders, what, took) in [
                (n..n + 1, 5, code(n), &mut changed),
                (1_000 + n..1_001 + n, 3, format!("told {n}"), &mut told),
            ] {
                took.push(seen(&browser, &engine, firms, orders, &what).await);
                thread::sleep(PAUSE);
            }
        }
        let kept = (pushed.load(Ordering::Relaxed) - before) as f64 / start.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap();
        println!(
            "{rate:>6} records/s asked for, {kept:>6.0} taken: changed row {}, new alert told {}",
            quantiles(changed),
            quantiles(told)
        );
    }
}

/// Pushes orders of one day and one business, and waits until `what` is painted; how long that took, ms.
async fn seen(
    browser: &Browser,
    engine: &Running,
    firms: Range<u32>,
    orders: u32,
    what: &str,
) -> f64 {
    let records = surge(firms, orders, 5);
    let start = live::now_ms();
    push(engine, "orders", &records);
    let painted = format!("window.painted[{}]", json!(what));
    browser.wait(what, &format!("{painted} !== undefined")).await;
    browser.eval(&painted).await.as_f64().unwrap() - start
}

/// Pushes records of businesses that raise nothing at a steady rate, on a thread of its own, until it is stopped.
#[expect(clippy::disallowed_methods, reason = "what takes how long is measured")]
fn pour(
    rate: u64,
    engine: &Arc<Running>,
    stop: &Arc<AtomicBool>,
    pushed: &Arc<AtomicU64>,
) -> thread::JoinHandle<()> {
    let (engine, stop, pushed) = (Arc::clone(engine), Arc::clone(stop), Arc::clone(pushed));
    thread::spawn(move || {
        let start = Instant::now();
        for turn in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let each = rate / PUSHES;
            let record = |i: u64| {
                let n = turn * each + i;
                json!({
                    "no": format!("L{n}"), "at": "2026-03-05T09:00:00+08:00", "ucc": code(1_000_000 + n as u32),
                    "region": "430102", "who": format!("person {n}"), "text": "不履行合同约定"
                })
            };
            push(&engine, "orders", &(0..each).map(record).collect::<Vec<Value>>());
            pushed.fetch_add(each, Ordering::Relaxed);
            let due = Duration::from_secs(turn + 1) / PUSHES as u32;
            thread::sleep(due.saturating_sub(start.elapsed()));
        }
    })
}

fn quantiles(mut took: Vec<f64>) -> String {
    took.sort_by(f64::total_cmp);
    let at = |p: f64| took[((took.len() as f64 * p).ceil() as usize).clamp(1, took.len()) - 1];
    format!("p50 {:.0} ms, p99 {:.0} ms", at(0.5), at(0.99))
}
