//! A node's part in the agreement on layouts, made durable before anything is said (invariant 17).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use coterie_ring::decision::{self, Agreement, Chain, Decision, Learned, LostSet};
use coterie_ring::moves::SetVersion;
use coterie_ring::register::Wire;
use coterie_ring::{NodeId, NodeState};
use coterie_swim::Now;
use coterie_wire::Slice;
use coterie_wire::peer::control::ControlMessage;
use rand::RngExt;
use xxhash_rust::xxh3::xxh3_128;

use super::effects::ControlEffects;
use super::report::{AmnesiaCause, Report};
use super::rows::Unusable;
use super::{Control, rows};
use crate::effects::After;
use crate::rows::{Space, address};

/// How often at most people are told of one fork.
const FORK_INTERVAL: Duration = Duration::from_secs(60);
/// How often at most a layout is asked for because a message bore a newer one.
const FETCH_INTERVAL: Duration = Duration::from_millis(100);

/// What a node knows of layouts, once it knows any.
#[derive(Debug)]
pub(super) struct Layouts {
    pub(super) agreement: Agreement,
    /// The one in force.
    pub(super) decision: Arc<Decision>,
    /// What moves in it.
    pub(super) moving: BTreeSet<Slice>,
    /// What of that is done.
    pub(super) done: BTreeSet<Slice>,
    /// Of the intent, as it is stored.
    pub(super) intent_hash: u128,
    /// Decisions that are stored.
    stored: BTreeSet<SetVersion>,
    /// Why nothing was decided, if that was so last.
    pub(super) refused: Option<String>,
}

impl Layouts {
    pub(super) fn new(agreement: Agreement, stored: BTreeSet<SetVersion>) -> Layouts {
        let decision = Arc::new(agreement.chain().last().clone());
        let intent_hash = xxh3_128(&agreement.intent().encode());
        let moving = moving(&decision);
        let done = BTreeSet::new();
        Layouts { agreement, decision, moving, done, intent_hash, stored, refused: None }
    }

    /// Writes the decisions that are not written yet, and forgets those that are no longer kept. The vote goes
    /// with them: it is about what follows the last one.
    pub(super) fn store(&mut self, effects: &mut ControlEffects) {
        let batch = &mut effects.batch;
        let mut kept = BTreeSet::new();
        for decision in self.agreement.chain().decisions() {
            let version = decision.version();
            kept.insert(version);
            if !self.stored.contains(&version) {
                rows::put(batch, rows::decision(version), &decision.encode());
            }
        }
        for version in self.stored.difference(&kept) {
            batch.delete(Space::Control, rows::decision(*version));
        }
        self.stored = kept;
        self.store_vote(effects);
    }

    fn store_vote(&self, effects: &mut ControlEffects) {
        let vote = self.agreement.encode_vote();
        rows::put(&mut effects.batch, address::node_row(rows::VOTE), &vote);
    }

    /// Writes the intent, if it changed.
    fn store_intent(&mut self, effects: &mut ControlEffects) -> bool {
        let intent = self.agreement.intent().encode();
        let hash = xxh3_128(&intent);
        if hash == self.intent_hash {
            return false;
        }
        self.intent_hash = hash;
        rows::put(&mut effects.batch, address::node_row(rows::INTENT), &intent);
        true
    }

    pub(super) fn state_of(&self, node: NodeId) -> Option<NodeState> {
        self.decision.layout().snapshot().node(node).map(|node| node.state)
    }
}

fn moving(decision: &Decision) -> BTreeSet<Slice> {
    decision.moving().map(|(partition, replicas)| Slice { partition, replicas }).collect()
}

impl Control {
    /// Hands an event to the agreement, and does what it asks for.
    pub(super) fn agree(&mut self, event: decision::Event, now: Now, effects: &mut ControlEffects) {
        let Some(layouts) = &mut self.layouts else { return };
        let mut may_ask = matches!(event, decision::Event::Intent(_));
        let mut asked = Vec::new();
        layouts.agreement.handle(event, now.monotonic, &mut asked);
        let mut voted = false;
        for effect in asked {
            match effect {
                decision::Effect::PersistVote => voted = true,
                decision::Effect::Decided(learned) => {
                    may_ask = true;
                    self.decided(learned, now, effects);
                }
                decision::Effect::Send { to, message } => {
                    // An answer may be one that was given before and is not on disk yet: all wait.
                    let after = match &message {
                        decision::Message::Reply { .. } | decision::Message::Decisions(_) => {
                            After::Synced
                        }
                        decision::Message::Request { .. } | decision::Message::Fetch { .. } => {
                            After::Written
                        }
                    };
                    let message = ControlMessage::Decision(Box::new(message));
                    self.say(after, to, message, effects);
                }
                decision::Effect::Refused(error) => {
                    if let Some(layouts) = &mut self.layouts {
                        layouts.refused = Some(error.to_string());
                    }
                    effects.report(Report::LayoutRefused(error));
                }
                decision::Effect::Forked(error) => {
                    let told = self.fork_told_at;
                    if told.is_none_or(|at| now.monotonic >= at + FORK_INTERVAL) {
                        self.fork_told_at = Some(now.monotonic);
                        effects.report(Report::ForkedChain(error));
                    }
                }
            }
        }
        let Some(layouts) = &mut self.layouts else { return };
        if voted {
            layouts.store_vote(effects);
        }
        if may_ask && layouts.store_intent(effects) {
            self.push_intent(effects);
        }
    }

