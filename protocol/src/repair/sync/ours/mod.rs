//! Sessions that this node began: it asks step by step, until everything is joined on both sides.

mod key;
mod phase;
mod transfer;

use std::collections::BTreeSet;
use std::time::Duration;

use coterie_crdt::Context;
use coterie_ring::NodeId;
use coterie_wire::peer::sync::{Answer, Contents, End, Parcel, Step, Sync};
use coterie_wire::{Body, Key, Message, RequestId, Slice};

use super::cells::{self, Measured, NotNow};
use super::chunk::{self, Receiving};
use super::event::{Asker, SyncError};
use super::halving::{Asking, Entry, HashRange, Listing, Mismatch};
use super::lister::Lister;
use super::space::{self, Leaves, Subject};
use super::way::Done;
use super::work::{self, Giving, Taking};
use crate::effects::{Class, Effects};
use crate::lane::Shared;
use crate::repair::scrub;
use crate::rows::{NotResident, Rows};
use phase::{Phase, Then};

pub(super) use phase::{Found, Next};

/// How long an answer is waited for before the step is sent again.
const RETRY: Duration = Duration::from_secs(1);

/// As [`RETRY`], of a step that rows go with: a slow peer, which has them to join or to read, is not sent them again meanwhile.
const RETRY_ROWS: Duration = Duration::from_secs(5);

/// How often a step is sent before the peer counts as unreachable.
const TRIES: u8 = 8;

/// A session that this node began.
#[derive(Debug)]
pub(super) struct Ours {
    pub(super) with: NodeId,
    pub(super) slice: Slice,
    pub(super) began: Duration,
    /// Who is told how it ends.
    pub(super) asker: Asker,
    /// The session on a slice that this one, on a large key of it, is part of.
    pub(super) parent: Option<RequestId>,
    request: RequestId,
    epoch: u64,
    subject: Subject,
    salt: u64,
    phase: Phase,
    flight: Option<Flight>,
    number: u32,
    leaves: Option<Leaves>,
    /// The hashes being compared, and the last of all.
    window: HashRange,
    last: u64,
    giving: Giving,
    /// How long to wait before more rows are asked for or sent: the credit of who receives them.
    pause: Duration,
    large: BTreeSet<Key>,
    /// Whether the last large key could not be synchronised because the peer did not answer.
    unreachable: bool,
    /// Of a key: what the peer had seen before it read the first cell, and whether this node keeps the order
    /// of its cells.
    context: Context,
    ordered: bool,
    /// Of a key: what this node had seen and had of it then, and what was transferred since.
    measured: Option<Measured>,
    transferred: Done,
    incomplete: bool,
    /// Whether votes on strong keys could not be taken in because more was promised: by this node, by the peer.
    undecided_here: bool,
    undecided_there: bool,
}

/// The step that is to be answered.
#[derive(Debug)]
struct Flight {
    step: Step,
    due: Duration,
    sent: u8,
}

impl Ours {
    /// Begins to synchronise a slice that this lane owns.
    pub(super) fn slice(
        shared: &mut Shared,
        slice: Slice,
        with: NodeId,
        asker: Asker,
        effects: &mut Effects,
    ) -> Self {
        let leaves = space::pack(shared.slices[&slice].tree.leaves());
        let mut ours = Ours::new(shared, slice, with, Subject::Keys, (asker, None));
        let salt = ours.salt;
        ours.send(shared, Step::Slice { salt, leaves }, Duration::ZERO, effects);
        ours
    }

    /// Begins to synchronise a key of a slice that this lane owns, by itself or as part of another session.
    pub(super) fn key(
        shared: &mut Shared,
        slice: Slice,
        key: Key,
        with: NodeId,
        told: (Asker, Option<RequestId>),
    ) -> Self {
        let ours = Ours::new(shared, slice, with, Subject::Cells(key), told);
        Ours { phase: Phase::Reading, ..ours }
    }

