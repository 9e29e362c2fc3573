//! How the cluster is: status, members, ring, moves, hints, repair.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use coterie_protocol::control::{Answer, Command, MemberStatus, Status, SyncPolicy};
use coterie_protocol::moving::Cause;
use coterie_protocol::{Liveness, View};
use coterie_ring::moves::OwnerSet;
use coterie_ring::{NodeId, NodeState};
use coterie_wire::Slice;
use serde_json::{Value as Json_, json};

use super::door::{Door, Who};
use super::extract::InPath;
use super::problem::Problem;
use super::value::Value;
use crate::config::Verb;
use crate::engine::gateway::{LaneFacts, NodeFacts};
use crate::metrics::LaneCounts;

/// Fallbacks that are named.
const FALLBACKS_MAX: usize = 8;

/// What control says of the cluster.
async fn status_of(door: &Door) -> Result<Status, Problem> {
    match super::admin::command(door, Command::Status).await? {
        Answer::Status(status) => Ok(status),
        Answer::Asked | Answer::Plan(_) => unreachable!("it was asked for the status"),
    }
}

/// The cluster as this node sees it, or why there is none.
pub(super) fn view_of(door: &Door) -> Result<std::sync::Arc<View>, Problem> {
    door.gateway().view().ok_or_else(|| Problem::not_serving("this node is in no cluster yet"))
}

fn id(node: NodeId) -> String {
    node.to_string()
}

fn ids<'a>(nodes: impl IntoIterator<Item = &'a NodeId>) -> Vec<String> {
    nodes.into_iter().map(|node| id(*node)).collect()
}

pub(super) fn liveness_name(liveness: Liveness) -> &'static str {
    match liveness {
        Liveness::Up => "up",
        Liveness::Suspect => "suspect",
        Liveness::Down => "down",
    }
}

fn state_name(state: NodeState) -> &'static str {
    match state {
        NodeState::Joining => "joining",
        NodeState::Active => "active",
        NodeState::Draining => "draining",
        NodeState::Removed => "removed",
    }
}

/// `GET /v1/status`
pub(super) async fn status(State(door): State<Door>) -> Result<Json<Json_>, Problem> {
    let status = status_of(&door).await?;
    let (facts, lanes) = (door.gateway().facts(), door.gateway().lanes());
    let count = |liveness| status.members.iter().filter(|it| it.liveness == liveness).count();
    let uptime = SystemTime::now().duration_since(facts.started).unwrap_or_default();
    let sync = match facts.sync {
        SyncPolicy::Always => "always",
        SyncPolicy::Periodic => "periodic",
    };
    Ok(Json(json!({
        "cluster": format!("{:032x}", status.cluster),
        "node": id(status.me),
        "version": facts.version,
        "place": facts.place.to_string(),
        "sync": sync,
        "lanes": facts.lanes,
        "uptime_seconds": uptime.as_secs(),
        "incarnation": format!("{:016x}", status.incarnation.0),
        "in_cluster": status.tip.is_some(),
        "amnesiac": status.amnesiac,
        "abstains": status.abstains,
        "isolated": status.isolated,
        "unanswered": ids(&status.unanswered),
        "layout": layout_of(&status),
        "voters": ids(&status.voters),
        "pending": status.pending,
        "refused": status.refused,
        "warnings": status.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "members": {
            "up": count(Liveness::Up),
            "suspect": count(Liveness::Suspect),
            "down": count(Liveness::Down),
        },
        "moves": {"moving": status.moving, "done": status.done},
        "slices": lanes.iter().map(|lane| lane.slices.len()).sum::<usize>(),
        "hint_bytes": lanes.iter().flat_map(|lane| &lane.hints).map(|(_, bytes)| bytes).sum::<u64>(),
    })))
}

/// The newest layout that this node knows.
fn layout_of(status: &Status) -> Option<Json_> {
    let version = status.tip?.version;
    Some(json!({"epoch": version.epoch, "version": version.number}))
}

/// `GET /v1/members`
pub(super) async fn members(State(door): State<Door>) -> Result<Json<Json_>, Problem> {
    let status = status_of(&door).await?;
    let facts = door.gateway().facts();
    let members: Vec<Json_> = status.members.iter().map(|it| member(it, facts)).collect();
    Ok(Json(json!({"members": members})))
}

