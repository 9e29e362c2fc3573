//! The modelled cluster: six nodes' real replicas of one partition, their rows and what is under way.

use crate::operation::Operation;
use coterie_ring::NodeId;
use coterie_ring::moves::{
    Effect, Event, LiveSets, OwnerSet, Quorum, Replica, Rule, SetVersion, Status,
};
use coterie_ring::register::Wire;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::time::Duration;

pub(crate) const NODES: usize = 6;

/// Writes as bits: the rows of the partition are a grow-only set of writes.
pub(crate) type Rows = u64;

/// What a run is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) owners: usize,
    pub(crate) read_quorum: Quorum,
    pub(crate) write_quorum: Quorum,
    pub(crate) linearizable: bool,
    pub(crate) without: Option<Rule>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// A read lacks a write that was acknowledged before it began.
    StaleRead,
    /// An owner retired while one of the new ones lacked an older acknowledged write.
    RetiredTooEarly,
    /// A copy was deleted before its hold was over, or it was seen equal.
    DeletedTooEarly,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) runs: u64,
    pub(crate) acknowledged: u64,
    pub(crate) reads: u64,
    pub(crate) layouts: u64,
    pub(crate) done: u64,
    pub(crate) crashes: u64,
    pub(crate) removed: u64,
    pub(crate) deleted: u64,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    /// The durable state, and the running replica made from it.
    durable: Vec<u8>,
    pub(crate) replica: Replica,
    pub(crate) rows: Rows,
    /// Gone for good.
    pub(crate) dead: bool,
    retired_at: Option<Duration>,
    seen_equal: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Message {
    Write {
        operation: usize,
        tag: SetVersion,
        write: u32,
    },
    Read {
        operation: usize,
        round: u32,
        version: SetVersion,
        quorum: Quorum,
    },
    Digest {
        operation: usize,
        round: u32,
    },
    /// The end of a synchronisation: the sender's rows at a digest, and what it was fenced for.
    Push {
        from: NodeId,
        fenced: SetVersion,
        rows: Rows,
    },
    Status {
        from: NodeId,
        status: Status,
    },
}

pub(crate) struct Cluster {
    pub(crate) setup: Setup,
    pub(crate) rng: Xoshiro256PlusPlus,
    pub(crate) now: Duration,
    pub(crate) nodes: Vec<Node>,
    /// Every decided state of the partition.
    pub(crate) decided: Vec<LiveSets>,
    /// To a node, or back to an operation.
    pub(crate) requests: Vec<(usize, Message)>,
    pub(crate) replies: Vec<crate::operation::Reply>,
    pub(crate) operations: Vec<Operation>,
    /// How far into `decided` each coordinator knows.
    pub(crate) coordinators: [usize; 3],
    pub(crate) removed: Vec<NodeId>,
    /// Acknowledged writes, and the tag each was acknowledged under.
    pub(crate) acknowledged: Rows,
    pub(crate) acknowledged_tags: Vec<(u32, SetVersion)>,
    pub(crate) writes: u32,
    pub(crate) counts: Counts,
}

