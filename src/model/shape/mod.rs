//! Shapes: what may stand where in a file, written once as a table.
//!
//! In: a [`Shape`] and a [`Node`]. Out: all structural findings in one pass ([`Shape::check`]), or the same table as a
//! JSON Schema for editors ([`Shape::json_schema`]); so the two cannot disagree. A node that passed may be read with
//! the accessors of `yaml::Node` without further checks of type.
//! Not here: what the values mean — that is for the room that reads them.

mod check;
mod json;

use serde_json::{Map as JsonMap, Value};

use self::check::Check;
use super::{diagnostic::Diagnostic, yaml::Node};

/// What may stand at a place.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A text; numbers and dates as written are texts too.
    Text,
    /// A name: `[a-z][a-z0-9_]*`.
    Name,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number of at least this.
    Int(i64),
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A duration: `7d`, `8h`, `30m`, `45s`, `2w`, or `0`.
    Span,
    /// An SQL expression.
    Sql,
    /// Any scalar: number, text, true or false.
    Literal,
    /// Anything.
    Any,
    /// A list of these.
    List(&'static Shape),
    /// A list of these, or one of them alone.
    OneOrMore(&'static Shape),
    /// A map with these fields.
    Map(&'static [Field]),
    /// A map from names the author chooses to these.
    Entries(&'static Shape),
    /// A map from any texts to these.
    AnyMap(&'static Shape),
    /// One of these, told apart by being a scalar, list or map, and maps by the first field of each.
    OneOf(&'static [Shape]),
    /// A map whose fields depend on the word in one of them.
    Switch(&'static Switch),
}

/// See [`Shape::Switch`].
#[derive(Debug)]
pub struct Switch {
    /// The field with the word.
    pub field: &'static str,
    /// What the word is about, for editors.
    pub doc: &'static str,
    /// Fields that every word has.
    pub common: &'static [Field],
    /// Word → further fields.
    pub cases: &'static [(&'static str, &'static [Field])],
    /// Words, and fields with what they are for, that a later version will have; code `rule::not_yet`.
    pub later: (&'static [&'static str], &'static [&'static str]),
}

/// A field of a map.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// The map is not complete without it.
    pub required: bool,
    /// One sentence for editors.
    pub doc: &'static str,
}

impl Field {
    /// A field that may be left out.
    #[must_use]
    pub const fn optional(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, required: false, doc }
    }

    /// A field that must be there.
    #[must_use]
    pub const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, required: true, doc }
    }
}

impl Shape {
    /// All findings about `node` and what is in it.
    ///
    /// Codes: `yaml::unknown_field`, `yaml::missing_field`, `yaml::wrong_type`, `rule::no_effect`, `rule::not_yet`,
    /// `yaml::flow_comma`, and the warning `yaml::yaml11_word`.
    #[must_use]
    pub fn check(&self, node: &Node) -> Vec<Diagnostic> {
        let mut check = Check::default();
        check.node(self, node, "the file");
        check.findings
    }

    /// The shape as a JSON Schema (draft 2020-12).
    #[must_use]
    pub fn json_schema(&self, id: &str, title: &str) -> Value {
        let mut root = JsonMap::new();
        root.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        root.insert("$id".into(), id.into());
        root.insert("title".into(), title.into());
        root.extend(json::schema(self));
        Value::Object(root)
    }

    /// Whether unquoted SQL may stand here.
    fn holds_sql(&self) -> bool {
        match self {
            Self::Sql => true,
            Self::List(s) | Self::OneOrMore(s) | Self::Entries(s) | Self::AnyMap(s) => {
                s.holds_sql()
            }
            Self::OneOf(shapes) => shapes.iter().any(Self::holds_sql),
            Self::Map(fields) => fields.iter().any(|f| matches!(f.shape, Self::Sql)),
            _ => false,
        }
    }

    /// What it is, for messages.
    fn words(&self) -> String {
        match self {
            Self::Text => "a text".into(),
            Self::Name => "a name of a–z, 0–9 and _, starting with a letter".into(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Int(min) => format!("a whole number of at least {min}"),
            Self::Number => "a number".into(),
            Self::Bool => "true or false".into(),
            Self::Span => "a duration like 7d, 8h or 30m".into(),
            Self::Sql => "an SQL expression".into(),
            Self::Literal => "a number, text, true or false".into(),
            Self::Any => "anything".into(),
            Self::List(of) => format!("a list, each item {}", of.words()),
            Self::OneOrMore(of) => format!("{}, or a list of such", of.words()),
            Self::Map(fields) => {
                let names: Vec<_> = fields.iter().map(|f| f.name).collect();
                format!("a map with {}", names.join(", "))
            }
            Self::Entries(_) | Self::AnyMap(_) | Self::Switch(_) => "a map".into(),
            Self::OneOf(shapes) => {
                let words: Vec<_> = shapes.iter().map(Self::words).collect();
                words.join(", or ")
            }
        }
    }
}

/// Whether a text is a name: `[a-z][a-z0-9_]*`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::diagnostic::Level;

