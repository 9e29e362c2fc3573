//! The nodes, their clocks and processes, and the loop that moves time on.

mod delivery;

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::network::Network;
use super::observer::{Observer, index_of};
use super::queue::{Planned, Queue};
use crate::attributes::{Address, Attributes, Label};
use crate::event::{Effects, Event, Now, Start};
use crate::identity::{Generation, Instance, NodeId};
use crate::members::Status;
use crate::node::Swim;
use crate::parameters::Parameters;
use crate::record::Record;
use crate::wire::{Buckets, StreamMessage, encode_stream};

/// The part of a simulated id that is the node's index; the rest is random.
pub const NODE_INDEX_MASK: u128 = u32::MAX as u128;

/// Packets a stopped or blocked process keeps in its socket's buffer.
const INBOX_MAX: usize = 2_048;

/// How a node's process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// Not started, crashed, or ended.
    Dead,
    /// Running.
    Running,
    /// Its timers run, but nothing it sends or receives gets through until it goes on (Lifeguard's fault model).
    Blocked,
    /// Nothing runs until it goes on, as after SIGSTOP.
    Stopped,
}

#[derive(Debug)]
struct Process {
    id: NodeId,
    /// Where it is: packets to this host number reach it.
    host: u32,
    cluster: u32,
    generation: u64,
    /// Of its first life; later ones count up.
    first_instance: u64,
    swim: Option<Swim>,
    state: ProcessState,
    /// When the process started; its monotonic clock counts from there.
    started: Duration,
    /// What its wall clock is off by, in milliseconds.
    clock_skew_millis: i64,
    /// The earliest tick planned.
    planned_tick: Option<Duration>,
    inbox: VecDeque<u32>,
    outbox: Vec<u32>,
}

#[derive(Debug, Default)]
struct Parcel {
    from_host: u32,
    from: u32,
    to_host: u32,
    cluster: u32,
    bytes: Vec<u8>,
}

/// A cluster, or several, on one network.
#[derive(Debug)]
pub struct Cluster {
    /// The network's faults.
    pub network: Network,
    /// What consumers were told.
    pub observer: Observer,
    parameters: Parameters,
    now: Duration,
    rng: Xoshiro256PlusPlus,
    queue: Queue,
    processes: Vec<Process>,
    /// Which process is at a host.
    hosts: Vec<Option<u32>>,
    parcels: Vec<Parcel>,
    free: Vec<u32>,
    effects: Effects,
    messages_sent: u64,
    packets_handled: u64,
}

impl Cluster {
    /// Nodes that are not started yet.
    #[must_use]
    pub fn new(nodes: usize, seed: u64, parameters: Parameters) -> Self {
        let mut cluster = Self {
            network: Network::default(),
            observer: Observer::default(),
            parameters,
            now: Duration::ZERO,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            queue: Queue::default(),
            processes: Vec::new(),
            hosts: Vec::new(),
            parcels: Vec::new(),
            free: Vec::new(),
            effects: Effects::default(),
            messages_sent: 0,
            packets_handled: 0,
        };
        for _ in 0..nodes {
            cluster.add_process(0);
        }
        cluster
    }

    /// Running nodes that know each other already, five seconds on.
    #[must_use]
    pub fn converged(nodes: usize, seed: u64, parameters: Parameters) -> Self {
        let mut cluster = Self::new(nodes, seed, parameters);
        let everyone: Vec<usize> = (0..nodes).collect();
        let records: Vec<Record> =
            everyone.iter().map(|index| cluster.introduction(*index)).collect();
        for index in 0..nodes {
            cluster.start_with(index, Vec::new(), records.clone());
        }
        // Another node's word turns memories into members.
        let mut buckets = Buckets::default();
        (0..256).for_each(|bucket| buckets.insert(bucket));
        let message = StreamMessage::Records { buckets, answer: false, records };
        for index in 0..nodes {
            let witness = usize::from(index == 0).min(nodes - 1);
            let swim = cluster.processes[witness].swim.as_ref().expect("all are started");
            let (peer, bytes) = (swim.id(), encode_stream(&swim.header(), &message));
            if witness != index {
                cluster.give(index, Event::Stream { peer, bytes: &bytes });
            }
        }
        cluster.run_for(Duration::from_secs(5));
        cluster
    }

    /// Adds a node that is not started yet, to this cluster number. Its index is returned.
    pub fn add_process(&mut self, cluster: u32) -> usize {
        let index = u32::try_from(self.processes.len()).expect("far fewer than 2^32 nodes");
        let random = u128::from(self.rng.random::<u64>());
        self.processes.push(Process {
            id: NodeId(random << 64 | u128::from(index)),
            host: index,
            cluster,
            generation: 0,
            first_instance: self.rng.random_range(0..u64::MAX / 2),
            swim: None,
            state: ProcessState::Dead,
            started: Duration::ZERO,
            clock_skew_millis: 0,
            planned_tick: None,
            inbox: VecDeque::new(),
            outbox: Vec::new(),
        });
        self.hosts.push(Some(index));
        index as usize
    }

