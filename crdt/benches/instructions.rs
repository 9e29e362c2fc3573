//! How many instructions operations and encodings take, which a noisy machine does not change:
//! `cargo bench -p coterie-crdt --bench instructions` (needs valgrind and gungraun-runner).
#![expect(
    clippy::disallowed_types,
    missing_docs,
    unused_qualifications,
    reason = "of what the benchmark macros expand to"
)]

mod support;

use std::hint::black_box;

use bytes::Bytes;
use coterie_crdt::{Changes, Context};
use gungraun::{library_benchmark, library_benchmark_group, main};
use support::{
    Prepared, add, context, counter, decode, encode, hash, list, position, push_before, remove,
    score, string,
};

#[library_benchmark]
#[bench::set_100_bytes(string())]
#[bench::incr(counter())]
#[bench::sadd_to_1000(add())]
#[bench::srem_from_1000(remove())]
#[bench::hset_in_1000(hash())]
#[bench::zincrby_in_1000(score())]
#[bench::lpush_to_1000(list())]
fn evaluate_and_join(mut key: Box<Prepared>) -> (Changes, Box<Prepared>) {
    (black_box(key.evaluate_and_join()), key)
}

#[library_benchmark]
#[bench::set_100_bytes(string())]
#[bench::incr(counter())]
#[bench::sadd_to_1000(add())]
#[bench::srem_from_1000(remove())]
#[bench::hset_in_1000(hash())]
#[bench::zincrby_in_1000(score())]
#[bench::lpush_to_1000(list())]
fn join(key: Box<Prepared>) -> (Changes, Box<Prepared>) {
    (black_box(key.join()), key)
}

#[library_benchmark]
#[bench::three_actors(context().0)]
fn encode_context(context: Context) -> Vec<u8> {
    black_box(encode(&context))
}

#[library_benchmark]
#[bench::three_actors(context().1)]
fn decode_context(bytes: Bytes) -> Context {
    black_box(decode(&bytes))
}

#[library_benchmark]
#[bench::after_a_million(position())]
fn list_position(outermost: Bytes) -> Bytes {
    black_box(push_before(&outermost, 1_000_001))
}

library_benchmark_group!(name = operations, benchmarks = [evaluate_and_join, join]);
library_benchmark_group!(
    name = encodings,
    benchmarks = [encode_context, decode_context, list_position]
);

main!(library_benchmark_groups = [operations, encodings]);
