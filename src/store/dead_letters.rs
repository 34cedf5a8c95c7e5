//! Dead letters on disk: `<data>/dead_letters/<feed>.ndjson`, append-only.
//!
//! In: the rows that were refused, with feed, partition and arrival time. Out: the same by filter, to be mended and
//! replayed. The raw bytes are base64; where the feed has personal columns they are sealed with the local key first.
//! A replay is noted as a further line, nothing is ever rewritten. The same letter again is the same letter (its id is a
//! hash of what it is) and open again. A line that a crash cut off is skipped, and the next one starts afresh.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::seal::{Broken, Seal};
use crate::model::{
    batch::{DeadClass, DeadLetter},
    secret::Secret,
};

/// Why dead letters could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("dead letters of feed {feed:?} in {path}: {doing} failed")]
    Io {
        /// The feed.
        feed: String,
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A letter cannot be opened.
    #[error("dead letter {id} of feed {feed:?} cannot be opened")]
    Sealed {
        /// The letter.
        id: String,
        /// The feed.
        feed: String,
        /// Why.
        source: Broken,
    },
}

/// A letter as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// 16 hexadecimal digits, a hash of feed, partition, line, class and bytes.
    pub id: String,
    /// The feed.
    pub feed: String,
    /// The partition it came by.
    pub partition: String,
    /// Line or row in its source, from 1.
    pub line: u64,
    /// Why it was refused.
    pub class: DeadClass,
    /// The same for people.
    pub message: String,
    /// When it arrived last.
    pub at_ms: i64,
    /// When it was replayed, if it was and did not come back since.
    pub replayed_ms: Option<i64>,
    /// Whether its bytes are sealed.
    pub sealed: bool,
    body: Vec<u8>,
}

/// Which letters are asked for; an empty filter asks for all open ones.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this feed only.
    pub feed: Option<String>,
    /// Of these classes only; empty: of all.
    pub classes: Vec<DeadClass>,
    /// Of this partition only.
    pub partition: Option<String>,
    /// With these ids only; empty: all.
    pub ids: Vec<String>,
    /// That arrived at this time or later.
    pub since_ms: Option<i64>,
    /// That arrived before this time.
    pub until_ms: Option<i64>,
    /// Also those that were replayed.
    pub replayed: bool,
}

impl Filter {
    fn takes(&self, letter: &Stored) -> bool {
        (self.classes.is_empty() || self.classes.contains(&letter.class))
            && self.partition.as_ref().is_none_or(|p| *p == letter.partition)
            && (self.ids.is_empty() || self.ids.contains(&letter.id))
            && self.since_ms.is_none_or(|t| letter.at_ms >= t)
            && self.until_ms.is_none_or(|t| letter.at_ms < t)
            && (self.replayed || letter.replayed_ms.is_none())
    }
}

/// Letters found, oldest first, and how many lines were no letters (cut off by a crash).
#[derive(Debug, Default)]
pub struct Listing {
    /// The letters, by feed and first arrival.
    pub letters: Vec<Stored>,
    /// Lines that cannot be read.
    pub unreadable: usize,
}

/// One line of a file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Letter {
        id: String,
        at_ms: i64,
        partition: String,
        line: u64,
        class: String,
        message: String,
        sealed: bool,
        raw: String,
    },
    Replayed {
        id: String,
        replayed_ms: i64,
    },
}

/// The dead letters of an installation.
pub struct DeadLetters {
    dir: PathBuf,
    seal: Seal,
    files: HashMap<String, File>,
}

impl DeadLetters {
    /// Those under `<data>/dead_letters`; the directory is made with the first letter.
    #[must_use]
    pub fn new(data: &Path, secret: &Secret) -> Self {
        Self { dir: dir(data), seal: Seal::new(secret), files: HashMap::new() }
    }

