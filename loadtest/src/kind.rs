//! The kinds of operations there are: what each is called, and what it does to which keys.

use std::fmt::{Display, Formatter, Result as FmtResult};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Keys that hold the same type. A key's name is that of its family, a colon, and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it; pages are sorted sets that YCSB E scans")]
pub enum Family {
    Record,
    Page,
    String,
    Hash,
    Set,
    SortedSet,
    List,
    Counter,
    HyperLogLog,
}

impl Family {
    /// What the names of its keys begin with.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Family::Record => "user",
            Family::Page => "page",
            Family::String => "string",
            Family::Hash => "hash",
            Family::Set => "set",
            Family::SortedSet => "zset",
            Family::List => "list",
            Family::Counter => "counter",
            Family::HyperLogLog => "hll",
        }
    }
}

/// What a kind of operation does to what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Reads,
    /// It changes something.
    Writes,
}

macro_rules! kinds {
    ($($kind:ident $name:literal $family:ident $effect:ident $help:literal)*) => {
        /// What an operation does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "`help` says it")]
        pub enum Kind { $($kind,)* }

        impl Kind {
            /// All of them.
            pub const ALL: [Kind; [$($name),*].len()] = [$(Kind::$kind,)*];

            /// As it is called in mixes and reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Kind::$kind => $name,)* }
            }

            /// Which keys it is about.
            #[must_use]
            pub fn family(self) -> Family {
                match self { $(Kind::$kind => Family::$family,)* }
            }

            /// Whether it changes anything.
            #[must_use]
            pub fn effect(self) -> Effect {
                match self { $(Kind::$kind => Effect::$effect,)* }
            }

            /// What it asks of a server.
            #[must_use]
            pub fn help(self) -> &'static str {
                match self { $(Kind::$kind => $help,)* }
            }
        }
    };
}

kinds! {
    Read "read" Record Reads "reads a whole record: HGETALL, or GET with --record string"
    Update "update" Record Writes "changes one field of a record: HSET, or SET of all of it with --record string"
    Insert "insert" Record Writes "writes a new record: HSET of all fields, or SET"
    ReadModifyWrite "rmw" Record Writes "reads a record, then changes one field; timed as one operation"
    Scan "scan" Page Reads "reads 1 to 100 records that follow each other: ZRANGEBYLEX … LIMIT"
    PageInsert "page_insert" Page Writes "writes a new record to its page: ZADD"
    Get "get" String Reads "GET"
    Set "set" String Writes "SET"
    MultiGet "mget" String Reads "MGET of 4 keys"
    Delete "del" String Writes "DEL"
    HashGet "hget" Hash Reads "HGET"
    HashSet "hset" Hash Writes "HSET of one field"
    HashGetAll "hgetall" Hash Reads "HGETALL"
    HashIncrement "hincrby" Hash Writes "HINCRBY, of fields that hold numbers"
    HashDelete "hdel" Hash Writes "HDEL"
    SetAdd "sadd" Set Writes "SADD of one member"
    SetRemove "srem" Set Writes "SREM of one member"
    SetContains "sismember" Set Reads "SISMEMBER"
    SetMembers "smembers" Set Reads "SMEMBERS"
    SortedSetAdd "zadd" SortedSet Writes "ZADD of one member with a score"
    SortedSetIncrement "zincrby" SortedSet Writes "ZINCRBY"
    SortedSetRemove "zrem" SortedSet Writes "ZREM"
    SortedSetScore "zscore" SortedSet Reads "ZSCORE"
    SortedSetRange "zrange" SortedSet Reads "ZRANGE 0 9: the first ten by score"
    ListPushLeft "lpush" List Writes "LPUSH"
    ListPushRight "rpush" List Writes "RPUSH"
    ListPopLeft "lpop" List Writes "LPOP"
    ListPopRight "rpop" List Writes "RPOP"
    ListRange "lrange" List Reads "LRANGE 0 9: the first ten"
    CounterIncrement "incrby" Counter Writes "INCRBY by 1 to 9"
    CounterGet "getcounter" Counter Reads "GET of a counter"
    HyperLogLogAdd "pfadd" HyperLogLog Writes "PFADD of one element"
    HyperLogLogCount "pfcount" HyperLogLog Reads "PFCOUNT"
    Load "load" Record Writes "writes what later operations are about; part of the load phase only"
}

/// A text that names no kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no kind of operation; `coterie-loadtest mixes` lists them")]
pub struct NoKind(String);

impl FromStr for Kind {
    type Err = NoKind;

    fn from_str(text: &str) -> Result<Kind, NoKind> {
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| NoKind(text.to_owned()))
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str(self.name())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
