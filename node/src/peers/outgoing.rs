//! What waits to be sent to a peer, and the streams that take it.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use coterie_protocol::Class;
use coterie_ring::NodeId;
use coterie_wire::frame::{self, ClusterTag, EncodeError};
use coterie_wire::{Message, RequestId};
use quinn::{SendStream, WriteError};

use super::settings::PeerEvent;

/// Of each class, so many requests at most are told of when a connection is lost, the last ones. Whoever sent those before
/// them learns by its deadline.
const UNANSWERED_MAX: usize = 16_384;
/// A buffer that grew beyond this is given back once it is empty.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

/// Both classes, in the order in which arrays here have them.
pub(super) const CLASSES: [Class; 2] = [Class::Requests, Class::Bulk];

/// The place of a class in arrays.
pub(super) fn place(class: Class) -> usize {
    match class {
        Class::Requests => 0,
        Class::Bulk => 1,
    }
}

/// Whether somebody wants to know that a message was lost.
pub(super) fn is_awaited(message: &Message) -> bool {
    message.slice.is_some() && !message.body.is_answer()
}

/// Frames of one class that wait, and requests that may be lost with the connection.
#[derive(Default)]
pub(super) struct Waiting {
    bytes: Vec<u8>,
    /// Of `bytes`, how many are with the stream already.
    written: usize,
    /// Requests on this stream, answered or not: what has been answered is not looked for, as that would cost more per
    /// message than being told in vain once per connection.
    unanswered: VecDeque<RequestId>,
}

impl Waiting {
    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Adds a message; how many bytes it has.
    pub(super) fn push(
        &mut self,
        tag: ClusterTag,
        message: &Message,
    ) -> Result<usize, EncodeError> {
        let before = self.bytes.len();
        frame::encode(tag, message, &mut self.bytes)?;
        if is_awaited(message) {
            self.remember(message.request);
        }
        Ok(self.bytes.len() - before)
    }

    fn remember(&mut self, request: RequestId) {
        if self.unanswered.len() == UNANSWERED_MAX {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back(request);
    }

    /// Adds all that waited elsewhere.
    pub(super) fn append(&mut self, mut other: Waiting) {
        self.bytes.extend_from_slice(&other.bytes[other.written..]);
        for request in other.unanswered.drain(..) {
            self.remember(request);
        }
    }

    /// Nothing of it will arrive any more, as far as is known.
    pub(super) fn lose(&mut self, to: NodeId, told: &mut Vec<PeerEvent>) {
        let lost = std::mem::take(self).unanswered;
        told.extend(lost.into_iter().map(|request| PeerEvent::Unreachable { to, request }));
    }

    fn write(
        &mut self,
        stream: &mut SendStream,
        context: &mut Context<'_>,
    ) -> Result<(), WriteError> {
        while self.written < self.bytes.len() {
            let rest = &self.bytes[self.written..];
            match Pin::new(&mut *stream).poll_write(context, rest) {
                Poll::Ready(Ok(bytes)) => self.written += bytes,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    if self.written > BUFFER_BYTES_KEPT && self.written > self.bytes.len() / 2 {
                        self.bytes.drain(..self.written);
                        self.written = 0;
                    }
                    return Ok(());
                }
            }
        }
        self.written = 0;
        if self.bytes.capacity() > BUFFER_BYTES_KEPT {
            self.bytes = Vec::new();
        } else {
            self.bytes.clear();
        }
        Ok(())
    }
}

/// The streams of a connection that this node writes, with what waits for them.
pub(super) struct Outgoing {
    streams: [SendStream; 2],
    waiting: [Waiting; 2],
    /// The task that goes on writing when a stream takes more.
    waker: Option<Waker>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Outgoing").field("waiting", &self.len()).finish_non_exhaustive()
    }
}

impl Outgoing {
    /// Streams that begin with these bytes.
    pub(super) fn new(streams: [SendStream; 2], heads: [Vec<u8>; 2]) -> Self {
        let waiting = heads.map(|bytes| Waiting { bytes, ..Waiting::default() });
        Outgoing { streams, waiting, waker: None }
    }

    /// Bytes that wait for each class.
    pub(super) fn lengths(&self) -> [usize; 2] {
        [self.waiting[0].len(), self.waiting[1].len()]
    }

    fn len(&self) -> usize {
        self.lengths().iter().sum()
    }

    pub(super) fn push(
        &mut self,
        class: Class,
        tag: ClusterTag,
        message: &Message,
    ) -> Result<usize, EncodeError> {
        self.waiting[place(class)].push(tag, message)
    }

    pub(super) fn append(&mut self, waiting: [Waiting; 2]) {
        for (own, other) in self.waiting.iter_mut().zip(waiting) {
            own.append(other);
        }
    }

    /// Who is woken when a stream takes more.
    pub(super) fn wakes(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            None => self.waker = Some(waker.clone()),
        }
    }

    /// Writes what the streams take. An error is one of the connection, which says so itself.
    pub(super) fn write(&mut self) {
        let waker = self.waker.as_ref().unwrap_or(Waker::noop());
        let mut context = Context::from_waker(waker);
        for (stream, waiting) in self.streams.iter_mut().zip(&mut self.waiting) {
            if waiting.len() > 0 && waiting.write(stream, &mut context).is_err() {
                return;
            }
        }
    }

    pub(super) fn lose(&mut self, to: NodeId, told: &mut Vec<PeerEvent>) {
        for waiting in &mut self.waiting {
            waiting.lose(to, told);
        }
    }
}
