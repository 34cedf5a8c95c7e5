//! What is counted of rules: evaluations, failures, signals.

use std::sync::{Mutex, PoisonError};

use prometheus::IntCounter;

use super::{super::pipeline::Pipeline, maker::Maker};
use crate::rule::plan::RulePlan;

/// The series of one rule, and what the pipeline had counted when it was looked at last.
pub(super) struct Rule {
    evaluations: IntCounter,
    failures: IntCounter,
    not_ready: IntCounter,
    pub(super) signals: IntCounter,
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
    let of_rule = |rule: &RulePlan| {
        let name = &[rule.id.as_str()];
        Rule {
            evaluations: evaluations.with_label_values(name),
            failures: failures.with_label_values(name),
            not_ready: not_ready.with_label_values(name),
            signals: signals.with_label_values(name),
            seen: Mutex::default(),
        }
    };
    pipeline.plan().rules.iter().map(of_rule).collect()
}

impl Rule {
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