    fn new(
        shared: &mut Shared,
        slice: Slice,
        with: NodeId,
        subject: Subject,
        (asker, parent): (Asker, Option<RequestId>),
    ) -> Self {
        let window = subject.hashes(slice, shared);
        Ours {
            with,
            slice,
            began: shared.now.monotonic,
            asker,
            parent,
            request: shared.draw_request(),
            epoch: shared.slices[&slice].epoch,
            subject,
            salt: shared.random(),
            phase: Phase::Opening,
            flight: None,
            number: 0,
            leaves: None,
            window,
            last: window.to,
            giving: Giving::default(),
            pause: Duration::ZERO,
            large: BTreeSet::new(),
            unreachable: false,
            context: Context::new(),
            ordered: false,
            measured: None,
            transferred: Done::default(),
            incomplete: false,
            undecided_here: false,
            undecided_there: false,
        }
    }

    /// The key, of a session on one.
    pub(super) fn of_key(&self) -> Option<&Key> {
        match &self.subject {
            Subject::Keys => None,
            Subject::Cells(key) => Some(key),
        }
    }

    /// The id of its messages.
    pub(super) fn request(&self) -> RequestId {
        self.request
    }

    /// What it comes to where nothing more is exchanged.
    fn joined(&self) -> Result<(), SyncError> {
        let (here, there) = (self.undecided_here, self.undecided_there);
        match (self.incomplete, here || there) {
            (true, _) => Err(SyncError::Incomplete),
            (false, true) => Err(SyncError::Undecided { here, there }),
            (false, false) => Ok(()),
        }
    }

    /// Sends a step, after `pause`.
    fn send(&mut self, shared: &Shared, step: Step, pause: Duration, effects: &mut Effects) {
        let due = shared.now.monotonic + pause;
        self.flight = Some(Flight { step, due, sent: 0 });
        if pause.is_zero() {
            let sent = self.tick(shared, effects);
            assert!(sent.is_none(), "a first try is made");
        }
    }

    /// When it wants to be told that time has passed.
    pub(super) fn due(&self) -> Option<Duration> {
        self.flight.as_ref().map(|flight| flight.due)
    }

    /// Sends what is due, or gives up.
    pub(super) fn tick(&mut self, shared: &Shared, effects: &mut Effects) -> Option<SyncError> {
        let flight = self.flight.as_mut().filter(|flight| flight.due <= shared.now.monotonic)?;
        if flight.sent == TRIES {
            return Some(SyncError::Unreachable);
        }
        flight.sent += 1;
        let patience = if flight.step.moves_rows() { RETRY_ROWS } else { RETRY };
        flight.due = shared.now.monotonic + patience;
        let step = Box::new(flight.step.clone());
        let message = self.message(shared, Sync::Step { number: self.number, step });
        effects.send(self.with, Class::Bulk, message);
        None
    }

    fn message(&self, shared: &Shared, body: Sync) -> Message {
        // State is of the epoch that the session began in, also where this node has gone on since.
        let epoch = self.epoch;
        Message { epoch, ..shared.message(self.request, self.slice, Body::Sync(body)) }
    }

    /// Whether a message is of this session's purge epoch.
    pub(super) fn is_of(&self, shared: &Shared, epoch: u64) -> bool {
        epoch == self.epoch && self.is_allowed(shared)
    }

    /// Whether it may go on: within one purge epoch, between owners (invariant 19).
    pub(super) fn is_allowed(&self, shared: &Shared) -> bool {
        shared.slices.get(&self.slice).is_some_and(|state| {
            state.epoch == self.epoch && state.replica.sets().owners().contains(&self.with)
        })
    }

    /// Takes in the answer to a step; other answers are not looked at.
    pub(super) fn answered(
        &mut self,
        shared: &mut Shared,
        number: u32,
        pause: Duration,
        answer: Answer,
        effects: &mut Effects,
    ) -> Next {
        if number != self.number || self.flight.take().is_none() {
            return Next::Wait;
        }
        self.number += 1;
        self.pause = pause;
        let phase = std::mem::replace(&mut self.phase, Phase::Opening);
        match self.advance(shared, phase, answer, effects) {
            Ok(next) => next,
            Err(error) => Next::End(Err(error)),
        }
    }

