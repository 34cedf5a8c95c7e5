//! Columnar sources: Parquet and Arrow IPC batches → the canonical schema, by the same mapping.
//!
//! In: a batch in whatever schema the file has. Out: [`Decoded`]. A plain column of a kindred type is cast as a whole;
//! every other one goes cell by cell through its [`Converter`], so a value means the same whatever file it comes from.
//! Dead letters hold their row as NDJSON.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray,
        TimestampMillisecondArray, UInt64Array,
    },
    compute::{CastOptions, cast_with_options, filter, take},
    datatypes::{DataType, TimeUnit, TimestampMillisecondType},
    util::display::{ArrayFormatter, FormatOptions},
};

use crate::model::{
    batch::{DeadLetter, Decoded},
    schema::ColumnType,
};

use super::{
    cell::{Cell, trim},
    convert::{Converter, Refusal, Value},
    rows::{Builder, Plan, batch},
};

/// A converted column, and its refusals by row.
struct Converted {
    array: ArrayRef,
    refusals: Vec<(usize, Refusal)>,
    emptied: Vec<usize>,
}

/// Decodes a batch whose first row is row `first` (from 1) of its source.
pub(crate) fn decode(plan: &Plan, rows: &RecordBatch, first: u64) -> Decoded {
    let sources = sources(plan, rows);
    let mut columns = Vec::with_capacity(plan.converters.len());
    let mut refused: BTreeMap<usize, Refusal> = BTreeMap::new();
    let mut emptied = Vec::new();
    for (converter, sources) in plan.converters.iter().zip(&sources) {
        let converted = column(plan, converter, sources, rows.num_rows());
        for (row, refusal) in converted.refusals {
            match refused.get_mut(&row) {
                Some(earlier) => {
                    earlier.message.push_str("; ");
                    earlier.message.push_str(&refusal.message);
                }
                None => _ = refused.insert(row, refusal),
            }
        }
        emptied.extend(converted.emptied);
        columns.push(converted.array);
    }
    emptied.retain(|row| !refused.contains_key(row));
    let lines = (first..first + rows.num_rows() as u64).collect();
    let (columns, lines) = without(columns, lines, &refused);
    let (columns, lines) = exploded(plan, columns, lines);
    let dead = refused
        .into_iter()
        .map(|(row, refusal)| DeadLetter {
            line: first + row as u64,
            class: refusal.class,
            message: refusal.message,
            raw: as_ndjson(rows, row),
        })
        .collect();
    let rows = batch(&plan.schema, columns, lines.len());
    Decoded { rows, lines, raw: None, dead, invalid_codes: emptied.len() as u64 }
}

/// The source arrays of each column with the rank of their names, the preferred name first.
fn sources(plan: &Plan, rows: &RecordBatch) -> Vec<Vec<(u16, ArrayRef)>> {
    let mut found: Vec<Vec<(u16, ArrayRef)>> = vec![Vec::new(); plan.converters.len()];
    for (field, array) in rows.schema().fields().iter().zip(rows.columns()) {
        for target in plan.fields.of_name(field.name()) {
            found[usize::from(target.column)].push((target.rank, as_utf8(array)));
        }
    }
    for of_column in &mut found {
        of_column.sort_by_key(|(rank, _)| *rank);
    }
    found
}

/// The many encodings of texts as the one the rest of this file knows.
fn as_utf8(array: &ArrayRef) -> ArrayRef {
    let is_text = |t: &DataType| matches!(t, DataType::LargeUtf8 | DataType::Utf8View);
    let text = match array.data_type() {
        DataType::Dictionary(_, value) if is_text(value) || **value == DataType::Utf8 => true,
        t => is_text(t),
    };
    if text { cast(array, &DataType::Utf8).unwrap_or_else(|| array.clone()) } else { array.clone() }
}

fn cast(array: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    let options = CastOptions { safe: false, format_options: FormatOptions::default() };
    cast_with_options(array, to, &options).ok()
}

