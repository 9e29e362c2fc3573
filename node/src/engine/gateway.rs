//! The gateway: how those who are not on a lane ask lanes and control.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use coterie_protocol::control::{Answer, Command, CommandError, SyncPolicy};
use coterie_protocol::moving::Wait;
use coterie_protocol::repair::barrier;
use coterie_protocol::{Counters, View};
use coterie_ring::{NodeId, Place};
use coterie_wire::{List, Listed, Outcome, Refused, Request, Response, Slice};
use tokio::sync::oneshot;

use crate::metrics::ControlSnapshot;
use crate::peers::PeerConnection;

use super::inbox::{AnswerTo, Asked, ControlInput, LaneInput, Router};

/// How often lanes and control say how they are.
pub(super) const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// What does not change while a node runs.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// The cluster.
    pub cluster: u128,
    /// This node.
    pub node: NodeId,
    /// The version of the program.
    pub version: &'static str,
    /// Where it stands.
    pub place: Place,
    /// How many lanes it has.
    pub lanes: u16,
    /// When what it acknowledges is durable.
    pub sync: SyncPolicy,
    /// When it started.
    pub started: SystemTime,
    /// Where it is reached, as it tells others.
    pub addresses: NodeAddresses,
}

/// Where a node is reached.
#[derive(Clone, Copy, Debug)]
pub struct NodeAddresses {
    /// By Redis clients.
    pub resp: SocketAddr,
    /// By HTTP.
    pub http: SocketAddr,
    /// By gossip.
    pub gossip: SocketAddr,
    /// By peers, at its lane 0.
    pub peers: SocketAddr,
}

/// What a lane says of itself about once a second.
#[derive(Clone, Debug, Default)]
pub struct LaneFacts {
    /// Which lane.
    pub lane: u16,
    /// What it has counted.
    pub counters: Counters,
    /// Slices that it owns.
    pub slices: Vec<SliceFacts>,
    /// Bytes of hints that it keeps, by owner.
    pub hints: Vec<(NodeId, u64)>,
    /// Events that wait for rows.
    pub parked: u64,
    /// What its moves wait for, some of it.
    pub waits: Vec<Wait>,
    /// Its connections to other nodes.
    pub paths: Vec<PeerConnection>,
    /// What its front doors have counted.
    pub metrics: crate::metrics::LaneSnapshot,
}

/// What a lane says of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceFacts {
    /// Which.
    pub slice: Slice,
    /// Its purge epoch.
    pub epoch: u64,
    /// Whether all of it has been received.
    pub received: bool,
    /// The sum of its digests.
    pub digest: u128,
}

/// Asks lanes and control; cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway {
    facts: Arc<NodeFacts>,
    router: Router,
    view: Arc<ArcSwapOption<View>>,
    lanes: Arc<[Mutex<Arc<LaneFacts>>]>,
    control: Arc<ArcSwap<ControlSnapshot>>,
}

impl Gateway {
    /// A gateway of a node that has no view yet.
    #[must_use]
    pub fn new(facts: NodeFacts, router: Router) -> Self {
        let empty = |lane| Mutex::new(Arc::new(LaneFacts { lane, ..LaneFacts::default() }));
        Gateway {
            lanes: (0..facts.lanes).map(empty).collect(),
            facts: Arc::new(facts),
            router,
            view: Arc::default(),
            control: Arc::default(),
        }
    }

    /// What does not change.
    #[must_use]
    pub fn facts(&self) -> &NodeFacts {
        &self.facts
    }

    /// The cluster as control sees it; `None` before this node is in one.
    #[must_use]
    pub fn view(&self) -> Option<Arc<View>> {
        self.view.load_full()
    }

    /// Control has another picture.
    pub(crate) fn show(&self, view: Arc<View>) {
        self.view.store(Some(view));
    }

    /// A lane says how it is.
    pub(crate) fn publish(&self, facts: LaneFacts) {
        let slot = &self.lanes[usize::from(facts.lane)];
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(facts);
    }

