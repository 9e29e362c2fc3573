//! Who is who: lives of one node, one after the other, are not two nodes.

use std::time::Duration;

use coterie_swim::simulation::{Cluster, ProcessState};
use coterie_swim::{Parameters, Swim};

const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(100);

/// Each of the others remembers another of its lives when the last begins, which knows of none.
#[test]
fn a_node_that_loses_its_storage_again_and_again_is_not_taken_for_two() {
    for seed in 1..31 {
        let mut cluster = Cluster::converged(6, seed, Parameters::default());
        let seeds: Vec<_> = (1..6)
            .map(|index| {
                let record = cluster.swim(index).map(Swim::own_record).expect("it runs");
                record.attributes.expect("a node has attributes").peer
            })
            .collect();
        for index in (1..6).rev() {
            // This one hears of no later life until the last has begun.
            cluster.suspend(
                index,
                ProcessState::Stopped,
                u32::try_from(index).expect("small") * 10 * SECOND,
            );
            cluster.crash(0);
            cluster.wipe(0);
            if index > 1 {
                cluster.start_with(0, seeds.clone(), Vec::new());
            }
            cluster.run_for(10 * SECOND);
        }
        cluster.start_with(0, seeds, Vec::new());
        let full = cluster.run_until(60 * SECOND, STEP, Cluster::full_view);
        assert!(full.is_some(), "seed {seed}");
    }
}
