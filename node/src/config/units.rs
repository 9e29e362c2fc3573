//! Values with units, as people write them: times, sizes, addresses, places.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use coterie_ring::Place;
use coterie_swim::Label;
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;

/// Why a text is not a value of its type: what it looks like, and what was given.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{given:?} is not {wanted}")]
pub struct Unreadable {
    /// What was given.
    pub given: String,
    /// What it should look like.
    pub wanted: &'static str,
}

fn unreadable(given: &str, wanted: &'static str) -> Unreadable {
    Unreadable { given: given.to_owned(), wanted }
}

/// A length of time: `250ms`, `5s`, `10m`, `6h`, `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// Units of time, the longest first, in milliseconds.
const TIMES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Span {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let wanted = "a time such as \"250ms\", \"5s\", \"10m\" or \"6h\"";
        let (number, unit) = split(text).ok_or_else(|| unreadable(text, wanted))?;
        let unit = TIMES.iter().find(|(name, _)| *name == unit);
        let millis = unit.and_then(|(_, millis)| number.checked_mul(*millis));
        millis.map(|m| Span(Duration::from_millis(m))).ok_or_else(|| unreadable(text, wanted))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let whole = |(_, unit): &&(&str, u64)| millis.is_multiple_of(u128::from(*unit));
        let (name, unit) = TIMES.iter().find(whole).expect("a millisecond divides all");
        if millis == 0 {
            f.write_str("0s")
        } else {
            write!(f, "{}{name}", millis / u128::from(*unit))
        }
    }
}

/// A number of bytes: `4096`, `64KiB`, `256MiB`, `4GiB`; `KB`, `MB`, `GB` count in thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Units of size; those that are shown, the largest first.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

impl FromStr for Size {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let wanted = "a size such as 4096, \"64KiB\", \"256MiB\" or \"4GiB\"";
        let (number, unit) = split(text).ok_or_else(|| unreadable(text, wanted))?;
        let unit = if unit.is_empty() { "B" } else { unit };
        let unit = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let bytes = unit.and_then(|(_, bytes)| number.checked_mul(*bytes));
        bytes.map(Size).ok_or_else(|| unreadable(text, wanted))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, unit): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*unit);
        let (name, unit) = SIZES[..5].iter().find(whole).unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

/// A number and what follows it.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..digits].parse().ok()?;
    Some((number, text[digits..].trim()))
}

/// Where something can be reached: a host, by name or number, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// The addresses that it stands for now. May ask the name service, and so wait.
    ///
    /// # Errors
    /// If the name is not known.
    pub fn resolve(&self) -> std::io::Result<Vec<SocketAddr>> {
        Ok((self.host.as_str(), self.port).to_socket_addrs()?.collect())
    }

    /// Its host, by name or number.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Endpoint { host: address.ip().to_string(), port: address.port() }
    }
}

impl FromStr for Endpoint {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let wanted = "an address such as \"10.0.0.1:7381\", \"[::1]:7381\" or \"node-1:7381\"";
        let (host, port) = text.rsplit_once(':').ok_or_else(|| unreadable(text, wanted))?;
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let port = port.parse().ok().filter(|port| *port != 0);
        let is_name = !host.is_empty() && host.chars().all(named);
        match port {
            Some(port) if is_name => Ok(Endpoint { host: host.to_owned(), port }),
            Some(_) | None => Err(unreadable(text, wanted)),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A socket to listen on: an address of this machine and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let wanted = "an address to listen on such as \"127.0.0.1:7379\" or \"[::]:7379\"";
        let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let address = named.as_deref().unwrap_or(text).parse();
        address.map(Listen).map_err(|_error| unreadable(text, wanted))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a node stands: `REGION/ZONE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(pub Place);

impl FromStr for Zone {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let wanted = "a place such as \"eu-west/a\": REGION/ZONE, each of 1 to 23 bytes";
        let (region, zone) = text.split_once('/').ok_or_else(|| unreadable(text, wanted))?;
        let fits = |name: &str| !name.is_empty() && Label::new(name).is_ok() && !name.contains('/');
        let place = (fits(region) && fits(zone)).then(|| Place::new(region, zone).ok()).flatten();
        place.map(Zone).ok_or_else(|| unreadable(text, wanted))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of a few words.
macro_rules! words {
    ($(#[$about:meta])* $name:ident: $wanted:literal { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl FromStr for $name {
            type Err = Unreadable;

            fn from_str(text: &str) -> Result<Self, Unreadable> {
                match text {
                    $($word => Ok($name::$variant),)+
                    _ => Err(unreadable(text, $wanted)),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($name::$variant => $word,)+
                })
            }
        }

        from_text!($name);
    };
}

macro_rules! from_text {
    ($name:ident) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

from_text!(Span);
from_text!(Endpoint);
from_text!(Listen);
from_text!(Zone);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a size such as 4096, \"64KiB\", \"256MiB\" or \"4GiB\"")]
        enum Either {
            Bytes(u64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Bytes(bytes) => Ok(Size(bytes)),
            Either::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

words! {
    /// What acknowledged means.
    Sync: "\"always\" (acknowledged is on disk) or \"periodic\" (on disk within 50 ms)" {
        /// On disk.
        Always = "always",
        /// With the operating system, on disk 50 ms later.
        Periodic = "periodic",
    }
}

words! {
    /// How log lines look.
    LogFormat: "\"human\" or \"json\"" {
        /// For people.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }
}

words! {
    /// What owners of a partition must differ in.
    SpreadOver: "\"nodes\", \"zones\" or \"regions\"" {
        /// Only the nodes differ.
        Nodes = "nodes",
        /// As many zones as possible.
        Zones = "zones",
        /// As many regions as possible, then zones.
        Regions = "regions",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_they_are_read() {
        for text in ["250ms", "5s", "10m", "6h", "1d", "90s"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["1B", "64KiB", "256MiB", "4GiB", "1000000B"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        for text in ["127.0.0.1:7379", "[::1]:7381", "node-1.example:7381"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        assert_eq!("1500".parse(), Ok(Size(1500)));
        assert_eq!("3 MB".parse(), Ok(Size(3_000_000)));
        assert_eq!("localhost:1".parse::<Listen>().unwrap().to_string(), "127.0.0.1:1");
        assert_eq!("eu/a".parse::<Zone>().unwrap().to_string(), "eu/a");
    }

    #[test]
    fn what_cannot_be_read_says_what_was_given_and_what_is_wanted() {
        assert!("5".parse::<Span>().unwrap_err().to_string().starts_with("\"5\" is not a time"));
        assert!("99999999999999999999s".parse::<Span>().is_err());
        assert!("18446744073709551615TiB".parse::<Size>().is_err());
        assert!("-1".parse::<Size>().is_err() && "KiB".parse::<Size>().is_err());
        for text in ["host", ":7381", "host:0", "host:70000", "a b:1", "::1:x"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
        assert!("7379".parse::<Listen>().is_err());
        let long = format!("eu/{}", "z".repeat(24));
        for text in ["eu", "/a", "eu/", "eu/a/b", long.as_str()] {
            assert!(text.parse::<Zone>().is_err(), "{text}");
        }
        assert!("sometimes".parse::<Sync>().unwrap_err().to_string().contains("periodic"));
    }
}
