//! Kernels of the first tier: how a value enters the state words of an entry, how entries merge, what they answer.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder,
        TimestampMillisecondBuilder, new_null_array,
    },
    datatypes::DataType,
};

use crate::pane::{
    plan::Kernel,
    prepare::{ArgValues, FLOAT_FRACTION_BITS, float_of_order},
};

/// When and in which order a row stands for `first` and `last`: event time, then record identity.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Event time.
    pub at_ms: i64,
    /// Breaks ties, the same whatever the arrival order.
    pub tie: i64,
}

/// First word of `first` and `last` where the row is there and its value is NULL.
const NULL_SEEN: i64 = 2;

/// Puts the value of row `row` into `words`; only `first` and `last` ask for its moment.
#[inline]
pub fn add(
    kind: Kernel,
    words: &mut [i64],
    args: &ArgValues,
    row: usize,
    moment: impl FnOnce() -> Moment,
) {
    match (kind, args) {
        (Kernel::NonNull, ArgValues::Presence(nulls)) => {
            words[0] += i64::from(nulls.as_ref().is_none_or(|n| n.is_valid(row)));
        }
        (Kernel::Sum, ArgValues::Fixed(values, nulls)) if valid(nulls.as_ref(), row) => {
            store(words, load(words).wrapping_add(values[row]));
            words[2] += 1;
        }
        (Kernel::Min, ArgValues::Order(values, nulls)) if valid(nulls.as_ref(), row) => {
            words[1] = if words[0] == 0 { values[row] } else { words[1].min(values[row]) };
            words[0] = 1;
        }
        (Kernel::Max, ArgValues::Order(values, nulls)) if valid(nulls.as_ref(), row) => {
            words[1] = if words[0] == 0 { values[row] } else { words[1].max(values[row]) };
            words[0] = 1;
        }
        // As SQL has it: the first row's value, also where that is NULL.
        (Kernel::First | Kernel::Last, ArgValues::Order(values, nulls)) => {
            let seen = if valid(nulls.as_ref(), row) { 1 } else { NULL_SEEN };
            let moment = moment();
            merge(kind, words, &[seen, moment.at_ms, moment.tie, values[row]]);
        }
        _ => {}
    }
}

/// The value of a sum's state, for comparing it with a bound.
#[must_use]
pub fn sum_value(state: &[i64], arg_type: &DataType) -> f64 {
    load(state) as f64 / unit(arg_type)
}

/// How many units of a sum's state make 1.
#[must_use]
pub fn unit(arg_type: &DataType) -> f64 {
    match arg_type {
        DataType::Float64 => (1u64 << FLOAT_FRACTION_BITS) as f64,
        DataType::Decimal128(_, scale) => 10f64.powi(i32::from(*scale)),
        _ => 1.0,
    }
}

/// Takes the value of row `row` off; only for kernels that subtract.
pub fn take(kind: Kernel, words: &mut [i64], args: &ArgValues, row: usize) {
    match (kind, args) {
        (Kernel::NonNull, ArgValues::Presence(nulls)) => {
            words[0] -= i64::from(nulls.as_ref().is_none_or(|n| n.is_valid(row)));
        }
        (Kernel::Sum, ArgValues::Fixed(values, nulls)) if valid(nulls.as_ref(), row) => {
            store(words, load(words).wrapping_sub(values[row]));
            words[2] -= 1;
        }
        _ => {}
    }
}

/// What lies between two running totals; only for kernels that carry.
#[inline]
pub fn difference(kind: Kernel, into: &mut [i64], last: &[i64], before: &[i64]) {
    match kind {
        Kernel::NonNull => into[0] = last[0] - before[0],
        Kernel::Sum => {
            store(into, load(last).wrapping_sub(load(before)));
            into[2] = last[2] - before[2];
        }
        _ => {}
    }
}

/// Merges the words of one entry of its own into `into`; running totals are read by [`difference`].
#[inline]
pub fn merge(kind: Kernel, into: &mut [i64], from: &[i64]) {
    match kind {
        Kernel::Min | Kernel::Max | Kernel::First | Kernel::Last => {
            let better = match kind {
                _ if from[0] == 0 => false,
                _ if into[0] == 0 => true,
                Kernel::Min => from[1] < into[1],
                Kernel::Max => from[1] > into[1],
                Kernel::First => from[1..3] < into[1..3],
                _ => from[1..3] > into[1..3],
            };
            if better {
                into.copy_from_slice(from);
            }
        }
        Kernel::NonNull => into[0] += from[0],
        Kernel::Sum => {
            store(into, load(into).wrapping_add(load(from)));
            into[2] += from[2];
        }
        Kernel::Distinct => {}
    }
}

/// The answers of many keys as a column of `data_type`; `states` holds [`Kernel::words`] words per key.
#[must_use]
pub fn finish(kind: Kernel, data_type: &DataType, states: &[i64]) -> ArrayRef {
    let words = states.chunks_exact(kind.words());
    let n = words.len();
    match kind {
        Kernel::NonNull | Kernel::Distinct => {
            let mut b = Int64Builder::with_capacity(n);
            words.for_each(|w| b.append_value(w[0]));
            Arc::new(b.finish())
        }
        Kernel::Sum => sums(data_type, words),
        Kernel::Min | Kernel::Max => ordered(data_type, words.map(|w| (w[0] == 1).then(|| w[1]))),
        Kernel::First | Kernel::Last => {
            ordered(data_type, words.map(|w| (w[0] == 1).then(|| w[3])))
        }
    }
}

