//! Rows that change the past: late rows, corrections, withdrawals.
//!
//! Each is a step of its own. The windows it touches are evaluated again, closed and open ones, of its own key and of every
//! key that compares with it; what they say now replaces what they said.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    held::Held,
    shard::{Shard, window_span},
    windows::PeersByEnd,
};
use crate::{
    model::{
        batch::Batch,
        signal::{Cause, Outcome, Truth},
        window::WindowSpec,
    },
    pane::{
        kept::{Found, Piece},
        prepare::{NO_PANE, Prepared, Preparer, Rows},
        store::shard_of,
    },
    rule::{
        evaluate::row_values,
        peers::PeerValues,
        plan::{CompareWith, RulePlan},
    },
};

/// One record that changes the past.
#[derive(Debug)]
pub struct Correction {
    /// The version that no longer counts and its row prepared alone.
    pub old: Option<(Found, Prepared)>,
    /// The version that counts from now on: a piece of one row, and the batch it is of.
    pub new: Option<(Arc<Piece>, Arc<Prepared>)>,
    /// The new row prepared alone.
    pub new_alone: Option<Prepared>,
    /// The arrival that brought it.
    pub cause: Cause,
}

impl Correction {
    fn rows(&self) -> impl Iterator<Item = &Prepared> {
        self.old.iter().map(|(_, p)| p).chain(&self.new_alone)
    }
}

/// One row prepared alone.
pub(super) fn alone(preparers: &mut [Preparer], rows: &Rows, row: u32) -> Prepared {
    preparers[rows.feed].prepare(Batch {
        feed: rows.feed,
        partition: "".into(),
        rows: rows.batch.slice(row as usize, 1),
        lines: Arc::from([0]),
        raw: None,
    })
}

impl Shard {
    /// First half: what open windows say before the change, then the change itself.
    pub(super) fn apply(&mut self, correction: &Correction) {
        let plan = self.plan.clone();
        for (r, rule) in plan.rules.iter().enumerate().filter(|(_, rule)| rule.early) {
            let keys = self.touched_keys(rule, correction);
            let looks = self.ahead_of(r, rule, &keys);
            self.look(r, rule, looks);
        }
        if let Some((found, alone)) = &correction.old {
            self.prove_row(alone);
            // Whoever holds the key now must still find it after its last row is gone.
            let (store, preparers) = (&mut self.store, &mut self.preparers);
            store.remove(found, alone, &mut |kept: &Found| {
                self::alone(preparers, &kept.piece.rows, kept.row)
            });
            self.correct_instants(Some((found, alone)), correction.cause);
        }
        if let Some((piece, prepared)) = &correction.new {
            self.add(piece, prepared);
        }
        self.correct_sequences(correction);
    }

    /// Reads the evidence of alerts of a row's keys while the row is still there.
    fn prove_row(&mut self, row: &Prepared) {
        if !self.is_unproven() {
            return;
        }
        let plan = self.plan.clone();
        for (r, rule) in plan.rules.iter().enumerate() {
            for s in &rule.slices {
                if let Some(key) = self.key_in(*s, row) {
                    self.prove_key(r, key);
                }
            }
        }
    }

