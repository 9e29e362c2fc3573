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
use support::{Prepared, add, context, counter, decode, encode, remove, string};

#[library_benchmark]
#[bench::set_100_bytes(string())]
#[bench::incr(counter())]
#[bench::sadd_to_1000(add())]
#[bench::srem_from_1000(remove())]
fn evaluate_and_join(mut key: Box<Prepared>) -> (Changes, Box<Prepared>) {
    (black_box(key.evaluate_and_join()), key)
}

#[library_benchmark]
#[bench::set_100_bytes(string())]
#[bench::incr(counter())]
#[bench::sadd_to_1000(add())]
#[bench::srem_from_1000(remove())]
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

library_benchmark_group!(name = operations, benchmarks = [evaluate_and_join, join]);
library_benchmark_group!(name = contexts, benchmarks = [encode_context, decode_context]);

main!(library_benchmark_groups = [operations, contexts]);
