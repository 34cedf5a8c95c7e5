//! Rows: records → columns of the canonical schema.
//!
//! In: one [`Record`] after the other. Out: the good ones as an Arrow batch with their line numbers and byte ranges,
//! the others as dead letters. A record is converted as a whole before anything of it is stored, so a bad value in its
//! last column leaves no trace of it. Exploded columns make several rows of one record.

use std::{ops::Range, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder,
        ListBuilder, RecordBatch, RecordBatchOptions, StringBuilder, TimestampMillisecondBuilder,
    },
    datatypes::DataType,
};

use crate::model::{
    batch::{DeadClass, DeadLetter, Decoded, RawLines},
    schema::{ColumnType, FeedSchema},
    secret::Keyed,
    time::Zone,
};

use super::{
    cell::{Fields, Record},
    convert::{Converter, Refusal, Value},
};

/// How one feed reads its records; made once per source.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) schema: Arc<FeedSchema>,
    pub(crate) converters: Vec<Converter>,
    pub(crate) fields: Fields,
    pub(crate) zone: Zone,
    pub(crate) keyed: Keyed,
}

impl Plan {
    pub(crate) fn new(schema: Arc<FeedSchema>, zone: Zone, keyed: Keyed) -> Self {
        let converters = (0..schema.columns.len()).map(|i| Converter::of(&schema, i)).collect();
        let fields = Fields::of(&schema);
        Self { schema, converters, fields, zone, keyed }
    }
}

/// The rows of one chunk under construction.
pub(crate) struct Rows<'p> {
    plan: &'p Plan,
    builders: Vec<Builder>,
    lines: Vec<u64>,
    ranges: Vec<(u32, u32)>,
    dead: Vec<DeadLetter>,
    invalid_codes: u64,
}

impl<'p> Rows<'p> {
    /// Room for about `rows` rows.
    pub(crate) fn new(plan: &'p Plan, rows: usize) -> Self {
        let builders =
            plan.converters.iter().map(|c| Builder::new(c.column().kind, rows)).collect();
        Self {
            plan,
            builders,
            lines: Vec::with_capacity(rows),
            ranges: Vec::with_capacity(rows),
            dead: Vec::new(),
            invalid_codes: 0,
        }
    }

    /// Adds a record; `values` is scratch space. Refusals are returned for [`Self::bury`], which needs the raw bytes.
    #[inline]
    pub(crate) fn push<'a>(
        &mut self,
        record: &mut Record<'a>,
        values: &mut Vec<Value<'a>>,
        line: u64,
        range: &Range<usize>,
    ) -> Result<(), Refusal> {
        values.clear();
        let mut emptied = 0;
        for (i, converter) in self.plan.converters.iter().enumerate() {
            let (cell, rank) = record.take(i);
            match converter.convert(cell, rank, &self.plan.zone, &self.plan.keyed) {
                Ok((value, was_emptied)) => {
                    emptied += u64::from(was_emptied);
                    values.push(value);
                }
                Err(first) => return Err(self.all_refusals(first, record, i + 1)),
            }
        }
        self.invalid_codes += emptied;
        if self.plan.schema.explode.is_empty() {
            self.store(values, line, range);
        } else {
            self.explode(values, line, range);
        }
        Ok(())
    }

    /// What else is wrong with the record, so that it can be mended in one go.
    fn all_refusals(&self, first: Refusal, record: &mut Record<'_>, from: usize) -> Refusal {
        let mut message = first.message;
        for (i, converter) in self.plan.converters.iter().enumerate().skip(from) {
            let (cell, rank) = record.take(i);
            if let Err(next) = converter.convert(cell, rank, &self.plan.zone, &self.plan.keyed) {
                message.push_str("; ");
                message.push_str(&next.message);
            }
        }
        Refusal { class: first.class, message }
    }

    #[inline]
    fn store(&mut self, values: &[Value<'_>], line: u64, range: &Range<usize>) {
        for (builder, value) in self.builders.iter_mut().zip(values) {
            builder.append(value);
        }
        self.lines.push(line);
        self.ranges.push((range.start as u32, range.end as u32));
    }

    /// One row for each combination of the exploded columns' values; a column without any gives null.
    fn explode(&mut self, values: &mut [Value<'_>], line: u64, range: &Range<usize>) {
        let lists: Vec<(usize, Vec<String>)> = self
            .plan
            .schema
            .explode
            .iter()
            .map(|&i| match std::mem::replace(&mut values[i], Value::Null) {
                Value::Texts(texts) => (i, texts),
                _ => (i, Vec::new()),
            })
            .collect();
        let rows: usize = lists.iter().map(|(_, l)| l.len().max(1)).product();
        for row in 0..rows {
            let mut rest = row;
            for (i, list) in &lists {
                if let Some(text) = list.get(rest % list.len().max(1)) {
                    values[*i] = Value::Text(text.clone().into());
                }
                rest /= list.len().max(1);
            }
            self.store(values, line, range);
        }
    }

    /// Adds a dead letter.
    pub(crate) fn bury(&mut self, line: u64, class: DeadClass, message: String, raw: Vec<u8>) {
        self.dead.push(DeadLetter { line, class, message, raw });
    }

    /// Everything added, with the chunk the ranges point into.
    pub(crate) fn finish(mut self, raw: Option<(Vec<u8>, Vec<u8>)>) -> Decoded {
        let columns: Vec<ArrayRef> = self.builders.iter_mut().map(Builder::finish).collect();
        let rows = batch(&self.plan.schema, columns, self.lines.len());
        let raw = raw.map(|(bytes, header)| RawLines { bytes, ranges: self.ranges, header });
        Decoded { rows, lines: self.lines, raw, dead: self.dead, invalid_codes: self.invalid_codes }
    }
}

/// The canonical batch of these columns.
pub(crate) fn batch(schema: &FeedSchema, columns: Vec<ArrayRef>, rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.arrow().clone(), columns, &options)
        .expect("the builders are made from the schema's own types")
}

