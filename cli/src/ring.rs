//! `coterie ring`: the layout in force, who owns a key, and the layout to come.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::ask::confirm;
use crate::client::segment;
use crate::failure::Failure;
use crate::output::{short, table, text};
use crate::setup::Global;

/// The ring: who owns what, and who is to.
#[derive(Debug, Subcommand)]
pub(crate) enum RingCommand {
    /// Show the layout in force: nodes, their shares, and how many partitions each owns.
    Show {
        /// Show each partition with its owners too.
        #[arg(long)]
        partitions: bool,
    },
    /// Show the owners and fallbacks of a key.
    Owners {
        /// The key.
        key: String,
        /// Its bucket.
        #[arg(long, short, default_value = "db0", env = "COTERIE_BUCKET", hide_env_values = true)]
        bucket: String,
    },
    /// Show the layout that would be decided now, and what it would move.
    Plan,
    /// Decide what is planned.
    Commit,
    /// Take back what is asked for and not in force: nodes' states, weights and places, placement, policies of buckets.
    Clear,
    /// Have other owners: how many, and what they must differ in.
    Placement {
        /// Owners of each partition.
        #[arg(long)]
        replicas: u8,
        /// What owners of a partition must differ in.
        #[arg(long, value_enum)]
        spread: Spread,
    },
}

/// What owners of a partition must differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Spread {
    Nodes,
    Zones,
    Regions,
}

impl RingCommand {
    pub(crate) fn carry_out(&self, global: &Global) -> Result<(), Failure> {
        match self {
            RingCommand::Show { partitions } => show(global, *partitions),
            RingCommand::Owners { key, bucket } => owners(global, key, bucket),
            RingCommand::Plan => plan(global),
            RingCommand::Commit => commit(global),
            RingCommand::Clear => clear(global),
            RingCommand::Placement { replicas, spread } => placement(global, *replicas, *spread),
        }
    }
}

/// How many partitions each node of a layout owns, by its place in the list of nodes.
pub(crate) fn owned(ring: &Value) -> Vec<usize> {
    let nodes = ring["nodes"].as_array().map_or(0, Vec::len);
    let mut owned = vec![0; nodes];
    for owner in
        ring["owners"].as_array().into_iter().flatten().filter_map(Value::as_array).flatten()
    {
        let place = owner.as_u64().and_then(|place| usize::try_from(place).ok());
        if let Some(count) = place.and_then(|place| owned.get_mut(place)) {
            *count += 1;
        }
    }
    owned
}

fn show(global: &Global, partitions: bool) -> Result<(), Failure> {
    let ring = global.client()?.get("/v1/ring")?;
    global.output().show(&ring, || {
        let nodes = ring["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let rows = nodes.iter().zip(owned(&ring)).map(|(node, count)| {
            [
                text(&node["node"]),
                text(&node["state"]),
                text(&node["liveness"]),
                text(&node["weight"]),
                text(&node["place"]),
                count.to_string(),
            ]
        });
        let head = ["node", "state", "liveness", "weight", "place", "partitions"];
        let placement = &ring["placement"];
        let mut shown = table(head, rows);
        shown.push_str(&format!(
            "layout {}.{}: {} partitions, {} owners each, spread over {}; {} slices move\n",
            text(&ring["layout"]["epoch"]),
            text(&ring["layout"]["version"]),
            text(&ring["partitions"]),
            text(&ring["replicas"]),
            text(&placement["spread"]),
            text(&ring["moving"]),
        ));
        if partitions {
            let rows = ring["owners"].as_array().into_iter().flatten().enumerate();
            let rows =
                rows.map(|(partition, owners)| [partition.to_string(), names(nodes, owners)]);
            shown.push_str(&table(["partition", "owners"], rows));
        }
        shown
    })
}

fn names(nodes: &[Value], owners: &Value) -> String {
    let places = owners.as_array().into_iter().flatten().filter_map(Value::as_u64);
    let nodes = places.filter_map(|place| nodes.get(usize::try_from(place).ok()?));
    nodes.map(|node| short(&node["node"])).collect::<Vec<_>>().join(" ")
}

