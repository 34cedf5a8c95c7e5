//! Replay: files → the same pipeline as the live engine, as fast as they can be read.
//!
//! In: files, each a partition of a feed. Out: everything that was found, handed to a [`Sink`], and a summary. One thread
//! per file decodes and prepares ahead; here their rows are merged into one order of arrival: by the mapped `arrived_at`
//! where the feed has one, else the partition whose next row has the least event time comes next (ties: order of the
//! inputs). Without arrival times a row arrives when the latest event so far happened.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, Date32Type, TimestampMillisecondType},
};

use super::{
    disorder::{Disorder, disorder},
    pipeline::{Arrival, FeedCounts, Pipeline, Step},
};
use crate::{
    decode::{Compression, Format, Input as DecodeInput, OpenOptions, chunk::CHUNK_BYTES, open},
    feed::{FeedSpec, parts::records},
    model::{
        batch::{Batch, DeadLetter},
        secret::Secret,
        time::{DAY_MS, Zone},
    },
    pane::prepare::{Prepared, Preparer},
};

/// Batches that a decoding thread may be ahead.
const AHEAD: usize = 3;
/// Bytes of a chunk of text where there is one file; more files share it, and none gets less than [`CHUNK_BYTES`]. Large
/// chunks give large pieces, and slices with few keys then stay in the cache for many rows.
const CHUNKS_BYTES: usize = 8 * CHUNK_BYTES;
/// Rows that are handed to the pipeline at once at most.
const ROWS_AT_ONCE: usize = 1 << 16;

/// One file of a feed.
#[derive(Debug, Clone)]
pub struct Input {
    /// Position of the feed.
    pub feed: usize,
    /// The file.
    pub path: PathBuf,
}

/// What is replayed and how.
#[derive(Debug, Clone)]
pub struct ReplayOptions {
    /// Rows of earlier event time are passed over.
    pub from_ms: Option<i64>,
    /// Rows of this event time and later are passed over, and every watermark moves here in the end; else to the last event.
    pub to_ms: Option<i64>,
    /// The present: rows dated further ahead than the feed's `max_skew` are refused.
    pub now_ms: i64,
    /// In the end also close the windows that hold the last events, as if nothing more would come.
    pub close_open: bool,
    /// Rows per batch at most.
    pub batch_rows: usize,
    /// Another order of the same rows, for checking that it does not matter.
    pub disorder: Disorder,
    /// The local key.
    pub secret: Secret,
}

/// Receives what a replay finds, in order.
pub trait Sink {
    /// Takes what one step found.
    ///
    /// # Errors
    /// When it cannot be written.
    fn take(&mut self, step: Step) -> io::Result<()>;
    /// Takes a row that could not be decoded.
    ///
    /// # Errors
    /// When it cannot be written.
    fn dead(&mut self, feed: usize, partition: &str, letter: DeadLetter) -> io::Result<()>;
    /// Bytes read so far, for a progress bar.
    fn progress(&mut self, bytes: u64);
}

/// What a replay did.
#[derive(Debug, Clone, Default)]
pub struct Replayed {
    /// Rows decoded and dead letters of decoding, by feed.
    pub decoded: Vec<(u64, u64)>,
    /// Values emptied because a code did not pass its check, by feed.
    pub invalid_codes: Vec<u64>,
    /// Counts of admission, by feed.
    pub counts: Vec<FeedCounts>,
    /// Where the watermarks ended.
    pub until_ms: Option<i64>,
    /// The first event time.
    pub first_event_ms: Option<i64>,
    /// The last event time.
    pub last_event_ms: Option<i64>,
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("input {path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The format of a file is not known.
    #[error(
        "input {0} has no known ending, use .ndjson, .csv, .parquet or .arrow, with .gz or .zst behind it if compressed"
    )]
    Format(PathBuf),
    /// The result cannot be written.
    #[error("the result cannot be written")]
    Write(#[source] io::Error),
}

/// A decoded batch, or the end of the file with the reason if it could not be read on.
enum Message {
    Rows(Arc<Prepared>),
    Dead(Vec<DeadLetter>, u64),
    Failed(io::Error),
}

/// One partition while it is read.
struct Partition {
    feed: usize,
    name: Arc<str>,
    path: PathBuf,
    messages: Receiver<Message>,
    batch: Option<Arc<Prepared>>,
    arrived: Option<Vec<i64>>,
    /// Rows dated behind this instant will be refused.
    future_ms: i64,
    /// Next row of the batch.
    row: usize,
    ended: bool,
}

