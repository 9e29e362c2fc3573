//! What clients were told, as the history that is judged.

use coterie_check::{
    Action, Answer, Before, Bucket as Declared, BucketKind, Condition, Dot, FinalState, History,
    Limits, Nanos, Operation, OperationId, Outcome, Part, Record, Session, SessionId, Strong, View,
};
use coterie_crdt::operation::{OpError, Reply};
use coterie_crdt::{Context, Dot as Minted};
use coterie_wire::{ChangedDots, Outcome as Told, Response};

use super::{Bucket, Pending, bucket, name};
use crate::options::Options;
use crate::report::Counts;

/// The history of a run.
#[derive(Debug)]
pub struct Recorder {
    /// What is known.
    pub history: History,
    /// How much of it there is.
    pub counts: Counts,
}

impl Recorder {
    /// Nothing yet but the buckets.
    ///
    /// # Panics
    /// Never: the buckets are well-formed.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let mut history = History::new(Limits::default());
        for of in Bucket::ALL {
            let (replicas, kind) = match of {
                Bucket::Strict => (options.replicas, BucketKind::Strict),
                Bucket::Sloppy => (options.sloppy_replicas, BucketKind::Sloppy),
                Bucket::Strong => (3, BucketKind::Strong),
            };
            let replicas = u32::from(replicas);
            let declared = Declared { bucket: bucket(of), replicas, kind };
            history.push(Record::Bucket(declared)).expect("it is declared once");
        }
        Recorder { history, counts: Counts::default() }
    }

    pub(super) fn session(&mut self, session: SessionId, monotonic_reads: bool) {
        let declared = Session { session, read_your_writes: true, monotonic_reads };
        self.history.push(Record::Session(declared)).expect("sessions are numbered");
    }

    /// An owner's state of a key at the end.
    ///
    /// # Panics
    /// If it was taken down before.
    pub fn last(&mut self, state: FinalState) {
        self.history.push(Record::Final(state)).expect("each owner is read once, at the end");
    }

    pub(super) fn answered(
        &mut self,
        number: u64,
        pending: &Pending,
        response: &Response,
        returned: Nanos,
    ) {
        let action = pending.asked.action.as_ref().expect("only such operations are recorded");
        let outcome = match &response.outcome {
            Told::Refused(_) => Outcome::Refused { returned },
            Told::Unavailable(_) => Outcome::Unavailable { returned },
            Told::Unknown { changed, .. } => {
                let known = !changed.minted.is_empty();
                let observed = known.then(|| dots(&changed.observed));
                Outcome::Unknown { dot: only_minted(changed), observed }
            }
            Told::Done(answered) => match answer(action, answered.replies.first()) {
                // What failed changed nothing.
                None => Outcome::Refused { returned },
                Some(answer) => Outcome::Done {
                    returned,
                    answer,
                    dot: minted(action, &answered.changed),
                    observed: Some(dots(&answered.changed.observed)),
                },
            },
        };
        self.push(number, pending, outcome);
    }

    pub(super) fn abandoned(&mut self, number: u64, pending: &Pending) {
        self.push(number, pending, Outcome::Unknown { dot: None, observed: None });
    }

    fn push(&mut self, number: u64, pending: &Pending, outcome: Outcome) {
        let asked = &pending.asked;
        self.counts.operations += 1;
        match outcome {
            Outcome::Done { .. } => self.counts.acknowledged += 1,
            Outcome::Refused { .. } | Outcome::Unavailable { .. } => self.counts.declined += 1,
            Outcome::Unknown { .. } => self.counts.unknown += 1,
        }
        let operation = Operation {
            id: OperationId(number),
            session: pending.session,
            bucket: bucket(asked.bucket),
            key: name(asked.key.name()),
            level: asked.level(),
            observes: asked.observes(),
            invoked: pending.invoked,
            action: asked.action.clone().expect("only such operations are recorded"),
            outcome,
        };
        self.history.push(Record::Operation(operation)).expect("operations are well-formed");
    }
}

/// The checkers' name of a dot; sequences are per key, and so are histories.
pub(crate) fn dot(minted: Minted) -> Dot {
    Dot(u128::from(minted.actor.0) << 64 | u128::from(minted.sequence))
}

/// The dot of what was done. What an assignment removed may have one of its own, after that of the value.
fn minted(action: &Action, changed: &ChangedDots) -> Option<Dot> {
    match (action, &changed.minted[..]) {
        (Action::Assign { .. }, [value, _]) => Some(dot(*value)),
        _ => only_minted(changed),
    }
}

fn only_minted(changed: &ChangedDots) -> Option<Dot> {
    match changed.minted[..] {
        [one] => Some(dot(one)),
        _ => None,
    }
}

/// All dots of a context.
fn dots(context: &Context) -> Vec<Dot> {
    let all = context.actors().flat_map(|actor| {
        let sequences = 1..=context.greatest(actor);
        sequences.map(move |sequence| Minted::new(actor, sequence))
    });
    all.filter(|minted| context.contains(*minted)).map(dot).collect()
}

/// An answer in the words of the checkers; `None` for an operation that failed.
fn answer(action: &Action, reply: Option<&Result<Reply, OpError>>) -> Option<Answer> {
    if let (
        Action::Strong(Strong::Increment { .. }),
        Some(Err(OpError::NotInteger | OpError::Overflow)),
    ) = (action, reply)
    {
        return Some(Answer::NotANumber);
    }
    let reply = reply?.as_ref().ok()?;
    let held = match reply {
        Reply::Value(value) => Some(name(value)),
        _ => None,
    };
    let answer = match action {
        Action::Read(part) => Answer::Shown(view(*part, reply)),
        Action::Strong(Strong::Get | Strong::GetDelete) => Answer::Held(held),
        Action::Strong(Strong::Set { condition, .. }) => {
            let applied = match condition {
                Condition::Always | Condition::IfEqual(_) => true,
                Condition::IfAbsent => held.is_none(),
                Condition::IfPresent => held.is_some(),
            };
            Answer::Set { applied, before: held.map_or(Before::Nothing, Before::Value) }
        }
        Action::Strong(Strong::Increment { .. }) => Answer::Number(integer(reply)),
        Action::Strong(Strong::Delete) => Answer::Deleted(integer(reply) != 0),
        _ => Answer::Stored,
    };
    Some(answer)
}

/// What a reply shows of a part of a key.
pub(super) fn view(part: Part, reply: &Reply) -> View {
    let mut view = View::default();
    match (part, reply) {
        (Part::Set, Reply::Values(members)) => {
            view.elements = members.iter().flatten().map(|member| name(member)).collect();
        }
        (Part::Counter, Reply::Value(text)) => {
            let text = std::str::from_utf8(text).expect("numbers are text");
            view.counter = text.parse().expect("counters hold integers");
        }
        (Part::Register, Reply::Value(value)) => view.register = vec![name(value)],
        (Part::Flag, reply) => view.flag = integer(reply) != 0,
        _ => {}
    }
    view
}

fn integer(reply: &Reply) -> i64 {
    match reply {
        Reply::Integer(number) => *number,
        _ => 0,
    }
}
