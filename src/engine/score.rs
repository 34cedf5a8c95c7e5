//! Score: alerts held against the truth about what was planted, or against labels of real cases.
//!
//! In: incidents, and alerts as they ended. Out: which incidents were found and how early, which were missed, and which alerts
//! nothing was planted for. An alert about a business, brand or sample of an incident that the incident did not ask for, or one
//! that it names beside its own, is `related`: it is not wrong, and not counted. Incidents whose records had not all arrived are `open` unless found.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::{self, Display},
};

use crate::{
    model::{
        alert::{Alert, State},
        signal::Key,
        time::DAY_MS,
    },
    source::demo::incident::Incident,
};

/// What the score needs to know of an alert.
#[derive(Debug, Clone, Copy)]
pub struct Raised<'a> {
    /// Id of its rule.
    pub rule: &'a str,
    /// Its key.
    pub key: &'a Key,
    /// Event time at which it fired.
    pub fired_ms: i64,
    /// When the engine first knew.
    pub known_ms: i64,
    /// Whether it was taken back.
    pub retracted: bool,
}

impl<'a> Raised<'a> {
    /// The alert of the rule with this id.
    #[must_use]
    pub fn new(rule: &'a str, alert: &'a Alert) -> Self {
        Self {
            rule,
            key: &alert.key,
            fired_ms: alert.fired_ms,
            known_ms: alert.known.1,
            retracted: alert.state == State::Retracted,
        }
    }
}

/// An incident and the alert that found it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Position of the incident.
    pub incident: usize,
    /// Position of the first alert that found it.
    pub alert: usize,
    /// Days from the engine's knowing to the harm; below zero if it came too late.
    pub lead_days: f64,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Score {
    /// Incidents that an alert of the right rule and key found in time.
    pub found: Vec<Found>,
    /// Positions of complete incidents without one.
    pub missed: Vec<usize>,
    /// Positions of incidents that were not complete, and not found.
    pub open: Vec<usize>,
    /// Positions of alerts about the same subjects, or of a found incident again.
    pub related: Vec<usize>,
    /// Positions of alerts nothing was planted for, those taken back included.
    pub false_alarms: Vec<usize>,
    /// How many of them were taken back.
    pub taken_back: usize,
    rules: BTreeMap<String, OfRule>,
}

/// The score of one rule.
#[derive(Debug, Clone, Default, PartialEq)]
struct OfRule {
    found: usize,
    missed: usize,
    open: usize,
    false_alarms: usize,
    taken_back: usize,
    lead_days: Vec<f64>,
}

impl Score {
    /// Holds `alerts`, in the order in which they became known, against `incidents`; `now_ms` is how far the input went.
    #[must_use]
    pub fn of(incidents: &[Incident], alerts: &[Raised<'_>], now_ms: i64) -> Self {
        let mut wanted: HashMap<(&str, &Key), Vec<usize>> = HashMap::new();
        for (i, incident) in incidents.iter().enumerate() {
            wanted.entry((&incident.rule, &incident.key)).or_default().push(i);
        }
        let mut beside: HashMap<(&str, &Key), Vec<usize>> = HashMap::new();
        for (i, incident) in incidents.iter().enumerate() {
            for (rule, key) in &incident.also {
                beside.entry((rule, key)).or_default().push(i);
            }
        }
        let is_beside = |alert: &Raised<'_>| {
            let of = beside.get(&(alert.rule, alert.key)).into_iter().flatten();
            of.map(|i| &incidents[*i]).any(|i| (i.from_ms..i.complete_ms).contains(&alert.fired_ms))
        };
        let subjects: HashSet<&str> =
            incidents.iter().flat_map(|i| &i.subjects).map(String::as_str).collect();
        let mut by: Vec<Option<usize>> = vec![None; incidents.len()];
        let mut score = Self::default();
        for (a, alert) in alerts.iter().enumerate() {
            let meant =
                wanted.get(&(alert.rule, alert.key)).into_iter().flatten().copied().find(|i| {
                    (incidents[*i].from_ms..incidents[*i].until_ms).contains(&alert.fired_ms)
                });
            match meant.filter(|_| !alert.retracted) {
                Some(i) if by[i].is_none() => by[i] = Some(a),
                Some(_) => score.related.push(a),
                None if meant.is_some() || is_about(alert.key, &subjects) || is_beside(alert) => {
                    score.related.push(a);
                }
                None => {
                    score.false_alarms.push(a);
                    score.taken_back += usize::from(alert.retracted);
                    let rule = score.rules.entry(alert.rule.to_owned()).or_default();
                    rule.false_alarms += 1;
                    rule.taken_back += usize::from(alert.retracted);
                }
            }
        }
        for (i, incident) in incidents.iter().enumerate() {
            let rule = score.rules.entry(incident.rule.clone()).or_default();
            if let Some(a) = by[i] {
                let lead_days = (incident.harm_ms - alerts[a].known_ms) as f64 / DAY_MS as f64;
                score.found.push(Found { incident: i, alert: a, lead_days });
                rule.found += 1;
                rule.lead_days.push(lead_days);
            } else if incident.complete_ms > now_ms {
                score.open.push(i);
                rule.open += 1;
            } else {
                score.missed.push(i);
                rule.missed += 1;
            }
        }
        score
    }

