//! What may stand at a place: fields, words, names, functions, values of columns, lists.

use std::sync::Arc;

use super::{
    Beside, Completions, Item, Sort, fields,
    functions::FUNCTIONS,
    kind,
    names::{self, Name, What},
    place::{At, Place, word},
};
use crate::{
    feed::FeedSpec,
    model::shape::Shape,
    rule::{join, lists::List},
};

/// Fields of a row of a test that are no columns.
const ROW: [(&str, &str); 4] = [
    ("at", "Event time: 2026-03-02 or 2026-03-02 08:00."),
    ("arrives", "When it arrives, where that is later."),
    ("repeat", "So many rows."),
    ("every", "From one of them to the next, like 8h."),
];

/// Fields of an expected alert that are no values.
const EXPECTED: [(&str, &str); 9] = [
    ("rule", "The rule."),
    ("key", "The key, as a map."),
    ("severity", "The severity at firing."),
    ("state", "pending, firing, resolved, retracted or suppressed at the end."),
    ("fired", "When it fired; a day means any time of it."),
    ("resolved", "When it ended."),
    ("retracted", "When the record arrived that took it back."),
    ("message", "The message, {zh: …, en: …}."),
    ("final", "Values at the end, as a map."),
];

pub(super) fn complete(beside: &Beside<'_>, text: &str, offset: usize) -> Completions {
    let place = Place::of(text, offset);
    let offset = offset.min(text.len());
    // What is behind the cursor stays.
    let start = word(text, offset).start;
    let path = place.path();
    let items = match place.at {
        At::Key => keys(beside, text, &path),
        At::Value => values(beside, text, &path, &text[place.value.clone()]),
    };
    Completions { word: start.min(offset)..offset, items }
}

fn keys(beside: &Beside<'_>, text: &str, path: &[&str]) -> Vec<Item> {
    let words = |all: &[(&str, &str)]| -> Vec<Item> {
        all.iter().map(|(name, doc)| key_item(name, "", doc)).collect()
    };
    match path {
        ["tests", "given"] => beside.feeds.iter().map(|f| feed_item(f, true)).collect(),
        ["tests", "given", feed, ..] => {
            let mut out = words(&ROW);
            let columns = beside.feed(feed).map(names::columns).unwrap_or_default();
            out.extend(columns.iter().map(|n| key_item(&n.name, &n.detail, &n.doc)));
            out
        }
        ["tests", "expect", "key"] => {
            let names = beside.rule.into_iter().flat_map(|r| r.key_names());
            names.map(|name| key_item(name, "key", "")).collect()
        }
        ["tests", "expect", ..] => {
            let mut out = words(&EXPECTED);
            let values = beside.names(text, &["alert", "show"]);
            out.extend(values.iter().map(|n| key_item(&n.name, &n.detail, &n.doc)));
            out
        }
        _ => {
            let kind = kind(text);
            let shapes = fields::shapes(path, kind);
            let fields = fields::fields(&shapes, kind);
            // A list of columns may be written as a block of items.
            let mut out: Vec<Item> = fields
                .into_iter()
                .map(|f| key_item(f.name, if f.required { "required" } else { "" }, f.doc))
                .collect();
            if out.is_empty() || shapes.iter().any(|s| matches!(s, Shape::Sql)) {
                out.extend(expression(beside, text, path, ""));
            }
            out
        }
    }
}

fn values(beside: &Beside<'_>, text: &str, path: &[&str], written: &str) -> Vec<Item> {
    if let ["tests", "given", feed, .., column] = path {
        let column =
            beside.feed(feed).and_then(|f| f.schema.columns.iter().find(|c| c.name == *column));
        return column.map(names::codes).unwrap_or_default().into_iter().map(value_item).collect();
    }
    if let ["feed"] | ["measures", _, "feed"] | ["steps", "feed"] = path {
        return beside.feeds.iter().map(|f| feed_item(f, false)).collect();
    }
    if let ["join", _] | ["join", _, "table"] = path {
        return tables(beside);
    }
    let shapes = fields::shapes(path, kind(text));
    let mut out = Vec::new();
    for shape in &shapes {
        match shape {
            Shape::Word(words) => out.extend(words.iter().map(|w| value_item(w))),
            Shape::Bool => out.extend(["true", "false"].map(value_item)),
            _ => {}
        }
    }
    // `kind` is the field that the others depend on.
    if let ["kind"] = path {
        let words = crate::rule::file::Kind::ALL.map(|k| value_item(k.word()));
        out.extend(words);
    }
    let names = matches!(path, ["alert", "group" | "show" | "message", ..]);
    if names || shapes.iter().any(|s| matches!(s, Shape::Sql)) {
        out.extend(expression(beside, text, path, written));
    }
    out
}

