//! Exact distinct values of one key in one pane: value → how many rows have it, so that a row can be taken off again.

use crate::model::hash::HashedMap;

/// Values up to which a set is a plain list.
const LIST_MAX: usize = 12;

/// A multiset of 128-bit value hashes.
#[derive(Debug, Clone)]
pub enum DistinctSet {
    /// Few values: a list in the order they came.
    List(Vec<(u128, u32)>),
    /// Many.
    Map(HashedMap<u128, u32>),
}

impl Default for DistinctSet {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl DistinctSet {
    /// One more row with this value.
    pub fn add(&mut self, value: u128) {
        match self {
            Self::List(list) => {
                if let Some((_, n)) = list.iter_mut().find(|(v, _)| *v == value) {
                    *n += 1;
                } else if list.len() < LIST_MAX {
                    list.push((value, 1));
                } else {
                    let mut map: HashedMap<u128, u32> = list.drain(..).collect();
                    map.insert(value, 1);
                    *self = Self::Map(map);
                }
            }
            Self::Map(map) => *map.entry(value).or_insert(0) += 1,
        }
    }

    /// One row fewer with this value.
    pub fn take(&mut self, value: u128) {
        match self {
            Self::List(list) => {
                if let Some(i) = list.iter().position(|(v, _)| *v == value) {
                    list[i].1 -= 1;
                    if list[i].1 == 0 {
                        list.swap_remove(i);
                    }
                }
            }
            Self::Map(map) => {
                if let Some(n) = map.get_mut(&value) {
                    *n -= 1;
                    if *n == 0 {
                        map.remove(&value);
                    }
                }
            }
        }
    }

    /// Distinct values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Map(map) => map.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the values to `union`.
    pub fn extend_into(&self, union: &mut HashedMap<u128, ()>) {
        match self {
            Self::List(list) => union.extend(list.iter().map(|(v, _)| (*v, ()))),
            // The values end in a set: the order in which they are read cannot show.
            Self::Map(map) => union.extend(map.keys().map(|v| (*v, ()))),
        }
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::List(list) => list.capacity() * 32,
            Self::Map(map) => map.capacity() * 33,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_and_go() {
        let mut set = DistinctSet::default();
        for i in 0..100u128 {
            set.add(i % 40);
        }
        assert_eq!(set.len(), 40);
        for i in 0..100u128 {
            set.take(i % 40);
        }
        assert!(set.is_empty());
    }
}
