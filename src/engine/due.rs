//! Due: up to when windows are complete, and what can be forgotten behind that.
//!
//! A rule goes by the slowest of its feeds, and on without those that are idle. So what it needs of a feed is not a matter
//! of that feed's own watermark.

use super::{admit::Feed, correct::slices_of};
use crate::{
    feed::watermark::Partitions,
    model::{
        time::{DAY_MS, Zone},
        window::{Step, WindowSpec},
    },
    rule::plan::{Beside, Plan, RulePlan},
};

/// Window rules whose feeds have rows, and the local time up to which their windows are complete.
pub(super) fn due(plan: &Plan, feeds: &[Feed], zone: &Zone) -> Vec<(usize, i64)> {
    let due = |(r, rule): (usize, &RulePlan)| {
        rule.window?;
        let watermark = reached(rule, feeds)?;
        Some((r, zone.to_local(watermark.saturating_sub(rule.wait_ms))))
    };
    plan.rules.iter().enumerate().filter_map(due).collect()
}

/// How far behind everything is that can be forgotten; `None`: nothing yet.
#[derive(Debug)]
pub(super) struct Behind {
    /// By slice: the local time that every rule which reads it has reached.
    pub(super) slices: Vec<Option<i64>>,
    /// By feed: rows before this instant are not needed any more.
    pub(super) rows: Vec<Option<i64>>,
    /// By rule: windows that end at this instant or earlier are final.
    pub(super) finals: Vec<Option<i64>>,
}

/// What can be forgotten now.
pub(super) fn behind(plan: &Plan, feeds: &[Feed], zone: &Zone) -> Behind {
    let reached: Vec<Option<i64>> = plan.rules.iter().map(|rule| reached(rule, feeds)).collect();
    let known = |f: usize| Some(feeds[f].partitions.watermark()).filter(|w| *w != i64::MIN);
    let mut slices = vec![Some(i64::MAX / 2); plan.panes.slices.len()];
    let mut rows: Vec<Option<i64>> = (0..feeds.len()).map(known).collect();
    for (rule, reached) in plan.rules.iter().zip(&reached).filter(|(rule, _)| rule.window.is_some())
    {
        let to = reached.map(|ms| zone.to_local(ms - rule.delay_ms));
        let beside = rule.beside.iter().map(|beside| beside.slice);
        slices_of(rule).into_iter().chain(beside).for_each(|s| slices[s] = slices[s].min(to));
        rule.feeds.iter().for_each(|f| rows[*f] = rows[*f].min(*reached));
    }
    rows.iter_mut().zip(feeds).for_each(|(ms, f)| *ms = ms.map(|ms| ms - f.rows_keep_ms));
    let finals = plan.rules.iter().map(|rule| {
        let of_feed = |f: &usize| Some(known(*f)? - feeds[*f].correctable_ms() - rule.delay_ms);
        rule.feeds.iter().map(of_feed).min().flatten()
    });
    Behind { slices, rows, finals: finals.collect() }
}

/// Tells feeds up to when the windows that read them are closed: also a feed that is behind, because a rule goes on without
/// it while it is idle or unknown.
pub(super) fn note_closed(plan: &Plan, due: &[(usize, i64)], feeds: &mut [Feed]) {
    for (r, to) in due {
        let closed = plan.rules[*r].step().map_or(*to, |step| step.last_end(*to));
        let rule = &plan.rules[*r];
        let own = slices_of(rule).into_iter().map(|slice| Beside { slice, after_ms: 0 });
        for Beside { slice, after_ms } in own.chain(rule.beside.iter().copied()) {
            let slice = &plan.panes.slices[slice];
            feeds[slice.feed].close_lane(slice.lane, slice.grid, closed - after_ms);
        }
    }
}

/// How long after a row the last window that holds it is closed, by any rule.
pub(super) fn longest_ms(plan: &Plan) -> i64 {
    let of_rule = |r: &RulePlan| {
        let every = r.step().map_or(0, Step::longest_ms);
        r.window.map_or(0, WindowSpec::width_max) + every + r.delay_ms
    };
    plan.rules.iter().map(of_rule).max().unwrap_or(0) + DAY_MS
}

/// The instant that every feed of a rule has reached; idle feeds do not hold it back.
fn reached(rule: &RulePlan, feeds: &[Feed]) -> Option<i64> {
    let known = || {
        let feeds = rule.feeds.iter().map(|f| &feeds[*f].partitions);
        feeds.filter(|p| p.watermark() != i64::MIN)
    };
    known()
        .filter(|p| p.holds_back())
        .map(Partitions::watermark)
        .min()
        .or_else(|| known().map(Partitions::watermark).max())
}
