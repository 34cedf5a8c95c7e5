//! Sequences: each step a filter over a feed's rows by the rule's key; links between steps as hashes where they are equations.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::{
    common::{
        Column, DFSchema,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{Expr, Operator},
};

use super::{Builder, Findings, df_schema, name_text, position_or_push};
use crate::{
    model::{diagnostic::Diagnostic, yaml::Sql},
    pane::plan::Form,
    rule::{
        expr::{Compiler, columns},
        file::RuleFile,
        join,
        message::Template,
        plan::RulePlan,
        scope::{Resolved, schema_of},
        sequence::{
            Awaited, SequencePlan, Source,
            file::{SequenceFile, StepFile},
            link::Link,
            resolve::fields_of,
            run::{Absent, Step, Steps},
            seen::{AT, COUNT, DUE, Layout, Pick, Picks, What},
        },
    },
};

/// Longer than any rule waits: a sequence without `within`.
const WITHOUT_END_MS: i64 = i64::MAX / 4;

/// The steps while they are compiled.
struct Work<'a> {
    rule: &'a RuleFile,
    files: &'a [StepFile],
    /// By step.
    feeds: Vec<usize>,
    source_of: Vec<usize>,
    sources: Vec<Draft>,
}

/// A source while columns are still added.
struct Draft {
    feed: usize,
    steps: Vec<(usize, usize)>,
    keying: usize,
    time: usize,
    hashes: Vec<usize>,
    columns: Vec<usize>,
}

/// A link while columns are still added.
enum Found {
    Equal { own: usize, step: usize, other: usize },
    Check { expr: Expr, picks: Vec<(String, Pick)> },
}

