//! Waiting until owners are equal.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use coterie_protocol::repair::barrier::{Cause, Lacking, Outcome, Scope};
use coterie_ring::Partition;
use coterie_wire::Slice;
use serde::Deserialize;
use serde_json::json;

use super::cluster::view_of;
use super::door::Door;
use super::extract::{Given, key_of};
use super::problem::Problem;
use super::value::Value;
use crate::config::Span;

/// How long it waits unless told otherwise.
const WAIT: Duration = Duration::from_secs(10);

/// The longest that it waits.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// What is to become equal.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum ScopeGiven {
    /// A key that this node owns.
    Key { bucket: String, key: Value },
    /// A slice that it owns.
    Slice { partition: u16, replicas: u8 },
    /// All that it owns.
    All {},
}

/// The body of `POST /v1/barrier`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BarrierGiven {
    scope: ScopeGiven,
    #[serde(default)]
    wait: Option<Span>,
}

/// `POST /v1/barrier`
pub(super) async fn barrier(
    State(door): State<Door>,
    Given(given): Given<BarrierGiven>,
) -> Result<Response, Problem> {
    let wait = given.wait.map_or(WAIT, |Span(time)| time);
    if wait > WAIT_MAX {
        return Err(Problem::bad(format!("wait: give at most {}s", WAIT_MAX.as_secs())));
    }
    let view = view_of(&door)?;
    let scope = match given.scope {
        ScopeGiven::Key { bucket, key } => Scope::Key(key_of(bucket.into_bytes().into(), key.0)?),
        ScopeGiven::Slice { partition, replicas } => {
            if usize::from(partition) >= view.decision.layout().partitioner().count() {
                return Err(Problem::bad(format!("there is no partition {partition}")));
            }
            Scope::Slice(Slice { partition: Partition(partition), replicas })
        }
        ScopeGiven::All {} => Scope::All,
    };
    match door.gateway().barrier(scope, wait).await {
        Outcome::Done => Ok(Json(json!({"equal": true})).into_response()),
        Outcome::Expired { lacking, more } => {
            let lacking: Vec<_> = lacking.iter().map(shown).collect();
            let body = json!({
                "equal": false,
                "error": "not_equal",
                "outcome": "unavailable",
                "detail": "the time has passed",
                "what_to_do": "bring the owners back that are down, or wait longer",
                "lacking": lacking,
                "more": more,
            });
            Ok((StatusCode::GATEWAY_TIMEOUT, Json(body)).into_response())
        }
        Outcome::NotOwner => Err(Problem::refused(
            StatusCode::MISDIRECTED_REQUEST,
            "not_owner",
            "this node does not own that",
            "ask an owner: /v1/ring/owners/{bucket}/{key} names them",
        )),
        Outcome::Busy => Err((&coterie_wire::Refused::Busy).into()),
    }
}

fn shown(lacking: &Lacking) -> serde_json::Value {
    let cause = match lacking.cause {
        Cause::Hints => "hints for it are kept here".to_owned(),
        Cause::Down => "it is down".to_owned(),
        Cause::UnderWay => "a synchronisation is under way".to_owned(),
        Cause::Failed(error) => format!("the last synchronisation failed: {error:?}"),
    };
    json!({
        "partition": lacking.slice.partition.0,
        "replicas": lacking.slice.replicas,
        "owner": lacking.owner.to_string(),
        "cause": cause,
    })
}
