//! Converting: one cell → a value of its column's type, or why not.
//!
//! In: a [`Cell`] and what the feed says of its column. Out: a [`Value`] that the column's builder takes as it is.
//! Order of the steps: blanks trimmed, "no value" texts, default, pseudonym, map, code list, type. A column that asks
//! for none of them ([`Converter::plain`]) skips to the type without copying.
//! Messages name the column and what would be right. They show a value only in feeds without personal columns: a
//! shifted row puts a telephone number anywhere.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use crate::model::{
    batch::DeadClass,
    moment, number,
    reference::{region, ucc},
    schema::{Column, ColumnType, FeedSchema, Invalid, SPLIT},
    secret::Keyed,
    time::{EVENT_MS_MAX, EVENT_MS_MIN, Zone},
};

use super::cell::{Cell, trim};

/// Longest part of a value that a message shows.
const SHOWN_CHARS_MAX: usize = 40;

/// A value of a column's type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    /// `text`, `ucc`, `region`.
    Text(Cow<'a, str>),
    /// `texts`, and exploded `text` columns.
    Texts(Vec<String>),
    Int(i64),
    Float(f64),
    /// Smallest units.
    Decimal(i128),
    Bool(bool),
    /// Days since 1970-01-01.
    Day(i32),
    /// Milliseconds since 1970-01-01T00:00Z.
    Instant(i64),
}

/// Why a cell became no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) class: DeadClass,
    pub(crate) message: String,
}

/// A value, and whether a code was emptied on the way (`Invalid::Null`).
type Converted<'a> = Result<(Value<'a>, bool), Refusal>;

/// What one column does with a cell.
#[derive(Debug)]
pub(crate) struct Converter {
    column: Column,
    map: HashMap<String, String>,
    /// What a number is multiplied by, by the rank of the name it stood under.
    times: Vec<i64>,
    codes: HashSet<String>,
    empty: HashSet<String>,
    is_event_time: bool,
    is_exploded: bool,
    plain: bool,
    show_values: bool,
}

impl Converter {
    pub(crate) fn of(schema: &FeedSchema, position: usize) -> Self {
        let column = schema.columns[position].clone();
        let is_exploded = schema.explode.contains(&position);
        let plain = column.codes.is_empty()
            && column.map.is_empty()
            && column.empty.is_empty()
            && column.default.is_none()
            && column.times.is_empty()
            && column.split.is_none()
            && !column.personal
            && !is_exploded
            && !matches!(column.kind, ColumnType::Texts | ColumnType::Ucc | ColumnType::Region);
        Self {
            map: column.map.iter().cloned().collect(),
            times: std::iter::once(&column.name)
                .chain(&column.from)
                .map(|name| column.times.iter().find(|(n, _)| n == name).map_or(1, |(_, n)| *n))
                .collect(),
            codes: column.codes.iter().cloned().collect(),
            empty: column.empty.iter().cloned().collect(),
            is_event_time: position == schema.event_time,
            is_exploded,
            plain,
            show_values: !schema.has_personal(),
            column,
        }
    }

    /// Nothing but the type is asked for.
    pub(crate) fn plain(&self) -> bool {
        self.plain
    }

    /// The column as the feed describes it.
    pub(crate) fn column(&self) -> &Column {
        &self.column
    }