/// Runs files through `pipeline`.
///
/// # Errors
/// When a file cannot be read or the sink cannot write; bad rows are dead letters.
pub fn replay(
    pipeline: &mut Pipeline,
    inputs: &[Input],
    options: &ReplayOptions,
    sink: &mut dyn Sink,
) -> Result<Replayed, Error> {
    let feeds = pipeline.specs().len();
    let mut done = Replayed {
        decoded: vec![(0, 0); feeds],
        invalid_codes: vec![0; feeds],
        counts: vec![FeedCounts::default(); feeds],
        ..Replayed::default()
    };
    let bytes = Arc::new(AtomicU64::new(0));
    let chunk_bytes = (CHUNKS_BYTES / inputs.len().max(1)).clamp(CHUNK_BYTES, CHUNKS_BYTES);
    thread::scope(|scope| {
        let mut partitions = Vec::new();
        for input in inputs {
            let (sender, messages) = sync_channel(AHEAD);
            let reader = Reader::open(pipeline, input, options, chunk_bytes, bytes.clone())?;
            scope.spawn(move || reader.run(&sender));
            partitions.push(Partition {
                feed: input.feed,
                name: partition_name(&input.path),
                path: input.path.clone(),
                messages,
                batch: None,
                arrived: None,
                future_ms: options.now_ms.saturating_add(pipeline.specs()[input.feed].max_skew_ms),
                row: 0,
                ended: false,
            });
        }
        merge(pipeline, &mut partitions, options, sink, &mut done, &bytes)
    })?;
    let until = options.to_ms.or(done.last_event_ms);
    if let Some(until) = until {
        done.until_ms = Some(until);
        take(pipeline.end(until), sink, &mut done)?;
        if options.close_open {
            take(pipeline.end(until.saturating_add(pipeline.longest_ms())), sink, &mut done)?;
        }
    }
    take(pipeline.finish(), sink, &mut done)?;
    Ok(done)
}

/// Takes rows from the partitions in order of arrival until all have ended.
fn merge(
    pipeline: &mut Pipeline,
    partitions: &mut [Partition],
    options: &ReplayOptions,
    sink: &mut dyn Sink,
    done: &mut Replayed,
    bytes: &AtomicU64,
) -> Result<(), Error> {
    let zone = pipeline.zone().clone();
    let specs: Vec<FeedSpec> = pipeline.specs().to_vec();
    let mut clock = i64::MIN;
    loop {
        for p in partitions.iter_mut() {
            if !p.fill(&specs[p.feed], &zone, options, sink, done)? {
                continue;
            }
            // A file that has ended holds nothing back any more.
            let step = pipeline.idle(p.feed, &p.name, pipeline.next_arrival(), clock.max(EARLIEST));
            take(step, sink, done)?;
        }
        let mut order: Vec<(u32, u32)> = Vec::new();
        let mut arrived: Vec<i64> = Vec::new();
        let mut used: Vec<Option<u32>> = vec![None; partitions.len()];
        let mut batches: Vec<Arc<Prepared>> = Vec::new();
        // Until some partition needs its next batch: only then is it known which row comes next.
        while let Some((p, limit)) = next_partition(partitions) {
            let part = &mut partitions[p];
            let Some(batch) = &part.batch else { break };
            let b = *used[p].get_or_insert_with(|| {
                batches.push(batch.clone());
                (batches.len() - 1) as u32
            });
            let n = batch.rows.event_ms.len();
            while part.row < n && part.head() <= limit && order.len() < ROWS_AT_ONCE {
                let event_ms = batch.rows.event_ms[part.row];
                let inside = options.from_ms.is_none_or(|f| event_ms >= f)
                    && options.to_ms.is_none_or(|t| event_ms < t);
                if inside {
                    let at = match &part.arrived {
                        Some(arrived) => arrived[part.row],
                        // A row that will be refused as too far ahead must not move the clock of those behind it.
                        None if event_ms > part.future_ms => clock,
                        None => event_ms.min(options.now_ms),
                    };
                    clock = clock.max(at);
                    order.push((b, part.row as u32));
                    arrived.push(if part.arrived.is_some() { at } else { clock });
                    if event_ms <= options.now_ms {
                        let first_ms = done.first_event_ms.unwrap_or(event_ms);
                        done.first_event_ms = Some(first_ms.min(event_ms));
                        done.last_event_ms = done.last_event_ms.max(Some(event_ms));
                    }
                }
                part.row += 1;
            }
            if part.row == n || order.len() >= ROWS_AT_ONCE {
                break;
            }
        }
        if !order.is_empty() {
            let first = pipeline.next_arrival();
            let step = pipeline.arrive_prepared(batches, Some(&order), first, &arrived);
            take(step, sink, done)?;
            sink.progress(bytes.load(Ordering::Relaxed));
        } else if partitions.iter().all(|p| p.ended) {
            return Ok(());
        }
    }
}

