//! Bounds of ranges as clients write them: `5`, `(5`, `-inf`; `[a`, `(a`, `-`, `+`.

use std::ops::Bound;

use bytes::Bytes;
use coterie_crdt::Score;
use coterie_crdt::operation::SortedSetRange;

use crate::arguments::CommandError;
use crate::commands::float::parse_lenient;

/// A range of scores.
///
/// # Errors
/// Where one of both is no number.
pub(super) fn scores(min: &[u8], max: &[u8]) -> Result<SortedSetRange, CommandError> {
    match (score(min), score(max)) {
        (Some(min), Some(max)) => Ok(SortedSetRange::Scores { min, max }),
        _ => Err(CommandError::Text("ERR min or max is not a float")),
    }
}

fn score(text: &[u8]) -> Option<Bound<Score>> {
    let (excluded, number) = match text {
        [b'(', number @ ..] => (true, number),
        number => (false, number),
    };
    let score = Score::new(parse_lenient(number)?)?;
    Some(if excluded { Bound::Excluded(score) } else { Bound::Included(score) })
}

/// A range of names.
///
/// # Errors
/// Where one of both is no bound.
pub(super) fn names(min: &Bytes, max: &Bytes) -> Result<SortedSetRange, CommandError> {
    let (Some(from), Some(to)) = (Name::parse(min), Name::parse(max)) else {
        return Err(CommandError::Text("ERR min or max not valid string range item"));
    };
    Ok(match (from.bound(Name::First), to.bound(Name::Last)) {
        (Some(min), Some(max)) => SortedSetRange::Names { min, max },
        // After the last, or before the first: no name is.
        _ => SortedSetRange::Names {
            min: Bound::Excluded(Bytes::new()),
            max: Bound::Excluded(Bytes::new()),
        },
    })
}

#[derive(PartialEq)]
enum Name {
    /// `-`
    First,
    /// `+`
    Last,
    At(Bound<Bytes>),
}

impl Name {
    fn parse(text: &Bytes) -> Option<Name> {
        match text.first()? {
            b'-' if text.len() == 1 => Some(Name::First),
            b'+' if text.len() == 1 => Some(Name::Last),
            b'[' => Some(Name::At(Bound::Included(text.slice(1..)))),
            b'(' => Some(Name::At(Bound::Excluded(text.slice(1..)))),
            _ => None,
        }
    }

    /// The bound, `unbounded` being the one that bounds nothing on this side; none where nothing is within.
    fn bound(self, unbounded: Name) -> Option<Bound<Bytes>> {
        match self {
            Name::At(bound) => Some(bound),
            open => (open == unbounded).then_some(Bound::Unbounded),
        }
    }
}
