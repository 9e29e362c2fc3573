//! Algebra of fetched sets and sorted sets.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use coterie_crdt::Score;
use coterie_crdt::operation::algebra::{
    Aggregate, Weighted, difference, intersection, intersection_count, plain, scored_difference,
    scored_intersection, scored_intersection_count, scored_union, union,
};

use crate::support::{all, score, scored};

fn members(texts: &[&str]) -> BTreeSet<Bytes> {
    all(texts).into_iter().collect()
}

fn scores(members: &[(&str, f64)]) -> BTreeMap<Bytes, Score> {
    scored(members).into_iter().collect()
}

fn weighted(members: &[(&str, f64)], weight: f64) -> Weighted {
    Weighted { members: scores(members), weight: score(weight) }
}

/// The inputs of Redis's own examples.
fn sets() -> [BTreeSet<Bytes>; 3] {
    [members(&["a", "b", "c", "d"]), members(&["c"]), members(&["a", "c", "e"])]
}

#[test]
fn sunion_has_the_members_of_any() {
    assert_eq!(union(&sets()), members(&["a", "b", "c", "d", "e"]));
    assert_eq!(union(&[]), members(&[]));
}

#[test]
fn sinter_has_the_members_of_all() {
    assert_eq!(intersection(&sets()), members(&["c"]));
    assert_eq!(intersection(&sets()[..1]), sets()[0]);
    assert_eq!(intersection(&[members(&["a"]), members(&[])]), members(&[]));
    assert_eq!(intersection(&[]), members(&[]));
}

#[test]
fn sdiff_has_the_members_of_the_first_alone() {
    assert_eq!(difference(&sets()), members(&["b", "d"]));
    assert_eq!(difference(&sets()[..1]), sets()[0]);
    assert_eq!(difference(&[]), members(&[]));
}

#[test]
fn sintercard_counts_up_to_its_limit() {
    let sets = [members(&["a", "b", "c", "d"]), members(&["c", "d", "e", "a"])];
    assert_eq!(intersection_count(&sets, 0), 3);
    assert_eq!(intersection_count(&sets, 2), 2);
    assert_eq!(intersection_count(&sets, 9), 3);
}

#[test]
fn zunion_weighs_and_adds() {
    let inputs = [
        weighted(&[("one", 1.0), ("two", 2.0)], 2.0),
        weighted(&[("one", 1.0), ("two", 2.0), ("three", 3.0)], 3.0),
    ];
    let expected = scored(&[("one", 5.0), ("three", 9.0), ("two", 10.0)]);
    assert_eq!(scored_union(&inputs, Aggregate::Sum), expected);
}

#[test]
fn zinter_weighs_and_adds() {
    let inputs = [
        weighted(&[("one", 1.0), ("two", 2.0)], 2.0),
        weighted(&[("one", 1.0), ("two", 2.0), ("three", 3.0)], 3.0),
    ];
    let expected = scored(&[("one", 5.0), ("two", 10.0)]);
    assert_eq!(scored_intersection(&inputs, Aggregate::Sum), expected);
    assert_eq!(scored_intersection(&[], Aggregate::Sum), []);
}

#[test]
fn min_and_max_take_one_score() {
    let inputs = [weighted(&[("a", 1.0), ("b", 5.0)], 1.0), weighted(&[("a", 3.0)], 1.0)];
    assert_eq!(scored_union(&inputs, Aggregate::Min), scored(&[("a", 1.0), ("b", 5.0)]));
    assert_eq!(scored_union(&inputs, Aggregate::Max), scored(&[("a", 3.0), ("b", 5.0)]));
    assert_eq!(scored_intersection(&inputs, Aggregate::Max), scored(&[("a", 3.0)]));
}

#[test]
fn opposite_infinities_add_up_to_zero() {
    let inputs =
        [weighted(&[("a", f64::INFINITY)], 1.0), weighted(&[("a", f64::NEG_INFINITY)], 1.0)];
    assert_eq!(scored_union(&inputs, Aggregate::Sum), scored(&[("a", 0.0)]));
    assert_eq!(scored_intersection(&inputs, Aggregate::Sum), scored(&[("a", 0.0)]));
}

#[test]
fn infinity_of_weight_zero_is_zero() {
    let inputs = [weighted(&[("a", f64::INFINITY)], 0.0)];
    assert_eq!(scored_union(&inputs, Aggregate::Sum), scored(&[("a", 0.0)]));
}

#[test]
fn members_of_a_plain_set_count_one_each() {
    let one = Weighted { members: plain(all(&["a", "b"])), weight: score(2.0) };
    let inputs = [one, weighted(&[("a", 10.0)], 1.0)];
    assert_eq!(scored_union(&inputs, Aggregate::Sum), scored(&[("b", 2.0), ("a", 12.0)]));
}

#[test]
fn zdiff_keeps_the_scores_of_the_first() {
    let sets = [scores(&[("a", 3.0), ("b", 2.0), ("c", 1.0)]), scores(&[("b", 9.0)])];
    assert_eq!(scored_difference(&sets), scored(&[("c", 1.0), ("a", 3.0)]));
    assert_eq!(scored_difference(&[]), []);
}

#[test]
fn zintercard_counts_up_to_its_limit() {
    let sets = [scores(&[("a", 1.0), ("b", 2.0)]), scores(&[("a", 3.0), ("b", 4.0), ("c", 5.0)])];
    assert_eq!(scored_intersection_count(&sets, 0), 2);
    assert_eq!(scored_intersection_count(&sets, 1), 1);
}

#[test]
fn results_are_in_order_of_scores_and_then_names() {
    let inputs = [weighted(&[("b", 1.0), ("a", 1.0), ("c", 0.0)], 1.0)];
    let expected = scored(&[("c", 0.0), ("a", 1.0), ("b", 1.0)]);
    assert_eq!(scored_union(&inputs, Aggregate::Sum), expected);
}
