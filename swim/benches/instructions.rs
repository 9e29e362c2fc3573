//! How many instructions a packet takes, which a noisy machine does not change:
//! `cargo bench -p coterie-swim --bench instructions` (needs valgrind and gungraun-runner).
#![expect(
    clippy::disallowed_types,
    missing_docs,
    unused_qualifications,
    reason = "of what the benchmark macros expand to"
)]

mod support;

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use support::{Prepared, ack, known_gossip, ping, refutation};

#[library_benchmark]
#[bench::ping_and_ack(ping())]
#[bench::ack(ack())]
#[bench::gossip_of_ten_known(known_gossip())]
#[bench::gossip_of_a_refutation(refutation())]
fn packet(mut prepared: Box<Prepared>) -> (usize, Box<Prepared>) {
    (black_box(prepared.handle()), prepared)
}

library_benchmark_group!(name = packets, benchmarks = [packet]);

main!(library_benchmark_groups = [packets]);
