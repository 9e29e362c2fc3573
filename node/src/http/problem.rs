//! What went wrong, as clients are told: a status, a word, what is known, and what to do.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use coterie_crdt::operation::OpError;
use coterie_protocol::control::CommandError;
use coterie_wire::{Answered, Outcome, Refused, Unavailable};
use serde::Serialize;

/// What is known of the request afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Known {
    /// Nothing was changed, because of what was asked.
    Refused,
    /// Nothing was changed, because of who could be reached.
    Unavailable,
    /// It may yet take effect.
    Unknown,
}

/// A response that is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    #[serde(skip)]
    pub(super) status: StatusCode,
    /// A word for programs.
    pub(super) error: &'static str,
    /// What is known.
    pub(super) outcome: Known,
    /// What happened, for people.
    pub(super) detail: String,
    /// What to do about it.
    pub(super) what_to_do: &'static str,
}

impl Problem {
    /// Nothing was changed because of what was asked.
    pub(super) fn refused(
        status: StatusCode,
        error: &'static str,
        detail: impl ToString,
        what_to_do: &'static str,
    ) -> Problem {
        Problem { status, error, outcome: Known::Refused, detail: detail.to_string(), what_to_do }
    }

    /// The request makes no sense.
    pub(super) fn bad(detail: impl ToString) -> Problem {
        let what_to_do = "correct the request; /v1/openapi.json describes it";
        Problem::refused(StatusCode::BAD_REQUEST, "bad_request", detail, what_to_do)
    }

    /// This node serves nothing now.
    pub(super) fn not_serving(detail: impl ToString) -> Problem {
        Problem {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error: "not_serving",
            outcome: Known::Refused,
            detail: detail.to_string(),
            what_to_do: "ask another node, or wait until /readyz of this one answers 200",
        }
    }

    /// What was answered, or what an outcome that is not *done* tells.
    pub(super) fn of(outcome: Outcome) -> Result<Box<Answered>, Problem> {
        match outcome {
            Outcome::Done(answered) => Ok(answered),
            Outcome::Refused(refused) => Err((&refused).into()),
            Outcome::Unavailable(unavailable) => Err((&unavailable).into()),
            Outcome::Unknown { count, .. } => Err(Problem {
                status: StatusCode::GATEWAY_TIMEOUT,
                error: "unknown",
                outcome: Known::Unknown,
                detail: format!("{} of {} confirmed in time", count.have, count.need),
                what_to_do: "it may yet take effect: read, or repeat the request with the same Coterie-Request-Id",
            }),
        }
    }
}

impl From<&Refused> for Problem {
    fn from(refused: &Refused) -> Problem {
        let (status, error, what_to_do) = match refused {
            Refused::Empty => (StatusCode::BAD_REQUEST, "empty", "give at least one operation"),
            Refused::NoSuchBucket => {
                (StatusCode::NOT_FOUND, "no_such_bucket", "make it: PUT /v1/buckets/{name}")
            }
            Refused::Key(_) => (StatusCode::PAYLOAD_TOO_LARGE, "key", "use a shorter key"),
            Refused::Level(_) => (
                StatusCode::BAD_REQUEST,
                "level",
                "use another level, or none for the bucket's own",
            ),
            Refused::NeedsStrong => (
                StatusCode::CONFLICT,
                "needs_strong",
                "use a bucket of kind strong, or another level",
            ),
            Refused::OnlyRegisters => (
                StatusCode::CONFLICT,
                "only_registers",
                "use a bucket of another kind for other types",
            ),
            Refused::StrongValue { .. } | Refused::TooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "use smaller parts, or scan in pages")
            }
            Refused::DiskFull => (
                StatusCode::INSUFFICIENT_STORAGE,
                "disk_full",
                "free or add disk space; reads go on",
            ),
            Refused::NoMemory { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "no_memory",
                "try again in a moment, or ask another node",
            ),
            Refused::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy", "try again in a moment"),
            Refused::Expired => (
                StatusCode::SERVICE_UNAVAILABLE,
                "expired",
                "try again, or allow more time: ?timeout=",
            ),
            Refused::NotServing => return Problem::not_serving(refused),
        };
        Problem::refused(status, error, refused, what_to_do)
    }
}

