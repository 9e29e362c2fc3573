//! Expiry of single fields of hashes.

use bytes::Bytes;
use coterie_crdt::operation::{
    Condition, Expire, HashOperation, KeyOperation, MapOperation, MapPath, OpError, Operation,
    Reply, SetCondition,
};
use coterie_crdt::{Address, Cells, Kind, Root, State, recount};

use crate::support::{
    Client, Command, WRONG_TYPE, all, bytes, expire_at, hset, integer, set, text, value, values,
};

fn hget(fields: &[&str]) -> HashOperation {
    HashOperation::Get(all(fields))
}

fn hexpire(at: u64, condition: Condition, fields: &[&str]) -> HashOperation {
    HashOperation::ExpireAt { fields: all(fields), at, condition }
}

fn until(at: u64, fields: &[&str]) -> HashOperation {
    hexpire(at, Condition::Always, fields)
}

fn httl(fields: &[&str]) -> HashOperation {
    HashOperation::TimeToLive(all(fields))
}

fn hpersist(fields: &[&str]) -> HashOperation {
    HashOperation::Persist(all(fields))
}

fn hgetex(expire: Expire, fields: &[&str]) -> HashOperation {
    HashOperation::GetExpire { fields: all(fields), expire }
}

fn hsetex(condition: SetCondition, expire: Expire, pairs: &[(&str, &str)]) -> HashOperation {
    let pairs = pairs.iter().map(|(field, value)| (bytes(field), bytes(value))).collect();
    HashOperation::SetExpire { pairs, condition, expire }
}

fn increment(field: &str, by: i64) -> HashOperation {
    HashOperation::IncrementBy { field: bytes(field), by }
}

fn integers(expected: &[i64]) -> Result<Reply, OpError> {
    Ok(Reply::Integers(expected.to_vec()))
}

fn found(expected: &[Option<&str>]) -> Result<Reply, OpError> {
    Ok(Reply::Values(expected.iter().map(|value| value.map(bytes)).collect()))
}

fn pairs(expected: &[(&str, &str)]) -> Result<Reply, OpError> {
    Ok(Reply::Pairs(expected.iter().map(|(f, v)| (bytes(f), bytes(v))).collect()))
}

/// The fields `a`, which expires 50 ms from now, and `b`, which does not.
fn two() -> Client {
    let mut client = Client::new();
    client.run(hset(&[("a", "1"), ("b", "2")])).unwrap();
    assert_eq!(client.run(until(client.now + 50, &["a"])), integers(&[1]));
    client
}

/// The same after `a` has expired.
fn expired() -> Client {
    let mut client = two();
    client.now += 50;
    client
}

#[test]
fn hexpire_answers_for_each_field() {
    let mut client = two();
    let at = client.now + 10;
    assert_eq!(client.run(until(at, &["a", "z", "b"])), integers(&[1, -2, 1]));
    assert_eq!(client.run(httl(&["a", "b", "z"])), integers(&[10, 10, -2]));
    let times = HashOperation::ExpireTime(all(&["a", "z"]));
    assert_eq!(client.run(times), integers(&[i64::try_from(at).unwrap(), -2]));
    assert_eq!(client.run(hget(&["a", "b"])), values(&["1", "2"]));
    assert_eq!(Client::new().run(until(at, &["a", "b"])), integers(&[-2, -2]));
    assert_eq!(Client::new().run(httl(&["a"])), integers(&[-2]));
}

#[test]
fn hexpire_holds_to_its_condition() {
    let (sooner, later) = (1_000_040, 1_000_060);
    let cases = [
        (Condition::Always, sooner, 1, 1),
        (Condition::IfNever, later, 0, 1),
        (Condition::IfAny, sooner, 1, 0),
        (Condition::IfLater, later, 1, 0),
        (Condition::IfLater, sooner, 0, 0),
        (Condition::IfLater, 1_000_050, 0, 0),
        (Condition::IfEarlier, sooner, 1, 1),
        (Condition::IfEarlier, later, 0, 1),
    ];
    for (condition, at, of_a, of_b) in cases {
        let reply = two().run(hexpire(at, condition, &["a", "b"]));
        assert_eq!(reply, integers(&[of_a, of_b]), "{condition:?} {at}");
    }
}

