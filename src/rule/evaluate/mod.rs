//! A window of some keys → the values a rule sees, and what holds.
//!
//! In: the pane store, keys, a window in local time. Out: one row of values per key (measures, then compares), and for each
//! the truth of `when` and its severity. Pure: nothing is remembered here. A window's answer depends on the rows in the
//! store alone, so it is the same whenever and however often it is asked for.

mod columns;
mod compare;
mod grow;
mod judge;

use std::{ops::Range, sync::Arc};

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, new_null_array};
use arrow::compute::concat;

pub(super) use columns::aggregate_batch;
pub use columns::row_values;
use columns::{as_type, batch_of, finish};
use grow::Event;
pub use grow::Growth;
pub use judge::{Verdict, judge};

use super::{
    detector::ALARM,
    peers::PeerValues,
    plan::{Aggregate, Measure, Plan, Read, RulePlan},
};
use crate::{
    model::expression::evaluate_rows,
    pane::{
        aggregate::kernel,
        kept::{Found, rows_batch},
        plan::Kernel,
        store::Store,
    },
};

/// Values of some keys over one window.
#[derive(Debug)]
pub struct Values {
    /// One row per key, in the rule's value schema.
    pub batch: RecordBatch,
    /// Rows × expressions that failed.
    pub failures: u64,
    /// Rows about which a detector had no answer.
    pub unanswered: u64,
}

/// What the rows of a batch of values are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows<'a> {
    /// Keys, each with all of its rows.
    Keys(&'a [u32]),
    /// One key after each of its rows; windows that end at `closed_to` or before have all of theirs.
    Growing { key: u32, events: &'a [Event], closed_to: i64 },
}

impl Rows<'_> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Keys(keys) => keys.len(),
            Self::Growing { events, .. } => events.len(),
        }
    }
}

/// Evaluates one rule over the store of one shard.
#[derive(Debug)]
pub struct Evaluator<'a> {
    /// All rules.
    pub plan: &'a Plan,
    /// The rule.
    pub rule: &'a RulePlan,
    /// The shard's store.
    pub store: &'a mut Store,
    /// Local time at which the history of the rule's feeds begins.
    pub history_from: i64,
    /// By compare of the rule; empty where it is not with peers or has none yet.
    pub peers: &'a [Option<Arc<PeerValues>>],
}