impl From<&Unavailable> for Problem {
    fn from(unavailable: &Unavailable) -> Problem {
        let what_to_do = match unavailable {
            Unavailable::Owners(_) | Unavailable::Answers(_) => {
                "try again, use a lower level, or bring owners back: /v1/members shows who is down"
            }
            Unavailable::Nobody => "bring an owner back: /v1/ring/owners shows who they are",
            Unavailable::Session => "try again, or go on without the session",
            Unavailable::Damaged => "try again in a moment",
            Unavailable::HintsFull => {
                "bring the owners back that hints are kept for: /v1/hints shows them"
            }
        };
        Problem {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error: "unavailable",
            outcome: Known::Unavailable,
            detail: unavailable.to_string(),
            what_to_do,
        }
    }
}

impl From<&OpError> for Problem {
    fn from(error: &OpError) -> Problem {
        let (status, word, what_to_do) = match error {
            OpError::WrongType | OpError::NotHyperLogLog => (
                StatusCode::CONFLICT,
                "wrong_type",
                "use operations of the key's type: key.type tells it",
            ),
            OpError::TooLarge { .. } | OpError::TooLong | OpError::TooManyRandom { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "write less at once")
            }
            OpError::TooManySiblings { .. } => {
                (StatusCode::CONFLICT, "too_many_siblings", "read, and write with Coterie-Context")
            }
            OpError::NoSuchKey => (StatusCode::NOT_FOUND, "no_such_key", "make the key first"),
            OpError::NeedsWholeKey | OpError::NeedsTallies | OpError::Counting => {
                (StatusCode::SERVICE_UNAVAILABLE, "counting", "try again in a moment")
            }
            OpError::Damaged => {
                (StatusCode::SERVICE_UNAVAILABLE, "damaged", "try again: it is being repaired")
            }
            OpError::TooManyTallies { .. } => {
                (StatusCode::CONFLICT, "too_many_counters", "remove parts of the key first")
            }
            OpError::NotInteger
            | OpError::FieldNotInteger
            | OpError::NotFloat
            | OpError::FieldNotFloat
            | OpError::Overflow
            | OpError::OutOfDecimals
            | OpError::IncrementInfinite
            | OpError::ScoreNotNumber
            | OpError::OffsetOutOfRange
            | OpError::IndexOutOfRange
            | OpError::MalformedPosition
            | OpError::GrowOnly => {
                (StatusCode::UNPROCESSABLE_ENTITY, "not_possible", "correct the operation")
            }
        };
        Problem::refused(status, word, error, what_to_do)
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Problem {
        let (status, word, what_to_do) = match &error {
            CommandError::NoCluster => return Problem::not_serving(error),
            CommandError::UnknownNode { .. } => {
                (StatusCode::NOT_FOUND, "unknown_node", "take an id of /v1/members")
            }
            CommandError::AlreadyBegun | CommandError::NotAlone { .. } => {
                (StatusCode::CONFLICT, "already_begun", "a cluster begins once: join it")
            }
            CommandError::WrongState { .. } => (
                StatusCode::CONFLICT,
                "wrong_state",
                "/v1/members shows what is asked of each node",
            ),
            CommandError::Plan(_) | CommandError::Proposal(_) => (
                StatusCode::CONFLICT,
                "no_layout",
                "ask for what there is a layout for: /v1/ring/plan",
            ),
            CommandError::Partitions(_) | CommandError::Name(_) | CommandError::Edit(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "not_possible", "correct what is asked for")
            }
        };
        Problem::refused(status, word, error, what_to_do)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, "Bearer".parse().expect("a header"));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, "1".parse().expect("a header"));
        }
        response
    }
}
