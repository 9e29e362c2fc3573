//! What both benchmarks measure: one-element operations on keys of 1,000 elements, and contexts.

use bytes::Bytes;
use coterie_crdt::encoding::{decode_context, encode_context};
use coterie_crdt::operation::{
    AddCondition, Expire, HashOperation, ListEnd, ListOperation, Operation, SetCondition,
    SetOperation, SetVerb, SortedSetOperation, StringOperation,
};
use coterie_crdt::position::between;
use coterie_crdt::{
    Actor, Actors, Cells, Changes, Clock, Context, Delta, Dot, Mint, Score, State, join_delta,
};

const ACTORS: [Actor; 3] = [Actor(0x9e37_79b9_7f4a_7c15), Actor(0xbf58_476d), Actor(0x94d0_49bb)];
const ELEMENTS: u32 = 1_000;

/// A replica with an operation to run on it.
pub(crate) struct Prepared {
    state: State,
    actors: Actors,
    clock: Clock,
    operation: Operation,
    delta: Delta,
}

impl Prepared {
    /// A key written by three actors, on which `operation` is to be run.
    pub(crate) fn new(setup: impl Fn(u32) -> Operation, operation: Operation) -> Box<Self> {
        let mut state = State::new();
        let mut clock = Clock::new();
        for index in 0..ELEMENTS {
            let actors = Actors::new(ACTORS[index as usize % ACTORS.len()]);
            let (_, delta) = evaluate(&state, &actors, &mut clock, &setup(index));
            state.join_delta(&delta);
        }
        let actors = Actors::new(ACTORS[0]);
        let (_, delta) = evaluate(&state, &actors, &mut clock, &operation);
        Box::new(Prepared { state, actors, clock, operation, delta })
    }

    /// The operation as a coordinator runs it: evaluate, then join the delta into the rows.
    pub(crate) fn evaluate_and_join(&mut self) -> Changes {
        let (_, delta) = evaluate(&self.state, &self.actors, &mut self.clock, &self.operation);
        join_delta(&self.state, &delta)
    }

    /// What another owner does with the delta.
    pub(crate) fn join(&self) -> Changes {
        join_delta(&self.state, &self.delta)
    }
}

fn evaluate(
    state: &State,
    actors: &Actors,
    clock: &mut Clock,
    operation: &Operation,
) -> (coterie_crdt::operation::Reply, Delta) {
    let empty = Context::new();
    let context = state.root().map_or(&empty, |root| &root.context);
    let next = actors.next_dot(context).expect("not exhausted");
    let mut mint = Mint::new(next, clock, 1_700_000_000_000, 7);
    operation.evaluate(state, &mut mint).expect("evaluates")
}

fn member(index: u32) -> Bytes {
    format!("member:{index:08}").into()
}

fn sadd(index: u32) -> Operation {
    Operation::Set(SetOperation::new(SetVerb::Add(vec![member(index)])))
}

fn set(index: u32) -> Operation {
    Operation::String(StringOperation::Set {
        value: vec![b'x'; 100 + index as usize % 2].into(),
        condition: SetCondition::Always,
        get: false,
        expire: Expire::Never,
    })
}

/// `SET` of 100 bytes over an older value.
pub(crate) fn string() -> Box<Prepared> {
    Prepared::new(set, set(0))
}

/// `INCR` of a counter that three actors have incremented.
pub(crate) fn counter() -> Box<Prepared> {
    let increment = |_| Operation::String(StringOperation::IncrementBy(1));
    Prepared::new(increment, increment(0))
}

/// `SADD` of a new member.
pub(crate) fn add() -> Box<Prepared> {
    Prepared::new(sadd, sadd(ELEMENTS + 7))
}

/// `SREM` of a member that is there.
pub(crate) fn remove() -> Box<Prepared> {
    let remove = SetOperation::new(SetVerb::Remove(vec![member(ELEMENTS / 2)]));
    Prepared::new(sadd, Operation::Set(remove))
}

/// `HSET` of a field that is there.
pub(crate) fn hash() -> Box<Prepared> {
    let set = |index| {
        Operation::Hash(HashOperation::Set(vec![(member(index), Bytes::from_static(b"value"))]))
    };
    Prepared::new(set, set(ELEMENTS / 2))
}

/// `ZINCRBY` of a member that is there.
pub(crate) fn score() -> Box<Prepared> {
    let increment = |index| {
        Operation::SortedSet(SortedSetOperation::Increment {
            member: member(index),
            by: Score::new(1.5).expect("a number"),
            condition: AddCondition::Always,
        })
    };
    Prepared::new(increment, increment(ELEMENTS / 2))
}

/// `LPUSH` of an element to a list that three actors have pushed to in turn.
pub(crate) fn list() -> Box<Prepared> {
    let push = |index| Operation::List(ListOperation::Push(ListEnd::Left, vec![member(index)]));
    Prepared::new(push, push(ELEMENTS))
}

/// The outermost position of a list after many pushes by one actor.
pub(crate) fn position() -> Bytes {
    push_before(&between(None, None, Dot::new(ACTORS[0], 1)).expect("well formed"), 1_000_000)
}

/// The position before another.
pub(crate) fn push_before(position: &Bytes, sequence: u64) -> Bytes {
    between(None, Some(position), Dot::new(ACTORS[0], sequence)).expect("well formed")
}

/// The context of a key that three actors have written, and its encoding.
pub(crate) fn context() -> (Context, Bytes) {
    let context: Context = ACTORS
        .into_iter()
        .flat_map(|actor| (1..=1_000).map(move |sequence| Dot::new(actor, sequence)))
        .collect();
    let encoded = encode(&context).into();
    (context, encoded)
}

/// Encodes a context.
pub(crate) fn encode(context: &Context) -> Vec<u8> {
    let mut out = Vec::with_capacity(48);
    encode_context(&mut out, context);
    out
}

/// Decodes a context.
pub(crate) fn decode(bytes: &Bytes) -> Context {
    decode_context(bytes).expect("well formed")
}
