//! Data: registers by path, operations of every type in one body, explanations.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request as Http, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use coterie_crdt::operation::{
    Expire, KeyOperation, Operation, Reply, SetCondition, StringOperation,
};
use coterie_ring::{BucketKind, NodeId};
use coterie_wire::{Answered, Explanation, Key, Levels, Request, SessionDots};
use serde::Deserialize;
use serde_json::{Value as Json_, json};

use super::cluster::view_of;
use super::door::{Door, Who};
use super::extract::{Asked, Given, InPath, Worth, draw, key_of, read_body, request_id};
use super::operation::{self, context_token, error_json, replaces, reply_json, reveals};
use super::problem::Problem;
use super::session;
use super::value::Value;
use crate::config::{Span, Verb};

/// The header of a causal context.
const CONTEXT: &str = "coterie-context";

/// The most operations of one request.
const OPERATIONS_MAX: usize = 1_024;

/// A request on one key.
struct Wanted {
    key: Key,
    operations: Vec<Operation>,
    levels: Levels,
    time: Duration,
    explain: bool,
}

/// What was answered, with the token of the session to go on with.
struct Performed {
    answered: Box<Answered>,
    session: Option<HeaderValue>,
}

impl Performed {
    /// Puts the session's token into a response.
    fn with(session: Option<HeaderValue>, response: impl IntoResponse) -> Response {
        let mut response = response.into_response();
        if let Some(token) = session {
            response.headers_mut().insert(session::SESSION, token);
        }
        response
    }

    /// The one reply, of a request with one operation.
    fn reply(&self) -> Result<&Reply, Problem> {
        match self.answered.replies.first() {
            Some(Ok(reply)) => Ok(reply),
            Some(Err(error)) => Err(error.into()),
            None => Err(Problem::not_serving("the node answered nothing")),
        }
    }
}

/// What went wrong, with the token of the session to go on with: what may have been written is to be seen.
#[derive(Debug)]
pub(super) struct Told {
    problem: Problem,
    session: Option<HeaderValue>,
}

impl From<Problem> for Told {
    fn from(problem: Problem) -> Told {
        Told { problem, session: None }
    }
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        Performed::with(self.session, self.problem)
    }
}

/// Checks rights, asks the lane, and learns for the session.
async fn perform(
    door: &Door,
    who: &Who,
    headers: &HeaderMap,
    wanted: Wanted,
) -> Result<Performed, Told> {
    let Wanted { key, operations, levels, time, explain } = wanted;
    for operation in &operations {
        let writes = operation.writes();
        let verb = if writes { Verb::Update } else { Verb::Read };
        who.check(verb, key.bucket(), key.name())?;
        if writes && reveals(operation) {
            who.check(Verb::Read, key.bucket(), key.name())?;
        }
    }
    let (view, session) = (view_of(door)?, session::Asked::of(headers)?);
    let id = request_id(headers)?;
    let mut request = Request {
        id,
        key,
        operations,
        levels,
        time_left: time,
        session: SessionDots::default(),
        explain,
    };
    session.ready(&mut request);
    let outcome = door.gateway().ask(request.clone()).await.outcome;
    let session = session.learn(&view, &request, &outcome);
    match Problem::of(outcome) {
        Ok(answered) => Ok(Performed { answered, session }),
        Err(problem) => Err(Told { problem, session }),
    }
}

/// Whether a bucket's keys are consensus registers, which have no siblings.
fn is_strong(door: &Door, key: &Key) -> Result<bool, Problem> {
    let view = view_of(door)?;
    Ok(view.policy(key.bucket()).is_some_and(|policy| policy.kind == BucketKind::Strong))
}

/// `GET /v1/keys/{bucket}/{key}`: the register with all its siblings.
pub(super) async fn get(
    State(door): State<Door>,
    who: Who,
    InPath(key): InPath,
    Asked(worth): Asked<Worth>,
    headers: HeaderMap,
) -> Result<Response, Told> {
    let (strong, levels) = (is_strong(&door, &key)?, worth.of_read()?);
    let time = worth.time(door.request_timeout())?;
    let read = if strong { StringOperation::Get } else { StringOperation::GetSiblings };
    let operations = vec![Operation::String(read)];
    let wanted = Wanted { key: key.clone(), operations, levels, time, explain: false };
    let performed = perform(&door, &who, &headers, wanted).await?;
    let shown = register(&key, &performed, wants_bytes(&headers));
    let shown = shown.unwrap_or_else(IntoResponse::into_response);
    Ok(Performed::with(performed.session, shown))
}

/// Whether a client takes bytes only: then several values do not fit.
fn wants_bytes(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
    accept.contains("application/octet-stream") && !accept.contains("application/json")
}

