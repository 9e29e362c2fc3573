//! Histories and lines from anywhere: a typed error or a verdict, never a panic.

use bolero::check;
use coterie_check::linearizable::Budget;
use coterie_check::lines::{LineError, check_header, decode_line, encode_line, header_line};
use coterie_check::{
    Action, Answer, Before, Bucket, BucketId, BucketKind, Cell, Condition, Dot, FinalState,
    History, HistoryError, Level, Limits, LiveCell, Name, Nanos, Operation, OperationId, Outcome,
    Owner, Part, Record, Session, SessionId, Strong, View, judge,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::script::{Script, add, live};
use crate::size;

fn names() -> impl Strategy<Value = Name> {
    prop_oneof![
        8 => prop_oneof![Just("a"), Just("b"), Just("1"), Just("9223372036854775807")]
            .prop_map(Name::from),
        1 => vec(any::<u8>(), 0..10).prop_map(|bytes| Name::from(bytes.as_slice())),
    ]
}

fn times() -> impl Strategy<Value = Nanos> {
    prop_oneof![9 => 0..40_u64, 1 => any::<u64>()].prop_map(Nanos)
}

fn dots() -> impl Strategy<Value = Dot> {
    prop_oneof![9 => 0..8_u128, 1 => any::<u128>()].prop_map(Dot)
}

fn amounts() -> impl Strategy<Value = i64> {
    prop_oneof![Just(1), Just(-1), Just(i64::MAX), Just(i64::MIN), any::<i64>()]
}

fn parts() -> impl Strategy<Value = Part> {
    let parts = vec![Part::Set, Part::Counter, Part::Register, Part::Flag, Part::Whole];
    prop::sample::select(parts)
}

fn actions() -> impl Strategy<Value = Action> {
    let conditions = prop_oneof![
        Just(Condition::Always),
        Just(Condition::IfAbsent),
        Just(Condition::IfPresent),
        names().prop_map(Condition::IfEqual),
    ];
    let strong = prop_oneof![
        Just(Strong::Get),
        (names(), conditions).prop_map(|(value, condition)| Strong::Set { value, condition }),
        Just(Strong::GetDelete),
        amounts().prop_map(|by| Strong::Increment { by }),
        Just(Strong::Delete),
    ];
    prop_oneof![
        names().prop_map(|element| Action::Add { element }),
        names().prop_map(|element| Action::Remove { element }),
        amounts().prop_map(|by| Action::Increment { by }),
        names().prop_map(|value| Action::Assign { value }),
        Just(Action::Enable),
        Just(Action::Disable),
        Just(Action::Delete),
        parts().prop_map(Action::Read),
        strong.prop_map(Action::Strong),
    ]
}

fn answers() -> impl Strategy<Value = Answer> {
    let view = (vec(names(), 0..3), amounts(), vec(names(), 0..3), any::<bool>());
    let view = view.prop_map(|(elements, counter, register, flag)| View {
        elements,
        counter,
        register,
        flag,
    });
    let before = prop_oneof![
        Just(Before::NotAsked),
        Just(Before::Nothing),
        names().prop_map(Before::Value),
    ];
    prop_oneof![
        Just(Answer::Stored),
        view.prop_map(Answer::Shown),
        vec(names(), 0..3).prop_map(|elements| Answer::Shown(View { elements, ..View::default() })),
        option::of(names()).prop_map(Answer::Held),
        (any::<bool>(), before).prop_map(|(applied, before)| Answer::Set { applied, before }),
        amounts().prop_map(Answer::Number),
        Just(Answer::NotANumber),
        any::<bool>().prop_map(Answer::Deleted),
    ]
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let told = || (option::of(dots()), option::of(vec(dots(), 0..3)));
    prop_oneof![
        (times(), answers(), told()).prop_map(|(returned, answer, (dot, observed))| {
            Outcome::Done { returned, answer, dot, observed }
        }),
        times().prop_map(|returned| Outcome::Refused { returned }),
        times().prop_map(|returned| Outcome::Unavailable { returned }),
        told().prop_map(|(dot, observed)| Outcome::Unknown { dot, observed }),
    ]
}

fn operations() -> impl Strategy<Value = Operation> {
    let levels = vec![Level::Any, Level::One, Level::Quorum, Level::All, Level::Linearizable];
    let levels = prop::sample::select(levels);
    let ids = (any::<u64>(), 0..4_u64, 0..4_u16);
    (ids, levels, times(), actions(), outcomes()).prop_map(
        |((id, session, bucket), level, invoked, action, outcome)| Operation {
            id: OperationId(id),
            session: SessionId(session),
            bucket: BucketId(bucket),
            key: Name::from("k"),
            level,
            observes: None,
            invoked,
            action,
            outcome,
        },
    )
}

fn final_states() -> impl Strategy<Value = FinalState> {
    let cells =
        prop_oneof![names().prop_map(Cell::Element), Just(Cell::Register), Just(Cell::Flag)];
    let cells = (cells, vec(names(), 0..2), option::of(vec(dots(), 0..3)));
    let cells = cells.prop_map(|(cell, values, dots)| LiveCell { cell, values, dots });
    (0..4_u64, 0..4_u16, times(), vec(cells, 0..4), amounts()).prop_map(
        |(owner, bucket, at, cells, counter)| FinalState {
            owner: Owner(owner),
            bucket: BucketId(bucket),
            key: Name::from("k"),
            at,
            cells,
            counter,
        },
    )
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let ends = vec(final_states().prop_map(Record::Final), 0..4);
    (vec(operations().prop_map(Record::Operation), 0..30), ends)
        .prop_map(|(operations, ends)| operations.into_iter().chain(ends).collect())
}

/// Three buckets and three sessions of four that operations may name.
fn declared() -> Vec<Record> {
    let kinds = [BucketKind::Strict, BucketKind::Sloppy, BucketKind::Strong];
    let buckets = (0..).zip(kinds).map(|(bucket, kind)| {
        Record::Bucket(Bucket { bucket: BucketId(bucket), replicas: 2, kind })
    });
    let sessions = (0..3).map(|session| {
        let (read_your_writes, monotonic_reads) = (session > 0, session > 1);
        Record::Session(Session { session: SessionId(session), read_your_writes, monotonic_reads })
    });
    buckets.chain(sessions).collect()
}

fn config() -> ProptestConfig {
    let cases = u32::try_from(size(1_500, 50_000)).unwrap();
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_history_is_judged_or_refused(records in records()) {
        let mut history = History::new(Limits::default());
        for record in declared() {
            prop_assert_eq!(history.push(record), Ok(()));
        }
        for record in records {
            let line = encode_line(&record);
            prop_assert_eq!(&decode_line(&line).unwrap(), &record, "{}", line);
            drop(history.push(record));
        }
        let judgement = judge(&mut history, Budget { states_max: 2_000 });
        for (check, violation) in &judgement.violations {
            prop_assert!(!violation.to_string().is_empty(), "{:?}", check);
        }
        prop_assert_eq!(history.keys().count(), 0);
    }
}

#[test]
fn any_line_is_a_record_or_refused() {
    let mut script = Script::new(BucketKind::Strict);
    script.write(0..5, add("a\n"), 1 << 100, &[7]);
    script.finals(vec![live("a", &[1])], 3);
    let operation = encode_line(&Record::Operation(script.operations[0].clone()));
    let state = encode_line(&Record::Final(script.finals[0].clone()));
    check!().with_iterations(20_000).with_type::<(bool, Vec<(u16, u8)>)>().for_each(
        |(which, changes)| {
            let mut line = if *which { operation.clone() } else { state.clone() }.into_bytes();
            for (place, byte) in changes {
                let place = usize::from(*place) % line.len();
                line[place] = *byte;
            }
            if let Ok(record) = decode_line(&String::from_utf8_lossy(&line)) {
                assert_eq!(decode_line(&encode_line(&record)).unwrap(), record);
            }
        },
    );
    check!().with_iterations(5_000).for_each(|bytes: &[u8]| {
        drop(decode_line(&String::from_utf8_lossy(bytes)));
        drop(check_header(&String::from_utf8_lossy(bytes)));
    });
}

#[test]
fn lines_are_stable() {
    let mut script = Script::new(BucketKind::Strict);
    script.write(1..5, add("a\n"), 255, &[7]);
    let line = encode_line(&Record::Operation(script.operations[0].clone()));
    let expected = concat!(
        r#"{"operation":{"id":0,"session":0,"bucket":0,"key":"k","level":"quorum","invoked":1,"#,
        r#""action":{"add":{"element":"a\\x0a"}},"#,
        r#""outcome":{"done":{"returned":5,"answer":"stored","dot":"ff","observed":["7"]}}}}"#
    );
    assert_eq!(line, expected);
    assert_eq!(header_line(), r#"{"coterie_history":1}"#);
    assert!(check_header(&header_line()).is_ok());
    let newer = check_header(r#"{"coterie_history":2}"#);
    assert!(matches!(newer, Err(LineError::Version(2))), "{newer:?}");
    assert!(matches!(check_header(&line), Err(LineError::NoHeader)));
}

#[test]
fn ill_formed_records_are_refused_and_change_nothing() {
    let mut script = Script::new(BucketKind::Strict);
    script.write(10..15, add("a"), 1, &[]);
    let operation = script.operations[0].clone();
    let limits = Limits { operations_max: 1, items_max: 100 };
    let mut history = History::new(limits);
    let id = operation.id;
    let mut push = |record: Record| history.push(record);
    let good = || Record::Operation(operation.clone());
    assert_eq!(push(good()), Err(HistoryError::UnknownBucket(BucketId(0))));
    for record in declared() {
        assert_eq!(push(record.clone()), Ok(()));
        assert!(push(record).is_err());
    }
    let none = Bucket { bucket: BucketId(9), replicas: 0, kind: BucketKind::Strict };
    assert_eq!(push(Record::Bucket(none)), Err(HistoryError::NoReplicas(BucketId(9))));
    let changed = |change: fn(&mut Operation)| {
        let mut operation = operation.clone();
        change(&mut operation);
        Record::Operation(operation)
    };
    let unknown = changed(|o| o.session = SessionId(3));
    assert_eq!(push(unknown), Err(HistoryError::UnknownSession(SessionId(3))));
    let backwards = changed(|o| o.invoked = Nanos(16));
    assert_eq!(push(backwards), Err(HistoryError::ReturnedBeforeInvoked(id)));
    let answer = changed(|o| o.action = Action::Read(Part::Set));
    assert_eq!(push(answer), Err(HistoryError::WrongAnswer(id)));
    let bucket = changed(|o| o.bucket = BucketId(2));
    assert_eq!(push(bucket), Err(HistoryError::WrongBucket(id)));
    assert_eq!(push(good()), Ok(()));
    assert_eq!(push(good()), Err(HistoryError::OperationTwice(id)));
    let second = changed(|o| o.id = OperationId(1));
    assert_eq!(push(second), Err(HistoryError::TooMuch));
    script.final_of(0, vec![], 0);
    let mut early = script.finals[0].clone();
    early.at = Nanos(14);
    assert_eq!(push(Record::Final(early)), Err(HistoryError::NotOverAtTheEnd(id)));
}
