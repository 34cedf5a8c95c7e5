//! How a row enters and leaves the state words of an entry.

use std::ops::Range;

use hashbrown::hash_map::Entry;
use smallvec::SmallVec;

use crate::{
    model::hash::HashedMap,
    pane::{
        aggregate::{
            distinct::{DistinctSet, Sets},
            kernel::{self, Moment},
        },
        plan::{Kernel, SlicePlan, Slot},
        prepare::{ArgValues, Prepared},
    },
};

/// Puts a row into the words of its entry; `words` goes on with the entries behind it, whose running totals grow too.
#[inline]
pub(super) fn add_slots(
    slots: &[Slot],
    words: &mut [i64],
    stride: usize,
    sets: &mut Sets,
    p: &Prepared,
    row: usize,
) {
    for slot in slots {
        let part = slot.offset..slot.offset + slot.kind.words();
        match (slot.kind, &p.args[slot.arg]) {
            (Kernel::Distinct, ArgValues::Identity(values, nulls)) => {
                if nulls.as_ref().is_none_or(|n| n.is_valid(row)) {
                    sets.add(&mut words[slot.offset], values[row]);
                }
            }
            (kind, args) if kind.carries() => {
                for words in words.chunks_exact_mut(stride) {
                    kernel::add(kind, &mut words[part.clone()], args, row, || moment(p, row));
                }
            }
            (kind, args) => kernel::add(kind, &mut words[part], args, row, || moment(p, row)),
        }
    }
}

/// Lets go of the sets that the words of one entry name.
pub(super) fn free_sets(plan: &SlicePlan, words: &[i64], sets: &mut Sets) {
    for slot in plan.slots.iter().filter(|s| s.kind == Kernel::Distinct) {
        sets.free(words[slot.offset]);
    }
}

/// How many distinct values the sets hold together that the words `names` name.
pub(super) fn distinct(sets: &Sets, names: impl Iterator<Item = i64>) -> i64 {
    let sets: SmallVec<[&DistinctSet; 8]> = names.filter_map(|word| sets.of(word)).collect();
    match sets.as_slice() {
        [] => 0,
        [one] => one.len() as i64,
        many => {
            let mut union = HashedMap::default();
            many.iter().for_each(|s| s.extend_into(&mut union));
            union.len() as i64
        }
    }
}

/// Distinct values in each of `windows`, which ascend at both ends, of a key whose panes name these sets: each window costs
/// what enters and leaves it.
pub(super) fn distinct_in(sets: &Sets, names: &[(i32, i64)], windows: &[Range<i32>]) -> Vec<i64> {
    let range = |panes: &Range<i32>| {
        let at = |pane: i32| names.partition_point(|(p, _)| *p < pane);
        at(panes.start)..at(panes.end)
    };
    if let [window] = windows {
        return vec![distinct(sets, names[range(window)].iter().map(|(_, word)| *word))];
    }
    let set = |at: usize| sets.of(names[at].1);
    // Value → in how many panes of the window it is.
    let mut held: HashedMap<u128, u32> = HashedMap::default();
    let mut window = 0..0;
    let slide = |range: Range<usize>| {
        let left = window.start..range.start.min(window.end);
        left.filter_map(set).for_each(|s| {
            s.each(|value| {
                if let Entry::Occupied(mut n) = held.entry(value) {
                    *n.get_mut() -= 1;
                    if *n.get() == 0 {
                        n.remove();
                    }
                }
            });
        });
        let entered = window.end.max(range.start)..range.end;
        let add = |s: &DistinctSet| s.each(|value| *held.entry(value).or_insert(0) += 1);
        entered.filter_map(set).for_each(add);
        window = range;
        held.len() as i64
    };
    windows.iter().map(range).map(slide).collect()
}

/// Makes the aggregates of an entry that cannot subtract anew from the rows that are left.
pub(super) fn rebuild_slots(
    plan: &SlicePlan,
    words: &mut [i64],
    sets: &mut Sets,
    parts: &[(&Prepared, Vec<u32>)],
) {
    let slots: Vec<Slot> = plan.slots.iter().filter(|s| !s.kind.subtracts()).copied().collect();
    for slot in &slots {
        words[slot.offset..slot.offset + slot.kind.words()].fill(0);
    }
    for (p, rows) in parts {
        for row in rows {
            add_slots(&slots, words, plan.stride, sets, p, *row as usize);
        }
    }
}

/// Takes a row off the words of its entry and, where they carry, of those behind it.
pub(super) fn take_slots<'a>(
    slots: impl Iterator<Item = &'a Slot>,
    words: &mut [i64],
    stride: usize,
    sets: &mut Sets,
    p: &Prepared,
    row: usize,
) {
    for slot in slots {
        match (slot.kind, &p.args[slot.arg]) {
            (Kernel::Distinct, ArgValues::Identity(values, nulls)) => {
                if nulls.as_ref().is_none_or(|n| n.is_valid(row)) {
                    sets.take(words[slot.offset], values[row]);
                }
            }
            (kind, args) => {
                for words in words.chunks_exact_mut(stride) {
                    kernel::take(kind, &mut words[slot.offset..], args, row);
                }
            }
        }
    }
}

fn moment(p: &Prepared, row: usize) -> Moment {
    let tie = p.rows.ids.get(row).map_or(0, |id| *id as i64);
    Moment { at_ms: p.rows.event_ms[row], tie }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_slide_count_as_each_alone() {
        let mut sets = Sets::default();
        // Pane 3 has no rows, and pane 7 none with a value.
        let names: Vec<(i32, i64)> = [0, 1, 2, 4, 5, 6, 7, 9]
            .into_iter()
            .map(|pane| {
                let mut word = 0;
                for value in (0..20).filter(|v| pane != 7 && (v * 7 + pane) % 5 < 2) {
                    sets.add(&mut word, value as u128);
                }
                (pane, word)
            })
            .collect();
        for (width, step) in [(1, 1), (3, 1), (4, 2), (2, 5), (20, 1)] {
            let windows: Vec<Range<i32>> =
                (-3..12).step_by(step).map(|start| start..start + width).collect();
            let alone: Vec<i64> = windows
                .iter()
                .flat_map(|w| distinct_in(&sets, &names, std::slice::from_ref(w)))
                .collect();
            assert_eq!(distinct_in(&sets, &names, &windows), alone, "{width} by {step}");
            assert!(alone.iter().any(|n| *n > 5) && alone.contains(&0) || width == 20, "{alone:?}");
        }
    }
}
