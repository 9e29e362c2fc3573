//! The members of one sorted set.

use coterie_crdt::operation::{AddCondition, Operation, Reply, SortedSetOperation};
use coterie_crdt::{Direction, Score};

use super::plan;
use crate::arguments::{Arguments, CommandError};
use crate::commands::float::parse_strict;
use crate::commands::random::Random;
use crate::commands::scan::Scan;
use crate::commands::shape;
use crate::encoder::{Encoder, double_text};
use crate::plan::{Element, Plan};

/// The options of `ZADD`.
#[derive(Default)]
struct AddOptions {
    if_absent: bool,
    if_present: bool,
    if_greater: bool,
    if_less: bool,
    count_changed: bool,
    increment: bool,
}

impl AddOptions {
    /// Takes in the option at `index`, if it is one.
    fn take(&mut self, arguments: &Arguments<'_>, index: usize) -> bool {
        let options = [
            ("NX", &mut self.if_absent),
            ("XX", &mut self.if_present),
            ("GT", &mut self.if_greater),
            ("LT", &mut self.if_less),
            ("CH", &mut self.count_changed),
            ("INCR", &mut self.increment),
        ];
        let option = options.into_iter().find(|(word, _)| arguments.is(index, word));
        option.map(|(_, said)| *said = true).is_some()
    }

    fn condition(&self) -> Result<AddCondition, CommandError> {
        if self.if_absent && self.if_present {
            return Err(CommandError::Text(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        match (self.if_absent, self.if_greater, self.if_less, self.if_present) {
            (true, false, false, _) => Ok(AddCondition::IfAbsent),
            (false, true, false, false) => Ok(AddCondition::IfGreater),
            (false, true, false, true) => Ok(AddCondition::IfPresentAndGreater),
            (false, false, true, false) => Ok(AddCondition::IfLess),
            (false, false, true, true) => Ok(AddCondition::IfPresentAndLess),
            (false, false, false, true) => Ok(AddCondition::IfPresent),
            (false, false, false, false) => Ok(AddCondition::Always),
            _ => Err(CommandError::Text(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            )),
        }
    }
}

pub(super) fn add(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let mut options = AddOptions::default();
    let mut at = 2;
    while at < arguments.count() && options.take(arguments, at) {
        at += 1;
    }
    let words = arguments.from(at);
    if words.is_empty() || !words.len().is_multiple_of(2) {
        return Err(CommandError::SYNTAX);
    }
    let condition = options.condition()?;
    if options.increment && words.len() > 2 {
        return Err(CommandError::Text("ERR INCR option supports a single increment-element pair"));
    }
    let member = |pair: &[bytes::Bytes]| Ok((pair[1].clone(), score_of(&pair[0])?));
    let mut members =
        words.chunks_exact(2).map(member).collect::<Result<Vec<_>, CommandError>>()?;
    if options.increment {
        let (member, by) = members.remove(0);
        let operation = SortedSetOperation::Increment { member, by, condition };
        return plan(arguments, operation, shape::score);
    }
    let count_changed = options.count_changed;
    let operation = SortedSetOperation::Add { members, condition, count_changed };
    plan(arguments, operation, shape::integer)
}

fn score_of(text: &[u8]) -> Result<Score, CommandError> {
    parse_strict(text).and_then(Score::new).ok_or(CommandError::NOT_FLOAT)
}

pub(super) fn increment(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let by = score_of(arguments.word(2))?;
    let (member, condition) = (arguments.bytes(3), AddCondition::Always);
    plan(arguments, SortedSetOperation::Increment { member, by, condition }, shape::score)
}

pub(super) fn remove(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, SortedSetOperation::Remove(arguments.from(2).to_vec()), shape::integer)
}

pub(super) fn score(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let operation = SortedSetOperation::Scores(vec![arguments.bytes(2)]);
    plan(arguments, operation, |reply, encoder| match reply {
        Reply::Scores(scores) => write_score(encoder, scores.first().copied().flatten()),
        _ => shape::unexpected(encoder),
    })
}

pub(super) fn scores(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let operation = SortedSetOperation::Scores(arguments.from(2).to_vec());
    plan(arguments, operation, |reply, encoder| match reply {
        Reply::Scores(scores) => {
            encoder.array(scores.len());
            scores.iter().for_each(|score| write_score(encoder, *score));
        }
        _ => shape::unexpected(encoder),
    })
}

fn write_score(encoder: &mut Encoder<'_>, score: Option<Score>) {
    match score {
        Some(score) => encoder.double(score.get()),
        None => encoder.null(),
    }
}

pub(super) fn count(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, SortedSetOperation::Count, shape::integer)
}

pub(super) fn rank(arguments: &Arguments<'_>, direction: Direction) -> Result<Plan, CommandError> {
    let with_score = arguments.is(3, "WITHSCORE");
    if arguments.count() > 4 {
        return Err(CommandError::arity(match direction {
            Direction::Forward => "zrank",
            Direction::Backward => "zrevrank",
        }));
    }
    if arguments.count() == 4 && !with_score {
        return Err(CommandError::SYNTAX);
    }
    let operation = SortedSetOperation::Rank { member: arguments.bytes(2), direction };
    if with_score {
        return plan(arguments, operation, |reply, encoder| match reply {
            Reply::Ranked(rank, score) => {
                encoder.array(2);
                encoder.integer(*rank);
                encoder.double(score.get());
            }
            Reply::Nothing => encoder.null_array(),
            _ => shape::unexpected(encoder),
        });
    }
    plan(arguments, operation, |reply, encoder| match reply {
        Reply::Ranked(rank, _) => encoder.integer(*rank),
        Reply::Nothing => encoder.null(),
        _ => shape::unexpected(encoder),
    })
}

pub(super) fn random(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let shape = |with| if with { shape::scored } else { shape::scored_names };
    match Random::parse(arguments, "WITHSCORES")? {
        Random::One => {
            plan(arguments, SortedSetOperation::Random(1), |reply, encoder| match reply {
                Reply::Scored(members) => {
                    encoder.bulk_or_null(members.first().map(|(member, _)| &**member));
                }
                _ => shape::unexpected(encoder),
            })
        }
        Random::Distinct(count, with) => {
            plan(arguments, SortedSetOperation::Random(count), shape(with))
        }
        Random::Repeated(count, with) => {
            plan(arguments, SortedSetOperation::RandomRepeated(count), shape(with))
        }
    }
}

pub(super) fn scan(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let page = |after, count| Operation::SortedSet(SortedSetOperation::Scan { after, count });
    Scan::of(page, elements).plan(arguments)
}

fn elements(reply: &Reply) -> Vec<Element> {
    let Reply::Scored(members) = reply else { return Vec::new() };
    let text = |score: Score| double_text(score.get()).into();
    members.iter().map(|(member, score)| (member.clone(), Some(text(*score)))).collect()
}
