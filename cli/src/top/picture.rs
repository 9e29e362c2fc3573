//! What `top` shows: gathered from all nodes that answer.

use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use crate::client::Client;
use crate::failure::Failure;
use crate::members::Members;
use crate::output::text;
use crate::repair::differing;
use crate::ring::owned;

/// The cluster at one moment.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Picture {
    pub(super) cluster: String,
    /// Epoch and version.
    pub(super) layout: String,
    pub(super) partitions: u64,
    pub(super) replicas: u64,
    /// Slices that move, and how many of them are done.
    pub(super) moving: u64,
    pub(super) done: u64,
    /// Copies that are not all received yet.
    pub(super) unreceived: u64,
    /// Slices whose owners showed different digests.
    pub(super) differing: usize,
    /// Whether something is asked for that is not in force.
    pub(super) pending: bool,
    pub(super) warnings: Vec<String>,
    pub(super) nodes: Vec<NodePicture>,
    /// Why there is nothing newer.
    pub(super) trouble: Option<String>,
    #[serde(skip)]
    pub(super) at: Instant,
}

/// A node at one moment; what it does not tell is not there.
#[derive(Clone, Debug, Serialize)]
pub(super) struct NodePicture {
    pub(super) id: String,
    pub(super) liveness: String,
    pub(super) state: String,
    /// Copies of partitions that the layout gives it.
    pub(super) owned: u64,
    /// Commands of clients so far.
    pub(super) requests: Option<u64>,
    /// Commands of clients in a second.
    pub(super) rate: Option<f64>,
    /// Hints that it keeps for others.
    pub(super) hint_bytes: Option<u64>,
    pub(super) connections: Option<u64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) disk_bytes: Option<u64>,
}

impl Picture {
    /// Asks all nodes.
    pub(super) fn take(client: &Client, before: Option<&Picture>) -> Result<Picture, Failure> {
        let at = Instant::now();
        let (status, ring) = (client.get("/v1/status")?, client.get("/v1/ring")?);
        let members = Members::read(client)?;
        let owned = owned(&ring);
        let nodes = ring["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let (mut shown, mut repair, mut unreceived) = (Vec::new(), Vec::new(), 0);
        for member in members.present() {
            let id = text(&member["node"]);
            let place = nodes.iter().position(|node| node["node"] == member["node"]);
            let asking =
                member["announces"]["http"].as_str().filter(|_| member["liveness"] != "down");
            let told = asking.map(|http| client.of(http));
            let metrics = told.as_ref().and_then(|node| node.text("/metrics").ok());
            if let Some(said) = told.as_ref().and_then(|node| node.get("/v1/repair").ok()) {
                unreceived += said["unreceived"].as_u64().unwrap_or_default();
                repair.push((id.clone(), said));
            }
            let sum = |name: &str| metrics.as_deref().map(|metrics| sum(metrics, name));
            let requests = sum("commands_total");
            let was = before.and_then(|before| {
                let node = before.nodes.iter().find(|node| node.id == id)?;
                Some((node.requests?, at.duration_since(before.at).as_secs_f64()))
            });
            let rate = requests.zip(was).map(|(now, (was, seconds))| {
                // A node that started anew counts from 0.
                now.saturating_sub(was) as f64 / seconds.max(0.001)
            });
            shown.push(NodePicture {
                liveness: text(&member["liveness"]),
                state: text(&member["state"]),
                owned: place.and_then(|place| owned.get(place)).map_or(0, |count| *count as u64),
                requests,
                rate,
                hint_bytes: sum("hint_bytes"),
                connections: sum("resp_connections"),
                resident_bytes: sum("process_resident_bytes"),
                disk_bytes: metrics.as_deref().map(|metrics| {
                    let of = |label| labelled(metrics, "storage_bytes", label);
                    of("tables") + of("log")
                }),
                id,
            });
        }
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let layout = &status["layout"];
        Ok(Picture {
            cluster: text(&status["cluster"]),
            layout: format!("{}.{}", text(&layout["epoch"]), text(&layout["version"])),
            partitions: number(&ring["partitions"]),
            replicas: number(&ring["replicas"]),
            moving: number(&status["moves"]["moving"]),
            done: number(&status["moves"]["done"]),
            unreceived,
            differing: differing(&repair).len(),
            pending: status["pending"] == true,
            warnings: status["warnings"].as_array().into_iter().flatten().map(text).collect(),
            nodes: shown,
            trouble: None,
            at,
        })
    }
}

/// Samples of a metric: what follows its name, and its value.
fn samples<'a>(metrics: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
    metrics.lines().filter(|line| !line.starts_with('#')).filter_map(move |line| {
        let (sample, value) = line.rsplit_once(' ')?;
        let (metric, labels) = sample.split_once('{').unwrap_or((sample, ""));
        let ours = metric.strip_prefix("coterie_").unwrap_or(metric) == name;
        Some((labels, value.parse().ok()?)).filter(|_| ours)
    })
}

/// A sum as a count.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is shown to people saturates"
)]
fn whole(sum: f64) -> u64 {
    if sum.is_finite() && sum > 0.0 { sum as u64 } else { 0 }
}

/// The sum of a metric over all its labels.
fn sum(metrics: &str, name: &str) -> u64 {
    whole(samples(metrics, name).map(|(_, value)| value).sum())
}

/// The sum of a metric's samples with such a label.
fn labelled(metrics: &str, name: &str, label: &str) -> u64 {
    let label = format!("\"{label}\"");
    whole(
        samples(metrics, name)
            .filter(|(labels, _)| labels.contains(&label))
            .map(|(_, value)| value)
            .sum(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_over_their_labels() {
        let metrics = "# TYPE coterie_commands counter\n\
            coterie_commands_total{command=\"GET\",outcome=\"done\"} 7\n\
            coterie_commands_total{command=\"SET\",outcome=\"done\"} 5\n\
            coterie_commands_total_more 100\n\
            coterie_storage_bytes{of=\"tables\"} 1024\n\
            coterie_storage_bytes{of=\"cache\"} 1\n\
            coterie_resp_connections 2\nnonsense\n# EOF\n";
        assert_eq!(sum(metrics, "commands_total"), 12);
        assert_eq!(sum(metrics, "resp_connections"), 2);
        assert_eq!(sum(metrics, "missing"), 0);
        assert_eq!(labelled(metrics, "storage_bytes", "tables"), 1_024);
    }
}
