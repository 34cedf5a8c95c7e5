//! Handle: how everybody else talks to the engine.
//!
//! In: requests, decoded on the caller's thread and put into a queue with a limit; the engine's one thread takes them in
//! order and answers each when its rows are on disk. Reading alerts goes past the engine, to the store.
//! Promise: a request is refused before anything of it was taken, or it is answered for.
//! Not here: what the engine does with a request — see `run`.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot};
use utoipa::ToSchema;

use super::{
    clock::Clock,
    intake::Intake,
    metrics::Metrics,
    reload::{Asked, Loaded, NotLoaded, Reloads},
    signals::Signals,
};
pub use super::{
    desk::{AlertQuery, DeadLetterQuery, Desk, Error as DeskError},
    intake::Refused,
};
pub use crate::source::push::Push;
pub use crate::store::{
    alerts::{Error as StoreError, Filter, PAGE_MAX, Sort},
    dead_letters::Filter as DeadLetterFilter,
};
use crate::{model::batch::Decoded, source::push};

/// What became of the records of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Answer {
    /// Records that count.
    pub accepted: u64,
    /// Records that were known already.
    pub duplicates: u64,
    /// Records that do not count, by line, the first ones.
    pub dead_letters: Vec<Dead>,
    /// How many of those there are in all.
    pub dead_letters_total: u64,
    /// The request was taken before; this is its answer again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// A record that does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Dead {
    /// Line (text) or row of the body, from 1.
    pub line: u64,
    /// Class of the fault, see [`crate::model::batch::DeadClass`].
    pub class: String,
    /// What was found and what would be right.
    pub message: String,
}

/// Decoded rows of one partition on their way to the engine.
#[derive(Debug)]
pub struct Delivery {
    /// Position of the feed.
    pub feed: usize,
    /// The partition.
    pub partition: Arc<str>,
    /// Rows and dead letters, in order.
    pub decoded: Vec<Decoded>,
    /// Key and hash of the body, where the request may be repeated.
    pub idempotency: Option<(String, u64)>,
    /// When it arrived, ms; now, where it is not said. Not before what came earlier.
    pub arrived_ms: Option<i64>,
    /// Where the source goes on behind it.
    pub position: Option<String>,
    /// The partition has ended and holds back no watermark.
    pub ended: bool,
}

/// A delivery and whom to tell.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) delivery: Delivery,
    pub(super) answer: oneshot::Sender<Result<Answer, Refused>>,
}

/// Whether the engine takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It walks its log and takes nothing yet.
    Recovering(Walk),
    /// It takes requests.
    Ready,
    /// It has stopped for good.
    Stopped(String),
}

/// How far the log is walked on start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walk {
    /// Records so far.
    pub rows: u64,
    /// Records in the log.
    pub of: u64,
}

impl Walk {
    /// The same in percent.
    #[must_use]
    pub fn percent(self) -> u64 {
        self.rows.min(self.of) * 100 / self.of.max(1)
    }
}

/// A way to the engine, as cheap to clone as an [`Arc`]. The engine ends when the last one is gone,
/// or one is told to [`Handle::close`].
#[derive(Debug, Clone)]
pub struct Handle {
    queue: mpsc::Sender<Request>,
    shared: Arc<Shared>,
}

/// What handles and engine share.
#[derive(Debug)]
pub(super) struct Shared {
    intake: Intake,
    pub(super) signals: Arc<Signals>,
    metrics: Arc<Metrics>,
    health: Mutex<Health>,
    /// The engine shall take what waits, and end.
    pub(super) closing: Notify,
    desk: Arc<Desk>,
    clock: Clock,
    reloads: Reloads,
}

impl Shared {
    pub(super) fn new(
        intake: Intake,
        signals: Arc<Signals>,
        metrics: Arc<Metrics>,
        desk: Arc<Desk>,
        clock: Clock,
    ) -> Self {
        let health = Mutex::new(Health::Recovering(Walk::default()));
        Self {
            intake,
            signals,
            metrics,
            health,
            closing: Notify::new(),
            desk,
            clock,
            reloads: Reloads::default(),
        }
    }

