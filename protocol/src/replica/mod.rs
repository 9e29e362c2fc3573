//! An owner's side: storing what it is sent and showing what it has.

pub mod admit;
mod apply;
pub mod show;
mod store;
mod stored;

use coterie_ring::NodeId;
use coterie_wire::peer::read::ReadAnswer;
use coterie_wire::peer::write::WriteAnswer;
use coterie_wire::{Body, Message};

use crate::effects::{Class, Effects};
use crate::lane::Shared;
use crate::rows::{NotResident, ReadError, Rows};

pub use apply::{Applied, apply, needs, write};
pub use stored::Stored;

/// What happens to the owner's side from within its lane.
#[derive(Clone, Debug)]
pub enum Event {}

/// What was found of a message to a replica.
#[derive(Debug)]
pub struct Found(Finding);

#[derive(Debug)]
enum Finding {
    /// The message is not taken.
    Refused(admit::Refusal),
    /// A write is answered, and nothing stored.
    NotStored(WriteAnswer),
    /// The rows that a write joins.
    Store(Box<Stored>),
    /// What a read is shown.
    Show(ReadAnswer),
    /// Rows of the key are damaged.
    Damaged,
    /// The message is none of a replica's.
    Nothing,
}

/// The owner's side of a lane.
#[derive(Debug, Default)]
pub struct Replicas {}

impl Replicas {
    /// Reads what a message needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read(
        &self,
        shared: &Shared,
        _from: NodeId,
        message: &Message,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        let finding = if let Body::Write(write) = &message.body {
            store::find(shared, message, write, rows)
        } else if let Body::Read(read) = &message.body {
            show::find(shared, message, read, rows)
        } else {
            Ok(Finding::Nothing)
        };
        match finding {
            Ok(finding) => Ok(Found(finding)),
            Err(ReadError::NotResident(missing)) => Err(missing),
            Err(
                ReadError::Damaged(_) | ReadError::DamagedRegister(_) | ReadError::DamagedAddress,
            ) => Ok(Found(Finding::Damaged)),
            Err(ReadError::TooMany) => Ok(Found(Finding::NotStored(WriteAnswer::Full))),
        }
    }

    /// Takes a message in.
    pub fn message(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: Message,
        found: Found,
        effects: &mut Effects,
    ) {
        let (request, slice, trace) = (message.request, message.slice, message.trace);
        let body = match (message.body, found.0) {
            (Body::Write(write), Finding::Store(mut stored)) => {
                let slice = slice.expect("only messages about a slice are admitted");
                store::store(shared, from, (request, slice), &write, &mut stored, effects);
                return;
            }
            (Body::Write(_), Finding::NotStored(answer)) => {
                store::count(shared, answer);
                Body::Wrote(answer)
            }
            (Body::Write(_), Finding::Refused(refusal)) => {
                admit::note(shared, from, refusal, effects);
                refusal.to_write()
            }
            (Body::Write(_), Finding::Damaged) => Body::Wrote(WriteAnswer::Damaged),
            (Body::Read(_), Finding::Show(answer)) => Body::Shown(answer),
            (Body::Read(_), Finding::Refused(refusal)) => {
                admit::note(shared, from, refusal, effects);
                refusal.to_read()
            }
            (Body::Read(_), Finding::Damaged) => Body::Shown(ReadAnswer::Damaged),
            (_, Finding::Nothing) => return,
            (body, finding) => panic!("{finding:?} was not read for {body:?}"),
        };
        let Some(slice) = slice else { return };
        let answer = admit::answer(shared, request, slice, body);
        effects.send(from, Class::Requests, Message { trace, ..answer });
    }

    /// Reads what an event of its own needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_event(
        &self,
        _shared: &Shared,
        event: &Event,
        _rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        match *event {}
    }

    /// Takes an event of its own in.
    pub fn event(
        &mut self,
        _shared: &mut Shared,
        event: Event,
        _found: Found,
        _effects: &mut Effects,
    ) {
        match event {}
    }
}
