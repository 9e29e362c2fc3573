//! One replica, or several in turn: as a plain list, and as Redis.

use bytes::Bytes;
use coterie_crdt::operation::ListEnd::{Left, Right};
use coterie_crdt::operation::{
    Condition, Expire, KeyOperation, ListOperation, Operation, PivotSide, Reply, SetCondition,
    StringOperation,
};
use coterie_crdt::{Address, Cells, Delta, Kind, State, position};
use proptest::prelude::*;

use crate::replicas::{Replica, bytes, text};
use crate::{
    all, assign, config, find, holding, insert, list, operation, pop, push, range, remove, shown,
    trim, value, values,
};

#[test]
fn pushes_go_to_their_end_one_after_the_other() {
    let mut replica = Replica::new(1);
    assert_eq!(replica.run(push(Left, &["b", "a"])), Ok(Reply::Integer(2)));
    assert_eq!(replica.run(push(Right, &["c", "d"])), Ok(Reply::Integer(4)));
    assert_eq!(shown(&mut replica), ["a", "b", "c", "d"]);
    assert_eq!(replica.run(list(ListOperation::Length)), Ok(Reply::Integer(4)));
}

#[test]
fn a_push_if_present_makes_no_key() {
    let mut replica = Replica::new(1);
    let pushx = |end, value| list(ListOperation::PushIfPresent(end, all(&[value])));
    assert_eq!(replica.run(pushx(Left, "a")), Ok(Reply::Integer(0)));
    assert_eq!(replica.state, State::new());
    replica.run(push(Left, &["b"])).unwrap();
    assert_eq!(replica.run(pushx(Left, "a")), Ok(Reply::Integer(2)));
    assert_eq!(replica.run(pushx(Right, "c")), Ok(Reply::Integer(3)));
    assert_eq!(shown(&mut replica), ["a", "b", "c"]);
}

#[test]
fn pops_take_from_their_end() {
    let mut replica = holding(&["a", "b", "c", "d", "e"]);
    assert_eq!(replica.run(pop(Left)), Ok(value("a")));
    assert_eq!(replica.run(pop(Right)), Ok(value("e")));
    let pops = |end, count| list(ListOperation::PopMany(end, count));
    assert_eq!(replica.run(pops(Right, 0)), Ok(values(&[])));
    assert_eq!(replica.run(pops(Right, 2)), Ok(values(&["d", "c"])));
    assert_eq!(replica.run(pops(Left, 9)), Ok(values(&["b"])));
    assert_eq!(replica.run(pop(Left)), Ok(Reply::Nothing));
    assert_eq!(replica.run(pops(Left, 0)), Ok(Reply::Nothing));
    assert_eq!(replica.run(Operation::Key(KeyOperation::Exists)), Ok(Reply::Integer(0)));
}

#[test]
fn ranges_are_clamped_and_count_from_both_ends() {
    let mut replica = holding(&["a", "b", "c", "d"]);
    for (start, stop, expected) in [
        (0, -1, &["a", "b", "c", "d"][..]),
        (1, 2, &["b", "c"]),
        (-2, -1, &["c", "d"]),
        (-100, 100, &["a", "b", "c", "d"]),
        (3, 3, &["d"]),
        (2, 1, &[]),
        (4, 9, &[]),
        (0, -5, &[]),
        (i64::MIN, i64::MAX, &["a", "b", "c", "d"]),
        (i64::MAX, i64::MIN, &[]),
    ] {
        assert_eq!(replica.run(range(start, stop)), Ok(values(expected)), "{start} to {stop}");
    }
    assert_eq!(Replica::new(1).run(range(0, -1)), Ok(values(&[])));
}

#[test]
fn an_index_past_an_end_is_nothing() {
    let mut replica = holding(&["a", "b", "c"]);
    let index = |index| list(ListOperation::Index(index));
    assert_eq!(replica.run(index(0)), Ok(value("a")));
    assert_eq!(replica.run(index(-1)), Ok(value("c")));
    for past in [3, -4, i64::MAX, i64::MIN] {
        assert_eq!(replica.run(index(past)), Ok(Reply::Nothing));
    }
    assert_eq!(Replica::new(1).run(index(0)), Ok(Reply::Nothing));
}

#[test]
fn an_element_is_assigned_in_place() {
    let mut replica = holding(&["a", "b", "c"]);
    assert_eq!(replica.run(assign(-1, "z")), Ok(Reply::Done));
    assert_eq!(replica.run(assign(1, "y")), Ok(Reply::Done));
    assert_eq!(shown(&mut replica), ["a", "y", "z"]);
    let before = replica.state.clone();
    assert_eq!(text(replica.run(assign(3, "x"))), "ERR index out of range");
    assert_eq!(text(replica.run(assign(-4, "x"))), "ERR index out of range");
    assert_eq!(replica.state, before);
    assert_eq!(text(Replica::new(1).run(assign(0, "x"))), "ERR no such key");
}

