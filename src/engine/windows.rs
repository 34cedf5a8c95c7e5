//! Closing windows.
//!
//! Promise: what a window answers is found out when it closes, of the keys for which something changed. Open windows that
//! fire before are in `open`; rows that change closed ones in `correct`.

use std::{ops::Range, sync::Arc};

use arrow::array::RecordBatch;
use serde_json::{Map, Value};

use super::{
    held::Word,
    shard::{Shard, signals_of, window_span},
};
use crate::{
    model::{
        signal::{Cause, Outcome, Severity, Span, Truth},
        value::write_row,
        window::WindowSpec,
    },
    rule::{
        evaluate::{Verdict, row_values},
        peers::PeerValues,
        plan::RulePlan,
    },
};

/// Peers' values of one rule's closing windows: by window end, then by compare.
pub type PeersByEnd = Vec<(i64, Vec<Option<Arc<PeerValues>>>)>;

/// What the close of a window left.
#[derive(Default)]
struct Closed {
    /// Keys to be evaluated at the next end.
    active: Vec<u32>,
    /// Keys whose alert has ended or is less severe than before.
    fallen: Vec<u32>,
}

impl Shard {
    /// Ends of the windows of rule `r` that close when its watermark reaches the local time `to`, oldest first.
    pub(super) fn ends(&self, r: usize, to: i64) -> Vec<i64> {
        let rule = &self.plan.rules[r];
        let Some(step) = rule.step() else { return Vec::new() };
        let Some(from) = self.rules[r].closed_to.or_else(|| self.first_local(rule)) else {
            return Vec::new();
        };
        step.ends_behind(from).take_while(|end| *end <= to).collect()
    }

    /// Start of the first pane that has rows.
    fn first_local(&self, rule: &RulePlan) -> Option<i64> {
        let start = |s: &usize| {
            let grid = self.plan.panes.slices[*s].grid;
            self.store.slice(*s).next_touched(i32::MIN + 1).map(|p| grid.start(p))
        };
        rule.slices.iter().filter_map(start).min()
    }

    /// Peers' values of this shard for the windows of rule `r` that end at `ends`, by window and compare; of the peers whose
    /// key has a hash in `only`, of all without it.
    pub(super) fn peers(
        &mut self,
        r: usize,
        ends: &[i64],
        only: Option<&[u128]>,
    ) -> Vec<Vec<PeerValues>> {
        let plan = self.plan.clone();
        let rule = &plan.rules[r];
        let Some(window) = rule.repeating() else { return Vec::new() };
        let windows: Vec<Range<i64>> = ends.iter().map(|end| window.ending(*end)).collect();
        if rule.is_joint() {
            let tested = |window: &Range<i64>| {
                let mut keys = self.keys_in(rule, window);
                keys.sort_unstable();
                keys.dedup();
                vec![self.evaluator(r, &[]).tested(&keys, window)]
            };
            return windows.iter().map(tested).collect();
        }
        let mut evaluator = self.evaluator(r, &[]);
        let mut out: Vec<Vec<PeerValues>> = ends.iter().map(|_| Vec::new()).collect();
        for c in 0..rule.compares.len() {
            let of_compare = evaluator.peer_values(c, &windows, only);
            out.iter_mut().zip(of_compare).for_each(|(of_end, values)| of_end.push(values));
        }
        out
    }

    /// Closes the windows of rule `r` up to its watermark, the local time `to`.
    pub(super) fn close(&mut self, r: usize, to: i64, cause: Cause, peers: &PeersByEnd) {
        let plan = self.plan.clone();
        let rule = &plan.rules[r];
        let Some((windows, step)) = rule.repeating().zip(rule.step()) else {
            return self.close_sessions(r, rule, to, cause);
        };
        let ends = match peers.is_empty() {
            true => self.ends(r, to),
            false => peers.iter().map(|(end, _)| *end).collect(),
        };
        for (i, end) in ends.into_iter().enumerate() {
            let peers = peers.get(i).map_or(&[][..], |(_, p)| p.as_slice());
            self.close_one(r, rule, &windows.ending(end), cause, peers);
        }
        self.closing = false;
        // A shard without a row of the rule has nothing to close, and knows all the same how far windows are closed.
        self.rules[r].closed_to = self.rules[r].closed_to.max(Some(step.last_end(to)));
    }

