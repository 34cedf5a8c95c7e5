//! The dense layout of a slice: a table of panes by keys, for slices that have rows of many keys in most panes.
//!
//! Regions and products, and the businesses that are hot. A row costs one addition in a line of numbers. Lines hold running
//! totals, so that what a window of any length holds of all keys is the difference of two lines, and forgetting a pane is
//! dropping a line. Key numbers are positions, so they must be low; what a key without rows in a pane costs here is one
//! number for each of its words.

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

/// From so many keys on lines grow by as many.
const ROOM: usize = 64;

/// The panes of a slice, each with all keys.
#[derive(Debug, Default)]
pub(super) struct Dense {
    lines: BTreeMap<i32, Line>,
    /// What had come before the first line.
    base: Line,
    /// By key: whether the slice retains it.
    held: Vec<bool>,
    /// Keys below this one have a place in every line.
    width: usize,
    /// Whether a line has come since the layout was last judged.
    grown: bool,
    /// A line that was dropped: its memory is used again.
    spare: Line,
}

/// One pane: by key its rows and state words, running totals where they carry.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Rows in this pane and all before it, modulo 2³².
    upto: Vec<u32>,
    words: Vec<i64>,
    /// Keys with rows, as far as they were counted: when the next line came.
    entries: usize,
}

impl Line {
    #[inline]
    fn rows_since(&self, before: &Self, key: u32) -> u32 {
        let upto = |line: &Self| line.upto.get(key as usize).copied().unwrap_or(0);
        upto(self).wrapping_sub(upto(before))
    }

    #[inline]
    fn words(&self, key: u32, stride: usize) -> &[i64] {
        &self.words[key as usize * stride..][..stride]
    }

    #[inline]
    fn words_mut(&mut self, key: u32, stride: usize) -> &mut [i64] {
        &mut self.words[key as usize * stride..][..stride]
    }

    fn clone_from(&mut self, other: &Self) {
        self.upto.clone_from(&other.upto);
        self.words.clone_from(&other.words);
    }

    fn widen(&mut self, width: usize, stride: usize) {
        self.upto.resize(width, 0);
        self.words.resize(width * stride, 0);
    }

    /// Keys with rows that `before` has not.
    fn keys_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = u32> + 'a {
        let pairs = self.upto.iter().zip(&before.upto).enumerate();
        pairs.filter(|(_, (now, before))| now != before).map(|(key, _)| key as u32)
    }

    fn entries_since(&self, before: &Self) -> usize {
        self.upto.iter().zip(&before.upto).filter(|(now, before)| now != before).count()
    }
}

impl Dense {
    /// Adds rows, each with its key and pane.
    pub(super) fn add(
        &mut self,
        plan: &SlicePlan,
        rows: Rows<'_>,
        sets: &mut Sets,
        interner: Option<&mut Interner>,
    ) {
        for (pane, run) in rows.runs().filter(|(_, run)| !run.is_empty()) {
            self.open(plan, pane, rows.of.numbers);
            for (i, line) in self.lines.range_mut(pane..).map(|(_, line)| line).enumerate() {
                for row in run {
                    let upto = &mut line.upto[rows.key(*row) as usize];
                    *upto = upto.wrapping_add(1);
                }
                for slot in plan.slots.iter().filter(|s| i == 0 || s.kind.carries()) {
                    for row in run {
                        let words = line.words_mut(rows.key(*row), plan.stride);
                        let (prepared, row) = (rows.of.prepared, *row as usize);
                        add_slots(&[*slot], words, plan.stride, sets, prepared, row);
                    }
                }
            }
        }
        if let Some(interner) = interner {
            self.hold(interner);
        }
    }

    /// Makes a line of the pane where there is none, and room in all for keys below `width`.
    fn open(&mut self, plan: &SlicePlan, pane: i32, width: usize) {
        if width > self.width {
            self.width = if width < ROOM { width } else { width.next_multiple_of(ROOM) };
            self.held.resize(self.width, false);
            self.base.widen(self.width, plan.stride);
            self.lines.values_mut().for_each(|line| line.widen(self.width, plan.stride));
        }
        if self.lines.contains_key(&pane) {
            return;
        }
        self.grown = true;
        let mut line = std::mem::take(&mut self.spare);
        line.clone_from(self.before(pane));
        let own = plan.carry.iter().enumerate().filter(|(_, carries)| !**carries);
        for (word, _) in own {
            line.words.iter_mut().skip(word).step_by(plan.stride).for_each(|w| *w = 0);
        }
        if let Some((last, _)) = self.lines.range(..pane).next_back() {
            let (last, line) = (*last, &self.lines[last]);
            let entries = line.entries_since(self.before(last));
            self.lines.entry(last).and_modify(|line| line.entries = entries);
        }
        self.lines.insert(pane, line);
    }

