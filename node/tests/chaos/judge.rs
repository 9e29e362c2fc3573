//! After healing: every owner's digests are equal in time, and the checkers find nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use coterie_check::linearizable::Budget;
use coterie_check::{
    Action, Answer, Bucket, BucketKind, Cell, Check, FinalState, History, Judgement, KeyHistory,
    Level, Limits, LiveCell, Name, Nanos, Outcome, Owner, Record,
};
use coterie_local::{digests, owners};
use serde_json::Value as Json;

use crate::harness::until;
use crate::load::{BUCKET, Book, Kind};
use crate::testbed::Testbed;

/// How long owners may take to be equal after the last fault.
const EQUAL_WITHIN: Duration = Duration::from_secs(25);

/// How long reading all owners at a quiet moment may take.
const READ_WITHIN: Duration = Duration::from_secs(60);

/// Owners of each key.
const REPLICAS: u32 = 3;

/// Waits until all owners of every slice have received it and show one digest, and no hints are left; how long that took
/// since everything was healed.
pub(crate) fn settle(testbed: &Testbed, healed: Instant) -> Duration {
    let within = EQUAL_WITHIN.saturating_sub(healed.elapsed());
    until("owners are equal", within, || digests(&testbed.asked));
    healed.elapsed()
}

/// Takes what was written down, reads every owner, and has all of it judged. How many operations were not done, or are
/// not known to be.
pub(crate) fn judge_act(testbed: &Testbed, book: &Book) -> usize {
    let strange = std::mem::take(&mut *book.strange.lock().unwrap());
    assert!(strange.is_empty(), "answers that nobody should get: {strange:#?}");
    let mut history = History::new(Limits::default());
    let declared = Bucket { bucket: BUCKET, replicas: REPLICAS, kind: BucketKind::Strict };
    history.push(Record::Bucket(declared)).unwrap();
    let (sessions, operations): (Vec<_>, Vec<_>) =
        book.take().into_iter().partition(|record| matches!(record, Record::Session(_)));
    let mut tally: BTreeMap<(Level, &str), usize> = BTreeMap::new();
    let mut keys = BTreeSet::new();
    for record in &operations {
        let Record::Operation(operation) = record else { continue };
        let outcome = match operation.outcome {
            Outcome::Done { .. } => "done",
            Outcome::Refused { .. } => "refused",
            Outcome::Unavailable { .. } => "unavailable",
            Outcome::Unknown { .. } => "unknown",
        };
        *tally.entry((operation.level, outcome)).or_default() += 1;
        keys.insert(operation.key.clone());
    }
    for record in sessions.into_iter().chain(operations) {
        history.push(record).unwrap();
    }
    for state in finals(testbed, book, &keys) {
        history.push(Record::Final(state)).unwrap();
    }
    println!("{} keys: {tally:?}", keys.len());
    for level in [Level::Quorum, Level::One, Level::Linearizable] {
        let done = tally.get(&(level, "done")).copied().unwrap_or_default();
        assert!(done >= 20, "clients at {level:?} were done with {done} operations only");
    }
    let mut broken = Vec::new();
    let (mut judgement, mut removals) = (Judgement::default(), 0);
    for name in &keys {
        let key = history.take(BUCKET, name).expect("it has operations");
        match removed_stays_removed(&key) {
            Ok(count) => removals += count,
            Err(violation) => broken.push(violation),
        }
        judgement.add(&key, Budget::default());
    }
    for (check, judged) in &judgement.judged {
        println!("{check:?}: {judged:?}");
    }
    println!("acknowledged removals that stayed: {removals}");
    broken.extend(judgement.violations.iter().map(|(check, it)| format!("{check:?}: {it}")));
    broken.extend(judgement.undecided.iter().map(|it| format!("{it:?}")));
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
    for check in Check::ALL {
        let judged = judgement.judged.get(&check).copied().unwrap_or_default();
        assert!(judged.claims + judged.states > 0, "{check:?} judged nothing");
    }
    assert!(removals > 0, "nothing was removed");
    tally.iter().filter(|((_, outcome), _)| *outcome != "done").map(|(_, count)| count).sum()
}

/// What each owner holds of each key, read from it alone while nothing changes any more.
fn finals(testbed: &Testbed, book: &Book, keys: &BTreeSet<Name>) -> Vec<FinalState> {
    let read = || {
        let before = digests(&testbed.asked)?;
        let mut states = Vec::new();
        for key in keys {
            states.extend(states_of(testbed, key, book.now())?);
        }
        let after = digests(&testbed.asked)?;
        if before == after { Ok(states) } else { Err("owners go on changing".to_owned()) }
    };
    until("all owners are read", READ_WITHIN, read).0
}

