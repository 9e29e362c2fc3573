//! Hashes.

use coterie_crdt::operation::{HashOperation, KeyOperation, Limits, OpError, Reply};

use crate::support::{
    Client, Command, WRONG_TYPE, all, bytes, expire_at, hset, integer, set, text, value, values,
};

fn hget(field: &str) -> HashOperation {
    HashOperation::Get(all(&[field]))
}

fn hdel(fields: &[&str]) -> HashOperation {
    HashOperation::Remove(all(fields))
}

fn increment(field: &str, by: i64) -> HashOperation {
    HashOperation::IncrementBy { field: bytes(field), by }
}

fn increment_float(field: &str, by: &str) -> HashOperation {
    HashOperation::IncrementByFloat { field: bytes(field), by: bytes(by) }
}

fn pairs(expected: &[(&str, &str)]) -> Result<Reply, OpError> {
    Ok(Reply::Pairs(expected.iter().map(|(f, v)| (bytes(f), bytes(v))).collect()))
}

fn absent() -> Result<Reply, OpError> {
    Ok(Reply::Values(vec![None]))
}

fn three() -> Client {
    let mut client = Client::new();
    assert_eq!(client.run(hset(&[("b", "2"), ("a", "1"), ("c", "3")])), integer(3));
    client
}

#[test]
fn hset_counts_new_fields_only() {
    let mut client = three();
    assert_eq!(client.run(hset(&[("a", "x"), ("d", "4"), ("d", "5")])), integer(1));
    assert_eq!(client.run(hget("a")), values(&["x"]));
    assert_eq!(client.run(hget("d")), values(&["5"]));
}

#[test]
fn hget_of_a_missing_field_or_key_is_nothing() {
    assert_eq!(three().run(hget("z")), absent());
    assert_eq!(Client::new().run(hget("z")), absent());
}

#[test]
fn hmget_answers_in_the_order_asked_for() {
    let reply = three().run(HashOperation::Get(all(&["c", "z", "a"])));
    assert_eq!(reply, Ok(Reply::Values(vec![Some(bytes("3")), None, Some(bytes("1"))])));
}

#[test]
fn hgetall_hkeys_and_hvals_list_every_field() {
    let mut client = three();
    assert_eq!(client.run(HashOperation::All), pairs(&[("a", "1"), ("b", "2"), ("c", "3")]));
    assert_eq!(client.run(HashOperation::Fields), values(&["a", "b", "c"]));
    assert_eq!(client.run(HashOperation::Values), values(&["1", "2", "3"]));
    assert_eq!(client.run(HashOperation::Count), integer(3));
}

#[test]
fn a_missing_key_is_an_empty_hash() {
    let mut client = Client::new();
    assert_eq!(client.run(HashOperation::All), pairs(&[]));
    assert_eq!(client.run(HashOperation::Count), integer(0));
    assert_eq!(client.run(hdel(&["a"])), integer(0));
    assert_eq!(client.run(HashOperation::Random(3)), pairs(&[]));
    assert_eq!(client.run(HashOperation::RandomRepeated(3)), pairs(&[]));
}

#[test]
fn hexists_and_hstrlen_look_at_one_field() {
    let mut client = three();
    client.run(hset(&[("long", "häuser")])).unwrap();
    assert_eq!(client.run(HashOperation::Contains(bytes("a"))), integer(1));
    assert_eq!(client.run(HashOperation::Contains(bytes("z"))), integer(0));
    assert_eq!(client.run(HashOperation::Length(bytes("long"))), integer(7));
    assert_eq!(client.run(HashOperation::Length(bytes("z"))), integer(0));
}

#[test]
fn hsetnx_sets_a_missing_field_only() {
    let mut client = Client::new();
    let nx = |text| HashOperation::SetIfAbsent { field: bytes("f"), value: bytes(text) };
    assert_eq!(client.run(nx("a")), integer(1));
    assert_eq!(client.run(nx("b")), integer(0));
    assert_eq!(client.run(hget("f")), values(&["a"]));
}

#[test]
fn hdel_counts_what_was_there() {
    let mut client = three();
    assert_eq!(client.run(hdel(&["a", "a", "z", "b"])), integer(2));
    assert_eq!(client.run(HashOperation::Fields), values(&["c"]));
}

#[test]
fn a_hash_without_fields_is_no_key() {
    let mut client = three();
    client.run(hdel(&["a", "b", "c"])).unwrap();
    assert_eq!(client.run(KeyOperation::Exists), integer(0));
    client.run(set("now a string")).unwrap();
}

