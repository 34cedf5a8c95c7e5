//! Runs of one sequence rule in one shard: the rows of each key in order of time, and the matches told of them.
//!
//! In: rows as they arrive, corrections, how far the awaited feed is complete, and how far back nothing can change any more.
//! Out: matches that came, changed or are gone. A row that is the latest of its key moves the key's runs on; any other has
//! them made again from the last point that is final. So what is told is a function of the rows alone.
//! Rows before that point are dropped, but for those that open runs hold: the state is bounded by `within`.
//! Not here: which rows belong to which key, what alerts say (`sequence`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    model::{
        hash::HashedMap,
        signal::Key,
        time::{DAY_MS, Zone},
    },
    rule::sequence::{
        SequencePlan,
        run::{Match, NEVER_MS, Now, Row, Runs},
    },
};

/// What is new about a match.
#[derive(Debug)]
pub(super) enum Change {
    /// It is there, or other rows stand behind it than before.
    Came(Match),
    /// It never was.
    Gone(Match),
}

/// State of one rule.
#[derive(Debug)]
pub(super) struct RuleRuns {
    keys: HashedMap<u128, KeyRuns>,
    /// Earliest instant up to which the awaited feed must be complete for a run of the key to be decided.
    dues: BTreeSet<(i64, u128)>,
    /// Day on which a key is looked at next, because something of it becomes final.
    calendar: BTreeMap<i64, Vec<u128>>,
    /// The awaited feed is complete up to here.
    awaited_ms: i64,
    /// Of a first-seen rule: what began before this instant is taken for known.
    learnt_ms: i64,
    /// Rows before this instant are final.
    final_ms: i64,
    /// Rows that came behind that: late for this rule.
    late: u64,
}

/// What is held of a rule's keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunSize {
    /// Keys with anything held.
    pub keys: usize,
    /// Open runs.
    pub runs: usize,
    /// Rows held.
    pub rows: usize,
    /// Bytes of all that.
    pub bytes: usize,
    /// Rows that came when nothing of their time could change any more.
    pub late: u64,
}

impl RunSize {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            keys: self.keys + other.keys,
            runs: self.runs + other.runs,
            rows: self.rows + other.rows,
            bytes: self.bytes + other.bytes,
            late: self.late + other.late,
        }
    }
}

/// One key.
#[derive(Debug)]
struct KeyRuns {
    /// Known once a row that begins a run has come: most keys of some feeds never have one.
    key: Option<Arc<Key>>,
    /// Runs that were open when the first of `rows` came.
    base: Runs,
    /// Rows that are not final, in order.
    rows: Vec<Arc<Row>>,
    /// Runs that are open behind the last row; `None`: those of `base`.
    tip: Option<Runs>,
    /// Matches since `base`.
    told: Vec<Match>,
    /// Latest deadline among these.
    settled_ms: i64,
    due_ms: i64,
    /// Day in the calendar.
    day: i64,
}

impl Default for RuleRuns {
    fn default() -> Self {
        Self {
            keys: HashedMap::default(),
            dues: BTreeSet::new(),
            calendar: BTreeMap::new(),
            awaited_ms: i64::MIN,
            learnt_ms: i64::MAX,
            final_ms: i64::MIN,
            late: 0,
        }
    }
}

impl RuleRuns {
    fn now<'a>(&self, plan: &'a SequencePlan, zone: &'a Zone) -> Now<'a> {
        let Self { awaited_ms, learnt_ms, .. } = *self;
        Now { steps: &plan.steps, zone, awaited_ms, learnt_ms }
    }

    /// A row of a key; what it changes.
    pub(super) fn add(
        &mut self,
        plan: &SequencePlan,
        zone: &Zone,
        hash: u128,
        key: impl FnOnce() -> Arc<Key>,
        row: Row,
    ) -> Vec<Change> {
        if row.at_ms < self.final_ms {
            self.late += 1;
            return Vec::new();
        }
        let now = self.now(plan, zone);
        let of_key = self.keys.entry(hash).or_insert_with(KeyRuns::new);
        if row.begins() && of_key.key.is_none() {
            of_key.key = Some(key());
        }
        let day = row.at_ms.div_euclid(DAY_MS);
        let mut changes = Vec::new();
        of_key.add(now, row, &mut changes);
        if day < of_key.day {
            of_key.day = day;
            self.calendar.entry(day).or_default().push(hash);
        }
        self.note_due(hash);
        changes
    }

