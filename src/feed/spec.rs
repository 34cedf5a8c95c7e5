//! What an office wrote about a feed: `rules/feeds/<feed>.yaml` → [`FeedSpec`].
//!
//! In: the text of a feed file. Out: the schema by which `decode` reads its rows and the settings by which this room
//! puts them into event time; or all findings at once, each with its place. A file with an error is not used.
//! Reading a directory is the only thing done here with the disk.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::fields::FEED;
use crate::model::{
    diagnostic::{Diagnostic, Level, did_you_mean},
    schema::{Column, ColumnType, Encoding, FeedSchema, Invalid},
    time::{HOUR_MS, MINUTE_MS, Zone, date_format_fault, format_span},
    yaml::{Node, Spanned},
};

/// `idle_after` where left out.
const IDLE_AFTER_MS: i64 = 5 * MINUTE_MS;
/// `max_skew` where left out.
const MAX_SKEW_MS: i64 = HOUR_MS;
/// Words of SQL that a column name cannot be without quotes in every rule.
pub(super) const SQL_WORDS: [&str; 31] = [
    "all", "and", "as", "between", "by", "case", "distinct", "else", "end", "false", "filter",
    "from", "group", "having", "in", "is", "join", "like", "limit", "not", "null", "on", "or",
    "order", "select", "then", "true", "union", "using", "when", "where",
];
/// Values of the `op` column.
const OPS: [&str; 3] = ["insert", "correct", "withdraw"];

/// A feed as its file describes it.
#[derive(Debug, Clone)]
pub struct FeedSpec {
    /// Columns, record id, event time, mapping.
    pub schema: Arc<FeedSchema>,
    /// The file, as the user named it.
    pub path: PathBuf,
    /// Title in Chinese and English, either may be empty.
    pub title: (String, String),
    /// What it holds, for people.
    pub about: String,
    /// What each column holds, by position; empty where the file does not say.
    pub column_about: Vec<String>,
    /// The watermark stays so far behind the latest event time.
    pub out_of_order_ms: i64,
    /// Rows so far behind the watermark still correct closed windows.
    pub allowed_lateness_ms: i64,
    /// Record ids are remembered for so long; at least the sum of the two above.
    pub dedup_for_ms: i64,
    /// A partition silent for so long does not hold back the watermark.
    pub idle_after_ms: i64,
    /// Rows dated further ahead of their arrival are quarantined.
    pub max_skew_ms: i64,
    /// From here on a key without rows counts 0; else from the first closed pane.
    pub history_from_ms: Option<i64>,
    /// Encoding of text sources.
    pub encoding: Encoding,
}

impl FeedSpec {
    /// The feed's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.schema.feed
    }

    /// How far behind the watermark what was admitted can still change: as late as a row may come, and as long as a known
    /// record may be replaced by a version of another time.
    #[must_use]
    pub fn correctable_ms(&self) -> i64 {
        let late = self.out_of_order_ms + self.allowed_lateness_ms;
        if self.schema.record_id.is_empty() { late } else { late.max(self.dedup_for_ms) }
    }

    /// Whether a window that was closed stays as it is: no late rows, and no record that a later row could replace.
    #[must_use]
    pub fn closes_for_good(&self) -> bool {
        self.allowed_lateness_ms == 0 && self.schema.record_id.is_empty()
    }

    /// How far behind the feed's watermark rows of any partition are still taken: what is older may be in a window that can
    /// no longer change, or in a pane that is gone.
    #[must_use]
    pub fn kept_ms(&self) -> i64 {
        if self.closes_for_good() { 0 } else { self.correctable_ms() }
    }

    /// A spec of this schema with every setting at its default: in order, no lateness.
    #[must_use]
    pub fn plain(schema: FeedSchema) -> Self {
        Self {
            column_about: vec![String::new(); schema.columns.len()],
            schema: Arc::new(schema),
            path: PathBuf::new(),
            title: Default::default(),
            about: String::new(),
            out_of_order_ms: 0,
            allowed_lateness_ms: 0,
            dedup_for_ms: 0,
            idle_after_ms: IDLE_AFTER_MS,
            max_skew_ms: MAX_SKEW_MS,
            history_from_ms: None,
            encoding: Encoding::Auto,
        }
    }
}

/// Reads a feed file. `zone` is that of `history_from`.
///
/// # Errors
/// All findings, at least one of them an error; warnings of a good file are dropped (see [`check`]).
pub fn parse(path: &Path, source: &str, zone: &Zone) -> Result<FeedSpec, Vec<Diagnostic>> {
    let (spec, findings) = check(path, source, zone);
    spec.ok_or(findings)
}

