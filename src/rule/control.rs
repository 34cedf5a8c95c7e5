//! Control: what is told of the keys of one period beside each other, and which alarms stand when many were tested.
//!
//! In: what a detector told of every key with rows in a period, or what the keys of a table or scan count, from all shards.
//! Out: what is told of each; under control with `q_value`, the p-value adjusted after Benjamini and Hochberg within each
//! family, and `alarm` only where that is low enough. A key without rows
//! in the period that has some in its baseline was tested too, with p-value 1: a family is no smaller for being quiet.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, StringArray, UInt32Array},
    compute::take,
    datatypes::Float64Type,
};
use serde_json::Value;

use super::{
    detection::{ControlPlan, DetectPlan, Judge, Told},
    detector::{ALARM, P_VALUE},
    evaluate::Evaluator,
    peers::PeerValues,
    plan::RulePlan,
    scan, table,
};
use crate::{
    detect::ratio::multiplicity::{self, Method},
    model::hash::HashedMap,
};

impl Evaluator<'_> {
    /// What is told of every key that was tested in the period `window`, or what it counts there, by the key's hash; the
    /// key's family comes last where there is control. `keys` have rows in the period.
    pub fn tested(&mut self, keys: &[u32], window: &Range<i64>) -> PeerValues {
        let Some(plan) = &self.rule.detect else { return PeerValues::default() };
        let (all, values) = match &plan.judge {
            Judge::Series(_) => match &plan.control {
                Some(control) => return self.tested_apart(plan, control, keys, window),
                None => return PeerValues::default(),
            },
            Judge::Pairs(pairs) => (keys.to_vec(), self.cells(pairs, keys, window)),
            Judge::Scan(scan) => {
                let periods = plan.periods(window.end, self.history_from);
                if periods.is_empty() {
                    return PeerValues::default();
                }
                let mut all = keys.to_vec();
                all.extend(self.quiet(plan, keys, window));
                let counted = self.counted((plan, scan), (&all, keys.len()), &periods);
                (all, counted)
            }
        };
        let Some(control) = &plan.control else { return values };
        let families: StringArray = all.iter().map(|k| Some(self.family(control, *k))).collect();
        let (rows, mut columns) = values.into_parts();
        columns.push(Arc::new(families));
        PeerValues::new(rows, columns)
    }

    fn tested_apart(
        &mut self,
        plan: &DetectPlan,
        control: &ControlPlan,
        keys: &[u32],
        window: &Range<i64>,
    ) -> PeerValues {
        let rule = self.rule;
        let mut all = keys.to_vec();
        if self.is_ready(plan, window) {
            all.extend(self.quiet(plan, keys, window));
        }
        let Told { mut columns, .. } = self.detection(plan, keys, window);
        let quiet = all.len() - keys.len();
        // Quiet keys behind the others: a p-value of 1 and nothing else.
        let padded: UInt32Array =
            (0..all.len()).map(|i| (i < keys.len()).then_some(i as u32)).collect();
        for column in &mut columns {
            if let Ok(more) = take(column.as_ref(), &padded, None) {
                *column = more;
            }
        }
        let p = columns[P_VALUE].as_primitive::<Float64Type>();
        let with_quiet = p.iter().take(keys.len()).chain((0..quiet).map(|_| Some(1.0)));
        columns[P_VALUE] = Arc::new(with_quiet.collect::<Float64Array>());
        let families: StringArray = all.iter().map(|k| Some(self.family(control, *k))).collect();
        columns.push(Arc::new(families));
        let interner = self.store.interner(rule.space);
        let rows = all.iter().enumerate().map(|(i, k)| (interner.hash(*k), i as u32));
        PeerValues::new(rows.collect::<HashedMap<_, _>>(), columns)
    }

    /// Keys without rows in `window` that have some in its baseline.
    fn quiet(&self, plan: &DetectPlan, keys: &[u32], window: &Range<i64>) -> Vec<u32> {
        let baselines = plan.baselines(window, self.history_from);
        let had = |key: u32| baselines.iter().any(|times| self.has_rows(key, times));
        let mut all: Vec<u32> =
            self.rule.slices.iter().flat_map(|s| self.store.slice(*s).keys()).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|k| keys.binary_search(k).is_err() && had(*k));
        all
    }

    /// The values in which the keys of a family agree, as text.
    fn family(&self, control: &ControlPlan, key: u32) -> String {
        if control.within.is_empty() {
            return String::new();
        }
        let values = self.store.interner(self.rule.space).key(key).values();
        let part = |name: &String| values.get(name).cloned().unwrap_or(Value::Null);
        Value::Array(control.within.iter().map(part).collect()).to_string()
    }

    /// What was told of `keys`, out of what was told of all.
    pub(super) fn of_all(&self, keys: &[u32], all: &PeerValues) -> Vec<ArrayRef> {
        let interner = self.store.interner(self.rule.space);
        let rows: UInt32Array = keys.iter().map(|k| all.row(interner.hash(*k))).collect();
        let taken = |column: &ArrayRef| take(column.as_ref(), &rows, None).ok();
        all.measures().iter().filter_map(taken).collect()
    }
}

/// Puts the keys of all shards together: tables and scans are judged; then families have their q-values, and alarms stand
/// only where they are low enough.
#[must_use]
pub fn adjusted(rule: &RulePlan, tested: PeerValues) -> PeerValues {
    let Some(plan) = &rule.detect else { return tested };
    let (rows, mut columns) = tested.into_parts();
    if columns.is_empty() {
        return PeerValues::new(rows, columns);
    }
    let families = plan.control.as_ref().and_then(|_| columns.pop());
    columns = match &plan.judge {
        Judge::Series(_) => columns,
        Judge::Pairs(pairs) => table::judged(pairs, &columns),
        Judge::Scan(scan) => scan::judged(scan, &columns),
    };
    let (Some(control), Some(families)) = (&plan.control, families) else {
        return PeerValues::new(rows, columns);
    };
    let p = columns[P_VALUE].as_primitive::<Float64Type>();
    let families = families.as_string::<i32>();
    let mut of_family: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for row in (0..p.len()).filter(|row| p.is_valid(*row)) {
        of_family.entry(families.value(row)).or_default().push(row);
    }
    let mut q: Vec<Option<f64>> = vec![None; p.len()];
    for rows in of_family.values() {
        let values: Vec<f64> = rows.iter().map(|row| p.value(*row)).collect();
        let found = multiplicity::adjust(&values, Method::BenjaminiHochberg).unwrap_or_default();
        rows.iter().zip(found).for_each(|(row, adjusted)| q[*row] = Some(adjusted));
    }
    let alarm = columns[ALARM].as_boolean();
    let stands = |(alarm, q): (Option<bool>, &Option<f64>)| {
        alarm.map(|alarm| alarm && q.is_some_and(|q| q <= control.fdr))
    };
    let alarms: BooleanArray = alarm.iter().zip(&q).map(stands).collect();
    columns[ALARM] = Arc::new(alarms);
    columns.push(Arc::new(Float64Array::from(q)));
    PeerValues::new(rows, columns)
}
