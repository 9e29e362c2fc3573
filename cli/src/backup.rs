//! `coterie backup`: a backup of every node under one name; listing, checking, restoring.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::ask::confirm;
use crate::client::{Client, Keep, segment};
use crate::failure::{Failure, Kind};
use crate::members::Members;
use crate::output::{short, table, text};
use crate::program;
use crate::setup::{Global, time};

/// Backups: each node copies its own store while it serves, all under one name.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Have every node make a backup under one name, and wait until all are on disk.
    Create {
        /// The name.
        name: String,
        /// How long a node may take.
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
        wait_within: Duration,
    },
    /// Show which backups there are, and on how many nodes.
    List,
    /// Check every byte of a backup on every node; with --from check a copy in a directory, without any node.
    Verify {
        /// The name.
        #[arg(required_unless_present = "from", conflicts_with = "from")]
        name: Option<String>,
        /// A backup's directory.
        #[arg(long, value_name = "DIRECTORY")]
        from: Option<PathBuf>,
        /// How long a node may take.
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
        wait_within: Duration,
    },
    /// Make a node's data directory of its backup, on the machine where that node is to run, while it does not.
    Restore {
        /// The backup's directory.
        #[arg(long, value_name = "DIRECTORY")]
        from: PathBuf,
        /// The data directory: one that holds no store.
        #[arg(long, value_name = "DIRECTORY")]
        data_dir: PathBuf,
        /// Who goes back: all nodes of a cluster that is gone, or this node alone while the others have gone on.
        #[arg(long, value_enum)]
        scope: Scope,
    },
    /// Delete a backup on every node.
    Remove {
        /// The name.
        name: String,
    },
}

/// Who goes back to a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scope {
    Cluster,
    Node,
}

impl BackupCommand {
    pub(crate) fn carry_out(&self, global: &Global) -> Result<(), Failure> {
        match self {
            BackupCommand::Create { name, wait_within } => create(global, name, *wait_within),
            BackupCommand::List => list(global),
            BackupCommand::Verify { name: Some(name), wait_within, .. } => {
                verify(global, name, *wait_within)
            }
            BackupCommand::Verify { name: None, from, .. } => {
                let from = from.clone().unwrap_or_default().into_os_string();
                run(global, &["backup", "verify"], vec!["--from".into(), from])
            }
            BackupCommand::Restore { from, data_dir, scope } => {
                let scope = match scope {
                    Scope::Cluster => "cluster",
                    Scope::Node => "node",
                };
                let preview = match scope {
                    "cluster" => {
                        "All nodes of the cluster go back to their backups of this name; what was written since is lost, and the cluster they are of must be gone, or out of reach."
                    }
                    _ => {
                        "This node goes back to its backup, and counts nowhere until the others have brought it what it lacks."
                    }
                };
                confirm(global.consent(), preview)?;
                let arguments: Vec<OsString> = vec![
                    "--from".into(),
                    from.into(),
                    "--data-dir".into(),
                    data_dir.into(),
                    "--scope".into(),
                    scope.into(),
                ];
                run(global, &["backup", "restore"], arguments)
            }
            BackupCommand::Remove { name } => remove(global, name),
        }
    }
}

/// What needs no node that runs.
fn run(global: &Global, command: &[&str], mut arguments: Vec<OsString>) -> Result<(), Failure> {
    if global.form() == crate::output::Form::Json {
        arguments.push("--json".into());
    }
    program::run(command, &arguments)
}

/// Asks every node of the cluster at about the same time: what each says, by id.
fn everywhere(
    global: &Global,
    within: Duration,
    ask: impl Fn(&Client) -> Result<Value, Failure> + Sync,
) -> Result<BTreeMap<String, Result<Value, Failure>>, Failure> {
    let client = global.client()?;
    let members = Members::read(&client)?;
    let patient = global.client_for(within, Keep::Nothing)?;
    let nodes: Vec<(String, Option<Client>)> = members
        .present()
        .map(|member| {
            let http = member["announces"]["http"].as_str();
            (text(&member["node"]), http.map(|http| patient.of(http)))
        })
        .collect();
    Ok(std::thread::scope(|scope| {
        let ask = &ask;
        let asked = nodes.into_iter().map(|(id, node)| {
            let asking = scope.spawn(move || match node {
                Some(node) => ask(&node),
                None => Err(Failure::new(Kind::Unavailable, "it is down, and tells no address")),
            });
            (id, asking)
        });
        let asked: Vec<_> = asked.collect();
        let panicked = |_panic| Err(Failure::failed("a thread has failed"));
        asked.into_iter().map(|(id, asking)| (id, asking.join().unwrap_or_else(panicked))).collect()
    }))
}

