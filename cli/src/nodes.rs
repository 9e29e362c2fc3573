//! `coterie node`: nodes that come, go, and weigh more or less.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::ask::confirm;
use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::members::Members;
use crate::moves::{pause, watch_moves};
use crate::output::text;
use crate::ring::owned;
use crate::setup::{Global, time};

/// Nodes that come, go, and weigh more or less. A node is named by its id, the beginning of it, or its address.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Say how a node joins this cluster; with --wait NODE wait until that one has all it is to own.
    Join {
        /// Wait for this node.
        #[arg(long, value_name = "NODE")]
        wait: Option<String>,
        #[command(flatten)]
        wait_within: WaitWithin,
    },
    /// Have a node hand over all it has, and leave.
    Leave {
        /// Which.
        node: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Have a node stay that was to leave.
    Stay {
        /// Which.
        node: String,
    },
    /// Have a newcomer take the place of a node that is gone for good. What only that node held is lost.
    Replace {
        /// Who is gone.
        old: String,
        /// Who takes its place: a node that has joined.
        new: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Give nodes up that are gone for good. What only they held is lost.
    Remove {
        /// Which.
        #[arg(required = true)]
        nodes: Vec<String>,
        /// The voters' majority is lost for good, these nodes among them: the node that is asked decides alone.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Give a node another share of the data.
    Weight {
        /// Which.
        node: String,
        /// Its share relative to the others'.
        weight: u32,
        #[command(flatten)]
        wait: Wait,
    },
    /// Say that a node stands elsewhere.
    Zone {
        /// Which.
        node: String,
        /// Where: REGION/ZONE.
        zone: String,
        #[command(flatten)]
        wait: Wait,
    },
}

/// Whether to wait until it has come about.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// Wait until it is decided and nothing moves any more.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    within: WaitWithin,
}

/// How long to wait.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct WaitWithin {
    /// How long to wait at most.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    wait_within: Duration,
}

impl NodeCommand {
    pub(crate) fn carry_out(&self, global: &Global) -> Result<(), Failure> {
        let client = global.client()?;
        match self {
            NodeCommand::Join { wait, wait_within } => {
                join(global, &client, wait.as_deref(), wait_within.wait_within)
            }
            NodeCommand::Leave { node, wait } => leave(global, &client, node, *wait),
            NodeCommand::Stay { node } => {
                let id = Members::read(&client)?.find(node)?;
                let asked = client.post(&format!("/v1/nodes/{id}/stay"), &json!({}))?;
                show(global, &asked, "It stays.")
            }
            NodeCommand::Replace { old, new, wait } => replace(global, &client, old, new, *wait),
            NodeCommand::Remove { nodes, force, wait } => {
                remove(global, &client, nodes, *force, *wait)
            }
            NodeCommand::Weight { node, weight, wait } => {
                change(global, &client, node, &json!({"weight": weight}), *wait)
            }
            NodeCommand::Zone { node, zone, wait } => {
                change(global, &client, node, &json!({"zone": zone}), *wait)
            }
        }
    }
}

fn show(global: &Global, asked: &Value, done: &str) -> Result<(), Failure> {
    global.output().show(asked, || done.to_owned())
}

/// Waits if that is wanted, and says what was done.
fn conclude(
    global: &Global,
    client: &Client,
    mut asked: Value,
    wait: Wait,
    done: &str,
) -> Result<(), Failure> {
    if !wait.wait {
        return show(
            global,
            &asked,
            &format!("{done} is asked for; `coterie moves` shows how it goes."),
        );
    }
    watch_moves(client, wait.within.wait_within)?;
    asked["waited"] = json!(true);
    show(global, &asked, &format!("{done} is in force, and nothing moves."))
}

fn join(
    global: &Global,
    client: &Client,
    wait: Option<&str>,
    within: Duration,
) -> Result<(), Failure> {
    let members = Members::read(client)?;
    let Some(name) = wait else {
        let up = members.present().filter(|member| member["liveness"] == "up");
        let gossip: Vec<String> =
            up.map(|member| text(&member["announces"]["gossip"])).filter(|it| it != "-").collect();
        let flags: Vec<String> = gossip.iter().take(3).map(|it| format!("--join {it}")).collect();
        let line = format!(
            "coterie-node run --data-dir DATA --certificates CERTIFICATES {}",
            flags.join(" ")
        );
        let result = json!({"gossip": gossip, "command": line});
        return global.output().show(&result, || {
            format!(
                "On the new machine, with certificates of this cluster's authority (`coterie cert node`):\n\n  {line}\n\n\
                 It is taken into the layout some seconds later: `coterie node join --wait NODE`."
            )
        });
    };
    // The newcomer may not be known yet.
    let until = Instant::now() + within;
    let id = loop {
        match Members::read(client)?.find(name) {
            Ok(id) => break id,
            Err(_unknown) if Instant::now() < until => pause(),
            Err(unknown) => return Err(unknown),
        }
    };
    loop {
        let members = Members::read(client)?;
        let state = members.all().iter().find(|it| it["node"] == *id).map(|it| &it["state"]);
        match state.and_then(Value::as_str) {
            Some("active") => break,
            Some("removed") => {
                return Err(Failure::new(Kind::Refused, format!("node {id} has been removed")));
            }
            _ if Instant::now() >= until => {
                return Err(Failure::not_so(format!("node {id} is not in the layout yet")));
            }
            _ => pause(),
        }
    }
    watch_moves(client, until.saturating_duration_since(Instant::now()))?;
    let result = json!({"node": id, "state": "active", "waited": true});
    global.output().show(&result, || format!("Node {id} has all it is to own."))
}

