//! Mixes: how often each kind of operation comes.

use std::fmt::{Display, Formatter, Result as FmtResult};
use std::str::FromStr;

use thiserror::Error;

use crate::distribution::Distribution;
use crate::kind::{Family, Kind};

/// Kinds of operations with how often each comes, relative to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    name: String,
    weights: Vec<(Kind, u32)>,
}

/// A mix that has a name.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Its kinds, in percent.
    pub weights: &'static [(Kind, u32)],
}

/// Those with names.
pub const NAMED: [Named; 14] = [
    Named {
        name: "a",
        about: "YCSB A, update heavy: a session store",
        weights: &[(Kind::Read, 50), (Kind::Update, 50)],
    },
    Named {
        name: "b",
        about: "YCSB B, read mostly: tags of photographs",
        weights: &[(Kind::Read, 95), (Kind::Update, 5)],
    },
    Named { name: "c", about: "YCSB C, read only: a cache", weights: &[(Kind::Read, 100)] },
    Named {
        name: "d",
        about: "YCSB D, read latest: status updates; its distribution is latest",
        weights: &[(Kind::Read, 95), (Kind::Insert, 5)],
    },
    Named {
        name: "e",
        about: "YCSB E, short ranges: threads of messages",
        weights: &[(Kind::Scan, 95), (Kind::PageInsert, 5)],
    },
    Named {
        name: "f",
        about: "YCSB F, read-modify-write: a database of users",
        weights: &[(Kind::Read, 50), (Kind::ReadModifyWrite, 50)],
    },
    Named {
        name: "strings",
        about: "plain values",
        weights: &[(Kind::Get, 55), (Kind::Set, 35), (Kind::MultiGet, 5), (Kind::Delete, 5)],
    },
    Named {
        name: "hashes",
        about: "fields of hashes, some of them numbers",
        weights: &[
            (Kind::HashGet, 40),
            (Kind::HashSet, 30),
            (Kind::HashGetAll, 15),
            (Kind::HashIncrement, 10),
            (Kind::HashDelete, 5),
        ],
    },
    Named {
        name: "sets",
        about: "members of sets",
        weights: &[
            (Kind::SetAdd, 40),
            (Kind::SetRemove, 10),
            (Kind::SetContains, 40),
            (Kind::SetMembers, 10),
        ],
    },
    Named {
        name: "zsets",
        about: "leader boards",
        weights: &[
            (Kind::SortedSetAdd, 30),
            (Kind::SortedSetIncrement, 15),
            (Kind::SortedSetRemove, 5),
            (Kind::SortedSetScore, 35),
            (Kind::SortedSetRange, 15),
        ],
    },
    Named {
        name: "lists",
        about: "queues that are pushed to and popped from at both ends as often",
        weights: &[
            (Kind::ListPushLeft, 20),
            (Kind::ListPushRight, 20),
            (Kind::ListPopLeft, 20),
            (Kind::ListPopRight, 20),
            (Kind::ListRange, 20),
        ],
    },
    Named {
        name: "counters",
        about: "increments and what they come to",
        weights: &[(Kind::CounterIncrement, 70), (Kind::CounterGet, 30)],
    },
    Named {
        name: "hyperloglogs",
        about: "distinct elements, about",
        weights: &[(Kind::HyperLogLogAdd, 70), (Kind::HyperLogLogCount, 30)],
    },
    Named {
        name: "all",
        about: "every type: two kinds of each",
        weights: &[
            (Kind::Get, 8),
            (Kind::Set, 8),
            (Kind::HashGet, 7),
            (Kind::HashSet, 7),
            (Kind::SetAdd, 7),
            (Kind::SetContains, 7),
            (Kind::SortedSetAdd, 7),
            (Kind::SortedSetScore, 7),
            (Kind::ListPushRight, 7),
            (Kind::ListPopLeft, 7),
            (Kind::CounterIncrement, 7),
            (Kind::CounterGet, 7),
            (Kind::HyperLogLogAdd, 7),
            (Kind::HyperLogLogCount, 7),
        ],
    },
];