    /// The line before that of `pane`.
    fn before(&self, pane: i32) -> &Line {
        self.lines.range(..pane).next_back().map_or(&self.base, |(_, line)| line)
    }

    fn last(&self) -> &Line {
        self.lines.last_key_value().map_or(&self.base, |(_, line)| line)
    }

    /// The lines between which the rows of `panes` lie.
    fn around(&self, panes: &Range<i32>) -> (&Line, &Line) {
        let start = self.before(panes.start);
        (start, if panes.end > panes.start { self.before(panes.end) } else { start })
    }

    /// Lines of `panes`, each with the one before it; none where `panes` ends before it begins.
    fn lines_in<'a>(
        &'a self,
        panes: &Range<i32>,
    ) -> impl Iterator<Item = (&'a Line, &'a Line)> + Clone + use<'a> {
        let lines = self.lines.range(panes.start..panes.end.max(panes.start));
        let before = std::iter::once(self.before(panes.start));
        before.chain(lines.clone().map(|(_, line)| line)).zip(lines.map(|(_, line)| line))
    }

    /// Retains the keys that have rows now.
    fn hold(&mut self, interner: &mut Interner) {
        let last = self.lines.last_key_value().map_or(&self.base, |(_, line)| line);
        for key in last.keys_since(&self.base) {
            let held = &mut self.held[key as usize];
            if !*held {
                *held = true;
                interner.retain(key);
            }
        }
    }

    /// Puts in an entry as another layout held it: its rows and its own words. Panes of a key come ascending; [`Dense::settle`]
    /// comes when all are in.
    pub(super) fn put(&mut self, plan: &SlicePlan, key: u32, pane: i32, rows: u32, words: &[i64]) {
        self.open(plan, pane, key as usize + 1);
        self.held[key as usize] = true;
        for (i, line) in self.lines.range_mut(pane..).map(|(_, line)| line).enumerate() {
            let upto = &mut line.upto[key as usize];
            *upto = upto.wrapping_add(rows);
            let into = line.words_mut(key, plan.stride);
            for slot in plan.slots.iter().filter(|s| i == 0 || s.kind.carries()) {
                let part = slot.offset..slot.offset + slot.kind.words();
                match slot.kind {
                    Kernel::Distinct => into[slot.offset] = words[slot.offset],
                    kind => kernel::merge(kind, &mut into[part.clone()], &words[part]),
                }
            }
        }
    }

    /// Ends putting in: counts the entries of each line.
    pub(super) fn settle(&mut self) {
        let lines = self.lines_in(&(i32::MIN..i32::MAX));
        let entries: Vec<usize> = lines.map(|(before, line)| line.entries_since(before)).collect();
        self.lines.values_mut().zip(entries).for_each(|(line, entries)| line.entries = entries);
    }

    /// All entries: key, pane, rows, own words; the panes of a key come ascending.
    pub(super) fn each(&self, plan: &SlicePlan, mut entry: impl FnMut(u32, i32, u32, &[i64])) {
        let mut own = vec![0; plan.stride];
        let mut before = &self.base;
        for (pane, line) in &self.lines {
            for key in line.keys_since(before) {
                own.copy_from_slice(line.words(key, plan.stride));
                for slot in plan.slots.iter().filter(|s| s.kind.carries()) {
                    let part = slot.offset..slot.offset + slot.kind.words();
                    let last = &line.words(key, plan.stride)[part.clone()];
                    let before = &before.words(key, plan.stride)[part.clone()];
                    kernel::difference(slot.kind, &mut own[part], last, before);
                }
                entry(key, *pane, line.rows_since(before, key), &own);
            }
            before = line;
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
        if self.rows(key, &(pane..pane + 1)) == 0 {
            return true;
        }
        for (i, line) in self.lines.range_mut(pane..).map(|(_, line)| line).enumerate() {
            let upto = &mut line.upto[key as usize];
            *upto = upto.wrapping_sub(1);
            if plan.stride > 0 {
                let slots = plan.slots.iter().filter(|s| i == 0 || s.kind.carries());
                take_slots(slots, line.words_mut(key, plan.stride), plan.stride, sets, p, row);
            }
        }
        if self.rows(key, &(pane..pane + 1)) > 0 {
            return plan.slots.iter().all(|s| s.kind.subtracts());
        }
        if let Some(line) = self.lines.get_mut(&pane) {
            let words = line.words_mut(key, plan.stride);
            free_sets(plan, words, sets);
            words.iter_mut().zip(&plan.carry).filter(|(_, c)| !**c).for_each(|(w, _)| *w = 0);
        }
        if self.lines.get(&pane).is_some_and(|l| l.entries_since(self.before(pane)) == 0) {
            self.lines.remove(&pane);
        }
        if let Some(interner) = interner.filter(|_| !self.has(key)) {
            self.held[key as usize] = false;
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
        if self.rows(key, &(pane..pane + 1)) > 0
            && let Some(line) = self.lines.get_mut(&pane)
        {
            rebuild_slots(plan, line.words_mut(key, plan.stride), sets, parts);
        }
    }

    /// Keys with rows in a pane of `panes`, by pane; a key appears once per pane.
    pub(super) fn touched(&self, panes: Range<i32>, keys: &mut Vec<u32>) {
        self.lines_in(&panes).for_each(|(before, line)| keys.extend(line.keys_since(before)));
    }

    /// Keys with rows in `entered` that have at least `rows` of them in `panes`, which end with it; `rows` is not 0.
    pub(super) fn reaching(
        &self,
        entered: &Range<i32>,
        panes: &Range<i32>,
        rows: u32,
        keys: &mut Vec<u32>,
    ) {
        let (before, last) = self.around(entered);
        let start = self.before(panes.start);
        let lines = last.upto.chunks(ROOM).zip(before.upto.chunks(ROOM));
        for (chunk, ((last, before), start)) in lines.zip(start.upto.chunks(ROOM)).enumerate() {
            let reaches = |((last, before), start): ((&u32, &u32), &u32)| {
                (last != before) & (last.wrapping_sub(*start) >= rows)
            };
            let all = || last.iter().zip(before).zip(start).map(reaches);
            // Most keys do not: first without a branch whether any of so many does.
            if all().fold(false, |any, reaches| any | reaches) {
                let some = all().enumerate().filter(|(_, reaches)| *reaches);
                keys.extend(some.map(|(i, _)| (chunk * ROOM + i) as u32));
            }
        }
    }

    /// Panes with rows, ascending.
    pub(super) fn panes(&self) -> &BTreeMap<i32, Line> {
        &self.lines
    }

    /// All keys, in no order.
    pub(super) fn keys(&self, keys: &mut Vec<u32>) {
        keys.extend(self.last().keys_since(&self.base));
    }

    /// Whether the key has rows in any pane.
    pub(super) fn has(&self, key: u32) -> bool {
        self.last().rows_since(&self.base, key) > 0
    }

    /// Panes of one key at or behind `from`, ascending.
    pub(super) fn panes_of(&self, key: u32, from: i32) -> Vec<i32> {
        let panes = self.lines.range(from..).map(|(pane, _)| *pane);
        let lines = self.lines_in(&(from..i32::MAX));
        let own = panes.zip(lines).filter(|(_, (before, line))| line.rows_since(before, key) > 0);
        own.map(|(pane, _)| pane).collect()
    }

    /// Panes of one key and one of its words there, ascending.
    pub(super) fn words_of(&self, key: u32, stride: usize, offset: usize) -> Vec<(i32, i64)> {
        let word = |pane| (pane, self.lines[&pane].words(key, stride)[offset]);
        self.panes_of(key, i32::MIN).into_iter().map(word).collect()
    }

    /// Rows of one key in `panes`.
    pub(super) fn rows(&self, key: u32, panes: &Range<i32>) -> u64 {
        let (start, end) = self.around(panes);
        u64::from(end.rows_since(start, key))
    }

    /// A function from keys to their rows in `panes`.
    pub(super) fn rows_in<'a>(&'a self, panes: &Range<i32>) -> impl Fn(u32) -> u64 + use<'a> {
        let (start, end) = self.around(panes);
        move |key| u64::from(end.rows_since(start, key))
    }

    /// See [`super::Asked::rows_between`].
    pub(super) fn rows_between(&self, edges: &[i32], mut rows: Vec<(u32, &mut [f64])>) {
        // Line by line: what keys of like numbers have in one lies together.
        let lines: Vec<&Line> = edges.iter().map(|edge| self.before(*edge)).collect();
        for (at, lines) in lines.windows(2).enumerate() {
            for (key, out) in &mut rows {
                out[at] = f64::from(lines[1].rows_since(lines[0], *key));
            }
        }
    }

    /// See [`super::Asked::states`].
    pub(super) fn states(
        &self,
        plan: &SlicePlan,
        slot: Slot,
        keys: &[u32],
        panes: &Range<i32>,
        sets: &Sets,
        states: &mut [i64],
    ) {
        let part = slot.offset..slot.offset + slot.kind.words();
        let known = |(key, _): &(&u32, &mut [i64])| (**key as usize) < self.width;
        let states = keys.iter().zip(states.chunks_exact_mut(slot.kind.words())).filter(known);
        if slot.kind.carries() {
            let (start, end) = self.around(panes);
            for (key, state) in states.filter(|_| !end.words.is_empty()) {
                let last = &end.words(*key, plan.stride)[part.clone()];
                let before = &start.words(*key, plan.stride)[part.clone()];
                kernel::difference(slot.kind, state, last, before);
            }
            return;
        }
        for (key, state) in states {
            let own = self.lines_in(panes).filter(|(before, l)| l.rows_since(before, *key) > 0);
            let mut words = own.map(|(_, l)| &l.words(*key, plan.stride)[part.clone()]);
            match slot.kind {
                Kernel::Distinct => state[0] = distinct(sets, words.map(|w| w[0])),
                kind => words.by_ref().for_each(|words| kernel::merge(kind, state, words)),
            }
        }
    }

    /// Forgets panes before `pane`; keys without panes are released and rest until `after_ms`.
    pub(super) fn evict(
        &mut self,
        plan: &SlicePlan,
        pane: i32,
        sets: &mut Sets,
        interner: Option<&mut Interner>,
        after_ms: i64,
    ) {
        let has_sets = plan.slots.iter().any(|s| s.kind == Kernel::Distinct);
        for (before, line) in self.lines_in(&(i32::MIN..pane)).filter(|_| has_sets) {
            let keys = line.keys_since(before);
            keys.for_each(|key| free_sets(plan, line.words(key, plan.stride), sets));
        }
        let keep = self.lines.split_off(&pane);
        let gone = std::mem::replace(&mut self.lines, keep);
        let Some((_, base)) = gone.into_iter().next_back() else { return };
        self.spare = std::mem::replace(&mut self.base, base);
        let Some(interner) = interner else { return };
        for key in 0..self.width {
            if self.held[key] && !self.has(key as u32) {
                self.held[key] = false;
                interner.release(key as u32, after_ms);
            }
        }
    }

    /// Live (key, pane) entries.
    pub(super) fn entries(&self) -> usize {
        let lines = self.lines_in(&(i32::MIN..i32::MAX));
        lines.map(|(before, line)| line.entries_since(before)).sum()
    }

    /// If a line has come since this was last asked: entries of the lines before the last one, and how many lines those are.
    pub(super) fn filled(&mut self) -> Option<(usize, usize)> {
        let lines = self.lines.len().checked_sub(1).filter(|n| *n > 0)?;
        let entries = || self.lines.values().take(lines).map(|line| line.entries).sum();
        std::mem::take(&mut self.grown).then(|| (entries(), lines))
    }

    /// Bytes, without distinct sets.
    pub(super) fn bytes(&self) -> usize {
        let line = |l: &Line| 64 + l.upto.capacity() * 4 + l.words.capacity() * 8;
        self.held.capacity()
            + self.lines.values().chain([&self.base, &self.spare]).map(line).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::window::PaneGrid;

    #[test]
    fn a_table_that_was_put_in_key_by_key_knows_how_full_it_is() {
        let plan = SlicePlan {
            feed: 0,
            filter: 0,
            keying: 0,
            lane: 0,
            space: 0,
            grid: PaneGrid { len_ms: 1, origin_ms: 0 },
            slots: Vec::new(),
            stride: 0,
            carry: Vec::new(),
            hot_at: 0,
            waits: Vec::new(),
            keep_ms: 0,
        };
        let mut dense = Dense::default();
        for key in 0..20 {
            (0..3).for_each(|pane| dense.put(&plan, key, pane, 2, &[]));
        }
        dense.settle();
        assert_eq!(dense.entries(), 60);
        dense.open(&plan, 3, 20);
        assert_eq!(dense.filled(), Some((60, 3)), "or it would turn sparse at the next row");
    }
}
