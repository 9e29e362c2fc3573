//! Assignments in one round trip: owners confirm with the write what it rests on, and where too few do it is made again
//! (decision 0403).

mod harness;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use coterie_crdt::operation::{
    Expire, KeyOperation, Limits, Operation, Reply, SetCondition, StringOperation,
};
use coterie_protocol::Liveness;
use coterie_ring::{BucketPolicy, Level, NodeId};
use coterie_wire::peer::write::WriteAnswer;
use coterie_wire::{Answered, Body, Key, Levels, Outcome, QuorumCount, Request};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use harness::{Cluster, add, key, levels};

fn assign(value: &'static str, condition: SetCondition, get: bool) -> Operation {
    let (value, expire) = (value.into(), Expire::Never);
    Operation::String(StringOperation::Set { value, condition, get, expire })
}

fn set(value: &'static str) -> Operation {
    assign(value, SetCondition::Always, false)
}

/// A key and its three owners.
fn cluster() -> (Cluster, Key, Vec<NodeId>) {
    let (cluster, key) = (Cluster::new(3, BucketPolicy::default()), key("k"));
    let owners = cluster.owners(&key);
    (cluster, key, owners)
}

fn at(levels: Levels, request: Request) -> Request {
    Request { levels, ..request }
}

/// What an owner shows at level `one`.
fn shown(cluster: &mut Cluster, owner: NodeId, key: &Key) -> Reply {
    let read = cluster.request(key, Operation::String(StringOperation::Get));
    let read = at(levels(Level::One, Level::One), read);
    cluster.done(owner, read).replies.remove(0).expect("it is a string")
}

/// How many reads and writes are sent from now on.
fn counts(cluster: &mut Cluster) -> Rc<RefCell<(usize, usize)>> {
    let counts = Rc::new(RefCell::new((0, 0)));
    let counted = Rc::clone(&counts);
    cluster.watch(move |message| match &message.body {
        Body::Read(_) => counted.borrow_mut().0 += 1,
        Body::Write(_) => counted.borrow_mut().1 += 1,
        _ => {}
    });
    counts
}

/// Gives one owner a value that no other has.
fn behind_their_backs(cluster: &mut Cluster, owner: NodeId, key: &Key) -> Answered {
    cluster.lose(move |from, _, message| from == owner && matches!(message.body, Body::Write(_)));
    let request = cluster.request(key, set("theirs"));
    let answered = cluster.done(owner, at(levels(Level::One, Level::One), request));
    cluster.lose(|_, _, _| false);
    cluster.advance(Duration::from_millis(1));
    answered
}

#[test]
fn where_owners_agree_an_assignment_takes_one_round_trip() {
    let (mut cluster, key, owners) = cluster();
    let counts = counts(&mut cluster);
    for (&owner, value) in owners.iter().zip(["a", "b", "c"]) {
        let request = cluster.request(&key, set(value));
        let answered = cluster.done(owner, request);
        assert_eq!(answered.replies, [Ok(Reply::Done)]);
        assert!(answered.owners.len() >= 2, "{answered:?}");
        assert_eq!(std::mem::take(&mut *counts.borrow_mut()), (0, 2));
        for owner in &owners {
            assert_eq!(shown(&mut cluster, *owner, &key), Reply::Value(value.into()));
        }
        counts.take();
    }
    assert!(cluster.is_equal(&key));
}

#[test]
fn what_an_owner_has_beside_is_replaced_although_the_coordinator_had_not_seen_it() {
    let (mut cluster, key, owners) = cluster();
    let theirs = behind_their_backs(&mut cluster, owners[1], &key);
    // The third one is not heard of.
    cluster.cut(owners[2], owners[0]);
    let counts = counts(&mut cluster);
    let request = cluster.request(&key, set("mine"));
    let answered = cluster.done(owners[0], request);
    assert!(counts.borrow().0 > 0, "it was asked what it has");
    assert_eq!(answered.changed.minted.len(), 2, "one is of the removal");
    assert!(answered.changed.observed.covers(&theirs.changed.minted.iter().copied().collect()));
    assert!(cluster.is_equal(&key));
    assert_eq!(cluster.root(owners[2], &key).register.dots().len(), 1, "nothing is left beside");
    assert_eq!(shown(&mut cluster, owners[2], &key), Reply::Value("mine".into()));
}

/// Seed 9475 at 938eaf8: it was assigned again after what had replaced it.
#[test]
fn who_replaces_what_is_being_assigned_does_not_see_it_come_back() {
    let (mut cluster, key, owners) = cluster();
    let (me, other) = (owners[0], owners[1]);
    behind_their_backs(&mut cluster, other, &key);
    cluster.cut(owners[2], me);
    cluster.lose(move |from, to, message| {
        from == other && to == me && matches!(message.body, Body::Shown(_))
    });
    let request = cluster.request(&key, set("mine"));
    let client = cluster.submit(me, request);
    cluster.run();
    assert_eq!(cluster.response(client), None, "nobody has shown it anything");
    assert_eq!(shown(&mut cluster, other, &key), Reply::Value("mine".into()));
    let request = cluster.request(&key, set("next"));
    cluster.done(other, request);
    cluster.lose(|_, _, _| false);
    cluster.advance(Duration::from_secs(1));
    let Some(Outcome::Done(answered)) = cluster.response(client) else { panic!("it is done") };
    assert_eq!(answered.changed.minted.len(), 1, "nothing was left to be removed");
    cluster.advance(Duration::from_secs(1));
    for owner in owners {
        assert_eq!(shown(&mut cluster, owner, &key), Reply::Value("next".into()));
    }
}

