//! What goes from one key to another: read, stored where it goes, and only then removed where it was.

use bytes::Bytes;
use coterie_crdt::operation::{
    KeyOperation, ListEnd, ListOperation, OpError, Operation, Reply, SetOperation, SetVerb,
};
use coterie_wire::Key;

use super::{Answer, Command, Gather, GatherError, Next, Original, Stage, There};

/// The requests of a transfer, in order.
const LOOK: usize = 0;
const STORE: usize = 1;
const REMOVE: usize = 2;

/// The request that looks at what is to go.
pub(super) fn look(command: &Command) -> (Key, Vec<Operation>) {
    match command {
        Command::Copy { from, .. } => (from.clone(), vec![Operation::Key(KeyOperation::Contents)]),
        Command::MoveElement { from: (from, end), .. } => {
            let index = match end {
                ListEnd::Left => 0,
                ListEnd::Right => -1,
            };
            (from.clone(), vec![Operation::List(ListOperation::Index(index))])
        }
        Command::MoveMember { from, member, .. } => {
            (from.clone(), vec![set(SetVerb::Contains(vec![member.clone()]))])
        }
        Command::Each(_)
        | Command::Sets { .. }
        | Command::SortedSets { .. }
        | Command::Merge { .. }
        | Command::StoreRange { .. }
        | Command::Sort(_) => panic!("{command:?} transfers nothing"),
    }
}

/// What a transfer does next.
pub(super) fn next(gather: &Gather) -> Result<Next, GatherError> {
    match gather.stage {
        Stage::First => store(gather),
        Stage::Stores => remove(gather),
        Stage::Removes => match gather.reply(REMOVE) {
            Some(Ok(_)) => answer(gather),
            Some(Err(_)) | None => Err(GatherError::NotRemoved(REMOVE)),
        },
    }
}

/// What was looked at is stored where it goes.
fn store(gather: &Gather) -> Result<Next, GatherError> {
    let found = gather.read(LOOK)?;
    Ok(match (&gather.command, found) {
        (Command::Copy { from, to, there, original }, Reply::Contents(contents)) => {
            let Some(contents) = contents else {
                return match original {
                    Original::Stays => Ok(reply(Reply::flag(false))),
                    Original::Deleted => Err(GatherError::Failed(OpError::NoSuchKey)),
                };
            };
            let replace = *there == There::Replaced;
            if from == to {
                return Ok(reply(Reply::flag(replace)));
            }
            let store = KeyOperation::Store { contents, replace };
            Next::Ask(Stage::Stores, to.clone(), vec![Operation::Key(store)])
        }
        (Command::MoveElement { from, to }, Reply::Value(value)) => {
            let put = Operation::List(ListOperation::Push(to.1, vec![value.clone()]));
            let operations = if from.0 == to.0 {
                // Within one key both are one change; the list is at no time empty, which would drop its expiry.
                vec![put, take(from.1, value)]
            } else {
                vec![put]
            };
            Next::Ask(Stage::Stores, to.0.clone(), operations)
        }
        (Command::MoveMember { from, to, member }, found) => {
            if from == to || !is_there(&found) {
                return Ok(reply(Reply::flag(is_there(&found))));
            }
            Next::Ask(Stage::Stores, to.clone(), vec![set(SetVerb::Add(vec![member.clone()]))])
        }
        (_, found) => reply(found),
    })
}

/// What is stored durably where it goes is removed where it was.
fn remove(gather: &Gather) -> Result<Next, GatherError> {
    let stored = gather.reply(STORE).ok_or(GatherError::NotStored(STORE))?;
    let stored = stored.map_err(|_failed| GatherError::NotStored(STORE))?;
    let (from, operation) = match &gather.command {
        Command::Copy { original: Original::Stays, .. } => return Ok(reply(stored)),
        Command::Copy { .. } if stored == Reply::flag(false) => return Ok(reply(stored)),
        Command::Copy { from, .. } => (from, Operation::Key(KeyOperation::Delete)),
        Command::MoveElement { from, to } if from.0 == to.0 => return answer(gather),
        Command::MoveElement { from: (from, end), .. } => {
            let Reply::Value(value) = gather.read(LOOK)? else { return answer(gather) };
            (from, take(*end, value))
        }
        Command::MoveMember { from, member, .. } => {
            (from, set(SetVerb::Remove(vec![member.clone()])))
        }
        Command::Each(_)
        | Command::Sets { .. }
        | Command::SortedSets { .. }
        | Command::Merge { .. }
        | Command::StoreRange { .. }
        | Command::Sort(_) => return Ok(reply(stored)),
    };
    Ok(Next::Ask(Stage::Removes, from.clone(), vec![operation]))
}

/// What a transfer that is done answers: the element, or that it was done.
fn answer(gather: &Gather) -> Result<Next, GatherError> {
    if let Command::MoveElement { .. } = gather.command {
        return Ok(reply(gather.read(LOOK)?));
    }
    Ok(reply(Reply::flag(true)))
}

fn is_there(found: &Reply) -> bool {
    *found == Reply::flag(true) || *found == Reply::Integers(vec![1])
}

fn reply(reply: Reply) -> Next {
    Next::Answer(Answer::Reply(reply))
}

fn set(verb: SetVerb) -> Operation {
    Operation::Set(SetOperation::new(verb))
}

/// Removes the element nearest to one end that equals a value: another one may lie outermost by now.
fn take(end: ListEnd, value: Bytes) -> Operation {
    let count = match end {
        ListEnd::Left => 1,
        ListEnd::Right => -1,
    };
    Operation::List(ListOperation::Remove { count, value })
}
