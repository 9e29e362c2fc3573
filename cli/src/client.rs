//! Asking nodes over HTTP: the next one where one is not there, and never twice what may have been done.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use ureq::http::{Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::failure::{Failure, Kind};

/// How long it may take to reach a node before the next one is asked.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

const SESSION: &str = "coterie-session";

/// A request.
#[derive(Clone, Debug)]
struct Wanted<'a> {
    method: &'static str,
    path: &'a str,
    body: Option<&'a Value>,
    request_id: Option<&'a str>,
}

/// What keeps connections open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Nothing: one request each, none of which finds a connection that has ended meanwhile.
    Nothing,
    /// As many as there are threads that ask.
    Connections(usize),
}

/// Whom to ask, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: Agent,
    nodes: Vec<String>,
    token: Option<String>,
    session: Option<RefCell<String>>,
}

/// Why one node did not answer.
enum Silence {
    /// Nothing was sent.
    NotReached(String),
    /// Something may have been sent.
    Lost(String),
}

impl Client {
    pub(crate) fn new(
        nodes: &[String],
        token: Option<String>,
        authority: Option<&Path>,
        within: Duration,
        keep: Keep,
    ) -> Result<Client, Failure> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
        // Without an authority nobody's certificate is believed.
        tls = tls.root_certs(RootCerts::from(authorities(authority)?));
        let idle = match keep {
            Keep::Nothing => 0,
            Keep::Connections(count) => count,
        };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(within))
            .timeout_connect(Some(CONNECT_WITHIN))
            .max_idle_connections(idle)
            .max_idle_connections_per_host(idle)
            .max_redirects(0)
            .tls_config(tls.build())
            .build()
            .new_agent();
        let nodes = nodes.iter().map(|node| url(node)).collect();
        Ok(Client { agent, nodes, token, session: None })
    }

    /// A client whose requests belong to one session: it reads what it wrote.
    pub(crate) fn in_session(mut self) -> Client {
        self.session = Some(RefCell::new("new".to_owned()));
        self
    }

    /// A client of one other node.
    pub(crate) fn of(&self, node: &str) -> Client {
        Client { nodes: vec![url(node)], session: None, ..self.clone() }
    }

    /// A client of the same nodes that begins with another one.
    pub(crate) fn beginning_with(&self, index: usize) -> Client {
        let mut client = self.clone();
        let count = client.nodes.len();
        client.nodes.rotate_left(index % count);
        client
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(&Wanted { method: "GET", path, body: None, request_id: None })
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(&Wanted { method: "POST", path, body: Some(body), request_id: None })
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(&Wanted { method: "PUT", path, body: Some(body), request_id: None })
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(&Wanted { method: "PATCH", path, body: Some(body), request_id: None })
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.ask(&Wanted { method: "DELETE", path, body: None, request_id: None })
    }

    /// Operations on a key, under an id: asked again of the same node, they are answered as before.
    pub(crate) fn operate(&self, body: &Value) -> Result<Value, Failure> {
        let id = draw_id()?;
        let path = "/v1/operations";
        self.ask(&Wanted { method: "POST", path, body: Some(body), request_id: Some(&id) })
    }

    /// Waits at a node for equality. That it has not come about in time is an answer too, not a failure.
    pub(crate) fn barrier(&self, body: &Value) -> Result<Value, Failure> {
        let wanted =
            Wanted { method: "POST", path: "/v1/barrier", body: Some(body), request_id: None };
        let mut silent = Vec::new();
        for node in &self.nodes {
            // Waiting changes nothing: another node may be asked after one that broke off.
            match self.send(node, &wanted) {
                Ok((status, text)) => {
                    let said: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
                    if said["equal"].is_boolean() {
                        return Ok(said);
                    }
                    return Err(problem(status, &text));
                }
                Err(Silence::NotReached(why) | Silence::Lost(why)) => {
                    silent.push(format!("{node}: {why}"));
                }
            }
        }
        Err(nobody(&silent))
    }

    /// Text that is not JSON: metrics.
    pub(crate) fn text(&self, path: &str) -> Result<String, Failure> {
        let wanted = Wanted { method: "GET", path, body: None, request_id: None };
        let mut silent = Vec::new();
        for node in &self.nodes {
            match self.send(node, &wanted) {
                Ok((200, text)) => return Ok(text),
                Ok((status, text)) => return Err(problem(status, &text)),
                Err(Silence::NotReached(why) | Silence::Lost(why)) => {
                    silent.push(format!("{node}: {why}"))
                }
            }
        }
        Err(nobody(&silent))
    }

    fn ask(&self, wanted: &Wanted<'_>) -> Result<Value, Failure> {
        let mut silent = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let (status, text) = match self.send(node, wanted) {
                Ok(answer) => answer,
                Err(Silence::Lost(why)) if wanted.method != "GET" => {
                    let failure =
                        Failure::new(Kind::Unknown, format!("{node} was asked, and {why}"));
                    return Err(failure.hint("look whether it was done before you repeat it"));
                }
                Err(Silence::NotReached(why) | Silence::Lost(why)) => {
                    silent.push(format!("{node}: {why}"));
                    continue;
                }
            };
            if (200..300).contains(&status) {
                return serde_json::from_str(&text).map_err(|_error| {
                    Failure::failed(format!("{node} answers no JSON: is it a node of Coterie?"))
                });
            }
            let failure = problem(status, &text);
            // It has done nothing, and another may.
            let others = index + 1 < self.nodes.len();
            if others && failure.error.as_deref() == Some("not_serving") {
                silent.push(format!("{node}: {}", failure.detail));
                continue;
            }
            return Err(failure);
        }
        Err(nobody(&silent))
    }

    fn send(&self, node: &str, wanted: &Wanted<'_>) -> Result<(u16, String), Silence> {
        let mut request =
            Request::builder().method(wanted.method).uri(format!("{node}{}", wanted.path));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(id) = wanted.request_id {
            request = request.header("Coterie-Request-Id", id);
        }
        if let Some(session) = &self.session {
            request = request.header(SESSION, session.borrow().as_str());
        }
        let malformed = |error: ureq::http::Error| Silence::NotReached(error.to_string());
        let answer = match wanted.body {
            None if wanted.method == "POST" || wanted.method == "PUT" => {
                self.agent.run(request.body(Vec::new()).map_err(malformed)?)
            }
            None => self.agent.run(request.body(()).map_err(malformed)?),
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string().into_bytes()).map_err(malformed)?)
            }
        };
        let answer = answer.map_err(silence)?;
        if let (Some(session), Some(token)) = (&self.session, answer.headers().get(SESSION)) {
            // A token that is no text is none of ours.
            session.replace(token.to_str().unwrap_or("new").to_owned());
        }
        read(answer)
    }
}

