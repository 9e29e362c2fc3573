//! A connection's bytes, with or without TLS.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Protocol, Type};

use crate::target::Endpoint;

/// A stream of bytes to a server.
#[derive(Debug)]
pub(crate) enum Socket {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    /// Begins to connect. It is there, or has failed, when it is writable.
    pub(crate) fn begin(endpoint: &Endpoint, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let domain = Domain::for_address(endpoint.address);
        let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&endpoint.address.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Socket::over(socket.into(), endpoint, tls)
    }

    /// Connects, and waits for it and later for answers no longer than `within`.
    pub(crate) fn connect(
        endpoint: &Endpoint,
        tls: Option<&Arc<ClientConfig>>,
        within: Duration,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&endpoint.address, within)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        Socket::over(stream, endpoint, tls)
    }

    fn over(
        stream: TcpStream,
        endpoint: &Endpoint,
        tls: Option<&Arc<ClientConfig>>,
    ) -> io::Result<Self> {
        let Some(config) = tls else { return Ok(Socket::Plain(stream)) };
        let client = ClientConnection::new(Arc::clone(config), endpoint.server_name());
        let client = client.map_err(io::Error::other)?;
        Ok(Socket::Secure(Box::new(StreamOwned::new(client, stream))))
    }

    /// The error that connecting ended with, if it did.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        let stream = match self {
            Socket::Plain(stream) => stream,
            Socket::Secure(stream) => &stream.sock,
        };
        stream.take_error().unwrap_or_else(Some)
    }

    /// Whether it is to be told when it can be written to, where so many bytes wait for that.
    pub(crate) fn wants_to_write(&self, waiting: usize) -> bool {
        match self {
            Socket::Plain(_) => waiting > 0,
            // During the handshake it is the server's turn as often as not.
            Socket::Secure(stream) => {
                stream.conn.wants_write() || waiting > 0 && !stream.conn.is_handshaking()
            }
        }
    }

    /// Whether what can be read may be here already, unknown to the operating system.
    pub(crate) fn keeps_bytes(&self) -> bool {
        matches!(self, Socket::Secure(_))
    }
}

/// What Linux calls a connection under way.
const IN_PROGRESS: i32 = 115;

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Plain(stream) => stream.read(bytes),
            Socket::Secure(stream) => stream.read(bytes),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Plain(stream) => stream.write(bytes),
            Socket::Secure(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Socket::Plain(stream) => stream.flush(),
            Socket::Secure(stream) => stream.flush(),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Plain(stream) => stream.as_fd(),
            Socket::Secure(stream) => stream.sock.as_fd(),
        }
    }
}