/// What every node said, and whether all did what they were told. The worst failure is the command's.
fn conclude(
    global: &Global,
    name: &str,
    said: BTreeMap<String, Result<Value, Failure>>,
    well: impl Fn(&Value) -> Result<String, String>,
) -> Result<(), Failure> {
    let (mut rows, mut nodes, mut failed, mut damaged) = (Vec::new(), Vec::new(), None, false);
    for (node, said) in said {
        let (word, shown, body) = match said {
            Ok(body) => match well(&body) {
                Ok(shown) => ("done", shown, body),
                Err(shown) => {
                    damaged = true;
                    ("damaged", shown, body)
                }
            },
            Err(failure) => {
                let (shown, body) = (failure.detail.clone(), failure.json());
                failed = Some(failure);
                ("failed", shown, body)
            }
        };
        rows.push([short(&json!(node)), word.to_owned(), shown]);
        nodes.push(json!({"node": node, "outcome": word, "said": body}));
    }
    let complete = failed.is_none() && !damaged;
    let result = json!({"name": name, "complete": complete, "nodes": nodes});
    global.output().show(&result, || table(["node", "outcome", "says"], rows))?;
    match failed {
        Some(failure) => {
            let detail = format!("not every node did it: {}", failure.detail);
            Err(Failure { detail, ..failure })
        }
        None if damaged => Err(Failure::not_so("a backup is damaged")),
        None => Ok(()),
    }
}

fn create(global: &Global, name: &str, within: Duration) -> Result<(), Failure> {
    let body = json!({"name": name});
    let said = everywhere(global, within, |node| node.post("/v1/backups", &body))?;
    conclude(global, name, said, |made| Ok(sized(made)))
}

/// How large a backup is, for people.
fn sized(made: &Value) -> String {
    let bytes = made["bytes"].as_u64().map_or_else(|| "-".to_owned(), crate::output::bytes);
    format!("{bytes}, {} files", text(&made["files"]))
}

fn verify(global: &Global, name: &str, within: Duration) -> Result<(), Failure> {
    let path = format!("/v1/backups/{}/verify", segment(name.as_bytes()));
    let said = everywhere(global, within, |node| node.post(&path, &json!({})))?;
    conclude(global, name, said, |verified| {
        if verified["whole"] == true {
            return Ok("whole".to_owned());
        }
        let damages = verified["damages"].as_array().into_iter().flatten();
        Err(damages.map(text).collect::<Vec<_>>().join("; "))
    })
}

fn remove(global: &Global, name: &str) -> Result<(), Failure> {
    confirm(global.consent(), &format!("The backup {name:?} would be deleted on every node."))?;
    let path = format!("/v1/backups/{}", segment(name.as_bytes()));
    let said = everywhere(global, global.within(), |node| node.delete(&path))?;
    conclude(global, name, said, |_deleted| Ok("deleted".to_owned()))
}

fn list(global: &Global) -> Result<(), Failure> {
    let said = everywhere(global, global.within(), |node| node.get("/v1/backups"))?;
    let (mut names, mut silent) = (BTreeMap::<String, Vec<Value>>::new(), Vec::new());
    for (node, said) in &said {
        let Ok(listed) = said else {
            silent.push(json!(node));
            continue;
        };
        for backup in listed["backups"].as_array().into_iter().flatten() {
            let mut entry = backup.clone();
            entry["node"] = json!(node);
            entry["directory"] = listed["directory"].clone();
            names.entry(text(&backup["name"])).or_default().push(entry);
        }
    }
    let all = said.len();
    let result = json!({
        "backups": names.iter().map(|(name, on)| json!({"name": name, "nodes": on})).collect::<Vec<_>>(),
        "nodes": all,
        "silent": silent,
    });
    global.output().show(&result, || {
        let rows = names.iter().map(|(name, on)| {
            let bytes: u64 = on.iter().filter_map(|it| it["bytes"].as_u64()).sum();
            [name.clone(), format!("{} of {all}", on.len()), crate::output::bytes(bytes)]
        });
        let mut shown = table(["backup", "nodes", "bytes"], rows);
        for node in &silent {
            shown.push_str(&format!(
                "node {} does not answer: its backups are not shown\n",
                short(node)
            ));
        }
        shown
    })
}
