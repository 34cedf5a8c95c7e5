//! Latest: dead letters from the last one back, reading no more of the files than a page needs.
//!
//! In: a filter, and where the page before ended. Out: the letters in order of arrival, last one first; those that arrived
//! at one time by name of the feed, from the end of its file. What stands behind a letter in its file tells whether it came
//! back or was sent again since, so every page is read from the end: a page costs what lies before it, not the whole.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
};

use super::{DeadLetters, Error, Filter, Read, Stored, read};

/// Bytes that are read at once.
const BLOCK: u64 = 1 << 16;

/// Where a letter stands among all; greater is later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it arrived. Where the clock was set back, as late as what stands behind it in the file allows.
    pub at_ms: i64,
    /// Its feed.
    pub feed: String,
    /// Where its line begins, bytes.
    pub offset: u64,
}

impl DeadLetters {
    /// The latest `limit` letters that `filter` takes, behind `behind` if given, each with its place, and whether there are
    /// more.
    ///
    /// # Errors
    /// When the system refuses; a damaged line is no letter.
    pub fn latest(
        &self,
        filter: &Filter,
        behind: Option<&Place>,
        limit: usize,
    ) -> Result<(Vec<(Stored, Place)>, bool), Error> {
        let mut feeds = Vec::new();
        for feed in self.feeds()? {
            if filter.feed.as_ref().is_none_or(|f| *f == feed) {
                let mut back = Backwards::open(self, feed)?;
                let head = back.next(self, filter, behind)?;
                feeds.extend(head.map(|head| (head, back)));
            }
        }
        let mut out = Vec::new();
        while out.len() < limit {
            let last = feeds.iter().enumerate().max_by(|a, b| a.1.0.1.cmp(&b.1.0.1));
            let Some((i, _)) = last else { break };
            let (head, back) = &mut feeds[i];
            let next = back.next(self, filter, behind)?;
            match next {
                Some(next) => out.push(std::mem::replace(head, next)),
                None => out.push(feeds.swap_remove(i).0),
            }
        }
        Ok((out, !feeds.is_empty()))
    }
}

/// The letters of one feed, last one first.
struct Backwards {
    feed: String,
    lines: Lines,
    /// Letters that arrived again since.
    seen: HashSet<String>,
    /// When letters were sent again.
    replayed: HashMap<String, i64>,
    /// The earliest arrival so far.
    at_ms: i64,
}

impl Backwards {
    fn open(letters: &DeadLetters, feed: String) -> Result<Self, Error> {
        let lines = Lines::open(File::open(letters.path(&feed)))
            .map_err(|e| letters.failed(&feed, "opening", e))?;
        let (seen, replayed) = (HashSet::new(), HashMap::new());
        Ok(Self { feed, lines, seen, replayed, at_ms: i64::MAX })
    }

    /// The next letter that `filter` takes behind a place.
    fn next(
        &mut self,
        letters: &DeadLetters,
        filter: &Filter,
        behind: Option<&Place>,
    ) -> Result<Option<(Stored, Place)>, Error> {
        loop {
            let line = self.lines.next().map_err(|e| letters.failed(&self.feed, "reading", e))?;
            let Some((offset, line)) = line else { return Ok(None) };
            match read(&self.feed, &line) {
                Some(Read::Letter(mut letter)) => {
                    self.at_ms = self.at_ms.min(letter.at_ms);
                    if !self.seen.insert(letter.id.clone()) {
                        continue;
                    }
                    let replayed = self.replayed.get(&letter.id).copied();
                    letter.replayed_ms = replayed.filter(|ms| letter.at_ms < *ms);
                    let place = Place { at_ms: self.at_ms, feed: self.feed.clone(), offset };
                    if behind.is_none_or(|b| place < *b) && filter.takes(&letter) {
                        return Ok(Some((letter, place)));
                    }
                }
                Some(Read::Replayed(id, at_ms)) => {
                    let known = self.replayed.entry(id).or_insert(at_ms);
                    *known = at_ms.max(*known);
                }
                None => {}
            }
        }
    }
}

/// The lines of a file, last one first.
struct Lines {
    file: File,
    /// Where the part begins that was read and not yet handed out.
    start: u64,
    /// That part.
    part: VecDeque<u8>,
}

