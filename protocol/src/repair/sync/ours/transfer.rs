//! What a session on a key does where all cells of one side go to the other.

use std::time::Duration;

use coterie_crdt::Address;
use coterie_wire::peer::sync::{Chunk, Cursor, Step};

use super::super::chunk::{self, Received, Receiving};
use super::super::event::SyncError;
use super::super::way::{Peer, Way};
use super::{Next, Ours, Phase};
use crate::effects::Effects;
use crate::lane::Shared;
use crate::replica::Stored;

impl Ours {
    /// Goes the way that the two sides of the key call for.
    pub(super) fn matched(
        &mut self,
        shared: &mut Shared,
        (rows, transfer): (u64, Option<&Cursor>),
        effects: &mut Effects,
    ) -> Result<Next, SyncError> {
        let (Some(mine), Some(key)) = (self.measured.take(), self.of_key()) else {
            return Err(SyncError::Refused);
        };
        if mine.transfer.is_some() {
            chunk::note(self.slice, key, false, effects);
        }
        let peer = Peer { context: &self.context, rows, transfer };
        match Way::choose(&mine, peer, self.transferred) {
            Way::Compare => {
                self.giving.root = true;
                Ok(self.list(shared, effects))
            }
            Way::Fetch(after) => {
                self.transferred.fetched = true;
                Ok(self.fetch(shared, after, Duration::ZERO, effects))
            }
            Way::Send(after) => {
                self.transferred.sent = true;
                self.phase = Phase::Sending(after);
                Ok(Next::Work)
            }
            Way::Later => Err(SyncError::Incomplete),
        }
    }

    fn fetch(
        &mut self,
        shared: &Shared,
        after: Option<Address>,
        pause: Duration,
        effects: &mut Effects,
    ) -> Next {
        self.phase = Phase::Fetching;
        self.send(shared, Step::Fetch { after }, pause, effects);
        Next::Wait
    }

    /// Joins the next rows of a chunk, and asks for the next one.
    pub(super) fn receive(
        &mut self,
        shared: &mut Shared,
        receiving: Receiving,
        stored: Option<Box<Stored>>,
        effects: &mut Effects,
    ) -> Next {
        let Some(key) = self.of_key().cloned() else { return Next::Wait };
        match receiving.take(shared, (self.slice, &key), stored, effects) {
            Received::Part => {
                self.phase = Phase::Receiving(receiving);
                Next::Work
            }
            Received::All(Some(cursor)) => {
                let pause = std::mem::take(&mut self.pause);
                self.fetch(shared, cursor.after, pause, effects)
            }
            // What the peer lacks is found by comparing.
            Received::All(None) => {
                self.phase = Phase::Measuring;
                Next::Work
            }
            Received::Not => Next::End(Err(SyncError::Incomplete)),
        }
    }

    /// Sends a chunk that was read.
    pub(super) fn send_chunk(
        &mut self,
        shared: &Shared,
        chunk: Option<Box<Chunk>>,
        effects: &mut Effects,
    ) -> Next {
        let Some(chunk) = chunk else { return Next::End(Err(SyncError::Incomplete)) };
        self.phase = Phase::Sent(chunk.after.clone());
        let pause = std::mem::take(&mut self.pause);
        self.send(shared, Step::Chunk { chunk: *chunk }, pause, effects);
        Next::Wait
    }

    /// A chunk of the cells after one was joined by the peer, which is now at its cursor.
    pub(super) fn received(
        &mut self,
        after: Option<Address>,
        transfer: Option<Cursor>,
    ) -> Result<Next, SyncError> {
        self.phase = match transfer {
            Some(cursor) if cursor.after == after => return Err(SyncError::Incomplete),
            Some(cursor) => Phase::Sending(cursor.after),
            None => Phase::Measuring,
        };
        Ok(Next::Work)
    }
}
