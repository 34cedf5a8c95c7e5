//! The difference between what two rule sets tell over the same input.
//!
//! In: the alerts of both, as they ended. Out: which appear, which vanish, and which are told otherwise: fired earlier or
//! later, with another severity, or with another end. Alerts are the same where rule, key and record are and their times
//! meet; the number of an episode says nothing, because one more alert before them moves all numbers behind it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use crate::model::{
    alert::{Alert, State},
    signal::{Key, Severity},
    time::Zone,
};

/// What is compared of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its rule.
    pub rule: String,
    /// Its key.
    pub key: Key,
    /// The record, of instant rules.
    pub record: Option<String>,
    /// Start of the first firing window, ms.
    pub began_ms: i64,
    /// When it fired, ms.
    pub fired_ms: i64,
    /// When it ended, ms.
    pub ended_ms: Option<i64>,
    /// Its severity at the end.
    pub severity: Severity,
    /// Whether it was taken back.
    pub retracted: bool,
}

impl Told {
    /// An alert of the rule with this id.
    #[must_use]
    pub fn new(rule: &str, alert: &Alert) -> Self {
        Self {
            rule: rule.to_owned(),
            key: (*alert.key).clone(),
            record: alert.record.as_deref().map(str::to_owned),
            began_ms: alert.began_ms,
            fired_ms: alert.fired_ms,
            ended_ms: alert.resolved_ms,
            severity: alert.severity,
            retracted: alert.state == State::Retracted,
        }
    }

    /// As people's tools read it.
    #[must_use]
    pub fn to_json(&self, zone: &Zone) -> Value {
        let mut out = json!({
            "rule": self.rule, "key": self.key.values(), "fired_at": zone.format(self.fired_ms),
            "ended_at": self.ended_ms.map(|ms| zone.format(ms)), "severity": self.severity.word(),
            "retracted": self.retracted,
        });
        if let Some(record) = &self.record {
            out["record"] = json!(record);
        }
        out
    }

    /// Whether two alerts are about times that have a moment in common.
    fn meets(&self, other: &Self) -> bool {
        let end = |x: &Self| x.ended_ms.unwrap_or(i64::MAX).max(x.fired_ms);
        self.began_ms <= end(other) && other.began_ms <= end(self)
    }
}

/// How often each thing happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Alerts of the old rules.
    pub old: usize,
    /// Alerts of the new rules.
    pub new: usize,
    /// Only the new rules tell them.
    pub appear: usize,
    /// Only the old rules tell them.
    pub vanish: usize,
    /// Both, the new ones earlier.
    pub earlier: usize,
    /// Both, the new ones later.
    pub later: usize,
    /// Both, with another severity.
    pub severity: usize,
    /// Both, with another end, or taken back by one of them only.
    pub end: usize,
}

/// What differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// By rule.
    pub rules: BTreeMap<String, Counts>,
    /// Told by the new rules only.
    pub appear: Vec<Told>,
    /// Told by the old rules only.
    pub vanish: Vec<Told>,
    /// Told by both otherwise: old, new.
    pub moved: Vec<(Told, Told)>,
}

