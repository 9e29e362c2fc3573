//! What the moves of a lane wait for, for people.

use coterie_ring::NodeId;
use coterie_wire::Slice;

use super::Moving;
use super::session::Session;
use crate::lane::Shared;

/// Why a new owner is not known to have all of a slice, as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is down.
    Down,
    /// What this node is fenced for is not on its disk yet.
    Fence,
    /// It was asked whether it is ready, and has not said so: perhaps another owner brings it its copy first.
    Offered,
    /// This node's copy is on its way to it.
    Copying,
    /// The last synchronisation with it failed; another one begins soon.
    Failed,
    /// As many synchronisations as may be are under way for other slices.
    Queued,
    /// It has all that this node had, and waits for other owners, or has not said yet that it is complete.
    Others,
}

/// A new owner that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Which slice moves.
    pub slice: Slice,
    /// The new owner.
    pub owner: NodeId,
    /// Why.
    pub cause: Cause,
}

impl Moving {
    /// What moves wait for in which this node has a part, so many at most.
    #[must_use]
    pub fn waits(&self, shared: &Shared, waits_max: usize) -> Vec<Wait> {
        let mut waits = Vec::new();
        for (slice, work) in &self.work {
            let Some(state) = shared.slices.get(slice) else { continue };
            let sets = state.replica.sets();
            if !sets.is_moving() {
                continue;
            }
            let is_complete = |node: &NodeId| {
                work.statuses.get(node).is_some_and(|it| it.complete && it.version == sets.tag())
            };
            let receivers = self.receivers(shared, *slice);
            for owner in sets.newest().members.iter().filter(|node| !is_complete(node)) {
                let cause = match work.sessions.get(owner) {
                    _ if !shared.view.is_live(*owner) => Cause::Down,
                    _ if work.fenced < Some(sets.tag()) => Cause::Fence,
                    Some(Session::Offered { .. }) => Cause::Offered,
                    Some(Session::Running { .. }) => Cause::Copying,
                    Some(Session::Waiting { .. }) => Cause::Failed,
                    Some(Session::Ended { .. }) => Cause::Others,
                    None if receivers.contains(owner) => Cause::Queued,
                    None => Cause::Others,
                };
                if waits.len() == waits_max {
                    return waits;
                }
                waits.push(Wait { slice: *slice, owner: *owner, cause });
            }
        }
        waits
    }
}
