//! As much of HTTP as it takes to ask a node on loopback how it is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read.
const BYTES_MAX: u64 = 64 << 20;

/// What a node answers to `GET path`, where that is JSON and all is well (200); nothing where it is not.
#[must_use]
pub fn get(http: SocketAddr, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect_timeout(&http, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(TIMEOUT)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {http}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.take(BYTES_MAX).read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?;
    serde_json::from_str(body).ok().filter(|_| status == "200")
}