    /// A correction: the row that arrived as number `old` counts no longer, `new` does; either may be missing. What the two
    /// change together where they are of one key.
    pub(super) fn remove(
        &mut self,
        plan: &SequencePlan,
        zone: &Zone,
        hash: u128,
        old: u64,
        new: Option<(Row, Arc<Key>)>,
    ) -> (Option<Arc<Key>>, Vec<Change>) {
        let now = self.now(plan, zone);
        let Some(of_key) = self.keys.get_mut(&hash) else {
            // The row was final, and nothing else of the key is left.
            return (None, Vec::new());
        };
        let mut changes = Vec::new();
        let new = new.filter(|(row, _)| {
            self.late += u64::from(row.at_ms < self.final_ms);
            row.at_ms >= self.final_ms
        });
        let new = new.map(|(row, key)| {
            of_key.key.get_or_insert(key);
            row
        });
        let day = new.as_ref().map(|row| row.at_ms.div_euclid(DAY_MS));
        of_key.replace(now, old, new, &mut changes);
        if let Some(day) = day.filter(|day| *day < of_key.day) {
            of_key.day = day;
            self.calendar.entry(day).or_default().push(hash);
        }
        let key = of_key.key.clone();
        self.note_due(hash);
        (key, changes)
    }

    /// The key behind a hash, if anything is held of it.
    pub(super) fn key(&self, hash: u128) -> Option<Arc<Key>> {
        self.keys.get(&hash)?.key.clone()
    }

    /// Whether anything is held of a key.
    pub(super) fn has(&self, hash: u128) -> bool {
        self.keys.contains_key(&hash)
    }

    /// The awaited feed is complete up to `to_ms`: what had to stay away until then did, oldest first.
    pub(super) fn await_to(
        &mut self,
        plan: &SequencePlan,
        zone: &Zone,
        to_ms: i64,
    ) -> Vec<(Arc<Key>, Match)> {
        if to_ms <= self.awaited_ms {
            return Vec::new();
        }
        self.awaited_ms = to_ms;
        let now = self.now(plan, zone);
        let mut out = Vec::new();
        while let Some(&(due_ms, hash)) = self.dues.first()
            && due_ms <= to_ms
        {
            let Some(of_key) = self.keys.get_mut(&hash) else {
                self.dues.pop_first();
                continue;
            };
            let found = of_key.settle(now);
            out.extend(found.into_iter().filter_map(|found| Some((of_key.key.clone()?, found))));
            self.note_due(hash);
        }
        out
    }

    /// What began before `learnt_ms` is taken for known, which is earlier than before; what that changes, key by key.
    pub(super) fn learn(
        &mut self,
        plan: &SequencePlan,
        zone: &Zone,
        learnt_ms: i64,
    ) -> Vec<(Arc<Key>, Vec<Change>)> {
        self.learnt_ms = learnt_ms;
        let now = self.now(plan, zone);
        let mut keys: Vec<_> = self.keys.iter_mut().filter(|(_, k)| !k.rows.is_empty()).collect();
        keys.sort_unstable_by_key(|(hash, _)| **hash);
        let again = |(_, of_key): (_, &mut KeyRuns)| {
            let mut changes = Vec::new();
            of_key.make_again(now, &mut changes);
            Some((of_key.key.clone()?, changes))
        };
        keys.into_iter().filter_map(again).collect()
    }

    /// Nothing before `final_ms` can change any more: the matches that are final now. What no run needs is forgotten.
    pub(super) fn finalise(
        &mut self,
        plan: &SequencePlan,
        zone: &Zone,
        final_ms: i64,
    ) -> Vec<(Arc<Key>, Match)> {
        if final_ms <= self.final_ms {
            return Vec::new();
        }
        self.final_ms = final_ms;
        let now = self.now(plan, zone);
        let later = self.calendar.split_off(&(final_ms.saturating_sub(1).div_euclid(DAY_MS) + 1));
        let mut out = Vec::new();
        for (day, hashes) in std::mem::replace(&mut self.calendar, later) {
            for hash in hashes {
                let Some(of_key) = self.keys.get_mut(&hash).filter(|k| k.day == day) else {
                    continue;
                };
                let found = of_key.finalise(now, final_ms);
                out.extend(found.into_iter().filter_map(|f| Some((of_key.key.clone()?, f))));
                if !of_key.may_tell() {
                    of_key.key = None;
                }
                of_key.day = of_key.next_ms(now).div_euclid(DAY_MS);
                if of_key.is_empty() {
                    self.dues.remove(&(of_key.due_ms, hash));
                    self.keys.remove(&hash);
                } else {
                    self.calendar.entry(of_key.day).or_default().push(hash);
                }
            }
        }
        out
    }