#[test]
fn a_time_that_has_passed_removes_the_field() {
    let mut client = two();
    let now = client.now;
    assert_eq!(client.run(hexpire(now, Condition::IfLater, &["a"])), integers(&[0]));
    assert_eq!(client.run(until(now, &["a", "a"])), integers(&[2, -2]));
    assert_eq!(client.run(HashOperation::Count), integer(1));
    assert_eq!(client.run(until(0, &["b"])), integers(&[2]));
    assert_eq!(client.run(KeyOperation::Exists), integer(0));
    assert!(client.state.cells().is_empty());
}

#[test]
fn a_field_that_has_expired_reads_as_absent_and_counts_until_it_is_removed() {
    let mut client = expired();
    let a = bytes("a");
    assert_eq!(client.run(hget(&["a", "b"])), found(&[None, Some("2")]));
    assert_eq!(client.run(HashOperation::Contains(a.clone())), integer(0));
    assert_eq!(client.run(HashOperation::Length(a)), integer(0));
    assert_eq!(client.run(HashOperation::All), pairs(&[("b", "2")]));
    assert_eq!(client.run(HashOperation::Fields), values(&["b"]));
    assert_eq!(client.run(HashOperation::Values), values(&["2"]));
    assert_eq!(client.run(HashOperation::Random(2)), pairs(&[("b", "2")]));
    let repeated = client.run(HashOperation::RandomRepeated(2));
    assert_eq!(repeated, pairs(&[("b", "2"), ("b", "2")]));
    assert_eq!(client.run(HashOperation::Scan { after: None, count: 9 }), pairs(&[("b", "2")]));
    assert_eq!(client.run(httl(&["a"])), integers(&[-2]));
    let map = client.run(MapOperation::Get(MapPath::new(all(&["a"])).unwrap()));
    assert_eq!(map, Ok(Reply::Nothing));
    let entries = Ok(Reply::Entries(vec![(all(&["b"]), bytes("2"))]));
    assert_eq!(client.run(MapOperation::Entries(None)), entries);
    assert_eq!(client.run(HashOperation::Count), integer(2));
    client.run(HashOperation::Remove(all(&["b"]))).unwrap();
    assert_eq!(client.run(KeyOperation::Exists), integer(1));
    assert_eq!(client.run(HashOperation::All), pairs(&[]));
    assert_eq!(client.run(KeyOperation::Contents), Ok(Reply::Contents(None)));
}

#[test]
fn the_first_write_to_a_field_that_has_expired_removes_what_is_left_of_it() {
    let path = || MapPath::new(all(&["a"])).unwrap();
    let writes: [(Operation, Result<Reply, OpError>); 8] = [
        (HashOperation::Remove(all(&["a"])).operation(), integer(0)),
        (HashOperation::GetDelete(all(&["a"])).operation(), found(&[None])),
        (until(9_000_000, &["a"]).operation(), integers(&[-2])),
        (hpersist(&["a"]).operation(), integers(&[-2])),
        (hgetex(Expire::Never, &["a"]).operation(), found(&[None])),
        (hgetex(Expire::At(9_000_000), &["a"]).operation(), found(&[None])),
        (hsetex(SetCondition::Always, Expire::At(7), &[("a", "x")]).operation(), integer(1)),
        (MapOperation::Remove { path: path(), cells_max: 9 }.operation(), integer(0)),
    ];
    for (write, answer) in writes {
        let mut client = expired();
        assert_eq!(client.run(write.clone()), answer, "{write:?}");
        assert_eq!(client.state.root().unwrap().counts.deadlined, 0, "{write:?}");
    }
}

#[test]
fn a_field_set_after_it_expired_is_new_and_never_expires() {
    let writes = [
        hset(&[("a", "x")]),
        HashOperation::SetIfAbsent { field: bytes("a"), value: bytes("x") },
        hsetex(SetCondition::IfAbsent, Expire::Keep, &[("a", "x")]),
    ];
    for write in writes {
        let mut client = expired();
        assert_eq!(client.run(write), integer(1));
        assert_eq!(client.run(hget(&["a"])), values(&["x"]));
        assert_eq!(client.run(httl(&["a"])), integers(&[-1]));
        assert_eq!(client.run(HashOperation::Count), integer(2));
    }
}