/// The column under construction.
pub(crate) enum Builder {
    Text(StringBuilder),
    Texts(ListBuilder<StringBuilder>),
    Int(Int64Builder),
    Float(Float64Builder),
    Decimal(Decimal128Builder, DataType),
    Bool(BooleanBuilder),
    Day(Date32Builder),
    Instant(TimestampMillisecondBuilder, DataType),
}

impl Builder {
    pub(crate) fn new(kind: ColumnType, rows: usize) -> Self {
        match kind {
            ColumnType::Text | ColumnType::Ucc | ColumnType::Region => {
                Self::Text(StringBuilder::with_capacity(rows, rows * 16))
            }
            ColumnType::Texts => Self::Texts(ListBuilder::new(StringBuilder::new())),
            ColumnType::Int => Self::Int(Int64Builder::with_capacity(rows)),
            ColumnType::Float => Self::Float(Float64Builder::with_capacity(rows)),
            ColumnType::Decimal { .. } => {
                Self::Decimal(Decimal128Builder::with_capacity(rows), kind.arrow())
            }
            ColumnType::Bool => Self::Bool(BooleanBuilder::with_capacity(rows)),
            ColumnType::Date => Self::Day(Date32Builder::with_capacity(rows)),
            ColumnType::Timestamp => {
                Self::Instant(TimestampMillisecondBuilder::with_capacity(rows), kind.arrow())
            }
        }
    }

    /// Appends a value that the column's own converter made; another kind of value counts as none.
    #[inline]
    pub(crate) fn append(&mut self, value: &Value<'_>) {
        match (self, value) {
            (Self::Text(b), Value::Text(text)) => b.append_value(text),
            (Self::Int(b), Value::Int(n)) => b.append_value(*n),
            (Self::Float(b), Value::Float(f)) => b.append_value(*f),
            (Self::Instant(b, _), Value::Instant(ms)) => b.append_value(*ms),
            (Self::Decimal(b, _), Value::Decimal(units)) => b.append_value(*units),
            (Self::Bool(b), Value::Bool(v)) => b.append_value(*v),
            (Self::Day(b), Value::Day(day)) => b.append_value(*day),
            (Self::Texts(b), Value::Texts(texts)) => b.append_value(texts.iter().map(Some)),
            (builder, _) => builder.append_null(),
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Text(b) => b.append_null(),
            Self::Texts(b) => b.append_null(),
            Self::Int(b) => b.append_null(),
            Self::Float(b) => b.append_null(),
            Self::Decimal(b, _) => b.append_null(),
            Self::Bool(b) => b.append_null(),
            Self::Day(b) => b.append_null(),
            Self::Instant(b, _) => b.append_null(),
        }
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(b) => Arc::new(b.finish()),
            Self::Texts(b) => Arc::new(b.finish()),
            Self::Int(b) => Arc::new(b.finish()),
            Self::Float(b) => Arc::new(b.finish()),
            Self::Decimal(b, kind) => Arc::new(b.finish().with_data_type(kind.clone())),
            Self::Bool(b) => Arc::new(b.finish()),
            Self::Day(b) => Arc::new(b.finish()),
            Self::Instant(b, kind) => Arc::new(b.finish().with_data_type(kind.clone())),
        }
    }
}
