//! The state machine: events in, effects out. The modules below each hold one of its concerns.

mod contact;
mod conviction;
mod learning;
mod probing;
mod receiving;
mod synchronising;
mod telling;

use std::collections::VecDeque;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::attributes::{Address, Attributes};
use crate::broadcast::Broadcasts;
use crate::counters::Counters;
use crate::event::{Change, Effects, Event, Now, Start};
use crate::health::{ConvictionBudget, Health, Hearing, Isolation};
use crate::identity::{Incarnation, Layout, NodeId};
use crate::members::{Member, Members, Status, Trust};
use crate::parameters::Parameters;
use crate::probe::{Errands, Probe};
use crate::record::{Accusers, Evidence, Rank, Record};
use crate::suspicion::Suspicions;
use learning::Dispute;
use synchronising::Comparison;

/// What this node is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// Saying goodbye until then.
    Leaving {
        until: Duration,
    },
    /// Said goodbye, or gave its identity up to another process: sends nothing.
    Silent,
}

/// One node's membership: who is alive, as far as it knows.
///
/// Sans-IO: [`Swim::handle`] takes what happened and says what to do; the driver sends, seals and keeps time.
/// Datagrams are sealed by the driver, with the cluster id as associated data: this crate hands over the
/// destination and, through [`Swim::write_packet`], plain bytes within the destination's size limit.
#[derive(Debug)]
pub struct Swim {
    own: NodeId,
    parameters: Parameters,
    rng: Xoshiro256PlusPlus,
    phase: Phase,
    layout: Layout,
    /// When a peer's other layout was told last.
    layout_told_at: Option<Duration>,
    counters: Counters,
    seeds: Vec<Address>,

    members: Members,
    broadcasts: Broadcasts,
    suspicions: Suspicions,
    /// Counts changes of what consumers are told.
    view_version: u64,

    probe: Option<Probe>,
    /// The last round this node probed in, and the greatest it heard of.
    round: u32,
    heard_round: u32,
    /// Members to probe before their turn.
    urgent: VecDeque<NodeId>,
    /// What is left of this pass, if members are probed in an order of this node's own.
    shuffled: Vec<NodeId>,
    errands: Errands,

    health: Health,
    hearing: Hearing,
    isolation: Isolation,
    /// Accusations made while in doubt of this node's own hearing.
    withheld: Vec<Record>,
    budget: ConvictionBudget,
    recovered_at: Option<Duration>,

    comparison: Comparison,
    /// Whether this node's identity was found claimed by another process, lately.
    dispute: Option<Dispute>,
    foreign_told_at: Option<Duration>,

    next_probe: Duration,
    next_gossip: Option<Duration>,
    next_contact: Duration,
    /// The next attempt at somebody who is only remembered.
    next_recall: Duration,
    next_sweep: Duration,

    scratch: Vec<u8>,
}

/// Members kept in mind to be probed before their turn.
const URGENT_MAX: usize = 16;

/// How often members are looked through for those to forget.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

impl Swim {
    /// A node that has just started and knows nobody for sure.
    ///
    /// # Panics
    /// If `start.attributes.generation` is above [`crate::Generation::MAX`], or a parameter out of its range.
    #[must_use]
    pub fn new(start: Start, parameters: Parameters, now: Now) -> Self {
        let Start { id, attributes, seeds, remembered, seed } = start;
        assert!(attributes.generation <= crate::Generation::MAX, "the boot counter is in range");
        parameters.check();
        let evidence = Evidence {
            generation: attributes.generation,
            incarnation: Incarnation(0),
            rank: Rank::Alive,
        };
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let now = now.monotonic;
        let mut swim = Self {
            own: id,
            phase: Phase::Running,
            layout: Layout::default(),
            layout_told_at: None,
            counters: Counters::default(),
            seeds,
            members: Members::new(Member::new(id, evidence, Some(attributes))),
            broadcasts: Broadcasts::default(),
            suspicions: Suspicions::default(),
            view_version: 0,
            probe: None,
            round: 0,
            heard_round: 0,
            urgent: VecDeque::new(),
            shuffled: Vec::new(),
            errands: Errands::default(),
            health: Health::new(parameters.health_max),
            hearing: Hearing::default(),
            isolation: Isolation::Connected,
            withheld: Vec::new(),
            budget: ConvictionBudget::default(),
            recovered_at: None,
            comparison: Comparison::default(),
            dispute: None,
            foreign_told_at: None,
            next_probe: now + parameters.probe_interval.mul_f64(rng.random_range(0.0..1.0)),
            next_gossip: None,
            next_contact: now,
            next_recall: now,
            next_sweep: now + SWEEP_INTERVAL,
            scratch: Vec::new(),
            rng,
            parameters,
        };
        swim.remember(remembered, now);
        swim.tell_of(id, true, now);
        swim
    }

    /// Takes in what happened. Cannot fail and does no IO.
    pub fn handle(&mut self, event: Event<'_>, now: Now, effects: &mut Effects) {
        let now = now.monotonic;
        if self.phase == Phase::Silent {
            return;
        }
        match event {
            Event::Tick => self.tick(now, effects),
            Event::Packet { from, bytes } => self.receive_packet(from, bytes, now, effects),
            Event::Unopened { from } => self.receive_foreign(from, now, effects),
            Event::Stream { peer, bytes } => self.receive_stream(peer, bytes, now, effects),
            Event::ConnectionLost { peer } => self.probe_soon(peer, now),
            Event::Announce(attributes) => self.announce(attributes, now),
            Event::Layout(layout) => {
                self.layout = layout;
                self.layout_told_at = None;
            }
            Event::Leave => self.leave(now),
        }
    }

