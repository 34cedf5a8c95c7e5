//! One shard: the pane store, the rules' state and the alerts of the keys it holds.
//!
//! In: admitted pieces, corrections, and how far each rule's windows are closed. Out: new revisions of alerts and signals
//! that became final. Shards share nothing but the plan; what one does depends on the order of its calls alone.
//! The steps live in files of their own: `windows` (closing), `open` (what fires before), `correct` (late rows, corrections,
//! withdrawals), `instant` (rules over single records), `sequence` (records in an order), `evidence` (the records behind an
//! alert).

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::DataType;
use serde_json::{Map, Value};

use super::{evidence::Unproven, held::Held, runs::RuleRuns};
use crate::{
    alert::lifecycle::{AlertSpec, Lifecycle},
    model::{
        alert::{Alert, State},
        signal::{Cause, Key, Outcome, Severity, Signals, Span, Truth},
        time::Zone,
        value::value_at,
    },
    pane::{
        kept::{Found, Piece},
        prepare::{Prepared, Preparer},
        store::Store,
    },
    rule::{
        evaluate::Evaluator,
        file::Status,
        peers::PeerValues,
        plan::{ContextColumn, Plan, RulePlan},
    },
};

/// State of one shard.
pub struct Shard {
    pub(super) plan: Arc<Plan>,
    pub(super) zone: Zone,
    pub(super) number: usize,
    pub(super) shards: usize,
    pub(super) store: Store,
    pub(super) preparers: Vec<Preparer>,
    pub(super) rules: Vec<RuleState>,
    pub(super) lifecycle: Lifecycle,
    pub(super) specs: Vec<AlertSpec>,
    /// Local time at which each feed's history begins; `i64::MAX` before its first row.
    pub(super) history_from: Vec<i64>,
    /// By rule: signals are final when their window closes, because no row may come late.
    pub(super) at_once: Vec<bool>,
    /// Windows are being closed: what is found now is found for the first time.
    pub(super) closing: bool,
    /// Evaluate open windows at every call instead of when the next window closes.
    pub(super) eager: bool,
    /// New revisions since they were last collected.
    pub(super) alerts: Vec<Alert>,
    /// Signals that became final since they were last collected.
    pub(super) finals: Vec<Signals>,
    /// In lazy mode: firing alerts whose evidence is still to be read.
    pub(super) unproven: Unproven,
    /// Keys evaluated in closed windows, by rule.
    pub(super) evaluations: Vec<u64>,
    /// Evaluations that failed, by rule.
    pub(super) failures: Vec<u64>,
    /// Keys with rows whose compare had no full history, by rule.
    pub(super) not_ready: Vec<u64>,
}

/// State of one rule in one shard.
#[derive(Debug, Default)]
pub(super) struct RuleState {
    /// Local end of the last closed window; `None` before the first.
    pub(super) closed_to: Option<i64>,
    /// Local end of the last window that can no longer change.
    pub(super) final_to: i64,
    /// Keys, ascending, that must be evaluated at every window end: their last closed window fired or held, or an alert is active.
    pub(super) active: Vec<u32>,
    /// Open windows that fired early: (local end, key) → severity told.
    pub(super) early: BTreeMap<(i64, u32), Severity>,
    /// Signals that can still change, by local end of their window.
    pub(super) signals: BTreeMap<i64, Held>,
    /// Closed sessions that can still be corrected, oldest first.
    pub(super) sessions: BTreeMap<u32, Vec<super::sessions::Session>>,
    /// Instant signals that can still change, by event time and record.
    pub(super) records: BTreeMap<(i64, Arc<str>), Signals>,
    /// Of a sequence rule what is held of its keys.
    pub(super) runs: RuleRuns,
}

impl RuleState {
    fn new() -> Self {
        Self { final_to: i64::MIN, ..Self::default() }
    }
}

