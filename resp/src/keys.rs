//! Where the keys of a command are among its words.

use bytes::Bytes;

use crate::arguments::parse_integer;
use crate::table::{Access, Command, Place};

/// Calls `each` with the index of every key of a command, and what becomes of it. Words that do not fit the command are
/// passed over: the command itself refuses them.
pub fn each(command: &Command, words: &[Bytes], mut each: impl FnMut(usize, Access)) {
    for spec in command.keys {
        match spec.place {
            Place::Range { first, last, step } => {
                let last = if last < 0 {
                    words.len().checked_sub(last.unsigned_abs())
                } else {
                    Some(last.unsigned_abs())
                };
                let Some(last) = last.map(|last| last.min(words.len() - 1)) else { continue };
                (first..=last).step_by(step.max(1)).for_each(|index| each(index, spec.access));
            }
            Place::Count { at } => {
                let count = words.get(at).and_then(|word| parse_integer(word)).unwrap_or(0);
                let count = usize::try_from(count).unwrap_or(0);
                let end = at.saturating_add(1).saturating_add(count).min(words.len());
                (at + 1..end).for_each(|index| each(index, spec.access));
            }
            Place::Keyword { word, from } => {
                let rest = words.get(from..).unwrap_or_default();
                let at = rest.iter().position(|there| there.eq_ignore_ascii_case(word.as_bytes()));
                if let Some(at) = at.map(|at| from + at + 1).filter(|at| *at < words.len()) {
                    each(at, spec.access);
                }
            }
            Place::Function(find) => {
                let indices = find(words).into_iter().filter(|index| *index < words.len());
                indices.for_each(|index| each(index, spec.access));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::KeySpec;

    fn indices(spec: KeySpec, line: &str) -> Vec<usize> {
        let words: Vec<Bytes> =
            line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
        // Leaked once per case, in a test.
        let keys: &'static [KeySpec] = Box::leak(Box::new([spec]));
        let mut found = Vec::new();
        each(&Command { keys, ..Command::BASE }, &words, |index, _| found.push(index));
        found
    }

    #[test]
    fn keys_are_found_where_the_table_says() {
        let range = |first, last, step| KeySpec::range(first, last, step, Access::Read);
        assert_eq!(indices(range(1, 1, 1), "get a"), [1]);
        assert_eq!(indices(range(1, -1, 2), "mset a 1 b 2"), [1, 3]);
        assert_eq!(indices(range(1, -1, 1), "del a b"), [1, 2]);
        assert_eq!(indices(range(1, 2, 1), "copy a"), [1]);
        let count = KeySpec::count(1, Access::Read);
        assert_eq!(indices(count, "zunion 2 a b weights"), [2, 3]);
        assert_eq!(indices(count, "zunion 9223372036854775807 a b"), [2, 3]);
        assert_eq!(indices(count, "zunion x a b"), Vec::<usize>::new());
        let place = Place::Keyword { word: "STORE", from: 2 };
        let keyword = KeySpec { place, access: Access::Overwrite };
        assert_eq!(indices(keyword, "sort a desc store b"), [4]);
        assert_eq!(indices(keyword, "sort a store"), Vec::<usize>::new());
    }
}
