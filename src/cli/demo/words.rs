//! Words: what the demo says on the terminal.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use forewarn::{
    engine::{demo::report::Report, view::AlertRow},
    model::time::{HOUR_MS, MINUTE_MS, Zone, format_day},
};

use super::{
    Walked,
    place::{Province, typed},
};

/// Incidents that were missed are named up to so many.
const MISSED_MAX: usize = 5;

/// The first lines: what is happening, and where.
pub(super) fn greeting(
    province: &Province,
    address: &str,
    data: &Path,
    (is_new, rules): (bool, usize),
) -> String {
    let what = if is_new {
        format!("A made-up province sends its records here, and {rules} rules watch them.")
    } else {
        "The demo in this directory goes on: its log is walked again first.".to_owned()
    };
    format!(
        "{what}\n\n  console and API  {address}\n  on disk          {} (log, alerts, and the rules: read them, change them)\n  \
         province         {province}\n\n",
        data.display()
    )
}

/// What the walk through the history found.
pub(super) fn report(report: &Report, walked: Walked) -> String {
    let mut out = String::new();
    if walked.records > 0 {
        let _ = write!(out, "{} records in {:.1} s. ", grouped(walked.records), walked.seconds);
    }
    let _ = writeln!(
        out,
        "{} alerts so far, {} of them fire now.\n",
        grouped(report.alerts.len() as u64),
        report.firing()
    );
    let _ = writeln!(
        out,
        "Incidents were planted among the records. What the rules found of them:\n\n{}",
        report.score
    );
    let score = &report.score;
    let lead = score.lead_days().unwrap_or_default();
    let _ = writeln!(
        out,
        "{} found, {} missed, {} false alarms of which {} were taken back by themselves. Lead: half of the alerts came\n\
         {lead:.0} days or more before the harm. Open: its records have not all arrived yet.",
        score.found.len(),
        score.missed.len(),
        score.false_alarms.len(),
        score.taken_back,
    );
    let missed = score.missed.iter().map(|i| &report.incidents[*i]);
    for incident in missed.clone().take(MISSED_MAX) {
        let _ = writeln!(out, "  missed: {} ({})", incident.title.1, incident.id);
    }
    if let more @ 1.. = missed.count().saturating_sub(MISSED_MAX) {
        let _ = writeln!(out, "  … and {more} more");
    }
    out.push('\n');
    out
}

/// What to look at first, and how to go on.
pub(super) fn look(
    report: &Report,
    address: &str,
    data: &Path,
    rules: &[(String, PathBuf)],
) -> String {
    let mut out = String::new();
    if let Some(alert) = report.first_look() {
        let (program, data) = (program(), typed(data));
        let _ = writeln!(
            out,
            "Look at one alert, and ask why it fired:\n\n  {}\n  {address}/alerts/{id}\n  {program} explain --data {data} --rules {data}/rules {id}",
            alert_line(alert),
            id = alert.id,
        );
        if let Some((_, path)) = rules.iter().find(|(id, _)| *id == alert.rule) {
            let _ = writeln!(out, "  its rule: {}", path.display());
        }
        out.push('\n');
    }
    out
}

/// How the live part goes, how to stop, and what comes after the demo.
pub(super) fn live(now_ms: i64, zone: &Zone, speed: f64, until: Option<i32>) -> String {
    let until = until.map_or_else(String::new, |day| format!(" until {}", format_day(day)));
    let pace = match speed {
        0.0 => "the province's clock stands still (--speed 0)".to_owned(),
        _ => format!("a second is {} of the province{until}; --speed changes that", span(speed)),
    };
    format!(
        "Live from {}: {pace}. New alerts appear below.\n\
         Ctrl-C stops; the same command goes on from there, --fresh begins anew. Your own data: `{program} feed infer FILE`\n\
         proposes a feed, `{program} run` takes it live; README.md, \"Ten minutes from a CSV to an alert\", shows the way.\n\n",
        minute(now_ms, zone),
        program = program(),
    )
}

/// This program, as it was called.
fn program() -> String {
    let called = std::env::args_os().next();
    called.map_or_else(|| "forewarn".to_owned(), |path| typed(Path::new(&path)))
}

/// An alert on a line.
pub(super) fn alert_line(alert: &AlertRow) -> String {
    let at = alert.known_at.get(..16).unwrap_or(&alert.known_at).replacen('T', " ", 1);
    let text = if alert.message.en.is_empty() { &alert.message.zh } else { &alert.message.en };
    format!("{at}  {:<8}  {text}", alert.severity.word())
}

/// The live part is over, the server goes on.
pub(super) fn over(day: i32) -> String {
    format!("The province's clock has come to {} and stands still.\n", format_day(day))
}

/// The last line.
pub(super) fn farewell(now_ms: i64, zone: &Zone) -> String {
    format!(
        "\nStopped at {} of the province. The same command goes on from there.\n",
        minute(now_ms, zone)
    )
}

/// `2026-01-05 14:00`
fn minute(ms: i64, zone: &Zone) -> String {
    let text = zone.format(ms);
    text.get(..16).unwrap_or(&text).replacen('T', " ", 1)
}

/// Seconds as people say them, where they come out even.
fn span(seconds: f64) -> String {
    let ms = seconds * 1e3;
    let units =
        [(24.0 * HOUR_MS as f64, "day"), (HOUR_MS as f64, "hour"), (MINUTE_MS as f64, "minute")];
    for (unit, word) in units {
        let n = ms / unit;
        if n >= 1.0 && n.fract() == 0.0 {
            return if n == 1.0 { format!("one {word}") } else { format!("{n} {word}s") };
        }
    }
    if seconds == 1.0 { "one second".to_owned() } else { format!("{seconds} seconds") }
}

/// `1,234,567`
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_spans_read_well() {
        for (n, expect) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(n), expect);
        }
        for (seconds, expect) in [
            (1.0, "one second"),
            (60.0, "one minute"),
            (3_600.0, "one hour"),
            (7_200.0, "2 hours"),
            (172_800.0, "2 days"),
            (90.0, "90 seconds"),
            (0.5, "0.5 seconds"),
        ] {
            assert_eq!(span(seconds), expect);
        }
    }
}
