//! As much of a Redis client as the tests need: one connection, one command at a time, RESP2.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What a command is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `+`
    Status(String),
    /// `-`: the code is its first word.
    Error(String),
    /// `:`
    Integer(i64),
    /// `$`; nothing where there is none.
    Bulk(Option<Vec<u8>>),
    /// `*`
    Array(Vec<Reply>),
}

/// A connection.
pub(crate) struct Redis {
    stream: BufReader<TcpStream>,
}

fn malformed(what: &[u8]) -> io::Error {
    let text = String::from_utf8_lossy(what).into_owned();
    io::Error::new(io::ErrorKind::InvalidData, format!("no reply in RESP: {text:?}"))
}

impl Redis {
    /// Connects. Answers that take longer than `within` are errors; the connection is of no use then.
    pub(crate) fn connect(address: SocketAddr, within: Duration) -> io::Result<Redis> {
        let stream = TcpStream::connect_timeout(&address, within)?;
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        stream.set_nodelay(true)?;
        Ok(Redis { stream: BufReader::new(stream) })
    }

    /// A connection on which commands were sent, and nothing was read.
    pub(crate) fn over(stream: TcpStream) -> Redis {
        Redis { stream: BufReader::new(stream) }
    }

    /// Sends a command and reads its reply.
    pub(crate) fn ask(&mut self, command: &[&str]) -> io::Result<Reply> {
        let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
        for argument in command {
            bytes.extend_from_slice(format!("${}\r\n{argument}\r\n", argument.len()).as_bytes());
        }
        self.stream.get_mut().write_all(&bytes)?;
        self.reply()
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.strip_suffix(b"\r\n") {
            Some(whole) => Ok(whole.to_vec()),
            None => Err(malformed(&line)),
        }
    }

    pub(crate) fn reply(&mut self) -> io::Result<Reply> {
        let line = self.line()?;
        let (kind, rest) = line.split_first().ok_or_else(|| malformed(&line))?;
        let text = || String::from_utf8_lossy(rest).into_owned();
        let number = || text().parse::<i64>().map_err(|_no_number| malformed(&line));
        match kind {
            b'+' => Ok(Reply::Status(text())),
            b'-' => Ok(Reply::Error(text())),
            b':' => Ok(Reply::Integer(number()?)),
            b'$' => {
                let Ok(length) = usize::try_from(number()?) else { return Ok(Reply::Bulk(None)) };
                let mut bytes = vec![0; length + 2];
                self.stream.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Ok(Reply::Bulk(Some(bytes)))
            }
            b'*' => (0..number()?.max(0))
                .map(|_| self.reply())
                .collect::<io::Result<_>>()
                .map(Reply::Array),
            _ => Err(malformed(&line)),
        }
    }
}
