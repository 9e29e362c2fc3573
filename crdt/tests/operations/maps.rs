//! Maps with nested paths.

use bytes::Bytes;
use coterie_crdt::operation::{
    HashOperation, KeyOperation, Limits, MapOperation, MapPath, OpError, Reply,
};

use crate::support::{
    Client, Command, WRONG_TYPE, all, bytes, hset, integer, nothing, sadd, text, value, values,
};

/// A path in the notation `a/b/c`.
fn path(segments: &str) -> MapPath {
    MapPath::new(all(&segments.split('/').collect::<Vec<_>>())).unwrap()
}

fn assign(place: &str, text: &str) -> MapOperation {
    MapOperation::Set { path: path(place), value: bytes(text) }
}

fn read(place: &str) -> MapOperation {
    MapOperation::Get(path(place))
}

fn increment(place: &str, by: i64) -> MapOperation {
    MapOperation::IncrementBy { path: path(place), by }
}

fn remove(place: &str) -> MapOperation {
    MapOperation::Remove { path: path(place), cells_max: usize::MAX }
}

fn entries(expected: &[(&str, &str)]) -> Result<Reply, OpError> {
    let entry = |(place, text): &(&str, &str)| (path(place).segments().to_vec(), bytes(text));
    Ok(Reply::Entries(expected.iter().map(entry).collect()))
}

fn everything(client: &mut Client) -> Result<Reply, OpError> {
    client.run(MapOperation::Entries(None))
}

/// `a` = 1, `a/x` = 2, `a/x/y` = 3, `a/z` = 4, `ab/x` = 5, `b` = 6.
fn tree() -> Client {
    let mut client = Client::new();
    for (place, text) in
        [("a", "1"), ("a/x", "2"), ("a/x/y", "3"), ("a/z", "4"), ("ab/x", "5"), ("b", "6")]
    {
        assert_eq!(client.run(assign(place, text)), integer(1));
    }
    client
}

#[test]
fn a_path_has_a_segment() {
    assert_eq!(MapPath::new(Vec::new()), None);
}

#[test]
fn values_at_nested_paths_are_told_apart() {
    let mut client = tree();
    assert_eq!(client.run(read("a")), value("1"));
    assert_eq!(client.run(read("a/x")), value("2"));
    assert_eq!(client.run(read("a/x/y")), value("3"));
    assert_eq!(client.run(read("x/a")), nothing());
    assert_eq!(client.run(assign("a/x", "7")), integer(0));
    assert_eq!(client.run(read("a/x")), value("7"));
    assert_eq!(client.run(read("a/x/y")), value("3"));
}

#[test]
fn segments_of_any_bytes_are_kept_apart() {
    let mut client = Client::new();
    let at = |segments: [&'static [u8]; 2]| {
        MapPath::new(segments.map(Bytes::from_static).to_vec()).unwrap()
    };
    let paths = [at([b"a\0", b"b"]), at([b"a", b"\0b"]), at([b"", b"ab"]), at([b"ab", b""])];
    for (index, path) in paths.iter().enumerate() {
        let value = bytes(&index.to_string());
        let operation = MapOperation::Set { path: path.clone(), value };
        assert_eq!(client.run(operation), integer(1));
    }
    for (index, path) in paths.into_iter().enumerate() {
        assert_eq!(client.run(MapOperation::Get(path)), value(&index.to_string()));
    }
}

#[test]
fn hash_operations_see_the_first_level_only() {
    let mut client = tree();
    let reply = client.run(HashOperation::All);
    assert_eq!(reply, Ok(Reply::Pairs(vec![(bytes("a"), bytes("1")), (bytes("b"), bytes("6"))])));
    assert_eq!(client.run(HashOperation::Count), integer(2));
    client.run(hset(&[("a", "9")])).unwrap();
    assert_eq!(client.run(read("a")), value("9"));
}

#[test]
fn a_map_of_nested_values_only_is_a_hash() {
    let mut client = Client::new();
    client.run(assign("a/b", "1")).unwrap();
    assert_eq!(client.run(KeyOperation::Exists), integer(1));
    assert_eq!(client.run(HashOperation::Count), integer(0));
    assert_eq!(text(client.run(sadd(&["m"]))), WRONG_TYPE);
}

#[test]
fn entries_under_a_path_are_those_strictly_under_it() {
    let mut client = tree();
    let mut under = |place: &str| client.run(MapOperation::Entries(Some(path(place))));
    assert_eq!(under("a"), entries(&[("a/x", "2"), ("a/x/y", "3"), ("a/z", "4")]));
    assert_eq!(under("a/x"), entries(&[("a/x/y", "3")]));
    assert_eq!(under("b"), entries(&[]));
    assert_eq!(under("ab"), entries(&[("ab/x", "5")]));
}

#[test]
fn entries_of_all_the_map_begin_with_the_first_level() {
    let listed = entries(&[
        ("a", "1"),
        ("b", "6"),
        ("a/x", "2"),
        ("a/x/y", "3"),
        ("a/z", "4"),
        ("ab/x", "5"),
    ]);
    assert_eq!(everything(&mut tree()), listed);
}

