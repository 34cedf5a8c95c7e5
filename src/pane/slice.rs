//! One slice of the pane store in one shard: the series of its keys, and which keys each pane touched.
//!
//! Sparse: a key has an entry only in panes in which it has rows, and nothing at all without one. `touched` is both the
//! calendar by which windows find the keys to evaluate when a pane enters or leaves them, and the list for eviction.

use std::{collections::BTreeMap, ops::Range};

use super::{
    aggregate::{
        distinct::DistinctSet,
        kernel::{self, Moment},
    },
    intern::Interner,
    plan::{Kernel, SlicePlan},
    prepare::{ArgValues, NO_PANE, Prepared},
    series::Series,
};
use crate::model::hash::HashedMap;

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

/// State of one slice in one shard.
#[derive(Debug, Default)]
pub struct Slice {
    /// Key → place in `slab`.
    places: HashedMap<u32, u32>,
    slab: Slab,
    /// (key, pane) → one set per distinct slot.
    sets: HashedMap<u64, Vec<DistinctSet>>,
    /// Pane → places of the keys with rows in it.
    touched: BTreeMap<i32, Vec<u32>>,
    /// Those of them that may have as many rows in a window as the most modest rule asks for.
    hot: BTreeMap<i32, Vec<u32>>,
    /// Panes before this one are gone.
    evicted_before: Option<i32>,
    /// Live (key, pane) entries.
    entries: usize,
}

impl Slice {
    /// Adds the rows of `selection` that pass the slice's filter and whose key this shard owns.
    pub fn add(
        &mut self,
        plan: &SlicePlan,
        selection: Selection<'_>,
        keys: &[u32],
        interner: &mut Interner,
    ) {
        let p = selection.prepared;
        let list = &p.lists[plan.filter];
        let from = list.partition_point(|r| *r < selection.from);
        let to = list.partition_point(|r| *r < selection.to);
        let panes = &p.rows.panes[plan.lane];
        let init = plan.init();
        let mut touched = Pushes::default();
        let mut hot = Pushes::default();
        for row in &list[from..to] {
            let i = (*row - selection.from) as usize;
            let key = keys[i];
            if key == NO_KEY || selection.refused.get(i).copied().unwrap_or(false) {
                continue;
            }
            let pane = panes[*row as usize];
            if pane == NO_PANE || self.evicted_before.is_some_and(|e| pane < e) {
                continue;
            }
            let place = match self.places.entry(key) {
                hashbrown::hash_map::Entry::Occupied(e) => *e.get(),
                hashbrown::hash_map::Entry::Vacant(e) => {
                    interner.retain(key);
                    *e.insert(self.slab.insert(key))
                }
            };
            let item = self.slab.get_mut(place);
            let (at, new) = item.series.entry(pane, &init);
            item.series.add_rows(at, 1);
            item.rows += 1;
            if new {
                self.entries += 1;
                touched.push(&mut self.touched, pane, place);
                if item.rows >= plan.hot_at {
                    hot.push(&mut self.hot, pane, place);
                }
            }
            if item.rows == plan.hot_at {
                // Now every window of the key is worth a look; also one that ends before this pane: rows out of order may
                // still come into it and will not pass this point again.
                for e in item.series.entries().iter().filter(|e| !(new && e.pane == pane)) {
                    hot.push(&mut self.hot, e.pane, place);
                }
            }
            if !plan.slots.is_empty() {
                let moment = moment(p, *row as usize);
                let words = item.series.words_mut(at, plan.stride);
                add_slots(plan, words, &mut self.sets, (key, pane), p, *row as usize, moment);
            }
        }
        touched.flush(&mut self.touched);
        hot.flush(&mut self.hot);
    }

