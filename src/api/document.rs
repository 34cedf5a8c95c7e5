//! Document: the API described, as OpenAPI 3.1 at `/api/v1/openapi.json`.

use axum::Json;
use utoipa::OpenApi;

use super::{alerts, feeds, health, ingest, metrics, reload, rules, signals, stream, subjects};

/// What all paths together are described as.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "forewarn",
        description = "Risk early warning over event streams. Instants are RFC 3339. Errors are problem documents (RFC 9457) that say what would be right."
    ),
    paths(
        ingest::push,
        alerts::list,
        alerts::one,
        alerts::revisions,
        alerts::evidence,
        stream::follow,
        rules::list,
        rules::one,
        rules::check,
        reload::reload,
        signals::of_rule,
        feeds::list,
        feeds::one,
        feeds::lateness,
        feeds::dead_letters,
        feeds::dead_letter,
        subjects::list,
        subjects::one,
        metrics::page,
        health::alive,
        health::ready,
        openapi,
    )
)]
pub(super) struct Document;

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "health", responses((status = 200, body = Object)))]
pub(super) async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}
