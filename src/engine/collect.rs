//! Collects what a replay tells people: each alert once, as it ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use super::{pipeline::Step, replay::Sink};
use crate::model::{
    alert::{Alert, State},
    batch::DeadLetter,
};

/// Receives a replay; `progress` is told how many bytes were read.
pub struct Collected<'a> {
    /// By id: the latest revision.
    alerts: BTreeMap<String, Alert>,
    /// Alerts that were more than pending at some time.
    fired: BTreeSet<String>,
    /// Rows refused, those that could not be read among them.
    refused: u64,
    progress: Box<dyn FnMut(u64) + 'a>,
}

impl<'a> Collected<'a> {
    /// Nothing yet.
    #[must_use]
    pub fn new(progress: impl FnMut(u64) + 'a) -> Self {
        Self {
            alerts: BTreeMap::new(),
            fired: BTreeSet::new(),
            refused: 0,
            progress: Box::new(progress),
        }
    }

    /// Rows that were refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The alerts that fired, in the order in which they became known.
    #[must_use]
    pub fn told(self) -> Vec<Alert> {
        let fired = self.fired;
        let mut told: Vec<Alert> =
            self.alerts.into_values().filter(|a| fired.contains(&a.id)).collect();
        told.sort_by(|a, b| {
            let of = |x: &Alert| (x.known.1, x.fired_ms, x.rule);
            of(a).cmp(&of(b)).then_with(|| a.key.cmp(&b.key)).then_with(|| a.id.cmp(&b.id))
        });
        told
    }
}

impl Sink for Collected<'_> {
    fn take(&mut self, step: Step) -> io::Result<()> {
        for alert in step.alerts {
            if matches!(alert.state, State::Firing | State::Suppressed) {
                self.fired.insert(alert.id.clone());
            }
            self.alerts.insert(alert.id.clone(), alert);
        }
        self.refused += step.dead.len() as u64;
        Ok(())
    }

    fn dead(&mut self, _feed: usize, _partition: &str, _letter: DeadLetter) -> io::Result<()> {
        self.refused += 1;
        Ok(())
    }

    fn progress(&mut self, bytes: u64) {
        (self.progress)(bytes);
    }
}
