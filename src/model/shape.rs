//! Shapes: what may stand where in a file, written once as a table.
//!
//! In: a [`Shape`] and a [`Node`]. Out: all structural findings in one pass ([`Shape::check`]), or the same table as a
//! JSON Schema for editors ([`Shape::json_schema`]); so the two cannot disagree. A node that passed may be read with
//! the accessors of `yaml::Node` without further checks of type.
//! Not here: what the values mean — that is for the room that reads them.

use std::ops::Range;

use serde_json::{Map as JsonMap, Value, json};

use super::{
    diagnostic::{Diagnostic, did_you_mean},
    yaml::{Map, Node, Scalar, Spanned, Style},
};

/// Words that YAML 1.1 tools read as true or false (`y` and `n` are names of measures and left alone).
const YAML11_WORDS: [&str; 4] = ["yes", "no", "on", "off"];

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
        let mut check = Check { findings: Vec::new() };
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
        root.extend(schema(self));
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

struct Check {
    findings: Vec<Diagnostic>,
}

impl Check {
    fn node(&mut self, shape: &Shape, node: &Node, name: &str) {
        match (shape, node) {
            (Shape::Any, _) => {}
            (Shape::OneOf(shapes), _) => self.one_of(shape, shapes, node, name),
            (Shape::OneOrMore(of), Node::List(_)) => self.list(of, node, name),
            (Shape::OneOrMore(of), _) => self.node(of, node, name),
            (Shape::List(of), Node::List(_)) => self.list(of, node, name),
            (Shape::Map(fields), Node::Map(map)) => self.map(&[fields], map, name),
            (Shape::Switch(switch), Node::Map(map)) => self.switch(switch, map),
            (Shape::Entries(of) | Shape::AnyMap(of), Node::Map(map)) => {
                self.entries(of, map, matches!(shape, Shape::Entries(_)));
            }
            (_, Node::Scalar(scalar)) if !matches!(shape, Shape::List(_)) => {
                self.scalar(shape, scalar, name)
            }
            _ => self.wrong(shape, node, name),
        }
    }

    fn wrong(&mut self, shape: &Shape, node: &Node, name: &str) {
        let message = format!("{name} is {}, not {}", node.kind(), shape.words());
        self.findings
            .push(Diagnostic::error("yaml::wrong_type", node.span(), message).label(shape.words()));
    }

    fn list(&mut self, of: &Shape, node: &Node, name: &str) {
        let items = node.items();
        let pieces: Vec<_> = items.iter().map(|n| (n.scalar(), n.scalar())).collect();
        let cut =
            self.flow_commas(matches!(node, Node::List(l) if l.flow) && of.holds_sql(), &pieces);
        for (item, _) in items.iter().zip(cut).filter(|(_, cut)| !cut) {
            self.node(of, item, &format!("an item of {name}"));
        }
    }

    fn one_of(&mut self, all: &Shape, shapes: &[Shape], node: &Node, name: &str) {
        let is_map = |s: &&Shape| matches!(s, Shape::Map(_) | Shape::Entries(_) | Shape::AnyMap(_));
        let fits = |s: &&Shape| match (node, s) {
            (_, Shape::Any) => true,
            (Node::List(_), s) => matches!(s, Shape::List(_) | Shape::OneOrMore(_)),
            (Node::Map(map), Shape::Map(fields)) => {
                fields.first().is_some_and(|f| map.get(f.name).is_some())
            }
            (Node::Map(_), s) => matches!(s, Shape::Entries(_) | Shape::AnyMap(_)),
            (Node::Scalar(_), s) => !is_map(s) && !matches!(s, Shape::List(_)),
        };
        if let Some(shape) = shapes.iter().find(fits) {
            return self.node(shape, node, name);
        }
        let Node::Map(map) = node else { return self.wrong(all, node, name) };
        match shapes.iter().filter(is_map).collect::<Vec<_>>().as_slice() {
            [] => self.wrong(all, node, name),
            [only] => self.node(only, node, name),
            maps => {
                let firsts: Vec<_> = maps
                    .iter()
                    .filter_map(|s| {
                        if let Shape::Map(f) = s { f.first().map(|f| f.name) } else { None }
                    })
                    .collect();
                let typo = map.entries.iter().find_map(|(k, _)| {
                    did_you_mean(&k.value, firsts.iter().copied())
                        .map(|meant| (k.span.clone(), meant))
                });
                let message = format!("{name} says none of {}", firsts.join(", "));
                let finding = match typo {
                    Some((span, meant)) => Diagnostic::error("yaml::unknown_field", span, message)
                        .label(format!("did you mean {meant:?}?")),
                    None => Diagnostic::error("yaml::missing_field", map.span.clone(), message)
                        .label(format!("one of {}", firsts.join(", "))),
                };
                self.findings.push(finding);
            }
        }
    }

