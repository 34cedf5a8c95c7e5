//! YAML as a tree that remembers where everything stands.

use std::ops::Range;

/// A value and its byte range in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands, in bytes.
    pub span: Range<usize>,
}

/// An SQL scalar and where each byte of it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sql {
    /// The text, with YAML quoting and folding undone.
    pub text: String,
    /// Byte range of the whole scalar in the file.
    pub span: Range<usize>,
    /// Pairs of (byte offset in `text`, byte offset in the file), ascending; between two pairs both run alike.
    pub map: Vec<(usize, usize)>,
}

impl Sql {
    /// The byte range in the file of a byte range in `text`.
    #[must_use]
    pub fn file_span(&self, range: Range<usize>) -> Range<usize> {
        let at = |offset: usize| {
            let i = self.map.partition_point(|(t, _)| *t <= offset);
            match i.checked_sub(1).and_then(|i| self.map.get(i)) {
                Some((t, f)) => f + (offset - t),
                None => self.span.start,
            }
        };
        at(range.start)..at(range.end).min(self.span.end.max(at(range.start)))
    }
}
