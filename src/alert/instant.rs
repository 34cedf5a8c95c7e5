//! Instant rules and sequences: every record that matches, or that a sequence began with, is an alert of its own.
//!
//! The alert fires once and stays firing; with `keep_for` it resolves that long after the record's event time, when
//! the engine says the time has come. A correction revises it, or retracts it where the record no longer matches.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    fold::Content,
    identity::{KeyHash, KeyMap, alert_id, key_hash},
    lifecycle::{AlertSpec, View},
};
use crate::model::{
    alert::{Alert, State},
    exception,
    signal::{Cause, Key, Outcome, Truth},
};

/// The alerts of one instant rule that can still change.
#[derive(Debug, Default)]
pub(super) struct Instants {
    alerts: KeyMap<Instant>,
    /// Event time plus `keep_for` → alerts.
    due: BTreeMap<i64, Vec<KeyHash>>,
    /// The same for those that were resolved at that time and only wait for corrections.
    kept: BTreeMap<i64, Vec<KeyHash>>,
}

#[derive(Debug)]
struct Instant {
    key: Arc<Key>,
    record: Option<Arc<str>>,
    revision: u32,
    known: (u64, i64),
    view: View,
}

impl Instants {
    pub(super) fn update(&mut self, spec: &AlertSpec, outcome: &Outcome) -> Option<Alert> {
        let hash = key_hash(&outcome.key.canonical, outcome.record.as_deref());
        let fires = outcome.truth == Truth::Fire;
        let Some(instant) = self.alerts.get_mut(&hash) else {
            if !fires {
                return None;
            }
            let instant = Instant::new(spec, outcome);
            let alert = instant.alert(spec, outcome.cause);
            self.alerts.insert(hash, instant);
            let due = outcome.window.end_ms.saturating_add(spec.keep_ms.max(0));
            self.due.entry(due).or_default().push(hash);
            return Some(alert);
        };
        let was_gone = instant.view.state == State::Retracted;
        let same = if fires { !was_gone && instant.view.last.is(outcome) } else { was_gone };
        if same {
            return None;
        }
        if fires {
            let content = Content::of(outcome);
            instant.view.severity = outcome.severity;
            instant.view.window = outcome.window;
            instant.view.first = Arc::clone(&content);
            instant.view.last = content;
            if was_gone {
                let exception = covered_by(spec, outcome);
                instant.view.state = state_with(exception.as_ref());
                (instant.view.exception, instant.view.resolved_ms) = (exception, None);
            }
        } else {
            (instant.view.state, instant.view.exception) = (State::Retracted, None);
            instant.view.resolved_ms = Some(outcome.cause.arrived_ms);
        }
        instant.revision += 1;
        Some(instant.alert(spec, outcome.cause))
    }

    /// Resolves what is due at `to_ms`, in the order it became due.
    pub(super) fn expire(&mut self, spec: &AlertSpec, cause: Cause, to_ms: i64) -> Vec<Alert> {
        if spec.keep_ms <= 0 {
            return Vec::new();
        }
        let later = self.due.split_off(&to_ms.saturating_add(1));
        let mut out = Vec::new();
        for (due_ms, hashes) in std::mem::replace(&mut self.due, later) {
            for hash in &hashes {
                let Some(instant) = self.alerts.get_mut(hash) else { continue };
                if matches!(instant.view.state, State::Firing | State::Suppressed) {
                    (instant.view.state, instant.view.exception) = (State::Resolved, None);
                    instant.view.resolved_ms = Some(due_ms);
                    instant.revision += 1;
                    out.push(instant.alert(spec, cause));
                }
            }
            self.kept.entry(due_ms).or_default().extend(hashes);
        }
        out
    }

    pub(super) fn forget(&mut self, closed_before_ms: i64) {
        for calendar in [&mut self.due, &mut self.kept] {
            let later = calendar.split_off(&closed_before_ms.saturating_add(1));
            for hash in std::mem::replace(calendar, later).into_values().flatten() {
                self.alerts.remove(&hash);
            }
        }
    }
}

/// The exception that covers a record's alert. It holds at the record's time, so it does not end while the alert lasts.
fn covered_by(spec: &AlertSpec, outcome: &Outcome) -> Option<Arc<str>> {
    let of_key: Vec<_> =
        spec.exceptions.iter().filter(|e| e.covers(&outcome.key)).cloned().collect();
    exception::at(&of_key, &outcome.window).cloned()
}

fn state_with(exception: Option<&Arc<str>>) -> State {
    if exception.is_some() { State::Suppressed } else { State::Firing }
}

impl Instant {
    fn new(spec: &AlertSpec, outcome: &Outcome) -> Self {
        let content = Content::of(outcome);
        let exception = covered_by(spec, outcome);
        Self {
            key: Arc::clone(&outcome.key),
            record: outcome.record.clone(),
            revision: 1,
            known: (outcome.cause.arrival, outcome.cause.arrived_ms),
            view: View {
                state: state_with(exception.as_ref()),
                exception,
                severity: outcome.severity,
                began_ms: outcome.window.start_ms,
                fired_ms: outcome.cause.at_ms,
                resolved_ms: None,
                window: outcome.window,
                last: Arc::clone(&content),
                fired: Arc::clone(&content),
                first: content,
            },
        }
    }

    fn alert(&self, spec: &AlertSpec, cause: Cause) -> Alert {
        Alert {
            id: alert_id(&spec.rule_id, &self.key.canonical, self.record.as_deref(), 1),
            revision: self.revision,
            known: self.known,
            changed_by: cause.arrival,
            ..self.view.alert(spec, &self.key, self.record.as_ref())
        }
    }
}
