//! Algebra of sorted sets, and plain ones, under several keys.

use coterie_crdt::Score;
use coterie_crdt::operation::algebra::Aggregate;
use coterie_protocol::gather::{Algebra, Command as Gather};
use coterie_wire::Key;

use crate::arguments::{Arguments, CommandError};
use crate::commands::float::parse_strict;
use crate::commands::several::{counted_keys, limit};
use crate::commands::shape;
use crate::plan::{Plan, Shape};

pub(super) fn union(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    read(arguments, "zunion", Algebra::Union)
}

pub(super) fn intersection(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    read(arguments, "zinter", Algebra::Intersection)
}

pub(super) fn difference(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    read(arguments, "zdiff", Algebra::Difference)
}

pub(super) fn union_store(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    store(arguments, "zunionstore", Algebra::Union)
}

pub(super) fn intersection_store(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    store(arguments, "zinterstore", Algebra::Intersection)
}

pub(super) fn difference_store(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    store(arguments, "zdiffstore", Algebra::Difference)
}

pub(super) fn intersection_count(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (keys, after) = inputs(arguments, "zintercard", 1)?;
    let verb = Algebra::IntersectionCount(limit(arguments, after)?);
    Ok(plan(unweighted(keys), verb, Aggregate::Sum, None, shape::integer))
}

fn read(arguments: &Arguments<'_>, name: &str, verb: Algebra) -> Result<Plan, CommandError> {
    let (keys, after) = inputs(arguments, name, 1)?;
    let options = Options::parse(arguments, after, keys, verb, WithScores::Option)?;
    let shape = if options.with_scores { shape::scored } else { shape::scored_names };
    Ok(plan(options.keys, verb, options.aggregate, None, shape))
}

fn store(arguments: &Arguments<'_>, name: &str, verb: Algebra) -> Result<Plan, CommandError> {
    let (keys, after) = inputs(arguments, name, 2)?;
    let options = Options::parse(arguments, after, keys, verb, WithScores::Refused)?;
    let into = Some(arguments.key(1));
    Ok(plan(options.keys, verb, options.aggregate, into, shape::integer))
}

/// The keys that the word at `at` counts, and where the options begin.
fn inputs(
    arguments: &Arguments<'_>,
    name: &str,
    at: usize,
) -> Result<(Vec<Key>, usize), CommandError> {
    if arguments.integer(at)? < 1 {
        let text = format!("ERR at least 1 input key is needed for '{name}' command");
        return Err(CommandError::Owned(text));
    }
    counted_keys(arguments, at).map_err(|_too_many| CommandError::SYNTAX)
}

/// Whether `WITHSCORES` is an option.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WithScores {
    Option,
    Refused,
}

struct Options {
    keys: Vec<(Key, Score)>,
    aggregate: Aggregate,
    with_scores: bool,
}

impl Options {
    fn parse(
        arguments: &Arguments<'_>,
        from: usize,
        keys: Vec<Key>,
        verb: Algebra,
        scores: WithScores,
    ) -> Result<Options, CommandError> {
        let weighs = verb != Algebra::Difference;
        let mut options =
            Options { keys: unweighted(keys), aggregate: Aggregate::Sum, with_scores: false };
        let mut at = from;
        while at < arguments.count() {
            let left = arguments.count() - at;
            if weighs && left > options.keys.len() && arguments.is(at, "WEIGHTS") {
                for (_, weight) in &mut options.keys {
                    at += 1;
                    *weight = parse_strict(arguments.word(at))
                        .and_then(Score::new)
                        .ok_or(CommandError::Text("ERR weight value is not a float"))?;
                }
            } else if weighs && left >= 2 && arguments.is(at, "AGGREGATE") {
                at += 1;
                options.aggregate = aggregate(arguments, at)?;
            } else if scores == WithScores::Option && arguments.is(at, "WITHSCORES") {
                options.with_scores = true;
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        Ok(options)
    }
}

fn aggregate(arguments: &Arguments<'_>, at: usize) -> Result<Aggregate, CommandError> {
    let words = [("SUM", Aggregate::Sum), ("MIN", Aggregate::Min), ("MAX", Aggregate::Max)];
    let word = words.into_iter().find(|(word, _)| arguments.is(at, word));
    word.map(|(_, aggregate)| aggregate).ok_or(CommandError::SYNTAX)
}

fn unweighted(keys: Vec<Key>) -> Vec<(Key, Score)> {
    let one = Score::new(1.0).expect("a number");
    keys.into_iter().map(|key| (key, one)).collect()
}

fn plan(
    keys: Vec<(Key, Score)>,
    verb: Algebra,
    aggregate: Aggregate,
    into: Option<Key>,
    shape: Shape,
) -> Plan {
    let command = Gather::SortedSets { keys, verb, aggregate, into };
    Plan::gather_with(command, move |done, encoder| shape::answer(done, encoder, shape))
}
