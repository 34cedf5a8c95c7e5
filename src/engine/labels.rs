//! Labels: what really happened, held against the alerts of a replay.
//!
//! In: a file of known incidents — NDJSON, CSV, Parquet or Arrow, one incident a row with `rule`, the rule's key columns by
//! their names, `from` or `at` or both, and `to` where it is known — and the alerts as they ended. Out: precision, recall
//! and lead time, in all and by rule.
//! An alert finds an incident of its rule where every key value that the incident names is the alert's, and the alert was
//! firing at some time between `from` and `to`. `at` is when the incident became known by other ways: lead time runs from
//! the moment the engine first knew to there. Alerts that were taken back, or never fired, are not judged.

use std::{collections::BTreeMap, fs::File, io, path::Path, sync::Arc};

use arrow::array::RecordBatch;
use serde_json::{Value, json};

use crate::{
    decode::{Compression, Format, Input, OpenOptions, open},
    model::{
        alert::{Alert, State},
        diagnostic::did_you_mean,
        schema::{Column, ColumnType, FeedSchema},
        secret::Secret,
        time::{DAY_MS, Zone},
        value::value_at,
    },
};

/// An incident without `to` can be found for so long after it became known.
const FOUND_WITHIN_MS: i64 = 30 * DAY_MS;
/// Incidents without an alert that the summary lists.
const MISSED_LISTED_MAX: usize = 100;
/// Columns of a label that are no key columns; rows of a feed need an event time, those of labels have `from` or `at`.
const COLUMNS: [&str; 5] = ["rule", "from", "at", "to", EVENT_TIME];
const EVENT_TIME: &str = "from or at";

/// Why labels cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("labels {path} cannot be read")]
    Read {
        /// The file, as the user named it.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The name tells no format.
    #[error("labels {0} have no known ending, use .ndjson, .csv, .parquet or .arrow")]
    Format(String),
    /// Some rows are not right; all of them, a line each.
    #[error("labels {path}: {}", findings.join("\n  "))]
    Rows {
        /// The file, as the user named it.
        path: String,
        /// `line 3: …`
        findings: Vec<String>,
    },
}

/// What labels can be about: a rule that raises alerts, and its key.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The rule's id.
    pub rule: String,
    /// The names of its key columns.
    pub key: Vec<String>,
}

/// One known incident.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Label {
    line: u64,
    /// Position among the rules.
    rule: usize,
    key: Vec<(String, String)>,
    from_ms: i64,
    to_ms: i64,
    known_ms: i64,
}

/// Known incidents.
#[derive(Debug)]
pub struct Labels {
    rules: Vec<Judged>,
    labels: Vec<Label>,
}

/// How alerts and incidents met, in all or for one rule.
#[derive(Debug, Default, Clone)]
struct Score {
    incidents: u64,
    found: u64,
    alerts: u64,
    right: u64,
    leads_ms: Vec<i64>,
}

impl Labels {
    /// Reads the incidents in `path`; `rules` are those that raise alerts, in the order of the rule set.
    ///
    /// # Errors
    /// [`Error`], with every row that is not right.
    pub fn read(path: &Path, rules: Vec<Judged>, zone: &Zone) -> Result<Self, Error> {
        let shown = || path.display().to_string();
        let failed = |source| Error::Read { path: shown(), source };
        let format = Format::of_path(path).ok_or_else(|| Error::Format(shown()))?;
        let schema = Arc::new(schema(&rules));
        let mut how =
            OpenOptions::new(Arc::clone(&schema), zone.clone(), format, Secret::new([0; 32]));
        how.compression = Compression::of_path(path);
        let file = File::open(path).map_err(failed)?;
        let (mut labels, mut findings) = (Vec::new(), Vec::new());
        for decoded in open(Input::File(file), &how).map_err(failed)? {
            let decoded = decoded.map_err(failed)?;
            findings.extend(decoded.dead.into_iter().map(|d| (d.line, d.message)));
            for (row, line) in decoded.lines.iter().enumerate() {
                match label(&schema, &rules, &decoded.rows, row, *line) {
                    Ok(label) => labels.push(label),
                    Err(message) => findings.push((*line, message)),
                }
            }
        }
        if findings.is_empty() && labels.is_empty() {
            findings.push((1, "there is no incident in the file".to_owned()));
        }
        findings.sort();
        if findings.is_empty() {
            return Ok(Self { rules, labels });
        }
        let findings = findings.into_iter().map(|(line, text)| format!("line {line}: {text}"));
        Err(Error::Rows { path: shown(), findings: findings.collect() })
    }

