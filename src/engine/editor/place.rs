//! Where in a rule file a cursor stands, found from the lines themselves: while one writes, a file is seldom whole YAML.
//!
//! In: the text and a byte offset. Out: the keys on the way to that place, from the outside in (items of lists do not
//! count), and whether a key or a value stands there.

use std::ops::Range;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Keys from the outside in.
    pub(super) path: Vec<String>,
    /// What stands there.
    pub(super) at: At,
    /// Bytes of the value up to the cursor; empty where a key stands.
    pub(super) value: Range<usize>,
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// A key, or nothing yet where one may stand.
    Key,
    /// A value.
    Value,
}

impl Place {
    /// The place of a byte of the text.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let offset = floor(text, offset);
        let mut start = line_start(text, offset);
        // What begins above and goes on here: text behind `>`, or a map in braces.
        if let Some(opening) = opening(text, start) {
            start = opening;
        }
        let line = Line::of(text, start);
        let found = scan(&text[line.content..offset.max(line.content)]);
        let mut path = parents(text, &line);
        path.extend(found.keys);
        let value = match found.at {
            At::Key => offset..offset,
            At::Value => line.content + found.value..offset.max(line.content + found.value),
        };
        Self { path, at: found.at, value }
    }

    /// The keys as texts, to match on.
    pub(super) fn path(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }
}

/// The word of letters, digits, `_`, `.` and `$` around a byte.
pub(super) fn word(text: &str, offset: usize) -> Range<usize> {
    let offset = floor(text, offset);
    let is = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
    let before = text[..offset].chars().rev().take_while(is).map(char::len_utf8).sum::<usize>();
    let behind = text[offset..].chars().take_while(is).map(char::len_utf8).sum::<usize>();
    offset - before..offset + behind
}

/// A line of a block: where its indentation ends, and behind the dashes of list items.
struct Line {
    start: usize,
    /// Column of the first dash, if the line begins an item.
    dash: Option<usize>,
    /// Column of the key.
    column: usize,
    /// Byte of the key.
    content: usize,
}

impl Line {
    fn of(text: &str, start: usize) -> Self {
        let line = text[start..].split('\n').next().unwrap_or_default();
        let mut column = line.len() - line.trim_start_matches(' ').len();
        let mut dash = None;
        while line[column..].starts_with("- ") || &line[column..] == "-" {
            dash.get_or_insert(column);
            column += 1;
            column += line[column..].len() - line[column..].trim_start_matches(' ').len();
        }
        Self { start, dash, column, content: start + column }
    }
}

/// The keys above a line that it belongs to.
fn parents(text: &str, line: &Line) -> Vec<String> {
    let mut path = Vec::new();
    // A key above belongs here if it stands left of this column.
    let mut within = line.dash.map_or(line.column, |dash| dash + 1);
    let mut at = line.start;
    while at > 0 && within > 0 {
        at = line_start(text, at - 1);
        let above = Line::of(text, at);
        let content = text[above.content..].split('\n').next().unwrap_or_default();
        if content.trim().is_empty() || content.starts_with('#') {
            continue;
        }
        if above.column < within {
            if let Some((key, _)) = key(content) {
                path.push(key.to_owned());
            }
            within = above.column;
        }
        // The key beside a dash belongs to the item, and the item to what stands at or left of the dash.
        if let Some(dash) = above.dash.filter(|dash| *dash < within && above.column <= within + 2) {
            within = within.min(dash + 1);
        }
    }
    path.reverse();
    path
}

/// Start of the line above that a line continues: one that ends in `>` or `|`, or has more opening than closing braces, or
/// a text that is not over; `None` where the line begins something itself.
fn opening(text: &str, start: usize) -> Option<usize> {
    let here = Line::of(text, start);
    let mut at = start;
    for _ in 0..40 {
        if at == 0 {
            return None;
        }
        at = line_start(text, at - 1);
        let above = Line::of(text, at);
        let content = text[above.content..start].trim_end();
        let first = content.split('\n').next().unwrap_or_default();
        if first.trim().is_empty() || first.starts_with('#') {
            continue;
        }
        let Some((_, value)) = key(first) else { continue };
        let value = value.trim();
        let open = |c: char| content.matches(c).count();
        let braces = open('{') > open('}') || open('[') > open(']');
        if braces {
            return Some(at);
        }
        let deeper = here.column > above.column && here.dash.is_none();
        return (deeper && !value.is_empty() && !value.starts_with('#')).then_some(at);
    }
    None
}

/// What a line has up to the cursor.
struct Found {
    keys: Vec<String>,
    at: At,
    /// Byte behind the last key's colon, or of the item.
    value: usize,
}

