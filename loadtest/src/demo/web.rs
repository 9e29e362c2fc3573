//! As much of HTTP as it takes to ask a node something, JSON both ways.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value as Json;

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const BYTES_MAX: u64 = 64 << 20;

/// Asks, as `GET /readyz`: the body of an answer that tells of success, or why there is none.
pub(crate) fn ask(address: SocketAddr, what: &str, body: Option<&Json>) -> Result<Json, String> {
    match answer(address, what, body) {
        Ok((200..=299, body)) => Ok(body),
        Ok((status, body)) => Err(format!("{what} was answered {status}: {body}")),
        Err(error) => Err(format!("{what} was not answered by {address}: {error}")),
    }
}

fn answer(address: SocketAddr, what: &str, body: Option<&Json>) -> io::Result<(u16, Json)> {
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    let mut request = format!("{what} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    let body = body.map(Json::to_string).unwrap_or_default();
    if !body.is_empty() {
        let length = body.len();
        request += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    }
    stream.write_all(format!("{request}\r\n{body}").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(BYTES_MAX).read_to_end(&mut answer)?;
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "no answer in HTTP");
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").ok_or_else(malformed)?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or_else(malformed)?;
    let body = &answer[end + 4..];
    let json = serde_json::from_slice(body)
        .unwrap_or_else(|_not_json| Json::String(String::from_utf8_lossy(body).into_owned()));
    Ok((status, json))
}
