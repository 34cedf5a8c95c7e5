//! Record: one entry of the log as bytes, and back.
//!
//! Layout, little endian: length of what follows the checksum (u32), CRC32C of it (u32), kind (u8), length of the head
//! (u32), head (JSON), Arrow IPC stream (rows only). Rows carry their own schema and are read by column name, so that a
//! log outlives changes of a feed. Garbage gives an error, never a panic.
//! Not here: files and fsync — see `log`.

use std::io::Read;

use arrow::{
    array::{RecordBatch, RecordBatchOptions, new_null_array},
    compute::cast,
    datatypes::SchemaRef,
    error::ArrowError,
    ipc::{
        CompressionType,
        reader::StreamReader,
        writer::{IpcWriteOptions, StreamWriter},
    },
};
use serde::{Deserialize, Serialize};

/// Bytes before the checksummed part.
pub const PREFIX_BYTES: usize = 8;
/// Longest record; a request is limited far below it.
pub const RECORD_BYTES_MAX: usize = 1 << 30;

const KIND_ROWS: u8 = 1;
const KIND_IDLE: u8 = 2;
const KIND_RULES: u8 = 3;

/// One thing that happened to the engine, in the order it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Rows came in.
    Rows(Rows),
    /// A partition was declared idle.
    Idle(Idle),
    /// A rule set was loaded.
    Rules(RuleSet),
}

/// Rows of one request, or of one chunk of a file; all of them or none are in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Everything but the rows.
    pub head: RowsHead,
    /// The rows, in order, canonical schema at the time; may be none.
    pub batches: Vec<RecordBatch>,
}

/// What is known about logged rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct RowsHead {
    /// Name of the feed.
    pub feed: String,
    /// Name of the partition.
    pub partition: String,
    /// Arrival number of the first row (of the next row, where there are none).
    pub first: u64,
    /// Number of rows.
    pub rows: u64,
    /// Arrival time of all of them, ms.
    pub arrived_ms: i64,
    /// Line numbers in the source as (line of a row, number of rows that follow line by line from there).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<(u64, u64)>,
    /// `Idempotency-Key` of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Hash of its body, which tells a repetition from a mistake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_hash: Option<u64>,
    /// Where the source goes on behind these rows, in the source's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// Rows that could not be decoded, first ones only: line, class, message; to give a repeated request its answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead: Vec<(u64, String, String)>,
    /// How many there were in all.
    #[serde(default)]
    pub dead_total: u64,
}

/// A partition was silent for the feed's `idle_after` and holds no watermark back any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// Name of the feed.
    pub feed: String,
    /// Name of the partition.
    pub partition: String,
    /// Arrival number of the next row.
    pub arrival: u64,
    /// When it was decided, ms.
    pub at_ms: i64,
}

/// The rule set that later entries were evaluated with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSet {
    /// Arrival number of the next row.
    pub arrival: u64,
    /// When it was loaded, ms.
    pub at_ms: i64,
    /// Hash over feeds and rules.
    pub hash: String,
}

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fewer bytes than announced: the record was being written when the machine stopped.
    #[error("record is cut short, {have} of {need} bytes are there")]
    Short {
        /// Bytes there are.
        have: usize,
        /// Bytes the record needs.
        need: usize,
    },
    /// The bytes are not what was written.
    #[error("record checksum is {found:08x}, expected {expected:08x}")]
    Checksum {
        /// Checksum of the bytes.
        found: u32,
        /// Checksum that was written.
        expected: u32,
    },
    /// A length no record has.
    #[error("record length {0} is outside 5..={RECORD_BYTES_MAX}")]
    Length(usize),
    /// A kind this version does not know.
    #[error(
        "record kind {0} is unknown to this version, expected 1 to 3; the log was written by a newer forewarn"
    )]
    Kind(u8),
    /// The head is not what this version writes.
    #[error("record head cannot be read")]
    Head(#[source] serde_json::Error),
    /// The rows are not an Arrow IPC stream.
    #[error("record rows cannot be read")]
    Rows(#[source] ArrowError),
    /// The record is too long to be written.
    #[error(
        "record of {bytes} bytes is above the limit of {RECORD_BYTES_MAX}, send smaller batches"
    )]
    TooLong {
        /// Bytes it would take.
        bytes: usize,
    },
}

impl Entry {
    /// Arrival number of the first row in it, or of the next row.
    #[must_use]
    pub fn arrival(&self) -> u64 {
        match self {
            Self::Rows(rows) => rows.head.first,
            Self::Idle(idle) => idle.arrival,
            Self::Rules(rules) => rules.arrival,
        }
    }

    /// Arrival number of the first row behind it.
    #[must_use]
    pub fn next_arrival(&self) -> u64 {
        match self {
            Self::Rows(rows) => rows.head.first + rows.head.rows,
            _ => self.arrival(),
        }
    }

