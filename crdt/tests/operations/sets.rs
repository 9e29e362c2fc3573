//! Sets: add-wins, remove-wins and grow-only.

use coterie_crdt::operation::{
    KeyOperation, Limits, OpError, Reply, SetKind, SetOperation, SetVerb,
};

use crate::support::{
    Client, Command, WRONG_TYPE, all, bytes, expire_at, hset, integer, sadd, set, text, values,
};

const KINDS: [SetKind; 3] = [SetKind::AddWins, SetKind::RemoveWins, SetKind::GrowOnly];

fn srem(members: &[&str]) -> SetVerb {
    SetVerb::Remove(all(members))
}

fn has(members: &[&str]) -> SetVerb {
    SetVerb::Contains(all(members))
}

fn answers(expected: &[i64]) -> Result<Reply, OpError> {
    Ok(Reply::Integers(expected.to_vec()))
}

fn found(reply: Result<Reply, OpError>) -> Vec<String> {
    let Ok(Reply::Values(members)) = reply else { panic!("values: {reply:?}") };
    members.iter().flatten().map(|m| String::from_utf8(m.to_vec()).unwrap()).collect()
}

fn three() -> Client {
    let mut client = Client::new();
    assert_eq!(client.run(sadd(&["b", "a", "c", "a"])), integer(3));
    client
}

#[test]
fn sadd_counts_new_members_only() {
    let mut client = three();
    assert_eq!(client.run(sadd(&["c", "d"])), integer(1));
    assert_eq!(client.run(SetVerb::Count), integer(4));
}

#[test]
fn every_kind_adds_lists_and_counts() {
    for kind in KINDS {
        let mut client = Client::new();
        let mut run = |verb| client.run(SetOperation { kind, verb });
        assert_eq!(run(sadd(&["b", "a"])), integer(2));
        assert_eq!(run(sadd(&["b", "c"])), integer(1));
        assert_eq!(run(SetVerb::Members), values(&["a", "b", "c"]));
        assert_eq!(run(SetVerb::Count), integer(3));
        assert_eq!(run(has(&["a", "z"])), answers(&[1, 0]));
    }
}

#[test]
fn srem_counts_what_was_there() {
    let mut client = three();
    assert_eq!(client.run(srem(&["a", "a", "z"])), integer(1));
    assert_eq!(client.run(SetVerb::Members), values(&["b", "c"]));
}

#[test]
fn a_remove_wins_set_takes_members_back_in() {
    let mut client = Client::new();
    let mut run = |verb| client.run(SetOperation { kind: SetKind::RemoveWins, verb });
    run(sadd(&["a", "b"])).unwrap();
    assert_eq!(run(srem(&["a", "z"])), integer(1));
    assert_eq!(run(has(&["a", "z"])), answers(&[0, 0]));
    assert_eq!(run(SetVerb::Count), integer(1));
    assert_eq!(run(sadd(&["a"])), integer(1));
    assert_eq!(run(SetVerb::Members), values(&["a", "b"]));
}

#[test]
fn a_grow_only_set_loses_no_member_but_with_the_key() {
    let mut client = Client::new();
    let operation = |verb| SetOperation { kind: SetKind::GrowOnly, verb };
    client.run(operation(sadd(&["a"]))).unwrap();
    let message = "ERR members of a grow-only set cannot be removed";
    assert_eq!(text(client.run(operation(srem(&["a"])))), message);
    assert_eq!(text(client.run(operation(SetVerb::Pop(1)))), message);
    assert_eq!(client.run(operation(SetVerb::Count)), integer(1));
    assert_eq!(client.run(KeyOperation::Delete), integer(1));
    assert_eq!(client.run(operation(SetVerb::Count)), integer(0));
}

#[test]
fn a_set_without_members_is_no_key() {
    for kind in [SetKind::AddWins, SetKind::RemoveWins] {
        let mut client = Client::new();
        client.run(SetOperation { kind, verb: sadd(&["a"]) }).unwrap();
        client.run(SetOperation { kind, verb: srem(&["a"]) }).unwrap();
        assert_eq!(client.run(KeyOperation::Exists), integer(0));
    }
}

#[test]
fn a_missing_key_is_an_empty_set() {
    let mut client = Client::new();
    assert_eq!(client.run(SetVerb::Members), values(&[]));
    assert_eq!(client.run(SetVerb::Count), integer(0));
    assert_eq!(client.run(has(&["a"])), answers(&[0]));
    assert_eq!(client.run(SetVerb::Pop(2)), values(&[]));
    assert_eq!(client.run(SetVerb::Random(2)), values(&[]));
    assert_eq!(client.run(SetVerb::RandomRepeated(2)), values(&[]));
}

#[test]
fn spop_removes_what_it_answers() {
    let mut client = three();
    let mut popped = found(client.run(SetVerb::Pop(2)));
    assert_eq!(popped.len(), 2);
    popped.extend(found(client.run(SetVerb::Pop(5))));
    popped.sort();
    assert_eq!(popped, ["a", "b", "c"]);
    assert_eq!(client.run(KeyOperation::Exists), integer(0));
}

#[test]
fn srandmember_answers_distinct_members_and_removes_none() {
    let mut client = three();
    for count in 0..5u64 {
        let mut chosen = found(client.run(SetVerb::Random(count)));
        chosen.sort();
        chosen.dedup();
        assert_eq!(chosen.len() as u64, count.min(3));
    }
    assert_eq!(client.run(SetVerb::Count), integer(3));
}

