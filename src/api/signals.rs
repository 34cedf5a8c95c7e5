//! Signals: `GET /api/v1/rules/{id}/signals`, how many a rule gave and the latest of them.
//!
//! Out: `{"rule", "version", "status", "total", "signals": […]}`, the last one first, `limit` of them.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde_json::json;

use super::problem::{Problem, ProblemDocument};
use crate::{
    engine::{handle::Handle, signals::KEPT, view::RuleSignals},
    model::diagnostic::did_you_mean,
};

/// How many final signals a rule gave since the log began, and the latest of them.
#[utoipa::path(get, path = "/api/v1/rules/{id}/signals", tag = "rules",
    params(("id" = String, Path, description = "Id of the rule"),
        ("limit" = Option<usize>, Query, description = "Latest signals, at most 100")),
    responses((status = 200, body = RuleSignals), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn of_rule(
    State(handle): State<Handle>,
    Path(rule): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<RuleSignals>, Problem> {
    let mut limit = KEPT;
    for (name, value) in query {
        let read = value.parse().ok().filter(|n| (1..=KEPT).contains(n));
        limit = match (name.as_str(), read) {
            ("limit", Some(read)) => read,
            ("limit", None) => {
                let detail = format!("limit={value:?}: expected a number from 1 to {KEPT}");
                return Err(Problem::parameter(&name, detail));
            }
            _ => {
                let detail = format!("there is no parameter {name:?}, only limit");
                return Err(Problem::parameter(&name, detail));
            }
        };
    }
    handle.signals().of_rule(&rule, limit).map(Json).ok_or_else(|| {
        let rules = handle.signals().rules();
        let near = did_you_mean(&rule, rules.iter().map(String::as_str));
        let detail = format!("there is no rule {rule:?}");
        Problem::new(StatusCode::NOT_FOUND, "unknown-rule", "There is no such rule", detail)
            .with("did_you_mean", json!(near))
    })
}
