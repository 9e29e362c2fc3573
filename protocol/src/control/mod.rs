//! Control: the part of a node beside its lanes, for membership and agreement.
//!
//! One state machine drives the failure detector, gossips what is asked for, votes and proposes in the
//! agreement on layouts, remembers what peers acknowledged, and tells lanes what follows as a
//! [`View`](crate::View). It reads rows when it is opened and never afterwards.

mod abstention;
mod asking;
mod effects;
mod event;
mod gossip;
mod identity;
mod layouts;
mod leaving;
mod membership;
mod memory;
mod open;
mod operator;
mod peers;
mod picture;
mod report;
mod rows;
mod runs;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use coterie_ring::decision::{self, LostSet};
use coterie_ring::moves::SetVersion;
use coterie_ring::register::{self, NextPrepare};
use coterie_ring::{NodeId, Place};
use coterie_swim::{Attributes, Generation, Now, Swim, Transmit};
use coterie_wire::peer::PeerRefusal;
use coterie_wire::peer::control::{ControlMessage, GivenUp, Remember};
use coterie_wire::{Body, Message, RequestId, Slice};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::effects::After;
use crate::event::ControlEvent;
use crate::view::Liveness;
use asking::Asking;
use identity::Identity;
use layouts::Layouts;
use memory::Memory;
use peers::UnfitPeers;

pub use effects::{ControlAction, ControlEffects, StopCause};
pub use event::{Event, OperatorId};
pub use identity::{Past, SyncPolicy};
pub use open::Start;
pub use operator::{Answer, Command, CommandError};
pub use peers::Unfit;
pub use report::{AmnesiaCause, Report};
pub use rows::OpenError;
pub use status::{MemberStatus, Status};

/// How control behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The failure detector.
    pub swim: coterie_swim::Parameters,
    /// How layouts are proposed, and joining nodes taken in.
    pub decision: decision::Settings,
    /// Time between two comparisons with a random member: of intents, decisions, and what is done.
    pub compare_interval: Duration,
    /// How long a node that starts waits for members to say what they remember of it, before it serves. Those
    /// that are down are not waited for.
    pub ask_max: Duration,
    /// How far apart wall clocks may be (invariant 10).
    pub clock_bound: Duration,
    /// How long what peers acknowledged is only in memory: see DESIGN §8, "Amnesia".
    pub remember_within: Duration,
    /// How often at most the members are saved, to be asked after a restart.
    pub members_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            swim: coterie_swim::Parameters::default(),
            decision: decision::Settings {
                take_in: decision::TakeIn::Automatic { settle: Duration::from_secs(5) },
                propose_step: Duration::from_millis(200),
                register: register::Settings {
                    phase_timeout: Duration::from_secs(1),
                    backoff_min: Duration::from_millis(50),
                    backoff_max: Duration::from_secs(2),
                    next_prepare: NextPrepare::Separate,
                },
            },
            compare_interval: Duration::from_secs(1),
            ask_max: Duration::from_secs(5),
            clock_bound: Duration::from_millis(500),
            remember_within: Duration::from_secs(1),
            members_interval: Duration::from_secs(10),
        }
    }
}

/// A node's membership and part in agreement.
#[derive(Debug)]
pub struct Control {
    me: NodeId,
    settings: Settings,
    protocols: (u16, u16),
    lanes: u16,
    weight: u32,
    place: Place,
    /// Whether it asks to be taken in.
    joins: bool,
    random: Xoshiro256PlusPlus,
    identity: Identity,
    actors_spent: bool,

    swim: Swim,
    /// A generation that is not on disk yet: until it is, nothing is sent that bears it.
    muted: Option<Generation>,
    /// The version of the failure detector's picture that the next fields show.
    members_version: Option<u64>,
    liveness: BTreeMap<NodeId, Liveness>,
    attributes: Arc<BTreeMap<NodeId, Attributes>>,
    isolated: bool,
    members_save_at: Option<Duration>,
    unfit: UnfitPeers,

