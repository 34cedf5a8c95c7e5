//! Table: the pairs of a period judged beside each other.
//!
//! In: what every key of all shards counts in a period. Two columns of the key are the margins of a table whose cells are
//! the pairs; keys that differ in a further column belong to tables of their own. Out: for every pair the 2×2 table around
//! it, what was expected, and the measures of disproportion. Margins are sums over the table's cells.
//! Promise: the answer depends on the counts alone, not on the order of keys or on how shards split them.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray},
    compute::cast,
    datatypes::{DataType, Float64Type},
};
use serde_json::Value;

use super::{evaluate::Evaluator, peers::PeerValues, statistics::poisson_upper_p};
use crate::{
    detect::ratio::disproportionality::{
        Disproportionality, Estimate, Measure, Pair,
        ebgm::{Ebgm, ebgm},
        prior::{self, PAIRS_MIN, Prior, Weighted},
        reporting_ratios, shrinkage,
    },
    model::{hash::HashedMap, yaml::Spanned},
};

/// What is told of a pair beside what every detector tells: the three other cells of its table, and the measures.
pub const PAIR: [&str; 11] = [
    "row_only",
    "column_only",
    "neither",
    "prr",
    "prr_low",
    "chi2",
    "ror",
    "ror_low",
    "ic",
    "ic_low",
    "evans",
];
/// How many of these are counts; the others are numbers, but for the last.
const COUNTS: usize = 3;
/// And where a prior is fitted to all pairs.
pub const SHRUNK: [&str; 2] = ["ebgm", "eb05"];

/// Count, row, column and table of a key; the family of its control follows where there is one.
const CELL: usize = 4;

/// Counts up to which no pairs are joined before a prior is fitted.
const FITTED_AS_THEY_ARE: usize = 400;
/// Of each count so many of the largest expectations stay alone.
const KEPT_ALONE: usize = 50;

/// A detector of pairs, as its author wrote it.
#[derive(Debug, Clone)]
pub struct PairsFile {
    /// The measure, and when a pair alarms.
    pub with: Disproportionality,
    /// `margins`: the key columns that are rows and columns of the table; empty: the key's two.
    pub margins: Vec<Spanned<String>>,
}

/// A detector of pairs, compiled.
#[derive(Debug)]
pub struct PairsPlan {
    with: Disproportionality,
    /// Names of the key columns that are rows and columns.
    pub margins: [String; 2],
}

impl PairsFile {
    /// Names and types of what is told beside [`super::detector::TOLD`].
    pub fn told(&self) -> impl Iterator<Item = (&'static str, DataType)> {
        let kind = |i| match i {
            0..COUNTS => DataType::Int64,
            i if i + 1 == PAIR.len() => DataType::Boolean,
            _ => DataType::Float64,
        };
        let shrunk = SHRUNK.iter().filter(|_| self.with.measure == Measure::Ebgm);
        let pair = PAIR.iter().enumerate().map(move |(i, name)| (*name, kind(i)));
        pair.chain(shrunk.map(|name| (*name, DataType::Float64)))
    }
}

impl PairsPlan {
    /// The plan of what `file` says for a rule with the key columns `key`.
    #[must_use]
    pub fn new<'a>(file: &'a PairsFile, key: impl Iterator<Item = &'a str>) -> Self {
        let written = file.margins.iter().map(|m| m.value.as_str());
        let mut names = written.chain(key.filter(|_| file.margins.is_empty())).map(str::to_owned);
        let mut next = || names.next().unwrap_or_default();
        Self { with: file.with.clone(), margins: [next(), next()] }
    }

    fn shrinks(&self) -> bool {
        self.with.measure == Measure::Ebgm
    }
}

impl Evaluator<'_> {
    /// What each of `keys` counts in the period `window`, and where in which table it stands.
    pub(super) fn cells(
        &mut self,
        plan: &PairsPlan,
        keys: &[u32],
        window: &Range<i64>,
    ) -> PeerValues {
        let mut counts = self.measures_of(&[0], keys, window);
        let counts = cast(&counts.swap_remove(0), &DataType::Float64)
            .unwrap_or_else(|_| Arc::new(Float64Array::new_null(keys.len())));
        let interner = self.store.interner(self.rule.space);
        let mut texts: [Vec<Option<String>>; 3] = Default::default();
        for key in keys {
            let mut values = interner.key(*key).values();
            for (of, margin) in plan.margins.iter().enumerate() {
                let value = values.shift_remove(margin).filter(|v| !v.is_null());
                texts[of].push(value.map(|v| v.to_string()));
            }
            texts[2].push(Some(Value::Object(values).to_string()));
        }
        let mut columns = vec![counts];
        columns.extend(texts.map(|of| Arc::new(StringArray::from(of)) as ArrayRef));
        let rows = keys.iter().enumerate().map(|(i, k)| (interner.hash(*k), i as u32));
        PeerValues::new(rows.collect::<HashedMap<_, _>>(), columns)
    }
}

