//! Sorted sets.

use std::ops::Bound;

use coterie_crdt::Direction;
use coterie_crdt::operation::{
    AddCondition, KeyOperation, Limits, OpError, RangeLimit, Reply, SortedSetOperation,
    SortedSetRange,
};

use crate::support::{
    Client, Command, WRONG_TYPE, all, bytes, expire_at, integer, nothing, score, scored, set, text,
    zadd,
};

type Listed = &'static [(&'static str, f64)];

const FORWARD: Direction = Direction::Forward;
const BACKWARD: Direction = Direction::Backward;
const INFINITY: f64 = f64::INFINITY;

fn zadd_if(members: &[(&str, f64)], condition: AddCondition) -> SortedSetOperation {
    SortedSetOperation::Add { members: scored(members), condition, count_changed: true }
}

fn zincrby(member: &str, by: f64) -> SortedSetOperation {
    zincrby_if(member, by, AddCondition::Always)
}

fn zincrby_if(member: &str, by: f64, condition: AddCondition) -> SortedSetOperation {
    SortedSetOperation::Increment { member: bytes(member), by: score(by), condition }
}

fn zrem(members: &[&str]) -> SortedSetOperation {
    SortedSetOperation::Remove(all(members))
}

fn zscore(member: &str) -> SortedSetOperation {
    SortedSetOperation::Scores(all(&[member]))
}

fn zrange(range: SortedSetRange, direction: Direction) -> SortedSetOperation {
    SortedSetOperation::Range { range, direction, limit: RangeLimit::NONE }
}

fn ranks(start: i64, stop: i64) -> SortedSetRange {
    SortedSetRange::Ranks { start, stop }
}

fn scores(min: Bound<f64>, max: Bound<f64>) -> SortedSetRange {
    SortedSetRange::Scores { min: min.map(score), max: max.map(score) }
}

fn names(min: Bound<&str>, max: Bound<&str>) -> SortedSetRange {
    SortedSetRange::Names { min: min.map(bytes), max: max.map(bytes) }
}

fn rank(member: &str, direction: Direction) -> SortedSetOperation {
    SortedSetOperation::Rank { member: bytes(member), direction }
}

fn number(value: f64) -> Result<Reply, OpError> {
    Ok(Reply::Score(score(value)))
}

fn one(value: f64) -> Result<Reply, OpError> {
    Ok(Reply::Scores(vec![Some(score(value))]))
}

fn members(expected: &[(&str, f64)]) -> Result<Reply, OpError> {
    Ok(Reply::Scored(scored(expected)))
}

fn everything(client: &mut Client) -> Result<Reply, OpError> {
    client.run(zrange(ranks(0, -1), FORWARD))
}

fn three() -> Client {
    let mut client = Client::new();
    assert_eq!(client.run(zadd(&[("b", 2.0), ("a", 1.0), ("c", 3.0)])), integer(3));
    client
}

/// `a` to `e`, all of score 0.
fn letters() -> Client {
    let mut client = Client::new();
    let letters = ["a", "b", "c", "d", "e"].map(|letter| (letter, 0.0));
    client.run(zadd(&letters)).unwrap();
    client
}

#[test]
fn zadd_counts_new_members_only() {
    let mut client = three();
    assert_eq!(client.run(zadd(&[("a", 9.0), ("d", 4.0)])), integer(1));
    assert_eq!(client.run(zscore("a")), one(9.0));
    assert_eq!(client.run(SortedSetOperation::Count), integer(4));
}

#[test]
fn zadd_ch_counts_changed_members_too() {
    let mut client = three();
    let added = [("a", 9.0), ("b", 2.0), ("d", 4.0)];
    assert_eq!(client.run(zadd_if(&added, AddCondition::Always)), integer(2));
}

#[test]
fn zadd_nx_leaves_members_that_are_there() {
    let mut client = three();
    assert_eq!(client.run(zadd_if(&[("a", 9.0), ("d", 4.0)], AddCondition::IfAbsent)), integer(1));
    assert_eq!(client.run(zscore("a")), one(1.0));
    assert_eq!(client.run(zscore("d")), one(4.0));
}

