//! The walk as one synchronous function: admit, add, close, evaluate, update.
//!
//! In: arrivals — batches with the order in which their rows came — idle decisions and the end of the input. Out: what was
//! refused, new revisions of alerts, final signals. Live run, replay, rule tests and explanations all call this and nothing
//! else, so they give one answer. Rows are added piece by piece; a piece ends where the watermark passes a window's end,
//! so that batching never shows, and at every row that changes the past, which is a step of its own.
//! Not here: decoding, disk, network, clocks; "now" is the arrival time that comes with the rows.

use std::{collections::BTreeMap, sync::Arc};

use arrow::array::Array;
use rayon::prelude::*;

use super::{
    correct::Correction,
    shard::Shard,
    windows::{PeersByEnd, next_end},
};
use crate::{
    feed::{
        dedup::{Decision, Dedup, Operation, Version},
        spec::FeedSpec,
        watermark::Partitions,
    },
    model::{
        alert::Alert,
        batch::{Batch, DeadClass, DeadLetter},
        diagnostic::Diagnostic,
        hash::{combine, hash_column},
        schema::{ColumnType, FeedSchema},
        signal::{Cause, Signal},
        time::{DAY_MS, HOUR_MS, Zone, format_span},
        value::value_at,
        window::WindowSpec,
    },
    pane::{
        kept::{Found, Piece},
        prepare::{NO_PANE, Prepared, Preparer},
        store::StoreSize,
    },
    rule::{
        compile::{FeedContext, compile},
        evaluate::PeerValues,
        file::RuleFile,
        plan::{Plan, RulePlan},
    },
};

/// How the pipeline runs. None of it changes what signals say.
#[derive(Debug, Clone)]
pub struct Options {
    /// The zone of days, weeks and dates without clock.
    pub zone: Zone,
    /// Shards, each with the state of its own keys; more than one run side by side.
    pub shards: usize,
    /// Look into open windows at every arrival, so that alerts are told at once. Off, they are told when the next window
    /// closes, with the same content and the same times.
    pub eager: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { zone: Zone::utc(), shards: 1, eager: true }
    }
}

/// Rows as they arrived.
#[derive(Debug)]
pub struct Arrival {
    /// Batches of any feeds and partitions.
    pub batches: Vec<Batch>,
    /// Order of arrival as (batch, row); `None`: batch after batch.
    pub order: Option<Vec<(u32, u32)>>,
    /// Arrival number of the first row.
    pub first: u64,
    /// Arrival time of each row in that order, or one for all.
    pub arrived_ms: Vec<i64>,
}

/// What became of the rows of one feed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedCounts {
    /// Rows that count.
    pub accepted: u64,
    /// Rows whose content was known, and versions lower than a known one.
    pub duplicates: u64,
    /// Rows that replaced an earlier version or took one back.
    pub corrections: u64,
    /// Equal versions with other content.
    pub conflicts: u64,
    /// Rows too late: dead letters.
    pub late: u64,
    /// Rows dated too far ahead: dead letters.
    pub future: u64,
    /// Accepted rows without a valid code in the feed's first `ucc` column.
    pub unattributed: u64,
}

/// What one call changed.
#[derive(Debug, Default)]
pub struct Step {
    /// By feed.
    pub counts: Vec<FeedCounts>,
    /// Refused rows: feed, partition, letter.
    pub dead: Vec<(usize, Arc<str>, DeadLetter)>,
    /// New revisions, in the order of the records that caused them.
    pub alerts: Vec<Alert>,
    /// Signals that can no longer change, in no particular order.
    pub signals: Vec<Signal>,
}

/// The engine's whole state and the walk through it.
pub struct Pipeline {
    plan: Arc<Plan>,
    specs: Arc<[FeedSpec]>,
    options: Options,
    feeds: Vec<Feed>,
    preparers: Vec<Preparer>,
    shards: Vec<Shard>,
    next_arrival: u64,
    next_piece: u64,
    /// Rows of each feed are kept for so long behind the watermark.
    rows_keep: Vec<i64>,
    /// The last row that was looked at: the cause of what a watermark closes.
    last: (u64, i64),
    step: Step,
}

