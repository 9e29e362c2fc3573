//! Algebra of sets and sorted sets whose members have been fetched: what commands on several keys
//! answer.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::payload::Score;

/// `SUNION`: the members of any of `sets`.
pub fn union(sets: &[BTreeSet<Bytes>]) -> BTreeSet<Bytes> {
    sets.iter().flatten().cloned().collect()
}

/// `SINTER`: the members of all of `sets`; none where there is no set.
pub fn intersection(sets: &[BTreeSet<Bytes>]) -> BTreeSet<Bytes> {
    common(sets).cloned().collect()
}

/// `SINTERCARD`: how many members all of `sets` have, counted up to `limit`, or to the end where that
/// is 0.
pub fn intersection_count(sets: &[BTreeSet<Bytes>], limit: usize) -> usize {
    counted(common(sets), limit)
}

/// `SDIFF`: the members of the first of `sets` that no other has.
pub fn difference(sets: &[BTreeSet<Bytes>]) -> BTreeSet<Bytes> {
    let Some((first, others)) = sets.split_first() else { return BTreeSet::new() };
    let only = first.iter().filter(|member| !others.iter().any(|set| set.contains(*member)));
    only.cloned().collect()
}

/// An input of a union or intersection of sorted sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighted {
    /// Members with their scores.
    pub members: BTreeMap<Bytes, Score>,
    /// What to multiply the scores by: `WEIGHTS`.
    pub weight: Score,
}

/// How the scores that a member has in several sorted sets become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// Their sum; opposite infinities make 0.
    Sum,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

/// A plain set as a sorted set: every score is 1.
pub fn plain(members: impl IntoIterator<Item = Bytes>) -> BTreeMap<Bytes, Score> {
    let one = Score::new(1.0).expect("a number");
    members.into_iter().map(|member| (member, one)).collect()
}

/// `ZUNION`: the members of any of `inputs`, in order of their scores and then names.
pub fn scored_union(inputs: &[Weighted], aggregate: Aggregate) -> Vec<(Bytes, Score)> {
    let mut union: BTreeMap<Bytes, Score> = BTreeMap::new();
    for input in inputs {
        for (member, score) in &input.members {
            let score = input.weigh(*score);
            let joined = |other: &mut Score| *other = aggregate.of(*other, score);
            union.entry(member.clone()).and_modify(joined).or_insert(score);
        }
    }
    in_order(union)
}

/// `ZINTER`: the members of all of `inputs`, in order of their scores and then names.
pub fn scored_intersection(inputs: &[Weighted], aggregate: Aggregate) -> Vec<(Bytes, Score)> {
    let scored = common(inputs).filter_map(|member| {
        let scores = inputs.iter().map(|input| input.weigh(input.members[member]));
        Some((member.clone(), scores.reduce(|a, b| aggregate.of(a, b))?))
    });
    in_order(scored)
}

/// `ZINTERCARD`: how many members all of `sets` have, counted up to `limit`, or to the end where that
/// is 0.
pub fn scored_intersection_count(sets: &[BTreeMap<Bytes, Score>], limit: usize) -> usize {
    counted(common(sets), limit)
}

/// `ZDIFF`: the members of the first of `sets` that no other has, with their scores, in order of those
/// and then names.
pub fn scored_difference(sets: &[BTreeMap<Bytes, Score>]) -> Vec<(Bytes, Score)> {
    let Some((first, others)) = sets.split_first() else { return Vec::new() };
    let only = first.iter().filter(|(member, _)| !others.iter().any(|s| s.contains_key(*member)));
    in_order(only.map(|(member, score)| (member.clone(), *score)))
}

impl Weighted {
    fn weigh(&self, score: Score) -> Score {
        // 0 times infinity is 0, as in Redis.
        Score::new(score.get() * self.weight.get()).unwrap_or_default()
    }
}

impl Aggregate {
    fn of(self, a: Score, b: Score) -> Score {
        match self {
            Aggregate::Sum => Score::new(a.get() + b.get()).unwrap_or_default(),
            Aggregate::Min => a.min(b),
            Aggregate::Max => a.max(b),
        }
    }
}

/// What has members.
trait Members {
    fn count(&self) -> usize;
    fn has(&self, member: &Bytes) -> bool;
    fn iter(&self) -> impl Iterator<Item = &Bytes>;
}

impl Members for BTreeSet<Bytes> {
    fn count(&self) -> usize {
        self.len()
    }

    fn has(&self, member: &Bytes) -> bool {
        self.contains(member)
    }

    fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.iter()
    }
}

impl Members for BTreeMap<Bytes, Score> {
    fn count(&self) -> usize {
        self.len()
    }

    fn has(&self, member: &Bytes) -> bool {
        self.contains_key(member)
    }

    fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.keys()
    }
}

impl Members for Weighted {
    fn count(&self) -> usize {
        self.members.len()
    }

    fn has(&self, member: &Bytes) -> bool {
        self.members.contains_key(member)
    }

    fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.members.keys()
    }
}

/// The members that all of `sets` have, in order of bytes. Lazy; looks through the smallest set.
fn common<S: Members>(sets: &[S]) -> impl Iterator<Item = &Bytes> {
    let smallest = sets.iter().min_by_key(|set| set.count());
    let members = smallest.into_iter().flat_map(Members::iter);
    members.filter(move |member| sets.iter().all(|set| set.has(member)))
}

/// How many there are, counted up to `limit`; 0 is no limit.
fn counted(members: impl Iterator, limit: usize) -> usize {
    if limit == 0 { members.count() } else { members.take(limit).count() }
}

fn in_order(members: impl IntoIterator<Item = (Bytes, Score)>) -> Vec<(Bytes, Score)> {
    let mut members: Vec<_> = members.into_iter().collect();
    members.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    members
}
