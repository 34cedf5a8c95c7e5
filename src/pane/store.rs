//! The pane store of one shard: keys, slices and kept rows, fed piece by piece.
//!
//! In: prepared pieces of all feeds; the store takes the rows whose keys belong to its shard. Out: states of slices over
//! runs of panes, kept rows of a key. Promise: which shard holds a key is a function of the key's hash alone.

use std::{ops::Range, sync::Arc};

use super::{
    cold::ColdKeys,
    filter::{Bits, FilterSet},
    intern::Interner,
    kept::{Found, KeptRows, Piece, rows_batch},
    plan::PanePlan,
    prepare::{NO_PANE, Prepared},
    slice::{Asked, NO_KEY, Selection, Slice},
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
    /// By slice: position in the feed's `cold`, if it waits.
    waiting: Vec<Option<usize>>,
    /// By feed.
    takers: Vec<Vec<Taker>>,
    /// By feed and keying: which filters' rows need the key at all.
    needed: Vec<Vec<FilterSet>>,
    /// By filter: the rows that pass, while they are added.
    lists: Vec<Vec<u32>>,
    /// Latest event time seen, for numbers at rest.
    latest_ms: i64,
}

/// Slices of a feed that know the keys of rows by the same numbers.
#[derive(Debug)]
struct Taker {
    keying: usize,
    /// Position in the feed's `cold` of what they wait for, if they wait.
    cold: Option<usize>,
    slices: Vec<usize>,
    filters: FilterSet,
}

/// The shard that holds a key.
#[inline]
#[must_use]
pub fn shard_of(hash: u128, shards: usize) -> usize {
    (((hash >> 64) as u64 as u128 * shards as u128) >> 64) as usize
}

fn takers(plan: &PanePlan, feed: usize, waiting: &[Option<usize>]) -> Vec<Taker> {
    let mut takers: Vec<Taker> = Vec::new();
    for s in &plan.feeds[feed].slices {
        let (keying, cold) = (plan.slices[*s].keying, waiting[*s]);
        let found = takers.iter().position(|t| (t.keying, t.cold) == (keying, cold));
        let at = found.unwrap_or_else(|| {
            takers.push(Taker { keying, cold, slices: Vec::new(), filters: FilterSet::default() });
            takers.len() - 1
        });
        takers[at].slices.push(*s);
        takers[at].filters.insert(plan.slices[*s].filter);
    }
    takers
}

/// The slices of a feed that wait for their keys, by what they wait for; `waiting` is told which of these each is in.
fn cold_keys(plan: &PanePlan, feed: usize, waiting: &mut [Option<usize>]) -> Vec<ColdKeys> {
    let mut groups: Vec<ColdKeys> = Vec::new();
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
        waiting[*s] = Some(group);
    }
    groups
}

