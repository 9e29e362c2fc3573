//! A node: its machine, and the process that runs on it.

mod control;
mod lane;

use std::time::Duration;

use coterie_protocol::Event;
use coterie_protocol::control::Past;
use coterie_ring::NodeId;
use coterie_wire::{Body, Key};

use crate::clock::Clock;
use crate::disk::{Disk, Image};

pub use control::{ControlDriver, ControlTurn};
pub use lane::{Allowance, LaneDriver, Turn};

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
}

/// A node's process.
#[derive(Debug)]
pub struct Process {
    /// Its control.
    pub control: ControlDriver,
    /// Its lanes; none before the first view.
    pub lanes: Vec<LaneDriver>,
    /// Up to which commit the sync that is under way reaches.
    pub syncing: Option<u64>,
}

/// The key that an event is about, of those that queue behind each other.
#[must_use]
pub fn subject(event: &Event) -> Option<&Key> {
    match event {
        Event::Request { request, .. } => Some(&request.key),
        Event::Message { message, .. } => match &message.body {
            Body::Forward(request) => Some(&request.key),
            Body::Write(write) => Some(&write.key),
            Body::Read(read) => Some(&read.key),
            Body::Query(query) => Some(&query.key),
            Body::Register(register) => Some(&register.key),
            _ => None,
        },
        _ => None,
    }
}
