//! Storing at owners what was committed here.

use std::time::Duration;

use coterie_ring::NodeId;
use coterie_ring::moves::{LiveSets, WriteAnswer as Given, WriteOutcome};
use coterie_wire::peer::hint::HintFor;
use coterie_wire::peer::write::{Change, Durability, Write, WriteAnswer};
use coterie_wire::{Answered, Body, Outcome, QuorumCount, RequestId, Unavailable};
use smallvec::SmallVec;

use super::request::{Plan, Table, UnderWay};
use crate::effects::{Class, Effects};
use crate::lane::Shared;
use crate::view::View;

/// One owner, and what it answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) node: NodeId,
    pub(super) answer: Option<Given>,
    /// The fallback that is asked to keep a hint for it, and whether it does.
    pub(super) hint: Option<(NodeId, bool)>,
}

/// A write under way: committed here, sent to all other owners.
#[derive(Debug)]
pub(super) struct Writing {
    /// The owners whose answers count: those of the tag that the write bears.
    pub(super) sets: LiveSets,
    /// What is to be stored.
    pub(super) change: Change,
    /// The purge epoch that it was derived under.
    pub(super) epoch: u64,
    /// How durable it has to be.
    pub(super) durability: Durability,
    /// Who was asked.
    pub(super) owners: SmallVec<[Owner; 6]>,
    /// What is answered once enough hold it.
    pub(super) answered: Box<Answered>,
    /// When those that have not answered are given hints.
    pub(super) hints_at: Duration,
}

/// What the owners' answers amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Enough hold it.
    Enough,
    /// More have to answer.
    Open,
}

impl Writing {
    /// A write that nobody has been asked to store yet.
    pub(super) fn new(
        sets: LiveSets,
        change: Change,
        epoch: u64,
        durability: Durability,
        answered: Answered,
        hints_at: Duration,
    ) -> Self {
        let owner = |node| Owner { node, answer: None, hint: None };
        let owners = sets.owners().into_iter().map(owner).collect();
        let answered = Box::new(answered);
        Writing { sets, change, epoch, durability, owners, answered, hints_at }
    }

    /// Sends the write to every other owner that has not answered.
    pub(super) fn send(
        &self,
        shared: &Shared,
        id: RequestId,
        under_way: &UnderWay,
        effects: &mut Effects,
    ) {
        for owner in &self.owners {
            if owner.node != shared.me && owner.answer.is_none() {
                self.send_to(shared, id, under_way, (owner.node, None), effects);
            }
        }
    }

    fn send_to(
        &self,
        shared: &Shared,
        id: RequestId,
        under_way: &UnderWay,
        (to, hint_for): (NodeId, Option<HintFor>),
        effects: &mut Effects,
    ) {
        let write = Write {
            key: under_way.request.key.clone(),
            change: self.change.clone(),
            durability: self.durability,
            hint_for,
        };
        let id = Table::message_id(id, under_way.round);
        let mut message = shared.message(id, under_way.slice, Body::Write(Box::new(write)));
        message.layout = self.sets.tag();
        message.epoch = self.epoch;
        message.trace = under_way.trace();
        effects.send(to, Class::Requests, message);
    }

    /// An owner, or a fallback, answered.
    pub(super) fn take(&mut self, from: NodeId, answer: WriteAnswer) {
        let given = match answer {
            WriteAnswer::Stored => Given::Stored,
            WriteAnswer::Retired => Given::Retired,
            WriteAnswer::Hinted => {
                for owner in &mut self.owners {
                    if let Some((_, kept)) = owner.hint.as_mut().filter(|(by, _)| *by == from) {
                        *kept = true;
                    }
                }
                return;
            }
            WriteAnswer::NotReceived
            | WriteAnswer::OtherLayout { .. }
            | WriteAnswer::StaleEpoch { .. }
            | WriteAnswer::EpochAhead { .. }
            | WriteAnswer::NotOwner
            | WriteAnswer::Full
            | WriteAnswer::Damaged
            | WriteAnswer::Expired => Given::Failed,
        };
        self.give(from, given);
    }

