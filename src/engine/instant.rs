//! Rules over single records: every record that passes is a signal of its own.

use std::sync::Arc;

use arrow::{array::UInt32Array, compute::take_record_batch};
use serde_json::{Map, Value};

use super::shard::{Shard, record_id};
use crate::{
    model::{
        expression::{evaluate_rows, true_mask},
        signal::{Cause, Key, Outcome, Severity, Signals, Span, Truth},
        value::value_at,
    },
    pane::{
        kept::{Found, Piece},
        prepare::Prepared,
        store::shard_of,
    },
    rule::{
        file::Kind,
        plan::{InstantPlan, RulePlan},
    },
};

/// One record of an instant rule.
struct Hit {
    key: Arc<Key>,
    severity: Severity,
    values: Box<[Value]>,
}

impl Shard {
    /// Signals of the piece's records.
    pub(super) fn instants(&mut self, piece: &Arc<Piece>, prepared: &Prepared) {
        let plan = self.plan.clone();
        for (r, rule) in plan.rules.iter().enumerate() {
            let Some(instant) = rule.instant.as_ref().filter(|i| i.feed == piece.rows.feed) else {
                continue;
            };
            let rows = self.passing(instant, piece, prepared);
            if rows.is_empty() {
                continue;
            }
            let hits = hits(rule, instant, prepared, &rows);
            for (row, hit) in rows.iter().zip(hits) {
                let found = Found { piece: piece.clone(), row: *row };
                let (arrival, arrived_ms) = piece.arrival(*row);
                let cause = Cause { at_ms: found.event_ms(), arrival, arrived_ms };
                self.record(r, rule, &found, Some(hit), None, cause);
            }
        }
    }

    /// Takes a record's signals back (`old`), or replaces them.
    pub(super) fn correct_instants(&mut self, old: Option<(&Found, &Prepared)>, cause: Cause) {
        let plan = self.plan.clone();
        let Some((found, prepared)) = old else { return };
        for (r, rule) in plan.rules.iter().enumerate() {
            let Some(instant) = rule.instant.as_ref().filter(|i| i.feed == found.piece.rows.feed)
            else {
                continue;
            };
            let keys = &prepared.keys[instant.keying];
            let mine = shard_of(keys.hashes[0], self.shards) == self.number;
            if mine && prepared.rows.bits.passes(0, instant.filter) {
                let hit = hits(rule, instant, prepared, &[0]).into_iter().next();
                let key = hit.map(|h| h.key);
                self.record(r, rule, found, None, key, cause);
            }
        }
    }

    /// Resolves alerts of instant rules whose `keep_for` has passed.
    pub(super) fn expire_instants(&mut self, watermarks: &[i64], cause: Cause) {
        let plan = self.plan.clone();
        for (r, rule) in plan.rules.iter().enumerate() {
            let Some(instant) = rule.instant.as_ref().filter(|_| rule.alert.keep_ms > 0) else {
                continue;
            };
            let to_ms = watermarks[instant.feed];
            for mut alert in self.lifecycle.expire(&self.specs[r], cause, to_ms) {
                alert.evidence = alert.record.iter().map(ToString::to_string).collect();
                alert.evidence_total = 1;
                self.render(r, &mut alert);
                self.alerts.push(alert);
            }
        }
    }

    fn passing(&self, instant: &InstantPlan, piece: &Piece, prepared: &Prepared) -> Vec<u32> {
        let bits = &prepared.rows.bits;
        let keys = &prepared.keys[instant.keying];
        let mine = |row: &u32| {
            let r = *row as usize;
            bits.passes(r, instant.filter)
                && !piece.refused.get((*row - piece.from) as usize).copied().unwrap_or(false)
                && keys.complete.as_ref().is_none_or(|c| c.is_valid(r))
                && shard_of(keys.hashes[r], self.shards) == self.number
        };
        (piece.from..piece.to).filter(mine).collect()
    }

    fn record(
        &mut self,
        r: usize,
        rule: &RulePlan,
        found: &Found,
        hit: Option<Hit>,
        key: Option<Arc<Key>>,
        cause: Cause,
    ) {
        let record = record_id(&self.plan, found);
        let at_ms = found.event_ms();
        let window = Span { start_ms: at_ms, end_ms: at_ms };
        let truth = if hit.is_some() { Truth::Fire } else { Truth::Clear };
        let Some(key) = hit.as_ref().map(|h| h.key.clone()).or(key) else { return };
        let (severity, values) =
            hit.map_or((Severity::Low, Box::default()), |h| (h.severity, h.values));
        let names: Map<String, Value> = rule.value_names().map(str::to_owned).zip(values).collect();
        let slot = (at_ms, record.clone());
        if truth == Truth::Fire {
            let mut signals = Signals::new(r, window, Some(record.clone()), false);
            let values = Value::Object(names.clone()).to_string();
            signals.push(key.clone(), severity, |text| text.push_str(&values));
            self.rules[r].records.insert(slot, signals);
        } else {
            self.rules[r].records.remove(&slot);
        }
        let context = if truth == Truth::Fire {
            self.context(r, std::slice::from_ref(found))
        } else {
            Map::new()
        };
        let outcome = Outcome {
            rule: r,
            key,
            window,
            record: Some(record.clone()),
            truth,
            closed: true,
            cause,
            severity,
            values: names,
            context,
            reraise: false,
        };
        for mut alert in self.lifecycle.update(&self.specs[r], &outcome) {
            alert.evidence = vec![record.to_string()];
            alert.evidence_total = 1;
            self.render(r, &mut alert);
            self.alerts.push(alert);
        }
    }
}

/// Keys, severities and values of records.
fn hits(rule: &RulePlan, instant: &InstantPlan, prepared: &Prepared, rows: &[u32]) -> Vec<Hit> {
    debug_assert_eq!(rule.kind, Kind::Instant);
    let indices = UInt32Array::from(rows.to_vec());
    let Ok(batch) = take_record_batch(&prepared.rows.batch, &indices) else { return Vec::new() };
    let ladder: Vec<_> = rule
        .severity
        .iter()
        .map(|(s, e)| (*s, e.as_ref().map(|e| true_mask(&evaluate_rows(e.as_ref(), &batch).0))))
        .collect();
    let values: Vec<_> =
        instant.values.iter().map(|(_, e)| evaluate_rows(e.as_ref(), &batch).0).collect();
    let keys = &prepared.keys[instant.keying];
    rows.iter()
        .enumerate()
        .map(|(i, row)| {
            let names = rule.key_names.iter().cloned();
            let key = names.zip(keys.columns.iter().map(|c| value_at(c, *row as usize))).collect();
            let rung = ladder.iter().find(|(_, mask)| mask.as_ref().is_none_or(|m| m.value(i)));
            Hit {
                key: Arc::new(Key::new(key)),
                severity: rung.map_or(Severity::Low, |(s, _)| *s),
                values: values.iter().map(|v| value_at(v, i)).collect(),
            }
        })
        .collect()
}
