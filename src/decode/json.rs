//! NDJSON: one line, one flat object → the cells of a record.
//!
//! In: a line of UTF-8. Out: its cells, borrowed from the line, or what is wrong with it and where. Written by hand
//! because Arrow's decoder fails a whole batch without saying which row, and copies every key and value through a
//! tape first: here a value is found in place and the keys are guessed from the line before, where they nearly always
//! stand in the same order.
//! Stricter than that decoder (commas, number syntax, nothing behind the object, no field twice) and more lenient than
//! RFC 8259 in one point: raw control characters other than NUL are taken as part of a text.

use std::borrow::Cow;

use memchr::memchr2;

use super::cell::{Cell, Fields, Record, Target};

/// Deepest nesting inside an ignored field.
const DEPTH_MAX: u32 = 64;

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub(crate) what: String,
    /// Byte in the line.
    pub(crate) at: usize,
}

/// The keys of the lines so far, by their place in the line.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    guesses: Vec<Guess>,
}

/// The key last seen at one place.
#[derive(Debug)]
struct Guess {
    key: String,
    /// The key as it mostly stands in a line: in quotes, a colon behind it.
    written: String,
    targets: Vec<Target>,
}

impl Keys {
    /// Where the `i`-th field goes and how long its name is, colon included, if `rest` begins as in the lines before.
    #[inline]
    fn guess(&self, i: usize, rest: &[u8]) -> Option<(&[Target], usize)> {
        let guess = self.guesses.get(i)?;
        let meant = rest.starts_with(guess.written.as_bytes());
        meant.then_some((guess.targets.as_slice(), guess.written.len()))
    }

    /// Where the `i`-th field of a line goes.
    #[inline]
    fn targets<'s>(&'s mut self, i: usize, key: &str, fields: &Fields) -> &'s [Target] {
        if self.guesses.get(i).is_none_or(|g| g.key != key) {
            self.learn(i, key, fields);
        }
        self.guesses.get(i).map_or(&[], |g| g.targets.as_slice())
    }

    #[cold]
    fn learn(&mut self, i: usize, key: &str, fields: &Fields) {
        let written = format!("\"{key}\":");
        let learnt = Guess { key: key.to_owned(), written, targets: fields.of_name(key).to_vec() };
        // A line may have any number of fields; places far out are not remembered, the last one serves them all.
        match self.guesses.get_mut(i) {
            Some(guess) => *guess = learnt,
            None => self.guesses.push(learnt),
        }
    }
}

/// Most places whose keys are remembered.
const PLACES_MAX: usize = 256;

/// Reads `line` into `record`.
pub(crate) fn read<'a>(
    line: &'a str,
    fields: &Fields,
    keys: &mut Keys,
    record: &mut Record<'a>,
) -> Result<(), Syntax> {
    let mut scan = Scan { line, bytes: line.as_bytes(), at: 0 };
    scan.skip_blanks();
    if scan.peek() != Some(b'{') {
        return Err(scan.fault("a line must hold one object, starting with \"{\""));
    }
    scan.at += 1;
    scan.skip_blanks();
    if scan.peek() == Some(b'}') {
        scan.at += 1;
        return scan.end();
    }
    for i in 0.. {
        scan.skip_blanks();
        let at = scan.at;
        let place = i.min(PLACES_MAX);
        let key;
        let targets = match keys.guess(place, &scan.bytes[at..]) {
            Some((targets, len)) => {
                scan.at += len;
                targets
            }
            None => {
                key = scan.name()?;
                keys.targets(place, &key, fields)
            }
        };
        scan.skip_blanks();
        if targets.is_empty() {
            scan.skip_value(0)?;
        } else {
            let cell = scan.cell()?;
            if !record.put(targets, cell) {
                scan.at = at;
                let what = format!("field {:?} stands twice", scan.name()?);
                return Err(Syntax { what, at });
            }
        }
        scan.skip_blanks();
        match scan.peek() {
            Some(b',') => scan.at += 1,
            Some(b'}') => {
                scan.at += 1;
                return scan.end();
            }
            _ => return Err(scan.fault("a comma or \"}\" is expected behind a value")),
        }
    }
    Ok(())
}

