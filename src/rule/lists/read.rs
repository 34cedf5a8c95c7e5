//! Reads the files of a `lists` directory.
//!
//! CSV in UTF-8, with or without a mark of it, or in GB18030 as spreadsheets save it; Parquet. All findings in one pass; a
//! file with an error is not used, and neither are the rules that name it.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, StringArray},
    compute::cast,
    csv::{ReaderBuilder, reader::Format},
    datatypes::{DataType, Field, Schema},
    error::ArrowError,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{List, Lists, Stay, Table};
use crate::model::{
    diagnostic::{Diagnostic, Level},
    moment,
    time::Zone,
};

/// Directory of lists, below that of rules.
const DIR: &str = "lists";
/// Column name that makes a list one of keywords.
const WORD: &str = "word";
/// Columns of a value's first day, and of the day from which it is listed no longer.
pub(super) const DAYS: [&str; 2] = ["valid_from", "valid_to"];
/// Most values of a list: they are held in memory.
const VALUES_MAX: usize = 5_000_000;
/// Most bytes of the words of one keyword list; their automaton takes some fifty times as much.
const WORDS_BYTES_MAX: usize = 1 << 20;
/// Longest value, bytes.
const VALUE_BYTES_MAX: usize = 4_096;

/// The lists of the directories met so far.
#[derive(Debug, Default)]
pub struct Cache {
    by_dir: HashMap<PathBuf, Arc<Lists>>,
    /// What is wrong with the files read.
    pub findings: Vec<Diagnostic>,
}

impl Cache {
    /// The lists of a rule file: those of the nearest `lists` directory beside or above it.
    pub fn of(&mut self, rule: &Path) -> Arc<Lists> {
        let Some(dir) = nearest(rule) else { return super::none() };
        if let Some(lists) = self.by_dir.get(&dir) {
            return lists.clone();
        }
        let (lists, findings) = read_dir(&dir);
        self.findings.extend(findings);
        self.by_dir.entry(dir).or_insert(Arc::new(lists)).clone()
    }
}

/// The nearest `lists` directory beside or above a rule file.
fn nearest(rule: &Path) -> Option<PathBuf> {
    let here = |dir: &Path| {
        let dir = if dir.as_os_str().is_empty() { PathBuf::from(DIR) } else { dir.join(DIR) };
        dir.is_dir().then_some(dir)
    };
    // The directory of the rules and one of a field below it: not the lists of whatever lies above.
    rule.ancestors().skip(1).take(3).find_map(here)
}

fn read_dir(dir: &Path) -> (Lists, Vec<Diagnostic>) {
    let (mut lists, mut broken, mut findings) = (HashMap::new(), BTreeSet::new(), Vec::new());
    let mut paths: Vec<PathBuf> =
        fs::read_dir(dir).map(|d| d.flatten().map(|e| e.path()).collect()).unwrap_or_default();
    paths.sort();
    for path in paths {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let name = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned();
        if !matches!(extension, "csv" | "parquet") || name.starts_with('.') {
            continue;
        }
        let read = if !is_name(&name) {
            let message = format!("{name:?} is no name for a list");
            let help = "call the file like serious_breach.csv: small letters, digits and _";
            Err(vec![Diagnostic::error("list::name", 0..0, message).help(help)])
        } else if lists.contains_key(&name) {
            let message = format!("there are two files of list {name:?}, one CSV and one Parquet");
            Err(vec![Diagnostic::error("list::twice", 0..0, message).help("remove one of them")])
        } else if extension == "csv" {
            csv(&path)
        } else {
            parquet(&path)
        };
        let found = match read {
            Ok((list, warnings)) => {
                lists.insert(name, Arc::new(list));
                warnings
            }
            Err(errors) => {
                broken.insert(name);
                errors
            }
        };
        findings.extend(found.into_iter().map(|d| Diagnostic { file: path.clone(), ..d }));
    }
    (Lists::new(lists, broken), findings)
}

/// Whether a text can be the name of a list.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

