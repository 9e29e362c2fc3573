//! The coordinator's side of linearizable reads: one lap after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_crdt::digest::key_digest;
use coterie_crdt::operation::{KeyOperation, OpError, Operation, Reply, evaluate_all};
use coterie_crdt::{Cells, Context, Dot, Footprint, Mint, Partial, State};
use coterie_ring::moves::{DigestAnswer, LinearizableOutcome, Quorum};
use coterie_ring::{Level, NodeId};
use coterie_wire::peer::linearizable::{Compared, Query, QueryAnswer};
use coterie_wire::peer::write::Change;
use coterie_wire::{
    Answered, Body, ChangedDots, Key, Levels, Outcome, QuorumCount, Refused, Request, RequestId,
    SessionDots, Slice, Unavailable,
};

use super::{Event, Found, hold};
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::mutants::{Mutant, mutant};
use crate::origin::Origin;
use crate::repair::scrub;
use crate::repair::sync::{self, Asker};
use crate::replica::{self, Stored};
use crate::rows::{WHOLE_BYTES_MAX, Whole};
use crate::slice::SliceState;

/// Reads under way at once.
const READS_MAX: usize = 16_384;

/// How long a lap waits for owners that say nothing.
const LAP_TIMEOUT: Duration = Duration::from_millis(250);

/// How long a read waits before it asks again owners that cannot compare their key now.
const RETRY: Duration = Duration::from_millis(20);

/// How many reads ended after how many laps: index 0 counts those of one lap, the last those of more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Laps(pub [u64; 8]);

#[derive(Debug)]
struct Read {
    origin: Origin,
    request: Request,
    slice: Slice,
    deadline: Duration,
    /// Counts from 1; 0 before the first.
    lap: u32,
    /// When it began.
    lap_from: Duration,
    /// When the lap is over, whoever has not answered.
    lap_until: Duration,
    /// The digest that owners are compared with.
    asked: u128,
    /// What the operations answer on the state of that digest, and its context.
    replies: Vec<Result<Reply, OpError>>,
    seen: Context,
    answers: Vec<(NodeId, DigestAnswer)>,
    /// States that differ, to be joined before the next lap.
    states: Vec<Partial>,
    /// Owners whose key is too large for a message, and is being synchronised.
    synchronising: Vec<NodeId>,
    /// Whether some owner could not compare, so that asking at once would be no use.
    hopeless: bool,
    /// Whether the key was found expired, and its removal is under way.
    expiring: bool,
    /// Whether the last lap did not show what the session must see: somebody has it, or keeps it for an owner.
    lacks_session: bool,
}

/// The reads that this lane coordinates.
#[derive(Debug, Default)]
pub(super) struct Reads {
    reads: BTreeMap<RequestId, Read>,
    laps: Laps,
}

impl Reads {
    pub(super) fn laps(&self) -> &Laps {
        &self.laps
    }

    pub(super) fn key(&self, request: RequestId) -> Option<&Key> {
        self.reads.get(&request).map(|read| &read.request.key)
    }

    pub(super) fn begin(
        &mut self,
        shared: &mut Shared,
        origin: Origin,
        request: Request,
        found: Found,
        effects: &mut Effects,
    ) {
        let id = request.id;
        let mut end = |outcome| origin.answer(shared, id, outcome, After::Written, effects);
        let Some(slice) = shared.view.slice(&request.key) else {
            return end(Outcome::Refused(Refused::NoSuchBucket));
        };
        if self.reads.len() >= READS_MAX || self.reads.contains_key(&id) {
            return end(Outcome::Refused(Refused::Busy));
        }
        if let Err(count) = is_available(shared, slice) {
            return end(Outcome::Unavailable(Unavailable::Owners(count)));
        }
        let deadline = shared.now.monotonic + request.time_left;
        let read = Read {
            origin,
            request,
            slice,
            deadline,
            lap: 0,
            lap_from: shared.now.monotonic,
            lap_until: deadline,
            asked: 0,
            replies: Vec::new(),
            seen: Context::new(),
            answers: Vec::new(),
            states: Vec::new(),
            synchronising: Vec::new(),
            hopeless: false,
            expiring: false,
            lacks_session: false,
        };
        self.reads.insert(id, read);
        self.lap(shared, id, found, effects);
    }

