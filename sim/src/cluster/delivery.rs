//! Between the nodes and within them: messages, turns of lanes, syncs.

use std::mem;
use std::time::Duration;

use bytes::BytesMut;
use coterie_protocol::driver::{ControlTurn, Turn};
use coterie_protocol::rows::{NotResident, StoreError};
use coterie_protocol::{Action, Class, Event, control};
use coterie_wire::frame::{self, ClusterTag, Frame};
use coterie_wire::peer::write::Change;
use coterie_wire::{Body, Message};

use super::{Cluster, Happening, Whose};
use crate::disk::{Chancy, Warm};
use crate::network::{Later, NodeIndex, Parcel};

/// The cluster, in frames.
pub(super) const CLUSTER: ClusterTag = ClusterTag(0xc07e);
/// How long a lane takes for one event.
const EVENT_TIME: Duration = Duration::from_micros(10);
/// How long a node that syncs periodically lets commits wait.
const SYNC_INTERVAL: Duration = Duration::from_millis(50);

impl Cluster {
    pub(super) fn network_does(&mut self, later: Later) {
        let now = self.now();
        match later {
            Later::Arrives(parcel) => {
                if let Some(parcel) = self.network.arrives(parcel) {
                    self.deliver(parcel);
                }
            }
            Later::Told { sender, receiver, request, life } => {
                if self.nodes[sender].life == life {
                    let to = self.nodes[receiver].id;
                    self.push_to_all(sender, &Event::Unreachable { to, request });
                }
            }
            Later::Connected { pair: (one, other), round_trip } => {
                self.connected(one, other, round_trip);
            }
            Later::Broken { node, peer } => {
                let peer = self.nodes[peer].id;
                self.push_control(node, control::Event::ConnectionLost { peer });
            }
            Later::Idle { pair, connection } => {
                let plans = self.network.idle(now, pair, connection);
                self.plan(plans);
            }
        }
    }

    pub(super) fn deliver(&mut self, parcel: Parcel) {
        let Parcel { from, to, message, .. } = parcel;
        self.script.overhears(&message);
        let now = self.now();
        self.trace.hash(now, (from, to, message.request.0, mem::discriminant(&message.body)));
        self.trace.line(now, format_args!("{from} -> {to} {message:?}"));
        let sender = self.nodes[from].id;
        let Some(process) = &mut self.nodes[to].process else { return };
        match message.slice {
            None => self.push_control(to, control::Event::Message { from: sender, message }),
            // Before its first view a node has no lanes.
            Some(_) if process.lanes.is_empty() => {}
            Some(slice) => {
                let lane = usize::from(slice.partition.0) % process.lanes.len();
                self.push(to, lane, Event::Message { from: sender, message });
            }
        }
    }

    /// Sends a message to another node.
    pub(super) fn send(
        &mut self,
        from: (NodeIndex, u64),
        to: NodeIndex,
        class: Class,
        message: Box<Message>,
    ) {
        let message = if self.options.frames { self.framed(&message) } else { message };
        let now = self.now();
        let plans = self.network.send(now, from, to, class, message);
        self.plan(plans);
    }

    /// A message as it is after it was bytes.
    fn framed(&mut self, message: &Message) -> Box<Message> {
        let mut bytes = Vec::new();
        frame::encode(CLUSTER, message, &mut bytes).expect("messages fit frames");
        self.counts.bytes += bytes.len() as u64;
        let mut received = BytesMut::from(&bytes[..]);
        let taken = frame::take(&mut received).expect("what was encoded is a frame");
        match frame::decode(CLUSTER, &taken.expect("it is whole")) {
            Frame::Message(decoded) => {
                assert_eq!(
                    decoded.body, message.body,
                    "a message is another one after its transport"
                );
                decoded
            }
            Frame::Refused(refusal) => panic!("{message:?} is refused as {refusal:?}"),
        }
    }

    /// Hands an event to a lane and wakes it.
    pub(super) fn push(&mut self, node: NodeIndex, lane: usize, event: Event) {
        if let Some(process) = &mut self.nodes[node].process {
            process.lanes[lane].driver.push(event);
            self.wake(node, lane, EVENT_TIME);
        }
    }

    pub(super) fn push_to_all(&mut self, node: NodeIndex, event: &Event) {
        let lanes = self.nodes[node].process.as_ref().map_or(0, |process| process.lanes.len());
        for lane in 0..lanes {
            self.push(node, lane, event.clone());
        }
    }

    pub(super) fn wake(&mut self, node: NodeIndex, lane: usize, wait: Duration) {
        let life = self.nodes[node].life;
        let Some(process) = &mut self.nodes[node].process else { return };
        let seat = &mut process.lanes[lane];
        if !seat.awake && seat.driver.is_busy() {
            seat.awake = true;
            self.queue.after(wait, Happening::Turn(Whose { node, life, lane }));
        }
    }

    fn is_running(&self, whose: Whose) -> bool {
        let node = &self.nodes[whose.node];
        node.life == whose.life && node.process.is_some()
    }

    pub(super) fn turn(&mut self, whose: Whose) {
        if !self.is_running(whose) {
            return;
        }
        let at = self.now();
        let node = &mut self.nodes[whose.node];
        let now = node.clock.read(at);
        let process = node.process.as_mut().expect("it is running");
        let seat = &mut process.lanes[whose.lane];
        seat.awake = false;
        let events_max = 1 + self.pacing.index(16);
        let permille = self.options.not_resident_permille;
        let mut disk = Chancy::new(&mut node.disk, &mut self.disks, permille);
        let mut turn = Turn::default();
        let done = seat.driver.turn(&mut disk, now, events_max, &mut turn);
        self.after_turn(whose, done.map(|()| turn));
    }

