//! Alerts: `GET /api/v1/alerts`, one of them, its revisions and the records behind it.

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    problem::{Problem, ProblemDocument},
    query::{Name, Query, wrong},
};
use crate::{
    engine::{
        handle::{AlertQuery, Filter, Handle, PAGE_MAX, Sort},
        view::{AlertDetail, AlertPage, EvidencePage},
    },
    model::{alert, signal::Severity, time::Zone},
};

/// Alerts on a page where the request does not say.
const PAGE: usize = 100;
const PARAMETERS: [&str; 13] = [
    "state", "severity", "rule", "key", "ucc", "domain", "region", "q", "since", "until", "sort",
    "limit", "cursor",
];

/// All revisions of an alert.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Revisions {
    /// Oldest first, each as it was told to sinks.
    #[schema(value_type = Vec<Object>)]
    revisions: Vec<Map<String, Value>>,
}

/// Alerts, a page at a time.
///
/// Pages do not move when alerts come in: a walk by cursor shows each alert once.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts",
    params(
        ("state" = Option<String>, Query, description = "pending, firing, resolved, retracted, suppressed, or open for the first two; several with commas"),
        ("severity" = Option<String>, Query, description = "low, medium, high, critical; several with commas"),
        ("rule" = Option<String>, Query, description = "Ids of rules; several with commas"),
        ("key" = Option<String>, Query, description = "Text in the key, which is JSON"),
        ("ucc" = Option<String>, Query, description = "Code of the business"),
        ("domain" = Option<String>, Query, description = "Directory of the rule"),
        ("region" = Option<String>, Query, description = "How the region code begins: 43 for a province, 4301 for a city"),
        ("q" = Option<String>, Query, description = "Text in message, key, business, id or title of the rule, whatever the case"),
        ("since" = Option<String>, Query, description = "Fired at this date or instant or later"),
        ("until" = Option<String>, Query, description = "Fired before this date or instant"),
        ("sort" = Option<String>, Query, description = "fired_at (as by default), known_at, began_at or severity; latest or highest first"),
        ("limit" = Option<usize>, Query, description = "Alerts on a page, 1 to 1000; 100 by default", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before, with the same sort"),
    ),
    responses((status = 200, body = AlertPage), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(handle): State<Handle>,
    query: Query,
) -> Result<Json<AlertPage>, Problem> {
    let asked = asked(query, handle.intake().zone())?;
    Ok(Json(handle.ask(|desk| desk.alerts(asked)).await?))
}

/// One alert with everything that explains it.
#[utoipa::path(get, path = "/api/v1/alerts/{id}", tag = "alerts",
    params(("id" = String, Path, description = "Id of the alert")),
    responses((status = 200, body = AlertDetail), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn one(
    State(handle): State<Handle>,
    Name(id): Name,
    query: Query,
) -> Result<Json<AlertDetail>, Problem> {
    query.only(&[])?;
    let unknown = unknown(&id);
    handle.ask(move |desk| desk.alert(&id)).await?.map(Json).ok_or(unknown)
}

/// All revisions of an alert as they were told.
#[utoipa::path(get, path = "/api/v1/alerts/{id}/revisions", tag = "alerts",
    params(("id" = String, Path, description = "Id of the alert")),
    responses((status = 200, body = Revisions), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn revisions(
    State(handle): State<Handle>,
    Name(id): Name,
    query: Query,
) -> Result<Json<Revisions>, Problem> {
    query.only(&[])?;
    let unknown = unknown(&id);
    let revisions = handle.ask(move |desk| desk.revisions(&id)).await?;
    if revisions.is_empty() { Err(unknown) } else { Ok(Json(Revisions { revisions })) }
}

/// The records behind an alert, each as the version that counts now.
#[utoipa::path(get, path = "/api/v1/alerts/{id}/evidence", tag = "alerts",
    params(("id" = String, Path, description = "Id of the alert")),
    responses((status = 200, body = EvidencePage), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn evidence(
    State(handle): State<Handle>,
    Name(id): Name,
    query: Query,
) -> Result<Json<EvidencePage>, Problem> {
    query.only(&[])?;
    let unknown = unknown(&id);
    handle.ask(move |desk| desk.evidence(&id)).await?.map(Json).ok_or(unknown)
}

pub(super) fn unknown(id: &str) -> Problem {
    let detail = format!("there is no alert {id:?}, GET /api/v1/alerts lists them");
    Problem::missing("unknown-alert", "There is no such alert", detail)
}

/// What a query asks for.
pub(super) fn asked(query: Query, zone: &Zone) -> Result<AlertQuery, Problem> {
    let query = query.only(&PARAMETERS)?;
    let states = alert::State::ALL.map(alert::State::word).join(", ");
    let state = |word: &str| match word {
        "open" => Some(vec![alert::State::Pending, alert::State::Firing]),
        word => Some(vec![alert::State::parse(word)?]),
    };
    let severities = Severity::ALL.map(Severity::word).join(", ");
    let sorts = Sort::ALL.map(Sort::word).join(", ");
    let rules: Vec<String> = query.words("rule", |w| Some(w.to_owned()), "ids of rules")?;
    let region = query.text("region");
    if let Some(region) = region.as_ref().filter(|r| !r.chars().all(|c| c.is_ascii_digit())) {
        return Err(wrong("region", region, "the first digits of a region code"));
    }
    Ok(AlertQuery {
        filter: Filter {
            states: query.words("state", state, &format!("{states}, open"))?.concat(),
            severities: query.words("severity", Severity::parse, &severities)?,
            rules: Some(rules).filter(|r| !r.is_empty()),
            key: query.text("key"),
            ucc: query.text("ucc"),
            ids: Vec::new(),
            region,
            text: None,
            since_ms: query.instant("since", zone)?,
            until_ms: query.instant("until", zone)?,
        },
        domain: query.text("domain"),
        text: query.text("q").filter(|q| !q.trim().is_empty()),
        sort: query.word("sort", Sort::parse, &sorts)?.unwrap_or_default(),
        cursor: query.text("cursor"),
        limit: query.limit(PAGE, PAGE_MAX)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, value: &str) -> Result<AlertQuery, Problem> {
        asked(Query::of(&[(name, value)]), &Zone::utc())
    }

    #[test]
    fn queries() {
        use alert::State::{Firing, Pending, Resolved};
        let states = |text| parse("state", text).unwrap().filter.states;
        assert_eq!(states("firing, pending"), [Firing, Pending]);
        assert_eq!(states("open,resolved"), [Pending, Firing, Resolved]);
        assert_eq!(parse("since", "1970-01-02").unwrap().filter.since_ms, Some(86_400_000));
        assert_eq!(parse("limit", "7").unwrap().limit, 7);
        assert_eq!(parse("sort", "severity").unwrap().sort, Sort::Severity);
        for (name, value) in [
            ("state", "burning"),
            ("state", ""),
            ("severity", "high,severe"),
            ("since", "yesterday"),
            ("until", "2026-02-30"),
            ("region", "43%"),
            ("limit", "0"),
            ("limit", "1001"),
            ("sort", "id"),
            ("stat", "firing"),
        ] {
            let problem = format!("{:?}", parse(name, value).unwrap_err());
            assert!(problem.contains(name), "{problem}");
        }
        let problem = format!("{:?}", parse("stat", "firing").unwrap_err());
        assert!(problem.contains("did you mean \\\"state\\\"?"), "{problem}");
        let twice = asked(Query::of(&[("rule", "a"), ("rule", "b")]), &Zone::utc());
        assert!(format!("{twice:?}").contains("comes twice"));
    }
}
