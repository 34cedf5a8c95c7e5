//! Rule files → the plan the engine runs: names resolved, filters split into atoms, aggregates shared.
//!
//! In: rule files whose structure is sound, and the feeds. Out: [`Plan`], or findings. Two rules share whatever is equal
//! after coercion and simplification: an atom of a filter, a key, an argument, a slice of panes with its aggregates.
//! Not here: advice about rules that compile (`check`).

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::{
    common::DFSchema,
    execution::context::ExecutionProps,
    logical_expr::{
        Expr, ExprSchemable,
        expr::{AggregateFunction, Sort},
        physical_planning_context::PhysicalPlanningContext,
    },
    physical_expr::aggregate::LoweredAggregateBuilder,
    scalar::ScalarValue,
    sql::unparser::expr_to_sql,
};

use super::{
    compiled::Compiled,
    expr::{Compiler, Growth, literal, lower_bounds, monotone},
    file::{Compare, Kind, MissingKey, RuleFile, Status},
    plan::{
        Aggregate, AlertPlan, ComparePlan, CompareWith, InstantPlan, Measure, Plan, Read, RulePlan,
        Term,
    },
};
use crate::{
    model::{
        diagnostic::Diagnostic,
        expression::Expression,
        schema::FeedSchema,
        time::{DAY_MS, SECOND_MS},
        window::{PaneGrid, WindowSpec},
        yaml::Sql,
    },
    pane::{
        aggregate::{kernel, udaf::RowAggregate},
        plan::{
            Argument, FeedPlan, Form, Kernel, Keying, Lane, Link, PanePlan, SlicePlan, Space,
            Weight,
        },
    },
};

/// Fewest rows that are worth waiting for.
const WAIT_FROM: f64 = 3.0;

/// What the compiler needs to know of a feed.
#[derive(Debug, Clone)]
pub struct FeedContext {
    /// Its schema.
    pub schema: Arc<FeedSchema>,
    /// How late its rows may come.
    pub lateness_ms: i64,
}

/// Compiles the rules that run (shadow and live, and drafts where `drafts` is set).
///
/// # Errors
/// All findings of all rules.
pub fn compile(
    files: &[RuleFile],
    feeds: &[FeedContext],
    drafts: bool,
) -> Result<Plan, Vec<Diagnostic>> {
    let mut builder = Builder::new(feeds);
    let mut files: Vec<&RuleFile> = files
        .iter()
        .filter(|f| match f.status.value {
            Status::Draft => drafts,
            Status::Retired => false,
            Status::Shadow | Status::Live => true,
        })
        .collect();
    files.sort_by(|a, b| a.id.value.cmp(&b.id.value));
    let mut findings = Vec::new();
    let mut rules = Vec::new();
    for file in files {
        match builder.rule(file) {
            Ok(rule) => rules.push(rule),
            Err(mut found) => {
                found.iter_mut().for_each(|d| d.file.clone_from(&file.path));
                findings.append(&mut found);
            }
        }
    }
    if findings.is_empty() { Ok(builder.finish(rules)) } else { Err(findings) }
}

type Findings = Vec<Diagnostic>;

/// Everything shared, while rules are added to it.
struct Builder<'a> {
    compiler: Compiler,
    contexts: &'a [FeedContext],
    schemas: Vec<DFSchema>,
    feeds: Vec<FeedBuilder>,
    spaces: Vec<Space>,
    slices: Vec<SliceBuilder>,
    links: Vec<Link>,
}

#[derive(Default)]
struct FeedBuilder {
    atoms: HashMap<Expr, usize>,
    atom_list: Vec<Expression>,
    filters: HashMap<Vec<usize>, usize>,
    filter_list: Vec<Vec<usize>>,
    keyings: HashMap<(usize, Vec<Expr>, bool), usize>,
    keying_list: Vec<Keying>,
    args: HashMap<(Expr, Form), usize>,
    arg_list: Vec<Argument>,
}

/// A slice before all rules that share it are known.
struct SliceBuilder {
    feed: usize,
    filter: usize,
    keying: usize,
    time: usize,
    session: bool,
    windows: Vec<WindowSpec>,
    shifts: Vec<i64>,
    keep_ms: i64,
    /// See [`SlicePlan::hot_at`]; `None` before a rule has said.
    hot_at: Option<u32>,
    /// See [`SlicePlan::waits`]; `None` when some rule can fire whatever a key has.
    waits: Option<Vec<Weight>>,
    plan: SlicePlan,
}

/// What one rule asks of each slice it uses.
#[derive(Clone)]
struct Ask {
    window: WindowSpec,
    shifts: Vec<i64>,
}

