//! Dates and instants as offices write them.
//!
//! ISO 8601 and RFC 3339 are read first and fast, because every event has one; then the formats that the feed lists, then
//! the forms with the year in front that cannot be mistaken: `2026年3月5日`, `2026/3/5 8:05`, `20260305`. A reading without an offset is a clock reading of the feed's zone, a date alone the start of that day.

use jiff::{civil, fmt::strtime};

use super::{
    reference::ucc::narrow,
    time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Zone},
};

/// Numbers from here on are milliseconds since 1970 (the year 1973); smaller ones would be seconds or dates in disguise.
const EPOCH_MS_MIN: i64 = 100_000_000_000;

/// A reading: local milliseconds, and the offset from UTC where the text names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    local_ms: i64,
    offset_ms: Option<i64>,
}

impl Reading {
    fn instant(self, zone: &Zone) -> i64 {
        match self.offset_ms {
            Some(offset) => self.local_ms - offset,
            None => zone.to_utc(self.local_ms),
        }
    }

    /// The day on a calendar in the zone.
    fn day(self, zone: &Zone) -> i64 {
        let local = match self.offset_ms {
            Some(offset) => zone.to_local(self.local_ms - offset),
            None => self.local_ms,
        };
        local.div_euclid(DAY_MS)
    }
}

/// The instant of a text, in milliseconds.
#[must_use]
pub fn instant(text: &str, formats: &[String], zone: &Zone) -> Option<i64> {
    if let Some(reading) = iso(text.as_bytes()) {
        return Some(reading.instant(zone));
    }
    match by_formats(text, formats).or_else(|| year_first(text)) {
        Some(reading) => Some(reading.instant(zone)),
        None => epoch(text),
    }
}

/// The civil day of a text, in days since 1970-01-01.
#[must_use]
pub fn day(text: &str, formats: &[String], zone: &Zone) -> Option<i32> {
    let reading =
        iso(text.as_bytes()).or_else(|| by_formats(text, formats)).or_else(|| year_first(text));
    let day = match reading {
        Some(reading) => reading.day(zone),
        None => zone.to_local(epoch(text)?).div_euclid(DAY_MS),
    };
    i32::try_from(day).ok()
}

fn epoch(text: &str) -> Option<i64> {
    let ms = text.parse::<i64>().ok()?;
    (ms.abs() >= EPOCH_MS_MIN).then_some(ms)
}

fn by_formats(text: &str, formats: &[String]) -> Option<Reading> {
    formats.iter().find_map(|format| by_format(text, format))
}

fn by_format(text: &str, format: &str) -> Option<Reading> {
    let parsed = strtime::parse(format, text).ok()?;
    let date = parsed.to_date().ok()?;
    let time = parsed.to_time().unwrap_or(civil::Time::midnight());
    let day = days(i64::from(date.year()), date.month().into(), date.day().into())?;
    let of_day = i64::from(time.hour()) * HOUR_MS
        + i64::from(time.minute()) * MINUTE_MS
        + i64::from(time.second()) * SECOND_MS
        + i64::from(time.millisecond());
    let offset_ms = parsed.offset().map(|o| i64::from(o.seconds()) * SECOND_MS);
    Some(Reading { local_ms: day * DAY_MS + of_day, offset_ms })
}

