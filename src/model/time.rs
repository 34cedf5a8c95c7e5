//! Time: the configured zone, civil days in it, and durations as authors write them.
//!
//! Instants are `i64` milliseconds since 1970-01-01T00:00:00Z ("ms"). Windows are civil: an instant is first moved to
//! local milliseconds (its clock reading in the zone, as if that were UTC), windows are cut there, and their ends are
//! moved back. In a zone without daylight saving (Asia/Shanghai) both directions are one addition.
//! Not here: the calendar of working days, which is a reference table.

use std::fmt::Write as _;

use jiff::{Timestamp, civil, tz::TimeZone};

/// Milliseconds in a second.
pub const SECOND_MS: i64 = 1_000;
/// Milliseconds in a minute.
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds in a civil day.
pub const DAY_MS: i64 = 24 * HOUR_MS;
/// The earliest and latest instant an event may carry: years 1900 and 2200.
pub const EVENT_MS_MIN: i64 = -2_208_988_800_000;
/// See [`EVENT_MS_MIN`].
pub const EVENT_MS_MAX: i64 = 7_258_118_400_000;

/// A time zone with a cache for the common case of one constant offset.
#[derive(Debug, Clone)]
pub struct Zone {
    name: String,
    tz: TimeZone,
    /// Offset that holds for every instant in `[valid_from, valid_to)`.
    offset_ms: i64,
    valid_from: i64,
    valid_to: i64,
}

/// Why a zone name was refused.
#[derive(Debug, thiserror::Error)]
#[error(
    "zone {name:?} is not in the time zone database, write one like \"Asia/Shanghai\" or \"UTC\""
)]
pub struct UnknownZone {
    name: String,
}

impl Zone {
    /// The zone named `name` in the IANA database, `UTC` included.
    ///
    /// # Errors
    /// [`UnknownZone`] when the database has no such name.
    pub fn parse(name: &str) -> Result<Self, UnknownZone> {
        let unknown = || UnknownZone { name: name.to_owned() };
        let tz = if name == "UTC" {
            TimeZone::UTC
        } else {
            TimeZone::get(name).map_err(|_| unknown())?
        };
        // The span around 2020 in which the offset does not change.
        let anchor = Timestamp::from_second(1_577_836_800).map_err(|_| unknown())?;
        let offset_ms = i64::from(tz.to_offset(anchor).seconds()) * SECOND_MS;
        let valid_from =
            tz.preceding(anchor).next().map_or(i64::MIN, |t| t.timestamp().as_millisecond());
        let valid_to =
            tz.following(anchor).next().map_or(i64::MAX, |t| t.timestamp().as_millisecond());
        Ok(Self { name: name.to_owned(), tz, offset_ms, valid_from, valid_to })
    }

    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Self {
        Self {
            name: "UTC".into(),
            tz: TimeZone::UTC,
            offset_ms: 0,
            valid_from: i64::MIN,
            valid_to: i64::MAX,
        }
    }

    /// The zone's name in the database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Local clock reading of an instant, in milliseconds as if the clock showed UTC.
    #[must_use]
    #[inline]
    pub fn to_local(&self, ms: i64) -> i64 {
        if ms >= self.valid_from && ms < self.valid_to {
            ms + self.offset_ms
        } else {
            ms + self.offset_at(ms)
        }
    }

    /// The instant of a local clock reading; the later one where the clock shows it twice or never.
    #[must_use]
    pub fn to_utc(&self, local_ms: i64) -> i64 {
        let guess = local_ms - self.offset_ms;
        if guess >= self.valid_from.saturating_add(DAY_MS)
            && guess < self.valid_to.saturating_sub(DAY_MS)
        {
            return guess;
        }
        let Some(local) = civil_of(local_ms) else { return guess };
        self.tz.to_ambiguous_timestamp(local).later().map_or(guess, |t| t.as_millisecond())
    }

    /// The start of a civil day given as days since 1970-01-01, as an instant.
    #[must_use]
    pub fn day_start(&self, day: i32) -> i64 {
        self.to_utc(i64::from(day) * DAY_MS)
    }

