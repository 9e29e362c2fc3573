//! Who stands in for owners that are down.

use super::Layout;
use crate::node::NodeId;
use crate::partition::Partition;

/// Nodes that stand in for the owners of a partition, best first.
///
/// The owners of the rows that follow, each once, without the partition's own owners: first those
/// in zones that hold no owner, then the rest. Every member that owns anything comes up.
#[derive(Debug)]
pub struct Fallbacks<'a> {
    layout: &'a Layout,
    partition: Partition,
    /// Position in the table of the next candidate, counted from the partition's own row.
    next: usize,
    other_zones: bool,
    /// One flag per member; owners count as given from the start.
    given: Vec<bool>,
}

impl<'a> Fallbacks<'a> {
    pub(super) fn new(layout: &'a Layout, partition: Partition) -> Self {
        let mut given = vec![false; layout.members.len()];
        for &owner in layout.row(partition) {
            given[usize::from(owner)] = true;
        }
        Self { layout, partition, next: layout.replicas(), other_zones: true, given }
    }

    fn is_in_owners_zone(&self, member: u16) -> bool {
        let zones = &self.layout.zones;
        let zone = zones[usize::from(member)];
        self.layout.row(self.partition).iter().any(|&owner| zones[usize::from(owner)] == zone)
    }
}

impl Iterator for Fallbacks<'_> {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        let table = &self.layout.parts.table;
        let start = self.partition.index() * self.layout.replicas();
        loop {
            if self.next == table.len() {
                if !self.other_zones {
                    return None;
                }
                self.other_zones = false;
                self.next = self.layout.replicas();
                continue;
            }
            let candidate = table[(start + self.next) % table.len()];
            self.next += 1;
            let index = usize::from(candidate);
            if self.given[index] || (self.other_zones && self.is_in_owners_zone(candidate)) {
                continue;
            }
            self.given[index] = true;
            return Some(self.layout.members[index].id);
        }
    }
}
