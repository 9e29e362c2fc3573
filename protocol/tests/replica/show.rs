//! Showing a key to a coordinator.

use coterie_crdt::digest::key_digest;
use coterie_crdt::{Actor, Cells, Dot, Footprint, Kind, Need, Partial, State};
use coterie_protocol::digests::of_shown;
use coterie_ring::moves::Quorum;
use coterie_wire::peer::read::{Digests, Read, ReadAnswer};
use coterie_wire::{Body, Key, SessionDots};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::bench::Bench;
use crate::operations::{evaluate, history, random, root};

fn show(
    bench: &mut Bench,
    key: &Key,
    footprint: &Footprint,
    digests: Option<Digests>,
    session: SessionDots,
) -> ReadAnswer {
    let set = bench.lane.shared().slices[&bench.slice(key)].replica.sets().tag();
    let read = Read {
        key: key.clone(),
        set,
        quorum: Quorum::Majority,
        footprint: footprint.clone(),
        digests,
        session,
        hints: false,
    };
    let message = bench.message(key, Body::Read(Box::new(read)));
    match bench.deliver(message).remove(0) {
        Body::Shown(answer) => answer,
        other => panic!("{other:?}"),
    }
}

/// What an operation answers on the coordinator's rows where the other owner said they are the same, is what
/// it answers on both joined.
#[test]
fn same_is_said_only_where_both_joined_answer_the_same() {
    let cases = if std::env::var_os("COTERIE_PROOF").is_some() { 20_000 } else { 1_000 };
    let (mut same, mut shown) = (0, 0);
    for seed in 0..cases {
        let mut random_bits = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (states, _) = history(&mut random_bits, 25, 4);
        let (mine, theirs) = (&states[0], &states[1]);
        let mut bench = Bench::new(seed);
        let key = Bench::key("k");
        bench.put(&key, theirs);
        let theirs = bench.state(&key);
        for _ in 0..8 {
            let kind = random_bits.random_range(0..5);
            let operation = random(&mut random_bits, kind, 4);
            let footprint = operation.footprint();
            let single = footprint.ranges.is_empty()
                && footprint.derived.is_empty()
                && !footprint.tallied
                && !root(mine).is_counting();
            let partial = Partial::extract(mine, &footprint);
            let digests = Digests {
                key: key_digest(&root(mine)),
                footprint: single.then(|| of_shown(&partial)),
            };
            if root(mine).is_counting() || root(&theirs).is_counting() {
                continue;
            }
            match show(&mut bench, &key, &footprint, Some(digests), SessionDots::default()) {
                ReadAnswer::Same => {
                    let mut joined = mine.clone();
                    joined.join(&theirs);
                    joined.sweep();
                    let (alone, _) = evaluate(mine, 9, &operation, &root(&joined));
                    let (both, _) = evaluate(&joined, 9, &operation, &root(&joined));
                    assert_eq!(alone, both, "seed {seed}: {operation:?}");
                    same += 1;
                }
                ReadAnswer::State(state) => {
                    if !footprint.derived.is_empty() {
                        let mut joined = mine.clone();
                        joined.join_partial(&state);
                        let mut whole = mine.clone();
                        whole.join(&theirs);
                        assert_eq!(joined.cells(), whole.cells(), "seed {seed}");
                    }
                    shown += 1;
                }
                other => panic!("seed {seed}: {other:?}"),
            }
        }
    }
    assert!(same > cases / 10 && shown > cases / 10, "{same} {shown}");
}

#[test]
fn what_a_session_must_see_and_is_not_here_is_said_to_be_lacking() {
    let mut bench = Bench::new(1);
    let key = Bench::key("k");
    let dots = [Dot::new(Actor(5), 1)].into_iter().collect();
    let session = SessionDots::new(dots, 0);
    let answer = show(&mut bench, &key, &Footprint::root(), None, session);
    assert_eq!(answer, ReadAnswer::Lacks);
}

#[test]
fn a_large_key_is_not_shown_but_named() {
    let mut bench = Bench::new(1);
    let key = Bench::key("k");
    let mut state = State::new();
    for first in (0..1_000).step_by(100) {
        let names = (first..first + 100).map(|name| format!("{name}").into()).collect();
        let verb = coterie_crdt::operation::SetVerb::Add(names);
        let add = coterie_crdt::operation::SetOperation::new(verb);
        let add = coterie_crdt::operation::Operation::Set(add);
        let (_, delta) = evaluate(&state, 1, &add, &root(&state));
        state.join_delta(&delta);
    }
    bench.put(&key, &state);
    let digest = key_digest(state.root().unwrap());
    for footprint in [
        Footprint::derived(Need::Counts),
        Footprint::range(coterie_crdt::AddressRange::all(Kind::Member)),
    ] {
        let answer = show(&mut bench, &key, &footprint, None, SessionDots::default());
        assert_eq!(answer, ReadAnswer::Large { digest });
    }
    let one = Footprint::cell(coterie_crdt::Address::new(Kind::Member, "7"));
    let answer = show(&mut bench, &key, &one, None, SessionDots::default());
    assert_eq!(answer, ReadAnswer::State(Box::new(Partial::extract(&state, &one))));
}
