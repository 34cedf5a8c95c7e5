//! Prospective space-time scan: neighbouring places with too many events in the most recent periods.
//!
//! In: events per period and place, oldest period first, perhaps with what was expected. Out: the cylinder — a place with
//! its nearest neighbours, over the last periods — that stands out most, those beside it, and p-values from replicates.
//! Only cylinders that reach the last period count: the question is what goes on now.

use std::collections::BTreeSet;

use super::{Metric, Place, apart, p_value, place::neighbours};
use crate::detect::{
    Error,
    math::random::{Cells, Random},
};

/// What is expected, and what stays the same in replicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Expected from the events themselves: the place's share times the period's share. Replicates shuffle the periods
    /// among the events, so places keep their totals and periods theirs. Needs no population.
    #[default]
    Permutation,
    /// Expected as given, or as for `Permutation`; replicates keep the total.
    Population,
    /// Expected as given, in events; replicates keep nothing, so a rise everywhere counts too.
    Expectation,
}

/// Space-time scan: where do events gather now?
///
/// # What it finds
/// Complaints (illnesses, failures) that gather in neighbouring districts over the last days or weeks.
///
/// # Parameters
/// - `model` — `permutation`, `population` or `expectation`; default `permutation`.
/// - `neighbours` — places in the largest zone, the centre counted, 1 or more; default 15.
/// - `max_duration` — periods in the longest cylinder, 1 or more; default 8.
/// - `replicates` — scans of events drawn by chance, 0 to 9,999; default 999. 0 gives no p-values.
/// - `alpha` — clusters beside the first are reported up to this p-value, between 0 and 1; default 0.01.
/// - `seed` — of the replicates; default 1.
/// - `metric` — `planar`, or `sphere` for degrees; default `planar`.
///
/// # When it misleads
/// `permutation` takes growth that differs between districts (a new town) for a cluster when many periods are scanned, and
/// a rise everywhere for nothing. Repeated every day, one in a hundred runs is a false alarm at `alpha` 0.01. One
/// complainant with many events is a cluster to it: count each once.
///
/// # Source
/// Kulldorff et al. 2005, PLoS Med. 2, e59 (permutation); Kulldorff 2001, J. R. Stat. Soc. A 164, 61–72 (population);
/// Neill 2009, Int. J. Forecast. 25, 498–517 (expectation); Abrams, Kulldorff and Kleinman 2010, Int. J. Health Geogr. 9, 61
/// (Gumbel). Golden family `space_time_scan`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpaceTime {
    /// What is expected.
    pub model: Model,
    /// Places in the largest zone.
    pub neighbours: usize,
    /// Periods in the longest cylinder.
    pub max_duration: usize,
    /// Replicates for p-values.
    pub replicates: u32,
    /// Largest p-value of secondary clusters.
    pub alpha: f64,
    /// Seed of the replicates.
    pub seed: u64,
    /// Distance between places.
    pub metric: Metric,
}

impl Default for SpaceTime {
    fn default() -> Self {
        Self {
            model: Model::Permutation,
            neighbours: 15,
            max_duration: 8,
            replicates: 999,
            alpha: 0.01,
            seed: 1,
            metric: Metric::Planar,
        }
    }
}

/// Events by period and place.
#[derive(Debug, Clone, Copy)]
pub struct Events<'a> {
    /// Where, shape `[places]`.
    pub places: &'a [Place],
    /// How many, shape `[periods × places]`, one period after the other, oldest first.
    pub counts: &'a [u64],
    /// How many were expected, of the same shape.
    pub expected: Option<&'a [f64]>,
}

/// A cylinder that stands out.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Its places; the first is the centre, the others follow by distance.
    pub members: Vec<usize>,
    /// Its periods, counted from the last.
    pub duration: usize,
    /// Events in it.
    pub events: f64,
    /// Events expected in it.
    pub expected: f64,
    /// Log-likelihood ratio.
    pub score: f64,
    /// Rate inside over rate outside; for `expectation` events over expected. `None` where none are expected outside.
    pub relative: Option<f64>,
    /// Share of scans, this one and the replicates, whose best score is at least as high; `None` without replicates.
    pub p: Option<f64>,
    /// The same from a Gumbel distribution with the replicates' mean and spread: finer than one in `replicates`.
    pub p_gumbel: Option<f64>,
}