    /// Appends letters of one partition; `sealed` where the feed has personal columns. Returns their ids.
    ///
    /// They are with the system when this returns and on disk after [`Self::sync`].
    ///
    /// # Errors
    /// When the system refuses.
    pub fn append(
        &mut self,
        feed: &str,
        sealed: bool,
        partition: &str,
        at_ms: i64,
        letters: &[DeadLetter],
    ) -> Result<Vec<String>, Error> {
        let mut ids = Vec::with_capacity(letters.len());
        let mut lines = Vec::with_capacity(letters.len());
        for letter in letters {
            let id = id_of(feed, partition, letter);
            let raw = if sealed {
                let closed = self.seal.close(&label(feed, &id), &letter.raw);
                closed.map_err(|e| self.failed(feed, "sealing", e))?
            } else {
                letter.raw.clone()
            };
            lines.push(Line::Letter {
                id: id.clone(),
                at_ms,
                partition: partition.to_owned(),
                line: letter.line,
                class: letter.class.word().to_owned(),
                message: letter.message.clone(),
                sealed,
                raw: BASE64.encode(raw),
            });
            ids.push(id);
        }
        self.write(feed, &lines)?;
        Ok(ids)
    }

    /// Notes that letters were sent again at `at_ms`; one that arrived since then stays open.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn mark_replayed(&mut self, feed: &str, ids: &[String], at_ms: i64) -> Result<(), Error> {
        let lines: Vec<_> =
            ids.iter().map(|id| Line::Replayed { id: id.clone(), replayed_ms: at_ms }).collect();
        self.write(feed, &lines)?;
        self.sync()
    }

    /// Waits until all that was appended is on disk.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn sync(&mut self) -> Result<(), Error> {
        let mut feeds: Vec<_> = self.files.keys().cloned().collect();
        feeds.sort();
        for feed in feeds {
            if let Some(Err(e)) = self.files.get(&feed).map(File::sync_data) {
                return Err(self.failed(&feed, "writing to disk", e));
            }
        }
        Ok(())
    }

    /// The letters that `filter` takes.
    ///
    /// # Errors
    /// When the system refuses; a damaged line is counted, not an error.
    pub fn list(&self, filter: &Filter) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        for feed in self.feeds()? {
            if filter.feed.as_ref().is_none_or(|f| *f == feed) {
                self.list_feed(&feed, filter, &mut listing)?;
            }
        }
        Ok(listing)
    }

    /// The raw bytes of a letter, unsealed.
    ///
    /// # Errors
    /// When it was sealed with another key.
    pub fn raw(&self, letter: &Stored) -> Result<Vec<u8>, Error> {
        if !letter.sealed {
            return Ok(letter.body.clone());
        }
        self.seal.open(&label(&letter.feed, &letter.id), &letter.body).map_err(|source| {
            Error::Sealed { id: letter.id.clone(), feed: letter.feed.clone(), source }
        })
    }

    /// Feeds that have letters, in order.
    fn feeds(&self) -> Result<Vec<String>, Error> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(self.failed("", "listing", e)),
        };
        let name =
            |path: PathBuf| Some(path.file_name()?.to_str()?.strip_suffix(".ndjson")?.to_owned());
        let mut feeds: Vec<_> = entries.flatten().filter_map(|e| name(e.path())).collect();
        feeds.sort();
        Ok(feeds)
    }

    fn list_feed(&self, feed: &str, filter: &Filter, listing: &mut Listing) -> Result<(), Error> {
        let bytes = fs::read(self.path(feed)).map_err(|e| self.failed(feed, "reading", e))?;
        let mut letters: Vec<Stored> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for line in bytes.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()) {
            match read(feed, line) {
                Some(Read::Letter(letter)) => match places.get(&letter.id) {
                    Some(&place) => letters[place] = letter,
                    None => {
                        places.insert(letter.id.clone(), letters.len());
                        letters.push(letter);
                    }
                },
                Some(Read::Replayed(id, at_ms)) => {
                    // One that came back while it was being sent again is noted as sent after it arrived.
                    let letter = places.get(&id).and_then(|i| letters.get_mut(*i));
                    if let Some(letter) = letter.filter(|l| l.at_ms < at_ms) {
                        letter.replayed_ms = Some(at_ms);
                    }
                }
                None => listing.unreadable += 1,
            }
        }
        listing.letters.extend(letters.into_iter().filter(|l| filter.takes(l)));
        Ok(())
    }

    fn write(&mut self, feed: &str, lines: &[Line]) -> Result<(), Error> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)
                .map_err(|e| self.failed(feed, "encoding", io::Error::other(e)))?;
            text.push(b'\n');
        }
        if !self.files.contains_key(feed) {
            let file = self.open(feed).map_err(|e| self.failed(feed, "opening", e))?;
            self.files.insert(feed.to_owned(), file);
        }
        let written = self.files.get_mut(feed).map_or(Ok(()), |file| file.write_all(&text));
        // What a failed write left behind is unknown: the next one opens the file anew and ends the torn line.
        written.map_err(|e| {
            self.files.remove(feed);
            self.failed(feed, "appending", e)
        })
    }

    /// Opens the file of a feed for appending, behind a line that a crash cut off.
    fn open(&self, feed: &str) -> io::Result<File> {
        fs::create_dir_all(&self.dir)?;
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(self.path(feed))?;
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        Ok(file)
    }

    fn path(&self, feed: &str) -> PathBuf {
        file_in(&self.dir, feed)
    }

    fn failed(&self, feed: &str, doing: &'static str, source: io::Error) -> Error {
        let path = if feed.is_empty() { self.dir.clone() } else { self.path(feed) };
        Error::Io { feed: feed.to_owned(), path, doing, source }
    }
}

