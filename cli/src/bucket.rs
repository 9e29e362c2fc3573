//! `coterie bucket`: buckets and their policies.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use crate::client::{Client, segment};
use crate::failure::{Failure, Kind};
use crate::moves::pause;
use crate::output::{facts, table, text};
use crate::setup::{Global, shown, time};

/// Buckets: what is promised of the keys in them.
#[derive(Debug, Subcommand)]
pub(crate) enum BucketCommand {
    /// Show all buckets.
    List,
    /// Show one bucket.
    Show {
        /// Its name.
        name: String,
    },
    /// Make a bucket. Its kind and replicas never change afterwards.
    Create {
        /// Its name.
        name: String,
        /// strict: only owners count. sloppy: always writable, others stand in for owners that are down. strong:
        /// compare-and-set registers.
        #[arg(long, value_enum, default_value = "strict")]
        kind: BucketKind,
        /// Owners of each key.
        #[arg(long, default_value_t = 3)]
        replicas: u8,
        #[command(flatten)]
        policy: Policy,
    },
    /// Change a bucket's levels or expiry.
    Set {
        /// Its name.
        name: String,
        #[command(flatten)]
        policy: Policy,
    },
}

/// What a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BucketKind {
    Strict,
    Sloppy,
    Strong,
}

/// What can be changed of a bucket.
#[derive(Args, Clone, Debug)]
pub(crate) struct Policy {
    /// What its writes wait for, unless told otherwise: any, one, two, three, quorum, all, local_one, local_quorum,
    /// each_quorum or linearizable.
    #[arg(long, value_name = "LEVEL")]
    pub(crate) write: Option<String>,
    /// What its reads ask, unless told otherwise.
    #[arg(long, value_name = "LEVEL")]
    pub(crate) read: Option<String>,
    /// How long keys live that are written without an expiry; 0s for ever.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) expiry: Option<Duration>,
    /// How long to wait until it is in force.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(crate) wait_within: Duration,
}

impl Policy {
    fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), json!(value));
            }
        };
        put("write", self.write.clone());
        put("read", self.read.clone());
        put("expiry", self.expiry.map(shown));
        body
    }
}

impl BucketCommand {
    pub(crate) fn carry_out(&self, global: &Global) -> Result<(), Failure> {
        let client = global.client()?;
        match self {
            BucketCommand::List => {
                let buckets = client.get("/v1/buckets")?;
                global.output().show(&buckets, || listed(&buckets))
            }
            BucketCommand::Show { name } => show(global, &bucket(&client, name)?),
            BucketCommand::Create { name, kind, replicas, policy } => {
                if find(&client, name)?.is_some() {
                    let failure =
                        Failure::new(Kind::Refused, format!("there is a bucket {name:?} already"));
                    return Err(failure.hint("`coterie bucket set` changes its levels and expiry"));
                }
                let mut body = policy.body();
                let kind = match kind {
                    BucketKind::Strict => "strict",
                    BucketKind::Sloppy => "sloppy",
                    BucketKind::Strong => "strong",
                };
                body.insert("kind".to_owned(), json!(kind));
                body.insert("replicas".to_owned(), json!(replicas));
                put(global, &client, name, body, policy.wait_within)
            }
            BucketCommand::Set { name, policy } => set(global, &client, name, policy),
        }
    }
}

/// Changes a bucket that there is.
pub(crate) fn set(
    global: &Global,
    client: &Client,
    name: &str,
    policy: &Policy,
) -> Result<(), Failure> {
    let body = policy.body();
    if body.is_empty() {
        return Err(Failure::usage("nothing is to be changed: give --write, --read or --expiry"));
    }
    bucket(client, name)?;
    put(global, client, name, body, policy.wait_within)
}

fn find(client: &Client, name: &str) -> Result<Option<Value>, Failure> {
    let buckets = client.get("/v1/buckets")?;
    let mut all = buckets["buckets"].as_array().into_iter().flatten();
    Ok(all.find(|bucket| bucket["name"] == name).cloned())
}

fn bucket(client: &Client, name: &str) -> Result<Value, Failure> {
    let missing = || {
        Failure::not_so(format!("there is no bucket {name:?}"))
            .hint("`coterie bucket list` shows all; `coterie bucket create` makes one")
    };
    find(client, name)?.ok_or_else(missing)
}

/// Asks for a policy, and waits until it is in force.
fn put(
    global: &Global,
    client: &Client,
    name: &str,
    body: Map<String, Value>,
    within: Duration,
) -> Result<(), Failure> {
    let path = format!("/v1/buckets/{}", segment(name.as_bytes()));
    let body = Value::Object(body);
    client.put(&path, &body)?;
    let until = Instant::now() + within;
    loop {
        if let Some(bucket) = find(client, name)?.filter(|bucket| is_as(bucket, &body)) {
            return show(global, &bucket);
        }
        if Instant::now() >= until {
            let status = client.get("/v1/status")?;
            if status["pending"] == false {
                let taken_back =
                    "it is asked for no more: somebody took it back, or asked for another";
                return Err(Failure::new(Kind::NotSo, taken_back));
            }
            let why = status["refused"].as_str().map(str::to_owned);
            let why = why.unwrap_or_else(|| "most of the voters cannot be reached".to_owned());
            let failure = Failure::new(
                Kind::Unknown,
                format!("it is asked for, and not in force yet: {why}"),
            );
            return Err(failure.hint(
                "it comes into force once a majority of the voters decides: `coterie status`",
            ));
        }
        pause();
    }
}

/// Whether a bucket is as was asked.
fn is_as(bucket: &Value, asked: &Value) -> bool {
    let same = |name: &str| asked[name].is_null() || bucket[name] == asked[name];
    ["kind", "replicas", "write", "read"].into_iter().all(same) && same_expiry(bucket, asked)
}

/// Nodes show times in the unit that suits them.
fn same_expiry(bucket: &Value, asked: &Value) -> bool {
    let Some(asked) = asked["expiry"].as_str().and_then(|it| time(it).ok()) else { return true };
    match bucket["expiry"].as_str() {
        None => asked.is_zero(),
        Some(expiry) => time(expiry).is_ok_and(|expiry| expiry == asked),
    }
}

fn show(global: &Global, bucket: &Value) -> Result<(), Failure> {
    global.output().show(bucket, || {
        facts(&[
            ("name", text(&bucket["name"])),
            ("kind", text(&bucket["kind"])),
            ("replicas", text(&bucket["replicas"])),
            ("write", text(&bucket["write"])),
            ("read", text(&bucket["read"])),
            ("expiry", text(&bucket["expiry"])),
        ])
    })
}

/// Buckets for people.
pub(crate) fn listed(buckets: &Value) -> String {
    let rows = buckets["buckets"].as_array().into_iter().flatten().map(|bucket| {
        ["name", "kind", "replicas", "write", "read", "expiry"].map(|field| text(&bucket[field]))
    });
    table(["bucket", "kind", "replicas", "write", "read", "expiry"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_in_force_once_all_that_was_asked_is_so() {
        let bucket = json!({"name": "b", "kind": "strict", "replicas": 3, "write": "one", "read": "quorum", "expiry": "1d"});
        assert!(is_as(&bucket, &json!({"write": "one", "expiry": "86400000ms"})));
        assert!(!is_as(&bucket, &json!({"write": "quorum"})));
        assert!(!is_as(&bucket, &json!({"expiry": "0ms"})));
        assert!(is_as(&json!({"expiry": null}), &json!({"expiry": "0ms"})));
    }
}
