//! Who is a member, and who is alive.

use coterie_sim::fault::Fault;
use coterie_sim::{Options, run};

use crate::assert_kept;

/// Both seeds restarted before they had saved their members. They knew those who spoke to them by name only, and took
/// them for down for ever.
#[test]
fn whoever_is_heard_is_known_though_all_who_could_tell_have_forgotten() {
    assert_kept(&[669, 969, 993, 1396]);
}

/// A node remembered one that was dead, and others that were removed meanwhile: it asked only these, for ever.
#[test]
fn removed_members_keep_nobody_from_finding_those_who_are_back() {
    let mut options = Options::of(605);
    let kinds = [Fault::Partition, Fault::Join, Fault::Leave, Fault::PowerLossOfAll];
    options.faults.retain(|fault| kinds.contains(fault));
    assert_eq!(run(&options, 0).violations, Vec::<String>::new());
}

/// The remains of two of its earlier lives were taken for a living double, and the node fell silent for good.
#[test]
fn a_node_that_is_wiped_again_and_again_is_not_its_own_double() {
    assert_kept(&[20_203]);
}

/// The power of all failed again and again, each time before members were written down, and the seeds had left.
#[test]
fn where_members_are_is_known_after_the_power_of_all_failed_and_the_seeds_have_left() {
    assert_kept(&[605, 3151, 20400, 32788]);
}

/// The one that was to replace an owner knew only seeds that were gone: two members were left for three replicas.
#[test]
fn fewer_members_than_replicas_are_judged_by_what_they_hold() {
    assert_kept(&[6234]);
}

/// Two owners whose pushes failed each time had a turn at the new one for ever, and the third, for which both waited, never.
#[test]
fn a_move_ends_although_some_pushes_fail_again_and_again() {
    assert_kept(&[6402]);
}

/// A hint was delivered to an owner whose push had just ended: it was gone with that owner.
#[test]
fn what_an_owner_takes_in_as_it_leaves_is_not_gone_with_it() {
    assert_kept(&[6641]);
}