    /// All matches that are not final, at the end of everything.
    pub(super) fn finish(&mut self) -> Vec<(Arc<Key>, Match)> {
        let mut out = Vec::new();
        let mut keys: Vec<_> = self.keys.iter_mut().filter(|(_, k)| !k.told.is_empty()).collect();
        keys.sort_unstable_by_key(|(hash, _)| **hash);
        for (_, of_key) in keys {
            let told = std::mem::take(&mut of_key.told);
            out.extend(told.into_iter().filter_map(|f| Some((of_key.key.clone()?, f))));
        }
        out
    }

    /// Runs that only the awaited feed holds back: it would decide them if it were complete up to `to_ms`.
    pub(super) fn held(&self, to_ms: i64) -> usize {
        let keys = self.dues.iter().take_while(|(due_ms, _)| *due_ms <= to_ms);
        keys.filter_map(|(_, hash)| self.keys.get(hash)).map(|k| k.runs().due(to_ms)).sum()
    }

    /// What is held.
    pub(super) fn size(&self) -> RunSize {
        let of_map = self.keys.capacity() * size_of::<(u128, KeyRuns)>();
        let mut size =
            RunSize { keys: self.keys.len(), bytes: of_map, late: self.late, ..RunSize::default() };
        size.bytes += self.dues.len() * size_of::<(i64, u128)>();
        size.bytes += self.calendar.values().map(|of| of.capacity() * 16).sum::<usize>();
        self.keys.values().for_each(|k| k.measure(&mut size));
        size
    }

    fn note_due(&mut self, hash: u128) {
        let Some(of_key) = self.keys.get_mut(&hash) else { return };
        let due_ms = of_key.runs().next_due_ms();
        if due_ms != of_key.due_ms {
            self.dues.remove(&(of_key.due_ms, hash));
            of_key.due_ms = due_ms;
            if due_ms != NEVER_MS {
                self.dues.insert((due_ms, hash));
            }
        }
    }
}

impl KeyRuns {
    fn new() -> Self {
        Self {
            key: None,
            base: Runs::default(),
            rows: Vec::new(),
            tip: None,
            told: Vec::new(),
            settled_ms: i64::MIN,
            due_ms: NEVER_MS,
            day: i64::MAX,
        }
    }

    fn runs(&self) -> &Runs {
        self.tip.as_ref().unwrap_or(&self.base)
    }

    fn add(&mut self, now: Now<'_>, row: Row, changes: &mut Vec<Change>) {
        let in_order = self.rows.last().is_none_or(|last| last.order() <= row.order());
        if !in_order || row.at_ms < self.settled_ms {
            self.put(row);
            return self.make_again(now, changes);
        }
        let row = self.numbered(row, self.rows.len());
        let base = &self.base;
        let tip = self.tip.get_or_insert_with(|| base.clone());
        let before = self.told.len();
        tip.step(now, &row, &mut self.told);
        self.rows.push(row);
        // What was due but for a row that had not come yet is told with it.
        tip.settle(now, &mut self.told);
        self.note_settled(before);
        changes.extend(self.told[before..].iter().cloned().map(Change::Came));
    }

    fn replace(&mut self, now: Now<'_>, old: u64, new: Option<Row>, changes: &mut Vec<Change>) {
        let before = self.rows.len();
        self.rows.retain(|r| r.arrival != old);
        let gone = self.rows.len() < before;
        let is_new = new.is_some();
        if let Some(row) = new {
            self.put(row);
        }
        if gone || is_new {
            self.make_again(now, changes);
        }
    }