    /// Joins what the last lap brought, and begins the next.
    pub(super) fn lap(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        found: Found,
        effects: &mut Effects,
    ) {
        let Some(read) = self.reads.get_mut(&id) else { return };
        if !read.synchronising.is_empty() {
            return;
        }
        let now = shared.now.monotonic;
        if !shared.slices.get(&read.slice).is_some_and(SliceState::is_received) {
            return self.give_up(shared, id, effects);
        }
        let rows = match found {
            Found::Key(whole) => match *whole {
                Whole::Small(rows) => rows,
                Whole::Large(root) => State::from_rows(root, BTreeMap::new()),
            },
            missing @ (Found::Nothing | Found::Damaged) => {
                if matches!(missing, Found::Damaged) {
                    scrub::damaged(read.slice, &read.request.key, effects);
                }
                let outcome = Outcome::Unavailable(Unavailable::Damaged);
                return self.end(shared, id, outcome, effects);
            }
        };
        let large = rows.cells().len() as u64 != rows.root().map_or(0, |root| root.counts.rows);
        let mut stored = Stored::from(rows);
        for partial in std::mem::take(&mut read.states).into_iter().filter(|_| !large) {
            let (key, change) = (&read.request.key, Change::Whole(partial));
            replica::apply(shared, read.slice, key, &mut stored, &change, effects);
        }
        let rows = stored.state;
        let root = rows.root().cloned().unwrap_or_default();
        // Owners hold writes back until the lap after this one has come to them, which takes as long as the last.
        let waited = std::mem::take(&mut read.lacks_session);
        let hold = match read.lap {
            0 => Duration::ZERO,
            _ if waited => Duration::ZERO,
            _ => ((now - read.lap_from) * hold::LAPS).clamp(hold::HOLD_MIN, hold::HOLD_MAX),
        };
        read.lap_from = now;
        read.lap += 1;
        read.answers.clear();
        read.hopeless = false;
        read.lap_until = (now + LAP_TIMEOUT).min(read.deadline);
        if root.is_counting() {
            read.hopeless = true;
            read.lap_until = (now + RETRY).min(read.deadline);
            return;
        }
        let wall = shared.now.wall_millis;
        if !read.expiring && root.expiry.deadline().is_some_and(|deadline| deadline <= wall) {
            read.expiring = true;
            read.lap_until = (now + RETRY).min(read.deadline);
            read.hopeless = true;
            return remove_expired(shared, &read.request, read.deadline - now, effects);
        }
        if large && !reads_root_only(&read.request.operations) {
            let outcome = Outcome::Refused(Refused::TooLarge { bytes_max: WHOLE_BYTES_MAX as u64 });
            return self.end(shared, id, outcome, effects);
        }
        read.asked = key_digest(&root);
        read.seen = root.context;
        read.replies = evaluate(shared, &read.request.operations, &rows);
        // The first lap asks; those after it bring along what was joined, so that owners become equal.
        let carried =
            (read.lap > 1 && !large).then(|| Partial::extract(&rows, &Footprint::whole()));
        let (slice, key, digest) = (read.slice, read.request.key.clone(), read.asked);
        for owner in shared.view.live_sets(slice).owners() {
            if owner != shared.me {
                let query = Query { key: key.clone(), join: carried.clone(), digest, hold };
                let mut message = shared.message(id, slice, Body::Query(Box::new(query)));
                message.time_left = Some(read.deadline.saturating_sub(now));
                effects.send(owner, Class::Requests, message);
            }
        }
        let own = Event::OwnSynced { request: id, lap: read.lap };
        effects.lane(After::Synced, crate::Event::Linearizable(own));
    }

    /// What this node had when the lap began counts, now that it is on disk.
    pub(super) fn own_synced(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        lap: u32,
        effects: &mut Effects,
    ) {
        let Some(read) = self.reads.get_mut(&id).filter(|read| read.lap == lap) else { return };
        let Some(state) = shared.slices.get(&read.slice) else { return };
        let newest = state.replica.sets().tag();
        let ready = state.replica.may_answer_read(newest, Quorum::Majority).is_ok();
        let answer = if ready { DigestAnswer::EqualAndReady } else { DigestAnswer::Equal };
        read.answers.push((shared.me, answer));
        self.judge(shared, id, effects);
    }

