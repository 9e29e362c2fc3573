//! Assignments that take one round trip: owners confirm what they rest on together with the write.
//!
//! An assignment replaces what it observed, so it is to see what R owners have. Where every owner is there, it is evaluated on
//! this node's rows and sent at once, with the digest that the key has then. An owner that comes to the same digest had
//! nothing that was not seen here: whatever else it had seen would be in its context, and so in its digest. It counts among those
//! that show what they have as well as among those that store. Where too few come to the same, R owners are asked, and what came
//! before the assignment is removed. Only where there is no telling what did, it is made once more; what was assigned first is then
//! a part of what it observes (decision 0403).

use coterie_crdt::operation::{
    Assigned, Expire, OpError, Operation, Reply, SetCondition, StringOperation, Upheld,
};
use coterie_crdt::{Cells, Context};
use coterie_ring::NodeId;
use coterie_wire::{Answered, ChangedDots, Outcome, QuorumCount};
use smallvec::SmallVec;

use super::evaluate::{self, Evaluated};
use super::found::Own;
use super::request::{About, Phase, Plan, Table, UnderWay};
use super::write::{Owner, Writing};
use super::{Coordinator, Event};
use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::mutants::{Mutant, mutant};
use crate::slice::SliceState;
use crate::view::{Liveness, View};

/// What an evaluation rests on.
#[derive(Debug)]
pub(super) enum Basis {
    /// What as many owners have shown as are to, or that need be none.
    Shown,
    /// This node's rows: owners are to confirm that they have the same.
    Own,
    /// As the first, after it was evaluated on this node's rows, and stored, and too few have confirmed that.
    Again(Box<First>),
}

/// What has come of an assignment that too few have confirmed.
#[derive(Debug)]
pub(super) struct First {
    /// What it assigned.
    assigned: Assigned,
    /// What it answers.
    replies: Vec<Result<Reply, OpError>>,
    /// The dots that it was evaluated on.
    seen: Context,
    /// Its own, and those that it replaced.
    changed: ChangedDots,
    /// How many hold it, of those that are to.
    count: QuorumCount,
}

impl Basis {
    /// It is evaluated anew, on whatever that rests on.
    pub(super) fn begin(&mut self) {
        if matches!(self, Basis::Own) {
            *self = Basis::Shown;
        }
    }

    /// What is answered, given what has come of it in the end. What was stored at first may have taken effect, whatever came of
    /// it then; what it observed is gone.
    pub(super) fn answer(&self, outcome: Outcome) -> Outcome {
        let Basis::Again(first) = self else { return outcome };
        let before = &first.changed;
        match outcome {
            Outcome::Done(mut answered) if answered.replies == first.replies => {
                answered.changed.observed.join(&before.observed);
                Outcome::Done(answered)
            }
            Outcome::Unknown { count, mut changed } if !changed.minted.is_empty() => {
                changed.observed.join(&before.observed);
                changed.minted.extend(&before.minted);
                changed.minted.sort_unstable();
                changed.minted.dedup();
                Outcome::Unknown { count, changed }
            }
            Outcome::Done(_)
            | Outcome::Unknown { .. }
            | Outcome::Refused(_)
            | Outcome::Unavailable(_) => {
                Outcome::Unknown { count: first.count, changed: before.clone() }
            }
        }
    }
}

/// Who has confirmed what a write rests on.
#[derive(Debug)]
pub(super) struct Confirmation {
    /// The digest of the key after the write.
    pub(super) digest: u128,
    /// What it assigned.
    assigned: Assigned,
    by: SmallVec<[NodeId; 3]>,
    /// Whether nobody can any more.
    over: bool,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirmed {
    /// Enough owners have the same, or none has to say so.
    Yes,
    /// Others have to.
    Open,
    /// Too few can.
    No,
}

impl Confirmation {
    /// Nobody has said so yet of a key that has this digest here after what was assigned.
    pub(super) fn new(digest: u128, assigned: Assigned) -> Self {
        Confirmation { digest, assigned, by: SmallVec::new(), over: false }
    }

    /// An owner has the same.
    pub(super) fn note(&mut self, owner: NodeId) {
        self.by.push(owner);
    }

    /// Owners, or the purge epoch, are others than those that it was about: what was said counts no more (invariants 17, 19).
    pub(super) fn end(&mut self) {
        self.by.clear();
        self.over = true;
    }
}

impl Writing {
    /// Whether as many owners as a read asks have had nothing that the write has not seen.
    pub(super) fn confirmed(&self, view: &View, plan: &Plan) -> Confirmed {
        let Some(confirmation) = &self.confirmation else { return Confirmed::Yes };
        let has = |node| node == view.me || confirmation.by.contains(&node);
        let count = |holds: &dyn Fn(NodeId) -> bool| {
            let QuorumCount { have, need } = plan.read.count(view, self.sets.newest(), holds);
            have >= need
        };
        if count(&has) || mutant(Mutant::ConfirmedUnseen) {
            return Confirmed::Yes;
        }
        let may = |node| {
            let open = |owner: &Owner| {
                owner.node == node && owner.answer.is_none() && owner.stand_in.is_none()
            };
            has(node) || self.owners.iter().any(open)
        };
        if !confirmation.over && count(&may) { Confirmed::Open } else { Confirmed::No }
    }

