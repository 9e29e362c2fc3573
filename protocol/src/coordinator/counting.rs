//! From levels to who has to answer.

use coterie_ring::moves::{LiveSets, OwnerSet, Quorum, WriteAnswer, WriteOutcome};
use coterie_ring::{Level, NodeId};
use coterie_wire::QuorumCount;
use smallvec::SmallVec;

use crate::view::View;

/// Owners of one set among which a quorum is counted.
type Group = SmallVec<[NodeId; 3]>;

/// Who has to answer, of each owner set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    among: Among,
    quorum: Quorum,
    /// Whether a fallback's hint is enough: level `any`.
    pub(super) any: bool,
}

/// Where owners are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Among {
    /// Wherever they stand.
    All,
    /// In this node's region.
    Region,
    /// In each region.
    EachRegion,
}

impl Quota {
    /// Who has to answer at `level`.
    pub(crate) fn of(level: Level) -> Self {
        let (among, quorum) = match level {
            Level::Any | Level::One => (Among::All, Quorum::Count(1)),
            Level::Two => (Among::All, Quorum::Count(2)),
            Level::Three => (Among::All, Quorum::Count(3)),
            Level::Quorum | Level::Linearizable => (Among::All, Quorum::Majority),
            Level::All => (Among::All, Quorum::All),
            Level::LocalOne => (Among::Region, Quorum::Count(1)),
            Level::LocalQuorum => (Among::Region, Quorum::Majority),
            Level::EachQuorum => (Among::EachRegion, Quorum::Majority),
        };
        Quota { among, quorum, any: level == Level::Any }
    }

    /// Every owner.
    pub(super) fn all() -> Self {
        Quota::of(Level::All)
    }

    /// What owners must have received to be counted in reads. Moves count pushes over whole sets; a quorum of
    /// one region is inside of any of them only if all have pushed.
    pub(crate) fn readiness(self) -> Quorum {
        match self.among {
            Among::All => self.quorum,
            Among::Region | Among::EachRegion => Quorum::All,
        }
    }

    /// The groups of a set's owners of which each has to make a quorum. A set without an owner in this region is
    /// counted as a whole.
    fn groups(self, view: &View, set: &OwnerSet) -> SmallVec<[Group; 2]> {
        let region = |node: NodeId| view.place(node).map(|place| place.region());
        let whole = || SmallVec::from_iter([set.members.clone()]);
        match self.among {
            Among::All => whole(),
            Among::Region => {
                let mine = region(view.me);
                let here = set.members.iter().copied().filter(|node| region(*node) == mine);
                let here: Group = here.collect();
                if here.is_empty() { whole() } else { SmallVec::from_iter([here]) }
            }
            Among::EachRegion => {
                let mut regions: SmallVec<[Option<&str>; 2]> = SmallVec::new();
                let mut groups: SmallVec<[Group; 2]> = SmallVec::new();
                for &node in &set.members {
                    match regions.iter().position(|known| *known == region(node)) {
                        Some(at) => groups[at].push(node),
                        None => {
                            regions.push(region(node));
                            groups.push(SmallVec::from_iter([node]));
                        }
                    }
                }
                groups
            }
        }
    }

    /// What `answers` to a write amount to.
    pub(super) fn write_outcome(
        self,
        view: &View,
        sets: &LiveSets,
        answers: &[(NodeId, WriteAnswer)],
    ) -> WriteOutcome {
        if self.among == Among::All {
            return sets.write_outcome(self.quorum, answers);
        }
        // As there, counted group by group.
        let given = |node| answers.iter().find(|(by, _)| *by == node).map(|(_, answer)| *answer);
        let gone = |node| sets.is_removed(node) || given(node) == Some(WriteAnswer::Retired);
        let everywhere = |counts: fn(Option<WriteAnswer>) -> bool| {
            sets.all().iter().all(|set| {
                let is_older = set.version != sets.tag();
                self.groups(view, set).iter().all(|group| {
                    let held = |node: &&NodeId| counts(given(**node)) || is_older && gone(**node);
                    group.iter().filter(held).count() >= self.quorum.of(group.len())
                })
            })
        };
        if everywhere(|answer| answer == Some(WriteAnswer::Stored)) {
            WriteOutcome::Done
        } else if everywhere(|answer| matches!(answer, None | Some(WriteAnswer::Stored))) {
            WriteOutcome::Open
        } else {
            WriteOutcome::Unavailable
        }
    }

    /// How many of a set `hold`, of how many that have to.
    pub(crate) fn count(
        self,
        view: &View,
        set: &OwnerSet,
        holds: impl Fn(NodeId) -> bool,
    ) -> QuorumCount {
        let (mut have, mut need) = (0, 0);
        for group in self.groups(view, set) {
            let needed = self.quorum.of(group.len());
            have += group.iter().filter(|node| holds(**node)).count().min(needed);
            need += needed;
        }
        QuorumCount::of(have, need)
    }

    /// Who to ask next in a set, of the nodes in order of preference, so that enough answer: for each group as
    /// many as it lacks, counting those that `count` already.
    pub(crate) fn missing(
        self,
        view: &View,
        set: &OwnerSet,
        counts: impl Fn(NodeId) -> bool,
        candidates: &[NodeId],
    ) -> SmallVec<[NodeId; 3]> {
        let mut asked = SmallVec::new();
        for group in self.groups(view, set) {
            let have = group.iter().filter(|node| counts(**node)).count();
            let lacks = self.quorum.of(group.len()).saturating_sub(have);
            let more = candidates.iter().filter(|node| group.contains(node)).take(lacks);
            asked.extend(more.copied());
        }
        asked
    }
}
