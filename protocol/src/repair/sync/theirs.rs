//! Sessions that a peer began: each step is answered once, and again where the answer was lost.

use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::encoding::encode_partial;
use coterie_crdt::{Address, Context};
use coterie_ring::NodeId;
use coterie_wire::peer::sync::{Answer, Cursor, End, Parcel, Step, Sync};
use coterie_wire::{Body, Message, RequestId, Slice};

use super::cells::{self, Measured, NotNow};
use super::chunk::{self, Received, Receiving};
use super::halving::{Answering, Entry, HashRange, Listing};
use super::lister::Lister;
use super::ours::Found;
use super::pace::Pace;
use super::space::{self, Leaves, Subject};
use super::work::{self, Giving, Taking};
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::repair::scrub;
use crate::replica::Stored;
use crate::rows::address::KeyPrefix;
use crate::rows::{NotResident, Rows};

/// A session of which nothing was heard for so long is forgotten.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// A session that a peer began.
#[derive(Debug)]
pub(super) struct Theirs {
    pub(super) with: NodeId,
    pub(super) slice: Slice,
    request: RequestId,
    epoch: u64,
    subject: Subject,
    salt: u64,
    leaves: Leaves,
    /// The last step that was taken, and its answer once there is one.
    number: u32,
    answer: Option<(Answer, Duration)>,
    heard: Duration,
    job: Job,
    /// What was listed for the hashes opened last.
    listed: Option<(HashRange, Vec<Entry>)>,
    answering: Option<Box<Answering>>,
    giving: Giving,
    /// How many bytes of rows came with the last step.
    received: usize,
    /// Of a key: what the peer had seen before it read the first cell, and whether this node keeps the order
    /// of its cells.
    context: Context,
    ordered: bool,
    is_closed: bool,
    incomplete: bool,
    undecided: bool,
}

/// What is being done before the step can be answered.
#[derive(Debug)]
enum Job {
    Nothing,
    Listing {
        lister: Lister,
        window: HashRange,
        sums: Bytes,
    },
    Taking(Taking),
    Giving,
    /// One key that came whole is joined.
    Joining(Taking),
    /// What this node has more of it is read.
    Answering,
    /// What is compared first of a large key is read; with the peer's sums.
    Measuring(Bytes),
    /// What the peer had seen of the key is taken in.
    Adopting,
    /// All cells of the key go to the peer, in order: those after one are read.
    Sending(Option<Address>),
    /// All of the peer's come here: those of a chunk are joined.
    Receiving(Receiving),
}

/// What a session wants to have done next.
#[derive(Debug)]
pub(super) enum Next {
    /// Nothing: the step was seen before, or is none that comes next.
    Wait,
    /// To be handed its event, to go on with rows.
    Work,
    /// The answer to be sent.
    Answer(Answer),
    /// The answer to be sent; both sides had this digest of the slice.
    Equal(Answer, u128),
}

impl Theirs {
    /// Takes in the first step of a session.
    pub(super) fn begin(
        shared: &Shared,
        from: NodeId,
        message: &Message,
        step: &Step,
    ) -> Result<(Self, Next), End> {
        let slice = message.slice.ok_or(End::Malformed)?;
        let state = shared.slices.get(&slice).ok_or(End::Refused)?;
        let (subject, salt, leaves, job, next) = match step {
            Step::Slice { salt, leaves } => {
                let leaves = Leaves::compare(state.tree.leaves(), leaves).ok_or(End::Malformed)?;
                let next = Next::Answer(Answer::Leaves { differing: leaves.bytes() });
                (Subject::Keys, *salt, leaves, Job::Nothing, next)
            }
            Step::Key { key } => {
                let job = Job::Joining(Taking::new(vec![key.clone()]));
                (Subject::Cells(key.key.clone()), 0, Leaves::all(), job, Next::Work)
            }
            Step::Cells { key, salt, leaves, .. } => {
                let job = Job::Measuring(leaves.clone());
                (Subject::Cells(key.clone()), *salt, Leaves::all(), job, Next::Work)
            }
            Step::Open { .. }
            | Step::Halve { .. }
            | Step::Pull { .. }
            | Step::Push { .. }
            | Step::Fetch { .. }
            | Step::Chunk { .. }
            | Step::Close { .. } => return Err(End::Unknown),
        };
        if let Subject::Cells(key) = &subject
            && shared.view.slice(key) != Some(slice)
        {
            return Err(End::Refused);
        }
        let context =
            if let Step::Cells { context, .. } = step { context.clone() } else { Context::new() };
        let session = Theirs {
            with: from,
            slice,
            request: message.request,
            epoch: state.epoch,
            subject,
            salt,
            leaves,
            number: 0,
            answer: None,
            heard: shared.now.monotonic,
            job,
            listed: None,
            answering: None,
            giving: Giving::default(),
            received: 0,
            context,
            ordered: false,
            is_closed: false,
            incomplete: false,
            undecided: false,
        };
        Ok((session, next))
    }

