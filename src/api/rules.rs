//! Rules: those in use, and what is wrong with the text of one.

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::StatusCode,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    problem::{Problem, ProblemDocument},
    query::{Name, Query},
};
use crate::engine::{
    handle::Handle,
    view::{Finding, RuleDetail, RuleRow},
};

/// Longest text of a rule, bytes.
pub(super) const RULE_BYTES_MAX: usize = 1 << 20;

/// The rules in use.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rules {
    /// By id.
    rules: Vec<RuleRow>,
}

/// What is wrong with a rule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Checked {
    /// No finding is an error: the rule can be used.
    ok: bool,
    /// In the order of the text.
    findings: Vec<Finding>,
}

/// All rules.
#[utoipa::path(get, path = "/api/v1/rules", tag = "rules",
    responses((status = 200, body = Rules), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(handle): State<Handle>,
    query: Query,
) -> Result<Json<Rules>, Problem> {
    query.only(&[])?;
    let work = handle.metrics().work();
    Ok(Json(Rules { rules: handle.ask(move |desk| desk.rules(&work)).await? }))
}

/// One rule with its text, tests and latest alerts.
#[utoipa::path(get, path = "/api/v1/rules/{id}", tag = "rules",
    params(("id" = String, Path, description = "Id of the rule")),
    responses((status = 200, body = RuleDetail), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn one(
    State(handle): State<Handle>,
    Name(id): Name,
    query: Query,
) -> Result<Json<RuleDetail>, Problem> {
    query.only(&[])?;
    let (unknown, work) = (unknown(&id), handle.metrics().work());
    handle.ask(move |desk| desk.rule_detail(&id, &work)).await?.map(Json).ok_or(unknown)
}

pub(super) fn unknown(id: &str) -> Problem {
    let detail = format!("there is no rule {id:?}, GET /api/v1/rules lists them");
    Problem::missing("unknown-rule", "There is no such rule", detail)
}

/// Checks the text of a rule as `forewarn check` does, against the feeds in use.
///
/// A text with findings is a good request: the answer lists them.
#[utoipa::path(post, path = "/api/v1/rules/check", tag = "rules",
    request_body(content = String, content_type = "application/yaml", description = "Text of the rule's file, UTF-8"),
    responses((status = 200, body = Checked), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn check(
    State(handle): State<Handle>,
    query: Query,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Checked>, Problem> {
    query.only(&[])?;
    let body = body.map_err(|r| Problem::body(&r, RULE_BYTES_MAX))?;
    let Ok(text) = String::from_utf8(body.into()) else {
        let detail = "the text of a rule is UTF-8, this body is not";
        let title = "The body is no text";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not-text", title, detail));
    };
    let findings = handle.ask(move |desk| Ok(desk.check_rule(&text))).await?;
    Ok(Json(Checked { ok: !findings.iter().any(|f| f.level == "error"), findings }))
}
