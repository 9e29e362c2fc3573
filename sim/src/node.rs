//! A node: its machine, and the process that runs on it.

use std::time::Duration;

use coterie_protocol::control::Past;
use coterie_protocol::driver::{ControlDriver, LaneDriver};
use coterie_ring::NodeId;

use crate::clock::Clock;
use crate::disk::{Disk, Image, Warm};

/// A node.
#[derive(Debug)]
pub struct Node {
    /// Who it is.
    pub id: NodeId,
    /// Counts its processes: what was planned for an earlier one does not happen.
    pub life: u64,
    /// Counts the boots of its machine.
    pub boot: u128,
    /// What its storage has been through since its process ended.
    pub past: Past,
    /// Its disk.
    pub disk: Disk,
    /// Its clocks.
    pub clock: Clock,
    /// What runs, if something does.
    pub process: Option<Process>,
    /// Until when the process stands still.
    pub paused_until: Duration,
    /// An earlier state of its disk.
    pub backup: Option<Image>,
    /// Whether it is gone for good.
    pub gone: bool,
    /// Whether its disk has lost what it had said is synced, which only others can know.
    pub untold: bool,
}

/// A node's process.
#[derive(Debug)]
pub struct Process {
    /// Its control.
    pub control: Seat<ControlDriver>,
    /// Its lanes; none before the first view.
    pub lanes: Vec<Seat<LaneDriver<Warm>>>,
    /// Up to which commit the sync that is under way reaches.
    pub syncing: Option<u64>,
}

/// A driver with what is planned for it.
#[derive(Debug)]
pub struct Seat<D> {
    /// The driver.
    pub driver: D,
    /// Whether its next turn is planned.
    pub awake: bool,
    /// For when its next tick is planned.
    pub tick_at: Option<Duration>,
}

impl<D> Seat<D> {
    /// A driver for which nothing is planned.
    #[must_use]
    pub fn new(driver: D) -> Self {
        Seat { driver, awake: false, tick_at: None }
    }
}