    /// Puts a row among the others.
    fn put(&mut self, row: Row) {
        let at = self.rows.partition_point(|r| r.order() <= row.order());
        let row = self.numbered(row, at);
        self.rows.insert(at, row);
    }

    /// A row that goes to a place, told apart from those that are like it.
    fn numbered(&self, mut row: Row, at: usize) -> Arc<Row> {
        let alike = self.rows[..at].iter().rev().take_while(|r| r.is_like(&row)).count();
        row.copy = u32::try_from(alike).unwrap_or(u32::MAX);
        Arc::new(row)
    }

    /// Goes through all rows that are not final again, and tells the difference.
    fn make_again(&mut self, now: Now<'_>, changes: &mut Vec<Change>) {
        let mut tip = self.base.clone();
        let mut told = Vec::new();
        self.rows.iter().for_each(|row| tip.step(now, row, &mut told));
        tip.settle(now, &mut told);
        let same_first = |a: &Match, b: &Match| Arc::ptr_eq(a.first(), b.first());
        for gone in self.told.iter().filter(|m| !told.iter().any(|n| same_first(m, n))) {
            changes.push(Change::Gone(gone.clone()));
        }
        for found in &told {
            if !self.told.iter().any(|m| m.is(found)) {
                changes.push(Change::Came(found.clone()));
            }
        }
        (self.tip, self.told) = (Some(tip), told);
        self.settled_ms = i64::MIN;
        self.note_settled(0);
    }

    fn settle(&mut self, now: Now<'_>) -> Vec<Match> {
        let base = &self.base;
        let tip = self.tip.get_or_insert_with(|| base.clone());
        let before = self.told.len();
        tip.settle(now, &mut self.told);
        self.note_settled(before);
        self.told[before..].to_vec()
    }

    fn note_settled(&mut self, from: usize) {
        let deadlines = self.told[from..].iter().filter_map(|m| m.deadline_ms);
        self.settled_ms = deadlines.fold(self.settled_ms, i64::max);
    }

    fn finalise(&mut self, now: Now<'_>, final_ms: i64) -> Vec<Match> {
        let mut out = Vec::new();
        let passed = self.rows.partition_point(|r| r.at_ms < final_ms);
        for row in self.rows.drain(..passed) {
            self.base.step(now, &row, &mut out);
        }
        self.base.pass(now, final_ms, &mut out);
        self.told.retain(|m| !out.iter().any(|o| Arc::ptr_eq(o.first(), m.first())));
        if self.rows.is_empty() && self.told.is_empty() {
            (self.tip, self.settled_ms) = (None, i64::MIN);
            self.rows = Vec::new();
            self.told = Vec::new();
            self.base.shrink();
        }
        out
    }

    /// When something of the key becomes final next.
    fn next_ms(&self, now: Now<'_>) -> i64 {
        let row = self.rows.first().map(|r| r.at_ms);
        let told = self.told.iter().map(Match::end_ms).min();
        row.into_iter().chain(told).fold(self.base.next_end_ms(now.steps), i64::min)
    }

    /// Whether anything may still be told of what is held: else it does not matter which key it is.
    fn may_tell(&self) -> bool {
        !self.rows.is_empty() || !self.told.is_empty() || self.base.is_open()
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.told.is_empty() && self.base.is_empty()
    }

    fn measure(&self, size: &mut RunSize) {
        let runs = std::iter::once(&self.base).chain(&self.tip);
        let mut rows: Vec<&Arc<Row>> =
            self.rows.iter().chain(runs.clone().flat_map(Runs::rows)).collect();
        rows.sort_unstable_by_key(|r| Arc::as_ptr(r));
        rows.dedup_by_key(|r| Arc::as_ptr(r));
        size.runs += self.runs().pending();
        size.rows += rows.len();
        size.bytes += rows.iter().map(|r| r.bytes()).sum::<usize>();
        size.bytes += runs.map(Runs::bytes).sum::<usize>();
        size.bytes += self.rows.capacity() * size_of::<Arc<Row>>();
        size.bytes += self.told.capacity() * size_of::<Match>();
        let of_key = |k: &Arc<Key>| k.canonical.len() + size_of::<Key>() + 2 * size_of::<usize>();
        size.bytes += self.key.as_ref().map_or(0, of_key);
    }
}
