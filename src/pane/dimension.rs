//! Dimensions: tables that records of a feed make, as of any time.
//!
//! In: the rows of the feed that count, each with the key it is about, in whatever order; rows that count no longer. Out:
//! what was said last of a key up to a time, column by column: a row that leaves a column empty says nothing about it. Two
//! rows of one time are told apart by their record's identity. So the answer is a function of the rows that count, and an
//! asker who remembers the generation at which he asked can know whether he would be told the same now.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array,
        StringArray,
    },
    compute::cast,
    datatypes::{DataType, Decimal128Type, Float64Type, Int64Type},
};
use hashbrown::HashMap;

use crate::model::schema::ColumnType;

/// When and by which record something was said.
pub type Said = (i64, u128);

/// A feed's records as a table.
#[derive(Debug)]
pub struct Dimension {
    /// The feed.
    pub feed: usize,
    /// The column that says what a row is about.
    pub key: usize,
    /// Columns that are asked for, and their types.
    pub columns: Vec<(usize, ColumnType)>,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: HashMap<Box<str>, History>,
    /// Raised by every change.
    generation: u64,
}

#[derive(Debug, Default)]
struct History {
    rows: BTreeMap<Said, Box<[Cell]>>,
    changed: u64,
}

/// A value as it is kept.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Empty,
    Whole(i64),
    Float(f64),
    Decimal(i128),
    Bool(bool),
    Text(Arc<str>),
}

impl Dimension {
    /// An empty table of these columns of a feed.
    #[must_use]
    pub fn new(feed: usize, key: usize, columns: Vec<(usize, ColumnType)>) -> Self {
        Self { feed, key, columns, state: RwLock::default() }
    }

    /// Takes in a row: `values` has one array for each of the columns, `row` is its place in them.
    pub fn put(&self, key: &str, said: Said, values: &[ArrayRef], row: usize) {
        let kinds = self.columns.iter().map(|(_, kind)| *kind);
        let cells = kinds.zip(values).map(|(kind, values)| cell(kind, values, row)).collect();
        self.change(key, |rows| {
            rows.insert(said, cells);
        });
    }

    /// Takes out a row.
    pub fn take(&self, key: &str, said: Said) {
        self.change(key, |rows| {
            rows.remove(&said);
        });
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut BTreeMap<Said, Box<[Cell]>>)) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.generation += 1;
        let generation = state.generation;
        let history = state.keys.entry(key.into()).or_default();
        history.changed = generation;
        change(&mut history.rows);
    }

    /// How often it was changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.read().generation
    }

    /// Whether what is said of a key was changed after a generation.
    #[must_use]
    pub fn changed_since(&self, key: &str, generation: u64) -> bool {
        self.read().keys.get(key).is_some_and(|history| history.changed > generation)
    }

    /// Position among the columns that are asked for.
    #[must_use]
    pub fn position(&self, column: usize) -> Option<usize> {
        self.columns.iter().position(|(c, _)| *c == column)
    }

    /// Of these columns, what was said last of each key up to its time; NULL where nothing was, or there is no key or time.
    #[must_use]
    pub fn look(
        &self,
        keys: &StringArray,
        at_ms: &[Option<i64>],
        columns: &[usize],
    ) -> Vec<ArrayRef> {
        let state = self.read();
        let mut cells: Vec<Vec<Cell>> =
            columns.iter().map(|_| Vec::with_capacity(keys.len())).collect();
        for (key, at_ms) in keys.iter().zip(at_ms) {
            let history = key.zip(*at_ms).and_then(|(key, at)| Some((state.keys.get(key)?, at)));
            for (i, out) in columns.iter().zip(&mut cells) {
                let last = history.and_then(|(history, at)| {
                    let until = history.rows.range(..=(at, u128::MAX)).rev();
                    until.map(|(_, row)| &row[*i]).find(|cell| **cell != Cell::Empty)
                });
                out.push(last.cloned().unwrap_or(Cell::Empty));
            }
        }
        let kinds = columns.iter().map(|i| self.columns[*i].1);
        kinds.zip(cells).map(|(kind, cells)| array(kind, &cells)).collect()
    }

    /// Keys and rows that are held.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let state = self.read();
        (state.keys.len(), state.keys.values().map(|history| history.rows.len()).sum())
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cell(kind: ColumnType, values: &ArrayRef, row: usize) -> Cell {
    if values.is_null(row) {
        return Cell::Empty;
    }
    let value = match kind {
        ColumnType::Text | ColumnType::Ucc | ColumnType::Region => {
            values.as_string_opt::<i32>().map(|a| Cell::Text(a.value(row).into()))
        }
        ColumnType::Float => {
            values.as_primitive_opt::<Float64Type>().map(|a| Cell::Float(a.value(row)))
        }
        ColumnType::Decimal { .. } => {
            values.as_primitive_opt::<Decimal128Type>().map(|a| Cell::Decimal(a.value(row)))
        }
        ColumnType::Bool => values.as_boolean_opt().map(|a| Cell::Bool(a.value(row))),
        ColumnType::Int | ColumnType::Date | ColumnType::Timestamp => {
            let whole = match kind {
                // Days cast to whole numbers of their own width first.
                ColumnType::Date => cast(&values.slice(row, 1), &DataType::Int32),
                _ => Ok(values.slice(row, 1)),
            };
            let whole = whole.and_then(|v| cast(&v, &DataType::Int64)).ok();
            whole.and_then(|v| Some(Cell::Whole(v.as_primitive_opt::<Int64Type>()?.value(0))))
        }
        // A list is no value of a table.
        ColumnType::Texts => None,
    };
    value.unwrap_or(Cell::Empty)
}

