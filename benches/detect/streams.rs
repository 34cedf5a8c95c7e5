//! Detectors with a memory of constant size, value by value; nothing may be allocated on the way.

use std::hint::black_box;

use forewarn::detect::{
    chart::{
        Adwin, AdwinState, Cusum, Ewma, EwmaState, MovingLevel, MovingLevelState, PageHinkley,
        PageHinkleyState, Shewhart,
    },
    outbreak::{Ears, EarsMethod},
};
use stats_alloc::Region;

use crate::{ALLOCATOR, counts, least_seconds};

/// Values before the steady state, and in it.
const WARM_UP: usize = 10_000;
const VALUES: usize = 100_000;

pub(crate) fn report() {
    println!("| streaming detector | ns a value | allocations a value | R, ns | of R |");
    println!("|---|---|---|---|---|");
    let values = counts(WARM_UP + VALUES, 365.0, 20.0, 2);
    let level = (20.0, 5.0);
    for (name, method, of_r) in [
        ("ears c1", EarsMethod::C1, 15_000.0),
        ("ears c2", EarsMethod::C2, 15_000.0),
        ("ears c3", EarsMethod::C3, 21_000.0),
    ] {
        let ears = Ears { method, ..Ears::default() };
        row(name, &values, Some(of_r), |at| {
            black_box(ears.judge(&values[at.saturating_sub(11)..=at]));
        });
    }
    let (chart, mut state) = (Ewma::default(), EwmaState::new(level.0));
    row("ewma", &values, None, |at| {
        black_box(chart.judge(&mut state, level, values[at]));
    });
    let chart = Shewhart::default();
    row("shewhart", &values, None, |at| {
        black_box(chart.judge(level, values[at]));
    });
    let (chart, mut sum) = (Cusum::default(), 0.0);
    row("cusum", &values, Some(24_000.0), |at| {
        black_box(chart.judge(&mut sum, level.0, values[at]));
    });
    let (chart, mut state) = (MovingLevel::default(), MovingLevelState::default());
    row("moving_level", &values, None, |at| {
        black_box(chart.judge(&mut state, values[at]));
    });
    let (test, mut state) = (PageHinkley::default(), PageHinkleyState::default());
    row("page_hinkley", &values, None, |at| {
        black_box(test.judge(&mut state, values[at]));
    });
    let (window, mut state) = (Adwin::default(), AdwinState::default());
    row("adwin", &values, None, |at| {
        black_box(window.judge(&mut state, values[at]));
    });
}

/// One row; `feed` takes in the value at a position.
fn row(name: &str, values: &[f64], of_r: Option<f64>, mut feed: impl FnMut(usize)) {
    (0..WARM_UP).for_each(&mut feed);
    let region = Region::new(ALLOCATOR);
    let seconds = least_seconds(|| (WARM_UP..values.len()).for_each(&mut feed));
    let allocations = region.change().allocations;
    let ns = 1e9 * seconds / VALUES as f64;
    let ratio = of_r.map_or(String::new(), |r: f64| format!("{:.0}", r / ns));
    let of_r = of_r.map_or(String::new(), |r| format!("{r:.0}"));
    println!("| {name} | {ns:.1} | {allocations} | {of_r} | {ratio} |");
    assert_eq!(allocations, 0, "{name} allocates in its steady state");
}
