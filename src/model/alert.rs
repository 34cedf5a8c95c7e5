//! Alerts: episodes of signals of one rule and key, as people and machines read them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    signal::{Key, Severity, Span},
    time::Zone,
};

/// The condition's state (handling by people is another machine).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The condition holds, not yet for `hold_for`.
    Pending,
    /// The condition holds.
    Firing,
    /// It held and no longer does.
    Resolved,
    /// It turned out never to have held: data were corrected or withdrawn.
    Retracted,
    /// It holds and an exception covers it.
    Suppressed,
}

impl State {
    /// All states.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Firing, Self::Resolved, Self::Retracted, Self::Suppressed];

    /// The state of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }

    /// The word in files, API and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Retracted => "retracted",
            Self::Suppressed => "suppressed",
        }
    }
}

/// One alert at one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// `hash(rule, key)` and the episode: `9f2c…-1`.
    pub id: String,
    /// Position of the rule in the rule set.
    pub rule: usize,
    /// Version of the rule that raised it.
    pub version: u32,
    /// The key.
    pub key: Arc<Key>,
    /// Number of the episode of this rule and key, from 1.
    pub episode: u32,
    /// Counts up with every change people may want to see, from 1.
    pub revision: u32,
    /// The state.
    pub state: State,
    /// The severity now.
    pub severity: Severity,
    /// Start of the first firing window.
    pub began_ms: i64,
    /// Event time at which the condition became true (early firing), or the end of the window it closed true.
    pub fired_ms: i64,
    /// Arrival number and time at which the engine first knew.
    pub known: (u64, i64),
    /// When it ended; of a retracted one the arrival time of the record that took it back.
    pub resolved_ms: Option<i64>,
    /// The window that the values are of: the latest that fired.
    pub window: Span,
    /// For instant rules the record id.
    pub record: Option<Arc<str>>,
    /// Values of that window.
    pub values: Map<String, Value>,
    /// Values at the first firing.
    pub fired_values: Map<String, Value>,
    /// Context of the record that fired: group columns and what messages name.
    pub context: Map<String, Value>,
    /// How often `reraise` raised it again.
    pub reraised: u32,
    /// Ids of the records in the window, first 1,000 by event time.
    pub evidence: Vec<String>,
    /// How many records there are in all.
    pub evidence_total: u64,
    /// Of a sequence the steps in the rule's order.
    pub steps: Vec<StepMet>,
    /// The exception that covers it, where it is suppressed.
    pub exception: Option<Arc<str>>,
    /// Rendered message, zh and en.
    pub message: (String, String),
    /// Arrival number of the record that caused this revision.
    pub changed_by: u64,
}

/// How a step of a sequence was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepMet {
    /// Its name.
    pub name: String,
    /// The feed it looks at.
    pub feed: String,
    /// Time of the record that met it; `None` where it stayed away.
    pub at_ms: Option<i64>,
    /// Where it stayed away: until when.
    pub absent_until_ms: Option<i64>,
    /// Ids of the records that were taken for it, in order of time.
    pub records: Vec<String>,
}

impl StepMet {
    /// As it stands in an alert.
    #[must_use]
    pub fn to_json(&self, zone: &Zone) -> Value {
        let mut out = json!({"step": self.name, "feed": self.feed});
        match (self.absent_until_ms, self.at_ms) {
            (Some(ms), _) => out["absent_until"] = zone.format(ms).into(),
            (None, at_ms) => {
                out["at"] = at_ms.map_or(Value::Null, |ms| zone.format(ms).into());
                out["records"] = json!(self.records);
            }
        }
        out
    }
}

impl Alert {
    /// The alert as people's tools read it: in `alerts.ndjson`, the alert store, the API and every sink.
    #[must_use]
    pub fn to_json(&self, rule_id: &str, zone: &Zone) -> Map<String, Value> {
        let at = |ms: i64| Value::String(zone.format(ms));
        let mut out = Map::new();
        let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
        put("id", json!(self.id));
        put("revision", json!(self.revision));
        put("rule", json!(rule_id));
        put("version", json!(self.version));
        put("key", Value::Object(self.key.values()));
        if let Some(record) = &self.record {
            put("record", json!(**record));
        }
        put("episode", json!(self.episode));
        put("state", json!(self.state));
        if let Some(exception) = &self.exception {
            put("exception", json!(**exception));
        }
        put("severity", json!(self.severity));
        put("began_at", at(self.began_ms));
        put("fired_at", at(self.fired_ms));
        put("known_at", at(self.known.1));
        put("resolved_at", self.resolved_ms.map_or(Value::Null, at));
        put("window", json!({"start": at(self.window.start_ms), "end": at(self.window.end_ms)}));
        put("values", Value::Object(self.values.clone()));
        put("fired_values", Value::Object(self.fired_values.clone()));
        put("context", Value::Object(self.context.clone()));
        put("reraised", json!(self.reraised));
        put("message", json!({"zh": self.message.0, "en": self.message.1}));
        put("evidence", json!(self.evidence));
        put("evidence_total", json!(self.evidence_total));
        if !self.steps.is_empty() {
            put("steps", self.steps.iter().map(|s| s.to_json(zone)).collect());
        }
        put("known_by", json!(self.known.0));
        put("changed_by", json!(self.changed_by));
        out
    }
}
