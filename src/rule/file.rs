//! A rule as its author wrote it, with the place of every part.
//!
//! In: the text of one `rules/<domain>/<id>.yaml`. Out: [`RuleFile`] and the findings about its structure.
//! What its expressions mean is found out in `check` and `compile`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Map, Value};

use super::{
    detector::{ControlFile, DetectFile},
    exceptions::Exceptions,
    first_seen::file::FirstSeenFile,
    join::JoinFile,
    lists::Lists,
    read,
    sequence::file::SequenceFile,
};
use crate::model::{
    diagnostic::Diagnostic,
    signal::Severity,
    window::WindowSpec,
    yaml::{Spanned, Sql},
};

/// Words of `start:`, in the order of the week.
pub(super) const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// One rule file.
#[derive(Debug, Clone)]
pub struct RuleFile {
    /// The file, as the user named it.
    pub path: PathBuf,
    /// Its text.
    pub source: Arc<str>,
    /// The reference lists beside it; none where it was not read from a directory.
    pub lists: Arc<Lists>,
    /// The exceptions beside it.
    pub exceptions: Arc<Exceptions>,
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
    /// `feed:`; of a sequence the feed of its first step.
    pub feed: Spanned<String>,
    /// `where:`
    pub filter: Option<Sql>,
    /// `key:`, each with its name (`as`, or the column's own).
    pub key: Vec<KeyColumn>,
    /// `join:`
    pub joins: Vec<JoinFile>,
    /// `missing_key:`
    pub missing_key: MissingKey,
    /// `time:`, another time column of the feed.
    pub time: Option<Spanned<String>>,
    /// `window:`; `None` for instant rules, sequences and first-seen rules.
    pub window: Option<Spanned<WindowSpec>>,
    /// `measures:` in the file's order.
    pub measures: Vec<MeasureFile>,
    /// `compare:` in the file's order.
    pub compares: Vec<CompareFile>,
    /// What makes a `detect` rule: its series are the measures, its periods the window.
    pub detect: Option<DetectFile>,
    /// What makes a `sequence` rule.
    pub sequence: Option<SequenceFile>,
    /// What makes a `first_seen` rule.
    pub first_seen: Option<FirstSeenFile>,
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
    /// Which parts that define names could not be read.
    pub unread: Unread,
}

impl RuleFile {
    /// Reads the text of a rule file.
    ///
    /// Returns what could be read, so that its expressions can be checked in the same pass, and the findings about its
    /// structure. No rule at all where it is not YAML, names no rule or feed, or is of a kind of a later version.
    #[must_use]
    pub fn parse(path: &Path, source: &str) -> (Option<Self>, Vec<Diagnostic>) {
        read::rule(path, source)
    }

    /// The names that the key columns have.
    pub fn key_names(&self) -> impl Iterator<Item = &str> {
        self.key.iter().map(|k| k.name.as_str())
    }
}

/// Parts that define names and could not be read: findings about unknown names of theirs would mislead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unread {
    /// Columns of rows: a field of a later version would add some.
    pub columns: bool,
    /// Measures and compares, or the key.
    pub values: bool,
    /// Parameters.
    pub params: bool,
    /// The detector.
    pub detector: bool,
    /// The steps.
    pub steps: bool,
}

impl Unread {
    /// Whether any part could not be read.
    #[must_use]
    pub fn any(self) -> bool {
        self.columns || self.values || self.params || self.detector || self.steps
    }
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
    /// A series and a statistical detector.
    Detect,
    /// Records in an order, or one that did not come.
    Sequence,
    /// A key that comes for the first time, or again after long.
    FirstSeen,
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
    /// How many alarms of a period may be false.
    pub control: Option<ControlFile>,
}

/// Maps of a test as written, each with its place.
pub type Rows = Vec<Spanned<Map<String, Value>>>;

/// One entry of `tests:`, or one file of a test beside the rule.
#[derive(Debug, Clone)]
pub struct TestCase {
    /// The file it stands in: the rule's, or its own.
    pub path: PathBuf,
    /// That file's text.
    pub source: Arc<str>,
    /// `name:`
    pub name: Spanned<String>,
    /// Rows by feed, as written (`at`, `arrives`, `repeat`, `every` and columns).
    pub given: Vec<(Spanned<String>, Rows)>,
    /// `until:` as written, a date or an instant.
    pub until: Spanned<String>,
    /// Expected alerts, exactly these.
    pub expect: Rows,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Instant, Self::Window, Self::Detect, Self::Sequence, Self::FirstSeen];

    /// The word in files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Window => "window",
            Self::Detect => "detect",
            Self::Sequence => "sequence",
            Self::FirstSeen => "first_seen",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.word() == word)
    }
}

impl Status {
    /// The word in files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Shadow => "shadow",
            Self::Live => "live",
            Self::Retired => "retired",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Draft, Self::Shadow, Self::Live, Self::Retired]
            .into_iter()
            .find(|s| s.word() == word)
    }
}
