//! Values that decode and that no replica of ours would have sent: they join, and operations evaluate on
//! what comes of it, without a panic.

mod damaged;
mod operations;
mod values;

use std::collections::BTreeMap;

use bytes::Bytes;
use coterie_crdt::encoding::{decode_delta, decode_partial, encode_delta, encode_partial};
use coterie_crdt::{
    Actor, Address, AddressRange, Cell, Cells, Context, Delta, Dot, Footprint, Kind, Partial,
    Payload, Root, State, adopt_context, sweep,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::operations::{evaluate_on, operations};
use crate::values::{context, delta, partial};

const OWN: Actor = Actor(1);
const WALL_MILLIS: u64 = 1_700_000_000_000;

fn config() -> ProptestConfig {
    let cases = if std::env::var_os("COTERIE_PROOF").is_some() { 20_000 } else { 200 };
    let rng_seed = RngSeed::Fixed(0x40571);
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn hostile_deltas_join_and_are_operated_on(deltas in prop::collection::vec(delta(), 1..4)) {
        let mut state = State::new();
        for delta in &deltas {
            let decoded = decode_delta(&encode_delta(delta).into());
            prop_assert_eq!(decoded.as_ref(), Ok(delta));
            state.join_delta(delta);
            state.apply(sweep(&state, 1));
        }
        let operations = operations();
        evaluate_on(&state, &state, &operations);
        let partial = Partial::extract(&state, &Footprint::whole().and(Footprint::tallied()));
        evaluate_on(&partial, &state, &operations);
        // Kept in step with the rows through all of that, sums and counts come to what the rows say.
        state.sweep();
        let mut anew = State::new();
        anew.join(&state);
        prop_assert_eq!(anew.digest(), state.digest());
        prop_assert_eq!(anew.cells(), state.cells());
        let counts = |state: &State| state.root().map(|root| root.counts.clone());
        prop_assert_eq!(counts(&anew), counts(&state));
    }

    #[test]
    fn hostile_partial_states_join_and_are_operated_on(
        delta in delta(),
        partials in prop::collection::vec(partial(), 1..3),
        context in context(),
    ) {
        let mut state = State::new();
        state.join_delta(&delta);
        let operations = operations();
        let whole = Footprint::whole().and(Footprint::tallied());
        for partial in &partials {
            let decoded = decode_partial(&encode_partial(partial).into());
            prop_assert_eq!(decoded.as_ref(), Ok(partial));
            evaluate_on(partial, &state, &operations);
            let mut joined = Partial::extract(&state, &whole);
            // Of another footprint in most cases, which is refused.
            let _refused = joined.join(partial);
            let mut joined = partial.clone();
            prop_assert!(joined.join(partial).is_ok());
            evaluate_on(&joined, &state, &operations);
            state.join_partial(partial);
        }
        state.apply(adopt_context(&state, &context));
        evaluate_on(&state, &state, &operations);
        state.sweep();
    }
}

#[test]
fn a_delta_that_adds_a_dot_which_it_deletes_is_refused() {
    let context: Context = [Dot::new(OWN, 1)].into_iter().collect();
    let cell = Cell::from_parts([(Dot::new(OWN, 1), Payload::Present)], []).expect("sorted");
    let cells = [(Address::new(Kind::Member, "a"), cell)];
    assert!(Delta::from_parts(context.clone(), None, cells.clone()).is_some());
    assert!(Delta::from_parts(context.clone(), Some(context), cells).is_none());
}

#[test]
fn a_range_that_ends_before_it_starts_is_refused() {
    let range = |from: &'static [u8], to: &'static [u8]| AddressRange {
        kind: Kind::Member,
        from: Bytes::from_static(from),
        to: Some(Bytes::from_static(to)),
    };
    let of = |range| {
        Partial::from_parts(Root::default(), BTreeMap::new(), vec![range], None, true, false)
    };
    assert!(of(range(b"b", b"a")).is_none());
    let empty = of(range(b"b", b"b")).expect("an empty range is one");
    assert_eq!(decode_partial(&encode_partial(&empty).into()).as_ref(), Ok(&empty));
    State::new().join_partial(&empty);
}
