//! The control thread: membership and agreement, gossip, and the front doors that are off the lanes.

use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use coterie_protocol::control::{
    Answer, CommandError, Control, ControlAction, ControlEffects, Event, OperatorId, StopCause,
};
use coterie_protocol::driver::{ControlDriver, ControlTurn};
use coterie_protocol::rows::StoreError;
use coterie_swim::Address;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use super::clock::Clock;
use super::gateway::{Gateway, PUBLISH_EVERY};
use super::ground::Ground;
use super::inbox::{ControlInput, LaneInput, Router};
use crate::metrics::{ControlSnapshot, StorageFacts};
use crate::peers::locate::{self, Located, Seeds};
use crate::peers::{Gossip, Unopened};
use crate::storage::{LaneStore, Storage, Waker};

/// Inputs that are taken in at once.
const INPUTS_MAX: usize = 256;

/// Why a node's threads have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Asked,
    /// Control ended it.
    Stopped(StopCause),
    /// The storage failed: it has to be opened anew.
    Failed(StoreError),
}

/// What the control thread is made of.
pub(crate) struct ControlThread {
    driver: ControlDriver,
    ground: Ground,
    storage: Storage,
    log: Waker,
    clock: Clock,
    router: Router,
    gateway: Gateway,
    gossip: Rc<Gossip>,
    seeds: Seeds,
    turn: ControlTurn,
    operators: BTreeMap<OperatorId, oneshot::Sender<Result<Answer, CommandError>>>,
    operators_count: u64,
    lanes_running: u16,
    end: Option<End>,
    published: Instant,
}

/// What runs around control.
pub(crate) struct Around {
    /// The storage.
    pub storage: Storage,
    /// Control's part of it.
    pub store: LaneStore,
    /// Asks the log thread for syncs.
    pub log: Waker,
    /// The node's clocks.
    pub clock: Clock,
    /// The ends that reach every thread.
    pub router: Router,
    /// What the front doors ask.
    pub gateway: Gateway,
    /// The gossip socket.
    pub gossip: Rc<Gossip>,
    /// The nodes to join by.
    pub seeds: Seeds,
}

impl ControlThread {
    /// Control that has just been opened, with what opening it wants done.
    ///
    /// # Errors
    /// If the storage fails.
    pub(crate) fn new(
        control: Control,
        opened: ControlEffects,
        around: Around,
    ) -> Result<Self, StoreError> {
        let Around { storage, store, log, clock, router, gateway, gossip, seeds } = around;
        let mut thread = ControlThread {
            driver: ControlDriver::new(control, Gossip::PACKET_BYTES_MAX),
            ground: Ground::new(store),
            lanes_running: router.lanes(),
            storage,
            log,
            clock,
            router,
            gateway,
            gossip,
            seeds,
            turn: ControlTurn::default(),
            operators: BTreeMap::new(),
            operators_count: 0,
            end: None,
            published: Instant::now(),
        };
        let now = thread.clock.now();
        thread.driver.carry(opened, &mut thread.ground, now, &mut thread.turn)?;
        Ok(thread)
    }

    /// Runs until the node ends.
    pub(crate) async fn run(mut self, mut inputs: UnboundedReceiver<ControlInput>) -> End {
        let mut batch = Vec::with_capacity(INPUTS_MAX);
        let mut timer = pin!(sleep_until(Instant::now()));
        self.carry_out();
        while self.end.is_none() || self.lanes_running > 0 {
            let gossip = Rc::clone(&self.gossip);
            tokio::select! {
                count = inputs.recv_many(&mut batch, INPUTS_MAX) => {
                    if count == 0 {
                        self.end_by(End::Asked);
                    }
                }
                (from, opened) = gossip.receive() => self.receive(from, opened),
                () = &mut timer => {}
            }
            for input in batch.drain(..) {
                self.take_in(input);
            }
            self.take_turn();
            if self.published.elapsed() >= PUBLISH_EVERY {
                self.published = Instant::now();
                self.publish();
            }
            if let Some(deadline) = self.driver.control().next_deadline() {
                timer.as_mut().reset(Instant::from_std(self.clock.at(deadline)));
            }
        }
        let end = self.end.unwrap_or(End::Asked);
        match end {
            End::Failed(_) => end,
            End::Asked | End::Stopped(_) => self.stop().map_or_else(End::Failed, |()| end),
        }
    }

    /// All lanes have ended: what they wrote is synced, and that the node ended in order.
    fn stop(&mut self) -> Result<(), StoreError> {
        self.storage.sync()?;
        self.driver.push(Event::Stopping);
        let now = self.clock.now();
        self.driver.turn(&mut self.ground, now, &mut self.turn)?;
        self.storage.sync()
    }

    fn receive(&mut self, from: Address, opened: Result<Bytes, Unopened>) {
        match opened.as_deref().ok().and_then(locate::read) {
            Some(Located::Asked) => {
                let here = self.gateway.facts().addresses.peers.into();
                self.gossip.send(from, &locate::answer(here));
            }
            Some(Located::Told(peer)) => self.seeds.told(from, peer),
            None => self.driver.push(match opened {
                Ok(bytes) => Event::Packet { from, bytes },
                Err(Unopened) => Event::Unopened { from },
            }),
        }
    }

