//! One client: its connection as a state machine, its stream, and the task between them.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BufMut;
use coterie_resp::Connection;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::connections::Connections;
use super::stream::Stream;
use crate::engine::lane::LaneCell;

/// How long a client may leave unread what it is answered.
const UNREAD_MAX: Duration = Duration::from_secs(60);

/// With less room than this, a buffer is followed by another.
const SPARE_LEAST: usize = 512;

/// A client of a lane.
#[derive(Debug)]
pub(crate) struct Client {
    /// What it asked, and is to be answered.
    pub connection: RefCell<Connection>,
    stream: RefCell<Stream>,
    /// Its task, where that waits for the turn's end.
    task: RefCell<Option<Waker>>,
    /// Whether the task reads nothing, because enough is under way.
    stuck: Cell<bool>,
}

/// What came of looking at the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    /// Something was read, or written, or is to be looked at again.
    Something,
    /// The client will send nothing more.
    Ended,
}

impl Client {
    /// A client that has just come.
    #[must_use]
    pub(crate) fn new(connection: Connection, stream: Stream) -> Self {
        Client {
            connection: RefCell::new(connection),
            stream: RefCell::new(stream),
            task: RefCell::default(),
            stuck: Cell::new(false),
        }
    }

    /// Whether nothing is read from it, because enough is under way.
    #[must_use]
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.get()
    }

    /// The task has something to look at: output that the stream did not take at once, or the end.
    pub(crate) fn wake(&self) {
        if let Some(task) = self.task.borrow_mut().take() {
            task.wake();
        }
    }

    /// Writes what there is to be written, as far as the stream takes it without waiting.
    ///
    /// # Errors
    /// If the stream is broken.
    pub(crate) fn write(&self, connections: &Connections) -> io::Result<()> {
        let mut context = Context::from_waker(Waker::noop());
        self.write_with(connections, &mut context)
    }

    fn write_with(&self, connections: &Connections, context: &mut Context<'_>) -> io::Result<()> {
        let mut stream = self.stream.borrow_mut();
        loop {
            let mut connection = self.connection.borrow_mut();
            if connection.output().is_empty() {
                break;
            }
            match Pin::new(&mut *stream).poll_write(context, connection.output()) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(bytes)) => connections.wrote(&mut connection, bytes),
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        match Pin::new(&mut *stream).poll_flush(context) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    /// Reads what is there, and writes what is to be written; pending where neither goes on.
    fn look(
        &self,
        connections: &Connections,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Looked>> {
        *self.task.borrow_mut() = Some(context.waker().clone());
        self.write_with(connections, context)?;
        let mut connection = self.connection.borrow_mut();
        // What waited for the client to read may be asked now.
        if connection.has_ended() || connection.has_ask() {
            return Poll::Ready(Ok(Looked::Something));
        }
        let wanted = connection.wants_input();
        self.stuck.set(wanted == 0);
        if wanted == 0 {
            return Poll::Pending;
        }
        let input = connection.input();
        // What is left of a buffer is used first: commands are slices of it, and the last of them keeps all of it.
        let spare = input.capacity() - input.len();
        if spare < SPARE_LEAST {
            input.reserve(wanted);
        }
        let wanted = wanted.min(input.capacity() - input.len());
        let mut stream = self.stream.borrow_mut();
        let mut room = input.limit(wanted);
        // Reading is cancel-safe: what is not there now is read later.
        let read = pin!(stream.read_buf(&mut room)).poll(context);
        read.map_ok(|bytes| {
            connections.count(|counts| counts.client_bytes_in += bytes as u64);
            if bytes == 0 { Looked::Ended } else { Looked::Something }
        })
    }
}

/// Serves a client until one of both has had enough.
///
/// # Errors
/// If the stream breaks.
pub(crate) async fn serve(client: Rc<Client>, cell: Weak<LaneCell>) -> io::Result<()> {
    let mut unread_since: Option<Instant> = None;
    loop {
        let deadline = {
            let Some(cell) = cell.upgrade() else { return Ok(()) };
            let connections = &cell.connections;
            connections.set_now(cell.clock.now());
            connections.pump(&cell, &client);
            client.write(connections)?;
            let connection = client.connection.borrow();
            if connection.has_ended() {
                return Ok(());
            }
            let waits = !connection.output().is_empty();
            unread_since = waits.then(|| unread_since.unwrap_or_else(Instant::now));
            if unread_since.is_some_and(|since| since.elapsed() >= UNREAD_MAX) {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read"));
            }
            let unread = unread_since.map(|since| since + UNREAD_MAX);
            let own = connections.next_deadline(&connection);
            let own = own.map(|at| Instant::from_std(cell.clock.at(at)));
            unread.into_iter().chain(own).min()
        };
        let looked = poll_fn(|context| match cell.upgrade() {
            Some(cell) => client.look(&cell.connections, context),
            None => Poll::Ready(Ok(Looked::Ended)),
        });
        let looked = match deadline {
            None => Some(looked.await?),
            Some(deadline) => timeout_at(deadline, looked).await.ok().transpose()?,
        };
        if looked == Some(Looked::Ended) {
            client.connection.borrow_mut().input_ended();
            // Nothing more is read: what is under way is answered, and then it is over.
            drain(&client, &cell).await?;
            return Ok(());
        }
    }
}

/// After the client's last word: writes until all is answered.
async fn drain(client: &Rc<Client>, cell: &Weak<LaneCell>) -> io::Result<()> {
    let until = Instant::now() + UNREAD_MAX;
    let written = poll_fn(|context| {
        let Some(cell) = cell.upgrade() else { return Poll::Ready(Ok(())) };
        *client.task.borrow_mut() = Some(context.waker().clone());
        loop {
            cell.connections.pump(&cell, client);
            client.write_with(&cell.connections, context)?;
            let connection = client.connection.borrow();
            if connection.has_ended() {
                return Poll::Ready(Ok(()));
            }
            if !connection.has_ask() {
                return Poll::Pending;
            }
        }
    });
    tokio::select! {
        written = written => written,
        () = sleep_until(until) => Ok(()),
    }
}
