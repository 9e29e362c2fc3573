//! How long the checkers take: `cargo bench -p coterie-check --bench time`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "it says what it judged, or fails")]

use std::collections::BTreeSet;

use coterie_check::linearizable::Budget;
use coterie_check::{
    Action, Answer, Before, Bucket, BucketId, BucketKind, Cell, Check, Condition, Dot, FinalState,
    History, KeyHistory, Level, Limits, LiveCell, Name, Nanos, Operation, OperationId, Outcome,
    Owner, Part, Record, Session, SessionId, Strong, Verdict, View,
};
use criterion::{Criterion, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const CLIENTS: u64 = 8;
const OPERATIONS_PER_CLIENT: u64 = 200;

fn history(kind: BucketKind, operations: Vec<Operation>, finals: Vec<FinalState>) -> KeyHistory {
    let mut history = History::new(Limits::default());
    let bucket = BucketId(0);
    history.push(Record::Bucket(Bucket { bucket, replicas: 3, kind })).unwrap();
    for session in (0..CLIENTS).map(SessionId) {
        let session = Session { session, read_your_writes: true, monotonic_reads: true };
        history.push(Record::Session(session)).unwrap();
    }
    let operations = operations.into_iter().map(Record::Operation);
    for record in operations.chain(finals.into_iter().map(Record::Final)) {
        history.push(record).unwrap();
    }
    history.take(bucket, &Name::from("k")).unwrap()
}

fn operation(id: u64, session: u64, invoked: u64, action: Action, outcome: Outcome) -> Operation {
    Operation {
        id: OperationId(id),
        session: SessionId(session),
        bucket: BucketId(0),
        key: Name::from("k"),
        level: Level::Linearizable,
        observes: None,
        invoked: Nanos(invoked),
        action,
        outcome,
    }
}

/// Eight clients in a closed loop on a store that takes each operation in one moment.
fn closed_loop(
    kind: BucketKind,
    mut act: impl FnMut(&mut Xoshiro256PlusPlus, u64) -> (Action, Answer),
) -> KeyHistory {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut spans = Vec::new();
    for client in 0..CLIENTS {
        let mut now = 0;
        for _ in 0..OPERATIONS_PER_CLIENT {
            let moment = now + random.random_range(1..500);
            let returned = moment + random.random_range(1..500);
            spans.push((moment, client, now + 1, returned));
            now = returned + 1;
        }
    }
    spans.sort_unstable();
    let operations = (0..).zip(spans).map(|(id, (_, client, invoked, returned))| {
        let (action, answer) = act(&mut random, id);
        let returned = Nanos(returned);
        let outcome = match id % 100 {
            99 => Outcome::Unknown { dot: None, observed: None },
            _ => Outcome::Done { returned, answer, dot: None, observed: None },
        };
        operation(id, client, invoked, action, outcome)
    });
    history(kind, operations.collect(), Vec::new())
}

fn set_with_removes() -> KeyHistory {
    let mut held = BTreeSet::new();
    closed_loop(BucketKind::Strict, |random, _| {
        let element = Name::from(format!("e{}", random.random_range(0..20)).as_str());
        match random.random_range(0..4) {
            0 => {
                held.insert(element.clone());
                (Action::Add { element }, Answer::Stored)
            }
            1 => {
                held.remove(&element);
                (Action::Remove { element }, Answer::Stored)
            }
            _ => {
                let elements = held.iter().cloned().collect();
                let view = View { elements, ..View::default() };
                (Action::Read(Part::Set), Answer::Shown(view))
            }
        }
    })
}

/// As [`set_with_removes`], and the last read shows an element too few or too many.
fn broken_set() -> KeyHistory {
    let mut key = set_with_removes();
    let read = key.operations.iter_mut().rev().find(|operation| operation.shown().is_some());
    if let Outcome::Done { answer: Answer::Shown(view), .. } = &mut read.unwrap().outcome {
        view.elements.pop();
    }
    key
}

fn strong_register() -> KeyHistory {
    let mut held: Option<Name> = None;
    closed_loop(BucketKind::Strong, |random, id| {
        let value = Name::from((id % 5).to_string().as_str());
        match random.random_range(0..3) {
            0 => (Action::Strong(Strong::Get), Answer::Held(held.clone())),
            1 => {
                let applied = held.is_none();
                held.get_or_insert_with(|| value.clone());
                let action = Strong::Set { value, condition: Condition::IfAbsent };
                (Action::Strong(action), Answer::Set { applied, before: Before::NotAsked })
            }
            _ => {
                let found = held.take().is_some();
                (Action::Strong(Strong::Delete), Answer::Deleted(found))
            }
        }
    })
}

fn grow_only() -> KeyHistory {
    let mut held = Vec::new();
    closed_loop(BucketKind::Strict, |random, id| {
        let element = Name::from(format!("e{id}").as_str());
        if random.random_bool(0.5) {
            held.push(element.clone());
            (Action::Add { element }, Answer::Stored)
        } else {
            let view = View { elements: held.clone(), ..View::default() };
            (Action::Read(Part::Set), Answer::Shown(view))
        }
    })
}

/// 40,000 adds, 10,000 removes of every fourth, three owners.
fn losses() -> KeyHistory {
    let mut operations = Vec::new();
    let mut cells = Vec::new();
    for id in 0..40_000_u64 {
        let element = Name::from(format!("e{id}").as_str());
        let (dot, returned) = (Dot(u128::from(id)), Nanos(2 * id + 9));
        let told = |dot, observed| Outcome::Done {
            returned,
            answer: Answer::Stored,
            dot: Some(dot),
            observed: Some(observed),
        };
        let add = Action::Add { element: element.clone() };
        operations.push(operation(id, id % CLIENTS, 2 * id, add, told(dot, vec![])));
        if id % 4 == 0 {
            let remove = Action::Remove { element };
            let event = Dot(1 << 64 | u128::from(id));
            let outcome = told(event, vec![dot]);
            operations.push(operation(100_000 + id, id % CLIENTS, 2 * id + 1, remove, outcome));
        } else {
            let (cell, dots) = (Cell::Element(element), Some(vec![dot]));
            cells.push(LiveCell { cell, values: Vec::new(), dots });
        }
    }
    let (bucket, at, counter) = (BucketId(0), Nanos(1 << 40), 0);
    let finals = (0..3).map(Owner).map(|owner| {
        let (key, cells) = (Name::from("k"), cells.clone());
        FinalState { owner, bucket, key, at, cells, counter }
    });
    let finals = finals.collect();
    history(BucketKind::Strict, operations, finals)
}

fn checkers(criterion: &mut Criterion) {
    let histories = [
        ("linearizable/set_with_removes/8x200", Check::Linearizable, set_with_removes()),
        ("linearizable/strong_register/8x200", Check::Linearizable, strong_register()),
        ("linearizable/grow_only/8x200", Check::Linearizable, grow_only()),
        ("linearizable/broken_set/8x200", Check::Linearizable, broken_set()),
        ("lost/50000", Check::Lost, losses()),
    ];
    for (name, check, history) in histories {
        match check.check(&history, Budget::default()) {
            Verdict::Kept(judged) => println!("{name}: {judged:?}"),
            Verdict::Broken(violation) => println!("{name}: {violation}"),
            Verdict::Undecided(undecided) => panic!("{name}: {undecided}"),
        }
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        group.bench_function("check", |b| b.iter(|| check.check(&history, Budget::default())));
        group.finish();
    }
}

criterion_group!(benches, checkers);
criterion_main!(benches);
