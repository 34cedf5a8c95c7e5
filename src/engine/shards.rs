//! All shards as one: work that each does for its own keys, and what they must tell each other.
//!
//! In: pieces, corrections, the local times up to which windows are complete. Out: alerts and signals of all shards. Keys
//! are independent of each other but for rules that compare with peers: their values are gathered from all shards first.

use std::sync::Arc;

use rayon::prelude::*;

use super::{
    correct::Correction, due::Behind, pipeline::Options, runs::RunSize, sequence::Move,
    shard::Shard, step::Step, windows::PeersByEnd,
};
use crate::{
    model::signal::Cause,
    pane::{kept::Piece, prepare::Prepared, store::StoreSize},
    rule::{control::adjusted, peers::PeerValues, plan::Plan},
};

/// Rows from which on it is worth waking other threads.
const ROWS_FOR_THREADS: u32 = 512;

/// The engine's state of all keys.
pub(super) struct Shards {
    plan: Arc<Plan>,
    list: Vec<Shard>,
    eager: bool,
}

impl Shards {
    /// `for_good`: whether closed windows stay as they are, by feed.
    pub(super) fn new(plan: Arc<Plan>, options: &Options, for_good: &[bool]) -> Self {
        let count = options.shards.max(1);
        let shard =
            |n| Shard::new(plan.clone(), options.zone.clone(), (n, count), for_good, options.eager);
        Self { list: (0..count).map(shard).collect(), plan, eager: options.eager }
    }

    /// Adds pieces, and looks at the open windows they fall into; `moves`: how far awaited feeds came behind their rows.
    pub(super) fn add(&mut self, pieces: &[(Arc<Piece>, Arc<Prepared>)], moves: &[Move]) {
        let eager = self.eager;
        let rows: u32 = pieces.iter().map(|(p, _)| p.to - p.from).sum();
        self.each(rows >= ROWS_FOR_THREADS, |s| {
            for (piece, prepared) in pieces {
                s.add(piece, prepared);
            }
            if eager {
                for (piece, prepared) in pieces {
                    s.look_at(piece, prepared);
                }
            }
            s.sequences(pieces, moves);
        });
    }

    /// Closes the windows of each `(rule, local time)` up to that time, and forgets what no window needs any more.
    pub(super) fn close(
        &mut self,
        due: &[(usize, i64)],
        cause: Cause,
        (watermarks, awaited): (&[i64], &[i64]),
        behind: &Behind,
    ) {
        let (with_peers, alone): (Vec<_>, Vec<_>) =
            due.iter().copied().partition(|(r, _)| self.plan.rules[*r].has_peers());
        for (r, to) in with_peers {
            let peers = self.peers(r, |s| s.ends(r, to), None);
            if !peers.is_empty() {
                self.each(true, |s| s.close(r, to, cause, &peers));
            }
        }
        self.each(true, |s| {
            for (r, to) in &alone {
                s.close(*r, *to, cause, &Vec::new());
            }
            s.expire_instants(watermarks, cause);
            s.await_feeds(awaited, cause);
            s.evict(behind);
        });
    }

    /// Takes in a row of `feed` that changes the past, and says again what the windows that it touches say.
    pub(super) fn correct(&mut self, feed: usize, correction: &Correction) {
        self.each(false, |s| s.apply(correction));
        let plan = self.plan.clone();
        for (r, rule) in plan.rules.iter().enumerate() {
            if !rule.feeds.contains(&feed) || rule.window.is_none() {
                continue;
            }
            let touched: Vec<u128> =
                self.list.iter().flat_map(|s| s.touched_peers(rule, correction)).collect();
            // Where keys are judged beside each other, one key's value moves what is said of all.
            let only = if rule.is_joint() { None } else { Some(touched.as_slice()) };
            let peers = self.peers(r, |s| s.touched_ends(r, correction), only);
            self.each(false, |s| s.revise(r, correction, &peers));
        }
    }

    /// Local time at which the history of a feed begins.
    pub(super) fn history_from(&self, feed: usize) -> i64 {
        self.list[0].history_from[feed]
    }

