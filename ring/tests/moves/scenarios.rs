//! One move after the other, told by name.

use crate::cluster::node_id;
use coterie_ring::moves::{
    DigestAnswer, Effect, Event, HOLD, LinearizableOutcome, LiveSets, OwnerSet, Quorum,
    ReadRefusal, Replica, SetVersion, Status, WriteAnswer, WriteOutcome, WriteRefusal,
};
use coterie_ring::register::Wire;
use std::time::Duration;

const ZERO: Duration = Duration::ZERO;

fn version(number: u64) -> SetVersion {
    SetVersion { epoch: 0, number }
}

fn set(number: u64, members: &[usize]) -> OwnerSet {
    let members = members.iter().copied().map(node_id).collect();
    OwnerSet { version: version(number), members }
}

fn live(sets: &[OwnerSet], removed: &[usize]) -> LiveSets {
    LiveSets::new(sets.iter().cloned(), removed.iter().copied().map(node_id)).unwrap()
}

fn replica(node: usize, sets: &LiveSets) -> Replica {
    let mut replica = Replica::new(node_id(node), sets.clone(), Quorum::Majority);
    replica.handle(Event::Layout(sets.clone()), ZERO, &mut Vec::new());
    replica
}

fn pushed(replica: &mut Replica, from: usize, number: u64) -> Vec<Effect> {
    let mut effects = Vec::new();
    let event = Event::Pushed { from: node_id(from), fenced: version(number) };
    replica.handle(event, ZERO, &mut effects);
    effects
}

fn complete(replica: &mut Replica, from: usize, number: u64) -> Vec<Effect> {
    let mut effects = Vec::new();
    let status = Status { version: version(number), complete: true, retired: false };
    replica.handle(Event::Status { from: node_id(from), status }, ZERO, &mut effects);
    effects
}

#[test]
fn a_move_from_fence_to_deletion() {
    let before = live(&[set(1, &[0, 1, 2])], &[]);
    let moving = live(&[set(1, &[0, 1, 2]), set(2, &[0, 1, 3])], &[]);
    let mut old = replica(2, &before);
    assert_eq!(old.admit_write(version(1)), Ok(()));

    let mut effects = Vec::new();
    old.handle(Event::Layout(moving.clone()), ZERO, &mut effects);
    let pushes = [0, 1, 3].map(|to| Effect::Push { to: node_id(to) });
    assert_eq!(effects, [&[Effect::Persist], &pushes[..]].concat());
    assert_eq!(old.admit_write(version(1)), Err(WriteRefusal::Stale { current: version(2) }));
    assert_eq!(old.admit_write(version(2)), Ok(()));
    assert_eq!(old.may_answer_read(version(1), Quorum::Majority), Ok(()));
    assert!(old.purge_frozen() && old.may_coordinate(Quorum::Majority));

    let mut new = replica(3, &moving);
    let not_ready = Err(ReadRefusal::NotReady);
    assert_eq!(pushed(&mut new, 0, 2), [Effect::Persist]);
    assert_eq!(pushed(&mut new, 0, 2), []);
    assert_eq!(pushed(&mut new, 1, 1), [Effect::Persist]);
    assert_eq!(new.may_answer_read(version(2), Quorum::Majority), not_ready);
    assert!(!new.may_coordinate(Quorum::Majority));
    assert_eq!(pushed(&mut new, 1, 2), [Effect::Persist]);
    assert_eq!(new.may_answer_read(version(2), Quorum::Majority), Ok(()));
    assert_eq!(new.may_answer_read(version(2), Quorum::All), not_ready);
    assert_eq!(pushed(&mut new, 2, 2), [Effect::Persist, Effect::Announce]);
    assert_eq!(new.may_answer_read(version(2), Quorum::All), Ok(()));

    assert_eq!(complete(&mut old, 0, 2), []);
    assert_eq!(complete(&mut old, 1, 2), []);
    assert_eq!(complete(&mut old, 3, 2), [Effect::Persist, Effect::Announce]);
    assert_eq!(old.admit_write(version(2)), Err(WriteRefusal::Retired));
    let retired = ReadRefusal::Retired { current: version(2) };
    assert_eq!(old.may_answer_read(version(1), Quorum::Count(1)), Err(retired));
    assert!(old.purge_frozen());

    let mut effects = Vec::new();
    for with in [0, 3] {
        old.handle(Event::RootsEqual { with: node_id(with) }, ZERO, &mut effects);
    }
    assert_eq!((effects.len(), old.next_deadline()), (0, Some(HOLD)));
    old.handle(Event::Tick, HOLD, &mut effects);
    assert_eq!(effects, [Effect::Delete]);
}

