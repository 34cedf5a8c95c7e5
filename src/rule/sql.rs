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
            VisitorMut, visit_expressions_mut,
        },
        dialect::GenericDialect,
        keywords::Keyword,
        parser::{Parser, ParserError},
        tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace},
    },
};

use crate::model::{
    diagnostic::{Diagnostic, did_you_mean, list_names},
    yaml::Sql,
};

/// Nested parentheses and calls an expression may have.
const DEPTH_MAX: usize = 50;

/// What an expression may use.
pub(super) struct Scope<'a> {
    /// Column names, flat (`usual.n` is one name).
    pub(super) columns: &'a [&'a str],
    /// `$name` → value.
    pub(super) params: &'a [(String, ScalarValue)],
    /// The functions there are.
    pub(super) functions: &'a Functions,
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

/// Splits `expression as name`; the name is that of the last top-level `as`, or of the one column.
pub(super) fn split_alias(sql: &Sql) -> (Sql, Option<String>) {
    let tokens = tokens(sql).unwrap_or_default();
    let words: Vec<_> =
        tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).collect();
    let word = |t: &TokenWithSpan| {
        if let Token::Word(w) = &t.token { Some(w.value.clone()) } else { None }
    };
    match words.as_slice() {
        [only] => (sql.clone(), word(only)),
        [.., before, keyword, name] => match (&keyword.token, word(name)) {
            (Token::Word(w), Some(alias)) if w.keyword == Keyword::AS => {
                let end = offset(&sql.text, before.span.end);
                (sql.part(0..end), Some(alias))
            }
            _ => (sql.clone(), None),
        },
        _ => (sql.clone(), None),
    }
}

/// Names of the columns an expression mentions, flat, whether they exist or not.
pub(super) fn names(sql: &Sql) -> Vec<String> {
    let Ok(mut expr) = syntax(sql) else { return Vec::new() };
    let mut out = Vec::new();
    let _ = visit_expressions_mut(&mut expr, |e| {
        match e {
            Expr::Identifier(i) => out.push(i.value.clone()),
            Expr::CompoundIdentifier(parts) => out.push(flat(parts)),
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    out
}

fn tokens(sql: &Sql) -> Result<Vec<TokenWithSpan>, Box<Diagnostic>> {
    let found = Tokenizer::new(&GenericDialect {}, &sql.text).tokenize_with_location();
    found.map_err(|e| syntax_error(sql, &e.message, Some(e.location)))
}

fn syntax(sql: &Sql) -> Result<Expr, Box<Diagnostic>> {
    let tokens = tokens(sql)?;
    let comment = |t: &&TokenWithSpan| {
        matches!(
            &t.token,
            Token::Whitespace(
                Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)
            )
        )
    };
    if let Some(comment) = tokens.iter().find(comment) {
        let finding = Diagnostic::error(
            "rule::syntax",
            sql.file_span(range(&sql.text, comment.span)),
            "an expression holds no comments: YAML may join its lines, and the comment would swallow the rest",
        );
        return Err(Box::new(finding.label("write it as a YAML comment (#) on a line above")));
    }
    if let Some(operator) = tokens.iter().find(|t| t.token == DISTINCT.0) {
        return Err(syntax_error(
            sql,
            "there is no operator ~~, write like",
            Some(operator.span.start),
        ));
    }
    let tokens = join_distinct(tokens);
    let mut parser = Parser::new(&GenericDialect {})
        .with_recursion_limit(DEPTH_MAX)
        .with_tokens_with_locations(tokens);
    let mut expr = parser.parse_expr().map_err(|e| match e {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            let (message, at) = split_location(&message);
            syntax_error(sql, message, at)
        }
        ParserError::RecursionLimitExceeded => {
            syntax_error(sql, &format!("nested deeper than {DEPTH_MAX} levels"), None)
        }
    })?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let message = format!("the expression ends before {}", next.token);
        return Err(syntax_error(sql, &message, Some(next.span.start)));
    }
    split_distinct(&mut expr);
    Ok(expr)
}

/// Stands for `is distinct from` while parsing; authors who write it mean `like`, and say so.
const DISTINCT: (Token, BinaryOperator) = (Token::DoubleTilde, BinaryOperator::PGLikeMatch);
/// Stands for `is not distinct from`.
const NOT_DISTINCT: (Token, BinaryOperator) = (Token::Spaceship, BinaryOperator::Spaceship);

