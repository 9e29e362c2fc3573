//! Algebra of sets under several keys.

use bytes::Bytes;
use coterie_protocol::gather::{Algebra, Command as Gather};
use coterie_wire::Key;

use crate::arguments::{Arguments, CommandError};
use crate::commands::several::{counted_keys, limit};
use crate::commands::shape;
use crate::plan::{Plan, Shape};

pub(super) fn union(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    Ok(read(arguments, Algebra::Union))
}

pub(super) fn intersection(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    Ok(read(arguments, Algebra::Intersection))
}

pub(super) fn difference(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    Ok(read(arguments, Algebra::Difference))
}

pub(super) fn union_store(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    Ok(store(arguments, Algebra::Union))
}

pub(super) fn intersection_store(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    Ok(store(arguments, Algebra::Intersection))
}

pub(super) fn difference_store(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    Ok(store(arguments, Algebra::Difference))
}

pub(super) fn intersection_count(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (keys, after) = counted_keys(arguments, 1)?;
    let limit = limit(arguments, after)?;
    Ok(plan(keys, Algebra::IntersectionCount(limit), None, shape::integer))
}

fn read(arguments: &Arguments<'_>, verb: Algebra) -> Plan {
    plan(keys(arguments, arguments.from(1)), verb, None, shape::members)
}

fn store(arguments: &Arguments<'_>, verb: Algebra) -> Plan {
    plan(keys(arguments, arguments.from(2)), verb, Some(arguments.key(1)), shape::integer)
}

fn keys(arguments: &Arguments<'_>, words: &[Bytes]) -> Vec<Key> {
    words.iter().map(|word| arguments.key_of(word)).collect()
}

fn plan(keys: Vec<Key>, verb: Algebra, into: Option<Key>, shape: Shape) -> Plan {
    Plan::gather_with(Gather::Sets { keys, verb, into }, move |done, encoder| {
        shape::answer(done, encoder, shape);
    })
}
