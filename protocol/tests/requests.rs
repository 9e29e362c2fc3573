//! What becomes of a request: who stores it, and what its client is told.

mod harness;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use coterie_crdt::operation::{
    Expire, KeyOperation, Operation, Reply, SetCondition, SetOperation, SetVerb, StringOperation,
};
use coterie_protocol::Liveness;
use coterie_ring::{BucketPolicy, Level};
use coterie_wire::{Body, ChangedDots, Levels, Outcome, QuorumCount, Refused, Unavailable};

use harness::{Cluster, add, id, key, levels, members, remove};

fn increment(by: i64) -> Operation {
    Operation::String(StringOperation::IncrementBy(by))
}

fn get() -> Operation {
    Operation::String(StringOperation::Get)
}

fn set(value: &'static str) -> Operation {
    Operation::String(StringOperation::Set {
        value: value.into(),
        condition: SetCondition::Always,
        get: false,
        expire: Expire::Never,
    })
}

fn count() -> Operation {
    Operation::Set(SetOperation::new(SetVerb::Count))
}

fn strict(nodes: u64) -> Cluster {
    Cluster::new(nodes, BucketPolicy::default())
}

#[test]
fn a_write_is_stored_at_all_owners_and_answered_by_a_majority() {
    let mut cluster = strict(5);
    let key = key("a");
    let owners = cluster.owners(&key);
    let request = cluster.request(&key, increment(3));
    let answered = cluster.done(owners[0], request);
    assert_eq!(answered.replies, [Ok(Reply::Integer(3))]);
    assert!(answered.owners.len() >= 2, "{answered:?}");
    assert_eq!(answered.changed.minted.len(), 1);
    assert!(cluster.is_equal(&key));
    for owner in owners {
        let request = cluster.request(&key, get());
        assert_eq!(cluster.done(owner, request).replies, [Ok(Reply::Value("3".into()))]);
    }
}

#[test]
fn a_write_is_not_answered_before_a_majority_has_it_on_disk() {
    let mut cluster = strict(3);
    let key = key("a");
    let owners = cluster.owners(&key);
    for owner in &owners {
        cluster.set_syncs(*owner, false);
    }
    let request = cluster.request(&key, increment(1));
    let client = cluster.submit(owners[0], request);
    cluster.run();
    assert_eq!(cluster.response(client), None);
    cluster.set_syncs(owners[1], true);
    assert_eq!(cluster.response(client), None, "one of three is no majority");
    cluster.set_syncs(owners[0], true);
    assert!(matches!(cluster.response(client), Some(Outcome::Done(_))));
}

/// Seed 38364. Of what a node had coordinated peers knew no commit, and did not tell it that its storage had gone back before it.
#[test]
fn what_is_sent_once_a_write_is_on_disk_names_its_commit() {
    let mut cluster = strict(3);
    let key = key("a");
    let owner = cluster.owners(&key)[0];
    let named = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&named);
    cluster.watch(move |message| {
        if matches!(message.body, Body::Write(_)) {
            seen.borrow_mut().push(message.committed.map(|committed| committed.number));
        }
    });
    cluster.set_syncs(owner, false);
    for member in ["x", "y"] {
        let request = cluster.request(&key, add(member));
        cluster.submit(owner, request);
        cluster.run();
    }
    assert_eq!(named.borrow_mut().split_off(0), [None; 4], "nothing is on disk");
    let slice = cluster.node(owner).view.slice(&key).expect("the bucket is known");
    let lane = usize::from(slice.partition.0) % cluster.node(owner).lanes.len();
    let committed = cluster.node(owner).lanes[lane].shared().committed;
    cluster.set_syncs(owner, true);
    let request = cluster.request(&key, add("z"));
    cluster.done(owner, request);
    assert_eq!(*named.borrow(), [Some(committed); 2]);
}

#[test]
fn a_write_that_too_few_owners_can_store_by_the_view_stores_nothing() {
    let mut cluster = strict(3);
    let key = key("a");
    let owners = cluster.owners(&key);
    cluster.take_down(owners[1]);
    cluster.take_down(owners[2]);
    let request = cluster.request(&key, increment(1));
    let count = QuorumCount { have: 1, need: 2 };
    let outcome = Outcome::Unavailable(Unavailable::Owners(count));
    assert_eq!(cluster.ask(owners[0], request), outcome);
    assert!(cluster.root(owners[0], &key).is_empty());
}

