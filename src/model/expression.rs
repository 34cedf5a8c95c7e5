//! A compiled expression: rows in, one column out. Made in `rule::expr`, run wherever rows are.

use std::{fmt, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, BooleanArray, RecordBatch, new_null_array},
    buffer::BooleanBuffer,
    compute::concat,
    datatypes::DataType,
};

/// Evaluates to one value per row. Implementations are immutable: the same rows give the same values.
pub trait Evaluate: Send + Sync + fmt::Debug {
    /// One value per row of `rows`.
    ///
    /// # Errors
    /// A message for people, when any row cannot be evaluated (division by zero, a cast).
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef, String>;
    /// Type of the values.
    fn data_type(&self) -> &DataType;
    /// If the expression is a bare column: its position.
    fn column(&self) -> Option<usize>;
    /// The expression as SQL, with names, for explanations.
    fn sql(&self) -> &str;
    /// Positions of the columns the expression reads, ascending.
    fn columns(&self) -> &[usize];
}

/// A shared compiled expression.
pub type Expression = Arc<dyn Evaluate>;

/// Values of `expression` over `rows`; a row that cannot be evaluated costs only itself and becomes NULL.
/// Returns the values and how many rows failed.
#[must_use]
pub fn evaluate_rows(expression: &dyn Evaluate, rows: &RecordBatch) -> (ArrayRef, u64) {
    if let Ok(values) = expression.evaluate(rows) {
        return (values, 0);
    }
    let mut failed = 0;
    let parts: Vec<ArrayRef> = (0..rows.num_rows())
        .map(|i| {
            expression.evaluate(&rows.slice(i, 1)).unwrap_or_else(|_| {
                failed += 1;
                new_null_array(expression.data_type(), 1)
            })
        })
        .collect();
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    let values = concat(&parts).unwrap_or_else(|_| new_null_array(expression.data_type(), rows.num_rows()));
    (values, failed)
}

/// Where a boolean column is true; NULL is not true.
#[must_use]
pub fn true_mask(values: &ArrayRef) -> BooleanBuffer {
    match values.as_any().downcast_ref::<BooleanArray>() {
        Some(b) => match b.nulls() {
            Some(nulls) => b.values() & nulls.inner(),
            None => b.values().clone(),
        },
        None => BooleanBuffer::new_unset(values.len()),
    }
}
