//! Log: everything that arrived, in order, on disk before anybody is told that it was taken.
//!
//! In: [`Entry`]s. Out: the same, from any arrival number on. Segments `<dir>/<first arrival number>.log` of
//! [`SEGMENT_BYTES`] or a little more; records as in `record`.
//! Promise: after [`Log::sync`] an entry survives a crash. A tail that was being written when the machine stopped is cut
//! off on open and reported; damage before the tail is an error that names the place, because entries behind it
//! were acknowledged. After a failed write or fsync what the disk holds is unknown: the log goes back to what was last
//! synced, and takes nothing until that has worked.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::record::{self, Entry, ReadError};

/// A segment is closed once it has so many bytes.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// Arrival number of the first row of all.
pub const FIRST_ARRIVAL: u64 = 1;

/// First bytes of every segment: name and version of the format.
const MAGIC: &[u8; 8] = b"fwlog\x00\x00\x01";

/// Why the log could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error("log {path}: {doing} failed")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the log open.
    #[error(
        "log {0} is in use by another forewarn, stop that one or choose another data directory"
    )]
    InUse(PathBuf),
    /// Not a log, or one of a newer version.
    #[error(
        "log {0} does not start like a log of this version, move it away or use the forewarn that wrote it"
    )]
    Magic(PathBuf),
    /// Bytes in the middle are not what was written.
    #[error(
        "log {path} is damaged at byte {at}, restore it from a backup or move it and all later segments away"
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the first bad record starts.
        at: u64,
        /// What is wrong with it.
        source: record::Error,
    },
    /// An entry cannot be written.
    #[error("entry does not fit the log")]
    Entry(#[from] record::Error),
}

/// A tail that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub path: PathBuf,
    /// Where it ends now.
    pub at: u64,
    /// How many bytes were cut.
    pub bytes: u64,
}

/// Where an entry lies, for reading it again alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Arrival number in the name of its segment.
    pub segment: u64,
    /// Its first byte.
    pub at: u64,
}

/// The log, open for appending by this process alone.
#[derive(Debug)]
pub struct Log {
    dir: PathBuf,
    segment_bytes: u64,
    path: PathBuf,
    file: File,
    /// Arrival number in the name of the open segment.
    first: u64,
    /// Its length with everything appended.
    bytes: u64,
    next_arrival: u64,
    /// Where the last entry lies.
    last: Place,
    /// Where everything is on disk.
    synced: Mark,
    /// Behind `synced` may be anything.
    failed: bool,
    torn: Option<Torn>,
    buffer: Vec<u8>,
    /// Held as long as the log is open.
    _lock: File,
}

/// A place in the log: a segment, its length, and the arrival number behind it.
#[derive(Debug, Clone)]
struct Mark {
    path: PathBuf,
    first: u64,
    bytes: u64,
    next_arrival: u64,
}

