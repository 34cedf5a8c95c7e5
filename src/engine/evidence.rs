//! Evidence: the records behind an alert.
//!
//! In: revisions of alerts. Out: the same with the records of their window that had arrived when they were told. Promise: it
//! does not matter when they are read. A replay tells only how alerts end, so it lets those that fire wait: they are read
//! before one of their rows is taken off or forgotten, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use super::shard::{Shard, record_id};
use crate::model::alert::Alert;

/// Ids of evidence records that an alert carries at most.
pub(super) const EVIDENCE_MAX: usize = 1_000;

/// An alert, its rule and its key.
pub(super) type Waiting = (usize, u32, Alert);

/// Alerts whose evidence is still to be read, at most one of a rule and key.
#[derive(Debug, Default)]
pub(super) struct Unproven {
    alerts: BTreeMap<(usize, u32), Alert>,
    /// Start of the window, rule and key.
    starts: BTreeSet<(i64, usize, u32)>,
}

impl Unproven {
    /// Lets an alert wait; returns another one that waited.
    fn put(&mut self, rule: usize, key: u32, alert: Alert) -> Option<Waiting> {
        let other = self.take(rule, key);
        self.starts.insert((alert.window.start_ms, rule, key));
        self.alerts.insert((rule, key), alert);
        other
    }

    /// The alert that waits, which waits no longer.
    fn take(&mut self, rule: usize, key: u32) -> Option<Waiting> {
        let alert = self.alerts.remove(&(rule, key))?;
        self.starts.remove(&(alert.window.start_ms, rule, key));
        Some((rule, key, alert))
    }

    /// The alert is told anew.
    fn forget(&mut self, rule: usize, key: u32, id: &str) {
        if self.alerts.get(&(rule, key)).is_some_and(|a| a.id == id) {
            self.take(rule, key);
        }
    }
}

impl Shard {
    /// Reads the evidence of a revision now.
    pub(super) fn prove_now(&mut self, rule: usize, key: u32, alert: &mut Alert) {
        self.unproven.forget(rule, key, &alert.id);
        self.read_evidence(rule, key, alert);
    }

    /// Lets the evidence of a revision wait.
    pub(super) fn prove_later(&mut self, rule: usize, key: u32, alert: &Alert) {
        self.unproven.forget(rule, key, &alert.id);
        if let Some(other) = self.unproven.put(rule, key, alert.clone()) {
            self.prove(other);
        }
    }

    /// Reads what waits for one key of a rule.
    pub(super) fn prove_key(&mut self, rule: usize, key: u32) {
        if let Some(waiting) = self.unproven.take(rule, key) {
            self.prove(waiting);
        }
    }

    /// Reads what waits for rows before `before_ms`.
    pub(super) fn prove_before(&mut self, before_ms: i64) {
        while let Some(&(start_ms, rule, key)) = self.unproven.starts.first()
            && start_ms < before_ms
        {
            self.prove_key(rule, key);
        }
    }

    /// Whether anything waits.
    pub(super) fn is_unproven(&self) -> bool {
        !self.unproven.alerts.is_empty()
    }

    /// Tells an alert again, now with its evidence.
    fn prove(&mut self, (rule, key, mut alert): Waiting) {
        self.read_evidence(rule, key, &mut alert);
        self.alerts.push(alert);
    }

    /// Fills in the records of the alert's window that had arrived when it was told.
    fn read_evidence(&mut self, rule: usize, key: u32, alert: &mut Alert) {
        let plan = self.plan.clone();
        if plan.rules[rule].window.is_none() {
            return;
        }
        let window =
            self.zone.to_local(alert.window.start_ms)..self.zone.to_local(alert.window.end_ms);
        let mut records = self.evaluator(rule, &[]).records(key, &window);
        records.retain(|f| f.arrival() <= alert.changed_by);
        alert.evidence_total = records.len() as u64;
        alert.evidence =
            records.iter().take(EVIDENCE_MAX).map(|f| record_id(&plan, f).to_string()).collect();
    }
}