/// One feed in event time.
struct Feed {
    partitions: Partitions,
    dedup: Option<Dedup>,
    /// Pieces whose rows a later version may replace, by number.
    pieces: BTreeMap<u64, Arc<Piece>>,
    /// (every, origin, delay) of the windows that read the feed.
    grids: Vec<(i64, i64, i64)>,
    /// Instant of the next window end that the watermark will pass.
    next_cut_ms: i64,
    /// Rows before this instant change the past.
    closed_to_ms: i64,
    /// Lanes on other time columns: (lane, delay, local time up to which their windows are closed).
    other_times: Vec<(usize, i64, i64)>,
    /// First column of unified social credit codes.
    ucc: Option<usize>,
}

/// One batch of the arrival in work.
struct Work {
    prepared: Arc<Prepared>,
    partition: usize,
    versions: Versions,
    /// Whether a row of it was looked at; the first one is where its pieces begin.
    started: bool,
    /// First row not yet in a piece.
    from: u32,
    /// Behind the last row looked at.
    to: u32,
    refused: Vec<bool>,
    arrivals: Vec<u64>,
    arrived_ms: Vec<i64>,
    piece: u64,
}

/// Version and operation columns of a batch.
struct Versions {
    number: Option<arrow::array::Int64Array>,
    operation: Option<arrow::array::StringArray>,
}

impl Pipeline {
    /// A pipeline of these feeds and rules.
    ///
    /// # Errors
    /// All findings of rules that do not compile.
    pub fn try_new(
        specs: Vec<FeedSpec>,
        rules: &[RuleFile],
        options: Options,
    ) -> Result<Self, Vec<Diagnostic>> {
        let contexts: Vec<FeedContext> = specs
            .iter()
            .map(|s| FeedContext {
                schema: s.schema.clone(),
                lateness_ms: s.allowed_lateness_ms + s.out_of_order_ms,
            })
            .collect();
        Ok(Self::new(specs, compile(rules, &contexts, false)?, options))
    }

    /// A pipeline of these feeds and this plan, which was compiled for them in the same order.
    #[must_use]
    pub fn new(specs: Vec<FeedSpec>, plan: Plan, options: Options) -> Self {
        let plan = Arc::new(plan);
        let shards = options.shards.max(1);
        let feeds = specs.iter().enumerate().map(|(i, s)| Feed::new(i, s, &plan)).collect();
        let preparers = (0..specs.len())
            .map(|i| {
                Preparer::new(
                    specs[i].schema.clone(),
                    plan.panes.feeds[i].clone(),
                    options.zone.clone(),
                )
            })
            .collect();
        let lateness: Vec<i64> = specs.iter().map(|s| s.allowed_lateness_ms).collect();
        let rows_keep = (0..specs.len()).map(|f| rows_keep(f, &specs[f], &plan)).collect();
        Self {
            shards: (0..shards)
                .map(|n| {
                    Shard::new(
                        plan.clone(),
                        options.zone.clone(),
                        (n, shards),
                        &lateness,
                        options.eager,
                    )
                })
                .collect(),
            plan,
            specs: specs.into(),
            feeds,
            preparers,
            next_arrival: 1,
            next_piece: 0,
            rows_keep,
            last: (0, i64::MIN),
            step: Step::default(),
            options,
        }
    }

    /// The compiled rules.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The feeds, in the order of the plan.
    #[must_use]
    pub fn specs(&self) -> &[FeedSpec] {
        &self.specs
    }

