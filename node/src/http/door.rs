//! What every handler shares, and who is let through to it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;

use super::problem::Problem;
use crate::backup::Backups;
use crate::config::{User, UsersFile, Verb};
use crate::engine::gateway::Gateway;
use crate::engine::memory::ClientMemory;
use crate::metrics::Metrics;

/// What handlers share. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Door(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    behind: Behind,
    /// Passwords being tried.
    trying: Semaphore,
}

/// What a door leads to, and its bounds.
#[derive(Debug)]
pub(super) struct Behind {
    pub(super) gateway: Gateway,
    pub(super) backups: Option<Backups>,
    pub(super) metrics: Arc<Metrics>,
    /// Who is let through; without any, everybody.
    pub(super) users: Option<UsersFile>,
    /// The host that others reach this node by.
    pub(super) host: String,
    pub(super) request_timeout: Duration,
    pub(super) value_bytes_max: usize,
    pub(super) memory: ClientMemory,
}

/// The most passwords that are tried at once: each takes tens of milliseconds and 19 MiB. Others wait.
const TRYING_MAX: usize = 2;

/// Who may use a route. What is done to data is looked at key by key besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Anybody: health.
    Nothing,
    /// Whoever has a secret.
    Secret,
    /// Administrators.
    Admin,
}

impl Door {
    pub(super) fn new(behind: Behind) -> Door {
        Door(Arc::new(Shared { behind, trying: Semaphore::new(TRYING_MAX) }))
    }

    pub(super) fn gateway(&self) -> &Gateway {
        &self.0.behind.gateway
    }

    /// The node's backups, where it keeps any.
    pub(super) fn backups(&self) -> Option<&Backups> {
        self.0.behind.backups.as_ref()
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.behind.metrics
    }

    pub(super) fn request_timeout(&self) -> Duration {
        self.0.behind.request_timeout
    }

    pub(super) fn memory(&self) -> &ClientMemory {
        &self.0.behind.memory
    }

    pub(super) fn value_bytes_max(&self) -> usize {
        self.0.behind.value_bytes_max
    }

    /// Who asks.
    async fn identify(&self, headers: &HeaderMap) -> Result<Arc<User>, Problem> {
        keep_foreign_pages_out(headers)?;
        let Some(users) = &self.0.behind.users else {
            self.keep_foreign_names_out(headers)?;
            return Ok(Arc::new(User::everything()));
        };
        let users = users.users();
        let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let refuse = |error, detail: &str| {
            let what_to_do = "send Authorization: Bearer TOKEN, or Basic with name and secret, of the file of users";
            Problem::refused(StatusCode::UNAUTHORIZED, error, detail, what_to_do)
        };
        let Some(given) = given else {
            return Err(refuse("no_token", "this door asks for a token"));
        };
        if let Some(token) = after(given, b"bearer ") {
            let user = users.by_token(token);
            return user.ok_or_else(|| refuse("wrong_token", "the token is nobody's"));
        }
        let named = after(given, b"basic ").and_then(|given| STANDARD.decode(given).ok());
        let named = named.and_then(|given| String::from_utf8(given).ok());
        let named = named.as_deref().and_then(|given| given.split_once(':'));
        let Some((name, secret)) = named else {
            return Err(refuse("wrong_token", "the header is neither Bearer nor Basic"));
        };
        let (name, secret) = (name.to_owned(), secret.to_owned());
        // On a thread of its own: this one is control's.
        let turn = self.0.trying.acquire().await;
        let tried = move || users.authenticate(&name, secret.as_bytes());
        let user = tokio::task::spawn_blocking(tried).await.ok().flatten();
        drop(turn);
        user.ok_or_else(|| refuse("wrong_token", "name or secret is wrong"))
    }

    /// A door without secrets trusts whoever reaches it. A browser whose page has had a name of its own lead here is not meant
    /// by that.
    fn keep_foreign_names_out(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(host) = text(headers, &HOST).map(host_of) else { return Ok(()) };
        let is_own = host.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || host.eq_ignore_ascii_case(&self.0.behind.host);
        if is_own {
            return Ok(());
        }
        Err(foreign(format!("{host:?} is no name of this node")))
    }
}

/// Browsers send along what they know of a user, whichever page asks.
fn keep_foreign_pages_out(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = text(headers, &ORIGIN) else { return Ok(()) };
    let from = origin.split_once("://").map(|(_, rest)| host_of(rest));
    if from.is_some() && from == text(headers, &HOST).map(host_of) {
        return Ok(());
    }
    Err(foreign(format!("a page of {origin:?} asks")))
}

fn foreign(detail: String) -> Problem {
    let what_to_do =
        "use the node's address, or give the door users; pages of other hosts are not served";
    Problem::refused(StatusCode::FORBIDDEN, "foreign_page", detail, what_to_do)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// What follows a scheme.
fn after<'a>(given: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (named, rest) = given.split_at_checked(scheme.len())?;
    named.eq_ignore_ascii_case(scheme).then(|| rest.trim_ascii())
}

/// The host of `host:port`, without brackets.
fn host_of(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    text.split(':').next().unwrap_or(text)
}

/// What stands before the handler of one route.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) door: Door,
    pub(super) need: Need,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
}

/// Lets a request through to its handler, if its sender may use the route, and counts it.
pub(super) async fn guard(
    State(guard): State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let user = match guard.need {
        Need::Nothing => Ok(Arc::new(User::nobody())),
        Need::Secret | Need::Admin => guard.door.identify(request.headers()).await,
    };
    let user = user.and_then(|user| {
        if guard.need == Need::Admin && !user.may_everywhere(Verb::Admin) {
            return Err(forbidden(&user, "administer the cluster"));
        }
        Ok(user)
    });
    let response = match user {
        Ok(user) => {
            request.extensions_mut().insert(Who(user));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    guard.door.metrics().http().request(guard.method, guard.path, status, micros);
    response
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Who(pub(super) Arc<User>);

impl Who {
    /// Whether it may do this to a key.
    pub(super) fn check(&self, verb: Verb, bucket: &[u8], key: &[u8]) -> Result<(), Problem> {
        if self.0.may(verb, bucket, key) {
            return Ok(());
        }
        let what = match verb {
            Verb::Read => "read this key",
            Verb::Update => "change this key",
            Verb::Admin => "administer this key",
        };
        Err(forbidden(&self.0, what))
    }

    /// Whether it may read all keys of a bucket that begin so.
    pub(super) fn check_list(&self, bucket: &[u8], prefix: &[u8]) -> Result<(), Problem> {
        if self.0.may_all(Verb::Read, bucket, prefix) {
            return Ok(());
        }
        Err(forbidden(&self.0, "list these keys"))
    }
}

impl FromRequestParts<Door> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _door: &Door) -> Result<Self, Problem> {
        Ok(parts.extensions.get::<Who>().expect("the guard has put it there").clone())
    }
}

fn forbidden(user: &User, what: &str) -> Problem {
    let what_to_do = "ask an administrator for the right, or use another token";
    let detail = format!("user {:?} may not {what}", user.name());
    Problem::refused(StatusCode::FORBIDDEN, "forbidden", detail, what_to_do)
}
