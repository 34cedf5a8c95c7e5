//! Lifecycle: the alerts of all rules and keys of one shard.
//!
//! In: outcomes in arrival order. Out: new revisions. What is true of a key's windows is folded into runs (`fold`);
//! here runs become alerts with a lasting identity, and it is decided when a change is worth a revision: at once for
//! state, severity, span and `reraise`, and for new values at most once per closed window.
//! A run that a late row joins to a second one keeps the identity of the alert raised first; the other is retracted.
//! Cost: an outcome for a window newer than all known ones looks at that window alone; an older one folds the key's
//! windows since [`Lifecycle::forget`] again. Keys that never fired or held cost nothing.

use std::{collections::BTreeMap, slice, sync::Arc};

use serde_json::{Map, Value};

use super::{
    fold::{self, Content, Fact, Known, Run, Timing},
    identity::{KeyHash, KeyMap, alert_id, key_hash},
    instant::Instants,
};
use crate::model::{
    alert::{Alert, State},
    exception::{self, Exception},
    signal::{Cause, Key, Outcome, Severity, Span, Truth},
    window::Step,
};

/// What the lifecycle needs to know of a rule.
#[derive(Debug, Clone)]
pub struct AlertSpec {
    /// Position of the rule in the rule set.
    pub rule: usize,
    /// The rule's id, part of the alert's.
    pub rule_id: String,
    /// The rule's version.
    pub version: u32,
    /// Whether alerts are raised; a shadow rule's outcomes are passed over.
    pub live: bool,
    /// `hold_for`: fires only after the condition held this long, ms.
    pub hold_ms: i64,
    /// `keep_for`: resolves only after it was clear this long, ms.
    pub keep_ms: i64,
    /// Where windows end; `None` for sessions and instant rules. With it a window of which nothing was ever said counts as
    /// clear.
    pub step: Option<Step>,
    /// Exceptions from the rule, in the order of their file.
    pub exceptions: Vec<Exception>,
}

/// The state of all alerts of one shard.
#[derive(Debug, Default)]
pub struct Lifecycle {
    rules: Vec<RuleState>,
}

#[derive(Debug, Default)]
struct RuleState {
    keys: KeyMap<Entry>,
    /// Window end → keys with a fact of such a window, for `forget`.
    calendar: BTreeMap<i64, Vec<KeyHash>>,
    /// Windows that end here or earlier are closed, as far as the engine said so.
    closed_to: Option<i64>,
    instants: Instants,
    /// Of the rule's latest [`AlertSpec`].
    timing: Timing,
}

/// One rule and key.
#[derive(Debug, Default)]
struct Entry {
    /// Number of the latest episode, kept for good so that ids never repeat.
    episodes: u32,
    /// Episode and content of the last raise.
    raised: Option<(u32, Arc<Content>)>,
    /// Exceptions from the rule that cover the key; `None` before they were asked.
    covering: Option<Box<[Exception]>>,
    /// `None` while nothing is active or correctable.
    life: Option<Box<Life>>,
}

#[derive(Debug)]
struct Life {
    /// The run that is open behind the forgotten facts.
    base: Option<Run>,
    /// Start of the latest forgotten window.
    base_to: i64,
    /// By window start; those of `base` and before are gone.
    facts: Vec<Fact>,
    /// The run that is open before the last fact.
    prev: Option<Run>,
    /// The run that is open now.
    tip: Option<Run>,
    /// `closed_to` when `tip` was folded.
    closed_to: i64,
    /// Alerts that facts can still change.
    alerts: Vec<Shown>,
}

/// An alert as last told.
#[derive(Debug)]
struct Shown {
    episode: u32,
    revision: u32,
    reraised: u32,
    known: (u64, i64),
    /// Start of the latest closed window whose values were told.
    told_to: i64,
    view: View,
}

/// What a revision says.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) state: State,
    pub(super) severity: Severity,
    pub(super) began_ms: i64,
    pub(super) fired_ms: i64,
    pub(super) resolved_ms: Option<i64>,
    pub(super) exception: Option<Arc<str>>,
    pub(super) window: Span,
    pub(super) last: Arc<Content>,
    pub(super) fired: Arc<Content>,
    pub(super) first: Arc<Content>,
}