    /// The zone of days.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.options.zone
    }

    /// A preparer of the feed's batches, for threads that work ahead.
    #[must_use]
    pub fn preparer(&self, feed: usize) -> Preparer {
        Preparer::new(
            self.specs[feed].schema.clone(),
            self.plan.panes.feeds[feed].clone(),
            self.options.zone.clone(),
        )
    }

    /// Number of the next row to arrive.
    #[must_use]
    pub fn next_arrival(&self) -> u64 {
        self.next_arrival
    }

    /// Watermark of each feed, an instant; `None` before its first row.
    #[must_use]
    pub fn watermarks(&self) -> Vec<Option<i64>> {
        self.feeds
            .iter()
            .map(|f| Some(f.partitions.watermark()).filter(|w| *w != i64::MIN))
            .collect()
    }

    /// How long after a row the last window that holds it is closed, by any rule.
    #[must_use]
    pub fn longest_ms(&self) -> i64 {
        let of_rule = |r: &RulePlan| {
            let every = match r.window {
                Some(WindowSpec::Sliding { every_ms, .. }) => every_ms,
                _ => 0,
            };
            r.window.map_or(0, WindowSpec::width_max) + every + r.delay_ms
        };
        self.plan.rules.iter().map(of_rule).max().unwrap_or(0) + DAY_MS
    }

    /// How many partitions of each feed hold nothing back, because they are silent.
    #[must_use]
    pub fn idle_partitions(&self) -> Vec<usize> {
        self.feeds.iter().map(|f| f.partitions.idle_count()).collect()
    }

    /// Takes in rows.
    pub fn arrive(&mut self, arrival: Arrival) -> Step {
        let Arrival { batches, order, first, arrived_ms } = arrival;
        let prepared: Vec<Arc<Prepared>> =
            batches.into_iter().map(|b| Arc::new(self.preparers[b.feed].prepare(b))).collect();
        self.arrive_prepared(prepared, order.as_deref(), first, &arrived_ms)
    }

    /// Takes in rows that were prepared elsewhere.
    pub fn arrive_prepared(
        &mut self,
        batches: Vec<Arc<Prepared>>,
        order: Option<&[(u32, u32)]>,
        first: u64,
        arrived_ms: &[i64],
    ) -> Step {
        self.step.counts = vec![FeedCounts::default(); self.feeds.len()];
        let mut works: Vec<Work> = batches.into_iter().map(|p| self.work(p)).collect();
        let one_by_one: Vec<(u32, u32)>;
        let order = match order {
            Some(order) => order,
            None => {
                one_by_one = works
                    .iter()
                    .enumerate()
                    .flat_map(|(b, w)| {
                        (0..w.prepared.rows.event_ms.len() as u32).map(move |r| (b as u32, r))
                    })
                    .collect();
                &one_by_one
            }
        };
        let mut arrival = first;
        for (i, (b, row)) in order.iter().enumerate() {
            let at = arrived_ms.get(i).or(arrived_ms.last()).copied().unwrap_or(i64::MAX);
            self.admit(&mut works, *b as usize, *row, (arrival, at));
            arrival += 1;
        }
        self.next_arrival = self.next_arrival.max(arrival);
        self.flush(&mut works);
        if self.options.eager {
            self.collect();
        }
        self.take_step()
    }

    /// A partition was silent for the feed's `idle_after`, or its file ended.
    pub fn idle(&mut self, feed: usize, partition: &str, arrival: u64, at_ms: i64) -> Step {
        self.step.counts = vec![FeedCounts::default(); self.feeds.len()];
        self.last = (arrival, at_ms);
        let partition = self.feeds[feed].partitions.position(&partition.into());
        self.feeds[feed].partitions.idle(partition);
        self.close((arrival, at_ms));
        self.take_step()
    }

    /// End of the input: every watermark moves to `to_ms`.
    pub fn advance(&mut self, to_ms: i64) -> Step {
        self.step.counts = vec![FeedCounts::default(); self.feeds.len()];
        for feed in &mut self.feeds {
            feed.partitions.advance(to_ms);
        }
        let cause = (self.next_arrival, self.last.1.max(to_ms));
        self.close(cause);
        self.take_step()
    }

    /// Hands over everything: signals of open windows, evidence of alerts that still fire.
    pub fn finish(&mut self) -> Step {
        self.step.counts = vec![FeedCounts::default(); self.feeds.len()];
        self.each_shard(|s| s.look_open());
        self.collect();
        for r in 0..self.plan.rules.len() {
            let peers = self.peers(r, |s| s.open_ends(r));
            self.each_shard(|s| s.keep_open(r, &peers));
        }
        self.each_shard(|s| s.finish());
        self.take_step()
    }

    pub(super) fn shards_mut(&mut self) -> &mut [Shard] {
        &mut self.shards
    }

    /// What the shards hold.
    #[must_use]
    pub fn sizes(&self) -> Vec<StoreSize> {
        self.shards.iter().map(Shard::size).collect()
    }

    /// Evaluations that failed and keys whose compares had no full history, by rule.
    #[must_use]
    pub fn troubles(&self) -> Vec<(u64, u64)> {
        let sum = |r: usize| {
            self.shards.iter().fold((0, 0), |(f, n), s| (f + s.failures[r], n + s.not_ready[r]))
        };
        (0..self.plan.rules.len()).map(sum).collect()
    }

    /// Keys evaluated in closed windows, by rule.
    #[must_use]
    pub fn evaluations(&self) -> Vec<u64> {
        let sum = |r: usize| self.shards.iter().map(|s| s.evaluations[r]).sum();
        (0..self.plan.rules.len()).map(sum).collect()
    }

    fn work(&mut self, prepared: Arc<Prepared>) -> Work {
        let feed = &mut self.feeds[prepared.rows.feed];
        let schema = &self.specs[prepared.rows.feed].schema;
        let n = prepared.rows.event_ms.len();
        self.next_piece += 1;
        Work {
            partition: feed.partitions.position(&prepared.partition),
            versions: Versions::of(schema, &prepared),
            started: false,
            from: 0,
            to: 0,
            refused: vec![false; n],
            arrivals: vec![0; n],
            arrived_ms: vec![0; n],
            piece: self.next_piece,
            prepared,
        }
    }

    /// Decides about one row, and steps where it ends a piece.
    fn admit(&mut self, works: &mut [Work], b: usize, row: u32, (arrival, at_ms): (u64, i64)) {
        let r = row as usize;
        let work = &mut works[b];
        if !work.started {
            (work.started, work.from) = (true, row);
        }
        let f = work.prepared.rows.feed;
        let event_ms = work.prepared.rows.event_ms[r];
        (work.arrivals[r], work.arrived_ms[r], work.to) = (arrival, at_ms, row + 1);
        self.last = (arrival, at_ms);
        let spec = &self.specs[f];
        let feed = &mut self.feeds[f];
        if event_ms > at_ms.saturating_add(spec.max_skew_ms) {
            self.step.counts[f].future += 1;
            return self.refuse(&mut works[b], row, DeadClass::Future, at_ms);
        }
        let own = feed.partitions.own(work.partition);
        let partition = work.partition;
        if event_ms < own.saturating_sub(spec.allowed_lateness_ms) {
            // A file that is sent again is no news, however late.
            if self.is_copy(works, b, row) {
                self.step.counts[f].duplicates += 1;
                works[b].refused[r] = true;
                return;
            }
            self.step.counts[f].late += 1;
            return self.refuse(&mut works[b], row, DeadClass::Late, own);
        }
        let mut replaced = None;
        let mut withdrawn = false;
        if feed.dedup.is_some() {
            let version = work.versions.of_row(r, (work.piece, row), event_ms);
            withdrawn = version.operation == Operation::Withdraw;
            let id = work.prepared.rows.ids[r];
            let (decision, conflict) = self.decide(works, f, id, version);
            let counts = &mut self.step.counts[f];
            counts.conflicts += u64::from(conflict);
            match decision {
                Decision::New => {}
                Decision::Replace(old) => {
                    counts.corrections += 1;
                    replaced = Some(old);
                }
                Decision::Duplicate | Decision::Older => {
                    counts.duplicates += 1;
                    works[b].refused[r] = true;
                    return;
                }
            }
        }
        self.step.counts[f].accepted += 1;
        if let Some(ucc) = self.feeds[f].ucc
            && works[b].prepared.rows.batch.column(ucc).is_null(r)
        {
            self.step.counts[f].unattributed += 1;
        }
        // A withdrawn version was taken off when its tombstone came.
        let old = replaced.filter(|o| o.operation != Operation::Withdraw);
        if old.is_some() || (!withdrawn && self.feeds[f].is_past(event_ms, &works[b].prepared, r)) {
            self.correct(
                works,
                b,
                row,
                old,
                withdrawn,
                Cause { at_ms: event_ms, arrival, arrived_ms: at_ms },
            );
        } else if withdrawn {
            works[b].refused[r] = true;
        }
        let feed = &mut self.feeds[f];
        if feed.partitions.observe(partition, event_ms)
            && feed.partitions.watermark() >= feed.next_cut_ms
        {
            self.flush(works);
            self.close((arrival, at_ms));
        }
    }

    fn decide(&mut self, works: &[Work], f: usize, id: u128, version: Version) -> (Decision, bool) {
        let Feed { pieces, dedup, .. } = &mut self.feeds[f];
        match dedup {
            Some(dedup) => dedup.decide(id, version, |place| content_of(works, pieces, place)),
            None => (Decision::New, false),
        }
    }

    /// Whether the row says what is known already.
    fn is_copy(&self, works: &[Work], b: usize, row: u32) -> bool {
        let Work { prepared, versions, piece, .. } = &works[b];
        let Feed { pieces, dedup, .. } = &self.feeds[prepared.rows.feed];
        let r = row as usize;
        dedup.as_ref().is_some_and(|dedup| {
            let version = versions.of_row(r, (*piece, row), prepared.rows.event_ms[r]);
            let content = |place| content_of(works, pieces, place);
            dedup.is_copy(prepared.rows.ids[r], version, content)
        })
    }

    fn refuse(&mut self, work: &mut Work, row: u32, class: DeadClass, limit: i64) {
        let r = row as usize;
        work.refused[r] = true;
        let p = &work.prepared;
        let spec = &self.specs[p.rows.feed];
        let zone = &self.options.zone;
        let event = zone.format(p.rows.event_ms[r]);
        let message = match class {
            DeadClass::Future => format!(
                "feed {:?}: event time {event} is more than {} ahead of its arrival at {}",
                spec.name(),
                format_span(spec.max_skew_ms),
                zone.format(limit)
            ),
            _ => format!(
                "feed {:?}: event time {event} is more than {} behind the watermark {} of its partition",
                spec.name(),
                format_span(spec.allowed_lateness_ms),
                zone.format(limit)
            ),
        };
        let raw = p.raw.as_ref().map_or_else(|| row_json(&spec.schema, p, r), |raw| raw.row(r));
        let line = p.lines.get(r).copied().unwrap_or(0);
        self.step.dead.push((
            p.rows.feed,
            p.partition.clone(),
            DeadLetter { line, class, message, raw },
        ));
    }

    /// A row that changes the past, as a step of its own.
    fn correct(
        &mut self,
        works: &mut [Work],
        b: usize,
        row: u32,
        old: Option<Version>,
        withdrawn: bool,
        cause: Cause,
    ) {
        let f = works[b].prepared.rows.feed;
        // What came before goes in first; the row itself is a piece alone.
        works[b].to = row;
        self.flush(works);
        let work = &mut works[b];
        (work.from, work.to) = (row, row + 1);
        let alone = self.alone(f, &work.prepared.rows.batch, row as usize);
        let new = (!withdrawn).then(|| self.piece(work));
        if withdrawn {
            work.from = row + 1;
        }
        let found = old.and_then(|o| {
            let piece = self.feeds[f].pieces.get(&o.place.0)?.clone();
            Some(Found { piece, row: o.place.1 })
        });
        let old = found.map(|found| {
            let alone = self.alone(f, &found.piece.rows.batch, found.row as usize);
            (found, alone)
        });
        let new_alone = new.is_some().then_some(alone);
        let prepared = works[b].prepared.clone();
        let new = new.map(|piece| (piece, prepared));
        let earlier = self.note_history(f, cause.at_ms);
        let correction = Correction { old, new, new_alone, cause };
        self.each_shard(|s| s.apply(&correction));
        for r in 0..self.plan.rules.len() {
            let rule = &self.plan.rules[r];
            if !rule.feeds.contains(&f) || rule.window.is_none() {
                continue;
            }
            let peers = self.peers(r, |s| s.touched_ends(r, &correction));
            self.each_shard(|s| s.revise(r, &correction, &peers));
            if let Some(earlier) = earlier {
                self.each_shard(|s| s.history_moved(r, earlier, cause));
            }
        }
    }

    /// One row of a batch, prepared alone.
    fn alone(&mut self, feed: usize, batch: &arrow::array::RecordBatch, row: usize) -> Prepared {
        let batch = Batch {
            feed,
            partition: "".into(),
            rows: batch.slice(row, 1),
            lines: Arc::from([0]),
            raw: None,
        };
        self.preparers[feed].prepare(batch)
    }

    /// Adds the rows looked at since the last flush.
    fn flush(&mut self, works: &mut [Work]) {
        let mut pieces = Vec::new();
        for work in works.iter_mut().filter(|w| w.to > w.from) {
            pieces.push((self.piece(work), work.prepared.clone()));
        }
        if pieces.is_empty() {
            return;
        }
        for (piece, _) in &pieces {
            let rows = &piece.rows;
            let first = (piece.from..piece.to)
                .filter(|r| !piece.refused.get((r - piece.from) as usize).copied().unwrap_or(false))
                .map(|r| rows.event_ms[r as usize])
                .min();
            if let Some(first) = first {
                self.note_history(rows.feed, first);
            }
        }
        let eager = self.options.eager;
        self.each_shard(|s| {
            for (piece, prepared) in &pieces {
                s.add(piece, prepared);
            }
            if eager {
                for (piece, prepared) in &pieces {
                    s.look_at(piece, prepared);
                }
            }
        });
    }

    /// Cuts the rows looked at since the last piece of a batch into a piece.
    fn piece(&mut self, work: &mut Work) -> Arc<Piece> {
        let range = work.from as usize..work.to as usize;
        let refused = if work.refused[range.clone()].iter().any(|r| *r) {
            work.refused[range.clone()].to_vec()
        } else {
            Vec::new()
        };
        let rows = work.prepared.rows.clone();
        let piece = Arc::new(Piece {
            number: work.piece,
            from: work.from,
            to: work.to,
            arrivals: work.arrivals[range.clone()].to_vec(),
            arrived_ms: work.arrived_ms[range.clone()].to_vec(),
            refused,
            last_ms: rows.event_ms[range].iter().copied().max().unwrap_or(i64::MIN),
            rows,
        });
        if self.feeds[piece.rows.feed].dedup.is_some() {
            self.feeds[piece.rows.feed].pieces.insert(piece.number, piece.clone());
        }
        work.from = work.to;
        self.next_piece += 1;
        work.piece = self.next_piece;
        piece
    }

    /// The feed's history begins no later than this event; returns where it began before, if windows were built on that.
    fn note_history(&mut self, feed: usize, event_ms: i64) -> Option<i64> {
        let declared = self.specs[feed].history_from_ms;
        let local = self.options.zone.to_local(declared.unwrap_or(event_ms));
        let day = local.div_euclid(DAY_MS) * DAY_MS;
        let before = self.shards[0].history_from[feed];
        if day >= before {
            return None;
        }
        for s in &mut self.shards {
            s.history_from[feed] = day;
        }
        (before != i64::MAX).then_some(before)
    }

    /// Closes every window that the watermarks have passed.
    fn close(&mut self, (arrival, arrived_ms): (u64, i64)) {
        let plan = self.plan.clone();
        let cause = Cause { at_ms: 0, arrival, arrived_ms };
        let mut targets = Vec::new();
        for (r, rule) in plan.rules.iter().enumerate() {
            let Some(WindowSpec::Sliding { .. } | WindowSpec::Session { .. }) = rule.window else {
                continue;
            };
            let Some(watermark) = self.rule_watermark(&rule.feeds) else { continue };
            targets.push((r, self.options.zone.to_local(watermark.saturating_sub(rule.delay_ms))));
        }
        let mut alone: Vec<(usize, i64)> = Vec::new();
        for (r, to) in targets {
            if plan.rules[r].has_peers() {
                let peers = self.peers(r, |s| s.ends(r, to));
                if !peers.is_empty() {
                    self.each_shard(|s| s.close(r, to, cause, &peers));
                }
            } else {
                alone.push((r, to));
            }
        }
        let watermarks: Vec<i64> = self.feeds.iter().map(|f| f.partitions.watermark()).collect();
        let lateness: Vec<i64> = self.specs.iter().map(|s| s.allowed_lateness_ms).collect();
        let rows_keep = self.rows_keep.clone();
        self.each_shard(|s| {
            for (r, to) in &alone {
                s.close(*r, *to, cause, &Vec::new());
            }
            s.expire_instants(&watermarks, cause);
            s.evict(&watermarks, &lateness, &rows_keep);
        });
        for (f, feed) in self.feeds.iter_mut().enumerate() {
            feed.settle(&self.options.zone, &self.specs[f]);
        }
        self.collect();
    }

    /// The instant that every feed of a rule has reached; idle feeds do not hold it back.
    fn rule_watermark(&self, feeds: &[usize]) -> Option<i64> {
        let known = || {
            feeds.iter().map(|f| &self.feeds[*f].partitions).filter(|p| p.watermark() != i64::MIN)
        };
        known()
            .filter(|p| p.holds_back())
            .map(Partitions::watermark)
            .min()
            .or_else(|| known().map(Partitions::watermark).max())
    }

    /// Peers' values of all shards for the windows that `ends` names in any shard; empty for rules without peers.
    fn peers(&mut self, r: usize, ends: impl Fn(&Shard) -> Vec<i64>) -> PeersByEnd {
        if !self.plan.rules[r].has_peers() {
            return Vec::new();
        }
        let mut all: Vec<i64> = self.shards.iter().flat_map(ends).collect();
        all.sort_unstable();
        all.dedup();
        let mut merged: Vec<Vec<PeerValues>> = Vec::new();
        for shard in &mut self.shards {
            let of_shard = shard.peers(r, &all);
            merged = match merged.is_empty() {
                true => of_shard,
                false => merged
                    .into_iter()
                    .zip(of_shard)
                    .map(|(a, b)| a.into_iter().zip(b).map(|(a, b)| a.merge(b)).collect())
                    .collect(),
            };
        }
        all.into_iter()
            .zip(merged)
            .map(|(end, values)| (end, values.into_iter().map(|v| Some(Arc::new(v))).collect()))
            .collect()
    }

    fn each_shard(&mut self, work: impl Fn(&mut Shard) + Sync + Send) {
        match self.shards.as_mut_slice() {
            [one] => work(one),
            many => many.par_iter_mut().for_each(work),
        }
    }

    /// Gathers what the shards have to tell.
    fn collect(&mut self) {
        for shard in &mut self.shards {
            self.step.alerts.append(&mut shard.take_alerts());
            self.step.signals.append(&mut shard.take_finals());
        }
    }

    fn take_step(&mut self) -> Step {
        self.collect();
        let mut step = std::mem::take(&mut self.step);
        step.alerts.sort_by(|a, b| {
            let order = |x: &Alert| (x.changed_by, x.rule, x.episode, x.revision);
            order(a).cmp(&order(b)).then_with(|| a.key.cmp(&b.key))
        });
        step
    }
}