    /// Appends the record to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`], and [`Error::Rows`] when batches of one entry differ in schema. `out` is as before then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        let done = self.encode_at(start, out);
        if done.is_err() {
            out.truncate(start);
        }
        done
    }

    fn encode_at(&self, start: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        out.extend_from_slice(&[0; PREFIX_BYTES]);
        let (kind, head) = match self {
            Self::Rows(rows) => (KIND_ROWS, serde_json::to_vec(&rows.head)),
            Self::Idle(idle) => (KIND_IDLE, serde_json::to_vec(idle)),
            Self::Rules(rules) => (KIND_RULES, serde_json::to_vec(rules)),
        };
        let head = head.map_err(Error::Head)?;
        out.push(kind);
        let head_bytes =
            u32::try_from(head.len()).map_err(|_| Error::TooLong { bytes: head.len() })?;
        out.extend_from_slice(&head_bytes.to_le_bytes());
        out.extend_from_slice(&head);
        if let Self::Rows(rows) = self {
            write_batches(&rows.batches, out).map_err(Error::Rows)?;
        }
        let body = &out[start + PREFIX_BYTES..];
        if body.len() > RECORD_BYTES_MAX {
            return Err(Error::TooLong { bytes: body.len() });
        }
        let (bytes, sum) = ((body.len() as u32).to_le_bytes(), crc32c::crc32c(body).to_le_bytes());
        out[start..start + 4].copy_from_slice(&bytes);
        out[start + 4..start + PREFIX_BYTES].copy_from_slice(&sum);
        Ok(())
    }

    /// Reads the next record; `None` at the end of input.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::Short`] when the input ends inside the record.
    pub fn read(input: &mut impl Read) -> Result<Option<(Self, usize)>, ReadError> {
        let mut prefix = [0; PREFIX_BYTES];
        match fill(input, &mut prefix)? {
            0 => return Ok(None),
            PREFIX_BYTES => {}
            have => return Err(Error::Short { have, need: PREFIX_BYTES }.into()),
        }
        let word = |at: usize| {
            u32::from_le_bytes([prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]])
        };
        let (bytes, expected) = (word(0) as usize, word(4));
        if !(5..=RECORD_BYTES_MAX).contains(&bytes) {
            return Err(Error::Length(bytes).into());
        }
        let mut body = Vec::new();
        // Grows with what is really there: a garbage length must not reserve a gigabyte.
        let have = input.take(bytes as u64).read_to_end(&mut body)?;
        if have < bytes {
            return Err(
                Error::Short { have: have + PREFIX_BYTES, need: bytes + PREFIX_BYTES }.into()
            );
        }
        let found = crc32c::crc32c(&body);
        if found != expected {
            return Err(Error::Checksum { found, expected }.into());
        }
        Ok(Some((Self::decode(&body)?, bytes + PREFIX_BYTES)))
    }

    /// Whether a whole record with a right checksum starts at the first byte.
    #[must_use]
    pub fn starts(bytes: &[u8]) -> bool {
        let Some((prefix, body)) = bytes.split_at_checked(PREFIX_BYTES) else { return false };
        let length = u32::from_le_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]) as usize;
        // Kind and the start of the head first: nearly no other bytes pass, and the checksum is slow.
        let likely = (KIND_ROWS..=KIND_RULES).contains(body.first().unwrap_or(&0))
            && body.get(5) == Some(&b'{');
        let expected = u32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]);
        likely && body.get(..length).is_some_and(|body| crc32c::crc32c(body) == expected)
    }

    fn decode(body: &[u8]) -> Result<Self, Error> {
        let short = |need| Error::Short { have: body.len(), need };
        let (kind, rest) = body.split_first().ok_or_else(|| short(5))?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| short(5))?;
        let head_bytes = u32::from_le_bytes(*length) as usize;
        let (head, rows) =
            rest.split_at_checked(head_bytes).ok_or_else(|| short(5 + head_bytes))?;
        Ok(match *kind {
            KIND_ROWS => {
                let head = serde_json::from_slice(head).map_err(Error::Head)?;
                Self::Rows(Rows { head, batches: read_batches(rows).map_err(Error::Rows)? })
            }
            KIND_IDLE => Self::Idle(serde_json::from_slice(head).map_err(Error::Head)?),
            KIND_RULES => Self::Rules(serde_json::from_slice(head).map_err(Error::Head)?),
            kind => return Err(Error::Kind(kind)),
        })
    }
}