    /// How long whoever sent the rows of the last step is to wait with the next.
    pub(super) fn credit(&mut self, pace: &mut Pace, shared: &Shared) -> Duration {
        let rate = shared.settings.repair_bytes_per_second;
        pace.take(std::mem::take(&mut self.received), rate, shared.now.monotonic)
    }

    /// Whether it goes on.
    pub(super) fn is_open(&self) -> bool {
        !self.is_closed
    }

    /// When something was heard of it last.
    pub(super) fn heard(&self) -> Duration {
        self.heard
    }

    /// When it is forgotten.
    pub(super) fn due(&self) -> Duration {
        self.heard + SILENCE_MAX
    }

    /// Whether it may go on: within one purge epoch (invariant 19).
    pub(super) fn is_allowed(&self, shared: &Shared) -> bool {
        shared.slices.get(&self.slice).is_some_and(|state| state.epoch == self.epoch)
    }

    /// Takes in a step.
    pub(super) fn step(
        &mut self,
        shared: &mut Shared,
        number: u32,
        step: Step,
        effects: &mut Effects,
    ) -> Next {
        self.heard = shared.now.monotonic;
        if number == self.number {
            // Its answer was lost, or is still being made.
            self.resend(shared, effects);
            return Next::Wait;
        }
        if number != self.number.wrapping_add(1) || !matches!(self.job, Job::Nothing) {
            return Next::Wait;
        }
        self.number = number;
        self.answer = None;
        self.take(shared, step).unwrap_or_else(|end| Next::Answer(Answer::Ended(end)))
    }

