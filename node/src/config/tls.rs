//! What a client's door proves itself with: a certificate chain and its key.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

use crate::watched::Watched;

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
    fn read(&self) -> Result<CertifiedKey, TlsError> {
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
        CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| refused(&self.certificate, error.to_string()))
    }
}

/// A door's certificate in use. All clones change together.
#[derive(Clone, Debug)]
pub struct DoorCertificate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    files: TlsFiles,
    key: Watched<CertifiedKey>,
}

impl ResolvesServerCert for Shared {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.current())
    }
}

impl DoorCertificate {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`]
    pub fn load(files: TlsFiles) -> Result<DoorCertificate, TlsError> {
        let paths = vec![files.certificate.clone(), files.key.clone()];
        let key = Watched::new(paths, || files.read())?;
        Ok(DoorCertificate { shared: Arc::new(Shared { files, key }) })
    }

    /// What seals connections, each with the certificate that is in use when it comes. A door that speaks one protocol in TLS
    /// names it.
    #[must_use]
    pub fn acceptor(&self, protocol: Option<&[u8]>) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has what the versions of TLS need");
        let mut config =
            config.with_no_client_auth().with_cert_resolver(Arc::<Shared>::clone(&self.shared));
        config.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// Reads the files again if they have changed: connections made from now on have what is new. `None` if they have not.
    ///
    /// # Errors
    /// [`TlsError`]: what was there before is used further.
    #[must_use]
    pub fn reload_if_changed(&self) -> Option<Result<(), TlsError>> {
        self.shared.key.reload_if_changed(|| self.shared.files.read())
    }
}