/// Makes one operator of the words `is [not] distinct from`. The parser would take the whole rest of the expression
/// for its right side: `a is distinct from 'x' and b` as `a is distinct from ('x' and b)`.
fn join_distinct(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens.into_iter().filter(|t| !matches!(t.token, Token::Whitespace(_))) {
        out.push(token);
        let ends = |words: &[Keyword]| {
            let is = |(t, of): (&TokenWithSpan, &Keyword)| matches!(&t.token, Token::Word(w) if w.keyword == *of);
            out.len() >= words.len() && out[out.len() - words.len()..].iter().zip(words).all(is)
        };
        let (words, operator) = if ends(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]) {
            (3, DISTINCT.0)
        } else if ends(&[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM]) {
            (4, NOT_DISTINCT.0)
        } else {
            continue;
        };
        let replaced = out.split_off(out.len() - words);
        let span = Span::union_iter(replaced.iter().map(|t| t.span));
        out.push(TokenWithSpan::new(operator, span));
    }
    out
}

/// The reverse of [`join_distinct`] in the tree.
fn split_distinct(expr: &mut Expr) {
    let _ = visit_expressions_mut(expr, |e| {
        if let Expr::BinaryOp { left, op, right } = e
            && (*op == DISTINCT.1 || *op == NOT_DISTINCT.1)
        {
            let nothing = || Box::new(Expr::Value(Value::Null.into()));
            let (left, right) =
                (std::mem::replace(left, nothing()), std::mem::replace(right, nothing()));
            *e = if *op == DISTINCT.1 {
                Expr::IsDistinctFrom(left, right)
            } else {
                Expr::IsNotDistinctFrom(left, right)
            };
        }
        ControlFlow::<()>::Continue(())
    });
}

fn syntax_error(sql: &Sql, message: &str, at: Option<Location>) -> Box<Diagnostic> {
    let text = sql.text.as_str();
    // Without a place the parser ran out of text.
    let start = at.map_or(text.len(), |l| offset(text, l));
    let word = text[start..]
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len() - start);
    let one = text[start..].chars().next().map_or(0, char::len_utf8);
    let (start, end) = if start < text.len() {
        (start, start + word.max(one))
    } else {
        (last_char(text), text.len())
    };
    let message =
        message.trim_start_matches("sql parser error: ").replace("Expected: ", "expected ");
    let message = message.replace("found: EOF", "found the end");
    let mut finding = Diagnostic::error(
        "rule::syntax",
        sql.file_span(start..end),
        format!("not a well-formed SQL expression: {}", message.replace("found: ", "found ")),
    );
    let wide = text[start..end].chars().next().and_then(half_width);
    match wide {
        Some(half) => finding.label = format!("a full-width sign, write {half}"),
        None if text[..start].trim_end().ends_with('=') && text[start..].starts_with('=') => {
            finding.label = "SQL compares with one =".into();
        }
        None => {}
    }
    Box::new(finding)
}

/// The ASCII sign that a full-width one was meant for.
fn half_width(c: char) -> Option<char> {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        '‘' | '’' | '“' | '”' => Some('\''),
        '、' => Some(','),
        '≥' | '≤' | '≠' => Some(if c == '≥' { '>' } else { '<' }),
        _ => None,
    }
}

fn last_char(text: &str) -> usize {
    let text = text.trim_end();
    text.char_indices().next_back().map_or(0, |(i, _)| i)
}

/// Cuts ` at Line: 1, Column: 5` off a message.
fn split_location(message: &str) -> (&str, Option<Location>) {
    let Some(i) = message.rfind(" at Line: ") else { return (message, None) };
    let numbers: Vec<u64> =
        message[i..].split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    match numbers.as_slice() {
        [line, column] => (&message[..i], Some(Location { line: *line, column: *column })),
        _ => (&message[..i], None),
    }
}

/// Byte offset of a place that counts lines and characters from 1.
fn offset(text: &str, at: Location) -> usize {
    let mut start = 0;
    for _ in 1..at.line {
        start += text[start..].find('\n').map_or(0, |i| i + 1);
    }
    let line = text[start..].split('\n').next().unwrap_or("");
    let column = at.column.saturating_sub(1) as usize;
    start + line.char_indices().nth(column).map_or(line.len(), |(i, _)| i)
}