#[test]
fn an_insert_goes_beside_the_first_pivot() {
    let mut replica = holding(&["a", "b", "b"]);
    assert_eq!(replica.run(insert(PivotSide::Before, "b", "1")), Ok(Reply::Integer(4)));
    assert_eq!(replica.run(insert(PivotSide::After, "b", "2")), Ok(Reply::Integer(5)));
    assert_eq!(replica.run(insert(PivotSide::Before, "a", "3")), Ok(Reply::Integer(6)));
    assert_eq!(shown(&mut replica), ["3", "a", "1", "b", "2", "b"]);
    assert_eq!(replica.run(insert(PivotSide::After, "nowhere", "4")), Ok(Reply::Integer(-1)));
    assert_eq!(Replica::new(1).run(insert(PivotSide::After, "a", "b")), Ok(Reply::Integer(0)));
    assert_eq!(replica.run(insert(PivotSide::After, "2", "5")), Ok(Reply::Integer(7)));
    assert_eq!(shown(&mut replica), ["3", "a", "1", "b", "2", "5", "b"]);
}

#[test]
fn removal_by_value_counts_from_the_side_asked_for() {
    for (count, removed, left) in [
        (2, 2, &["b", "b", "a"][..]),
        (-2, 2, &["a", "b", "b"]),
        (0, 3, &["b", "b"]),
        (9, 3, &["b", "b"]),
        (i64::MIN, 3, &["b", "b"]),
    ] {
        let mut replica = holding(&["a", "b", "a", "b", "a"]);
        assert_eq!(replica.run(remove(count, "a")), Ok(Reply::Integer(removed)));
        assert_eq!(shown(&mut replica), left, "count {count}");
    }
    assert_eq!(Replica::new(1).run(remove(0, "a")), Ok(Reply::Integer(0)));
}

#[test]
fn a_trim_keeps_the_range_only() {
    for (start, stop, kept) in [
        (1, 2, &["b", "c"][..]),
        (0, -1, &["a", "b", "c", "d"]),
        (-1, -1, &["d"]),
        (3, 1, &[]),
        (9, 10, &[]),
        (-100, 0, &["a"]),
    ] {
        let mut replica = holding(&["a", "b", "c", "d"]);
        assert_eq!(replica.run(trim(start, stop)), Ok(Reply::Done));
        assert_eq!(shown(&mut replica), kept, "{start} to {stop}");
        let exists = Reply::Integer(i64::from(!kept.is_empty()));
        assert_eq!(replica.run(Operation::Key(KeyOperation::Exists)), Ok(exists));
    }
    assert_eq!(Replica::new(1).run(trim(0, 1)), Ok(Reply::Done));
}

#[test]
fn find_answers_indexes_from_the_left_whichever_way_it_walks() {
    // The examples of Redis's documentation of LPOS.
    let mut replica = holding(&["a", "b", "c", "1", "2", "3", "c", "c"]);
    let integer = |index| Ok(Reply::Integer(index));
    let integers = |indexes: &[i64]| Ok(Reply::Integers(indexes.to_vec()));
    assert_eq!(replica.run(find("c", 1, None, 0)), integer(2));
    assert_eq!(replica.run(find("c", 2, None, 0)), integer(6));
    assert_eq!(replica.run(find("c", -1, None, 0)), integer(7));
    assert_eq!(replica.run(find("c", 1, Some(2), 0)), integers(&[2, 6]));
    assert_eq!(replica.run(find("c", -1, Some(2), 0)), integers(&[7, 6]));
    assert_eq!(replica.run(find("c", 1, Some(0), 0)), integers(&[2, 6, 7]));
    assert_eq!(replica.run(find("c", 1, Some(0), 7)), integers(&[2, 6]));
    assert_eq!(replica.run(find("c", 1, None, 2)), Ok(Reply::Nothing));
    assert_eq!(replica.run(find("c", 4, None, 0)), Ok(Reply::Nothing));
    assert_eq!(replica.run(find("c", i64::MIN, Some(0), 0)), integers(&[]));
    assert_eq!(Replica::new(1).run(find("c", 1, None, 0)), Ok(Reply::Nothing));
    assert_eq!(Replica::new(1).run(find("c", 1, Some(0), 0)), integers(&[]));
}

#[test]
fn operations_on_another_type_are_refused_and_change_nothing() {
    let mut replica = Replica::new(1);
    let string = StringOperation::Set {
        value: bytes("text"),
        condition: SetCondition::Always,
        get: false,
        expire: Expire::Never,
    };
    replica.run(Operation::String(string)).unwrap();
    let before = replica.state.clone();
    for operation in [
        push(Left, &["a"]),
        list(ListOperation::PushIfPresent(Left, all(&["a"]))),
        pop(Left),
        list(ListOperation::PopMany(Right, 1)),
        list(ListOperation::Length),
        range(0, -1),
        list(ListOperation::Index(0)),
        assign(0, "a"),
        insert(PivotSide::After, "a", "b"),
        remove(0, "a"),
        trim(0, 1),
        find("a", 1, None, 0),
    ] {
        let refused = "WRONGTYPE Operation against a key holding the wrong kind of value";
        assert_eq!(text(replica.run(operation)), refused);
    }
    assert_eq!(replica.state, before);
}

