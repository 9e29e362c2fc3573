//! How the cluster is, for people.

use std::collections::BTreeMap;

use coterie_ring::decision::Tip;
use coterie_ring::{NodeId, NodeState, Place, Warning};
use coterie_swim::Attributes;
use coterie_wire::{Incarnation, Slice};

use super::Control;
use super::peers::Unfit;
use crate::view::Liveness;

/// One node, as this node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Who.
    pub node: NodeId,
    /// What is asked of it, if anybody has asked anything: its state, weight and place.
    pub asked: Option<(NodeState, u32, Place)>,
    /// What is in force.
    pub decided: Option<NodeState>,
    /// Whether it can be expected to answer.
    pub liveness: Liveness,
    /// What it says of itself.
    pub attributes: Option<Attributes>,
    /// Why this node does not talk to it.
    pub unfit: Option<Unfit>,
}

/// How the cluster is, as this node knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The cluster.
    pub cluster: u128,
    /// This node.
    pub me: NodeId,
    /// Its storage's life.
    pub incarnation: Incarnation,
    /// Whether what it lost has not been received again yet.
    pub amnesiac: bool,
    /// Whether it does not vote on layouts because it may have lost votes.
    pub abstains: bool,
    /// Whether it hears too few others to judge.
    pub isolated: bool,
    /// Members that have not said what they remember of this node.
    pub unanswered: Vec<NodeId>,
    /// All nodes ever named or heard of, by id, this one among them.
    pub members: Vec<MemberStatus>,
    /// The last decision; nothing before this node has joined a cluster.
    pub tip: Option<Tip>,
    /// Who decides on the next layout.
    pub voters: Vec<NodeId>,
    /// Slices that move.
    pub moving: usize,
    /// Those of them that are done.
    pub done: usize,
    /// How far this node is with moves that it has a part in: parts of 1,000.
    pub progress: BTreeMap<Slice, u16>,
    /// Owner sets of overruled layouts that are still moved from.
    pub overruled: usize,
    /// Whether something is asked for that is not in force.
    pub pending: bool,
    /// Why that was not decided when it was tried last.
    pub refused: Option<String>,
    /// What is or would be as asked for, and may surprise.
    pub warnings: Vec<Warning>,
}

impl Control {
    /// How the cluster is.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = Status {
            cluster: self.identity.cluster,
            me: self.me,
            incarnation: self.identity.incarnation,
            amnesiac: self.identity.amnesiac,
            abstains: self.identity.abstains,
            isolated: self.isolated,
            unanswered: self.asking.unanswered.iter().copied().collect(),
            members: self.members(),
            tip: None,
            voters: Vec::new(),
            moving: 0,
            done: 0,
            progress: self.progress.clone(),
            overruled: self.overruled.len(),
            pending: false,
            refused: None,
            warnings: Vec::new(),
        };
        if let Some(layouts) = &self.layouts {
            let (layout, intent) = (layouts.decision.layout(), layouts.agreement.intent());
            status.tip = Some(layouts.agreement.tip());
            status.voters = layout.voters().to_vec();
            status.moving = layouts.moving.len();
            status.done = layouts.done.len();
            status.pending = !layout.snapshot().includes(intent);
            status.refused.clone_from(&layouts.refused);
            if let Ok(plan) = coterie_ring::plan(layout, intent) {
                status.warnings = plan.warnings().to_vec();
            }
        }
        status
    }

    fn members(&self) -> Vec<MemberStatus> {
        let mut members: BTreeMap<NodeId, MemberStatus> = BTreeMap::new();
        let intent = self.layouts.as_ref().map(|layouts| layouts.agreement.intent());
        let named = intent.into_iter().flat_map(|intent| intent.nodes().map(|(id, _)| id));
        for node in named.chain(self.liveness.keys().copied()).chain([self.me]) {
            let asked = intent.and_then(|intent| intent.node(node));
            members.entry(node).or_insert_with(|| MemberStatus {
                node,
                asked: asked.map(|node| (node.state, node.weight, node.place.clone())),
                decided: self.layouts.as_ref().and_then(|layouts| layouts.state_of(node)),
                liveness: match self.liveness.get(&node) {
                    Some(liveness) => *liveness,
                    None if node == self.me => Liveness::Up,
                    None => Liveness::Down,
                },
                attributes: self.attributes.get(&node).copied(),
                unfit: self.unfit.get(&node).copied(),
            });
        }
        members.into_values().collect()
    }
}