type Read = Result<(List, Vec<Diagnostic>), Vec<Diagnostic>>;

fn unreadable(error: impl std::fmt::Display) -> Vec<Diagnostic> {
    vec![Diagnostic::error("list::unreadable", 0..0, format!("cannot be read: {error}"))]
}

fn csv(path: &Path) -> Read {
    let bytes = fs::read(path).map_err(unreadable)?;
    let (source, is_utf8) = match String::from_utf8(bytes) {
        Ok(text) => (text, true),
        Err(e) => (encoding_rs::GB18030.decode(e.as_bytes()).0.into_owned(), false),
    };
    let source = source.trim_start_matches('\u{feff}');
    let batch = table(source).map_err(unreadable)?;
    let read = list(&[batch]);
    // Lines are told where a row is a line, and where bytes are those of the file.
    let lines = (is_utf8 && !source.contains('"')).then_some(source);
    let place = |d: Diagnostic| match (lines, d.span.start) {
        (Some(source), row) if row > 0 => Diagnostic { span: line(source, row), ..d },
        (_, row) => Diagnostic { span: 0..0, message: in_row(row, &d.message), ..d },
    };
    match read {
        Ok((list, warnings)) => Ok((list, warnings.into_iter().map(place).collect())),
        Err(errors) => Err(errors.into_iter().map(place).collect()),
    }
}

fn in_row(row: usize, message: &str) -> String {
    if row == 0 { message.to_owned() } else { format!("row {row}: {message}") }
}

/// Bytes of the line of a data row, counted from one behind the header.
fn line(source: &str, row: usize) -> std::ops::Range<usize> {
    let mut at = 0;
    let mut lines = source.split_inclusive('\n').map(|l| {
        let from = at;
        at += l.len();
        from..from + l.trim_end().len()
    });
    // The reader passes over empty lines.
    lines.by_ref().filter(|l| !l.is_empty()).nth(row).unwrap_or(0..0)
}

/// All columns of a CSV text as texts.
fn table(source: &str) -> Result<RecordBatch, ArrowError> {
    let format = Format::default().with_header(true);
    let (schema, _) = format.infer_schema(Cursor::new(source), Some(0))?;
    let text = |f: &Arc<Field>| Field::new(f.name().trim(), DataType::Utf8, true);
    let schema = Arc::new(Schema::new(schema.fields().iter().map(text).collect::<Vec<_>>()));
    let reader = ReaderBuilder::new(schema.clone()).with_header(true).with_batch_size(1 << 16);
    let batches: Result<Vec<RecordBatch>, _> = reader.build(Cursor::new(source))?.collect();
    arrow::compute::concat_batches(&schema, &batches?)
}

fn parquet(path: &Path) -> Read {
    let file = fs::File::open(path).map_err(unreadable)?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable)?;
    let batches: Result<Vec<RecordBatch>, _> = reader.build().map_err(unreadable)?.collect();
    let place =
        |d: Diagnostic| Diagnostic { message: in_row(d.span.start, &d.message), span: 0..0, ..d };
    match list(&batches.map_err(unreadable)?) {
        Ok((list, warnings)) => Ok((list, warnings.into_iter().map(place).collect())),
        Err(errors) => Err(errors.into_iter().map(place).collect()),
    }
}

