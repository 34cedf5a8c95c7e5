//! Rules → the plan the engine runs: filters split into atoms, aggregates shared.
//!
//! In: rule files whose structure is sound, and the feeds. Out: [`Plan`], or findings. Two rules share whatever is equal
//! after coercion and simplification: an atom of a filter, a key, an argument, a slice of panes with its aggregates.
//! Not here: what names mean (`scope`), advice about rules that compile (`check`).

mod aggregate;
mod alert;
mod first_seen;
mod instant;
mod sequence;
mod shared;
mod slices;
mod window;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::{common::DFSchema, logical_expr::Expr, sql::unparser::expr_to_sql};

use self::{shared::FeedBuilder, slices::SliceBuilder};
use super::{
    compiled::Compiled,
    exceptions,
    expr::{Compiler, Compilers},
    file::{Kind, RuleFile, Status},
    join::{self, Bound, Joins},
    lists,
    plan::{Plan, RulePlan, Term},
    scope::{Resolved, resolve, rows_of},
};
use crate::{
    model::{
        diagnostic::Diagnostic,
        expression::Expression,
        schema::FeedSchema,
        signal::Severity,
        time::{DAY_MS, SECOND_MS, Zone},
        window::PaneGrid,
        yaml::Sql,
    },
    pane::plan::{FeedPlan, Lane, Link, PanePlan, SlicePlan, Space},
};

/// What the compiler needs to know of a feed.
#[derive(Debug, Clone)]
pub struct FeedContext {
    /// Its schema.
    pub schema: Arc<FeedSchema>,
    /// How late its rows may come.
    pub lateness_ms: i64,
}

/// Compiles the rules that run, shadow and live; days are those of the zone.
///
/// # Errors
/// All findings of all rules.
pub fn compile(
    files: &[RuleFile],
    feeds: &[FeedContext],
    zone: &Zone,
) -> Result<Plan, Vec<Diagnostic>> {
    let mut files: Vec<&RuleFile> = files
        .iter()
        .filter(|f| match f.status.value {
            Status::Draft | Status::Retired => false,
            Status::Shadow | Status::Live => true,
        })
        .collect();
    files.sort_by(|a, b| a.id.value.cmp(&b.id.value));
    let own: Vec<Arc<FeedSchema>> = feeds.iter().map(|f| f.schema.clone()).collect();
    let joins = Joins::of(files.iter().copied(), &own);
    let mut builder = Builder::new(feeds, &joins, zone);
    let mut findings = Vec::new();
    let mut rules = Vec::new();
    for file in files {
        match builder.rule(file) {
            Ok(rule) => rules.push(rule),
            Err(mut found) => {
                // Those about an exception say their file.
                let own = |d: &&mut Diagnostic| d.file.as_os_str().is_empty();
                found.iter_mut().filter(own).for_each(|d| d.file.clone_from(&file.path));
                findings.append(&mut found);
            }
        }
    }
    if findings.is_empty() { Ok(builder.finish(rules)) } else { Err(findings) }
}

type Findings = Vec<Diagnostic>;

/// Everything shared, while rules are added to it.
struct Builder<'a> {
    compilers: Compilers,
    zone: Zone,
    /// Over the lists of the rule in work.
    compiler: Arc<Compiler>,
    contexts: &'a [FeedContext],
    joins: &'a Joins,
    /// What the rule in work calls columns that it joins: their names in the feed, and its own.
    renamed: Vec<(String, String)>,
    schemas: Vec<&'a FeedSchema>,
    /// The rows of each feed as expressions see them.
    rows: Vec<DFSchema>,
    feeds: Vec<FeedBuilder>,
    spaces: Vec<Space>,
    slices: Vec<SliceBuilder>,
    links: Vec<Link>,
}

