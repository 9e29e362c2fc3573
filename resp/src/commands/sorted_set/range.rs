//! Ranges of a sorted set: read, counted, removed, stored.

use coterie_crdt::Direction;
use coterie_crdt::operation::{RangeLimit, SortedSetOperation, SortedSetRange};
use coterie_protocol::gather::Command as Gather;

use super::{bounds, plan};
use crate::arguments::{Arguments, CommandError};
use crate::commands::shape;
use crate::plan::Plan;

/// What bounds are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Name,
}

/// What a command of the family takes: the words from `bounds` on are the bounds and the options.
struct Form {
    bounds: usize,
    /// What the bounds are; `None` where options say so.
    by: Option<By>,
    /// From which end; `None` where an option says so.
    direction: Option<Direction>,
    /// Whether `WITHSCORES` is an option.
    scores: bool,
}

/// A range as it was asked for.
struct Asked {
    operation: SortedSetOperation,
    with_scores: bool,
}

impl Form {
    fn parse(&self, arguments: &Arguments<'_>) -> Result<Asked, CommandError> {
        let (mut by, mut direction, mut with_scores) = (self.by, self.direction, false);
        let mut limit = RangeLimit::NONE;
        let mut at = self.bounds + 2;
        while at < arguments.count() {
            if self.scores && arguments.is(at, "WITHSCORES") {
                with_scores = true;
            } else if arguments.is(at, "LIMIT") && at + 2 < arguments.count() {
                let (offset, count) = (arguments.integer(at + 1)?, arguments.integer(at + 2)?);
                limit = RangeLimit { offset, count };
                at += 2;
            } else if direction.is_none() && arguments.is(at, "REV") {
                direction = Some(Direction::Backward);
            } else if by.is_none() && arguments.is(at, "BYLEX") {
                by = Some(By::Name);
            } else if by.is_none() && arguments.is(at, "BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        let (by, direction) = (by.unwrap_or(By::Rank), direction.unwrap_or(Direction::Forward));
        if by == By::Rank && limit.count != -1 {
            return Err(CommandError::Text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if by == By::Name && with_scores {
            return Err(CommandError::Text(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        if by == By::Rank {
            limit = RangeLimit::NONE;
        }
        let range = range_of(arguments, self.bounds, by, direction)?;
        let operation = SortedSetOperation::Range { range, direction, limit };
        Ok(Asked { operation, with_scores })
    }

    fn plan(&self, arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
        let asked = self.parse(arguments)?;
        let shape = if asked.with_scores { shape::scored } else { shape::scored_names };
        plan(arguments, asked.operation, shape)
    }
}

/// The range between the words at `at` and after it; the upper bound comes first where it is walked backwards.
fn range_of(
    arguments: &Arguments<'_>,
    at: usize,
    by: By,
    direction: Direction,
) -> Result<SortedSetRange, CommandError> {
    let (min, max) = match direction {
        Direction::Forward => (at, at + 1),
        Direction::Backward => (at + 1, at),
    };
    match by {
        By::Rank => {
            let (start, stop) = (arguments.integer(at)?, arguments.integer(at + 1)?);
            Ok(SortedSetRange::Ranks { start, stop })
        }
        By::Score => bounds::scores(arguments.word(min), arguments.word(max)),
        By::Name => bounds::names(arguments.word(min), arguments.word(max)),
    }
}

pub(super) fn range(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    Form { bounds: 2, by: None, direction: None, scores: true }.plan(arguments)
}

pub(super) fn reversed(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    old(By::Rank, Direction::Backward, arguments)
}

pub(super) fn by_score(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    old(By::Score, Direction::Forward, arguments)
}

pub(super) fn by_score_reversed(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    old(By::Score, Direction::Backward, arguments)
}

pub(super) fn by_name(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    old(By::Name, Direction::Forward, arguments)
}

pub(super) fn by_name_reversed(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    old(By::Name, Direction::Backward, arguments)
}

/// One of the commands from before `ZRANGE` took options.
fn old(by: By, direction: Direction, arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    Form { bounds: 2, by: Some(by), direction: Some(direction), scores: true }.plan(arguments)
}

pub(super) fn store(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let form = Form { bounds: 3, by: None, direction: None, scores: false };
    let range = form.parse(arguments)?.operation;
    let (into, from) = (arguments.key(1), arguments.key(2));
    let command = Gather::StoreRange { from, range, into };
    Ok(Plan::gather(command, |done, encoder| shape::answer(done, encoder, shape::integer)))
}

pub(super) fn count_by_score(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    count(By::Score, arguments)
}

pub(super) fn count_by_name(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    count(By::Name, arguments)
}

fn count(by: By, arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let range = range_of(arguments, 2, by, Direction::Forward)?;
    plan(arguments, SortedSetOperation::CountRange(range), shape::integer)
}

pub(super) fn remove_by_rank(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    remove(By::Rank, arguments)
}

pub(super) fn remove_by_score(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    remove(By::Score, arguments)
}

pub(super) fn remove_by_name(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    remove(By::Name, arguments)
}

fn remove(by: By, arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let range = range_of(arguments, 2, by, Direction::Forward)?;
    plan(arguments, SortedSetOperation::RemoveRange(range), shape::integer)
}
