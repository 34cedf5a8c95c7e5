//! Files: which ones there are, which have something new, and their bytes.
//!
//! In: a file or a directory. Out: files in the order of their names that grew, are new or were replaced, and slices of
//! them. A [`Position`] says how far a file was taken; with it a finished file is not read again after a restart, and
//! one that was replaced or cut (another inode, or shorter than what was taken) starts over.
//! Not here: where records end in the bytes — see `engine::intake`.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::{Duration, Instant, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// A file that did not change for so long is complete, up to its last byte.
pub const SETTLE_FOR: Duration = Duration::from_secs(5);
/// Endings of files that somebody is still writing under another name.
const UNFINISHED: [&str; 3] = [".tmp", ".part", ".crdownload"];

/// How far a file was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Bytes taken, for text files that can grow.
    pub offset: u64,
    /// Lines or rows taken.
    pub lines: u64,
    /// The file as it was then.
    pub file: FileId,
    /// Everything in it was taken.
    pub done: bool,
}

/// What tells one content of a path from another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// Number of the file in its file system; 0 where there is none.
    pub inode: u64,
    /// Length.
    pub bytes: u64,
    /// Time of the last change, ms.
    pub modified_ms: i64,
}

impl Position {
    /// The position as the log keeps it.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads [`Position::to_text`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether the file that is there now cannot be the one that was taken from, only longer.
    #[must_use]
    pub fn is_of_another(&self, now: FileId) -> bool {
        let began = self.lines > 0 || self.offset > 0;
        let other = self.file.inode != now.inode || now.bytes < self.offset;
        // Compressed and columnar files do not grow.
        began && (other || (self.done && self.file != now))
    }
}

/// A file that may have something to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The file.
    pub path: PathBuf,
    /// What it is now.
    pub id: FileId,
    /// It did not change for [`SETTLE_FOR`], or nobody waits for more.
    pub settled: bool,
}

/// Watches a file or the files of a directory.
#[derive(Debug)]
pub struct Watch {
    root: PathBuf,
    settle_for: Duration,
    seen: BTreeMap<PathBuf, Seen>,
}

#[derive(Debug)]
struct Seen {
    id: FileId,
    since: Instant,
    /// It was given out as settled.
    told_settled: bool,
}

impl Watch {
    /// A watch over `root`, a file or a directory; `once`: what is there is complete.
    #[must_use]
    pub fn new(root: &Path, once: bool) -> Self {
        let settle_for = if once { Duration::ZERO } else { SETTLE_FOR };
        Self { root: root.to_owned(), settle_for, seen: BTreeMap::new() }
    }

    /// The files that changed since the last call, or have settled since, by name.
    ///
    /// # Errors
    /// When the root cannot be read; a file that vanishes meanwhile is passed over.
    pub fn poll(&mut self, now: Instant) -> io::Result<Vec<Ready>> {
        let mut out = Vec::new();
        let paths = paths(&self.root)?;
        self.seen.retain(|path, _| paths.binary_search(path).is_ok());
        for path in paths {
            let Ok(id) = stat(&path) else { continue };
            let mut changed = false;
            let seen = self.seen.entry(path.clone()).or_insert_with(|| {
                changed = true;
                Seen { id, since: now, told_settled: false }
            });
            if seen.id != id {
                changed = true;
                *seen = Seen { id, since: now, told_settled: false };
            }
            let settled = now.duration_since(seen.since) >= self.settle_for;
            if changed || (settled && !seen.told_settled) {
                seen.told_settled = settled;
                out.push(Ready { path, id, settled });
            }
        }
        Ok(out)
    }
}

/// The files at `root`, by name; hidden and unfinished ones are passed over.
///
/// # Errors
/// When it cannot be read.
pub fn paths(root: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(root)?.is_dir() {
        return Ok(vec![root.to_owned()]);
    }
    let mut out = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let skip = name.starts_with('.') || UNFINISHED.iter().any(|e| name.ends_with(e));
        if !skip && path.is_file() {
            out.push(path);
        }
    }
    out.sort();
    Ok(out)
}

/// What the file at `path` is now.
///
/// # Errors
/// When it is not there.
pub fn stat(path: &Path) -> io::Result<FileId> {
    let metadata = fs::metadata(path)?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let modified_ms = i64::try_from(modified.as_millis()).unwrap_or(i64::MAX);
    Ok(FileId { inode: inode(&metadata), bytes: metadata.len(), modified_ms })
}

/// At most `bytes_max` bytes of the file from `offset` on.
///
/// # Errors
/// When it cannot be read.
pub fn slice(path: &Path, offset: u64, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut out = Vec::new();
    file.take(bytes_max).read_to_end(&mut out)?;
    Ok(out)
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(ready: &[Ready]) -> Vec<(&str, bool)> {
        ready.iter().map(|r| (r.path.file_name().unwrap().to_str().unwrap(), r.settled)).collect()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "only differences to the first instant count")]
    fn files_are_given_out_when_they_change_and_when_they_settle() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        for name in ["b.csv", "a.ndjson", ".hidden", "c.csv.part"] {
            write(name, "x");
        }
        let mut watch = Watch::new(dir.path(), false);
        let start = Instant::now();
        let mut poll = |seconds: u64| watch.poll(start + Duration::from_secs(seconds)).unwrap();
        assert_eq!(names(&poll(0)), [("a.ndjson", false), ("b.csv", false)]);
        assert_eq!(names(&poll(1)), []);
        write("b.csv", "xy");
        assert_eq!(names(&poll(2)), [("b.csv", false)]);
        assert_eq!(names(&poll(5)), [("a.ndjson", true)]);
        assert_eq!(names(&poll(7)), [("b.csv", true)]);
        assert_eq!(names(&poll(99)), []);
        write("b.csv", "xyz");
        assert_eq!(names(&poll(100)), [("b.csv", false)]);

        let once = Watch::new(&dir.path().join("a.ndjson"), true).poll(start).unwrap();
        assert_eq!(names(&once), [("a.ndjson", true)]);
        assert!(Watch::new(&dir.path().join("nowhere"), true).poll(start).is_err());
    }

    #[test]
    fn a_replaced_or_cut_file_is_another() {
        let file = FileId { inode: 7, bytes: 100, modified_ms: 1 };
        let taken = Position { offset: 80, lines: 4, file, done: false };
        for (now, done, other) in [
            (FileId { bytes: 200, modified_ms: 2, ..file }, false, false),
            (FileId { bytes: 79, modified_ms: 2, ..file }, false, true),
            (FileId { inode: 8, bytes: 200, ..file }, false, true),
            (file, true, false),
            (FileId { modified_ms: 2, ..file }, true, true),
        ] {
            let position = Position { done, ..taken.clone() };
            assert_eq!(position.is_of_another(now), other, "{now:?} {done}");
            assert_eq!(Position::parse(&position.to_text()), Some(position));
        }
        assert!(!Position::default().is_of_another(file));
    }

    #[test]
    fn slices() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "0123456789").unwrap();
        assert_eq!(slice(&path, 3, 4).unwrap(), b"3456");
        assert_eq!(slice(&path, 8, 100).unwrap(), b"89");
        assert_eq!(slice(&path, 20, 4).unwrap(), b"");
    }
}
