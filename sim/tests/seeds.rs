//! Many seeds without a violation, and some of them twice.
//!
//! Most mix all kinds of faults; each kind is also run by itself, since mixed seeds give each little time alone.

use std::ops::Range;

use coterie_sim::fault::Fault;
use coterie_sim::fleet::Fleet;
use coterie_sim::{Options, Profile, run};

/// Seeds with all kinds of faults mixed.
const MIXED: Range<u64> = 1..2_001;

/// The same at full size, with none left out.
const MIXED_FULL: Range<u64> = 1..50_001;

/// Seeds of these that are violated yet (docs/performance.md).
const OPEN: &[u64] = &[];

/// Seeds of each kind of fault alone, and of none.
const ALONE: Range<u64> = 1..26;

/// The same at full size.
const ALONE_FULL: Range<u64> = 1..251;

/// Seeds of each profile.
const PUSHED: Range<u64> = 1..11;

/// The same at full size.
const PUSHED_FULL: Range<u64> = 1..501;

fn is_full() -> bool {
    std::env::var_os("COTERIE_PROOF").is_some()
}

/// Runs seeds, of at least 500 operations each, or as many as is said.
fn assert_kept(seeds: Range<u64>, options: impl Fn(u64) -> Options + Sync, what: &str) {
    assert_kept_with(500, seeds, options, what);
}

fn assert_kept_with(
    operations_min: u64,
    seeds: Range<u64>,
    options: impl Fn(u64) -> Options + Sync,
    what: &str,
) {
    let summary = Fleet { seeds, threads: 2 }.run(options, |_, report| {
        for violation in &report.violations {
            eprintln!("{what}, seed {}: {violation}", report.seed);
        }
    });
    eprintln!("{what}: {summary}");
    let operations = summary.counts.operations;
    assert!(operations >= summary.seeds * operations_min, "{what}: {operations} are too few");
    assert_eq!(summary.violated, Vec::<u64>::new(), "{what}: replay with --seed and --only");
}

fn only(seed: u64, fault: Option<Fault>) -> Options {
    let mut options = Options::of(seed);
    options.faults.retain(|other| Some(*other) == fault);
    options
}

#[test]
fn clusters_keep_their_promises_under_each_kind_of_fault() {
    let seeds = || if is_full() { ALONE_FULL } else { ALONE };
    assert_kept(seeds(), |seed| only(seed, None), "no fault");
    for fault in Fault::ALL {
        assert_kept(seeds(), |seed| only(seed, Some(fault)), fault.name());
    }
}

#[test]
fn clusters_keep_their_promises_with_all_kinds_of_faults_mixed() {
    if is_full() {
        return assert_kept(MIXED_FULL, Options::of, "all faults");
    }
    let mut from = MIXED.start;
    for open in OPEN.iter().copied().chain([MIXED.end]) {
        assert_kept(from..open, Options::of, "all faults");
        from = open + 1;
    }
}

#[test]
fn clusters_keep_their_promises_where_one_part_of_them_is_pushed_hard() {
    let seeds = || if is_full() { PUSHED_FULL } else { PUSHED };
    for profile in Profile::ALL.into_iter().filter(|profile| *profile != Profile::Mixed) {
        // What is written of types that no checker knows is not counted.
        assert_kept_with(450, seeds(), |seed| profile.options(seed), profile.name());
    }
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in (1..2_000).step_by(200) {
        let options = Options::of(seed);
        let (one, other) = (run(&options, 0), run(&options, 0));
        assert_eq!(one.trace, other.trace, "seed {seed}");
        assert_eq!(one.counts, other.counts, "seed {seed}");
    }
}
