//! What operators ask for: layouts, nodes, buckets.

use std::num::NonZeroU64;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use coterie_protocol::control::{Answer, Command};
use coterie_ring::{BucketKind, BucketPolicy, Level, NodeId, Place, PlacementPolicy, Plan, Spread};
use serde::Deserialize;
use serde_json::{Value as Json_, json};

use super::cluster::view_of;
use super::door::Door;
use super::extract::{Given, LastInPath, level, node_id};
use super::problem::{Known, Problem};
use crate::config::{Span, SpreadOver, Zone};

/// How long control may take.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(10);

/// Has control carry out a command.
pub(super) async fn command(door: &Door, command: Command) -> Result<Answer, Problem> {
    let answered = tokio::time::timeout(COMMAND_TIME_MAX, door.gateway().command(command)).await;
    match answered {
        Ok(Some(answer)) => Ok(answer?),
        Ok(None) => Err(Problem::not_serving("the node is about to stop")),
        Err(_late) => Err(Problem {
            status: StatusCode::GATEWAY_TIMEOUT,
            error: "unknown",
            outcome: Known::Unknown,
            detail: "control did not answer in time".to_owned(),
            what_to_do: "look at /v1/status whether it is asked for, and repeat it if not",
        }),
    }
}

/// Asks for something: it is on disk here, and the cluster decides on it next.
async fn ask_for(door: &Door, wanted: Command) -> Result<(StatusCode, Json<Json_>), Problem> {
    command(door, wanted).await?;
    let asked = json!({
        "asked": true,
        "detail": "it is asked for, on disk here; the cluster decides on it next: /v1/status shows how that went",
    });
    Ok((StatusCode::ACCEPTED, Json(asked)))
}

type Asked = Result<(StatusCode, Json<Json_>), Problem>;

/// `GET /v1/ring/plan`
pub(super) async fn plan(State(door): State<Door>) -> Result<Json<Json_>, Problem> {
    match command(&door, Command::Plan).await? {
        Answer::Plan(plan) => Ok(Json(shown(&plan))),
        Answer::Asked | Answer::Status(_) => unreachable!("it was asked for a plan"),
    }
}

fn shown(plan: &Plan) -> Json_ {
    let layout = plan.layout();
    let nodes: Vec<Json_> = plan
        .nodes()
        .iter()
        .map(|it| {
            json!({
                "node": it.node.to_string(),
                "share": it.share,
                "before": it.before,
                "after": it.after,
            })
        })
        .collect();
    let transfers: Vec<Json_> = plan
        .transfers(|_partition| 0)
        .iter()
        .map(|it| {
            json!({
                "from": it.from.to_string(),
                "to": it.to.to_string(),
                "partitions": it.partitions,
            })
        })
        .collect();
    json!({
        "layout": {"epoch": layout.epoch(), "version": layout.version()},
        "nodes": nodes,
        "moves": plan.moves().len(),
        "moves_min": plan.moves_min(),
        "transfers": transfers,
        "warnings": plan.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// `POST /v1/ring/commit`
pub(super) async fn commit(State(door): State<Door>) -> Asked {
    ask_for(&door, Command::Commit).await
}

/// `POST /v1/ring/clear`
pub(super) async fn clear(State(door): State<Door>) -> Asked {
    ask_for(&door, Command::Clear).await
}

/// The body of `PUT /v1/ring/placement`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlacementGiven {
    replicas: u8,
    spread: SpreadOver,
}

/// A spread's name.
pub(super) fn spread_name(spread: Spread) -> &'static str {
    match spread {
        Spread::Nodes => "nodes",
        Spread::Zones => "zones",
        Spread::Regions => "regions",
    }
}

/// `PUT /v1/ring/placement`
pub(super) async fn placement(
    State(door): State<Door>,
    Given(given): Given<PlacementGiven>,
) -> Asked {
    let spread = match given.spread {
        SpreadOver::Nodes => Spread::Nodes,
        SpreadOver::Zones => Spread::Zones,
        SpreadOver::Regions => Spread::Regions,
    };
    let placement = PlacementPolicy { replicas: given.replicas, spread };
    ask_for(&door, Command::Placement(placement)).await
}

/// The body of `POST /v1/moves/give-up`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GiveUpGiven {
    owners: u8,
}

/// `POST /v1/moves/give-up`
pub(super) async fn give_up(State(door): State<Door>, Given(given): Given<GiveUpGiven>) -> Asked {
    ask_for(&door, Command::GiveUp { owners: given.owners }).await
}

/// The body of `PATCH /v1/nodes/{node}`: one of the two, for each is decided by itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeGiven {
    #[serde(default)]
    weight: Option<u32>,
    #[serde(default)]
    zone: Option<Zone>,
}

/// `PATCH /v1/nodes/{node}`
pub(super) async fn change_node(
    State(door): State<Door>,
    Path(node): Path<String>,
    Given(given): Given<NodeGiven>,
) -> Asked {
    let node = node_id(&node)?;
    match (given.weight, given.zone) {
        (Some(weight), None) => ask_for(&door, Command::Weight { node, weight }).await,
        (None, Some(Zone(place))) => {
            let place = Place::new(place.region(), place.zone()).map_err(Problem::bad)?;
            ask_for(&door, Command::Place { node, place }).await
        }
        (Some(_), Some(_)) | (None, None) => {
            Err(Problem::bad("give weight or zone, one of them: each is asked for by itself"))
        }
    }
}

