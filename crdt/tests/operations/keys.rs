//! Keys whatever their type: deletion, expiry, type, copy.

use coterie_crdt::Shown;
use coterie_crdt::operation::{
    Condition, FlagKind, FlagOperation, FlagVerb, HashOperation, KeyOperation, MapOperation,
    MapPath, OpError, Operation, Reply, SetKind, SetOperation, SetVerb, StringOperation,
};

use crate::support::{
    Client, Command, all, bytes, expire_at, get, hset, integer, nothing, sadd, set, text, value,
    values, zadd,
};

fn expire_if(at: u64, condition: Condition) -> KeyOperation {
    KeyOperation::ExpireAt { at, condition }
}

fn store(contents: Reply, replace: bool) -> KeyOperation {
    let Reply::Contents(Some(contents)) = contents else { panic!("contents: {contents:?}") };
    KeyOperation::Store { contents, replace }
}

/// One write of each type, with what it makes the key.
fn types() -> Vec<(Operation, Shown)> {
    let sets = [
        (SetKind::AddWins, Shown::Set),
        (SetKind::RemoveWins, Shown::RemoveWinsSet),
        (SetKind::GrowOnly, Shown::GrowOnlySet),
    ];
    let sets = sets
        .map(|(kind, shown)| (SetOperation { kind, verb: sadd(&["a", "b"]) }.operation(), shown));
    let flags = [FlagKind::EnableWins, FlagKind::DisableWins]
        .map(|kind| (FlagOperation { kind, verb: FlagVerb::Enable }.operation(), Shown::Flag));
    let nested = MapPath::new(all(&["a", "b"])).unwrap();
    let mut types = vec![
        (set("a").operation(), Shown::String),
        (StringOperation::IncrementBy(5).operation(), Shown::String),
        (hset(&[("f", "v"), ("g", "w")]).operation(), Shown::Hash),
        (MapOperation::IncrementBy { path: nested, by: 5 }.operation(), Shown::Hash),
        (zadd(&[("a", 1.0), ("b", 2.0)]).operation(), Shown::SortedSet),
    ];
    types.extend(sets);
    types.extend(flags);
    types
}

#[test]
fn type_and_exists_tell_what_the_key_is() {
    let mut client = Client::new();
    assert_eq!(client.run(KeyOperation::Type), Ok(Reply::Type(Shown::Nothing)));
    assert_eq!(client.run(KeyOperation::Exists), integer(0));
    for (write, shown) in types() {
        let mut client = Client::new();
        client.run(write).unwrap();
        assert_eq!(client.run(KeyOperation::Type), Ok(Reply::Type(shown)));
        assert_eq!(client.run(KeyOperation::Exists), integer(1));
    }
}

#[test]
fn types_have_redis_names() {
    let names = [Shown::Nothing, Shown::String, Shown::Hash, Shown::Set, Shown::SortedSet]
        .map(Shown::redis_name);
    assert_eq!(names, ["none", "string", "hash", "set", "zset"]);
}

#[test]
fn del_removes_a_key_of_any_type_once() {
    for (write, _) in types() {
        let mut client = Client::new();
        client.run(write).unwrap();
        assert_eq!(client.run(KeyOperation::Delete), integer(1));
        assert_eq!(client.run(KeyOperation::Exists), integer(0));
        assert_eq!(client.run(KeyOperation::Delete), integer(0));
        client.state.sweep();
        assert_eq!(client.run(KeyOperation::Type), Ok(Reply::Type(Shown::Nothing)));
    }
}

#[test]
fn del_makes_room_for_every_other_type() {
    for (first, _) in types() {
        for (second, shown) in types() {
            let mut client = Client::new();
            client.run(first.clone()).unwrap();
            client.run(KeyOperation::Delete).unwrap();
            client.run(second).unwrap();
            assert_eq!(client.run(KeyOperation::Type), Ok(Reply::Type(shown)));
        }
    }
}

#[test]
fn a_time_to_live_is_told_in_milliseconds() {
    let mut client = Client::new();
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(-2));
    assert_eq!(client.run(KeyOperation::ExpireTime), integer(-2));
    client.run(set("a")).unwrap();
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(-1));
    assert_eq!(client.run(KeyOperation::ExpireTime), integer(-1));
    assert_eq!(client.run(expire_at(1_000_050)), integer(1));
    client.now = 1_000_020;
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(30));
    assert_eq!(client.run(KeyOperation::ExpireTime), integer(1_000_050));
}

