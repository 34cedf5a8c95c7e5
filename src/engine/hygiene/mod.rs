//! Hygiene: which rules cost more than they tell, and which nobody looks after.
//!
//! In: the rules of a directory, and perhaps a past: a finished replay, or the alerts an engine has kept. Out: findings like
//! those of `check`, each with its file and how to mend it; they say what a rule set has become, not that it is wrong, so
//! all are warnings. Codes: `hygiene::no_owner`, `hygiene::no_test`, `hygiene::stale`, `hygiene::silent`,
//! `hygiene::never_ready`, `hygiene::noisy`, `hygiene::flapping`, `hygiene::overlap`, `hygiene::expired`
//! and `rule::duplicate_of`.

mod exceptions;
mod past;
mod telling;

use std::time::SystemTime;

use crate::{
    model::{
        diagnostic::Diagnostic,
        time::{DAY_MS, Zone, format_day},
    },
    rule::{
        check::{self, FeedFacts},
        file::{RuleFile, Status},
    },
};

pub use past::{Error, Past, PastAlert, Told};

/// From where on something is worth a word.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The present, ms.
    pub now_ms: i64,
    /// Alerts a week of one rule.
    pub noisy_per_week: f64,
    /// Days that a draft or a rule in shadow may stay as it is.
    pub stale_days: i64,
    /// Share of a rule's alerts that another rule tells too.
    pub overlap: f64,
}

/// All findings about `rules`, in order of files and places.
#[must_use]
pub fn inspect(
    rules: &[RuleFile],
    feeds: &[FeedFacts<'_>],
    past: Option<&Past>,
    limits: &Limits,
    zone: &Zone,
) -> Vec<Diagnostic> {
    let mut findings: Vec<Diagnostic> = check::check(rules, feeds);
    findings.retain(|d| d.code == "rule::duplicate_of");
    for rule in rules.iter().filter(|r| r.status.value != Status::Retired) {
        findings.extend(looked_after(rule, limits, zone));
        findings.extend(past.and_then(|past| telling::silent(rule, past, zone)));
        findings.extend(past.and_then(|past| telling::noisy(rule, past, limits)));
        findings.extend(past.and_then(|past| telling::flapping(rule, past)));
    }
    if let Some(past) = past {
        findings.extend(telling::overlaps(rules, past, limits));
    }
    findings.extend(exceptions::expired(rules, limits.now_ms, zone));
    check::sort(&mut findings);
    findings
}

/// Whether someone answers for a rule, tests it, and goes on with it.
fn looked_after(rule: &RuleFile, limits: &Limits, zone: &Zone) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    if rule.owner.as_deref().is_none_or(|o| o.trim().is_empty()) {
        let message = format!("rule {:?} has no owner", rule.id.value);
        out.push(about(rule, "hygiene::no_owner", message, "add owner: with who answers for it"));
    }
    if rule.tests.is_empty() {
        let message = format!("rule {:?} has no test", rule.id.value);
        let mend = "add one that fires and one that stays silent; `forewarn new` shows the form";
        out.push(about(rule, "hygiene::no_test", message, mend));
    }
    out.extend(stale(rule, limits, zone));
    out
}

/// A draft or a rule in shadow that nobody has touched for long. Where the file system does not say since when, nothing.
fn stale(rule: &RuleFile, limits: &Limits, zone: &Zone) -> Option<Diagnostic> {
    let status = rule.status.value;
    if !matches!(status, Status::Draft | Status::Shadow) {
        return None;
    }
    let modified = rule.path.metadata().and_then(|m| m.modified()).ok()?;
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let since_ms = i64::try_from(since.as_millis()).ok()?;
    let days = (limits.now_ms - since_ms) / DAY_MS;
    let word = status.word();
    (days > limits.stale_days).then(|| {
        let day = format_day(zone.to_local(since_ms).div_euclid(DAY_MS) as i32);
        let message = format!(
            "rule {:?} is {word} and its file has not changed since {day}, {days} days",
            rule.id.value
        );
        let mend = match status {
            Status::Draft => "finish it and set status: shadow, or delete it",
            _ => "judge what it told in shadow: set status: live, or retired",
        };
        Diagnostic {
            span: rule.status.span.clone(),
            ..about(rule, "hygiene::stale", message, mend)
        }
    })
}

/// A finding at the id of a rule.
fn about(rule: &RuleFile, code: &'static str, message: String, mend: &str) -> Diagnostic {
    let finding = Diagnostic::warning(code, rule.id.span.clone(), message).help(mend);
    Diagnostic { file: rule.path.clone(), ..finding }
}

#[cfg(test)]
mod tests;
