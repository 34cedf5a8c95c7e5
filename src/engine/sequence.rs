//! Sequence and first-seen rules in a shard: rows to their runs in the order of arrival, matches to alerts and signals.
//!
//! In: pieces, with how far each awaited feed had come behind each of its rows; corrections. Rows and these moves are taken
//! in the order of arrival, so that neither batching nor the cutting of pieces shows. Out: alerts, one for each match, and
//! signals once nothing can change them. An alert says which records met which step.
//! Not here: what matches (`rule::sequence::run`), what is held of a key (`runs`).

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray, RecordBatch, UInt32Array},
    compute::{take, take_record_batch},
};
use serde_json::{Map, Value};

use super::{
    correct::Correction,
    runs::{Change, RunSize},
    shard::{Shard, record_id},
};
use crate::{
    model::{
        alert::{Alert, StepMet},
        expression::{evaluate_rows, true_mask},
        hash::{combine, hash_column},
        signal::{Cause, Key, Outcome, Severity, Signals, Span, Truth},
        value::{value_at, write_row},
    },
    pane::{
        kept::{Found, Piece},
        prepare::{ArgValues, Prepared, time_values},
        store::shard_of,
    },
    rule::{
        plan::RulePlan,
        sequence::{
            SequencePlan, Source,
            run::{Match, Row},
        },
    },
};

/// Records of a step that an alert names at most.
const RECORDS_MAX: usize = 100;

/// How far a feed had come when a row had been looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    /// The feed.
    pub(super) feed: usize,
    /// Its watermark.
    pub(super) watermark_ms: i64,
    /// The row that moved it.
    pub(super) arrival: u64,
    /// When that arrived.
    pub(super) arrived_ms: i64,
}

impl Move {
    fn cause(self) -> Cause {
        Cause { at_ms: 0, arrival: self.arrival, arrived_ms: self.arrived_ms }
    }
}

/// A row on its way to its key.
struct Coming {
    hash: u128,
    row: Row,
    arrived_ms: i64,
    /// The batch it lies in, to read its key from.
    prepared: usize,
    at: u32,
}

impl Shard {
    /// Takes pieces and moves to the runs of sequence rules.
    pub(super) fn sequences(&mut self, pieces: &[(Arc<Piece>, Arc<Prepared>)], moves: &[Move]) {
        let plan = self.plan.clone();
        for (r, rule) in plan.rules.iter().enumerate() {
            let Some(sequence) = &rule.sequence else { continue };
            let mut coming = Vec::new();
            for (n, (piece, prepared)) in pieces.iter().enumerate() {
                if let Some(source) = sequence.source(piece.rows.feed) {
                    self.coming(source, (piece, prepared, n), &mut coming);
                }
            }
            if pieces.len() > 1 {
                coming.sort_by_key(|c: &Coming| c.row.arrival);
            }
            let moves: Vec<Move> = match sequence.awaited {
                Some(awaited) => moves.iter().filter(|m| m.feed == awaited.feed).copied().collect(),
                None => Vec::new(),
            };
            let mut moves = moves.into_iter().peekable();
            for next in coming {
                while let Some(before) = moves.next_if(|m| m.arrival < next.row.arrival) {
                    self.await_to(r, rule, sequence, before.watermark_ms, before.cause());
                }
                let (_, prepared) = &pieces[next.prepared];
                self.take_row(r, rule, sequence, next, prepared);
            }
            for after in moves {
                self.await_to(r, rule, sequence, after.watermark_ms, after.cause());
            }
        }
    }

    /// Awaited feeds are complete up to these watermarks, which moved without a row.
    pub(super) fn await_feeds(&mut self, watermarks: &[i64], cause: Cause) {
        let plan = self.plan.clone();
        for (r, rule) in plan.rules.iter().enumerate() {
            let Some(sequence) = &rule.sequence else { continue };
            if let Some(awaited) = sequence.awaited {
                self.await_to(r, rule, sequence, watermarks[awaited.feed], cause);
            }
        }
    }

    /// A row that counts no longer, and the one that does instead.
    pub(super) fn correct_sequences(&mut self, correction: &Correction) {
        let plan = self.plan.clone();
        for (r, rule) in plan.rules.iter().enumerate() {
            let Some(sequence) = &rule.sequence else { continue };
            self.correct_sequence(r, rule, sequence, correction);
        }
    }

