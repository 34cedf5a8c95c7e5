//! One value of a column as JSON, and columns from JSON: what keys, signals and alerts show.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
        new_null_array,
    },
    compute::cast,
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, SchemaRef,
        TimestampMillisecondType, UInt64Type,
    },
};
use serde_json::Value;

use super::time::{Zone, format_day};

/// The value of row `row`: integers as integers, decimals and floats as numbers, dates as `2026-03-05`, instants as
/// RFC 3339 in UTC, lists as arrays, NULL and NaN as null.
#[must_use]
pub fn value_at(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::Utf8View => column.as_string_view().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Decimal128(_, scale) => {
            decimal(column.as_primitive::<Decimal128Type>().value(row), *scale)
        }
        DataType::Date32 => format_day(column.as_primitive::<Date32Type>().value(row)).into(),
        DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, _) => {
            Zone::utc().format(column.as_primitive::<TimestampMillisecondType>().value(row)).into()
        }
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            Value::Array((0..items.len()).map(|i| value_at(&items, i)).collect())
        }
        _ => match cast(&column.slice(row, 1), &DataType::Utf8) {
            Ok(text) if !text.is_null(0) => text.as_string::<i32>().value(0).into(),
            _ => Value::Null,
        },
    }
}

/// Appends a row as JSON text; `names` are the columns' names as JSON text with a colon behind.
pub fn write_row(out: &mut String, names: &[String], batch: &RecordBatch, row: usize) {
    use std::fmt::Write as _;
    for (i, (name, column)) in names.iter().zip(batch.columns()).enumerate() {
        out.push(if i == 0 { '{' } else { ',' });
        out.push_str(name);
        match column.data_type() {
            DataType::Int64 if column.is_valid(row) => {
                let _ = write!(out, "{}", column.as_primitive::<Int64Type>().value(row));
            }
            _ => {
                let _ = write!(out, "{}", value_at(column, row));
            }
        }
    }
    out.push_str(if names.is_empty() { "{}" } else { "}" });
}

/// A batch of one row from JSON values in the order of `schema`; a value that does not fit its column is NULL.
#[must_use]
pub fn row_from_values(schema: &SchemaRef, values: &[Value]) -> Option<RecordBatch> {
    let columns = schema.fields().iter().zip(values).map(|(field, value)| {
        let column: ArrayRef = match value {
            Value::Bool(b) => Arc::new(BooleanArray::from(vec![*b])),
            Value::Number(n) => match n.as_i64() {
                Some(n) => Arc::new(Int64Array::from(vec![n])),
                None => Arc::new(Float64Array::from(vec![n.as_f64()])),
            },
            Value::String(s) => Arc::new(StringArray::from(vec![s.as_str()])),
            _ => new_null_array(field.data_type(), 1),
        };
        cast(&column, field.data_type()).unwrap_or_else(|_| new_null_array(field.data_type(), 1))
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).ok()
}

fn float(v: f64) -> Value {
    serde_json::Number::from_f64(v).map_or(Value::Null, Value::Number)
}

/// A decimal as the JSON number that prints its digits: an integer where nothing stands behind the point.
fn decimal(value: i128, scale: i8) -> Value {
    if scale <= 0 {
        return i64::try_from(value).map_or_else(|_| float(value as f64), Value::from);
    }
    let unit = 10i128.pow(u32::from(scale.unsigned_abs()));
    if value % unit == 0
        && let Ok(whole) = i64::try_from(value / unit)
    {
        return whole.into();
    }
    // The shortest float text of a decimal below 2⁵³ units is the decimal itself.
    float(value as f64 / unit as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_digits() {
        for (value, scale, text) in [
            (1250, 2, "12.5"),
            (1200, 2, "12"),
            (-5, 1, "-0.5"),
            (12_345_678_901, 2, "123456789.01"),
        ] {
            assert_eq!(decimal(value, scale).to_string(), text);
        }
    }
}