/// Why no record could be read: the bytes, or the disk.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes are not a record.
    #[error(transparent)]
    Record(#[from] Error),
    /// The disk did not give the bytes.
    #[error("log cannot be read")]
    Io(#[from] std::io::Error),
}

/// `rows` in `schema`, column by name: a missing one is null, another type is cast, further ones are dropped.
///
/// # Errors
/// When a column cannot be cast.
pub fn conform(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if rows.schema_ref() == schema {
        return Ok(rows.clone());
    }
    let columns = schema
        .fields()
        .iter()
        .map(|field| match rows.column_by_name(field.name()) {
            None => Ok(new_null_array(field.data_type(), rows.num_rows())),
            Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
            Some(column) => cast(column, field.data_type()),
        })
        .collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

/// Line numbers as runs: rows mostly come line after line.
#[must_use]
pub fn pack_lines(lines: &[u64]) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for line in lines {
        match runs.last_mut() {
            Some((from, n)) if *from + *n == *line => *n += 1,
            _ => runs.push((*line, 1)),
        }
    }
    runs
}

/// The line numbers of such runs.
#[must_use]
pub fn unpack_lines(runs: &[(u64, u64)]) -> Vec<u64> {
    runs.iter().flat_map(|(from, n)| *from..from.saturating_add(*n)).collect()
}

fn write_batches(batches: &[RecordBatch], out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let Some(first) = batches.first() else { return Ok(()) };
    let options =
        IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    let mut writer = StreamWriter::try_new_with_options(out, first.schema_ref(), options)?;
    for batch in batches {
        if batch.schema_ref() != first.schema_ref() {
            return Err(ArrowError::SchemaError("batches of one entry differ in schema".into()));
        }
        writer.write(batch)?;
    }
    writer.finish()
}

fn read_batches(bytes: &[u8]) -> Result<Vec<RecordBatch>, ArrowError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    StreamReader::try_new(bytes, None)?.collect()
}

fn fill(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match input.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(have)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{Array, Int64Array, StringArray},
        datatypes::{DataType, Field, Schema},
    };
    use proptest::prelude::*;

    use super::*;

    fn rows() -> Entry {
        let batch = RecordBatch::try_from_iter([
            ("ucc", Arc::new(StringArray::from(vec![Some("企业甲"), None])) as _),
            ("n", Arc::new(Int64Array::from(vec![Some(1), Some(2)])) as _),
        ]);
        let head = RowsHead {
            feed: "complaints".into(),
            partition: "一号".into(),
            first: 41,
            rows: 2,
            arrived_ms: 5,
            lines: pack_lines(&[1, 3]),
            idempotency_key: Some("k".into()),
            dead: vec![(2, "syntax".into(), "not JSON".into())],
            dead_total: 1,
            ..RowsHead::default()
        };
        Entry::Rows(Rows { head, batches: vec![batch.unwrap()] })
    }

    fn entries() -> Vec<Entry> {
        let idle = Idle { feed: "complaints".into(), partition: "p".into(), arrival: 43, at_ms: 9 };
        let rules = RuleSet { arrival: 43, at_ms: 10, hash: "ab".into() };
        let empty = Entry::Rows(Rows { head: RowsHead::default(), batches: Vec::new() });
        vec![rows(), Entry::Idle(idle), Entry::Rules(rules), empty]
    }

    #[test]
    fn every_kind_comes_back() {
        for entry in entries() {
            let mut bytes = Vec::new();
            entry.encode(&mut bytes).unwrap();
            let (back, used) = Entry::read(&mut bytes.as_slice()).unwrap().unwrap();
            assert_eq!((back, used), (entry, bytes.len()));
        }
        assert_eq!(rows().next_arrival(), 43);
    }

    #[test]
    fn line_numbers_pack() {
        for lines in [vec![], vec![1, 2, 3], vec![1, 3, 4, 9], vec![5, 5]] {
            assert_eq!(unpack_lines(&pack_lines(&lines)), lines);
        }
        assert_eq!(pack_lines(&[2, 3, 4, 8]), [(2, 3), (8, 1)]);
    }

    #[test]
    fn rows_are_read_by_column_name() {
        let Entry::Rows(logged) = rows() else { panic!("rows") };
        let field = |name: &str, kind| Field::new(name, kind, true);
        let schema: SchemaRef = Arc::new(Schema::new(vec![
            field("n", DataType::Float64),
            field("added", DataType::Utf8),
            field("ucc", DataType::Utf8),
        ]));
        let now = conform(&logged.batches[0], &schema).unwrap();
        assert_eq!(now.schema(), schema);
        assert_eq!((now.column(1).null_count(), now.column(2).null_count()), (2, 1));
        assert_eq!(now.column(0).data_type(), &DataType::Float64);
    }

    proptest! {
        #[test]
        fn damage_gives_an_error_and_never_a_panic(
            which in 0_usize..4, cut in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>(), bit in 0_u8..8,
        ) {
            let mut bytes = Vec::new();
            entries()[which].encode(&mut bytes).unwrap();
            let short = &bytes[..cut.index(bytes.len())];
            let read = Entry::read(&mut &*short);
            let refused = if short.is_empty() { matches!(read, Ok(None)) } else { read.is_err() };
            prop_assert!(refused);
            let at = flip.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Entry::read(&mut bytes.as_slice()).is_err());
        }

        #[test]
        fn garbage_gives_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 1..300)) {
            prop_assert!(Entry::read(&mut bytes.as_slice()).is_err());
            // Garbage under a right checksum.
            let _ = Entry::decode(&bytes);
        }
    }
}
