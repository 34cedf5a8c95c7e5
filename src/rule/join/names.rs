//! Names of joined columns: what an author writes, `biz.parent_ucc`, and what the column is called in the feed.
//!
//! In the feed a joined column is called by what it holds, `parent_ucc@registry(ucc;occurred_at)#…`, so that rules share
//! it. `@` stands in no name of a feed.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{Expr, visit_expressions};
use std::ops::ControlFlow;

use super::{JoinFile, Table};
use crate::{
    model::{
        schema::FeedSchema,
        yaml::{Spanned, Sql},
    },
    rule::{check::all_sql, file::RuleFile, message::Template, sequence::file::StepFile, syntax},
};

/// Key of a schema's metadata under which the joined tables stand.
pub const JOINED: &str = "joined";
/// Between the parts of a table there, and between tables.
const BETWEEN: [char; 2] = ['\u{1f}', '\u{1e}'];

/// What a rule calls a joined table over a feed's rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Alias {
    /// Before the dot.
    pub alias: String,
    /// The end of the names of its columns in the feed.
    pub suffix: String,
    /// The columns of the table.
    pub columns: Vec<String>,
}

/// Tables as one text, for the metadata of a schema.
#[must_use]
pub fn written(tables: &[Alias]) -> String {
    let [part, table] = BETWEEN.map(String::from);
    let one = |a: &Alias| {
        let parts = [&a.alias, &a.suffix].into_iter().chain(&a.columns);
        parts.map(String::as_str).collect::<Vec<_>>().join(&part)
    };
    tables.iter().map(one).collect::<Vec<_>>().join(&table)
}

/// The reverse of [`written`].
#[must_use]
pub fn parsed(text: &str) -> Vec<Alias> {
    let [part, table] = BETWEEN;
    let one = |text: &str| {
        let mut parts = text.split(part).map(str::to_owned);
        Some(Alias { alias: parts.next()?, suffix: parts.next()?, columns: parts.collect() })
    };
    text.split(table).filter_map(one).collect()
}

/// Whether a column of a feed is a joined one.
#[must_use]
pub fn is_joined(column: &str) -> bool {
    column.contains('@')
}

/// The tables that a rule joins to a feed's rows; `time` as the rule or the step names it.
#[must_use]
pub fn aliases(
    rule: &RuleFile,
    feeds: &[&FeedSchema],
    feed: &FeedSchema,
    time: Option<&str>,
) -> Vec<Alias> {
    let of = |join: &JoinFile| {
        let table = Table::of(rule, join, feeds)?;
        Some(Alias {
            alias: join.alias.value.clone(),
            suffix: suffix(rule, join, &table, feed, time)?,
            columns: table.columns().iter().map(|(name, _)| (*name).to_owned()).collect(),
        })
    };
    rule.joins.iter().filter_map(of).collect()
}

/// Position of a column that a rule calls `name`: one of the feed's own, or `biz.parent_ucc`.
#[must_use]
pub fn position(
    rule: &RuleFile,
    feeds: &[&FeedSchema],
    feed: &FeedSchema,
    time: Option<&str>,
    name: &str,
) -> Option<usize> {
    if let Some(own) = feed.position(name) {
        return Some(own);
    }
    let (alias, column) = name.split_once('.')?;
    let join = rule.joins.iter().find(|j| j.alias.value == alias)?;
    let table = Table::of(rule, join, feeds)?;
    feed.position(&format!("{column}{}", suffix(rule, join, &table, feed, time)?))
}

/// What a rule calls a joined column of a feed; `None` where it is another rule's.
#[must_use]
pub fn own_name(aliases: &[Alias], column: &str) -> Option<String> {
    aliases.iter().find_map(|a| {
        let name = column.strip_suffix(a.suffix.as_str()).filter(|name| !name.is_empty())?;
        Some(format!("{}.{name}", a.alias))
    })
}

/// The columns that a rule joins to any feed: their names there, and its own.
#[must_use]
pub fn renamed(rule: &RuleFile, feeds: &[&FeedSchema]) -> Vec<(String, String)> {
    if rule.joins.is_empty() {
        return Vec::new();
    }
    let mut out = Vec::new();
    for (name, time) in self::feeds(rule) {
        let Some(feed) = feeds.iter().find(|f| f.feed == name) else { continue };
        let tables = aliases(rule, feeds, feed, time);
        let joined = feed.columns.iter().filter(|c| is_joined(&c.name));
        out.extend(joined.filter_map(|c| Some((c.name.clone(), own_name(&tables, &c.name)?))));
    }
    out
}

