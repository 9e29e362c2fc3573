//! Why an operation is not answered.

use crate::operation::Limited;

/// Why an operation is not answered. It changed nothing; where Redis has a text for it, that is the
/// text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum OpError {
    /// The key holds another type.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    /// The key is a string or other type, and the operation is for HyperLogLogs.
    #[error("WRONGTYPE Key is not a valid HyperLogLog string value.")]
    NotHyperLogLog,
    /// The value is no integer, or an increment's result would have to be one and is not.
    #[error("ERR value is not an integer or out of range")]
    NotInteger,
    /// The hash field's value is no integer.
    #[error("ERR hash value is not an integer")]
    FieldNotInteger,
    /// The value is no number.
    #[error("ERR value is not a valid float")]
    NotFloat,
    /// The hash field's value is no number.
    #[error("ERR hash value is not a float")]
    FieldNotFloat,
    /// The integer would leave the range of 64 bits.
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    /// The number would leave the range that can be summed exactly (about ±1.7 × 10²¹).
    #[error("ERR increment would produce NaN or Infinity")]
    OutOfDecimals,
    /// A hash field is to be incremented by an infinity.
    #[error("ERR value is NaN or Infinity")]
    IncrementInfinite,
    /// A score would be NaN.
    #[error("ERR resulting score is not a number (NaN)")]
    ScoreNotNumber,
    /// `APPEND` or `SETRANGE` would make a value larger than its limit.
    #[error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")]
    TooLong,
    /// An offset is below 0.
    #[error("ERR offset is out of range")]
    OffsetOutOfRange,
    /// No list element has this index.
    #[error("ERR index out of range")]
    IndexOutOfRange,
    /// An element beside which another is to go has a position that no version wrote.
    #[error("ERR an element of the list is at a malformed position")]
    MalformedPosition,
    /// The key does not exist and the operation needs it to.
    #[error("ERR no such key")]
    NoSuchKey,
    /// Key, element or value is over its limit.
    #[error("ERR {what} of {bytes} bytes exceeds the limit of {bytes_max}")]
    TooLarge {
        /// What is too large.
        what: Limited,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        bytes_max: usize,
    },
    /// The register has as many concurrent values as it may; a write with their context resolves them.
    #[error("ERR key has {siblings} siblings, the limit; write with their context to resolve them")]
    TooManySiblings {
        /// How many.
        siblings: usize,
    },
    /// So many random elements, repeated ones among them, do not fit one reply.
    #[error("ERR {count} random elements exceed the limit of {count_max}")]
    TooManyRandom {
        /// How many were asked for.
        count: u64,
        /// How many may be.
        count_max: u64,
    },
    /// Elements of this type cannot be removed.
    #[error("ERR members of a grow-only set cannot be removed")]
    GrowOnly,
    /// Needs the rows of one replica, synchronised with others: partial states cannot answer it.
    #[error("ERR the whole key has to be synchronised first")]
    NeedsWholeKey,
    /// Deletes the whole key, whose tallies are not at hand: [`Operation::footprint_over`] asks for them.
    ///
    /// [`Operation::footprint_over`]: crate::operation::Operation::footprint_over
    #[error("ERR the key's tallies have to be fetched first")]
    NeedsTallies,
    /// A deletion is still being swept, and the counts wait for it.
    #[error("ERR a deletion of this key is still being counted; try again")]
    Counting,
    /// Stored rows contradict each other, which only damage to the storage can bring about: the key has to
    /// be [recounted](crate::recount), and what is derived from its rows made anew.
    #[error("ERR the rows of this key are damaged")]
    Damaged,
    /// The key has more tallies than one delta may reset; remove ranges of them first.
    #[error("ERR key has {tallied} counters, too many to delete in one step")]
    TooManyTallies {
        /// How many cells have tallies.
        tallied: u64,
    },
}