/// Reads a feed file: the spec, unless there are errors, and all findings.
///
/// Codes: those of `yaml::` and `feed::unknown_column`, `feed::wrong_type`, `feed::no_effect`, `feed::bad_format`,
/// `feed::unknown_code`, `feed::sql_word`, `feed::bad_date`, `feed::dedup_too_short`, `feed::explode_not_in_id`,
/// `feed::part_not_in_id`, `feed::personal_shown`, `feed::id_not_filename`.
#[must_use]
pub fn check(path: &Path, source: &str, zone: &Zone) -> (Option<FeedSpec>, Vec<Diagnostic>) {
    let mut reader = Reader { findings: Vec::new(), names: Vec::new(), kinds: Vec::new() };
    let mut spec = None;
    match Node::parse(source) {
        Ok(root) => {
            reader.findings = FEED.check(&root);
            // With a wrong structure there is nothing sure to say about meaning.
            if !has_errors(&reader.findings) {
                spec = reader.feed(path, &root, zone);
            }
        }
        Err(findings) => reader.findings = findings,
    }
    let mut findings = reader.findings;
    for finding in &mut findings {
        finding.file = path.to_owned();
    }
    findings.sort_by_key(|f| f.span.start);
    (spec.filter(|_| !has_errors(&findings)), findings)
}

/// The feeds of the `*.yaml` files in `dir`, in the order of their names, and all findings.
#[must_use]
pub fn load_dir(dir: &Path, zone: &Zone) -> (Vec<FeedSpec>, Vec<Diagnostic>) {
    let unreadable = |path: &Path, e: &std::io::Error| {
        let mut finding =
            Diagnostic::error("feed::unreadable", 0..0, format!("cannot be read: {e}"));
        finding.file = path.to_owned();
        finding
    };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) => return (Vec::new(), vec![unreadable(dir, &e)]),
    };
    let is_yaml = |p: &PathBuf| p.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).filter(is_yaml).collect();
    paths.sort();
    let (mut specs, mut findings) = (Vec::new(), Vec::new());
    for path in &paths {
        match fs::read_to_string(path) {
            Ok(source) => {
                let (spec, found) = check(path, &source, zone);
                specs.extend(spec);
                findings.extend(found);
            }
            Err(e) => findings.push(unreadable(path, &e)),
        }
    }
    (specs, findings)
}

fn has_errors(findings: &[Diagnostic]) -> bool {
    findings.iter().any(|f| f.level == Level::Error)
}

/// Reads a tree that has the right structure.
struct Reader {
    findings: Vec<Diagnostic>,
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

    fn feed(&mut self, path: &Path, root: &Node, zone: &Zone) -> Option<FeedSpec> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::DAY_MS;

    fn zone() -> Zone {
        Zone::parse("Asia/Shanghai").unwrap()
    }

    const GOOD: &str = "\
feed: complaints
title: {zh: 投诉举报, en: Complaints}
record_id: [order_no]
event_time: registered_at
op: op
out_of_order: 1h
allowed_lateness: 7d
dedup_for: 30d
history_from: 2024-01-01
names: {ucc: respondent_name}
delays: {occurred_on: 60d}
columns:
  order_no: {type: text, from: [工单编号, 登记编号]}
  registered_at: {type: timestamp, from: 登记时间, formats: ['%Y年%m月%d日', '%Y/%m/%d']}
  occurred_on: date
  ucc: {type: ucc, invalid: reject}
  respondent_name: text
  kind: {type: text, codes: [TS, JB], map: {投诉: TS, 举报: JB}, default: TS}
  amount_yuan: {type: decimal, scale: 2, from: 金额(万元), times: {金额(万元): 10000}, min: 0}
  phone: {type: text, personal: true}
  op: {type: text, map: {撤回: withdraw}}
";

    #[test]
    fn a_good_file() {
        let spec = parse(Path::new("rules/feeds/complaints.yaml"), GOOD, &zone()).unwrap();
        let schema = &spec.schema;
        assert_eq!(
            (spec.name(), spec.title.0.as_str(), spec.title.1.as_str()),
            ("complaints", "投诉举报", "Complaints")
        );
        assert_eq!(
            (spec.out_of_order_ms, spec.allowed_lateness_ms, spec.dedup_for_ms),
            (HOUR_MS, 7 * DAY_MS, 30 * DAY_MS)
        );
        assert_eq!((spec.idle_after_ms, spec.max_skew_ms), (5 * MINUTE_MS, HOUR_MS));
        assert_eq!(spec.history_from_ms, zone().parse_instant("2024-01-01"));
        assert_eq!(
            (schema.record_id.as_slice(), schema.event_time, schema.op),
            (&[0][..], 1, Some(8))
        );
        assert_eq!(
            (schema.names.as_slice(), schema.delays.as_slice()),
            (&[(3, 4)][..], &[(2, 60 * DAY_MS)][..])
        );
        assert!(schema.columns[0].required && !schema.columns[4].required);
        assert_eq!(schema.columns[1].from, ["登记时间"]);
        assert_eq!(schema.columns[3].invalid, Invalid::Reject);
        assert_eq!(schema.columns[6].kind, ColumnType::Decimal { scale: 2 });
        assert_eq!(
            (schema.columns[6].times.as_slice(), schema.columns[6].min),
            (&[("金额(万元)".to_owned(), 10_000)][..], Some(0.0))
        );
        assert_eq!(schema.columns[8].codes, OPS);
        assert!(schema.has_personal());
    }

