//! The pane store of one shard: keys, slices and kept rows, fed piece by piece.
//!
//! In: prepared pieces of all feeds; the store takes the rows whose keys belong to its shard. Out: states of slices over
//! runs of panes, kept rows of a key. Promise: which shard holds a key is a function of the key's hash alone.

use std::{ops::Range, sync::Arc};

use super::{
    intern::Interner,
    kept::{Found, KeptRows, Piece},
    plan::PanePlan,
    prepare::{NO_PANE, Prepared},
    slice::{NO_KEY, Selection, Slice},
};
use crate::model::hash::HashedMap;

/// State of one shard.
#[derive(Debug)]
pub struct Store {
    plan: Arc<PanePlan>,
    shard: usize,
    shards: usize,
    interners: Vec<Interner>,
    slices: Vec<Slice>,
    kept: KeptRows,
    /// By link of the plan: key → hash of its peers' key.
    links: Vec<HashedMap<u32, u128>>,
    /// By feed and keying: which filters' rows need the key at all.
    needed: Vec<Vec<Vec<usize>>>,
    /// Latest event time seen, for numbers at rest.
    latest_ms: i64,
}

/// The shard that holds a key.
#[inline]
#[must_use]
pub fn shard_of(hash: u128, shards: usize) -> usize {
    (((hash >> 64) as u64 as u128 * shards as u128) >> 64) as usize
}

