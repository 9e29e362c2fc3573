//! Random runs: layouts change, nodes crash and are removed, messages are lost, repeated and reordered.

use crate::cluster::{
    Cluster, Counts, Message, NODES, Setup, Violation, node_id, node_index, random_nodes,
};
use coterie_ring::NodeId;
use coterie_ring::moves::{Event, LIVE_SETS_MAX, LiveSets, OwnerSet, SetVersion};
use std::time::Duration;

const STEPS: usize = 500;
const LOSS_PERCENT: u32 = 12;
const DUPLICATE_PERCENT: u32 = 10;

/// Runs one seed to its end, or to the first violation.
pub(crate) fn run(setup: Setup, seed: u64) -> (Counts, Option<Violation>) {
    let mut cluster = Cluster::new(setup, seed);
    for _ in 0..STEPS {
        if let Err(violation) = cluster.step() {
            return (cluster.counts, Some(violation));
        }
    }
    (cluster.counts, None)
}

impl Cluster {
    fn step(&mut self) -> Result<(), Violation> {
        match self.index(100) {
            0..20 => self.begin(),
            20..32 => self.learn()?,
            32..48 => self.synchronise()?,
            48..64 => {
                let index = self.index(NODES);
                if !self.nodes[index].dead {
                    self.announce(index);
                }
            }
            64..68 => self.pass_time()?,
            68..71 => {
                let index = self.index(NODES);
                if !self.nodes[index].dead {
                    self.crash(index)?;
                }
            }
            71..76 => self.decide(),
            76..84 if !self.operations.is_empty() => {
                let number = self.index(self.operations.len());
                if !self.operations[number].over {
                    self.restart(number);
                }
            }
            84..86 => {
                let coordinator = self.index(self.coordinators.len());
                self.adopt(coordinator);
            }
            86 if self.chance(5) => self.lose_node(),
            _ => {}
        }
        for _ in 0..4 {
            self.deliver_request()?;
            self.deliver_reply()?;
        }
        Ok(())
    }

    fn deliver_request(&mut self) -> Result<(), Violation> {
        if self.requests.is_empty() {
            return Ok(());
        }
        let place = self.index(self.requests.len());
        let (to, message) = match self.chance(DUPLICATE_PERCENT) {
            true => self.requests[place].clone(),
            false => self.requests.swap_remove(place),
        };
        if self.chance(LOSS_PERCENT) || self.nodes[to].dead {
            return Ok(());
        }
        match message {
            Message::Push { from, fenced, rows } => {
                self.nodes[to].rows |= rows;
                self.event(to, Event::Pushed { from, fenced })
            }
            Message::Status { from, status } => self.event(to, Event::Status { from, status }),
            Message::Write { .. } | Message::Read { .. } | Message::Digest { .. } => {
                self.answer(to, message);
                Ok(())
            }
        }
    }

    fn deliver_reply(&mut self) -> Result<(), Violation> {
        if self.replies.is_empty() {
            return Ok(());
        }
        let place = self.index(self.replies.len());
        let reply = match self.chance(DUPLICATE_PERCENT) {
            true => self.replies[place].clone(),
            false => self.replies.swap_remove(place),
        };
        if self.chance(LOSS_PERCENT) { Ok(()) } else { self.take_reply(reply) }
    }

    /// A node learns of a later layout.
    fn learn(&mut self) -> Result<(), Violation> {
        let index = self.index(NODES);
        // Often the last, at times one that comes late.
        let late = self.index(self.decided.len().min(3));
        let decided = self.decided.len() - 1 - self.index(late + 1);
        if self.nodes[index].dead {
            return Ok(());
        }
        self.event(index, Event::Layout(self.decided[decided].clone()))
    }

    /// Two nodes synchronise, or compare roots and find them equal.
    fn synchronise(&mut self) -> Result<(), Violation> {
        let (from, to) = (self.index(NODES), self.index(NODES));
        if from == to || self.nodes[from].dead {
            return Ok(());
        }
        let due: Vec<NodeId> = self.nodes[from].replica.pushes_due().collect();
        if !due.is_empty() && self.chance(70) {
            let to = due[self.index(due.len())];
            self.push(from, node_index(to));
            return Ok(());
        }
        self.push(from, to);
        if self.nodes[from].rows == self.nodes[to].rows && !self.nodes[to].dead {
            self.event(from, Event::RootsEqual { with: node_id(to) })?;
        }
        Ok(())
    }

    fn pass_time(&mut self) -> Result<(), Violation> {
        self.now += Duration::from_secs(60 * 20);
        for index in 0..NODES {
            if !self.nodes[index].dead
                && self.nodes[index].replica.next_deadline().is_some_and(|at| at <= self.now)
            {
                self.event(index, Event::Tick)?;
            }
        }
        Ok(())
    }

    /// A node that owns something is gone for good, disk and all; the operator removes it with the next
    /// layout. At most one of the pushers a move needs is lost this way.
    fn lose_node(&mut self) {
        let sets = self.decided.last().unwrap();
        let candidates = sets.owners();
        if !self.removed.is_empty() || self.nodes.iter().any(|node| node.dead) {
            return;
        }
        // The others have to be enough for another set.
        if self.setup.owners >= NODES - 1 {
            return;
        }
        let lost = candidates[self.index(candidates.len())];
        self.nodes[node_index(lost)].dead = true;
        self.counts.removed += 1;
    }

    /// Decides the next layout: one move at a time, but a move may be replaced before it is done.
    fn decide(&mut self) {
        let dead: Vec<NodeId> =
            self.nodes.iter().filter(|node| node.dead).map(|node| node.id).collect();
        self.removed.clone_from(&dead);
        let sets = self.decided.last().unwrap().clone();
        let statuses: Vec<_> =
            self.nodes.iter().map(|node| (node.id, node.replica.status())).collect();
        let done = sets.is_moving() && sets.is_done(&statuses);
        let lost_newest = sets.newest().members.iter().any(|member| dead.contains(member));
        let older = if done { vec![sets.newest().clone()] } else { sets.all().to_vec() };
        let next = if (older.len() == 1 && self.chance(70))
            || lost_newest
            || (sets.is_moving() && !done && self.chance(15))
        {
            if older.len() == LIVE_SETS_MAX {
                return;
            }
            let number = sets.tag().number + 1;
            let members = match older.first() {
                // Back to where it came from.
                Some(first)
                    if older.len() > 1
                        && !first.members.iter().any(|member| dead.contains(member))
                        && self.chance(50) =>
                {
                    first.members.clone()
                }
                _ => random_nodes(&mut self.rng, self.setup.owners, &dead),
            };
            let newest = OwnerSet { version: SetVersion { epoch: 0, number }, members };
            older.into_iter().chain([newest]).collect()
        } else {
            older
        };
        self.counts.done += u64::from(done);
        let next = LiveSets::new(next, dead).unwrap();
        if next.supersedes(&sets) {
            self.counts.layouts += 1;
            self.decided.push(next);
        }
    }
}
