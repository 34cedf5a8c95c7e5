//! Alerts held against a test's expectations: exactly these alerts, and each with every value that is written down.
//!
//! Values are those at firing, `final: {…}` those at the end. A time is compared as precisely as it is written: a date
//! means that day. `retracted` is when the row that took the alert back arrived. An alert that was taken back matches
//! only an expectation that says so.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    feed::FeedSpec,
    model::{
        alert::{Alert, State},
        diagnostic::{Diagnostic, did_you_mean},
        time::Zone,
    },
    rule::{
        detector::{ADJUSTED, TOLD},
        file::{Kind, RuleFile, TestCase},
        first_seen::{FIRST_AT, LAST_AT},
        nowcast::NOWCAST,
        sequence::seen::{AT, COUNT, DUE},
    },
};

use super::given;

/// Words of an expectation that are no values.
const WORDS: [&str; 10] = [
    "rule",
    "key",
    "severity",
    "state",
    "fired",
    "resolved",
    "retracted",
    "evidence",
    "message",
    "final",
];

/// States an expectation may name.
const STATES: [State; 5] =
    [State::Pending, State::Firing, State::Resolved, State::Retracted, State::Suppressed];

/// Refuses names that no alert of this rule can have: a misspelt expectation must not pass or fail by accident.
pub(super) fn check_names(
    rule: &RuleFile,
    case: &TestCase,
    feeds: &[FeedSpec],
) -> Result<(), Vec<Diagnostic>> {
    let known = names_of(rule, feeds);
    let mut findings = Vec::new();
    for expected in &case.expect {
        let mut error = |code, message: String, known: Option<&str>| {
            let finding = Diagnostic::error(code, expected.span.clone(), message);
            findings.push(match known {
                Some(word) => finding.label(format!("did you mean {word:?}?")),
                None => finding,
            });
        };
        match expected.value.get("rule").and_then(Value::as_str) {
            Some(id) if id == rule.id.value => {}
            found => error(
                "test::unknown_rule",
                format!(
                    "the test runs rule {:?}, the expectation is about rule {:?}",
                    rule.id.value,
                    found.unwrap_or("")
                ),
                Some(&rule.id.value),
            ),
        }
        if let Some(state) = expected.value.get("state")
            && !STATES.iter().any(|s| Some(s.word()) == state.as_str())
        {
            let known = did_you_mean(state.as_str().unwrap_or(""), STATES.iter().map(|s| s.word()));
            error("test::unknown_state", format!("{state} is no state of an alert"), known);
        }
        let last = expected.value.get("final").and_then(Value::as_object);
        let names = expected.value.keys().filter(|k| !WORDS.contains(&k.as_str()));
        for name in names.chain(last.into_iter().flat_map(Map::keys).filter(|k| *k != "severity")) {
            if !known.iter().any(|k| k == name) {
                let near = did_you_mean(name, known.iter().map(String::as_str).chain(WORDS));
                error(
                    "test::unknown_column",
                    format!("rule {:?} has no value {name:?}", rule.id.value),
                    near,
                );
            }
        }
        for name in
            expected.value.get("key").and_then(Value::as_object).into_iter().flat_map(Map::keys)
        {
            if !rule.key.iter().any(|k| k.name == *name) {
                let near = did_you_mean(name, rule.key.iter().map(|k| k.name.as_str()));
                error(
                    "test::unknown_column",
                    format!("rule {:?} has no key column {name:?}", rule.id.value),
                    near,
                );
            }
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

/// Every value an alert of the rule can carry.
fn names_of(rule: &RuleFile, feeds: &[FeedSpec]) -> Vec<String> {
    let mut names: Vec<String> = rule.measures.iter().map(|m| m.name.value.clone()).collect();
    for compare in &rule.compares {
        names.extend(
            rule.measures.iter().map(|m| format!("{}.{}", compare.name.value, m.name.value)),
        );
    }
    if rule.kind.value == Kind::Detect {
        let own = rule.detect.iter().flat_map(|d| d.detector.told()).map(|(name, _)| name);
        let told = TOLD.into_iter().chain([ADJUSTED]).chain(NOWCAST).chain(own);
        names.extend(told.map(str::to_owned));
    }
    for step in rule.sequence.iter().flat_map(|s| &s.steps) {
        let feed = feeds.iter().find(|f| f.schema.feed == step.feed.value);
        let columns =
            feed.into_iter().flat_map(|f| f.schema.columns.iter().map(|c| c.name.as_str()));
        let of_step = [AT, COUNT, DUE].into_iter().chain(columns);
        names.extend(of_step.map(|what| format!("{}.{what}", step.name.value)));
    }
    let shown = rule.alert.group.iter().chain(&rule.alert.show).map(|s| s.value.clone());
    names.extend(shown);
    if rule.kind.value == Kind::FirstSeen {
        names.extend([FIRST_AT, LAST_AT].map(str::to_owned));
    }
    if matches!(rule.kind.value, Kind::Instant | Kind::FirstSeen) {
        let feed = feeds.iter().find(|f| f.schema.feed == rule.feed.value);
        names
            .extend(feed.into_iter().flat_map(|f| f.schema.columns.iter().map(|c| c.name.clone())));
    }
    names
}

/// What differs, alert by alert; empty when all is as expected. `alerts`: the revisions of each alert in order.
pub(super) fn differences(case: &TestCase, alerts: &[Vec<Alert>], zone: &Zone) -> Vec<String> {
    let seen: Vec<Actual> = alerts.iter().map(|revisions| Actual::new(revisions)).collect();
    let mut free: Vec<&Actual> = seen.iter().collect();
    let mut out = Vec::new();
    for expected in &case.expect {
        let key = expected.value.get("key");
        // Of several alerts of one key the one that fits best; the earliest of those that fit equally.
        let best = free
            .iter()
            .enumerate()
            .filter(|(_, actual)| actual.has_key(key))
            .map(|(i, actual)| (actual.misfits(&expected.value, zone), i))
            .min_by_key(|(misfits, i)| (misfits.len(), *i));
        let Some((misfits, i)) = best else {
            out.push(format!("missing: {}", text_of(&Value::Object(expected.value.clone()))));
            continue;
        };
        let actual = free.remove(i);
        if !misfits.is_empty() {
            out.push(format!(
                "alert {}\n{}",
                text_of(&Value::Object(actual.last.key.values().clone())),
                misfits.join("\n")
            ));
        }
    }
    out.extend(free.iter().map(|actual| format!("not expected: {}", actual.describe(zone))));
    out
}

/// One alert: where it fired and where it ended.
struct Actual<'a> {
    first: &'a Alert,
    last: &'a Alert,
}

impl<'a> Actual<'a> {
    fn new(revisions: &'a [Alert]) -> Self {
        let last = &revisions[revisions.len() - 1];
        let first = revisions.iter().find(|a| a.state != State::Pending).unwrap_or(&revisions[0]);
        Self { first, last }
    }

    fn has_key(&self, key: Option<&Value>) -> bool {
        let Some(Value::Object(key)) = key else { return true };
        key.iter().all(|(name, want)| {
            self.last.key.values().get(name).is_some_and(|have| same(want, have))
        })
    }

    /// One line for each value that differs.
    fn misfits(&self, expected: &Map<String, Value>, zone: &Zone) -> Vec<String> {
        let mut out = Vec::new();
        let mut differs = |name: &str, want: &Value, have: Option<String>| {
            out.push(format!(
                "    {name}: expected {}, got {}",
                text_of(want),
                have.unwrap_or_else(|| "nothing".into())
            ));
        };
        let ended = |state| self.last.resolved_ms.filter(|_| self.last.state == state);
        let times = BTreeMap::from([
            ("fired", (self.last.state != State::Pending).then_some(self.last.fired_ms)),
            ("resolved", ended(State::Resolved)),
            ("retracted", ended(State::Retracted)),
        ]);
        for (name, want) in expected {
            match name.as_str() {
                "rule" | "key" | "final" => {}
                "severity" if want.as_str() != Some(self.first.severity.word()) => {
                    differs(name, want, Some(self.first.severity.word().into()));
                }
                "state" if want.as_str() != Some(self.last.state.word()) => {
                    differs(name, want, Some(self.last.state.word().into()));
                }
                "severity" | "state" => {}
                "evidence" => {
                    if want.as_u64() != Some(self.last.evidence_total) {
                        differs(name, want, Some(self.last.evidence_total.to_string()));
                    }
                }
                "message" => {
                    for (language, have) in
                        [("zh", &self.last.message.0), ("en", &self.last.message.1)]
                    {
                        if let Some(want) = want.get(language).filter(|w| w.as_str() != Some(have))
                        {
                            differs(language, want, Some(format!("{have:?}")));
                        }
                    }
                }
                time if times.contains_key(time) => {
                    if !same_time(want, times[time], zone) {
                        differs(time, want, times[time].map(|ms| zone.format(ms)));
                    }
                }
                value => {
                    let have =
                        self.last.fired_values.get(value).or_else(|| self.last.context.get(value));
                    if !have.is_some_and(|have| same(want, have)) {
                        differs(value, want, have.map(text_of));
                    }
                }
            }
        }
        if self.last.state == State::Retracted
            && !expected.contains_key("retracted")
            && !expected.contains_key("state")
        {
            out.push("    state: retracted, the expectation does not say so".into());
        }
        let last = expected.get("final").and_then(Value::as_object);
        for (name, want) in last.into_iter().flatten() {
            let severity = Value::from(self.last.severity.word());
            let have =
                if name == "severity" { Some(&severity) } else { self.last.values.get(name) };
            if !have.is_some_and(|have| same(want, have)) {
                let have = have.map_or_else(|| "nothing".into(), text_of);
                out.push(format!("    final {name}: expected {}, got {have}", text_of(want)));
            }
        }
        out
    }

    fn describe(&self, zone: &Zone) -> String {
        let mut line = format!(
            "key {}, severity {}, state {}, fired {}",
            text_of(&Value::Object(self.last.key.values().clone())),
            self.first.severity.word(),
            self.last.state.word(),
            zone.format(self.last.fired_ms),
        );
        for (name, value) in &self.last.fired_values {
            line.push_str(&format!(", {name} {}", text_of(value)));
        }
        line
    }
}

/// Whether a written value means this one: numbers by value, codes by their letter, texts and numbers by their text.
fn same(want: &Value, have: &Value) -> bool {
    if let (Some(want), Some(have)) = (want.as_f64(), have.as_f64()) {
        return (want - have).abs() <= 1e-9 * want.abs().max(1.0);
    }
    match (want, have) {
        (Value::String(want), Value::String(have)) => given::replaced(want, 0) == *have,
        // A decimal column is a text in values, an author may write a number; and the other way round.
        (Value::Number(want), Value::String(have)) => {
            have.parse().ok() == want.as_f64() || want.to_string() == *have
        }
        (Value::String(want), Value::Number(have)) => want.parse().ok() == have.as_f64(),
        _ => want == have,
    }
}

/// Whether a written time means this instant: a date alone means any instant of that day.
fn same_time(want: &Value, have: Option<i64>, zone: &Zone) -> bool {
    let (Some(text), Some(have)) = (want.as_str(), have) else {
        return want.is_null() && have.is_none();
    };
    if text.trim().len() == "2026-03-05".len() {
        return zone.format(have).starts_with(text.trim());
    }
    given::instant(text, zone) == Some(have)
}

/// A value for people: made-up codes by their letter.
fn text_of(value: &Value) -> String {
    let mut text = value.to_string();
    for letter in 'A'..='Z' {
        let name = format!("${letter}");
        if let Some(code) = given::made_up(&name) {
            text = text.replace(&code, &name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_compare_by_meaning() {
        for (want, have, equal) in [
            (json!(10), json!(10), true),
            (json!(10), json!(10.0), true),
            (json!(0.1), json!(0.1 + 1e-12), true),
            (json!(10), json!(11), false),
            (json!("$A"), json!(given::made_up_code(0)), true),
            (json!("$A"), json!(given::made_up_code(1)), false),
            (json!(4301), json!("4301"), true),
            (json!(250000), json!("250000.00"), true),
            (json!("a"), json!(null), false),
            (json!(null), json!(null), true),
        ] {
            assert_eq!(same(&want, &have), equal, "{want} {have}");
        }
    }

    #[test]
    fn a_date_means_the_day_an_instant_itself() {
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let noon = zone.parse_instant("2026-03-05 12:00");
        for (want, have, equal) in [
            (json!("2026-03-05"), noon, true),
            (json!("2026-03-06"), noon, false),
            (json!("2026-03-05 12:00"), noon, true),
            (json!("2026-03-05 12:01"), noon, false),
            (json!("2026-03-05"), None, false),
            (json!(null), None, true),
        ] {
            assert_eq!(same_time(&want, have, &zone), equal, "{want}");
        }
    }
}
