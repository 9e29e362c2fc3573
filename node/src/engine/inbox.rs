//! What threads of a node say to each other.
//!
//! The channels have no bound of their own: what is put into them is bounded where it comes from, by the requests that
//! a connection may have under way, by what peers may send before they are answered, and by what parked events fetch.
//! A bounded one could make two lanes wait for each other.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use coterie_protocol::control::{self, Command, CommandError};
use coterie_protocol::repair::barrier;
use coterie_protocol::rows::StoreError;
use coterie_protocol::{ClientId, ControlEvent, Event, View};
use coterie_ring::{NodeId, Partition};
use coterie_swim::Address;
use coterie_wire::{List, Listed, Message, Request, Response};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::resp::Connections;
use crate::storage::Fetched;

/// What a lane is asked for, by a client of this node.
#[derive(Debug)]
pub enum Asked {
    /// Operations on a key.
    Request(Box<Request>),
    /// A page of keys.
    List(Box<List>),
}

/// The answer.
#[derive(Debug)]
pub enum Answered {
    /// To a request.
    Request(Box<Response>),
    /// To a list.
    List(Box<Listed>),
}

/// Who is answered.
#[derive(Debug)]
pub enum AnswerTo {
    /// A client's connection that lives on the lane itself: its number, and what it calls the request.
    Connection(u64, u64),
    /// Another lane of this node, which knows whom to answer.
    Lane(u16, ClientId),
    /// Somebody off the lanes who waits for a response.
    Response(oneshot::Sender<Response>),
    /// Somebody off the lanes who waits for a page of keys.
    Listed(oneshot::Sender<Listed>),
}

/// Something that is done with a lane's connections, on its thread.
pub type Visit = Box<dyn FnOnce(&Connections) + Send>;

/// What a lane's thread is told.
pub enum LaneInput {
    /// An event for the lane.
    Event(Event),
    /// A client asks.
    Ask(Asked, AnswerTo),
    /// Another lane answers what this one asked for a client.
    Answered(ClientId, Answered),
    /// Rows that an event waits for, or why there are none.
    Fetched(u64, Result<Fetched, StoreError>),
    /// A sync covers the commits up to this one.
    Synced(u64),
    /// Control has another picture of the cluster. The first one opens the lane.
    View(Arc<View>, bool),
    /// Control's message for another node.
    Send(Option<NodeId>, Address, Box<Message>),
    /// A peer is not to be talked to.
    Disconnect(NodeId),
    /// A client's connection that this lane is to serve.
    Connection(std::net::TcpStream, SocketAddr),
    /// Somebody waits until owners are equal.
    Barrier(barrier::Scope, std::time::Duration, oneshot::Sender<barrier::Outcome>),
    /// Something is to be done with the lane's connections.
    Visit(Visit),
    /// The node is about to stop.
    Stop,
}

/// What the control thread is told.
#[derive(Debug)]
pub enum ControlInput {
    /// An event for control.
    Event(control::Event),
    /// A lane tells control.
    Lane(ControlEvent),
    /// An operator commands.
    Command(Box<Command>, oneshot::Sender<Result<control::Answer, CommandError>>),
    /// A sync covers the commits up to this one.
    Synced(u64),
    /// A lane's thread has ended.
    LaneEnded(u16, Result<(), StoreError>),
    /// The node is asked to stop.
    Stop,
    /// The storage has failed: nothing may be written any more.
    Failed(StoreError),
}

impl fmt::Debug for LaneInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LaneInput")
    }
}

/// The ends that reach every thread of a node.
#[derive(Clone, Debug)]
pub struct Router {
    lanes: Arc<[UnboundedSender<LaneInput>]>,
    control: UnboundedSender<ControlInput>,
}

impl Router {
    /// A router over these ends.
    ///
    /// # Panics
    /// If there is no lane, or more than 65,535.
    #[must_use]
    pub fn new(
        lanes: Vec<UnboundedSender<LaneInput>>,
        control: UnboundedSender<ControlInput>,
    ) -> Self {
        assert!(!lanes.is_empty() && lanes.len() <= usize::from(u16::MAX), "a node has lanes");
        Router { lanes: lanes.into(), control }
    }

    /// How many lanes there are.
    #[must_use]
    pub fn lanes(&self) -> u16 {
        u16::try_from(self.lanes.len()).expect("checked when it was made")
    }

    /// The lane of a partition.
    #[must_use]
    pub fn lane_of(&self, partition: Partition) -> u16 {
        partition.0 % self.lanes()
    }

    /// Tells a lane. Whether it is there: one that has ended hears nothing.
    pub fn lane(&self, lane: u16, input: LaneInput) -> bool {
        self.lanes[usize::from(lane)].send(input).is_ok()
    }

    /// Tells control. Whether it is there.
    pub fn control(&self, input: ControlInput) -> bool {
        self.control.send(input).is_ok()
    }
}
