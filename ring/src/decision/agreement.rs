//! A node's part in agreeing on layouts: it votes, proposes, learns and tells.

use super::chain::{Chain, ChainError, Learned};
use super::message::{Message, Tip};
use super::moving::Decision;
use super::proposal::{ProposalError, successor, verify};
use crate::encoding::Malformed;
use crate::intent::{EditError, Intent, NodeIntent, NodeState};
use crate::moves::SetVersion;
use crate::node::NodeId;
use crate::partition::Partition;
use crate::register::{self, Acceptor, Electorate, ProposeOnce, Proposer, Request, Wire};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

type Value = Vec<u8>;

/// How a node takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How joining nodes are taken in.
    pub take_in: TakeIn,
    /// How much longer each member waits before it proposes than the one with the next lower id, and
    /// the most of the jitter on top. A few round trips: then usually one proposes.
    pub propose_step: Duration,
    /// How its proposals wait.
    pub register: register::Settings,
}

/// When nodes that ask to join become active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeIn {
    /// By themselves, so long after they were first heard of: several that come together are one
    /// change.
    Automatic {
        /// The settle delay.
        settle: Duration,
    },
    /// When an operator commits to a plan. Until then nothing is proposed at all.
    Staged,
}

/// What happens to it.
#[derive(Clone, Debug)]
pub enum Event {
    /// The intent that is gossiped says more; merged with what is known.
    Intent(Intent),
    /// A message came from another node of the cluster.
    Message {
        /// Which.
        from: NodeId,
        /// What it said.
        message: Message,
    },
    /// Another node's packet says how far its chain reaches.
    Heard {
        /// Which node.
        from: NodeId,
        /// How far.
        tip: Tip,
    },
    /// The move to the set of `version` is done ([`crate::moves::LiveSets::is_done`]).
    MoveDone {
        /// The partition.
        partition: Partition,
        /// The replica count.
        replicas: u8,
        /// The newest set.
        version: SetVersion,
    },
    /// An operator commits to what is planned, which is what is asked for here and now.
    Commit,
    /// An operator declares the voters' majority lost for good. What is asked for, which should have
    /// those nodes removed, is decided by this node alone, in a new epoch.
    Force,
    /// The time of [`Agreement::next_deadline`] has come.
    Tick,
}

/// What it wants done, in this order.
#[derive(Debug)]
pub enum Effect {
    /// Store [`Agreement::encode_vote`] before anything is sent that follows.
    PersistVote,
    /// A decision was made or learned: store it before anything is sent that follows, and act on it.
    Decided(Learned),
    /// Send a message.
    Send {
        /// To this node.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// What is asked for cannot be decided, or somebody proposed what cannot be.
    Refused(ProposalError),
    /// A node has decided otherwise.
    Forked(ChainError),
}

/// One node's state of the chain.
#[derive(Debug)]
pub struct Agreement {
    me: NodeId,
    settings: Settings,
    /// Random; sessions and jitter come from it.
    seed: u64,
    proposals: u64,
    chain: Chain,
    tip: Tip,
    /// The register of what follows the last decision.
    acceptor: Acceptor<NodeId, Value>,
    /// Whether its vote was lost.
    abstains: bool,
    /// The value voted for last, so that a repeated accept is not planned again.
    checked: Option<Value>,
    proposer: Option<Proposer<NodeId, Value, ProposeOnce<Value>>>,
    intent: Intent,
    joining_since: BTreeMap<NodeId, Duration>,
    done: BTreeSet<(Partition, u8)>,
    /// What an operator committed to and is not decided yet.
    committed: Option<Intent>,
    /// Whether what is asked for was found impossible: it is not planned again until something changes.
    stuck: bool,
    propose_at: Option<Duration>,
}

impl Agreement {
    /// A node `me` whose last decisions are `chain`.
    ///
    /// `seed` is drawn at random at each start. `vote` is what was stored last for
    /// [`Effect::PersistVote`], if anything.
    ///
    /// # Errors
    /// If the stored vote is damaged, or follows a decision that is not in `chain`: this node may have
    /// voted and must not contradict itself, so it is made without the vote and then
    /// [abstains](Agreement::abstaining).
    pub fn new(
        me: NodeId,
        settings: Settings,
        seed: u64,
        chain: Chain,
        vote: Option<&[u8]>,
    ) -> Result<Self, Malformed> {
        let tip = chain.tip();
        let acceptor = match vote {
            None => Acceptor::default(),
            Some(bytes) => {
                let Vote { parent, acceptor } = Vote::decode(bytes)?;
                if parent.version > tip.version {
                    return Err(Malformed::OutOfBounds { what: "parent of the vote" });
                }
                if parent == tip { acceptor } else { Acceptor::default() }
            }
        };
        let intent = chain.last().layout().snapshot().clone();
        Ok(Self {
            me,
            settings,
            seed,
            proposals: 0,
            chain,
            tip,
            acceptor,
            abstains: false,
            checked: None,
            proposer: None,
            intent,
            joining_since: BTreeMap::new(),
            done: BTreeSet::new(),
            committed: None,
            stuck: false,
            propose_at: None,
        })
    }

