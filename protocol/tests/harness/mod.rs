//! A small cluster in memory: lanes over stores, time and messages in the test's hands.
//!
//! Nothing is random but what the seed says, and nothing is lost unless the test says so. For whole clusters under
//! faults there is `sim`.
#![allow(dead_code, reason = "each test file uses its own part")]
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod asking;
mod counted;
mod node;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use coterie_crdt::operation::{Operation, SetOperation, SetVerb};
use coterie_crdt::{Cells, Root, State};
use coterie_protocol::repair::barrier::{self, BarrierId};
use coterie_protocol::rows::address::KeyPrefix;
use coterie_protocol::rows::{Change, Store, Whole, whole};
use coterie_protocol::{
    Action, After, ClientId, ControlEvent, Effects, Event, Lane, Liveness, View,
};
use coterie_ring::decision::{self, Decision};
use coterie_ring::{
    BucketName, BucketPolicy, Intent, Level, NodeId, NodeIntent, NodeState, Partitioner, Place,
};
use coterie_swim::Now;
use coterie_wire::{Body, Key, Levels, Listed, Message, RequestId, Response};

use counted::Counted;
use node::Node;

/// Says of a message from, to, whether it is lost.
type Loses = Box<dyn FnMut(NodeId, NodeId, &Message) -> bool>;

/// Changes the order of messages under way, or repeats some; there is at least one.
type Disturbs = Box<dyn FnMut(&mut VecDeque<(NodeId, NodeId, Message)>)>;

/// Looks at a message under way.
type Watches = Box<dyn FnMut(&Message)>;

pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Now,
    /// Messages under way: from, to.
    pub(crate) messages: VecDeque<(NodeId, NodeId, Message)>,
    /// All that control was told, by node.
    pub(crate) control: Vec<(NodeId, ControlEvent)>,
    /// What barriers have come to.
    pub(crate) barriers: BTreeMap<BarrierId, barrier::Outcome>,
    responses: BTreeMap<ClientId, Vec<Response>>,
    listed: BTreeMap<ClientId, Vec<Listed>>,
    /// One-way cuts.
    cuts: BTreeSet<(NodeId, NodeId)>,
    loses: Option<Loses>,
    disturbs: Option<Disturbs>,
    /// Called with each message that is delivered or lost.
    watches: Option<Watches>,
    /// Rows read so far, and bytes of rows written.
    pub(crate) rows_read: usize,
    pub(crate) bytes_written: usize,
    clients: u64,
}

/// The bucket that [`Cluster::new`] makes.
pub(crate) const BUCKET: &str = "db0";

impl Cluster {
    /// So many nodes with one bucket of this policy.
    pub(crate) fn new(nodes: u64, policy: BucketPolicy) -> Self {
        let places = (1..=nodes).map(|node| Place::new("r", &node.to_string()).unwrap());
        Cluster::placed(places.collect(), policy)
    }

    /// A node at each place, with one bucket of this policy.
    pub(crate) fn placed(places: Vec<Place>, policy: BucketPolicy) -> Self {
        Cluster::begun(places, 0, (2, 8), policy)
    }

    /// As [`Cluster::new`], with so many lanes to each node.
    pub(crate) fn of_lanes(nodes: u64, lanes: u16, policy: BucketPolicy) -> Self {
        let places = (1..=nodes).map(|node| Place::new("r", &node.to_string()).unwrap());
        Cluster::begun(places.collect(), 0, (lanes, 8), policy)
    }

    /// As [`Cluster::new`], with so many partitions.
    pub(crate) fn parted(nodes: u64, partitions: usize, policy: BucketPolicy) -> Self {
        let places = (1..=nodes).map(|node| Place::new("r", &node.to_string()).unwrap());
        Cluster::begun(places.collect(), 0, (2, partitions), policy)
    }

