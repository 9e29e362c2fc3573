//! The network between the nodes, as QUIC and UDP show it.
//!
//! A stream is reliable and ordered per pair of nodes and class until the connection is lost: then messages in
//! flight may have arrived or not, may arrive late, after those of the next connection, and their sender
//! may be told, late or never. Datagrams are lost, doubled and reordered.

mod connection;

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_protocol::Class;
use coterie_wire::{Message, RequestId};

use crate::random::Random;
use connection::Connection;

/// Which node, in the order in which nodes were made.
pub type NodeIndex = usize;

/// How the network behaves.
#[derive(Clone, Debug)]
pub struct Weather {
    /// One way, on average.
    pub latency: Duration,
    /// Of 1,000 datagrams, how many are lost.
    pub datagram_loss_permille: u32,
    /// Of 1,000 datagrams, how many arrive twice.
    pub datagram_repeat_permille: u32,
    /// Of 1,000 messages on a lost connection, how many senders are told of.
    pub told_permille: u32,
    /// Of 1,000 messages in flight on a lost connection, how many arrive all the same, late.
    pub lingering_permille: u32,
    /// How long a connection lives of which nothing arrives.
    pub idle: Duration,
}

/// A message on its way.
#[derive(Debug)]
pub struct Parcel {
    /// From whom.
    pub from: NodeIndex,
    /// To whom.
    pub to: NodeIndex,
    /// By which stream.
    pub class: Class,
    /// By which connection of the two.
    pub connection: u64,
    /// What.
    pub message: Box<Message>,
}

/// What the network does later.
#[derive(Debug)]
pub enum Later {
    /// A message arrives, unless something has come between.
    Arrives(Parcel),
    /// A sender learns that a message may not have arrived.
    Told {
        /// Who learns it.
        sender: NodeIndex,
        /// Who cannot be reached.
        receiver: NodeIndex,
        /// What the message was about.
        request: RequestId,
        /// Of which life of the sender it was.
        life: u64,
    },
    /// Two nodes have a connection.
    Connected {
        /// Which two.
        pair: (NodeIndex, NodeIndex),
        /// How long a round trip takes.
        round_trip: Duration,
    },
    /// A node finds that its connection to another is lost.
    Broken {
        /// Who finds it.
        node: NodeIndex,
        /// To whom.
        peer: NodeIndex,
    },
    /// A connection over which nothing comes through is given up, if that is still so.
    Idle {
        /// Between whom.
        pair: (NodeIndex, NodeIndex),
        /// Which.
        connection: u64,
    },
}

/// What the network decided, with the times at which it happens.
pub type Plans = Vec<(Duration, Later)>;

#[derive(Clone, Debug, Default)]
struct Path {
    /// How many reasons there are why nothing passes.
    blocks: u32,
    /// How much slower it is than others; 0 and 1 are not slower.
    slowness: u32,
}

/// The network.
#[derive(Debug)]
pub struct Network {
    weather: Weather,
    random: Random,
    paths: BTreeMap<(NodeIndex, NodeIndex), Path>,
    connections: BTreeMap<(NodeIndex, NodeIndex), Connection>,
}

impl Network {
    /// A network without faults yet.
    #[must_use]
    pub fn new(weather: Weather, random: Random) -> Self {
        Network { weather, random, paths: BTreeMap::new(), connections: BTreeMap::new() }
    }

    /// Whether something sent now from one to the other would arrive.
    #[must_use]
    pub fn passes(&self, from: NodeIndex, to: NodeIndex) -> bool {
        self.paths.get(&(from, to)).is_none_or(|path| path.blocks == 0)
    }

