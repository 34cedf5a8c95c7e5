//! Rules in use, and findings about the text of one.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{AlertRow, Text, Window, alert::severities};
use crate::model::signal::Severity;

/// A rule in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleRow {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// Its title.
    pub title: Text,
    /// Directory of its file: `food`.
    pub domain: Option<String>,
    /// `draft`, `shadow`, `live` or `retired`.
    pub status: String,
    /// `instant`, `window`, `detect`, `sequence` or `first_seen`.
    pub kind: String,
    /// The severities it can raise, highest first.
    pub severities: Vec<String>,
    /// The feed it reads.
    pub feed: String,
    /// All feeds it reads: some measures, and the steps of a sequence, name one of their own.
    pub feeds: Vec<String>,
    /// Alerts that are pending or firing.
    pub open: u64,
    /// All alerts it ever raised.
    pub alerts: u64,
    /// Those that were retracted.
    pub retracted: u64,
    /// Signals since the log's beginning.
    pub signals: u64,
    /// When an alert of it fired last.
    pub last_fired_at: Option<String>,
    /// What the engine did for it since the log's beginning.
    pub work: RuleWork,
    /// Its file, below the directory of rules.
    pub file: String,
}

/// What the engine did for a rule; all 0 for rules over single records, sequences, and those that do not run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleWork {
    /// Keys of closed windows that it was evaluated for.
    pub evaluations: u64,
    /// Evaluations that failed and count as not true.
    pub failures: u64,
    /// Evaluations without the history that it compares with.
    pub not_ready: u64,
}

/// A rule with its text.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RuleDetail {
    /// What lists show.
    #[serde(flatten)]
    pub rule: RuleRow,
    /// What it is for.
    pub about: Option<String>,
    /// Who keeps it.
    pub owner: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// What it says, part by part.
    pub definition: Definition,
    /// Text of its file.
    pub text: String,
    /// The tests inside.
    pub tests: Vec<RuleTestRow>,
    /// Its latest alerts.
    pub latest: Vec<AlertRow>,
    /// Alerts that fired, week by week, oldest first: the year that ends with the latest record of its feed.
    pub weeks: Vec<RuleWeek>,
}

/// Alerts of a rule that fired in one week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleWeek {
    /// Its Monday.
    pub start: String,
    /// How many fired.
    pub alerts: u64,
    /// Of those, how many were retracted.
    pub retracted: u64,
}

/// What a rule says; SQL as its author wrote it, on one line.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Definition {
    /// Which rows it sees: `where`.
    pub filter: Option<String>,
    /// What rows are grouped by.
    pub key: Vec<KeyRow>,
    /// Rows with a missing part of the key form a key of their own; else they are left out.
    pub keeps_missing_keys: bool,
    /// The time column it goes by, where it is not the feed's event time.
    pub time: Option<String>,
    /// Its window; null for rules over single records, sequences and first times.
    pub window: Option<WindowRow>,
    /// What must happen in order; null for rules of other kinds.
    pub sequence: Option<SequenceRow>,
    /// What makes a key new; null for rules of other kinds.
    pub first_seen: Option<FirstSeenRow>,
    /// What it measures.
    pub measures: Vec<MeasureRow>,
    /// What it compares with.
    pub compares: Vec<CompareRow>,
    /// Who judges the first measure, period by period; null for rules without a detector.
    pub detector: Option<DetectorRow>,
    /// Values that `$name` stands for.
    #[schema(value_type = Object)]
    pub params: Map<String, Value>,
    /// When it fires; null where every row that passes the filter does.
    pub when: Option<String>,
    /// When it resolves; null for "`when` is not true".
    pub clear: Option<String>,
    /// Its severities, highest first.
    pub grades: Vec<GradeRow>,
    /// It fires only after the condition held for so long, seconds.
    pub hold_seconds: i64,
    /// It resolves only after it was clear for so long, seconds.
    pub keep_seconds: i64,
    /// When a firing alert is raised again.
    pub reraise: Option<String>,
    /// What to do.
    pub action: Text,
    /// What law or document it stands on.
    pub basis: Vec<String>,
    /// Template of its message.
    pub message: Text,
}

/// What makes a key new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FirstSeenRow {
    /// How long it must have had no record, seconds.
    pub history_seconds: i64,
    /// How long from the feed's first day every key is taken for known, seconds.
    pub learn_seconds: i64,
    /// How many records it takes.
    pub at_least: u32,
    /// Of records with equal values of this only the first counts.
    pub distinct: Option<String>,
    /// How long after the first of them the last may come, seconds.
    pub within_seconds: Option<i64>,
}

