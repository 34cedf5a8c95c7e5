//! Tables that feeds make: records that looked a key up are judged again when what the table says of it changes.
//!
//! In: rows that come to count and rows that cease to. Out: corrections. A record sees what was said of its key up to its own
//! time, also by rows of the table that come after it: it is taken off as it was and put in as it is now, like a record
//! that is corrected, and what it changes is told on account of the row that changed it. So signals depend on the rows that
//! count, not on which came first. A record is judged again as long as its feed can be corrected; what is older keeps what
//! it saw.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::{
    correct::{Correction, alone},
    incoming::Incoming,
    pipeline::Pipeline,
};
use crate::{
    model::{batch::Batch, signal::Cause, value::value_at},
    pane::{
        dimension::{Dimension, Said},
        kept::{Found, Piece},
        plan::{FeedPlan, PanePlan},
        prepare::{Prepared, Rows, time_values},
    },
};

/// Places are looked through for those that are gone when there are so many more than at the last time.
const SWEEP_MIN: usize = 4_096;

/// A row that looked a key up: its feed, its piece, its place there.
type Place = (usize, u64, u32);

/// Who looked what up.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// By feed: the table it makes.
    made: Vec<Option<Arc<Dimension>>>,
    /// By feed: whether its rows look anything up.
    looks: Vec<bool>,
    /// By hash of table and key: rows that looked it up.
    rows: HashMap<u128, SmallVec<[Place; 2]>>,
    /// How many rows that are.
    len: usize,
    /// How many there were after the last sweep.
    swept: usize,
    /// Rows that count no longer.
    dead: HashSet<(u64, u32)>,
    /// Keys looked up by rows that are in no piece yet.
    pending: HashSet<u128>,
    /// What the row in work changed: table, key, from when on.
    changed: Vec<(Arc<Dimension>, String, i64)>,
}

impl Tables {
    pub(super) fn new(plan: &PanePlan) -> Self {
        let made = |feed| plan.dimensions.iter().find(|d| d.feed == feed).cloned();
        Self {
            made: (0..plan.feeds.len()).map(made).collect(),
            looks: plan.feeds.iter().map(|f| !f.looks.is_empty()).collect(),
            ..Self::default()
        }
    }

    /// Whether rows of a feed look anything up.
    pub(super) fn looks(&self, feed: usize) -> bool {
        self.looks[feed]
    }

    /// A row counts from now on.
    pub(super) fn came(&mut self, plan: &FeedPlan, rows: &Rows, row: u32) {
        if self.looks[rows.feed] {
            let keys = looked_up(plan, rows, row).map(|(hash, _)| hash);
            self.pending.extend(keys);
        }
        if let Some((table, key, said)) = self.says(rows, row) {
            let columns = table.columns.iter().map(|(c, _)| rows.batch.column(*c).clone());
            table.put(&key, said, &columns.collect::<Vec<_>>(), row as usize);
            self.changed.push((table, key, said.0));
        }
    }

    /// A row counts no longer.
    pub(super) fn went(&mut self, found: &Found) {
        let rows = &found.piece.rows;
        if self.looks[rows.feed] {
            self.dead.insert((found.piece.number, found.row));
        }
        if let Some((table, key, said)) = self.says(rows, found.row) {
            table.take(&key, said);
            self.changed.push((table, key, said.0));
        }
    }

    /// What a row says in the table that its feed makes: about which key, and when.
    fn says(&self, rows: &Rows, row: u32) -> Option<(Arc<Dimension>, String, Said)> {
        let table = self.made[rows.feed].as_ref()?;
        let key = match value_at(rows.batch.column(table.key), row as usize) {
            serde_json::Value::Null => return None,
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        let id = rows.ids.get(row as usize).copied().unwrap_or_default();
        Some((table.clone(), key, (rows.event_ms[row as usize], id)))
    }

    /// A piece lies where its rows can be found.
    pub(super) fn placed(&mut self, plan: &FeedPlan, piece: &Piece) {
        let feed = piece.rows.feed;
        for row in (piece.from..piece.to).filter(|_| self.looks[feed]) {
            if piece.refused.get((row - piece.from) as usize).copied().unwrap_or(false) {
                continue;
            }
            for (hash, _) in looked_up(plan, &piece.rows, row) {
                self.rows.entry(hash).or_default().push((feed, piece.number, row));
                self.len += 1;
            }
        }
    }

    /// Everything that was looked at lies in pieces.
    pub(super) fn settled(&mut self) {
        self.pending.clear();
    }

    /// Forgets rows whose piece is gone.
    fn sweep(&mut self, is_kept: impl Fn(&Place) -> bool) {
        if self.len < 2 * self.swept + SWEEP_MIN {
            return;
        }
        let dead = &self.dead;
        self.rows.retain(|_, places| {
            places.retain(|p| is_kept(p) && !dead.contains(&(p.1, p.2)));
            !places.is_empty()
        });
        self.dead.clear();
        self.len = self.rows.values().map(SmallVec::len).sum();
        self.swept = self.len;
    }
}

/// The keys that a row looked up, each as hash with its table, and as of when.
fn looked_up<'a>(
    plan: &'a FeedPlan,
    rows: &'a Rows,
    row: u32,
) -> impl Iterator<Item = (u128, usize)> + 'a {
    plan.looks.iter().enumerate().filter_map(move |(i, look)| {
        let keys = rows.batch.column(look.key).as_string_opt::<i32>()?;
        let key = keys.is_valid(row as usize).then(|| keys.value(row as usize))?;
        Some((hash(&look.dimension, key), i))
    })
}

