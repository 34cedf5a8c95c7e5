//! What a verdict costs: time and memory a period for every detector, and the two loads that must fit into one run.
//!
//! Input, made here: 770 weeks (or days) with a season and counts around 20, of which the last 250 are judged one by one, each
//! from the periods before it; detectors that fit their whole history anew for each period judge the last 20. Unit:
//! microseconds a period, the least of five runs, one thread; `of R` is R's time divided by ours, where R's is known
//! (surveillance 1.20.3, forecast 8.20 and stats on R 4.2.2, two cores shared). Streaming detectors are fed value by value:
//! nanoseconds and allocations a value after the first 10,000; an allocation there ends the bench. `load` is one week of
//! 100,000 weekly series through Farrington flexible and one day of 1,000,000 daily series through EARS C1, C2 and C3, on all
//! threads. `cargo bench --bench detect [-- detectors|streams|tables|load]`; state machine and toolchain beside a figure.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

mod detectors;
mod load;
mod streams;
mod tables;

use std::{alloc::System, time::Instant};

use forewarn::detect::math::random::Random;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Runs of which the fastest counts.
const RUNS: usize = 5;

fn main() {
    // `cargo test --benches` only asks whether it starts.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let parts: [(&str, fn()); 4] = [
        ("detectors", detectors::report),
        ("streams", streams::report),
        ("tables", tables::report),
        ("load", load::report),
    ];
    let named: Vec<String> = std::env::args().filter(|a| parts.iter().any(|p| p.0 == a)).collect();
    for (name, report) in parts {
        if named.is_empty() || named.iter().any(|n| n == name) {
            report();
            println!();
        }
    }
}

/// Seconds of the fastest run.
fn least_seconds(mut work: impl FnMut()) -> f64 {
    (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            work();
            begin.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

/// Counts about a season.
fn counts(periods: usize, per_year: f64, mean: f64, seed: u64) -> Vec<f64> {
    let mut random = Random::new(seed, 0);
    (0..periods)
        .map(|t| {
            let season = 0.4 * (std::f64::consts::TAU * t as f64 / per_year).sin();
            random.poisson(mean * season.exp() * (0.6 + 0.8 * random.clone().unit())) as f64
        })
        .collect()
}
