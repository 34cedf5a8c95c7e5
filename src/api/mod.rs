//! Api: HTTP over the engine's handle.
//!
//! In: requests. Out: answers as JSON; what went wrong as a problem document (RFC 9457) that says what would be right.
//! Promise: a push that was answered with 200 is on disk; one that was answered otherwise was not taken.
//! Not here: authentication and TLS, which come later; until then only loopback addresses are served, or a proxy guards.

mod alerts;
mod health;
mod ingest;
mod metrics;
mod problem;

use std::{future::Future, io};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use tokio::net::TcpListener;
use tower_http::trace::TraceLayer;

use crate::engine::handle::Handle;

/// All routes; bodies of pushes may have at most `body_bytes_max` bytes.
pub fn router(handle: Handle, body_bytes_max: usize) -> Router {
    let events = post(ingest::push).layer(DefaultBodyLimit::max(body_bytes_max));
    Router::new()
        .route("/api/v1/feeds/{feed}/events", events)
        .route("/api/v1/alerts", get(alerts::list))
        .route("/api/v1/alerts/{id}", get(alerts::one))
        .route("/api/v1/alerts/{id}/revisions", get(alerts::revisions))
        .route("/metrics", get(metrics::page))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(middleware::from_fn_with_state(handle.clone(), metrics::measure))
        // Refusals are answers, not failures of the server.
        .layer(TraceLayer::new_for_http().on_failure(()))
        .with_state(handle)
}

/// Serves on `listener` until `stop` is done; requests that came before are answered.
///
/// # Errors
/// When the system refuses.
pub async fn serve(
    listener: TcpListener,
    handle: Handle,
    body_bytes_max: usize,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(handle, body_bytes_max)).with_graceful_shutdown(stop).await
}
