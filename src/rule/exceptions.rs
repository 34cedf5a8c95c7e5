//! Exceptions from rules: who answers for not being called about a key, why, and until when.
//!
//! In: `exceptions.yaml` beside the rules, so that an urgent exemption does not change a rule that was reviewed. Out:
//! [`ExceptionFile`]s with their places, and for each rule the exceptions that name it, compiled over the rule's key.
//! Alerts they cover are suppressed, not lost (`model::exception`). Every exception ends: within a year of its beginning.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::datatypes::{DataType, Field};
use datafusion::{common::DFSchema, logical_expr::ExprSchemable};

use super::{
    compiled::Compiled,
    expr::Compiler,
    file::RuleFile,
    scope::{Resolved, schema_of},
};
use crate::model::{
    diagnostic::{Diagnostic, Level, did_you_mean},
    exception::{Condition, Exception},
    moment,
    shape::{Field as ShapeField, Shape},
    time::Zone,
    yaml::{Node, Spanned, Sql},
};

/// Name of the file.
const FILE: &str = "exceptions.yaml";
/// Longest exception: what is right for longer belongs into the rule.
const DAYS_MAX: i32 = 366;

const EXCEPTION: Shape = Shape::Map(&[
    ShapeField::required("id", Shape::Text, "What the exception is called, like ex-2026-014."),
    ShapeField::required(
        "rules",
        Shape::OneOrMore(&Shape::Name),
        "The rules it is an exception from.",
    ),
    ShapeField::optional("where", Shape::Sql, "Which keys it covers; every key where left out."),
    ShapeField::required("reason", Shape::Text, "Why nobody needs to be called."),
    ShapeField::required("approved_by", Shape::Text, "Who answers for it."),
    ShapeField::optional("from", Shape::Text, "The first day it holds; from ever where left out."),
    ShapeField::required(
        "until",
        Shape::Text,
        "The first day it holds no longer, a year after from at most.",
    ),
]);

const SHAPE: Shape = Shape::Map(&[ShapeField::required(
    "exceptions",
    Shape::List(&EXCEPTION),
    "Exceptions from rules, each with an end.",
)]);

/// One exception as written.
#[derive(Debug, Clone)]
pub struct ExceptionFile {
    /// `id:`
    pub id: Spanned<String>,
    /// `rules:`
    pub rules: Vec<Spanned<String>>,
    /// `where:`
    pub filter: Option<Sql>,
    /// `reason:`
    pub reason: String,
    /// `approved_by:`
    pub approved_by: String,
    /// `from:`, a day since 1970-01-01.
    pub from: Option<i32>,
    /// `until:`, a day since 1970-01-01.
    pub until: Spanned<i32>,
}

/// The exceptions of one file.
#[derive(Debug, Default)]
pub struct Exceptions {
    /// The file, as the user named it; empty where there is none.
    pub path: PathBuf,
    /// In its order.
    pub all: Vec<ExceptionFile>,
}

/// The files of exceptions met so far.
#[derive(Debug, Default)]
pub(super) struct Cache {
    by_path: HashMap<PathBuf, Arc<Exceptions>>,
    /// What is wrong with their structure.
    pub(super) findings: Vec<Diagnostic>,
}

impl Cache {
    /// The exceptions of a rule file: those of the nearest `exceptions.yaml` beside or above it.
    pub(super) fn of(&mut self, rule: &Path) -> Arc<Exceptions> {
        let files = rule.ancestors().skip(1).take(3).map(|dir| dir.join(FILE));
        let Some(path) = files.into_iter().find(|p| p.is_file()) else { return Arc::default() };
        if let Some(known) = self.by_path.get(&path) {
            return known.clone();
        }
        let (all, found) = match fs::read_to_string(&path) {
            Ok(source) => read(&source),
            Err(e) => {
                let message = format!("cannot be read: {e}");
                (Vec::new(), vec![Diagnostic::error("exception::unreadable", 0..0, message)])
            }
        };
        self.findings.extend(found.into_iter().map(|d| Diagnostic { file: path.clone(), ..d }));
        let exceptions = Arc::new(Exceptions { path: path.clone(), all });
        self.by_path.entry(path).or_insert(exceptions).clone()
    }
}

/// The exceptions in a text, and the findings about their structure.
fn read(source: &str) -> (Vec<ExceptionFile>, Vec<Diagnostic>) {
    let root = match Node::parse(source) {
        Ok(root) => root,
        Err(findings) => return (Vec::new(), findings),
    };
    let mut findings = SHAPE.check(&root);
    if findings.iter().any(|d| d.level == Level::Error) {
        return (Vec::new(), findings);
    }
    let mut ids = HashSet::new();
    let mut all = Vec::new();
    for node in root.get("exceptions").map_or(&[][..], Node::items) {
        all.extend(one(node, &mut ids, &mut findings));
    }
    (all, findings)
}

