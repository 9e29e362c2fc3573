//! Ranges of a sorted set: by rank, by score, by name.

use std::ops::Bound;

use bytes::Bytes;

use crate::address::{AddressRange, path_after};
use crate::cells::{Cells, Direction};
use crate::footprint::{Footprint, Need};
use crate::kind::Kind;
use crate::operation::OpError;
use crate::operation::draft::Draft;
use crate::operation::string::clamp;
use crate::payload::Score;

/// Which members of a sorted set. Bounds that no member can be within select none.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SortedSetRange {
    /// From one rank to another, both inclusive; negative ones count from the end.
    Ranks {
        /// First rank.
        start: i64,
        /// Last rank.
        stop: i64,
    },
    /// By score: `5` is [`Bound::Included`], `(5` is [`Bound::Excluded`], `-inf` and `+inf` may also be
    /// [`Bound::Unbounded`].
    Scores {
        /// The lower bound, whichever way the range is walked.
        min: Bound<Score>,
        /// The upper bound.
        max: Bound<Score>,
    },
    /// By name: `[a` is [`Bound::Included`], `(a` is [`Bound::Excluded`], `-` and `+` are
    /// [`Bound::Unbounded`]. Members are in order of their names whatever their scores.
    Names {
        /// The lower bound, whichever way the range is walked.
        min: Bound<Bytes>,
        /// The upper bound.
        max: Bound<Bytes>,
    },
}

/// `LIMIT`: which part of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RangeLimit {
    /// How many members to pass over; nothing is left where it is negative.
    pub offset: i64,
    /// How many at most; all where it is negative.
    pub count: i64,
}

impl RangeLimit {
    /// All of the range.
    pub const NONE: RangeLimit = RangeLimit { offset: 0, count: -1 };
}

impl SortedSetRange {
    pub(super) fn footprint(&self) -> Footprint {
        match self {
            SortedSetRange::Ranks { .. } => {
                Footprint::derived(Need::Counts).and(Footprint::derived(Need::ScoreOrder))
            }
            SortedSetRange::Scores { .. } => Footprint::derived(Need::ScoreOrder),
            SortedSetRange::Names { min, max } => {
                names(min, max).map_or_else(Footprint::root, Footprint::range)
            }
        }
    }

    /// The members within, in order; backward from the last one.
    pub(super) fn select<C: Cells>(
        &self,
        draft: &Draft<'_, '_, C>,
        direction: Direction,
        limit: RangeLimit,
    ) -> Result<Vec<(Bytes, Score)>, OpError> {
        let members = match self {
            SortedSetRange::Ranks { start, stop } => {
                // Only ranks from the end need to know where that is.
                let length = if *start < 0 || *stop < 0 {
                    usize::try_from(draft.count(Kind::Scored)?).unwrap_or(usize::MAX)
                } else {
                    usize::MAX
                };
                let ranks = clamp(length, *start, *stop);
                let all = draft.by_score((Bound::Unbounded, Bound::Unbounded), direction)?;
                part(all.skip(ranks.start).take(ranks.len()), limit)
            }
            SortedSetRange::Scores { min, max } => {
                part(draft.by_score((*min, *max), direction)?, limit)
            }
            SortedSetRange::Names { min, max } => {
                let Some(range) = names(min, max) else { return Ok(Vec::new()) };
                let cells = draft.scan(&range, direction);
                let members =
                    cells.filter_map(|(address, cell)| Some((cell.score()?, address.path.clone())));
                part(members, limit)
            }
        };
        Ok(members)
    }
}

fn part(members: impl Iterator<Item = (Score, Bytes)>, limit: RangeLimit) -> Vec<(Bytes, Score)> {
    let Ok(offset) = usize::try_from(limit.offset) else { return Vec::new() };
    let count = usize::try_from(limit.count).unwrap_or(usize::MAX);
    members.skip(offset).take(count).map(|(score, member)| (member, score)).collect()
}

/// The cells whose names are within bounds; `None` where no name can be.
fn names(min: &Bound<Bytes>, max: &Bound<Bytes>) -> Option<AddressRange> {
    let from = match min {
        Bound::Included(name) => name.clone(),
        Bound::Excluded(name) => path_after(name),
        Bound::Unbounded => Bytes::new(),
    };
    let to = match max {
        Bound::Included(name) => Some(path_after(name)),
        Bound::Excluded(name) => Some(name.clone()),
        Bound::Unbounded => None,
    };
    let some = to.as_ref().is_none_or(|to| from < *to);
    some.then_some(AddressRange { kind: Kind::Scored, from, to })
}
