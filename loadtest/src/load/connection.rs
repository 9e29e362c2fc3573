//! One connection under load: what is under way on it, and what its answers mean.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use crate::kind::Kind;
use crate::outcome::Outcome;
use crate::reply::{Reply, parse};
use crate::schedule::{Nanos, SECOND, Starts};
use crate::tally::Course;

use super::measures::Measures;
use super::phase::{Job, Phase, Work};
use super::socket::Socket;

/// The longest answer that is waited for.
const INPUT_MAX: usize = 256 << 20;

/// How long a connection is not tried again, at first and at most.
const BACKOFF: (Nanos, Nanos) = (10_000_000, SECOND);

/// How often a record of the load phase is tried, with that long between.
const ATTEMPTS: (u32, Nanos) = (100, 50_000_000);

/// Where a connection stands.
#[derive(Debug)]
pub(crate) enum State {
    Down { retry_at: Nanos },
    Connecting { since: Nanos },
    Greeting { since: Nanos, left: usize },
    Open,
}

/// A request that no answer has come to.
#[derive(Debug)]
struct Flight {
    job: Job,
    intended: Nanos,
    possible: Nanos,
    sent: Nanos,
    /// When this request was sent, where an operation has two.
    asked: Nanos,
    /// Whether it is the last request of its operation.
    last: bool,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) state: State,
    pub(crate) socket: Option<Socket>,
    pub(crate) endpoint: usize,
    /// Whether the poller says when it can be written to.
    pub(crate) watched_for_writing: bool,
    /// Whether the next start is waited for.
    pub(crate) awaited: bool,
    starts: Option<Starts>,
    work: Work,
    flight: VecDeque<Flight>,
    output: Vec<u8>,
    written: usize,
    input: Vec<u8>,
    room_since: Nanos,
    not_before: Nanos,
    backoff: Nanos,
}

/// What is wrong with a connection; it is of no use any more.
#[derive(Debug)]
pub(crate) struct Lost(pub(crate) String);

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Lost {
        Lost(error.to_string())
    }
}

