//! Twins: rules with one id, or with one meaning.

use std::collections::HashMap;

use crate::{
    model::diagnostic::{Diagnostic, Level},
    rule::{
        detector::{ControlFile, MethodFile},
        file::{Compare, RuleFile, Status},
        scope::Resolved,
    },
};

/// Rules that say the same.
#[derive(Default)]
pub(super) struct Seen<'a> {
    meanings: HashMap<String, &'a RuleFile>,
    ids: HashMap<&'a str, &'a RuleFile>,
}

impl<'a> Seen<'a> {
    /// A finding if an earlier rule has this one's id or meaning.
    pub(super) fn duplicate(
        &mut self,
        rule: &'a RuleFile,
        resolved: &Resolved,
    ) -> Option<Diagnostic> {
        let at = rule.id.span.clone();
        if let Some(first) = self.ids.insert(&rule.id.value, rule) {
            let message = format!("rule {:?} is also in {}", rule.id.value, first.path.display());
            return Some(
                Diagnostic::error("rule::duplicate_of", at, message).label("ids are unique"),
            );
        }
        if rule.unread.any()
            || rule.status.value == Status::Retired
            || resolved.when.is_none() != rule.when.is_none()
        {
            return None;
        }
        let measures: Vec<_> = resolved
            .measures
            .iter()
            .map(|m| (&m.name, m.feed, &m.filter, &m.value, &m.aggregates))
            .collect();
        let window = rule.window.as_ref().map(|w| w.value);
        let compares: Vec<_> = rule
            .compares
            .iter()
            .map(|c| (&c.name.value, format!("{:?}", spanless(&c.with))))
            .collect();
        let time = rule.time.as_ref().map(|t| &t.value);
        let meaning = format!(
            "{:?}",
            (
                resolved.feed,
                &resolved.filter,
                &resolved.key,
                measures,
                window,
                compares,
                &resolved.when,
                time,
                (steps(rule, resolved), memory(rule, resolved)),
                judges(rule)
            )
        );
        let first = self.meanings.get(&meaning);
        let finding = first.map(|first| {
            let message =
                format!("rule {:?} says the same as rule {:?}", rule.id.value, first.id.value);
            let label = format!("see {}", first.path.display());
            let live = [rule, *first].iter().all(|r| r.status.value == Status::Live);
            let level = if live { Level::Error } else { Level::Warning };
            Diagnostic {
                level,
                ..Diagnostic::error("rule::duplicate_of", at, message).label(label)
            }
        });
        self.meanings.entry(meaning).or_insert(rule);
        finding
    }
}

/// What a sequence's steps say, whatever they are called and wherever they stand.
fn steps(rule: &RuleFile, resolved: &Resolved) -> String {
    let Some(sequence) = &rule.sequence else { return String::new() };
    let steps = sequence.steps.iter().zip(&resolved.steps).map(|(file, step)| {
        let terms = [&file.absent_for, &file.wait].map(|t| t.as_ref().map(|t| t.value));
        let (at_least, time) =
            (file.at_least.as_ref().map(|n| n.value), file.time.as_ref().map(|t| &t.value));
        format!(
            "{:?}",
            (step.feed, &step.filter, &step.distinct, &step.link, at_least, time, terms)
        )
    });
    let within = sequence.within.as_ref().map(|w| w.value);
    format!("{within:?} {} {}", sequence.each, steps.collect::<String>())
}

/// How a first-seen rule remembers.
fn memory(rule: &RuleFile, resolved: &Resolved) -> String {
    let Some(asked) = &rule.first_seen else { return String::new() };
    let within = asked.within.as_ref().map(|w| w.value);
    let distinct: Vec<_> = resolved.steps.iter().map(|s| &s.distinct).collect();
    format!("{:?}", (asked.history.value, asked.learn_ms(), asked.needed(), within, distinct))
}

/// Who judges a series, and what it is given.
fn judges(rule: &RuleFile) -> String {
    let Some(detect) = &rule.detect else { return String::new() };
    let named = |m: &MethodFile| {
        format!("{} {}", m.name.value, serde_json::Value::from(m.parameters.clone()))
    };
    let methods: Vec<String> =
        std::iter::once(&detect.detector).chain(&detect.fallback).map(named).collect();
    let lengths = [&detect.baseline, &detect.run].map(|n| n.as_ref().map(|n| n.value));
    let nowcast = detect.nowcast.as_ref().map(|n| (&n.method, n.wait));
    let over = |c: &ControlFile| c.over.iter().map(|o| o.value.clone()).collect::<Vec<_>>();
    let control = rule.alert.control.as_ref().map(|c| (c.fdr, over(c)));
    let given = (detect.fill_zero, detect.population.is_some(), detect.calendar.is_some());
    format!("{:?}", (methods, lengths, nowcast, control, given, &detect.exclude))
}

fn spanless(compare: &Compare) -> (u8, Vec<i64>, Vec<&str>) {
    match compare {
        Compare::Shift { shift_ms } => (0, vec![*shift_ms], Vec::new()),
        Compare::History { windows, step_ms, skip, of } => {
            (1, vec![i64::from(*windows), *step_ms, i64::from(*skip), *of as i64], Vec::new())
        }
        Compare::Peers { key } => (2, Vec::new(), key.iter().map(|k| k.value.as_str()).collect()),
    }
}
