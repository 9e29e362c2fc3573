//! How long operations and encodings take: `cargo bench -p coterie-crdt --bench time`.

mod support;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use support::{Prepared, add, context, counter, decode, encode, remove, string};

fn operations(criterion: &mut Criterion) {
    type Prepare = fn() -> Box<Prepared>;
    let prepared: [(&str, Prepare); 4] = [
        ("set_100_bytes", string),
        ("incr", counter),
        ("sadd_to_1000", add),
        ("srem_from_1000", remove),
    ];
    for (name, prepare) in prepared {
        let mut group = criterion.benchmark_group(name);
        let mut key = prepare();
        group.bench_function("evaluate_and_join", |b| b.iter(|| key.evaluate_and_join()));
        group.bench_function("join", |b| b.iter(|| key.join()));
        group.finish();
    }
}

fn contexts(criterion: &mut Criterion) {
    let (context, encoded) = context();
    let mut group = criterion.benchmark_group("context_of_3_actors");
    group.bench_function("encode", |b| b.iter(|| encode(black_box(&context))));
    group.bench_function("decode", |b| b.iter(|| decode(black_box(&encoded))));
    group.finish();
}

criterion_group!(benches, operations, contexts);
criterion_main!(benches);
