//! What is refused: strangers, and those who do not speak as nodes do.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use coterie_node::peers::PeersLimits;
use coterie_ring::NodeId;
use coterie_wire::frame::{self, ClusterTag, Frame, FrameCounters};
use coterie_wire::peer::PeerRefusal;
use coterie_wire::{Body, RequestId};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ApplicationClose, Connection, ConnectionError, Endpoint, VarInt};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::nodes::{Files, Node, loopback, message, pair, quick, run};
use super::proxy::Proxy;

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Takes whatever certificate the other end shows.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// A node's certificate and key out of their files.
fn identity_of(files: &Files, node: u128) -> Identity {
    let directory = files.of(node);
    let chain = CertificateDer::from_pem_file(directory.join("node.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(directory.join("node.key")).unwrap();
    (vec![chain], key)
}

/// A certificate of the cluster's authority that `cert` would not make.
fn signed(files: &Files, dns: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let read = |name: &str| std::fs::read_to_string(files.ca().join(name)).unwrap();
    let key = KeyPair::from_pem(&read("ca.key")).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&read("ca.pem"), key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([dns.to_owned()]).unwrap();
    change(&mut params);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (vec![certificate.der().clone()], key)
}

/// How somebody connects who is no node.
fn stranger(identity: Option<Identity>) -> quinn::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Credulous));
    let mut config = match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"coterie/1".to_vec()];
    let crypto = QuicClientConfig::try_from(config).unwrap();
    quinn::ClientConfig::new(Arc::new(crypto))
}

/// Connects as somebody who is no node; the endpoint has to be kept.
async fn connect(node: &Node, identity: Option<Identity>) -> (Endpoint, Connection) {
    let config = stranger(identity);
    let endpoint = Endpoint::client(loopback(0)).unwrap();
    let connecting = endpoint.connect_with(config, node.address(), "any.coterie").unwrap();
    // Whom the other end does not take learns of it a moment after it believes to be connected.
    (endpoint, connecting.await.unwrap())
}

fn is_refusal(reason: &ConnectionError) -> bool {
    // TLS alerts, as QUIC has them.
    matches!(reason, ConnectionError::ConnectionClosed(close)
        if (0x100..0x200).contains(&u64::from(close.error_code)))
}

#[test]
fn who_has_no_certificate_of_the_cluster_is_refused() {
    run(async {
        let (files, foreign) = (Files::new(), Files::new());
        let (one, other) = pair(&files, PeersLimits::default());
        let cluster = files.load(1).cluster();
        let name = format!("{:032x}.node.{cluster:032x}.coterie", 5);
        let elsewhere = format!("{:032x}.node.{:032x}.coterie", 5, cluster ^ 1);
        let expired = signed(&files, &name, |params| {
            params.not_after = rcgen::date_time_ymd(2026, 1, 1);
        });
        let early = signed(&files, &name, |params| {
            params.not_before = rcgen::date_time_ymd(2100, 1, 1);
        });
        let strangers = [
            None,
            Some(identity_of(&foreign, 3)),
            Some(expired),
            Some(early),
            Some(signed(&files, "database.example", |_| ())),
            Some(signed(&files, &elsewhere, |_| ())),
        ];
        let count = strangers.len() as u64;
        for (number, stranger) in strangers.into_iter().enumerate() {
            let (_endpoint, connection) = connect(&one, stranger).await;
            let reason = connection.closed().await;
            assert!(is_refusal(&reason), "stranger {number} is told {reason:?}");
        }
        one.until("all are counted", |node| node.peers.counters().refused == count).await;
        assert!(one.peers.connections().is_empty());
        assert!(one.told.borrow().hellos.is_empty());
        // Whoever belongs here is talked to.
        let welcome = signed(&files, &name, |_| ());
        let (_endpoint, connection) = connect(&one, Some(welcome)).await;
        one.until("it is connected", |node| !node.peers.connections().is_empty()).await;
        drop(connection);
        other.send(one.id, message(1, 1));
        one.messages(1).await;
    });
}

#[test]
fn nodes_of_two_clusters_do_not_connect() {
    run(async {
        let (files, foreign) = (Files::new(), Files::new());
        let one = Node::start(files.load(1), loopback(0), quick());
        let stranger = Node::start(foreign.load(2), loopback(0), quick());
        one.knows(&[(stranger.id, stranger.address(), 1)]);
        stranger.knows(&[(one.id, one.address(), 1)]);
        for (from, to) in [(&one, &stranger), (&stranger, &one)] {
            from.send(to.id, message(1, 1));
            from.until("it is told", |node| !node.told.borrow().unreachable.is_empty()).await;
            assert_eq!(from.peers.counters().failed, 1);
        }
        for node in [&one, &stranger] {
            assert!(node.told.borrow().messages.is_empty() && node.told.borrow().hellos.is_empty());
        }
    });
}

