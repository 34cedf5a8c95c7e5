//! One run over very many keys, on all threads.

use std::{hint::black_box, thread, time::Instant};

use forewarn::detect::{
    Series, SeriesDetector,
    math::random::Random,
    outbreak::{Ears, EarsMethod, Farrington, FarringtonMethod, Threshold},
};

/// Weekly series, and their weeks: five years, half a window, and the week judged.
const WEEKLY: usize = 100_000;
const WEEKS: usize = 5 * 52 + 3 + 1;
/// Daily series, and the days that EARS looks at.
const DAILY: usize = 1_000_000;
const DAYS: usize = 12;

pub(crate) fn report() {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    println!("| load, {threads} threads | seconds | aim | alarms |\n|---|---|---|---|");
    let weeks = series(WEEKLY, WEEKS);
    for (name, method) in
        [("nb_plugin", FarringtonMethod::NbPlugin), ("onset", FarringtonMethod::Onset)]
    {
        let threshold = Threshold { method, alpha: 0.005 };
        let detector = Farrington { threshold, ..Farrington::default() };
        let (seconds, alarms) = run(&weeks, WEEKS, |values| {
            let at = WEEKS - 1;
            let verdicts = detector.evaluate(&Series::new(values), at..WEEKS).expect("counts");
            verdicts[0].alarm()
        });
        println!(
            "| 100,000 weekly series, Farrington flexible {name} | {seconds:.2} | 20 | {alarms} |"
        );
    }
    drop(weeks);
    let days = series(DAILY, DAYS);
    for (name, method) in [("C1", EarsMethod::C1), ("C2", EarsMethod::C2), ("C3", EarsMethod::C3)] {
        let ears = Ears { method, ..Ears::default() };
        let (seconds, alarms) = run(&days, DAYS, |counts| black_box(ears.judge(counts)).alarm());
        println!("| 1,000,000 daily series, EARS {name} | {seconds:.3} | 1 | {alarms} |");
    }
}

/// Counts of `keys` series one after the other; their means differ by a factor of 400.
fn series(keys: usize, periods: usize) -> Vec<f64> {
    let mut random = Random::new(9, 0);
    let mut out = Vec::with_capacity(keys * periods);
    for _ in 0..keys {
        let mean = 0.1 * (6.0 * random.unit()).exp();
        for t in 0..periods {
            let season = 1.0 + 0.3 * (std::f64::consts::TAU * t as f64 / 52.0).sin();
            out.push(random.poisson(mean * season) as f64);
        }
    }
    out
}

/// Seconds and alarms of one pass over all series.
fn run(values: &[f64], periods: usize, judge: impl Fn(&[f64]) -> bool + Sync) -> (f64, usize) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let keys = values.len() / periods;
    let portion = keys.div_ceil(threads) * periods;
    let begin = Instant::now();
    let alarms = thread::scope(|scope| {
        let judge = &judge;
        let parts: Vec<_> = values
            .chunks(portion)
            .map(|part| scope.spawn(move || part.chunks(periods).filter(|s| judge(s)).count()))
            .collect();
        parts.into_iter().map(|p| p.join().expect("no thread panics")).sum()
    });
    (begin.elapsed().as_secs_f64(), alarms)
}
