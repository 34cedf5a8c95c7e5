//! Positions of the protocol: lines from 0, and UTF-16 units in the line, in which 甲 counts one and 𠮷 two.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A place between two characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// From 0.
    pub(super) line: u32,
    /// UTF-16 units from the start of the line.
    pub(super) character: u32,
}

/// Two positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Span {
    pub(super) start: Position,
    pub(super) end: Position,
}

/// The position of a byte.
pub(super) fn position(text: &str, offset: usize) -> Position {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count();
    let units: usize = before[start..].chars().map(char::len_utf16).sum();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: number(line), character: number(units) }
}

/// The positions of a range of bytes.
pub(super) fn span(text: &str, range: &Range<usize>) -> Span {
    Span { start: position(text, range.start), end: position(text, range.end.max(range.start)) }
}

/// The byte of a position; behind the end of a line its end, behind the last line the end of the text.
pub(super) fn offset(text: &str, at: Position) -> usize {
    let mut start = 0;
    for _ in 0..at.line {
        match text[start..].find('\n') {
            Some(i) => start += i + 1,
            None => return text.len(),
        }
    }
    let line = text[start..].split('\n').next().unwrap_or_default();
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut units = 0;
    for (i, c) in line.char_indices() {
        units += c.len_utf16() as u32;
        if units > at.character {
            return start + i;
        }
    }
    start + line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_counts_one_unit_and_rare_characters_two() {
        let text = "zh: 甲乙\r\nen: 𠮷x";
        let check = |offset_of: &str, line: u32, character: u32| {
            let at = text.find(offset_of).expect("is there");
            assert_eq!(position(text, at), Position { line, character }, "{offset_of}");
            assert_eq!(offset(text, Position { line, character }), at, "{offset_of}");
        };
        check("甲", 0, 4);
        check("乙", 0, 5);
        check("𠮷", 1, 4);
        check("x", 1, 6);
        let behind = |line, character| offset(text, Position { line, character });
        assert_eq!(behind(0, 99), text.find('\r').expect("is there"));
        assert_eq!(behind(9, 0), text.len());
        // In the middle of a character: its start.
        assert_eq!(behind(1, 5), text.find('𠮷').expect("is there"));
    }
}
