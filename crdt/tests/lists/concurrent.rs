//! Several replicas at once: what is kept, and in which order.

use std::collections::BTreeSet;

use coterie_crdt::operation::ListEnd::{Left, Right};
use coterie_crdt::operation::{Item, KeyOperation, ListOperation, Operation, PivotSide, Reply};
use coterie_crdt::{Address, State};
use proptest::prelude::*;

use crate::replicas::{Replica, exchange};
use crate::{assign, config, insert, list, operation, pop, push, remove, shown, value};

#[test]
fn concurrent_pushes_are_all_kept_in_one_order() {
    let mut three: [Replica; 3] = Replica::several();
    three[0].run(push(Right, &["x", "y"])).unwrap();
    exchange(&mut three);
    three[0].run(push(Right, &["a1", "a2", "a3"])).unwrap();
    three[1].run(push(Right, &["b1", "b2", "b3"])).unwrap();
    three[2].run(push(Left, &["c2", "c1"])).unwrap();
    exchange(&mut three);
    let order = shown(&mut three[0]);
    assert_eq!(order, ["c1", "c2", "x", "y", "a1", "a2", "a3", "b1", "b2", "b3"]);
    assert!(three.iter_mut().all(|replica| shown(replica) == order));
}

#[test]
fn concurrent_inserts_at_one_place_do_not_interleave() {
    let mut three: [Replica; 3] = Replica::several();
    three[2].run(push(Right, &["x", "y"])).unwrap();
    exchange(&mut three);
    for (replica, values) in [(0, ["a1", "a2", "a3"]), (1, ["b1", "b2", "b3"])] {
        let mut pivot = "x";
        for value in values {
            three[replica].run(insert(PivotSide::After, pivot, value)).unwrap();
            pivot = value;
        }
    }
    // Backwards.
    for value in ["c3", "c2", "c1"] {
        three[2].run(insert(PivotSide::After, "x", value)).unwrap();
    }
    exchange(&mut three);
    let order = shown(&mut three[1]);
    for block in [["a1", "a2", "a3"], ["b1", "b2", "b3"], ["c1", "c2", "c3"]] {
        assert!(order.windows(3).any(|part| part == block), "{order:?}");
    }
    assert_eq!((&*order[0], &*order[10]), ("x", "y"));
}

#[test]
fn a_pop_takes_what_it_saw_and_no_concurrent_push() {
    let mut two: [Replica; 2] = Replica::several();
    two[0].run(push(Right, &["a"])).unwrap();
    exchange(&mut two);
    assert_eq!(two[0].run(pop(Left)), Ok(value("a")));
    two[1].run(push(Left, &["b"])).unwrap();
    exchange(&mut two);
    assert_eq!(shown(&mut two[0]), ["b"]);
}

#[test]
fn two_pops_may_take_one_element_but_remove_it_once() {
    let mut two: [Replica; 2] = Replica::several();
    two[0].run(push(Right, &["a", "b"])).unwrap();
    exchange(&mut two);
    assert_eq!(two[0].run(pop(Left)), Ok(value("a")));
    assert_eq!(two[1].run(pop(Left)), Ok(value("a")));
    exchange(&mut two);
    assert_eq!(shown(&mut two[1]), ["b"]);
    assert_eq!(two[0].run(list(ListOperation::Length)), Ok(Reply::Integer(1)));
}

#[test]
fn an_assignment_outlives_a_concurrent_removal() {
    let mut two: [Replica; 2] = Replica::several();
    two[0].run(push(Right, &["a", "b", "c"])).unwrap();
    exchange(&mut two);
    two[0].run(assign(1, "B")).unwrap();
    assert_eq!(two[1].run(remove(0, "b")), Ok(Reply::Integer(1)));
    exchange(&mut two);
    assert_eq!(shown(&mut two[0]), ["a", "B", "c"]);
}

#[test]
fn of_concurrent_assignments_the_latest_is_read_until_the_next_replaces_both() {
    let mut two: [Replica; 2] = Replica::several();
    two[0].run(push(Right, &["a"])).unwrap();
    exchange(&mut two);
    two[1].wall_millis += 10;
    two[0].run(assign(0, "early")).unwrap();
    two[1].run(assign(0, "late")).unwrap();
    exchange(&mut two);
    assert_eq!(shown(&mut two[0]), ["late"]);
    let cell = |replica: &Replica| replica.state.cells().values().next().unwrap().clone();
    assert_eq!(cell(&two[0]).dots().len(), 2);
    two[0].run(assign(0, "last")).unwrap();
    exchange(&mut two);
    assert_eq!(shown(&mut two[1]), ["last"]);
    assert_eq!(cell(&two[1]).dots().len(), 1);
}

/// A copy's elements must not share positions with what is pushed concurrently: the first push of an
/// actor to any key would be at the position that its first push to another key had.
#[test]
fn a_copied_list_and_a_concurrent_push_are_both_kept() {
    let mut source = Replica::new(1);
    source.run(push(Right, &["a", "b", "c"])).unwrap();
    let Reply::Contents(Some(contents)) =
        source.run(Operation::Key(KeyOperation::Contents)).unwrap()
    else {
        panic!("the list is there")
    };
    assert!(contents.cells.iter().all(|(_, item)| matches!(item, Item::Value(_))));
    let mut target: [Replica; 2] = Replica::several();
    target[0].run(push(Right, &["pushed"])).unwrap();
    let copy = KeyOperation::Store { contents, replace: true };
    assert_eq!(target[1].run(Operation::Key(copy)), Ok(Reply::Integer(1)));
    assert_eq!(shown(&mut target[1]), ["a", "b", "c"]);
    exchange(&mut target);
    assert_eq!(shown(&mut target[0]), ["pushed", "a", "b", "c"]);
}

proptest! {
    #![proptest_config(config())]

    /// Every insert has a cell of its own, which is there after an exchange unless somebody removed it.
    #[test]
    fn concurrent_operations_keep_all_inserts(
        rounds in prop::collection::vec(
            prop::collection::vec((0..3usize, operation()), 1..8),
            1..6,
        ),
    ) {
        let mut three: [Replica; 3] = Replica::several();
        let elements = |state: &State| -> Vec<Address> { state.cells().keys().cloned().collect() };
        let mut ever = BTreeSet::new();
        for round in rounds {
            let mut expected = BTreeSet::new();
            let mut removed = BTreeSet::new();
            for (actor, operation) in round {
                let before: BTreeSet<Address> = elements(&three[actor].state).into_iter().collect();
                // A refused operation changes nothing.
                drop(three[actor].write(&operation));
                let after: BTreeSet<Address> = elements(&three[actor].state).into_iter().collect();
                for new in after.difference(&before) {
                    prop_assert!(ever.insert(new.clone()), "a position is used once");
                    expected.insert(new.clone());
                }
                removed.extend(before.difference(&after).cloned());
            }
            exchange(&mut three);
            let merged: BTreeSet<Address> = elements(&three[0].state).into_iter().collect();
            let lost = expected.difference(&merged).find(|address| !removed.contains(*address));
            prop_assert_eq!(lost, None);
        }
    }
}
