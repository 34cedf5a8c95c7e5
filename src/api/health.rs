//! Health: `/healthz` (the process answers) and `/readyz` (the engine takes records; how many signals it found since
//! its log began).

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Problem, ProblemDocument};
use crate::engine::{
    handle::{Handle, Health},
    view::HealthView,
};

/// The engine takes records.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    /// `ready`
    status: &'static str,
    /// Signals found since the log began.
    signals: u64,
}

/// The process answers, and how the whole is doing.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = HealthView)))]
pub(super) async fn alive(State(handle): State<Handle>) -> Result<Json<HealthView>, Problem> {
    let health = handle.health();
    let sinks = handle.metrics().sinks(handle.clock().now_ms());
    Ok(Json(handle.ask(move |desk| desk.health(&health, sinks)).await?))
}

/// The engine takes records: its log is replayed.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, body = Ready), (status = 503, body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn ready(State(handle): State<Handle>) -> Result<Json<Ready>, Problem> {
    let not_ready = |detail: String| {
        let title = "The engine takes no records";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", title, detail)
    };
    match handle.health() {
        Health::Ready => Ok(Json(Ready { status: "ready", signals: handle.signals().total() })),
        Health::Recovering(walk) => {
            let detail = format!(
                "the engine is walking its log, {} of {} records ({} %), try again soon",
                walk.rows,
                walk.of,
                walk.percent()
            );
            Err(not_ready(detail)
                .with("records", walk.rows.into())
                .with("of", walk.of.into())
                .retry_after(1))
        }
        Health::Stopped(why) => Err(not_ready(format!("the engine has stopped: {why}"))),
    }
}
