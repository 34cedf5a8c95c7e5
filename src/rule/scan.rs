//! Scan: where records gather, judged over all places at once.
//!
//! In: what every key of all shards counts in the period judged and in those before it; one column of the key is a region,
//! keys that differ in another column are scanned apart. Out: the clusters of neighbouring places over the last periods,
//! each told at one place: that of its places with records in the period judged that has most of the cluster's, of equal
//! ones the one with the lower code. Places that no list knows, and places too coarse to be one, are not judged.
//! Promise: the answer depends on the counts and the seed alone, not on the order of keys or on how shards split them.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray},
    datatypes::{DataType, Float64Type},
};
use serde_json::Value;

use super::{detection::DetectPlan, evaluate::Evaluator, peers::PeerValues};
use crate::{
    detect::cluster::{
        Place,
        space_time::{Cluster, Events, SpaceTime, scan_to_alarm},
    },
    model::{hash::HashedMap, reference::place, yaml::Spanned},
};

/// What is told of a cluster beside what every detector tells: its places, how many they are, how many periods it has
/// lasted, its records, and its rate over that outside.
pub const CLUSTER: [(&str, DataType); 5] = [
    ("zone", DataType::Utf8),
    ("zone_size", DataType::Int64),
    ("duration", DataType::Int64),
    ("observed", DataType::Int64),
    ("relative", DataType::Float64),
];

/// A scan, as its author wrote it.
#[derive(Debug, Clone)]
pub struct ScanFile {
    /// The scan.
    pub with: SpaceTime,
    /// `place`: the key column that is a region; the only one where left out.
    pub place: Option<Spanned<String>>,
    /// `history`: periods that are scanned, the one judged among them.
    pub history: usize,
}

/// A scan, compiled.
#[derive(Debug)]
pub struct ScanPlan {
    with: SpaceTime,
    /// Name of the key column that is a region.
    pub place: String,
    /// Periods that are scanned.
    pub history: usize,
}

impl ScanPlan {
    /// The plan of what `file` says for a rule with the key columns `key`.
    #[must_use]
    pub fn new<'a>(file: &ScanFile, mut key: impl Iterator<Item = &'a str>) -> Self {
        let written = file.place.as_ref().map(|p| p.value.clone());
        let place = written.or_else(|| key.next().map(str::to_owned)).unwrap_or_default();
        Self { with: file.with.clone(), place, history: file.history }
    }
}

impl Evaluator<'_> {
    /// Where each of `keys` is, what else it holds, and whether it has records in the last of `periods`, as the first
    /// `active` have; then what it counts in each.
    pub(super) fn counted(
        &mut self,
        (plan, scan): (&DetectPlan, &ScanPlan),
        (keys, active): (&[u32], usize),
        periods: &[Range<i64>],
    ) -> PeerValues {
        let n = periods.len();
        let (counts, _) = self.baseline(plan, keys, periods);
        let interner = self.store.interner(self.rule.space);
        let (mut places, mut others) = (Vec::new(), Vec::new());
        for key in keys {
            let mut values = interner.key(*key).values();
            let place = values.shift_remove(&scan.place);
            places.push(place.and_then(|p| p.as_str().map(str::to_owned)));
            others.push(Some(Value::Object(values).to_string()));
        }
        let is_active: BooleanArray = (0..keys.len()).map(|i| Some(i < active)).collect();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(places)),
            Arc::new(StringArray::from(others)),
            Arc::new(is_active),
        ];
        for at in 0..n {
            let of_period = (0..keys.len()).map(|i| Some(counts[i * n + at]));
            columns.push(Arc::new(of_period.collect::<Float64Array>()));
        }
        let rows = keys.iter().enumerate().map(|(i, k)| (interner.hash(*k), i as u32));
        PeerValues::new(rows.collect::<HashedMap<_, _>>(), columns)
    }
}

