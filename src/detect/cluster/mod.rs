//! Cluster: where, and since when, do cases lie too close together?

pub mod kulldorff;
mod place;
pub mod space_time;

pub use kulldorff::Kulldorff;
pub use place::{Metric, Place};
pub use space_time::SpaceTime;

use std::collections::BTreeSet;

/// Share of scans, this one and the replicates, whose best score is at least `score`; `None` without replicates.
fn p_value(replicates: &[f64], score: f64) -> Option<f64> {
    let as_high = 1 + replicates.iter().filter(|r| **r >= score).count();
    (!replicates.is_empty()).then(|| as_high as f64 / (replicates.len() + 1) as f64)
}

/// Of candidates, highest score first, the first, and then those that share no place with one before them, up to the first
/// whose p-value is above `alpha`.
fn apart<'a, T>(
    ranked: Vec<T>,
    places: impl Fn(&T) -> &'a [usize],
    p: impl Fn(&T) -> Option<f64>,
    alpha: f64,
) -> Vec<T> {
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    let mut chosen: Vec<T> = Vec::new();
    for candidate in ranked {
        if !chosen.is_empty() && p(&candidate).is_some_and(|p| p > alpha) {
            break;
        }
        let places = places(&candidate);
        if places.iter().all(|place| !taken.contains(place)) {
            taken.extend(places);
            chosen.push(candidate);
        }
    }
    chosen
}
