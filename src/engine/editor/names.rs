//! Names that an expression at a place may use, each with what it is.

use crate::{
    feed::FeedSpec,
    model::schema::{Column, ColumnType},
    rule::{
        detector::TOLD,
        file::{Kind, RuleFile},
        first_seen::{FIRST_AT, LAST_AT},
        join::{JoinFile, Table},
        lists::Lists,
    },
};

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) what: What,
    /// In a few words: a type, an expression, a value.
    pub(super) detail: String,
    /// Sentences for people.
    pub(super) doc: String,
}

/// Sorts of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Column,
    Measure,
    Param,
}

/// The columns of a feed.
pub(super) fn columns(feed: &FeedSpec) -> Vec<Name> {
    let about = |i: usize| feed.column_about.get(i).map_or("", String::as_str);
    let all = feed.schema.columns.iter().enumerate();
    all.map(|(i, c)| Name {
        name: c.name.clone(),
        what: What::Column,
        detail: format!("{}, feed {}", c.kind.word(), feed.name()),
        doc: column_doc(c, about(i)),
    })
    .collect()
}

fn column_doc(column: &Column, about: &str) -> String {
    let mut out = vec![about.to_owned()];
    if column.personal {
        out.push("Personal: rules see a pseudonym, alerts must not show it.".to_owned());
    }
    let values = codes(column);
    if !values.is_empty() {
        let words: Vec<String> = values
            .iter()
            .map(|value| {
                let from = column.map.iter().filter(|(_, to)| to == value);
                let from: Vec<&str> = from.map(|(from, _)| from.as_str()).collect();
                if from.is_empty() {
                    (*value).to_owned()
                } else {
                    format!("{value} {}", from.join("、"))
                }
            })
            .collect();
        out.push(format!("Values: {}", words.join("; ")));
    }
    if !column.from.is_empty() {
        out.push(format!("From: {}", column.from.join(", ")));
    }
    out.retain(|line| !line.is_empty());
    out.join("\n\n")
}

/// Values a column can have, where the feed says so.
pub(super) fn codes(column: &Column) -> Vec<&str> {
    let mut out: Vec<&str> = column.codes.iter().map(String::as_str).collect();
    if out.is_empty() {
        for (_, value) in &column.map {
            if !out.contains(&value.as_str()) {
                out.push(value);
            }
        }
    }
    out
}

/// Parameters, written `$name`.
pub(super) fn params(rule: &RuleFile) -> Vec<Name> {
    let all = rule.params.iter();
    all.map(|(name, value)| Name {
        name: format!("${}", name.value),
        what: What::Param,
        detail: value.to_string(),
        doc: "A parameter of the rule.".to_owned(),
    })
    .collect()
}

/// What conditions over a window or period may ask: measures, compares, and what the detector tells.
pub(super) fn values(rule: &RuleFile) -> Vec<Name> {
    let mut out: Vec<Name> = Vec::new();
    let mut add = |name: String, detail: &str, doc: String| {
        out.push(Name { name, what: What::Measure, detail: detail.to_owned(), doc });
    };
    for m in &rule.measures {
        add(m.name.value.clone(), &m.value.text, "A measure of the rule.".to_owned());
    }
    for c in &rule.compares {
        for m in &rule.measures {
            let doc = format!("{} as compare {:?} has it.", m.name.value, c.name.value);
            add(format!("{}.{}", c.name.value, m.name.value), &m.value.text, doc);
        }
    }
    if rule.kind.value == Kind::Detect {
        for told in TOLD {
            add(told.to_owned(), "told by the detector", String::new());
        }
    }
    out
}

/// The columns of the tables that a rule joins, as it calls them.
pub(super) fn joined(rule: &RuleFile, lists: &Lists, feeds: &[FeedSpec]) -> Vec<Name> {
    let of = |join: &JoinFile| {
        let table = match lists.get(&join.table.value) {
            Some(list) => Table::List(list),
            None => {
                let at = feeds.iter().position(|f| f.name() == join.table.value)?;
                Table::Feed(at, &feeds[at].schema)
            }
        };
        let one = |(column, kind): (&str, ColumnType)| Name {
            name: format!("{}.{column}", join.alias.value),
            what: What::Column,
            detail: format!("{}, table {}", kind.word(), join.table.value),
            doc: format!("What table {:?} says of the record.", join.table.value),
        };
        Some(table.columns().into_iter().map(one).collect::<Vec<_>>())
    };
    rule.joins.iter().filter_map(of).flatten().collect()
}

/// What a first-seen rule tells beside the columns of its feed.
pub(super) fn first_seen() -> Vec<Name> {
    let name = |(name, doc): (&str, &str)| Name {
        name: name.to_owned(),
        what: What::Measure,
        detail: "timestamp".to_owned(),
        doc: doc.to_owned(),
    };
    let told = [
        (FIRST_AT, "When the first of the records was that made the key known."),
        (LAST_AT, "When the last of them was that it took."),
    ];
    told.map(name).into()
}

/// What the steps of a sequence offer, as `step.column`; `feed` finds the feed of a name.
pub(super) fn steps<'a>(rule: &RuleFile, feed: impl Fn(&str) -> Option<&'a FeedSpec>) -> Vec<Name> {
    let mut out = Vec::new();
    for step in rule.sequence.iter().flat_map(|s| &s.steps) {
        let count = Name {
            name: format!("{}.count", step.name.value),
            what: What::Measure,
            detail: "step".to_owned(),
            doc: "How many records the step has.".to_owned(),
        };
        let columns = feed(&step.feed.value).map(columns).unwrap_or_default();
        let own = columns
            .into_iter()
            .map(|c| Name { name: format!("{}.{}", step.name.value, c.name), ..c });
        out.extend(std::iter::once(count).chain(own));
    }
    out
}