#[test]
fn an_expired_key_of_any_type_reads_as_absent() {
    for (write, _) in types() {
        let mut client = Client::new();
        client.run(write).unwrap();
        client.run(expire_at(client.now + 50)).unwrap();
        client.now += 49;
        assert_eq!(client.run(KeyOperation::Exists), integer(1));
        client.now += 1;
        assert_eq!(client.run(KeyOperation::Exists), integer(0));
        assert_eq!(client.run(KeyOperation::TimeToLive), integer(-2));
        assert_eq!(client.run(KeyOperation::Contents), Ok(Reply::Contents(None)));
        assert_eq!(client.run(get()), nothing());
        assert_eq!(client.run(SetVerb::Members), values(&[]));
        assert_eq!(client.run(SetVerb::Count), integer(0));
        assert_eq!(client.run(KeyOperation::Delete), integer(0));
    }
}

#[test]
fn a_write_to_an_expired_key_removes_what_is_left_first() {
    for (first, _) in types() {
        for (second, shown) in types() {
            let mut client = Client::new();
            client.run(first.clone()).unwrap();
            client.run(expire_at(client.now + 50)).unwrap();
            client.now += 50;
            let mut fresh = Client::new();
            assert_eq!(client.run(second.clone()), fresh.run(second));
            assert_eq!(client.run(KeyOperation::Type), Ok(Reply::Type(shown)));
            assert_eq!(client.run(KeyOperation::TimeToLive), integer(-1));
            assert_eq!(client.run(KeyOperation::Contents), fresh.run(KeyOperation::Contents),);
        }
    }
}

#[test]
fn a_write_to_an_expired_key_observes_it() {
    let mut client = Client::new();
    client.run(sadd(&["a"])).unwrap();
    client.run(expire_at(client.now + 50)).unwrap();
    let [add, read] = [sadd(&["b"]), SetVerb::Members].map(Command::operation);
    let observes = |operation: &Operation, now| {
        operation.observes_over(coterie_crdt::Cells::root(&client.state), now)
    };
    assert!(!observes(&add, client.now) && observes(&add, client.now + 50));
    assert!(observes(&read, client.now));
    assert!(!add.observes_over(None, client.now));
}

#[test]
fn an_expired_key_cannot_be_brought_back() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    client.run(expire_at(client.now + 50)).unwrap();
    client.now += 50;
    assert_eq!(client.run(KeyOperation::Persist), integer(0));
    assert_eq!(client.run(expire_at(client.now + 50)), integer(0));
    assert_eq!(client.run(get()), nothing());
}

#[test]
fn expire_of_a_missing_key_sets_nothing() {
    let mut client = Client::new();
    assert_eq!(client.run(expire_at(client.now + 50)), integer(0));
    client.run(sadd(&["a"])).unwrap();
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(-1));
}

#[test]
fn expire_at_a_time_that_has_passed_deletes_the_key() {
    let mut client = Client::new();
    client.run(sadd(&["a"])).unwrap();
    assert_eq!(client.run(expire_at(client.now)), integer(1));
    assert_eq!(client.run(KeyOperation::Exists), integer(0));
    client.now -= 1;
    assert_eq!(client.run(KeyOperation::Exists), integer(0), "deleted, not only expired");
}

#[test]
fn expire_nx_sets_only_where_there_is_none() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    let later = client.now + 100;
    assert_eq!(client.run(expire_if(later, Condition::IfNever)), integer(1));
    assert_eq!(client.run(expire_if(later + 1, Condition::IfNever)), integer(0));
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(100));
}

#[test]
fn expire_xx_sets_only_where_there_is_one() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    let later = client.now + 100;
    assert_eq!(client.run(expire_if(later, Condition::IfAny)), integer(0));
    client.run(expire_at(client.now + 50)).unwrap();
    assert_eq!(client.run(expire_if(later, Condition::IfAny)), integer(1));
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(100));
}

#[test]
fn expire_gt_sets_only_what_is_later_and_never_is_latest() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    let now = client.now;
    assert_eq!(client.run(expire_if(now + 100, Condition::IfLater)), integer(0));
    client.run(expire_at(now + 50)).unwrap();
    assert_eq!(client.run(expire_if(now + 50, Condition::IfLater)), integer(0));
    assert_eq!(client.run(expire_if(now + 51, Condition::IfLater)), integer(1));
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(51));
}

#[test]
fn expire_lt_sets_only_what_is_earlier_and_never_is_latest() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    let now = client.now;
    assert_eq!(client.run(expire_if(now + 100, Condition::IfEarlier)), integer(1));
    assert_eq!(client.run(expire_if(now + 100, Condition::IfEarlier)), integer(0));
    assert_eq!(client.run(expire_if(now + 99, Condition::IfEarlier)), integer(1));
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(99));
}

#[test]
fn expire_xx_lt_sets_only_what_is_earlier_than_an_expiry() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    let now = client.now;
    assert_eq!(client.run(expire_if(now + 50, Condition::IfAnyAndEarlier)), integer(0));
    client.run(expire_at(now + 100)).unwrap();
    assert_eq!(client.run(expire_if(now + 100, Condition::IfAnyAndEarlier)), integer(0));
    assert_eq!(client.run(expire_if(now + 99, Condition::IfAnyAndEarlier)), integer(1));
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(99));
}

