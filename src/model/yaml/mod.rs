//! YAML as a tree that remembers where everything stands.
//!
//! In: the text of a file. Out: a [`Node`] whose scalars know, byte for byte, where in the file their text came from,
//! whatever the quoting or folding; or findings with a place. Anchors, aliases, tags, merge keys and second documents
//! are refused: a rule file says everything once, where it is read.
//! Not here: which fields a file may have — see [`super::shape`].

mod places;
mod tree;

use std::ops::Range;

use serde_json::{Map as JsonMap, Value};

use super::{diagnostic::Diagnostic, time::parse_span};

/// A value and its byte range in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands, in bytes.
    pub span: Range<usize>,
}

/// An SQL scalar and where each byte of it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sql {
    /// The text, with YAML quoting and folding undone.
    pub text: String,
    /// Byte range of the whole scalar in the file.
    pub span: Range<usize>,
    /// Pairs of (byte offset in `text`, byte offset in the file), ascending; between two pairs both run alike.
    pub map: Vec<(usize, usize)>,
}

impl Sql {
    /// The byte range in the file of a byte range in `text`.
    #[must_use]
    pub fn file_span(&self, range: Range<usize>) -> Range<usize> {
        let from = self.file_offset(range.start);
        // The end is the place behind the last byte, not the place of the next one: that may be a line further down.
        let to = if range.is_empty() { from } else { self.file_offset(range.end - 1) + 1 };
        from..to.clamp(from, self.span.end.max(from))
    }

    fn file_offset(&self, offset: usize) -> usize {
        let i = self.map.partition_point(|(t, _)| *t <= offset);
        match i.checked_sub(1).and_then(|i| self.map.get(i)) {
            Some((t, f)) => f + (offset - t),
            None => self.span.start,
        }
    }

    /// An expression that stands in no file; its places are offsets in the text itself.
    #[must_use]
    pub fn bare(text: &str) -> Self {
        Self { text: text.to_owned(), span: 0..text.len(), map: vec![(0, 0)] }
    }

    /// The part `range` of the text as an expression of its own.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        let mut map = vec![(0, self.file_offset(range.start))];
        let inside = self.map.iter().filter(|(t, _)| *t > range.start && *t < range.end);
        map.extend(inside.map(|(t, f)| (t - range.start, *f)));
        Self { text: self.text[range.clone()].to_owned(), span: self.file_span(range), map }
    }
}

/// One node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A text, number, word or nothing.
    Scalar(Scalar),
    /// `[a, b]` or lines with `-`.
    List(List),
    /// `{a: b}` or lines with `:`.
    Map(Map),
}

/// A scalar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// Text with quoting and folding undone.
    pub text: String,
    /// How it was written.
    pub style: Style,
    /// Stands inside `{}` or `[]`, where an unquoted comma ends it.
    pub in_flow: bool,
    /// Byte range in the file, quotes included.
    pub span: Range<usize>,
    /// See [`Sql::map`].
    pub map: Vec<(usize, usize)>,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// `'…'`
    Single,
    /// `"…"`
    Double,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// A list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The items in order.
    pub items: Vec<Node>,
    /// Written with `[]`.
    pub flow: bool,
    /// Byte range in the file.
    pub span: Range<usize>,
}

/// A map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// The entries in order; keys differ.
    pub entries: Vec<(Spanned<String>, Node)>,
    /// Written with `{}`.
    pub flow: bool,
    /// Byte range in the file.
    pub span: Range<usize>,
}

impl Map {
    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|(k, _)| k.value == key).map(|(_, n)| n)
    }
}

impl Node {
    /// Reads the one document of a file.
    ///
    /// # Errors
    /// Codes `yaml::syntax`, `yaml::empty`, `yaml::second_document`, `yaml::duplicate_key`, `yaml::anchor`, `yaml::tag`,
    /// `yaml::key`; all of them that can be found before the first syntax error.
    pub fn parse(source: &str) -> Result<Self, Vec<Diagnostic>> {
        tree::parse(source)
    }

