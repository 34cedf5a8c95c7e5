//! Records of several rows: a sample with a row for each item, a complaint whose list was exploded.
//!
//! In: each row's record, its own identity within it, its version. Out: what becomes of it. Rows of one version stand side by
//! side; a higher version (number, then withdraw > correct > insert) replaces all rows of the lower ones, also those that it
//! has no row for. Rows that come together (a run) are one statement: each takes the place of the row with its identity,
//! or of one that is gone, and what is left over is taken off after the last of them. So no window sees the record double,
//! or without rows. In whatever order the rows come, the same rows stand in the end.
//! Not here: records of one row (`dedup`), and taking the old values out of windows (`engine`).

use std::{cmp::Ordering, collections::BTreeMap};

use arrow::array::RecordBatch;
use hashbrown::HashMap;

use super::dedup::{Decision, Operation, Version, calendar_bytes};
use crate::model::{
    hash::{BuildTakeLow, combine, hash_column},
    schema::FeedSchema,
};

/// The record of each row, where records have several; `None` for feeds whose records have one.
#[must_use]
pub fn records(schema: &FeedSchema, rows: &RecordBatch) -> Option<Vec<u128>> {
    let whole = schema.record_id.iter().filter(|c| !schema.parts.contains(c));
    let mut hashes: Option<Vec<u128>> = None;
    for column in whole.filter(|_| !schema.parts.is_empty()) {
        let next = hash_column(rows.column(*column));
        match &mut hashes {
            Some(hashes) => combine(hashes, &next),
            None => hashes = Some(next),
        }
    }
    hashes
}

/// The known records of one feed.
#[derive(Debug, Default)]
pub struct Parts {
    known: HashMap<u128, Record, BuildTakeLow>,
    /// Event-time step → records with a row first seen with such a time.
    calendar: BTreeMap<i64, Vec<u128>>,
    step_ms: i64,
}

#[derive(Debug)]
struct Record {
    /// The version that counts.
    number: i64,
    operation: Operation,
    /// Identity and version of the rows that stand, by identity; some may be lower while a run is looked at.
    rows: Vec<(u128, Version)>,
    /// Rows of lower versions that nothing has taken the place of yet.
    gone: Vec<Version>,
    last_ms: i64,
}

impl Parts {
    /// Remembers records for `horizon_ms` of event time behind the watermark.
    #[must_use]
    pub fn new(horizon_ms: i64) -> Self {
        Self { step_ms: (horizon_ms / 16).max(1_000), ..Self::default() }
    }

    /// Decides about the row `id` of `record`. `run`: the identities of all its rows that come together. `content` as in
    /// [`super::dedup::Dedup::decide`]; the flag tells of a conflict.
    pub fn decide(
        &mut self,
        record: u128,
        id: u128,
        version: Version,
        run: &[u128],
        content: impl Fn((u64, u32)) -> u128,
    ) -> (Decision, bool) {
        let (step, at) = (version.event_ms.div_euclid(self.step_ms), version.event_ms);
        let known = self.known.entry(record).or_insert_with(|| Record::new(version));
        if !known.reaches(&version, run) {
            return (Decision::Older, false);
        }
        let found = known.place(id, version, content);
        if matches!(found.0, Decision::New | Decision::Replace(_)) {
            known.last_ms = known.last_ms.max(at);
            self.calendar.entry(step).or_default().push(record);
        }
        found
    }

    /// Rows of lower versions that no row of the run has taken the place of; to be asked after its last row.
    pub fn left_over(&mut self, record: u128) -> Vec<Version> {
        self.known.get_mut(&record).map(|r| std::mem::take(&mut r.gone)).unwrap_or_default()
    }

    /// Whether the row says what is known already: the same version with the same content.
    pub fn is_copy(
        &self,
        record: u128,
        id: u128,
        version: Version,
        content: impl Fn((u64, u32)) -> u128,
    ) -> bool {
        let rows = self.known.get(&record).map(|r| r.rows.as_slice()).unwrap_or_default();
        rows.iter().any(|(known, old)| {
            *known == id
                && strength(old) == strength(&version)
                && content(old.place) == content(version.place)
        })
    }

    /// The row that counts for `id` of `record` came to lie elsewhere than was said when it was decided about.
    pub fn placed(&mut self, record: u128, id: u128, place: (u64, u32)) {
        if let Some(record) = self.known.get_mut(&record)
            && let Ok(at) = record.rows.binary_search_by_key(&id, |(known, _)| *known)
        {
            record.rows[at].1.place = place;
        }
    }

    /// Records known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Bytes of what is known, without the rows themselves.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let rows = |r: &Record| {
            r.rows.capacity() * size_of::<(u128, Version)>()
                + r.gone.capacity() * size_of::<Version>()
        };
        self.known.allocation_size()
            + self.known.values().map(rows).sum::<usize>()
            + calendar_bytes(&self.calendar)
    }

    /// Forgets records all of whose rows happened before `before_ms`.
    pub fn forget(&mut self, before_ms: i64) {
        let keep = self.calendar.split_off(&before_ms.div_euclid(self.step_ms));
        for record in std::mem::replace(&mut self.calendar, keep).into_values().flatten() {
            if self.known.get(&record).is_some_and(|r| r.last_ms < before_ms) {
                self.known.remove(&record);
            }
        }
    }
}

impl Record {
    fn new(version: Version) -> Self {
        let Version { number, operation, event_ms, .. } = version;
        Self { number, operation, rows: Vec::new(), gone: Vec::new(), last_ms: event_ms }
    }