    layouts: Option<Layouts>,
    next_compare: Duration,
    /// When a layout was asked for last, by message.
    fetched_at: Option<Duration>,
    done_tell_at: Option<Duration>,
    fork_told_at: Option<Duration>,
    skipped: Option<SetVersion>,
    overruled: Arc<Vec<LostSet>>,
    given_up: Option<GivenUp>,

    memory: Memory,
    asking: Asking,
    /// Lanes that have made good the loss of this life.
    received: BTreeSet<u16>,
    /// Lanes that have said of hints, with whether they keep any or may come to.
    hints: BTreeMap<u16, bool>,
    progress: BTreeMap<Slice, u16>,
    removed_told: bool,
    misplaced: u64,

    view_version: u64,
    view_changed: bool,
}

impl Control {
    /// Whether dots minted before may have been lost: what [`crate::Start::actors_spent`] is to be when lanes are
    /// started with the first view.
    #[must_use]
    pub fn actors_spent(&self) -> bool {
        self.actors_spent
    }

    /// Makes the bytes of a packet that [`ControlAction::Packet`] asks for, at most `bytes_max` long.
    ///
    /// # Panics
    /// If `bytes_max` is below [`Swim::PACKET_BYTES_MIN`].
    pub fn write_packet(
        &mut self,
        transmit: &Transmit,
        bytes_max: usize,
        now: Now,
        out: &mut Vec<u8>,
    ) {
        self.swim.write_packet(transmit, bytes_max, now, out);
    }

    /// Takes in an event. Cannot fail and reads nothing.
    pub fn handle(&mut self, event: Event, now: Now, effects: &mut ControlEffects) {
        match event {
            Event::Packet { from, bytes } => {
                self.drive(coterie_swim::Event::Packet { from, bytes: &bytes }, now, effects);
            }
            Event::Unopened { from } => {
                self.drive(coterie_swim::Event::Unopened { from }, now, effects);
            }
            Event::ConnectionLost { peer } => {
                let peer = membership::swim_id(peer);
                self.drive(coterie_swim::Event::ConnectionLost { peer }, now, effects);
            }
            Event::Message { from, message } => {
                if let Body::Control(said) = message.body {
                    self.message(from, said, now, effects);
                } else {
                    self.refuse(from, &message, effects);
                }
            }
            Event::Hello { peer, hello, round_trip } => {
                self.greet(peer, hello, round_trip, now, effects);
            }
            Event::Lane(event) => self.lane(event, now, effects),
            Event::Operator { operator, command } => {
                self.command(operator, *command, now, effects);
            }
            Event::Stopping => {
                self.identity.clean = true;
                self.identity.forgot = self.forgot_any();
                self.identity.store(&mut effects.batch);
                self.memory.save(&mut effects.batch);
            }
            Event::Tick => self.tick(now, effects),
            Event::GenerationStored(generation) => {
                self.muted.take_if(|muted| *muted == generation);
            }
        }
        self.show(now, effects);
    }

    /// What the failure detector has counted since it started.
    #[must_use]
    pub fn gossip(&self) -> &coterie_swim::Counters {
        self.swim.counters()
    }

    /// How many messages came that are for lanes, and name no slice.
    #[must_use]
    pub fn misplaced(&self) -> u64 {
        self.misplaced
    }

