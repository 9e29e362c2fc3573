//! What a client's door proves itself with: a certificate chain and its key.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

/// A certificate chain and its key, in PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A file of a door's certificate does not work.
#[derive(Debug, Error)]
#[error("{path}: {problem}", path = path.display())]
pub struct TlsError {
    /// Which.
    pub path: PathBuf,
    /// Why not.
    pub problem: String,
}

impl TlsFiles {
    /// Reads the files. A door that speaks one protocol in TLS names it.
    ///
    /// # Errors
    /// [`TlsError`]
    pub fn acceptor(&self, protocol: Option<&[u8]>) -> Result<TlsAcceptor, TlsError> {
        let refused = |path: &Path, problem: String| TlsError { path: path.to_owned(), problem };
        let open = |path: &Path| {
            File::open(path).map(BufReader::new).map_err(|error| refused(path, error.to_string()))
        };
        let chain: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_reader_iter(open(&self.certificate)?).collect();
        let chain = chain.map_err(|error| refused(&self.certificate, error.to_string()))?;
        if chain.is_empty() {
            return Err(refused(&self.certificate, "there is no certificate in it".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_reader(open(&self.key)?)
            .map_err(|error| refused(&self.key, error.to_string()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        let mut config = config.map_err(|error| refused(&self.certificate, error.to_string()))?;
        config.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
