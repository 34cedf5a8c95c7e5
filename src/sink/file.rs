//! File sink: one line of JSON per revision.
//!
//! In: revisions in order. Promise: a revision is one whole line, written at most once, also across restarts: the last
//! whole line names the revision to go on behind; half a line, left by a crash, is cut off. What was delivered is on
//! disk when [`FileSink::deliver`] returns.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value};

/// How much of the end of the file is read at once when looking for the last line.
const TAIL_BYTES: u64 = 64 << 10;

/// Why the file could not be opened or written.
#[derive(Debug, thiserror::Error)]
#[error("alert file {path}: {doing} failed")]
pub struct Error {
    /// The file.
    path: PathBuf,
    /// What was tried.
    doing: &'static str,
    /// What the system said.
    source: io::Error,
}

/// The file, open for appending.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    file: File,
    /// Length up to the last whole line.
    bytes: u64,
    last: Option<Last>,
}

/// The revision in the last line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Last {
    /// The alert's id.
    pub id: String,
    /// The revision.
    pub revision: u32,
}

impl FileSink {
    /// Opens the file, which is made with its directory if need be, and cuts off half a line at its end.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |doing| move |source| Error { path: path.to_owned(), doing, source };
        if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
            fs::create_dir_all(dir).map_err(failed("making its directory"))?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("opening"))?;
        let (bytes, line) = last_line(&mut file).map_err(failed("reading its end"))?;
        file.set_len(bytes).map_err(failed("cutting half a line"))?;
        file.seek(SeekFrom::Start(bytes)).map_err(failed("seeking"))?;
        // A last line that is not ours names no revision; what was delivered is then known from the store alone.
        let last = serde_json::from_slice(&line).ok();
        Ok(Self { path: path.to_owned(), file, bytes, last })
    }

    /// The revision in the last line of the file, where it holds one.
    #[must_use]
    pub fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }

    /// Appends a line for each of `revisions`.
    ///
    /// # Errors
    /// When the system refuses; the file is then as before, so the same may be delivered again.
    pub fn deliver<'a>(
        &mut self,
        revisions: impl IntoIterator<Item = &'a Map<String, Value>>,
    ) -> Result<(), Error> {
        let mut lines = Vec::new();
        for revision in revisions {
            let failed = |e: serde_json::Error| self.error("writing", e.into());
            serde_json::to_writer(&mut lines, revision).map_err(failed)?;
            lines.push(b'\n');
        }
        if lines.is_empty() {
            return Ok(());
        }
        if let Err(source) = self.file.write_all(&lines).and_then(|()| self.file.sync_data()) {
            // Best effort: half a line would be cut on the next open, too.
            let _ = self.file.set_len(self.bytes);
            let _ = self.file.seek(SeekFrom::Start(self.bytes));
            return Err(self.error("writing", source));
        }
        self.bytes += lines.len() as u64;
        Ok(())
    }

    fn error(&self, doing: &'static str, source: io::Error) -> Error {
        Error { path: self.path.clone(), doing, source }
    }
}

/// The length up to the end of the last whole line, and that line.
fn last_line(file: &mut File) -> io::Result<(u64, Vec<u8>)> {
    let length = file.metadata()?.len();
    let mut tail_bytes = TAIL_BYTES;
    loop {
        let from = length.saturating_sub(tail_bytes);
        file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let end = memchr::memrchr(b'\n', &tail);
        let start = end.and_then(|end| memchr::memrchr(b'\n', &tail[..end]));
        match (end, start) {
            (Some(end), Some(start)) => {
                return Ok((from + end as u64 + 1, tail[start + 1..end].to_vec()));
            }
            (Some(end), None) if from == 0 => return Ok((end as u64 + 1, tail[..end].to_vec())),
            (None, _) if from == 0 => return Ok((0, Vec::new())),
            _ => tail_bytes *= 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn revision(id: &str, revision: u32, padding: usize) -> Map<String, Value> {
        let value = json!({"id": id, "revision": revision, "message": "投".repeat(padding)});
        value.as_object().unwrap().clone()
    }

    fn last(id: &str, revision: u32) -> Last {
        Last { id: id.into(), revision }
    }

    #[test]
    fn goes_on_behind_the_last_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out/alerts.ndjson");
        let mut sink = FileSink::open(&path).unwrap();
        assert_eq!(sink.last(), None);
        sink.deliver(&[revision("a-1", 1, 3), revision("a-1", 2, 3)]).unwrap();
        drop(sink);
        assert_eq!(FileSink::open(&path).unwrap().last(), Some(&last("a-1", 2)));

        // A crash left half a line.
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let mut sink = FileSink::open(&path).unwrap();
        assert_eq!(sink.last(), Some(&last("a-1", 1)));
        sink.deliver(&[revision("a-1", 2, 3)]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn lines_longer_than_the_tail_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.ndjson");
        let mut sink = FileSink::open(&path).unwrap();
        sink.deliver(&[revision("a-1", 1, 100_000), revision("b-1", 1, 200_000)]).unwrap();
        drop(sink);
        assert_eq!(FileSink::open(&path).unwrap().last(), Some(&last("b-1", 1)));
    }

    #[test]
    fn a_foreign_file_is_kept_and_names_no_revision() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.ndjson");
        fs::write(&path, "notes of somebody\n").unwrap();
        let mut sink = FileSink::open(&path).unwrap();
        assert_eq!(sink.last(), None);
        sink.deliver(&[revision("a-1", 1, 0)]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    }
}
