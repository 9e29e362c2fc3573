//! What is made of some keys and stored under another.

use coterie_crdt::operation::{
    HyperLogLogOperation, OpError, Operation, Registers, Reply, SortedSetOperation,
};
use coterie_wire::Key;

use super::{Command, Gather, GatherError, Next, Stage};

/// What is asked at first.
pub(super) fn reads(command: &Command) -> Vec<(Key, Vec<Operation>)> {
    match command {
        Command::Merge { keys, .. } => {
            let read = || vec![Operation::HyperLogLog(HyperLogLogOperation::Registers)];
            keys.iter().map(|key| (key.clone(), read())).collect()
        }
        Command::StoreRange { from, range, .. } => {
            vec![(from.clone(), vec![Operation::SortedSet(range.clone())])]
        }
        Command::Each(_)
        | Command::Sets { .. }
        | Command::SortedSets { .. }
        | Command::Copy { .. }
        | Command::MoveElement { .. }
        | Command::MoveMember { .. }
        | Command::Sort(_) => panic!("{command:?} derives nothing"),
    }
}

/// The inputs of a merge are read.
pub(super) fn merged(gather: &Gather, into: &Key) -> Result<Next, GatherError> {
    let mut registers = Registers::new();
    for item in 0..gather.items.len() {
        let Reply::Registers(more) = gather.read(item)? else {
            return Err(OpError::NotHyperLogLog.into());
        };
        registers.extend(more);
    }
    let merge = Operation::HyperLogLog(HyperLogLogOperation::Merge(registers));
    Ok(Next::Ask(Stage::Stores, into.clone(), vec![merge]))
}

/// The range that is to be stored is read.
pub(super) fn ranged(gather: &Gather, into: &Key) -> Result<Next, GatherError> {
    let Reply::Scored(members) = gather.read(0)? else { return Err(OpError::WrongType.into()) };
    let store = Operation::SortedSet(SortedSetOperation::Store(members));
    Ok(Next::Ask(Stage::Stores, into.clone(), vec![store]))
}
