//! Sets: add-wins, remove-wins and grow-only.

use bytes::Bytes;

use crate::address::{Address, AddressRange};
use crate::cells::{Cells, Direction};
use crate::footprint::{Footprint, Need};
use crate::kind::Kind;
use crate::mutants::{Mutant, mutant};
use crate::operation::draft::Draft;
use crate::operation::{OpError, Reply};
use crate::payload::Payload;

/// What happens to a member that is added and removed concurrently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SetKind {
    /// It stays: a removal drops the adds that it observed. What Redis's commands work on.
    AddWins,
    /// It goes: a removal outlives the adds that did not observe it.
    RemoveWins,
    /// It stays, for nothing is ever removed but with the whole key.
    GrowOnly,
}

/// An operation on a set of one kind.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SetOperation {
    /// Of which kind the set is, or will be if the key is not there.
    pub kind: SetKind,
    /// What to do.
    pub verb: SetVerb,
}

/// What to do with a set.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SetVerb {
    /// `SADD`: how many of the members are new. One that is there is renewed: it survives a removal
    /// that does not observe this.
    Add(Vec<Bytes>),
    /// `SREM`: how many of the members were there.
    Remove(Vec<Bytes>),
    /// `SISMEMBER`, `SMISMEMBER`: 1 or 0 for each.
    Contains(Vec<Bytes>),
    /// `SCARD`.
    Count,
    /// `SMEMBERS`, in order of bytes.
    Members,
    /// `SSCAN`: up to so many members after one.
    Scan {
        /// Go on after this member.
        after: Option<Bytes>,
        /// How many at most.
        count: usize,
    },
    /// `SPOP`: removes members chosen at random and answers them.
    Pop(u64),
    /// `SRANDMEMBER`: distinct members chosen at random.
    Random(u64),
    /// `SRANDMEMBER` with a negative count: members chosen at random, each time among all.
    RandomRepeated(u64),
    /// `SINTERSTORE` and its like: deletes the key, then adds these. Answers how many.
    Store(Vec<Bytes>),
}

impl SetKind {
    fn cell(self) -> Kind {
        match self {
            SetKind::AddWins => Kind::Member,
            SetKind::RemoveWins => Kind::GuardedMember,
            SetKind::GrowOnly => Kind::GrowOnlyMember,
        }
    }
}

impl SetOperation {
    /// An operation on an add-wins set.
    pub fn new(verb: SetVerb) -> Self {
        SetOperation { kind: SetKind::AddWins, verb }
    }

    pub(super) fn footprint(&self) -> Footprint {
        match &self.verb {
            SetVerb::Add(members) | SetVerb::Remove(members) | SetVerb::Contains(members) => {
                Footprint::cells(members.iter().map(|member| self.address(member)))
            }
            SetVerb::Count => Footprint::derived(Need::Counts),
            SetVerb::Scan { after, .. } => {
                let from = after.clone().unwrap_or_default();
                Footprint::range(AddressRange { kind: self.kind.cell(), from, to: None })
            }
            SetVerb::Members
            | SetVerb::Pop(_)
            | SetVerb::Random(_)
            | SetVerb::RandomRepeated(_) => Footprint::range(AddressRange::all(self.kind.cell())),
            SetVerb::Store(members) => Footprint::tallied()
                .and(Footprint::cells(members.iter().map(|member| self.address(member)))),
        }
    }

    pub(super) fn writes(&self) -> bool {
        matches!(
            self.verb,
            SetVerb::Add(_) | SetVerb::Remove(_) | SetVerb::Pop(_) | SetVerb::Store(_)
        )
    }

    pub(super) fn observes(&self) -> bool {
        // An add that has to drop what removed the member depends on having seen that.
        !matches!(self.verb, SetVerb::Add(_)) || self.kind == SetKind::RemoveWins
    }

