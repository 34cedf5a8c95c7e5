//! An alert in a list, and all that can be said about one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, Type},
};

use crate::model::{alert::State, signal::Severity};

/// A text in both languages; either may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Text {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// A half-open span of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Window {
    /// Its first instant.
    pub start: String,
    /// The instant behind its last.
    pub end: String,
}

/// The business an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Business {
    /// Unified social credit code.
    pub ucc: String,
    /// What people call it, where a record says so.
    pub name: Option<String>,
}

/// An alert in a list, at its latest revision.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AlertRow {
    /// Hash of rule and key, and the number of the episode: `9f2c…-1`.
    pub id: String,
    /// Counts up with every change, from 1.
    pub revision: u32,
    /// Id of the rule.
    pub rule: String,
    /// Version of the rule that raised it.
    pub version: u32,
    /// Title of the rule; its id where the rule is gone.
    pub title: Text,
    /// Directory of the rule: `food`.
    pub domain: Option<String>,
    /// Key columns and their values.
    #[schema(value_type = Object)]
    pub key: Map<String, Value>,
    /// For rules over single records: which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The business, where key or record names one.
    pub subject: Option<Business>,
    /// Region code of key, record or business.
    pub region: Option<String>,
    /// Name of the region, where the code is a current one.
    pub region_name: Option<String>,
    /// The condition's state.
    #[schema(schema_with = states)]
    pub state: State,
    /// The severity now.
    #[schema(schema_with = severities)]
    pub severity: Severity,
    /// The exception that covers it, where it is suppressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// Start of the first window that fired.
    pub began_at: String,
    /// When the condition became true.
    pub fired_at: String,
    /// When the engine first knew.
    pub known_at: String,
    /// When it ended.
    pub resolved_at: Option<String>,
    /// The window that the values are of: the latest that fired.
    pub window: Window,
    /// Values of that window.
    #[schema(value_type = Object)]
    pub values: Map<String, Value>,
    /// Message of the rule.
    pub message: Text,
    /// How many records stand behind it.
    pub evidence_total: u64,
    /// How often it was raised again.
    pub reraised: u32,
}

/// A page of alerts.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AlertPage {
    /// The alerts, in the order asked for.
    pub alerts: Vec<AlertRow>,
    /// Cursor of the next page; null on the last one.
    pub next: Option<String>,
    /// How many alerts pass the filter in all.
    pub total: u64,
    /// Number of the latest revision in the page's view: `/alerts/stream?after=` goes on behind it.
    pub as_of: i64,
}

/// How many alerts there are of each kind, each kind counted under all filters but its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Facets {
    /// By state, all of them.
    pub states: Vec<Facet>,
    /// By severity, all of them, highest first.
    pub severities: Vec<Facet>,
    /// By rule, most alerts first.
    pub rules: Vec<Facet>,
    /// By city, most alerts first; the word is the city's four digits.
    pub cities: Vec<Facet>,
}

/// How many alerts of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Facet {
    /// As it stands in addresses.
    pub word: String,
    /// For people, where the word is none: title of the rule, name of the city.
    pub title: Text,
    /// How many.
    pub alerts: u64,
}

