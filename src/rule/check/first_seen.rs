//! First-seen rules: a memory that is long enough to mean something and no longer than records are kept.

use super::Judge;
use crate::{
    model::time::{DAY_MS, format_span},
    rule::{expr, first_seen::file::FirstSeenFile, scope::Resolved},
};

impl Judge<'_> {
    pub(super) fn first_seen(&mut self, resolved: &Resolved) {
        let Some(asked) = &self.rule.first_seen else { return };
        self.memory(asked, self.feeds[resolved.feed].kept_ms);
        self.several(asked);
        self.personal_ladder(resolved);
    }

    fn memory(&mut self, asked: &FirstSeenFile, kept_ms: i64) {
        let (history, feed) = (&asked.history, &self.rule.feed.value);
        if history.value == 0 {
            let message = "history is 0: every record would be the first of its key";
            let label = "how long a key must have had none, like 730d";
            self.error("rule::impossible", history.span.clone(), message, label);
        } else if history.value > kept_ms {
            let message = format!(
                "keys are remembered for {}, feed {feed:?} keeps {}",
                format_span(history.value),
                format_span(kept_ms)
            );
            self.error("rule::window_exceeds_retention", history.span.clone(), message, "");
        }
        if let Some(learn_for) = asked.learn_for.as_ref().filter(|l| l.value < DAY_MS) {
            let message = format!(
                "learn_for is {}: the history of a feed begins with a whole day",
                format_span(learn_for.value)
            );
            let label = "at least 1d; what is usual takes months to come by";
            self.error("rule::impossible", learn_for.span.clone(), message, label);
        }
    }

    fn several(&mut self, asked: &FirstSeenFile) {
        if asked.needed() > 1 {
            if let Some(within) = asked.within.as_ref().filter(|w| w.value == 0) {
                let message = "within is 0: no second record could come in time";
                self.error("rule::impossible", within.span.clone(), message, "like 30d");
            }
            return;
        }
        let within = asked.within.as_ref().map(|w| ("within", w.span.clone()));
        let distinct = asked.distinct.as_ref().map(|d| ("distinct", d.span.clone()));
        for (what, at) in within.into_iter().chain(distinct) {
            let message = format!("{what} has no effect: one record is enough");
            self.error("rule::no_effect", at, message, "it needs at_least: 2 or more");
        }
    }

    /// What the ladder reads is shown beside the alert.
    fn personal_ladder(&mut self, resolved: &Resolved) {
        let feed = self.feeds[resolved.feed].schema;
        for ((_, sql), (_, expr)) in self.rule.severity.iter().zip(&resolved.severity) {
            let Some((sql, expr)) = sql.as_ref().zip(expr.as_ref()) else { continue };
            let read = expr::columns(expr);
            let personal = |c: &&crate::model::schema::Column| c.personal && read.contains(&c.name);
            if let Some(column) = feed.columns.iter().find(personal) {
                let message = format!("alerts would show the personal column {:?}", column.name);
                self.error("rule::personal_field_shown", sql.span.clone(), message, "take it out");
            }
        }
    }
}
