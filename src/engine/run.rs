//! Run: the live engine, one thread that owns log, pipeline and alert store.
//!
//! In: deliveries from the queue, and the passing of time. Out: answers, alerts in the store and in the sinks.
//! The order of writes is the promise: dead letters and log are on disk before the pipeline sees a row, alerts are stored
//! with the arrival number behind it in one transaction, then the sinks get them, then the request is answered. Requests
//! that wait share one fsync. On start the log is walked again from its beginning: state is what the log says it is, and
//! what was told already is not told twice.
//! Silence is decided here by the clock and written to the log, so that walking the log again decides the same.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::sleep,
};

use super::{
    config::{Limits, Outlet},
    handle::{Answer, Dead, Delivery, Handle, Health, Refused, Request, Shared},
    intake::Intake,
    metrics::{Delivered, Metrics},
    outlets::Outlets,
    pipeline::{Arrival, FeedCounts, Pipeline, Step},
    remembered::{Remembered, Seen},
};
use crate::{
    model::{
        alert::Alert,
        batch::{Batch, DeadLetter},
        secret::Secret,
    },
    rule::file::RuleFile,
    sink::file::{self, FileSink},
    store::{
        alerts::{self, AlertStore, Told},
        dead_letters::DeadLetters,
        log::{self, Log},
        record::{Entry, Idle, Rows, RowsHead, RuleSet, conform, pack_lines, unpack_lines},
    },
};

/// Requests that share one fsync at most.
const GROUP_MAX: usize = 64;
/// How often silence is looked for.
const TICK: Duration = Duration::from_secs(1);
/// Alerts of the walk through the log are stored in steps of so many.
const RECOVERED_AT_ONCE: usize = 1_000;
/// Revisions read for a sink at once.
const DELIVERED_AT_ONCE: usize = 1_000;

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

struct Engine {
    log: Log,
    pipeline: Pipeline,
    store: AlertStore,
    dead: DeadLetters,
    sinks: Vec<Sink>,
    outlets: Outlets,
    metrics: Arc<Metrics>,
    rule_ids: Vec<String>,
    rules_hash: String,
    limits: Limits,
    remembered: Remembered,
    positions: Positions,
    /// Partitions that are not idle, and when they were last heard of.
    heard: BTreeMap<(usize, Arc<str>), i64>,
    /// Alerts that could not be stored yet.
    unsaved: Vec<Told>,
    /// Arrival number behind what is stored.
    stored_to: u64,
}

struct Sink {
    name: String,
    /// What metrics call it.
    word: String,
    file: FileSink,
    /// Number of the last revision that was delivered.
    seq: i64,
}

/// A request that is in the log and not yet answered.
struct Taken {
    request: Request,
    head: RowsHead,
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
    let mut store = AlertStore::open(&alerts_path)?;
    let outlets: Vec<String> = parts.outlets.iter().map(|o| o.name.clone()).collect();
    let forgotten = store.post_to(outlets.clone())?;
    if forgotten > 0 {
        tracing::warn!(forgotten, "revisions waited for sinks that are not configured any more");
    }
    let words = (1..).map(|n| if n == 1 { "file".to_owned() } else { format!("file_{n}") });
    let words: Vec<String> = words.take(parts.sinks.len()).collect();
    let opened = parts.sinks.iter().zip(&words).map(|(path, word)| Sink::open(path, word, &store));
    let sinks = opened.collect::<Result<_, _>>()?;
    let names = [words.as_slice(), &outlets].concat();
    let metrics = Arc::new(Metrics::new(&parts.pipeline, &parts.rules_hash, &names));
    let outlets =
        Outlets::start(parts.outlets, &parts.public_url, &parts.rules, &alerts_path, &metrics)?;
    let feeds = parts.pipeline.specs().into();
    let zone = parts.pipeline.zone().clone();
    let dead = DeadLetters::new(&parts.data, &parts.secret);
    let intake = Intake::new(feeds, zone, parts.secret, parts.limits.body_bytes_max);
    let shared = Arc::new(Shared::new(intake, Arc::clone(&metrics), &alerts_path));
    let (sender, queue) = mpsc::channel(parts.limits.queue_max);
    let (found, positions) = oneshot::channel();
    let engine = Engine {
        log,
        rule_ids: parts.pipeline.plan().rules.iter().map(|r| r.id.clone()).collect(),
        pipeline: parts.pipeline,
        store,
        dead,
        sinks,
        outlets,
        metrics,
        rules_hash: parts.rules_hash,
        limits: parts.limits,
        remembered: Remembered::default(),
        positions: Positions::new(),
        heard: BTreeMap::new(),
        unsaved: Vec::new(),
        stored_to: 0,
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
        self.recover()?;
        self.metrics.begin(&self.pipeline, self.store.active()?);
        shared.set_health(Health::Ready);
        // Nobody may be waiting for them.
        let _ = found.send(self.positions.clone());
        loop {
            match runtime.block_on(next(&mut queue, &shared.closing)) {
                Next::Tick => {}
                Next::End => {
                    self.tell(Vec::new());
                    return Ok(());
                }
                Next::Request(first) => {
                    let mut group = vec![*first];
                    while group.len() < GROUP_MAX
                        && let Ok(next) = queue.try_recv()
                    {
                        group.push(next);
                    }
                    self.take(group, now_ms())?;
                }
            }
            self.tick(now_ms())?;
            self.metrics.settle(&self.pipeline);
        }
    }

