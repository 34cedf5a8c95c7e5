//! Check: everything that can be said about rules before any record comes.
//!
//! In: rule files and the facts about the feeds. Out: all findings in one pass, sorted by file and place. Findings about
//! structure come from `file`, about single expressions from `scope`; here a rule is judged as a whole, and against the
//! others. What would only be untidy in a draft is an error in a live rule.

mod calendar;
mod conditions;
mod detection;
mod file;
mod first_seen;
mod joins;
mod names;
mod sequence;
mod twins;
mod windows;

use std::{ops::Range, sync::Arc};

pub use self::calendar::calendar_ends;
use self::twins::Seen;
pub(super) use names::all_sql;

use super::{
    exceptions::{self, Exceptions},
    expr::Compilers,
    file::{Kind, RuleFile, Status},
    join::Joins,
    scope::{Resolved, resolve},
};
use crate::model::{
    diagnostic::{Diagnostic, Level, did_you_mean},
    schema::FeedSchema,
    time::{DAY_MS, Zone},
};

/// How far back windows and their compares may look, where a feed says nothing else: ten years.
pub const KEPT_MS: i64 = 3_653 * DAY_MS;

/// What a rule needs to know of a feed.
#[derive(Debug, Clone, Copy)]
pub struct FeedFacts<'a> {
    /// Columns and roles.
    pub schema: &'a FeedSchema,
    /// How late a record may be.
    pub allowed_lateness_ms: i64,
    /// How far back records are kept.
    pub kept_ms: i64,
}

impl<'a> FeedFacts<'a> {
    /// The facts of a feed that takes no late records and keeps them as long as any.
    #[must_use]
    pub fn new(schema: &'a FeedSchema) -> Self {
        Self { schema, allowed_lateness_ms: 0, kept_ms: KEPT_MS }
    }
}

/// All findings about `rules` beyond their structure.
#[must_use]
pub fn check(rules: &[RuleFile], feeds: &[FeedFacts<'_>]) -> Vec<Diagnostic> {
    let mut compilers = Compilers::new(Zone::utc());
    let joins =
        Joins::of(rules, &feeds.iter().map(|f| Arc::new(f.schema.clone())).collect::<Vec<_>>());
    let schemas: Vec<&FeedSchema> = joins.schemas.iter().map(|s| &**s).collect();
    let feeds: Vec<FeedFacts<'_>> =
        feeds.iter().zip(&schemas).map(|(f, schema)| FeedFacts { schema, ..*f }).collect();
    let mut findings = Vec::new();
    let mut seen = Seen::default();
    let ids: Vec<&str> = rules.iter().map(|r| r.id.value.as_str()).collect();
    for rule in rules {
        let compiler = compilers.of(&rule.lists);
        let (resolved, found) = resolve(&compiler, rule, &schemas);
        findings.extend(found);
        let mut judge =
            Judge { rule, feeds: &feeds, schemas: &schemas, ids: &ids, findings: Vec::new() };
        judge.file();
        if let Some(resolved) = &resolved {
            judge.meaning(resolved);
            let exceptions = exceptions::of_rule(&compiler, rule, resolved, &Zone::utc());
            judge.findings.extend(exceptions.err().into_iter().flatten());
            judge.findings.extend(seen.duplicate(rule, resolved));
        }
        // Those about a test in a file of its own say so already.
        findings.extend(judge.findings.into_iter().map(|d| match d.file.as_os_str().is_empty() {
            true => Diagnostic { file: rule.path.clone(), ..d },
            false => d,
        }));
    }
    let mut files: Vec<&Exceptions> = rules.iter().map(|r| &*r.exceptions).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    for file in files {
        findings.extend(exceptions::unknown_rules(file, &ids));
    }
    sort(&mut findings);
    findings
}

/// Findings about what a live rule owes its readers, not about what it means: `forewarn check` refuses such a rule, the
/// engine runs it.
#[must_use]
pub fn is_editorial(code: &str) -> bool {
    matches!(
        code,
        "rule::id_not_filename"
            | "rule::no_firing_test"
            | "rule::no_silent_test"
            | "rule::zh_or_en_missing"
    )
}

/// Puts findings in the order of files and places.
pub fn sort(findings: &mut [Diagnostic]) {
    findings.sort_by(|a, b| (&a.file, a.span.start, a.code).cmp(&(&b.file, b.span.start, b.code)));
}

struct Judge<'a> {
    rule: &'a RuleFile,
    feeds: &'a [FeedFacts<'a>],
    schemas: &'a [&'a FeedSchema],
    ids: &'a [&'a str],
    findings: Vec<Diagnostic>,
}

impl Judge<'_> {
    fn error(
        &mut self,
        code: &'static str,
        at: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.findings.push(Diagnostic::error(code, at, message).label(label));
    }

    fn warn(
        &mut self,
        code: &'static str,
        at: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.findings.push(Diagnostic::warning(code, at, message).label(label));
    }

    /// An error in a live rule; before and after that life a warning.
    fn if_live(
        &mut self,
        code: &'static str,
        at: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        match self.rule.status.value {
            Status::Live => self.error(code, at, message, label),
            Status::Draft | Status::Shadow => self.warn(code, at, message, label),
            Status::Retired => {}
        }
    }

    /// What can be said with everything resolved.
    fn meaning(&mut self, resolved: &Resolved) {
        let facts = self.feeds[resolved.feed];
        self.key(resolved, facts.schema);
        if self.rule.kind.value != Kind::Sequence {
            self.time(facts.schema);
        }
        self.constant_conditions(resolved);
        self.code_lists(resolved);
        self.whole_number_divisions(resolved);
        // Of a sequence whose first feed is not there nobody knows what can be shown.
        if self.rule.feed.value == facts.schema.feed {
            self.messages(resolved, facts.schema);
            self.shown(resolved, facts.schema);
        }
        self.ladder(resolved);
        if self.rule.kind.value == Kind::Window {
            self.names();
            self.compares(resolved);
            self.window(resolved);
            self.clear(resolved);
            self.counts(resolved);
            self.sketches(resolved);
        }
        if self.rule.kind.value == Kind::Detect {
            self.names();
            self.window(resolved);
            self.clear(resolved);
            self.sketches(resolved);
            self.detection(resolved);
        }
        self.sequence(resolved);
        self.joins();
        self.first_seen(resolved);
        self.unused();
    }
}

/// A label that names the word that was likely meant, empty if none is near.
fn near<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    did_you_mean(word, known).map_or(String::new(), |meant| format!("did you mean {meant:?}?"))
}

/// Whether any finding is an error.
#[must_use]
pub fn has_errors(findings: &[Diagnostic]) -> bool {
    findings.iter().any(|d| d.level == Level::Error)
}

#[cfg(test)]
mod tests;