impl Evaluator<'_> {
    /// Whether the key has rows of its own in the window `[start, end)`.
    #[must_use]
    pub fn has_rows(&self, key: u32, window: &Range<i64>) -> bool {
        self.rule.slices.iter().any(|s| {
            let panes = self.panes(*s, window);
            self.store.slice(*s).rows(key, &panes) > 0
        })
    }

    /// Keeps the keys that can fire at all: those with rows, and within the bounds that `when` needs.
    pub fn prefilter(&self, keys: &mut Vec<u32>, window: &Range<i64>) {
        for (measure, bound) in &self.rule.bounds {
            let aggregate = &self.rule.aggregates[*measure];
            let slice = self.store.slice(aggregate.slice);
            let plan = &self.store.plan().slices[aggregate.slice];
            let panes = self.panes(aggregate.slice, window);
            match aggregate.read {
                Read::Rows => {
                    let rows = slice.rows_in(&panes);
                    keys.retain(|k| rows(*k) as f64 >= *bound);
                }
                Read::Slot(slot) => {
                    let kind = plan.slots[slot].kind;
                    let arg = &self.store.plan().feeds[plan.feed].args[plan.slots[slot].arg];
                    let states = slice.states(plan, slot, keys, &panes);
                    let mut states = states.chunks_exact(kind.words());
                    keys.retain(|_| match (kind, states.next()) {
                        (Kernel::Distinct | Kernel::NonNull, Some(state)) => {
                            state[0] as f64 >= *bound
                        }
                        // A float sum near the bound is left to the exact comparison.
                        (Kernel::Sum | Kernel::WholeSum, Some(state)) => {
                            let sum = kernel::sum_value(kind, state, arg.value.data_type());
                            sum >= bound - bound.abs() * 1e-9
                        }
                        _ => true,
                    });
                }
                _ => {}
            }
        }
        if self.rule.bounds.is_empty() {
            keys.retain(|k| self.has_rows(*k, window));
        }
    }

    /// Values of `keys` over the window `[start, end)` of local time.
    pub fn values(&mut self, keys: &[u32], window: &Range<i64>) -> Values {
        if self.rule.least.is_some() {
            let batch = batch_of(self.rule, self.bare_measures(keys, window), keys.len());
            return Values { batch, failures: 0, unanswered: 0 };
        }
        let mut failures = 0;
        let aggregates = self.aggregates(keys, window);
        let mut columns = self.measures(&aggregates, keys.len(), &mut failures);
        self.compare_columns(Rows::Keys(keys), window, &mut columns, &mut failures);
        let mut unanswered = 0;
        if let Some(plan) = &self.rule.detect {
            let told = match self.peers.first() {
                Some(Some(all)) if plan.is_joint() => self.of_all(keys, all),
                _ => {
                    let told = self.detection(plan, keys, window);
                    failures += told.failures;
                    told.columns
                }
            };
            unanswered = told.get(ALARM).map_or(0, |alarm| alarm.null_count()) as u64;
            columns.extend(told);
            let fields = self.rule.value_schema.fields();
            let lacking = fields.iter().skip(columns.len());
            columns.extend(lacking.map(|f| new_null_array(f.data_type(), keys.len())));
        }
        Values { batch: batch_of(self.rule, columns, keys.len()), failures, unanswered }
    }

    /// What holds for each row of `values`; keys without rows must be handled by the caller.
    #[must_use]
    pub fn judge(&self, values: &Values) -> Vec<Verdict> {
        judge(self.rule, &values.batch)
    }

    /// One aggregate of many keys over each of `windows`, which ascend.
    pub(super) fn read_all(
        &mut self,
        aggregate: &Aggregate,
        keys: &[u32],
        windows: &[Range<i64>],
    ) -> Vec<ArrayRef> {
        let plan = self.store.plan().clone();
        let plan = &plan.slices[aggregate.slice];
        match aggregate.read {
            Read::Slot(slot) if plan.slots[slot].kind == Kernel::Distinct => {
                let panes: Vec<_> =
                    windows.iter().map(|window| self.panes(aggregate.slice, window)).collect();
                let slice = self.store.slice(aggregate.slice);
                let counts: Vec<Vec<i64>> =
                    keys.iter().map(|key| slice.distinct_in(plan, slot, *key, &panes)).collect();
                let of_window = |w: usize| {
                    let states: Vec<i64> = counts.iter().map(|of_key| of_key[w]).collect();
                    let column = finish(aggregate, Kernel::Distinct, &states);
                    as_type(column, &aggregate.data_type)
                };
                (0..windows.len()).map(of_window).collect()
            }
            _ => windows.iter().map(|window| self.read(aggregate, keys, window)).collect(),
        }
    }

    /// The records behind the key's window: those of every slice the rule reads, each once, by event time and arrival.
    pub fn records(&mut self, key: u32, window: &Range<i64>) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        for s in &self.rule.slices {
            let panes = self.panes(*s, window);
            found.extend(self.store.rows_of(*s, key, &panes));
        }
        found.sort_by_key(|f| (f.event_ms(), f.arrival()));
        found.dedup_by_key(|f| f.arrival());
        found
    }

    /// Some measures of `keys` over `window`, from no other aggregates than theirs.
    pub(super) fn measures_of(
        &mut self,
        measures: &[usize],
        keys: &[u32],
        window: &Range<i64>,
    ) -> Vec<ArrayRef> {
        let rule = self.rule;
        let values = || measures.iter().map(|m| &rule.measures[*m]);
        let column = |(c, aggregate): (usize, &Aggregate)| {
            if values().any(|m| m.value.columns().contains(&c)) {
                self.read(aggregate, keys, window)
            } else {
                new_null_array(&aggregate.data_type, keys.len())
            }
        };
        let columns = rule.aggregates.iter().enumerate().map(column).collect();
        let batch = aggregate_batch(rule, columns, keys.len());
        values().map(|m| measure(m, &batch, keys.len(), &mut 0)).collect()
    }

    pub(super) fn panes(&self, slice: usize, window: &Range<i64>) -> Range<i32> {
        let grid = self.store.plan().slices[slice].grid;
        grid.pane(window.start)..grid.pane(window.end)
    }

    fn aggregates(&mut self, keys: &[u32], window: &Range<i64>) -> RecordBatch {
        let columns = self.rule.aggregates.iter().map(|a| self.read(a, keys, window)).collect();
        aggregate_batch(self.rule, columns, keys.len())
    }

    /// Measures that are aggregates as they are.
    fn bare_measures(&mut self, keys: &[u32], window: &Range<i64>) -> Vec<ArrayRef> {
        let rule = self.rule;
        let aggregates = rule.measures.iter().filter_map(|m| m.value.column());
        aggregates.map(|a| self.read(&rule.aggregates[a], keys, window)).collect()
    }

    /// One aggregate of many keys over one window.
    fn read(&mut self, aggregate: &Aggregate, keys: &[u32], window: &Range<i64>) -> ArrayRef {
        let panes = self.panes(aggregate.slice, window);
        let column: ArrayRef = match &aggregate.read {
            Read::Rows => {
                let rows = self.store.slice(aggregate.slice).rows_in(&panes);
                Arc::new(keys.iter().map(|k| rows(*k) as i64).collect::<Int64Array>())
            }
            Read::Slot(slot) | Read::Mean(slot, _) => {
                let plan = self.store.plan().clone();
                let plan = &plan.slices[aggregate.slice];
                let slice = self.store.slice(aggregate.slice);
                let kind = plan.slots[*slot].kind;
                finish(aggregate, kind, &slice.states(plan, *slot, keys, &panes))
            }
            Read::FromRows(udaf) => {
                let udaf = udaf.clone();
                let parts: Vec<ArrayRef> = keys
                    .iter()
                    .map(|k| {
                        let mut rows = self.store.rows_of(aggregate.slice, *k, &panes);
                        rows.sort_by_key(|f| {
                            (
                                f.event_ms(),
                                f.piece.rows.ids.get(f.row as usize).copied(),
                                f.arrival(),
                            )
                        });
                        rows_batch(&rows)
                            .and_then(|b| udaf.aggregate(&b).ok())
                            .unwrap_or_else(|| new_null_array(&aggregate.data_type, 1))
                    })
                    .collect();
                let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
                if parts.is_empty() {
                    new_null_array(&aggregate.data_type, 0)
                } else {
                    concat(&parts)
                        .unwrap_or_else(|_| new_null_array(&aggregate.data_type, keys.len()))
                }
            }
        };
        as_type(column, &aggregate.data_type)
    }

    pub(super) fn measures(
        &self,
        aggregates: &RecordBatch,
        n: usize,
        failures: &mut u64,
    ) -> Vec<ArrayRef> {
        self.rule.measures.iter().map(|m| measure(m, aggregates, n, failures)).collect()
    }
}

/// A measure over `n` rows of aggregates.
fn measure(m: &Measure, aggregates: &RecordBatch, n: usize, failures: &mut u64) -> ArrayRef {
    if let Some(column) = m.value.column() {
        return aggregates.column(column).clone();
    }
    let (values, failed) = evaluate_rows(m.value.as_ref(), aggregates);
    *failures += failed;
    if values.len() == n { values } else { new_null_array(m.value.data_type(), n) }
}