    pub(super) fn set_health(&self, health: Health) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Handle {
    pub(super) fn new(queue: mpsc::Sender<Request>, shared: Arc<Shared>) -> Self {
        Self { queue, shared }
    }

    /// Decodes a push and waits until the engine has it on disk.
    ///
    /// # Errors
    /// Any [`Refused`]; nothing was taken then, [`Refused::Stopped`] aside, after which that is not known.
    pub async fn push(&self, push: Push) -> Result<Answer, Refused> {
        // A place in the queue first: what cannot be taken is not worth decoding.
        self.shared.intake.feed(&push.feed)?;
        let place = match self.queue.clone().try_reserve_owned() {
            Ok(place) => place,
            Err(mpsc::error::TrySendError::Full(_)) => {
                return Err(Refused::Full { waiting: self.queue.max_capacity() });
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(self.stopped()),
        };
        let intake = self.shared.intake.clone();
        let decoding = tokio::task::spawn_blocking(move || {
            let (feed, decoded) = intake.push(&push)?;
            let hash = xxhash_rust::xxh3::xxh3_64(&push.body);
            Ok(Delivery {
                feed,
                partition: push.partition.as_deref().unwrap_or(push::PARTITION).into(),
                decoded,
                idempotency: push.idempotency_key.map(|key| (key, hash)),
                arrived_ms: None,
                position: None,
                ended: false,
            })
        });
        let delivery = decoding.await.map_err(|_| self.stopped())??;
        let (answer, answered) = oneshot::channel();
        place.send(Request { delivery, answer });
        answered.await.unwrap_or_else(|_| Err(self.stopped()))
    }

    /// Hands over what a source read and waits until it is on disk. Waits for a place in the queue, too: a source that
    /// can wait must. Not to be called from an asynchronous task.
    ///
    /// # Errors
    /// [`Refused::Stopped`].
    pub fn deliver(&self, delivery: Delivery) -> Result<Answer, Refused> {
        self.send(delivery)?.blocking_recv().unwrap_or_else(|_| Err(self.stopped()))
    }

    /// Hands over several deliveries in order, which may share one wait for the disk. Else as [`Self::deliver`]; the answers
    /// come in the same order.
    pub fn deliver_all(
        &self,
        deliveries: impl IntoIterator<Item = Delivery>,
    ) -> Vec<Result<Answer, Refused>> {
        let sent: Vec<_> = deliveries.into_iter().map(|d| self.send(d)).collect();
        let wait = |answered: oneshot::Receiver<_>| {
            answered.blocking_recv().unwrap_or_else(|_| Err(self.stopped()))
        };
        sent.into_iter().map(|sent| sent.and_then(wait)).collect()
    }

    fn send(
        &self,
        delivery: Delivery,
    ) -> Result<oneshot::Receiver<Result<Answer, Refused>>, Refused> {
        let (answer, answered) = oneshot::channel();
        let send = || self.queue.blocking_send(Request { delivery, answer }).is_ok();
        if self.metrics().waiting(send) { Ok(answered) } else { Err(self.stopped()) }
    }

    /// Lets the engine take what waits and end, although there are other handles.
    pub fn close(&self) {
        self.shared.closing.notify_one();
    }

    /// Requests to read the rules anew, for whoever answers them; `None` when somebody does already.
    #[must_use]
    pub fn reloads(&self) -> Option<mpsc::Receiver<Asked>> {
        self.shared.reloads.requests()
    }

    /// Has rules, lists and feeds read anew.
    ///
    /// # Errors
    /// Why what runs stays as it is.
    pub async fn reload(&self) -> Result<Loaded, NotLoaded> {
        self.shared.reloads.ask().await
    }

    /// The present, as the engine has it.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The signals of the run.
    #[must_use]
    pub fn signals(&self) -> &Signals {
        &self.shared.signals
    }

    /// What sources decode with.
    #[must_use]
    pub fn intake(&self) -> &Intake {
        &self.shared.intake
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// What Prometheus reads, see [`Metrics::text`].
    pub async fn metrics_text(&self) -> String {
        // Where the server is shutting down the rest is still told.
        let outside = self.ask(|desk| Ok(desk.outside())).await.unwrap_or_default();
        let capacity = self.queue.max_capacity();
        let waiting = (capacity - self.queue.capacity(), capacity);
        self.metrics().text(&outside, self.clock().now_ms(), waiting)
    }

    /// Whether the engine takes requests.
    #[must_use]
    pub fn health(&self) -> Health {
        match self.shared.health() {
            Health::Ready if self.queue.is_closed() => {
                Health::Stopped("its thread has ended".into())
            }
            health => health,
        }
    }

    /// Asks the desk, on a thread that may wait for the disk.
    ///
    /// # Errors
    /// Those of the question, and [`DeskError::Interrupted`].
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Desk) -> Result<T, DeskError> + Send + 'static,
    ) -> Result<T, DeskError> {
        let desk = Arc::clone(&self.shared.desk);
        let asked = tokio::task::spawn_blocking(move || question(&desk));
        asked.await.unwrap_or(Err(DeskError::Interrupted))
    }

    /// The desk, for what needs no waiting: following the stream.
    #[must_use]
    pub fn desk(&self) -> &Desk {
        &self.shared.desk
    }

    fn stopped(&self) -> Refused {
        Refused::Stopped(match self.shared.health() {
            Health::Stopped(why) => why,
            Health::Recovering(_) | Health::Ready => "it is shutting down".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        engine::pipeline::{Options, Pipeline},
        feed::FeedSpec,
        model::{
            schema::{Column, ColumnType, FeedSchema},
            secret::Secret,
            time::Zone,
        },
    };

    fn handle(queue_max: usize) -> (Handle, mpsc::Receiver<Request>) {
        let columns = vec![Column::new("at", ColumnType::Timestamp)];
        let feeds = vec![FeedSpec::plain(FeedSchema::new("complaints", columns, 0))];
        let secret = Secret::new([0; 32]);
        let pipeline = Pipeline::try_new(feeds.clone(), &[], Options::default()).unwrap();
        let metrics = Arc::new(Metrics::new(&pipeline, "", &[]));
        let nowhere = Path::new("nowhere");
        let desk = Desk::new(nowhere, &pipeline, Vec::new(), nowhere, secret.clone());
        let intake = Intake::new(feeds.into(), Zone::utc(), secret, 1_000);
        let (sender, queue) = mpsc::channel(queue_max);
        let signals = Arc::new(Signals::new(&[], Zone::utc()));
        let shared = Shared::new(intake, signals, metrics, Arc::new(desk), Clock::default());
        (Handle::new(sender, Arc::new(shared)), queue)
    }

    fn push() -> Push {
        let body = "{\"at\":\"2026-03-05\"}\n".into();
        Push { feed: "complaints".into(), body, ..Push::default() }
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_takes_again_when_there_is_room() {
        let (handle, mut queue) = handle(1);
        let waiting = tokio::spawn({
            let handle = handle.clone();
            async move { handle.push(push()).await }
        });
        while handle.queue.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(handle.push(push()).await, Err(Refused::Full { waiting: 1 })));
        let first = queue.recv().await.expect("the first one waits");
        assert_eq!(first.delivery.decoded[0].lines, [1]);
        let answer = Answer { accepted: 1, ..Answer::default() };
        first.answer.send(Ok(answer.clone())).unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), answer);
        // What cannot be decoded gives its place back.
        let bad = Push { content_type: Some("image/png".into()), ..push() };
        assert!(matches!(handle.push(bad).await, Err(Refused::UnknownFormat(_))));
        assert_eq!(handle.queue.capacity(), 1);
    }

    #[tokio::test]
    async fn an_engine_that_is_gone_says_so() {
        let (handle, queue) = handle(1);
        handle.shared.set_health(Health::Ready);
        drop(queue);
        assert!(matches!(handle.health(), Health::Stopped(_)));
        assert!(matches!(handle.push(push()).await, Err(Refused::Stopped(_))));
    }
}
