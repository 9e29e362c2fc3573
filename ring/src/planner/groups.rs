//! Indexes that the flow searches: nodes by level, and slots by node.

use std::collections::BTreeMap;
use std::ops::Range;

use super::topology::Topology;

/// Nodes of one level and potential.
#[derive(Default)]
pub(super) struct Group {
    /// The zones that have nodes.
    open: Vec<u16>,
    by_zone: BTreeMap<u16, Vec<u16>>,
}

impl Group {
    pub(super) fn push(&mut self, zone: u16, node: u16) {
        let nodes = self.by_zone.entry(zone).or_insert_with(|| {
            self.open.push(zone);
            Vec::new()
        });
        nodes.push(node);
    }

    /// Zones that may still have nodes, in no order.
    pub(super) fn zones(&self) -> usize {
        self.open.len()
    }

    /// The zone at `position` and its nodes. Emptied ones stay until [`Group::close`].
    pub(super) fn zone(&mut self, position: usize) -> (u16, &mut Vec<u16>) {
        let zone = self.open[position];
        (zone, self.by_zone.get_mut(&zone).expect("open zones are listed"))
    }

    /// The nodes in `zone`.
    pub(super) fn of_zone(&mut self, zone: u16) -> Option<&mut Vec<u16>> {
        self.by_zone.get_mut(&zone)
    }

    /// Drops the zone at `position`; the last takes its place.
    pub(super) fn close(&mut self, position: usize) {
        self.open.swap_remove(position);
    }
}

/// Nodes by (level, potential), then zone.
#[derive(Default)]
pub(super) struct Groups {
    groups: BTreeMap<(u32, u32), Group>,
}

impl Groups {
    pub(super) fn add(&mut self, level: u32, potential: u32, zone: u16, node: u16) {
        self.groups.entry((level, potential)).or_default().push(zone, node);
    }

    pub(super) fn get(&mut self, level: u32, potential: u32) -> Option<&mut Group> {
        self.groups.get_mut(&(level, potential))
    }
}

/// The slots of each node, shuffled, so that what is moved is strided over the table.
#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<usize>,
    /// Where the slots of each node begin; one more entry for the end.
    starts: Vec<usize>,
}

impl Slots {
    /// The slots of `table` by the node in them; the vacancy counts as the last node.
    pub(super) fn collect(table: &[u16], topology: &Topology, seed: u64) -> Self {
        let mut starts = vec![0; topology.nodes() + 2];
        for &node in table {
            starts[usize::from(node) + 1] += 1;
        }
        for node in 1..starts.len() {
            starts[node] += starts[node - 1];
        }
        let mut next = starts.clone();
        let mut slots = vec![0; table.len()];
        let partitions = table.len() / topology.width;
        for step in 0..partitions {
            let partition = shuffled(step, partitions, seed);
            for turn in 0..topology.width {
                let slot = partition * topology.width + (partition + turn) % topology.width;
                let end = &mut next[usize::from(table[slot])];
                slots[*end] = slot;
                *end += 1;
            }
        }
        Self { slots, starts }
    }

    pub(super) fn range(&self, node: u16) -> Range<usize> {
        let node = usize::from(node);
        self.starts[node]..self.starts[node + 1]
    }

    pub(super) fn at(&self, position: usize) -> usize {
        self.slots[position]
    }
}

/// The `step`-th partition of a fixed permutation; `partitions` is a power of two.
fn shuffled(step: usize, partitions: usize, seed: u64) -> usize {
    // An odd factor permutes residues of a power of two; this one is near the golden ratio, so
    // that neighbours of the sequence lie far apart.
    const FACTOR: u64 = 40_503;
    let step = u64::try_from(step).expect("at most 65,536");
    let mask = u64::try_from(partitions - 1).expect("at most 65,535");
    let partition = step.wrapping_mul(FACTOR).wrapping_add(seed) & mask;
    usize::try_from(partition).expect("at most 65,535")
}

/// A well mixed function of `value` (the finaliser of SplitMix64; Steele, Lea and Flood 2014).
pub(super) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
