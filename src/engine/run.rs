//! Run: the live engine, one thread that owns log, pipeline and alert store.
//!
//! In: deliveries from the queue, and the passing of time. Out: answers, alerts in the store and in the sinks.
//! The order of writes is the promise: dead letters and log are on disk before the pipeline sees a row, alerts are stored
//! with the arrival number behind it in one transaction, then the sinks get them, then the request is answered. Requests
//! that wait share one fsync.
//! Not here: what becomes of a request (`take`), of silence (`silence`) and of alerts (`tell`), and the walk through the log
//! on start (`recover`).

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, thread, time::Duration};

use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::sleep,
};

use super::{
    clock::Clock,
    config::{Limits, Outlet},
    desk::Desk,
    handle::{Handle, Health, Request, Shared},
    intake::Intake,
    metrics::Metrics,
    outlets::{self, Outlets},
    pipeline::Pipeline,
    remembered::Remembered,
    signals::Signals,
    tell::{self, Teller},
};
use crate::{
    model::secret::Secret,
    rule::file::RuleFile,
    sink::file,
    store::{
        alerts,
        dead_letters::DeadLetters,
        log::{self, Log},
    },
};

/// Requests that share one fsync at most.
const GROUP_MAX: usize = 64;
/// How often silence is looked for.
const TICK: Duration = Duration::from_secs(1);

/// Why the engine could not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log.
    #[error("log")]
    Log(#[from] log::Error),
    /// The alert store.
    #[error("alert store")]
    Store(#[from] alerts::Error),
    /// A sink.
    #[error("alert sink")]
    Sink(#[from] file::Error),
    /// The data directory.
    #[error("data directory {path}")]
    Data {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Logged rows do not fit the feed any more.
    #[error(
        "feed {feed:?}: rows in the log do not fit its columns, name the changed column anew or start a new data directory"
    )]
    Rows {
        /// The feed.
        feed: String,
        /// What does not fit.
        source: arrow::error::ArrowError,
    },
    /// The engine's thread ended by a fault of ours.
    #[error(
        "the engine's thread ended unexpectedly, restart forewarn; nothing acknowledged is lost"
    )]
    Panicked,
}

/// What the engine is made of.
pub struct Parts {
    /// The data directory.
    pub data: PathBuf,
    /// Feeds and rules, compiled.
    pub pipeline: Pipeline,
    /// The rules as they were written, for readers.
    pub rules: Vec<RuleFile>,
    /// The directory below which they lie.
    pub rules_dir: PathBuf,
    /// Hash over feeds and rules.
    pub rules_hash: String,
    /// The local key.
    pub secret: Secret,
    /// Files that get every revision.
    pub sinks: Vec<PathBuf>,
    /// Sinks on the network.
    pub outlets: Vec<Outlet>,
    /// Where the console is reached, for links.
    pub public_url: String,
    /// Limits.
    pub limits: Limits,
    /// The present.
    pub clock: Clock,
}

/// The engine's thread.
#[derive(Debug)]
pub struct Running {
    thread: thread::JoinHandle<Result<(), Error>>,
    /// Where each partition of a source goes on: feed, partition → position.
    positions: oneshot::Receiver<Positions>,
}

/// Where sources go on: (feed, partition) → position.
pub type Positions = BTreeMap<(String, String), String>;

/// What the engine's thread owns.
pub(super) struct Engine {
    pub(super) log: Log,
    pub(super) pipeline: Pipeline,
    pub(super) teller: Teller,
    pub(super) metrics: Arc<Metrics>,
    pub(super) desk: Arc<Desk>,
    pub(super) signals: Arc<Signals>,
    pub(super) dead: DeadLetters,
    pub(super) rules_hash: String,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    pub(super) remembered: Remembered,
    pub(super) positions: Positions,
    /// Partitions that are not idle, and when they were last heard of.
    pub(super) heard: BTreeMap<(usize, Arc<str>), i64>,
}

