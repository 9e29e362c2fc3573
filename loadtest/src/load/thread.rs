//! One thread of the generator: a poller, and some of the connections.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Barrier};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::schedule::{Nanos, SECOND};
use crate::tally::Tally;

use super::connection::{Connection, Lost, State};
use super::measures::{Measures, Piece};
use super::phase::Phase;

/// How often connections are looked after: reconnected, or given up.
const SWEEP: Nanos = 10_000_000;

/// How long connections may take to be there before anything begins.
const OPENING: Nanos = 5 * SECOND;

/// Bytes that are read at once.
const ROOM: usize = 256 << 10;

/// What a thread has to say at the end.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) tally: Tally,
    pub(crate) connections_lost: u64,
    /// When the last measured operation was over.
    pub(crate) last: Nanos,
    /// The share of the time that it was not waiting for anything.
    pub(crate) busy: f64,
}

/// Whether a turn has looked after all connections, and when.
enum Turn {
    Short,
    Swept(Nanos),
}

pub(crate) struct Thread {
    phase: Arc<Phase>,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// The next starts of connections that wait for them.
    starts: BinaryHeap<Reverse<(Nanos, usize)>>,
    measures: Measures,
    room: Vec<u8>,
    swept: Nanos,
    waited: Nanos,
}

impl Thread {
    /// The thread `number` of `count`.
    pub(crate) fn new(
        phase: Arc<Phase>,
        number: u64,
        count: u64,
        pieces: Sender<Piece>,
    ) -> io::Result<Thread> {
        let mine = (0..phase.connections).filter(|connection| connection % count == number);
        let connections: Vec<Connection> =
            mine.map(|connection| Connection::new(&phase, connection)).collect();
        Ok(Thread {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            connections,
            phase,
            starts: BinaryHeap::new(),
            measures: Measures::new(number, pieces),
            room: vec![0; ROOM],
            swept: 0,
            waited: 0,
        })
    }

    /// Opens connections, waits for the others at the barrier, works, and tells.
    pub(crate) fn run(mut self, ready: &Barrier, begun: &Barrier) -> io::Result<Report> {
        let mut failed = None;
        let mut events = Vec::with_capacity(self.connections.len().clamp(16, 1_024));
        while self.connections.iter().any(|connection| !connection.is_open())
            && self.phase.now() < OPENING
        {
            if let Err(error) = self.turn(&mut events) {
                failed = Some(error);
                break;
            }
        }
        // The others wait here, whatever has become of this one.
        ready.wait();
        begun.wait();
        if let Some(error) = failed {
            return Err(error);
        }
        let begun = self.phase.begun();
        self.waited = 0;
        for index in 0..self.connections.len() {
            self.fill(index, begun);
        }
        let phase = Arc::clone(&self.phase);
        let patience = phase.patience.saturating_add(SECOND);
        loop {
            // Seldom, as it takes a look at every connection.
            let Turn::Swept(now) = self.turn(&mut events)? else { continue };
            if now >= phase.ends().saturating_add(patience)
                || self.connections.iter().all(|it| it.is_done(&phase, now))
            {
                break;
            }
        }
        let now = phase.now();
        for connection in &mut self.connections {
            connection.give_up(&phase, &mut self.measures, now);
        }
        self.measures.finish();
        let all = now.saturating_sub(begun).max(1);
        let busy = 1.0 - (self.waited as f64 / all as f64).min(1.0);
        let Measures { tally, connections_lost, last, .. } = self.measures;
        Ok(Report { tally, connections_lost, last, busy })
    }

