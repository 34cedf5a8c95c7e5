//! Versions of records: which version of a record counts, whatever the order in which they arrive.
//!
//! In: record identity, version, operation and place of each row. Out: what becomes of it. Of several versions the highest
//! (version, then withdraw > correct > insert, then content) wins; the same content is a duplicate. A withdrawal leaves a
//! tombstone. Identities are forgotten when a row of that event time could only be late.
//! Not here: taking the old values out of windows (`pane`, `engine`).

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::model::hash::BuildTakeLow;

/// What a record version does, in rising strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// First report, or no operation column.
    Insert,
    /// Replaces an earlier version.
    Correct,
    /// Takes the record back.
    Withdraw,
}

/// One version of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The number its source gave it; 0 without a version column.
    pub number: i64,
    /// What it does.
    pub operation: Operation,
    /// Where its row is kept: piece and row.
    pub place: (u64, u32),
    /// Its event time.
    pub event_ms: i64,
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The record was not known (or is a withdrawal of an unknown one, which only leaves its tombstone).
    New,
    /// The row wins over a known version, which must be taken off (a withdrawn one has nothing to take off).
    Replace(Version),
    /// Same content as the known version.
    Duplicate,
    /// A known version is higher.
    Older,
}

/// The known records of one feed.
#[derive(Debug, Default)]
pub struct Dedup {
    known: HashMap<u128, Version, BuildTakeLow>,
    /// Event-time step → identities first seen with such a time.
    calendar: BTreeMap<i64, Vec<u128>>,
    step_ms: i64,
}

impl Dedup {
    /// Remembers records for `horizon_ms` of event time behind the watermark.
    #[must_use]
    pub fn new(horizon_ms: i64) -> Self {
        Self {
            known: HashMap::default(),
            calendar: BTreeMap::new(),
            step_ms: (horizon_ms / 16).max(1_000),
        }
    }

    /// Decides about a row. `content` gives the content hash of a place and is asked only when versions are equal;
    /// the flag tells whether they differ in content under an equal version (a conflict).
    pub fn decide(
        &mut self,
        id: u128,
        version: Version,
        content: impl Fn((u64, u32)) -> u128,
    ) -> (Decision, bool) {
        match self.known.entry(id) {
            hashbrown::hash_map::Entry::Vacant(slot) => {
                slot.insert(version);
                self.remember(id, version.event_ms);
                (Decision::New, false)
            }
            hashbrown::hash_map::Entry::Occupied(mut slot) => {
                let old = *slot.get();
                let strength = |v: &Version| (v.number, v.operation);
                let (newer, conflict) = match strength(&version).cmp(&strength(&old)) {
                    std::cmp::Ordering::Greater => (true, false),
                    std::cmp::Ordering::Less => (false, false),
                    std::cmp::Ordering::Equal => {
                        let (theirs, mine) = (content(old.place), content(version.place));
                        if theirs == mine {
                            return (Decision::Duplicate, false);
                        }
                        (mine > theirs, true)
                    }
                };
                if !newer {
                    return (Decision::Older, conflict);
                }
                slot.insert(version);
                self.remember(id, version.event_ms);
                (Decision::Replace(old), conflict)
            }
        }
    }

    /// Whether the row says what is known already: the same version with the same content.
    pub fn is_copy(
        &self,
        id: u128,
        version: Version,
        content: impl Fn((u64, u32)) -> u128,
    ) -> bool {
        self.known.get(&id).is_some_and(|old| {
            (old.number, old.operation) == (version.number, version.operation)
                && content(old.place) == content(version.place)
        })
    }

    /// The row that counts for `id` came to lie elsewhere than was said when it was decided about.
    pub fn placed(&mut self, id: u128, place: (u64, u32)) {
        if let Some(version) = self.known.get_mut(&id) {
            version.place = place;
        }
    }

    /// Forgets records whose event time lies before `before_ms`.
    pub fn forget(&mut self, before_ms: i64) {
        let keep = self.calendar.split_off(&before_ms.div_euclid(self.step_ms));
        for (_, ids) in std::mem::replace(&mut self.calendar, keep) {
            for id in ids {
                if self.known.get(&id).is_some_and(|v| v.event_ms < before_ms) {
                    self.known.remove(&id);
                }
            }
        }
    }

    /// Records known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Bytes of what is known, without the rows themselves.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.known.allocation_size() + calendar_bytes(&self.calendar)
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn remember(&mut self, id: u128, event_ms: i64) {
        self.calendar.entry(event_ms.div_euclid(self.step_ms)).or_default().push(id);
    }
}

/// Bytes of the identities that are forgotten step by step.
pub(super) fn calendar_bytes(calendar: &BTreeMap<i64, Vec<u128>>) -> usize {
    calendar.values().map(|ids| size_of_val(ids) + ids.capacity() * size_of::<u128>()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: i64, operation: Operation, row: u32) -> Version {
        Version { number, operation, place: (0, row), event_ms: 0 }
    }

    /// Feeds versions of one record in every order and returns the place that counts in the end.
    fn winner(versions: &[Version]) -> Vec<u32> {
        let mut winners = Vec::new();
        let orders: Vec<Vec<usize>> = match versions.len() {
            2 => vec![vec![0, 1], vec![1, 0]],
            _ => vec![
                vec![0, 1, 2],
                vec![0, 2, 1],
                vec![1, 0, 2],
                vec![1, 2, 0],
                vec![2, 0, 1],
                vec![2, 1, 0],
            ],
        };
        for order in orders {
            let mut dedup = Dedup::new(1_000);
            let mut now = u32::MAX;
            for i in order {
                let (decision, _) =
                    dedup.decide(7, versions[i], |(_, row)| u128::from(row) * 31 % 17);
                if matches!(decision, Decision::New | Decision::Replace(_)) {
                    now = versions[i].place.1;
                }
            }
            winners.push(now);
        }
        winners.dedup();
        winners
    }

    #[test]
    fn the_highest_version_wins_in_any_order() {
        use Operation::{Correct, Insert, Withdraw};
        assert_eq!(
            winner(&[version(1, Insert, 1), version(2, Correct, 2), version(1, Withdraw, 3)]),
            [2]
        );
        assert_eq!(
            winner(&[version(0, Insert, 1), version(0, Correct, 2), version(0, Withdraw, 3)]),
            [3]
        );
        assert_eq!(winner(&[version(0, Insert, 1), version(0, Insert, 2)]).len(), 1);
    }

    #[test]
    fn same_content_is_a_duplicate_and_old_records_are_forgotten() {
        let mut dedup = Dedup::new(1_000);
        let v = Version { event_ms: 5_000, ..version(0, Operation::Insert, 1) };
        assert_eq!(dedup.decide(1, v, |_| 9).0, Decision::New);
        assert_eq!(dedup.decide(1, v, |_| 9).0, Decision::Duplicate);
        let later = Version { place: (1, 1), ..v };
        assert!(dedup.is_copy(1, later, |_| 9) && !dedup.is_copy(2, later, |_| 9));
        assert!(!dedup.is_copy(1, later, |(piece, _)| u128::from(piece)), "other content");
        assert!(!dedup.is_copy(1, Version { number: 1, ..later }, |_| 9), "another version");
        dedup.forget(10_000);
        assert!(dedup.is_empty());
    }
}