    fn switch(&mut self, switch: &Switch, map: &Map) {
        let words: Vec<&str> = switch.cases.iter().map(|(w, _)| *w).collect();
        let Some(node) = map.get(switch.field) else {
            // Without the word only the common part can be judged.
            let all: Vec<&[Field]> =
                std::iter::once(switch.common).chain(switch.cases.iter().map(|c| c.1)).collect();
            self.missing(map, switch.field, &format!("one of {}", words.join(", ")));
            return self.fields(&all, map, "the file");
        };
        let word = node.text();
        let word = word.as_ref().map_or("", |w| w.value.as_str());
        if switch.later.0.contains(&word) {
            let message = format!("{} {word:?} is not run by this version", switch.field);
            let help = format!("this version runs {}", words.join(" and "));
            self.findings.push(Diagnostic::error("rule::not_yet", node.span(), message).help(help));
            return;
        }
        let Some((_, own)) = switch.cases.iter().find(|(w, _)| *w == word) else {
            let message = format!("{} {word:?} is not one of {}", switch.field, words.join(", "));
            let label = did_you_mean(word, words.iter().copied()).map_or_else(
                || format!("one of {}", words.join(", ")),
                |m| format!("did you mean {m:?}?"),
            );
            self.findings
                .push(Diagnostic::error("yaml::wrong_type", node.span(), message).label(label));
            let all: Vec<&[Field]> =
                std::iter::once(switch.common).chain(switch.cases.iter().map(|c| c.1)).collect();
            return self.fields(&all, map, "the file");
        };
        for (key, _) in &map.entries {
            let elsewhere =
                switch.cases.iter().find(|(_, f)| f.iter().any(|f| f.name == key.value));
            let here = [switch.common, own].concat().iter().any(|f| f.name == key.value);
            let name = &key.value;
            if switch.later.1.contains(&name.as_str()) && !here {
                let message = format!("field {name:?} is not run by this version");
                let finding = Diagnostic::error("rule::not_yet", key.span.clone(), message);
                self.findings.push(
                    finding.help("take it out: the rule would mean something else without it"),
                );
            } else if let (Some((kind, _)), false) = (elsewhere, here) {
                let message = format!("field {name:?} has no effect in {} {word:?}", switch.field);
                let finding = Diagnostic::error("rule::no_effect", key.span.clone(), message);
                self.findings.push(finding.label(format!("belongs to {} {kind:?}", switch.field)));
            }
        }
        let known: Vec<&str> = switch.later.1.to_vec();
        self.fields_except(&[switch.common, own], map, "the file", &|name| {
            known.contains(&name)
                || switch.cases.iter().any(|(_, f)| f.iter().any(|f| f.name == name))
        });
        for field in
            switch.common.iter().chain(*own).filter(|f| f.required && map.get(f.name).is_none())
        {
            self.missing(map, field.name, &field.shape.words());
        }
    }

    fn map(&mut self, tables: &[&[Field]], map: &Map, name: &str) {
        self.fields(tables, map, name);
        for field in tables.concat().iter().filter(|f| f.required && map.get(f.name).is_none()) {
            self.missing(map, field.name, &field.shape.words());
        }
    }

    fn fields(&mut self, tables: &[&[Field]], map: &Map, name: &str) {
        self.fields_except(tables, map, name, &|_| false);
    }

    /// Checks each entry against its field; `said` names those about which enough was said already.
    fn fields_except(
        &mut self,
        tables: &[&[Field]],
        map: &Map,
        name: &str,
        said: &dyn Fn(&str) -> bool,
    ) {
        let fields = tables.concat();
        let known = |n: &str| fields.iter().find(|f| f.name == n);
        let cut = self.cut_entries(map, |k| known(k).is_some_and(|f| f.shape.holds_sql()));
        for ((key, node), _) in map.entries.iter().zip(cut).filter(|(_, cut)| !cut) {
            match known(&key.value) {
                Some(field) => {
                    self.yaml11(&key.value, &key.span);
                    self.node(&field.shape, node, field.name);
                }
                None if said(&key.value) => {}
                // `{en: Chain, many counties}`: a key without a value is the rest of the text before it.
                None if map.flow && node.is_null() && node.span().is_empty() && key.span.start > map.span.start + 1 => {
                    let message = "a comma inside {…} ends an unquoted text; this is what was behind it";
                    self.findings.push(
                        Diagnostic::error("yaml::flow_comma", key.span.clone(), message)
                            .label("put the whole text in quotes"),
                    );
                }
                None => self.unknown(key, &fields, name),
            }
        }
    }

