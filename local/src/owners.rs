//! What the owners of keys show by HTTP: who they are, and whether they are equal.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::status::NodeStatus;
use crate::web::ask;

/// A node of a cluster, as it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What the cluster calls it.
    pub id: String,
    /// Where its HTTP listens.
    pub http: SocketAddr,
}

impl Asked {
    /// What it answers to `GET path`.
    ///
    /// # Errors
    /// Why there is no answer that tells of success, for people.
    pub fn get(&self, path: &str) -> Result<Value, String> {
        ask(self.http, &format!("GET {path}"), None)
    }

    /// What it holds of a key that it owns: its reply to an operation, for which it has asked nobody else.
    ///
    /// # Errors
    /// Why it does not tell, for people.
    pub fn held(&self, bucket: &str, key: &str, operation: &str) -> Result<Value, String> {
        let operations = json!([{ "operation": operation }]);
        let body =
            json!({ "bucket": bucket, "key": key, "level": "one", "operations": operations });
        let answer = ask(self.http, "POST /v1/operations", Some(&body))?;
        if answer["owners"] != json!([self.id]) {
            return Err(format!("{} asked others for {key}: {answer}", self.id));
        }
        Ok(answer["replies"][0]["reply"].clone())
    }
}

impl From<&NodeStatus> for Asked {
    fn from(node: &NodeStatus) -> Asked {
        Asked { id: node.id.clone(), http: node.http }
    }
}

/// The owners of a key, by their places in `nodes`, as the first of these knows them.
///
/// # Errors
/// Why they are not known, for people.
pub fn owners(nodes: &[Asked], bucket: &str, key: &str) -> Result<Vec<usize>, String> {
    let told = first(nodes)?.get(&format!("/v1/ring/owners/{bucket}/{key}"))?;
    let owners = told["owners"].as_array().ok_or("no owners are told")?;
    owners.iter().map(|owner| place(nodes, &owner["node"])).collect()
}

/// Each partition's digest, if no node lacks or moves anything or keeps hints, and all owners of every partition have
/// received it and show the same.
///
/// # Errors
/// What is not so yet, for people.
pub fn digests(nodes: &[Asked]) -> Result<BTreeMap<u64, String>, String> {
    let ring = first(nodes)?.get("/v1/ring")?;
    let owners = rows(nodes, &ring)?;
    let mut shown: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (number, node) in nodes.iter().enumerate() {
        let status = node.get("/v1/status")?;
        if status["amnesiac"] != false || status["moves"]["moving"] != 0 {
            return Err(format!("node {number} is not done: {status}"));
        }
        let hints = node.get("/v1/hints")?;
        let kept = hints["hints"].as_array().ok_or("no hints are told")?;
        if kept.iter().any(|it| it["bytes"] != 0) {
            return Err(format!("node {number} keeps hints: {hints}"));
        }
        let repair = node.get("/v1/repair")?;
        for slice in repair["slices"].as_array().ok_or("no slices are told")? {
            let partition = slice["partition"].as_u64().ok_or("a partition is a number")?;
            // Trees of buckets with other replica counts are empty, and former owners may list slices for a while.
            let owned = owners.get(&partition).is_some_and(|row| row.contains(&number));
            if !owned || slice["replicas"] != ring["placement"]["replicas"] {
                continue;
            }
            if slice["received"] != true {
                return Err(format!("node {number} has not received {slice}"));
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
            _ => return Err(format!("owners {row:?} of partition {partition} differ: {all:?}")),
        }
    }
    Ok(digests)
}

/// The owners of each partition.
fn rows(nodes: &[Asked], ring: &Value) -> Result<BTreeMap<u64, Vec<usize>>, String> {
    let owner = |index: &Value| {
        let index = index.as_u64().and_then(|index| usize::try_from(index).ok());
        place(nodes, &ring["nodes"][index.ok_or("an owner is a number")?]["node"])
    };
    let mut rows = BTreeMap::new();
    for (partition, row) in (0..).zip(ring["owners"].as_array().ok_or("no owners are told")?) {
        let row = row.as_array().ok_or("a row has owners")?;
        rows.insert(partition, row.iter().map(owner).collect::<Result<_, String>>()?);
    }
    Ok(rows)
}

fn first(nodes: &[Asked]) -> Result<&Asked, String> {
    nodes.first().ok_or_else(|| "there is no node".to_owned())
}

/// The place of a node by its id.
fn place(nodes: &[Asked], id: &Value) -> Result<usize, String> {
    let found = nodes.iter().position(|node| *id == node.id.as_str());
    found.ok_or_else(|| format!("{id} is a stranger"))
}