#[test]
fn zadd_xx_adds_no_member() {
    let mut client = three();
    assert_eq!(client.run(zadd_if(&[("a", 9.0), ("d", 4.0)], AddCondition::IfPresent)), integer(1));
    assert_eq!(client.run(zscore("a")), one(9.0));
    assert_eq!(client.run(SortedSetOperation::Count), integer(3));
}

#[test]
fn zadd_gt_and_lt_move_scores_one_way_and_add_members() {
    let update = [("a", 0.0), ("b", 2.0), ("c", 9.0), ("d", 4.0)];
    let mut client = three();
    assert_eq!(client.run(zadd_if(&update, AddCondition::IfGreater)), integer(2));
    let raised = members(&[("a", 1.0), ("b", 2.0), ("d", 4.0), ("c", 9.0)]);
    assert_eq!(everything(&mut client), raised);
    let mut client = three();
    assert_eq!(client.run(zadd_if(&update, AddCondition::IfLess)), integer(2));
    let lowered = members(&[("a", 0.0), ("b", 2.0), ("c", 3.0), ("d", 4.0)]);
    assert_eq!(everything(&mut client), lowered);
}

#[test]
fn zadd_xx_gt_and_xx_lt_add_no_member() {
    let update = [("a", 0.0), ("b", 2.0), ("c", 9.0), ("d", 4.0)];
    let mut client = three();
    assert_eq!(client.run(zadd_if(&update, AddCondition::IfPresentAndGreater)), integer(1));
    assert_eq!(everything(&mut client), members(&[("a", 1.0), ("b", 2.0), ("c", 9.0)]));
    let mut client = three();
    assert_eq!(client.run(zadd_if(&update, AddCondition::IfPresentAndLess)), integer(1));
    assert_eq!(everything(&mut client), members(&[("a", 0.0), ("b", 2.0), ("c", 3.0)]));
}

#[test]
fn zadd_of_the_same_score_renews_the_member() {
    let mut client = three();
    let before = client.state.digest();
    assert_eq!(client.run(zadd(&[("a", 1.0)])), integer(0));
    assert_ne!(client.state.digest(), before);
}

#[test]
fn zadd_whose_condition_fails_changes_nothing() {
    let mut client = three();
    let before = client.state.clone();
    client.run(zadd_if(&[("a", 9.0)], AddCondition::IfAbsent)).unwrap();
    client.run(zadd_if(&[("a", 1.0)], AddCondition::IfGreater)).unwrap();
    client.run(zadd_if(&[("z", 1.0)], AddCondition::IfPresent)).unwrap();
    assert_eq!(client.state, before);
}

#[test]
fn zadd_takes_increments_back() {
    let mut client = three();
    client.run(zincrby("a", 5.0)).unwrap();
    client.run(zadd(&[("a", 1.5)])).unwrap();
    assert_eq!(client.run(zscore("a")), one(1.5));
    assert_eq!(client.run(zincrby("a", 1.0)), number(2.5));
}

#[test]
fn zincrby_adds_from_zero_and_from_what_is_there() {
    let mut client = three();
    assert_eq!(client.run(zincrby("z", 2.5)), number(2.5));
    assert_eq!(client.run(zincrby("c", -5.0)), number(-2.0));
    let listed = members(&[("c", -2.0), ("a", 1.0), ("b", 2.0), ("z", 2.5)]);
    assert_eq!(everything(&mut client), listed);
}

#[test]
fn zincrby_of_small_steps_after_a_large_reset_loses_none() {
    let mut client = Client::new();
    client.run(zincrby("a", 1e16)).unwrap();
    client.run(zadd(&[("a", 0.0)])).unwrap();
    for _ in 0..10 {
        client.run(zincrby("a", 1.0)).unwrap();
    }
    assert_eq!(client.run(zscore("a")), one(10.0));
}

