//! What a member says about itself besides being alive.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

use crate::identity::{Generation, Instance};

/// An IP address and port in 18 bytes, where `SocketAddr` takes 32.
///
/// IPv4 is kept as IPv4-mapped IPv6. Scope ids and flow labels are not kept: link-local addresses
/// cannot be advertised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    octets: [u8; 16],
    port: [u8; 2],
}

impl Address {
    /// The 16 octets of the (mapped) IPv6 address.
    pub(crate) fn octets(self) -> [u8; 16] {
        self.octets
    }

    /// The octets of an IPv4 address, if it is one.
    pub(crate) fn ipv4(self) -> Option<[u8; 4]> {
        Ipv6Addr::from(self.octets).to_ipv4_mapped().map(|ip| ip.octets())
    }

    /// The port.
    #[must_use]
    pub fn port(self) -> u16 {
        u16::from_be_bytes(self.port)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self { octets: ip.octets(), port: address.port().to_be_bytes() }
    }
}

impl From<(Ipv4Addr, u16)> for Address {
    fn from((ip, port): (Ipv4Addr, u16)) -> Self {
        SocketAddr::new(IpAddr::V4(ip), port).into()
    }
}

impl From<Address> for SocketAddr {
    fn from(address: Address) -> Self {
        let ip = Ipv6Addr::from(address.octets);
        let ip = ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4);
        SocketAddr::new(ip, address.port())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::from(*self).fmt(f)
    }
}

/// The name of a region or zone: at most [`Label::BYTES_MAX`] bytes of UTF-8, held inline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    bytes: [u8; Self::BYTES_MAX],
    length: u8,
}

/// Why a text is not a label.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LabelError {
    /// More than [`Label::BYTES_MAX`] bytes.
    #[error("a label has at most {} bytes", Label::BYTES_MAX)]
    TooLong,
}

impl Label {
    /// The longest label.
    pub const BYTES_MAX: usize = 23;

    /// A label of this text.
    ///
    /// # Errors
    /// [`LabelError::TooLong`].
    pub fn new(text: &str) -> Result<Self, LabelError> {
        let mut bytes = [0; Self::BYTES_MAX];
        bytes.get_mut(..text.len()).ok_or(LabelError::TooLong)?.copy_from_slice(text.as_bytes());
        let length = u8::try_from(text.len()).map_err(|_long| LabelError::TooLong)?;
        Ok(Self { bytes, length })
    }

    /// The text.
    ///
    /// # Panics
    /// Never: a label is made from text only.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).expect("made from a str")
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// Everything a member announces about itself; it is the only writer.
///
/// Of two versions the greater is the newer: the fields are compared in the order they stand here,
/// of which generation and version decide unless two processes claim one identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attributes {
    /// The life these attributes were announced in.
    pub generation: Generation,
    /// Counts changes within the generation.
    pub version: u32,
    /// Which process announced them.
    pub instance: Instance,
    /// Gossip datagrams.
    pub gossip: Address,
    /// QUIC of peers, of lane 0.
    pub peer: Address,
    /// Redis clients.
    pub resp: Address,
    /// Health, metrics and administration.
    pub http: Address,
    /// Lanes, which peers spread their connections over.
    pub lanes: u16,
    /// Share of the data relative to other nodes.
    pub weight: u32,
    /// Lowest and highest wire protocol spoken.
    pub protocols: (u16, u16),
    /// Region, then zone in it.
    pub region: Label,
    /// Nodes of one zone are expected to fail together.
    pub zone: Label,
}
