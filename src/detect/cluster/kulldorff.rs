//! Kulldorff's circular scan: the part of a map with too many cases, wherever and however large.
//!
//! In: places with cases and population (or expected cases). Out: the most likely cluster and those beside it, with p-values
//! from replicates under the hypothesis that cases fall by chance.
//! Not here: time, see `space_time`.

use std::collections::BTreeSet;

use super::{Metric, Place, apart, p_value, place::neighbours};
use crate::detect::{
    Compat, Error,
    math::random::{Cells, Random},
};

/// What the cases are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Rare cases: each place expects its share.
    #[default]
    Poisson,
    /// Every one of the population is a case or not.
    Binomial,
}

/// Circular scan: where on a map are there too many cases?
///
/// # What it finds
/// A group of neighbouring districts with more cases than their population explains, without borders set beforehand.
///
/// # Parameters
/// - `model` — `poisson`, or `binomial` for failures among samples; default `poisson`.
/// - `population_share_max` — largest cluster, as a share of the population, above 0, up to 0.5; default 0.5.
/// - `replicates` — maps drawn by chance, 0 to 9,999; default 999. 0 gives no p-values.
/// - `alpha` — clusters beside the most likely one are reported up to this p-value, between 0 and 1; default 0.05.
/// - `seed` — of the replicates; default 1.
/// - `metric` — `planar`, or `sphere` for degrees; default `planar`.
/// - `compat` — `r` keeps expected cases as given and cuts totals to whole numbers, which shifts all scores where totals are
///   not whole or differ; `corrected` brings expected cases to the number of cases. Default `corrected`.
///
/// # When it misleads
/// Circles find round clusters; a river valley is found in pieces. The borders of a cluster are uncertain, its centre is not
/// its cause. p-values of secondary clusters are cautious. Cases that come in batches (one bus, one kitchen) are not
/// independent.
///
/// # Source
/// Kulldorff 1997, Commun. Stat. Theory Methods 26, 1481–1496; Kulldorff and Nagarwalla 1995, Stat. Med. 14, 799–810.
/// Golden family `kulldorff`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kulldorff {
    /// What the cases are compared with.
    pub model: Model,
    /// Largest cluster, as a share of the population.
    pub population_share_max: f64,
    /// Replicates for p-values.
    pub replicates: u32,
    /// Largest p-value of secondary clusters.
    pub alpha: f64,
    /// Seed of the replicates.
    pub seed: u64,
    /// Distance between places.
    pub metric: Metric,
    /// Whose totals.
    pub compat: Compat,
}

impl Default for Kulldorff {
    fn default() -> Self {
        Self {
            model: Model::Poisson,
            population_share_max: 0.5,
            replicates: 999,
            alpha: 0.05,
            seed: 1,
            metric: Metric::Planar,
            compat: Compat::Corrected,
        }
    }
}

/// The map: one entry per place in every slice.
#[derive(Debug, Clone, Copy)]
pub struct Map<'a> {
    /// Where.
    pub places: &'a [Place],
    /// Cases; shares of a case are allowed.
    pub cases: &'a [f64],
    /// Population at risk; limits the size of clusters, and is the denominator of the binomial model.
    pub population: &'a [f64],
    /// Expected cases where they are not in proportion to the population (age, sex).
    pub expected: Option<&'a [f64]>,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Its places; the first is the centre, the others follow by distance.
    pub members: Vec<usize>,
    /// Cases in it.
    pub cases: f64,
    /// Cases expected in it.
    pub expected: f64,
    /// Log-likelihood ratio.
    pub score: f64,
    /// Share of maps, this one and the replicates, whose best score is at least as high; `None` without replicates.
    pub p: Option<f64>,
}

/// The scanned map.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// The most likely cluster, then those that overlap with none before them and are within `alpha`. Empty where no
    /// circle has more cases than expected.
    pub clusters: Vec<Cluster>,
    /// Circles that were looked at.
    pub circles: usize,
    /// Best score of every replicate.
    pub replicates: Vec<f64>,
}