/// A node's address as a URL: without a scheme it is HTTP.
fn url(node: &str) -> String {
    let node = node.trim_end_matches('/');
    if node.contains("://") { node.to_owned() } else { format!("http://{node}") }
}

fn authorities(file: Option<&Path>) -> Result<Vec<Certificate<'static>>, Failure> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let pem = fs::read(file).map_err(Failure::file(file))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let shown = file.display();
    let read =
        read.map_err(|error| Failure::usage(format!("{shown} holds no certificates: {error}")))?;
    if read.is_empty() {
        return Err(Failure::usage(format!("{shown} holds no certificates")));
    }
    Ok(read.iter().map(|der| Certificate::from_der(der.as_ref()).to_owned()).collect())
}

fn read(mut answer: Response<Body>) -> Result<(u16, String), Silence> {
    let status = answer.status().as_u16();
    let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
    let text = text.map_err(|error| Silence::Lost(format!("its answer broke off: {error}")))?;
    Ok((status, text))
}

fn silence(error: ureq::Error) -> Silence {
    use ureq::Timeout::{Connect, Resolve};
    match error {
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Silence::NotReached("nobody listens there".to_owned())
        }
        // The system's resolver says so by no kind of its own.
        ureq::Error::Io(error) if error.to_string().contains("lookup address") => {
            Silence::NotReached(error.to_string())
        }
        ureq::Error::Timeout(Connect | Resolve) => {
            Silence::NotReached(format!("not reached within {} s", CONNECT_WITHIN.as_secs()))
        }
        ureq::Error::Timeout(_) => Silence::Lost("it did not answer in time".to_owned()),
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::BadUri(_) => {
            Silence::NotReached(error.to_string())
        }
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => Silence::NotReached(format!(
            "no TLS connection: {error}; --ca names the authority of its certificate"
        )),
        ureq::Error::Io(error) => Silence::Lost(format!("the connection broke: {error}")),
        other => Silence::Lost(other.to_string()),
    }
}

