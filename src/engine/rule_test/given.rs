//! The rows of a test as its author wrote them → single rows in arrival order.
//!
//! `repeat: 11, every: 8h` makes eleven rows, `{i}` in their texts counts from 1. `at` is the event time, `arrives` the
//! arrival time where it differs. `$A` … `$Z` are made-up codes with right check characters. A row without a record id
//! gets one of its own.

use std::ops::Range;

use serde_json::{Map, Value, json};

use crate::{
    feed::FeedSpec,
    model::{
        diagnostic::{Diagnostic, did_you_mean},
        reference::ucc,
        schema::{Column, ColumnType, FeedSchema},
        time::{DAY_MS, Zone, format_day, parse_span},
        yaml::Spanned,
    },
    rule::file::TestCase,
};

/// Rows one entry may stand for.
const REPEAT_MAX: i64 = 100_000;

/// Words of a row that are no columns.
const WORDS: [&str; 4] = ["at", "arrives", "repeat", "every"];

/// One row of a test.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Position of the feed.
    pub(super) feed: usize,
    /// Event time.
    pub(super) at_ms: i64,
    /// Arrival time.
    pub(super) arrives_ms: i64,
    /// Canonical columns.
    pub(super) json: Value,
    /// The entry it comes from.
    pub(super) span: Range<usize>,
}

