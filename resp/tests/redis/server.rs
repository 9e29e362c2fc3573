//! A stock Redis, and a connection to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use bytes::Bytes;
use coterie_resp::Protocol;
use tempfile::TempDir;

use crate::reply::Reply;

/// A Redis of its own, which ends with this.
pub(crate) struct Redis {
    process: Child,
    stream: UnixStream,
    input: Vec<u8>,
    _folder: TempDir,
}

impl Redis {
    /// Starts one that listens on a socket in a folder of its own and stores nothing.
    pub(crate) fn start(protocol: Protocol) -> Redis {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("redis");
        #[expect(clippy::disallowed_methods, reason = "what is tested is compared with a process")]
        let process = std::process::Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--unixsocket")
            .arg(&socket)
            .arg("--dir")
            .arg(folder.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = process.expect("redis-server is installed: run scripts/prepare");
        // It says when it can be connected to.
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines.any(|line| line.unwrap().contains("eady to accept connections"));
        assert!(ready, "redis-server has ended before it was ready");
        let stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut redis = Redis { process, stream, input: Vec::new(), _folder: folder };
        if protocol == Protocol::Resp3 {
            redis.ask(&["HELLO", "3"].map(Bytes::from));
        }
        redis
    }

    /// Deletes everything.
    pub(crate) fn forget(&mut self) {
        assert_eq!(self.ask(&[Bytes::from("FLUSHALL")]), b"+OK\r\n");
    }

    /// Has it read a score, which changes nothing: where it last read a number that was too large it takes, as it sorts,
    /// every number for one that is.
    pub(crate) fn forget_overflow(&mut self) {
        let reads = ["ZADD", "no such key", "XX", "1", "member"].map(Bytes::from);
        assert_eq!(self.ask(&reads), b":0\r\n");
    }

    /// The reply to a command, as it came.
    pub(crate) fn ask(&mut self, words: &[Bytes]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend(format!("${}\r\n", word.len()).bytes());
            request.extend_from_slice(word);
            request.extend(b"\r\n");
        }
        self.stream.write_all(&request).unwrap();
        loop {
            if let Some(length) = Reply::length(&self.input) {
                return self.input.drain(..length).collect();
            }
            let mut more = [0; 4096];
            let count = self.stream.read(&mut more).unwrap();
            assert!(count > 0, "redis-server has ended at {}", crate::grammar::text(words));
            self.input.extend_from_slice(&more[..count]);
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to end.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
