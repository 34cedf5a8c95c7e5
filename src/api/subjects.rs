//! Subjects: all that is known about one business.

use axum::{Json, extract::State};

use super::{
    problem::{Problem, ProblemDocument},
    query::{Name, Query},
};
use crate::{
    engine::{handle::Handle, view::SubjectView},
    model::reference::ucc,
};

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
    let folded = ucc::fold(&code).into_owned();
    let mend = match (ucc::check(&folded), ucc::suggest(&code)) {
        (Ok(()), _) => "no record and no alert names it".to_owned(),
        (Err(fault), None) => format!("it is not a valid code: {fault}"),
        (Err(fault), Some(meant)) => {
            format!("it is not a valid code: {fault}; did you mean {meant}?")
        }
    };
    let detail = format!("nothing is known about {code:?}: {mend}");
    let found = handle.ask(move |desk| desk.subject_of(&folded)).await?;
    let unknown = || Problem::missing("unknown-subject", "There is no such business", detail);
    found.map(Json).ok_or_else(unknown)
}
