//! Open: a reader of any format and compression → an iterator of decoded batches.
//!
//! The synchronous building block of `replay` and of sources that read whole files. Opening the file itself is the
//! caller's part: this room knows no disk.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    ipc::reader::{FileReader, StreamReader},
};
use flate2::read::MultiGzDecoder;
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};

use crate::model::{
    batch::Decoded,
    schema::{Encoding, FeedSchema},
    secret::Secret,
    time::Zone,
};

use super::{
    Compression, Decoder, Format,
    chunk::{CHUNK_BYTES, ChunkOptions, Chunks},
};

/// Rows of one batch of a Parquet file.
const PARQUET_ROWS: usize = 16_384;

/// What is read.
pub enum Input {
    /// An open file; the only one of which Parquet reads just the columns it needs.
    File(File),
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// Anything else.
    Reader(Box<dyn Read + Send>),
}

impl Input {
    pub(super) fn reader(self) -> Box<dyn Read + Send> {
        match self {
            Self::File(file) => Box::new(file),
            Self::Bytes(bytes) => Box::new(io::Cursor::new(bytes)),
            Self::Reader(reader) => reader,
        }
    }

    fn bytes(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => {
                let mut bytes = Vec::new();
                other.reader().read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

impl Compression {
    /// The same without the compression.
    pub(super) fn open(self, input: Input) -> io::Result<Input> {
        Ok(match self {
            Self::None => input,
            Self::Gzip => {
                Input::Reader(Box::new(MultiGzDecoder::new(BufReader::new(input.reader()))))
            }
            Self::Zstd => Input::Reader(Box::new(zstd::Decoder::new(input.reader())?)),
        })
    }
}

/// How it is read.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The feed's schema.
    pub schema: Arc<FeedSchema>,
    /// Zone of readings without an offset.
    pub zone: Zone,
    /// The format.
    pub format: Format,
    /// Compression of the whole.
    pub compression: Compression,
    /// Encoding of text formats.
    pub encoding: Encoding,
    /// The local key.
    pub secret: Secret,
    /// Size of a chunk; [`CHUNK_BYTES`] suits.
    pub chunk_bytes: usize,
    /// Give records as soon as they are complete: for sources that stay open.
    pub eager: bool,
}

impl OpenOptions {
    /// Uncompressed, encoding found out, chunks of the usual size.
    #[must_use]
    pub fn new(schema: Arc<FeedSchema>, zone: Zone, format: Format, secret: Secret) -> Self {
        Self {
            schema,
            zone,
            format,
            compression: Compression::None,
            encoding: Encoding::Auto,
            secret,
            chunk_bytes: CHUNK_BYTES,
            eager: false,
        }
    }
}

/// The decoded batches of a source, in its order.
pub struct Stream {
    decoder: Decoder,
    from: From,
}

enum From {
    Text(Chunks<Box<dyn Read + Send>>),
    Columnar(Batches),
}

type Batches = Box<dyn Iterator<Item = io::Result<RecordBatch>> + Send>;

impl Iterator for Stream {
    type Item = io::Result<Decoded>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.from {
            From::Text(chunks) => Some(chunks.next()?.map(|chunk| self.decoder.decode(chunk))),
            From::Columnar(batches) => {
                Some(batches.next()?.map(|rows| self.decoder.decode_columnar(&rows)))
            }
        }
    }
}

/// Opens `input`.
///
/// # Errors
/// What the reader says, and for columnar formats that the file is none of its format. The stream's own items fail when
/// reading does; text that is merely wrong never does.
pub fn open(input: Input, options: &OpenOptions) -> io::Result<Stream> {
    let input = options.compression.open(input)?;
    let decoder =
        Decoder::new(options.schema.clone(), options.zone.clone(), options.format, &options.secret);
    let from = if options.format.is_text() {
        let chunks = ChunkOptions {
            csv: options.format == Format::Csv,
            encoding: options.encoding,
            chunk_bytes: options.chunk_bytes,
            record_bytes_max: options.schema.record_bytes_max,
            eager: options.eager,
        };
        From::Text(Chunks::new(input.reader(), chunks))
    } else {
        From::Columnar(batches(options.format, input, |name| decoder.reads(name))?)
    };
    Ok(Stream { decoder, from })
}

/// The batches of a columnar source; of Parquet only the columns that `reads` says are read.
pub(super) fn batches(
    format: Format,
    input: Input,
    reads: impl Fn(&str) -> bool,
) -> io::Result<Batches> {
    match (format, input) {
        (Format::Parquet, Input::File(file)) => parquet(
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(io::Error::other)?,
            reads,
        ),
        (Format::Parquet, input) => {
            let bytes = bytes::Bytes::from(input.bytes()?);
            parquet(
                ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(io::Error::other)?,
                reads,
            )
        }
        (_, input) => ipc(input.bytes()?),
    }
}

fn parquet<T: parquet::file::reader::ChunkReader + 'static>(
    builder: ParquetRecordBatchReaderBuilder<T>,
    reads: impl Fn(&str) -> bool,
) -> io::Result<Batches> {
    let fields = builder.schema().fields().iter().enumerate();
    let roots: Vec<usize> = fields.filter(|(_, f)| reads(f.name())).map(|(i, _)| i).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let reader = builder.with_projection(mask).with_batch_size(PARQUET_ROWS).build();
    let reader = reader.map_err(io::Error::other)?;
    Ok(Box::new(reader.map(|batch| batch.map_err(io::Error::other))))
}

/// Arrow IPC begins with its name as a file and with a length as a stream.
fn ipc(bytes: Vec<u8>) -> io::Result<Batches> {
    let is_file = bytes.starts_with(b"ARROW1");
    let bytes = io::Cursor::new(bytes);
    if is_file {
        let reader = FileReader::try_new(bytes, None).map_err(io::Error::other)?;
        Ok(Box::new(reader.map(|batch| batch.map_err(io::Error::other))))
    } else {
        let reader = StreamReader::try_new(bytes, None).map_err(io::Error::other)?;
        Ok(Box::new(reader.map(|batch| batch.map_err(io::Error::other))))
    }
}
