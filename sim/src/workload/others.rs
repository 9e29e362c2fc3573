//! Keys of types that the checkers know nothing of: what is there in the end was written, and is the same
//! everywhere.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use coterie_crdt::Score;
use coterie_crdt::operation::{
    AddCondition, Condition, HashOperation, HyperLogLogOperation, KeyOperation, ListEnd,
    ListOperation, MapOperation, MapPath, Operation, Reply, SetKind, SetOperation, SetVerb,
    SortedSetOperation,
};
use coterie_ring::Level;
use coterie_wire::{Key, Outcome, Response};

use super::{Asked, Bucket, Pending};
use crate::random::Random;

/// Keys of each of these types.
const KEYS: u64 = 2;

/// What clients tried to write, by key.
#[derive(Clone, Debug, Default)]
pub struct Written {
    values: BTreeMap<Key, BTreeSet<Bytes>>,
    /// What a read showed that nobody had tried to write.
    pub phantoms: Vec<String>,
}

impl Written {
    /// A client asks for this.
    pub(super) fn asked(&mut self, asked: &Asked) {
        let values = self.values.entry(asked.key.clone()).or_default();
        match &asked.operation {
            Operation::List(ListOperation::Push(_, pushed)) => {
                values.extend(pushed.iter().cloned())
            }
            Operation::Set(SetOperation { verb: SetVerb::Add(added), .. }) => {
                values.extend(added.iter().cloned());
            }
            Operation::Hash(HashOperation::Set(fields)) => {
                values.extend(fields.iter().map(|(_, value)| value.clone()));
            }
            Operation::Map(MapOperation::Set { value, .. }) => {
                values.insert(value.clone());
            }
            Operation::SortedSet(SortedSetOperation::Add { members, .. }) => {
                values.extend(members.iter().map(|(member, _)| member.clone()));
            }
            _ => {}
        }
    }

    pub(super) fn answered(&mut self, pending: &Pending, response: &Response) {
        if let Outcome::Done(answered) = &response.outcome
            && let Some(Ok(reply)) = answered.replies.first()
        {
            self.check(&pending.asked.key, reply, "an answer");
        }
    }

    /// Notes what a reply shows that was not written.
    pub fn check(&mut self, key: &Key, reply: &Reply, whose: &str) {
        let Some(values) = self.values.get(key) else { return };
        let shown: Vec<&Bytes> = match reply {
            Reply::Values(shown) => shown.iter().flatten().collect(),
            Reply::Pairs(pairs) => pairs.iter().map(|(_, value)| value).collect(),
            Reply::Entries(entries) => entries.iter().map(|(_, value)| value).collect(),
            Reply::Scored(scored) => scored.iter().map(|(member, _)| member).collect(),
            _ => Vec::new(),
        };
        for phantom in shown.into_iter().filter(|value| !values.contains(*value)) {
            self.phantoms.push(format!("{key:?} shows {phantom:?} in {whose}: nobody wrote it"));
        }
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.values.keys()
    }

    /// The read that shows all of a key.
    #[must_use]
    pub fn whole(key: &Key) -> Operation {
        match key.name().first() {
            Some(b'l') => Operation::List(ListOperation::Range { start: 0, stop: -1 }),
            Some(b'h') => Operation::Hash(HashOperation::All),
            Some(b'm') => Operation::Map(MapOperation::Entries(None)),
            Some(b'g') => members(),
            Some(b'z') => Operation::SortedSet(SortedSetOperation::Count),
            _ => Operation::HyperLogLog(HyperLogLogOperation::Registers),
        }
    }
}

fn members() -> Operation {
    Operation::Set(SetOperation { kind: SetKind::RemoveWins, verb: SetVerb::Members })
}

/// An operation on a key of another type.
pub(super) fn draw(random: &mut Random, number: u64, (write, read): (Level, Level)) -> Asked {
    let bucket = if random.chance(400) { Bucket::Sloppy } else { Bucket::Strict };
    let value = Bytes::from(format!("v{number}"));
    let few = Bytes::from(format!("few{}", random.below(0, 5)));
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
        Operation::Key(KeyOperation::ExpireAt { at, condition: Condition::Always })
    } else {
        operation
    };
    let key = Key::new(bucket.name(), format!("{prefix}{}", random.below(0, KEYS)));
    Asked { bucket, key, action: None, operation, write: Some(write), read: Some(read) }
}

fn guarded(verb: SetVerb) -> Operation {
    Operation::Set(SetOperation { kind: SetKind::RemoveWins, verb })
}

fn score(random: &mut Random) -> Score {
    let whole = u32::try_from(random.below(0, 100)).expect("it is small");
    Score::new(f64::from(whole)).expect("it is a number")
}
