//! Rows that windows can still ask for, and which of them belong to a key.
//!
//! Kept as long as any window or correction can need them: for evidence, for the record that made a condition true, for
//! aggregates that cannot subtract, and for the second tier. The index costs eight bytes per row and key; it is sorted
//! the first time somebody asks.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use arrow::{array::RecordBatch, compute::interleave_record_batch};
use hashbrown::{HashMap, HashSet};

use super::{prepare::Rows, slice::NO_KEY};

/// Rows `[from, to)` of a batch as they were admitted together.
#[derive(Debug)]
pub struct Piece {
    /// Number of the piece, ascending in order of admission.
    pub number: u64,
    /// The batch.
    pub rows: Arc<Rows>,
    /// First row.
    pub from: u32,
    /// Behind the last row.
    pub to: u32,
    /// Arrival number of each row from `from`.
    pub arrivals: Vec<u64>,
    /// Arrival time of each row from `from`.
    pub arrived_ms: Vec<i64>,
    /// By row from `from`: refused at admission; empty: none.
    pub refused: Vec<bool>,
    /// Latest event time in it.
    pub last_ms: i64,
}

impl Piece {
    /// Arrival number and time of row `row` of the batch.
    #[must_use]
    pub fn arrival(&self, row: u32) -> (u64, i64) {
        let i = (row - self.from) as usize;
        (self.arrivals[i], self.arrived_ms[i])
    }
}

/// A kept row.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it is kept.
    pub piece: Arc<Piece>,
    /// Its number in the batch.
    pub row: u32,
}

impl Found {
    /// Arrival number.
    #[must_use]
    pub fn arrival(&self) -> u64 {
        self.piece.arrival(self.row).0
    }

    /// Event time.
    #[must_use]
    pub fn event_ms(&self) -> i64 {
        self.piece.rows.event_ms[self.row as usize]
    }
}

/// Rows by piece, so that those of a piece that is dropped go without a look at the others.
#[derive(Debug, Default)]
struct Dead(HashMap<u64, HashSet<u32>>);

impl Dead {
    #[inline]
    fn holds(&self, piece: u64, row: u32) -> bool {
        !self.0.is_empty() && self.0.get(&piece).is_some_and(|rows| rows.contains(&row))
    }
}

/// Kept rows of all feeds in one shard.
#[derive(Debug, Default)]
pub struct KeptRows {
    feeds: Vec<VecDeque<Kept>>,
    /// Rows replaced or withdrawn since.
    dead: Dead,
}

#[derive(Debug)]
struct Kept {
    piece: Arc<Piece>,
    by_keying: Vec<Index>,
}

#[derive(Debug, Default)]
struct Index {
    /// (key, row), rows ascending within a key once sorted.
    pairs: Vec<(u32, u32)>,
    sorted: bool,
}

impl Index {
    /// The pairs of a key; sorts them the first time.
    fn of_key(&mut self, key: u32) -> &[(u32, u32)] {
        if !self.sorted {
            self.pairs.sort_unstable();
            self.pairs.shrink_to_fit();
            self.sorted = true;
        }
        let from = self.pairs.partition_point(|(k, _)| *k < key);
        let to = from + self.pairs[from..].partition_point(|(k, _)| *k == key);
        &self.pairs[from..to]
    }
}

/// Kept rows as one batch, in their order.
#[must_use]
pub fn rows_batch(found: &[Found]) -> Option<RecordBatch> {
    let mut batches: Vec<&RecordBatch> = Vec::new();
    let mut last: Option<*const RecordBatch> = None;
    let mut indices = Vec::with_capacity(found.len());
    for f in found {
        let batch = &f.piece.rows.batch;
        if last != Some(std::ptr::from_ref(batch)) {
            batches.push(batch);
            last = Some(std::ptr::from_ref(batch));
        }
        indices.push((batches.len() - 1, f.row as usize));
    }
    if batches.is_empty() {
        return None;
    }
    interleave_record_batch(&batches, &indices).ok()
}

impl KeptRows {
    /// Kept rows of `feeds` feeds.
    #[must_use]
    pub fn new(feeds: usize) -> Self {
        Self { feeds: (0..feeds).map(|_| VecDeque::new()).collect(), dead: Dead::default() }
    }

    /// Keeps a piece; `keys` are by keying and row from `piece.from`, [`NO_KEY`] where the row is not this shard's.
    pub fn keep(&mut self, piece: Arc<Piece>, keys: &[Vec<u32>]) {
        let by_keying = keys
            .iter()
            .map(|keys| {
                let own = keys.iter().enumerate().filter(|(i, k)| {
                    **k != NO_KEY && !piece.refused.get(*i).copied().unwrap_or(false)
                });
                Index {
                    pairs: own.map(|(i, k)| (*k, piece.from + i as u32)).collect(),
                    sorted: false,
                }
            })
            .collect::<Vec<_>>();
        if by_keying.iter().any(|i| !i.pairs.is_empty()) {
            self.feeds[piece.rows.feed].push_back(Kept { piece, by_keying });
        }
    }

    /// Marks a row as replaced or withdrawn.
    pub fn bury(&mut self, piece: u64, row: u32) {
        self.dead.0.entry(piece).or_default().insert(row);
    }

    /// Rows of `key` that pass `filter` and lie in `panes` of `lane`, in order of admission.
    pub fn find(
        &mut self,
        feed: usize,
        keying: usize,
        key: u32,
        filter: usize,
        lane: usize,
        panes: &Range<i32>,
    ) -> Vec<Found> {
        let mut found = Vec::new();
        for kept in &mut self.feeds[feed] {
            let rows = &kept.piece.rows;
            for (_, row) in kept.by_keying[keying].of_key(key) {
                let pane = rows.panes[lane][*row as usize];
                if panes.contains(&pane)
                    && rows.bits.passes(*row as usize, filter)
                    && !self.dead.holds(kept.piece.number, *row)
                {
                    found.push(Found { piece: kept.piece.clone(), row: *row });
                }
            }
        }
        found
    }

    /// All rows of `key`, in order of admission.
    pub fn find_all(&mut self, feed: usize, keying: usize, key: u32) -> Vec<Found> {
        let mut found = Vec::new();
        for kept in &mut self.feeds[feed] {
            for (_, row) in kept.by_keying[keying].of_key(key) {
                if !self.dead.holds(kept.piece.number, *row) {
                    found.push(Found { piece: kept.piece.clone(), row: *row });
                }
            }
        }
        found
    }

    /// Drops pieces of `feed` whose latest event lies before `before_ms`.
    pub fn evict(&mut self, feed: usize, before_ms: i64) {
        while let Some(first) = self.feeds[feed].front()
            && first.piece.last_ms < before_ms
        {
            let number = first.piece.number;
            self.feeds[feed].pop_front();
            self.dead.0.remove(&number);
        }
    }

    /// Bytes of row references.
    #[must_use]
    pub fn index_bytes(&self) -> usize {
        self.feeds.iter().flatten().flat_map(|k| &k.by_keying).map(|i| i.pairs.capacity() * 8).sum()
    }

    /// Rows kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.feeds.iter().flatten().map(|k| (k.piece.to - k.piece.from) as usize).sum()
    }

    /// Whether no row is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.feeds.iter().all(VecDeque::is_empty)
    }
}