/// Scans the map.
///
/// # Errors
/// Slices of different length, negative or non-finite numbers, no cases, no population, more cases than population in the
/// binomial model, parameters out of range.
pub fn scan(map: &Map<'_>, with: &Kulldorff) -> Result<Scan, Error> {
    let ground = Ground::try_new(map, with)?;
    let replicates = ground.replicates(with)?;
    let members = |circle: &Circle| &ground.circles[circle.centre][..circle.size];
    let p = |circle: &Circle| p_value(&replicates, circle.score);
    let cluster = |circle: Circle| {
        let members = members(&circle);
        let sum = |of: &[f64]| members.iter().map(|&m| of[m]).sum::<f64>();
        Cluster {
            members: members.to_vec(),
            cases: sum(&ground.cases),
            expected: sum(&ground.expected),
            score: circle.score,
            p: p(&circle),
        }
    };
    let chosen = apart(ground.ranked(), members, p, with.alpha);
    let clusters = chosen.into_iter().map(cluster).collect();
    let circles = ground.circles.iter().map(Vec::len).sum();
    Ok(Scan { clusters, circles, replicates })
}

/// The best circles, highest score first: centre with its nearest neighbours, and the score. At most `most` of them.
///
/// # Errors
/// As [`scan`].
pub fn ranked(
    map: &Map<'_>,
    with: &Kulldorff,
    most: usize,
) -> Result<Vec<(Vec<usize>, f64)>, Error> {
    let ground = Ground::try_new(map, with)?;
    let best = ground.ranked().into_iter().take(most);
    Ok(best.map(|c| (ground.circles[c.centre][..c.size].to_vec(), c.score)).collect())
}

#[derive(Debug, Clone, Copy)]
struct Circle {
    centre: usize,
    size: usize,
    score: f64,
}

/// What does not change between replicates.
struct Ground {
    /// Nearest places of each place as far as circles reach.
    circles: Vec<Vec<usize>>,
    cases: Vec<f64>,
    expected: Vec<f64>,
    /// Denominators of the binomial model.
    population: Vec<f64>,
    totals: Totals,
    model: Model,
}

/// Sums over the map as they enter scores.
#[derive(Debug, Clone, Copy)]
struct Totals {
    cases: f64,
    expected: f64,
    population: f64,
}

impl Ground {
    fn try_new(map: &Map<'_>, with: &Kulldorff) -> Result<Self, Error> {
        check(map, with)?;
        let sum = |of: &[f64]| of.iter().sum::<f64>();
        let (cases, people) = (sum(map.cases), sum(map.population));
        let rates = map.expected.unwrap_or(map.population);
        let of_rates = sum(rates);
        if cases <= 0.0 || people <= 0.0 || of_rates <= 0.0 {
            return Err(Error::NoAnswer { why: "no cases or no population" });
        }
        let circles = neighbours(map.places, with.metric)?
            .into_iter()
            .map(|near| {
                let mut reached = 0.0;
                let inside = near.iter().take_while(|&&i| {
                    reached += map.population[i];
                    reached / people <= with.population_share_max
                });
                let size = inside.count();
                near[..size].to_vec()
            })
            .collect();
        // Whole but for rounding is whole.
        let whole = |sum: f64| (sum + 1e-9).floor();
        let (expected, totals) = match (with.compat, map.expected) {
            (Compat::R, Some(expected)) => {
                let expected_total = whole(sum(expected));
                let totals = Totals {
                    cases: whole(cases),
                    expected: expected_total,
                    population: whole(people),
                };
                (expected.to_vec(), totals)
            }
            _ => {
                let scaled = rates.iter().map(|r| r * cases / of_rates).collect();
                (scaled, Totals { cases, expected: cases, population: people })
            }
        };
        let (cases, population) = (map.cases.to_vec(), map.population.to_vec());
        Ok(Self { circles, cases, expected, population, totals, model: with.model })
    }