impl<'a> Builder<'a> {
    fn new(contexts: &'a [FeedContext]) -> Self {
        let schemas = contexts
            .iter()
            .map(|f| {
                let schema: &Schema = f.schema.arrow();
                // Column names of a feed are unique: the feed's file was checked for it.
                DFSchema::try_from(schema.clone()).unwrap_or_else(|_| DFSchema::empty())
            })
            .collect();
        Self {
            compiler: Compiler::new(),
            contexts,
            schemas,
            feeds: contexts.iter().map(|_| FeedBuilder::default()).collect(),
            spaces: Vec::new(),
            slices: Vec::new(),
            links: Vec::new(),
        }
    }

    fn rule(&mut self, file: &RuleFile) -> Result<RulePlan, Findings> {
        let params: Vec<(String, ScalarValue)> = file
            .params
            .iter()
            .filter_map(|(name, value)| literal(value).map(|v| (name.value.clone(), v)))
            .collect();
        let feed = self.feed(&file.feed.value, file.feed.span.clone())?;
        match file.kind.value {
            Kind::Instant => self.instant(file, feed, &params),
            Kind::Window => self.window(file, feed, &params),
        }
    }

    fn instant(
        &mut self,
        file: &RuleFile,
        feed: usize,
        params: &[(String, ScalarValue)],
    ) -> Result<RulePlan, Findings> {
        let mut atoms = self.atoms(feed, file.filter.as_ref(), params)?;
        atoms.extend(self.atoms(feed, file.when.as_ref(), params)?);
        let filter = self.filter(feed, atoms);
        let (keying, space) = self.keying(file, feed, params)?;
        let schema = self.schemas[feed].clone();
        let values = self.contexts[feed].schema.clone();
        let shown = file
            .alert
            .show
            .iter()
            .filter_map(|s| values.position(&s.value).map(|i| (s.value.clone(), i)));
        let mut named: Vec<(String, Expression)> = Vec::new();
        for m in &file.measures {
            let expr = self.compiler.scalar(&m.value, &schema, params)?;
            named.push((m.name.value.clone(), self.bind(&expr, &schema, &m.value)?));
        }
        for (name, column) in shown {
            let sql = Sql::bare(&format!("\"{}\"", values.columns[column].name));
            let expr = self.compiler.scalar(&sql, &schema, params)?;
            named.push((name, self.bind(&expr, &schema, &sql)?));
        }
        let mut severity = Vec::new();
        for (s, sql) in &file.severity {
            let e = match sql {
                Some(sql) => {
                    Some(self.bind(&self.compiler.boolean(sql, &schema, params)?, &schema, sql)?)
                }
                None => None,
            };
            severity.push((*s, e));
        }
        let fields: Vec<Field> =
            named.iter().map(|(n, e)| Field::new(n, e.data_type().clone(), true)).collect();
        Ok(RulePlan {
            id: file.id.value.clone(),
            version: file.version,
            status: file.status.value,
            kind: Kind::Instant,
            hash: text_hash(&file.source),
            key_names: file.key.iter().map(|k| k.name.clone()).collect(),
            space,
            window: None,
            slices: Vec::new(),
            feeds: vec![feed],
            delay_ms: 0,
            aggregates: Vec::new(),
            aggregate_schema: Arc::new(Schema::empty()),
            measures: Vec::new(),
            compares: Vec::new(),
            value_texts: fields.iter().map(name_text).collect(),
            value_schema: Arc::new(Schema::new(fields)),
            lookback_ms: 0,
            when: None,
            terms: Vec::new(),
            clear: None,
            severity,
            reraise: None,
            early: false,
            bounds: Vec::new(),
            instant: Some(InstantPlan { feed, filter, keying, values: named }),
            alert: self.alert(file, feed),
        })
    }