    /// The value of `cell`, which stood under the column's `rank`-th name, with required, code and range checks.
    #[inline]
    pub(crate) fn convert<'a>(
        &self,
        cell: Cell<'a>,
        rank: u16,
        zone: &Zone,
        keyed: &Keyed,
    ) -> Converted<'a> {
        let (value, emptied) = if self.plain {
            (self.typed(cell, 1, zone)?, false)
        } else {
            self.prepared(cell, rank, zone, keyed)?
        };
        match value {
            Value::Null if self.column.required || self.is_event_time => Err(self.missing(emptied)),
            Value::Instant(_) | Value::Day(_) if self.is_event_time => {
                self.in_range(&value, zone)?;
                Ok((value, emptied))
            }
            value => Ok((value, emptied)),
        }
    }

    /// All steps, for columns that ask for any.
    fn prepared<'a>(&self, cell: Cell<'a>, rank: u16, zone: &Zone, keyed: &Keyed) -> Converted<'a> {
        if self.is_exploded || self.column.kind == ColumnType::Texts {
            return Ok((self.texts(cell)?, false));
        }
        let cell = self.without_empty(cell);
        if self.column.personal {
            return Ok((self.pseudonym(cell, keyed)?, false));
        }
        let times = self.times.get(usize::from(rank)).copied().unwrap_or(1);
        if let Some(at) = &self.column.split {
            return Ok((self.one_of_several(cell, at, times, zone)?, false));
        }
        let cell = self.mapped(cell)?;
        match self.column.kind {
            ColumnType::Ucc | ColumnType::Region => self.code(cell),
            _ => Ok((self.typed(cell, times, zone)?, false)),
        }
    }

    /// Of several values in one text the first text, or the largest number.
    fn one_of_several<'a>(
        &self,
        cell: Cell<'a>,
        at: &str,
        times: i64,
        zone: &Zone,
    ) -> Result<Value<'a>, Refusal> {
        let parts = match cell {
            Cell::List(items) => items,
            cell => match self.text_of(cell)? {
                Some(text) => split(&text, at, &self.column.keep),
                None => return Ok(Value::Null),
            },
        };
        let mut best = Value::Null;
        for part in parts {
            let cell = self.mapped(self.without_empty(Cell::Text(Cow::Owned(part))))?;
            let value = self.typed(cell, times, zone)?;
            let larger = match (&value, &best) {
                (Value::Null, _) => false,
                (_, Value::Null) => true,
                (Value::Int(a), Value::Int(b)) => a > b,
                (Value::Float(a), Value::Float(b)) => a > b,
                (Value::Decimal(a), Value::Decimal(b)) => a > b,
                _ => false,
            };
            if larger {
                best = value;
            }
        }
        Ok(best)
    }

    /// The cell, or the default where it says "no value".
    fn without_empty<'a>(&self, cell: Cell<'a>) -> Cell<'a> {
        let says_nothing = match &cell {
            Cell::Missing => true,
            Cell::Text(t) => {
                let t = trim(t);
                t.is_empty() || self.empty.contains(t)
            }
            Cell::Number(t) => self.empty.contains(t.as_ref()),
            _ => false,
        };
        match (says_nothing, &self.column.default) {
            (true, Some(default)) => Cell::Text(Cow::Owned(default.clone())),
            (true, None) => Cell::Missing,
            (false, _) => cell,
        }
    }

    fn pseudonym<'a>(&self, cell: Cell<'a>, keyed: &Keyed) -> Result<Value<'a>, Refusal> {
        match self.text_of(cell)? {
            Some(text) => Ok(Value::Text(Cow::Owned(keyed.pseudonym(&text)))),
            None => Ok(Value::Null),
        }
    }

    /// The cell after `map`, checked against `codes`.
    fn mapped<'a>(&self, cell: Cell<'a>) -> Result<Cell<'a>, Refusal> {
        if (self.map.is_empty() && self.codes.is_empty()) || cell == Cell::Missing {
            return Ok(cell);
        }
        match self.text_of(cell)? {
            Some(text) => Ok(Cell::Text(self.coded(text)?)),
            None => Ok(Cell::Missing),
        }
    }

    fn coded<'a>(&self, text: Cow<'a, str>) -> Result<Cow<'a, str>, Refusal> {
        let text = match self.map.get(text.as_ref()) {
            Some(to) => Cow::Owned(to.clone()),
            None => text,
        };
        if self.codes.is_empty() || self.codes.contains(text.as_ref()) {
            return Ok(text);
        }
        let found = self.shown(&Cell::Text(text));
        let list = list_of(&self.column.codes);
        Err(self.refuse(DeadClass::BadValue, format!("{found} is not in its code list ({list})")))
    }

    /// A list, from a list or from one text that is split.
    fn texts<'a>(&self, cell: Cell<'a>) -> Result<Value<'a>, Refusal> {
        let parts: Vec<String> = match self.without_empty(cell) {
            Cell::Missing => return Ok(Value::Null),
            Cell::List(items) => items,
            cell => match self.text_of(cell)? {
                Some(text) => {
                    let at = self.column.split.as_deref().unwrap_or(SPLIT);
                    split(&text, at, &self.column.keep)
                }
                None => return Ok(Value::Null),
            },
        };
        let mut texts: Vec<String> = Vec::with_capacity(parts.len());
        for part in parts {
            let part = trim(&part);
            if part.is_empty() || self.empty.contains(part) {
                continue;
            }
            let text = self.coded(Cow::Borrowed(part))?.into_owned();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        if texts.is_empty() { Ok(Value::Null) } else { Ok(Value::Texts(texts)) }
    }

    /// A `ucc` or `region` value, and what becomes of a bad one.
    fn code<'a>(&self, cell: Cell<'a>) -> Converted<'a> {
        let Some(text) = self.text_of(cell)? else { return Ok((Value::Null, false)) };
        let (folded, fault) = if self.column.kind == ColumnType::Ucc {
            (ucc::fold(&text).into_owned(), ucc::read(&text).err().map(|f| f.to_string()))
        } else {
            let folded = ucc::fold(&text).into_owned();
            let fault = region::check(&folded).err().map(|f| f.to_string());
            (folded, fault)
        };
        match (fault, self.column.invalid) {
            (None, _) | (Some(_), Invalid::Keep) => Ok((Value::Text(Cow::Owned(folded)), false)),
            (Some(_), Invalid::Null) => Ok((Value::Null, true)),
            (Some(fault), Invalid::Reject) => {
                let class = match self.column.kind {
                    ColumnType::Ucc => DeadClass::BadUcc,
                    _ => DeadClass::BadValue,
                };
                let found = self.shown(&Cell::Text(text));
                Err(self.refuse(class, format!("{found} {fault}")))
            }
        }
    }

    /// The cell as the column's type.
    #[inline]
    fn typed<'a>(&self, cell: Cell<'a>, times: i64, zone: &Zone) -> Result<Value<'a>, Refusal> {
        match (self.column.kind, cell) {
            (_, Cell::Missing) => Ok(Value::Null),
            (ColumnType::Text, Cell::Text(Cow::Borrowed(text))) => Ok(match trim(text) {
                "" => Value::Null,
                text => Value::Text(Cow::Borrowed(text)),
            }),
            (ColumnType::Text | ColumnType::Ucc | ColumnType::Region | ColumnType::Texts, cell) => {
                Ok(self.text_of(cell)?.map_or(Value::Null, Value::Text))
            }
            (ColumnType::Bool, Cell::Bool(b)) => Ok(Value::Bool(b)),
            (kind, cell) => {
                let text = match &cell {
                    Cell::Text(text) => trim(text),
                    Cell::Number(text) => text,
                    _ => return Err(self.wrong_type(&cell)),
                };
                if text.is_empty() {
                    return Ok(Value::Null);
                }
                let value = self.parsed(kind, text, times, zone);
                value.ok_or_else(|| self.wrong_type(&cell))
            }
        }
    }

    #[inline]
    fn parsed(
        &self,
        kind: ColumnType,
        text: &str,
        times: i64,
        zone: &Zone,
    ) -> Option<Value<'static>> {
        Some(match kind {
            ColumnType::Int if times == 1 => Value::Int(number::int(text)?),
            ColumnType::Int => {
                Value::Int(i64::try_from(number::decimal(text, 0, times, false)?).ok()?)
            }
            ColumnType::Float => Value::Float(number::float(text)? * times as f64),
            ColumnType::Decimal { scale } => {
                let units = number::decimal(text, scale, times, true)?;
                // 18 digits, the precision of the column.
                Value::Decimal((units.abs() < 10i128.pow(18)).then_some(units)?)
            }
            ColumnType::Bool => Value::Bool(truth(text)?),
            ColumnType::Date => Value::Day(moment::day(text, &self.column.formats, zone)?),
            ColumnType::Timestamp => {
                Value::Instant(moment::instant(text, &self.column.formats, zone)?)
            }
            ColumnType::Text | ColumnType::Texts | ColumnType::Ucc | ColumnType::Region => {
                return None;
            }
        })
    }

    /// The text of a scalar cell, trimmed; `None` for nothing.
    fn text_of<'a>(&self, cell: Cell<'a>) -> Result<Option<Cow<'a, str>>, Refusal> {
        let text = match cell {
            Cell::Missing => return Ok(None),
            Cell::Text(Cow::Borrowed(text)) => Cow::Borrowed(trim(text)),
            Cell::Text(Cow::Owned(text)) => match trim(&text) {
                t if t.len() == text.len() => Cow::Owned(text),
                t => Cow::Owned(t.to_owned()),
            },
            Cell::Number(text) => text,
            Cell::Bool(b) => Cow::Borrowed(if b { "true" } else { "false" }),
            cell @ (Cell::List(_) | Cell::Nested) => return Err(self.wrong_type(&cell)),
        };
        Ok(if text.is_empty() { None } else { Some(text) })
    }

    fn in_range(&self, value: &Value<'_>, zone: &Zone) -> Result<(), Refusal> {
        let ms = match value {
            Value::Instant(ms) => *ms,
            Value::Day(day) => zone.day_start(*day),
            _ => return Ok(()),
        };
        if (EVENT_MS_MIN..=EVENT_MS_MAX).contains(&ms) {
            return Ok(());
        }
        let at = zone.format(ms);
        Err(self.refuse(DeadClass::BadTime, format!("{at} lies outside the years 1900 to 2200")))
    }

    fn missing(&self, emptied: bool) -> Refusal {
        let class = match self.column.kind {
            ColumnType::Ucc if emptied => DeadClass::BadUcc,
            _ if emptied => DeadClass::BadValue,
            _ => DeadClass::Missing,
        };
        let what = if emptied { "has no valid value" } else { "has no value" };
        let names = match self.column.from.as_slice() {
            [] => String::new(),
            from => format!(" (in the source also called {})", list_of(from)),
        };
        self.refuse(class, format!("{what} and is required{names}"))
    }

    fn wrong_type(&self, cell: &Cell<'_>) -> Refusal {
        let is_time = matches!(self.column.kind, ColumnType::Date | ColumnType::Timestamp);
        let class = if self.is_event_time { DeadClass::BadTime } else { DeadClass::Type };
        let expected = match self.column.kind {
            ColumnType::Int => "a whole number",
            ColumnType::Float | ColumnType::Decimal { .. } => "a number",
            ColumnType::Bool => "true or false",
            ColumnType::Date => "a date (2026-03-05",
            ColumnType::Timestamp => "an instant (2026-03-05T08:00:00+08:00",
            ColumnType::Text | ColumnType::Ucc | ColumnType::Region => "a text",
            ColumnType::Texts => "a list of texts",
        };
        let formats = match (is_time, self.column.formats.as_slice()) {
            (false, _) => String::new(),
            (true, []) => ")".to_owned(),
            (true, formats) => format!(", {})", list_of(formats)),
        };
        let found = self.shown(cell);
        self.refuse(class, format!("{found} is not {expected}{formats}"))
    }

    fn refuse(&self, class: DeadClass, what: String) -> Refusal {
        Refusal { class, message: format!("column {:?}: {what}", self.column.name) }
    }

    /// The value where it may be shown, else its kind.
    fn shown(&self, cell: &Cell<'_>) -> String {
        let text = match cell {
            Cell::Text(text) | Cell::Number(text) if self.show_values => text,
            _ => return cell.kind(),
        };
        match text.char_indices().nth(SHOWN_CHARS_MAX) {
            Some((at, _)) => format!("{:?}…", &text[..at]),
            None => format!("{text:?}"),
        }
    }
}

