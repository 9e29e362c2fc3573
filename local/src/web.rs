//! As much of HTTP as it takes to ask a node on loopback something: one request per connection, JSON both ways.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take where nothing else is said.
const WITHIN: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const BYTES_MAX: u64 = 64 << 20;

/// Asks a node, as `GET /readyz`: the body of an answer that tells of success.
///
/// # Errors
/// Why there is none, for people: no answer within ten seconds, or one of another status.
pub fn ask(http: SocketAddr, what: &str, body: Option<&Value>) -> Result<Value, String> {
    match answer(http, what, body, WITHIN) {
        Ok((200..=299, body)) => Ok(body),
        Ok((status, body)) => Err(format!("{http} answered {what} by {status}: {body}")),
        Err(error) => Err(format!("{http} did not answer {what}: {error}")),
    }
}

/// As [`ask`]: status and body, whatever the status. A body that is not JSON is a string of it.
///
/// # Errors
/// If no answer comes, whole, within a time; the node may have done what it was asked.
pub fn answer(
    http: SocketAddr,
    what: &str,
    body: Option<&Value>,
    within: Duration,
) -> io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect_timeout(&http, within)?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    // What answers in 1.0 sends the body as it is, and ends the connection after it.
    let mut request = format!("{what} HTTP/1.0\r\nHost: {http}\r\n");
    let body = body.map(Value::to_string).unwrap_or_default();
    if !body.is_empty() {
        let length = body.len();
        request += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    }
    stream.write_all(format!("{request}\r\n{body}").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(BYTES_MAX).read_to_end(&mut answer)?;
    read(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no answer in HTTP"))
}

fn read(answer: &[u8]) -> Option<(u16, Value)> {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
    let (head, body) = (str::from_utf8(&answer[..end]).ok()?, &answer[end + 4..]);
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let json = serde_json::from_slice(body)
        .unwrap_or_else(|_not_json| Value::String(String::from_utf8_lossy(body).into_owned()));
    Some((status, json))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use serde_json::json;

    use super::*;

    /// What comes of asking somebody who answers so, and what that was asked.
    fn asked(body: Option<&Value>, answer: &str) -> (Result<Value, String>, String) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let http = listener.local_addr().unwrap();
        std::thread::scope(|scope| {
            let node = scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut request, mut byte) = (Vec::new(), [0]);
                let whole = body.map_or_else(|| "\r\n\r\n".to_owned(), Value::to_string);
                while !request.ends_with(whole.as_bytes()) {
                    stream.read_exact(&mut byte).unwrap();
                    request.push(byte[0]);
                }
                stream.write_all(answer.as_bytes()).unwrap();
                String::from_utf8(request).unwrap()
            });
            let told = ask(http, "PUT /x", body);
            (told, node.join().unwrap())
        })
    }

    #[test]
    fn bodies_are_json_both_ways_and_refusals_are_told() {
        let (told, request) = asked(Some(&json!({"a": 1})), "HTTP/1.0 201 Created\r\n\r\n[2]");
        assert_eq!(told, Ok(json!([2])));
        assert!(request.starts_with("PUT /x HTTP/1.0\r\n"), "{request}");
        assert!(request.contains("\r\nContent-Length: 7\r\n"), "{request}");
        let (told, _) = asked(None, "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nfine");
        assert_eq!(told, Ok(json!("fine")), "what is no JSON is text");
        let (told, _) = asked(None, "HTTP/1.1 503 Not now\r\n\r\n{\"error\":\"x\"}");
        assert!(told.unwrap_err().ends_with(r#"answered PUT /x by 503: {"error":"x"}"#));
        let (told, _) = asked(None, "+PONG\r\n");
        assert!(told.unwrap_err().ends_with("no answer in HTTP"));
    }
}