/// Seed 7975: a new owner lost what it had been brought after all old ones had retired, and the move never ended.
#[test]
fn who_has_retired_brings_a_new_owner_again_what_it_has_lost() {
    let moving = live(&[set(1, &[0, 1]), set(2, &[1, 2])], &[]);
    let mut old = replica(0, &moving);
    complete(&mut old, 1, 2);
    complete(&mut old, 2, 2);
    assert!(old.status().retired);
    let due = |old: &Replica| old.pushes_due().collect::<Vec<_>>();
    // After a restart it has not heard that they are complete, and pushes to nobody who does not say so.
    let mut bytes = Vec::new();
    old.write(&mut bytes);
    for mut old in [old, Replica::read(&mut &bytes[..]).unwrap()] {
        assert_eq!(due(&old), []);
        let status = Status { version: version(2), complete: false, retired: true };
        old.handle(Event::Status { from: node_id(2), status }, ZERO, &mut Vec::new());
        assert_eq!(due(&old), [node_id(2)]);
        complete(&mut old, 2, 2);
        assert_eq!(due(&old), []);
    }
}

#[test]
fn an_unequal_copy_is_kept_however_old() {
    let moving = live(&[set(1, &[0]), set(2, &[1])], &[]);
    let mut old = replica(0, &moving);
    complete(&mut old, 1, 2);
    let mut effects = Vec::new();
    old.handle(Event::Tick, HOLD * 100, &mut effects);
    assert_eq!(effects, []);
}

#[test]
fn quorums_count_over_each_set_and_retired_counts_in_older_ones() {
    let sets = live(&[set(1, &[0]), set(2, &[0, 1, 2])], &[]);
    let stored = |node| (node_id(node), WriteAnswer::Stored);
    let outcome = |answers: &[_]| sets.write_outcome(Quorum::Majority, answers);
    assert_eq!(outcome(&[stored(1), stored(2)]), WriteOutcome::Open);
    assert_eq!(outcome(&[stored(1), stored(2), stored(0)]), WriteOutcome::Done);

    let sets = live(&[set(1, &[0, 1, 2]), set(2, &[3, 4, 5])], &[2]);
    let outcome = |answers: &[_]| sets.write_outcome(Quorum::Majority, answers);
    let retired = (node_id(0), WriteAnswer::Retired);
    assert_eq!(outcome(&[retired, stored(3), stored(3)]), WriteOutcome::Open);
    assert_eq!(outcome(&[retired, stored(3), stored(4)]), WriteOutcome::Done);
    let failed = (node_id(5), WriteAnswer::Failed);
    let new_retired = (node_id(4), WriteAnswer::Retired);
    assert_eq!(outcome(&[stored(0), stored(3), failed, new_retired]), WriteOutcome::Unavailable);
}

#[test]
fn a_removed_pusher_is_excused_and_reported() {
    let sets = live(&[set(1, &[0, 1, 2]), set(2, &[3])], &[2]);
    let mut new = replica(3, &sets);
    pushed(&mut new, 0, 2);
    assert!(!new.status().complete);
    let pushers = [node_id(2)].into_iter().collect();
    let last = pushed(&mut new, 1, 2);
    assert!(last.contains(&Effect::Excused { pushers }) && new.status().complete);

    let sets = live(&[set(1, &[0, 1, 2]), set(2, &[3])], &[1, 2]);
    let mut new = replica(3, &sets);
    pushed(&mut new, 0, 2);
    assert!(!new.status().complete, "a majority write may be on the removed two only");
    let mut effects = Vec::new();
    new.handle(Event::WriteQuorum(Quorum::All), ZERO, &mut effects);
    assert!(new.status().complete && effects.contains(&Effect::Persist));
}

#[test]
fn a_reverted_move_needs_the_pushes_of_both() {
    let sets = live(&[set(1, &[0, 1]), set(2, &[2, 3]), set(3, &[0, 1])], &[]);
    let mut back = replica(0, &sets);
    assert_eq!(back.may_answer_read(version(1), Quorum::All), Ok(()));
    pushed(&mut back, 1, 3);
    pushed(&mut back, 2, 3);
    assert_eq!(back.may_answer_read(version(3), Quorum::All), Err(ReadRefusal::NotReady));
    pushed(&mut back, 3, 3);
    assert_eq!(back.may_answer_read(version(3), Quorum::All), Ok(()));
}