/// Steps in an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SequenceRow {
    /// How long after its first record it may go on, seconds; null where one record alone begins the waiting.
    pub within_seconds: Option<i64>,
    /// Every record of the first step begins one that is told; else one takes along those that began before it ended.
    pub each: bool,
    /// The steps.
    pub steps: Vec<StepSaid>,
}

/// What a step asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StepSaid {
    /// Its name.
    pub name: String,
    /// The feed it looks at.
    pub feed: String,
    /// Which of its records.
    pub filter: Option<String>,
    /// The time column it goes by, where it is not the feed's event time.
    pub time: Option<String>,
    /// How many records meet it.
    pub at_least: u32,
    /// Of records with equal values of this only the first counts.
    pub distinct: Option<String>,
    /// What a record must have in common with those of earlier steps.
    pub link: Option<String>,
    /// It must stay away for so long: `30d`, `20wd` (working days).
    pub absent_for: Option<String>,
    /// How much longer its feed is waited for.
    pub wait: Option<String>,
}

/// A detector.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DetectorRow {
    /// Its name.
    pub name: String,
    /// The parameters that its author set.
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
    /// Name of the one that judges where it has no answer.
    pub fallback: Option<String>,
    /// Share of alarms of a period that may be false, where that is controlled.
    pub false_discoveries: Option<f64>,
}

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyRow {
    /// Its name.
    pub name: String,
    /// A column or an expression.
    pub sql: String,
}

/// A window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct WindowRow {
    /// How windows follow each other.
    pub kind: WindowKind,
    /// Its length, of a month or session the longest, seconds.
    pub width_seconds: i64,
    /// From one window's end to the next, of a session the silence that ends it, of a holiday how much around it, seconds.
    pub every_seconds: i64,
}

/// How windows follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowKind {
    /// They overlap.
    Sliding,
    /// One begins where the one before ends.
    Tumbling,
    /// A month; of the calendar where the next begins as far behind as it is long.
    Month,
    /// The holidays of the calendar.
    Holiday,
    /// From a key's first row until it was silent.
    Session,
}

/// A measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MeasureRow {
    /// Its name.
    pub name: String,
    /// Its own feed, where it names one.
    pub feed: Option<String>,
    /// Its own filter.
    pub filter: Option<String>,
    /// The aggregate.
    pub sql: String,
}

/// A compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CompareRow {
    /// Its name: `usual` in `usual.n`.
    pub name: String,
    /// What it compares with.
    pub with: Comparison,
}

/// What a compare compares with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Comparison {
    /// The window that ended so much earlier.
    Shift {
        /// How much, seconds.
        seconds: i64,
    },
    /// Earlier windows of the same key.
    History {
        /// How many.
        windows: u32,
        /// From one to the next, seconds.
        step_seconds: i64,
        /// How many of the nearest are left out.
        skip: u32,
        /// `mean`, `median`, `max` or `sum`.
        of: String,
    },
    /// The same window of a coarser key.
    Peers {
        /// Names of the key's parts that stay.
        key: Vec<String>,
    },
}

/// A severity and when it is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct GradeRow {
    /// The severity.
    #[schema(schema_with = severities)]
    pub severity: Severity,
    /// Its condition; null for "else".
    pub when: Option<String>,
}

/// How many signals a rule gave, and the latest of them.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RuleSignals {
    /// Its id.
    pub rule: String,
    /// Its version.
    pub version: u32,
    /// `shadow` or `live`.
    pub status: String,
    /// Signals since the log's beginning.
    pub total: u64,
    /// The latest, last one first.
    pub signals: Vec<SignalRow>,
}

/// One rule, key and window whose final content satisfies `when`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SignalRow {
    /// The rule.
    pub rule: String,
    /// Its version.
    pub version: u32,
    /// Key columns and their values.
    #[schema(value_type = Object)]
    pub key: Map<String, Value>,
    /// The window.
    pub window: Window,
    /// For rules over single records: which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The severity.
    #[schema(schema_with = severities)]
    pub severity: Severity,
    /// The values.
    #[schema(value_type = Object)]
    pub values: Value,
}

/// A test inside a rule file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleTestRow {
    /// Its name.
    pub name: String,
    /// How many alerts it expects.
    pub expects: usize,
}

/// A finding about the text of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// Stable code: `rule::unknown_column`.
    pub code: String,
    /// `error` or `warning`.
    pub level: String,
    /// What is wrong.
    pub message: String,
    /// A few words at the place itself.
    pub label: String,
    /// How to mend it.
    pub help: Option<String>,
    /// Line of its first character, from 1.
    pub line: usize,
    /// Column of its first character, from 1, in characters.
    pub column: usize,
    /// Line of the character behind it.
    pub end_line: usize,
    /// Column of the character behind it.
    pub end_column: usize,
}
