//! A whole cluster: nodes, the network between them, clients, and what goes wrong, on one queue.

mod asking;
mod birth;
mod control;
mod delivery;
mod lives;
mod operators;
mod script;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coterie_protocol::rows::NotResident;
use coterie_protocol::{SliceState, View};
use coterie_ring::decision::Decision;
use coterie_ring::moves::{LiveSets, SetVersion};
use coterie_ring::{NodeId, Partition, Partitioner};
use coterie_wire::{Key, Slice};

use crate::network::{Later, Network, NodeIndex, Plans};
use crate::node::Node;
use crate::options::Options;
use crate::queue::Queue;
use crate::random::Random;
use crate::report::Counts;
use crate::trace::Trace;
use crate::watch::Watch;
use crate::workload::Workload;

pub use script::Told;

/// What happens next.
#[derive(Debug)]
pub enum Happening {
    /// The network does something.
    Network(Later),
    /// A lane takes its turn.
    Turn(Whose),
    /// The deadline of a lane has come.
    Tick(Whose),
    /// Rows that an event of a lane waits for are there.
    Fetched(Whose, u64, NotResident),
    /// The sync of a node is over.
    Synced(NodeIndex, u64),
    /// A node that syncs from time to time does so.
    Sync(NodeIndex, u64),
    /// A node's control takes its turn.
    ControlTurn(NodeIndex, u64),
    /// The deadline of a node's control has come.
    ControlTick(NodeIndex, u64),
    /// A datagram arrives.
    Packet {
        /// From whom.
        from: NodeIndex,
        /// At whom.
        to: NodeIndex,
        /// What was sealed.
        bytes: Bytes,
    },
    /// A client asks for something.
    Ask(usize),
    /// A client waits no longer.
    GiveUp(u64),
    /// Something goes wrong.
    Trouble,
    /// Something that went wrong ends.
    Relief(trouble::Relief),
}

impl Happening {
    /// The node whose process has to run for this to happen.
    fn node(&self) -> Option<NodeIndex> {
        match self {
            Happening::Turn(whose) | Happening::Tick(whose) | Happening::Fetched(whose, ..) => {
                Some(whose.node)
            }
            Happening::Synced(node, _)
            | Happening::Sync(node, _)
            | Happening::ControlTurn(node, _)
            | Happening::ControlTick(node, _) => Some(*node),
            Happening::Network(_)
            | Happening::Packet { .. }
            | Happening::Ask(_)
            | Happening::GiveUp(_)
            | Happening::Trouble
            | Happening::Relief(_) => None,
        }
    }
}

/// A lane of a life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Whose {
    /// Of which node.
    pub node: NodeIndex,
    /// Of which of its processes.
    pub life: u64,
    /// Which lane.
    pub lane: usize,
}

/// A cluster in one thread.
#[derive(Debug)]
pub struct Cluster {
    /// What it was made from.
    pub options: Options,
    /// What is to happen.
    pub queue: Queue<Happening>,
    /// What happened.
    pub trace: Trace,
    /// Between the nodes.
    pub network: Network,
    /// The nodes, those that are gone among them.
    pub nodes: Vec<Node>,
    /// Who asks, and what they were told.
    pub workload: Workload,
    /// What must hold at all times.
    pub watch: Watch,
    /// How much happened.
    pub counts: Counts,
    /// Decisions that some node has had in force.
    decisions: BTreeMap<SetVersion, Arc<Decision>>,
    partitioner: Partitioner,
    operators: u64,
    /// Nodes that operators told to leave.
    leaving: BTreeSet<NodeIndex>,
    pacing: Random,
    disks: Random,
    troubles: Random,
    seeds: Random,
    healed: bool,
    /// Operations that have to be done.
    demanded: BTreeSet<u64>,
    script: script::Script,
}

impl Cluster {
    /// The cluster that `options` describe, with its first process started; `lines_max` lines of trace are kept.
    ///
    /// # Panics
    /// If there can be no such cluster.
    #[must_use]
    pub fn new(options: Options, lines_max: usize) -> Self {
        let random = |name| Random::new(options.seed, name);
        let network = Network::new(options.weather.clone(), random("network"));
        let workload = Workload::new(&options, random("workload"));
        let mut cluster = Cluster {
            queue: Queue::default(),
            trace: Trace::new(lines_max),
            network,
            nodes: Vec::new(),
            workload,
            watch: Watch::default(),
            counts: Counts::default(),
            decisions: BTreeMap::new(),
            partitioner: Partitioner::new(options.partitions).expect("a power of two"),
            operators: 0,
            leaving: BTreeSet::new(),
            pacing: random("pacing"),
            disks: random("disks"),
            troubles: random("troubles"),
            seeds: random("nodes"),
            healed: false,
            demanded: BTreeSet::new(),
            script: script::Script::default(),
            options,
        };
        for index in 0..cluster.options.nodes {
            cluster.add_node();
            cluster.start(index);
        }
        cluster
    }