    /// Calls `each` with every circle and its score.
    fn walk(&self, cases: &[f64], totals: Totals, mut each: impl FnMut(Circle)) {
        for (centre, near) in self.circles.iter().enumerate() {
            let (mut c, mut e, mut n) = (0.0, 0.0, 0.0);
            for (i, &place) in near.iter().enumerate() {
                c += cases[place];
                e += self.expected[place];
                n += self.population[place];
                let score = match self.model {
                    Model::Poisson => poisson_score(c, e, totals.cases, totals.expected),
                    Model::Binomial => binomial_score(c, n, totals.cases, totals.population),
                };
                each(Circle { centre, size: i + 1, score });
            }
        }
    }

    /// Circles with more cases than expected, highest score first; equal ones in order of centre and size.
    fn ranked(&self) -> Vec<Circle> {
        let mut all = Vec::new();
        self.walk(&self.cases, self.totals, |circle| {
            if circle.score > 0.0 {
                all.push(circle);
            }
        });
        all.sort_by(|a, b| b.score.total_cmp(&a.score));
        all
    }

    fn replicates(&self, with: &Kulldorff) -> Result<Vec<f64>, Error> {
        let count = self.cases.iter().sum::<f64>().round();
        if count > 1e8 {
            let range = "at most 1e8 for replicates";
            return Err(Error::Value { what: "number of cases", at: 0, value: count, range });
        }
        let none = Error::NoAnswer { why: "no cases or no population" };
        let deal = Deal::try_new(self, count as u64).ok_or(none)?;
        let totals = Totals { cases: count, ..self.totals };
        Ok((0..u64::from(with.replicates))
            .map(|replicate| {
                let mut random = Random::new(with.seed, replicate);
                let cases = deal.cases(&mut random);
                let mut best = 0.0_f64;
                self.walk(&cases, totals, |circle| best = best.max(circle.score));
                best
            })
            .collect())
    }
}

/// Deals cases by chance.
enum Deal {
    /// Each case falls on a place by its expectation.
    ByExpectation { cells: Cells, places: usize, count: u64 },
    /// Cases are drawn from the people, nobody twice.
    ByPerson { ends: Vec<u64>, count: u64 },
}

impl Deal {
    fn try_new(ground: &Ground, count: u64) -> Option<Self> {
        if ground.model == Model::Poisson {
            let cells = Cells::try_new(&ground.expected)?;
            return Some(Self::ByExpectation { cells, places: ground.expected.len(), count });
        }
        let mut end = 0_u64;
        let ends: Vec<u64> = ground
            .population
            .iter()
            .map(|p| {
                end += p.round() as u64;
                end
            })
            .collect();
        (end >= count && end > 0).then_some(Self::ByPerson { ends, count })
    }

    fn cases(&self, random: &mut Random) -> Vec<f64> {
        match self {
            Self::ByExpectation { cells, places, count } => {
                let mut out = vec![0.0; *places];
                for _ in 0..*count {
                    out[cells.draw(random)] += 1.0;
                }
                out
            }
            Self::ByPerson { ends, count } => {
                let people = ends[ends.len() - 1];
                // The fewer of cases and others are drawn, so that few draws hit someone already drawn.
                let draw_others = 2 * count > people;
                let draws = if draw_others { people - count } else { *count };
                let sizes = |i: usize| ends[i] - if i == 0 { 0 } else { ends[i - 1] };
                let mut out = vec![0.0; ends.len()];
                let mut drawn = BTreeSet::new();
                while (drawn.len() as u64) < draws {
                    let person = random.below(people);
                    if drawn.insert(person) {
                        out[ends.partition_point(|end| *end <= person)] += 1.0;
                    }
                }
                if draw_others {
                    for (i, v) in out.iter_mut().enumerate() {
                        *v = sizes(i) as f64 - *v;
                    }
                }
                out
            }
        }
    }
}

