//! What goes wrong, by chance, and how it ends.

use std::time::Duration;

use coterie_protocol::control::Past;
use coterie_protocol::rows::StoreError;

use super::{Cluster, Happening};
use crate::fault::Fault;
use crate::network::NodeIndex;

/// The end of a fault.
#[derive(Clone, Debug)]
pub enum Relief {
    /// A node starts again.
    Start(NodeIndex),
    /// Paths let messages pass again.
    Unblock(Vec<(NodeIndex, NodeIndex)>),
    /// A path is as fast as others again.
    Fast(NodeIndex, NodeIndex),
    /// A disk has room again.
    Empty(NodeIndex),
    /// A disk works again, and its node starts.
    Repair(NodeIndex),
    /// A disk that lied is found out: its machine loses power.
    FoundOut(NodeIndex),
    /// A new node is named for one that is gone.
    Replace {
        /// Who is gone.
        old: NodeIndex,
        /// Who takes its place.
        new: NodeIndex,
        /// How often that was tried.
        tries: u32,
    },
}

/// How long a node that may not start yet waits.
const START_AGAIN: Duration = Duration::from_millis(200);

/// The one node that may lose what it has acknowledged.
pub(super) const VICTIM: NodeIndex = 0;

impl Cluster {
    pub(super) fn trouble(&mut self) {
        if self.healed || self.workload.left == 0 {
            return;
        }
        let wait = self.troubles.around(self.options.fault_interval);
        self.queue.after(wait, Happening::Trouble);
        let faults: Vec<Fault> = self.options.faults.iter().copied().collect();
        if faults.is_empty() {
            return;
        }
        let fault = *self.troubles.pick(&faults);
        if self.happen(fault) {
            *self.counts.faults.entry(fault).or_default() += 1;
            let now = self.now();
            self.trace.hash(now, fault);
        }
    }

    /// Lets a fault happen; false where it cannot happen now.
    fn happen(&mut self, fault: Fault) -> bool {
        let now = self.now();
        self.trace.line(now, format_args!("fault: {fault}"));
        let count = self.nodes.len();
        let node = self.troubles.index(count);
        let other = (node + 1 + self.troubles.index(count - 1)) % count;
        let wait = self.troubles.around(self.options.outage);
        match fault {
            Fault::Crash => self.crash(node, wait),
            Fault::PowerLoss => {
                let periodic = self.options.sync == crate::options::Sync::Periodic;
                let node = if periodic { VICTIM } else { node };
                self.power_cut(node, wait)
            }
            Fault::PowerLossOfAll => {
                if self.options.sync == crate::options::Sync::Periodic || self.options.loses() {
                    return false;
                }
                (0..count).for_each(|node| {
                    self.power_cut(node, wait);
                });
                true
            }
            Fault::Pause => {
                let running = self.nodes[node].process.is_some();
                if running {
                    self.pause(node, wait * 3);
                }
                running
            }
            Fault::Partition => {
                let side: Vec<bool> = match self.options.island {
                    Some(island) => (0..count).map(|node| node == island).collect(),
                    None => (0..count).map(|_| self.troubles.chance(500)).collect(),
                };
                let paths = self.paths_between(|from, to| side[from] != side[to]);
                self.cut(paths, wait * 2)
            }
            Fault::OneWayPartition => {
                let deaf: Vec<bool> = (0..count).map(|_| self.troubles.chance(500)).collect();
                let paths = self.paths_between(|from, to| from == node && deaf[to]);
                self.cut(paths, wait * 2)
            }
            Fault::SlowLink => {
                let slowness = u32::try_from(self.troubles.below(5, 50)).expect("it is small");
                self.network.slow(node, other, slowness);
                self.queue.after(wait * 2, Happening::Relief(Relief::Fast(node, other)));
                true
            }
            Fault::LostConnection => {
                let plans = self.network.lose(now, node, other);
                self.plan(plans);
                true
            }
            Fault::ClockJump => {
                let limit = u64::try_from(self.options.skew.as_millis()).expect("skews are short");
                let offset = self.troubles.below(0, 2 * limit + 1);
                let offset = i64::try_from(offset).expect("it is small");
                let limit = i64::try_from(limit).expect("skews are short");
                self.nodes[node].clock.jump(offset - limit);
                true
            }
            Fault::FullDisk => {
                let free = *self.troubles.pick(&[80, 15]);
                self.nodes[node].disk.fill(free);
                self.queue.after(wait, Happening::Relief(Relief::Empty(node)));
                true
            }
            Fault::DiskError => {
                let error = *self.troubles.pick(&[StoreError::Io, StoreError::Full]);
                self.nodes[node].disk.fail(Some(error));
                self.queue.after(wait, Happening::Relief(Relief::Repair(node)));
                true
            }
            Fault::LyingSync => {
                self.nodes[VICTIM].disk.lie(true);
                self.queue.after(wait, Happening::Relief(Relief::FoundOut(VICTIM)));
                true
            }
            Fault::BitRot => self.nodes[VICTIM].disk.rot(&mut self.disks).is_some(),
            Fault::Rollback => self.roll_back(VICTIM, wait),
            // Whether rows have to be fetched is drawn for each read.
            Fault::NotResident => true,
            Fault::Wipe => self.wipe(VICTIM, wait),
            Fault::Replace | Fault::Join | Fault::Leave | Fault::Weight | Fault::Policy => {
                self.operate(fault)
            }
        }
    }

