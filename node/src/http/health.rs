//! Whether the node lives, whether it serves, and what it counts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::door::Door;

/// `GET /healthz`: the process runs.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// What `/readyz` says.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Ready {
    ready: bool,
    reason: String,
}

/// `GET /readyz`: 200 where the node serves requests, else 503 with the reason.
pub(super) async fn ready(State(door): State<Door>) -> Response {
    let (status, reason) = match unready(&door) {
        None => (StatusCode::OK, "the node serves requests".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
    };
    (status, Json(Ready { ready: status == StatusCode::OK, reason })).into_response()
}

fn unready(door: &Door) -> Option<String> {
    let Some(view) = door.gateway().view() else {
        return Some("the node is in no cluster yet, or asks the others what it lost".to_owned());
    };
    if view.amnesiac {
        return Some(
            "the node may have lost data, and receives it again from the others".to_owned(),
        );
    }
    if view.decision.layout().member_index(view.me).is_none() {
        return Some("the node is no member of the layout in force yet".to_owned());
    }
    let lanes = door.gateway().lanes();
    let running = lanes.iter().filter(|lane| lane.metrics.published).count();
    if running < lanes.len() {
        return Some(format!("{running} of {} lanes run", lanes.len()));
    }
    None
}

/// `GET /metrics`: for Prometheus.
pub(super) async fn metrics(State(door): State<Door>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], door.metrics().scrape())
}
