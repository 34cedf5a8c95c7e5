//! Second tier: any aggregate of the SQL engine, computed from a window's rows when it is asked for.
//!
//! Exact and correctable by construction: the rows are read in one canonical order (event time, then record identity), so
//! floats come out the same whatever the arrival order. It costs time in proportion to the rows of the window and no state.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::DataType,
};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

/// An aggregate over rows.
#[derive(Debug, Clone)]
pub struct RowAggregate {
    function: Arc<AggregateFunctionExpr>,
    data_type: DataType,
}

impl RowAggregate {
    /// The aggregate that this lowered expression describes, over rows of the schema it was lowered for.
    #[must_use]
    pub fn new(function: Arc<AggregateFunctionExpr>) -> Self {
        let data_type = function.field().data_type().clone();
        Self { function, data_type }
    }

    /// The answer over `rows`, as a column of one value.
    ///
    /// # Errors
    /// A message for people, when the rows cannot be aggregated.
    pub fn aggregate(&self, rows: &RecordBatch) -> Result<ArrayRef, String> {
        let text = |e: datafusion::error::DataFusionError| e.strip_backtrace();
        let mut accumulator = self.function.create_accumulator().map_err(text)?;
        let mut inputs = Vec::new();
        let order = self.function.order_bys().iter().map(|o| o.expr.clone());
        for expression in self.function.expressions().into_iter().chain(order) {
            let value = expression.evaluate(rows).map_err(text)?;
            inputs.push(value.into_array(rows.num_rows()).map_err(text)?);
        }
        accumulator.update_batch(&inputs).map_err(text)?;
        accumulator.evaluate().and_then(|v| v.to_array()).map_err(text)
    }

    /// Type of the answer.
    #[must_use]
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }
}