    const WINDOW: Shape = Shape::OneOf(&[
        Shape::Map(&[
            Field::required("sliding", Shape::Span, "Length."),
            Field::optional("every", Shape::Span, "Step."),
        ]),
        Shape::Map(&[Field::required("tumbling", Shape::Span, "Length.")]),
    ]);
    const THING: Shape = Shape::Switch(&Switch {
        field: "kind",
        doc: "What it is.",
        common: &[
            Field::required("kind", Shape::Any, "What it is."),
            Field::required("id", Shape::Name, "Its name."),
            Field::optional("key", Shape::List(&Shape::Sql), "Key."),
            Field::optional(
                "level",
                Shape::OneOf(&[
                    Shape::Word(&["low", "high"]),
                    Shape::Map(&[
                        Field::optional("high", Shape::Sql, ""),
                        Field::optional("low", Shape::Sql, ""),
                        Field::optional("else", Shape::Word(&["low"]), ""),
                    ]),
                ]),
                "Level.",
            ),
            Field::optional("size", Shape::Int(1), "Size."),
            Field::optional("ok", Shape::Bool, "Ok."),
            Field::optional("title", Shape::Text, "Title."),
        ],
        cases: &[
            ("instant", &[]),
            (
                "window",
                &[
                    Field::required("window", WINDOW, "Window."),
                    Field::optional("measures", Shape::Entries(&Shape::Sql), "Measures."),
                ],
            ),
        ],
        later: (&["sequence"], &["join"]),
    });

    /// The findings as `code at-text`.
    fn found(source: &str) -> Vec<String> {
        let node = Node::parse(source).unwrap_or_else(|e| panic!("{source}: {e:?}"));
        let line = |d: &Diagnostic| {
            format!("{} {}", d.code.split("::").last().unwrap_or_default(), &source[d.span.clone()])
        };
        THING.check(&node).iter().map(line).collect()
    }

    #[test]
    fn findings() {
        let ok = "kind: window\nid: a\nwindow: {sliding: 7d}\n";
        for (more, expect) in [
            ("", vec![]),
            (
                "size: 3\nok: true\nkey: [a, 'left(b, 2)']\nmeasures: {n: count(*), m: 'f(a, b)'}",
                vec![],
            ),
            ("sise: 3", vec!["unknown_field sise"]),
            ("size: 0", vec!["wrong_type 0"]),
            ("size: [1]", vec!["wrong_type [1]"]),
            ("ok: yes", vec!["wrong_type yes"]),
            ("title: 投诉\nok: 'true'", vec!["wrong_type 'true'"]),
            ("title: No", vec!["yaml11_word No"]),
            ("title: 'No'", vec![]),
            ("join: {a: b}", vec!["not_yet join"]),
            ("level: hihg", vec!["wrong_type hihg"]),
            ("level: {high: f(投, n, 1) > 2, else: low}", vec!["flow_comma f(投, n, 1) > 2"]),
            (
                "level: {high: f(a, n) > 2, low: f(a, n) > 1, esle: low}",
                vec!["flow_comma f(a, n) > 2", "flow_comma f(a, n) > 1", "unknown_field esle"],
            ),
            ("level: {high: f(a > 2}", vec![]),
            ("level: {high: a > 1, b > 2, else: low}", vec!["flow_comma b > 2"]),
            ("key: [区域, left(b, 4) as c, d]", vec!["flow_comma left(b, 4) as c"]),
            ("measures: {a: round(x, 2), B: y}", vec!["flow_comma round(x, 2)", "wrong_type B"]),
            ("key: a", vec!["wrong_type a"]),
        ] {
            assert_eq!(found(&format!("{ok}{more}")), expect, "{more}");
        }
    }

    #[test]
    fn findings_about_the_word() {
        for (source, expect) in [
            ("id: a", vec!["missing_field id"]),
            ("kind: instnat\nid: a\nfoo: 1", vec!["wrong_type instnat", "unknown_field foo"]),
            ("kind: sequence\nsteps: 1", vec!["not_yet sequence"]),
            ("kind: instant\nid: a\nwindow: {sliding: 7d}", vec!["no_effect window"]),
            ("kind: window\nid: a", vec!["missing_field kind"]),
            ("kind: window\nid: a\nwindow: {slidign: 7d}", vec!["unknown_field slidign"]),
            ("kind: window\nid: a\nwindow: {every: 7d}", vec!["missing_field {every: 7d}"]),
            ("kind: window\nid: a\nwindow: {tumbling: 7d, every: 1d}", vec!["unknown_field every"]),
            ("kind: window\nid: a\nwindow: 7d", vec!["wrong_type 7d"]),
            (
                "kind: window\nid: 7A\nwindow: {sliding: 7dd}",
                vec!["wrong_type 7A", "wrong_type 7dd"],
            ),
        ] {
            assert_eq!(found(source), expect, "{source}");
        }
    }

    #[test]
    fn a_word_of_yaml_11_is_a_warning_only() {
        let node = Node::parse("kind: instant\nid: a\ntitle: off").expect("ok");
        assert_eq!(THING.check(&node)[0].level, Level::Warning);
    }

    #[test]
    fn the_schema_says_the_same() {
        let schema = THING.json_schema("https://example.org/thing.json", "Thing");
        assert_eq!(schema["properties"]["kind"]["enum"], json!(["instant", "window"]));
        assert_eq!(schema["required"], json!(["kind", "id"]));
        assert_eq!(
            schema["allOf"][0]["then"]["properties"],
            json!({"window": false, "measures": false})
        );
        assert_eq!(schema["allOf"][1]["then"]["required"], json!(["window"]));
        assert_eq!(
            schema["properties"]["size"],
            json!({"type": "integer", "minimum": 1, "description": "Size."})
        );
    }
}
