//! What a rule's expressions mean: every name bound to a feed's column, a measure or a compare.
//!
//! In: a rule file and the schemas of all feeds. Out: [`Resolved`], the compiled expressions with the schemas they stand
//! over, and the findings of compiling them. `check` judges the result, `compile` plans it; so what was checked is what
//! runs.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field};
use datafusion::{
    common::DFSchema,
    logical_expr::{Expr, ExprSchemable},
    scalar::ScalarValue,
};

use super::{
    detector::{ADJUSTED, TOLD},
    expr::{Compiler, Growth, TIME, aggregate_column, literal, monotone_value},
    file::{Compare, Kind, RuleFile},
    first_seen,
    join::{self, JOINED},
    nowcast::NOWCAST,
    sequence::{
        file::StepFile,
        resolve::{ResolvedStep, fields_of, values_of},
    },
};
use crate::model::{
    diagnostic::{Diagnostic, did_you_mean},
    schema::FeedSchema,
    signal::Severity,
    yaml::{Spanned, Sql},
};

/// A rule with its expressions compiled. What could not be compiled is `None`, and a finding says why.
#[derive(Debug)]
pub struct Resolved {
    /// Position of the rule's feed.
    pub feed: usize,
    /// The rows of that feed.
    pub rows: DFSchema,
    /// `where`.
    pub filter: Option<Expr>,
    /// The key's expressions over `rows`, in the rule's order.
    pub key: Vec<Option<Expr>>,
    /// The measures in the rule's order.
    pub measures: Vec<Measure>,
    /// What `when` sees: measures, then `compare.measure` for each compare and measure; for instant rules the rows; for
    /// sequences, whose ladder sees it, `step.column`; for first-seen rules `first_at`, then the columns.
    pub values: DFSchema,
    /// `when`
    pub when: Option<Expr>,
    /// `clear`
    pub clear: Option<Expr>,
    /// The ladder, highest first; the last has no condition.
    pub severity: Vec<(Severity, Option<Expr>)>,
    /// `reraise`, over `values` followed by the same columns as `last.…`.
    pub reraise: Option<Expr>,
    /// The schema of `reraise`.
    pub reraise_values: DFSchema,
    /// The rule's parameters as literals.
    pub params: Vec<(String, ScalarValue)>,
    /// The steps of a sequence in the rule's order; of a first-seen rule its only one.
    pub steps: Vec<ResolvedStep>,
}

/// A compiled measure.
#[derive(Debug)]
pub struct Measure {
    /// Its name.
    pub name: String,
    /// Position of its feed.
    pub feed: usize,
    /// Its own filter, over the rows of its feed.
    pub filter: Option<Expr>,
    /// The key's expressions over the rows of its feed.
    pub key: Vec<Option<Expr>>,
    /// Over the columns [`aggregate_column`]`(0..)`; `None` where it did not compile.
    pub value: Option<Expr>,
    /// The distinct aggregates, over the rows of its feed.
    pub aggregates: Vec<Expr>,
    /// Schema of the aggregates.
    pub aggregate_schema: DFSchema,
    /// Type of the value; `Null` where it did not compile.
    pub data_type: DataType,
    /// How it changes while rows come into the window.
    pub growth: Growth,
}

/// Compiles the expressions of a rule.
#[must_use]
pub fn resolve(
    compiler: &Compiler,
    rule: &RuleFile,
    feeds: &[&FeedSchema],
) -> (Option<Resolved>, Vec<Diagnostic>) {
    let mut work = Work { compiler, rule, feeds, params: params(rule), findings: Vec::new() };
    let resolved = work.rule();
    let mut findings = work.findings;
    for finding in &mut findings {
        finding.file.clone_from(&rule.path);
    }
    (resolved, findings)
}

/// The columns of a feed as expressions see them.
#[must_use]
pub fn rows_of(feed: &FeedSchema) -> DFSchema {
    schema_of(feed.arrow().fields().iter().map(|f| f.as_ref().clone()).collect())
}

