//! Text formats: a chunk of whole records → rows and dead letters.
//!
//! In: UTF-8 bytes that begin and end at a record. Out: [`Decoded`]. One bad record costs only itself, whatever it is:
//! foreign bytes, a NUL, too long, not closed, a bad value. What carries over from chunk to chunk is the line number
//! and, for CSV, the header.

use std::{borrow::Cow, ops::Range};

use memchr::{memchr, memchr_iter};

use crate::model::batch::{DeadClass, Decoded};

use super::{
    cell::{Cell, Record, Target, trim},
    convert::Value,
    csv,
    json::{self, Keys},
    rows::{Plan, Rows},
};

/// How much of a record that is too long its dead letter keeps, in bytes.
pub(crate) const TOO_LONG_KEPT_BYTES: usize = 4_096;

/// Bytes of a record that are assumed when room for rows is made.
const RECORD_BYTES_GUESS: usize = 200;

/// What carries over from chunk to chunk.
#[derive(Debug, Default)]
pub(crate) struct TextState {
    /// Physical lines read so far.
    line: u64,
    keys: Keys,
    header: Option<Header>,
}

/// The header of a CSV source.
#[derive(Debug)]
struct Header {
    /// The bytes of its line, for dead letters.
    raw: Vec<u8>,
    delimiter: u8,
    targets: Vec<Vec<Target>>,
}

/// The text of a chunk, checked once as a whole, else record by record.
struct Text<'a> {
    bytes: &'a [u8],
    valid: Option<&'a str>,
    has_nul: bool,
}

impl<'a> Text<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let has_nul = memchr(0, bytes).is_some();
        Self { bytes, valid: simdutf8::basic::from_utf8(bytes).ok(), has_nul }
    }

    /// The text of a record, or why it is none.
    #[inline]
    fn record(&self, range: &Range<usize>) -> Result<&'a str, (DeadClass, String)> {
        if self.has_nul && memchr(0, &self.bytes[range.clone()]).is_some() {
            return Err((DeadClass::Syntax, "the record holds a NUL byte".into()));
        }
        if let Some(text) = self.valid {
            return Ok(&text[range.clone()]);
        }
        std::str::from_utf8(&self.bytes[range.clone()]).map_err(|e| {
            let at = e.valid_up_to() + 1;
            (
                DeadClass::Encoding,
                format!("byte {at} of the record is not text in the declared encoding"),
            )
        })
    }
}

/// Decodes a chunk of NDJSON.
pub(crate) fn ndjson(plan: &Plan, state: &mut TextState, chunk: Vec<u8>) -> Decoded {
    let mut rows = Rows::new(plan, chunk.len() / RECORD_BYTES_GUESS + 1);
    let text = Text::new(&chunk);
    let mut record = Record::new(plan.schema.columns.len());
    let mut values = Vec::with_capacity(plan.schema.columns.len());
    let start = bom(&chunk, state.line);
    let ends = memchr_iter(b'\n', &chunk).chain((!chunk.ends_with(b"\n")).then_some(chunk.len()));
    let mut from = start;
    for end in ends {
        let range = from..end;
        from = end + 1;
        if range.start >= range.end {
            state.line += u64::from(end < chunk.len());
            continue;
        }
        state.line += 1;
        if let Err((class, message)) = ndjson_line(
            plan,
            &mut state.keys,
            &text,
            &range,
            &mut record,
            &mut values,
            &mut rows,
            state.line,
        ) {
            rows.bury(state.line, class, message, kept(&chunk[range], class, plan).to_vec());
        }
    }
    rows.finish(Some((chunk, Vec::new())))
}

#[expect(
    clippy::too_many_arguments,
    reason = "the scratch space of the loop above, kept out of it for `?`"
)]
#[inline]
fn ndjson_line<'a>(
    plan: &Plan,
    keys: &mut Keys,
    text: &Text<'a>,
    range: &Range<usize>,
    record: &mut Record<'a>,
    values: &mut Vec<Value<'a>>,
    rows: &mut Rows<'_>,
    line: u64,
) -> Result<(), (DeadClass, String)> {
    within(range, plan.schema.record_bytes_max)?;
    let source = text.record(range)?;
    if source.trim_ascii().is_empty() {
        return Ok(());
    }
    record.clear();
    json::read(source, &plan.fields, keys, record).map_err(|s| {
        (DeadClass::Syntax, format!("{}, at byte {} of the line", s.what, s.at + 1))
    })?;
    rows.push(record, values, line, range).map_err(|r| (r.class, r.message))
}