    fn advance(
        &mut self,
        shared: &mut Shared,
        phase: Phase,
        answer: Answer,
        effects: &mut Effects,
    ) -> Result<Next, SyncError> {
        match (phase, answer) {
            (_, Answer::Ended(end)) => Err(ended(end)),
            (Phase::Joining, Answer::Same) => Ok(Next::End(Ok(()))),
            (Phase::Joining, Answer::Key { key }) if key.contents == Contents::Large => {
                self.phase = Phase::Measuring;
                Ok(Next::Work)
            }
            (Phase::Joining, Answer::Key { key }) => self.take(Parcel::Keys(vec![key]), Then::End),
            (Phase::Matching, Answer::Cells { context, rows, differing, transfer }) => {
                self.leaves = Some(Leaves::told(&differing).ok_or(SyncError::Refused)?);
                self.context = context;
                self.matched(shared, (rows, transfer.as_ref()), effects)
            }
            (Phase::Fetching, Answer::Chunk { chunk }) => {
                self.phase = Phase::Receiving(Receiving::new(chunk, self.context.clone()));
                Ok(Next::Work)
            }
            (Phase::Sent(after), Answer::Received { transfer }) => self.received(after, transfer),
            (Phase::Closing, Answer::Closed { .. }) if self.of_key().is_some() => {
                self.phase = Phase::Adopting;
                Ok(Next::Work)
            }
            (Phase::Opening, Answer::Leaves { differing }) => {
                self.leaves = Some(Leaves::told(&differing).ok_or(SyncError::Refused)?);
                Ok(self.list(shared, effects))
            }
            (Phase::Comparing { asking, .. }, Answer::Verdicts { to, .. })
                if to < self.window.to =>
            {
                // The peer has more there than it can hold: both compare less at a time.
                self.window.to = to.max(self.window.from);
                let mut entries = asking.listing.into_entries();
                entries.retain(|entry| entry.hash <= self.window.to);
                Ok(self.open(shared, entries, effects))
            }
            (Phase::Comparing { mut asking, opened }, Answer::Verdicts { bits, .. }) => {
                let fits = if opened { asking.answered(&bits) } else { asking.opened(&bits) };
                fits.map_err(|Mismatch| SyncError::Refused)?;
                self.compare(shared, asking, effects);
                Ok(Next::Wait)
            }
            (Phase::Pulling { equal }, Answer::Rows { parcel, more, incomplete, undecided }) => {
                let then = if more { Then::Pull { equal } } else { Then::Give };
                self.incomplete |= incomplete;
                self.undecided_there |= undecided;
                self.take(parcel, then)
            }
            (Phase::Given, Answer::Rows { parcel, more, incomplete, undecided }) => {
                self.incomplete |= incomplete;
                self.undecided_there |= undecided;
                self.take(parcel, Then::Next { more })
            }
            (Phase::Closing, Answer::Closed { equal }) => {
                let state = &shared.slices[&self.slice];
                Ok(match (equal, self.incomplete) {
                    (true, false) => Next::Equal(state.tree.root()),
                    (false, _) | (_, true) => Next::End(self.joined()),
                })
            }
            (_, _) => Err(SyncError::Refused),
        }
    }

    /// Lists the next differing leaves, or goes on to what comes after the last.
    fn list(&mut self, shared: &mut Shared, effects: &mut Effects) -> Next {
        let window = HashRange { from: self.window.from, to: self.last };
        let ranges = self.ranges(shared, window);
        if ranges.is_empty() && self.giving.root {
            // No cell differs, but the root does: it is exchanged with none of them.
            self.phase = Phase::Pulling { equal: 0 };
            self.send(shared, Step::Pull { equal: 0 }, Duration::ZERO, effects);
            return Next::Wait;
        }
        if ranges.is_empty() {
            return self.after_rows(shared, effects);
        }
        let (subject, last) = (&self.subject, self.last);
        let lister = Lister::new(shared, self.slice, subject, self.ordered, ranges, last);
        self.phase = Phase::Listing(lister);
        Next::Work
    }

    fn ranges(&self, shared: &Shared, window: HashRange) -> Vec<HashRange> {
        let leaves = self.leaves.as_ref();
        leaves.map_or(Vec::new(), |leaves| leaves.ranges(&self.subject, self.slice, shared, window))
    }

    /// Opens the ranges that were listed.
    fn open(&mut self, shared: &Shared, entries: Vec<Entry>, effects: &mut Effects) -> Next {
        let ranges = space::quarters(self.ranges(shared, self.window));
        let asking = Box::new(Asking::new(Listing::new(entries, self.salt), ranges));
        let HashRange { from, to } = self.window;
        let step = Step::Open { from, to, sums: asking.totals() };
        self.phase = Phase::Comparing { asking, opened: false };
        self.send(shared, step, Duration::ZERO, effects);
        Next::Wait
    }

