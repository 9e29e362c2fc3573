//! Algebra of sets that lie under several keys.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use coterie_crdt::operation::algebra::{self, Aggregate, Weighted};
use coterie_crdt::operation::{
    OpError, Operation, RangeLimit, Reply, SetOperation, SetVerb, SortedSetOperation,
    SortedSetRange,
};
use coterie_crdt::{Direction, Score};
use coterie_wire::Key;

use super::{Algebra, Answer, Gather, GatherError, Next, Stage};

/// What reads an input of an algebra of sets.
pub(super) fn read_set() -> Vec<Operation> {
    vec![Operation::Set(SetOperation::new(SetVerb::Members))]
}

/// What reads an input of an algebra of sorted sets: it is the one kind of set or the other, and what it is not fails.
pub(super) fn read_sorted_set() -> Vec<Operation> {
    let range = SortedSetRange::Names { min: Bound::Unbounded, max: Bound::Unbounded };
    let (direction, limit) = (Direction::Forward, RangeLimit::NONE);
    let members = SortedSetOperation::Range { range, direction, limit };
    vec![Operation::SortedSet(members), Operation::Set(SetOperation::new(SetVerb::Members))]
}

/// What a command on sets does once its inputs are read.
pub(super) fn of_sets(
    gather: &Gather,
    verb: Algebra,
    into: Option<&Key>,
) -> Result<Next, GatherError> {
    let inputs = (0..gather.items.len()).map(|item| members(gather.read(item)?));
    let sets: Vec<BTreeSet<Bytes>> = inputs.collect::<Result<_, GatherError>>()?;
    let members = match verb {
        Algebra::Union => algebra::union(&sets),
        Algebra::Intersection => algebra::intersection(&sets),
        Algebra::Difference => algebra::difference(&sets),
        Algebra::IntersectionCount(limit) => {
            return Ok(count(algebra::intersection_count(&sets, limit)));
        }
    };
    Ok(match into {
        Some(key) => {
            let store = SetVerb::Store(members.into_iter().collect());
            let store = Operation::Set(SetOperation::new(store));
            Next::Ask(Stage::Stores, key.clone(), vec![store])
        }
        None => {
            let members = Reply::Values(members.into_iter().map(Some).collect());
            Next::Answer(Answer::Reply(members))
        }
    })
}

/// What a command on sorted sets does once its inputs are read.
pub(super) fn of_sorted_sets(
    gather: &Gather,
    weights: impl Iterator<Item = Score>,
    verb: Algebra,
    aggregate: Aggregate,
    into: Option<&Key>,
) -> Result<Next, GatherError> {
    let inputs = weights.enumerate().map(|(item, weight)| {
        let replies = gather.replies(item).ok_or(GatherError::NotRead(item))?;
        Ok(Weighted { members: scored(replies)?, weight })
    });
    let inputs: Vec<Weighted> = inputs.collect::<Result<_, GatherError>>()?;
    let sets = || inputs.iter().map(|input| input.members.clone()).collect::<Vec<_>>();
    let members = match verb {
        Algebra::Union => algebra::scored_union(&inputs, aggregate),
        Algebra::Intersection => algebra::scored_intersection(&inputs, aggregate),
        Algebra::Difference => algebra::scored_difference(&sets()),
        Algebra::IntersectionCount(limit) => {
            return Ok(count(algebra::scored_intersection_count(&sets(), limit)));
        }
    };
    Ok(match into {
        Some(key) => {
            let store = Operation::SortedSet(SortedSetOperation::Store(members));
            Next::Ask(Stage::Stores, key.clone(), vec![store])
        }
        None => Next::Answer(Answer::Reply(Reply::Scored(members))),
    })
}

fn count(count: usize) -> Next {
    Next::Answer(Answer::Reply(Reply::count(count)))
}

/// The members that a read of a set answered.
fn members(reply: Reply) -> Result<BTreeSet<Bytes>, GatherError> {
    let Reply::Values(members) = reply else { return Err(OpError::WrongType.into()) };
    Ok(members.into_iter().flatten().collect())
}

/// The members that one of both reads of a sorted set, or a set, answered.
fn scored(replies: &[Result<Reply, OpError>]) -> Result<BTreeMap<Bytes, Score>, GatherError> {
    let mut failed = OpError::WrongType;
    for reply in replies {
        match reply {
            Ok(Reply::Scored(members)) => return Ok(members.iter().cloned().collect()),
            Ok(Reply::Values(members)) => {
                return Ok(algebra::plain(members.iter().flatten().cloned()));
            }
            Ok(_) => {}
            Err(error) => failed = *error,
        }
    }
    Err(GatherError::Failed(failed))
}
