//! Health: `/healthz` (the process answers) and `/readyz` (the engine takes records; how many signals it found since
//! its log began).

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};

use super::problem::Problem;
use crate::engine::handle::{Handle, Health};

pub(super) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

pub(super) async fn ready(State(handle): State<Handle>) -> Result<Json<Value>, Problem> {
    let not_ready = |detail: String| {
        let title = "The engine takes no records";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", title, detail)
    };
    match handle.health() {
        Health::Ready => {
            Ok(Json(json!({ "status": "ready", "signals": handle.signals().total() })))
        }
        Health::Recovering => {
            Err(not_ready("the engine is walking its log, try again soon".into()))
        }
        Health::Stopped(why) => Err(not_ready(format!("the engine has stopped: {why}"))),
    }
}