    /// Byte range in the file.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        match self {
            Self::Scalar(s) => s.span.clone(),
            Self::List(l) => l.span.clone(),
            Self::Map(m) => m.span.clone(),
        }
    }

    /// What it is, for messages: `a text`, `a list`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Scalar(s) => match s.value() {
                Value::Null => "nothing",
                Value::Bool(_) => "a true/false",
                Value::Number(_) => "a number",
                _ => "a text",
            },
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// The value of `key`, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(k, _)| k.value == key).map(|(_, n)| n)
    }

    /// The entries, if this is a map.
    #[must_use]
    pub fn entries(&self) -> &[(Spanned<String>, Self)] {
        if let Self::Map(m) = self { &m.entries } else { &[] }
    }

    /// The items, if this is a list.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        if let Self::List(l) = self { &l.items } else { &[] }
    }

    /// The scalar, if this is one.
    #[must_use]
    pub fn scalar(&self) -> Option<&Scalar> {
        if let Self::Scalar(s) = self { Some(s) } else { None }
    }

    /// Nothing: empty, `~` or `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(|s| s.value().is_null())
    }

    /// The scalar's text as written (`3` and `true` are texts here), `None` for nothing, lists and maps.
    #[must_use]
    pub fn text(&self) -> Option<Spanned<String>> {
        let s = self.scalar().filter(|s| !s.value().is_null())?;
        Some(Spanned { value: s.text.clone(), span: s.span.clone() })
    }

    /// The scalar as an SQL expression.
    #[must_use]
    pub fn sql(&self) -> Option<Sql> {
        let s = self.scalar().filter(|s| !s.value().is_null())?;
        Some(Sql { text: s.text.clone(), span: s.span.clone(), map: s.map.clone() })
    }

    /// A whole number.
    #[must_use]
    pub fn int(&self) -> Option<i64> {
        self.scalar()?.value().as_i64()
    }

    /// A number.
    #[must_use]
    pub fn float(&self) -> Option<f64> {
        self.scalar()?.value().as_f64()
    }

    /// `true` or `false`.
    #[must_use]
    pub fn bool(&self) -> Option<bool> {
        self.scalar()?.value().as_bool()
    }

    /// A duration in milliseconds; `0` and `0d` are durations here.
    #[must_use]
    pub fn span_ms(&self) -> Option<i64> {
        let text = self.scalar()?.text.trim();
        if text == "0" || (text.len() > 1 && text.trim_end_matches(char::is_alphabetic) == "0") {
            return Some(0);
        }
        parse_span(text)
    }

    /// Texts of a list, or the one text.
    #[must_use]
    pub fn texts(&self) -> Vec<Spanned<String>> {
        match self {
            Self::List(l) => l.items.iter().filter_map(Self::text).collect(),
            other => other.text().into_iter().collect(),
        }
    }

    /// Takes out scalars that stand inside one of `spans`, with their keys.
    pub fn prune(&mut self, spans: &[Range<usize>]) {
        let gone = |n: &Self| {
            let at = n.span();
            matches!(n, Self::Scalar(_))
                && spans.iter().any(|s| s.start <= at.start && at.end <= s.end)
        };
        match self {
            Self::Scalar(_) => {}
            Self::List(l) => {
                l.items.retain(|n| !gone(n));
                l.items.iter_mut().for_each(|n| n.prune(spans));
            }
            Self::Map(m) => {
                m.entries.retain(|(_, n)| !gone(n));
                m.entries.iter_mut().for_each(|(_, n)| n.prune(spans));
            }
        }
    }

    /// The same as JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        match self {
            Self::Scalar(s) => s.value(),
            Self::List(l) => Value::Array(l.items.iter().map(Self::value).collect()),
            Self::Map(_) => Value::Object(self.object()),
        }
    }

    /// The entries as a JSON object; empty if this is not a map.
    #[must_use]
    pub fn object(&self) -> JsonMap<String, Value> {
        self.entries().iter().map(|(k, n)| (k.value.clone(), n.value())).collect()
    }
}

impl Scalar {
    /// The value by the YAML 1.2 core schema, but a number with a leading zero is a text: it is a code (`0301`).
    #[must_use]
    pub fn value(&self) -> Value {
        let text = || Value::String(self.text.clone());
        if self.style != Style::Plain {
            return text();
        }
        let digits = self.text.trim_start_matches(['-', '+']);
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
            "true" | "True" | "TRUE" => return Value::Bool(true),
            "false" | "False" | "FALSE" => return Value::Bool(false),
            _ if digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") => {
                return text();
            }
            _ if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => return text(),
            _ => {}
        }
        if let Ok(n) = self.text.parse::<i64>() {
            return n.into();
        }
        let float = self.text.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
        float.map_or_else(text, Value::Number)
    }

    /// Unquoted, and with more opening than closing parentheses or the reverse.
    #[must_use]
    pub fn unbalanced(&self) -> bool {
        self.style == Style::Plain && unbalanced(&self.text)
    }
}