/// How many partitions a node owns.
fn share(client: &Client, id: &str) -> Result<(usize, usize), Failure> {
    let ring = client.get("/v1/ring")?;
    let nodes = ring["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let place = nodes.iter().position(|node| node["node"] == id);
    let count = place.and_then(|place| owned(&ring).get(place).copied()).unwrap_or(0);
    Ok((count, nodes.len()))
}

fn leave(global: &Global, client: &Client, name: &str, wait: Wait) -> Result<(), Failure> {
    let id = Members::read(client)?.find(name)?;
    let (partitions, nodes) = share(client, &id)?;
    let preview = format!(
        "Node {id} would hand over {partitions} copies of partitions to the other {} nodes, and leave for good.",
        nodes.saturating_sub(1)
    );
    confirm(global.consent(), &preview)?;
    let asked = client.post(&format!("/v1/nodes/{id}/leave"), &json!({}))?;
    conclude(global, client, asked, wait, "That it leaves")
}

fn change(
    global: &Global,
    client: &Client,
    name: &str,
    body: &Value,
    wait: Wait,
) -> Result<(), Failure> {
    let id = Members::read(client)?.find(name)?;
    let asked = client.patch(&format!("/v1/nodes/{id}"), body)?;
    conclude(global, client, asked, wait, "The change")
}

/// Partitions with no owner left, and with fewer than before, without these nodes.
fn losses(ring: &Value, gone: &BTreeSet<String>) -> (usize, usize) {
    let nodes = ring["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_gone = |owner: &Value| {
        let place = owner.as_u64().and_then(|place| usize::try_from(place).ok());
        let id = place.and_then(|place| nodes.get(place)).and_then(|node| node["node"].as_str());
        id.is_some_and(|id| gone.contains(id))
    };
    let (mut lost, mut fewer) = (0, 0);
    for owners in ring["owners"].as_array().into_iter().flatten().filter_map(Value::as_array) {
        let missing = owners.iter().filter(|owner| is_gone(owner)).count();
        if missing > 0 && missing == owners.len() {
            lost += 1;
        } else if missing > 0 {
            fewer += 1;
        }
    }
    (lost, fewer)
}

fn cost(client: &Client, gone: &BTreeSet<String>) -> Result<String, Failure> {
    let (lost, fewer) = losses(&client.get("/v1/ring")?, gone);
    let data = if lost == 0 {
        "No partition is lost; writes that only they acknowledged are.".to_owned()
    } else {
        format!("{lost} partitions have no other owner: THEIR DATA IS LOST.")
    };
    Ok(format!("{data} {fewer} partitions are copied anew from the owners that are left."))
}

fn replace(
    global: &Global,
    client: &Client,
    old: &str,
    new: &str,
    wait: Wait,
) -> Result<(), Failure> {
    let members = Members::read(client)?;
    let (old, new) = (members.find(old)?, members.find(new)?);
    let cost = cost(client, &BTreeSet::from([old.clone()]))?;
    let preview = format!("Node {old} would be gone for good, and {new} take its place. {cost}");
    confirm(global.consent(), &preview)?;
    let body = json!({"by": new, "data_may_be_lost": true});
    let asked = client.post(&format!("/v1/nodes/{old}/replace"), &body)?;
    conclude(global, client, asked, wait, "The replacement")
}

fn remove(
    global: &Global,
    client: &Client,
    names: &[String],
    force: bool,
    wait: Wait,
) -> Result<(), Failure> {
    let members = Members::read(client)?;
    let ids: Result<BTreeSet<String>, Failure> =
        names.iter().map(|name| members.find(name)).collect();
    let ids = ids?;
    let shown: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut preview = format!("Gone for good: {}. {}", shown.join(", "), cost(client, &ids)?);
    if force {
        preview.push_str(
            " The node that is asked decides this alone: what the lost voters decided meanwhile, if they live after all, is overruled.",
        );
    }
    confirm(global.consent(), &preview)?;
    let path = if force { "/v1/force" } else { "/v1/nodes/remove" };
    let asked = client.post(path, &json!({"nodes": ids, "data_may_be_lost": true}))?;
    conclude(global, client, asked, wait, "The removal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_removal_costs_is_counted_by_partition() {
        let ring = json!({
            "nodes": [{"node": "a"}, {"node": "b"}, {"node": "c"}],
            "owners": [[0, 1], [1, 2], [0, 2], []],
        });
        let gone = |ids: &[&str]| losses(&ring, &ids.iter().map(|id| (*id).to_owned()).collect());
        assert_eq!(gone(&["a"]), (0, 2));
        assert_eq!(gone(&["a", "b"]), (1, 2));
        assert_eq!(gone(&["a", "b", "c"]), (3, 0));
    }
}
