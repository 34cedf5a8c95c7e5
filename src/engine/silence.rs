//! Silence: partitions that nothing was heard of, told by the clock.
//!
//! What is decided here goes into the log, so that walking the log again decides the same.

use std::sync::Arc;

use super::run::{Engine, Error, chain};
use crate::store::{
    alerts::Told,
    log,
    record::{Entry, Idle},
};

impl Engine {
    /// Declares partitions silent that were not heard of for the feed's `idle_after`, and stores what waits to be stored.
    pub(super) fn tick(&mut self, now_ms: i64) -> Result<(), Error> {
        let specs = self.pipeline.specs();
        let is_silent =
            |feed: usize, heard: i64| now_ms.saturating_sub(heard) >= specs[feed].idle_after_ms;
        let heard = self.heard.iter().filter(|((feed, _), heard)| is_silent(*feed, **heard));
        let mut silent: Vec<_> =
            heard.map(|(partition, heard)| (*heard, partition.clone())).collect();
        // Longest silent first: where all are silent, the one that was heard of last has the say.
        silent.sort();
        let silent: Vec<_> = silent.into_iter().map(|(_, partition)| partition).collect();
        let mut told = Vec::new();
        if !silent.is_empty() {
            if let Err(error) = self.log_silence(&silent, now_ms) {
                // They stay silent; the next tick tries again.
                tracing::error!(error = chain(&error), "silence cannot be logged yet");
                self.roll_back();
                return Ok(());
            }
            for (feed, partition) in &silent {
                told.extend(self.walk_idle(*feed, partition, self.log.next_arrival(), now_ms));
            }
        }
        let position = self.log.next_arrival();
        if !told.is_empty() || self.teller.is_behind(position) {
            self.teller.tell(told, position);
        }
        Ok(())
    }

    fn log_silence(&mut self, silent: &[(usize, Arc<str>)], now_ms: i64) -> Result<(), log::Error> {
        for (feed, partition) in silent {
            self.append_idle(*feed, partition, now_ms)?;
        }
        self.log.sync()
    }

    /// Logs that a partition is silent, or has ended.
    pub(super) fn append_idle(
        &mut self,
        feed: usize,
        partition: &str,
        at_ms: i64,
    ) -> Result<(), log::Error> {
        let feed = self.pipeline.specs()[feed].name().to_owned();
        let arrival = self.log.next_arrival();
        self.log.append(&Entry::Idle(Idle {
            feed,
            partition: partition.to_owned(),
            arrival,
            at_ms,
        }))
    }

    /// Walks what was logged so.
    pub(super) fn walk_idle(
        &mut self,
        feed: usize,
        partition: &str,
        arrival: u64,
        at_ms: i64,
    ) -> Vec<Told> {
        self.heard.remove(&(feed, partition.into()));
        let step = self.pipeline.idle(feed, partition, arrival, at_ms);
        self.desk.went_idle(feed, partition, &step, self.pipeline.watermarks());
        self.signals.take(step.signals);
        self.teller.told(step.alerts)
    }
}
