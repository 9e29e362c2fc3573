//! Questions of a connection: how they are asked, and how many are handed out at one time.

use coterie_crdt::operation::Operation;
use coterie_wire::{Key, Levels, Request};

use super::joint::OPERATIONS_MAX;
use super::sequence::Number;
use super::{Connection, OUTPUT_MAX, SLOTS_BYTES_MAX, SLOTS_MAX};
use crate::ask::{Ask, AskId};
use crate::door::Door;

/// Questions that are handed out before their answers show how large those are, and bytes that answers under way may
/// have by what the last ones had.
const ASKED_FIRST: usize = 8;
const ASKED_BYTES_MAX: usize = 16 << 20;

/// Answers of more than this are not asked for together.
const JOINED_BYTES_MAX: usize = 64 << 10;

/// How many questions are handed out at one time: a few at first, and never so many that their answers would take too
/// much memory, as far as the last ones tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    asked: usize,
    asked_max: usize,
    /// A falling maximum.
    reply_bytes: usize,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { asked: 0, asked_max: ASKED_FIRST, reply_bytes: 0 }
    }
}

impl Pace {
    /// How many reads may be one question: few until answers were seen, and one where they are large.
    pub(super) fn reads_at_once(&self) -> usize {
        match self.reply_bytes {
            0 => ASKED_FIRST,
            few if few <= JOINED_BYTES_MAX => OPERATIONS_MAX,
            _ => 1,
        }
    }

    /// What the answers that are waited for would have with one more, as far as the last ones tell.
    fn bytes_with_another(&self) -> usize {
        self.reply_bytes * (self.asked + 1)
    }

    /// A question is answered, by about so many bytes.
    pub(super) fn answered(&mut self, bytes: usize) {
        self.asked = self.asked.saturating_sub(1);
        self.reply_bytes = bytes.max(self.reply_bytes - self.reply_bytes / 16);
        let most = (ASKED_BYTES_MAX / self.reply_bytes.max(1)).clamp(4, SLOTS_MAX);
        self.asked_max = most.min(self.asked_max + 1);
    }
}

impl Connection {
    /// The next question. `None` where there is none, or as many as may be are under way.
    pub fn next_ask(&mut self) -> Option<(AskId, Ask)> {
        let ask = self.asks.remove(self.next_ask_at()?)?;
        self.pace.asked += 1;
        Some(ask)
    }

    /// Whether there is a next question. Writing can bring it about, where the client had left much unread.
    #[must_use]
    pub fn has_ask(&self) -> bool {
        self.next_ask_at().is_some()
    }

    fn next_ask_at(&self) -> Option<usize> {
        if self.asks.is_empty()
            || self.pace.asked >= self.pace.asked_max
            || self.unread() > OUTPUT_MAX
        {
            return None;
        }
        // One is always under way: its answer may be that there is no room.
        if self.pace.asked > 0 && !self.has_room(self.pace.bytes_with_another(), self.memory) {
            return None;
        }
        // Where much is kept that waits for the first command, only that one goes on.
        if self.slots_bytes < SLOTS_BYTES_MAX {
            return Some(0);
        }
        self.asks.iter().position(|(id, _)| id.command() == self.first)
    }

    /// Asks something for a part of a command.
    pub(super) fn ask(&mut self, number: Number, item: usize, ask: Ask) {
        self.asks.push_back((AskId::new(number, item), ask));
    }

    /// A request of a command for operations on a key.
    pub(super) fn request(
        &mut self,
        number: Number,
        key: Key,
        operations: Vec<Operation>,
        door: &mut Door,
    ) -> Request {
        let terms = self.terms(number);
        Request {
            id: door.request_id(),
            session: self.client.dots(&key),
            levels: self.client.levels_on(&key, terms.levels),
            key,
            operations,
            time_left: door.time_left(terms.deadline),
            explain: false,
        }
    }

    /// Asks for operations on a key.
    pub(super) fn ask_request(
        &mut self,
        number: Number,
        item: usize,
        key: Key,
        operations: Vec<Operation>,
        door: &mut Door,
    ) -> Levels {
        let request = self.request(number, key, operations, door);
        let levels = request.levels;
        self.ask(number, item, Ask::Request(Box::new(request)));
        levels
    }
}
