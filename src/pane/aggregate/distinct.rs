//! Exact distinct values of one key in one pane: value → how many rows have it, so that a row can be taken off again.

use smallvec::SmallVec;

use crate::model::hash::HashedMap;

/// Values up to which a set is a plain list.
const LIST_MAX: usize = 12;

/// A multiset of 128-bit value hashes.
#[derive(Debug, Clone)]
pub enum DistinctSet {
    /// Few values: a list in the order they came.
    List(SmallVec<[(u128, u32); 1]>),
    /// Many.
    Map(Box<HashedMap<u128, u32>>),
}

impl Default for DistinctSet {
    fn default() -> Self {
        Self::List(SmallVec::new())
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
                    *self = Self::Map(Box::new(map));
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

    /// Hands over each value once, in no order.
    pub fn each(&self, mut take: impl FnMut(u128)) {
        match self {
            Self::List(list) => list.iter().for_each(|(v, _)| take(*v)),
            Self::Map(map) => map.keys().for_each(|v| take(*v)),
        }
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::List(list) if list.spilled() => list.capacity() * 32,
            Self::List(_) => 0,
            Self::Map(map) => map.capacity() * 33,
        }
    }
}

/// The sets of a slice, in places that are used again. An entry's state holds its set's number, 0 without one.
#[derive(Debug, Default)]
pub struct Sets {
    sets: Vec<DistinctSet>,
    unused: Vec<u32>,
}

impl Sets {
    /// One more row with this value in the set that `word` names; `word` names a new one if it named none.
    #[inline]
    pub fn add(&mut self, word: &mut i64, value: u128) {
        if *word == 0 {
            *word = 1 + match self.unused.pop() {
                Some(place) => i64::from(place),
                None => {
                    self.sets.push(DistinctSet::default());
                    self.sets.len() as i64 - 1
                }
            };
        }
        self.sets[*word as usize - 1].add(value);
    }

    /// One row fewer with this value.
    pub fn take(&mut self, word: i64, value: u128) {
        if word != 0 {
            self.sets[word as usize - 1].take(value);
        }
    }

    /// The set that `word` names.
    #[inline]
    #[must_use]
    pub fn of(&self, word: i64) -> Option<&DistinctSet> {
        (word != 0).then(|| &self.sets[word as usize - 1])
    }

    /// Nobody names the set any more.
    pub fn free(&mut self, word: i64) {
        if word != 0 {
            self.sets[word as usize - 1] = DistinctSet::default();
            self.unused.push((word - 1) as u32);
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let heap: usize = self.sets.iter().map(DistinctSet::heap_bytes).sum();
        self.sets.capacity() * size_of::<DistinctSet>() + self.unused.capacity() * 4 + heap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_sets_are_used_again_and_empty() {
        let mut sets = Sets::default();
        let (mut a, mut b) = (0, 0);
        sets.add(&mut a, 7);
        sets.free(a);
        sets.add(&mut b, 8);
        assert_eq!((a, b, sets.of(b).map(DistinctSet::len)), (1, 1, Some(1)));
        sets.take(b, 8);
        assert!(sets.of(b).is_some_and(DistinctSet::is_empty) && sets.of(0).is_none());
    }

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