impl Cluster {
    pub(crate) fn new(setup: Setup, seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let members = random_nodes(&mut rng, setup.owners, &[]);
        let first = OwnerSet { version: SetVersion { epoch: 0, number: 1 }, members };
        let sets = LiveSets::new([first], []).unwrap();
        let node = |index: usize| {
            let id = node_id(index);
            let replica = Replica::new(id, sets.clone(), setup.write_quorum);
            let replica = without(replica, setup.without);
            Node {
                id,
                durable: replica.encode(),
                replica,
                rows: 0,
                dead: false,
                retired_at: None,
                seen_equal: false,
            }
        };
        Self {
            setup,
            rng,
            now: Duration::ZERO,
            nodes: (0..NODES).map(node).collect(),
            decided: vec![sets],
            requests: Vec::new(),
            replies: Vec::new(),
            operations: Vec::new(),
            coordinators: [0; 3],
            removed: Vec::new(),
            acknowledged: 0,
            acknowledged_tags: Vec::new(),
            writes: 0,
            counts: Counts { runs: 1, ..Counts::default() },
        }
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    pub(crate) fn index(&mut self, below: usize) -> usize {
        self.rng.random_range(0..below)
    }

    /// Hands `event` to a replica and does what it asks for.
    pub(crate) fn event(&mut self, index: usize, event: Event) -> Result<(), Violation> {
        let mut effects = Vec::new();
        if let Event::RootsEqual { .. } = event {
            self.nodes[index].seen_equal = true;
        }
        let was = self.nodes[index].replica.status();
        self.nodes[index].replica.handle(event, self.now, &mut effects);
        for effect in effects {
            match effect {
                Effect::Persist => self.nodes[index].durable = self.nodes[index].replica.encode(),
                Effect::Push { to } => self.push(index, node_index(to)),
                Effect::Announce => self.announce(index),
                Effect::Excused { .. } => {}
                Effect::Delete => self.delete(index)?,
            }
        }
        let status = self.nodes[index].replica.status();
        if status.retired && !was.retired {
            self.nodes[index].retired_at = Some(self.now);
            self.nodes[index].seen_equal = false;
        }
        if status.retired && (!was.retired || was.version < status.version) {
            self.check_retirement(status.version)?;
        }
        Ok(())
    }

    /// What was acknowledged under older sets has to be on every new owner now.
    fn check_retirement(&self, version: SetVersion) -> Result<(), Violation> {
        let sets = self.decided.iter().find(|sets| sets.tag() == version).unwrap();
        let mut older = self.acknowledged_tags.iter().filter(|(_, tag)| *tag < version);
        let missing = older.any(|(write, _)| {
            let mut members = sets.newest().members.iter();
            members.any(|member| self.nodes[node_index(*member)].rows >> write & 1 == 0)
        });
        if missing { Err(Violation::RetiredTooEarly) } else { Ok(()) }
    }

    fn delete(&mut self, index: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[index];
        let held = node.retired_at.is_some_and(|at| self.now >= at + coterie_ring::moves::HOLD);
        if !held || !node.seen_equal {
            return Err(Violation::DeletedTooEarly);
        }
        self.counts.deleted += u64::from(node.rows != 0);
        node.rows = 0;
        Ok(())
    }

    pub(crate) fn push(&mut self, from: usize, to: usize) {
        let node = &self.nodes[from];
        let fenced = node.replica.sets().tag();
        let push = Message::Push { from: node.id, fenced, rows: node.rows };
        self.requests.push((to, push));
    }

    pub(crate) fn announce(&mut self, from: usize) {
        let status = self.nodes[from].replica.status();
        for to in self.nodes[from].replica.sets().owners() {
            let from = node_id(from);
            self.requests.push((node_index(to), Message::Status { from, status }));
        }
    }

    /// The process ends and starts again with what was durable.
    pub(crate) fn crash(&mut self, index: usize) -> Result<(), Violation> {
        self.counts.crashes += 1;
        let replica = Replica::decode(&self.nodes[index].durable).unwrap();
        self.nodes[index].replica = without(replica, self.setup.without);
        // The hold begins again.
        self.nodes[index].retired_at = self.nodes[index].retired_at.map(|_| self.now);
        self.nodes[index].seen_equal = false;
        let sets = self.nodes[index].replica.sets().clone();
        self.event(index, Event::Layout(sets))
    }
}

pub(crate) fn node_id(index: usize) -> NodeId {
    NodeId(index as u128 + 1)
}

pub(crate) fn node_index(id: NodeId) -> usize {
    usize::try_from(id.0 - 1).unwrap()
}

/// `count` distinct nodes at random, without those `excluded`.
pub(crate) fn random_nodes(
    rng: &mut Xoshiro256PlusPlus,
    count: usize,
    excluded: &[NodeId],
) -> smallvec::SmallVec<[NodeId; 3]> {
    let mut free: Vec<NodeId> = (0..NODES).map(node_id).collect();
    free.retain(|id| !excluded.contains(id));
    let mut chosen = smallvec::SmallVec::new();
    while chosen.len() < count {
        chosen.push(free.swap_remove(rng.random_range(0..free.len())));
    }
    chosen
}

fn without(replica: Replica, rule: Option<Rule>) -> Replica {
    match rule {
        Some(rule) => replica.without(rule),
        None => replica,
    }
}
