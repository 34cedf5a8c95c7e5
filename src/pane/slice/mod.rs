//! One slice of the pane store in one shard: rows of its keys by pane, and the states of the slice's aggregates.
//!
//! Two layouts hold the same and answer the same. `sparse` has a series for each key, so that a key without rows in a pane
//! costs nothing there: businesses. `dense` is a table of panes by keys: regions and products, of which most have rows in
//! most panes. A slice begins sparse and changes by how full the table would be.

mod dense;
mod places;
mod slots;
mod sparse;

use std::ops::Range;

use dense::Dense;
use places::LOW_KEYS;
use sparse::Sparse;

use super::{
    aggregate::distinct::Sets,
    intern::Interner,
    plan::SlicePlan,
    prepare::{NO_PANE, Prepared},
};

/// Panes of a sparse slice are forgotten when they are this part of all that are kept, or more.
const EVICT_PART: i64 = 8;

/// A slice turns dense when one in so many places of the table would be filled.
const DENSE_AT: usize = 4;

/// It turns sparse again when one in so many is.
const SPARSE_AT: usize = 16;

/// Fewer entries are not worth a table.
const DENSE_ENTRIES: usize = 16;

/// The number of a key that belongs to another shard or is incomplete.
pub const NO_KEY: u32 = u32::MAX;

/// Rows of a prepared batch that enter the store: `rows`, without those marked in `refused`.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// The batch.
    pub prepared: &'a Prepared,
    /// First and last row (half-open).
    pub from: u32,
    /// See `from`.
    pub to: u32,
    /// By row from `from`: refused at admission (duplicates, late, future); empty: none.
    pub refused: &'a [bool],
}

impl<'a> Selection<'a> {
    /// Rows that pass a filter.
    #[must_use]
    pub fn passing(&self, filter: usize) -> &'a [u32] {
        let list = &self.prepared.lists[filter];
        let from = list.partition_point(|r| *r < self.from);
        let to = list.partition_point(|r| *r < self.to);
        &list[from..to]
    }
}

/// State of one slice in one shard.
#[derive(Debug, Default)]
pub struct Slice {
    layout: Layout,
    /// Sets of distinct values; the word of a distinct slot tells which one is an entry's.
    sets: Sets,
    /// Panes before this one are gone.
    evicted_before: Option<i32>,
}

#[derive(Debug)]
enum Layout {
    Sparse(Sparse),
    Dense(Dense),
}

impl Default for Layout {
    fn default() -> Self {
        Self::Sparse(Sparse::default())
    }
}

/// Rows that pass a slice's filter, in order.
#[derive(Debug, Clone, Copy)]
struct Rows<'a> {
    prepared: &'a Prepared,
    list: &'a [u32],
    panes: &'a [i32],
    /// Panes before this one are gone.
    first_pane: i32,
    /// The row that `refused` and `keys` begin with.
    from: u32,
    refused: &'a [bool],
    keys: &'a [u32],
}

impl<'a> Rows<'a> {
    /// Runs of rows in one pane that is still there.
    fn runs(self) -> impl Iterator<Item = (i32, &'a [u32])> {
        let pane = |row: &u32| self.panes[*row as usize];
        let runs = self.list.chunk_by(move |a, b| pane(a) == pane(b));
        let of_pane = move |run: &'a [u32]| (pane(&run[0]), run);
        runs.map(of_pane).filter(move |(p, _)| *p != NO_PANE && *p >= self.first_pane)
    }

    /// The row's key, if the row counts here.
    #[inline]
    fn key(&self, row: u32) -> Option<u32> {
        let i = (row - self.from) as usize;
        let key = self.keys[i];
        let refused = self.refused.get(i).copied().unwrap_or(false);
        (key != NO_KEY && !refused).then_some(key)
    }
}

impl Slice {
    /// Adds the rows of `list`, which are in `selection` and pass the slice's filter, as far as this shard owns their
    /// keys: `keys`, by row of `selection`.
    pub fn add(
        &mut self,
        plan: &SlicePlan,
        selection: Selection<'_>,
        list: &[u32],
        keys: &[u32],
        interner: &mut Interner,
    ) {
        let prepared = selection.prepared;
        let rows = Rows {
            prepared,
            list,
            panes: &prepared.rows.panes[plan.lane],
            first_pane: self.evicted_before.unwrap_or(i32::MIN),
            from: selection.from,
            refused: selection.refused,
            keys,
        };
        self.suit(plan, interner.numbers());
        match &mut self.layout {
            Layout::Sparse(s) => s.add(plan, rows, &mut self.sets, interner),
            Layout::Dense(d) => d.add(plan, rows, interner.numbers(), &mut self.sets, interner),
        }
    }

