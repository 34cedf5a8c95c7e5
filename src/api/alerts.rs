//! Alerts: `GET /api/v1/alerts` and one of them.
//!
//! Filters `state`, `severity` (several with commas), `rule`, `key` (text in the key), `since` (date or instant), pages with
//! `limit` and `cursor`. Out: `{"alerts": […], "next": cursor or null}`, those that fired last first.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde_json::{Map, Value, json};

use super::problem::Problem;
use crate::{
    engine::handle::{Filter, Handle, PAGE_MAX},
    model::{alert, signal::Severity, time::Zone},
};

/// Alerts on a page where the request does not say.
const PAGE: usize = 100;
const PARAMETERS: [&str; 7] = ["state", "severity", "rule", "key", "since", "limit", "cursor"];

pub(super) async fn list(
    State(handle): State<Handle>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Problem> {
    let wanted = Wanted::parse(query, handle.intake().zone())?;
    let page = handle.alerts(wanted.filter, wanted.cursor, wanted.limit).await?;
    Ok(Json(json!({ "alerts": page.alerts, "next": page.next })))
}

pub(super) async fn one(
    State(handle): State<Handle>,
    Path(id): Path<String>,
) -> Result<Json<Map<String, Value>>, Problem> {
    handle.alert(id.clone()).await?.map(Json).ok_or_else(|| unknown(&id))
}

pub(super) async fn revisions(
    State(handle): State<Handle>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let revisions = handle.revisions(id.clone()).await?;
    if revisions.is_empty() {
        Err(unknown(&id))
    } else {
        Ok(Json(json!({ "revisions": revisions })))
    }
}

fn unknown(id: &str) -> Problem {
    let detail = format!("there is no alert {id:?}");
    Problem::new(StatusCode::NOT_FOUND, "unknown-alert", "There is no such alert", detail)
}

/// What a query asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    filter: Filter,
    cursor: Option<String>,
    limit: usize,
}

impl Wanted {
    fn parse(query: Vec<(String, String)>, zone: &Zone) -> Result<Self, Problem> {
        let mut wanted = Self { limit: PAGE, ..Self::default() };
        for (name, value) in query {
            let wrong = |expected: String| {
                Problem::parameter(&name, format!("{name}={value:?}: expected {expected}"))
            };
            match name.as_str() {
                "state" => {
                    let known = alert::State::ALL.map(alert::State::word).join(", ");
                    let read = words(&value, alert::State::parse);
                    wanted.filter.states = read.ok_or_else(|| wrong(format!("some of {known}")))?;
                }
                "severity" => {
                    let known = Severity::ALL.map(Severity::word).join(", ");
                    let read = words(&value, Severity::parse);
                    wanted.filter.severities =
                        read.ok_or_else(|| wrong(format!("some of {known}")))?;
                }
                "rule" => wanted.filter.rule = Some(value),
                "key" => wanted.filter.key = Some(value),
                "since" => {
                    let read = zone.parse_instant(&value);
                    let expected =
                        || wrong("a date or an instant like 2026-03-05T08:00:00+08:00".into());
                    wanted.filter.since_ms = Some(read.ok_or_else(expected)?);
                }
                "limit" => {
                    let read = value.parse().ok().filter(|n| (1..=PAGE_MAX).contains(n));
                    wanted.limit =
                        read.ok_or_else(|| wrong(format!("a number from 1 to {PAGE_MAX}")))?;
                }
                "cursor" => wanted.cursor = Some(value),
                _ => {
                    let known = PARAMETERS.join(", ");
                    let detail = format!("there is no parameter {name:?}, known are {known}");
                    return Err(Problem::parameter(&name, detail));
                }
            }
        }
        Ok(wanted)
    }
}

fn words<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(|word| parse(word.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, value: &str) -> Result<Wanted, Problem> {
        Wanted::parse(vec![(name.to_owned(), value.to_owned())], &Zone::utc())
    }

    #[test]
    fn queries() {
        let states = vec![alert::State::Firing, alert::State::Pending];
        assert_eq!(parse("state", "firing, pending").unwrap().filter.states, states);
        assert_eq!(parse("since", "1970-01-02").unwrap().filter.since_ms, Some(86_400_000));
        assert_eq!(parse("limit", "7").unwrap().limit, 7);
        for (name, value) in [
            ("state", "burning"),
            ("state", ""),
            ("severity", "high,severe"),
            ("since", "yesterday"),
            ("limit", "0"),
            ("limit", "1001"),
            ("sort", "id"),
        ] {
            let problem = format!("{:?}", parse(name, value).unwrap_err());
            assert!(problem.contains(name), "{problem}");
        }
    }
}