    /// Sends a message; `life` is that of the sender.
    pub fn send(
        &mut self,
        now: Duration,
        (from, life): (NodeIndex, u64),
        to: NodeIndex,
        class: Class,
        message: Box<Message>,
    ) -> Plans {
        let passes = self.passes(from, to);
        let both = passes && self.passes(to, from);
        let mut latency = self.latency(from, to);
        let mut plans = Plans::new();
        let connection = self.connections.entry(pair(from, to)).or_default();
        if !connection.up {
            if !both || connection.peer_gone {
                let wait = self.random.between(Duration::from_millis(100), self.weather.idle);
                return self.tell(now + wait, (from, life), to, message.request);
            }
            // The handshake takes a round trip.
            connection.up = true;
            let round_trip = latency * 2;
            plans.push((now + round_trip, Later::Connected { pair: pair(from, to), round_trip }));
            latency *= 3;
        }
        let stream = connection.stream(from < to, class);
        let request = message.request;
        let parcel = Parcel { from, to, class, connection: connection.number, message };
        if connection.peer_gone {
            connection.sent(from < to, now + latency, life, request);
            return plans;
        }
        if !passes {
            connection.sent(from < to, Duration::MAX, life, request);
            connection.stalled.push(parcel);
            return plans;
        }
        let at = (now + latency).max(connection.last_arrival[stream]);
        connection.last_arrival[stream] = at;
        connection.forget_arrived(now.saturating_sub(self.weather.latency * 4));
        connection.sent(from < to, at, life, request);
        plans.push((at, Later::Arrives(parcel)));
        plans
    }

    /// Whether a parcel whose time has come is to be delivered; what waits for a blocked path is kept.
    pub fn arrives(&mut self, parcel: Parcel) -> Option<Parcel> {
        let passes = self.passes(parcel.from, parcel.to);
        let connection = self.connections.entry(pair(parcel.from, parcel.to)).or_default();
        if parcel.connection != connection.number {
            // It lingers in a buffer of a connection that was lost: if it arrives, it arrives late.
            return self.random.chance(self.weather.lingering_permille).then_some(parcel);
        }
        if !passes {
            connection.stalled.push(parcel);
            return None;
        }
        (!connection.peer_gone).then_some(parcel)
    }

    /// When a datagram arrives: never, once or twice.
    pub fn datagram(&mut self, now: Duration, from: NodeIndex, to: NodeIndex) -> Vec<Duration> {
        if !self.passes(from, to) || self.random.chance(self.weather.datagram_loss_permille) {
            return Vec::new();
        }
        let copies = 1 + usize::from(self.random.chance(self.weather.datagram_repeat_permille));
        (0..copies).map(|_| now + self.latency(from, to)).collect()
    }

    /// Nothing passes from one to the other any more.
    pub fn block(&mut self, now: Duration, from: NodeIndex, to: NodeIndex) -> Plans {
        self.paths.entry((from, to)).or_default().blocks += 1;
        self.expect_idle(now, from, to)
    }

    /// A reason why nothing passes is gone.
    pub fn unblock(&mut self, now: Duration, from: NodeIndex, to: NodeIndex) -> Plans {
        let path = self.paths.entry((from, to)).or_default();
        path.blocks = path.blocks.saturating_sub(1);
        if path.blocks > 0 {
            return Plans::new();
        }
        let connection = self.connections.entry(pair(from, to)).or_default();
        let stalled = std::mem::take(&mut connection.stalled);
        let (released, kept) = stalled.into_iter().partition(|parcel| parcel.from == from);
        connection.stalled = kept;
        let mut plans = Plans::new();
        for parcel in released {
            let latency = self.latency(from, to);
            let connection = self.connections.entry(pair(from, to)).or_default();
            let stream = connection.stream(from < to, parcel.class);
            let at = (now + latency).max(connection.last_arrival[stream]);
            connection.last_arrival[stream] = at;
            plans.push((at, Later::Arrives(parcel)));
        }
        plans
    }

    /// A path becomes so much slower, or with 1 as fast as others.
    pub fn slow(&mut self, from: NodeIndex, to: NodeIndex, slowness: u32) {
        self.paths.entry((from, to)).or_default().slowness = slowness;
    }

    /// All paths are as good as new; what waited for them is on its way.
    pub fn heal(&mut self, now: Duration) -> Plans {
        let paths: Vec<_> = self.paths.keys().copied().collect();
        let mut plans = Plans::new();
        for (from, to) in paths {
            self.slow(from, to, 1);
            while !self.passes(from, to) {
                plans.append(&mut self.unblock(now, from, to));
            }
        }
        plans
    }