#[test]
fn srandmember_with_a_negative_count_may_repeat() {
    let mut chosen = found(three().run(SetVerb::RandomRepeated(50)));
    assert_eq!(chosen.len(), 50);
    chosen.sort();
    chosen.dedup();
    assert_eq!(chosen, ["a", "b", "c"]);
}

#[test]
fn more_repeated_members_than_fit_a_reply_are_refused() {
    let mut client = three();
    client.limits = Limits { random_max: 4, ..Limits::default() };
    assert_eq!(found(client.run(SetVerb::RandomRepeated(4))).len(), 4);
    let refused = Err(OpError::TooManyRandom { count: u64::MAX, count_max: 4 });
    assert_eq!(client.run(SetVerb::RandomRepeated(u64::MAX)), refused);
    assert_eq!(Client::new().run(SetVerb::RandomRepeated(u64::MAX)), values(&[]));
}

#[test]
fn sscan_pages_through_every_member_once() {
    let mut client = three();
    let scan = |after: Option<&str>| SetVerb::Scan { after: after.map(bytes), count: 2 };
    assert_eq!(client.run(scan(None)), values(&["a", "b"]));
    assert_eq!(client.run(scan(Some("b"))), values(&["c"]));
    assert_eq!(client.run(scan(Some("bb"))), values(&["c"]));
    assert_eq!(client.run(scan(Some("c"))), values(&[]));
}

#[test]
fn store_replaces_whatever_was_there_and_its_expiry() {
    for first in [set("a").operation(), hset(&[("f", "v")]).operation(), sadd(&["z"]).operation()] {
        let mut client = Client::new();
        client.run(first).unwrap();
        client.run(expire_at(client.now + 50)).unwrap();
        assert_eq!(client.run(SetVerb::Store(all(&["a", "b"]))), integer(2));
        assert_eq!(client.run(SetVerb::Members), values(&["a", "b"]));
        assert_eq!(client.run(KeyOperation::TimeToLive), integer(-1));
    }
}

#[test]
fn store_of_nothing_deletes_the_key() {
    let mut client = three();
    assert_eq!(client.run(SetVerb::Store(Vec::new())), integer(0));
    assert_eq!(client.run(KeyOperation::Exists), integer(0));
}

#[test]
fn set_operations_on_another_type_are_refused() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    for verb in [
        sadd(&["m"]),
        srem(&["m"]),
        has(&["m"]),
        SetVerb::Count,
        SetVerb::Members,
        SetVerb::Scan { after: None, count: 1 },
        SetVerb::Pop(1),
        SetVerb::Random(1),
        SetVerb::RandomRepeated(1),
    ] {
        assert_eq!(text(client.run(verb)), WRONG_TYPE);
    }
}

#[test]
fn sets_of_another_kind_are_another_type() {
    for kind in KINDS {
        for other in KINDS.into_iter().filter(|other| *other != kind) {
            let mut client = Client::new();
            client.run(SetOperation { kind, verb: sadd(&["m"]) }).unwrap();
            let operation = SetOperation { kind: other, verb: SetVerb::Members };
            assert_eq!(text(client.run(operation)), WRONG_TYPE);
        }
    }
}

#[test]
fn members_over_the_limit_are_refused() {
    let mut client = Client::new();
    client.limits = Limits { element_bytes_max: 3, ..Limits::default() };
    let message = "ERR element of 4 bytes exceeds the limit of 3";
    assert_eq!(text(client.run(sadd(&["a", "long"]))), message);
    assert_eq!(client.run(SetVerb::Count), integer(0));
    client.run(sadd(&["a"])).unwrap();
    assert_eq!(text(client.run(SetVerb::Store(all(&["b", "long"])))), message);
    assert_eq!(client.run(SetVerb::Members), values(&["a"]));
}

#[test]
fn removals_that_are_recorded_are_limited_as_adds_are() {
    let mut client = Client::new();
    client.limits = Limits { element_bytes_max: 3, ..Limits::default() };
    let remove = |kind| SetOperation { kind, verb: srem(&["a", "long"]) };
    let message = "ERR element of 4 bytes exceeds the limit of 3";
    assert_eq!(text(client.run(remove(SetKind::RemoveWins))), message);
    assert!(client.state.cells().is_empty());
    assert_eq!(client.run(remove(SetKind::AddWins)), integer(0));
}

#[test]
fn what_adds_alone_observes_nothing() {
    let observes = |kind, verb| SetOperation { kind, verb }.operation().observes();
    assert!(!observes(SetKind::AddWins, sadd(&["a"])));
    assert!(!observes(SetKind::GrowOnly, sadd(&["a"])));
    assert!(observes(SetKind::RemoveWins, sadd(&["a"])));
    assert!(KINDS.into_iter().all(|kind| observes(kind, srem(&["a"]))));
}

#[test]
fn several_operations_on_a_set_make_one_delta() {
    let mut client = three();
    let replies = client.run_all([
        srem(&["a", "b"]).operation(),
        sadd(&["b", "d"]).operation(),
        SetVerb::Count.operation(),
        KeyOperation::Delete.operation(),
        sadd(&["e"]).operation(),
        SetVerb::Members.operation(),
    ]);
    let expected = [integer(2), integer(2), integer(3), integer(1), integer(1), values(&["e"])];
    assert_eq!(replies, expected);
    assert_eq!(client.run(SetVerb::Members), values(&["e"]));
    assert_eq!(client.run(SetVerb::Count), integer(1));
}
