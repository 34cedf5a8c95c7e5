//! What a list says beside its values: further columns, for rules that join it.
//!
//! In: the rows of a list's file. Out: a [`Table`] of their columns, and what is wrong with their cells. A column is text
//! unless its header says otherwise, `period_days:int`; Parquet files bring their types. Codes look like numbers, so nothing
//! is guessed.

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array, new_null_array},
    compute::{cast, concat, take},
    datatypes::{DataType, TimeUnit},
};

use super::{List, read::DAYS};
use crate::model::{
    diagnostic::{Diagnostic, did_you_mean},
    moment,
    schema::ColumnType,
    time::Zone,
};

/// Types that a header can name.
const TYPES: [(&str, ColumnType); 5] = [
    ("text", ColumnType::Text),
    ("int", ColumnType::Int),
    ("float", ColumnType::Float),
    ("bool", ColumnType::Bool),
    ("date", ColumnType::Date),
];

/// The columns of a list but for the first and the days.
#[derive(Debug, Default)]
pub struct Table {
    /// The first column: what rows are looked up by.
    pub key: String,
    /// Names and types, in the file's order.
    pub columns: Vec<(String, ColumnType)>,
    /// By column: the value of each row of the file.
    values: Vec<ArrayRef>,
}

impl Table {
    /// The columns of a file's rows; a finding's span is the number of its row, from one, zero for the header.
    pub(super) fn read(batches: &[RecordBatch], findings: &mut Vec<Diagnostic>) -> Self {
        let Some(schema) = batches.first().map(RecordBatch::schema) else { return Self::default() };
        let key = schema.fields().first().map(|f| f.name().clone()).unwrap_or_default();
        let mut table = Self { key, ..Self::default() };
        for (i, field) in schema.fields().iter().enumerate().skip(1) {
            if DAYS.contains(&field.name().as_str()) {
                continue;
            }
            let Some((name, kind)) = declared(field.name(), field.data_type(), findings) else {
                continue;
            };
            if name == table.key || table.columns.iter().any(|(n, _)| *n == name) {
                let message = format!("two columns are called {name:?}");
                findings.push(Diagnostic::error("list::twice", 0..0, message));
                continue;
            }
            let parts: Vec<ArrayRef> = batches.iter().map(|b| b.column(i).clone()).collect();
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            let Ok(column) = concat(&parts) else { continue };
            table.values.push(converted(&column, &name, kind, findings));
            table.columns.push((name, kind));
        }
        table
    }

    /// Position of the column named `name`.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(n, _)| n == name)
    }

    /// The values of a column in these rows of the file; NULL for no row.
    #[must_use]
    pub fn take(&self, column: usize, rows: &UInt32Array) -> ArrayRef {
        let values = &self.values[column];
        take(values, rows, None).unwrap_or_else(|_| new_null_array(values.data_type(), rows.len()))
    }

    /// Everything the columns say, for the version of the list.
    pub(super) fn content(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for ((name, kind), values) in self.columns.iter().zip(&self.values) {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(kind.word().as_bytes());
            for hash in crate::model::hash::hash_column(values) {
                out.extend_from_slice(&hash.to_le_bytes());
            }
        }
        out
    }
}

impl List {
    /// The row of the file that holds of a value on a day; on any day where none is given. Of rows that hold at once, which
    /// [`Self::ambiguous`] tells, the last.
    #[must_use]
    pub fn row(&self, value: &str, day: Option<i32>) -> Option<u32> {
        let stays = self.stays.get(value)?;
        let holds = |s: &&super::Stay| day.is_none_or(|day| (s.from..s.to).contains(&day));
        stays.iter().rev().find(holds).map(|s| s.row)
    }

    /// A value of which two rows hold on one day, if there is any: the least.
    #[must_use]
    pub fn ambiguous(&self) -> Option<&str> {
        let at_once = |stays: &[super::Stay]| stays.windows(2).any(|s| s[1].from < s[0].to);
        let all = self.stays.iter().filter(|(_, stays)| at_once(stays));
        all.map(|(value, _)| &**value).min()
    }
}

/// Name and type of a column: `period_days:int`, or the type of the file.
fn declared(
    header: &str,
    stored: &DataType,
    findings: &mut Vec<Diagnostic>,
) -> Option<(String, ColumnType)> {
    let Some((name, word)) = header.split_once(':') else {
        return Some((header.to_owned(), stored_type(stored)));
    };
    let (name, word) = (name.trim(), word.trim());
    if let Some((_, kind)) = TYPES.iter().find(|(w, _)| *w == word) {
        return Some((name.to_owned(), *kind));
    }
    let words = TYPES.iter().map(|(w, _)| *w);
    let label = match did_you_mean(word, words) {
        Some(near) => format!("did you mean {name}:{near}?"),
        None => "there are text, int, float, bool and date".to_owned(),
    };
    let message = format!("column {name:?} has no type {word:?}");
    findings.push(Diagnostic::error("list::bad_type", 0..0, message).label(label));
    None
}

fn stored_type(stored: &DataType) -> ColumnType {
    match stored {
        DataType::Boolean => ColumnType::Bool,
        DataType::Date32 | DataType::Date64 => ColumnType::Date,
        DataType::Timestamp(..) => ColumnType::Timestamp,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => ColumnType::Float,
        DataType::Decimal128(..) | DataType::Decimal256(..) => ColumnType::Float,
        kind if kind.is_integer() => ColumnType::Int,
        _ => ColumnType::Text,
    }
}

/// The column in its type; an empty cell is NULL, one that cannot be read a finding.
fn converted(
    column: &ArrayRef,
    name: &str,
    kind: ColumnType,
    findings: &mut Vec<Diagnostic>,
) -> ArrayRef {
    let wanted = match kind {
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        kind => kind.arrow(),
    };
    let Some(texts) = column.as_string_opt::<i32>() else {
        return cast(column, &wanted).unwrap_or_else(|_| new_null_array(&wanted, column.len()));
    };
    let trimmed: StringArray =
        texts.iter().map(|t| t.map(str::trim).filter(|t| !t.is_empty())).collect();
    if kind == ColumnType::Text {
        return std::sync::Arc::new(trimmed);
    }
    let zone = Zone::utc();
    let read = |text: &str| match kind {
        ColumnType::Int => text.parse::<i64>().is_ok(),
        ColumnType::Float => text.parse::<f64>().is_ok_and(f64::is_finite),
        ColumnType::Bool => matches!(text, "true" | "false"),
        _ => moment::day(text, &[], &zone).is_some(),
    };
    for (row, text) in trimmed.iter().enumerate() {
        if let Some(text) = text.filter(|t| !read(t)) {
            let message = format!("column {name:?}: {text:?} is no {}", kind.word());
            let label = match kind {
                ColumnType::Date => "write it like 2026-03-01",
                ColumnType::Bool => "write true or false",
                _ => "leave the cell empty where nothing is known",
            };
            findings
                .push(Diagnostic::error("list::bad_value", row + 1..row + 1, message).label(label));
        }
    }
    match kind {
        ColumnType::Date => {
            let days = trimmed.iter().map(|t| t.and_then(|t| moment::day(t, &[], &zone)));
            std::sync::Arc::new(days.collect::<arrow::array::Date32Array>())
        }
        _ => cast(&trimmed, &wanted).unwrap_or_else(|_| new_null_array(&wanted, trimmed.len())),
    }
}
