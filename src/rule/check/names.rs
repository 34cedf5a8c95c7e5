//! Names: keys, time columns, messages, and what alerts show.

use std::ops::Range;

use arrow::datatypes::DataType;
use datafusion::logical_expr::ExprSchemable;

use super::{Judge, file::within, near};
use crate::{
    model::{
        diagnostic::{Diagnostic, list_names},
        schema::{ColumnType, FeedSchema},
        yaml::{Spanned, Sql},
    },
    rule::{
        expr,
        file::{Kind, RuleFile},
        join,
        message::Template,
        scope::Resolved,
    },
};

impl Judge<'_> {
    pub(super) fn key(&mut self, resolved: &Resolved, feed: &FeedSchema) {
        for (file, expr) in self.rule.key.iter().zip(&resolved.key) {
            let Some(expr) = expr else { continue };
            let read = expr::columns(expr);
            let is = |position: usize| read.iter().any(|c| *c == feed.columns[position].name);
            let measured = match expr.get_type(&resolved.rows) {
                Ok(DataType::Float64 | DataType::Decimal128(..) | DataType::Timestamp(..)) => true,
                Ok(_) | Err(_) => is(feed.event_time),
            };
            // Instant alerts are one per record whatever the key.
            let record = self.rule.kind.value != Kind::Instant
                && !feed.record_id.is_empty()
                && feed.record_id.iter().all(|c| is(*c));
            if measured || record {
                let what = if record {
                    "the record's own id"
                } else {
                    "a value that differs from record to record"
                };
                let message = format!(
                    "key {:?} is {what}: every record would be a key, and an alert, of its own",
                    file.name
                );
                self.error(
                    "rule::value_in_key",
                    file.sql.span.clone(),
                    message,
                    "a key is what records have in common",
                );
            }
            if let Some(personal) =
                feed.columns.iter().find(|c| c.personal && read.contains(&c.name))
            {
                let message = format!(
                    "key {:?} shows the personal column {:?} in alerts, as a pseudonym",
                    file.name, personal.name
                );
                self.warn("rule::personal_field_shown", file.sql.span.clone(), message, "");
            }
        }
    }

    pub(super) fn time(&mut self, feed: &FeedSchema) {
        if let Some(time) = &self.rule.time {
            self.time_of(time, feed);
        }
    }

    /// A time column that a rule goes by.
    pub(super) fn time_of(&mut self, time: &Spanned<String>, feed: &FeedSchema) {
        let Some(position) = feed.position(&time.value) else {
            let names = feed.columns.iter().map(|c| c.name.as_str());
            let label = near(&time.value, names);
            let message = format!("feed {:?} has no column {:?}", feed.feed, time.value);
            return self.error("rule::unknown_column", time.span.clone(), message, label);
        };
        let kind = feed.columns[position].kind;
        if !matches!(kind, ColumnType::Date | ColumnType::Timestamp) {
            let message =
                format!("time: {:?} is {}, not a date or timestamp", time.value, kind.word());
            self.error("rule::type_mismatch", time.span.clone(), message, "");
        } else if position != feed.event_time && !feed.delays.iter().any(|(c, _)| *c == position) {
            let message = format!(
                "feed {:?} says no delay for {:?}: no window over it could ever close",
                feed.feed, time.value
            );
            self.error(
                "rule::time_without_delay",
                time.span.clone(),
                message,
                "declare its delay in the feed",
            );
        }
    }

    pub(super) fn names(&mut self) {
        for (i, file) in self.rule.measures.iter().enumerate() {
            let name = &file.name;
            let earlier = self.rule.measures[..i].iter().any(|m| m.name.value == name.value);
            if earlier || self.rule.key_names().any(|k| k == name.value) {
                let message = format!("measure {:?} has the name of a key column", name.value);
                self.error(
                    "rule::name_taken",
                    name.span.clone(),
                    message,
                    "signals show both by name",
                );
            }
        }
    }

    pub(super) fn messages(&mut self, resolved: &Resolved, feed: &FeedSchema) {
        let rule = self.rule;
        let mut known: Vec<&str> =
            resolved.values.fields().iter().map(|f| f.name().as_str()).collect();
        known.extend(rule.key_names());
        // `{ucc_name}`: what people call a key, from the column the feed names for it.
        let people: Vec<String> =
            feed.names.iter().map(|(key, _)| format!("{}_name", feed.columns[*key].name)).collect();
        known.extend(people.iter().map(String::as_str));
        known.extend(feed.columns.iter().map(|c| c.name.as_str()));
        known.retain(|name| !join::is_joined(name));
        let joined = self.joined_names(feed);
        known.extend(joined.iter().map(String::as_str));
        let (zh, en) = (&rule.alert.message.zh, &rule.alert.message.en);
        let same = matches!((zh, en), (Some(zh), Some(en)) if zh.span == en.span);
        for text in zh.iter().chain(if same { None } else { en.as_ref() }) {
            let place = |at: Range<usize>| in_scalar(&rule.source, text, at);
            match Template::parse(&text.value) {
                Err(e) => self.error(
                    "rule::message_syntax",
                    place(e.at.clone()),
                    format!("message: {}", e.reason),
                    "",
                ),
                Ok(template) => {
                    for (name, at) in template.names() {
                        if !known.contains(&name) && !rule.unread.any() {
                            let message =
                                format!("message names {name:?}, which nothing gives a value");
                            let label = near(name, known.iter().copied());
                            let mut finding =
                                Diagnostic::error("rule::message_unknown_name", place(at), message)
                                    .label(label);
                            if finding.label.is_empty() {
                                finding.help = Some(format!(
                                    "there are {}",
                                    list_names(known.iter().copied())
                                ));
                            }
                            self.findings.push(finding);
                        } else if is_personal(feed, name) {
                            let message = format!("message shows the personal column {name:?}");
                            self.error(
                                "rule::personal_field_shown",
                                place(at),
                                message,
                                "take it out",
                            );
                        }
                    }
                }
            }
        }
    }

    pub(super) fn shown(&mut self, resolved: &Resolved, feed: &FeedSchema) {
        let alert = &self.rule.alert;
        for (what, name) in
            alert.group.iter().map(|n| ("group", n)).chain(alert.show.iter().map(|n| ("show", n)))
        {
            let column =
                join::position(self.rule, self.schemas, feed, self.time_name(), &name.value)
                    .is_some()
                    || self.rule.key_names().any(|k| k == name.value);
            let value =
                what == "show" && resolved.values.fields().iter().any(|f| *f.name() == name.value);
            if !column && !value {
                let own = feed.columns.iter().map(|c| c.name.as_str());
                let joined = self.joined_names(feed);
                let joined = joined.iter().map(String::as_str);
                let names = own.filter(|c| !join::is_joined(c)).chain(joined);
                let label = near(&name.value, names.chain(self.rule.key_names()));
                let message = format!(
                    "{what} names {:?}, which is no column of feed {:?} and no key",
                    name.value, feed.feed
                );
                self.error("rule::unknown_column", name.span.clone(), message, label);
            } else if is_personal(feed, &name.value) {
                let message = format!("{what} shows the personal column {:?}", name.value);
                self.error("rule::personal_field_shown", name.span.clone(), message, "take it out");
            }
        }
    }

    pub(super) fn unused(&mut self) {
        let rule = self.rule;
        for (name, _) in &rule.params {
            let placeholder = format!("${}", name.value);
            let mut texts = all_sql(rule);
            if !texts.any(|sql| mentions(&sql.text, &placeholder)) {
                let message = format!("parameter {placeholder} is used nowhere");
                self.warn("rule::no_effect", name.span.clone(), message, "");
            }
        }
    }

    /// Names that conditions and messages read, as far as they could be compiled.
    pub(super) fn used_names(&self, resolved: &Resolved) -> Vec<String> {
        let mut out = Vec::new();
        let conditions = [&resolved.when, &resolved.clear, &resolved.reraise].into_iter().flatten();
        for expr in conditions.chain(resolved.severity.iter().filter_map(|(_, e)| e.as_ref())) {
            out.extend(expr::columns(expr));
        }
        let rule = self.rule;
        for text in rule.alert.message.zh.iter().chain(&rule.alert.message.en) {
            if let Ok(template) = Template::parse(&text.value) {
                out.extend(template.names().map(|(name, _)| name.to_owned()));
            }
        }
        out.extend(rule.alert.show.iter().map(|s| s.value.clone()));
        out
    }
}