/// What changed in a key's facts.
#[derive(Default)]
struct Change {
    /// Something is different at all.
    any: bool,
    /// Only the last fact is, and all before it were closed when they were last folded.
    last_only: bool,
    /// Alerts that lost a fact.
    touched: Vec<u32>,
}

impl Lifecycle {
    /// No alerts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what was found for one rule, key and window; returns new revisions, message and evidence left empty.
    pub fn update(&mut self, spec: &AlertSpec, outcome: &Outcome) -> Vec<Alert> {
        self.update_all(spec, slice::from_ref(outcome))
    }

    /// The same for several windows of one rule and key found by one cause (a late row in a sliding window), in any
    /// order: what is told is the difference they make together.
    pub fn update_all(&mut self, spec: &AlertSpec, outcomes: &[Outcome]) -> Vec<Alert> {
        let Some(first) = outcomes.first().filter(|_| spec.live) else { return Vec::new() };
        let rule = self.rule(spec.rule);
        if first.record.is_some() {
            return outcomes.iter().filter_map(|o| rule.instants.update(spec, o)).collect();
        }
        let hash = key_hash(&first.key.canonical, None);
        let quiet = outcomes.iter().all(|o| o.truth == Truth::Clear);
        if quiet && rule.keys.get(&hash).is_none_or(|e| e.life.is_none()) {
            return Vec::new();
        }
        let entry = rule.keys.entry(hash).or_default();
        rule.timing = Timing::of(spec);
        let closed_to = rule.closed_to.unwrap_or(i64::MIN);
        entry.update(spec, outcomes, closed_to, |end_ms| {
            let keys = rule.calendar.entry(end_ms).or_default();
            if keys.last() != Some(&hash) {
                keys.push(hash);
            }
        })
    }

    /// Values at the last raise (`last.*` of the rule); `key` is canonical.
    #[must_use]
    pub fn last_raised(&self, rule: usize, key: &str) -> Option<&Map<String, Value>> {
        let entry = self.rules.get(rule)?.keys.get(&key_hash(key, None))?;
        entry.raised.as_ref().map(|(_, content)| &content.values)
    }

    /// Whether an episode is pending or firing: the engine evaluates such a key at every window end.
    #[must_use]
    pub fn is_active(&self, rule: usize, key: &str) -> bool {
        let entry = self.rules.get(rule).and_then(|r| r.keys.get(&key_hash(key, None)));
        entry.and_then(|e| e.life.as_ref()).is_some_and(|l| l.tip.is_some())
    }

    /// The severity of the pending or firing episode, if there is one.
    #[must_use]
    pub fn severity(&self, rule: usize, key: &str) -> Option<Severity> {
        let entry = self.rules.get(rule).and_then(|r| r.keys.get(&key_hash(key, None)))?;
        entry.life.as_ref()?.tip.as_ref().map(|run| run.severity)
    }

    /// All windows of `rule` that end at `to_ms` or earlier are closed. Saying so is optional: it lets a late row raise
    /// an alert that is already resolved, for keys of which no later window was looked at.
    pub fn closed(&mut self, rule: usize, to_ms: i64) {
        let rule = self.rule(rule);
        rule.closed_to = rule.closed_to.max(Some(to_ms));
    }

    /// Resolves the alerts of an instant rule whose `keep_for` has passed at `to_ms`.
    pub fn expire(&mut self, spec: &AlertSpec, cause: Cause, to_ms: i64) -> Vec<Alert> {
        self.rule(spec.rule).instants.expire(spec, cause, to_ms)
    }

    /// Windows of `rule` that end at `closed_before_ms` or earlier can no longer be corrected.
    pub fn forget(&mut self, rule: usize, closed_before_ms: i64) {
        let rule = self.rule(rule);
        rule.instants.forget(closed_before_ms);
        let later = rule.calendar.split_off(&closed_before_ms.saturating_add(1));
        for hash in std::mem::replace(&mut rule.calendar, later).into_values().flatten() {
            if let Some(entry) = rule.keys.get_mut(&hash) {
                entry.forget(rule.timing, closed_before_ms);
            }
        }
    }