    fn entries(&mut self, of: &Shape, map: &Map, names: bool) {
        let cut = self.cut_entries(map, |_| of.holds_sql());
        for ((key, node), _) in map.entries.iter().zip(cut).filter(|(_, cut)| !cut) {
            self.yaml11(&key.value, &key.span);
            if names && !is_name(&key.value) {
                let message = format!("{:?} is not {}", key.value, Shape::Name.words());
                self.findings.push(Diagnostic::error(
                    "yaml::wrong_type",
                    key.span.clone(),
                    message,
                ));
            }
            self.node(of, node, &key.value);
        }
    }

    fn scalar(&mut self, shape: &Shape, scalar: &Scalar, name: &str) {
        let value = scalar.value();
        let text = scalar.text.as_str();
        let fits = match shape {
            Shape::Text | Shape::Sql => !value.is_null(),
            Shape::Name => is_name(text),
            Shape::Word(words) => words.contains(&text),
            Shape::Int(min) => value.as_i64().is_some_and(|n| n >= *min),
            Shape::Number => value.is_number(),
            Shape::Bool => value.is_boolean(),
            Shape::Span => Node::Scalar(scalar.clone()).span_ms().is_some(),
            Shape::Literal => true,
            // Nothing where a map may be left empty: `params:` without entries.
            Shape::Entries(_) | Shape::AnyMap(_) => value.is_null(),
            _ => false,
        };
        if scalar.style == Style::Plain && !matches!(shape, Shape::Bool) {
            self.yaml11(text, &scalar.span);
        }
        if fits {
            return;
        }
        if let Shape::Word(words) = shape {
            let label = did_you_mean(text, words.iter().copied())
                .map_or_else(|| shape.words(), |meant| format!("did you mean {meant:?}?"));
            let message = format!("{name} is {text:?}, not {}", shape.words());
            self.findings.push(
                Diagnostic::error("yaml::wrong_type", scalar.span.clone(), message).label(label),
            );
        } else {
            self.wrong(shape, &Node::Scalar(scalar.clone()), name);
        }
    }

    fn unknown(&mut self, key: &Spanned<String>, fields: &[Field], name: &str) {
        let names: Vec<&str> = fields.iter().map(|f| f.name).collect();
        let message = format!("{name} has no field {:?}", key.value);
        let mut finding = Diagnostic::error("yaml::unknown_field", key.span.clone(), message);
        match did_you_mean(&key.value, names.iter().copied()) {
            Some(meant) => finding.label = format!("did you mean {meant:?}?"),
            None => finding.help = Some(format!("fields here: {}", names.join(", "))),
        }
        self.findings.push(finding);
    }

    fn missing(&mut self, map: &Map, field: &str, words: &str) {
        let at = map.entries.first().map_or(map.span.start, |(k, _)| k.span.start);
        let end = map.entries.first().map_or(at, |(k, _)| k.span.end);
        let message = format!("field {field:?} is missing");
        let finding = Diagnostic::error("yaml::missing_field", at..end, message);
        self.findings.push(finding.label(format!("add \"{field}: …\": {words}")));
    }

    fn yaml11(&mut self, word: &str, span: &Range<usize>) {
        if YAML11_WORDS.iter().any(|w| w.eq_ignore_ascii_case(word)) {
            let message =
                format!("{word:?} without quotes is true or false for YAML 1.1 tools, a text here");
            self.findings.push(
                Diagnostic::warning("yaml::yaml11_word", span.clone(), message)
                    .label("put it in quotes"),
            );
        }
    }

    fn cut_entries(&mut self, map: &Map, sql: impl Fn(&str) -> bool) -> Vec<bool> {
        let keys: Vec<Scalar> = map.entries.iter().map(|(k, _)| bare(k)).collect();
        let pieces: Vec<_> = map
            .entries
            .iter()
            .zip(&keys)
            .map(|((k, n), key)| (Some(key), if sql(&k.value) { n.scalar() } else { None }))
            .collect();
        self.flow_commas(map.flow, &pieces)
    }

