//! Where the keys of a sparse slice stand: key → place, and what is at the place.

use crate::{model::hash::HashedMap, pane::series::Series};

/// The key at one place of a slab.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) key: u32,
    pub(super) series: Series,
}

/// Key → place in the slab. Low keys, which are all of them in a small key space, need no hashing.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// By key: place + 1, or 0.
    low: Vec<u32>,
    high: HashedMap<u32, u32>,
}

/// Keys below this one stand in `low`.
pub(super) const LOW_KEYS: u32 = 2_048;

impl Places {
    #[inline]
    pub(super) fn of(&self, key: u32) -> Option<u32> {
        if key < LOW_KEYS {
            self.low.get(key as usize).and_then(|p| p.checked_sub(1))
        } else {
            self.high.get(&key).copied()
        }
    }

    pub(super) fn insert(&mut self, key: u32, place: u32) {
        if key >= LOW_KEYS {
            self.high.insert(key, place);
            return;
        }
        let key = key as usize;
        if key >= self.low.len() {
            self.low.resize((key + 1).next_power_of_two(), 0);
        }
        self.low[key] = place + 1;
    }

    pub(super) fn remove(&mut self, key: u32) {
        if key >= LOW_KEYS {
            self.high.remove(&key);
        } else if let Some(place) = self.low.get_mut(key as usize) {
            *place = 0;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.low.capacity() * 4 + self.high.capacity() * 9
    }
}

/// Items that stay where they are, in chunks that never move, places used again.
#[derive(Debug, Default)]
pub(super) struct Slab {
    chunks: Vec<Vec<Item>>,
    free: Vec<u32>,
}

/// Items per chunk.
const CHUNK: usize = 256;

impl Slab {
    pub(super) fn insert(&mut self, key: u32) -> u32 {
        if let Some(place) = self.free.pop() {
            self.get_mut(place).key = key;
            return place;
        }
        if self.chunks.last().is_none_or(|c| c.len() == CHUNK) {
            // The first chunk grows from nothing, so that a slice with three keys stays small.
            let room = if self.chunks.is_empty() { 4 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(room));
        }
        let chunk = self.chunks.len() - 1;
        self.chunks[chunk].push(Item { key, ..Item::default() });
        (chunk * CHUNK + self.chunks[chunk].len() - 1) as u32
    }

    pub(super) fn remove(&mut self, place: u32) {
        *self.get_mut(place) = Item::default();
        self.free.push(place);
    }

    #[inline]
    pub(super) fn get(&self, place: u32) -> &Item {
        &self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: u32) -> &mut Item {
        &mut self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.chunks.iter().flatten()
    }

    pub(super) fn bytes(&self) -> usize {
        let items: usize = self.chunks.iter().map(|c| c.capacity() * size_of::<Item>()).sum();
        items + self.free.capacity() * 4
    }
}