fn member(member: &MemberStatus, facts: &NodeFacts) -> Json_ {
    let address = |address| SocketAddr::from(address).to_string();
    let asked = member.asked.as_ref().map(|(state, weight, place)| {
        json!({"state": state_name(*state), "weight": weight, "place": place.to_string()})
    });
    let is_this_node = member.node == facts.node;
    let own = is_this_node.then(|| {
        json!({
            "gossip": facts.addresses.gossip.to_string(),
            "peers": facts.addresses.peers.to_string(),
            "resp": facts.addresses.resp.to_string(),
            "http": facts.addresses.http.to_string(),
            "lanes": facts.lanes,
            "region": facts.place.region(),
            "zone": facts.place.zone(),
        })
    });
    let attributes = member.attributes.map(|it| {
        json!({
            "gossip": address(it.gossip),
            "peers": address(it.peer),
            "resp": address(it.resp),
            "http": address(it.http),
            "lanes": it.lanes,
            "weight": it.weight,
            "region": it.region.as_str(),
            "zone": it.zone.as_str(),
            "protocols": [it.protocols.0, it.protocols.1],
        })
    });
    json!({
        "node": id(member.node),
        "is_this_node": is_this_node,
        "liveness": liveness_name(member.liveness),
        "state": member.decided.map(state_name),
        "asked": asked,
        "announces": own.or(attributes),
        "unfit": member.unfit.map(|unfit| unfit.to_string()),
    })
}

/// `GET /v1/ring`: nodes once, then each partition's owners as places in that list.
pub(super) async fn ring(State(door): State<Door>) -> Result<Json<Json_>, Problem> {
    let view = view_of(&door)?;
    let layout = view.decision.layout();
    let nodes: Vec<Json_> = layout
        .members()
        .iter()
        .map(|it| {
            json!({
                "node": id(it.id),
                "state": state_name(it.state),
                "weight": it.weight,
                "place": it.place.to_string(),
                "liveness": liveness_name(view.liveness(it.id)),
            })
        })
        .collect();
    let owners: Vec<&[u16]> =
        layout.partitioner().partitions().map(|partition| layout.row(partition)).collect();
    let moves: Vec<Json_> = view
        .decision
        .moving()
        .map(|(partition, replicas)| json!({"partition": partition.0, "replicas": replicas}))
        .collect();
    let placement = layout.snapshot().placement();
    Ok(Json(json!({
        "layout": {"epoch": layout.epoch(), "version": layout.version()},
        "partitions": layout.partitioner().count(),
        "replicas": layout.replicas(),
        "placement": {"replicas": placement.replicas, "spread": super::admin::spread_name(placement.spread)},
        "voters": ids(layout.voters()),
        "nodes": nodes,
        "owners": owners,
        "moving": moves.len(),
        "moves": moves,
    })))
}

/// `GET /v1/ring/owners/{bucket}/{key}`
pub(super) async fn owners(
    State(door): State<Door>,
    who: Who,
    InPath(key): InPath,
) -> Result<Json<Json_>, Problem> {
    who.check(Verb::Read, key.bucket(), key.name())?;
    let view = view_of(&door)?;
    let Some(slice) = view.slice(&key) else {
        return Err((&coterie_wire::Refused::NoSuchBucket).into());
    };
    let sets = view.live_sets(slice);
    let own = door.gateway().facts().addresses;
    let node = |node: NodeId| {
        // Nobody announces itself to itself.
        let addresses = if node == view.me {
            Some((own.resp, own.http))
        } else {
            let attributes = view.attributes.get(&node);
            attributes.map(|it| (SocketAddr::from(it.resp), SocketAddr::from(it.http)))
        };
        json!({
            "node": id(node),
            "liveness": liveness_name(view.liveness(node)),
            "is_this_node": node == view.me,
            "resp": addresses.map(|(resp, _)| resp.to_string()),
            "http": addresses.map(|(_, http)| http.to_string()),
        })
    };
    let set = |set: &OwnerSet| -> Vec<Json_> { set.members.iter().map(|it| node(*it)).collect() };
    let fallbacks: Vec<Json_> = view.fallbacks(slice).take(FALLBACKS_MAX).map(node).collect();
    Ok(Json(json!({
        "bucket": Value(key.bucket().clone()),
        "key": Value(key.name().clone()),
        "hash": format!("{:016x}", key.hash().0),
        "partition": slice.partition.0,
        "replicas": slice.replicas,
        "owners": set(sets.newest()),
        "older_owners": sets.older().iter().map(set).collect::<Vec<_>>(),
        "fallbacks": fallbacks,
    })))
}

