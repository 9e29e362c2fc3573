//! Keys that are counted before they are named: `SINTERCARD 2 a b`.

use coterie_wire::Key;

use crate::arguments::{Arguments, CommandError};

/// The keys that the number at `at` counts, and where what comes after them is.
///
/// # Errors
/// Redis's.
pub(super) fn counted_keys(
    arguments: &Arguments<'_>,
    at: usize,
) -> Result<(Vec<Key>, usize), CommandError> {
    let count = count(arguments, at)?;
    let words = arguments.from(at + 1);
    if count > words.len() {
        return Err(CommandError::Text("ERR Number of keys can't be greater than number of args"));
    }
    let keys = words[..count].iter().map(|word| arguments.key_of(word)).collect();
    Ok((keys, at + 1 + count))
}

/// As [`counted_keys`], where Redis finds a syntax error in keys that are not followed by another word.
///
/// # Errors
/// Redis's.
pub(super) fn counted_keys_and_more(
    arguments: &Arguments<'_>,
    at: usize,
) -> Result<(Vec<Key>, usize), CommandError> {
    let count = count(arguments, at)?;
    let words = arguments.from(at + 1);
    if count >= words.len() {
        return Err(CommandError::SYNTAX);
    }
    let keys = words[..count].iter().map(|word| arguments.key_of(word)).collect();
    Ok((keys, at + 1 + count))
}

fn count(arguments: &Arguments<'_>, at: usize) -> Result<usize, CommandError> {
    let count = arguments.integer_as::<usize>(at).filter(|count| *count > 0);
    count.ok_or(CommandError::Text("ERR numkeys should be greater than 0"))
}

/// What `LIMIT` says among the words from `from` on, of which there are no others; 0 where it is not there.
///
/// # Errors
/// Redis's.
pub(super) fn limit(arguments: &Arguments<'_>, from: usize) -> Result<usize, CommandError> {
    let mut limit = 0;
    let mut at = from;
    while at < arguments.count() {
        if !arguments.is(at, "LIMIT") || at + 1 >= arguments.count() {
            return Err(CommandError::SYNTAX);
        }
        let said = arguments.integer_as(at + 1);
        limit = said.ok_or(CommandError::Text("ERR LIMIT can't be negative"))?;
        at += 2;
    }
    Ok(limit)
}

/// What `COUNT` says among the words from `from` on, of which there are no others; 1 where it is not there.
///
/// # Errors
/// Redis's.
pub(super) fn pop_count(arguments: &Arguments<'_>, from: usize) -> Result<u64, CommandError> {
    let mut said = None;
    let mut at = from;
    while at < arguments.count() {
        if said.is_some() || !arguments.is(at, "COUNT") || at + 1 >= arguments.count() {
            return Err(CommandError::SYNTAX);
        }
        let count = arguments.integer_as::<u64>(at + 1).filter(|count| *count > 0);
        said = Some(count.ok_or(CommandError::Text("ERR count should be greater than 0"))?);
        at += 2;
    }
    Ok(said.unwrap_or(1))
}
