//! What is computed once per batch, for all rules: event times, panes, filters, key hashes, arguments.
//!
//! In: decoded rows of one feed. Out: [`Prepared`], which says for each row where it goes. Stateless but for caches, so
//! decoding threads do it side by side; nothing here depends on what came before.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    buffer::NullBuffer,
    compute::cast,
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMillisecondType,
    },
};

use super::{
    filter::{Bits, Filters},
    plan::{FeedPlan, Form, Reported},
};
use crate::model::{
    batch::{Batch, RawLines},
    expression::evaluate_rows,
    hash::{combine, hash_column},
    schema::FeedSchema,
    time::{DAY_MS, Zone},
};

/// Rows of one batch as long as they are kept.
#[derive(Debug)]
pub struct Rows {
    /// The feed.
    pub feed: usize,
    /// The rows in the feed's schema.
    pub batch: RecordBatch,
    /// Event time of each row.
    pub event_ms: Vec<i64>,
    /// 128-bit hash of each row's record id; empty where the feed names none.
    pub ids: Vec<u128>,
    /// The filters each row passes.
    pub bits: Bits,
    /// Pane of each row, by lane; [`NO_PANE`] where the time is missing.
    pub panes: Vec<Vec<i32>>,
}

/// A batch and where each of its rows goes.
#[derive(Debug)]
pub struct Prepared {
    /// The rows.
    pub rows: Arc<Rows>,
    /// Partition they came from.
    pub partition: Arc<str>,
    /// Line numbers in the source.
    pub lines: Arc<[u64]>,
    /// Bytes in the source.
    pub raw: Option<Arc<RawLines>>,
    /// By keying.
    pub keys: Vec<Keys>,
    /// By argument.
    pub args: Vec<ArgValues>,
    /// By look-up: the state of its table when it was asked.
    pub generations: Vec<u64>,
    /// Rows × atoms that could not be evaluated.
    pub failures: u64,
}

/// The pane of a row whose time column is NULL, or whose reporting delay the lane does not take.
pub const NO_PANE: i32 = i32::MIN;

/// One key of each row.
#[derive(Debug)]
pub struct Keys {
    /// Hash of the key's values.
    pub hashes: Vec<u128>,
    /// Rows whose key is complete; `None`: all.
    pub complete: Option<NullBuffer>,
    /// The key's columns, to read values from.
    pub columns: Vec<ArrayRef>,
}

/// Values of an argument in the form its kernels want.
#[derive(Debug)]
pub enum ArgValues {
    /// [`Form::Presence`]
    Presence(Option<NullBuffer>),
    /// [`Form::Order`]
    Order(Vec<i64>, Option<NullBuffer>),
    /// [`Form::Fixed`]
    Fixed(Vec<i128>, Option<NullBuffer>),
    /// [`Form::Identity`]
    Identity(Vec<u128>, Option<NullBuffer>),
}

/// Prepares batches of one feed.
#[derive(Debug)]
pub struct Preparer {
    schema: Arc<FeedSchema>,
    plan: Arc<FeedPlan>,
    zone: Zone,
    filters: Filters,
}

impl Preparer {
    /// A preparer for rows of `schema`.
    #[must_use]
    pub fn new(schema: Arc<FeedSchema>, plan: Arc<FeedPlan>, zone: Zone) -> Self {
        let filters = Filters::new(&plan, schema.arrow());
        Self { schema, plan, zone, filters }
    }

