//! The doors that clients come by, and the rule that none is open to strangers by mistake.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::settings::ConfigError;
use super::tls::TlsFiles;
use super::units::{Endpoint, Listen};

/// A door: where it listens, where others reach it, and with which certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where others reach it.
    pub advertise: Endpoint,
    /// What it proves itself with; plain text where there is none. Doors between nodes are always sealed.
    pub tls: Option<TlsFiles>,
}

impl Door {
    /// A door of this name.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub(super) fn new(
        name: &'static str,
        listen: Listen,
        advertise: Option<Endpoint>,
        tls: Option<TlsFiles>,
    ) -> Result<Door, ConfigError> {
        let Listen(listen) = listen;
        if advertise.is_none() && listen.ip().is_unspecified() {
            return Err(ConfigError::refuse(
                advertised(name),
                "nothing",
                format!(
                    "{name} listens on {listen}, which nobody can be sent to: give the address that others reach \
                     this node by, --advertise-{name} HOST:PORT"
                ),
            ));
        }
        let advertise = advertise.unwrap_or_else(|| listen.into());
        Ok(Door { listen, advertise, tls })
    }

    /// A client's door off loopback has users and TLS, or an operator has said that it need not.
    ///
    /// # Errors
    /// [`ConfigError::Refused`]
    pub(super) fn check(
        &self,
        name: &'static str,
        has_users: bool,
        allowed: bool,
    ) -> Result<(), ConfigError> {
        if self.listen.ip().is_loopback() || allowed {
            return Ok(());
        }
        let lacks = match (has_users, self.tls.is_some()) {
            (true, true) => return Ok(()),
            (false, true) => "no users",
            (true, false) => "no TLS",
            (false, false) => "no users and no TLS",
        };
        Err(ConfigError::refuse(
            name,
            self.listen,
            format!(
                "that is not loopback, and the door has {lacks}: give --users FILE, --{name}-tls-certificate FILE \
                 and --{name}-tls-key FILE, or listen on 127.0.0.1, or say --allow-insecure-{name}"
            ),
        ))
    }
}

fn advertised(name: &'static str) -> &'static str {
    match name {
        "resp" => "advertise_resp",
        "http" => "advertise_http",
        "gossip" => "advertise_gossip",
        _ => "advertise_peers",
    }
}

/// The two files of a door's TLS: both, or none.
pub(super) fn tls(
    (certificate_field, certificate): (&'static str, Option<PathBuf>),
    (key_field, key): (&'static str, Option<PathBuf>),
) -> Result<Option<TlsFiles>, ConfigError> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConfigError::refuse(
            key_field,
            "nothing",
            format!("{certificate_field} is given: a certificate needs its private key"),
        )),
        (None, Some(_)) => Err(ConfigError::refuse(
            certificate_field,
            "nothing",
            format!("{key_field} is given: a private key needs its certificate"),
        )),
    }
}