#[test]
fn an_assignment_drops_the_deadline_and_a_removal_does_too() {
    let mut client = two();
    assert_eq!(client.run(hset(&[("a", "3")])), integer(0));
    assert_eq!(client.run(httl(&["a"])), integers(&[-1]));
    client.run(until(client.now + 50, &["a"])).unwrap();
    client.run(HashOperation::Remove(all(&["a"]))).unwrap();
    client.run(hset(&[("a", "4")])).unwrap();
    assert_eq!(client.run(httl(&["a"])), integers(&[-1]));
    client.run(until(client.now + 50, &["a"])).unwrap();
    let path = MapPath::new(all(&["a"])).unwrap();
    assert_eq!(client.run(MapOperation::Set { path, value: bytes("5") }), integer(0));
    assert_eq!(client.run(httl(&["a"])), integers(&[-1]));
    assert_eq!(client.state.root().unwrap().counts.deadlined, 0);
}

#[test]
fn increments_leave_the_deadline_of_a_field_and_begin_anew_after_it() {
    let mut client = two();
    assert_eq!(client.run(increment("a", 4)), integer(5));
    let float = HashOperation::IncrementByFloat { field: bytes("a"), by: bytes("0.5") };
    assert_eq!(client.run(float.clone()), value("5.5"));
    assert_eq!(client.run(httl(&["a"])), integers(&[50]));
    client.now += 50;
    assert_eq!(client.run(float), value("0.5"));
    assert_eq!(client.run(httl(&["a"])), integers(&[-1]));
    client.run(until(client.now + 50, &["a"])).unwrap();
    client.now += 50;
    assert_eq!(client.run(increment("a", 7)), integer(7));
    let path = MapPath::new(all(&["a"])).unwrap();
    assert_eq!(client.run(MapOperation::IncrementBy { path, by: 1 }), integer(8));
    assert_eq!(client.run(httl(&["a"])), integers(&[-1]));
}

#[test]
fn increments_observe_where_a_field_has_a_deadline() {
    let mut client = Client::new();
    client.run(hset(&[("a", "1")])).unwrap();
    let increment = increment("b", 1).operation();
    assert!(!increment.observes_over(client.state.root(), client.now));
    client.run(until(client.now + 50, &["a"])).unwrap();
    assert!(increment.observes_over(client.state.root(), client.now));
    client.run(hpersist(&["a"])).unwrap();
    assert!(!increment.observes_over(client.state.root(), client.now));
}

#[test]
fn hpersist_drops_the_deadline() {
    let mut client = two();
    assert_eq!(client.run(hpersist(&["a", "b", "z"])), integers(&[1, -1, -2]));
    client.now += 50;
    assert_eq!(client.run(hget(&["a"])), values(&["1"]));
    assert_eq!(Client::new().run(hpersist(&["a"])), integers(&[-2]));
}

#[test]
fn hgetex_answers_values_and_says_when_they_expire() {
    let mut client = two();
    let at = client.now + 20;
    assert_eq!(client.run(hgetex(Expire::At(at), &["b", "z"])), found(&[Some("2"), None]));
    assert_eq!(client.run(httl(&["a", "b"])), integers(&[50, 20]));
    assert_eq!(client.run(hgetex(Expire::Never, &["a", "z"])), found(&[Some("1"), None]));
    assert_eq!(client.run(hgetex(Expire::Keep, &["b"])), values(&["2"]));
    assert_eq!(client.run(httl(&["a", "b"])), integers(&[-1, 20]));
    assert_eq!(client.run(hgetex(Expire::At(client.now), &["a"])), values(&["1"]));
    assert_eq!(client.run(HashOperation::Fields), values(&["b"]));
}

#[test]
fn hsetex_sets_all_fields_or_none() {
    let (absent, present) = (SetCondition::IfAbsent, SetCondition::IfPresent);
    let mut client = two();
    let before = client.state.clone();
    let set = |condition, fields| hsetex(condition, Expire::At(1_000_020), fields);
    assert_eq!(client.run(set(absent, &[("a", "x"), ("c", "x")])), integer(0));
    assert_eq!(client.run(set(present, &[("a", "x"), ("c", "x")])), integer(0));
    client.now += 50;
    assert_eq!(client.run(set(present, &[("a", "x"), ("b", "x")])), integer(0));
    client.now -= 50;
    assert_eq!(client.state, before);
    assert_eq!(client.run(set(absent, &[("c", "x"), ("d", "x")])), integer(1));
    assert_eq!(client.run(set(present, &[("a", "y"), ("b", "y")])), integer(1));
    assert_eq!(client.run(hget(&["a", "b", "c", "d"])), values(&["y", "y", "x", "x"]));
    assert_eq!(client.run(httl(&["a", "b", "c", "d"])), integers(&[20, 20, 20, 20]));
}