#[test]
fn zincrby_to_no_number_is_refused() {
    let mut client = Client::new();
    client.run(zadd(&[("a", INFINITY)])).unwrap();
    let message = "ERR resulting score is not a number (NaN)";
    assert_eq!(text(client.run(zincrby("a", -INFINITY))), message);
    assert_eq!(client.run(zscore("a")), one(INFINITY));
}

#[test]
fn zincrby_of_infinity_assigns_it() {
    let mut client = three();
    assert_eq!(client.run(zincrby("a", INFINITY)), number(INFINITY));
    assert_eq!(client.run(zincrby("a", -5.0)), number(INFINITY));
    assert_eq!(client.run(zincrby("z", -INFINITY)), number(-INFINITY));
    assert!(zincrby("a", INFINITY).operation().observes());
    assert!(!zincrby("a", 1.0).operation().observes());
}

#[test]
fn zadd_incr_answers_nothing_where_its_condition_fails() {
    let mut client = three();
    assert_eq!(client.run(zincrby_if("a", 1.0, AddCondition::IfAbsent)), nothing());
    assert_eq!(client.run(zincrby_if("z", 1.0, AddCondition::IfPresent)), nothing());
    assert_eq!(client.run(zincrby_if("a", -1.0, AddCondition::IfGreater)), nothing());
    assert_eq!(client.run(zincrby_if("a", 1.0, AddCondition::IfLess)), nothing());
    assert_eq!(everything(&mut client), everything(&mut three()));
    assert_eq!(client.run(zincrby_if("a", 1.0, AddCondition::IfGreater)), number(2.0));
    assert_eq!(client.run(zincrby_if("z", 1.0, AddCondition::IfAbsent)), number(1.0));
}

#[test]
fn zrem_counts_what_was_there_and_takes_increments_back() {
    let mut client = three();
    client.run(zincrby("a", 5.0)).unwrap();
    assert_eq!(client.run(zrem(&["a", "a", "z"])), integer(1));
    assert_eq!(client.run(zincrby("a", 1.0)), number(1.0));
    assert_eq!(client.run(zrem(&["a", "b", "c"])), integer(3));
    assert_eq!(client.run(KeyOperation::Exists), integer(0));
}

#[test]
fn zmscore_answers_in_the_order_asked_for() {
    let reply = three().run(SortedSetOperation::Scores(all(&["c", "z", "a"])));
    assert_eq!(reply, Ok(Reply::Scores(vec![Some(score(3.0)), None, Some(score(1.0))])));
}

#[test]
fn a_missing_key_is_an_empty_sorted_set() {
    let mut client = Client::new();
    assert_eq!(client.run(SortedSetOperation::Count), integer(0));
    assert_eq!(everything(&mut client), members(&[]));
    assert_eq!(client.run(rank("a", FORWARD)), nothing());
    assert_eq!(client.run(SortedSetOperation::Pop { direction: FORWARD, count: 1 }), members(&[]));
    assert_eq!(client.run(SortedSetOperation::RandomRepeated(3)), members(&[]));
}

#[test]
fn members_of_equal_score_are_in_order_of_their_names() {
    let mut client = Client::new();
    client.run(zadd(&[("b", 1.0), ("c", 0.0), ("a", 1.0), ("d", -0.0)])).unwrap();
    let listed = members(&[("c", 0.0), ("d", 0.0), ("a", 1.0), ("b", 1.0)]);
    assert_eq!(everything(&mut client), listed);
}

#[test]
fn zrange_by_rank_takes_inclusive_and_negative_ranks() {
    let mut client = three();
    let cases: [(i64, i64, Listed); 8] = [
        (0, -1, &[("a", 1.0), ("b", 2.0), ("c", 3.0)]),
        (2, 3, &[("c", 3.0)]),
        (-2, -1, &[("b", 2.0), ("c", 3.0)]),
        (0, 0, &[("a", 1.0)]),
        (1, 0, &[]),
        (3, 5, &[]),
        (-100, 0, &[("a", 1.0)]),
        (0, -100, &[]),
    ];
    for (start, stop, expected) in cases {
        let reply = client.run(zrange(ranks(start, stop), FORWARD));
        assert_eq!(reply, members(expected), "{start} {stop}");
    }
}