    /// The same node, which has lost what it voted for last: it votes no more until it has learned the
    /// decision that the vote was about.
    ///
    /// A node that lost later decisions as well (restored from a backup) comes back under another id.
    #[must_use]
    pub fn abstaining(self) -> Self {
        Self { abstains: true, ..self }
    }

    /// As [`Agreement::abstaining`]. Whoever may have lost votes on later decisions, too, calls this after
    /// each [`Effect::Decided`], until it has learned a decision that nobody knew when it came back.
    pub fn abstain(&mut self) {
        self.abstains = true;
    }

    /// It is certain by now that what was voted for and lost is not about what is decided next: it votes.
    pub fn vote_again(&mut self) {
        self.abstains = false;
    }

    /// The decisions it knows.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// How far its chain reaches, for [`Event::Heard`] elsewhere.
    #[must_use]
    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// What is asked for, as far as it is known here.
    #[must_use]
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// The vote as bytes, to be stored.
    #[must_use]
    pub fn encode_vote(&self) -> Vec<u8> {
        Vote { parent: self.tip, acceptor: self.acceptor.clone() }.encode()
    }

    /// What would be decided now: for people to look at, before they commit.
    ///
    /// # Errors
    /// If nothing can be.
    pub fn plan(&self, now: Duration) -> Result<Decision, ProposalError> {
        self.successor(now, self.chain.last().layout().epoch(), TakeInNow::All)
    }

    /// When it next wants a [`Event::Tick`], as time since the node's start.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let proposer = self.proposer.as_ref().and_then(Proposer::next_deadline);
        self.propose_at.into_iter().chain(proposer).min()
    }

    /// Takes in one event; `now` is time since the node's start.
    pub fn handle(&mut self, event: Event, now: Duration, effects: &mut Vec<Effect>) {
        match event {
            Event::Intent(intent) => self.merge(&intent, effects),
            Event::Message { from, message } => self.message(from, message, now, effects),
            Event::Heard { from, tip } => self.heard(from, tip, effects),
            Event::MoveDone { partition, replicas, version } => {
                self.move_done(partition, replicas, version);
            }
            Event::Commit => self.commit(now, effects),
            Event::Force => self.force(now, effects),
            Event::Tick => self.tick(now, effects),
        }
        self.schedule(now);
    }

    fn merge(&mut self, intent: &Intent, effects: &mut Vec<Effect>) {
        match self.intent.merge(intent) {
            Ok(changed) => self.stuck &= !changed,
            Err(error) => effects.push(refused(error)),
        }
        self.intent.keep_fixed(self.chain.last().layout().snapshot());
    }

    fn message(
        &mut self,
        from: NodeId,
        message: Message,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        match message {
            Message::Request { parent, request } if parent == self.tip => {
                self.vote(from, request, effects);
            }
            Message::Request { parent, .. } => self.heard(from, parent, effects),
            Message::Reply { parent, reply } if parent == self.tip => {
                let event = register::Event::Reply { from, reply };
                self.drive(event, now, effects);
            }
            // To a proposal that is over.
            Message::Reply { .. } => {}
            Message::Fetch { known } => self.tell(from, known, effects),
            Message::Decisions(decisions) => {
                for decision in decisions {
                    self.learn(decision, effects);
                }
            }
        }
    }

    /// Asks who is further, and tells who is not as far.
    fn heard(&self, from: NodeId, tip: Tip, effects: &mut Vec<Effect>) {
        if tip.version == self.tip.version && tip.hash != self.tip.hash {
            let number = tip.version.number;
            effects.push(Effect::Forked(ChainError::Forked { number }));
        }
        if tip.version > self.tip.version {
            effects.push(Effect::Send { to: from, message: Message::Fetch { known: self.tip } });
        } else if tip.version < self.tip.version {
            self.tell(from, tip, effects);
        }
    }

    fn tell(&self, to: NodeId, known: Tip, effects: &mut Vec<Effect>) {
        let decisions = self.chain.after(known);
        if !decisions.is_empty() {
            effects.push(Effect::Send { to, message: Message::Decisions(decisions) });
        }
    }