    /// Control says how it and the storage are.
    pub(crate) fn publish_control(&self, snapshot: ControlSnapshot) {
        self.control.store(Arc::new(snapshot));
    }

    /// What control said last.
    #[must_use]
    pub fn control(&self) -> Arc<ControlSnapshot> {
        self.control.load_full()
    }

    /// What every lane said of itself last.
    #[must_use]
    pub fn lanes(&self) -> Vec<Arc<LaneFacts>> {
        let read = |slot: &Mutex<Arc<LaneFacts>>| {
            Arc::clone(&slot.lock().unwrap_or_else(PoisonError::into_inner))
        };
        self.lanes.iter().map(read).collect()
    }

    /// Why the node does not serve requests yet; `None` where it does.
    #[must_use]
    pub fn unready(&self) -> Option<String> {
        let Some(view) = self.view() else {
            return Some(
                "the node is in no cluster yet, or asks the others what it lost".to_owned(),
            );
        };
        if view.amnesiac {
            return Some(
                "the node may have lost data, and receives it again from the others".to_owned(),
            );
        }
        if view.decision.layout().member_index(view.me).is_none() {
            return Some("the node is no member of the layout in force yet".to_owned());
        }
        let lanes = self.lanes();
        let running = lanes.iter().filter(|lane| lane.metrics.published).count();
        if running < lanes.len() {
            return Some(format!("{running} of {} lanes run", lanes.len()));
        }
        None
    }

    /// Asks for operations on a key, of the lane of its partition.
    pub async fn ask(&self, request: Request) -> Response {
        let refused = Response { outcome: Outcome::Refused(Refused::NotServing) };
        let Some(view) = self.view() else { return refused };
        let lane = self.router.lane_of(view.partition(&request.key));
        let (sender, receiver) = oneshot::channel();
        let asked = Asked::Request(Box::new(request));
        if !self.router.lane(lane, LaneInput::Ask(asked, AnswerTo::Response(sender))) {
            return refused;
        }
        receiver.await.unwrap_or(refused)
    }

    /// Asks for a page of keys.
    pub async fn list(&self, list: List) -> Listed {
        let refused = Listed::Refused(Refused::NotServing);
        let Some(view) = self.view() else { return refused };
        let partition = list.partition(view.decision.layout().partitioner());
        let lane = self.router.lane_of(partition);
        let (sender, receiver) = oneshot::channel();
        let asked = Asked::List(Box::new(list));
        if !self.router.lane(lane, LaneInput::Ask(asked, AnswerTo::Listed(sender))) {
            return refused;
        }
        receiver.await.unwrap_or(refused)
    }

    /// An operator commands; `None` where the node is about to stop.
    pub async fn command(&self, command: Command) -> Option<Result<Answer, CommandError>> {
        let (sender, receiver) = oneshot::channel();
        self.router.control(ControlInput::Command(Box::new(command), sender));
        receiver.await.ok()
    }

    /// Waits on one lane until what it is asked about is equal at all owners: what the key's or slice's lane says, or
    /// of all that each lane has, the first that is not done.
    pub async fn barrier(&self, scope: barrier::Scope, wait: Duration) -> barrier::Outcome {
        let Some(view) = self.view() else { return barrier::Outcome::NotOwner };
        let lanes = match &scope {
            barrier::Scope::Key(key) => {
                let lane = self.router.lane_of(view.partition(key));
                lane..lane + 1
            }
            barrier::Scope::Slice(slice) => {
                let lane = self.router.lane_of(slice.partition);
                lane..lane + 1
            }
            barrier::Scope::All => 0..self.router.lanes(),
        };
        let mut waiting = Vec::new();
        for lane in lanes {
            let (sender, receiver) = oneshot::channel();
            self.router.lane(lane, LaneInput::Barrier(scope.clone(), wait, sender));
            waiting.push(receiver);
        }
        for outcome in waiting {
            match outcome.await {
                Ok(barrier::Outcome::Done) => {}
                Ok(other) => return other,
                Err(_gone) => return barrier::Outcome::NotOwner,
            }
        }
        barrier::Outcome::Done
    }
}
