//! Decode: bytes → rows in a feed's schema, and dead letters.
//!
//! In: the bytes of a source, in one of four formats, and the feed's [`FeedSchema`]. Out: [`Decoded`]: Arrow batches
//! that always have exactly `FeedSchema::arrow()`, with the event time never null, and for every other record a dead
//! letter with its raw bytes, line, class and a message. Data never fail a decoder: one bad row costs only itself.
//! However the bytes are chunked, the same rows and letters come out.
//! Not here: what a row's event time means (`feed`), and where bytes come from (`source`).
//!
//! Read `chunk` (bytes → whole records), `text` with `json` and `csv` (records → cells), `convert` (cell → value),
//! `rows` (values → columns); `columnar` is the way of Parquet and Arrow, `open` puts all of it together.

use std::{path::Path, sync::Arc};

use arrow::array::RecordBatch;

use crate::model::{
    batch::{DeadClass, DeadLetter, Decoded},
    schema::FeedSchema,
    secret::Secret,
    time::Zone,
};

mod cell;
pub mod chunk;
mod columnar;
mod convert;
mod csv;
mod json;
mod open;
mod rows;
mod sample;
mod text;

pub use open::{Input, OpenOptions, Stream, open};
pub use sample::{Sample, sample};

use rows::{Plan, Rows};
use text::TextState;

/// The format of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Separated values with a header line.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC, file or stream.
    ArrowIpc,
}

impl Format {
    /// By the ending of a file name, that of a compression aside.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name =
            Compression::ENDINGS.iter().find_map(|(e, _)| name.strip_suffix(e)).unwrap_or(&name);
        Some(match name.rsplit_once('.')?.1 {
            "ndjson" | "jsonl" | "json" => Self::Ndjson,
            "csv" | "tsv" | "txt" => Self::Csv,
            "parquet" | "pq" => Self::Parquet,
            "arrow" | "arrows" | "ipc" | "feather" => Self::ArrowIpc,
            _ => return None,
        })
    }

    /// By a `Content-Type`, its parameters aside.
    #[must_use]
    pub fn of_content_type(value: &str) -> Option<Self> {
        let bare = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Some(match bare.as_str() {
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/json"
            | "text/x-ndjson" => Self::Ndjson,
            "text/csv" | "application/csv" | "text/tab-separated-values" => Self::Csv,
            "application/vnd.apache.parquet" | "application/x-parquet" => Self::Parquet,
            "application/vnd.apache.arrow.stream" | "application/vnd.apache.arrow.file" => {
                Self::ArrowIpc
            }
            _ => return None,
        })
    }

    /// Whether records are lines of text.
    #[must_use]
    pub fn is_text(self) -> bool {
        matches!(self, Self::Ndjson | Self::Csv)
    }
}

/// How the bytes of a source are compressed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, one or several members.
    Gzip,
    /// Zstandard, one or several frames.
    Zstd,
}

impl Compression {
    const ENDINGS: [(&'static str, Self); 3] =
        [(".gz", Self::Gzip), (".zst", Self::Zstd), (".zstd", Self::Zstd)];

    /// By the ending of a file name.
    #[must_use]
    pub fn of_path(path: &Path) -> Self {
        let name = path.to_string_lossy().to_ascii_lowercase();
        Self::ENDINGS.iter().find(|(e, _)| name.ends_with(e)).map_or(Self::None, |(_, c)| *c)
    }

    /// By a `Content-Encoding`; `None` for one that is not known here.
    #[must_use]
    pub fn of_content_encoding(value: &str) -> Option<Self> {
        Some(match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Self::None,
            "gzip" | "x-gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }
}

/// Decodes one source of one feed; carries line number, CSV header and learnt key order from chunk to chunk.
#[derive(Debug)]
pub struct Decoder {
    plan: Plan,
    format: Format,
    text: TextState,
    /// Rows of a columnar source so far.
    rows: u64,
}

impl Decoder {
    /// A decoder of a source in `format`. Readings without an offset are in `zone`; `secret` makes the pseudonyms of
    /// personal columns.
    #[must_use]
    pub fn new(schema: Arc<FeedSchema>, zone: Zone, format: Format, secret: &Secret) -> Self {
        let plan = Plan::new(schema, zone, secret.pseudonyms());
        Self { plan, format, text: TextState::default(), rows: 0 }
    }

    /// Decodes a chunk: whole records of UTF-8 for text formats (see [`chunk::Chunks`]), a whole file or stream for
    /// columnar ones. Never fails on data.
    pub fn decode(&mut self, chunk: Vec<u8>) -> Decoded {
        match self.format {
            Format::Ndjson => text::ndjson(&self.plan, &mut self.text, chunk),
            Format::Csv => text::csv(&self.plan, &mut self.text, chunk),
            Format::Parquet | Format::ArrowIpc => self.decode_file(chunk),
        }
    }

    /// Decodes a batch of a Parquet or Arrow source by the same mapping.
    pub fn decode_columnar(&mut self, rows: &RecordBatch) -> Decoded {
        let first = self.rows + 1;
        self.rows += rows.num_rows() as u64;
        columnar::decode(&self.plan, rows, first)
    }

    /// Whether the columns of this feed read the source field `name`.
    #[must_use]
    pub fn reads(&self, name: &str) -> bool {
        !self.plan.fields.of_name(name).is_empty()
    }

    fn decode_file(&mut self, bytes: Vec<u8>) -> Decoded {
        let head = bytes[..bytes.len().min(text::TOO_LONG_KEPT_BYTES)].to_vec();
        let mut all = Rows::new(&self.plan, 0).finish(None);
        let mut batches = vec![all.rows.clone()];
        let fault = match open::batches(self.format, Input::Bytes(bytes), |name| self.reads(name)) {
            Ok(found) => found
                .map(|rows| {
                    let next = self.decode_columnar(&rows?);
                    batches.push(next.rows);
                    all.lines.extend(next.lines);
                    all.dead.extend(next.dead);
                    all.invalid_codes += next.invalid_codes;
                    Ok(())
                })
                .find_map(|result: std::io::Result<()>| result.err()),
            Err(fault) => Some(fault),
        };
        if let Some(fault) = fault {
            let message = format!("not a readable {} file: {fault}", self.format.word());
            let line = self.rows + 1;
            all.dead.push(DeadLetter { line, class: DeadClass::Syntax, message, raw: head });
        }
        all.rows = arrow::compute::concat_batches(self.plan.schema.arrow(), &batches)
            .expect("every batch has the canonical schema");
        all
    }
}

impl Format {
    /// The word in messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ndjson => "NDJSON",
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
            Self::ArrowIpc => "Arrow IPC",
        }
    }
}

#[cfg(test)]
mod tests;
