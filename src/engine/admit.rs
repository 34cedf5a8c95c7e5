//! Admit: one feed in event time, and what it says of each row.
//!
//! In: the rows of the feed one by one, in the order of their arrival. Out: a [`Verdict`] on each, and when the watermark
//! passes the end of a window. A row is too late by its own partition, a duplicate by its record's versions; it changes
//! the past when it replaces a row that was counted, or falls into a window that may be closed.

use std::{collections::BTreeMap, sync::Arc};

use arrow::array::Array;

use super::{
    incoming::{Incoming, content_hash},
    step::FeedCounts,
};
use crate::{
    feed::{
        dedup::{Decision, Dedup, Operation, Version},
        parts::{Parts, records},
        spec::FeedSpec,
        watermark::Partitions,
    },
    model::{
        batch::{DeadClass, DeadLetter},
        schema::{ColumnType, FeedSchema},
        time::{DAY_MS, HOUR_MS, Zone, format_span},
        window::{PaneGrid, Step, WindowSpec},
    },
    pane::{
        kept::{Found, Piece},
        prepare::{NO_PANE, Prepared},
    },
    rule::plan::{Plan, Read, RulePlan},
};

/// Known records are forgotten when they are this part of all that are remembered, or more.
const FORGET_PART: i64 = 16;

/// One feed in event time.
pub(super) struct Feed {
    pub(super) partitions: Partitions,
    spec: FeedSpec,
    zone: Zone,
    /// Rows are kept for so long behind the watermark.
    pub(super) rows_keep_ms: i64,
    /// See [`FeedSpec::kept_ms`].
    kept_ms: i64,
    records: Records,
    /// Whether its rows look tables up that other feeds make.
    looks: bool,
    /// Pieces whose rows a later version may replace, by number.
    pieces: BTreeMap<u64, Arc<Piece>>,
    /// Pieces are looked through again when the watermark has come this far.
    next_forget_ms: i64,
    /// (every, origin, delay) of the windows that read the feed.
    grids: Vec<(Step, i64)>,
    /// Instant of the next window end that the watermark will pass.
    next_cut_ms: i64,
    /// Rows before this instant change the past.
    closed_to_ms: i64,
    /// Lanes on other time columns: (lane, first pane that is not closed).
    other_times: Vec<(usize, i32)>,
    /// The earliest event so far, of whatever version.
    oldest_ms: i64,
    /// First column of unified social credit codes.
    ucc: Option<usize>,
}

/// The records that are known.
enum Records {
    /// Every row is a record of its own.
    None,
    /// Of one row each.
    Single(Dedup),
    /// Of several rows each.
    Several(Parts),
}

/// What becomes of a row.
pub(super) enum Verdict {
    /// Too late, or dated too far ahead: it does not move the watermark either.
    Dead(DeadLetter),
    /// Its content is known, or a higher version of it.
    Known,
    /// It counts, in windows that are open.
    Counts,
    /// The tombstone of a record that counts nowhere.
    Tombstone,
    /// It changes the past.
    Changes {
        /// The version that no longer counts.
        old: Option<Version>,
        /// Whether it takes the record back, so that nothing counts instead.
        withdrawn: bool,
    },
}

impl Feed {
    pub(super) fn new(number: usize, spec: &FeedSpec, zone: &Zone, plan: &Plan) -> Self {
        let schema = &spec.schema;
        let lanes = &plan.panes.feeds[number].lanes;
        let other = lanes.iter().enumerate().filter(|(_, l)| l.time != schema.event_time);
        Self {
            partitions: Partitions::new(spec.out_of_order_ms),
            rows_keep_ms: rows_keep(number, spec, plan),
            kept_ms: spec.kept_ms(),
            records: Records::of(spec),
            looks: !plan.panes.feeds[number].looks.is_empty(),
            pieces: BTreeMap::new(),
            next_forget_ms: i64::MIN,
            grids: grids(number, plan),
            next_cut_ms: i64::MIN,
            closed_to_ms: i64::MIN,
            other_times: other.map(|(i, _)| (i, i32::MIN)).collect(),
            oldest_ms: i64::MAX,
            ucc: schema.columns.iter().position(|c| c.kind == ColumnType::Ucc),
            spec: spec.clone(),
            zone: zone.clone(),
        }
    }

