//! Ingest: `POST /api/v1/feeds/{feed}/events`.
//!
//! In: records of one feed as NDJSON, CSV or Arrow IPC, plain or as gzip or zstd. Out, when they are on disk:
//! `{"accepted", "duplicates", "dead_letters": [{"line", "class", "message"}], "dead_letters_total"}`.

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, header},
};

use super::{
    problem::{Problem, ProblemDocument},
    query::{Name, Query},
};
use crate::engine::handle::{Answer, Handle, Push};

/// Longest partition name and idempotency key: both are kept.
const NAME_BYTES_MAX: usize = 200;
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Takes records of one feed; answered when they are on disk.
#[utoipa::path(post, path = "/api/v1/feeds/{feed}/events", tag = "feeds",
    params(
        ("feed" = String, Path, description = "Name of the feed"),
        ("partition" = Option<String>, Query, description = "Where the records come from; a watermark is kept for each"),
        ("Idempotency-Key" = Option<String>, Header, description = "A request that is repeated with the same key within 24 h is taken once"),
    ),
    request_body(content = String, content_type = "application/x-ndjson", description = "NDJSON, CSV (text/csv) or Arrow IPC (application/vnd.apache.arrow.stream), plain or with Content-Encoding gzip or zstd"),
    responses((status = 200, body = Answer), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn push(
    State(handle): State<Handle>,
    Name(feed): Name,
    query: Query,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Answer>, Problem> {
    let partition = query.only(&["partition"])?.text("partition");
    let partition = partition.map(|name| short("partition", name)).transpose()?;
    let key =
        text(&headers, IDEMPOTENCY_KEY)?.map(|key| short("Idempotency-Key", key)).transpose()?;
    let push = Push {
        feed,
        partition,
        content_type: text(&headers, header::CONTENT_TYPE.as_str())?,
        content_encoding: text(&headers, header::CONTENT_ENCODING.as_str())?,
        idempotency_key: key,
        body: body.map_err(|r| Problem::body(&r, handle.intake().body_bytes_max()))?,
    };
    Ok(Json(handle.push(push).await?))
}

fn short(name: &str, value: String) -> Result<String, Problem> {
    if value.is_empty() || value.len() > NAME_BYTES_MAX {
        let detail = format!("{name} has {} bytes, expected 1 to {NAME_BYTES_MAX}", value.len());
        return Err(Problem::parameter(name, detail));
    }
    Ok(value)
}

fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match value.to_str() {
        Ok(value) => Ok(Some(value.to_owned())),
        Err(_) => Err(Problem::parameter(name, format!("header {name} is not printable ASCII"))),
    }
}
