//! What the engine knows about one rule, key and window: the answer to "why did it fire, or not".

use std::sync::Arc;

use arrow::{array::RecordBatch, compute::concat_batches};
use serde_json::{Map, Value};

use super::{
    pipeline::Pipeline,
    shard::{Shard, record_id, window_span},
    windows::PeersByEnd,
};
use crate::{
    model::{
        expression::{evaluate_rows, true_mask},
        signal::{Severity, Span, Truth},
    },
    rule::{
        evaluate::{judge, row_values},
        peers::PeerValues,
        plan::RulePlan,
    },
};

/// One rule, key and window looked at closely.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The window.
    pub window: Span,
    /// Whether it is closed.
    pub closed: bool,
    /// What holds.
    pub truth: Truth,
    /// The severity if it fires.
    pub severity: Severity,
    /// Measures and compares.
    pub values: Map<String, Value>,
    /// The conditions of `when` and whether each holds; `None` where a value is missing.
    pub terms: Vec<(String, Option<bool>)>,
    /// Ids, event times and feeds of the records in the window, by event time.
    pub records: Vec<(String, i64, usize)>,
}

/// What one key's windows say, one row each.
#[derive(Debug, Clone)]
pub struct Course {
    /// The values, by window; null where no record of the key is known.
    pub values: RecordBatch,
    /// Whether the rule fires in it.
    pub fires: Vec<bool>,
}

impl Pipeline {
    /// The windows of `rule` that end at these local times, for the key with this canonical text. `None` for rules without
    /// windows of a fixed length, and when no record of the key is known.
    pub fn course(&mut self, rule: usize, key: &str, ends: &[i64]) -> Option<Course> {
        let shards = self.shards_mut();
        let peers = shards.peers(rule, |_| ends.to_vec(), None);
        shards.iter_mut().find_map(|s| s.course(rule, key, ends, &peers))
    }

    /// Looks at the window of `rule` that holds the instant `at_ms`, or the one that ends there, for the key with this
    /// canonical text. `None` when no record of the key is known.
    pub fn inspect(&mut self, rule: usize, key: &str, at_ms: i64) -> Option<Inspection> {
        let step = self.plan().rules[rule].step()?;
        let end = step.next_end(self.zone().to_local(at_ms) - 1);
        let shards = self.shards_mut();
        let peers = shards.peers(rule, |_| vec![end], None);
        let peers = peers.first().map_or(&[][..], |(_, p)| p.as_slice());
        shards.iter_mut().find_map(|s| s.inspect(rule, key, end, peers))
    }
}

impl Shard {
    fn course(
        &mut self,
        r: usize,
        canonical: &str,
        ends: &[i64],
        peers: &PeersByEnd,
    ) -> Option<Course> {
        let plan = self.plan.clone();
        let rule = &plan.rules[r];
        let windows = rule.repeating()?;
        let key = self.known_key(rule, canonical)?;
        let (mut rows, mut fires) =
            (Vec::with_capacity(ends.len()), Vec::with_capacity(ends.len()));
        for end in ends {
            let window = windows.ending(*end);
            let of_end =
                peers.iter().find(|(e, _)| e == end).map_or(&[][..], |(_, p)| p.as_slice());
            let (verdicts, values) = self.verdicts(r, &[key], &window, of_end);
            fires.push(verdicts[0].truth == Truth::Fire);
            rows.push(values);
        }
        Some(Course { values: concat_batches(&rule.value_schema, &rows).ok()?, fires })
    }

    /// The number of a key that has records.
    fn known_key(&self, rule: &RulePlan, canonical: &str) -> Option<u32> {
        let is_key = |k: &u32| &*self.store.interner(rule.space).key(*k).canonical == canonical;
        rule.slices.iter().find_map(|s| self.store.slice(*s).keys().into_iter().find(is_key))
    }

    fn inspect(
        &mut self,
        r: usize,
        canonical: &str,
        end: i64,
        peers: &[Option<Arc<PeerValues>>],
    ) -> Option<Inspection> {
        let plan = self.plan.clone();
        let rule = &plan.rules[r];
        let window = rule.repeating()?.ending(end);
        let key = self.known_key(rule, canonical)?;
        let mut evaluator = self.evaluator(r, peers);
        let values = evaluator.values(&[key], &window).batch;
        let verdict = judge(rule, &values)[0];
        let found = evaluator.records(key, &window);
        let terms = rule.terms.iter().map(|term| {
            let (result, _) = evaluate_rows(term.holds.as_ref(), &values);
            (term.text.clone(), (!result.is_null(0)).then(|| true_mask(&result).value(0)))
        });
        let records = found
            .iter()
            .map(|f| (record_id(&plan, f).to_string(), f.event_ms(), f.piece.rows.feed));
        Some(Inspection {
            window: window_span(rule, end, &self.zone),
            closed: self.rules[r].closed_to.is_some_and(|c| end <= c),
            truth: if found.is_empty() { Truth::Clear } else { verdict.truth },
            severity: verdict.severity,
            values: rule.value_names().map(str::to_owned).zip(row_values(&values, 0)).collect(),
            terms: terms.collect(),
            records: records.collect(),
        })
    }
}
