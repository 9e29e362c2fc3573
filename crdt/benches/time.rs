//! How long operations and encodings take: `cargo bench -p coterie-crdt --bench time`.

mod support;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use support::{
    Prepared, add, context, counter, decode, encode, hash, list, position, push_before, remove,
    score, string,
};

fn operations(criterion: &mut Criterion) {
    type Prepare = fn() -> Box<Prepared>;
    let prepared: [(&str, Prepare); 7] = [
        ("set_100_bytes", string),
        ("incr", counter),
        ("sadd_to_1000", add),
        ("srem_from_1000", remove),
        ("hset_in_1000", hash),
        ("zincrby_in_1000", score),
        ("lpush_to_1000", list),
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

fn positions(criterion: &mut Criterion) {
    let outermost = position();
    criterion.bench_function("list_position_before", |b| {
        b.iter(|| push_before(black_box(&outermost), 1_000_001));
    });
}

criterion_group!(benches, operations, contexts, positions);
criterion_main!(benches);