/// The earliest instant that can be written.
const EARLIEST: i64 = -62_135_596_800_000;

/// The partition whose head comes first, and up to where it goes on being first.
fn next_partition(partitions: &[Partition]) -> Option<(usize, i64)> {
    let mut best: Option<(i64, usize)> = None;
    let mut second = i64::MAX;
    for (i, p) in partitions.iter().enumerate().filter(|(_, p)| p.batch.is_some()) {
        let head = p.head();
        match best {
            Some((h, _)) if head >= h => second = second.min(head),
            Some((h, _)) => {
                second = h;
                best = Some((head, i));
            }
            None => best = Some((head, i)),
        }
    }
    // On a tie the earlier input goes first: a later one only while it is strictly ahead of those before it.
    best.map(|(_, i)| {
        let before = partitions[..i].iter().any(|p| p.batch.is_some() && p.head() == second);
        (i, if before { second - 1 } else { second })
    })
}

impl Partition {
    /// What orders the partition's next row among those of others. A row that will be refused comes at once: waiting for
    /// its date would hold the rest of its file back.
    fn head(&self) -> i64 {
        match (&self.arrived, &self.batch) {
            (Some(arrived), _) => arrived[self.row],
            (None, Some(batch)) if batch.rows.event_ms[self.row] > self.future_ms => EARLIEST,
            (None, Some(batch)) => batch.rows.event_ms[self.row],
            (None, None) => i64::MAX,
        }
    }

