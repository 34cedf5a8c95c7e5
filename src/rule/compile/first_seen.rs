//! First-seen rules: a sequence of one step, which the rows of one filter meet, followed by spells instead of runs.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};

use super::{Builder, Findings, df_schema, name_text, position_or_push};
use crate::{
    model::diagnostic::Diagnostic,
    pane::plan::Form,
    rule::{
        expr::columns,
        file::RuleFile,
        first_seen::{FIRST_AT, LAST_AT, STEP},
        plan::RulePlan,
        scope::Resolved,
        sequence::{
            SequencePlan, Source,
            run::{Step, Steps},
            seen::{Layout, Pick, Picks, What},
        },
    },
};

impl Builder<'_> {
    pub(super) fn first_seen(
        &mut self,
        file: &RuleFile,
        meant: &Resolved,
    ) -> Result<RulePlan, Findings> {
        let (Some(asked), [step]) = (&file.first_seen, meant.steps.as_slice()) else {
            let message = "history could not be read, see the rule's other findings";
            return Err(vec![Diagnostic::error("rule::unreadable", file.id.span.clone(), message)]);
        };
        let feed = meant.feed;
        let atoms = self.atoms(feed, file.filter.as_ref(), meant.filter.as_ref())?;
        let filter = self.filter(feed, atoms);
        let (keying, space) = self.own_keying(file, feed, &meant.key)?;
        let time = self.time_column(file, feed);
        let distinct = match (&asked.distinct, &step.distinct) {
            (Some(sql), Some(expr)) => Some(self.argument(feed, expr, Form::Identity, sql)?),
            _ => None,
        };
        let mut plan = self.plain(file, feed, space);
        let mut kept = Vec::new();
        let context = plan.alert.context.iter().flat_map(|(_, columns)| columns);
        let context =
            context.map(|c| (c.name.clone(), position_or_push(&mut kept, c.column))).collect();
        let values = self.told_of(meant, asked.needed() > 1, &mut kept);
        let layout = Layout::try_new(kept, self.schemas[feed].arrow());
        let layout = Arc::new(layout.map_err(|why| {
            vec![Diagnostic::error("rule::type_mismatch", file.id.span.clone(), why)]
        })?);
        let values = Picks { layouts: vec![Arc::clone(&layout)], ..values };
        plan.feeds = vec![feed];
        plan.delay_ms = self.delay(feed, time);
        plan.severity = self.ladder(file, meant, &df_schema(&values.schema)?)?;
        plan.value_schema = values.schema.clone();
        plan.value_texts = values.schema.fields().iter().map(|f| name_text(f)).collect();
        let needed = Step {
            at_least: asked.needed(),
            distinct: distinct.map(|_| 0),
            links: Vec::new(),
            absent: None,
        };
        plan.sequence = Some(SequencePlan {
            steps: Steps {
                steps: vec![needed],
                within_ms: asked.within.as_ref().map_or(asked.history.value, |w| w.value),
                each: true,
                unseen_ms: Some(asked.history.value),
            },
            learn_ms: asked.learn_ms(),
            names: vec![STEP.to_owned()],
            source_of: vec![0],
            sources: vec![Source {
                feed,
                steps: vec![(0, filter)],
                keying,
                time,
                hashes: distinct.into_iter().collect(),
                layout,
            }],
            values,
            context,
            awaited: None,
        });
        Ok(plan)
    }

    /// When the first record was, and the last of `several`, then the columns that the ladder reads; these are kept from now on.
    fn told_of(&self, meant: &Resolved, several: bool, kept: &mut Vec<usize>) -> Picks {
        let schema = self.schemas[meant.feed];
        let ladder = meant.severity.iter().filter_map(|(_, e)| e.as_ref());
        let mut names: Vec<String> = ladder.flat_map(columns).collect();
        names.sort();
        names.dedup();
        let mut fields: Vec<Field> = Vec::new();
        let mut picks = Vec::new();
        let own = [FIRST_AT, LAST_AT];
        names.retain(|n| n != FIRST_AT && !(several && n == LAST_AT));
        let own = own.into_iter().take(if several { 2 } else { 1 }).map(str::to_owned);
        for name in own.chain(names) {
            let Ok(field) = meant.values.field_with_unqualified_name(&name) else { continue };
            let what = match (name.as_str(), schema.position(&name)) {
                (FIRST_AT, _) => What::First,
                (LAST_AT, _) | (_, None) => What::At,
                (_, Some(column)) => What::Column(position_or_push(kept, column)),
            };
            fields.push(field.clone().as_ref().clone());
            picks.push(Pick { step: 0, what });
        }
        Picks { picks, schema: Arc::new(Schema::new(fields)), layouts: Vec::new() }
    }
}
