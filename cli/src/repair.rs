//! `coterie repair`, `hints` and `barrier`: how far owners are from being equal, and having them be so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::client::{Client, Keep, segment};
use crate::data::BUCKET;
use crate::failure::{Failure, Kind};
use crate::members::Members;
use crate::output::{bytes, short, table, text};
use crate::setup::{Global, shown, time};

/// The longest that a node waits for equality in one request.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// Repair runs by itself, always; this looks at it, and hurries it.
#[derive(Debug, Subcommand)]
pub(crate) enum RepairCommand {
    /// Show, over all nodes, which slices have owners that differ, what is not received yet, and what scrubs found.
    Status,
    /// Have all owners synchronise now, and wait until they are equal.
    Now {
        /// How long to wait at most.
        #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
        wait_within: Duration,
    },
}

impl RepairCommand {
    pub(crate) fn carry_out(&self, global: &Global) -> Result<(), Failure> {
        let client = global.client()?;
        match self {
            RepairCommand::Status => status(global, &client),
            RepairCommand::Now { wait_within } => now(global, *wait_within, "all owners are equal"),
        }
    }
}

/// What nodes answer, by id; and the ids of those that do not.
type Told = (Vec<(String, Value)>, Vec<String>);

/// Asks all nodes for the same.
fn each(client: &Client, path: &str) -> Result<Told, Failure> {
    let members = Members::read(client)?;
    let (mut told, mut silent) = (Vec::new(), Vec::new());
    for member in members.present() {
        let id = text(&member["node"]);
        let answer = match member["announces"]["http"].as_str() {
            _ if member["is_this_node"] == true => client.get(path).ok(),
            Some(http) => client.of(http).get(path).ok(),
            None => None,
        };
        match answer {
            Some(answer) => told.push((id, answer)),
            None => silent.push(id),
        }
    }
    Ok((told, silent))
}

/// Slices whose owners show different digests: each slice with what every owner shows.
pub(crate) fn differing(told: &[(String, Value)]) -> Vec<Value> {
    let mut digests: BTreeMap<(u64, u64), BTreeMap<&str, &str>> = BTreeMap::new();
    for (node, repair) in told {
        for slice in repair["slices"].as_array().into_iter().flatten() {
            let name = (slice["partition"].as_u64(), slice["replicas"].as_u64());
            let (Some(partition), Some(replicas)) = name else { continue };
            let digest = slice["digest"].as_str().unwrap_or_default();
            digests.entry((partition, replicas)).or_default().insert(node, digest);
        }
    }
    let differs = digests
        .into_iter()
        .filter(|(_, digests)| digests.values().collect::<BTreeSet<_>>().len() > 1);
    differs
        .map(|((partition, replicas), digests)| {
            json!({"partition": partition, "replicas": replicas, "digests": digests})
        })
        .collect()
}

fn status(global: &Global, client: &Client) -> Result<(), Failure> {
    let (told, silent) = each(client, "/v1/repair")?;
    let sum =
        |name: &str| -> u64 { told.iter().filter_map(|(_, repair)| repair[name].as_u64()).sum() };
    let slices: usize =
        told.iter().map(|(_, repair)| repair["slices"].as_array().map_or(0, Vec::len)).sum();
    let result = json!({
        "nodes": told.len(),
        "copies": slices,
        "differing": differing(&told),
        "unreceived": sum("unreceived"),
        "damaged_keys": sum("damaged_keys"),
        "scrubbed_keys": sum("scrubbed_keys"),
        "scrubbed_leaves": sum("scrubbed_leaves"),
        "silent": silent,
    });
    global.output().show(&result, || {
        let differing = result["differing"].as_array().map_or(0, Vec::len);
        let mut shown = format!(
            "{slices} copies of slices on {} nodes: {differing} slices differ between owners, {} copies are not all received yet.\n\
             Scrubs found {} damaged keys, and repaired what is kept of {} keys and {} leaves.\n",
            told.len(), text(&result["unreceived"]), text(&result["damaged_keys"]),
            text(&result["scrubbed_keys"]), text(&result["scrubbed_leaves"]),
        );
        if differing > 0 {
            shown.push_str("Under load owners differ for moments; repair runs by itself, and `coterie repair now` waits for it.\n");
        }
        for node in &silent {
            shown.push_str(&format!("Node {node} does not answer: its copies are not compared.\n"));
        }
        shown
    })
}

/// Has every node make equal what it owns, one node after the other, and waits for it.
fn now(global: &Global, within: Duration, done: &str) -> Result<(), Failure> {
    let until = Instant::now() + within;
    let client = global.client()?;
    let members = Members::read(&client)?;
    let all: Vec<(String, Option<String>)> = members
        .present()
        .map(|member| {
            (text(&member["node"]), member["announces"]["http"].as_str().map(str::to_owned))
        })
        .collect();
    let bar = ProgressBar::new(all.len() as u64);
    let style = ProgressStyle::with_template(
        "{bar:30} {pos}/{len} nodes have all that their co-owners have ({elapsed})",
    );
    bar.set_style(style.expect("the template is well-formed"));
    let (mut lacking, mut silent) = (Vec::new(), Vec::new());
    for (id, http) in &all {
        bar.tick();
        let left = until.saturating_duration_since(Instant::now()).min(WAIT_MAX);
        let Some(http) = http else {
            silent.push(id.clone());
            continue;
        };
        let asking = global.client_for(left + global.within(), Keep::Nothing)?.of(http);
        match barrier(&asking, &json!({"all": {}}), left) {
            Ok(answer) if answer["equal"] == true => bar.inc(1),
            Ok(answer) => lacking.extend(answer["lacking"].as_array().cloned().unwrap_or_default()),
            Err(failure) if failure.kind == Kind::Unavailable => silent.push(id.clone()),
            Err(failure) => {
                bar.finish_and_clear();
                return Err(failure);
            }
        }
    }
    bar.finish_and_clear();
    let equal = lacking.is_empty() && silent.is_empty();
    let result = json!({"equal": equal, "nodes": all.len(), "lacking": lacking, "silent": silent});
    global.output().show(&result, || human(&result, done))?;
    if equal { Ok(()) } else { Err(Failure::not_so("")) }
}