#[test]
fn hgetdel_answers_and_removes() {
    let mut client = three();
    let reply = client.run(HashOperation::GetDelete(all(&["a", "z"])));
    assert_eq!(reply, Ok(Reply::Values(vec![Some(bytes("1")), None])));
    assert_eq!(client.run(HashOperation::Fields), values(&["b", "c"]));
}

#[test]
fn hincrby_counts_from_zero_and_from_what_was_assigned() {
    let mut client = three();
    assert_eq!(client.run(increment("n", 5)), integer(5));
    assert_eq!(client.run(increment("c", -5)), integer(-2));
    assert_eq!(client.run(hget("c")), values(&["-2"]));
}

#[test]
fn hset_takes_increments_back() {
    let mut client = Client::new();
    client.run(increment("n", 5)).unwrap();
    assert_eq!(client.run(hset(&[("n", "100")])), integer(0));
    assert_eq!(client.run(hget("n")), values(&["100"]));
    assert_eq!(client.run(increment("n", 1)), integer(101));
}

#[test]
fn hdel_takes_increments_back() {
    let mut client = Client::new();
    client.run(increment("n", 5)).unwrap();
    client.run(hdel(&["n"])).unwrap();
    assert_eq!(client.run(increment("n", 1)), integer(1));
    assert_eq!(client.run(hget("n")), values(&["1"]));
}

#[test]
fn increments_go_on_right_after_the_hash_has_expired() {
    let mut client = Client::new();
    client.run(increment("n", 5)).unwrap();
    client.run(hdel(&["n"])).unwrap();
    client.run(hset(&[("f", "v")])).unwrap();
    client.run(expire_at(client.now + 50)).unwrap();
    client.now += 50;
    assert_eq!(client.run(increment("n", 3)), integer(3));
    assert_eq!(client.run(HashOperation::All), pairs(&[("n", "3")]));
}

#[test]
fn hincrby_of_what_is_no_integer_is_refused() {
    let mut client = Client::new();
    client.run(hset(&[("f", "abc"), ("g", "1.5")])).unwrap();
    assert_eq!(text(client.run(increment("f", 1))), "ERR hash value is not an integer");
    assert_eq!(text(client.run(increment("g", 1))), "ERR hash value is not an integer");
}

#[test]
fn hincrby_past_64_bits_is_refused() {
    let mut client = Client::new();
    client.run(increment("n", i64::MAX)).unwrap();
    let message = "ERR increment or decrement would overflow";
    assert_eq!(text(client.run(increment("n", 1))), message);
    assert_eq!(client.run(hget("n")), values(&["9223372036854775807"]));
}

#[test]
fn hincrbyfloat_answers_as_redis_prints() {
    let mut client = Client::new();
    client.run(hset(&[("f", "10.50"), ("g", "5.0e3")])).unwrap();
    assert_eq!(client.run(increment_float("f", "0.1")), value("10.6"));
    assert_eq!(client.run(increment_float("f", "-5")), value("5.6"));
    assert_eq!(client.run(increment_float("g", "2.0e2")), value("5200"));
}

#[test]
fn hincrbyfloat_of_what_is_no_number_is_refused() {
    let mut client = Client::new();
    client.run(hset(&[("f", "abc"), ("n", "1"), ("i", "inf")])).unwrap();
    assert_eq!(text(client.run(increment_float("f", "1"))), "ERR hash value is not a float");
    assert_eq!(text(client.run(increment_float("n", "abc"))), "ERR value is not a valid float");
    assert_eq!(text(client.run(increment_float("n", "nan"))), "ERR value is not a valid float");
    assert_eq!(text(client.run(increment_float("n", "inf"))), "ERR value is NaN or Infinity");
    let message = "ERR increment would produce NaN or Infinity";
    assert_eq!(text(client.run(increment_float("i", "1"))), message);
}

#[test]
fn hrandfield_answers_distinct_fields() {
    let mut client = three();
    for count in 0..5u64 {
        let Reply::Pairs(mut found) = client.run(HashOperation::Random(count)).unwrap() else {
            panic!("pairs");
        };
        assert_eq!(found.len() as u64, count.min(3));
        found.sort();
        found.dedup();
        assert_eq!(found.len() as u64, count.min(3));
    }
}