    /// What has come of an assignment that too few have confirmed.
    fn first(&self, view: &View, plan: &Plan) -> Option<First> {
        let assigned = self.confirmation.as_ref()?.assigned;
        let Answered { replies, changed, seen, .. } = Answered::clone(&self.answered);
        Some(First { assigned, replies, seen: seen.0, changed, count: self.count(view, plan) })
    }
}

/// Whether a request may be evaluated on this node's rows alone, for owners to confirm that with what it changes.
///
/// It must be of no consequence that it is made twice: it assigns, whatever there was, and what it answers does not depend on that.
/// At level `linearizable` it would be, as what comes between would be seen to be undone.
pub(super) fn may_be_confirmed(
    shared: &Shared,
    about: &About,
    own: &Own,
    state: &SliceState,
) -> bool {
    let (view, plan) = (&shared.view, &about.plan);
    let first = matches!(about.basis, Basis::Shown) && !about.whole && !plan.synced;
    // Nothing but a string, so that its digest is at hand before and after.
    let is_string = own.small().is_some()
        && own.root().is_none_or(|root| {
            root.pending.is_none() && root.transfer.is_none() && root.counts.rows == 0
        });
    let sets = state.replica.sets();
    let [set] = sets.all() else { return false };
    let mut owners = set.members.iter();
    let all_there = owners.all(|node| view.liveness(*node) == Liveness::Up);
    first
        && is_string
        && about.request.operations.iter().all(assigns)
        && all_there
        && state.replica.may_answer_read(set.version, plan.read.readiness()).is_ok()
}

/// Whether an operation does the same, and answers the same, whatever there was.
fn assigns(operation: &Operation) -> bool {
    let Operation::String(StringOperation::Set { condition, get, expire, .. }) = operation else {
        return false;
    };
    *condition == SetCondition::Always && !get && *expire != Expire::Keep
}

/// What an assignment that was stored and not confirmed comes to where `cells` are what owners have shown by now, this node among
/// them, which has seen `own`. `None` where it is made again.
pub(super) fn uphold(
    shared: &mut Shared,
    about: &About,
    own: &Context,
    cells: &impl Cells,
    effects: &mut Effects,
) -> Option<Evaluated> {
    let Basis::Again(first) = &about.basis else { return None };
    let mut seen = first.seen.clone();
    seen.extend(first.changed.minted.iter().copied());
    let (next, mut mint) = evaluate::mint(shared, about, own, effects);
    let Upheld { delta, removed } = first.assigned.uphold(&seen, cells, &mut mint)?;
    // That of the removal is the last.
    let removal = Some(next).filter(|dot| delta.context.contains(*dot));
    let minted = first.changed.minted.iter().copied().chain(removal).collect();
    let epoch = shared.epoch(about.slice);
    let seen = cells.root().map_or_else(Context::new, |root| root.context.clone());
    Some(Evaluated {
        replies: first.replies.clone(),
        delta,
        changed: ChangedDots { minted, observed: removed, epoch },
        seen: (seen, epoch),
    })
}

impl Coordinator {
    /// Too few have confirmed what an assignment rests on: they are asked what they have, and it is made again unless it
    /// stands or was replaced. What was written goes on to all owners; nobody waits for that any more.
    pub(super) fn make_again(
        &mut self,
        shared: &mut Shared,
        under_way: &mut UnderWay,
        effects: &mut Effects,
    ) {
        let Phase::Writing(writing) = &under_way.phase else { return };
        let Some(first) = writing.first(&shared.view, &under_way.about.plan) else { return };
        self.contended.note(&under_way.about.request.key, shared.now.monotonic);
        let (id, _) = Table::parse(shared.draw_request());
        let about = &mut under_way.about;
        let again = About {
            id,
            request: about.request.clone(),
            slice: about.slice,
            plan: about.plan,
            deadline: about.deadline,
            whole: false,
            round: 0,
            basis: Basis::Again(Box::new(first)),
            answers: std::mem::take(&mut about.answers),
        };
        self.memory.begin(&again.request.key, again.request.id, id);
        let event = Event::Again { request: id };
        effects.lane(After::Written, crate::Event::Coordinator(event));
        self.table.put(Box::new(UnderWay {
            about: again,
            origins: std::mem::take(&mut under_way.origins),
            phase: Phase::asleep(),
            gathered: None,
            looked_at: None,
        }));
    }
}
