//! Labels: what really happened, read for a score.
//!
//! In: a file of known incidents and the rules that should find them. Out: the incidents, or all rows that are not right.
//! NDJSON lines are those of `truth.ndjson`: `{"rule", "key": {…}, "from", "until", "harm"}`. CSV, Parquet and Arrow have one
//! incident a row: `rule`, the rule's key columns by their names, `from`, `until`, `harm`. An alert finds an incident that it
//! fires within; `until` is 30 days after `from` where it is left out, `harm`, against which lead time is taken, is `until`.
//! A name that no rule has would be an incident that nobody can find, so it is an error.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::array::RecordBatch;
use serde_json::{Map, Value};

use crate::{
    decode::{Compression, Format, Input, OpenOptions, open},
    model::{
        diagnostic::did_you_mean,
        schema::{Column, ColumnType, FeedSchema},
        secret::Secret,
        signal::Key,
        time::{DAY_MS, Zone},
        value::value_at,
    },
    source::demo::incident::Incident,
};

/// Where `until` is left out.
const FOUND_WITHIN_MS: i64 = 30 * DAY_MS;
/// Columns of a table of incidents beside the keys of rules.
const COLUMNS: [&str; 4] = ["rule", "from", "until", "harm"];

/// Why labels cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("labels {path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The name tells no format.
    #[error("labels {0} have no known ending, use .ndjson, .csv, .parquet or .arrow")]
    Format(PathBuf),
    /// Some rows are not right; all of them.
    #[error("labels {path}: {}", findings.join("\n  "))]
    Rows {
        /// The file.
        path: PathBuf,
        /// `line 3: …`
        findings: Vec<String>,
    },
}

/// A rule that may find incidents.
#[derive(Debug, Clone)]
pub struct Finder {
    /// Its id.
    pub rule: String,
    /// The names of its key columns.
    pub key: Vec<String>,
}

/// The incidents in `path`, their keys as [`text_key`] has them.
///
/// # Errors
/// [`Error`], with every row that is not right.
pub fn read(path: &Path, rules: &[Finder], zone: &Zone) -> Result<Vec<Incident>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let format = Format::of_path(path).ok_or_else(|| Error::Format(path.to_owned()))?;
    let found = match format {
        Format::Ndjson => lines(&std::fs::read_to_string(path).map_err(failed)?, rules, zone),
        _ => table(path, format, rules, zone).map_err(failed)?,
    };
    let (mut incidents, mut findings) = (Vec::new(), Vec::new());
    for (line, one) in found {
        match one {
            Ok(incident) => incidents.push(incident),
            Err(why) => findings.push((line, why)),
        }
    }
    if incidents.is_empty() && findings.is_empty() {
        findings.push((1, "there is no incident in the file".to_owned()));
    }
    findings.sort();
    let findings: Vec<String> =
        findings.iter().map(|(n, why)| format!("line {n}: {why}")).collect();
    match findings.is_empty() {
        true => Ok(incidents),
        false => Err(Error::Rows { path: path.to_owned(), findings }),
    }
}

/// A key with every value as text: a table does not tell 1 from "1".
#[must_use]
pub fn text_key(key: &Key) -> Key {
    let text = |value: Value| match value {
        Value::Null | Value::String(_) => value,
        other => Value::String(other.to_string()),
    };
    Key::new(key.values().into_iter().map(|(name, value)| (name, text(value))).collect())
}

type Read = Vec<(u64, Result<Incident, String>)>;

fn lines(text: &str, rules: &[Finder], zone: &Zone) -> Read {
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let one = |line: &str, number: u64| {
        let mut incident =
            Incident::read_all(line, zone).map_err(|e| e.why)?.pop().ok_or("no incident")?;
        if incident.id == "line-1" {
            incident.id = format!("line-{number}");
        }
        incident.key = key(rules, &incident.rule, incident.key.values())?;
        Ok(incident)
    };
    lines.map(|(line, number)| (number, one(line, number))).collect()
}

/// Rows are decoded like the records of a feed.
fn table(path: &Path, format: Format, rules: &[Finder], zone: &Zone) -> io::Result<Read> {
    let schema = Arc::new(schema(rules));
    let mut how = OpenOptions::new(Arc::clone(&schema), zone.clone(), format, Secret::new([0; 32]));
    how.compression = Compression::of_path(path);
    let mut found = Read::new();
    for decoded in open(Input::File(File::open(path)?), &how)? {
        let decoded = decoded?;
        found.extend(decoded.dead.into_iter().map(|d| (d.line, Err(d.message))));
        for (row, line) in decoded.lines.iter().enumerate() {
            found.push((*line, incident(&schema, rules, &decoded.rows, row, *line, zone)));
        }
    }
    Ok(found)
}

fn schema(rules: &[Finder]) -> FeedSchema {
    let mut columns = vec![
        Column { required: true, ..Column::new("rule", ColumnType::Text) },
        Column {
            required: true,
            from: vec!["at".to_owned()],
            ..Column::new("from", ColumnType::Timestamp)
        },
        Column::new("until", ColumnType::Timestamp),
        Column::new("harm", ColumnType::Timestamp),
    ];
    for name in rules.iter().flat_map(|r| &r.key) {
        if !columns.iter().any(|c| c.name == *name) {
            columns.push(Column::new(name, ColumnType::Text));
        }
    }
    FeedSchema::new("labels", columns, 1)
}

fn incident(
    schema: &FeedSchema,
    rules: &[Finder],
    rows: &RecordBatch,
    row: usize,
    line: u64,
    zone: &Zone,
) -> Result<Incident, String> {
    let cell = |i: usize| Some(value_at(rows.column(i), row)).filter(|v| !v.is_null());
    let instant = |i: usize| cell(i).and_then(|v| zone.parse_instant(v.as_str()?));
    let rule = cell(0).and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    let given = schema.columns.iter().enumerate().skip(COLUMNS.len());
    let given = given.filter_map(|(i, c)| Some((c.name.clone(), cell(i)?))).collect();
    let key = key(rules, &rule, given)?;
    let from_ms = instant(1).ok_or("from is missing")?;
    let until_ms = instant(2).unwrap_or(from_ms + FOUND_WITHIN_MS);
    if until_ms <= from_ms {
        return Err("until is not after from".to_owned());
    }
    Ok(Incident {
        id: format!("line-{line}"),
        rule,
        key,
        from_ms,
        until_ms,
        harm_ms: instant(3).unwrap_or(until_ms),
        complete_ms: until_ms,
        title: Default::default(),
        subjects: Vec::new(),
        also: Vec::new(),
    })
}

/// The key of a rule in the rule's order.
fn key(rules: &[Finder], rule: &str, mut given: Map<String, Value>) -> Result<Key, String> {
    let Some(finder) = rules.iter().find(|r| r.rule == rule) else {
        let near = did_you_mean(rule, rules.iter().map(|r| r.rule.as_str()));
        let near = near.map(|n| format!(", did you mean {n:?}?")).unwrap_or_default();
        return Err(format!("there is no rule {rule:?}{near}"));
    };
    let mut values = Map::new();
    for name in &finder.key {
        let value = given.shift_remove(name);
        let value =
            value.ok_or_else(|| format!("has no {name:?}, a key column of rule {rule:?}"))?;
        values.insert(name.clone(), value);
    }
    match given.keys().next() {
        Some(other) => Err(format!(
            "rule {rule:?} has no key column {other:?}, it has {}",
            finder.key.join(", ")
        )),
        None => Ok(text_key(&Key::new(values))),
    }
}
