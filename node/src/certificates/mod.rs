//! Who a node is: certificates and keys.
//!
//! A cluster has an authority; each node has a certificate signed by it that names cluster and node, and the
//! keys of gossip. All can be changed while nodes run: new connections use what is new.

mod authority;
mod command;
mod error;
mod files;
mod gossip_keys;
mod name;
mod verifier;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use coterie_ring::NodeId;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, version};
use thiserror::Error;

pub use command::CertCommand;
pub use error::CertificatesError;
use gossip_keys::GossipKeys;
use name::NodeName;
use verifier::Verifier;

use crate::watched::Watched;

/// What connections between nodes speak.
const ALPN: &[u8] = b"coterie/1";

/// A node's certificate and keys. All clones change together.
#[derive(Clone, Debug)]
pub struct Certificates {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    name: NodeName,
    loaded: Watched<Loaded>,
}

/// What was read at one time.
pub(crate) struct Loaded {
    /// Counts what was loaded: configurations made of another are old.
    pub(crate) version: u64,
    name: NodeName,
    /// For connections that others make.
    pub(crate) server: Arc<QuicServerConfig>,
    /// For connections that this node makes.
    pub(crate) client: Arc<QuicClientConfig>,
    /// Keys of gossip.
    pub(crate) gossip: GossipKeys,
    /// Known only to holders of the node's key; the same in each of its processes.
    secret: hmac::Key,
    expires: SystemTime,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Loaded { version, name, expires, .. } = self;
        let mut loaded = formatter.debug_struct("Loaded");
        loaded.field("version", version).field("name", name).field("expires", expires);
        loaded.finish_non_exhaustive()
    }
}

/// Whose certificate the other end of a connection has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// The connection has no certificate of a node. Handshakes do not let this come to be.
    #[error("the other end has no certificate that names a node")]
    Unnamed,
}

impl Certificates {
    /// Reads `ca.pem`, `node.pem`, `node.key` and `gossip.key`.
    ///
    /// # Errors
    /// [`CertificatesError`], which names the file and what to do: also where peers would refuse the certificate.
    pub fn load(directory: &Path) -> Result<Certificates, CertificatesError> {
        let loaded = Watched::new(files::of_a_node(directory), || Loaded::read(directory, 0))?;
        let shared =
            Shared { directory: directory.to_owned(), name: loaded.current().name, loaded };
        Ok(Certificates { shared: Arc::new(shared) })
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> u128 {
        self.shared.name.cluster
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.shared.name.node
    }

    /// Until when peers take the certificate.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        self.current().expires
    }

    /// Reads the files again (on SIGHUP). Connections made from now on use them; those that stand, stay.
    ///
    /// # Errors
    /// [`CertificatesError`]: what was loaded before is used further.
    pub fn reload(&self) -> Result<(), CertificatesError> {
        self.shared.loaded.reload(|| self.read())
    }

    fn read(&self) -> Result<Loaded, CertificatesError> {
        let own = self.shared.name;
        let version = self.current().version + 1;
        let loaded = Loaded::read(&self.shared.directory, version)?;
        if loaded.name != own {
            let found = (loaded.name.cluster, loaded.name.node);
            return Err(CertificatesError::OtherNode { found, own: (own.cluster, own.node) });
        }
        Ok(loaded)
    }

    /// [Reloads](Certificates::reload) if the files are not those that were looked at last: to be called every few
    /// seconds. `None` if nothing has changed. Files that cannot be used are told of once, until they change again.
    #[must_use]
    pub fn reload_if_changed(&self) -> Option<Result<(), CertificatesError>> {
        self.shared.loaded.reload_if_changed(|| self.read())
    }

    /// Which node is at the other end of a connection.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn peer_identity(connection: &quinn::Connection) -> Result<NodeId, IdentityError> {
        let identity = connection.peer_identity();
        let chain = identity.and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
        let named = chain.and_then(|chain| NodeName::of(chain.first()?));
        named.map(|name| name.node).ok_or(IdentityError::Unnamed)
    }

    /// The TLS name to ask a peer for; without a node, any of the cluster will do.
    pub(crate) fn server_name(&self, node: Option<NodeId>) -> String {
        let cluster = self.cluster();
        node.map_or_else(|| name::any_node(cluster), |node| NodeName { cluster, node }.dns())
    }

    /// What was loaded last.
    pub(crate) fn current(&self) -> Arc<Loaded> {
        self.shared.loaded.current()
    }

    /// Whether something was loaded since `version`.
    pub(crate) fn is_newer(&self, version: u64) -> bool {
        self.current().version != version
    }
}

