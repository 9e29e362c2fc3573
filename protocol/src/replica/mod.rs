//! An owner's side: storing what it is sent and showing what it has.

pub mod admit;
mod apply;
mod erase;
mod joins;
pub mod large;
pub mod show;
mod split;
mod store;
mod stored;
pub(crate) mod transfer;

use std::collections::BTreeSet;

use coterie_ring::NodeId;
use coterie_wire::peer::read::ReadAnswer;
use coterie_wire::peer::write::{Write, WriteAnswer};
use coterie_wire::{Body, Key, Message, Slice};

use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::repair::scrub;
use crate::rows::address::KeyPrefix;
use crate::rows::{NotResident, ReadError, Rows, fetch};

pub use apply::{Applied, apply, needs, write};
pub(crate) use erase::erase;
pub use split::split;
pub use stored::Stored;
pub(crate) use stored::decode as decode_cell_row;

/// What happens to the owner's side from within its lane.
#[derive(Clone, Debug)]
pub enum Event {
    /// The index of a large key is to be built, or gone on with.
    Index {
        /// In which slice.
        slice: Slice,
        /// Which key.
        key: Key,
    },
    /// The next chunk of it.
    Indexing {
        /// In which slice.
        slice: Slice,
        /// Which key.
        key: Key,
    },
    /// A join of more than one event may touch goes on.
    Join {
        /// Which one.
        id: u64,
    },
}

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
    /// A write is more than one event may join.
    Join,
    /// The next chunk of such a join; none where its rows are damaged.
    JoinChunk(Option<Box<joins::Chunk>>),
    /// The next chunk of an index.
    IndexChunk(Box<large::Chunk>),
    /// What a read is shown.
    Show(ReadAnswer),
    /// Rows of the key are damaged.
    Damaged,
    /// The message is none of a replica's.
    Nothing,
}

/// The owner's side of a lane.
#[derive(Debug, Default)]
pub struct Replicas {
    joins: joins::Joins,
    /// Keys whose index is being built.
    indexing: BTreeSet<Key>,
}

impl Replicas {
    /// Reads what a message needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read(
        &self,
        shared: &Shared,
        from: NodeId,
        message: &Message,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        let finding = if let Body::Write(write) = &message.body {
            store::find(shared, from, message, write, rows)
        } else if let Body::Read(read) = &message.body {
            show::find(shared, from, message, read, rows)
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
        if let (Body::Write(write), Finding::Join) = (&message.body, &found.0)
            && self.joins.begin(from, &message, Write::clone(write), effects)
        {
            return;
        }
        let body = match (message.body, found.0) {
            (Body::Write(_), Finding::Join) => {
                store::count(shared, WriteAnswer::Full);
                Body::Wrote(WriteAnswer::Full)
            }
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
            (Body::Write(write), Finding::Damaged) => {
                damaged(slice, &write.key, effects);
                Body::Wrote(WriteAnswer::Damaged)
            }
            (Body::Read(_), Finding::Show(answer)) => Body::Shown(answer),
            (Body::Read(_), Finding::Refused(refusal)) => {
                admit::note(shared, from, refusal, effects);
                refusal.to_read()
            }
            (Body::Read(read), Finding::Damaged) => {
                damaged(slice, &read.key, effects);
                Body::Shown(ReadAnswer::Damaged)
            }
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
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        let finding = match event {
            Event::Index { key, .. } if self.indexing.contains(key) => Ok(Finding::Nothing),
            Event::Index { slice, key } | Event::Indexing { slice, key } => {
                let prefix = KeyPrefix::new(slice.partition, key);
                let root = fetch::root(rows, &prefix);
                let chunk = root.and_then(|root| large::next_chunk(rows, &prefix, &root));
                chunk.map(|it| it.map_or(Finding::Nothing, |it| Finding::IndexChunk(Box::new(it))))
            }
            Event::Join { id } => {
                let chunk = self.joins.read(*id, rows);
                chunk.map(|chunk| Finding::JoinChunk(chunk.map(Box::new)))
            }
        };
        Ok(Found(fetch::readable(finding)?.unwrap_or(Finding::Damaged)))
    }

    /// Takes an event of its own in.
    pub fn event(
        &mut self,
        shared: &mut Shared,
        event: Event,
        found: Found,
        effects: &mut Effects,
    ) {
        match (event, found.0) {
            (Event::Index { slice, key }, Finding::IndexChunk(chunk))
            | (Event::Indexing { slice, key }, Finding::IndexChunk(chunk)) => {
                let prefix = KeyPrefix::new(slice.partition, &key);
                if shared.slices.contains_key(&slice)
                    && large::build(&prefix, *chunk, &mut effects.batch)
                {
                    self.indexing.insert(key.clone());
                    let event = Event::Indexing { slice, key };
                    effects.lane(After::Written, crate::Event::Replica(event));
                } else {
                    self.indexing.remove(&key);
                }
            }
            (Event::Index { .. }, _) => {}
            (Event::Indexing { key, .. }, _) => {
                self.indexing.remove(&key);
            }
            (Event::Join { id }, Finding::JoinChunk(chunk)) => {
                self.joins.go_on(shared, id, chunk.map(|chunk| *chunk), effects);
            }
            (Event::Join { id }, _) => self.joins.go_on(shared, id, None, effects),
        }
    }
}

/// Has a key with a damaged row quarantined.
fn damaged(slice: Option<Slice>, key: &Key, effects: &mut Effects) {
    if let Some(slice) = slice {
        scrub::damaged(slice, key, effects);
    }
}
