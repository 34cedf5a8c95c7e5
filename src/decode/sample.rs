//! Sample: the first records of a source as plain texts, before anybody has described it.
//!
//! For `feed infer`. Nothing is refused but what is no record at all; such records are counted.

use std::io;

use arrow::{
    array::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use serde_json::Value;

use super::{
    Compression, Format, Input,
    cell::trim,
    chunk::{CHUNK_BYTES, ChunkOptions, Chunks},
    csv, open,
};
use crate::model::schema::Encoding;

/// Longest record that is looked at, in bytes.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// The first records of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// Names of the fields, in the order they first appear.
    pub headings: Vec<String>,
    /// Records, by heading; a field that is not there, null or blank is `None`, a list is joined by `;`.
    pub rows: Vec<Vec<Option<String>>>,
    /// Records that could not be read.
    pub unreadable: usize,
}

impl Sample {
    fn place(&mut self, heading: &str) -> usize {
        let found = self.headings.iter().position(|h| h == heading);
        found.unwrap_or_else(|| {
            self.headings.push(heading.to_owned());
            self.headings.len() - 1
        })
    }

    fn push<'a>(&mut self, fields: impl Iterator<Item = (&'a str, Option<String>)>) {
        let mut row = Vec::new();
        for (heading, value) in fields {
            let place = self.place(heading);
            row.resize(row.len().max(place + 1), None);
            row[place] = value.map(|v| trim(&v).to_owned()).filter(|v| !v.is_empty());
        }
        self.rows.push(row);
    }

    /// Every row as long as there are headings.
    fn squared(mut self) -> Self {
        for row in &mut self.rows {
            row.resize(self.headings.len(), None);
        }
        self
    }
}

/// Reads up to `rows_max` records.
///
/// # Errors
/// When reading fails, or a columnar source is none.
pub fn sample(
    input: Input,
    format: Format,
    compression: Compression,
    encoding: Encoding,
    rows_max: usize,
) -> io::Result<Sample> {
    let input = compression.open(input)?;
    let mut sample = Sample::default();
    if !format.is_text() {
        for batch in open::batches(format, input, |_| true)? {
            take_batch(&mut sample, &batch?, rows_max);
            if sample.rows.len() >= rows_max {
                break;
            }
        }
        return Ok(sample.squared());
    }
    let options = ChunkOptions {
        csv: format == Format::Csv,
        encoding,
        chunk_bytes: CHUNK_BYTES,
        record_bytes_max: RECORD_BYTES_MAX,
        eager: false,
    };
    let mut header = None;
    for chunk in Chunks::new(input.reader(), options) {
        let chunk = chunk?;
        match format {
            Format::Csv => take_csv(&mut sample, &mut header, &chunk, rows_max),
            _ => take_ndjson(&mut sample, &chunk, rows_max),
        }
        if sample.rows.len() >= rows_max {
            break;
        }
    }
    Ok(sample.squared())
}

fn take_ndjson(sample: &mut Sample, chunk: &[u8], rows_max: usize) {
    for line in chunk.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()) {
        if sample.rows.len() >= rows_max {
            return;
        }
        match serde_json::from_slice(line) {
            Ok(Value::Object(object)) => {
                sample.push(object.iter().map(|(name, value)| (name.as_str(), text_of(value))));
            }
            _ => sample.unreadable += 1,
        }
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().filter_map(text_of).collect::<Vec<_>>().join(";")),
        other => Some(other.to_string()),
    }
}

/// The separator and the headings.
type Header = (u8, Vec<String>);

fn take_csv(sample: &mut Sample, header: &mut Option<Header>, chunk: &[u8], rows_max: usize) {
    let mut from = 0;
    while from < chunk.len() && sample.rows.len() < rows_max {
        let line = chunk[from..].split(|b| *b == b'\n').next().unwrap_or_default();
        let delimiter = header.as_ref().map_or_else(|| csv::delimiter_of(line), |(d, _)| *d);
        let next = csv::next_record(chunk, from, delimiter, RECORD_BYTES_MAX, true);
        let (csv::Next::Whole(end) | csv::Next::Cut(end)) = next else { return };
        let record = String::from_utf8_lossy(&chunk[from..end]).into_owned();
        from = end;
        if record.trim().is_empty() {
            continue;
        }
        let mut fields = Vec::new();
        let read = csv::fields(&record, delimiter, |_, field| fields.push(field.into_owned()));
        match header {
            None => {
                let names: Vec<String> = fields.iter().map(|f| trim(f).to_owned()).collect();
                sample.headings.clone_from(&names);
                *header = Some((delimiter, names));
            }
            Some((_, names)) if read.is_ok() && fields.len() >= names.len() => {
                let named = names.iter().map(String::as_str).zip(fields.into_iter().map(Some));
                sample.push(named.filter(|(name, _)| !name.is_empty()));
            }
            Some(_) => sample.unreadable += 1,
        }
    }
}

fn take_batch(sample: &mut Sample, batch: &RecordBatch, rows_max: usize) {
    let options = FormatOptions::new();
    let schema = batch.schema();
    let columns: Vec<_> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .filter_map(|(f, a)| {
            Some((f.name().as_str(), a, ArrayFormatter::try_new(a, &options).ok()?))
        })
        .collect();
    for row in 0..batch.num_rows().min(rows_max - sample.rows.len().min(rows_max)) {
        sample.push(columns.iter().map(|(name, array, formatter)| {
            let value = array.is_valid(row).then(|| formatter.value(row).to_string());
            let list = value.map(|v| match v.strip_prefix('[').and_then(|v| v.strip_suffix(']')) {
                Some(inner) => inner.replace(", ", ";"),
                None => v,
            });
            (*name, list)
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(format: Format, text: &str, rows_max: usize) -> (Vec<String>, Vec<String>, usize) {
        let input = Input::Bytes(text.as_bytes().to_vec());
        let sample = sample(input, format, Compression::None, Encoding::Auto, rows_max).unwrap();
        let row = |row: &Vec<Option<String>>| {
            row.iter().map(|v| v.as_deref().unwrap_or("∅")).collect::<Vec<_>>().join("|")
        };
        (sample.headings.clone(), sample.rows.iter().map(row).collect(), sample.unreadable)
    }

    #[test]
    fn samples() {
        let headings = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            told(Format::Csv, "编号,名称 ,\n1,\"a\n,b\",x\n2,,\n3\n4,d,\n", 3),
            (
                headings(&["编号", "名称", ""]),
                vec!["1|a\n,b|∅".into(), "2|∅|∅".into(), "4|d|∅".into()],
                1
            )
        );
        assert_eq!(
            told(Format::Ndjson, "{\"b\":1,\"a\":[\"x\",2]}\nnope\n{\"c\":true,\"a\":null}\n", 10),
            (headings(&["b", "a", "c"]), vec!["1|x;2|∅".into(), "∅|∅|true".into()], 1)
        );
        assert_eq!(told(Format::Csv, "", 3), (Vec::new(), Vec::new(), 0));
    }
}
