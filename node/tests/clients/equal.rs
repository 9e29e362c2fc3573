//! Owners that hold the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::harness::{Cluster, until};

/// How long owners may take to be equal after a node is back.
const EQUAL_WITHIN: Duration = Duration::from_secs(60);

/// Waits until all nodes that run have the same digest of every slice, and keep no hints; how long that took.
pub(crate) fn wait_equal(cluster: &Cluster) -> Duration {
    until("the owners' digests are equal", EQUAL_WITHIN, || equal(cluster)).1
}

fn equal(cluster: &Cluster) -> Result<(), String> {
    let mut digests: BTreeMap<(u64, u64), BTreeSet<String>> = BTreeMap::new();
    for node in cluster.nodes.iter().filter(|node| node.runs()) {
        let repair = node.get("/v1/repair")?;
        for slice in repair["slices"].as_array().ok_or("no slices are told")? {
            let name = slice["partition"].as_u64().zip(slice["replicas"].as_u64());
            let shown = digests.entry(name.ok_or("a slice has no name")?).or_default();
            shown.insert(slice["digest"].to_string());
        }
        let status = node.get("/v1/status")?;
        if status["hint_bytes"] != 0 {
            return Err(format!("node {} keeps hints: {}", node.number, status["hint_bytes"]));
        }
    }
    match digests.iter().find(|(_, shown)| shown.len() > 1) {
        Some((name, shown)) => Err(format!("slice {name:?}: {shown:?}")),
        None if digests.is_empty() => Err("no slices are listed".to_owned()),
        None => Ok(()),
    }
}
