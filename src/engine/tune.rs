//! Tuning: what a rule would have told with other values of one parameter.
//!
//! In: a rule, values, and a replay of all its variants at once, over shared panes. Out: a point of the curve for each
//! value, and the value that loses no confirmed incident with the fewest alerts. Confirmed are incidents of a file of labels
//! that the rule finds as it is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::score::{Raised, Score};
use crate::{
    model::{
        alert::{Alert, State},
        signal::{Key, Severity},
    },
    rule::file::{RuleFile, Status},
    source::demo::incident::Incident,
};

use super::labels::text_key;

/// Values of a grid at most: each is a rule of its own.
pub const VALUES_MAX: usize = 200;

/// Why there is nothing to tune.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The parameter is a text or a truth value.
    #[error("parameter ${0} is {1}, only numbers can be tuned")]
    NotANumber(String, String),
    /// The ends of the grid are in the wrong order or no numbers.
    #[error("there are no values from {0} to {1}; give --from less than --to")]
    Empty(String, String),
    /// Too many or too few.
    #[error("{0} values are not between 2 and 200; each is replayed as a rule of its own")]
    Steps(usize),
}

/// Values of a parameter from `from` to `to` in `steps` equal steps, and the value it has: rising, whole where that is whole.
/// Where an end is left out, half and double of the value.
///
/// # Errors
/// [`Error`].
pub fn grid(
    param: &str,
    now: &Value,
    from: Option<f64>,
    to: Option<f64>,
    steps: usize,
) -> Result<Vec<Value>, Error> {
    let value = now.as_f64().filter(|_| now.is_number());
    let value = value.ok_or_else(|| Error::NotANumber(param.to_owned(), now.to_string()))?;
    if !(2..=VALUES_MAX).contains(&steps) {
        return Err(Error::Steps(steps));
    }
    let (from, to) = (from.unwrap_or(value / 2.0), to.unwrap_or(value * 2.0));
    if from >= to || !from.is_finite() || !to.is_finite() {
        return Err(Error::Empty(from.to_string(), to.to_string()));
    }
    let whole = now.is_i64() || now.is_u64();
    let mut values: Vec<f64> =
        (0..steps).map(|i| from + (to - from) * i as f64 / (steps - 1) as f64).collect();
    if whole {
        values.iter_mut().for_each(|v| *v = v.round());
    } else {
        // Steps of a tenth are not to read 0.30000000000000004.
        values.iter_mut().for_each(|v| *v = (*v * 1e9).round() / 1e9);
    }
    values.push(value);
    values.sort_by(f64::total_cmp);
    values.dedup();
    let number = |v: f64| if whole { Value::from(v as i64) } else { Value::from(v) };
    Ok(values.into_iter().map(number).collect())
}

/// The rule once for each value, live, with an id of its own: [`variant_id`].
#[must_use]
pub fn variants(rule: &RuleFile, param: &str, values: &[Value]) -> Vec<RuleFile> {
    let one = |(i, value): (usize, &Value)| {
        let mut rule = rule.clone();
        rule.id.value = variant_id(&rule.id.value, i);
        rule.status.value = Status::Live;
        rule.tests.clear();
        for (name, now) in &mut rule.params {
            if name.value == param {
                now.clone_from(value);
            }
        }
        rule
    };
    values.iter().enumerate().map(one).collect()
}

/// The id of the variant at a position.
#[must_use]
pub fn variant_id(rule: &str, i: usize) -> String {
    format!("{rule}_at_{i:03}")
}

/// What one value tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The value.
    pub value: Value,
    /// Alerts, those taken back included.
    pub alerts: usize,
    /// Those taken back.
    pub taken_back: usize,
    /// Those of severity high or critical.
    pub severe: usize,
    /// Distinct keys.
    pub keys: usize,
    /// Positions of the incidents found; `None` without labels.
    pub found: Option<BTreeSet<usize>>,
}