fn column(
    plan: &Plan,
    converter: &Converter,
    sources: &[(u16, ArrayRef)],
    rows: usize,
) -> Converted {
    if let ([(_, source)], true) = (sources, converter.plain())
        && let Some(array) = whole(plan, converter.column().kind, source)
        && let Some(converted) = checked(plan, converter, array)
    {
        return converted;
    }
    let mut builder = Builder::new(kind_of(plan, converter), rows);
    let mut converted =
        Converted { array: builder.finish(), refusals: Vec::new(), emptied: Vec::new() };
    let readers: Vec<_> = sources.iter().map(|(rank, a)| (*rank, Reader::new(a))).collect();
    for row in 0..rows {
        let cells = readers.iter().map(|(rank, r)| (r.cell(row), *rank));
        let (cell, rank) =
            cells.into_iter().find(|(c, _)| !c.is_blank()).unwrap_or((Cell::Missing, 0));
        match converter.convert(cell, rank, &plan.zone, &plan.keyed) {
            Ok((value, emptied)) => {
                builder.append(&value);
                if emptied {
                    converted.emptied.push(row);
                }
            }
            Err(refusal) => {
                builder.append(&Value::Null);
                converted.refusals.push((row, refusal));
            }
        }
    }
    converted.array = builder.finish();
    converted
}

/// An exploded column is a list until its rows are made.
fn kind_of(plan: &Plan, converter: &Converter) -> ColumnType {
    let position = plan.schema.position(&converter.column().name);
    match position {
        Some(i) if plan.schema.explode.contains(&i) => ColumnType::Texts,
        _ => converter.column().kind,
    }
}

/// The column as a whole, where its type is kindred enough that nothing can go wrong or be lost.
fn whole(plan: &Plan, kind: ColumnType, source: &ArrayRef) -> Option<ArrayRef> {
    use DataType::{
        Boolean, Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Timestamp, UInt8,
        UInt16, UInt32, Utf8,
    };
    let to = kind.arrow();
    match (kind, source.data_type()) {
        (ColumnType::Text, Utf8) => Some(tidy(source)),
        (ColumnType::Int, Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32)
        | (ColumnType::Float, Float32 | Float64 | Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32)
        | (ColumnType::Bool, Boolean)
        | (ColumnType::Date, Date32)
        | (ColumnType::Timestamp, Timestamp(_, Some(_))) => cast(source, &to),
        (ColumnType::Decimal { scale }, Decimal128(18, s)) if *s == scale => Some(source.clone()),
        (ColumnType::Timestamp, Timestamp(_, None) | Date32) => {
            let local = cast(source, &Timestamp(TimeUnit::Millisecond, None))?;
            let local = local.as_primitive::<TimestampMillisecondType>();
            let utc: TimestampMillisecondArray = local.unary(|ms| plan.zone.to_utc(ms));
            Some(Arc::new(utc.with_data_type(to)))
        }
        _ => None,
    }
}

/// Texts trimmed, empty ones null; shared where nothing changes.
fn tidy(source: &ArrayRef) -> ArrayRef {
    let texts = source.as_string::<i32>();
    let is_tidy = |t: Option<&str>| t.is_none_or(|t| !t.is_empty() && trim(t).len() == t.len());
    if texts.iter().all(is_tidy) {
        return source.clone();
    }
    let tidied = texts.iter().map(|t| t.map(trim).filter(|t| !t.is_empty()));
    Arc::new(tidied.collect::<StringArray>())
}

/// The column with missing and out-of-range values refused; `None` when it has any that need a message of their own.
fn checked(plan: &Plan, converter: &Converter, array: ArrayRef) -> Option<Converted> {
    let event_time = plan.schema.columns[plan.schema.event_time].name == converter.column().name;
    if event_time && !in_range(plan, &array) {
        return None;
    }
    let mut refusals = Vec::new();
    if (converter.column().required || event_time) && array.null_count() > 0 {
        let refusal = converter.convert(Cell::Missing, 0, &plan.zone, &plan.keyed).err()?;
        let nulls = (0..array.len()).filter(|row| array.is_null(*row));
        refusals.extend(nulls.map(|row| (row, refusal.clone())));
    }
    Some(Converted { array, refusals, emptied: Vec::new() })
}