    fn rule(&mut self, rule: usize) -> &mut RuleState {
        if self.rules.len() <= rule {
            self.rules.resize_with(rule + 1, RuleState::default);
        }
        &mut self.rules[rule]
    }
}

impl Entry {
    fn update(
        &mut self,
        spec: &AlertSpec,
        outcomes: &[Outcome],
        closed_to: i64,
        mut remember: impl FnMut(i64),
    ) -> Vec<Alert> {
        let timing = Timing::of(spec);
        let life = self.life.get_or_insert_with(|| Box::new(Life::new()));
        let mut change = Change { last_only: true, ..Change::default() };
        for outcome in outcomes {
            life.take(outcome, timing, &mut change, &mut remember);
        }
        let closed = outcomes.iter().filter(|o| o.closed).map(|o| o.window.end_ms).max();
        life.closed_to = life.closed_to.max(closed_to).max(closed.unwrap_or(i64::MIN));
        let reraise = outcomes.iter().any(|o| o.reraise && o.truth == Truth::Fire);
        if !change.any && !reraise {
            return Vec::new();
        }
        let runs = life.fold(timing, &change, &mut self.episodes);
        self.tell(spec, outcomes, runs, &change, reraise)
    }

    /// Compares the runs with what was told, and says what is new.
    fn tell(
        &mut self,
        spec: &AlertSpec,
        outcomes: &[Outcome],
        runs: Vec<Run>,
        change: &Change,
        reraise: bool,
    ) -> Vec<Alert> {
        let (Some(life), Some(latest)) = (self.life.as_mut(), outcomes.last()) else {
            return Vec::new();
        };
        let closed = outcomes.iter().filter(|o| o.closed).map(|o| o.window.start_ms).max();
        let mut out = Vec::new();
        let gone = |s: &Shown| {
            (!change.last_only || change.touched.contains(&s.episode))
                && !runs.iter().any(|r| r.episode == s.episode)
        };
        for mut shown in life.alerts.extract_if(.., |s| gone(s)) {
            (shown.view.state, shown.view.exception) = (State::Retracted, None);
            shown.view.resolved_ms = Some(latest.cause.arrived_ms);
            shown.revision += 1;
            self.raised.take_if(|(episode, _)| *episode == shown.episode);
            out.push(shown.alert(spec, latest));
        }
        let covering = self.covering.get_or_insert_with(|| {
            spec.exceptions.iter().filter(|e| e.covers(&latest.key)).cloned().collect()
        });
        let newest = runs.last().map(|r| r.episode);
        for run in &runs {
            let told = life.alerts.iter_mut().find(|s| s.episode == run.episode);
            let is_new = told.is_none();
            let was = told.as_ref().map(|s| s.view.state);
            let view = View::of(run, covering);
            let shown = match told {
                Some(shown) => shown,
                None => {
                    life.alerts.push(Shown::new(run, view.clone()));
                    let Some(shown) = life.alerts.last_mut() else { continue };
                    shown
                }
            };
            let fires = view.state == State::Firing && Some(run.episode) == newest;
            let again = reraise
                && fires
                && was == Some(State::Firing)
                && self.raised.as_ref().is_some_and(|(_, c)| c.values != run.last.values);
            if fires && (was != Some(State::Firing) || again) {
                self.raised = Some((run.episode, Arc::clone(&run.last)));
            }
            shown.reraised += u32::from(again);
            if shown.advance(view, closed, again) || is_new {
                shown.revision += 1;
                out.push(shown.alert(spec, latest));
            }
        }
        out
    }

    fn forget(&mut self, timing: Timing, closed_before_ms: i64) {
        let Some(life) = self.life.as_mut() else { return };
        life.forget(timing, closed_before_ms);
        if life.facts.is_empty() && life.tip.is_none() {
            self.life = None;
        }
    }
}

impl Life {
    fn new() -> Self {
        Self {
            base: None,
            base_to: i64::MIN,
            facts: Vec::new(),
            prev: None,
            tip: None,
            closed_to: i64::MIN,
            alerts: Vec::new(),
        }
    }