    /// Decides about a row of batch `b` that arrived at `at_ms`.
    pub(super) fn judge(
        &mut self,
        batches: &[Incoming],
        (b, row): (usize, u32),
        (event_ms, at_ms): (i64, i64),
        counts: &mut FeedCounts,
    ) -> Verdict {
        let batch = &batches[b];
        if event_ms > at_ms.saturating_add(self.spec.max_skew_ms) {
            counts.future += 1;
            let limit = format!(
                "more than {} ahead of its arrival at {}",
                format_span(self.spec.max_skew_ms),
                self.zone.format(at_ms)
            );
            return Verdict::Dead(self.letter(batch, row, DeadClass::Future, &limit));
        }
        if let Some(limit) = self.too_late(event_ms, batch.partition) {
            // A file that is sent again is no news, however late.
            if self.is_copy(batches, b, row) {
                counts.duplicates += 1;
                return Verdict::Known;
            }
            counts.late += 1;
            return Verdict::Dead(self.letter(batch, row, DeadClass::Late, &limit));
        }
        let mut old = None;
        let mut withdrawn = false;
        if !matches!(self.records, Records::None) {
            let version = batch.version(row);
            withdrawn = version.operation == Operation::Withdraw;
            let columns = self.spec.schema.own;
            let content = |place| content_of(batches, &self.pieces, columns, place);
            let (decision, conflict) = self.records.decide(batch, row, version, content);
            counts.conflicts += u64::from(conflict);
            match decision {
                Decision::New => {}
                Decision::Replace(replaced) => {
                    counts.corrections += 1;
                    // A withdrawn version was taken off when its tombstone came.
                    old = Some(replaced).filter(|o| o.operation != Operation::Withdraw);
                }
                Decision::Duplicate | Decision::Older => {
                    counts.duplicates += 1;
                    return Verdict::Known;
                }
            }
        }
        counts.accepted += 1;
        let column = self.ucc.map(|ucc| batch.prepared.rows.batch.column(ucc));
        counts.unattributed += u64::from(column.is_some_and(|c| c.is_null(row as usize)));
        match (old, withdrawn) {
            (None, true) => Verdict::Tombstone,
            (None, false) if !self.is_past(event_ms, &batch.prepared, row as usize) => {
                Verdict::Counts
            }
            (old, withdrawn) => Verdict::Changes { old, withdrawn },
        }
    }

    /// Rows of lower versions that still count although their record has none of them any more; nothing but for the last of
    /// the rows of a record that stand together.
    pub(super) fn left_over(&mut self, batch: &Incoming, row: u32) -> Vec<Version> {
        match (&mut self.records, batch.record(row)) {
            (Records::Several(parts), Some((record, run))) if run.end == row as usize + 1 => {
                parts.left_over(record)
            }
            _ => Vec::new(),
        }
    }

    /// Moves the watermark by a row; whether it passed the end of a window.
    pub(super) fn observe(&mut self, partition: usize, event_ms: i64) -> bool {
        self.partitions.observe(partition, event_ms)
            && self.partitions.watermark() >= self.next_cut_ms
    }

    /// Whether a record of this time can still be judged again.
    pub(super) fn reaches(&self, event_ms: i64) -> bool {
        event_ms >= self.partitions.watermark().saturating_sub(self.kept_ms)
    }

    /// A piece whose rows count or may be replaced.
    pub(super) fn piece(&self, number: u64) -> Option<Arc<Piece>> {
        self.pieces.get(&number).cloned()
    }

    /// The only row of a piece counts from now on instead of the same row elsewhere.
    pub(super) fn moved(&mut self, piece: &Piece) {
        let place = (piece.number, piece.from);
        let Some(id) = piece.rows.ids.get(piece.from as usize).copied() else { return };
        match &mut self.records {
            Records::None => {}
            Records::Single(dedup) => dedup.placed(id, place),
            Records::Several(parts) => {
                let records = records(&self.spec.schema, &piece.rows.batch);
                let record = records.and_then(|r| r.get(piece.from as usize).copied());
                record.into_iter().for_each(|record| parts.placed(record, id, place));
            }
        }
    }

    /// Keeps a piece whose rows a later version may replace, or a table may say something else of.
    pub(super) fn keep(&mut self, piece: &Arc<Piece>) {
        if self.looks || !matches!(self.records, Records::None) {
            self.pieces.insert(piece.number, piece.clone());
        }
    }

