//! The sockets of the HTTP door: connections are bounded in number, in time, and by TLS where that is configured.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::door::{Behind, Door};
use super::routes::router;
use super::{Http, Settings};

/// How long a client may take for a TLS handshake, and for the head of a request: idle connections are closed.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// The bytes of a head at most.
const HEAD_BYTES_MAX: usize = 128 << 10;

/// How long answers under way are waited for when the node stops.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// How long nothing is accepted after that failed: files are short, and trying again at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the door does not open.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The address cannot be listened on.
    #[error("http = {address}: {source}: is another process there? give another port")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

impl Http {
    /// Opens the door. Nobody is let in before it [runs](Http::run).
    ///
    /// # Errors
    /// [`HttpError`]
    pub async fn open(settings: Settings) -> Result<Http, HttpError> {
        let certificate = settings.certificate.as_ref();
        let acceptor = certificate.map(|certificate| certificate.acceptor(Some(b"http/1.1")));
        let address = settings.door.listen;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| HttpError::Listen { address, source })?;
        let connections_max = settings.connections_max;
        let door = Door::new(Behind {
            gateway: settings.gateway,
            backups: settings.backups,
            metrics: settings.metrics,
            users: settings.users,
            host: settings.door.advertise.host().to_owned(),
            request_timeout: settings.request_timeout,
            value_bytes_max: settings.value_bytes_max,
            memory: settings.memory,
        });
        let router = router(door.clone());
        let permits = Arc::new(Semaphore::new(connections_max));
        Ok(Http { listener, acceptor, router, door, permits, connections_max })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready, and then for at most five seconds what was begun. On the runtime of its caller.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (told, stopping) = tokio::sync::watch::channel(false);
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut stop => break,
            };
            let stream = match accepted {
                Ok((stream, _from)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "an HTTP connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // Past the bound a connection is closed at once: waiting ones would be unbounded.
            let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { continue };
            let (acceptor, router) = (self.acceptor.clone(), self.router.clone());
            let (door, mut stopping) = (self.door.clone(), stopping.clone());
            tokio::spawn(async move {
                let stop = async move {
                    // An error says that the door is gone, which is the same.
                    drop(stopping.wait_for(|stops| *stops).await);
                };
                door.metrics().http().connection(1);
                serve(stream, acceptor, router, stop).await;
                door.metrics().http().connection(-1);
                drop(permit);
            });
        }
        drop(self.listener);
        told.send_replace(true);
        let all = u32::try_from(self.connections_max).unwrap_or(u32::MAX);
        if tokio::time::timeout(STOP_TIME_MAX, self.permits.acquire_many(all)).await.is_err() {
            tracing::info!("some HTTP answers were not waited for");
        }
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    // Answers are one write each: waiting for more would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let Some(acceptor) = acceptor else { return talk(stream, router, stop).await };
    match tokio::time::timeout(HEAD_TIME_MAX, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => talk(stream, router, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake of the HTTP door"),
        Err(_late) => tracing::debug!("a TLS handshake of the HTTP door took too long"),
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let (mut connection, mut stop) = (std::pin::pin!(connection), std::pin::pin!(stop));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = &mut stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended");
    }
}
