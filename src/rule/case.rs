//! A test in a file of its own, `<id>.<case>.ndjson` beside `<id>.yaml`: for cases too large for the rule's file.
//!
//! In: the text of the file, one JSON object a line. Out: the same [`TestCase`] as an entry of `tests:`, or all findings.
//! `{"given": "complaints", "at": …}` is a record of that feed, with the words and columns that rows have in `tests:`;
//! `{"expect": {…}}` is an alert that must come, and no other may; `{"until": "2026-03-08"}` stands once, with a
//! `"name"` beside it where the one in the file's name does not do.

use std::{ops::Range, path::Path, sync::Arc};

use serde_json::{Map, Value};

use super::file::{Rows, TestCase};
use crate::model::{diagnostic::Diagnostic, yaml::Spanned};

/// The case's name in a file name: `surge` in `complaint_surge.surge.ndjson` beside `complaint_surge.yaml`.
pub(super) fn name_of<'a>(rule: &str, file: &'a str) -> Option<&'a str> {
    let name = file.strip_prefix(rule)?.strip_prefix('.')?.strip_suffix(".ndjson")?;
    (!name.is_empty()).then_some(name)
}

/// Reads the case named `name` from the text of its file.
pub(super) fn read(path: &Path, source: &str, name: &str) -> Result<TestCase, Vec<Diagnostic>> {
    let mut reader = Reader::default();
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        let text = line.trim();
        let from = start + (line.len() - line.trim_start().len());
        if !text.is_empty() {
            reader.line(text, from..from + text.len());
        }
        start += line.len();
    }
    let Reader { mut findings, given, expect, until, name: named } = reader;
    let until = until.unwrap_or_else(|| {
        let message = "a test needs one line {\"until\": \"2026-03-08\"}".to_owned();
        findings.push(Diagnostic::error("test::no_until", 0..0, message));
        Spanned { value: String::new(), span: 0..0 }
    });
    if !findings.is_empty() {
        let at = |d| Diagnostic { file: path.to_owned(), ..d };
        return Err(findings.into_iter().map(at).collect());
    }
    let name = named.unwrap_or(Spanned { value: name.to_owned(), span: until.span.clone() });
    Ok(TestCase { path: path.to_owned(), source: Arc::from(source), name, given, until, expect })
}

#[derive(Default)]
struct Reader {
    findings: Vec<Diagnostic>,
    given: Vec<(Spanned<String>, Rows)>,
    expect: Rows,
    until: Option<Spanned<String>>,
    name: Option<Spanned<String>>,
}

impl Reader {
    fn line(&mut self, text: &str, span: Range<usize>) {
        match serde_json::from_str::<Map<String, Value>>(text) {
            Ok(line) => {
                if let Err(message) = self.take(line, &span) {
                    self.findings.push(Diagnostic::error("test::bad_line", span, message));
                }
            }
            Err(error) => {
                let message = format!("not a JSON object: {error}");
                self.findings.push(Diagnostic::error("test::bad_line", span, message));
            }
        }
    }

    fn take(&mut self, mut line: Map<String, Value>, span: &Range<usize>) -> Result<(), String> {
        let text = |value: Value, word: &str| match value {
            Value::String(text) => Ok(Spanned { value: text, span: span.clone() }),
            other => Err(format!("{word} is {other}, write a text")),
        };
        if let Some(feed) = line.shift_remove("given") {
            let feed = text(feed, "given")?;
            let row = Spanned { value: line, span: span.clone() };
            match self.given.iter_mut().find(|(name, _)| name.value == feed.value) {
                Some((_, rows)) => rows.push(row),
                None => self.given.push((feed, vec![row])),
            }
            return Ok(());
        }
        let alone = |line: &Map<String, Value>, known: &str| match line.keys().next() {
            Some(other) => Err(format!("{other:?} has no place here, only {known}")),
            None => Ok(()),
        };
        if let Some(expect) = line.shift_remove("expect") {
            alone(&line, "expect")?;
            let Value::Object(value) = expect else {
                return Err(format!("expect is {expect}, write one alert as an object"));
            };
            self.expect.push(Spanned { value, span: span.clone() });
            return Ok(());
        }
        let Some(until) = line.shift_remove("until") else {
            return Err("has none of given, expect and until".to_owned());
        };
        if self.until.is_some() {
            return Err("until stands in an earlier line already".to_owned());
        }
        self.until = Some(text(until, "until")?);
        self.name = line.shift_remove("name").map(|name| text(name, "name")).transpose()?;
        alone(&line, "name and until")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_a_test() {
        let source = "{\"name\": \"十人\", \"until\": \"2026-03-08\"}\n\n\
                      {\"given\": \"complaints\", \"at\": \"2026-03-02\", \"ucc\": \"$A\"}\n  \
                      {\"given\": \"sampling\", \"at\": \"2026-03-03\"}\n\
                      {\"given\": \"complaints\", \"at\": \"2026-03-04\"}\n\
                      {\"expect\": {\"rule\": \"r\"}}";
        let case = read(Path::new("r.ten.ndjson"), source, "ten").expect("read");
        assert_eq!((case.name.value.as_str(), case.until.value.as_str()), ("十人", "2026-03-08"));
        let given: Vec<_> = case.given.iter().map(|(f, r)| (f.value.as_str(), r.len())).collect();
        assert_eq!(given, [("complaints", 2), ("sampling", 1)]);
        let row = &case.given[1].1[0];
        assert_eq!(&source[row.span.clone()], "{\"given\": \"sampling\", \"at\": \"2026-03-03\"}");
        assert!(!row.value.contains_key("given"));
        assert_eq!(case.expect.len(), 1);
        let case = read(Path::new("r.ten.ndjson"), "{\"until\": \"2026-03-08\"}", "ten");
        assert_eq!(case.expect("read").name.value, "ten");
    }

    #[test]
    fn every_wrong_line_is_named() {
        for (line, message) in [
            ("[1]", "not a JSON object: invalid type: sequence"),
            ("{\"given\": 1}", "given is 1, write a text"),
            ("{\"expect\": []}", "expect is [], write one alert as an object"),
            ("{\"expect\": {}, \"at\": 1}", "\"at\" has no place here, only expect"),
            ("{\"at\": \"2026-03-02\"}", "has none of given, expect and until"),
            ("{\"until\": \"2026-03-09\"}", "until stands in an earlier line already"),
        ] {
            let source = format!("{{\"until\": \"2026-03-08\"}}\n{line}\n");
            let findings = read(Path::new("r.ten.ndjson"), &source, "ten").expect_err(line);
            assert_eq!(findings.len(), 1, "{line}");
            assert!(findings[0].message.starts_with(message), "{}", findings[0].message);
            assert_eq!(&source[findings[0].span.clone()], line);
        }
        let findings = read(Path::new("r.ten.ndjson"), "", "ten").expect_err("empty");
        assert_eq!(
            (findings[0].code, findings[0].file.to_str()),
            ("test::no_until", Some("r.ten.ndjson"))
        );
    }

    #[test]
    fn names() {
        for (file, name) in [
            ("surge.big.ndjson", Some("big")),
            ("surge.a.b.ndjson", Some("a.b")),
            ("surge.ndjson", None),
            ("surge..ndjson", None),
            ("surge_2.big.ndjson", None),
            ("surge.big.json", None),
        ] {
            assert_eq!(name_of("surge", file), name, "{file}");
        }
    }
}