    /// Nodes, running or not.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.processes.len()
    }

    /// Virtual time.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// How a node's process is.
    #[must_use]
    pub fn state(&self, index: usize) -> ProcessState {
        self.processes[index].state
    }

    /// A node's state machine, if its process runs.
    #[must_use]
    pub fn swim(&self, index: usize) -> Option<&Swim> {
        self.processes[index].swim.as_ref()
    }

    /// A node's identity.
    #[must_use]
    pub fn id(&self, index: usize) -> NodeId {
        self.processes[index].id
    }

    /// Where a node's peers reach it over QUIC.
    #[must_use]
    pub fn seed_address(&self, index: usize) -> Address {
        address(self.processes[index].host, 7400)
    }

    /// Packets and stream messages sent so far.
    #[must_use]
    pub fn messages_sent(&self) -> u64 {
        self.messages_sent
    }

    /// Packets handled so far.
    #[must_use]
    pub fn packets_handled(&self) -> u64 {
        self.packets_handled
    }

    /// What one node's consumers see another as.
    #[must_use]
    pub fn status(&self, observer: usize, subject: usize) -> Option<Status> {
        self.swim(observer).and_then(|swim| swim.status(self.id(subject)))
    }

    /// A process loses its storage: its next life knows of none before.
    pub fn wipe(&mut self, index: usize) {
        self.processes[index].generation = 0;
        self.processes[index].first_instance = self.rng.random_range(0..u64::MAX / 2);
    }

    /// Starts a node as a new life of it, knowing these seeds and remembering these records.
    pub fn start_with(&mut self, index: usize, seeds: Vec<Address>, remembered: Vec<Record>) {
        let seed = self.rng.random();
        self.processes[index].generation += 1;
        let attributes = self.attributes(index);
        let process = &mut self.processes[index];
        process.started = self.now;
        process.state = ProcessState::Running;
        process.inbox.clear();
        process.outbox.clear();
        let start = Start { id: process.id, attributes, seeds, remembered, seed };
        let now = Now { monotonic: Duration::ZERO, wall_millis: 0 };
        process.swim = Some(Swim::new(start, self.parameters.clone(), now));
        process.planned_tick = None;
        self.plan_tick(index);
    }

    /// Starts a node that joins by another.
    pub fn start(&mut self, index: usize, seed: usize) {
        let seeds = vec![self.seed_address(seed)];
        self.start_with(index, seeds, Vec::new());
    }

    /// Ends a node's process without a word.
    pub fn crash(&mut self, index: usize) {
        let process = &mut self.processes[index];
        process.swim = None;
        process.state = ProcessState::Dead;
        process.planned_tick = None;
        let parcels: Vec<u32> = process.inbox.drain(..).chain(process.outbox.drain(..)).collect();
        self.free.extend(parcels);
    }

    /// Stops or blocks a node for a while.
    pub fn suspend(&mut self, index: usize, state: ProcessState, pause: Duration) {
        if self.processes[index].swim.is_some() {
            self.processes[index].state = state;
            let node = u32::try_from(index).expect("far fewer than 2^32 nodes");
            self.queue.push(self.now + pause, Planned::Resume(node));
        }
    }

    /// Moves a node to another host number, which it announces. Whoever is there is no longer reached.
    pub fn relocate(&mut self, index: usize, host: u32) {
        let old = self.processes[index].host as usize;
        let node = u32::try_from(index).expect("far fewer than 2^32 nodes");
        if self.hosts[old] == Some(node) {
            self.hosts[old] = None;
        }
        if self.hosts.len() <= host as usize {
            self.hosts.resize(host as usize + 1, None);
        }
        self.hosts[host as usize] = Some(node);
        self.processes[index].host = host;
        if self.processes[index].swim.is_some() {
            let attributes = self.attributes(index);
            self.give(index, Event::Announce(attributes));
        }
    }

    /// Makes the next lives of `index` claim the identity of another node.
    pub fn clone_identity(&mut self, index: usize, of: usize) {
        self.processes[index].id = self.processes[of].id;
        self.processes[index].generation = self.processes[of].generation - 1;
    }

    /// Sets a node's wall clock.
    pub fn skew_clock(&mut self, index: usize, millis: i64) {
        self.processes[index].clock_skew_millis = millis;
    }

    /// Hands an event to a node's state machine, and does what it says.
    pub fn give(&mut self, index: usize, event: Event<'_>) {
        let now = self.clock(index);
        let mut effects = std::mem::take(&mut self.effects);
        if let Some(swim) = &mut self.processes[index].swim {
            swim.handle(event, now, &mut effects);
        }
        self.carry_out(index, now, &mut effects);
        self.effects = effects;
        self.plan_tick(index);
    }

    /// Moves time on.
    pub fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some((at, planned)) = self.queue.pop_until(until) {
            self.now = at;
            self.happen(planned);
        }
        self.now = until;
    }

    /// Moves time on until something holds, looked at every `step`. The time it took, if within `limit`.
    pub fn run_until(
        &mut self,
        limit: Duration,
        step: Duration,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Option<Duration> {
        let start = self.now;
        while !holds(self) {
            if self.now >= start + limit {
                return None;
            }
            self.run_for(step);
        }
        Some(self.now - start)
    }

    /// Indices of the nodes whose process exists.
    pub fn alive(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes()).filter(|index| self.processes[*index].swim.is_some())
    }

    /// Whether every living node sees every other living node up.
    #[must_use]
    pub fn full_view(&self) -> bool {
        let alive: Vec<usize> = self.alive().collect();
        alive.iter().all(|observer| {
            let swim = self.processes[*observer].swim.as_ref().expect("it is alive");
            alive.iter().all(|subject| {
                observer == subject || {
                    let process = &self.processes[*subject];
                    let id = process.id;
                    swim.status(id) == Some(Status::Up)
                        && swim.evidence(id).is_some_and(|e| e.generation.0 >= process.generation)
                }
            })
        })
    }

    /// Whether all living nodes have equal digests.
    #[must_use]
    pub fn digests_equal(&self) -> bool {
        let mut digests = self.alive().filter_map(|index| self.swim(index)).map(Swim::digest);
        let first = digests.next();
        digests.all(|digest| Some(digest) == first)
    }

    /// What a node will say of itself in its first life.
    fn introduction(&self, index: usize) -> Record {
        let generation = Generation(1);
        Record {
            id: self.processes[index].id,
            evidence: crate::record::Evidence {
                generation,
                incarnation: crate::identity::Incarnation(0),
                rank: crate::record::Rank::Alive,
            },
            accusers: crate::record::Accusers::default(),
            age_seconds: 0,
            attributes: Some(Attributes { generation, ..self.attributes(index) }),
        }
    }

    fn attributes(&self, index: usize) -> Attributes {
        let process = &self.processes[index];
        let zones = ["a", "b", "c"];
        Attributes {
            generation: Generation(process.generation),
            version: 0,
            instance: Instance(process.first_instance + process.generation.saturating_sub(1)),
            gossip: address(process.host, 7381),
            peer: address(process.host, 7400),
            resp: address(process.host, 7379),
            http: address(process.host, 7380),
            lanes: 8,
            weight: 100,
            protocols: (1, 1),
            region: Label::new("region-1").expect("short"),
            zone: Label::new(zones[index % zones.len()]).expect("short"),
        }
    }

    fn clock(&self, index: usize) -> Now {
        let process = &self.processes[index];
        let monotonic = self.now - process.started;
        let true_millis = i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX);
        let epoch_millis = 1_800_000_000_000 + true_millis + process.clock_skew_millis;
        Now { monotonic, wall_millis: epoch_millis.unsigned_abs() }
    }

    fn plan_tick(&mut self, index: usize) {
        let process = &mut self.processes[index];
        let Some(deadline) = process.swim.as_ref().and_then(Swim::next_deadline) else { return };
        let at = (process.started + deadline).max(self.now);
        if process.planned_tick.is_none_or(|planned| at < planned) {
            process.planned_tick = Some(at);
            let node = u32::try_from(index).expect("far fewer than 2^32 nodes");
            self.queue.push(at, Planned::Tick(node));
        }
    }

    fn happen(&mut self, planned: Planned) {
        match planned {
            Planned::Tick(node) => self.tick(node as usize),
            Planned::Packet(parcel) => {
                if let Some(node) = self.hosts[self.parcels[parcel as usize].to_host as usize] {
                    self.arrive(node as usize, parcel);
                } else {
                    self.free.push(parcel);
                }
            }
            Planned::Stream(parcel) => self.arrive_stream(parcel),
            Planned::Resume(node) => self.resume(node as usize),
        }
    }

    fn tick(&mut self, index: usize) {
        let process = &mut self.processes[index];
        if process.planned_tick != Some(self.now) || process.state == ProcessState::Stopped {
            return;
        }
        process.planned_tick = None;
        let due = process.swim.as_ref().and_then(Swim::next_deadline);
        if due.is_some_and(|deadline| process.started + deadline <= self.now) {
            self.give(index, Event::Tick);
        } else {
            self.plan_tick(index);
        }
    }

    fn resume(&mut self, index: usize) {
        let process = &mut self.processes[index];
        if process.swim.is_none() {
            return;
        }
        process.state = ProcessState::Running;
        process.planned_tick = None;
        let inbox = std::mem::take(&mut process.inbox);
        let outbox = std::mem::take(&mut process.outbox);
        for parcel in outbox {
            self.post(index, parcel);
        }
        for parcel in inbox {
            self.arrive(index, parcel);
        }
        self.plan_tick(index);
    }

    /// The node an id belongs to.
    #[must_use]
    pub fn index(&self, id: NodeId) -> usize {
        index_of(id) as usize
    }
}

fn address(host: u32, port: u16) -> Address {
    // 10.0.0.0/8 holds the hosts.
    (Ipv4Addr::from(0x0a00_0000 | host), port).into()
}

fn host_of(address: Address) -> u32 {
    match std::net::SocketAddr::from(address) {
        std::net::SocketAddr::V4(address) => u32::from(*address.ip()) & 0x00ff_ffff,
        std::net::SocketAddr::V6(_) => 0x00ff_ffff,
    }
}
