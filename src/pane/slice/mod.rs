//! One slice of the pane store in one shard: rows of its keys by pane, and the states of the slice's aggregates.
//!
//! Two layouts hold the same and answer the same. `sparse` has a series for each key, so that a key without rows in a pane
//! costs nothing there: businesses. `dense` is a table of panes by keys: regions and products, of which most have rows in
//! many panes, and the businesses that are hot. A slice begins sparse and changes by how full the table would be. Slices
//! that wait for their keys (see `cold`) know them by the numbers of hot keys; the others by the numbers of the key space.

mod asked;
mod dense;
mod places;
mod slots;
mod sparse;

pub use asked::Asked;
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
const DENSE_AT: usize = 8;

/// It turns sparse again when one in so many is.
const SPARSE_AT: usize = 32;

/// Fewer entries are not worth a table.
const DENSE_ENTRIES: usize = 16;

/// The number of a key that belongs to another shard or is incomplete.
pub const NO_KEY: u32 = u32::MAX;

/// Rows of a prepared batch that enter the store, each with its key.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// The batch.
    pub prepared: &'a Prepared,
    /// By lane: the pane of all rows, where they are in one.
    pub panes: &'a [Option<i32>],
    /// The row that `keys` begins with.
    pub from: u32,
    /// By row: its key; [`NO_KEY`] where it does not enter.
    pub keys: &'a [u32],
    /// Above every key.
    pub numbers: usize,
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

/// Rows that enter a slice, in order.
#[derive(Debug, Clone, Copy)]
struct Rows<'a> {
    list: &'a [u32],
    of: Selection<'a>,
    panes: &'a [i32],
    /// The pane of all of them, where it is one.
    pane: Option<i32>,
    /// Panes before this one are gone.
    first_pane: i32,
}

impl<'a> Rows<'a> {
    /// Runs of rows in one pane that is still there.
    fn runs(self) -> impl Iterator<Item = (i32, &'a [u32])> {
        let Self { list, panes, pane: one, first_pane, .. } = self;
        let pane = move |row: &u32| panes[*row as usize];
        let mixed = if one.is_some() { &[] } else { list };
        let runs = mixed.chunk_by(move |a, b| pane(a) == pane(b));
        let runs = runs.map(move |run| (pane(&run[0]), run));
        let whole = one.map(|pane| (pane, list)).into_iter();
        whole.chain(runs).filter(move |(pane, _)| *pane != NO_PANE && *pane >= first_pane)
    }

    #[inline]
    fn key(&self, row: u32) -> u32 {
        self.of.keys[(row - self.of.from) as usize]
    }
}

impl Slice {
    /// Adds the rows of `list`, which are in `selection`, have keys there and pass the slice's filter. Keys are retained in
    /// `interner`, if there is one.
    pub fn add(
        &mut self,
        plan: &SlicePlan,
        selection: Selection<'_>,
        list: &[u32],
        interner: Option<&mut Interner>,
    ) {
        let rows = Rows {
            list,
            of: selection,
            panes: &selection.prepared.rows.panes[plan.lane],
            pane: selection.panes[plan.lane],
            first_pane: self.evicted_before.unwrap_or(i32::MIN),
        };
        self.suit(plan, selection.numbers);
        match &mut self.layout {
            Layout::Sparse(s) => s.add(plan, rows, &mut self.sets, interner),
            Layout::Dense(d) => d.add(plan, rows, &mut self.sets, interner),
        }
    }

    /// Changes the layout where the other one suits better; keys are numbered below `numbers`.
    fn suit(&mut self, plan: &SlicePlan, numbers: usize) {
        // Of hot keys there are never many more than the slices have rows of.
        let is_low = numbers <= LOW_KEYS as usize || !plan.waits.is_empty();
        match &mut self.layout {
            Layout::Sparse(s) => {
                let filled = s.entries * DENSE_AT >= s.panes().len() * numbers;
                if is_low && s.entries >= DENSE_ENTRIES && filled {
                    let mut dense = Dense::default();
                    s.each(plan, |key, pane, rows, words| dense.put(plan, key, pane, rows, words));
                    dense.settle();
                    self.layout = Layout::Dense(dense);
                }
            }
            Layout::Dense(d) => {
                let Some((entries, lines)) = d.filled() else { return };
                if !is_low || entries * SPARSE_AT < lines * numbers {
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
        interner: Option<&mut Interner>,
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

    /// Forgets panes before `pane`; keys without panes are released and rest until `after_ms`.
    pub fn evict(
        &mut self,
        plan: &SlicePlan,
        pane: i32,
        interner: Option<&mut Interner>,
        after_ms: i64,
    ) {
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

    /// Whether the key has rows in any pane; `key` is the slice's own number.
    #[must_use]
    pub fn has(&self, key: u32) -> bool {
        match &self.layout {
            Layout::Sparse(s) => s.series(key).is_some(),
            Layout::Dense(d) => d.has(key),
        }
    }

    /// Live (key, pane) entries.
    #[must_use]
    pub fn entries(&self) -> usize {
        match &self.layout {
            Layout::Sparse(s) => s.entries,
            Layout::Dense(d) => d.entries(),
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
