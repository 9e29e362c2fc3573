//! HyperLogLogs: what every operation answers and changes, alone and beside concurrent ones.

#[path = "support/replicas.rs"]
mod replicas;

use bytes::Bytes;
use coterie_crdt::operation::{
    Expire, HyperLogLogOperation, KeyOperation, Operation, Registers, Reply, SetCondition,
    SetOperation, SetVerb, StringOperation,
};
use coterie_crdt::{Address, Footprint, Kind, Partial, State, sketch};
use replicas::{Replica, bytes, exchange, text};

fn add(elements: impl IntoIterator<Item = u32>) -> Operation {
    let elements = elements.into_iter().map(|n| Bytes::copy_from_slice(&n.to_be_bytes()));
    Operation::HyperLogLog(HyperLogLogOperation::Add(elements.collect()))
}

fn count() -> Operation {
    count_with(Vec::new())
}

fn count_with(others: Registers) -> Operation {
    Operation::HyperLogLog(HyperLogLogOperation::Count(others))
}

fn merge(others: Registers) -> Operation {
    Operation::HyperLogLog(HyperLogLogOperation::Merge(others))
}

fn registers(replica: &mut Replica) -> Registers {
    let read = Operation::HyperLogLog(HyperLogLogOperation::Registers);
    let Ok(Reply::Registers(registers)) = replica.run(read) else { panic!("these are registers") };
    registers
}

fn key(operation: KeyOperation) -> Operation {
    Operation::Key(operation)
}

/// The estimate, and how far it is off in hundredths of `distinct`.
fn estimate(replica: &mut Replica, distinct: u32) -> (i64, f64) {
    let Ok(Reply::Integer(estimate)) = replica.run(count()) else { panic!("a count is a number") };
    (estimate, (estimate as f64 / f64::from(distinct) - 1.0) * 100.0)
}

#[test]
fn an_add_answers_whether_a_register_rose() {
    let mut replica = Replica::new(1);
    assert_eq!(replica.run(count()), Ok(Reply::Integer(0)));
    assert_eq!(replica.run(add([1, 2, 3])), Ok(Reply::Integer(1)));
    let before = replica.state.clone();
    assert_eq!(replica.run(add([3, 1, 2, 1])), Ok(Reply::Integer(0)));
    assert_eq!(replica.state, before, "what raises nothing writes nothing");
    assert_eq!(replica.run(add([4])), Ok(Reply::Integer(1)));
    assert_eq!(replica.run(count()), Ok(Reply::Integer(4)));
}

#[test]
fn an_add_of_nothing_makes_the_key() {
    let mut replica = Replica::new(1);
    assert_eq!(replica.run(add([])), Ok(Reply::Integer(1)));
    assert_eq!(replica.run(add([])), Ok(Reply::Integer(0)));
    assert_eq!(replica.run(key(KeyOperation::Exists)), Ok(Reply::Integer(1)));
    assert_eq!(replica.run(count()), Ok(Reply::Integer(0)));
    assert_eq!(registers(&mut replica), []);
    assert_eq!(replica.run(add([1])), Ok(Reply::Integer(1)));
    assert_eq!(replica.run(add([])), Ok(Reply::Integer(0)));
    assert_eq!(replica.run(key(KeyOperation::Delete)), Ok(Reply::Integer(1)));
    assert_eq!(replica.run(key(KeyOperation::Exists)), Ok(Reply::Integer(0)));
}

#[test]
fn a_copy_counts_the_same_and_may_be_empty() {
    for elements in [0, 1_000] {
        let mut source = Replica::new(1);
        source.run(add(0..elements)).unwrap();
        let Ok(Reply::Contents(Some(contents))) = source.run(key(KeyOperation::Contents)) else {
            panic!("the key is there")
        };
        let mut target = Replica::new(2);
        let store = KeyOperation::Store { contents, replace: false };
        assert_eq!(target.run(key(store)), Ok(Reply::Integer(1)));
        assert_eq!(target.run(key(KeyOperation::Exists)), Ok(Reply::Integer(1)));
        assert_eq!(registers(&mut target), registers(&mut source));
    }
}

#[test]
fn an_element_raises_one_register_in_one_row() {
    let mut replica = Replica::new(1);
    replica.run(add(0..100_000)).unwrap();
    let rows = replica.state.cells().len();
    let raising = (100_000..).find(|n: &u32| {
        let (index, rank) = sketch::register_of(&n.to_be_bytes());
        let address = Address::new(Kind::Sketch, Bytes::copy_from_slice(&index.to_be_bytes()));
        replica.state.cells().get(&address).is_some_and(|cell| cell.rank() < rank)
    });
    let operation = add(raising);
    assert_eq!(operation.footprint().cells.len(), 1);
    let (reply, delta) = replica.write(&operation).unwrap();
    assert_eq!(reply, Reply::Integer(1));
    assert_eq!((delta.cells().len(), delta.cells()[0].1.dots().len()), (1, 1));
    assert_eq!(replica.state.cells().len(), rows);
    assert_eq!(delta.context.cloud().len(), 2, "the new rank's dot and the one replaced");
}

