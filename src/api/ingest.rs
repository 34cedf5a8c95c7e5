//! Ingest: `POST /api/v1/feeds/{feed}/events`.
//!
//! In: records of one feed as NDJSON, CSV or Arrow IPC, plain or as gzip or zstd. Out, when they are on disk:
//! `{"accepted", "duplicates", "dead_letters": [{"line", "class", "message"}], "dead_letters_total"}`.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
};

use super::problem::Problem;
use crate::engine::handle::{Answer, Handle, Push};

/// Longest partition name and idempotency key: both are kept.
const NAME_BYTES_MAX: usize = 200;
const IDEMPOTENCY_KEY: &str = "idempotency-key";

pub(super) async fn push(
    State(handle): State<Handle>,
    Path(feed): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Answer>, Problem> {
    let mut partition = None;
    for (name, value) in query {
        match name.as_str() {
            "partition" => partition = Some(short("partition", value)?),
            _ => {
                return Err(Problem::parameter(
                    &name,
                    format!("there is no parameter {name:?}, only partition"),
                ));
            }
        }
    }
    let key =
        text(&headers, IDEMPOTENCY_KEY)?.map(|key| short("Idempotency-Key", key)).transpose()?;
    let push = Push {
        feed,
        partition,
        content_type: text(&headers, header::CONTENT_TYPE.as_str())?,
        content_encoding: text(&headers, header::CONTENT_ENCODING.as_str())?,
        idempotency_key: key,
        body: body.map_err(|rejection| refused(&handle, &rejection))?,
    };
    Ok(Json(handle.push(push).await?))
}

fn refused(handle: &Handle, rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::too_long(handle.intake().body_bytes_max());
    }
    let title = "The body did not arrive";
    Problem::new(StatusCode::BAD_REQUEST, "body-incomplete", title, rejection.body_text())
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
