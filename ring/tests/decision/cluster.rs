//! A cluster of real agreements under virtual time: loss, repetition, reordering, splits, crashes.

use coterie_ring::decision::{
    Agreement, Chain, Decision, Effect, Event, Message, Settings, TakeIn, bootstrap,
};
use coterie_ring::moves::SetVersion;
use coterie_ring::register::{self, NextPrepare};
use coterie_ring::{Intent, NodeId, NodeIntent, NodeState, Partitioner, Place};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const SETTINGS: Settings = Settings {
    take_in: TakeIn::Automatic { settle: Duration::from_secs(10) },
    propose_step: Duration::from_millis(200),
    register: register::Settings {
        phase_timeout: Duration::from_millis(500),
        backoff_min: Duration::from_millis(50),
        backoff_max: Duration::from_secs(2),
        next_prepare: NextPrepare::Separate,
    },
};

pub(crate) const LOSS_PERCENT: u32 = 12;
const DUPLICATE_PERCENT: u32 = 10;

pub(crate) fn node_id(index: usize) -> NodeId {
    NodeId(index as u128 + 1)
}

pub(crate) fn node_intent(index: usize, state: NodeState, weight: u32) -> NodeIntent {
    let place = Place::new("r", ["a", "b", "c"][index % 3]).unwrap();
    NodeIntent { state, weight, place }
}

/// The first decision of a cluster with `active` nodes.
pub(crate) fn first(active: usize) -> Decision {
    let mut intent = Intent::new();
    for index in 0..active {
        intent.set_node(node_id(index), node_intent(index, NodeState::Active, 1)).unwrap();
    }
    bootstrap(7, Partitioner::new(8).unwrap(), &intent).unwrap()
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) agreement: Agreement,
    durable_chain: Chain,
    durable_vote: Option<Vec<u8>>,
}

pub(crate) struct Cluster {
    pub(crate) rng: Xoshiro256PlusPlus,
    pub(crate) now: Duration,
    pub(crate) nodes: Vec<Node>,
    /// From, to, what.
    messages: Vec<(usize, usize, Message)>,
    /// The side of each node.
    pub(crate) sides: Vec<u8>,
    pub(crate) lossy: bool,
    /// Every decision that any node ever held to be chosen.
    pub(crate) decided: BTreeMap<SetVersion, Decision>,
    pub(crate) settings: Settings,
    pub(crate) proposals: u64,
}

impl Cluster {
    /// `nodes` nodes that know the first decision, in which `active` of them are members.
    pub(crate) fn new(seed: u64, nodes: usize, active: usize, settings: Settings) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let first = first(active);
        let node = |index: usize| {
            let chain = Chain::new(first.clone());
            let agreement = start(index, settings, rng.random(), chain.clone(), None);
            Node { agreement, durable_chain: chain, durable_vote: None }
        };
        let nodes: Vec<Node> = (0..nodes).map(node).collect();
        Self {
            rng,
            now: Duration::ZERO,
            sides: vec![0; nodes.len()],
            nodes,
            messages: Vec::new(),
            lossy: true,
            decided: BTreeMap::from([(first.version(), first)]),
            settings,
            proposals: 0,
        }
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    pub(crate) fn index(&mut self, below: usize) -> usize {
        self.rng.random_range(0..below)
    }

