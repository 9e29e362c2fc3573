//! Whom to trust where a target speaks TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, pem};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// Why a file of certificates cannot be used.
#[derive(Debug, Error)]
pub enum TrustError {
    /// It cannot be read, or holds something else.
    #[error("{} holds no certificates", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        why: pem::Error,
    },
    /// A certificate is not one of an authority.
    #[error("{} holds a certificate that cannot be trusted, or none", path.display())]
    Certificate {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        why: rustls::Error,
    },
}

/// Trusts what the authorities in a PEM file have signed.
///
/// # Errors
/// If there are none in it.
pub fn trust(path: &Path) -> Result<Arc<ClientConfig>, TrustError> {
    let file = |why| TrustError::File { path: path.to_owned(), why };
    let certificate = |why| TrustError::Certificate { path: path.to_owned(), why };
    let mut roots = RootCertStore::empty();
    for der in CertificateDer::pem_file_iter(path).map_err(file)? {
        roots.add(der.map_err(file)?).map_err(certificate)?;
    }
    if roots.is_empty() {
        let none = rustls::Error::General("there is none".to_owned());
        return Err(certificate(none));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .map_err(certificate)?
    .with_root_certificates(roots)
    .with_no_client_auth();
    Ok(Arc::new(config))
}