/// The columns of a feed as the expressions of a rule see them: dated lists are asked about the day of the rule's time.
fn timed_rows(
    rule: &RuleFile,
    feeds: &[&FeedSchema],
    feed: &FeedSchema,
    time: Option<&Spanned<String>>,
) -> DFSchema {
    let own = time.and_then(|t| feed.position(&t.value));
    let column = &feed.columns[own.unwrap_or(feed.event_time)].name;
    let fields = feed.arrow().fields().iter().map(|f| f.as_ref().clone()).collect();
    let mut metadata = HashMap::from([(TIME.to_owned(), column.clone())]);
    let joined = join::aliases(rule, feeds, feed, time.map(|t| t.value.as_str()));
    if !joined.is_empty() {
        metadata.insert(JOINED.to_owned(), join::written(&joined));
    }
    schema_with(fields, metadata)
}

/// A schema of these columns; names may hold dots.
#[must_use]
pub fn schema_of(fields: Vec<Field>) -> DFSchema {
    schema_with(fields, HashMap::new())
}

fn schema_with(fields: Vec<Field>, metadata: HashMap<String, String>) -> DFSchema {
    // Unqualified fields with equal names are the only error; the first of them wins.
    let mut distinct: Vec<Field> = Vec::with_capacity(fields.len());
    for field in fields {
        if distinct.iter().all(|f| f.name() != field.name()) {
            distinct.push(field);
        }
    }
    DFSchema::from_unqualified_fields(distinct.into(), metadata)
        .unwrap_or_else(|_| DFSchema::empty())
}

struct Work<'a> {
    compiler: &'a Compiler,
    rule: &'a RuleFile,
    feeds: &'a [&'a FeedSchema],
    params: Vec<(String, ScalarValue)>,
    findings: Vec<Diagnostic>,
}