    /// The history of a feed begins at this earlier local day: windows that had no full history say what they say now.
    pub(super) fn history_moved(&mut self, feed: usize, day: i64, cause: Cause) {
        let before = self.history_from(feed);
        self.look_open();
        for s in &mut self.list {
            s.history_from[feed] = day;
        }
        let plan = self.plan.clone();
        for (r, rule) in plan.rules.iter().enumerate() {
            if !rule.feeds.contains(&feed) {
                continue;
            }
            self.each(true, |s| s.learn(r, rule, day, cause));
            if rule.lookback_ms == 0 {
                continue;
            }
            let peers = self.peers(r, |s| s.moved_ends(r, feed, before), None);
            self.each(true, |s| s.history_moved(r, (feed, before), cause, &peers));
        }
    }

    /// Looks at all open windows.
    pub(super) fn look_open(&mut self) {
        self.each(true, Shard::look_open);
    }

    /// Makes final what is open: signals of open windows, evidence of alerts that still fire.
    pub(super) fn finish(&mut self) {
        for r in 0..self.plan.rules.len() {
            let peers = self.peers(r, |s| s.open_ends(r), None);
            self.each(true, |s| s.keep_open(r, &peers));
        }
        self.each(true, Shard::finish);
    }

    /// Moves what the shards have to tell into `step`.
    pub(super) fn collect(&mut self, step: &mut Step) {
        for shard in &mut self.list {
            step.alerts.append(&mut shard.take_alerts());
            step.signals.append(&mut shard.take_finals());
        }
    }

    /// The shards one by one.
    pub(super) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Shard> {
        self.list.iter_mut()
    }

    pub(super) fn sizes(&self) -> Vec<StoreSize> {
        self.list.iter().map(Shard::size).collect()
    }

    /// Evaluations that failed and keys whose compares had no full history, by rule.
    pub(super) fn troubles(&self) -> Vec<(u64, u64)> {
        let sum = |r: usize| {
            self.list.iter().fold((0, 0), |(f, n), s| (f + s.failures[r], n + s.not_ready[r]))
        };
        (0..self.plan.rules.len()).map(sum).collect()
    }

    /// Keys evaluated in closed windows, by rule.
    pub(super) fn evaluations(&self) -> Vec<u64> {
        let sum = |r: usize| self.list.iter().map(|s| s.evaluations[r]).sum();
        (0..self.plan.rules.len()).map(sum).collect()
    }

    /// What sequence rules hold, by rule.
    pub(super) fn run_sizes(&self) -> Vec<RunSize> {
        let sum = |r: usize| {
            self.list.iter().map(|s| s.run_size(r)).fold(RunSize::default(), RunSize::plus)
        };
        (0..self.plan.rules.len()).map(sum).collect()
    }

    /// Runs that only a rule's awaited feed holds back, by rule, while time has come to these instants.
    pub(super) fn held_runs(&self, to_ms: &[i64]) -> Vec<usize> {
        let sum =
            |(r, to_ms): (usize, &i64)| self.list.iter().map(|s| s.held_runs(r, *to_ms)).sum();
        to_ms.iter().enumerate().map(sum).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Peers' values of all shards for the windows that `ends` names in any shard; empty for rules without peers. Of the
    /// peers whose key has a hash in `only`, of all without it.
    pub(super) fn peers(
        &mut self,
        r: usize,
        ends: impl Fn(&Shard) -> Vec<i64>,
        only: Option<&[u128]>,
    ) -> PeersByEnd {
        if !self.plan.rules[r].has_peers() {
            return Vec::new();
        }
        let mut all: Vec<i64> = self.list.iter().flat_map(ends).collect();
        all.sort_unstable();
        all.dedup();
        let mut merged: Vec<Vec<PeerValues>> = Vec::new();
        for shard in &mut self.list {
            let of_shard = shard.peers(r, &all, only);
            merged = match merged.is_empty() {
                true => of_shard,
                false => merged
                    .into_iter()
                    .zip(of_shard)
                    .map(|(a, b)| a.into_iter().zip(b).map(|(a, b)| a.merge(b)).collect())
                    .collect(),
            };
        }
        let rule = &self.plan.rules[r];
        let known = |values: PeerValues| Some(Arc::new(adjusted(rule, values)));
        let of_end = |values: Vec<PeerValues>| values.into_iter().map(known).collect();
        all.into_iter().zip(merged).map(|(end, values)| (end, of_end(values))).collect()
    }

    /// Lets each shard work, side by side where there is much to do.
    fn each(&mut self, much: bool, work: impl Fn(&mut Shard) + Sync + Send) {
        if much && self.list.len() > 1 {
            self.list.par_iter_mut().for_each(work);
        } else {
            self.list.iter_mut().for_each(work);
        }
    }
}