/// Year, month, day and perhaps hour, minute and second in this order, whatever stands between them; or 8 or 14 digits.
fn year_first(text: &str) -> Option<Reading> {
    let text: String = text.chars().map(narrow).collect();
    let b = text.as_bytes();
    if matches!(b.len(), 8 | 14) && b.iter().all(u8::is_ascii_digit) {
        let time = [8, 10, 12].map(|at| b.get(at..at + 2).map_or(Some(0), number));
        return reading(
            number(&b[..4])?,
            number(&b[4..6])?,
            number(&b[6..8])?,
            time[0]?,
            time[1]?,
            time[2]?,
        );
    }
    let (year, rest) = digits(&text, 4..=4)?;
    let (month, rest) = digits(rest.strip_prefix(['年', '/', '.', '-'])?, 1..=2)?;
    let (day, rest) = digits(rest.strip_prefix(['月', '/', '.', '-'])?, 1..=2)?;
    let rest = rest.strip_prefix(['日', '号']).unwrap_or(rest);
    let clock = rest.trim_start_matches([' ', 'T']);
    if clock.is_empty() {
        return reading(year, month, day, 0, 0, 0);
    }
    let (hour, rest) = digits(clock, 1..=2)?;
    let (minute, rest) = match rest.strip_prefix([':', '时', '点'])? {
        "" => (0, ""),
        rest => digits(rest, 1..=2)?,
    };
    let (second, rest) = match rest.trim_start_matches([':', '分']) {
        "" => (0, ""),
        rest => digits(rest, 1..=2)?,
    };
    let rest = rest.strip_prefix('秒').unwrap_or(rest);
    let fraction = rest.strip_prefix('.').is_some_and(|f| f.bytes().all(|b| b.is_ascii_digit()));
    (rest.is_empty() || fraction).then(|| reading(year, month, day, hour, minute, second))?
}

fn reading(
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
) -> Option<Reading> {
    let in_range = hour < 24 && minute < 60 && second < 60 || (hour, minute, second) == (24, 0, 0);
    let of_day = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS;
    let day = days(year, month, day)?;
    in_range.then_some(Reading { local_ms: day * DAY_MS + of_day, offset_ms: None })
}

/// The number at the front, if it has so many digits, and what follows it.
fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<(i64, &str)> {
    let n = text.bytes().take_while(u8::is_ascii_digit).count();
    let (front, rest) = text.split_at(n);
    count.contains(&n).then(|| Some((number(front.as_bytes())?, rest)))?
}

/// `2026-03-05`, `2026-03-05T08:00[:00[.123]]`, with a blank for `T`, with `Z`, `+08:00`, `+0800` or `+08` behind it.
fn iso(b: &[u8]) -> Option<Reading> {
    if b.len() < 10 || b[4] != b'-' || b[7] != b'-' {
        return None;
    }
    let day = days(number(&b[..4])?, number(&b[5..7])?, number(&b[8..10])?)?;
    if b.len() == 10 {
        return Some(Reading { local_ms: day * DAY_MS, offset_ms: None });
    }
    if b.len() < 16 || !matches!(b[10], b'T' | b't' | b' ') || b[13] != b':' {
        return None;
    }
    let (hour, minute) = (number(&b[11..13])?, number(&b[14..16])?);
    let mut rest = &b[16..];
    let mut second_ms = 0;
    if rest.len() >= 3 && rest[0] == b':' {
        // A leap second is the end of the second before it.
        second_ms =
            number(&rest[1..3])?.min(if &rest[1..3] == b"60" { 59 } else { 99 }) * SECOND_MS;
        rest = &rest[3..];
        if let [b'.' | b',', fraction @ ..] = rest {
            let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            second_ms += millis(&fraction[..digits])?;
            rest = &fraction[digits..];
        }
    }
    // 24:00 is the end of the day.
    let in_range = hour < 24 && minute < 60 && second_ms < MINUTE_MS
        || (hour, minute, second_ms) == (24, 0, 0);
    if !in_range {
        return None;
    }
    let local_ms = day * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS + second_ms;
    Some(Reading { local_ms, offset_ms: offset(rest)? })
}

