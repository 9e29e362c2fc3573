//! Sorted sets: members in order of their scores, and then of their names.

mod range;

use std::ops::Bound;

use bytes::Bytes;

use crate::address::{Address, AddressRange};
use crate::cells::{Cells, Direction};
use crate::footprint::{Footprint, Need};
use crate::kind::{Kind, Shown};
use crate::operation::draft::Draft;
use crate::operation::set::{choose, choose_repeated};
use crate::operation::{OpError, Reply};
use crate::payload::{Payload, Score};
pub use range::{RangeLimit, SortedSetRange};

/// An operation on a sorted set.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SortedSetOperation {
    /// `ZADD`: how many of the members are new. One that is there is renewed, its score the same or
    /// not: it survives a removal that does not observe this.
    Add {
        /// Members with the scores to assign.
        members: Vec<(Bytes, Score)>,
        /// Which of them to, given the score there is.
        condition: AddCondition,
        /// `CH`: whether to count those too whose score changed.
        count_changed: bool,
    },
    /// `ZINCRBY`, `ZADD INCR`: the new score, or nothing where the condition does not hold.
    Increment {
        /// Which member.
        member: Bytes,
        /// What to add. Adding an infinity is assigning it.
        by: Score,
        /// Whether to, given the score there is and the sum.
        condition: AddCondition,
    },
    /// `ZREM`: how many of the members were there.
    Remove(Vec<Bytes>),
    /// `ZSCORE`, `ZMSCORE`: the score of each.
    Scores(Vec<Bytes>),
    /// `ZCARD`
    Count,
    /// `ZCOUNT`, `ZLEXCOUNT`
    CountRange(SortedSetRange),
    /// `ZRANGE` and its like: members with their scores.
    Range {
        /// Which members.
        range: SortedSetRange,
        /// From the least, or with `REV` from the greatest; ranks count from there too.
        direction: Direction,
        /// Which part of the range.
        limit: RangeLimit,
    },
    /// `ZRANK`, `ZREVRANK`: rank and score of a member.
    Rank {
        /// Which member.
        member: Bytes,
        /// Whether rank 0 is the least or the greatest.
        direction: Direction,
    },
    /// `ZPOPMIN`, `ZPOPMAX`: removes members from one end and answers them with their scores.
    Pop {
        /// From the least or from the greatest.
        direction: Direction,
        /// How many at most.
        count: u64,
    },
    /// `ZREMRANGEBYRANK`, `ZREMRANGEBYSCORE`, `ZREMRANGEBYLEX`: how many were removed.
    RemoveRange(SortedSetRange),
    /// `ZRANDMEMBER`: distinct members chosen at random, with their scores.
    Random(u64),
    /// `ZRANDMEMBER` with a negative count: members chosen at random, each time among all.
    RandomRepeated(u64),
    /// `ZSCAN`: up to so many members after one, in order of their names, with their scores.
    Scan {
        /// Go on after this member.
        after: Option<Bytes>,
        /// How many at most.
        count: usize,
    },
    /// `ZRANGESTORE`, `ZUNIONSTORE` and their like: deletes the key, then adds these. Answers how many.
    Store(Vec<(Bytes, Score)>),
}

/// Which scores `ZADD` assigns, given the score that the member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum AddCondition {
    /// All.
    Always,
    /// `NX`: those of members that are not there.
    IfAbsent,
    /// `XX`: those of members that are there.
    IfPresent,
    /// `GT`: those that are greater, and those of members that are not there.
    IfGreater,
    /// `XX GT`: those that are greater.
    IfPresentAndGreater,
    /// `LT`: those that are less, and those of members that are not there.
    IfLess,
    /// `XX LT`: those that are less.
    IfPresentAndLess,
}

