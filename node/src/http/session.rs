//! Sessions over HTTP: what a client has written, and read if it asks for that, goes back and forth in a header.

use axum::http::{HeaderMap, HeaderValue};
use coterie_crdt::operation::Operation;
use coterie_protocol::View;
use coterie_protocol::session::{Guarantee, Patience, Session};
use coterie_ring::Level;
use coterie_wire::{Outcome, Request};

use super::problem::Problem;
use super::value::{from_header, to_header};

/// The header of a session's token.
pub(super) const SESSION: &str = "coterie-session";

/// The session that a request belongs to, if it belongs to one.
#[derive(Debug, Default)]
pub(super) struct Asked(Option<Session>);

impl Asked {
    /// The session of these headers: a token, or the word that begins one.
    pub(super) fn of(headers: &HeaderMap) -> Result<Asked, Problem> {
        let Some(given) = headers.get(SESSION) else { return Ok(Asked(None)) };
        let text = given.to_str().unwrap_or("?");
        let session = match text {
            "new" | "read-your-writes" => Session::new(Guarantee::ReadYourWrites),
            "monotonic-reads" => Session::new(Guarantee::MonotonicReads),
            token => {
                let token = from_header(token).ok_or_else(|| {
                    Problem::bad(
                        "Coterie-Session: give the last token, or new, or monotonic-reads to begin a session",
                    )
                })?;
                Session::open(&token)
                    .map_err(|error| Problem::bad(format!("Coterie-Session: {error}")))?
            }
        };
        Ok(Asked(Some(session)))
    }

    /// Has a request see what the session has to see, and wait for all owners where it cannot remember more.
    pub(super) fn ready(&self, request: &mut Request) {
        let Some(session) = &self.0 else { return };
        request.session = session.dots(&request.key);
        let writes = request.operations.iter().any(Operation::writes);
        let takes_level = writes && request.levels.write != Some(Level::Linearizable);
        if takes_level && session.patience(&request.key) == Patience::AllOwners {
            request.levels.write = Some(Level::All);
        }
    }

    /// Learns from the answer. The token to go on with, where there is a session and its token is not too large.
    pub(super) fn learn(
        self,
        view: &View,
        request: &Request,
        outcome: &Outcome,
    ) -> Option<HeaderValue> {
        let mut session = self.0?;
        if let Some(policy) = view.policy(request.key.bucket()) {
            session.learn(request, policy, outcome);
        }
        let token = session.token().ok()?;
        HeaderValue::from_str(&to_header(&token)).ok()
    }
}