    fn window(
        &mut self,
        file: &RuleFile,
        feed: usize,
        params: &[(String, ScalarValue)],
    ) -> Result<RulePlan, Findings> {
        let Some(window) = file.window.as_ref().map(|w| w.value) else {
            return Err(vec![missing(file, "window", "window: {sliding: 7d, every: 1d}")]);
        };
        let Some(when) = &file.when else {
            return Err(vec![missing(file, "when", "when: n >= 10")]);
        };
        let ask =
            Ask { window, shifts: file.compares.iter().flat_map(|c| shifts_of(&c.with)).collect() };
        let mut rule_slices: Vec<usize> = Vec::new();
        let mut feeds: Vec<usize> = Vec::new();
        let mut delay_ms = 0;
        let mut aggregates: Vec<Aggregate> = Vec::new();
        // The same aggregates by the peers' key, per peers compare.
        let mut peer_aggregates: Vec<Vec<Aggregate>> =
            file.compares.iter().map(|_| Vec::new()).collect();
        let mut growing: Vec<bool> = Vec::new();
        let mut measure_exprs = Vec::new();
        let mut findings = Vec::new();
        let (_, space) = self.keying(file, feed, params)?;
        for m in &file.measures {
            let source = match &m.feed {
                Some(f) => self.feed(&f.value, f.span.clone())?,
                None => feed,
            };
            match self.measure(file, m, (feed, source), params) {
                Ok((expr, found, base)) => {
                    let offset = aggregates.len();
                    let (keying, space) = self.keying(file, source, params)?;
                    let time = self.time_column(file, source);
                    delay_ms = delay_ms.max(self.delay(source, time));
                    if !feeds.contains(&source) {
                        feeds.push(source);
                    }
                    for aggregate in &found {
                        let made = self.aggregate(
                            source,
                            (keying, space),
                            time,
                            &base,
                            aggregate,
                            &ask,
                            &m.value,
                        )?;
                        if !rule_slices.contains(&made.0.slice) {
                            rule_slices.push(made.0.slice);
                        }
                        for (i, c) in file.compares.iter().enumerate() {
                            if let Compare::Peers { key } = &c.with {
                                let names: Vec<&str> =
                                    key.iter().map(|k| k.value.as_str()).collect();
                                let peers = self.peer_keying(file, source, &names, params)?;
                                let peer = self.aggregate(
                                    source, peers, time, &base, aggregate, &ask, &m.value,
                                )?;
                                peer_aggregates[i].push(peer.0);
                            }
                        }
                        aggregates.push(made.0);
                        growing.push(made.1);
                    }
                    measure_exprs.push((m, expr, offset, found.len()));
                }
                Err(mut f) => findings.append(&mut f),
            }
        }
        if !findings.is_empty() {
            return Err(findings);
        }

        let fields: Vec<Field> = aggregates
            .iter()
            .enumerate()
            .map(|(i, a)| Field::new(super::expr::aggregate_column(i), a.data_type.clone(), true))
            .collect();
        let aggregate_schema: SchemaRef = Arc::new(Schema::new(fields));
        let df_aggregates = df_schema(&aggregate_schema)?;
        let mut measures = Vec::new();
        let mut measure_growth = Vec::new();
        for (m, expr, offset, count) in measure_exprs {
            let expr = renumber(&expr, offset, count);
            let value = self.bind(&expr, &df_aggregates, &m.value)?;
            measure_growth.push(value.column().is_some_and(|c| growing[c]));
            measures.push(Measure { name: m.name.value.clone(), value });
        }

        let all: Vec<usize> = (0..measures.len()).collect();
        let mut fields: Vec<Field> = measures
            .iter()
            .map(|m| Field::new(&m.name, m.value.data_type().clone(), true))
            .collect();
        let mut compares = Vec::new();
        let mut fixed: Vec<bool> = measures.iter().map(|_| false).collect();
        for (i, c) in file.compares.iter().enumerate() {
            let with = match &c.with {
                Compare::Shift { shift_ms } => CompareWith::Shift(*shift_ms),
                Compare::History { of, .. } => {
                    CompareWith::History { shifts: shifts_of(&c.with), of: *of }
                }
                Compare::Peers { key } => {
                    let names: Vec<&str> = key.iter().map(|k| k.value.as_str()).collect();
                    let columns = names
                        .iter()
                        .filter_map(|n| file.key.iter().position(|k| k.name == *n))
                        .collect();
                    let peers = self.peer_keying(file, feed, &names, params)?;
                    let (keying, _) = self.keying(file, feed, params)?;
                    let link = Link { feed, keying, peer_keying: peers.0 };
                    let link = position_or_push(&mut self.links, link);
                    let aggregates = std::mem::take(&mut peer_aggregates[i]);
                    CompareWith::Peers { columns, space: peers.1, link, aggregates }
                }
            };
            let history = matches!(with, CompareWith::History { .. });
            for m in &measures {
                let kind = if history { DataType::Float64 } else { m.value.data_type().clone() };
                fields.push(Field::new(format!("{}.{}", c.name.value, m.name), kind, true));
                fixed.push(!matches!(with, CompareWith::Peers { .. }));
            }
            compares.push(ComparePlan { name: c.name.value.clone(), with, measures: all.clone() });
        }
        let value_schema: SchemaRef = Arc::new(Schema::new(fields.clone()));
        let df_values = df_schema(&value_schema)?;
        let mut conditions = Vec::new();
        let compile_condition = |this: &Self, sql: &Sql| -> Result<(Expr, Expression), Findings> {
            let expr = this.compiler.boolean(sql, &df_values, params)?;
            let bound = this.bind(&expr, &df_values, sql)?;
            Ok((expr, bound))
        };
        let (when_expr, when_bound) = compile_condition(self, when)?;
        conditions.push(when_expr.clone());
        let mut terms = Vec::new();
        for term in Compiler::conjuncts(&when_expr) {
            let text = expr_to_sql(&term)
                .map_or_else(|_| term.to_string(), |sql| sql.to_string().replace('"', ""));
            let holds = self.bind(&term, &df_values, when)?;
            let sides = match &term {
                Expr::BinaryExpr(b) if b.op.supports_propagation() => Some((
                    self.bind(&b.left, &df_values, when)?,
                    b.op.to_string(),
                    self.bind(&b.right, &df_values, when)?,
                )),
                _ => None,
            };
            terms.push(Term { text, holds, sides });
        }
        let clear = match &file.clear {
            Some(sql) => Some(compile_condition(self, sql)?.1),
            None => None,
        };
        let mut severity = Vec::new();
        for (s, sql) in &file.severity {
            let e = match sql {
                Some(sql) => {
                    let (expr, bound) = compile_condition(self, sql)?;
                    conditions.push(expr);
                    Some(bound)
                }
                None => None,
            };
            severity.push((*s, e));
        }
        let reraise = match &file.alert.reraise {
            Some(sql) => {
                let mut both = fields.clone();
                both.extend(
                    fields.iter().map(|f| f.clone().with_name(format!("last.{}", f.name()))),
                );
                let schema: SchemaRef = Arc::new(Schema::new(both));
                let df = df_schema(&schema)?;
                let expr = self.compiler.boolean(sql, &df, params)?;
                Some((self.bind(&expr, &df, sql)?, schema))
            }
            None => None,
        };

        let class = |name: &str| match value_schema.index_of(name) {
            Ok(i) if i < measures.len() && measure_growth[i] => Growth::Growing,
            Ok(i) if fixed[i] => Growth::Fixed,
            _ => Growth::Other,
        };
        let early = matches!(window, WindowSpec::Sliding { .. })
            && conditions.iter().all(|c| monotone(c, &class));
        let bounds: Vec<(usize, f64)> = lower_bounds(&when_expr)
            .into_iter()
            .filter_map(|(name, bound)| {
                let m = measures.iter().position(|m| m.name == name)?;
                Some((measures[m].value.column()?, bound))
            })
            .collect();
        self.note_hot(&rule_slices, &aggregates, &bounds);
        let shift_max = ask.shifts.iter().copied().max().unwrap_or(0);
        Ok(RulePlan {
            id: file.id.value.clone(),
            version: file.version,
            status: file.status.value,
            kind: Kind::Window,
            hash: text_hash(&file.source),
            key_names: file.key.iter().map(|k| k.name.clone()).collect(),
            space,
            window: Some(window),
            slices: rule_slices,
            feeds,
            delay_ms,
            aggregates,
            aggregate_schema,
            measures,
            compares,
            value_texts: fields.iter().map(name_text).collect(),
            value_schema,
            lookback_ms: shift_max,
            when: Some(when_bound),
            terms,
            clear,
            severity,
            reraise,
            early,
            bounds,
            instant: None,
            alert: self.alert(file, feed),
        })
    }

