//! How many elements to choose at random: `SRANDMEMBER`, `HRANDFIELD`, `ZRANDMEMBER`.

use crate::arguments::{Arguments, CommandError};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Random {
    /// One element, by itself.
    One,
    /// So many distinct ones, and whether with what is beside them.
    Distinct(u64, bool),
    /// So many, each time among all, and whether with what is beside them.
    Repeated(u64, bool),
}

impl Random {
    /// What the words after the key say. `beside` is the option that asks for what is beside the elements; none
    /// where it is empty.
    ///
    /// # Errors
    /// Redis's.
    pub(super) fn parse(arguments: &Arguments<'_>, beside: &str) -> Result<Random, CommandError> {
        if arguments.count() == 2 {
            return Ok(Random::One);
        }
        let out_of_range = CommandError::Text("ERR value is out of range");
        let count = arguments.integer(2)?;
        if count == i64::MIN {
            return Err(CommandError::Text(
                "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            ));
        }
        let with = arguments.count() > 3;
        if arguments.count() > 4 || (with && (beside.is_empty() || !arguments.is(3, beside))) {
            return Err(CommandError::SYNTAX);
        }
        // Redis counts both of a pair.
        if with && !(-(i64::MAX / 2)..=i64::MAX / 2).contains(&count) {
            return Err(out_of_range);
        }
        Ok(if count < 0 {
            Random::Repeated(count.unsigned_abs(), with)
        } else {
            Random::Distinct(count.unsigned_abs(), with)
        })
    }
}