/// `GET /v1/moves`
pub(super) async fn moves(State(door): State<Door>) -> Result<Json<Json_>, Problem> {
    let status = status_of(&door).await?;
    let lanes = door.gateway().lanes();
    let mut slices: BTreeMap<Slice, Vec<Json_>> = BTreeMap::new();
    for wait in lanes.iter().flat_map(|lane| &lane.waits) {
        let shown = json!({"for": id(wait.owner), "cause": cause_name(wait.cause)});
        slices.entry(wait.slice).or_default().push(shown);
    }
    for slice in status.progress.keys() {
        slices.entry(*slice).or_default();
    }
    let here: Vec<Json_> = slices
        .into_iter()
        .map(|(slice, waiting)| {
            let permille = status.progress.get(&slice).copied().unwrap_or(0);
            json!({"partition": slice.partition.0, "replicas": slice.replicas, "permille": permille, "waiting": waiting})
        })
        .collect();
    let sum = |count: fn(&LaneCounts) -> u64| -> u64 {
        lanes.iter().map(|lane| count(&lane.metrics.counts)).sum()
    };
    Ok(Json(json!({
        "layout": layout_of(&status),
        "moving": status.moving,
        "done": status.done,
        "overruled": status.overruled,
        "rows_sent": sum(|counts| counts.moved_rows_out),
        "bytes_sent": sum(|counts| counts.moved_bytes_out),
        "here": here,
    })))
}

fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Down => "the new owner is down",
        Cause::Fence => "this node's fence is not on its disk yet",
        Cause::Offered => "the new owner is not ready, or another one brings it its copy first",
        Cause::Copying => "it is being copied",
        Cause::Failed => "the last attempt failed, and is repeated",
        Cause::Queued => "others are copied first",
        Cause::Others => "the new owner waits for others",
    }
}

/// `GET /v1/hints`
pub(super) async fn hints(State(door): State<Door>) -> Json<Json_> {
    let lanes = door.gateway().lanes();
    let mut sums: BTreeMap<NodeId, u64> = BTreeMap::new();
    for (owner, bytes) in lanes.iter().flat_map(|lane| &lane.hints) {
        *sums.entry(*owner).or_default() += bytes;
    }
    let view = door.gateway().view();
    let liveness = |owner| view.as_ref().map(|view| liveness_name(view.liveness(owner)));
    let owners: Vec<Json_> = sums
        .iter()
        .map(|(owner, bytes)| {
            json!({"owner": id(*owner), "bytes": bytes, "liveness": liveness(*owner)})
        })
        .collect();
    Json(json!({"hints": owners}))
}

/// `GET /v1/repair`: what this node holds of each slice, and what lanes have come upon.
pub(super) async fn repair(State(door): State<Door>) -> Json<Json_> {
    let lanes = door.gateway().lanes();
    let slices: Vec<Json_> = lanes
        .iter()
        .flat_map(|lane| &lane.slices)
        .map(|it| {
            json!({
                "partition": it.slice.partition.0,
                "replicas": it.slice.replicas,
                "purge_epoch": it.epoch,
                "received": it.received,
                "digest": format!("{:032x}", it.digest),
            })
        })
        .collect();
    let sum = |count: fn(&LaneFacts) -> u64| -> u64 { lanes.iter().map(|it| count(it)).sum() };
    Json(json!({
        "slices": slices,
        "unreceived": lanes.iter().flat_map(|it| &it.slices).filter(|it| !it.received).count(),
        "damaged_keys": sum(|it| it.counters.damaged_keys),
        "scrubbed_keys": sum(|it| it.counters.scrubbed_keys),
        "scrubbed_leaves": sum(|it| it.counters.scrubbed_leaves),
    }))
}