#[test]
fn counts_are_those_of_the_entries() {
    let mut client = tree();
    assert_eq!(client.run(MapOperation::Count(None)), integer(6));
    assert_eq!(client.run(MapOperation::Count(Some(path("a")))), integer(3));
    assert_eq!(client.run(MapOperation::Count(Some(path("a/x")))), integer(1));
    assert_eq!(client.run(MapOperation::Count(Some(path("z")))), integer(0));
}

#[test]
fn removing_a_path_removes_its_value_and_all_under_it() {
    let mut client = tree();
    assert_eq!(client.run(remove("a")), integer(4));
    assert_eq!(everything(&mut client), entries(&[("b", "6"), ("ab/x", "5")]));
    assert_eq!(client.run(HashOperation::Count), integer(1));
}

#[test]
fn removing_a_nested_path_leaves_what_is_above_and_beside_it() {
    let mut client = tree();
    assert_eq!(client.run(remove("a/x")), integer(2));
    let left = entries(&[("a", "1"), ("b", "6"), ("a/z", "4"), ("ab/x", "5")]);
    assert_eq!(everything(&mut client), left);
}

#[test]
fn removing_a_missing_path_changes_nothing() {
    let mut client = tree();
    let before = client.state.clone();
    assert_eq!(client.run(remove("z/z")), integer(0));
    assert_eq!(client.state, before);
}

#[test]
fn hdel_removes_the_field_and_leaves_the_submap() {
    let mut client = tree();
    client.run(HashOperation::Remove(all(&["a"]))).unwrap();
    assert_eq!(client.run(read("a")), nothing());
    assert_eq!(client.run(MapOperation::Count(Some(path("a")))), integer(3));
}

#[test]
fn a_large_submap_is_removed_in_chunks() {
    let mut client = Client::new();
    for index in 0..25 {
        client.run(assign(&format!("a/{index}"), "v")).unwrap();
    }
    client.run(assign("a", "v")).unwrap();
    client.run(assign("b/0", "v")).unwrap();
    let chunk = || MapOperation::Remove { path: path("a"), cells_max: 10 };
    let removed: Vec<_> = (0..4).map(|_| client.run(chunk()).unwrap()).collect();
    assert_eq!(removed, [10, 10, 6, 0].map(Reply::Integer));
    assert_eq!(everything(&mut client), entries(&[("b/0", "v")]));
}

#[test]
fn increments_at_a_path_add_to_what_is_assigned_there() {
    let mut client = Client::new();
    assert_eq!(client.run(increment("a/n", 5)), integer(5));
    client.run(assign("a/n", "10")).unwrap();
    assert_eq!(client.run(increment("a/n", 1)), integer(11));
    let operation = MapOperation::IncrementByFloat { path: path("a/n"), by: bytes("0.5") };
    assert_eq!(client.run(operation), value("11.5"));
    assert_eq!(text(client.run(increment("a/n", 1))), "ERR hash value is not an integer");
}

#[test]
fn removing_a_path_takes_increments_under_it_back() {
    let mut client = Client::new();
    client.run(increment("a/n", 5)).unwrap();
    client.run(remove("a")).unwrap();
    assert_eq!(client.run(increment("a/n", 1)), integer(1));
    assert_eq!(client.run(read("a/n")), value("1"));
}

#[test]
fn decimals_at_a_path_that_are_none_are_refused() {
    let mut client = Client::new();
    client.run(assign("a/n", "abc")).unwrap();
    let by = |text| MapOperation::IncrementByFloat { path: path("a/n"), by: bytes(text) };
    assert_eq!(text(client.run(by("1"))), "ERR hash value is not a float");
    assert_eq!(text(client.run(by("abc"))), "ERR value is not a valid float");
}

#[test]
fn every_map_operation_on_another_type_is_refused() {
    let mut client = Client::new();
    client.run(sadd(&["m"])).unwrap();
    for operation in [
        read("a/b"),
        assign("a/b", "v"),
        increment("a/b", 1),
        remove("a"),
        MapOperation::Entries(None),
        MapOperation::Count(None),
    ] {
        assert_eq!(text(client.run(operation)), WRONG_TYPE);
    }
}

#[test]
fn paths_over_the_limit_are_refused() {
    let mut client = Client::new();
    client.limits = Limits { element_bytes_max: 8, value_bytes_max: 2, ..Limits::default() };
    let message = "ERR element of 9 bytes exceeds the limit of 8";
    assert_eq!(text(client.run(assign("aaa/bb", "v"))), message);
    assert_eq!(text(client.run(increment("aaa/bb", 1))), message);
    let message = "ERR value of 3 bytes exceeds the limit of 2";
    assert_eq!(text(client.run(assign("a/b", "vvv"))), message);
    assert_eq!(client.run(HashOperation::Fields), values(&[]));
}

#[test]
fn only_increments_observe_nothing() {
    assert!(!increment("a/n", 1).operation().observes());
    assert!(assign("a/n", "v").operation().observes());
    assert!(remove("a").operation().observes());
}
