//! What is counted of rules: evaluations, failures, signals.

use std::sync::{Mutex, PoisonError};

use prometheus::{IntCounter, IntGauge};

use super::{
    super::{pipeline::Pipeline, view::RuleWork},
    maker::{Maker, whole},
};
use crate::rule::plan::RulePlan;

/// The series of one rule, and what the pipeline had counted when it was looked at last.
pub(super) struct Rule {
    pub(super) id: String,
    evaluations: IntCounter,
    failures: IntCounter,
    not_ready: IntCounter,
    pub(super) signals: IntCounter,
    /// Of rules that wait for something not to happen.
    held: Option<IntGauge>,
    seen: Mutex<Totals>,
}

/// What the pipeline counts of a rule since it was made.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) evaluations: u64,
    pub(super) failures: u64,
    pub(super) not_ready: u64,
}

/// The series of all rules of `pipeline`, in its order.
pub(super) fn rules(make: &Maker, pipeline: &Pipeline) -> Vec<Rule> {
    let evaluations = make.counters(
        "forewarn_rule_evaluations_total",
        "Keys of closed windows that a rule was evaluated for.",
        &["rule"],
    );
    let failures = make.counters(
        "forewarn_rule_evaluation_failures_total",
        "Evaluations that failed and count as not true.",
        &["rule"],
    );
    let not_ready = make.counters(
        "forewarn_rule_not_ready_total",
        "Evaluations without the history that the rule compares with.",
        &["rule"],
    );
    let signals =
        make.counters("forewarn_rule_signals_total", "Signals that became final.", &["rule"]);
    let held = make.gauges(
        "forewarn_rule_held_runs",
        "Sequences whose deadline has passed while the feed that they wait for stands still.",
        &["rule"],
    );
    let waits = |rule: &RulePlan| rule.sequence.as_ref().is_some_and(|s| s.awaited.is_some());
    let of_rule = |rule: &RulePlan| {
        let name = &[rule.id.as_str()];
        Rule {
            id: rule.id.clone(),
            evaluations: evaluations.with_label_values(name),
            failures: failures.with_label_values(name),
            not_ready: not_ready.with_label_values(name),
            signals: signals.with_label_values(name),
            held: waits(rule).then(|| held.with_label_values(name)),
            seen: Mutex::default(),
        }
    };
    pipeline.plan().rules.iter().map(of_rule).collect()
}

impl Rule {
    /// So many runs are held back by the feed that the rule waits for.
    pub(super) fn holds(&self, runs: usize) {
        if let Some(held) = &self.held {
            held.set(whole(runs));
        }
    }

    /// What the pipeline has counted since it was made.
    pub(super) fn work(&self) -> RuleWork {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Totals { evaluations, failures, not_ready } = seen;
        RuleWork { evaluations, failures, not_ready }
    }

    /// The pipeline has counted so much; what is new counts only where `counting`.
    pub(super) fn counted(&self, now: Totals, counting: bool) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if counting {
            self.evaluations.inc_by(now.evaluations - seen.evaluations);
            self.failures.inc_by(now.failures - seen.failures);
            self.not_ready.inc_by(now.not_ready - seen.not_ready);
        }
        *seen = now;
    }
}
