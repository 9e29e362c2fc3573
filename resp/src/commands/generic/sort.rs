//! `SORT`.

use bytes::Bytes;
use coterie_crdt::Direction;
use coterie_crdt::operation::RangeLimit;
use coterie_protocol::gather::{Command as Gather, Sort, SortBy};

use crate::arguments::{Arguments, CommandError};
use crate::commands::shape;
use crate::plan::Plan;

pub(super) fn sort(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, parse(arguments, Store::Option)?)
}

pub(super) fn sort_only(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, parse(arguments, Store::Refused)?)
}

fn plan(_arguments: &Arguments<'_>, sort: Sort) -> Result<Plan, CommandError> {
    let shape = if sort.into.is_some() { shape::integer } else { shape::values };
    let command = Gather::Sort(sort);
    Ok(Plan::gather_with(command, move |done, encoder| shape::answer(done, encoder, shape)))
}

/// Whether `STORE` is an option.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Store {
    Option,
    Refused,
}

fn parse(arguments: &Arguments<'_>, store: Store) -> Result<Sort, CommandError> {
    let mut sort = Sort {
        key: arguments.key(1),
        by: SortBy::Number,
        direction: Direction::Forward,
        limit: RangeLimit::NONE,
        repeated: 0,
        into: None,
    };
    let (mut alpha, mut constant) = (false, false);
    let mut at = 2;
    while at < arguments.count() {
        let left = arguments.count() - at - 1;
        if arguments.is(at, "ASC") {
            sort.direction = Direction::Forward;
        } else if arguments.is(at, "DESC") {
            sort.direction = Direction::Backward;
        } else if arguments.is(at, "ALPHA") {
            alpha = true;
        } else if arguments.is(at, "LIMIT") && left >= 2 {
            let (offset, count) = (arguments.integer(at + 1)?, arguments.integer(at + 2)?);
            sort.limit = RangeLimit { offset, count };
            at += 2;
        } else if store == Store::Option && arguments.is(at, "STORE") && left >= 1 {
            sort.into = Some(arguments.key(at + 1));
            at += 1;
        } else if arguments.is(at, "BY") && left >= 1 {
            // A pattern without an asterisk names no key for each element: then nothing is sorted.
            if arguments.word(at + 1).contains(&b'*') {
                return Err(CommandError::Text("ERR BY option of SORT denied in cluster mode."));
            }
            constant = true;
            at += 1;
        } else if arguments.is(at, "GET") && left >= 1 {
            if arguments.word(at + 1) != "#" {
                return Err(CommandError::Text("ERR GET option of SORT denied in cluster mode."));
            }
            sort.repeated += 1;
            at += 1;
        } else {
            return Err(CommandError::SYNTAX);
        }
        at += 1;
    }
    sort.repeated = sort.repeated.max(1);
    sort.by = match (constant, alpha) {
        (true, _) => SortBy::Nothing,
        (false, true) => SortBy::Bytes,
        (false, false) => SortBy::Number,
    };
    Ok(sort)
}

/// Where the key is that `STORE` names. The last one counts, as it does for what is done.
pub(super) fn stored_at(words: &[Bytes]) -> Vec<usize> {
    let mut found = None;
    let mut at = 2;
    while at < words.len() {
        let is = |word: &str| words[at].eq_ignore_ascii_case(word.as_bytes());
        if is("LIMIT") {
            at += 2;
        } else if is("BY") || is("GET") {
            at += 1;
        } else if is("STORE") && at + 1 < words.len() {
            found = Some(at + 1);
            at += 1;
        }
        at += 1;
    }
    found.into_iter().collect()
}
