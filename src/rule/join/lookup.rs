//! Tables asked about every row of a batch.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array},
    compute::cast,
    datatypes::DataType,
};

use crate::{
    model::{
        expression::{Expression, evaluate_rows},
        join::Join,
        time::Zone,
    },
    pane::{dimension::Dimension, prepare::time_values},
    rule::{house::days, lists::List},
};

/// Columns of a list beside the rows of a feed.
#[derive(Debug)]
pub(super) struct ListLookup {
    pub(super) list: Arc<List>,
    /// What is looked up; `None` joins nothing.
    pub(super) by: Option<Expression>,
    /// The column that says as of when.
    pub(super) time: Option<usize>,
    pub(super) zone: Zone,
    /// Columns of the list.
    pub(super) columns: Vec<usize>,
}

/// Columns of a feed's table beside the rows of a feed.
#[derive(Debug)]
pub(super) struct FeedLookup {
    pub(super) dimension: Arc<Dimension>,
    /// What is looked up; `None` joins nothing.
    pub(super) by: Option<Expression>,
    /// The column that says as of when.
    pub(super) time: usize,
    pub(super) zone: Zone,
    /// Columns of the dimension.
    pub(super) columns: Vec<usize>,
}

impl Join for ListLookup {
    fn columns(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        let texts = looked_up(self.by.as_ref(), rows);
        let days = self.time.map(|time| days(rows.column(time), &self.zone));
        let found = |row: usize| {
            let value = texts.is_valid(row).then(|| texts.value(row))?;
            match &days {
                Some(days) => self.list.row(value, Some(days[row]?)),
                None => self.list.row(value, None),
            }
        };
        let places: UInt32Array = (0..rows.num_rows()).map(found).collect();
        self.columns.iter().map(|c| self.list.table().take(*c, &places)).collect()
    }
}

impl Join for FeedLookup {
    fn columns(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        let keys = looked_up(self.by.as_ref(), rows);
        let time = rows.column(self.time);
        let at_ms = time_values(time, &self.zone).into_iter().enumerate();
        let at_ms: Vec<Option<i64>> =
            at_ms.map(|(row, ms)| time.is_valid(row).then_some(ms)).collect();
        let mut out = self.dimension.look(&keys, &at_ms, &self.columns);
        out.insert(0, Arc::new(keys));
        out
    }
}

/// What is looked up for each row, as text.
fn looked_up(by: Option<&Expression>, rows: &RecordBatch) -> StringArray {
    let values = by.map(|by| evaluate_rows(by.as_ref(), rows).0);
    let texts = values.and_then(|values| cast(&values, &DataType::Utf8).ok());
    let texts = texts.as_ref().and_then(|t| t.as_string_opt::<i32>()).cloned();
    texts.unwrap_or_else(|| StringArray::new_null(rows.num_rows()))
}
