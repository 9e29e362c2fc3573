//! Sync: peers that share slices compare digests and join what differs.
//!
//! Rounds find slices that differ. A session compares the leaves of one, lists those that differ,
//! halves ranges of hashes down to the keys, and sends these both ways; whoever began it
//! asks, the other answers. Everything is a join, so what is written meanwhile costs at most
//! another session (invariant 20), and state of one purge epoch is never joined into another (invariant 19).

mod cells;
mod chunk;
mod contents;
mod event;
mod halving;
mod lister;
mod listing;
mod ours;
mod pace;
mod rounds;
mod sessions;
mod space;
mod theirs;
mod transfers;
mod way;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::peer::sync::Sync;
use coterie_wire::{Body, Message, RequestId, Slice};

use crate::effects::Effects;
use crate::lane::Shared;
use crate::replica::admit;
use crate::rows::{NotResident, Rows};
use ours::Ours;
use pace::Pace;
use rounds::Rounds;
use theirs::Theirs;
use transfers::Transfers;

pub use event::{Asker, Event, SyncError, Told};

/// Slices that this node synchronises of its own accord at one time.
const SLICES_MAX: usize = 8;

/// Sessions of this node's at one time, those that were asked for included.
const OURS_MAX: usize = 256;

/// Sessions that peers began at one time: past it they are told to come back.
const THEIRS_MAX: usize = 64;

/// The rows that an event of sync needs.
#[derive(Debug)]
pub struct Found(ours::Found);

/// The synchronisations of a lane.
#[derive(Debug, Default)]
pub struct Synchroniser {
    rounds: Rounds,
    ours: BTreeMap<RequestId, Ours>,
    theirs: BTreeMap<(NodeId, RequestId), Theirs>,
    /// Slices that differ, to be synchronised as soon as may be.
    ready: BTreeSet<(Slice, NodeId)>,
    /// Those that a session has just not made equal, with when they are ready again.
    resting: BTreeMap<(Slice, NodeId), Duration>,
    transfers: Transfers,
    pace: Pace,
}

impl Synchroniser {
    /// Reads what an event of its own needs. Messages need nothing: what they bring is queued, and read for
    /// in chunks.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_event(
        &self,
        shared: &Shared,
        event: &Event,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        let found = match event {
            Event::Ours { session } => {
                let session = self.ours.get(session).filter(|session| session.is_allowed(shared));
                session.map(|session| session.read(shared, rows))
            }
            Event::Theirs { peer, session } => {
                let session = self.theirs.get(&(*peer, *session));
                let session = session.filter(|session| session.is_allowed(shared));
                session.map(|session| session.read(shared, rows))
            }
            Event::GiveUp { key } => Some(self.transfers.read(key, rows).map(ours::Found::Stored)),
            Event::Key { .. }
            | Event::Now { .. }
            | Event::Dirty { .. }
            | Event::Transfer { .. } => None,
        };
        found.unwrap_or(Ok(ours::Found::Nothing)).map(Found)
    }

    /// Takes a peer's message in.
    pub fn message(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: Message,
        effects: &mut Effects,
    ) {
        let Body::Sync(said) = &message.body else { return };
        match said {
            Sync::Roots { lanes, roots } => {
                let asked = (*lanes, roots);
                match self.rounds.asked(shared, from, &message, asked, effects) {
                    Ok(compared) => self.compared(shared, from, &compared, false, effects),
                    Err(_malformed) => {
                        admit::note(shared, from, admit::Refusal::Malformed, effects);
                    }
                }
            }
            Sync::Compared { lanes, lane, differing } => {
                let (request, lanes) = (message.request, (*lanes, *lane));
                let compared = self.rounds.compared(shared, from, request, lanes, differing);
                self.compared(shared, from, &compared, true, effects);
            }
            Sync::Step { .. } => self.step(shared, from, message, effects),
            Sync::Answer { .. } => self.answer(shared, from, message, effects),
        }
    }
}
