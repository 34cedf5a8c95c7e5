//! The dense layout of a slice: a table of panes by keys, for slices that have rows of most keys in most panes.
//!
//! Regions, products, districts: few keys, all of them busy. A row then costs one addition in a line of numbers, and what a
//! window holds of all keys is the sum of a few lines. Key numbers are positions, so they must be low; what a key without
//! rows in a pane costs here is one number.

use std::{collections::BTreeMap, ops::Range};

use super::{
    Rows,
    slots::{add_slots, distinct, free_sets, rebuild_slots, take_slots},
};
use crate::pane::{
    aggregate::{distinct::Sets, kernel},
    intern::Interner,
    plan::{Kernel, SlicePlan, Slot},
    prepare::Prepared,
};

/// The panes of a slice, each with all keys.
#[derive(Debug, Default)]
pub(super) struct Dense {
    lines: BTreeMap<i32, Line>,
    /// By key: rows in all panes.
    totals: Vec<u32>,
    /// Live (key, pane) entries.
    pub(super) entries: usize,
}

/// One pane: by key its rows and its state words. May end before the last key.
#[derive(Debug, Default)]
pub(super) struct Line {
    rows: Vec<u32>,
    words: Vec<i64>,
    /// Keys with rows.
    entries: usize,
}

impl Line {
    /// Room for keys below `width`.
    fn widen(&mut self, width: usize, stride: usize) {
        if self.rows.len() < width {
            self.rows.resize(width, 0);
            self.words.resize(width * stride, 0);
        }
    }

    #[inline]
    fn rows(&self, key: u32) -> u32 {
        self.rows.get(key as usize).copied().unwrap_or(0)
    }

    #[inline]
    fn words(&self, key: u32, stride: usize) -> &[i64] {
        &self.words[key as usize * stride..][..stride]
    }

    #[inline]
    fn words_mut(&mut self, key: u32, stride: usize) -> &mut [i64] {
        &mut self.words[key as usize * stride..][..stride]
    }

    fn keys(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows.iter().enumerate().filter(|(_, rows)| **rows > 0).map(|(key, _)| key as u32)
    }
}

impl Dense {
    /// Adds rows, each with its key and pane; `width` lies above every key.
    pub(super) fn add(
        &mut self,
        plan: &SlicePlan,
        rows: Rows<'_>,
        width: usize,
        sets: &mut Sets,
        interner: &mut Interner,
    ) {
        if self.totals.len() < width {
            self.totals.resize(width, 0);
        }
        for (pane, run) in rows.runs() {
            let line = self.lines.entry(pane).or_default();
            line.widen(width, plan.stride);
            for row in run {
                let Some(key) = rows.key(*row) else { continue };
                let of_key = &mut line.rows[key as usize];
                if *of_key == 0 {
                    line.entries += 1;
                    self.entries += 1;
                }
                *of_key += 1;
                let total = &mut self.totals[key as usize];
                if *total == 0 {
                    interner.retain(key);
                }
                *total += 1;
                if plan.stride > 0 {
                    let words = line.words_mut(key, plan.stride);
                    add_slots(&plan.slots, words, plan.stride, sets, rows.prepared, *row as usize);
                }
            }
            if line.entries == 0 {
                self.lines.remove(&pane);
            }
        }
    }

    /// Puts in an entry as another layout held it: its rows and its own words.
    pub(super) fn put(&mut self, plan: &SlicePlan, key: u32, pane: i32, rows: u32, words: &[i64]) {
        let width = self.totals.len().max(key as usize + 1);
        self.totals.resize(width, 0);
        self.totals[key as usize] += rows;
        let line = self.lines.entry(pane).or_default();
        line.widen(width, plan.stride);
        line.rows[key as usize] = rows;
        line.words_mut(key, plan.stride).copy_from_slice(words);
        line.entries += 1;
        self.entries += 1;
    }