    fn close_one(
        &mut self,
        r: usize,
        rule: &RulePlan,
        window: &Range<i64>,
        cause: Cause,
        peers: &[Option<Arc<PeerValues>>],
    ) {
        self.closing = true;
        let end = window.end;
        let early = rule.early && self.specs[r].live;
        let mut keys = self.candidates(rule, window);
        self.evaluator(r, peers).prefilter(&mut keys, window);
        keys.extend(&self.rules[r].active);
        keys.sort_unstable();
        keys.dedup();
        let (verdicts, values) = self.verdicts(r, &keys, window, peers);
        if early {
            // What open windows already say comes first: their records arrived before this close.
            let ahead = self.ahead(rule, Some(end));
            let mut news = self.news_of(r, rule, end, &keys, &verdicts);
            news.extend(self.news(r, rule, ahead));
            self.tell_open(r, rule, news, None);
        }
        let mut closed = Closed::default();
        self.close_keys(r, rule, window, (&keys, &verdicts, &values), cause, &mut closed);
        // Keys whose alert is of windows further on.
        let mut others = self.rules[r].active.clone();
        others.retain(|k| keys.binary_search(k).is_err());
        if early && !others.is_empty() {
            let (verdicts, values) = self.verdicts(r, &others, window, peers);
            self.close_keys(r, rule, window, (&others, &verdicts, &values), cause, &mut closed);
        }
        let Closed { mut active, fallen } = closed;
        active.sort_unstable();
        active.dedup();
        self.replace_active(r, active);
        self.lifecycle.closed(r, window_span(rule, end, &self.zone).end_ms);
        // Early marks of this window have served.
        let done: Vec<(i64, u32)> =
            self.rules[r].early.range(..(end + 1, 0)).map(|(k, _)| *k).collect();
        for mark in done {
            self.rules[r].early.remove(&mark);
            let after = self.store.latest_ms();
            self.store.interner_mut(rule.space).release(mark.1, after);
        }
        self.rules[r].closed_to = Some(end);
        // A key that has just gone quiet may already fire again in the next window.
        let looks = self.ahead_of(r, rule, &fallen);
        self.look_again(r, rule, looks, cause);
    }

    /// Says what a closing window says of some keys, and keeps their signals.
    fn close_keys(
        &mut self,
        r: usize,
        rule: &RulePlan,
        window: &Range<i64>,
        (keys, verdicts, values): (&[u32], &[Verdict], &RecordBatch),
        cause: Cause,
        closed: &mut Closed,
    ) {
        let end = window.end;
        let cause = Cause { at_ms: self.zone.to_utc(end), ..cause };
        let span = window_span(rule, end, &self.zone);
        let live = self.specs[r].live;
        for (i, key) in keys.iter().enumerate() {
            let verdict = verdicts[i];
            let known = if live && rule.early { self.severity(r, rule, *key) } else { None };
            if verdict.truth == Truth::Fire {
                if live {
                    let row = row_values(values, i);
                    let outcome = self.outcome(r, rule, *key, (span, true), verdict, &row, cause);
                    self.tell(r, *key, &outcome);
                }
                self.hold_signal_of(r, rule, end, *key, (verdict.severity, span), (values, i));
                // A true key repeats its signal at every step, changed or not.
                closed.active.push(*key);
            } else if live
                && (self.is_active(r, *key) || self.rules[r].early.contains_key(&(end, *key)))
            {
                let k = self.store.interner(rule.space).key(*key).clone();
                let outcome = self.quiet(r, &k, span, verdict.truth, cause, true);
                self.tell(r, *key, &outcome);
            }
            if live && self.is_active(r, *key) {
                closed.active.push(*key);
            }
            if known.is_some() && self.severity(r, rule, *key) < known {
                closed.fallen.push(*key);
            }
        }
    }

    /// Signals of the windows that the end of the input left open; they raise no alerts.
    pub(super) fn keep_open(&mut self, r: usize, peers: &PeersByEnd) {
        let plan = self.plan.clone();
        let rule = &plan.rules[r];
        let Some(windows) = rule.repeating() else { return };
        let ends = if rule.has_peers() {
            peers.iter().map(|(e, _)| *e).collect()
        } else {
            self.open_ends(r)
        };
        for (i, end) in ends.into_iter().enumerate() {
            let window = windows.ending(end);
            let peers = peers.get(i).map_or(&[][..], |(_, p)| p.as_slice());
            let mut keys = self.keys_in(rule, &window);
            self.evaluator(r, peers).prefilter(&mut keys, &window);
            keys.sort_unstable();
            keys.dedup();
            if keys.is_empty() {
                continue;
            }
            let (verdicts, values) = self.verdicts(r, &keys, &window, peers);
            for (i, key) in keys.iter().enumerate() {
                if verdicts[i].truth == Truth::Fire {
                    self.hold_signal(r, rule, end, *key, verdicts[i].severity, (&values, i));
                }
            }
        }
    }

