//! Reports: findings as people, programs and code hosts read them.
//!
//! In: findings with byte ranges, and the texts they are about. Out: a report with the lines in question (miette), JSON
//! for editors, or SARIF 2.1.0 for code hosts. Lines and columns count from 1, columns in characters.

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use forewarn::model::diagnostic::{Diagnostic, Level};
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, Severity,
    SourceCode, SourceSpan, SpanContents,
};
use serde_json::{Value, json};

/// Columns of a report that goes to no terminal.
const WIDTH: usize = 100;

/// Findings that stop nothing are named up to so many when rules are loaded.
const MENTIONED_MAX: usize = 20;

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// With the lines in question, for people
    Human,
    /// For editors and scripts
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
}

/// The texts findings are about, each read once.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    texts: HashMap<PathBuf, Arc<str>>,
}

impl Sources {
    /// The text of a file; empty where it cannot be read, which has a finding of its own.
    fn text(&mut self, path: &Path) -> Arc<str> {
        let read = || std::fs::read_to_string(path).unwrap_or_default().into();
        Arc::clone(self.texts.entry(path.to_owned()).or_insert_with(read))
    }
}

/// The findings in a format; `files` is how many files were looked at.
pub(crate) fn render(
    findings: &[Diagnostic],
    files: usize,
    format: Format,
    colour: bool,
) -> String {
    let mut sources = Sources::default();
    match format {
        Format::Human => human(findings, files, colour, &mut sources),
        Format::Json => text_of(&json_report(findings, files, &mut sources)),
        Format::Sarif => text_of(&sarif(findings, &mut sources)),
    }
}

fn text_of(value: &Value) -> String {
    format!("{value:#}\n")
}

fn human(findings: &[Diagnostic], files: usize, colour: bool, sources: &mut Sources) -> String {
    let mut out = in_place(findings, colour, sources);
    let _ = writeln!(out, "{}: {}", some(files, "file"), total(findings));
    out
}

/// The findings with the lines in question, and how many there are.
pub(crate) fn places(findings: &[Diagnostic], colour: bool) -> String {
    let mut out = in_place(findings, colour, &mut Sources::default());
    let _ = writeln!(out, "{}", total(findings));
    out
}

/// Says on standard error that there are findings which stop nothing: the first ones, a line each.
pub(crate) fn mention(findings: &[Diagnostic]) {
    if findings.is_empty() {
        return;
    }
    let mut sources = Sources::default();
    let mut out = String::new();
    for d in findings.iter().take(MENTIONED_MAX) {
        let (line, _) = line_column(&sources.text(&d.file), d.span.start);
        let _ = writeln!(out, "warning: {}:{line}: {} [{}]", d.file.display(), d.message, d.code);
    }
    let text = "that do not stop the rules; `forewarn check` shows them in place";
    let _ = writeln!(out, "{} {text}", some(findings.len(), "finding"));
    // Where nobody can be told nothing is lost by going on.
    let _ = io::stderr().write_all(out.as_bytes());
}

fn in_place(findings: &[Diagnostic], colour: bool, sources: &mut Sources) -> String {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH);
    let mut out = String::new();
    for finding in findings {
        let lines =
            Lines { name: finding.file.display().to_string(), text: sources.text(&finding.file) };
        let shown = Shown { finding, lines };
        // Writing to a text cannot fail; a finding that could not be drawn is still told.
        if handler.render_report(&mut out, &shown).is_err() {
            let _ =
                writeln!(out, "{}: {} {}", finding.file.display(), finding.code, finding.message);
        }
        out.push('\n');
    }
    out
}

fn total(findings: &[Diagnostic]) -> String {
    let (errors, warnings) = count(findings);
    format!("{}, {}", some(errors, "error"), some(warnings, "warning"))
}