fn states_of(testbed: &Testbed, key: &Name, at: Nanos) -> Result<Vec<FinalState>, String> {
    let name = std::str::from_utf8(key.as_bytes()).unwrap();
    let mut states = Vec::new();
    for node in owners(&testbed.asked, "db0", name)? {
        let (cells, counter) = held(testbed, node, name)?;
        let owner = Owner(node as u64);
        states.push(FinalState { owner, bucket: BUCKET, key: key.clone(), at, cells, counter });
    }
    Ok(states)
}

/// What a node holds of a key that it owns.
fn held(testbed: &Testbed, node: usize, key: &str) -> Result<(Vec<LiveCell>, i64), String> {
    let operation = match Kind::of(key) {
        Kind::Set => "set.members",
        Kind::Counter | Kind::Register => "string.get",
    };
    let reply = testbed.asked[node].held("db0", key, operation)?;
    let text = |json: &Json| json.as_str().map(Name::from).ok_or(format!("{key}: {reply}"));
    let cell = |cell, values| LiveCell { cell, values, dots: None };
    match (Kind::of(key), &reply) {
        (Kind::Set, Json::Array(members)) => {
            let members = members.iter().map(|it| Ok(cell(Cell::Element(text(it)?), Vec::new())));
            Ok((members.collect::<Result<_, String>>()?, 0))
        }
        (Kind::Counter | Kind::Register, Json::Null) => Ok((Vec::new(), 0)),
        (Kind::Counter, Json::String(sum)) => {
            Ok((Vec::new(), sum.parse().map_err(|error| format!("{key}: {error}"))?))
        }
        (Kind::Register, value) => Ok((vec![cell(Cell::Register, vec![text(value)?])], 0)),
        _ => Err(format!("{key}: {reply}")),
    }
}

/// What the checkers cannot see without dots: an element that was added once, acknowledged, then removed, acknowledged,
/// is gone. Both at levels whose owners intersect, so that the removal has observed the add. How many there were.
fn removed_stays_removed(key: &KeyHistory) -> Result<usize, String> {
    let intersects = |level| matches!(level, Level::Quorum | Level::Linearizable);
    let mut count = 0;
    for add in &key.operations {
        let Action::Add { element } = &add.action else { continue };
        if !add.is_done() || !intersects(add.level) {
            continue;
        }
        let removal = key.operations.iter().find(|it| match &it.action {
            Action::Remove { element: removed } => {
                removed == element && it.is_done() && intersects(it.level) && add.precedes(it)
            }
            Action::Delete => it.is_done() && intersects(it.level) && add.precedes(it),
            _ => false,
        });
        let Some(removal) = removal else { continue };
        count += 1;
        let holds = key.finals.iter().find(|state| {
            state.cells.iter().any(|live| live.cell == Cell::Element(element.clone()))
        });
        if let Some(state) = holds {
            return Err(format!(
                "{} is back at owner {}: {add}; {removal}",
                element, state.owner.0
            ));
        }
    }
    Ok(count)
}

#[test]
fn an_element_that_comes_back_is_seen() {
    use coterie_check::{Operation, OperationId, Session, SessionId};
    let element = Name::from("e");
    let operation = |id, action, level| Operation {
        id: OperationId(id),
        session: SessionId(1),
        bucket: BUCKET,
        key: Name::from("set"),
        level,
        observes: None,
        invoked: Nanos(id * 10),
        action,
        outcome: Outcome::Done {
            returned: Nanos(id * 10 + 5),
            answer: Answer::Stored,
            dot: None,
            observed: None,
        },
    };
    let judged = |level, live: bool| {
        let mut history = History::new(Limits::default());
        let bucket = Bucket { bucket: BUCKET, replicas: REPLICAS, kind: BucketKind::Strict };
        let session = SessionId(1);
        let declared = Session { session, read_your_writes: true, monotonic_reads: false };
        let cell = LiveCell { cell: Cell::Element(element.clone()), values: vec![], dots: None };
        let state = FinalState {
            owner: Owner(0),
            bucket: BUCKET,
            key: Name::from("set"),
            at: Nanos(100),
            cells: if live { vec![cell] } else { vec![] },
            counter: 0,
        };
        for record in [
            Record::Bucket(bucket),
            Record::Session(declared),
            Record::Operation(operation(1, Action::Add { element: element.clone() }, level)),
            Record::Operation(operation(2, Action::Remove { element: element.clone() }, level)),
            Record::Final(state),
        ] {
            history.push(record).unwrap();
        }
        removed_stays_removed(&history.take(BUCKET, &Name::from("set")).unwrap())
    };
    assert_eq!(judged(Level::Quorum, false), Ok(1));
    assert!(judged(Level::Quorum, true).unwrap_err().contains("is back at owner 0"));
    assert_eq!(judged(Level::One, true), Ok(0), "one owner's removal need not have seen the add");
}