/// Reads from a key on, braces and brackets included.
fn scan(line: &str) -> Found {
    let mut keys: Vec<Option<String>> = Vec::new();
    let mut from = 0;
    let mut at = At::Key;
    // Braces and brackets that are open, each with whether keys stand in it.
    let mut open: Vec<bool> = Vec::new();
    let mut quote: Option<char> = None;
    let mut depth = 0u32;
    let mut before = ' ';
    for (i, c) in line.char_indices() {
        let next = line[i + c.len_utf8()..].chars().next();
        let in_keys = open.last().copied().unwrap_or(true);
        match (quote, c) {
            (Some(q), _) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => {
                quote = Some(c);
            }
            // SQL in a flow: a comma inside parentheses is the text's own.
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, ':') if at == At::Key && in_keys && next.is_none_or(char::is_whitespace) => {
                keys.push(Some(line[from..i].trim().trim_matches(['"', '\'']).to_owned()));
                (at, from) = (At::Value, i + 1);
            }
            (None, '{' | '[') if line[from..i].trim().is_empty() => {
                open.push(c == '{');
                (at, from) = (if c == '{' { At::Key } else { At::Value }, i + 1);
                if c == '[' {
                    keys.push(None);
                }
            }
            (None, ',') if depth == 0 && !open.is_empty() => {
                from = i + 1;
                if in_keys {
                    keys.pop();
                    at = At::Key;
                }
            }
            (None, '}' | ']') if !open.is_empty() => {
                let map = open.pop().unwrap_or_default();
                if !map || at == At::Value {
                    keys.pop();
                }
                (at, from) = (At::Value, i + 1);
            }
            (None, '#') if before == ' ' && open.is_empty() => break,
            _ => {}
        }
        before = c;
    }
    let blank = line[from..].len() - line[from..].trim_start().len();
    Found { keys: keys.into_iter().flatten().collect(), at, value: from + blank }
}

/// The key of a line and what is behind its colon.
fn key(content: &str) -> Option<(&str, &str)> {
    let (key, value) = content.split_once(':')?;
    let ends = value.is_empty() || value.starts_with([' ', '\r']);
    let plain = !key.is_empty() && !key.contains(['{', '[', ' ', '"', '\'']);
    (ends && plain).then_some((key, value))
}

fn line_start(text: &str, offset: usize) -> usize {
    text[..offset].rfind('\n').map_or(0, |i| i + 1)
}

/// The nearest place at or before a byte where a character begins.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of `|` in a text: its path, and `:` where a value stands.
    fn check(text: &str, expect: &str) {
        let offset = text.find('¦').unwrap();
        let place = Place::of(&text.replace('¦', ""), offset);
        let end = if place.at == At::Value { ":" } else { "" };
        assert_eq!(format!("{}{end}", place.path.join("/")), expect, "{text}");
    }

    #[test]
    fn blocks() {
        check("ru¦", "");
        check("rule: a\nkind: w¦", "kind:");
        check("alert:\n  ke¦", "alert");
        check("alert:\n  message:\n    zh: 甲¦", "alert/message/zh:");
        check("alert:\n  message:\n    zh: 甲\n  ke¦", "alert");
        check("alert:\n  keep_for: 3d\nte¦", "");
        check("measures:\n  n: count(¦", "measures/n:");
        check("when: a > 1\n  and ¦", "when:");
        check("about: >-\n  Some text¦", "about:");
    }

    #[test]
    fn items() {
        check("tests:\n  - name: a\n    gi¦", "tests");
        check("tests:\n  - na¦", "tests");
        check(
            "tests:\n  - name: a\n    given:\n      complaints:\n        - {at¦",
            "tests/given/complaints",
        );
        check(
            "tests:\n  - name: a\n    given:\n      complaints:\n        - {at: 1, uc¦",
            "tests/given/complaints",
        );
        check(
            "tests:\n  - name: a\n    given:\n      complaints:\n        - {at: 1, ucc: ¦",
            "tests/given/complaints/ucc:",
        );
        check("tests:\n  - name: a\n    expect: []\n  - na¦", "tests");
        check("tests:\n- name: a\n  given:\n    complaints:\n    - {¦", "tests/given/complaints");
        check("key:\n  - uc¦", "key");
    }

    #[test]
    fn flows() {
        check("severity: {high: n > ¦", "severity/high:");
        check("severity: {high: n > 2, el¦", "severity");
        check("key: [uc¦", "key:");
        check("key: [ucc, \"left(region, ¦", "key:");
        check("severity: {high: greatest(a, ¦", "severity/high:");
        check("detector: {ears: {me¦", "detector/ears");
        check("detector: {ears: {method: C1}}\nwh¦", "");
        check("alert: {assign: {department: x}, ke¦", "alert");
        check("params: {a: 1,\n  b¦", "params");
    }
}