/// `c ln(c/e) + (C-c) ln((C-c)/(E-e)) - C ln(C/E)` where the rate inside is above that outside, else 0.
fn poisson_score(c: f64, e: f64, cases: f64, expected: f64) -> f64 {
    let (outside, outside_expected) = (cases - c, expected - e);
    if e <= 0.0 || outside_expected <= 0.0 || c / e <= outside / outside_expected {
        return 0.0;
    }
    let score = c * (c / e).ln() + x_ln(outside, outside / outside_expected)
        - cases * (cases / expected).ln();
    if score.is_finite() { score.max(0.0) } else { 0.0 }
}

/// The ratio of the likelihood with two rates to that with one.
fn binomial_score(c: f64, n: f64, cases: f64, people: f64) -> f64 {
    let (outside, others) = (cases - c, people - n);
    if n <= 0.0 || others <= 0.0 || c / n <= outside / others {
        return 0.0;
    }
    let part = |c: f64, n: f64| x_ln(c, c / n) + x_ln(n - c, (n - c) / n);
    let score = part(c, n) + part(outside, others) - part(cases, people);
    if score.is_finite() { score.max(0.0) } else { 0.0 }
}

/// `x ln(y)`, 0 where `x` is 0 or rounding made it negative.
fn x_ln(x: f64, y: f64) -> f64 {
    if x <= 0.0 { 0.0 } else { x * y.ln() }
}

