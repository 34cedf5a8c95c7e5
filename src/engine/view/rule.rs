//! Rules in use, and findings about the text of one.

use serde::Serialize;
use utoipa::ToSchema;

use super::{AlertRow, Text};

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
    /// `instant` or `window`.
    pub kind: String,
    /// The severities it can raise, highest first.
    pub severities: Vec<String>,
    /// The feed it reads.
    pub feed: String,
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
    /// Its file, below the directory of rules.
    pub file: String,
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
    /// Text of its file.
    pub text: String,
    /// The tests inside.
    pub tests: Vec<RuleTestRow>,
    /// Its latest alerts.
    pub latest: Vec<AlertRow>,
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
