//! Requests under way: what was asked, by whom, how far it has come, and when it is looked at again.

use std::collections::BTreeSet;
use std::time::Duration;

use coterie_crdt::{Footprint, Root};
use coterie_ring::{BucketKind, BucketPolicy, Level};
use coterie_wire::{Body, LevelRefused, Message, Refused, Request, RequestId, Slice, Unavailable};
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::confirm::Basis;
use super::counting::Quota;
use super::explain::Answers;
use super::found;
use super::handed::Handed;
use super::parts::Committing;
use super::promised::depends_on_change;
use super::read::Gathering;
use super::write::Writing;
use crate::lane::Shared;
use crate::origin::Origin;
use crate::rows::lazy::Recorded;

/// The bits of a message's request id that name the round: answers to another round do not count.
const ROUND: u128 = 0xffff;

/// Which part of an owner's lane a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The coordinator itself.
    Quorums,
    /// The registers of strong keys.
    Strong,
    /// The laps of linearizable reads.
    Laps,
}

/// What a request is to be worth in its bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Who decides.
    pub(super) by: By,
    /// Whether fallbacks count, and their hints are read.
    pub(super) sloppy: bool,
    /// Whether what is stored must be on disk, whatever the nodes' settings: level `linearizable`.
    pub(super) synced: bool,
    /// Who has to store.
    pub(super) write: Quota,
    /// Who has to show, before a reply or a change rests on what was observed.
    pub(super) read: Quota,
}

impl Plan {
    /// What `request` asks for in a bucket of this policy.
    pub(super) fn of(policy: &BucketPolicy, request: &Request) -> Result<Plan, Refused> {
        let writes = request.operations.iter().any(|operation| operation.writes());
        let write = request.levels.write.unwrap_or(policy.write);
        // A write that need not reach more than one owner must not depend on more: it is to work on every side of
        // a split.
        let follows_write = writes && matches!(write, Level::Any | Level::One | Level::LocalOne);
        let read = match request.levels.read {
            Some(Level::Any) => return Err(Refused::Level(LevelRefused::AnyRead)),
            Some(level) => level,
            None if follows_write => Level::One,
            None => policy.read,
        };
        let linearizable = |level| level == Level::Linearizable;
        if policy.kind != BucketKind::Strong && writes {
            if linearizable(write) != linearizable(read) {
                return Err(Refused::Level(LevelRefused::Half));
            }
            if linearizable(write) && request.operations.iter().any(depends_on_change) {
                return Err(Refused::NeedsStrong);
            }
        }
        let by = match policy.kind {
            BucketKind::Strong => By::Strong,
            BucketKind::Sloppy | BucketKind::Strict if linearizable(read) && !writes => By::Laps,
            BucketKind::Sloppy | BucketKind::Strict => By::Quorums,
        };
        let synced = linearizable(write);
        let sloppy = policy.kind == BucketKind::Sloppy && !synced;
        Ok(Plan { by, sloppy, synced, write: Quota::of(write), read: Quota::of(read) })
    }
}

/// What is asked, and all that does not depend on how far it has come.
#[derive(Debug)]
pub(super) struct About {
    /// Names it on this node.
    pub(super) id: RequestId,
    /// What was asked.
    pub(super) request: Request,
    /// The slice of its key.
    pub(super) slice: Slice,
    /// What it is to be worth.
    pub(super) plan: Plan,
    /// When it has to be answered, as time since the node's start.
    pub(super) deadline: Duration,
    /// Whether its evaluation has turned out to need the whole key.
    pub(super) whole: bool,
    /// Counts what was asked of others anew.
    pub(super) round: u16,
    /// What its evaluation rests on.
    pub(super) basis: Basis,
    /// Who answered what, where the response is to say so.
    pub(super) answers: Answers,
}

impl About {
    /// The id of messages about it.
    pub(super) fn message_id(&self) -> RequestId {
        RequestId(self.id.0 | u128::from(self.round))
    }

    /// Answers to what was asked so far do not count any more.
    pub(super) fn next_round(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// Names the client's request in traces.
    #[expect(clippy::cast_possible_truncation, reason = "half of a random number is as random")]
    pub(super) fn trace(&self) -> u64 {
        self.request.id.0 as u64
    }

    /// A message about it.
    pub(super) fn message(&self, shared: &Shared, body: Body) -> Message {
        let trace = self.trace();
        Message { trace, ..shared.message(self.message_id(), self.slice, body) }
    }

    /// The rows that its operations have to see of a key with this root.
    pub(super) fn footprint(&self, root: Option<&Root>, wall_millis: u64) -> Footprint {
        found::footprint(&self.request.operations, root, wall_millis, self.whole)
    }

    /// Whether any operation can change the key.
    pub(super) fn writes(&self) -> bool {
        self.request.operations.iter().any(|operation| operation.writes())
    }
}

/// How far a request has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// Another node coordinates it.
    Forwarding(Handed),
    /// Owners are asked to show what they have.
    Gathering(Box<Gathering>),
    /// What it needs is not to be had just now: it is begun again.
    Waiting(Waiting),
    /// What it changes is being committed here, part by part.
    Committing(Box<Committing>),
    /// It is committed here; owners are asked to store it.
    Writing(Box<Writing>),
}

