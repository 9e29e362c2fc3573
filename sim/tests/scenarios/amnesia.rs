//! Who is told that it lost what it acknowledged.

use crate::assert_kept;

/// Late answers told what had been acknowledged since the start, or of the life that had begun with it. Where a majority
/// of the voters was so convicted, none voted any more, and moves that were done never ended.
#[test]
fn whoever_is_slow_to_be_answered_after_a_start_goes_on_voting() {
    assert_kept(&[2, 374, 375, 764, 1130, 1136, 1421]);
}

/// A node that started again asked about a life in which it had said nothing, and nobody told it of its loss.
#[test]
fn whoever_starts_again_before_it_was_told_of_its_loss_is_told_all_the_same() {
    assert_kept(&[593, 1626]);
}

/// Peers that had last heard a run long gone took those who had forgotten it for set back in time.
#[test]
fn whoever_starts_ever_again_has_lost_nothing_by_that() {
    assert_kept(&[5420]);
}

/// A node whose disk had lied started while both others were out of reach, and answered at `one` without what it had lost.
/// Nothing can be done about that, so it is not let start before it can be told.
#[test]
fn who_does_not_know_what_it_lost_starts_where_it_can_be_told() {
    assert_kept(&[297]);
}

/// A storage was put back to a moment after which its node had acknowledged nothing to its peers and had coordinated writes: it was
/// told of no loss, and minted a dot twice.
#[test]
fn whose_storage_goes_back_behind_what_it_coordinated_is_told() {
    assert_kept(&[38364]);
}

/// Of a commit that a storage lacked since it was put back behind its node's back, a peer had heard that lost its power less than a
/// second later, and nobody else. A dot was minted twice.
#[test]
fn a_dot_is_not_minted_twice_though_who_could_tell_has_forgotten() {
    assert_kept(&[3550]);
}