fn one(
    node: &Node,
    ids: &mut HashSet<String>,
    findings: &mut Vec<Diagnostic>,
) -> Option<ExceptionFile> {
    let text = |name: &str| node.get(name).and_then(Node::text);
    let (id, reason, approved_by) = (text("id")?, text("reason")?, text("approved_by")?);
    let mut day = |name: &str| {
        let written = text(name)?;
        let day = moment::day(&written.value, &[], &Zone::utc());
        if day.is_none() {
            let message = format!("{name} {:?} is no day", written.value);
            let finding = Diagnostic::error("exception::bad_day", written.span.clone(), message);
            findings.push(finding.label("write it like 2026-12-01"));
        }
        Some(Spanned { value: day?, span: written.span })
    };
    let (from, until) = (day("from"), day("until")?);
    let days = from.as_ref().map(|from| until.value.saturating_sub(from.value));
    let mut find = |code, at, message: String, label: &str| {
        findings.push(Diagnostic::error(code, at, message).label(label));
    };
    if days.is_some_and(|days| days <= 0) {
        let message = format!("exception {:?} ends before it begins", id.value);
        find("exception::bad_day", until.span.clone(), message, "the first day it holds no longer");
    }
    if days.is_some_and(|days| days > DAYS_MAX) {
        let message = format!("exception {:?} lasts longer than a year", id.value);
        let label = "renew it after a year, or change the rule";
        find("exception::too_long", until.span.clone(), message, label);
    }
    if !ids.insert(id.value.clone()) {
        let message = format!("there are two exceptions {:?}", id.value);
        find("exception::same_id", id.span.clone(), message, "alerts tell it by its id");
    }
    Some(ExceptionFile {
        id,
        rules: node.get("rules").map(Node::texts).unwrap_or_default(),
        filter: node.get("where").and_then(Node::sql),
        reason: reason.value,
        approved_by: approved_by.value,
        from: from.map(|f| f.value),
        until,
    })
}

/// What is wrong with exceptions from rules that are not there.
pub(super) fn unknown_rules(exceptions: &Exceptions, ids: &[&str]) -> Vec<Diagnostic> {
    let named = exceptions.all.iter().flat_map(|e| &e.rules);
    let unknown = named.filter(|rule| !ids.contains(&rule.value.as_str()));
    let finding = |rule: &Spanned<String>| {
        let message = format!("there is no rule {:?}", rule.value);
        let near = did_you_mean(&rule.value, ids.iter().copied());
        let label = near.map_or(String::new(), |near| format!("did you mean {near:?}?"));
        let finding = Diagnostic::error("exception::unknown_rule", rule.span.clone(), message);
        Diagnostic { file: exceptions.path.clone(), ..finding.label(label) }
    };
    unknown.map(finding).collect()
}

/// The exceptions from a rule, compiled over its key; days are those of the zone.
///
/// # Errors
/// What is wrong with their conditions, in the file of the exceptions.
pub(super) fn of_rule(
    compiler: &Compiler,
    rule: &RuleFile,
    resolved: &Resolved,
    zone: &Zone,
) -> Result<Vec<Exception>, Vec<Diagnostic>> {
    let (mut out, mut findings) = (Vec::new(), Vec::new());
    let key = key_schema(rule, resolved);
    let names_it = |e: &&ExceptionFile| e.rules.iter().any(|r| r.value == rule.id.value);
    for exception in rule.exceptions.all.iter().filter(names_it) {
        let condition = match &exception.filter {
            None => None,
            Some(sql) => {
                let bound = compiler.boolean(sql, &key, &[]).and_then(|e| {
                    let refused =
                        |m| vec![Diagnostic::error("rule::type_mismatch", sql.span.clone(), m)];
                    Compiled::bind(compiler, &e, &key, &[]).map_err(refused)
                });
                match bound {
                    Ok(expression) => {
                        Some(Condition { schema: Arc::new(key.as_arrow().clone()), expression })
                    }
                    Err(found) => {
                        findings.extend(found.into_iter().map(|d| {
                            let message = format!(
                                "{} (the key of rule {:?} is asked)",
                                d.message, rule.id.value
                            );
                            Diagnostic { file: rule.exceptions.path.clone(), message, ..d }
                        }));
                        continue;
                    }
                }
            }
        };
        out.push(Exception {
            id: exception.id.value.as_str().into(),
            from_ms: exception.from.map_or(i64::MIN, |day| zone.day_start(day)),
            until_ms: zone.day_start(exception.until.value),
            condition,
        });
    }
    if findings.is_empty() { Ok(out) } else { Err(findings) }
}

/// The columns of a rule's key, as an alert shows their values.
fn key_schema(rule: &RuleFile, resolved: &Resolved) -> DFSchema {
    let columns = rule.key.iter().zip(&resolved.key);
    let field = |(column, expr): (&super::file::KeyColumn, &Option<_>)| {
        let kind = expr
            .as_ref()
            .and_then(|e: &datafusion::logical_expr::Expr| e.get_type(&resolved.rows).ok());
        let shown = match kind {
            Some(kind) if kind.is_integer() => DataType::Int64,
            Some(kind) if kind.is_floating() => DataType::Float64,
            Some(DataType::Boolean) => DataType::Boolean,
            _ => DataType::Utf8,
        };
        Field::new(&column.name, shown, true)
    };
    schema_of(columns.map(field).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_has_its_place() {
        let source = "exceptions:
  - {id: a, rules: [r], reason: x, approved_by: y, from: 2026-01-01, until: 2026-02-01}
  - {id: a, rules: r, reason: x, approved_by: y, until: 明天}
  - {id: a, rules: [r], reason: x, approved_by: y, from: 2026-01-01, until: 2028-02-01}
  - {id: b, rules: [r], reason: x, approved_by: y, from: 2026-01-02, until: 2026-01-01}
";
        let (all, findings) = read(source);
        assert_eq!(all.len(), 3);
        let found: Vec<_> =
            findings.iter().map(|d| format!("{} {}", d.code, &source[d.span.clone()])).collect();
        assert_eq!(
            found,
            [
                "exception::bad_day 明天",
                "exception::too_long 2028-02-01",
                "exception::same_id a",
                "exception::bad_day 2026-01-01",
            ]
        );
        let (none, findings) =
            read("exceptions:\n  - {id: a, rules: [r], reason: x, approved_by: y}\n");
        assert!(none.is_empty());
        assert_eq!(findings.iter().map(|d| d.code).collect::<Vec<_>>(), ["yaml::missing_field"]);
    }
}