    /// Hands an event to a node and does what it asks for.
    ///
    /// # Errors
    /// If two decisions have one place.
    pub(crate) fn event(&mut self, index: usize, event: Event) -> Result<(), String> {
        let mut effects = Vec::new();
        let now = self.now;
        self.nodes[index].agreement.handle(event, now, &mut effects);
        for effect in effects {
            let node = &mut self.nodes[index];
            match effect {
                Effect::PersistVote => node.durable_vote = Some(node.agreement.encode_vote()),
                Effect::Decided(_) => {
                    node.durable_chain = node.agreement.chain().clone();
                    for decision in node.durable_chain.decisions() {
                        let known = self.decided.entry(decision.version());
                        if known.or_insert_with(|| decision.clone()) != decision {
                            return Err(format!("two decisions of {:?}", decision.version()));
                        }
                    }
                }
                Effect::Send { to, message } => {
                    if let Message::Request { .. } = message {
                        self.proposals += 1;
                    }
                    let to = usize::try_from(to.0 - 1).unwrap();
                    self.messages.push((index, to, message));
                }
                Effect::Refused(_) => {}
                Effect::Forked(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    pub(crate) fn deliver(&mut self) -> Result<(), String> {
        if self.messages.is_empty() {
            return Ok(());
        }
        let place = self.index(self.messages.len());
        let (from, to, message) = match self.lossy && self.chance(DUPLICATE_PERCENT) {
            true => self.messages[place].clone(),
            false => self.messages.swap_remove(place),
        };
        let lost = self.lossy && self.chance(LOSS_PERCENT);
        if lost || self.sides[from] != self.sides[to] {
            return Ok(());
        }
        self.event(to, Event::Message { from: node_id(from), message })
    }

    /// One node's packet reaches another: its intent and how far its chain reaches.
    pub(crate) fn gossip(&mut self, from: usize, to: usize) -> Result<(), String> {
        if self.sides[from] != self.sides[to] {
            return Ok(());
        }
        let intent = self.nodes[from].agreement.intent().clone();
        let tip = self.nodes[from].agreement.tip();
        self.event(to, Event::Intent(intent))?;
        self.event(to, Event::Heard { from: node_id(from), tip })
    }

    /// Time passes until the next deadline, or a little.
    pub(crate) fn pass_time(&mut self) -> Result<(), String> {
        let deadlines = self.nodes.iter().filter_map(|node| node.agreement.next_deadline());
        let later = self.now + Duration::from_millis(500);
        self.now = deadlines.min().map_or(later, |deadline| deadline.clamp(self.now, later));
        for index in 0..self.nodes.len() {
            if self.nodes[index].agreement.next_deadline().is_some_and(|at| at <= self.now) {
                self.event(index, Event::Tick)?;
            }
        }
        Ok(())
    }

    pub(crate) fn crash(&mut self, index: usize) {
        let seed = self.rng.random();
        let node = &mut self.nodes[index];
        let (chain, vote) = (node.durable_chain.clone(), node.durable_vote.as_deref());
        node.agreement = start(index, self.settings, seed, chain, vote);
    }

    /// A node's user edits the intent there.
    pub(crate) fn edit(&mut self, index: usize, node: usize, wanted: NodeIntent) {
        let mut intent = self.nodes[index].agreement.intent().clone();
        intent.set_node(node_id(node), wanted).unwrap();
        self.event(index, Event::Intent(intent)).unwrap();
    }

    /// Without faults, until all nodes agree and nothing is left to decide; the steps it took.
    pub(crate) fn settle(&mut self, steps_max: usize) -> Result<usize, String> {
        self.lossy = false;
        self.sides.fill(0);
        for step in 0..steps_max {
            for _ in 0..8 {
                self.deliver()?;
            }
            let (from, to) = (self.index(self.nodes.len()), self.index(self.nodes.len()));
            self.gossip(from, to)?;
            self.pass_time()?;
            let tip = self.nodes[0].agreement.tip();
            let agreed = self.nodes.iter().all(|node| {
                let last = node.agreement.chain().last().layout();
                node.agreement.tip() == tip && last.snapshot().includes(node.agreement.intent())
            });
            if agreed {
                return Ok(step);
            }
        }
        Err(format!("no agreement within {steps_max} steps"))
    }
}

fn start(
    index: usize,
    settings: Settings,
    seed: u64,
    chain: Chain,
    vote: Option<&[u8]>,
) -> Agreement {
    Agreement::new(node_id(index), settings, seed, chain, vote).unwrap()
}