impl Feed {
    fn new(number: usize, spec: &FeedSpec, plan: &Plan) -> Self {
        let schema = &spec.schema;
        let mut grids = Vec::new();
        for rule in plan.rules.iter().filter(|r| r.feeds.contains(&number)) {
            let grid = match rule.window {
                Some(WindowSpec::Sliding { every_ms, origin_ms, .. }) => {
                    (every_ms, origin_ms, rule.delay_ms)
                }
                // Sessions end where their rows end; hours are near enough to look.
                Some(WindowSpec::Session { .. }) => (HOUR_MS, 0, rule.delay_ms),
                None => (DAY_MS, 0, 0),
            };
            if !grids.contains(&grid) {
                grids.push(grid);
            }
        }
        if grids.is_empty() {
            grids.push((DAY_MS, 0, 0));
        }
        let lanes = &plan.panes.feeds[number].lanes;
        let other =
            lanes.iter().enumerate().filter(|(_, l)| l.time != schema.event_time).map(|(i, l)| {
                let delay =
                    schema.delays.iter().find(|(c, _)| *c == l.time).map_or(0, |(_, ms)| *ms);
                (i, delay, i64::MIN)
            });
        Self {
            partitions: Partitions::new(spec.out_of_order_ms),
            dedup: (!schema.record_id.is_empty()).then(|| Dedup::new(spec.dedup_for_ms)),
            pieces: BTreeMap::new(),
            grids,
            next_cut_ms: i64::MIN,
            closed_to_ms: i64::MIN,
            other_times: other.collect(),
            ucc: schema.columns.iter().position(|c| c.kind == ColumnType::Ucc),
        }
    }

