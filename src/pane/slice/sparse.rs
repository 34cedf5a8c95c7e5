//! The sparse layout of a slice: a series for each key.
//!
//! A key has an entry only in panes in which it has rows, and nothing at all without one. `touched` is both the calendar by
//! which windows find the keys to evaluate when a pane enters or leaves them, and the list for eviction.

use std::{collections::BTreeMap, ops::Range};

use super::{
    Rows,
    places::{Item, Places, Slab},
    slots::{add_slots, distinct, free_sets, rebuild_slots, take_slots},
};
use crate::pane::{
    aggregate::{distinct::Sets, kernel},
    intern::Interner,
    plan::{Kernel, SlicePlan, Slot},
    prepare::Prepared,
    series::Series,
};

/// The keys of a slice, each with its panes.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    places: Places,
    slab: Slab,
    /// Pane → places of the keys with rows in it.
    touched: BTreeMap<i32, Vec<u32>>,
    /// Those of them that may have as many rows in a window as the most modest rule asks for.
    hot: BTreeMap<i32, Vec<u32>>,
    /// Live (key, pane) entries.
    pub(super) entries: usize,
}

impl Sparse {
    /// Adds rows, each with its key and pane.
    pub(super) fn add(
        &mut self,
        plan: &SlicePlan,
        rows: Rows<'_>,
        sets: &mut Sets,
        mut interner: Option<&mut Interner>,
    ) {
        let slots = plan.slots.as_slice();
        let mut touched = Pushes::default();
        let mut hot = Pushes::default();
        for (pane, run) in rows.runs() {
            for row in run {
                let key = rows.key(*row);
                let place = match self.places.of(key) {
                    Some(place) => place,
                    None => {
                        if let Some(interner) = &mut interner {
                            interner.retain(key);
                        }
                        self.insert(key)
                    }
                };
                let series = &mut self.slab.get_mut(place).series;
                let (at, new) = series.entry(pane, &plan.carry);
                series.add_rows(at, 1);
                let total = series.total();
                if new {
                    self.entries += 1;
                    touched.push(&mut self.touched, pane, place);
                    if total >= plan.hot_at {
                        hot.push(&mut self.hot, pane, place);
                    }
                }
                if total == plan.hot_at {
                    // Now every window of the key is worth a look; also one that ends before this pane: rows out of order
                    // may still come into it and will not pass this point again.
                    for other in series.panes().filter(|p| !(new && *p == pane)) {
                        hot.push(&mut self.hot, other, place);
                    }
                }
                if !slots.is_empty() {
                    let words = series.words_from(at, plan.stride);
                    add_slots(slots, words, plan.stride, sets, rows.of.prepared, *row as usize);
                }
            }
        }
        touched.flush(&mut self.touched);
        hot.flush(&mut self.hot);
    }

    fn insert(&mut self, key: u32) -> u32 {
        let place = self.slab.insert(key);
        self.places.insert(key, place);
        place
    }

    /// Puts in an entry as another layout held it: its rows and its own words. Panes of a key come ascending.
    pub(super) fn put(&mut self, plan: &SlicePlan, key: u32, pane: i32, rows: u32, words: &[i64]) {
        let place = self.places.of(key).unwrap_or_else(|| self.insert(key));
        let series = &mut self.slab.get_mut(place).series;
        let (at, _) = series.entry(pane, &plan.carry);
        series.add_rows(at, rows);
        let into = series.words_from(at, plan.stride);
        for slot in &plan.slots {
            let part = slot.offset..slot.offset + slot.kind.words();
            match slot.kind {
                Kernel::Distinct => into[slot.offset] = words[slot.offset],
                kind => kernel::merge(kind, &mut into[part.clone()], &words[part]),
            }
        }
        self.entries += 1;
        self.touched.entry(pane).or_default().push(place);
        // The total is not known before the last pane: too many hot keys cost a look each, too few an alert.
        self.hot.entry(pane).or_default().push(place);
    }

    /// All entries: key, pane, rows, own words.
    pub(super) fn each(&self, plan: &SlicePlan, mut entry: impl FnMut(u32, i32, u32, &[i64])) {
        let mut own = vec![0; plan.stride];
        for item in self.slab.items() {
            for (at, pane) in item.series.panes().enumerate() {
                own.copy_from_slice(item.series.words(at, plan.stride));
                for slot in plan.slots.iter().filter(|s| s.kind.carries()) {
                    let part = slot.offset..slot.offset + slot.kind.words();
                    let last = &item.series.words(at, plan.stride)[part.clone()];
                    let before = &item.series.words_before(at, plan.stride)[part.clone()];
                    kernel::difference(slot.kind, &mut own[part], last, before);
                }
                entry(item.key, pane, item.series.rows_in(at..at + 1), &own);
            }
        }
    }

