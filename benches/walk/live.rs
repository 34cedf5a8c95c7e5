//! Beside row 1: the same events over HTTP into a running engine, the log fsynced before each answer.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use super::{FOREWARN, data::Data};

/// Bytes of one request.
const BODY_BYTES: usize = 4 << 20;

/// Pushes the NDJSON files, one client for each, and prints a row.
pub(crate) fn measure(data: &Data, rules: &Path) {
    let store = data.dir.join("live");
    let mut child = Command::new(FOREWARN)
        .args(["run", "--listen", "127.0.0.1:0", "--rules"])
        .arg(rules)
        .arg("--data")
        .arg(&store)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines
        .map_while(Result::ok)
        .find_map(|line| {
            line.split_whitespace().find(|w| w.starts_with("http://")).map(str::to_owned)
        })
        .unwrap();
    let address = address.trim_end_matches('/').to_owned();
    let began = Instant::now();
    let times: Vec<f64> = std::thread::scope(|scope| {
        let clients: Vec<_> = data
            .files("ndjson")
            .into_iter()
            .enumerate()
            .map(|(partition, file)| {
                let url = format!("{address}/api/v1/feeds/complaints/events?partition={partition}");
                scope.spawn(move || push(&url, &fs::read(file).unwrap()))
            })
            .collect();
        clients.into_iter().flat_map(|c| c.join().unwrap()).collect()
    });
    let seconds = began.elapsed().as_secs_f64();
    child.kill().unwrap();
    let _ = child.wait();
    let mut times = times;
    times.sort_by(f64::total_cmp);
    println!(
        "{:<44} {seconds:>8.2} {:>12.0} {:>7} {:>9} {:>9}  {} requests of 4 MB, answer p50 {:.0} ms, p99 {:.0} ms",
        "1 the same over HTTP, logged and fsynced",
        data.events as f64 / seconds,
        "-",
        "-",
        "-",
        times.len(),
        times[times.len() / 2] * 1e3,
        times[times.len() * 99 / 100] * 1e3,
    );
}

/// Seconds until each answer.
fn push(url: &str, bytes: &[u8]) -> Vec<f64> {
    let agent = ureq::Agent::new_with_defaults();
    let mut from = 0;
    let mut times = Vec::new();
    while from < bytes.len() {
        let end = (from + BODY_BYTES).min(bytes.len());
        let to = bytes[from..end].iter().rposition(|b| *b == b'\n').map_or(end, |n| from + n + 1);
        let began = Instant::now();
        let reply =
            agent.post(url).header("content-type", "application/x-ndjson").send(&bytes[from..to]);
        match reply {
            Ok(_) => {
                times.push(began.elapsed().as_secs_f64());
                from = to;
            }
            // Over capacity: nothing was taken, send it again.
            Err(ureq::Error::StatusCode(429)) => {
                std::thread::sleep(std::time::Duration::from_millis(50))
            }
            Err(e) => panic!("{e}"),
        }
    }
    times
}
