//! Whose a certificate is: cluster and node as a DNS name in it (docs/formats.md, "node").

use coterie_ring::NodeId;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;

/// Who holds a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeName {
    pub(super) cluster: u128,
    pub(super) node: NodeId,
}

impl NodeName {
    /// Its name in certificates.
    pub(super) fn dns(self) -> String {
        format!("{:032x}.node.{:032x}.coterie", self.node.0, self.cluster)
    }

    fn parse(dns: &str) -> Option<NodeName> {
        let (node, cluster) = dns.strip_suffix(".coterie")?.split_once(".node.")?;
        Some(NodeName { cluster: id(cluster)?, node: NodeId(id(node)?) })
    }

    /// Of a TLS server name, if it is one of a node.
    pub(super) fn asked(server_name: &str) -> Option<NodeName> {
        NodeName::parse(server_name)
    }

    /// Out of a node's certificate.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<NodeName> {
        find(certificate, NodeName::parse)
    }
}

/// The name that is asked for where it is not known which node will answer.
pub(super) fn any_node(cluster: u128) -> String {
    format!("any.node.{cluster:032x}.coterie")
}

/// The name of a cluster's authority.
pub(super) fn of_authority(cluster: u128) -> String {
    format!("{cluster:032x}.coterie")
}

/// The cluster whose authority has this certificate.
pub(super) fn cluster_of(authority: &CertificateDer<'_>) -> Option<u128> {
    find(authority, |dns| dns.strip_suffix(".coterie").and_then(id))
}

/// An id as it is written in names and on command lines.
pub(super) fn id(text: &str) -> Option<u128> {
    let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let written = text.len() == 32 && text.bytes().all(digits);
    written.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

fn find<T>(certificate: &CertificateDer<'_>, wanted: impl Fn(&str) -> Option<T>) -> Option<T> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        GeneralName::DNSName(dns) => wanted(dns),
        _ => None,
    })
}

/// Seconds since 1970 from and until when a certificate holds.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Option<(i64, i64)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let validity = parsed.validity();
    Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_node_of_which_cluster() {
        let name = NodeName { cluster: 7, node: NodeId(u128::MAX) };
        let dns = format!("{}.node.{}7.coterie", "f".repeat(32), "0".repeat(31));
        assert_eq!(name.dns(), dns);
        assert_eq!(NodeName::asked(&dns), Some(name));
    }

    #[test]
    fn what_only_looks_like_a_name_is_none() {
        let cluster = "0".repeat(32);
        for odd in [
            any_node(0),
            of_authority(0),
            format!("{}.node.{cluster}.coterie.example", "f".repeat(32)),
            format!("{}.node.{cluster}.coterie", "F".repeat(32)),
            format!("+{}.node.{cluster}.coterie", "f".repeat(31)),
        ] {
            assert_eq!(NodeName::asked(&odd), None, "{odd}");
        }
    }
}
