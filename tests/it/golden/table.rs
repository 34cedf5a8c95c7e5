//! Table: a CSV of reference output as R writes it; quoted cells may hold commas.

use std::{cell::RefCell, collections::BTreeSet, fs, path::Path};

/// Columns and rows, and which columns were asked for.
#[derive(Debug, Default)]
pub(super) struct Table {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
    read: RefCell<BTreeSet<usize>>,
}

impl Table {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut lines = text.lines().map(cells);
        let names = lines.next().ok_or_else(|| format!("{} is empty", path.display()))?;
        let rows: Vec<_> = lines.collect();
        match rows.iter().position(|r| r.len() != names.len()) {
            Some(at) => Err(format!("{}: row {} has another length", path.display(), at + 1)),
            None => Ok(Self { names, rows, read: RefCell::default() }),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Names of the columns.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The cells of a column as text.
    pub(super) fn text(&self, column: &str) -> Result<Vec<&str>, String> {
        let at = self.names.iter().position(|n| n == column);
        let at = at.ok_or_else(|| format!("there is no column {column:?}"))?;
        self.read.borrow_mut().insert(at);
        Ok(self.rows.iter().map(|r| r[at].as_str()).collect())
    }

    /// The cells of a column as numbers; `NA` is NaN, and so is R's own `NaN`.
    pub(super) fn numbers(&self, column: &str) -> Result<Vec<f64>, String> {
        let number = |text: &str| match text {
            "NA" | "" => Ok(f64::NAN),
            "TRUE" => Ok(1.0),
            "FALSE" => Ok(0.0),
            _ => text.parse().map_err(|_| format!("column {column:?} holds {text:?}")),
        };
        self.text(column)?.into_iter().map(number).collect()
    }

    /// The cells of a column as whole numbers, none of them missing.
    pub(super) fn counts(&self, column: &str) -> Result<Vec<u64>, String> {
        let whole = |v: f64| {
            let fits = v >= 0.0 && v.fract() == 0.0;
            if fits { Ok(v as u64) } else { Err(format!("column {column:?} holds {v}")) }
        };
        self.numbers(column)?.into_iter().map(whole).collect()
    }

    /// Several columns as numbers.
    pub(super) fn columns<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[Vec<f64>; N], String> {
        let columns: Vec<_> = names.iter().map(|n| self.numbers(n)).collect::<Result<_, _>>()?;
        columns.try_into().map_err(|_| "columns".to_owned())
    }

    /// Columns that are given for orientation only.
    pub(super) fn ignore(&self, columns: &[&str]) {
        let at = |column: &&str| self.names.iter().position(|n| n == column);
        self.read.borrow_mut().extend(columns.iter().filter_map(at));
    }

    /// Columns nobody asked for.
    pub(super) fn unread(&self) -> Vec<&str> {
        let read = self.read.borrow();
        (0..self.names.len()).filter(|i| !read.contains(i)).map(|i| &*self.names[i]).collect()
    }
}

/// The cells of a line, without their quotes.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    for c in line.trim_end().chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    cells
}