    /// When the last of what is under way arrives: what was sent over a slow link is slow until then, and all that is sent
    /// behind it.
    #[must_use]
    pub fn quiet_at(&self) -> Duration {
        let connections = self.connections.values();
        connections.flat_map(|connection| connection.last_arrival).max().unwrap_or_default()
    }

    /// A node's process has ended: others learn of it only because nothing answers.
    pub fn gone(&mut self, now: Duration, node: NodeIndex, others: usize) -> Plans {
        let mut plans = Plans::new();
        for other in (0..others).filter(|other| *other != node) {
            self.connections.entry(pair(node, other)).or_default().peer_gone = true;
            plans.append(&mut self.expect_idle(now, node, other));
        }
        plans
    }

    /// A node's process runs again: what others had open to the one before is reset.
    pub fn back(&mut self, now: Duration, node: NodeIndex, others: usize) -> Plans {
        let mut plans = Plans::new();
        for other in (0..others).filter(|other| *other != node) {
            plans.append(&mut self.lose(now, node, other));
            self.connections.entry(pair(node, other)).or_default().peer_gone = false;
        }
        plans
    }

    /// The time has come to give a connection up over which nothing comes through.
    pub fn idle(
        &mut self,
        now: Duration,
        (one, other): (NodeIndex, NodeIndex),
        number: u64,
    ) -> Plans {
        let blocked = !self.passes(one, other) || !self.passes(other, one);
        let connection = self.connections.entry(pair(one, other)).or_default();
        if connection.number != number || !(blocked || connection.peer_gone) {
            return Plans::new();
        }
        self.lose(now, one, other)
    }

    /// A connection is lost: what is in flight on it may have arrived or not.
    pub fn lose(&mut self, now: Duration, one: NodeIndex, other: NodeIndex) -> Plans {
        let connection = self.connections.entry(pair(one, other)).or_default();
        let was_up = connection.up;
        let unacknowledged = connection.lose();
        let mut plans = Plans::new();
        for (node, peer) in [(one, other), (other, one)] {
            if was_up && self.random.chance(self.weather.told_permille) {
                plans.push((now, Later::Broken { node, peer }));
            }
        }
        let connection = self.connections.entry(pair(one, other)).or_default();
        for parcel in std::mem::take(&mut connection.stalled) {
            let linger = self.random.around(Duration::from_secs(2));
            plans.push((now + linger, Later::Arrives(parcel)));
        }
        let (low, high) = pair(one, other);
        for (upwards, life, request) in unacknowledged {
            let (sender, receiver) = if upwards { (low, high) } else { (high, low) };
            let wait = self.random.around(Duration::from_millis(300));
            plans.append(&mut self.tell(now + wait, (sender, life), receiver, request));
        }
        plans
    }

    fn tell(
        &mut self,
        at: Duration,
        (sender, life): (NodeIndex, u64),
        receiver: NodeIndex,
        request: RequestId,
    ) -> Plans {
        if self.random.chance(self.weather.told_permille) {
            vec![(at, Later::Told { sender, receiver, request, life })]
        } else {
            Plans::new()
        }
    }

    fn expect_idle(&mut self, now: Duration, one: NodeIndex, other: NodeIndex) -> Plans {
        let connection = self.connections.entry(pair(one, other)).or_default();
        let idle = Later::Idle { pair: pair(one, other), connection: connection.number };
        vec![(now + self.weather.idle, idle)]
    }

    fn latency(&mut self, from: NodeIndex, to: NodeIndex) -> Duration {
        let slowness = self.paths.get(&(from, to)).map_or(1, |path| path.slowness.max(1));
        let half = self.weather.latency / 2;
        (half + self.random.around(half)) * slowness
    }
}

fn pair(one: NodeIndex, other: NodeIndex) -> (NodeIndex, NodeIndex) {
    (one.min(other), one.max(other))
}