    /// Where the row of a version is kept.
    pub(super) fn find(&self, version: &Version) -> Option<Found> {
        let (piece, row) = version.place;
        Some(Found { piece: self.pieces.get(&piece)?.clone(), row })
    }

    /// Where the row of the version that was last decided about lies: what came before it may have begun a new piece.
    pub(super) fn placed(&mut self, batch: &Incoming, row: u32) {
        let place = batch.version(row).place;
        match (&mut self.records, batch.prepared.rows.ids.get(row as usize), batch.record(row)) {
            (Records::Single(dedup), Some(id), _) => dedup.placed(*id, place),
            (Records::Several(parts), Some(id), Some((record, _))) => {
                parts.placed(record, *id, place);
            }
            _ => {}
        }
    }

    /// Local day in which the feed's history begins by an event that is earlier than all before it.
    pub(super) fn earlier_day(&mut self, event_ms: i64) -> Option<i64> {
        if event_ms >= self.oldest_ms {
            return None;
        }
        self.oldest_ms = event_ms;
        let local = self.zone.to_local(self.spec.history_from_ms.unwrap_or(event_ms));
        Some(local.div_euclid(DAY_MS) * DAY_MS)
    }

    /// How many records are known, and the bytes they take beside their rows.
    pub(super) fn remembered(&self) -> (usize, usize) {
        match &self.records {
            Records::None => (0, 0),
            Records::Single(dedup) => (dedup.len(), dedup.bytes()),
            Records::Several(parts) => (parts.len(), parts.bytes()),
        }
    }

    /// See [`FeedSpec::correctable_ms`].
    pub(super) fn correctable_ms(&self) -> i64 {
        self.spec.correctable_ms()
    }

    /// Windows on a lane are closed up to a local time: rows before it change the past.
    pub(super) fn close_lane(&mut self, lane: usize, grid: PaneGrid, to: i64) {
        match self.other_times.iter_mut().find(|(l, _)| *l == lane) {
            Some((_, open)) => *open = (*open).max(grid.pane(to)),
            None => self.closed_to_ms = self.closed_to_ms.max(self.zone.to_utc(to)),
        }
    }

    /// Where the next cut is, now that the watermark's windows are closed; and what can be forgotten.
    pub(super) fn settle(&mut self) {
        let watermark = self.partitions.watermark();
        if watermark == i64::MIN {
            return;
        }
        let end_of = |(step, delay): &(Step, i64)| {
            let end = step.next_end(self.zone.to_local(watermark - delay));
            self.zone.to_utc(end) + delay
        };
        self.next_cut_ms = self.grids.iter().map(end_of).min().unwrap_or(i64::MAX);
        if watermark < self.next_forget_ms {
            return;
        }
        let forget = watermark.saturating_sub(self.spec.dedup_for_ms);
        match &mut self.records {
            Records::None if self.looks => {}
            Records::None => return,
            Records::Single(dedup) => dedup.forget(forget),
            Records::Several(parts) => parts.forget(forget),
        }
        // What can be corrected can be judged again.
        let kept = if self.looks { watermark.saturating_sub(self.kept_ms) } else { forget };
        let forget = forget.min(kept);
        self.pieces.retain(|_, p| p.last_ms >= forget);
        self.next_forget_ms = watermark.saturating_add(self.spec.dedup_for_ms / FORGET_PART);
    }

    /// Whether the row says what is known already.
    fn is_copy(&self, batches: &[Incoming], b: usize, row: u32) -> bool {
        let batch = &batches[b];
        let columns = self.spec.schema.own;
        let content = |place| content_of(batches, &self.pieces, columns, place);
        let Some(id) = batch.prepared.rows.ids.get(row as usize).copied() else { return false };
        let version = batch.version(row);
        match (&self.records, batch.record(row)) {
            (Records::Single(dedup), _) => dedup.is_copy(id, version, content),
            (Records::Several(parts), Some((record, _))) => {
                parts.is_copy(record, id, version, content)
            }
            _ => false,
        }
    }

    /// Whether a row changes windows that may be closed.
    fn is_past(&self, event_ms: i64, prepared: &Prepared, row: usize) -> bool {
        event_ms < self.closed_to_ms
            || self.other_times.iter().any(|(lane, open)| {
                let pane = prepared.rows.panes[*lane][row];
                pane != NO_PANE && pane < *open
            })
    }