/// What may stand in an expression or message of which `written` is there up to the cursor.
fn expression(beside: &Beside<'_>, text: &str, path: &[&str], written: &str) -> Vec<Item> {
    let names = beside.names(text, path);
    if let Some(within) = quoted(written) {
        return in_quotes(beside, text, written, within);
    }
    let mut out: Vec<Item> = names.iter().map(name_item).collect();
    if names.is_empty() || matches!(path, ["alert", "group" | "show" | "message", ..]) {
        return out;
    }
    let aggregates = matches!(path, ["measures" | "series", ..]);
    let functions = FUNCTIONS.iter().filter(|f| aggregates || !f.aggregate);
    out.extend(functions.map(|f| Item {
        label: f.name.to_owned(),
        sort: Sort::Function,
        detail: f.form.to_owned(),
        doc: format!("{}\n\n{}", f.zh, f.en),
        insert: format!("{}(", f.name),
    }));
    out
}

/// Where the last SQL text of an expression opens, if it is not closed.
fn quoted(written: &str) -> Option<usize> {
    let mut open = None;
    // In `"left(a, 'x')"` the double quotes are YAML's.
    for (i, c) in written.char_indices().filter(|(_, c)| *c == '\'') {
        open = if open.is_none() { Some(i + c.len_utf8()) } else { None };
    }
    open
}

/// Names of lists as arguments of functions that take them, else values of the column that is compared.
fn in_quotes(beside: &Beside<'_>, text: &str, written: &str, at: usize) -> Vec<Item> {
    let before = written[..at].trim_end_matches('\'').trim_end();
    let call = before.rsplit(['(', ')']).nth(1).unwrap_or_default();
    let function =
        call.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    let words = match (function, before.chars().last()) {
        ("in_list", Some('(')) => Some(false),
        ("contains_any", Some(',')) => Some(true),
        _ => None,
    };
    if let Some(words) = words {
        let names = beside.lists.names().into_iter();
        let lists = names.filter_map(|name| Some((name, beside.lists.get(name)?)));
        let fit = lists.filter(|(_, list)| list.has_words() == words);
        return fit
            .map(|(name, list)| Item {
                label: name.to_owned(),
                sort: Sort::List,
                detail: format!("{} values", list.len()),
                doc: String::new(),
                insert: name.to_owned(),
            })
            .collect();
    }
    // `kind = '`, `kind in ('TS', '`
    let column = before.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty());
    let feed = super::scalar(text, "feed").and_then(|name| beside.feed(&name));
    let known =
        column.filter_map(|w| feed?.schema.columns.iter().find(|c| c.name == w)).next_back();
    known.map(names::codes).unwrap_or_default().into_iter().map(value_item).collect()
}

/// Lists that have columns to join, and feeds whose records are about a key.
fn tables(beside: &Beside<'_>) -> Vec<Item> {
    let all = beside.lists.names().into_iter().filter_map(|n| Some((n, beside.lists.get(n)?)));
    let fit = all.filter(|(_, list)| !list.has_words() && !list.table().columns.is_empty());
    let item = |(name, list): (&str, &Arc<List>)| {
        let columns: Vec<&str> = list.table().columns.iter().map(|(c, _)| c.as_str()).collect();
        Item {
            label: name.to_owned(),
            sort: Sort::List,
            detail: format!("by {}", list.table().key),
            doc: columns.join(", "),
            insert: name.to_owned(),
        }
    };
    let feeds = beside.feeds.iter().filter(|f| join::key_of(&f.schema).is_some());
    fit.map(item).chain(feeds.map(|f| feed_item(f, false))).collect()
}

fn key_item(name: &str, detail: &str, doc: &str) -> Item {
    Item {
        label: name.to_owned(),
        sort: Sort::Field,
        detail: detail.to_owned(),
        doc: doc.to_owned(),
        insert: format!("{name}: "),
    }
}

fn value_item(value: &str) -> Item {
    Item {
        label: value.to_owned(),
        sort: Sort::Word,
        detail: String::new(),
        doc: String::new(),
        insert: value.to_owned(),
    }
}

fn name_item(name: &Name) -> Item {
    Item {
        label: name.name.clone(),
        sort: match name.what {
            What::Column => Sort::Column,
            What::Measure => Sort::Measure,
            What::Param => Sort::Param,
        },
        detail: name.detail.clone(),
        doc: name.doc.clone(),
        insert: name.name.clone(),
    }
}

fn feed_item(feed: &FeedSpec, key: bool) -> Item {
    let (zh, en) = &feed.title;
    Item {
        label: feed.name().to_owned(),
        sort: Sort::Feed,
        detail: format!("{zh} {en}").trim().to_owned(),
        doc: feed.about.clone(),
        insert: if key { format!("{}:", feed.name()) } else { feed.name().to_owned() },
    }
}
