//! Flags: enable-wins and disable-wins.

use bytes::Bytes;

use crate::address::Address;
use crate::cells::Cells;
use crate::footprint::Footprint;
use crate::kind::{Kind, Shown};
use crate::operation::draft::Draft;
use crate::operation::{OpError, Reply};
use crate::payload::Payload;

/// What a flag reads as after it was enabled and disabled concurrently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum FlagKind {
    /// Enabled: disabling drops the enables that it observed.
    EnableWins,
    /// Disabled: disabling outlives the enables that did not observe it.
    DisableWins,
}

/// An operation on a flag of one kind. A flag that is not there reads as disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FlagOperation {
    /// Of which kind the flag is.
    pub kind: FlagKind,
    /// What to do.
    pub verb: FlagVerb,
}

/// What to do with a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum FlagVerb {
    /// Enables it.
    Enable,
    /// Disables it.
    Disable,
    /// 1 where it is enabled, else 0.
    Read,
}

impl FlagOperation {
    pub(super) fn footprint(&self) -> Footprint {
        Footprint::cell(self.address())
    }

    pub(super) fn writes(&self) -> bool {
        self.verb != FlagVerb::Read
    }

    pub(super) fn observes(&self) -> bool {
        // The winning side is recorded whatever was there; the other has to drop what it observes.
        !matches!(
            (self.kind, self.verb),
            (FlagKind::EnableWins, FlagVerb::Enable) | (FlagKind::DisableWins, FlagVerb::Disable)
        )
    }

    pub(super) fn apply<C: Cells>(&self, draft: &mut Draft<'_, '_, C>) -> Result<Reply, OpError> {
        draft.expect(Shown::Flag)?;
        let address = self.address();
        match (self.verb, self.kind) {
            (FlagVerb::Read, _) => return Ok(Reply::flag(draft.has(&address))),
            (FlagVerb::Enable, _) => draft.put(address, |_| Payload::Present)?,
            (FlagVerb::Disable, FlagKind::DisableWins) => {
                draft.put(address, |_| Payload::Removed)?;
            }
            (FlagVerb::Disable, FlagKind::EnableWins) => {
                if draft.has(&address) {
                    draft.remove(address)?;
                }
            }
        }
        Ok(Reply::Done)
    }

    fn address(&self) -> Address {
        let kind = match self.kind {
            FlagKind::EnableWins => Kind::EnableFlag,
            FlagKind::DisableWins => Kind::DisableFlag,
        };
        Address::new(kind, Bytes::new())
    }
}
