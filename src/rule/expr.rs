//! Expressions: SQL text of a rule → a checked, typed, simplified DataFusion expression.
//!
//! In: an [`Sql`] scalar, the schema it is evaluated over (`usual.n` is a column with that name) and the rule's
//! parameters. Out: a logical [`Expr`] that [`Compiler::physical`] binds, or findings whose spans point into the file.
//! The promise: what compiles is a function of its row alone — no subquery, window function, clock or random number —
//! and two texts that mean the same after coercion and simplification give equal expressions, which is what sharing
//! among rules is built on.

use std::{
    collections::HashMap,
    ops::{ControlFlow, Range},
    sync::{Arc, Mutex, PoisonError},
};

use arrow::datatypes::{DataType, Fields};
use datafusion::{
    common::{
        DFSchema, DataFusionError,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    execution::{SessionState, SessionStateBuilder},
    logical_expr::{
        Expr, ExprSchemable, Operator, ScalarUDF, Volatility, simplify::SimplifyContext,
        utils::split_conjunction,
    },
    optimizer::simplify_expressions::ExprSimplifier,
    physical_expr::PhysicalExpr,
    prelude::{SessionConfig, col},
    scalar::ScalarValue,
    sql::sqlparser::ast::{self, ExprWithAlias},
};
use serde_json::Value;

use super::{
    house,
    join::{Alias, JOINED, parsed},
    lists::{self, Lists},
    sql,
    sql::{Functions, Scope},
    syntax,
};
use crate::model::{diagnostic::Diagnostic, time::Zone, yaml::Sql};

pub use super::growth::{Growth, lower_bounds, monotone, monotone_value, whole_bounds};

/// Name of the column that stands for the `i`-th aggregate of [`Compiler::aggregate`].
#[must_use]
pub fn aggregate_column(i: usize) -> String {
    format!("__agg{i}")
}

/// Key of a schema's metadata under which stands the column of its rows' time.
pub const TIME: &str = "time";

/// Turns SQL text into expressions.
#[derive(Debug)]
pub struct Compiler {
    state: SessionState,
    functions: Functions,
    lists: Arc<Lists>,
    /// What compiled before: rules repeat each other's keys, measures and filters.
    known: Mutex<HashMap<Meaning, Expr>>,
}

/// A compiler for each set of lists that rules stand beside; most often one.
#[derive(Debug)]
pub struct Compilers {
    zone: Zone,
    by_version: Vec<(u128, Arc<Compiler>)>,
}

impl Compilers {
    /// None yet; days are those of the zone.
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self { zone, by_version: Vec::new() }
    }

    /// The compiler over these lists.
    pub fn of(&mut self, lists: &Arc<Lists>) -> Arc<Compiler> {
        let version = lists.version();
        if let Some((_, known)) = self.by_version.iter().find(|(v, _)| *v == version) {
            return known.clone();
        }
        let new = Arc::new(Compiler::new(lists, &self.zone));
        self.by_version.push((version, new.clone()));
        new
    }
}

/// What decides the expression of a text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Meaning {
    text: String,
    columns: Fields,
    params: Vec<(String, ScalarValue)>,
    /// Over aggregates of rows, not over single rows.
    aggregate: bool,
    /// The column of the row's time.
    time: Option<String>,
    /// The tables joined to the rows.
    joined: Vec<Alias>,
}

impl Default for Compiler {
    fn default() -> Self {
        Self::new(&lists::none(), &Zone::utc())
    }
}