    pub(super) fn apply<C: Cells>(&self, draft: &mut Draft<'_, '_, C>) -> Result<Reply, OpError> {
        if !matches!(self.verb, SetVerb::Store(_)) {
            draft.expect(self.kind.cell().shown_as())?;
        }
        match &self.verb {
            SetVerb::Add(members) => {
                draft.limits().elements(members)?;
                Ok(Reply::count(self.add(draft, members)?))
            }
            SetVerb::Remove(members) => {
                if self.kind == SetKind::RemoveWins {
                    // What it removes it records, whether or not it was ever there.
                    draft.limits().elements(members)?;
                }
                let mut removed = 0;
                for member in members {
                    removed += i64::from(self.remove(draft, member)?);
                }
                Ok(Reply::Integer(removed))
            }
            SetVerb::Contains(members) => {
                let has = |member| i64::from(draft.has(&self.address(member)));
                Ok(Reply::Integers(members.iter().map(has).collect()))
            }
            SetVerb::Count => draft.count(self.kind.cell()).map(Reply::count),
            SetVerb::Members => Ok(values(self.members(draft))),
            SetVerb::Scan { after, count } => {
                let from = after.clone().unwrap_or_default();
                let range = AddressRange { kind: self.kind.cell(), from, to: None };
                let members = draft.scan(&range, Direction::Forward);
                let members = members.map(|(address, _)| address.path.clone());
                let members = members.filter(|member| after.as_ref() != Some(member));
                Ok(values(members.take(*count).collect()))
            }
            SetVerb::Pop(count) => {
                let popped = self.choose(draft, *count);
                for member in &popped {
                    self.remove(draft, member)?;
                }
                Ok(values(popped))
            }
            SetVerb::Random(count) => Ok(values(self.choose(draft, *count))),
            SetVerb::RandomRepeated(count) => {
                Ok(values(choose_repeated(&self.members(draft), *count, draft)?))
            }
            SetVerb::Store(members) => {
                draft.limits().elements(members)?;
                draft.delete_whole()?;
                Ok(Reply::count(self.add(draft, members)?))
            }
        }
    }

    fn address(&self, member: &Bytes) -> Address {
        Address::new(self.kind.cell(), member.clone())
    }

    fn members<C: Cells>(&self, draft: &Draft<'_, '_, C>) -> Vec<Bytes> {
        let range = AddressRange::all(self.kind.cell());
        draft.scan(&range, Direction::Forward).map(|(address, _)| address.path.clone()).collect()
    }

    fn add<C: Cells>(
        &self,
        draft: &mut Draft<'_, '_, C>,
        members: &[Bytes],
    ) -> Result<usize, OpError> {
        let mut added = 0;
        for member in members {
            added += usize::from(!draft.renew(self.address(member))?);
        }
        Ok(added)
    }

    /// Whether the member was there.
    fn remove<C: Cells>(
        &self,
        draft: &mut Draft<'_, '_, C>,
        member: &Bytes,
    ) -> Result<bool, OpError> {
        let address = self.address(member);
        let was = draft.has(&address);
        match self.kind {
            SetKind::AddWins if was => draft.remove(address)?,
            SetKind::AddWins => {}
            SetKind::RemoveWins if mutant(Mutant::RemovalForgotten) => draft.remove(address)?,
            // Removal wins over adds that nobody here has seen, so it is recorded whatever was there.
            SetKind::RemoveWins => draft.put(address, |_| Payload::Removed)?,
            SetKind::GrowOnly => return Err(OpError::GrowOnly),
        }
        Ok(was)
    }

    /// Distinct members at random, at most `count`.
    fn choose<C: Cells>(&self, draft: &mut Draft<'_, '_, C>, count: u64) -> Vec<Bytes> {
        choose(self.members(draft), count, draft)
    }
}

/// `count` of `items` at random, each at most once. Source: Fisher–Yates, stopped early.
pub(super) fn choose<T, C: Cells>(
    mut items: Vec<T>,
    count: u64,
    draft: &mut Draft<'_, '_, C>,
) -> Vec<T> {
    let chosen = usize::try_from(count).unwrap_or(usize::MAX).min(items.len());
    for at in 0..chosen {
        let other = at + index(draft.random_below((items.len() - at) as u64));
        items.swap(at, other);
    }
    items.truncate(chosen);
    items
}

/// `count` of `items` at random, each time among all; none where there are none.
///
/// # Errors
/// [`OpError::TooManyRandom`]
pub(super) fn choose_repeated<T: Clone, C: Cells>(
    items: &[T],
    count: u64,
    draft: &mut Draft<'_, '_, C>,
) -> Result<Vec<T>, OpError> {
    let times = if items.is_empty() { 0 } else { count };
    let count_max = draft.limits().random_max;
    if times > count_max {
        return Err(OpError::TooManyRandom { count, count_max });
    }
    let chosen = |_| items[index(draft.random_below(items.len() as u64))].clone();
    Ok((0..times).map(chosen).collect())
}

fn index(below_length: u64) -> usize {
    usize::try_from(below_length).expect("below the length of a vector")
}

pub(super) fn values(members: Vec<Bytes>) -> Reply {
    Reply::Values(members.into_iter().map(Some).collect())
}
