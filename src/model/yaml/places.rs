//! Places: where each byte of a scalar's text stands in the file, whatever its quoting and folding.

use std::ops::Range;

use super::Style;

/// Where each byte of a scalar's text stands in the file: walks text and source side by side, and notes a pair
/// wherever they stop running alike (a fold, an escape, an indentation).
pub(super) fn offsets(
    source: &str,
    span: &Range<usize>,
    style: Style,
    indent: usize,
    text: &str,
) -> Vec<(usize, usize)> {
    let raw = &source[span.clone()];
    let mut walk = Walk { raw, text, r: 0, t: 0, base: span.start, map: Vec::new() };
    match style {
        Style::Plain => walk.flow(None),
        Style::Single => walk.flow(Some('\'')),
        Style::Double => walk.flow(Some('"')),
        Style::Literal | Style::Folded => walk.block(indent),
    }
    walk.map
}

struct Walk<'a> {
    raw: &'a str,
    text: &'a str,
    /// Byte offsets in `raw` and `text`.
    r: usize,
    t: usize,
    /// Where `raw` starts in the file.
    base: usize,
    map: Vec<(usize, usize)>,
}

impl Walk<'_> {
    fn note(&mut self) {
        let (t, f) = (self.t, self.base + self.r);
        match self.map.last_mut() {
            Some((last_t, last_f)) if t - *last_t == f.wrapping_sub(*last_f) => {}
            Some(last) if last.0 == t => last.1 = f,
            _ => self.map.push((t, f)),
        }
    }

    /// Plain and quoted scalars.
    fn flow(&mut self, quote: Option<char>) {
        self.r += quote.map_or(0, char::len_utf8);
        self.note();
        while let Some(c) = self.text[self.t..].chars().next() {
            let rest = &self.raw[self.r..];
            if let Some((bytes, breaks)) = fold(rest) {
                self.t += if breaks == 1 { 1 } else { breaks - 1 };
                self.r += bytes;
            } else if quote == Some('"') && rest.starts_with('\\') {
                let (bytes, produces) = escape(rest);
                self.r += bytes;
                self.t += if produces { c.len_utf8() } else { 0 };
            } else if quote == Some('\'') && rest.starts_with("''") {
                self.r += 2;
                self.t += 1;
            } else if rest.starts_with(c) {
                self.r += c.len_utf8();
                self.t += c.len_utf8();
                continue;
            } else {
                return;
            }
            if !self.text.is_char_boundary(self.t) {
                return;
            }
            self.note();
        }
    }

    /// `|` and `>` scalars: `raw` starts at the first text behind the indentation, leading empty lines lie before it.
    fn block(&mut self, indent: usize) {
        self.t = self.text.bytes().take_while(|b| *b == b'\n').count();
        self.map.push((0, self.base));
        self.note();
        while let Some(c) = self.text[self.t..].chars().next() {
            let rest = &self.raw[self.r..];
            let at_break = rest.starts_with('\n') || rest.starts_with("\r\n");
            if at_break && (c == ' ' || c == '\n') {
                let mut breaks = 0;
                while let Some(width) = break_at(&self.raw[self.r..]) {
                    breaks += 1;
                    self.r += width;
                    self.skip_indent(indent);
                }
                let newlines = self.text[self.t..].bytes().take_while(|b| *b == b'\n').count();
                self.t += if newlines == 0 { 1 } else { newlines.min(breaks) };
                self.note();
            } else if rest.starts_with(c) {
                self.r += c.len_utf8();
                self.t += c.len_utf8();
            } else {
                return;
            }
        }
    }

    fn skip_indent(&mut self, indent: usize) {
        let blanks = self.raw[self.r..].bytes().take_while(|b| *b == b' ').count();
        self.r += blanks.min(indent);
    }
}

fn break_at(raw: &str) -> Option<usize> {
    if raw.starts_with('\n') { Some(1) } else { raw.starts_with("\r\n").then_some(2) }
}

/// A fold at the start of `raw`: blanks and line breaks; returns its bytes and its number of line breaks.
fn fold(raw: &str) -> Option<(usize, usize)> {
    let run = raw.len() - raw.trim_start_matches([' ', '\t', '\r', '\n']).len();
    let breaks = raw[..run].matches('\n').count();
    (breaks > 0).then_some((run, breaks))
}

/// An escape at the start of `raw`: its bytes, and whether it stands for a character (an escaped line break does not).
fn escape(raw: &str) -> (usize, bool) {
    let unit = |at: usize| raw.get(at + 2..at + 6).and_then(|h| u32::from_str_radix(h, 16).ok());
    match raw[1..].chars().next() {
        Some('x') => (4.min(raw.len()), true),
        Some('u') => {
            let high = unit(0).is_some_and(|u| (0xD800..0xDC00).contains(&u));
            (if high { 12 } else { 6 }.min(raw.len()), true)
        }
        Some('U') => (10.min(raw.len()), true),
        Some('\n' | '\r') => (1 + fold(&raw[1..]).map_or(1, |(bytes, _)| bytes), false),
        Some(c) => (1 + c.len_utf8(), true),
        None => (1, true),
    }
}
