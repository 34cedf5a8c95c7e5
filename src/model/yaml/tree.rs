//! From YAML events to the tree: collections are put together, and what rule files do not use is refused.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle, options};

use super::{List, Map, Node, Scalar, Spanned, Style, places::offsets, unbalanced};
use crate::model::diagnostic::Diagnostic;

/// See [`Node::parse`].
pub(super) fn parse(source: &str) -> Result<Node, Vec<Diagnostic>> {
    let mut builder = Builder { source, open: Vec::new(), root: None, findings: Vec::new() };
    let options = options! { emit_unresolved_aliases: true, emit_anchor_events: true };
    let mut documents = 0;
    for next in Parser::new_from_str_with_options(source, options) {
        match next {
            Ok((Event::DocumentStart(..), span)) => {
                documents += 1;
                if documents == 2 {
                    let at = span.byte_range().unwrap_or(0..0);
                    builder.find(
                        "yaml::second_document",
                        at,
                        "one document per file: this starts a second one",
                    );
                    break;
                }
            }
            Ok((event, span)) => builder.take(event, &span),
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(source.len()).min(source.len());
                let message = format!("not well-formed YAML: {}", error.info());
                builder.findings.push(
                    Diagnostic::error("yaml::syntax", at..next_char(source, at), message)
                        .label("reading stopped here"),
                );
                break;
            }
        }
    }
    match builder.root {
        Some(root) if builder.findings.is_empty() => Ok(root),
        None if builder.findings.is_empty() => {
            Err(vec![Diagnostic::error("yaml::empty", 0..0, "the file holds no YAML document")])
        }
        _ => Err(builder.findings),
    }
}

/// A collection that is not complete yet.
enum Open {
    List(List),
    Map(Map, Option<Spanned<String>>),
}

struct Builder<'a> {
    source: &'a str,
    open: Vec<Open>,
    root: Option<Node>,
    findings: Vec<Diagnostic>,
}

impl Builder<'_> {
    fn find(&mut self, code: &'static str, span: Range<usize>, message: impl Into<String>) {
        self.findings.push(Diagnostic::error(code, span, message));
    }

    fn take(&mut self, event: Event<'_>, at: &granit_parser::Span) {
        let span = at.byte_range().unwrap_or(0..0);
        if event.tag().is_some() {
            let at = at.tag_span().and_then(|s| s.byte_range()).unwrap_or(span.clone());
            self.find(
                "yaml::tag",
                at,
                "YAML tags (\"!name\") are not used here: write the plain value",
            );
        }
        match event {
            Event::Scalar(text, style, ..) => {
                let scalar = self.scalar_of(
                    text.into_owned(),
                    style_of(style),
                    span,
                    at.indent.unwrap_or(0),
                );
                self.put(Node::Scalar(scalar));
            }
            Event::Anchor(..) => {
                let message = "YAML anchors (\"&name\") are not used here: write the value out";
                self.find("yaml::anchor", span, message);
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.find(
                    "yaml::anchor",
                    span.clone(),
                    "YAML aliases (\"*name\") are not used here: write the value out",
                );
                let scalar = self.scalar_of(String::new(), Style::Plain, span, 0);
                self.put(Node::Scalar(scalar));
            }
            Event::SequenceStart(style, ..) => {
                let flow = style == StructureStyle::Flow;
                self.open.push(Open::List(List { items: Vec::new(), flow, span }));
            }
            Event::MappingStart(style, ..) => {
                let flow = style == StructureStyle::Flow;
                self.open.push(Open::Map(Map { entries: Vec::new(), flow, span }, None));
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            _ => {}
        }
    }

    fn scalar_of(&self, text: String, style: Style, span: Range<usize>, indent: usize) -> Scalar {
        let in_flow = self.open.iter().any(|o| match o {
            Open::List(l) => l.flow,
            Open::Map(m, _) => m.flow,
        });
        // The parser's block scalars run on to the next token; the trailing blank is not theirs.
        let written = self.source[span.clone()].trim_end().len();
        let span = span.start..span.start + written;
        let map = offsets(self.source, &span, style, indent, &text);
        Scalar { text, style, in_flow, span, map }
    }

    fn close(&mut self, end: Range<usize>) {
        let Some(open) = self.open.pop() else { return };
        let node = match open {
            Open::List(mut l) => {
                let last = l.items.last().map(|n| n.span().end);
                l.span.end = if l.flow { end.end } else { last.unwrap_or(l.span.end) };
                Node::List(l)
            }
            Open::Map(mut m, _) => {
                let last = m.entries.last().map(|(k, n)| n.span().end.max(k.span.end));
                m.span.end = if m.flow { end.end } else { last.unwrap_or(m.span.end) };
                self.refuse_duplicates(&mut m);
                Node::Map(m)
            }
        };
        self.put(node);
    }

    /// Duplicate keys that come from an SQL comma cut in two are left to `flow_comma`, which says what to do.
    fn refuse_duplicates(&mut self, map: &mut Map) {
        let cut = map.flow
            && map
                .entries
                .iter()
                .any(|(k, n)| unbalanced(&k.value) || n.scalar().is_some_and(Scalar::unbalanced));
        let mut i = 1;
        while i < map.entries.len() {
            let key = &map.entries[i].0;
            let Some((first, _)) = map.entries[..i].iter().find(|(k, _)| k.value == key.value)
            else {
                i += 1;
                continue;
            };
            if !cut {
                let line = 1 + self.source[..first.span.start].matches('\n').count();
                let message = format!("key {:?} stands twice in the same map", key.value);
                let finding = Diagnostic::error("yaml::duplicate_key", key.span.clone(), message)
                    .label(format!("already on line {line}"));
                self.findings.push(finding);
            }
            map.entries.remove(i);
        }
    }

    fn put(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(l)) => l.items.push(node),
            Some(Open::Map(m, key)) => match key.take() {
                Some(k) => m.entries.push((k, node)),
                None => match &node {
                    Node::Scalar(s) => {
                        *key = Some(Spanned { value: s.text.clone(), span: s.span.clone() })
                    }
                    other => {
                        let span = other.span();
                        *key = Some(Spanned { value: String::new(), span: span.clone() });
                        self.find("yaml::key", span, "a map key must be a text");
                    }
                },
            },
        }
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

/// End of the character at `at`.
fn next_char(source: &str, at: usize) -> usize {
    source.get(at..).and_then(|s| s.chars().next()).map_or(at, |c| at + c.len_utf8())
}