impl Compiler {
    /// A compiler with SQL's and the house functions, over these lists; days are those of the zone.
    #[must_use]
    pub fn new(lists: &Arc<Lists>, zone: &Zone) -> Self {
        let mut config = SessionConfig::new();
        // Column names keep their case: `Kind` is not `kind`, and Chinese names have none.
        config.options_mut().sql_parser.enable_ident_normalization = false;
        let mut state =
            SessionStateBuilder::new().with_config(config).with_default_features().build();
        let mut functions = Functions::default();
        for function in house::functions(lists, zone) {
            // Names of house functions are new, so nothing is replaced and nothing can fail.
            let _ = datafusion::execution::FunctionRegistry::register_udf(
                &mut state,
                Arc::new(function),
            );
        }
        let immutable = |f: &ScalarUDF| f.signature().volatility == Volatility::Immutable;
        let (good, bad): (Vec<_>, Vec<_>) =
            state.scalar_functions().iter().partition(|(_, f)| immutable(f));
        functions.scalar.extend(good.into_iter().map(|(name, _)| name.clone()));
        functions.not_immutable.extend(bad.into_iter().map(|(name, _)| name.clone()));
        functions.aggregate.extend(state.aggregate_functions().keys().cloned());
        Self { state, functions, lists: lists.clone(), known: Mutex::default() }
    }

    /// An expression over single rows.
    ///
    /// # Errors
    /// Codes `rule::{syntax, unknown_column, unknown_param, unknown_function, unknown_list, not_immutable, subquery,
    /// window_function, aggregate_here, unguarded_division, type_mismatch}`; all of a kind, with places in the file.
    pub fn scalar(
        &self,
        sql: &Sql,
        schema: &DFSchema,
        params: &[(String, ScalarValue)],
    ) -> Result<Expr, Vec<Diagnostic>> {
        self.compile(sql, schema, params, false)
    }

    /// The same, and it must be true or false.
    ///
    /// # Errors
    /// As [`Self::scalar`], and `rule::not_boolean`.
    pub fn boolean(
        &self,
        sql: &Sql,
        schema: &DFSchema,
        params: &[(String, ScalarValue)],
    ) -> Result<Expr, Vec<Diagnostic>> {
        let expr = self.compile(sql, schema, params, false)?;
        match expr.get_type(schema) {
            Ok(DataType::Boolean) => Ok(expr),
            // A condition that is always NULL never holds; `check` says so.
            Ok(DataType::Null) => Ok(Expr::Literal(ScalarValue::Boolean(None), None)),
            other => {
                let found = other.map_or("unknown", |t| type_word(&t));
                let message = format!("a condition must be true or false, this is of type {found}");
                let finding = Diagnostic::error("rule::not_boolean", sql.span.clone(), message);
                Err(vec![finding.label("compare it with something, like > 0")])
            }
        }
    }

    /// An expression over aggregates of rows: `count(*) filter (where …)`, `sum(a) / nullif(count(*), 0)`.
    ///
    /// Returns it with each distinct aggregate replaced by the column [`aggregate_column`]`(i)`, and the aggregates,
    /// coerced and simplified.
    ///
    /// # Errors
    /// As [`Self::scalar`] without `aggregate_here`, and `rule::outside_aggregate`.
    pub fn aggregate(
        &self,
        sql: &Sql,
        schema: &DFSchema,
        params: &[(String, ScalarValue)],
    ) -> Result<(Expr, Vec<Expr>), Vec<Diagnostic>> {
        let expr = self.compile(sql, schema, params, true)?;
        let mut aggregates: Vec<Expr> = Vec::new();
        let replaced = expr.transform_down(|e| {
            if !matches!(e, Expr::AggregateFunction(_)) {
                return Ok(Transformed::no(e));
            }
            let i = aggregates.iter().position(|a| *a == e).unwrap_or_else(|| {
                aggregates.push(e.clone());
                aggregates.len() - 1
            });
            // Unqualified and quoted as it is: no second look-up of names.
            let column = col(datafusion::common::Column::new_unqualified(aggregate_column(i)));
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        });
        match replaced {
            Ok(replaced) => Ok((replaced.data, aggregates)),
            Err(e) => Err(vec![mismatch(sql.span.clone(), plain(&e))]),
        }
    }

