//! Kinds of faults.

use std::fmt::{Display, Formatter, Result as FmtResult};

/// What can go wrong, or be done by an operator, while clients work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A process is killed and started again.
    Crash,
    /// A machine loses power and comes back: what it had not synced is partly gone.
    PowerLoss,
    /// All machines lose power at once.
    PowerLossOfAll,
    /// A process stands still for seconds and goes on.
    Pause,
    /// Some nodes and the others cannot hear each other.
    Partition,
    /// One node is not heard by some others, but hears them.
    OneWayPartition,
    /// A path becomes many times slower.
    SlowLink,
    /// A connection between two nodes is lost.
    LostConnection,
    /// The wall clock of a node is set.
    ClockJump,
    /// A disk is almost, or all but, full for a while.
    FullDisk,
    /// A disk fails a commit or a sync: the node's storage stops, and is opened anew.
    DiskError,
    /// A disk says that it has synced, and has not; later its machine loses power.
    LyingSync,
    /// A bit of a stored row turns over.
    BitRot,
    /// A node's disk goes back to an earlier backup of it.
    Rollback,
    /// A node's disk is emptied, and the node comes back.
    Wipe,
    /// A node is gone for good, and another takes its place.
    Replace,
    /// A node joins.
    Join,
    /// A node is asked to leave.
    Leave,
    /// A node is given another weight.
    Weight,
    /// A bucket's levels are changed.
    Policy,
    /// Rows have to be fetched before they can be read.
    NotResident,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 21] = [
        Fault::Crash,
        Fault::PowerLoss,
        Fault::PowerLossOfAll,
        Fault::Pause,
        Fault::Partition,
        Fault::OneWayPartition,
        Fault::SlowLink,
        Fault::LostConnection,
        Fault::ClockJump,
        Fault::FullDisk,
        Fault::DiskError,
        Fault::LyingSync,
        Fault::BitRot,
        Fault::Rollback,
        Fault::Wipe,
        Fault::Replace,
        Fault::Join,
        Fault::Leave,
        Fault::Weight,
        Fault::Policy,
        Fault::NotResident,
    ];

    /// Its name in options and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fault::Crash => "crash",
            Fault::PowerLoss => "power loss",
            Fault::PowerLossOfAll => "power loss of all",
            Fault::Pause => "pause",
            Fault::Partition => "partition",
            Fault::OneWayPartition => "one-way partition",
            Fault::SlowLink => "slow link",
            Fault::LostConnection => "lost connection",
            Fault::ClockJump => "clock jump",
            Fault::FullDisk => "full disk",
            Fault::DiskError => "disk error",
            Fault::LyingSync => "lying sync",
            Fault::BitRot => "bit rot",
            Fault::Rollback => "rollback",
            Fault::Wipe => "wipe",
            Fault::Replace => "replace",
            Fault::Join => "join",
            Fault::Leave => "leave",
            Fault::Weight => "weight",
            Fault::Policy => "policy",
            Fault::NotResident => "not resident",
        }
    }

    /// Whether it can take away what a node has acknowledged. All such faults of a run hit one node, and writes
    /// wait for two: then nothing acknowledged may be lost.
    #[must_use]
    pub fn loses(self) -> bool {
        matches!(
            self,
            Fault::LyingSync | Fault::BitRot | Fault::Rollback | Fault::Wipe | Fault::Replace
        )
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str(self.name())
    }
}