    /// Virtual time since the run began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.queue.now()
    }

    /// Which node has this name.
    #[must_use]
    pub fn index_of(&self, id: NodeId) -> Option<NodeIndex> {
        self.nodes.iter().position(|node| node.id == id)
    }

    /// Lets things happen up to a time.
    pub fn run_until(&mut self, end: Duration) {
        while self.queue.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
    }

    /// Lets the next thing happen.
    pub fn step(&mut self) {
        let Some(happening) = self.queue.pop() else { return };
        self.counts.events += 1;
        // A process that stands still does everything afterwards.
        let paused_until = happening.node().map(|node| self.nodes[node].paused_until);
        if let Some(until) = paused_until.filter(|until| *until > self.now()) {
            return self.queue.at(until, happening);
        }
        match happening {
            Happening::Network(later) => self.network_does(later),
            Happening::Turn(whose) => self.turn(whose),
            Happening::Tick(whose) => self.tick(whose),
            Happening::Fetched(whose, event, rows) => self.fetched(whose, event, rows),
            Happening::Synced(node, life) => self.synced(node, life),
            Happening::Sync(node, life) => self.sync_now_and_then(node, life),
            Happening::ControlTurn(node, life) => self.control_turn(node, life),
            Happening::ControlTick(node, life) => self.control_tick(node, life),
            Happening::Packet { from, to, bytes } => self.packet(from, to, bytes),
            Happening::Ask(client) => self.ask(client),
            Happening::GiveUp(operation) => self.give_up(operation),
            Happening::Trouble => self.trouble(),
            Happening::Relief(relief) => self.relieve(relief),
        }
    }

    /// Lets virtual time pass up to `end` though nothing happens.
    pub fn idle_until(&mut self, end: Duration) {
        self.queue.pass(end);
    }

    /// The newest layout that is in force somewhere.
    #[must_use]
    pub fn decision(&self) -> Option<&Decision> {
        self.decisions.last_key_value().map(|(_, decision)| &**decision)
    }

    /// The decisions that were in force somewhere, oldest first.
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.values().map(|decision| &**decision)
    }

    /// What a node keeps of a slice, if it runs and owns it.
    #[must_use]
    pub fn slice(&self, node: NodeId, slice: Slice) -> Option<&SliceState> {
        let process = self.nodes[self.index_of(node)?].process.as_ref()?;
        // It has no lanes before it is given its first view.
        let lane = usize::from(slice.partition.0).checked_rem(process.lanes.len())?;
        process.lanes[lane].driver.lane().shared().slices.get(&slice)
    }

    /// A member of the newest layout that serves, and that a node takes for down.
    #[must_use]
    pub fn missed_by(&self, node: NodeIndex) -> Option<NodeId> {
        let view = self.view(node)?;
        let serves = |id: &NodeId| self.index_of(*id).is_some_and(|index| self.serves(index));
        let members = self.decision()?.layout().members().iter().map(|member| member.id);
        members.filter(serves).find(|member| !view.is_live(*member))
    }

    /// Whether a node has heard of the newest layout.
    #[must_use]
    pub fn is_informed(&self, node: NodeIndex) -> bool {
        let known = self.view(node).map(|view| view.decision.version());
        known == self.decision().map(Decision::version)
    }

    /// The cluster as a node sees it, once it serves.
    fn view(&self, node: NodeIndex) -> Option<&View> {
        let lane = self.nodes[node].process.as_ref()?.lanes.first()?;
        Some(&lane.driver.lane().shared().view)
    }

    /// The partition of a key.
    #[must_use]
    pub fn partition(&self, key: &Key) -> Partition {
        key.partition(self.partitioner)
    }

    /// The owners of a key, in the newest set.
    #[must_use]
    pub fn owners(&self, key: &Key) -> Vec<NodeId> {
        let sets = self.decision().and_then(|decision| self.live_sets(decision, key));
        sets.map_or(Vec::new(), |sets| sets.newest().members.to_vec())
    }

    /// Every node that may take part in requests on a key, by layouts that are in force or were lately.
    #[must_use]
    pub fn possible_owners(&self, key: &Key) -> Vec<NodeId> {
        let lately = self.decisions.values().rev().take(3);
        let sets = lately.filter_map(|decision| self.live_sets(decision, key));
        sets.flat_map(|sets| sets.owners()).collect()
    }

    fn live_sets(&self, decision: &Decision, key: &Key) -> Option<LiveSets> {
        let bucket = std::str::from_utf8(key.bucket()).ok()?;
        let replicas = decision.layout().snapshot().bucket(bucket)?.replicas;
        Some(decision.live_sets(self.partition(key), replicas))
    }

    /// Whether the newest layout has a node as a member.
    #[must_use]
    pub fn is_member(&self, node: NodeIndex) -> bool {
        let id = self.nodes[node].id;
        self.decision().is_some_and(|decision| decision.layout().member_index(id).is_some())
    }

    /// How many members the newest layout has that own anything.
    #[must_use]
    pub fn members_with_shares(&self) -> usize {
        self.active().len()
    }

    /// Whether clients can connect to a node.
    #[must_use]
    pub fn serves(&self, node: NodeIndex) -> bool {
        self.nodes[node].process.as_ref().is_some_and(|process| !process.lanes.is_empty())
    }

    fn plan(&mut self, plans: Plans) {
        for (at, later) in plans {
            self.queue.at(at, Happening::Network(later));
        }
    }
}
