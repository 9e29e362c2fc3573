//! Histories written by hand: a key in a bucket, its operations by time, its final states.

use std::ops::Range;

use coterie_check::linearizable::Budget;
use coterie_check::{
    Action, Answer, Bucket, BucketId, BucketKind, Cell, Check, Dot, FinalState, History,
    KeyHistory, Level, Limits, LiveCell, Name, Nanos, Operation, OperationId, Outcome, Owner, Part,
    Record, Session, SessionId, Verdict, View, Violation,
};

pub(crate) const BUCKET: BucketId = BucketId(0);

/// Sessions 0 to 7 of a script have all guarantees.
pub(crate) const SESSIONS: u64 = 8;

/// A history of one key in the making.
pub(crate) struct Script {
    pub(crate) kind: BucketKind,
    pub(crate) replicas: u32,
    pub(crate) operations: Vec<Operation>,
    pub(crate) finals: Vec<FinalState>,
}

impl Script {
    pub(crate) fn new(kind: BucketKind) -> Self {
        Script { kind, replicas: 3, operations: Vec::new(), finals: Vec::new() }
    }

    /// An operation of session 0 at quorum; its number is its position.
    fn push(&mut self, invoked: u64, action: Action, outcome: Outcome) -> &mut Operation {
        let level = Level::Quorum;
        let (id, invoked) = (OperationId(self.operations.len() as u64), Nanos(invoked));
        let (session, key) = (SessionId(0), name("k"));
        let operation = Operation {
            id,
            session,
            bucket: BUCKET,
            key,
            level,
            observes: None,
            invoked,
            action,
            outcome,
        };
        self.operations.push(operation);
        self.operations.last_mut().unwrap()
    }

    /// An acknowledged write, told its dot and what it observed.
    pub(crate) fn write(
        &mut self,
        time: Range<u64>,
        action: Action,
        dot: u128,
        observed: &[u128],
    ) -> &mut Operation {
        let observed = Some(observed.iter().copied().map(Dot).collect());
        let (returned, answer) = (Nanos(time.end), Answer::Stored);
        let outcome = Outcome::Done { returned, answer, dot: Some(Dot(dot)), observed };
        self.push(time.start, action, outcome)
    }

    /// Acknowledged, and told nothing but the answer.
    pub(crate) fn done(
        &mut self,
        time: Range<u64>,
        action: Action,
        answer: Answer,
    ) -> &mut Operation {
        let outcome =
            Outcome::Done { returned: Nanos(time.end), answer, dot: None, observed: None };
        self.push(time.start, action, outcome)
    }

    /// A read of the set.
    pub(crate) fn read_set(&mut self, time: Range<u64>, elements: &[&str]) -> &mut Operation {
        let elements = elements.iter().copied().map(name).collect();
        let view = View { elements, ..View::default() };
        self.done(time, Action::Read(Part::Set), Answer::Shown(view))
    }

    /// A read of the register.
    pub(crate) fn read_register(&mut self, time: Range<u64>, values: &[&str]) -> &mut Operation {
        let register = values.iter().copied().map(name).collect();
        let view = View { register, ..View::default() };
        self.done(time, Action::Read(Part::Register), Answer::Shown(view))
    }

    /// A read of the counter.
    pub(crate) fn read_counter(&mut self, time: Range<u64>, counter: i64) -> &mut Operation {
        let view = View { counter, ..View::default() };
        self.done(time, Action::Read(Part::Counter), Answer::Shown(view))
    }

    /// A read of the flag.
    pub(crate) fn read_flag(&mut self, time: Range<u64>, flag: bool) -> &mut Operation {
        let view = View { flag, ..View::default() };
        self.done(time, Action::Read(Part::Flag), Answer::Shown(view))
    }

    /// Of unknown outcome, told nothing.
    pub(crate) fn unknown(&mut self, invoked: u64, action: Action) -> &mut Operation {
        self.push(invoked, action, Outcome::Unknown { dot: None, observed: None })
    }

    pub(crate) fn refused(&mut self, time: Range<u64>, action: Action) -> &mut Operation {
        self.push(time.start, action, Outcome::Refused { returned: Nanos(time.end) })
    }

    /// The same final state at every owner.
    pub(crate) fn finals(&mut self, cells: Vec<LiveCell>, counter: i64) {
        for owner in 0..u64::from(self.replicas) {
            self.final_of(owner, cells.clone(), counter);
        }
    }

    pub(crate) fn final_of(&mut self, owner: u64, cells: Vec<LiveCell>, counter: i64) {
        let (owner, at) = (Owner(owner), Nanos(1 << 60));
        let state = FinalState { owner, bucket: BUCKET, key: name("k"), at, cells, counter };
        self.finals.push(state);
    }

    /// All that was written, by way of a history.
    pub(crate) fn key(&self) -> KeyHistory {
        let mut history = History::new(Limits::default());
        let replicas = self.replicas;
        let bucket = Bucket { bucket: BUCKET, replicas, kind: self.kind };
        history.push(Record::Bucket(bucket)).unwrap();
        for session in (0..SESSIONS).map(SessionId) {
            let session = Session { session, read_your_writes: true, monotonic_reads: true };
            history.push(Record::Session(session)).unwrap();
        }
        for operation in &self.operations {
            history.push(Record::Operation(operation.clone())).unwrap();
        }
        for state in &self.finals {
            history.push(Record::Final(state.clone())).unwrap();
        }
        history.take(BUCKET, &name("k")).unwrap()
    }

    pub(crate) fn judge(&self, check: Check) -> Verdict {
        check.check(&self.key(), Budget::default())
    }

    /// The violation that a checker must find.
    pub(crate) fn violation(&self, check: Check) -> Violation {
        match self.judge(check) {
            Verdict::Broken(violation) => {
                println!("{violation}");
                *violation
            }
            other => panic!("{other:?}"),
        }
    }

    /// Every checker accepts it.
    pub(crate) fn assert_kept(&self) {
        for check in Check::ALL {
            let verdict = self.judge(check);
            assert!(matches!(verdict, Verdict::Kept(_)), "{check:?}: {verdict:?}");
        }
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::from(text)
}

pub(crate) fn add(element: &str) -> Action {
    Action::Add { element: name(element) }
}

pub(crate) fn remove(element: &str) -> Action {
    Action::Remove { element: name(element) }
}

pub(crate) fn assign(value: &str) -> Action {
    Action::Assign { value: name(value) }
}

/// A live element with its dots.
pub(crate) fn live(element: &str, dots: &[u128]) -> LiveCell {
    let dots = Some(dots.iter().copied().map(Dot).collect());
    LiveCell { cell: Cell::Element(name(element)), values: Vec::new(), dots }
}

/// A live element of an owner that does not show dots.
pub(crate) fn seen(element: &str) -> LiveCell {
    LiveCell { cell: Cell::Element(name(element)), values: Vec::new(), dots: None }
}
