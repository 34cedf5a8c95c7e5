//! Syntax of an expression: text → sqlparser's tree, or where it is not well formed.
//!
//! Not here: what its names mean — see `sql`.

use std::ops::{ControlFlow, Range};

use datafusion::sql::sqlparser::{
    ast::{BinaryOperator, Expr, Spanned, Value, visit_expressions_mut},
    dialect::GenericDialect,
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace},
};

use crate::model::{diagnostic::Diagnostic, yaml::Sql};

/// Nested parentheses and calls an expression may have.
const DEPTH_MAX: usize = 50;

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

fn tokens(sql: &Sql) -> Result<Vec<TokenWithSpan>, Box<Diagnostic>> {
    let found = Tokenizer::new(&GenericDialect {}, &sql.text).tokenize_with_location();
    found.map_err(|e| syntax_error(sql, &e.message, Some(e.location)))
}

/// The tree of an expression.
pub(super) fn parse(sql: &Sql) -> Result<Expr, Box<Diagnostic>> {
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
pub(super) fn range(text: &str, span: Span) -> Range<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_distinct_from_binds_closer_than_and() {
        let tree = |text: &str| {
            let mut expr = parse(&Sql::bare(text)).expect(text);
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
