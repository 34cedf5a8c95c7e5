//! The pane store of one shard: keys, slices and kept rows, fed piece by piece.
//!
//! In: prepared pieces of all feeds; the store takes the rows whose keys belong to its shard. Out: states of slices over
//! runs of panes, kept rows of a key. Promise: which shard holds a key is a function of the key's hash alone.

use std::{ops::Range, sync::Arc};

use super::{
    cold::ColdKeys,
    intern::Interner,
    kept::{Found, KeptRows, Piece, rows_batch},
    near::{NO_PLACE, NearKeys},
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
    /// By slice: hot keys that it still waits for itself.
    near: Vec<NearKeys>,
    /// By feed and keying: which filters' rows need the key at all.
    needed: Vec<Vec<Vec<usize>>>,
    /// Latest event time seen, for numbers at rest.
    latest_ms: i64,
}

/// Rows of keys that are hot, by row of a selection.
struct Warm {
    /// The key, or [`NO_KEY`].
    keys: Vec<u32>,
    /// Its place, or [`NO_PLACE`].
    places: Vec<u32>,
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
        let near = plan.slices.iter().map(|s| NearKeys::new(&s.waits, s.keep_ms)).collect();
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
            near,
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
        let mut near = Vec::new();
        for s in &feed.slices {
            let slice = &plan.slices[*s];
            let list = selection.passing(slice.filter);
            match self.waiting[piece.rows.feed].get(&(*s as u32)) {
                None => self.add_to(*s, selection, list, &keys[slice.keying]),
                Some(group) => self.add_near(*s, selection, list, &warm[*group], &mut near),
            }
        }
        for (space, key) in fresh {
            self.interners[space].forget_unused(key, self.latest_ms);
        }
        self.kept.keep(piece.clone(), &keys);
        self.turn_hot(piece.rows.feed, turning, near, again);
    }

    fn add_to(&mut self, slice: usize, selection: Selection<'_>, list: &[u32], keys: &[u32]) {
        let plan = &self.plan.slices[slice];
        self.slices[slice].add(plan, selection, list, keys, &mut self.interners[plan.space]);
    }

    /// Adds the rows of keys that are hot in a slice that waits; keys that turn there are pushed to `turning`.
    fn add_near(
        &mut self,
        slice: usize,
        selection: Selection<'_>,
        list: &[u32],
        warm: &Warm,
        turning: &mut Vec<(usize, u32)>,
    ) {
        if Slice::may_be_dense(self.interners[self.plan.slices[slice].space].numbers()) {
            return self.add_to(slice, selection, list, &warm.keys);
        }
        let (mut now, mut turned) = (Vec::new(), Vec::new());
        let rows = (list, warm.places.as_slice(), selection.from);
        let into = (&mut now, &mut turned);
        self.near[slice].pass(&selection.prepared.args, rows, self.latest_ms, into);
        turning.extend(turned.iter().map(|r| (slice, warm.keys[(r - selection.from) as usize])));
        self.add_to(slice, selection, &now, &warm.keys);
    }

    /// Counts the rows of keys that slices wait for: by group of those, the keys whose rows may go to them now, and the
    /// keys that turn hot.
    fn count_cold(
        &mut self,
        selection: &Selection<'_>,
        keys: &[Vec<u32>],
    ) -> (Vec<Warm>, Vec<Vec<u32>>) {
        let feed = selection.prepared.rows.feed;
        let latest_ms = self.latest_ms;
        let of_group = |cold: &mut ColdKeys| {
            let interner = &mut self.interners[self.plan.feeds[feed].keyings[cold.keying].space];
            let (keys, mut turning) = (&keys[cold.keying], Vec::new());
            let count = |(i, key): (usize, &u32)| {
                if *key == NO_KEY {
                    return (NO_KEY, NO_PLACE);
                }
                let weight = cold.weight(selection.prepared, selection.from as usize + i);
                let (new, place) = cold.count(*key, weight, latest_ms, &mut turning);
                if new {
                    interner.retain(*key);
                }
                (if place == NO_PLACE { NO_KEY } else { *key }, place)
            };
            let (keys, places) = keys.iter().enumerate().map(count).unzip();
            (Warm { keys, places }, turning)
        };
        self.cold[feed].iter_mut().map(of_group).unzip()
    }

    /// Adds the kept rows of keys that turned hot, or that one slice need not wait for any more (`near`: slice, key), to the
    /// slices that waited for them.
    fn turn_hot(
        &mut self,
        feed: usize,
        turning: Vec<Vec<u32>>,
        mut near: Vec<(usize, u32)>,
        again: &mut dyn FnMut(Batch) -> Prepared,
    ) {
        near.sort_unstable();
        for (group, turned) in turning.into_iter().enumerate() {
            let cold = &mut self.cold[feed][group];
            let (keying, slices) = (cold.keying, cold.slices.clone());
            let space = self.plan.feeds[feed].keyings[keying].space;
            let at_once = Slice::may_be_dense(self.interners[space].numbers());
            let mut new: HashedMap<u32, u32> = HashedMap::default();
            for key in turned {
                let place = cold.turned(key);
                slices.iter().for_each(|s| self.near[*s].begin(place, at_once));
                new.insert(key, place);
            }
            // Values are asked for again only where something else than rows is counted.
            let of_slice = |s: usize| {
                let from = near.partition_point(|(slice, _)| *slice < s);
                near[from..].iter().take_while(move |(slice, _)| *slice == s).map(|(_, key)| *key)
            };
            let has_slots = |s: &&usize| !self.plan.slices[**s].slots.is_empty();
            let mut all: Vec<u32> =
                slices.iter().filter(has_slots).flat_map(|s| of_slice(*s)).collect();
            all.extend(new.keys());
            all.sort_unstable();
            all.dedup();
            self.turn_counted(feed, group, near.iter().filter(|(s, _)| slices.contains(s)));
            let (mut rows, mut keys) = (Vec::new(), Vec::new());
            for key in all {
                let found = self.kept.find_all(feed, keying, key);
                keys.resize(keys.len() + found.len(), key);
                rows.extend(found);
            }
            let Some(batch) = rows_batch(&rows) else { continue };
            let lines = Arc::from(vec![0; batch.num_rows()]);
            let prepared =
                again(Batch { feed, partition: "".into(), rows: batch, lines, raw: None });
            let to = keys.len() as u32;
            let selection = Selection { prepared: &prepared, from: 0, to, refused: &[] };
            let places: Vec<u32> =
                keys.iter().map(|k| new.get(k).copied().unwrap_or(NO_PLACE)).collect();
            for s in slices {
                let plan = &self.plan.slices[s];
                let list = selection.passing(plan.filter);
                let (mut now, mut last) = (Vec::new(), Vec::new());
                let rows = (list, places.as_slice(), 0);
                self.near[s].pass(&prepared.args, rows, self.latest_ms, (&mut now, &mut last));
                if !at_once {
                    let mut enter: Vec<u32> = last.iter().map(|row| keys[*row as usize]).collect();
                    if !plan.slots.is_empty() {
                        enter.extend(of_slice(s));
                    }
                    enter.sort_unstable();
                    for key in &enter {
                        self.near[s].turned(self.cold[feed][group].place(*key));
                    }
                    let enters = |row: &&u32| enter.binary_search(&keys[**row as usize]).is_ok();
                    now = list.iter().filter(enters).copied().collect();
                }
                self.add_to(s, selection, &now, &keys);
            }
        }
    }

    /// Adds the kept rows of keys that turned (slice, key) to those slices that only count them.
    fn turn_counted<'a>(
        &mut self,
        feed: usize,
        group: usize,
        turned: impl Iterator<Item = &'a (usize, u32)>,
    ) {
        let plan = self.plan.clone();
        let cold = &self.cold[feed][group];
        let mut turned: Vec<(u32, usize)> = turned
            .filter(|(s, _)| plan.slices[*s].slots.is_empty())
            .map(|(s, key)| (*key, *s))
            .collect();
        turned.sort_unstable();
        for of_key in turned.chunk_by(|a, b| a.0 == b.0) {
            let key = of_key[0].0;
            let rows = self.kept.find_all(feed, cold.keying, key);
            for (_, s) in of_key {
                let slice = &plan.slices[*s];
                let passes = |f: &&Found| f.piece.rows.bits.passes(f.row as usize, slice.filter);
                let pane = |f: &Found| f.piece.rows.panes[slice.lane][f.row as usize];
                let panes: Vec<i32> = rows.iter().filter(passes).map(pane).collect();
                let keys = vec![key; panes.len()];
                let interner = &mut self.interners[slice.space];
                self.slices[*s].add_counted(slice, &panes, &keys, interner);
                self.near[*s].turned(cold.place(key));
            }
        }
    }

    /// Lets keys go of which nothing is left.
    pub fn sweep_cold(&mut self) {
        let plan = self.plan.clone();
        for (feed, groups) in self.cold.iter_mut().enumerate() {
            for cold in groups.iter_mut().filter(|c| c.is_due(self.latest_ms)) {
                let mut hot: Vec<(u32, u32)> = cold.hot().collect();
                hot.sort_unstable();
                for s in &cold.slices {
                    for (place, key) in &hot {
                        if self.near[*s].is_in_slice(*place) && !self.slices[*s].has(*key) {
                            self.near[*s].begin(*place, false);
                        }
                    }
                }
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
        size.key_bytes += self.near.iter().map(NearKeys::bytes).sum::<usize>();
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
