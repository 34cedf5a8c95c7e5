//! What can be said of a rule file without the feeds' columns: name, languages, tests.

use serde_json::{Map, Value};

use super::{Judge, near};
use crate::{
    model::yaml::Spanned,
    rule::file::{Bilingual, MissingKey},
};
use std::ops::Range;

/// Fields of a row in `tests:` that are not columns.
const TEST_FIELDS: [&str; 4] = ["at", "arrives", "repeat", "every"];

impl Judge<'_> {
    /// What can be said without the feeds.
    pub(super) fn file(&mut self) {
        let rule = self.rule;
        let stem = rule.path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        if stem != rule.id.value {
            let message = format!("rule {:?} stands in a file named {stem:?}", rule.id.value);
            let label = format!("the file must be {}.yaml", rule.id.value);
            self.error("rule::id_not_filename", rule.id.span.clone(), message, label);
        }
        self.languages("title", &rule.title);
        self.languages("message", &rule.alert.message);
        self.languages("action", &rule.alert.action);
        self.tests();
        if rule.key.is_empty() && rule.missing_key != MissingKey::default() {
            self.error(
                "rule::no_effect",
                rule.id.span.clone(),
                "missing_key has no effect: the rule has no key",
                "",
            );
        }
    }

    fn languages(&mut self, what: &str, text: &Bilingual) {
        let (missing, at) = match (&text.zh, &text.en) {
            (Some(zh), Some(en)) if zh.span == en.span => ("one of zh and en", zh.span.clone()),
            (Some(zh), None) => ("en", zh.span.clone()),
            (None, Some(en)) => ("zh", en.span.clone()),
            _ => return,
        };
        let message = format!("{what} has only one language, {missing} is missing");
        self.if_live("rule::zh_or_en_missing", at, message, "write {zh: …, en: …}");
    }

    fn tests(&mut self) {
        let rule = self.rule;
        let fires = |e: &Spanned<Map<String, Value>>| {
            e.value.get("rule").is_none_or(|r| r.as_str() == Some(rule.id.value.as_str()))
        };
        if !rule.tests.iter().any(|t| t.expect.iter().any(fires)) {
            let message = format!("no test in which rule {:?} fires", rule.id.value);
            self.if_live(
                "rule::no_firing_test",
                rule.id.span.clone(),
                message,
                "add one with expect: [{rule: …}]",
            );
        }
        if !rule.tests.iter().any(|t| !t.expect.iter().any(fires)) {
            let message = format!("no test in which rule {:?} stays silent", rule.id.value);
            self.if_live(
                "rule::no_silent_test",
                rule.id.span.clone(),
                message,
                "add one with expect: []",
            );
        }
        for test in &rule.tests {
            let before = self.findings.len();
            for expect in &test.expect {
                let named = expect.value.get("rule").and_then(|r| r.as_str());
                if let Some(named) = named.filter(|n| !self.ids.contains(n)) {
                    let at = within(&test.source, &expect.span, named);
                    let message = format!(
                        "test {:?} expects an alert of rule {named:?}, which is not there",
                        test.name.value
                    );
                    let label = near(named, self.ids.iter().copied());
                    self.error("rule::unknown_rule", at, message, label);
                }
            }
            for (feed, rows) in &test.given {
                let Some(facts) = self.feeds.iter().find(|f| f.schema.feed == feed.value) else {
                    let label =
                        near(&feed.value, self.feeds.iter().map(|f| f.schema.feed.as_str()));
                    let message = format!("there is no feed {:?}", feed.value);
                    self.error("rule::unknown_feed", feed.span.clone(), message, label);
                    continue;
                };
                for row in rows {
                    for column in row.value.keys().filter(|c| !TEST_FIELDS.contains(&c.as_str())) {
                        if facts.schema.position(column).is_none() {
                            let at = within(&test.source, &row.span, column);
                            let message = format!("feed {:?} has no column {column:?}", feed.value);
                            let names = facts
                                .schema
                                .columns
                                .iter()
                                .map(|c| c.name.as_str())
                                .chain(TEST_FIELDS);
                            self.error("rule::unknown_column", at, message, near(column, names));
                        }
                    }
                }
            }
            for finding in &mut self.findings[before..] {
                finding.file.clone_from(&test.path);
            }
        }
    }
}

/// The place of `word` inside a part of a file, else the whole part.
pub(super) fn within(source: &str, part: &Range<usize>, word: &str) -> Range<usize> {
    match source[part.clone()].find(word) {
        Some(i) => part.start + i..part.start + i + word.len(),
        None => part.clone(),
    }
}