/// The offset behind a time: outer `None` when it is malformed, inner when there is none.
#[expect(clippy::option_option, reason = "no offset and a bad offset are different answers")]
fn offset(b: &[u8]) -> Option<Option<i64>> {
    let (sign, digits) = match b {
        [] => return Some(None),
        [b'Z' | b'z'] => return Some(Some(0)),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [a, b] => (number(&[*a, *b])?, 0),
        [a, b, c, d] | [a, b, b':', c, d] => (number(&[*a, *b])?, number(&[*c, *d])?),
        _ => return None,
    };
    (hours <= 18 && minutes < 60).then_some(Some(sign * (hours * HOUR_MS + minutes * MINUTE_MS)))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

/// Milliseconds of the digits behind the point; further digits are cut off.
fn millis(digits: &[u8]) -> Option<i64> {
    match digits {
        [] => None,
        [a] => Some(number(&[*a])? * 100),
        [a, b] => Some(number(&[*a, *b])? * 10),
        [a, b, c, ..] => number(&[*a, *b, *c]),
    }
}

/// Days since 1970-01-01, after H. Hinnant, "chrono-compatible low-level date algorithms".
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    const LENGTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = *LENGTHS.get(usize::try_from(month - 1).ok()?)? + i64::from(leap && month == 2);
    if day < 1 || day > length {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shanghai() -> Zone {
        Zone::parse("Asia/Shanghai").unwrap()
    }

    #[test]
    fn instants() {
        let formats = ["%d.%m.%Y".to_owned(), "%m/%d/%Y %I:%M %p".to_owned()];
        for (text, expect) in [
            ("2026-03-05", "2026-03-05T00:00:00+08:00"),
            ("2026-03-05 08:30", "2026-03-05T08:30:00+08:00"),
            ("2026-03-05T08:30:15.25", "2026-03-05T08:30:15.250+08:00"),
            ("2026-03-05T08:30:15.123456789Z", "2026-03-05T16:30:15.123+08:00"),
            ("2026-03-05T08:30:00+08:00", "2026-03-05T08:30:00+08:00"),
            ("2026-03-05T08:30:00-0330", "2026-03-05T20:00:00+08:00"),
            ("2026-03-05T24:00:00", "2026-03-06T00:00:00+08:00"),
            ("2016-12-31T23:59:60Z", "2017-01-01T07:59:59+08:00"),
            ("2026年3月5日", "2026-03-05T00:00:00+08:00"),
            ("2026年03月05日 8:05", "2026-03-05T08:05:00+08:00"),
            ("2026年3月5日8时5分", "2026-03-05T08:05:00+08:00"),
            ("2026年3月5日 8点", "2026-03-05T08:00:00+08:00"),
            ("２０２６年３月５日", "2026-03-05T00:00:00+08:00"),
            ("2026-3-5 9:07", "2026-03-05T09:07:00+08:00"),
            ("20260305093015", "2026-03-05T09:30:15+08:00"),
            ("05.03.2026", "2026-03-05T00:00:00+08:00"),
            ("3/5/2026 9:07 PM", "2026-03-05T21:07:00+08:00"),
            ("2026/3/5", "2026-03-05T00:00:00+08:00"),
            ("2026/3/5 9:07:01", "2026-03-05T09:07:01+08:00"),
            ("20260305", "2026-03-05T00:00:00+08:00"),
            ("2026.3.5", "2026-03-05T00:00:00+08:00"),
            ("1772668800000", "2026-03-05T08:00:00+08:00"),
        ] {
            let zone = shanghai();
            let found = instant(text, &formats, &zone).map(|ms| zone.format(ms));
            assert_eq!(found.as_deref(), Some(expect), "{text}");
        }
    }

    #[test]
    fn no_instants() {
        for text in [
            "",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-03-05T25:00",
            "2026-03-05T24:01",
            "2026-03-05T08:60",
            "2026-03-05T08:00:61",
            "2026-03-05T08:00+99:00",
            "2026-03-05T08:00:00.Z",
            "1772668800",
            "20260230",
            "12345678",
            "2026年13月5日",
            "3/5/2026",
            "2026年3月",
            "5月3日",
            "明天",
            "2026-03-05X08:00",
        ] {
            assert_eq!(instant(text, &[], &shanghai()), None, "{text:?}");
        }
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let zone = shanghai();
        for (text, expect) in [
            ("2026-03-05", 20_517),
            ("2026-03-05T23:30:00", 20_517),
            ("2026-03-05T23:30:00Z", 20_518),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("1900-01-01", -25_567),
        ] {
            assert_eq!(day(text, &[], &zone), Some(expect), "{text}");
        }
    }

    #[test]
    fn agrees_with_jiff_on_every_day() {
        let mut date = civil::date(1899, 12, 25);
        for expect in -25_574..=84_000 {
            let text = date.to_string();
            assert_eq!(day(&text, &[], &Zone::utc()), Some(expect), "{text}");
            date = date.tomorrow().unwrap();
        }
    }
}
