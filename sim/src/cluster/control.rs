//! Controls of the nodes: their turns, packets and pictures.

use bytes::Bytes;
use std::net::Ipv4Addr;
use std::time::Duration;

use coterie_protocol::control::{Command, ControlAction, Event, OperatorId, StopCause};
use coterie_protocol::driver::ControlTurn;
use coterie_protocol::rows::StoreError;
use coterie_protocol::{Class, ControlEvent};
use coterie_swim::Address;

use super::{Cluster, Happening};
use crate::disk::Chancy;
use crate::network::NodeIndex;

/// How long control takes for a turn.
const TURN_TIME: Duration = Duration::from_micros(20);

impl Cluster {
    /// Hands an event to a node's control and wakes it.
    pub(super) fn push_control(&mut self, index: NodeIndex, event: Event) {
        if let Some(process) = &mut self.nodes[index].process {
            process.control.driver.push(event);
            self.wake_control(index);
        }
    }

    pub(super) fn tell_control(&mut self, index: NodeIndex, event: ControlEvent) {
        self.push_control(index, Event::Lane(event));
    }

    /// An operator commands something at a node.
    pub fn command(&mut self, index: NodeIndex, command: Command) {
        let now = self.now();
        self.trace.line(now, format_args!("operator at {index}: {command:?}"));
        self.operators += 1;
        let operator = OperatorId(self.operators);
        self.push_control(index, Event::Operator { operator, command: Box::new(command) });
    }

    fn wake_control(&mut self, index: NodeIndex) {
        let life = self.nodes[index].life;
        let Some(process) = &mut self.nodes[index].process else { return };
        if !process.control.awake && process.control.driver.is_busy() {
            process.control.awake = true;
            self.queue.after(TURN_TIME, Happening::ControlTurn(index, life));
        }
    }

    pub(super) fn control_turn(&mut self, index: NodeIndex, life: u64) {
        let at = self.now();
        let node = &mut self.nodes[index];
        if node.life != life {
            return;
        }
        let now = node.clock.read(at);
        let Some(process) = &mut node.process else { return };
        process.control.awake = false;
        let mut disk = Chancy::new(&mut node.disk, &mut self.disks, 0);
        let mut turn = ControlTurn::default();
        let done = process.control.driver.turn(&mut disk, now, &mut turn);
        self.after_control_turn(index, done.map(|()| turn));
    }

    pub(super) fn after_control_turn(
        &mut self,
        index: NodeIndex,
        turn: Result<ControlTurn, StoreError>,
    ) {
        let turn = match turn {
            Ok(turn) => turn,
            Err(error) => return self.storage_stops(index, error),
        };
        for (address, bytes) in turn.packets {
            self.send_packet(index, address, &bytes);
        }
        self.carry_out_control(index, turn.actions);
        self.wake_control(index);
        self.set_control_tick(index);
        self.begin_sync(index);
    }

    pub(super) fn carry_out_control(&mut self, index: NodeIndex, actions: Vec<ControlAction>) {
        for action in actions {
            let now = self.now();
            match action {
                ControlAction::Packet(_) => unreachable!("packets were written"),
                ControlAction::Send { to, address, message } => {
                    let Some(other) = self.at(address) else { continue };
                    if to.is_none_or(|to| self.nodes[other].id == to) {
                        let from = (index, self.nodes[index].life);
                        self.send(from, other, Class::Requests, message);
                    }
                }
                ControlAction::Admit { peer, verdict } => {
                    if let (Err(_), Some(other)) = (verdict, self.index_of(peer)) {
                        let plans = self.network.lose(now, index, other);
                        self.plan(plans);
                    }
                }
                ControlAction::View(view) => self.look_at_view(index, &view),
                ControlAction::Respond { operator, answer } => {
                    self.trace.line(now, format_args!("{index} answers {operator:?}: {answer:?}"));
                }
                ControlAction::Report(report) => {
                    self.trace.line(now, format_args!("{index} reports: {report}"));
                }
                ControlAction::Control(event) => self.push_control(index, *event),
                ControlAction::Stop(cause) => {
                    self.trace.line(now, format_args!("{index} ends: {cause:?}"));
                    self.kill(index);
                    self.nodes[index].gone |= cause == StopCause::Removed;
                    return;
                }
            }
        }
    }

    fn set_control_tick(&mut self, index: NodeIndex) {
        let node = &mut self.nodes[index];
        let life = node.life;
        let Some(process) = &mut node.process else { return };
        let Some(deadline) = process.control.driver.control().next_deadline() else { return };
        let at = node.clock.run_time(deadline);
        if process.control.tick_at.is_none_or(|planned| at < planned) {
            process.control.tick_at = Some(at);
            self.queue.at(at, Happening::ControlTick(index, life));
        }
    }

    pub(super) fn control_tick(&mut self, index: NodeIndex, life: u64) {
        let now = self.now();
        let node = &mut self.nodes[index];
        if node.life != life {
            return;
        }
        let Some(process) = &mut node.process else { return };
        if process.control.tick_at.is_none_or(|planned| planned > now) {
            return;
        }
        process.control.tick_at = None;
        let deadline = process.control.driver.control().next_deadline();
        if deadline.is_some_and(|deadline| node.clock.run_time(deadline) <= now) {
            process.control.driver.push(Event::Tick);
            self.wake_control(index);
        } else {
            self.set_control_tick(index);
        }
    }

    fn send_packet(&mut self, index: NodeIndex, address: Address, bytes: &Bytes) {
        let Some(to) = self.at(address) else { return };
        let now = self.now();
        for at in self.network.datagram(now, index, to) {
            self.queue.at(at, Happening::Packet { from: index, to, bytes: bytes.clone() });
        }
    }

    pub(super) fn packet(&mut self, from: NodeIndex, to: NodeIndex, bytes: Bytes) {
        let now = self.now();
        self.trace.hash(now, (from, to, bytes.len()));
        self.push_control(to, Event::Packet { from: address(from), bytes });
    }

    /// Two nodes have a connection, and greet each other.
    pub(super) fn connected(&mut self, one: NodeIndex, other: NodeIndex, round_trip: Duration) {
        let at = self.now();
        for (from, to) in [(one, other), (other, one)] {
            let node = &self.nodes[from];
            let Some(process) = &node.process else { continue };
            let hello = process.control.driver.control().hello(node.clock.read(at));
            self.push_control(to, Event::Hello { peer: node.id, hello, round_trip });
        }
    }

    /// The node at an address.
    fn at(&self, wanted: Address) -> Option<NodeIndex> {
        (0..self.nodes.len()).find(|index| address(*index) == wanted)
    }
}

/// Where a node is heard.
pub(super) fn address(index: NodeIndex) -> Address {
    let host = u8::try_from(index + 1).expect("there are few nodes");
    Address::from((Ipv4Addr::new(10, 0, 0, host), 7_400))
}
