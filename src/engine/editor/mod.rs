//! What an editor tells an author: what may stand at a place of a rule file, and what stands there.
//!
//! In: the text as it is in the editor, a byte offset, and the feeds and lists beside it. Out: completions and hover texts,
//! from the same tables that `forewarn check` and the JSON Schema are made from. Findings come from `rule::check` itself.
//! Not here: the protocol and its positions — see `cli::lsp`.

mod complete;
mod fields;
pub mod functions;
mod hover;
mod names;
mod place;

use std::{ops::Range, path::Path};

use crate::{
    feed::FeedSpec,
    model::yaml::Node,
    rule::{
        file::{Kind, RuleFile},
        lists::Lists,
    },
};

use self::names::Name;

/// What may stand at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What is written, and shown in the list.
    pub label: String,
    /// What it is.
    pub sort: Sort,
    /// In a few words, beside it.
    pub detail: String,
    /// Sentences about it.
    pub doc: String,
    /// What is put in its place.
    pub insert: String,
}

/// Sorts of completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A field of the file.
    Field,
    /// A word of a fixed set, or a value of a column.
    Word,
    /// A column of a feed.
    Column,
    /// A measure, a compare, or what a detector tells.
    Measure,
    /// A parameter.
    Param,
    /// A function.
    Function,
    /// A feed.
    Feed,
    /// A reference list.
    List,
}

/// Completions and the bytes they take the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completions {
    /// The word that is being written.
    pub word: Range<usize>,
    /// In the order in which they are best shown.
    pub items: Vec<Item>,
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hover {
    /// Its bytes.
    pub word: Range<usize>,
    /// Markdown.
    pub text: String,
}

/// What an author has beside a rule.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// The feeds.
    pub feeds: &'a [FeedSpec],
    /// The reference lists.
    pub lists: &'a Lists,
    /// The rule as it could be read last; while it is written it often cannot.
    pub rule: Option<&'a RuleFile>,
}

impl<'a> Beside<'a> {
    /// What may stand at a byte of the text.
    #[must_use]
    pub fn complete(&self, text: &str, offset: usize) -> Completions {
        complete::complete(self, text, offset)
    }

    /// What stands at a byte of the text.
    #[must_use]
    pub fn hover(&self, text: &str, offset: usize) -> Option<Hover> {
        hover::hover(self, text, offset)
    }

    fn feed(&self, name: &str) -> Option<&'a FeedSpec> {
        self.feeds.iter().find(|f| f.name() == name)
    }

    /// The columns of the feeds that a sequence reads, each once.
    fn step_columns(&self) -> Vec<Name> {
        let mut out: Vec<Name> = Vec::new();
        for step in self.rule.iter().filter_map(|r| r.sequence.as_ref()).flat_map(|s| &s.steps) {
            for name in self.feed(&step.feed.value).map(names::columns).unwrap_or_default() {
                if out.iter().all(|known| known.name != name.name) {
                    out.push(name);
                }
            }
        }
        out
    }

    /// Names that the expression behind these keys may use.
    fn names(&self, text: &str, path: &[&str]) -> Vec<Name> {
        let rule_feed = scalar(text, "feed").and_then(|name| self.feed(&name));
        let joined = || {
            let joined = self.rule.map(|rule| names::joined(rule, self.lists, self.feeds));
            joined.unwrap_or_default()
        };
        let own = || rule_feed.map_or_else(|| self.step_columns(), names::columns);
        let columns = || [own(), joined()].concat();
        let feed = |name: &str| self.feed(name);
        let steps = || self.rule.map(|rule| names::steps(rule, feed)).unwrap_or_default();
        let values = || match self.rule {
            Some(rule) if rule.kind.value == Kind::Sequence => names::steps(rule, feed),
            Some(rule) => names::values(rule),
            None => Vec::new(),
        };
        let instant = kind(text) == Some(Kind::Instant);
        let first_seen = kind(text) == Some(Kind::FirstSeen);
        let mut out = match path {
            // A measure may read a feed of its own.
            ["measures" | "series", name, ..] => {
                let own = self.rule.and_then(|rule| {
                    let measure = rule.measures.iter().find(|m| m.name.value == *name)?;
                    self.feed(&measure.feed.as_ref()?.value)
                });
                own.map_or_else(columns, names::columns)
            }
            ["where" | "key" | "distinct", ..] => columns(),
            // Which step it is the lines do not tell: the columns of all their feeds.
            ["steps", "match"] => steps(),
            ["steps", "where" | "distinct"] => [self.step_columns(), joined()].concat(),
            ["alert", "group"] => columns(),
            ["severity" | "alert", ..] if first_seen => [names::first_seen(), columns()].concat(),
            ["alert", "show" | "message", ..] => [values(), columns()].concat(),
            ["when" | "clear" | "severity" | "alert", ..] if instant => columns(),
            ["when" | "clear" | "severity", ..] => values(),
            ["alert", "reraise"] => {
                let last = values().into_iter().map(|n| Name {
                    name: format!("last.{}", n.name),
                    doc: format!("{} when the alert was last told.", n.name),
                    ..n
                });
                [values(), last.collect()].concat()
            }
            _ => return Vec::new(),
        };
        if !matches!(path, ["alert", "group" | "show" | "message", ..]) {
            out.extend(self.rule.map(names::params).unwrap_or_default());
        }
        out
    }
}

/// The kind that a text names.
fn kind(text: &str) -> Option<Kind> {
    let word = scalar(text, "kind")?;
    Kind::ALL.into_iter().find(|k| k.word() == word)
}

/// The value of a key at the margin, from the lines themselves.
fn scalar(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    let value = line.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

/// Whether a file under these directories is a feed's.
#[must_use]
pub fn is_feed(path: &Path) -> bool {
    path.parent().is_some_and(|dir| dir.ends_with("feeds"))
}

/// Whether a text is whole YAML.
#[must_use]
pub fn is_whole(text: &str) -> bool {
    Node::parse(text).is_ok()
}

#[cfg(test)]
mod tests;
