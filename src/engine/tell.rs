//! Tell: revisions of alerts into the store, and from there to the sinks.
//!
//! In: alerts of the walk, and the arrival number behind what they stand for. Out: both in the store in one transaction,
//! then every revision in every sink. What fails is tried again at the next occasion: the rows are in the log, so nothing
//! is lost if that never comes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    clock::Clock,
    desk::Desk,
    metrics::{Delivered, Metrics},
    outlets::Outlets,
    run::{Error, chain},
    stream,
};
use crate::{
    model::{
        alert::{Alert, State},
        signal::Severity,
        time::Zone,
    },
    sink::file::FileSink,
    store::alerts::{self, AlertStore, Told},
};

/// Revisions read for a sink at once.
const DELIVERED_AT_ONCE: usize = 1_000;

/// The alert store, and the sinks that follow it.
pub(super) struct Teller {
    store: AlertStore,
    sinks: Vec<Sink>,
    outlets: Option<Outlets>,
    metrics: Arc<Metrics>,
    rule_ids: Vec<String>,
    zone: Zone,
    clock: Clock,
    desk: Arc<Desk>,
    /// Alerts that could not be stored yet.
    unsaved: Vec<Told>,
    /// Arrival number behind what is stored.
    stored_to: u64,
}

/// A file that gets every revision.
struct Sink {
    name: String,
    /// What metrics call it.
    word: String,
    file: FileSink,
    /// Number of the last revision that was delivered.
    seq: i64,
    /// Since when it takes nothing, ms.
    failing_since_ms: Option<i64>,
}

impl Teller {
    /// Opens the store at `alerts` and the files of the sinks. `rule_ids`: by rule of the plan.
    pub(super) fn open(
        alerts: &Path,
        sinks: &[PathBuf],
        rule_ids: Vec<String>,
        (zone, clock): (Zone, Clock),
        (desk, metrics): (Arc<Desk>, Arc<Metrics>),
    ) -> Result<Self, Error> {
        let store = AlertStore::open(alerts)?;
        desk.stored(store.last_marks(stream::REMEMBERED)?);
        let words = sink_words(sinks.len());
        let opened = sinks.iter().zip(&words).map(|(path, word)| Sink::open(path, word, &store));
        let sinks = opened.collect::<Result<_, _>>()?;
        let stored_to = store.position()?;
        Ok(Self {
            store,
            sinks,
            outlets: None,
            metrics,
            rule_ids,
            zone,
            clock,
            desk,
            unsaved: Vec::new(),
            stored_to,
        })
    }

    /// From now on revisions also wait for these sinks on the network, at most `max` for each, whose threads `start` starts.
    pub(super) fn post_to(
        &mut self,
        sinks: Vec<String>,
        max: usize,
        start: impl FnOnce() -> Result<Outlets, alerts::Error>,
    ) -> Result<(), Error> {
        let forgotten = self.store.post_to(sinks, max)?;
        if forgotten > 0 {
            tracing::warn!(
                forgotten,
                "revisions waited for sinks that are not configured any more"
            );
        }
        self.outlets = Some(start()?);
        Ok(())
    }

    /// Alerts that have not ended.
    pub(super) fn active(&self) -> Result<Vec<(String, State, Severity)>, Error> {
        Ok(self.store.active()?)
    }

    /// Arrival number behind what is stored.
    pub(super) fn stored_to(&self) -> u64 {
        self.stored_to
    }

    /// Revisions as the store keeps them.
    pub(super) fn told(&self, alerts: Vec<Alert>) -> Vec<Told> {
        let told = |alert: Alert| {
            let rule = &self.rule_ids[alert.rule];
            Told {
                known_ms: alert.known.1,
                began_ms: alert.began_ms,
                subject: self.desk.subject(&alert),
                body: alert.to_json(rule, &self.zone),
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

    /// Stores revisions that the log brought again, those that are new; their position comes with [`Self::recovered`].
    pub(super) fn tell_again(&mut self, told: &[Told]) -> Result<(), Error> {
        self.commit(told, 0, true)?;
        Ok(())
    }

    /// The log is walked up to `position`, with these last revisions.
    pub(super) fn recovered(&mut self, told: &[Told], position: u64) -> Result<(), Error> {
        self.commit(told, position, true)?;
        self.stored_to = position;
        self.deliver();
        Ok(())
    }

    /// Whether something is to be stored, now that the log has come to `position`.
    pub(super) fn is_behind(&self, position: u64) -> bool {
        !self.unsaved.is_empty() || self.stored_to != position
    }

    /// Stores revisions with the position behind them and hands them to the sinks.
    pub(super) fn tell(&mut self, told: Vec<Told>, position: u64) {
        self.unsaved.extend(told);
        let unsaved = std::mem::take(&mut self.unsaved);
        match self.commit(&unsaved, position, false) {
            Ok(()) => self.stored_to = position,
            Err(error) => {
                tracing::error!(error = chain(&error), "alerts are not stored yet");
                self.unsaved = unsaved;
            }
        }
        self.deliver();
    }

    /// The outbox may hold something new.
    fn nudge(&self) {
        if let Some(outlets) = &self.outlets {
            outlets.nudge();
        }
    }

    /// Stores revisions and lets those who follow know.
    fn commit(&mut self, told: &[Told], position: u64, again: bool) -> Result<(), alerts::Error> {
        let new = self.store.commit(told, position, again)?;
        if !new.is_empty() {
            self.metrics.stored(new.iter().map(|(_, told)| told), self.clock.now_ms());
            self.nudge();
        }
        for (sink, n) in self.store.take_dropped() {
            self.metrics.delivered(&sink, Delivered::Dropped, n);
            tracing::warn!(sink, n, "too many revisions wait, the oldest are not delivered");
        }
        self.desk.stored(new.into_iter().map(|(seq, told)| (seq, told.id, told.revision)));
        Ok(())
    }

    fn deliver(&mut self) {
        for sink in &mut self.sinks {
            let done = sink.deliver(&mut self.store, &self.metrics);
            sink.show(&self.store, &self.metrics, done.is_err(), self.clock.now_ms());
            if let Err(error) = done {
                tracing::error!(
                    sink = sink.name,
                    error = chain(&error),
                    "alerts are not delivered yet"
                );
            }
        }
    }
}

/// What metrics call `n` files: paths are no labels.
pub(super) fn sink_words(n: usize) -> Vec<String> {
    let word = |i| if i == 1 { "file".to_owned() } else { format!("file_{i}") };
    (1..=n).map(word).collect()
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
        Ok(Self { name, word: word.to_owned(), file, seq, failing_since_ms: None })
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

    /// Shows a failure, and its end.
    fn show(&mut self, store: &AlertStore, metrics: &Metrics, failed: bool, now_ms: i64) {
        if failed {
            let since_ms = *self.failing_since_ms.get_or_insert(now_ms);
            let waiting = store.revisions_after(self.seq, DELIVERED_AT_ONCE);
            let waiting = waiting.map_or(1, |w| w.len() as u64);
            metrics.delivered(&self.word, Delivered::Retried, 1);
            metrics.undelivered(&self.word, waiting, Some(since_ms));
        } else if self.failing_since_ms.take().is_some() {
            metrics.undelivered(&self.word, 0, None);
        }
    }
}