    /// All entries: key, pane, rows, own words; the panes of a key come ascending.
    pub(super) fn each(&self, plan: &SlicePlan, mut entry: impl FnMut(u32, i32, u32, &[i64])) {
        for (pane, line) in &self.lines {
            for key in line.keys() {
                entry(key, *pane, line.rows(key), line.words(key, plan.stride));
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
        interner: &mut Interner,
        after_ms: i64,
    ) -> bool {
        let Some(line) = self.lines.get_mut(&pane).filter(|l| l.rows(key) > 0) else { return true };
        let words = line.words_mut(key, plan.stride);
        if plan.stride > 0 {
            take_slots(plan, words, sets, p, row);
        }
        line.rows[key as usize] -= 1;
        self.totals[key as usize] -= 1;
        if line.rows[key as usize] > 0 {
            return plan.slots.iter().all(|s| s.kind.subtracts());
        }
        let words = line.words_mut(key, plan.stride);
        free_sets(plan, words, sets);
        words.fill(0);
        line.entries -= 1;
        self.entries -= 1;
        if line.entries == 0 {
            self.lines.remove(&pane);
        }
        if self.totals[key as usize] == 0 {
            interner.release(key, after_ms);
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
        if let Some(line) = self.lines.get_mut(&pane).filter(|l| l.rows(key) > 0) {
            rebuild_slots(plan, line.words_mut(key, plan.stride), sets, parts);
        }
    }

    /// Keys with rows in a pane of `panes`, by pane; a key appears once per pane.
    pub(super) fn touched(&self, panes: Range<i32>, keys: &mut Vec<u32>) {
        self.lines_in(&panes).for_each(|line| keys.extend(line.keys()));
    }

    /// Those of them that may have as many rows in a window as the slice's plan calls hot.
    pub(super) fn hot(&self, plan: &SlicePlan, panes: Range<i32>, keys: &mut Vec<u32>) {
        let hot = |key: &u32| self.totals[*key as usize] >= plan.hot_at;
        self.lines_in(&panes).for_each(|line| keys.extend(line.keys().filter(hot)));
    }

    /// Lines of `panes`; none where it ends before it begins.
    fn lines_in(&self, panes: &Range<i32>) -> impl Iterator<Item = &Line> + Clone {
        self.lines.range(panes.start..panes.end.max(panes.start)).map(|(_, line)| line)
    }

    /// Panes with rows, ascending.
    pub(super) fn panes(&self) -> &BTreeMap<i32, Line> {
        &self.lines
    }

    /// All keys, in no order.
    pub(super) fn keys(&self, keys: &mut Vec<u32>) {
        let some = self.totals.iter().enumerate().filter(|(_, total)| **total > 0);
        keys.extend(some.map(|(key, _)| key as u32));
    }

    /// Whether the key has rows in any pane.
    pub(super) fn has(&self, key: u32) -> bool {
        self.totals.get(key as usize).is_some_and(|total| *total > 0)
    }

    /// Panes of one key at or behind `from`, ascending.
    pub(super) fn panes_of(&self, key: u32, from: i32) -> Vec<i32> {
        let own = self.lines.range(from..).filter(|(_, line)| line.rows(key) > 0);
        own.map(|(pane, _)| *pane).collect()
    }

    /// Panes of one key and one of its words there, ascending.
    pub(super) fn words_of(&self, key: u32, stride: usize, offset: usize) -> Vec<(i32, i64)> {
        let own = self.lines.iter().filter(|(_, line)| line.rows(key) > 0);
        own.map(|(pane, line)| (*pane, line.words(key, stride)[offset])).collect()
    }

    /// Rows of one key in `panes`.
    pub(super) fn rows(&self, key: u32, panes: &Range<i32>) -> u64 {
        self.lines_in(panes).map(|line| u64::from(line.rows(key))).sum()
    }

    /// Rows in `panes` by key; may end before the last key.
    pub(super) fn rows_of_all(&self, panes: &Range<i32>) -> Vec<u64> {
        let mut sums = vec![0; self.totals.len()];
        for line in self.lines_in(panes) {
            sums.iter_mut().zip(&line.rows).for_each(|(sum, rows)| *sum += u64::from(*rows));
        }
        sums
    }

    /// See [`super::Slice::states`].
    pub(super) fn states(
        &self,
        plan: &SlicePlan,
        slot: Slot,
        keys: &[u32],
        panes: &Range<i32>,
        sets: &Sets,
        states: &mut [i64],
    ) {
        let lines = self.lines_in(panes);
        if slot.kind == Kernel::Distinct {
            for (key, state) in keys.iter().zip(states) {
                let own = lines.clone().filter(|l| l.rows(*key) > 0);
                *state = distinct(sets, own.map(|l| l.words(*key, plan.stride)[slot.offset]));
            }
            return;
        }
        let part = slot.offset..slot.offset + slot.kind.words();
        for line in lines {
            for (key, state) in keys.iter().zip(states.chunks_exact_mut(slot.kind.words())) {
                if line.rows(*key) > 0 {
                    kernel::merge(slot.kind, state, &line.words(*key, plan.stride)[part.clone()]);
                }
            }
        }
    }

    /// Forgets panes before `pane`; keys without panes are released and rest until `after_ms`.
    pub(super) fn evict(
        &mut self,
        plan: &SlicePlan,
        pane: i32,
        sets: &mut Sets,
        interner: &mut Interner,
        after_ms: i64,
    ) {
        let keep = self.lines.split_off(&pane);
        for line in std::mem::replace(&mut self.lines, keep).into_values() {
            self.entries -= line.entries;
            for key in line.keys() {
                free_sets(plan, line.words(key, plan.stride), sets);
                let total = &mut self.totals[key as usize];
                *total -= line.rows(key);
                if *total == 0 {
                    interner.release(key, after_ms);
                }
            }
        }
    }

    /// Bytes, without distinct sets.
    pub(super) fn bytes(&self) -> usize {
        let line = |l: &Line| 64 + l.rows.capacity() * 4 + l.words.capacity() * 8;
        self.totals.capacity() * 4 + self.lines.values().map(line).sum::<usize>()
    }
}
