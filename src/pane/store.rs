//! The pane store of one shard: keys, slices and kept rows, fed piece by piece.
//!
//! In: prepared pieces of all feeds; the store takes the rows whose keys belong to its shard. Out: states of slices over
//! runs of panes, kept rows of a key. Promise: which shard holds a key is a function of the key's hash alone.

use std::{ops::Range, sync::Arc};

use super::{
    cold::ColdKeys,
    intern::Interner,
    kept::{Found, KeptRows, Piece, rows_batch},
    plan::PanePlan,
    prepare::{NO_PANE, Prepared},
    slice::{NO_KEY, Selection, Slice},
};
use crate::model::{batch::Batch, hash::HashedMap};

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
    /// By feed: keys that slices still wait for.
    cold: Vec<Vec<ColdKeys>>,
    /// By feed: slice → position in `cold`.
    waiting: Vec<HashedMap<u32, usize>>,
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

/// The slices of a feed that wait for their keys, by what they wait for; and by slice of the plan, which of these it is in.
fn cold_keys(plan: &PanePlan, feed: usize) -> (Vec<ColdKeys>, HashedMap<u32, usize>) {
    let mut groups: Vec<ColdKeys> = Vec::new();
    let mut group_of = HashedMap::default();
    for s in &plan.feeds[feed].slices {
        let slice = &plan.slices[*s];
        if slice.waits.is_empty() {
            continue;
        }
        let found = groups.iter().position(|g| g.suits(slice.keying, &slice.waits));
        let group = found.unwrap_or_else(|| {
            groups.push(ColdKeys::new(slice.keying));
            groups.len() - 1
        });
        groups[group].wait(*s, &slice.waits, slice.keep_ms);
        group_of.insert(*s as u32, group);
    }
    (groups, group_of)
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
        let (cold, waiting) = (0..plan.feeds.len()).map(|f| cold_keys(&plan, f)).unzip();
        Self {
            shard,
            shards,
            interners: plan.spaces.iter().map(|_| Interner::default()).collect(),
            slices: plan.slices.iter().map(|_| Slice::default()).collect(),
            kept: KeptRows::new(plan.feeds.len()),
            links: plan.links.iter().map(|_| HashedMap::default()).collect(),
            needed,
            cold,
            waiting,
            latest_ms: i64::MIN,
            plan,
        }
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<PanePlan> {
        &self.plan
    }

    /// Adds the rows of a piece whose keys this shard holds. `again` prepares kept rows once more, for keys that turn hot.
    pub fn add(
        &mut self,
        piece: &Arc<Piece>,
        prepared: &Prepared,
        again: &mut dyn FnMut(Batch) -> Prepared,
    ) {
        let plan = self.plan.clone();
        let feed = &plan.feeds[piece.rows.feed];
        self.latest_ms = self.latest_ms.max(piece.last_ms);
        let mut fresh = Vec::new();
        let keys: Vec<Vec<u32>> = (0..feed.keyings.len())
            .map(|k| self.own_keys(k, piece, prepared, &mut fresh))
            .collect();
        for (i, link) in plan.links.iter().enumerate() {
            if link.feed == piece.rows.feed {
                let hashes =
                    &prepared.keys[link.peer_keying].hashes[piece.from as usize..piece.to as usize];
                for (key, hash) in keys[link.keying].iter().zip(hashes) {
                    if *key != NO_KEY {
                        self.links[i].insert(*key, *hash);
                    }
                }
            }
        }
        let selection =
            Selection { prepared, from: piece.from, to: piece.to, refused: &piece.refused };
        let (warm, turning) = self.count_cold(&selection, &keys);
        for s in &feed.slices {
            let slice = &plan.slices[*s];
            let waiting = self.waiting[piece.rows.feed].get(&(*s as u32));
            let keys = waiting.map_or_else(|| &keys[slice.keying], |group| &warm[*group]);
            let list = selection.passing(slice.filter);
            self.slices[*s].add(slice, selection, list, keys, &mut self.interners[slice.space]);
        }
        for (space, key) in fresh {
            self.interners[space].forget_unused(key, self.latest_ms);
        }
        self.kept.keep(piece.clone(), &keys);
        self.turn_hot(piece.rows.feed, turning, again);
    }

    /// Counts the rows of keys that slices wait for: by group of those, the keys whose rows go to them now, and the keys
    /// that turn hot.
    fn count_cold(
        &mut self,
        selection: &Selection<'_>,
        keys: &[Vec<u32>],
    ) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
        let feed = selection.prepared.rows.feed;
        let latest_ms = self.latest_ms;
        let of_group = |cold: &mut ColdKeys| {
            let interner = &mut self.interners[self.plan.feeds[feed].keyings[cold.keying].space];
            let (keys, mut turning) = (&keys[cold.keying], Vec::new());
            let count = |(i, key): (usize, &u32)| {
                if *key == NO_KEY {
                    return NO_KEY;
                }
                let weight = cold.weight(selection.prepared, selection.from as usize + i);
                let (new, hot) = cold.count(*key, weight, latest_ms, &mut turning);
                if new {
                    interner.retain(*key);
                }
                if hot { *key } else { NO_KEY }
            };
            let warm = keys.iter().enumerate().map(count).collect();
            (warm, turning)
        };
        self.cold[feed].iter_mut().map(of_group).unzip()
    }

    /// Adds the kept rows of keys that turned hot to the slices that waited for them.
    fn turn_hot(
        &mut self,
        feed: usize,
        turning: Vec<Vec<u32>>,
        again: &mut dyn FnMut(Batch) -> Prepared,
    ) {
        let plan = self.plan.clone();
        for (cold, turned) in self.cold[feed].iter_mut().zip(turning) {
            let (mut rows, mut keys) = (Vec::new(), Vec::new());
            for key in turned {
                let found = self.kept.find_all(feed, cold.keying, key);
                keys.resize(keys.len() + found.len(), key);
                rows.extend(found);
                cold.turned(key);
            }
            let Some(batch) = rows_batch(&rows) else { continue };
            let lines = Arc::from(vec![0; batch.num_rows()]);
            let prepared =
                again(Batch { feed, partition: "".into(), rows: batch, lines, raw: None });
            let to = keys.len() as u32;
            let selection = Selection { prepared: &prepared, from: 0, to, refused: &[] };
            for s in &cold.slices {
                let slice = &plan.slices[*s];
                let list = selection.passing(slice.filter);
                let interner = &mut self.interners[slice.space];
                self.slices[*s].add(slice, selection, list, &keys, interner);
            }
        }
    }

    /// Lets keys go of which nothing is left.
    pub fn sweep_cold(&mut self) {
        let plan = self.plan.clone();
        for (feed, groups) in self.cold.iter_mut().enumerate() {
            for cold in groups {
                let slices = cold.slices.clone();
                let of = &self.slices;
                let gone = cold.sweep(self.latest_ms, |key| slices.iter().any(|s| of[*s].has(key)));
                let interner = &mut self.interners[plan.feeds[feed].keyings[cold.keying].space];
                for key in gone {
                    interner.release(key, self.latest_ms);
                }
            }
        }
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
    pub fn remove(
        &mut self,
        found: &Found,
        single: &Prepared,
        again: &mut dyn FnMut(&Found) -> Prepared,
    ) {
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
            let done = self.slices[*s].take(
                slice,
                single,
                0,
                key,
                &mut self.interners[slice.space],
                self.latest_ms,
            );
            if !done {
                let rows = self.kept.find(
                    feed_number,
                    slice.keying,
                    key,
                    slice.filter,
                    slice.lane,
                    &(pane..pane + 1),
                );
                let parts: Vec<Prepared> = rows.iter().map(&mut *again).collect();
                let parts: Vec<(&Prepared, Vec<u32>)> =
                    parts.iter().map(|p| (p, vec![0])).collect();
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
        let mut size = StoreSize {
            row_index_bytes: self.kept.index_bytes(),
            rows: self.kept.len(),
            ..Default::default()
        };
        for s in &self.slices {
            let (series, sets) = s.bytes();
            size.entries += s.entries();
            size.series_bytes += series;
            size.set_bytes += sets;
        }
        let cold = self.cold.iter().flatten();
        size.key_bytes += cold.map(ColdKeys::bytes).sum::<usize>();
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