impl Connection {
    pub(crate) fn new(phase: &Phase, number: u64) -> Connection {
        let count = phase.target.endpoints.len() as u64;
        Connection {
            state: State::Down { retry_at: 0 },
            socket: None,
            endpoint: usize::try_from(number % count).expect("it is below a length"),
            watched_for_writing: false,
            awaited: false,
            starts: phase.starts(number),
            work: phase.work(number),
            flight: VecDeque::new(),
            output: Vec::new(),
            written: 0,
            input: Vec::new(),
            room_since: 0,
            not_before: 0,
            backoff: BACKOFF.0,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Begins to connect.
    pub(crate) fn connect(&mut self, phase: &Phase, now: Nanos) -> Result<(), Lost> {
        let endpoint = &phase.target.endpoints[self.endpoint];
        self.socket = Some(Socket::begin(endpoint, phase.access.tls.as_ref())?);
        self.state = State::Connecting { since: now };
        Ok(())
    }

    /// It may have connected: says what has to be said first.
    pub(crate) fn connected(&mut self, phase: &Phase) -> Result<(), Lost> {
        let State::Connecting { since } = self.state else { return Ok(()) };
        if let Some(error) = self.socket.as_ref().and_then(Socket::failure) {
            return Err(error.into());
        }
        let (greeting, left) = phase.access.greeting(phase.levels);
        self.output.extend_from_slice(&greeting);
        self.state = State::Greeting { since, left };
        self.opened(phase.now());
        Ok(())
    }

    fn opened(&mut self, now: Nanos) {
        if let State::Greeting { left: 0, .. } = self.state {
            self.state = State::Open;
            self.room_since = now;
            self.backoff = BACKOFF.0;
        }
    }

    /// When the next operation is meant to begin, if that is set and it does begin.
    pub(crate) fn next_start(&self, phase: &Phase) -> Option<Nanos> {
        let start = phase.begun().saturating_add(self.starts.as_ref()?.peek());
        (start < phase.ends() && !self.work.is_done()).then_some(start)
    }

    /// Sends what is to begin now, as far as there is room.
    pub(crate) fn fill(&mut self, phase: &Phase, now: Nanos) {
        if !self.is_open() || now < self.not_before.max(phase.begun()) {
            return;
        }
        while self.flight.len() < phase.pipeline {
            let intended = match self.next_start(phase) {
                Some(start) if start <= now => start,
                None if self.starts.is_none() && now < phase.ends() => now,
                _ => break,
            };
            let Some(job) = self.work.take() else { break };
            if let Some(starts) = &mut self.starts {
                starts.next();
            }
            job.encode(&phase.shape, &mut self.output);
            let possible = if self.starts.is_some() { self.room_since } else { now };
            let last = job.kind() != Kind::ReadModifyWrite;
            self.flight.push_back(Flight { job, intended, possible, sent: now, asked: now, last });
        }
    }

    /// Whether it will do nothing more.
    pub(crate) fn is_done(&self, phase: &Phase, now: Nanos) -> bool {
        let no_start = match &self.starts {
            Some(_) => self.next_start(phase).is_none(),
            None => self.work.is_done() || now >= phase.ends(),
        };
        self.flight.is_empty() && no_start
    }

    /// Whether it has waited too long for something.
    pub(crate) fn is_overdue(&self, phase: &Phase, now: Nanos) -> bool {
        let since = match self.state {
            State::Down { .. } => return false,
            State::Connecting { since } | State::Greeting { since, .. } => since,
            State::Open => match self.flight.front() {
                Some(first) => first.asked,
                None => return false,
            },
        };
        since.saturating_add(phase.patience) < now
    }

    /// Writes what there is to write, as far as that goes.
    pub(crate) fn flush(&mut self) -> Result<(), Lost> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        while self.written < self.output.len() {
            match socket.write(&self.output[self.written..]) {
                Ok(0) => return Err(Lost("the server takes no more".to_owned())),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        }
        match socket.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Whether it has something to write that could not be written yet.
    pub(crate) fn wants_to_write(&self) -> bool {
        match (&self.state, &self.socket) {
            (State::Connecting { .. }, Some(_)) => true,
            (_, Some(socket)) => socket.wants_to_write(self.output.len() - self.written),
            (_, None) => false,
        }
    }

    /// Reads what has come, with room for it at hand.
    pub(crate) fn read(
        &mut self,
        phase: &Phase,
        measures: &mut Measures,
        room: &mut [u8],
    ) -> Result<(), Lost> {
        loop {
            let Some(socket) = &mut self.socket else { return Ok(()) };
            let count = match socket.read(room) {
                Ok(0) => return Err(Lost("the server closed the connection".to_owned())),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let more = socket.keeps_bytes() || count == room.len();
            let now = phase.now();
            if self.input.is_empty() {
                let used = self.answers(&room[..count], phase, measures, now)?;
                self.input.extend_from_slice(&room[used..count]);
            } else {
                let mut input = std::mem::take(&mut self.input);
                input.extend_from_slice(&room[..count]);
                if input.len() > INPUT_MAX {
                    return Err(Lost(format!("an answer of more than {INPUT_MAX} bytes")));
                }
                let used = self.answers(&input, phase, measures, now)?;
                input.drain(..used);
                self.input = input;
            }
            if !more {
                return Ok(());
            }
        }
    }

    fn answers(
        &mut self,
        bytes: &[u8],
        phase: &Phase,
        measures: &mut Measures,
        now: Nanos,
    ) -> Result<usize, Lost> {
        let mut at = 0;
        while at < bytes.len() {
            let read = parse(&bytes[at..]).map_err(|malformed| Lost(malformed.to_string()))?;
            let Some((reply, used)) = read else { break };
            at += used;
            self.answer(&reply, phase, measures, now)?;
        }
        Ok(at)
    }

    fn answer(
        &mut self,
        reply: &Reply<'_>,
        phase: &Phase,
        measures: &mut Measures,
        now: Nanos,
    ) -> Result<(), Lost> {
        if let Reply::Push(_) = reply {
            return Ok(());
        }
        if let State::Greeting { left, .. } = &mut self.state {
            if let Reply::Error(text) = reply {
                return Err(Lost(String::from_utf8_lossy(text).into_owned()));
            }
            *left -= 1;
            self.opened(now);
            return Ok(());
        }
        if self.flight.len() == phase.pipeline {
            self.room_since = now;
        }
        let Some(mut flight) = self.flight.pop_front() else {
            return Err(Lost("an answer to nothing".to_owned()));
        };
        let outcome = Outcome::of(reply);
        if let Reply::Error(text) = reply {
            let (kind, text) = (flight.job.kind(), String::from_utf8_lossy(text));
            measures.tally.note(&format!("{kind}: {text}"));
        }
        if let (Job::Operate(operation), false, Outcome::Done) = (flight.job, flight.last, outcome)
        {
            phase.shape.encode_second(&operation, &mut self.output);
            flight.last = true;
            flight.asked = now;
            self.flight.push_back(flight);
            return Ok(());
        }
        self.end(&flight, outcome, reply.is_nothing(), phase, measures, now);
        Ok(())
    }

    fn end(
        &mut self,
        flight: &Flight,
        outcome: Outcome,
        nothing: bool,
        phase: &Phase,
        measures: &mut Measures,
        now: Nanos,
    ) {
        phase.ended(&flight.job);
        if let (Job::Fill { family, record, attempts }, false) =
            (flight.job, outcome == Outcome::Done)
            && attempts < ATTEMPTS.0
        {
            self.work.put_back(Job::Fill { family, record, attempts: attempts + 1 });
            self.not_before = now + ATTEMPTS.1;
            return;
        }
        let Flight { intended, possible, sent, .. } = *flight;
        let course = Course { intended, possible, sent, over: now };
        measures.record(phase, flight.job.kind(), outcome, nothing, course);
    }

    /// It is of no use any more: what is under way on it may have been done or not. The next one goes to the next endpoint.
    pub(crate) fn lose(&mut self, phase: &Phase, measures: &mut Measures, why: &str, now: Nanos) {
        self.socket = None;
        self.watched_for_writing = false;
        self.output.clear();
        self.written = 0;
        self.input.clear();
        for flight in std::mem::take(&mut self.flight) {
            self.end(&flight, Outcome::Unknown, false, phase, measures, now);
        }
        measures.lost(phase, &phase.target.endpoints[self.endpoint].text, why, now);
        self.endpoint = (self.endpoint + 1) % phase.target.endpoints.len();
        self.state = State::Down { retry_at: now + self.backoff };
        self.backoff = (self.backoff * 2).min(BACKOFF.1);
    }

    /// At the end of all waiting: what is under way is unknown, and what never had room was never sent.
    pub(crate) fn give_up(&mut self, phase: &Phase, measures: &mut Measures, now: Nanos) {
        for flight in std::mem::take(&mut self.flight) {
            self.end(&flight, Outcome::Unknown, false, phase, measures, now);
        }
        while let Some(start) = self.next_start(phase) {
            if self.work.take().is_none() {
                break;
            }
            measures.unsent(phase, start, now);
            if let Some(starts) = &mut self.starts {
                starts.next();
            }
        }
    }
}
