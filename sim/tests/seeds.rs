//! Many seeds without a violation, and some of them twice.

use coterie_sim::fleet::Fleet;
use coterie_sim::{Options, run};

/// Seeds of the quick size: what `make test` has time for.
const QUICK: u64 = 2_000;
/// Seeds of the full size.
const FULL: u64 = 50_000;

fn seeds() -> u64 {
    if std::env::var_os("COTERIE_PROOF").is_some() { FULL } else { QUICK }
}

#[test]
fn clusters_keep_their_promises_whatever_goes_wrong() {
    let seeds = 1..seeds() + 1;
    let summary = Fleet { seeds, threads: 2 }.run(Options::of, |summary, report| {
        for violation in &report.violations {
            eprintln!("seed {}: {violation}", report.seed);
        }
        if summary.seeds % 1_000 == 0 {
            eprintln!("{summary}");
        }
    });
    eprintln!("{summary}");
    let least = summary.seeds * 500;
    assert!(summary.counts.operations >= least, "seeds have at least 500 operations");
    assert_eq!(summary.violated, Vec::<u64>::new(), "replay with --seed");
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in (1..seeds()).step_by(200) {
        let options = Options::of(seed);
        let (one, other) = (run(&options, 0), run(&options, 0));
        assert_eq!(one.trace, other.trace, "seed {seed}");
        assert_eq!(one.counts, other.counts, "seed {seed}");
    }
}
