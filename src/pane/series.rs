//! One key's panes: how many rows each pane has, oldest first, and the states of the slice's aggregates.
//!
//! The unit of the pane store. A key has an entry only in panes in which it has rows; a window is a run of entries. Row
//! counts, and the words that the slice's plan carries, are running totals, so that what a window holds is the difference
//! of two entries however long it is. Two entries without further aggregates fit in place, so a key with one quiet
//! complaint costs one small slot.

use smallvec::SmallVec;

/// Rows of one key in one pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// Index of the pane.
    pane: i32,
    /// Rows in it and in all panes before it, modulo 2³².
    upto: u32,
}

/// The panes of one key, ascending, with a row of state words for each.
#[derive(Debug, Clone, Default)]
pub struct Series {
    entries: SmallVec<[Entry; 2]>,
    /// Total before the first entry.
    base: u32,
    /// The words before the first entry, then those of each entry; absent where the slice only counts.
    #[expect(
        clippy::box_collection,
        reason = "most slices only count: eight bytes instead of 24 in every key"
    )]
    words: Option<Box<Vec<i64>>>,
}

impl Series {
    /// Position of the pane's entry, made where it has none; `carry` tells for each of its words whether it goes on from
    /// the entry before or begins at 0. The flag tells whether the entry is new.
    #[inline]
    pub fn entry(&mut self, pane: i32, carry: &[bool]) -> (usize, bool) {
        match self.entries.last() {
            Some(last) if last.pane == pane => return (self.entries.len() - 1, false),
            Some(last) if last.pane > pane => return self.entry_inside(pane, carry),
            _ => {}
        }
        let at = self.entries.len();
        self.insert(at, pane, carry);
        (at, true)
    }

    #[cold]
    fn entry_inside(&mut self, pane: i32, carry: &[bool]) -> (usize, bool) {
        match self.entries.binary_search_by_key(&pane, |e| e.pane) {
            Ok(at) => (at, false),
            Err(at) => {
                self.insert(at, pane, carry);
                (at, true)
            }
        }
    }

    #[inline]
    fn insert(&mut self, at: usize, pane: i32, carry: &[bool]) {
        let entry = Entry { pane, upto: self.upto(at) };
        self.entries.insert(at, entry);
        let stride = carry.len();
        if stride == 0 {
            return;
        }
        let words = self.words.get_or_insert_with(|| Box::new(vec![0; stride]));
        let mut new: SmallVec<[i64; 8]> = words[at * stride..(at + 1) * stride].into();
        new.iter_mut().zip(carry).filter(|(_, c)| !**c).for_each(|(w, _)| *w = 0);
        let place = (at + 1) * stride;
        if place == words.len() {
            words.extend_from_slice(&new);
        } else {
            words.splice(place..place, new);
        }
    }

    /// Adds rows to an entry; a negative number, modulo 2³², takes them off.
    #[inline]
    pub fn add_rows(&mut self, at: usize, rows: u32) {
        for entry in &mut self.entries[at..] {
            entry.upto = entry.upto.wrapping_add(rows);
        }
    }

    /// Removes an entry without rows.
    pub fn remove(&mut self, at: usize, stride: usize) {
        self.entries.remove(at);
        if let Some(words) = &mut self.words {
            words.drain((at + 1) * stride..(at + 2) * stride);
        }
    }

    /// The state words of entry `at` and of those behind it.
    #[inline]
    pub fn words_from(&mut self, at: usize, stride: usize) -> &mut [i64] {
        match &mut self.words {
            Some(words) => &mut words[(at + 1) * stride..],
            None => &mut [],
        }
    }

    /// The state words of an entry.
    #[inline]
    #[must_use]
    pub fn words(&self, at: usize, stride: usize) -> &[i64] {
        self.words_before(at + 1, stride)
    }

    /// The state words of the entry before `at`, or those before the first entry.
    #[inline]
    #[must_use]
    pub fn words_before(&self, at: usize, stride: usize) -> &[i64] {
        match &self.words {
            Some(words) => &words[at * stride..(at + 1) * stride],
            None => &[],
        }
    }

    /// Positions of the entries in panes `[from, to)`.
    #[inline]
    #[must_use]
    pub fn range(&self, from: i32, to: i32) -> std::ops::Range<usize> {
        let n = self.entries.len();
        // Windows mostly end at the newest panes: look from the back.
        let mut end = n;
        while end > 0 && self.entries[end - 1].pane >= to {
            end -= 1;
        }
        let mut start = end;
        if end > 16 && self.entries[end - 16].pane >= from {
            start = self.entries[..end].partition_point(|e| e.pane < from);
        } else {
            while start > 0 && self.entries[start - 1].pane >= from {
                start -= 1;
            }
        }
        start..end
    }