impl Shard {
    /// An empty shard.
    #[must_use]
    pub fn new(
        plan: Arc<Plan>,
        zone: Zone,
        (number, shards): (usize, usize),
        for_good: &[bool],
        eager: bool,
    ) -> Self {
        let specs = plan.rules.iter().enumerate().map(|(i, r)| alert_spec(i, r)).collect();
        let preparers = plan
            .schemas
            .iter()
            .zip(&plan.panes.feeds)
            .map(|(s, f)| Preparer::new(s.clone(), f.clone(), zone.clone()))
            .collect();
        Self {
            zone,
            number,
            shards,
            store: Store::new(plan.panes.clone(), number, shards),
            preparers,
            rules: plan.rules.iter().map(|_| RuleState::new()).collect(),
            lifecycle: Lifecycle::new(),
            specs,
            history_from: vec![i64::MAX; plan.schemas.len()],
            at_once: plan.rules.iter().map(|r| r.feeds.iter().all(|f| for_good[*f])).collect(),
            closing: false,
            eager,
            alerts: Vec::new(),
            finals: Vec::new(),
            unproven: Unproven::default(),
            evaluations: vec![0; plan.rules.len()],
            failures: vec![0; plan.rules.len()],
            not_ready: vec![0; plan.rules.len()],
            plan,
        }
    }

    /// Adds the rows of a piece that belong to this shard.
    pub fn add(&mut self, piece: &Arc<Piece>, prepared: &Prepared) {
        let preparers = &mut self.preparers;
        self.store.add(piece, prepared, &mut |batch| preparers[batch.feed].prepare(batch));
        self.instants(piece, prepared);
    }

