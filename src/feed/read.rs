//! Read: the tree of a feed file, whose structure is right → [`FeedSpec`].
//!
//! In: the nodes of the file. Out: the spec, and what is wrong in its meaning, each finding with its place.

use std::{ops::Range, path::Path, sync::Arc};

use super::spec::FeedSpec;
use crate::model::{
    diagnostic::{Diagnostic, did_you_mean},
    schema::{Column, ColumnType, Encoding, FeedSchema, Invalid},
    time::{HOUR_MS, MINUTE_MS, Zone, date_format_fault, format_span},
    yaml::{Node, Spanned},
};

/// `idle_after` where left out.
pub(super) const IDLE_AFTER_MS: i64 = 5 * MINUTE_MS;
/// `max_skew` where left out.
pub(super) const MAX_SKEW_MS: i64 = HOUR_MS;
/// Words of SQL that a column name cannot be without quotes in every rule.
pub(super) const SQL_WORDS: [&str; 31] = [
    "all", "and", "as", "between", "by", "case", "distinct", "else", "end", "false", "filter",
    "from", "group", "having", "in", "is", "join", "like", "limit", "not", "null", "on", "or",
    "order", "select", "then", "true", "union", "using", "when", "where",
];
/// Values of the `op` column.
pub(super) const OPS: [&str; 3] = ["insert", "correct", "withdraw"];

/// Reads a tree that has the right structure.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) findings: Vec<Diagnostic>,
    names: Vec<String>,
    kinds: Vec<ColumnType>,
}

impl Reader {
    fn error(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.findings.push(Diagnostic::error(code, span, message).label(label));
    }

    /// The spec, as far as it can be read.
    pub(super) fn feed(&mut self, path: &Path, root: &Node, zone: &Zone) -> Option<FeedSpec> {
        let feed = root.get("feed")?.text()?;
        let entries = root.get("columns")?.entries();
        let columns: Vec<Column> =
            entries.iter().map(|(name, node)| self.column(name, node)).collect();
        self.names = columns.iter().map(|c| c.name.clone()).collect();
        self.kinds = columns.iter().map(|c| c.kind).collect();
        let event_time = self.role(root, "event_time", &["date", "timestamp"]).unwrap_or(0);
        let mut schema = FeedSchema::new(&feed.value, columns, event_time);
        schema.record_id = self.roles(root, "record_id", &[]);
        schema.version = self.role(root, "version", &["int"]);
        schema.op = self.role(root, "op", &["text"]);
        schema.arrived_at = self.role(root, "arrived_at", &["timestamp", "date"]);
        schema.explode = self.roles(root, "explode", &["text"]);
        schema.parts = self.roles(root, "parts", &[]);
        schema.names = self.names(root, &schema);
        schema.delays = self.delays(root);
        if let Some(max) = root.get("record_bytes_max").and_then(Node::int) {
            schema.record_bytes_max = usize::try_from(max).unwrap_or(usize::MAX);
        }
        self.record_id(root, entries, &mut schema);
        self.op(root, entries, &mut schema);
        self.file_name(path, &feed);
        let span = |field: &str| root.get(field).and_then(Node::span_ms);
        let out_of_order_ms = span("out_of_order").unwrap_or(0);
        let allowed_lateness_ms = span("allowed_lateness").unwrap_or(0);
        let text =
            |node: Option<&Node>| node.and_then(Node::text).map_or_else(String::new, |t| t.value);
        let title = match root.get("title") {
            Some(Node::Map(map)) => (text(map.get("zh")), text(map.get("en"))),
            title => (text(title), text(title)),
        };
        Some(FeedSpec {
            schema: Arc::new(schema),
            path: path.to_owned(),
            title,
            about: text(root.get("about")),
            column_about: entries.iter().map(|(_, n)| text(n.get("about"))).collect(),
            out_of_order_ms,
            allowed_lateness_ms,
            dedup_for_ms: self.dedup_for(root, out_of_order_ms + allowed_lateness_ms),
            idle_after_ms: span("idle_after").unwrap_or(IDLE_AFTER_MS),
            max_skew_ms: span("max_skew").unwrap_or(MAX_SKEW_MS),
            history_from_ms: self.history_from(root, zone),
            encoding: match text(root.get("encoding")).as_str() {
                "utf-8" => Encoding::Utf8,
                "gb18030" => Encoding::Gb18030,
                _ => Encoding::Auto,
            },
        })
    }