#[test]
fn hsetex_keeps_or_drops_the_deadline_or_sets_one() {
    let always = SetCondition::Always;
    let mut client = two();
    assert_eq!(client.run(hsetex(always, Expire::Keep, &[("a", "x"), ("b", "y")])), integer(1));
    assert_eq!(client.run(httl(&["a", "b"])), integers(&[50, -1]));
    client.run(increment("n", 5)).unwrap();
    client.run(until(client.now + 9, &["n"])).unwrap();
    client.run(hsetex(always, Expire::Keep, &[("n", "7")])).unwrap();
    assert_eq!(client.run(hget(&["a", "n"])), values(&["x", "7"]));
    assert_eq!(client.run(httl(&["n"])), integers(&[9]));
    client.run(hsetex(always, Expire::Never, &[("a", "x")])).unwrap();
    assert_eq!(client.run(httl(&["a"])), integers(&[-1]));
    let past = hsetex(always, Expire::At(client.now), &[("a", "z"), ("new", "z")]);
    assert_eq!(client.run(past), integer(1));
    assert_eq!(client.run(HashOperation::Fields), values(&["b", "n"]));
}

#[test]
fn the_limits_of_hset_are_those_of_hsetex() {
    let mut client = Client::new();
    client.limits.value_bytes_max = 3;
    let set = hsetex(SetCondition::Always, Expire::Keep, &[("a", "1234")]);
    let message = "ERR value of 4 bytes exceeds the limit of 3";
    assert_eq!(text(client.run(set)), message);
    assert!(client.state.root().is_none());
}

#[test]
fn field_expiry_on_another_type_is_refused() {
    let operations = [
        until(9_000_000, &["a"]),
        httl(&["a"]),
        HashOperation::ExpireTime(all(&["a"])),
        hpersist(&["a"]),
        hgetex(Expire::Never, &["a"]),
        hsetex(SetCondition::Always, Expire::Never, &[("a", "1")]),
    ];
    for operation in operations {
        let mut client = Client::new();
        client.run(set("x")).unwrap();
        assert_eq!(text(client.run(operation)), WRONG_TYPE);
    }
}

#[test]
fn expired_fields_are_removed_after_twice_the_clock_bound() {
    let mut client = two();
    let remove = HashOperation::RemoveExpired(all(&["a", "b", "z"]));
    client.now += 50 + 999;
    assert_eq!(client.run(remove.clone()), integer(0));
    client.now += 1;
    assert_eq!(client.run(remove.clone()), integer(1));
    assert_eq!(client.run(HashOperation::Count), integer(1));
    assert!(client.state.deadlines().is_empty());
    assert_eq!(client.run(remove), integer(0));
}

#[test]
fn the_last_field_takes_the_key_along() {
    let mut client = Client::new();
    client.run(hset(&[("a", "1")])).unwrap();
    client.run(until(client.now + 50, &["a"])).unwrap();
    client.now += 2_000;
    assert_eq!(client.run(KeyOperation::Exists), integer(1));
    client.run(HashOperation::RemoveExpired(all(&["a"]))).unwrap();
    assert_eq!(client.run(KeyOperation::Exists), integer(0));
    assert!(client.state.root().unwrap().has_nothing_live());
}

#[test]
fn a_copy_keeps_the_deadlines_of_fields() {
    let (mut from, mut to) = (two(), Client::new());
    from.run(expire_at(from.now + 90)).unwrap();
    let Ok(Reply::Contents(Some(contents))) = from.run(KeyOperation::Contents) else {
        panic!("the key is there")
    };
    let store = KeyOperation::Store { contents: contents.clone(), replace: false };
    assert_eq!(to.run(store), integer(1));
    assert_eq!(to.run(httl(&["a", "b"])), integers(&[50, -1]));
    assert_eq!(to.run(KeyOperation::TimeToLive), integer(90));
    assert_eq!(to.run(KeyOperation::Contents), Ok(Reply::Contents(Some(contents))));
    from.now += 50;
    let Ok(Reply::Contents(Some(contents))) = from.run(KeyOperation::Contents) else {
        panic!("the key is there")
    };
    assert_eq!(contents.cells.len(), 1, "what has expired is not copied");
}

