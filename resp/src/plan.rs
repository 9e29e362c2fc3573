//! Plans: what a command becomes, before anything is asked of the store.

use std::fmt;

use bytes::Bytes;
use coterie_crdt::operation::{OpError, Operation, Reply};
use coterie_protocol::gather::{Command as GatherCommand, Done};
use coterie_wire::{Answered, Key};

use crate::encoder::Encoder;
use crate::keyspace::Keyspace;

/// Gives the reply of the last operation on a key the shape that the command has. Failed operations do not get
/// here: their text is the error.
pub type Shape = fn(&Reply, &mut Encoder<'_>);

/// Gives what a command on several keys came to the shape that it has. Called only where every request was done and
/// every operation of it answered; else the connection answers the first thing that went wrong.
pub type GatherShape = fn(&Done, &mut Encoder<'_>);

/// Shapes that need more than the reply: options of the command, kept in a closure.
pub type ShapeWith = Box<dyn Fn(&Reply, &mut Encoder<'_>) + Send>;

/// Shapes that see all that was answered.
pub type ShapeAll = Box<dyn Fn(&Answered, &mut Encoder<'_>) + Send>;

/// The same for several keys.
pub type GatherShapeWith = Box<dyn Fn(&Done, &mut Encoder<'_>) + Send>;

/// What a command becomes.
#[derive(Debug)]
pub enum Plan {
    /// Operations on one key, evaluated as one.
    Key {
        /// Which.
        key: Key,
        /// What to do, in order; at least one.
        operations: Vec<Operation>,
        /// What the last of them answers looks like.
        shape: KeyShape,
    },
    /// One request per key, and further ones that follow from them.
    Gather {
        /// What to do.
        command: Box<GatherCommand>,
        /// What it looks like.
        shape: KeysShape,
    },
    /// Tries keys in order, until one has something: `LMPOP`, `ZMPOP`.
    FirstOf(Box<FirstOf>),
    /// A page of a key's elements: `HSCAN`, `SSCAN`, `ZSCAN`.
    Scan(Box<ElementScan>),
    /// Over all keys of a bucket: `SCAN`, `FLUSHDB` and their like.
    Keyspace(Box<Keyspace>),
}

impl Plan {
    /// One operation on one key.
    #[must_use]
    pub fn key(key: Key, operation: Operation, shape: Shape) -> Plan {
        Plan::Key { key, operations: vec![operation], shape: KeyShape::Plain(shape) }
    }

    /// Operations on one key, and a shape that knows the command's options.
    #[must_use]
    pub fn key_with(
        key: Key,
        operations: Vec<Operation>,
        shape: impl Fn(&Reply, &mut Encoder<'_>) + Send + 'static,
    ) -> Plan {
        Plan::Key { key, operations, shape: KeyShape::With(Box::new(shape)) }
    }

    /// Operations on one key, and a shape that sees what each of them answered, those that failed, too.
    #[must_use]
    pub fn key_all(
        key: Key,
        operations: Vec<Operation>,
        shape: impl Fn(&Answered, &mut Encoder<'_>) + Send + 'static,
    ) -> Plan {
        Plan::Key { key, operations, shape: KeyShape::All(Box::new(shape)) }
    }

    /// A command on several keys.
    #[must_use]
    pub fn gather(command: GatherCommand, shape: GatherShape) -> Plan {
        Plan::Gather { command: Box::new(command), shape: KeysShape::Plain(shape) }
    }

    /// A command on several keys whose shape sees operations that failed, too: `MGET` of a key of another type.
    #[must_use]
    pub fn gather_raw(command: GatherCommand, shape: GatherShape) -> Plan {
        Plan::Gather { command: Box::new(command), shape: KeysShape::Raw(shape) }
    }

    /// A command on several keys, and a shape that knows its options.
    #[must_use]
    pub fn gather_with(
        command: GatherCommand,
        shape: impl Fn(&Done, &mut Encoder<'_>) + Send + 'static,
    ) -> Plan {
        Plan::Gather { command: Box::new(command), shape: KeysShape::With(Box::new(shape)) }
    }
}

/// The shape of a command on one key.
pub enum KeyShape {
    /// A function.
    Plain(Shape),
    /// A closure.
    With(ShapeWith),
    /// A closure that sees what each operation answered, those that failed, too, and whatever else is known.
    All(ShapeAll),
}

impl KeyShape {
    /// Gives what was answered its shape, or the last operation's error.
    pub fn encode(&self, answered: &Answered, encoder: &mut Encoder<'_>) {
        match self {
            KeyShape::All(shape) => shape(answered, encoder),
            KeyShape::Plain(_) | KeyShape::With(_) => {
                self.encode_last(answered.replies.last(), encoder);
            }
        }
    }

    /// The same where only the last reply is needed, and may be one of several commands'.
    ///
    /// # Panics
    /// If it sees all that was answered.
    pub(crate) fn encode_last(
        &self,
        last: Option<&Result<Reply, OpError>>,
        encoder: &mut Encoder<'_>,
    ) {
        match (self, last) {
            (KeyShape::All(_), _) => panic!("this shape sees all that was answered"),
            (KeyShape::Plain(shape), Some(Ok(reply))) => shape(reply, encoder),
            (KeyShape::With(shape), Some(Ok(reply))) => shape(reply, encoder),
            (_, Some(Err(error))) => encoder.error(&error.to_string()),
            (_, None) => encoder.error("ERR no reply"),
        }
    }
}

impl fmt::Debug for KeyShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyShape")
    }
}

/// The shape of a command on several keys.
pub enum KeysShape {
    /// A function.
    Plain(GatherShape),
    /// A function that sees operations that failed, too. Requests that were not done never get to it.
    Raw(GatherShape),
    /// A closure.
    With(GatherShapeWith),
}

impl KeysShape {
    /// Gives what a command came to its shape.
    pub fn encode(&self, done: &Done, encoder: &mut Encoder<'_>) {
        match self {
            KeysShape::Plain(shape) | KeysShape::Raw(shape) => shape(done, encoder),
            KeysShape::With(shape) => shape(done, encoder),
        }
    }
}

impl fmt::Debug for KeysShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeysShape")
    }
}

/// The same operations on one key after another, until one of them answers something.
#[derive(Debug)]
pub struct FirstOf {
    /// The keys, in order.
    pub keys: Vec<Key>,
    /// What to do with each.
    pub operations: Vec<Operation>,
    /// Whether the last operation's reply says that there is nothing under a key, and the next one is to be tried.
    pub is_nothing: fn(&Reply) -> bool,
    /// What it looks like: the key's name, and the reply.
    pub shape: fn(&Bytes, &Reply, &mut Encoder<'_>),
    /// What it looks like where no key has anything.
    pub nothing: fn(&mut Encoder<'_>),
}

/// An element's name, and what the command answers beside it.
pub type Element = (Bytes, Option<Bytes>);

/// A page of the elements of one key.
#[derive(Debug)]
pub struct ElementScan {
    /// Which key.
    pub key: Key,
    /// The cursor that the client gave; 0 begins.
    pub cursor: u64,
    /// How many elements to look at.
    pub count: usize,
    /// Which names are wanted (`MATCH`); all of them without.
    pub pattern: Option<Bytes>,
    /// The operation that reads up to so many elements after one.
    pub page: fn(Option<Bytes>, usize) -> Operation,
    /// What was read: names, with the text beside them where the command answers pairs. In the order of paths.
    pub elements: fn(&Reply) -> Vec<Element>,
}
