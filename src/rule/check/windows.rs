//! Windows: compares that mean something, and how much they keep.

use datafusion::logical_expr::Expr;

use super::{FeedFacts, Judge, names::all_sql};
use crate::{
    model::{
        time::format_span,
        window::{PaneGrid, WindowSpec},
    },
    rule::{detection::DetectPlan, file::Compare, scope::Resolved},
};

/// State of one key above which the check warns.
const KEY_BYTES_MAX: i64 = 1 << 20;
/// Bytes per key, aggregate and pane that the engine aims at.
const PANE_BYTES: i64 = 120;

impl Judge<'_> {
    pub(super) fn compares(&mut self, resolved: &Resolved) {
        let rule = self.rule;
        let session =
            matches!(rule.window.as_ref().map(|w| w.value), Some(WindowSpec::Session { .. }));
        let used = self.used_names(resolved);
        for compare in &rule.compares {
            let (name, at) = (&compare.name.value, compare.name.span.clone());
            if session {
                let message =
                    format!("compare {name:?} has nothing to compare with: sessions do not repeat");
                self.error("rule::impossible", at, message, "use sliding or tumbling windows");
                continue;
            }
            if let Compare::Peers { key } = &compare.with
                && rule.key_names().all(|k| key.iter().any(|c| c.value == k))
            {
                let message =
                    format!("compare {name:?} has the whole key: every key would be its own peers");
                self.error(
                    "rule::no_effect",
                    at.clone(),
                    message,
                    "leave out at least one key column",
                );
            }
            let prefix = format!("{name}.");
            // What did not compile still shows what its author meant to use.
            let meant = || all_sql(rule).any(|sql| sql.text.contains(&prefix));
            if !used.iter().any(|u| u.starts_with(&prefix)) && !meant() {
                let message = format!("compare {name:?} is used nowhere");
                self.warn("rule::no_effect", at, message, "it costs state: take it out");
            }
        }
    }

    pub(super) fn window(&mut self, resolved: &Resolved) {
        let Some(window) = &self.rule.window else { return };
        let back = |c: &Compare| match c {
            Compare::Shift { shift_ms } => *shift_ms,
            Compare::History { windows, step_ms, skip, .. } => {
                step_ms.saturating_mul(i64::from(*windows) + i64::from(*skip))
            }
            Compare::Peers { .. } => 0,
        };
        let compared = self.rule.compares.iter().map(|c| back(&c.with)).max();
        let baseline =
            self.rule.detect.as_ref().map(|d| DetectPlan::new(d, self.rule).lookback_ms());
        let lookback = compared.or(baseline).unwrap_or(0);
        let span = window.value.width_max().saturating_add(lookback);
        let facts_of = self.feeds_of(resolved);
        let late = facts_of.iter().map(|f| f.allowed_lateness_ms).max().unwrap_or(0);
        let short: Vec<_> = facts_of.iter().map(|f| (f.schema.feed.clone(), f.kept_ms)).collect();
        for (feed, kept_ms) in short {
            if span > kept_ms {
                let message = format!(
                    "{} {} back, feed {feed:?} keeps {}",
                    if baseline.is_some() {
                        "series and baseline reach"
                    } else {
                        "window and compares look"
                    },
                    format_span(span),
                    format_span(kept_ms),
                );
                self.error("rule::window_exceeds_retention", window.span.clone(), message, "");
            }
        }
        let shifts: Vec<i64> = self
            .rule
            .compares
            .iter()
            .filter_map(|c| match &c.with {
                Compare::Shift { shift_ms } => Some(*shift_ms),
                Compare::History { step_ms, .. } => Some(*step_ms),
                Compare::Peers { .. } => None,
            })
            .collect();
        let pane = PaneGrid::of(&[window.value], &shifts).len_ms;
        let panes = span.saturating_add(late) / pane.max(1);
        let aggregates =
            resolved.measures.iter().map(|m| m.aggregates.len() as i64).sum::<i64>().max(1);
        let bytes = panes.saturating_mul(aggregates).saturating_mul(PANE_BYTES);
        if bytes > KEY_BYTES_MAX {
            let message = format!(
                "a busy key keeps {panes} panes of {}, about {} KiB",
                format_span(pane),
                bytes / 1024,
            );
            self.warn(
                "rule::state_estimate",
                window.span.clone(),
                message,
                "a coarser every, or rounder steps, makes panes longer",
            );
        }
    }

    fn feeds_of(&self, resolved: &Resolved) -> Vec<FeedFacts<'_>> {
        let mut feeds: Vec<usize> =
            resolved.measures.iter().map(|m| m.feed).chain([resolved.feed]).collect();
        feeds.sort_unstable();
        feeds.dedup();
        feeds.into_iter().map(|f| self.feeds[f]).collect()
    }

    pub(super) fn sketches(&mut self, resolved: &Resolved) {
        for (file, measure) in self.rule.measures.iter().zip(&resolved.measures) {
            let feed = self.feeds[measure.feed].schema;
            let corrected = feed.version.is_some() || feed.op.is_some();
            let sketch = |a: &Expr| matches!(a, Expr::AggregateFunction(f) if f.func.name().starts_with("approx_"));
            if corrected && measure.aggregates.iter().any(sketch) {
                let message = format!(
                    "feed {:?} has corrections, which a sketch cannot take back",
                    feed.feed
                );
                self.error(
                    "rule::sketch_over_corrections",
                    file.value.span.clone(),
                    message,
                    "use the exact aggregate",
                );
            }
        }
    }
}