    /// Takes a group of requests with one fsync.
    fn take(&mut self, mut group: Vec<Request>, now_ms: i64) -> Result<(), Error> {
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
        for request in group {
            if let Some(request) = self.remember(request, now_ms) {
                taken.extend(self.append(request, now_ms)?);
            }
        }
        self.log.sync()?;
        let mut told = Vec::new();
        let mut answers = Vec::with_capacity(taken.len());
        for one in taken {
            let (to, answer, alerts) = self.walk(one);
            told.extend(alerts);
            answers.push((to, answer));
        }
        if !told.is_empty() {
            self.tell(told);
        }
        for (to, answer) in answers {
            // Who asked may be gone; the rows are taken all the same.
            let _ = to.send(Ok(answer));
        }
        Ok(())
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

    /// Writes the rows of a request to the log; `None` when it cannot be logged and was told so.
    fn append(&mut self, request: Request, now_ms: i64) -> Result<Option<Taken>, Error> {
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
            arrived_ms: now_ms,
            lines: pack_lines(&lines),
            idempotency_key,
            body_hash,
            position: delivery.position.clone(),
            dead: listed.map(|d| (d.line, d.class.word().to_owned(), d.message.clone())).collect(),
            dead_total: dead().count() as u64,
        };
        let letters: Vec<DeadLetter> = dead().cloned().collect();
        if !self.bury(delivery.feed, &head, &letters) {
            let why = "dead letters cannot be written, see the server's log".to_owned();
            let _ = request.answer.send(Err(Refused::Stopped(why)));
            return Ok(None);
        }
        if let Some(position) = &head.position {
            self.positions.insert((head.feed.clone(), head.partition.clone()), position.clone());
        }
        let with_rows = delivery.decoded.iter().map(|d| &d.rows).filter(|rows| rows.num_rows() > 0);
        let entry = Entry::Rows(Rows { head, batches: with_rows.cloned().collect() });
        match self.log.append(&entry) {
            Ok(()) if delivery.ended => {
                self.append_idle(delivery.feed, &delivery.partition, now_ms)?
            }
            Ok(()) => {}
            Err(log::Error::Entry(error)) => {
                let limit = self.limits.body_bytes_max;
                tracing::warn!(error = chain(&error), "a request cannot be logged");
                let _ = request.answer.send(Err(Refused::TooLong { limit }));
                return Ok(None);
            }
            Err(error) => {
                let _ = request.answer.send(Err(Refused::Stopped(chain(&error))));
                return Err(error.into());
            }
        }
        self.metrics.undecoded(delivery.feed, &letters);
        let Entry::Rows(Rows { head, .. }) = entry else { return Ok(None) };
        Ok(Some(Taken { request, head }))
    }