#[test]
fn zrange_rev_counts_ranks_from_the_greatest() {
    let mut client = three();
    assert_eq!(client.run(zrange(ranks(0, 0), BACKWARD)), members(&[("c", 3.0)]));
    assert_eq!(client.run(zrange(ranks(-2, -1), BACKWARD)), members(&[("b", 2.0), ("a", 1.0)]));
}

#[test]
fn zrange_by_score_takes_inclusive_exclusive_and_open_bounds() {
    use Bound::{Excluded, Included, Unbounded};
    let mut client = three();
    let cases: [(Bound<f64>, Bound<f64>, Listed); 8] = [
        (Unbounded, Unbounded, &[("a", 1.0), ("b", 2.0), ("c", 3.0)]),
        (Included(-INFINITY), Included(INFINITY), &[("a", 1.0), ("b", 2.0), ("c", 3.0)]),
        (Included(1.0), Included(2.0), &[("a", 1.0), ("b", 2.0)]),
        (Excluded(1.0), Included(2.0), &[("b", 2.0)]),
        (Excluded(1.0), Excluded(2.0), &[]),
        (Included(2.5), Unbounded, &[("c", 3.0)]),
        (Included(3.0), Included(1.0), &[]),
        (Excluded(INFINITY), Unbounded, &[]),
    ];
    for (min, max, expected) in cases {
        let reply = client.run(zrange(scores(min, max), FORWARD));
        assert_eq!(reply, members(expected), "{min:?} {max:?}");
        let count = client.run(SortedSetOperation::CountRange(scores(min, max)));
        assert_eq!(count, Ok(Reply::count(expected.len())));
    }
}

#[test]
fn zrange_by_score_holds_infinite_scores() {
    use Bound::{Excluded, Included};
    let mut client = Client::new();
    client.run(zadd(&[("l", -INFINITY), ("m", 0.0), ("h", INFINITY)])).unwrap();
    let mut count = |min, max| client.run(SortedSetOperation::CountRange(scores(min, max)));
    assert_eq!(count(Included(-INFINITY), Included(INFINITY)), integer(3));
    assert_eq!(count(Excluded(-INFINITY), Excluded(INFINITY)), integer(1));
    assert_eq!(count(Included(INFINITY), Included(INFINITY)), integer(1));
}

#[test]
fn zrange_by_score_rev_walks_from_the_greatest() {
    let range = scores(Bound::Included(1.0), Bound::Included(2.0));
    assert_eq!(three().run(zrange(range, BACKWARD)), members(&[("b", 2.0), ("a", 1.0)]));
}

#[test]
fn zrange_by_name_takes_inclusive_exclusive_and_open_bounds() {
    use Bound::{Excluded, Included, Unbounded};
    let mut client = letters();
    let cases = [
        (Unbounded, Unbounded, "abcde"),
        (Included("b"), Included("d"), "bcd"),
        (Excluded("b"), Excluded("d"), "c"),
        (Unbounded, Excluded("c"), "ab"),
        (Included("aaa"), Excluded("g"), "bcde"),
        (Included("d"), Included("b"), ""),
        (Excluded("b"), Excluded("b"), ""),
        (Included("b"), Included("b"), "b"),
        (Excluded("b"), Included("b"), ""),
        (Excluded("z"), Excluded(""), ""),
    ];
    for (min, max, expected) in cases {
        let listed: Vec<_> = expected.chars().map(|letter| letter.to_string()).collect();
        let listed: Vec<_> = listed.iter().map(|letter| (letter.as_str(), 0.0)).collect();
        let reply = client.run(zrange(names(min, max), FORWARD));
        assert_eq!(reply, members(&listed), "{min:?} {max:?}");
        let count = client.run(SortedSetOperation::CountRange(names(min, max)));
        assert_eq!(count, Ok(Reply::count(expected.len())));
    }
}

