//! Historical bugs, switched on one by one, and the first of 500 seeds that hold without them which catches each.
//!
//! A seed needs some luck to meet a bug. Those that none meets are caught by tests of their own (docs/invariants.md).
#![expect(clippy::disallowed_methods, reason = "bugs are searched for by two threads")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use coterie_crdt::mutants::Mutant as Value;
use coterie_protocol::mutants::Mutant as Decision;
use coterie_sim::fleet::Fleet;
use coterie_sim::{Options, Report, run};

/// Seeds that are tried for each bug.
const SEEDS_MAX: u64 = 500;

/// How many bugs the seeds have to catch.
const CAUGHT_MIN: usize = 20;

/// A bug in what values are, or in what nodes decide.
#[derive(Clone, Copy, Debug)]
enum Bug {
    Value(Value),
    Decision(Decision),
}

impl Bug {
    fn run(self, seed: u64) -> Report {
        let options = Options::of(seed);
        match self {
            Bug::Value(mutant) => coterie_crdt::mutants::with_mutant(mutant, || run(&options, 0)),
            Bug::Decision(mutant) => {
                coterie_protocol::mutants::with_mutant(mutant, || run(&options, 0))
            }
        }
    }

    /// The first of `seeds` in which something is wrong, and what.
    fn caught(self, seeds: &[u64]) -> Option<(u64, String)> {
        seeds.iter().find_map(|seed| {
            let violations = self.run(*seed).violations;
            violations.into_iter().next().map(|violation| (*seed, violation))
        })
    }
}

/// Seeds in which nothing is wrong without a bug: only these can tell that one is caught.
fn sound_seeds() -> Vec<u64> {
    let seeds = 1..SEEDS_MAX + 1;
    let violated = Fleet { seeds: seeds.clone(), threads: 2 }.run(Options::of, |_, _| ()).violated;
    seeds.filter(|seed| !violated.contains(seed)).collect()
}

fn main() {
    let seeds = sound_seeds();
    eprintln!("{} of {SEEDS_MAX} seeds hold without a bug", seeds.len());
    let decisions = Decision::ALL.into_iter().map(Bug::Decision);
    let bugs: Vec<Bug> = decisions.chain(Value::ALL.into_iter().map(Bug::Value)).collect();
    let next = AtomicUsize::new(0);
    let missed: Vec<Bug> = thread::scope(|scope| {
        let search = || {
            let mut missed = Vec::new();
            while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
                match bug.caught(&seeds) {
                    Some((seed, violation)) => {
                        let first = violation.lines().next().unwrap_or_default();
                        eprintln!("{bug:?}: caught by seed {seed}: {first}");
                    }
                    None => {
                        eprintln!("{bug:?}: NOT caught by {} seeds", seeds.len());
                        missed.push(*bug);
                    }
                }
            }
            missed
        };
        let other = scope.spawn(search);
        let mut missed = search();
        missed.extend(other.join().expect("the search ends"));
        missed
    });
    let caught = bugs.len() - missed.len();
    eprintln!("{caught} of {} bugs are caught by seeds; not {missed:?}", bugs.len());
    assert!(caught >= CAUGHT_MIN, "{CAUGHT_MIN} bugs have to be caught");
}