fn dir(data: &Path) -> PathBuf {
    data.join("dead_letters")
}

/// The file of a feed's letters under the data directory; it may not be there.
#[must_use]
pub fn file(data: &Path, feed: &str) -> PathBuf {
    file_in(&dir(data), feed)
}

fn file_in(dir: &Path, feed: &str) -> PathBuf {
    // Names of feeds are [a-z][a-z0-9_]*; whatever else comes must not leave the directory.
    let safe: String =
        feed.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect();
    dir.join(format!("{safe}.ndjson"))
}

enum Read {
    Letter(Stored),
    Replayed(String, i64),
}

fn read(feed: &str, line: &[u8]) -> Option<Read> {
    match serde_json::from_slice(line).ok()? {
        Line::Replayed { id, replayed_ms } => Some(Read::Replayed(id, replayed_ms)),
        Line::Letter { id, at_ms, partition, line, class, message, sealed, raw } => {
            Some(Read::Letter(Stored {
                feed: feed.to_owned(),
                class: DeadClass::parse(&class)?,
                body: BASE64.decode(raw).ok()?,
                replayed_ms: None,
                id,
                partition,
                line,
                message,
                at_ms,
                sealed,
            }))
        }
    }
}

/// What a seal is bound to.
fn label(feed: &str, id: &str) -> String {
    format!("dead letter {feed} {id}")
}

