//! Metrics: `GET /metrics` in Prometheus' text format 0.0.4, and what counts the requests themselves.

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::engine::{handle::Handle, metrics::CONTENT_TYPE};

/// The route of requests to no path of ours: paths are the clients' words and no labels.
const NO_ROUTE: &str = "none";

/// What Prometheus scrapes.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, description = "text format 0.0.4", body = String, content_type = "text/plain")))]
pub(super) async fn page(State(handle): State<Handle>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], handle.metrics_text().await)
}

/// Counts a request and how long its answer took to begin.
pub(super) async fn measure(
    State(handle): State<Handle>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let method = method_word(request.method());
    let timer = handle.metrics().request_timer(route);
    let response = next.run(request).await;
    timer.observe_duration();
    handle.metrics().requested(route, method, class(response.status().as_u16()));
    response
}

fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

fn class(status: u16) -> &'static str {
    match status {
        0..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