impl Builder<'_> {
    pub(super) fn sequence(
        &mut self,
        file: &RuleFile,
        meant: &Resolved,
    ) -> Result<RulePlan, Findings> {
        let Some(sequence) = &file.sequence else { return Err(unreadable(file)) };
        let (mut work, space) = self.sources(file, sequence, meant)?;
        let mut links = Vec::new();
        for (at, step) in meant.steps.iter().enumerate() {
            links.push(self.links(&mut work, at, step.link.as_ref())?);
        }
        let mut values = self.told(&mut work, meant, file);
        values.dedup_by(|a, b| a.0 == b.0);
        let mut plan = self.plain(file, meant.feed, space);
        let context = plan.alert.context.iter().flat_map(|(_, columns)| columns);
        let kept = &mut work.sources[0].columns;
        let context = context.map(|c| (c.name.clone(), position_or_push(kept, c.column))).collect();
        let mut layouts = Vec::new();
        for source in &work.sources {
            let layout = Layout::try_new(source.columns.clone(), self.schemas[source.feed].arrow());
            let layout = layout.map_err(|why| {
                vec![Diagnostic::error("rule::type_mismatch", sequence.span.clone(), why)]
            })?;
            layouts.push(Arc::new(layout));
        }
        let by_step: Vec<Arc<Layout>> =
            work.source_of.iter().map(|s| Arc::clone(&layouts[*s])).collect();
        let values = self.picks(&work, values, &by_step);
        let value_rows = df_schema(&values.schema)?;
        let mut steps = Vec::new();
        for (at, (step, found)) in sequence.steps.iter().zip(links).enumerate() {
            let distinct = match (&step.distinct, &meant.steps[at].distinct) {
                (Some(sql), Some(expr)) => Some(self.hash(&mut work, at, expr, sql)?),
                _ => None,
            };
            let bound = found.into_iter().map(|l| self.link(&work, l, step, &by_step));
            steps.push(Step {
                at_least: step.at_least.as_ref().map_or(1, |n| n.value),
                distinct,
                links: bound.collect::<Result<_, _>>()?,
                absent: step.absent_for.as_ref().map(|term| Absent {
                    term: term.value,
                    wait: step.wait.as_ref().map(|w| w.value),
                }),
            });
        }
        let delay = |s: &Draft| self.delay(s.feed, s.time);
        let awaited = steps.iter().position(|s| s.absent.is_some()).map(|at| {
            let source = &work.sources[work.source_of[at]];
            Awaited { feed: source.feed, delay_ms: delay(source) }
        });
        plan.feeds = work.sources.iter().map(|s| s.feed).collect();
        plan.delay_ms = work.sources.iter().map(delay).max().unwrap_or(0);
        plan.severity = self.ladder(file, meant, &value_rows)?;
        plan.value_schema = values.schema.clone();
        plan.value_texts = values.schema.fields().iter().map(|f| name_text(f)).collect();
        let within_ms = sequence.within.as_ref().map_or(WITHOUT_END_MS, |w| w.value);
        plan.sequence = Some(SequencePlan {
            steps: Steps { steps, within_ms, each: sequence.each, unseen_ms: None },
            learn_ms: 0,
            names: sequence.steps.iter().map(|s| s.name.value.clone()).collect(),
            source_of: work.source_of,
            sources: work
                .sources
                .into_iter()
                .zip(layouts)
                .map(|(s, layout)| Source {
                    feed: s.feed,
                    steps: s.steps,
                    keying: s.keying,
                    time: s.time,
                    hashes: s.hashes,
                    layout,
                })
                .collect(),
            values,
            context,
            awaited,
        });
        Ok(plan)
    }

    /// Filters and keys of the steps; steps of one feed share its rows.
    fn sources<'a>(
        &mut self,
        file: &'a RuleFile,
        sequence: &'a SequenceFile,
        meant: &Resolved,
    ) -> Result<(Work<'a>, usize), Findings> {
        let mut work = Work {
            rule: file,
            files: &sequence.steps,
            feeds: Vec::new(),
            source_of: Vec::new(),
            sources: Vec::new(),
        };
        let mut spaces = Vec::new();
        for (at, (step, found)) in sequence.steps.iter().zip(&meant.steps).enumerate() {
            let Some(feed) = found.feed else { return Err(unreadable(file)) };
            let atoms = self.atoms(feed, step.filter.as_ref(), found.filter.as_ref())?;
            let filter = self.filter(feed, atoms);
            let (keying, space) = self.own_keying(file, feed, &found.key)?;
            spaces.push(space);
            let schema = self.schemas[feed];
            let own = step.time.as_ref().and_then(|t| schema.position(&t.value));
            let time = own.unwrap_or_else(|| self.time_column(file, feed));
            let source = work.sources.iter().position(|s| s.feed == feed).unwrap_or_else(|| {
                let (steps, hashes, columns) = (Vec::new(), Vec::new(), Vec::new());
                work.sources.push(Draft { feed, steps, keying, time, hashes, columns });
                work.sources.len() - 1
            });
            work.sources[source].steps.push((at, filter));
            work.source_of.push(source);
            work.feeds.push(feed);
        }
        let Some(space) = spaces.first() else { return Err(unreadable(file)) };
        Ok((work, *space))
    }

    /// The conditions of a step's `match`.
    fn links(
        &mut self,
        work: &mut Work<'_>,
        at: usize,
        link: Option<&Expr>,
    ) -> Result<Vec<Found>, Findings> {
        let (Some(sql), Some(link)) = (&work.files[at].link, link) else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        for expr in Compiler::conjuncts(link) {
            if let Some((own, step, other)) = self.equation(work, at, &expr) {
                out.push(Found::Equal {
                    own: self.hash(work, at, &own, sql)?,
                    step,
                    other: self.hash(work, step, &other, sql)?,
                });
                continue;
            }
            let picks = columns(&expr).into_iter().filter_map(|name| {
                let pick = self.pick(work, &name)?;
                Some((name, pick))
            });
            out.push(Found::Check { picks: picks.collect(), expr });
        }
        Ok(out)
    }

    /// The sides of an equation between the rows of a step and of one earlier step, each over the rows of its feed.
    fn equation(&self, work: &Work<'_>, at: usize, expr: &Expr) -> Option<(Expr, usize, Expr)> {
        let Expr::BinaryExpr(b) = expr else { return None };
        if b.op != Operator::Eq {
            return None;
        }
        let (left, right) = (self.side(work, &b.left)?, self.side(work, &b.right)?);
        match (left, right) {
            ((l, left), (r, right)) if l == at && r < at => Some((left, r, right)),
            ((l, left), (r, right)) if r == at && l < at => Some((right, l, left)),
            _ => None,
        }
    }

    /// The one step that an expression reads, and the expression over the rows of its feed.
    fn side(&self, work: &Work<'_>, expr: &Expr) -> Option<(usize, Expr)> {
        let mut of = None;
        for name in columns(expr) {
            let (step, what) = split(work, &name)?;
            let is_column = self.column(work, step, what).is_some();
            if !is_column || [AT, COUNT, DUE].contains(&what) || of.is_some_and(|s| s != step) {
                return None;
            }
            of = Some(step);
        }
        let bare = expr.clone().transform_down(|e| match e {
            Expr::Column(c) => {
                let what = c.name.split_once('.').map_or(c.name.as_str(), |(_, what)| what);
                let column = of.and_then(|step| self.column(work, step, what));
                let what = column.map_or(what, |(_, name)| name);
                Ok(Transformed::yes(Expr::Column(Column::new_unqualified(what))))
            }
            other => Ok(Transformed::no(other)),
        });
        Some((of?, bare.ok()?.data))
    }

    /// Position of a value among the hashes of a step's rows.
    fn hash(
        &mut self,
        work: &mut Work<'_>,
        step: usize,
        expr: &Expr,
        sql: &Sql,
    ) -> Result<usize, Findings> {
        let argument = self.argument(work.feeds[step], expr, Form::Identity, sql)?;
        Ok(position_or_push(&mut work.sources[work.source_of[step]].hashes, argument))
    }

    /// Position and name in its feed of a column that the rule calls `step.name`.
    fn column(&self, work: &Work<'_>, step: usize, name: &str) -> Option<(usize, &str)> {
        let schema = self.schemas[work.feeds[step]];
        let time = join::time_of(work.rule, &work.files[step]);
        let column = join::position(work.rule, &self.schemas, schema, time, name)?;
        Some((column, schema.columns[column].name.as_str()))
    }

    /// What `step.name` is; its column is kept from now on.
    fn pick(&self, work: &mut Work<'_>, name: &str) -> Option<Pick> {
        let (step, what) = split(work, name)?;
        let absent = work.files[step].absent_for.is_some();
        let what = match what {
            DUE if absent => What::Due,
            AT if !absent => What::At,
            COUNT if !absent => What::Count,
            column => {
                let (column, _) = self.column(work, step, column)?;
                let kept = &mut work.sources[work.source_of[step]].columns;
                What::Column(position_or_push(kept, column))
            }
        };
        Some(Pick { step, what })
    }

    /// The values of a match, in the order of steps: when each was met, and what the ladder, messages and `show` name.
    fn told(&self, work: &mut Work<'_>, meant: &Resolved, file: &RuleFile) -> Vec<(String, Pick)> {
        let mut named: Vec<String> = Vec::new();
        named.extend(meant.severity.iter().filter_map(|(_, e)| e.as_ref()).flat_map(columns));
        for text in file.alert.message.zh.iter().chain(&file.alert.message.en) {
            if let Ok(template) = Template::parse(&text.value) {
                named.extend(template.names().map(|(name, _)| name.to_owned()));
            }
        }
        named.extend(file.alert.show.iter().map(|s| s.value.clone()));
        named.sort();
        let mut out = Vec::new();
        for (at, step) in work.files.iter().enumerate() {
            let own = match &step.absent_for {
                Some(_) => vec![DUE],
                None if step.at_least.as_ref().is_some_and(|n| n.value > 1) => vec![AT, COUNT],
                None => vec![AT],
            };
            let own = own.into_iter().map(|what| format!("{}.{what}", step.name.value));
            let own: Vec<String> = own.collect();
            let of_step = |n: &&String| split(work, n).is_some_and(|(of, _)| of == at);
            let more: Vec<String> =
                named.iter().filter(of_step).filter(|n| !own.contains(n)).cloned().collect();
            for name in own.into_iter().chain(more) {
                if let Some(pick) = self.pick(work, &name) {
                    out.push((name, pick));
                }
            }
        }
        out
    }

    fn picks(&self, work: &Work<'_>, picks: Vec<(String, Pick)>, layouts: &[Arc<Layout>]) -> Picks {
        let known: Vec<Field> = self.fields(work);
        let kind = |name: &String| known.iter().find(|f| f.name() == name).cloned();
        let (fields, picks) = picks
            .iter()
            .filter_map(|(name, pick)| Some((kind(name)?, *pick)))
            .unzip::<_, _, Vec<_>, _>();
        Picks { picks, schema: Arc::new(Schema::new(fields)), layouts: layouts.to_vec() }
    }

    fn link(
        &self,
        work: &Work<'_>,
        found: Found,
        step: &StepFile,
        layouts: &[Arc<Layout>],
    ) -> Result<Link, Findings> {
        match found {
            Found::Equal { own, step, other } => Ok(Link::Equal { own, step, other }),
            Found::Check { expr, picks } => {
                let picks = self.picks(work, picks, layouts);
                let over: DFSchema =
                    schema_of(picks.schema.fields().iter().map(|f| f.as_ref().clone()).collect());
                let sql = step.link.clone().unwrap_or_else(|| Sql::bare(""));
                Ok(Link::Check { holds: self.bind(&expr, &over, &sql)?, picks })
            }
        }
    }

    /// Everything that steps offer.
    fn fields(&self, work: &Work<'_>) -> Vec<Field> {
        let steps = work.files.iter().zip(&work.feeds);
        steps
            .flat_map(|(step, feed)| fields_of(work.rule, &self.schemas, step, self.schemas[*feed]))
            .collect()
    }
}

/// The step and what of it `step.name` means.
fn split<'a>(work: &Work<'_>, name: &'a str) -> Option<(usize, &'a str)> {
    let (step, what) = name.split_once('.')?;
    Some((work.files.iter().position(|f| f.name.value == step)?, what))
}

fn unreadable(file: &RuleFile) -> Findings {
    let message = "the steps could not be read, see the rule's other findings";
    vec![Diagnostic::error("rule::unreadable", file.id.span.clone(), message)]
}