    /// A measure's expression over aggregates, the aggregates, and the atoms of its rows.
    fn measure(
        &mut self,
        file: &RuleFile,
        m: &super::file::MeasureFile,
        (feed, source): (usize, usize),
        params: &[(String, ScalarValue)],
    ) -> Result<(Expr, Vec<Expr>, Vec<usize>), Findings> {
        let schema = self.schemas[source].clone();
        let (expr, aggregates) = self.compiler.aggregate(&m.value, &schema, params)?;
        let mut atoms = Vec::new();
        if source == feed {
            atoms.extend(self.atoms(source, file.filter.as_ref(), params)?);
        }
        atoms.extend(self.atoms(source, m.filter.as_ref(), params)?);
        Ok((expr, aggregates, atoms))
    }

    /// One aggregate as part of a slice; the flag tells whether it can only grow with more rows.
    #[allow(clippy::too_many_arguments, reason = "what identifies a slice")]
    fn aggregate(
        &mut self,
        feed: usize,
        (keying, space): (usize, usize),
        time: usize,
        base: &[usize],
        aggregate: &Expr,
        ask: &Ask,
        sql: &Sql,
    ) -> Result<(Aggregate, bool), Findings> {
        let Expr::AggregateFunction(function) = aggregate else {
            return Err(vec![Diagnostic::error(
                "rule::syntax",
                sql.span.clone(),
                "not an aggregate",
            )]);
        };
        let schema = self.schemas[feed].clone();
        let mut atoms = base.to_vec();
        if let Some(filter) = &function.params.filter {
            for atom in Compiler::conjuncts(filter) {
                atoms.push(self.atom(feed, &atom, sql)?);
            }
        }
        let filter = self.filter(feed, atoms);
        let data_type =
            aggregate.get_type(&schema).map_err(|e| vec![planning(sql, &e.strip_backtrace())])?;
        let slice = self.slice(feed, filter, (keying, space), time, ask);
        let (read, zero, grows) = self.read(feed, slice, function, &schema, sql)?;
        Ok((Aggregate { slice, read, data_type, zero }, grows))
    }

