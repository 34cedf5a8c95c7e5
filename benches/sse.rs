//! From a push to the server-sent event of the alert it raised, under load.
//!
//! Input: an engine of its own with one early-firing rule, told by `POST` of NDJSON at a steady rate; every tenth of a second
//! one request of ten names a business for the third time, so that its alert fires. Unit: milliseconds from the answer to
//! that push, and from its first byte, to the line in the stream. Set `FOREWARN_SSE_RATES` (events a second, commas) and
//! `FOREWARN_SSE_SECONDS` for others than 1,000 and 10,000 over 20 seconds.
//!
//! `cargo bench --bench sse`; state machine and toolchain beside a figure.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

use std::{
    collections::HashMap,
    env, fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const FOREWARN: &str = env!("CARGO_BIN_EXE_forewarn");
/// Pushes a second.
const PUSHES: u32 = 50;
/// Every so many pushes one raises an alert.
const RAISES: u32 = 5;

const FEED: &str = "\
feed: complaints
title: {zh: 投诉, en: Complaints}
record_id: no
event_time: at
out_of_order: 1h
allowed_lateness: 7d
columns:
  no: {type: text}
  at: {type: timestamp, required: true}
  firm: {type: text}
";

const RULE: &str = "\
rule: many_complaints
title: {zh: 投诉激增, en: Many complaints}
kind: window
feed: complaints
key: [firm]
window: {sliding: 7d, every: 1d}
measures: {n: count(*)}
when: n >= 3
severity: medium
alert:
  message: {zh: \"{firm} 7日 {n} 件\", en: \"{firm}: {n} in 7 days\"}
";

fn main() {
    let rates = env::var("FOREWARN_SSE_RATES").unwrap_or_else(|_| "1000,10000".into());
    let seconds = env::var("FOREWARN_SSE_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(20);
    println!(
        "{:>10} {:>8} {:>12} {:>7}   {:<28} {:<28} {:<24}",
        "events/s",
        "pushes",
        "pushed/s",
        "alerts",
        "answer → event p50/p99/max",
        "push → event p50/p99/max",
        "push → answer p50/p99"
    );
    for rate in rates.split(',').filter_map(|r| r.trim().parse().ok()) {
        measure(rate, seconds);
    }
}

/// A running engine, killed when dropped.
struct Engine {
    child: Child,
    address: String,
    _dir: tempfile::TempDir,
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn engine() -> Engine {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).expect("a directory");
        fs::write(path, text).expect("a file");
    };
    write("rules/feeds/complaints.yaml", FEED);
    write("rules/many_complaints.yaml", RULE);
    let mut child = Command::new(FOREWARN)
        .args(["run", "--listen", "127.0.0.1:0", "--rules"])
        .arg(dir.path().join("rules"))
        .arg("--data")
        .arg(dir.path().join("data"))
        .current_dir(dir.path())
        .env("FOREWARN_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()
        .expect("forewarn runs");
    let mut line = String::new();
    let out = child.stdout.take().expect("piped");
    BufReader::new(out).read_line(&mut line).expect("the address");
    let address = line.trim().rsplit('/').next().unwrap_or_default().to_owned();
    Engine { child, address, _dir: dir }
}

/// When the stream told of an alert: its position → instant.
type Seen = Arc<Mutex<Vec<(String, Instant)>>>;

/// Follows the stream from now on, on a thread of its own.
fn follow(address: &str, seen: &Seen, stop: &Arc<AtomicBool>) {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let request =
        "GET /api/v1/alerts/stream HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("a request");
    let (seen, stop) = (Arc::clone(seen), Arc::clone(stop));
    let (ready, is_ready) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        while !stop.load(Ordering::Relaxed) {
            line.clear();
            if lines.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.starts_with(": following") {
                let _ = ready.send(());
            }
            let Some(data) = line.strip_prefix("data:") else { continue };
            let now = Instant::now();
            let Ok(event) = serde_json::from_str::<serde_json::Value>(data) else { continue };
            if event["revision"] == 1 {
                let id = event["alert"].as_str().unwrap_or_default().to_owned();
                seen.lock().expect("no panic").push((id, now));
            }
        }
    });
    is_ready.recv_timeout(Duration::from_secs(10)).expect("the stream says hello");
}

/// Pushes at `rate` events a second and prints a row.
fn measure(rate: u32, seconds: u32) {
    let engine = engine();
    let url = format!("http://{}/api/v1/feeds/complaints/events", engine.address);
    let agent = ureq::Agent::new_with_defaults();
    wait_ready(&agent, &engine.address);
    let (seen, stop) = (Seen::default(), Arc::new(AtomicBool::new(false)));
    follow(&engine.address, &seen, &stop);
    let (mut no, per_push) = (0, (rate / PUSHES).max(3));
    // Alert's business → when its push began and was answered.
    let mut pushed: HashMap<String, (Instant, Instant)> = HashMap::new();
    let mut answers = Vec::new();
    let began = Instant::now();
    for push in 0..PUSHES * seconds {
        let raises = push % RAISES == 0;
        let mut body = String::new();
        for i in 0..per_push {
            let firm =
                if raises && i < 3 { format!("raised-{push}") } else { format!("firm-{no}") };
            let (minute, second) = (push / PUSHES / 60 % 60, push / PUSHES % 60);
            body.push_str(&format!(
                "{{\"no\":\"N{no}\",\"at\":\"2026-03-04T10:{minute:02}:{second:02}+08:00\",\"firm\":\"{firm}\"}}\n"
            ));
            no += 1;
        }
        let due = began + Duration::from_secs_f64(f64::from(push) / f64::from(PUSHES));
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let from = Instant::now();
        let reply = agent.post(&url).header("content-type", "application/x-ndjson").send(&body);
        reply.expect("taken").body_mut().read_to_string().expect("an answer");
        let answered = Instant::now();
        answers.push(answered - from);
        if raises {
            pushed.insert(format!("raised-{push}"), (from, answered));
        }
    }
    let took = began.elapsed().as_secs_f64();
    thread::sleep(Duration::from_millis(500));
    stop.store(true, Ordering::Relaxed);
    let seen = seen.lock().expect("no panic");
    let (mut after_answer, mut after_push) = (Vec::new(), Vec::new());
    for (id, at) in seen.iter() {
        let url = format!("http://{}/api/v1/alerts/{id}", engine.address);
        let text = agent.get(&url).call().expect("the alert").body_mut().read_to_string();
        let alert: serde_json::Value = serde_json::from_str(&text.expect("text")).expect("JSON");
        let firm = alert["key"]["firm"].as_str().unwrap_or_default();
        let Some((from, answered)) = pushed.get(firm) else { continue };
        after_push.push(at.saturating_duration_since(*from));
        // The event may come before the answer.
        after_answer.push(at.saturating_duration_since(*answered));
    }
    assert_eq!(after_push.len(), pushed.len(), "every alert was seen");
    println!(
        "{rate:>10} {:>8} {:>12.0} {:>7}   {:<28} {:<28} {:<24}",
        answers.len(),
        f64::from(no) / took,
        pushed.len(),
        quantiles(&mut after_answer, &[50, 99, 100]),
        quantiles(&mut after_push, &[50, 99, 100]),
        quantiles(&mut answers, &[50, 99]),
    );
}

fn wait_ready(agent: &ureq::Agent, address: &str) {
    let url = format!("http://{address}/readyz");
    let began = Instant::now();
    while agent.get(&url).call().is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "not ready");
        thread::sleep(Duration::from_millis(20));
    }
}

/// `1.2 / 3.4 ms`, by nearest rank.
fn quantiles(times: &mut [Duration], percents: &[usize]) -> String {
    times.sort_unstable();
    let of = |p: &usize| {
        let at = (times.len() * p).div_ceil(100).clamp(1, times.len());
        format!("{:.2}", times[at - 1].as_secs_f64() * 1e3)
    };
    format!("{} ms", percents.iter().map(of).collect::<Vec<_>>().join(" / "))
}