#[test]
fn limit_takes_a_part_of_the_range() {
    let mut client = letters();
    let open = || names(Bound::Unbounded, Bound::Unbounded);
    let mut part = |direction, offset, count| {
        let limit = RangeLimit { offset, count };
        client.run(SortedSetOperation::Range { range: open(), direction, limit })
    };
    assert_eq!(part(FORWARD, 1, 2), members(&[("b", 0.0), ("c", 0.0)]));
    assert_eq!(part(BACKWARD, 1, 2), members(&[("d", 0.0), ("c", 0.0)]));
    assert_eq!(part(FORWARD, 3, -1), members(&[("d", 0.0), ("e", 0.0)]));
    assert_eq!(part(FORWARD, 9, 1), members(&[]));
    assert_eq!(part(FORWARD, -1, 1), members(&[]));
    assert_eq!(part(FORWARD, 0, 0), members(&[]));
}

#[test]
fn zrank_counts_from_either_end() {
    let mut client = three();
    client.run(zadd(&[("bb", 2.0)])).unwrap();
    let ranked = |rank, value| Ok(Reply::Ranked(rank, score(value)));
    assert_eq!(client.run(rank("a", FORWARD)), ranked(0, 1.0));
    assert_eq!(client.run(rank("bb", FORWARD)), ranked(2, 2.0));
    assert_eq!(client.run(rank("bb", BACKWARD)), ranked(1, 2.0));
    assert_eq!(client.run(rank("b", BACKWARD)), ranked(2, 2.0));
    assert_eq!(client.run(rank("z", FORWARD)), nothing());
}

#[test]
fn zpop_removes_from_either_end() {
    let mut client = three();
    let pop = |direction, count| SortedSetOperation::Pop { direction, count };
    assert_eq!(client.run(pop(FORWARD, 1)), members(&[("a", 1.0)]));
    assert_eq!(client.run(pop(BACKWARD, 0)), members(&[]));
    assert_eq!(client.run(pop(BACKWARD, 5)), members(&[("c", 3.0), ("b", 2.0)]));
    assert_eq!(client.run(KeyOperation::Exists), integer(0));
}

#[test]
fn zremrange_removes_by_rank_score_and_name() {
    let remove = SortedSetOperation::RemoveRange;
    let mut client = three();
    assert_eq!(client.run(remove(ranks(0, 1))), integer(2));
    assert_eq!(everything(&mut client), members(&[("c", 3.0)]));
    let mut client = three();
    let range = scores(Bound::Excluded(1.0), Bound::Unbounded);
    assert_eq!(client.run(remove(range)), integer(2));
    assert_eq!(everything(&mut client), members(&[("a", 1.0)]));
    let mut client = letters();
    assert_eq!(client.run(remove(names(Bound::Unbounded, Bound::Included("d")))), integer(4));
    assert_eq!(everything(&mut client), members(&[("e", 0.0)]));
}

#[test]
fn zrandmember_answers_distinct_members_or_repeats() {
    let mut client = three();
    for (operation, length) in [
        (SortedSetOperation::Random(2), 2),
        (SortedSetOperation::Random(9), 3),
        (SortedSetOperation::RandomRepeated(9), 9),
    ] {
        let distinct = matches!(operation, SortedSetOperation::Random(_));
        let Ok(Reply::Scored(mut found)) = client.run(operation) else { panic!("members") };
        assert_eq!(found.len(), length);
        assert!(
            found.iter().all(|entry| scored(&[("a", 1.0), ("b", 2.0), ("c", 3.0)]).contains(entry))
        );
        found.sort();
        found.dedup();
        assert!(!distinct || found.len() == length);
    }
}

#[test]
fn zscan_pages_by_name() {
    let mut client = three();
    let scan = |after: Option<&str>| SortedSetOperation::Scan { after: after.map(bytes), count: 2 };
    assert_eq!(client.run(scan(None)), members(&[("a", 1.0), ("b", 2.0)]));
    assert_eq!(client.run(scan(Some("b"))), members(&[("c", 3.0)]));
    assert_eq!(client.run(scan(Some("c"))), members(&[]));
}

