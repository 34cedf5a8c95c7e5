//! Keys of one key space in one shard: hash → small dense number, and the key's text once.
//!
//! A number is given while anything refers to the key (`retain`/`release` count the slices that have panes of it) and is
//! used again only after [`Interner::reclaim`], when no kept row can still mean the old key.

use std::sync::Arc;

use arrow::array::ArrayRef;
use serde_json::Map;

use crate::model::{hash::HashedMap, signal::Key, value::value_at};

/// The keys of one key space.
#[derive(Debug, Default)]
pub struct Interner {
    ids: HashedMap<u128, u32>,
    slots: Vec<Slot>,
    /// Numbers whose keys are gone, with the local time after which they can be used again.
    gone: std::collections::VecDeque<(i64, u32)>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    hash: u128,
    uses: u32,
    key: Arc<Key>,
}

impl Interner {
    /// The number of the key with this hash, read from row `row` of `columns` if it is new.
    #[inline]
    pub fn intern(
        &mut self,
        hash: u128,
        names: &[String],
        columns: &[ArrayRef],
        row: usize,
    ) -> u32 {
        if let Some(id) = self.ids.get(&hash) {
            return *id;
        }
        self.insert(hash, names, columns, row)
    }

    #[cold]
    fn insert(&mut self, hash: u128, names: &[String], columns: &[ArrayRef], row: usize) -> u32 {
        let mut values = Map::with_capacity(names.len());
        for (name, column) in names.iter().zip(columns) {
            values.insert(name.clone(), value_at(column, row));
        }
        let slot = Slot { hash, uses: 0, key: Arc::new(Key::new(values)) };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id as usize] = slot;
                id
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        self.ids.insert(hash, id);
        id
    }

    /// The number of a key, if it is known.
    #[must_use]
    pub fn find(&self, hash: u128) -> Option<u32> {
        self.ids.get(&hash).copied()
    }

    /// The hash of a key.
    #[must_use]
    pub fn hash(&self, id: u32) -> u128 {
        self.slots[id as usize].hash
    }

    /// The key.
    #[must_use]
    pub fn key(&self, id: u32) -> &Arc<Key> {
        &self.slots[id as usize].key
    }

    /// One more slice, signal or alert refers to the key.
    #[inline]
    pub fn retain(&mut self, id: u32) {
        self.slots[id as usize].uses += 1;
    }

    /// One fewer; at none the key is forgotten and its number rests until `after_ms`.
    pub fn release(&mut self, id: u32, after_ms: i64) {
        let slot = &mut self.slots[id as usize];
        slot.uses -= 1;
        if slot.uses == 0 {
            self.ids.remove(&slot.hash);
            self.gone.push_back((after_ms, id));
        }
    }

    /// Forgets a key that was interned and then not needed.
    pub fn forget_unused(&mut self, id: u32, after_ms: i64) {
        if self.slots[id as usize].uses == 0
            && self.ids.get(&self.slots[id as usize].hash) == Some(&id)
        {
            self.slots[id as usize].uses = 1;
            self.release(id, after_ms);
        }
    }

    /// Numbers at rest until before `local_ms` can be used again.
    pub fn reclaim(&mut self, local_ms: i64) {
        while let Some((after, id)) = self.gone.front()
            && *after < local_ms
        {
            self.free.push(*id);
            self.gone.pop_front();
        }
    }

    /// Above every number that was ever given.
    #[must_use]
    pub fn numbers(&self) -> usize {
        self.slots.len()
    }

    /// Keys known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether no key is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ids.capacity() * 33
            + self.slots.capacity() * size_of::<Slot>()
            + self.slots.iter().map(|s| s.key.canonical.len() + 32).sum::<usize>()
    }
}
