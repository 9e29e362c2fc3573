//! What is known of one member, as a value that merges: every way of learning is the same `join`.

use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::attributes::Attributes;
use crate::identity::{Generation, Incarnation, NodeId};

/// What is claimed of a member, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// It answered, or says so itself.
    Alive,
    /// Somebody's probe failed; it may refute this.
    Suspect,
    /// Convicted; it may still refute this.
    Down,
    /// It said goodbye: final for its generation.
    Left,
}

/// A claim about one member. Claims are totally ordered; a greater one replaces a lesser one.
///
/// The order is (generation, left or not, incarnation, rank). What a member holds is therefore always the
/// maximum carried by any evidence, also by evidence that changed nothing anybody could see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// The life that is meant.
    pub generation: Generation,
    /// The claim of that life that is meant.
    pub incarnation: Incarnation,
    /// What is claimed.
    pub rank: Rank,
}

impl Evidence {
    fn key(&self) -> (Generation, bool, Incarnation, Rank) {
        (self.generation, self.rank == Rank::Left, self.incarnation, self.rank)
    }

    /// The same life and incarnation under another rank.
    #[must_use]
    pub fn ranked(self, rank: Rank) -> Self {
        Self { rank, ..self }
    }
}

impl PartialOrd for Evidence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Evidence {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// Who vouches for a suspicion: the least [`Accusers::MAX`] ids of all that accused.
///
/// Keeping the least of a union is idempotent, commutative and associative, so that accusers merge like
/// everything else, in bounded space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accusers(SmallVec<[NodeId; Accusers::MAX]>);

impl Accusers {
    /// One accuser and the confirmations that bring a suspicion to its shortest timeout.
    pub const MAX: usize = 4;

    /// Adds one accuser.
    pub fn insert(&mut self, id: NodeId) {
        if let Err(index) = self.0.binary_search(&id)
            && index < Self::MAX
        {
            self.0.truncate(Self::MAX - 1);
            self.0.insert(index, id);
        }
    }

    /// Adds all of another set's.
    pub fn join(&mut self, other: &Self) {
        for id in &other.0 {
            self.insert(*id);
        }
    }

    /// Ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[NodeId] {
        &self.0
    }
}

impl FromIterator<NodeId> for Accusers {
    fn from_iter<I: IntoIterator<Item = NodeId>>(ids: I) -> Self {
        let mut accusers = Self::default();
        for id in ids {
            accusers.insert(id);
        }
        accusers
    }
}

/// What is known of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The member.
    pub id: NodeId,
    /// The greatest claim.
    pub evidence: Evidence,
    /// Who made it, if it is a suspicion; empty otherwise.
    pub accusers: Accusers,
    /// Whole seconds since the member was found down or left; 0 otherwise.
    ///
    /// It travels with the record, so that being told again does not make a death recent.
    pub age_seconds: u32,
    /// The newest attributes, unless only accusations have been heard.
    pub attributes: Option<Attributes>,
}

impl Record {
    /// Takes in another record of the same member: a semilattice's join.
    ///
    /// # Panics
    /// If the records are of different members.
    pub fn join(&mut self, other: &Self) {
        assert_eq!(self.id, other.id, "records of two members do not merge");
        match other.evidence.cmp(&self.evidence) {
            Ordering::Greater => {
                self.evidence = other.evidence;
                self.accusers = other.accusers.clone();
                self.age_seconds = other.age_seconds;
            }
            Ordering::Equal => {
                self.accusers.join(&other.accusers);
                self.age_seconds = self.age_seconds.max(other.age_seconds);
            }
            Ordering::Less => {}
        }
        self.attributes = self.attributes.max(other.attributes);
    }
}
