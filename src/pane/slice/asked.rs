//! A slice as rules ask it: by the keys of its key space, whatever its layout and its own numbers of keys are.

use std::ops::Range;

use super::{Layout, NO_KEY, Slice, slots};
use crate::pane::{cold::ColdKeys, plan::SlicePlan};

/// What can be asked of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    slice: &'a Slice,
    /// The slice knows its keys by the numbers of hot ones.
    hot: Option<&'a ColdKeys>,
}

impl<'a> Asked<'a> {
    /// `hot`: what the slice waits for, if it waits.
    #[must_use]
    pub fn new(slice: &'a Slice, hot: Option<&'a ColdKeys>) -> Self {
        Self { slice, hot }
    }

    /// Keys with rows in a pane of `panes`, by pane; a key appears once per pane.
    #[must_use]
    pub fn touched(self, panes: Range<i32>) -> Vec<u32> {
        let mut keys = Vec::new();
        match &self.slice.layout {
            Layout::Sparse(s) => s.touched(panes, &mut keys),
            Layout::Dense(d) => d.touched(panes, &mut keys),
        }
        self.named(keys)
    }

    /// Those with rows in `entered` that may have so many `rows` in `panes`, which end with it; some may appear twice. Where
    /// the slice cannot tell, those that may have as many as its plan calls hot.
    #[must_use]
    pub fn reaching(self, entered: Range<i32>, panes: &Range<i32>, rows: u32) -> Vec<u32> {
        let mut keys = Vec::new();
        match &self.slice.layout {
            Layout::Sparse(s) => s.hot(entered, &mut keys),
            Layout::Dense(d) => d.reaching(&entered, panes, rows, &mut keys),
        }
        self.named(keys)
    }

    /// The first pane at or behind `pane` that has rows.
    #[must_use]
    pub fn next_touched(self, pane: i32) -> Option<i32> {
        match &self.slice.layout {
            Layout::Sparse(s) => s.panes().range(pane..).next().map(|(p, _)| *p),
            Layout::Dense(d) => d.panes().range(pane..).next().map(|(p, _)| *p),
        }
    }

    /// The last pane that has rows.
    #[must_use]
    pub fn last_touched(self) -> Option<i32> {
        match &self.slice.layout {
            Layout::Sparse(s) => s.panes().last_key_value().map(|(p, _)| *p),
            Layout::Dense(d) => d.panes().last_key_value().map(|(p, _)| *p),
        }
    }

    /// All keys, in no order.
    #[must_use]
    pub fn keys(self) -> Vec<u32> {
        let mut keys = Vec::new();
        match &self.slice.layout {
            Layout::Sparse(s) => s.keys(&mut keys),
            Layout::Dense(d) => d.keys(&mut keys),
        }
        self.named(keys)
    }

    /// Whether the key has rows in any pane.
    #[must_use]
    pub fn has(self, key: u32) -> bool {
        self.slice.has(self.number(key))
    }

    /// Panes at or behind `from` in which the key has rows, ascending.
    #[must_use]
    pub fn panes_of(self, key: u32, from: i32) -> Vec<i32> {
        let key = self.number(key);
        match &self.slice.layout {
            Layout::Sparse(s) => {
                s.series(key).map_or_else(Vec::new, |s| s.panes_from(from).collect())
            }
            Layout::Dense(d) => d.panes_of(key, from),
        }
    }

    /// Rows of the key in `panes`.
    #[must_use]
    pub fn rows(self, key: u32, panes: &Range<i32>) -> u64 {
        self.rows_in(panes)(key)
    }

    /// A function from keys to their rows in `panes`, for asking about many keys.
    pub fn rows_in(self, panes: &Range<i32>) -> impl Fn(u32) -> u64 + use<'a> {
        let (from, to) = (panes.start, panes.end);
        let dense = match &self.slice.layout {
            Layout::Sparse(_) => None,
            Layout::Dense(d) => Some(d.rows_in(panes)),
        };
        move |key| match (&self.slice.layout, &dense) {
            (Layout::Sparse(s), _) => s.series(self.number(key)).map_or(0, |s| s.rows(from, to)),
            (_, Some(rows)) => rows(self.number(key)),
            _ => 0,
        }
    }

    /// Rows of each of `keys` between each two neighbours of `edges`, panes that ascend: shape `[keys, edges - 1]`.
    pub fn rows_between(self, keys: &[u32], edges: &[i32], out: &mut [f64]) {
        let Some(n) = edges.len().checked_sub(1).filter(|n| *n > 0) else { return };
        let out = out.chunks_exact_mut(n);
        match &self.slice.layout {
            Layout::Sparse(s) => {
                for (key, out) in keys.iter().zip(out) {
                    out.fill(0.0);
                    let series = s.series(self.number(*key));
                    series.into_iter().for_each(|series| series.add_between(edges, out));
                }
            }
            Layout::Dense(d) => {
                let rows: Vec<(u32, &mut [f64])> =
                    keys.iter().map(|key| self.number(*key)).zip(out).collect();
                d.rows_between(edges, rows);
            }
        }
    }

    /// States of one slot over `panes`, as many words as the slot has per key, all zero without rows. For
    /// [`super::super::plan::Kernel::Distinct`] one word: the count.
    #[must_use]
    pub fn states(
        self,
        plan: &SlicePlan,
        slot: usize,
        keys: &[u32],
        panes: &Range<i32>,
    ) -> Vec<i64> {
        let slot = plan.slots[slot];
        let words = slot.kind.words();
        let mut states = vec![0; keys.len() * words];
        let sets = &self.slice.sets;
        match &self.slice.layout {
            Layout::Sparse(s) => {
                for (key, state) in keys.iter().zip(states.chunks_exact_mut(words)) {
                    s.state(plan, slot, self.number(*key), panes, sets, state);
                }
            }
            Layout::Dense(d) => {
                let keys: Vec<u32> = keys.iter().map(|key| self.number(*key)).collect();
                d.states(plan, slot, &keys, panes, sets, &mut states);
            }
        }
        states
    }

    /// Distinct values of a slot in each of `windows`, which ascend at both ends. Many windows that overlap cost little
    /// more than one.
    #[must_use]
    pub fn distinct_in(
        self,
        plan: &SlicePlan,
        slot: usize,
        key: u32,
        windows: &[Range<i32>],
    ) -> Vec<i64> {
        let key = self.number(key);
        let offset = plan.slots[slot].offset;
        let names: Vec<(i32, i64)> = match &self.slice.layout {
            Layout::Sparse(s) => s.series(key).map_or_else(Vec::new, |series| {
                let word = |at| series.words(at, plan.stride)[offset];
                series.panes().enumerate().map(|(at, pane)| (pane, word(at))).collect()
            }),
            Layout::Dense(d) => d.words_of(key, plan.stride, offset),
        };
        slots::distinct_in(&self.slice.sets, &names, windows)
    }

    /// The slice's own number of a key; [`NO_KEY`] where it can have none of it.
    #[inline]
    fn number(self, key: u32) -> u32 {
        self.hot.filter(|_| key != NO_KEY).map_or(key, |hot| hot.number(key))
    }

    fn named(self, mut keys: Vec<u32>) -> Vec<u32> {
        if let Some(hot) = self.hot {
            keys.iter_mut().for_each(|key| *key = hot.key(*key));
        }
        keys
    }
}
