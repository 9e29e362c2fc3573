//! Whether a cluster serves and stands still, and waiting for it.

use std::time::{Duration, Instant};

use crate::error::LocalError;
use crate::status::{Condition, NodeStatus, Status};
use crate::web;

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(50);

/// Waits until something is so; whether it was within the time.
pub(crate) fn until(within: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !condition() {
        if began.elapsed() >= within {
            return false;
        }
        // Spurious wakes look again, which does no harm.
        std::thread::park_timeout(EVERY);
    }
    true
}

/// How far a cluster is with getting ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Every node that runs serves, knows all others that run as up, is in the layout, and nothing moves.
    Ready,
    /// Not yet: what is missing, for people.
    Missing(String),
}

/// How far the nodes that run are with getting ready. Nodes that are stopped, killed or paused are not waited for.
///
/// # Errors
/// [`LocalError::Ended`] if one has ended by itself.
pub fn readiness(status: &Status) -> Result<Readiness, LocalError> {
    status.nodes.iter().try_for_each(NodeStatus::check)?;
    let running = || status.nodes.iter().filter(|node| node.condition == Condition::Running);
    let count = running().count();
    if count == 0 {
        return Ok(Readiness::Missing("no node runs".to_owned()));
    }
    for node in running() {
        if let Err(missing) = serves(node, count) {
            return Ok(Readiness::Missing(format!("node {} {missing}", node.number)));
        }
    }
    Ok(Readiness::Ready)
}

fn serves(node: &NodeStatus, running: usize) -> Result<(), String> {
    let get = |path| web::ask(node.http, path, None).ok();
    get("GET /readyz").ok_or("does not serve yet")?;
    let status = get("GET /v1/status").ok_or("does not tell how it is")?;
    let up = &status["members"]["up"];
    if *up != running {
        return Err(format!("knows {up} of {running} nodes as up"));
    }
    let ring = get("GET /v1/ring").ok_or("does not tell its ring")?;
    let active = |node: &serde_json::Value| node["state"] == "active";
    let members =
        ring["nodes"].as_array().map_or(0, |nodes| nodes.iter().filter(|it| active(it)).count());
    if members < running {
        return Err(format!("has {members} of {running} nodes in its layout"));
    }
    // Moves that wait for a node that does not run would be waited for in vain.
    match &ring["moving"] {
        moving if *moving == 0 => Ok(()),
        moving => Err(format!("has {moving} partitions that move")),
    }
}

/// Waits until a cluster is ready; `look` says how it is now, or that there is nothing to be seen yet, and `progress` hears
/// what is missing.
///
/// # Errors
/// [`LocalError::Late`], [`LocalError::Ended`], or what `look` says.
pub fn wait_ready(
    within: Duration,
    mut look: impl FnMut() -> Result<Option<Status>, LocalError>,
    mut progress: impl FnMut(&str),
) -> Result<(), LocalError> {
    let mut last = Ok(Readiness::Missing("nothing was looked at".to_owned()));
    until(within, || {
        last = look().and_then(|status| match status {
            Some(status) => readiness(&status),
            None => Ok(Readiness::Missing("the cluster has not started".to_owned())),
        });
        if let Ok(Readiness::Missing(missing)) = &last {
            progress(missing);
        }
        !matches!(last, Ok(Readiness::Missing(_)))
    });
    match last? {
        Readiness::Ready => Ok(()),
        Readiness::Missing(waiting) => Err(LocalError::Late { within, waiting }),
    }
}