    /// Found incidents among those found or missed; `None` without any.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        share(self.found.len(), self.missed.len())
    }

    /// Alerts that found an incident among those and the false alarms; `None` without any.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        share(self.found.len(), self.false_alarms.len())
    }

    /// Median lead of the found incidents, days.
    #[must_use]
    pub fn lead_days(&self) -> Option<f64> {
        median(self.found.iter().map(|f| f.lead_days).collect())
    }
}

/// Whether a value of the key is a subject of an incident.
fn is_about(key: &Key, subjects: &HashSet<&str>) -> bool {
    key.values().values().any(|v| v.as_str().is_some_and(|v| subjects.contains(v)))
}

fn share(part: usize, rest: usize) -> Option<f64> {
    (part + rest > 0).then(|| part as f64 / (part + rest) as f64)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) =
        (values.get(values.len().saturating_sub(1) / 2)?, values.get(values.len() / 2)?);
    Some((low + high) / 2.0)
}

impl Display for Score {
    /// The table that people read: a line per rule, then the sum.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<28} {:>8} {:>6} {:>7} {:>6} {:>13} {:>11} {:>15}",
            "rule",
            "planted",
            "found",
            "missed",
            "open",
            "false alarms",
            "taken back",
            "lead (median)"
        )?;
        let sum = OfRule {
            found: self.found.len(),
            missed: self.missed.len(),
            open: self.open.len(),
            false_alarms: self.false_alarms.len(),
            taken_back: self.taken_back,
            lead_days: self.found.iter().map(|f| f.lead_days).collect(),
        };
        let rules = self.rules.iter().map(|(name, rule)| (name.as_str(), rule));
        for (name, r) in rules.chain([("all", &sum)]) {
            let lead =
                median(r.lead_days.clone()).map_or_else(String::new, |d| format!("{d:.1} days"));
            writeln!(
                f,
                "{name:<28} {:>8} {:>6} {:>7} {:>6} {:>13} {:>11} {lead:>15}",
                r.found + r.missed + r.open,
                r.found,
                r.missed,
                r.open,
                r.false_alarms,
                r.taken_back
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(ucc: &str) -> Key {
        Key { canonical: json!({"ucc": ucc}).to_string().into() }
    }

    fn incident(ucc: &str, from_day: i64) -> Incident {
        Incident {
            id: format!("r-{ucc}"),
            rule: "r".into(),
            key: key(ucc),
            from_ms: from_day * DAY_MS,
            until_ms: (from_day + 10) * DAY_MS,
            harm_ms: (from_day + 20) * DAY_MS,
            complete_ms: (from_day + 24) * DAY_MS,
            title: Default::default(),
            subjects: vec![ucc.into()],
            also: vec![("other".into(), key(&format!("county of {ucc}")))],
        }
    }

    #[test]
    fn found_missed_open_related_and_false() {
        let incidents =
            [incident("A", 100), incident("B", 100), incident("C", 190), incident("D", 100)];
        let keys = [key("A"), key("X"), key("D"), key("county of A")];
        let raise = |rule, key, fired_day: i64, retracted| Raised {
            rule,
            key,
            fired_ms: fired_day * DAY_MS,
            known_ms: (fired_day + 1) * DAY_MS,
            retracted,
        };
        let alerts = [
            raise("r", &keys[0], 105, false),
            raise("r", &keys[0], 107, false),
            raise("other", &keys[0], 300, false),
            raise("r", &keys[1], 105, true),
            raise("r", &keys[1], 110, false),
            raise("r", &keys[2], 105, true),
            raise("other", &keys[3], 112, false),
            raise("other", &keys[3], 130, false),
        ];
        let score = Score::of(&incidents, &alerts, 200 * DAY_MS);
        assert_eq!(score.found, [Found { incident: 0, alert: 0, lead_days: 14.0 }]);
        assert_eq!((&score.missed[..], &score.open[..]), (&[1, 3][..], &[2][..]));
        assert_eq!(
            (&score.related[..], &score.false_alarms[..]),
            (&[1, 2, 5, 6][..], &[3, 4, 7][..])
        );
        assert_eq!((score.taken_back, score.lead_days()), (1, Some(14.0)));
        assert_eq!((score.recall(), score.precision()), (Some(1.0 / 3.0), Some(1.0 / 4.0)));
        let text = score.to_string();
        assert!(
            text.lines().last().is_some_and(|l| l.starts_with("all ") && l.ends_with("14.0 days")),
            "{text}"
        );
    }
}
