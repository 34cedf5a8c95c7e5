//! Remembered: the answers of requests that may be repeated.
//!
//! In: idempotency keys with the hash of the body, and the answer that was given. Out: that answer again, for 24 hours of
//! arrival time. The log holds the keys, so that a restart forgets nothing.

use std::collections::{HashMap, VecDeque};

use super::handle::Answer;
use crate::model::time::HOUR_MS;

/// An answer is kept for so long.
const KEEP_MS: i64 = 24 * HOUR_MS;

/// The answers of the last day. Keys are those of one feed each.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    answers: HashMap<(usize, String), (u64, Answer)>,
    /// Arrival time and key, oldest first.
    order: VecDeque<(i64, (usize, String))>,
}

/// What is known about a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing.
    New,
    /// This body was answered so.
    Same(Answer),
    /// It was used for another body.
    Other,
}

impl Remembered {
    pub(super) fn look_up(&mut self, feed: usize, key: &str, body: u64, now_ms: i64) -> Seen {
        self.forget(now_ms);
        match self.answers.get(&(feed, key.to_owned())) {
            None => Seen::New,
            Some((hash, answer)) if *hash == body => {
                Seen::Same(Answer { repeated: true, ..answer.clone() })
            }
            Some(_) => Seen::Other,
        }
    }

    pub(super) fn insert(&mut self, feed: usize, key: &str, body: u64, at_ms: i64, answer: Answer) {
        let key = (feed, key.to_owned());
        if self.answers.insert(key.clone(), (body, answer)).is_none() {
            self.order.push_back((at_ms, key));
        }
    }

    fn forget(&mut self, now_ms: i64) {
        while let Some((_, key)) = self.order.pop_front_if(|(at, _)| *at < now_ms - KEEP_MS) {
            self.answers.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_given_again_for_a_day() {
        let mut remembered = Remembered::default();
        let answer = Answer { accepted: 3, ..Answer::default() };
        assert_eq!(remembered.look_up(0, "k", 7, 0), Seen::New);
        remembered.insert(0, "k", 7, 0, answer.clone());
        let again = Answer { repeated: true, ..answer };
        assert_eq!(remembered.look_up(0, "k", 7, KEEP_MS), Seen::Same(again));
        assert_eq!(remembered.look_up(0, "k", 8, 0), Seen::Other);
        assert_eq!(remembered.look_up(1, "k", 7, 0), Seen::New);
        assert_eq!(remembered.look_up(0, "k", 7, KEEP_MS + 1), Seen::New);
    }
}