impl<'a> Builder<'a> {
    fn new(contexts: &'a [FeedContext], joins: &'a Joins, zone: &Zone) -> Self {
        let mut compilers = Compilers::new(zone.clone());
        Self {
            compiler: compilers.of(&lists::none()),
            compilers,
            zone: zone.clone(),
            contexts,
            joins,
            renamed: Vec::new(),
            schemas: joins.schemas.iter().map(|s| &**s).collect(),
            rows: joins.schemas.iter().map(|s| rows_of(s)).collect(),
            feeds: contexts.iter().map(|_| FeedBuilder::default()).collect(),
            spaces: Vec::new(),
            slices: Vec::new(),
            links: Vec::new(),
        }
    }

    fn rule(&mut self, file: &RuleFile) -> Result<RulePlan, Findings> {
        self.compiler = self.compilers.of(&file.lists);
        self.renamed = join::renamed(file, &self.schemas);
        let (meant, mut findings) = resolve(&self.compiler, file, &self.schemas);
        if findings.is_empty() && file.unread.any() {
            let message = "parts of the rule could not be read, see its other findings";
            findings.push(Diagnostic::error("rule::unreadable", file.id.span.clone(), message));
        }
        match meant {
            Some(meant) if findings.is_empty() => {
                let exceptions = exceptions::of_rule(&self.compiler, file, &meant, &self.zone)?;
                let mut plan = match file.kind.value {
                    Kind::Instant => self.instant(file, &meant),
                    Kind::Window | Kind::Detect => self.window(file, &meant),
                    Kind::Sequence => self.sequence(file, &meant),
                    Kind::FirstSeen => self.first_seen(file, &meant),
                }?;
                plan.alert.exceptions = exceptions;
                Ok(plan)
            }
            _ => Err(findings),
        }
    }

    /// What all kinds of rules have, with nothing measured and no condition.
    fn plain(&self, file: &RuleFile, feed: usize, space: usize) -> RulePlan {
        RulePlan {
            id: file.id.value.clone(),
            version: file.version,
            status: file.status.value,
            kind: file.kind.value,
            hash: text_hash(&file.source),
            key_names: file.key.iter().map(|k| k.name.clone()).collect(),
            space,
            window: None,
            slices: Vec::new(),
            feeds: Vec::new(),
            delay_ms: 0,
            wait_ms: 0,
            beside: Vec::new(),
            aggregates: Vec::new(),
            aggregate_schema: Arc::new(Schema::empty()),
            measures: Vec::new(),
            compares: Vec::new(),
            value_schema: Arc::new(Schema::empty()),
            value_texts: Vec::new(),
            lookback_ms: 0,
            when: None,
            terms: Vec::new(),
            clear: None,
            severity: Vec::new(),
            reraise: None,
            early: false,
            bounds: Vec::new(),
            least: None,
            instant: None,
            detect: None,
            sequence: None,
            alert: self.alert(file, feed),
        }
    }

    /// The ladder over `values`.
    fn ladder(
        &self,
        file: &RuleFile,
        meant: &Resolved,
        values: &DFSchema,
    ) -> Result<Vec<(Severity, Option<Expression>)>, Findings> {
        let steps = file.severity.iter().zip(&meant.severity);
        steps
            .map(|((severity, sql), (_, expr))| {
                let condition = sql.as_ref().zip(expr.as_ref());
                let bound = condition.map(|(sql, e)| self.bind(e, values, sql)).transpose()?;
                Ok((*severity, bound))
            })
            .collect()
    }

    /// The keying of the rule's whole key over one of its feeds, and its space.
    fn own_keying(
        &mut self,
        file: &RuleFile,
        feed: usize,
        key: &[Option<Expr>],
    ) -> Result<(usize, usize), Findings> {
        let all: Vec<usize> = (0..file.key.len()).collect();
        self.keying(file, feed, key, &all)
    }

    /// The time column of a rule in a feed: `time:` where the feed has it, else its event time.
    fn time_column(&self, file: &RuleFile, feed: usize) -> usize {
        let schema = self.schemas[feed];
        file.time.as_ref().and_then(|t| schema.position(&t.value)).unwrap_or(schema.event_time)
    }

    fn delay(&self, feed: usize, time: usize) -> i64 {
        let delays = &self.schemas[feed].delays;
        delays.iter().find(|(c, _)| *c == time).map_or(0, |(_, ms)| *ms)
    }