/// A text as a YAML scalar that reads back as this text: as it is where that is plain to see, else in double quotes.
#[must_use]
pub fn quoted(text: &str) -> String {
    let letters = text.chars().all(|c| c.is_alphanumeric() || c == '_');
    let word = text.starts_with(|c: char| c.is_alphabetic()) && letters;
    let other = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if word && !other.iter().any(|w| w.eq_ignore_ascii_case(text)) {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}

/// Whether a text has more opening than closing parentheses or the reverse, SQL quotes respected.
pub(super) fn unbalanced(text: &str) -> bool {
    let (mut depth, mut quote) = (0i32, None);
    for c in text.chars() {
        match (quote, c) {
            (Some(q), _) if q == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return true;
        }
    }
    depth != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every occurrence of 甲 in the scalar's text must map to a 甲 in the file, `n` of them.
    fn check(source: &str, n: usize) {
        let node = Node::parse(source).unwrap_or_else(|e| panic!("{source}: {e:?}"));
        let sql = node.get("k").and_then(Node::sql).expect("a scalar");
        let found: Vec<_> =
            sql.text.match_indices('甲').map(|(i, m)| sql.file_span(i..i + m.len())).collect();
        for span in &found {
            assert_eq!(
                source.get(span.clone()),
                Some("甲"),
                "{source:?} → {:?} {:?}",
                sql.text,
                sql.map
            );
        }
        assert_eq!(found.len(), n, "{source:?} → {:?}", sql.text);
    }

    #[test]
    fn every_style_maps_back() {
        for (source, n) in [
            ("k: 投诉 = 甲", 1),
            ("名: 字\nk: 投诉 甲  甲", 2),
            ("{x: 中, k: 中甲, y: 2}", 1),
            ("k: '它''s 甲''甲'", 2),
            (r#"k: "一\n\u4e2d\t甲 \x41甲""#, 2),
            (r#"k: "\uD834\uDD1E甲\U0001F600甲""#, 2),
            ("k: 一 and\n   二 甲\n\n   三 甲", 2),
            ("k: '一 甲\n   二 甲\n\n   三 甲'", 3),
            ("k: \"一 甲 \\\n   二 甲\n\n\n   三 \\\"甲\"", 3),
            ("k: |\n  一 甲\n    二 甲\n\n  三 甲\nz: 1", 3),
            ("k: >\n  一 甲\n  二 甲\n\n\n  三 甲\n    四 甲\n   五 甲\n  六 甲\nz: 1", 6),
            ("k: >-\n\n  一 甲\n  二 甲", 2),
            ("k: |2\n    一 甲\n  二 甲\n", 2),
            ("k: |\r\n  一 甲\r\n  二 甲\r\n", 2),
            ("k: 一 甲\r\n  二 甲\r\n", 2),
            ("k: >2-\n   一 甲\n  二 甲\n  三甲", 3),
        ] {
            check(source, n);
        }
    }

    #[test]
    fn refusals_carry_code_and_place() {
        for (source, code, at) in [
            ("a: 1\n甲: 2\na: 3", "yaml::duplicate_key", "a"),
            ("a: &x 1\nb: 2", "yaml::anchor", "&x"),
            ("a: *x", "yaml::anchor", "*x"),
            ("a: !中 b", "yaml::syntax", ""),
            ("a: !str b", "yaml::tag", "!str"),
            ("a: 1\n---\nb: 2", "yaml::second_document", "---"),
            ("甲: [1, 2", "yaml::syntax", "["),
            ("[1]: 2", "yaml::key", "[1]"),
            ("# 空", "yaml::empty", ""),
        ] {
            let found = Node::parse(source).expect_err(source);
            assert_eq!(found[0].code, code, "{source}: {found:?}");
            if !at.is_empty() {
                assert_eq!(&source[found[0].span.clone()], at, "{source}: {found:?}");
            }
        }
    }

    #[test]
    fn all_findings_of_a_file_in_one_pass() {
        let found = Node::parse("a: !x 1\nb: &y 2\nb: 3\nc: *y").expect_err("four");
        assert_eq!(found.len(), 4, "{found:?}");
    }

    #[test]
    fn scalars_have_core_schema_values() {
        let json = |s: &str| Node::parse(s).expect(s).value().to_string();
        for (yaml, value) in [
            ("[1, -2, 1.5, 1e3, 0.5, 0]", "[1,-2,1.5,1000.0,0.5,0]"),
            ("[true, False, yes, on]", r#"[true,false,"yes","on"]"#),
            ("[0301, '7', 007, +8, 1.2.3]", r#"["0301","7","007",8,"1.2.3"]"#),
            ("{a: , b: ~, c: null, d: 'null'}", r#"{"a":null,"b":null,"c":null,"d":"null"}"#),
            ("[inf, nan, .inf, 2026-03-02]", r#"["inf","nan",".inf","2026-03-02"]"#),
        ] {
            assert_eq!(json(yaml), value);
        }
    }

    #[test]
    fn spans_of_collections() {
        let source = "甲: {a: [1, 2], b: x}\n乙:\n  - 1\n  - c: 2\n丙: 3\n";
        let node = Node::parse(source).expect("well-formed");
        let at = |n: &Node| source[n.span()].to_owned();
        assert_eq!(at(node.get("甲").unwrap()), "{a: [1, 2], b: x}");
        assert_eq!(at(node.get("甲").unwrap().get("a").unwrap()), "[1, 2]");
        assert_eq!(at(node.get("乙").unwrap()).trim(), "- 1\n  - c: 2");
        assert_eq!(at(&node), source.trim_end());
    }

    #[test]
    fn parts_keep_their_places() {
        let source = "k: 'left(区域, 4) as ''城市'''";
        let sql = Node::parse(source).expect("ok").get("k").and_then(Node::sql).expect("sql");
        let name = sql.text.find("城市").expect("there");
        let part = sql.part(name - 1..sql.text.len());
        assert_eq!(part.text, "'城市'");
        assert_eq!(&source[part.file_span(1..7)], "城市");
        assert_eq!(&source[sql.part(0..4).span.clone()], "left");
    }
}
