//! Looks for a seed that catches each historical bug, among the first 500 of its profile that hold without it.
//!
//! `sim/tests/mutants.rs` remembers what was found. Arguments: names of bugs, and of a profile; without any, all.
#![expect(clippy::disallowed_methods, reason = "bugs are searched for by two threads")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use coterie_sim::Profile;
use coterie_sim::bugs::Bug;

/// Seeds that are tried for each bug.
const SEEDS_MAX: u64 = 500;

/// How many bugs the seeds have to catch.
const CAUGHT_MIN: usize = 25;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let profile = Profile::ALL.into_iter().find(|it| arguments.iter().any(|arg| arg == it.name()));
    let named = |bug: &Bug| arguments.iter().any(|arg| format!("{bug:?}").contains(arg.as_str()));
    let mut bugs = Bug::all();
    if bugs.iter().any(named) {
        bugs.retain(named);
    }
    let next = AtomicUsize::new(0);
    let search = || {
        let mut missed = Vec::new();
        while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let profile = profile.unwrap_or_else(|| bug.profile());
            match bug.caught(profile, 1..SEEDS_MAX + 1) {
                Some(caught) => {
                    let first = caught.violation.lines().next().unwrap_or_default();
                    eprintln!("{bug:?}: caught by {profile} {}: {first}", caught.seed);
                }
                None => {
                    eprintln!("{bug:?}: NOT caught by {SEEDS_MAX} seeds of {profile}");
                    missed.push(*bug);
                }
            }
        }
        missed
    };
    let missed: Vec<Bug> = thread::scope(|scope| {
        let other = scope.spawn(search);
        let mut missed = search();
        missed.extend(other.join().expect("the search ends"));
        missed
    });
    let caught = bugs.len() - missed.len();
    eprintln!("{caught} of {} bugs are caught by seeds; not {missed:?}", bugs.len());
    assert!(caught >= CAUGHT_MIN.min(bugs.len()), "{CAUGHT_MIN} bugs have to be caught");
}