    /// Changes the layout where the other one suits better; keys are numbered below `numbers`.
    fn suit(&mut self, plan: &SlicePlan, numbers: usize) {
        let is_low = numbers <= LOW_KEYS as usize;
        match &self.layout {
            Layout::Sparse(s) => {
                let filled = s.entries * DENSE_AT >= s.panes().len() * numbers;
                if is_low && s.entries >= DENSE_ENTRIES && filled {
                    let mut dense = Dense::default();
                    s.each(plan, |key, pane, rows, words| dense.put(plan, key, pane, rows, words));
                    self.layout = Layout::Dense(dense);
                }
            }
            Layout::Dense(d) => {
                if !is_low || d.entries * SPARSE_AT < d.panes().len() * numbers {
                    let mut sparse = Sparse::default();
                    d.each(plan, |key, pane, rows, words| sparse.put(plan, key, pane, rows, words));
                    self.layout = Layout::Sparse(sparse);
                }
            }
        }
    }

    /// Takes row `row` off the key's pane. Returns false when an aggregate cannot subtract: then the caller makes those
    /// anew from the rows that are left, with [`Slice::rebuild`].
    pub fn take(
        &mut self,
        plan: &SlicePlan,
        p: &Prepared,
        row: usize,
        key: u32,
        interner: &mut Interner,
        after_ms: i64,
    ) -> bool {
        let pane = p.rows.panes[plan.lane][row];
        if pane == NO_PANE {
            return true;
        }
        let (sets, of) = (&mut self.sets, (p, row, pane));
        match &mut self.layout {
            Layout::Sparse(s) => s.take(plan, of, key, sets, interner, after_ms),
            Layout::Dense(d) => d.take(plan, of, key, sets, interner, after_ms),
        }
    }

    /// Makes the aggregates of the key's entry in `pane` that cannot subtract anew from `rows` (row numbers of `p`).
    pub fn rebuild(
        &mut self,
        plan: &SlicePlan,
        key: u32,
        pane: i32,
        parts: &[(&Prepared, Vec<u32>)],
    ) {
        match &mut self.layout {
            Layout::Sparse(s) => s.rebuild(plan, key, pane, &mut self.sets, parts),
            Layout::Dense(d) => d.rebuild(plan, key, pane, &mut self.sets, parts),
        }
    }

    /// Keys with rows in a pane of `panes`, by pane; a key appears once per pane.
    #[must_use]
    pub fn touched(&self, panes: Range<i32>) -> Vec<u32> {
        let mut keys = Vec::new();
        match &self.layout {
            Layout::Sparse(s) => s.touched(panes, &mut keys),
            Layout::Dense(d) => d.touched(panes, &mut keys),
        }
        keys
    }

    /// Those of them that may have as many rows in a window as the slice's plan calls hot; some may appear twice.
    #[must_use]
    pub fn hot(&self, plan: &SlicePlan, panes: Range<i32>) -> Vec<u32> {
        let mut keys = Vec::new();
        match &self.layout {
            Layout::Sparse(s) => s.hot(panes, &mut keys),
            Layout::Dense(d) => d.hot(plan, panes, &mut keys),
        }
        keys
    }

    /// The first pane at or behind `pane` that has rows.
    #[must_use]
    pub fn next_touched(&self, pane: i32) -> Option<i32> {
        match &self.layout {
            Layout::Sparse(s) => s.panes().range(pane..).next().map(|(p, _)| *p),
            Layout::Dense(d) => d.panes().range(pane..).next().map(|(p, _)| *p),
        }
    }

    /// The last pane that has rows.
    #[must_use]
    pub fn last_touched(&self) -> Option<i32> {
        match &self.layout {
            Layout::Sparse(s) => s.panes().last_key_value().map(|(p, _)| *p),
            Layout::Dense(d) => d.panes().last_key_value().map(|(p, _)| *p),
        }
    }

    /// All keys, in no order.
    #[must_use]
    pub fn keys(&self) -> Vec<u32> {
        let mut keys = Vec::new();
        match &self.layout {
            Layout::Sparse(s) => s.keys(&mut keys),
            Layout::Dense(d) => d.keys(&mut keys),
        }
        keys
    }

    /// Whether the key has rows in any pane.
    #[must_use]
    pub fn has(&self, key: u32) -> bool {
        match &self.layout {
            Layout::Sparse(s) => s.series(key).is_some(),
            Layout::Dense(d) => d.has(key),
        }
    }