impl SortedSetOperation {
    pub(super) fn footprint(&self) -> Footprint {
        match self {
            SortedSetOperation::Add { members, .. } => {
                Footprint::cells(members.iter().map(|(member, _)| address(member)))
            }
            SortedSetOperation::Increment { member, .. } => Footprint::cell(address(member)),
            SortedSetOperation::Remove(members) | SortedSetOperation::Scores(members) => {
                Footprint::cells(members.iter().map(address))
            }
            SortedSetOperation::Count => Footprint::derived(Need::Counts),
            SortedSetOperation::CountRange(range)
            | SortedSetOperation::Range { range, .. }
            | SortedSetOperation::RemoveRange(range) => range.footprint(),
            SortedSetOperation::Rank { member, .. } => {
                Footprint::cell(address(member)).and(Footprint::derived(Need::ScoreOrder))
            }
            SortedSetOperation::Pop { .. } => Footprint::derived(Need::ScoreOrder),
            SortedSetOperation::Random(_) | SortedSetOperation::RandomRepeated(_) => {
                Footprint::range(members_from(&None))
            }
            SortedSetOperation::Scan { after, .. } => Footprint::range(members_from(after)),
            SortedSetOperation::Store(members) => Footprint::tallied()
                .and(Footprint::cells(members.iter().map(|(member, _)| address(member)))),
        }
    }

    pub(super) fn writes(&self) -> bool {
        match self {
            SortedSetOperation::Add { .. }
            | SortedSetOperation::Increment { .. }
            | SortedSetOperation::Remove(_)
            | SortedSetOperation::Pop { .. }
            | SortedSetOperation::RemoveRange(_)
            | SortedSetOperation::Store(_) => true,
            SortedSetOperation::Scores(_)
            | SortedSetOperation::Count
            | SortedSetOperation::CountRange(_)
            | SortedSetOperation::Range { .. }
            | SortedSetOperation::Rank { .. }
            | SortedSetOperation::Random(_)
            | SortedSetOperation::RandomRepeated(_)
            | SortedSetOperation::Scan { .. } => false,
        }
    }

    pub(super) fn observes(&self) -> bool {
        let adds = matches!(
            self,
            SortedSetOperation::Increment { by, condition: AddCondition::Always, .. }
                if by.get().is_finite()
        );
        !adds
    }

    pub(super) fn apply<C: Cells>(&self, draft: &mut Draft<'_, '_, C>) -> Result<Reply, OpError> {
        if !matches!(self, SortedSetOperation::Store(_)) {
            draft.expect(Shown::SortedSet)?;
        }
        match self {
            SortedSetOperation::Add { members, condition, count_changed } => {
                add(draft, members, *condition, *count_changed)
            }
            SortedSetOperation::Increment { member, by, condition } => {
                increment(draft, member, *by, *condition)
            }
            SortedSetOperation::Remove(members) => {
                let mut removed = 0;
                for member in members {
                    if draft.has(&address(member)) {
                        draft.remove(address(member))?;
                        removed += 1;
                    }
                }
                Ok(Reply::Integer(removed))
            }
            SortedSetOperation::Scores(members) => {
                let score = |member| draft.cell(&address(member)).score();
                Ok(Reply::Scores(members.iter().map(score).collect()))
            }
            SortedSetOperation::Count => draft.count(Kind::Scored).map(Reply::count),
            SortedSetOperation::CountRange(range) => {
                let members = range.select(draft, Direction::Forward, RangeLimit::NONE)?;
                Ok(Reply::count(members.len()))
            }
            SortedSetOperation::Range { range, direction, limit } => {
                range.select(draft, *direction, *limit).map(Reply::Scored)
            }
            SortedSetOperation::Rank { member, direction } => rank(draft, member, *direction),
            SortedSetOperation::Pop { direction, count } => {
                let all = draft.by_score((Bound::Unbounded, Bound::Unbounded), *direction)?;
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                let popped: Vec<_> =
                    all.take(count).map(|(score, member)| (member, score)).collect();
                remove_all(draft, &popped)?;
                Ok(Reply::Scored(popped))
            }
            SortedSetOperation::RemoveRange(range) => {
                let members = range.select(draft, Direction::Forward, RangeLimit::NONE)?;
                remove_all(draft, &members)?;
                Ok(Reply::count(members.len()))
            }
            SortedSetOperation::Random(count) => {
                let all = by_name(draft, &None, usize::MAX);
                Ok(Reply::Scored(choose(all, *count, draft)))
            }
            SortedSetOperation::RandomRepeated(count) => {
                let all = by_name(draft, &None, usize::MAX);
                choose_repeated(&all, *count, draft).map(Reply::Scored)
            }
            SortedSetOperation::Scan { after, count } => {
                Ok(Reply::Scored(by_name(draft, after, *count)))
            }
            SortedSetOperation::Store(members) => {
                draft.limits().elements(members.iter().map(|(member, _)| member))?;
                draft.delete_whole()?;
                add(draft, members, AddCondition::Always, false)
            }
        }
    }
}

