//! How well the detectors find outbreaks: the 42 scenarios of Noufaily et al. 2013, in the form of the table that Bedubourg and
//! Le Strat 2017 made of them.
//!
//! `cargo bench --bench scenarios -- [--replicates 100] [--quiet 1000] [--seed 1] [--detectors NAME,NAME] [--by-scenario]`.
//! Per detector and scenario: `--replicates` runs with an outbreak in the last 49 weeks, `--quiet` runs without one for the
//! false-positive rate. All threads of the machine.

#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]

mod candidates;
mod score;
mod world;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use candidates::{Candidate, OF_R, attainable};
use score::Score;
use world::Scenario;

struct Args {
    replicates: u64,
    quiet: u64,
    seed: u64,
    detectors: Vec<String>,
    by_scenario: bool,
}

impl Args {
    /// Words that are not ours are for another harness, as cargo's `--bench` is.
    fn parse(words: &[String]) -> Self {
        let after = |name: &str| {
            let at = words.iter().position(|w| w == name)?;
            words.get(at + 1)
        };
        let number = |name: &str, default: u64| {
            after(name).map_or(default, |w| w.parse().unwrap_or_else(|e| panic!("{name} {w}: {e}")))
        };
        Self {
            replicates: number("--replicates", 100),
            quiet: number("--quiet", 1_000),
            seed: number("--seed", 1),
            detectors: after("--detectors")
                .map(|w| w.split(',').map(str::to_owned).collect())
                .unwrap_or_default(),
            by_scenario: words.iter().any(|w| w == "--by-scenario"),
        }
    }
}

fn main() {
    let args = Args::parse(&std::env::args().skip(1).collect::<Vec<_>>());
    let scenarios = world::all();
    let wanted = |c: &Candidate| args.detectors.is_empty() || args.detectors.contains(&c.name);
    let candidates: Vec<Candidate> = candidates::all().into_iter().filter(wanted).collect();
    println!(
        "seed {}, {} runs with and {} without an outbreak in each of {} scenarios\n",
        args.seed,
        args.replicates,
        args.quiet,
        scenarios.len()
    );
    println!(
        "| detector | FPR | POD | POD k>=5 | POD1week | sens | spec | PPV | F1 | delay wk | s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for candidate in &candidates {
        #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
        let begin = Instant::now();
        let scores = evaluate(candidate, &scenarios, &args);
        let mut all = Score::default();
        scores.iter().for_each(|s| all += *s);
        let row = all.columns().map(|c| format!("{c:.4}")).join(" | ");
        println!("| {} | {row} | {:.1} |", candidate.name, begin.elapsed().as_secs_f64());
        for (name, row) in OF_R.iter().filter(|(name, _)| candidate.of_r == Some(name)) {
            println!("| *R {name}, 4 runs a scenario* | {row} | |");
        }
        if let Some(alpha) = candidate.alpha {
            report_level(candidate, alpha, &scenarios, &scores, args.by_scenario);
        }
        let se = all.detection_se();
        println!("  (standard error of POD {se:.4})");
    }
}

/// The scores of a detector, one a scenario.
fn evaluate(candidate: &Candidate, scenarios: &[Scenario], args: &Args) -> Vec<Score> {
    /// Runs that a thread takes at once.
    const PORTION: u64 = 20;
    let portions: Vec<(usize, u64, bool)> = (0..scenarios.len())
        .flat_map(|s| {
            let of = move |n: u64, outbreak| {
                (0..n).step_by(PORTION as usize).map(move |first| (s, first, outbreak))
            };
            of(args.replicates, true).chain(of(args.quiet, false))
        })
        .collect();
    let scores = Mutex::new(vec![Score::default(); scenarios.len()]);
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((s, first, outbreak)) =
                    portions.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let last = if *outbreak { args.replicates } else { args.quiet };
                    let mut score = Score::default();
                    for replicate in *first..last.min(first + PORTION) {
                        let run = scenarios[*s].draw(args.seed, replicate, *outbreak);
                        score.add(&run, &candidate.alarms(&scenarios[*s], &run));
                    }
                    scores.lock().expect("no thread panics holding it")[*s] += score;
                }
            });
        }
    });
    scores.into_inner().expect("no thread panicked")
}

/// Where false positives exceed what was promised, 1.2 α and two standard errors.
fn report_level(
    candidate: &Candidate,
    alpha: f64,
    scenarios: &[Scenario],
    scores: &[Score],
    by_scenario: bool,
) {
    let mut above = Vec::new();
    for (scenario, score) in scenarios.iter().zip(scores) {
        let (rate, se) = (score.false_positives(), score.false_positives_se());
        let exceeds = rate > 1.2 * alpha + 2.0 * se;
        if exceeds {
            above.push(format!("{} ({rate:.4})", scenario.name));
        }
        if by_scenario {
            println!(
                "    {:10} FPR {rate:.4} ± {se:.4}, attainable {:.4}{}, POD {:.3}",
                scenario.name,
                attainable(scenario, alpha),
                if exceeds { " ABOVE" } else { "" },
                score.detection(),
            );
        }
    }
    let n = scenarios.len();
    println!(
        "  {}: FPR within 1.2 α + 2 se (α = {alpha}) in {} of {n} scenarios{}{}",
        candidate.name,
        n - above.len(),
        if above.is_empty() { "" } else { "; above: " },
        above.join(", ")
    );
}