    fn correct_sequence(
        &mut self,
        r: usize,
        rule: &RulePlan,
        sequence: &SequencePlan,
        correction: &Correction,
    ) {
        let mut new = Vec::new();
        if let Some((piece, prepared)) = &correction.new
            && let Some(source) = sequence.source(piece.rows.feed)
        {
            self.coming(source, (piece, prepared, 0), &mut new);
        }
        let mut new = new.pop();
        if let Some((found, alone)) = &correction.old
            && let Some(source) = sequence.source(found.piece.rows.feed)
        {
            let hash = alone.keys[source.keying].hashes[0];
            let mine = shard_of(hash, self.shards) == self.number;
            if mine && self.rules[r].runs.has(hash) {
                let with = new.take_if(|n| n.hash == hash).zip(correction.new.as_ref());
                let with = with.map(|(n, (_, prepared))| {
                    let key = key_of(rule, source, prepared, n.at);
                    (n.row, key)
                });
                let state = &mut self.rules[r].runs;
                let (key, changes) =
                    state.remove(sequence, &self.zone, hash, found.arrival(), with);
                if let Some(key) = key {
                    self.tell_changes(r, rule, sequence, &key, changes, correction.cause);
                }
            }
        }
        if let (Some(next), Some((_, prepared))) = (new, &correction.new) {
            self.take_row(r, rule, sequence, next, prepared);
        }
    }

    /// The history of a rule's feed begins with this earlier local day: what began before it had been learnt is known.
    pub(super) fn learn(&mut self, r: usize, rule: &RulePlan, day: i64, cause: Cause) {
        let Some(sequence) = rule.sequence.as_ref().filter(|s| s.steps.unseen_ms.is_some()) else {
            return;
        };
        let learnt_ms = self.zone.to_utc(day.saturating_add(sequence.learn_ms));
        for (key, changes) in self.rules[r].runs.learn(sequence, &self.zone, learnt_ms) {
            self.tell_changes(r, rule, sequence, &key, changes, cause);
        }
    }

    /// The matches that became final before `before_ms`; all that are left where `open`.
    pub(super) fn finalise_sequence(&mut self, r: usize, rule: &RulePlan, before_ms: i64) {
        let Some(sequence) = &rule.sequence else { return };
        let found = self.rules[r].runs.finalise(sequence, &self.zone, before_ms);
        self.keep_matches(r, rule, sequence, found);
    }

    /// Hands over all matches at the end of everything.
    pub(super) fn finish_sequence(&mut self, r: usize, rule: &RulePlan) {
        let Some(sequence) = &rule.sequence else { return };
        let found = self.rules[r].runs.finish();
        self.keep_matches(r, rule, sequence, found);
    }

    /// What sequence rules hold, by rule.
    pub(super) fn run_size(&self, r: usize) -> RunSize {
        self.rules[r].runs.size()
    }

    /// Runs of a rule that only its awaited feed holds back, while time has come to `to_ms`.
    pub(super) fn held_runs(&self, r: usize, to_ms: i64) -> usize {
        self.rules[r].runs.held(to_ms)
    }

    fn keep_matches(
        &mut self,
        r: usize,
        rule: &RulePlan,
        sequence: &SequencePlan,
        found: Vec<(Arc<Key>, Match)>,
    ) {
        for (key, found) in found {
            let values = sequence.values.batch(&found.seen());
            let severity = severity(rule, &values);
            let began = self.began_with(sequence, &found);
            let mut signals = Signals::new(r, span(&found), Some(began), false);
            signals.push(key, severity, |text| write_row(text, &rule.value_texts, &values, 0));
            self.finals.push(signals);
        }
    }

    /// What tells signals of one key and window apart: the record it began with; where records have no id, a hash of what it
    /// says, because its arrival number would depend on the order of arrival.
    fn began_with(&self, sequence: &SequencePlan, found: &Match) -> Arc<str> {
        let first = found.first();
        match self.plan.schemas[sequence.sources[0].feed].record_id.is_empty() {
            true => {
                let again = match first.copy {
                    0 => String::new(),
                    n => format!("/{}", n + 1),
                };
                format!("#{:016x}{again}", (first.tie >> 64) as u64).into()
            }
            false => Arc::from(&*first.record),
        }
    }

