//! Reload: rules, lists and feeds are read anew.

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    problem::{Problem, ProblemDocument},
    query::Query,
};
use crate::engine::{
    handle::Handle,
    reload::{NotLoaded, shown},
    view::Finding,
};

/// What runs from now on, or why it stays as it is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reloaded {
    /// The set that was read is that which runs.
    ok: bool,
    /// Rules in it.
    rules: Option<usize>,
    /// Hash over feeds, rules, lists and exceptions.
    hash: Option<String>,
    /// Whether it is another one than before: then it takes over by walking the log.
    changed: bool,
    /// What is wrong with it otherwise.
    findings: Vec<FileFinding>,
}

/// A finding and its file.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FileFinding {
    /// The file, as the server names it.
    file: String,
    #[serde(flatten)]
    finding: Finding,
}

/// Reads rules, lists, exceptions and feeds anew.
///
/// A set with errors is refused with every finding, and what runs stays untouched. Another set takes over at once: requests
/// that come meanwhile wait.
#[utoipa::path(post, path = "/api/v1/rules/reload", tag = "rules",
    responses((status = 200, body = Reloaded), (status = 422, body = Reloaded, description = "The new set has errors"),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn reload(
    State(handle): State<Handle>,
    query: Query,
) -> Result<(StatusCode, Json<Reloaded>), Problem> {
    query.only(&[])?;
    match handle.reload().await {
        Ok(loaded) => Ok((
            StatusCode::OK,
            Json(Reloaded {
                ok: true,
                rules: Some(loaded.rules),
                hash: Some(loaded.hash),
                changed: loaded.changed,
                findings: Vec::new(),
            }),
        )),
        Err(NotLoaded::Findings(found)) => {
            let one = |d| {
                let (file, finding) = shown(d);
                FileFinding { file, finding }
            };
            let findings = found.iter().map(one).collect();
            let answer = Reloaded { ok: false, rules: None, hash: None, changed: false, findings };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, Json(answer)))
        }
        Err(NotLoaded::Refused(why)) => {
            let title = "The rules are not read anew";
            Err(Problem::new(StatusCode::CONFLICT, "not-reloaded", title, why))
        }
    }
}
