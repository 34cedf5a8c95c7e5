//! The walk as one synchronous function: admit, add, close, evaluate, update.
//!
//! In: arrivals — batches with the order in which their rows came — idle decisions and the end of the input. Out: what was
//! refused, new revisions of alerts, final signals. Live run, replay, rule tests and explanations all call this and nothing
//! else, so they give one answer. Rows are added piece by piece; a piece ends where the watermark passes a window's end,
//! so that batching never shows, and at every row that changes the past, which is a step of its own.
//! Not here: what is decided about a row (`admit`), what the shards do with it (`shards`, `shard`); decoding, disk, network,
//! clocks — "now" is the arrival time that comes with the rows.

use std::sync::Arc;

use super::{
    admit::{Feed, Verdict},
    correct::{Correction, alone},
    due::{behind, due, longest_ms, note_closed},
    incoming::Incoming,
    runs::RunSize,
    sequence::Move,
    shards::Shards,
    tables::Tables,
};
use crate::{
    feed::{dedup::Version, spec::FeedSpec, watermark::Partitions},
    model::{diagnostic::Diagnostic, signal::Cause, time::Zone},
    pane::{
        kept::{Found, Piece},
        prepare::{Prepared, Preparer},
        store::StoreSize,
    },
    rule::{
        compile::{FeedContext, compile},
        file::RuleFile,
        plan::Plan,
    },
};

pub use super::step::{Arrival, FeedCounts, Step};

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

