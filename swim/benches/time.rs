//! How long a packet takes at a node that knows a thousand others: `cargo bench -p coterie-swim --bench time`.

mod support;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use support::{Prepared, ack, known_gossip, ping, refutation};

type Case = (&'static str, fn() -> Box<Prepared>);

fn packets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packet");
    let repeatable: [Case; 3] =
        [("ping_and_ack", ping), ("ack", ack), ("gossip_of_ten_known", known_gossip)];
    for (name, prepare) in repeatable {
        let mut prepared = prepare();
        group.bench_function(name, |bencher| bencher.iter(|| prepared.handle()));
    }
    group.bench_function("gossip_of_a_refutation", |bencher| {
        bencher.iter_batched_ref(refutation, |prepared| prepared.handle(), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, packets);
criterion_main!(benches);
