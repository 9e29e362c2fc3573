//! Members whose death is not settled, and when it will be.

use std::collections::BTreeMap;
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

/// All open doubts, with the time the next one expires.
#[derive(Debug, Default)]
pub(crate) struct Suspicions {
    table: BTreeMap<NodeId, Suspicion>,
    next: Option<Duration>,
}

impl Suspicions {
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Suspicion> {
        self.table.get(&id)
    }

    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        self.next
    }

    pub(crate) fn insert(&mut self, id: NodeId, suspicion: Suspicion) {
        let expires = suspicion.expires;
        self.table.insert(id, suspicion);
        if self.next.is_none_or(|next| expires < next) {
            self.next = Some(expires);
        } else {
            self.rescan();
        }
    }

    pub(crate) fn remove(&mut self, id: NodeId) -> Option<Suspicion> {
        let removed = self.table.remove(&id)?;
        if Some(removed.expires) == self.next {
            self.rescan();
        }
        Some(removed)
    }

    /// Changes every doubt.
    pub(crate) fn update(&mut self, mut change: impl FnMut(NodeId, &mut Suspicion)) {
        for (id, suspicion) in &mut self.table {
            change(*id, suspicion);
        }
        self.rescan();
    }

    /// The doubts that have expired.
    pub(crate) fn expired(&self, now: Duration) -> Vec<NodeId> {
        if self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let due = self.table.iter().filter(|(_, suspicion)| suspicion.expires <= now);
        due.map(|(id, _)| *id).collect()
    }

    fn rescan(&mut self) {
        self.next = self.table.values().map(|suspicion| suspicion.expires).min();
    }
}
