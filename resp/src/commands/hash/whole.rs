//! All fields of a hash, or any.

use bytes::Bytes;
use coterie_crdt::operation::{HashOperation, Operation, Reply};

use super::plan;
use crate::arguments::{Arguments, CommandError};
use crate::commands::random::Random;
use crate::commands::scan::Scan;
use crate::commands::shape;
use crate::encoder::Encoder;
use crate::plan::{Element, Plan, Shape};

pub(super) fn count(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, HashOperation::Count, shape::integer)
}

pub(super) fn all(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, HashOperation::All, |reply, encoder| match reply {
        Reply::Pairs(pairs) => {
            encoder.map(pairs.len());
            for (field, value) in pairs {
                encoder.bulk(field);
                encoder.bulk(value);
            }
        }
        _ => shape::unexpected(encoder),
    })
}

pub(super) fn fields(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, HashOperation::Fields, shape::values)
}

pub(super) fn values(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, HashOperation::Values, shape::values)
}

pub(super) fn random(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (operation, shape): (_, Shape) = match Random::parse(arguments, "WITHVALUES")? {
        Random::One => (HashOperation::Random(1), |reply, encoder| match reply {
            Reply::Pairs(pairs) => {
                encoder.bulk_or_null(pairs.first().map(|(field, _)| &**field));
            }
            _ => shape::unexpected(encoder),
        }),
        Random::Distinct(count, beside) => {
            (HashOperation::Random(count), if beside { with_values } else { without_values })
        }
        Random::Repeated(count, beside) => (
            HashOperation::RandomRepeated(count),
            if beside { with_values } else { without_values },
        ),
    };
    plan(arguments, operation, shape)
}

fn with_values(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Pairs(pairs) => {
            shape::pairs(encoder, pairs, |encoder, value: &Bytes| encoder.bulk(value));
        }
        _ => shape::unexpected(encoder),
    }
}

fn without_values(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Pairs(pairs) => {
            encoder.bulks(pairs.iter().map(|(field, _)| field));
        }
        _ => shape::unexpected(encoder),
    }
}

pub(super) fn scan(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let page = |after, count| Operation::Hash(HashOperation::Scan { after, count });
    Scan::of(page, pairs_of).or_names(fields_of).plan(arguments)
}

fn pairs_of(reply: &Reply) -> Vec<Element> {
    match reply {
        Reply::Pairs(pairs) => {
            pairs.iter().map(|(field, value)| (field.clone(), Some(value.clone()))).collect()
        }
        _ => Vec::new(),
    }
}

fn fields_of(reply: &Reply) -> Vec<Element> {
    pairs_of(reply).into_iter().map(|(field, _)| (field, None)).collect()
}
