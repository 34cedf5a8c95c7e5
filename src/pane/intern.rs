//! Keys of one key space in one shard: hash → small dense number, and the key's text once.
//!
//! A number is given while anything refers to the key (`retain`/`release` count the slices that have panes of it) and is
//! used again only after [`Interner::reclaim`], when no kept row can still mean the old key.

use arrow::array::ArrayRef;
use hashbrown::HashMap;
use serde_json::{Map, Value};

use crate::model::{signal::Key, value::value_at};

/// Hashes are already mixed: take their low bits.
#[derive(Debug, Clone, Copy, Default)]
pub struct TakeLow(u64);

impl std::hash::Hasher for TakeLow {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for (i, b) in bytes.iter().enumerate() {
            self.0 ^= u64::from(*b) << (i % 8 * 8);
        }
    }
    fn write_u128(&mut self, v: u128) {
        self.0 = v as u64;
    }
    fn write_u64(&mut self, v: u64) {
        self.0 = v;
    }
    fn write_u32(&mut self, v: u32) {
        self.0 = u64::from(v).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Build-hasher of [`TakeLow`].
pub type BuildTakeLow = std::hash::BuildHasherDefault<TakeLow>;

/// A map from values that are already hashed.
pub type HashedMap<K, V> = HashMap<K, V, BuildTakeLow>;

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
    canonical: Box<str>,
}

impl Interner {
    /// The number of the key with this hash, read from row `row` of `columns` if it is new.
    #[inline]
    pub fn intern(&mut self, hash: u128, names: &[String], columns: &[ArrayRef], row: usize) -> u32 {
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
        let slot = Slot { hash, uses: 0, canonical: Value::Object(values).to_string().into() };
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

    /// The key's canonical text.
    #[must_use]
    pub fn canonical(&self, id: u32) -> &str {
        &self.slots[id as usize].canonical
    }

    /// The hash of a key.
    #[must_use]
    pub fn hash(&self, id: u32) -> u128 {
        self.slots[id as usize].hash
    }

    /// The key.
    #[must_use]
    pub fn key(&self, id: u32) -> Key {
        let canonical = self.canonical(id);
        let values = serde_json::from_str(canonical).unwrap_or_default();
        Key { values, canonical: canonical.to_owned() }
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
            slot.canonical = "".into();
            self.gone.push_back((after_ms, id));
        }
    }

    /// Forgets a key that was interned and then not needed.
    pub fn forget_unused(&mut self, id: u32, after_ms: i64) {
        if self.slots[id as usize].uses == 0 && self.ids.get(&self.slots[id as usize].hash) == Some(&id) {
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
            + self.slots.iter().map(|s| s.canonical.len()).sum::<usize>()
    }
}