    /// As [`Cluster::new`], with one node more that is no member yet.
    pub(crate) fn joined_by_one(nodes: u64, policy: BucketPolicy) -> Self {
        let places = (1..=nodes + 1).map(|node| Place::new("r", &node.to_string()).unwrap());
        Cluster::begun(places.collect(), 1, (2, 8), policy)
    }

    fn begun(
        places: Vec<Place>,
        joining: usize,
        (lanes, partitions): (u16, usize),
        policy: BucketPolicy,
    ) -> Self {
        let mut intent = Intent::new();
        let members = places.len() - joining;
        for (index, place) in places.iter().enumerate() {
            let state = if index < members { NodeState::Active } else { NodeState::Joining };
            let node = NodeIntent { state, weight: 1, place: place.clone() };
            intent.set_node(id(index as u64 + 1), node).unwrap();
        }
        intent.set_bucket(BucketName::new(BUCKET).unwrap(), policy).unwrap();
        let decision = decision::bootstrap(7, Partitioner::new(partitions).unwrap(), &intent)
            .map(Arc::new)
            .unwrap();
        let now = Now { monotonic: Duration::from_secs(1), wall_millis: 1_800_000_000_000 };
        let ids: Vec<NodeId> = (1..=places.len() as u64).map(id).collect();
        let node = |&id: &NodeId| Node::new(id, &ids, lanes, &decision, now);
        let mut cluster = Cluster {
            nodes: ids.iter().map(node).collect(),
            now,
            messages: VecDeque::new(),
            control: Vec::new(),
            barriers: BTreeMap::new(),
            responses: BTreeMap::new(),
            listed: BTreeMap::new(),
            cuts: BTreeSet::new(),
            loses: None,
            disturbs: None,
            watches: None,
            rows_read: 0,
            bytes_written: 0,
            clients: 0,
        };
        for index in 0..cluster.nodes.len() {
            cluster.show_view(index);
        }
        cluster.run();
        cluster
    }

    /// The layout in force.
    pub(crate) fn decision(&self) -> &Decision {
        &self.nodes[0].view.decision
    }

    pub(crate) fn node(&self, node: NodeId) -> &Node {
        self.nodes.iter().find(|it| it.id == node).unwrap()
    }

    fn index(&self, node: NodeId) -> usize {
        self.nodes.iter().position(|it| it.id == node).unwrap()
    }

    /// Changes what a node's control says.
    pub(crate) fn change_view(&mut self, node: NodeId, change: impl FnOnce(&mut View)) {
        let index = self.index(node);
        change(&mut self.nodes[index].view);
        self.show_view(index);
        self.run();
    }

    fn show_view(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.view.version += 1;
        let view = Arc::new(node.view.clone());
        for lane in 0..self.nodes[index].lanes.len() {
            self.event(index, lane, Event::View(Arc::clone(&view)));
        }
    }

    /// A node is asked to be in this state, which is decided; `knows` says who hears of it.
    pub(crate) fn decide(
        &mut self,
        node: NodeId,
        state: NodeState,
        knows: impl Fn(NodeId) -> bool,
    ) {
        let next = self.decision_on(&[node], state);
        self.learn(next, knows);
    }

    /// The decision that follows where nodes are asked to be in this state.
    pub(crate) fn decision_on(&self, nodes: &[NodeId], state: NodeState) -> Decision {
        let parent = self.decision();
        let mut intent = parent.layout().snapshot().clone();
        for node in nodes {
            let asked = NodeIntent { state, ..intent.node(*node).unwrap().clone() };
            intent.set_node(*node, asked).unwrap();
        }
        let epoch = parent.layout().epoch();
        decision::successor(parent, &intent, epoch, |_, _| true).unwrap()
    }

    /// Those who `know` hear of a decision.
    pub(crate) fn learn(&mut self, decision: Decision, knows: impl Fn(NodeId) -> bool) {
        let decision = Arc::new(decision);
        for node in self.nodes.iter().map(|node| node.id).collect::<Vec<_>>() {
            if knows(node) {
                self.change_view(node, |view| view.decision = Arc::clone(&decision));
            }
        }
    }

