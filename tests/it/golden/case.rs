//! Case: a JSON with settings, the table beside it, and what of both was read.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    rc::Rc,
};

use forewarn::detect::{Series, Verdict};
use jiff::civil::Date;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    check::{Check, Tolerance},
    table::Table,
};

/// Keys of a JSON that describe where the case comes from.
const DESCRIPTIVE: [&str; 15] = [
    "case",
    "algorithm",
    "package",
    "package_version",
    "r_version",
    "r_call",
    "dataset",
    "licence",
    "start",
    "n_evaluated",
    "seconds_in_r",
    "tolerance",
    "warnings",
    "note",
    "source",
];

/// One case of reference output.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    dir: PathBuf,
    json: Map<String, Value>,
    control: Map<String, Value>,
    pub(super) table: Rc<Table>,
    side: RefCell<Vec<(String, Rc<Table>)>>,
    read: RefCell<BTreeSet<String>>,
}

impl Case {
    pub(super) fn open(dir: &Path, family: &str, name: &str) -> Result<Self, String> {
        let text = fs::read_to_string(dir.join(format!("{name}.json")));
        let text = text.map_err(|e| format!("{family}/{name}.json: {e}"))?;
        let json: Map<String, Value> = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        let control = match json.get("control") {
            Some(Value::Object(control)) => control.clone(),
            _ => Map::new(), // R writes an empty list as [].
        };
        Ok(Self {
            name: name.to_owned(),
            dir: dir.to_owned(),
            json,
            control,
            table: Rc::new(Table::open(&dir.join(format!("{name}.csv")))?),
            side: RefCell::default(),
            read: RefCell::default(),
        })
    }

    /// Whether the JSON has settings; without them the case is an input of others, or a table of constants.
    pub(super) fn has_settings(&self) -> bool {
        self.json.contains_key("control")
    }

