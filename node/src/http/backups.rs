//! Backups of this node: made, listed, checked, deleted.

use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value as Json_, json};
use tokio::sync::oneshot;

use super::door::Door;
use super::extract::Given;
use super::problem::Problem;
use crate::backup::{self, BackupError, BackupName, Backups, Circumstances, LayoutOf};

/// The body of `POST /v1/backups`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackupGiven {
    name: String,
}

fn name(text: &str) -> Result<BackupName, Problem> {
    text.parse().map_err(|error: BackupError| (&error).into())
}

/// Has something done on a thread of its own, which may take as long as it takes: where the client does not wait, it is
/// done all the same, and where the node stops it is cut off.
async fn carry_out<T: Send + 'static>(
    door: &Door,
    work: impl FnOnce(&Backups) -> Result<T, BackupError> + Send + 'static,
) -> Result<T, Problem> {
    let backups = door.backups().cloned();
    let backups = backups.ok_or_else(|| Problem::not_serving("this node keeps no backups"))?;
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("backup".to_owned());
    let spawned = thread.spawn(move || drop(sender.send(work(&backups))));
    if let Err(error) = spawned {
        return Err(Problem::not_serving(format!("no thread starts: {error}")));
    }
    let done = receiver.await;
    let done = done.map_err(|_gone| Problem::not_serving("the work on the backup was cut off"))?;
    done.map_err(|error| {
        tracing::warn!(%error, "something asked of backups was not done");
        (&error).into()
    })
}

/// `POST /v1/backups`
pub(super) async fn make(
    State(door): State<Door>,
    Given(given): Given<BackupGiven>,
) -> Result<(StatusCode, Json<Json_>), Problem> {
    let name = name(&given.name)?;
    let layout = door.gateway().view().map(|view| {
        let layout = view.decision.layout();
        LayoutOf {
            epoch: layout.epoch(),
            version: layout.version(),
            partitions: layout.partitioner().count(),
            nodes: layout.members().iter().map(|member| member.id).collect(),
        }
    });
    let now = Circumstances { layout, time: SystemTime::now() };
    let manifest = carry_out(&door, move |backups| backups.make(&name, now)).await?;
    tracing::info!(name = manifest.name, bytes = manifest.bytes(), "a backup was made");
    Ok((StatusCode::CREATED, Json(backup::summary(&manifest))))
}

/// `GET /v1/backups`
pub(super) async fn list(State(door): State<Door>) -> Result<Json<Json_>, Problem> {
    let work = |backups: &Backups| Ok((backups.directory().to_owned(), backups.list()?));
    let (directory, found) = carry_out(&door, work).await?;
    let backups: Vec<Json_> =
        found.iter().map(|(name, manifest)| backup::entry(name, manifest)).collect();
    Ok(Json(json!({"directory": directory.display().to_string(), "backups": backups})))
}

/// `GET /v1/backups/{name}`
pub(super) async fn show(
    State(door): State<Door>,
    Path(given): Path<String>,
) -> Result<Json<Json_>, Problem> {
    let name = name(&given)?;
    let manifest = carry_out(&door, move |backups| backups.manifest(&name)).await?;
    Ok(Json(serde_json::to_value(manifest).expect("it has nothing that JSON has not")))
}

/// `DELETE /v1/backups/{name}`
pub(super) async fn remove(
    State(door): State<Door>,
    Path(given): Path<String>,
) -> Result<Json<Json_>, Problem> {
    let name = name(&given)?;
    carry_out(&door, move |backups| backups.delete(&name)).await?;
    Ok(Json(json!({"deleted": given})))
}

/// `POST /v1/backups/{name}/verify`
pub(super) async fn verify(
    State(door): State<Door>,
    Path(given): Path<String>,
) -> Result<Json<Json_>, Problem> {
    let name = name(&given)?;
    let verified = carry_out(&door, move |backups| backups.verify(&name)).await?;
    let damages: Vec<String> = verified.damages.iter().map(ToString::to_string).collect();
    Ok(Json(json!({
        "name": given,
        "whole": damages.is_empty(),
        "damages": damages,
        "backup": verified.manifest.as_ref().map(backup::summary),
    })))
}

impl From<&BackupError> for Problem {
    fn from(error: &BackupError) -> Problem {
        let (status, word, what_to_do) = match error {
            BackupError::Name { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "backup_name", "give another name")
            }
            BackupError::Exists { .. } => (
                StatusCode::CONFLICT,
                "backup_exists",
                "give another name, or DELETE /v1/backups/{name}",
            ),
            BackupError::Missing { .. } => {
                (StatusCode::NOT_FOUND, "no_such_backup", "GET /v1/backups lists what there is")
            }
            BackupError::Busy => {
                (StatusCode::TOO_MANY_REQUESTS, "busy", "wait until the other backup is done")
            }
            BackupError::DiskFull => (
                StatusCode::INSUFFICIENT_STORAGE,
                "disk_full",
                "delete old backups, or free or add disk space",
            ),
            BackupError::Closed => return Problem::not_serving(error),
            BackupError::Damaged { .. } | BackupError::Later { .. } => (
                StatusCode::CONFLICT,
                "backup_damaged",
                "POST /v1/backups/{name}/verify says what is wrong",
            ),
            BackupError::File { .. } | BackupError::Copy { .. } | BackupError::Storage(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "backup_failed",
                "look at the node's disk and log, then try again",
            ),
        };
        // What the operating system says is in the source.
        let mut detail = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            detail = format!("{detail}: {cause}");
            source = cause.source();
        }
        Problem::refused(status, word, detail, what_to_do)
    }
}