    fn take_in(&mut self, input: ControlInput) {
        match input {
            ControlInput::Event(event) => self.driver.push(event),
            ControlInput::Lane(event) => self.driver.push(Event::Lane(event)),
            ControlInput::Command(command, sender) => {
                self.operators_count += 1;
                let operator = OperatorId(self.operators_count);
                self.operators.insert(operator, sender);
                self.driver.push(Event::Operator { operator, command });
            }
            ControlInput::Synced(number) => {
                self.ground.synced(number);
                self.driver.synced(number, &mut self.turn);
            }
            ControlInput::LaneEnded(_, result) => {
                self.lanes_running = self.lanes_running.saturating_sub(1);
                if let Err(error) = result {
                    self.end_by(End::Failed(error));
                }
            }
            ControlInput::Stop => self.end_by(End::Asked),
            ControlInput::Failed(error) => self.end_by(End::Failed(error)),
        }
    }

    fn end_by(&mut self, end: End) {
        if self.end.is_none() {
            self.end = Some(end);
            self.tell_lanes(|| LaneInput::Stop);
        }
    }

    fn take_turn(&mut self) {
        if matches!(self.end, Some(End::Failed(_))) {
            return;
        }
        let now = self.clock.now();
        if self.driver.control().next_deadline().is_some_and(|at| at <= now.monotonic) {
            self.driver.push(Event::Tick);
        }
        // What control hands back to itself is handled in the same turn.
        while self.driver.is_busy()
            || !self.turn.actions.is_empty()
            || !self.turn.packets.is_empty()
        {
            if let Err(error) = self.driver.turn(&mut self.ground, now, &mut self.turn) {
                error!(%error, "the storage failed: control stops");
                return self.end_by(End::Failed(error));
            }
            self.carry_out();
        }
        if self.driver.holds() {
            self.log.wake();
        }
    }

    fn carry_out(&mut self) {
        for (address, bytes) in std::mem::take(&mut self.turn.packets) {
            self.gossip.send(address, &bytes);
        }
        for action in std::mem::take(&mut self.turn.actions) {
            self.act(action);
        }
    }

    fn act(&mut self, action: ControlAction) {
        match action {
            ControlAction::Packet(_) => unreachable!("the driver makes packets"),
            ControlAction::Send { to, address, message } => match self.seeds.peer_of(address) {
                Some(peer) => {
                    self.router.lane(0, LaneInput::Send(to, peer, message));
                }
                // Said again once it is known where.
                None => self.gossip.send(address, &locate::question()),
            },
            ControlAction::Admit { peer, verdict } => {
                if verdict.is_err() {
                    self.tell_lanes(|| LaneInput::Disconnect(peer));
                }
            }
            ControlAction::View(view) => {
                let spent = self.driver.control().actors_spent();
                self.gateway.show(Arc::clone(&view));
                self.tell_lanes(|| LaneInput::View(Arc::clone(&view), spent));
            }
            ControlAction::Respond { operator, answer } => {
                if let Some(sender) = self.operators.remove(&operator) {
                    drop(sender.send(answer.map(|answer| *answer)));
                }
            }
            ControlAction::Report(report) => warn!(%report, "control reports"),
            ControlAction::Control(event) => self.driver.push(*event),
            ControlAction::Stop(cause) => {
                info!(?cause, "control ends this node");
                self.end_by(End::Stopped(cause));
            }
        }
    }

    fn publish(&self) {
        let control = self.driver.control();
        let storage = self.storage.statistics();
        self.gateway.publish_control(ControlSnapshot {
            gossip: *control.gossip(),
            misplaced: control.misplaced(),
            storage: StorageFacts {
                free_permille: Some(storage.free_permille),
                bytes: vec![
                    ("cache", storage.cache_bytes as u64),
                    ("memtables", storage.memtables_bytes),
                    ("tables", storage.table_bytes.iter().map(|(_, bytes)| bytes).sum()),
                    ("log", storage.log_bytes),
                    ("free", storage.free_bytes),
                ],
                counts: vec![
                    ("commits", storage.commits),
                    ("syncs", storage.syncs),
                    ("fetched", storage.fetched),
                    ("damaged", storage.damaged),
                    ("range_deletes", storage.range_deletes),
                ],
                levels: vec![
                    ("fetches_waiting", storage.fetches_waiting as u64),
                    ("compaction_pending_bytes", storage.compaction_pending_bytes),
                    ("delayed_write_rate", storage.delayed_write_rate),
                    ("write_stopped", u64::from(storage.write_stopped)),
                ],
            },
        });
    }

    fn tell_lanes(&self, input: impl Fn() -> LaneInput) {
        for lane in 0..self.router.lanes() {
            self.router.lane(lane, input());
        }
    }
}