    /// `2026-03-05T08:00:00+08:00`; the fraction is written only where it is not zero, `Z` for UTC.
    #[must_use]
    pub fn format(&self, ms: i64) -> String {
        let local = self.to_local(ms);
        let (day, of_day) = (local.div_euclid(DAY_MS), local.rem_euclid(DAY_MS));
        let mut out = format_day(day as i32);
        let (h, m, s, frac) = (
            of_day / HOUR_MS,
            of_day / MINUTE_MS % 60,
            of_day / SECOND_MS % 60,
            of_day % SECOND_MS,
        );
        let _ = write!(out, "T{h:02}:{m:02}:{s:02}");
        if frac != 0 {
            let _ = write!(out, ".{frac:03}");
        }
        let offset_min = (local - ms) / MINUTE_MS;
        if offset_min == 0 {
            out.push('Z');
        } else {
            let (sign, abs) = if offset_min < 0 { ('-', -offset_min) } else { ('+', offset_min) };
            let _ = write!(out, "{sign}{:02}:{:02}", abs / 60, abs % 60);
        }
        out
    }

    /// An instant as messages say it: `2026-03-05 08:00`, and `2026-03-05` where a day begins.
    #[must_use]
    pub fn spoken(&self, ms: i64) -> String {
        let text = self.format(ms);
        match (text.get(..10), text.get(11..16)) {
            (Some(day), Some("00:00")) => day.to_owned(),
            (Some(day), Some(clock)) => format!("{day} {clock}"),
            _ => text,
        }
    }

    /// Reads `2026-03-05`, `2026-03-05 08:00[:00[.123]]`, `2026-03-05T08:00:00`, with or without `Z` or an offset.
    /// A text without an offset is a clock reading of this zone; a date alone is the start of that day.
    #[must_use]
    pub fn parse_instant(&self, text: &str) -> Option<i64> {
        let text = text.trim();
        if let Ok(t) = text.parse::<Timestamp>() {
            return Some(t.as_millisecond());
        }
        let local = text.parse::<civil::DateTime>().ok().or_else(|| {
            text.parse::<civil::Date>().ok().map(|d| d.to_datetime(civil::Time::midnight()))
        })?;
        Some(self.to_utc(local_ms_of(local)))
    }

    fn offset_at(&self, ms: i64) -> i64 {
        Timestamp::from_millisecond(ms)
            .map_or(0, |t| i64::from(self.tz.to_offset(t).seconds()) * SECOND_MS)
    }
}

/// Days since 1970-01-01 of a civil date.
#[must_use]
pub fn days_from_civil(year: i32, month: u32, day: u32) -> Option<i32> {
    let date = civil::Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
    )
    .ok()?;
    Some((local_ms_of(date.to_datetime(civil::Time::midnight())) / DAY_MS) as i32)
}

/// `2026-03-05` of days since 1970-01-01 (proleptic Gregorian).
#[must_use]
pub fn format_day(day: i32) -> String {
    let (y, m, d) = civil_from_days(day);
    format!("{y:04}-{m:02}-{d:02}")
}

/// Year, month and day of days since 1970-01-01 (proleptic Gregorian).
#[must_use]
pub fn civil_from_days(day: i32) -> (i64, u32, u32) {
    // Civil-from-days after H. Hinnant, "chrono-compatible low-level date algorithms".
    let z = i64::from(day) + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (d, m) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    (yoe + era * 400 + i64::from(m <= 2), m as u32, d as u32)
}

/// The local time at which the month of a local time begins.
#[must_use]
pub fn month_of(local_ms: i64) -> i64 {
    let day = local_ms.div_euclid(DAY_MS);
    let (_, _, of_month) = civil_from_days(day as i32);
    (day - i64::from(of_month - 1)) * DAY_MS
}

/// `months` later, or earlier below 0: the same day of that month, or its last where it has no such day, at the same time.
#[must_use]
pub fn add_months(local_ms: i64, months: i64) -> i64 {
    let (year, month, day) = civil_from_days(local_ms.div_euclid(DAY_MS) as i32);
    let first = |months: i64| {
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
        days_from_civil(year as i32, month, 1).map_or(i64::MAX / 2 / DAY_MS, i64::from)
    };
    let to = year * 12 + i64::from(month - 1) + months;
    let day = i64::from(day).min(first(to + 1) - first(to));
    (first(to) + day - 1) * DAY_MS + local_ms.rem_euclid(DAY_MS)
}

/// The most days that so many months on end have, wherever they begin, also on a day that a shorter month lacks.
#[must_use]
pub fn days_in_months(months: usize) -> i64 {
    let months = i64::try_from(months).unwrap_or(i64::MAX).min(1_200);
    // Four years have every order of months there is, but for one day less around 1900 and 2100.
    let ends = (0..48).flat_map(|n| {
        let first = add_months(0, 12 * 30 + n);
        [first, add_months(first, 1) - DAY_MS]
    });
    ends.map(|end| (end - add_months(end, -months)) / DAY_MS).max().unwrap_or(0)
}