    /// Puts one outcome among the facts.
    fn take(
        &mut self,
        outcome: &Outcome,
        timing: Timing,
        change: &mut Change,
        remember: &mut impl FnMut(i64),
    ) {
        let start = outcome.window.start_ms;
        if start <= self.base_to {
            return; // Too old to be corrected: its alert is final.
        }
        let at = self.facts.partition_point(|f| f.window.start_ms < start);
        let last = self.facts.len().saturating_sub(1);
        if let Some(fact) = self.facts.get_mut(at).filter(|f| f.window.start_ms == start) {
            let (episode, end_ms) = (fact.episode(), fact.window.end_ms);
            if !fact.replace(outcome) {
                return;
            }
            if fact.window.end_ms != end_ms {
                remember(fact.window.end_ms);
            }
            change.touched.push(episode);
            change.last_only &= !change.any
                && at == last
                && at.checked_sub(1).is_none_or(|i| self.facts[i].window.end_ms <= self.closed_to);
            change.any = true;
            return;
        }
        let appended = at == self.facts.len();
        let matters = match outcome.truth {
            Truth::Fire => true,
            Truth::Hold => outcome.closed,
            // Without a fact the window is clear all the same, where the distance of windows is known.
            Truth::Clear => {
                outcome.closed && (!appended || self.tip.is_some() || timing.step.is_none())
            }
        };
        if !matters {
            return;
        }
        change.last_only &= !change.any;
        change.any = true;
        let all_closed = self.facts.last().is_none_or(|f| f.window.end_ms <= self.closed_to);
        change.last_only &= appended && all_closed;
        if change.last_only
            && let Some(before) = self.facts.last()
        {
            pass_over(&mut self.prev, before, timing.closed_to(self.closed_to));
        }
        self.facts.insert(at, Fact::of(outcome));
        remember(outcome.window.end_ms);
    }

    /// Folds the facts that changed; every run returned has its episode, and so have its facts.
    fn fold(&mut self, timing: Timing, change: &Change, episodes: &mut u32) -> Vec<Run> {
        let timing = timing.closed_to(self.closed_to);
        let last = self.facts.len().saturating_sub(1);
        let (from, mut run) =
            if change.last_only { (last, self.prev.clone()) } else { (0, self.base.clone()) };
        let mut runs = Vec::new();
        for (i, fact) in self.facts.iter().enumerate().skip(from) {
            if i == last {
                self.prev.clone_from(&run);
            }
            fold::step(&mut run, fact, timing, &mut runs);
        }
        fold::settle(&mut run, timing.closed_to, timing, &mut runs);
        let open = run.is_some();
        runs.extend(run);
        self.name(&mut runs, from, episodes);
        if let Some(prev) = self.prev.as_mut()
            && let Some(run) = runs.iter().find(|r| r.from == prev.from)
        {
            prev.episode = run.episode;
        }
        self.tip = runs.last().filter(|_| open).cloned();
        runs
    }

    /// Gives each run the earliest raised alert among its facts', or else a new one.
    fn name(&mut self, runs: &mut [Run], from: usize, episodes: &mut u32) {
        let mut taken: Vec<u32> = runs.iter().map(|r| r.episode).filter(|e| *e != 0).collect();
        for run in runs.iter_mut() {
            let facts = &mut self.facts[from..];
            let first = facts.partition_point(|f| f.window.start_ms < run.from);
            let behind = facts.partition_point(|f| f.window.start_ms <= run.to);
            let facts = &mut facts[first..behind];
            if run.episode == 0 {
                let known =
                    facts.iter().map(Fact::episode).filter(|e| *e != 0 && !taken.contains(e));
                run.episode = known.min().unwrap_or_else(|| {
                    *episodes += 1;
                    *episodes
                });
                taken.push(run.episode);
            }
            for fact in facts {
                if let Known::Fire(fire) = &mut fact.truth {
                    fire.episode = run.episode;
                }
            }
        }
    }

