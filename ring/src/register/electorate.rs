//! The acceptors of a register and what a majority of them is.

use smallvec::SmallVec;
use thiserror::Error;

/// The most sets of acceptors that can be joint.
pub const SETS_MAX: usize = 4;

/// The most acceptors in one set.
pub const SET_MEMBERS_MAX: usize = 16;

/// The acceptors of a register: usually one set, several while ownership moves.
///
/// A majority is a majority of each set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Electorate<Id> {
    sets: SmallVec<[SmallVec<[Id; 7]>; 1]>,
}

/// Why sets of acceptors make no electorate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ElectorateError {
    /// No set, or more than [`SETS_MAX`].
    #[error("{sets} sets of acceptors, where 1 to {SETS_MAX} are allowed")]
    SetCount {
        /// How many were given.
        sets: usize,
    },
    /// An empty set, or more than [`SET_MEMBERS_MAX`] members.
    #[error("a set of {members} acceptors, where 1 to {SET_MEMBERS_MAX} are allowed")]
    MemberCount {
        /// How many were given.
        members: usize,
    },
    /// One acceptor would have two votes.
    #[error("an acceptor is listed twice in one set")]
    Repeated,
}

impl<Id: Copy + Ord> Electorate<Id> {
    /// The electorate of one set.
    ///
    /// # Errors
    /// If it is empty, too large, or lists an acceptor twice.
    pub fn single(members: &[Id]) -> Result<Self, ElectorateError> {
        Self::joint(&[members])
    }

    /// The electorate in which each of `sets` must agree.
    ///
    /// # Errors
    /// If there are none or too many, or one is empty, too large, or lists an acceptor twice.
    pub fn joint(sets: &[&[Id]]) -> Result<Self, ElectorateError> {
        if sets.is_empty() || sets.len() > SETS_MAX {
            return Err(ElectorateError::SetCount { sets: sets.len() });
        }
        let mut checked = SmallVec::new();
        for members in sets {
            if members.is_empty() || members.len() > SET_MEMBERS_MAX {
                return Err(ElectorateError::MemberCount { members: members.len() });
            }
            let mut sorted: SmallVec<[Id; 7]> = SmallVec::from_slice(members);
            sorted.sort_unstable();
            if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(ElectorateError::Repeated);
            }
            checked.push(sorted);
        }
        Ok(Self { sets: checked })
    }

    /// Every acceptor once, in order.
    #[must_use]
    pub fn members(&self) -> SmallVec<[Id; 7]> {
        let mut all: SmallVec<[Id; 7]> = self.sets.iter().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether `id` votes.
    #[must_use]
    pub fn contains(&self, id: Id) -> bool {
        self.sets.iter().any(|set| set.binary_search(&id).is_ok())
    }

    /// Whether those for whom `votes` holds are a majority of each set.
    pub fn is_majority(&self, votes: impl Fn(Id) -> bool) -> bool {
        self.each_set_has(votes, |members| members / 2 + 1)
    }

    /// Whether, once all for whom `refused` holds are gone, no majority can be left.
    pub(super) fn is_blocked(&self, refused: impl Fn(Id) -> bool) -> bool {
        !self.is_majority(|id| !refused(id))
    }

    /// Half of each set, rounded down and at least one: too few, for tests that show it.
    #[cfg(feature = "mutants")]
    pub(super) fn is_minority(&self, votes: impl Fn(Id) -> bool) -> bool {
        self.each_set_has(votes, |members| (members / 2).max(1))
    }

    fn each_set_has(&self, votes: impl Fn(Id) -> bool, needed: impl Fn(usize) -> usize) -> bool {
        self.sets.iter().all(|set| {
            let count = set.iter().filter(|id| votes(**id)).count();
            count >= needed(set.len())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_joint_majority_needs_a_majority_of_each_set() {
        let electorate = Electorate::joint(&[&[1, 2, 3], &[3, 4, 5]]).unwrap();
        assert!(!electorate.is_majority(|id| [1, 2, 3].contains(&id)));
        assert!(electorate.is_majority(|id| [2, 3, 4].contains(&id)));
        assert!(!electorate.is_majority(|id| [1, 2, 4].contains(&id)));
        assert_eq!(electorate.members().as_slice(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn two_majorities_of_any_size_intersect() {
        for size in 1..=7_u8 {
            let members: Vec<u8> = (0..size).collect();
            let electorate = Electorate::single(&members).unwrap();
            for votes in 0_u32..1 << size {
                let majority = electorate.is_majority(|id| votes >> id & 1 == 1);
                let rest = electorate.is_majority(|id| votes >> id & 1 == 0);
                assert!(!(majority && rest));
                assert_eq!(majority, !electorate.is_blocked(|id| votes >> id & 1 == 0));
            }
        }
    }

    #[test]
    fn sets_that_make_no_majority_are_refused() {
        assert_eq!(Electorate::<u8>::joint(&[]), Err(ElectorateError::SetCount { sets: 0 }));
        assert_eq!(Electorate::<u8>::single(&[]), Err(ElectorateError::MemberCount { members: 0 }));
        assert_eq!(Electorate::single(&[1, 2, 1]), Err(ElectorateError::Repeated));
        let many: Vec<u8> = (0..17).collect();
        assert_eq!(Electorate::single(&many), Err(ElectorateError::MemberCount { members: 17 }));
    }
}
