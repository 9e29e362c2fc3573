//! What operators command.

use coterie_ring::decision::{Chain, Event, ProposalError, bootstrap};
use coterie_ring::{
    BucketName, BucketPolicy, EditError, Intent, NameError, NodeId, NodeIntent, NodeState,
    Partitioner, PartitionerError, Place, PlacementPolicy, Plan, PlanError,
};
use coterie_swim::Now;
use coterie_wire::peer::control::GivenUp;
use thiserror::Error;

use super::Control;
use super::effects::{ControlAction, ControlEffects};
use super::event::OperatorId;
use super::status::Status;

/// The buckets that exist from the start: what RESP's `SELECT` numbers.
const BUCKETS_AT_START: u8 = 16;

/// What an operator wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Begin a cluster with this node. Never done twice for one cluster id.
    Bootstrap {
        /// How many partitions, for ever: a power of two.
        partitions: usize,
        /// How many owners, and how they are spread.
        placement: PlacementPolicy,
    },
    /// Give a node another share.
    Weight {
        /// Which.
        node: NodeId,
        /// Its share relative to the others'.
        weight: u32,
    },
    /// A node stands elsewhere.
    Place {
        /// Which.
        node: NodeId,
        /// Where.
        place: Place,
    },
    /// Let a node hand over all it has, and then leave.
    Leave {
        /// Which.
        node: NodeId,
    },
    /// Let a node stay that was to leave.
    Stay {
        /// Which.
        node: NodeId,
    },
    /// Nodes are gone for good. What only they held is lost.
    Remove {
        /// Which.
        nodes: Vec<NodeId>,
    },
    /// A newcomer takes the place of a node that is gone for good: of one that is still joining, in one decision.
    Replace {
        /// Who is gone.
        old: NodeId,
        /// Who takes its weight and place.
        new: NodeId,
    },
    /// Have other owners, or spread them otherwise.
    Placement(PlacementPolicy),
    /// Make a bucket, or change its policy. Replicas and kind never change.
    Bucket {
        /// Its name.
        name: String,
        /// What it promises.
        policy: BucketPolicy,
    },
    /// Show what would be decided now.
    Plan,
    /// Decide what is planned.
    Commit,
    /// Take back what is asked for and not in force: states, weights and places of nodes that are in force, placement, and
    /// policies of buckets that are in force. Nodes that join stay joining, new buckets stay asked for, and who is removed
    /// stays so.
    Clear,
    /// The voters' majority is lost for good, these nodes among them: this node alone decides what is asked for, without
    /// them, in a new epoch. If the lost majority lives after all, what it decided meanwhile is overruled.
    Force {
        /// Who is gone.
        removed: Vec<NodeId>,
    },
    /// In moves under way, give up what fewer owners than so many acknowledged: removed owners are not waited for.
    GiveUp {
        /// How many.
        owners: u8,
    },
    /// Show how the cluster is.
    Status,
}

/// What an operator is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is asked for, on disk here; the cluster decides on it next. [`Status`] shows how that went.
    Asked,
    /// What would be decided now.
    Plan(Plan),
    /// How the cluster is.
    Status(Status),
}

