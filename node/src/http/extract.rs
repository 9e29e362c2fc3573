//! What handlers take from a request: who asks, a JSON body, a key in the path, levels and times in the query.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use coterie_ring::{Level, NodeId};
use coterie_wire::{BUCKET_BYTES_MAX, KEY_BYTES_MAX, Key, Levels, RequestId};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::door::Door;
use super::problem::Problem;
use super::value::unescape;
use crate::config::Span;
use crate::engine::memory::NoMemory;

/// The largest body of JSON.
const JSON_BYTES_MAX: usize = 16 << 20;

/// How long a client may take to send a body.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// The longest that a request may be given.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Reads a body within a size and a time.
pub(super) async fn read_body(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BODY_TIME_MAX, to_bytes(body, bytes_max)).await;
    match read {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            if let Some(full) = no_memory(&error) {
                return Err(Problem::refused(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "no_memory",
                    full,
                    "try again in a moment, or ask another node",
                ));
            }
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            if cause.is_some_and(|cause| cause.contains("length limit")) {
                return Err(Problem::refused(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too_large",
                    format!("the body has more than {bytes_max} bytes"),
                    "send less at once",
                ));
            }
            Err(Problem::bad(format!("the body cannot be read: {error}")))
        }
        Err(_late) => Err(Problem::refused(
            StatusCode::REQUEST_TIMEOUT,
            "slow_body",
            format!("the body did not arrive within {} s", BODY_TIME_MAX.as_secs()),
            "send it faster, or in smaller parts",
        )),
    }
}

/// Whether a body was cut off because clients hold as much memory as they may.
fn no_memory(error: &axum::Error) -> Option<NoMemory> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(full) = error.downcast_ref::<NoMemory>() {
            return Some(*full);
        }
        cause = error.source();
    }
    None
}

/// A body of JSON of a known shape.
pub(super) struct Given<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Door> for Given<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _door: &Door) -> Result<Self, Problem> {
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let kind = content_type.and_then(|it| it.split(';').next()).map(str::trim);
        if kind.is_none_or(|kind| !kind.eq_ignore_ascii_case("application/json")) {
            return Err(Problem::refused(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                format!(
                    "the body is {}, not application/json",
                    content_type.unwrap_or("of no type")
                ),
                "send JSON and say so: Content-Type: application/json",
            ));
        }
        let body = read_body(request.into_body(), JSON_BYTES_MAX).await?;
        serde_json::from_slice(&body)
            .map(Given)
            .map_err(|error| Problem::bad(format!("body: {error}")))
    }
}

/// A query of a known shape.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Door> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _door: &Door) -> Result<Self, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|Query(query)| Asked(query)).map_err(|error| Problem::bad(error.body_text()))
    }
}

/// The bucket and key that the last two segments of the path name, as bytes.
pub(super) struct InPath(pub(super) Key);

impl FromRequestParts<Door> for InPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _door: &Door) -> Result<Self, Problem> {
        let mut segments = parts.uri.path().rsplit('/');
        let (key, bucket) = (segments.next(), segments.next());
        let bytes = |segment: Option<&str>| segment.and_then(unescape);
        let (Some(key), Some(bucket)) = (bytes(key), bytes(bucket)) else {
            return Err(Problem::bad("the path has a malformed % escape"));
        };
        key_of(bucket, key).map(InPath)
    }
}

/// The key of these names, unless one is longer than any may be.
pub(super) fn key_of(bucket: Bytes, key: Bytes) -> Result<Key, Problem> {
    let too_long = |what: &str, bytes_max: usize| {
        Problem::refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "key",
            format!("the {what} has more than {bytes_max} bytes"),
            "use a shorter one",
        )
    };
    if bucket.len() > BUCKET_BYTES_MAX {
        return Err(too_long("bucket", BUCKET_BYTES_MAX));
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(too_long("key", KEY_BYTES_MAX));
    }
    Ok(Key::new(bucket, key))
}

/// What one segment of the path names: a bucket as text.
pub(super) struct LastInPath(pub(super) String);

impl FromRequestParts<Door> for LastInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _door: &Door) -> Result<Self, Problem> {
        let last = parts.uri.path().rsplit('/').next().unwrap_or_default();
        let bytes =
            unescape(last).ok_or_else(|| Problem::bad("the path has a malformed % escape"))?;
        let text = String::from_utf8(bytes.to_vec());
        text.map(LastInPath).map_err(|_error| Problem::bad("the name in the path is not UTF-8"))
    }
}

/// A level by its name.
pub(super) fn level(name: &str) -> Result<Level, Problem> {
    Level::named(name).ok_or_else(|| {
        let names = Level::ALL.map(Level::name).join(", ");
        Problem::bad(format!("{name:?} is no level: give one of {names}"))
    })
}

/// What a request on data is to be worth.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Worth {
    /// What a write waits for. On a plain read it is the read's level.
    pub(super) level: Option<String>,
    /// What a read asks, and what a write that observes asks first.
    pub(super) read_level: Option<String>,
    /// How long the client waits.
    pub(super) timeout: Option<String>,
}

impl Worth {
    /// The levels of a write.
    pub(super) fn of_write(&self) -> Result<Levels, Problem> {
        let named = |name: &Option<String>| name.as_deref().map(level).transpose();
        Ok(Levels { write: named(&self.level)?, read: named(&self.read_level)? })
    }

    /// The levels of a read: either name will do.
    pub(super) fn of_read(&self) -> Result<Levels, Problem> {
        let name = self.read_level.as_deref().or(self.level.as_deref());
        Ok(Levels { write: None, read: name.map(level).transpose()? })
    }

    /// How long it may take.
    pub(super) fn time(&self, default: Duration) -> Result<Duration, Problem> {
        let Some(text) = &self.timeout else { return Ok(default) };
        let Span(time) = text.parse().map_err(|error| Problem::bad(format!("timeout: {error}")))?;
        if time.is_zero() || time > TIMEOUT_MAX {
            let seconds = TIMEOUT_MAX.as_secs();
            return Err(Problem::bad(format!("timeout: give more than 0 and at most {seconds}s")));
        }
        Ok(time)
    }
}

/// The id of a request: the client's, so that it can repeat the request, or a new one.
pub(super) fn request_id(headers: &HeaderMap) -> Result<RequestId, Problem> {
    if let Some(given) = headers.get("coterie-request-id") {
        let id = given.to_str().ok().filter(|it| it.len() == 32);
        let id = id.and_then(|it| u128::from_str_radix(it, 16).ok());
        return id.map(RequestId).ok_or_else(|| {
            Problem::bad("Coterie-Request-Id: give 32 hexadecimal digits, drawn at random")
        });
    }
    draw().map(RequestId)
}

/// 128 random bits.
pub(super) fn draw() -> Result<u128, Problem> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_error| Problem::not_serving("the machine gives no randomness"))?;
    Ok(u128::from_le_bytes(bytes))
}

/// A node by its id in hexadecimal.
pub(super) fn node_id(text: &str) -> Result<NodeId, Problem> {
    let id = (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok()).flatten();
    id.map(NodeId).ok_or_else(|| {
        Problem::bad(format!(
            "{text:?} is no node: give 32 hexadecimal digits, as /v1/members has them"
        ))
    })
}