struct Scan<'a> {
    line: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// A field name and the colon behind it.
    fn name(&mut self) -> Result<Cow<'a, str>, Syntax> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("a field name in quotes is expected"));
        }
        let name = self.string()?;
        self.skip_blanks();
        if self.peek() != Some(b':') {
            return Err(self.fault("a colon is expected behind the field name"));
        }
        self.at += 1;
        Ok(name)
    }

    #[cold]
    fn fault(&self, what: &str) -> Syntax {
        let what = match self.peek() {
            Some(_) => what.to_owned(),
            None => format!("{what}, the line ends here"),
        };
        Syntax { what, at: self.at }
    }

    fn end(&mut self) -> Result<(), Syntax> {
        self.skip_blanks();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault("something follows the object")),
        }
    }

    #[inline]
    fn cell(&mut self) -> Result<Cell<'a>, Syntax> {
        Ok(match self.peek() {
            Some(b'"') => Cell::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Cell::Number(Cow::Borrowed(self.number()?)),
            Some(b'[') => self.list()?,
            Some(b'{') => {
                self.skip_value(0)?;
                Cell::Nested
            }
            _ => self.literal()?,
        })
    }

    /// `true`, `false` or `null`.
    fn literal(&mut self) -> Result<Cell<'a>, Syntax> {
        let rest = &self.bytes[self.at..];
        for (word, cell) in
            [("null", Cell::Missing), ("true", Cell::Bool(true)), ("false", Cell::Bool(false))]
        {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(cell);
            }
        }
        Err(self.fault("a value is expected"))
    }

    /// A text; borrowed unless it has escapes.
    #[inline]
    fn string(&mut self) -> Result<Cow<'a, str>, Syntax> {
        let from = self.at + 1;
        match memchr2(b'"', b'\\', &self.bytes[from..]) {
            Some(n) if self.bytes[from + n] == b'"' => {
                self.at = from + n + 1;
                Ok(Cow::Borrowed(&self.line[from..from + n]))
            }
            Some(_) => self.escaped(from).map(Cow::Owned),
            None => Err(self.fault("a text has no closing quote")),
        }
    }

    #[cold]
    fn escaped(&mut self, from: usize) -> Result<String, Syntax> {
        let mut text = String::new();
        let mut at = from;
        loop {
            let Some(n) = memchr2(b'"', b'\\', &self.bytes[at..]) else {
                return Err(self.fault("a text has no closing quote"));
            };
            text.push_str(&self.line[at..at + n]);
            at += n + 1;
            if self.bytes[at - 1] == b'"' {
                self.at = at;
                return Ok(text);
            }
            self.at = at;
            text.push(self.escape()?);
            at = self.at;
        }
    }

    /// The character behind a backslash.
    fn escape(&mut self) -> Result<char, Syntax> {
        let c = match self.peek() {
            Some(b'u') => return self.unicode(),
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            _ => return Err(self.fault("no such escape")),
        };
        self.at += 1;
        Ok(c)
    }

    fn unicode(&mut self) -> Result<char, Syntax> {
        let high = self.hex4()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high).ok_or_else(|| self.fault("a lone low surrogate"));
        }
        if !self.bytes[self.at..].starts_with(b"\\u") {
            return Err(self.fault("a high surrogate without its low one"));
        }
        self.at += 1;
        let low = self.hex4()?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err(self.fault("a high surrogate without its low one"));
        }
        char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
            .ok_or_else(|| self.fault("a pair of surrogates that is no character"))
    }

    /// `uXXXX`, the cursor on the `u`.
    fn hex4(&mut self) -> Result<u32, Syntax> {
        let digits = self.bytes.get(self.at + 1..self.at + 5);
        let number = digits.and_then(|digits| {
            digits.iter().try_fold(0, |n, b| Some(n * 16 + char::from(*b).to_digit(16)?))
        });
        let number = number.ok_or_else(|| self.fault("four hexadecimal digits are expected"))?;
        self.at += 5;
        Ok(number)
    }

    /// A number by the grammar of JSON.
    #[inline]
    fn number(&mut self) -> Result<&'a str, Syntax> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.at;
        if self.digits() == 0 {
            return Err(self.fault("a digit is expected"));
        }
        if self.bytes[whole] == b'0' && self.at > whole + 1 {
            return Err(Syntax {
                what: "a number with a leading zero; codes are texts in quotes".into(),
                at: whole,
            });
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.fault("a digit is expected behind the point"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.fault("a digit is expected in the exponent"));
            }
        }
        Ok(&self.line[from..self.at])
    }

    #[inline]
    fn digits(&mut self) -> usize {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - from
    }

    /// A list of scalars as texts; a list that holds others is [`Cell::Nested`].
    fn list(&mut self) -> Result<Cell<'a>, Syntax> {
        let mut items = Vec::new();
        let mut flat = true;
        self.at += 1;
        self.skip_blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Cell::List(items));
        }
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(b'[' | b'{') => {
                    flat = false;
                    self.skip_value(1)?;
                }
                _ => match self.cell()? {
                    Cell::Text(t) | Cell::Number(t) => items.push(t.into_owned()),
                    Cell::Bool(b) => items.push(b.to_string()),
                    _ => {}
                },
            }
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(if flat { Cell::List(items) } else { Cell::Nested });
                }
                _ => return Err(self.fault("a comma or \"]\" is expected in a list")),
            }
        }
    }

    /// Passes over a value of any kind.
    fn skip_value(&mut self, depth: u32) -> Result<(), Syntax> {
        let (open, close) = match self.peek() {
            Some(b'{') => (b'{', b'}'),
            Some(b'[') => (b'[', b']'),
            _ => return self.cell().map(|_| ()),
        };
        if depth >= DEPTH_MAX {
            return Err(self.fault("nested more than 64 deep"));
        }
        self.at += 1;
        self.skip_blanks();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_blanks();
            if open == b'{' {
                self.name()?;
                self.skip_blanks();
            }
            self.skip_value(depth + 1)?;
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b) if b == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.fault("a comma or the closing bracket is expected")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::{Column, ColumnType, FeedSchema};

    fn read_ab(line: &str) -> Result<(Cell<'_>, Cell<'_>), String> {
        let columns = ["a", "b"].map(|n| Column::new(n, ColumnType::Text)).into();
        let fields = Fields::of(&FeedSchema::new("f", columns, 0));
        let mut record = Record::new(2);
        match read(line, &fields, &mut Keys::default(), &mut record) {
            Ok(()) => Ok((record.take(0).0, record.take(1).0)),
            Err(s) => Err(format!("{} at {}", s.what, s.at)),
        }
    }

    fn text(text: &str) -> Cell<'_> {
        Cell::Text(text.into())
    }

    #[test]
    fn values() {
        use Cell::{Bool, List, Missing, Nested, Number};
        for (line, a, b) in [
            (r#"{"a":"甲","b":1.5e3}"#, text("甲"), Number("1.5e3".into())),
            (" { \"b\" : null , \"a\" : true } \r", Bool(true), Missing),
            ("{}", Missing, Missing),
            (r#"{"x":{"a":[1,{"b":"}"}]},"a":-0.5}"#, Number("-0.5".into()), Missing),
            (r#"{"a":"q\"\\\/\n\u4e2d\ud83d\ude00"}"#, text("q\"\\/\n中😀"), Missing),
            (r#"{"\u0061":"a"}"#, text("a"), Missing),
            (
                r#"{"a":["x",2,true,null],"b":[]}"#,
                List(vec!["x".into(), "2".into(), "true".into()]),
                Missing,
            ),
            (r#"{"a":{"c":1},"b":[[1]]}"#, Nested, Nested),
            ("{\"a\":\"tab\there\"}", text("tab\there"), Missing),
        ] {
            assert_eq!(read_ab(line), Ok((a, b)), "{line}");
        }
    }

    #[test]
    fn faults() {
        for (line, expect) in [
            (r#"{"a":1}{"a":2}"#, "something follows the object at 7"),
            ("[1]", "a line must hold one object, starting with \"{\" at 0"),
            ("null", "a line must hold one object, starting with \"{\" at 0"),
            (r#"{"a":1,"a":2}"#, "field \"a\" stands twice at 7"),
            (r#"{"a":1 "b":2}"#, "a comma or \"}\" is expected behind a value at 7"),
            (r#"{"a":1,}"#, "a field name in quotes is expected at 7"),
            (r#"{,"a":1}"#, "a field name in quotes is expected at 1"),
            (r#"{"a":1"#, "a comma or \"}\" is expected behind a value, the line ends here at 6"),
            (r#"{"a":"x"#, "a text has no closing quote at 5"),
            (r#"{"a" 1}"#, "a colon is expected behind the field name at 5"),
            (r#"{"a":01}"#, "a number with a leading zero; codes are texts in quotes at 5"),
            (r#"{"a":1.}"#, "a digit is expected behind the point at 7"),
            (r#"{"a":-}"#, "a digit is expected at 6"),
            (r#"{"a":1e}"#, "a digit is expected in the exponent at 7"),
            (r#"{"a":NaN}"#, "a value is expected at 5"),
            (r#"{"a":nul}"#, "a value is expected at 5"),
            (r#"{"a":"\x"}"#, "no such escape at 7"),
            (r#"{"a":"\u12"}"#, "four hexadecimal digits are expected at 7"),
            (r#"{"a":"\ud800x"}"#, "a high surrogate without its low one at 12"),
            (r#"{"a":"\udc00"}"#, "a lone low surrogate at 12"),
            (r#"{"x":[1 2]}"#, "a comma or the closing bracket is expected at 8"),
            (r#"{"a":[1 2]}"#, "a comma or \"]\" is expected in a list at 8"),
            ("", "a line must hold one object, starting with \"{\", the line ends here at 0"),
        ] {
            assert_eq!(read_ab(line), Err(expect.to_owned()), "{line}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_recursing() {
        for key in ["a", "x"] {
            let line = format!("{{\"{key}\":{}", "[".repeat(1_000_000));
            let found = read_ab(&line).unwrap_err();
            assert!(found.starts_with("nested more than 64 deep"), "{found}");
        }
        let line = format!("{{\"x\":{}{}}}", "[".repeat(64), "]".repeat(64));
        assert!(read_ab(&line).is_ok());
    }

    #[test]
    fn guessed_keys_never_mix_fields() {
        let columns = ["a", "b"].map(|n| Column::new(n, ColumnType::Text)).into();
        let fields = Fields::of(&FeedSchema::new("f", columns, 0));
        let mut keys = Keys::default();
        let many: String = (0..600).map(|i| format!("\"x{i}\":{i},")).collect();
        let lines = [
            r#"{"a":1,"b":2}"#.to_owned(),
            r#"{"b":2,"a":1}"#.to_owned(),
            format!("{{{many}\"b\":2,\"a\":1}}"),
            r#"{"a":1,"b":2}"#.to_owned(),
        ];
        for line in &lines {
            let mut record = Record::new(2);
            read(line, &fields, &mut keys, &mut record).unwrap();
            assert_eq!(record.take(0).0, Cell::Number("1".into()));
            assert_eq!(record.take(1).0, Cell::Number("2".into()));
        }
    }
}