    /// New revisions since the last call.
    pub fn take_alerts(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.alerts)
    }

    /// Signals that became final since the last call.
    pub fn take_finals(&mut self) -> Vec<Signals> {
        self.finals.iter_mut().for_each(Signals::shrink);
        std::mem::take(&mut self.finals)
    }

    /// Forgets what no window and no correction can need any more.
    pub(super) fn evict(&mut self, behind: &super::due::Behind) {
        let plan = self.plan.clone();
        if let Some(before) = behind.rows.iter().flatten().max() {
            self.prove_before(*before);
        }
        for (i, s) in plan.panes.slices.iter().enumerate() {
            if let Some(to) = behind.slices[i] {
                self.store.evict_panes(i, to - s.keep_ms);
            }
        }
        for (feed, before) in behind.rows.iter().enumerate() {
            if let Some(before) = before {
                self.store.evict_rows(feed, *before);
            }
        }
        self.store.sweep_cold();
        if let Some(reclaim) = behind.rows.iter().flatten().min() {
            self.store.reclaim(*reclaim);
        }
        for (r, rule) in plan.rules.iter().enumerate() {
            if let Some(before) = behind.finals[r] {
                self.finalise(r, rule, before, false);
            }
        }
    }

    /// Signals of windows that ended at `before_ms` (an instant) or earlier are final.
    fn finalise(&mut self, r: usize, rule: &RulePlan, before_ms: i64, open: bool) {
        let local = self.zone.to_local(before_ms);
        let state = &mut self.rules[r];
        state.final_to = state.final_to.max(local);
        let closed_to = state.closed_to.unwrap_or(i64::MIN);
        let latest_ms = self.store.latest_ms();
        while let Some(entry) = state.signals.first_entry()
            && *entry.key() <= local
        {
            let end = *entry.key();
            let (interner, after) = (self.store.interner_mut(rule.space), latest_ms);
            entry.remove().finish((r, open && end > closed_to), interner, after, &mut self.finals);
        }
        while let Some(entry) = state.records.first_entry()
            && entry.key().0 < before_ms
        {
            self.finals.push(entry.remove());
        }
        if rule.sequence.is_some() {
            self.finalise_sequence(r, rule, before_ms);
            // A record at that very instant can still change.
            return self.lifecycle.forget(r, before_ms - 1);
        }
        self.lifecycle.forget(r, before_ms);
        self.forget_sessions(r, rule, local);
    }

    /// End of input: hands over every signal, and the evidence of alerts that still fire.
    pub fn finish(&mut self) {
        let plan = self.plan.clone();
        self.prove_before(i64::MAX);
        for (r, rule) in plan.rules.iter().enumerate() {
            self.finish_sequence(r, rule);
            self.finalise(r, rule, i64::MAX / 4, true);
        }
    }

    /// Tells the lifecycle what was found, and completes and keeps the revisions that follow.
    pub(super) fn tell(&mut self, rule: usize, key: u32, outcome: &Outcome) {
        self.tell_all(rule, key, std::slice::from_ref(outcome));
    }

    /// The same for several windows of one key and one cause.
    pub(super) fn tell_all(&mut self, rule: usize, key: u32, outcomes: &[Outcome]) {
        let spec = &self.specs[rule];
        let Some(first) = outcomes.first().filter(|_| spec.live) else { return };
        let revisions = self.lifecycle.update_all(spec, outcomes);
        for mut alert in revisions {
            self.render(rule, &mut alert);
            if self.eager
                || !matches!(alert.state, State::Firing | State::Pending | State::Suppressed)
            {
                self.prove_now(rule, key, &mut alert);
            } else {
                self.prove_later(rule, key, &alert);
            }
            self.alerts.push(alert);
        }
        let active = self.lifecycle.is_active(rule, &first.key.canonical);
        self.set_active(rule, key, active);
    }

    /// Notes whether a key must be evaluated at every window end.
    pub(super) fn set_active(&mut self, rule: usize, key: u32, active: bool) {
        let space = self.plan.rules[rule].space;
        let state = &mut self.rules[rule].active;
        match (active, state.binary_search(&key)) {
            (true, Err(at)) => {
                state.insert(at, key);
                self.store.interner_mut(space).retain(key);
            }
            (false, Ok(at)) => {
                state.remove(at);
                let after = self.store.latest_ms();
                self.store.interner_mut(space).release(key, after);
            }
            _ => {}
        }
    }

    /// The same for all keys of a rule at once; `next` is ascending.
    pub(super) fn replace_active(&mut self, rule: usize, next: Vec<u32>) {
        let space = self.plan.rules[rule].space;
        let before = std::mem::replace(&mut self.rules[rule].active, next);
        let after_ms = self.store.latest_ms();
        let next = &self.rules[rule].active;
        for key in next.iter().filter(|k| before.binary_search(k).is_err()) {
            self.store.interner_mut(space).retain(*key);
        }
        for key in before.iter().filter(|k| next.binary_search(k).is_err()) {
            self.store.interner_mut(space).release(*key, after_ms);
        }
    }

    /// Whether a key is evaluated at every window end.
    pub(super) fn is_active(&self, rule: usize, key: u32) -> bool {
        self.rules[rule].active.binary_search(&key).is_ok()
    }

    /// The messages of an alert in both languages.
    pub(super) fn render(&self, rule: usize, alert: &mut Alert) {
        let r = &self.plan.rules[rule];
        let (zh, en) = &r.alert.messages;
        if zh.is_none() && en.is_none() {
            return;
        }
        let mut names: Map<String, Value> = alert.key.values();
        names.extend(alert.context.clone());
        names.extend(alert.values.clone());
        // Where no record says what a key is called it is called by itself.
        for column in r.alert.context.iter().flat_map(|(_, columns)| columns) {
            if let Some(key) = &column.of_key
                && names.get(&column.name).is_none_or(Value::is_null)
                && let Some(value) = names.get(key).cloned()
            {
                names.insert(column.name.clone(), value);
            }
        }
        // People read times of their zone.
        for field in r.value_schema.fields() {
            if let DataType::Timestamp(..) = field.data_type()
                && let Some(Value::String(text)) = names.get_mut(field.name())
                && let Some(ms) = self.zone.parse_instant(text)
            {
                *text = self.zone.spoken(ms);
            }
        }
        let text = |t: &Option<crate::rule::message::Template>| {
            t.as_ref().map_or_else(String::new, |t| t.render(&[&names]))
        };
        alert.message = (text(zh), text(en));
    }

    pub(super) fn evaluator<'a>(
        &'a mut self,
        rule: usize,
        peers: &'a [Option<Arc<PeerValues>>],
    ) -> Evaluator<'a> {
        let r = &self.plan.rules[rule];
        let history_from = r.feeds.iter().map(|f| self.history_from[*f]).max().unwrap_or(i64::MAX);
        Evaluator { plan: &self.plan, rule: r, store: &mut self.store, history_from, peers }
    }

    /// What the store holds.
    #[must_use]
    pub fn size(&self) -> crate::pane::store::StoreSize {
        self.store.size()
    }

    /// Columns that messages and groups name, of the record that fired, which is the last of `records`. What a key is called
    /// the latest of them says that knows.
    pub(super) fn context(&self, rule: usize, records: &[Found]) -> Map<String, Value> {
        let Some((feed, columns)) = &self.plan.rules[rule].alert.context else { return Map::new() };
        let value = |found: &Found, column: &ContextColumn| {
            value_at(found.piece.rows.batch.column(column.column), found.row as usize)
        };
        let of_feed = |found: &&Found| found.piece.rows.feed == *feed;
        let Some(found) = records.last().filter(of_feed) else { return Map::new() };
        let said = |column: &ContextColumn| {
            if column.of_key.is_none() {
                return value(found, column);
            }
            let mut values = records.iter().rev().filter(of_feed).map(|f| value(f, column));
            values.find(|v| !v.is_null()).unwrap_or(Value::Null)
        };
        columns.iter().map(|c| (c.name.clone(), said(c))).collect()
    }

    /// An outcome without values: the window is clear, or has no rows.
    pub(super) fn quiet(
        &self,
        rule: usize,
        key: &Arc<Key>,
        window: Span,
        truth: Truth,
        cause: Cause,
        closed: bool,
    ) -> Outcome {
        Outcome {
            rule,
            key: key.clone(),
            window,
            record: None,
            truth,
            closed,
            cause,
            severity: Severity::Low,
            values: Map::new(),
            context: Map::new(),
            reraise: false,
        }
    }
}

