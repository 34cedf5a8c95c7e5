//! Sheet: the lines of one day, in the order of their arrival once it is done.

use std::ops::Range;

use super::{Feed, Record};

#[derive(Debug, Clone, Copy)]
struct Entry {
    arrived_ms: i64,
    feed: Feed,
    start: u32,
    end: u32,
}

/// Collects lines.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Sheet {
    /// Adds the line that `write` appends.
    #[inline]
    pub(super) fn add(&mut self, feed: Feed, arrived_ms: i64, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len() as u32;
        write(&mut self.bytes);
        self.entries.push(Entry { arrived_ms, feed, start, end: self.bytes.len() as u32 });
    }

    /// Puts the lines into the order of their arrival; those that arrive together stay as they were added.
    pub(super) fn sort(&mut self) {
        self.entries.sort_by_key(|e| (e.arrived_ms, e.feed as u8));
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The line added last, as it is.
    pub(super) fn last_line(&self) -> &[u8] {
        self.entries.last().map_or(&[], |e| &self.bytes[range(e)])
    }

    pub(super) fn record(&self, i: usize) -> Option<Record<'_>> {
        let e = self.entries.get(i)?;
        Some(Record { feed: e.feed, arrived_ms: e.arrived_ms, line: &self.bytes[range(e)] })
    }
}

fn range(e: &Entry) -> Range<usize> {
    e.start as usize..e.end as usize
}