fn register(key: &Key, performed: &Performed, bytes_only: bool) -> Result<Response, Problem> {
    let (values, context): (Vec<Bytes>, Option<String>) = match performed.reply()? {
        Reply::Siblings(values, context) => {
            let epoch = performed.answered.seen.1;
            (values.clone(), Some(context_token(key.name(), epoch, context)))
        }
        Reply::Value(value) => (vec![value.clone()], None),
        _ => (Vec::new(), None),
    };
    if values.is_empty() {
        let what_to_do = "write it, or look whether bucket and key are spelled right";
        let detail = "there is no such key";
        return Err(Problem::refused(StatusCode::NOT_FOUND, "no_such_key", detail, what_to_do));
    }
    let mut response = if !bytes_only {
        let siblings: Vec<Value> = values.into_iter().map(Value).collect();
        Json(json!({
            "bucket": Value(key.bucket().clone()),
            "key": Value(key.name().clone()),
            "siblings": siblings,
            "context": context,
            "owners": names(&performed.answered.owners),
        }))
        .into_response()
    } else if values.len() == 1 {
        ([(CONTENT_TYPE, "application/octet-stream")], values[0].clone()).into_response()
    } else {
        let what_to_do = "accept application/json to see them all, and write with Coterie-Context to resolve them";
        let detail = format!("the register has {} concurrent values", values.len());
        Problem::refused(StatusCode::CONFLICT, "siblings", detail, what_to_do).into_response()
    };
    let context = context.and_then(|context| HeaderValue::from_str(&context).ok());
    if let Some(context) = context {
        response.headers_mut().insert(CONTEXT, context);
    }
    Ok(response)
}

fn names(nodes: &[NodeId]) -> Vec<String> {
    nodes.iter().map(ToString::to_string).collect()
}

/// The query of a write by path.
#[derive(Debug, Deserialize)]
pub(super) struct PutAsked {
    #[serde(flatten)]
    worth: Worth,
    /// How long the key lives.
    ttl: Option<String>,
    /// `absent` or `present`.
    r#if: Option<String>,
}

/// `PUT /v1/keys/{bucket}/{key}`: the body is the value. With a context it replaces what that names, and others stay as
/// siblings; without one it replaces what is there.
pub(super) async fn put(
    State(door): State<Door>,
    who: Who,
    InPath(key): InPath,
    Asked(asked): Asked<PutAsked>,
    headers: HeaderMap,
    request: Http,
) -> Result<Response, Told> {
    who.check(Verb::Update, key.bucket(), key.name())?;
    let (levels, time) = (asked.worth.of_write()?, asked.worth.time(door.request_timeout())?);
    let value = read_body(request.into_body(), door.value_bytes_max()).await?;
    let write = assignment(&key, value, &asked, &headers)?;
    let operations = vec![Operation::String(write)];
    let wanted = Wanted { key: key.clone(), operations, levels, time, explain: false };
    let performed = perform(&door, &who, &headers, wanted).await?;
    let written = match performed.reply() {
        Ok(Reply::Nothing) => {
            let what_to_do = "read the key to see what is there";
            let detail = "the condition did not hold; nothing was written";
            Problem::refused(StatusCode::PRECONDITION_FAILED, "condition", detail, what_to_do)
                .into_response()
        }
        Ok(_) => Json(stored(&performed.answered)).into_response(),
        Err(problem) => problem.into_response(),
    };
    Ok(Performed::with(performed.session, written))
}

fn assignment(
    key: &Key,
    value: Bytes,
    asked: &PutAsked,
    headers: &HeaderMap,
) -> Result<StringOperation, Problem> {
    let condition = match asked.r#if.as_deref() {
        None => SetCondition::Always,
        Some("absent") => SetCondition::IfAbsent,
        Some("present") => SetCondition::IfPresent,
        Some(other) => return Err(Problem::bad(format!("if={other}: give absent or present"))),
    };
    if let Some(token) = headers.get(CONTEXT) {
        if asked.ttl.is_some() || condition != SetCondition::Always {
            return Err(Problem::bad("a write with Coterie-Context takes neither ttl nor if"));
        }
        let replaces = replaces(token.to_str().unwrap_or_default(), key)?;
        return Ok(StringOperation::PutSibling { value, replaces });
    }
    let expire = match &asked.ttl {
        None => Expire::Never,
        Some(ttl) => {
            let Span(time) = ttl.parse().map_err(|error| Problem::bad(format!("ttl: {error}")))?;
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let at = now.unwrap_or_default().saturating_add(time);
            Expire::At(u64::try_from(at.as_millis()).map_err(Problem::bad)?)
        }
    };
    Ok(StringOperation::Set { value, condition, get: false, expire })
}

/// Who holds what was written.
fn stored(answered: &Answered) -> Json_ {
    json!({
        "outcome": "done",
        "owners": names(&answered.owners),
        "fallbacks": names(&answered.fallbacks),
        "everywhere": answered.everywhere,
    })
}

/// `DELETE /v1/keys/{bucket}/{key}`: whatever its type.
pub(super) async fn delete(
    State(door): State<Door>,
    who: Who,
    InPath(key): InPath,
    Asked(worth): Asked<Worth>,
    headers: HeaderMap,
) -> Result<Response, Told> {
    let (levels, time) = (worth.of_write()?, worth.time(door.request_timeout())?);
    let operations = vec![Operation::Key(KeyOperation::Delete)];
    let wanted = Wanted { key, operations, levels, time, explain: false };
    let performed = perform(&door, &who, &headers, wanted).await?;
    let shown = match performed.reply() {
        Ok(reply) => {
            let mut body = stored(&performed.answered);
            body["deleted"] = json!(*reply == Reply::Integer(1));
            Json(body).into_response()
        }
        Err(problem) => problem.into_response(),
    };
    Ok(Performed::with(performed.session, shown))
}

