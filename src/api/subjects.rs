//! Subjects: businesses, and all that is known about one.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    problem::{Problem, ProblemDocument},
    query::{Name, Query},
};
use crate::{
    engine::{
        handle::Handle,
        view::{SubjectRow, SubjectView},
    },
    model::reference::ucc,
};

/// Businesses on a page where the request does not say, and at most.
pub(super) const PAGE: (usize, usize) = (50, 200);

/// Businesses.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Subjects {
    /// Those with most open alerts first.
    subjects: Vec<SubjectRow>,
}

/// Businesses that alerts are about, or that are called so.
#[utoipa::path(get, path = "/api/v1/subjects", tag = "subjects",
    params(("q" = Option<String>, Query, description = "Text in name or code; also finds businesses without alerts by name, the first 20"),
        ("limit" = Option<usize>, Query, description = "Businesses, 1 to 200; 50 by default", minimum = 1, maximum = 200)),
    responses((status = 200, body = Subjects), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(handle): State<Handle>,
    query: Query,
) -> Result<Json<Subjects>, Problem> {
    let query = query.only(&["q", "limit"])?;
    let limit = query.limit(PAGE.0, PAGE.1)?;
    let text = query.text("q").map(|q| q.trim().to_owned()).filter(|q| !q.is_empty());
    let found = handle.ask(move |desk| desk.subjects(text.as_deref(), limit));
    Ok(Json(Subjects { subjects: found.await? }))
}

/// Records of all feeds and alerts of one business.
#[utoipa::path(get, path = "/api/v1/subjects/{ucc}", tag = "subjects",
    params(("ucc" = String, Path, description = "Unified social credit code; blanks, full width and lower case are folded")),
    responses((status = 200, body = SubjectView), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn one(
    State(handle): State<Handle>,
    Name(code): Name,
    query: Query,
) -> Result<Json<SubjectView>, Problem> {
    query.only(&[])?;
    let (unknown, folded) = (unknown(&code), ucc::fold(&code).into_owned());
    handle.ask(move |desk| desk.subject_of(&folded)).await?.map(Json).ok_or(unknown)
}

pub(super) fn unknown(code: &str) -> Problem {
    let folded = ucc::fold(code);
    let mend = match (ucc::check(&folded), ucc::suggest(code)) {
        (Ok(()), _) => "no record and no alert names it".to_owned(),
        (Err(fault), None) => format!("it is not a valid code: {fault}"),
        (Err(fault), Some(meant)) => {
            format!("it is not a valid code: {fault}; did you mean {meant}?")
        }
    };
    let detail = format!("nothing is known about {code:?}: {mend}");
    Problem::missing("unknown-subject", "There is no such business", detail)
}