    /// What all others think of a node.
    pub(crate) fn mark(&mut self, node: NodeId, liveness: Liveness) {
        for other in self.nodes.iter().map(|node| node.id).collect::<Vec<_>>() {
            if other != node {
                self.change_view(other, |view| {
                    view.members.insert(node, liveness);
                });
            }
        }
    }

    /// A node stops without a word, and all others come to know.
    pub(crate) fn take_down(&mut self, node: NodeId) {
        let index = self.index(node);
        self.nodes[index].runs = false;
        self.mark(node, Liveness::Down);
    }

    /// A node that was stopped goes on from what it had synced, with nothing in memory.
    pub(crate) fn bring_up(&mut self, node: NodeId) {
        let index = self.index(node);
        let now = self.now;
        self.nodes[index].restart(now);
        self.show_view(index);
        self.mark(node, Liveness::Up);
        self.run();
    }

    /// Nothing passes between the two groups any more, and each thinks that the other is down.
    pub(crate) fn split(&mut self, left: &[NodeId], right: &[NodeId]) {
        for (&a, &b) in left.iter().flat_map(|a| right.iter().map(move |b| (a, b))) {
            self.cuts.extend([(a, b), (b, a)]);
            self.change_view(a, |view| {
                view.members.insert(b, Liveness::Down);
            });
            self.change_view(b, |view| {
                view.members.insert(a, Liveness::Down);
            });
        }
    }