/// A text with these columns called by the rule's names.
#[must_use]
pub fn rename(text: String, renamed: &[(String, String)]) -> String {
    renamed.iter().fold(text, |text, (column, name)| match text.contains(column) {
        true => text.replace(column, name),
        false => text,
    })
}

/// The end of the names that the columns of a join have in a feed; `None` where the feed lacks what it is looked up by.
pub(super) fn suffix(
    rule: &RuleFile,
    join: &JoinFile,
    table: &Table<'_>,
    feed: &FeedSchema,
    time: Option<&str>,
) -> Option<String> {
    let by = by(join, table);
    let own = |column: &String| feed.position(column).is_some_and(|at| at < feed.own);
    if !reads(&by)?.iter().all(own) {
        return None;
    }
    let time = match table.is_dated() {
        true => format!(";{}", feed.columns[time_column(feed, time)].name),
        false => String::new(),
    };
    let version = match table {
        Table::List(_) => format!("#{:08x}", rule.lists.version() as u32),
        Table::Feed(..) => String::new(),
    };
    Some(format!("@{}({}{time}){version}", join.table.value, by.text.trim()))
}

/// What is looked up.
pub(super) fn by(join: &JoinFile, table: &Table<'_>) -> Sql {
    join.by.clone().unwrap_or_else(|| Sql::bare(table.key()))
}

/// The column that says as of when a feed's rows are looked up.
pub(super) fn time_column(feed: &FeedSchema, time: Option<&str>) -> usize {
    time.and_then(|t| feed.position(t)).unwrap_or(feed.event_time)
}

/// The time that a step goes by, as the rule names it.
#[must_use]
pub fn time_of<'a>(rule: &'a RuleFile, step: &'a StepFile) -> Option<&'a str> {
    step.time.as_ref().or(rule.time.as_ref()).map(|t| t.value.as_str())
}

/// The feeds whose rows a rule reads, each with the time that the rule goes by there.
pub(super) fn feeds(rule: &RuleFile) -> Vec<(&str, Option<&str>)> {
    let own = rule.time.as_ref().map(|t| t.value.as_str());
    let mut out: Vec<(&str, Option<&str>)> = Vec::new();
    match &rule.sequence {
        Some(sequence) => {
            out.extend(sequence.steps.iter().map(|s| (s.feed.value.as_str(), time_of(rule, s))));
        }
        None => out.push((rule.feed.value.as_str(), own)),
    }
    let measured = rule.measures.iter().filter_map(|m| m.feed.as_ref());
    out.extend(measured.map(|feed| (feed.value.as_str(), own)));
    out
}

/// Columns that an expression reads, as far as it can be read.
fn reads(sql: &Sql) -> Option<BTreeSet<String>> {
    let tree = syntax::parse(sql).ok()?;
    let mut out = BTreeSet::new();
    let _ = visit_expressions(&tree, |e| {
        if let Expr::Identifier(ident) = e {
            out.insert(ident.value.clone());
        }
        ControlFlow::<()>::Continue(())
    });
    Some(out)
}

/// Names that stand behind `alias.` in any text of a rule.
pub(super) fn mentioned(rule: &RuleFile, alias: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut look = |text: &str| {
        let text = text.replace('"', "");
        let before = format!("{alias}.");
        for (at, _) in text.match_indices(&before) {
            if text[..at].ends_with(is_word) {
                continue;
            }
            let rest = &text[at + before.len()..];
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            out.insert(rest[..end].to_owned());
        }
    };
    all_sql(rule).for_each(|sql| look(&sql.text));
    let messages = [&rule.alert.message.zh, &rule.alert.message.en];
    for template in messages.into_iter().flatten().filter_map(|t| Template::parse(&t.value).ok()) {
        template.names().for_each(|(name, _)| look(name));
    }
    let shown = rule.alert.show.iter().chain(&rule.alert.group);
    shown.for_each(|name: &Spanned<String>| look(&name.value));
    out
}

/// Whether no text of a rule names a column of a joined table.
#[must_use]
pub fn is_unused(rule: &RuleFile, alias: &str) -> bool {
    mentioned(rule, alias).is_empty()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