/// The body of `POST /v1/operations`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OperationsGiven {
    bucket: String,
    key: Value,
    operations: Vec<operation::Given>,
    #[serde(default)]
    level: Option<String>,
    #[serde(default)]
    read_level: Option<String>,
    #[serde(default)]
    timeout: Option<String>,
    #[serde(default)]
    explain: bool,
}

/// `POST /v1/operations`: operations on one key, as one delta.
pub(super) async fn operations(
    State(door): State<Door>,
    who: Who,
    headers: HeaderMap,
    Given(given): Given<OperationsGiven>,
) -> Result<Response, Told> {
    let wanted = given.read(&door)?;
    let name = wanted.key.name().clone();
    let performed = perform(&door, &who, &headers, wanted).await?;
    let answered = &performed.answered;
    let replies: Vec<Json_> = answered
        .replies
        .iter()
        .map(|reply| match reply {
            Ok(reply) => json!({"reply": reply_json(reply, &name, answered.seen.1)}),
            Err(error) => json!({"error": error_json(error)}),
        })
        .collect();
    let mut body = stored(answered);
    body["replies"] = Json_::Array(replies);
    if let Some(explanation) = &answered.explanation {
        body["explanation"] = explanation_json(explanation);
    }
    Ok(Performed::with(performed.session, Json(body)))
}

impl OperationsGiven {
    fn read(self, door: &Door) -> Result<Wanted, Problem> {
        if self.operations.len() > OPERATIONS_MAX {
            return Err(Problem::bad(format!("give at most {OPERATIONS_MAX} operations")));
        }
        let worth = Worth { level: self.level, read_level: self.read_level, timeout: self.timeout };
        let key = key_of(self.bucket.into_bytes().into(), self.key.0)?;
        let operations: Vec<Operation> =
            self.operations.into_iter().map(|given| given.on(&key)).collect::<Result<_, _>>()?;
        let writes = operations.iter().any(Operation::writes);
        let levels = if writes { worth.of_write()? } else { worth.of_read()? };
        let time = worth.time(door.request_timeout())?;
        Ok(Wanted { key, operations, levels, time, explain: self.explain })
    }
}

/// `GET /v1/explain/{bucket}/{key}`: what kinds of cells the key has, and who said what of it.
pub(super) async fn explain(
    State(door): State<Door>,
    who: Who,
    InPath(key): InPath,
    Asked(worth): Asked<Worth>,
    headers: HeaderMap,
) -> Result<Response, Told> {
    let (strong, levels) = (is_strong(&door, &key)?, worth.of_read()?);
    let time = worth.time(door.request_timeout())?;
    let read = if strong {
        Operation::String(StringOperation::Get)
    } else {
        Operation::Key(KeyOperation::Type)
    };
    let wanted = Wanted { key: key.clone(), operations: vec![read], levels, time, explain: true };
    let performed = perform(&door, &who, &headers, wanted).await?;
    let answered = &performed.answered;
    let body = json!({
        "bucket": Value(key.bucket().clone()),
        "key": Value(key.name().clone()),
        "type": match performed.reply() {
            Ok(Reply::Type(shown)) => json!(shown.redis_name()),
            Ok(Reply::Nothing) => json!("none"),
            Ok(_) => json!("string"),
            Err(problem) => json!(problem),
        },
        "purge_epoch": answered.seen.1,
        "owners": names(&answered.owners),
        "fallbacks": names(&answered.fallbacks),
        "explanation": answered.explanation.as_ref().map(|it| explanation_json(it)),
    });
    Ok(Performed::with(performed.session, Json(body)))
}

fn explanation_json(explanation: &Explanation) -> Json_ {
    let dot = |dot: &coterie_crdt::Dot| format!("{:016x}:{}", dot.actor.0, dot.sequence);
    let text = |bytes: &Bytes| json!(Value(bytes.clone()));
    json!({
        "coordinator": explanation.coordinator.map(|it| it.to_string()),
        "owners": names(&explanation.owners),
        "older_owners": names(&explanation.older_owners),
        "answers": explanation.answers.iter().map(|(node, said)| {
            json!({"node": node.to_string(), "said": text(said)})
        }).collect::<Vec<_>>(),
        "dots": explanation.dots.iter().map(|(cell, dots)| {
            json!({"cell": text(cell), "dots": dots.iter().map(dot).collect::<Vec<_>>()})
        }).collect::<Vec<_>>(),
        "hinted": names(&explanation.hinted),
        "digest": format!("{:032x}", explanation.digest),
        "purge_epoch": explanation.epoch,
    })
}

/// A new id, for what clients do not name.
pub(super) fn fresh_id() -> Result<coterie_wire::RequestId, Problem> {
    draw().map(coterie_wire::RequestId)
}