impl Phase {
    /// It goes on with an event that is on its way.
    pub(super) fn asleep() -> Phase {
        Phase::Waiting(Waiting { until: Duration::MAX, why: Unavailable::Nobody })
    }
}

/// A request that is begun again after a while, until its deadline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// When.
    pub(super) until: Duration,
    /// What it ends with where its time is over first: nothing was stored.
    pub(super) why: Unavailable,
}

/// One request under way.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// What it is.
    pub(super) about: About,
    /// Who waits; nobody once it was answered.
    pub(super) origins: SmallVec<[Origin; 1]>,
    /// How far it has come.
    pub(super) phase: Phase,
    /// Rows that its evaluation needs, where they are more than one event reads: gathered so far.
    pub(super) gathered: Option<Box<Recorded>>,
    /// When the table looks at it.
    pub(super) looked_at: Option<Duration>,
}

impl UnderWay {
    /// When it has to be looked at again, whatever arrives.
    fn next_deadline(&self) -> Duration {
        let phase = match &self.phase {
            // It is on its way, whatever the time.
            Phase::Committing(_) => return Duration::MAX,
            Phase::Forwarding(handed) => handed.next_deadline(),
            Phase::Gathering(gathering) => gathering.next_deadline(),
            Phase::Waiting(waiting) => waiting.until,
            Phase::Writing(writing) => writing.next_deadline(),
        };
        if self.origins.is_empty() { phase } else { phase.min(self.about.deadline) }
    }
}

/// The requests under way, by id, and when each is looked at again.
///
/// A request is taken out and put back at each of its steps. Boxed, it stays where it is; and in the order of times it stays
/// as long as its time is the same.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Never walked over: the order in it means nothing.
    requests: HashMap<RequestId, Box<UnderWay>>,
    /// When each is looked at, also while it is taken out.
    deadlines: BTreeSet<(Duration, RequestId)>,
}

impl Table {
    /// The id of a request from that of a message about it, and the round of the message.
    pub(super) fn parse(message: RequestId) -> (RequestId, u16) {
        (RequestId(message.0 & !ROUND), (message.0 & ROUND) as u16)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// One of them, if a message of this id is about its present round.
    pub(super) fn current(&self, message: RequestId) -> Option<&UnderWay> {
        let (id, round) = Table::parse(message);
        self.get(id).filter(|under_way| under_way.about.round == round)
    }

    /// One of them.
    pub(super) fn get(&self, id: RequestId) -> Option<&UnderWay> {
        self.requests.get(&id).map(|under_way| &**under_way)
    }

    /// Takes one out, to be changed and put back.
    pub(super) fn take(&mut self, id: RequestId) -> Option<Box<UnderWay>> {
        self.requests.remove(&id)
    }

    /// Takes one out, if a message of this id is about its present round.
    pub(super) fn take_current(&mut self, message: RequestId) -> Option<Box<UnderWay>> {
        self.current(message)?;
        self.take(Table::parse(message).0)
    }

    /// Puts one in.
    pub(super) fn put(&mut self, mut under_way: Box<UnderWay>) {
        let (id, deadline) = (under_way.about.id, under_way.next_deadline());
        if under_way.looked_at != Some(deadline) {
            if let Some(before) = under_way.looked_at.replace(deadline) {
                self.deadlines.remove(&(before, id));
            }
            self.deadlines.insert((deadline, id));
        }
        self.requests.insert(id, under_way);
    }

    /// Puts one in that an event is under way for: until that has come, only its deadline matters.
    pub(super) fn put_asleep(&mut self, mut under_way: Box<UnderWay>) {
        if let Phase::Waiting(waiting) = &mut under_way.phase {
            waiting.until = Duration::MAX;
        }
        self.put(under_way);
    }

    /// One that was taken out is over. One for which this is not said is forgotten when it would be looked at.
    pub(super) fn over(&mut self, under_way: &UnderWay) {
        if let Some(at) = under_way.looked_at {
            self.deadlines.remove(&(at, under_way.about.id));
        }
    }

    /// When the first is to be looked at.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Those that have to be looked at by `now`.
    pub(super) fn due(&mut self, now: Duration) -> Vec<RequestId> {
        let due = self.deadlines.iter().take_while(|(at, _)| *at <= now);
        let due: Vec<(Duration, RequestId)> = due.copied().collect();
        for (at, id) in &due {
            if !self.requests.contains_key(id) {
                self.deadlines.remove(&(*at, *id));
            }
        }
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// All of them.
    pub(super) fn ids(&self) -> Vec<RequestId> {
        let mut ids: Vec<RequestId> = self.requests.keys().copied().collect();
        ids.sort_unstable();
        ids
    }
}