    fn bind(&self, expr: &Expr, schema: &DFSchema, sql: &Sql) -> Result<Expression, Findings> {
        Compiled::bind(&self.compiler, expr, schema, &self.renamed)
            .map_err(|e| vec![planning(sql, &e)])
    }

    /// The conditions that `and` joins in `condition`, each with what it compares.
    fn terms(&self, condition: &Expr, over: &DFSchema, sql: &Sql) -> Result<Vec<Term>, Findings> {
        let term = |term: Expr| {
            let text = expr_to_sql(&term)
                .map_or_else(|_| term.to_string(), |sql| sql.to_string().replace('"', ""));
            let text = join::rename(text, &self.renamed);
            let holds = self.bind(&term, over, sql)?;
            let sides = match &term {
                Expr::BinaryExpr(b) if b.op.supports_propagation() => {
                    let side = |side: &Expr| self.bind(side, over, sql);
                    Some((side(&b.left)?, b.op.to_string(), side(&b.right)?))
                }
                _ => None,
            };
            Ok(Term { text, holds, sides })
        };
        Compiler::conjuncts(condition).into_iter().map(term).collect()
    }

    fn finish(mut self, rules: Vec<RulePlan>) -> Plan {
        let joins =
            (0..self.feeds.len()).map(|f| self.joins.bound(f, &mut self.compilers, &self.zone));
        let joins: Vec<Bound> = joins.collect();
        let mut lanes: Vec<Vec<Lane>> = self.feeds.iter().map(|_| Vec::new()).collect();
        let mut by_feed: Vec<Vec<usize>> = self.feeds.iter().map(|_| Vec::new()).collect();
        let slices = self.slices.into_iter().enumerate().map(|(i, s)| {
            let grid = if s.session {
                PaneGrid { len_ms: SECOND_MS, origin_ms: 0 }
            } else {
                PaneGrid::of(&s.windows, &s.shifts)
            };
            let lane = position_or_push(
                &mut lanes[s.feed],
                Lane { time: s.clock.time, grid, reported: s.clock.reported },
            );
            by_feed[s.feed].push(i);
            // A day more than asked: a zone's clock may be set back.
            let keep_ms = s.keep_ms + self.contexts[s.feed].lateness_ms + DAY_MS;
            let hot_at = s.hot_at.unwrap_or(0);
            // A compare looks further back than rows are kept: its keys cannot be made up for later.
            let can_wait = s.shifts.is_empty() && !s.session;
            let waits = s.waits.filter(|_| can_wait).unwrap_or_default();
            SlicePlan { lane, grid, keep_ms, hot_at, waits, ..s.plan }
        });
        let slices: Vec<SlicePlan> = slices.collect();
        let feeds = self
            .feeds
            .into_iter()
            .zip(lanes)
            .zip(by_feed)
            .zip(joins)
            .map(|(((f, lanes), slices), joins)| {
                Arc::new(FeedPlan {
                    filters: f.filter_list,
                    atoms: f.atom_list,
                    keyings: f.keying_list,
                    args: f.arg_list,
                    lanes,
                    slices,
                    joins: joins.joins,
                    looks: joins.looks,
                })
            })
            .collect();
        let panes = Arc::new(PanePlan {
            feeds,
            spaces: self.spaces,
            slices,
            links: self.links,
            dimensions: self.joins.dimensions.clone(),
        });
        Plan { panes, schemas: self.joins.schemas.clone(), rules }
    }
}

fn df_schema(schema: &SchemaRef) -> Result<DFSchema, Findings> {
    DFSchema::try_from(schema.as_ref().clone())
        .map_err(|e| vec![Diagnostic::error("rule::name_taken", 0..0, e.strip_backtrace())])
}

fn planning(sql: &Sql, message: &str) -> Diagnostic {
    Diagnostic::error("rule::type_mismatch", sql.span.clone(), message.to_owned())
}

fn position_or_push<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|x| *x == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

fn name_text(field: &Field) -> String {
    format!("{}:", serde_json::Value::from(field.name().as_str()))
}

fn text_hash(text: &str) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
}
