//! Purge by acknowledgement: what remains of deleted keys is dropped once nobody can bring back what they
//! held, and never because some time has passed.
//!
//! A round of one slice, led by its first live owner:
//!
//! 1. Under purge epoch e every owner reports, from disk, the same digest of a key with nothing live.
//! 2. The owners adopt e + 1: all that is read from then on bears it, and new keys start under new actors. Every
//!    member of the cluster confirms it, once it keeps no hint that is older and will take none.
//! 3. Then owners refuse what is older, and drop the key where its digest is still the reported one.
//!
//! Why nothing comes back: what could hold a dead dot of the key bears e or less, and after 3 it is refused
//! everywhere; before 3 it meets owners that have all seen the dot dead. Why nothing is lost: a write that the
//! reports did not see changes the digest wherever it arrives, and what is minted on a key that is gone has an actor that
//! the remains elsewhere do not know. Who leads keeps a round in memory only: another owner, or the same after a
//! restart, has all members confirm the epoch that there is, and begins anew. Who is a member is the same for all who
//! take part: they heed each other only under the same decision. Whoever is none is refused, and whoever has become one
//! learns the epoch before it stands in for owners.
//!
//! Between 2 and 3 owners admit state of e, unlike DESIGN §8: hints of e that keep their holder from confirming have to
//! be delivered somewhere (docs/decisions/0430). `tests/purges` shows what
//! each step is for. Invariants 1, 19 and 22.

mod candidates;
mod learn;
mod member;
mod round;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coterie_crdt::Root;
use coterie_crdt::encoding::decode_root;
use coterie_ring::NodeId;
use coterie_wire::peer::purge::{PURGE_KEYS_MAX, Purge, Remains, Said};
use coterie_wire::{Body, Key, Message, Slice};

use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::replica::admit::{self, Refusal};
use crate::rows::address::KeyPrefix;
use crate::rows::{NotResident, Row, Rows, Space};
use crate::strong::is_register;

pub(crate) use member::{adopt, heed};
pub(crate) use round::ask_to_renew;

use candidates::Candidates;
use learn::Learning;
use round::Round;

/// How often rounds are looked at, and a page of rows is looked through for what remains of deleted keys.
const TICK: Duration = Duration::from_millis(250);

/// What happens to purges from within their lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Looks through the next page of rows.
    Scan,
    /// Proposes to drop what remains here of the keys found.
    Propose {
        /// Of which slice.
        slice: Slice,
    },
    /// Drops what this node, which leads the round, has of the remains.
    Drop {
        /// Of which slice.
        slice: Slice,
    },
    /// Goes on to a later epoch, though there may be nothing to drop.
    Renew {
        /// Of which slice.
        slice: Slice,
    },
}

/// The rows that an event of purges needs.
#[derive(Debug, Default)]
pub struct Found {
    page: Vec<Row>,
    /// Roots of the keys at hand, in order; `None` where there is none that could be dropped.
    roots: Vec<Option<Root>>,
}

/// The purges of a lane.
#[derive(Debug, Default)]
pub struct Purges {
    candidates: Candidates,
    /// The rounds that this node leads.
    rounds: BTreeMap<Slice, Round>,
    /// Slices that are to go on to a later epoch, whatever there is to drop.
    renewals: BTreeSet<Slice>,
    /// When the last round of a slice ended.
    ended: BTreeMap<Slice, Duration>,
    learning: Learning,
    tick_at: Option<Duration>,
}

