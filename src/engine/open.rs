//! Open windows of rules whose condition can only become truer: they fire as soon as a record makes them true.
//!
//! Promise: what is told is a function of the log in the order of arrival. After each record, the open windows of its key
//! that it changes are asked, those that end first first; a window is told when it fires and nothing at least as severe is
//! known, of the window itself or of the key's alert. Where a close, a correction or the history lowers what is known, all
//! open windows of the key are asked again, and that is the cause of what they say. Nobody has to be there when a record
//! comes: which record made a window true is read off the rows, so it does not matter how many came before anybody looked.

use std::ops::Range;

use super::shard::{Shard, window_span};
use crate::{
    model::{
        signal::{Cause, Severity, Truth},
        window::WindowSpec,
    },
    pane::{
        kept::Piece,
        prepare::{NO_PANE, Prepared},
        store::shard_of,
    },
    rule::{
        evaluate::{Growth, Verdict, judge, row_values},
        plan::RulePlan,
    },
};

/// Local end of an open window, and key.
pub(super) type Look = (i64, u32);

impl Shard {
    /// Looks into all open windows of early rules.
    pub(super) fn look_open(&mut self) {
        let plan = self.plan.clone();
        for (r, rule) in plan.rules.iter().enumerate().filter(|(_, rule)| rule.early) {
            let looks = self.ahead(rule, self.rules[r].closed_to);
            self.look(r, rule, looks);
        }
    }

    /// Looks into the open windows of every key that has rows in the piece.
    pub(super) fn look_at(&mut self, piece: &Piece, prepared: &Prepared) {
        let plan = self.plan.clone();
        for (r, rule) in plan.rules.iter().enumerate().filter(|(_, rule)| rule.early) {
            let mut keys = Vec::new();
            for s in &rule.slices {
                let slice = &plan.panes.slices[*s];
                if slice.feed != piece.rows.feed {
                    continue;
                }
                let bits = &prepared.rows.bits;
                let of = &prepared.keys[slice.keying];
                let interner = self.store.interner(slice.space);
                keys.extend((piece.from..piece.to).filter_map(|row| {
                    let i = row as usize;
                    if !bits.passes(i, slice.filter) {
                        return None;
                    }
                    let refused = piece.refused.get((row - piece.from) as usize) == Some(&true);
                    let pane = prepared.rows.panes[slice.lane][i];
                    let incomplete = of.complete.as_ref().is_some_and(|c| c.is_null(i));
                    if refused || pane == NO_PANE || incomplete {
                        return None;
                    }
                    let mine = shard_of(of.hashes[i], self.shards) == self.number;
                    mine.then(|| interner.find(of.hashes[i])).flatten()
                }));
            }
            keys.sort_unstable();
            keys.dedup();
            let looks = self.ahead_of(r, rule, &keys);
            self.look(r, rule, looks);
        }
    }

    /// Windows that end behind the local time `from` (or any), and the keys that have rows in their last step.
    pub(super) fn ahead(&self, rule: &RulePlan, from: Option<i64>) -> Vec<Look> {
        let Some(step) = rule.step() else { return Vec::new() };
        let mut looks = Vec::new();
        for s in &rule.slices {
            let grid = self.plan.panes.slices[*s].grid;
            let slice = self.store.slice(*s);
            let mut pane = from.map_or(i32::MIN + 1, |to| grid.pane(to));
            while let Some(p) = slice.next_touched(pane) {
                let end = step.next_end(grid.start(p));
                looks.extend(slice.touched(p..p + 1).into_iter().map(|k| (end, k)));
                pane = p + 1;
            }
        }
        looks
    }

    /// The same for open windows and some keys.
    pub(super) fn ahead_of(&self, r: usize, rule: &RulePlan, keys: &[u32]) -> Vec<Look> {
        let Some(step) = rule.step() else { return Vec::new() };
        let mut looks = Vec::new();
        for s in &rule.slices {
            let grid = self.plan.panes.slices[*s].grid;
            let slice = self.store.slice(*s);
            let open = self.rules[r].closed_to.map_or(i32::MIN + 1, |to| grid.pane(to));
            for key in keys {
                let panes = slice.panes_of(*key, open).into_iter();
                looks.extend(panes.map(|p| (step.next_end(grid.start(p)), *key)));
            }
        }
        looks
    }

    /// Looks into open windows, and tells what is new.
    pub(super) fn look(&mut self, r: usize, rule: &RulePlan, looks: Vec<Look>) {
        let news = self.news(r, rule, looks);
        self.tell_open(r, rule, news, None);
    }

    /// The same where `cause` may have lowered what is known of the windows' keys.
    pub(super) fn look_again(&mut self, r: usize, rule: &RulePlan, looks: Vec<Look>, cause: Cause) {
        let news = self.news(r, rule, looks);
        self.tell_open(r, rule, news, Some(cause));
    }

