//! Window rules: measures over shared slices, compares with other windows, and conditions over both.
//!
//! In: a rule and what its expressions mean. Out: its plan. Whether it may fire before its window closes is decided here,
//! because it depends on how the aggregates are read.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::{
    common::{
        Column,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::Expr,
};

use super::{
    Builder, Findings,
    aggregate::Source,
    df_schema, name_text, position_or_push,
    slices::{Ask, Clock},
};
use crate::{
    model::{
        diagnostic::Diagnostic,
        expression::Expression,
        window::WindowSpec,
        yaml::{Spanned, Sql},
    },
    pane::plan::{Link, Reported},
    rule::{
        detection::DetectPlan,
        expr::{Growth, aggregate_column, lower_bounds, monotone, whole_bounds},
        file::{Compare, RuleFile},
        nowcast::NowcastPlan,
        plan::{Aggregate, ComparePlan, CompareWith, Measure, Read, RulePlan},
        scope::{Resolved, told_fields},
    },
};

/// The aggregates of a rule's measures, in the order of the measures.
struct Gathered {
    aggregates: Vec<Aggregate>,
    /// By aggregate: whether it can only grow with more rows.
    growing: Vec<bool>,
    /// The same aggregates by the peers' key, per compare; empty for those with others.
    by_peers: Vec<Vec<Aggregate>>,
    /// Position of each measure's first aggregate.
    offsets: Vec<usize>,
    slices: Vec<usize>,
    feeds: Vec<usize>,
    delay_ms: i64,
}

/// What conditions see: measures, then the columns of the compares.
struct Values {
    fields: Vec<Field>,
    compares: Vec<ComparePlan>,
    /// By column: how it changes while the window fills.
    growth: Vec<Growth>,
}

