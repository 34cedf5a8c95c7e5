//! Condition: SQL of rules as people read it, without what the compiler put in: casts, types of literals, brackets around
//! the whole.

/// Calls whose argument says as much alone.
const CALLS: [&str; 6] = ["CAST(", "TRY_CAST(", "Int64(", "UInt64(", "Float64(", "Utf8("];

/// The text without them.
pub(super) fn plain(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(next) = rest.chars().next() {
        let in_word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let call = CALLS.iter().find(|c| !in_word && rest.starts_with(**c));
        if let Some((inside, behind)) = call.and_then(|c| bracketed(&rest[c.len() - 1..])) {
            let argument = inside.rsplit_once(" AS ").map_or(inside, |(argument, _)| argument);
            out.push_str(&plain(argument));
            rest = behind;
        } else if let Some(behind) = quoted(rest) {
            out.push_str(&rest[..rest.len() - behind.len()]);
            rest = behind;
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    match bracketed(&out) {
        Some((inside, "")) => plain(inside),
        _ => out,
    }
}

/// What stands between the bracket at the start and its partner, and what follows.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let mut rest = text.strip_prefix('(')?;
    let mut depth = 1;
    while let Some(next) = rest.chars().next() {
        if let Some(behind) = quoted(rest) {
            rest = behind;
            continue;
        }
        let behind = &rest[next.len_utf8()..];
        match next {
            '(' => depth += 1,
            ')' if depth == 1 => return Some((&text[1..text.len() - rest.len()], behind)),
            ')' => depth -= 1,
            _ => {}
        }
        rest = behind;
    }
    None
}

/// What follows the text in quotes at the start.
fn quoted(text: &str) -> Option<&str> {
    let end = text.strip_prefix('\'')?.find('\'')?;
    Some(&text[end + 2..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_compiler_put_in_is_left_out() {
        for (sql, expect) in [
            ("(people >= 10)", "people >= 10"),
            ("Int64(30)", "30"),
            ("(a > 1) AND (b > 2)", "(a > 1) AND (b > 2)"),
            (
                "(CAST(n AS DOUBLE) >= (3.0 * greatest(usual.n, 1.0)))",
                "n >= (3.0 * greatest(usual.n, 1.0))",
            ),
            (
                "CAST(greatest(last.n, 10) AS DOUBLE) + sqrt(CAST(x AS DOUBLE))",
                "greatest(last.n, 10) + sqrt(x)",
            ),
            ("kind = 'CAST(x AS DOUBLE) ('", "kind = 'CAST(x AS DOUBLE) ('"),
            ("(a = ')')", "a = ')'"),
            ("FORECAST(x AS y)", "FORECAST(x AS y)"),
            ("((n", "((n"),
            ("it's", "it's"),
            ("", ""),
            ("预警 >= 界限", "预警 >= 界限"),
        ] {
            assert_eq!(plain(sql), expect, "{sql}");
        }
    }
}