impl Loaded {
    fn read(directory: &Path, version: u64) -> Result<Loaded, CertificatesError> {
        let authorities = certificates(directory, files::CA)?;
        let chain = certificates(directory, files::NODE)?;
        let unnamed = || CertificatesError::Unnamed { path: directory.join(files::NODE) };
        let own = chain.first().ok_or_else(unnamed)?;
        let name = NodeName::of(own).ok_or_else(unnamed)?;
        let (_, expires) = name::validity(own).ok_or_else(unnamed)?;
        let expires = Duration::from_secs(u64::try_from(expires).unwrap_or_default());
        let key_pem = files::read_secret(directory, files::NODE_KEY)?;
        let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_reason| {
            let path = directory.join(files::NODE_KEY);
            CertificatesError::Content { path, wanted: "private key" }
        })?;
        let secret = hmac::Key::new(hmac::HMAC_SHA256, key.secret_der());
        let gossip = GossipKeys::load(directory)?;

        let provider = Arc::new(provider());
        let no_authority = || {
            let path = directory.join(files::CA);
            CertificatesError::Content { path, wanted: "certificate of an authority" }
        };
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(|_reason| no_authority())?;
        }
        let verifier = Verifier::new(name.cluster, roots, &provider).ok_or_else(no_authority)?;
        let verifier = Arc::new(verifier);
        verifier.would_take(&chain).map_err(|source| {
            let path = directory.join(files::NODE);
            CertificatesError::Refused { path, source }
        })?;
        let mismatch = |source| {
            let path = directory.join(files::NODE_KEY);
            CertificatesError::KeyMismatch { path, source }
        };
        let server = server(&provider, &verifier, chain.clone(), key.clone_key(), mismatch)?;
        let client = client(&provider, &verifier, chain, key, mismatch)?;
        let expires = UNIX_EPOCH + expires;
        Ok(Loaded { version, name, server, client, gossip, secret, expires })
    }

    /// A secret of this node for one purpose, the same in each of its processes.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.secret, purpose.as_bytes());
        *tag.as_ref().first_chunk().expect("a SHA-256 tag has 32 bytes")
    }
}

/// AES-128 first: it is the quickest on machines that have instructions for it, and strong enough.
fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    let is_first = rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != is_first);
    provider
}

fn certificates(
    directory: &Path,
    name: &str,
) -> Result<Vec<CertificateDer<'static>>, CertificatesError> {
    let pem = files::read(directory, name)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let read = read.ok().filter(|read| !read.is_empty());
    let path = directory.join(name);
    read.ok_or(CertificatesError::Content { path, wanted: "certificate" })
}

fn server(
    provider: &Arc<CryptoProvider>,
    verifier: &Arc<Verifier>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    mismatch: impl FnOnce(rustls::Error) -> CertificatesError,
) -> Result<Arc<QuicServerConfig>, CertificatesError> {
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(provider));
    let builder = builder.with_protocol_versions(&[&version::TLS13]);
    let builder = builder.map_err(CertificatesError::Cryptography)?;
    let builder = builder.with_client_cert_verifier(Arc::clone(verifier) as _);
    let mut config = builder.with_single_cert(chain, key).map_err(mismatch)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Connections are few and long: every one is judged in full, so that what expires or is changed counts.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    let quic = QuicServerConfig::try_from(config);
    Ok(Arc::new(quic.expect("AES-128 is among the provider's suites")))
}

fn client(
    provider: &Arc<CryptoProvider>,
    verifier: &Arc<Verifier>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    mismatch: impl FnOnce(rustls::Error) -> CertificatesError,
) -> Result<Arc<QuicClientConfig>, CertificatesError> {
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(provider));
    let builder = builder.with_protocol_versions(&[&version::TLS13]);
    let builder = builder.map_err(CertificatesError::Cryptography)?;
    let builder = builder.dangerous();
    let builder = builder.with_custom_certificate_verifier(Arc::clone(verifier) as _);
    let mut config = builder.with_client_auth_cert(chain, key).map_err(mismatch)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_early_data = false;
    let quic = QuicClientConfig::try_from(config);
    Ok(Arc::new(quic.expect("AES-128 is among the provider's suites")))
}