/// The list of a table. The span of a finding is the number of its row, from one; zero for the whole.
fn list(batches: &[RecordBatch]) -> Read {
    let whole = |message: &str| Err(vec![Diagnostic::error("list::empty", 0..0, message)]);
    let Some(schema) = batches.first().map(RecordBatch::schema) else {
        return whole("the list has no header and no rows");
    };
    let Some(key) = schema.fields().first() else {
        return whole("the list has no column");
    };
    let days = DAYS.map(|name| schema.index_of(name).ok());
    let mut reading = Reading { column: key.name().clone(), ..Reading::default() };
    reading.list.keywords = key.name() == WORD;
    reading.list.dated = days.iter().any(Option::is_some);
    if reading.list.keywords && reading.list.dated {
        let message = "a keyword list has no valid_from and valid_to";
        let help = "remove the columns: a text is searched for all words";
        reading.findings.push(Diagnostic::error("list::dated_words", 0..0, message).help(help));
    }
    for batch in batches {
        let values = texts(batch.column(0));
        let days = days.map(|c| c.map(|c| texts(batch.column(c))));
        for i in 0..batch.num_rows() {
            let cell = |column: &StringArray| match column.is_valid(i) {
                true => column.value(i).trim().to_owned(),
                false => String::new(),
            };
            let [from, to] = days.each_ref().map(|d| d.as_ref().map(cell).unwrap_or_default());
            reading.row(&cell(&values), &from, &to);
        }
    }
    reading.list.table = Table::read(batches, &mut reading.findings);
    reading.done()
}

/// A list while its rows are read.
#[derive(Default)]
struct Reading {
    list: List,
    /// Name of the first column.
    column: String,
    /// Rows read.
    row: usize,
    /// Bytes of all values.
    bytes: usize,
    findings: Vec<Diagnostic>,
}

impl Reading {
    fn error(&mut self, code: &'static str, message: String, label: &str) {
        let at = self.row..self.row;
        self.findings.push(Diagnostic::error(code, at, message).label(label));
    }

    fn row(&mut self, value: &str, from: &str, to: &str) {
        self.row += 1;
        self.bytes += value.len();
        if value.is_empty() {
            let message = format!("column {:?} is empty", self.column);
            return self.error("list::empty_value", message, "no value");
        }
        if value.len() > VALUE_BYTES_MAX {
            let message = format!("a value of {} bytes, at most {VALUE_BYTES_MAX}", value.len());
            return self.error("list::too_large", message, "");
        }
        let from = self.day(DAYS[0], from, i32::MIN);
        let to = self.day(DAYS[1], to, i32::MAX);
        let (Some(from), Some(to)) = (from, to) else { return };
        if from >= to {
            let message = format!("{value:?} is listed from a day to one not after it");
            let label = "valid_to is the first day on which it is listed no longer";
            return self.error("list::bad_day", message, label);
        }
        if self.list.keywords && value.chars().count() == 1 {
            let message = format!("the word {value:?} has one character");
            let warning = Diagnostic::warning("list::short_word", self.row..self.row, message);
            self.findings.push(warning.label("it will be found in many texts"));
        }
        let stay = Stay { from, to, row: self.row as u32 - 1 };
        self.list.stays.entry(value.into()).or_default().push(stay);
    }

    /// A day, `open` where the cell is empty.
    fn day(&mut self, column: &str, text: &str, open: i32) -> Option<i32> {
        if text.is_empty() {
            return Some(open);
        }
        let day = moment::day(text, &[], &Zone::utc());
        if day.is_none() {
            let message = format!("{column} {text:?} is no day");
            self.error("list::bad_day", message, "write it like 2026-03-01");
        }
        day
    }

    fn done(mut self) -> Read {
        self.row = 0;
        if self.list.len() > VALUES_MAX {
            let message = format!("{} values, at most {VALUES_MAX} are held", self.list.len());
            self.error("list::too_large", message, "");
        }
        if self.list.keywords && self.bytes > WORDS_BYTES_MAX {
            let message =
                format!("{} bytes of words, at most {WORDS_BYTES_MAX} are searched", self.bytes);
            let finding = Diagnostic::error("list::too_large", 0..0, message);
            self.findings.push(finding.help("search a few telling words, not a dictionary"));
        }
        self.list.stays.values_mut().for_each(|stays| stays.sort_unstable());
        match self.findings.iter().any(|d| d.level == Level::Error) {
            true => Err(self.findings),
            false => Ok((self.list, self.findings)),
        }
    }
}

/// A column as texts: numbers and days as they are written.
fn texts(column: &ArrayRef) -> StringArray {
    match cast(column, &DataType::Utf8) {
        Ok(texts) => texts.as_string::<i32>().clone(),
        Err(_) => StringArray::new_null(column.len()),
    }
}

