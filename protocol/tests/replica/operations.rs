//! Random operations, and keys that came of them.

use std::num::NonZeroI64;
use std::ops::Bound;

use bytes::Bytes;
use coterie_crdt::operation::{
    AddCondition, Condition, Expire, HashOperation, KeyOperation, ListEnd, ListOperation,
    Operation, PivotSide, RangeLimit, SetCondition, SetKind, SetOperation, SetVerb,
    SortedSetOperation, SortedSetRange, StringOperation, evaluate_all,
};
use coterie_crdt::{Actor, Actors, Cells, Clock, Delta, Direction, Mint, Root, Score, State};
use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;

type Random = Xoshiro256PlusPlus;

pub(crate) const WALL: u64 = 1_000_000;

/// How long fields live that expire: longer than any test lasts.
const LIFETIME_MILLIS: u64 = 1_000_000_000;

fn name(random: &mut Random, names: u32) -> Bytes {
    format!("{:03}", random.random_range(0..names)).into()
}

fn score(random: &mut Random) -> Score {
    Score::new(f64::from(random.random_range(-5..20)) / 2.0).unwrap()
}

fn direction(random: &mut Random) -> Direction {
    if random.random() { Direction::Forward } else { Direction::Backward }
}

fn end(random: &mut Random) -> ListEnd {
    if random.random() { ListEnd::Left } else { ListEnd::Right }
}

fn index(random: &mut Random) -> i64 {
    random.random_range(-8..8)
}

fn scores(random: &mut Random) -> SortedSetRange {
    let mut bound = || match random.random_range(0..3) {
        0 => Bound::Unbounded,
        1 => Bound::Included(score(random)),
        _ => Bound::Excluded(score(random)),
    };
    SortedSetRange::Scores { min: bound(), max: bound() }
}

/// An operation on a key whose cells are named from `names`.
pub(crate) fn random(random: &mut Random, kind: u32, names: u32) -> Operation {
    let (a, b) = (name(random, names), name(random, names));
    match kind {
        0 => Operation::Set(SetOperation {
            kind: SetKind::AddWins,
            verb: match random.random_range(0..8) {
                0..4 => SetVerb::Add(vec![a, b]),
                4 => SetVerb::Remove(vec![a]),
                5 => SetVerb::Members,
                6 => SetVerb::Count,
                _ => SetVerb::Contains(vec![a, b]),
            },
        }),
        1 => Operation::Hash(match random.random_range(0..9) {
            0..3 => HashOperation::IncrementBy { field: a, by: random.random_range(-3..9) },
            3 => HashOperation::Remove(vec![a, b]),
            4 => HashOperation::All,
            5 => HashOperation::SetExpire {
                pairs: vec![(a, "7".into())],
                condition: SetCondition::Always,
                expire: Expire::At(WALL + LIFETIME_MILLIS),
            },
            6 => HashOperation::ExpireAt {
                fields: vec![a, b],
                at: WALL + LIFETIME_MILLIS + random.random_range(1..4),
                condition: Condition::Always,
            },
            7 => HashOperation::Persist(vec![a]),
            _ => HashOperation::Get(vec![a, b]),
        }),
        2 => Operation::SortedSet(sorted_set(random, a, b)),
        3 => Operation::List(list(random, a)),
        _ => match random.random_range(0..3) {
            0 => Operation::Key(KeyOperation::Delete),
            1 => Operation::String(StringOperation::IncrementBy(random.random_range(-3..9))),
            _ => Operation::Key(KeyOperation::Exists),
        },
    }
}

fn sorted_set(random: &mut Random, a: Bytes, b: Bytes) -> SortedSetOperation {
    let ranks = SortedSetRange::Ranks { start: index(random), stop: index(random) };
    match random.random_range(0..12) {
        0..4 => SortedSetOperation::Add {
            members: vec![(a, score(random))],
            condition: AddCondition::Always,
            count_changed: false,
        },
        4 => SortedSetOperation::Increment {
            member: a,
            by: score(random),
            condition: AddCondition::Always,
        },
        5 => SortedSetOperation::Remove(vec![a, b]),
        6 => SortedSetOperation::Rank { member: a, direction: direction(random) },
        7 => SortedSetOperation::Pop { direction: direction(random), count: 2 },
        8 => SortedSetOperation::Range {
            range: scores(random),
            direction: direction(random),
            limit: RangeLimit { offset: random.random_range(0..3), count: 5 },
        },
        9 => SortedSetOperation::Range {
            range: ranks,
            direction: direction(random),
            limit: RangeLimit::NONE,
        },
        10 => SortedSetOperation::RemoveRange(scores(random)),
        _ => SortedSetOperation::CountRange(scores(random)),
    }
}

fn list(random: &mut Random, value: Bytes) -> ListOperation {
    match random.random_range(0..12) {
        0..4 => ListOperation::Push(end(random), vec![value]),
        4 => ListOperation::Pop(end(random)),
        5 => ListOperation::PopMany(end(random), 3),
        6 => ListOperation::Range { start: index(random), stop: index(random) },
        7 => ListOperation::Index(index(random)),
        8 => ListOperation::Insert {
            side: if random.random() { PivotSide::Before } else { PivotSide::After },
            pivot: value.clone(),
            value,
        },
        9 => ListOperation::Remove { count: index(random), value },
        10 => ListOperation::Trim { start: -100, stop: index(random) },
        _ => ListOperation::Find {
            value,
            rank: NonZeroI64::new(1).unwrap(),
            count: Some(2),
            compared_max: 0,
        },
    }
}

/// What an operation makes on a replica whose node mints under `actor`.
pub(crate) fn evaluate(
    cells: &impl Cells,
    actor: u64,
    operation: &Operation,
    known: &Root,
) -> (String, Delta) {
    let next = Actors::new(Actor(actor)).next_dot(&known.minted()).unwrap();
    let mut clock = Clock::new();
    let mut mint = Mint::new(next, &mut clock, WALL, 7);
    let (replies, delta) = evaluate_all(std::slice::from_ref(operation), cells, &mut mint);
    (format!("{replies:?}"), delta)
}

pub(crate) fn root(state: &State) -> Root {
    state.root().cloned().unwrap_or_default()
}

/// What replicas of one key wrote, and what of each other they had seen by then.
pub(crate) fn history(random: &mut Random, writes: usize, names: u32) -> (Vec<State>, Vec<Delta>) {
    let mut states = vec![State::new(); 3];
    let mut deltas: Vec<Delta> = Vec::new();
    let kind = random.random_range(0..4);
    for _ in 0..writes {
        let at = random.random_range(0..states.len());
        let other = if random.random_ratio(1, 12) { 4 } else { kind };
        let operation = self::random(random, other, names);
        let (_, delta) = evaluate(&states[at], at as u64 + 1, &operation, &root(&states[at]));
        states[at].join_delta(&delta);
        if random.random_ratio(1, 4) {
            states[at].sweep();
        }
        if !delta.is_empty() {
            deltas.push(delta);
        }
        if let Some(seen) = deltas.get(random.random_range(0..deltas.len().max(1))).cloned() {
            states[random.random_range(0..3)].join_delta(&seen);
        }
    }
    (states, deltas)
}