impl Store {
    /// An empty store for shard `shard` of `shards`.
    #[must_use]
    pub fn new(plan: Arc<PanePlan>, shard: usize, shards: usize) -> Self {
        let needed = plan
            .feeds
            .iter()
            .map(|feed| {
                let mut by_keying = vec![FilterSet::default(); feed.keyings.len()];
                for s in &feed.slices {
                    let slice = &plan.slices[*s];
                    by_keying[slice.keying].insert(slice.filter);
                }
                by_keying
            })
            .collect();
        let mut waiting = vec![None; plan.slices.len()];
        let feeds = 0..plan.feeds.len();
        let cold = feeds.clone().map(|feed| cold_keys(&plan, feed, &mut waiting)).collect();
        let filters = plan.feeds.iter().map(|feed| feed.filters.len()).max().unwrap_or(0);
        Self {
            shard,
            shards,
            interners: plan.spaces.iter().map(|_| Interner::default()).collect(),
            slices: plan.slices.iter().map(|_| Slice::default()).collect(),
            kept: KeptRows::new(plan.feeds.len()),
            links: plan.links.iter().map(|_| HashedMap::default()).collect(),
            needed,
            cold,
            takers: feeds.map(|feed| takers(&plan, feed, &waiting)).collect(),
            waiting,
            lists: vec![Vec::new(); filters],
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
        let rows = piece.from as usize..piece.to as usize;
        let panes: Vec<Option<i32>> =
            prepared.rows.panes.iter().map(|lane| one_pane(&lane[rows.clone()])).collect();
        let (warm, turning) = self.count_cold(prepared, piece.from as usize, &keys);
        for taker in &self.takers[piece.rows.feed] {
            let keys = taker.cold.map_or_else(|| &keys[taker.keying], |group| &warm[group]);
            let cold = taker.cold.map(|group| &self.cold[piece.rows.feed][group]);
            let space = feed.keyings[taker.keying].space;
            let numbers = cold.map_or_else(|| self.interners[space].numbers(), ColdKeys::numbers);
            let selection = Selection { prepared, panes: &panes, from: piece.from, keys, numbers };
            pass(&prepared.rows.bits, &taker.filters, selection, &mut self.lists);
            for s in &taker.slices {
                let slice = &plan.slices[*s];
                let interner = taker.cold.is_none().then_some(&mut self.interners[space]);
                self.slices[*s].add(slice, selection, &self.lists[slice.filter], interner);
            }
            taker.slices.iter().for_each(|s| self.lists[plan.slices[*s].filter].clear());
        }
        for (space, key) in fresh {
            self.interners[space].forget_unused(key, self.latest_ms);
        }
        self.kept.keep(piece.clone(), &keys);
        self.turn_hot(piece.rows.feed, turning, again);
    }

    /// Counts the rows of keys that slices wait for: by group of those, the numbers of keys whose rows go to them now, and
    /// the keys that turn hot.
    fn count_cold(
        &mut self,
        prepared: &Prepared,
        from: usize,
        keys: &[Vec<u32>],
    ) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
        let feed = prepared.rows.feed;
        let latest_ms = self.latest_ms;
        let of_group = |cold: &mut ColdKeys| {
            let interner = &mut self.interners[self.plan.feeds[feed].keyings[cold.keying].space];
            let (keys, mut turning) = (&keys[cold.keying], Vec::new());
            let count = |(i, key): (usize, &u32)| {
                if *key == NO_KEY {
                    return NO_KEY;
                }
                let weight = |cold: &ColdKeys| cold.weight(prepared, from + i);
                let (new, number) = cold.count(*key, weight, latest_ms, &mut turning);
                if new {
                    interner.retain(*key);
                }
                number
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
        for (group, (cold, turned)) in self.cold[feed].iter_mut().zip(turning).enumerate() {
            let (mut rows, mut keys) = (Vec::new(), Vec::new());
            for key in turned {
                let found = self.kept.find_all(feed, cold.keying, key);
                keys.resize(keys.len() + found.len(), cold.turned(key));
                rows.extend(found);
            }
            let Some(batch) = rows_batch(&rows) else { continue };
            let lines = Arc::from(vec![0; batch.num_rows()]);
            let prepared =
                again(Batch { feed, partition: "".into(), rows: batch, lines, raw: None });
            let panes = vec![None; prepared.rows.panes.len()];
            let (prepared, numbers) = (&prepared, cold.numbers());
            let selection = Selection { prepared, panes: &panes, from: 0, keys: &keys, numbers };
            let group = Some(group);
            for taker in self.takers[feed].iter().filter(|t| t.cold == group) {
                pass(&prepared.rows.bits, &taker.filters, selection, &mut self.lists);
                for s in &taker.slices {
                    let list = &mut self.lists[plan.slices[*s].filter];
                    self.slices[*s].add(&plan.slices[*s], selection, list, None);
                }
                taker.slices.iter().for_each(|s| self.lists[plan.slices[*s].filter].clear());
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
                let gone =
                    cold.sweep(self.latest_ms, |number| slices.iter().any(|s| of[*s].has(number)));
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
                    || !bits.passes_any(r, needed)
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
            let interner = &mut self.interners[slice.space];
            let (number, interner) = match self.waiting[*s] {
                Some(group) => (self.cold[feed_number][group].number(key), None),
                None => (key, Some(interner)),
            };
            let done = self.slices[*s].take(slice, single, 0, number, interner, self.latest_ms);
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
                self.slices[*s].rebuild(slice, number, pane, &parts);
            }
        }
    }

    /// The slice, to be asked.
    #[must_use]
    pub fn slice(&self, slice: usize) -> Asked<'_> {
        let cold = &self.cold[self.plan.slices[slice].feed];
        Asked::new(&self.slices[slice], self.waiting[slice].map(|group| &cold[group]))
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
        let interner = &mut self.interners[s.space];
        let interner = Some(interner).filter(|_| self.waiting[slice].is_none());
        self.slices[slice].evict(s, pane, interner, self.latest_ms);
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

/// Puts the rows of a selection into the lists of those filters of `set` that they pass.
fn pass(bits: &Bits, set: &FilterSet, selection: Selection<'_>, lists: &mut [Vec<u32>]) {
    for (row, key) in (selection.from..).zip(selection.keys) {
        if *key != NO_KEY {
            bits.passed(row as usize, set, |filter| lists[filter].push(row));
        }
    }
}

/// The pane of all rows, where they are in one.
fn one_pane(panes: &[i32]) -> Option<i32> {
    let first = panes.first()?;
    panes.iter().all(|pane| pane == first).then_some(*first)
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
