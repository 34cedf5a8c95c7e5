//! Seen: the values of a run that conditions and messages read, as columns.
//!
//! In: the rows behind a run or a match, and picks like `failed.hazard_class` or `complained.count`. Out: a batch of one row.
//! A row keeps the columns that some text of the rule reads, and only those, in arrow's row format: rows are held for as
//! long as `within` says, batches would be kept alive whole.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, TimestampMillisecondArray,
        new_null_array,
    },
    compute::take,
    datatypes::SchemaRef,
    row::{RowConverter, RowParser, SortField},
};

use super::run::{Met, Row};

/// A value of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// Position of the step.
    pub step: usize,
    /// What of it.
    pub what: What,
}

/// What of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A column of the row that met it: its position among those kept.
    Column(usize),
    /// The time of that row.
    At,
    /// The time of the first row that was taken for it.
    First,
    /// How many rows were taken for it.
    Count,
    /// Of a step that stayed away: the deadline.
    Due,
}

/// Names of a step's own values; columns of these names are hidden by them.
pub const AT: &str = "at";
/// See [`AT`].
pub const COUNT: &str = "count";
/// See [`AT`].
pub const DUE: &str = "due";

/// The rows of a run.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Those that were taken, by step.
    pub met: &'a [Met],
    /// The one that is looked at, and the step it may be taken for.
    pub next: Option<(usize, &'a Arc<Row>)>,
    /// The deadline of a step that stayed away.
    pub deadline_ms: Option<i64>,
}

impl<'a> Seen<'a> {
    /// The last row that was taken, or may be, for a step.
    #[must_use]
    pub fn row_of(&self, step: usize) -> Option<&'a Arc<Row>> {
        let next = self.next.filter(|(of, _)| *of == step).map(|(_, row)| row);
        let met = || self.met.iter().rev().find(|m| m.step as usize == step);
        next.or_else(|| met().map(|m| &m.row))
    }
}

/// The columns of one feed that rows keep.
#[derive(Debug)]
pub struct Layout {
    /// Their positions in the feed.
    pub columns: Vec<usize>,
    converter: RowConverter,
    parser: RowParser,
}

impl Layout {
    /// A layout of the columns at these positions of a feed's schema.
    ///
    /// # Errors
    /// What arrow says about a type that cannot be kept; there is none among the types of feeds.
    pub fn try_new(columns: Vec<usize>, feed: &SchemaRef) -> Result<Self, String> {
        let fields = columns.iter().map(|c| SortField::new(feed.field(*c).data_type().clone()));
        let converter = RowConverter::new(fields.collect()).map_err(|e| e.to_string())?;
        Ok(Self { columns, parser: converter.parser(), converter })
    }

    /// The kept columns of some rows of a batch in the feed's schema, row by row.
    #[must_use]
    pub fn keep(&self, batch: &RecordBatch, rows: &arrow::array::UInt32Array) -> Vec<Box<[u8]>> {
        let none = || vec![Box::default(); rows.len()];
        if self.columns.is_empty() {
            return none();
        }
        let column = |c: &usize| take(batch.column(*c), rows, None);
        let columns = self.columns.iter().map(column).collect::<Result<Vec<_>, _>>();
        let kept = columns.and_then(|columns| self.converter.convert_columns(&columns));
        kept.map_or_else(|_| none(), |kept| kept.iter().map(|row| row.as_ref().into()).collect())
    }

    /// The kept columns of a row, one value each; `None` where none are kept.
    #[must_use]
    pub fn read(&self, row: &Row) -> Option<Vec<ArrayRef>> {
        if self.columns.is_empty() || row.data.is_empty() {
            return None;
        }
        self.converter.convert_rows([self.parser.parse(&row.data)]).ok()
    }
}

/// Picks in the order of a schema.
#[derive(Debug)]
pub struct Picks {
    /// What is picked.
    pub picks: Vec<Pick>,
    /// Names and types.
    pub schema: SchemaRef,
    /// By step: the layout of its feed.
    pub layouts: Vec<Arc<Layout>>,
}

impl Picks {
    /// One row with the values; NULL where a step was not met.
    #[must_use]
    pub fn batch(&self, seen: &Seen<'_>) -> RecordBatch {
        let mut read: Vec<Option<Vec<ArrayRef>>> = vec![None; self.layouts.len()];
        let column = |(pick, field): (&Pick, &arrow::datatypes::FieldRef)| -> ArrayRef {
            let kind = field.data_type();
            let row = seen.row_of(pick.step);
            let instant = |ms: Option<i64>| -> ArrayRef {
                Arc::new(TimestampMillisecondArray::from(vec![ms]).with_data_type(kind.clone()))
            };
            match (pick.what, row) {
                (What::At, row) => instant(row.map(|r| r.at_ms)),
                (What::First, _) => {
                    let first = seen.met.iter().find(|m| m.step as usize == pick.step);
                    instant(first.map(|m| m.row.at_ms))
                }
                (What::Due, _) => instant(seen.deadline_ms),
                (What::Count, _) => {
                    let met = seen.met.iter().filter(|m| m.step as usize == pick.step).count();
                    Arc::new(Int64Array::from(vec![met as i64]))
                }
                (What::Column(at), Some(row)) => {
                    let of_step = &mut read[pick.step];
                    if of_step.is_none() {
                        *of_step = self.layouts[pick.step].read(row);
                    }
                    let column = of_step.as_ref().and_then(|columns| columns.get(at));
                    column.cloned().unwrap_or_else(|| new_null_array(kind, 1))
                }
                (What::Column(_), None) => new_null_array(kind, 1),
            }
        };
        let columns = self.picks.iter().zip(self.schema.fields()).map(column).collect();
        let one = RecordBatchOptions::new().with_row_count(Some(1));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &one)
            .unwrap_or_else(|_| RecordBatch::new_empty(self.schema.clone()))
    }
}
