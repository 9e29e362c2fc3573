//! A write under way: who holds what was committed here, and whether they are enough.

use std::time::Duration;

use coterie_ring::NodeId;
use coterie_ring::moves::{LiveSets, WriteAnswer as Given, WriteOutcome};
use coterie_wire::peer::write::{Change, Durability};
use coterie_wire::{Answered, Outcome, QuorumCount, Unavailable};
use smallvec::SmallVec;

use super::confirm::Confirmation;
use super::request::{About, Plan};
use crate::view::View;

/// One owner, and what is known of its copy.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) node: NodeId,
    pub(super) answer: Option<Given>,
    /// Whether nothing more has to be done for it.
    pub(super) settled: bool,
    /// The node that is asked to keep a hint for it.
    pub(super) stand_in: Option<StandIn>,
    /// Nodes that were asked for that and do not.
    pub(super) passed: SmallVec<[NodeId; 2]>,
    /// When something is done about it, if it has not been settled by then.
    pub(super) next: Duration,
    /// How often it was sent what it could not take yet.
    pub(super) tries: u8,
}

/// A node that keeps a hint.
#[derive(Clone, Copy, Debug)]
pub(super) struct StandIn {
    pub(super) node: NodeId,
    /// Whether it has said that it does.
    pub(super) keeps: bool,
}

impl Owner {
    /// An owner of which nothing is known, and for which something is done at `next`.
    pub(super) fn new(node: NodeId, next: Duration) -> Self {
        Owner {
            node,
            answer: None,
            settled: false,
            stand_in: None,
            passed: SmallVec::new(),
            next,
            tries: 0,
        }
    }

    /// Who keeps a hint for it.
    pub(super) fn hinted_by(&self) -> Option<NodeId> {
        self.stand_in.filter(|stand_in| stand_in.keeps).map(|stand_in| stand_in.node)
    }

    /// Whether it has it, or will without this write's doing.
    fn is_settled(&self) -> bool {
        let answered = matches!(self.answer, Some(Given::Stored | Given::Retired));
        self.settled || answered || self.hinted_by().is_some()
    }
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
    /// Whether this node's own copy is as durable as that.
    pub(super) stored_here: bool,
    /// Who is to confirm what it rests on, where that is this node's rows.
    pub(super) confirmation: Option<Confirmation>,
    /// Who was asked.
    pub(super) owners: SmallVec<[Owner; 6]>,
    /// What is answered once enough hold it.
    pub(super) answered: Box<Answered>,
}

impl Writing {
    /// What an owner has said. One that holds it goes on holding it, whatever is said later.
    pub(super) fn give(&mut self, node: NodeId, given: Given) {
        if let Some(owner) = self.owner(node)
            && owner.answer != Some(Given::Stored)
        {
            owner.answer = Some(given);
        }
    }

    /// A node keeps a hint for each owner for which it was asked.
    pub(super) fn keeps(&mut self, node: NodeId) {
        for owner in &mut self.owners {
            if let Some(stand_in) = owner.stand_in.as_mut().filter(|it| it.node == node) {
                stand_in.keeps = true;
            }
        }
    }

    /// A node could not be reached, or has not taken what it was sent: something is done about it at once.
    pub(super) fn failed(&mut self, node: NodeId, now: Duration) {
        for owner in &mut self.owners {
            let asked = owner.stand_in.map_or(owner.node, |stand_in| stand_in.node);
            if asked == node && owner.answer.is_none() {
                owner.next = now;
            }
        }
    }

    /// Owners, or those that stand in for them, that are down by now are not waited for.
    pub(super) fn hurry(&mut self, view: &View, now: Duration) {
        for owner in &mut self.owners {
            let asked = owner.stand_in.map_or(owner.node, |stand_in| stand_in.node);
            if !view.is_live(asked) {
                owner.next = now;
            }
        }
    }

    /// One of the owners.
    pub(super) fn owner(&mut self, node: NodeId) -> Option<&mut Owner> {
        self.owners.iter_mut().find(|owner| owner.node == node)
    }

    /// The fallbacks that stand in for owners: each counts once, and no owner does twice.
    fn standing_in(&self, me: NodeId) -> SmallVec<[(NodeId, NodeId); 6]> {
        let mut stand_ins: SmallVec<[(NodeId, NodeId); 6]> = SmallVec::new();
        for owner in self.owners.iter().filter(|owner| owner.answer != Some(Given::Stored)) {
            let Some(by) = owner.hinted_by() else { continue };
            let is_owner =
                by == me && self.stored_here || self.owners.iter().any(|other| other.node == by);
            if !is_owner && !stand_ins.iter().any(|(_, known)| *known == by) {
                stand_ins.push((owner.node, by));
            }
        }
        stand_ins
    }

