//! Reference lists: values that rules look up by name, kept beside them in `rules/lists/`.
//!
//! In: the CSV and Parquet files of the `lists` directory nearest above a rule. Out: [`Lists`], which `in_list(name,
//! value)` and `contains_any(text, name)` ask. A file's name is the list's name and its first column is what is looked up.
//! Where that column is called `word` the file is a keyword list, whose words are searched in texts; all keyword lists are
//! searched in one pass. Columns `valid_from` and `valid_to` say on which civil days a value is on the list, the second day
//! not included; an empty cell leaves that side open, and several rows of one value are several stays. Further columns are
//! for rules that join the list.

mod read;
mod table;
mod words;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_128;

use self::words::Words;

pub use read::Cache;
pub use table::Table;

/// All lists of a directory. Cheap to share; never changes.
#[derive(Debug, Default)]
pub struct Lists {
    by_name: HashMap<String, Arc<List>>,
    /// Lists whose files have errors.
    broken: BTreeSet<String>,
    words: Words,
    version: u128,
}

/// One list.
#[derive(Debug, Default)]
pub struct List {
    /// Value → the days on which it is listed, by first day.
    stays: HashMap<Box<str>, SmallVec<[Stay; 1]>>,
    /// Whether any value has a first or last day.
    dated: bool,
    /// Whether its values are words searched in texts.
    keywords: bool,
    /// Its further columns.
    table: Table,
}

/// One row of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stay {
    /// First day of `[from, to)`, since 1970-01-01.
    from: i32,
    /// The day from which the value is listed no longer.
    to: i32,
    /// Number of the row in the file, from zero.
    row: u32,
}

impl List {
    /// Number of distinct values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stays.len()
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stays.is_empty()
    }

    /// Whether it says from when to when its values are listed, so that asking takes a day.
    #[must_use]
    pub fn is_dated(&self) -> bool {
        self.dated
    }

    /// Whether its values are words to search in texts.
    #[must_use]
    pub fn has_words(&self) -> bool {
        self.keywords
    }

    /// Whether a value is listed on a day; on any day where none is given.
    #[must_use]
    pub fn holds(&self, value: &str, day: Option<i32>) -> bool {
        let Some(stays) = self.stays.get(value) else { return false };
        day.is_none_or(|day| stays.iter().any(|s| (s.from..s.to).contains(&day)))
    }

    /// Its further columns.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }
}

impl Lists {
    /// Of lists with their names; `broken` are names whose files could not be used.
    fn new(by_name: HashMap<String, Arc<List>>, broken: BTreeSet<String>) -> Self {
        let mut names: Vec<&String> = by_name.keys().collect();
        names.sort();
        let mut content = Vec::new();
        let mut keywords = Vec::new();
        for name in names {
            let list = &by_name[name];
            content.extend_from_slice(name.as_bytes());
            content.push(0);
            let mut stays: Vec<_> = list.stays.iter().collect();
            stays.sort();
            for (value, days) in &stays {
                content.extend_from_slice(value.as_bytes());
                content.push(1);
                for stay in *days {
                    content.extend_from_slice(&stay.from.to_le_bytes());
                    content.extend_from_slice(&stay.to.to_le_bytes());
                    content.extend_from_slice(&stay.row.to_le_bytes());
                }
            }
            content.extend_from_slice(&list.table.content());
            if list.keywords {
                keywords.push((name.as_str(), stays.iter().map(|(word, _)| &***word).collect()));
            }
        }
        let words = Words::new(&keywords);
        Self { words, version: xxh3_128(&content), by_name, broken }
    }

    /// The list of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<List>> {
        self.by_name.get(name)
    }

    /// Whether there is a file of that name that cannot be used.
    #[must_use]
    pub fn is_broken(&self, name: &str) -> bool {
        self.broken.contains(name)
    }

    /// The names there are, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// A hash of everything on all lists: equal versions give equal answers.
    #[must_use]
    pub fn version(&self) -> u128 {
        self.version
    }

    /// Which texts hold a word of the keyword list `name`; `None` where there is no such list. A column may hold texts or
    /// lists of texts.
    pub(super) fn search(
        &self,
        name: &str,
        texts: &arrow::array::ArrayRef,
    ) -> Option<arrow::array::BooleanArray> {
        self.words.search(name, texts)
    }
}

/// The lists where there is no directory of them.
#[must_use]
pub fn none() -> Arc<Lists> {
    Arc::default()
}
