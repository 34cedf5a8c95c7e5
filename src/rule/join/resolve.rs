//! What is wrong with the joins of a rule.

use datafusion::logical_expr::ExprSchemable;

use super::{JoinFile, Table, names};
use crate::{
    model::{
        diagnostic::{Diagnostic, did_you_mean, list_names},
        schema::FeedSchema,
    },
    rule::{
        expr::{Compiler, type_word},
        file::RuleFile,
        scope::rows_of,
    },
};

/// The findings about `join:` of a rule.
pub(in crate::rule) fn resolve(
    compiler: &Compiler,
    rule: &RuleFile,
    feeds: &[&FeedSchema],
) -> Vec<Diagnostic> {
    let one = |join: &JoinFile| match Table::of(rule, join, feeds) {
        Some(Table::List(list)) if list.has_words() => Some(words(join)),
        Some(table) => looked_up(compiler, rule, join, &table, feeds),
        None => Some(unknown(rule, join, feeds)),
    };
    rule.joins.iter().filter_map(one).collect()
}

fn words(join: &JoinFile) -> Diagnostic {
    let name = &join.table;
    let message =
        format!("list {:?} holds keywords: a text is searched for them, not joined", name.value);
    let label = format!("write contains_any(text, '{}')", name.value);
    Diagnostic::error("rule::unknown_list", name.span.clone(), message).label(label)
}

fn unknown(rule: &RuleFile, join: &JoinFile, feeds: &[&FeedSchema]) -> Diagnostic {
    let name = &join.table;
    let finding = |message: String, label: String| {
        Diagnostic::error("rule::unknown_list", name.span.clone(), message).label(label)
    };
    if rule.lists.is_broken(&name.value) {
        let message = format!("list {:?} cannot be used", name.value);
        return finding(message, "see the findings about its file".to_owned());
    }
    if feeds.iter().any(|f| f.feed == name.value) {
        let message =
            format!("feed {:?} is no table: no column says what its records are about", name.value);
        let label = "a feed is joined by the first column of its record_id".to_owned();
        return finding(message, label);
    }
    let mut known = rule.lists.names();
    known.extend(feeds.iter().map(|f| f.feed.as_str()));
    let label = match did_you_mean(&name.value, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("add lists/{}.csv beside the rules", name.value),
    };
    let mut out = finding(format!("there is no list and no feed {:?}", name.value), label);
    out.help = (!known.is_empty()).then(|| format!("there are {}", list_names(known)));
    out
}

/// What is looked up must be a value of some feed of the rule.
fn looked_up(
    compiler: &Compiler,
    rule: &RuleFile,
    join: &JoinFile,
    table: &Table<'_>,
    feeds: &[&FeedSchema],
) -> Option<Diagnostic> {
    let read: Vec<(&FeedSchema, Option<&str>)> = names::feeds(rule)
        .into_iter()
        .filter_map(|(name, time)| Some((*feeds.iter().find(|f| f.feed == name)?, time)))
        .collect();
    // Of feeds that are not there nothing can be said.
    let (first, _) = *read.first()?;
    let by = names::by(join, table);
    let at = join.by.as_ref().map_or(join.table.span.clone(), |by| by.span.clone());
    let able: Vec<&FeedSchema> = read
        .iter()
        .filter(|(feed, time)| names::suffix(rule, join, table, feed, *time).is_some())
        .map(|(feed, _)| *feed)
        .collect();
    if able.is_empty() {
        let found = compiler.scalar(&by, &rows_of(first), &[]).err();
        if let Some(finding) = found.filter(|_| join.by.is_some()) {
            return finding.into_iter().next();
        }
        let message = format!(
            "table {:?} is looked up by {:?}, a column that feed {:?} has not",
            join.table.value, by.text, first.feed
        );
        let label = format!("write {{table: {}, by: …}}", join.table.value);
        return Some(Diagnostic::error("rule::unknown_column", at, message).label(label));
    }
    able.into_iter().find_map(|feed| {
        let rows = rows_of(feed);
        match compiler.scalar(&by, &rows, &[]) {
            Err(found) => found.into_iter().next(),
            Ok(expr) => {
                let kind = expr.get_type(&rows).map_or("?", |t| type_word(&t));
                let message =
                    format!("a table is looked up by a text or a whole number, not by {kind}");
                (!matches!(kind, "text" | "int"))
                    .then(|| Diagnostic::error("rule::type_mismatch", at.clone(), message))
            }
        }
    })
}