    /// Whether a row changes windows that may be closed.
    fn is_past(&self, event_ms: i64, prepared: &Prepared, row: usize) -> bool {
        event_ms < self.closed_to_ms
            || self.other_times.iter().any(|(lane, _, closed_to)| {
                let pane = prepared.rows.panes[*lane][row];
                pane != NO_PANE && i64::from(pane) < *closed_to
            })
    }

    /// Where the next cut is, now that the watermark's windows are closed; and what can be forgotten.
    fn settle(&mut self, zone: &Zone, spec: &FeedSpec) {
        let watermark = self.partitions.watermark();
        if watermark == i64::MIN {
            return;
        }
        let (mut next, mut closed) = (i64::MAX, i64::MIN);
        for (every, origin, delay) in &self.grids {
            let end = next_end(zone.to_local(watermark - delay), *every, *origin);
            next = next.min(zone.to_utc(end) + delay);
            closed = closed.max(zone.to_utc(end - every));
        }
        (self.next_cut_ms, self.closed_to_ms) = (next, self.closed_to_ms.max(closed));
        let forget = watermark.saturating_sub(spec.dedup_for_ms);
        if let Some(dedup) = &mut self.dedup {
            dedup.forget(forget);
            self.pieces.retain(|_, p| p.last_ms >= forget);
        }
    }
}