    /// The rows of a piece that some step of this rule may take.
    fn coming(
        &self,
        source: &Source,
        (piece, prepared, number): (&Arc<Piece>, &Arc<Prepared>, usize),
        out: &mut Vec<Coming>,
    ) {
        let rows = &prepared.rows;
        let keys = &prepared.keys[source.keying];
        let times = rows.batch.column(source.time);
        let of_event = source.time == self.plan.schemas[source.feed].event_time;
        let steps_of = |row: usize| {
            let passed = source.steps.iter().filter(|(_, filter)| rows.bits.passes(row, *filter));
            passed.fold(0_u32, |steps, (step, _)| steps | 1 << step)
        };
        let mut picked: Vec<(u32, u32)> = Vec::new();
        for row in piece.from..piece.to {
            let at = row as usize;
            if piece.refused.get((row - piece.from) as usize).copied().unwrap_or(false)
                || keys.complete.as_ref().is_some_and(|c| c.is_null(at))
                || (self.shards > 1 && shard_of(keys.hashes[at], self.shards) != self.number)
                || times.is_null(at)
            {
                continue;
            }
            let steps = steps_of(at);
            if steps != 0 {
                picked.push((row, steps));
            }
        }
        if picked.is_empty() {
            return;
        }
        let places = UInt32Array::from_iter_values(picked.iter().map(|(row, _)| *row));
        let own_times = match of_event {
            true => None,
            false => take(times, &places, None).ok().map(|t| time_values(&t, &self.zone)),
        };
        let ties = match rows.ids.is_empty() {
            true => contents(&rows.batch, self.plan.schemas[source.feed].own, &places),
            false => Vec::new(),
        };
        let kept = source.layout.keep(&rows.batch, &places);
        // Of one text, as most ids are, it is read at once.
        let text = match self.plan.schemas[source.feed].record_id.as_slice() {
            [column] => rows.batch.column(*column).as_string_opt::<i32>(),
            _ => None,
        };
        let id = |found: &Found| -> Box<str> {
            match text.filter(|t| t.is_valid(found.row as usize)) {
                Some(text) => text.value(found.row as usize).into(),
                None => record_id(&self.plan, found).as_ref().into(),
            }
        };
        for (i, ((row, steps), data)) in picked.into_iter().zip(kept).enumerate() {
            let at = row as usize;
            let found = Found { piece: Arc::clone(piece), row };
            let (arrival, arrived_ms) = piece.arrival(row);
            let hash = |arg: &usize| hash_at(&prepared.args[*arg], at);
            let row = Row {
                at_ms: own_times.as_ref().map_or(rows.event_ms[at], |t| t[i]),
                steps,
                feed: source.feed as u32,
                tie: rows.ids.get(at).or_else(|| ties.get(i)).copied().unwrap_or_default(),
                copy: 0,
                arrival,
                record: id(&found),
                hashes: source.hashes.iter().map(hash).collect(),
                data,
            };
            let hash = keys.hashes[at];
            out.push(Coming { hash, row, arrived_ms, prepared: number, at: at as u32 });
        }
    }

    fn take_row(
        &mut self,
        r: usize,
        rule: &RulePlan,
        sequence: &SequencePlan,
        next: Coming,
        prepared: &Prepared,
    ) {
        let Some(source) = sequence.source(prepared.rows.feed) else { return };
        let key = || key_of(rule, source, prepared, next.at);
        let cause = Cause { at_ms: 0, arrival: next.row.arrival, arrived_ms: next.arrived_ms };
        let state = &mut self.rules[r].runs;
        let changes = state.add(sequence, &self.zone, next.hash, key, next.row);
        if changes.is_empty() {
            return;
        }
        if let Some(key) = state.key(next.hash) {
            self.tell_changes(r, rule, sequence, &key, changes, cause);
        }
    }

    fn await_to(
        &mut self,
        r: usize,
        rule: &RulePlan,
        sequence: &SequencePlan,
        watermark_ms: i64,
        cause: Cause,
    ) {
        let delay_ms = sequence.awaited.map_or(0, |a| a.delay_ms);
        let to_ms = watermark_ms.saturating_sub(delay_ms);
        for (key, found) in self.rules[r].runs.await_to(sequence, &self.zone, to_ms) {
            self.tell_changes(r, rule, sequence, &key, vec![Change::Came(found)], cause);
        }
    }

