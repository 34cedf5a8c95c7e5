//! What a past says of rules: silent, never ready, noisy, flapping, or telling what another tells.

use std::collections::BTreeMap;

use super::{
    Limits, about,
    past::{Past, PastAlert},
};
use crate::{
    model::{
        alert::State,
        diagnostic::Diagnostic,
        time::{DAY_MS, Zone, format_day},
    },
    rule::file::{Kind, RuleFile, Status},
};

/// A key flaps when it fires so often …
const FLAPS: usize = 3;
/// … within this time.
const FLAPS_WITHIN_MS: i64 = 30 * DAY_MS;
/// Alerts that a rule must have before its overlap with another says anything.
const OVERLAP_MIN: usize = 5;

/// A finding where a rule told nothing in the whole period.
pub(super) fn silent(rule: &RuleFile, past: &Past, zone: &Zone) -> Option<Diagnostic> {
    let id = &rule.id.value;
    let day = |ms: i64| format_day(zone.to_local(ms).div_euclid(DAY_MS) as i32);
    let period = format!("from {} to {}", day(past.from_ms), day(past.until_ms));
    let Some(told) = &past.told else {
        // Only live rules leave alerts.
        let heard = past.alerts.iter().any(|a| a.rule == *id);
        return (rule.status.value == Status::Live && !heard && past.until_ms > 0).then(|| {
            let message = format!("rule {id:?} raised no alert {period}");
            about(
                rule,
                "hygiene::silent",
                message,
                "back-test it with `forewarn replay`, loosen when, or retire it",
            )
        });
    };
    // A rule that was not replayed cannot be judged.
    let told = told.get(id).filter(|told| told.signals == 0)?;
    Some(if told.not_ready > 0 {
        let message = format!(
            "rule {id:?} was never ready {period}: {} evaluations had too little history",
            told.not_ready
        );
        about(
            rule,
            "hygiene::never_ready",
            message,
            "replay a longer history, or shorten compare, baseline or window",
        )
    } else {
        let message = format!("rule {id:?} gave no signal {period}");
        about(
            rule,
            "hygiene::silent",
            message,
            "look whether where and when can still be met, loosen them with `forewarn tune`, or retire it",
        )
    })
}

/// A finding where a rule raises more alerts a week than people can read.
pub(super) fn noisy(rule: &RuleFile, past: &Past, limits: &Limits) -> Option<Diagnostic> {
    let alerts = of(rule, past).count();
    let per_week = alerts as f64 / past.weeks();
    (per_week > limits.noisy_per_week).then(|| {
        let message = format!(
            "rule {:?} raised {per_week:.1} alerts a week, {alerts} in all",
            rule.id.value
        );
        let mend = "raise a parameter with `forewarn tune`, or group what belongs together by a coarser key";
        about(rule, "hygiene::noisy", message, mend)
    })
}

/// A finding where keys fire, resolve and fire again within days.
pub(super) fn flapping(rule: &RuleFile, past: &Past) -> Option<Diagnostic> {
    // Alerts of an instant rule are records, not episodes of one condition.
    if matches!(rule.kind.value, Kind::Instant | Kind::FirstSeen) {
        return None;
    }
    let mut fired: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for alert in of(rule, past) {
        fired.entry(&alert.key).or_default().push(alert.fired_ms);
    }
    let times = |fired: &[i64]| {
        let within = |i: usize| fired[i..].partition_point(|ms| ms - fired[i] < FLAPS_WITHIN_MS);
        (0..fired.len()).map(within).max().unwrap_or(0)
    };
    let flapping = fired.iter().map(|(key, fired)| (times(fired), *key));
    let flapping: Vec<_> = flapping.filter(|(times, _)| *times >= FLAPS).collect();
    let (most, worst) = flapping.iter().max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(a.1)))?;
    let message = format!(
        "rule {:?} fired {FLAPS} times or more within 30 days for {} of {} keys, {worst} {most} times",
        rule.id.value,
        flapping.len(),
        fired.len()
    );
    let mend = "give alert.keep_for more days, or write clear: well below when";
    Some(about(rule, "hygiene::flapping", message, mend))
}

/// Findings about rules most of whose alerts another rule tells too, about the same key at the same time.
pub(super) fn overlaps(rules: &[RuleFile], past: &Past, limits: &Limits) -> Vec<Diagnostic> {
    let mut by_rule: BTreeMap<&str, ByKey<'_>> = BTreeMap::new();
    for alert in past.alerts.iter().filter(|a| a.state != State::Retracted) {
        by_rule.entry(&alert.rule).or_default().entry(&alert.key).or_default().push(alert);
    }
    let alerts = |rule: &str| by_rule[rule].values().map(Vec::len).sum::<usize>();
    // How many alerts of a rule another one tells, where those are most of enough.
    let told_by = |rule: &str, other: &str| {
        let shared = shared(&by_rule[rule], &by_rule[other], past.until_ms);
        let most = shared as f64 >= limits.overlap * alerts(rule) as f64;
        (alerts(rule) >= OVERLAP_MIN && most).then_some(shared)
    };
    let mut out = Vec::new();
    for rule in rules.iter().filter(|r| by_rule.contains_key(r.id.value.as_str())) {
        let id = rule.id.value.as_str();
        for other in by_rule.keys().copied().filter(|other| *other != id) {
            let Some(shared) = told_by(id, other) else { continue };
            // Of two rules that tell the same it is said once, at the one that tells less.
            if told_by(other, id).is_some() && (alerts(other), other) < (alerts(id), id) {
                continue;
            }
            let message = format!(
                "rule {id:?} tells what rule {other:?} tells: at {shared} of its {} alerts that one fired for the same key too",
                alerts(id)
            );
            let mend = "keep one of them, with a ladder of severity if they differ in degree";
            out.push(about(rule, "hygiene::overlap", message, mend));
        }
    }
    out
}

/// Alerts of a rule by key.
type ByKey<'a> = BTreeMap<&'a str, Vec<&'a PastAlert>>;

/// How many alerts of one rule meet one of another of the same key.
fn shared(mine: &ByKey<'_>, theirs: &ByKey<'_>, until_ms: i64) -> usize {
    let both = mine.iter().filter_map(|(key, mine)| Some((mine, theirs.get(key)?)));
    both.map(|(mine, theirs)| {
        mine.iter().filter(|a| theirs.iter().any(|b| meet(a, b, until_ms))).count()
    })
    .sum()
}

fn of<'a>(rule: &RuleFile, past: &'a Past) -> impl Iterator<Item = &'a PastAlert> {
    let id = rule.id.value.clone();
    past.alerts.iter().filter(move |a| a.rule == id)
}

/// Whether two alerts are about times that have a moment in common.
fn meet(a: &PastAlert, b: &PastAlert, until_ms: i64) -> bool {
    let end = |x: &PastAlert| x.ended_ms.unwrap_or(until_ms).max(x.fired_ms);
    a.began_ms <= end(b) && b.began_ms <= end(a)
}