impl Versions {
    fn of(schema: &FeedSchema, prepared: &Prepared) -> Self {
        let column = |c: Option<usize>| c.map(|c| prepared.rows.batch.column(c).clone());
        let number = column(schema.version)
            .and_then(|c| c.as_any().downcast_ref::<arrow::array::Int64Array>().cloned());
        let operation = column(schema.op)
            .and_then(|c| c.as_any().downcast_ref::<arrow::array::StringArray>().cloned());
        Self { number, operation }
    }

    fn of_row(&self, row: usize, place: (u64, u32), event_ms: i64) -> Version {
        let number = self.number.as_ref().filter(|n| n.is_valid(row)).map_or(0, |n| n.value(row));
        let operation =
            match self.operation.as_ref().filter(|o| o.is_valid(row)).map(|o| o.value(row)) {
                Some("withdraw") => Operation::Withdraw,
                Some("correct") => Operation::Correct,
                _ => Operation::Insert,
            };
        Version { number, operation, place, event_ms }
    }
}

/// Hash of the content of a row of the arrival in work or of a piece that is kept; 0 where it is neither.
fn content_of(
    works: &[Work],
    pieces: &BTreeMap<u64, Arc<Piece>>,
    (piece, row): (u64, u32),
) -> u128 {
    let rows = works.iter().find(|w| w.piece == piece).map(|w| &w.prepared.rows);
    let rows = rows.or_else(|| pieces.get(&piece).map(|p| &p.rows));
    rows.map_or(0, |rows| content_hash(&rows.batch, row as usize))
}

