//! A local cluster under load: broken on schedule, and every owner asked by itself in the end.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use coterie_check::{BucketKind, FinalState, Name, Owner, View};
use coterie_local::{Ask, LocalError, Remote, Status};
use serde_json::{Value as Json, json};

use crate::fault::Act;
use crate::judged::{BUCKET, Finals, Held, Owners, Question, live};
use crate::report::rounded;
use crate::target::{Endpoint, Target};

/// How long owners may take to be equal once nothing is broken any more, and to be read.
const EQUAL_WITHIN: Duration = Duration::from_secs(120);

/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The longest answer.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

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
        let told = self.tell(0, "/v1/buckets")?;
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

    fn tell(&self, node: usize, path: &str) -> Result<Json, String> {
        let told = ask(self.status.nodes[node].http, &format!("GET {path}"), None);
        told.map_err(|why| format!("node {node}, {path}: {why}"))
    }

    /// The place of a node by its id.
    fn place(&self, id: &Json) -> Option<usize> {
        let id = id.as_str()?;
        self.status.nodes.iter().position(|node| node.id == id)
    }

    /// Each partition's digest, if all of its owners have received it and show the same, and nobody keeps hints.
    fn digests(&self) -> Result<BTreeMap<u64, String>, String> {
        let owners = self.owners()?;
        let mut shown: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for node in 0..self.nodes() {
            let status = self.tell(node, "/v1/status")?;
            if status["amnesiac"] != false || status["moves"]["moving"] != 0 {
                return Err(format!("node {node} is not done: {status}"));
            }
            let hints = self.tell(node, "/v1/hints")?;
            let kept = hints["hints"].as_array().ok_or("no hints are told")?;
            if kept.iter().any(|it| it["bytes"] != 0) {
                return Err(format!("node {node} keeps hints"));
            }
            let repair = self.tell(node, "/v1/repair")?;
            for slice in repair["slices"].as_array().ok_or("no slices are told")? {
                let partition = slice["partition"].as_u64().ok_or("a partition is a number")?;
                // Former owners may list slices for a while.
                let owned = owners.get(&partition).is_some_and(|row| row.contains(&node));
                if !owned || slice["replicas"] != self.status.shape.replicas {
                    continue;
                }
                if slice["received"] != true {
                    return Err(format!("node {node} has not received partition {partition}"));
                }
                let digest = format!("{} of epoch {}", slice["digest"], slice["purge_epoch"]);
                shown.entry(partition).or_default().push(digest);
            }
        }
        let mut digests = BTreeMap::new();
        for (partition, row) in owners {
            let all = shown.remove(&partition).unwrap_or_default();
            match all.first() {
                Some(first) if all.len() == row.len() && all.iter().all(|it| it == first) => {
                    digests.insert(partition, first.clone());
                }
                _ => return Err(format!("owners of partition {partition} differ: {all:?}")),
            }
        }
        Ok(digests)
    }

    /// The owners of each partition, first ones first.
    fn owners(&self) -> Result<BTreeMap<u64, Vec<usize>>, String> {
        let ring = self.tell(0, "/v1/ring")?;
        let place = |index: &Json| -> Option<usize> {
            self.place(&ring["nodes"].get(usize::try_from(index.as_u64()?).ok()?)?["node"])
        };
        let mut owners = BTreeMap::new();
        for (partition, row) in (0..).zip(ring["owners"].as_array().ok_or("no owners are told")?) {
            let row = row.as_array().ok_or("a row has owners")?;
            let row: Option<Vec<usize>> = row.iter().map(place).collect();
            owners.insert(partition, row.ok_or("an owner is a stranger")?);
        }
        Ok(owners)
    }

    fn states_of(&self, question: &Question<'_>, key: &Name) -> Result<Vec<FinalState>, String> {
        let name = std::str::from_utf8(key.as_bytes()).map_err(|error| error.to_string())?;
        let told = self.tell(0, &format!("/v1/ring/owners/{}/{name}", self.bucket))?;
        let owners = told["owners"].as_array().ok_or("no owners are told")?;
        let mut states = Vec::new();
        for owner in owners {
            let node = self.place(&owner["node"]).ok_or("an owner is a stranger")?;
            let (cells, counter) = live(&self.held(node, key, name)?);
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
    fn held(&self, node: usize, key: &Name, name: &str) -> Result<View, String> {
        let held = Held::by(key);
        let operation = if held == Held::Set { "set.members" } else { "string.get" };
        let operations = json!([{ "operation": operation }]);
        let body =
            json!({ "bucket": self.bucket, "key": name, "level": "one", "operations": operations });
        let asked = &self.status.nodes[node];
        let answer = ask(asked.http, "POST /v1/operations", Some(&body))
            .map_err(|why| format!("node {node}, {name}: {why}"))?;
        if answer["owners"] != json!([asked.id]) {
            return Err(format!("node {node} asked others for {name}"));
        }
        let text = |json: &Json| json.as_str().map(Name::from).ok_or(format!("{name}: {answer}"));
        let mut view = View::default();
        match (held, &answer["replies"][0]["reply"]) {
            (Held::Set, Json::Array(members)) => {
                view.elements = members.iter().map(text).collect::<Result<_, _>>()?;
            }
            (Held::Counter | Held::Register, Json::Null) => {}
            (Held::Counter, Json::String(sum)) => {
                view.counter = sum.parse().map_err(|error| format!("{name}: {error}"))?;
            }
            (Held::Register, value) => view.register.push(text(value)?),
            _ => return Err(format!("{name}: {answer}")),
        }
        Ok(view)
    }
}

impl Owners for Cluster {
    fn read(&self, question: &Question<'_>) -> Result<Finals, String> {
        until(|| self.digests())?;
        let equal_after = rounded(question.mended.elapsed().as_secs_f64());
        let read = || {
            let before = self.digests()?;
            let mut states = Vec::new();
            for key in question.keys {
                states.extend(self.states_of(question, key)?);
            }
            let after = self.digests()?;
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

/// The answer of a node to one request, where that is JSON and all is well.
fn ask(http: SocketAddr, what: &str, body: Option<&Json>) -> Result<Json, String> {
    let answered = || -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&http, ANSWER_WITHIN)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        let body = body.map(Json::to_string).unwrap_or_default();
        let length = body.len();
        let head = "Content-Type: application/json\r\nConnection: close\r\n";
        let request = format!(
            "{what} HTTP/1.1\r\nHost: {http}\r\n{head}Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = answered().map_err(|error| error.to_string())?;
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").ok_or("no answer in HTTP")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let body = &answer[end + 4..];
    match head.split(' ').nth(1) {
        Some("200") => serde_json::from_slice(body).map_err(|error| error.to_string()),
        status => Err(format!("{}: {}", status.unwrap_or("?"), String::from_utf8_lossy(body))),
    }
}
