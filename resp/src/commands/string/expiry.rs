//! When keys expire, as clients say it.

use coterie_crdt::operation::Expire;

use crate::arguments::{Arguments, CommandError};

/// What a number says of an expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Seconds from now.
    Seconds,
    /// Milliseconds from now.
    Millis,
    /// Seconds since 1970.
    SecondsAt,
    /// Milliseconds since 1970.
    MillisAt,
}

impl Unit {
    /// What a number says, in milliseconds since 1970; none where that is later than there are numbers for.
    pub(crate) fn at(self, number: i64, wall_millis: u64) -> Option<i64> {
        let now = i64::try_from(wall_millis).unwrap_or(i64::MAX);
        match self {
            Unit::Seconds => number.checked_mul(1_000)?.checked_add(now),
            Unit::Millis => number.checked_add(now),
            Unit::SecondsAt => number.checked_mul(1_000),
            Unit::MillisAt => Some(number),
        }
    }

    /// The time that the word at `index` says, in milliseconds since 1970. `command` is named in the error.
    ///
    /// # Errors
    /// Where it is no integer, or not after 1970, or later than there are numbers for.
    pub(crate) fn deadline(
        self,
        arguments: &Arguments<'_>,
        index: usize,
        command: &str,
    ) -> Result<u64, CommandError> {
        let number = arguments.integer(index)?;
        let at = self.at(number, arguments.wall_millis()).filter(|_| number > 0);
        at.and_then(|at| u64::try_from(at).ok()).ok_or_else(|| invalid(command))
    }
}

/// What Redis says of a time that no key can expire at.
pub(crate) fn invalid(command: &str) -> CommandError {
    CommandError::Owned(format!("ERR invalid expire time in '{command}' command"))
}

/// What `SET` and `GETEX` say of a key's expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Nothing.
    #[default]
    Unsaid,
    /// `KEEPTTL`
    Keep,
    /// `PERSIST`
    Persist,
    /// `EX`, `PX`, `EXAT`, `PXAT`, with where the number is.
    Until(Unit, usize),
}

impl Lifetime {
    /// Takes in the option at `index`; how many words it took, none where it is no such option or does not fit
    /// what was said before. The same option may be said twice: the last counts.
    pub(crate) fn option(&mut self, arguments: &Arguments<'_>, index: usize) -> usize {
        let units = [
            ("EX", Unit::Seconds),
            ("PX", Unit::Millis),
            ("EXAT", Unit::SecondsAt),
            ("PXAT", Unit::MillisAt),
        ];
        let unit =
            units.into_iter().find(|(word, _)| arguments.is(index, word)).map(|(_, unit)| unit);
        let (said, words) = if arguments.is(index, "KEEPTTL") {
            (Lifetime::Keep, 1)
        } else if arguments.is(index, "PERSIST") {
            (Lifetime::Persist, 1)
        } else {
            match unit {
                Some(unit) if index + 1 < arguments.count() => {
                    (Lifetime::Until(unit, index + 1), 2)
                }
                Some(_) | None => return 0,
            }
        };
        let fits = match (*self, said) {
            (Lifetime::Unsaid, _)
            | (Lifetime::Keep, Lifetime::Keep)
            | (Lifetime::Persist, Lifetime::Persist) => true,
            (Lifetime::Until(before, _), Lifetime::Until(now, _)) => before == now,
            (Lifetime::Keep | Lifetime::Persist | Lifetime::Until(..), _) => false,
        };
        if !fits {
            return 0;
        }
        *self = said;
        words
    }

    /// What it asks of the store.
    ///
    /// # Errors
    /// As of [`Unit::deadline`].
    pub(crate) fn expire(
        self,
        arguments: &Arguments<'_>,
        unsaid: Expire,
        command: &str,
    ) -> Result<Expire, CommandError> {
        Ok(match self {
            Lifetime::Unsaid => unsaid,
            Lifetime::Keep => Expire::Keep,
            Lifetime::Persist => Expire::Never,
            Lifetime::Until(unit, index) => Expire::At(unit.deadline(arguments, index, command)?),
        })
    }
}