    /// The expression bound to the columns of `schema`.
    ///
    /// # Errors
    /// What DataFusion says; not for expressions of this compiler over the same schema.
    pub fn physical(
        &self,
        expr: &Expr,
        schema: &DFSchema,
    ) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
        self.state.create_physical_expr(expr.clone(), schema)
    }

    /// The conditions that `and` joins.
    #[must_use]
    pub fn conjuncts(expr: &Expr) -> Vec<Expr> {
        split_conjunction(expr).into_iter().cloned().collect()
    }

    fn compile(
        &self,
        sql: &Sql,
        schema: &DFSchema,
        params: &[(String, ScalarValue)],
        aggregate: bool,
    ) -> Result<Expr, Vec<Diagnostic>> {
        let time = schema.metadata().get(TIME).map(String::as_str);
        let meaning = Meaning {
            text: sql.text.clone(),
            columns: schema.fields().clone(),
            params: params.to_vec(),
            aggregate,
            time: time.map(str::to_owned),
            joined: schema.metadata().get(JOINED).map_or_else(Vec::new, |t| parsed(t)),
        };
        let joined = meaning.joined.clone();
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(expr) = known().get(&meaning) {
            return Ok(expr.clone());
        }
        let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let (functions, lists) = (&self.functions, &*self.lists);
        let joined = &joined;
        let scope = Scope { columns: &columns, params, functions, lists, time, joined, aggregate };
        let tree = sql::parse(sql, &scope)?;
        let expr = self.plan(&tree, schema).map_err(|e| self.locate(sql, &tree, schema, &e))?;
        let expr = self.finish(expr, schema).map_err(|e| self.locate(sql, &tree, schema, &e))?;
        // Findings have places and are made anew each time.
        known().insert(meaning, expr.clone());
        Ok(expr)
    }

    fn plan(&self, tree: &ast::Expr, schema: &DFSchema) -> Result<Expr, DataFusionError> {
        let tree = ExprWithAlias { expr: tree.clone(), alias: None };
        let expr = self.state.create_logical_expr_from_sql_expr(tree, schema)?;
        refuse_mixed_comparisons(&expr, schema)?;
        // `count(*)` comes with an alias; names are ours to give.
        Ok(expr.unalias_nested().data)
    }

    fn finish(&self, expr: Expr, schema: &DFSchema) -> Result<Expr, DataFusionError> {
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .with_config_options(Arc::clone(self.state.config_options()))
            .build();
        let simplifier = ExprSimplifier::new(context);
        let expr = simplifier.coerce(expr, schema)?;
        // The type check proper: coercion leaves some calls to whoever asks for the type.
        expr.get_type(schema)?;
        simplifier.simplify(expr)
    }

    /// The findings for a planning error: at every part of the expression that fails though its own parts do not.
    fn locate(
        &self,
        sql: &Sql,
        tree: &ast::Expr,
        schema: &DFSchema,
        whole: &DataFusionError,
    ) -> Vec<Diagnostic> {
        let mut tree = tree.clone();
        let mut found: Vec<(Range<usize>, String)> = Vec::new();
        // Innermost parts are visited first.
        let _ = ast::visit_expressions_mut(&mut tree, |part| {
            if let Err(e) = self.plan(part, schema).and_then(|e| self.finish(e, schema)) {
                let at = syntax::expr_range(&sql.text, part);
                if !found.iter().any(|(inner, _)| at.start <= inner.start && inner.end <= at.end) {
                    found.push((at, self.explain(part, schema, &e)));
                }
            }
            ControlFlow::<()>::Continue(())
        });
        if found.is_empty() {
            return vec![mismatch(sql.span.clone(), plain(whole))];
        }
        found.into_iter().map(|(at, message)| mismatch(sql.file_span(at), message)).collect()
    }

    /// What is wrong with a part whose own parts are fine, in the authors' words for types.
    fn explain(&self, part: &ast::Expr, schema: &DFSchema, error: &DataFusionError) -> String {
        let word = |e: &ast::Expr| {
            let kind = self.plan(e, schema).and_then(|e| e.get_type(schema));
            kind.map_or("?", |t| type_word(&t))
        };
        match part {
            ast::Expr::BinaryOp { left, op, right }
                if matches!(error, DataFusionError::Plan(_)) =>
            {
                let hint = if compares_ast(op) { ": make both the same type" } else { "" };
                format!(
                    "{} between {} and {}{hint}",
                    op.to_string().to_lowercase(),
                    word(left),
                    word(right)
                )
            }
            ast::Expr::Function(f) if plain(error).contains("coerc") => {
                let types: Vec<_> = sql::arguments(f).into_iter().map(word).collect();
                format!("{}() does not take ({})", f.name, types.join(", "))
            }
            _ => plain(error),
        }
    }
}

