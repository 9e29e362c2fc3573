//! What is particular to a session on one key.

use std::time::Duration;

use bytes::Bytes;
use coterie_wire::peer::sync::{Contents, KeyState, Step};

use super::super::cells::{self, Measured, NotNow};
use super::super::contents::Held;
use super::super::event::SyncError;
use super::super::space::{self, Subject};
use super::{Next, Ours, Phase};
use crate::effects::Effects;
use crate::lane::Shared;
use crate::replica::Stored;
use crate::rows::address::KeyPrefix;
use crate::rows::{NotResident, Rows};

impl Ours {
    /// Reads the key, to be sent where it is small.
    pub(super) fn read_key(&self, rows: &impl Rows) -> Result<Held, NotResident> {
        self.prefix().map_or(Ok(Held::Damaged), |prefix| Held::read(rows, &prefix))
    }

    /// Where the rows of the key begin.
    pub(super) fn prefix(&self) -> Option<KeyPrefix> {
        self.of_key().map(|key| KeyPrefix::new(self.slice.partition, key))
    }

    /// Compares the cells of a key, from what was read of it first.
    pub(super) fn measured(
        &mut self,
        shared: &Shared,
        measured: Result<Measured, NotNow>,
        effects: &mut Effects,
    ) -> Next {
        let Some(key) = self.of_key().cloned() else {
            return Next::End(Err(SyncError::Incomplete));
        };
        let measured = match measured {
            Ok(measured) => measured,
            Err(why) => {
                cells::not_now(self.slice, &key, why, effects);
                return Next::End(Err(SyncError::Incomplete));
            }
        };
        self.ordered = measured.sums.is_some();
        let leaves = measured.sums.as_ref().map_or(Bytes::new(), |sums| space::pack(sums));
        let (context, rows) = (measured.context.clone(), measured.rows);
        self.measured = Some(measured);
        let step = Step::Cells { key, salt: self.salt, context, rows, leaves };
        self.phase = Phase::Matching;
        self.send(shared, step, Duration::ZERO, effects);
        Next::Wait
    }

    /// Takes in what the peer had seen, all of which is joined.
    pub(super) fn adopt(
        &mut self,
        shared: &mut Shared,
        stored: Option<Box<Stored>>,
        effects: &mut Effects,
    ) -> Next {
        let (Some(key), Some(mut stored)) = (self.of_key().cloned(), stored) else {
            return Next::End(Err(SyncError::Incomplete));
        };
        let context = std::mem::take(&mut self.context);
        cells::adopt(shared, self.slice, &key, &context, &mut stored, effects);
        Next::End(Ok(()))
    }

    /// Sends the key, or goes on to compare its cells.
    pub(super) fn send_key(&mut self, shared: &Shared, held: &Held, effects: &mut Effects) -> Next {
        if matches!(held, Held::Large(_)) {
            self.phase = Phase::Measuring;
            return Next::Work;
        }
        let Subject::Cells(key) = &self.subject else { return Next::Wait };
        let key = match (held, held.to_send(key)) {
            (_, Some(state)) => state,
            // A promise without a vote: the peer may have more.
            (Held::Vote(_), None) => {
                KeyState { key: key.clone(), digest: 0, contents: Contents::Large }
            }
            (_, None) => return Next::End(Err(SyncError::Incomplete)),
        };
        self.phase = Phase::Joining;
        self.send(shared, Step::Key { key }, Duration::ZERO, effects);
        Next::Wait
    }
}