    pub(super) fn fetched(&mut self, whose: Whose, event: u64, rows: NotResident) {
        if !self.is_running(whose) {
            return;
        }
        let at = self.now();
        let node = &mut self.nodes[whose.node];
        let now = node.clock.read(at);
        let process = node.process.as_mut().expect("it is running");
        let driver = &mut process.lanes[whose.lane].driver;
        let permille = self.options.not_resident_permille;
        let mut disk = Chancy::new(&mut node.disk, &mut self.disks, permille);
        let mut turn = Turn::default();
        let add = |warm: &mut Warm| warm.fetched(rows);
        let done = driver.fetched(&mut disk, now, event, add, &mut turn);
        self.after_turn(whose, done.map(|()| turn));
    }

    fn after_turn(&mut self, whose: Whose, turn: Result<Turn, StoreError>) {
        let turn = match turn {
            Ok(turn) => turn,
            Err(error) => return self.storage_stops(whose.node, error),
        };
        for (event, rows) in turn.fetches {
            let wait = self.disks.around(self.options.disk_latency);
            self.queue.after(wait, Happening::Fetched(whose, event, rows));
        }
        self.carry_out(whose, turn.actions);
        let busy = EVENT_TIME * u32::try_from(turn.events).expect("turns are short");
        self.wake(whose.node, whose.lane, busy);
        self.set_tick(whose);
        self.begin_sync(whose.node);
    }

    fn set_tick(&mut self, whose: Whose) {
        let node = &mut self.nodes[whose.node];
        let Some(process) = &mut node.process else { return };
        let seat = &mut process.lanes[whose.lane];
        let Some(deadline) = seat.driver.lane().next_deadline() else { return };
        let at = node.clock.run_time(deadline);
        if seat.tick_at.is_none_or(|planned| at < planned) {
            seat.tick_at = Some(at);
            self.queue.at(at, Happening::Tick(whose));
        }
    }

    pub(super) fn tick(&mut self, whose: Whose) {
        if !self.is_running(whose) {
            return;
        }
        let now = self.now();
        let node = &mut self.nodes[whose.node];
        let process = node.process.as_mut().expect("it is running");
        let seat = &mut process.lanes[whose.lane];
        if seat.tick_at.is_none_or(|planned| planned > now) {
            return;
        }
        seat.tick_at = None;
        let deadline = seat.driver.lane().next_deadline();
        if deadline.is_some_and(|deadline| node.clock.run_time(deadline) <= now) {
            seat.driver.push(Event::Tick);
            self.wake(whose.node, whose.lane, Duration::ZERO);
        } else {
            self.set_tick(whose);
        }
    }

    pub(super) fn begin_sync(&mut self, index: NodeIndex) {
        let life = self.nodes[index].life;
        let committed = self.nodes[index].disk.committed();
        let Some(process) = &mut self.nodes[index].process else { return };
        let holds =
            process.control.driver.holds() || process.lanes.iter().any(|lane| lane.driver.holds());
        if process.syncing.is_none() && holds {
            process.syncing = Some(committed);
            let wait = self.disks.around(self.options.disk_latency);
            self.queue.after(wait, Happening::Synced(index, life));
        }
    }

    pub(super) fn synced(&mut self, index: NodeIndex, life: u64) {
        let node = &mut self.nodes[index];
        if node.life != life {
            return;
        }
        let Some(process) = &mut node.process else { return };
        let Some(number) = process.syncing.take() else { return };
        if let Err(error) = node.disk.synced(number) {
            return self.storage_stops(index, error);
        }
        self.release(index, number);
        self.begin_sync(index);
    }

    fn release(&mut self, node: NodeIndex, number: u64) {
        let life = self.nodes[node].life;
        let Some(process) = &mut self.nodes[node].process else { return };
        let mut turn = ControlTurn::default();
        process.control.driver.synced(number, &mut turn);
        self.carry_out_control(node, turn.actions);
        let lanes = self.nodes[node].process.as_ref().map_or(0, |process| process.lanes.len());
        for lane in 0..lanes {
            let Some(process) = &mut self.nodes[node].process else { return };
            let mut turn = Turn::default();
            process.lanes[lane].driver.synced(number, &mut turn);
            let whose = Whose { node, life, lane };
            self.carry_out(whose, turn.actions);
            self.wake(node, lane, EVENT_TIME);
        }
    }

    pub(super) fn sync_now_and_then(&mut self, index: NodeIndex, life: u64) {
        let node = &mut self.nodes[index];
        if node.life != life {
            return;
        }
        let Some(process) = &mut node.process else { return };
        let committed = node.disk.committed();
        if process.syncing.is_none() && !node.disk.is_synced(committed) {
            process.syncing = Some(committed);
            let wait = self.disks.around(self.options.disk_latency);
            self.queue.after(wait, Happening::Synced(index, life));
        }
        self.queue.after(SYNC_INTERVAL, Happening::Sync(index, life));
    }

    fn carry_out(&mut self, whose: Whose, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { to, class, message } => {
                    if let Body::Write(write) = &message.body
                        && let Change::Delta(delta) = &write.change
                    {
                        self.watch.sent(&write.key, delta);
                    }
                    let Some(to) = self.index_of(to) else { continue };
                    self.send((whose.node, whose.life), to, class, message);
                }
                Action::Respond { client, response } => {
                    self.answered(whose.node, client.0, *response);
                }
                Action::Lane(_) => unreachable!("lanes keep what is theirs"),
                Action::Control(event) => self.tell_control(whose.node, *event),
                Action::Listed { .. } | Action::Changed { .. } | Action::Barrier { .. } => {}
            }
        }
    }
}