    /// Messages from one node to another are lost from now on; neither knows.
    pub(crate) fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cuts.insert((from, to));
    }

    /// All is connected, and all that run are known to be up.
    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
        self.loses = None;
        for node in self.nodes.iter().filter(|node| node.runs).map(|n| n.id).collect::<Vec<_>>() {
            self.mark(node, Liveness::Up);
        }
    }

    /// Messages of which `loses` says so are lost from now on.
    pub(crate) fn lose(&mut self, loses: impl FnMut(NodeId, NodeId, &Message) -> bool + 'static) {
        self.loses = Some(Box::new(loses));
    }

    /// Whether a node syncs what it commits at once; what was held is let go.
    pub(crate) fn set_syncs(&mut self, node: NodeId, syncs: bool) {
        let index = self.index(node);
        self.nodes[index].syncs = syncs;
        if syncs {
            self.nodes[index].store.sync().unwrap();
            for (lane, action) in std::mem::take(&mut self.nodes[index].held) {
                self.act(index, lane, action);
            }
        }
        self.run();
    }

    /// Hands an event to a lane and does what it wants done.
    pub(crate) fn event(&mut self, index: usize, lane: usize, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let node = &mut self.nodes[index];
            let mut effects = Effects::new();
            let counted = Counted { rows: &node.store, read: Cell::new(0) };
            let found = node.lanes[lane].read(&event, &counted).expect("all is in memory");
            self.rows_read += counted.read.get();
            node.lanes[lane].handle(event, found, self.now, &mut effects);
            self.bytes_written += effects.batch.changes().iter().map(written).sum::<usize>();
            node.store.commit(&effects.batch).unwrap();
            if node.syncs {
                node.store.sync().unwrap();
            }
            for (after, action) in effects.actions {
                let waits = after != After::Written && !self.nodes[index].syncs;
                match action {
                    action if waits => self.nodes[index].held.push((lane, action)),
                    Action::Lane(event) => match &mut self.nodes[index].handed_back {
                        Some(handed_back) => handed_back.push_back((lane, *event)),
                        None => events.push_back(*event),
                    },
                    action => self.act(index, lane, action),
                }
            }
        }
    }

    fn act(&mut self, index: usize, lane: usize, action: Action) {
        let from = self.nodes[index].id;
        match action {
            Action::Send { to, message, .. } => self.messages.push_back((from, to, *message)),
            Action::Respond { client, response } => {
                self.responses.entry(client).or_default().push(*response);
            }
            Action::Listed { client, listed } => {
                self.listed.entry(client).or_default().push(*listed);
            }
            Action::Lane(event) => self.event(index, lane, *event),
            Action::Control(event) => self.control.push((from, *event)),
            Action::Changed { .. } => {}
            Action::Barrier { barrier, outcome } => {
                assert!(self.barriers.insert(barrier, outcome).is_none(), "it is answered once");
            }
        }
    }

    /// What the lanes of a node hand themselves waits from now on.
    pub(crate) fn hold_lane_events(&mut self, node: NodeId) {
        let index = self.index(node);
        self.nodes[index].handed_back = Some(VecDeque::new());
    }

    /// Lets the first of that through.
    pub(crate) fn let_lane_event(&mut self, node: NodeId) {
        let index = self.index(node);
        let held = self.nodes[index].handed_back.as_mut().and_then(VecDeque::pop_front);
        let (lane, event) = held.expect("a lane goes on");
        self.event(index, lane, event);
    }

    /// Lets all of it through, and what comes after it.
    pub(crate) fn release_lane_events(&mut self, node: NodeId) {
        let index = self.index(node);
        for (lane, event) in self.nodes[index].handed_back.take().into_iter().flatten() {
            self.event(index, lane, event);
        }
    }

    /// What is under way is reordered or repeated before each message from now on.
    pub(crate) fn disturb(
        &mut self,
        disturbs: impl FnMut(&mut VecDeque<(NodeId, NodeId, Message)>) + 'static,
    ) {
        self.disturbs = Some(Box::new(disturbs));
    }

    /// Every message that is delivered or lost from now on is shown.
    pub(crate) fn watch(&mut self, watches: impl FnMut(&Message) + 'static) {
        self.watches = Some(Box::new(watches));
    }

    /// Delivers one message; false if there is none.
    pub(crate) fn step(&mut self) -> bool {
        if let Some(disturbs) = self.disturbs.as_mut().filter(|_| !self.messages.is_empty()) {
            disturbs(&mut self.messages);
        }
        let Some((from, to, message)) = self.messages.pop_front() else { return false };
        if let Some(watches) = &mut self.watches {
            watches(&message);
        }
        let lost = self.cuts.contains(&(from, to))
            || self.loses.as_mut().is_some_and(|loses| loses(from, to, &message));
        let index = self.nodes.iter().position(|node| node.id == to && node.runs);
        if let (Some(index), false) = (index, lost) {
            self.deliver(index, from, message);
        }
        true
    }

    /// Delivers a message, whatever is lost.
    pub(crate) fn deliver(&mut self, index: usize, from: NodeId, message: Message) {
        let Some(slice) = message.slice else { return };
        let lane = usize::from(slice.partition.0) % self.nodes[index].lanes.len();
        self.event(index, lane, Event::Message { from, message: Box::new(message) });
    }

    /// Delivers what no node has sent: a message about the slice of a key, under the layout that the receiver knows.
    pub(crate) fn forge(
        &mut self,
        (from, to): (NodeId, NodeId),
        key: &Key,
        epoch: u64,
        body: Body,
    ) {
        let view = &self.node(to).view;
        let slice = view.slice(key).expect("the bucket is known");
        let message = Message {
            request: RequestId(7),
            slice: Some(slice),
            layout: view.live_sets(slice).tag(),
            epoch,
            time_left: None,
            trace: 0,
            committed: None,
            body,
        };
        self.deliver(self.index(to), from, message);
    }

    /// Delivers messages until there are none.
    pub(crate) fn run(&mut self) {
        for _ in 0..1_000_000 {
            if !self.step() {
                return;
            }
        }
        panic!("messages never end");
    }

    /// Lets time pass, ticks and messages included.
    pub(crate) fn advance(&mut self, time: Duration) {
        let until = self.now.monotonic + time;
        for _ in 0..100_000 {
            self.run();
            let lanes = self.nodes.iter().filter(|node| node.runs).flat_map(|node| &node.lanes);
            let next = lanes.filter_map(Lane::next_deadline).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                return self.set_time(until);
            };
            self.set_time(next.max(self.now.monotonic));
            for index in 0..self.nodes.len() {
                for lane in 0..self.nodes[index].lanes.len() {
                    let due = self.nodes[index].lanes[lane].next_deadline();
                    if self.nodes[index].runs && due.is_some_and(|due| due <= self.now.monotonic) {
                        self.event(index, lane, Event::Tick);
                    }
                }
            }
        }
        panic!("ticks never end");
    }

    fn set_time(&mut self, monotonic: Duration) {
        let passed = monotonic - self.now.monotonic;
        self.now.monotonic = monotonic;
        self.now.wall_millis += u64::try_from(passed.as_millis()).unwrap();
    }

    /// The owners of a key, first owner first.
    pub(crate) fn owners(&self, key: &Key) -> Vec<NodeId> {
        let view = &self.nodes[0].view;
        view.live_sets(view.slice(key).unwrap()).newest().members.to_vec()
    }

    /// Nodes that do not own a key, in order of id.
    pub(crate) fn others(&self, key: &Key) -> Vec<NodeId> {
        let owners = self.owners(key);
        self.nodes.iter().map(|node| node.id).filter(|node| !owners.contains(node)).collect()
    }

    /// All rows of a key at a node.
    pub(crate) fn rows(&self, node: NodeId, key: &Key) -> State {
        let node = self.node(node);
        let prefix = KeyPrefix::new(node.view.partition(key), key);
        match whole(&node.store, &prefix).unwrap() {
            Whole::Small(state) => state,
            Whole::Large(_) => panic!("a test looks at small keys only"),
        }
    }

    /// The root of a key at a node.
    pub(crate) fn root(&self, node: NodeId, key: &Key) -> Root {
        self.rows(node, key).root().cloned().unwrap_or_default()
    }

    /// Whether the owners' digests of a key are equal.
    pub(crate) fn is_equal(&self, key: &Key) -> bool {
        let digests: BTreeSet<u128> =
            self.owners(key).iter().map(|owner| self.rows(*owner, key).digest()).collect();
        digests.len() == 1
    }
}