    fn forget(&mut self, timing: Timing, closed_before_ms: i64) {
        let old = self.facts.partition_point(|f| f.window.end_ms <= closed_before_ms);
        let timing = timing.closed_to(self.closed_to);
        for fact in self.facts.drain(..old) {
            self.base_to = fact.window.start_ms;
            pass_over(&mut self.base, &fact, timing);
        }
        self.prev.clone_from(&self.base);
        for fact in self.facts.iter().take(self.facts.len().saturating_sub(1)) {
            pass_over(&mut self.prev, fact, timing);
        }
        if self.facts.is_empty() {
            // Nothing can change what has passed since.
            self.base.clone_from(&self.tip);
        }
        let (facts, open) = (&self.facts, self.base.as_ref().map(|b| b.episode));
        self.alerts
            .retain(|s| Some(s.episode) == open || facts.iter().any(|f| f.episode() == s.episode));
    }
}

/// Takes a fact whose run has its alert already into the open run.
fn pass_over(run: &mut Option<Run>, fact: &Fact, timing: Timing) {
    fold::step(run, fact, timing, &mut Vec::new());
    if let Some(run) = run.as_mut().filter(|r| r.episode == 0) {
        run.episode = fact.episode();
    }
}

impl View {
    fn of(run: &Run, covering: &[Exception]) -> Self {
        let exception = match run.state() {
            State::Firing => exception::at(covering, &run.window).cloned(),
            _ => None,
        };
        Self {
            state: if exception.is_some() { State::Suppressed } else { run.state() },
            exception,
            severity: run.severity,
            began_ms: run.began_ms,
            fired_ms: run.fired_ms(),
            resolved_ms: run.resolved_ms,
            window: run.window,
            last: Arc::clone(&run.last),
            fired: run
                .fired
                .as_ref()
                .map_or_else(|| Arc::clone(&run.first), |(_, c)| Arc::clone(c)),
            first: Arc::clone(&run.first),
        }
    }

    /// Differences that are told at once.
    fn turns(&self, to: &Self) -> bool {
        (self.state, self.severity, self.began_ms, self.fired_ms, self.resolved_ms)
            != (to.state, to.severity, to.began_ms, to.fired_ms, to.resolved_ms)
            || self.exception != to.exception
    }

    /// The revision that says this.
    pub(super) fn alert(
        &self,
        spec: &AlertSpec,
        key: &Arc<Key>,
        record: Option<&Arc<str>>,
    ) -> Alert {
        Alert {
            id: String::new(),
            rule: spec.rule,
            version: spec.version,
            key: Arc::clone(key),
            episode: 1,
            revision: 1,
            state: self.state,
            severity: self.severity,
            began_ms: self.began_ms,
            fired_ms: self.fired_ms,
            known: (0, 0),
            resolved_ms: self.resolved_ms,
            window: self.window,
            record: record.cloned(),
            values: self.last.values.clone(),
            fired_values: self.fired.values.clone(),
            context: self.first.context.clone(),
            reraised: 0,
            exception: self.exception.clone(),
            evidence: Vec::new(),
            evidence_total: 0,
            steps: Vec::new(),
            message: (String::new(), String::new()),
            changed_by: 0,
        }
    }
}

impl Shown {
    fn new(run: &Run, view: View) -> Self {
        Self {
            episode: run.episode,
            revision: 0,
            reraised: 0,
            known: (run.cause.arrival, run.cause.arrived_ms),
            told_to: i64::MIN,
            view,
        }
    }

    /// Takes over `view` if it is worth a revision. `closed`: start of the latest closed window looked at just now.
    fn advance(&mut self, view: View, closed: Option<i64>, reraised: bool) -> bool {
        // An ended alert has no next window end to wait for.
        let ended = view.resolved_ms.is_some();
        let due = closed.is_some_and(|start| start > self.told_to || ended);
        let told =
            reraised || self.view.turns(&view) || due && self.view.last.values != view.last.values;
        if told || self.revision == 0 {
            self.told_to = self.told_to.max(closed.unwrap_or(i64::MIN));
            self.view = view;
        }
        told
    }

    fn alert(&self, spec: &AlertSpec, outcome: &Outcome) -> Alert {
        Alert {
            id: alert_id(&spec.rule_id, &outcome.key.canonical, None, self.episode),
            episode: self.episode,
            revision: self.revision,
            known: self.known,
            reraised: self.reraised,
            changed_by: outcome.cause.arrival,
            ..self.view.alert(spec, &outcome.key, None)
        }
    }
}