impl Log {
    /// Opens the log in `dir`, which is made if need be, and cuts off a torn tail.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::Magic`], [`Error::Damaged`], [`Error::Io`].
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_with(dir, SEGMENT_BYTES)
    }

    fn open_with(dir: &Path, segment_bytes: u64) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(io_error(dir, "making the directory"))?;
        let lock = lock(dir)?;
        let (first, path) = match segments(dir)?.pop() {
            Some(last) => last,
            None => (FIRST_ARRIVAL, create_segment(dir, FIRST_ARRIVAL)?),
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io_error(&path, "opening"))?;
        let scan = scan(&path, &mut file, first)?;
        if let Some(torn) = &scan.torn {
            file.set_len(torn.at).map_err(io_error(&path, "cutting the torn tail"))?;
            file.sync_all().map_err(io_error(&path, "fsync"))?;
        }
        file.seek(SeekFrom::Start(scan.bytes)).map_err(io_error(&path, "seeking"))?;
        let (bytes, next_arrival) = (scan.bytes, scan.next_arrival);
        Ok(Self {
            dir: dir.to_owned(),
            segment_bytes,
            synced: Mark { path: path.clone(), first, bytes, next_arrival },
            path,
            file,
            first,
            bytes: scan.bytes,
            next_arrival: scan.next_arrival,
            last: Place::default(),
            failed: false,
            torn: scan.torn,
            buffer: Vec::new(),
            _lock: lock,
        })
    }

    /// The tail that [`Log::open`] cut off.
    #[must_use]
    pub fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }

    /// The arrival number the next row gets.
    #[must_use]
    pub fn next_arrival(&self) -> u64 {
        self.next_arrival
    }

    /// Where the entry lies that was appended last.
    #[must_use]
    pub fn last_place(&self) -> Place {
        self.last
    }

    /// Writes `entry`; it is safe only after [`Log::sync`].
    ///
    /// # Errors
    /// [`Error::Entry`] for an entry that cannot be written; [`Error::Io`], after which [`Log::roll_back`] must be called.
    pub fn append(&mut self, entry: &Entry) -> Result<(), Error> {
        if self.failed {
            self.roll_back()?;
        }
        self.buffer.clear();
        entry.encode(&mut self.buffer)?;
        if self.bytes >= self.segment_bytes && entry.arrival() > self.first {
            self.next_segment(entry.arrival()).inspect_err(|_| self.failed = true)?;
        }
        if let Err(source) = self.file.write_all(&self.buffer) {
            self.failed = true;
            return Err(Error::Io { path: self.path.clone(), doing: "writing", source });
        }
        self.last = Place { segment: self.first, at: self.bytes };
        self.bytes += self.buffer.len() as u64;
        self.next_arrival = entry.next_arrival();
        Ok(())
    }

    /// Makes everything appended so far safe.
    ///
    /// # Errors
    /// [`Error::Io`]; nothing appended since the last sync may be acknowledged then, and [`Log::roll_back`] must be called.
    pub fn sync(&mut self) -> Result<(), Error> {
        if self.failed {
            self.roll_back()?;
        }
        self.file.sync_data().map_err(|source| {
            self.failed = true;
            Error::Io { path: self.path.clone(), doing: "fsync", source }
        })?;
        let (path, first) = (self.path.clone(), self.first);
        self.synced = Mark { path, first, bytes: self.bytes, next_arrival: self.next_arrival };
        Ok(())
    }

    /// Forgets everything appended since the last sync, on disk too.
    ///
    /// # Errors
    /// [`Error::Io`]; it is tried again before the next entry is taken.
    pub fn roll_back(&mut self) -> Result<(), Error> {
        self.failed = true;
        let Mark { path, first, bytes, next_arrival } = self.synced.clone();
        for (begins, later) in segments(&self.dir)? {
            if begins > first {
                fs::remove_file(&later).map_err(io_error(&later, "removing"))?;
            }
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io_error(&path, "opening"))?;
        file.set_len(bytes).map_err(io_error(&path, "cutting what was not synced"))?;
        file.sync_all().map_err(io_error(&path, "fsync"))?;
        file.seek(SeekFrom::End(0)).map_err(io_error(&path, "seeking"))?;
        (self.path, self.file, self.first) = (path, file, first);
        (self.bytes, self.next_arrival, self.failed) = (bytes, next_arrival, false);
        Ok(())
    }

    /// The entries that hold or follow arrival number `arrival`, oldest first.
    ///
    /// # Errors
    /// As for [`read`].
    pub fn read_from(&self, arrival: u64) -> Result<Entries, Error> {
        read(&self.dir, arrival)
    }

    fn next_segment(&mut self, arrival: u64) -> Result<(), Error> {
        self.file.sync_data().map_err(io_error(&self.path, "fsync"))?;
        let path = create_segment(&self.dir, arrival)?;
        let mut file =
            OpenOptions::new().write(true).open(&path).map_err(io_error(&path, "opening"))?;
        file.seek(SeekFrom::End(0)).map_err(io_error(&path, "seeking"))?;
        (self.path, self.file, self.first, self.bytes) = (path, file, arrival, MAGIC.len() as u64);
        Ok(())
    }
}

/// The entries of the log in `dir` from arrival number `arrival` on, also while another process writes to it.
///
/// # Errors
/// [`Error::Io`] when the directory cannot be listed.
pub fn read(dir: &Path, arrival: u64) -> Result<Entries, Error> {
    let mut segments = segments(dir)?;
    // Entries without rows carry the next row's number, so they may stand at the end of the segment before.
    let behind = segments.partition_point(|(first, _)| *first < arrival);
    segments.drain(..behind.saturating_sub(1));
    segments.reverse();
    Ok(Entries { from: arrival, segments, open: None, last: Place::default() })
}