    fn column(&mut self, name: &Spanned<String>, node: &Node) -> Column {
        if SQL_WORDS.contains(&name.value.as_str()) {
            let message = format!(
                "column {:?} is a word of SQL and would need quotes in every rule",
                name.value
            );
            self.error("feed::sql_word", name.span.clone(), message, "take another name");
        }
        let field = |name: &str| node.get(name);
        let texts = |name: &str| -> Vec<String> {
            field(name).map_or_else(Vec::new, |n| n.texts().into_iter().map(|t| t.value).collect())
        };
        let word = field("type").unwrap_or(node).text().map_or_else(String::new, |t| t.value);
        let scale = field("scale").and_then(Node::int).unwrap_or(2);
        let mut column = Column::new(&name.value, kind_of(&word, scale));
        column.required = field("required").and_then(Node::bool).unwrap_or(false);
        column.from = texts("from");
        column.codes = texts("codes");
        column.empty = texts("empty");
        column.formats = texts("formats");
        column.keep = texts("keep");
        column.map = field("map").map_or_else(Vec::new, |map| {
            let pairs = map.entries().iter();
            pairs.filter_map(|(from, to)| Some((from.value.clone(), to.text()?.value))).collect()
        });
        column.default = field("default").and_then(Node::text).map(|t| t.value);
        column.times = field("times").map_or_else(Vec::new, |map| {
            let pairs = map.entries().iter();
            pairs.filter_map(|(from, n)| Some((from.value.clone(), n.int()?))).collect()
        });
        column.min = field("min").and_then(Node::float);
        column.personal = field("personal").and_then(Node::bool).unwrap_or(false);
        column.invalid = match field("invalid").and_then(Node::scalar).map(|s| s.text.as_str()) {
            Some("keep") => Invalid::Keep,
            Some("reject") => Invalid::Reject,
            _ => Invalid::Null,
        };
        column.split = field("split").and_then(Node::text).map(|t| t.value);
        self.column_fields(&column, &word, node);
        column
    }

    /// Findings about fields that the column's type ignores, and about their values.
    fn column_fields(&mut self, column: &Column, word: &str, node: &Node) {
        use ColumnType::{Date, Decimal, Float, Int, Region, Text, Texts, Timestamp, Ucc};
        let number = matches!(column.kind, Int | Float | Decimal { .. });
        let name = &column.name;
        for (field, works, for_types) in [
            ("formats", matches!(column.kind, Date | Timestamp), "date and timestamp"),
            ("scale", matches!(column.kind, Decimal { .. }), "decimal"),
            ("times", number, "int, float and decimal"),
            ("min", number, "int, float and decimal"),
            ("personal", column.kind == Text, "text"),
            ("invalid", matches!(column.kind, Ucc | Region), "ucc and region"),
            ("split", number || matches!(column.kind, Text | Texts), "texts, text and numbers"),
            ("keep", matches!(column.kind, Text | Texts), "texts and text"),
        ] {
            if let (Some(node), false) = (node.get(field), works) {
                let message =
                    format!("column {name:?}: {field} has no effect in a column of type {word}");
                self.error(
                    "feed::no_effect",
                    node.span(),
                    message,
                    format!("for {for_types} only"),
                );
            }
        }
        if column.personal {
            for field in ["map", "codes"] {
                if let Some(node) = node.get(field) {
                    let message = format!("column {name:?}: {field} has no effect on a pseudonym");
                    self.error(
                        "feed::no_effect",
                        node.span(),
                        message,
                        "the value is hashed first",
                    );
                }
            }
        }
        if let Some(scale) = node.get("scale").filter(|n| n.int() > Some(18)) {
            let message = format!("column {name:?}: a decimal has 18 digits");
            self.error("feed::wrong_type", scale.span(), message, "at most 18");
        }
        for format in node.get("formats").map_or_else(Vec::new, Node::texts) {
            if let Some(fault) = date_format_fault(&format.value) {
                let message = format!(
                    "column {name:?}: date format {:?} cannot be read: {fault}",
                    format.value
                );
                self.error(
                    "feed::bad_format",
                    format.span,
                    message,
                    "like %Y年%m月%d日 or %Y/%m/%d",
                );
            }
        }
        for (from, n) in node.get("times").map_or(&[][..], Node::entries) {
            if from.value != *name && !column.from.contains(&from.value) {
                let message =
                    format!("column {name:?}: times names {:?}, which is not in from", from.value);
                self.error(
                    "feed::no_effect",
                    from.span.start..n.span().end,
                    message,
                    "add it to from",
                );
            }
        }
        self.column_codes(column, node);
    }

