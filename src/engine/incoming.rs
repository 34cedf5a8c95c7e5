//! A batch on its way in: its rows are looked at one by one, and cut into the pieces that are added together.
//!
//! In: a prepared batch. Out: the version of each row, and pieces: runs of rows that stand between two changes of the past
//! or two closed windows. A row that is refused stays in its piece and is passed over there.

use std::{ops::Range, sync::Arc};

use arrow::array::{Array, Int64Array, RecordBatch, StringArray};

use crate::{
    feed::{
        dedup::{Operation, Version},
        parts::records,
    },
    model::{
        hash::{combine, hash_column},
        schema::FeedSchema,
        value::value_at,
    },
    pane::{kept::Piece, prepare::Prepared},
};

/// One batch of the arrival in work.
pub(super) struct Incoming {
    pub(super) prepared: Arc<Prepared>,
    /// Position of its partition in its feed.
    pub(super) partition: usize,
    /// Number of the piece that is being gathered.
    pub(super) piece: u64,
    versions: Versions,
    /// Where records have several rows: runs of rows of one version of a record, with its identity and the row behind them.
    runs: Option<Vec<(u128, u32)>>,
    /// Whether a row of it was looked at; the first one is where its pieces begin.
    started: bool,
    /// First row not yet in a piece.
    from: u32,
    /// Behind the last row looked at.
    to: u32,
    refused: Vec<bool>,
    arrivals: Vec<u64>,
    arrived_ms: Vec<i64>,
}

/// Version and operation columns of a batch.
struct Versions {
    number: Option<Int64Array>,
    operation: Option<StringArray>,
}

impl Incoming {
    pub(super) fn new(
        prepared: Arc<Prepared>,
        schema: &FeedSchema,
        partition: usize,
        piece: u64,
    ) -> Self {
        let n = prepared.rows.event_ms.len();
        let versions = Versions::of(schema, &prepared);
        Self {
            partition,
            piece,
            runs: records(schema, &prepared.rows.batch).map(|r| runs(&r, &versions)),
            versions,
            started: false,
            from: 0,
            to: 0,
            refused: vec![false; n],
            arrivals: vec![0; n],
            arrived_ms: vec![0; n],
            prepared,
        }
    }

    /// Position of its feed.
    pub(super) fn feed(&self) -> usize {
        self.prepared.rows.feed
    }

    /// The next row to be looked at; returns its event time.
    pub(super) fn look(&mut self, row: u32, (arrival, arrived_ms): (u64, i64)) -> i64 {
        let r = row as usize;
        if !self.started {
            (self.started, self.from) = (true, row);
        }
        (self.arrivals[r], self.arrived_ms[r], self.to) = (arrival, arrived_ms, row + 1);
        self.prepared.rows.event_ms[r]
    }

    /// Leaves a row out of what is added.
    pub(super) fn refuse(&mut self, row: u32) {
        self.refused[row as usize] = true;
    }

    /// Ends what is gathered before a row that was looked at.
    pub(super) fn end_before(&mut self, row: u32) {
        self.to = row;
    }

    /// Goes on with this row alone.
    pub(super) fn only(&mut self, row: u32) {
        (self.from, self.to) = (row, row + 1);
    }

    /// Whether rows were looked at that are in no piece yet.
    pub(super) fn has_rows(&self) -> bool {
        self.to > self.from
    }

    /// Cuts the rows looked at since the last piece into one; the next one gets number `next`.
    pub(super) fn cut(&mut self, next: u64) -> Piece {
        let range = self.from as usize..self.to as usize;
        let any_refused = self.refused[range.clone()].iter().any(|r| *r);
        let rows = self.prepared.rows.clone();
        let piece = Piece {
            number: self.piece,
            from: self.from,
            to: self.to,
            arrivals: self.arrivals[range.clone()].to_vec(),
            arrived_ms: self.arrived_ms[range.clone()].to_vec(),
            refused: if any_refused { self.refused[range.clone()].to_vec() } else { Vec::new() },
            last_ms: rows.event_ms[range].iter().copied().max().unwrap_or(i64::MIN),
            rows,
        };
        (self.from, self.piece) = (self.to, next);
        piece
    }

    /// The version of a row, which is in the piece being gathered.
    pub(super) fn version(&self, row: u32) -> Version {
        let r = row as usize;
        self.versions.of_row(r, (self.piece, row), self.prepared.rows.event_ms[r])
    }

    /// The record of a row and the rows of its version that stand together here, where records have several rows.
    pub(super) fn record(&self, row: u32) -> Option<(u128, Range<usize>)> {
        let runs = self.runs.as_ref()?;
        let i = runs.partition_point(|(_, to)| *to <= row);
        let from = i.checked_sub(1).map_or(0, |before| runs[before].1);
        let (record, to) = *runs.get(i)?;
        Some((record, from as usize..to as usize))
    }

    /// The row as it came, or as a line of NDJSON where it came in columns.
    pub(super) fn raw(&self, schema: &FeedSchema, row: u32) -> Vec<u8> {
        let p = &self.prepared;
        match &p.raw {
            Some(raw) => raw.row(row as usize),
            None => row_json(schema, &p.rows.batch, row as usize),
        }
    }
}

impl Versions {
    fn of(schema: &FeedSchema, prepared: &Prepared) -> Self {
        let column = |c: Option<usize>| c.map(|c| prepared.rows.batch.column(c).clone());
        let number =
            column(schema.version).and_then(|c| c.as_any().downcast_ref::<Int64Array>().cloned());
        let operation =
            column(schema.op).and_then(|c| c.as_any().downcast_ref::<StringArray>().cloned());
        Self { number, operation }
    }

    fn of_row(&self, row: usize, place: (u64, u32), event_ms: i64) -> Version {
        let number = self.number.as_ref().filter(|n| n.is_valid(row)).map_or(0, |n| n.value(row));
        let operation =
            match self.operation.as_ref().filter(|o| o.is_valid(row)).map(|o| o.value(row)) {
                Some("withdraw") => Operation::Withdraw,
                Some("correct") => Operation::Correct,
                _ => Operation::Insert,
            };
        Version { number, operation, place, event_ms }
    }
}

/// Runs of rows of one version of one record, with the row behind each.
fn runs(records: &[u128], versions: &Versions) -> Vec<(u128, u32)> {
    let strength = |row: usize| {
        let version = versions.of_row(row, (0, 0), 0);
        (version.number, version.operation)
    };
    let ends = |row: &usize| {
        let next = row + 1;
        next == records.len() || records[next] != records[*row] || strength(next) != strength(*row)
    };
    (0..records.len()).filter(ends).map(|row| (records[row], row as u32 + 1)).collect()
}

/// Hash of a row's whole content, its first `columns`, which came with it: what decides between equal versions.
pub(super) fn content_hash(batch: &RecordBatch, columns: usize, row: usize) -> u128 {
    let one = batch.slice(row, 1);
    let mut hash = vec![0u128];
    for column in one.columns().iter().take(columns) {
        combine(&mut hash, &hash_column(column));
    }
    hash[0]
}

/// A row of a columnar source as one line of NDJSON.
fn row_json(schema: &FeedSchema, batch: &RecordBatch, row: usize) -> Vec<u8> {
    let values = schema
        .columns
        .iter()
        .enumerate()
        .map(|(i, c)| (c.name.clone(), value_at(batch.column(i), row)))
        .collect();
    let mut line = serde_json::Value::Object(values).to_string().into_bytes();
    line.push(b'\n');
    line
}
