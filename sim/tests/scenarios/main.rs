//! Bugs that seeds have found, each under the claim that it broke.

mod amnesia;
mod membership;
mod sessions;

use coterie_sim::{Options, run};

/// Asserts that seeds with all their kinds of faults are without violations.
fn assert_kept(seeds: &[u64]) {
    for seed in seeds {
        let report = run(&Options::of(*seed), 0);
        assert_eq!(report.violations, Vec::<String>::new(), "seed {seed}");
    }
}
