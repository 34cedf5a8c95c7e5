//! Session windows: from a key's first row until it was silent for the gap, at most `max` long.
//!
//! Edges come from the rows themselves, to the second. A session is closed when the watermark passes its end; closed
//! sessions are remembered while they can be corrected, so that a late row, which may join or lengthen sessions, replaces
//! exactly those it touches.

use super::shard::Shard;
use crate::{
    model::{
        signal::{Cause, Span, Truth},
        time::SECOND_MS,
        window::WindowSpec,
    },
    rule::{evaluate::row_values, plan::RulePlan},
};

/// A closed session in local time, `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) start: i64,
    pub(super) end: i64,
}

/// The sessions of sorted panes of a second, from the first pane at or behind `from`; the last one may still go on.
fn sessions(mut seconds: Vec<i64>, from: i64, gap_ms: i64, max_ms: i64) -> Vec<Session> {
    seconds.retain(|s| *s >= from);
    seconds.sort_unstable();
    let mut out: Vec<Session> = Vec::new();
    for s in seconds {
        match out.last_mut() {
            Some(open) if s < open.end && s < open.start + max_ms => {
                open.end = (s + gap_ms).min(open.start + max_ms);
            }
            _ => out.push(Session { start: s, end: s + gap_ms.min(max_ms) }),
        }
    }
    out
}