/// Means from sums: `sum / values` as `data_type`.
#[must_use]
pub fn finish_mean(data_type: &DataType, arg_type: &DataType, states: &[i64]) -> ArrayRef {
    let words = states.chunks_exact(Kernel::Sum.words());
    let n = words.len();
    match data_type {
        DataType::Decimal128(p, s) => {
            let from = if let DataType::Decimal128(_, s) = arg_type { *s } else { 0 };
            let unit = 10i128.pow(u32::from((*s - from).unsigned_abs()));
            let mut b = Decimal128Builder::with_capacity(n);
            for w in words {
                b.append_option(
                    (w[2] > 0).then(|| load(w).saturating_mul(unit) / i128::from(w[2])),
                );
            }
            b.with_precision_and_scale(*p, *s).map_or_else(
                |_| new_null_array(data_type, n),
                |mut b| Arc::new(b.finish()) as ArrayRef,
            )
        }
        _ => {
            let mut b = Float64Builder::with_capacity(n);
            let unit = if matches!(arg_type, DataType::Float64) {
                (1u64 << FLOAT_FRACTION_BITS) as f64
            } else {
                1.0
            };
            for w in words {
                b.append_option((w[2] > 0).then(|| load(w) as f64 / unit / w[2] as f64));
            }
            Arc::new(b.finish())
        }
    }
}

fn sums(data_type: &DataType, words: std::slice::ChunksExact<'_, i64>) -> ArrayRef {
    let n = words.len();
    match data_type {
        DataType::Float64 => {
            let mut b = Float64Builder::with_capacity(n);
            for w in words {
                b.append_option(
                    (w[2] > 0).then(|| load(w) as f64 / (1u64 << FLOAT_FRACTION_BITS) as f64),
                );
            }
            Arc::new(b.finish())
        }
        DataType::Decimal128(p, s) => {
            let mut b = Decimal128Builder::with_capacity(n);
            words.for_each(|w| b.append_option((w[2] > 0).then(|| load(w))));
            b.with_precision_and_scale(*p, *s).map_or_else(
                |_| new_null_array(data_type, n),
                |mut b| Arc::new(b.finish()) as ArrayRef,
            )
        }
        _ => {
            let mut b = Int64Builder::with_capacity(n);
            for w in words {
                // SQL's bigint: a sum beyond it saturates instead of wrapping to a small number.
                b.append_option(
                    (w[2] > 0)
                        .then(|| load(w).clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64),
                );
            }
            Arc::new(b.finish())
        }
    }
}

/// A column from order integers.
fn ordered(data_type: &DataType, values: impl ExactSizeIterator<Item = Option<i64>>) -> ArrayRef {
    let n = values.len();
    match data_type {
        DataType::Float64 => {
            let mut b = Float64Builder::with_capacity(n);
            values.for_each(|v| b.append_option(v.map(float_of_order)));
            Arc::new(b.finish())
        }
        DataType::Date32 => {
            let mut b = Date32Builder::with_capacity(n);
            values.for_each(|v| b.append_option(v.map(|v| v as i32)));
            Arc::new(b.finish())
        }
        DataType::Timestamp(_, tz) => {
            let mut b = TimestampMillisecondBuilder::with_capacity(n);
            values.for_each(|v| b.append_option(v));
            Arc::new(b.finish().with_timezone_opt(tz.clone()))
        }
        DataType::Boolean => {
            let mut b = BooleanBuilder::with_capacity(n);
            values.for_each(|v| b.append_option(v.map(|v| v != 0)));
            Arc::new(b.finish())
        }
        DataType::Decimal128(p, s) => {
            let mut b = Decimal128Builder::with_capacity(n);
            values.for_each(|v| b.append_option(v.map(i128::from)));
            b.with_precision_and_scale(*p, *s).map_or_else(
                |_| new_null_array(data_type, n),
                |mut b| Arc::new(b.finish()) as ArrayRef,
            )
        }
        _ => {
            let mut b = Int64Builder::with_capacity(n);
            values.for_each(|v| b.append_option(v));
            Arc::new(b.finish())
        }
    }
}

fn valid(nulls: Option<&arrow::buffer::NullBuffer>, row: usize) -> bool {
    nulls.is_none_or(|n| n.is_valid(row))
}

/// The 128-bit integer in two words, low word first.
fn load(words: &[i64]) -> i128 {
    i128::from(words[1]) << 64 | i128::from(words[0] as u64)
}

fn store(words: &mut [i64], value: i128) {
    words[0] = value as i64;
    words[1] = (value >> 64) as i64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_integers_round_trip() {
        for v in [0i128, -1, 1, i128::from(i64::MAX) + 5, -(1i128 << 100)] {
            let mut w = [0, 0, 0];
            store(&mut w, v);
            assert_eq!(load(&w), v);
        }
    }

    #[test]
    fn min_first_and_last_merge_in_any_order() {
        let rows = [[1, 30, 7, 300], [1, 10, 9, 100], [1, 10, 2, 102], [0, 0, 0, 0]];
        for (kind, expect) in [(Kernel::First, 102), (Kernel::Last, 300)] {
            for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
                let mut into = [0i64; 4];
                for i in order {
                    merge(kind, &mut into, &rows[i]);
                }
                assert_eq!(into[3], expect, "{kind:?} {order:?}");
            }
        }
    }
}