    /// An owner has compared.
    pub(super) fn answered(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        id: RequestId,
        answer: QueryAnswer,
        effects: &mut Effects,
    ) {
        let Some(read) = self.reads.get_mut(&id) else { return };
        if answer.asked != read.asked || read.answers.iter().any(|(by, _)| *by == from) {
            return;
        }
        let counted = match answer.compared {
            Compared::Equal { ready: true } => DigestAnswer::EqualAndReady,
            Compared::Equal { ready: false } => DigestAnswer::Equal,
            Compared::Retired => DigestAnswer::Retired,
            // The owner has joined what the lap brought along before it compared.
            Compared::Different(_) if read.lap > 1 && mutant(Mutant::ReadWithWriteBack) => {
                DigestAnswer::EqualAndReady
            }
            Compared::Different(partial) => {
                read.states.push(*partial);
                DigestAnswer::Different
            }
            Compared::Large { .. } => {
                read.synchronising.push(from);
                let asker = Asker::Linearizable(id);
                let event = sync::Event::Key { key: read.request.key.clone(), with: from, asker };
                effects.lane(After::Written, crate::Event::Sync(event));
                DigestAnswer::Different
            }
            Compared::Counting
            | Compared::NotReady
            | Compared::OtherLayout { .. }
            | Compared::OtherEpoch { .. } => {
                read.hopeless = true;
                DigestAnswer::Different
            }
        };
        read.answers.push((from, counted));
        self.judge(shared, id, effects);
    }

    pub(super) fn key_synchronised(&mut self, id: RequestId, with: NodeId, effects: &mut Effects) {
        let Some(read) = self.reads.get_mut(&id) else { return };
        read.synchronising.retain(|node| *node != with);
        if read.synchronising.is_empty() {
            next_lap(id, effects);
        }
    }

    /// Ends the read, or the lap, if the answers so far decide it.
    fn judge(&mut self, shared: &mut Shared, id: RequestId, effects: &mut Effects) {
        let read = self.reads.get_mut(&id).expect("the caller found it");
        let sets = shared.view.live_sets(read.slice);
        if sets.linearizable_outcome(&read.answers) == LinearizableOutcome::Done {
            let state = shared.slices.get(&read.slice);
            let shows = match state {
                Some(state) => read.shows_session(&sets.owners(), state),
                None => read.request.session.is_empty(),
            };
            if !shows {
                read.lacks_session = true;
                if !read.states.is_empty() && read.synchronising.is_empty() {
                    next_lap(id, effects);
                }
                return;
            }
            let slot = usize::try_from(read.lap - 1).unwrap_or(usize::MAX);
            self.laps.0[slot.min(self.laps.0.len() - 1)] += 1;
            let epoch = state.map_or(0, |state| state.epoch);
            let outcome = Outcome::Done(Box::new(Answered {
                replies: std::mem::take(&mut read.replies),
                changed: ChangedDots::default(),
                seen: (std::mem::take(&mut read.seen), epoch),
                owners: read.equal().collect(),
                fallbacks: Vec::new(),
                everywhere: false,
                explanation: None,
            }));
            return self.end(shared, id, outcome, effects);
        }
        // If all that are still to answer were equal and ready, could it be done?
        let silent = |node: &NodeId| !read.answers.iter().any(|(by, _)| by == node);
        let hoped = sets.owners().into_iter().filter(silent);
        let mut answers = read.answers.clone();
        answers.extend(hoped.map(|node| (node, DigestAnswer::EqualAndReady)));
        let open = sets.linearizable_outcome(&answers) == LinearizableOutcome::Done;
        if !open && !read.hopeless && read.synchronising.is_empty() {
            next_lap(id, effects);
        } else if !open && read.hopeless {
            read.lap_until = read.lap_until.min(shared.now.monotonic + RETRY);
        }
    }

