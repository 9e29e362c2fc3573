//! As much of an HTTP client as the tests need: one request per connection, JSON both ways.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value as Json;

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(5);

/// The status and body of an answer.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<(u16, Json)> {
    ask(address, &format!("GET {path} HTTP/1.1\r\n"), "")
}

/// Likewise of a request with a body.
pub(crate) fn post(address: SocketAddr, path: &str, body: &Json) -> io::Result<(u16, Json)> {
    let body = body.to_string();
    let length = body.len();
    let head = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    ask(address, &format!("POST {path} HTTP/1.1\r\n{head}"), &body)
}

/// The body of an answer that tells of success, or why there is none.
pub(crate) fn body(answer: io::Result<(u16, Json)>) -> Result<Json, String> {
    match answer {
        Ok((200, body)) => Ok(body),
        Ok((status, body)) => Err(format!("{status}: {body}")),
        Err(error) => Err(error.to_string()),
    }
}

fn ask(address: SocketAddr, head: &str, body: &str) -> io::Result<(u16, Json)> {
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    let request = format!("{head}Host: {address}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "no answer in HTTP");
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").ok_or_else(malformed)?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or_else(malformed)?;
    let body = &answer[end + 4..];
    let json = serde_json::from_slice(body)
        .unwrap_or_else(|_not_json| Json::String(String::from_utf8_lossy(body).into_owned()));
    Ok((status, json))
}