fn is_personal(feed: &FeedSchema, name: &str) -> bool {
    let people = || {
        let key = feed.position(name.strip_suffix("_name")?)?;
        feed.names.iter().find(|(k, _)| *k == key).map(|(_, named)| *named)
    };
    feed.position(name).or_else(people).is_some_and(|c| feed.columns[c].personal)
}

pub(in crate::rule) fn all_sql(rule: &RuleFile) -> impl Iterator<Item = &Sql> {
    let measures = rule.measures.iter().flat_map(|m| m.filter.iter().chain([&m.value]));
    let ladder = rule.severity.iter().filter_map(|(_, s)| s.as_ref());
    let single = rule.filter.iter().chain(&rule.when).chain(&rule.clear).chain(&rule.alert.reraise);
    let steps = rule.sequence.iter().flat_map(|s| &s.steps);
    let steps = steps.flat_map(|s| s.filter.iter().chain(&s.distinct).chain(&s.link));
    let distinct = rule.first_seen.iter().filter_map(|f| f.distinct.as_ref());
    let steps = steps.chain(distinct);
    single.chain(rule.key.iter().map(|k| &k.sql)).chain(measures).chain(ladder).chain(steps)
}

/// Whether a text holds a word that does not go on behind it.
fn mentions(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(i, _)| {
        !text[i + word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}

/// The place of a part of a scalar's text, as long as it is written without escapes and folds.
fn in_scalar(source: &str, scalar: &Spanned<String>, at: Range<usize>) -> Range<usize> {
    match source[scalar.span.clone()].find(&scalar.value) {
        Some(i) => scalar.span.start + i + at.start..scalar.span.start + i + at.end,
        None => within(source, &scalar.span, &scalar.value[at]),
    }
}