/// What comes after a decision once all its moves are over.
pub(crate) fn over(decision: &Decision) -> Decision {
    let intent = decision.layout().snapshot().clone();
    decision::successor(decision, &intent, 0, |_, _| true).unwrap()
}

/// Adds a member to a set.
pub(crate) fn add(member: &'static str) -> Operation {
    Operation::Set(SetOperation::new(SetVerb::Add(vec![member.into()])))
}

/// Removes a member from a set.
pub(crate) fn remove(member: &'static str) -> Operation {
    Operation::Set(SetOperation::new(SetVerb::Remove(vec![member.into()])))
}

/// Reads the members of a set.
pub(crate) fn members() -> Operation {
    Operation::Set(SetOperation::new(SetVerb::Members))
}

/// How many bytes a change writes.
fn written(change: &Change) -> usize {
    match change {
        Change::Put(_, key, row) => key.len() + row.len(),
        Change::Delete(_, key) => key.len(),
        Change::DeleteRange(..) => 0,
    }
}

/// The node of this number, from 1.
pub(crate) fn id(number: u64) -> NodeId {
    NodeId(u128::from(number))
}

/// A key of [`BUCKET`].
pub(crate) fn key(name: &str) -> Key {
    Key::new(BUCKET.as_bytes().to_vec(), name.as_bytes().to_vec())
}

/// Both levels of a request.
pub(crate) fn levels(write: Level, read: Level) -> Levels {
    Levels { write: Some(write), read: Some(read) }
}