/// The literal that a parameter's value stands for; `None` for lists and maps.
#[must_use]
pub fn literal(value: &Value) -> Option<ScalarValue> {
    match value {
        Value::Null => Some(ScalarValue::Null),
        Value::Bool(b) => Some(ScalarValue::Boolean(Some(*b))),
        Value::Number(n) => Some(match n.as_i64() {
            Some(n) => ScalarValue::Int64(Some(n)),
            None => ScalarValue::Float64(n.as_f64()),
        }),
        Value::String(text) => Some(ScalarValue::Utf8(Some(text.clone()))),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// The word authors use for an Arrow type.
#[must_use]
pub fn type_word(kind: &DataType) -> &'static str {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::List(_) | DataType::LargeList(_) => "texts",
        DataType::Boolean => "bool",
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "float",
        DataType::Decimal128(..) | DataType::Decimal256(..) => "decimal",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Timestamp(..) => "timestamp",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Null => "null",
        t if t.is_integer() => "int",
        _ => "another type",
    }
}

/// A text column compared with a number would be compared as text (`'10' < '9'`), and the reverse fails at run time.
fn refuse_mixed_comparisons(expr: &Expr, schema: &DFSchema) -> Result<(), DataFusionError> {
    let wrong = |left: &Expr, right: &Expr| -> Option<String> {
        let (l, r) = (left.get_type(schema).ok()?, right.get_type(schema).ok()?);
        let text = |t: &DataType| type_word(t) == "text";
        if text(&l) == text(&r) || !(l.is_numeric() || r.is_numeric()) {
            return None;
        }
        let literal = if text(&l) { left } else { right };
        if let Expr::Literal(value, _) = literal
            && value.to_string().trim().parse::<f64>().is_ok()
        {
            return None;
        }
        Some(format!(
            "{} is compared with {}: make both the same type",
            type_word(&l),
            type_word(&r)
        ))
    };
    expr.apply(|e| {
        let found = match e {
            Expr::BinaryExpr(b) if compares(b.op) => wrong(&b.left, &b.right),
            Expr::InList(list) => list.list.iter().find_map(|item| wrong(&list.expr, item)),
            Expr::Between(b) => wrong(&b.expr, &b.low).or_else(|| wrong(&b.expr, &b.high)),
            _ => None,
        };
        found.map_or(Ok(TreeNodeRecursion::Continue), |message| Err(DataFusionError::Plan(message)))
    })
    .map(|_| ())
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn compares_ast(op: &ast::BinaryOperator) -> bool {
    use ast::BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

fn mismatch(span: Range<usize>, message: String) -> Diagnostic {
    let division = message.to_lowercase().contains("divide by zero");
    let code = if division { "rule::unguarded_division" } else { "rule::type_mismatch" };
    Diagnostic::error(code, span, format!("types do not fit: {message}"))
}

/// An error of DataFusion without its layers, and with the authors' words for types.
fn plain(error: &DataFusionError) -> String {
    let text = match error.find_root() {
        DataFusionError::Plan(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::Execution(text) => text.clone(),
        DataFusionError::ArrowError(e, _) => e.to_string(),
        other => other.strip_backtrace(),
    };
    let mut text = text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
    for (theirs, ours) in [
        ("LargeUtf8", "text"),
        ("Utf8View", "text"),
        ("Utf8", "text"),
        ("Int64", "int"),
        ("Float64", "float"),
        ("Boolean", "bool"),
        ("Date32", "date"),
        ("Parser error: ", ""),
        ("Cast error: ", ""),
    ] {
        text = text.replace(theirs, ours);
    }
    text
}

/// Names of the columns that an expression reads, sorted, each once.
#[must_use]
pub fn columns(expr: &Expr) -> Vec<String> {
    let mut out: Vec<String> = expr.column_refs().into_iter().map(|c| c.name.clone()).collect();
    out.sort();
    out.dedup();
    out
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema, TimeUnit};

    use super::*;
    use crate::model::yaml::Node;

    fn rows() -> DFSchema {
        let texts = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
        let field = |name: &str, kind: DataType| Field::new(name, kind, true);
        DFSchema::try_from(Schema::new(vec![
            field("ucc", DataType::Utf8),
            field("kind", DataType::Utf8),
            field("state", DataType::Utf8),
            field("region", DataType::Utf8),
            field("amount", DataType::Decimal128(18, 2)),
            field("level", DataType::Int64),
            field("score", DataType::Float64),
            field("urgent", DataType::Boolean),
            field("tags", texts),
            field("occurred_on", DataType::Date32),
            field("registered_at", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
            field("渠道", DataType::Utf8),
        ]))
        .expect("no name twice")
    }

    fn measures() -> DFSchema {
        let field = |name: &str, kind: DataType| Field::new(name, kind, true);
        DFSchema::try_from(Schema::new(vec![
            field("n", DataType::Int64),
            field("bad", DataType::Int64),
            field("usual.n", DataType::Float64),
            field("last_week.n", DataType::Int64),
            field("peers.bad", DataType::Int64),
            field("peers.n", DataType::Int64),
        ]))
        .expect("no name twice")
    }

    fn params() -> Vec<(String, ScalarValue)> {
        vec![
            ("min".into(), ScalarValue::Int64(Some(10))),
            ("times".into(), ScalarValue::Float64(Some(3.0))),
            ("word".into(), ScalarValue::Utf8(Some("它's".into()))),
        ]
    }

    /// The findings as `code at-text`, of an expression behind Chinese text in a YAML line.
    fn found(text: &str, schema: &DFSchema, form: &str) -> Vec<String> {
        let source = format!("{{标题: 投诉激增, k: '{}'}}", text.replace('\'', "''"));
        let sql = Node::parse(&source).expect("yaml").get("k").and_then(Node::sql).expect("sql");
        let compiler = Compiler::default();
        let result = match form {
            "boolean" => compiler.boolean(&sql, schema, &params()).map(|_| ()),
            "scalar" => compiler.scalar(&sql, schema, &params()).map(|_| ()),
            _ => compiler.aggregate(&sql, schema, &params()).map(|_| ()),
        };
        let line = |d: &Diagnostic| {
            println!("{text}\n  {} — {}", d.message, d.label);
            format!(
                "{} {}",
                d.code.trim_start_matches("rule::"),
                source[d.span.clone()].replace("''", "'")
            )
        };
        result.err().unwrap_or_default().iter().map(line).collect()
    }

    #[test]
    fn conditions_on_rows() {
        let mut wrong = Vec::new();
        for (text, expect) in [
            ("kind = 'TS' and state <> '72'", vec![]),
            ("kind in ('合格样品', '不合格') and 渠道 is not null", vec![]),
            (
                "registered_at >= '2026-03-01' and occurred_on < '2026-04-01' and amount > 12.5",
                vec![],
            ),
            ("amount > '12'", vec![]),
            ("COALESCE(level, 0) >= $min and kind <> $word", vec![]),
            ("state is distinct from 'x' or not urgent", vec![]),
            ("case when level > 0 then amount / level > 3 else false end", vec![]),
            (
                "amount / nullif(level, 0) > 3 and amount / greatest(level, 1) > 1 and level % 7 = 1",
                vec![],
            ),
            ("contains_any(kind, '责令|改正') and region_at(region, 'city') = '430100'", vec![]),
            ("array_has(tags, '食品') or contains_any(tags, 'a|b')", vec![]),
            ("workdays_between(occurred_on, date '2026-03-05') > 7", vec![]),
            ("kind like '%甲%' and regexp_like(渠道, '^电')", vec![]),
            ("null", vec![]),
            ("知道 = 1 or knid = 'TS'", vec!["unknown_column 知道", "unknown_column knid"]),
            ("Kind = 'TS'", vec!["unknown_column Kind"]),
            ("kind = \"TS\"", vec!["unknown_column \"TS\""]),
            ("usual.n > 3", vec!["unknown_column usual.n"]),
            ("kind = '投诉' and", vec!["syntax d"]),
            ("kind = '投诉' and (level > 3", vec!["syntax 3"]),
            ("kind = '投诉' level > 3", vec!["syntax level"]),
            ("kind = '投诉", vec!["syntax '"]),
            ("level >＝ 3", vec!["syntax ＝"]),
            ("level == 3", vec![]),
            ("level > 3 -- 三级", vec!["syntax -- 三级"]),
            ("渠道 = '电' and level >= $mni", vec!["unknown_param $mni"]),
            ("渠道 = '电' and now() > registered_at", vec!["not_immutable now"]),
            ("random() > 0.5", vec!["not_immutable random"]),
            ("渠道 = '电' and exists (select 1)", vec!["subquery select 1"]),
            ("row_number() over (partition by ucc) = 1", vec!["window_function row_number"]),
            ("count(*) > 3", vec!["aggregate_here count"]),
            ("lenght(ucc) > 3", vec!["unknown_function lenght"]),
            ("in_list('失信', ucc)", vec!["unknown_list '失信'"]),
            ("渠道 = '电' and amount / level > 3", vec!["unguarded_division level"]),
            ("amount / (level - 1) > 3", vec!["unguarded_division level - 1"]),
            ("amount / 0 > 3", vec!["unguarded_division 0"]),
            ("渠道 = '电' and kind > 3 and urgent", vec!["type_mismatch kind > 3"]),
            ("渠道 = '电' and level = '三'", vec!["type_mismatch level = '三'"]),
            (
                "level = '三' and kind > 1",
                vec!["type_mismatch level = '三'", "type_mismatch kind > 1"],
            ),
            ("level in ('三', '四')", vec!["type_mismatch level in ('三', '四')"]),
            ("渠道 = '电' and kind + 1 > 3", vec!["type_mismatch kind + 1"]),
            ("渠道 = '电' and wilson_lower(kind) > 3", vec!["type_mismatch wilson_lower(kind)"]),
            (
                "渠道 = '电' and region_at(region, 'town') = '1'",
                vec!["type_mismatch region_at(region, 'town')"],
            ),
            (
                "渠道 = '电' and registered_at > '三月'",
                vec!["type_mismatch registered_at > '三月'"],
            ),
            ("渠道 and urgent", vec!["type_mismatch 渠道 and urgent"]),
            ("level", vec!["not_boolean 'level'"]),
            ("渠道 = '电' and (urgent or amount)", vec!["type_mismatch urgent or amount"]),
        ] {
            wrong.extend((found(text, &rows(), "boolean") != expect).then_some((text, expect)));
        }
        assert_eq!(wrong, []);
    }

    #[test]
    fn conditions_on_measures() {
        for (text, expect) in [
            ("n >= $min and n >= $times * greatest(usual.n, 1)", vec![]),
            (
                "n >= 20 and wilson_lower(bad, n, 0.95) > 2.0 * peers.bad / nullif(peers.n, 0)",
                vec![],
            ),
            ("poisson_upper_p(n, greatest(usual.n, 0.1)) < 1e-4", vec![]),
            ("n >= 30 and n > last_week.m", vec!["unknown_column last_week.m"]),
        ] {
            assert_eq!(found(text, &measures(), "boolean"), expect, "{text}");
        }
    }

    #[test]
    fn measures_over_rows() {
        for (text, expect) in [
            ("count(*)", vec![]),
            ("count(distinct ucc) filter (where kind = 'TS')", vec![]),
            ("count(*) filter (where urgent) * 1.0 / nullif(count(*), 0)", vec![]),
            ("sum(case when urgent then amount end)", vec![]),
            ("first_value(kind order by registered_at)", vec![]),
            ("amount", vec!["outside_aggregate amount"]),
            ("3", vec!["outside_aggregate 3"]),
            ("sum(amount) - level", vec!["outside_aggregate level"]),
            ("sum(渠道)", vec!["type_mismatch sum(渠道)"]),
            ("count(*) filter (where amonut > 3)", vec!["unknown_column amonut"]),
            ("sum(amount) / count(*)", vec!["unguarded_division count(*)"]),
        ] {
            assert_eq!(found(text, &rows(), "aggregate"), expect, "{text}");
        }
    }

    #[test]
    fn equal_meaning_gives_equal_expressions() {
        let compiler = Compiler::default();
        let of = |text: &str| compiler.boolean(&Sql::bare(text), &rows(), &params()).expect(text);
        assert_eq!(of("level >= 5 + 5"), of("level >= $min"));
        assert_eq!(
            of("KIND = 'TS'".to_lowercase().replace("ts", "TS").as_str()),
            of("(kind) = 'TS'")
        );
        assert_eq!(Compiler::conjuncts(&of("level > 1 and urgent and kind = 'TS'")).len(), 3);
        assert_eq!(columns(&of("level > 1 and urgent and level < 9")), ["level", "urgent"]);
    }

    #[test]
    fn aggregates_are_distinct_and_coerced() {
        let compiler = Compiler::default();
        let sql = Sql::bare(
            "count(*) filter (where level > 3) * 1.0 / nullif(count(*), 0) + count(*) + avg(level)",
        );
        let (outer, aggregates) = compiler.aggregate(&sql, &rows(), &[]).expect("compiles");
        assert_eq!(aggregates.len(), 3, "{aggregates:?}");
        assert_eq!(columns(&outer), ["__agg0", "__agg1", "__agg2"]);
        assert_eq!(aggregates[1].to_string(), "count(Int64(1))");
        assert!(aggregates[2].to_string().contains("Float64"), "{}", aggregates[2]);
    }

    #[test]
    fn values_of_conditions() {
        use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
        let schema = Schema::new(vec![
            Field::new("level", DataType::Int64, true),
            Field::new("kind", DataType::Utf8, true),
        ]);
        let batch = RecordBatch::try_new(
            Arc::new(schema.clone()),
            vec![
                Arc::new(Int64Array::from(vec![Some(12), Some(3), None])),
                Arc::new(StringArray::from(vec!["责令改正", "罚款", "责令"])),
            ],
        )
        .expect("fits");
        let schema = DFSchema::try_from(schema).expect("ok");
        let compiler = Compiler::default();
        let sql = Sql::bare("level >= $min and contains_any(kind, '改正|x')");
        let expr = compiler.boolean(&sql, &schema, &params()).expect("compiles");
        let physical = compiler.physical(&expr, &schema).expect("binds");
        let out = physical.evaluate(&batch).and_then(|v| v.into_array(3)).expect("evaluates");
        let out: Vec<Option<bool>> = out.as_boolean().iter().collect();
        assert_eq!(out, [Some(true), Some(false), Some(false)]);
    }
}