    /// Local ends of closed windows of rule `r` that the correction touches, oldest first.
    pub(super) fn touched_ends(&self, r: usize, correction: &Correction) -> Vec<i64> {
        let rule = &self.plan.rules[r];
        let (Some(windows), Some(step), Some(closed_to)) =
            (rule.repeating(), rule.step(), self.rules[r].closed_to)
        else {
            return Vec::new();
        };
        let final_to = self.rules[r].final_to;
        let mut ends = Vec::new();
        for row in correction.rows() {
            let beside = rule.beside.iter().map(|beside| beside.slice);
            for s in slices_of(rule).into_iter().chain(beside) {
                let slice = &self.plan.panes.slices[s];
                if slice.feed != row.rows.feed || !row.rows.bits.passes(0, slice.filter) {
                    continue;
                }
                let pane = row.rows.panes[slice.lane][0];
                if pane == NO_PANE {
                    continue;
                }
                let start = slice.grid.start(pane);
                if let Some(detect) = &rule.detect {
                    let closed = step.ends_behind(start.max(final_to));
                    let closed = closed.take_while(|end| *end <= closed_to);
                    ends.extend(closed.filter(|end| detect.reaches(*end) <= start));
                    continue;
                }
                for shift in std::iter::once(0).chain(rule.shifts()) {
                    let first = (start + shift).max(final_to);
                    let touched = |end: &i64| {
                        *end <= closed_to && windows.ending(*end).start <= start + shift
                    };
                    ends.extend(step.ends_behind(first).take_while(touched));
                }
            }
        }
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// Second half: evaluates again what the correction touches.
    pub(super) fn revise(&mut self, r: usize, correction: &Correction, peers: &PeersByEnd) {
        let plan = self.plan.clone();
        let rule = &plan.rules[r];
        if let Some(WindowSpec::Session { .. }) = rule.window {
            for row in correction.rows() {
                let at = self.zone.to_local(row.rows.event_ms[0]);
                for key in
                    rule.slices.iter().filter_map(|s| self.key_in(*s, row)).collect::<Vec<_>>()
                {
                    self.revise_sessions(r, rule, key, at, correction.cause);
                }
            }
            return;
        }
        let ends = match peers.is_empty() {
            true => self.touched_ends(r, correction),
            false => peers.iter().map(|(e, _)| *e).collect(),
        };
        let keys = self.touched_keys(rule, correction);
        if keys.is_empty() && !rule.is_joint() {
            return;
        }
        let mut outcomes: BTreeMap<u32, Vec<Outcome>> = BTreeMap::new();
        for (i, end) in ends.iter().enumerate() {
            let of_end = peers.get(i).map_or(&[][..], |(_, p)| p.as_slice());
            let beside = self.tested_beside(r, rule, *end, &keys);
            let keys = beside.as_ref().unwrap_or(&keys);
            for (key, outcome) in self.closed_again(r, rule, *end, keys, of_end, correction.cause) {
                outcomes.entry(key).or_default().push(outcome);
            }
        }
        for (key, found) in outcomes {
            self.tell_again(r, rule, key, &found);
        }
        if rule.early {
            self.reopen(r, rule, correction, &keys);
        }
    }

    /// Where keys are judged beside each other, those of a closed window that say something, and `keys`: one key's value
    /// moves what is said of all.
    fn tested_beside(&self, r: usize, rule: &RulePlan, end: i64, keys: &[u32]) -> Option<Vec<u32>> {
        if !rule.is_joint() {
            return None;
        }
        let window = rule.window?.ending(end);
        let mut all = self.keys_in(rule, &window);
        all.extend(self.rules[r].signals.get(&end).into_iter().flat_map(Held::keys));
        all.extend(keys);
        all.sort_unstable();
        all.dedup();
        Some(all)
    }

    /// What a closed window says now, for each of `keys`; signals are kept and dropped accordingly.
    fn closed_again(
        &mut self,
        r: usize,
        rule: &RulePlan,
        end: i64,
        keys: &[u32],
        peers: &[Option<Arc<PeerValues>>],
        cause: Cause,
    ) -> Vec<(u32, Outcome)> {
        let Some(window) = rule.window.map(|window| window.ending(end)) else { return Vec::new() };
        let mut asked = keys.to_vec();
        if rule.detect.is_some() && rule.clear.is_none() {
            // A detector is dear: it is not asked where the condition cannot hold whatever it says.
            self.evaluator(r, peers).prefilter(&mut asked, &window);
        }
        let (verdicts, values) = self.verdicts(r, &asked, &window, peers);
        let span = window_span(rule, end, &self.zone);
        let mut out = Vec::with_capacity(keys.len());
        let mut next = 0;
        for key in keys {
            let i = next;
            if asked.get(i) != Some(key) {
                self.drop_signal(r, rule, end, *key);
                let k = self.store.interner(rule.space).key(*key).clone();
                out.push((*key, self.quiet(r, &k, span, Truth::Clear, cause, true)));
                continue;
            }
            next += 1;
            if verdicts[i].truth == Truth::Fire {
                let row = row_values(&values, i);
                self.hold_signal(r, rule, end, *key, verdicts[i].severity, (&values, i));
                out.push((
                    *key,
                    self.outcome(r, rule, *key, (span, true), verdicts[i], &row, cause),
                ));
            } else {
                self.drop_signal(r, rule, end, *key);
                let k = self.store.interner(rule.space).key(*key).clone();
                out.push((*key, self.quiet(r, &k, span, verdicts[i].truth, cause, true)));
            }
        }
        out
    }

    /// Tells what closed windows of a key say now. If the last one fires, the next must be looked at even if nothing
    /// enters or leaves it: an unchanged true key repeats its signal.
    fn tell_again(&mut self, r: usize, rule: &RulePlan, key: u32, found: &[Outcome]) {
        self.tell_all(r, key, found);
        let last = self.rules[r].closed_to.map(|end| window_span(rule, end, &self.zone));
        if found.iter().any(|o| o.truth == Truth::Fire && Some(o.window) == last) {
            self.set_active(r, key, true);
        }
    }

    /// Local ends of closed windows of rule `r` whose compares had no full history while that of `feed` began at the local
    /// time `before`, and may have it now.
    pub(super) fn moved_ends(&self, r: usize, feed: usize, before: i64) -> Vec<i64> {
        let rule = &self.plan.rules[r];
        let (Some(windows), Some(step), Some(closed_to)) =
            (rule.repeating(), rule.step(), self.rules[r].closed_to)
        else {
            return Vec::new();
        };
        let others = rule.feeds.iter().filter(|f| **f != feed).map(|f| self.history_from[*f]).max();
        let others = others.unwrap_or(i64::MIN);
        let (now, before) = (self.history_from[feed].max(others), before.max(others));
        if now == before || now == i64::MAX {
            return Vec::new();
        }
        let last = closed_to.min(before.saturating_add(rule.lookback_ms + windows.width_max()));
        let first = now.max(self.rules[r].final_to);
        step.ends_behind(first).take_while(|end| *end <= last).collect()
    }

    /// The beginning of a feed's history moved back: see [`Self::moved_ends`]; windows of every key are evaluated again.
    pub(super) fn history_moved(
        &mut self,
        r: usize,
        (feed, before): (usize, i64),
        cause: Cause,
        peers: &PeersByEnd,
    ) {
        let plan = self.plan.clone();
        let rule = &plan.rules[r];
        let ends = self.moved_ends(r, feed, before);
        if !ends.is_empty() {
            self.all_closed_again(r, rule, ends, cause, peers);
        }
        if rule.early {
            let looks = self.ahead(rule, self.rules[r].closed_to);
            self.look_again(r, rule, looks, cause);
        }
    }

    /// What closed windows of every key say now.
    fn all_closed_again(
        &mut self,
        r: usize,
        rule: &RulePlan,
        ends: Vec<i64>,
        cause: Cause,
        peers: &PeersByEnd,
    ) {
        let mut keys: Vec<u32> =
            rule.slices.iter().flat_map(|s| self.store.slice(*s).keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut outcomes: BTreeMap<u32, Vec<Outcome>> = BTreeMap::new();
        for (i, end) in ends.into_iter().enumerate() {
            let of_end = peers.get(i).map_or(&[][..], |(_, p)| p.as_slice());
            for (key, outcome) in self.closed_again(r, rule, end, &keys, of_end, cause) {
                outcomes.entry(key).or_default().push(outcome);
            }
        }
        for (key, found) in outcomes {
            self.tell_again(r, rule, key, &found);
        }
    }

    /// Open windows: early marks that no longer hold are taken back, and what holds now is told.
    fn reopen(&mut self, r: usize, rule: &RulePlan, correction: &Correction, keys: &[u32]) {
        let Some(WindowSpec::Sliding { width_ms, .. }) = rule.window else { return };
        let closed_to = self.rules[r].closed_to.unwrap_or(i64::MIN);
        let marks: Vec<(i64, u32)> = self.rules[r]
            .early
            .keys()
            .copied()
            .filter(|(e, k)| *e > closed_to && keys.contains(k))
            .collect();
        for (end, key) in marks {
            let window = end - width_ms..end;
            let (verdicts, _) = self.verdicts(r, &[key], &window, &[]);
            if verdicts[0].truth != Truth::Fire {
                self.rules[r].early.remove(&(end, key));
                let k = self.store.interner(rule.space).key(key).clone();
                let span = window_span(rule, end, &self.zone);
                let outcome = self.quiet(r, &k, span, verdicts[0].truth, correction.cause, false);
                self.tell(r, key, &outcome);
                let after = self.store.latest_ms();
                self.store.interner_mut(rule.space).release(key, after);
            }
        }
        let looks = self.ahead_of(r, rule, keys);
        self.look_again(r, rule, looks, correction.cause);
    }

    /// Hashes of the peers' keys that [`Self::touched_keys`] compare with.
    pub(super) fn touched_peers(&self, rule: &RulePlan, correction: &Correction) -> Vec<u128> {
        let mut hashes = Vec::new();
        for row in correction.rows() {
            for compare in &rule.compares {
                let CompareWith::Peers { link, aggregates, .. } = &compare.with else { continue };
                let own = rule.slices.iter().filter_map(|s| self.key_in(*s, row));
                hashes.extend(own.filter_map(|key| self.store.peers_of(*link, key)));
                let slices = aggregates.iter().map(|a| &self.plan.panes.slices[a.slice]);
                let of_feed = slices.filter(|slice| slice.feed == row.rows.feed);
                hashes.extend(of_feed.map(|slice| row.keys[slice.keying].hashes[0]));
            }
        }
        hashes
    }

    /// The keys of this shard whose windows the correction touches.
    fn touched_keys(&self, rule: &RulePlan, correction: &Correction) -> Vec<u32> {
        let mut keys = Vec::new();
        for row in correction.rows() {
            let beside = rule.beside.iter().map(|beside| &beside.slice);
            for s in rule.slices.iter().chain(beside) {
                keys.extend(self.key_in(*s, row));
            }
            for compare in &rule.compares {
                let CompareWith::Peers { link, aggregates, .. } = &compare.with else { continue };
                for a in aggregates {
                    let slice = &self.plan.panes.slices[a.slice];
                    if slice.feed != row.rows.feed || !row.rows.bits.passes(0, slice.filter) {
                        continue;
                    }
                    let hash = row.keys[slice.keying].hashes[0];
                    for own in &rule.slices {
                        let of_peer = |k: &u32| self.store.peers_of(*link, *k) == Some(hash);
                        keys.extend(self.store.slice(*own).keys().into_iter().filter(of_peer));
                    }
                }
            }
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The key of a single row in a slice, where this shard knows it.
    fn key_in(&self, slice: usize, row: &Prepared) -> Option<u32> {
        let slice = &self.plan.panes.slices[slice];
        if slice.feed != row.rows.feed || !row.rows.bits.passes(0, slice.filter) {
            return None;
        }
        let keys = &row.keys[slice.keying];
        if keys.complete.as_ref().is_some_and(|c| c.is_null(0)) {
            return None;
        }
        if self.shards > 1 && shard_of(keys.hashes[0], self.shards) != self.number {
            return None;
        }
        self.store.interner(slice.space).find(keys.hashes[0])
    }
}

/// All slices whose rows can change a rule's answer: its own and its peers'.
pub(super) fn slices_of(rule: &RulePlan) -> Vec<usize> {
    let mut all = rule.slices.clone();
    for c in &rule.compares {
        if let CompareWith::Peers { aggregates, .. } = &c.with {
            all.extend(aggregates.iter().map(|a| a.slice));
        }
    }
    all
}
