//! Limits on sizes. They bind clients only, never merges (invariant 21).

use std::fmt;

use bytes::Bytes;

use crate::operation::OpError;

/// What has a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Limited {
    /// A key's name.
    Key,
    /// A member, field or path.
    Element,
    /// A value.
    Value,
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limited::Key => "key",
            Limited::Element => "element",
            Limited::Value => "value",
        })
    }
}

/// How large things may be that clients write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A key's name. 4 KiB by default.
    pub key_bytes_max: usize,
    /// A member, field or path. 1 MiB by default.
    pub element_bytes_max: usize,
    /// A value. 1 MiB by default.
    pub value_bytes_max: usize,
    /// Concurrent values of one register that a sibling write may leave. 100 by default.
    pub siblings_max: usize,
    /// Elements that one reply may repeat: what a negative count asks `SRANDMEMBER` for. 2^20 by default.
    pub random_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            key_bytes_max: 4 << 10,
            element_bytes_max: 1 << 20,
            value_bytes_max: 1 << 20,
            siblings_max: 100,
            random_max: 1 << 20,
        }
    }
}

impl Limits {
    /// Checks a key's name.
    ///
    /// # Errors
    /// [`OpError::TooLarge`]
    pub fn key(&self, key: &[u8]) -> Result<(), OpError> {
        check(Limited::Key, key.len(), self.key_bytes_max)
    }

    pub(crate) fn element(&self, element: &Bytes) -> Result<(), OpError> {
        check(Limited::Element, element.len(), self.element_bytes_max)
    }

    pub(crate) fn elements<'a>(
        &self,
        elements: impl IntoIterator<Item = &'a Bytes>,
    ) -> Result<(), OpError> {
        elements.into_iter().try_for_each(|element| self.element(element))
    }

    pub(crate) fn value(&self, bytes: usize) -> Result<(), OpError> {
        check(Limited::Value, bytes, self.value_bytes_max)
    }
}

fn check(what: Limited, bytes: usize, bytes_max: usize) -> Result<(), OpError> {
    if bytes <= bytes_max { Ok(()) } else { Err(OpError::TooLarge { what, bytes, bytes_max }) }
}
