//! Sessions that were shown less than they had written.

use coterie_sim::{Profile, run};

fn assert_kept(seeds: &[u64]) {
    for seed in seeds {
        let report = run(&Profile::Island.options(*seed), 0);
        assert_eq!(report.violations, Vec::<String>::new(), "seed {seed}");
    }
}

/// All dots of a key counted as learned under its oldest purge epoch, so that a later one, which only a hint had, was taken
/// for purged.
#[test]
fn a_dot_that_is_newer_than_a_purge_is_missed_where_it_is_not() {
    assert_kept(&[37]);
}

/// What every owner had acknowledged a session forgot; then a fallback that no owner could be reached from answered it.
#[test]
fn what_every_owner_has_a_fallback_may_lack() {
    assert_kept(&[3, 8, 9, 10]);
}

/// Who acknowledged a write that was sent anew after a purge did not know its dots where they were live no more.
#[test]
fn an_owner_that_acknowledges_a_write_after_a_purge_has_what_its_session_saw() {
    assert_kept(&[20468]);
}

/// An assignment that too few owners had confirmed was made again after a session had read it and replaced it.
#[test]
fn who_replaces_what_is_being_assigned_does_not_read_it_again() {
    crate::assert_kept(&[9475]);
}
