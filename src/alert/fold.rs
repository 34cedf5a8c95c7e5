//! Fold: what is known about the windows of one rule and key, in window order, made into runs.
//!
//! In: facts, one per window. Out: runs, each a future or present alert: pending, firing or resolved. A pure function,
//! so that a fact that came late gives the same runs as if it had come in time.
//! A window between two facts that has no fact of its own is clear, once windows that end there are closed; that needs
//! where windows end (`step`), which of sessions is not known.
//! Not here: which alert a run is, and whether anybody is told — see `lifecycle`.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::lifecycle::AlertSpec;
use crate::model::{
    alert::State,
    signal::{Cause, Outcome, Severity, Span, Truth},
    time::{DAY_MS, HOUR_MS},
    window::Step,
};

/// How a rule's alerts live: the part of [`super::AlertSpec`] that the fold needs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timing {
    pub(super) hold_ms: i64,
    pub(super) keep_ms: i64,
    pub(super) step: Option<Step>,
    /// Every window that ends here or earlier is closed.
    pub(super) closed_to: i64,
}

impl Timing {
    pub(super) fn of(spec: &AlertSpec) -> Self {
        let AlertSpec { hold_ms, keep_ms, step, .. } = *spec;
        Self { hold_ms, keep_ms, step, closed_to: i64::MIN }
    }

    pub(super) fn closed_to(self, closed_to: i64) -> Self {
        Self { closed_to, ..self }
    }

    /// Half of the shortest step: room, because a zone's clock change moves window ends by an hour.
    fn room_ms(self) -> i64 {
        match self.step {
            Some(Step::Span { every_ms, .. }) => (every_ms + 1) / 2,
            Some(Step::Month | Step::Holiday { .. }) => DAY_MS,
            None => 0,
        }
    }

    /// The instant `n` window ends after the one at `end_ms`.
    fn end_after(self, end_ms: i64, n: i64) -> Option<i64> {
        match self.step? {
            Step::Span { every_ms, .. } => Some(end_ms + n * every_ms),
            step @ (Step::Month | Step::Holiday { .. }) => {
                // Midnight of a zone is at most 14 hours before that of UTC, and 12 behind.
                let midnight = step.next_end(end_ms - 13 * HOUR_MS);
                Some(step.shift(midnight, n) + (end_ms - midnight))
            }
        }
    }

    /// How many window ends lie behind the one at `end_ms`, up to and with the first at or behind `to_ms`.
    fn ends_to(self, end_ms: i64, to_ms: i64) -> i64 {
        let behind = to_ms.saturating_sub(end_ms).max(1);
        match self.step {
            Some(Step::Span { every_ms, .. }) => (behind - 1).div_euclid(every_ms) + 1,
            Some(Step::Month | Step::Holiday { .. }) => {
                (1..).find(|n| self.end_after(end_ms, *n) >= Some(to_ms)).unwrap_or(1)
            }
            None => 0,
        }
    }
}

/// What one evaluation of a window found.
#[derive(Debug, PartialEq)]
pub(super) struct Content {
    pub(super) severity: Severity,
    pub(super) values: Map<String, Value>,
    pub(super) context: Map<String, Value>,
}

impl Content {
    pub(super) fn of(outcome: &Outcome) -> Arc<Self> {
        Arc::new(Self {
            severity: outcome.severity,
            values: outcome.values.clone(),
            context: outcome.context.clone(),
        })
    }

    pub(super) fn is(&self, outcome: &Outcome) -> bool {
        // The context is that of the record that fired first and does not change.
        self.severity == outcome.severity && self.values == outcome.values
    }
}

/// What is known about one window.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    /// Identity is the start: a session's end moves while it lasts.
    pub(super) window: Span,
    pub(super) closed: bool,
    pub(super) truth: Known,
}

/// The truth of a window, with its content where it fires.
#[derive(Debug, Clone)]
pub(super) enum Known {
    Fire(Fire),
    Hold,
    Clear,
}

/// A firing window.
#[derive(Debug, Clone)]
pub(super) struct Fire {
    /// What made it true first.
    pub(super) cause: Cause,
    /// What was found then.
    pub(super) first: Arc<Content>,
    /// What was found last.
    pub(super) now: Arc<Content>,
    /// The alert it was counted to when last looked at; 0 for none yet.
    pub(super) episode: u32,
}

impl Fact {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let truth = match outcome.truth {
            Truth::Fire => {
                let content = Content::of(outcome);
                Known::Fire(Fire {
                    cause: outcome.cause,
                    first: Arc::clone(&content),
                    now: content,
                    episode: 0,
                })
            }
            Truth::Hold => Known::Hold,
            Truth::Clear => Known::Clear,
        };
        Self { window: outcome.window, closed: outcome.closed, truth }
    }

    /// Takes over what `outcome` says about this window; `false` when that was known.
    pub(super) fn replace(&mut self, outcome: &Outcome) -> bool {
        // A closed window stays closed: an evaluation of it can only be a correction.
        let closed = self.closed || outcome.closed;
        let same = match (&mut self.truth, outcome.truth) {
            (Known::Fire(fire), Truth::Fire) => {
                let same = fire.now.is(outcome);
                if !same {
                    fire.now = Content::of(outcome);
                }
                same
            }
            (Known::Hold, Truth::Hold) | (Known::Clear, Truth::Clear) => true,
            (truth, _) => {
                *truth = Self::of(outcome).truth;
                false
            }
        };
        let same = same && closed == self.closed && self.window == outcome.window;
        (self.closed, self.window) = (closed, outcome.window);
        !same
    }

    pub(super) fn episode(&self) -> u32 {
        match &self.truth {
            Known::Fire(fire) => fire.episode,
            Known::Hold | Known::Clear => 0,
        }
    }
}