impl Lines {
    fn open(file: io::Result<File>) -> io::Result<Self> {
        let mut file = file?;
        let start = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, start, part: VecDeque::new() })
    }

    /// The line before those that were handed out, with the place of its first byte; empty ones are left out.
    fn next(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        // How much of the end of the part holds no line end.
        let mut searched = 0;
        loop {
            let unsearched = self.part.len() - searched;
            let end = self.part.range(..unsearched).rposition(|b| *b == b'\n');
            match end {
                Some(at) => {
                    let line: Vec<u8> = self.part.split_off(at + 1).into();
                    let offset = self.start + at as u64 + 1;
                    self.part.pop_back();
                    if !line.is_empty() {
                        return Ok(Some((offset, line)));
                    }
                    searched = 0;
                }
                None if self.start == 0 => {
                    let line: Vec<u8> = std::mem::take(&mut self.part).into();
                    return Ok((!line.is_empty()).then_some((0, line)));
                }
                None => {
                    searched = self.part.len();
                    self.read_back()?;
                }
            }
        }
    }

    fn read_back(&mut self) -> io::Result<()> {
        let length = BLOCK.min(self.start);
        self.start -= length;
        self.file.seek(SeekFrom::Start(self.start))?;
        let mut block = vec![0; length as usize];
        self.file.read_exact(&mut block)?;
        for byte in block.into_iter().rev() {
            self.part.push_front(byte);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::model::{
        batch::{DeadClass, DeadLetter},
        secret::Secret,
    };

    fn store(dir: &Path) -> DeadLetters {
        DeadLetters::new(dir, &Secret::new([7; 32]))
    }

    fn letter(line: u64, length: usize) -> DeadLetter {
        let class = if line.is_multiple_of(3) { DeadClass::Late } else { DeadClass::Type };
        DeadLetter { line, class, message: "…".into(), raw: vec![b'x'; length] }
    }

    /// All letters by pages of `limit`.
    fn walk(store: &DeadLetters, filter: &Filter, limit: usize) -> Vec<Stored> {
        let (mut out, mut behind) = (Vec::new(), None);
        loop {
            let (page, more) = store.latest(filter, behind.as_ref(), limit).unwrap();
            assert!(page.windows(2).all(|w| w[0].1 > w[1].1));
            assert!(page.len() == limit || !more);
            behind = page.last().map(|(_, place)| place.clone());
            out.extend(page.into_iter().map(|(letter, _)| letter));
            if !more {
                return out;
            }
        }
    }

    #[test]
    fn pages_show_what_the_whole_list_holds_last_one_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = store(dir.path());
        let mut replayed = Vec::new();
        for i in 0..400u64 {
            let feed = ["a", "b", "c"][(i % 7 % 3) as usize];
            // Some come again; some lines are longer than what is read at once; at times the clock is set back.
            let bad = letter(i % 250, if i % 90 == 5 { 3 * BLOCK as usize } else { 400 });
            let at_ms = 1_000 + (i as i64 / 4) * 10 - if i == 200 { 300 } else { 0 };
            let ids = store.append(feed, i % 2 == 0, "p", at_ms, &[bad]).unwrap();
            if i.is_multiple_of(11) {
                store.mark_replayed(feed, &ids, at_ms + 5).unwrap();
                replayed.extend(ids);
            }
        }
        for filter in [
            Filter::default(),
            Filter { replayed: true, ..Filter::default() },
            Filter { feed: Some("b".into()), ..Filter::default() },
            Filter { classes: vec![DeadClass::Late], ..Filter::default() },
            Filter { since_ms: Some(1_500), until_ms: Some(1_900), ..Filter::default() },
            Filter { ids: replayed, replayed: true, ..Filter::default() },
            Filter { feed: Some("d".into()), ..Filter::default() },
        ] {
            let sorted = |mut letters: Vec<Stored>| {
                letters.sort_by(|a, b| (&a.feed, &a.id).cmp(&(&b.feed, &b.id)));
                letters
            };
            let whole = sorted(store.list(&filter).unwrap().letters);
            for limit in [1, 7, 100, 1_000] {
                assert_eq!(sorted(walk(&store, &filter, limit)), whole, "{limit} {filter:?}");
            }
        }
    }

    #[test]
    fn letters_that_come_between_two_pages_move_none() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = store(dir.path());
        let letters: Vec<DeadLetter> = (1..=9).map(|line| letter(line, 10)).collect();
        store.append("a", false, "p", 5, &letters).unwrap();
        let lines = |page: &[(Stored, Place)]| page.iter().map(|(l, _)| l.line).collect::<Vec<_>>();
        let (first, _) = store.latest(&Filter::default(), None, 4).unwrap();
        assert_eq!(lines(&first), [9, 8, 7, 6]);
        store.append("a", false, "p", 5, &[letter(20, 10)]).unwrap();
        store.append("b", false, "p", 5, &[letter(21, 10)]).unwrap();
        // One of the second page comes again, and is then among the latest.
        store.append("a", false, "p", 6, &[letters[3].clone()]).unwrap();
        let behind = Some(&first[3].1);
        let (second, more) = store.latest(&Filter::default(), behind, 9).unwrap();
        assert_eq!((lines(&second), more), (vec![5, 3, 2, 1], false));
    }

    #[test]
    fn a_page_reads_the_end_of_the_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = store(dir.path());
        let letters: Vec<DeadLetter> = (1..=500).map(|line| letter(line, 1_000)).collect();
        store.append("a", false, "p", 5, &letters).unwrap();
        let path = dir.path().join("dead_letters/a.ndjson");
        let length = fs::metadata(&path).unwrap().len();
        let mut back = Backwards::open(&store, "a".into()).unwrap();
        for _ in 0..50 {
            back.next(&store, &Filter::default(), None).unwrap().unwrap();
        }
        assert!(length - back.lines.start < 3 * BLOCK, "{} of {length}", back.lines.start);
        // A last line that a crash cut off is no letter, nor is an empty file's.
        fs::write(&path, &fs::read(&path).unwrap()[..length as usize - 7]).unwrap();
        fs::write(dir.path().join("dead_letters/b.ndjson"), "").unwrap();
        let (page, _) = store.latest(&Filter::default(), None, 2).unwrap();
        assert_eq!(page.iter().map(|(l, _)| l.line).collect::<Vec<_>>(), [499, 498]);
    }
}