fn in_range(plan: &Plan, array: &ArrayRef) -> bool {
    use crate::model::time::{DAY_MS, EVENT_MS_MAX, EVENT_MS_MIN};
    let good = |ms: i64| (EVENT_MS_MIN..=EVENT_MS_MAX).contains(&ms);
    match array.data_type() {
        DataType::Timestamp(..) => {
            array.as_primitive::<TimestampMillisecondType>().iter().flatten().all(good)
        }
        DataType::Date32 => array
            .as_primitive::<arrow::datatypes::Date32Type>()
            .iter()
            .flatten()
            .all(|day| good(i64::from(day) * DAY_MS) && good(plan.zone.day_start(day))),
        _ => false,
    }
}

/// Reads single cells of an array.
struct Reader<'a> {
    array: &'a ArrayRef,
    formatter: Option<ArrayFormatter<'a>>,
}

impl<'a> Reader<'a> {
    fn new(array: &'a ArrayRef) -> Self {
        static OPTIONS: FormatOptions<'static> = FormatOptions::new();
        Self { array, formatter: ArrayFormatter::try_new(array.as_ref(), &OPTIONS).ok() }
    }

    fn cell(&self, row: usize) -> Cell<'a> {
        if self.array.is_null(row) {
            return Cell::Missing;
        }
        match self.array.data_type() {
            DataType::Utf8 => Cell::Text(Cow::Borrowed(self.array.as_string::<i32>().value(row))),
            DataType::Boolean => Cell::Bool(self.array.as_boolean().value(row)),
            DataType::List(_) => Self::list(&self.array.as_list::<i32>().value(row)),
            DataType::LargeList(_) => Self::list(&self.array.as_list::<i64>().value(row)),
            DataType::Struct(_) | DataType::Map(..) | DataType::Union(..) => Cell::Nested,
            t => match self.formatter.as_ref().map(|f| f.value(row).to_string()) {
                Some(text) if t.is_numeric() => Cell::Number(Cow::Owned(text)),
                Some(text) => Cell::Text(Cow::Owned(text)),
                None => Cell::Nested,
            },
        }
    }

    fn list(items: &ArrayRef) -> Cell<'a> {
        match cast(items, &DataType::Utf8) {
            Some(texts) => {
                let texts = texts.as_string::<i32>();
                Cell::List(texts.iter().flatten().map(String::from).collect())
            }
            None => Cell::Nested,
        }
    }
}

fn without(
    columns: Vec<ArrayRef>,
    lines: Vec<u64>,
    refused: &BTreeMap<usize, Refusal>,
) -> (Vec<ArrayRef>, Vec<u64>) {
    if refused.is_empty() {
        return (columns, lines);
    }
    let keep: BooleanArray =
        (0..lines.len()).map(|row| Some(!refused.contains_key(&row))).collect();
    let columns =
        columns.iter().map(|c| filter(c, &keep).expect("the mask has a bit for each row"));
    let columns = columns.collect();
    let kept = lines.into_iter().enumerate().filter(|(row, _)| keep.value(*row));
    (columns, kept.map(|(_, line)| line).collect())
}

/// One row for each combination of the exploded columns' values.
fn exploded(
    plan: &Plan,
    mut columns: Vec<ArrayRef>,
    mut lines: Vec<u64>,
) -> (Vec<ArrayRef>, Vec<u64>) {
    for &e in plan.schema.explode.iter().rev() {
        let lists = columns[e].as_list::<i32>().clone();
        let (mut rows, mut items) = (Vec::new(), Vec::new());
        for row in 0..lists.len() {
            let range = lists.value_offsets()[row] as u64..lists.value_offsets()[row + 1] as u64;
            if lists.is_null(row) || range.is_empty() {
                rows.push(row as u64);
                items.push(None);
            }
            for item in range {
                rows.push(row as u64);
                items.push(Some(item));
            }
        }
        let rows = UInt64Array::from(rows);
        let in_bounds = "the indices come from the array itself";
        columns = columns.iter().map(|c| take(c, &rows, None).expect(in_bounds)).collect();
        columns[e] = take(lists.values(), &UInt64Array::from(items), None).expect(in_bounds);
        lines = rows.values().iter().map(|row| lines[*row as usize]).collect();
    }
    (columns, lines)
}

/// One row as a line of NDJSON.
fn as_ndjson(rows: &RecordBatch, row: usize) -> Vec<u8> {
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    match writer.write(&rows.slice(row, 1)).and_then(|()| writer.finish()) {
        Ok(()) => writer.into_inner(),
        Err(_) => Vec::new(),
    }
}