/// Reads a duration as authors write it: `7d`, `8h`, `30m`, `45s`, `500ms`, `2w`. Returns milliseconds, above zero.
#[must_use]
pub fn parse_span(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let n: i64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" => SECOND_MS,
        "m" | "min" => MINUTE_MS,
        "h" => HOUR_MS,
        "d" => DAY_MS,
        "w" => 7 * DAY_MS,
        _ => return None,
    };
    n.checked_mul(unit).filter(|ms| *ms > 0 && *ms <= 400 * 366 * DAY_MS)
}

/// The shortest text that [`parse_span`] reads back to `ms`.
#[must_use]
pub fn format_span(ms: i64) -> String {
    for (unit, name) in [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (SECOND_MS, "s")] {
        if ms != 0 && ms % unit == 0 {
            return format!("{}{name}", ms / unit);
        }
    }
    format!("{ms}ms")
}

/// What is wrong with a date format in the manner of `strftime` (`%Y年%m月%d日`), if anything.
#[must_use]
pub fn date_format_fault(format: &str) -> Option<String> {
    let sample = Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
    let fault = jiff::fmt::strtime::format(format, &sample).err().map(|e| e.to_string());
    fault.or_else(|| (!format.contains('%')).then(|| "it names no part of a date".to_owned()))
}

fn local_ms_of(local: civil::DateTime) -> i64 {
    TimeZone::UTC.to_timestamp(local).map_or(0, |t| t.as_millisecond())
}

fn civil_of(local_ms: i64) -> Option<civil::DateTime> {
    Timestamp::from_millisecond(local_ms).ok().map(|t| TimeZone::UTC.to_datetime(t))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, ms) in
            [("7d", 7 * DAY_MS), ("8h", 8 * HOUR_MS), ("2w", 14 * DAY_MS), ("250ms", 250)]
        {
            assert_eq!(parse_span(text), Some(ms), "{text}");
        }
        for bad in ["", "d", "7", "0d", "-1d", "7 x", "1wd"] {
            assert_eq!(parse_span(bad), None, "{bad}");
        }
        assert_eq!(format_span(90 * MINUTE_MS), "90m");
    }

    #[test]
    fn shanghai_days_start_at_sixteen_utc() {
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let ms = zone.parse_instant("2026-03-05").unwrap();
        assert_eq!(zone.format(ms), "2026-03-05T00:00:00+08:00");
        assert_eq!(Zone::utc().format(ms), "2026-03-04T16:00:00Z");
        assert_eq!(zone.to_utc(zone.to_local(ms)), ms);
        assert_eq!(zone.parse_instant("2026-03-05 08:30"), Some(ms + 8 * HOUR_MS + 30 * MINUTE_MS));
        assert_eq!(
            zone.parse_instant("2026-03-05T00:30:00.5Z"),
            Some(ms + 8 * HOUR_MS + 30 * MINUTE_MS + 500)
        );
    }

    #[test]
    fn clock_changes_map_to_the_later_instant() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        let autumn = zone.parse_instant("2025-10-26 02:30").unwrap();
        assert_eq!(zone.format(autumn), "2025-10-26T02:30:00+01:00");
        assert_eq!(zone.to_local(autumn) % DAY_MS, 2 * HOUR_MS + 30 * MINUTE_MS);
    }

    #[test]
    fn date_formats() {
        assert_eq!(date_format_fault("%Y年%m月%d日 %H:%M"), None);
        for bad in ["%Y-%!", "yyyy-mm-dd", ""] {
            assert!(date_format_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn days_round_trip() {
        for (y, m, d) in [(1969, 12, 31), (1970, 1, 1), (2000, 2, 29), (2026, 11, 24), (2100, 3, 1)]
        {
            let day = days_from_civil(y, m, d).unwrap();
            assert_eq!(format_day(day), format!("{y:04}-{m:02}-{d:02}"));
        }
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let day = |y, m, d| i64::from(days_from_civil(y, m, d).expect("a date")) * DAY_MS;
        for (from, months, to) in [
            (day(2031, 1, 31), 1, day(2031, 2, 28)),
            (day(2028, 3, 31), -1, day(2028, 2, 29)),
            (day(2031, 3, 1), -14, day(2030, 1, 1)),
            (day(1969, 12, 31) + 5, 2, day(1970, 2, 28) + 5),
        ] {
            assert_eq!(add_months(from, months), to);
        }
        assert_eq!(month_of(day(2031, 2, 28) + 7), day(2031, 2, 1));
        assert_eq!(month_of(-1), day(1969, 12, 1));
        assert_eq!([1, 2, 12, 13].map(days_in_months), [31, 62, 366, 397]);
    }
}