/// The entry at `place` of the log in `dir`.
///
/// # Errors
/// [`Error::Io`], [`Error::Damaged`] when no entry begins there.
pub fn read_at(dir: &Path, place: Place) -> Result<Entry, Error> {
    let path = segment_path(dir, place.segment);
    let mut file = File::open(&path).map_err(io_error(&path, "opening"))?;
    file.seek(SeekFrom::Start(place.at)).map_err(io_error(&path, "seeking"))?;
    let mut segment =
        Segment { path, first: place.segment, input: BufReader::new(file), at: place.at };
    match Entry::read(&mut segment.input) {
        Ok(Some((entry, _))) => Ok(entry),
        Ok(None) => Err(segment.error(record::Error::Short { have: 0, need: 1 }.into())),
        Err(error) => Err(segment.error(error)),
    }
}

/// Entries in order, each segment opened when it is reached.
#[derive(Debug)]
pub struct Entries {
    from: u64,
    /// Still to come, the next one last.
    segments: Vec<(u64, PathBuf)>,
    open: Option<Segment>,
    last: Place,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    /// Arrival number in its name.
    first: u64,
    input: BufReader<File>,
    at: u64,
}

impl Entries {
    /// Where the entry lies that came last.
    #[must_use]
    pub fn last_place(&self) -> Place {
        self.last
    }

    fn try_next(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            if self.open.is_none() {
                let Some((first, path)) = self.segments.pop() else { return Ok(None) };
                self.open = Segment::open(path, first)?;
            }
            let Some(segment) = self.open.as_mut() else { continue };
            match Entry::read(&mut segment.input) {
                Ok(Some((entry, bytes))) => {
                    self.last = Place { segment: segment.first, at: segment.at };
                    segment.at += bytes as u64;
                    if entry.next_arrival() > self.from || entry.arrival() >= self.from {
                        return Ok(Some(entry));
                    }
                }
                Ok(None) => self.open = None,
                // The last segment may be in the middle of being written.
                Err(ReadError::Record(record::Error::Short { .. })) if self.segments.is_empty() => {
                    self.open = None;
                }
                Err(error) => return Err(segment.error(error)),
            }
        }
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.try_next();
        if next.is_err() {
            // Nothing behind the damage can be trusted to follow.
            (self.open, self.segments) = (None, Vec::new());
        }
        next.transpose()
    }
}

impl Segment {
    /// `None` for a segment that was made and not yet started.
    fn open(path: PathBuf, first: u64) -> Result<Option<Self>, Error> {
        let file = File::open(&path).map_err(io_error(&path, "opening"))?;
        let mut input = BufReader::with_capacity(1 << 16, file);
        let mut magic = Vec::new();
        let magic_bytes = MAGIC.len() as u64;
        input
            .by_ref()
            .take(magic_bytes)
            .read_to_end(&mut magic)
            .map_err(io_error(&path, "reading"))?;
        if magic.is_empty() {
            return Ok(None);
        }
        if magic != MAGIC {
            return Err(Error::Magic(path));
        }
        Ok(Some(Self { path, first, input, at: magic_bytes }))
    }

    fn error(&self, error: ReadError) -> Error {
        let path = self.path.clone();
        match error {
            ReadError::Record(source) => Error::Damaged { path, at: self.at, source },
            ReadError::Io(source) => Error::Io { path, doing: "reading", source },
        }
    }
}

struct Scan {
    bytes: u64,
    next_arrival: u64,
    torn: Option<Torn>,
}

/// Reads the last segment through and finds where its good records end.
fn scan(path: &Path, file: &mut File, first: u64) -> Result<Scan, Error> {
    let length = file.metadata().map_err(io_error(path, "reading its length"))?.len();
    let magic_bytes = MAGIC.len() as u64;
    if length < magic_bytes {
        // Stopped between making the file and writing its head.
        file.set_len(0).map_err(io_error(path, "writing"))?;
        file.rewind().and_then(|()| file.write_all(MAGIC)).map_err(io_error(path, "writing"))?;
        file.sync_all().map_err(io_error(path, "fsync"))?;
        return Ok(Scan { bytes: magic_bytes, next_arrival: first, torn: None });
    }
    let Some(mut segment) = Segment::open(path.to_owned(), first)? else {
        return Ok(Scan { bytes: magic_bytes, next_arrival: first, torn: None });
    };
    let mut next_arrival = first;
    loop {
        match Entry::read(&mut segment.input) {
            Ok(Some((entry, bytes))) => {
                segment.at += bytes as u64;
                next_arrival = entry.next_arrival();
            }
            Ok(None) => return Ok(Scan { bytes: segment.at, next_arrival, torn: None }),
            Err(ReadError::Record(error)) if is_tail(path, segment.at, &error)? => {
                let torn =
                    Torn { path: path.to_owned(), at: segment.at, bytes: length - segment.at };
                return Ok(Scan { bytes: segment.at, next_arrival, torn: Some(torn) });
            }
            Err(error) => return Err(segment.error(error)),
        }
    }
}

