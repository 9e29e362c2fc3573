//! From one node's effects to another's events: packets and stream messages on their way.

use super::{Cluster, INBOX_MAX, Parcel, ProcessState, address, host_of};
use crate::attributes::Address;
use crate::event::{Change, Effects, Event, Now};
use crate::simulation::queue::Planned;

impl Cluster {
    pub(super) fn arrive(&mut self, index: usize, number: u32) {
        let process = &mut self.processes[index];
        match process.state {
            ProcessState::Dead => self.free.push(number),
            ProcessState::Blocked | ProcessState::Stopped if process.inbox.len() < INBOX_MAX => {
                process.inbox.push_back(number);
            }
            ProcessState::Blocked | ProcessState::Stopped => self.free.push(number),
            ProcessState::Running => {
                let parcel = std::mem::take(&mut self.parcels[number as usize]);
                let from = address(parcel.from_host, 7381);
                self.packets_handled += 1;
                if parcel.cluster == process.cluster {
                    self.give(index, Event::Packet { from, bytes: &parcel.bytes });
                } else {
                    self.give(index, Event::Unopened { from });
                }
                self.parcels[number as usize] = parcel;
                self.free.push(number);
            }
        }
    }

    /// Streams are reliable: what arrives at a process that is not running for now is read later, here at once
    /// after it goes on.
    pub(super) fn arrive_stream(&mut self, number: u32) {
        let parcel = std::mem::take(&mut self.parcels[number as usize]);
        if let Some(node) = self.hosts.get(parcel.to_host as usize).copied().flatten() {
            let index = node as usize;
            let peer = self.processes[parcel.from as usize].id;
            let process = &self.processes[index];
            // Certificates name the cluster: a stranger's connection is refused.
            if process.state == ProcessState::Running && process.cluster == parcel.cluster {
                self.give(index, Event::Stream { peer, bytes: &parcel.bytes });
            }
        }
        self.parcels[number as usize] = parcel;
        self.free.push(number);
    }

    pub(super) fn carry_out(&mut self, index: usize, now: Now, effects: &mut Effects) {
        for transmit in effects.transmits.drain(..) {
            let number = self.parcel(index, transmit.address);
            let parcel = &mut self.parcels[number as usize];
            let swim = self.processes[index].swim.as_mut().expect("it just gave these effects");
            swim.write_packet(&transmit, self.network.bytes_max, now, &mut parcel.bytes);
            self.messages_sent += 1;
            if self.processes[index].state == ProcessState::Blocked {
                self.processes[index].outbox.push(number);
            } else {
                self.post(index, number);
            }
        }
        for stream in effects.streams.drain(..) {
            self.messages_sent += 1;
            let number = self.parcel(index, stream.address);
            self.parcels[number as usize].bytes = stream.bytes;
            let to_host = self.parcels[number as usize].to_host as usize;
            let to = self.hosts.get(to_host).copied().flatten();
            let reached = to.is_some_and(|to| {
                self.network.connects(index, to as usize)
                    && self.network.connects(to as usize, index)
                    && self.processes[index].state == ProcessState::Running
            });
            if reached {
                // A handshake and the message itself.
                let delay = self.network.delay(&mut self.rng) * 3;
                self.queue.push(self.now + delay, Planned::Stream(number));
            } else {
                self.free.push(number);
            }
        }
        let node = u32::try_from(index).expect("far fewer than 2^32 nodes");
        let mut finished = false;
        for change in effects.changes.drain(..) {
            finished |= change == Change::LeaveFinished;
            if let Change::GenerationRaised(generation) = &change {
                self.processes[index].generation = generation.0;
            }
            self.observer.note(self.now, node, change);
        }
        if finished {
            self.crash(index);
        }
    }

    /// A buffer, addressed.
    fn parcel(&mut self, from: usize, to: Address) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.parcels.push(Parcel::default());
            u32::try_from(self.parcels.len() - 1).expect("far fewer than 2^32 packets")
        });
        let process = &self.processes[from];
        let parcel = &mut self.parcels[number as usize];
        parcel.from = u32::try_from(from).expect("far fewer than 2^32 nodes");
        parcel.from_host = process.host;
        parcel.to_host = host_of(to);
        parcel.cluster = process.cluster;
        parcel.bytes.clear();
        number
    }

    pub(super) fn post(&mut self, from: usize, number: u32) {
        let parcel = &self.parcels[number as usize];
        let to = self.hosts.get(parcel.to_host as usize).copied().flatten();
        let connected = to.is_some_and(|to| self.network.connects(from, to as usize));
        if connected && !self.network.loses(parcel.bytes.len(), &mut self.rng) {
            let delay = self.network.delay(&mut self.rng);
            self.queue.push(self.now + delay, Planned::Packet(number));
        } else {
            self.free.push(number);
        }
    }
}
