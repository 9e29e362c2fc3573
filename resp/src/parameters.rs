//! Parameters: what `CONFIG GET` shows, in the names that clients of Redis ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use thiserror::Error;

use crate::arguments::parse_integer;
use crate::glob;

/// Name, default, and whether clients may set it.
const KNOWN: [(&str, &str, bool); 24] = [
    ("appendfsync", "always", false),
    ("appendonly", "yes", false),
    ("bind", "127.0.0.1", false),
    ("client-output-buffer-limit", "normal 0 0 0 slave 0 0 0 pubsub 0 0 0", false),
    ("cluster-enabled", "no", false),
    ("databases", "16", false),
    ("dir", "", false),
    ("io-threads", "1", false),
    ("lazyfree-lazy-user-del", "yes", false),
    ("list-max-listpack-size", "-2", false),
    ("maxclients", "10000", false),
    ("maxmemory", "0", false),
    ("maxmemory-policy", "noeviction", false),
    ("notify-keyspace-events", "", false),
    ("port", "7379", false),
    ("proto-max-bulk-len", "1048576", false),
    ("requirepass", "", false),
    ("save", "", false),
    ("slowlog-log-slower-than", "10000", true),
    ("slowlog-max-len", "128", false),
    ("tcp-keepalive", "300", false),
    ("timeout", "0", true),
    ("tls-port", "0", false),
    ("unixsocket", "", false),
];

/// Why a parameter is not set. The texts are Redis's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParameterError {
    /// There is none of that name.
    #[error("Unknown option or number of arguments for CONFIG SET - '{0}'")]
    Unknown(String),
    /// It is set in the node's configuration.
    #[error("CONFIG SET failed (possibly related to argument '{0}') - can't set immutable config")]
    Immutable(String),
    /// The value is none for it.
    #[error(
        "CONFIG SET failed (possibly related to argument '{0}') - argument couldn't be parsed into an integer"
    )]
    Value(String),
}

/// Names and values.
#[derive(Clone, Debug)]
pub struct Parameters {
    values: BTreeMap<&'static str, String>,
    timeout: Duration,
    slow: Option<Duration>,
}

impl Default for Parameters {
    fn default() -> Self {
        let values = KNOWN.iter().map(|(name, value, _)| (*name, (*value).to_owned())).collect();
        let mut parameters = Parameters { values, timeout: Duration::ZERO, slow: None };
        parameters.derive();
        parameters
    }
}

impl Parameters {
    /// Those whose names match a pattern.
    pub fn matching<'a>(&'a self, pattern: &'a [u8]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pattern = pattern.to_ascii_lowercase();
        let values = self.values.iter();
        values
            .filter(move |(name, _)| glob::matches(&pattern, name.as_bytes()))
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// What the node's configuration says: whatever clients may set.
    ///
    /// # Panics
    /// If there is no such parameter.
    pub fn configure(&mut self, name: &str, value: &str) {
        let known = self.values.get_mut(name);
        value.clone_into(known.expect("the node names parameters that there are"));
        self.derive();
    }

    /// What a client says.
    ///
    /// # Errors
    /// [`ParameterError`]; nothing is changed.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ParameterError> {
        let lower = name.to_ascii_lowercase();
        let known = KNOWN.iter().find(|(known, ..)| *known == lower);
        let (known, _, may) = known.ok_or_else(|| ParameterError::Unknown(name.to_owned()))?;
        if self.values[known] == value {
            return Ok(());
        }
        if !may {
            return Err(ParameterError::Immutable((*known).to_owned()));
        }
        if parse_integer(value.as_bytes()).is_none_or(|value| value < -1) {
            return Err(ParameterError::Value((*known).to_owned()));
        }
        self.values.insert(known, value.to_owned());
        self.derive();
        Ok(())
    }

    /// How long a client may say nothing; zero for ever.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long a command takes that is slow; `None` where none is.
    #[must_use]
    pub fn slow(&self) -> Option<Duration> {
        self.slow
    }

    fn derive(&mut self) {
        let number = |name| parse_integer(self.values[name].as_bytes()).unwrap_or(0);
        let timeout = u64::try_from(number("timeout")).unwrap_or(0);
        let slow = u64::try_from(number("slowlog-log-slower-than")).ok();
        self.timeout = Duration::from_secs(timeout);
        self.slow = slow.map(Duration::from_micros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_find_what_they_ask_for_and_set_what_they_may() {
        let mut parameters = Parameters::default();
        let found: Vec<_> = parameters.matching(b"SAVE").collect();
        assert_eq!(found, [("save", "")]);
        assert_eq!(parameters.matching(b"maxmemory*").count(), 2);
        assert_eq!(parameters.set("TimeOut", "30"), Ok(()));
        assert_eq!(parameters.timeout(), Duration::from_secs(30));
        assert_eq!(parameters.set("save", ""), Ok(()), "it says so already");
        assert!(matches!(parameters.set("port", "1"), Err(ParameterError::Immutable(_))));
        assert!(matches!(parameters.set("nosuch", "1"), Err(ParameterError::Unknown(_))));
        assert!(matches!(parameters.set("timeout", "x"), Err(ParameterError::Value(_))));
        assert_eq!(parameters.set("slowlog-log-slower-than", "-1"), Ok(()));
        assert_eq!(parameters.slow(), None);
    }
}