/// What is told of every key, out of what [`Evaluator::counted`] gathered from all shards; `None` of those not judged.
pub(super) fn judged(plan: &ScanPlan, counted: &[ArrayRef]) -> Vec<ArrayRef> {
    let [places, others, active, counts @ ..] = counted else { return Vec::new() };
    let (places, others) = (places.as_string::<i32>(), others.as_string::<i32>());
    let active = active.as_boolean();
    let mut apart: BTreeMap<&str, BTreeMap<&str, (usize, Place)>> = BTreeMap::new();
    for row in (0..places.len()).filter(|row| places.is_valid(*row)) {
        let code = places.value(row);
        if let Some((x, y)) = place::seat(code) {
            let at = (row, Place { x, y });
            apart.entry(others.value(row)).or_default().insert(code, at);
        }
    }
    let mut told: Vec<Option<Told>> = (0..places.len()).map(|_| None).collect();
    if counts.len() < plan.history {
        return columns(&told);
    }
    for of_key in apart.values() {
        let rows: Vec<usize> = of_key.values().map(|(row, _)| *row).collect();
        let at: Vec<Place> = of_key.values().map(|(_, at)| *at).collect();
        let mut events = Vec::with_capacity(counts.len() * rows.len());
        for period in counts {
            let period = period.as_primitive::<Float64Type>();
            events.extend(rows.iter().map(|row| period.value(*row).max(0.0) as u64));
        }
        let scanned =
            scan_to_alarm(&Events { places: &at, counts: &events, expected: None }, &plan.with);
        let Ok(scanned) = scanned else { continue };
        rows.iter().for_each(|row| told[*row] = Some(Told::default()));
        for cluster in &scanned.clusters {
            let recent = &events[(counts.len() - cluster.duration) * rows.len()..];
            let of_place = |i: usize| recent.iter().skip(i).step_by(rows.len()).sum::<u64>();
            let candidates = cluster.members.iter().filter(|i| active.value(rows[**i]));
            // Of equal ones the lower code: places are in the order of their codes.
            let teller = candidates.max_by_key(|i| (of_place(**i), std::cmp::Reverse(**i)));
            if let Some(teller) = teller {
                let codes: Vec<&str> = of_key.keys().copied().collect();
                told[rows[*teller]] = Some(Told::of(cluster, &codes, plan.with.alpha));
            }
        }
    }
    columns(&told)
}

/// What is told at a place: of a cluster, or that there is none.
#[derive(Default)]
struct Told {
    cluster: Option<(Cluster, String)>,
    alarm: bool,
}

impl Told {
    fn of(cluster: &Cluster, codes: &[&str], alpha: f64) -> Self {
        let mut zone: Vec<&str> = cluster.members.iter().map(|i| codes[*i]).collect();
        zone.sort_unstable();
        let alarm = cluster.p.is_some_and(|p| p <= alpha);
        Self { cluster: Some((cluster.clone(), zone.join(","))), alarm }
    }
}

/// Expected, bound, score, p-value, alarm; then [`CLUSTER`].
fn columns(told: &[Option<Told>]) -> Vec<ArrayRef> {
    let cluster = |t: &'_ Option<Told>| t.as_ref().and_then(|t| t.cluster.clone());
    let clusters: Vec<_> = told.iter().map(cluster).collect();
    let number = |of: &dyn Fn(&Cluster) -> Option<f64>| -> ArrayRef {
        let finite = |c: &Option<(Cluster, _)>| of(&c.as_ref()?.0).filter(|v| v.is_finite());
        Arc::new(clusters.iter().map(finite).collect::<Float64Array>())
    };
    let count = |of: &dyn Fn(&Cluster) -> i64| -> ArrayRef {
        let counts = clusters.iter().map(|c| c.as_ref().map(|(c, _)| of(c)));
        Arc::new(counts.collect::<Int64Array>())
    };
    let zones: StringArray = clusters.iter().map(|c| c.as_ref().map(|(_, zone)| zone)).collect();
    let alarms: BooleanArray = told.iter().map(|t| t.as_ref().map(|t| t.alarm)).collect();
    vec![
        number(&|c| Some(c.expected)),
        number(&|_| None),
        number(&|c| Some(c.score)),
        number(&|c| c.p),
        Arc::new(alarms),
        Arc::new(zones),
        count(&|c| c.members.len() as i64),
        count(&|c| c.duration as i64),
        count(&|c| c.events as i64),
        number(&|c| c.relative),
    ]
}