    /// Asks on, or for the rows that differ.
    fn compare(&mut self, shared: &Shared, asking: Box<Asking>, effects: &mut Effects) {
        if asking.is_done() {
            let equal = asking.listing.equal();
            self.giving.wanted = asking.listing.differing().cloned().collect();
            self.giving.root |= self.of_key().is_some() && !self.giving.wanted.is_empty();
            self.phase = Phase::Pulling { equal };
            self.send(shared, Step::Pull { equal }, Duration::ZERO, effects);
        } else {
            let ranges = asking.question();
            self.phase = Phase::Comparing { asking, opened: true };
            self.send(shared, Step::Halve { ranges }, Duration::ZERO, effects);
        }
    }

    fn take(&mut self, parcel: Parcel, then: Then) -> Result<Next, SyncError> {
        let taking = match (parcel, &self.subject) {
            (Parcel::Keys(keys), _) => Taking::new(keys),
            (Parcel::Cells(cells), Subject::Cells(key)) => Taking::cells(key, cells),
            (Parcel::Cells(_), Subject::Keys) => return Err(SyncError::Refused),
        };
        self.phase = Phase::Taking { taking, then };
        Ok(Next::Work)
    }

    /// Everything was compared: large keys follow, one by one, and then the end.
    fn after_rows(&mut self, shared: &mut Shared, effects: &mut Effects) -> Next {
        if let Some(key) = self.large.pop_first() {
            self.phase = Phase::Keys;
            return Next::Key(key);
        }
        if self.of_key().is_some() && self.incomplete {
            // What was not joined is not claimed as seen (invariant 5).
            return Next::End(Err(SyncError::Incomplete));
        }
        self.phase = Phase::Closing;
        let root = shared.slices[&self.slice].tree.root();
        self.send(shared, Step::Close { root }, Duration::ZERO, effects);
        Next::Wait
    }

    /// A large key was synchronised, or was not.
    pub(super) fn key_ended(
        &mut self,
        shared: &mut Shared,
        outcome: Result<(), SyncError>,
        effects: &mut Effects,
    ) -> Next {
        self.incomplete |= outcome.is_err();
        // One key may be what the peer cannot be asked about; two in a row are the peer.
        let unreachable = outcome == Err(SyncError::Unreachable);
        if std::mem::replace(&mut self.unreachable, unreachable) && unreachable {
            return Next::End(Err(SyncError::Unreachable));
        }
        self.after_rows(shared, effects)
    }

    /// Reads the next rows.
    pub(super) fn read(&self, shared: &Shared, rows: &impl Rows) -> Result<Found, NotResident> {
        Ok(match &self.phase {
            Phase::Reading => Found::Held(Box::new(self.read_key(rows)?)),
            Phase::Listing(lister) => Found::Listed(lister.read(rows)?),
            Phase::Taking { taking, .. } => Found::Took(taking.read(shared, self.slice, rows)?),
            Phase::Giving => Found::Gave(self.giving.read(self.slice, &self.subject, rows)?),
            Phase::Measuring => Found::Measured(match self.prefix() {
                Some(prefix) => cells::measure(rows, &prefix)?,
                None => Err(NotNow::Damaged),
            }),
            Phase::Adopting => Found::Stored(match self.prefix() {
                Some(prefix) => cells::read_to_adopt(rows, &prefix)?.map(Box::new),
                None => None,
            }),
            Phase::Receiving(receiving) => Found::Stored(match self.prefix() {
                Some(prefix) => receiving.read(rows, &prefix)?,
                None => None,
            }),
            Phase::Sending(after) => Found::Chunk(match self.prefix() {
                Some(prefix) => chunk::read(rows, &prefix, after.as_ref())?,
                None => None,
            }),
            Phase::Joining
            | Phase::Matching
            | Phase::Opening
            | Phase::Comparing { .. }
            | Phase::Pulling { .. }
            | Phase::Given
            | Phase::Keys
            | Phase::Fetching
            | Phase::Sent(_)
            | Phase::Closing => Found::Nothing,
        })
    }