    /// Whether there is no entry.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The panes with rows, ascending.
    pub fn panes(&self) -> impl Iterator<Item = i32> + '_ {
        self.entries.iter().map(|e| e.pane)
    }

    /// Those at or behind `pane`.
    pub fn panes_from(&self, pane: i32) -> impl Iterator<Item = i32> + '_ {
        self.entries[self.range(pane, i32::MAX).start..].iter().map(|e| e.pane)
    }

    /// Total of the entries before `at`.
    #[inline]
    fn upto(&self, at: usize) -> u32 {
        if at == 0 { self.base } else { self.entries[at - 1].upto }
    }

    /// Rows of the entries `range`.
    #[inline]
    #[must_use]
    pub fn rows_in(&self, range: std::ops::Range<usize>) -> u32 {
        self.upto(range.end).wrapping_sub(self.upto(range.start))
    }

    /// Rows in all panes.
    #[inline]
    #[must_use]
    pub fn total(&self) -> u32 {
        self.rows_in(0..self.entries.len())
    }

    /// Rows in panes `[from, to)`.
    #[inline]
    #[must_use]
    pub fn rows(&self, from: i32, to: i32) -> u64 {
        u64::from(self.rows_in(self.range(from, to)))
    }

    /// Adds the rows between each two neighbours of `edges`, panes that ascend, to `out`, which has one place for each two.
    pub fn add_between(&self, edges: &[i32], out: &mut [f64]) {
        let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return };
        let mut at = 0;
        for i in self.range(*first, *last) {
            let pane = self.entries[i].pane;
            while edges[at + 1] <= pane {
                at += 1;
            }
            out[at] += f64::from(self.rows_in(i..i + 1));
        }
    }

    /// Forgets panes before `pane`. Returns how many entries they were.
    pub fn evict(&mut self, pane: i32, stride: usize) -> usize {
        let keep = self.entries.partition_point(|e| e.pane < pane);
        if keep > 0 {
            self.base = self.upto(keep);
            self.entries.drain(..keep);
            if let Some(words) = &mut self.words {
                words.drain(..keep * stride);
            }
            if self.entries.len() <= 2 {
                self.entries.shrink_to_fit();
            }
        }
        keep
    }

    /// Bytes on the heap beside the value itself.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let entries =
            if self.entries.spilled() { self.entries.capacity() * size_of::<Entry>() } else { 0 };
        entries + self.words.as_ref().map_or(0, |w| size_of::<Vec<i64>>() + w.capacity() * 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARRY: [bool; 2] = [true, false];

    /// One row in each of `panes`; its words are a running total and a word of its own, both ten times the pane.
    fn series(panes: &[i32]) -> Series {
        let mut s = Series::default();
        for p in panes {
            let (at, _) = s.entry(*p, &CARRY);
            s.add_rows(at, 1);
            s.words_from(at, 2).iter_mut().step_by(2).for_each(|w| *w += i64::from(*p) * 10);
            s.words_from(at, 2)[1] += i64::from(*p) * 10;
        }
        s
    }

    /// Pane, rows, and the pane's part of both words.
    fn entries(s: &Series) -> Vec<(i32, u32, i64, i64)> {
        let of = |(i, pane)| {
            let (now, before) = (s.words(i, 2), s.words_before(i, 2));
            (pane, s.rows_in(i..i + 1), now[0] - before[0], now[1])
        };
        s.panes().enumerate().map(of).collect()
    }

    #[test]
    fn panes_stay_sorted_whatever_the_order() {
        let s = series(&[5, 3, 9, 3, 4, 5]);
        assert_eq!(entries(&s), [(3, 2, 60, 60), (4, 1, 40, 40), (5, 2, 100, 100), (9, 1, 90, 90)]);
        assert_eq!((s.rows(3, 5), s.rows(5, 9), s.rows(0, 3), s.rows(9, 10)), (3, 2, 0, 1));
        assert_eq!(s.total(), 6);
    }

    #[test]
    fn rows_between_edges_are_those_of_each_range() {
        let s = series(&[3, 4, 4, 9, 12, 13, 30]);
        for edges in
            [vec![0, 5, 9, 10, 13, 20], vec![4, 12], vec![30, 31, 32], vec![31, 40], vec![7]]
        {
            let mut found = vec![0.0; edges.len() - 1];
            s.add_between(&edges, &mut found);
            let rows: Vec<f64> = edges.windows(2).map(|e| s.rows(e[0], e[1]) as f64).collect();
            assert_eq!(found, rows, "{edges:?}");
        }
    }

    #[test]
    fn long_series_are_searched() {
        let panes: Vec<i32> = (0..100).collect();
        let s = series(&panes);
        assert_eq!(
            (s.rows(10, 90), s.rows(0, 100), s.rows(95, 200), s.rows(-5, 1)),
            (80, 100, 5, 1)
        );
    }

    #[test]
    fn evicting_and_removing_keep_words_beside_entries() {
        let mut s = series(&[1, 2, 3]);
        s.add_rows(1, 1u32.wrapping_neg());
        s.words_from(1, 2).iter_mut().step_by(2).for_each(|w| *w -= 20);
        s.remove(1, 2);
        assert_eq!(entries(&s), [(1, 1, 10, 10), (3, 1, 30, 30)]);
        assert_eq!(s.evict(3, 2), 1);
        assert_eq!((entries(&s), s.total()), (vec![(3, 1, 30, 30)], 1));
        assert_eq!(s.evict(4, 2), 1);
        assert!(s.is_empty() && s.total() == 0);
    }
}
