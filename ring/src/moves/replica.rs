//! What one node keeps about one partition and replica count while it owns it.

use super::rules::{Rule, Rules};
use super::{LiveSets, OwnerSet, Quorum, SetVersion};
use crate::node::NodeId;
use smallvec::SmallVec;
use std::time::Duration;
use thiserror::Error;

/// How long a copy outlives its owner's retirement: an hour in which a mistake can be undone.
pub const HOLD: Duration = Duration::from_secs(60 * 60);

/// An owner, or one that was: what it refuses, what it has received and when its copy may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    pub(super) me: NodeId,
    pub(super) sets: LiveSets,
    /// The weakest write level whose acknowledgements a move has to keep when an owner is removed.
    pub(super) write_quorum: Quorum,
    /// Sets older than this are refused.
    pub(super) retired_before: SetVersion,
    /// Who brought this copy up to date, and the newest set it was fenced for then.
    pub(super) pushes: SmallVec<[(NodeId, SetVersion); 4]>,
    /// Owners of the newest set known to be complete. Not durable: they say so again.
    pub(super) complete: SmallVec<[NodeId; 3]>,
    /// Owners of the newest set that were complete when this one retired, and say that they are not: they have lost
    /// what they had been brought. Not durable: they say so again.
    pub(super) relapsed: SmallVec<[NodeId; 1]>,
    /// Where a copy waits for its end. Not durable: the hold begins again after a restart.
    pub(super) hold: Option<Hold>,
    pub(super) rules: Rules,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    until: Duration,
    /// Owners whose root was seen equal since.
    equal: SmallVec<[NodeId; 3]>,
}

/// How far a replica is with the move to the set of `version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    /// The newest set it knows.
    pub version: SetVersion,
    /// Whether it is an owner in that set and holds every push that is needed.
    pub complete: bool,
    /// Whether it refuses all older sets.
    pub retired: bool,
}

/// What happens to a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A layout was decided that has these sets.
    Layout(LiveSets),
    /// A synchronisation with `from` ended at a digest that `from` took after it had durably fenced
    /// for the set of `fenced`.
    Pushed {
        /// The other owner.
        from: NodeId,
        /// The newest set it knew when it took the digest.
        fenced: SetVersion,
    },
    /// Another owner said how far it is. Owners tell each other with every exchange of roots.
    Status {
        /// The other owner.
        from: NodeId,
        /// What it said.
        status: Status,
    },
    /// An operator gives up what fewer owners than so many acknowledged, so that moves go on without
    /// the pushes of owners that are removed. Fewer than before are ignored: what was complete stays so.
    WriteQuorum(Quorum),
    /// This copy's root was equal to that of another owner.
    RootsEqual {
        /// The other owner.
        with: NodeId,
    },
    /// The time of [`Replica::next_deadline`] has come.
    Tick,
}

/// What a replica wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Store [`Replica`] (its [`Wire`](crate::register::Wire) encoding) before anything is sent that was
    /// decided after this.
    Persist,
    /// Bring `to` up to date, and tell it then what this replica was fenced for: [`Event::Pushed`].
    Push {
        /// An owner of the newest set.
        to: NodeId,
    },
    /// Tell all owners [`Replica::status`].
    Announce,
    /// The move goes on without the pushes of these removed owners. What fewer owners acknowledged than
    /// are excused, and one more, may be lost.
    Excused {
        /// The removed owners.
        pushers: SmallVec<[NodeId; 1]>,
    },
    /// Delete the copy, before the next event. The replica itself is kept while a layout has it in a live set: it goes on
    /// refusing what it retired from.
    Delete,
}

/// Why a replica does not take a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WriteRefusal {
    /// The coordinator knows too old a layout: adopt the newer one and try again.
    #[error("the partition has had other owners since version {}", .current.number)]
    Stale {
        /// The newest set this replica knows.
        current: SetVersion,
    },
    /// This replica knows too old a layout: it fetches the newer one; try again.
    #[error("this replica does not know of later owners than those of version {}", .known.number)]
    Behind {
        /// The newest set this replica knows.
        known: SetVersion,
    },
    /// It is an owner no more; counts in older sets.
    #[error("this replica has retired")]
    Retired,
    /// It never was an owner in a live set.
    #[error("this replica is no owner")]
    NotOwner,
}

