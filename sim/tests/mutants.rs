//! Every historical bug that seeds can catch is caught by the seed that is remembered for it, which holds without it.
//!
//! `cargo run --release -p coterie-sim --example mutants` looks for other seeds, as the full size does here.
#![expect(clippy::disallowed_methods, reason = "bugs are tried by two threads")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use coterie_crdt::mutants::Mutant as Value;
use coterie_protocol::mutants::Mutant as Decision;
use coterie_sim::bugs::Bug;
use coterie_sim::{Profile, run};

/// Seeds that are tried for each bug at full size.
const SEEDS_MAX: u64 = 500;

const fn decision(mutant: Decision, profile: Profile, seed: u64) -> (Bug, Profile, u64) {
    (Bug::Decision(mutant), profile, seed)
}

const fn value(mutant: Value, profile: Profile, seed: u64) -> (Bug, Profile, u64) {
    (Bug::Value(mutant), profile, seed)
}

/// Which seed of which profile catches which bug: the first of those that hold without it.
const CAUGHT: &[(Bug, Profile, u64)] = &[
    decision(Decision::DoubleCoordination, Profile::Mixed, 1),
    decision(Decision::AckBeforeSync, Profile::Mixed, 1),
    decision(Decision::ExpiredExecuted, Profile::Hot, 1),
    decision(Decision::HintToLeaver, Profile::Mixed, 2),
    decision(Decision::CountedHintDropped, Profile::Island, 10),
    decision(Decision::FallbackActorKept, Profile::Island, 1),
    decision(Decision::ActorsSurviveLoss, Profile::Power, 3),
    decision(Decision::AmnesiacCounts, Profile::Mixed, 35),
    decision(Decision::DotReuseAfterReacquisition, Profile::Forgetting, 13),
    decision(Decision::PurgeByClock, Profile::Mixed, 1),
    decision(Decision::PurgeBeforeAllReports, Profile::Mixed, 145),
    decision(Decision::PurgeWithHints, Profile::Forgetting, 207),
    decision(Decision::DropWithoutCompare, Profile::Mixed, 1),
    decision(Decision::EpochNotDurable, Profile::Mixed, 1),
    decision(Decision::DotReuseAfterPurge, Profile::Mixed, 1),
    decision(Decision::ReadWithWriteBack, Profile::Hot, 2),
    decision(Decision::XorLeaf, Profile::Twins, 3),
    value(Value::DotReuse, Profile::Mixed, 1),
    value(Value::DeltaClaimsContext, Profile::Mixed, 1),
    value(Value::PartialClaimsContext, Profile::Mixed, 113),
    value(Value::BothSidesKeep, Profile::Mixed, 1),
    value(Value::DigestOfContextOnly, Profile::Mixed, 178),
    value(Value::DigestWithoutContext, Profile::Mixed, 1),
    value(Value::ResetToZero, Profile::Mixed, 11),
    value(Value::ResetWithoutAmounts, Profile::Mixed, 11),
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
fn the_seeds_remembered_catch_their_bugs_and_hold_without_them() {
    let wrong = each(CAUGHT, |(bug, profile, seed)| {
        let options = profile.options(*seed);
        let violations = bug.run(&options).violations;
        match violations.first().and_then(|violation| violation.lines().next()) {
            None => Some(format!("{bug:?} is not caught by seed {seed} of {profile}")),
            Some(first) => {
                eprintln!("{bug:?}, seed {seed} of {profile}: {first}");
                let violations = run(&options, 0).violations;
                let what = || format!("seed {seed} of {profile} has {violations:?} without a bug");
                (!violations.is_empty()).then(what)
            }
        }
    });
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn bugs_that_are_caught_are_caught_within_500_seeds() {
    if std::env::var_os("COTERIE_PROOF").is_none() {
        assert!(CAUGHT.iter().all(|(_, _, seed)| *seed <= SEEDS_MAX), "seeds count from 1");
        return;
    }
    let missed = each(CAUGHT, |(bug, profile, _)| {
        let caught = bug.caught(*profile, 1..SEEDS_MAX + 1);
        caught.is_none().then(|| format!("{bug:?} is not caught by {SEEDS_MAX} seeds of {profile}"))
    });
    assert_eq!(missed, Vec::<String>::new());
}