fn owners(global: &Global, key: &str, bucket: &str) -> Result<(), Failure> {
    let path =
        format!("/v1/ring/owners/{}/{}", segment(bucket.as_bytes()), segment(key.as_bytes()));
    let owners = global.client()?.get(&path)?;
    global.output().show(&owners, || {
        let mut rows: Vec<[String; 5]> = Vec::new();
        let mut add = |role: &str, nodes: &Value| {
            for node in nodes.as_array().into_iter().flatten() {
                rows.push([
                    role.to_owned(),
                    text(&node["node"]),
                    text(&node["liveness"]),
                    text(&node["resp"]),
                    text(&node["http"]),
                ]);
            }
        };
        add("owner", &owners["owners"]);
        for set in owners["older_owners"].as_array().into_iter().flatten() {
            add("owner until moved", set);
        }
        add("fallback", &owners["fallbacks"]);
        let (partition, hash) = (text(&owners["partition"]), text(&owners["hash"]));
        let head = ["role", "node", "liveness", "redis", "http"];
        format!("{}partition {partition}, hash {hash}\n", table(head, rows))
    })
}

/// A plan for people.
fn planned(plan: &Value) -> String {
    let rows = plan["nodes"].as_array().into_iter().flatten().map(|it| {
        let share = it["share"].as_f64().map(|share| format!("{share:.1}")).unwrap_or_default();
        [text(&it["node"]), share, text(&it["before"]), text(&it["after"])]
    });
    let mut shown = table(["node", "share", "before", "after"], rows);
    let rows = plan["transfers"].as_array().into_iter().flatten();
    let rows: Vec<_> =
        rows.map(|it| [text(&it["from"]), text(&it["to"]), text(&it["partitions"])]).collect();
    if !rows.is_empty() {
        shown.push('\n');
        shown.push_str(&table(["from", "to", "partitions"], rows));
    }
    let layout = &plan["layout"];
    shown.push_str(&format!(
        "layout {}.{}: {} copies of partitions move; {} is the least that the shares allow\n",
        text(&layout["epoch"]),
        text(&layout["version"]),
        text(&plan["moves"]),
        text(&plan["moves_min"]),
    ));
    for warning in plan["warnings"].as_array().into_iter().flatten() {
        shown.push_str(&format!("warning: {}\n", text(warning)));
    }
    shown
}

fn plan(global: &Global) -> Result<(), Failure> {
    let plan = global.client()?.get("/v1/ring/plan")?;
    global.output().show(&plan, || planned(&plan))
}

fn commit(global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let plan = client.get("/v1/ring/plan")?;
    confirm(global.consent(), &format!("This would be decided:\n{}", planned(&plan)))?;
    let asked = client.post("/v1/ring/commit", &json!({}))?;
    global
        .output()
        .show(&asked, || "It is asked for; `coterie moves` shows how it goes.".to_owned())
}

fn clear(global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let preview =
        "What is asked for and not in force would be taken back; nodes that join stay joining.";
    confirm(global.consent(), preview)?;
    let asked = client.post("/v1/ring/clear", &json!({}))?;
    global.output().show(&asked, || {
        "It is taken back; `coterie members` shows what is asked for now.".to_owned()
    })
}

fn placement(global: &Global, replicas: u8, spread: Spread) -> Result<(), Failure> {
    let spread = match spread {
        Spread::Nodes => "nodes",
        Spread::Zones => "zones",
        Spread::Regions => "regions",
    };
    let preview = format!(
        "Each partition would have {replicas} owners, spread over {spread}: copies of partitions move until that is so."
    );
    confirm(global.consent(), &preview)?;
    let body = json!({"replicas": replicas, "spread": spread});
    let asked = global.client()?.put("/v1/ring/placement", &body)?;
    global
        .output()
        .show(&asked, || "It is asked for; `coterie moves` shows how it goes.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_counted_by_owner_whatever_the_answer_holds() {
        let ring = json!({"nodes": [{}, {}, {}], "owners": [[0, 1], [1, 2], [1], [9, -1, "x"]]});
        assert_eq!(owned(&ring), [1, 3, 1]);
        assert_eq!(owned(&json!({})), [0_usize; 0]);
    }
}