#[test]
fn hrandfield_with_a_negative_count_may_repeat() {
    let Reply::Pairs(found) = three().run(HashOperation::RandomRepeated(50)).unwrap() else {
        panic!("pairs");
    };
    assert_eq!(found.len(), 50);
    let known = [("a", "1"), ("b", "2"), ("c", "3")].map(|(f, v)| (bytes(f), bytes(v)));
    assert!(found.iter().all(|pair| known.contains(pair)));
    assert!(
        known.iter().all(|pair| found.contains(pair)),
        "50 draws miss one of 3 at odds of 10^-8"
    );
}

#[test]
fn hscan_pages_through_every_field_once() {
    let mut client = three();
    let scan = |after: Option<&str>| HashOperation::Scan { after: after.map(bytes), count: 2 };
    assert_eq!(client.run(scan(None)), pairs(&[("a", "1"), ("b", "2")]));
    assert_eq!(client.run(scan(Some("b"))), pairs(&[("c", "3")]));
    assert_eq!(client.run(scan(Some("c"))), pairs(&[]));
}

#[test]
fn hscan_goes_on_after_a_field_that_was_removed() {
    let mut client = three();
    client.run(hdel(&["b"])).unwrap();
    let scan = HashOperation::Scan { after: Some(bytes("b")), count: 2 };
    assert_eq!(client.run(scan), pairs(&[("c", "3")]));
}

#[test]
fn fields_of_any_bytes_are_kept_apart() {
    let mut client = Client::new();
    client.run(hset(&[("", "empty"), ("\0", "zero"), ("\0\u{1}", "two")])).unwrap();
    assert_eq!(client.run(HashOperation::Count), integer(3));
    assert_eq!(client.run(hget("")), values(&["empty"]));
    assert_eq!(client.run(hget("\0")), values(&["zero"]));
}

#[test]
fn every_hash_operation_on_another_type_is_refused() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    for operation in [
        hget("f"),
        HashOperation::All,
        HashOperation::Fields,
        HashOperation::Values,
        HashOperation::Count,
        HashOperation::Contains(bytes("f")),
        HashOperation::Length(bytes("f")),
        hset(&[("f", "v")]),
        HashOperation::SetIfAbsent { field: bytes("f"), value: bytes("v") },
        hdel(&["f"]),
        HashOperation::GetDelete(all(&["f"])),
        increment("f", 1),
        increment_float("f", "1"),
        HashOperation::Random(1),
        HashOperation::RandomRepeated(1),
        HashOperation::Scan { after: None, count: 1 },
    ] {
        assert_eq!(text(client.run(operation)), WRONG_TYPE);
    }
}

#[test]
fn fields_and_values_over_their_limits_are_refused() {
    let mut client = Client::new();
    client.limits = Limits { element_bytes_max: 3, value_bytes_max: 2, ..Limits::default() };
    let field = "ERR element of 4 bytes exceeds the limit of 3";
    assert_eq!(text(client.run(hset(&[("f", "v"), ("long", "v")]))), field);
    assert_eq!(text(client.run(increment("long", 1))), field);
    assert_eq!(text(client.run(increment_float("long", "1"))), field);
    let operation = HashOperation::SetIfAbsent { field: bytes("long"), value: bytes("v") };
    assert_eq!(text(client.run(operation)), field);
    let value = "ERR value of 3 bytes exceeds the limit of 2";
    assert_eq!(text(client.run(hset(&[("f", "vvv")]))), value);
    assert_eq!(client.run(HashOperation::Count), integer(0));
}

#[test]
fn several_operations_on_a_hash_make_one_delta() {
    let mut client = Client::new();
    let replies = client.run_all([
        hset(&[("n", "1")]).operation(),
        increment("n", 2).operation(),
        increment("m", 4).operation(),
        hdel(&["m"]).operation(),
        increment("m", 1).operation(),
        HashOperation::All.operation(),
    ]);
    let listed = pairs(&[("m", "1"), ("n", "3")]);
    assert_eq!(
        replies,
        [integer(1), integer(3), integer(4), integer(1), integer(1), listed.clone()]
    );
    assert_eq!(client.run(HashOperation::All), listed);
    assert_eq!(client.run(HashOperation::Count), integer(2));
}

#[test]
fn only_increments_observe_nothing() {
    assert!(!increment("n", 1).operation().observes());
    assert!(!increment_float("n", "1").operation().observes());
    assert!(hset(&[("f", "v")]).operation().observes());
    assert!(hdel(&["f"]).operation().observes());
}