/// Why a command was refused. Nothing was changed.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// This node is in no cluster yet.
    #[error("this node is in no cluster: bootstrap one, or let the node join")]
    NoCluster,
    /// A cluster begins once.
    #[error("this node is in a cluster already")]
    AlreadyBegun,
    /// Other nodes of the cluster are about: one of them may have begun it.
    #[error("{members} other nodes of this cluster are about: join them instead")]
    NotAlone {
        /// How many.
        members: usize,
    },
    /// Nobody knows such a node.
    #[error("node {node} is not known")]
    UnknownNode {
        /// Which.
        node: NodeId,
    },
    /// The node is not in a state in which that can be asked.
    #[error("node {node} is {state:?}")]
    WrongState {
        /// Which.
        node: NodeId,
        /// What it is asked to be.
        state: NodeState,
    },
    /// Not a number of partitions.
    #[error(transparent)]
    Partitions(#[from] PartitionerError),
    /// Not a name of a bucket.
    #[error(transparent)]
    Name(#[from] NameError),
    /// What is asked for cannot be written down.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// There is no layout for what would be asked.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There is no decision to be had.
    #[error(transparent)]
    Proposal(#[from] ProposalError),
}

impl Control {
    pub(super) fn command(
        &mut self,
        operator: OperatorId,
        command: Command,
        now: Now,
        effects: &mut ControlEffects,
    ) {
        let answer = self.execute(command, now, effects).map(Box::new);
        effects.synced(ControlAction::Respond { operator, answer });
    }

    fn execute(
        &mut self,
        command: Command,
        now: Now,
        effects: &mut ControlEffects,
    ) -> Result<Answer, CommandError> {
        match command {
            Command::Bootstrap { partitions, placement } => {
                self.bootstrap(partitions, placement, now, effects)?;
            }
            Command::Weight { node, weight } => {
                self.change_node(node, |node| node.weight = weight, now, effects)?;
            }
            Command::Place { node, place } => {
                self.change_node(node, |node| node.place = place, now, effects)?;
            }
            Command::Leave { node } => {
                let from = [NodeState::Joining, NodeState::Active];
                self.change_state(node, &from, NodeState::Draining, now, effects)?;
            }
            Command::Stay { node } => {
                self.change_state(node, &[NodeState::Draining], NodeState::Active, now, effects)?;
            }
            Command::Remove { nodes } => {
                let intent = self.removing(&nodes)?;
                self.ask_for(intent, now, effects)?;
            }
            Command::Replace { old, new } => self.replace(old, new, now, effects)?,
            Command::Placement(placement) => {
                let mut intent = self.intent()?;
                intent.set_placement(placement)?;
                self.ask_for(intent, now, effects)?;
            }
            Command::Bucket { name, policy } => {
                let mut intent = self.intent()?;
                intent.set_bucket(BucketName::new(&name)?, policy)?;
                self.ask_for(intent, now, effects)?;
            }
            Command::Plan => {
                let layouts = self.layouts.as_ref().ok_or(CommandError::NoCluster)?;
                let next = layouts.agreement.plan(now.monotonic)?;
                let plan = coterie_ring::plan(layouts.decision.layout(), next.layout().snapshot());
                return Ok(Answer::Plan(plan?));
            }
            Command::Commit => {
                self.layouts.as_ref().ok_or(CommandError::NoCluster)?;
                self.agree(Event::Commit, now, effects);
            }
            Command::Clear => {
                let intent = self.cleared()?;
                self.ask_for(intent, now, effects)?;
            }
            Command::Force { removed } => {
                let intent = self.removing(&removed)?;
                self.ask_for(intent, now, effects)?;
                self.agree(Event::Force, now, effects);
            }
            Command::GiveUp { owners } => {
                let layouts = self.layouts.as_ref().ok_or(CommandError::NoCluster)?;
                let version = layouts.decision.version();
                self.give_up(GivenUp { version, owners }, effects);
            }
            Command::Status => return Ok(Answer::Status(self.status())),
        }
        Ok(Answer::Asked)
    }

    fn bootstrap(
        &mut self,
        partitions: usize,
        placement: PlacementPolicy,
        now: Now,
        effects: &mut ControlEffects,
    ) -> Result<(), CommandError> {
        if self.layouts.is_some() {
            return Err(CommandError::AlreadyBegun);
        }
        if !self.attributes.is_empty() {
            return Err(CommandError::NotAlone { members: self.attributes.len() });
        }
        let mut intent = Intent::new();
        intent.set_placement(placement)?;
        let (weight, place) = (self.weight, self.place.clone());
        intent.set_node(self.me, NodeIntent { state: NodeState::Active, weight, place })?;
        for number in 0..BUCKETS_AT_START {
            let name = BucketName::new(&format!("db{number}"))?;
            intent.set_bucket(name, BucketPolicy::default())?;
        }
        let partitioner = Partitioner::new(partitions)?;
        let first = bootstrap(self.identity.cluster, partitioner, &intent)?;
        self.adopt(Chain::new(first), now, effects);
        Ok(())
    }

    fn intent(&self) -> Result<Intent, CommandError> {
        let layouts = self.layouts.as_ref().ok_or(CommandError::NoCluster)?;
        Ok(layouts.agreement.intent().clone())
    }

    fn node(&self, node: NodeId) -> Result<NodeIntent, CommandError> {
        self.intent()?.node(node).cloned().ok_or(CommandError::UnknownNode { node })
    }

    /// Asks for something of which there is a layout.
    fn ask_for(
        &mut self,
        intent: Intent,
        now: Now,
        effects: &mut ControlEffects,
    ) -> Result<(), CommandError> {
        let layouts = self.layouts.as_ref().ok_or(CommandError::NoCluster)?;
        coterie_ring::plan(layouts.decision.layout(), &intent)?;
        self.agree(Event::Intent(intent), now, effects);
        Ok(())
    }

    fn change_node(
        &mut self,
        node: NodeId,
        change: impl FnOnce(&mut NodeIntent),
        now: Now,
        effects: &mut ControlEffects,
    ) -> Result<(), CommandError> {
        let (mut intent, mut wanted) = (self.intent()?, self.node(node)?);
        change(&mut wanted);
        intent.set_node(node, wanted)?;
        self.ask_for(intent, now, effects)
    }

    fn change_state(
        &mut self,
        node: NodeId,
        from: &[NodeState],
        to: NodeState,
        now: Now,
        effects: &mut ControlEffects,
    ) -> Result<(), CommandError> {
        let state = self.node(node)?.state;
        if !from.contains(&state) {
            return Err(CommandError::WrongState { node, state });
        }
        self.change_node(node, |node| node.state = to, now, effects)
    }

    /// The intent with these nodes removed.
    fn removing(&self, nodes: &[NodeId]) -> Result<Intent, CommandError> {
        let mut intent = self.intent()?;
        for node in nodes {
            let wanted = self.node(*node)?;
            intent.set_node(*node, NodeIntent { state: NodeState::Removed, ..wanted })?;
        }
        Ok(intent)
    }

    /// What is asked for, with all of it taken back that can be.
    fn cleared(&self) -> Result<Intent, CommandError> {
        let layouts = self.layouts.as_ref().ok_or(CommandError::NoCluster)?;
        let (decided, mut intent) = (layouts.decision.layout().snapshot().clone(), self.intent()?);
        if intent.placement() != decided.placement() {
            intent.set_placement(decided.placement())?;
        }
        for (node, in_force) in decided.nodes() {
            let asked = intent.node(node).filter(|asked| asked.state != NodeState::Removed);
            if asked.is_some_and(|asked| asked != in_force) {
                intent.set_node(node, in_force.clone())?;
            }
        }
        for (name, in_force) in decided.buckets() {
            if intent.bucket(name.as_str()).is_some_and(|asked| asked != in_force) {
                intent.set_bucket(name.clone(), in_force.clone())?;
            }
        }
        Ok(intent)
    }

    fn replace(
        &mut self,
        old: NodeId,
        new: NodeId,
        now: Now,
        effects: &mut ControlEffects,
    ) -> Result<(), CommandError> {
        let (gone, newcomer) = (self.node(old)?, self.node(new)?);
        if !matches!(newcomer.state, NodeState::Joining | NodeState::Active) {
            return Err(CommandError::WrongState { node: new, state: newcomer.state });
        }
        if gone.state == NodeState::Removed {
            return Err(CommandError::WrongState { node: old, state: gone.state });
        }
        let mut intent = self.removing(&[old])?;
        intent.set_node(new, NodeIntent { state: NodeState::Active, ..gone })?;
        self.ask_for(intent, now, effects)
    }
}
