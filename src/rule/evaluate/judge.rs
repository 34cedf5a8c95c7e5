//! What holds for each row of a rule's values.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    buffer::BooleanBuffer,
    datatypes::Int64Type,
};

use crate::{
    model::{
        expression::{evaluate_rows, true_mask},
        signal::{Severity, Truth},
    },
    rule::plan::RulePlan,
};

/// What holds for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Fire, clear or neither.
    pub truth: Truth,
    /// The severity if it fires.
    pub severity: Severity,
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