    /// Whether enough hold it. What is missing stays open until the deadline: an owner that failed may be given
    /// a hint.
    pub(super) fn is_enough(&self, view: &View, plan: &Plan) -> bool {
        let stand_ins = self.standing_in(view.me);
        if plan.write.any && !stand_ins.is_empty() {
            return true;
        }
        self.outcome(view, plan, if plan.sloppy { &stand_ins } else { &[] }) == WriteOutcome::Done
    }

    /// Whether enough owners hold it, fallbacks aside.
    pub(super) fn is_held(&self, view: &View, plan: &Plan) -> bool {
        self.outcome(view, plan, &[]) == WriteOutcome::Done
    }

    fn outcome(&self, view: &View, plan: &Plan, stand_ins: &[(NodeId, NodeId)]) -> WriteOutcome {
        let stood_in = |node| stand_ins.iter().any(|(owner, _)| *owner == node);
        let given = |owner: &Owner| {
            if stood_in(owner.node) { Some(Given::Stored) } else { owner.answer }
        };
        let answers = self.owners.iter().filter_map(|owner| Some((owner.node, given(owner)?)));
        let answers: SmallVec<[(NodeId, Given); 6]> = answers.collect();
        plan.write.write_outcome(view, &self.sets, &answers)
    }

    /// Whether every owner has it, or will without this write's doing.
    pub(super) fn is_settled(&self) -> bool {
        self.owners.iter().all(Owner::is_settled)
    }

    /// Whether it deletes the whole key.
    pub(super) fn is_whole_delete(&self) -> bool {
        matches!(&self.change, Change::Delta(delta) if delta.whole.is_some())
    }

    /// The answer, with who holds what was written.
    pub(super) fn done(&self, me: NodeId) -> Outcome {
        let mut answered = self.answered.clone();
        let stored = self.owners.iter().filter(|owner| owner.answer == Some(Given::Stored));
        answered.owners = stored.map(|owner| owner.node).collect();
        answered.everywhere = answered.owners.len() == self.owners.len();
        answered.fallbacks = self.standing_in(me).into_iter().map(|(_, by)| by).collect();
        Outcome::Done(answered)
    }

    /// The answer where too few confirmed it in time.
    pub(super) fn unknown(&self, view: &View, plan: &Plan) -> Outcome {
        let changed = self.answered.changed.clone();
        Outcome::Unknown { count: self.count(view, plan), changed }
    }

    /// How many hold it, of those that are to.
    pub(super) fn count(&self, view: &View, plan: &Plan) -> QuorumCount {
        let stand_ins = self.standing_in(view.me);
        let stored = |node| {
            let mut owners = self.owners.iter();
            owners.any(|owner| owner.node == node && owner.answer == Some(Given::Stored))
        };
        let stood_in = |node| plan.sloppy && stand_ins.iter().any(|(owner, _)| *owner == node);
        let holds = |node| stored(node) || stood_in(node);
        plan.write.count(view, self.sets.newest(), holds)
    }

    /// When it has to be looked at again, whatever arrives.
    pub(super) fn next_deadline(&self) -> Duration {
        let open = self.owners.iter().filter(|owner| !owner.is_settled());
        open.map(|owner| owner.next).min().unwrap_or(Duration::MAX)
    }

    /// The owners for whom something has to be done now.
    pub(super) fn due(&self, now: Duration) -> SmallVec<[NodeId; 6]> {
        let due = |owner: &&Owner| !owner.is_settled() && owner.next <= now;
        self.owners.iter().filter(due).map(|owner| owner.node).collect()
    }
}

/// Whether enough can store a write by the liveness view, before anything is stored.
pub(super) fn available(view: &View, about: &About, sets: &LiveSets) -> Result<(), Unavailable> {
    let plan = &about.plan;
    let owners = sets.owners();
    let mut fallbacks = match plan.sloppy {
        true => stand_ins(view, about, sets).count(),
        false => 0,
    };
    let mut answers: SmallVec<[(NodeId, Given); 6]> = SmallVec::new();
    for &owner in owners.iter().filter(|owner| !view.is_live(**owner)) {
        if fallbacks > 0 {
            fallbacks -= 1;
        } else {
            answers.push((owner, Given::Failed));
        }
    }
    if plan.write.any || plan.write.write_outcome(view, sets, &answers) != WriteOutcome::Unavailable
    {
        return Ok(());
    }
    let failed = |node| answers.iter().any(|(down, _)| *down == node);
    let count: QuorumCount = plan.write.count(view, sets.newest(), |node| !failed(node));
    Err(Unavailable::Owners(count))
}

/// The live nodes that may stand in for owners of a slice, best first.
pub(super) fn stand_ins<'v>(
    view: &'v View,
    about: &About,
    sets: &LiveSets,
) -> impl Iterator<Item = NodeId> + use<'v> {
    let owners = sets.owners();
    view.fallbacks(about.slice).filter(move |node| view.is_live(*node) && !owners.contains(node))
}