/// What is told of every cell, out of what [`Evaluator::cells`] gathered from all shards.
pub(super) fn judged(plan: &PairsPlan, cells: &[ArrayRef]) -> Vec<ArrayRef> {
    let [counts, texts @ ..] = &cells[..CELL] else { return Vec::new() };
    let text = |of: usize, row: usize| {
        let column = texts[of].as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    };
    let counts = counts.as_primitive::<Float64Type>();
    // A pair without reports has no rows, or none that count.
    let count = |row: usize| {
        let value = Some(counts.value(row)).filter(|_| counts.is_valid(row))?;
        ((1.0..=1e12).contains(&value) && value.fract() == 0.0).then_some(value as u64)
    };
    let cell = |row: usize| Some((count(row)?, text(0, row)?, text(1, row)?, text(2, row)?));
    let (mut of_row, mut of_column, mut of_all) =
        (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let n = counts.len();
    for (count, row, column, table) in (0..n).filter_map(cell) {
        *of_row.entry((table, row)).or_insert(0) += count;
        *of_column.entry((table, column)).or_insert(0) += count;
        *of_all.entry(table).or_insert(0) += count;
    }
    let pair = |row: usize| {
        let (both, r, c, t) = cell(row)?;
        let pair = Pair::try_new(both, of_row[&(t, r)], of_column[&(t, c)], of_all[t]).ok()?;
        Some((t, pair))
    };
    let pairs: Vec<Option<(&str, Pair)>> = (0..n).map(pair).collect();
    let priors = if plan.shrinks() { priors(&pairs) } else { BTreeMap::new() };
    let told = |pair: &Option<(&str, Pair)>| {
        let (table, pair) = pair.as_ref()?;
        Told::of(plan, pair, priors.get(table))
    };
    columns(plan, &pairs.iter().map(told).collect::<Vec<_>>())
}

/// The prior of each table that has enough pairs for one.
fn priors<'a>(pairs: &[Option<(&'a str, Pair)>]) -> BTreeMap<&'a str, Prior> {
    let mut by_table: BTreeMap<&str, Vec<Weighted>> = BTreeMap::new();
    for (table, pair) in pairs.iter().flatten() {
        let weighted = Weighted { n: pair.observed(), expected: pair.expected(), weight: 1.0 };
        by_table.entry(table).or_default().push(weighted);
    }
    let fit = |(table, mut pairs): (&'a str, Vec<Weighted>)| {
        if pairs.len() < PAIRS_MIN {
            return None;
        }
        // Sums of floats: always in this order.
        pairs.sort_by(|a, b| a.n.cmp(&b.n).then(a.expected.total_cmp(&b.expected)));
        if pairs.len() > FITTED_AS_THEY_ARE {
            pairs = prior::squash(&pairs, pairs.len().div_ceil(FITTED_AS_THEY_ARE), KEPT_ALONE);
        }
        Some((table, prior::fit(&pairs).ok()?.prior))
    };
    by_table.into_iter().filter_map(fit).collect()
}

/// What is told of one pair.
struct Told {
    pair: Pair,
    score: Option<f64>,
    alarm: bool,
    prr: Option<Estimate>,
    ror: Option<Estimate>,
    chi2: Option<f64>,
    evans: bool,
    ic: Estimate,
    shrunk: Option<Ebgm>,
}

impl Told {
    /// `None` where the measure needs a prior that could not be fitted.
    fn of(plan: &PairsPlan, pair: &Pair, prior: Option<&Prior>) -> Option<Self> {
        let prior = if plan.shrinks() { prior? } else { &Prior::START };
        let verdict = plan.with.judge(pair, prior).ok()?;
        let judged = verdict.judged()?;
        let ratios = reporting_ratios(pair);
        let shrunk = plan.shrinks().then(|| ebgm(pair.observed(), pair.expected(), prior).ok());
        Some(Self {
            pair: *pair,
            score: judged.score,
            alarm: judged.alarm,
            prr: ratios.prr,
            ror: ratios.ror,
            chi2: ratios.chi_square_yates,
            evans: ratios.evans,
            ic: shrinkage(pair),
            shrunk: shrunk.flatten(),
        })
    }

    fn count(&self, of: usize) -> i64 {
        self.pair.cells()[of + 1] as i64
    }
}

/// Expected, bound, score, p-value, alarm; then [`PAIR`] and perhaps [`SHRUNK`].
fn columns(plan: &PairsPlan, told: &[Option<Told>]) -> Vec<ArrayRef> {
    let number = |of: &dyn Fn(&Told) -> Option<f64>| -> ArrayRef {
        let finite = |t: &Option<Told>| of(t.as_ref()?).filter(|v| v.is_finite());
        Arc::new(told.iter().map(finite).collect::<Float64Array>())
    };
    let p = |t: &Told| poisson_upper_p(t.pair.observed() as f64, t.pair.expected());
    let alarms: BooleanArray = told.iter().map(|t| t.as_ref().map(|t| t.alarm)).collect();
    let mut out = vec![
        number(&|t| Some(t.pair.expected())),
        number(&|_| None),
        number(&|t| t.score),
        number(&p),
        Arc::new(alarms) as ArrayRef,
    ];
    for of in 0..COUNTS {
        let counts = told.iter().map(|t| t.as_ref().map(|t| t.count(of)));
        out.push(Arc::new(counts.collect::<Int64Array>()));
    }
    out.extend([
        number(&|t| t.prr.map(|e| e.value)),
        number(&|t| t.prr.map(|e| e.low)),
        number(&|t| t.chi2),
        number(&|t| t.ror.map(|e| e.value)),
        number(&|t| t.ror.map(|e| e.low)),
        number(&|t| Some(t.ic.value)),
        number(&|t| Some(t.ic.low)),
    ]);
    let evans: BooleanArray = told.iter().map(|t| t.as_ref().map(|t| t.evans)).collect();
    out.push(Arc::new(evans));
    if plan.shrinks() {
        out.push(number(&|t| t.shrunk.map(|e| e.value)));
        out.push(number(&|t| t.shrunk.map(|e| e.quantile(0.05))));
    }
    out
}
