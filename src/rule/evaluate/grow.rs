//! How an open window grew, record by record: for rules that fire early.

use std::{ops::Range, sync::Arc};

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, new_null_array};

use super::{
    Evaluator, Rows,
    columns::{aggregate_batch, as_type, batch_of, finish},
    judge::{Verdict, judge},
};
use crate::{
    model::{
        expression::evaluate_rows,
        hash::{HashedMap, hash_column},
        signal::{Severity, Truth},
    },
    pane::{
        aggregate::kernel,
        kept::{Found, rows_batch},
        plan::{Argument, Kernel},
        prepare::arg_values,
    },
    rule::plan::{Aggregate, Read},
};

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
pub(in crate::rule) struct Event {
    /// Position in the rule's slices.
    slice: usize,
    pane: i32,
    found: Found,
}

impl Evaluator<'_> {
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

    /// The rule's measures over `window` after each of `events`.
    pub(super) fn grown(
        &self,
        events: &[Event],
        window: &Range<i64>,
        failures: &mut u64,
    ) -> Vec<ArrayRef> {
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
}

fn running_states(kind: Kernel, arg: &Argument, found: &[&Found]) -> Vec<Vec<i64>> {
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
    let args = arg_values(&values, arg.form);
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
