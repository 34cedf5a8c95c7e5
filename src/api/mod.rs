//! Api: HTTP over the engine's handle.
//!
//! In: requests. Out: answers as JSON, pages for people (`console`); what went wrong as a problem document (RFC 9457) that says what would be right.
//! Promise: a push that was answered with 200 is on disk; one that was answered otherwise was not taken.
//! Not here: authentication and TLS, which come later; until then only loopback addresses are served, or a proxy guards.

mod alerts;
mod console;
mod document;
mod feeds;
mod health;
mod ingest;
mod metrics;
mod problem;
mod query;
mod reload;
mod rules;
mod signals;
mod stream;
mod subjects;

use std::{future::Future, io};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{MethodRouter, get, post},
};
use tokio::net::TcpListener;
use tower_http::trace::TraceLayer;

use crate::engine::handle::Handle;

/// Every path with its method: what the router serves and the OpenAPI document describes.
fn routes(body_bytes_max: usize) -> Vec<(&'static str, &'static str, MethodRouter<Handle>)> {
    let events = post(ingest::push).layer(DefaultBodyLimit::max(body_bytes_max));
    let check = post(rules::check).layer(DefaultBodyLimit::max(rules::RULE_BYTES_MAX));
    vec![
        ("post", "/api/v1/feeds/{feed}/events", events),
        ("get", "/api/v1/alerts", get(alerts::list)),
        ("get", "/api/v1/alerts/stream", get(stream::follow)),
        ("get", "/api/v1/alerts/{id}", get(alerts::one)),
        ("get", "/api/v1/alerts/{id}/revisions", get(alerts::revisions)),
        ("get", "/api/v1/alerts/{id}/evidence", get(alerts::evidence)),
        ("get", "/api/v1/rules", get(rules::list)),
        ("post", "/api/v1/rules/check", check),
        ("post", "/api/v1/rules/reload", post(reload::reload)),
        ("get", "/api/v1/rules/{id}", get(rules::one)),
        ("get", "/api/v1/rules/{id}/signals", get(signals::of_rule)),
        ("get", "/api/v1/feeds", get(feeds::list)),
        ("get", "/api/v1/feeds/{feed}", get(feeds::one)),
        ("get", "/api/v1/feeds/{feed}/lateness", get(feeds::lateness)),
        ("get", "/api/v1/dead-letters", get(feeds::dead_letters)),
        ("get", "/api/v1/dead-letters/{id}", get(feeds::dead_letter)),
        ("get", "/api/v1/subjects", get(subjects::list)),
        ("get", "/api/v1/subjects/{ucc}", get(subjects::one)),
        ("get", "/api/v1/openapi.json", get(document::openapi)),
        ("get", "/metrics", get(metrics::page)),
        ("get", "/healthz", get(health::alive)),
        ("get", "/readyz", get(health::ready)),
    ]
}

/// All routes; bodies of pushes may have at most `body_bytes_max` bytes.
pub fn router(handle: Handle, body_bytes_max: usize) -> Router {
    let mut router = Router::new();
    for (_, path, method) in routes(body_bytes_max) {
        router = router.route(path, method);
    }
    router
        .merge(console::routes())
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(middleware::from_fn_with_state(handle.clone(), console::as_page))
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
    let followed = handle.clone();
    let stop = async move {
        stop.await;
        // Their lines would stay open for ever.
        followed.desk().stream().end();
    };
    axum::serve(listener, router(handle, body_bytes_max)).with_graceful_shutdown(stop).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use utoipa::OpenApi;

    use super::*;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = serde_json::to_value(document::Document::openapi()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{document}");
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys();
                methods.map(move |m| (m.clone(), path.clone()))
            })
            .collect();
        let served: BTreeSet<(String, String)> =
            routes(1).into_iter().map(|(m, p, _)| (m.to_owned(), p.to_owned())).collect();
        assert_eq!(described, served);
    }
}
