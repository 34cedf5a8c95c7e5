//! What is counted of alerts: those that are there, what they did, and how soon they were stored.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGaugeVec};

use super::maker::Maker;
use crate::{
    model::{alert::State, signal::Severity},
    store::alerts::Told,
};

/// From arrival to a stored alert, seconds.
const TO_ALERT_S: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];
/// State that an alert can be in and still count as one that is there.
const ACTIVE: [State; 3] = [State::Pending, State::Firing, State::Suppressed];
/// A revision that left the state as it was.
const REVISED: &str = "revised";

/// The series of alerts.
pub(super) struct Alerts {
    /// Alerts that are there, and how.
    active: Mutex<BTreeMap<String, (State, Severity)>>,
    to_alert: HistogramVec,
    alerts: IntGaugeVec,
    transitions: IntCounterVec,
    retractions: IntCounter,
}

impl Alerts {
    pub(super) fn new(make: &Maker) -> Self {
        let alerts = Self {
            active: Mutex::default(),
            to_alert: make.histograms(
                "forewarn_event_to_alert_seconds",
                "From the arrival of the record that raised an alert until the alert was stored.",
                &["severity"],
                &TO_ALERT_S,
            ),
            alerts: make.gauges(
                "forewarn_alerts",
                "Alerts whose condition holds, by severity and state.",
                &["severity", "state"],
            ),
            transitions: make.counters(
                "forewarn_alert_transitions_total",
                "Revisions of alerts by the state they entered; revised: the state stayed.",
                &["transition"],
            ),
            retractions: make.counter(
                "forewarn_alert_retractions_total",
                "Alerts taken back because records were corrected or withdrawn.",
            ),
        };
        for severity in Severity::ALL {
            alerts.to_alert.with_label_values(&[severity.word()]);
            for state in ACTIVE {
                alerts.alerts.with_label_values(&[severity.word(), state.word()]);
            }
        }
        for word in State::ALL.map(State::word).into_iter().chain([REVISED]) {
            alerts.transitions.with_label_values(&[word]);
        }
        alerts
    }

    /// These alerts are there.
    pub(super) fn begin(&self, active: Vec<(String, State, Severity)>) {
        *self.active.lock().unwrap_or_else(PoisonError::into_inner) =
            active.into_iter().map(|(id, state, severity)| (id, (state, severity))).collect();
        self.show();
    }

    /// Revisions were stored at `now_ms`.
    pub(super) fn stored<'a>(&self, told: impl IntoIterator<Item = &'a Told>, now_ms: i64) {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        for one in told {
            let before = if ACTIVE.contains(&one.state) {
                active.insert(one.id.clone(), (one.state, one.severity))
            } else {
                active.remove(&one.id)
            };
            let stayed = before.is_some_and(|(state, _)| state == one.state);
            let word = if stayed { REVISED } else { one.state.word() };
            self.transitions.with_label_values(&[word]).inc();
            if one.state == State::Retracted {
                self.retractions.inc();
            }
            if one.revision == 1 {
                let took = (now_ms - one.known_ms).max(0) as f64 / 1_000.0;
                self.to_alert.with_label_values(&[one.severity.word()]).observe(took);
            }
        }
        drop(active);
        self.show();
    }

    fn show(&self) {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: BTreeMap<(Severity, State), i64> = BTreeMap::new();
        active.values().for_each(|(state, severity)| {
            *counts.entry((*severity, *state)).or_default() += 1;
        });
        for severity in Severity::ALL {
            for state in ACTIVE {
                let n = counts.get(&(severity, state)).copied().unwrap_or(0);
                self.alerts.with_label_values(&[severity.word(), state.word()]).set(n);
            }
        }
    }
}