    /// Waits for something, and does what there is to do.
    fn turn(&mut self, events: &mut Vec<Event>) -> io::Result<Turn> {
        let before = self.phase.now();
        let next = self.starts.peek().map_or(Nanos::MAX, |Reverse((start, _))| *start);
        let wait = next.min(self.swept + SWEEP).saturating_sub(before);
        let timeout = Timespec {
            tv_sec: i64::try_from(wait / SECOND).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(wait % SECOND).expect("it is below a second"),
        };
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.waited += self.phase.now().saturating_sub(before);
        for event in &*events {
            let index = usize::try_from(event.data.u64()).expect("it was a place in a list");
            self.ready(index, event.flags);
        }
        let now = self.phase.now();
        while let Some(Reverse((start, index))) = self.starts.peek().copied()
            && start <= now
        {
            self.starts.pop();
            self.connections[index].awaited = false;
            self.fill(index, now);
        }
        if now >= self.swept + SWEEP {
            self.swept = now;
            self.sweep(now);
            return Ok(Turn::Swept(now));
        }
        Ok(Turn::Short)
    }

    /// Something has happened to a connection.
    fn ready(&mut self, index: usize, flags: EventFlags) {
        let phase = Arc::clone(&self.phase);
        let connection = &mut self.connections[index];
        let mut done = Ok(());
        if flags.intersects(EventFlags::OUT | EventFlags::ERR | EventFlags::HUP) {
            done = connection.connected(&phase);
        }
        if done.is_ok() && flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            done = connection.read(&phase, &mut self.measures, &mut self.room);
        }
        match done {
            Ok(()) => self.fill(index, phase.now()),
            Err(lost) => self.lose(index, &lost),
        }
    }

    /// Has a connection send what it has to send, and waits for what it will have to.
    fn fill(&mut self, index: usize, now: Nanos) {
        let connection = &mut self.connections[index];
        connection.fill(&self.phase, now);
        if let Err(lost) = connection.flush().and_then(|()| watch(&self.epoll, connection, index)) {
            self.lose(index, &lost);
            return;
        }
        if !connection.awaited
            && connection.is_open()
            && let Some(start) = connection.next_start(&self.phase)
            && start > now
        {
            connection.awaited = true;
            self.starts.push(Reverse((start, index)));
        }
    }

    fn lose(&mut self, index: usize, lost: &Lost) {
        let now = self.phase.now();
        self.connections[index].lose(&self.phase, &mut self.measures, &lost.0, now);
    }

    /// Looks after all connections.
    fn sweep(&mut self, now: Nanos) {
        self.measures.turn(&self.phase, now);
        for index in 0..self.connections.len() {
            let connection = &mut self.connections[index];
            match connection.state {
                State::Down { retry_at } if retry_at <= now => {
                    let begun = connection
                        .connect(&self.phase, now)
                        .and_then(|()| add(&self.epoll, connection, index));
                    if let Err(lost) = begun {
                        self.lose(index, &lost);
                    }
                }
                State::Open if !connection.is_overdue(&self.phase, now) => self.fill(index, now),
                _ if connection.is_overdue(&self.phase, now) => {
                    self.lose(index, &Lost("no answer in time".to_owned()));
                }
                _ => {}
            }
        }
    }
}

fn data(index: usize) -> EventData {
    EventData::new_u64(index as u64)
}

/// A new socket; it is writable when it has connected.
fn add(epoll: &OwnedFd, connection: &mut Connection, index: usize) -> Result<(), Lost> {
    let Some(socket) = &connection.socket else { return Ok(()) };
    epoll::add(epoll, socket, data(index), EventFlags::IN | EventFlags::OUT)
        .map_err(io::Error::from)?;
    connection.watched_for_writing = true;
    Ok(())
}

/// Asks to be told when it is writable, if that is of interest, and not if not.
fn watch(epoll: &OwnedFd, connection: &mut Connection, index: usize) -> Result<(), Lost> {
    let wanted = connection.wants_to_write();
    let Some(socket) = &connection.socket else { return Ok(()) };
    if wanted != connection.watched_for_writing {
        let flags = if wanted { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        epoll::modify(epoll, socket, data(index), flags).map_err(io::Error::from)?;
        connection.watched_for_writing = wanted;
    }
    Ok(())
}