/// The scanned events.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// The cylinder that stands out most, then those that share no place with one before them and are within `alpha`.
    /// Empty where none has more events than expected.
    pub clusters: Vec<Cluster>,
    /// Distinct sets of places that were looked at.
    pub zones: usize,
    /// Best score of every replicate.
    pub replicates: Vec<f64>,
}

/// Scans the events.
///
/// # Errors
/// Slices of different length, an expectation that is negative or not finite, no events, parameters out of range.
pub fn scan(events: &Events<'_>, with: &SpaceTime) -> Result<Scan, Error> {
    scan_while(events, with, |_, _| true)
}

/// Scans the events as [`scan`] does, but draws no further replicate once so many beat the best score that its p-value can
/// no longer be within `alpha`: what is within it is the same, what is not has a rougher p-value above it.
///
/// # Errors
/// As [`scan`].
pub fn scan_to_alarm(events: &Events<'_>, with: &SpaceTime) -> Result<Scan, Error> {
    let all = f64::from(with.replicates) + 1.0;
    scan_while(events, with, |best, replicates| {
        let as_high = replicates.iter().filter(|r| **r >= best).count();
        (1 + as_high) as f64 / all <= with.alpha
    })
}

/// Draws replicates while `go_on` holds of the best score and those drawn.
fn scan_while(
    events: &Events<'_>,
    with: &SpaceTime,
    go_on: impl Fn(f64, &[f64]) -> bool,
) -> Result<Scan, Error> {
    let ground = Ground::try_new(events, with)?;
    let ranked = ground.ranked();
    let best = ranked.first().map_or(0.0, |c| c.score);
    let replicates = ground.replicates(with, |drawn| go_on(best, drawn))?;
    let members = |best: &Cylinder| &ground.zones[best.centre][..best.size];
    let p = |best: &Cylinder| p_value(&replicates, best.score);
    let cluster = |best: Cylinder| Cluster {
        members: members(&best).to_vec(),
        duration: best.duration,
        events: best.events,
        expected: best.expected,
        score: best.score,
        relative: ground.relative(best.events, best.expected),
        p: p(&best),
        p_gumbel: gumbel(&replicates, best.score),
    };
    let chosen = apart(ranked, members, p, with.alpha);
    let clusters = chosen.into_iter().map(cluster).collect();
    let zones = ground.distinct.iter().flatten().filter(|d| **d).count();
    Ok(Scan { clusters, zones, replicates })
}

/// One cylinder of [`ranked`].
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Its places, the centre first.
    pub members: Vec<usize>,
    /// Its periods, counted from the last.
    pub duration: usize,
    /// Log-likelihood ratio.
    pub score: f64,
}

/// The cylinders with the highest scores, highest first, overlapping or not; at most `most`.
///
/// # Errors
/// As [`scan`].
pub fn ranked(events: &Events<'_>, with: &SpaceTime, most: usize) -> Result<Vec<Ranked>, Error> {
    let ground = Ground::try_new(events, with)?;
    let all = ground.ranked().into_iter().take(most);
    Ok(all
        .map(|c| Ranked {
            members: ground.zones[c.centre][..c.size].to_vec(),
            duration: c.duration,
            score: c.score,
        })
        .collect())
}

#[derive(Debug, Clone, Copy)]
struct Cylinder {
    centre: usize,
    size: usize,
    duration: usize,
    events: f64,
    expected: f64,
    score: f64,
}

/// What does not change between replicates.
struct Ground {
    /// Nearest places of each place.
    zones: Vec<Vec<usize>>,
    /// Whether the first `i + 1` of them are a set that no place before has.
    distinct: Vec<Vec<bool>>,
    places: usize,
    periods: usize,
    duration_max: usize,
    counts: Vec<f64>,
    /// Expected events by duration and place, summed from the last period back.
    expected: Vec<Vec<f64>>,
    /// Expected events by period and place.
    cells: Vec<f64>,
    total: f64,
    model: Model,
}