#[cfg(test)]
mod tests {
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn findings(source: &str) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.csv");
        fs::write(&path, source).expect("written");
        let found = match csv(&path) {
            Ok((_, found)) | Err(found) => found,
        };
        found.iter().map(|d| format!("{} {:?}", d.code, &source[d.span.clone()])).collect()
    }

    #[test]
    fn lists_of_a_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let lists = dir.path().join("lists");
        fs::create_dir_all(dir.path().join("food")).expect("made");
        fs::create_dir_all(&lists).expect("made");
        let gb18030 = encoding_rs::GB18030.encode("word,说明\n关门,a\n停业,b\n").0.into_owned();
        fs::write(lists.join("shut.csv"), gb18030).expect("written");
        let dated = "\u{feff}ucc,valid_from,valid_to\nA,2026-01-01,2026-02-01\nA,2026-03-01,\nB,,2025-01-01\n";
        fs::write(lists.join("defaulters.csv"), dated).expect("written");
        let batch = RecordBatch::try_from_iter([(
            "code",
            Arc::new(arrow::array::Int64Array::from(vec![7, 8])) as ArrayRef,
        )]);
        let batch = batch.expect("a batch");
        let file = fs::File::create(lists.join("codes.parquet")).expect("made");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("closed");

        let mut cache = Cache::default();
        let read = cache.of(&dir.path().join("food/a.yaml"));
        assert_eq!(cache.findings, []);
        assert_eq!(read.names(), ["codes", "defaulters", "shut"]);
        assert!(Arc::ptr_eq(&read, &cache.of(&dir.path().join("b.yaml"))), "read once");
        let list = |name: &str| read.get(name).expect("a list");
        assert!(list("codes").holds("7", None) && !list("codes").holds("9", None));
        assert!(list("shut").has_words() && list("shut").holds("停业", None));
        let day = |text: &str| moment::day(text, &[], &Zone::utc());
        for (value, on, expect) in [
            ("A", "2025-12-31", false),
            ("A", "2026-01-01", true),
            ("A", "2026-02-01", false),
            ("A", "2030-01-01", true),
            ("B", "1990-01-01", true),
            ("B", "2025-01-01", false),
        ] {
            assert_eq!(list("defaulters").holds(value, day(on)), expect, "{value} {on}");
        }
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        assert_eq!(
            findings("ucc,valid_from\nA,2026-01-01\n\nB,昨天\n"),
            ["list::bad_day \"B,昨天\""]
        );
        assert_eq!(
            findings("ucc,valid_from,valid_to\nA,2026-02-01,2026-02-01\n,,\n"),
            ["list::bad_day \"A,2026-02-01,2026-02-01\"", "list::empty_value \",,\""]
        );
        assert_eq!(findings("word\n退\n关门\n"), ["list::short_word \"退\""]);
        assert_eq!(findings("word,valid_to\n关门,\n"), ["list::dated_words \"\""]);
        assert_eq!(findings("ucc\nA,B\n"), ["list::unreadable \"\""]);
        assert_eq!(findings(""), ["list::empty \"\""]);
        let long = format!("ucc\n{}\n", "1".repeat(VALUE_BYTES_MAX + 1));
        assert!(findings(&long)[0].starts_with("list::too_large"));
        let words = (0..WORDS_BYTES_MAX / 8 + 1).fold(String::from("word\n"), |mut text, i| {
            text.push_str(&format!("{i:08}\n"));
            text
        });
        assert_eq!(findings(&words), ["list::too_large \"\""]);
    }

    #[test]
    fn a_list_has_one_file() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["a.csv", "a.parquet"] {
            fs::write(dir.path().join(name), "ucc\nA\n").expect("written");
        }
        let (lists, findings) = read_dir(dir.path());
        assert_eq!(findings.iter().map(|d| d.code).collect::<Vec<_>>(), ["list::twice"]);
        assert!(lists.is_broken("a"));
    }
}
