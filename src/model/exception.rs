//! Exceptions: keys whose alerts somebody has answered for, for a time.
//!
//! An alert that an exception covers is told as suppressed instead of firing: it is counted and seen, and nobody is called.
//! It covers an alert by its key, at the last moment of the window that the alert's values are of; so when the exception
//! ends, an alert that still holds fires with the next window.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions,
        StringArray,
    },
    datatypes::{DataType, SchemaRef},
};
use serde_json::Value;

use super::{
    expression::{Expression, evaluate_rows, true_mask},
    signal::{Key, Span},
};

/// An exception from a rule.
#[derive(Debug, Clone)]
pub struct Exception {
    /// Its id.
    pub id: Arc<str>,
    /// The first instant it holds.
    pub from_ms: i64,
    /// The first instant it holds no longer.
    pub until_ms: i64,
    /// Which keys it covers; all where there is no condition.
    pub condition: Option<Condition>,
}

/// A condition over the columns of a rule's key.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The key's columns: text, int, float or bool, each as an alert shows it.
    pub schema: SchemaRef,
    /// True where the key is covered.
    pub expression: Expression,
}

impl Exception {
    /// Whether it covers a key.
    #[must_use]
    pub fn covers(&self, key: &Key) -> bool {
        self.condition.as_ref().is_none_or(|c| c.holds(key))
    }
}

/// The exception among those that cover a key that holds for a window; the first in the order of the file.
#[must_use]
pub fn at<'a>(covering: &'a [Exception], window: &Span) -> Option<&'a Arc<str>> {
    let last = window.start_ms.max(window.end_ms - 1);
    covering.iter().find(|e| (e.from_ms..e.until_ms).contains(&last)).map(|e| &e.id)
}

impl Condition {
    fn holds(&self, key: &Key) -> bool {
        let values = key.values();
        let columns = self.schema.fields().iter().map(|f| {
            let value = values.get(f.name()).unwrap_or(&Value::Null);
            column(f.data_type(), value)
        });
        let one = RecordBatchOptions::new().with_row_count(Some(1));
        let row = RecordBatch::try_new_with_options(self.schema.clone(), columns.collect(), &one);
        row.is_ok_and(|row| true_mask(&evaluate_rows(&*self.expression, &row).0).value(0))
    }
}

fn column(kind: &DataType, value: &Value) -> ArrayRef {
    match kind {
        DataType::Int64 => Arc::new(Int64Array::from(vec![value.as_i64()])),
        DataType::Float64 => Arc::new(Float64Array::from(vec![value.as_f64()])),
        DataType::Boolean => Arc::new(BooleanArray::from(vec![value.as_bool()])),
        _ => Arc::new(StringArray::from(vec![value.as_str()])),
    }
}
