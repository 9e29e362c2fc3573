//! A client of one replica that holds one key.

use bytes::Bytes;
use coterie_crdt::encoding::{decode_delta, encode_delta};
use coterie_crdt::operation::{
    FlagOperation, HashOperation, KeyOperation, Limits, MapOperation, OpError, Operation, Reply,
    SetOperation, SetVerb, SortedSetOperation, StringOperation, evaluate_all,
};
use coterie_crdt::{Actor, Actors, Cells, Clock, Context, Delta, Mint, Partial, Score, State};

/// What can be run.
pub(crate) trait Command {
    fn operation(self) -> Operation;
}

macro_rules! commands {
    ($($family:ident($operation:ty)),*) => {
        $(impl Command for $operation {
            fn operation(self) -> Operation {
                Operation::$family(self)
            }
        })*
    };
}

commands!(
    Key(KeyOperation),
    String(StringOperation),
    Hash(HashOperation),
    Map(MapOperation),
    Set(SetOperation),
    SortedSet(SortedSetOperation),
    Flag(FlagOperation)
);

impl Command for SetVerb {
    fn operation(self) -> Operation {
        Operation::Set(SetOperation::new(self))
    }
}

impl Command for Operation {
    fn operation(self) -> Operation {
        self
    }
}

/// One replica, one key, and a wall clock that only the test moves.
pub(crate) struct Client {
    pub(crate) state: State,
    /// In milliseconds since 1970.
    pub(crate) now: u64,
    pub(crate) limits: Limits,
    actors: Actors,
    clock: Clock,
    random: u64,
}

impl Client {
    pub(crate) fn new() -> Self {
        Client::acting(1)
    }

    /// One whose writes are under this actor.
    pub(crate) fn acting(actor: u64) -> Self {
        Client {
            state: State::new(),
            now: 1_000_000,
            limits: Limits::default(),
            actors: Actors::new(Actor(actor)),
            clock: Clock::new(),
            random: 7,
        }
    }

    /// The reply. Whatever is run is held to what holds of all operations.
    pub(crate) fn run(&mut self, command: impl Command) -> Result<Reply, OpError> {
        let operation = command.operation();
        let (reply, delta) = self.evaluate(&operation, &self.state.clone());
        assert!(reply.is_ok() || delta.is_empty(), "what fails changes nothing");
        assert!(operation.writes() || delta.is_empty(), "what only reads changes nothing");
        let footprint = operation.footprint_over(self.state.root(), self.now);
        if footprint.derived.is_empty() {
            let partial = Partial::extract(&self.state, &footprint);
            let seen = self.evaluate(&operation, &partial);
            assert_eq!(seen, (reply.clone(), delta.clone()), "the footprint is all it needs");
        }
        self.join(&delta);
        reply
    }

    /// The replies of operations that make one delta.
    pub(crate) fn run_all(
        &mut self,
        operations: impl IntoIterator<Item = Operation>,
    ) -> Vec<Result<Reply, OpError>> {
        let operations: Vec<_> = operations.into_iter().collect();
        let state = self.state.clone();
        let (replies, delta) = evaluate_all(&operations, &state, &mut self.mint(&state));
        self.join(&delta);
        replies
    }

    /// What running it would answer and change.
    pub(crate) fn evaluate(
        &mut self,
        operation: &Operation,
        cells: &impl Cells,
    ) -> (Result<Reply, OpError>, Delta) {
        let clock = self.clock.clone();
        let mut mint = self.mint(cells);
        let (mut replies, delta) = evaluate_all(std::slice::from_ref(operation), cells, &mut mint);
        self.clock = clock;
        (replies.remove(0), delta)
    }

    /// A mint for an evaluation.
    pub(crate) fn mint(&mut self, cells: &impl Cells) -> Mint<'_> {
        let context = cells.root().map_or_else(Context::new, |root| root.context.clone());
        let next = self.actors.next_dot(&context).unwrap();
        Mint::new(next, &mut self.clock, self.now, self.random).with_limits(self.limits)
    }

    /// Joins what was evaluated; what comes after it is later.
    pub(crate) fn join(&mut self, delta: &Delta) {
        assert_eq!(decode_delta(&encode_delta(delta).into()).as_ref(), Ok(delta), "can be sent");
        self.state.join_delta(delta);
        self.random += 1;
        self.clock.tick(self.now);
    }
}

pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(crate) fn all(texts: &[&str]) -> Vec<Bytes> {
    texts.iter().map(|text| bytes(text)).collect()
}

pub(crate) fn score(value: f64) -> Score {
    Score::new(value).unwrap()
}

pub(crate) fn integer(value: i64) -> Result<Reply, OpError> {
    Ok(Reply::Integer(value))
}

pub(crate) fn value(text: &str) -> Result<Reply, OpError> {
    Ok(Reply::Value(bytes(text)))
}

pub(crate) fn values(texts: &[&str]) -> Result<Reply, OpError> {
    Ok(Reply::Values(texts.iter().map(|text| Some(bytes(text))).collect()))
}

pub(crate) fn nothing() -> Result<Reply, OpError> {
    Ok(Reply::Nothing)
}

pub(crate) fn done() -> Result<Reply, OpError> {
    Ok(Reply::Done)
}

/// The text of an error as a client gets it.
pub(crate) fn text(reply: Result<Reply, OpError>) -> String {
    reply.unwrap_err().to_string()
}

pub(crate) const WRONG_TYPE: &str =
    "WRONGTYPE Operation against a key holding the wrong kind of value";

pub(crate) fn scored(members: &[(&str, f64)]) -> Vec<(Bytes, Score)> {
    members.iter().map(|(member, value)| (bytes(member), score(*value))).collect()
}

pub(crate) fn get() -> StringOperation {
    StringOperation::Get
}

/// A plain `SET`.
pub(crate) fn set(text: &str) -> StringOperation {
    use coterie_crdt::operation::{Expire, SetCondition};
    StringOperation::Set {
        value: bytes(text),
        condition: SetCondition::Always,
        get: false,
        expire: Expire::Never,
    }
}

pub(crate) fn hset(pairs: &[(&str, &str)]) -> HashOperation {
    HashOperation::Set(pairs.iter().map(|(field, value)| (bytes(field), bytes(value))).collect())
}

pub(crate) fn sadd(members: &[&str]) -> SetVerb {
    SetVerb::Add(all(members))
}

pub(crate) fn zadd(members: &[(&str, f64)]) -> SortedSetOperation {
    use coterie_crdt::operation::AddCondition;
    SortedSetOperation::Add {
        members: scored(members),
        condition: AddCondition::Always,
        count_changed: false,
    }
}

/// A `PEXPIREAT` without conditions.
pub(crate) fn expire_at(at: u64) -> KeyOperation {
    use coterie_crdt::operation::Condition;
    KeyOperation::ExpireAt { at, condition: Condition::Always }
}
