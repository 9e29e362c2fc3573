//! What operators do while clients work.

use std::collections::BTreeSet;
use std::time::Duration;

use coterie_protocol::control::Command;
use coterie_ring::{BucketKind, BucketPolicy, Level, NodeState};

use super::Cluster;
use super::trouble::Relief;
use crate::cluster::Happening;
use crate::fault::Fault;
use crate::network::NodeIndex;
use crate::workload::Bucket;

/// Nodes that are made in a run at most.
const NODES_MAX: usize = 10;
/// Fewer nodes than this are not left with.
const NODES_MIN: usize = 4;

impl Cluster {
    /// Lets an operator do something; false where that would not be sensible now.
    pub(super) fn operate(&mut self, fault: Fault) -> bool {
        let Some(at) = self.some_running() else { return false };
        match fault {
            Fault::Join => self.join().is_some(),
            Fault::Leave => self.leave(at),
            Fault::Replace => self.replace(at),
            Fault::Weight => self.weigh(at),
            Fault::Policy => {
                let level = *self.troubles.pick(&[Level::One, Level::Quorum, Level::All]);
                let policy = BucketPolicy {
                    replicas: self.options.sloppy_replicas,
                    kind: BucketKind::Sloppy,
                    write: level,
                    ..BucketPolicy::default()
                };
                let name = Bucket::Sloppy.name().to_owned();
                self.command(at, Command::Bucket { name, policy });
                true
            }
            _ => false,
        }
    }

    fn some_running(&mut self) -> Option<NodeIndex> {
        let running: Vec<NodeIndex> =
            (0..self.nodes.len()).filter(|node| self.serves(*node)).collect();
        (!running.is_empty()).then(|| *self.troubles.pick(&running))
    }

    /// A node with an empty disk joins.
    pub fn join(&mut self) -> Option<NodeIndex> {
        if self.nodes.len() >= NODES_MAX {
            return None;
        }
        let index = self.add_node();
        self.start(index);
        Some(index)
    }

    fn leave(&mut self, at: NodeIndex) -> bool {
        let mut active = self.active();
        // The layout may not say yet who was told before to leave, or is lost.
        active.retain(|node| !self.nodes[*node].gone && !self.leaving.contains(node));
        if active.len() < NODES_MIN {
            return false;
        }
        let node = *self.troubles.pick(&active);
        self.leaving.insert(node);
        let node = self.nodes[node].id;
        self.command(at, Command::Leave { node });
        true
    }

    /// The node that may lose data is gone for good; a new one takes its place.
    fn replace(&mut self, at: NodeIndex) -> bool {
        let old = super::trouble::VICTIM;
        let is_owner_alone = self.is_owner_alone(old);
        if self.nodes[old].gone || at == old || is_owner_alone || !self.active().contains(&old) {
            return false;
        }
        let Some(new) = self.join() else { return false };
        self.kill(old);
        self.nodes[old].gone = true;
        self.nodes[old].disk.empty();
        // The new one has to be known before it can be named.
        let wait = Duration::from_millis(300);
        self.queue.after(wait, Happening::Relief(Relief::Replace { old, new, tries: 0 }));
        true
    }

    /// Whether nobody else has what a bucket's keys are to be moved from, or are at: as the first node has all
    /// until others have got it.
    pub(super) fn is_owner_alone(&self, node: NodeIndex) -> bool {
        let Some(decision) = self.decision() else { return true };
        let (layout, id) = (decision.layout(), self.nodes[node].id);
        let counts: BTreeSet<u8> =
            layout.snapshot().buckets().map(|(_, policy)| policy.replicas).collect();
        layout.partitioner().partitions().any(|partition| {
            counts.iter().any(|replicas| {
                let sets = decision.live_sets(partition, *replicas);
                sets.all().iter().any(|set| set.members[..] == [id])
            })
        })
    }

    /// Names the new node for the old one; where that does not come to pass, the old one is removed.
    pub(super) fn name_replacement(&mut self, old: NodeIndex, new: NodeIndex, tries: u32) {
        let moving = self.decision().is_some_and(|decision| decision.moving().len() > 0);
        if !self.is_member(old) && !moving {
            return;
        }
        if let Some(at) = self.some_running() {
            let command = if !self.is_member(old) {
                // Slices of which only the old one had a copy would wait for it for ever. Every write of such
                // a run was acknowledged by two.
                Command::GiveUp { owners: 2 }
            } else if self.is_member(new) || tries > 5 {
                Command::Remove { nodes: vec![self.nodes[old].id] }
            } else {
                Command::Replace { old: self.nodes[old].id, new: self.nodes[new].id }
            };
            self.command(at, command);
        }
        let again = Relief::Replace { old, new, tries: tries + 1 };
        self.queue.after(Duration::from_secs(2), Happening::Relief(again));
    }

    fn weigh(&mut self, at: NodeIndex) -> bool {
        let active = self.active();
        if active.is_empty() {
            return false;
        }
        let node = self.nodes[*self.troubles.pick(&active)].id;
        let weight = u32::try_from(self.troubles.below(50, 201)).expect("it is small");
        self.command(at, Command::Weight { node, weight });
        true
    }

    /// The nodes that the newest layout gives shares.
    pub(super) fn active(&self) -> Vec<NodeIndex> {
        let Some(decision) = self.decision() else { return Vec::new() };
        let members = decision.layout().members().iter();
        let active = members.filter(|member| member.state == NodeState::Active);
        active.filter_map(|member| self.index_of(member.id)).collect()
    }
}
