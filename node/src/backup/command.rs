//! `coterie-node backup`: what is done with backups where no node runs.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::bail;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::error::BackupError;
use super::make::list;
use super::manifest::Manifest;
use super::{restore, verify};
use crate::storage::Scope;

/// Checks and restores backups. A running node makes them: POST /v1/backups of its HTTP door, or `coterie backup create`.
#[derive(Clone, Debug, Subcommand)]
pub enum BackupCommand {
    /// List the backups in a directory.
    List {
        /// Where they are: `backups` in the data directory of their node, unless it was told otherwise.
        #[arg(long, value_name = "DIRECTORY")]
        dir: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check every byte of a backup, and say what is wrong with it.
    Verify {
        /// The backup.
        #[arg(long, value_name = "DIRECTORY")]
        from: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a data directory of a backup that is whole.
    ///
    /// A node starts from it with the certificate of the node that the backup is of. It never mints again what it minted
    /// after the backup.
    Restore {
        /// The backup.
        #[arg(long, value_name = "DIRECTORY")]
        from: PathBuf,
        /// The data directory: one that holds no store.
        #[arg(long, value_name = "DIRECTORY")]
        data_dir: PathBuf,
        /// Who goes back.
        #[arg(long, value_enum)]
        scope: ScopeGiven,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Who goes back to a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScopeGiven {
    /// All nodes of the cluster, each to its own backup of one name, and the cluster they are of is gone.
    Cluster,
    /// This node alone; the others have gone on, and bring it what it lacks.
    Node,
}

impl BackupCommand {
    /// Does it.
    ///
    /// # Errors
    /// What is wrong with the backup, the directories, or the output.
    pub fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        match self {
            BackupCommand::List { dir, json } => {
                if !dir.exists() {
                    return Err(BackupError::Missing { path: dir }.into());
                }
                let found = list(&dir)?;
                if json {
                    let backups: Vec<Value> =
                        found.iter().map(|(name, it)| entry(name, it)).collect();
                    writeln!(out, "{}", json!({"backups": backups}))?;
                    return Ok(());
                }
                for (name, manifest) in &found {
                    match manifest {
                        Ok(manifest) => writeln!(out, "{name}: {}", sentence(manifest))?,
                        Err(problem) => writeln!(out, "{name}: damaged: {problem}")?,
                    }
                }
                if found.is_empty() {
                    writeln!(out, "there are no backups in {}", dir.display())?;
                }
            }
            BackupCommand::Verify { from, json } => {
                let verified = verify(&from)?;
                let damages: Vec<String> =
                    verified.damages.iter().map(ToString::to_string).collect();
                if json {
                    let backup = verified.manifest.as_ref().map(summary);
                    let whole = damages.is_empty();
                    let said = json!({"whole": whole, "damages": damages, "backup": backup});
                    writeln!(out, "{said}")?;
                } else {
                    damages.iter().try_for_each(|damage| writeln!(out, "{damage}"))?;
                    if let (Some(manifest), true) = (&verified.manifest, damages.is_empty()) {
                        writeln!(out, "{} is whole: {}", manifest.name, sentence(manifest))?;
                    }
                }
                if !damages.is_empty() {
                    bail!("the backup in {} is damaged", from.display());
                }
            }
            BackupCommand::Restore { from, data_dir, scope, json } => {
                let scope = match scope {
                    ScopeGiven::Cluster => Scope::Cluster,
                    ScopeGiven::Node => Scope::Node,
                };
                let manifest = restore(&from, &data_dir, scope)?;
                if json {
                    writeln!(out, "{}", json!({"restored": true, "backup": summary(&manifest)}))?;
                } else {
                    let (name, node) = (&manifest.name, manifest.identity());
                    writeln!(
                        out,
                        "{name} is restored to {}: start node {node} there, with its certificate",
                        data_dir.display()
                    )?;
                }
            }
        }
        Ok(())
    }
}

/// A backup in a list, as JSON.
pub(crate) fn entry(name: &str, manifest: &Result<Manifest, String>) -> Value {
    match manifest {
        Ok(manifest) => {
            let mut entry = summary(manifest);
            // What it was called when it was made does not matter any more.
            entry["name"] = json!(name);
            entry
        }
        Err(problem) => json!({"name": name, "problem": problem}),
    }
}

/// A backup without its files and digests, as JSON.
pub(crate) fn summary(manifest: &Manifest) -> Value {
    json!({
        "name": manifest.name,
        "cluster": format!("{:032x}", manifest.cluster),
        "node": format!("{:032x}", manifest.node),
        "program": manifest.program,
        "time": manifest.time,
        "layout": manifest.layout,
        "files": manifest.files.len(),
        "bytes": manifest.bytes(),
        "rows": manifest.row_count(),
    })
}

fn sentence(manifest: &Manifest) -> String {
    let made = UNIX_EPOCH + Duration::from_secs(manifest.time);
    let minutes = SystemTime::now().duration_since(made).unwrap_or_default().as_secs() / 60;
    let ago = match minutes {
        0..120 => format!("{minutes} min"),
        120..2_880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1_440),
    };
    format!(
        "node {}, made {ago} ago, {} rows, {} bytes in {} files",
        manifest.identity(),
        manifest.row_count(),
        manifest.bytes(),
        manifest.files.len()
    )
}
