//! What may take the place of an owner in one row.

use super::rows::{Rows, vacant};
use super::topology::{Rule, Topology};

/// One slot of a row, seen as something its node could give to another node.
pub(super) struct Swap<'a> {
    topology: &'a Topology,
    row: &'a [u16],
    row_zones: &'a [u16],
    old: &'a [u16],
    zone: u16,
    may_leave_zone: bool,
    may_leave_region: bool,
}

impl<'a> Swap<'a> {
    pub(super) fn new(topology: &'a Topology, rows: &'a Rows, slot: usize) -> Self {
        let width = topology.width;
        let row = slot / width * width..slot / width * width + width;
        let row_zones = &rows.zones[row.clone()];
        let zone = rows.zones[slot];
        let region = topology.region(zone);
        let in_zone = row_zones.iter().filter(|&&other| other == zone).count();
        let in_region = row_zones.iter().filter(|&&other| topology.region(other) == region).count();
        Self {
            topology,
            row: &rows.slots[row.clone()],
            row_zones,
            old: &rows.old[row],
            zone,
            may_leave_zone: in_zone > topology.zone_rule.lower(),
            may_leave_region: in_region > topology.region_rule.lower(),
        }
    }

    /// The slot's zone.
    pub(super) fn zone(&self) -> u16 {
        self.zone
    }

    /// Whether the row stays spread maximally if the slot goes to a node in `zone`.
    pub(super) fn allows_zone(&self, zone: u16) -> bool {
        if zone == self.zone {
            return true;
        }
        if !self.may_leave_zone
            || self.topology.zone_rule == Rule::AtMostOne && self.row_zones.contains(&zone)
        {
            return false;
        }
        let region = self.topology.region(zone);
        let in_region = |&other: &u16| self.topology.region(other) == region;
        region == self.topology.region(self.zone)
            || self.may_leave_region
                && (self.topology.region_rule == Rule::AtLeastOne
                    || !self.row_zones.iter().any(in_region))
    }

    /// What a placement of the slot's `node` costs: 1 if it is new to the partition, 0 if it owned
    /// it before or is the vacancy.
    pub(super) fn cost_of(&self, node: u16) -> u32 {
        u32::from(node != vacant(self.topology) && !self.old.contains(&node))
    }

    /// Whether giving the slot to `node` is a new placement.
    pub(super) fn is_new_to(&self, node: u16) -> bool {
        !self.row.contains(&node) && !self.old.contains(&node)
    }

    /// Nodes that owned the partition before and do not now.
    pub(super) fn former_owners(&self) -> impl Iterator<Item = u16> + use<'a> {
        let (row, vacant) = (self.row, vacant(self.topology));
        self.old.iter().copied().filter(move |node| *node != vacant && !row.contains(node))
    }
}
