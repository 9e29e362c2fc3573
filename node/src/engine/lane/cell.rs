//! A lane's thread as its tasks share it: what came since the last turn, and how a turn goes.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use coterie_protocol::View;
use coterie_protocol::rows::StoreError;
use tokio::sync::Notify;
use tracing::error;

use super::core::{Core, LaneSettings};
use crate::engine::clock::Clock;
use crate::engine::gateway::Gateway;
use crate::engine::inbox::{AnswerTo, Asked, LaneInput, Router};
use crate::peers::{PeerEvent, Peers};
use crate::resp::Connections;
use crate::storage::{LaneStore, Storage, Waker};

/// A lane's thread, as its tasks share it.
pub struct LaneCell {
    /// Which lane it is.
    pub lane: u16,
    /// The node's clocks.
    pub clock: Clock,
    /// The ends that reach other threads.
    pub router: Router,
    /// For what connections ask of the node.
    pub gateway: Gateway,
    core: RefCell<Core>,
    /// What came since the last turn, from tasks of this thread.
    peer_events: RefCell<Vec<PeerEvent>>,
    asks: RefCell<Vec<(Asked, AnswerTo)>>,
    /// Whether a turn is due.
    pub wake: Notify,
    /// The connections of clients.
    pub connections: Connections,
    view: RefCell<Option<Arc<View>>>,
    failed: Cell<Option<StoreError>>,
}

impl fmt::Debug for LaneCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneCell").field("lane", &self.lane).finish_non_exhaustive()
    }
}

impl LaneCell {
    /// A lane without a view yet.
    #[must_use]
    pub fn new(
        settings: LaneSettings,
        clock: Clock,
        router: Router,
        gateway: Gateway,
        ground: (Storage, LaneStore, Waker),
        connections: Connections,
    ) -> Rc<Self> {
        let lane = settings.lane;
        let core = Core::new(settings, router.clone(), gateway.clone(), ground);
        Rc::new(LaneCell {
            lane,
            clock,
            router,
            gateway,
            core: RefCell::new(core),
            peer_events: RefCell::default(),
            asks: RefCell::default(),
            wake: Notify::new(),
            connections,
            view: RefCell::default(),
            failed: Cell::new(None),
        })
    }

    /// The cluster as control sees it; `None` before the first view.
    #[must_use]
    pub fn view(&self) -> Option<Arc<View>> {
        self.view.borrow().clone()
    }

    /// The network, once it is there.
    pub fn set_peers(&self, peers: Rc<Peers>) {
        self.core.borrow_mut().peers = Some(peers);
    }

    /// The network, if it is there.
    #[must_use]
    pub fn peers(&self) -> Option<Rc<Peers>> {
        self.core.borrow().peers.clone()
    }

    /// Whether nobody waits for an answer of this lane.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.core.borrow().is_idle() && self.asks.borrow().is_empty()
    }

    /// The network says something. It is looked at in the next turn.
    pub fn peer_event(&self, event: PeerEvent) {
        self.peer_events.borrow_mut().push(event);
        self.wake.notify_one();
    }

    /// A client of this lane asks. It is looked at in the next turn, and always answered.
    pub fn ask(&self, asked: Asked, to: AnswerTo) {
        self.asks.borrow_mut().push((asked, to));
        self.wake.notify_one();
    }

    /// Takes in what another thread says; false where the lane is to stop.
    pub fn take_in(self: &Rc<Self>, input: LaneInput) -> bool {
        match input {
            LaneInput::Connection(stream, from) => self.connections.accept(self, stream, from),
            LaneInput::Visit(visit) => visit(&self.connections),
            LaneInput::Stop => return false,
            LaneInput::View(view, actors_spent) => self.see(view, actors_spent),
            other => {
                let taken = self.core.borrow_mut().take_in(self.clock, other, &self.connections);
                self.note(taken);
            }
        }
        true
    }

    /// Why the lane cannot go on, if it cannot: nothing may be written any more.
    #[must_use]
    pub fn failed(&self) -> Option<StoreError> {
        self.failed.get()
    }

    fn note(&self, result: Result<(), StoreError>) {
        if let Err(error) = result {
            self.failed.set(Some(error));
        }
    }

    fn see(&self, view: Arc<View>, actors_spent: bool) {
        let seen = self.core.borrow_mut().see(&view, actors_spent, self.clock);
        match seen {
            Ok(()) => {
                self.connections.see(Arc::clone(&view));
                *self.view.borrow_mut() = Some(view);
            }
            Err(error) => {
                error!(%error, "the lane cannot be opened; the node has to be replaced");
                self.failed.set(Some(StoreError::Io));
            }
        }
    }

    /// Handles what waits, commits it, and carries out what follows. Whether there is more to do at once.
    pub fn turn(self: &Rc<Self>) -> bool {
        let core = &mut *self.core.borrow_mut();
        let now = self.clock.now();
        self.connections.set_now(now);
        for event in self.peer_events.borrow_mut().drain(..) {
            self.connections.count(|counts| match &event {
                PeerEvent::Message { .. } => counts.messages_in += 1,
                PeerEvent::Unreachable { .. } => counts.messages_unreachable += 1,
                PeerEvent::Hello { .. } | PeerEvent::Lost { .. } => {}
            });
            core.peer_event(event);
        }
        let view = self.view();
        for (asked, to) in self.asks.borrow_mut().drain(..) {
            core.ask(view.as_deref(), asked, to, &self.connections);
        }
        self.note(core.turn(now, &self.connections));
        if self.failed.get().is_some() {
            return false;
        }
        self.connections.flush(self);
        if let Some(peers) = &core.peers {
            peers.flush();
        }
        core.publish_now_and_then(&self.connections);
        core.is_busy() || !self.asks.borrow().is_empty()
    }

    /// When the lane next wants a turn by itself.
    #[must_use]
    pub fn next_deadline(&self) -> Instant {
        self.core.borrow().next_deadline(self.clock)
    }
}
