//! How QUIC is set up between nodes, and the socket under it.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use quinn::{
    ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig,
    TokioRuntime, TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;

use super::settings::PeersLimits;
use crate::certificates::{Certificates, Loaded};

/// Of one stream, so much may come before it is read.
const STREAM_BYTES: u32 = 1 << 20;
/// Of all streams of a connection, likewise; and so much is kept until it is acknowledged.
const CONNECTION_BYTES: u32 = 16 << 20;
/// Streams that a peer may have open: one per class, and room for classes to come.
const STREAMS_MAX: u32 = 16;
/// Connections of others that may wait to be looked at, and what they may have sent before that: each, and all.
const INCOMING_MAX: usize = 1_024;
const INCOMING_BYTES_MAX: u64 = 16 << 10;
const INCOMING_BYTES_MAX_ALL: u64 = 8 << 20;
/// Bytes of a connection's id.
const ID_BYTES: usize = 8;

/// The configurations of connections, of one version of the certificates.
pub(super) struct Configurations {
    pub(super) version: u64,
    pub(super) server: Arc<quinn::ServerConfig>,
    pub(super) client: quinn::ClientConfig,
}

impl Configurations {
    pub(super) fn of(loaded: &Loaded, limits: &PeersLimits) -> Configurations {
        let transport = Arc::new(transport(limits));
        let mut server = quinn::ServerConfig::with_crypto(Arc::clone(&loaded.server) as _);
        server
            .transport_config(Arc::clone(&transport))
            .max_incoming(INCOMING_MAX)
            .incoming_buffer_size(INCOMING_BYTES_MAX)
            .incoming_buffer_size_total(INCOMING_BYTES_MAX_ALL);
        let mut client = quinn::ClientConfig::new(Arc::clone(&loaded.client) as _);
        client.transport_config(transport);
        Configurations { version: loaded.version, server: Arc::new(server), client }
    }
}

fn transport(limits: &PeersLimits) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(limits.datagram_bytes_max);
    let idle = IdleTimeout::try_from(limits.idle).expect("settings are in milliseconds to hours");
    transport
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(limits.keep_alive))
        .initial_rtt(Duration::from_millis(10))
        .stream_receive_window(VarInt::from_u32(STREAM_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_BYTES))
        .send_window(u64::from(CONNECTION_BYTES))
        .max_concurrent_uni_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(Some(discovery));
    transport
}

/// Connection ids without a pattern. As none is told to be strange, those of a process before this one are answered
/// with a reset: its peers learn at once that it is gone.
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; ID_BYTES];
        aws_lc_rs::rand::fill(&mut id).expect("the machine has randomness");
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Opens the endpoint of a lane.
pub(super) fn endpoint(
    listen: SocketAddr,
    certificates: &Certificates,
    configurations: &Configurations,
    limits: &PeersLimits,
) -> io::Result<Endpoint> {
    // The same in each process of the node, so that peers believe the resets of the one after.
    let secret = certificates.current().derive("coterie stateless reset");
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &secret)));
    config.cid_generator(|| Box::new(RandomIds));
    let bytes = limits.datagram_bytes_max.max(1_472);
    config.max_udp_payload_size(bytes).map_err(io::Error::other)?;
    let socket = socket(listen, limits.socket_bytes)?;
    let server = quinn::ServerConfig::clone(&configurations.server);
    Endpoint::new(config, Some(server), socket, Arc::new(TokioRuntime))
}

/// A datagram socket with large buffers, where the kernel grants them.
pub(super) fn socket(listen: SocketAddr, bytes: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(bytes)?;
    socket.set_send_buffer_size(bytes)?;
    socket.bind(&listen.into())?;
    // Linux grants up to net.core.rmem_max without a word, and says twice what it granted.
    let granted = socket.recv_buffer_size()?.min(socket.send_buffer_size()?) / 2;
    if granted < bytes {
        warn!(
            wanted = bytes,
            granted,
            "socket buffers are small, packets may be lost under load: \
             set net.core.rmem_max and net.core.wmem_max to what is wanted"
        );
    }
    Ok(socket.into())
}