    /// Panes at or behind `from` in which the key has rows, ascending.
    #[must_use]
    pub fn panes_of(&self, key: u32, from: i32) -> Vec<i32> {
        match &self.layout {
            Layout::Sparse(s) => {
                s.series(key).map_or_else(Vec::new, |s| s.panes_from(from).collect())
            }
            Layout::Dense(d) => d.panes_of(key, from),
        }
    }

    /// Rows of the key in `panes`.
    #[must_use]
    pub fn rows(&self, key: u32, panes: &Range<i32>) -> u64 {
        match &self.layout {
            Layout::Sparse(s) => s.series(key).map_or(0, |s| s.rows(panes.start, panes.end)),
            Layout::Dense(d) => d.rows(key, panes),
        }
    }

    /// A function from keys to their rows in `panes`, for asking about many keys.
    pub fn rows_in(&self, panes: Range<i32>) -> impl Fn(u32) -> u64 + '_ {
        let all = match &self.layout {
            Layout::Sparse(_) => Vec::new(),
            Layout::Dense(d) => d.rows_of_all(&panes),
        };
        move |key| match &self.layout {
            Layout::Sparse(s) => s.series(key).map_or(0, |s| s.rows(panes.start, panes.end)),
            Layout::Dense(_) => all.get(key as usize).copied().unwrap_or(0),
        }
    }

    /// States of one slot over `panes`, as many words as the slot has per key, all zero without rows. For
    /// [`super::plan::Kernel::Distinct`] one word: the count.
    #[must_use]
    pub fn states(
        &self,
        plan: &SlicePlan,
        slot: usize,
        keys: &[u32],
        panes: &Range<i32>,
    ) -> Vec<i64> {
        let slot = plan.slots[slot];
        let words = slot.kind.words();
        let mut states = vec![0; keys.len() * words];
        match &self.layout {
            Layout::Sparse(s) => {
                for (key, state) in keys.iter().zip(states.chunks_exact_mut(words)) {
                    s.state(plan, slot, *key, panes, &self.sets, state);
                }
            }
            Layout::Dense(d) => d.states(plan, slot, keys, panes, &self.sets, &mut states),
        }
        states
    }

    /// Distinct values of a slot in each of `windows`, which ascend at both ends. Many windows that overlap cost little
    /// more than one.
    #[must_use]
    pub fn distinct_in(
        &self,
        plan: &SlicePlan,
        slot: usize,
        key: u32,
        windows: &[Range<i32>],
    ) -> Vec<i64> {
        let offset = plan.slots[slot].offset;
        let names: Vec<(i32, i64)> = match &self.layout {
            Layout::Sparse(s) => s.series(key).map_or_else(Vec::new, |series| {
                let word = |at| series.words(at, plan.stride)[offset];
                series.panes().enumerate().map(|(at, pane)| (pane, word(at))).collect()
            }),
            Layout::Dense(d) => d.words_of(key, plan.stride, offset),
        };
        slots::distinct_in(&self.sets, &names, windows)
    }

    /// Forgets panes before `pane`; keys without panes are released and rest until `after_ms`.
    pub fn evict(&mut self, plan: &SlicePlan, pane: i32, interner: &mut Interner, after_ms: i64) {
        let patience = match self.layout {
            // Some panes at once: a busy key is then visited once for all of them.
            Layout::Sparse(_) => (plan.keep_ms / plan.grid.len_ms / EVICT_PART).clamp(1, 64) as i32,
            Layout::Dense(_) => 1,
        };
        if self.evicted_before.is_some_and(|e| pane < e.saturating_add(patience)) {
            return;
        }
        self.evicted_before = Some(pane);
        match &mut self.layout {
            Layout::Sparse(s) => s.evict(plan, pane, &mut self.sets, interner, after_ms),
            Layout::Dense(d) => d.evict(plan, pane, &mut self.sets, interner, after_ms),
        }
    }

    /// Live (key, pane) entries.
    #[must_use]
    pub fn entries(&self) -> usize {
        match &self.layout {
            Layout::Sparse(s) => s.entries,
            Layout::Dense(d) => d.entries,
        }
    }

    /// Bytes of series and calendar, without distinct sets; and bytes of distinct sets.
    #[must_use]
    pub fn bytes(&self) -> (usize, usize) {
        let own = match &self.layout {
            Layout::Sparse(s) => s.bytes(),
            Layout::Dense(d) => d.bytes(),
        };
        (own, self.sets.bytes())
    }
}