    /// Ends of the open windows that hold rows.
    pub(super) fn open_ends(&self, r: usize) -> Vec<i64> {
        let rule = &self.plan.rules[r];
        let Some((windows, step)) = rule.repeating().zip(rule.step()) else { return Vec::new() };
        let last = rule.slices.iter().filter_map(|s| {
            let grid = self.plan.panes.slices[*s].grid;
            self.store.slice(*s).last_touched().map(|p| grid.start(p))
        });
        let (Some(last), Some(first)) =
            (last.max(), self.rules[r].closed_to.or_else(|| self.first_local(rule)))
        else {
            return Vec::new();
        };
        step.ends_behind(first).take_while(|end| windows.ending(*end).start <= last).collect()
    }

    /// Keys with rows in a window; some may appear twice.
    pub(super) fn keys_in(&self, rule: &RulePlan, window: &Range<i64>) -> Vec<u32> {
        let of_slice = |s: &usize| {
            let grid = self.plan.panes.slices[*s].grid;
            self.store.slice(*s).touched(grid.pane(window.start)..grid.pane(window.end))
        };
        rule.slices.iter().flat_map(of_slice).collect()
    }

    /// Keys whose own, compared or peer input differs between this window and the one before.
    fn candidates(&self, rule: &RulePlan, window: &Range<i64>) -> Vec<u32> {
        let Some(WindowSpec::Sliding { every_ms, .. }) =
            rule.window.filter(|_| rule.detect.is_none())
        else {
            // A detector's period without rows is never a signal.
            return self.keys_in(rule, window);
        };
        let mut keys = Vec::new();
        if rule.has_peers() {
            for s in &rule.slices {
                keys.extend(self.store.slice(*s).keys());
            }
            return keys;
        }
        let shifts: Vec<i64> = std::iter::once(0).chain(rule.shifts()).collect();
        // From this window on a compare has its full history: what was NULL may now be true without a row coming or going.
        let history_from = rule.feeds.iter().map(|f| self.history_from[*f]).max();
        let ready = shifts[1..].iter().any(|s| {
            let start = window.start - s;
            history_from.is_some_and(|from| start >= from && start - every_ms < from)
        });
        for s in &rule.slices {
            let grid = self.plan.panes.slices[*s].grid;
            let slice = self.store.slice(*s);
            if ready {
                keys.extend(slice.touched(grid.pane(window.start)..grid.pane(window.end)));
            }
            for shift in &shifts {
                let (start, end) = (window.start - shift, window.end - shift);
                let entered = grid.pane(end - every_ms)..grid.pane(end);
                if *shift == 0 && rule.early {
                    let panes = grid.pane(start)..grid.pane(end);
                    keys.extend(slice.reaching(entered, &panes, rule.rows_needed(*s)));
                } else {
                    keys.extend(slice.touched(entered));
                }
                // Rows leaving the own window cannot make a growing condition true; leaving a compared one can.
                if *shift != 0 || !rule.early {
                    keys.extend(slice.touched(grid.pane(start - every_ms)..grid.pane(start)));
                }
            }
        }
        keys
    }

    /// What holds for `keys` in a closing window, and the values.
    pub(super) fn verdicts(
        &mut self,
        r: usize,
        keys: &[u32],
        window: &Range<i64>,
        peers: &[Option<Arc<PeerValues>>],
    ) -> (Vec<Verdict>, RecordBatch) {
        let mut evaluator = self.evaluator(r, peers);
        if keys.is_empty() {
            return (Vec::new(), RecordBatch::new_empty(evaluator.rule.value_schema.clone()));
        }
        let values = evaluator.values(keys, window);
        let mut verdicts = evaluator.judge(&values);
        // What asks for at least 1 of something has rows where it fires.
        let asks = evaluator.rule.least.is_some();
        for (key, verdict) in keys.iter().zip(&mut verdicts).filter(|_| !asks) {
            if verdict.truth != Truth::Clear && !evaluator.has_rows(*key, window) {
                verdict.truth = Truth::Clear;
            }
        }
        let is_detection = evaluator.rule.detect.is_some();
        let looks_back = evaluator.rule.lookback_ms > 0
            && window.start - evaluator.rule.lookback_ms < evaluator.history_from;
        self.evaluations[r] += keys.len() as u64;
        self.failures[r] += values.failures;
        let of_compares = if looks_back { keys.len() as u64 } else { 0 };
        self.not_ready[r] += if is_detection { values.unanswered } else { of_compares };
        (verdicts, values.batch)
    }