    /// `map` and `default` must lead to values that `codes` allows.
    fn column_codes(&mut self, column: &Column, node: &Node) {
        if column.codes.is_empty() {
            return;
        }
        let targets = node.get("map").map_or(&[][..], Node::entries).iter().map(|(_, to)| to);
        let texts: Vec<_> = targets.chain(node.get("default")).filter_map(Node::text).collect();
        for text in texts.into_iter().filter(|t| !column.codes.contains(&t.value)) {
            let message =
                format!("column {:?}: {:?} is not in its code list", column.name, text.value);
            let label = did_you_mean(&text.value, column.codes.iter().map(String::as_str))
                .map_or_else(|| "not in codes".to_owned(), |m| format!("did you mean {m:?}?"));
            self.error("feed::unknown_code", text.span, message, label);
        }
    }

    /// The position of a column that is named somewhere, if it is of one of the types `kinds` (empty: any).
    fn named(&mut self, name: &Spanned<String>, role: &str, kinds: &[&str]) -> Option<usize> {
        let Some(position) = self.names.iter().position(|n| *n == name.value) else {
            let message =
                format!("{role} names column {:?}, which the feed does not have", name.value);
            let label = did_you_mean(&name.value, self.names.iter().map(String::as_str))
                .map_or_else(|| "no such column".to_owned(), |m| format!("did you mean {m:?}?"));
            self.error("feed::unknown_column", name.span.clone(), message, label);
            return None;
        };
        let kind = self.kinds[position].word();
        if kinds.is_empty() || kinds.contains(&kind) {
            return Some(position);
        }
        let message = format!("{role} is column {:?} of type {kind}", name.value);
        self.error(
            "feed::wrong_type",
            name.span.clone(),
            message,
            format!("must be {}", kinds.join(" or ")),
        );
        None
    }

    fn role(&mut self, root: &Node, field: &str, kinds: &[&str]) -> Option<usize> {
        let name = root.get(field)?.text()?;
        self.named(&name, field, kinds)
    }

    fn roles(&mut self, root: &Node, field: &str, kinds: &[&str]) -> Vec<usize> {
        let names = root.get(field).map_or_else(Vec::new, Node::texts);
        names.iter().filter_map(|name| self.named(name, field, kinds)).collect()
    }