/// `POST /v1/nodes/{node}/leave`
pub(super) async fn leave(State(door): State<Door>, Path(node): Path<String>) -> Asked {
    ask_for(&door, Command::Leave { node: node_id(&node)? }).await
}

/// `POST /v1/nodes/{node}/stay`
pub(super) async fn stay(State(door): State<Door>, Path(node): Path<String>) -> Asked {
    ask_for(&door, Command::Stay { node: node_id(&node)? }).await
}

/// The body of what loses data.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodesGiven {
    nodes: Vec<String>,
    /// The operator knows what this costs.
    data_may_be_lost: bool,
}

impl NodesGiven {
    fn read(&self) -> Result<Vec<NodeId>, Problem> {
        if !self.data_may_be_lost {
            return Err(Problem::bad(
                "what only these nodes hold is lost: say data_may_be_lost: true if that is meant",
            ));
        }
        self.nodes.iter().map(|node| node_id(node)).collect()
    }
}

/// `POST /v1/nodes/remove`
pub(super) async fn remove(State(door): State<Door>, Given(given): Given<NodesGiven>) -> Asked {
    let nodes = given.read()?;
    if nodes.is_empty() {
        return Err(Problem::bad("give at least one node"));
    }
    ask_for(&door, Command::Remove { nodes }).await
}

/// The body of `POST /v1/nodes/{node}/replace`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplaceGiven {
    /// The newcomer.
    by: String,
    /// The operator knows what this costs.
    data_may_be_lost: bool,
}

/// `POST /v1/nodes/{node}/replace`
pub(super) async fn replace(
    State(door): State<Door>,
    Path(node): Path<String>,
    Given(given): Given<ReplaceGiven>,
) -> Asked {
    let (old, new) = (node_id(&node)?, node_id(&given.by)?);
    NodesGiven { nodes: Vec::new(), data_may_be_lost: given.data_may_be_lost }.read()?;
    ask_for(&door, Command::Replace { old, new }).await
}

/// `POST /v1/force`
pub(super) async fn force(State(door): State<Door>, Given(given): Given<NodesGiven>) -> Asked {
    let removed = given.read()?;
    ask_for(&door, Command::Force { removed }).await
}

/// `GET /v1/buckets`: what is in force.
pub(super) async fn buckets(State(door): State<Door>) -> Result<Json<Json_>, Problem> {
    let view = view_of(&door)?;
    let buckets: Vec<Json_> = view
        .decision
        .layout()
        .snapshot()
        .buckets()
        .map(|(name, policy)| bucket(name.as_str(), policy))
        .collect();
    Ok(Json(json!({"buckets": buckets})))
}

fn bucket(name: &str, policy: &BucketPolicy) -> Json_ {
    let kind = match policy.kind {
        BucketKind::Strict => "strict",
        BucketKind::Sloppy => "sloppy",
        BucketKind::Strong => "strong",
    };
    let expiry = policy.expiry_millis.map(|it| Span(Duration::from_millis(it.get())).to_string());
    json!({
        "name": name,
        "kind": kind,
        "replicas": policy.replicas,
        "write": policy.write.name(),
        "read": policy.read.name(),
        "expiry": expiry,
    })
}

/// A kind by its name.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KindGiven {
    Strict,
    Sloppy,
    Strong,
}

/// The body of `PUT /v1/buckets/{name}`: what is left out stays, or is the default of a new bucket.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BucketGiven {
    #[serde(default)]
    kind: Option<KindGiven>,
    #[serde(default)]
    replicas: Option<u8>,
    #[serde(default)]
    write: Option<String>,
    #[serde(default)]
    read: Option<String>,
    /// `"0s"` for never.
    #[serde(default)]
    expiry: Option<Span>,
}

/// `PUT /v1/buckets/{name}`
pub(super) async fn set_bucket(
    State(door): State<Door>,
    LastInPath(name): LastInPath,
    Given(given): Given<BucketGiven>,
) -> Asked {
    let view = view_of(&door)?;
    let mut policy = view.policy(name.as_bytes()).cloned().unwrap_or_default();
    if let Some(kind) = given.kind {
        policy.kind = match kind {
            KindGiven::Strict => BucketKind::Strict,
            KindGiven::Sloppy => BucketKind::Sloppy,
            KindGiven::Strong => BucketKind::Strong,
        };
    }
    let named = |name: Option<String>| name.as_deref().map(level).transpose();
    let replace = |old: &mut Level, new: Option<Level>| *old = new.unwrap_or(*old);
    policy.replicas = given.replicas.unwrap_or(policy.replicas);
    replace(&mut policy.write, named(given.write)?);
    replace(&mut policy.read, named(given.read)?);
    if let Some(Span(time)) = given.expiry {
        let millis = u64::try_from(time.as_millis()).map_err(Problem::bad)?;
        policy.expiry_millis = NonZeroU64::new(millis);
    }
    ask_for(&door, Command::Bucket { name, policy }).await
}