    /// Makes sure that there is a row to look at; returns true when the partition has just ended.
    fn fill(
        &mut self,
        spec: &FeedSpec,
        zone: &Zone,
        options: &ReplayOptions,
        sink: &mut dyn Sink,
        done: &mut Replayed,
    ) -> Result<bool, Error> {
        while !self.ended && self.batch.as_ref().is_none_or(|b| self.row == b.rows.event_ms.len()) {
            self.batch = None;
            match self.messages.recv() {
                Ok(Message::Rows(batch)) => {
                    done.decoded[self.feed].0 += batch.rows.event_ms.len() as u64;
                    let arrived = spec.schema.arrived_at.map(|c| batch.rows.batch.column(c));
                    self.arrived = arrived
                        .filter(|column| column.null_count() < column.len())
                        .map(|column| instants(column, &batch.rows.event_ms, options.now_ms, zone));
                    self.row = 0;
                    self.batch = Some(batch).filter(|b| !b.rows.event_ms.is_empty());
                }
                Ok(Message::Dead(letters, emptied)) => {
                    done.invalid_codes[self.feed] += emptied;
                    done.decoded[self.feed].1 += letters.len() as u64;
                    for letter in letters {
                        sink.dead(self.feed, &self.name, letter).map_err(Error::Write)?;
                    }
                }
                Ok(Message::Failed(source)) => {
                    return Err(Error::Read { path: self.path.clone(), source });
                }
                Err(_) => {
                    self.ended = true;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Decodes and prepares one file in a thread of its own.
struct Reader {
    feed: usize,
    spec: FeedSpec,
    preparer: Preparer,
    zone: Zone,
    partition: Arc<str>,
    batch_rows: usize,
    disorder: Disorder,
    stream: crate::decode::Stream,
}

impl Reader {
    fn open(
        pipeline: &Pipeline,
        input: &Input,
        options: &ReplayOptions,
        chunk_bytes: usize,
        bytes: Arc<AtomicU64>,
    ) -> Result<Self, Error> {
        let spec = pipeline.specs()[input.feed].clone();
        let failed = |source| Error::Read { path: input.path.clone(), source };
        let format =
            Format::of_path(&input.path).ok_or_else(|| Error::Format(input.path.clone()))?;
        let file = File::open(&input.path).map_err(failed)?;
        let size = file.metadata().map_or(0, |m| m.len());
        let source = if format.is_text() {
            DecodeInput::Reader(Box::new(Counted { file, bytes }))
        } else {
            bytes.fetch_add(size, Ordering::Relaxed);
            DecodeInput::File(file)
        };
        let mut how = OpenOptions::new(
            spec.schema.clone(),
            pipeline.zone().clone(),
            format,
            options.secret.clone(),
        );
        how.chunk_bytes = chunk_bytes;
        how.compression = Compression::of_path(&input.path);
        how.encoding = spec.encoding;
        Ok(Self {
            feed: input.feed,
            preparer: pipeline.preparer(input.feed),
            zone: pipeline.zone().clone(),
            partition: partition_name(&input.path),
            batch_rows: options.batch_rows.max(1),
            disorder: options.disorder,
            stream: open(source, &how).map_err(failed)?,
            spec,
        })
    }

    fn run(mut self, out: &SyncSender<Message>) {
        let mut whole = Vec::new();
        while let Some(decoded) = self.stream.next() {
            let decoded = match decoded {
                Ok(decoded) => decoded,
                Err(e) => {
                    let _ = out.send(Message::Failed(e));
                    return;
                }
            };
            if (!decoded.dead.is_empty() || decoded.invalid_codes > 0)
                && out.send(Message::Dead(decoded.dead, decoded.invalid_codes)).is_err()
            {
                return;
            }
            let batch = Batch {
                feed: self.feed,
                partition: self.partition.clone(),
                rows: decoded.rows,
                lines: decoded.lines.into(),
                raw: decoded.raw.map(Arc::new),
            };
            if self.disorder.any() {
                whole.push(batch);
            } else if !self.send(batch, out) {
                return;
            }
        }
        if self.disorder.any() {
            for batch in disorder(whole, &self.spec, &self.zone, self.disorder, self.batch_rows) {
                if !self.send(batch, out) {
                    return;
                }
            }
        }
    }

    /// Sends a batch in parts of at most `batch_rows`; false when nobody listens any more.
    fn send(&mut self, batch: Batch, out: &SyncSender<Message>) -> bool {
        let n = batch.rows.num_rows();
        // The rows of one record stay together.
        let records = records(&self.spec.schema, &batch.rows);
        let is_inside =
            |row: usize| records.as_ref().is_some_and(|r| row < n && r[row - 1] == r[row]);
        let mut from = 0;
        while from < n {
            let mut to = (from + self.batch_rows).min(n);
            while is_inside(to) {
                to += 1;
            }
            let len = to - from;
            let part = if len == n {
                batch.clone()
            } else {
                Batch {
                    rows: batch.rows.slice(from, len),
                    lines: batch.lines[from..from + len].into(),
                    raw: batch.raw.as_ref().map(|r| Arc::new(r.slice(from, len))),
                    ..batch.clone()
                }
            };
            if out.send(Message::Rows(Arc::new(self.preparer.prepare(part)))).is_err() {
                return false;
            }
            from = to;
        }
        true
    }
}

struct Counted {
    file: File,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buf)?;
        self.bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

fn take(step: Step, sink: &mut dyn Sink, done: &mut Replayed) -> Result<(), Error> {
    for (sum, c) in done.counts.iter_mut().zip(&step.counts) {
        sum.add(c);
    }
    sink.take(step).map_err(Error::Write)
}

/// Arrival times of a mapped column; a row without one arrives when it happened, but not in the future: a date in 2099
/// must not vouch for itself.
fn instants(
    column: &arrow::array::ArrayRef,
    event_ms: &[i64],
    now_ms: i64,
    zone: &Zone,
) -> Vec<i64> {
    let at = |i: usize| match column.data_type() {
        DataType::Date32 => {
            zone.to_utc(i64::from(column.as_primitive::<Date32Type>().value(i)) * DAY_MS)
        }
        _ => column.as_primitive::<TimestampMillisecondType>().value(i),
    };
    (0..column.len())
        .map(|i| if column.is_null(i) { event_ms[i].min(now_ms) } else { at(i) })
        .collect()
}

/// A file's name stands for its partition.
fn partition_name(path: &Path) -> Arc<str> {
    path.file_name().map_or_else(|| path.to_string_lossy(), |n| n.to_string_lossy()).into()
}

/// One batch as an arrival of its own, for callers that have no files.
#[must_use]
pub fn arrival_of(pipeline: &Pipeline, batch: Batch, arrived_ms: i64) -> Arrival {
    Arrival {
        batches: vec![batch],
        order: None,
        first: pipeline.next_arrival(),
        arrived_ms: vec![arrived_ms],
    }
}
