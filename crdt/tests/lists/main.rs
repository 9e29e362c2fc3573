//! Lists: what every operation answers and changes, alone and beside concurrent ones.

mod alone;
mod concurrent;
#[path = "../support/replicas.rs"]
mod replicas;

use std::num::NonZeroI64;

use bytes::Bytes;
use coterie_crdt::operation::{ListEnd, ListOperation, Operation, PivotSide, Reply};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use replicas::{Replica, bytes};

use ListEnd::{Left, Right};

pub(crate) fn list(operation: ListOperation) -> Operation {
    Operation::List(operation)
}

pub(crate) fn all(values: &[&str]) -> Vec<Bytes> {
    values.iter().map(|value| bytes(value)).collect()
}

pub(crate) fn push(end: ListEnd, values: &[&str]) -> Operation {
    list(ListOperation::Push(end, all(values)))
}

pub(crate) fn pop(end: ListEnd) -> Operation {
    list(ListOperation::Pop(end))
}

pub(crate) fn range(start: i64, stop: i64) -> Operation {
    list(ListOperation::Range { start, stop })
}

pub(crate) fn assign(index: i64, value: &str) -> Operation {
    list(ListOperation::Set { index, value: bytes(value) })
}

pub(crate) fn insert(side: PivotSide, pivot: &str, value: &str) -> Operation {
    list(ListOperation::Insert { side, pivot: bytes(pivot), value: bytes(value) })
}

pub(crate) fn remove(count: i64, value: &str) -> Operation {
    list(ListOperation::Remove { count, value: bytes(value) })
}

pub(crate) fn trim(start: i64, stop: i64) -> Operation {
    list(ListOperation::Trim { start, stop })
}

pub(crate) fn find(value: &str, rank: i64, count: Option<u64>, compared_max: u64) -> Operation {
    let rank = NonZeroI64::new(rank).expect("ranks count from 1");
    list(ListOperation::Find { value: bytes(value), rank, count, compared_max })
}

pub(crate) fn values(values: &[&str]) -> Reply {
    Reply::Values(all(values).into_iter().map(Some).collect())
}

pub(crate) fn value(value: &str) -> Reply {
    Reply::Value(bytes(value))
}

/// A replica with a list of these.
pub(crate) fn holding(values: &[&str]) -> Replica {
    let mut replica = Replica::new(1);
    replica.run(push(Right, values)).expect("a missing key takes a push");
    replica
}

pub(crate) fn shown(replica: &mut Replica) -> Vec<String> {
    let Ok(Reply::Values(values)) = replica.run(range(0, -1)) else { panic!("a range is values") };
    let text = |value: Bytes| String::from_utf8_lossy(&value).into_owned();
    values.into_iter().flatten().map(text).collect()
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let end = || prop::sample::select(vec![Left, Right]);
    let text = || prop::sample::select(vec!["a", "b", "c"]);
    let side = prop::sample::select(vec![PivotSide::Before, PivotSide::After]);
    prop_oneof![
        3 => (end(), prop::collection::vec(text(), 1..4)).prop_map(|(end, v)| push(end, &v)),
        1 => end().prop_map(pop),
        3 => (side, text(), text()).prop_map(|(side, pivot, value)| insert(side, pivot, value)),
        1 => (-6..6i64, text()).prop_map(|(index, value)| assign(index, value)),
        1 => (-2..3i64, text()).prop_map(|(count, value)| remove(count, value)),
        1 => (-8..8i64, -8..8i64).prop_map(|(start, stop)| trim(start, stop)),
    ]
}

pub(crate) fn config() -> ProptestConfig {
    let cases = if std::env::var_os("COTERIE_PROOF").is_some() { 20_000 } else { 400 };
    let rng_seed = RngSeed::Fixed(0x1157);
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}
