//! Sequences: steps that make sense together, with an end to the waiting.

use std::ops::Range;

use super::{Judge, near};
use crate::{
    model::{diagnostic::Diagnostic, schema::FeedSchema, time::format_span},
    rule::{
        expr,
        message::Template,
        scope::Resolved,
        sequence::file::{SequenceFile, StepFile},
    },
};

/// Steps that the engine tells apart.
const STEPS_MAX: usize = 32;

impl Judge<'_> {
    pub(super) fn sequence(&mut self, resolved: &Resolved) {
        let Some(sequence) = &self.rule.sequence else { return };
        self.step_names(sequence);
        self.number_of_steps(sequence);
        self.within(sequence);
        for (at, step) in sequence.steps.iter().enumerate() {
            let feed = resolved.steps.get(at).and_then(|s| s.feed);
            self.step_fields(sequence, at, step);
            if let Some(feed) = feed {
                self.absence(step, feed);
                self.step_time(step, self.feeds[feed].schema);
            }
        }
        self.times_of_feeds(sequence);
        self.rule_time(sequence);
        self.personal_values(sequence, resolved);
    }

    fn step_names(&mut self, sequence: &SequenceFile) {
        for (at, step) in sequence.steps.iter().enumerate() {
            let name = &step.name;
            if sequence.steps[..at].iter().any(|s| s.name.value == name.value) {
                let message = format!("two steps are named {:?}", name.value);
                let label = "conditions and messages tell steps by name";
                self.error("rule::name_taken", name.span.clone(), message, label);
            }
        }
    }

    fn number_of_steps(&mut self, sequence: &SequenceFile) {
        let (steps, at) = (&sequence.steps, sequence.span.clone());
        if steps.len() < 2 {
            let message = format!("a sequence of {} has no order", count(steps.len()));
            let label = match steps.first() {
                Some(step) if step.at_least.as_ref().is_some_and(|n| n.value > 1) => {
                    "count records with kind: window"
                }
                _ => "kind: instant looks at single records",
            };
            self.error("rule::too_few_steps", at, message, label);
        } else if steps.len() > STEPS_MAX {
            let message = format!("a sequence of {} steps, {STEPS_MAX} are the most", steps.len());
            self.error("rule::too_many_steps", at, message, "");
        }
    }

    /// Without an end, what never comes about would be held for ever.
    fn within(&mut self, sequence: &SequenceFile) {
        let happen: Vec<_> = sequence.steps.iter().filter(|s| s.absent_for.is_none()).collect();
        let goes_on = happen.len() > 1
            || happen.iter().any(|s| s.at_least.as_ref().is_some_and(|n| n.value > 1));
        match &sequence.within {
            None if goes_on => {
                let message = "nothing says how long after its first record the sequence may go on";
                let label = "add within: 30d, or as long as it means something";
                self.error("rule::within_missing", sequence.span.clone(), message, label);
            }
            Some(within) if !goes_on && !happen.is_empty() => {
                let message = "within has no effect: one record alone begins the waiting";
                let label = "absent_for says how long it is";
                self.error("rule::no_effect", within.span.clone(), message, label);
            }
            _ => {}
        }
    }

    fn step_fields(&mut self, sequence: &SequenceFile, at: usize, step: &StepFile) {
        let absent = step.absent_for.is_some();
        let name = &step.name.value;
        let mut no_effect = |at: Range<usize>, what: &str, why: &str| {
            let message = format!("{what} has no effect in step {name:?}: {why}");
            self.findings.push(Diagnostic::error("rule::no_effect", at, message));
        };
        if let Some(at_least) = step.at_least.as_ref().filter(|_| absent) {
            no_effect(at_least.span.clone(), "at_least", "one record ends the waiting");
        }
        if let Some(distinct) = &step.distinct {
            let several = step.at_least.as_ref().is_some_and(|n| n.value > 1);
            if absent {
                no_effect(distinct.span.clone(), "distinct", "one record ends the waiting");
            } else if !several {
                no_effect(distinct.span.clone(), "distinct", "it needs at_least: 2 or more");
            }
        }
        if let Some(wait) = step.wait.as_ref().filter(|_| !absent) {
            no_effect(wait.span.clone(), "wait", "it belongs to absent_for");
        }
        if let Some(link) = step.link.as_ref().filter(|_| at == 0) {
            no_effect(link.span.clone(), "match", "there is no earlier step; write it in where");
        }
        if let Some(term) = &step.absent_for
            && (at == 0 || at + 1 != sequence.steps.len())
        {
            let message = match at {
                0 => format!("step {name:?} stays away before anything happened"),
                _ => format!("step {name:?} stays away, and something follows"),
            };
            let label = "only the last step, after one that happens, can stay away";
            self.error("rule::absent_not_last", term.span.clone(), message, label);
        }
    }

    /// Records that may come later than the deadline take the alert back.
    fn absence(&mut self, step: &StepFile, feed: usize) {
        let Some(term) = &step.absent_for else { return };
        let late_ms = self.feeds[feed].allowed_lateness_ms;
        let waited = step.wait.as_ref().map_or(0, |w| w.value.longest_ms());
        if late_ms > term.value.longest_ms().saturating_add(waited) {
            let message = format!(
                "records of feed {:?} may be {} late, the alert is told after {}",
                step.feed.value,
                format_span(late_ms),
                term.value.text(),
            );
            let label = "many alerts will be taken back: wait: holds them until records are there";
            self.warn("rule::lateness_exceeds_absent", term.span.clone(), message, label);
        }
    }

    fn step_time(&mut self, step: &StepFile, feed: &FeedSchema) {
        if let Some(time) = &step.time {
            self.time_of(time, feed);
        }
    }

    /// `time:` of the rule is for the feeds that have it: one must.
    fn rule_time(&mut self, sequence: &SequenceFile) {
        let Some(time) = &self.rule.time else { return };
        let names = || sequence.steps.iter().map(|s| s.feed.value.as_str());
        let feeds: Vec<&FeedSchema> = self
            .feeds
            .iter()
            .map(|f| f.schema)
            .filter(|f| names().any(|name| name == f.feed))
            .collect();
        match feeds.iter().find(|f| f.position(&time.value).is_some()) {
            Some(feed) => self.time_of(time, feed),
            None => {
                let columns = feeds.iter().flat_map(|f| &f.columns).map(|c| c.name.as_str());
                let label = near(&time.value, columns);
                let message = format!("no step's feed has a column {:?}", time.value);
                self.error("rule::unknown_column", time.span.clone(), message, label);
            }
        }
    }

    /// Rows of one feed have one order.
    fn times_of_feeds(&mut self, sequence: &SequenceFile) {
        let time = |s: &StepFile| s.time.as_ref().map(|t| t.value.clone());
        for (at, step) in sequence.steps.iter().enumerate() {
            let other = |s: &&StepFile| s.feed.value == step.feed.value && time(s) != time(step);
            if let Some(first) = sequence.steps[..at].iter().find(other) {
                let message = format!(
                    "steps {:?} and {:?} go by different times of feed {:?}",
                    first.name.value, step.name.value, step.feed.value
                );
                let at = step.time.as_ref().map_or(step.feed.span.clone(), |t| t.span.clone());
                self.error("rule::impossible", at, message, "write the same time: in both");
            }
        }
    }

    /// What the ladder, messages and `show` name of a step is shown.
    fn personal_values(&mut self, sequence: &SequenceFile, resolved: &Resolved) {
        let mut shown: Vec<(String, Range<usize>)> = Vec::new();
        for ((_, sql), (_, expr)) in self.rule.severity.iter().zip(&resolved.severity) {
            if let Some((sql, expr)) = sql.as_ref().zip(expr.as_ref()) {
                shown.extend(expr::columns(expr).into_iter().map(|c| (c, sql.span.clone())));
            }
        }
        let alert = &self.rule.alert;
        for text in alert.message.zh.iter().chain(&alert.message.en) {
            let Ok(template) = Template::parse(&text.value) else { continue };
            shown.extend(template.names().map(|(n, _)| (n.to_owned(), text.span.clone())));
        }
        shown.extend(alert.show.iter().map(|s| (s.value.clone(), s.span.clone())));
        for (name, at) in shown {
            let Some((step, column)) = name.split_once('.') else { continue };
            let Some(step) = sequence.steps.iter().find(|s| s.name.value == step) else { continue };
            let feed = self.feeds.iter().find(|f| f.schema.feed == step.feed.value);
            let personal = feed
                .is_some_and(|f| f.schema.columns.iter().any(|c| c.name == column && c.personal));
            if personal {
                let message = format!("alerts would show the personal column {name:?}");
                self.error("rule::personal_field_shown", at, message, "take it out");
            }
        }
    }
}

fn count(steps: usize) -> String {
    match steps {
        0 => "no steps".into(),
        1 => "one step".into(),
        n => format!("{n} steps"),
    }
}
