//! A window of some keys → the values a rule sees, and what holds.
//!
//! In: the pane store, keys, a window in local time. Out: one row of values per key (measures, then compares), and for each
//! the truth of `when` and its severity. Pure: nothing is remembered here. A window's answer depends on the rows in the
//! store alone, so it is the same whenever and however often it is asked for.

use std::{ops::Range, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Float64Array, Float64Builder, Int64Array, RecordBatch,
        RecordBatchOptions, UInt32Array, new_null_array,
    },
    buffer::BooleanBuffer,
    compute::{cast, concat, take},
    datatypes::{DataType, Float64Type, Int64Type},
};
use serde_json::Value;

use super::{
    detector::ALARM,
    file::HistoryOf,
    peers::PeerValues,
    plan::{Aggregate, CompareWith, Measure, Plan, Read, RulePlan},
};
use crate::{
    model::{
        expression::{evaluate_rows, true_mask},
        hash::{HashedMap, hash_column},
        signal::{Severity, Truth},
        value::value_at,
    },
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

/// What holds for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Fire, clear or neither.
    pub truth: Truth,
    /// The severity if it fires.
    pub severity: Severity,
}

/// How the open window of one key grew.
#[derive(Debug)]
pub struct Growth {
    /// The rows that moved its values, in the order of their arrival.
    pub records: Vec<Found>,
    /// The values after each of them.
    pub values: RecordBatch,
    /// What held after each. Clear where nobody asks: before the key has a row in the window's last step, so that a window
    /// far ahead is not compared with one that is hardly begun, and while a row is in some slices only.
    pub verdicts: Vec<Verdict>,
}

impl Growth {
    /// The steps at which the window fires more severely than at all before, and than `told`.
    #[must_use]
    pub fn rises(&self, told: Option<Severity>) -> Vec<usize> {
        let mut highest = told;
        let rises = |(i, verdict): (usize, &Verdict)| {
            let rises = verdict.truth == Truth::Fire && Some(verdict.severity) > highest;
            rises.then(|| {
                highest = Some(verdict.severity);
                i
            })
        };
        self.verdicts.iter().enumerate().filter_map(rises).collect()
    }
}

/// A row of a window that grows, in one of the rule's slices.
#[derive(Debug)]
pub(super) struct Event {
    /// Position in the rule's slices.
    slice: usize,
    pane: i32,
    found: Found,
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

