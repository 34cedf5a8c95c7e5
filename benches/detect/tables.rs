//! Detectors that compare subjects, places or reports.

use std::hint::black_box;

use forewarn::detect::{
    cluster::{
        Place,
        kulldorff::{self, Kulldorff, Map},
        space_time::{self, Events, SpaceTime},
    },
    math::random::Random,
    outbreak::{Nowcast, Triangle},
    ratio::{
        Benford, BetaBinomial, Fisher, Funnel, GammaPoisson, Proportion, TwoProportions, benford,
        beta_binomial,
        disproportionality::{Pair, bcpnn, reporting_ratios, shrinkage},
        funnel, gamma_poisson,
        multiplicity::{Method, adjust},
    },
};
use jiff::{Span, civil::Date};

use crate::least_seconds;

/// Subjects, pairs, keys of a table.
const SUBJECTS: usize = 1_000;

pub(crate) fn report() {
    println!("| method | work | µs | µs each |\n|---|---|---|---|");
    let mut random = Random::new(4, 0);
    let samples: Vec<u64> = (0..SUBJECTS).map(|_| 20 + random.below(200)).collect();
    let failures: Vec<u64> = samples.iter().map(|n| random.poisson(0.03 * *n as f64)).collect();
    let pairs: Vec<(u64, u64)> = failures.iter().copied().zip(samples.iter().copied()).collect();
    let each = |name: &str, work: &dyn Fn(u64, u64)| {
        let seconds = least_seconds(|| pairs.iter().for_each(|(x, n)| work(*x, *n)));
        row(name, "1,000 subjects", seconds, SUBJECTS);
    };
    let exact = Proportion::default();
    each("proportion", &|x, n| {
        black_box(exact.judge(x, n, 0.03).expect("counts"));
    });
    each("two_proportions", &|x, n| {
        black_box(TwoProportions::default().judge(x, n, 300, 9_000).expect("counts"));
    });
    each("fisher", &|x, n| {
        black_box(Fisher::default().judge(x, n, 300, 9_000).expect("counts"));
    });
    each("ic_shrink", &|x, n| {
        black_box(shrinkage(&pair(x, n)));
    });
    each("ic_bcpnn", &|x, n| {
        black_box(bcpnn(&pair(x, n)));
    });
    each("prr and ror", &|x, n| {
        black_box(reporting_ratios(&pair(x, n)));
    });
    let all = |name: &str, work: &dyn Fn()| {
        row(name, "1,000 subjects at once", least_seconds(work), SUBJECTS);
    };
    all("funnel", &|| {
        black_box(funnel::draw(&failures, &samples, &Funnel::default()).expect("counts"));
    });
    let with = BetaBinomial::default();
    all("beta_binomial, prior and all", &|| {
        let group = beta_binomial::fit(&failures, &samples, &with).expect("counts");
        for (x, n) in &pairs {
            black_box(beta_binomial::judge(&group, *x, *n, &with).expect("counts"));
        }
    });
    let (expected, with): (Vec<f64>, _) =
        (samples.iter().map(|n| 0.03 * *n as f64).collect(), GammaPoisson::default());
    all("gamma_poisson, prior and all", &|| {
        let group = gamma_poisson::fit(&failures, &expected, &with).expect("counts");
        for (x, e) in failures.iter().zip(&expected) {
            black_box(gamma_poisson::judge(&group, *x, *e, &with).expect("counts"));
        }
    });
    let p: Vec<f64> = (0..SUBJECTS).map(|_| random.unit()).collect();
    all("multiplicity, bh", &|| {
        black_box(adjust(&p, Method::BenjaminiHochberg).expect("probabilities"));
    });
    let amounts: Vec<f64> = (0..SUBJECTS).map(|_| (9.0 * random.unit()).exp()).collect();
    all("benford", &|| {
        black_box(benford::judge(&amounts, &Benford::default()).expect("amounts"));
    });
    nowcast(&mut random);
    scans(&mut random);
}

fn row(name: &str, work: &str, seconds: f64, n: usize) {
    let us = 1e6 * seconds;
    println!("| {name} | {work} | {us:.0} | {:.2} |", us / n as f64);
}

fn pair(x: u64, n: u64) -> Pair {
    Pair::try_new(x, n, 300 + x, 100_000).expect("margins fit")
}

fn nowcast(random: &mut Random) {
    let first = Date::constant(2031, 1, 1);
    let day = |n: u64| first.saturating_add(Span::new().days(n as i64));
    let events: Vec<(Date, Date)> = (0..2_000)
        .map(|_| {
            let happened = random.below(60);
            (day(happened), day(happened + random.below(14)))
        })
        .filter(|(_, reported)| *reported <= day(60))
        .collect();
    let triangle = Triangle::of_days(&events, first, day(60), 14);
    let seconds = least_seconds(|| {
        black_box(Nowcast::default().estimates(&triangle).expect("counts"));
    });
    row("nowcast bnb", "60 days, delays up to 14", seconds, 60);
}

fn scans(random: &mut Random) {
    const PLACES: usize = 123;
    const WEEKS: usize = 52;
    let places: Vec<Place> =
        (0..PLACES).map(|_| Place { x: 100.0 * random.unit(), y: 100.0 * random.unit() }).collect();
    let counts: Vec<u64> = (0..PLACES * WEEKS).map(|_| random.poisson(1.5)).collect();
    let events = Events { places: &places, counts: &counts, expected: None };
    let seconds = least_seconds(|| {
        black_box(space_time::scan(&events, &SpaceTime::default()).expect("a scan"));
    });
    row("space_time_scan, 999 replicates", "123 counties, 52 weeks", seconds, 1);
    let cases: Vec<f64> = (0..PLACES).map(|_| random.poisson(40.0) as f64).collect();
    let population: Vec<f64> = (0..PLACES).map(|_| 1e5 * (0.5 + random.unit())).collect();
    let map = Map { places: &places, cases: &cases, population: &population, expected: None };
    let seconds = least_seconds(|| {
        black_box(kulldorff::scan(&map, &Kulldorff::default()).expect("a scan"));
    });
    row("kulldorff, 999 replicates", "123 counties", seconds, 1);
}
