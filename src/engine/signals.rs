//! Signals of the live run: how many each rule gave, and the latest of them.
//!
//! In: signals as they become final, which is when no record within lateness can change them any more. Out: counts since
//! the log began, and the last [`KEPT`] of each rule. For shadow rules, which raise no alerts, this is all there is to see.
//! The log is walked again on start, so nothing of it is written anywhere.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use super::view::{RuleSignals, SignalRow, Window};
use crate::{
    model::{
        signal::{Signal, Signals as Found},
        time::Zone,
    },
    rule::plan::RulePlan,
};

/// Signals kept of each rule.
pub const KEPT: usize = 100;

/// What all rules gave.
#[derive(Debug)]
pub struct Signals {
    zone: Zone,
    rules: Mutex<Vec<OfRule>>,
}

#[derive(Debug)]
struct OfRule {
    id: String,
    version: u32,
    status: &'static str,
    total: u64,
    /// Oldest first. Those of a window stand together, so they may be more than are shown.
    latest: VecDeque<Found>,
}

impl Signals {
    /// None yet of these rules, which are those of the plan.
    #[must_use]
    pub fn new(rules: &[RulePlan], zone: Zone) -> Self {
        let rules = rules.iter().map(|r| OfRule {
            id: r.id.clone(),
            version: r.version,
            status: r.status.word(),
            total: 0,
            latest: VecDeque::new(),
        });
        Self { zone, rules: Mutex::new(rules.collect()) }
    }

    /// Takes signals that are final.
    pub fn take(&self, signals: Vec<Found>) {
        if signals.is_empty() {
            return;
        }
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        for found in signals {
            let OfRule { total, latest, .. } = &mut rules[found.rule];
            *total += found.len() as u64;
            latest.push_back(found);
            let mut kept: usize = latest.iter().map(Found::len).sum();
            while let Some(first) = latest.front()
                && kept - first.len() >= KEPT
            {
                kept -= first.len();
                latest.pop_front();
            }
        }
    }

    /// Signals of all rules since the log began.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|r| r.total).sum()
    }

    /// How many signals a rule gave, with the latest `limit` of them; `None` for a rule that is not there.
    #[must_use]
    pub fn of_rule(&self, id: &str, limit: usize) -> Option<RuleSignals> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = rules.iter().find(|r| r.id == id)?;
        let of_window = |found| (0..Found::len(found)).rev().map(|i| found.get(i));
        let latest = rule.latest.iter().rev().flat_map(of_window);
        Some(RuleSignals {
            rule: rule.id.clone(),
            version: rule.version,
            status: rule.status.to_owned(),
            total: rule.total,
            signals: latest.take(limit.min(KEPT)).map(|s| self.row(rule, s)).collect(),
        })
    }

    /// Ids of all rules.
    #[must_use]
    pub fn rules(&self) -> Vec<String> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter().map(|r| r.id.clone()).collect()
    }

    fn row(&self, rule: &OfRule, signal: Signal<'_>) -> SignalRow {
        let at = |ms: i64| self.zone.format(ms);
        SignalRow {
            rule: rule.id.clone(),
            version: rule.version,
            key: signal.key.values(),
            window: Window { start: at(signal.window.start_ms), end: at(signal.window.end_ms) },
            record: signal.record.map(str::to_owned),
            severity: signal.severity,
            values: serde_json::from_str(signal.values).unwrap_or_default(),
        }
    }
}