/// All rows of a test in arrival order; rows that arrive together stay in the file's order.
pub(super) fn expand(
    case: &TestCase,
    feeds: &[FeedSpec],
    zone: &Zone,
) -> Result<Vec<Row>, Vec<Diagnostic>> {
    let mut rows = Vec::new();
    let mut findings = Vec::new();
    for (name, entries) in &case.given {
        let Some(feed) = feeds.iter().position(|f| f.schema.feed == name.value) else {
            let known = did_you_mean(&name.value, feeds.iter().map(|f| f.schema.feed.as_str()));
            let finding = Diagnostic::error(
                "test::unknown_feed",
                name.span.clone(),
                format!("test {:?}: there is no feed {:?}", case.name.value, name.value),
            );
            findings.push(suggest(finding, known));
            continue;
        };
        for entry in entries {
            match expand_entry(entry, feed, &feeds[feed].schema, zone, rows.len()) {
                Ok(some) => rows.extend(some),
                Err(some) => findings.extend(some),
            }
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    rows.sort_by_key(|r| r.arrives_ms);
    Ok(rows)
}

fn expand_entry(
    entry: &Spanned<Map<String, Value>>,
    feed: usize,
    schema: &FeedSchema,
    zone: &Zone,
    made: usize,
) -> Result<Vec<Row>, Vec<Diagnostic>> {
    let mut findings = unknown_columns(entry, schema);
    let mut bad = |word: &str, need: &str| {
        findings.push(Diagnostic::error(
            "test::bad_row",
            entry.span.clone(),
            format!(
                "row of feed {:?}: {word} is {}, write {need}",
                schema.feed,
                entry.value.get(word).unwrap_or(&Value::Null)
            ),
        ));
    };
    let at = time_of(entry, "at", zone)
        .or_else(|| time_of(entry, &schema.columns[schema.event_time].name, zone));
    if at.is_none() {
        bad("at", "a date (2026-03-02) or an instant (2026-03-02 08:00)");
    }
    let arrives = time_of(entry, "arrives", zone);
    if arrives.is_none() && entry.value.contains_key("arrives") {
        bad("arrives", "a date or an instant");
    }
    let repeat = entry
        .value
        .get("repeat")
        .map_or(Some(1), Value::as_i64)
        .filter(|n| (1..=REPEAT_MAX).contains(n));
    if repeat.is_none() {
        bad("repeat", "a number from 1 to 100000");
    }
    let every = entry.value.get("every").map_or(Some(0), |v| v.as_str().and_then(parse_span));
    if every.is_none() {
        bad("every", "a duration like 8h");
    }
    let (Some(at), Some(repeat), Some(every)) = (at, repeat, every) else { return Err(findings) };
    if !findings.is_empty() {
        return Err(findings);
    }
    let rows = (0..repeat).map(|i| {
        let at_ms = at + i * every;
        let json = columns_of(entry, schema, zone, at_ms, i + 1, made + i as usize);
        let at_ms = match schema.columns[schema.event_time].kind {
            ColumnType::Date => zone.day_start(zone.to_local(at_ms).div_euclid(DAY_MS) as i32),
            _ => at_ms,
        };
        Row { feed, at_ms, arrives_ms: arrives.unwrap_or(at_ms), json, span: entry.span.clone() }
    });
    Ok(rows.collect())
}

fn unknown_columns(entry: &Spanned<Map<String, Value>>, schema: &FeedSchema) -> Vec<Diagnostic> {
    let unknown =
        entry.value.keys().filter(|k| !WORDS.contains(&k.as_str()) && schema.position(k).is_none());
    unknown
        .map(|k| {
            let finding = Diagnostic::error(
                "test::unknown_column",
                entry.span.clone(),
                format!("feed {:?} has no column {k:?}", schema.feed),
            );
            suggest(finding, did_you_mean(k, schema.columns.iter().map(|c| c.name.as_str())))
        })
        .collect()
}

fn suggest(finding: Diagnostic, known: Option<&str>) -> Diagnostic {
    match known {
        Some(word) => finding.label(format!("did you mean {word:?}?")),
        None => finding,
    }
}

fn time_of(entry: &Spanned<Map<String, Value>>, word: &str, zone: &Zone) -> Option<i64> {
    entry.value.get(word).and_then(Value::as_str).and_then(|text| instant(text, zone))
}

/// A date or an instant in the zone.
pub(super) fn instant(text: &str, zone: &Zone) -> Option<i64> {
    zone.parse_instant(text)
}

/// The columns of the `i`-th row (from 1) of an entry.
fn columns_of(
    entry: &Spanned<Map<String, Value>>,
    schema: &FeedSchema,
    zone: &Zone,
    at_ms: i64,
    i: i64,
    ordinal: usize,
) -> Value {
    let mut out = Map::new();
    for (name, value) in &entry.value {
        if let Some(position) = schema.position(name) {
            out.insert(name.clone(), cell(value, &schema.columns[position], i));
        }
    }
    let event_time = &schema.columns[schema.event_time];
    let at = match event_time.kind {
        ColumnType::Date => format_day(zone.to_local(at_ms).div_euclid(DAY_MS) as i32),
        _ => zone.format(at_ms),
    };
    out.insert(event_time.name.clone(), Value::String(at));
    if let Some(id) = schema.numbering().filter(|id| !out.contains_key(&id.name)) {
        let made = if id.kind == ColumnType::Int {
            json!(ordinal)
        } else {
            json!(format!("row {}", ordinal + 1))
        };
        out.insert(id.name.clone(), made);
    }
    Value::Object(out)
}

/// A value as the column's type wants it in JSON, with `{i}` and `$A` replaced.
fn cell(value: &Value, column: &Column, i: i64) -> Value {
    match (value, column.kind) {
        (Value::String(text), _) => Value::String(replaced(text, i)),
        (Value::Array(items), _) => items.iter().map(|v| cell(v, column, i)).collect(),
        (
            Value::Number(n),
            ColumnType::Text | ColumnType::Texts | ColumnType::Ucc | ColumnType::Region,
        ) => Value::String(n.to_string()),
        (Value::Bool(b), ColumnType::Text | ColumnType::Texts) => Value::String(b.to_string()),
        _ => value.clone(),
    }
}

/// `{i}` and `$A` replaced.
pub(super) fn replaced(text: &str, i: i64) -> String {
    made_up(text).unwrap_or_else(|| text.replace("{i}", &i.to_string()))
}

/// The code that `$A` … `$Z` stand for.
pub(super) fn made_up(text: &str) -> Option<String> {
    match text.as_bytes() {
        [b'$', letter @ b'A'..=b'Z'] => Some(made_up_code(u32::from(letter - b'A'))),
        _ => None,
    }
}

/// A unified social credit code of an enterprise in 长沙 that no business has: its organisation code begins with
/// `MADEM0`. `number` is below 961; both check characters are right.
#[must_use]
pub fn made_up_code(number: u32) -> String {
    let digits: Vec<char> = "0123456789ABCDEFGHJKLMNPQRTUWXY".chars().collect();
    let mut organisation = String::from("MADEM0");
    organisation.push(digits[(number / 31 % 31) as usize]);
    organisation.push(digits[(number % 31) as usize]);
    let check = |text: &str, last: Result<(), ucc::Fault>| match last {
        Err(ucc::Fault::Check { expected, .. }) => format!("{text}{expected}"),
        _ => format!("{text}0"),
    };
    let organisation = check(&organisation, ucc::check_organisation(&format!("{organisation}0")));
    let code = format!("91430100{organisation}");
    check(&code, ucc::check(&format!("{code}0")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_codes_are_right_and_differ() {
        let codes: Vec<String> = ('A'..='Z').filter_map(|c| made_up(&format!("${c}"))).collect();
        for code in &codes {
            assert_eq!(ucc::check(code), Ok(()), "{code}");
            assert_eq!(ucc::check_organisation(&code[8..17]), Ok(()), "{code}");
            assert_eq!(&code[8..14], "MADEM0");
        }
        let mut distinct = codes.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!((codes.len(), distinct.len()), (26, 26));
        assert_eq!(made_up("$a"), None);
        assert_eq!(made_up("$AB"), None);
    }
}