/// Why a text is no mix.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoMix {
    /// No name of one, and no kinds with weights.
    #[error(
        "{0:?} is no mix; say one of a, b, c, d, e, f, strings, hashes, sets, zsets, lists, counters, hyperloglogs, all, or kinds with weights, as in get=80,set=20"
    )]
    Unknown(String),
    /// No kind.
    #[error(transparent)]
    Kind(#[from] crate::kind::NoKind),
    /// No weight.
    #[error("{0:?} is no weight; it is a whole number up to 1,000,000")]
    Weight(String),
    /// Nothing ever comes.
    #[error("a mix needs a kind with a weight above 0")]
    Empty,
}

impl Mix {
    /// What it was given as.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its kinds, with weights above 0.
    #[must_use]
    pub fn weights(&self) -> &[(Kind, u32)] {
        &self.weights
    }

    /// The kind at `at`, where kinds take as much of the range as their weights: below [`Mix::sum`].
    #[must_use]
    pub fn kind(&self, mut at: u32) -> Kind {
        for (kind, weight) in &self.weights {
            match at.checked_sub(*weight) {
                None => return *kind,
                Some(rest) => at = rest,
            }
        }
        // Beyond the range: the last is as good as any.
        self.weights.last().expect("a mix has kinds").0
    }

    /// The sum of weights.
    #[must_use]
    pub fn sum(&self) -> u32 {
        self.weights.iter().map(|(_, weight)| weight).sum()
    }

    /// The families that its operations are about, each once.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let mut families: Vec<Family> =
            self.weights.iter().map(|(kind, _)| kind.family()).collect();
        families.sort_unstable();
        families.dedup();
        families
    }

    /// What is drawn from where nothing else is said.
    #[must_use]
    pub fn distribution(&self) -> Distribution {
        if self.name == "d" { Distribution::Latest } else { Distribution::Zipfian }
    }
}

impl FromStr for Mix {
    type Err = NoMix;

    fn from_str(text: &str) -> Result<Mix, NoMix> {
        let name = text.to_owned();
        let bare = text.strip_prefix("ycsb-").unwrap_or(text).to_ascii_lowercase();
        if let Some(named) = NAMED.iter().find(|named| named.name == bare) {
            return Ok(Mix { name: bare, weights: named.weights.to_vec() });
        }
        if !text.contains('=') {
            return Err(NoMix::Unknown(name));
        }
        let mut weights = Vec::new();
        for part in text.split(',') {
            let (kind, weight) =
                part.split_once('=').ok_or_else(|| NoMix::Unknown(text.to_owned()))?;
            let kind: Kind = kind.parse()?;
            let number = weight.parse::<u32>().ok().filter(|number| *number <= 1_000_000);
            let number = number.ok_or_else(|| NoMix::Weight(weight.to_owned()))?;
            if number > 0 {
                weights.push((kind, number));
            }
        }
        if weights.is_empty() || weights.len() > 1_000 {
            return Err(NoMix::Empty);
        }
        Ok(Mix { name, weights })
    }
}

impl Display for Mix {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_mixes_are_in_percent_and_load_nothing() {
        for named in NAMED {
            let mix: Mix = named.name.parse().unwrap();
            assert_eq!(mix.sum(), 100, "{}", named.name);
            assert!(mix.weights().iter().all(|(kind, _)| *kind != Kind::Load));
        }
        assert_eq!("ycsb-A".parse::<Mix>().unwrap(), "a".parse().unwrap());
    }

    #[test]
    fn kinds_come_as_often_as_their_weights() {
        let mix: Mix = "get=80,set=15,incrby=5".parse().unwrap();
        let count = |kind| (0..mix.sum()).filter(|at| mix.kind(*at) == kind).count();
        assert_eq!(count(Kind::Get), 80);
        assert_eq!(count(Kind::Set), 15);
        assert_eq!(count(Kind::CounterIncrement), 5);
        assert_eq!(mix.families(), [Family::String, Family::Counter]);
    }

    #[test]
    fn texts_that_are_no_mixes_say_why() {
        for text in ["", "g", "get", "get=x", "get=0", "gets=1", "get=1,,", "get=-1"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }
}
