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
    series: HashedMap<u32, Series>,
    /// (key, pane) → one set per distinct slot.
    sets: HashedMap<u64, Vec<DistinctSet>>,
    touched: BTreeMap<i32, Vec<u32>>,
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
        let (mut pane_now, mut touched_now) = (NO_PANE, Vec::new());
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
            let series = match self.series.entry(key) {
                hashbrown::hash_map::Entry::Occupied(e) => e.into_mut(),
                hashbrown::hash_map::Entry::Vacant(e) => {
                    interner.retain(key);
                    e.insert(Series::default())
                }
            };
            let (at, new) = series.entry(pane, &init);
            series.add_rows(at, 1);
            if new {
                self.entries += 1;
                if pane != pane_now {
                    if !touched_now.is_empty() {
                        merge_touched(
                            &mut self.touched,
                            pane_now,
                            std::mem::take(&mut touched_now),
                        );
                    }
                    pane_now = pane;
                }
                touched_now.push(key);
            }
            if !plan.slots.is_empty() {
                let moment = moment(p, *row as usize);
                let words = series.words_mut(at, plan.stride);
                add_slots(plan, words, &mut self.sets, (key, pane), p, *row as usize, moment);
            }
        }
        if !touched_now.is_empty() {
            merge_touched(&mut self.touched, pane_now, touched_now);
        }
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
        let Some(series) = self.series.get_mut(&key) else { return true };
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
        if series.take_row(at, plan.stride) {
            self.entries -= 1;
            self.sets.remove(&set_key(key, pane));
            if let Some(list) = self.touched.get_mut(&pane) {
                list.retain(|k| *k != key);
            }
            if series.entries().is_empty() {
                self.series.remove(&key);
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
        let Some(series) = self.series.get_mut(&key) else { return };
        let range = series.range(pane, pane + 1);
        if range.is_empty() {
            return;
        }
        let at = range.start;
        let n: usize = parts.iter().map(|(_, rows)| rows.len()).sum();
        let now = series.entries()[at].rows;
        series.add_rows(at, (n as u32).wrapping_sub(now));
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
        let range = if panes.start < panes.end { panes } else { 0..0 };
        self.touched.range(range).flat_map(|(_, keys)| keys.iter().copied())
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
        self.series.keys().copied()
    }

    /// The key's series.
    #[inline]
    #[must_use]
    pub fn series(&self, key: u32) -> Option<&Series> {
        self.series.get(&key)
    }

    /// State of one slot over panes `[from, to)`; all zero without rows. For [`Kernel::Distinct`] one word: the count.
    #[must_use]
    pub fn state(&self, plan: &SlicePlan, slot: usize, key: u32, from: i32, to: i32) -> Vec<i64> {
        let slot = plan.slots[slot];
        let Some(series) = self.series.get(&key) else { return vec![0; slot.kind.words().max(1)] };
        let range = series.range(from, to);
        if slot.kind == Kernel::Distinct {
            return vec![self.distinct(plan, slot.offset, slot.arg, key, series, range)];
        }
        let mut state = vec![0; slot.kind.words()];
        for at in range {
            let words =
                &series.words(at, plan.stride)[slot.offset..slot.offset + slot.kind.words()];
            kernel::merge(slot.kind, &mut state, words);
        }
        state
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
        let keep = self.touched.split_off(&pane);
        let gone = std::mem::replace(&mut self.touched, keep);
        let has_sets = plan.slots.iter().any(|s| s.kind == Kernel::Distinct);
        for (old, keys) in gone {
            for key in keys {
                if has_sets {
                    self.sets.remove(&set_key(key, old));
                }
                if let Some(series) = self.series.get_mut(&key) {
                    let before = series.entries().len();
                    let empty = series.evict(pane, plan.stride);
                    self.entries -= before - series.entries().len();
                    if empty {
                        self.series.remove(&key);
                        interner.release(key, after_ms);
                    }
                }
            }
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
        let slot = size_of::<(u32, Series)>() + 1;
        // A sum: the order cannot show.
        #[expect(clippy::iter_over_hash_type, reason = "a sum does not depend on the order")]
        let heap = {
            let mut sum = 0;
            for s in self.series.values() {
                sum += s.heap_bytes();
            }
            sum
        };
        let touched: usize = self.touched.values().map(|v| 48 + v.capacity() * 4).sum();
        let sets: usize = self.sets.values().flatten().map(|s| 40 + s.heap_bytes()).sum();
        (self.series.capacity() * slot + heap + touched, sets)
    }
}

fn merge_touched(touched: &mut BTreeMap<i32, Vec<u32>>, pane: i32, mut keys: Vec<u32>) {
    let list = touched.entry(pane).or_default();
    if list.is_empty() { *list = keys } else { list.append(&mut keys) }
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
