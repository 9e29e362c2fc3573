//! A server under load: its name, where it listens, and what a connection says first.

use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use thiserror::Error;

use crate::command::request;
use crate::level::{Levels, level_name};

/// A server, or several that serve the same data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As it is called in reports.
    pub name: String,
    /// Where it listens; connections are dealt to these in turn.
    pub endpoints: Vec<Endpoint>,
}

/// One address of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// As it was given.
    pub text: String,
    /// Its address.
    pub address: SocketAddr,
}

/// Why a text names no target.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoTarget {
    /// No name and addresses.
    #[error("{0:?} is no target; say NAME=HOST:PORT,HOST:PORT… or HOST:PORT")]
    Form(String),
    /// An address that means nothing.
    #[error("{text:?} is no address to connect to: {why}")]
    Address {
        /// What was given.
        text: String,
        /// Why not.
        why: String,
    },
}

impl FromStr for Target {
    type Err = NoTarget;

    fn from_str(text: &str) -> Result<Target, NoTarget> {
        let (name, addresses) = text.split_once('=').unwrap_or(("server", text));
        if name.is_empty() || addresses.is_empty() {
            return Err(NoTarget::Form(text.to_owned()));
        }
        let endpoints = addresses.split(',').map(endpoint).collect::<Result<_, _>>()?;
        Ok(Target { name: name.to_owned(), endpoints })
    }
}

fn endpoint(text: &str) -> Result<Endpoint, NoTarget> {
    let refused = |why: String| NoTarget::Address { text: text.to_owned(), why };
    let mut addresses = text.to_socket_addrs().map_err(|error| refused(error.to_string()))?;
    let address = addresses.next().ok_or_else(|| refused("the name has none".to_owned()))?;
    Ok(Endpoint { text: text.to_owned(), address })
}

impl Endpoint {
    /// An address by itself.
    #[must_use]
    pub fn of(address: SocketAddr) -> Endpoint {
        Endpoint { text: address.to_string(), address }
    }

    /// The name that a certificate must bear.
    #[must_use]
    pub fn server_name(&self) -> ServerName<'static> {
        let host = self.text.rsplit_once(':').map_or(self.text.as_str(), |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let by_address = ServerName::IpAddress(self.address.ip().into());
        ServerName::try_from(host).unwrap_or(by_address)
    }
}

/// What a connection says first, and how.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Who it is; with no name, the default user.
    pub user: Option<String>,
    /// Its secret.
    pub password: Option<String>,
    /// RESP3 instead of RESP2.
    pub resp3: bool,
    /// TLS, and whom to trust.
    pub tls: Option<Arc<ClientConfig>>,
    /// Another bucket than the first.
    pub bucket: Option<String>,
    /// Whether what was read once stays read (Coterie).
    pub monotonic: bool,
}

impl Access {
    /// The requests that open a connection, and how many they are.
    #[must_use]
    pub fn greeting(&self, levels: Levels) -> (Vec<u8>, usize) {
        let mut out = Vec::new();
        let mut count = 0;
        let mut say = |words: &[&str]| {
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            request(&words, &mut out);
            count += 1;
        };
        let user = self.user.as_deref().unwrap_or("default");
        match (&self.password, self.resp3) {
            (Some(password), true) => say(&["HELLO", "3", "AUTH", user, password]),
            (None, true) => say(&["HELLO", "3"]),
            (Some(password), false) if self.user.is_none() => say(&["AUTH", password]),
            (Some(password), false) => say(&["AUTH", user, password]),
            (None, false) => {}
        }
        match self.bucket.as_deref() {
            // Redis knows its databases by number.
            Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                say(&["SELECT", number]);
            }
            Some(name) => say(&["COTERIE", "BUCKET", name]),
            None => {}
        }
        if let Levels::Asked { write, read } = levels {
            say(&["COTERIE", "CONSISTENCY", level_name(write), level_name(read)]);
        }
        if self.monotonic {
            say(&["COTERIE", "SESSION", "MONOTONIC"]);
        }
        (out, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_names_and_addresses() {
        let target: Target = "coterie=127.0.0.1:7379,127.0.0.1:7479".parse().unwrap();
        assert_eq!(target.name, "coterie");
        assert_eq!(target.endpoints[1].address, "127.0.0.1:7479".parse().unwrap());
        assert_eq!("127.0.0.1:6379".parse::<Target>().unwrap().name, "server");
        for text in ["", "=127.0.0.1:1", "redis=", "redis=127.0.0.1", "127.0.0.1:x"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_connection_says_what_it_needs_and_no_more() {
        let text = |access: &Access, levels: &str| {
            let (bytes, count) = access.greeting(levels.parse().unwrap());
            assert_eq!(bytes.iter().filter(|byte| **byte == b'*').count(), count);
            let words = String::from_utf8(bytes).unwrap();
            let word = |line: &&str| !line.starts_with(['*', '$']) && !line.is_empty();
            words.split("\r\n").filter(word).collect::<Vec<_>>().join(" ")
        };
        let mut access = Access::default();
        assert_eq!(text(&access, "default"), "");
        assert_eq!(text(&access, "quorum/one"), "COTERIE CONSISTENCY quorum one");
        access.password = Some("secret".to_owned());
        assert_eq!(text(&access, "default"), "AUTH secret");
        access.user = Some("ann".to_owned());
        access.bucket = Some("3".to_owned());
        assert_eq!(text(&access, "default"), "AUTH ann secret SELECT 3");
        access.resp3 = true;
        access.bucket = Some("carts".to_owned());
        let all = "HELLO 3 AUTH ann secret COTERIE BUCKET carts COTERIE CONSISTENCY all all";
        assert_eq!(text(&access, "all"), all);
    }
}