    fn vote(&mut self, from: NodeId, request: Request<NodeId, Value>, effects: &mut Vec<Effect>) {
        let layout = self.chain.last().layout();
        let votes = layout.voters().contains(&self.me);
        if !votes || self.abstains || layout.member_index(from).is_none() {
            return;
        }
        if let Request::Accept { value, .. } = &request
            && let Err(error) = self.check(value)
        {
            effects.push(Effect::Refused(error));
            return;
        }
        let answer = self.acceptor.handle(from, request);
        if answer.persist {
            effects.push(Effect::PersistVote);
        }
        let message = Message::Reply { parent: self.tip, reply: answer.reply };
        effects.push(Effect::Send { to: from, message });
    }

    /// Whether a proposed value may be voted for.
    fn check(&mut self, value: &Value) -> Result<(), ProposalError> {
        if self.checked.as_ref() != Some(value) {
            verify(self.chain.last(), &Decision::decode(value)?)?;
            self.checked = Some(value.clone());
        }
        Ok(())
    }

    fn learn(&mut self, decision: Decision, effects: &mut Vec<Effect>) {
        let snapshot = decision.layout().snapshot().clone();
        match self.chain.learn(decision) {
            Ok(Learned::Known) => {}
            Ok(learned) => {
                self.tip = self.chain.tip();
                (self.acceptor, self.abstains) = (Acceptor::default(), false);
                (self.checked, self.proposer, self.propose_at) = (None, None, None);
                self.stuck = false;
                self.done.clear();
                effects.push(Effect::Decided(learned));
                self.merge(&snapshot, effects);
                self.committed.take_if(|committed| snapshot.includes(committed));
            }
            Err(error) => effects.push(Effect::Forked(error)),
        }
    }

    fn move_done(&mut self, partition: Partition, replicas: u8, version: SetVersion) {
        let last = self.chain.last();
        let current = last.moving().any(|moving| moving == (partition, replicas))
            && last.newest(partition, replicas).version == version;
        if current {
            self.done.insert((partition, replicas));
            self.stuck = false;
        }
    }

    /// What is asked for later needs a commit of its own.
    fn commit(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        match self.wanted(now, TakeInNow::All) {
            Ok(wanted) => {
                let decided = self.chain.last().layout().snapshot();
                self.committed = (!decided.includes(&wanted)).then_some(wanted);
                self.stuck = false;
            }
            Err(error) => effects.push(refused(error)),
        }
    }

    fn force(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let epoch = self.chain.last().layout().epoch();
        let forced = epoch.checked_add(1).map(|epoch| self.successor(now, epoch, TakeInNow::All));
        match forced {
            Some(Ok(decision)) => self.learn(decision, effects),
            Some(Err(error)) => effects.push(Effect::Refused(error)),
            None => effects.push(Effect::Refused(ProposalError::EpochsExhausted)),
        }
    }

    fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        self.drive(register::Event::Tick, now, effects);
        if self.propose_at.is_some_and(|at| at <= now) && self.proposer.is_none() {
            self.propose_at = None;
            self.propose(now, effects);
        }
    }

    fn propose(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let last = self.chain.last();
        let decision = match self.successor(now, last.layout().epoch(), TakeInNow::Due) {
            Ok(decision) => decision,
            Err(error) => {
                (self.committed, self.stuck) = (None, true);
                effects.push(Effect::Refused(error));
                return;
            }
        };
        if !is_worth_it(last, &decision) {
            (self.committed, self.stuck) = (None, true);
            return;
        }
        self.proposals += 1;
        let session = xxh3_64_with_seed(&self.proposals.to_le_bytes(), self.seed);
        let voters = Electorate::single(last.layout().voters()).expect("checked by the layout");
        let proposer = Proposer::new(self.me, session, voters, self.settings.register);
        self.proposer = Some(proposer);
        self.drive(register::Event::Change(ProposeOnce(decision.encode())), now, effects);
    }

    fn drive(
        &mut self,
        event: register::Event<NodeId, Value, ProposeOnce<Value>>,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        let Some(proposer) = &mut self.proposer else { return };
        let mut asked = Vec::new();
        proposer.handle(event, now, &mut asked);
        for effect in asked {
            match effect {
                register::Effect::Send { to, request } => {
                    let message = Message::Request { parent: self.tip, request };
                    effects.push(Effect::Send { to, message });
                }
                register::Effect::Delayed(_) => {}
                register::Effect::Decided(decided) => {
                    let value = decided.current.expect("a proposal writes or finds a value").value;
                    self.decided(&value, effects);
                }
            }
        }
    }

    /// A value was chosen, this node's or another's, and each of the voters checked it.
    fn decided(&mut self, value: &Value, effects: &mut Vec<Effect>) {
        self.proposer = None;
        let decision = match Decision::decode(value) {
            Ok(decision) => decision,
            Err(error) => return effects.push(Effect::Refused(error.into())),
        };
        let voters = self.chain.last().layout().voters().to_vec();
        self.learn(decision.clone(), effects);
        // The others hear of it by gossip, and fetch it.
        for to in voters.into_iter().filter(|voter| *voter != self.me) {
            let message = Message::Decisions(vec![decision.clone()]);
            effects.push(Effect::Send { to, message });
        }
    }

    fn successor(
        &self,
        now: Duration,
        epoch: u32,
        take_in: TakeInNow,
    ) -> Result<Decision, ProposalError> {
        let wanted = self.wanted(now, take_in).map_err(crate::planner::PlanError::Intent)?;
        let done = |partition, replicas| self.done.contains(&(partition, replicas));
        successor(self.chain.last(), &wanted, epoch, done)
    }

    /// What is asked for, with those joining nodes active that are to be taken in now.
    fn wanted(&self, now: Duration, take_in: TakeInNow) -> Result<Intent, EditError> {
        if let (TakeInNow::Due, TakeIn::Staged) = (take_in, self.settings.take_in) {
            let decided = || self.chain.last().layout().snapshot().clone();
            return Ok(self.committed.clone().unwrap_or_else(decided));
        }
        let mut wanted = self.intent.clone();
        for (id, node) in self.intent.nodes() {
            let due = match (take_in, self.settings.take_in) {
                (TakeInNow::Due, TakeIn::Automatic { settle }) => {
                    self.joining_since.get(&id).is_some_and(|since| *since + settle <= now)
                }
                (TakeInNow::All, _) | (TakeInNow::Due, TakeIn::Staged) => true,
            };
            if node.state == NodeState::Joining && due {
                wanted.set_node(id, NodeIntent { state: NodeState::Active, ..node.clone() })?;
            }
        }
        Ok(wanted)
    }

    /// Sets the time of this node's next proposal, if there is anything to propose.
    fn schedule(&mut self, now: Duration) {
        let joining = |node: &NodeIntent| node.state == NodeState::Joining;
        for (id, node) in self.intent.nodes() {
            if joining(node) {
                self.joining_since.entry(id).or_insert(now);
            } else {
                self.joining_since.remove(&id);
            }
        }
        let last = self.chain.last();
        let Some(rank) = last.layout().member_index(self.me) else { return };
        if self.proposer.is_some() || self.propose_at.is_some() || self.stuck {
            return;
        }
        let moved = last.moving().len() > 0 && self.done.len() == last.moving().len();
        let Some(from) = self.asked_from(now).or(moved.then_some(now)) else { return };
        let step = self.settings.propose_step;
        let jitter = xxh3_64_with_seed(&self.tip.version.number.to_le_bytes(), self.seed);
        let jitter = step.mul_f64((jitter >> 32) as f64 / f64::from(u32::MAX));
        self.propose_at = Some(from + step * u32::from(rank.min(RANKS_MAX)) + jitter);
    }

    /// From when on what is asked for may be proposed, if it differs from what is in force.
    fn asked_from(&self, now: Duration) -> Option<Duration> {
        let edited = !self.chain.last().layout().snapshot().includes(&self.intent);
        match self.settings.take_in {
            TakeIn::Staged => self.committed.is_some().then_some(now),
            // Other edits wait with those who join.
            TakeIn::Automatic { settle } => {
                let settled = self.joining_since.values().map(|since| (*since + settle).max(now));
                settled.min().or(edited.then_some(now))
            }
        }
    }
}

/// Members beyond this many wait no longer than the last of them.
const RANKS_MAX: u16 = 16;

/// Which joining nodes are taken in.
#[derive(Clone, Copy, Debug)]
enum TakeInNow {
    All,
    Due,
}

/// Whether a decision changes anything but the list of what moves; or empties that list, which lets
/// coordinators forget older sets and purges go on.
fn is_worth_it(last: &Decision, next: &Decision) -> bool {
    let (was, is) = (last.layout().parts(), next.layout().parts());
    (&was.snapshot, &was.table, &was.voters) != (&is.snapshot, &is.table, &is.voters)
        || last.moving().len() > 0 && next.moving().len() == 0
}

fn refused(error: EditError) -> Effect {
    Effect::Refused(crate::planner::PlanError::Intent(error).into())
}

/// An acceptor and the register it belongs to.
struct Vote {
    parent: Tip,
    acceptor: Acceptor<NodeId, Value>,
}

impl Wire for Vote {
    fn write(&self, out: &mut Vec<u8>) {
        self.parent.write(out);
        self.acceptor.write(out);
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self { parent: Tip::read(input)?, acceptor: Acceptor::read(input)? })
    }
}
