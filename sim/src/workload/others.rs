//! Operations on keys of types that the checkers know nothing of.

use bytes::Bytes;
use coterie_crdt::Score;
use coterie_crdt::operation::{
    AddCondition, Condition, HashOperation, HyperLogLogOperation, KeyOperation, ListEnd,
    ListOperation, MapOperation, MapPath, Operation, SetKind, SetOperation, SetVerb,
    SortedSetOperation,
};
use coterie_ring::Level;
use coterie_wire::Key;

use super::{Asked, Bucket, Mix};
use crate::random::Random;

/// Keys of each of these types.
const KEYS: u64 = 2;

/// How many names operations of this file that name one choose among.
const FIELDS: u64 = 5;

/// Elements that are added to a large set at a time.
const LARGE_ADDS: u64 = 400;

pub(super) fn members() -> Operation {
    Operation::Set(SetOperation { kind: SetKind::RemoveWins, verb: SetVerb::Members })
}

/// An operation on a key of another type.
pub(super) fn draw(
    random: &mut Random,
    number: u64,
    mix: &Mix,
    (write, read): (Level, Level),
) -> Asked {
    if random.chance(mix.large_permille) {
        return add_to_large(number, write);
    }
    let bucket = if random.chance(400) { Bucket::Sloppy } else { Bucket::Strict };
    let value = Bytes::from(format!("v{number}"));
    let few = Bytes::from(format!("few{}", random.below(0, FIELDS)));
    let path = MapPath::new(vec![few.clone(), value.clone()]).expect("it has segments");
    let end = if random.chance(500) { ListEnd::Left } else { ListEnd::Right };
    let deletes = random.chance(40);
    let expires = random.chance(60);
    let (prefix, operation) = match random.below(0, 6) {
        0 => (
            "list",
            Operation::List(match random.below(0, 6) {
                0..3 => ListOperation::Push(end, vec![value]),
                3 => ListOperation::Pop(end),
                4 => ListOperation::Remove { count: 1, value: few },
                _ => ListOperation::Range { start: 0, stop: -1 },
            }),
        ),
        1 => (
            "hash",
            Operation::Hash(match random.below(0, 5) {
                0..2 => HashOperation::Set(vec![(few, value)]),
                2 => HashOperation::Remove(vec![few]),
                3 => HashOperation::Get(vec![few]),
                _ => HashOperation::All,
            }),
        ),
        2 => (
            "map",
            Operation::Map(match random.below(0, 4) {
                0..2 => MapOperation::Set { path, value },
                2 => MapOperation::Remove {
                    path: MapPath::new(vec![few]).expect("it has segments"),
                    cells_max: 64,
                },
                _ => MapOperation::Entries(None),
            }),
        ),
        3 => (
            "guarded",
            match random.below(0, 4) {
                0..2 => guarded(SetVerb::Add(vec![few])),
                2 => guarded(SetVerb::Remove(vec![few])),
                _ => members(),
            },
        ),
        4 => (
            "zset",
            Operation::SortedSet(match random.below(0, 5) {
                0..2 => SortedSetOperation::Add {
                    members: vec![(value, score(random))],
                    condition: AddCondition::Always,
                    count_changed: false,
                },
                2 => SortedSetOperation::Remove(vec![few]),
                _ => SortedSetOperation::Count,
            }),
        ),
        _ => (
            "sketch",
            Operation::HyperLogLog(match random.below(0, 3) {
                0..2 => HyperLogLogOperation::Add(vec![value]),
                _ => HyperLogLogOperation::Registers,
            }),
        ),
    };
    let operation = if deletes {
        Operation::Key(KeyOperation::Delete)
    } else if expires {
        // Some time within the run; whether it has come, nodes judge by clocks of their own.
        let at = 1_790_000_000_000 + random.below(0, 60_000);
        let condition = Condition::Always;
        if prefix == "hash" && at.is_multiple_of(2) {
            let fields = (0..FIELDS).map(|field| format!("few{field}").into()).collect();
            Operation::Hash(HashOperation::ExpireAt { fields, at, condition })
        } else {
            Operation::Key(KeyOperation::ExpireAt { at, condition })
        }
    } else {
        operation
    };
    let key = Key::new(bucket.name(), format!("{prefix}{}", random.below(0, KEYS)));
    Asked { bucket, key, action: None, operation, write: Some(write), read: Some(read) }
}

/// Many elements for the large set: read only at the end, as a read of all of it would be too large.
fn add_to_large(number: u64, write: Level) -> Asked {
    let bucket = Bucket::Strict;
    let added = (0..LARGE_ADDS).map(|index| Bytes::from(format!("v{number}-{index}"))).collect();
    let operation = Operation::Set(SetOperation::new(SetVerb::Add(added)));
    let key = Key::new(bucket.name(), "x0");
    Asked { bucket, key, action: None, operation, write: Some(write), read: Some(Level::One) }
}

fn guarded(verb: SetVerb) -> Operation {
    Operation::Set(SetOperation { kind: SetKind::RemoveWins, verb })
}

fn score(random: &mut Random) -> Score {
    let whole = u32::try_from(random.below(0, 100)).expect("it is small");
    Score::new(f64::from(whole)).expect("it is a number")
}
