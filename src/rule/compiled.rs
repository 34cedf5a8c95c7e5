//! A DataFusion expression behind the trait that the rest of the engine sees.

use std::{fmt, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch},
    compute::cast,
    datatypes::DataType,
};
use datafusion::{
    common::{
        DFSchema,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Expr, ExprSchemable},
    physical_expr::{PhysicalExpr, expressions::Column},
};

use super::{expr::Compiler, join};
use crate::model::expression::{Evaluate, Expression};

/// A compiled expression.
pub struct Compiled {
    physical: Arc<dyn PhysicalExpr>,
    data_type: DataType,
    column: Option<usize>,
    columns: Vec<usize>,
    sql: String,
}

impl Compiled {
    /// Binds `expr` to the columns of `schema`; `renamed` are columns that its text calls by another name.
    ///
    /// # Errors
    /// What DataFusion says, for people.
    pub fn bind(
        compiler: &Compiler,
        expr: &Expr,
        schema: &DFSchema,
        renamed: &[(String, String)],
    ) -> Result<Expression, String> {
        let text = |e: datafusion::error::DataFusionError| e.strip_backtrace();
        let data_type = expr.get_type(schema).map_err(text)?;
        let physical = compiler.physical(expr, schema).map_err(text)?;
        let column = physical.downcast_ref::<Column>().map(Column::index);
        let mut columns = Vec::new();
        physical
            .apply(|e| {
                if let Some(c) = e.downcast_ref::<Column>() {
                    columns.push(c.index());
                }
                Ok(TreeNodeRecursion::Continue)
            })
            .map_err(text)?;
        columns.sort_unstable();
        columns.dedup();
        let sql = join::rename(expr.to_string(), renamed);
        Ok(Arc::new(Self { physical, data_type, column, columns, sql }))
    }
}

impl Evaluate for Compiled {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef, String> {
        let values = self
            .physical
            .evaluate(rows)
            .and_then(|v| v.into_array(rows.num_rows()))
            .map_err(|e| e.strip_backtrace())?;
        match values.data_type() {
            // The engine knows one text type.
            DataType::Utf8View | DataType::LargeUtf8 => {
                cast(&values, &DataType::Utf8).map_err(|e| e.to_string())
            }
            _ => Ok(values),
        }
    }

    fn data_type(&self) -> &DataType {
        &self.data_type
    }

    fn column(&self) -> Option<usize> {
        self.column
    }

    fn sql(&self) -> &str {
        &self.sql
    }

    fn columns(&self) -> &[usize] {
        &self.columns
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compiled({})", self.sql)
    }
}
