//! Show: how values look on every page: counts, instants, spans, severities, states, JSON values.

use maud::{Markup, html};
use serde_json::Value;

use super::{language::Language, words};
use crate::model::{alert::State, signal::Severity, time::Zone};

/// What stands where there is nothing to show.
pub(super) const NOTHING: &str = "—";

/// `12,345`
pub(super) fn count(n: u64) -> String {
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

/// `2026-03-05 14:20` in the zone.
pub(super) fn minute(zone: &Zone, ms: i64) -> String {
    clipped(&zone.format(ms))
}

/// The same of a text of RFC 3339.
pub(super) fn clipped(instant: &str) -> String {
    instant.get(..16).unwrap_or(instant).replace('T', " ")
}

/// An instant of a view; the whole of it where one asks.
pub(super) fn instant(text: &str) -> Markup {
    html! { time datetime=(text) title=(text) { (clipped(text)) } }
}

/// A span as people say it, by its greatest unit.
pub(super) fn span(seconds: i64, l: Language) -> String {
    let (word, n) = match seconds.max(0) {
        s if s < 60 => (words::SECONDS, s),
        s if s < 3_600 => (words::MINUTES, s / 60),
        s if s < 2 * 86_400 => (words::HOURS, s / 3_600),
        s => (words::DAYS, s / 86_400),
    };
    word.with(l, &[("n", &n.to_string())])
}

/// A span that someone wrote: whole days are days.
pub(super) fn whole(seconds: i64, l: Language) -> String {
    if seconds > 0 && seconds % 86_400 == 0 {
        return words::DAYS.with(l, &[("n", &(seconds / 86_400).to_string())]);
    }
    span(seconds, l)
}

/// How old something is when the data end at `data_ms`.
pub(super) fn age(instant: &str, data_ms: Option<i64>, zone: &Zone, l: Language) -> String {
    let (Some(at), Some(now)) = (zone.parse_instant(instant), data_ms) else {
        return NOTHING.to_owned();
    };
    match (now - at).div_euclid(1_000) {
        s if s < 60 => words::JUST_NOW.of(l).to_owned(),
        s => span(s, l),
    }
}

/// A text as one word of a shell.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=+@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The severity as word, shape and colour.
pub(super) fn severity(severity: Severity, l: Language) -> Markup {
    html! {
        span class={ "severity " (severity.word()) } {
            svg width="12" height="12" aria-hidden="true" { use href={ "#shape-" (severity.word()) } {} }
            (words::severity(severity).of(l))
        }
    }
}

/// The state as word and shape.
pub(super) fn state(state: State, l: Language) -> Markup {
    html! {
        span class={ "state " (state.word()) } {
            svg width="10" height="10" aria-hidden="true" { use href={ "#shape-" (state.word()) } {} }
            (words::state(state).of(l))
        }
    }
}

/// A lamp of the strip: `good`, `note` or `bad`, by shape, too.
pub(super) fn lamp(level: &str) -> Markup {
    html! { svg.lamp width="10" height="10" aria-hidden="true" { use href={ "#lamp-" (level) } {} } }
}

/// The shapes that pages refer to.
pub(super) fn shapes() -> Markup {
    html! {
        svg.shapes width="0" height="0" aria-hidden="true" {
            symbol #shape-critical viewBox="0 0 12 12" { path d="M3.5 0h5L12 3.5v5L8.5 12h-5L0 8.5v-5z" {} }
            symbol #shape-high viewBox="0 0 12 12" { path d="M6 .5 12 11.5H0z" {} }
            symbol #shape-medium viewBox="0 0 12 12" { path d="M6 0l6 6-6 6-6-6z" {} }
            symbol #shape-low viewBox="0 0 12 12" { path fill-rule="evenodd" d="M6 1a5 5 0 1 1 0 10A5 5 0 0 1 6 1zm0 2a3 3 0 1 0 0 6 3 3 0 0 0 0-6z" {} }
            symbol #shape-firing viewBox="0 0 10 10" { circle cx="5" cy="5" r="4.5" {} }
            symbol #shape-pending viewBox="0 0 10 10" { path fill-rule="evenodd" d="M5 .5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM5 2a3 3 0 0 0 0 6z" {} }
            symbol #shape-resolved viewBox="0 0 10 10" { path d="M1 5.2 2.4 3.8 4.2 5.6 7.8 1.8 9.2 3.2 4.2 8.4z" {} }
            symbol #shape-retracted viewBox="0 0 10 10" { path d="M1 2.4 2.4 1 5 3.6 7.6 1 9 2.4 6.4 5 9 7.6 7.6 9 5 6.4 2.4 9 1 7.6 3.6 5z" {} }
            symbol #shape-suppressed viewBox="0 0 10 10" { path d="M1 1h3v8H1zM6 1h3v8H6z" {} }
            symbol #lamp-good viewBox="0 0 10 10" { circle cx="5" cy="5" r="4" {} }
            symbol #lamp-note viewBox="0 0 10 10" { path d="M5 0l5 5-5 5-5-5z" {} }
            symbol #lamp-bad viewBox="0 0 10 10" { path d="M5 .5 10 9.5H0z" {} }
        }
    }
}

/// A value of a key, a record or a measure.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(n) => number(n),
        Value::Array(all) => all.iter().map(self::value).collect::<Vec<_>>().join("、"),
        Value::Bool(_) | Value::Object(_) => value.to_string(),
    }
}

fn number(n: &serde_json::Number) -> String {
    match (n.as_u64(), n.as_f64()) {
        // Years and codes stay as they are.
        (Some(n), _) if n >= 10_000 => count(n),
        (None, Some(f)) if n.is_f64() => decimal(f),
        _ => n.to_string(),
    }
}

/// A number with as many digits as one can use: four that count.
pub(super) fn decimal(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return "0".to_owned();
    }
    let whole = x.abs().log10().floor() as i32;
    let places = usize::try_from((3 - whole).clamp(0, 6)).unwrap_or(0);
    let text = format!("{x:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_spans() {
        for (n, expect) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), expect);
        }
        for (x, expect) in
            [(0.0, "0"), (12.0, "12"), (0.123_456, "0.1235"), (1234.5, "1234"), (-0.5, "-0.5")]
        {
            assert_eq!(decimal(x), expect);
        }
        for (v, expect) in [
            (json!(null), "—"),
            (json!(2026), "2026"),
            (json!(1_234_567), "1,234,567"),
            (json!(3.0), "3"),
            (json!(["镉", "铅"]), "镉、铅"),
            (json!("<b>"), "<b>"),
        ] {
            assert_eq!(value(&v), expect);
        }
        for (s, expect) in
            [(5, "5 秒"), (90, "1 分钟"), (7_200, "2 小时"), (86_400, "24 小时"), (172_800, "2 天")]
        {
            assert_eq!(span(s, Language::Zh), expect);
        }
        for (text, expect) in [
            ("rules/food/a_b.yaml", "rules/food/a_b.yaml"),
            ("", "''"),
            ("a b; rm -rf $HOME", "'a b; rm -rf $HOME'"),
            ("it's", "'it'\\''s'"),
            ("投诉.csv", "'投诉.csv'"),
        ] {
            assert_eq!(quoted(text), expect);
        }
        assert_eq!(clipped("2026-03-05T08:00:00+08:00"), "2026-03-05 08:00");
        assert_eq!(clipped("预"), "预");
    }
}