impl Shard {
    /// Closes the sessions of rule `r` that end at the local time `to` or before.
    pub(super) fn close_sessions(&mut self, r: usize, rule: &RulePlan, to: i64, cause: Cause) {
        let Some(WindowSpec::Session { gap_ms, .. }) = rule.window else { return };
        let before = self.rules[r].closed_to;
        if before.is_some_and(|b| b >= to) {
            return;
        }
        let mut keys = Vec::new();
        for s in &rule.slices {
            let grid = self.plan.panes.slices[*s].grid;
            let from = before.map_or(i32::MIN + 1, |b| grid.pane(b - gap_ms));
            keys.extend(self.store.slice(*s).touched(from..grid.pane(to) + 1));
        }
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let from =
                self.rules[r].sessions.get(&key).and_then(|s| s.last()).map_or(i64::MIN, |s| s.end);
            let ended = self.sessions_of(rule, key, from, to);
            for session in ended {
                if before.is_some_and(|b| session.end <= b) {
                    continue;
                }
                let at = Cause { at_ms: self.zone.to_utc(session.end), ..cause };
                self.remember(r, rule, key, session);
                self.judge_session(r, rule, key, session, at);
            }
        }
        self.rules[r].closed_to = Some(to);
    }

    /// Sessions of a key touched by a change at the local time `at` are made anew.
    pub(super) fn revise_sessions(
        &mut self,
        r: usize,
        rule: &RulePlan,
        key: u32,
        at: i64,
        cause: Cause,
    ) {
        let (Some(WindowSpec::Session { gap_ms, .. }), Some(closed_to)) =
            (rule.window, self.rules[r].closed_to)
        else {
            return;
        };
        let kept = self.rules[r].sessions.remove(&key).unwrap_or_default();
        let final_to = self.rules[r].final_to;
        let touched = |s: &Session| s.end > at - gap_ms && s.end >= final_to;
        let split = kept.iter().position(touched).unwrap_or(kept.len());
        let from = split.checked_sub(1).map_or(i64::MIN, |i| kept[i].end);
        let now = self.sessions_of(rule, key, from, closed_to);
        let mut all = kept[..split].to_vec();
        all.extend(&now);
        for gone in kept[split..].iter().filter(|s| !now.contains(s)) {
            self.drop_signal(r, rule, gone.end, key);
            let k = self.store.interner(rule.space).key(key).clone();
            let outcome = self.quiet(r, &k, self.span_of(*gone), Truth::Clear, cause, true);
            self.tell(r, key, &outcome);
        }
        for session in &now {
            self.judge_session(r, rule, key, *session, cause);
        }
        let (had, has) = (!kept.is_empty(), !all.is_empty());
        if has {
            self.rules[r].sessions.insert(key, all);
        }
        let after = self.store.latest_ms();
        match (had, has) {
            (false, true) => self.store.interner_mut(rule.space).retain(key),
            (true, false) => self.store.interner_mut(rule.space).release(key, after),
            _ => {}
        }
    }

    /// Forgets sessions that can no longer be corrected, but for the last one of a key: the next begins behind it, and its
    /// rows must not make another while some of them are kept.
    pub(super) fn forget_sessions(&mut self, r: usize, rule: &RulePlan, before_local: i64) {
        let after = self.store.latest_ms();
        let mut gone = Vec::new();
        let store = &self.store;
        for (key, sessions) in &mut self.rules[r].sessions {
            let old = sessions.partition_point(|s| s.end < before_local);
            sessions.drain(..old.saturating_sub(1));
            let over = sessions.last().is_none_or(|s| s.end < before_local);
            if over && rule.slices.iter().all(|s| !store.slice(*s).has(*key)) {
                gone.push(*key);
            }
        }
        for key in gone {
            self.rules[r].sessions.remove(&key);
            self.store.interner_mut(rule.space).release(key, after);
        }
    }

    fn sessions_of(&self, rule: &RulePlan, key: u32, from: i64, to: i64) -> Vec<Session> {
        let Some(WindowSpec::Session { gap_ms, max_ms }) = rule.window else { return Vec::new() };
        let second = |pane: i32| i64::from(pane) * SECOND_MS;
        let mut seconds = Vec::new();
        for s in &rule.slices {
            seconds.extend(self.store.slice(*s).panes_of(key, i32::MIN).into_iter().map(second));
        }
        let mut ended = sessions(seconds, from, gap_ms, max_ms);
        ended.retain(|s| s.end <= to);
        ended
    }

    fn remember(&mut self, r: usize, rule: &RulePlan, key: u32, session: Session) {
        let list = self.rules[r].sessions.entry(key).or_default();
        if list.is_empty() {
            self.store.interner_mut(rule.space).retain(key);
        }
        list.push(session);
    }

    fn judge_session(
        &mut self,
        r: usize,
        rule: &RulePlan,
        key: u32,
        session: Session,
        cause: Cause,
    ) {
        let window = session.start..session.end;
        let (verdicts, values) = self.verdicts(r, &[key], &window, &[]);
        let span = self.span_of(session);
        if verdicts[0].truth == Truth::Fire {
            let row = row_values(&values, 0);
            let outcome = self.outcome(r, rule, key, (span, true), verdicts[0], &row, cause);
            self.tell(r, key, &outcome);
            let found = (verdicts[0].severity, span);
            self.hold_signal_of(r, rule, session.end, key, found, (&values, 0));
        } else {
            self.drop_signal(r, rule, session.end, key);
            let k = self.store.interner(rule.space).key(key).clone();
            let outcome = self.quiet(r, &k, span, verdicts[0].truth, cause, true);
            self.tell(r, key, &outcome);
        }
    }

    fn span_of(&self, session: Session) -> Span {
        Span { start_ms: self.zone.to_utc(session.start), end_ms: self.zone.to_utc(session.end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_length_end_a_session() {
        let of = |seconds: &[i64], from| {
            sessions(seconds.to_vec(), from, 10, 25)
                .into_iter()
                .map(|s| (s.start, s.end))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&[0, 5, 14, 23], i64::MIN), [(0, 25)], "cut at its longest");
        assert_eq!(
            of(&[0, 10], i64::MIN),
            [(0, 10), (10, 20)],
            "a row at the gap is the next session's"
        );
        assert_eq!(of(&[0, 9, 18, 24, 26], i64::MIN), [(0, 25), (26, 36)]);
        assert_eq!(of(&[0, 9, 40], 25), [(40, 50)]);
    }
}