/// Whether nothing that was acknowledged can stand behind a bad record at `at`: no whole record follows anywhere.
fn is_tail(path: &Path, at: u64, error: &record::Error) -> Result<bool, Error> {
    use record::Error as E;
    if matches!(error, E::Kind(_) | E::Head(_) | E::Rows(_) | E::TooLong { .. }) {
        // The checksum is right: this was written so, by a newer version.
        return Ok(false);
    }
    let mut rest = Vec::new();
    let mut file = File::open(path).map_err(io_error(path, "opening"))?;
    file.seek(SeekFrom::Start(at + 1)).map_err(io_error(path, "seeking"))?;
    file.read_to_end(&mut rest).map_err(io_error(path, "reading"))?;
    Ok(!(0..rest.len()).any(|from| Entry::starts(&rest[from..])))
}

/// The segments in `dir`, oldest first.
fn segments(dir: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error(dir, "listing"))? {
        let path = entry.map_err(io_error(dir, "listing"))?.path();
        let name = path.file_name().and_then(|n| n.to_str());
        let first = name.and_then(|n| n.strip_suffix(".log")).and_then(|n| n.parse().ok());
        if let Some(first) = first {
            out.push((first, path));
        }
    }
    out.sort();
    Ok(out)
}

fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.log"))
}

fn create_segment(dir: &Path, first: u64) -> Result<PathBuf, Error> {
    let path = segment_path(dir, first);
    let mut file = File::create_new(&path).map_err(io_error(&path, "making"))?;
    file.write_all(MAGIC).map_err(io_error(&path, "writing"))?;
    file.sync_all().map_err(io_error(&path, "fsync"))?;
    // The name itself must survive, too.
    File::open(dir).and_then(|d| d.sync_all()).map_err(io_error(dir, "fsync"))?;
    Ok(path)
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io_error(&path, "opening"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::InUse(dir.to_owned())),
        Err(fs::TryLockError::Error(source)) => Err(Error::Io { path, doing: "locking", source }),
    }
}

