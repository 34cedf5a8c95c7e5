//! Words in texts: all keyword lists at once.
//!
//! In: the words of every keyword list, and a column of texts. Out: for each text, which lists have a word in it. The
//! lists share one automaton (Aho and Corasick), so that a text is read once however many lists are asked about it; the
//! answers for the column asked last are remembered, because rules ask about the same column one after the other.

use std::{cell::RefCell, sync::Arc};

use aho_corasick::{AhoCorasick, MatchKind};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};

/// Lists whose answers fit one word of bits; further lists take a further pass.
const LISTS_A_PASS: usize = 64;

/// The automata of all keyword lists.
#[derive(Debug, Default)]
pub(super) struct Words {
    passes: Vec<Arc<Pass>>,
}

/// One automaton over the words of up to [`LISTS_A_PASS`] lists.
#[derive(Debug)]
struct Pass {
    names: Vec<String>,
    automaton: AhoCorasick,
    /// Bits of the lists that hold each word of the automaton.
    lists: Vec<u64>,
}

thread_local! {
    /// The column searched last and what was found in each of its rows. The column is held, so its address stays its own.
    static LAST: RefCell<Option<Found>> = const { RefCell::new(None) };
}

/// What a pass found in a column.
struct Found {
    pass: Arc<Pass>,
    column: ArrayRef,
    lists: Vec<u64>,
}

impl Words {
    /// Of lists, each with its words.
    pub(super) fn new(lists: &[(&str, Vec<&str>)]) -> Self {
        let pass = |lists: &[(&str, Vec<&str>)]| {
            let mut words: Vec<(&str, u64)> = Vec::new();
            for (bit, (_, of_list)) in lists.iter().enumerate() {
                words.extend(of_list.iter().map(|word| (*word, 1u64 << bit)));
            }
            words.sort_unstable();
            let mut distinct: Vec<(&str, u64)> = Vec::with_capacity(words.len());
            for (word, bit) in words {
                match distinct.last_mut().filter(|(last, _)| *last == word) {
                    Some((_, bits)) => *bits |= bit,
                    None => distinct.push((word, bit)),
                }
            }
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .build(distinct.iter().map(|(word, _)| word));
            // Only more than two thousand million words do not build; `read` refuses far fewer.
            Some(Arc::new(Pass {
                names: lists.iter().map(|(name, _)| (*name).to_owned()).collect(),
                automaton: automaton.ok()?,
                lists: distinct.into_iter().map(|(_, bits)| bits).collect(),
            }))
        };
        Self { passes: lists.chunks(LISTS_A_PASS).filter_map(pass).collect() }
    }

    /// Which texts hold a word of a list; `None` where no keyword list has that name.
    pub(super) fn search(&self, name: &str, texts: &ArrayRef) -> Option<BooleanArray> {
        let at = |pass: &Arc<Pass>| pass.names.iter().position(|n| n == name);
        let (pass, bit) = self.passes.iter().find_map(|p| Some((p, at(p)?)))?;
        Some(LAST.with_borrow_mut(|last| {
            let same = |f: &&mut Found| Arc::ptr_eq(&f.pass, pass) && Arc::ptr_eq(&f.column, texts);
            let found = match last.as_mut().filter(same) {
                Some(found) => found,
                None => {
                    let lists = pass.search(texts);
                    last.insert(Found { pass: pass.clone(), column: texts.clone(), lists })
                }
            };
            let one = |row: usize| texts.is_valid(row).then(|| found.lists[row] >> bit & 1 == 1);
            (0..texts.len()).map(one).collect()
        }))
    }
}

impl Pass {
    /// For each row the bits of the lists with a word in it.
    fn search(&self, texts: &ArrayRef) -> Vec<u64> {
        match texts.as_string_opt::<i32>() {
            Some(texts) => texts.iter().map(|t| t.map_or(0, |t| self.of_text(t))).collect(),
            None => {
                let rows = texts.as_list::<i32>();
                let row = |texts: Option<ArrayRef>| {
                    let texts = texts?;
                    let texts = texts.as_string_opt::<i32>()?;
                    Some(texts.iter().flatten().fold(0, |bits, text| bits | self.of_text(text)))
                };
                rows.iter().map(|r| row(r).unwrap_or(0)).collect()
            }
        }
    }

    fn of_text(&self, text: &str) -> u64 {
        let found = self.automaton.find_overlapping_iter(text);
        found.fold(0, |bits, found| bits | self.lists[found.pattern().as_usize()])
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;

    #[test]
    fn words_of_all_lists_in_one_pass() {
        let words =
            Words::new(&[("shut", vec!["关门", "停业"]), ("fraud", vec!["停业", "关门大吉"])]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![
            Some("店铺关门大吉"),
            Some("已停业"),
            Some("正常营业"),
            None,
        ]));
        let shut = words.search("shut", &texts).expect("a list");
        assert_eq!(shut, BooleanArray::from(vec![Some(true), Some(true), Some(false), None]));
        let fraud = words.search("fraud", &texts).expect("a list");
        assert_eq!(fraud, BooleanArray::from(vec![Some(true), Some(true), Some(false), None]));
        assert!(words.search("none", &texts).is_none());
    }

    #[test]
    fn more_lists_than_fit_one_pass() {
        let names: Vec<String> = (0..130).map(|i| format!("l{i}")).collect();
        let own: Vec<String> = (0..130).map(|i| format!("<{i}>")).collect();
        let lists: Vec<(&str, Vec<&str>)> =
            names.iter().zip(&own).map(|(n, w)| (n.as_str(), vec![w.as_str()])).collect();
        let words = Words::new(&lists);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["<3> <129>", "<64>"]));
        for (name, expect) in
            [("l3", [true, false]), ("l64", [false, true]), ("l129", [true, false])]
        {
            let found = words.search(name, &texts).expect("a list");
            assert_eq!(found, BooleanArray::from(expect.to_vec()), "{name}");
        }
    }
}
