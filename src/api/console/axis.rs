//! Axis: where values and instants stand in a picture, and which of them are written beside it.

use crate::model::time::{DAY_MS, HOUR_MS, Zone};

/// A span of values on a span of pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    values: (f64, f64),
    pixels: (f64, f64),
}

impl Axis {
    /// `values` from the least to the greatest, at `pixels`.
    pub(super) fn new(values: (f64, f64), pixels: (f64, f64)) -> Self {
        Self { values, pixels }
    }

    /// Instants from `from_ms` to `to_ms`.
    pub(super) fn of_time(from_ms: i64, to_ms: i64, pixels: (f64, f64)) -> Self {
        Self::new((from_ms as f64, to_ms.max(from_ms + 1) as f64), pixels)
    }

    /// Where a value stands; those beyond the ends stand at the ends.
    pub(super) fn at(&self, value: f64) -> f64 {
        let (from, to) = self.values;
        let part = if to > from { ((value - from) / (to - from)).clamp(0.0, 1.0) } else { 0.5 };
        self.pixels.0 + part * (self.pixels.1 - self.pixels.0)
    }

    pub(super) fn at_ms(&self, ms: i64) -> f64 {
        self.at(ms as f64)
    }
}

/// Round numbers from `from` to `to`, about `wanted` of them.
pub(super) fn numbers(from: f64, to: f64, wanted: usize) -> Vec<f64> {
    let span = (to - from).max(f64::MIN_POSITIVE);
    let raw = span / wanted.max(1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw);
    let step = step.unwrap_or(10.0 * power);
    let first = (from / step).ceil() as i64;
    (first..).map(|i| i as f64 * step).take_while(|v| *v <= to + step * 1e-9).take(50).collect()
}

/// How far apart instants are written.
#[derive(Debug, Clone, Copy)]
enum Step {
    Hours(i64),
    Days(i32),
    Weeks(i32),
    Months(i32),
}

const STEPS: [Step; 15] = [
    Step::Hours(1),
    Step::Hours(3),
    Step::Hours(6),
    Step::Hours(12),
    Step::Days(1),
    Step::Days(2),
    Step::Weeks(1),
    Step::Weeks(2),
    Step::Months(1),
    Step::Months(2),
    Step::Months(3),
    Step::Months(6),
    Step::Months(12),
    Step::Months(60),
    Step::Months(120),
];

impl Step {
    fn ms(self) -> i64 {
        match self {
            Self::Hours(n) => n * HOUR_MS,
            Self::Days(n) => i64::from(n) * DAY_MS,
            Self::Weeks(n) => i64::from(n) * 7 * DAY_MS,
            Self::Months(n) => i64::from(n) * 30 * DAY_MS,
        }
    }
}

/// Starts of hours, days, weeks or months between two instants, at most `most`, with what is written there.
pub(super) fn instants(zone: &Zone, from_ms: i64, to_ms: i64, most: usize) -> Vec<(i64, String)> {
    let span = to_ms - from_ms;
    let fits = |s: &Step| span / s.ms() <= most as i64;
    let step = STEPS.into_iter().find(fits).unwrap_or(STEPS[STEPS.len() - 1]);
    let day = |ms: i64| (zone.to_local(ms).div_euclid(DAY_MS)) as i32;
    let days = day(from_ms)..=day(to_ms);
    let within = |ms: &i64| (from_ms..=to_ms).contains(ms);
    if let Step::Hours(n) = step {
        let starts = days.flat_map(|d| (0..24 / n).map(move |h| (d, h * n)));
        let starts = starts.map(|(d, h)| zone.day_start(d) + h * HOUR_MS).filter(within);
        return starts.map(|ms| (ms, zone.format(ms)[5..16].replace('T', " "))).collect();
    }
    // 1970-01-05 was a Monday.
    let wanted = |d: &i32, date: &str| match step {
        Step::Hours(_) => false,
        Step::Days(n) => d.rem_euclid(n) == 0,
        Step::Weeks(n) => (d - 4).rem_euclid(7 * n) == 0,
        Step::Months(n) => {
            let number = |range| date.get(range).and_then(|t: &str| t.parse::<i32>().ok());
            let month = number(0..4).zip(number(5..7)).map(|(y, m)| y * 12 + m - 1);
            date.ends_with("-01") && month.is_some_and(|m| m.rem_euclid(n) == 0)
        }
    };
    let mut out = Vec::new();
    for d in days {
        let ms = zone.day_start(d);
        let date = zone.format(ms)[..10].to_owned();
        if within(&ms) && wanted(&d, &date) {
            let text = match step {
                Step::Months(n) if n >= 12 => &date[..4],
                Step::Months(_) => &date[..7],
                _ => &date[5..],
            };
            out.push((ms, text.to_owned()));
        }
    }
    out
}

/// A place in a picture, to a tenth of a pixel.
pub(super) fn px(x: f64) -> String {
    let text = format!("{x:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_numbers() {
        for (from, to, wanted, expect) in [
            (0.0, 10.0, 5, vec![0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
            (0.0, 0.7, 4, vec![0.0, 0.2, 0.4, 0.6]),
            (-3.0, 3.0, 3, vec![-2.0, 0.0, 2.0]),
            (0.0, 1234.0, 4, vec![0.0, 500.0, 1000.0]),
        ] {
            let found = numbers(from, to, wanted);
            assert_eq!(found.len(), expect.len(), "{found:?}");
            assert!(found.iter().zip(&expect).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        }
        assert!(numbers(0.0, f64::MAX, 4).len() <= 50);
    }

    #[test]
    fn written_instants() {
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let ms = |text: &str| zone.parse_instant(text).unwrap();
        for (from, to, expect) in [
            (
                "2026-03-05",
                "2026-03-05T06:00",
                "03-05 00:00|03-05 01:00|03-05 02:00|03-05 03:00|03-05 04:00|03-05 05:00|03-05 06:00",
            ),
            ("2026-03-05", "2026-03-09", "03-05|03-06|03-07|03-08|03-09"),
            ("2026-02-20", "2026-04-01", "02-23|03-02|03-09|03-16|03-23|03-30"),
            ("2025-11-20", "2026-04-02", "2025-12|2026-01|2026-02|2026-03|2026-04"),
            ("2021-05-05", "2026-04-02", "2022|2023|2024|2025|2026"),
        ] {
            let found = instants(&zone, ms(from), ms(to), 7);
            let texts: Vec<String> = found.into_iter().map(|(_, text)| text).collect();
            assert_eq!(texts.join("|"), expect, "{from} {to}");
        }
    }

    #[test]
    fn places() {
        let axis = Axis::new((0.0, 10.0), (100.0, 0.0));
        for (value, expect) in [(0.0, 100.0), (5.0, 50.0), (99.0, 0.0), (-1.0, 100.0)] {
            assert_eq!(axis.at(value), expect);
        }
        assert_eq!(Axis::new((3.0, 3.0), (0.0, 10.0)).at(3.0), 5.0);
        assert_eq!((px(3.0), px(2.57)), ("3".to_owned(), "2.6".to_owned()));
    }
}