    /// Those of open windows that may have something to tell.
    pub(super) fn news(&mut self, r: usize, rule: &RulePlan, mut looks: Vec<Look>) -> Vec<Look> {
        // A shadow rule raises no alerts, and its signals are found out when windows close.
        let Some(WindowSpec::Sliding { width_ms, .. }) = rule.window.filter(|_| self.specs[r].live)
        else {
            return Vec::new();
        };
        looks.sort_unstable();
        looks.dedup();
        let mut news = Vec::new();
        for of_end in looks.chunk_by(|a, b| a.0 == b.0) {
            let end = of_end[0].0;
            let mut keys: Vec<u32> = of_end.iter().map(|(_, k)| *k).collect();
            let window = end - width_ms..end;
            let mut evaluator = self.evaluator(r, &[]);
            evaluator.prefilter(&mut keys, &window);
            if !keys.is_empty() {
                let values = evaluator.values(&keys, &window);
                let verdicts = judge(rule, &values.batch);
                news.extend(self.news_of(r, rule, end, &keys, &verdicts));
            }
        }
        news
    }

    /// The same for windows of one end, with what they say now.
    pub(super) fn news_of(
        &self,
        r: usize,
        rule: &RulePlan,
        end: i64,
        keys: &[u32],
        verdicts: &[Verdict],
    ) -> Vec<Look> {
        let worth = |(key, verdict): &(&u32, &Verdict)| {
            let fires =
                verdict.truth == Truth::Fire && self.is_news(r, rule, end, **key, **verdict);
            fires || self.is_moving(r, rule, end, **key)
        };
        keys.iter().zip(verdicts).filter(worth).map(|(key, _)| (end, *key)).collect()
    }

    /// Whether what an open window is compared with may have changed since it was asked last, so that it may have fired
    /// although it does not now.
    fn is_moving(&self, r: usize, rule: &RulePlan, end: i64, key: u32) -> bool {
        let Some(closed_to) = self.rules[r].closed_to else {
            return rule.shifts().next().is_some();
        };
        rule.shifts().filter(|shift| end - shift > closed_to).any(|shift| {
            rule.slices.iter().any(|s| {
                let grid = self.plan.panes.slices[*s].grid;
                let (from, to) = (grid.pane(closed_to), grid.pane(end - shift));
                self.store.slice(*s).rows(key, &(from..to)) > 0
            })
        })
    }

    /// Tells what open windows have said since they were asked last, in the order in which the records came, and of one
    /// record in the order of the windows' ends. `again`: what makes them say it now.
    pub(super) fn tell_open(
        &mut self,
        r: usize,
        rule: &RulePlan,
        mut news: Vec<Look>,
        again: Option<Cause>,
    ) {
        let Some(WindowSpec::Sliding { width_ms, every_ms, .. }) = rule.window else { return };
        news.sort_unstable_by_key(|(end, key)| (*key, *end));
        let closed_to = self.rules[r].closed_to.unwrap_or(i64::MIN);
        for of_key in news.chunk_by(|a, b| a.1 == b.1) {
            let mut grown = Vec::with_capacity(of_key.len());
            let mut steps = Vec::new();
            for (w, (end, key)) in of_key.iter().enumerate() {
                let window = end - width_ms..*end;
                let growth = self.evaluator(r, &[]).growth(*key, &window, every_ms, closed_to);
                let told = self.rules[r].early.get(&(*end, *key)).copied();
                let rises = growth.rises(told).into_iter();
                steps.extend(rises.map(|i| (growth.records[i].arrival(), w, i)));
                grown.push((window, growth));
            }
            steps.sort_unstable();
            for (_, w, i) in steps {
                let ((end, key), (window, growth)) = (of_key[w], &grown[w]);
                if self.is_news(r, rule, end, key, growth.verdicts[i]) {
                    self.tell_step(r, rule, key, window, (growth, i), again);
                }
            }
        }
    }

    /// Tells what an open window says after one of its records.
    fn tell_step(
        &mut self,
        r: usize,
        rule: &RulePlan,
        key: u32,
        window: &Range<i64>,
        (growth, step): (&Growth, usize),
        again: Option<Cause>,
    ) {
        let (found, verdict) = (&growth.records[step], growth.verdicts[step]);
        let (arrival, arrived_ms) = found.piece.arrival(found.row);
        let cause = again.unwrap_or(Cause { at_ms: 0, arrival, arrived_ms });
        let cause = Cause { at_ms: found.event_ms(), ..cause };
        let span = window_span(rule, window.end, &self.zone);
        let row = row_values(&growth.values, step);
        let mut outcome = self.outcome(r, rule, key, (span, false), verdict, &row, cause);
        outcome.context = self.context(r, &growth.records[..=step]);
        self.tell(r, key, &outcome);
        if self.rules[r].early.insert((window.end, key), verdict.severity).is_none() {
            self.store.interner_mut(rule.space).retain(key);
        }
    }

    /// Whether an open window that fires has not been told and would change something.
    fn is_news(&self, r: usize, rule: &RulePlan, end: i64, key: u32, verdict: Verdict) -> bool {
        let told = self.rules[r].early.get(&(end, key)).copied();
        let known = told.or_else(|| self.severity(r, rule, key));
        known.is_none_or(|known| verdict.severity > known)
    }

    /// The severity of the key's pending or firing alert.
    pub(super) fn severity(&self, r: usize, rule: &RulePlan, key: u32) -> Option<Severity> {
        self.lifecycle.severity(r, &self.store.interner(rule.space).key(key).canonical)
    }
}
