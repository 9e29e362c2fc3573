//! A command's words, and how they are read.

use std::borrow::Cow;

use bytes::Bytes;
use coterie_wire::Key;

/// Why a command is not planned. The text is Redis's, code included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// A fixed text.
    Text(&'static str),
    /// A text that names something.
    Owned(String),
}

impl CommandError {
    /// Options that do not fit together, or that are none.
    pub const SYNTAX: CommandError = CommandError::Text("ERR syntax error");
    /// What should be an integer is none.
    pub const NOT_INTEGER: CommandError =
        CommandError::Text("ERR value is not an integer or out of range");
    /// What should be a number is none.
    pub const NOT_FLOAT: CommandError = CommandError::Text("ERR value is not a valid float");
    /// What should be at least 0 is not.
    pub const NOT_POSITIVE: CommandError =
        CommandError::Text("ERR value is out of range, must be positive");

    /// Too few or too many words for a command; `name` as it is in the table, `parent|child` of a subcommand.
    #[must_use]
    pub fn arity(name: &str) -> CommandError {
        CommandError::Owned(format!("ERR wrong number of arguments for '{name}' command"))
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            CommandError::Text(text) => text,
            CommandError::Owned(text) => text,
        }
    }
}

/// A command's words, with what else its plan may rest on.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    words: &'a [Bytes],
    bucket: &'a Bytes,
    wall_millis: u64,
    random: u64,
}

impl<'a> Arguments<'a> {
    /// The words of a command, its name first, in a bucket, at a time, with a number drawn for it.
    ///
    /// # Panics
    /// If there is no word.
    #[must_use]
    pub fn new(words: &'a [Bytes], bucket: &'a Bytes, wall_millis: u64, random: u64) -> Self {
        assert!(!words.is_empty(), "a command has a name");
        Arguments { words, bucket, wall_millis, random }
    }

    /// How many words there are, the name included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.len()
    }

    /// The words from the one at `index` on; none where there are fewer.
    #[must_use]
    pub fn from(&self, index: usize) -> &'a [Bytes] {
        self.words.get(index..).unwrap_or_default()
    }

    /// The word at `index`; 0 is the name.
    ///
    /// # Panics
    /// If there are fewer: the arity in the table says how many there are at least.
    #[must_use]
    pub fn word(&self, index: usize) -> &'a Bytes {
        &self.words[index]
    }

    /// The word at `index`, if there is one.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a Bytes> {
        self.words.get(index)
    }

    /// A copy of the word at `index`, which shares its bytes.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    pub fn bytes(&self, index: usize) -> Bytes {
        self.words[index].clone()
    }

    /// The key that the word at `index` names.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    pub fn key(&self, index: usize) -> Key {
        self.key_of(&self.words[index])
    }

    /// The key that a word names.
    #[must_use]
    pub fn key_of(&self, word: &Bytes) -> Key {
        Key::new(self.bucket.clone(), word.clone())
    }

    /// The bucket that the connection has selected.
    #[must_use]
    pub fn bucket(&self) -> &'a Bytes {
        self.bucket
    }

    /// The time, in milliseconds since 1970.
    #[must_use]
    pub fn wall_millis(&self) -> u64 {
        self.wall_millis
    }

    /// A number drawn for this command.
    #[must_use]
    pub fn random(&self) -> u64 {
        self.random
    }

    /// Whether the word at `index` is this one, in whatever case. `word` is in capitals.
    #[must_use]
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.words.get(index).is_some_and(|there| there.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// The word at `index` as an integer, as strict as Redis: no sign but a minus, no leading zeros or spaces.
    ///
    /// # Errors
    /// [`CommandError::NOT_INTEGER`], also where there is no such word.
    pub fn integer(&self, index: usize) -> Result<i64, CommandError> {
        self.words.get(index).and_then(|word| parse_integer(word)).ok_or(CommandError::NOT_INTEGER)
    }

    /// The word at `index` as an integer that a `T` holds, if it is one.
    #[must_use]
    pub fn integer_as<T: TryFrom<i64>>(&self, index: usize) -> Option<T> {
        T::try_from(parse_integer(self.words.get(index)?)?).ok()
    }

    /// The word at `index` as a count: an integer of at least 0.
    ///
    /// # Errors
    /// [`CommandError::NOT_INTEGER`] and [`CommandError::NOT_POSITIVE`].
    pub fn count_at(&self, index: usize) -> Result<usize, CommandError> {
        usize::try_from(self.integer(index)?).map_err(|_negative| CommandError::NOT_POSITIVE)
    }

    /// The word at `index` as a number that is not NaN; infinities are `inf`, `+inf`, `-inf` and `infinity`.
    ///
    /// # Errors
    /// [`CommandError::NOT_FLOAT`], also where there is no such word.
    pub fn float(&self, index: usize) -> Result<f64, CommandError> {
        self.words.get(index).and_then(|word| parse_float(word)).ok_or(CommandError::NOT_FLOAT)
    }

    /// The word at `index` for an error or a log: what is no text is replaced.
    #[must_use]
    pub fn lossy(&self, index: usize) -> Cow<'a, str> {
        self.words.get(index).map_or(Cow::Borrowed(""), |word| String::from_utf8_lossy(word))
    }
}

/// An integer, as strict as Redis reads it.
#[must_use]
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [] => return None,
        [b'0'] => return (!negative).then_some(0),
        [b'0', ..] => return None,
        _ => {}
    }
    // Summed up below zero, since that side has one number more.
    let sum = digits.iter().try_fold(0_i64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_sub(digit)
    })?;
    if negative { Some(sum) } else { sum.checked_neg() }
}

/// A number that is not NaN.
#[must_use]
pub fn parse_float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let value: f64 = text.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_strictly_as_redis_does() {
        for value in [0, 1, -1, 10, i64::MAX, i64::MIN] {
            assert_eq!(parse_integer(value.to_string().as_bytes()), Some(value));
        }
        let none = ["", "-", "+1", "01", "-0", " 1", "1 ", "1.0", "a", "9223372036854775808"];
        for text in none {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_may_be_infinite_but_must_be_numbers() {
        assert_eq!(parse_float(b"-inf"), Some(f64::NEG_INFINITY));
        assert_eq!(parse_float(b"+Infinity"), Some(f64::INFINITY));
        assert_eq!(parse_float(b"1e3"), Some(1000.0));
        for text in ["", "nan", " 1", "1x"] {
            assert_eq!(parse_float(text.as_bytes()), None, "{text:?}");
        }
    }
}