/// Opens everything and starts the engine's thread, which walks the log first. The handle works at once; requests wait
/// until the log was walked.
///
/// # Errors
/// Any [`Error`] of opening.
pub fn start(parts: Parts, runtime: tokio::runtime::Handle) -> Result<(Handle, Running), Error> {
    let data_error = |source| Error::Data { path: parts.data.clone(), source };
    std::fs::create_dir_all(&parts.data).map_err(data_error)?;
    let alerts_path = parts.data.join("forewarn.db");
    let log = Log::open(&parts.data.join("log"))?;
    if let Some(torn) = log.torn() {
        tracing::warn!(path = %torn.path.display(), bytes = torn.bytes, "log ended in half a record, cut it off");
    }
    let rule_ids = parts.pipeline.plan().rules.iter().map(|r| r.id.clone()).collect();
    let zone = parts.pipeline.zone().clone();
    let outlets: Vec<String> = parts.outlets.iter().map(|o| o.name.clone()).collect();
    let names = [tell::sink_words(parts.sinks.len()), outlets.clone()].concat();
    let metrics = Arc::new(Metrics::new(&parts.pipeline, &parts.rules_hash, &names));
    let facts = outlets::facts(&parts.rules);
    let secret = parts.secret.clone();
    let desk = Desk::new(&parts.data, &parts.pipeline, parts.rules, &parts.rules_dir, secret);
    let desk = Arc::new(desk);
    let who_follows = (Arc::clone(&desk), Arc::clone(&metrics));
    let how = (zone.clone(), parts.clock.clone());
    let mut teller = Teller::open(&alerts_path, &parts.sinks, rule_ids, how, who_follows)?;
    teller.post_to(outlets, parts.limits.outbox_max, || {
        Outlets::start(parts.outlets, &parts.public_url, &facts, &alerts_path, &metrics)
    })?;
    let feeds = parts.pipeline.specs().into();
    let dead = DeadLetters::new(&parts.data, &parts.secret);
    let intake = Intake::new(feeds, zone, parts.secret, parts.limits.body_bytes_max);
    let signals =
        Arc::new(Signals::new(&parts.pipeline.plan().rules, parts.pipeline.zone().clone()));
    let shared = Arc::new(Shared::new(
        intake,
        Arc::clone(&signals),
        Arc::clone(&metrics),
        Arc::clone(&desk),
        parts.clock.clone(),
    ));
    let (sender, queue) = mpsc::channel(parts.limits.queue_max);
    let (found, positions) = oneshot::channel();
    let engine = Engine {
        log,
        pipeline: parts.pipeline,
        teller,
        metrics,
        desk,
        signals,
        dead,
        rules_hash: parts.rules_hash,
        limits: parts.limits,
        clock: parts.clock,
        remembered: Remembered::default(),
        positions: Positions::new(),
        heard: BTreeMap::new(),
    };
    let handle = Handle::new(sender, Arc::clone(&shared));
    let body = move || {
        let done = engine.run(queue, &shared, found, &runtime);
        let why = match &done {
            Ok(()) => "it is shutting down".to_owned(),
            Err(error) => chain(error),
        };
        shared.set_health(Health::Stopped(why));
        done
    };
    let spawned = thread::Builder::new().name("engine".into()).spawn(body);
    let thread = spawned.map_err(|source| Error::Data { path: parts.data, source })?;
    Ok((handle, Running { thread, positions }))
}

impl Running {
    /// Waits until the log was walked; returns where sources go on, or `None` when the engine stopped before.
    pub async fn recovered(&mut self) -> Option<Positions> {
        (&mut self.positions).await.ok()
    }

    /// Waits until the engine ends, which it does when the last handle is gone or when it must.
    ///
    /// # Errors
    /// Why it had to stop.
    pub fn join(self) -> Result<(), Error> {
        self.thread.join().unwrap_or(Err(Error::Panicked))
    }

    /// Whether the engine's thread has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

impl Engine {
    fn run(
        mut self,
        mut queue: mpsc::Receiver<Request>,
        shared: &Shared,
        found: oneshot::Sender<Positions>,
        runtime: &tokio::runtime::Handle,
    ) -> Result<(), Error> {
        self.recover(shared)?;
        self.metrics.begin(&self.pipeline, self.teller.active()?);
        shared.set_health(Health::Ready);
        // Nobody may be waiting for them.
        let _ = found.send(self.positions.clone());
        loop {
            match runtime.block_on(next(&mut queue, &shared.closing)) {
                Next::Tick => {}
                Next::End => {
                    self.teller.tell(Vec::new(), self.log.next_arrival());
                    return Ok(());
                }
                Next::Request(first) => {
                    let mut group = vec![*first];
                    while group.len() < GROUP_MAX
                        && let Ok(next) = queue.try_recv()
                    {
                        group.push(next);
                    }
                    self.take(group, self.clock.now_ms())?;
                }
            }
            self.tick(self.clock.now_ms())?;
            self.metrics.settle(&self.pipeline);
        }
    }

    /// Position of the feed with this name.
    pub(super) fn feed(&self, name: &str) -> Option<usize> {
        self.pipeline.specs().iter().position(|s| s.name() == name)
    }
}

/// What the engine's thread does next.
enum Next {
    Request(Box<Request>),
    Tick,
    End,
}

async fn next(queue: &mut mpsc::Receiver<Request>, closing: &Notify) -> Next {
    tokio::select! {
        biased;
        () = closing.notified() => {
            // What waits is still taken.
            queue.close();
            Next::Tick
        }
        request = queue.recv() => request.map_or(Next::End, |r| Next::Request(Box::new(r))),
        () = sleep(TICK) => Next::Tick,
    }
}

/// An error and its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        out.push_str(&format!(": {error}"));
        cause = error.source();
    }
    out
}
