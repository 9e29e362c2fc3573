//! One client's connection: bytes in, questions out; answers in, bytes out.
//!
//! How it is driven:
//!
//! 1. Read into [`Connection::input`], at most [`Connection::wants_input`] bytes at a time, then call
//!    [`Connection::go_on`]: it takes all commands that are there, in order.
//! 2. Take questions from [`Connection::next_ask`] until there is none, and carry them out. Each is answered once by
//!    [`Connection::answered`], in whatever order.
//! 3. Write [`Connection::output`], and say by [`Connection::wrote`] how much of it went. Taking questions and writing
//!    come after every call of `go_on` or `answered`, or after several.
//! 4. When [`Connection::next_deadline`] has come, call `go_on`.
//! 5. When [`Connection::has_ended`], close.
//!
//! Replies go out in the order of commands. Commands on one key go one after another, in order; those on other keys do
//! not wait for them. What is about all keys, and `WAIT`, waits for all commands before it and lets none after it begin.
//! What the connection is set to (`SELECT`, `HELLO`, `COTERIE CONSISTENCY`) holds for the commands after it.
//!
//! 6. After each of these calls, add [`Connection::settle`] to what the clients of the node hold: [`Surroundings::memory`]
//!    says what that has come to.
//!
//! Memory is bounded: a command is at most as large as [`ParseLimits`](crate::parse::ParseLimits) says, only so many are
//! under way, no input is asked for while they are, or while the client does not read what it is answered. What one
//! connection, and all together, may hold besides, [`Memory`] decides: past that, commands are
//! answered with an error, and large answers are replaced by one.

mod answer;
mod asks;
mod begin;
mod joint;
mod run;
mod sequence;
mod slot;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::ask::{Ask, AskId};
use crate::client::{Client, Replies};
use crate::desk::Step;
use crate::door::{Door, Surroundings};
use crate::encoder::{Encoder, Protocol};
use crate::facts::ClientFacts;
use crate::memory::Memory;
use crate::outcome;
use crate::parse::{Parsed, Parser};
use crate::plan::Plan;
use asks::Pace;
use sequence::{Hashes, Number, Sequence};
use slot::{Slot, Terms, Work};

/// Commands of a connection that may be under way.
const SLOTS_MAX: usize = 1_024;

/// Bytes of them that are kept.
const SLOTS_BYTES_MAX: usize = 16 << 20;

/// Bytes that a client may leave unread before its commands wait.
const OUTPUT_MAX: usize = 1 << 20;

/// The same before it has said who it is: then it is closed.
const OUTPUT_UNAUTHENTICATED_MAX: usize = 64 << 10;

/// Room that is made for input beyond what is there.
const INPUT_STEP: usize = 64 << 10;
const INPUT_LEAST: usize = 16 << 10;

/// One client's connection.
#[derive(Debug)]
pub struct Connection {
    client: Client,
    parser: Parser,
    input: BytesMut,
    words: Vec<Bytes>,
    slots: VecDeque<Slot>,
    /// The number of the first slot.
    first: Number,
    sequence: Sequence,
    /// Slots that no longer wait for others.
    ready: VecDeque<Number>,
    /// Whether the last slot is one that nothing may overtake.
    fenced: bool,
    slots_bytes: usize,
    asks: VecDeque<(AskId, Ask)>,
    pace: Pace,
    output: Vec<u8>,
    written: usize,
    last: &'static str,
    /// What is said at the end of a command that is let go by.
    refused: Option<String>,
    /// What the node was told that this connection holds.
    settled: usize,
    /// What clients were said to hold last.
    memory: Memory,
    /// Whether the client will send nothing more.
    input_over: bool,
    end: End,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    No,
    /// After the replies to what was given before.
    AfterReplies,
    /// At once.
    Now,
}

impl Connection {
    /// A connection that has just been accepted.
    #[must_use]
    pub fn new(
        id: u64,
        address: SocketAddr,
        local_address: SocketAddr,
        now: Duration,
        door: &Door,
    ) -> Connection {
        let client = Client::new(id, address, local_address, now, &door.users);
        let mut parser = Parser::new(door.settings.limits);
        parser.set_authenticated(client.user.is_some());
        Connection {
            client,
            parser,
            input: BytesMut::new(),
            words: Vec::new(),
            slots: VecDeque::new(),
            first: 0,
            sequence: Sequence::default(),
            ready: VecDeque::new(),
            fenced: false,
            slots_bytes: 0,
            asks: VecDeque::new(),
            pace: Pace::default(),
            output: Vec::new(),
            written: 0,
            last: "NULL",
            refused: None,
            settled: 0,
            memory: Memory { held: 0, most: usize::MAX },
            input_over: false,
            end: End::No,
        }
    }

    /// How many bytes may be read into [`Connection::input`] now; 0 while it has enough to do.
    #[must_use]
    pub fn wants_input(&self) -> usize {
        if self.end != End::No || !self.may_parse() {
            return 0;
        }
        self.parser.missing_bytes(self.input.len()).clamp(INPUT_LEAST, INPUT_STEP)
    }

