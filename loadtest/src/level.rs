//! Consistency levels as they are given: for writes, and for reads.

use std::fmt::{Display, Formatter, Result as FmtResult};
use std::str::FromStr;

use coterie_check::Level;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// What a connection asks for with `COTERIE CONSISTENCY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Levels {
    /// Nothing: as the bucket says, or as a server that knows no levels does.
    Default,
    /// These.
    Asked {
        /// How many owners confirm a write.
        write: Level,
        /// How many owners are asked by a read.
        read: Level,
    },
}

/// Why a text names no levels.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no consistency level; say default, or one of any, one, two, three, quorum, all, \
     local_one, local_quorum, each_quorum, linearizable, and after a slash another one for reads"
)]
pub struct NoLevel(String);

const NAMES: [(Level, &str); 10] = [
    (Level::Any, "any"),
    (Level::One, "one"),
    (Level::Two, "two"),
    (Level::Three, "three"),
    (Level::Quorum, "quorum"),
    (Level::All, "all"),
    (Level::LocalOne, "local_one"),
    (Level::LocalQuorum, "local_quorum"),
    (Level::EachQuorum, "each_quorum"),
    (Level::Linearizable, "linearizable"),
];

/// A level as the server knows it.
#[must_use]
pub fn level_name(level: Level) -> &'static str {
    NAMES.iter().find(|(named, _)| *named == level).map_or("quorum", |(_, name)| name)
}

fn level(text: &str) -> Result<Level, NoLevel> {
    let found = NAMES.iter().find(|(_, name)| *name == text);
    found.map(|(level, _)| *level).ok_or_else(|| NoLevel(text.to_owned()))
}

impl FromStr for Levels {
    type Err = NoLevel;

    fn from_str(text: &str) -> Result<Levels, NoLevel> {
        if text == "default" {
            return Ok(Levels::Default);
        }
        let (write, read) = text.split_once('/').unwrap_or((text, text));
        let write = level(write)?;
        // Nothing can be read from no owner.
        let read =
            if write == Level::Any && !text.contains('/') { Level::One } else { level(read)? };
        if read == Level::Any {
            return Err(NoLevel(text.to_owned()));
        }
        Ok(Levels::Asked { write, read })
    }
}

impl Display for Levels {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self {
            Levels::Default => f.write_str("default"),
            Levels::Asked { write, read } if write == read => f.write_str(level_name(*write)),
            Levels::Asked { write, read } => {
                write!(f, "{}/{}", level_name(*write), level_name(*read))
            }
        }
    }
}

impl Serialize for Levels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Levels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_as_they_are_shown() {
        for text in ["default", "quorum", "one", "quorum/one", "any/one", "linearizable", "all/two"]
        {
            assert_eq!(text.parse::<Levels>().unwrap().to_string(), text);
        }
        assert_eq!("any".parse::<Levels>().unwrap().to_string(), "any/one");
        assert_eq!("one/one".parse::<Levels>().unwrap().to_string(), "one");
        for text in ["", "most", "quorum/", "/one", "one/any", "Quorum", "one/one/one"] {
            assert!(text.parse::<Levels>().is_err(), "{text}");
        }
    }
}