impl Work<'_> {
    fn rule(&mut self) -> Option<Resolved> {
        let rule = self.rule;
        let joins = join::resolve(self.compiler, rule, self.feeds);
        self.findings.extend(joins);
        if rule.kind.value == Kind::Sequence {
            return self.sequence();
        }
        let feed = self.feed(&rule.feed)?;
        let rows = timed_rows(rule, self.feeds, self.feeds[feed], rule.time.as_ref());
        let filter = rule.filter.as_ref().and_then(|sql| self.boolean(sql, Over::Rows(&rows)));
        let key = self.key_of(&rows);
        let measures: Vec<_> =
            rule.measures.iter().map(|m| self.measure(m, feed, &rows, &key)).collect();
        let values = match rule.kind.value {
            Kind::Instant => rows.clone(),
            Kind::FirstSeen => first_seen::values_of(&rows),
            Kind::Window | Kind::Detect | Kind::Sequence => self.values(&measures),
        };
        let when = rule.when.as_ref().and_then(|sql| self.boolean(sql, Over::Values(&values)));
        let clear = rule.clear.as_ref().and_then(|sql| self.boolean(sql, Over::Values(&values)));
        let severity = rule.severity.iter();
        let severity = severity
            .map(|(s, sql)| {
                (*s, sql.as_ref().and_then(|sql| self.boolean(sql, Over::Values(&values))))
            })
            .collect();
        let mut fields: Vec<Field> = values.fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.extend(
            values
                .fields()
                .iter()
                .map(|f| f.as_ref().clone().with_name(format!("last.{}", f.name()))),
        );
        let reraise_values = schema_of(fields);
        let reraise = rule
            .alert
            .reraise
            .as_ref()
            .and_then(|sql| self.boolean(sql, Over::Values(&reraise_values)));
        self.peers();
        let first_seen = rule.first_seen.as_ref();
        let distinct = first_seen.and_then(|f| f.distinct.as_ref()).and_then(|sql| {
            let compiled = self.compiler.scalar(sql, &rows, &self.params);
            self.keep(compiled, self.rule.unread.columns)
        });
        let step = first_seen.map(|_| ResolvedStep {
            feed: Some(feed),
            filter: filter.clone(),
            key: key.clone(),
            distinct,
            link: None,
        });
        let params = self.params.clone();
        Some(Resolved {
            feed,
            rows,
            filter,
            key,
            measures,
            values,
            when,
            clear,
            severity,
            reraise,
            reraise_values,
            params,
            steps: step.into_iter().collect(),
        })
    }

    fn sequence(&mut self) -> Option<Resolved> {
        let files = self.rule.sequence.as_ref().map_or(&[][..], |s| &s.steps);
        let feeds: Vec<Option<usize>> = files.iter().map(|step| self.feed(&step.feed)).collect();
        // Where the first is not there, the others are judged all the same.
        let feed = match feeds.is_empty() {
            true => self.feed(&self.rule.feed)?,
            false => feeds.iter().flatten().copied().next()?,
        };
        let steps: Vec<ResolvedStep> = feeds
            .iter()
            .enumerate()
            .map(|(i, feed)| self.step(&files[..=i], &feeds[..=i], *feed))
            .collect();
        let known = files.iter().zip(&feeds).filter_map(|(s, f)| Some((s, self.feeds[(*f)?])));
        let values = values_of(self.rule, self.feeds, &known.collect::<Vec<_>>());
        let ladder = self.rule.severity.iter();
        let severity = ladder
            .map(|(s, sql)| {
                (*s, sql.as_ref().and_then(|sql| self.boolean(sql, Over::Values(&values))))
            })
            .collect();
        Some(Resolved {
            feed,
            rows: rows_of(self.feeds[feed]),
            filter: None,
            key: steps.first().map_or_else(Vec::new, |s| s.key.clone()),
            measures: Vec::new(),
            values,
            when: None,
            clear: None,
            severity,
            reraise: None,
            reraise_values: DFSchema::empty(),
            params: self.params.clone(),
            steps,
        })
    }

    /// The last of these steps.
    fn step(
        &mut self,
        files: &[StepFile],
        feeds: &[Option<usize>],
        feed: Option<usize>,
    ) -> ResolvedStep {
        let none = ResolvedStep { feed, filter: None, key: Vec::new(), distinct: None, link: None };
        let (Some(file), Some(feed)) = (files.last(), feed) else { return none };
        let rows = timed_rows(
            self.rule,
            self.feeds,
            self.feeds[feed],
            file.time.as_ref().or(self.rule.time.as_ref()),
        );
        let key = match files.len() {
            1 => self.key_of(&rows),
            _ => self.key_over(&file.feed, "a step's feed needs the rule's key columns", &rows),
        };
        let filter = file.filter.as_ref().and_then(|sql| self.boolean(sql, Over::Rows(&rows)));
        let distinct = file.distinct.as_ref().and_then(|sql| {
            let compiled = self.compiler.scalar(sql, &rows, &self.params);
            self.keep(compiled, self.rule.unread.columns)
        });
        let link = file.link.as_ref().and_then(|sql| {
            let known = files.iter().zip(feeds).filter_map(|(s, f)| Some((s, self.feeds[(*f)?])));
            let all = feeds.iter().all(Option::is_some);
            let fields = known
                .flat_map(|(step, feed)| fields_of(self.rule, self.feeds, step, feed))
                .collect();
            let over = schema_of(fields);
            let compiled = self.compiler.boolean(sql, &over, &self.params);
            self.keep(compiled, self.rule.unread.columns || !all)
        });
        ResolvedStep { feed: Some(feed), filter, key, distinct, link }
    }

    /// The rule's key over the rows of its own feed.
    fn key_of(&mut self, rows: &DFSchema) -> Vec<Option<Expr>> {
        let compiled = |work: &mut Self, sql: &Sql| {
            let compiled = work.compiler.scalar(sql, rows, &work.params);
            work.keep(compiled, work.rule.unread.columns)
        };
        self.rule.key.iter().map(|k| compiled(self, &k.sql)).collect()
    }

    fn feed(&mut self, name: &Spanned<String>) -> Option<usize> {
        let found = self.feeds.iter().position(|f| f.feed == name.value);
        if found.is_none() {
            let label = match did_you_mean(&name.value, self.feeds.iter().map(|f| f.feed.as_str()))
            {
                Some(near) => format!("did you mean {near:?}?"),
                None if name.value == "signals" => {
                    "rules over signals are not run by this version".into()
                }
                None => format!("add rules/feeds/{}.yaml", name.value),
            };
            let message = format!("there is no feed {:?}", name.value);
            self.findings.push(
                Diagnostic::error("rule::unknown_feed", name.span.clone(), message).label(label),
            );
        }
        found
    }

    fn measure(
        &mut self,
        file: &super::file::MeasureFile,
        own: usize,
        rows: &DFSchema,
        own_key: &[Option<Expr>],
    ) -> Measure {
        let mut out = Measure {
            name: file.name.value.clone(),
            feed: own,
            filter: None,
            key: own_key.to_vec(),
            value: None,
            aggregates: Vec::new(),
            aggregate_schema: DFSchema::empty(),
            data_type: DataType::Null,
            growth: Growth::Other,
        };
        let mut rows = rows.clone();
        if let Some(name) = &file.feed {
            let Some(feed) = self.feed(name) else { return out };
            out.feed = feed;
            if feed != own {
                rows = timed_rows(self.rule, self.feeds, self.feeds[feed], self.rule.time.as_ref());
                out.key =
                    self.key_over(name, "a measure's feed needs the rule's key columns", &rows);
            }
        }
        out.filter = file.filter.as_ref().and_then(|sql| self.boolean(sql, Over::Rows(&rows)));
        let Some((value, aggregates)) = self.keep(
            self.compiler.aggregate(&file.value, &rows, &self.params),
            self.rule.unread.columns,
        ) else {
            return out;
        };
        let field = |(i, a): (usize, &Expr)| {
            Field::new(aggregate_column(i), a.get_type(&rows).unwrap_or(DataType::Null), true)
        };
        out.aggregate_schema = schema_of(aggregates.iter().enumerate().map(field).collect());
        out.data_type = value.get_type(&out.aggregate_schema).unwrap_or(DataType::Null);
        let feed = self.feeds[out.feed];
        let class = |name: &str| {
            let i = (0..aggregates.len()).find(|i| aggregate_column(*i) == name);
            i.map_or(Growth::Other, |i| aggregate_growth(&aggregates[i], feed))
        };
        out.growth = monotone_value(&value, &class);
        out.aggregates = aggregates;
        out.value = Some(value);
        out
    }

    /// The rule's key over another feed's rows: it must have the columns the key needs.
    fn key_over(
        &mut self,
        feed: &Spanned<String>,
        label: &str,
        rows: &DFSchema,
    ) -> Vec<Option<Expr>> {
        let mut out = Vec::new();
        for key in &self.rule.key {
            let compiled = self.compiler.scalar(&key.sql, rows, &self.params);
            if let Err(why) = &compiled {
                let reason = why.first().map_or("", |d| d.message.as_str());
                let message =
                    format!("feed {:?} cannot be keyed by {}: {reason}", feed.value, key.name);
                let finding = Diagnostic::error("rule::unknown_column", feed.span.clone(), message);
                self.findings.push(finding.label(label));
            }
            out.push(compiled.ok());
        }
        out
    }

    /// Peers are found by columns of the rule's key.
    fn peers(&mut self) {
        let rule = self.rule;
        for compare in &rule.compares {
            let Compare::Peers { key } = &compare.with else { continue };
            for column in key.iter().filter(|c| rule.key_names().all(|k| k != c.value)) {
                let near = did_you_mean(&column.value, rule.key_names());
                let label = near.map_or(String::new(), |n| format!("did you mean {n:?}?"));
                let message = format!(
                    "peers are keyed by {:?}, which is not in the rule's key",
                    column.value
                );
                let finding =
                    Diagnostic::error("rule::unknown_column", column.span.clone(), message);
                self.findings.push(finding.label(label));
            }
        }
    }

    fn values(&self, measures: &[Measure]) -> DFSchema {
        let mut fields: Vec<Field> =
            measures.iter().map(|m| Field::new(&m.name, m.data_type.clone(), true)).collect();
        for compare in &self.rule.compares {
            for m in measures {
                let kind = match compare.with {
                    Compare::History { .. } if m.data_type.is_numeric() => DataType::Float64,
                    // There is no mean of texts.
                    Compare::History { .. } if m.data_type != DataType::Null => continue,
                    _ => m.data_type.clone(),
                };
                fields.push(Field::new(format!("{}.{}", compare.name.value, m.name), kind, true));
            }
        }
        if self.rule.kind.value == Kind::Detect {
            fields.extend(told_fields(self.rule));
        }
        schema_of(fields)
    }

    fn boolean(&mut self, sql: &Sql, over: Over<'_>) -> Option<Expr> {
        let (Over::Rows(schema) | Over::Values(schema)) = over;
        let unread = self.rule.unread;
        let unread_values = unread.values || unread.steps;
        let columns = unread.columns || (matches!(over, Over::Values(_)) && unread_values);
        self.keep(self.compiler.boolean(sql, schema, &self.params), columns)
    }

    /// The value; else its findings, but for those about names of a part that could not be read: that was said already.
    fn keep<T>(&mut self, result: Result<T, Vec<Diagnostic>>, columns_unread: bool) -> Option<T> {
        let params_unread = self.rule.unread.params;
        match result {
            Ok(value) => Some(value),
            Err(mut findings) => {
                findings.retain(|d| match d.code {
                    "rule::unknown_column" => !columns_unread,
                    "rule::unknown_param" => !params_unread,
                    _ => true,
                });
                self.findings.extend(findings);
                None
            }
        }
    }
}

