//! What travels from `decode` to `feed`: rows in a feed's schema, and the rows that did not make it.

use std::sync::Arc;

use arrow::array::RecordBatch;

/// Decoded rows of one partition of one feed, in the order they came.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Position of the feed in the engine's list.
    pub feed: usize,
    /// Name of the partition: a file, a token, a broker partition.
    pub partition: Arc<str>,
    /// Rows in the feed's canonical schema.
    pub rows: RecordBatch,
    /// Line (text) or row (Parquet, Arrow) number of each row in its source, from 1.
    pub lines: Arc<[u64]>,
    /// The bytes the rows were decoded from, where they were text; late and future rows keep them as dead letters.
    pub raw: Option<Arc<RawLines>>,
}

/// The source bytes of decoded rows.
#[derive(Debug, Clone, Default)]
pub struct RawLines {
    /// The bytes of the whole chunk.
    pub bytes: Vec<u8>,
    /// Byte range of each good row in `bytes`.
    pub ranges: Vec<(u32, u32)>,
    /// Header line of a CSV source, with its line end.
    pub header: Vec<u8>,
}

impl RawLines {
    /// The raw bytes of row `row`, with the header line for CSV.
    #[must_use]
    pub fn row(&self, row: usize) -> Vec<u8> {
        let (from, to) = self.ranges[row];
        let mut out = self.header.clone();
        out.extend_from_slice(&self.bytes[from as usize..to as usize]);
        out
    }

    /// The lines of `len` rows from row `from`.
    #[must_use]
    pub fn slice(&self, from: usize, len: usize) -> Self {
        let ranges = self.ranges[from..from + len].to_vec();
        let (start, end) = match (ranges.first(), ranges.last()) {
            (Some(first), Some(last)) => (first.0, last.1),
            _ => (0, 0),
        };
        Self {
            bytes: self.bytes[start as usize..end as usize].to_vec(),
            ranges: ranges.into_iter().map(|(a, b)| (a - start, b - start)).collect(),
            header: self.header.clone(),
        }
    }
}

/// What one decode call returns.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The good rows, canonical schema.
    pub rows: RecordBatch,
    /// Line (text) or row (Parquet, Arrow) number of each good row in its source, from 1.
    pub lines: Vec<u64>,
    /// The bytes the good rows came from; `None` for columnar sources.
    pub raw: Option<RawLines>,
    /// The bad rows.
    pub dead: Vec<DeadLetter>,
    /// Values emptied because a code did not pass its check (`Invalid::Null`).
    pub invalid_codes: u64,
}

/// Why a row became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeadClass {
    /// Not one well-formed record of its format.
    Syntax,
    /// Longer than the feed's limit; only the first part is kept.
    TooLong,
    /// Bytes that are not text in the declared encoding.
    Encoding,
    /// A value that is not of the column's type.
    Type,
    /// A required value is missing.
    Missing,
    /// A value outside the column's code list.
    BadValue,
    /// An event time that cannot be read or lies outside 1900–2200.
    BadTime,
    /// A unified social credit code that fails its check, where the feed rejects such rows.
    BadUcc,
    /// Dated further ahead of its arrival than `max_skew`.
    Future,
    /// Behind the watermark by more than `allowed_lateness`.
    Late,
}

impl DeadClass {
    /// All classes, in the order of the catalogue.
    pub const ALL: [Self; 10] = [
        Self::Syntax,
        Self::TooLong,
        Self::Encoding,
        Self::Type,
        Self::Missing,
        Self::BadValue,
        Self::BadTime,
        Self::BadUcc,
        Self::Future,
        Self::Late,
    ];

    /// The word in files, API and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::TooLong => "too_long",
            Self::Encoding => "encoding",
            Self::Type => "type",
            Self::Missing => "missing",
            Self::BadValue => "bad_value",
            Self::BadTime => "bad_time",
            Self::BadUcc => "bad_ucc",
            Self::Future => "future",
            Self::Late => "late",
        }
    }

    /// The class of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.word() == word)
    }
}

/// A row that was refused, with everything needed to mend and replay it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Line (text) or row (Parquet, Arrow) in its source, from 1.
    pub line: u64,
    /// Why.
    pub class: DeadClass,
    /// What was found and what would be right, for people; never holds a personal value.
    pub message: String,
    /// The record's raw bytes, as NDJSON for columnar sources, with the header line prepended for CSV.
    pub raw: Vec<u8>,
}
