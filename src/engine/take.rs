//! Take: requests from the queue into the log, through the walk, and answered.
//!
//! In: a group of requests that waited. Out: their rows in the log with one fsync, their alerts told, an answer to each.
//! Dead letters and log are on disk before the pipeline sees a row; a request that was taken before is answered as it was.
//! Where the disk takes no writes nothing of the group is taken, everybody is told so, and the next group is tried anew.

use std::{collections::HashSet, sync::Arc};

use tokio::sync::oneshot;

use super::{
    handle::{Answer, Dead, Delivery, Refused, Request},
    index::Logged,
    pipeline::{Arrival, FeedCounts, Step},
    remembered::Seen,
    run::{Engine, Error, chain},
};
use crate::{
    model::batch::{Batch, DeadLetter},
    store::{
        alerts::Told,
        dead_letters,
        log::{self, Place},
        record::{Entry, Rows, RowsHead, pack_lines},
    },
};

/// A request that is in the log and not yet answered.
struct Taken {
    request: Request,
    head: RowsHead,
    place: Place,
}

impl Engine {
    /// Takes a group of requests with one fsync.
    pub(super) fn take(&mut self, mut group: Vec<Request>, now_ms: i64) -> Result<(), Error> {
        while !group.is_empty() {
            let (mut now, mut later) = (Vec::new(), Vec::new());
            let mut keys = HashSet::new();
            for request in group {
                // A repetition in the same group is answered when the first one is.
                let key = request.delivery.idempotency.as_ref().map(|(key, _)| key.clone());
                let first = key.is_none_or(|key| keys.insert((request.delivery.feed, key)));
                (if first { &mut now } else { &mut later }).push(request);
            }
            self.take_new(now, now_ms)?;
            group = later;
        }
        Ok(())
    }

    fn take_new(&mut self, group: Vec<Request>, now_ms: i64) -> Result<(), Error> {
        let mut taken = Vec::with_capacity(group.len());
        let mut waiting = group.into_iter();
        while let Some(request) = waiting.next() {
            let Some(request) = self.remember(request, now_ms) else { continue };
            match self.append(request, now_ms) {
                Ok(one) => taken.push(one),
                Err(not) if matches!(not.1, Refused::Disk { .. }) => {
                    let (request, refused) = *not;
                    let all = taken.into_iter().map(|one| one.request).chain([request]);
                    self.give_up(all.chain(waiting), &refused);
                    return Ok(());
                }
                Err(not) => {
                    let (request, refused) = *not;
                    let _ = request.answer.send(Err(refused));
                }
            }
        }
        if let Err(error) = self.log.sync() {
            let all = taken.into_iter().map(|one| one.request);
            self.give_up(all, &disk(&error));
            return Ok(());
        }
        let mut told = Vec::new();
        let mut answers = Vec::with_capacity(taken.len());
        for one in taken {
            let (to, answer, alerts) = self.walk(one);
            told.extend(alerts);
            answers.push((to, answer));
        }
        if !told.is_empty() {
            self.teller.tell(told, self.log.next_arrival());
        }
        for (to, answer) in answers {
            // Who asked may be gone; the rows are taken all the same.
            let _ = to.send(Ok(answer));
        }
        Ok(())
    }

    /// Takes nothing of these requests, and tells everybody so.
    fn give_up(&mut self, group: impl Iterator<Item = Request>, refused: &Refused) {
        tracing::error!(why = %refused, "requests are refused");
        self.roll_back();
        for request in group {
            let _ = request.answer.send(Err(refused.clone()));
        }
    }

    /// Takes what was not synced off the log; where that fails, it is tried again with the next entry.
    pub(super) fn roll_back(&mut self) {
        if let Err(error) = self.log.roll_back() {
            tracing::error!(error = chain(&error), "the log cannot be taken back yet");
        }
    }

