//! Joined tables: whether one can be joined, and what its columns are called.

use super::Judge;
use crate::{model::schema::FeedSchema, rule::join};

impl Judge<'_> {
    /// The time that the rule goes by, as it names it.
    pub(super) fn time_name(&self) -> Option<&str> {
        let step = self.rule.sequence.iter().flat_map(|s| s.steps.first());
        let own = step.filter_map(|s| s.time.as_ref()).next().or(self.rule.time.as_ref());
        own.map(|t| t.value.as_str())
    }

    /// What the rule calls the columns of the tables it joins to a feed.
    pub(super) fn joined_names(&self, feed: &FeedSchema) -> Vec<String> {
        let tables = join::aliases(self.rule, self.schemas, feed, self.time_name());
        let of = |t: &join::Alias| -> Vec<String> {
            t.columns.iter().map(|c| format!("{}.{c}", t.alias)).collect()
        };
        tables.iter().flat_map(of).collect()
    }

    /// A table must say one thing of a value at a time, and be asked for something.
    pub(super) fn joins(&mut self) {
        let rule = self.rule;
        for (i, join) in rule.joins.iter().enumerate() {
            let name = &join.alias;
            if rule.joins[..i].iter().any(|j| j.alias.value == name.value) || name.value == "last" {
                let message =
                    format!("{:?} is taken, a joined table needs a name of its own", name.value);
                self.error("rule::name_taken", name.span.clone(), message, "");
            }
            let compares = rule.compares.iter().map(|c| &c.name.value);
            let steps = rule.sequence.iter().flat_map(|s| &s.steps).map(|s| &s.name.value);
            if compares.chain(steps).any(|other| *other == name.value) {
                let message = format!("{:?} names a joined table and something else", name.value);
                self.error(
                    "rule::name_taken",
                    name.span.clone(),
                    message,
                    "give the table another name",
                );
            }
            let Some(list) = rule.lists.get(&join.table.value) else { continue };
            if let Some(value) = list.ambiguous() {
                let message = format!(
                    "list {:?} has two rows of {value:?} at once: which of them is joined?",
                    join.table.value
                );
                let label = "one row for a value, or days that do not overlap";
                self.error("rule::ambiguous_join", join.table.span.clone(), message, label);
            }
            if join::is_unused(rule, &name.value) {
                let message = format!("no column of {:?} is used", name.value);
                let label = format!("use it as {}.column", name.value);
                self.warn("rule::no_effect", name.span.clone(), message, label);
            }
        }
    }
}