    /// How an aggregate is read from its slice, whether no rows give 0, and whether it only grows.
    fn read(
        &mut self,
        feed: usize,
        slice: usize,
        function: &AggregateFunction,
        schema: &DFSchema,
        sql: &Sql,
    ) -> Result<(Read, bool, bool), Findings> {
        let p = &function.params;
        let name = function.func.name();
        let arg = p.args.first();
        let arg_type = arg.and_then(|a| a.get_type(schema).ok()).unwrap_or(DataType::Null);
        let number =
            matches!(arg_type, DataType::Int64 | DataType::Float64 | DataType::Decimal128(..));
        let orders = number
            || matches!(arg_type, DataType::Date32 | DataType::Timestamp(..) | DataType::Boolean);
        let by_event_time = self.orders_by_event_time(feed, &p.order_by);
        let kernel = match (name, p.distinct, arg) {
            ("count", false, Some(Expr::Literal(v, _))) if !v.is_null() => {
                return Ok((Read::Rows, true, true));
            }
            ("count", false, None) => return Ok((Read::Rows, true, true)),
            ("count", false, Some(_)) if p.args.len() == 1 => {
                Some((Kernel::NonNull, Form::Presence))
            }
            ("count", true, Some(_)) if p.args.len() == 1 => {
                Some((Kernel::Distinct, Form::Identity))
            }
            ("sum", false, Some(_)) if number => Some((Kernel::Sum, Form::Fixed)),
            ("avg", false, Some(_)) if number => Some((Kernel::Sum, Form::Fixed)),
            ("min", _, Some(_)) if orders => Some((Kernel::Min, Form::Order)),
            ("max", _, Some(_)) if orders => Some((Kernel::Max, Form::Order)),
            ("first_value", false, Some(_)) if orders && by_event_time == Some(true) => {
                Some((Kernel::First, Form::Order))
            }
            ("first_value", false, Some(_)) if orders && by_event_time == Some(false) => {
                Some((Kernel::Last, Form::Order))
            }
            ("last_value", false, Some(_)) if orders && by_event_time == Some(true) => {
                Some((Kernel::Last, Form::Order))
            }
            ("last_value", false, Some(_)) if orders && by_event_time == Some(false) => {
                Some((Kernel::First, Form::Order))
            }
            _ => None,
        };
        let Some(((kernel, form), arg)) = kernel.zip(arg) else {
            return Ok((Read::FromRows(self.second_tier(function, schema, sql)?), false, false));
        };
        let argument = self.argument(feed, arg, form, schema, sql)?;
        let slot = self.slices[slice].plan.slot(kernel, argument);
        let read = if name == "avg" { Read::Mean(slot, arg_type) } else { Read::Slot(slot) };
        let zero = matches!(kernel, Kernel::NonNull | Kernel::Distinct) || name == "sum";
        let grows = match kernel {
            Kernel::NonNull | Kernel::Distinct => true,
            Kernel::Sum => name == "sum" && self.never_negative(feed, arg),
            _ => false,
        };
        Ok((read, zero, grows))
    }

    fn second_tier(
        &self,
        function: &AggregateFunction,
        schema: &DFSchema,
        sql: &Sql,
    ) -> Result<RowAggregate, Findings> {
        let mut bare = function.clone();
        bare.params.filter = None;
        let expr = Expr::AggregateFunction(bare);
        let props = ExecutionProps::new();
        let context = PhysicalPlanningContext::default();
        let lowered =
            LoweredAggregateBuilder::new(&expr, schema, schema.as_arrow(), &props, &context)
                .build()
                .map_err(|e| vec![planning(sql, &e.strip_backtrace())])?;
        Ok(RowAggregate::new(lowered.aggregate))
    }

    /// `Some(ascending)` when the aggregate is ordered by the feed's event time alone.
    fn orders_by_event_time(&self, feed: usize, order_by: &[Sort]) -> Option<bool> {
        let schema = &self.contexts[feed].schema;
        match order_by {
            [Sort { expr: Expr::Column(c), asc, .. }]
                if schema.columns[schema.event_time].name == c.name =>
            {
                Some(*asc)
            }
            _ => None,
        }
    }

