//! One slice of the pane store in one shard: the series of its keys, and which keys each pane touched.
//!
//! Sparse: a key has an entry only in panes in which it has rows, and nothing at all without one. `touched` is both the
//! calendar by which windows find the keys to evaluate when a pane enters or leaves them, and the list for eviction.

use std::{collections::BTreeMap, ops::Range};

use hashbrown::hash_map::Entry;
use smallvec::SmallVec;

use super::{
    aggregate::{
        distinct::{DistinctSet, Sets},
        kernel::{self, Moment},
    },
    intern::Interner,
    plan::{Kernel, SlicePlan, Slot},
    prepare::{ArgValues, NO_PANE, Prepared},
    series::Series,
};
use crate::model::hash::HashedMap;

/// Panes are forgotten when they are this part of all that are kept, or more.
const EVICT_PART: i64 = 8;

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
    places: Places,
    slab: Slab,
    /// Sets of distinct values; the word of a distinct slot tells which one is an entry's.
    sets: Sets,
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
        let slots = plan.slots.as_slice();
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
            let place = match self.places.of(key) {
                Some(place) => place,
                None => {
                    interner.retain(key);
                    let place = self.slab.insert(key);
                    self.places.insert(key, place);
                    place
                }
            };
            let series = &mut self.slab.get_mut(place).series;
            let (at, new) = series.entry(pane, &plan.carry);
            series.add_rows(at, 1);
            let rows = series.total();
            if new {
                self.entries += 1;
                touched.push(&mut self.touched, pane, place);
                if rows >= plan.hot_at {
                    hot.push(&mut self.hot, pane, place);
                }
            }
            if rows == plan.hot_at {
                // Now every window of the key is worth a look; also one that ends before this pane: rows out of order may
                // still come into it and will not pass this point again.
                for other in series.panes().filter(|p| !(new && *p == pane)) {
                    hot.push(&mut self.hot, other, place);
                }
            }
            if !slots.is_empty() {
                let words = series.words_from(at, plan.stride);
                add_slots(slots, words, plan.stride, &mut self.sets, p, *row as usize);
            }
        }
        touched.flush(&mut self.touched);
        hot.flush(&mut self.hot);
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
        let Some(place) = self.places.of(key) else { return true };
        let series = &mut self.slab.get_mut(place).series;
        let range = series.range(pane, pane.saturating_add(1));
        if pane == NO_PANE || range.is_empty() {
            return true;
        }
        let at = range.start;
        for slot in &plan.slots {
            match (slot.kind, &p.args[slot.arg]) {
                (Kernel::Distinct, ArgValues::Identity(values, nulls)) => {
                    let word = series.words(at, plan.stride)[slot.offset];
                    if nulls.as_ref().is_none_or(|n| n.is_valid(row)) {
                        self.sets.take(word, values[row]);
                    }
                }
                (kind, args) => {
                    for words in series.words_from(at, plan.stride).chunks_exact_mut(plan.stride) {
                        kernel::take(kind, &mut words[slot.offset..], args, row);
                    }
                }
            }
        }
        series.add_rows(at, 1u32.wrapping_neg());
        if series.rows_in(at..at + 1) > 0 {
            return plan.slots.iter().all(|s| s.kind.subtracts());
        }
        free_sets(plan, series, at..at + 1, &mut self.sets);
        series.remove(at, plan.stride);
        self.entries -= 1;
        for lists in [&mut self.touched, &mut self.hot] {
            if let Some(list) = lists.get_mut(&pane) {
                list.retain(|p| *p != place);
            }
        }
        if series.is_empty() {
            self.places.remove(key);
            self.slab.remove(place);
            interner.release(key, after_ms);
        }
        true
    }

    /// Makes the aggregates of the key's entry in `pane` that cannot subtract anew from `rows` (row numbers of `p`).
    pub fn rebuild(
        &mut self,
        plan: &SlicePlan,
        key: u32,
        pane: i32,
        parts: &[(&Prepared, Vec<u32>)],
    ) {
        let Some(place) = self.places.of(key) else { return };
        let series = &mut self.slab.get_mut(place).series;
        let range = series.range(pane, pane + 1);
        if range.is_empty() {
            return;
        }
        let slots: Vec<Slot> = plan.slots.iter().filter(|s| !s.kind.subtracts()).copied().collect();
        let words = series.words_from(range.start, plan.stride);
        for slot in &slots {
            words[slot.offset..slot.offset + slot.kind.words()].fill(0);
        }
        for (p, rows) in parts {
            for row in rows {
                add_slots(&slots, words, plan.stride, &mut self.sets, p, *row as usize);
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
        self.slab.items().filter(|i| !i.series.is_empty()).map(|i| i.key)
    }

    /// The key's series.
    #[inline]
    #[must_use]
    pub fn series(&self, key: u32) -> Option<&Series> {
        self.places.of(key).map(|p| &self.slab.get(p).series)
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
            state[0] = self.distinct(plan, slot.offset, series, range);
            return;
        }
        let part = slot.offset..slot.offset + slot.kind.words();
        if slot.kind.carries() {
            if !range.is_empty() {
                let last = &series.words(range.end - 1, plan.stride)[part.clone()];
                let before = &series.words_before(range.start, plan.stride)[part];
                kernel::difference(slot.kind, state, last, before);
            }
            return;
        }
        for at in range {
            kernel::merge(slot.kind, state, &series.words(at, plan.stride)[part.clone()]);
        }
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
        let Some(series) = self.series(key) else { return vec![0; windows.len()] };
        let ranges = windows.iter().map(|panes| series.range(panes.start, panes.end));
        if windows.len() == 1 {
            return ranges.map(|range| self.distinct(plan, offset, series, range)).collect();
        }
        let set = |at| self.sets.of(series.words(at, plan.stride)[offset]);
        // Value → in how many panes of the window it is.
        let mut held: HashedMap<u128, u32> = HashedMap::default();
        let mut window = 0..0;
        let slide = |range: Range<usize>| {
            let left = window.start..range.start.min(window.end);
            left.filter_map(set).for_each(|s| {
                s.each(|value| {
                    if let Entry::Occupied(mut n) = held.entry(value) {
                        *n.get_mut() -= 1;
                        if *n.get() == 0 {
                            n.remove();
                        }
                    }
                });
            });
            let entered = window.end.max(range.start)..range.end;
            entered
                .filter_map(set)
                .for_each(|s| s.each(|value| *held.entry(value).or_insert(0) += 1));
            window = range;
            held.len() as i64
        };
        ranges.map(slide).collect()
    }

    fn distinct(
        &self,
        plan: &SlicePlan,
        offset: usize,
        series: &Series,
        range: Range<usize>,
    ) -> i64 {
        let sets = range.filter_map(|at| self.sets.of(series.words(at, plan.stride)[offset]));
        let sets: SmallVec<[&DistinctSet; 8]> = sets.collect();
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
        // Some panes at once: a busy key is then visited once for all of them.
        let patience = (plan.keep_ms / plan.grid.len_ms / EVICT_PART).clamp(1, 64) as i32;
        if self.evicted_before.is_some_and(|e| pane < e.saturating_add(patience)) {
            return;
        }
        self.evicted_before = Some(pane);
        let mut emptied = Vec::new();
        let keep = self.touched.split_off(&pane);
        let gone = std::mem::replace(&mut self.touched, keep);
        self.hot = self.hot.split_off(&pane);
        for places in gone.into_values() {
            for place in places {
                let item = self.slab.get_mut(place);
                let old = item.series.range(i32::MIN, pane);
                free_sets(plan, &item.series, old, &mut self.sets);
                let entries = item.series.evict(pane, plan.stride);
                self.entries -= entries;
                // A key with several old panes comes again; it is removed once.
                if entries > 0 && item.series.is_empty() {
                    emptied.push(place);
                }
            }
        }
        for place in emptied {
            let key = self.slab.get(place).key;
            self.places.remove(key);
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
        let own = self.places.bytes() + self.slab.bytes() + heap + lists.sum::<usize>();
        (own, self.sets.bytes())
    }
}

/// The key at one place of a slab.
#[derive(Debug, Default)]
struct Item {
    key: u32,
    series: Series,
}

/// Key → place in the slab. Low keys, which are all of them in a small key space, need no hashing.
#[derive(Debug, Default)]
struct Places {
    /// By key: place + 1, or 0.
    low: Vec<u32>,
    high: HashedMap<u32, u32>,
}

/// Keys below this one stand in `low`.
const LOW_KEYS: u32 = 2_048;

impl Places {
    #[inline]
    fn of(&self, key: u32) -> Option<u32> {
        if key < LOW_KEYS {
            self.low.get(key as usize).and_then(|p| p.checked_sub(1))
        } else {
            self.high.get(&key).copied()
        }
    }

    fn insert(&mut self, key: u32, place: u32) {
        if key >= LOW_KEYS {
            self.high.insert(key, place);
            return;
        }
        let key = key as usize;
        if key >= self.low.len() {
            self.low.resize((key + 1).next_power_of_two(), 0);
        }
        self.low[key] = place + 1;
    }

    fn remove(&mut self, key: u32) {
        if key >= LOW_KEYS {
            self.high.remove(&key);
        } else if let Some(place) = self.low.get_mut(key as usize) {
            *place = 0;
        }
    }

    fn bytes(&self) -> usize {
        self.low.capacity() * 4 + self.high.capacity() * 9
    }
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

/// Puts a row into the words of its entry; `words` goes on with the entries behind it, whose running totals grow too.
#[inline]
fn add_slots(
    slots: &[Slot],
    words: &mut [i64],
    stride: usize,
    sets: &mut Sets,
    p: &Prepared,
    row: usize,
) {
    for slot in slots {
        let part = slot.offset..slot.offset + slot.kind.words();
        match (slot.kind, &p.args[slot.arg]) {
            (Kernel::Distinct, ArgValues::Identity(values, nulls)) => {
                if nulls.as_ref().is_none_or(|n| n.is_valid(row)) {
                    sets.add(&mut words[slot.offset], values[row]);
                }
            }
            (kind, args) if kind.carries() => {
                for words in words.chunks_exact_mut(stride) {
                    kernel::add(kind, &mut words[part.clone()], args, row, moment(p, row));
                }
            }
            (kind, args) => kernel::add(kind, &mut words[part], args, row, moment(p, row)),
        }
    }
}

/// Lets go of the sets of a key's entries.
fn free_sets(plan: &SlicePlan, series: &Series, entries: Range<usize>, sets: &mut Sets) {
    for slot in plan.slots.iter().filter(|s| s.kind == Kernel::Distinct) {
        entries.clone().for_each(|at| sets.free(series.words(at, plan.stride)[slot.offset]));
    }
}

fn moment(p: &Prepared, row: usize) -> Moment {
    let tie = p.rows.ids.get(row).map_or(0, |id| *id as i64);
    Moment { at_ms: p.rows.event_ms[row], tie }
}
