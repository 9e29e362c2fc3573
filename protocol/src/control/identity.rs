//! Whose the storage is and which life it leads (invariants 1 and 2).

use bytes::{Buf, BufMut, Bytes};
use coterie_ring::NodeId;
use coterie_wire::Incarnation;

use super::rows::{self, OpenError, Unusable};
use crate::rows::{Batch, Rows, address};

/// How durable what is acknowledged is on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncPolicy {
    /// On disk.
    Always,
    /// With the operating system, on disk a moment later: an unclean stop of the machine loses some.
    Periodic,
}

/// What the storage has been through since the node ran last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Past {
    /// Nothing that the storage itself does not show.
    Continued,
    /// The disk failed; what could be recovered was rewritten and synced.
    DiskFailed,
    /// It was restored from a backup of this node, while others went on.
    Restored,
    /// The whole cluster was restored from one backup: nobody has gone on.
    ClusterRestored,
}

/// The node's identity row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) cluster: u128,
    pub(super) node: NodeId,
    pub(super) incarnation: Incarnation,
    /// The boot of the machine in which it was written.
    pub(super) boot: u128,
    /// Whether the process ended in order.
    pub(super) clean: bool,
    pub(super) sync: SyncPolicy,
    /// Whether a loss in this life has not been made good yet.
    pub(super) amnesiac: bool,
    /// Whether something that was synced is among what may have been lost since all was last made good.
    pub(super) went_back: bool,
    /// Whether votes may have been lost: see [`super::abstention`].
    pub(super) abstains: bool,
    /// Whether that is because all nodes went back together, each perhaps to another moment.
    pub(super) together: bool,
    /// Whether the process, when it ended in order, may have forgotten something that one before it had heard of.
    pub(super) forgot: bool,
}

const CLEAN: u8 = 1;
const PERIODIC: u8 = 2;
const AMNESIAC: u8 = 4;
const ABSTAINS: u8 = 8;
const TOGETHER: u8 = 16;
const WENT_BACK: u8 = 32;
const FORGOT: u8 = 64;

impl Identity {
    pub(super) fn load(rows: &impl Rows) -> Result<Option<Identity>, OpenError> {
        let Some(body) = rows::get(rows, rows::IDENTITY)? else { return Ok(None) };
        let damaged = || Unusable::Damaged.of(address::node_row(rows::IDENTITY));
        Identity::decode(body).ok_or_else(damaged).map(Some)
    }

    pub(super) fn store(&self, batch: &mut Batch) {
        let mut body = Vec::with_capacity(57);
        body.put_u128(self.cluster);
        body.put_u128(self.node.0);
        body.put_u64(self.incarnation.0);
        body.put_u128(self.boot);
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let periodic = self.sync == SyncPolicy::Periodic;
        let lost = flag(self.amnesiac, AMNESIAC) | flag(self.abstains, ABSTAINS);
        let lost = lost | flag(self.together, TOGETHER) | flag(self.went_back, WENT_BACK);
        let lost = lost | flag(self.forgot, FORGOT);
        body.put_u8(flag(self.clean, CLEAN) | flag(periodic, PERIODIC) | lost);
        rows::put(batch, address::node_row(rows::IDENTITY), &body);
    }

    fn decode(mut body: Bytes) -> Option<Identity> {
        if body.len() != 57 {
            return None;
        }
        let (cluster, node) = (body.get_u128(), NodeId(body.get_u128()));
        let (incarnation, boot) = (Incarnation(body.get_u64()), body.get_u128());
        let flags = body.get_u8();
        (flags < 128).then_some(Identity {
            cluster,
            node,
            incarnation,
            boot,
            clean: flags & CLEAN != 0,
            sync: if flags & PERIODIC != 0 { SyncPolicy::Periodic } else { SyncPolicy::Always },
            amnesiac: flags & AMNESIAC != 0,
            went_back: flags & WENT_BACK != 0,
            abstains: flags & ABSTAINS != 0,
            together: flags & TOGETHER != 0,
            forgot: flags & FORGOT != 0,
        })
    }

    /// Whether the machine stopped without the process having ended in order: what was not synced is gone.
    pub(super) fn stopped_uncleanly(&self, boot: u128) -> bool {
        !self.clean && self.boot != boot
    }
}
