//! One key's panes: how many rows each pane has, oldest first, and the states of the slice's aggregates.
//!
//! The unit of the pane store. A key has an entry only in panes in which it has rows; a window is a run of entries. Two
//! entries without further aggregates fit in place, so a key with one quiet complaint costs one small map slot.

use smallvec::SmallVec;

/// Rows of one key in one pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Index of the pane.
    pub pane: i32,
    /// Rows in it.
    pub rows: u32,
}

/// The panes of one key, ascending, with `stride` state words for each.
#[derive(Debug, Clone, Default)]
pub struct Series {
    entries: SmallVec<[Entry; 2]>,
    /// `stride` words for each entry; absent where the slice only counts.
    #[expect(
        clippy::box_collection,
        reason = "most slices only count: eight bytes instead of 24 in every key"
    )]
    words: Option<Box<Vec<i64>>>,
}

impl Series {
    /// Position of the pane's entry, made with `init` words where it has none. The flag tells whether it is new.
    #[inline]
    pub fn entry(&mut self, pane: i32, init: &[i64]) -> (usize, bool) {
        match self.entries.last() {
            Some(last) if last.pane == pane => return (self.entries.len() - 1, false),
            Some(last) if last.pane > pane => return self.entry_inside(pane, init),
            _ => {}
        }
        self.entries.push(Entry { pane, rows: 0 });
        if !init.is_empty() {
            self.words.get_or_insert_default().extend_from_slice(init);
        }
        (self.entries.len() - 1, true)
    }

    #[cold]
    fn entry_inside(&mut self, pane: i32, init: &[i64]) -> (usize, bool) {
        match self.entries.binary_search_by_key(&pane, |e| e.pane) {
            Ok(i) => (i, false),
            Err(i) => {
                self.entries.insert(i, Entry { pane, rows: 0 });
                if !init.is_empty() {
                    let words = self.words.get_or_insert_default();
                    let at = i * init.len();
                    words.splice(at..at, init.iter().copied());
                }
                (i, true)
            }
        }
    }

    /// Adds rows to an entry.
    #[inline]
    pub fn add_rows(&mut self, at: usize, rows: u32) {
        self.entries[at].rows += rows;
    }

    /// Takes one row off an entry; an entry without rows disappears. Returns whether it did.
    pub fn take_row(&mut self, at: usize, stride: usize) -> bool {
        self.entries[at].rows -= 1;
        if self.entries[at].rows > 0 {
            return false;
        }
        self.entries.remove(at);
        if let Some(words) = &mut self.words {
            words.drain(at * stride..(at + 1) * stride);
        }
        true
    }

    /// The state words of an entry.
    #[inline]
    pub fn words_mut(&mut self, at: usize, stride: usize) -> &mut [i64] {
        match &mut self.words {
            Some(words) => &mut words[at * stride..(at + 1) * stride],
            None => &mut [],
        }
    }

    /// The state words of an entry.
    #[inline]
    #[must_use]
    pub fn words(&self, at: usize, stride: usize) -> &[i64] {
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

    /// The entries.
    #[inline]
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Rows in panes `[from, to)`.
    #[inline]
    #[must_use]
    pub fn rows(&self, from: i32, to: i32) -> u64 {
        self.entries[self.range(from, to)].iter().map(|e| u64::from(e.rows)).sum()
    }

    /// Forgets panes before `pane`. Returns how many entries and rows they held.
    pub fn evict(&mut self, pane: i32, stride: usize) -> (usize, u32) {
        let keep = self.entries.partition_point(|e| e.pane < pane);
        let rows = self.entries[..keep].iter().map(|e| e.rows).sum();
        if keep > 0 {
            self.entries.drain(..keep);
            if let Some(words) = &mut self.words {
                words.drain(..keep * stride);
            }
            if self.entries.len() <= 2 {
                self.entries.shrink_to_fit();
            }
        }
        (keep, rows)
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

    fn series(panes: &[i32]) -> Series {
        let mut s = Series::default();
        for p in panes {
            let (at, _) = s.entry(*p, &[0]);
            s.add_rows(at, 1);
            s.words_mut(at, 1)[0] += i64::from(*p) * 10;
        }
        s
    }

    #[test]
    fn panes_stay_sorted_whatever_the_order() {
        let s = series(&[5, 3, 9, 3, 4, 5]);
        assert_eq!(
            s.entries().iter().map(|e| (e.pane, e.rows)).collect::<Vec<_>>(),
            [(3, 2), (4, 1), (5, 2), (9, 1)]
        );
        assert_eq!((0..4).map(|i| s.words(i, 1)[0]).collect::<Vec<_>>(), [60, 40, 100, 90]);
        assert_eq!((s.rows(3, 5), s.rows(5, 9), s.rows(0, 3), s.rows(9, 10)), (3, 2, 0, 1));
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
    fn evicting_and_taking_keep_words_beside_entries() {
        let mut s = series(&[1, 2, 3]);
        assert!(s.take_row(1, 1));
        assert_eq!(s.words(1, 1), [30]);
        assert_eq!(s.evict(3, 1), (1, 1));
        assert_eq!((s.entries().len(), s.words(0, 1)[0]), (1, 30));
        assert_eq!(s.evict(4, 1), (1, 1));
        assert!(s.entries().is_empty());
    }
}
