//! The listener: accepts Redis clients on one socket, and deals them to the lanes in turn.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;

use crate::config::Settings;
use crate::engine::inbox::{LaneInput, Router};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1_024;

/// How long accepting rests after it failed, as it does where there are no more file descriptors.
const REST: Duration = Duration::from_millis(50);

/// The door of Redis clients, open.
#[derive(Debug)]
pub struct Listener {
    listener: tokio::net::TcpListener,
    router: Router,
}

impl Listener {
    /// Opens the door. Within a tokio runtime.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn bind(settings: &Settings, router: Router) -> anyhow::Result<Listener> {
        let address = settings.resp.listen;
        let listener = bind(address).with_context(|| {
            format!("Redis clients cannot be listened for on {address}: give another --resp")
        })?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        Ok(Listener { listener, router })
    }

    /// Accepts until it is dropped.
    pub async fn run(self) {
        let mut lane = 0;
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    // A lane's thread has a runtime of its own.
                    let Ok(stream) = stream.into_std() else { continue };
                    self.router.lane(lane, LaneInput::Connection(stream, from));
                    lane = (lane + 1) % self.router.lanes();
                }
                Err(error) => {
                    warn!(%error, "a Redis client could not be accepted");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
