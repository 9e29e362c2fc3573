//! Operations in JSON: one table gives their names, their fields and their description.

mod fields;
mod reply;
mod table;

pub(super) use fields::Described;
pub(super) use reply::{context_token, error_json, reply_json};
pub(super) use table::{Given, OPERATIONS, replaces};

use coterie_crdt::operation::{
    HashOperation, ListOperation, Operation, SetVerb, SortedSetOperation, StringOperation,
};

/// Whether its answer shows what it changes, so that whoever gives it has to be allowed to read.
pub(super) fn reveals(operation: &Operation) -> bool {
    match operation {
        Operation::Key(_) | Operation::Flag(_) | Operation::HyperLogLog(_) | Operation::Map(_) => {
            false
        }
        Operation::String(operation) => matches!(
            operation,
            StringOperation::Set { get: true, .. }
                | StringOperation::GetDelete
                | StringOperation::GetExpire(_)
        ),
        Operation::Hash(operation) => {
            matches!(operation, HashOperation::GetDelete(_) | HashOperation::GetExpire { .. })
        }
        Operation::Set(operation) => matches!(operation.verb, SetVerb::Pop(_)),
        Operation::SortedSet(operation) => matches!(operation, SortedSetOperation::Pop { .. }),
        Operation::List(operation) => {
            matches!(operation, ListOperation::Pop(_) | ListOperation::PopMany(..))
        }
    }
}