impl Builder<'_> {
    pub(super) fn window(
        &mut self,
        file: &RuleFile,
        meant: &Resolved,
    ) -> Result<RulePlan, Findings> {
        let Some(window) = file.window.as_ref().map(|w| w.value) else {
            return Err(vec![missing(file, "window", "window: {sliding: 7d, every: 1d}")]);
        };
        let Some((when_sql, when)) = file.when.as_ref().zip(meant.when.as_ref()) else {
            return Err(vec![missing(file, "when", "when: n >= 10")]);
        };
        let detect = file.detect.as_ref().map(|d| DetectPlan::new(d, file));
        let shifts: Vec<i64> = file.compares.iter().flat_map(|c| shifts_of(&c.with)).collect();
        let baseline = detect.as_ref().map(DetectPlan::lookback_ms);
        let lookback_ms = shifts.iter().copied().chain(baseline).max().unwrap_or(0);
        let explained = detect.as_ref().map_or(0, |d| d.period.longest_ms(d.explained()));
        let beyond = baseline.unwrap_or(0) + explained;
        let ask = Ask { window, shifts, beyond_ms: beyond };
        let (_, space) = self.own_keying(file, meant.feed, &meant.key)?;
        let mut gathered = self.gather(file, meant, &ask)?;
        let (aggregate_schema, measures) = self.measures(file, meant, &gathered)?;
        let values = self.values(file, meant, &measures, &mut gathered)?;
        let value_schema: SchemaRef = Arc::new(Schema::new(values.fields.clone()));
        let over = df_schema(&value_schema)?;

        let terms = self.terms(when, &over, when_sql)?;
        let clear = file.clear.as_ref().zip(meant.clear.as_ref());
        let clear = clear.map(|(sql, e)| self.bind(e, &over, sql)).transpose()?;
        let reraise = file.alert.reraise.as_ref().zip(meant.reraise.as_ref());
        let reraise = reraise.map(|(sql, e)| self.reraise(e, &values.fields, sql)).transpose()?;

        let class =
            |name: &str| value_schema.index_of(name).map_or(Growth::Other, |i| values.growth[i]);
        let mut conditions = meant.severity.iter().filter_map(|(_, e)| e.as_ref()).chain([when]);
        // A detector judges a period that has ended.
        let early = matches!(window, WindowSpec::Sliding { .. })
            && detect.is_none()
            && conditions.all(|c| monotone(c, &class));
        let bound = |(name, bound): (String, f64)| {
            let measure = measures.iter().find(|m| m.name == name)?;
            Some((measure.value.column()?, bound))
        };
        let bounds: Vec<(usize, f64)> = lower_bounds(when).into_iter().filter_map(bound).collect();
        self.all_rows(file, meant, &ask, &bounds, &mut gathered)?;
        let detect = detect.map(|plan| self.reported(file, plan, &gathered, &ask)).transpose()?;
        let wait_ms = match detect.as_ref().and_then(|d| d.nowcast.as_ref()) {
            Some(nowcast) => nowcast.wait_ms(),
            None => gathered.delay_ms,
        };
        let beside = detect.iter().flat_map(|d| &d.nowcast).flat_map(NowcastPlan::beside).collect();
        self.note_hot(&gathered.slices, &gathered.aggregates, &bounds);
        let severity = self.ladder(file, meant, &over)?;
        let plain = clear.is_none()
            && detect.is_none()
            && values.compares.is_empty()
            && severity.first().is_none_or(|(_, condition)| condition.is_none());
        let least = plain.then(|| least(when, &measures, &gathered.aggregates)).flatten();
        Ok(RulePlan {
            window: Some(window),
            slices: gathered.slices,
            feeds: gathered.feeds,
            delay_ms: gathered.delay_ms,
            wait_ms,
            beside,
            aggregates: gathered.aggregates,
            aggregate_schema,
            measures,
            compares: values.compares,
            value_texts: values.fields.iter().map(name_text).collect(),
            value_schema,
            lookback_ms,
            when: Some(self.bind(when, &over, when_sql)?),
            terms,
            clear,
            severity,
            reraise,
            early,
            bounds,
            least,
            detect,
            ..self.plain(file, meant.feed, space)
        })
    }

    /// Finds a slice for every aggregate of every measure, and of its peers.
    fn gather(
        &mut self,
        file: &RuleFile,
        meant: &Resolved,
        ask: &Ask,
    ) -> Result<Gathered, Findings> {
        let mut out = Gathered {
            aggregates: Vec::new(),
            growing: Vec::new(),
            by_peers: file.compares.iter().map(|_| Vec::new()).collect(),
            offsets: Vec::new(),
            slices: Vec::new(),
            feeds: Vec::new(),
            delay_ms: 0,
        };
        for (m, measure) in file.measures.iter().zip(&meant.measures) {
            let feed = measure.feed;
            let mut atoms = Vec::new();
            if feed == meant.feed {
                atoms.extend(self.atoms(feed, file.filter.as_ref(), meant.filter.as_ref())?);
            }
            atoms.extend(self.atoms(feed, m.filter.as_ref(), measure.filter.as_ref())?);
            let key = self.own_keying(file, feed, &measure.key)?;
            let clock = self.clock(file, feed);
            let source = Source { feed, key, clock, atoms: &atoms, ask, sql: &m.value };
            out.delay_ms = out.delay_ms.max(self.delay(feed, clock.time));
            position_or_push(&mut out.feeds, feed);
            out.offsets.push(out.aggregates.len());
            for aggregate in &measure.aggregates {
                let (own, grows) = self.aggregate(source, aggregate)?;
                position_or_push(&mut out.slices, own.slice);
                for (i, c) in file.compares.iter().enumerate() {
                    if let Compare::Peers { key } = &c.with {
                        let key = self.keying(file, feed, &measure.key, &positions(file, key))?;
                        let peers = self.aggregate(Source { key, ..source }, aggregate)?;
                        out.by_peers[i].push(peers.0);
                    }
                }
                out.aggregates.push(own);
                out.growing.push(grows);
            }
        }
        Ok(out)
    }

    /// A window with rows of which no measure counts one is still a window with rows, and a session lasts while there are
    /// rows: then their slice is read too. Where `when` asks for a count there is nothing to see without one.
    fn all_rows(
        &mut self,
        file: &RuleFile,
        meant: &Resolved,
        ask: &Ask,
        bounds: &[(usize, f64)],
        gathered: &mut Gathered,
    ) -> Result<(), Findings> {
        let asked = bounds.iter().any(|(_, bound)| *bound > 0.0);
        let session = matches!(ask.window, WindowSpec::Session { .. });
        if (asked && !session) || meant.measures.iter().all(|m| m.feed != meant.feed) {
            return Ok(());
        }
        let atoms = self.atoms(meant.feed, file.filter.as_ref(), meant.filter.as_ref())?;
        let filter = self.filter(meant.feed, atoms);
        let key = self.own_keying(file, meant.feed, &meant.key)?;
        let clock = self.clock(file, meant.feed);
        let all = self.slice(meant.feed, filter, key, clock, ask);
        position_or_push(&mut gathered.slices, all);
        Ok(())
    }

    /// By what time the rows of a rule's measures lie in panes; with a nowcast those that are reported when it is judged.
    fn clock(&self, file: &RuleFile, feed: usize) -> Clock {
        let nowcast = file.detect.as_ref().and_then(|d| Some((d.nowcast.as_ref()?, d.periods()?)));
        let reported = nowcast.map(|(n, periods)| Reported { periods, from: 0, to: n.wait as i32 });
        Clock { time: self.time_column(file, feed), reported }
    }

    /// A detector's plan with the slices that its nowcast reads, if it has one: all rows, and the rows of each delay.
    fn reported(
        &mut self,
        file: &RuleFile,
        mut plan: DetectPlan,
        gathered: &Gathered,
        ask: &Ask,
    ) -> Result<DetectPlan, Findings> {
        let nowcast = file.detect.as_ref().and_then(|d| Some((d.nowcast.as_ref()?, d.periods()?)));
        let Some((nowcast, periods)) = nowcast else { return Ok(plan) };
        let Some(Aggregate { slice, read: Read::Rows, .. }) = gathered.aggregates.first() else {
            let message = "a nowcast corrects a number of records, the series is something else";
            let finding = Diagnostic::error("rule::impossible", nowcast.span.clone(), message);
            return Err(vec![finding.label("write value: count(*), or take nowcast out")]);
        };
        let (feed, filter, keying, time) = {
            let own = &self.slices[*slice];
            (own.feed, own.filter, (own.keying, own.plan.space), own.clock.time)
        };
        let longest = nowcast.method.max_delay as i32;
        let mut of = |reported: Option<Reported>, ask: &Ask| {
            self.slice(feed, filter, keying, Clock { time, reported }, ask)
        };
        let all = of(None, ask);
        let explained = ask.beyond_ms - plan.lookback_ms();
        let back = nowcast.reach() as i64 * periods.len_ms;
        let ask = Ask { beyond_ms: back + explained, ..ask.clone() };
        let by_delay = (0..=longest).map(|delay| {
            let to = if delay == longest { i32::MAX } else { delay };
            of(Some(Reported { periods, from: delay, to }), &ask)
        });
        let by_delay = by_delay.collect();
        let nowcast = NowcastPlan::new(nowcast, periods, all, by_delay);
        plan.nowcast = Some(nowcast);
        Ok(plan)
    }

    /// The measures over the schema of all aggregates.
    fn measures(
        &self,
        file: &RuleFile,
        meant: &Resolved,
        gathered: &Gathered,
    ) -> Result<(SchemaRef, Vec<Measure>), Findings> {
        let field = |(i, a): (usize, &Aggregate)| {
            Field::new(aggregate_column(i), a.data_type.clone(), true)
        };
        let fields: Vec<Field> = gathered.aggregates.iter().enumerate().map(field).collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let over = df_schema(&schema)?;
        let mut measures = Vec::new();
        for ((m, measure), offset) in
            file.measures.iter().zip(&meant.measures).zip(&gathered.offsets)
        {
            let Some(value) = &measure.value else { continue };
            let value = renumber(value, *offset, measure.aggregates.len());
            let value = self.bind(&value, &over, &m.value)?;
            measures.push(Measure { name: m.name.value.clone(), value });
        }
        Ok((schema, measures))
    }

    fn values(
        &mut self,
        file: &RuleFile,
        meant: &Resolved,
        measures: &[Measure],
        gathered: &mut Gathered,
    ) -> Result<Values, Findings> {
        let field = |m: &Measure| Field::new(&m.name, m.value.data_type().clone(), true);
        let grows = |m: &Measure| m.value.column().is_some_and(|c| gathered.growing[c]);
        let growth = |m: &Measure| if grows(m) { Growth::Growing } else { Growth::Other };
        let mut out = Values {
            fields: measures.iter().map(field).collect(),
            growth: measures.iter().map(growth).collect(),
            compares: Vec::new(),
        };
        for (i, c) in file.compares.iter().enumerate() {
            let by_peers = std::mem::take(&mut gathered.by_peers[i]);
            let with = self.compare(file, meant, &c.with, by_peers)?;
            let growth = match with {
                CompareWith::Peers { .. } => Growth::Other,
                CompareWith::Shift(_) | CompareWith::History { .. } => Growth::Fixed,
            };
            for m in measures {
                let kind = match with {
                    CompareWith::History { .. } => DataType::Float64,
                    _ => m.value.data_type().clone(),
                };
                out.fields.push(Field::new(format!("{}.{}", c.name.value, m.name), kind, true));
                out.growth.push(growth);
            }
            let measures = (0..measures.len()).collect();
            out.compares.push(ComparePlan { name: c.name.value.clone(), with, measures });
        }
        if file.detect.is_some() {
            out.fields.extend(told_fields(file));
            out.growth.resize(out.fields.len(), Growth::Other);
        }
        Ok(out)
    }

    fn compare(
        &mut self,
        file: &RuleFile,
        meant: &Resolved,
        with: &Compare,
        aggregates: Vec<Aggregate>,
    ) -> Result<CompareWith, Findings> {
        Ok(match with {
            Compare::Shift { shift_ms } => CompareWith::Shift(*shift_ms),
            Compare::History { of, .. } => {
                CompareWith::History { shifts: shifts_of(with), of: *of }
            }
            Compare::Peers { key } => {
                let columns = positions(file, key);
                let (peer_keying, space) = self.keying(file, meant.feed, &meant.key, &columns)?;
                let (keying, _) = self.own_keying(file, meant.feed, &meant.key)?;
                let link = Link { feed: meant.feed, keying, peer_keying };
                let link = position_or_push(&mut self.links, link);
                CompareWith::Peers { columns, space, link, aggregates }
            }
        })
    }

    /// `reraise` over the values followed by the same columns as they were told last.
    fn reraise(
        &self,
        expr: &Expr,
        values: &[Field],
        sql: &Sql,
    ) -> Result<(Expression, SchemaRef), Findings> {
        let last = |f: &Field| f.clone().with_name(format!("last.{}", f.name()));
        let both: Vec<Field> = values.iter().cloned().chain(values.iter().map(last)).collect();
        let schema: SchemaRef = Arc::new(Schema::new(both));
        Ok((self.bind(expr, &df_schema(&schema)?, sql)?, schema))
    }
}

