//! The door on real sockets: plain, over TLS, bounded, and closed in order.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::{Http, Settings};
use super::fake::{Answers, Fake};
use crate::config::{self, DoorCertificate, TlsError, TlsFiles};

const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn settings(fake: &Fake, tls: Option<&DoorCertificate>, connections_max: usize) -> Settings {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Settings {
        door: config::Door { listen, advertise: listen.into(), tls: None },
        certificate: tls.cloned(),
        users: None,
        connections_max,
        request_timeout: Duration::from_secs(5),
        value_bytes_max: 1 << 20,
        memory: fake.memory.clone(),
        gateway: fake.gateway.clone(),
        metrics: Arc::clone(&fake.metrics),
        backups: None,
    }
}

/// Runs a door: where it listens, what stops it, and its end.
async fn start(settings: Settings) -> (SocketAddr, oneshot::Sender<()>, impl Future<Output = ()>) {
    let http = Http::open(settings).await.unwrap();
    let address = http.address().unwrap();
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(http.run(async move { drop(stopped.await) }));
    (address, stop, async move { running.await.unwrap() })
}

/// One request and its answer, on a connection that stays.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<String> {
    stream.write_all(GET).await.ok()?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        let mut buffer = [0; 1_024];
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(answer).ok()
}

#[tokio::test]
async fn a_connection_serves_many_requests_and_ends_when_the_door_closes() {
    let fake = Fake::new(Answers::default());
    let (address, stop, end) = start(settings(&fake, None, 10)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..3 {
        assert!(ask(&mut stream).await.unwrap().starts_with("HTTP/1.1 200"));
    }
    assert_eq!(fake.metrics.http().connections(), 1);
    stop.send(()).unwrap();
    end.await;
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(fake.metrics.http().connections(), 0);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn connections_past_the_bound_are_closed_and_a_place_is_free_again_after_one_ends() {
    let fake = Fake::new(Answers::default());
    let (address, _stop, _end) = start(settings(&fake, None, 1)).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut first).await.is_some());
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(ask(&mut second).await, None);
    drop(first);
    let begun = std::time::Instant::now();
    loop {
        let mut third = TcpStream::connect(address).await.unwrap();
        if ask(&mut third).await.is_some() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "no place became free");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn malformed_http_closes_the_connection_and_harms_nobody() {
    let fake = Fake::new(Answers::default());
    let (address, _stop, _end) = start(settings(&fake, None, 10)).await;
    let long = [b"GET /".as_slice(), &[b'x'; 300_000], b" HTTP/1.1\r\n\r\n"].concat();
    for foreign in [b"\x16\x03\x01\x02\x00".as_slice(), b"*1\r\n$4\r\nPING\r\n\r\n\r\n", &long] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // It may be closed while this is still being written.
        drop(stream.write_all(foreign).await);
        drop(stream.shutdown().await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        let is_error = answer.starts_with(b"HTTP/1.1 4") || answer.is_empty();
        assert!(is_error, "{:?}", String::from_utf8_lossy(&answer));
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut stream).await.is_some());
}

/// Writes a certificate that was just made, and its key: what a client trusts that is to trust it.
fn certify(files: &TlsFiles) -> CertificateDer<'static> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.certificate, certified.cert.pem()).unwrap();
    std::fs::write(&files.key, certified.signing_key.serialize_pem()).unwrap();
    CertificateDer::from(certified.cert.der().to_vec())
}

/// A connection of a client that trusts one certificate.
async fn sealed(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(client)).connect(name, stream).await
}

#[tokio::test]
async fn with_a_certificate_the_door_speaks_tls_only_and_takes_a_new_one_while_it_runs() {
    let fake = Fake::new(Answers::default());
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("c.pem"), directory.path().join("k.pem"));
    let files = TlsFiles { certificate, key };
    let first = certify(&files);
    let certificate = DoorCertificate::load(files.clone()).unwrap();
    let (address, _stop, _end) = start(settings(&fake, Some(&certificate), 10)).await;

    let mut stays = sealed(address, &first).await.unwrap();
    assert!(ask(&mut stays).await.unwrap().starts_with("HTTP/1.1 200"));
    let mut plain = TcpStream::connect(address).await.unwrap();
    assert_eq!(ask(&mut plain).await, None);

    assert!(certificate.reload_if_changed().is_none());
    let second = certify(&files);
    certificate.reload_if_changed().unwrap().unwrap();
    assert!(sealed(address, &first).await.is_err());
    let mut comes = sealed(address, &second).await.unwrap();
    for stream in [&mut comes, &mut stays] {
        assert!(ask(stream).await.unwrap().starts_with("HTTP/1.1 200"));
    }

    // A key of another certificate, and none at all: what is in use stays in use, and a door is not opened with it.
    let other = TlsFiles { certificate: directory.path().join("o.pem"), ..files.clone() };
    certify(&other);
    let mismatched = DoorCertificate::load(files.clone()).unwrap_err();
    assert!(mismatched.path.ends_with("c.pem"), "{mismatched}");
    std::fs::write(&files.key, "no key").unwrap();
    let TlsError { path, .. } = certificate.reload_if_changed().unwrap().unwrap_err();
    assert!(path.ends_with("k.pem"), "{}", path.display());
    assert!(certificate.reload_if_changed().is_none(), "it is told of once");
    assert!(ask(&mut sealed(address, &second).await.unwrap()).await.is_some());
    assert!(DoorCertificate::load(files).is_err());
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let fake = Fake::new(Answers::default());
    let (address, _stop, _end) = start(settings(&fake, None, 10)).await;
    let mut taken = settings(&fake, None, 10);
    taken.door.listen = address;
    let error = Http::open(taken).await.unwrap_err().to_string();
    assert!(error.contains(&format!("http = {address}")), "{error}");
}