    /// What a row is too far behind, if it is: the watermark of its partition, or that of the feed, for a partition that is
    /// new or was silent for long may be far behind what the feed still has.
    fn too_late(&self, event_ms: i64, partition: usize) -> Option<String> {
        let (own, all) = (self.partitions.own(partition), self.partitions.watermark());
        let (late, kept) = (self.spec.allowed_lateness_ms, self.kept_ms);
        if event_ms < own.saturating_sub(late) {
            let (late, own) = (format_span(late), self.zone.format(own));
            Some(format!("more than {late} behind the watermark {own} of its partition"))
        } else if event_ms < all.saturating_sub(kept) {
            let (kept, all) = (format_span(kept), self.zone.format(all));
            Some(format!("more than {kept} behind the watermark {all} of all partitions"))
        } else {
            None
        }
    }

    /// Why a row is refused, in the office's words.
    fn letter(&self, batch: &Incoming, row: u32, class: DeadClass, limit: &str) -> DeadLetter {
        let event = self.zone.format(batch.prepared.rows.event_ms[row as usize]);
        let message = format!("feed {:?}: event time {event} is {limit}", self.spec.name());
        let line = batch.prepared.lines.get(row as usize).copied().unwrap_or(0);
        DeadLetter { line, class, message, raw: batch.raw(&self.spec.schema, row) }
    }
}

impl Records {
    fn of(spec: &FeedSpec) -> Self {
        let FeedSchema { record_id, parts, .. } = &*spec.schema;
        if record_id.is_empty() {
            Self::None
        } else if parts.is_empty() || record_id.iter().all(|c| parts.contains(c)) {
            Self::Single(Dedup::new(spec.dedup_for_ms))
        } else {
            Self::Several(Parts::new(spec.dedup_for_ms))
        }
    }

    fn decide(
        &mut self,
        batch: &Incoming,
        row: u32,
        version: Version,
        content: impl Fn((u64, u32)) -> u128,
    ) -> (Decision, bool) {
        let ids = &batch.prepared.rows.ids;
        let id = ids[row as usize];
        match (self, batch.record(row)) {
            (Self::Single(dedup), _) => dedup.decide(id, version, content),
            (Self::Several(parts), Some((record, run))) => {
                parts.decide(record, id, version, &ids[run], content)
            }
            _ => (Decision::New, false),
        }
    }
}

/// Hash of the content of a row of the arrival in work or of a piece that is kept; 0 where it is neither.
fn content_of(
    batches: &[Incoming],
    pieces: &BTreeMap<u64, Arc<Piece>>,
    columns: usize,
    (piece, row): (u64, u32),
) -> u128 {
    let rows = batches.iter().find(|b| b.piece == piece).map(|b| &b.prepared.rows);
    let rows = rows.or_else(|| pieces.get(&piece).map(|p| &p.rows));
    rows.map_or(0, |rows| content_hash(&rows.batch, columns, row as usize))
}

/// Where the windows that read a feed end.
fn grids(feed: usize, plan: &Plan) -> Vec<(Step, i64)> {
    let span = |every_ms: i64| Step::Span { every_ms, origin_ms: 0 };
    let mut out = Vec::new();
    for rule in plan.rules.iter().filter(|r| r.feeds.contains(&feed)) {
        let grid = match rule.window {
            // Sessions end where their rows end; hours are near enough to look.
            Some(window) => (window.step().unwrap_or(span(HOUR_MS)), rule.wait_ms),
            None => (span(DAY_MS), 0),
        };
        if !out.contains(&grid) {
            out.push(grid);
        }
    }
    if out.is_empty() {
        out.push((span(DAY_MS), 0));
    }
    out
}

/// How long rows of a feed are kept behind its watermark: own windows, lateness, and what resolves late.
fn rows_keep(feed: usize, spec: &FeedSpec, plan: &Plan) -> i64 {
    let of_rule = |r: &RulePlan| {
        let every = r.step().map_or(HOUR_MS, Step::longest_ms);
        let second_tier = r.aggregates.iter().any(|a| matches!(a.read, Read::FromRows(_)));
        let lookback = if second_tier { r.lookback_ms } else { 0 };
        let width = r.window.map_or(0, WindowSpec::width_max);
        width + 2 * every + r.alert.keep_ms + lookback + r.delay_ms
    };
    let rules =
        plan.rules.iter().filter(|r| r.feeds.contains(&feed)).map(of_rule).max().unwrap_or(0);
    rules + spec.correctable_ms() + DAY_MS
}