impl AddCondition {
    fn holds(self, before: Option<Score>, after: Score) -> bool {
        match self {
            AddCondition::Always => true,
            AddCondition::IfAbsent => before.is_none(),
            AddCondition::IfPresent => before.is_some(),
            AddCondition::IfGreater => before.is_none_or(|before| after > before),
            AddCondition::IfPresentAndGreater => before.is_some_and(|before| after > before),
            AddCondition::IfLess => before.is_none_or(|before| after < before),
            AddCondition::IfPresentAndLess => before.is_some_and(|before| after < before),
        }
    }
}

fn address(member: &Bytes) -> Address {
    Address::new(Kind::Scored, member.clone())
}

/// A range by name that starts at a member, or with the first one.
fn members_from(member: &Option<Bytes>) -> AddressRange {
    AddressRange { kind: Kind::Scored, from: member.clone().unwrap_or_default(), to: None }
}

fn add<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    members: &[(Bytes, Score)],
    condition: AddCondition,
    count_changed: bool,
) -> Result<Reply, OpError> {
    draft.limits().elements(members.iter().map(|(member, _)| member))?;
    let mut counted = 0;
    for (member, score) in members {
        let address = address(member);
        let before = draft.cell(&address).score();
        if condition.holds(before, *score) {
            counted += i64::from(before.is_none_or(|before| count_changed && before != *score));
            draft.assign(address, |time| Payload::Score(time, *score))?;
        }
    }
    Ok(Reply::Integer(counted))
}

fn increment<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    member: &Bytes,
    by: Score,
    condition: AddCondition,
) -> Result<Reply, OpError> {
    draft.limits().element(member)?;
    let address = address(member);
    let before = draft.cell(&address).score();
    let sum = before.unwrap_or_default().get() + by.get();
    let after = Score::new(sum).ok_or(OpError::ScoreNotNumber)?;
    if !condition.holds(before, after) {
        return Ok(Reply::Nothing);
    }
    // An infinity cannot be summed with what others add, and nothing they add would change it.
    if by.get().is_infinite() {
        draft.assign(address, |time| Payload::Score(time, after))?;
        return Ok(Reply::Score(after));
    }
    draft.add_float(address.clone(), by.get())?.ok_or(OpError::Overflow)?;
    // Read back: what a sum of floats is depends on the order of its terms.
    Ok(Reply::Score(draft.cell(&address).score().unwrap_or(after)))
}

fn rank<C: Cells>(
    draft: &Draft<'_, '_, C>,
    member: &Bytes,
    direction: Direction,
) -> Result<Reply, OpError> {
    let Some(score) = draft.cell(&address(member)).score() else {
        return Ok(Reply::Nothing);
    };
    let upto = match direction {
        Direction::Forward => (Bound::Unbounded, Bound::Included(score)),
        Direction::Backward => (Bound::Included(score), Bound::Unbounded),
    };
    let rank = draft.by_score(upto, direction)?.position(|(_, other)| other == *member);
    // A member that is there is listed by its score.
    let rank = rank.ok_or(OpError::Damaged)?;
    Ok(Reply::Ranked(i64::try_from(rank).unwrap_or(i64::MAX), score))
}

/// At most `count` members after one, or from the first, in order of their names.
fn by_name<C: Cells>(
    draft: &Draft<'_, '_, C>,
    after: &Option<Bytes>,
    count: usize,
) -> Vec<(Bytes, Score)> {
    let range = members_from(after);
    let cells = draft.scan(&range, Direction::Forward);
    let cells = cells.filter(|(address, _)| after.as_ref() != Some(&address.path));
    let members = cells.filter_map(|(address, cell)| Some((address.path.clone(), cell.score()?)));
    members.take(count).collect()
}

fn remove_all<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    members: &[(Bytes, Score)],
) -> Result<(), OpError> {
    members.iter().try_for_each(|(member, _)| draft.remove(address(member)))
}