    /// A setting under `control`.
    pub(super) fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        self.optional(name)?.ok_or_else(|| format!("there is no setting {name:?}"))
    }

    /// A setting under `control`, `None` where it is absent or null.
    pub(super) fn optional<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        self.read.borrow_mut().insert(format!("control.{name}"));
        parsed(self.control.get(name), name)
    }

    /// A fact beside `control`, such as `freq`.
    pub(super) fn fact<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        self.read.borrow_mut().insert(name.to_owned());
        parsed(self.json.get(name), name)
    }

    /// Settings that only repeat in words what another says.
    pub(super) fn ignore(&self, settings: &[&str]) {
        self.read.borrow_mut().extend(settings.iter().map(|s| format!("control.{s}")));
    }

    /// `{relative, absolute}`, or a sentence whose one number is both.
    pub(super) fn tolerance(&self) -> Tolerance {
        match self.json.get("tolerance") {
            Some(Value::Object(by)) => {
                let part = |name: &str| by.get(name).and_then(Value::as_f64).unwrap_or(0.0);
                Tolerance { relative: part("relative"), absolute: part("absolute") }
            }
            Some(Value::String(words)) => {
                let by = words.split_whitespace().find_map(|w| w.parse().ok()).unwrap_or(0.0);
                Tolerance { relative: by, absolute: by }
            }
            _ => Tolerance::default(),
        }
    }

    /// The side table `<case>.<name>.csv`, where there is one.
    pub(super) fn side(&self, name: &str) -> Result<Option<Rc<Table>>, String> {
        let path = self.dir.join(format!("{}.{name}.csv", self.name));
        if !path.exists() {
            return Ok(None);
        }
        let table = Rc::new(Table::open(&path)?);
        self.side.borrow_mut().push((name.to_owned(), Rc::clone(&table)));
        Ok(Some(table))
    }

    /// Another case of the family.
    pub(super) fn sibling(&self, name: &str) -> Result<Self, String> {
        Self::open(&self.dir, "", name)
    }

    /// Names of the family's cases.
    pub(super) fn siblings(&self) -> Vec<String> {
        let names = super::names(&self.dir, |path| path.extension().is_some_and(|e| e == "json"));
        names.into_iter().map(|n| n.trim_end_matches(".json").to_owned()).collect()
    }

    /// The table's columns `observed`, `population` and `date` as a series.
    pub(super) fn series(&self) -> Result<Input, String> {
        self.table.ignore(&["t", "in_range"]);
        let dates = self.table.text("date")?;
        let dated = dates.iter().all(|d| *d != "NA");
        let parse = |d: &&str| d.parse::<Date>().map_err(|e| format!("date {d:?}: {e}"));
        Ok(Input {
            values: self.table.numbers("observed")?,
            population: self.table.numbers("population")?,
            dates: if dated {
                Some(dates.iter().map(parse).collect::<Result<_, _>>()?)
            } else {
                None
            },
            by_date: self.fact("epoch_as_date")?.unwrap_or(false),
            periods_per_year: self.fact("freq")?.unwrap_or(52),
        })
    }

    /// The evaluated rows, from 0: those with `in_range`, which `control.range` must repeat where it is given.
    pub(super) fn range(&self) -> Result<Range<usize>, String> {
        let flags = self.table.numbers("in_range")?;
        let inside: Vec<usize> = (0..flags.len()).filter(|i| flags[*i] == 1.0).collect();
        let (Some(first), Some(last)) = (inside.first(), inside.last()) else {
            return Err("no row is in range".to_owned());
        };
        let range = *first..last + 1;
        match self.optional::<[usize; 2]>("range")? {
            Some([a, b]) if (a - 1..b) != range => Err(format!("range {a}..{b} is not in_range")),
            _ if inside.len() != range.len() => Err("in_range has a hole".to_owned()),
            _ => Ok(range),
        }
    }

    /// Compares verdicts on the rows `range` with `upperbound` and `alarm`; all other rows must be NA.
    pub(super) fn check_bounds(
        &self,
        check: &mut Check,
        range: Range<usize>,
        verdicts: &[Verdict],
    ) -> Result<(), String> {
        let (bounds, alarms) = (self.table.numbers("upperbound")?, self.table.numbers("alarm")?);
        for (row, verdict) in range.zip(verdicts) {
            let judged = verdict.judged();
            check.near_or_none("upperbound", row, judged.and_then(|j| j.upper_bound), bounds[row]);
            check.flag("alarm", row, judged.map(|j| j.alarm), alarms[row]);
        }
        Ok(())
    }

    /// Whether every setting, column and side table was used.
    pub(super) fn all_read(&self) -> Result<(), String> {
        let read = self.read.borrow();
        let facts = self.json.keys().filter(|k| *k != "control" && !DESCRIPTIVE.contains(&&***k));
        let settings = self.control.keys().filter(|k| *k != "note").map(|k| format!("control.{k}"));
        let mut unread: Vec<String> =
            facts.cloned().chain(settings).filter(|k| !read.contains(k)).collect();
        unread.extend(self.table.unread().iter().map(|c| format!("column {c}")));
        let side = self.side.borrow();
        for (name, table) in side.iter() {
            unread.extend(table.unread().iter().map(|c| format!("column {c} of table {name}")));
        }
        let prefix = format!("{}.", self.name);
        for file in super::names(&self.dir, |path| path.extension().is_some_and(|e| e == "csv")) {
            let table = file.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".csv"));
            if let Some(table) = table.filter(|t| side.iter().all(|(name, _)| name != t)) {
                unread.push(format!("table {table}"));
            }
        }
        match unread.as_slice() {
            [] => Ok(()),
            _ => Err(format!("not used: {}", unread.join(", "))),
        }
    }
}

/// The series of a case.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) values: Vec<f64>,
    pub(super) population: Vec<f64>,
    pub(super) dates: Option<Vec<Date>>,
    /// Whether reference periods are found by date.
    pub(super) by_date: bool,
    pub(super) periods_per_year: usize,
}

impl Input {
    /// As detectors take it; with the dates where they count, without the population.
    pub(super) fn series(&self) -> Series<'_> {
        Series {
            values: &self.values,
            population: None,
            dates: self.dates.as_deref().filter(|_| self.by_date),
            days_off: None,
            periods_per_year: self.periods_per_year,
        }
    }
}

fn parsed<T: DeserializeOwned>(value: Option<&Value>, name: &str) -> Result<Option<T>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value.clone())
            .map(Some)
            .map_err(|e| format!("setting {name:?}: {e}")),
    }
}