    /// SQL cut at its commas: a value that opens more parentheses than it closes, and a later key (in a list: item) that
    /// closes them. Returns which entries are such pieces; about those, everything is said.
    fn flow_commas(
        &mut self,
        flow: bool,
        pieces: &[(Option<&Scalar>, Option<&Scalar>)],
    ) -> Vec<bool> {
        let mut cut = vec![false; pieces.len()];
        if !flow {
            return cut;
        }
        let mut i = 0;
        while i < pieces.len() {
            let opens = pieces[i].1.filter(|s| s.unbalanced());
            let last = (i + 1..pieces.len()).find(|j| pieces[*j].0.is_some_and(Scalar::unbalanced));
            if let (Some(first), Some(last)) = (opens, last) {
                let end = pieces[last].0.map_or(first.span.end, |s| s.span.end);
                let message = "a comma inside {…} or […] ends an unquoted value, so this expression is cut in two";
                self.findings.push(
                    Diagnostic::error("yaml::flow_comma", first.span.start..end, message)
                        .label("quote the whole expression"),
                );
                cut[i..=last].fill(true);
                i = last;
            }
            i += 1;
        }
        cut
    }
}

fn bare(key: &Spanned<String>) -> Scalar {
    // A quoted key is longer in the file than its text.
    let style = if key.span.len() == key.value.len() { Style::Plain } else { Style::Double };
    Scalar {
        text: key.value.clone(),
        style,
        in_flow: true,
        span: key.span.clone(),
        map: Vec::new(),
    }
}

/// Whether a text is a name: `[a-z][a-z0-9_]*`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn schema(shape: &Shape) -> JsonMap<String, Value> {
    let value = match shape {
        Shape::Text | Shape::Sql => json!({"type": ["string", "number", "boolean"]}),
        Shape::Name => json!({"type": "string", "pattern": "^[a-z][a-z0-9_]*$"}),
        Shape::Word(words) => json!({"enum": words}),
        Shape::Int(min) => json!({"type": "integer", "minimum": min}),
        Shape::Number => json!({"type": "number"}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Span => json!({"anyOf": [
            {"type": "string", "pattern": "^(0|[0-9]+(ms|s|m|min|h|d|w))$"}, {"const": 0}]}),
        Shape::Literal => json!({"type": ["string", "number", "boolean", "null"]}),
        Shape::Any => json!({}),
        Shape::List(of) => json!({"type": "array", "items": schema(of)}),
        Shape::OneOrMore(of) => {
            json!({"anyOf": [schema(of), {"type": "array", "items": schema(of)}]})
        }
        Shape::Map(fields) => object(fields),
        Shape::Entries(of) => {
            json!({"type": ["object", "null"], "additionalProperties": schema(of),
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"}})
        }
        Shape::AnyMap(of) => {
            json!({"type": ["object", "null"], "additionalProperties": schema(of)})
        }
        Shape::OneOf(shapes) => json!({"anyOf": shapes.iter().map(schema).collect::<Vec<_>>()}),
        Shape::Switch(switch) => switch_schema(switch),
    };
    if let Value::Object(map) = value { map } else { JsonMap::new() }
}

fn object(fields: &[Field]) -> Value {
    let required: Vec<_> = fields.iter().filter(|f| f.required).map(|f| f.name).collect();
    let mut out =
        json!({"type": "object", "properties": properties(fields), "additionalProperties": false});
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    out
}

fn properties(fields: &[Field]) -> JsonMap<String, Value> {
    let property = |f: &Field| {
        let mut of = schema(&f.shape);
        of.insert("description".into(), f.doc.into());
        (f.name.to_owned(), Value::Object(of))
    };
    fields.iter().map(property).collect()
}

/// One object with all fields, and per word a rule that forbids the fields of the other words: editors then complete
/// the fields of the word at hand.
fn switch_schema(switch: &Switch) -> Value {
    let words: Vec<_> = switch.cases.iter().map(|(word, _)| *word).collect();
    let mut properties_of = properties(switch.common);
    properties_of.insert(switch.field.into(), json!({"enum": words, "description": switch.doc}));
    for (_, fields) in switch.cases {
        properties_of.extend(properties(fields));
    }
    let mut required = vec![switch.field];
    required.extend(
        switch.common.iter().filter(|f| f.required && f.name != switch.field).map(|f| f.name),
    );
    let cases: Vec<Value> = switch
        .cases
        .iter()
        .map(|(word, own)| {
            let others = switch.cases.iter().flat_map(|(_, fields)| fields.iter().map(|f| f.name));
            let forbidden: JsonMap<String, Value> = others
                .filter(|name| !own.iter().any(|f| f.name == *name))
                .map(|name| (name.to_owned(), Value::Bool(false)))
                .collect();
            let required: Vec<_> = own.iter().filter(|f| f.required).map(|f| f.name).collect();
            json!({
                "if": {"properties": {switch.field: {"const": word}}, "required": [switch.field]},
                "then": {"properties": forbidden, "required": required},
            })
        })
        .collect();
    json!({"type": "object", "properties": properties_of, "required": required, "additionalProperties": false,
        "allOf": cases})
}

#[cfg(test)]
mod tests {
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
