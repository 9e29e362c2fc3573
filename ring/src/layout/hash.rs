//! A layout's identity.

use std::fmt;

use xxhash_rust::xxh3::xxh3_128;

use super::Layout;

/// xxh3-128 of a layout's encoding in format 1, also where a later format carries it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LayoutHash(pub u128);

impl fmt::Display for LayoutHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Layout {
    /// The layout's hash, which its successor names as parent. O(size of the layout).
    #[must_use]
    pub fn hash(&self) -> LayoutHash {
        LayoutHash(xxh3_128(&self.encode()))
    }
}