/// Asks a node to wait for equality. That it does not come about in time is an answer too.
fn barrier(client: &Client, scope: &Value, wait: Duration) -> Result<Value, Failure> {
    client.barrier(&json!({"scope": scope, "wait": shown(wait)}))
}

fn human(result: &Value, done: &str) -> String {
    if result["equal"] == true {
        return format!("{done}.");
    }
    let rows = result["lacking"].as_array().into_iter().flatten().map(|it| {
        [text(&it["partition"]), text(&it["replicas"]), short(&it["owner"]), text(&it["cause"])]
    });
    let mut said = "Not equal yet:\n".to_owned();
    said.push_str(&table(["partition", "replicas", "owner", "cause"], rows));
    for node in result["silent"].as_array().into_iter().flatten() {
        said.push_str(&format!("node {} does not answer\n", text(node)));
    }
    said
}

/// Show the hints that nodes keep for others that are down.
pub(crate) fn hints(global: &Global) -> Result<(), Failure> {
    let (told, silent) = each(&global.client()?, "/v1/hints")?;
    let mut rows = Vec::new();
    for (at, hints) in &told {
        for hint in hints["hints"].as_array().into_iter().flatten() {
            rows.push(json!({
                "at": at, "owner": hint["owner"], "bytes": hint["bytes"], "liveness": hint["liveness"],
            }));
        }
    }
    let total: u64 = rows.iter().filter_map(|row| row["bytes"].as_u64()).sum();
    let result = json!({"hints": rows, "bytes": total, "silent": silent});
    global.output().show(&result, || {
        let lines = result["hints"].as_array().into_iter().flatten().map(|row| {
            let count = bytes(row["bytes"].as_u64().unwrap_or_default());
            [text(&row["at"]), text(&row["owner"]), text(&row["liveness"]), count]
        });
        let mut said = if total == 0 {
            "No hints are kept.\n".to_owned()
        } else {
            table(["kept at", "for", "which is", "bytes"], lines)
        };
        for node in &silent {
            said.push_str(&format!("Node {node} does not answer: its hints are not shown.\n"));
        }
        said
    })
}

/// Wait until all owners of a key, or of everything, are equal.
#[derive(Args, Clone, Debug)]
pub(crate) struct Barrier {
    /// Only for this key.
    key: Option<String>,
    /// Its bucket.
    #[arg(long, short, default_value = BUCKET, env = "COTERIE_BUCKET", hide_env_values = true)]
    bucket: String,
    /// How long to wait at most.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = time)]
    wait_within: Duration,
}

impl Barrier {
    pub(crate) fn carry_out(&self, global: &Global) -> Result<(), Failure> {
        let Some(key) = &self.key else {
            return now(global, self.wait_within, "All owners are equal");
        };
        let client = global.client()?;
        let bucket = segment(self.bucket.as_bytes());
        let owners =
            client.get(&format!("/v1/ring/owners/{bucket}/{}", segment(key.as_bytes())))?;
        let up = |owner: &&Value| owner["liveness"] != "down";
        let owner = owners["owners"].as_array().into_iter().flatten().find(up);
        let http = owner.and_then(|owner| owner["http"].as_str());
        let down = || {
            Failure::new(Kind::Unavailable, "no owner of the key is up")
                .hint("bring one back: `coterie ring owners`")
        };
        let http = http.ok_or_else(down)?;
        let wait = self.wait_within.min(WAIT_MAX);
        let asking = global.client_for(wait + global.within(), Keep::Nothing)?.of(http);
        let scope = json!({"key": {"bucket": self.bucket, "key": key}});
        let answer = barrier(&asking, &scope, wait)?;
        global.output().show(&answer, || human(&answer, "All owners of the key are equal"))?;
        if answer["equal"] == true { Ok(()) } else { Err(Failure::not_so("")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_differ_where_owners_show_different_digests() {
        let of = |slices: &[(u64, &str)]| {
            let slices: Vec<_> = slices
                .iter()
                .map(|(partition, digest)| json!({"partition": partition, "replicas": 3, "digest": digest}))
                .collect();
            json!({"slices": slices})
        };
        let told = [
            ("a".to_owned(), of(&[(1, "x"), (2, "y")])),
            ("b".to_owned(), of(&[(1, "x"), (2, "z")])),
            ("c".to_owned(), of(&[(2, "y")])),
        ];
        let differing = differing(&told);
        assert_eq!(differing.len(), 1);
        assert_eq!(differing[0]["partition"], 2);
        assert_eq!(differing[0]["digests"], json!({"a": "y", "b": "z", "c": "y"}));
    }
}