fn nobody(silent: &[String]) -> Failure {
    let failure =
        Failure::new(Kind::Unavailable, format!("no node answers: {}", silent.join("; ")));
    failure.hint(
        "start one (`coterie cluster up` for one on this machine), or name others: --node URL",
    )
}

/// What a node says that went wrong.
fn problem(status: u16, text: &str) -> Failure {
    let said: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let word = |name: &str| said[name].as_str().map(str::to_owned);
    let kind = match said["outcome"].as_str() {
        // It refuses because it serves nobody now.
        Some("refused") if said["error"] == "not_serving" => Kind::Unavailable,
        Some("refused") if said["error"] == "no_such_key" => Kind::NotSo,
        Some("refused") => Kind::Refused,
        Some("unavailable") => Kind::Unavailable,
        Some("unknown") => Kind::Unknown,
        Some(_) | None => Kind::Failed,
    };
    let detail = word("detail").unwrap_or_else(|| format!("the node answers {status}"));
    let what_to_do = word("what_to_do").map(|what| match said["error"].as_str() {
        Some("unauthorized") => "give a token: --token-file FILE, or COTERIE_TOKEN".to_owned(),
        _ => what,
    });
    Failure { kind, error: word("error"), detail, what_to_do }
}

/// 128 random bits in hexadecimal.
pub(crate) fn draw_id() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    let drawn = aws_lc_rs::rand::fill(&mut bytes);
    drawn.map_err(|_error| Failure::failed("the machine gives no randomness"))?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}

/// Bytes as a segment of a path.
pub(crate) fn segment(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    // A path of dots alone would be taken for a step up.
    match out.as_str() {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => out,
    }
}

/// Bytes as nodes take them in JSON: text where they are UTF-8, else base64, which says so.
pub(crate) fn json_bytes(bytes: &[u8]) -> Value {
    use base64::Engine;
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_binary) => json!({"base64": base64::engine::general_purpose::STANDARD.encode(bytes)}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_carry_any_bytes() {
        assert_eq!(segment(b"cart:1/a b\xff"), "cart%3A1%2Fa%20b%FF");
        assert_eq!(segment(b".."), "%2E%2E");
        assert_eq!(segment(b"a.b"), "a.b");
    }

    #[test]
    fn what_nodes_say_becomes_a_kind() {
        let said = |error: &str, outcome: &str| {
            let text =
                json!({"error": error, "outcome": outcome, "detail": "d", "what_to_do": "w"});
            problem(400, &text.to_string()).kind
        };
        assert_eq!(said("bad_request", "refused"), Kind::Refused);
        assert_eq!(said("not_serving", "refused"), Kind::Unavailable);
        assert_eq!(said("no_such_key", "refused"), Kind::NotSo);
        assert_eq!(said("unavailable", "unavailable"), Kind::Unavailable);
        assert_eq!(said("unknown", "unknown"), Kind::Unknown);
        assert_eq!(problem(502, "<html>").kind, Kind::Failed);
    }
}