impl Ground {
    fn try_new(events: &Events<'_>, with: &SpaceTime) -> Result<Self, Error> {
        let places = events.places.len();
        let zones = neighbours(events.places, with.metric)?;
        check(events, with)?;
        let counts: Vec<f64> = events.counts.iter().map(|c| *c as f64).collect();
        let total: f64 = counts.iter().sum();
        if total == 0.0 {
            return Err(Error::NoAnswer { why: "no events" });
        }
        let cells = match (with.model, events.expected) {
            (Model::Permutation, _) | (Model::Population, None) => by_margins(&counts, places),
            (Model::Expectation, None) => {
                let what = "expected events";
                return Err(Error::Rows { what, got: 0, wanted: counts.len() });
            }
            (Model::Expectation, Some(expected)) => expected.to_vec(),
            (Model::Population, Some(expected)) => {
                let sum: f64 = expected.iter().sum();
                if sum <= 0.0 {
                    return Err(Error::NoAnswer { why: "no events are expected" });
                }
                expected.iter().map(|e| e * total / sum).collect()
            }
        };
        let reach = with.neighbours.min(places);
        let zones: Vec<Vec<usize>> = zones.iter().map(|near| near[..reach].to_vec()).collect();
        let mut seen = BTreeSet::new();
        let distinct = zones
            .iter()
            .map(|near| {
                (1..=near.len())
                    .map(|size| {
                        let mut set = near[..size].to_vec();
                        set.sort_unstable();
                        seen.insert(set)
                    })
                    .collect()
            })
            .collect();
        let periods = counts.len() / places;
        let duration_max = with.max_duration.min(periods);
        let expected = from_the_end(&cells, places, duration_max);
        let model = with.model;
        Ok(Self {
            zones,
            distinct,
            places,
            periods,
            duration_max,
            counts,
            expected,
            cells,
            total,
            model,
        })
    }

    /// Calls `each` with every distinct cylinder that has more events than expected.
    fn walk(&self, counts: &[f64], mut each: impl FnMut(Cylinder)) {
        let events = from_the_end(counts, self.places, self.duration_max);
        let (mut c, mut e) = (vec![0.0; self.duration_max], vec![0.0; self.duration_max]);
        for (centre, near) in self.zones.iter().enumerate() {
            c.fill(0.0);
            e.fill(0.0);
            for (i, &place) in near.iter().enumerate() {
                for d in 0..self.duration_max {
                    c[d] += events[d][place];
                    e[d] += self.expected[d][place];
                    if self.distinct[centre][i] && c[d] > e[d] {
                        let score = self.score(c[d], e[d]);
                        let (events, expected) = (c[d], e[d]);
                        each(Cylinder {
                            centre,
                            size: i + 1,
                            duration: d + 1,
                            events,
                            expected,
                            score,
                        });
                    }
                }
            }
        }
    }

    /// The highest score of all cylinders; 0 where none has more events than expected. Most are not scored, because the
    /// logarithm's tangent already says that they are lower.
    fn best(&self, counts: &[f64]) -> f64 {
        let events = from_the_end(counts, self.places, self.duration_max);
        let (mut c, mut e) = (vec![0.0; self.duration_max], vec![0.0; self.duration_max]);
        let mut best = 0.0_f64;
        for (near, distinct) in self.zones.iter().zip(&self.distinct) {
            c.fill(0.0);
            e.fill(0.0);
            for (&place, &distinct) in near.iter().zip(distinct) {
                for d in 0..self.duration_max {
                    c[d] += events[d][place];
                    e[d] += self.expected[d][place];
                    if distinct && c[d] > e[d] && self.may_reach(c[d], e[d], best) {
                        best = best.max(self.score(c[d], e[d]));
                    }
                }
            }
        }
        best
    }

    /// Whether the score can be as high as `floor`: ln x ≤ x − 1, with room for rounding.
    fn may_reach(&self, c: f64, e: f64, floor: f64) -> bool {
        let most = match self.model {
            Model::Expectation => (c - e) * (c - e),
            Model::Permutation | Model::Population => c * (c - e),
        };
        most >= floor * e * (1.0 - 1e-9)
    }