fn array(kind: ColumnType, cells: &[Cell]) -> ArrayRef {
    let whole = |c: &Cell| if let Cell::Whole(n) = c { Some(*n) } else { None };
    match kind {
        ColumnType::Text | ColumnType::Ucc | ColumnType::Region | ColumnType::Texts => {
            let text = |c: &'_ Cell| if let Cell::Text(t) = c { Some(t.clone()) } else { None };
            let texts: Vec<Option<Arc<str>>> = cells.iter().map(text).collect();
            Arc::new(texts.iter().map(Option::as_deref).collect::<StringArray>())
        }
        ColumnType::Float => {
            let float = |c: &Cell| if let Cell::Float(x) = c { Some(*x) } else { None };
            Arc::new(cells.iter().map(float).collect::<Float64Array>())
        }
        ColumnType::Bool => {
            let truth = |c: &Cell| if let Cell::Bool(b) = c { Some(*b) } else { None };
            Arc::new(cells.iter().map(truth).collect::<BooleanArray>())
        }
        ColumnType::Decimal { .. } => {
            let decimal = |c: &Cell| if let Cell::Decimal(d) = c { Some(*d) } else { None };
            let values: Decimal128Array = cells.iter().map(decimal).collect();
            let typed = values.clone().with_data_type(kind.arrow());
            Arc::new(typed)
        }
        ColumnType::Int => Arc::new(cells.iter().map(whole).collect::<Int64Array>()),
        ColumnType::Date => {
            let days = cells.iter().map(|c| whole(c).map(|n| n as i32));
            Arc::new(days.collect::<arrow::array::Date32Array>())
        }
        ColumnType::Timestamp => {
            let times = cells.iter().map(whole);
            let times: arrow::array::TimestampMillisecondArray = times.collect();
            Arc::new(times.with_timezone("UTC"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn what_was_said_last_column_by_column() {
        let columns = vec![(0, ColumnType::Text), (1, ColumnType::Date)];
        let table = Dimension::new(0, 2, columns);
        let names = text(&[Some("甲"), None, Some("乙")]);
        let days: ArrayRef =
            Arc::new(arrow::array::Date32Array::from(vec![None, Some(5), Some(6)]));
        let values = [names, days];
        // The later row comes first.
        for (row, said) in [(2, (30, 1)), (0, (10, 1)), (1, (20, 1))] {
            table.put("a", said, &values, row);
        }
        let says = |at: Option<i64>| {
            let found = table.look(&StringArray::from(vec!["a", "b"]), &[at, at], &[0, 1]);
            let name = found[0].as_string::<i32>();
            assert!(name.is_null(1) && found[1].is_null(1));
            let day = crate::model::value::value_at(&found[1], 0);
            format!("{} {day}", if name.is_valid(0) { name.value(0) } else { "-" })
        };
        assert_eq!(says(Some(9)), "- null");
        assert_eq!(says(Some(10)), "甲 null");
        assert_eq!(says(Some(29)), "甲 \"1970-01-06\"");
        assert_eq!(says(Some(30)), "乙 \"1970-01-07\"");
        assert_eq!(says(None), "- null");
        let before = table.generation();
        table.take("a", (20, 1));
        assert_eq!(says(Some(29)), "甲 null");
        assert!(table.changed_since("a", before) && !table.changed_since("b", before));
        assert_eq!(table.size(), (1, 2));
    }
}
