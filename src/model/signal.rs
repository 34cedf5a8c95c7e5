//! Signals: one rule, key and window whose final content satisfied the rule.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Severity of a signal and an alert: 蓝 黄 橙 红.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// 蓝, the lowest.
    Low,
    /// 黄.
    Medium,
    /// 橙.
    High,
    /// 红, the highest.
    Critical,
}

impl Severity {
    /// All, lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word in files, API and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }
}

/// A key: its columns and values in the rule's order, as one JSON text. The text sorts and compares keys, and is what alert
/// ids are made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `{"ucc":"9143…","region":"430102"}`
    pub canonical: Box<str>,
}

impl Key {
    /// The key of these values.
    #[must_use]
    pub fn new(values: Map<String, Value>) -> Self {
        Self { canonical: Value::Object(values).to_string().into() }
    }

    /// Column name → value, in the rule's order.
    #[must_use]
    pub fn values(&self) -> Map<String, Value> {
        serde_json::from_str(&self.canonical).unwrap_or_default()
    }
}

/// A window as instants `[start, end)`; for instant rules both are the record's event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First instant in the window.
    pub start_ms: i64,
    /// First instant behind it.
    pub end_ms: i64,
}

/// What the engine found for one rule, key and window; the input of `alert::lifecycle`.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Position of the rule in the rule set.
    pub rule: usize,
    /// The key.
    pub key: Arc<Key>,
    /// The window.
    pub window: Span,
    /// For instant rules the record id, for sequences that of the record it began with: the window's identity.
    pub record: Option<Arc<str>>,
    /// What holds for the window now.
    pub truth: Truth,
    /// Whether the window is closed; an open one can still change.
    pub closed: bool,
    /// What made the engine look.
    pub cause: Cause,
    /// The severity; only meaningful when `truth` is [`Truth::Fire`].
    pub severity: Severity,
    /// Measures and compares by name; counts are integers, NULL is null.
    pub values: Map<String, Value>,
    /// Values of the `group` columns and of the columns messages name, from the record that fired.
    pub context: Map<String, Value>,
    /// Whether the rule's `reraise` holds against the values of the last raise (`last.*`).
    pub reraise: bool,
}

/// What holds for a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// `when` is true.
    Fire,
    /// `clear` is true, or the window has no rows.
    Clear,
    /// Neither: hysteresis keeps what was.
    Hold,
}

/// The record or the passing of time that made the engine evaluate a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// Event time: of the record for early firing and late rows, the window's end on close.
    pub at_ms: i64,
    /// Arrival number of the record, or of the record that moved the watermark.
    pub arrival: u64,
    /// Arrival time of that record.
    pub arrived_ms: i64,
}

/// One signal as it is written to `signals.ndjson`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signal<'a> {
    /// The key.
    pub key: &'a Key,
    /// The window.
    pub window: Span,
    /// For instant rules the record id, for sequences that of the record it began with.
    pub record: Option<&'a str>,
    /// The severity.
    pub severity: Severity,
    /// Final values as JSON text, in the order of the rule's names.
    pub values: &'a str,
    /// The window was not closed when the input ended.
    pub open: bool,
}

/// Text of values from which on a group of signals is full, bytes.
const VALUES_MAX: usize = 1 << 30;

/// Signals of one rule and window that became final together: there are millions of them, and they share most.
#[derive(Debug, Clone, PartialEq)]
pub struct Signals {
    /// Position of the rule in the rule set.
    pub rule: usize,
    /// The window.
    pub window: Span,
    /// For instant rules the record id.
    pub record: Option<Arc<str>>,
    /// The window was not closed when the input ended.
    pub open: bool,
    keys: Vec<Arc<Key>>,
    /// By key: the severity, and where its values end.
    ends: Vec<(Severity, u32)>,
    /// The values of all keys, one text behind the other.
    values: String,
}

impl Signals {
    /// None yet.
    #[must_use]
    pub fn new(rule: usize, window: Span, record: Option<Arc<str>>, open: bool) -> Self {
        let (keys, ends, values) = (Vec::new(), Vec::new(), String::new());
        Self { rule, window, record, open, keys, ends, values }
    }

    /// Adds the signal of a key, whose values `write` appends.
    pub fn push(&mut self, key: Arc<Key>, severity: Severity, write: impl FnOnce(&mut String)) {
        write(&mut self.values);
        self.keys.push(key);
        self.ends.push((severity, self.values.len() as u32));
    }

    /// Whether further signals belong into a group of their own, so that places in the text stay within 32 bits.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.values.len() >= VALUES_MAX
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Their keys, in the order in which they were added.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.iter()
    }

    /// Signal number `i`.
    #[must_use]
    pub fn get(&self, i: usize) -> Signal<'_> {
        let from = i.checked_sub(1).map_or(0, |before| self.ends[before].1);
        let (severity, to) = self.ends[i];
        Signal {
            key: &self.keys[i],
            window: self.window,
            record: self.record.as_deref(),
            severity,
            values: &self.values[from as usize..to as usize],
            open: self.open,
        }
    }

    /// Gives back memory that further signals would have used.
    pub fn shrink(&mut self) {
        self.keys.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.values.shrink_to_fit();
    }
}