    fn score(&self, c: f64, e: f64) -> f64 {
        // None expected: nothing can be said, rather than everything.
        if c <= e || e <= 0.0 {
            return 0.0;
        }
        let inside = c * (c / e).ln();
        let score = match self.model {
            Model::Expectation => inside + e - c,
            Model::Permutation | Model::Population => {
                let (left, left_expected) = (self.total - c, self.total - e);
                inside + if left > 0.0 { left * (left / left_expected).ln() } else { 0.0 }
            }
        };
        if score.is_finite() { score.max(0.0) } else { 0.0 }
    }

    fn relative(&self, c: f64, e: f64) -> Option<f64> {
        let ratio = match self.model {
            Model::Expectation => c / e,
            _ => (c / e) / ((self.total - c) / (self.total - e)),
        };
        ratio.is_finite().then_some(ratio)
    }

    fn ranked(&self) -> Vec<Cylinder> {
        let mut all = Vec::new();
        self.walk(&self.counts, |cylinder| {
            if cylinder.score > 0.0 {
                all.push(cylinder);
            }
        });
        all.sort_by(|a, b| b.score.total_cmp(&a.score));
        all
    }

    fn replicates(
        &self,
        with: &SpaceTime,
        go_on: impl Fn(&[f64]) -> bool,
    ) -> Result<Vec<f64>, Error> {
        if with.replicates == 0 {
            return Ok(Vec::new());
        }
        let size = self.total.max(self.cells.iter().sum());
        if size > 1e8 {
            let range = "at most 1e8 for replicates";
            return Err(Error::Value { what: "number of events", at: 0, value: size, range });
        }
        let by_weight = Cells::try_new(&self.cells);
        let by_weight = by_weight.ok_or(Error::NoAnswer { why: "no events are expected" })?;
        let (mut times, places) = self.events();
        let mut drawn = Vec::new();
        for replicate in 0..u64::from(with.replicates) {
            if !go_on(&drawn) {
                break;
            }
            let mut random = Random::new(with.seed, replicate);
            let mut counts = vec![0.0; self.counts.len()];
            if self.model == Model::Permutation {
                random.shuffle(&mut times);
                for (time, place) in times.iter().zip(&places) {
                    counts[time * self.places + place] += 1.0;
                }
            } else {
                let draws = match self.model {
                    Model::Expectation => random.poisson(self.cells.iter().sum()),
                    _ => self.total as u64,
                };
                for _ in 0..draws {
                    counts[by_weight.draw(&mut random)] += 1.0;
                }
            }
            drawn.push(self.best(&counts));
        }
        Ok(drawn)
    }

    /// Period and place of every event; empty unless they are shuffled.
    fn events(&self) -> (Vec<usize>, Vec<usize>) {
        if self.model != Model::Permutation {
            return (Vec::new(), Vec::new());
        }
        let at = |i: usize| (i / self.places, i % self.places);
        let each = |i: usize| std::iter::repeat_n(at(i), self.counts[i] as usize);
        (0..self.periods * self.places).flat_map(each).unzip()
    }
}

/// Each cell's share if period and place had nothing to do with each other.
fn by_margins(counts: &[f64], places: usize) -> Vec<f64> {
    let total: f64 = counts.iter().sum();
    let mut of_place = vec![0.0; places];
    for row in counts.chunks(places) {
        for (sum, c) in of_place.iter_mut().zip(row) {
            *sum += c;
        }
    }
    counts
        .chunks(places)
        .flat_map(|row| {
            let of_period: f64 = row.iter().sum();
            of_place.iter().map(move |of_place| of_period * of_place / total).collect::<Vec<_>>()
        })
        .collect()
}

/// Sums over the last 1, 2, .. periods, by place.
fn from_the_end(cells: &[f64], places: usize, duration_max: usize) -> Vec<Vec<f64>> {
    let mut sums: Vec<Vec<f64>> = Vec::with_capacity(duration_max);
    for row in cells.chunks(places).rev().take(duration_max) {
        let sum = match sums.last() {
            Some(before) => before.iter().zip(row).map(|(a, b)| a + b).collect(),
            None => row.to_vec(),
        };
        sums.push(sum);
    }
    sums
}

