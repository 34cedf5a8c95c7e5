//! Line: one record as NDJSON, written byte by byte.
//!
//! Keys and texts are ours and hold nothing that JSON would escape; that is checked in debug builds only.

use crate::model::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, civil_from_days};

/// Asia/Shanghai has had this one offset since 1991.
pub(super) const OFFSET_MS: i64 = 8 * HOUR_MS;

/// The instant at which a civil day of the province begins, milliseconds since 1970.
#[inline]
#[must_use]
pub fn day_start(day: i32) -> i64 {
    i64::from(day) * DAY_MS - OFFSET_MS
}

/// The civil day of an instant in the province, days since 1970-01-01.
#[inline]
#[must_use]
pub fn day_of(ms: i64) -> i32 {
    (ms + OFFSET_MS).div_euclid(DAY_MS) as i32
}

/// `value` in decimal with leading zeros up to `width` digits.
#[inline]
pub(super) fn digits(out: &mut Vec<u8>, mut value: u64, width: usize) {
    let mut text = [b'0'; 20];
    let mut from = 20;
    loop {
        from -= 1;
        text[from] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[from.min(20 - width)..]);
}

/// `2026-03-05`, with `gap` between the parts.
#[inline]
pub(super) fn date(out: &mut Vec<u8>, day: i32, gap: &[u8]) {
    let (y, m, d) = civil_from_days(day);
    digits(out, y.unsigned_abs(), 4);
    out.extend_from_slice(gap);
    digits(out, u64::from(m), 2);
    out.extend_from_slice(gap);
    digits(out, u64::from(d), 2);
}

/// One object on a line of its own; [`Line::end`] closes it.
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Line<'a> {
    #[inline]
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    #[inline]
    fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A text that `write` puts between the quotes.
    #[inline]
    pub(super) fn with(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let out = self.key(name);
        out.push(b'"');
        let from = out.len();
        write(out);
        debug_assert!(out[from..].iter().all(|b| *b >= 32 && *b != b'"' && *b != b'\\'));
        out.push(b'"');
    }

    #[inline]
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.with(name, |out| out.extend_from_slice(value.as_bytes()));
    }

    /// Left out where there is none.
    #[inline]
    pub(super) fn text_if(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    /// A list of texts, left out where it is empty.
    #[inline]
    pub(super) fn texts(&mut self, name: &str, values: &[&str]) {
        if values.is_empty() {
            return;
        }
        let out = self.key(name);
        out.push(b'[');
        for (i, value) in values.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(value.as_bytes());
            out.push(b'"');
        }
        out.push(b']');
    }

    #[inline]
    pub(super) fn int(&mut self, name: &str, value: u64) {
        digits(self.key(name), value, 1);
    }

    /// A number of hundredths: `91.28`.
    #[inline]
    pub(super) fn hundredths(&mut self, name: &str, value: u64) {
        let out = self.key(name);
        digits(out, value / 100, 1);
        out.push(b'.');
        digits(out, value % 100, 2);
    }

    /// `2026-03-05`
    #[inline]
    pub(super) fn day(&mut self, name: &str, day: i32) {
        self.with(name, |out| date(out, day, b"-"));
    }

    /// `2026-03-05T09:12:33+08:00`
    #[inline]
    pub(super) fn instant(&mut self, name: &str, ms: i64) {
        self.with(name, |out| {
            let local = ms + OFFSET_MS;
            let of_day = local.rem_euclid(DAY_MS);
            date(out, local.div_euclid(DAY_MS) as i32, b"-");
            out.push(b'T');
            digits(out, (of_day / HOUR_MS) as u64, 2);
            out.push(b':');
            digits(out, (of_day / MINUTE_MS % 60) as u64, 2);
            out.push(b':');
            digits(out, (of_day / SECOND_MS % 60) as u64, 2);
            out.extend_from_slice(b"+08:00");
        });
    }

    #[inline]
    pub(super) fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Zone;

    #[test]
    fn a_line_is_json_with_the_same_values() {
        let mut out = Vec::new();
        let mut line = Line::new(&mut out);
        line.text("a", "长沙");
        line.text_if("b", "");
        line.hundredths("c", 9_105);
        line.instant("d", 1_772_672_553_000);
        line.day("e", 20_517);
        line.texts("f", &["x", "y"]);
        line.int("g", 0);
        line.end();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let at = Zone::parse("Asia/Shanghai").unwrap().format(1_772_672_553_000);
        let expect = serde_json::json!({"a": "长沙", "c": 91.05, "d": at, "e": crate::model::time::format_day(20_517), "f": ["x", "y"], "g": 0});
        assert_eq!(value, expect);
        assert!(out.ends_with(b"}\n"));
    }
}