fn id_of(feed: &str, partition: &str, letter: &DeadLetter) -> String {
    let mut hash = Xxh3::new();
    for part in [feed.as_bytes(), partition.as_bytes(), letter.class.word().as_bytes()] {
        hash.update(part);
        hash.update(b"\0");
    }
    hash.update(&letter.line.to_le_bytes());
    hash.update(&letter.raw);
    format!("{:016x}", hash.digest128() >> 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(dir: &Path) -> DeadLetters {
        DeadLetters::new(dir, &Secret::new([7; 32]))
    }

    fn letter(line: u64, class: DeadClass, raw: &str) -> DeadLetter {
        DeadLetter {
            line, class, message: "column \"a\": …".into(), raw: raw.as_bytes().to_vec()
        }
    }

    fn ids(store: &DeadLetters, filter: &Filter) -> Vec<(u64, &'static str)> {
        let listing = store.list(filter).unwrap();
        listing.letters.iter().map(|l| (l.line, l.class.word())).collect()
    }

    #[test]
    fn letters_come_back_by_filter() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = store(dir.path());
        assert_eq!(ids(&store, &Filter::default()), []);
        store
            .append(
                "complaints",
                true,
                "a.csv",
                1,
                &[letter(2, DeadClass::Type, "x"), letter(3, DeadClass::Late, "y")],
            )
            .unwrap();
        store.append("sampling", false, "b", 5, &[letter(7, DeadClass::Type, "z")]).unwrap();
        for (filter, expect) in [
            (Filter::default(), vec![(2, "type"), (3, "late"), (7, "type")]),
            (Filter { feed: Some("sampling".into()), ..Filter::default() }, vec![(7, "type")]),
            (Filter { classes: vec![DeadClass::Late], ..Filter::default() }, vec![(3, "late")]),
            (
                Filter { partition: Some("a.csv".into()), ..Filter::default() },
                vec![(2, "type"), (3, "late")],
            ),
            (Filter { since_ms: Some(2), ..Filter::default() }, vec![(7, "type")]),
            (Filter { until_ms: Some(5), ..Filter::default() }, vec![(2, "type"), (3, "late")]),
        ] {
            assert_eq!(ids(&store, &filter), expect, "{filter:?}");
        }
    }

    #[test]
    fn personal_bytes_are_sealed_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let mut letters = store(dir.path());
        let raw = "{\"投诉人电话\":\"13800138000\"}";
        letters.append("complaints", true, "p", 1, &[letter(1, DeadClass::Missing, raw)]).unwrap();
        letters.append("open", false, "p", 1, &[letter(1, DeadClass::Missing, raw)]).unwrap();
        let listing = letters.list(&Filter::default()).unwrap();
        for stored in &listing.letters {
            assert_eq!(letters.raw(stored).unwrap(), raw.as_bytes());
            let on_disk =
                fs::read_to_string(dir.path().join(format!("dead_letters/{}.ndjson", stored.feed)))
                    .unwrap();
            assert!(!on_disk.contains("138"), "{on_disk}");
            assert_eq!(on_disk.contains(&BASE64.encode(raw)), stored.feed == "open");
        }
        let stranger = DeadLetters::new(dir.path(), &Secret::new([8; 32]));
        let error = stranger.raw(&listing.letters[0]).unwrap_err().to_string();
        assert!(error.contains("cannot be opened"), "{error}");
    }

    #[test]
    fn replayed_letters_are_closed_until_they_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = store(dir.path());
        let bad = letter(1, DeadClass::Late, "x");
        let found = store.append("f", false, "p", 1, std::slice::from_ref(&bad)).unwrap();
        store.mark_replayed("f", &found, 9).unwrap();
        assert_eq!(ids(&store, &Filter::default()), []);
        let all = Filter { replayed: true, ..Filter::default() };
        assert_eq!(store.list(&all).unwrap().letters[0].replayed_ms, Some(9));
        assert_eq!(store.append("f", false, "p", 12, &[bad]).unwrap(), found);
        let listing = store.list(&Filter::default()).unwrap();
        assert_eq!((listing.letters.len(), listing.letters[0].at_ms), (1, 12));
        store.mark_replayed("f", &found, 11).unwrap();
        assert_eq!(ids(&store, &Filter::default()), [(1, "late")]);
    }

    #[test]
    fn a_torn_last_line_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dead_letters/f.ndjson");
        store(dir.path())
            .append(
                "f",
                false,
                "p",
                1,
                &[letter(1, DeadClass::Type, "a"), letter(2, DeadClass::Type, "b")],
            )
            .unwrap();
        let whole = fs::read(&path).unwrap();
        let first = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
        for cut in [first + 1, first + 40, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            store(dir.path())
                .append("f", false, "p", 2, &[letter(3, DeadClass::Type, "c")])
                .unwrap();
            let listing = store(dir.path()).list(&Filter::default()).unwrap();
            let lines: Vec<_> = listing.letters.iter().map(|l| l.line).collect();
            let expect = if cut == whole.len() - 1 { (vec![1, 2, 3], 0) } else { (vec![1, 3], 1) };
            assert_eq!((lines, listing.unreadable), expect, "cut at {cut}");
        }
    }

    #[test]
    fn no_name_of_a_feed_leaves_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = store(dir.path());
        store.append("../../etc/x", false, "p", 1, &[letter(1, DeadClass::Type, "a")]).unwrap();
        assert!(dir.path().join("dead_letters/______etc_x.ndjson").exists());
    }
}
