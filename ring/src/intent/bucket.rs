//! What a bucket promises.

use std::{borrow::Borrow, fmt, num::NonZeroU64};

/// A bucket's name: 1 to 64 bytes of text without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BucketName(String);

/// Why a bucket cannot have that name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a bucket's name has 1 to {max} bytes and no control characters",
    max = BucketName::BYTES_MAX
)]
pub struct NameError;

impl BucketName {
    /// Longest name, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// The name `name`.
    ///
    /// # Errors
    ///
    /// [`NameError`] if it is empty, too long or contains a control character.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let fits = (1..=Self::BYTES_MAX).contains(&name.len());
        if fits && !name.chars().any(char::is_control) {
            Ok(Self(name.to_owned()))
        } else {
            Err(NameError)
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for BucketName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who may stand in for an owner that is down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BucketKind {
    /// Fallbacks count for quorums: always writable.
    Sloppy,
    /// Only owners count for quorums.
    Strict,
    /// Every key is a consensus register.
    Strong,
}

impl BucketKind {
    /// All of them, in order. Messages say a kind by its place here: the list only grows at its end.
    pub const ALL: [BucketKind; 3] = [BucketKind::Sloppy, BucketKind::Strict, BucketKind::Strong];
}

/// How many owners must answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// One owner, or a fallback's hint.
    Any,
    /// One owner.
    One,
    /// Two owners.
    Two,
    /// Three owners.
    Three,
    /// A majority of owners.
    Quorum,
    /// Every owner.
    All,
    /// One owner in the coordinator's region.
    LocalOne,
    /// A majority of the owners in the coordinator's region.
    LocalQuorum,
    /// A majority of the owners in each region.
    EachQuorum,
    /// A majority of owners, across a change of layout of both owner sets.
    Linearizable,
}

impl Level {
    /// All of them, in order; [`Level::Any`], which is no level of reads, first. Messages say a level by its place here: the
    /// list only grows at its end.
    pub const ALL: [Level; 10] = [
        Level::Any,
        Level::One,
        Level::Two,
        Level::Three,
        Level::Quorum,
        Level::All,
        Level::LocalOne,
        Level::LocalQuorum,
        Level::EachQuorum,
        Level::Linearizable,
    ];

    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::Any => "any",
            Level::One => "one",
            Level::Two => "two",
            Level::Three => "three",
            Level::Quorum => "quorum",
            Level::All => "all",
            Level::LocalOne => "local_one",
            Level::LocalQuorum => "local_quorum",
            Level::EachQuorum => "each_quorum",
            Level::Linearizable => "linearizable",
        }
    }

    /// The level of this name, in letters of either case.
    #[must_use]
    pub fn named(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name))
    }
}

/// What a bucket promises; in force once a layout that carries it is decided.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BucketPolicy {
    /// Owners per partition, from 1 to [`crate::REPLICAS_MAX`]; fixed when the bucket is made.
    pub replicas: u8,
    /// Fixed when the bucket is made.
    pub kind: BucketKind,
    /// What a write waits for unless it says otherwise.
    pub write: Level,
    /// What a read asks unless it says otherwise; never [`Level::Any`].
    pub read: Level,
    /// How long a key lives, from the write that begins it or replaces its value (`SET`), unless a write says
    /// otherwise; `None` for ever.
    pub expiry_millis: Option<NonZeroU64>,
}

impl Default for BucketPolicy {
    fn default() -> Self {
        Self {
            replicas: 3,
            kind: BucketKind::Strict,
            write: Level::Quorum,
            read: Level::Quorum,
            expiry_millis: None,
        }
    }
}
