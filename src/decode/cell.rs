//! Cells: the values of one record as its format gives them, before any type is applied.
//!
//! In: a value of a JSON object, a CSV field, an entry of an Arrow array. Out: the same, borrowed from the source
//! wherever it needs no unescaping. A record is a [`Record`]: one cell for each column, picked among the names that the
//! column may have in the source.

use std::{borrow::Cow, collections::HashMap};

use crate::model::schema::FeedSchema;

/// One value of the source.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Not there, or null.
    Missing,
    /// A text.
    Text(Cow<'a, str>),
    /// A number, as written.
    Number(Cow<'a, str>),
    /// True or false.
    Bool(bool),
    /// A list of texts.
    List(Vec<String>),
    /// Something a column cannot hold: an object, a list of lists.
    Nested,
}

impl Cell<'_> {
    /// Whether it says nothing, so that another name of the column may speak.
    pub(crate) fn is_blank(&self) -> bool {
        match self {
            Self::Missing => true,
            Self::Text(t) => t.is_empty(),
            Self::List(l) => l.is_empty(),
            _ => false,
        }
    }

    /// What it is, for messages that must not show the value.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Missing => "nothing".into(),
            Self::Text(t) => format!("a text of {} characters", t.chars().count()),
            Self::Number(_) => "a number".into(),
            Self::Bool(_) => "true or false".into(),
            Self::List(_) => "a list".into(),
            Self::Nested => "an object or a list of lists".into(),
        }
    }
}

/// Where a source field goes: the column, and how early its name is tried (0: the column's own name).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) column: u16,
    pub(crate) rank: u16,
}

/// Source field name → the columns that read it; a name may feed several columns.
#[derive(Debug)]
pub(crate) struct Fields {
    targets: HashMap<String, Vec<Target>>,
}

impl Fields {
    pub(crate) fn of(schema: &FeedSchema) -> Self {
        let mut targets: HashMap<String, Vec<Target>> = HashMap::new();
        for (c, column) in schema.columns.iter().enumerate() {
            let names = std::iter::once(&column.name).chain(&column.from);
            for (rank, name) in names.enumerate() {
                let target = Target { column: c as u16, rank: rank as u16 };
                let of_name = targets.entry(name.clone()).or_default();
                if of_name.iter().all(|t| t.column != target.column) {
                    of_name.push(target);
                }
            }
        }
        Self { targets }
    }

    /// The columns that read the source field `name`; blanks and a byte order mark around it do not count.
    pub(crate) fn of_name(&self, name: &str) -> &[Target] {
        let exact = self.targets.get(name);
        exact.or_else(|| self.targets.get(trim(name))).map_or(&[], Vec::as_slice)
    }
}

/// The cells of one record, by column.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    cells: Vec<(Cell<'a>, u16)>,
}

impl<'a> Record<'a> {
    pub(crate) fn new(columns: usize) -> Self {
        Self { cells: vec![(Cell::Missing, u16::MAX); columns] }
    }

    pub(crate) fn clear(&mut self) {
        for cell in &mut self.cells {
            *cell = (Cell::Missing, u16::MAX);
        }
    }

    /// Puts a value where its field goes. An earlier name of the column wins over a later one, whatever their order in
    /// the record. False when the same field stands in the record twice.
    #[inline]
    pub(crate) fn put(&mut self, targets: &[Target], cell: Cell<'a>) -> bool {
        match targets {
            [] => true,
            [one] => self.put_one(*one, cell),
            many => {
                let doubled = many.iter().filter(|t| !self.put_one(**t, cell.clone())).count();
                doubled == 0
            }
        }
    }

    #[inline]
    fn put_one(&mut self, target: Target, cell: Cell<'a>) -> bool {
        let slot = &mut self.cells[usize::from(target.column)];
        if slot.1 == target.rank {
            return false;
        }
        if target.rank < slot.1 && !cell.is_blank() {
            *slot = (cell, target.rank);
        }
        true
    }

    /// Takes the cell of a column, and the rank of the name it stood under.
    #[inline]
    pub(crate) fn take(&mut self, column: usize) -> (Cell<'a>, u16) {
        let slot = &mut self.cells[column];
        (std::mem::replace(&mut slot.0, Cell::Missing), slot.1)
    }
}

/// The text without blanks, full-width blanks and byte order marks around it.
#[inline]
pub(crate) fn trim(text: &str) -> &str {
    // The usual case, decided by the first and the last bytes: ASCII that is no blank, or one of the characters of three
    // bytes that begin with E4 to EE, all of them Chinese, Korean or private.
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return text };
    let last_is_visible = match last {
        0x21..=0x7e => true,
        0x80.. => bytes.len() >= 3 && matches!(bytes[bytes.len() - 3], 0xe4..=0xee),
        _ => false,
    };
    if last_is_visible && matches!(first, 0x21..=0x7e | 0xe4..=0xee) {
        return text;
    }
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::{Column, ColumnType};

    fn schema() -> FeedSchema {
        let mut ucc = Column::new("ucc", ColumnType::Text);
        ucc.from = vec!["信用代码".into(), "统一社会信用代码".into()];
        let mut at = Column::new("at", ColumnType::Timestamp);
        at.from = vec!["信用代码".into()];
        FeedSchema::new("f", vec![ucc, at], 1)
    }

    fn text(text: &str) -> Cell<'_> {
        Cell::Text(Cow::Borrowed(text))
    }

    #[test]
    fn the_earlier_name_wins_unless_it_is_blank() {
        let fields = Fields::of(&schema());
        for (given, expect) in [
            (&[("统一社会信用代码", "c"), ("ucc", "a"), ("信用代码", "b")][..], "a"),
            (&[("ucc", ""), ("统一社会信用代码", "c"), ("信用代码", "b")], "b"),
            (&[("\u{feff} ucc ", "a")], "a"),
        ] {
            let mut record = Record::new(2);
            for (name, value) in given {
                assert!(record.put(fields.of_name(name), text(value)));
            }
            assert_eq!(record.take(0).0, text(expect), "{given:?}");
        }
    }

    #[test]
    fn a_field_twice_is_noticed() {
        let fields = Fields::of(&schema());
        let mut record = Record::new(2);
        assert!(record.put(fields.of_name("ucc"), text("a")));
        assert!(!record.put(fields.of_name("ucc"), text("b")));
    }

    #[test]
    fn trims() {
        for (given, expect) in [
            ("a b", "a b"),
            (" a\t", "a"),
            ("\u{3000}甲\u{3000}", "甲"),
            ("甲", "甲"),
            ("", ""),
            (" ", ""),
            ("\u{a0}", ""),
            ("甲\u{a0}", "甲"),
            ("a\u{3000}", "a"),
            ("é\u{2003}", "é"),
            ("a\u{a0}", "a"),
            ("aé", "aé"),
            ("x", "x"),
            ("甲乙", "甲乙"),
        ] {
            assert_eq!(trim(given), expect, "{given:?}");
        }
    }
}