    /// A decision follows, or takes the place of, those known before.
    fn decided(&mut self, learned: Learned, now: Now, effects: &mut ControlEffects) {
        let Some(layouts) = &mut self.layouts else { return };
        layouts.store(effects);
        layouts.decision = Arc::new(layouts.agreement.chain().last().clone());
        layouts.moving = moving(&layouts.decision);
        layouts.done.clear();
        layouts.refused = None;
        let version = layouts.decision.version();
        effects.report(Report::Decided { version, moving: layouts.moving.len() });
        for (node, asked) in layouts.decision.layout().snapshot().nodes() {
            if asked.state == NodeState::Removed {
                self.memory.forget(node, &mut effects.batch);
            }
        }
        match learned {
            Learned::Next | Learned::Known => {}
            Learned::Skipped => self.skip_to(version, effects),
            Learned::Replaced(lost) => {
                self.skip_to(version, effects);
                self.overrule(lost, effects);
            }
        }
        self.progress.clear();
        self.view_changed = true;
        self.abstain_or_not(effects);
        self.announce_layout(now, effects);
        self.leave_if_removed(now, effects);
    }

    fn skip_to(&mut self, version: SetVersion, effects: &mut ControlEffects) {
        self.skipped = Some(version);
        let mut body = Vec::new();
        version.write(&mut body);
        rows::put(&mut effects.batch, address::node_row(rows::SKIPPED), &body);
    }

    fn overrule(&mut self, lost: Vec<LostSet>, effects: &mut ControlEffects) {
        if lost.is_empty() {
            return;
        }
        effects.report(Report::Overruled { sets: lost.len() });
        let overruled = Arc::make_mut(&mut self.overruled);
        overruled.extend(lost);
        store_overruled(overruled, effects);
    }

    pub(super) fn overruled_done(
        &mut self,
        slice: Slice,
        version: SetVersion,
        effects: &mut ControlEffects,
    ) {
        let is_done = |lost: &LostSet| {
            lost.partition == slice.partition
                && lost.replicas == slice.replicas
                && lost.set.version == version
        };
        if self.overruled.iter().any(is_done) {
            let overruled = Arc::make_mut(&mut self.overruled);
            overruled.retain(|lost| !is_done(lost));
            store_overruled(overruled, effects);
            self.view_changed = true;
        }
    }

    pub(super) fn hear_decision(
        &mut self,
        from: NodeId,
        message: decision::Message,
        now: Now,
        effects: &mut ControlEffects,
    ) {
        if self.layouts.is_none() {
            if let decision::Message::Decisions(decisions) = message {
                self.begin_with(decisions, now, effects);
            }
            return;
        }
        // Who asks says how far it is, too.
        if let decision::Message::Fetch { known: tip } = message {
            self.agree(decision::Event::Heard { from, tip }, now, effects);
        } else {
            self.agree(decision::Event::Message { from, message }, now, effects);
        }
    }

    /// A message bore a newer owner set than this node knows.
    pub(super) fn fetch(
        &mut self,
        from: NodeId,
        known: SetVersion,
        now: Now,
        effects: &mut ControlEffects,
    ) {
        let Some(layouts) = &self.layouts else { return };
        let tip = layouts.agreement.tip();
        let due = self.fetched_at.is_none_or(|at| now.monotonic >= at + FETCH_INTERVAL);
        if known > tip.version && due {
            self.fetched_at = Some(now.monotonic);
            let message = Box::new(decision::Message::Fetch { known: tip });
            self.say(After::Written, from, ControlMessage::Decision(message), effects);
        }
    }

    /// A new node learns of the cluster's layouts.
    fn begin_with(&mut self, decisions: Vec<Decision>, now: Now, effects: &mut ControlEffects) {
        let Some(last) = decisions.into_iter().max_by_key(Decision::version) else { return };
        let lost = last.layout().member_index(self.me).is_some() || last.is_owner(self.me);
        self.adopt(Chain::new(last), now, effects);
        if lost {
            // It was a member before: its storage was taken away. An owner with nothing must not count.
            self.ask_members(now);
            self.lose(AmnesiaCause::Wiped, effects);
        }
        self.ask_to_join(now, effects);
    }

    /// Begins to take part in the agreement.
    pub(super) fn adopt(&mut self, chain: Chain, now: Now, effects: &mut ControlEffects) {
        let settings = self.settings.decision;
        let agreement = Agreement::new(self.me, settings, self.random.random(), chain, None)
            .expect("no vote was stored that could be damaged");
        let mut layouts = Layouts::new(agreement, BTreeSet::new());
        layouts.store(effects);
        let intent = layouts.agreement.intent().encode();
        rows::put(&mut effects.batch, address::node_row(rows::INTENT), &intent);
        self.layouts = Some(layouts);
        self.view_changed = true;
        self.announce_layout(now, effects);
        self.leave_if_removed(now, effects);
    }
}

fn store_overruled(overruled: &[LostSet], effects: &mut ControlEffects) {
    let row = address::node_row(rows::OVERRULED);
    if overruled.is_empty() {
        return effects.batch.delete(Space::Control, row);
    }
    let mut body = Vec::new();
    for lost in overruled {
        body.extend_from_slice(&lost.partition.0.to_be_bytes());
        body.push(lost.replicas);
        lost.set.write(&mut body);
    }
    rows::put(&mut effects.batch, row, &body);
}

/// The overruled sets as they were stored.
pub(super) fn read_overruled(mut body: &[u8]) -> Result<Vec<LostSet>, Unusable> {
    let mut overruled = Vec::new();
    while let Some((head, rest)) = body.split_first_chunk::<3>() {
        let [high, low, replicas] = *head;
        body = rest;
        let partition = coterie_ring::Partition(u16::from_be_bytes([high, low]));
        let set = coterie_ring::moves::OwnerSet::read(&mut body)?;
        overruled.push(LostSet { partition, replicas, set });
    }
    if body.is_empty() { Ok(overruled) } else { Err(Unusable::Damaged) }
}
