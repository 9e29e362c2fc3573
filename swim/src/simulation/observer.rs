//! What consumers on all nodes were told, and when.

use std::time::Duration;

use crate::event::Change;
use crate::identity::NodeId;

/// What a consumer was told of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// Usable: up, or cleared.
    Up,
    /// Suspect.
    Suspect,
    /// Unreachable from there.
    Unreachable,
    /// Down.
    Down,
    /// Left.
    Left,
    /// A new process.
    Restarted,
    /// Its address changed.
    Moved,
}

/// One consumer was told one thing.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// Virtual time.
    pub at: Duration,
    /// The node whose consumer it was, by index.
    pub observer: u32,
    /// Of which node, by index.
    pub subject: u32,
    /// What.
    pub seen: Seen,
}

/// Collects what consumers were told.
#[derive(Debug, Default)]
pub struct Observer {
    /// In order of time.
    pub observations: Vec<Observation>,
    /// What a node was told of itself or of strangers, with its index.
    pub own: Vec<(Duration, u32, Change)>,
}

impl Observer {
    pub(super) fn note(&mut self, at: Duration, observer: u32, change: Change) {
        let (id, seen) = match change {
            Change::Up(id) | Change::Cleared(id) => (id, Seen::Up),
            Change::Suspect(id) => (id, Seen::Suspect),
            Change::Unreachable(id) => (id, Seen::Unreachable),
            Change::Down { id, .. } => (id, Seen::Down),
            Change::Left(id) => (id, Seen::Left),
            Change::Restarted { id, .. } => (id, Seen::Restarted),
            Change::AddressChanged(id) => (id, Seen::Moved),
            Change::LocalHealth(_) | Change::Converged { .. } | Change::AttributesChanged(_) => {
                return;
            }
            Change::SelfAccused
            | Change::SelfIsolated(_)
            | Change::DuplicateIdentity { .. }
            | Change::GenerationRaised(_)
            | Change::ForeignCluster { .. }
            | Change::OtherLayout { .. }
            | Change::LeaveFinished => return self.own.push((at, observer, change)),
        };
        self.observations.push(Observation { at, observer, subject: index_of(id), seen });
    }

    /// How often anybody was told this of a node for which `subject` holds, from `since` on.
    pub fn count(&self, seen: Seen, since: Duration, subject: impl Fn(usize) -> bool) -> usize {
        let told = self.observations.iter().filter(|o| o.seen == seen && o.at >= since);
        told.filter(|o| subject(o.subject as usize)).count()
    }
}

/// Simulated ids end in the node's index.
pub(super) fn index_of(id: NodeId) -> u32 {
    (id.0 & super::NODE_INDEX_MASK) as u32
}
