//! Time of lookups, encodings and plans.

use std::hint::black_box;

use coterie_ring::{Intent, KeyHash, Layout, NodeState, bootstrap, plan};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

mod fleet;

fn lookups(criterion: &mut Criterion) {
    let layout = fleet::layout(4_096, 1_000);
    let partitioner = layout.partitioner();
    let mut hash = 1_u64;
    criterion.bench_function("owners of a random hash, 4,096 x 3, 1,000 nodes", |bencher| {
        bencher.iter(|| {
            // A Weyl sequence visits rows in no order that a cache could foresee.
            hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let row = layout.row(partitioner.partition(KeyHash(hash)));
            row.iter().map(|&owner| usize::from(owner)).sum::<usize>()
        });
    });
    criterion.bench_function("hash of a key of 16 bytes", |bencher| {
        bencher.iter(|| KeyHash::of(black_box(b"db0"), black_box(b"user:0000:cart-1")));
    });
    let partition = partitioner.partition(KeyHash(hash));
    criterion.bench_function("first fallback, 1,000 nodes", |bencher| {
        bencher.iter(|| layout.fallbacks(black_box(partition)).next());
    });
}

fn encodings(criterion: &mut Criterion) {
    let layout = fleet::layout(4_096, 1_000);
    let bytes = layout.encode();
    criterion.bench_function("encode a layout, 4,096 x 3, 1,000 nodes", |bencher| {
        bencher.iter(|| layout.encode());
    });
    criterion.bench_function("decode and check that layout", |bencher| {
        bencher.iter(|| Layout::decode(black_box(&bytes)));
    });
}

fn without_zone_of(layout: &Layout, node: usize) -> Intent {
    let mut intent = layout.snapshot().clone();
    let lost = fleet::node(node).place;
    for member in layout.members() {
        if member.place == lost {
            let mut node = intent.node(member.id).expect("a member").clone();
            node.state = NodeState::Removed;
            intent.set_node(member.id, node).expect("known");
        }
    }
    intent
}

fn plans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    group.sample_size(20);
    for (partitions, nodes) in [(1_024, 100), (4_096, 1_000), (65_536, 10_000)] {
        let name = |what| format!("{what}, {partitions} partitions, {nodes} nodes");
        let (layout, joined) = fleet::join(partitions, nodes);
        let lost = without_zone_of(&layout, 0);
        group.bench_function(name("afresh"), |bencher| {
            bencher.iter_batched(
                || fleet::intent(nodes),
                |intent| bootstrap(7, fleet::partitioner(partitions), &intent),
                BatchSize::LargeInput,
            );
        });
        group.bench_function(name("one joins"), |bencher| {
            bencher.iter(|| plan(&layout, black_box(&joined)));
        });
        group.bench_function(name("a zone is lost"), |bencher| {
            bencher.iter(|| plan(&layout, black_box(&lost)));
        });
    }
    group.finish();
}

criterion_group!(benches, lookups, encodings, plans);
criterion_main!(benches);
