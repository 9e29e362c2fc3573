//! A cluster in the hands of a test: who is asked what, who is cut off from whom, and what is waited for.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use bytes::Bytes;
use coterie_protocol::{Class, ClientId, Event, control};
use coterie_wire::frame::{Frame, FrameCounters, FrameError, Reader};
use coterie_wire::{Message, Request, Response};

use super::control::address;
use super::delivery::CLUSTER;
use super::{Cluster, Happening};
use crate::network::{NodeIndex, Parcel};

/// Clients of tests have numbers from here on, those of the [workload](crate::workload) smaller ones.
const FIRST: u64 = 1 << 48;

/// Requests of tests, and their answers.
#[derive(Debug, Default)]
pub(super) struct Script {
    requests: u64,
    told: Vec<Told>,
    streams: BTreeMap<(NodeIndex, NodeIndex), Reader>,
    /// Answers to what was put into streams.
    overheard: Option<Vec<Message>>,
}

/// The answer to a request of a test.
#[derive(Clone, Debug)]
pub struct Told {
    /// The number that [`Cluster::request`] gave.
    pub number: u64,
    /// When it came.
    pub at: Duration,
    /// What it was.
    pub response: Response,
}

impl Script {
    /// Takes an answer, if a test asked.
    pub(super) fn takes(&mut self, number: u64, at: Duration, response: &Response) -> bool {
        let mine = number >= FIRST;
        if mine {
            self.told.push(Told { number, at, response: response.clone() });
        }
        mine
    }

    /// Takes a message down that is delivered, if a test listens.
    pub(super) fn overhears(&mut self, message: &Message) {
        if let Some(overheard) = &mut self.overheard {
            overheard.push(message.clone());
        }
    }
}

impl Cluster {
    /// Asks a node; the number of the answer, and of the request: its id is set. `None` if the node does not
    /// serve.
    pub fn request(&mut self, node: NodeIndex, mut request: Request) -> Option<u64> {
        if !self.serves(node) {
            return None;
        }
        let number = FIRST + self.script.requests;
        self.script.requests += 1;
        request.id.0 = u128::from(number);
        let lanes = self.nodes[node].process.as_ref().map_or(1, |process| process.lanes.len());
        let lane = usize::from(self.partition(&request.key).0) % lanes;
        let event = Event::Request { client: ClientId(number), request: Box::new(request) };
        self.push(node, lane, event);
        Some(number)
    }

    /// The answers that came since this was asked last, in order.
    pub fn take_told(&mut self) -> Vec<Told> {
        mem::take(&mut self.script.told)
    }

    /// Bytes come in at `to`, by a stream that `from` has opened.
    ///
    /// # Errors
    /// [`FrameError`]: then the connection of the two is closed.
    pub fn receive(
        &mut self,
        from: NodeIndex,
        to: NodeIndex,
        bytes: &[u8],
    ) -> Result<(), FrameError> {
        let stream = self.script.streams.entry((from, to)).or_insert_with(|| Reader::new(CLUSTER));
        stream.push(bytes);
        let mut frames = Vec::new();
        let end = loop {
            match stream.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        for frame in frames {
            match frame {
                Frame::Message(message) => {
                    let (class, connection) = (Class::Requests, 0);
                    self.deliver(Parcel { from, to, class, connection, message });
                }
                Frame::Refused(answer) => {
                    let life = self.nodes[to].life;
                    self.send((to, life), from, Class::Requests, answer);
                }
            }
        }
        if end.is_err() {
            let now = self.now();
            let plans = self.network.lose(now, from, to);
            self.plan(plans);
        }
        end
    }

    /// A datagram comes in at `to` from where `from` is, as it was sealed; `None` for one that the cluster's key does
    /// not open.
    pub fn receive_datagram(&mut self, from: NodeIndex, to: NodeIndex, bytes: Option<Bytes>) {
        let from = address(from);
        self.push_control(
            to,
            match bytes {
                Some(bytes) => control::Event::Packet { from, bytes },
                None => control::Event::Unopened { from },
            },
        );
    }

    /// What was not taken of the streams that tests wrote to.
    #[must_use]
    pub fn frame_counters(&self) -> FrameCounters {
        let mut counters = FrameCounters::default();
        self.script.streams.values().for_each(|stream| counters.add(&stream.counters()));
        counters
    }

    /// The messages that were delivered since this was asked last; none before that is asked first.
    pub fn overheard(&mut self) -> Vec<Message> {
        self.script.overheard.replace(Vec::new()).unwrap_or_default()
    }

    /// The most rows that one event of any lane has changed.
    #[must_use]
    pub fn rows_of_largest_event(&self) -> usize {
        let processes = self.nodes.iter().filter_map(|node| node.process.as_ref());
        let lanes = processes.flat_map(|process| &process.lanes);
        lanes.map(|lane| lane.driver.rows_max()).max().unwrap_or(0)
    }

    /// Nothing passes between the two sides any more, in either direction.
    pub fn split(&mut self, left: &[NodeIndex], right: &[NodeIndex]) {
        let now = self.now();
        for (one, other) in
            left.iter().flat_map(|left| right.iter().map(move |other| (left, other)))
        {
            for (from, to) in [(*one, *other), (*other, *one)] {
                let plans = self.network.block(now, from, to);
                self.plan(plans);
            }
        }
    }

    /// A node's process ends, and starts again after a while.
    pub fn crash_for(&mut self, node: NodeIndex, wait: Duration) {
        self.kill(node);
        let start = super::trouble::Relief::Start(node);
        self.queue.after(wait, Happening::Relief(start));
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now() + time;
        self.run_until(end);
        self.idle_until(end);
    }

    /// Lets time pass until something holds, looking `every` so often: how long that took, or `None` if it does not
    /// hold after `limit`.
    pub fn wait_for(
        &mut self,
        limit: Duration,
        every: Duration,
        mut holds: impl FnMut(&Cluster) -> bool,
    ) -> Option<Duration> {
        let begun = self.now();
        while self.now() <= begun + limit {
            if holds(self) {
                return Some(self.now() - begun);
            }
            self.pass(every);
        }
        None
    }

    /// Whether every node that serves takes every other for up.
    #[must_use]
    pub fn all_see_all(&self) -> bool {
        (0..self.nodes.len()).all(|node| !self.is_member(node) || self.missed_by(node).is_none())
    }
}