    /// Whether `version` is one that counts; a higher one makes the rows that are not in its run go.
    fn reaches(&mut self, version: &Version, run: &[u128]) -> bool {
        match strength(version).cmp(&(self.number, self.operation)) {
            Ordering::Less => return false,
            Ordering::Equal => return true,
            Ordering::Greater => (self.number, self.operation) = strength(version),
        }
        let mut run = run.to_vec();
        run.sort_unstable();
        let is_gone = |(id, _): &mut (u128, Version)| run.binary_search(id).is_err();
        let gone = self.rows.extract_if(.., is_gone).map(|(_, row)| row);
        // A withdrawn row was taken off when its tombstone came.
        self.gone.extend(gone.filter(|row| row.operation != Operation::Withdraw));
        true
    }

    fn place(
        &mut self,
        id: u128,
        version: Version,
        content: impl Fn((u64, u32)) -> u128,
    ) -> (Decision, bool) {
        let row = match self.rows.binary_search_by_key(&id, |(known, _)| *known) {
            Ok(at) => &mut self.rows[at].1,
            Err(at) => {
                self.rows.insert(at, (id, version));
                return (self.gone.pop().map_or(Decision::New, Decision::Replace), false);
            }
        };
        let old = *row;
        if strength(&old) == strength(&version) {
            let (theirs, mine) = (content(old.place), content(version.place));
            match mine.cmp(&theirs) {
                Ordering::Equal => return (Decision::Duplicate, false),
                Ordering::Less => return (Decision::Older, true),
                Ordering::Greater => {}
            }
            *row = version;
            return (Decision::Replace(old), true);
        }
        *row = version;
        (Decision::Replace(old), false)
    }
}

fn strength(version: &Version) -> (i64, Operation) {
    (version.number, version.operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: i64, operation: Operation, row: u32) -> Version {
        Version { number, operation, place: (0, row), event_ms: 5_000 }
    }

    /// Version, operation, identities with their places.
    type Run<'a> = (i64, Operation, &'a [(u128, u32)]);

    /// Places of the rows that stand after these runs.
    fn standing(runs: &[Run<'_>]) -> Vec<u32> {
        let mut parts = Parts::new(1_000_000);
        let mut standing: Vec<u32> = Vec::new();
        for (number, operation, rows) in runs {
            let run: Vec<u128> = rows.iter().map(|(id, _)| *id).collect();
            for (id, row) in *rows {
                let version = version(*number, *operation, *row);
                let (decision, _) = parts.decide(7, *id, version, &run, |(_, row)| row.into());
                if let Decision::Replace(old) = decision {
                    standing.retain(|row| *row != old.place.1);
                }
                let counts = matches!(decision, Decision::New | Decision::Replace(_));
                if counts && *operation != Operation::Withdraw {
                    standing.push(*row);
                }
            }
            let left = parts.left_over(7);
            standing.retain(|row| !left.iter().any(|old| old.place.1 == *row));
        }
        standing.sort_unstable();
        standing
    }

    #[test]
    fn a_higher_version_replaces_all_rows_of_the_lower() {
        use Operation::{Correct, Insert, Withdraw};
        let list = (1, Insert, &[(1, 11), (2, 12), (3, 13)][..]);
        for (then, expect) in [
            ((2, Insert, &[(1, 21)][..]), vec![21]),
            ((2, Insert, &[(9, 21)]), vec![21]),
            ((1, Correct, &[(2, 22), (9, 29)]), vec![22, 29]),
            ((1, Insert, &[(4, 14)]), vec![11, 12, 13, 14]),
            ((1, Withdraw, &[(1, 31)]), vec![]),
            ((2, Withdraw, &[(9, 31)]), vec![]),
            ((0, Withdraw, &[(1, 31)]), vec![11, 12, 13]),
        ] {
            assert_eq!(standing(&[list, then]), expect, "{then:?}");
            assert_eq!(standing(&[then, list]), expect, "{then:?} first");
        }
    }

    #[test]
    fn rows_one_by_one_come_to_the_same() {
        use Operation::Insert;
        let one = |number, id: &'static [(u128, u32)]| (number, Insert, id);
        let runs = [one(2, &[(1, 21)]), one(1, &[(3, 13)]), one(2, &[(4, 24)]), one(1, &[(1, 11)])];
        assert_eq!(standing(&runs), [21, 24]);
        let [a, b, c, d] = runs;
        assert_eq!(standing(&[d, b, c, a]), [21, 24]);
        assert_eq!(standing(&[b, a, d, c]), [21, 24]);
    }

    #[test]
    fn copies_and_conflicts_are_of_single_rows_and_records_are_forgotten() {
        let mut parts = Parts::new(1_000);
        let v = version(0, Operation::Insert, 1);
        let decide =
            |parts: &mut Parts, id, v| parts.decide(7, id, v, &[id], |(_, row)| row.into());
        assert_eq!(decide(&mut parts, 1, v), (Decision::New, false));
        assert_eq!(decide(&mut parts, 2, v), (Decision::New, false));
        assert_eq!(decide(&mut parts, 1, v), (Decision::Duplicate, false));
        let other = version(0, Operation::Insert, 2);
        assert_eq!(decide(&mut parts, 1, other), (Decision::Replace(v), true));
        assert_eq!(decide(&mut parts, 1, v), (Decision::Older, true));
        let same = |(_, row): (u64, u32)| u128::from(row);
        assert!(parts.is_copy(7, 2, v, same) && !parts.is_copy(7, 3, v, same));
        parts.forget(5_000);
        assert_eq!(decide(&mut parts, 2, v), (Decision::Duplicate, false));
        parts.forget(10_000);
        assert!(parts.known.is_empty());
    }
}
