//! A finding about a file a person wrote: code, place, what was found, what would be right.
//!
//! Produced by `feed::spec` and `rule`, printed by `cli` (people), as JSON or as SARIF.

use std::{ops::Range, path::PathBuf};

/// Names that a help text lists.
const NAMES_MAX: usize = 24;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Printed; the file is still used.
    Warning,
    /// The file is not used.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, `rule::unknown_column`.
    pub code: &'static str,
    /// How bad.
    pub level: Level,
    /// The file, as the user named it.
    pub file: PathBuf,
    /// Byte range in the file; empty at the place where something is missing.
    pub span: Range<usize>,
    /// One sentence: kind and name of the object, what is wrong.
    pub message: String,
    /// A few words at the place itself (`did you mean "region"?`).
    pub label: String,
    /// How to mend it, where that takes more than the label.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error of `code` at `span`.
    #[must_use]
    pub fn error(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code,
            level: Level::Error,
            file: PathBuf::new(),
            span,
            message: message.into(),
            label: String::new(),
            help: None,
        }
    }

    /// A warning of `code` at `span`.
    #[must_use]
    pub fn warning(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(code, span, message) }
    }

    /// The same with words at the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same with a way to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The word among `known` that `word` most likely meant, if any is near enough (edit distance at most a third).
#[must_use]
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|k| (edit_distance(word, k), k))
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, k)| (*d, *k))
        .map(|(_, k)| k)
}

/// The names there are, for the help of a finding; long lists are cut.
#[must_use]
pub fn list_names<'a>(known: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in known {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(NAMES_MAX);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// Optimal string alignment distance: insert, delete, replace, swap of neighbours.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut d = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in d.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in d[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (d[i - 1][j] + 1).min(d[i][j - 1] + 1).min(d[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(d[i - 2][j - 2] + 1);
            }
            d[i][j] = best;
        }
    }
    d[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_the_near_word_only() {
        let known = ["region", "product", "ucc"];
        assert_eq!(did_you_mean("regoin", known), Some("region"));
        assert_eq!(did_you_mean("prduct", known), Some("product"));
        assert_eq!(did_you_mean("amount", known), None);
    }
}
