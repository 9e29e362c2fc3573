//! Every historical bug that seeds can catch is caught by one of the first 500 of its profile, which holds without it.
//!
//! The seed that caught it last is tried first. After a change of what happens when, another one may: that is found, and
//! said, and costs some seconds until it is written down here. `cargo run --release -p coterie-sim --example mutants` looks
//! for all of them.
#![expect(clippy::disallowed_methods, reason = "bugs are tried by two threads")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use coterie_crdt::mutants::Mutant as Value;
use coterie_protocol::mutants::Mutant as Decision;
use coterie_sim::Profile;
use coterie_sim::bugs::Bug;

/// Seeds that are tried for each bug.
const SEEDS_MAX: u64 = 500;

const fn decision(mutant: Decision, profile: Profile, seed: u64) -> (Bug, Profile, u64) {
    (Bug::Decision(mutant), profile, seed)
}

const fn value(mutant: Value, profile: Profile, seed: u64) -> (Bug, Profile, u64) {
    (Bug::Value(mutant), profile, seed)
}

/// Which seed of which profile catches which bug: the first of those that hold without it.
const CAUGHT: &[(Bug, Profile, u64)] = &[
    decision(Decision::DoubleCoordination, Profile::Mixed, 2),
    decision(Decision::AckBeforeSync, Profile::Mixed, 1),
    decision(Decision::ExpiredExecuted, Profile::Hot, 1),
    decision(Decision::HintToLeaver, Profile::Mixed, 2),
    decision(Decision::CountedHintDropped, Profile::Island, 94),
    decision(Decision::FallbackActorKept, Profile::Island, 1),
    decision(Decision::ActorsSurviveLoss, Profile::Power, 3),
    decision(Decision::AmnesiacCounts, Profile::Mixed, 243),
    decision(Decision::DotReuseAfterReacquisition, Profile::Forgetting, 52),
    decision(Decision::ConfirmedUnseen, Profile::Mixed, 95),
    decision(Decision::PurgeByClock, Profile::Mixed, 1),
    decision(Decision::PurgeBeforeAllReports, Profile::Mixed, 78),
    decision(Decision::PurgeWithHints, Profile::Island, 9),
    decision(Decision::DropWithoutCompare, Profile::Mixed, 1),
    decision(Decision::EpochNotDurable, Profile::Mixed, 1),
    decision(Decision::DotReuseAfterPurge, Profile::Mixed, 1),
    decision(Decision::ReadWithWriteBack, Profile::Hot, 2),
    decision(Decision::XorLeaf, Profile::Twins, 18),
    value(Value::DotReuse, Profile::Mixed, 1),
    value(Value::DeltaClaimsContext, Profile::Mixed, 1),
    value(Value::PartialClaimsContext, Profile::Mixed, 14),
    value(Value::BothSidesKeep, Profile::Mixed, 1),
    value(Value::DigestOfContextOnly, Profile::Mixed, 116),
    value(Value::DigestWithoutContext, Profile::Mixed, 3),
    value(Value::ResetToZero, Profile::Mixed, 10),
    value(Value::ResetWithoutAmounts, Profile::Mixed, 10),
    value(Value::DotSpansCells, Profile::Large, 1),
    value(Value::NoEventDot, Profile::Mixed, 1),
    value(Value::SettleUncovered, Profile::Forgetting, 2),
    value(Value::RemovalForgotten, Profile::Mixed, 5),
    value(Value::ContextClaimedTooEarly, Profile::Large, 1),
];

/// Runs `look` for each of `all` by two threads, and what they say.
fn each<T: Sync>(all: &[T], look: impl Fn(&T) -> Option<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut said = Vec::new();
        while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            said.extend(look(one));
        }
        said
    };
    thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut said = work();
        said.extend(other.join().expect("it ends"));
        said
    })
}

#[test]
fn bugs_are_caught_within_500_seeds_that_hold_without_them() {
    let wrong = each(CAUGHT, |(bug, profile, seed)| {
        let found = bug.caught(*profile, (*seed..=*seed).chain(1..=SEEDS_MAX));
        let Some(caught) = found else {
            return Some(format!("{bug:?} is not caught by {SEEDS_MAX} seeds of {profile}"));
        };
        let first = caught.violation.lines().next().unwrap_or_default();
        eprintln!("{bug:?}, seed {} of {profile}: {first}", caught.seed);
        None
    });
    assert_eq!(wrong, Vec::<String>::new());
}
