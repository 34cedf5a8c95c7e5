//! From the text of an expression to a checked syntax tree: every name known, every parameter replaced.
//!
//! In: an [`Sql`] scalar, the columns it may use, the rule's parameters. Out: sqlparser's tree with `usual.n` as one flat
//! column and `$name` as a literal, or all findings with their place. What needs types is found later, in `expr`; this
//! part works on the tree because only the tree knows where its parts stand.

use std::ops::{ControlFlow, Range};

use datafusion::{
    common::HashSet,
    scalar::ScalarValue,
    sql::sqlparser::{
        ast::{
            BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
            ObjectNamePart, Query, Spanned, UnaryOperator, Value, ValueWithSpan, VisitMut,
            VisitorMut,
        },
        tokenizer::Span,
    },
};

use super::{
    join::{Alias, is_joined},
    lists::Lists,
    syntax::{expr_range, parse as syntax, range},
};
use crate::model::{
    diagnostic::{Diagnostic, did_you_mean, list_names},
    yaml::Sql,
};

/// What an expression may use.
pub(super) struct Scope<'a> {
    /// Column names, flat (`usual.n` is one name).
    pub(super) columns: &'a [&'a str],
    /// `$name` → value.
    pub(super) params: &'a [(String, ScalarValue)],
    /// The functions there are.
    pub(super) functions: &'a Functions,
    /// The reference lists there are.
    pub(super) lists: &'a Lists,
    /// The column that says on which day a dated list is asked; none where an expression is not about one row.
    pub(super) time: Option<&'a str>,
    /// The tables joined to the rows.
    pub(super) joined: &'a [Alias],
    /// Columns are used through aggregates only.
    pub(super) aggregate: bool,
}

/// Names of the functions there are, by what they are allowed for.
#[derive(Debug, Default)]
pub(super) struct Functions {
    /// Immutable scalar functions.
    pub(super) scalar: HashSet<String>,
    /// Functions whose value depends on more than their arguments.
    pub(super) not_immutable: HashSet<String>,
    /// Aggregate functions.
    pub(super) aggregate: HashSet<String>,
}

/// Parses and resolves an expression.
pub(super) fn parse(sql: &Sql, scope: &Scope<'_>) -> Result<Expr, Vec<Diagnostic>> {
    let mut expr = syntax(sql).map_err(|finding| vec![*finding])?;
    let mut resolve =
        Resolve { sql, scope, findings: Vec::new(), in_case: 0, in_aggregate: 0, aggregates: 0 };
    let _ = expr.visit(&mut resolve);
    if scope.aggregate && resolve.aggregates == 0 && resolve.findings.is_empty() {
        let message =
            "this is not an aggregate: a measure counts or sums over the rows of a window";
        resolve.find(
            "rule::outside_aggregate",
            0..sql.text.len(),
            message,
            "like count(*) or sum(amount)",
        );
    }
    if resolve.findings.is_empty() { Ok(expr) } else { Err(resolve.findings) }
}

fn flat(parts: &[Ident]) -> String {
    let parts: Vec<_> = parts.iter().map(|i| i.value.as_str()).collect();
    parts.join(".")
}

struct Resolve<'a> {
    sql: &'a Sql,
    scope: &'a Scope<'a>,
    findings: Vec<Diagnostic>,
    in_case: usize,
    in_aggregate: usize,
    aggregates: usize,
}

