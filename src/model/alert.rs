//! Alerts: episodes of signals of one rule and key, as people and machines read them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::signal::{Key, Severity, Span};

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
    /// When it ended.
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
    /// Rendered message, zh and en.
    pub message: (String, String),
    /// Arrival number of the record that caused this revision.
    pub changed_by: u64,
}
