//! The structural check: a tree against a shape, all findings in one pass.

use std::ops::Range;

use super::{Field, Shape, Switch, is_name};
use crate::model::{
    diagnostic::{Diagnostic, did_you_mean},
    yaml::{Map, Node, Scalar, Spanned, Style},
};

/// Words that YAML 1.1 tools read as true or false (`y` and `n` are names of measures and left alone).
const YAML11_WORDS: [&str; 4] = ["yes", "no", "on", "off"];

#[derive(Default)]
pub(super) struct Check {
    pub(super) findings: Vec<Diagnostic>,
}

impl Check {
    pub(super) fn node(&mut self, shape: &Shape, node: &Node, name: &str) {
        match (shape, node) {
            (Shape::Any, _) => self.words_in(node),
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

    /// Words of YAML 1.1 anywhere in a part that may hold anything.
    fn words_in(&mut self, node: &Node) {
        match node {
            Node::Scalar(s) if s.style == Style::Plain => self.yaml11(&s.text, &s.span),
            Node::Scalar(_) => {}
            Node::List(l) => l.items.iter().for_each(|n| self.words_in(n)),
            Node::Map(m) => m.entries.iter().for_each(|(_, n)| self.words_in(n)),
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
                None if map.flow
                    && node.is_null()
                    && node.span().is_empty()
                    && key.span.start > map.span.start + 1 =>
                {
                    let message =
                        "a comma inside {…} ends an unquoted text; this is what was behind it";
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
        let typed = |key: &str| did_you_mean(key, [field]).is_some();
        if map.entries.iter().any(|(k, _)| typed(&k.value) && k.value != field) {
            // It is there under a mistyped name, which has a finding of its own.
            return;
        }
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
