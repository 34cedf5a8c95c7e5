//! A list asked about every row of a batch.

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array},
    compute::cast,
    datatypes::DataType,
};

use crate::{
    model::{
        expression::{Expression, evaluate_rows},
        join::Join,
        time::Zone,
    },
    rule::{house::days, lists::List},
};

/// Columns of a list beside the rows of a feed.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) list: std::sync::Arc<List>,
    /// What is looked up; `None` joins nothing.
    pub(super) by: Option<Expression>,
    /// The column that says as of when.
    pub(super) time: Option<usize>,
    pub(super) zone: Zone,
    /// Columns of the list.
    pub(super) columns: Vec<usize>,
}

impl Join for Lookup {
    fn columns(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        let values = self.by.as_ref().map(|by| evaluate_rows(by.as_ref(), rows).0);
        let texts = values.and_then(|values| cast(&values, &DataType::Utf8).ok());
        let texts = texts.as_ref().and_then(|t| t.as_string_opt::<i32>());
        let days = self.time.map(|time| days(rows.column(time), &self.zone));
        let found = |row: usize| {
            let value = texts.filter(|t| t.is_valid(row))?.value(row);
            match &days {
                Some(days) => self.list.row(value, Some(days[row]?)),
                None => self.list.row(value, None),
            }
        };
        let places: UInt32Array = (0..rows.num_rows()).map(found).collect();
        self.columns.iter().map(|c| self.list.table().take(*c, &places)).collect()
    }
}