#[test]
fn a_write_that_too_few_owners_confirm_is_unknown_and_says_what_it_changed() {
    let mut cluster = strict(3);
    let key = key("a");
    let owners = cluster.owners(&key);
    cluster.cut(owners[0], owners[1]);
    cluster.cut(owners[0], owners[2]);
    let request = cluster.request(&key, increment(1));
    let Outcome::Unknown { count, changed } = cluster.ask(owners[0], request) else {
        panic!("it is not known")
    };
    assert_eq!(count, QuorumCount { have: 1, need: 2 });
    assert_eq!(changed.minted.len(), 1);
    assert!(cluster.root(owners[0], &key).context.contains(changed.minted[0]));
}

#[test]
fn a_request_at_another_node_is_coordinated_by_an_owner() {
    let mut cluster = strict(5);
    let key = key("a");
    let other = cluster.others(&key)[0];
    let request = cluster.request(&key, increment(1));
    assert_eq!(cluster.done(other, request).replies, [Ok(Reply::Integer(1))]);
    assert!(cluster.is_equal(&key));
    assert!(cluster.root(other, &key).is_empty());
}

#[test]
fn a_forwarded_write_whose_answer_is_lost_is_unknown_and_never_coordinated_again() {
    let mut cluster = strict(5);
    let key = key("a");
    let other = cluster.others(&key)[0];
    cluster.lose(|_, _, message| matches!(message.body, Body::Forwarded(_)));
    let request = cluster.request(&key, increment(1));
    let outcome = cluster.ask(other, request.clone());
    assert!(
        matches!(&outcome, Outcome::Unknown { changed, .. } if *changed == ChangedDots::default())
    );
    cluster.heal();
    assert_eq!(cluster.ask(other, request), outcome, "a retry is answered as before");
    cluster.advance(Duration::from_secs(10));
    let read = cluster.request(&key, get());
    assert_eq!(cluster.done(other, read).replies, [Ok(Reply::Value("1".into()))]);
}

#[test]
fn a_forwarded_read_is_answered_by_another_owner_where_the_first_says_nothing() {
    let mut cluster = strict(5);
    let key = key("a");
    let other = cluster.others(&key)[0];
    let request = cluster.request(&key, set("x"));
    cluster.done(other, request);
    let mut silent = None;
    cluster.lose(move |from, _, message| {
        let is_answer = matches!(message.body, Body::Forwarded(_));
        is_answer && *silent.get_or_insert(from) == from
    });
    let request = cluster.request(&key, get());
    assert_eq!(cluster.done(other, request).replies, [Ok(Reply::Value("x".into()))]);
    // Where nobody says anything, it ends with its time.
    cluster.lose(|_, _, message| matches!(message.body, Body::Forwarded(_)));
    let request = cluster.request(&key, get());
    let count = QuorumCount { have: 0, need: 2 };
    assert_eq!(cluster.ask(other, request), Outcome::Unavailable(Unavailable::Answers(count)));
}

#[test]
fn a_retry_at_the_same_coordinator_is_answered_as_before() {
    let mut cluster = strict(3);
    let key = key("a");
    let owner = cluster.owners(&key)[0];
    let request = cluster.request(&key, increment(1));
    let (first, retry) =
        (cluster.submit(owner, request.clone()), cluster.submit(owner, request.clone()));
    cluster.run();
    assert!(matches!(cluster.response(first), Some(Outcome::Done(_))));
    assert_eq!(cluster.response(first), cluster.response(retry), "while it was under way");
    assert_eq!(Some(&cluster.ask(owner, request)), cluster.response(first), "afterwards");
    let read = cluster.request(&key, get());
    assert_eq!(cluster.done(owner, read).replies, [Ok(Reply::Value("1".into()))]);
}

#[test]
fn a_request_whose_time_is_over_is_refused_and_stores_nothing() {
    let mut cluster = strict(3);
    let key = key("a");
    let owner = cluster.owners(&key)[0];
    let mut request = cluster.request(&key, increment(1));
    request.time_left = Duration::ZERO;
    assert_eq!(cluster.ask(owner, request), Outcome::Refused(Refused::Expired));
    assert!(cluster.root(owner, &key).is_empty());
}