/// One episode of firing windows, as far as the facts say.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// The alert it is, where that is settled already; else 0.
    pub(super) episode: u32,
    /// Start of the first firing window.
    pub(super) began_ms: i64,
    /// What made the first firing window true.
    pub(super) cause: Cause,
    /// When it became firing, and with what; `None` while pending.
    pub(super) fired: Option<(i64, Arc<Content>)>,
    /// Content of the first firing window when it became true.
    pub(super) first: Arc<Content>,
    /// The latest firing window and its content.
    pub(super) window: Span,
    pub(super) last: Arc<Content>,
    /// Severity: of the latest closed firing window, raised by open ones, which may still grow but not shrink unseen.
    pub(super) severity: Severity,
    pub(super) resolved_ms: Option<i64>,
    /// Start of the first and of the latest window with a fact.
    pub(super) from: i64,
    pub(super) to: i64,
    /// End of the first clear window since it last fired.
    clear_since: Option<i64>,
    /// End of the latest window that was looked at.
    at_ms: i64,
}

impl Run {
    pub(super) fn state(&self) -> State {
        match (self.resolved_ms, &self.fired) {
            (Some(_), _) => State::Resolved,
            (None, Some(_)) => State::Firing,
            (None, None) => State::Pending,
        }
    }

    pub(super) fn fired_ms(&self) -> i64 {
        self.fired.as_ref().map_or(self.cause.at_ms, |(ms, _)| *ms)
    }

    fn start(window: Span, fire: &Fire, timing: Timing) -> Self {
        let fired = (timing.hold_ms <= 0).then(|| (fire.cause.at_ms, Arc::clone(&fire.first)));
        Self {
            episode: 0,
            began_ms: window.start_ms,
            cause: fire.cause,
            fired,
            first: Arc::clone(&fire.first),
            window,
            last: Arc::clone(&fire.now),
            severity: fire.now.severity,
            resolved_ms: None,
            from: window.start_ms,
            to: window.start_ms,
            clear_since: None,
            at_ms: window.end_ms,
        }
    }

    fn fire(&mut self, window: Span, fire: &Fire, closed: bool, timing: Timing) {
        let severity = fire.now.severity;
        self.severity = if closed { severity } else { severity.max(self.severity) };
        self.window = window;
        self.last = Arc::clone(&fire.now);
        self.clear_since = None;
        self.reach(window);
        let held = window.end_ms - self.cause.at_ms >= timing.hold_ms;
        if self.fired.is_none() && closed && held {
            self.fired = Some((window.end_ms, Arc::clone(&fire.now)));
        }
    }

    /// A closed window that ends at `end_ms` did not fire; `clear` where it was clear, not only held.
    fn quiet(&mut self, end_ms: i64, clear: bool, timing: Timing) {
        self.at_ms = self.at_ms.max(end_ms);
        if clear {
            self.clear_since.get_or_insert(end_ms);
        }
        let Some(since) = self.clear_since else { return };
        if self.fired.is_none() || end_ms >= since.saturating_add(timing.keep_ms) {
            self.resolved_ms = Some(end_ms);
        }
    }

    /// The windows without a fact that end after the last one looked at and not after `to_ms`: all clear.
    fn pass(&mut self, to_ms: i64, timing: Timing) {
        let next = timing.end_after(self.at_ms, 1).filter(|end| *end <= to_ms);
        let Some(next) = next else { return };
        let since = self.clear_since.unwrap_or(next);
        let due = if self.fired.is_none() { since } else { since.saturating_add(timing.keep_ms) };
        // The first window end that is due, or else the last one there is.
        let last = timing.ends_to(self.at_ms, to_ms.saturating_add(1)) - 1;
        let steps = timing.ends_to(self.at_ms, due.min(to_ms)).min(last);
        let end = timing.end_after(self.at_ms, steps).unwrap_or(next);
        self.clear_since = Some(since);
        self.quiet(end, true, timing);
    }

    fn reach(&mut self, window: Span) {
        self.to = self.to.max(window.start_ms);
        self.at_ms = self.at_ms.max(window.end_ms);
    }
}

/// Takes one fact into the open run, if any. Runs that end are pushed to `done`.
pub(super) fn step(run: &mut Option<Run>, fact: &Fact, timing: Timing, done: &mut Vec<Run>) {
    settle(run, timing.closed_to.min(fact.window.end_ms - timing.room_ms()), timing, done);
    let closed = fact.closed || fact.window.end_ms <= timing.closed_to;
    match (&fact.truth, run.as_mut()) {
        (Known::Fire(fire), None) => {
            let mut new = Run::start(fact.window, fire, timing);
            new.fire(fact.window, fire, closed, timing);
            *run = Some(new);
        }
        (Known::Fire(fire), Some(run)) => run.fire(fact.window, fire, closed, timing),
        (Known::Hold | Known::Clear, Some(run)) if closed => {
            run.reach(fact.window);
            run.quiet(fact.window.end_ms, matches!(fact.truth, Known::Clear), timing);
        }
        (Known::Hold | Known::Clear, _) => {}
    }
    retire(run, done);
}

/// Lets the windows without a fact that end up to `to_ms` pass over the open run.
pub(super) fn settle(run: &mut Option<Run>, to_ms: i64, timing: Timing, done: &mut Vec<Run>) {
    if let Some(open) = run.as_mut() {
        open.pass(to_ms, timing);
    }
    retire(run, done);
}

fn retire(run: &mut Option<Run>, done: &mut Vec<Run>) {
    if let Some(ended) = run.take_if(|r| r.resolved_ms.is_some()) {
        done.push(ended);
    }
}