    /// Where what the client sends is to be put, at its end.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Goes on with what has been read, or with what waited for a time.
    pub fn go_on(&mut self, door: &mut Door, around: &Surroundings<'_>) {
        self.memory = around.memory;
        self.check_time(door, around);
        self.drive(door, around);
    }

    /// What is to be written.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output[self.written..]
    }

    /// So many bytes of the output have been written.
    ///
    /// # Panics
    /// If there were fewer.
    pub fn wrote(&mut self, bytes: usize, door: &mut Door, around: &Surroundings<'_>) {
        let was_full = self.unread() > OUTPUT_MAX;
        self.written += bytes;
        assert!(self.written <= self.output.len(), "no more is written than there is");
        if self.written == self.output.len() {
            self.written = 0;
            self.output.clear();
            self.output.shrink_to(INPUT_STEP);
        }
        if was_full && self.unread() <= OUTPUT_MAX {
            self.go_on(door, around);
        }
    }

    /// The client will send nothing more: it is answered what it has asked, and then it is over.
    pub fn input_ended(&mut self) {
        self.input_over = true;
        if self.may_parse() {
            self.end_after_replies();
        }
    }

    /// Somebody wants this connection closed.
    pub fn kill(&mut self) {
        self.end = End::Now;
    }

    /// Whether it is over, and to be closed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        match self.end {
            End::No => false,
            End::AfterReplies => self.slots.is_empty() && self.unread() == 0,
            End::Now => true,
        }
    }

    /// When [`Connection::go_on`] is to be called though nothing was read.
    #[must_use]
    pub fn next_deadline(&self, door: &Door) -> Option<Duration> {
        let pause = door.paused_until.filter(|_| !self.input.is_empty());
        let authentication = self.client.unknown_since + door.settings.authentication;
        let authentication = self.client.user.is_none().then_some(authentication);
        let timeout = door.parameters.timeout();
        let idle =
            (!timeout.is_zero() && self.slots.is_empty()).then(|| self.client.heard + timeout);
        [pause, authentication, idle].into_iter().flatten().min()
    }

    /// The number that the node gave it.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.client.id
    }

    /// What it knows of its client.
    #[must_use]
    pub fn facts(&self, now: Duration) -> ClientFacts {
        let client = &self.client;
        ClientFacts {
            id: client.id,
            address: client.address,
            local_address: client.local_address,
            name: client.name.clone(),
            age: now.saturating_sub(client.since),
            idle: now.saturating_sub(client.heard),
            user: client.user.as_ref().map_or_else(String::new, |user| user.name.clone()),
            bucket: client.bucket.clone(),
            command: self.last.to_owned(),
            protocol: match client.protocol {
                Protocol::Resp2 => 2,
                Protocol::Resp3 => 3,
            },
            input_bytes: self.input.len(),
            output_bytes: self.unread(),
            under_way: self.slots.len(),
            library_name: client.library_name.clone(),
            library_version: client.library_version.clone(),
        }
    }

    /// Bytes that it holds: commands, and answers.
    #[must_use]
    pub fn held(&self) -> usize {
        self.input.len() + self.slots_bytes + self.output.len()
    }

    /// By how much that has changed since the last time this was asked.
    pub fn settle(&mut self) -> isize {
        let held = self.held();
        held.wrapping_sub(std::mem::replace(&mut self.settled, held)).cast_signed()
    }

    /// It is over: as [`Connection::settle`], and what it holds is let go.
    pub fn give_up(&mut self) -> isize {
        self.kill();
        (self.input, self.output, self.written) = (BytesMut::new(), Vec::new(), 0);
        (self.slots, self.slots_bytes) = (VecDeque::new(), 0);
        self.asks.clear();
        self.settle()
    }

    /// Whether it may hold so many bytes more.
    fn has_room(&self, more: usize, memory: Memory) -> bool {
        let own = self.held();
        let others = memory.held.saturating_sub(self.settled);
        Memory { held: others.saturating_add(own), ..memory }.has_room(own, more)
    }

    fn unread(&self) -> usize {
        self.output.len() - self.written
    }

    fn may_parse(&self) -> bool {
        !self.fenced
            && self.slots.len() < SLOTS_MAX
            && self.slots_bytes < SLOTS_BYTES_MAX
            && self.unread() <= OUTPUT_MAX
    }

    fn end_after_replies(&mut self) {
        if self.end == End::No {
            self.end = End::AfterReplies;
        }
    }

    fn check_time(&mut self, door: &Door, around: &Surroundings<'_>) {
        let due = |at: Duration| at <= around.now;
        if self.client.user.is_none()
            && due(self.client.unknown_since + door.settings.authentication)
        {
            self.kill();
        }
        let timeout = door.parameters.timeout();
        let idle = !timeout.is_zero() && self.slots.is_empty() && self.input.is_empty();
        if idle && due(self.client.heard + timeout) {
            self.kill();
        }
        if !self.client.look_again(&door.users) {
            self.kill();
        }
    }

    /// Takes the commands that are there.
    fn parse(&mut self, door: &mut Door, around: &Surroundings<'_>) {
        let mut words = std::mem::take(&mut self.words);
        while self.end == End::No && self.may_parse() {
            if door.paused_until.is_some_and(|until| around.now < until) {
                break;
            }
            match self.parser.next(&mut self.input, &mut words) {
                Ok(Some(Parsed::Command(bytes))) => {
                    self.client.heard = around.now;
                    self.run(&words, bytes, door, around);
                }
                Ok(Some(Parsed::LetGo)) => {
                    let text = self.refused.take().unwrap_or_default();
                    self.at_once(around, |encoder| encoder.error(&text));
                }
                Ok(Some(Parsed::TooLarge { bytes, bytes_max })) => {
                    let text = format!("ERR {bytes} bytes exceed the limit of {bytes_max}");
                    self.at_once(around, |encoder| encoder.error(&text));
                }
                Ok(None) => {
                    self.check_name(door);
                    if !self.has_room(0, around.memory) {
                        self.let_go(&outcome::no_memory(around.memory));
                    }
                    break;
                }
                Err(error) => {
                    let text = error.to_string();
                    self.at_once(around, |encoder| encoder.error(&text));
                    self.end_after_replies();
                }
            }
        }
        // Of a command with very many words the room is not kept.
        words.clear();
        words.shrink_to(1_024);
        self.words = words;
        if self.client.user.is_none() && self.unread() > OUTPUT_UNAUTHENTICATED_MAX {
            self.kill();
        }
    }

    /// Answers at once, behind what is not answered yet.
    fn at_once(&mut self, around: &Surroundings<'_>, encode: impl FnOnce(&mut Encoder<'_>)) {
        let silent = self.client.replies != Replies::On;
        let protocol = self.client.protocol;
        if self.slots.is_empty() {
            let before = self.output.len();
            encode(&mut Encoder::new(&mut self.output, protocol));
            if silent {
                self.output.truncate(before);
            }
            return;
        }
        let mut bytes = Vec::new();
        encode(&mut Encoder::new(&mut bytes, protocol));
        let mut slot = self.slot(None, around, 0);
        slot.bytes = bytes.len();
        slot.work = Work::Answered(bytes);
        self.push(slot);
    }

    fn slot(&self, place: Option<usize>, around: &Surroundings<'_>, bytes: usize) -> Slot {
        Slot {
            place,
            protocol: self.client.protocol,
            terms: Terms { levels: self.client.levels, deadline: self.client.deadline },
            silent: self.client.replies != Replies::On,
            begun: around.now,
            bytes,
            hashes: Hashes::new(),
            waits: 0,
            work: Work::Busy,
        }
    }

    fn push(&mut self, slot: Slot) -> Number {
        let number = self.first + self.slots.len() as u64;
        self.slots_bytes += slot.bytes;
        self.slots.push_back(slot);
        number
    }

    fn slot_mut(&mut self, number: Number) -> Option<&mut Slot> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(index)
    }

    /// What a command that is not answered yet was given under.
    fn terms(&mut self, number: Number) -> Terms {
        self.slot_mut(number).expect("nothing is asked for what is answered").terms
    }

    /// Begins what no longer waits, and takes further commands as long as there is room.
    fn drive(&mut self, door: &mut Door, around: &Surroundings<'_>) {
        loop {
            while let Some(number) = self.ready.pop_front() {
                let Some(slot) = self.slot_mut(number) else { continue };
                if !matches!(slot.work, Work::Waits(_)) {
                    continue;
                }
                if let Work::Waits(step) = std::mem::replace(&mut slot.work, Work::Busy) {
                    self.begin(number, step, door, around);
                }
            }
            self.fenced &= !self.slots.is_empty();
            // What nothing may overtake begins once it is alone.
            if self.fenced && self.slots.len() == 1 && matches!(self.slots[0].work, Work::Waits(_))
            {
                self.ready.push_back(self.first);
                continue;
            }
            if !self.input.is_empty() {
                self.parse(door, around);
                if self.input_over && self.may_parse() {
                    self.end_after_replies();
                }
            }
            if self.ready.is_empty() && !(self.fenced && self.slots.len() <= 1 && self.idle()) {
                return;
            }
        }
    }

    /// Whether the first slot waits for nothing that was asked, or there is none.
    fn idle(&self) -> bool {
        self.slots.front().is_none_or(|slot| matches!(slot.work, Work::Waits(_)))
    }
}

/// Whether nothing may overtake it, and it overtakes nothing.
fn is_fence(step: &Step) -> bool {
    match step {
        Step::Wait { .. } | Step::Plan(Plan::Keyspace(_)) => true,
        Step::Done
        | Step::Close
        | Step::Ask(..)
        | Step::Explain(_)
        | Step::Plan(Plan::Key { .. } | Plan::Gather { .. } | Plan::FirstOf(_) | Plan::Scan(_)) => {
            false
        }
    }
}
