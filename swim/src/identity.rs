//! Who a member is, and which of its lives and claims is meant.

use std::fmt;

/// A node's identity: the 128-bit node id of its certificate's name.
///
/// Addresses and keys change, the identity does not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u128);

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}…", self.0 >> 96)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A boot counter: one more at every start of the process, durable before its first packet.
///
/// At most [`Generation::MAX`], so that no peer can push a node to the end of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// The greatest generation that is accepted from anybody: 2^48 − 1 starts.
    pub const MAX: Self = Self((1 << 48) - 1);

    /// The next life. Saturates at [`Generation::MAX`].
    #[must_use]
    pub fn next(self) -> Self {
        Self((self.0 + 1).min(Self::MAX.0))
    }
}

/// A claim within one generation: only the member itself raises it, to refute an accusation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u32);

/// Random per process: tells two processes that claim one identity apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance(pub u64);

/// The layout a node works under, carried in every packet so that peers notice a newer one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The layout's number in its chain.
    pub version: u32,
    /// Hash of the layout, to tell two layouts of one version apart.
    pub hash: u64,
}