#[test]
fn persist_drops_the_expiry() {
    let mut client = Client::new();
    assert_eq!(client.run(KeyOperation::Persist), integer(0));
    client.run(set("a")).unwrap();
    assert_eq!(client.run(KeyOperation::Persist), integer(0));
    client.run(expire_at(client.now + 50)).unwrap();
    assert_eq!(client.run(KeyOperation::Persist), integer(1));
    client.now += 50;
    assert_eq!(client.run(get()), value("a"));
}

#[test]
fn writes_to_a_key_leave_its_expiry() {
    let mut client = Client::new();
    client.run(hset(&[("f", "1")])).unwrap();
    client.run(expire_at(client.now + 50)).unwrap();
    client.run(hset(&[("f", "2"), ("g", "3")])).unwrap();
    client.run(HashOperation::IncrementBy { field: bytes("f"), by: 1 }).unwrap();
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(50));
}

#[test]
fn an_expiry_goes_with_the_last_element() {
    let mut client = Client::new();
    client.run(sadd(&["a"])).unwrap();
    client.run(expire_at(client.now + 50)).unwrap();
    client.run(SetVerb::Remove(all(&["a"]))).unwrap();
    client.run(sadd(&["b"])).unwrap();
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(-1));
}

#[test]
fn an_expired_key_is_removed_after_twice_the_clock_bound() {
    let mut client = Client::new();
    client.run(sadd(&["a", "b"])).unwrap();
    client.run(expire_at(client.now + 50)).unwrap();
    client.now += 50 + 999;
    assert_eq!(client.run(KeyOperation::RemoveExpired { since_millis: 1_000 }), integer(0));
    client.now += 1;
    assert_eq!(client.run(KeyOperation::RemoveExpired { since_millis: 1_000 }), integer(1));
    client.state.sweep();
    assert!(client.state.cells().is_empty());
    assert_eq!(client.run(KeyOperation::RemoveExpired { since_millis: 1_000 }), integer(0));
}

#[test]
fn a_copy_holds_what_the_key_held_and_its_expiry() {
    for (write, shown) in types() {
        let (mut from, mut to) = (Client::new(), Client::new());
        from.run(write).unwrap();
        from.run(expire_at(from.now + 50)).unwrap();
        let contents = from.run(KeyOperation::Contents).unwrap();
        assert_eq!(to.run(store(contents.clone(), false)), integer(1));
        assert_eq!(to.run(KeyOperation::Type), Ok(Reply::Type(shown)));
        assert_eq!(to.run(KeyOperation::Contents), Ok(contents));
        assert_eq!(to.run(KeyOperation::TimeToLive), integer(50));
    }
}

#[test]
fn a_copy_replaces_a_key_only_if_asked_to() {
    for (write, _) in types() {
        let (mut from, mut to) = (Client::new(), Client::new());
        from.run(set("copied")).unwrap();
        to.run(write).unwrap();
        let before = to.state.clone();
        let contents = from.run(KeyOperation::Contents).unwrap();
        assert_eq!(to.run(store(contents.clone(), false)), integer(0));
        assert_eq!(to.state, before);
        assert_eq!(to.run(store(contents, true)), integer(1));
        assert_eq!(to.run(get()), value("copied"));
    }
}

#[test]
fn a_copy_of_a_sum_is_the_number() {
    let (mut from, mut to) = (Client::new(), Client::new());
    from.run(StringOperation::IncrementBy(5)).unwrap();
    to.run(StringOperation::IncrementBy(3)).unwrap();
    let contents = from.run(KeyOperation::Contents).unwrap();
    to.run(store(contents, true)).unwrap();
    assert_eq!(to.run(StringOperation::IncrementBy(1)), integer(6));
}

#[test]
fn a_key_with_many_counters_is_deleted_in_steps() {
    let mut client = Client::new();
    for index in 0..513 {
        let field = bytes(&index.to_string());
        client.run(HashOperation::IncrementBy { field, by: 1 }).unwrap();
    }
    let message = "ERR key has 513 counters, too many to delete in one step";
    assert_eq!(text(client.run(KeyOperation::Delete)), message);
    assert_eq!(client.run(KeyOperation::RemoveTallied(100)), integer(100));
    assert_eq!(client.run(HashOperation::Count), integer(413));
    assert_eq!(client.run(KeyOperation::Delete), integer(1));
    assert_eq!(client.run(KeyOperation::Exists), integer(0));
}

#[test]
fn kinds_tell_what_lies_under_a_key() {
    let mut client = Client::new();
    client.run(hset(&[("f", "v"), ("g", "w")])).unwrap();
    let hash_of_two: Result<Reply, OpError> = Ok(Reply::Integers(vec![2, 2]));
    assert_eq!(client.run(KeyOperation::Kinds), hash_of_two);
}