/// All that can be said about an alert.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AlertDetail {
    /// What lists show.
    #[serde(flatten)]
    pub alert: AlertRow,
    /// Number of the episode of this rule and key, from 1.
    pub episode: u32,
    /// Why it fired: the conditions that `and` joins in `when`, for the window and values above. Empty for rules over
    /// single records, and where the rule was changed since.
    pub terms: Vec<TermRow>,
    /// Of a sequence how each step was met, in the rule's order. Empty for rules of other kinds.
    pub steps: Vec<StepRow>,
    /// Measures and compares with how they are defined.
    pub measures: Vec<Measured>,
    /// Parameters of the rule.
    #[schema(value_type = Object)]
    pub params: Map<String, Value>,
    /// Values at the first firing.
    #[schema(value_type = Object)]
    pub fired_values: Map<String, Value>,
    /// Further columns of the record that fired.
    #[schema(value_type = Object)]
    pub context: Map<String, Value>,
    /// All revisions, oldest first.
    pub history: Vec<Revision>,
    /// The measure of the first comparison, window by window; null for rules over single records and over sessions.
    pub series: Option<Series>,
    /// Ids of the records behind it, first 1,000 by event time.
    pub evidence: Vec<String>,
    /// What a reader must know before believing it.
    pub notes: Vec<Note>,
    /// What to do, after the rule.
    pub action: Text,
    /// What law or document the rule stands on.
    pub basis: Vec<String>,
    /// Text of the rule's file as it is used now.
    pub rule_text: Option<String>,
    /// Arrival number at which the engine first knew.
    pub known_by: u64,
    /// Arrival number of the record that caused this revision.
    pub changed_by: u64,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TermRow {
    /// As SQL.
    pub sql: String,
    /// Whether it holds; null where a value is missing.
    pub holds: Option<bool>,
    /// What stands left of the comparison, as SQL.
    pub left: Option<String>,
    /// Its value.
    #[schema(value_type = Option<Value>)]
    pub value: Option<Value>,
    /// `>=`
    pub operator: Option<String>,
    /// What the value is held against.
    #[schema(value_type = Option<Value>)]
    pub limit: Option<Value>,
}

/// How a step of a sequence was met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepRow {
    /// Its name.
    pub step: String,
    /// The feed it looks at.
    pub feed: String,
    /// Time of the record that met it; null where it stayed away.
    #[serde(default)]
    pub at: Option<String>,
    /// Where it stayed away: until when.
    #[serde(default)]
    pub absent_until: Option<String>,
    /// Ids of the records that were taken for it, in order of time.
    #[serde(default)]
    pub records: Vec<String>,
}

/// A measure or compare.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Measured {
    /// Its name: `people`, `usual.n`.
    pub name: String,
    /// How the rule defines it; null for compares.
    pub sql: Option<String>,
    /// Its value in the alert's window.
    #[schema(value_type = Option<Value>)]
    pub value: Value,
}

/// One revision of an alert.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Revision {
    /// Its number.
    pub revision: u32,
    /// When the record arrived that caused it; null where the log no longer tells.
    pub at: Option<String>,
    /// The state.
    #[schema(schema_with = states)]
    pub state: State,
    /// The severity.
    #[schema(schema_with = severities)]
    pub severity: Severity,
    /// The values.
    #[schema(value_type = Object)]
    pub values: Map<String, Value>,
    /// The message.
    pub message: Text,
    /// How many records.
    pub evidence_total: u64,
    /// Arrival number of the record that caused it.
    pub changed_by: u64,
}

/// A measure of the alert's key, window by window, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Series {
    /// What is shown, as SQL: the left side of the rule's first comparison, or its first measure.
    pub value: String,
    /// What it is held against, as SQL.
    pub limit: Option<String>,
    /// The comparison: `>=`.
    pub operator: Option<String>,
    /// Whether points tell what a detector expected.
    pub expects: bool,
    /// The windows.
    pub points: Vec<Point>,
}

/// One window.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Point {
    /// Its first instant.
    pub start: String,
    /// The instant behind its last.
    pub end: String,
    /// The same, milliseconds since 1970.
    pub end_ms: i64,
    /// The value; null where it is not known.
    pub value: Option<f64>,
    /// The limit; null where it is not known.
    pub limit: Option<f64>,
    /// What a detector expected; null where it told nothing, and in rules without one.
    pub expected: Option<f64>,
    /// Whether the rule fires in it.
    pub fires: bool,
}

/// Something a reader must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Note {
    /// What kind of thing.
    pub kind: NoteKind,
    /// For people.
    pub text: Text,
}

/// Kinds of notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// The condition turned out never to have held.
    Retracted,
    /// An exception covers it.
    Suppressed,
    /// The rule has another version now.
    RuleChanged,
    /// The rule is not used any more.
    RuleGone,
}

fn words(words: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words.collect::<Vec<_>>()))
        .build()
}

pub(super) fn states() -> Object {
    words(State::ALL.into_iter().map(State::word))
}

pub(super) fn severities() -> Object {
    words(Severity::ALL.into_iter().map(Severity::word))
}