/// Why a replica does not answer a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReadRefusal {
    /// The set has ended for this replica: read another, or adopt the newer layout.
    #[error("this replica has retired from the set; the newest is that of version {}", .current.number)]
    Retired {
        /// The newest set this replica knows.
        current: SetVersion,
    },
    /// This replica knows too old a layout: it fetches the newer one.
    #[error("this replica does not know of later owners than those of version {}", .known.number)]
    Behind {
        /// The newest set this replica knows.
        known: SetVersion,
    },
    /// It has not received enough pushes for such a read.
    #[error("this replica has not received enough of the partition")]
    NotReady,
    /// It is no owner in that set.
    #[error("this replica is no owner in the set")]
    NotOwner,
}

impl Replica {
    /// A replica of node `me` that learns of `sets` and has stored nothing.
    ///
    /// `write_quorum` is the weakest level at which writes are acknowledged that a move has to keep where
    /// an owner is removed from the cluster before it pushed. The caller persists the replica and then
    /// hands it the same sets as [`Event::Layout`].
    #[must_use]
    pub fn new(me: NodeId, sets: LiveSets, write_quorum: Quorum) -> Self {
        Self {
            me,
            retired_before: SetVersion::default(),
            sets,
            write_quorum,
            pushes: SmallVec::new(),
            complete: SmallVec::new(),
            relapsed: SmallVec::new(),
            hold: None,
            rules: Rules::default(),
        }
    }