impl Point {
    /// Of the alerts of one variant, in the order in which they became known. `incidents`: those of the rule, if there are
    /// labels; `until_ms`: how far the input went.
    #[must_use]
    pub fn of(
        rule: &str,
        value: Value,
        alerts: &[&Alert],
        incidents: Option<&[Incident]>,
        until_ms: i64,
    ) -> Self {
        let keys: Vec<Key> = alerts.iter().map(|a| text_key(&a.key)).collect();
        let raised: Vec<Raised<'_>> = alerts
            .iter()
            .zip(&keys)
            .map(|(a, key)| Raised { key, ..Raised::new(rule, a) })
            .collect();
        let found = incidents.map(|incidents| {
            let score = Score::of(incidents, &raised, until_ms);
            score.found.iter().map(|f| f.incident).collect()
        });
        let count = |of: &dyn Fn(&Alert) -> bool| alerts.iter().filter(|a| of(a)).count();
        Self {
            value,
            alerts: alerts.len(),
            taken_back: count(&|a| a.state == State::Retracted),
            severe: count(&|a| a.severity >= Severity::High),
            keys: keys.iter().collect::<BTreeSet<_>>().len(),
            found,
        }
    }

    /// How many of the incidents that `now` finds are found and lost.
    #[must_use]
    pub fn kept(&self, now: &Self) -> Option<(usize, usize)> {
        let (found, confirmed) = (self.found.as_ref()?, now.found.as_ref()?);
        let kept = found.intersection(confirmed).count();
        Some((kept, confirmed.len() - kept))
    }
}

/// Position of the value that keeps every incident which the value at `now` finds, with the fewest alerts; of several the
/// nearest to `now`, then the lower. `None` without labels, or where none of them is found now.
#[must_use]
pub fn propose(points: &[Point], now: usize) -> Option<usize> {
    let confirmed = points.get(now)?.found.as_ref()?;
    if confirmed.is_empty() {
        return None;
    }
    let keeps = |i: &usize| points[*i].found.as_ref().is_some_and(|f| f.is_superset(confirmed));
    (0..points.len()).filter(keeps).min_by_key(|i| (points[*i].alerts, i.abs_diff(now), *i))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_grid_holds_the_present_value_and_whole_numbers_stay_whole() {
        let of = |now: Value, from, to, steps| grid("p", &now, from, to, steps).unwrap();
        assert_eq!(of(json!(10), None, None, 4), [json!(5), json!(10), json!(15), json!(20)]);
        assert_eq!(of(json!(10), Some(1.0), Some(3.0), 9), [1, 2, 3, 10].map(Value::from));
        assert_eq!(of(json!(0.2), Some(0.1), Some(0.3), 3), [0.1, 0.2, 0.3].map(Value::from));
        assert!(matches!(grid("p", &json!("a"), None, None, 4), Err(Error::NotANumber(..))));
        assert!(matches!(grid("p", &json!(0), None, None, 4), Err(Error::Empty(..))));
        assert!(matches!(grid("p", &json!(1), None, None, 1), Err(Error::Steps(1))));
    }

    #[test]
    fn proposed_is_the_fewest_alerts_that_lose_nothing() {
        let point = |alerts, found: &[usize]| Point {
            value: json!(alerts),
            alerts,
            taken_back: 0,
            severe: 0,
            keys: 0,
            found: Some(found.iter().copied().collect()),
        };
        let points =
            [point(90, &[0, 1, 2]), point(50, &[0, 1]), point(20, &[0, 1]), point(9, &[0])];
        assert_eq!(propose(&points, 1), Some(2));
        assert_eq!(points[3].kept(&points[1]), Some((1, 1)));
        // What the rule does not find today is not asked of it.
        assert_eq!(propose(&points, 3), Some(3));
        assert_eq!(propose(&points, 0), Some(0));
        assert_eq!(propose(&[point(3, &[])], 0), None);
    }
}
