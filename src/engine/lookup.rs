//! Lookup: records out of the log by arrival number, each as the version that counts.
//!
//! In: arrival numbers that the index found. Out: their rows in the feed's schema; a record as people read it. An entry of
//! the log is read once however many of its rows are asked for, entries side by side.
//! Promise: personal columns leave here masked.

use std::{cmp::Ordering, path::Path};

use arrow::{
    array::{Array, AsArray, RecordBatch, UInt64Array},
    compute::take_record_batch,
    datatypes::Int64Type,
};
use rayon::prelude::*;
use serde_json::{Map, Value};

use super::{
    incoming::content_hash,
    index::{EntryAt, Index, instants, record_id},
    view::EvidenceRecord,
};
use crate::{
    feed::FeedSpec,
    model::{schema::FeedSchema, time::Zone, value::value_at},
    store::{
        log,
        record::{Entry, conform},
    },
};

/// Letters that are shown of a pseudonym: enough to tell people apart, not enough to look one up elsewhere.
const MASKED_CHARS: usize = 6;

/// A row of the log.
#[derive(Debug, Clone)]
pub struct LoggedRow {
    /// Position of the feed.
    pub feed: usize,
    /// Its arrival number.
    pub arrival: u64,
    /// When it arrived.
    pub arrived_ms: i64,
    /// A batch in the feed's schema.
    pub batch: RecordBatch,
    /// Which row of it.
    pub row: usize,
}

/// The entries that hold these arrival numbers, with those of each; numbers that the log does not hold are left out.
#[must_use]
pub fn plan(index: &Index, arrivals: &[u64]) -> Vec<(EntryAt, Vec<u64>)> {
    let mut wanted: Vec<(EntryAt, Vec<u64>)> = Vec::new();
    let mut sorted = arrivals.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    for arrival in sorted {
        match wanted.last_mut() {
            Some((entry, of_entry)) if arrival < entry.first + entry.rows => of_entry.push(arrival),
            _ => wanted.extend(index.entry(arrival).map(|e| (*e, vec![arrival]))),
        }
    }
    wanted
}

/// The rows that [`plan`] found, by arrival number.
///
/// # Errors
/// When the log cannot be read.
pub fn rows(
    dir: &Path,
    specs: &[FeedSpec],
    wanted: &[(EntryAt, Vec<u64>)],
) -> Result<Vec<LoggedRow>, log::Error> {
    let read = wanted.par_iter().map(|(entry, of_entry)| rows_of(dir, specs, entry, of_entry));
    Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Rows of one entry, ascending.
fn rows_of(
    dir: &Path,
    specs: &[FeedSpec],
    entry: &EntryAt,
    arrivals: &[u64],
) -> Result<Vec<LoggedRow>, log::Error> {
    let mut out = Vec::with_capacity(arrivals.len());
    let mut first = entry.first;
    for batch in batches(dir, specs, entry)? {
        let behind = first + batch.num_rows() as u64;
        let from = arrivals.partition_point(|a| *a < first);
        let to = arrivals.partition_point(|a| *a < behind);
        let here = &arrivals[from..to];
        let places = UInt64Array::from_iter_values(here.iter().map(|a| a - first));
        if let Ok(batch) = take_record_batch(&batch, &places) {
            out.extend(here.iter().enumerate().map(|(row, arrival)| LoggedRow {
                feed: entry.feed,
                arrival: *arrival,
                arrived_ms: entry.arrived_ms,
                batch: batch.clone(),
                row,
            }));
        }
        first = behind;
    }
    Ok(out)
}

/// The batches of an entry in the feed's schema. Columns that do not fit any more are empty.
///
/// # Errors
/// When the log cannot be read.
pub fn batches(
    dir: &Path,
    specs: &[FeedSpec],
    entry: &EntryAt,
) -> Result<Vec<RecordBatch>, log::Error> {
    let Entry::Rows(logged) = log::read_at(dir, entry.place)? else { return Ok(Vec::new()) };
    let schema = specs[entry.feed].schema.arrow();
    Ok(logged.batches.iter().filter_map(|rows| conform(rows, schema).ok()).collect())
}

impl LoggedRow {
    /// Its id in the feed.
    #[must_use]
    pub fn id(&self, schema: &FeedSchema) -> String {
        record_id(schema, &self.batch, self.row, self.arrival)
    }

    /// Its event time.
    #[must_use]
    pub fn event_ms(&self, schema: &FeedSchema, zone: &Zone) -> i64 {
        let column = self.batch.column(schema.event_time).slice(self.row, 1);
        instants(&column, zone).and_then(|t| t.first().copied().flatten()).unwrap_or(0)
    }

    /// What the row does: 0 insert, 1 correct, 2 withdraw.
    fn operation(&self, schema: &FeedSchema) -> u8 {
        match schema.op.map(|c| value_at(self.batch.column(c), self.row)) {
            Some(Value::String(op)) if op == "withdraw" => 2,
            Some(Value::String(op)) if op == "correct" => 1,
            _ => 0,
        }
    }

    /// Which of two versions of a record counts: the greater one (see `feed::dedup`).
    fn against(&self, other: &Self, schema: &FeedSchema) -> Ordering {
        let strength = |r: &Self| {
            let number = schema.version.and_then(|c| {
                let column = r.batch.column(c).as_primitive_opt::<Int64Type>()?;
                column.is_valid(r.row).then(|| column.value(r.row))
            });
            (number.unwrap_or(0), r.operation(schema))
        };
        let content = |r: &Self| content_hash(&r.batch, schema.own, r.row);
        strength(self).cmp(&strength(other)).then_with(|| content(self).cmp(&content(other)))
    }
}

/// Of the versions of one record the one that counts, of equal ones the first; `None` without any.
#[must_use]
pub fn winner<'a>(versions: &[&'a LoggedRow], schema: &FeedSchema) -> Option<&'a LoggedRow> {
    let mut best: Option<&LoggedRow> = None;
    for row in versions {
        if best.is_none_or(|b| row.against(b, schema) == Ordering::Greater) {
            best = Some(row);
        }
    }
    best
}

/// A record as people read it: the version that counts of `versions`, which are all of one record.
#[must_use]
pub fn record(versions: &[&LoggedRow], spec: &FeedSpec, zone: &Zone) -> Option<EvidenceRecord> {
    let schema = &spec.schema;
    let row = winner(versions, schema)?;
    let at_ms = row.event_ms(schema, zone);
    let (mut fields, mut masked) = (Map::new(), Vec::new());
    for (i, column) in schema.columns.iter().enumerate() {
        let value = value_at(row.batch.column(i), row.row);
        if value.is_null() {
            continue;
        }
        if column.personal {
            masked.push(column.name.clone());
        }
        fields.insert(column.name.clone(), if column.personal { mask(&value) } else { value });
    }
    Some(EvidenceRecord {
        feed: spec.name().to_owned(),
        record: row.id(schema),
        at: zone.format(at_ms),
        at_ms,
        arrived_at: zone.format(row.arrived_ms),
        arrival: row.arrival,
        versions: versions.len() as u32,
        withdrawn: row.operation(schema) == 2,
        fields,
        masked,
    })
}

fn mask(value: &Value) -> Value {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("{}…", text.chars().take(MASKED_CHARS).collect::<String>()).into()
}
