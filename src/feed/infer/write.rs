//! Write: guesses → the YAML of a feed file, with the reasons as comments.

use std::fmt::Write as _;

use super::values::Guess;
use crate::model::{schema::ColumnType, time::DAY_MS};

/// A feed file named `feed`: its time and id are columns of these numbers, `lag` how far its records lie behind earlier ones.
pub(super) fn write(
    feed: &str,
    guesses: &[Guess],
    time: usize,
    id: Option<usize>,
    lag: Option<i64>,
) -> String {
    let mut out = String::from("# yaml-language-server: $schema=../schema/feed.schema.json\n");
    out.push_str("# Proposed from a sample: read it, then run `forewarn check`.\n");
    let _ = writeln!(out, "feed: {feed}");
    match id {
        Some(id) => {
            let share = guesses[id].unique;
            let repeats = if share < 100 {
                format!("  # {} % of the records repeat one", 100 - share)
            } else {
                String::new()
            };
            let _ = writeln!(out, "record_id: {}{repeats}", guesses[id].name);
        }
        None => {
            out.push_str("# record_id: [no column names its record; name those that do together]\n")
        }
    }
    let _ = writeln!(out, "event_time: {}", guesses[time].name);
    match lag {
        Some(0) => out.push_str("# The sample is in the order of its times.\nallowed_lateness: 7d\n"),
        Some(ms) => {
            let days = ms / DAY_MS + 1;
            let _ = writeln!(out, "# Records of the sample are up to {days} d behind earlier ones.");
            let _ = writeln!(out, "allowed_lateness: {}d", days.max(7));
        }
        None => out.push_str(
            "# The sample is not in the order of its times: sort it, or the replay takes most of it for late.\nallowed_lateness: 7d\n",
        ),
    }
    out.push_str("columns:\n");
    for guess in guesses {
        column(&mut out, guess);
    }
    out
}

fn column(out: &mut String, guess: &Guess) {
    let mut fields = vec![format!("type: {}", guess.kind.word())];
    if let ColumnType::Decimal { scale } = guess.kind {
        fields.push(format!("scale: {scale}"));
    }
    if guess.heading != guess.name {
        fields.push(format!("from: {}", quoted(&guess.heading)));
    }
    if let Some(format) = guess.format {
        fields.push(format!("formats: {}", quoted(format)));
    }
    if let Some(times) = guess.times {
        fields.push(format!("times: {{{}: {times}}}", quoted(&guess.heading)));
    }
    if !guess.empty.is_empty() {
        let words: Vec<_> = guess.empty.iter().map(|w| quoted(w)).collect();
        fields.push(format!("empty: [{}]", words.join(", ")));
    }
    if guess.personal {
        fields.push("personal: true".into());
    }
    let plain = fields.len() == 1;
    let body =
        if plain { guess.kind.word().to_owned() } else { format!("{{{}}}", fields.join(", ")) };
    let mut reasons = Vec::new();
    if guess.missing > 0 {
        reasons.push(format!("{} % without a value", guess.missing.max(1)));
    }
    if !guess.listed.is_empty() {
        reasons.push(format!("values: {}", guess.listed.join(" ")));
    }
    let reason =
        if reasons.is_empty() { String::new() } else { format!("  # {}", reasons.join("; ")) };
    let _ = writeln!(out, "  {}: {body}{}", guess.name, reason.replace(['\n', '\r'], " "));
}

/// A text as a double-quoted YAML scalar, of which JSON strings are a kind.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