impl Difference {
    /// Between `old` and `new`, both in the order in which they became known.
    #[must_use]
    pub fn of(old: Vec<Told>, new: Vec<Told>) -> Self {
        let mut out = Self::default();
        let mut places: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (i, told) in new.iter().enumerate() {
            places.entry(place(told)).or_default().push(i);
            out.rules.entry(told.rule.clone()).or_default().new += 1;
        }
        let mut free: BTreeSet<usize> = (0..new.len()).collect();
        for told in old {
            let counts = out.rules.entry(told.rule.clone()).or_default();
            counts.old += 1;
            let candidates = places.get(&place(&told)).into_iter().flatten().copied();
            let same = candidates.filter(|i| free.contains(i) && told.meets(&new[*i]));
            // Of several the one that fired nearest to it, then the first.
            let Some(i) = same.min_by_key(|i| ((new[*i].fired_ms - told.fired_ms).abs(), *i))
            else {
                counts.vanish += 1;
                out.vanish.push(told);
                continue;
            };
            free.remove(&i);
            let now = &new[i];
            counts.earlier += usize::from(now.fired_ms < told.fired_ms);
            counts.later += usize::from(now.fired_ms > told.fired_ms);
            counts.severity += usize::from(now.severity != told.severity);
            let end = |x: &Told| (x.ended_ms, x.retracted);
            counts.end += usize::from(end(now) != end(&told));
            if (now.fired_ms, now.severity) != (told.fired_ms, told.severity)
                || end(now) != end(&told)
            {
                out.moved.push((told, now.clone()));
            }
        }
        for i in free {
            out.rules.entry(new[i].rule.clone()).or_default().appear += 1;
            out.appear.push(new[i].clone());
        }
        out
    }

    /// Whether both tell the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.appear.is_empty() && self.vanish.is_empty() && self.moved.is_empty()
    }

    /// All rules together.
    #[must_use]
    pub fn sum(&self) -> Counts {
        self.rules.values().fold(Counts::default(), |a, b| Counts {
            old: a.old + b.old,
            new: a.new + b.new,
            appear: a.appear + b.appear,
            vanish: a.vanish + b.vanish,
            earlier: a.earlier + b.earlier,
            later: a.later + b.later,
            severity: a.severity + b.severity,
            end: a.end + b.end,
        })
    }

    /// As programs read it.
    #[must_use]
    pub fn to_json(&self, zone: &Zone) -> Value {
        let all = |told: &[Told]| told.iter().map(|t| t.to_json(zone)).collect::<Vec<_>>();
        let moved = self.moved.iter();
        let moved: Vec<Value> =
            moved.map(|(o, n)| json!({"old": o.to_json(zone), "new": n.to_json(zone)})).collect();
        json!({
            "sum": self.sum(), "rules": self.rules,
            "appear": all(&self.appear), "vanish": all(&self.vanish), "moved": moved,
        })
    }
}

/// What an alert is about: alerts of one place may be the same.
fn place(told: &Told) -> (String, Key, Option<String>) {
    (told.rule.clone(), told.key.clone(), told.record.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(key: &str, fired_ms: i64, ended_ms: Option<i64>, severity: Severity) -> Told {
        let key = Key { canonical: json!({"ucc": key}).to_string().into() };
        let (rule, record, retracted) = ("r".to_owned(), None, false);
        Told { rule, key, record, began_ms: fired_ms - 5, fired_ms, ended_ms, severity, retracted }
    }

    fn counts(old: Vec<Told>, new: Vec<Told>) -> [usize; 6] {
        let c = Difference::of(old, new).sum();
        [c.appear, c.vanish, c.earlier, c.later, c.severity, c.end]
    }

    #[test]
    fn one_more_episode_before_moves_no_other() {
        let later = |s| told("a", 100, Some(120), s);
        let old = vec![later(Severity::High)];
        let new = vec![told("a", 10, Some(20), Severity::High), later(Severity::High)];
        assert_eq!(counts(old, new), [1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn what_moves_is_counted_by_how_it_moves() {
        let old = vec![
            told("a", 100, Some(120), Severity::High),
            told("b", 100, None, Severity::High),
            told("c", 100, None, Severity::High),
        ];
        let new = vec![
            told("a", 98, Some(120), Severity::High),
            told("b", 103, Some(130), Severity::Medium),
            told("d", 100, None, Severity::High),
        ];
        assert_eq!(counts(old, new), [1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn alerts_of_one_key_at_other_times_are_others() {
        let old = vec![told("a", 100, Some(120), Severity::High)];
        let new = vec![told("a", 200, Some(220), Severity::High)];
        assert_eq!(counts(old, new), [1, 1, 0, 0, 0, 0]);
    }
}
