//! The fleets that the benchmarks plan for: five zones in three regions, weights from 1 to 4.

use coterie_ring::{Intent, Layout, NodeId, NodeIntent, NodeState, Partitioner, Place, bootstrap};

pub(crate) fn partitioner(partitions: usize) -> Partitioner {
    Partitioner::new(partitions).expect("a power of two")
}

pub(crate) fn node(index: usize) -> NodeIntent {
    let zone = index % 5;
    let place = Place::new(&format!("r{}", zone % 3), &format!("z{zone}")).expect("short names");
    let weight = u32::try_from(1 + index / 5 % 4).expect("at most 4");
    NodeIntent { state: NodeState::Active, weight, place }
}

/// Ids in no order with the zones.
pub(crate) fn id(index: usize) -> NodeId {
    NodeId((index as u128 + 1).wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645))
}

pub(crate) fn intent(nodes: usize) -> Intent {
    let mut intent = Intent::new();
    for index in 0..nodes {
        intent.set_node(id(index), node(index)).expect("few enough nodes");
    }
    intent
}

pub(crate) fn layout(partitions: usize, nodes: usize) -> Layout {
    let plan = bootstrap(7, partitioner(partitions), &intent(nodes)).expect("nodes with weights");
    plan.layout().clone()
}

/// A layout, and the intent to add one node.
pub(crate) fn join(partitions: usize, nodes: usize) -> (Layout, Intent) {
    (layout(partitions, nodes), intent(nodes + 1))
}