fn truth(text: &str) -> Option<bool> {
    Some(match text {
        "true" | "1" | "是" | "有" | "y" | "Y" | "yes" | "t" | "T" | "True" | "TRUE" | "Yes"
        | "YES" => true,
        "false" | "0" | "否" | "无" | "n" | "N" | "no" | "f" | "F" | "False" | "FALSE" | "No"
        | "NO" => false,
        _ => return None,
    })
}

/// Splits at any character of `at`, but never inside a text of `keep`.
fn split(text: &str, at: &str, keep: &[String]) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let whole = keep.iter().filter(|k| {
            rest.strip_prefix(k.as_str()).is_some_and(|r| {
                let r = r.trim_start();
                r.is_empty() || r.starts_with(|c| at.contains(c))
            })
        });
        let from = whole.map(|k| k.len()).max().unwrap_or(0);
        match rest[from..].find(|c| at.contains(c)) {
            Some(end) => {
                parts.push(rest[..from + end].to_owned());
                let separator = rest[from + end..].chars().next().map_or(1, char::len_utf8);
                rest = &rest[from + end + separator..];
            }
            None => {
                parts.push(rest.to_owned());
                return parts;
            }
        }
    }
}

fn list_of(words: &[String]) -> String {
    const SHOWN_MAX: usize = 8;
    let shown = words.iter().take(SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match words.len() {
        n if n > SHOWN_MAX => format!("{shown} and {} more", n - SHOWN_MAX),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    fn convert(column: Column, cell: Cell<'_>) -> Result<Value<'static>, String> {
        let personal = column.personal;
        let schema =
            FeedSchema::new("f", vec![column, Column::new("at", ColumnType::Timestamp)], 1);
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let keyed = Secret::new([7; 32]).pseudonyms();
        let converted = Converter::of(&schema, 0).convert(cell, 1, &zone, &keyed);
        if personal {
            assert!(!format!("{converted:?}").contains("138"), "{converted:?}");
        }
        match converted {
            Ok((Value::Text(t), _)) => Ok(Value::Text(Cow::Owned(t.into_owned()))),
            Ok((Value::Null, _)) => Ok(Value::Null),
            Ok((Value::Texts(t), _)) => Ok(Value::Texts(t)),
            Ok((Value::Int(n), _)) => Ok(Value::Int(n)),
            Ok((Value::Float(f), _)) => Ok(Value::Float(f)),
            Ok((Value::Decimal(d), _)) => Ok(Value::Decimal(d)),
            Ok((Value::Bool(b), _)) => Ok(Value::Bool(b)),
            Ok((Value::Day(d), _)) => Ok(Value::Day(d)),
            Ok((Value::Instant(i), _)) => Ok(Value::Instant(i)),
            Err(r) => Err(format!("{}: {}", r.class.word(), r.message)),
        }
    }

    fn text(text: &str) -> Cell<'_> {
        Cell::Text(Cow::Borrowed(text))
    }

    fn number(text: &str) -> Cell<'_> {
        Cell::Number(Cow::Borrowed(text))
    }

    fn value(text: &str) -> Value<'static> {
        Value::Text(Cow::Owned(text.to_owned()))
    }

    #[test]
    fn plain_types() {
        use ColumnType::*;
        for (kind, cell, expect) in [
            (Text, text("甲"), Ok(value("甲"))),
            (Text, text("　甲 "), Ok(value("甲"))),
            (Text, text("  "), Ok(Value::Null)),
            (Text, number("0301"), Ok(value("0301"))),
            (Text, Cell::Bool(true), Ok(value("true"))),
            (
                Text,
                Cell::Nested,
                Err("type: column \"c\": an object or a list of lists is not a text"),
            ),
            (Int, number("12"), Ok(Value::Int(12))),
            (Int, text("1,200"), Ok(Value::Int(1200))),
            (Int, text(""), Ok(Value::Null)),
            (Int, number("1.5"), Err("type: column \"c\": \"1.5\" is not a whole number")),
            (Int, Cell::Bool(true), Err("type: column \"c\": true or false is not a whole number")),
            (Float, number("1.5"), Ok(Value::Float(1.5))),
            (Float, text("未检出"), Err("type: column \"c\": \"未检出\" is not a number")),
            (Decimal { scale: 2 }, number("12.345"), Ok(Value::Decimal(1235))),
            (
                Decimal { scale: 2 },
                number("1e17"),
                Err("type: column \"c\": \"1e17\" is not a number"),
            ),
            (Bool, text("是"), Ok(Value::Bool(true))),
            (Bool, number("0"), Ok(Value::Bool(false))),
            (Date, text("2026-03-05"), Ok(Value::Day(20_517))),
            (Date, text("昨天"), Err("type: column \"c\": \"昨天\" is not a date (2026-03-05)")),
            (Timestamp, number("1772668800000"), Ok(Value::Instant(1_772_668_800_000))),
        ] {
            let found = convert(Column::new("c", kind), cell.clone());
            assert_eq!(found, expect.map_err(String::from), "{kind:?} {cell:?}");
        }
    }

    #[test]
    fn maps_codes_defaults_and_empties() {
        let mut column = Column::new("c", ColumnType::Text);
        column.map = vec![("投诉".into(), "TS".into())];
        column.codes = vec!["TS".into(), "JB".into()];
        column.empty = vec!["/".into(), "0".into()];
        column.default = Some("JB".into());
        for (cell, expect) in [
            (text("投诉"), Ok(value("TS"))),
            (text("TS "), Ok(value("TS"))),
            (text("/"), Ok(value("JB"))),
            (number("0"), Ok(value("JB"))),
            (Cell::Missing, Ok(value("JB"))),
            (
                text("咨询"),
                Err("bad_value: column \"c\": \"咨询\" is not in its code list (TS, JB)"),
            ),
        ] {
            assert_eq!(
                convert(column.clone(), cell.clone()),
                expect.map_err(String::from),
                "{cell:?}"
            );
        }
    }

    #[test]
    fn amounts_in_ten_thousands_are_exact() {
        let mut column = Column::new("c", ColumnType::Decimal { scale: 2 });
        column.from = vec!["万元".into()];
        column.times = vec![("万元".into(), 10_000)];
        for (cell, expect) in [
            (text("0.1"), 100_000),
            (number("12.345678"), 12_345_678),
            (text("1,000"), 1_000_000_000),
        ] {
            assert_eq!(convert(column.clone(), cell), Ok(Value::Decimal(expect)));
        }
        let mut column = Column::new("c", ColumnType::Int);
        column.from = vec!["万元".into()];
        column.times = vec![("万元".into(), 10_000)];
        assert_eq!(convert(column.clone(), text("0.5")), Ok(Value::Int(5_000)));
        assert!(convert(column, text("0.00001")).is_err());
    }

    #[test]
    fn one_of_several_values_counts() {
        let mut column = Column::new("c", ColumnType::Int);
        column.split = Some(";、".into());
        column.map = vec![
            ("警告".into(), "1".into()),
            ("吊销".into(), "6".into()),
            ("罚款".into(), "2".into()),
        ];
        assert_eq!(convert(column.clone(), text("罚款;吊销、警告")), Ok(Value::Int(6)));
        assert_eq!(convert(column.clone(), number("3")), Ok(Value::Int(3)));
        assert!(convert(column.clone(), text("罚款;其他")).is_err());
        let mut column = Column { kind: ColumnType::Text, ..column };
        column.empty = vec!["/".into()];
        assert_eq!(convert(column.clone(), text("/;吊销;罚款")), Ok(value("6")));
        assert_eq!(
            convert(column, Cell::List(vec!["其他".into(), "罚款".into()])),
            Ok(value("其他"))
        );
    }

    #[test]
    fn codes_that_fail_their_check() {
        let cell = || text("91440300708461136I");
        for (kind, invalid, cell, expect) in [
            (
                ColumnType::Ucc,
                Invalid::Null,
                text(" 91440300 708461136t"),
                Ok(value("91440300708461136T")),
            ),
            (ColumnType::Ucc, Invalid::Null, cell(), Ok(Value::Null)),
            (ColumnType::Ucc, Invalid::Keep, cell(), Ok(value("91440300708461136I"))),
            (
                ColumnType::Ucc,
                Invalid::Reject,
                cell(),
                Err(
                    "bad_ucc: column \"c\": \"91440300708461136I\" holds 'I' at position 18, which codes of this kind do not use",
                ),
            ),
            (ColumnType::Region, Invalid::Null, number("430102"), Ok(value("430102"))),
            (ColumnType::Region, Invalid::Null, text("４３０１２４"), Ok(value("430124"))),
            (
                ColumnType::Region,
                Invalid::Reject,
                text("长沙"),
                Err("bad_value: column \"c\": \"长沙\" holds something other than digits"),
            ),
        ] {
            let mut column = Column::new("c", kind);
            column.invalid = invalid;
            assert_eq!(convert(column, cell.clone()), expect.map_err(String::from), "{cell:?}");
        }
    }

    #[test]
    fn required_columns() {
        let mut column = Column::new("c", ColumnType::Ucc);
        column.required = true;
        column.from = vec!["信用代码".into()];
        let missing = "missing: column \"c\": has no value and is required (in the source also called 信用代码)";
        assert_eq!(convert(column.clone(), text("")), Err(missing.into()));
        let found = convert(column, text("123")).unwrap_err();
        assert!(found.starts_with("bad_ucc: column \"c\": has no valid value"), "{found}");
    }

    #[test]
    fn personal_values_are_hashed_and_never_shown() {
        let mut column = Column::new("c", ColumnType::Text);
        column.personal = true;
        let Ok(Value::Text(a)) = convert(column.clone(), text("13800138000")) else { panic!() };
        assert_eq!(a.len(), 32);
        assert_eq!(convert(column.clone(), number("13800138000")), Ok(value(&a)));
        assert_eq!(convert(column.clone(), text(" ")), Ok(Value::Null));
        let list = Cell::List(vec!["13800138000".into()]);
        assert_eq!(convert(column, list), Err("type: column \"c\": a list is not a text".into()));
    }

    #[test]
    fn lists() {
        let mut column = Column::new("c", ColumnType::Texts);
        column.keep = vec!["FUEL SYSTEM, GASOLINE".into()];
        for (cell, expect) in [
            (text("甲;乙、丙，丁"), vec!["甲", "乙", "丙", "丁"]),
            (
                text("STEERING,FUEL SYSTEM, GASOLINE,AIR BAGS"),
                vec!["STEERING", "FUEL SYSTEM, GASOLINE", "AIR BAGS"],
            ),
            (text("FUEL SYSTEM, GASOLINE"), vec!["FUEL SYSTEM, GASOLINE"]),
            (text("FUEL SYSTEM, GASOLINES"), vec!["FUEL SYSTEM", "GASOLINES"]),
            (text("甲;;甲; "), vec!["甲"]),
            (Cell::List(vec!["甲;乙".into(), "丙".into()]), vec!["甲;乙", "丙"]),
        ] {
            let expect = expect.into_iter().map(String::from).collect();
            assert_eq!(convert(column.clone(), cell.clone()), Ok(Value::Texts(expect)), "{cell:?}");
        }
        assert_eq!(convert(column, text(";")), Ok(Value::Null));
    }
}