    #[test]
    fn findings_with_their_places() {
        for (from, to, code, at) in [
            (
                "event_time: registered_at",
                "event_time: registred_at",
                "feed::unknown_column",
                "registred_at",
            ),
            ("event_time: registered_at", "event_time: ucc", "feed::wrong_type", "ucc"),
            ("[order_no]", "[order_no, orde_no]", "feed::unknown_column", "orde_no"),
            ("op: op\n", "op: nop\n", "feed::unknown_column", "nop"),
            ("op: op\n", "op: kind\n", "feed::unknown_code", "kind"),
            ("op: op\n", "version: op\n", "feed::wrong_type", "op"),
            ("撤回: withdraw", "撤回: withdrawn", "feed::unknown_code", "withdrawn"),
            ("举报: JB", "举报: BJ", "feed::unknown_code", "BJ"),
            ("default: TS", "default: XX", "feed::unknown_code", "XX"),
            ("{ucc: respondent_name}", "{ucc: phone}", "feed::personal_shown", "phone"),
            ("{ucc: respondent_name}", "{uc: respondent_name}", "feed::unknown_column", "uc"),
            ("{occurred_on: 60d}", "{ucc: 60d}", "feed::wrong_type", "ucc"),
            ("dedup_for: 30d", "dedup_for: 7d", "feed::dedup_too_short", "7d"),
            (
                "history_from: 2024-01-01",
                "history_from: 2024-02-30",
                "feed::bad_date",
                "2024-02-30",
            ),
            ("'%Y/%m/%d'", "'yyyy/mm/dd'", "feed::bad_format", "'yyyy/mm/dd'"),
            (
                "respondent_name: text",
                "respondent_name: {type: text, min: 10}",
                "feed::no_effect",
                "10",
            ),
            (
                "occurred_on: date",
                "occurred_on: {type: date, split: ','}",
                "feed::no_effect",
                "','",
            ),
            ("personal: true", "personal: true, codes: [a]", "feed::no_effect", "[a]"),
            ("scale: 2", "scale: 19", "feed::wrong_type", "19"),
            (
                "  respondent_name: text",
                "  respondent_name: text\n  order: text",
                "feed::sql_word",
                "order",
            ),
            ("op: op\n", "explode: [kind]\n", "feed::explode_not_in_id", "[kind]"),
            ("op: op\n", "parts: [kind]\n", "feed::part_not_in_id", "kind"),
            ("feed: complaints", "feed: complaint", "feed::id_not_filename", "complaint"),
            ("out_of_order: 1h", "out_of_order: soon", "yaml::wrong_type", "soon"),
            ("occurred_on: date", "occurred_on: day", "yaml::wrong_type", "day"),
            ("occurred_on: date", "ucc: text", "yaml::duplicate_key", "ucc"),
            ("from: 登记时间", "form: 登记时间", "yaml::unknown_field", "form"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let source = GOOD.replacen(from, to, 1);
            let (spec, findings) = check(Path::new("complaints.yaml"), &source, &zone());
            assert!(spec.is_none(), "{to}");
            let found: Vec<_> =
                findings.iter().map(|f| (f.code, &source[f.span.clone()])).collect();
            assert!(found.contains(&(code, at)), "{to}: {found:?}");
        }
    }

    #[test]
    fn all_findings_at_once() {
        let source = GOOD
            .replace("event_time: registered_at", "event_time: nix")
            .replace("举报: JB", "举报: BJ")
            .replace("dedup_for: 30d", "dedup_for: 1d");
        let findings = parse(Path::new("complaints.yaml"), &source, &zone()).unwrap_err();
        let codes: Vec<_> = findings.iter().map(|f| f.code).collect();
        assert!(
            codes.contains(&"feed::unknown_column") && codes.contains(&"feed::unknown_code"),
            "{codes:?}"
        );
        assert!(findings.iter().all(|f| f.file == Path::new("complaints.yaml")));
    }

    #[test]
    fn the_schema_for_editors_knows_the_fields() {
        let schema = super::super::fields::json_schema().to_string();
        for word in ["allowed_lateness", "record_id", "gb18030", "personal"] {
            assert!(schema.contains(word), "{word}");
        }
    }
}