#[test]
fn an_element_over_the_limit_is_refused_and_changes_nothing() {
    let mut replica = holding(&["a"]);
    let before = replica.state.clone();
    let large = "x".repeat((1 << 20) + 1);
    for operation in [
        push(Left, &["small", &large]),
        list(ListOperation::PushIfPresent(Right, all(&[&large]))),
        assign(0, &large),
        insert(PivotSide::After, "a", &large),
    ] {
        let refused = "ERR element of 1048577 bytes exceeds the limit of 1048576";
        assert_eq!(text(replica.run(operation)), refused);
    }
    assert_eq!(replica.state, before);
}

#[test]
fn a_malformed_position_is_an_error_and_changes_nothing() {
    let replica = holding(&["a"]);
    let cell = replica.state.cells().values().next().unwrap().clone();
    let path = Bytes::from_static(&[0xff; 3]);
    assert!(position::check(&path).is_err());
    let context = replica.state.root().unwrap().context.clone();
    let foreign = [(Address::new(Kind::Element, path), cell)];
    let foreign = Delta::from_parts(context, None, foreign).unwrap();
    let mut other = Replica::new(2);
    other.state.join_delta(&foreign);
    let before = other.state.clone();
    let refused = "ERR an element of the list is at a malformed position";
    assert_eq!(text(other.run(push(Right, &["b"]))), refused);
    assert_eq!(other.state, before);
}

#[test]
fn an_expired_list_is_started_anew() {
    let mut replica = holding(&["a"]);
    let expire = KeyOperation::ExpireAt { at: 2_000, condition: Condition::Always };
    assert_eq!(replica.run(Operation::Key(expire)), Ok(Reply::Integer(1)));
    replica.wall_millis += 5_000;
    assert_eq!(replica.run(list(ListOperation::Length)), Ok(Reply::Integer(0)));
    assert_eq!(replica.run(push(Left, &["b"])), Ok(Reply::Integer(1)));
    replica.state.sweep();
    assert_eq!(shown(&mut replica), ["b"]);
}

/// Applies an operation to a plain list.
fn apply(operation: &Operation, to: &mut Vec<Bytes>) {
    let Operation::List(operation) = operation else { panic!("a list operation") };
    let at = |index: i64, length: usize| {
        let index = if index < 0 { index + length as i64 } else { index };
        usize::try_from(index).ok().filter(|&index| index < length)
    };
    match operation {
        ListOperation::Push(Left, values) => {
            values.iter().for_each(|value| to.insert(0, value.clone()));
        }
        ListOperation::Push(Right, values) => to.extend(values.iter().cloned()),
        ListOperation::Pop(Left) if !to.is_empty() => drop(to.remove(0)),
        ListOperation::Pop(_) => drop(to.pop()),
        ListOperation::Insert { side, pivot, value } => {
            if let Some(found) = to.iter().position(|other| other == pivot) {
                to.insert(found + usize::from(*side == PivotSide::After), value.clone());
            }
        }
        ListOperation::Set { index, value } => {
            if let Some(index) = at(*index, to.len()) {
                to[index] = value.clone();
            }
        }
        ListOperation::Remove { count, value } => {
            let mut left = if *count == 0 { u64::MAX } else { count.unsigned_abs() };
            if *count < 0 {
                to.reverse();
            }
            to.retain(|other| {
                let removed = other == value && left > 0;
                left -= u64::from(removed);
                !removed
            });
            if *count < 0 {
                to.reverse();
            }
        }
        ListOperation::Trim { start, stop } => {
            let length = to.len() as i64;
            let start = if *start < 0 { (start + length).max(0) } else { *start };
            let stop = if *stop < 0 { stop + length } else { *stop };
            let mut index = -1;
            to.retain(|_| {
                index += 1;
                (start..=stop).contains(&index)
            });
        }
        other => panic!("{other:?} is not among those tried"),
    }
}

proptest! {
    #![proptest_config(config())]

    /// Replicas that exchange what they have before each operation are one list.
    #[test]
    fn operations_in_turn_are_those_of_a_plain_list(
        operations in prop::collection::vec((0..3usize, operation()), 1..40),
    ) {
        let mut three: [Replica; 3] = Replica::several();
        let mut plain: Vec<Bytes> = Vec::new();
        for (actor, operation) in operations {
            if let Ok((_, delta)) = three[actor].write(&operation) {
                three.iter_mut().for_each(|replica| replica.state.join_delta(&delta));
            }
            apply(&operation, &mut plain);
            let expected = Reply::Values(plain.iter().cloned().map(Some).collect());
            prop_assert_eq!(three[actor].run(range(0, -1)), Ok(expected));
            let length = Reply::count(plain.len());
            prop_assert_eq!(three[actor].run(list(ListOperation::Length)), Ok(length));
        }
    }
}