    /// When it next wants an [`Event::Tick`], as time since the node's start.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let layouts = self.layouts.as_ref().and_then(|it| it.agreement.next_deadline());
        let sometimes = [
            self.swim.next_deadline(),
            layouts,
            self.memory.next_deadline(),
            self.members_save_at,
            self.done_tell_at,
            self.asking.next_deadline(),
        ];
        Some(sometimes.into_iter().flatten().fold(self.next_compare, Duration::min))
    }

    fn tick(&mut self, now: Now, effects: &mut ControlEffects) {
        let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now.monotonic);
        if is_due(self.swim.next_deadline()) {
            self.drive(coterie_swim::Event::Tick, now, effects);
        }
        if is_due(self.layouts.as_ref().and_then(|it| it.agreement.next_deadline())) {
            self.agree(decision::Event::Tick, now, effects);
        }
        if is_due(self.memory.next_deadline()) {
            self.memory.save(&mut effects.batch);
        }
        if is_due(self.members_save_at) {
            self.save_members(now, effects);
        }
        if is_due(self.asking.next_deadline()) {
            self.ask(now, effects);
        }
        if is_due(self.done_tell_at) {
            self.tell_done(effects);
        }
        if is_due(Some(self.next_compare)) {
            self.next_compare = now.monotonic + self.settings.compare_interval;
            self.compare(effects);
            self.leave_if_empty(now, effects);
        }
    }

    fn message(
        &mut self,
        from: NodeId,
        message: ControlMessage,
        now: Now,
        effects: &mut ControlEffects,
    ) {
        match message {
            ControlMessage::Swim(bytes) => {
                let peer = membership::swim_id(from);
                self.drive(coterie_swim::Event::Stream { peer, bytes: &bytes }, now, effects);
            }
            ControlMessage::Compare(theirs) => self.compared(from, theirs, now, effects),
            ControlMessage::Intent(intent) => self.hear_intent(from, *intent, now, effects),
            ControlMessage::Decision(message) => self.hear_decision(from, *message, now, effects),
            ControlMessage::MovesDone { tip, slices } => self.hear_done(tip, &slices, now, effects),
            ControlMessage::Join => self.welcome(from, effects),
            ControlMessage::Remembered { run } => {
                let tip = self.layouts.as_ref().map(|layouts| layouts.agreement.tip());
                let (heard, forgot) = (self.memory.of(from), self.forgot(from));
                let remember = Remember { run, heard, tip, forgot };
                self.say(After::Synced, from, ControlMessage::Remember(remember), effects);
            }
            ControlMessage::Remember(remember) => self.told(from, remember, now, effects),
        }
    }

    fn lane(&mut self, event: ControlEvent, now: Now, effects: &mut ControlEffects) {
        match event {
            ControlEvent::Acknowledged { peer, committed } => {
                let save_at = now.monotonic + self.settings.remember_within;
                self.memory.note(peer, committed, save_at);
            }
            ControlEvent::LayoutBehind { peer, known } => self.fetch(peer, known, now, effects),
            ControlEvent::MoveDone { slice, version } => {
                self.move_done(slice, version, now, effects);
            }
            ControlEvent::MoveProgress { slice, permille } => {
                self.progress.insert(slice, permille.min(1_000));
            }
            ControlEvent::Excused { slice, pushers } => {
                effects.report(Report::Excused { slice, pushers });
            }
            ControlEvent::OverruledDone { slice, version } => {
                self.overruled_done(slice, version, effects);
            }
            ControlEvent::Received { lane, incarnation } => {
                self.lane_received(lane, incarnation, effects);
            }
            ControlEvent::HintsKept { lane, any, closed } => {
                self.hints.insert(lane, any || !closed);
                self.leave_if_empty(now, effects);
            }
        }
    }

    /// A message for a lane names a slice; this one does not.
    fn refuse(&mut self, from: NodeId, message: &Message, effects: &mut ControlEffects) {
        self.misplaced += 1;
        if !message.body.is_answer() {
            let refusal = Body::Refused(PeerRefusal::Malformed);
            let answer = Message { request: message.request, ..*frame(refusal) };
            self.send(After::Written, from, Box::new(answer), effects);
        }
    }

    /// Sends a message to another node's control, or hands it to itself. Where the node's address is not known,
    /// or what would be sent may not leave yet, it is dropped: everything here is said again.
    fn say(&self, after: After, to: NodeId, message: ControlMessage, effects: &mut ControlEffects) {
        self.send(after, to, frame(Body::Control(message)), effects);
    }

    fn send(&self, after: After, to: NodeId, message: Box<Message>, effects: &mut ControlEffects) {
        let action = if to == self.me {
            ControlAction::Control(Box::new(Event::Message { from: to, message }))
        } else {
            let Some(attributes) = self.attributes.get(&to) else { return };
            ControlAction::Send { to: Some(to), address: attributes.peer, message }
        };
        effects.actions.push((after, action));
    }
}

fn frame(body: Body) -> Box<Message> {
    Box::new(Message {
        request: RequestId(0),
        slice: None,
        layout: SetVersion::default(),
        epoch: 0,
        time_left: None,
        trace: 0,
        committed: None,
        body,
    })
}