    fn never_negative(&self, feed: usize, arg: &Expr) -> bool {
        let schema = &self.contexts[feed].schema;
        // Coercion may have wrapped the column in a cast.
        let column = match arg {
            Expr::Column(c) => Some(&c.name),
            Expr::Cast(c) => match c.expr.as_ref() {
                Expr::Column(c) => Some(&c.name),
                _ => None,
            },
            _ => None,
        };
        column
            .and_then(|n| schema.position(n))
            .and_then(|i| schema.columns[i].min)
            .is_some_and(|m| m >= 0.0)
    }

    fn slice(
        &mut self,
        feed: usize,
        filter: usize,
        (keying, space): (usize, usize),
        time: usize,
        ask: &Ask,
    ) -> usize {
        let session = matches!(ask.window, WindowSpec::Session { .. });
        let found = self.slices.iter().position(|s| {
            (s.feed, s.filter, s.keying, s.time, s.session) == (feed, filter, keying, time, session)
        });
        let i = found.unwrap_or_else(|| {
            let plan = SlicePlan {
                feed,
                filter,
                keying,
                lane: 0,
                space,
                grid: PaneGrid { len_ms: 1, origin_ms: 0 },
                slots: Vec::new(),
                stride: 0,
                carry: Vec::new(),
                hot_at: 0,
                waits: Vec::new(),
                keep_ms: 0,
            };
            self.slices.push(SliceBuilder {
                feed,
                filter,
                keying,
                time,
                session,
                windows: Vec::new(),
                shifts: Vec::new(),
                keep_ms: 0,
                hot_at: None,
                waits: Some(Vec::new()),
                plan,
            });
            self.slices.len() - 1
        });
        let slice = &mut self.slices[i];
        position_or_push(&mut slice.windows, ask.window);
        for s in &ask.shifts {
            position_or_push(&mut slice.shifts, *s);
        }
        let every = match ask.window {
            WindowSpec::Sliding { every_ms, .. } => every_ms,
            WindowSpec::Session { gap_ms, max_ms } => 2 * (gap_ms + max_ms),
        };
        let shift = ask.shifts.iter().copied().max().unwrap_or(0);
        slice.keep_ms = slice.keep_ms.max(ask.window.width_max() + 2 * every + shift);
        i
    }

    fn atoms(
        &mut self,
        feed: usize,
        sql: Option<&Sql>,
        params: &[(String, ScalarValue)],
    ) -> Result<Vec<usize>, Findings> {
        let Some(sql) = sql else { return Ok(Vec::new()) };
        let expr = self.compiler.boolean(sql, &self.schemas[feed], params)?;
        Compiler::conjuncts(&expr).iter().map(|a| self.atom(feed, a, sql)).collect()
    }

    fn atom(&mut self, feed: usize, expr: &Expr, sql: &Sql) -> Result<usize, Findings> {
        if let Some(i) = self.feeds[feed].atoms.get(expr) {
            return Ok(*i);
        }
        let bound = self.bind(expr, &self.schemas[feed], sql)?;
        let f = &mut self.feeds[feed];
        f.atom_list.push(bound);
        f.atoms.insert(expr.clone(), f.atom_list.len() - 1);
        Ok(f.atom_list.len() - 1)
    }

    fn filter(&mut self, feed: usize, mut atoms: Vec<usize>) -> usize {
        atoms.sort_unstable();
        atoms.dedup();
        let f = &mut self.feeds[feed];
        let next = f.filter_list.len();
        let list = &mut f.filter_list;
        *f.filters.entry(atoms.clone()).or_insert_with(|| {
            list.push(atoms);
            next
        })
    }

    /// The keying of a rule's key over one of its feeds, and its space.
    fn keying(
        &mut self,
        file: &RuleFile,
        feed: usize,
        params: &[(String, ScalarValue)],
    ) -> Result<(usize, usize), Findings> {
        let names: Vec<&str> = file.key.iter().map(|k| k.name.as_str()).collect();
        self.peer_keying(file, feed, &names, params)
    }

    /// The keying of some of a rule's key columns.
    fn peer_keying(
        &mut self,
        file: &RuleFile,
        feed: usize,
        names: &[&str],
        params: &[(String, ScalarValue)],
    ) -> Result<(usize, usize), Findings> {
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        for name in names {
            let Some(k) = file.key.iter().find(|k| k.name == *name) else {
                let message = format!(
                    "rule {:?}: peers key {name:?} is not one of the rule's key columns",
                    file.id.value
                );
                return Err(vec![Diagnostic::error(
                    "rule::unknown_column",
                    file.id.span.clone(),
                    message,
                )]);
            };
            let expr = self.compiler.scalar(&k.sql, &self.schemas[feed], params)?;
            columns.push(self.bind(&expr, &self.schemas[feed], &k.sql)?);
            exprs.push(expr);
        }
        let space = Space { names: names.iter().map(|n| (*n).to_owned()).collect() };
        let space = position_or_push(&mut self.spaces, space);
        let keep_null = file.missing_key == MissingKey::GroupNull;
        let f = &mut self.feeds[feed];
        let next = f.keying_list.len();
        let list = &mut f.keying_list;
        let keying = *f.keyings.entry((space, exprs, keep_null)).or_insert_with(|| {
            list.push(Keying { space, columns, keep_null });
            next
        });
        Ok((keying, space))
    }