    /// Answers a request that was taken before; returns one that was not.
    fn remember(&mut self, request: Request, now_ms: i64) -> Option<Request> {
        let Some((key, hash)) = &request.delivery.idempotency else { return Some(request) };
        let answer = match self.remembered.look_up(request.delivery.feed, key, *hash, now_ms) {
            Seen::New => return Some(request),
            Seen::Same(answer) => Ok(answer),
            Seen::Other => Err(Refused::KeyReused(key.clone())),
        };
        let _ = request.answer.send(answer);
        None
    }

    /// Writes the rows of a request to the log, or says why that cannot be.
    fn append(&mut self, request: Request, now_ms: i64) -> Result<Taken, Box<(Request, Refused)>> {
        let delivery = &request.delivery;
        let name = self.pipeline.specs()[delivery.feed].name().to_owned();
        let dead = || delivery.decoded.iter().flat_map(|d| &d.dead);
        let listed = dead().take(self.limits.dead_letters_listed_max);
        let lines: Vec<u64> = delivery.decoded.iter().flat_map(|d| &d.lines).copied().collect();
        let (idempotency_key, body_hash) = delivery.idempotency.clone().unzip();
        let head = RowsHead {
            feed: name,
            partition: delivery.partition.to_string(),
            first: self.log.next_arrival(),
            rows: lines.len() as u64,
            arrived_ms: delivery.arrived_ms.unwrap_or(now_ms),
            lines: pack_lines(&lines),
            idempotency_key,
            body_hash,
            position: delivery.position.clone(),
            dead: listed.map(|d| (d.line, d.class.word().to_owned(), d.message.clone())).collect(),
            dead_total: dead().count() as u64,
        };
        let letters: Vec<DeadLetter> = dead().cloned().collect();
        if let Err(error) = self.bury(delivery.feed, &head, &letters) {
            return Err(Box::new((request, disk(&error))));
        }
        if let Some(position) = &head.position {
            self.positions.insert((head.feed.clone(), head.partition.clone()), position.clone());
        }
        let with_rows = delivery.decoded.iter().map(|d| &d.rows).filter(|rows| rows.num_rows() > 0);
        let entry = Entry::Rows(Rows { head, batches: with_rows.cloned().collect() });
        let appended = self.log.append(&entry);
        let place = self.log.last_place();
        let logged = appended.and_then(|()| match delivery.ended {
            true => self.append_idle(delivery.feed, &delivery.partition, now_ms),
            false => Ok(()),
        });
        let Entry::Rows(Rows { head, .. }) = entry else { unreachable!("made of rows above") };
        match logged {
            Ok(()) => {
                self.metrics.undecoded(delivery.feed, &letters);
                Ok(Taken { request, head, place })
            }
            Err(log::Error::Entry(error)) => {
                let limit = self.limits.body_bytes_max;
                tracing::warn!(error = chain(&error), "a request cannot be logged");
                Err(Box::new((request, Refused::TooLong { limit })))
            }
            Err(error) => Err(Box::new((request, disk(&error)))),
        }
    }

    /// Walks the rows of a logged request.
    fn walk(
        &mut self,
        taken: Taken,
    ) -> (oneshot::Sender<Result<Answer, Refused>>, Answer, Vec<Told>) {
        let Taken { request: Request { delivery, answer: to }, head, place } = taken;
        let (feed, ended) = (delivery.feed, delivery.ended);
        let mut step = self.arrive(feed, &head, batches(delivery), place);
        let answer = self.answer(&head, feed, &step);
        self.bury_refused(feed, &head, &mut step);
        if let (Some(key), Some(hash)) = (&head.idempotency_key, head.body_hash) {
            self.remembered.insert(feed, key, hash, head.arrived_ms, answer.clone());
        }
        let mut told = self.teller.told(step.alerts);
        if ended {
            told.extend(self.walk_idle(
                feed,
                &head.partition,
                head.first + head.rows,
                head.arrived_ms,
            ));
        }
        (to, answer, told)
    }