/// What a detector tells of a period, behind the series' own values.
pub(super) fn told_fields(rule: &RuleFile) -> Vec<Field> {
    let kind = |name: &str| if name == "alarm" { DataType::Boolean } else { DataType::Float64 };
    let number = |name: &'static str| (name, kind(name));
    let own = rule.detect.iter().flat_map(|d| d.detector.told());
    let nowcast = rule.detect.as_ref().is_some_and(|d| d.nowcast.is_some());
    let nowcast = NOWCAST.into_iter().filter(|_| nowcast);
    let adjusted = rule.alert.control.as_ref().map(|_| ADJUSTED);
    let told = TOLD.into_iter().chain(nowcast).map(number).chain(own);
    let told = told.chain(adjusted.map(number));
    told.map(|(name, kind)| Field::new(name, kind, true)).collect()
}

/// What an expression is evaluated over.
#[derive(Clone, Copy)]
enum Over<'a> {
    /// The rows of a feed.
    Rows(&'a DFSchema),
    /// Measures and compares.
    Values(&'a DFSchema),
}

fn params(rule: &RuleFile) -> Vec<(String, ScalarValue)> {
    rule.params
        .iter()
        .filter_map(|(name, value)| Some((name.value.clone(), literal(value)?)))
        .collect()
}

/// How one aggregate changes while rows come in.
fn aggregate_growth(aggregate: &Expr, feed: &FeedSchema) -> Growth {
    let Expr::AggregateFunction(f) = aggregate else { return Growth::Other };
    match (f.func.name(), f.params.args.as_slice()) {
        ("count" | "max" | "bool_or", _) => Growth::Growing,
        ("sum", [arg]) if never_negative(arg, feed) => Growth::Growing,
        _ => Growth::Other,
    }
}

/// Whether values of an expression over a feed's rows are known never to be negative.
pub(super) fn never_negative(expr: &Expr, feed: &FeedSchema) -> bool {
    match expr {
        Expr::Column(c) => {
            let column = feed.columns.iter().find(|f| f.name == c.name);
            column.and_then(|c| c.min).is_some_and(|min| min >= 0.0)
        }
        Expr::Cast(c) if c.field.data_type().is_numeric() => never_negative(&c.expr, feed),
        other => super::growth::number(other).is_some_and(|n| n >= 0.0),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::schema::{Column, ColumnType};

    fn feeds() -> Vec<FeedSchema> {
        let mut fine = Column::new("fine", ColumnType::Decimal { scale: 2 });
        fine.min = Some(0.0);
        let column = |name: &str, kind| Column::new(name, kind);
        vec![
            FeedSchema::new(
                "complaints",
                vec![
                    column("registered_at", ColumnType::Timestamp),
                    column("ucc", ColumnType::Ucc),
                    column("region", ColumnType::Region),
                    column("kind", ColumnType::Text),
                    column("amount", ColumnType::Decimal { scale: 2 }),
                    fine,
                    column("person", ColumnType::Text),
                ],
                0,
            ),
            FeedSchema::new(
                "sampling",
                vec![
                    column("finished_on", ColumnType::Date),
                    column("ucc", ColumnType::Ucc),
                    column("result", ColumnType::Text),
                ],
                0,
            ),
        ]
    }

    fn resolved(source: &str) -> (Option<Resolved>, Vec<String>) {
        let (rule, findings) = RuleFile::parse(Path::new("a.yaml"), source);
        let rule = rule.unwrap_or_else(|| panic!("{findings:?}"));
        let feeds = feeds();
        let feeds: Vec<&FeedSchema> = feeds.iter().collect();
        let (resolved, more) = resolve(&Compiler::default(), &rule, &feeds);
        let line = |d: &Diagnostic| format!("{} {}", d.code, &source[d.span.clone()]);
        (resolved, findings.iter().chain(&more).map(line).collect())
    }

    const RULE: &str = "
rule: a
title: 甲
kind: window
feed: complaints
where: kind = '投诉'
key: [ucc]
window: {sliding: 7d}
measures:
  n: count(*)
  people: count(distinct person)
  fines: sum(fine)
  money: sum(amount)
  mean: avg(amount)
  share: count(*) filter (where amount > 3) * 1.0 / nullif(count(*), 0)
  worst: max(amount)
  first: first_value(kind order by registered_at)
  failed: {feed: sampling, where: result = '不合格', value: count(*)}
compare: {usual: {windows: 8, step: 7d, of: mean}, before: {shift: 7d}, peers: {key: []}}
params: {min: 3}
when: n >= $min and n > usual.n and before.fines > 1
severity: {high: n > 2 * before.n, else: low}
alert: {reraise: n > last.n}
";

    #[test]
    fn names_types_and_growth() {
        let (resolved, findings) = resolved(RULE);
        assert_eq!(findings, Vec::<String>::new());
        let resolved = resolved.expect("resolved");
        let growth: Vec<_> =
            resolved.measures.iter().map(|m| (m.name.as_str(), m.growth)).collect();
        let (up, other) = (Growth::Growing, Growth::Other);
        assert_eq!(
            growth,
            [
                ("n", up),
                ("people", up),
                ("fines", up),
                ("money", other),
                ("mean", other),
                ("share", other),
                ("worst", up),
                ("first", other),
                ("failed", up),
            ]
        );
        let kind = |name: &str| {
            resolved.values.field_with_unqualified_name(name).ok().map(|f| f.data_type().clone())
        };
        assert_eq!(kind("n"), Some(DataType::Int64));
        assert_eq!(kind("usual.n"), Some(DataType::Float64));
        assert_eq!(kind("usual.first"), None);
        assert_eq!(kind("before.first"), Some(DataType::Utf8));
        assert_eq!(kind("peers.people"), Some(DataType::Int64));
        assert_eq!(resolved.measures[8].feed, 1);
        assert!(resolved.when.is_some() && resolved.reraise.is_some());
    }

    #[test]
    fn findings() {
        for (from, to, expect) in [
            ("feed: complaints", "feed: complaint", "rule::unknown_feed complaint"),
            ("feed: sampling", "feed: samplings", "rule::unknown_feed samplings"),
            ("key: [ucc]", "key: [region]", "rule::unknown_column sampling"),
            ("before.n, else", "befor.n, else", "rule::unknown_column befor.n"),
            // A broken measure is one finding, not one more wherever its name is used.
            ("n: count(*)\\n", "n: count(*\\n", "rule::syntax *"),
            ("n: count(*)\\n", "N: count(*)\\n", "yaml::wrong_type N"),
            ("reraise: n", "reraise: lost.n", "rule::unknown_column lost.n"),
        ] {
            let (from, to) = (from.replace("\\n", "\n"), to.replace("\\n", "\n"));
            let source = RULE.replacen(&from, &to, 1);
            assert_ne!(source, RULE, "{from}");
            assert_eq!(resolved(&source).1.join(", "), expect, "{to}");
        }
    }
}