fn io_error(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, doing, source }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, RecordBatch};

    use super::*;
    use crate::store::record::{Idle, Rows, RowsHead};

    fn rows(first: u64, n: u64) -> Entry {
        let values = Arc::new(Int64Array::from_iter_values(0..n as i64));
        let batch = RecordBatch::try_from_iter([("n", values as _)]).unwrap();
        let head = RowsHead { feed: "f".into(), first, rows: n, ..RowsHead::default() };
        Entry::Rows(Rows { head, batches: vec![batch] })
    }

    fn idle(arrival: u64) -> Entry {
        Entry::Idle(Idle { feed: "f".into(), partition: "p".into(), arrival, at_ms: 0 })
    }

    fn fill(dir: &Path, segment_bytes: u64) -> Vec<Entry> {
        let mut log = Log::open_with(dir, segment_bytes).unwrap();
        let entries = vec![rows(1, 3), idle(4), rows(4, 2), rows(6, 4), idle(10)];
        for entry in &entries {
            log.append(entry).unwrap();
        }
        log.sync().unwrap();
        assert_eq!(log.next_arrival(), 10);
        entries
    }

    fn all(dir: &Path, from: u64) -> Vec<Entry> {
        read(dir, from).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_was_appended_is_read_back_from_any_arrival() {
        for segment_bytes in [1, u64::MAX] {
            let dir = tempfile::tempdir().unwrap();
            let entries = fill(dir.path(), segment_bytes);
            for (from, skipped) in [(0, 0), (2, 0), (4, 1), (5, 2), (9, 3), (10, 4), (11, 5)] {
                assert_eq!(all(dir.path(), from), entries[skipped..], "from {from}");
            }
            let log = Log::open(dir.path()).unwrap();
            assert_eq!((log.next_arrival(), log.torn()), (10, None));
        }
    }

    #[test]
    fn what_was_not_synced_can_be_taken_back_over_segments() {
        for segment_bytes in [1, u64::MAX] {
            let dir = tempfile::tempdir().unwrap();
            let entries = fill(dir.path(), segment_bytes);
            let mut log = Log::open_with(dir.path(), segment_bytes).unwrap();
            log.append(&rows(10, 5)).unwrap();
            log.append(&rows(15, 5)).unwrap();
            log.roll_back().unwrap();
            assert_eq!(all(dir.path(), 0), entries);
            log.append(&rows(10, 2)).unwrap();
            log.sync().unwrap();
            assert_eq!(log.next_arrival(), 12);
            assert_eq!(all(dir.path(), 10), [idle(10), rows(10, 2)]);
        }
    }

    #[test]
    fn a_torn_tail_is_cut_at_every_byte_and_the_log_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let entries = fill(dir.path(), u64::MAX);
        let path = dir.path().join(format!("{:020}.log", FIRST_ARRIVAL));
        let whole = fs::read(&path).unwrap();
        let mut ends = vec![MAGIC.len()];
        for entry in &entries {
            let mut bytes = Vec::new();
            entry.encode(&mut bytes).unwrap();
            ends.push(ends.last().unwrap() + bytes.len());
        }
        for cut in (0..whole.len()).step_by(7).chain(ends.iter().copied()) {
            fs::write(&path, &whole[..cut]).unwrap();
            let mut log = Log::open(dir.path()).unwrap();
            let good = ends.partition_point(|e| *e <= cut).saturating_sub(1);
            let torn = log.torn().map_or(0, |t| t.bytes);
            assert_eq!(torn as usize, if cut < 8 { 0 } else { cut - ends[good] }, "cut {cut}");
            let next = log.next_arrival();
            log.append(&rows(next, 1)).unwrap();
            drop(log);
            let expect: Vec<Entry> =
                entries[..good].iter().cloned().chain([rows(next, 1)]).collect();
            assert_eq!(all(dir.path(), 0), expect, "cut {cut}");
        }
    }

    #[test]
    fn zeros_and_garbage_behind_the_end_are_a_torn_tail() {
        for tail in [vec![0; 100], b"garbage that is no record at all".to_vec()] {
            let dir = tempfile::tempdir().unwrap();
            let entries = fill(dir.path(), u64::MAX);
            let path = dir.path().join(format!("{:020}.log", FIRST_ARRIVAL));
            let mut bytes = fs::read(&path).unwrap();
            bytes.extend(&tail);
            fs::write(&path, bytes).unwrap();
            let log = Log::open(dir.path()).unwrap();
            assert_eq!(log.torn().map(|t| t.bytes), Some(tail.len() as u64));
            assert_eq!(all(dir.path(), 0), entries);
        }
    }

    #[test]
    fn damage_before_acknowledged_entries_is_not_cut_away() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), u64::MAX);
        let path = dir.path().join(format!("{:020}.log", FIRST_ARRIVAL));
        // In the length, the checksum, the kind, the head.
        for at in [8, 11, 12, 16, 40] {
            let mut bytes = fs::read(&path).unwrap();
            bytes[at] ^= 0x41;
            fs::write(&path, &bytes).unwrap();
            let error = Log::open(dir.path()).unwrap_err();
            assert!(matches!(error, Error::Damaged { at: 8, .. }), "byte {at}: {error:?}");
            assert_eq!(fs::read(&path).unwrap(), bytes, "left as it was");
            bytes[at] ^= 0x41;
            fs::write(&path, &bytes).unwrap();
        }
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let mut entries = read(dir.path(), 0).unwrap();
        assert!(entries.next().unwrap().is_err());
        assert!(entries.next().is_none());
    }

    #[test]
    fn one_process_at_a_time_and_foreign_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = Log::open(dir.path()).unwrap();
        assert!(matches!(Log::open(dir.path()), Err(Error::InUse(_))));
        drop(open);
        fs::write(dir.path().join(format!("{:020}.log", 7)), "not a log of ours").unwrap();
        assert!(matches!(Log::open(dir.path()), Err(Error::Magic(_))));
    }
}