    /// The live sets it knows.
    #[must_use]
    pub fn sets(&self) -> &LiveSets {
        &self.sets
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            version: self.sets.tag(),
            complete: self.is_complete(),
            retired: self.retired_before >= self.sets.tag(),
        }
    }

    /// Whether it takes a write tagged `tag`.
    ///
    /// # Errors
    /// If the writer or this replica knows too old a layout, or it owns the partition no more.
    pub fn admit_write(&self, tag: SetVersion) -> Result<(), WriteRefusal> {
        let current = self.sets.tag();
        if tag < current && !self.rules.lack(Rule::Fence) {
            return Err(WriteRefusal::Stale { current });
        }
        if tag > current {
            return Err(WriteRefusal::Behind { known: current });
        }
        if self.sets.newest().contains(self.me) {
            return Ok(());
        }
        if self.retired_before >= current {
            return Err(WriteRefusal::Retired);
        }
        if self.owns_older() { Ok(()) } else { Err(WriteRefusal::NotOwner) }
    }

    /// Whether it answers a read of `quorum` that asks the set of `version`.
    ///
    /// # Errors
    /// If it has retired from the set, is no owner in it, has not received enough, or does not know it.
    pub fn may_answer_read(&self, version: SetVersion, quorum: Quorum) -> Result<(), ReadRefusal> {
        let current = self.sets.tag();
        if version > current {
            return Err(ReadRefusal::Behind { known: current });
        }
        if version < self.retired_before && !self.rules.lack(Rule::RetiredRefuses) {
            return Err(ReadRefusal::Retired { current });
        }
        let Some(index) = self.sets.all().iter().position(|set| set.version == version) else {
            // A mutant retires from nothing, and so answers for what has ended, too.
            if self.rules.lack(Rule::RetiredRefuses) {
                return Ok(());
            }
            return Err(ReadRefusal::Retired { current });
        };
        if !self.sets.all()[index].contains(self.me) {
            return Err(ReadRefusal::NotOwner);
        }
        if self.is_ready(index, quorum) { Ok(()) } else { Err(ReadRefusal::NotReady) }
    }

    /// Whether it may coordinate requests that read `quorum`: it counts itself among those that answer,
    /// so it must be able to for one of the live sets.
    #[must_use]
    pub fn may_coordinate(&self, quorum: Quorum) -> bool {
        let mut sets = self.sets.all().iter();
        sets.any(|set| self.may_answer_read(set.version, quorum).is_ok())
    }

    /// Whether deleted keys must stay: from fence to done, and while a copy waits for its end.
    #[must_use]
    pub fn purge_frozen(&self) -> bool {
        self.sets.is_moving() || self.hold.is_some()
    }

    /// The owners that still need this replica's push: where it has retired, those that lost what they were brought.
    ///
    /// After a restart nothing is known of pushes under way: they begin again.
    pub fn pushes_due(&self) -> impl Iterator<Item = NodeId> + '_ {
        let retired = self.retired_before >= self.sets.tag();
        let due = move |node: &NodeId| match retired {
            true => self.relapsed.contains(node),
            false => !self.complete.contains(node),
        };
        let may = move |node: &NodeId| *node != self.me && self.owns_older() && due(node);
        self.sets.newest().members.iter().copied().filter(may)
    }

    /// Whether this replica still needs the push of `from`.
    #[must_use]
    pub fn awaits_push(&self, from: NodeId) -> bool {
        let sets = &self.sets;
        sets.newest().contains(self.me)
            && sets.older().iter().any(|set| set.contains(from))
            && !self.has_pushed(from, sets.tag())
    }

    /// When it next wants a [`Event::Tick`], as time since the node's start.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.hold.as_ref().filter(|hold| self.has_equal_majority(hold)).map(|hold| hold.until)
    }

    /// Takes in one event; `now` is time since the node's start.
    pub fn handle(&mut self, event: Event, now: Duration, effects: &mut Vec<Effect>) {
        let before = self.status();
        match event {
            Event::Layout(sets) => self.adopt(sets, effects),
            Event::Pushed { from, fenced } => self.received(from, fenced, effects),
            Event::Status { from, status } => self.hear(from, status),
            Event::WriteQuorum(quorum) => self.give_up(quorum, effects),
            Event::RootsEqual { with } => self.seen_equal(with),
            Event::Tick => {}
        }
        self.advance(before, now, effects);
    }

    fn adopt(&mut self, sets: LiveSets, effects: &mut Vec<Effect>) {
        let known = self.sets.tag();
        if !sets.supersedes(&self.sets) && sets != self.sets {
            return;
        }
        let changed = sets != self.sets;
        self.sets = sets;
        if self.sets.tag() > known {
            self.complete.clear();
            self.relapsed.clear();
        }
        let sets = &self.sets;
        self.pushes.retain(|(from, _)| sets.older().iter().any(|set| set.contains(*from)));
        // The layout says that all owners of older sets have retired, this one included.
        if !self.sets.is_moving() && self.retired_before < self.sets.tag() {
            self.retired_before = self.sets.tag();
        }
        if changed && !self.rules.lack(Rule::DurableFence) {
            effects.push(Effect::Persist);
        }
        effects.extend(self.pushes_due().map(|to| Effect::Push { to }));
    }

    fn received(&mut self, from: NodeId, fenced: SetVersion, effects: &mut Vec<Effect>) {
        // Of a set that this replica does not know yet, nothing counts: it may still delete its copy
        // before it learns that it is to have one again.
        let fenced = match self.rules.lack(Rule::PushAfterFence) {
            true => self.sets.tag(),
            false => fenced.min(self.sets.tag()),
        };
        let is_older = self.sets.older().iter().any(|set| set.contains(from));
        if from == self.me || !is_older {
            return;
        }
        match self.pushes.iter_mut().find(|(pusher, _)| *pusher == from) {
            Some((_, known)) if *known >= fenced => return,
            Some((_, known)) => *known = fenced,
            None => self.pushes.push((from, fenced)),
        }
        effects.push(Effect::Persist);
    }

    fn hear(&mut self, from: NodeId, status: Status) {
        let is_new = status.version == self.sets.tag() && self.sets.newest().contains(from);
        self.relapsed.retain(|node| *node != from);
        if is_new && !status.complete && self.retired_before >= self.sets.tag() {
            self.relapsed.push(from);
        }
        if is_new && status.complete && !self.complete.contains(&from) {
            self.complete.push(from);
        }
        // Who retired saw all of the newest set complete.
        if status.version == self.sets.tag() && status.retired {
            self.complete = self.sets.newest().members.clone();
        }
    }

    fn give_up(&mut self, quorum: Quorum, effects: &mut Vec<Effect>) {
        let mut sizes = self.sets.all().iter().map(|set| set.members.len());
        if sizes.all(|owners| quorum.of(owners) >= self.write_quorum.of(owners)) {
            self.write_quorum = quorum;
            effects.push(Effect::Persist);
        }
    }

    fn seen_equal(&mut self, with: NodeId) {
        let Some(hold) = &mut self.hold else { return };
        if self.sets.newest().contains(with) && !hold.equal.contains(&with) {
            hold.equal.push(with);
        }
    }

    /// Completes, retires, holds and deletes, as far as it can.
    fn advance(&mut self, before: Status, now: Duration, effects: &mut Vec<Effect>) {
        if self.is_complete() && !self.complete.contains(&self.me) {
            self.complete.push(self.me);
        }
        if self.sets.is_moving() && self.retired_before < self.sets.tag() && self.may_retire() {
            self.retired_before = self.sets.tag();
            effects.push(Effect::Persist);
        }
        let status = self.status();
        let excused = self.excused();
        if status.complete && !before.complete && !excused.is_empty() {
            effects.push(Effect::Excused { pushers: excused });
        }
        if status != before && (status.complete || status.retired) {
            effects.push(Effect::Announce);
        }
        self.wait_for_end(now, effects);
    }

    fn wait_for_end(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let ended = self.retired_before >= self.sets.tag() && !self.sets.newest().contains(self.me);
        if !ended {
            self.hold = None;
            return;
        }
        let hold = self
            .hold
            .get_or_insert_with(|| Hold { until: now + HOLD, equal: SmallVec::new() })
            .clone();
        let over = now >= hold.until && self.has_equal_majority(&hold);
        if over || self.rules.lack(Rule::Hold) {
            effects.push(Effect::Delete);
        }
    }

    fn has_equal_majority(&self, hold: &Hold) -> bool {
        let owners = &self.sets.newest().members;
        let equal = owners.iter().filter(|owner| hold.equal.contains(owner)).count();
        equal >= Quorum::Majority.of(owners.len())
    }

    fn may_retire(&self) -> bool {
        let mut members = self.sets.newest().members.iter();
        if self.rules.lack(Rule::RetireLast) {
            return members.any(|member| self.complete.contains(member));
        }
        members.all(|member| self.complete.contains(member))
    }

    fn owns_older(&self) -> bool {
        self.sets.older().iter().any(|set| set.contains(self.me))
    }

    /// Whether this replica holds what a read of `quorum` of the set at `index` needs.
    fn is_ready(&self, index: usize, quorum: Quorum) -> bool {
        let set = &self.sets.all()[index];
        if self.rules.lack(Rule::Ready) || (set.version == self.sets.tag() && self.is_complete()) {
            return true;
        }
        self.sets.all()[..index].iter().all(|older| {
            let needed = match self.rules.lack(Rule::ReadQuorumOfPushes) {
                true => 1,
                false => quorum.of(older.members.len()),
            };
            self.pushed(older, set.version) >= needed
        })
    }

    /// Whether this owner of the newest set holds the pushes of all owners of older sets.
    fn is_complete(&self) -> bool {
        let version = self.sets.tag();
        self.sets.newest().contains(self.me)
            && self.sets.older().iter().all(|older| {
                let owners = older.members.len();
                let removed = |node: &&NodeId| {
                    self.sets.is_removed(**node) && !self.has_pushed(**node, version)
                };
                let excused = older.members.iter().filter(removed).count();
                let real = self.pushed(older, version);
                let enough = real > owners - self.write_quorum.of(owners)
                    || self.rules.lack(Rule::EnoughRealPushes);
                real + excused == owners && enough
            })
    }

    /// The removed owners whose pushes are missing.
    fn excused(&self) -> SmallVec<[NodeId; 1]> {
        let missing = |node: &&NodeId| !self.has_pushed(**node, self.sets.tag());
        self.sets.removed().iter().filter(missing).copied().collect()
    }

    /// How many owners of `older` have pushed to this replica, fenced for the set of `version`.
    fn pushed(&self, older: &OwnerSet, version: SetVersion) -> usize {
        older.members.iter().filter(|node| self.has_pushed(**node, version)).count()
    }

    fn has_pushed(&self, node: NodeId, version: SetVersion) -> bool {
        // An owner of both sets has fenced itself by knowing of the newer one.
        node == self.me
            || self.pushes.iter().any(|(from, fenced)| *from == node && *fenced >= version)
    }

    /// Switches one rule off, for tests that show what it is for.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn without(mut self, rule: Rule) -> Self {
        self.rules.switch_off(rule);
        self
    }
}
