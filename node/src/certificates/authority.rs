//! Making certificates: the cluster's authority, and what it signs for nodes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coterie_ring::NodeId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::CertificatesError;
use super::name::{self, NodeName};

const DAY: Duration = Duration::from_secs(86_400);

/// A certificate with its key, as PEM.
pub(super) struct Made {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Who signs certificates for the nodes of a cluster.
pub(super) struct Authority {
    cluster: u128,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new one.
    pub(super) fn make(cluster: u128, days: u32) -> Result<Made, CertificatesError> {
        let key = KeyPair::generate().map_err(CertificatesError::Made)?;
        let mut params = params(&name::of_authority(cluster), days)?;
        params.distinguished_name = named(&format!("coterie cluster {cluster:032x}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(CertificatesError::Made)?;
        Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Out of its files; `None` if they are none.
    pub(super) fn open(certificate: &[u8], key: &[u8]) -> Option<Authority> {
        // The first is the one that signs.
        let der = CertificateDer::from_pem_slice(certificate).ok()?;
        let cluster = name::cluster_of(&der)?;
        let key = KeyPair::from_pem(std::str::from_utf8(key).ok()?).ok()?;
        Some(Authority { cluster, issuer: Issuer::from_ca_cert_der(&der, key).ok()? })
    }

    /// The cluster.
    pub(super) fn cluster(&self) -> u128 {
        self.cluster
    }

    /// A new certificate for a node.
    pub(super) fn sign(&self, node: NodeId, days: u32) -> Result<Made, CertificatesError> {
        let key = KeyPair::generate().map_err(CertificatesError::Made)?;
        let mut params = params(&NodeName { cluster: self.cluster, node }.dns(), days)?;
        params.distinguished_name = named(&format!("coterie node {:032x}", node.0));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(CertificatesError::Made)?;
        Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Holds from a day ago, as not all clocks are right, for so many days.
fn params(dns: &str, days: u32) -> Result<CertificateParams, CertificatesError> {
    let made = CertificateParams::new([dns.to_owned()]);
    let mut params = made.map_err(CertificatesError::Made)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(DAY);
    params.not_after = epoch + now + DAY * days;
    Ok(params)
}