#[test]
fn store_replaces_whatever_was_there_and_its_expiry() {
    for first in [set("a").operation(), zadd(&[("a", 5.0), ("z", 1.0)]).operation()] {
        let mut client = Client::new();
        client.run(first).unwrap();
        client.run(expire_at(client.now + 50)).unwrap();
        let store = SortedSetOperation::Store(scored(&[("a", 1.0), ("b", 0.5)]));
        assert_eq!(client.run(store), integer(2));
        assert_eq!(everything(&mut client), members(&[("b", 0.5), ("a", 1.0)]));
        assert_eq!(client.run(KeyOperation::TimeToLive), integer(-1));
        assert_eq!(client.run(SortedSetOperation::Count), integer(2));
    }
}

#[test]
fn store_takes_increments_back() {
    let mut client = three();
    client.run(zincrby("a", 5.0)).unwrap();
    client.run(SortedSetOperation::Store(scored(&[("a", 1.0)]))).unwrap();
    assert_eq!(everything(&mut client), members(&[("a", 1.0)]));
}

#[test]
fn store_of_nothing_deletes_the_key() {
    let mut client = three();
    assert_eq!(client.run(SortedSetOperation::Store(Vec::new())), integer(0));
    assert_eq!(client.run(KeyOperation::Exists), integer(0));
}

#[test]
fn every_sorted_set_operation_on_another_type_is_refused() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    for operation in [
        zadd(&[("a", 1.0)]),
        zincrby("a", 1.0),
        zrem(&["a"]),
        zscore("a"),
        SortedSetOperation::Count,
        SortedSetOperation::CountRange(ranks(0, 1)),
        zrange(ranks(0, -1), FORWARD),
        rank("a", FORWARD),
        SortedSetOperation::Pop { direction: FORWARD, count: 1 },
        SortedSetOperation::RemoveRange(ranks(0, 1)),
        SortedSetOperation::Random(1),
        SortedSetOperation::RandomRepeated(1),
        SortedSetOperation::Scan { after: None, count: 1 },
    ] {
        assert_eq!(text(client.run(operation)), WRONG_TYPE);
    }
}

#[test]
fn members_over_the_limit_are_refused() {
    let mut client = three();
    let before = client.state.clone();
    client.limits = Limits { element_bytes_max: 3, ..Limits::default() };
    let message = "ERR element of 4 bytes exceeds the limit of 3";
    assert_eq!(text(client.run(zadd(&[("d", 1.0), ("long", 1.0)]))), message);
    assert_eq!(text(client.run(zincrby("long", 1.0))), message);
    let store = SortedSetOperation::Store(scored(&[("long", 1.0)]));
    assert_eq!(text(client.run(store)), message);
    assert_eq!(client.state, before);
}

#[test]
fn several_operations_on_a_sorted_set_make_one_delta() {
    let mut client = three();
    let replies = client.run_all([
        zincrby("a", 5.0).operation(),
        zrem(&["b"]).operation(),
        zadd(&[("d", 4.0)]).operation(),
        zrange(ranks(0, -1), FORWARD).operation(),
        zrange(ranks(0, -1), BACKWARD).operation(),
        rank("a", BACKWARD).operation(),
        SortedSetOperation::Pop { direction: FORWARD, count: 1 }.operation(),
        SortedSetOperation::Count.operation(),
    ]);
    let expected = [
        number(6.0),
        integer(1),
        integer(1),
        members(&[("c", 3.0), ("d", 4.0), ("a", 6.0)]),
        members(&[("a", 6.0), ("d", 4.0), ("c", 3.0)]),
        Ok(Reply::Ranked(0, score(6.0))),
        members(&[("c", 3.0)]),
        integer(2),
    ];
    assert_eq!(replies, expected);
    assert_eq!(everything(&mut client), members(&[("d", 4.0), ("a", 6.0)]));
}