/// A value that comes after it by its stamp, and has not seen it, may have been acknowledged before it: clocks differ.
#[test]
fn what_seems_to_come_after_an_assignment_is_replaced_although_it_may_have_come_before() {
    let (mut cluster, key, owners) = cluster();
    cluster.now.wall_millis += 400;
    let theirs = behind_their_backs(&mut cluster, owners[1], &key);
    cluster.now.wall_millis -= 400;
    cluster.cut(owners[2], owners[0]);
    let request = cluster.request(&key, set("mine"));
    let answered = cluster.done(owners[0], request);
    assert!(answered.changed.observed.covers(&theirs.changed.minted.iter().copied().collect()));
    for owner in owners {
        assert_eq!(shown(&mut cluster, owner, &key), Reply::Value("mine".into()));
    }
}

/// Only the owner that has them tells that there are any.
#[test]
fn members_that_the_coordinator_had_not_seen_are_deleted() {
    let (mut cluster, key, owners) = cluster();
    let me = owners[0];
    cluster.lose(move |_, to, message| to == me && matches!(message.body, Body::Write(_)));
    let request = cluster.request(&key, add("member"));
    cluster.done(owners[1], request);
    cluster.lose(|_, _, _| false);
    cluster.advance(Duration::from_millis(1));
    let request = cluster.request(&key, set("mine"));
    cluster.done(me, request);
    let get = Operation::String(StringOperation::GetDelete);
    let request = cluster.request(&key, get);
    let replies = cluster.done(owners[1], request).replies;
    assert_eq!(replies, [Ok(Reply::Value("mine".into()))]);
    let request = cluster.request(&key, Operation::Key(KeyOperation::Exists));
    assert_eq!(cluster.done(owners[2], request).replies, [Ok(Reply::Integer(0))]);
}

#[test]
fn operations_that_fail_beside_an_assignment_are_answered_as_they_were() {
    let (mut cluster, key, owners) = cluster();
    behind_their_backs(&mut cluster, owners[1], &key);
    cluster.cut(owners[2], owners[0]);
    let value = vec![7; Limits::default().value_bytes_max + 1].into();
    let (condition, expire) = (SetCondition::Always, Expire::Never);
    let large = StringOperation::Set { value, condition, get: false, expire };
    let request = cluster.request(&key, set("mine"));
    let operations = vec![set("mine"), Operation::String(large)];
    let replies = cluster.done(owners[0], Request { operations, ..request }).replies;
    assert!(matches!(replies[..], [Ok(Reply::Done), Err(_)]), "{replies:?}");
}

#[test]
fn a_key_of_which_owners_had_different_things_is_asked_for_first_for_a_while() {
    let (mut cluster, key, owners) = cluster();
    behind_their_backs(&mut cluster, owners[1], &key);
    cluster.cut(owners[2], owners[0]);
    let counts = counts(&mut cluster);
    for (after, reads) in [(0, true), (0, true), (1_000, false)] {
        cluster.advance(Duration::from_millis(after));
        if after == 0 {
            cluster.cut(owners[2], owners[0]);
        } else {
            cluster.heal();
        }
        counts.take();
        let request = cluster.request(&key, set("mine"));
        cluster.done(owners[0], request);
        assert_eq!(counts.take().0 > 0, reads);
    }
}

#[test]
fn an_owner_that_lacks_what_is_replaced_confirms_it() {
    let (mut cluster, key, owners) = cluster();
    behind_their_backs(&mut cluster, owners[0], &key);
    let counts = counts(&mut cluster);
    let request = cluster.request(&key, set("mine"));
    cluster.done(owners[0], request);
    assert_eq!(*counts.borrow(), (0, 2), "once it has what replaced it, it lacks nothing");
    assert!(cluster.is_equal(&key));
}

#[test]
fn what_was_stored_and_not_confirmed_in_time_is_unknown() {
    for answers in [false, true] {
        let (mut cluster, key, owners) = cluster();
        behind_their_backs(&mut cluster, owners[1], &key);
        let (me, other) = (owners[0], owners[1]);
        cluster.cut(owners[2], me);
        // It answers the write, or not even that; and no read.
        cluster.lose(move |from, to, message| {
            let answer = matches!(message.body, Body::Wrote(_)) && answers;
            from == other && to == me && !answer
        });
        let request = cluster.request(&key, set("mine"));
        let Outcome::Unknown { count, changed } = cluster.ask(me, request) else {
            panic!("it is not known")
        };
        assert_eq!(count, QuorumCount { have: 1 + u8::from(answers), need: 2 });
        let context = cluster.root(me, &key).context;
        assert!(!changed.minted.is_empty());
        assert!(changed.minted.iter().all(|dot| context.contains(*dot)), "it may take effect");
    }
}

