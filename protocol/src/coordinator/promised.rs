//! Which operations level `linearizable` promises.

use coterie_crdt::operation::{
    HashOperation, HyperLogLogOperation, KeyOperation, ListOperation, MapOperation, Operation,
    SetCondition, SetVerb, SortedSetOperation, StringOperation,
};

/// Whether an operation's answer, or whether it changes anything, depends on what it changes, so that two at once could
/// both be told what only one may: this level cannot promise it, and a `strong` bucket can.
///
/// What is promised: adds, removes, flags, assignments and reads. How many members an add or a remove has changed is
/// told as it was seen.
pub(super) fn depends_on_change(operation: &Operation) -> bool {
    match operation {
        Operation::Key(operation) => match operation {
            KeyOperation::ExpireAt { .. } | KeyOperation::Persist => true,
            KeyOperation::Store { replace, .. } => !replace,
            KeyOperation::Delete
            | KeyOperation::Exists
            | KeyOperation::Type
            | KeyOperation::TimeToLive
            | KeyOperation::ExpireTime
            | KeyOperation::Contents
            | KeyOperation::RemoveExpired { .. }
            | KeyOperation::RemoveTallied(_)
            | KeyOperation::Kinds => false,
        },
        Operation::String(operation) => match operation {
            StringOperation::Set { condition, get, .. } => {
                *condition != SetCondition::Always || *get
            }
            StringOperation::GetDelete
            | StringOperation::GetExpire(_)
            | StringOperation::Append(_)
            | StringOperation::SetRange { .. }
            | StringOperation::IncrementBy(_)
            | StringOperation::IncrementByFloat(_) => true,
            StringOperation::Get
            | StringOperation::GetRange { .. }
            | StringOperation::Length
            | StringOperation::GetSiblings
            | StringOperation::PutSibling { .. } => false,
        },
        Operation::Hash(operation) => match operation {
            HashOperation::SetIfAbsent { .. }
            | HashOperation::GetDelete(_)
            | HashOperation::IncrementBy { .. }
            | HashOperation::IncrementByFloat { .. }
            | HashOperation::ExpireAt { .. }
            | HashOperation::Persist(_)
            | HashOperation::GetExpire { .. } => true,
            HashOperation::SetExpire { condition, .. } => *condition != SetCondition::Always,
            HashOperation::Get(_)
            | HashOperation::All
            | HashOperation::Fields
            | HashOperation::Values
            | HashOperation::Count
            | HashOperation::Contains(_)
            | HashOperation::Length(_)
            | HashOperation::Set(_)
            | HashOperation::Remove(_)
            | HashOperation::Random(_)
            | HashOperation::RandomRepeated(_)
            | HashOperation::Scan { .. }
            | HashOperation::TimeToLive(_)
            | HashOperation::ExpireTime(_)
            | HashOperation::RemoveExpired(_) => false,
        },
        Operation::Map(operation) => matches!(
            operation,
            MapOperation::IncrementBy { .. } | MapOperation::IncrementByFloat { .. }
        ),
        Operation::Flag(_) => false,
        Operation::Set(operation) => matches!(operation.verb, SetVerb::Pop(_)),
        Operation::SortedSet(operation) => match operation {
            SortedSetOperation::Add { condition, .. } => {
                *condition != coterie_crdt::operation::AddCondition::Always
            }
            SortedSetOperation::Increment { .. }
            | SortedSetOperation::Pop { .. }
            | SortedSetOperation::RemoveRange(_) => true,
            SortedSetOperation::Remove(_)
            | SortedSetOperation::Scores(_)
            | SortedSetOperation::Count
            | SortedSetOperation::CountRange(_)
            | SortedSetOperation::Range { .. }
            | SortedSetOperation::Rank { .. }
            | SortedSetOperation::Random(_)
            | SortedSetOperation::RandomRepeated(_)
            | SortedSetOperation::Scan { .. }
            | SortedSetOperation::Store(_) => false,
        },
        Operation::List(operation) => match operation {
            ListOperation::PushIfPresent(..)
            | ListOperation::Pop(_)
            | ListOperation::PopMany(..)
            | ListOperation::Set { .. }
            | ListOperation::Insert { .. }
            | ListOperation::Remove { .. }
            | ListOperation::Trim { .. } => true,
            ListOperation::Push(..)
            | ListOperation::Length
            | ListOperation::Range { .. }
            | ListOperation::Index(_)
            | ListOperation::Find { .. } => false,
        },
        Operation::HyperLogLog(operation) => match operation {
            HyperLogLogOperation::Add(_)
            | HyperLogLogOperation::Count(_)
            | HyperLogLogOperation::Registers
            | HyperLogLogOperation::Merge(_) => false,
        },
    }
}
