//! What comes back for a command, and its reply.

use std::time::Duration;

use coterie_protocol::repair::barrier;
use coterie_wire::{ChangedDots, Listed, Outcome};

use super::Connection;
use super::begin::page_of;
use super::sequence::Number;
use super::slot::Work;
use crate::ask::{Answer, AskId};
use crate::door::{Door, Surroundings};
use crate::encoder::Encoder;
use crate::facts::Ended;
use crate::glob;
use crate::outcome;
use crate::plan::{ElementScan, FirstOf};
use crate::table;

impl Connection {
    /// Takes the answer to a question in, and goes on.
    ///
    /// # Panics
    /// If it is none to such a question.
    pub fn answered(
        &mut self,
        id: AskId,
        answer: Answer,
        door: &mut Door,
        around: &Surroundings<'_>,
    ) {
        self.memory = around.memory;
        let bytes = bytes_of(&answer);
        self.pace.answered(bytes);
        let answer = self.bounded(answer, bytes, around);
        if let Some(slot) = self.slot_mut(id.command()) {
            let work = std::mem::replace(&mut slot.work, Work::Busy);
            self.answer(id, work, answer, door, around);
        }
        self.drive(door, around);
    }

    fn answer(
        &mut self,
        id: AskId,
        work: Work,
        answer: Answer,
        door: &mut Door,
        around: &Surroundings<'_>,
    ) {
        let (number, item) = (id.command(), id.item());
        match (work, answer) {
            (Work::Key { key, levels, shape }, Answer::Outcome(outcome)) => {
                self.client.learn(&key, levels, &outcome, around);
                self.reply(number, door, around, |encoder| {
                    outcome::encode(&outcome, &shape, encoder);
                });
            }
            (Work::Joint { key, levels, parts }, Answer::Outcome(outcome)) => {
                self.client.learn(&key, levels, &outcome, around);
                self.answer_joint(parts, &outcome, door, around);
            }
            (Work::Gather(mut gathering), Answer::Outcome(outcome)) => {
                self.keep(number, outcome.reply_bytes());
                let item = usize::try_from(item).expect("24 bits");
                gathering.asked -= 1;
                if let Some(key) = gathering.keys.get(item) {
                    self.client.learn(key, gathering.levels, &outcome, around);
                }
                let progress = gathering.gather.answered(item, outcome);
                self.gather(number, gathering, progress, door, around);
            }
            (Work::FirstOf { first_of, index, levels }, Answer::Outcome(outcome)) => {
                self.client.learn(&first_of.keys[index], levels, &outcome, around);
                self.first_of(number, first_of, index, &outcome, door, around);
            }
            (Work::Scan(scan), Answer::Outcome(outcome)) => {
                self.scanned(number, &scan, &outcome, door, around);
            }
            (Work::Walk(mut walk), Answer::Outcome(outcome)) => {
                walk.deleted(&outcome);
                self.walk(number, walk, door, around);
            }
            (Work::Walk(mut walk), Answer::Listed(listed)) => {
                let before = walk.names_bytes();
                walk.listed(item, &listed);
                self.keep(number, walk.names_bytes().saturating_sub(before));
                self.walk(number, walk, door, around);
            }
            (Work::Ask(shape), Answer::Told(told)) => {
                self.reply(number, door, around, |encoder| shape(told, encoder));
            }
            (Work::Wait, Answer::Barrier(outcome)) => {
                if outcome == barrier::Outcome::Done {
                    self.client.least_others = Some(self.other_owners(around));
                }
                let least = self.client.least_others.unwrap_or(0);
                self.reply(number, door, around, |encoder| encoder.count(least));
            }
            (work, answer) => panic!("{answer:?} is no answer to {work:?}"),
        }
    }

    /// Where there is no room for an answer it becomes an error; but not one of something that was changed.
    fn bounded(&self, answer: Answer, bytes: usize, around: &Surroundings<'_>) -> Answer {
        if bytes <= BOUNDED_ABOVE || self.has_room(bytes, around.memory) {
            return answer;
        }
        let refused = outcome::refused_for_memory(around.memory);
        let is_read =
            |changed: &ChangedDots| changed.minted.is_empty() && changed.observed.is_empty();
        match answer {
            Answer::Outcome(Outcome::Done(answered)) if is_read(&answered.changed) => {
                Answer::Outcome(Outcome::Refused(refused))
            }
            Answer::Listed(Listed::Page(_)) => Answer::Listed(Listed::Refused(refused)),
            other @ (Answer::Outcome(_)
            | Answer::Listed(_)
            | Answer::Barrier(_)
            | Answer::Told(_)) => other,
        }
    }

    /// A command that is not answered yet keeps so many bytes more.
    fn keep(&mut self, number: Number, bytes: usize) {
        if let Some(slot) = self.slot_mut(number) {
            slot.bytes += bytes;
            self.slots_bytes += bytes;
        }
    }

