//! The cluster of the story: started, cut, robbed of a node, healed and stopped.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use coterie_check::BucketKind;
use coterie_local::{Asked, Cluster, LocalError, Readiness, Shape, ask, readiness};
use serde_json::json;

use crate::level::level_name;

use super::column::{BUCKETS, Bucket, NODES, REPLICAS, Side, VICTIM};
use super::live::Live;
use super::{DemoError, REQUEST_TIMEOUT, wait};

/// How long starting may take.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// How long a bucket may take to be known everywhere.
const MADE_WITHIN: Duration = Duration::from_secs(60);

/// Where nodes are, and how they are called.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) resp: Vec<SocketAddr>,
    /// As they are asked over HTTP.
    pub(crate) nodes: Vec<Asked>,
}

/// The cluster.
#[derive(Debug)]
pub(crate) struct Stage {
    cluster: Cluster,
    addresses: Addresses,
}

impl Stage {
    /// Starts all nodes.
    pub(crate) fn start(directory: &Path, over: &AtomicBool) -> Result<Stage, DemoError> {
        let shape = Shape {
            nodes: NODES,
            replicas: u8::try_from(REPLICAS).expect("there are three"),
            further: vec![
                format!("--request-timeout={REQUEST_TIMEOUT}"),
                "--cache-bytes=16MiB".to_owned(),
            ],
            ..Shape::default()
        };
        let mut cluster = Cluster::start(directory, shape)?;
        wait(over)?;
        let nodes = cluster.status().nodes;
        let addresses = Addresses {
            resp: nodes.iter().map(|node| node.resp).collect(),
            nodes: nodes.iter().map(Asked::from).collect(),
        };
        Ok(Stage { cluster, addresses })
    }

    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Waits until all nodes serve, know each other, own their share, and nothing moves.
    pub(crate) fn wait_ready(
        &mut self,
        over: &AtomicBool,
        live: &mut Live,
    ) -> Result<(), DemoError> {
        let began = Instant::now();
        loop {
            match readiness(&self.cluster.status())? {
                Readiness::Ready => {
                    live.say(&format!("they serve after {:.1} s", began.elapsed().as_secs_f64()));
                    return Ok(());
                }
                Readiness::Missing(waiting) if began.elapsed() > READY_WITHIN => {
                    return Err(LocalError::Late { within: READY_WITHIN, waiting }.into());
                }
                Readiness::Missing(_) => wait(over)?,
            }
        }
    }

    /// Whether all serve and know each other.
    pub(crate) fn is_whole(&mut self) -> Result<bool, DemoError> {
        Ok(readiness(&self.cluster.status())? == Readiness::Ready)
    }

    /// Whether every node counts just its own side as up.
    pub(crate) fn knows_the_cut(&self) -> bool {
        Side::BOTH.into_iter().all(|side| self.know_each_other(&side.nodes()))
    }

    /// Whether all nodes that run count just themselves as up.
    pub(crate) fn knows_the_crash(&self) -> bool {
        let running: Vec<usize> = (0..NODES).filter(|node| *node != VICTIM).collect();
        self.know_each_other(&running)
    }

    /// Whether each of these counts so many as up.
    fn know_each_other(&self, nodes: &[usize]) -> bool {
        nodes.iter().all(|node| {
            let status = self.addresses.nodes[*node].get("/v1/status");
            status.is_ok_and(|status| status["members"]["up"] == nodes.len())
        })
    }

    /// Makes the buckets of all columns, and waits until every node knows them.
    pub(crate) fn make_buckets(&self, over: &AtomicBool) -> Result<(), DemoError> {
        let began = Instant::now();
        for bucket in &BUCKETS {
            let mut body = json!({ "kind": kind_name(bucket), "replicas": REPLICAS });
            if bucket.kind != BucketKind::Strong {
                body["write"] = json!(level_name(bucket.write));
                body["read"] = json!(level_name(bucket.read));
            }
            let what = format!("PUT /v1/buckets/{}", bucket.name);
            let http = self.addresses.nodes[0].http;
            ask(http, &what, Some(&body)).map_err(DemoError::Opening)?;
        }
        for node in &self.addresses.nodes {
            loop {
                let told = node.get("/v1/buckets");
                let known = told.map(|told| told.to_string()).unwrap_or_default();
                let missing = BUCKETS.iter().find(|bucket| {
                    // With its quotes: one name begins with another.
                    !known.contains(&format!("\"{}\"", bucket.name))
                });
                let Some(missing) = missing else { break };
                if began.elapsed() > MADE_WITHIN {
                    let text = format!("bucket {} is not known at {}", missing.name, node.http);
                    return Err(DemoError::Opening(text));
                }
                wait(over)?;
            }
        }
        Ok(())
    }

    /// Cuts the left side off from the right.
    pub(crate) fn cut(&mut self) -> Result<(), DemoError> {
        Ok(self.cluster.partition(&[Side::Left.nodes(), Side::Right.nodes()])?)
    }

    /// Kills a node as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Result<(), DemoError> {
        Ok(self.cluster.kill(VICTIM)?)
    }

    /// Makes the network whole, and starts the node again.
    pub(crate) fn heal(&mut self) -> Result<(), DemoError> {
        Ok(self.cluster.heal()?)
    }

    /// Stops all.
    pub(crate) fn stop(self) -> Result<(), LocalError> {
        self.cluster.stop()
    }
}

fn kind_name(bucket: &Bucket) -> &'static str {
    match bucket.kind {
        BucketKind::Strict => "strict",
        BucketKind::Sloppy => "sloppy",
        BucketKind::Strong => "strong",
    }
}