#[test]
fn another_node_than_was_looked_for_is_not_sent_to() {
    run(async {
        let files = Files::new();
        let (one, other) = pair(&files, quick());
        let wanted = NodeId(3);
        one.knows(&[(wanted, other.address(), 1)]);
        one.send(wanted, message(1, 1));
        one.until("it is told", |node| !node.told.borrow().unreachable.is_empty()).await;
        assert_eq!(one.told.borrow().unreachable, [(wanted, RequestId(1))]);
        // Nor is the node itself, at the address of another.
        one.knows(&[(wanted, one.address(), 1)]);
        one.send(wanted, message(2, 1));
        one.until("it is told", |node| node.told.borrow().unreachable.len() == 2).await;
        assert!(one.told.borrow().messages.is_empty() && other.told.borrow().messages.is_empty());
    });
}

/// The head of a stream of requests, with a hello.
fn head() -> Vec<u8> {
    let mut head = vec![1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0];
    head.extend_from_slice(&[0x92, 77, 0x92, 1, 1]);
    head
}

async fn write(connection: &Connection, bytes: &[u8]) {
    let mut stream = connection.open_uni().await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.finish().unwrap();
}

#[test]
fn garbage_ends_its_connection_and_nothing_else() {
    run(async {
        let files = Files::new();
        let (one, other) = pair(&files, PeersLimits::default());
        other.send(one.id, message(1, 1));
        one.messages(1).await;
        let with = |bytes: &[u8]| [&head()[..], bytes].concat();
        let version = [&[2][..], &head()[1..]].concat();
        let class = [&[1, 7][..], &head()[2..]].concat();
        let mut malformed = head();
        malformed[14] = 0xc1;
        let silent = [&head()[..12], &[0, 0]].concat();
        let garbage = [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            version,
            class,
            malformed,
            silent,
            [&head()[..12], &[0xff, 0xff]].concat(),
            // Frames of four gigabytes, and without a header.
            with(&[0xff; 64]),
            with(&[1, 0, 0, 0, 0]),
        ];
        let count = garbage.len() as u64;
        for bytes in garbage {
            let (_endpoint, connection) = connect(&one, Some(identity_of(&files, 3))).await;
            write(&connection, &bytes).await;
            let reason = connection.closed().await;
            let ConnectionError::ApplicationClosed(ApplicationClose { error_code, reason }) =
                reason
            else {
                panic!("{bytes:?} ends with {reason:?}")
            };
            assert_eq!(error_code, VarInt::from_u32(2), "{bytes:?}");
            assert!(!reason.is_empty());
        }
        // Two streams of one class.
        let (_endpoint, connection) = connect(&one, Some(identity_of(&files, 3))).await;
        write(&connection, &head()).await;
        write(&connection, &head()).await;
        assert!(matches!(connection.closed().await, ConnectionError::ApplicationClosed(_)));
        assert_eq!(one.peers.counters().garbage, count + 1);
        assert_eq!(one.peers.counters().frames.unbounded, 2);
        other.send(one.id, message(2, 1));
        one.messages(2).await;
        assert!(other.told.borrow().lost.is_empty());
    });
}

/// Reads the first frame that the node sends on its stream of requests.
async fn first_frame(connection: &Connection, tag: ClusterTag) -> Frame {
    let mut received = BytesMut::new();
    let mut headed = false;
    let mut stream = loop {
        let mut stream = connection.accept_uni().await.unwrap();
        let piece = stream.read_chunk(usize::MAX, true).await.unwrap().unwrap();
        if piece.bytes[1] == 0 {
            received.extend_from_slice(&piece.bytes);
            break stream;
        }
    };
    loop {
        if !headed && received.len() >= 14 {
            let length = 14 + usize::from(received[12]);
            assert!(received.len() >= length, "a head comes as a whole");
            drop(received.split_to(length));
            headed = true;
        }
        if let Some(taken) = frame::take(&mut received).unwrap() {
            return frame::decode(tag, &taken);
        }
        let piece = stream.read_chunk(usize::MAX, true).await.unwrap().unwrap();
        received.extend_from_slice(&piece.bytes);
    }
}