impl Purges {
    /// Reads what an event of its own needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_event(&self, event: &Event, rows: &impl Rows) -> Result<Found, NotResident> {
        match event {
            Event::Scan => Ok(Found { page: self.candidates.read(rows)?, roots: vec![] }),
            Event::Renew { .. } => Ok(Found::default()),
            Event::Propose { slice } => roots(*slice, self.candidates.of(*slice), rows),
            Event::Drop { slice } => {
                let remains = self.rounds.get(slice).map_or(&[][..], Round::remains);
                roots(*slice, remains.iter().map(|remains| &remains.key), rows)
            }
        }
    }

    /// Reads what a peer's message needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_message(
        &self,
        message: &Message,
        purge: &Purge,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        match (&purge.said, message.slice) {
            (Said::Propose(remains) | Said::Drop(remains), Some(slice))
                if remains.len() <= PURGE_KEYS_MAX =>
            {
                roots(slice, remains.iter().map(|remains| &remains.key), rows)
            }
            (
                Said::Propose(_)
                | Said::Drop(_)
                | Said::Ask
                | Said::Told
                | Said::Reported(_)
                | Said::Adopt
                | Said::Confirmed
                | Said::Dropped
                | Said::Renew,
                _,
            ) => Ok(Found::default()),
        }
    }

    /// Takes an event of its own in.
    pub fn event(
        &mut self,
        shared: &mut Shared,
        event: Event,
        found: Found,
        effects: &mut Effects,
    ) {
        match event {
            Event::Scan => self.candidates.take(shared, &found.page),
            Event::Propose { slice } => self.propose(shared, slice, &found.roots, effects),
            Event::Drop { slice } => self.drop_own(shared, slice, &found.roots, effects),
            Event::Renew { slice } => self.renew(shared, slice),
        }
    }

    /// Takes in what another member says.
    pub fn message(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: &Message,
        purge: &Purge,
        found: &Found,
        effects: &mut Effects,
    ) {
        let Some(slice) = message.slice else { return };
        if let Err(refusal) = admitted(shared, from, purge) {
            return admit::refuse(shared, from, message, refusal, effects);
        }
        let about = member::About { slice, from, request: message.request, epoch: message.epoch };
        if !matches!(purge.said, Said::Told) {
            member::heed_settled(shared, slice, purge.settled, effects);
        }
        match &purge.said {
            Said::Ask => learn::answer(shared, about, effects),
            Said::Told => learn::told(shared, about, purge.settled, effects),
            Said::Propose(remains) => {
                member::report(shared, about, remains, &found.roots, effects);
            }
            Said::Adopt => member::confirm(shared, about, effects),
            // Asked for a later one than there is by now.
            Said::Renew if about.epoch == shared.epoch(slice) => self.renew(shared, slice),
            Said::Renew => {}
            Said::Drop(remains) => {
                member::drop_remains(shared, about, remains, &found.roots, effects);
            }
            said @ (Said::Reported(_) | Said::Confirmed | Said::Dropped) => {
                self.answered(shared, about, said, effects);
            }
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        if self.tick_at.is_some_and(|at| now < at) {
            return;
        }
        self.tick_at = Some(now + TICK);
        if self.candidates.seek(shared) {
            effects.lane(After::Written, Event::Scan.into());
        }
        self.step_rounds(shared, effects);
        self.learning.go_on(shared, effects);
    }

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.tick_at
    }

    /// Control has another picture of the cluster.
    pub fn view_changed(&mut self, shared: &mut Shared, effects: &mut Effects) {
        if self.tick_at.is_none() {
            self.tick_at = Some(shared.now.monotonic + TICK);
        }
        self.learning.view_changed(shared, effects);
    }
}

impl From<Event> for crate::Event {
    fn from(event: Event) -> Self {
        crate::Event::Purge(event)
    }
}

/// The roots of keys of a slice. Damaged rows, and those of registers, are none that a purge could drop.
fn roots<'k>(
    slice: Slice,
    keys: impl Iterator<Item = &'k Key>,
    rows: &impl Rows,
) -> Result<Found, NotResident> {
    let mut roots = Vec::new();
    for key in keys.take(PURGE_KEYS_MAX) {
        let row = rows.get(Space::Rows, &KeyPrefix::new(slice.partition, key).root())?;
        let row = row.filter(|row| !is_register(row));
        roots.push(row.and_then(|row| decode_root(&row).ok()));
    }
    Ok(Found { page: Vec::new(), roots })
}

/// Whether what a member says is heeded.
fn admitted(shared: &Shared, from: NodeId, purge: &Purge) -> Result<(), Refusal> {
    let known = shared.view.decision.version();
    if purge.decided != known {
        // A member that one of both does not know could hold what the other means to drop. It is asked again.
        return Err(Refusal::of_other(purge.decided, known));
    }
    let (Said::Propose(remains) | Said::Drop(remains)) = &purge.said else {
        return admit::member(shared, from);
    };
    if remains.len() > PURGE_KEYS_MAX {
        return Err(Refusal::Malformed);
    }
    admit::member(shared, from)
}

/// The nodes whose word a purge needs: who may hold state or hints of the slice.
fn members(shared: &Shared) -> impl Iterator<Item = NodeId> + '_ {
    shared.view.decision.layout().members().iter().map(|member| member.id)
}

/// A message of purges about a slice.
fn said(shared: &Shared, about: member::About, said: Said) -> Message {
    let decided = shared.view.decision.version();
    let purge = Purge { decided, said, settled: shared.settled(about.slice) };
    shared.message(about.request, about.slice, Body::Purge(Box::new(purge)))
}

/// What remains of `key`, where nothing of it is live.
fn remains_of(key: &Key, root: Option<&Root>) -> Option<Remains> {
    let root = root.filter(|root| root.has_nothing_live() && !root.is_empty())?;
    Some(Remains { key: key.clone(), digest: coterie_crdt::digest::key_digest(root) })
}