#[test]
fn deleting_the_key_takes_the_deadlines_of_its_fields_along() {
    let mut client = two();
    assert_eq!(client.run(KeyOperation::Delete), integer(1));
    client.state.sweep();
    assert!(client.state.deadlines().is_empty());
    assert_eq!(client.state.root().unwrap().counts.deadlined, 0);
    client.run(hset(&[("a", "x")])).unwrap();
    assert_eq!(client.run(httl(&["a"])), integers(&[-1]));
}

/// What a client is answered at a time.
fn at(client: &mut Client, now: u64, operation: HashOperation) -> Result<Reply, OpError> {
    client.now = now;
    client.run(operation)
}

/// Two replicas of a hash that run one operation each, and then take in what the other has.
fn concurrently(one: HashOperation, other: HashOperation) -> [Client; 2] {
    let [mut first, mut second] = [Client::acting(1), Client::acting(2)];
    at(&mut first, 1_000, hset(&[("a", "1")])).unwrap();
    at(&mut first, 1_000, until(2_000, &["a"])).unwrap();
    second.state = first.state.clone();
    at(&mut first, 1_001, one).unwrap();
    at(&mut second, 1_002, other).unwrap();
    let before = first.state.clone();
    first.state.join(&second.state);
    second.state.join(&before);
    assert_eq!(first.state, second.state);
    [first, second]
}

#[test]
fn a_value_and_a_deadline_that_are_set_concurrently_are_both_kept() {
    let [mut replica, _] = concurrently(hset(&[("a", "new")]), until(3_000, &["a"]));
    assert_eq!(at(&mut replica, 1_500, hget(&["a"])), values(&["new"]));
    assert_eq!(at(&mut replica, 1_500, httl(&["a"])), integers(&[1_500]));
    assert_eq!(at(&mut replica, 3_000, hget(&["a"])), found(&[None]));
}

#[test]
fn of_deadlines_that_are_set_concurrently_the_latest_stamp_counts() {
    let [mut replica, _] = concurrently(until(9_000, &["a"]), until(3_000, &["a"]));
    assert_eq!(at(&mut replica, 1_500, httl(&["a"])), integers(&[1_500]));
    assert_eq!(replica.state.deadlines().len(), 1);
}

#[test]
fn a_deadline_survives_a_concurrent_hpersist() {
    let [mut replica, _] = concurrently(hpersist(&["a"]), until(3_000, &["a"]));
    assert_eq!(at(&mut replica, 1_500, httl(&["a"])), integers(&[1_500]));
}

#[test]
fn a_deadline_does_not_bring_back_a_field_that_was_removed_concurrently() {
    let removed = HashOperation::Remove(all(&["a"]));
    let [mut replica, _] = concurrently(removed, until(3_000, &["a"]));
    assert_eq!(at(&mut replica, 1_500, hget(&["a"])), found(&[None]));
    assert_eq!(at(&mut replica, 1_500, httl(&["a"])), integers(&[-2]));
    assert_eq!(at(&mut replica, 1_500, HashOperation::Count), integer(0));
    let root = replica.state.root().unwrap();
    assert_eq!(root.counts.live(Kind::Field), 0);
    assert_eq!(root.counts.deadlined, 1);
    assert!(!root.has_nothing_live(), "a purge waits until the deadline is removed");
    // The next field of that name does not get it.
    let mut next = Client::acting(3);
    next.state = replica.state.clone();
    assert_eq!(at(&mut next, 1_500, increment("a", 1)), integer(1));
    assert_eq!(at(&mut next, 1_500, httl(&["a"])), integers(&[-1]));
    // Or else it is removed once its time has come.
    let remove = || HashOperation::RemoveExpired(vec![Bytes::from_static(b"a")]);
    assert_eq!(at(&mut replica, 3_999, remove()), integer(0));
    assert_eq!(at(&mut replica, 4_000, remove()), integer(1));
    assert!(replica.state.root().unwrap().has_nothing_live());
    assert!(replica.state.cells().is_empty());
}

#[test]
fn a_recount_counts_fields_with_a_deadline() {
    let client = two();
    let mut root: Root = client.state.root().unwrap().clone();
    root.counts.deadlined = 9;
    let mut state = State::from_rows(root, client.state.cells().clone());
    let changes = recount(&state, usize::MAX);
    assert!(changes.contradiction);
    state.apply(changes);
    assert_eq!(state, client.state);
    let cell = state.cell(&Address::new(Kind::Field, "a")).unwrap();
    assert!(cell.has_deadline() && cell.is_live(Kind::Field));
}
