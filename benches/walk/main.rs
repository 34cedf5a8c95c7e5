//! The whole path, as whole processes: files or HTTP in, signals out, beside one DataFusion batch query over the same file.
//!
//! Input: complaints of one year, made here (`data.rs`), skewed over businesses, regions and products, in two partitions, as
//! NDJSON and as Parquet; `FOREWARN_BENCH_EVENTS` sets how many (1,000,000). Each row is the least of three runs. `events/s`
//! are of the whole machine; `ratio` is forewarn's time to that of the one query named in `data.rs`, which answers the
//! first row's question, run in between. Aims are those of the design, for one core.
//! `cargo bench --bench walk`; state machine and toolchain beside a figure.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

mod data;
mod live;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use serde_json::Value;

use data::Data;

const RUNS: usize = 3;
const FOREWARN: &str = env!("CARGO_BIN_EXE_forewarn");

/// One row of the report.
struct Row<'a> {
    work: &'a str,
    rules: &'a Path,
    format: &'a str,
    aim: &'a str,
}

fn main() {
    // `cargo test --benches` only asks whether it starts.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let events = std::env::var("FOREWARN_BENCH_EVENTS").ok().and_then(|n| n.parse().ok());
    let dir = tempfile::tempdir().unwrap();
    let data = Data::make(dir.path(), events.unwrap_or(1_000_000));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{} events, {:.0} MB of NDJSON, {cores} cores\n", data.events, data.megabytes());
    println!(
        "{:<44} {:>8} {:>12} {:>7} {:>9} {:>9}  aim a core",
        "work", "seconds", "events/s", "ratio", "MB peak", "signals"
    );
    let one = data.rules("one", &[data.one_count(7, 1)]);
    let tumbling = data.rules("tumbling", &[data.one_count(1, 1)]);
    let sliding = data.rules("sliding", &[data.one_count(30, 1)]);
    let (ten, hundred, thousand) =
        (data.mixed_rules(10), data.mixed_rules(100), data.mixed_rules(1_000));
    for row in [
        Row { work: "1 one windowed count", rules: &one, format: "ndjson", aim: "0.7 M/s" },
        Row { work: "2 100 rules", rules: &hundred, format: "ndjson", aim: "0.5 M/s" },
        Row { work: "3 the first 10 of 1,000 rules", rules: &ten, format: "ndjson", aim: "-" },
        Row {
            work: "3 1,000 rules",
            rules: &thousand,
            format: "ndjson",
            aim: "0.25 M/s, 3 x of 10",
        },
        Row { work: "4 tumbling 1 d", rules: &tumbling, format: "ndjson", aim: "-" },
        Row {
            work: "4 sliding 30 d by 1 d",
            rules: &sliding,
            format: "ndjson",
            aim: "0.8 x tumbling",
        },
        Row { work: "5 100 rules from Parquet", rules: &hundred, format: "parquet", aim: "1 M/s" },
        Row { work: "5 100 rules from Arrow", rules: &hundred, format: "arrow", aim: "1 M/s" },
    ] {
        measure(&data, &row);
    }
    live::measure(&data, &one);
    check(&thousand);
}

fn measure(data: &Data, row: &Row<'_>) {
    let out = data.dir.join("out");
    let mut best = (f64::MAX, Value::Null);
    let mut query = f64::MAX;
    for _ in 0..RUNS {
        let began = Instant::now();
        let mut command = Command::new(FOREWARN);
        command.args(["replay", "--quiet", "--zone", "UTC", "--rules"]).arg(row.rules);
        command.arg("--out").arg(&out);
        for file in data.files(row.format) {
            command.arg("--input").arg(format!("complaints={}", file.display()));
        }
        assert!(command.stderr(std::process::Stdio::null()).status().unwrap().success());
        let seconds = began.elapsed().as_secs_f64();
        if seconds < best.0 {
            let summary = std::fs::read(out.join("summary.json")).unwrap();
            best = (seconds, serde_json::from_slice(&summary).unwrap());
        }
        query = query.min(data.batch_query(row.format));
    }
    let (seconds, summary) = best;
    let signals: u64 =
        summary["rules"].as_object().unwrap().values().filter_map(|r| r["signals"].as_u64()).sum();
    println!(
        "{:<44} {seconds:>8.2} {:>12.0} {:>7.2} {:>9.0} {signals:>9}  {}",
        row.work,
        data.events as f64 / seconds,
        seconds / query,
        summary["peak_memory_bytes"].as_f64().unwrap_or(0.0) / 1e6,
        row.aim,
    );
    let state = &summary["state"];
    let (entries, bytes) =
        (state["entries"].as_f64().unwrap_or(0.0), state["series_bytes"].as_f64().unwrap_or(0.0));
    if entries > 0.0 {
        println!(
            "{:<44} {entries:>8.0} live (key, slice, pane) entries, {:.0} B each (7: aim 120 B)",
            "",
            bytes / entries
        );
    }
}

/// Row 9: reading, checking and compiling 1,000 rules, as a reload does.
fn check(rules: &PathBuf) {
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        let began = Instant::now();
        let output = Command::new(FOREWARN).arg("check").arg(rules).output().unwrap();
        assert!(output.status.code() == Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        best = best.min(began.elapsed().as_secs_f64());
    }
    println!(
        "{:<44} {best:>8.2} {:>12} {:>7} {:>9} {:>9}  1 s",
        "9 1,000 rules read, checked, compiled", "-", "-", "-", "-"
    );
}