#[test]
fn what_is_made_again_and_stored_by_too_few_names_all_that_it_may_have_written() {
    let (mut cluster, key, owners) = cluster();
    behind_their_backs(&mut cluster, owners[1], &key);
    let (me, other) = (owners[0], owners[1]);
    cluster.cut(owners[2], me);
    let mut wrote = 0;
    cluster.lose(move |from, to, message| {
        let is_answer = from == other && to == me && matches!(message.body, Body::Wrote(_));
        wrote += usize::from(is_answer);
        is_answer && wrote > 1
    });
    let request = cluster.request(&key, set("mine"));
    let Outcome::Unknown { changed, .. } = cluster.ask(me, request) else {
        panic!("it is not known")
    };
    assert_eq!(changed.minted.len(), 2, "{changed:?}");
}

#[test]
fn an_owner_of_an_older_version_that_says_no_more_than_stored_is_asked() {
    let (mut cluster, key, owners) = cluster();
    cluster.disturb(|messages| {
        for (_, _, message) in messages {
            if message.body == Body::Wrote(WriteAnswer::StoredSame) {
                message.body = Body::Wrote(WriteAnswer::Stored);
            }
        }
    });
    let counts = counts(&mut cluster);
    let request = cluster.request(&key, set("mine"));
    cluster.done(owners[0], request);
    assert!(counts.borrow().0 > 0);
    assert!(cluster.is_equal(&key));
}

#[test]
fn a_retry_of_what_is_being_made_again_is_answered_with_it() {
    let (mut cluster, key, owners) = cluster();
    behind_their_backs(&mut cluster, owners[1], &key);
    cluster.cut(owners[2], owners[0]);
    let (me, other) = (owners[0], owners[1]);
    cluster.lose(move |from, to, message| {
        from == other && to == me && matches!(message.body, Body::Shown(_))
    });
    let request = cluster.request(&key, set("mine"));
    let first = cluster.submit(me, request.clone());
    cluster.run();
    assert_eq!(cluster.response(first), None, "nobody has shown it anything");
    let second = cluster.submit(me, request);
    cluster.lose(|_, _, _| false);
    cluster.advance(Duration::from_secs(1));
    let outcomes = [first, second].map(|client| cluster.response(client).cloned());
    assert!(matches!(outcomes[0], Some(Outcome::Done(_))), "{outcomes:?}");
    assert_eq!(outcomes[0], outcomes[1]);
}

#[test]
fn what_depends_on_what_there_was_asks_first() {
    let all_there = |cluster: &mut Cluster, operation, levels| {
        let key = key("k");
        let owner = cluster.owners(&key)[0];
        let counts = counts(cluster);
        let request = cluster.request(&key, operation);
        cluster.done(owner, at(levels, request));
        let reads = counts.borrow().0;
        reads > 0
    };
    let default = Levels::default();
    let linearizable = levels(Level::Linearizable, Level::Linearizable);
    for (operation, levels) in [
        (assign("v", SetCondition::IfAbsent, false), default),
        (assign("v", SetCondition::Always, true), default),
        (set("v"), linearizable),
    ] {
        let mut cluster = Cluster::new(3, BucketPolicy::default());
        assert!(all_there(&mut cluster, operation, levels));
    }
    let (mut cluster, key, owners) = cluster();
    cluster.change_view(owners[0], |view| {
        view.members.insert(owners[1], Liveness::Suspect);
    });
    let counts = counts(&mut cluster);
    let request = cluster.request(&key, set("v"));
    cluster.done(owners[0], request);
    assert!(counts.borrow().0 > 0, "not every owner is there");
}

/// What one client writes after the other replaces all that was acknowledged before, whoever coordinates it and whatever
/// that owner has missed.
#[test]
fn what_was_acknowledged_is_replaced_whoever_coordinates_what_comes_after() {
    let mut again = 0;
    for seed in 0..200 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (mut cluster, key, owners) = cluster();
        let counts = counts(&mut cluster);
        for value in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            let lagging = owners[random.random_range(0..owners.len())];
            let loses = random.random_bool(0.7);
            cluster.lose(move |_, to, message| {
                loses && to == lagging && matches!(message.body, Body::Write(_))
            });
            let request = cluster.request(&key, set(value));
            cluster.done(owners[random.random_range(0..owners.len())], request);
            again += counts.take().0;
            let read = cluster.request(&key, Operation::String(StringOperation::GetSiblings));
            let read = cluster.done(owners[random.random_range(0..owners.len())], read);
            let [Ok(Reply::Siblings(siblings, _))] = &read.replies[..] else {
                panic!("seed {seed}: {read:?}")
            };
            assert_eq!(siblings, &[value], "seed {seed}");
            counts.take();
        }
    }
    assert!(again > 100, "{again} owners were asked: too few of these writes met others");
}