#[test]
fn a_read_at_quorum_sees_what_another_majority_holds_and_repairs_who_lacks_it() {
    let mut cluster = strict(3);
    let key = key("a");
    let owners = cluster.owners(&key);
    cluster.lose({
        let lacks = owners[2];
        move |_, to, message| to == lacks && matches!(message.body, Body::Write(_))
    });
    let request = cluster.request(&key, add("x"));
    cluster.done(owners[0], request);
    assert!(cluster.root(owners[2], &key).is_empty());
    cluster.heal();
    let read = cluster.request(&key, members());
    let answered = cluster.done(owners[2], read);
    assert_eq!(answered.replies, [Ok(Reply::Values(vec![Some("x".into())]))]);
    assert_eq!(cluster.rows(owners[2], &key).cells().len(), 1);
}

#[test]
fn a_remove_at_quorum_removes_what_it_would_have_read_there() {
    let mut cluster = strict(3);
    let key = key("a");
    let owners = cluster.owners(&key);
    cluster.lose({
        let lacks = owners[2];
        move |_, to, message| to == lacks && matches!(message.body, Body::Write(_))
    });
    let request = cluster.request(&key, add("x"));
    cluster.done(owners[0], request);
    cluster.heal();
    let request = cluster.request(&key, remove("x"));
    assert_eq!(cluster.done(owners[2], request).replies, [Ok(Reply::Integer(1))]);
    for owner in owners {
        let read = cluster.request(&key, members());
        assert_eq!(cluster.done(owner, read).replies, [Ok(Reply::Values(vec![]))]);
    }
}

#[test]
fn a_cardinality_is_counted_on_the_rows_of_a_quorum() {
    let mut cluster = strict(3);
    let key = key("a");
    let owners = cluster.owners(&key);
    for (lacking, member) in [(owners[2], "x"), (owners[1], "y")] {
        cluster.lose(move |_, to, message| to == lacking && matches!(message.body, Body::Write(_)));
        let request = cluster.request(&key, add(member));
        cluster.done(owners[0], request);
    }
    cluster.heal();
    let read = cluster.request(&key, count());
    assert_eq!(cluster.done(owners[2], read).replies, [Ok(Reply::Integer(2))]);
}

#[test]
fn a_deleted_key_stays_deleted_at_every_owner() {
    let mut cluster = strict(5);
    let key = key("a");
    let owners = cluster.owners(&key);
    let other = cluster.others(&key)[0];
    for (node, value) in [(owners[0], "1"), (other, "2"), (owners[2], "3")] {
        let request = cluster.request(&key, set(value));
        cluster.done(node, request);
    }
    let delete = cluster.request(&key, Operation::Key(KeyOperation::Delete));
    assert_eq!(cluster.done(owners[1], delete).replies, [Ok(Reply::Integer(1))]);
    for owner in owners {
        let mut read = cluster.request(&key, get());
        read.levels = levels(Level::One, Level::One);
        assert_eq!(cluster.done(owner, read).replies, [Ok(Reply::Nothing)]);
    }
    assert!(cluster.is_equal(&key));
}

#[test]
fn several_operations_make_one_delta() {
    let mut cluster = strict(3);
    let key = key("a");
    let owner = cluster.owners(&key)[0];
    let mut request = cluster.request(&key, increment(1));
    request.operations.extend([increment(2), get()]);
    let answered = cluster.done(owner, request);
    let replies = [Reply::Integer(1), Reply::Integer(3), Reply::Value("3".into())];
    assert_eq!(answered.replies, replies.map(Ok));
    assert!(cluster.is_equal(&key));
}

#[test]
fn a_read_at_one_asks_nobody() {
    let mut cluster = strict(3);
    let key = key("a");
    let owner = cluster.owners(&key)[0];
    cluster.lose(|_, _, message| panic!("nothing is sent: {message:?}"));
    let mut read = cluster.request(&key, get());
    read.levels = Levels { write: None, read: Some(Level::One) };
    assert_eq!(cluster.done(owner, read).replies, [Ok(Reply::Nothing)]);
}

#[test]
fn a_read_passes_over_an_owner_that_is_suspected() {
    let mut cluster = strict(3);
    let key = key("a");
    let owners = cluster.owners(&key);
    cluster.mark(owners[1], Liveness::Suspect);
    let read = cluster.request(&key, get());
    let answered = cluster.done(owners[0], read);
    assert_eq!(answered.owners, [owners[0], owners[2]]);
}

#[test]
fn an_unknown_bucket_is_refused() {
    let mut cluster = strict(3);
    let key = coterie_wire::Key::new(b"nowhere".to_vec(), b"a".to_vec());
    let request = cluster.request(&key, get());
    assert_eq!(cluster.ask(id(1), request), Outcome::Refused(Refused::NoSuchBucket));
}
