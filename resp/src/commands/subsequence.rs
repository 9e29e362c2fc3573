//! `LCS`: the longest common subsequence of two values, and where it is.

use crate::arguments::{Arguments, CommandError};
use crate::encoder::Encoder;

/// How many pairs of bytes are compared at most: a table of them is kept for the time, on a thread that serves others.
const COMPARED_MAX: usize = 1 << 22;

/// What of it is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    length: bool,
    index: bool,
    match_length_min: i64,
    with_match_length: bool,
}

impl Options {
    /// The options from the word at `from` on.
    ///
    /// # Errors
    /// Redis's.
    pub(super) fn parse(arguments: &Arguments<'_>, from: usize) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let mut at = from;
        while at < arguments.count() {
            if arguments.is(at, "IDX") {
                options.index = true;
            } else if arguments.is(at, "LEN") {
                options.length = true;
            } else if arguments.is(at, "WITHMATCHLEN") {
                options.with_match_length = true;
            } else if arguments.is(at, "MINMATCHLEN") && at + 1 < arguments.count() {
                options.match_length_min = arguments.integer(at + 1)?.max(0);
                at += 1;
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        if options.length && options.index {
            return Err(CommandError::Text(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(options)
    }
}

/// A part that both values have, at different places: first and last index in each.
struct Match {
    a: (usize, usize),
    b: (usize, usize),
}

/// Writes what `options` ask for.
pub(super) fn write(a: &[u8], b: &[u8], options: &Options, encoder: &mut Encoder<'_>) {
    let width = b.len() + 1;
    let cells = width.checked_mul(a.len() + 1).filter(|cells| *cells <= COMPARED_MAX);
    let Some(cells) = cells else {
        return encoder.error("ERR the values are too long to be compared byte by byte");
    };
    // lengths[i, j]: of the longest common subsequence of the first i and j bytes.
    let mut lengths = vec![0_u32; cells];
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            lengths[i * width + j] = if a[i - 1] == b[j - 1] {
                lengths[(i - 1) * width + j - 1] + 1
            } else {
                lengths[(i - 1) * width + j].max(lengths[i * width + j - 1])
            };
        }
    }
    let length = lengths[cells - 1];
    if options.length {
        return encoder.integer(i64::from(length));
    }
    let (common, matches) = walk_back(a, b, &lengths, width);
    if !options.index {
        return encoder.bulk(&common);
    }
    let length_of = |found: &Match| found.a.1 - found.a.0 + 1;
    let long = |found: &&Match| {
        i64::try_from(length_of(found)).unwrap_or(i64::MAX) >= options.match_length_min
    };
    let matches: Vec<&Match> = matches.iter().filter(long).collect();
    encoder.map(2);
    encoder.bulk(b"matches");
    encoder.array(matches.len());
    for found in matches {
        encoder.array(if options.with_match_length { 3 } else { 2 });
        for (first, last) in [found.a, found.b] {
            encoder.array(2);
            encoder.count(first);
            encoder.count(last);
        }
        if options.with_match_length {
            encoder.count(length_of(found));
        }
    }
    encoder.bulk(b"len");
    encoder.integer(i64::from(length));
}

/// The subsequence itself, and the parts that it is made of, last first.
fn walk_back(a: &[u8], b: &[u8], lengths: &[u32], width: usize) -> (Vec<u8>, Vec<Match>) {
    let (mut i, mut j) = (a.len(), b.len());
    let mut common = Vec::new();
    let mut matches: Vec<Match> = Vec::new();
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            common.push(a[i - 1]);
            match matches.last_mut() {
                Some(last) if last.a.0 == i && last.b.0 == j => {
                    last.a.0 = i - 1;
                    last.b.0 = j - 1;
                }
                Some(_) | None => matches.push(Match { a: (i - 1, i - 1), b: (j - 1, j - 1) }),
            }
            i -= 1;
            j -= 1;
        } else if lengths[(i - 1) * width + j] > lengths[i * width + j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    common.reverse();
    (common, matches)
}