    fn argument(
        &mut self,
        feed: usize,
        arg: &Expr,
        form: Form,
        schema: &DFSchema,
        sql: &Sql,
    ) -> Result<usize, Findings> {
        if let Some(i) = self.feeds[feed].args.get(&(arg.clone(), form)) {
            return Ok(*i);
        }
        let value = self.bind(arg, schema, sql)?;
        let f = &mut self.feeds[feed];
        f.arg_list.push(Argument { value, form });
        f.args.insert((arg.clone(), form), f.arg_list.len() - 1);
        Ok(f.arg_list.len() - 1)
    }

    fn feed(&self, name: &str, span: std::ops::Range<usize>) -> Result<usize, Findings> {
        self.contexts.iter().position(|f| f.schema.feed == name).ok_or_else(|| {
            let known = self.contexts.iter().map(|f| f.schema.feed.as_str());
            let near = crate::model::diagnostic::did_you_mean(name, known);
            let label = near.map_or_else(
                || "no feed file declares it".into(),
                |n| format!("did you mean {n:?}?"),
            );
            vec![
                Diagnostic::error("rule::unknown_feed", span, format!("there is no feed {name:?}"))
                    .label(label),
            ]
        })
    }

    /// The time column of a rule in a feed: `time:` where the feed has it, else its event time.
    fn time_column(&self, file: &RuleFile, feed: usize) -> usize {
        let schema = &self.contexts[feed].schema;
        file.time.as_ref().and_then(|t| schema.position(&t.value)).unwrap_or(schema.event_time)
    }

    fn delay(&self, feed: usize, time: usize) -> i64 {
        let delays = &self.contexts[feed].schema.delays;
        delays.iter().find(|(c, _)| *c == time).map_or(0, |(_, ms)| *ms)
    }

    fn alert(&self, file: &RuleFile, feed: usize) -> AlertPlan {
        let a = &file.alert;
        let schema = &self.contexts[feed].schema;
        let template = |t: &Option<crate::model::yaml::Spanned<String>>| {
            t.as_ref().and_then(|t| super::message::Template::parse(&t.value).ok())
        };
        let messages = (template(&a.message.zh), template(&a.message.en));
        let mut columns: Vec<(String, usize)> = Vec::new();
        let mut add = |name: &str| {
            let own = schema.position(name);
            // `{ucc_name}`: what people call a key column, from the column the feed names for it.
            let alias = || {
                let base = name.strip_suffix("_name")?;
                let key = schema.position(base)?;
                schema.names.iter().find(|(k, _)| *k == key).map(|(_, n)| *n)
            };
            if let Some(i) = own.or_else(alias)
                && !columns.iter().any(|(n, _)| n == name)
            {
                columns.push((name.to_owned(), i));
            }
        };
        a.group.iter().for_each(|g| add(&g.value));
        a.show.iter().for_each(|g| add(&g.value));
        for t in [&messages.0, &messages.1].into_iter().flatten() {
            t.names().for_each(|(name, _)| add(name));
        }
        let keys: Vec<&str> = file.key.iter().map(|k| k.name.as_str()).collect();
        columns.retain(|(n, _)| !keys.contains(&n.as_str()));
        AlertPlan {
            hold_ms: a.hold_ms,
            keep_ms: a.keep_ms,
            context: (!columns.is_empty()).then_some((feed, columns)),
            messages,
        }
    }

    /// What a window of each slice must have before the rule can fire.
    fn note_hot(&mut self, slices: &[usize], aggregates: &[Aggregate], bounds: &[(usize, f64)]) {
        for s in slices {
            let weight = bounds.iter().find_map(|b| self.weight(*s, aggregates, *b));
            let waits = &mut self.slices[*s].waits;
            match (waits.as_mut(), weight) {
                (Some(all), Some(weight)) => match all.iter_mut().find(|w| w.arg == weight.arg) {
                    Some(same) => same.per = same.per.max(weight.per),
                    None => {
                        all.push(weight);
                        all.sort_by_key(|w| w.arg);
                    }
                },
                _ => *waits = None,
            }
            let rows = |(a, bound): &(usize, f64)| {
                let a = &aggregates[*a];
                let counts = match a.read {
                    Read::Rows => true,
                    // Distinct and present values are never more than rows.
                    Read::Slot(slot) => {
                        let kind = self.slices[a.slice].plan.slots[slot].kind;
                        matches!(kind, Kernel::Distinct | Kernel::NonNull)
                    }
                    _ => false,
                };
                (a.slice == *s && counts).then_some(bound.ceil().clamp(0.0, 1e9) as u32)
            };
            let needed = bounds.iter().filter_map(rows).max().unwrap_or(0);
            let hot_at = &mut self.slices[*s].hot_at;
            *hot_at = Some(hot_at.map_or(needed, |h| h.min(needed)));
        }
    }