    fn take(&mut self, shared: &Shared, step: Step) -> Result<Next, End> {
        match step {
            Step::Open { from, to, sums } if from <= to => {
                let window = HashRange { from, to };
                match self.listed.take() {
                    Some((listed, entries)) if listed == window => {
                        self.open(shared, window, entries, &sums).map(Next::Answer)
                    }
                    Some(_) | None => {
                        let ranges = self.leaves.ranges(&self.subject, self.slice, shared, window);
                        let (slice, subject) = (self.slice, &self.subject);
                        let lister = Lister::new(shared, slice, subject, self.ordered, ranges, to);
                        self.job = Job::Listing { lister, window, sums };
                        Ok(Next::Work)
                    }
                }
            }
            Step::Halve { ranges } => {
                let answering = self.answering.as_mut().ok_or(End::Malformed)?;
                let bits = answering.answer(&ranges).map_err(|_mismatch| End::Malformed)?;
                Ok(Next::Answer(Answer::Verdicts { to: u64::MAX, bits }))
            }
            Step::Pull { equal } => {
                if let Some(answering) = self.answering.take() {
                    if answering.listing.equal() != equal {
                        return Err(End::Collided);
                    }
                    self.giving.wanted.extend(answering.listing.differing().cloned());
                    let any = !self.giving.wanted.is_empty();
                    self.giving.root |= any && self.subject != Subject::Keys;
                }
                Ok(self.give())
            }
            Step::Push { parcel } => {
                self.received = work::weight(&parcel);
                self.job = Job::Taking(match (parcel, &self.subject) {
                    (Parcel::Keys(keys), Subject::Keys) => Taking::new(keys),
                    (Parcel::Cells(cells), Subject::Cells(key)) => Taking::cells(key, cells),
                    (Parcel::Keys(_), Subject::Cells(_)) | (Parcel::Cells(_), Subject::Keys) => {
                        return Err(End::Malformed);
                    }
                });
                Ok(Next::Work)
            }
            Step::Cells { key, salt, context, leaves, .. }
                if self.subject == Subject::Cells(key.clone()) =>
            {
                (self.salt, self.context) = (salt, context);
                self.job = Job::Measuring(leaves);
                Ok(Next::Work)
            }
            Step::Close { .. } if self.subject != Subject::Keys => {
                if self.incomplete {
                    return Err(End::Counting);
                }
                self.job = Job::Adopting;
                Ok(Next::Work)
            }
            Step::Close { root } => {
                let mine = shared.slices.get(&self.slice).ok_or(End::Refused)?.tree.root();
                self.is_closed = true;
                let answer = Answer::Closed { equal: mine == root };
                Ok(if mine == root && !self.incomplete {
                    Next::Equal(answer, root)
                } else {
                    Next::Answer(answer)
                })
            }
            Step::Fetch { after } if self.subject != Subject::Keys => {
                self.job = Job::Sending(after);
                Ok(Next::Work)
            }
            Step::Chunk { chunk } if self.subject != Subject::Keys => {
                self.received = encode_partial(&chunk.cells).len();
                self.job = Job::Receiving(Receiving::new(chunk, self.context.clone()));
                Ok(Next::Work)
            }
            Step::Slice { .. }
            | Step::Key { .. }
            | Step::Cells { .. }
            | Step::Open { .. }
            | Step::Fetch { .. }
            | Step::Chunk { .. } => Err(End::Malformed),
        }
    }

    fn open(
        &mut self,
        shared: &Shared,
        window: HashRange,
        entries: Vec<Entry>,
        sums: &Bytes,
    ) -> Result<Answer, End> {
        let ranges = self.leaves.ranges(&self.subject, self.slice, shared, window);
        let ranges = space::quarters(ranges);
        let listing = Listing::new(entries, self.salt);
        let opened = Answering::open(listing, &ranges, sums);
        let (answering, bits) = opened.map_err(|_mismatch| End::Malformed)?;
        self.answering = Some(Box::new(answering));
        Ok(Answer::Verdicts { to: window.to, bits })
    }

    fn give(&mut self) -> Next {
        if !self.giving.is_full() {
            self.job = Job::Giving;
            return Next::Work;
        }
        self.incomplete |= self.giving.incomplete;
        let more = !self.giving.wanted.is_empty();
        let (incomplete, undecided) = (self.incomplete, self.undecided);
        let parcel = self.giving.parcel();
        Next::Answer(Answer::Rows { parcel, more, incomplete, undecided })
    }

    /// Reads the next rows.
    pub(super) fn read(&self, shared: &Shared, rows: &impl Rows) -> Result<Found, NotResident> {
        Ok(match &self.job {
            Job::Nothing => Found::Nothing,
            Job::Listing { lister, .. } => Found::Listed(lister.read(rows)?),
            Job::Taking(taking) | Job::Joining(taking) => {
                Found::Took(taking.read(shared, self.slice, rows)?)
            }
            Job::Giving | Job::Answering => {
                Found::Gave(self.giving.read(self.slice, &self.subject, rows)?)
            }
            Job::Measuring(_) => Found::Measured(match self.prefix() {
                Some(prefix) => cells::measure(rows, &prefix)?,
                None => Err(NotNow::Damaged),
            }),
            Job::Adopting => Found::Stored(match self.prefix() {
                Some(prefix) => cells::read_to_adopt(rows, &prefix)?.map(Box::new),
                None => None,
            }),
            Job::Sending(after) => Found::Chunk(match self.prefix() {
                Some(prefix) => chunk::read(rows, &prefix, after.as_ref())?,
                None => None,
            }),
            Job::Receiving(receiving) => Found::Stored(match self.prefix() {
                Some(prefix) => receiving.read(rows, &prefix)?,
                None => None,
            }),
        })
    }