/// The record's id as people read it: its columns joined by `/`, or `#` and its arrival number.
#[must_use]
pub fn record_id(plan: &Plan, found: &Found) -> Arc<str> {
    let rows = &found.piece.rows;
    let schema = &plan.schemas[rows.feed];
    if schema.record_id.is_empty() {
        return format!("#{}", found.arrival()).into();
    }
    let parts: Vec<String> = schema
        .record_id
        .iter()
        // A sample without a failing item is told by its number.
        .filter(|c| {
            !schema.parts.contains(c) || rows.batch.column(**c).is_valid(found.row as usize)
        })
        .map(|c| match value_at(rows.batch.column(*c), found.row as usize) {
            Value::String(s) => s,
            other => other.to_string(),
        })
        .collect();
    parts.join("/").into()
}

/// Where the signals of a rule's window are gathered.
pub(super) fn signals_of(
    finals: &mut Vec<Signals>,
    rule: usize,
    window: Span,
    open: bool,
) -> &mut Signals {
    let same = |s: &Signals| {
        s.record.is_none() && (s.rule, s.window, s.open) == (rule, window, open) && !s.is_full()
    };
    if !finals.last().is_some_and(same) {
        finals.push(Signals::new(rule, window, None, open));
    }
    let last = finals.len() - 1;
    &mut finals[last]
}

/// The window that ends at the local time `end`, as instants.
pub(super) fn window_span(rule: &RulePlan, end: i64, zone: &Zone) -> Span {
    let start = rule.repeating().map_or(end, |window| window.ending(end).start);
    Span { start_ms: zone.to_utc(start), end_ms: zone.to_utc(end) }
}

fn alert_spec(i: usize, rule: &RulePlan) -> AlertSpec {
    AlertSpec {
        rule: i,
        rule_id: rule.id.clone(),
        version: rule.version,
        live: rule.status != Status::Shadow,
        hold_ms: rule.alert.hold_ms,
        keep_ms: rule.alert.keep_ms,
        step: rule.step(),
        exceptions: rule.alert.exceptions.clone(),
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shard({} of {})", self.number, self.shards)
    }
}