fn hash(table: &Dimension, key: &str) -> u128 {
    xxh3_128_with_seed(key.as_bytes(), table.feed as u64)
}

/// Whether what a row saw was changed since it was prepared.
fn is_stale(plan: &FeedPlan, prepared: &Prepared, row: u32) -> bool {
    plan.looks.iter().zip(&prepared.generations).any(|(look, generation)| {
        let keys = prepared.rows.batch.column(look.key).as_string_opt::<i32>();
        let key = keys.filter(|k| k.is_valid(row as usize)).map(|k| k.value(row as usize));
        key.is_some_and(|key| look.dimension.changed_since(key, *generation))
    })
}

/// The columns that came with a feed's rows.
fn bare(rows: &RecordBatch, own: usize) -> RecordBatch {
    let own: Vec<usize> = (0..own.min(rows.num_columns())).collect();
    rows.project(&own).unwrap_or_else(|_| rows.clone())
}

impl Pipeline {
    /// A row counts from now on.
    pub(super) fn came(&mut self, prepared: &Prepared, row: u32) {
        let plan = &self.plan.panes.feeds[prepared.rows.feed];
        self.tables.came(plan, &prepared.rows, row);
    }

    /// Looks tables up again for the rows of a batch from `row` on, where they say something else of it than when the batch was
    /// prepared.
    pub(super) fn renew(&mut self, batches: &mut [Incoming], b: usize, row: u32) {
        let prepared = batches[b].prepared.clone();
        let feed = prepared.rows.feed;
        if !self.tables.looks(feed) || !is_stale(&self.plan.panes.feeds[feed], &prepared, row) {
            return;
        }
        self.add(batches);
        let batch = Batch {
            feed,
            partition: prepared.partition.clone(),
            rows: bare(&prepared.rows.batch, self.plan.schemas[feed].own),
            lines: prepared.lines.clone(),
            raw: prepared.raw.clone(),
        };
        batches[b].prepared = Arc::new(self.preparers[feed].prepare(batch));
    }

    /// Judges again the records that saw what the row in work changed.
    pub(super) fn rejudge(&mut self, batches: &mut [Incoming], cause: Cause) {
        let changed = std::mem::take(&mut self.tables.changed);
        if changed.is_empty() {
            return;
        }
        let hashes: Vec<u128> = changed.iter().map(|(table, key, _)| hash(table, key)).collect();
        if hashes.iter().any(|hash| self.tables.pending.contains(hash)) {
            self.add(batches);
        }
        let mut found: Vec<Found> = Vec::new();
        for ((table, _, from_ms), hash) in changed.iter().zip(&hashes) {
            for place in self.tables.rows.get(hash).into_iter().flatten() {
                let (feed, number, row) = *place;
                if self.tables.dead.contains(&(number, row)) {
                    continue;
                }
                let Some(piece) = self.feeds[feed].piece(number) else { continue };
                if self.saw(feed, &piece, row, (table, *from_ms)) {
                    found.push(Found { piece, row });
                }
            }
        }
        found.sort_by_key(|f| (f.arrival(), f.piece.number, f.row));
        found.dedup_by_key(|f| (f.piece.number, f.row));
        for found in found {
            self.judge_again(batches, found, cause);
        }
        let feeds = &self.feeds;
        self.tables.sweep(|(feed, piece, _)| feeds[*feed].piece(*piece).is_some());
    }

    /// Whether a row looks a table up as of a time that is not before `from_ms`.
    fn saw(
        &self,
        feed: usize,
        piece: &Piece,
        row: u32,
        (table, from_ms): (&Arc<Dimension>, i64),
    ) -> bool {
        if !self.feeds[feed].reaches(piece.rows.event_ms[row as usize]) {
            return false;
        }
        let looks = self.plan.panes.feeds[feed].looks.iter();
        looks.filter(|look| Arc::ptr_eq(&look.dimension, table)).any(|look| {
            let time = piece.rows.batch.column(look.time).slice(row as usize, 1);
            time.is_valid(0) && time_values(&time, &self.options.zone)[0] >= from_ms
        })
    }

    /// One record as the tables are now.
    fn judge_again(&mut self, batches: &mut [Incoming], found: Found, cause: Cause) {
        let rows = found.piece.rows.clone();
        let (feed, own) = (rows.feed, self.plan.schemas[rows.feed].own);
        let was = rows.batch.slice(found.row as usize, 1);
        let fresh = self.preparers[feed].prepare(Batch {
            feed,
            partition: "".into(),
            rows: bare(&was, own),
            lines: Arc::from([0]),
            raw: None,
        });
        if fresh.rows.batch.columns()[own..] == was.columns()[own..] {
            return;
        }
        self.add(batches);
        let (arrival, arrived_ms) = found.piece.arrival(found.row);
        self.next_piece += 1;
        let piece = Arc::new(Piece {
            number: self.next_piece,
            from: 0,
            to: 1,
            arrivals: vec![arrival],
            arrived_ms: vec![arrived_ms],
            refused: Vec::new(),
            last_ms: fresh.rows.event_ms[0],
            rows: fresh.rows.clone(),
        });
        self.feeds[feed].keep(&piece);
        self.feeds[feed].moved(&piece);
        self.tables.placed(&self.plan.panes.feeds[feed], &piece);
        self.tables.dead.insert((found.piece.number, found.row));
        let old_alone = alone(&mut self.preparers, &rows, found.row);
        let new_alone = alone(&mut self.preparers, &piece.rows, 0);
        let correction = Correction {
            old: Some((found, old_alone)),
            new: Some((piece, Arc::new(fresh))),
            new_alone: Some(new_alone),
            cause,
        };
        self.shards.correct(feed, &correction);
    }
}