/// See [`RulePlan::least`]; nothing is known of `clear`, compares and severities here.
fn least(when: &Expr, measures: &[Measure], aggregates: &[Aggregate]) -> Option<Vec<i64>> {
    let bare: Option<Vec<&Aggregate>> =
        measures.iter().map(|m| m.value.column().map(|a| &aggregates[a])).collect();
    let bare = bare?;
    let mut least = vec![i64::MIN; measures.len()];
    for (name, bound) in whole_bounds(when)? {
        let m = measures.iter().position(|m| m.name == name)?;
        let kept = matches!(bare[m].read, Read::Rows | Read::Slot(_));
        if !kept || bare[m].data_type != DataType::Int64 {
            return None;
        }
        least[m] = least[m].max(bound);
    }
    least.iter().any(|n| *n >= 1).then_some(least)
}

/// Positions of the peers' key columns in the rule's key.
fn positions(file: &RuleFile, key: &[Spanned<String>]) -> Vec<usize> {
    key.iter().filter_map(|name| file.key.iter().position(|k| k.name == name.value)).collect()
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
    let renamed = expr.clone().transform(|e| {
        let Expr::Column(c) = &e else { return Ok(Transformed::no(e)) };
        let own = (0..count).find(|i| aggregate_column(*i) == c.name);
        Ok(match own {
            Some(i) => {
                let name = aggregate_column(i + offset);
                Transformed::yes(Expr::Column(Column::new_unqualified(name)))
            }
            None => Transformed::no(e),
        })
    });
    renamed.map_or_else(|_| expr.clone(), |t| t.data)
}

fn missing(file: &RuleFile, field: &str, example: &str) -> Diagnostic {
    let message = format!("rule {:?} of kind window has no {field:?}", file.id.value);
    Diagnostic::error("yaml::missing_field", file.id.span.clone(), message)
        .help(format!("add `{example}`"))
}
