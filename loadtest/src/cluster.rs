//! A local cluster under load: broken on schedule, and every owner asked by itself in the end.

use std::path::Path;
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use coterie_check::{BucketKind, FinalState, Name, Owner, View};
use coterie_local::{Ask, Asked, Condition, LocalError, Remote, Status, digests, owners};
use serde_json::Value as Json;

use crate::fault::Act;
use crate::judged::{BUCKET, Finals, Held, Owners, Question, live};
use crate::report::rounded;
use crate::target::{Endpoint, Target};

/// How long owners may take to be equal once nothing is broken any more, and to be read.
const EQUAL_WITHIN: Duration = Duration::from_secs(120);

/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// A cluster that `coterie cluster up` keeps in a directory.
#[derive(Clone, Debug)]
pub struct Cluster {
    remote: Remote,
    status: Status,
    bucket: String,
}

impl Cluster {
    /// The cluster of a directory, with the bucket that is used.
    ///
    /// # Errors
    /// If none is up there.
    pub fn open(directory: &Path, bucket: Option<&str>) -> Result<Cluster, LocalError> {
        let remote = Remote::open(directory);
        let status = remote.ask(&Ask::Status)?;
        let bucket = match bucket {
            // As Redis numbers them.
            Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("db{number}")
            }
            Some(name) => name.to_owned(),
            None => "db0".to_owned(),
        };
        Ok(Cluster { remote, status, bucket })
    }

    /// Its nodes, as a target.
    #[must_use]
    pub fn target(&self, name: &str) -> Target {
        let endpoints = self.status.nodes.iter().map(|node| Endpoint::of(node.resp)).collect();
        Target { name: name.to_owned(), endpoints }
    }

    /// How many nodes it has.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.status.nodes.len()
    }

    /// What the bucket promises, and how many owners each of its keys has.
    ///
    /// # Errors
    /// If no node tells, or it is not there.
    pub fn bucket(&self) -> Result<(BucketKind, u32), String> {
        let told = Asked::from(&self.status.nodes[0]).get("/v1/buckets")?;
        let buckets = told["buckets"].as_array().ok_or("no buckets are told")?;
        let found = buckets.iter().find(|bucket| bucket["name"] == self.bucket.as_str());
        let bucket = found.ok_or_else(|| format!("there is no bucket {}", self.bucket))?;
        let kind = match bucket["kind"].as_str() {
            Some("strict") => BucketKind::Strict,
            Some("sloppy") => BucketKind::Sloppy,
            Some("strong") => BucketKind::Strong,
            _ => return Err(format!("bucket {} is of no known kind: {bucket}", self.bucket)),
        };
        let replicas = bucket["replicas"].as_u64().and_then(|it| u32::try_from(it).ok());
        let replicas = replicas.ok_or("its replicas are a number")?;
        let nodes = u32::try_from(self.nodes()).unwrap_or(u32::MAX);
        Ok((kind, replicas.min(nodes)))
    }

    /// Does something to it.
    ///
    /// # Errors
    /// As a text, if it was not done.
    pub fn act(&self, act: &Act) -> Result<(), String> {
        let ask = match act {
            Act::Kill(node) => Ask::Kill { nodes: vec![*node] },
            Act::Restart(node) => Ask::Start { nodes: vec![*node] },
            Act::Pause(node, _) => Ask::Pause { nodes: vec![*node] },
            Act::Resume(node) => Ask::Resume { nodes: vec![*node] },
            Act::Partition(sides) => Ask::Partition { groups: sides.clone() },
            Act::Heal => Ask::Heal,
        };
        self.remote.ask(&ask).map(drop).map_err(|error| error.to_string())
    }

    /// The nodes that run now: some may have come and gone meanwhile.
    fn nodes_now(&self) -> Result<Vec<Asked>, String> {
        let status = self.remote.ask(&Ask::Status).map_err(|error| error.to_string())?;
        let run = status.nodes.iter().filter(|node| node.condition == Condition::Running);
        Ok(run.map(Asked::from).collect())
    }

    fn states_of(
        &self,
        nodes: &[Asked],
        question: &Question<'_>,
        key: &Name,
    ) -> Result<Vec<FinalState>, String> {
        let name = std::str::from_utf8(key.as_bytes()).map_err(|error| error.to_string())?;
        let mut states = Vec::new();
        for node in owners(nodes, &self.bucket, name)? {
            let (cells, counter) = live(&self.held(&nodes[node], key, name)?);
            states.push(FinalState {
                owner: Owner(node as u64),
                bucket: BUCKET,
                key: key.clone(),
                at: (question.now)(),
                cells,
                counter,
            });
        }
        Ok(states)
    }

    /// What a node holds of a key that it owns.
    fn held(&self, node: &Asked, key: &Name, name: &str) -> Result<View, String> {
        let held = Held::by(key);
        let operation = if held == Held::Set { "set.members" } else { "string.get" };
        let reply = node.held(&self.bucket, name, operation)?;
        let text = |json: &Json| json.as_str().map(Name::from).ok_or(format!("{name}: {reply}"));
        let mut view = View::default();
        match (held, &reply) {
            (Held::Set, Json::Array(members)) => {
                view.elements = members.iter().map(text).collect::<Result<_, _>>()?;
            }
            (Held::Counter | Held::Register, Json::Null) => {}
            (Held::Counter, Json::String(sum)) => {
                view.counter = sum.parse().map_err(|error| format!("{name}: {error}"))?;
            }
            (Held::Register, value) => view.register.push(text(value)?),
            _ => return Err(format!("{name}: {reply}")),
        }
        Ok(view)
    }
}

impl Owners for Cluster {
    fn read(&self, question: &Question<'_>) -> Result<Finals, String> {
        until(|| digests(&self.nodes_now()?))?;
        let equal_after = rounded(question.mended.elapsed().as_secs_f64());
        let read = || {
            let nodes = self.nodes_now()?;
            let before = digests(&nodes)?;
            let mut states = Vec::new();
            for key in question.keys {
                states.extend(self.states_of(&nodes, question, key)?);
            }
            let after = digests(&nodes)?;
            if before == after { Ok(states) } else { Err("owners go on changing".to_owned()) }
        };
        let strong = question.bucket.kind == BucketKind::Strong;
        let states = if strong { Vec::new() } else { until(read)? };
        let how = "every owner by itself, once all had received everything, showed equal digests and kept no hints";
        Ok(Finals { states, how: how.to_owned(), equal_after: Some(equal_after) })
    }
}

/// Looks until there is what is looked for.
fn until<T>(mut look: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(why) if begun.elapsed() > EQUAL_WITHIN => {
                let seconds = EQUAL_WITHIN.as_secs();
                return Err(format!("owners are not equal and quiet after {seconds} s: {why}"));
            }
            Err(_not_yet) => park_timeout(LOOK),
        }
    }
}