/// Byte range of a span of the tree; closed parentheses belong to it, the whole text where the tree does not know.
fn range(text: &str, span: Span) -> Range<usize> {
    if span == Span::empty() {
        return 0..text.len();
    }
    let start = offset(text, span.start);
    let mut end = offset(text, span.end).max(start);
    let open =
        |end: usize| text[start..end].matches('(').count() > text[start..end].matches(')').count();
    while open(end) {
        let Some(next) = text[end..].find(')') else { break };
        end += next + 1;
    }
    start..end
}

/// Byte range of a part of the tree; the tree's own span of a call ends at its name or last argument.
pub(super) fn expr_range(text: &str, expr: &Expr) -> Range<usize> {
    let at = range(text, expr.span());
    let rest = &text[at.end..];
    if !matches!(expr, Expr::Function(_))
        || !rest.trim_start().starts_with('(')
        || text[at.clone()].contains('(')
    {
        return at;
    }
    let mut depth = 0;
    for (i, c) in rest.char_indices() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if c == ')' && depth == 0 {
            return at.start..at.end + i + 1;
        }
    }
    at
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
        let name = flat(parts);
        let span = parts.iter().map(|i| i.span).reduce(|a, b| a.union(&b)).unwrap_or(Span::empty());
        let at = self.at(span);
        if !self.scope.columns.contains(&name.as_str()) {
            let near = did_you_mean(&name, self.scope.columns.iter().copied())
                .or_else(|| did_you_mean(&name.to_lowercase(), self.scope.columns.iter().copied()));
            let label = match near {
                Some(near) => format!("did you mean {near:?}?"),
                None if self.scope.columns.is_empty() => String::new(),
                None if parts.iter().any(|i| i.quote_style == Some('"')) => {
                    format!("double quotes make a column, texts take single ones: '{name}'")
                }
                None => String::new(),
            };
            let help = (label.is_empty() && !self.scope.columns.is_empty())
                .then(|| format!("there are {}", list_names(self.scope.columns.iter().copied())));
            self.find("rule::unknown_column", at, format!("no column {name:?} here"), label);
            if let Some(last) = self.findings.last_mut() {
                last.help = help;
            }
            return None;
        }
        if self.scope.aggregate && self.in_aggregate == 0 {
            let message =
                format!("column {name:?} stands outside an aggregate: which row's value is meant?");
            self.find("rule::outside_aggregate", at, message, format!("like max({name})"));
        }
        Some(Ident { value: name, quote_style: Some('"'), span })
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
            return;
        }
        if known.not_immutable.contains(&name) {
            let message = format!(
                "{name}() is not a function of the record alone: a replay would give other alerts"
            );
            return self.find("rule::not_immutable", at, message, "use a time column of the feed");
        }
        if name == "in_list" {
            return self.find(
                "rule::unknown_list",
                at,
                "this version has no reference lists",
                "write the values out",
            );
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_distinct_from_binds_closer_than_and() {
        let tree = |text: &str| {
            let mut expr = syntax(&Sql::bare(text)).expect(text);
            // Parentheses that show how it was understood.
            let _ = visit_expressions_mut(&mut expr, |e| {
                if let Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) = e {
                    let inner = std::mem::replace(&mut **right, Expr::Value(Value::Null.into()));
                    **right = Expr::Nested(Box::new(inner));
                }
                ControlFlow::<()>::Continue(())
            });
            expr.to_string()
        };
        for (text, expect) in [
            ("a is distinct from 'x' or b", "a IS DISTINCT FROM ('x') OR b"),
            (
                "c and a is not distinct from f(x, 1) and b",
                "c AND a IS NOT DISTINCT FROM (f(x, 1)) AND b",
            ),
            ("(a is distinct from 1) or b", "(a IS DISTINCT FROM (1)) OR b"),
            ("f(a is distinct from b, c)", "f(a IS DISTINCT FROM (b), c)"),
            ("a is distinct from b", "a IS DISTINCT FROM (b)"),
            ("extract(year from a) > 3", "EXTRACT(YEAR FROM a) > 3"),
        ] {
            assert_eq!(tree(text), expect);
        }
    }
}
