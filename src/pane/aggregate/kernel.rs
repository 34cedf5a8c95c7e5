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
        (Kernel::Sum | Kernel::WholeSum, ArgValues::Fixed(values, nulls))
            if valid(nulls.as_ref(), row) =>
        {
            let (sum, n) = load(kind, words);
            store(kind, words, (sum.wrapping_add(values[row]), n.wrapping_add(1)));
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
pub fn sum_value(kind: Kernel, state: &[i64], arg_type: &DataType) -> f64 {
    load(kind, state).0 as f64 / unit(arg_type)
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
        (Kernel::Sum | Kernel::WholeSum, ArgValues::Fixed(values, nulls))
            if valid(nulls.as_ref(), row) =>
        {
            let (sum, n) = load(kind, words);
            store(kind, words, (sum.wrapping_sub(values[row]), n.wrapping_sub(1)));
        }
        _ => {}
    }
}

/// What lies between two running totals; only for kernels that carry.
#[inline]
pub fn difference(kind: Kernel, into: &mut [i64], last: &[i64], before: &[i64]) {
    match kind {
        Kernel::NonNull => into[0] = last[0] - before[0],
        Kernel::Sum | Kernel::WholeSum => {
            let (last, before) = (load(kind, last), load(kind, before));
            store(kind, into, (last.0.wrapping_sub(before.0), last.1.wrapping_sub(before.1)));
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
        Kernel::Sum | Kernel::WholeSum => {
            let (a, b) = (load(kind, into), load(kind, from));
            store(kind, into, (a.0.wrapping_add(b.0), a.1.wrapping_add(b.1)));
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
        Kernel::Sum | Kernel::WholeSum => sums(data_type, words.map(|w| load(kind, w))),
        Kernel::Min | Kernel::Max => ordered(data_type, words.map(|w| (w[0] == 1).then(|| w[1]))),
        Kernel::First | Kernel::Last => {
            ordered(data_type, words.map(|w| (w[0] == 1).then(|| w[3])))
        }
    }
}

/// Means from sums: `sum / values` as `data_type`.
#[must_use]
pub fn finish_mean(
    kind: Kernel,
    data_type: &DataType,
    arg_type: &DataType,
    states: &[i64],
) -> ArrayRef {
    let sums = states.chunks_exact(kind.words()).map(|words| load(kind, words));
    let n = sums.len();
    match data_type {
        DataType::Decimal128(p, s) => {
            let from = if let DataType::Decimal128(_, s) = arg_type { *s } else { 0 };
            let unit = 10i128.pow(u32::from((*s - from).unsigned_abs()));
            let mut b = Decimal128Builder::with_capacity(n);
            for (sum, values) in sums {
                let mean = || sum.saturating_mul(unit) / i128::from(values);
                b.append_option((values > 0).then(mean));
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
            for (sum, values) in sums {
                b.append_option((values > 0).then(|| sum as f64 / unit / values as f64));
            }
            Arc::new(b.finish())
        }
    }
}

/// A column from sums and their numbers of values.
fn sums(data_type: &DataType, sums: impl ExactSizeIterator<Item = (i128, i64)>) -> ArrayRef {
    let n = sums.len();
    let sums = sums.map(|(sum, values)| (values > 0).then_some(sum));
    match data_type {
        DataType::Float64 => {
            let mut b = Float64Builder::with_capacity(n);
            let float = |sum| sum as f64 / (1u64 << FLOAT_FRACTION_BITS) as f64;
            sums.for_each(|sum: Option<i128>| b.append_option(sum.map(float)));
            Arc::new(b.finish())
        }
        DataType::Decimal128(p, s) => {
            let mut b = Decimal128Builder::with_capacity(n);
            sums.for_each(|sum| b.append_option(sum));
            b.with_precision_and_scale(*p, *s).map_or_else(
                |_| new_null_array(data_type, n),
                |mut b| Arc::new(b.finish()) as ArrayRef,
            )
        }
        _ => {
            let mut b = Int64Builder::with_capacity(n);
            // SQL's bigint: a sum beyond it saturates instead of wrapping to a small number.
            let whole = |sum: i128| sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
            sums.for_each(|sum| b.append_option(sum.map(whole)));
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

/// Sum and number of values. Low bits of the sum come first; of a whole sum the number stands below the high ones.
#[inline]
fn load(kind: Kernel, words: &[i64]) -> (i128, i64) {
    let low = i128::from(words[0] as u64);
    match kind {
        Kernel::WholeSum => (i128::from(words[1] >> 32) << 64 | low, i64::from(words[1] as u32)),
        _ => (i128::from(words[1]) << 64 | low, words[2]),
    }
}

#[inline]
fn store(kind: Kernel, words: &mut [i64], (sum, values): (i128, i64)) {
    words[0] = sum as i64;
    match kind {
        Kernel::WholeSum => words[1] = ((sum >> 64) as i64) << 32 | i64::from(values as u32),
        _ => {
            words[1] = (sum >> 64) as i64;
            words[2] = values;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_integers_round_trip() {
        for v in [0i128, -1, 1, i128::from(i64::MAX) + 5, -(1i128 << 94), -(1i128 << 100)] {
            for (kind, bits) in [(Kernel::WholeSum, 96), (Kernel::Sum, 128)] {
                let mut w = vec![0; kind.words()];
                store(kind, &mut w, (v, 7));
                if v.unsigned_abs() >> (bits - 1) == 0 {
                    assert_eq!(load(kind, &w), (v, 7), "{kind:?}");
                }
            }
        }
    }

    #[test]
    fn running_totals_beyond_what_they_hold_differ_rightly() {
        for kind in [Kernel::WholeSum, Kernel::Sum] {
            let args = ArgValues::Fixed(vec![i128::from(i64::MAX), -3, i128::from(i64::MIN)], None);
            let mut before = vec![-1, -1, -1];
            before.truncate(kind.words());
            let mut last = before.clone();
            let moment = || Moment { at_ms: 0, tie: 0 };
            [0, 0, 1].iter().for_each(|row| add(kind, &mut last, &args, *row, moment));
            let mut window = vec![0; kind.words()];
            difference(kind, &mut window, &last, &before);
            assert_eq!(load(kind, &window), (2 * i128::from(i64::MAX) - 3, 3), "{kind:?}");
            take(kind, &mut last, &args, 0);
            difference(kind, &mut window, &last, &before);
            assert_eq!(load(kind, &window), (i128::from(i64::MAX) - 3, 2), "{kind:?}");
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