    /// Keeps a signal, whose values are a row of a batch, until it is final.
    pub(super) fn hold_signal(
        &mut self,
        r: usize,
        rule: &RulePlan,
        end: i64,
        key: u32,
        severity: Severity,
        values: (&RecordBatch, usize),
    ) {
        let window = window_span(rule, end, &self.zone);
        self.hold_signal_of(r, rule, end, key, (severity, window), values);
    }

    /// The same for a window whose start is not known from its end.
    pub(super) fn hold_signal_of(
        &mut self,
        r: usize,
        rule: &RulePlan,
        end: i64,
        key: u32,
        (severity, window): (Severity, Span),
        (values, row): (&RecordBatch, usize),
    ) {
        let write = |text: &mut String| write_row(text, &rule.value_texts, values, row);
        let fresh = self.rules[r].closed_to.is_none_or(|c| end > c);
        if self.at_once[r] && fresh && self.closing {
            let key = self.store.interner(rule.space).key(key).clone();
            return signals_of(&mut self.finals, r, window, false).push(key, severity, write);
        }
        let held = self.rules[r].signals.entry(end).or_default();
        let interner = self.store.interner_mut(rule.space);
        if fresh && held.close((r, window), (key, interner.key(key)), severity, write) {
            return interner.retain(key);
        }
        let mut values = String::new();
        write(&mut values);
        if held.say(key, Word { severity, window, values: values.into() }) {
            interner.retain(key);
        }
    }

    /// Drops a signal that no longer holds; returns whether there was one.
    pub(super) fn drop_signal(&mut self, r: usize, rule: &RulePlan, end: i64, key: u32) -> bool {
        let Some(held) = self.rules[r].signals.get_mut(&end) else { return false };
        let had = held.drop(key);
        if had {
            let after = self.store.latest_ms();
            self.store.interner_mut(rule.space).release(key, after);
        }
        had
    }

    #[expect(clippy::too_many_arguments, reason = "what was found, for whom, when and why")]
    pub(super) fn outcome(
        &mut self,
        r: usize,
        rule: &RulePlan,
        key: u32,
        (window, closed): (Span, bool),
        verdict: Verdict,
        row: &[Value],
        cause: Cause,
    ) -> Outcome {
        let k = self.store.interner(rule.space).key(key).clone();
        let values: Map<String, Value> =
            rule.value_names().map(str::to_owned).zip(row.iter().cloned()).collect();
        let was_active = self.is_active(r, key);
        // The context of an alert is that of the record that fired; on close, of the window's last record.
        let context = if was_active || rule.alert.context.is_none() {
            Map::new()
        } else {
            let local = self.zone.to_local(window.start_ms)..self.zone.to_local(window.end_ms);
            let records = self.evaluator(r, &[]).records(key, &local);
            let feed = rule.alert.context.as_ref().map(|(f, _)| *f);
            let last = records.iter().rposition(|f| Some(f.piece.rows.feed) == feed);
            last.map_or_else(Map::new, |last| self.context(r, &records[..=last]))
        };
        let reraise = closed
            && was_active
            && verdict.truth == Truth::Fire
            && self.reraises(r, rule, &k.canonical, row);
        Outcome {
            rule: r,
            key: k,
            window,
            record: None,
            truth: verdict.truth,
            closed,
            cause,
            severity: verdict.severity,
            values,
            context,
            reraise,
        }
    }

    /// Whether `reraise` holds for these values against those of the last raise.
    fn reraises(&self, r: usize, rule: &RulePlan, key: &str, row: &[Value]) -> bool {
        let (Some((expression, schema)), Some(last)) =
            (&rule.reraise, self.lifecycle.last_raised(r, key))
        else {
            return false;
        };
        let last = rule.value_names().map(|n| last.get(n).cloned().unwrap_or(Value::Null));
        let values: Vec<Value> = row.iter().cloned().chain(last).collect();
        crate::model::value::row_from_values(schema, &values)
            .and_then(|b| expression.evaluate(&b).ok())
            .is_some_and(|v| crate::model::expression::true_mask(&v).value(0))
    }
}
