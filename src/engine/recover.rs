//! Recover: on start the log is walked again from its beginning.
//!
//! State is what the log says it is, and what was told already is not told twice. How far it is, health says meanwhile.

use std::collections::BTreeMap;

use super::{
    clock::Clock,
    handle::{Health, Shared, Walk},
    run::{Engine, Error},
};
use crate::{
    model::batch::Batch,
    store::{
        alerts::Told,
        log::Place,
        record::{Entry, Rows, RuleSet, conform, unpack_lines},
    },
};

/// Alerts of the walk through the log are stored in steps of so many.
const RECOVERED_AT_ONCE: usize = 1_000;

impl Engine {
    /// Walks the log from its beginning, so that the state is what it was.
    pub(super) fn recover(&mut self, shared: &Shared) -> Result<(), Error> {
        let stored_to = self.teller.stored_to();
        let mut rules_hash = None;
        let mut told = Vec::new();
        let mut unknown = BTreeMap::new();
        let mut rows = 0;
        let of = self.log.next_arrival();
        let mut entries = self.log.read_from(0)?;
        while let Some(entry) = entries.next() {
            let place = entries.last_place();
            match entry? {
                Entry::Rules(rules) => rules_hash = Some(rules.hash),
                Entry::Idle(idle) => match self.feed(&idle.feed) {
                    Some(feed) => {
                        told.extend(self.walk_idle(feed, &idle.partition, idle.arrival, idle.at_ms))
                    }
                    None => *unknown.entry(idle.feed).or_insert(0) += 0,
                },
                Entry::Rows(logged) => {
                    let walked = Walk { rows: logged.head.first + logged.head.rows, of };
                    match self.feed(&logged.head.feed) {
                        Some(feed) => {
                            rows += logged.head.rows;
                            told.extend(self.walk_again(feed, logged, place, stored_to)?);
                        }
                        None => *unknown.entry(logged.head.feed).or_insert(0) += logged.head.rows,
                    }
                    shared.set_health(Health::Recovering(walked));
                }
            }
            if told.len() >= RECOVERED_AT_ONCE {
                self.teller.tell_again(&told)?;
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
        self.teller.recovered(&told, position)?;
        let start_ms = self.clock.now_ms();
        // Silence counts from now on: while forewarn was down nobody could be heard. A simulated clock stood still.
        if matches!(self.clock, Clock::Machine) {
            self.heard.values_mut().for_each(|heard| *heard = start_ms);
        }
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
        place: Place,
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
        let mut step = self.arrive(feed, &head, again, place);
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
        Ok(self.teller.told(step.alerts))
    }
}
