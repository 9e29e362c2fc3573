//! Instruction counts of lookups and plans.

#![expect(
    clippy::disallowed_types,
    missing_docs,
    unused_qualifications,
    reason = "of what the macros expand to"
)]

use std::hint::black_box;

use coterie_ring::{Intent, KeyHash, Layout, bootstrap, plan};
use gungraun::prelude::*;

mod fleet;

fn layout() -> Layout {
    fleet::layout(4_096, 1_000)
}

#[library_benchmark]
#[bench::of_1000_nodes(setup = layout)]
fn owners_after_hashing(layout: Layout) -> (usize, Layout) {
    let hash = black_box(KeyHash(0x9e37_79b9_7f4a_7c15));
    let row = layout.row(layout.partitioner().partition(hash));
    (row.iter().copied().map(usize::from).sum(), layout)
}

#[library_benchmark]
fn hash_of_a_key_of_16_bytes() -> KeyHash {
    KeyHash::of(black_box(b"db0"), black_box(b"user:0000:cart-1"))
}

#[library_benchmark]
#[bench::of_1024_partitions_100_nodes(setup = fleet::join, args = [1_024, 100])]
fn plan_a_join(input: (Layout, Intent)) -> usize {
    plan(&input.0, &input.1).map_or(0, |plan| plan.moves().len())
}

#[library_benchmark]
#[bench::of_4096_partitions_1000_nodes(setup = fleet::intent, args = [1_000])]
fn plan_afresh(intent: Intent) -> usize {
    let partitioner = fleet::partitioner(4_096);
    bootstrap(7, partitioner, &intent).map_or(0, |plan| plan.nodes().len())
}

library_benchmark_group!(
    name = lookups,
    benchmarks = [owners_after_hashing, hash_of_a_key_of_16_bytes]
);
library_benchmark_group!(name = plans, benchmarks = [plan_a_join, plan_afresh]);
main!(library_benchmark_groups = [lookups, plans]);