    /// Computes everything about `batch` that does not depend on other batches.
    #[must_use]
    pub fn prepare(&mut self, mut batch: Batch) -> Prepared {
        // Asked before the look-up, so that a change in between is seen.
        let looks = self.plan.looks.iter();
        let generations = looks.map(|look| look.dimension.generation()).collect();
        batch.rows = join(&self.schema, &self.plan, batch.rows);
        let rows = &batch.rows;
        let event_ms = time_values(rows.column(self.schema.event_time), &self.zone);
        let mut ids = Vec::new();
        for (i, column) in self.schema.record_id.iter().enumerate() {
            let next = hash_column(rows.column(*column));
            if i == 0 { ids = next } else { combine(&mut ids, &next) }
        }
        let panes = self
            .plan
            .lanes
            .iter()
            .map(|lane| {
                let column = rows.column(lane.time);
                let own;
                let ms = if lane.time == self.schema.event_time {
                    &event_ms
                } else {
                    own = time_values(column, &self.zone);
                    &own
                };
                let zone = &self.zone;
                let pane = |(i, t): (usize, &i64)| {
                    if column.is_null(i) {
                        return NO_PANE;
                    }
                    let local = zone.to_local(*t);
                    let takes = |r: Reported| r.holds(local, zone.to_local(event_ms[i]));
                    if lane.reported.is_none_or(takes) { lane.grid.pane(local) } else { NO_PANE }
                };
                ms.iter().enumerate().map(pane).collect()
            })
            .collect();
        let mut failures = 0;
        let keys = self.plan.keyings.iter().map(|k| {
            let columns: Vec<ArrayRef> = k
                .columns
                .iter()
                .map(|e| {
                    let (values, failed) = evaluate_rows(e.as_ref(), rows);
                    failures += failed;
                    values
                })
                .collect();
            let mut hashes =
                columns.first().map(hash_column).unwrap_or_else(|| vec![0; rows.num_rows()]);
            for c in columns.iter().skip(1) {
                combine(&mut hashes, &hash_column(c));
            }
            let complete = if k.keep_null {
                None
            } else {
                columns.iter().fold(None, |all, c| NullBuffer::union(all.as_ref(), c.nulls()))
            };
            Keys { hashes, complete: complete.filter(|c| c.null_count() > 0), columns }
        });
        let keys = keys.collect();
        let args = self.plan.args.iter().map(|a| {
            let (values, failed) = evaluate_rows(a.value.as_ref(), rows);
            failures += failed;
            arg_values(&values, a.form)
        });
        let args = args.collect();
        let bits = self.filters.select(rows);
        failures += std::mem::take(&mut self.filters.failures);
        Prepared {
            rows: Arc::new(Rows {
                feed: batch.feed,
                batch: batch.rows,
                event_ms,
                ids,
                bits,
                panes,
            }),
            partition: batch.partition,
            lines: batch.lines,
            raw: batch.raw,
            keys,
            args,
            generations,
            failures,
        }
    }
}

/// The rows of a feed with the columns that are joined to them, in `schema`; rows that have them already stay as they are.
#[must_use]
pub fn join(schema: &FeedSchema, plan: &FeedPlan, rows: RecordBatch) -> RecordBatch {
    if plan.joins.is_empty() || rows.num_columns() > schema.own {
        return rows;
    }
    let mut columns = rows.columns().to_vec();
    columns.extend(plan.joins.iter().flat_map(|j| j.columns(&rows)));
    RecordBatch::try_new(schema.arrow().clone(), columns).unwrap_or(rows)
}

/// Instants of a `date` or `timestamp` column; a date is the start of that day in the zone.
#[must_use]
pub fn time_values(values: &ArrayRef, zone: &Zone) -> Vec<i64> {
    match values.data_type() {
        DataType::Date32 => values
            .as_primitive::<Date32Type>()
            .values()
            .iter()
            .map(|d| zone.to_utc(i64::from(*d) * DAY_MS))
            .collect(),
        DataType::Timestamp(..) => {
            values.as_primitive::<TimestampMillisecondType>().values().to_vec()
        }
        _ => vec![0; values.len()],
    }
}

/// The values in the form a kernel wants.
#[must_use]
pub fn arg_values(values: &ArrayRef, form: Form) -> ArgValues {
    let nulls = values.nulls().filter(|n| n.null_count() > 0).cloned();
    match form {
        Form::Presence => ArgValues::Presence(nulls),
        Form::Order => ArgValues::Order(order_values(values), nulls),
        Form::Fixed => ArgValues::Fixed(fixed_values(values), nulls),
        Form::Identity => ArgValues::Identity(hash_column(values), nulls),
    }
}

