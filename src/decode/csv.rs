//! CSV: where a record ends, what separates its fields, and the fields themselves.
//!
//! In: bytes that begin at a record. Out: the record's end and its fields, borrowed unless they hold doubled quotes.
//! A quote opens a field only at its very start, so inches and quoted words inside a field are text. A quote that is
//! never closed would swallow what follows, up to the next quote or the end: a record whose quotes do not add up is cut
//! after its first line (see [`next_record`]) and reading goes on with the next line, however the source is chunked.

use std::{borrow::Cow, ops::Range};

use memchr::{memchr, memchr2};

/// Characters that may separate fields, the likelier first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// What the bytes from a record's start on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// A whole record; where the next one begins.
    Whole(usize),
    /// A record longer than allowed, or whose quotes do not add up; the end of its first line.
    Cut(usize),
    /// Not to be told without more bytes.
    More,
}

/// The separator of a file with this header line: the most frequent candidate outside quotes.
pub(crate) fn delimiter_of(header: &[u8]) -> u8 {
    let mut counts = [0usize; DELIMITERS.len()];
    let mut quoted = false;
    for &b in header {
        if b == b'"' {
            quoted = !quoted;
        } else if let Some(i) = DELIMITERS.iter().position(|d| *d == b && !quoted) {
            counts[i] += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    counts.iter().position(|c| *c == most).map_or(b',', |i| DELIMITERS[i])
}

/// Looks at the record that begins at `from`. `whole` says that nothing follows `bytes`.
pub(crate) fn next_record(
    bytes: &[u8],
    from: usize,
    delimiter: u8,
    max: usize,
    whole: bool,
) -> Next {
    let first_line = || memchr(b'\n', &bytes[from..]).map(|n| from + n + 1);
    match record_end(bytes, from, delimiter) {
        End::At(end) if end - from - 1 > max => first_line().map_or(Next::More, Next::Cut),
        End::At(end) => Next::Whole(end),
        End::Malformed => match first_line() {
            Some(end) => Next::Cut(end),
            None if whole => Next::Cut(bytes.len()),
            None => Next::More,
        },
        End::Unquoted if whole && bytes.len() - from <= max => Next::Whole(bytes.len()),
        _ if whole => Next::Cut(first_line().unwrap_or(bytes.len())),
        _ if bytes.len() - from > max => first_line().map_or(Next::More, Next::Cut),
        _ => Next::More,
    }
}

enum End {
    /// Behind the line end of the record.
    At(usize),
    /// Something other than a separator follows a closing quote.
    Malformed,
    /// The bytes end inside a quoted field.
    Quoted,
    /// The bytes end elsewhere.
    Unquoted,
}

fn record_end(bytes: &[u8], from: usize, delimiter: u8) -> End {
    let mut at = from;
    loop {
        if bytes.get(at) == Some(&b'"') {
            match closing_quote(bytes, at + 1) {
                Some(close) => at = close + 1,
                None => return End::Quoted,
            }
            let follows = |b: &u8| *b == delimiter || matches!(b, b'\n' | b'\r');
            if !bytes.get(at).is_none_or(follows) {
                return End::Malformed;
            }
        }
        match memchr2(delimiter, b'\n', &bytes[at..]) {
            Some(n) if bytes[at + n] == b'\n' => return End::At(at + n + 1),
            Some(n) => at += n + 1,
            None => return End::Unquoted,
        }
    }
}

/// The quote that closes a field whose text begins at `at`; doubled quotes are text.
fn closing_quote(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let quote = at + memchr(b'"', &bytes[at..])?;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        at = quote + 2;
    }
}

/// Splits a record (line end included or not) into its fields.
///
/// # Errors
/// What is wrong, when a quoted field is not closed or something other than a separator follows it.
pub(crate) fn fields<'a>(
    record: &'a str,
    delimiter: u8,
    mut take: impl FnMut(usize, Cow<'a, str>),
) -> Result<usize, String> {
    let record = record.strip_suffix('\n').unwrap_or(record);
    let record = record.strip_suffix('\r').unwrap_or(record);
    let bytes = record.as_bytes();
    let mut at = 0;
    for i in 0.. {
        let quoted = bytes.get(at) == Some(&b'"');
        let (text, end) = if quoted {
            quoted_field(record, at, i)?
        } else {
            let end = memchr(delimiter, &bytes[at..]).map_or(bytes.len(), |n| at + n);
            (Cow::Borrowed(&record[at..end]), end)
        };
        take(i, text);
        match bytes.get(end) {
            None => return Ok(i + 1),
            Some(b) if *b == delimiter => at = end + 1,
            Some(_) => {
                return Err(format!("field {} goes on behind its closing quote", i + 1));
            }
        }
    }
    Ok(0)
}

/// The text between the quotes of the field that starts at `at`, and where it ends.
fn quoted_field(record: &str, at: usize, i: usize) -> Result<(Cow<'_, str>, usize), String> {
    let Some(close) = closing_quote(record.as_bytes(), at + 1) else {
        return Err(format!("the quote that opens field {} is never closed", i + 1));
    };
    let text = &record[at + 1..close];
    let text = match memchr(b'"', text.as_bytes()) {
        Some(_) => Cow::Owned(text.replace("\"\"", "\"")),
        None => Cow::Borrowed(text),
    };
    Ok((text, close + 1))
}

/// The record without its line end.
pub(crate) fn content(bytes: &[u8], range: &Range<usize>) -> Range<usize> {
    let end = range.end - usize::from(bytes[range.clone()].ends_with(b"\n"));
    range.start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters() {
        for (header, expect) in [
            ("a,b,c", b','),
            ("编号;日期;金额", b';'),
            ("a\tb,c\td", b'\t'),
            ("\"a,b,c,d\"|e|f", b'|'),
            ("only", b','),
        ] {
            assert_eq!(delimiter_of(header.as_bytes()), expect, "{header}");
        }
    }

    #[test]
    fn record_ends() {
        use Next::{Cut, More, Whole};
        for (bytes, whole, expect) in [
            ("a,b\nc", false, Whole(4)),
            ("a,\"x\ny\"\nc", false, Whole(8)),
            ("a,\"x\"\"\n\"\nc", false, Whole(9)),
            ("a,5\" pipe\nc", false, Whole(10)),
            ("a,b", false, More),
            ("a,b", true, Whole(3)),
            ("a,\"x\ny", false, More),
            ("a,\"x\ny", true, Cut(5)),
            ("a,\"x\ny,\"z\",\n", false, Cut(5)),
            ("a,\"x\"y", false, More),
            ("a,\"x\"y", true, Cut(6)),
            ("\"", true, Cut(1)),
            ("a,\"x\n0123456789012345678901", false, Cut(5)),
            ("a,\"x\n0123456789012345678\"\nb\n", true, Cut(5)),
            ("a,b,01234567890123456789\n", false, Cut(25)),
            ("a,b,01234567890123456789", false, More),
        ] {
            assert_eq!(
                next_record(bytes.as_bytes(), 0, b',', 20, whole),
                expect,
                "{bytes:?} {whole}"
            );
        }
    }

    #[test]
    fn splits_fields() {
        for (record, expect) in [
            ("a,b\r\n", Ok(vec!["a", "b"])),
            ("a,,", Ok(vec!["a", "", ""])),
            (
                "\"x,\ny\",\"say \"\"hi\"\"\",5\" pipe\n",
                Ok(vec!["x,\ny", "say \"hi\"", "5\" pipe"]),
            ),
            ("", Ok(vec![""])),
            ("\"\"", Ok(vec![""])),
            ("a,\"b\"c", Err("field 2 goes on behind its closing quote")),
            ("a,\"b", Err("the quote that opens field 2 is never closed")),
        ] {
            let mut found = Vec::new();
            let result = fields(record, b',', |i, text| {
                assert_eq!(i, found.len());
                found.push(text.into_owned());
            });
            match expect {
                Ok(expect) => assert_eq!(
                    (result, found),
                    (Ok(expect.len()), expect.into_iter().map(String::from).collect()),
                    "{record:?}"
                ),
                Err(message) => assert_eq!(result, Err(message.to_owned()), "{record:?}"),
            }
        }
    }
}