    /// Holds the alerts against the incidents: `{"incidents", "found", "alerts", "right", "precision", "recall",
    /// "lead_seconds": {"median", "least", "most"}, "rules": {id: the same}, "missed_lines": […]}`. Only rules that have
    /// labels are judged; a ratio over nothing is null.
    #[must_use]
    pub fn judge(&self, alerts: &[&Alert]) -> Value {
        let mut scores: BTreeMap<usize, Score> = BTreeMap::new();
        for label in &self.labels {
            scores.entry(label.rule).or_default().incidents += 1;
        }
        let counts = |a: &&&Alert| {
            matches!(a.state, State::Firing | State::Resolved | State::Suppressed)
                && scores.contains_key(&a.rule)
        };
        let alerts: Vec<&Alert> = alerts.iter().filter(counts).copied().collect();
        for alert in &alerts {
            let score = scores.entry(alert.rule).or_default();
            score.alerts += 1;
            score.right += u64::from(self.labels.iter().any(|l| l.is_found_by(alert)));
        }
        let mut missed = Vec::new();
        for label in &self.labels {
            let score = scores.entry(label.rule).or_default();
            let first = alerts.iter().filter(|a| label.is_found_by(a)).map(|a| a.known.1).min();
            match first {
                Some(known_ms) => {
                    score.found += 1;
                    score.leads_ms.push(label.known_ms - known_ms);
                }
                None => missed.push(label.line),
            }
        }
        let mut all = Score::default();
        for score in scores.values() {
            all.add(score);
        }
        let rules: serde_json::Map<String, Value> =
            scores.iter().map(|(r, s)| (self.rules[*r].rule.clone(), s.to_json())).collect();
        missed.truncate(MISSED_LISTED_MAX);
        let mut out = all.to_json();
        out["rules"] = rules.into();
        out["missed_lines"] = json!(missed);
        out
    }
}

impl Label {
    fn is_found_by(&self, alert: &Alert) -> bool {
        alert.rule == self.rule
            && alert.fired_ms <= self.to_ms
            && alert.resolved_ms.is_none_or(|end| end >= self.from_ms)
            && {
                let have = alert.key.values();
                self.key.iter().all(|(name, want)| have.get(name).is_some_and(|v| text(v) == *want))
            }
    }
}

impl Score {
    fn add(&mut self, other: &Self) {
        self.incidents += other.incidents;
        self.found += other.found;
        self.alerts += other.alerts;
        self.right += other.right;
        self.leads_ms.extend(&other.leads_ms);
    }

    fn to_json(&self) -> Value {
        let ratio = |part: u64, all: u64| match all {
            0 => Value::Null,
            all => json!((part as f64 / all as f64 * 1e4).round() / 1e4),
        };
        let mut leads = self.leads_ms.clone();
        leads.sort_unstable();
        let seconds = |ms: Option<&i64>| ms.map_or(Value::Null, |ms| json!(ms / 1_000));
        json!({
            "incidents": self.incidents,
            "found": self.found,
            "alerts": self.alerts,
            "right": self.right,
            "precision": ratio(self.right, self.alerts),
            "recall": ratio(self.found, self.incidents),
            "lead_seconds": {
                "median": seconds(leads.get(leads.len().saturating_sub(1) / 2)),
                "least": seconds(leads.first()),
                "most": seconds(leads.last()),
            },
        })
    }
}

/// Labels are decoded like the records of a feed with these columns.
fn schema(rules: &[Judged]) -> FeedSchema {
    let mut columns = vec![
        Column { required: true, ..Column::new("rule", ColumnType::Text) },
        Column::new("from", ColumnType::Timestamp),
        Column::new("at", ColumnType::Timestamp),
        Column::new("to", ColumnType::Timestamp),
        Column {
            required: true,
            from: vec!["from".to_owned(), "at".to_owned()],
            ..Column::new(EVENT_TIME, ColumnType::Timestamp)
        },
    ];
    for name in rules.iter().flat_map(|r| &r.key) {
        if !columns.iter().any(|c| c.name == *name) {
            columns.push(Column::new(name, ColumnType::Text));
        }
    }
    FeedSchema::new("labels", columns, 4)
}

fn label(
    schema: &FeedSchema,
    rules: &[Judged],
    rows: &RecordBatch,
    row: usize,
    line: u64,
) -> Result<Label, String> {
    let cell = |name: &str| {
        let column = schema.position(name)?;
        Some(value_at(rows.column(column), row)).filter(|v| !v.is_null())
    };
    let id = cell("rule").map(|v| text(&v)).unwrap_or_default();
    let Some(rule) = rules.iter().position(|r| r.rule == id) else {
        let near = did_you_mean(&id, rules.iter().map(|r| r.rule.as_str()));
        let near = near.map(|n| format!(", did you mean {n:?}?")).unwrap_or_default();
        return Err(format!("there is no rule {id:?}{near}"));
    };
    let own = &rules[rule].key;
    let mut key = Vec::new();
    for column in schema.columns.iter().filter(|c| !COLUMNS.contains(&c.name.as_str())) {
        let Some(value) = cell(&column.name) else { continue };
        if !own.contains(&column.name) {
            let own = own.join(", ");
            return Err(format!("rule {id:?} has no key column {:?}, it has {own}", column.name));
        }
        key.push((column.name.clone(), text(&value)));
    }
    if key.is_empty() && !own.is_empty() {
        let own = own.join(", ");
        return Err(format!("names none of the key columns of rule {id:?}, which are {own}"));
    }
    let at = |name: &str| {
        let column = rows.column(schema.position(name)?);
        let column = column.as_any().downcast_ref::<arrow::array::TimestampMillisecondArray>()?;
        arrow::array::Array::is_valid(column, row).then(|| column.value(row))
    };
    let (from, known) = (at("from"), at("at"));
    let (Some(from_ms), Some(known_ms)) = (from.or(known), known.or(from)) else {
        return Err("has neither from nor at".to_owned());
    };
    let to_ms = at("to").unwrap_or(from_ms.max(known_ms).saturating_add(FOUND_WITHIN_MS));
    if to_ms < from_ms {
        return Err("ends before it begins".to_owned());
    }
    Ok(Label { line, rule, key, from_ms, to_ms, known_ms })
}

/// A value as labels write it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
