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
    let (status, reason) = match door.gateway().unready() {
        None => (StatusCode::OK, "the node serves requests".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
    };
    (status, Json(Ready { ready: status == StatusCode::OK, reason })).into_response()
}

/// `GET /metrics`: for Prometheus.
pub(super) async fn metrics(State(door): State<Door>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], door.metrics().scrape())
}