/// Decodes a chunk of CSV; the first record ever seen is the header.
pub(crate) fn csv(plan: &Plan, state: &mut TextState, chunk: Vec<u8>) -> Decoded {
    let mut rows = Rows::new(plan, chunk.len() / RECORD_BYTES_GUESS + 1);
    let text = Text::new(&chunk);
    let mut record = Record::new(plan.schema.columns.len());
    let mut values = Vec::with_capacity(plan.schema.columns.len());
    let max = plan.schema.record_bytes_max;
    let mut from = bom(&chunk, state.line);
    while from < chunk.len() {
        let delimiter = state.header.as_ref().map_or_else(
            || {
                csv::delimiter_of(
                    &chunk[from..memchr(b'\n', &chunk[from..]).map_or(chunk.len(), |n| from + n)],
                )
            },
            |h| h.delimiter,
        );
        let (csv::Next::Whole(end) | csv::Next::Cut(end)) =
            csv::next_record(&chunk, from, delimiter, max, true)
        else {
            break;
        };
        let whole = from..end;
        let range = csv::content(&chunk, &whole);
        from = end;
        let line = state.line + 1;
        state.line += memchr_iter(b'\n', &chunk[whole.clone()]).count() as u64
            + u64::from(!chunk[whole.clone()].ends_with(b"\n"));
        if chunk[range.clone()].trim_ascii().is_empty() {
            continue;
        }
        let result = match &state.header {
            None => {
                state.header = Some(header(plan, &text, &whole, delimiter));
                continue;
            }
            Some(header) => {
                csv_record(plan, header, &text, &range, &mut record, &mut values, &mut rows, line)
            }
        };
        if let (Err((class, message)), Some(header)) = (result, &state.header) {
            let mut raw = header.raw.clone();
            raw.extend_from_slice(kept(&chunk[whole], class, plan));
            rows.bury(line, class, message, raw);
        }
    }
    let header = state.header.as_ref().map_or_else(Vec::new, |h| h.raw.clone());
    rows.finish(Some((chunk, header)))
}

/// What the header line says. One that is no text names no field, and every row will say so.
fn header(plan: &Plan, text: &Text<'_>, whole: &Range<usize>, delimiter: u8) -> Header {
    let mut targets = Vec::new();
    let names = String::from_utf8_lossy(&text.bytes[whole.clone()]);
    let _ = csv::fields(&names, delimiter, |_, name| {
        targets.push(plan.fields.of_name(trim(&name)).to_vec())
    });
    // A second field of the same name is not read: it would contradict the first.
    for i in 1..targets.len() {
        let (before, this) = targets.split_at_mut(i);
        this[0].retain(|t| !before.iter().flatten().any(|b| b == t));
    }
    let mut raw = text.bytes[whole.clone()].to_vec();
    if !raw.ends_with(b"\n") {
        raw.push(b'\n');
    }
    Header { raw, delimiter, targets }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the scratch space of the loop above, kept out of it for `?`"
)]
fn csv_record<'a>(
    plan: &Plan,
    header: &Header,
    text: &Text<'a>,
    range: &Range<usize>,
    record: &mut Record<'a>,
    values: &mut Vec<Value<'a>>,
    rows: &mut Rows<'_>,
    line: u64,
) -> Result<(), (DeadClass, String)> {
    within(range, plan.schema.record_bytes_max)?;
    let source = text.record(range)?;
    record.clear();
    let (mut blank, mut last) = (true, 0);
    let count = csv::fields(source, header.delimiter, |i, field: Cow<'a, str>| {
        if field.is_empty() {
            return;
        }
        (blank, last) = (blank && trim(&field).is_empty(), i);
        if let Some(targets) = header.targets.get(i) {
            record.put(targets, Cell::Text(field));
        }
    })
    .map_err(|what| (DeadClass::Syntax, what))?;
    if blank {
        return Ok(());
    }
    // Spreadsheets add separators behind the last column; a field with a value there is another matter.
    let expected = header.targets.len();
    if count < expected || last >= expected {
        let message = format!("the record has {count} fields, the header {expected}");
        return Err((DeadClass::Syntax, message));
    }
    rows.push(record, values, line, range).map_err(|r| (r.class, r.message))
}

fn within(range: &Range<usize>, max: usize) -> Result<(), (DeadClass, String)> {
    if range.len() <= max {
        return Ok(());
    }
    Err((DeadClass::TooLong, format!("the record is longer than {max} bytes, the feed's limit")))
}

/// The part of a record that its dead letter keeps; never more than a chunk keeps of an endless line.
fn kept<'a>(raw: &'a [u8], class: DeadClass, plan: &Plan) -> &'a [u8] {
    let max = TOO_LONG_KEPT_BYTES.min(plan.schema.record_bytes_max);
    match class {
        DeadClass::TooLong => &raw[..raw.len().min(max)],
        _ => raw,
    }
}

/// Length of the byte order mark at the very start of a source.
fn bom(chunk: &[u8], line: u64) -> usize {
    if line == 0 && chunk.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}
