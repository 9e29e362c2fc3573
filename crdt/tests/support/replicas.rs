//! Replicas of one key that clients write to, and that exchange what they have.

use bytes::Bytes;
use coterie_crdt::encoding::{decode_delta, encode_delta};
use coterie_crdt::operation::{OpError, Operation, Reply};
use coterie_crdt::{Actor, Actors, Cells, Clock, Context, Delta, Mint, State};

/// One replica.
pub(crate) struct Replica {
    pub(crate) state: State,
    actors: Actors,
    clock: Clock,
    pub(crate) wall_millis: u64,
}

impl Replica {
    pub(crate) fn new(actor: u64) -> Self {
        let actors = Actors::new(Actor(actor));
        Replica { state: State::new(), actors, clock: Clock::new(), wall_millis: 1_000 }
    }

    /// A replica of each actor from 1.
    pub(crate) fn several<const N: usize>() -> [Replica; N] {
        std::array::from_fn(|actor| Replica::new(actor as u64 + 1))
    }

    /// Evaluates without joining.
    pub(crate) fn evaluate(
        &mut self,
        operation: &Operation,
        cells: &impl Cells,
    ) -> Result<(Reply, Delta), OpError> {
        let unseen = Context::new();
        let known = cells.root().map_or(&unseen, |root| &root.context);
        let next = self.actors.next_dot(known).expect("sequences are small");
        operation.evaluate(cells, &mut Mint::new(next, &mut self.clock, self.wall_millis, 7))
    }

    /// Runs an operation: its reply, and the delta that was joined here.
    pub(crate) fn write(&mut self, operation: &Operation) -> Result<(Reply, Delta), OpError> {
        let state = std::mem::take(&mut self.state);
        let evaluated = self.evaluate(operation, &state);
        self.state = state;
        if let Ok((_, delta)) = &evaluated {
            let decoded = decode_delta(&encode_delta(delta).into());
            assert_eq!(decoded.as_ref(), Ok(delta), "can be sent");
            self.state.join_delta(delta);
        }
        evaluated
    }

    /// Runs an operation for its reply.
    pub(crate) fn run(&mut self, operation: Operation) -> Result<Reply, OpError> {
        self.write(&operation).map(|(reply, _)| reply)
    }
}

/// Every replica takes in every other; all are equal then.
pub(crate) fn exchange(replicas: &mut [Replica]) {
    let before: Vec<State> = replicas.iter().map(|replica| replica.state.clone()).collect();
    for replica in &mut *replicas {
        for state in &before {
            replica.state.join(state);
        }
        replica.state.sweep();
    }
    assert!(replicas.windows(2).all(|pair| pair[0].state == pair[1].state), "replicas agree");
}

pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// What Redis would write for an error.
pub(crate) fn text<T: std::fmt::Debug>(result: Result<T, OpError>) -> String {
    result.expect_err("it is refused").to_string()
}
