//! Beginning what a command has become.

use std::collections::VecDeque;
use std::sync::Arc;

use coterie_crdt::operation::{KeyOperation, Operation};
use coterie_protocol::gather::{Gather, Progress};

use super::Connection;
use super::sequence::Number;
use super::slot::{Gathering, Work};
use crate::ask::Ask;
use crate::desk::Step;
use crate::door::{Door, Surroundings};
use crate::explain;
use crate::keyspace::{Walk, WalkAsk};
use crate::outcome;
use crate::plan::{KeyShape, Plan};
use coterie_wire::{List, Request};

/// Requests of one command that are under way at one time.
const GATHERED_MAX: usize = 128;

/// Elements that a page of a scan has at least, so that what is small comes whole, and at most.
const PAGE_LEAST: usize = 128;
const PAGE_MOST: usize = 1_000;

impl Connection {
    pub(super) fn begin(
        &mut self,
        number: Number,
        step: Step,
        door: &mut Door,
        around: &Surroundings<'_>,
    ) {
        let work = match step {
            Step::Plan(Plan::Key { key, operations, shape }) => {
                self.begin_key(number, key, operations, shape, door, around)
            }
            Step::Plan(Plan::Gather { command, shape }) => {
                let (gather, progress) = Gather::begin(*command);
                let gathering = Box::new(Gathering {
                    gather,
                    shape,
                    to_ask: VecDeque::new(),
                    asked: 0,
                    keys: Vec::new(),
                    levels: self.terms(number).levels,
                });
                return self.gather(number, gathering, progress, door, around);
            }
            Step::Plan(Plan::FirstOf(first_of)) => {
                let Some(key) = first_of.keys.first().cloned() else {
                    return self.reply(number, door, around, first_of.nothing);
                };
                let operations = first_of.operations.clone();
                let levels = self.ask_request(number, 0, key, operations, door);
                Work::FirstOf { first_of, index: 0, levels }
            }
            Step::Plan(Plan::Scan(scan)) => {
                let after = door.cursors.place(scan.cursor).filter(|_| scan.cursor != 0);
                let operation = (scan.page)(after, page_of(scan.count));
                self.ask_request(number, 0, scan.key.clone(), vec![operation], door);
                Work::Scan(scan)
            }
            Step::Plan(Plan::Keyspace(keyspace)) => {
                let Some(user) = &self.client.user else {
                    return self.reply(number, door, around, |encoder| encoder.null());
                };
                let walk = Walk::begin(*keyspace, Arc::clone(user), around.view);
                return self.walk(number, Box::new(walk), door, around);
            }
            Step::Ask(query, shape) => {
                self.ask(number, 0, Ask::Query(query));
                Work::Ask(shape)
            }
            Step::Wait { others, at_most } => {
                let all = self.other_owners(around);
                let least = self.client.least_others.unwrap_or(all);
                if least >= others.min(all) || !self.may_wait(around) {
                    return self.reply(number, door, around, |encoder| encoder.count(least));
                }
                self.ask(number, 0, Ask::Barrier(at_most));
                Work::Wait
            }
            Step::Explain(key) => {
                let operations = vec![
                    Operation::Key(KeyOperation::Type),
                    Operation::Key(KeyOperation::TimeToLive),
                ];
                let request = self.request(number, key.clone(), operations, door);
                let levels = request.levels;
                let request = Box::new(Request { explain: true, ..request });
                self.ask(number, 0, Ask::Request(request));
                Work::Key { key, levels, shape: KeyShape::All(Box::new(explain::encode)) }
            }
            Step::Done | Step::Close => unreachable!("what needs nothing is answered at once"),
        };
        if let Some(slot) = self.slot_mut(number) {
            slot.work = work;
        }
    }

    /// How many owners a key has beside one.
    pub(super) fn other_owners(&self, around: &Surroundings<'_>) -> usize {
        let policy = around.view.policy(&self.client.bucket);
        let members = around.view.decision.layout().members().len();
        policy.map_or(1, |policy| usize::from(policy.replicas)).min(members).saturating_sub(1)
    }

    /// Whether a barrier on this node is one for all that this client wrote: every member owns everything.
    fn may_wait(&self, around: &Surroundings<'_>) -> bool {
        around.view.decision.layout().members().len() <= self.other_owners(around) + 1
    }

    /// Goes on with a command on several keys.
    pub(super) fn gather(
        &mut self,
        number: Number,
        mut gathering: Box<Gathering>,
        progress: Progress,
        door: &mut Door,
        around: &Surroundings<'_>,
    ) {
        match progress {
            Progress::Waits => {}
            Progress::Asks(asks) => {
                gathering.keys.extend(asks.iter().map(|ask| ask.key.clone()));
                gathering.to_ask.extend(asks);
            }
            Progress::Done(done) => {
                let shape = gathering.shape;
                return self.reply(number, door, around, |encoder| {
                    outcome::encode_gathered(&done, &shape, encoder);
                });
            }
        }
        while gathering.asked < GATHERED_MAX {
            let Some(ask) = gathering.to_ask.pop_front() else { break };
            gathering.asked += 1;
            self.ask_request(number, ask.item, ask.key, ask.operations, door);
        }
        if let Some(slot) = self.slot_mut(number) {
            slot.work = Work::Gather(gathering);
        }
    }

    /// Goes on with a walk over keys.
    pub(super) fn walk(
        &mut self,
        number: Number,
        mut walk: Box<Walk>,
        door: &mut Door,
        around: &Surroundings<'_>,
    ) {
        let terms = self.terms(number);
        while let Some((item, ask)) = walk.next_ask() {
            let item = usize::try_from(item).expect("24 bits");
            match ask {
                WalkAsk::List { bucket, from, keys_max } => {
                    let list = List {
                        id: door.request_id(),
                        bucket,
                        from,
                        keys_max,
                        read: terms.levels.read,
                        time_left: door.time_left(terms.deadline),
                    };
                    self.ask(number, item, Ask::List(Box::new(list)));
                }
                WalkAsk::Delete(key) => {
                    let delete = vec![Operation::Key(KeyOperation::Delete)];
                    self.ask_request(number, item, key, delete, door);
                }
            }
        }
        if walk.is_done() {
            return self.reply(number, door, around, |encoder| walk.encode(encoder));
        }
        if let Some(slot) = self.slot_mut(number) {
            slot.work = Work::Walk(walk);
        }
    }
}

/// How many elements a page has for a `COUNT`.
pub(super) fn page_of(count: usize) -> usize {
    count.clamp(PAGE_LEAST, PAGE_MOST)
}