impl Store {
    /// An empty store for shard `shard` of `shards`.
    #[must_use]
    pub fn new(plan: Arc<PanePlan>, shard: usize, shards: usize) -> Self {
        let needed = plan
            .feeds
            .iter()
            .map(|feed| {
                let mut by_keying = vec![Vec::new(); feed.keyings.len()];
                for s in &feed.slices {
                    let slice = &plan.slices[*s];
                    if !by_keying[slice.keying].contains(&slice.filter) {
                        by_keying[slice.keying].push(slice.filter);
                    }
                }
                by_keying
            })
            .collect();
        Self {
            shard,
            shards,
            interners: plan.spaces.iter().map(|_| Interner::default()).collect(),
            slices: plan.slices.iter().map(|_| Slice::default()).collect(),
            kept: KeptRows::new(plan.feeds.len()),
            links: plan.links.iter().map(|_| HashedMap::default()).collect(),
            needed,
            latest_ms: i64::MIN,
            plan,
        }
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<PanePlan> {
        &self.plan
    }

    /// Adds the rows of a piece whose keys this shard holds.
    pub fn add(&mut self, piece: &Arc<Piece>, prepared: &Prepared) {
        let plan = self.plan.clone();
        let feed = &plan.feeds[piece.rows.feed];
        self.latest_ms = self.latest_ms.max(piece.last_ms);
        let mut fresh = Vec::new();
        let keys: Vec<Vec<u32>> =
            (0..feed.keyings.len()).map(|k| self.own_keys(k, piece, prepared, &mut fresh)).collect();
        for (i, link) in plan.links.iter().enumerate() {
            if link.feed == piece.rows.feed {
                let hashes = &prepared.keys[link.peer_keying].hashes[piece.from as usize..piece.to as usize];
                for (key, hash) in keys[link.keying].iter().zip(hashes) {
                    if *key != NO_KEY {
                        self.links[i].insert(*key, *hash);
                    }
                }
            }
        }
        let selection = Selection { prepared, from: piece.from, to: piece.to, refused: &piece.refused };
        for s in &feed.slices {
            let slice = &plan.slices[*s];
            self.slices[*s].add(slice, selection, &keys[slice.keying], &mut self.interners[slice.space]);
        }
        for (space, key) in fresh {
            self.interners[space].forget_unused(key, self.latest_ms);
        }
        self.kept.keep(piece.clone(), &keys);
    }

    fn own_keys(
        &mut self,
        keying: usize,
        piece: &Piece,
        prepared: &Prepared,
        fresh: &mut Vec<(usize, u32)>,
    ) -> Vec<u32> {
        let feed = piece.rows.feed;
        let plan = &self.plan.feeds[feed].keyings[keying];
        let names = &self.plan.spaces[plan.space].names;
        let needed = &self.needed[feed][keying];
        let all = needed.iter().any(|f| self.plan.feeds[feed].filters[*f].is_empty());
        let interner = &mut self.interners[plan.space];
        let keys = &prepared.keys[keying];
        let bits = &prepared.rows.bits;
        (piece.from..piece.to)
            .map(|row| {
                let i = (row - piece.from) as usize;
                let r = row as usize;
                if piece.refused.get(i).copied().unwrap_or(false)
                    || keys.complete.as_ref().is_some_and(|c| c.is_null(r))
                    || (self.shards > 1 && shard_of(keys.hashes[r], self.shards) != self.shard)
                    || !(all || needed.iter().any(|f| bits.passes(r, *f)))
                {
                    return NO_KEY;
                }
                let before = interner.len();
                let key = interner.intern(keys.hashes[r], names, &keys.columns, r);
                if interner.len() > before {
                    fresh.push((plan.space, key));
                }
                key
            })
            .collect()
    }

    /// Takes one row off again: a replaced or withdrawn record. `single` is the row prepared alone (row 0); `again`
    /// prepares a kept row alone, for aggregates that cannot subtract.
    pub fn remove(&mut self, found: &Found, single: &Prepared, again: &mut dyn FnMut(&Found) -> Prepared) {
        let plan = self.plan.clone();
        let feed_number = found.piece.rows.feed;
        let feed = &plan.feeds[feed_number];
        self.kept.bury(found.piece.number, found.row);
        for s in &feed.slices {
            let slice = &plan.slices[*s];
            let keys = &single.keys[slice.keying];
            let pane = single.rows.panes[slice.lane][0];
            if !single.rows.bits.passes(0, slice.filter)
                || keys.complete.as_ref().is_some_and(|c| c.is_null(0))
                || pane == NO_PANE
            {
                continue;
            }
            let Some(key) = self.interners[slice.space].find(keys.hashes[0]) else { continue };
            let done =
                self.slices[*s].take(slice, single, 0, key, &mut self.interners[slice.space], self.latest_ms);
            if !done {
                let rows = self.kept.find(feed_number, slice.keying, key, slice.filter, slice.lane, &(pane..pane + 1));
                let parts: Vec<Prepared> = rows.iter().map(&mut *again).collect();
                let parts: Vec<(&Prepared, Vec<u32>)> = parts.iter().map(|p| (p, vec![0])).collect();
                self.slices[*s].rebuild(slice, key, pane, &parts);
            }
        }
    }

    /// The slice.
    #[must_use]
    pub fn slice(&self, slice: usize) -> &Slice {
        &self.slices[slice]
    }

    /// The keys of a space.
    #[must_use]
    pub fn interner(&self, space: usize) -> &Interner {
        &self.interners[space]
    }

    /// The keys of a space, to hold on to one or let it go.
    pub fn interner_mut(&mut self, space: usize) -> &mut Interner {
        &mut self.interners[space]
    }

    /// Latest event time seen.
    #[must_use]
    pub fn latest_ms(&self) -> i64 {
        self.latest_ms
    }

    /// Hash of the peers' key of `key`.
    #[must_use]
    pub fn peers_of(&self, link: usize, key: u32) -> Option<u128> {
        self.links[link].get(&key).copied()
    }

    /// Rows behind a slice's entries of `key` in `panes`, in order of admission.
    pub fn rows_of(&mut self, slice: usize, key: u32, panes: &Range<i32>) -> Vec<Found> {
        let s = &self.plan.slices[slice];
        self.kept.find(s.feed, s.keying, key, s.filter, s.lane, panes)
    }

    /// Forgets panes of `slice` before the local time `before_local_ms`.
    pub fn evict_panes(&mut self, slice: usize, before_local_ms: i64) {
        let plan = self.plan.clone();
        let s = &plan.slices[slice];
        let pane = s.grid.pane(before_local_ms);
        self.slices[slice].evict(s, pane, &mut self.interners[s.space], self.latest_ms);
    }

    /// Drops kept rows of `feed` whose event time lies before `before_ms`, and numbers of keys that no row can mean.
    pub fn evict_rows(&mut self, feed: usize, before_ms: i64) {
        self.kept.evict(feed, before_ms);
    }

    /// Lets numbers of forgotten keys be used again when every feed's kept rows begin at `before_ms`.
    pub fn reclaim(&mut self, before_ms: i64) {
        self.interners.iter_mut().for_each(|i| i.reclaim(before_ms));
    }

    /// What the store holds.
    #[must_use]
    pub fn size(&self) -> StoreSize {
        let mut size = StoreSize { row_index_bytes: self.kept.index_bytes(), rows: self.kept.len(), ..Default::default() };
        for s in &self.slices {
            let (series, sets) = s.bytes();
            size.entries += s.entries();
            size.series_bytes += series;
            size.set_bytes += sets;
        }
        for i in &self.interners {
            size.keys += i.len();
            size.key_bytes += i.bytes();
        }
        size
    }
}

/// Sizes of a store.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreSize {
    /// Live (key, aggregate slice, pane) entries.
    pub entries: usize,
    /// Bytes of series and calendars.
    pub series_bytes: usize,
    /// Bytes of distinct sets.
    pub set_bytes: usize,
    /// Keys known.
    pub keys: usize,
    /// Bytes of keys.
    pub key_bytes: usize,
    /// Rows kept.
    pub rows: usize,
    /// Bytes of references to them.
    pub row_index_bytes: usize,
}
