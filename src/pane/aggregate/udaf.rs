//! Second tier: any aggregate of the SQL engine, computed from a window's rows when it is asked for.
//!
//! Exact and correctable by construction: the rows are read in one canonical order (event time, then record identity), so
//! floats come out the same whatever the arrival order. It costs time in proportion to the rows of the window and no state.

use std::{fmt, sync::Arc};

use arrow::{array::ArrayRef, array::RecordBatch, datatypes::DataType};

/// An aggregate over rows.
pub trait RowAggregate: Send + Sync + fmt::Debug {
    /// The answer over `rows`, as a column of one value.
    ///
    /// # Errors
    /// A message for people, when the rows cannot be aggregated.
    fn aggregate(&self, rows: &RecordBatch) -> Result<ArrayRef, String>;
    /// Type of the answer.
    fn data_type(&self) -> &DataType;
}

/// A shared aggregate.
pub type SharedAggregate = Arc<dyn RowAggregate>;