impl Resolve<'_> {
    fn find(
        &mut self,
        code: &'static str,
        at: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.findings.push(Diagnostic::error(code, self.sql.file_span(at), message).label(label));
    }

    fn at(&self, span: Span) -> Range<usize> {
        range(&self.sql.text, span)
    }

    fn column(&mut self, parts: &[Ident]) -> Option<Ident> {
        let written = flat(parts);
        let name = self.joined(&written).unwrap_or_else(|| written.clone());
        let span = parts.iter().map(|i| i.span).reduce(|a, b| a.union(&b)).unwrap_or(Span::empty());
        let at = self.at(span);
        if !self.scope.columns.contains(&name.as_str()) {
            let name = written;
            let of = |a: &Alias| a.columns.iter().map(|c| format!("{}.{c}", a.alias)).collect();
            let tables: Vec<String> =
                self.scope.joined.iter().flat_map(of as fn(_) -> Vec<_>).collect();
            let own = self.scope.columns.iter().copied().filter(|c| !is_joined(c));
            let known: Vec<&str> = own.chain(tables.iter().map(String::as_str)).collect();
            let near = did_you_mean(&name, known.iter().copied())
                .or_else(|| did_you_mean(&name.to_lowercase(), known.iter().copied()));
            let label = match near {
                Some(near) => format!("did you mean {near:?}?"),
                None if known.is_empty() => String::new(),
                None if parts.iter().any(|i| i.quote_style == Some('"')) => {
                    format!("double quotes make a column, texts take single ones: '{name}'")
                }
                None => String::new(),
            };
            let help = (label.is_empty() && !known.is_empty())
                .then(|| format!("there are {}", list_names(known.iter().copied())));
            self.find("rule::unknown_column", at, format!("no column {name:?} here"), label);
            if let Some(last) = self.findings.last_mut() {
                last.help = help;
            }
            return None;
        }
        if self.scope.aggregate && self.in_aggregate == 0 {
            let message = format!(
                "column {written:?} stands outside an aggregate: which row's value is meant?"
            );
            self.find("rule::outside_aggregate", at, message, format!("like max({written})"));
        }
        Some(Ident { value: name, quote_style: Some('"'), span })
    }

    /// The name in the feed of a column of a joined table.
    fn joined(&self, written: &str) -> Option<String> {
        let (alias, column) = written.split_once('.')?;
        let table = self.scope.joined.iter().find(|a| a.alias == alias)?;
        Some(format!("{column}{}", table.suffix))
    }

    fn param(&mut self, name: &str, span: Span) -> Option<Value> {
        let name = name.trim_start_matches('$');
        let Some((_, value)) = self.scope.params.iter().find(|(n, _)| n == name) else {
            let names = self.scope.params.iter().map(|(n, _)| n.as_str());
            let label = match did_you_mean(name, names) {
                Some(near) => format!("did you mean ${near}?"),
                None => format!("add \"{name}: …\" to params"),
            };
            let at = self.at(span);
            self.find("rule::unknown_param", at, format!("no parameter ${name}"), label);
            return None;
        };
        Some(match value {
            ScalarValue::Utf8(Some(text)) => Value::SingleQuotedString(text.clone()),
            ScalarValue::Boolean(Some(b)) => Value::Boolean(*b),
            // `{:?}` keeps the point of 1.0, which makes it a float for the planner.
            ScalarValue::Float64(Some(x)) => Value::Number(format!("{x:?}"), false),
            ScalarValue::Int64(Some(n)) => Value::Number(n.to_string(), false),
            _ => Value::Null,
        })
    }

    fn function(&mut self, function: &mut Function) {
        let at = self.at(function.name.span());
        // Functions are known by their lower-case names; columns keep their case.
        for part in &mut function.name.0 {
            if let ObjectNamePart::Identifier(ident) = part {
                ident.value = ident.value.to_lowercase();
            }
        }
        let name = function.name.to_string();
        let known = self.scope.functions;
        if function.over.is_some() {
            let message =
                format!("{name} … over (…) is a window function: an expression sees one row");
            return self.find(
                "rule::window_function",
                at,
                message,
                "use measures and compare instead",
            );
        }
        if known.aggregate.contains(&name) {
            if self.scope.aggregate {
                return;
            }
            let message = format!("aggregate {name}() cannot be used here");
            return self.find(
                "rule::aggregate_here",
                at,
                message,
                "name it under measures, and use the name here",
            );
        }
        if known.scalar.contains(&name) {
            match name.as_str() {
                "in_list" => self.in_list(function),
                "contains_any" => self.contains_any(function),
                _ => {}
            }
            return;
        }
        if known.not_immutable.contains(&name) {
            let message = format!(
                "{name}() is not a function of the record alone: a replay would give other alerts"
            );
            return self.find("rule::not_immutable", at, message, "use a time column of the feed");
        }
        let all = known.scalar.iter().chain(
            if self.scope.aggregate { Some(&known.aggregate) } else { None }.into_iter().flatten(),
        );
        let label = did_you_mean(&name, all.map(String::as_str))
            .map(|near| format!("did you mean {near}?"));
        self.find(
            "rule::unknown_function",
            at,
            format!("no function {name}()"),
            label.unwrap_or_default(),
        );
    }

    /// A list is named by a text that stands there; a dated one is asked about the day of the record.
    fn in_list(&mut self, function: &mut Function) {
        let arguments = arguments(function);
        let Some((name, at)) = arguments.first().and_then(|a| self.text(a)) else {
            let at = self.at(function.span());
            let label = "write it as text: in_list('defaulters', ucc)";
            return self.find(
                "rule::unknown_list",
                at,
                "in_list() takes a list's name first",
                label,
            );
        };
        let whole = self.at(function.span());
        let Some(list) = self.scope.lists.get(&name) else {
            return self.unknown_list(&name, at);
        };
        if list.has_words() {
            let message =
                format!("list {name:?} holds keywords: is a text to be searched for them?");
            let label = format!("write contains_any(text, '{name}')");
            return self.find("rule::unknown_list", at, message, label);
        }
        if !list.is_dated() {
            return;
        }
        let Some(time) = self.scope.time else {
            let message = format!(
                "list {name:?} says from when to when a value is listed, and here is no record whose day could be asked"
            );
            let label = "ask it in where, in a key or inside a measure";
            return self.find("rule::list_without_time", whole, message, label);
        };
        if let FunctionArguments::List(list) = &mut function.args
            && list.args.len() == 2
        {
            let time =
                Ident { value: time.to_owned(), quote_style: Some('"'), span: Span::empty() };
            list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(time))));
        }
    }

    /// Words are written out, `a|b|c`, or are those of a keyword list.
    fn contains_any(&mut self, function: &Function) {
        let arguments = arguments(function);
        let Some((words, at)) = arguments.get(1).and_then(|a| self.text(a)) else { return };
        match self.scope.lists.get(&words) {
            Some(list) if list.has_words() => {}
            Some(_) => {
                let message = format!(
                    "list {words:?} has no column \"word\": its values are looked up whole"
                );
                let label = format!("write in_list('{words}', …), or call its first column word");
                self.find("rule::unknown_list", at, message, label);
            }
            // What looks like the name of a list was meant as one: words are in Chinese, or there are several.
            None if words.contains('_') && !words.contains('|') && words.is_ascii() => {
                self.unknown_list(&words, at);
            }
            None => {}
        }
    }

    fn unknown_list(&mut self, name: &str, at: Range<usize>) {
        if self.scope.lists.is_broken(name) {
            let message = format!("list {name:?} cannot be used");
            return self.find("rule::unknown_list", at, message, "see the findings about its file");
        }
        let names = self.scope.lists.names();
        let label = match did_you_mean(name, names.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("add lists/{name}.csv beside the rules"),
        };
        self.find("rule::unknown_list", at, format!("there is no list {name:?}"), label);
        if let Some(last) = self.findings.last_mut().filter(|_| !names.is_empty()) {
            last.help = Some(format!("there are {}", list_names(names)));
        }
    }

    /// A text that stands in the expression, or is a parameter's, and its place.
    fn text(&self, expr: &Expr) -> Option<(String, Range<usize>)> {
        let Expr::Value(value) = expr else { return None };
        let at = range(&self.sql.text, value.span);
        match &value.value {
            Value::SingleQuotedString(text) => Some((text.clone(), at)),
            Value::Placeholder(name) => {
                let name = name.trim_start_matches('$');
                let value = self.scope.params.iter().find(|(n, _)| n == name).map(|(_, v)| v)?;
                Some((value.try_as_str()??.to_owned(), at))
            }
            _ => None,
        }
    }

    fn division(&mut self, op: &BinaryOperator, divisor: &Expr) {
        if self.in_case > 0 || self.guarded(divisor) {
            return;
        }
        let at = expr_range(&self.sql.text, divisor);
        let text = self.sql.text[at.clone()].to_owned();
        if self.number(divisor) == Some(0.0) {
            return self.find("rule::unguarded_division", at, format!("{op} by 0"), "");
        }
        let message =
            format!("{op} by {text}, which can be 0: the record would be lost to this rule");
        self.find("rule::unguarded_division", at, message, format!("write nullif({text}, 0)"));
    }

    /// Whether a divisor cannot be zero, by its form.
    fn guarded(&self, divisor: &Expr) -> bool {
        let positive = |e: &Expr| self.number(e).is_some_and(|n| n > 0.0);
        match divisor {
            Expr::Nested(e) | Expr::Cast { expr: e, .. } => self.guarded(e),
            Expr::Case { .. } => true,
            Expr::BinaryOp { left, op: BinaryOperator::Multiply, right } => {
                self.guarded(left) && self.guarded(right)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Plus, right } => {
                positive(left) || positive(right)
            }
            Expr::Function(f) => {
                let args = arguments(f);
                match f.name.to_string().to_lowercase().as_str() {
                    "nullif" => args.get(1).is_some_and(|e| self.number(e) == Some(0.0)),
                    "greatest" => args.iter().any(|e| positive(e)),
                    "coalesce" => args.iter().all(|e| self.guarded(e)),
                    _ => false,
                }
            }
            other => self.number(other).is_some_and(|n| n != 0.0),
        }
    }

    /// The number a literal or parameter stands for.
    fn number(&self, expr: &Expr) -> Option<f64> {
        match expr {
            Expr::Nested(e) => self.number(e),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => self.number(expr).map(|n| -n),
            Expr::Value(v) => match &v.value {
                Value::Number(n, _) => n.parse().ok(),
                Value::Placeholder(name) => {
                    let name = name.trim_start_matches('$');
                    let value =
                        self.scope.params.iter().find(|(n, _)| n == name).map(|(_, v)| v)?;
                    match value {
                        ScalarValue::Int64(Some(n)) => Some(*n as f64),
                        ScalarValue::Float64(x) => *x,
                        _ => None,
                    }
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn is_aggregate(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Function(f) if self.scope.functions.aggregate.contains(&f.name.to_string().to_lowercase()))
    }
}

impl VisitorMut for Resolve<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let at = self.at(query.span());
        self.find(
            "rule::subquery",
            at,
            "subqueries are not used in rules",
            "use a measure with its own feed",
        );
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => {
                if let Some(column) = self.column(std::slice::from_ref(ident)) {
                    *ident = column;
                }
            }
            Expr::CompoundIdentifier(parts) => {
                if let Some(column) = self.column(&parts.clone()) {
                    *expr = Expr::Identifier(column);
                }
            }
            Expr::Value(ValueWithSpan { value, span }) => {
                if let Value::Placeholder(name) = &*value
                    && let Some(literal) = self.param(&name.clone(), *span)
                {
                    *value = literal;
                }
            }
            Expr::Function(function) => self.function(function),
            Expr::BinaryOp {
                op: op @ (BinaryOperator::Divide | BinaryOperator::Modulo),
                right,
                ..
            } => {
                self.division(op, right);
            }
            Expr::Case { .. } => self.in_case += 1,
            _ => {}
        }
        if self.is_aggregate(expr) {
            self.in_aggregate += 1;
            self.aggregates += 1;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Case { .. }) {
            self.in_case -= 1;
        }
        if self.is_aggregate(expr) {
            self.in_aggregate -= 1;
        }
        ControlFlow::Continue(())
    }
}

/// The unnamed arguments of a call.
pub(super) fn arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    list.args
        .iter()
        .filter_map(|a| {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) = a { Some(e) } else { None }
        })
        .collect()
}