    /// Goes on with what was read.
    pub(super) fn work(
        &mut self,
        shared: &mut Shared,
        found: Found,
        effects: &mut Effects,
    ) -> Next {
        match (std::mem::replace(&mut self.job, Job::Nothing), found) {
            (Job::Listing { mut lister, window, sums }, Found::Listed(listed)) => {
                lister.take(listed);
                if !lister.is_done() {
                    self.job = Job::Listing { lister, window, sums };
                    return Next::Work;
                }
                self.incomplete |= lister.is_incomplete();
                if lister.is_damaged() {
                    scrub::walk_over(self.slice, effects);
                }
                let (entries, to) = lister.finish();
                if to < window.to {
                    self.listed = Some((HashRange { from: window.from, to }, entries));
                    return Next::Answer(Answer::Verdicts { to, bits: Bytes::new() });
                }
                let opened = self.open(shared, window, entries, &sums);
                Next::Answer(opened.unwrap_or_else(Answer::Ended))
            }
            (Job::Taking(mut taking), Found::Took(took)) => {
                taking.take(shared, self.slice, took, effects);
                if !taking.is_done() {
                    self.job = Job::Taking(taking);
                    return Next::Work;
                }
                self.incomplete |= taking.incomplete;
                self.undecided |= taking.undecided;
                let large = taking.large.iter();
                self.giving.wanted.extend(large.map(|key| space::at(self.slice, key)));
                self.giving.root |= self.subject != Subject::Keys && !taking.more.is_empty();
                self.giving.wanted.extend(taking.more);
                self.give()
            }
            (Job::Measuring(leaves), Found::Measured(measured)) => {
                let measured = self.measured(measured, &leaves, effects);
                Next::Answer(measured.unwrap_or_else(Answer::Ended))
            }
            (Job::Adopting, Found::Stored(stored)) => {
                Next::Answer(self.adopt(shared, stored, effects).unwrap_or_else(Answer::Ended))
            }
            (Job::Sending(_), Found::Chunk(chunk)) => {
                let chunk = chunk.map(|chunk| Answer::Chunk { chunk: *chunk });
                Next::Answer(chunk.unwrap_or(Answer::Ended(End::Damaged)))
            }
            (Job::Receiving(receiving), Found::Stored(stored)) => {
                self.receive(shared, receiving, stored, effects)
            }
            (Job::Giving, Found::Gave(gave)) => {
                self.giving.take(gave);
                self.give()
            }
            (Job::Joining(mut taking), Found::Took(took)) => {
                taking.take(shared, self.slice, took, effects);
                self.joined(taking)
            }
            (Job::Answering, Found::Gave(gave)) => {
                self.giving.take(gave);
                Next::Answer(match self.giving.parcel() {
                    Parcel::Keys(mut keys) if keys.len() == 1 => {
                        Answer::Key { key: keys.remove(0) }
                    }
                    Parcel::Keys(_) | Parcel::Cells(_) => Answer::Ended(End::Counting),
                })
            }
            (job, _) => {
                // An event that was handed back twice.
                self.job = job;
                Next::Wait
            }
        }
    }

    fn prefix(&self) -> Option<KeyPrefix> {
        match &self.subject {
            Subject::Keys => None,
            Subject::Cells(key) => Some(KeyPrefix::new(self.slice.partition, key)),
        }
    }

