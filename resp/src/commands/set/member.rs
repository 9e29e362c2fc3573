//! The members of one set.

use coterie_crdt::operation::{Operation, Reply, SetOperation, SetVerb};
use coterie_protocol::gather::Command as Gather;

use crate::arguments::{Arguments, CommandError};
use crate::commands::random::Random;
use crate::commands::scan::Scan;
use crate::commands::shape;
use crate::plan::{Element, Plan, Shape};

pub(super) fn add(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, SetVerb::Add(arguments.from(2).to_vec()), shape::integer)
}

pub(super) fn remove(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, SetVerb::Remove(arguments.from(2).to_vec()), shape::integer)
}

pub(super) fn contains(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, SetVerb::Contains(vec![arguments.bytes(2)]), shape::only_integer)
}

pub(super) fn contains_many(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, SetVerb::Contains(arguments.from(2).to_vec()), shape::integers)
}

pub(super) fn count(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, SetVerb::Count, shape::integer)
}

pub(super) fn members(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, SetVerb::Members, shape::members)
}

pub(super) fn pop(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    if arguments.count() == 2 {
        return plan(arguments, SetVerb::Pop(1), shape::only_value);
    }
    if arguments.count() > 3 {
        return Err(CommandError::SYNTAX);
    }
    let count = arguments.integer_as(2).ok_or(CommandError::NOT_POSITIVE)?;
    plan(arguments, SetVerb::Pop(count), shape::members)
}

pub(super) fn random(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    if arguments.count() > 3 {
        return Err(CommandError::SYNTAX);
    }
    match Random::parse(arguments, "")? {
        Random::One => plan(arguments, SetVerb::Random(1), shape::only_value),
        Random::Distinct(count, _) => plan(arguments, SetVerb::Random(count), shape::values),
        Random::Repeated(count, _) => {
            plan(arguments, SetVerb::RandomRepeated(count), shape::values)
        }
    }
}

pub(super) fn transfer(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (from, to, member) = (arguments.key(1), arguments.key(2), arguments.bytes(3));
    let command = Gather::MoveMember { from, to, member };
    Ok(Plan::gather(command, |done, encoder| shape::answer(done, encoder, shape::integer)))
}

pub(super) fn scan(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let page = |after, count| Operation::Set(SetOperation::new(SetVerb::Scan { after, count }));
    Scan::of(page, elements).plan(arguments)
}

fn elements(reply: &Reply) -> Vec<Element> {
    match reply {
        Reply::Values(members) => {
            members.iter().flatten().map(|member| (member.clone(), None)).collect()
        }
        _ => Vec::new(),
    }
}

fn plan(arguments: &Arguments<'_>, verb: SetVerb, shape: Shape) -> Result<Plan, CommandError> {
    Ok(Plan::key(arguments.key(1), Operation::Set(SetOperation::new(verb)), shape))
}
