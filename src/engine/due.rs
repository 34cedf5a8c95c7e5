//! Due: up to when windows are complete.

use super::admit::Feed;
use crate::{
    feed::watermark::Partitions,
    model::{
        time::{DAY_MS, Zone},
        window::WindowSpec,
    },
    rule::plan::{Plan, RulePlan},
};

/// Window rules whose feeds have rows, and the local time up to which their windows are complete.
pub(super) fn due(plan: &Plan, feeds: &[Feed], zone: &Zone) -> Vec<(usize, i64)> {
    let due = |(r, rule): (usize, &RulePlan)| {
        rule.window?;
        let watermark = reached(rule, feeds)?;
        Some((r, zone.to_local(watermark.saturating_sub(rule.delay_ms))))
    };
    plan.rules.iter().enumerate().filter_map(due).collect()
}

/// How long after a row the last window that holds it is closed, by any rule.
pub(super) fn longest_ms(plan: &Plan) -> i64 {
    let of_rule = |r: &RulePlan| {
        let every = match r.window {
            Some(WindowSpec::Sliding { every_ms, .. }) => every_ms,
            _ => 0,
        };
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