    /// Goes on with what was read.
    pub(super) fn work(
        &mut self,
        shared: &mut Shared,
        found: Found,
        effects: &mut Effects,
    ) -> Next {
        let phase = std::mem::replace(&mut self.phase, Phase::Opening);
        match (phase, found) {
            (Phase::Reading, Found::Held(held)) => self.send_key(shared, &held, effects),
            (Phase::Measuring, Found::Measured(measured)) => {
                self.measured(shared, measured, effects)
            }
            (Phase::Adopting, Found::Stored(stored)) => self.adopt(shared, stored, effects),
            (Phase::Receiving(receiving), Found::Stored(stored)) => {
                self.receive(shared, receiving, stored, effects)
            }
            (Phase::Sending(_), Found::Chunk(chunk)) => self.send_chunk(shared, chunk, effects),
            (Phase::Listing(mut lister), Found::Listed(listed)) => {
                lister.take(listed);
                if !lister.is_done() {
                    self.phase = Phase::Listing(lister);
                    return Next::Work;
                }
                self.incomplete |= lister.is_incomplete();
                if lister.is_damaged() {
                    scrub::walk_over(self.slice, effects);
                }
                let (entries, to) = lister.finish();
                self.window.to = to;
                self.open(shared, entries, effects)
            }
            (Phase::Taking { mut taking, then }, Found::Took(took)) => {
                taking.take(shared, self.slice, took, effects);
                if !taking.is_done() {
                    self.phase = Phase::Taking { taking, then };
                    return Next::Work;
                }
                self.taken(shared, taking, then, effects)
            }
            (Phase::Giving, Found::Gave(gave)) => {
                self.giving.take(gave);
                self.give(shared, effects)
            }
            (phase, _) => {
                // An event that was handed back twice.
                self.phase = phase;
                Next::Wait
            }
        }
    }

    /// What the peer sent is joined.
    fn taken(
        &mut self,
        shared: &mut Shared,
        taking: Taking,
        then: Then,
        effects: &mut Effects,
    ) -> Next {
        self.incomplete |= taking.incomplete;
        self.undecided_here |= taking.undecided;
        self.large.extend(taking.large);
        for at in &taking.equal {
            self.giving.wanted.remove(at);
        }
        if self.of_key().is_some() {
            // Cells that this node has more of go on in further parcels.
            self.giving.root |= !taking.more.is_empty();
        }
        match then {
            Then::Pull { equal } => {
                self.giving.wanted.extend(taking.more);
                self.phase = Phase::Pulling { equal };
                let pause = std::mem::take(&mut self.pause);
                self.send(shared, Step::Pull { equal }, pause, effects);
                Next::Wait
            }
            Then::Give => {
                self.giving.wanted.extend(taking.more);
                self.give(shared, effects)
            }
            // What was written here meanwhile is not of this session.
            Then::Next { more: true } => {
                self.phase = Phase::Given;
                let pause = std::mem::take(&mut self.pause);
                self.send(shared, Step::Pull { equal: 0 }, pause, effects);
                Next::Wait
            }
            Then::Next { more: false } => self.give(shared, effects),
            Then::End if !self.large.is_empty() => {
                self.phase = Phase::Measuring;
                Next::Work
            }
            Then::End => Next::End(self.joined()),
        }
    }

    /// Sends rows that the peer lacks, or goes on to the next hashes.
    fn give(&mut self, shared: &mut Shared, effects: &mut Effects) -> Next {
        if !self.giving.is_full() {
            self.phase = Phase::Giving;
            return Next::Work;
        }
        self.incomplete |= self.giving.incomplete;
        let parcel = self.giving.parcel();
        if work::is_empty(&parcel) {
            return self.next_window(shared, effects);
        }
        self.phase = Phase::Given;
        let pause = std::mem::take(&mut self.pause);
        self.send(shared, Step::Push { parcel }, pause, effects);
        Next::Wait
    }

    fn next_window(&mut self, shared: &mut Shared, effects: &mut Effects) -> Next {
        match self.window.to.checked_add(1).filter(|from| *from <= self.last) {
            Some(from) => {
                self.window.from = from;
                self.list(shared, effects)
            }
            None => self.after_rows(shared, effects),
        }
    }
}

/// What the end that a peer puts to a session means here.
fn ended(end: End) -> SyncError {
    match end {
        End::Unknown => SyncError::Unreachable,
        End::Busy => SyncError::Busy,
        End::Counting | End::Damaged | End::Collided => SyncError::Incomplete,
        End::Refused | End::Malformed => SyncError::Refused,
    }
}