/// Hash of a row's whole content: what decides between equal versions.
fn content_hash(batch: &arrow::array::RecordBatch, row: usize) -> u128 {
    let one = batch.slice(row, 1);
    let mut hash = vec![0u128];
    for column in one.columns() {
        combine(&mut hash, &hash_column(column));
    }
    hash[0]
}

/// A row of a columnar source as one line of NDJSON.
fn row_json(schema: &FeedSchema, prepared: &Prepared, row: usize) -> Vec<u8> {
    let values = schema
        .columns
        .iter()
        .enumerate()
        .map(|(i, c)| (c.name.clone(), value_at(prepared.rows.batch.column(i), row)))
        .collect();
    let mut line = serde_json::Value::Object(values).to_string().into_bytes();
    line.push(b'\n');
    line
}

/// How long rows of a feed are kept behind its watermark: own windows, lateness, and what resolves late.
fn rows_keep(feed: usize, spec: &FeedSpec, plan: &Plan) -> i64 {
    let of_rule = |r: &RulePlan| {
        let every = match r.window {
            Some(WindowSpec::Sliding { every_ms, .. }) => every_ms,
            _ => HOUR_MS,
        };
        let second_tier =
            r.aggregates.iter().any(|a| matches!(a.read, crate::rule::plan::Read::FromRows(_)));
        let lookback = if second_tier { r.lookback_ms } else { 0 };
        let width = r.window.map_or(0, WindowSpec::width_max);
        width + 2 * every + r.alert.keep_ms + lookback + r.delay_ms
    };
    let rules =
        plan.rules.iter().filter(|r| r.feeds.contains(&feed)).map(of_rule).max().unwrap_or(0);
    (rules + spec.allowed_lateness_ms + DAY_MS).max(spec.dedup_for_ms)
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Pipeline({} feeds, {} rules, {} shards)",
            self.feeds.len(),
            self.plan.rules.len(),
            self.shards.len()
        )
    }
}
