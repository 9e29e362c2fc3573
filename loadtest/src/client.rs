//! A connection that asks one thing at a time and waits for the answer.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use thiserror::Error;

use crate::command::request;
use crate::level::Levels;
use crate::load::socket::Socket;
use crate::reply::{Malformed, Reply, parse};
use crate::target::{Access, Endpoint};

/// The longest answer.
const INPUT_MAX: usize = 256 << 20;

/// Why there is no answer. What was asked may have been done or not.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The connection failed, or the answer did not come in time.
    #[error("{endpoint} does not answer")]
    Lost {
        /// Who.
        endpoint: String,
        /// Why.
        #[source]
        why: io::Error,
    },
    /// It does not speak the protocol.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It refused what a connection says first.
    #[error("{endpoint} refuses the connection: {text}")]
    Refused {
        /// Who.
        endpoint: String,
        /// What it said.
        text: String,
    },
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    endpoint: String,
    socket: Socket,
    input: Vec<u8>,
    /// How much of the input has been answered with.
    used: usize,
}

impl Client {
    /// Connects and says what has to be said first. Nothing is waited for longer than `within`.
    ///
    /// # Errors
    /// If it cannot connect, or is refused.
    pub fn open(
        endpoint: &Endpoint,
        access: &Access,
        levels: Levels,
        within: Duration,
    ) -> Result<Client, ClientError> {
        let name = endpoint.text.clone();
        let lost = |why| ClientError::Lost { endpoint: name.clone(), why };
        let socket = Socket::connect(endpoint, access.tls.as_ref(), within).map_err(lost)?;
        let mut client =
            Client { endpoint: endpoint.text.clone(), socket, input: Vec::new(), used: 0 };
        let (greeting, count) = access.greeting(levels);
        client.send(&greeting)?;
        for _ in 0..count {
            if let Reply::Error(text) = client.receive()? {
                let text = String::from_utf8_lossy(text).into_owned();
                return Err(ClientError::Refused { endpoint: name, text });
            }
        }
        Ok(client)
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// If none came: then the connection is of no use any more.
    pub fn ask(&mut self, words: &[&[u8]]) -> Result<Reply<'_>, ClientError> {
        let mut bytes = Vec::new();
        request(words, &mut bytes);
        self.send(&bytes)?;
        self.receive()
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let sent = self.socket.write_all(bytes).and_then(|()| self.socket.flush());
        sent.map_err(|why| self.lost(why))
    }

    fn receive(&mut self) -> Result<Reply<'_>, ClientError> {
        self.input.drain(..self.used);
        self.used = 0;
        let mut room = [0; 16 << 10];
        loop {
            match parse(&self.input)? {
                // Nobody has asked for it.
                Some((Reply::Push(_), used)) => drop(self.input.drain(..used)),
                Some((_, used)) => {
                    self.used = used;
                    break;
                }
                None => match self.socket.read(&mut room) {
                    Ok(0) => return Err(self.lost(ErrorKind::UnexpectedEof.into())),
                    Ok(count) => self.input.extend_from_slice(&room[..count]),
                    Err(why) if why.kind() == ErrorKind::Interrupted => {}
                    Err(why) => return Err(self.lost(why)),
                },
            }
            if self.input.len() > INPUT_MAX {
                return Err(self.lost(ErrorKind::InvalidData.into()));
            }
        }
        let read = parse(&self.input[..self.used])?;
        Ok(read.expect("it was read a moment ago").0)
    }

    fn lost(&self, why: io::Error) -> ClientError {
        ClientError::Lost { endpoint: self.endpoint.clone(), why }
    }
}