/// Integers that order like the values.
fn order_values(values: &ArrayRef) -> Vec<i64> {
    match values.data_type() {
        DataType::Int64 => values.as_primitive::<Int64Type>().values().to_vec(),
        DataType::Float64 => values
            .as_primitive::<Float64Type>()
            .values()
            .iter()
            .map(|v| order_of_float(*v))
            .collect(),
        DataType::Date32 => {
            values.as_primitive::<Date32Type>().values().iter().map(|v| i64::from(*v)).collect()
        }
        DataType::Timestamp(..) => {
            values.as_primitive::<TimestampMillisecondType>().values().to_vec()
        }
        DataType::Boolean => {
            let a = values.as_boolean();
            (0..a.len()).map(|i| i64::from(a.value(i))).collect()
        }
        DataType::Decimal128(..) => {
            values.as_primitive::<Decimal128Type>().values().iter().map(|v| *v as i64).collect()
        }
        _ => match cast(values, &DataType::Int64) {
            Ok(v) => v.as_primitive::<Int64Type>().values().to_vec(),
            Err(_) => vec![0; values.len()],
        },
    }
}

/// The integer that orders like a float in IEEE 754 total order; its own inverse is [`float_of_order`].
fn order_of_float(v: f64) -> i64 {
    let bits = v.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// The float of its order integer.
#[must_use]
pub fn float_of_order(v: i64) -> f64 {
    f64::from_bits((v ^ (((v >> 63) as u64) >> 1) as i64) as u64)
}

/// Fractional bits of floats in sums: exact for |x| ≥ 2⁻⁸, and then sums do not depend on the order of their terms.
pub const FLOAT_FRACTION_BITS: u32 = 60;

fn fixed_values(values: &ArrayRef) -> Vec<i128> {
    match values.data_type() {
        DataType::Int64 => {
            values.as_primitive::<Int64Type>().values().iter().map(|v| i128::from(*v)).collect()
        }
        DataType::Decimal128(..) => values.as_primitive::<Decimal128Type>().values().to_vec(),
        DataType::Float64 => values
            .as_primitive::<Float64Type>()
            .values()
            .iter()
            .map(|v| fixed_of_float(*v))
            .collect(),
        _ => match cast(values, &DataType::Int64) {
            Ok(v) => {
                v.as_primitive::<Int64Type>().values().iter().map(|v| i128::from(*v)).collect()
            }
            Err(_) => vec![0; values.len()],
        },
    }
}

/// A float in units of 2⁻⁶⁰, rounded to the nearest; saturates beyond ±2⁶⁷, NaN is 0.
fn fixed_of_float(v: f64) -> i128 {
    let scaled = v * (1u64 << FLOAT_FRACTION_BITS) as f64;
    scaled.round_ties_even() as i128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_integers_order_like_floats() {
        let floats = [f64::NEG_INFINITY, -1e300, -1.5, -0.0, 0.0, 1e-300, 2.5, f64::INFINITY];
        for pair in floats.windows(2) {
            assert!(order_of_float(pair[0]) < order_of_float(pair[1]), "{pair:?}");
        }
        for f in floats {
            assert_eq!(float_of_order(order_of_float(f)).to_bits(), f.to_bits());
        }
    }

    #[test]
    fn fixed_sums_do_not_depend_on_order() {
        let terms = [1e15, 0.1, -1e15, 0.2, 1e-3];
        let forward: i128 = terms.iter().map(|v| fixed_of_float(*v)).sum();
        let backward: i128 = terms.iter().rev().map(|v| fixed_of_float(*v)).sum();
        assert_eq!(forward, backward);
        assert!((forward as f64 / (1u64 << FLOAT_FRACTION_BITS) as f64 - 0.301).abs() < 1e-12);
    }
}