fn some(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Errors and warnings.
fn count(findings: &[Diagnostic]) -> (usize, usize) {
    let errors = findings.iter().filter(|d| d.level == Level::Error).count();
    (errors, findings.len() - errors)
}

/// The text of a file, of which miette is given the whole lines a finding is about, and no others.
#[derive(Debug)]
struct Lines {
    name: String,
    text: Arc<str>,
}

impl SourceCode for Lines {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text = &*self.text;
        let from = text.floor_char_boundary(span.offset().min(text.len()));
        let to = text.ceil_char_boundary((span.offset() + span.len()).min(text.len()));
        let start = text[..from].rfind('\n').map_or(0, |i| i + 1);
        let end = text[to..].find('\n').map_or(text.len(), |i| to + i);
        let line = text[..start].matches('\n').count();
        let lines = text[start..end].matches('\n').count() + 1;
        // Without context miette asks for the place to print behind the file's name, else for lines to draw.
        let column =
            if lines_before + lines_after == 0 { text[start..from].chars().count() } else { 0 };
        let shown = SourceSpan::new(start.into(), end - start);
        let contents = MietteSpanContents::new_named(
            self.name.clone(),
            &text.as_bytes()[start..end],
            shown,
            line,
            column,
            line + lines,
        );
        Ok(Box::new(contents))
    }
}

/// A finding as miette draws it.
#[derive(Debug)]
struct Shown<'a> {
    finding: &'a Diagnostic,
    lines: Lines,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.finding.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.finding.code))
    }

    fn severity(&self) -> Option<Severity> {
        Some(match self.finding.level {
            Level::Error => Severity::Error,
            Level::Warning => Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.finding.help.as_ref().map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.lines)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.finding.span.clone();
        let label = Some(self.finding.label.clone()).filter(|l| !l.is_empty());
        Some(Box::new(std::iter::once(LabeledSpan::new(label, span.start, span.len()))))
    }
}

/// A place in a text as line and column, both from 1, columns in characters.
pub(crate) fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset.min(text.len()))];
    let line = 1 + before.matches('\n').count();
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    (line, 1 + before[start..].chars().count())
}

fn json_report(findings: &[Diagnostic], files: usize, sources: &mut Sources) -> Value {
    let (errors, warnings) = count(findings);
    let mut one = |d: &Diagnostic| {
        let text = sources.text(&d.file);
        let (line, column) = line_column(&text, d.span.start);
        let (end_line, end_column) = line_column(&text, d.span.end);
        json!({
            "code": d.code,
            "level": level(d),
            "file": d.file.display().to_string(),
            "line": line,
            "column": column,
            "end_line": end_line,
            "end_column": end_column,
            "bytes": [d.span.start, d.span.end],
            "message": d.message,
            "label": d.label,
            "help": d.help,
        })
    };
    let findings: Vec<Value> = findings.iter().map(&mut one).collect();
    json!({"files": files, "errors": errors, "warnings": warnings, "findings": findings})
}

fn level(d: &Diagnostic) -> &'static str {
    match d.level {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}

fn sarif(findings: &[Diagnostic], sources: &mut Sources) -> Value {
    let mut codes: Vec<&str> = findings.iter().map(|d| d.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let mut one = |d: &Diagnostic| {
        let text = sources.text(&d.file);
        let (line, column) = line_column(&text, d.span.start);
        let (end_line, end_column) = line_column(&text, d.span.end);
        let parts = [d.message.as_str(), d.label.as_str(), d.help.as_deref().unwrap_or_default()];
        let message: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        json!({
            "ruleId": d.code,
            "ruleIndex": codes.binary_search(&d.code).unwrap_or_default(),
            "level": level(d),
            "message": {"text": message.join("; ")},
            "locations": [{"physicalLocation": {
                "artifactLocation": {"uri": uri(&d.file)},
                "region": {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column},
            }}],
        })
    };
    let results: Vec<Value> = findings.iter().map(&mut one).collect();
    let rules: Vec<Value> = codes.iter().map(|c| json!({"id": c})).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "forewarn",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// A path as a relative URI: other than plain characters are percent-encoded.
fn uri(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "/");
    let mut out = String::new();
    for byte in text.trim_start_matches("./").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "名: 字\n标题: {zh: 投诉, en: x}\n";
        let at = |word: &str| line_column(text, text.find(word).expect("there"));
        assert_eq!(at("名"), (1, 1));
        assert_eq!(at("字"), (1, 4));
        assert_eq!(at("en"), (2, 14));
        assert_eq!(line_column(text, text.len()), (3, 1));
        assert_eq!(line_column("", 7), (1, 1));
    }

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri(Path::new("./rules/食品/a b.yaml")), "rules/%E9%A3%9F%E5%93%81/a%20b.yaml");
    }
}
