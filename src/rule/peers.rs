//! Peers: the values of a coarser key, or of all keys of a period, that a key is judged beside.
//!
//! In: the pane store of one shard, windows. Out: [`PeerValues`] by the hash of the peers' key, put together over shards
//! before any key is judged; and for keys the column of what their peers have.
//! Not here: which windows, and when (`engine`); false discoveries over keys (`control`).

use std::{ops::Range, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, UInt32Array, new_null_array},
    compute::{concat, take},
};

use super::{
    evaluate::{Evaluator, Rows, aggregate_batch},
    plan::CompareWith,
};
use crate::{model::hash::HashedMap, pane::slice::NO_KEY};

/// A peers' compare of one closing window: values by hash of the peers' key.
#[derive(Debug, Default)]
pub struct PeerValues {
    rows: HashedMap<u128, u32>,
    /// The rule's measures over the peers' rows; the last row is that of peers without any.
    measures: Vec<ArrayRef>,
}

impl Evaluator<'_> {
    /// The rule's measures over peers in each of `windows`, which ascend: for the peer keys of this shard whose hash is in
    /// `only`, for all of them without it.
    #[must_use]
    pub fn peer_values(
        &mut self,
        compare: usize,
        windows: &[Range<i64>],
        only: Option<&[u128]>,
    ) -> Vec<PeerValues> {
        let CompareWith::Peers { space, aggregates, .. } = &self.rule.compares[compare].with else {
            return windows.iter().map(|_| PeerValues::default()).collect();
        };
        let mut keys: Vec<u32> = match only {
            Some(hashes) => {
                let interner = self.store.interner(*space);
                hashes.iter().filter_map(|hash| interner.find(*hash)).collect()
            }
            None => aggregates.iter().flat_map(|a| self.store.slice(a.slice).keys()).collect(),
        };
        keys.sort_unstable();
        keys.dedup();
        let rows: HashedMap<u128, u32> = keys
            .iter()
            .enumerate()
            .map(|(i, k)| (self.store.interner(*space).hash(*k), i as u32))
            .collect();
        keys.push(NO_KEY);
        let columns: Vec<Vec<ArrayRef>> =
            aggregates.iter().map(|a| self.read_all(a, &keys, windows)).collect();
        let of_window = |w: usize| {
            let columns = columns.iter().map(|of| of[w].clone()).collect();
            let batch = aggregate_batch(self.rule, columns, keys.len());
            let mut failures = 0;
            let measures = self.measures(&batch, keys.len(), &mut failures);
            PeerValues { rows: rows.clone(), measures }
        };
        (0..windows.len()).map(of_window).collect()
    }

    /// One measure of the peers of each row's key; null where peers are not known.
    pub(super) fn peer_column(
        &self,
        peers: Option<&Arc<PeerValues>>,
        link: usize,
        measure: usize,
        rows: Rows<'_>,
    ) -> ArrayRef {
        let null = || new_null_array(self.rule.measures[measure].value.data_type(), rows.len());
        let (Some(peers), Rows::Keys(keys)) = (peers, rows) else { return null() };
        // Peers none of whose rows is counted have 0 of them, as a key has.
        let none = peers.measures[measure].len().saturating_sub(1) as u32;
        let rows: UInt32Array = keys
            .iter()
            .map(|k| {
                let hash = self.store.peers_of(link, *k)?;
                Some(peers.rows.get(&hash).copied().unwrap_or(none))
            })
            .collect();
        take(peers.measures[measure].as_ref(), &rows, None).unwrap_or_else(|_| null())
    }
}

impl PeerValues {
    /// Values by hash: `rows` tells the row of each in the columns `measures`.
    #[must_use]
    pub fn new(rows: HashedMap<u128, u32>, measures: Vec<ArrayRef>) -> Self {
        Self { rows, measures }
    }

    /// What [`Self::new`] was given.
    #[must_use]
    pub fn into_parts(self) -> (HashedMap<u128, u32>, Vec<ArrayRef>) {
        (self.rows, self.measures)
    }

    /// The columns.
    #[must_use]
    pub fn measures(&self) -> &[ArrayRef] {
        &self.measures
    }

    /// The row of a hash.
    #[must_use]
    pub fn row(&self, hash: u128) -> Option<u32> {
        self.rows.get(&hash).copied()
    }

    /// Adds the peers of another shard.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        if self.measures.is_empty() || self.rows.is_empty() {
            return other;
        }
        if other.rows.is_empty() {
            return self;
        }
        let offset = self.measures[0].len() as u32;
        for (mine, theirs) in self.measures.iter_mut().zip(&other.measures) {
            if let Ok(both) = concat(&[mine.as_ref(), theirs.as_ref()]) {
                *mine = both;
            }
        }
        self.rows.extend(other.rows.into_iter().map(|(hash, row)| (hash, row + offset)));
        self
    }
}
