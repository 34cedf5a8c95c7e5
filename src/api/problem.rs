//! Problem: what went wrong, as RFC 9457 has it.
//!
//! `{"type": "urn:forewarn:problem:unknown-feed", "title", "status", "detail"}` and further members where they help.

use axum::{
    Json,
    extract::rejection::BytesRejection,
    http::{Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::engine::handle::{DeskError, Refused, StoreError};

/// What an error looks like; further members where they help.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProblemDocument {
    /// `urn:forewarn:problem:…`
    r#type: String,
    /// The same for people, in general.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What was wrong with this request, and what would be right.
    detail: String,
}

/// What a problem says, beside the answer that is a document, for who would rather show a page.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) title: &'static str,
    pub(super) detail: String,
}

/// A problem document; in a box, because it is the rare way out of every handler.
#[derive(Debug)]
pub(super) struct Problem(Box<Document>);

#[derive(Debug)]
struct Document {
    status: StatusCode,
    /// Last part of `type`.
    kind: &'static str,
    title: &'static str,
    detail: String,
    further: Map<String, Value>,
    retry_after_s: Option<u32>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        let (detail, further) = (detail.into(), Map::new());
        Self(Box::new(Document { status, kind, title, detail, further, retry_after_s: None }))
    }

    /// The same with a further member.
    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.0.further.insert(name.to_owned(), value);
        self
    }

    pub(super) fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// A query parameter that is not right.
    pub(super) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-parameter",
            "A query parameter is not right",
            detail,
        )
        .with("parameter", json!(name))
    }

    /// Something that is named and not there.
    pub(super) fn missing(kind: &'static str, title: &'static str, detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, kind, title, detail)
    }

    /// A body that did not arrive, or has more than `limit` bytes.
    pub(super) fn body(rejection: &BytesRejection, limit: usize) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::too_long(limit);
        }
        let title = "The body did not arrive";
        Self::new(StatusCode::BAD_REQUEST, "body-incomplete", title, rejection.body_text())
    }

    pub(super) fn too_long(limit: usize) -> Self {
        let detail = format!("body is longer than {limit} bytes, send smaller requests");
        let title = "The body is too long";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-long", title, detail)
            .with("limit_bytes", json!(limit))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = *self.0;
        let told = Told { title: document.title, detail: document.detail.clone() };
        let mut body = json!({
            "type": format!("urn:forewarn:problem:{}", document.kind),
            "title": document.title,
            "status": document.status.as_u16(),
            "detail": document.detail,
        });
        if let Some(members) = body.as_object_mut() {
            members.extend(document.further);
        }
        let kind = (header::CONTENT_TYPE, "application/problem+json".to_owned());
        let retry = document.retry_after_s.map(|s| (header::RETRY_AFTER, s.to_string()));
        let mut response = (document.status, Json(body)).into_response();
        for (name, value) in [Some(kind), retry].into_iter().flatten() {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        response.extensions_mut().insert(told);
        response
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        use StatusCode as S;
        let detail = refused.to_string();
        match refused {
            Refused::UnknownFeed { known, suggestion, .. } => {
                Self::new(S::NOT_FOUND, "unknown-feed", "There is no such feed", detail)
                    .with("known", json!(known))
                    .with("did_you_mean", json!(suggestion))
            }
            Refused::UnknownFormat(_) => Self::new(
                S::UNSUPPORTED_MEDIA_TYPE,
                "unknown-format",
                "The content type cannot be decoded",
                detail,
            ),
            Refused::UnknownEncoding(_) => Self::new(
                S::UNSUPPORTED_MEDIA_TYPE,
                "unknown-encoding",
                "The content encoding cannot be decoded",
                detail,
            ),
            Refused::TooLong { limit } => Self::too_long(limit),
            Refused::Unreadable { .. } => {
                Self::new(S::BAD_REQUEST, "unreadable-body", "The body is not readable", detail)
            }
            Refused::KeyReused(_) => Self::new(
                S::UNPROCESSABLE_ENTITY,
                "key-reused",
                "The idempotency key was used for another body",
                detail,
            ),
            Refused::Full { .. } => {
                Self::new(S::TOO_MANY_REQUESTS, "queue-full", "Too much is waiting", detail)
                    .retry_after(1)
            }
            Refused::Disk { full: true, .. } => {
                Self::new(S::INSUFFICIENT_STORAGE, "disk-full", "The disk is full", detail)
                    .retry_after(10)
            }
            Refused::Disk { full: false, .. } => {
                Self::new(S::SERVICE_UNAVAILABLE, "disk-failed", "The disk takes no writes", detail)
                    .retry_after(10)
            }
            Refused::Stopped(_) => {
                Self::new(S::SERVICE_UNAVAILABLE, "stopped", "The engine has stopped", detail)
                    .retry_after(10)
            }
        }
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        if let DeskError::Store(StoreError::Cursor(_)) = error {
            return Self::parameter("cursor", error.to_string());
        }
        // Paths and causes are for the operator's log, not for whoever asks.
        tracing::error!(%error, cause = ?std::error::Error::source(&error), "no answer can be given");
        let detail = "the data directory does not answer, see the server's log";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "store",
            "What is stored cannot be read",
            detail,
        )
    }
}

pub(super) async fn no_such_path(uri: Uri) -> Problem {
    let detail =
        format!("there is nothing at {}, /api/v1/openapi.json lists what there is", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "no-such-path", "There is no such path", detail)
}

pub(super) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let detail = format!(
        "{} cannot be answered with {method}, /api/v1/openapi.json lists methods",
        uri.path()
    );
    let title = "The path has no such method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", title, detail)
}