    /// When the driver is to send the next [`Event::Tick`]. `None` once this node is silent.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        if self.phase == Phase::Silent {
            return None;
        }
        let probe = self
            .probe
            .as_ref()
            .map_or(self.next_probe, |probe| probe.next_deadline().min(self.next_probe));
        let doubt = match self.isolation {
            Isolation::Doubtful { since } => Some(since + self.patience()),
            Isolation::Isolated { asked, .. } => Some(asked + self.patience() / 2),
            Isolation::Connected => None,
        };
        let farewell = match self.phase {
            Phase::Leaving { until } => Some(until),
            Phase::Running | Phase::Silent => None,
        };
        let sometimes = [
            doubt,
            farewell,
            self.hearing_lapses(),
            self.next_gossip,
            self.errands.next_deadline(),
            self.suspicions.next_expiry(),
            self.contact_due(),
        ];
        let always = probe.min(self.next_sweep);
        Some(sometimes.into_iter().flatten().fold(always, Duration::min))
    }

    fn tick(&mut self, now: Duration, effects: &mut Effects) {
        self.notice_stall(now, effects);
        self.drive_probe(now, effects);
        self.drive_errands(now, effects);
        self.drive_isolation(now, effects);
        self.drive_suspicions(now, effects);
        self.drive_contact(now, effects);
        self.drive_gossip(now, effects);
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP_INTERVAL;
            self.sweep(now);
        }
        if let Phase::Leaving { until } = self.phase
            && now >= until
        {
            self.phase = Phase::Silent;
            effects.changes.push(Change::LeaveFinished);
        }
    }

    /// Forgets the dead whose time has come, and those said to live of whom nothing more was ever heard.
    fn sweep(&mut self, now: Duration) {
        let life = self.parameters.tombstone_life;
        let old = |member: &Member| {
            // A death that is still shown as a suspicion is told first.
            let settled = self.suspicions.get(member.id).is_none();
            settled && Duration::from_secs(member.age_seconds(now).into()) >= life
        };
        let lately = now.saturating_sub(SWEEP_INTERVAL);
        let hearsay = |member: &Member| {
            member.attributes.is_none()
                && member.evidence.rank == Rank::Alive
                && member.heard_at.is_none_or(|at| at < lately)
        };
        let forgotten = self.members.iter().filter(|member| old(member) || hearsay(member));
        let forgotten: Vec<NodeId> = forgotten.map(|member| member.id).collect();
        for id in forgotten {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: NodeId) {
        let shown = self.status(id).is_some_and(|shown| shown != Status::Hidden);
        self.view_version += u64::from(shown);
        self.members.remove(id);
        self.broadcasts.remove(id);
        self.suspicions.remove(id);
    }

    fn announce(&mut self, attributes: Attributes, now: Duration) {
        self.members.update(self.own, |own| {
            let held = own.attributes.expect("this node has attributes");
            own.attributes = Some(Attributes {
                generation: held.generation,
                version: held.version.saturating_add(1),
                instance: held.instance,
                ..attributes
            });
        });
        self.tell_of(self.own, true, now);
    }

    fn leave(&mut self, now: Duration) {
        if self.phase == Phase::Running {
            self.members.update(self.own, |own| {
                own.evidence = own.evidence.ranked(Rank::Left);
                own.died_millis = crate::members::millis(now);
            });
            let rounds = 3 * self.parameters.gossip_rounds(self.members.nodes());
            self.phase = Phase::Leaving { until: now + self.parameters.gossip_interval * rounds };
            self.probe = None;
            self.tell_of(self.own, false, now);
        }
    }

    /// This node's identity.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.own
    }

    /// This node's own record, as others are to see it.
    #[must_use]
    pub fn own_record(&self) -> Record {
        self.members.own().record(Duration::ZERO, Accusers::default(), true)
    }

    /// All members that consumers know of, in no order, with what was last said of them; not this node.
    pub fn view(&self) -> impl Iterator<Item = (NodeId, Status, &Attributes)> {
        let others = self.members.iter().filter(|member| member.id != self.own);
        others.filter(|member| member.shown != Status::Hidden).filter_map(|member| {
            member.attributes.as_ref().map(|attributes| (member.id, member.shown, attributes))
        })
    }

    /// Counts changes of [`Swim::view`]: a consumer that missed one can tell.
    #[must_use]
    pub fn view_version(&self) -> u64 {
        self.view_version
    }

    /// What consumers were last told of a member.
    #[must_use]
    pub fn status(&self, id: NodeId) -> Option<Status> {
        self.members.get(id).map(|member| member.shown)
    }

    /// The greatest claim heard about a member.
    #[must_use]
    pub fn evidence(&self, id: NodeId) -> Option<Evidence> {
        self.members.get(id).map(|member| member.evidence)
    }

    /// Sum over all members believed alive or suspect, equal on nodes of equal views.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.members.digest().total()
    }

    /// Local health: 0 is well.
    #[must_use]
    pub fn health(&self) -> u8 {
        self.health.score()
    }

    /// Counts for metrics.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Members held in whatever state, this node among them.
    #[must_use]
    pub fn members_held(&self) -> usize {
        self.members.len()
    }

    /// Bytes the member table holds, at its capacity.
    #[must_use]
    pub fn member_bytes(&self) -> usize {
        self.members.heap_bytes()
    }

    /// Records to start again from, for [`crate::snapshot::encode`]: all members known for sure, and those of the snapshot
    /// that this life began with of which nothing was heard yet. Who restarts ever again alone must not forget the others.
    pub fn memory(&self, now: Now) -> impl Iterator<Item = Record> {
        let now = now.monotonic;
        let known = |member: &&Member| {
            member.trust != Trust::BackFromFarewell && member.attributes.is_some()
        };
        self.members
            .iter()
            .filter(known)
            .map(move |member| member.record(now, Accusers::default(), true))
    }
}
