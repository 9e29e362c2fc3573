//! Members whose death is not settled, and when it will be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::identity::NodeId;
use crate::record::Accusers;

/// A doubt about one member.
#[derive(Clone, Debug)]
pub(crate) struct Suspicion {
    /// When this node learned of it.
    pub(crate) since: Duration,
    pub(crate) expires: Duration,
    /// Guards put it off until then.
    pub(crate) not_before: Duration,
    pub(crate) accusers: Accusers,
    /// A death told by others that nobody here suspected: believed in, but shown as a suspicion until
    /// `expires`, because after a split it will be refuted in a moment.
    pub(crate) hearsay: bool,
}

/// All open doubts, by member and by expiry.
#[derive(Debug, Default)]
pub(crate) struct Suspicions {
    table: BTreeMap<NodeId, Suspicion>,
    expiries: BTreeSet<(Duration, NodeId)>,
}

impl Suspicions {
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Suspicion> {
        self.table.get(&id)
    }

    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        self.expiries.first().map(|(expires, _)| *expires)
    }

    pub(crate) fn insert(&mut self, id: NodeId, suspicion: Suspicion) {
        self.remove(id);
        self.expiries.insert((suspicion.expires, id));
        self.table.insert(id, suspicion);
    }

    pub(crate) fn remove(&mut self, id: NodeId) -> Option<Suspicion> {
        let removed = self.table.remove(&id)?;
        self.expiries.remove(&(removed.expires, id));
        Some(removed)
    }

    /// Changes every doubt.
    pub(crate) fn update(&mut self, mut change: impl FnMut(NodeId, &mut Suspicion)) {
        for (id, suspicion) in &mut self.table {
            change(*id, suspicion);
        }
        self.expiries = self.table.iter().map(|(id, doubt)| (doubt.expires, *id)).collect();
    }

    /// The doubts that have expired, first those due first.
    pub(crate) fn expired(&self, now: Duration) -> Vec<NodeId> {
        let due = self.expiries.iter().take_while(|(expires, _)| *expires <= now);
        due.map(|(_, id)| *id).collect()
    }
}