    pub(super) fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        let due = |read: &Read| read.next_deadline() <= now;
        let ids: Vec<RequestId> =
            self.reads.iter().filter(|(_, read)| due(read)).map(|(id, _)| *id).collect();
        for id in ids {
            let read = self.reads.get_mut(&id).expect("it was found");
            if read.deadline <= now {
                self.give_up(shared, id, effects);
            } else {
                read.expiring = false;
                read.lap_until = read.deadline;
                next_lap(id, effects);
            }
        }
    }

    fn give_up(&mut self, shared: &Shared, id: RequestId, effects: &mut Effects) {
        let Some(read) = self.reads.get(&id) else { return };
        let have = read.equal().count();
        let owners = shared.view.live_sets(read.slice).newest().members.len();
        let count = QuorumCount::of(have, owners / 2 + 1);
        let why = match read.lacks_session {
            true => Unavailable::Session,
            false => Unavailable::Answers(count),
        };
        self.end(shared, id, Outcome::Unavailable(why), effects);
    }

    fn end(&mut self, shared: &Shared, id: RequestId, outcome: Outcome, effects: &mut Effects) {
        let Some(read) = self.reads.remove(&id) else { return };
        // What was joined on the way has to be as durable as what is shown.
        read.origin.answer(shared, id, outcome, After::Written, effects);
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.reads.values().map(Read::next_deadline).min()
    }
}

impl Read {
    /// The owners that have what this lap shows.
    fn equal(&self) -> impl Iterator<Item = NodeId> {
        let is_equal = |answer: &DigestAnswer| match answer {
            DigestAnswer::Equal | DigestAnswer::EqualAndReady => true,
            DigestAnswer::Different | DigestAnswer::Retired => false,
        };
        self.answers.iter().filter(move |(_, answer)| is_equal(answer)).map(|(by, _)| *by)
    }

    /// Whether what the session must see is in what this lap shows.
    fn shows_session(&self, owners: &[NodeId], state: &SliceState) -> bool {
        let (lacking, purged) = state.unseen(&self.request.session, &self.seen);
        let agrees = |owner: &NodeId| {
            let mut answers = self.answers.iter().filter(|(by, _)| by == owner);
            answers.any(|(_, answer)| *answer != DigestAnswer::Different)
        };
        lacking.is_empty() && (!purged || owners.iter().all(agrees))
    }

    fn next_deadline(&self) -> Duration {
        if self.synchronising.is_empty() {
            self.lap_until.min(self.deadline)
        } else {
            self.deadline
        }
    }
}

fn next_lap(request: RequestId, effects: &mut Effects) {
    effects.lane(After::Written, crate::Event::Linearizable(Event::Lap { request }));
}

/// Whether a majority of each live owner set is alive; how many are, where that is not so.
fn is_available(shared: &Shared, slice: Slice) -> Result<(), QuorumCount> {
    for set in shared.view.live_sets(slice).all() {
        let live = set.members.iter().filter(|node| shared.view.is_live(**node)).count();
        let need = set.members.len() / 2 + 1;
        if live < need {
            return Err(QuorumCount::of(live, need));
        }
    }
    Ok(())
}

/// Asks for the removal of what is left of a key that has expired by this clock: before it is committed, a clock that is behind
/// may say otherwise.
fn remove_expired(shared: &mut Shared, read: &Request, time_left: Duration, effects: &mut Effects) {
    let request = Request {
        id: shared.draw_request(),
        key: read.key.clone(),
        operations: vec![Operation::Key(KeyOperation::RemoveExpired { since_millis: 0 })],
        levels: Levels { write: Some(Level::Linearizable), read: Some(Level::Linearizable) },
        time_left,
        session: SessionDots::default(),
        explain: false,
    };
    let event = crate::coordinator::Event::Internal { request: Box::new(request) };
    effects.lane(After::Written, crate::Event::Coordinator(event));
}

fn reads_root_only(operations: &[Operation]) -> bool {
    operations.iter().all(|operation| operation.footprint() == Footprint::root())
}

/// Evaluates operations that only read.
fn evaluate(
    shared: &mut Shared,
    operations: &[Operation],
    rows: &State,
) -> Vec<Result<Reply, OpError>> {
    let random = shared.random();
    let wall = shared.now.wall_millis;
    let unused = Dot::new(shared.draw_actor(), 1);
    let mint = Mint::new(unused, &mut shared.clock, wall, random);
    let (replies, delta) =
        evaluate_all(operations, rows, &mut mint.with_limits(shared.settings.limits));
    assert!(delta.is_empty(), "a linearizable read changes nothing");
    replies
}
