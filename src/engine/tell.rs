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
    desk::Desk,
    run::{Error, chain},
    stream,
};
use crate::{
    model::{alert::Alert, time::Zone},
    sink::file::FileSink,
    store::alerts::{self, AlertStore, Told},
};

/// Revisions read for a sink at once.
const DELIVERED_AT_ONCE: usize = 1_000;

/// The alert store, and the sinks that follow it.
pub(super) struct Teller {
    store: AlertStore,
    sinks: Vec<Sink>,
    rule_ids: Vec<String>,
    zone: Zone,
    desk: Arc<Desk>,
    /// Alerts that could not be stored yet.
    unsaved: Vec<Told>,
    /// Arrival number behind what is stored.
    stored_to: u64,
}

/// A file that gets every revision.
struct Sink {
    name: String,
    file: FileSink,
    /// Number of the last revision that was delivered.
    seq: i64,
}

impl Teller {
    /// Opens the store at `alerts` and the files of the sinks. `rule_ids`: by rule of the plan.
    pub(super) fn open(
        alerts: &Path,
        sinks: &[PathBuf],
        rule_ids: Vec<String>,
        zone: Zone,
        desk: Arc<Desk>,
    ) -> Result<Self, Error> {
        let store = AlertStore::open(alerts)?;
        desk.stored(store.last_marks(stream::REMEMBERED)?);
        let sinks = sinks.iter().map(|path| Sink::open(path, &store)).collect::<Result<_, _>>()?;
        let stored_to = store.position()?;
        Ok(Self { store, sinks, rule_ids, zone, desk, unsaved: Vec::new(), stored_to })
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

    /// Stores revisions and lets those who follow know.
    fn commit(&mut self, told: &[Told], position: u64, again: bool) -> Result<(), alerts::Error> {
        let new = self.store.commit(told, position, again)?;
        self.desk.stored(new.into_iter().map(|(seq, told)| (seq, told.id, told.revision)));
        Ok(())
    }

    fn deliver(&mut self) {
        for sink in &mut self.sinks {
            if let Err(error) = sink.deliver(&mut self.store) {
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
    fn open(path: &Path, store: &AlertStore) -> Result<Self, Error> {
        let name = format!("file:{}", path.display());
        let file = FileSink::open(path)?;
        let in_file = match file.last() {
            Some(last) => store.seq_of(&last.id, last.revision)?,
            None => None,
        };
        let seq = store.delivered(&name)?.max(in_file.unwrap_or(0));
        Ok(Self { name, file, seq })
    }

    fn deliver(&mut self, store: &mut AlertStore) -> Result<(), Error> {
        let before = self.seq;
        loop {
            let revisions = store.revisions_after(self.seq, DELIVERED_AT_ONCE)?;
            let Some((last, _)) = revisions.last() else { break };
            self.file.deliver(revisions.iter().map(|(_, body)| body))?;
            self.seq = *last;
        }
        if self.seq != before {
            store.set_delivered(&self.name, self.seq)?;
        }
        Ok(())
    }
}