    /// What is known of an owner's copy. One that holds it goes on holding it, whatever is said later.
    pub(super) fn give(&mut self, node: NodeId, given: Given) {
        if let Some(owner) = self.owners.iter_mut().find(|owner| owner.node == node)
            && owner.answer != Some(Given::Stored)
        {
            owner.answer = Some(given);
        }
    }

    /// Whether enough hold it. An owner that failed may still be given a hint, so what is missing stays open until
    /// the deadline.
    pub(super) fn progress(&self, view: &View, plan: &Plan) -> Progress {
        let hinted = |owner: &Owner| matches!(owner.hint, Some((_, true)));
        if plan.write.any && self.owners.iter().any(hinted) {
            return Progress::Enough;
        }
        let given = |owner: &Owner| match owner.answer {
            Some(Given::Stored) => Some(Given::Stored),
            _ if plan.sloppy && hinted(owner) => Some(Given::Stored),
            other => other,
        };
        let answers = self.owners.iter().filter_map(|owner| Some((owner.node, given(owner)?)));
        let answers: SmallVec<[(NodeId, Given); 6]> = answers.collect();
        match plan.write.write_outcome(view, &self.sets, &answers) {
            WriteOutcome::Done => Progress::Enough,
            WriteOutcome::Open | WriteOutcome::Unavailable => Progress::Open,
        }
    }

    /// Whether every owner has answered, or a hint is kept for it.
    pub(super) fn is_settled(&self) -> bool {
        self.owners.iter().all(|owner| match owner.answer {
            Some(Given::Stored | Given::Retired) => true,
            Some(Given::Failed) | None => matches!(owner.hint, Some((_, true))),
        })
    }

    /// How many hold it, of how many that must.
    pub(super) fn count(&self, view: &View, plan: &Plan) -> QuorumCount {
        let holds = |node| {
            let owner = self.owners.iter().find(|owner| owner.node == node);
            owner.is_some_and(|owner| {
                owner.answer == Some(Given::Stored)
                    || plan.sloppy && matches!(owner.hint, Some((_, true)))
            })
        };
        plan.write.count(view, self.sets.newest(), holds)
    }

    /// The answer, with who holds what was written.
    pub(super) fn done(&self) -> Outcome {
        let mut answered = self.answered.clone();
        let stored = self.owners.iter().filter(|owner| owner.answer == Some(Given::Stored));
        answered.owners = stored.map(|owner| owner.node).collect();
        answered.everywhere = answered.owners.len() == self.owners.len();
        let kept = |owner: &Owner| owner.hint.filter(|(_, kept)| *kept).map(|(by, _)| by);
        answered.fallbacks = self.owners.iter().filter_map(kept).collect();
        answered.fallbacks.sort_unstable();
        answered.fallbacks.dedup();
        Outcome::Done(answered)
    }

    /// The answer where too few confirmed it in time.
    pub(super) fn unknown(&self, view: &View, plan: &Plan) -> Outcome {
        Outcome::Unknown { count: self.count(view, plan), changed: self.answered.changed.clone() }
    }

    /// When it has to be looked at again, whatever arrives.
    pub(super) fn next_deadline(&self) -> Duration {
        self.hints_at
    }
}

/// Whether enough owners are alive for a write, before anything is stored.
pub(super) fn available(view: &View, plan: &Plan, sets: &LiveSets) -> Result<(), Unavailable> {
    let down = sets.owners().into_iter().filter(|node| !view.is_live(*node));
    let answers: SmallVec<[(NodeId, Given); 6]> = down.map(|node| (node, Given::Failed)).collect();
    let outcome = plan.write.write_outcome(view, sets, &answers);
    if outcome != WriteOutcome::Unavailable || plan.sloppy || plan.write.any {
        return Ok(());
    }
    Err(Unavailable::Owners(plan.write.count(view, sets.newest(), |node| view.is_live(node))))
}