    /// The weight of a row towards a bound on a count or a sum of the slice.
    fn weight(
        &self,
        slice: usize,
        aggregates: &[Aggregate],
        (a, bound): (usize, f64),
    ) -> Option<Weight> {
        let a = &aggregates[a];
        if a.slice != slice || bound < 1.0 {
            return None;
        }
        let rows = Weight { arg: None, per: 1.0 / bound };
        let slot = match a.read {
            Read::Rows => return (bound >= WAIT_FROM).then_some(rows),
            Read::Slot(slot) => self.slices[slice].plan.slots[slot],
            _ => return None,
        };
        match slot.kind {
            // Distinct and present values are never more than rows.
            Kernel::Distinct | Kernel::NonNull => (bound >= WAIT_FROM).then_some(rows),
            Kernel::Sum => {
                let arg = &self.feeds[self.slices[slice].plan.feed].arg_list[slot.arg];
                let unit = kernel::unit(arg.value.data_type());
                Some(Weight { arg: Some(slot.arg), per: 1.0 / (bound * unit) })
            }
            _ => None,
        }
    }

    fn bind(&self, expr: &Expr, schema: &DFSchema, sql: &Sql) -> Result<Expression, Findings> {
        Compiled::bind(&self.compiler, expr, schema).map_err(|e| vec![planning(sql, &e)])
    }

    fn finish(self, rules: Vec<RulePlan>) -> Plan {
        let mut lanes: Vec<Vec<Lane>> = self.feeds.iter().map(|_| Vec::new()).collect();
        let mut by_feed: Vec<Vec<usize>> = self.feeds.iter().map(|_| Vec::new()).collect();
        let slices = self.slices.into_iter().enumerate().map(|(i, s)| {
            let grid = if s.session {
                PaneGrid { len_ms: SECOND_MS, origin_ms: 0 }
            } else {
                PaneGrid::of(&s.windows, &s.shifts)
            };
            let lane = position_or_push(&mut lanes[s.feed], Lane { time: s.time, grid });
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
            .map(|((f, lanes), slices)| {
                Arc::new(FeedPlan {
                    filters: f.filter_list,
                    atoms: f.atom_list,
                    keyings: f.keying_list,
                    args: f.arg_list,
                    lanes,
                    slices,
                })
            })
            .collect();
        let panes = Arc::new(PanePlan { feeds, spaces: self.spaces, slices, links: self.links });
        Plan { panes, schemas: self.contexts.iter().map(|c| c.schema.clone()).collect(), rules }
    }
}

/// How much earlier the windows of a compare end.
fn shifts_of(compare: &Compare) -> Vec<i64> {
    match compare {
        Compare::Shift { shift_ms } => vec![*shift_ms],
        Compare::History { windows, step_ms, skip, .. } => {
            (1..=i64::from(*windows)).map(|i| (i + i64::from(*skip)) * step_ms).collect()
        }
        Compare::Peers { .. } => Vec::new(),
    }
}

/// The measure's aggregate columns at their place among the rule's.
fn renumber(expr: &Expr, offset: usize, count: usize) -> Expr {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let renamed = expr.clone().transform(|e| {
        let Expr::Column(c) = &e else { return Ok(Transformed::no(e)) };
        let own = (0..count).find(|i| super::expr::aggregate_column(*i) == c.name);
        Ok(match own {
            Some(i) => {
                let name = super::expr::aggregate_column(i + offset);
                Transformed::yes(Expr::Column(datafusion::common::Column::new_unqualified(name)))
            }
            None => Transformed::no(e),
        })
    });
    renamed.map_or_else(|_| expr.clone(), |t| t.data)
}

fn df_schema(schema: &SchemaRef) -> Result<DFSchema, Findings> {
    DFSchema::try_from(schema.as_ref().clone())
        .map_err(|e| vec![Diagnostic::error("rule::duplicate_name", 0..0, e.strip_backtrace())])
}

fn planning(sql: &Sql, message: &str) -> Diagnostic {
    Diagnostic::error("rule::type_mismatch", sql.span.clone(), message.to_owned())
}

fn missing(file: &RuleFile, field: &str, example: &str) -> Diagnostic {
    let message = format!("rule {:?} of kind window has no {field:?}", file.id.value);
    Diagnostic::error("rule::missing_field", file.id.span.clone(), message)
        .help(format!("add `{example}`"))
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
