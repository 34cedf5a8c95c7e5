//! Stream: the latest revisions, for those who follow alerts as they come.
//!
//! In: the mark of each stored revision, in order. Out: the marks behind a number, or that there is a gap and the list must
//! be read anew. Promise: the engine never waits for a follower; a follower sees every revision or is told of the gap.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::store::alerts::Mark;

/// Revisions that are remembered.
pub const REMEMBERED: usize = 10_000;
/// Followers at the same time.
pub const FOLLOWERS_MAX: usize = 256;
/// The number that tells followers to leave.
const ENDED: i64 = i64::MAX;

/// The ring of the latest revisions.
#[derive(Debug)]
pub struct Stream {
    marks: Mutex<VecDeque<Mark>>,
    latest: watch::Sender<i64>,
    seats: Arc<Semaphore>,
    remembered: usize,
}

/// One who follows.
#[derive(Debug)]
pub struct Follower {
    latest: watch::Receiver<i64>,
    /// Number of the last revision that was handed over.
    seq: i64,
    _seat: OwnedSemaphorePermit,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Revisions, oldest first.
    Revisions(Vec<Mark>),
    /// What came in between is forgotten: read the list anew; the stream goes on behind this number.
    Gap(i64),
    /// The server is shutting down.
    End,
}

impl Default for Stream {
    fn default() -> Self {
        Self::of(REMEMBERED, FOLLOWERS_MAX)
    }
}

impl Stream {
    fn of(remembered: usize, followers_max: usize) -> Self {
        let seats = Arc::new(Semaphore::new(followers_max));
        Self { marks: Mutex::default(), latest: watch::Sender::new(0), seats, remembered }
    }

    /// Adds revisions that were stored, in order.
    pub fn add(&self, new: impl IntoIterator<Item = Mark>) {
        let mut marks = self.marks();
        marks.extend(new);
        let more = marks.len().saturating_sub(self.remembered);
        marks.drain(..more);
        let latest = marks.back().map_or(0, |(seq, ..)| *seq);
        drop(marks);
        self.latest.send_if_modified(|known| {
            let news = *known != ENDED && *known < latest;
            if news {
                *known = latest;
            }
            news
        });
    }

    /// Number of the latest revision; 0 before the first.
    #[must_use]
    pub fn latest(&self) -> i64 {
        self.marks().back().map_or(0, |(seq, ..)| *seq)
    }

    /// Follows behind number `after`, or from now on; `None` when there are too many followers.
    #[must_use]
    pub fn follow(&self, after: Option<i64>) -> Option<Follower> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        let mut latest = self.latest.subscribe();
        latest.mark_changed();
        Some(Follower { latest, seq: after.unwrap_or_else(|| self.latest()), _seat: seat })
    }

    /// Tells all followers to leave.
    pub fn end(&self) {
        self.latest.send_replace(ENDED);
    }

    fn behind(&self, seq: i64) -> News {
        let marks = self.marks();
        let (first, last) = match (marks.front(), marks.back()) {
            (Some((first, ..)), Some((last, ..))) => (*first, *last),
            _ if seq == 0 => return News::Revisions(Vec::new()),
            _ => return News::Gap(0),
        };
        if seq < first - 1 || seq > last {
            return News::Gap(last);
        }
        let from = marks.partition_point(|(s, ..)| *s <= seq);
        News::Revisions(marks.iter().skip(from).cloned().collect())
    }

    fn marks(&self) -> MutexGuard<'_, VecDeque<Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    /// Waits for news; never gives an empty list of revisions.
    pub async fn next(&mut self, stream: &Stream) -> News {
        loop {
            if self.latest.changed().await.is_err() || *self.latest.borrow_and_update() == ENDED {
                return News::End;
            }
            match stream.behind(self.seq) {
                News::Revisions(marks) => {
                    let Some((seq, ..)) = marks.last() else { continue };
                    self.seq = *seq;
                    return News::Revisions(marks);
                }
                News::Gap(seq) => {
                    self.seq = seq;
                    return News::Gap(seq);
                }
                News::End => return News::End,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(seq: i64) -> Mark {
        (seq, format!("a{seq}"), 1)
    }

    #[tokio::test]
    async fn a_follower_sees_everything_or_is_told_of_the_gap() {
        let stream = Stream::of(3, 2);
        stream.add([mark(1), mark(2)]);
        let mut early = stream.follow(Some(0)).unwrap();
        assert_eq!(early.next(&stream).await, News::Revisions(vec![mark(1), mark(2)]));
        let mut late = stream.follow(None).unwrap();
        assert!(stream.follow(None).is_none(), "no seat is left");
        stream.add((3..=6).map(mark));
        assert_eq!(late.next(&stream).await, News::Gap(6), "3 is forgotten");
        stream.add([mark(7)]);
        assert_eq!(late.next(&stream).await, News::Revisions(vec![mark(7)]));
        drop(early);
        let mut other = stream.follow(Some(99)).unwrap();
        assert_eq!(other.next(&stream).await, News::Gap(7), "of another store");
        stream.end();
        assert_eq!(late.next(&stream).await, News::End);
        stream.add([mark(8)]);
        assert_eq!(other.next(&stream).await, News::End);
    }
}