    fn names(&mut self, root: &Node, schema: &FeedSchema) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        for (key, node) in root.get("names").map_or(&[][..], Node::entries) {
            let Some(name) = node.text() else { continue };
            let key = self.named(key, "names", &[]);
            let Some(of) = self.named(&name, "names", &["text"]) else { continue };
            if schema.columns[of].personal {
                let message = format!("names shows column {:?}, which is personal", name.value);
                self.error("feed::personal_shown", name.span, message, "a pseudonym is no name");
            }
            pairs.extend(key.map(|key| (key, of)));
        }
        pairs
    }

    fn delays(&mut self, root: &Node) -> Vec<(usize, i64)> {
        let mut pairs = Vec::new();
        for (key, node) in root.get("delays").map_or(&[][..], Node::entries) {
            let position = self.named(key, "delays", &["date", "timestamp"]);
            pairs.extend(position.zip(node.span_ms()));
        }
        pairs
    }

    /// Columns of the record id are required unless the file says otherwise; parts and exploded ones must be among them.
    fn record_id(
        &mut self,
        root: &Node,
        entries: &[(Spanned<String>, Node)],
        schema: &mut FeedSchema,
    ) {
        for &i in &schema.record_id {
            let said = entries.get(i).is_some_and(|(_, n)| n.get("required").is_some());
            let may_be_empty = schema.explode.contains(&i) || schema.parts.contains(&i);
            schema.columns[i].required |= !said && !may_be_empty;
        }
        let outside = |i: &&usize| !schema.record_id.contains(i) && !schema.record_id.is_empty();
        let outside: Vec<usize> = schema.explode.iter().filter(outside).copied().collect();
        if let (Some(node), false) = (root.get("explode"), outside.is_empty()) {
            let names: Vec<_> = outside.iter().map(|i| schema.columns[*i].name.as_str()).collect();
            let message = format!(
                "exploded {} must belong to record_id, or its rows are versions of one record",
                names.join(", ")
            );
            self.error("feed::explode_not_in_id", node.span(), message, "add it to record_id");
        }
        for name in root.get("parts").map_or_else(Vec::new, Node::texts) {
            let position = self.names.iter().position(|n| *n == name.value);
            if position.is_some_and(|i| !schema.record_id.contains(&i)) {
                let message = format!("part {} does not belong to record_id", name.value);
                self.error("feed::part_not_in_id", name.span, message, "add it to record_id");
            }
        }
        if !schema.record_id.is_empty() {
            let exploded = schema.explode.iter().filter(|i| !schema.parts.contains(i));
            schema.parts.extend(exploded.copied().collect::<Vec<_>>());
        }
    }

    /// The operation column knows three words.
    fn op(&mut self, root: &Node, entries: &[(Spanned<String>, Node)], schema: &mut FeedSchema) {
        let Some(i) = schema.op else { return };
        let column = &mut schema.columns[i];
        if column.codes.is_empty() {
            column.codes = OPS.map(String::from).into();
            let column = column.clone();
            return self.column_codes(&column, &entries[i].1);
        }
        if let (Some(node), Some(other)) =
            (root.get("op"), column.codes.iter().find(|c| !OPS.contains(&c.as_str())))
        {
            let message = format!("op is column {:?}, whose codes hold {other:?}", column.name);
            self.error("feed::unknown_code", node.span(), message, "insert, correct or withdraw");
        }
    }

    fn dedup_for(&mut self, root: &Node, least: i64) -> i64 {
        let Some((node, ms)) = root.get("dedup_for").and_then(|n| Some((n, n.span_ms()?))) else {
            return least;
        };
        if ms < least {
            let message = format!(
                "dedup_for {} is shorter than out_of_order and allowed_lateness together: late copies would count twice",
                format_span(ms)
            );
            self.error(
                "feed::dedup_too_short",
                node.span(),
                message,
                format!("at least {}", format_span(least)),
            );
        }
        ms
    }

    fn history_from(&mut self, root: &Node, zone: &Zone) -> Option<i64> {
        let text = root.get("history_from")?.text()?;
        let ms = zone.parse_instant(&text.value);
        if ms.is_none() {
            let message = format!("history_from {:?} is no date", text.value);
            self.error("feed::bad_date", text.span, message, "like 2024-01-01");
        }
        ms
    }

    fn file_name(&mut self, path: &Path, feed: &Spanned<String>) {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        if !stem.is_empty() && stem != feed.value {
            let message = format!("feed {:?} stands in a file named {stem:?}", feed.value);
            self.error(
                "feed::id_not_filename",
                feed.span.clone(),
                message,
                "both must be the same",
            );
        }
    }
}

fn kind_of(word: &str, scale: i64) -> ColumnType {
    match word {
        "texts" => ColumnType::Texts,
        "ucc" => ColumnType::Ucc,
        "region" => ColumnType::Region,
        "int" => ColumnType::Int,
        "float" => ColumnType::Float,
        "decimal" => ColumnType::Decimal { scale: i8::try_from(scale.min(18)).unwrap_or(18) },
        "bool" => ColumnType::Bool,
        "date" => ColumnType::Date,
        "timestamp" => ColumnType::Timestamp,
        _ => ColumnType::Text,
    }
}