    /// Walks the rows of a logged request.
    fn walk(
        &mut self,
        taken: Taken,
    ) -> (oneshot::Sender<Result<Answer, Refused>>, Answer, Vec<Told>) {
        let Taken { request: Request { delivery, answer: to }, head } = taken;
        let (feed, ended) = (delivery.feed, delivery.ended);
        let mut step = self.arrive(feed, &head, batches(delivery));
        let answer = self.answer(&head, feed, &step);
        self.bury_refused(feed, &head, &mut step);
        if let (Some(key), Some(hash)) = (&head.idempotency_key, head.body_hash) {
            self.remembered.insert(feed, key, hash, head.arrived_ms, answer.clone());
        }
        let mut told = self.told(step.alerts);
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

    fn arrive(&mut self, feed: usize, head: &RowsHead, batches: Vec<Batch>) -> Step {
        self.heard.insert((feed, head.partition.as_str().into()), head.arrived_ms);
        self.metrics.arrived(feed, &batches, head.arrived_ms, self.pipeline.zone());
        if batches.is_empty() {
            return Step::default();
        }
        let arrived_ms = vec![head.arrived_ms];
        let timer = self.metrics.evaluation_timer();
        let arrival = Arrival { batches, order: None, first: head.first, arrived_ms };
        let step = self.pipeline.arrive(arrival);
        drop(timer);
        self.metrics.stepped(&step);
        step
    }

    fn answer(&self, head: &RowsHead, feed: usize, step: &Step) -> Answer {
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

    /// Declares partitions silent that were not heard of for the feed's `idle_after`, and stores what waits to be stored.
    fn tick(&mut self, now_ms: i64) -> Result<(), Error> {
        let specs = self.pipeline.specs();
        let is_silent =
            |feed: usize, heard: i64| now_ms.saturating_sub(heard) >= specs[feed].idle_after_ms;
        let heard = self.heard.iter().filter(|((feed, _), heard)| is_silent(*feed, **heard));
        let mut silent: Vec<_> =
            heard.map(|(partition, heard)| (*heard, partition.clone())).collect();
        // Longest silent first: where all are silent, the one that was heard of last has the say.
        silent.sort();
        let silent: Vec<_> = silent.into_iter().map(|(_, partition)| partition).collect();
        for (feed, partition) in &silent {
            self.append_idle(*feed, partition, now_ms)?;
        }
        let mut told = Vec::new();
        if !silent.is_empty() {
            self.log.sync()?;
            for (feed, partition) in &silent {
                told.extend(self.walk_idle(*feed, partition, self.log.next_arrival(), now_ms));
            }
        }
        if !told.is_empty() || !self.unsaved.is_empty() || self.stored_to != self.log.next_arrival()
        {
            self.tell(told);
        }
        Ok(())
    }

    fn append_idle(&mut self, feed: usize, partition: &str, at_ms: i64) -> Result<(), Error> {
        let feed = self.pipeline.specs()[feed].name().to_owned();
        let arrival = self.log.next_arrival();
        self.log.append(&Entry::Idle(Idle {
            feed,
            partition: partition.to_owned(),
            arrival,
            at_ms,
        }))?;
        Ok(())
    }

    fn walk_idle(&mut self, feed: usize, partition: &str, arrival: u64, at_ms: i64) -> Vec<Told> {
        self.heard.remove(&(feed, partition.into()));
        let timer = self.metrics.evaluation_timer();
        let step = self.pipeline.idle(feed, partition, arrival, at_ms);
        drop(timer);
        self.metrics.stepped(&step);
        self.told(step.alerts)
    }

    /// Walks the log from its beginning, so that the state is what it was.
    fn recover(&mut self) -> Result<(), Error> {
        let stored_to = self.store.position()?;
        let mut rules_hash = None;
        let mut told = Vec::new();
        let mut unknown = BTreeMap::new();
        let mut rows = 0;
        for entry in self.log.read_from(0)? {
            match entry? {
                Entry::Rules(rules) => rules_hash = Some(rules.hash),
                Entry::Idle(idle) => match self.feed(&idle.feed) {
                    Some(feed) => {
                        told.extend(self.walk_idle(feed, &idle.partition, idle.arrival, idle.at_ms))
                    }
                    None => *unknown.entry(idle.feed).or_insert(0) += 0,
                },
                Entry::Rows(logged) => match self.feed(&logged.head.feed) {
                    Some(feed) => {
                        rows += logged.head.rows;
                        told.extend(self.walk_again(feed, logged, stored_to)?);
                    }
                    None => *unknown.entry(logged.head.feed).or_insert(0) += logged.head.rows,
                },
            }
            if told.len() >= RECOVERED_AT_ONCE {
                self.store.commit(&told, 0, true)?;
                told.clear();
            }
        }
        for (feed, rows) in unknown {
            tracing::warn!(
                feed,
                rows,
                "log holds rows of a feed that is not declared any more, passed over"
            );
        }
        let position = self.log.next_arrival();
        self.store.commit(&told, position, true)?;
        self.stored_to = position;
        self.deliver();
        // Silence counts from now on: while forewarn was down nobody could be heard.
        let start_ms = now_ms();
        self.heard.values_mut().for_each(|heard| *heard = start_ms);
        if rules_hash.as_ref() != Some(&self.rules_hash) {
            let arrival = self.log.next_arrival();
            let hash = self.rules_hash.clone();
            self.log.append(&Entry::Rules(RuleSet { arrival, at_ms: start_ms, hash }))?;
            self.log.sync()?;
        }
        tracing::info!(rows, "log walked, taking requests");
        Ok(())
    }

    fn walk_again(
        &mut self,
        feed: usize,
        logged: Rows,
        stored_to: u64,
    ) -> Result<Vec<Told>, Error> {
        let Rows { head, batches } = logged;
        let lines = unpack_lines(&head.lines);
        let schema = self.pipeline.specs()[feed].schema.arrow().clone();
        let mut from = 0;
        let mut again = Vec::with_capacity(batches.len());
        for rows in &batches {
            let rows = conform(rows, &schema)
                .map_err(|source| Error::Rows { feed: head.feed.clone(), source })?;
            let to = from + rows.num_rows();
            let partition = head.partition.as_str().into();
            let lines = lines.get(from..to).unwrap_or_default();
            let mut lines = lines.to_vec();
            lines.resize(rows.num_rows(), 0);
            again.push(Batch { feed, partition, rows, lines: lines.into(), raw: None });
            from = to;
        }
        let mut step = self.arrive(feed, &head, again);
        if let Some(position) = &head.position {
            self.positions.insert((head.feed.clone(), head.partition.clone()), position.clone());
        }
        if let (Some(key), Some(hash)) = (&head.idempotency_key, head.body_hash) {
            let answer = self.answer(&head, feed, &step);
            self.remembered.insert(feed, key, hash, head.arrived_ms, answer);
        }
        if head.first + head.rows > stored_to {
            self.bury_refused(feed, &head, &mut step);
        }
        Ok(self.told(step.alerts))
    }

    /// Writes refused rows to the dead letters; `false` when that failed.
    fn bury(&mut self, feed: usize, head: &RowsHead, letters: &[DeadLetter]) -> bool {
        if letters.is_empty() {
            return true;
        }
        let sealed = self.pipeline.specs()[feed].schema.has_personal();
        let (dead, partition) = (&mut self.dead, &head.partition);
        let written = dead
            .append(&head.feed, sealed, partition, head.arrived_ms, letters)
            .and_then(|_| dead.sync());
        if let Err(error) = &written {
            let n = letters.len();
            tracing::error!(error = chain(error), n, "dead letters are not written");
        }
        written.is_ok()
    }

    /// The rows that a step refused. They are in the log, so that they are not lost where this fails.
    fn bury_refused(&mut self, feed: usize, head: &RowsHead, step: &mut Step) {
        let letters: Vec<DeadLetter> = step.dead.drain(..).map(|(_, _, letter)| letter).collect();
        self.bury(feed, head, &letters);
    }

    fn feed(&self, name: &str) -> Option<usize> {
        self.pipeline.specs().iter().position(|s| s.name() == name)
    }

    fn told(&self, alerts: Vec<Alert>) -> Vec<Told> {
        let zone = self.pipeline.zone();
        let told = |alert: Alert| {
            let rule = &self.rule_ids[alert.rule];
            Told {
                body: alert.to_json(rule, zone),
                revision: alert.revision,
                rule: rule.clone(),
                key: alert.key.canonical.to_string(),
                state: alert.state,
                severity: alert.severity,
                fired_ms: alert.fired_ms,
                id: alert.id,
            }
        };
        alerts.into_iter().map(told).collect()
    }

    /// Stores revisions with the position behind them and hands them to the sinks. What fails is tried again at the next
    /// occasion: the rows are in the log, so nothing is lost if that never comes.
    fn tell(&mut self, told: Vec<Told>) {
        self.unsaved.extend(told);
        let position = self.log.next_arrival();
        match self.store.commit(&self.unsaved, position, false) {
            Ok(new) => {
                self.stored_to = position;
                self.unsaved.clear();
                if !new.is_empty() {
                    self.metrics.stored(&new, now_ms());
                    self.outlets.nudge();
                }
            }
            Err(error) => tracing::error!(error = chain(&error), "alerts are not stored yet"),
        }
        self.deliver();
    }

    fn deliver(&mut self) {
        for sink in &mut self.sinks {
            if let Err(error) = sink.deliver(&mut self.store, &self.metrics) {
                self.metrics.delivered(&sink.word, Delivered::Retried, 1);
                tracing::error!(
                    sink = sink.name,
                    error = chain(&error),
                    "alerts are not delivered yet"
                );
            }
        }
    }
}

impl Sink {
    /// Opens the file and finds the last revision that it has, or that it had before it was moved away.
    fn open(path: &Path, word: &str, store: &AlertStore) -> Result<Self, Error> {
        let name = format!("file:{}", path.display());
        let file = FileSink::open(path)?;
        let in_file = match file.last() {
            Some(last) => store.seq_of(&last.id, last.revision)?,
            None => None,
        };
        let seq = store.delivered(&name)?.max(in_file.unwrap_or(0));
        Ok(Self { name, word: word.to_owned(), file, seq })
    }

    fn deliver(&mut self, store: &mut AlertStore, metrics: &Metrics) -> Result<(), Error> {
        let before = self.seq;
        loop {
            let revisions = store.revisions_after(self.seq, DELIVERED_AT_ONCE)?;
            let Some((last, _)) = revisions.last() else { break };
            let timer = metrics.delivery_timer(&self.word);
            self.file.deliver(revisions.iter().map(|(_, body)| body))?;
            drop(timer);
            metrics.delivered(&self.word, Delivered::Delivered, revisions.len() as u64);
            self.seq = *last;
        }
        if self.seq != before {
            store.set_delivered(&self.name, self.seq)?;
        }
        Ok(())
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

/// The present, milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the live engine is where arrival gets its time")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
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
