//! Columns of answers: from states of kernels, in the types and schemas that a rule's plan names.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array,
    },
    compute::{cast, interleave, take},
    datatypes::{DataType, SchemaRef},
};
use serde_json::Value;

use crate::{
    model::value::value_at,
    pane::{aggregate::kernel, plan::Kernel},
    rule::plan::{Aggregate, Read, RulePlan},
};

/// One row of values as JSON, in the order of the value schema.
#[must_use]
pub fn row_values(batch: &RecordBatch, row: usize) -> Box<[Value]> {
    batch.columns().iter().map(|c| value_at(c, row)).collect()
}

pub(super) fn finish(aggregate: &Aggregate, kind: Kernel, states: &[i64]) -> ArrayRef {
    match &aggregate.read {
        Read::Mean(_, arg_type) => {
            kernel::finish_mean(kind, &aggregate.data_type, arg_type, states)
        }
        _ => {
            let column = kernel::finish(kind, &aggregate.data_type, states);
            if aggregate.zero && column.null_count() > 0 { zeroed(&column) } else { column }
        }
    }
}

/// NULLs of a sum over no rows become 0: a quiet key has 0, not nothing.
fn zeroed(column: &ArrayRef) -> ArrayRef {
    let zero = cast(&(Arc::new(Int64Array::from(vec![0])) as ArrayRef), column.data_type());
    match zero {
        Ok(zero) => {
            let indices: Vec<(usize, usize)> = (0..column.len())
                .map(|i| if column.is_null(i) { (1, 0) } else { (0, i) })
                .collect();
            interleave(&[column.as_ref(), zero.as_ref()], &indices)
                .unwrap_or_else(|_| column.clone())
        }
        Err(_) => column.clone(),
    }
}

/// A column of one value as one of `n`.
pub(super) fn repeated(one: &ArrayRef, n: usize) -> ArrayRef {
    take(one.as_ref(), &UInt32Array::from(vec![0; n]), None)
        .unwrap_or_else(|_| new_null_array(one.data_type(), n))
}

pub(super) fn as_type(column: ArrayRef, data_type: &DataType) -> ArrayRef {
    if column.data_type() == data_type {
        return column;
    }
    cast(&column, data_type).unwrap_or_else(|_| new_null_array(data_type, column.len()))
}

pub(in crate::rule) fn aggregate_batch(
    rule: &RulePlan,
    columns: Vec<ArrayRef>,
    n: usize,
) -> RecordBatch {
    new_batch(&rule.aggregate_schema, columns, n)
}

pub(super) fn batch_of(rule: &RulePlan, columns: Vec<ArrayRef>, n: usize) -> RecordBatch {
    new_batch(&rule.value_schema, columns, n)
}

fn new_batch(schema: &SchemaRef, columns: Vec<ArrayRef>, n: usize) -> RecordBatch {
    let columns =
        columns.into_iter().zip(schema.fields()).map(|(c, f)| as_type(c, f.data_type())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(n));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .unwrap_or_else(|_| RecordBatch::new_empty(schema.clone()))
}