    /// Takes row `row` off the key's pane. Returns false when an aggregate cannot subtract: then the caller rebuilds the
    /// entry from its rows with [`Slice::rebuild`].
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
        let Some(place) = self.places.get(&key).copied() else { return true };
        let item = self.slab.get_mut(place);
        let series = &mut item.series;
        let range = series.range(pane, pane + 1);
        if pane == NO_PANE || range.is_empty() {
            return true;
        }
        let at = range.start;
        if plan.slots.iter().any(|s| !s.kind.subtracts()) && series.entries()[at].rows > 1 {
            return false;
        }
        for slot in &plan.slots {
            match (slot.kind, &p.args[slot.arg]) {
                (Kernel::Distinct, ArgValues::Identity(values, nulls)) => {
                    if nulls.as_ref().is_none_or(|n| n.is_valid(row))
                        && let Some(sets) = self.sets.get_mut(&set_key(key, pane))
                    {
                        sets[set_index(plan, slot.offset, slot.arg)].take(values[row]);
                    }
                }
                (kind, args) => {
                    let words = &mut series.words_mut(at, plan.stride)[slot.offset..];
                    kernel::take(kind, words, args, row);
                }
            }
        }
        item.rows -= 1;
        if series.take_row(at, plan.stride) {
            self.entries -= 1;
            self.sets.remove(&set_key(key, pane));
            for lists in [&mut self.touched, &mut self.hot] {
                if let Some(list) = lists.get_mut(&pane) {
                    list.retain(|p| *p != place);
                }
            }
            if item.series.entries().is_empty() {
                self.places.remove(&key);
                self.slab.remove(place);
                interner.release(key, after_ms);
            }
        }
        true
    }

    /// Makes the key's entry in `pane` anew from `rows` (row numbers of `p`).
    pub fn rebuild(
        &mut self,
        plan: &SlicePlan,
        key: u32,
        pane: i32,
        parts: &[(&Prepared, Vec<u32>)],
    ) {
        let Some(place) = self.places.get(&key).copied() else { return };
        let item = self.slab.get_mut(place);
        let series = &mut item.series;
        let range = series.range(pane, pane + 1);
        if range.is_empty() {
            return;
        }
        let at = range.start;
        let n: usize = parts.iter().map(|(_, rows)| rows.len()).sum();
        let more = (n as u32).wrapping_sub(series.entries()[at].rows);
        series.add_rows(at, more);
        item.rows = item.rows.wrapping_add(more);
        series.words_mut(at, plan.stride).fill(0);
        self.sets.remove(&set_key(key, pane));
        for (p, rows) in parts {
            for row in rows {
                let moment = moment(p, *row as usize);
                let words = series.words_mut(at, plan.stride);
                add_slots(plan, words, &mut self.sets, (key, pane), p, *row as usize, moment);
            }
        }
    }

    /// Keys with rows in a pane of `panes`, by pane; a key appears once per pane.
    pub fn touched(&self, panes: Range<i32>) -> impl Iterator<Item = u32> + '_ {
        self.keys_in(&self.touched, panes)
    }

    /// Those of them that may have as many rows in a window as the slice's plan calls hot; some may appear twice.
    pub fn hot(&self, panes: Range<i32>) -> impl Iterator<Item = u32> + '_ {
        self.keys_in(&self.hot, panes)
    }

    fn keys_in<'a>(
        &'a self,
        lists: &'a BTreeMap<i32, Vec<u32>>,
        panes: Range<i32>,
    ) -> impl Iterator<Item = u32> + 'a {
        let panes = if panes.start < panes.end { panes } else { 0..0 };
        lists.range(panes).flat_map(|(_, places)| places.iter().map(|p| self.slab.get(*p).key))
    }

    /// The first pane at or behind `pane` that has rows.
    #[must_use]
    pub fn next_touched(&self, pane: i32) -> Option<i32> {
        self.touched.range(pane..).next().map(|(p, _)| *p)
    }

    /// The last pane that has rows.
    #[must_use]
    pub fn last_touched(&self) -> Option<i32> {
        self.touched.last_key_value().map(|(p, _)| *p)
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = u32> + '_ {
        self.places.keys().copied()
    }

    /// The key's series.
    #[inline]
    #[must_use]
    pub fn series(&self, key: u32) -> Option<&Series> {
        self.places.get(&key).map(|p| &self.slab.get(*p).series)
    }

    /// State of one slot over `panes` into `state`, which comes all zero and stays so without rows. For
    /// [`Kernel::Distinct`] one word: the count.
    pub fn state(
        &self,
        plan: &SlicePlan,
        slot: usize,
        key: u32,
        panes: &Range<i32>,
        state: &mut [i64],
    ) {
        let slot = plan.slots[slot];
        let Some(series) = self.series(key) else { return };
        let range = series.range(panes.start, panes.end);
        if slot.kind == Kernel::Distinct {
            state[0] = self.distinct(plan, slot.offset, slot.arg, key, series, range);
            return;
        }
        for at in range {
            let words =
                &series.words(at, plan.stride)[slot.offset..slot.offset + slot.kind.words()];
            kernel::merge(slot.kind, state, words);
        }
    }

    fn distinct(
        &self,
        plan: &SlicePlan,
        offset: usize,
        arg: usize,
        key: u32,
        series: &Series,
        range: Range<usize>,
    ) -> i64 {
        let index = set_index(plan, offset, arg);
        let sets = range
            .filter_map(|at| self.sets.get(&set_key(key, series.entries()[at].pane)))
            .map(|s| &s[index]);
        let sets: Vec<&DistinctSet> = sets.collect();
        match sets.as_slice() {
            [] => 0,
            [one] => one.len() as i64,
            many => {
                let mut union = HashedMap::default();
                many.iter().for_each(|s| s.extend_into(&mut union));
                union.len() as i64
            }
        }
    }

    /// Forgets panes before `pane`; keys without panes are released and rest until `after_ms`.
    pub fn evict(&mut self, plan: &SlicePlan, pane: i32, interner: &mut Interner, after_ms: i64) {
        if self.evicted_before.is_some_and(|e| pane <= e) {
            return;
        }
        self.evicted_before = Some(pane);
        let mut emptied = Vec::new();
        let keep = self.touched.split_off(&pane);
        let gone = std::mem::replace(&mut self.touched, keep);
        self.hot = self.hot.split_off(&pane);
        let has_sets = plan.slots.iter().any(|s| s.kind == Kernel::Distinct);
        for (old, places) in gone {
            for place in places {
                let item = self.slab.get_mut(place);
                let key = item.key;
                if has_sets {
                    self.sets.remove(&set_key(key, old));
                }
                let (entries, rows) = item.series.evict(pane, plan.stride);
                self.entries -= entries;
                item.rows -= rows;
                // A key with several old panes comes again; it is removed once.
                if entries > 0 && item.series.entries().is_empty() {
                    emptied.push(place);
                }
            }
        }
        for place in emptied {
            let key = self.slab.get(place).key;
            self.places.remove(&key);
            self.slab.remove(place);
            interner.release(key, after_ms);
        }
    }

    /// Live (key, pane) entries.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Bytes of series and calendar, without distinct sets; and bytes of distinct sets.
    #[must_use]
    pub fn bytes(&self) -> (usize, usize) {
        let heap: usize = self.slab.items().map(|i| i.series.heap_bytes()).sum();
        let lists = self.touched.values().chain(self.hot.values()).map(|v| 48 + v.capacity() * 4);
        let own = self.places.capacity() * 9 + self.slab.bytes() + heap + lists.sum::<usize>();
        let sets: usize = self.sets.values().flatten().map(|s| 40 + s.heap_bytes()).sum();
        (own, sets)
    }
}