    fn crash(&mut self, node: NodeIndex, wait: Duration) -> bool {
        let running = self.nodes[node].process.is_some();
        if running {
            self.kill(node);
            self.queue.after(wait, Happening::Relief(Relief::Start(node)));
        }
        running
    }

    fn power_cut(&mut self, node: NodeIndex, wait: Duration) -> bool {
        let running = self.nodes[node].process.is_some();
        if running {
            self.lose_power(node);
            self.queue.after(wait, Happening::Relief(Relief::Start(node)));
        }
        running
    }

    /// Takes a backup the first time, and goes back to it the second.
    fn roll_back(&mut self, node: NodeIndex, wait: Duration) -> bool {
        if self.is_owner_alone(node) {
            return false;
        }
        match self.nodes[node].backup.take() {
            None => {
                self.nodes[node].backup = Some(self.nodes[node].disk.backup());
                false
            }
            Some(image) => {
                self.kill(node);
                self.nodes[node].disk.restore(image);
                let told = self.troubles.chance(500);
                self.nodes[node].past = if told { Past::Restored } else { Past::Continued };
                self.nodes[node].untold = !told;
                self.queue.after(wait, Happening::Relief(Relief::Start(node)));
                true
            }
        }
    }

    /// Empties a disk; the node comes back under its name.
    fn wipe(&mut self, node: NodeIndex, wait: Duration) -> bool {
        if self.nodes[node].gone || self.is_owner_alone(node) {
            return false;
        }
        self.kill(node);
        self.nodes[node].disk.empty();
        self.nodes[node].backup = None;
        self.queue.after(wait, Happening::Relief(Relief::Start(node)));
        true
    }

    fn paths_between(
        &self,
        cut: impl Fn(NodeIndex, NodeIndex) -> bool,
    ) -> Vec<(NodeIndex, NodeIndex)> {
        let count = self.nodes.len();
        let all = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
        all.filter(|(from, to)| from != to && cut(*from, *to)).collect()
    }

    fn cut(&mut self, paths: Vec<(NodeIndex, NodeIndex)>, wait: Duration) -> bool {
        let now = self.now();
        let any = !paths.is_empty();
        self.trace.line(now, format_args!("cut: {paths:?}"));
        for (from, to) in &paths {
            let plans = self.network.block(now, *from, *to);
            self.plan(plans);
        }
        self.queue.after(wait, Happening::Relief(Relief::Unblock(paths)));
        any
    }

    pub(super) fn relieve(&mut self, relief: Relief) {
        let now = self.now();
        match relief {
            Relief::Start(node) if self.nodes[node].untold && !self.all_reach(node) => {
                // Cut off from who could tell it what its disk has lost, it would serve without (docs/decisions/0440).
                self.queue.after(START_AGAIN, Happening::Relief(Relief::Start(node)));
            }
            Relief::Start(node) => {
                self.nodes[node].untold = false;
                self.start(node);
            }
            Relief::Unblock(paths) if !self.healed => {
                for (from, to) in paths {
                    let plans = self.network.unblock(now, from, to);
                    self.plan(plans);
                }
            }
            Relief::Unblock(_) => {}
            Relief::Replace { old, new, tries } => self.name_replacement(old, new, tries),
            Relief::Fast(from, to) => self.network.slow(from, to, 1),
            Relief::Empty(node) => self.nodes[node].disk.fill(900),
            Relief::Repair(node) => {
                self.nodes[node].disk.fail(None);
                self.start(node);
            }
            Relief::FoundOut(node) if !self.healed => {
                self.lose_power(node);
                self.nodes[node].disk.lie(false);
                self.queue.after(Duration::from_secs(1), Happening::Relief(Relief::Start(node)));
            }
            // All faults have ended, this one too: a node that loses its power while all are read would not answer.
            Relief::FoundOut(_) => {}
        }
    }

    /// Whether all other members run, and they and a node reach each other.
    fn all_reach(&self, node: NodeIndex) -> bool {
        let now = self.now();
        let reaches = |other: NodeIndex| {
            let it = &self.nodes[other];
            let runs = it.process.is_some() && it.paused_until <= now;
            runs && self.network.passes(node, other) && self.network.passes(other, node)
        };
        let others = (0..self.nodes.len()).filter(|other| *other != node);
        let mut members = others.filter(|other| !self.nodes[*other].gone && self.is_member(*other));
        self.healed || members.all(reaches)
    }

    /// Everything that went wrong ends, for good.
    pub fn heal(&mut self) {
        let now = self.now();
        self.healed = true;
        self.trace.line(now, format_args!("all faults end"));
        let plans = self.network.heal(now);
        self.plan(plans);
        for node in 0..self.nodes.len() {
            self.nodes[node].disk.lie(false);
            self.nodes[node].disk.fail(None);
            self.nodes[node].disk.fill(900);
            self.start(node);
        }
    }
}