    /// Compares the sub-ranges of a key; all differ where one side keeps no sums of them.
    fn measured(
        &mut self,
        measured: Result<Measured, NotNow>,
        leaves: &Bytes,
        effects: &mut Effects,
    ) -> Result<Answer, End> {
        let Subject::Cells(key) = &self.subject else { return Err(End::Malformed) };
        let Measured { context, rows, sums, transfer } = measured.map_err(|why| {
            cells::not_now(self.slice, key, why, effects);
            match why {
                NotNow::Waits | NotNow::Unordered => End::Counting,
                NotNow::Damaged => End::Damaged,
            }
        })?;
        if let Some(transfer) = &transfer {
            chunk::note(self.slice, key, false, effects);
            if !self.context.covers(&transfer.context) {
                // The peer has seen less than the replica whose cells are on their way here.
                return Err(End::Counting);
            }
        }
        let transfer = transfer.map(|transfer| Cursor { after: transfer.cursor });
        self.ordered = sums.is_some();
        self.leaves = match sums {
            Some(sums) if !leaves.is_empty() => {
                Leaves::compare(&sums, leaves).ok_or(End::Malformed)?
            }
            Some(_) | None => Leaves::all(),
        };
        // The root of a key, with its register, is compared with nothing: it always goes.
        self.giving.root = true;
        let differing = self.leaves.bytes();
        Ok(Answer::Cells { context, rows, differing, transfer })
    }

    /// Joins the next rows of a chunk, and says how far that came.
    fn receive(
        &mut self,
        shared: &mut Shared,
        receiving: Receiving,
        stored: Option<Box<Stored>>,
        effects: &mut Effects,
    ) -> Next {
        let Subject::Cells(key) = &self.subject else { return Next::Wait };
        match receiving.take(shared, (self.slice, key), stored, effects) {
            Received::Part => {
                self.job = Job::Receiving(receiving);
                Next::Work
            }
            Received::All(transfer) => Next::Answer(Answer::Received { transfer }),
            Received::Not => Next::Answer(Answer::Ended(End::Counting)),
        }
    }

    /// Takes in what the peer had seen of the key, all of which is joined.
    fn adopt(
        &mut self,
        shared: &mut Shared,
        stored: Option<Box<Stored>>,
        effects: &mut Effects,
    ) -> Result<Answer, End> {
        let (Subject::Cells(key), Some(mut stored)) = (&self.subject, stored) else {
            return Err(End::Damaged);
        };
        let context = std::mem::take(&mut self.context);
        cells::adopt(shared, self.slice, key, &context, &mut stored, effects);
        self.is_closed = true;
        Ok(Answer::Closed { equal: true })
    }

    /// The key that came whole is joined: says so, or what this node has more.
    fn joined(&mut self, taking: Taking) -> Next {
        if taking.incomplete || taking.undecided {
            return Next::Answer(Answer::Ended(End::Counting));
        }
        let large = taking.large.iter().map(|key| space::at(self.slice, key));
        self.giving.wanted.extend(large.chain(taking.more));
        if self.giving.wanted.is_empty() {
            return Next::Answer(Answer::Same);
        }
        self.job = Job::Answering;
        Next::Work
    }

    /// Sends the answer to the last step, once all that it promises is durable.
    pub(super) fn answer(
        &mut self,
        shared: &Shared,
        answer: Answer,
        pause: Duration,
        effects: &mut Effects,
    ) {
        self.answer = Some((answer, pause));
        self.resend(shared, effects);
    }

    fn resend(&self, shared: &Shared, effects: &mut Effects) {
        let Some((answer, pause)) = self.answer.clone() else { return };
        let after = match &answer {
            Answer::Closed { .. } => After::Synced,
            Answer::Rows { .. }
            | Answer::Same
            | Answer::Key { .. }
            | Answer::Chunk { .. }
            | Answer::Received { .. } => After::Durable,
            Answer::Leaves { .. }
            | Answer::Cells { .. }
            | Answer::Verdicts { .. }
            | Answer::Ended(_) => After::Written,
        };
        let (number, answer) = (self.number, Box::new(answer));
        let body = Body::Sync(Sync::Answer { number, pause, answer });
        let message = shared.message(self.request, self.slice, body);
        let message = Message { epoch: self.epoch, ..message };
        effects.send_after(after, self.with, Class::Bulk, message);
    }
}