/// Owners of the side of a split that lost are older sets of a forced epoch, whatever their version.
#[test]
fn sets_of_a_lower_epoch_are_older() {
    let winner = OwnerSet { version: SetVersion { epoch: 1, number: 4 }, ..set(4, &[0, 1]) };
    let sets = LiveSets::new([set(9, &[2, 3]), winner.clone()], []).unwrap();
    assert_eq!(sets.newest(), &winner);
    assert_eq!(replica(2, &sets).pushes_due().count(), 2);
    assert!(LiveSets::new([winner, set(9, &[2, 3])], []).is_err());
}

/// The answer of a new owner may be older than the *retired* of an old one.
#[test]
fn after_retired_only_ready_owners_make_a_linearizable_majority() {
    let sets = live(&[set(1, &[0, 1, 2]), set(2, &[3, 4, 5])], &[]);
    let retired = [0, 1].map(|node| (node_id(node), DigestAnswer::Retired));
    let new = |answer| [3, 4].map(|node| (node_id(node), answer));
    let early = [retired, new(DigestAnswer::Equal)].concat();
    assert_eq!(sets.linearizable_outcome(&early), LinearizableOutcome::Open);
    let late = [retired, new(DigestAnswer::EqualAndReady)].concat();
    assert_eq!(sets.linearizable_outcome(&late), LinearizableOutcome::Done);
    let equal = [0, 1].map(|node| (node_id(node), DigestAnswer::Equal));
    let joint = [equal, new(DigestAnswer::Equal)].concat();
    assert_eq!(sets.linearizable_outcome(&joint), LinearizableOutcome::Done);
}

#[test]
fn a_hint_for_a_former_owner_goes_to_all_current_ones() {
    let sets = live(&[set(1, &[0, 1]), set(2, &[1, 2])], &[]);
    assert_eq!(sets.hint_targets(node_id(1)).as_slice(), [node_id(1)]);
    assert_eq!(sets.hint_targets(node_id(2)).as_slice(), [node_id(2)]);
    assert_eq!(sets.hint_targets(node_id(5)).as_slice(), [node_id(1), node_id(2)]);
}

/// Seed 6641: an owner whose push had just ended took in a hint, said that it had pushed, and went. The new owner never had it.
#[test]
fn a_hint_for_an_owner_that_is_leaving_goes_to_the_new_ones_as_well() {
    let sets = live(&[set(1, &[0]), set(2, &[1])], &[]);
    assert_eq!(sets.hint_targets(node_id(0)).as_slice(), [node_id(1), node_id(0)]);
}

#[test]
fn a_status_has_these_bytes() {
    let status =
        Status { version: SetVersion { epoch: 1, number: 300 }, complete: true, retired: false };
    assert_eq!(status.encode(), [1, 1, 0xac, 2, 1]);
    assert_eq!(Status::decode(&[1, 1, 0xac, 2, 1]), Ok(status));
}

#[test]
fn what_was_complete_stays_so_whatever_is_given_up() {
    let one = [set(1, &[0])];
    let two = live(&[set(1, &[0]), set(2, &[0])], &[]);
    let mut owner = replica(0, &live(&one, &[]));
    owner.handle(Event::Layout(two), ZERO, &mut Vec::new());
    assert!(owner.status().complete);
    for fewer in [Quorum::Count(0), Quorum::Count(1)] {
        owner.handle(Event::WriteQuorum(fewer), ZERO, &mut Vec::new());
        assert!(owner.status().complete);
        assert_eq!(Replica::decode(&owner.encode()).unwrap().status(), owner.status());
    }
    let three = live(&[set(1, &[0, 1, 2]), set(2, &[0, 3, 4])], &[]);
    let mut owner = replica(0, &three);
    let mut effects = Vec::new();
    owner.handle(Event::WriteQuorum(Quorum::Count(1)), ZERO, &mut effects);
    assert_eq!(effects, [], "fewer than a majority are ignored");
    owner.handle(Event::WriteQuorum(Quorum::All), ZERO, &mut effects);
    assert!(effects.contains(&Effect::Persist));
}