fn check(map: &Map<'_>, with: &Kulldorff) -> Result<(), Error> {
    let bad =
        |name, value: f64, range| Err(Error::Parameter { name, value: value.to_string(), range });
    if !(with.population_share_max > 0.0 && with.population_share_max <= 0.5) {
        return bad("population_share_max", with.population_share_max, "in (0, 0.5]");
    }
    if with.replicates > 9_999 {
        return bad("replicates", f64::from(with.replicates), "in [0, 9,999]");
    }
    if !(with.alpha > 0.0 && with.alpha < 1.0) {
        return bad("alpha", with.alpha, "in (0, 1)");
    }
    let expected = map.places.len();
    let columns = [
        ("cases", map.cases),
        ("population", map.population),
        ("expected cases", map.expected.unwrap_or(map.population)),
    ];
    for (what, column) in columns {
        if column.len() != expected {
            return Err(Error::Rows { what, got: column.len(), wanted: expected });
        }
        if let Some(at) = column.iter().position(|v| !(0.0..=1e12).contains(v)) {
            return Err(Error::Value { what, at, value: column[at], range: "in [0, 1e12]" });
        }
    }
    let more = |(c, n): (&f64, &f64)| c > n;
    if with.model == Model::Binomial
        && let Some(at) = map.cases.iter().zip(map.population).position(more)
    {
        let range = "no more than the population";
        return Err(Error::Value { what: "cases", at, value: map.cases[at], range });
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

    #[test]
    fn a_hot_corner_is_found_and_nothing_else() {
        let places = grid(6);
        let mut cases = vec![10.0; 36];
        for hot in [0, 1, 6] {
            cases[hot] = 40.0;
        }
        for model in [Model::Poisson, Model::Binomial] {
            let map =
                Map { places: &places, cases: &cases, population: &[1000.0; 36], expected: None };
            let found =
                scan(&map, &Kulldorff { model, replicates: 99, ..Default::default() }).unwrap();
            let mut members = found.clusters[0].members.clone();
            members.sort_unstable();
            assert_eq!(members, [0, 1, 6]);
            assert_eq!(found.clusters[0].p, Some(0.01));
            assert_eq!(found.clusters.len(), 1);
        }
    }

    #[test]
    fn expected_cases_are_brought_to_the_number_of_cases_where_r_cuts_totals() {
        let places = grid(6);
        let mut cases = vec![10.0; 36];
        for hot in [0, 1, 6] {
            cases[hot] = 40.0;
        }
        let expected = [9.76; 36];
        let map = Map {
            places: &places,
            cases: &cases,
            population: &[1000.0; 36],
            expected: Some(&expected),
        };
        let score = |compat| {
            let with = Kulldorff { replicates: 0, compat, ..Default::default() };
            scan(&map, &with).unwrap().clusters[0].score
        };
        // 450 cases, 120 of them in three places; R keeps 3 · 9.76 of 351, the whole part of 351.36.
        let by_hand = |inside: f64, all: f64| {
            120.0 * (120.0 / inside).ln() + 330.0 * (330.0 / (all - inside)).ln()
        };
        assert!((score(Compat::Corrected) - by_hand(37.5, 450.0)).abs() < 1e-9);
        let r = score(Compat::R);
        assert!((r - poisson_score(120.0, 29.28, 450.0, 351.0)).abs() < 1e-9, "{r}");
        assert!((r - score(Compat::Corrected)).abs() > 0.05);
    }

    #[test]
    fn chance_is_not_significant() {
        let places = grid(8);
        let mut random = Random::new(3, 0);
        let cases: Vec<f64> = (0..64).map(|_| random.poisson(9.0) as f64).collect();
        let map = Map { places: &places, cases: &cases, population: &[500.0; 64], expected: None };
        let found = scan(&map, &Kulldorff { replicates: 199, ..Default::default() }).unwrap();
        assert!(found.clusters[0].p > Some(0.02), "{:?}", found.clusters[0]);
    }

    #[test]
    fn dealt_cases_are_as_many_and_nobody_twice() {
        let places = grid(2);
        for count in [3.0, 9.0] {
            let cases = [count, 0.0, 0.0, 0.0];
            let map = Map {
                places: &places,
                cases: &cases,
                population: &[9.0, 2.0, 1.0, 0.0],
                expected: None,
            };
            let with = Kulldorff { model: Model::Binomial, ..Default::default() };
            let deal = Deal::try_new(&Ground::try_new(&map, &with).unwrap(), count as u64).unwrap();
            let dealt = deal.cases(&mut Random::new(1, 1));
            assert_eq!(dealt.iter().sum::<f64>(), count);
            assert!(dealt.iter().zip(map.population).all(|(c, p)| c <= p), "{dealt:?}");
        }
    }

    #[test]
    fn bad_input_is_an_error() {
        let places = grid(2);
        let with = Kulldorff::default();
        let run = |cases: &[f64], population: &[f64], with: &Kulldorff| {
            scan(&Map { places: &places, cases, population, expected: None }, with)
        };
        assert!(run(&[0.0; 4], &[1.0; 4], &with).is_err());
        assert!(run(&[1.0; 4], &[0.0; 4], &with).is_err());
        assert!(run(&[1.0; 3], &[1.0; 4], &with).is_err());
        for bad in [f64::NAN, -1.0, f64::INFINITY, 1e300] {
            assert!(run(&[1.0, 1.0, 1.0, bad], &[1.0; 4], &with).is_err(), "{bad}");
            assert!(run(&[1.0; 4], &[bad, 1.0, 1.0, 1.0], &with).is_err(), "{bad}");
        }
        assert!(run(&[1e12; 4], &[1.0; 4], &with).is_err());
        assert!(
            run(&[2.0; 4], &[1.0; 4], &Kulldorff { model: Model::Binomial, ..with.clone() })
                .is_err()
        );
        assert!(
            run(
                &[1.0; 4],
                &[1.0; 4],
                &Kulldorff { population_share_max: f64::NAN, ..with.clone() }
            )
            .is_err()
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn never_nan(cells in prop::collection::vec((0..50_u32, 0..90_u32), 4), binomial in any::<bool>()) {
            let places = grid(2);
            let (cases, population): (Vec<f64>, Vec<f64>) = cells.iter().map(|&(c, n)| (f64::from(c), f64::from(n))).unzip();
            let model = if binomial { Model::Binomial } else { Model::Poisson };
            let map = Map { places: &places, cases: &cases, population: &population, expected: None };
            if let Ok(found) = scan(&map, &Kulldorff { model, replicates: 9, ..Default::default() }) {
                for c in found.clusters {
                    prop_assert!(c.score.is_finite() && c.score > 0.0 && c.expected.is_finite());
                    prop_assert!(c.p.is_some_and(|p| p > 0.0 && p <= 1.0));
                }
                prop_assert!(found.replicates.iter().all(|r| r.is_finite()));
            }
        }
    }
}
