//! A rule as its author wrote it, with the place of every part.
//!
//! In: the text of one `rules/<domain>/<id>.yaml`. Out: [`RuleFile`] and the findings about its structure.
//! What its expressions mean is found out in `check` and `compile`.

use std::{path::PathBuf, sync::Arc};

use serde_json::{Map, Value};

use crate::model::{
    signal::Severity,
    window::WindowSpec,
    yaml::{Spanned, Sql},
};

/// One rule file.
#[derive(Debug, Clone)]
pub struct RuleFile {
    /// The file, as the user named it.
    pub path: PathBuf,
    /// Its text.
    pub source: Arc<str>,
    /// `rule:`
    pub id: Spanned<String>,
    /// `version:`, raised when the meaning changes; 1 where left out.
    pub version: u32,
    /// `status:`; `live` where left out.
    pub status: Spanned<Status>,
    /// `title:`
    pub title: Bilingual,
    /// `about:`
    pub about: Option<String>,
    /// `owner:`
    pub owner: Option<String>,
    /// `tags:`
    pub tags: Vec<String>,
    /// `kind:`
    pub kind: Spanned<Kind>,
    /// `feed:`
    pub feed: Spanned<String>,
    /// `where:`
    pub filter: Option<Sql>,
    /// `key:`, each with its name (`as`, or the column's own).
    pub key: Vec<KeyColumn>,
    /// `missing_key:`
    pub missing_key: MissingKey,
    /// `time:`, another time column of the feed.
    pub time: Option<Spanned<String>>,
    /// `window:`; `None` for instant rules.
    pub window: Option<Spanned<WindowSpec>>,
    /// `measures:` in the file's order.
    pub measures: Vec<MeasureFile>,
    /// `compare:` in the file's order.
    pub compares: Vec<CompareFile>,
    /// `params:`
    pub params: Vec<(Spanned<String>, Value)>,
    /// `when:`; instant rules may leave it out (every row that passes `where`).
    pub when: Option<Sql>,
    /// `clear:`
    pub clear: Option<Sql>,
    /// `severity:`, highest first; the last one's expression is `None` (`else`, or a plain word).
    pub severity: Vec<(Severity, Option<Sql>)>,
    /// `alert:`
    pub alert: AlertFile,
    /// `tests:`
    pub tests: Vec<TestCase>,
}

/// `status:`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Checked and tested, not run.
    Draft,
    /// Run, signals kept, no alerts.
    Shadow,
    /// Run, alerts raised.
    Live,
    /// Kept for old alerts, not run.
    Retired,
}

/// `kind:`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One record.
    Instant,
    /// Aggregates over a window.
    Window,
}

/// What becomes of rows whose key has a missing part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// They are left out and counted.
    #[default]
    Drop,
    /// They form a key with null in that place.
    GroupNull,
}

/// A text in both languages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bilingual {
    /// Chinese.
    pub zh: Option<Spanned<String>>,
    /// English; a plain string in the file lands here and in `zh`.
    pub en: Option<Spanned<String>>,
}

/// One part of `key:`.
#[derive(Debug, Clone)]
pub struct KeyColumn {
    /// The expression, without `as`.
    pub sql: Sql,
    /// Its name in signals and alerts.
    pub name: String,
}

/// One entry of `measures:`.
#[derive(Debug, Clone)]
pub struct MeasureFile {
    /// Name in `when` and in signals.
    pub name: Spanned<String>,
    /// Its own feed, where it names one.
    pub feed: Option<Spanned<String>>,
    /// Its own filter; with the rule's feed it is added to the rule's `where`, with another feed it stands alone.
    pub filter: Option<Sql>,
    /// The aggregate: `count(*) filter (where …)`.
    pub value: Sql,
}

/// One entry of `compare:`.
#[derive(Debug, Clone)]
pub struct CompareFile {
    /// Name before the dot: `usual` in `usual.n`.
    pub name: Spanned<String>,
    /// What it compares with.
    pub with: Compare,
}

/// What a `compare:` entry compares with.
#[derive(Debug, Clone)]
pub enum Compare {
    /// `{shift: 7d}`: the window that ended that much earlier.
    Shift {
        /// How much earlier.
        shift_ms: i64,
    },
    /// `{windows: 8, step: 7d, skip: 0, of: mean}`: earlier windows of the same key.
    History {
        /// How many windows.
        windows: u32,
        /// Distance between their ends.
        step_ms: i64,
        /// How many of the nearest are left out.
        skip: u32,
        /// What is taken of them.
        of: HistoryOf,
    },
    /// `{key: [food_l1]}`: the same window of a coarser key (names of the rule's key columns).
    Peers {
        /// Names of key columns that stay.
        key: Vec<Spanned<String>>,
    },
}

/// What is taken of a key's earlier windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryOf {
    /// Arithmetic mean.
    Mean,
    /// Median; of an even number the mean of the middle two.
    Median,
    /// Largest.
    Max,
    /// Sum.
    Sum,
}

/// `alert:`
#[derive(Debug, Clone, Default)]
pub struct AlertFile {
    /// Fires only after the condition held this long.
    pub hold_ms: i64,
    /// Resolves only after it was clear this long.
    pub keep_ms: i64,
    /// Columns by which alerts are grouped for people.
    pub group: Vec<Spanned<String>>,
    /// Raises a firing alert again.
    pub reraise: Option<Sql>,
    /// `assign:` as written: department, level, respond_in, handle_in.
    pub assign: Map<String, Value>,
    /// What to do.
    pub action: Bilingual,
    /// Legal bases.
    pub basis: Vec<String>,
    /// Message templates.
    pub message: Bilingual,
    /// Further values to show.
    pub show: Vec<Spanned<String>>,
}

/// One entry of `tests:`.
#[derive(Debug, Clone)]
pub struct TestCase {
    /// `name:`
    pub name: Spanned<String>,
    /// Rows by feed, as written (`at`, `arrives`, `repeat`, `every` and columns).
    pub given: Vec<(Spanned<String>, Vec<Spanned<Map<String, Value>>>)>,
    /// `until:` as written, a date or an instant.
    pub until: Spanned<String>,
    /// Expected alerts, exactly these.
    pub expect: Vec<Spanned<Map<String, Value>>>,
}