/// The key at one place of a slab.
#[derive(Debug, Default)]
struct Item {
    key: u32,
    /// Rows in all panes kept: no window has more.
    rows: u32,
    series: Series,
}

/// Items that stay where they are, in chunks that never move, places used again.
#[derive(Debug, Default)]
struct Slab {
    chunks: Vec<Vec<Item>>,
    free: Vec<u32>,
}

/// Items per chunk.
const CHUNK: usize = 256;

impl Slab {
    fn insert(&mut self, key: u32) -> u32 {
        if let Some(place) = self.free.pop() {
            self.get_mut(place).key = key;
            return place;
        }
        if self.chunks.last().is_none_or(|c| c.len() == CHUNK) {
            // The first chunk grows from nothing, so that a slice with three keys stays small.
            let room = if self.chunks.is_empty() { 4 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(room));
        }
        let chunk = self.chunks.len() - 1;
        self.chunks[chunk].push(Item { key, ..Item::default() });
        (chunk * CHUNK + self.chunks[chunk].len() - 1) as u32
    }

    fn remove(&mut self, place: u32) {
        *self.get_mut(place) = Item::default();
        self.free.push(place);
    }

    #[inline]
    fn get(&self, place: u32) -> &Item {
        &self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    #[inline]
    fn get_mut(&mut self, place: u32) -> &mut Item {
        &mut self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    fn items(&self) -> impl Iterator<Item = &Item> {
        self.chunks.iter().flatten()
    }

    fn bytes(&self) -> usize {
        let items: usize = self.chunks.iter().map(|c| c.capacity() * size_of::<Item>()).sum();
        items + self.free.capacity() * 4
    }
}

/// Pushes to the list of the pane at hand without looking it up each time.
#[derive(Debug, Default)]
struct Pushes {
    pane: i32,
    places: Vec<u32>,
}

impl Pushes {
    #[inline]
    fn push(&mut self, lists: &mut BTreeMap<i32, Vec<u32>>, pane: i32, place: u32) {
        if pane != self.pane {
            self.flush(lists);
            self.pane = pane;
        }
        self.places.push(place);
    }

    fn flush(&mut self, lists: &mut BTreeMap<i32, Vec<u32>>) {
        if !self.places.is_empty() {
            lists.entry(self.pane).or_default().append(&mut self.places);
        }
    }
}

#[inline]
fn add_slots(
    plan: &SlicePlan,
    words: &mut [i64],
    sets: &mut HashedMap<u64, Vec<DistinctSet>>,
    (key, pane): (u32, i32),
    p: &Prepared,
    row: usize,
    moment: Moment,
) {
    for slot in &plan.slots {
        match (slot.kind, &p.args[slot.arg]) {
            (Kernel::Distinct, ArgValues::Identity(values, nulls)) => {
                if nulls.as_ref().is_none_or(|n| n.is_valid(row)) {
                    let n = plan.slots.iter().filter(|s| s.kind == Kernel::Distinct).count();
                    let sets = sets
                        .entry(set_key(key, pane))
                        .or_insert_with(|| vec![DistinctSet::default(); n]);
                    sets[set_index(plan, slot.offset, slot.arg)].add(values[row]);
                }
            }
            (kind, args) => {
                let words = &mut words[slot.offset..slot.offset + kind.words()];
                kernel::add(kind, words, args, row, moment);
            }
        }
    }
}

/// Position of a distinct slot among the slice's distinct slots.
fn set_index(plan: &SlicePlan, offset: usize, arg: usize) -> usize {
    plan.slots
        .iter()
        .filter(|s| s.kind == Kernel::Distinct)
        .position(|s| s.offset == offset && s.arg == arg)
        .unwrap_or(0)
}

fn set_key(key: u32, pane: i32) -> u64 {
    u64::from(key) << 32 | u64::from(pane as u32)
}

fn moment(p: &Prepared, row: usize) -> Moment {
    let tie = p.rows.ids.get(row).map_or(0, |id| *id as i64);
    Moment { at_ms: p.rows.event_ms[row], tie }
}