#[test]
fn an_add_evaluates_on_its_footprint_as_on_the_whole_state() {
    let mut replica = Replica::new(1);
    replica.run(add(0..1_000)).unwrap();
    let state = replica.state.clone();
    for operation in [add(900..1_100), add([]), count(), merge(vec![(7, 50)])] {
        let partial = Partial::extract(&state, &operation.footprint());
        let whole = Partial::extract(&state, &Footprint::whole());
        let on_partial = replica.evaluate(&operation, &partial).unwrap();
        assert_eq!(on_partial, replica.evaluate(&operation, &whole).unwrap());
        assert_eq!(on_partial, replica.evaluate(&operation, &state).unwrap());
    }
}

#[test]
fn a_count_of_several_keys_is_that_of_their_union() {
    let (mut first, mut second) = (Replica::new(1), Replica::new(2));
    first.run(add(0..6_000)).unwrap();
    second.run(add(4_000..10_000)).unwrap();
    let mut all = Replica::new(3);
    all.run(add(0..10_000)).unwrap();
    let expected = all.run(count());
    assert_eq!(first.run(count_with(registers(&mut second))), expected);
    let mut missing = Replica::new(4);
    let mut both = registers(&mut first);
    both.extend(registers(&mut second));
    assert_eq!(missing.run(count_with(both.clone())), expected);
    assert_eq!(missing.state, State::new());

    assert_eq!(missing.run(merge(both)), Ok(Reply::Done));
    assert_eq!(registers(&mut missing), registers(&mut all));
    assert_eq!(missing.run(merge(registers(&mut second))), Ok(Reply::Done));
    assert_eq!(missing.run(count()), expected);
}

#[test]
fn a_merge_of_nothing_makes_the_key() {
    let mut replica = Replica::new(1);
    assert_eq!(replica.run(merge(Vec::new())), Ok(Reply::Done));
    assert_eq!(replica.run(key(KeyOperation::Exists)), Ok(Reply::Integer(1)));
}

#[test]
fn registers_that_no_sketch_has_are_passed_over() {
    let mut replica = Replica::new(1);
    let foreign = vec![(1 << 14, 3), (u16::MAX, 1), (5, 52), (5, 255), (5, 0), (6, 4)];
    assert_eq!(replica.run(count_with(foreign.clone())), Ok(Reply::Integer(1)));
    assert_eq!(replica.run(merge(foreign)), Ok(Reply::Done));
    assert_eq!(registers(&mut replica), [(6, 4)]);
    let full: Registers = (0..1 << 14).map(|index| (index, 51)).collect();
    assert_eq!(replica.run(count_with(full)), Ok(Reply::Integer(i64::MAX)));
}

#[test]
fn operations_on_another_type_are_refused_and_change_nothing() {
    let string = Operation::String(StringOperation::Set {
        value: bytes("text"),
        condition: SetCondition::Always,
        get: false,
        expire: Expire::Never,
    });
    let set = Operation::Set(SetOperation::new(SetVerb::Add(vec![bytes("member")])));
    let no_sketch = "WRONGTYPE Key is not a valid HyperLogLog string value.";
    let wrong_type = "WRONGTYPE Operation against a key holding the wrong kind of value";
    for (other, refused) in [(string, no_sketch), (set, wrong_type)] {
        let mut replica = Replica::new(1);
        replica.run(other).unwrap();
        let before = replica.state.clone();
        for operation in [add([1]), add([]), count(), merge(vec![(1, 1)])] {
            assert_eq!(text(replica.run(operation)), refused);
        }
        assert_eq!(replica.state, before);
    }
}

#[test]
fn an_element_over_the_limit_is_refused_and_changes_nothing() {
    let mut replica = Replica::new(1);
    let large = Bytes::from(vec![b'x'; (1 << 20) + 1]);
    let operation = HyperLogLogOperation::Add(vec![bytes("small"), large]);
    let refused = "ERR element of 1048577 bytes exceeds the limit of 1048576";
    assert_eq!(text(replica.run(Operation::HyperLogLog(operation))), refused);
    assert_eq!(replica.state, State::new());
}

#[test]
fn concurrent_adds_are_a_union() {
    let mut three: [Replica; 3] = Replica::several();
    for (replica, from) in three.iter_mut().zip([0, 5_000, 10_000]) {
        replica.run(add(from..from + 10_000)).unwrap();
    }
    exchange(&mut three);
    let mut all = Replica::new(9);
    all.run(add(0..20_000)).unwrap();
    assert_eq!(registers(&mut three[0]), registers(&mut all));
    let (count, percent) = estimate(&mut three[1], 20_000);
    eprintln!(
        "union of 20000 distinct elements from three replicas: {count}, off by {percent:+.2} %"
    );
    assert!(percent.abs() < 2.5);
}

#[test]
fn a_delete_drops_the_registers_it_saw_and_no_concurrent_rise() {
    let mut two: [Replica; 2] = Replica::several();
    two[0].run(add(0..1_000)).unwrap();
    exchange(&mut two);
    let raised = (1_000..).find(|n: &u32| {
        let mut copy = Replica::new(9);
        copy.state = two[1].state.clone();
        copy.run(add([*n])) == Ok(Reply::Integer(1))
    });
    let raised = raised.unwrap();
    assert_eq!(two[0].run(key(KeyOperation::Delete)), Ok(Reply::Integer(1)));
    assert_eq!(two[1].run(add([raised])), Ok(Reply::Integer(1)));
    exchange(&mut two);
    assert_eq!(registers(&mut two[0]), [sketch::register_of(&raised.to_be_bytes())]);
}