    fn tell_changes(
        &mut self,
        r: usize,
        rule: &RulePlan,
        sequence: &SequencePlan,
        key: &Arc<Key>,
        changes: Vec<Change>,
        cause: Cause,
    ) {
        for change in changes {
            let (truth, found) = match &change {
                Change::Came(found) => (Truth::Fire, found),
                Change::Gone(found) => (Truth::Clear, found),
            };
            let values = sequence.values.batch(&found.seen());
            let names = rule.value_names().map(str::to_owned);
            let names: Map<String, Value> =
                names.zip(values.columns().iter().map(|c| value_at(c, 0))).collect();
            let window = span(found);
            let outcome = Outcome {
                rule: r,
                key: key.clone(),
                window,
                record: Some(Arc::from(&*found.first().record)),
                truth,
                closed: true,
                cause: Cause { at_ms: window.end_ms, ..cause },
                severity: severity(rule, &values),
                values: names,
                context: context(sequence, found),
                reraise: false,
            };
            for mut alert in self.lifecycle.update(&self.specs[r], &outcome) {
                self.show_steps(sequence, found, &mut alert);
                self.render(r, &mut alert);
                self.alerts.push(alert);
            }
        }
    }

    /// Which records met which step.
    fn show_steps(&self, sequence: &SequencePlan, found: &Match, alert: &mut Alert) {
        let step = |(at, name): (usize, &String)| {
            let absent = sequence.steps.steps[at].absent.is_some();
            let records = || found.rows_of(at).map(|row| row.record.to_string());
            StepMet {
                name: name.clone(),
                feed: self.plan.schemas[sequence.sources[sequence.source_of[at]].feed].feed.clone(),
                at_ms: found.rows_of(at).last().map(|row| row.at_ms),
                absent_until_ms: found.deadline_ms.filter(|_| absent),
                records: records().take(RECORDS_MAX).collect(),
            }
        };
        alert.steps = sequence.names.iter().enumerate().map(step).collect();
        alert.evidence = found.met.iter().map(|m| m.row.record.to_string()).collect();
        alert.evidence_total = alert.evidence.len() as u64;
        alert.evidence.truncate(super::evidence::EVIDENCE_MAX);
    }
}

/// The key of a row of a batch.
fn key_of(rule: &RulePlan, source: &Source, prepared: &Prepared, row: u32) -> Arc<Key> {
    let values = prepared.keys[source.keying].columns.iter().map(|c| value_at(c, row as usize));
    Arc::new(Key::new(rule.key_names.iter().cloned().zip(values).collect()))
}

fn span(found: &Match) -> Span {
    Span { start_ms: found.first().at_ms, end_ms: found.end_ms() }
}

fn severity(rule: &RulePlan, values: &RecordBatch) -> Severity {
    let holds = |e: &crate::model::expression::Expression| {
        let (result, _) = evaluate_rows(e.as_ref(), values);
        !result.is_empty() && true_mask(&result).value(0)
    };
    let rung = rule.severity.iter().find(|(_, e)| e.as_ref().is_none_or(holds));
    rung.map_or(Severity::Low, |(severity, _)| *severity)
}

/// Columns that messages and groups name, of the record with which it began; of a first-seen rule of the last needed.
fn context(sequence: &SequencePlan, found: &Match) -> Map<String, Value> {
    if sequence.context.is_empty() {
        return Map::new();
    }
    let of = if sequence.steps.unseen_ms.is_some() { found.last() } else { found.first() };
    let columns = sequence.sources[0].layout.read(of).unwrap_or_default();
    let value = |at: usize| columns.get(at).map_or(Value::Null, |c| value_at(c, 0));
    sequence.context.iter().map(|(name, at)| (name.clone(), value(*at))).collect()
}

fn hash_at(values: &ArgValues, row: usize) -> Option<u128> {
    match values {
        ArgValues::Identity(hashes, nulls) => {
            nulls.as_ref().is_none_or(|n| n.is_valid(row)).then(|| hashes[row])
        }
        _ => None,
    }
}

/// Hashes of the content of some rows.
fn contents(batch: &RecordBatch, columns: usize, rows: &UInt32Array) -> Vec<u128> {
    let mut hashes = vec![0_u128; rows.len()];
    if let Ok(rows) = take_record_batch(batch, rows) {
        let own = rows.columns().iter().take(columns);
        own.for_each(|column| combine(&mut hashes, &hash_column(column)));
    }
    hashes
}
