//! Joined columns: what reference tables say of the rows of a feed.
//!
//! Made in `rule::join`, run where rows are prepared. The columns are put behind the feed's own once, when a row comes in;
//! whatever reads the row later finds what it saw then.

use std::{fmt, sync::Arc};

use arrow::array::{ArrayRef, RecordBatch};

/// Looks rows up in one table.
pub trait Join: Send + Sync + fmt::Debug {
    /// The joined columns: each with one value per row of `rows`, NULL where the table says nothing of it.
    fn columns(&self, rows: &RecordBatch) -> Vec<ArrayRef>;
}

/// A shared join.
pub type Joining = Arc<dyn Join>;
