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
    pub(crate) fn is_seconds(self) -> bool {
        matches!(self, Unit::Seconds | Unit::SecondsAt)
    }

    pub(crate) fn is_relative(self) -> bool {
        matches!(self, Unit::Seconds | Unit::Millis)
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
        let millis = if self.is_seconds() { number.checked_mul(1_000) } else { Some(number) };
        let now = i64::try_from(arguments.wall_millis()).unwrap_or(i64::MAX);
        let base = if self.is_relative() { now } else { 0 };
        let deadline =
            millis.filter(|millis| *millis > 0).and_then(|millis| millis.checked_add(base));
        deadline.and_then(|deadline| u64::try_from(deadline).ok()).ok_or_else(|| invalid(command))
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