    /// Takes a row off; see [`super::Slice::take`].
    pub(super) fn take(
        &mut self,
        plan: &SlicePlan,
        (p, row, pane): (&Prepared, usize, i32),
        key: u32,
        sets: &mut Sets,
        interner: Option<&mut Interner>,
        after_ms: i64,
    ) -> bool {
        let Some(place) = self.places.of(key) else { return true };
        let series = &mut self.slab.get_mut(place).series;
        let range = series.range(pane, pane.saturating_add(1));
        if range.is_empty() {
            return true;
        }
        let at = range.start;
        let words = series.words_from(at, plan.stride);
        take_slots(plan.slots.iter(), words, plan.stride, sets, p, row);
        series.add_rows(at, 1u32.wrapping_neg());
        if series.rows_in(at..at + 1) > 0 {
            return plan.slots.iter().all(|s| s.kind.subtracts());
        }
        free_sets(plan, series.words(at, plan.stride), sets);
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
            if let Some(interner) = interner {
                interner.release(key, after_ms);
            }
        }
        true
    }

    /// See [`super::Slice::rebuild`].
    pub(super) fn rebuild(
        &mut self,
        plan: &SlicePlan,
        key: u32,
        pane: i32,
        sets: &mut Sets,
        parts: &[(&Prepared, Vec<u32>)],
    ) {
        let Some(place) = self.places.of(key) else { return };
        let series = &mut self.slab.get_mut(place).series;
        let range = series.range(pane, pane + 1);
        if !range.is_empty() {
            rebuild_slots(plan, series.words_from(range.start, plan.stride), sets, parts);
        }
    }

    /// Keys with rows in a pane of `panes`, by pane; a key appears once per pane.
    pub(super) fn touched(&self, panes: Range<i32>, keys: &mut Vec<u32>) {
        self.keys_in(&self.touched, panes, keys);
    }

    /// Those of them that may have as many rows in a window as the slice's plan calls hot; some may appear twice.
    pub(super) fn hot(&self, panes: Range<i32>, keys: &mut Vec<u32>) {
        self.keys_in(&self.hot, panes, keys);
    }

    fn keys_in(&self, lists: &BTreeMap<i32, Vec<u32>>, panes: Range<i32>, keys: &mut Vec<u32>) {
        for (_, places) in lists.range(panes.start..panes.end.max(panes.start)) {
            keys.extend(places.iter().map(|p| self.slab.get(*p).key));
        }
    }

    /// Panes with rows, ascending.
    pub(super) fn panes(&self) -> &BTreeMap<i32, Vec<u32>> {
        &self.touched
    }

    /// All keys, in no order.
    pub(super) fn keys(&self, keys: &mut Vec<u32>) {
        keys.extend(self.items().map(|i| i.key));
    }

    fn items(&self) -> impl Iterator<Item = &Item> {
        self.slab.items().filter(|i| !i.series.is_empty())
    }

    /// The key's series.
    #[inline]
    pub(super) fn series(&self, key: u32) -> Option<&Series> {
        self.places.of(key).map(|p| &self.slab.get(p).series)
    }

    /// See [`super::Asked::states`].
    pub(super) fn state(
        &self,
        plan: &SlicePlan,
        slot: Slot,
        key: u32,
        panes: &Range<i32>,
        sets: &Sets,
        state: &mut [i64],
    ) {
        let Some(series) = self.series(key) else { return };
        let range = series.range(panes.start, panes.end);
        if slot.kind == Kernel::Distinct {
            state[0] = distinct(sets, range.map(|at| series.words(at, plan.stride)[slot.offset]));
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

    /// Forgets panes before `pane`; keys without panes are released and rest until `after_ms`.
    pub(super) fn evict(
        &mut self,
        plan: &SlicePlan,
        pane: i32,
        sets: &mut Sets,
        mut interner: Option<&mut Interner>,
        after_ms: i64,
    ) {
        let mut emptied = Vec::new();
        let keep = self.touched.split_off(&pane);
        let gone = std::mem::replace(&mut self.touched, keep);
        self.hot = self.hot.split_off(&pane);
        for places in gone.into_values() {
            for place in places {
                let item = self.slab.get_mut(place);
                for at in item.series.range(i32::MIN, pane) {
                    free_sets(plan, item.series.words(at, plan.stride), sets);
                }
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
            if let Some(interner) = &mut interner {
                interner.release(key, after_ms);
            }
        }
    }

    /// Bytes of series and calendar, without distinct sets.
    pub(super) fn bytes(&self) -> usize {
        let heap: usize = self.slab.items().map(|i| i.series.heap_bytes()).sum();
        let lists = self.touched.values().chain(self.hot.values()).map(|v| 48 + v.capacity() * 4);
        self.places.bytes() + self.slab.bytes() + heap + lists.sum::<usize>()
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
