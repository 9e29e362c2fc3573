//! Storing what other owners send.

use coterie_crdt::{Footprint, Partial, State};
use coterie_wire::Body;
use coterie_wire::peer::write::{Change, WriteAnswer};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::bench::{Bench, same};
use crate::operations::history;

#[test]
fn rows_joined_in_any_order_are_those_of_the_state_that_joined_the_same() {
    let cases = if std::env::var_os("COTERIE_PROOF").is_some() { 10_000 } else { 300 };
    for seed in 0..cases {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut bench = Bench::new(seed);
        let keys = [Bench::key("a"), Bench::key("b"), Bench::key("c")];
        for key in &keys {
            let (states, deltas) = history(&mut random, 40, 6);
            let mut model = State::new();
            for _ in 0..25 {
                let state = &states[random.random_range(0..states.len())];
                let change = match random.random_range(0..4) {
                    0 => {
                        let whole = Partial::extract(state, &Footprint::whole());
                        model.join(state);
                        Change::Whole(whole)
                    }
                    1 => {
                        let some = state.cells().keys().filter(|_| random.random());
                        let partial = Partial::extract(state, &Footprint::cells(some.cloned()));
                        model.join_partial(&partial);
                        Change::Partial(partial)
                    }
                    _ => {
                        let Some(delta) = deltas.get(random.random_range(0..deltas.len().max(1)))
                        else {
                            continue;
                        };
                        model.join_delta(delta);
                        Change::Delta(delta.clone())
                    }
                };
                let answers = bench.write(key, change);
                assert_eq!(answers, [Body::Wrote(WriteAnswer::Stored)], "seed {seed}");
                assert!(same(&bench.state(key), &model), "seed {seed}");
            }
        }
        bench.check(&keys);
    }
}