/// The tail of the Gumbel distribution with the mean and spread of the replicates.
fn gumbel(replicates: &[f64], score: f64) -> Option<f64> {
    const EULER: f64 = 0.577_215_664_901_532_9;
    let n = replicates.len() as f64;
    let mean = replicates.iter().sum::<f64>() / n;
    let variance = replicates.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let scale = (6.0 * variance).sqrt() / std::f64::consts::PI;
    let place = mean - EULER * scale;
    let p = -(-(-(score - place) / scale).exp()).exp_m1();
    (scale > 0.0 && p.is_finite()).then_some(p)
}

impl SpaceTime {
    /// Are the parameters in their ranges?
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first that is not.
    pub fn check(&self) -> Result<(), Error> {
        let bad = |name, value: f64, range| {
            Err(Error::Parameter { name, value: value.to_string(), range })
        };
        if self.neighbours == 0 {
            return bad("neighbours", 0.0, "≥ 1");
        }
        if self.max_duration == 0 {
            return bad("max_duration", 0.0, "≥ 1");
        }
        if self.replicates > 9_999 {
            return bad("replicates", f64::from(self.replicates), "in [0, 9,999]");
        }
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            return bad("alpha", self.alpha, "in (0, 1)");
        }
        Ok(())
    }
}

fn check(events: &Events<'_>, with: &SpaceTime) -> Result<(), Error> {
    with.check()?;
    let (found, places) = (events.counts.len(), events.places.len());
    if found == 0 || !found.is_multiple_of(places) {
        let expected = found.max(1).next_multiple_of(places);
        return Err(Error::Rows { what: "counts", got: found, wanted: expected });
    }
    if let Some(at) = events.counts.iter().position(|c| *c > 1_000_000_000_000) {
        let value = events.counts[at] as f64;
        return Err(Error::Value { what: "count", at, value, range: "≤ 1e12" });
    }
    let Some(expected) = events.expected else { return Ok(()) };
    if expected.len() != found {
        let (what, expected) = ("expected events", expected.len());
        return Err(Error::Rows { what, got: expected, wanted: found });
    }
    if let Some(at) = expected.iter().position(|e| !(0.0..=1e12).contains(e)) {
        let value = expected[at];
        return Err(Error::Value { what: "expected events", at, value, range: "in [0, 1e12]" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grid(side: usize) -> Vec<Place> {
        let place = |i: usize| Place { x: (i % side) as f64, y: (i / side) as f64 };
        (0..side * side).map(place).collect()
    }

    /// 20 periods of 2 or 3 events at each of 25 places, and 9 at three neighbours in the last two.
    fn outbreak() -> Vec<u64> {
        let mut counts: Vec<u64> = (0..20 * 25).map(|i| 2 + (i * 7919 % 13) % 2).collect();
        for period in [18, 19] {
            for place in [0, 1, 5] {
                counts[period * 25 + place] = 9;
            }
        }
        counts
    }

    #[test]
    fn an_outbreak_is_found_by_every_model() {
        let (places, counts) = (grid(5), outbreak());
        let expected = vec![2.5; counts.len()];
        for model in [Model::Permutation, Model::Population, Model::Expectation] {
            let events = Events { places: &places, counts: &counts, expected: Some(&expected) };
            let with = SpaceTime { model, replicates: 99, ..Default::default() };
            let found = scan(&events, &with).unwrap();
            let cluster = &found.clusters[0];
            let mut members = cluster.members.clone();
            members.sort_unstable();
            assert_eq!((members, cluster.duration), (vec![0, 1, 5], 2), "{model:?}");
            assert_eq!(cluster.p, Some(0.01));
            assert!(cluster.p_gumbel < Some(0.001));
        }
    }

    #[test]
    fn a_rise_everywhere_is_only_seen_against_an_expectation() {
        let places = grid(3);
        let mut counts = vec![3_u64; 9 * 12];
        counts[9 * 11..].fill(9);
        let expected = vec![3.0; counts.len()];
        let p = |model| {
            let events = Events { places: &places, counts: &counts, expected: Some(&expected) };
            let with = SpaceTime { model, replicates: 99, ..Default::default() };
            scan(&events, &with).unwrap().clusters.first().and_then(|c| c.p)
        };
        assert_eq!(p(Model::Expectation), Some(0.01));
        assert!(p(Model::Permutation).is_none_or(|p| p > 0.05));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_best_is_the_highest_of_all(counts in proptest::collection::vec(0..9_u64, 9 * 4)) {
            let places = grid(3);
            let expected: Vec<f64> = (0..36).map(|i| 0.5 + f64::from(i % 5)).collect();
            for model in [Model::Permutation, Model::Population, Model::Expectation] {
                let events = Events { places: &places, counts: &counts, expected: Some(&expected) };
                let with = SpaceTime { model, neighbours: 4, max_duration: 3, ..Default::default() };
                let Ok(ground) = Ground::try_new(&events, &with) else { continue };
                let mut highest = 0.0_f64;
                ground.walk(&ground.counts, |c| highest = highest.max(c.score));
                prop_assert_eq!(ground.best(&ground.counts), highest);
            }
        }

        #[test]
        fn stopping_early_changes_no_alarm(counts in proptest::collection::vec(0..5_u64, 9 * 4), more in 0..14_u64) {
            let places = grid(3);
            let mut counts = counts;
            counts[9 * 3 + 4] += more;
            let events = Events { places: &places, counts: &counts, expected: None };
            let with = SpaceTime { replicates: 99, alpha: 0.05, ..Default::default() };
            let (Ok(whole), Ok(early)) = (scan(&events, &with), scan_to_alarm(&events, &with)) else {
                return Ok(());
            };
            let p = |of: &Scan| of.clusters.first().and_then(|c| c.p);
            if p(&whole).is_some_and(|p| p <= with.alpha) {
                prop_assert_eq!(whole, early);
            } else {
                prop_assert!(p(&early) == p(&whole) || p(&early).is_some_and(|p| p > with.alpha));
                prop_assert!(early.clusters.len() <= 1);
            }
        }
    }

    #[test]
    fn bad_input_is_an_error() {
        let places = grid(2);
        let run = |counts: &[u64], expected: Option<&[f64]>, with: &SpaceTime| {
            scan(&Events { places: &places, counts, expected }, with)
        };
        let with = SpaceTime { replicates: 9, ..Default::default() };
        assert!(run(&[], None, &with).is_err());
        assert!(run(&[0; 8], None, &with).is_err());
        assert!(run(&[1; 7], None, &with).is_err());
        assert!(run(&[u64::MAX; 8], None, &with).is_err());
        assert!(run(&[1_000_000_000; 8], None, &with).is_err());
        assert!(
            run(&[1; 8], None, &SpaceTime { model: Model::Expectation, ..with.clone() }).is_err()
        );
        for bad in [f64::NAN, -1.0, f64::INFINITY] {
            let model = Model::Population;
            assert!(run(&[1; 8], Some(&[bad; 8]), &SpaceTime { model, ..with.clone() }).is_err());
        }
        assert!(
            run(&[1; 8], Some(&[0.0; 8]), &SpaceTime { model: Model::Population, ..with.clone() })
                .is_err()
        );
        assert!(run(&[1; 8], None, &SpaceTime { neighbours: 0, ..with.clone() }).is_err());
        assert!(run(&[1; 8], None, &SpaceTime { alpha: f64::NAN, ..with.clone() }).is_err());
        assert!(run(&[1; 4], None, &with).is_ok(), "a single period");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn never_nan(counts in prop::collection::vec(0..30_u64, 16), expected in prop::collection::vec(0.0..20.0_f64, 16), which in 0..3_usize) {
            let places = grid(2);
            let model = [Model::Permutation, Model::Population, Model::Expectation][which];
            let events = Events { places: &places, counts: &counts, expected: Some(&expected) };
            let with = SpaceTime { model, replicates: 9, max_duration: 3, ..Default::default() };
            if let Ok(found) = scan(&events, &with) {
                for c in found.clusters {
                    prop_assert!(c.score.is_finite() && c.score > 0.0 && c.expected > 0.0);
                    prop_assert!(c.relative.is_none_or(f64::is_finite) && c.p_gumbel.is_none_or(f64::is_finite));
                }
            }
        }
    }
}