    /// Rows of one request, which lie at `place` of the log, through the walk.
    pub(super) fn arrive(
        &mut self,
        feed: usize,
        head: &RowsHead,
        batches: Vec<Batch>,
        place: Place,
    ) -> Step {
        self.clock.reach(head.arrived_ms);
        self.heard.insert((feed, head.partition.as_str().into()), head.arrived_ms);
        let rows: Vec<_> = batches.iter().map(|b| (b.rows.clone(), Arc::clone(&b.lines))).collect();
        let mut step = if batches.is_empty() {
            Step::default()
        } else {
            self.metrics.arrived(feed, &batches, head.arrived_ms, self.pipeline.zone());
            let arrived_ms = vec![head.arrived_ms];
            let _timer = self.metrics.evaluation_timer();
            self.pipeline.arrive(Arrival { batches, order: None, first: head.first, arrived_ms })
        };
        self.metrics.stepped(&step);
        let logged = Logged { head, feed, place, batches: &rows };
        self.desk.took(&logged, &step, self.pipeline.watermarks());
        self.signals.take(std::mem::take(&mut step.signals));
        step
    }

    /// What is answered: what was found before the walk and in it.
    pub(super) fn answer(&self, head: &RowsHead, feed: usize, step: &Step) -> Answer {
        let counts: FeedCounts = step.counts.get(feed).copied().unwrap_or_default();
        let mut dead_letters: Vec<Dead> = head
            .dead
            .iter()
            .map(|(line, class, message)| Dead {
                line: *line,
                class: class.clone(),
                message: message.clone(),
            })
            .chain(step.dead.iter().map(|(_, _, d)| Dead {
                line: d.line,
                class: d.class.word().to_owned(),
                message: d.message.clone(),
            }))
            .collect();
        dead_letters.sort();
        dead_letters.truncate(self.limits.dead_letters_listed_max);
        Answer {
            accepted: counts.accepted,
            duplicates: counts.duplicates,
            dead_letters,
            dead_letters_total: head.dead_total + step.dead.len() as u64,
            repeated: false,
        }
    }

    /// Writes refused rows to the dead letters.
    fn bury(
        &mut self,
        feed: usize,
        head: &RowsHead,
        letters: &[DeadLetter],
    ) -> Result<(), dead_letters::Error> {
        if letters.is_empty() {
            return Ok(());
        }
        let sealed = self.pipeline.specs()[feed].schema.has_personal();
        let (dead, partition) = (&mut self.dead, &head.partition);
        dead.append(&head.feed, sealed, partition, head.arrived_ms, letters)?;
        dead.sync()
    }

    /// The rows that a step refused. They are in the log, so that they are not lost where this fails.
    pub(super) fn bury_refused(&mut self, feed: usize, head: &RowsHead, step: &mut Step) {
        let letters: Vec<DeadLetter> = step.dead.drain(..).map(|(_, _, letter)| letter).collect();
        if let Err(error) = self.bury(feed, head, &letters) {
            let n = letters.len();
            tracing::error!(error = chain(&error), n, "dead letters are not written");
        }
    }
}

/// Why the disk does not take what was sent.
fn disk(error: &(dyn std::error::Error + 'static)) -> Refused {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let mut cause = Some(error);
    let mut full = false;
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        full |= io.is_some_and(|e| matches!(e.kind(), StorageFull | QuotaExceeded));
        cause = error.source();
    }
    Refused::Disk { full, why: chain(error) }
}

fn batches(delivery: Delivery) -> Vec<Batch> {
    let Delivery { feed, partition, decoded, .. } = delivery;
    let filled = decoded.into_iter().filter(|d| d.rows.num_rows() > 0);
    filled
        .map(|d| Batch {
            feed,
            partition: Arc::clone(&partition),
            rows: d.rows,
            lines: d.lines.into(),
            raw: d.raw.map(Arc::new),
        })
        .collect()
}
