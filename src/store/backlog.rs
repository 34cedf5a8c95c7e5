//! Backlog: how many dead letters of a feed are open.
//!
//! In: the feed's file as it grows, whoever writes to it. Out: letters that were not sent again since they arrived. What was
//! read is not read again; a file that has become shorter is another one.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::PathBuf,
};

use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

/// The open letters of one feed.
#[derive(Debug)]
pub struct Backlog {
    path: PathBuf,
    /// Bytes that were read.
    read: u64,
    /// Hash of the id → when the letter arrived last, ms.
    open: HashMap<u64, i64>,
}

/// What a line says of a letter: that it arrived, or that it was sent again.
#[derive(Deserialize)]
struct Line {
    id: String,
    at_ms: Option<i64>,
    replayed_ms: Option<i64>,
}

impl Backlog {
    /// The backlog in this file, see [`super::dead_letters::file`]; it need not be there.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, read: 0, open: HashMap::new() }
    }

    /// Reads what is new, and returns how many letters are open.
    ///
    /// # Errors
    /// When the system refuses; a file that is not there holds none.
    pub fn look(&mut self) -> io::Result<usize> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *self = Self::new(std::mem::take(&mut self.path));
                return Ok(0);
            }
            Err(error) => return Err(error),
        };
        let bytes = file.metadata()?.len();
        if bytes < self.read {
            *self = Self::new(std::mem::take(&mut self.path));
        }
        if bytes > self.read {
            file.seek(SeekFrom::Start(self.read))?;
            let mut new = Vec::new();
            file.take(bytes - self.read).read_to_end(&mut new)?;
            // A line that is being written is read the next time.
            let whole = new.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
            new[..whole].split(|b| *b == b'\n').for_each(|line| self.take(line));
            self.read += whole as u64;
        }
        Ok(self.open.len())
    }

    fn take(&mut self, line: &[u8]) {
        let Ok(Line { id, at_ms, replayed_ms }) = serde_json::from_slice(line) else { return };
        let id = xxh3_64(id.as_bytes());
        if let Some(at_ms) = at_ms {
            self.open.insert(id, at_ms);
        } else if self.open.get(&id).is_some_and(|at_ms| replayed_ms.is_some_and(|r| *at_ms < r)) {
            self.open.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;
    use crate::{
        model::{
            batch::{DeadClass, DeadLetter},
            secret::Secret,
        },
        store::dead_letters::{DeadLetters, Filter, file},
    };

    #[test]
    fn the_backlog_is_what_a_listing_shows() {
        let dir = tempfile::tempdir().unwrap();
        let mut letters = DeadLetters::new(dir.path(), &Secret::new([7; 32]));
        let path = file(dir.path(), "complaints");
        let mut backlog = Backlog::new(path.clone());
        assert_eq!(backlog.look().unwrap(), 0);
        let letter = |line| DeadLetter {
            line,
            class: DeadClass::Syntax,
            message: String::new(),
            raw: b"x\n".to_vec(),
        };
        let mut append = |at_ms, lines: &[u64]| {
            let new: Vec<DeadLetter> = lines.iter().map(|line| letter(*line)).collect();
            let ids = letters.append("complaints", true, "p", at_ms, &new).unwrap();
            (ids, letters.list(&Filter::default()).unwrap().letters.len())
        };
        let (ids, listed) = append(10, &[1, 2, 3]);
        assert_eq!((backlog.look().unwrap(), listed), (3, 3));
        // The same letter again is one letter.
        assert_eq!(append(20, &[3, 4]).1, 4);
        assert_eq!(backlog.look().unwrap(), 4);
        // Sent again, but the third one came back since.
        letters.mark_replayed("complaints", &ids, 15).unwrap();
        let open = letters.list(&Filter::default()).unwrap().letters.len();
        assert_eq!((backlog.look().unwrap(), open), (2, 2));
        assert_eq!(Backlog::new(path.clone()).look().unwrap(), 2, "read at once it is the same");

        // Half a line is waited for.
        let text = fs::read(&path).unwrap();
        let mut half = fs::OpenOptions::new().append(true).open(&path).unwrap();
        half.write_all(b"{\"id\":\"ab\",\"at_ms\":3").unwrap();
        assert_eq!(backlog.look().unwrap(), 2);
        half.write_all(b"0}\n").unwrap();
        assert_eq!(backlog.look().unwrap(), 3);
        // Another file in its place.
        fs::write(&path, &text[..text.len() / 3]).unwrap();
        let listed = letters.list(&Filter::default()).unwrap().letters.len();
        assert_eq!(backlog.look().unwrap(), listed);
        fs::remove_file(&path).unwrap();
        assert_eq!(backlog.look().unwrap(), 0);
    }
}