#[test]
fn what_is_not_understood_is_answered() {
    run(async {
        let files = Files::new();
        let one = Node::start(files.load(1), loopback(0), PeersLimits::default());
        let low = files.load(1).cluster() & u128::from(u64::MAX);
        let tag = ClusterTag(u64::try_from(low).unwrap());
        let foreign = ClusterTag(tag.0 ^ 1);
        let encoded = |tag, request| {
            let mut bytes = Vec::new();
            frame::encode(tag, &message(request, 8), &mut bytes).unwrap();
            bytes
        };
        let mut unknown = encoded(tag, 1);
        unknown[4..6].copy_from_slice(&999_u16.to_le_bytes());
        let mut malformed = encoded(tag, 2);
        malformed[94] = 0xc1;
        let cases = [
            (unknown, 1, PeerRefusal::Unsupported { kind: 999 }),
            (malformed, 2, PeerRefusal::Malformed),
        ];
        for (bytes, request, refusal) in cases {
            let (_endpoint, connection) = connect(&one, Some(identity_of(&files, 3))).await;
            write(&connection, &[head(), bytes].concat()).await;
            let Frame::Message(answer) = first_frame(&connection, tag).await else {
                panic!("the answer does not decode")
            };
            assert_eq!(answer.request, RequestId(request));
            assert_eq!(answer.body, Body::Refused(refusal));
            connection.close(VarInt::from_u32(0), b"");
            one.until("it is gone", |node| node.peers.connections().is_empty()).await;
        }
        // Frames of another cluster are counted, and answered once: two could go on refusing each other for ever.
        let (_endpoint, connection) = connect(&one, Some(identity_of(&files, 3))).await;
        let frames = [head(), encoded(foreign, 3), encoded(foreign, 4), encoded(tag, 5)].concat();
        write(&connection, &frames).await;
        assert_eq!(one.messages(1).await, [message(5, 8)]);
        let counted =
            FrameCounters { unbounded: 0, other_cluster: 2, unsupported: 1, malformed: 1 };
        one.until("they are counted", |node| node.peers.counters().frames == counted).await;
        assert_eq!(one.peers.counters().sent, 3);
    });
}

#[test]
fn a_peer_keeps_few_connections_on_which_it_says_nothing() {
    run(async {
        let files = Files::new();
        let (one, other) = pair(&files, PeersLimits::default());
        other.send(one.id, message(1, 1));
        one.messages(1).await;
        let mut kept = Vec::new();
        for _ in 0..20 {
            kept.push(connect(&one, Some(identity_of(&files, 3))).await);
        }
        let of_it = |node: &Node| {
            let connections = node.peers.connections();
            connections.iter().filter(|connection| connection.peer == NodeId(3)).count()
        };
        // All are known of: the last to come makes the earlier ones go.
        one.until("all have come", |node| node.peers.counters().accepted == 21).await;
        one.until("most are closed", |node| of_it(node) == 8).await;
        for (_endpoint, connection) in &kept[..12] {
            assert!(matches!(connection.closed().await, ConnectionError::ApplicationClosed(_)));
        }
        other.send(one.id, message(2, 1));
        one.messages(2).await;
        assert!(other.told.borrow().lost.is_empty());
    });
}

#[test]
fn many_handshakes_that_are_never_finished_keep_nobody_out() {
    run(async {
        let files = Files::new();
        let one = Node::start(files.load(1), loopback(0), PeersLimits::default());
        let proxy = Proxy::to(one.address()).await;
        proxy.mute.set(true);
        let since = std::time::Instant::now();
        let endpoint = Endpoint::client(loopback(0)).unwrap();
        let config = stranger(Some(identity_of(&files, 3)));
        let flood: Vec<_> = (0..600)
            .map(|_| endpoint.connect_with(config.clone(), proxy.address, "any.coterie").unwrap())
            .collect();
        let other = Node::start(files.load(2), loopback(0), PeersLimits::default());
        other.knows(&[(one.id, one.address(), 1)]);
        one.until("the first are given up", |node| node.peers.counters().refused > 0).await;
        other.send(one.id, message(1, 1));
        one.messages(1).await;
        // Of those that do not show where they are, 64 are dealt with at a time, each for three seconds.
        let rounds = since.elapsed().as_secs() / 3 + 1;
        assert!(one.peers.counters().refused <= 64 * rounds, "{:?}", one.peers.counters());
        assert_eq!(one.peers.counters().accepted, 1);
        drop(flood);
    });
}

#[test]
fn who_says_nothing_is_not_waited_for() {
    run(async {
        let files = Files::new();
        let limits = PeersLimits { handshake: Duration::from_millis(300), ..quick() };
        let one = Node::start(files.load(1), loopback(0), limits);
        // A first packet as QUIC has it, of a version that is not known: answered and forgotten. Noise: dropped.
        let socket = std::net::UdpSocket::bind(loopback(0)).unwrap();
        let mut noise = vec![0_u8; 1_200];
        for number in 0..200_u32 {
            aws_lc_rs::rand::fill(&mut noise).unwrap();
            noise[0] = if number % 2 == 0 { 0xc0 } else { 0x40 };
            socket.send_to(&noise, one.address()).unwrap();
        }
        let other = Node::start(files.load(2), loopback(0), limits);
        other.knows(&[(one.id, one.address(), 1)]);
        other.send(one.id, message(1, 1));
        one.messages(1).await;
        assert_eq!(one.peers.connections().len(), 1);
    });
}