/// The engine's whole state and the walk through it.
pub struct Pipeline {
    pub(super) plan: Arc<Plan>,
    specs: Arc<[FeedSpec]>,
    pub(super) options: Options,
    pub(super) feeds: Vec<Feed>,
    pub(super) preparers: Vec<Preparer>,
    pub(super) shards: Shards,
    next_arrival: u64,
    pub(super) next_piece: u64,
    /// Who looks up what feeds say as tables.
    pub(super) tables: Tables,
    /// The last row that was looked at: the cause of what a watermark closes.
    last: (u64, i64),
    /// Whether absence in a feed is waited for.
    awaited: Vec<bool>,
    /// How far such feeds came since rows were last added.
    moves: Vec<Move>,
    step: Step,
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
            .map(|s| FeedContext { schema: s.schema.clone(), lateness_ms: s.correctable_ms() })
            .collect();
        Ok(Self::new(specs, compile(rules, &contexts, &options.zone)?, options))
    }

    /// A pipeline of these feeds and this plan, which was compiled for them in the same order.
    #[must_use]
    pub fn new(specs: Vec<FeedSpec>, plan: Plan, options: Options) -> Self {
        let plan = Arc::new(plan);
        let feeds = specs.iter().enumerate();
        let feeds = feeds.map(|(i, s)| Feed::new(i, s, &options.zone, &plan)).collect();
        let for_good: Vec<bool> = specs.iter().map(FeedSpec::closes_for_good).collect();
        let tables = Tables::new(&plan.panes);
        let mut pipeline = Self {
            feeds,
            preparers: Vec::new(),
            shards: Shards::new(plan.clone(), &options, &for_good),
            plan,
            specs: specs.into(),
            next_arrival: 1,
            next_piece: 0,
            tables,
            last: (0, i64::MIN),
            awaited: vec![false; for_good.len()],
            moves: Vec::new(),
            step: Step::default(),
            options,
        };
        for sequence in pipeline.plan.rules.iter().filter_map(|r| r.sequence.as_ref()) {
            if let Some(awaited) = sequence.awaited {
                pipeline.awaited[awaited.feed] = true;
            }
        }
        pipeline.preparers =
            (0..pipeline.specs.len()).map(|feed| pipeline.preparer(feed)).collect();
        pipeline
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
        self.step = Step::new(self.feeds.len());
        let mut batches: Vec<Incoming> = batches.into_iter().map(|p| self.incoming(p)).collect();
        let one_by_one: Vec<(u32, u32)>;
        let order = match order {
            Some(order) => order,
            None => {
                one_by_one = batch_after_batch(&batches);
                &one_by_one
            }
        };
        let mut arrival = first;
        for (i, (b, row)) in order.iter().enumerate() {
            let at = arrived_ms.get(i).or(arrived_ms.last()).copied().unwrap_or(i64::MAX);
            self.admit(&mut batches, *b as usize, *row, (arrival, at));
            arrival += 1;
        }
        self.next_arrival = self.next_arrival.max(arrival);
        self.add(&mut batches);
        self.take_step()
    }

    /// A partition was silent for the feed's `idle_after`, or its file ended.
    pub fn idle(&mut self, feed: usize, partition: &str, arrival: u64, at_ms: i64) -> Step {
        self.step = Step::new(self.feeds.len());
        self.last = (arrival, at_ms);
        let partitions = &mut self.feeds[feed].partitions;
        let partition = partitions.position(&partition.into());
        partitions.idle(partition);
        self.close((arrival, at_ms));
        self.take_step()
    }

    /// Every watermark moves to `to_ms`: all feeds say that nothing more will come from before.
    pub fn advance(&mut self, to_ms: i64) -> Step {
        self.move_to(to_ms, Partitions::advance)
    }

    /// End of the input at `to_ms`: windows close, but what has not come yet is not taken for absent.
    pub fn end(&mut self, to_ms: i64) -> Step {
        self.move_to(to_ms, Partitions::end)
    }

    fn move_to(&mut self, to_ms: i64, by: fn(&mut Partitions, i64) -> bool) -> Step {
        self.step = Step::new(self.feeds.len());
        for feed in &mut self.feeds {
            by(&mut feed.partitions, to_ms);
        }
        self.close((self.next_arrival, self.last.1.max(to_ms)));
        self.take_step()
    }

    /// Hands over everything: signals of open windows, evidence of alerts that still fire.
    pub fn finish(&mut self) -> Step {
        self.step = Step::new(self.feeds.len());
        self.shards.look_open();
        self.shards.collect(&mut self.step);
        self.shards.finish();
        self.take_step()
    }

    /// Decides about one row, and steps where it ends a piece.
    fn admit(&mut self, batches: &mut [Incoming], b: usize, row: u32, arrived: (u64, i64)) {
        self.renew(batches, b, row);
        let event_ms = batches[b].look(row, arrived);
        self.last = arrived;
        let (f, (arrival, at_ms)) = (batches[b].feed(), arrived);
        let times = (event_ms, at_ms);
        let cause = Cause { at_ms: event_ms, arrival, arrived_ms: at_ms };
        let verdict = self.feeds[f].judge(batches, (b, row), times, &mut self.step.counts[f]);
        if let Verdict::Dead(letter) = verdict {
            batches[b].refuse(row);
            let partition = batches[b].prepared.partition.clone();
            return self.step.dead.push((f, partition, letter));
        }
        // Also a version that does not count says that the feed was there.
        let day = self.feeds[f].earlier_day(event_ms);
        let earlier = day.filter(|day| *day < self.shards.history_from(f));
        let known = matches!(verdict, Verdict::Known);
        let counts = matches!(verdict, Verdict::Counts | Verdict::Changes { withdrawn: false, .. });
        match verdict {
            Verdict::Dead(_) | Verdict::Known | Verdict::Tombstone => batches[b].refuse(row),
            Verdict::Counts => {}
            Verdict::Changes { old, withdrawn } => {
                self.correct(batches, (b, row), old, withdrawn, cause);
            }
        }
        for old in self.feeds[f].left_over(&batches[b], row) {
            self.take_off(batches, f, &old, cause);
        }
        if counts {
            self.came(&batches[b].prepared.clone(), row);
        }
        self.rejudge(batches, cause);
        if let Some(day) = earlier {
            self.add(batches);
            self.shards.history_moved(f, day, cause);
        }
        if known {
            return;
        }
        let passed = self.feeds[f].observe(batches[b].partition, event_ms);
        if self.awaited[f] {
            let watermark_ms = self.feeds[f].partitions.promised();
            let known = |m: &&Move| m.feed == f && m.watermark_ms == watermark_ms;
            if self.moves.last().filter(known).is_none() {
                self.moves.push(Move { feed: f, watermark_ms, arrival, arrived_ms: at_ms });
            }
        }
        if passed {
            self.add(batches);
            self.close(arrived);
        }
    }

    /// Adds the rows looked at since the last time.
    pub(super) fn add(&mut self, batches: &mut [Incoming]) {
        let mut pieces = Vec::new();
        for batch in batches.iter_mut().filter(|b| b.has_rows()) {
            pieces.push((self.cut(batch), batch.prepared.clone()));
        }
        self.tables.settled();
        let moves = std::mem::take(&mut self.moves);
        if pieces.is_empty() && moves.is_empty() {
            return;
        }
        self.shards.add(&pieces, &moves);
    }

    /// Closes every window that the watermarks have passed; the shards evaluate them and update alerts.
    fn close(&mut self, (arrival, arrived_ms): (u64, i64)) {
        let cause = Cause { at_ms: 0, arrival, arrived_ms };
        let watermarks: Vec<i64> = self.feeds.iter().map(|f| f.partitions.watermark()).collect();
        let due = due(&self.plan, &self.feeds, &self.options.zone);
        let behind = behind(&self.plan, &self.feeds, &self.options.zone);
        let promised: Vec<i64> = self.feeds.iter().map(|f| f.partitions.promised()).collect();
        self.shards.close(&due, cause, (&watermarks, &promised), &behind);
        note_closed(&self.plan, &due, &mut self.feeds);
        self.feeds.iter_mut().for_each(Feed::settle);
        self.shards.collect(&mut self.step);
    }

    /// A row that changes the past, as a step of its own.
    fn correct(
        &mut self,
        batches: &mut [Incoming],
        (b, row): (usize, u32),
        old: Option<Version>,
        withdrawn: bool,
        cause: Cause,
    ) {
        // What came before goes in first; the row itself is a piece alone.
        batches[b].end_before(row);
        self.add(batches);
        let batch = &mut batches[b];
        let f = batch.feed();
        batch.only(row);
        self.feeds[f].placed(batch, row);
        let (mut new, mut new_alone) = (None, None);
        if withdrawn {
            // Its piece is kept, so that a copy of it is known as one.
            batch.refuse(row);
            self.cut(batch);
        } else {
            new_alone = Some(alone(&mut self.preparers, &batch.prepared.rows, row));
            new = Some((self.cut(batch), batch.prepared.clone()));
        }
        let old = old.and_then(|version| self.counted(f, &version));
        self.shards.correct(f, &Correction { old, new, new_alone, cause });
    }

    /// A row that counts no longer, although none takes its place.
    fn take_off(&mut self, batches: &mut [Incoming], f: usize, old: &Version, cause: Cause) {
        self.add(batches);
        let old = self.counted(f, old);
        self.shards.correct(f, &Correction { old, new: None, new_alone: None, cause });
    }

    /// A row that was counted, and the same prepared alone.
    fn counted(&mut self, f: usize, version: &Version) -> Option<(Found, Prepared)> {
        let found = self.feeds[f].find(version)?;
        self.tables.went(&found);
        let alone = alone(&mut self.preparers, &found.piece.rows, found.row);
        Some((found, alone))
    }

    fn incoming(&mut self, prepared: Arc<Prepared>) -> Incoming {
        let feed = prepared.rows.feed;
        let partition = self.feeds[feed].partitions.position(&prepared.partition);
        self.next_piece += 1;
        Incoming::new(prepared, &self.specs[feed].schema, partition, self.next_piece)
    }

    fn cut(&mut self, batch: &mut Incoming) -> Arc<Piece> {
        self.next_piece += 1;
        let piece = Arc::new(batch.cut(self.next_piece));
        self.feeds[batch.feed()].keep(&piece);
        self.tables.placed(&self.plan.panes.feeds[batch.feed()], &piece);
        piece
    }

    fn take_step(&mut self) -> Step {
        self.shards.collect(&mut self.step);
        self.step.sort();
        std::mem::take(&mut self.step)
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
            self.plan.schemas[feed].clone(),
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
        let watermarks = self.feeds.iter().map(|f| f.partitions.watermark());
        watermarks.map(|w| Some(w).filter(|w| *w != i64::MIN)).collect()
    }

    /// How long after a row the last window that holds it is closed, by any rule.
    #[must_use]
    pub fn longest_ms(&self) -> i64 {
        longest_ms(&self.plan)
    }

    /// What the shards hold.
    #[must_use]
    pub fn sizes(&self) -> Vec<StoreSize> {
        self.shards.sizes()
    }

    /// How many records each feed remembers to tell copies and versions, and the bytes that takes beside their rows.
    #[must_use]
    pub fn remembered(&self) -> Vec<(usize, usize)> {
        self.feeds.iter().map(Feed::remembered).collect()
    }

    /// Evaluations that failed and keys whose compares had no full history, by rule.
    #[must_use]
    pub fn troubles(&self) -> Vec<(u64, u64)> {
        self.shards.troubles()
    }

    /// Keys evaluated in closed windows, by rule.
    #[must_use]
    pub fn evaluations(&self) -> Vec<u64> {
        self.shards.evaluations()
    }

    /// What sequence rules hold, by rule.
    #[must_use]
    pub fn run_sizes(&self) -> Vec<RunSize> {
        self.shards.run_sizes()
    }

    /// Runs of sequence rules, by rule, that only their awaited feed holds back: its silence is not absence, so they wait
    /// until it goes on.
    #[must_use]
    pub fn held_runs(&self) -> Vec<usize> {
        let reached = |f: &usize| self.feeds[*f].partitions.watermark();
        let rules = self.plan.rules.iter();
        let reached: Vec<i64> =
            rules.map(|r| r.feeds.iter().map(reached).max().unwrap_or(i64::MIN)).collect();
        self.shards.held_runs(&reached)
    }

    /// How many partitions of each feed hold nothing back, because they are silent.
    #[must_use]
    pub fn idle_partitions(&self) -> Vec<usize> {
        self.feeds.iter().map(|f| f.partitions.idle_count()).collect()
    }

    pub(super) fn shards_mut(&mut self) -> &mut Shards {
        &mut self.shards
    }
}

/// Every row of every batch, one batch after the other.
fn batch_after_batch(batches: &[Incoming]) -> Vec<(u32, u32)> {
    let rows = |b: &Incoming| b.prepared.rows.event_ms.len() as u32;
    let batches = batches.iter().enumerate();
    batches.flat_map(|(b, batch)| (0..rows(batch)).map(move |row| (b as u32, row))).collect()
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (feeds, rules, shards) = (self.feeds.len(), self.plan.rules.len(), self.shards.len());
        write!(f, "Pipeline({feeds} feeds, {rules} rules, {shards} shards)")
    }
}