    /// How the open window `[start, end)` of `key` grew, record by record in the order of arrival; its last step is as
    /// long as `every_ms`. Windows that end at the local time `closed_to` or before do not change: of those that are
    /// compared with and end behind it, a record sees what had arrived. Only for early rules.
    pub fn growth(
        &mut self,
        key: u32,
        window: &Range<i64>,
        every_ms: i64,
        closed_to: i64,
    ) -> Growth {
        let rule = self.rule;
        let moving = rule.shifts().filter(|s| window.end - s > closed_to);
        let from = window.start - moving.max().unwrap_or(0);
        let mut events: Vec<Event> = Vec::new();
        for (slice, s) in rule.slices.iter().enumerate() {
            let panes = self.panes(*s, &(from..window.end));
            let lane = self.plan.panes.slices[*s].lane;
            let rows = self.store.rows_of(*s, key, &panes).into_iter();
            events.extend(rows.map(|found| Event {
                slice,
                pane: found.piece.rows.panes[lane][found.row as usize],
                found,
            }));
        }
        events.sort_by_key(|e| (e.found.arrival(), e.slice));
        let mut failures = 0;
        let mut columns = self.grown(&events, window, &mut failures);
        let rows = Rows::Growing { key, events: &events, closed_to };
        self.compare_columns(rows, window, &mut columns, &mut failures);
        let values = batch_of(rule, columns, events.len());
        let mut verdicts = judge(rule, &values);
        let newest = window.end - every_ms..window.end;
        let mut begun = false;
        for (i, event) in events.iter().enumerate() {
            begun |= self.panes(rule.slices[event.slice], &newest).contains(&event.pane);
            let next = events.get(i + 1).map(|next| next.found.arrival());
            if !begun || next == Some(event.found.arrival()) {
                verdicts[i].truth = Truth::Clear;
            }
        }
        Growth { records: events.into_iter().map(|e| e.found).collect(), verdicts, values }
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

    /// The rule's measures over `window` after each of `events`.
    fn grown(&self, events: &[Event], window: &Range<i64>, failures: &mut u64) -> Vec<ArrayRef> {
        let aggregates = self.rule.aggregates.iter();
        let columns = aggregates.map(|a| self.running(a, events, window)).collect();
        let batch = aggregate_batch(self.rule, columns, events.len());
        self.measures(&batch, events.len(), failures)
    }

    /// One aggregate over `window` after each of `events`, in their order; only events of its own slice move it.
    fn running(&self, aggregate: &Aggregate, events: &[Event], window: &Range<i64>) -> ArrayRef {
        let own = self.rule.slices.iter().position(|s| *s == aggregate.slice);
        let panes = self.panes(aggregate.slice, window);
        let mine = |e: &Event| Some(e.slice) == own && panes.contains(&e.pane);
        let column: ArrayRef = match &aggregate.read {
            Read::Rows => {
                let mut n = 0i64;
                let rows = events.iter().map(|e| {
                    n += i64::from(mine(e));
                    n
                });
                Arc::new(rows.collect::<Int64Array>())
            }
            Read::Slot(slot) | Read::Mean(slot, _) => {
                let plan = &self.store.plan().slices[aggregate.slice];
                let slot = plan.slots[*slot];
                let arg = &self.store.plan().feeds[plan.feed].args[slot.arg];
                let found: Vec<&Found> =
                    events.iter().filter(|e| mine(e)).map(|e| &e.found).collect();
                let states = running_states(slot.kind, arg, &found);
                let mut next = 0;
                let none = vec![0; slot.kind.words()];
                let states: Vec<i64> = events
                    .iter()
                    .flat_map(|e| {
                        next += usize::from(mine(e));
                        if next == 0 { &none } else { &states[next - 1] }
                    })
                    .copied()
                    .collect();
                finish(aggregate, slot.kind, &states)
            }
            // Rules that read the second tier do not fire early.
            Read::FromRows(_) => new_null_array(&aggregate.data_type, events.len()),
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

    fn compare_columns(
        &mut self,
        rows: Rows<'_>,
        window: &Range<i64>,
        columns: &mut Vec<ArrayRef>,
        failures: &mut u64,
    ) {
        let rule = self.rule;
        for (i, compare) in rule.compares.iter().enumerate() {
            match &compare.with {
                CompareWith::Shift(shift) => {
                    let earlier = window.start - shift..window.end - shift;
                    let all = self.measures_at(rows, &earlier, failures);
                    columns.extend(compare.measures.iter().map(|m| all[*m].clone()));
                }
                CompareWith::History { shifts, of } => {
                    // History that is only partly there is no history: `when` must not compare with half of it.
                    if shifts.iter().any(|s| window.start - s < self.history_from) {
                        let null = || new_null_array(&DataType::Float64, rows.len());
                        columns.extend(compare.measures.iter().map(|_| null()));
                        continue;
                    }
                    let windows: Vec<Vec<ArrayRef>> = shifts
                        .iter()
                        .map(|s| {
                            self.measures_at(rows, &(window.start - s..window.end - s), failures)
                        })
                        .collect();
                    for m in &compare.measures {
                        let series: Vec<&ArrayRef> = windows.iter().map(|w| &w[*m]).collect();
                        columns.push(history(&series, *of, rows.len()));
                    }
                }
                CompareWith::Peers { link, .. } => {
                    let peers = self.peers.get(i).and_then(Option::as_ref);
                    for m in &compare.measures {
                        columns.push(self.peer_column(peers, *link, *m, rows));
                    }
                }
            }
        }
    }

    /// All measures over an earlier window; NULL where it begins before the feed's history.
    fn measures_at(
        &mut self,
        rows: Rows<'_>,
        window: &Range<i64>,
        failures: &mut u64,
    ) -> Vec<ArrayRef> {
        if window.start < self.history_from {
            let null = |m: &super::plan::Measure| new_null_array(m.value.data_type(), rows.len());
            return self.rule.measures.iter().map(null).collect();
        }
        match rows {
            Rows::Keys(keys) => {
                let batch = self.aggregates(keys, window);
                self.measures(&batch, keys.len(), failures)
            }
            Rows::Growing { events, closed_to, .. } if window.end > closed_to => {
                self.grown(events, window, failures)
            }
            Rows::Growing { key, .. } => {
                let fixed = self.measures_at(Rows::Keys(&[key]), window, failures);
                fixed.iter().map(|column| repeated(column, rows.len())).collect()
            }
        }
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

/// What holds for each row of values.
#[must_use]
pub fn judge(rule: &RulePlan, values: &RecordBatch) -> Vec<Verdict> {
    if let Some(least) = &rule.least {
        return judge_whole(rule, least, values);
    }
    let n = values.num_rows();
    let when = match &rule.when {
        Some(e) => true_mask(&evaluate_rows(e.as_ref(), values).0),
        None => BooleanBuffer::new_set(n),
    };
    let clear = rule.clear.as_ref().map(|e| {
        let (result, _) = evaluate_rows(e.as_ref(), values);
        // `clear` NULL clears, as a missing value cannot hold an alert up.
        let nulls = result.nulls().map(|n| n.inner().clone());
        let mask = true_mask(&result);
        match nulls {
            Some(valid) => &mask | &!&valid,
            None => mask,
        }
    });
    let ladder: Vec<_> = rule
        .severity
        .iter()
        .map(|(severity, e)| {
            let mask = e.as_ref().filter(|_| when.count_set_bits() > 0);
            (*severity, e.is_some(), mask.map(|e| true_mask(&evaluate_rows(e.as_ref(), values).0)))
        })
        .collect();
    (0..n)
        .map(|i| {
            let truth = if when.value(i) {
                Truth::Fire
            } else if clear.as_ref().is_none_or(|c| c.value(i)) {
                Truth::Clear
            } else {
                Truth::Hold
            };
            let rung = ladder.iter().find(|(_, conditional, mask)| {
                !conditional || mask.as_ref().is_some_and(|m| m.value(i))
            });
            Verdict { truth, severity: rung.map_or(Severity::Low, |(s, ..)| *s) }
        })
        .collect()
}

/// The same where `when` asks for whole numbers only.
fn judge_whole(rule: &RulePlan, least: &[i64], values: &RecordBatch) -> Vec<Verdict> {
    let severity = rule.severity.first().map_or(Severity::Low, |(severity, _)| *severity);
    let mut verdicts = vec![Verdict { truth: Truth::Fire, severity }; values.num_rows()];
    let asked = values.columns().iter().zip(least).filter(|(_, least)| **least > i64::MIN);
    for (column, least) in asked {
        let column = column.as_primitive::<Int64Type>();
        for (i, verdict) in verdicts.iter_mut().enumerate() {
            if column.is_null(i) || column.value(i) < *least {
                verdict.truth = Truth::Clear;
            }
        }
    }
    verdicts
}

/// One row of values as JSON, in the order of the value schema.
#[must_use]
pub fn row_values(batch: &RecordBatch, row: usize) -> Box<[Value]> {
    batch.columns().iter().map(|c| value_at(c, row)).collect()
}

fn running_states(
    kind: Kernel,
    arg: &crate::pane::plan::Argument,
    found: &[&Found],
) -> Vec<Vec<i64>> {
    let owned: Vec<Found> = found.iter().map(|f| (*f).clone()).collect();
    let Some(batch) = rows_batch(&owned) else { return Vec::new() };
    let (values, _) = evaluate_rows(arg.value.as_ref(), &batch);
    if kind == Kernel::Distinct {
        let mut seen: HashedMap<u128, ()> = HashedMap::default();
        let hashes = hash_column(&values);
        return (0..hashes.len())
            .map(|i| {
                if values.is_valid(i) {
                    seen.insert(hashes[i], ());
                }
                vec![seen.len() as i64]
            })
            .collect();
    }
    let args = crate::pane::prepare::arg_values(&values, arg.form);
    let mut state = vec![0; kind.words()];
    (0..batch.num_rows())
        .map(|i| {
            let moment = || {
                let ids = &owned[i].piece.rows.ids;
                let tie = ids.get(owned[i].row as usize).map_or(0, |id| *id as i64);
                kernel::Moment { at_ms: owned[i].event_ms(), tie }
            };
            kernel::add(kind, &mut state, &args, i, moment);
            state.clone()
        })
        .collect()
}

fn finish(aggregate: &Aggregate, kind: Kernel, states: &[i64]) -> ArrayRef {
    match &aggregate.read {
        Read::Mean(_, arg_type) => {
            kernel::finish_mean(kind, &aggregate.data_type, arg_type, states)
        }
        _ => {
            let column = kernel::finish(kind, &aggregate.data_type, states);
            if aggregate.zero && column.null_count() > 0 { zeroed(&column) } else { column }
        }
    }
}

/// NULLs of a sum over no rows become 0: a quiet key has 0, not nothing.
fn zeroed(column: &ArrayRef) -> ArrayRef {
    let zero = cast(&(Arc::new(Int64Array::from(vec![0])) as ArrayRef), column.data_type());
    match zero {
        Ok(zero) => {
            let indices: Vec<(usize, usize)> = (0..column.len())
                .map(|i| if column.is_null(i) { (1, 0) } else { (0, i) })
                .collect();
            arrow::compute::interleave(&[column.as_ref(), zero.as_ref()], &indices)
                .unwrap_or_else(|_| column.clone())
        }
        Err(_) => column.clone(),
    }
}

/// A column of one value as one of `n`.
fn repeated(one: &ArrayRef, n: usize) -> ArrayRef {
    take(one.as_ref(), &UInt32Array::from(vec![0; n]), None)
        .unwrap_or_else(|_| new_null_array(one.data_type(), n))
}

fn as_type(column: ArrayRef, data_type: &DataType) -> ArrayRef {
    if column.data_type() == data_type {
        return column;
    }
    cast(&column, data_type).unwrap_or_else(|_| new_null_array(data_type, column.len()))
}

pub(super) fn aggregate_batch(rule: &RulePlan, columns: Vec<ArrayRef>, n: usize) -> RecordBatch {
    new_batch(&rule.aggregate_schema, columns, n)
}

fn batch_of(rule: &RulePlan, columns: Vec<ArrayRef>, n: usize) -> RecordBatch {
    new_batch(&rule.value_schema, columns, n)
}

fn new_batch(
    schema: &arrow::datatypes::SchemaRef,
    columns: Vec<ArrayRef>,
    n: usize,
) -> RecordBatch {
    let columns =
        columns.into_iter().zip(schema.fields()).map(|(c, f)| as_type(c, f.data_type())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(n));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .unwrap_or_else(|_| RecordBatch::new_empty(schema.clone()))
}

/// One column over several earlier windows, nearest first, as floats; a window without a value is left out.
fn history(windows: &[&ArrayRef], of: HistoryOf, n: usize) -> ArrayRef {
    let windows: Vec<Float64Array> = windows
        .iter()
        .map(|w| match w.data_type() {
            DataType::Int64 => w.as_primitive::<Int64Type>().unary(|v| v as f64),
            _ => cast(w, &DataType::Float64).map_or_else(
                |_| Float64Array::new_null(n),
                |c| c.as_primitive::<Float64Type>().clone(),
            ),
        })
        .collect();
    let mut out = Float64Builder::with_capacity(n);
    let mut values = Vec::with_capacity(windows.len());
    for i in 0..n {
        values.clear();
        values.extend(windows.iter().filter(|w| w.is_valid(i)).map(|w| w.value(i)));
        out.append_option(statistic(&mut values, of));
    }
    Arc::new(out.finish())
}

fn statistic(values: &mut [f64], of: HistoryOf) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let n = values.len();
    Some(match of {
        HistoryOf::Mean => values.iter().sum::<f64>() / n as f64,
        HistoryOf::Sum => values.iter().sum(),
        HistoryOf::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        HistoryOf::Median => {
            values.sort_by(f64::total_cmp);
            if n % 2 == 1 { values[n / 2] } else { f64::midpoint(values[n / 2 - 1], values[n / 2]) }
        }
    })
}