    fn first_of(
        &mut self,
        number: Number,
        first_of: Box<FirstOf>,
        index: usize,
        outcome: &Outcome,
        door: &mut Door,
        around: &Surroundings<'_>,
    ) {
        let last = match outcome::answered(outcome) {
            Ok(answered) => answered.replies.last(),
            Err(text) => return self.reply(number, door, around, |encoder| encoder.error(&text)),
        };
        match last {
            Some(Ok(reply)) if !(first_of.is_nothing)(reply) => {
                let name = first_of.keys[index].name();
                self.reply(number, door, around, |encoder| (first_of.shape)(name, reply, encoder));
            }
            Some(Err(error)) => {
                self.reply(number, door, around, |encoder| encoder.error(&error.to_string()));
            }
            Some(Ok(_)) | None => {
                let index = index + 1;
                let Some(key) = first_of.keys.get(index).cloned() else {
                    return self.reply(number, door, around, first_of.nothing);
                };
                let operations = first_of.operations.clone();
                let levels = self.ask_request(number, index, key, operations, door);
                if let Some(slot) = self.slot_mut(number) {
                    slot.work = Work::FirstOf { first_of, index, levels };
                }
            }
        }
    }

    fn scanned(
        &mut self,
        number: Number,
        scan: &ElementScan,
        outcome: &Outcome,
        door: &mut Door,
        around: &Surroundings<'_>,
    ) {
        let read = outcome::answered(outcome).and_then(|answered| match answered.replies.last() {
            Some(Ok(reply)) => Ok(reply),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("ERR no reply".to_owned()),
        });
        let reply = match read {
            Ok(reply) => reply,
            Err(text) => return self.reply(number, door, around, |encoder| encoder.error(&text)),
        };
        let mut elements = (scan.elements)(reply);
        let cursor = match elements.last() {
            Some((name, _)) if elements.len() >= page_of(scan.count) => {
                let random = door.random();
                door.cursors.remember(random, name)
            }
            Some(_) | None => 0,
        };
        if let Some(pattern) = &scan.pattern {
            elements.retain(|(name, _)| glob::matches(pattern, name));
        }
        self.reply(number, door, around, |encoder| {
            encoder.array(2);
            encoder.bulk(cursor.to_string().as_bytes());
            let beside = elements.iter().filter(|(_, beside)| beside.is_some()).count();
            encoder.array(elements.len() + beside);
            for (name, beside) in &elements {
                encoder.bulk(name);
                if let Some(beside) = beside {
                    encoder.bulk(beside);
                }
            }
        });
    }

    /// Answers a command, and lets those go on that waited for its keys.
    pub(super) fn reply(
        &mut self,
        number: Number,
        door: &mut Door,
        around: &Surroundings<'_>,
        encode: impl FnOnce(&mut Encoder<'_>),
    ) {
        let is_first = number == self.first;
        let index = usize::try_from(number - self.first).expect("slots are few");
        let slot = &mut self.slots[index];
        let mut apart = Vec::new();
        let out = if is_first { &mut self.output } else { &mut apart };
        let before = out.len();
        encode(&mut Encoder::new(out, slot.protocol));
        let ended = Ended::of(&out[before..]);
        if slot.silent {
            out.truncate(before);
        }
        self.slots_bytes = self.slots_bytes + apart.len() - slot.bytes;
        slot.bytes = apart.len();
        slot.work = Work::Answered(apart);
        let hashes = std::mem::take(&mut slot.hashes);
        let (place, write) = (slot.place, slot.terms.levels.write);
        let took = around.now.saturating_sub(slot.begun);
        if let Some(place) = place {
            door.answered(place, took, write, ended);
            self.remember_if_slow(place, took, door, around);
        }
        let mut next = smallvec::SmallVec::<[Number; 1]>::new();
        self.sequence.leave(number, &hashes, |other| next.push(other));
        for other in next {
            let Some(slot) = self.slot_mut(other) else { continue };
            slot.waits -= 1;
            if slot.waits == 0 {
                self.ready.push_back(other);
            }
        }
        while let Some(Work::Answered(bytes)) = self.slots.front().map(|slot| &slot.work) {
            self.output.extend_from_slice(bytes);
            self.slots_bytes -= self.slots[0].bytes;
            self.slots.pop_front();
            self.first += 1;
        }
    }

    fn remember_if_slow(
        &self,
        place: usize,
        took: Duration,
        door: &mut Door,
        around: &Surroundings<'_>,
    ) {
        if door.parameters.slow().is_some_and(|slow| took >= slow) {
            let name = table::all().nth(place).map_or("", |command| command.name);
            let (address, client) = (self.client.address, self.client.name.clone());
            door.remember_slow(around.wall_millis, took, name, address, client);
        }
    }
}

/// Smaller answers are always taken: they are what tells a client what has become of its commands.
const BOUNDED_ABOVE: usize = 1 << 10;

/// About how many bytes an answer has.
fn bytes_of(answer: &Answer) -> usize {
    match answer {
        Answer::Outcome(outcome) => outcome.reply_bytes(),
        Answer::Listed(Listed::Page(page)) => page.keys.iter().map(|key| key.name.len() + 16).sum(),
        Answer::Listed(_) | Answer::Barrier(_) | Answer::Told(_) => 0,
    }
}
